// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include <vesalius/core/export.h>

namespace vesalius {

/// Loads `libvesalius_cuda` (the CUDA kernels) once, from beside `libvesalius`.
/// @returns false where this build has none or torch has no CUDA; `cuda_status()` then says why.
VESALIUS_API bool load_cuda_kernels();
/// "available", or the reason why CUDA tensors are served by ATen compositions only.
VESALIUS_API std::string cuda_status();

}  // namespace vesalius
