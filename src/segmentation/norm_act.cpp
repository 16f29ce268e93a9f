// SPDX-License-Identifier: Apache-2.0
#include "segmentation/norm_act.h"

#include <cmath>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/group_norm.h>
#include <ATen/ops/instance_norm.h>
#include <ATen/ops/leaky_relu.h>
#include <ATen/ops/prelu.h>
#include <ATen/ops/relu.h>
#include <torch/csrc/autograd/custom_function.h>

#include "segmentation/norm_act_kernel.h"

// The loops are compiled for AVX-512, AVX2 and the baseline; the processor chooses when the library is loaded.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#define VESALIUS_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define VESALIUS_CLONES
#endif

namespace vesalius::segmentation {
namespace {

using detail::ChannelGradient;
using detail::Moments;

#define VESALIUS_NORM_KERNELS(T)                                                                                       \
  VESALIUS_CLONES void moments_of(const T* x, int64_t n, Moments& out) { detail::plane_moments(x, n, out); }           \
  VESALIUS_CLONES void apply_to(const T* x, T* y, int64_t n, float scale, float shift, float slope) {                  \
    detail::plane_apply(x, y, n, scale, shift, slope);                                                                 \
  }                                                                                                                    \
  VESALIUS_CLONES void gradient_sums_of(const T* x, const T* dy, int64_t n, const ChannelGradient& c, float slope,     \
                                        double& g, double& gx) {                                                       \
    detail::plane_gradient_sums(x, dy, n, c, slope, g, gx);                                                            \
  }                                                                                                                    \
  VESALIUS_CLONES double slope_sum_of(const T* x, const T* dy, int64_t n, const ChannelGradient& c) {                  \
    return detail::plane_slope_sum(x, dy, n, c);                                                                       \
  }                                                                                                                    \
  VESALIUS_CLONES void gradient_of(const T* x, const T* dy, T* dx, int64_t n, const ChannelGradient& c, float slope) { \
    detail::plane_gradient(x, dy, dx, n, c, slope);                                                                    \
  }                                                                                                                    \
  VESALIUS_CLONES void moments_of_rows(const T* x, int64_t voxels, int64_t channels, float* work, Moments* out) {      \
    detail::rows_moments(x, voxels, channels, work, out);                                                              \
  }                                                                                                                    \
  VESALIUS_CLONES void apply_to_rows(const T* x, T* y, int64_t voxels, int64_t channels, const float* scale,           \
                                     const float* shift, float slope) {                                                \
    detail::rows_apply(x, y, voxels, channels, scale, shift, slope);                                                   \
  }
VESALIUS_NORM_KERNELS(float)
VESALIUS_NORM_KERNELS(uint16_t)
#undef VESALIUS_NORM_KERNELS

/// scale = weight · rstd, shift = bias − mean · scale, of each (sample, channel); mean and rstd too.
struct Affine {
  std::vector<float> scale, shift, mean, rstd;
  explicit Affine(size_t n) : scale(n), shift(n), mean(n), rstd(n) {}
};

std::vector<float> floats(const at::Tensor& t, int64_t n, float otherwise) {
  std::vector<float> out(static_cast<size_t>(n), otherwise);
  if (!t.defined()) return out;
  const at::Tensor flat = t.detach().to(at::kFloat).contiguous();
  std::copy_n(flat.const_data_ptr<float>(), n, out.data());
  return out;
}

bool channels_last(const at::Tensor& x) {
  const auto format = x.dim() == 5 ? at::MemoryFormat::ChannelsLast3d : at::MemoryFormat::ChannelsLast;
  return !x.is_contiguous() && x.is_contiguous(format);
}

template <class T>
T* data_of(const at::Tensor& t) {
  return static_cast<T*>(t.data_ptr());
}

template <class T>
Affine affine_of(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, const NormActOptions& o) {
  const int64_t n = x.size(0), c = x.size(1), voxels = x.numel() / (n * c);
  std::vector<Moments> moments(static_cast<size_t>(n * c));
  const T* data = data_of<T>(x);
  if (channels_last(x)) {
    // as many whatever the number of threads, so that sums have one order
    const int64_t parts = std::clamp<int64_t>(voxels / 8192, 1, 32);
    std::vector<Moments> partial(static_cast<size_t>(n * parts * c));
    at::parallel_for(0, n * parts, 1, [&](int64_t begin, int64_t end) {
      std::vector<float> work(static_cast<size_t>(2 * c));
      for (int64_t p = begin; p < end; ++p) {
        const int64_t s = p / parts, first = voxels * (p % parts) / parts, last = voxels * (p % parts + 1) / parts;
        moments_of_rows(data + (s * voxels + first) * c, last - first, c, work.data(), partial.data() + p * c);
      }
    });
    for (int64_t p = 0; p < n * parts; ++p)
      for (int64_t k = 0; k < c; ++k) {
        const Moments& m = partial[static_cast<size_t>(p * c + k)];
        if (m.count > 0) moments[static_cast<size_t>(p / parts * c + k)].add(m.count, m.mean, m.squares);
      }
  } else {
    at::parallel_for(0, n * c, 1, [&](int64_t begin, int64_t end) {
      for (int64_t p = begin; p < end; ++p) moments_of(data + p * voxels, voxels, moments[static_cast<size_t>(p)]);
    });
  }
  if (o.groups > 0) {
    const int64_t together = c / o.groups;
    for (int64_t g = 0; g < n * o.groups; ++g) {
      Moments all;
      for (int64_t k = g * together; k < (g + 1) * together; ++k)
        all.add(moments[static_cast<size_t>(k)].count, moments[static_cast<size_t>(k)].mean,
                moments[static_cast<size_t>(k)].squares);
      std::fill_n(moments.begin() + g * together, together, all);
    }
  }
  const auto w = floats(weight, c, 1.0f), b = floats(bias, c, 0.0f);
  Affine out(moments.size());
  for (size_t i = 0; i < moments.size(); ++i) {
    const size_t k = i % static_cast<size_t>(c);
    const double rstd = 1.0 / std::sqrt(moments[i].squares / moments[i].count + o.eps);
    out.mean[i] = static_cast<float>(moments[i].mean);
    out.rstd[i] = static_cast<float>(rstd);
    out.scale[i] = static_cast<float>(w[k] * rstd);
    out.shift[i] = static_cast<float>(b[k] - moments[i].mean * w[k] * rstd);
  }
  return out;
}

template <class T>
void apply(const at::Tensor& x, const at::Tensor& y, const Affine& a, float slope) {
  const int64_t n = x.size(0), c = x.size(1), voxels = x.numel() / (n * c);
  const T* in = data_of<T>(x);
  T* out = data_of<T>(y);
  if (channels_last(x)) {
    constexpr int64_t kRows = 1024;
    const int64_t parts = (voxels + kRows - 1) / kRows;
    at::parallel_for(0, n * parts, 4, [&](int64_t begin, int64_t end) {
      for (int64_t p = begin; p < end; ++p) {
        const int64_t s = p / parts, first = (p % parts) * kRows, count = std::min(kRows, voxels - first);
        const int64_t at = (s * voxels + first) * c;
        apply_to_rows(in + at, out + at, count, c, a.scale.data() + s * c, a.shift.data() + s * c, slope);
      }
    });
    return;
  }
  at::parallel_for(0, n * c, 1, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p)
      apply_to(in + p * voxels, out + p * voxels, voxels, a.scale[p], a.shift[p], slope);
  });
}

/// Sums of g and g · x̂ of each (sample, channel), and the gradient of x.
template <class T>
void backward(const at::Tensor& x, const at::Tensor& dy, const at::Tensor& dx, const Affine& a,
              const std::vector<float>& weight, const NormActOptions& o, std::vector<double>& sum_g,
              std::vector<double>& sum_gx) {
  const int64_t n = x.size(0), c = x.size(1), voxels = x.numel() / (n * c);
  const int64_t together = o.groups > 0 ? c / o.groups : 1;  // channels normalised together
  const auto slope = static_cast<float>(o.slope);
  at::parallel_for(0, n * c / together, 1, [&](int64_t begin, int64_t end) {
    for (int64_t group = begin; group < end; ++group) {
      double mean_g = 0, mean_gx = 0;
      for (int64_t p = group * together; p < (group + 1) * together; ++p) {
        const ChannelGradient g{a.mean[p], a.rstd[p], a.scale[p], a.shift[p]};
        gradient_sums_of(data_of<T>(x) + p * voxels, data_of<T>(dy) + p * voxels, voxels, g, slope, sum_g[p],
                         sum_gx[p]);
        mean_g += weight[p % c] * sum_g[p];
        mean_gx += weight[p % c] * sum_gx[p];
      }
      const auto count = static_cast<double>(voxels * together);
      for (int64_t p = group * together; p < (group + 1) * together; ++p) {
        const ChannelGradient g{a.mean[p],
                                a.rstd[p],
                                a.scale[p],
                                a.shift[p],
                                static_cast<float>(mean_g / count),
                                static_cast<float>(mean_gx / count)};
        gradient_of(data_of<T>(x) + p * voxels, data_of<T>(dy) + p * voxels, data_of<T>(dx) + p * voxels, voxels, g,
                    slope);
      }
    }
  });
}

/// Σ over everything of what the slope's gradient is.
template <class T>
double slope_gradient(const at::Tensor& x, const at::Tensor& dy, const Affine& a) {
  const int64_t planes = x.size(0) * x.size(1), voxels = x.numel() / planes;
  std::vector<double> sums(static_cast<size_t>(planes));
  at::parallel_for(0, planes, 1, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p)
      sums[p] = slope_sum_of(data_of<T>(x) + p * voxels, data_of<T>(dy) + p * voxels, voxels,
                             {a.mean[p], a.rstd[p], a.scale[p], a.shift[p]});
  });
  double all = 0;
  for (const double sum : sums) all += sum;
  return all;
}

bool kernel_serves(const at::Tensor& x) {
  return x.device().is_cpu() && (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16) &&
         (x.dim() == 4 || x.dim() == 5) && x.numel() > 0 && x.numel() > x.size(0) * x.size(1);
}

/// Contiguous in one of the two layouts, whichever it is nearer to.
at::Tensor dense(const at::Tensor& x) { return channels_last(x) ? x : x.contiguous(); }

at::Tensor forward(const at::Tensor& x, const Affine& a, double slope, bool in_place) {
  at::Tensor y = in_place ? x : at::empty_like(x);
  if (x.scalar_type() == at::kFloat)
    apply<float>(x, y, a, static_cast<float>(slope));
  else
    apply<uint16_t>(x, y, a, static_cast<float>(slope));
  return y;
}

Affine affine(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, const NormActOptions& o) {
  return x.scalar_type() == at::kFloat ? affine_of<float>(x, weight, bias, o) : affine_of<uint16_t>(x, weight, bias, o);
}

/// The four lists as one float tensor [4, n · c], and back: the backward pass needs no second look at x for them.
at::Tensor packed(const Affine& a) {
  const auto n = static_cast<int64_t>(a.scale.size());
  at::Tensor out = at::empty({4, n}, at::kFloat);
  float* to = out.mutable_data_ptr<float>();
  for (const auto* list : {&a.scale, &a.shift, &a.mean, &a.rstd}) to = std::copy(list->begin(), list->end(), to);
  return out;
}

Affine unpacked(const at::Tensor& t) {
  const auto n = static_cast<size_t>(t.size(1));
  Affine out(n);
  const float* from = t.const_data_ptr<float>();
  for (auto* list : {&out.scale, &out.shift, &out.mean, &out.rstd}) {
    std::copy_n(from, n, list->begin());
    from += n;
  }
  return out;
}

class NormAct : public torch::autograd::Function<NormAct> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& given,
                            const std::optional<at::Tensor>& weight, const std::optional<at::Tensor>& bias,
                            const std::optional<at::Tensor>& prelu, double eps, double slope, int64_t groups) {
    const at::Tensor x = dense(given), w = weight.value_or(at::Tensor()), b = bias.value_or(at::Tensor());
    const NormActOptions o{eps, slope, groups};
    const Affine a = affine(x, w, b, o);
    context->save_for_backward({x, w, b, packed(a), prelu.value_or(at::Tensor())});
    context->saved_data["slope"] = slope;
    context->saved_data["groups"] = groups;
    return segmentation::forward(x, a, slope, false);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const NormActOptions o{0.0, context->saved_data["slope"].toDouble(), context->saved_data["groups"].toInt()};
    // Planes: the two sums and the gradient of a channel then stay in the cache.
    const at::Tensor x = saved[0].contiguous(), dy = gradients[0].to(x.scalar_type()).contiguous();
    const Affine a = unpacked(saved[3]);
    const int64_t n = x.size(0), c = x.size(1);
    const at::Tensor dx = at::empty_like(x);
    std::vector<double> sum_g(static_cast<size_t>(n * c)), sum_gx(static_cast<size_t>(n * c));
    const auto weight = floats(saved[1], c, 1.0f);
    if (x.scalar_type() == at::kFloat)
      segmentation::backward<float>(x, dy, dx, a, weight, o, sum_g, sum_gx);
    else
      segmentation::backward<uint16_t>(x, dy, dx, a, weight, o, sum_g, sum_gx);
    const auto summed = [&](const at::Tensor& like, const std::vector<double>& sums) {
      if (!like.defined()) return at::Tensor();
      at::Tensor out = at::empty({c}, at::kFloat);
      float* to = out.mutable_data_ptr<float>();
      for (int64_t k = 0; k < c; ++k) {
        double sum = 0;
        for (int64_t s = 0; s < n; ++s) sum += sums[static_cast<size_t>(s * c + k)];
        to[k] = static_cast<float>(sum);
      }
      return out.to(like.scalar_type());
    };
    at::Tensor d_slope;
    if (const at::Tensor& slope = saved[4]; slope.defined())
      d_slope = at::empty(slope.sizes(), slope.options())
                    .fill_(x.scalar_type() == at::kFloat ? slope_gradient<float>(x, dy, a)
                                                         : slope_gradient<uint16_t>(x, dy, a));
    return {dx, summed(saved[1], sum_gx), summed(saved[2], sum_g), d_slope, at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor norm_act(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, const NormActOptions& o,
                    bool in_place) {
  if (!kernel_serves(x)) {
    const at::Tensor y = o.groups > 0 ? at::group_norm(x, o.groups, weight, bias, o.eps)
                                      : at::instance_norm(x, weight, bias, {}, {}, true, 0.1, o.eps, true);
    if (o.slope == 1.0) return y;
    return o.slope == 0.0 ? at::relu(y) : at::leaky_relu(y, o.slope);
  }
  if (!at::GradMode::is_enabled()) {
    const at::Tensor input = dense(x);
    return forward(input, affine(input, weight, bias, o), o.slope, in_place || !input.is_same(x));
  }
  const auto optional = [](const at::Tensor& t) { return t.defined() ? std::optional<at::Tensor>(t) : std::nullopt; };
  return NormAct::apply(x, optional(weight), optional(bias), std::optional<at::Tensor>(), o.eps, o.slope, o.groups);
}

at::Tensor norm_prelu(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, const at::Tensor& slope,
                      const NormActOptions& options, bool in_place) {
  NormActOptions o = options;
  if (!kernel_serves(x)) {
    o.slope = 1.0;
    return at::prelu(norm_act(x, weight, bias, o), slope.to(x.scalar_type()));
  }
  o.slope = slope.item<double>();
  if (!at::GradMode::is_enabled()) return norm_act(x, weight, bias, o, in_place);
  const auto optional = [](const at::Tensor& t) { return t.defined() ? std::optional<at::Tensor>(t) : std::nullopt; };
  return NormAct::apply(x, optional(weight), optional(bias), optional(slope), o.eps, o.slope, o.groups);
}

}  // namespace vesalius::segmentation
