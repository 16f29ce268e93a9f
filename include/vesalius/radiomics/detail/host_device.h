// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Kernel headers are compiled for the CPU by g++ and for CUDA by nvcc; they include no torch header.
#ifdef __CUDACC__
#define VESALIUS_HOST_DEVICE __host__ __device__ __forceinline__
#else
#define VESALIUS_HOST_DEVICE inline
#endif
