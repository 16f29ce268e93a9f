// SPDX-License-Identifier: Apache-2.0
#include "segmentation/dataset_oddities.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <sstream>

#include <ATen/ops/empty.h>
#include <ATen/ops/matmul.h>

namespace vesalius::segmentation::detail {
namespace {

constexpr size_t kEnough = 10;           // cases, to say what is usual
constexpr double kUsual = 0.9;           // of the cases
constexpr double kRobustDeviations = 6;  // of log volume
constexpr double kScaleRatio = 100;      // between the cases' standard deviations
constexpr double kSpacingRatio = 3;
constexpr double kAlike = 0.999;  // correlation of two signatures

using Cases = std::vector<const CaseTraits*>;

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<int64_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

std::string shown(double value) {
  std::ostringstream text;
  text.precision(3);
  text << value;
  return text.str();
}

std::string name_of(const LabelSet& set, int64_t label) {
  for (const auto& [name, numbers] : set.labels)
    if (numbers == std::vector<int64_t>{label}) return "\"" + name + "\" (" + std::to_string(label) + ")";
  return "label " + std::to_string(label);
}

void single_cases(const Cases& cases, std::vector<Problem>& out) {
  for (const CaseTraits* c : cases) {
    if (c->label_type.rfind("float", 0) == 0)
      out.push_back({c->id, "label_type",
                     "the labels of case " + c->id + " are stored as " + c->label_type +
                         "; they are whole numbers and are read as such",
                     false});
    for (const std::string& problem : c->header) out.push_back({c->id, "header", problem, false});
    if (c->on_background > 0.5)
      out.push_back({c->id, "outside",
                     shown(100 * c->on_background) + " % of the labelled voxels of case " + c->id +
                         " lie where the image is empty (its least value): do image and label map belong together?",
                     false});
  }
}

void islands_and_volumes(const Cases& cases, const LabelSet& set, std::vector<Problem>& out) {
  std::map<int64_t, Cases> by_label;
  for (const CaseTraits* c : cases)
    for (const auto& [label, traits] : c->labels) by_label[label].push_back(c);
  for (const auto& [label, having] : by_label) {
    if (having.size() < kEnough) continue;
    const std::string name = name_of(set, label);
    size_t whole = 0;
    std::vector<double> volumes, distances;
    for (const CaseTraits* c : having) {
      whole += c->labels.at(label).components.size() == 1;
      volumes.push_back(std::log(c->labels.at(label).volume_mm3));
    }
    const double usual = median(volumes);
    for (const double v : volumes) distances.push_back(std::abs(v - usual));
    const double limit = std::max(std::log(3.0), kRobustDeviations * 1.4826 * median(distances));
    for (size_t i = 0; i < having.size(); ++i) {
      const auto& sizes = having[i]->labels.at(label).components;
      if (sizes.size() > 1 && static_cast<double>(whole) >= kUsual * static_cast<double>(having.size())) {
        int64_t rest = 0;
        for (size_t k = 1; k < sizes.size(); ++k) rest += sizes[k];
        out.push_back({having[i]->id, "islands",
                       "in case " + having[i]->id + " " + name + " has " + std::to_string(sizes.size()) + " parts, " +
                           std::to_string(rest) + " voxels beside the largest of " + std::to_string(sizes[0]) +
                           "; it is one in " + std::to_string(whole) + " of " + std::to_string(having.size()) +
                           " cases",
                       false});
      }
      if (distances[i] > limit)
        out.push_back({having[i]->id, "volume",
                       "in case " + having[i]->id + " " + name + " has " + shown(std::exp(volumes[i])) +
                           " mm³; the median of the cases is " + shown(std::exp(usual)) + " mm³",
                       false});
    }
  }
}

void intensities(const Dataset& dataset, const Cases& cases, std::vector<Problem>& out) {
  for (size_t c = 0; c < dataset.channels.size(); ++c) {
    const CaseTraits *least = nullptr, *most = nullptr;
    for (const CaseTraits* each : cases) {
      if (c >= each->deviation.size() || each->deviation[c] <= 0) continue;
      if (!least || each->deviation[c] < least->deviation[c]) least = each;
      if (!most || each->deviation[c] > most->deviation[c]) most = each;
    }
    if (least && most->deviation[c] > kScaleRatio * least->deviation[c])
      out.push_back({"", "intensity",
                     "channel " + dataset.channels[c] +
                         " is scaled differently from case to case: standard deviation " + shown(least->deviation[c]) +
                         " in " + least->id + ", " + shown(most->deviation[c]) + " in " + most->id +
                         ". Z-scores take care of it, a channel named CT doesn't",
                     false});
  }
}

/// The patient's direction (superior, posterior, left or their opposites) that each index axis z, y, x runs along most.
std::string axes_of(const Geometry& g) {
  std::string out;
  for (int column = 0; column < 3; ++column) {
    int best = 0;
    for (int row = 1; row < 3; ++row)
      if (std::abs(g.direction[row][column]) > std::abs(g.direction[best][column])) best = row;
    out += (g.direction[best][column] >= 0 ? "SPL" : "IAR")[best];
  }
  return out;
}

void geometries(const Cases& cases, std::vector<Problem>& out) {
  if (cases.size() < kEnough) return;
  std::map<std::string, size_t> count;
  for (const CaseTraits* c : cases) ++count[axes_of(c->geometry)];
  const auto usual =
      std::max_element(count.begin(), count.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  const bool clear = static_cast<double>(usual->second) >= kUsual * static_cast<double>(cases.size());
  Vec3 middle{};
  for (int axis = 0; axis < 3; ++axis) {
    std::vector<double> values;
    for (const CaseTraits* c : cases) values.push_back(c->geometry.spacing[axis]);
    middle[axis] = median(values);
  }
  for (const CaseTraits* c : cases) {
    if (const auto axes = axes_of(c->geometry); clear && axes != usual->first)
      out.push_back({c->id, "orientation",
                     "the axes z, y, x of case " + c->id + " point to " + axes + "; those of " +
                         std::to_string(usual->second) + " of " + std::to_string(cases.size()) + " cases to " +
                         usual->first + ". A network sees such a case mirrored or turned",
                     false});
    for (int axis = 0; axis < 3; ++axis)
      if (const double ratio = c->geometry.spacing[axis] / middle[axis];
          ratio > kSpacingRatio || ratio * kSpacingRatio < 1)
        out.push_back({c->id, "spacing",
                       "case " + c->id + " has a spacing of " + shown(c->geometry.spacing[axis]) + " mm along " +
                           std::string(1, "zyx"[axis]) + "; the median is " + shown(middle[axis]) + " mm",
                       false});
  }
}

void same_labels(const Cases& cases, std::vector<Problem>& out) {
  std::map<uint64_t, const CaseTraits*> seen;
  for (const CaseTraits* c : cases) {
    if (c->label_hash == 0) continue;
    const auto [first, fresh] = seen.emplace(c->label_hash, c);
    if (!fresh)
      out.push_back({c->id, "same_labels",
                     "cases " + first->second->id + " and " + c->id +
                         " have the same label map, voxel for voxel, and different images",
                     false});
  }
}

/// The same image once more: scaled, converted, with a little noise, or mirrored along one axis.
void near_duplicates(const Cases& cases, std::vector<Problem>& out) {
  std::map<std::array<int64_t, 3>, Cases> by_size;
  for (const CaseTraits* c : cases)
    by_size[{c->geometry.size[0], c->geometry.size[1], c->geometry.size[2]}].push_back(c);
  for (const auto& [size, group] : by_size) {
    const auto n = static_cast<int64_t>(group.size());
    if (n < 2) continue;
    const auto length = static_cast<int64_t>(group[0]->signature.size());
    at::Tensor all = at::empty({n, length}, at::kFloat);
    for (int64_t i = 0; i < n; ++i)
      std::copy(group[i]->signature.begin(), group[i]->signature.end(), all[i].mutable_data_ptr<float>());
    const auto blocks = static_cast<int64_t>(std::llround(std::cbrt(static_cast<double>(length))));
    for (int64_t axis = -1; axis < 3; ++axis) {
      const at::Tensor other =
          axis < 0 ? all : all.view({n, blocks, blocks, blocks}).flip({axis + 1}).reshape({n, length});
      const at::Tensor alike = at::matmul(all, other.t()).contiguous();
      const float* values = alike.const_data_ptr<float>();
      for (int64_t i = 0; i < n; ++i)
        for (int64_t j = i + 1; j < n; ++j)
          if (values[i * n + j] > kAlike)
            out.push_back({group[j]->id, "near_duplicate",
                           "the images of cases " + group[i]->id + " and " + group[j]->id + " are nearly the same" +
                               (axis < 0 ? "" : std::string(", the second mirrored along ") + "zyx"[axis]) +
                               " (correlation " + std::to_string(values[i * n + j]) +
                               "): one person in training and validation?",
                           false});
    }
  }
}

}  // namespace

std::vector<Problem> oddities(const Dataset& dataset, const std::vector<const CaseTraits*>& cases) {
  std::vector<Problem> out;
  single_cases(cases, out);
  islands_and_volumes(cases, dataset.labels, out);
  intensities(dataset, cases, out);
  geometries(cases, out);
  same_labels(cases, out);
  near_duplicates(cases, out);
  return out;
}

}  // namespace vesalius::segmentation::detail
