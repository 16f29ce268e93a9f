// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include <vesalius/radiomics/detail/glcm_kernel.h>

namespace vesalius::radiomics {

/// Launches the counting on `stream` (a cudaStream_t). All pointers are device memory; `steps` and `matrices` (the index
/// of each direction's matrix) have `directions` entries; `counts` is zeroed. Returns nullptr, or CUDA's error text.
const char* launch_glcm_counts(const int32_t* levels, detail::PaddedBox box, const int64_t* steps,
                               const int64_t* matrices, int64_t directions, int64_t n_levels,
                               unsigned long long* counts, void* stream);

}  // namespace vesalius::radiomics
