// SPDX-License-Identifier: Apache-2.0
// Torch-free: nvcc sees the kernel header and the CUDA runtime only. The bodies are those of the CPU's loops.
#include "radiomics/cuda/texture_cuda.h"

#include <cuda_runtime.h>

namespace vesalius::radiomics {
namespace {

constexpr int kThreads = 256;
using Count = unsigned long long;

__device__ int64_t first_thread() { return static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; }
__device__ int64_t all_threads() { return static_cast<int64_t>(gridDim.x) * blockDim.x; }

unsigned blocks_for(int64_t work) {
  const int64_t blocks = (work + kThreads - 1) / kThreads;
  return static_cast<unsigned>(blocks < 1 ? 1 : blocks > 65535 ? 65535 : blocks);
}
const char* last_error() {
  const cudaError_t error = cudaGetLastError();
  return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
}

/// A direction a blockIdx.y.
__global__ void run_kernel(const int32_t* levels, detail::VoxelBox box, const int64_t* offsets, int64_t n_levels,
                           int64_t longest, bool per_slice, Count* counts) {
  const int64_t slice = box.size[1] * box.size[2], cells = n_levels * longest;
  for (int64_t v = first_thread(); v < box.voxels(); v += all_threads()) {
    Count* matrix = counts + ((per_slice ? v / slice : 0) * gridDim.y + blockIdx.y) * cells;
    detail::count_run(levels, box, offsets + 3 * blockIdx.y, longest, v,
                      [&](int64_t cell) { atomicAdd(matrix + cell, Count{1}); });
  }
}

__global__ void start_zones(detail::VoxelBox box, int32_t* parent) {
  for (int64_t v = first_thread(); v < box.voxels(); v += all_threads()) parent[v] = static_cast<int32_t>(v);
}
__global__ void join_zones(const int32_t* levels, detail::VoxelBox box, bool in_slice, int32_t* parent) {
  for (int64_t v = first_thread(); v < box.voxels(); v += all_threads())
    detail::join_zone(levels, box, in_slice, static_cast<int32_t>(v), parent,
                      [](int32_t* at, int32_t value) { return atomicMin(at, value); });
}
/// Into other memory than the forest's: threads beside this one still read that.
__global__ void find_roots(const int32_t* levels, detail::VoxelBox box, const int32_t* parent, int32_t* roots) {
  for (int64_t v = first_thread(); v < box.voxels(); v += all_threads())
    roots[v] = levels[v] ? detail::zone_root(parent, static_cast<int32_t>(v)) : -1;
}

/// A line a thread.
__global__ void distance_kernel(int32_t* distance, detail::VoxelBox box, int axis, int64_t lines) {
  for (int64_t i = first_thread(); i < lines; i += all_threads()) {
    const detail::Line line = detail::line_of(box, axis, i);
    detail::distance_line(distance, line.start, line.stride, line.count);
  }
}

__global__ void neighbourhood_kernel(const int32_t* levels, detail::VoxelBox box, int64_t n_levels, bool in_slice,
                                     bool per_slice, Count* counts) {
  const int64_t slice = box.size[1] * box.size[2];
  for (int64_t v = first_thread(); v < box.voxels(); v += all_threads()) {
    Count* table = counts + (per_slice ? v / slice : 0) * n_levels * 81;
    detail::count_neighbourhood(levels, box, in_slice, v, [&](int64_t cell, int64_t n) {
      if (n != 0) atomicAdd(table + cell, static_cast<Count>(n));
    });
  }
}

}  // namespace

const char* launch_run_counts(const int32_t* levels, detail::VoxelBox box, const int64_t* offsets, int64_t directions,
                              int64_t n_levels, int64_t longest, bool per_slice, unsigned long long* counts,
                              void* stream) {
  const dim3 grid(blocks_for(box.voxels()), static_cast<unsigned>(directions));
  run_kernel<<<grid, kThreads, 0, static_cast<cudaStream_t>(stream)>>>(levels, box, offsets, n_levels, longest,
                                                                       per_slice, counts);
  return last_error();
}

const char* launch_zone_roots(const int32_t* levels, detail::VoxelBox box, bool in_slice, int32_t* parent,
                              int32_t* roots, void* stream) {
  const unsigned blocks = blocks_for(box.voxels());
  const auto queue = static_cast<cudaStream_t>(stream);
  start_zones<<<blocks, kThreads, 0, queue>>>(box, parent);
  join_zones<<<blocks, kThreads, 0, queue>>>(levels, box, in_slice, parent);
  find_roots<<<blocks, kThreads, 0, queue>>>(levels, box, parent, roots);
  return last_error();
}

const char* launch_distance_lines(int32_t* distance, detail::VoxelBox box, int axis, void* stream) {
  const int64_t lines = box.voxels() / box.size[axis];
  distance_kernel<<<blocks_for(lines), kThreads, 0, static_cast<cudaStream_t>(stream)>>>(distance, box, axis, lines);
  return last_error();
}

const char* launch_neighbourhood_counts(const int32_t* levels, detail::VoxelBox box, int64_t n_levels, bool in_slice,
                                        bool per_slice, unsigned long long* counts, void* stream) {
  neighbourhood_kernel<<<blocks_for(box.voxels()), kThreads, 0, static_cast<cudaStream_t>(stream)>>>(
      levels, box, n_levels, in_slice, per_slice, counts);
  return last_error();
}

}  // namespace vesalius::radiomics
