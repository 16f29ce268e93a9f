// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "io/voxels.h"

/// 2D pictures: PNG and TIFF by ITK, after their structure was checked here; JPEG by libjpeg.
namespace vesalius::io::detail {

bool looks_like_picture(const std::vector<uint8_t>& head);
/// The header; `voxels`, if given, receives the pixels as Header::shape() says.
Header read_picture(const FileSource& file, at::Tensor* voxels);

Header read_jpeg(const FileSource& file, at::Tensor* voxels);

/// uint8 (grey or 3 or 4 channels), or whole numbers up to 65535 as 16 bits.
void write_png(const at::Tensor& voxels, const std::string& path);
/// Any real type but 64-bit integers; uncompressed.
void write_tiff(const at::Tensor& voxels, const std::string& path);

}  // namespace vesalius::io::detail
