// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>

#include <ATen/core/Tensor.h>

#include <vesalius/core/export.h>
#include <vesalius/core/geometry.h>

namespace vesalius {

/// What is known of an image besides its voxels, by name: "modality" (CT, MR, PT, US, …), "units"
/// (HU, SUVbw, …), "path", and whatever a reader adds.
using Metadata = std::map<std::string, std::string>;

/// Voxels with their place in the patient.
///
/// `tensor` is `[z, y, x]` or `[c, z, y, x]`, of any type, on any device; 2D is `z == 1`. Copies share
/// the voxels, as tensors do.
class VESALIUS_API Image {
 public:
  Image() = default;
  /// @throws ShapeError unless the last three sizes are the geometry's; GeometryError if that is invalid.
  Image(at::Tensor tensor, Geometry geometry, Metadata metadata = {});
  virtual ~Image() = default;
  Image(const Image&) = default;
  Image& operator=(const Image&) = default;
  Image(Image&&) = default;
  Image& operator=(Image&&) = default;

  const at::Tensor& tensor() const { return tensor_; }
  const Geometry& geometry() const { return geometry_; }
  const Metadata& metadata() const { return metadata_; }
  Metadata& metadata() { return metadata_; }

  /// 1 for `[z, y, x]`.
  int64_t channels() const;
  /// The same place and metadata with other voxels of the same size.
  Image with_tensor(at::Tensor tensor) const;
  /// @param device as torch spells it: "cpu", "cuda", "cuda:1".
  Image to(const std::string& device) const;

 protected:
  at::Tensor tensor_;
  Geometry geometry_;
  Metadata metadata_;
};

/// The part of `image` of `count` voxels from `start`; a view of the same voxels.
/// @throws InvalidArgument if it reaches outside.
VESALIUS_API Image crop(const Image& image, const Index3& start, const Index3& count);

/// `image` with `before` and `after` voxels of `value` added on each side of each axis.
VESALIUS_API Image pad(const Image& image, const Index3& before, const Index3& after, double value = 0.0);

/// Axes permuted and flipped so that x, y, z run towards the named sides ("LPS" is DICOM's and ITK's
/// order, "RAS" nibabel's), as nearly as the direction allows; no voxel is resampled and each keeps its
/// physical point. @param orientation three letters, one each of L/R, P/A, S/I, for x, y, z.
VESALIUS_API Image reorient(const Image& image, const std::string& orientation);

/// The letters that `reorient` would need to leave the image as it is, for example "LPS".
VESALIUS_API std::string orientation_of(const Geometry& geometry);

}  // namespace vesalius
