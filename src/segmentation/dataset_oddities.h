// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include <vesalius/segmentation/dataset.h>

/// What is odd about a case beside the others: a matter of judgement, so reported and never fatal.
namespace vesalius::segmentation::detail {

struct LabelTraits {
  double volume_mm3 = 0;
  std::vector<int64_t> components;  ///< voxels of each, largest first (26 neighbours)
};

struct CaseTraits {
  std::string id;
  Geometry geometry;
  std::string label_type;                 ///< as stored
  std::vector<std::string> header;        ///< what the reader found odd
  std::vector<double> deviation;          ///< standard deviation of each channel
  std::map<int64_t, LabelTraits> labels;  ///< without the background
  uint64_t label_hash = 0;
  double on_background = 0;      ///< share of the labelled voxels where every channel is at its minimum
  std::vector<float> signature;  ///< channel 0 in blocks, mean 0, length 1
};

CaseTraits case_traits(const DatasetCase& files, const LoadedCase& loaded);

/// @param cases those that can be used.
std::vector<Problem> oddities(const Dataset& dataset, const std::vector<const CaseTraits*>& cases);

/// Sizes of each label's components of touching voxels, largest first; 0 and negative numbers are left out.
std::map<int64_t, std::vector<int64_t>> component_sizes(const at::Tensor& labels);

}  // namespace vesalius::segmentation::detail
