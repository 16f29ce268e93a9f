// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include <ATen/core/Tensor.h>

namespace vesalius::segmentation::detail {

/// numpy's .npy of float32, int16 or int32; written whole or not at all.
void write_npy(const std::string& path, const at::Tensor& tensor);
/// The file's voxels mapped into memory; writing to them changes no file.
/// @throws IoError; FormatError for another type, order, or size than the header says.
at::Tensor map_npy(const std::string& path);

}  // namespace vesalius::segmentation::detail
