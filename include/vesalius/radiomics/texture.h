// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

#include <vesalius/core/export.h>

namespace vesalius::radiomics {

// What the texture families count, as torch operators (`torch.ops.vesalius.*`) for CPU and CUDA. Levels are int32
// `[z, y, x]`: 1..n_levels in the region, 0 outside. All results are whole numbers, and the same on both devices. The families
// use them for images on a GPU; on the CPU they count in passes of their own, which are quicker.
//
// All throw ShapeError and TypeMismatch for other tensors; InvalidArgument for levels beyond n_levels and for results of more
// than 2 GiB; NotSupported for CUDA tensors where this build has no kernels, and for 2³¹ voxels and more.

/// Runs of equal levels along each direction (IBSI 1, section 3.7): the operator `vesalius::run_counts`.
///
/// @param offsets int64 `[directions, 3]` in (z, y, x), on the CPU; within a slice (z = 0) if `per_slice`.
/// @returns int64 `[parts, directions, n_levels, longest]`: cell (i - 1, j - 1) has the runs of level i and length j;
///   `longest` is the box's longest side, `parts` the number of slices if `per_slice`, else 1.
VESALIUS_API at::Tensor run_counts(const at::Tensor& levels, const at::Tensor& offsets, int64_t n_levels,
                                   bool per_slice);

/// Zones of one level, connected through all 26 neighbours, or the 8 within a slice (IBSI 1, section 3.8): the operator
/// `vesalius::zone_roots`.
///
/// @returns int32 `[z, y, x]`: the lowest index (of the flattened box) of the voxel's zone; -1 outside the region.
VESALIUS_API at::Tensor zone_roots(const at::Tensor& levels, bool in_slice);

/// City-block distance to the nearest voxel outside the mask or the box, 1 at the border; within the slice if `in_slice`
/// (IBSI 1, section 3.9): the operator `vesalius::border_distance`.
///
/// @param mask bool `[z, y, x]`. @returns int32 `[z, y, x]`, 0 outside the mask.
VESALIUS_API at::Tensor border_distance(const at::Tensor& mask, bool in_slice);

/// What the 26 (or, if `in_slice`, 8) neighbours of each voxel are like, of which those in the region count (IBSI 1,
/// sections 3.10 and 3.11 with α = 0): the operator `vesalius::neighbourhood_counts`.
///
/// @returns int64 `[parts, n_levels, 3, 27]`. For level i: `[0, c]` voxels with c neighbours, `[1, c]` their Σ |i c - the sum
///   of the neighbours' levels| (whole, so that it is exact: the tone difference is this / c), `[2, d]` voxels with d neighbours
///   of level i. `parts` is the number of slices if `per_slice`, else 1.
VESALIUS_API at::Tensor neighbourhood_counts(const at::Tensor& levels, int64_t n_levels, bool in_slice, bool per_slice);

}  // namespace vesalius::radiomics
