// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include <vesalius/core/image.h>
#include <vesalius/core/mask.h>
#include <vesalius/core/monitor.h>
#include <vesalius/segmentation/planner.h>

namespace vesalius::segmentation {

/// What decides how a case is prepared, and how a result finds its way back. Made from plans, or read from a bundle.
struct VESALIUS_API PreprocessPlan {
  std::array<int64_t, 3> transpose_forward{0, 1, 2};
  std::vector<double> spacing;               ///< mm after transposition; 2 numbers for a 2D network, 3 else
  std::vector<Normalisation> normalisation;  ///< a channel each
  std::vector<bool> use_mask_for_norm;
  std::vector<ChannelStatistics> channels;

  PreprocessPlan() = default;
  PreprocessPlan(const Plans& plans, const std::string& configuration);
  std::array<int64_t, 3> transpose_backward() const;
};

/// How one image was prepared: what `restore_*` needs.
struct VESALIUS_API PreprocessTrace {
  Geometry geometry;  ///< of the image as given
  std::array<int64_t, 3> transpose{0, 1, 2};
  Index3 shape_before_crop{};         ///< transposed
  Index3 crop_start{}, crop_shape{};  ///< transposed: the nonzero box
  Index3 shape{};                     ///< after resampling
  Vec3 spacing{}, new_spacing{};      ///< transposed

  /// @throws InvalidArgument where its parts don't fit together: a trace may come from a file, and `restore_*` writes by it.
  void validate() const;
};

struct Preprocessed {
  at::Tensor image;   ///< float32 [c, z, y, x] on the CPU
  at::Tensor labels;  ///< int16 [z, y, x]; -1 outside the nonzero mask; undefined where no labels were given
  PreprocessTrace trace;
};

/// Transpose → crop to nonzero → normalise → resample, as nnU-Net v2's DefaultPreprocessor.
/// @param labels int16 [z, y, x] on the image's grid, or undefined.
/// @throws InvalidArgument for another number of channels, for NaN or infinite voxels; ShapeError.
VESALIUS_API Preprocessed preprocess_image(const Image& image, const PreprocessPlan& plan,
                                           const at::Tensor& labels = {});

/// A part of the network's output on the grid of the cropped image: rows `first` … `first + count - 1` along axis 0.
/// Linear in-plane; nearest along the axis of low resolution where the grids are anisotropic (nnU-Net's rule). Memory is
/// what the slab needs. @param logits float [k, z, y, x] of `trace.shape`. @returns float32 [k, count, y, x].
VESALIUS_API at::Tensor resample_logits_slab(const at::Tensor& logits, const PreprocessTrace& trace, int64_t first,
                                             int64_t count);

/// Labels on the geometry of the image as given, from logits of `trace.shape`, slab by slab: resampled linearly, argmax
/// (or, for regions, logit > 0 painted in `regions_class_order`), put back into the box, transposed back.
/// @returns uint8, or int16 where a number above 255 occurs.
VESALIUS_API Mask restore_labels(const at::Tensor& logits, const PreprocessTrace& trace, const LabelSet& labels);
/// Probabilities (softmax, or sigmoid for regions) float32 [k, z, y, x] on the geometry as given; outside the box the
/// background's are 1 and the others' 0.
VESALIUS_API Image restore_probabilities(const at::Tensor& logits, const PreprocessTrace& trace,
                                         const LabelSet& labels);

/// The rule of nnU-Net's resampling: the axis to treat by itself, or -1.
VESALIUS_API int64_t separate_axis(const Vec3& spacing, const Vec3& new_spacing);
/// round(shape · spacing / new_spacing), halves to even.
VESALIUS_API Index3 resampled_shape(const Index3& shape, const Vec3& spacing, const Vec3& new_spacing);

/// Resampling by nnU-Net's rules. `image` [c, z, y, x] float; order 3 or 1. @returns float32.
VESALIUS_API at::Tensor resample_image_to(const at::Tensor& image, const Index3& shape, int64_t order,
                                          int64_t separate_axis);
/// Of labels int16 [z, y, x]: each one's indicator linearly, the largest wins (of equal ones the nearest voxel's label, as in
/// batchgenerators 0.25.5, which nnunetv2 2.8 resamples with); nearest along `separate_axis`.
VESALIUS_API at::Tensor resample_labels_to(const at::Tensor& labels, const Index3& shape, int64_t separate_axis);

/// Voxels of each class to sample patches from: min(10000, n), but at least 1 % of the class, without replacement, numpy's
/// RandomState(1234) as in nnU-Net.
struct ForegroundLocations {
  std::vector<std::vector<int64_t>> classes;  ///< the numbers of each class or region (with -1: all that is annotated)
  std::vector<at::Tensor> voxels;             ///< int32 [n, 3] (z, y, x), a class each
};
VESALIUS_API ForegroundLocations foreground_locations(const at::Tensor& labels, const LabelSet& set);

/// A preprocessed case on disk: `<id>.image.npy`, `<id>.labels.npy`, `<id>.locations.npy` and, last, `<id>.json`: a case
/// is there when its JSON is. Each file is written beside its place and renamed.
struct VESALIUS_API CachedCase {
  std::string id;
  at::Tensor image;   ///< float32 [c, z, y, x], mapped from the file: read-only
  at::Tensor labels;  ///< int16 [z, y, x], mapped
  ForegroundLocations locations;
  PreprocessTrace trace;

  static bool exists(const std::string& folder, const std::string& id);
  static void save(const std::string& folder, const std::string& id, const Preprocessed& data,
                   const ForegroundLocations& locations);
  /// @throws IoError; FormatError for files that don't fit together.
  static CachedCase open(const std::string& folder, const std::string& id);
};

/// Prepares the cases that aren't in `folder` yet. @returns how many were made.
/// A folder made with another plan is emptied first.
VESALIUS_API int64_t preprocess_dataset(const Dataset& dataset, const PreprocessPlan& plan, const std::string& folder,
                                        int64_t jobs = 0, Monitor* monitor = nullptr);

}  // namespace vesalius::segmentation
