// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <vesalius/core/image.h>

namespace vesalius {

/// An image of integer labels `[z, y, x]`; 0 is background. Labels may have names ("femur").
class VESALIUS_API Mask : public Image {
 public:
  Mask() = default;
  /// Booleans become uint8. @throws TypeMismatch for a floating-point tensor, ShapeError for channels.
  Mask(at::Tensor labels, Geometry geometry, std::map<int64_t, std::string> names = {}, Metadata metadata = {});
  /// The labels of an image that was stored as floats; each voxel must be a whole number.
  /// @throws TypeMismatch with the first value that is not.
  static Mask from_image(const Image& image, std::map<int64_t, std::string> names = {});

  const std::map<int64_t, std::string>& names() const { return names_; }
  std::map<int64_t, std::string>& names() { return names_; }

  /// The labels present, ascending, without 0.
  std::vector<int64_t> labels() const;
  /// Voxels equal to `label`, as a bool tensor `[z, y, x]`.
  /// @throws InvalidArgument that lists the labels present, if there is no such voxel.
  at::Tensor select(int64_t label) const;
  /// The label of a name. @throws InvalidArgument that lists the names.
  int64_t label_of(const std::string& name) const;
  Mask to(const std::string& device) const;

 private:
  std::map<int64_t, std::string> names_;
};

/// Views and reorderings of a mask, as for an image; label names stay.
VESALIUS_API Mask crop(const Mask& mask, const Index3& start, const Index3& count);
VESALIUS_API Mask pad(const Mask& mask, const Index3& before, const Index3& after);
VESALIUS_API Mask reorient(const Mask& mask, const std::string& orientation);

}  // namespace vesalius
