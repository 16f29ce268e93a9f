// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include <vesalius/segmentation/augment.h>

namespace vesalius::segmentation::detail {

using Shape3 = std::array<int64_t, 3>;

/// Where each voxel of a patch comes from: source(i) = origin + Σ step[j] · i_j in the coordinates of the volume; voxels
/// outside lo ≤ p < hi don't exist.
struct Gather {
  bool copy = true;     ///< whole-number crop, perhaps mirrored
  bool planar = false;  ///< bilinear within slices
  Shape3 patch{}, lo{}, hi{};
  std::array<double, 3> origin{};
  std::array<std::array<double, 3>, 3> step{};
};

/// @param volume its size; @param start, shape the large patch in it; @param axes of the patch, 2 or 3.
Gather plan_gather(const Shape3& volume, const Shape3& start, const Shape3& shape, const Shape3& patch, int axes,
                   const transforms::Spatial& how);
/// All channels and label maps in one pass over the coordinates. Volumes are contiguous [z, y, x] of `volume`.
void gather(const Gather& plan, const Shape3& volume, const std::vector<const float*>& images,
            const std::vector<float*>& image_out, const std::vector<const int16_t*>& labels,
            const std::vector<int16_t*>& label_out, int16_t outside);

// In place on one channel of `shape`.
void add_noise(float* x, int64_t count, float sigma, uint64_t seed, int64_t first);
void blur(float* x, const Shape3& shape, const std::array<double, 3>& sigma);
void multiply(float* x, int64_t count, float factor);
void contrast(float* x, int64_t count, float factor);
void low_resolution(float* x, const Shape3& shape, const Shape3& coarse);
void gamma(float* x, int64_t count, float exponent, bool inverted);
/// Σ x · 0 is 0: no NaN, no infinity.
bool all_finite(const float* x, int64_t count);

void morphology(uint8_t* mask, const Shape3& shape, Morphology kind, double radius);
void remove_component(uint8_t* mask, const Shape3& shape, double choice, double limit);

/// round(n · scale), at least 1; halves to even.
int64_t coarse_size(int64_t n, double scale);
/// Index of the nearest voxel of `from` for each of `to` ("nearest-exact": ⌊(i + ½) · from / to⌋ in float32 as torch does).
std::vector<int64_t> nearest_index(int64_t from, int64_t to);

}  // namespace vesalius::segmentation::detail
