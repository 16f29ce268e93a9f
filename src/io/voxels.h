// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <map>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include <vesalius/core/geometry.h>
#include <vesalius/core/image.h>

#include "io/source.h"

namespace vesalius::io::detail {

/// A voxel's type as files have it.
enum class Element { u8, i8, u16, i16, u32, i32, u64, i64, f32, f64, c64, c128 };
int64_t bytes_of(Element element);
const char* name_of(Element element);

/// What a header says of the voxels that follow it.
struct Layout {
  Element element = Element::u8;
  bool swap = false;         ///< stored in the other byte order
  Index3 size{1, 1, 1};      ///< (z, y, x)
  int64_t interleaved = 1;   ///< values a voxel, fastest (RGB RGB …)
  int64_t volumes = 1;       ///< whole volumes one after the other, slowest
  bool has_volumes = false;  ///< keep the channel dimension even if it is 1

  /// -1 if that overflows.
  int64_t values() const;
  int64_t bytes() const;
};

/// A file's header, checked.
struct Header {
  std::string format;
  Layout layout;
  Geometry geometry;
  Metadata metadata;
  std::vector<std::string> problems;
  double slope = 1, intercept = 0;  ///< applied where not 1 and 0
  std::map<int64_t, std::string> labels;
  // Where the voxels are and how.
  std::string data_path;
  enum class Encoding { raw, deflate, ascii, hex } encoding = Encoding::raw;
  int64_t offset = 0;  ///< bytes before the voxels; in the inflated stream if `whole_compressed`
  int64_t data_end = -1;
  bool whole_compressed = false;  ///< header and voxels are one gzip stream
  int64_t skip_inflated = 0;      ///< bytes to skip after inflating; -1: the voxels are the last bytes

  std::vector<int64_t> shape() const;
};

/// Reads what `header` describes: one pass, checksums checked, memory taken only after the file's size allows it.
/// The voxels have the shape `header.shape()`.
at::Tensor load_voxels(const Header& header);

/// `raw` as stored → a type torch computes with: u16 → int32, u32 → int64, u64 → int64 (refused past its range).
at::Tensor usable(const at::Tensor& stored, Element element, const std::string& path);
at::Tensor stored_tensor(const Layout& layout, const std::string& path);
void swap_bytes(void* data, int64_t values, int64_t size);
/// Channel first, contiguous.
at::Tensor arranged(const at::Tensor& flat, const Layout& layout);
/// slope · v + intercept, in float64, kept as float32 for what has 16 bits at most or is float32.
at::Tensor rescaled(const at::Tensor& voxels, Element element, double slope, double intercept);

/// The one place where files' (x, y, z) order becomes ours. `axes[i]` is the step in LPS mm (x, y, z) of index axis i
/// (x, y, z). @throws GeometryError naming `path`: not finite, singular, sheared.
Geometry geometry_from_steps(const std::array<std::array<double, 3>, 3>& axes_xyz,
                             const std::array<double, 3>& origin_xyz, const Index3& size_zyx, const std::string& path);
/// The reverse, for writers: steps of the index axes x, y, z in LPS mm (x, y, z).
std::array<std::array<double, 3>, 3> steps_of(const Geometry& geometry);
std::array<double, 3> origin_xyz_of(const Geometry& geometry);

/// "…; …" into metadata["problems"], and format and path beside it.
Metadata finished_metadata(const Header& header, const std::string& path);

// One for each format (nifti.cpp, nrrd.cpp, metaimage.cpp).
bool looks_like_nifti(const std::vector<uint8_t>& head);
Header read_nifti_header(const FileSource& file);
bool looks_like_nrrd(const std::vector<uint8_t>& head);
Header read_nrrd_header(const FileSource& file);
bool looks_like_metaimage(const std::vector<uint8_t>& head);
Header read_metaimage_header(const FileSource& file);

}  // namespace vesalius::io::detail
