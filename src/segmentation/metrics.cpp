// SPDX-License-Identifier: Apache-2.0
#include <vesalius/segmentation/metrics.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <set>

#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/zeros_like.h>

#include <vesalius/core/error.h>

#include "image/box.h"
#include "image/squared_distance.h"
#include "segmentation/surface_elements.h"

namespace vesalius::segmentation {
namespace {

constexpr double kNothing = std::numeric_limits<double>::quiet_NaN();
constexpr double kApart = std::numeric_limits<double>::infinity();

/// Both masks' voxels of a label in the box around their union; what lies outside it is outside both.
struct Pair {
  at::Tensor prediction, reference;  // bool, CPU
  Vec3 spacing{};
  Index3 whole{};  // size of the image: an axis of one voxel has no surface
  int64_t predicted = 0, referenced = 0, common = 0;
};

Pair pair_of(const Mask& prediction, const Mask& reference, int64_t label) {
  prediction.geometry().require_same(reference.geometry(), "the prediction", "the reference");
  Pair pair;
  pair.spacing = reference.geometry().spacing;
  pair.whole = reference.geometry().size;
  pair.prediction = prediction.tensor().eq(label).cpu();
  pair.reference = reference.tensor().eq(label).cpu();
  const auto box = image::detail::box_of(pair.prediction.logical_or(pair.reference));
  for (int a = 0; a < 3; ++a) {
    pair.prediction = pair.prediction.narrow(a, box.start[a], box.count[a]);
    pair.reference = pair.reference.narrow(a, box.start[a], box.count[a]);
  }
  pair.predicted = pair.prediction.sum().item<int64_t>();
  pair.referenced = pair.reference.sum().item<int64_t>();
  pair.common = pair.prediction.logical_and(pair.reference).sum().item<int64_t>();
  return pair;
}

/// Voxels with a face neighbour outside.
at::Tensor surface_of(const at::Tensor& chosen, const Index3& whole) {
  if (whole == Index3{1, 1, 1}) return chosen;  // no axis to look along: the voxel is its own surface
  at::Tensor inner = chosen;
  for (int a = 0; a < 3; ++a) {
    if (whole[a] == 1) continue;
    const int64_t n = chosen.size(a);
    std::vector<int64_t> width(6, 0);
    width[2 * (2 - a)] = width[2 * (2 - a) + 1] = 1;
    const at::Tensor padded = at::constant_pad_nd(chosen, width, 0);
    inner = inner.logical_and(padded.narrow(a, 0, n)).logical_and(padded.narrow(a, 2, n));
  }
  return chosen.logical_and(inner.logical_not());
}

/// Sorted distances, one for each surface voxel: to the reference, and to the prediction.
struct Distances {
  std::vector<double> forth, back;
};

std::vector<double> sorted_distances(const at::Tensor& from, const at::Tensor& to, const Vec3& spacing) {
  const at::Tensor values = image::detail::squared_distance(to, spacing).masked_select(from).contiguous();
  const double* data = values.const_data_ptr<double>();
  std::vector<double> out(data, data + values.numel());
  for (double& v : out) v = std::sqrt(v);
  std::sort(out.begin(), out.end());
  return out;
}

Distances distances_of(const Pair& pair) {
  const at::Tensor predicted = surface_of(pair.prediction, pair.whole),
                   referenced = surface_of(pair.reference, pair.whole);
  return {sorted_distances(predicted, referenced, pair.spacing), sorted_distances(referenced, predicted, pair.spacing)};
}

double percentile(const std::vector<double>& sorted, double percent) {
  const double position = percent / 100.0 * double(sorted.size() - 1);
  const auto whole = static_cast<size_t>(position);
  if (whole + 1 >= sorted.size()) return sorted.back();
  return sorted[whole] + (position - double(whole)) * (sorted[whole + 1] - sorted[whole]);
}

double hausdorff_of(const Distances& d, double percent) {
  return std::max(percentile(d.forth, percent), percentile(d.back, percent));
}

double mean_of_both(const Distances& d) {
  double sum = 0;
  for (const double v : d.forth) sum += v;
  for (const double v : d.back) sum += v;
  return sum / double(d.forth.size() + d.back.size());
}

double share_within(const Distances& d, double tolerance) {
  const auto within = [&](const std::vector<double>& v) {
    // A distance that is the tolerance on paper counts.
    return std::upper_bound(v.begin(), v.end(), tolerance * (1 + 1e-12)) - v.begin();
  };
  return double(within(d.forth) + within(d.back)) / double(d.forth.size() + d.back.size());
}

/// Area of one mask's elements within the tolerance of the other's, and of the rest: a share of all is then exactly 1.
std::pair<double, double> area_within(const detail::SurfaceElements& from, const detail::SurfaceElements& to,
                                      const Vec3& spacing, double tolerance) {
  const double reach = tolerance * tolerance * (1 + 1e-12);
  const at::Tensor near = image::detail::squared_distance(to.where, spacing).le(reach).logical_and(from.where);
  return {from.area.masked_select(near).sum().item<double>(), from.area.masked_fill(near, 0).sum().item<double>()};
}

double surface_dice_of(const Pair& pair, double tolerance, SurfaceWeight weight) {
  std::array<bool, 3> flat{};
  for (int a = 0; a < 3; ++a) flat[a] = pair.whole[a] == 1;
  // In a row of voxels nothing has an area or a length.
  if (weight == SurfaceWeight::voxel || std::count(flat.begin(), flat.end(), true) > 1)
    return share_within(distances_of(pair), tolerance);
  const auto p = detail::surface_elements(pair.prediction, flat, pair.spacing),
             r = detail::surface_elements(pair.reference, flat, pair.spacing);
  const auto [p_near, p_far] = area_within(p, r, pair.spacing, tolerance);
  const auto [r_near, r_far] = area_within(r, p, pair.spacing, tolerance);
  return (p_near + r_near) / (p_near + r_near + (p_far + r_far));
}

void require_tolerance(double tolerance) {
  if (!std::isfinite(tolerance) || tolerance < 0)
    throw InvalidArgument("surface_dice: the tolerance is a number of mm, 0 or more; got " + std::to_string(tolerance));
}

/// `measure` where both masks hold the label; else NaN (in neither) or `apart` (in one).
template <class Measure>
double measured(const Pair& pair, double apart, Measure&& measure) {
  if (pair.predicted + pair.referenced == 0) return kNothing;
  if (pair.predicted == 0 || pair.referenced == 0) return apart;
  return measure();
}

double dice_of(const Pair& p) {
  return measured(p, 0.0, [&] { return 2.0 * double(p.common) / double(p.predicted + p.referenced); });
}
double jaccard_of(const Pair& p) {
  return measured(p, 0.0, [&] { return double(p.common) / double(p.predicted + p.referenced - p.common); });
}

}  // namespace

Metrics evaluate(const Mask& prediction, const Mask& reference, int64_t label, double tolerance_mm) {
  require_tolerance(tolerance_mm);
  const Pair pair = pair_of(prediction, reference, label);
  Metrics out;
  out.predicted_voxels = pair.predicted;
  out.reference_voxels = pair.referenced;
  out.dice = dice_of(pair);
  out.jaccard = jaccard_of(pair);
  const double more = double(pair.predicted - pair.referenced);
  out.volume_difference = more * reference.geometry().voxel_volume();
  out.relative_volume_difference = pair.referenced > 0  ? more / double(pair.referenced)
                                   : pair.predicted > 0 ? kApart
                                                        : kNothing;
  Distances d;
  if (pair.predicted > 0 && pair.referenced > 0) d = distances_of(pair);
  out.hausdorff = measured(pair, kApart, [&] { return hausdorff_of(d, 100); });
  out.hausdorff95 = measured(pair, kApart, [&] { return hausdorff_of(d, 95); });
  out.average_surface_distance = measured(pair, kApart, [&] { return mean_of_both(d); });
  out.surface_dice = measured(pair, 0.0, [&] { return surface_dice_of(pair, tolerance_mm, SurfaceWeight::area); });
  return out;
}

std::map<int64_t, Metrics> evaluate_all(const Mask& prediction, const Mask& reference,
                                        const std::vector<int64_t>& labels, double tolerance_mm) {
  prediction.geometry().require_same(reference.geometry(), "the prediction", "the reference");
  std::set<int64_t> wanted(labels.begin(), labels.end());
  if (labels.empty())
    for (const Mask* mask : {&prediction, &reference})
      for (const int64_t label : mask->labels()) wanted.insert(label);
  std::map<int64_t, Metrics> out;
  for (const int64_t label : wanted) out[label] = evaluate(prediction, reference, label, tolerance_mm);
  return out;
}

double dice(const Mask& prediction, const Mask& reference, int64_t label) {
  return dice_of(pair_of(prediction, reference, label));
}

double jaccard(const Mask& prediction, const Mask& reference, int64_t label) {
  return jaccard_of(pair_of(prediction, reference, label));
}

double hausdorff(const Mask& prediction, const Mask& reference, int64_t label, double percent) {
  if (!(percent > 0 && percent <= 100))
    throw InvalidArgument("hausdorff: the percentile lies in (0, 100]; got " + std::to_string(percent));
  const Pair pair = pair_of(prediction, reference, label);
  return measured(pair, kApart, [&] { return hausdorff_of(distances_of(pair), percent); });
}

double average_surface_distance(const Mask& prediction, const Mask& reference, int64_t label) {
  const Pair pair = pair_of(prediction, reference, label);
  return measured(pair, kApart, [&] { return mean_of_both(distances_of(pair)); });
}

double surface_dice(const Mask& prediction, const Mask& reference, double tolerance_mm, int64_t label,
                    SurfaceWeight weight) {
  require_tolerance(tolerance_mm);
  const Pair pair = pair_of(prediction, reference, label);
  return measured(pair, 0.0, [&] { return surface_dice_of(pair, tolerance_mm, weight); });
}

}  // namespace vesalius::segmentation
