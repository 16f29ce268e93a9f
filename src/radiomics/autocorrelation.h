// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

#include <vesalius/core/geometry.h>

namespace vesalius::radiomics {

/// The double sums over pairs of voxels k1 ≠ k2 of the mask, weighted by 1 / distance in mm, that Moran's I and Geary's
/// C are made of (IBSI 1, sections 3.1.28 and 3.1.29).
struct PairSums {
  double weights = 0;      ///< Σ w
  double products = 0;     ///< Σ w (x1 - μ)(x2 - μ)
  double differences = 0;  ///< Σ w (x1 - x2)²
};

/// Exact, by FFT over the box: O(n log n) in its voxels. `centred` is float64 `[z, y, x]` with the mean taken off and 0
/// outside the mask; `mask` float64 0 or 1.
PairSums pair_sums(const at::Tensor& centred, const at::Tensor& mask, const Vec3& spacing);

}  // namespace vesalius::radiomics
