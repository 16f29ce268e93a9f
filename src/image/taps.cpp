// SPDX-License-Identifier: Apache-2.0
#include "image/taps.h"

#include <algorithm>

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/linalg_inv.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <vesalius/core/error.h>

namespace vesalius::image::detail {
namespace {

/// The tensor seen as [outer, n, inner] around one dimension.
struct Lines {
  int64_t outer = 1, n = 1, inner = 1;
};

Lines lines_of(const at::Tensor& tensor, int64_t dim) {
  Lines lines;
  for (int64_t d = 0; d < tensor.dim(); ++d)
    (d < dim ? lines.outer : d > dim ? lines.inner : lines.n) *= tensor.size(d);
  return lines;
}

template <class T>
void weighted_sums(const T* in, T* out, const Lines& lines, const Taps& taps) {
  const int64_t m = taps.outputs(), width = taps.width;
  const int64_t rows = lines.outer * m;
  const int64_t grain = std::max<int64_t>(1, 32768 / std::max<int64_t>(1, lines.inner * width));
  std::vector<T> weights(taps.weight.begin(), taps.weight.end());
  at::parallel_for(0, rows, grain, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const int64_t block = row / m, i = row % m;
      const int64_t* index = taps.index.data() + i * width;
      const T* weight = weights.data() + i * width;
      const T* source = in + block * lines.n * lines.inner;
      if (lines.inner == 1) {
        T sum = 0;
        for (int64_t k = 0; k < width; ++k) sum += weight[k] * source[index[k]];
        out[row] = sum;
        continue;
      }
      T* target = out + row * lines.inner;
      for (int64_t j = 0; j < lines.inner; ++j) target[j] = weight[0] * source[index[0] * lines.inner + j];
      for (int64_t k = 1; k < width; ++k) {
        const T w = weight[k];
        const T* line = source + index[k] * lines.inner;
        for (int64_t j = 0; j < lines.inner; ++j) target[j] += w * line[j];
      }
    }
  });
}

/// One input an output: the voxels are copied as they are, whatever their type.
template <class T>
void picked(const void* from, void* to, const Lines& lines, const Taps& taps) {
  const T* in = static_cast<const T*>(from);
  T* out = static_cast<T*>(to);
  const int64_t m = taps.outputs(), n = lines.n, inner = lines.inner;
  const int64_t* index = taps.index.data();
  if (inner == 1) {
    at::parallel_for(0, lines.outer, 1 + 32768 / m, [&](int64_t begin, int64_t end) {
      for (int64_t o = begin; o < end; ++o)
        for (int64_t i = 0; i < m; ++i) out[o * m + i] = in[o * n + index[i]];
    });
  } else {
    at::parallel_for(0, lines.outer * m, 1 + 32768 / inner, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row)
        std::copy_n(in + ((row / m) * n + index[row % m]) * inner, inner, out + row * inner);
    });
  }
}

void pick(const at::Tensor& in, at::Tensor& out, const Lines& lines, const Taps& taps) {
  switch (in.element_size()) {
    case 1:
      return picked<uint8_t>(in.const_data_ptr(), out.mutable_data_ptr(), lines, taps);
    case 2:
      return picked<uint16_t>(in.const_data_ptr(), out.mutable_data_ptr(), lines, taps);
    case 4:
      return picked<uint32_t>(in.const_data_ptr(), out.mutable_data_ptr(), lines, taps);
    default:
      return picked<uint64_t>(in.const_data_ptr(), out.mutable_data_ptr(), lines, taps);
  }
}

at::Tensor index_tensor(const Taps& taps, int64_t k, const at::Device& device) {
  std::vector<int64_t> index(taps.outputs());
  for (int64_t i = 0; i < taps.outputs(); ++i) index[i] = taps.index[i * taps.width + k];
  return at::tensor(index, at::kLong).to(device);
}

at::Tensor weighted_sums_aten(const at::Tensor& tensor, int64_t dim, const Taps& taps) {
  std::vector<int64_t> shape(tensor.dim(), 1);
  shape[dim] = taps.outputs();
  at::Tensor out;
  for (int64_t k = 0; k < taps.width; ++k) {
    std::vector<double> weight(taps.outputs());
    for (int64_t i = 0; i < taps.outputs(); ++i) weight[i] = taps.weight[i * taps.width + k];
    const at::Tensor w = at::tensor(weight, at::kDouble).to(tensor.device(), tensor.scalar_type()).view(shape);
    const at::Tensor term = tensor.index_select(dim, index_tensor(taps, k, tensor.device())).mul(w);
    out = k == 0 ? term : out.add(term);
  }
  return out;
}

/// Coefficients of `count` neighbouring lines of `n` samples, `buffer[sample * count + line]`, in place.
void filter_lines(double* buffer, int64_t n, int64_t count) {
  const double pole = std::sqrt(3.0) - 2.0;
  for (int64_t i = 0; i < n * count; ++i) buffer[i] *= 6.0;
  // The causal sum over the mirrored signal, in closed form (period 2n - 2).
  for (int64_t line = 0; line < count; ++line) {
    double power = pole, sum = buffer[line];
    const double last = std::pow(pole, double(n - 1));
    const int64_t enough = std::min<int64_t>(n - 1, 64);  // pole^64 < 1e-36
    for (int64_t k = 1; k < enough; ++k, power *= pole) {
      const double back = 2 * n - 2 - k < 64 ? std::pow(pole, double(2 * n - 2 - k)) : 0.0;
      sum += (power + back) * buffer[k * count + line];
    }
    sum += last * buffer[(n - 1) * count + line];
    buffer[line] = sum / (1.0 - last * last);
  }
  for (int64_t k = 1; k < n; ++k)
    for (int64_t line = 0; line < count; ++line) buffer[k * count + line] += pole * buffer[(k - 1) * count + line];
  for (int64_t line = 0; line < count; ++line) {
    double& end = buffer[(n - 1) * count + line];
    end = pole / (pole * pole - 1.0) * (end + pole * buffer[(n - 2) * count + line]);
  }
  for (int64_t k = n - 2; k >= 0; --k)
    for (int64_t line = 0; line < count; ++line) {
      double& here = buffer[k * count + line];
      here = pole * (buffer[(k + 1) * count + line] - here);
    }
}

template <class T>
void filter_all(T* data, const Lines& lines) {
  constexpr int64_t kBlock = 32;
  const int64_t n = lines.n, inner = lines.inner;
  const int64_t blocks = (inner + kBlock - 1) / kBlock;
  at::parallel_for(0, lines.outer * blocks, 1 + 8192 / (n * std::min(inner, kBlock)), [&](int64_t begin, int64_t end) {
    std::vector<double> buffer(n * std::min(inner, kBlock));
    for (int64_t b = begin; b < end; ++b) {
      const int64_t first = (b % blocks) * kBlock;
      const int64_t count = std::min(kBlock, inner - first);
      T* start = data + (b / blocks) * n * inner + first;
      for (int64_t k = 0; k < n; ++k)
        for (int64_t j = 0; j < count; ++j) buffer[k * count + j] = start[k * inner + j];
      filter_lines(buffer.data(), n, count);
      for (int64_t k = 0; k < n; ++k)
        for (int64_t j = 0; j < count; ++j) start[k * inner + j] = static_cast<T>(buffer[k * count + j]);
    }
  });
}

/// The inverse of the matrix that samples the spline: one product, differentiable and quick on a GPU.
at::Tensor prefilter_aten(const at::Tensor& tensor, int64_t dim) {
  const int64_t n = tensor.size(dim);
  std::vector<double> matrix(n * n, 0.0);
  for (int64_t i = 0; i < n; ++i) {
    matrix[i * n + i] += 4.0 / 6.0;
    matrix[i * n + mirrored(i - 1, n)] += 1.0 / 6.0;
    matrix[i * n + mirrored(i + 1, n)] += 1.0 / 6.0;
  }
  const at::Tensor inverse =
      at::linalg_inv(at::tensor(matrix, at::kDouble).view({n, n})).to(tensor.device(), tensor.scalar_type());
  return at::matmul(tensor.movedim(dim, -1), inverse.t()).movedim(-1, dim);
}

bool needs_aten(const at::Tensor& tensor) { return !tensor.device().is_cpu() || tensor.requires_grad(); }

}  // namespace

at::Tensor to_real(const at::Tensor& tensor) {
  if (tensor.is_complex())
    throw TypeMismatch(std::string("real voxels are expected; got ") + c10::toString(tensor.scalar_type()));
  return tensor.scalar_type() == at::kDouble ? tensor : tensor.to(at::kFloat);
}

Taps interpolation_taps(int64_t n, int64_t outputs, double first, double step, Interpolation interpolation) {
  Taps taps;
  taps.width = interpolation == Interpolation::nearest ? 1 : interpolation == Interpolation::linear ? 2 : 4;
  taps.index.resize(outputs * taps.width);
  taps.weight.resize(outputs * taps.width);
  for (int64_t i = 0; i < outputs; ++i) {
    const double x = std::clamp(snapped(first + step * double(i)), 0.0, double(n - 1));
    int64_t* index = taps.index.data() + i * taps.width;
    double* weight = taps.weight.data() + i * taps.width;
    if (interpolation == Interpolation::nearest) {
      index[0] = std::min<int64_t>(n - 1, static_cast<int64_t>(std::floor(x + 0.5)));
      weight[0] = 1.0;
      continue;
    }
    const auto whole = static_cast<int64_t>(std::floor(x));
    const double t = x - double(whole);
    if (interpolation == Interpolation::linear) {
      // Where a weight is 0 its voxel is not touched at all: a NaN there stays there.
      index[0] = whole;
      index[1] = t > 0 ? whole + 1 : whole;
      weight[0] = 1.0 - t;
      weight[1] = t;
    } else {
      cubic_weights(t, weight);
      for (int k = 0; k < 4; ++k) index[k] = mirrored(whole - 1 + k, n);
    }
  }
  return taps;
}

at::Tensor apply_taps(const at::Tensor& tensor, int64_t dim, const Taps& taps) {
  const bool real = tensor.scalar_type() == at::kFloat || tensor.scalar_type() == at::kDouble;
  if (taps.width == 1 && (needs_aten(tensor) || tensor.element_size() > 8))
    return tensor.index_select(dim, index_tensor(taps, 0, tensor.device()));
  if (!real && taps.width > 1) throw TypeMismatch("interpolation needs float32 or float64 voxels");
  if (needs_aten(tensor)) return weighted_sums_aten(tensor, dim, taps);
  const at::Tensor in = tensor.contiguous();
  auto shape = in.sizes().vec();
  shape[dim] = taps.outputs();
  at::Tensor out = at::empty(shape, in.options());
  const Lines lines = lines_of(in, dim);
  if (taps.width == 1)
    pick(in, out, lines, taps);
  else if (in.scalar_type() == at::kFloat)
    weighted_sums(in.const_data_ptr<float>(), out.mutable_data_ptr<float>(), lines, taps);
  else
    weighted_sums(in.const_data_ptr<double>(), out.mutable_data_ptr<double>(), lines, taps);
  return out;
}

at::Tensor prefilter(const at::Tensor& tensor, int64_t dim) {
  if (tensor.size(dim) == 1) return tensor;
  if (needs_aten(tensor)) return prefilter_aten(tensor, dim);
  at::Tensor out = tensor.clone(at::MemoryFormat::Contiguous);
  const Lines lines = lines_of(out, dim);
  if (out.scalar_type() == at::kFloat)
    filter_all(out.mutable_data_ptr<float>(), lines);
  else
    filter_all(out.mutable_data_ptr<double>(), lines);
  return out;
}

}  // namespace vesalius::image::detail
