// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include <vesalius/core/export.h>
#include <vesalius/core/image.h>
#include <vesalius/core/mask.h>

namespace vesalius::io {

/// Writes by the path's extension: .nii, .nii.gz (spacing, origin and direction as float32, which is all that NIfTI-1
/// has), .nrrd, .mha (as float64, exactly), and .png, .tif, .tiff for 2D (which keep no place in the patient).
///
/// The file appears whole or not at all: a temporary file in the same folder, fsync, rename. What was at `path` before
/// stays until then.
/// @throws IoError that names the path (no such folder, no permission, disk full), InvalidArgument for an extension
///   not listed, TypeMismatch for a voxel type the format can't hold.
VESALIUS_API void write_image(const Image& image, const std::string& path);
/// The same for labels; label names are kept in .nrrd and .mha.
VESALIUS_API void write_mask(const Mask& mask, const std::string& path);

}  // namespace vesalius::io
