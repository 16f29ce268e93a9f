// SPDX-License-Identifier: Apache-2.0
#include <vesalius/core/image.h>

#include <cmath>
#include <sstream>

#include <ATen/ops/constant_pad_nd.h>

#include <vesalius/core/error.h>
#include <vesalius/core/mask.h>

namespace vesalius {
namespace {

std::string shape_of(const at::Tensor& tensor) {
  std::ostringstream out;
  out << tensor.sizes();
  return out.str();
}

/// For each physical axis (z, y, x): the index axis that runs along it most, and its sign. Axes are
/// given out greedily by size of the component, so that an oblique image still gets each axis once.
struct AxisMap {
  std::array<int, 3> index_axis;
  std::array<int, 3> sign;
};

AxisMap nearest_axes(const Geometry& geometry) {
  AxisMap map{{-1, -1, -1}, {1, 1, 1}};
  std::array<bool, 3> taken{};
  for (int round = 0; round < 3; ++round) {
    int best_row = -1, best_column = -1;
    double best = -1;
    for (int r = 0; r < 3; ++r)
      for (int c = 0; c < 3; ++c)
        if (map.index_axis[r] < 0 && !taken[c] && std::abs(geometry.direction[r][c]) > best) {
          best = std::abs(geometry.direction[r][c]);
          best_row = r, best_column = c;
        }
    map.index_axis[best_row] = best_column;
    map.sign[best_row] = geometry.direction[best_row][best_column] < 0 ? -1 : 1;
    taken[best_column] = true;
  }
  return map;
}

// Physical axes (z, y, x); the letter that the positive and the negative LPS direction has.
constexpr char kPositive[3] = {'S', 'P', 'L'};
constexpr char kNegative[3] = {'I', 'A', 'R'};

}  // namespace

Image::Image(at::Tensor tensor, Geometry geometry, Metadata metadata)
    : tensor_(std::move(tensor)), geometry_(geometry), metadata_(std::move(metadata)) {
  geometry_.validate();
  const auto dims = tensor_.dim();
  if (dims != 3 && dims != 4)
    throw ShapeError("an image is [z, y, x] or [channel, z, y, x]; got a tensor of shape " + shape_of(tensor_) +
                     (dims == 2 ? ". A 2D image has z = 1: tensor.unsqueeze(0)" : ""));
  for (int a = 0; a < 3; ++a)
    if (tensor_.size(dims - 3 + a) != geometry_.size[a])
      throw ShapeError("the tensor's shape " + shape_of(tensor_) +
                       " is not the geometry's size: " + geometry_.to_string());
}

int64_t Image::channels() const { return tensor_.dim() == 4 ? tensor_.size(0) : 1; }

Image Image::with_tensor(at::Tensor tensor) const { return Image(std::move(tensor), geometry_, metadata_); }

Image Image::to(const std::string& device) const { return with_tensor(tensor_.to(at::Device(device))); }

Image crop(const Image& image, const Index3& start, const Index3& count) {
  at::Tensor out = image.tensor();
  const auto first = out.dim() - 3;
  for (int a = 0; a < 3; ++a) {
    if (start[a] < 0 || count[a] < 1 || start[a] + count[a] > image.geometry().size[a])
      throw InvalidArgument("crop reaches outside the image on axis " + std::to_string(a) + " (z, y, x): from " +
                            std::to_string(start[a]) + " for " + std::to_string(count[a]) + " voxels of " +
                            std::to_string(image.geometry().size[a]));
    out = out.narrow(first + a, start[a], count[a]);
  }
  return Image(out, image.geometry().cropped(start, count), image.metadata());
}

Image pad(const Image& image, const Index3& before, const Index3& after, double value) {
  const auto& g = image.geometry();
  Index3 start{}, count{};
  for (int a = 0; a < 3; ++a) {
    if (before[a] < 0 || after[a] < 0) throw InvalidArgument("pad: numbers of voxels must not be negative");
    start[a] = -before[a];
    count[a] = g.size[a] + before[a] + after[a];
  }
  const std::array<int64_t, 6> widths{before[2], after[2], before[1], after[1], before[0], after[0]};
  return Image(at::constant_pad_nd(image.tensor(), widths, value), g.cropped(start, count), image.metadata());
}

std::string orientation_of(const Geometry& geometry) {
  const AxisMap map = nearest_axes(geometry);
  std::string letters(3, '?');
  // The letters are given for index axes x, y, z; index axis a is tensor dimension a in (z, y, x).
  for (int physical = 0; physical < 3; ++physical)
    letters[2 - map.index_axis[physical]] = map.sign[physical] > 0 ? kPositive[physical] : kNegative[physical];
  return letters;
}

Image reorient(const Image& image, const std::string& orientation) {
  const auto& g = image.geometry();
  const AxisMap map = nearest_axes(g);
  std::array<int64_t, 3> source{-1, -1, -1};  // for each new dimension (z, y, x): the old one
  std::array<bool, 3> flip{};
  std::array<bool, 3> seen{};
  bool valid = orientation.size() == 3;
  for (int letter = 0; valid && letter < 3; ++letter) {
    const int dimension = 2 - letter;
    for (int physical = 0; physical < 3; ++physical) {
      const bool positive = orientation[letter] == kPositive[physical];
      if (!positive && orientation[letter] != kNegative[physical]) continue;
      valid = !seen[physical];
      seen[physical] = true;
      source[dimension] = map.index_axis[physical];
      flip[dimension] = positive != (map.sign[physical] > 0);
    }
    valid = valid && source[dimension] >= 0;
  }
  if (!valid)
    throw InvalidArgument("an orientation is three letters, one each of L/R, P/A and S/I, such as \"LPS\"; got \"" +
                          orientation + "\"");

  Geometry out = g;
  Vec3 corner{};
  std::vector<int64_t> order, flips;
  const auto first = image.tensor().dim() - 3;
  if (first == 1) order.push_back(0);
  for (int d = 0; d < 3; ++d) {
    const auto s = source[d];
    order.push_back(first + s);
    if (flip[d]) flips.push_back(first + d);
    out.size[d] = g.size[s];
    out.spacing[d] = g.spacing[s];
    for (int r = 0; r < 3; ++r) out.direction[r][d] = (flip[d] ? -1 : 1) * g.direction[r][s];
    if (flip[d]) corner[s] = double(g.size[s] - 1);
  }
  out.origin = g.to_physical(corner);
  at::Tensor voxels = image.tensor().permute(order);
  if (!flips.empty()) voxels = voxels.flip(flips);
  return Image(voxels.contiguous(), out, image.metadata());
}

Mask crop(const Mask& mask, const Index3& start, const Index3& count) {
  const Image out = crop(static_cast<const Image&>(mask), start, count);
  return Mask(out.tensor(), out.geometry(), mask.names(), out.metadata());
}

Mask pad(const Mask& mask, const Index3& before, const Index3& after) {
  const Image out = pad(static_cast<const Image&>(mask), before, after, 0);
  return Mask(out.tensor(), out.geometry(), mask.names(), out.metadata());
}

Mask reorient(const Mask& mask, const std::string& orientation) {
  const Image out = reorient(static_cast<const Image&>(mask), orientation);
  return Mask(out.tensor(), out.geometry(), mask.names(), out.metadata());
}

}  // namespace vesalius
