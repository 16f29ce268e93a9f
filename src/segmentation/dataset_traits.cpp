// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <numeric>

#include <vesalius/core/error.h>
#include <vesalius/io/read.h>

#include "segmentation/dataset_oddities.h"

namespace vesalius::segmentation::detail {
namespace {

constexpr int64_t kBlocks = 12;  // of the signature, along each axis

struct Run {
  int64_t first, last, parent;
  int16_t label;
};

int64_t root_of(std::vector<Run>& runs, int64_t i) {
  while (runs[i].parent != i) i = runs[i].parent = runs[runs[i].parent].parent;
  return i;
}

void join(std::vector<Run>& runs, int64_t i, int64_t j) {
  const bool touch = runs[i].first <= runs[j].last + 1 && runs[j].first <= runs[i].last + 1;  // corners included
  if (!touch || runs[i].label != runs[j].label) return;
  const int64_t p = root_of(runs, i), q = root_of(runs, j);
  runs[std::max(p, q)].parent = std::min(p, q);
}

/// Joins runs of two rows that touch. Both rows are in ascending order.
void join_rows(std::vector<Run>& runs, std::array<int64_t, 2> a, std::array<int64_t, 2> b) {
  for (int64_t i = a[0], j = b[0]; i < a[1] && j < b[1];) {
    join(runs, i, j);
    if (runs[i].last == runs[j].last && i + 1 < a[1]) join(runs, i + 1, j);  // the next one touches by its corner
    runs[i].last < runs[j].last ? ++i : ++j;
  }
}

/// The edges of 12 blocks, the same from both ends, so that a mirrored image has the mirrored signature.
std::array<int64_t, kBlocks + 1> block_edges(int64_t n) {
  std::array<int64_t, kBlocks + 1> edges{};
  for (int64_t i = 0; i <= kBlocks; ++i)
    edges[i] = i <= kBlocks / 2 ? i * n / kBlocks : n - (kBlocks - i) * n / kBlocks;
  return edges;
}

std::vector<float> signature_of(const at::Tensor& channel) {
  const int64_t ny = channel.size(1), nx = channel.size(2);
  const auto ez = block_edges(channel.size(0)), ey = block_edges(ny), ex = block_edges(nx);
  const float* voxels = channel.const_data_ptr<float>();
  std::vector<float> out;
  for (int64_t a = 0; a < kBlocks; ++a)
    for (int64_t b = 0; b < kBlocks; ++b)
      for (int64_t c = 0; c < kBlocks; ++c) {
        double sum = 0;
        const int64_t count = (ez[a + 1] - ez[a]) * (ey[b + 1] - ey[b]) * (ex[c + 1] - ex[c]);
        for (int64_t z = ez[a]; z < ez[a + 1]; ++z)
          for (int64_t y = ey[b]; y < ey[b + 1]; ++y)
            for (int64_t x = ex[c]; x < ex[c + 1]; ++x) sum += voxels[(z * ny + y) * nx + x];
        out.push_back(count > 0 ? static_cast<float>(sum / static_cast<double>(count)) : 0.0f);
      }
  double mean = 0, squares = 0;
  for (const float v : out) mean += v / static_cast<double>(out.size());
  for (const float v : out) squares += (v - mean) * (v - mean);
  const double length = squares > 0 ? std::sqrt(squares) : 1.0;
  for (float& v : out) v = static_cast<float>((v - mean) / length);
  return out;
}

}  // namespace

std::map<int64_t, std::vector<int64_t>> component_sizes(const at::Tensor& labels) {
  const int64_t nz = labels.size(0), ny = labels.size(1), nx = labels.size(2);
  const int16_t* voxels = labels.const_data_ptr<int16_t>();
  std::vector<Run> runs;
  std::vector<std::array<int64_t, 2>> rows(nz * ny);
  for (int64_t r = 0; r < nz * ny; ++r) {
    const int16_t* row = voxels + r * nx;
    rows[r][0] = static_cast<int64_t>(runs.size());
    for (int64_t x = 0; x < nx;) {
      int64_t end = x + 1;
      while (end < nx && row[end] == row[x]) ++end;
      if (row[x] > 0) runs.push_back({x, end - 1, static_cast<int64_t>(runs.size()), row[x]});
      x = end;
    }
    rows[r][1] = static_cast<int64_t>(runs.size());
    const int64_t z = r / ny, y = r % ny;
    if (y > 0) join_rows(runs, rows[r], rows[r - 1]);
    if (z > 0)
      for (int64_t d = -1; d <= 1; ++d)
        if (y + d >= 0 && y + d < ny) join_rows(runs, rows[r], rows[r - ny + d]);
  }
  std::vector<int64_t> size(runs.size(), 0);
  for (size_t i = 0; i < runs.size(); ++i)
    size[root_of(runs, static_cast<int64_t>(i))] += runs[i].last - runs[i].first + 1;
  std::map<int64_t, std::vector<int64_t>> out;
  for (size_t i = 0; i < runs.size(); ++i)
    if (size[i] > 0) out[runs[i].label].push_back(size[i]);
  for (auto& [label, sizes] : out) std::sort(sizes.begin(), sizes.end(), std::greater<>());
  return out;
}

CaseTraits case_traits(const DatasetCase& files, const LoadedCase& loaded) {
  CaseTraits out;
  out.id = files.id;
  out.geometry = loaded.image.geometry();
  out.label_type = io::info(files.label).dtype;
  for (const std::string& path : files.images)
    for (const std::string& problem : io::info(path).problems) out.header.push_back(path + ": " + problem);
  const at::Tensor image = loaded.image.tensor().contiguous(), labels = loaded.labels.contiguous();
  const int64_t n = labels.numel();
  const int16_t* where = labels.const_data_ptr<int16_t>();
  std::vector<bool> at_minimum(n, true);
  for (int64_t c = 0; c < image.size(0); ++c) {
    const float* voxels = image[c].const_data_ptr<float>();
    const float low = *std::min_element(voxels, voxels + n);
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < n; ++i) sum += voxels[i];
    const double mean = sum / static_cast<double>(n);
    for (int64_t i = 0; i < n; ++i) {
      squares += (voxels[i] - mean) * (voxels[i] - mean);
      if (voxels[i] != low) at_minimum[i] = false;
    }
    out.deviation.push_back(std::sqrt(squares / static_cast<double>(n)));
  }
  int64_t labelled = 0, outside = 0;
  uint64_t hash = 1469598103934665603ull;  // FNV-1a
  for (int64_t i = 0; i < n; ++i) {
    hash = (hash ^ static_cast<uint16_t>(where[i])) * 1099511628211ull;
    if (where[i] <= 0) continue;
    ++labelled;
    outside += at_minimum[i];
  }
  out.label_hash = labelled > 0 ? hash ^ static_cast<uint64_t>(n) : 0;
  out.on_background = labelled > 0 ? static_cast<double>(outside) / static_cast<double>(labelled) : 0.0;
  const double voxel = out.geometry.spacing[0] * out.geometry.spacing[1] * out.geometry.spacing[2];
  for (auto& [label, sizes] : component_sizes(labels)) {
    const auto total = std::accumulate(sizes.begin(), sizes.end(), int64_t{0});
    out.labels[label] = {static_cast<double>(total) * voxel, sizes};
  }
  out.signature = signature_of(image[0]);
  return out;
}

}  // namespace vesalius::segmentation::detail
