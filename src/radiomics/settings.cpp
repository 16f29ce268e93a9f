// SPDX-License-Identifier: Apache-2.0
#include <vesalius/radiomics/settings.h>

#include <cmath>
#include <set>

#include <vesalius/core/error.h>

#include "radiomics/family.h"

namespace vesalius::radiomics {
namespace {

struct AggregationWord {
  Aggregation value;
  const char* word;
  const char* code;
};
constexpr AggregationWord kWords[] = {
    {Aggregation::averaged_2d, "2D_avg", "BTW3"},        {Aggregation::slice_merged_2d, "2D_comb", "SUJT"},
    {Aggregation::direction_merged, "2_5D_avg", "JJUI"}, {Aggregation::merged_2_5d, "2_5D_comb", "ZW7Z"},
    {Aggregation::averaged_3d, "3D_avg", "ITBB"},        {Aggregation::merged_3d, "3D_comb", "IAZD"},
};

[[noreturn]] void wrong(const std::string& name, const std::string& must, const std::string& is) {
  throw InvalidArgument("setting \"" + name + "\" must be " + must + "; it is " + is);
}

}  // namespace

std::string to_string(Aggregation aggregation) {
  for (const auto& entry : kWords)
    if (entry.value == aggregation) return entry.word;
  return "";
}

void from_string(const std::string& text, Aggregation& out) {
  std::string words;
  for (const auto& entry : kWords) {
    if (text == entry.word || text == entry.code) {
      out = entry.value;
      return;
    }
    words += std::string(words.empty() ? "" : ", ") + entry.word + " (" + entry.code + ")";
  }
  throw InvalidArgument("setting \"aggregation\": \"" + text + "\" is unknown; there are: " + words);
}

void Settings::validate() const {
  if (resample)
    for (double s : *resample)
      if (!(s >= 0) || !std::isfinite(s))
        wrong("resample", "spacings in mm (z, y, x), each positive, or 0 to keep that axis", std::to_string(s));
  if (!(mask_threshold > 0 && mask_threshold <= 1))
    wrong("mask_threshold", "in (0, 1]", std::to_string(mask_threshold));
  if (resegment && !((*resegment)[0] < (*resegment)[1]))
    wrong("resegment", "a range [low, high] with low < high",
          "[" + std::to_string((*resegment)[0]) + ", " + std::to_string((*resegment)[1]) + "]");
  if (outlier_sigma && !(*outlier_sigma > 0))
    wrong("outlier_sigma", "positive (IBSI: 3)", std::to_string(*outlier_sigma));
  if (!bin_width && !bin_count)
    wrong("bin_width", "set, or bin_count: texture needs bins", "unset, and so is bin_count");
  if (bin_count && *bin_count < 1) wrong("bin_count", "at least 1", std::to_string(*bin_count));
  if (bin_width && (!(*bin_width > 0) || !std::isfinite(*bin_width)))
    wrong("bin_width", "positive and finite", std::to_string(*bin_width));
  if (ivh_bin_count && *ivh_bin_count < 2) wrong("ivh_bin_count", "at least 2", std::to_string(*ivh_bin_count));
  if (ivh_bin_width && (!(*ivh_bin_width > 0) || !std::isfinite(*ivh_bin_width)))
    wrong("ivh_bin_width", "positive and finite", std::to_string(*ivh_bin_width));
  if (aggregation.empty()) wrong("aggregation", "at least one, such as \"3D_comb\"", "empty");
  std::set<Aggregation> seen;
  for (const auto& word : aggregation) {
    Aggregation value;
    from_string(word, value);
    if (!seen.insert(value).second)
      wrong("aggregation", "free of repetitions", "naming " + to_string(value) + " twice");
  }
  if (glcm_distances.empty()) wrong("glcm_distances", "at least one distance in voxels", "empty");
  for (int64_t d : glcm_distances)
    if (d < 1) wrong("glcm_distances", "whole numbers of voxels from 1 up", std::to_string(d));
  if (std::set<int64_t>(glcm_distances.begin(), glcm_distances.end()).size() != glcm_distances.size())
    wrong("glcm_distances", "free of repetitions", "naming one twice");
  chosen_families(*this);
}

}  // namespace vesalius::radiomics
