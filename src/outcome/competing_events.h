// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include <ATen/core/Tensor.h>

namespace vesalius::outcome {

/// 0 (censored) to `causes`, checked.
std::vector<int64_t> competing_kinds(const at::Tensor& cause, int64_t causes);

}  // namespace vesalius::outcome
