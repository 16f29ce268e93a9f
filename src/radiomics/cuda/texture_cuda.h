// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include <vesalius/radiomics/detail/texture_threads_kernel.h>

namespace vesalius::radiomics {

// Launchers on `stream` (a cudaStream_t). All pointers are device memory; counts are zeroed before. Each returns nullptr, or
// CUDA's error text.

const char* launch_run_counts(const int32_t* levels, detail::VoxelBox box, const int64_t* offsets, int64_t directions,
                              int64_t n_levels, int64_t longest, bool per_slice, unsigned long long* counts,
                              void* stream);
const char* launch_zone_roots(const int32_t* levels, detail::VoxelBox box, bool in_slice, int32_t* parent,
                              int32_t* roots, void* stream);
/// Distances along `axis`, after those along the axes before it.
const char* launch_distance_lines(int32_t* distance, detail::VoxelBox box, int axis, void* stream);
const char* launch_neighbourhood_counts(const int32_t* levels, detail::VoxelBox box, int64_t n_levels, bool in_slice,
                                        bool per_slice, unsigned long long* counts, void* stream);

}  // namespace vesalius::radiomics
