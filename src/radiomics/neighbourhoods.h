// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "radiomics/size_matrix.h"

namespace vesalius::radiomics {

/// For each level that occurs in a voxel with a neighbour: how often (n_i, as the share p_i), and Σ |i - mean of the
/// neighbours| (s_i). N_{v,c} is the number of such voxels (IBSI 1, section 3.10).
struct Ngtdm {
  struct Level {
    double i, n, s, p;
  };
  std::vector<Level> levels;
  double n_vc = 0, sum_s = 0;
};

/// What one look at each voxel's neighbours gives two families: grey tone differences, and the number of neighbours of the
/// same level (distance 1, α = 0; section 3.11).
struct NeighbourMatrices {
  std::vector<Ngtdm> tones;
  std::vector<SizeMatrix> dependences;
};
/// For 2D one matrix a slice, for 2.5D (slices added) and 3D one.
const NeighbourMatrices& neighbour_matrices(const Roi& roi, const Variant& variant);

}  // namespace vesalius::radiomics
