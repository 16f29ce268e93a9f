// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include "io/dicom_file.h"
#include "io/voxels.h"

namespace vesalius::io::detail {

/// How a DICOM file's pixels are stored (PS3.3 C.7.6.3).
struct PixelFormat {
  int64_t rows = 0, columns = 0, frames = 1, samples = 1;
  int64_t allocated = 0, stored = 0, high = 0;
  bool is_signed = false, planar = false;
  std::string photometric;
  Element element = Element::u16;  ///< after masking and sign extension
  double low = 0, top = 0;         ///< range that stored values can have

  int64_t frame_values() const { return rows * columns * samples; }
};

/// @throws FormatError, NotSupported. Sizes are checked against the file's bytes.
PixelFormat pixel_format(const DicomFile& file);

/// All frames: `[frames, rows, columns, samples]` as stored integers (int32, or uint8 for 8 bits) or floats; RGB for colours.
at::Tensor decode_frames(const DicomFile& file, const PixelFormat& format);

}  // namespace vesalius::io::detail
