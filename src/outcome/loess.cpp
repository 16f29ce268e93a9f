// SPDX-License-Identifier: Apache-2.0
#include <vesalius/outcome/loess.h>

#include <array>
#include <cmath>

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <vesalius/core/error.h>
#include <vesalius/outcome/detail/order.h>

#include "outcome/common.h"

namespace vesalius::outcome {

namespace {

/// Value at 0 of the weighted polynomial through (d, y), d scaled to [−1, 1]: normal equations by elimination with pivots.
double local_value(const std::array<double, 5>& moments, const std::array<double, 3>& right, int64_t degree) {
  for (int64_t m = degree + 1; m > 0; --m) {
    double a[3][4] = {};
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < m; ++j) a[i][j] = moments[i + j];
      a[i][3] = right[i];
    }
    bool singular = false;
    for (int64_t c = 0; c < m && !singular; ++c) {
      int64_t pivot = c;
      for (int64_t r = c + 1; r < m; ++r)
        if (std::abs(a[r][c]) > std::abs(a[pivot][c])) pivot = r;
      std::swap(a[c], a[pivot]);
      singular = !(std::abs(a[c][c]) > 1e-10 * moments[0]);
      for (int64_t r = 0; r < m && !singular; ++r) {
        if (r == c) continue;
        const double factor = a[r][c] / a[c][c];
        for (int64_t j = c; j < 4; ++j) a[r][j] -= factor * a[c][j];
      }
    }
    if (!singular) return a[0][3] / a[0][0];
  }
  return right[0] / moments[0];
}

}  // namespace

at::Tensor loess(const at::Tensor& x_in, const at::Tensor& y_in, const at::Tensor& at_in, double span, int64_t degree) {
  const auto x_tensor = checked_vector(x_in, -1, "x");
  const int64_t n = x_tensor.size(0);
  const auto y_tensor = checked_vector(y_in, n, "y"), at_tensor = checked_vector(at_in, -1, "at");
  if (!(span > 0)) throw InvalidArgument("span must be positive; it is " + std::to_string(span));
  if (degree < 0 || degree > 2) throw InvalidArgument("degree must be 0, 1 or 2; it is " + std::to_string(degree));
  if (n < 2) throw InvalidArgument("a smooth curve needs at least two subjects");
  const auto order = detail::ascending(span_of(x_tensor));
  std::vector<double> x(n), y(n);
  for (int64_t i = 0; i < n; ++i) x[i] = span_of(x_tensor)[order[i]], y[i] = span_of(y_tensor)[order[i]];
  const int64_t q = std::clamp<int64_t>(static_cast<int64_t>(std::floor(span * static_cast<double>(n) + 1e-5)), 2, n);
  const auto points = span_of(at_tensor);
  auto out = at::empty({at_tensor.size(0)}, at::kDouble);
  double* values = out.data_ptr<double>();
  at::parallel_for(0, at_tensor.size(0), 16, [&](int64_t from, int64_t to) {
    for (int64_t k = from; k < to; ++k) {
      const double p = points[k];
      // the window of q nearest: the first begin where the left end is no farther than what would come in on the right
      int64_t low = 0, high = n - q;
      while (low < high) {
        const int64_t middle = (low + high) / 2;
        if (p - x[middle] > x[middle + q] - p)
          low = middle + 1;
        else
          high = middle;
      }
      const double h = std::max(p - x[low], x[low + q - 1] - p) * std::max(1.0, span);
      if (!(h > 0)) {  // all q nearest are at the point
        double sum = 0;
        for (int64_t i = low; i < low + q; ++i) sum += y[i];
        values[k] = sum / static_cast<double>(q);
        continue;
      }
      int64_t begin = low, end = low + q;  // others as near as the farthest weigh nothing, unless span > 1 widened it
      while (begin > 0 && p - x[begin - 1] < h) --begin;
      while (end < n && x[end] - p < h) ++end;
      std::array<double, 5> moments{};
      std::array<double, 3> right{};
      for (int64_t i = begin; i < end; ++i) {
        const double d = (x[i] - p) / h, cube = 1 - std::abs(d * d * d), w = cube > 0 ? cube * cube * cube : 0.0;
        moments[0] += w, moments[1] += w * d, moments[2] += w * d * d, moments[3] += w * d * d * d,
            moments[4] += w * d * d * d * d;
        right[0] += w * y[i], right[1] += w * y[i] * d, right[2] += w * y[i] * d * d;
      }
      values[k] = local_value(moments, right, degree);
    }
  });
  return out;
}

}  // namespace vesalius::outcome
