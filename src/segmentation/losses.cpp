// SPDX-License-Identifier: Apache-2.0
#include <vesalius/segmentation/losses.h>

#include <cmath>

#include <ATen/ops/_upsample_nearest_exact1d.h>
#include <ATen/ops/_upsample_nearest_exact2d.h>
#include <ATen/ops/_upsample_nearest_exact3d.h>
#include <ATen/ops/binary_cross_entropy_with_logits.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/log_sigmoid.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/max_pool2d.h>
#include <ATen/ops/max_pool3d.h>
#include <ATen/ops/minimum.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <vesalius/core/error.h>

#include "image/squared_distance.h"

namespace vesalius::segmentation {
namespace {

std::string shape_text(const at::Tensor& t) {
  std::string out = "[";
  for (int64_t i = 0; i < t.dim(); ++i) out += (i ? ", " : "") + std::to_string(t.size(i));
  return out + "]";
}

/// [b, …] from [b, …] or [b, 1, …].
at::Tensor without_channel(const char* what, const at::Tensor& t, const at::Tensor& logits) {
  at::Tensor flat = t.dim() == logits.dim() && t.size(1) == 1 ? t.squeeze(1) : t;
  bool fits = flat.dim() == logits.dim() - 1 && flat.size(0) == logits.size(0);
  for (int64_t i = 1; fits && i < flat.dim(); ++i) fits = flat.size(i) == logits.size(i + 1);
  if (!fits)
    throw ShapeError(std::string(what) + " is [b, …] or [b, 1, …] on the logits' grid " + shape_text(logits) +
                     "; got " + shape_text(t));
  return flat;
}

/// Logits in float32 or float64, labels [b, …] (unless regions), and where voxels count ([b, 1, …] of 0 and 1, or undefined).
struct Prepared {
  at::Tensor logits, labels, target, mask;
};

Prepared prepare(const at::Tensor& logits, const at::Tensor& target, const LossOptions& options,
                 const at::Tensor& mask) {
  if (logits.dim() < 3)
    throw ShapeError("logits are [b, c, …] with at least one spatial axis; got " + shape_text(logits));
  Prepared p;
  p.logits = logits.scalar_type() == at::kDouble ? logits : logits.to(at::kFloat);
  const at::ScalarType type = p.logits.scalar_type();
  at::Tensor keep;
  if (mask.defined()) keep = without_channel("the mask", mask, logits).ne(0);
  if (options.regions) {
    if (options.ignore_label)
      throw InvalidArgument("regions have no ignore_label; give a mask that is 0 where voxels don't count");
    if (target.sizes() != logits.sizes())
      throw ShapeError("regions are 0/1 of the logits' shape " + shape_text(logits) + "; got " + shape_text(target));
    p.target = target.to(type);
  } else {
    if (at::isFloatingType(target.scalar_type()) || at::isComplexType(target.scalar_type()))
      throw TypeMismatch(
          "labels are whole numbers (int64, int16, uint8, …); got a floating-point tensor. For 0/1 regions set "
          "regions");
    p.labels = without_channel("the target", target, logits).to(at::kLong);
    if (options.ignore_label) {
      const at::Tensor counts = p.labels.ne(*options.ignore_label);
      keep = keep.defined() ? keep.logical_and(counts) : counts;
      p.labels = p.labels.where(counts, at::zeros({}, p.labels.options()));
    }
    if (p.labels.numel() > 0) {
      const int64_t low = p.labels.min().item<int64_t>(), high = p.labels.max().item<int64_t>();
      if (low < 0 || high >= logits.size(1))
        throw InvalidArgument("labels lie in 0.." + std::to_string(logits.size(1) - 1) +
                              ", one for each channel of the logits; got " + std::to_string(low < 0 ? low : high) +
                              (options.ignore_label ? "" : ". A label to leave out is named by ignore_label"));
    }
  }
  if (keep.defined()) p.mask = keep.unsqueeze(1).to(type);
  return p;
}

at::Tensor one_hot(const Prepared& p) {
  if (p.target.defined()) return p.target;
  return at::zeros_like(p.logits).scatter_(1, p.labels.unsqueeze(1), 1.0);
}

/// Probabilities and 0/1 targets with voxels that don't count as 0 in both, background left out where it is.
struct Overlap {
  at::Tensor p, g;
};

Overlap overlap(const Prepared& prepared, const LossOptions& options) {
  Overlap o{options.regions ? at::sigmoid(prepared.logits) : at::softmax(prepared.logits, 1), one_hot(prepared)};
  if (!options.regions && !options.include_background && o.p.size(1) > 1) {
    o.p = o.p.narrow(1, 1, o.p.size(1) - 1);
    o.g = o.g.narrow(1, 1, o.g.size(1) - 1);
  }
  if (prepared.mask.defined()) {
    o.p = o.p.mul(prepared.mask);
    o.g = o.g.mul(prepared.mask);
  }
  return o;
}

/// Σ over the spatial axes, and over the batch.
at::Tensor total(const at::Tensor& t, const LossOptions& options) {
  const at::Tensor sums = t.flatten(2).sum(2);
  return options.batch ? sums.sum(0, /*keepdim=*/true) : sums;
}

at::Tensor masked_mean(const at::Tensor& values, const at::Tensor& mask) {
  if (!mask.defined()) return values.mean();
  const double channels = static_cast<double>(values.size(1));
  return values.mul(mask).sum().div(mask.sum().mul(channels).clamp_min(1.0));
}

at::Tensor per_channel(const at::Tensor& weight, const at::Tensor& like) {
  if (weight.dim() != 1 || weight.size(0) != like.size(1))
    throw ShapeError("weights are one for each of " + std::to_string(like.size(1)) + " channels; got " +
                     shape_text(weight));
  std::vector<int64_t> shape(static_cast<size_t>(like.dim()), 1);
  shape[1] = weight.size(0);
  return weight.to(like.options()).view(shape);
}

// Soft morphology by pooling (clDice, figure 3).
at::Tensor pool(const at::Tensor& x, std::vector<int64_t> kernel) {
  std::vector<int64_t> padding;
  for (const int64_t k : kernel) padding.push_back(k / 2);
  return kernel.size() == 2 ? at::max_pool2d(x, kernel, {1, 1}, padding)
                            : at::max_pool3d(x, kernel, {1, 1, 1}, padding);
}

at::Tensor soft_erode(const at::Tensor& x) {
  const auto axes = static_cast<size_t>(x.dim() - 2);
  at::Tensor out;
  for (size_t a = 0; a < axes; ++a) {
    std::vector<int64_t> kernel(axes, 1);
    kernel[a] = 3;
    const at::Tensor least = pool(x.neg(), kernel).neg();
    out = out.defined() ? at::minimum(out, least) : least;
  }
  return out;
}

at::Tensor soft_open(const at::Tensor& x) {
  return pool(soft_erode(x), std::vector<int64_t>(static_cast<size_t>(x.dim() - 2), 3));
}

at::Tensor soft_skeleton(at::Tensor x, int64_t iterations) {
  at::Tensor skeleton = at::relu(x.sub(soft_open(x)));
  for (int64_t i = 0; i < iterations; ++i) {
    x = soft_erode(x);
    const at::Tensor delta = at::relu(x.sub(soft_open(x)));
    skeleton = skeleton.add(at::relu(delta.sub(skeleton.mul(delta))));
  }
  return skeleton;
}

}  // namespace

at::Tensor soft_dice_loss(const at::Tensor& logits, const at::Tensor& target, const LossOptions& options,
                          const at::Tensor& mask) {
  const Overlap o = overlap(prepare(logits, target, options, mask), options);
  const at::Tensor both = total(o.p.mul(o.g), options);
  const at::Tensor all = total(o.p, options).add(total(o.g, options));
  return both.mul(2).add(options.smooth_numerator).div(all.add(options.smooth_denominator)).mean().neg().add(1);
}

at::Tensor generalised_dice_loss(const at::Tensor& logits, const at::Tensor& target, const LossOptions& options,
                                 const at::Tensor& mask) {
  const Overlap o = overlap(prepare(logits, target, options, mask), options);
  const at::Tensor volume = total(o.g, options);
  const at::Tensor present = volume.gt(0);
  const at::Tensor weight = volume.mul(volume).reciprocal().where(present, at::zeros({}, volume.options()));
  const at::Tensor largest = weight.amax({1}, /*keepdim=*/true);
  const at::Tensor w = weight.where(present, largest);
  const at::Tensor both = total(o.p.mul(o.g), options).mul(w).sum(1);
  const at::Tensor all = total(o.p, options).add(volume).mul(w).sum(1);
  return both.mul(2).add(options.smooth_numerator).div(all.add(options.smooth_denominator)).mean().neg().add(1);
}

at::Tensor cross_entropy_loss(const at::Tensor& logits, const at::Tensor& target, const LossOptions& options,
                              const at::Tensor& mask, const at::Tensor& weight) {
  const Prepared p = prepare(logits, target, options, mask);
  constexpr int64_t kMean = 1, kNone = 0, kIgnored = -100;
  if (options.regions) {
    at::Tensor values = at::binary_cross_entropy_with_logits(p.logits, p.target, {}, {}, kNone);
    if (weight.defined()) values = values.mul(per_channel(weight, values));
    return masked_mean(values, p.mask);
  }
  if (weight.defined()) per_channel(weight, p.logits);  // checks
  at::Tensor labels = p.labels;
  if (p.mask.defined()) labels = labels.masked_fill(p.mask.squeeze(1).eq(0), kIgnored);
  const at::Tensor classes = weight.defined() ? weight.to(p.logits.options()) : at::Tensor();
  if (p.mask.defined() && !p.mask.any().item<bool>()) return p.logits.sum().mul(0.0);
  return at::cross_entropy_loss(p.logits, labels, classes, kMean, kIgnored);
}

at::Tensor focal_loss(const at::Tensor& logits, const at::Tensor& target, double gamma, const LossOptions& options,
                      const at::Tensor& mask, const at::Tensor& alpha) {
  if (!(gamma >= 0)) throw InvalidArgument("focal loss: gamma is 0 or more; got " + std::to_string(gamma));
  const Prepared p = prepare(logits, target, options, mask);
  const at::Tensor g = one_hot(p);
  // log p_t; with regions of a channel's 0 too
  const at::Tensor log_p =
      options.regions ? at::log_sigmoid(p.logits.mul(g.mul(2).sub(1))) : at::log_softmax(p.logits, 1);
  at::Tensor values = log_p.exp().neg().add(1).clamp_min(0).pow(gamma).mul(log_p).neg();
  if (!options.regions) values = values.mul(g);
  if (alpha.defined()) values = values.mul(per_channel(alpha, values));
  return masked_mean(values, p.mask);
}

at::Tensor tversky_loss(const at::Tensor& logits, const at::Tensor& target, double alpha, double beta, double gamma,
                        const LossOptions& options, const at::Tensor& mask) {
  if (!(alpha >= 0 && beta >= 0 && gamma > 0))
    throw InvalidArgument("Tversky loss: alpha and beta are 0 or more and gamma positive; got " +
                          std::to_string(alpha) + ", " + std::to_string(beta) + ", " + std::to_string(gamma));
  const Overlap o = overlap(prepare(logits, target, options, mask), options);
  const at::Tensor tp = total(o.p.mul(o.g), options);
  const at::Tensor fp = total(o.p, options).sub(tp), fn = total(o.g, options).sub(tp);
  const at::Tensor score = tp.add(options.smooth_numerator)
                               .div(tp.add(fp, alpha).add(fn, beta).add(options.smooth_denominator))
                               .neg()
                               .add(1);
  return (gamma == 1.0 ? score : score.clamp_min(0).pow(gamma)).mean();
}

at::Tensor boundary_loss(const at::Tensor& logits, const at::Tensor& distances, const LossOptions& options,
                         const at::Tensor& mask) {
  if (distances.sizes() != logits.sizes())
    throw ShapeError("distance maps have the logits' shape " + shape_text(logits) + " (signed_distance_maps); got " +
                     shape_text(distances));
  const at::Tensor x = logits.scalar_type() == at::kDouble ? logits : logits.to(at::kFloat);
  at::Tensor values = (options.regions ? at::sigmoid(x) : at::softmax(x, 1)).mul(distances.to(x.scalar_type()));
  if (!options.regions && !options.include_background && values.size(1) > 1)
    values = values.narrow(1, 1, values.size(1) - 1);
  at::Tensor keep;
  if (mask.defined()) keep = without_channel("the mask", mask, logits).ne(0).unsqueeze(1).to(x.scalar_type());
  return masked_mean(values, keep);
}

at::Tensor signed_distance_maps(const at::Tensor& labels, int64_t num_classes, const std::vector<double>& spacing) {
  const auto axes = static_cast<int64_t>(spacing.size());
  if ((axes != 2 && axes != 3) || (labels.dim() != axes + 1 && !(labels.dim() == axes + 2 && labels.size(1) == 1)))
    throw ShapeError("labels are [b, z, y, x] with a spacing (z, y, x), or [b, y, x] with (y, x); got " +
                     shape_text(labels) + " and " + std::to_string(axes) + " spacings");
  for (const double s : spacing)
    if (!(s > 0 && std::isfinite(s))) throw InvalidArgument("spacing is positive; got " + std::to_string(s));
  const at::Tensor flat = (labels.dim() == axes + 2 ? labels.squeeze(1) : labels).to(at::kCPU);
  const Vec3 mm = axes == 3 ? Vec3{spacing[0], spacing[1], spacing[2]} : Vec3{1.0, spacing[0], spacing[1]};
  std::vector<int64_t> shape{flat.size(0), num_classes};
  for (int64_t a = 1; a < flat.dim(); ++a) shape.push_back(flat.size(a));
  at::Tensor out = at::zeros(shape, at::kFloat);
  for (int64_t b = 0; b < flat.size(0); ++b)
    for (int64_t c = 0; c < num_classes; ++c) {
      at::Tensor inside = flat[b].eq(c);
      if (axes == 2) inside = inside.unsqueeze(0);
      if (!inside.any().item<bool>() || inside.all().item<bool>()) continue;
      inside = inside.contiguous();
      const at::Tensor map = image::detail::squared_distance(inside, mm)
                                 .sqrt_()
                                 .sub_(image::detail::squared_distance(inside.logical_not(), mm).sqrt_());
      out[b][c].copy_(axes == 2 ? map.squeeze(0) : map);
    }
  return out.to(labels.device());
}

at::Tensor cldice_loss(const at::Tensor& logits, const at::Tensor& target, int64_t iterations, double smooth,
                       const LossOptions& options, const at::Tensor& mask) {
  if (logits.dim() != 4 && logits.dim() != 5)
    throw ShapeError("clDice takes logits [b, c, y, x] or [b, c, z, y, x]; got " + shape_text(logits));
  if (iterations < 0) throw InvalidArgument("clDice: iterations is 0 or more; got " + std::to_string(iterations));
  const Overlap o = overlap(prepare(logits, target, options, mask), options);
  const at::Tensor predicted = soft_skeleton(o.p, iterations), real = soft_skeleton(o.g, iterations);
  const auto sum = [&](const at::Tensor& t) { return options.batch ? t.sum() : t.flatten(1).sum(1); };
  const at::Tensor precision = sum(predicted.mul(o.g)).add(smooth).div(sum(predicted).add(smooth));
  const at::Tensor sensitivity = sum(real.mul(o.p)).add(smooth).div(sum(real).add(smooth));
  constexpr double kTiny = 1e-4;  // as MONAI's
  return precision.mul(sensitivity).mul(2).div(precision.add(sensitivity).add(kTiny)).neg().add(1).mean();
}

std::vector<double> deep_supervision_weights(int64_t outputs) {
  if (outputs < 1) throw InvalidArgument("deep supervision has at least one output; got " + std::to_string(outputs));
  std::vector<double> weights;
  double sum = 0;
  for (int64_t i = 0; i < outputs; ++i) {
    const bool last = i + 1 == outputs && outputs > 1;
    weights.push_back(last ? 0.0 : std::ldexp(1.0, -static_cast<int>(i)));
    sum += weights.back();
  }
  for (double& w : weights) w /= sum;
  return weights;
}

at::Tensor downsample_target(const at::Tensor& target, const std::vector<int64_t>& size) {
  const auto axes = static_cast<int64_t>(size.size());
  if (axes < 1 || axes > 3 || (target.dim() != axes + 1 && target.dim() != axes + 2))
    throw ShapeError("a target is [b, …] or [b, c, …] with " + std::to_string(axes) + " spatial axes; got " +
                     shape_text(target));
  if (target.sizes().slice(target.dim() - axes) == at::IntArrayRef(size)) return target;
  const bool channel = target.dim() == axes + 2;
  const at::Tensor x = (channel ? target : target.unsqueeze(1)).to(at::kFloat);
  const at::Tensor y = axes == 1   ? at::_upsample_nearest_exact1d(x, size)
                       : axes == 2 ? at::_upsample_nearest_exact2d(x, size)
                                   : at::_upsample_nearest_exact3d(x, size);
  return (channel ? y : y.squeeze(1)).to(target.scalar_type());
}

}  // namespace vesalius::segmentation
