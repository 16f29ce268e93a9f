// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <ATen/core/Tensor.h>

#include <vesalius/core/image.h>
#include <vesalius/core/mask.h>
#include <vesalius/radiomics/detail/level_box.h>
#include <vesalius/radiomics/detail/statistics_kernel.h>
#include <vesalius/radiomics/settings.h>

namespace vesalius::radiomics {

/// The box of voxels `[start, start + count)`.
struct Box {
  Index3 start{};
  Index3 count{};
};
/// The smallest box that holds the voxels equal to `label`; nothing if there are none.
std::optional<Box> box_of(const at::Tensor& labels, int64_t label);

/// Levels 1..n in the intensity mask and 0 outside.
struct Levels {
  std::variant<detail::PaddedVolume<uint8_t>, detail::PaddedVolume<uint16_t>, detail::PaddedVolume<uint32_t>> volume;
  std::vector<detail::RowRange> ranges;  ///< [z, y]
  Index3 size{};
  int64_t n = 0;                  ///< N_g: the highest level (fixed bin size) or the number of bins
  int64_t voxels = 0;             ///< of the intensity mask
  std::vector<int64_t> counts;    ///< [n + 1]: of each level; none of level 0
  std::vector<int64_t> of_slice;  ///< [z]: voxels of the intensity mask

  /// Calls `use(LevelBox<T>)` with the type that the levels are kept in.
  template <class Use>
  decltype(auto) visit(const Use& use) const {
    return std::visit(
        [&]<class T>(const detail::PaddedVolume<T>& v) {
          return use(detail::LevelBox<T>{size[0], size[1], size[2], v.row(), v.slice(), v.first(), ranges.data(), n});
        },
        volume);
  }
  /// int32 [z, y, x], on the CPU: for kernels on another device.
  at::Tensor tensor() const;
};

/// A part of the image on the settings' grid that several regions of one image share; empty if `voxels` is undefined.
struct SharedGrid {
  Box box;            ///< on the new grid
  at::Tensor voxels;  ///< float64 [z, y, x], CPU, contiguous: interpolated and rounded
};
/// The part of `image` on the settings' grid that `boxes` (of the image) and `margin` mm around them need; empty without
/// interpolation, and where the boxes one by one would need less.
SharedGrid share_grid(const Image& image, const Settings& settings, const std::vector<Box>& boxes, double margin,
                      int64_t channel);

/// The image around a region.
struct Surroundings {
  at::Tensor voxels;  ///< float64 [z, y, x], CPU, contiguous; processed like the region's. May hold NaN
  Index3 inner{};     ///< where the region's box starts in it
};

/// A region ready for features: cropped, interpolated, re-segmented. What several families need is made once,
/// when first asked for; several threads may use a Roi.
class Roi {
 public:
  /// Processing in IBSI's order. Throws as `extract` does.
  /// @param box of the label, where it is known: else the mask is searched.
  /// @param shared what regions of one image share; it must outlive the Roi.
  Roi(const Image& image, const Mask& mask, const Settings& settings, int64_t label, int64_t channel,
      const Box* box = nullptr, const SharedGrid* shared = nullptr);

  const Settings& settings() const { return settings_; }
  at::Device device() const { return device_; }                         ///< the image's: counting kernels may run there
  const Geometry& geometry() const { return geometry_; }                ///< of the box
  const at::Tensor& intensities() const { return intensities_; }        ///< float64 [z, y, x], CPU, contiguous
  const at::Tensor& morphological() const { return morphological_; }    ///< bool, CPU, contiguous
  const at::Tensor& intensity_mask() const { return intensity_mask_; }  ///< bool, CPU, contiguous
  const std::vector<double>& voxels() const { return voxels_; }         ///< X_gl: intensities in the intensity mask
  int64_t morphological_voxels() const { return morphological_voxels_; }
  const std::vector<detail::RowRange>& ranges() const { return ranges_; }  ///< [z, y], of the morphological mask
  const Levels& levels() const;
  /// Of `voxels()`.
  const detail::Distribution& distribution() const {
    return cached<detail::Distribution>("distribution", [&] { return detail::describe(voxels_); });
  }
  /// What several families or variants are made of: made once for each `key`, by the thread that asks first; others wait.
  template <class T, class Make>
  const T& cached(const std::string& key, const Make& make) const {
    Slot* slot;
    {
      const std::lock_guard lock(mutex_);
      slot = &cache_[key];
    }
    std::call_once(slot->made, [&] { slot->value = std::make_shared<T>(make()); });
    return *static_cast<const T*>(slot->value.get());
  }
  /// The image in the region's box and `margin` voxels around, as far as the image goes. Made on each call.
  Surroundings surroundings(const Index3& margin) const;

 private:
  void resegment();
  int64_t measure();
  Levels make_levels() const;
  at::Tensor intensities_in(const Box& box) const;
  Settings settings_;
  const SharedGrid* shared_;
  Geometry geometry_;
  at::Tensor whole_;                ///< the image, not processed
  Geometry whole_geometry_, grid_;  ///< of the image, before and after interpolation
  Box place_;                       ///< of the region on `grid_`
  at::Device device_;
  at::Tensor intensities_, morphological_, intensity_mask_;
  std::vector<double> voxels_;
  int64_t morphological_voxels_ = 0;
  std::vector<detail::RowRange> ranges_;
  struct Slot {
    std::once_flag made;
    std::shared_ptr<void> value;
  };
  mutable std::mutex mutex_;
  mutable std::map<std::string, Slot> cache_;
};

}  // namespace vesalius::radiomics
