// SPDX-License-Identifier: Apache-2.0
// Torch-free: nvcc sees the kernel header and the CUDA runtime only.
#include "radiomics/cuda/glcm_cuda.h"

#include <cuda_runtime.h>

namespace vesalius::radiomics {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kSharedCells = 48 * 1024 / sizeof(unsigned int);  // what every GPU offers without asking

__device__ int64_t position_of(const detail::PaddedBox& box, int64_t voxel) {
  const int64_t x = voxel % box.size[2], rest = voxel / box.size[2];
  return box.position(rest / box.size[1], rest % box.size[1], x);
}

/// One direction a blockIdx.y; a grid-stride loop over the voxels. With few levels each block counts in shared memory
/// first: co-occurrence is so concentrated that global atomics would queue on a few cells.
template <bool kShared>
__global__ void count(const int32_t* levels, detail::PaddedBox box, const int64_t* steps, const int64_t* matrices,
                      int64_t n_levels, unsigned long long* counts) {
  extern __shared__ unsigned int histogram[];
  const int64_t cells = n_levels * n_levels;
  unsigned long long* matrix = counts + matrices[blockIdx.y] * cells;
  const int64_t step = steps[blockIdx.y];
  if constexpr (kShared) {
    for (int64_t c = threadIdx.x; c < cells; c += blockDim.x) histogram[c] = 0;
    __syncthreads();
  }
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t v = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; v < box.voxels(); v += stride)
    detail::glcm_count_pair(levels, position_of(box, v), step, n_levels, [&](int64_t cell) {
      if constexpr (kShared)
        atomicAdd(histogram + cell, 1u);
      else
        atomicAdd(matrix + cell, 1ull);
    });
  if constexpr (kShared) {
    __syncthreads();
    for (int64_t c = threadIdx.x; c < cells; c += blockDim.x)
      if (histogram[c]) atomicAdd(matrix + c, static_cast<unsigned long long>(histogram[c]));
  }
}

}  // namespace

const char* launch_glcm_counts(const int32_t* levels, detail::PaddedBox box, const int64_t* steps,
                               const int64_t* matrices, int64_t directions, int64_t n_levels,
                               unsigned long long* counts, void* stream) {
  const int64_t blocks = (box.voxels() + kThreads - 1) / kThreads;
  // Each block clears and empties its histogram: let it see many voxels.
  const dim3 grid(static_cast<unsigned>(blocks < 256 ? blocks : 256), static_cast<unsigned>(directions));
  const auto queue = static_cast<cudaStream_t>(stream);
  const int64_t cells = n_levels * n_levels;
  if (cells <= kSharedCells)
    count<true>
        <<<grid, kThreads, cells * sizeof(unsigned int), queue>>>(levels, box, steps, matrices, n_levels, counts);
  else
    count<false><<<grid, kThreads, 0, queue>>>(levels, box, steps, matrices, n_levels, counts);
  const cudaError_t error = cudaGetLastError();
  return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
}

}  // namespace vesalius::radiomics
