// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>

#include "radiomics/roi.h"

namespace vesalius::radiomics {

/// The box of every label but 0, in one pass over the mask.
std::map<int64_t, Box> boxes_of(const at::Tensor& labels);
/// The same by reductions over the labelled voxels, on any device.
std::map<int64_t, Box> boxes_by_reduction(const at::Tensor& labels);

}  // namespace vesalius::radiomics
