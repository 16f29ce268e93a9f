// SPDX-License-Identifier: Apache-2.0
#include "image/oblique.h"

#include <algorithm>

#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include "image/taps.h"

namespace vesalius::image::detail {
namespace {

/// Continuous source index = origin + column 0 · z + column 1 · y + column 2 · x of the target.
struct Affine {
  Vec3 origin;
  std::array<Vec3, 3> column;
};

Affine index_map(const Geometry& from, const Geometry& to) {
  Affine map;
  map.origin = from.to_index(to.to_physical({0, 0, 0}));
  for (int a = 0; a < 3; ++a) {
    Vec3 unit{};
    unit[a] = 1;
    const Vec3 point = from.to_index(to.to_physical(unit));
    for (int b = 0; b < 3; ++b) map.column[a][b] = point[b] - map.origin[b];
  }
  return map;
}

/// Taps of one axis at a continuous index inside the image.
struct PointTaps {
  int count = 1;
  int64_t index[4];
  double weight[4];
};

void taps_at(double x, int64_t n, Interpolation interpolation, PointTaps& taps) {
  x = std::clamp(x, 0.0, double(n - 1));
  const auto whole = static_cast<int64_t>(std::floor(x));
  const double t = x - double(whole);
  switch (interpolation) {
    case Interpolation::nearest:
      taps.count = 1;
      taps.index[0] = std::min<int64_t>(n - 1, static_cast<int64_t>(std::floor(x + 0.5)));
      taps.weight[0] = 1;
      return;
    case Interpolation::linear:
      taps.count = t > 0 ? 2 : 1;
      taps.index[0] = whole, taps.index[1] = whole + 1;
      taps.weight[0] = 1 - t, taps.weight[1] = t;
      return;
    case Interpolation::cubic:
      taps.count = 4;
      cubic_weights(t, taps.weight);
      for (int k = 0; k < 4; ++k) taps.index[k] = mirrored(whole - 1 + k, n);
  }
}

template <class T>
void sample_rows(const T* source, T* target, const Geometry& from, const Geometry& to, Interpolation interpolation,
                 T outside) {
  const Affine map = index_map(from, to);
  const auto& n = from.size;
  at::parallel_for(0, to.size[0] * to.size[1], 16, [&](int64_t begin, int64_t end) {
    PointTaps taps[3];
    for (int64_t row = begin; row < end; ++row) {
      const double z = double(row / to.size[1]), y = double(row % to.size[1]);
      for (int64_t x = 0; x < to.size[2]; ++x) {
        bool inside = true;
        for (int a = 0; a < 3; ++a) {
          const double index =
              snapped(map.origin[a] + map.column[0][a] * z + map.column[1][a] * y + map.column[2][a] * double(x));
          inside = inside && index >= -0.5 && index <= double(n[a]) - 0.5;
          if (inside) taps_at(index, n[a], interpolation, taps[a]);
        }
        T& out = target[row * to.size[2] + x];
        if (!inside) {
          out = outside;
          continue;
        }
        if (interpolation == Interpolation::nearest) {
          out = source[(taps[0].index[0] * n[1] + taps[1].index[0]) * n[2] + taps[2].index[0]];
          continue;
        }
        double sum = 0;
        for (int i = 0; i < taps[0].count; ++i)
          for (int j = 0; j < taps[1].count; ++j) {
            const T* line = source + (taps[0].index[i] * n[1] + taps[1].index[j]) * n[2];
            double part = 0;
            for (int k = 0; k < taps[2].count; ++k) part += taps[2].weight[k] * double(line[taps[2].index[k]]);
            sum += taps[0].weight[i] * taps[1].weight[j] * part;
          }
        out = static_cast<T>(sum);
      }
    }
  });
}

}  // namespace

at::Tensor resample_oblique(const Image& image, const Geometry& geometry, Interpolation interpolation, double outside) {
  at::Tensor voxels = image.tensor().detach().cpu();
  if (interpolation != Interpolation::nearest) voxels = to_real(voxels);
  if (interpolation == Interpolation::cubic)
    for (int a = 0; a < 3; ++a) voxels = prefilter(voxels, voxels.dim() - 3 + a);
  voxels = voxels.contiguous();
  auto shape = voxels.sizes().vec();
  for (int a = 0; a < 3; ++a) shape[shape.size() - 3 + a] = geometry.size[a];
  at::Tensor out = at::empty(shape, voxels.options());
  AT_DISPATCH_ALL_TYPES_AND3(at::kBool, at::kHalf, at::kBFloat16, voxels.scalar_type(), "resample_like", [&] {
    const int64_t channels = image.channels();
    for (int64_t c = 0; c < channels; ++c)
      sample_rows<scalar_t>(voxels.const_data_ptr<scalar_t>() + c * image.geometry().voxels(),
                            out.mutable_data_ptr<scalar_t>() + c * geometry.voxels(), image.geometry(), geometry,
                            interpolation, static_cast<scalar_t>(outside));
  });
  return out.to(image.tensor().device());
}

}  // namespace vesalius::image::detail
