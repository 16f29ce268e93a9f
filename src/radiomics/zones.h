// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "radiomics/size_matrix.h"

namespace vesalius::radiomics {

/// Connected zones of one level, by their size (IBSI 1, section 3.8) and by their distance to the border of the
/// morphological mask (3.9): one search serves both families.
struct ZoneMatrices {
  std::vector<SizeMatrix> sizes, distances;
};
/// For 2D one matrix a slice, for 2.5D (slices added) and 3D one.
const ZoneMatrices& zone_matrices(const Roi& roi, const Variant& variant);

}  // namespace vesalius::radiomics
