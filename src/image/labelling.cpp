// SPDX-License-Identifier: Apache-2.0
#include "image/labelling.h"

#include <algorithm>
#include <numeric>

#include <ATen/ops/zeros.h>

#include <vesalius/core/error.h>

namespace vesalius::image::detail {
namespace {

/// A stretch of true voxels in a row.
struct Run {
  int32_t first, last;  // x, both inside
};

/// Union by the smaller index, so that a component's root is its first run; with path halving.
struct Forest {
  std::vector<int64_t> parent;
  int64_t root(int64_t i) {
    while (parent[i] != i) i = parent[i] = parent[parent[i]];
    return i;
  }
  void unite(int64_t a, int64_t b) {
    a = root(a), b = root(b);
    if (a != b) parent[std::max(a, b)] = std::min(a, b);
  }
};

struct Rows {
  std::vector<Run> runs;
  std::vector<int64_t> start;  // of each row in `runs`; one more at the end
};

Rows find_runs(const bool* voxels, int64_t rows, int64_t length) {
  Rows out;
  out.start.reserve(rows + 1);
  for (int64_t r = 0; r < rows; ++r) {
    out.start.push_back(static_cast<int64_t>(out.runs.size()));
    const bool* row = voxels + r * length;
    for (int64_t x = 0; x < length; ++x) {
      if (!row[x]) continue;
      const int64_t first = x;
      while (x + 1 < length && row[x + 1]) ++x;
      out.runs.push_back({static_cast<int32_t>(first), static_cast<int32_t>(x)});
    }
  }
  out.start.push_back(static_cast<int64_t>(out.runs.size()));
  return out;
}

/// Unites runs of two rows that overlap, or come within `reach` voxels of it.
void unite_rows(const Rows& rows, int64_t a, int64_t b, int32_t reach, Forest& forest) {
  int64_t i = rows.start[a], j = rows.start[b];
  while (i < rows.start[a + 1] && j < rows.start[b + 1]) {
    const Run &p = rows.runs[i], &q = rows.runs[j];
    if (p.first <= q.last + reach && q.first <= p.last + reach) forest.unite(i, j);
    (p.last < q.last ? i : j)++;
  }
}

}  // namespace

Labelling label_components(const at::Tensor& chosen, int64_t connectivity, bool planar) {
  if (connectivity != 6 && connectivity != 18 && connectivity != 26)
    throw InvalidArgument("connectivity is 6 (faces), 18 (edges too) or 26 (corners too); got " +
                          std::to_string(connectivity));
  const at::Tensor voxels = chosen.to(at::kBool).cpu().contiguous();
  const int64_t nz = voxels.size(0), ny = voxels.size(1), nx = voxels.size(2);
  const Rows rows = find_runs(voxels.const_data_ptr<bool>(), nz * ny, nx);

  Forest forest;
  forest.parent.resize(rows.runs.size());
  std::iota(forest.parent.begin(), forest.parent.end(), 0);
  const int32_t edge = connectivity >= 18 ? 1 : 0, corner = connectivity == 26 ? 1 : 0;
  for (int64_t z = 0; z < nz; ++z)
    for (int64_t y = 0; y < ny; ++y) {
      const int64_t row = z * ny + y;
      if (rows.start[row] == rows.start[row + 1]) continue;
      if (y > 0) unite_rows(rows, row, row - 1, edge, forest);
      if (z == 0 || planar) continue;
      unite_rows(rows, row, row - ny, edge, forest);
      if (edge == 0) continue;
      if (y > 0) unite_rows(rows, row, row - ny - 1, corner, forest);
      if (y + 1 < ny) unite_rows(rows, row, row - ny + 1, corner, forest);
    }

  const auto count = static_cast<int64_t>(rows.runs.size());
  std::vector<int64_t> size(count, 0), roots;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t root = forest.root(i);
    if (root == i) roots.push_back(i);
    size[root] += rows.runs[i].last - rows.runs[i].first + 1;
  }
  std::stable_sort(roots.begin(), roots.end(), [&](int64_t a, int64_t b) { return size[a] > size[b]; });
  std::vector<int32_t> rank(count, 0);
  Labelling out;
  for (const int64_t root : roots) {
    out.sizes.push_back(size[root]);
    rank[root] = static_cast<int32_t>(out.sizes.size());
  }
  out.labels = at::zeros({nz, ny, nx}, at::kInt);
  int32_t* labels = out.labels.mutable_data_ptr<int32_t>();
  for (int64_t row = 0; row < nz * ny; ++row)
    for (int64_t i = rows.start[row]; i < rows.start[row + 1]; ++i)
      std::fill(labels + row * nx + rows.runs[i].first, labels + row * nx + rows.runs[i].last + 1,
                rank[forest.root(i)]);
  return out;
}

}  // namespace vesalius::image::detail
