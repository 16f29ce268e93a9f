// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include <vesalius/core/geometry.h>

namespace vesalius::radiomics {

/// The double sums over pairs of voxels k1 ≠ k2 of the mask, weighted by 1 / distance in mm, that Moran's I and Geary's
/// C are made of (IBSI 1, sections 3.1.28 and 3.1.29).
struct PairSums {
  double weights = 0;      ///< Σ w
  double products = 0;     ///< Σ w (x1 - μ)(x2 - μ)
  double differences = 0;  ///< Σ w (x1 - x2)²
};

/// Exact, by Fourier transform over the box: O(n log n) in its voxels. `voxels` and `mask` are `[z, y, x]` of `size`; what lies
/// outside the mask isn't looked at. Takes up to `memory` bytes beyond the few planes that it must have.
PairSums pair_sums(const double* voxels, const bool* mask, const Index3& size, double mean, const Vec3& spacing,
                   int64_t memory);

}  // namespace vesalius::radiomics
