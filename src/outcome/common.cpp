// SPDX-License-Identifier: Apache-2.0
#include "outcome/common.h"

#include <algorithm>
#include <cmath>

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/mm.h>

#include <vesalius/core/error.h>

#include "outcome/products.h"

namespace vesalius::outcome {

namespace {

constexpr int64_t kSmallProduct = 100000;  // multiplications that take less than waking a thread pool

std::string shape_of(const at::Tensor& t) {
  std::string out = "[";
  for (int64_t i = 0; i < t.dim(); ++i) out += (i ? ", " : "") + std::to_string(t.size(i));
  return out + "]";
}

at::Tensor plain(const at::Tensor& t, const std::string& what) {
  if (!t.defined()) throw InvalidArgument(what + " is missing");
  if (t.is_complex()) throw TypeMismatch(what + " must be real; it is complex");
  return t.detach().to(at::TensorOptions().dtype(at::kDouble).device(at::kCPU)).contiguous();
}

}  // namespace

std::string column_name(const std::vector<std::string>& names, int64_t j) {
  return j < static_cast<int64_t>(names.size()) ? "\"" + names[j] + "\"" : "column " + std::to_string(j);
}

std::span<const double> span_of(const at::Tensor& t) {
  return {t.const_data_ptr<double>(), static_cast<size_t>(t.numel())};
}

at::Tensor tensor_of(const std::vector<double>& values) {
  auto out = at::empty({static_cast<int64_t>(values.size())}, at::kDouble);
  std::copy(values.begin(), values.end(), out.data_ptr<double>());
  return out;
}

at::Tensor tensor_of(const std::vector<double>& values, int64_t rows, int64_t columns) {
  return tensor_of(values).view({rows, columns});
}

at::Tensor checked_matrix(const at::Tensor& x, const std::vector<std::string>& names) {
  const auto out = plain(x, "X");
  if (out.dim() != 2 || out.size(0) < 1 || out.size(1) < 1)
    throw ShapeError("X must be [subjects, columns] with at least one of each; it is " + shape_of(out));
  const auto values = span_of(out);
  const int64_t p = out.size(1);
  if (all_finite(values.data(), static_cast<int64_t>(values.size()))) return out;
  std::vector<int64_t> bad(static_cast<size_t>(p), 0);
  int64_t total = 0;
  for (size_t i = 0; i < values.size(); ++i)
    if (!std::isfinite(values[i])) ++bad[i % p], ++total;
  if (total) {
    std::string columns;
    int64_t shown = 0;
    for (int64_t j = 0; j < p; ++j)
      if (bad[j] && ++shown <= 5)
        columns += (shown > 1 ? ", " : "") + column_name(names, j) + " (" + std::to_string(bad[j]) + ")";
    if (shown > 5) columns += " and " + std::to_string(shown - 5) + " more columns";
    throw InvalidArgument("X has " + std::to_string(total) + " values that are NaN or infinity, in " + columns +
                          ": impute them or leave those rows or columns out");
  }
  return out;
}

at::Tensor checked_vector(const at::Tensor& v, int64_t n, const std::string& what) {
  const auto out = plain(v, what);
  if (out.dim() != 1 || (n >= 0 && out.size(0) != n))
    throw ShapeError(what + " must be a vector" +
                     (n >= 0 ? " of " + std::to_string(n) + ", one for each row of X" : "") + "; it is " +
                     shape_of(out));
  int64_t bad = 0;
  for (double value : span_of(out)) bad += !std::isfinite(value);
  if (bad) throw InvalidArgument(what + " has " + std::to_string(bad) + " values that are NaN or infinity");
  return out;
}

std::vector<char> checked_binary(const at::Tensor& y, int64_t n, const std::string& what) {
  const auto vector = checked_vector(y, n, what);
  std::vector<char> out;
  for (double value : span_of(vector)) {
    if (value != 0 && value != 1)
      throw InvalidArgument(what + " must be 0 or 1; it holds " + std::to_string(value) +
                            ". Code what you ask about as 1 and all else as 0");
    out.push_back(value == 1);
  }
  return out;
}

std::vector<double> checked_weights(const std::optional<at::Tensor>& weights, int64_t n) {
  if (!weights) return std::vector<double>(static_cast<size_t>(n), 1.0);
  const auto vector = checked_vector(*weights, n, "weights");
  const auto values = span_of(vector);
  if (std::any_of(values.begin(), values.end(), [](double w) { return w < 0; }))
    throw InvalidArgument("weights must not be negative");
  if (std::all_of(values.begin(), values.end(), [](double w) { return w == 0; }))
    throw InvalidArgument("all weights are zero");
  return {values.begin(), values.end()};
}

Standardised standardise(const at::Tensor& x, const std::vector<double>& weights, bool centre, bool ones,
                         const std::vector<int64_t>* order) {
  const int64_t n = x.size(0), p = x.size(1), extra = ones ? 1 : 0, stride = p + extra;
  Standardised out;
  out.mean.assign(p, 0);
  out.scale.assign(p, 0);
  out.constant.assign(p, 0);
  out.x = at::empty({n, stride}, at::kDouble);
  const double* from = x.const_data_ptr<double>();
  double* to = out.x.data_ptr<double>();
  double total = 0;
  for (double w : weights) total += w;
  std::vector<double> low_of(from, from + p), high_of(from, from + p), residual_of(p, 0), inverse_of(p, 0);
  double *mean = out.mean.data(), *scale = out.scale.data(), *low = low_of.data(), *high = high_of.data(),
         *residual = residual_of.data(), *inverse = inverse_of.data();
  std::vector<double> share(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) share[i] = weights[i] / total;
  add_means(from, n, p, share.data(), mean, low, high);
  if (!centre) std::fill(out.mean.begin(), out.mean.end(), 0.0);
  // Scaled by the largest deviation first: squares of 1e200 or 1e-200 are no doubles.
  std::vector<double> reach(p);
  for (int64_t j = 0; j < p; ++j) {
    reach[j] = std::max(std::abs(high[j] - mean[j]), std::abs(low[j] - mean[j]));
    inverse[j] = reach[j] > 0 && std::isfinite(1 / reach[j]) ? 1 / reach[j] : 0.0;
  }
  add_squares(from, n, p, share.data(), mean, inverse, residual, scale);
  for (int64_t j = 0; j < p; ++j) {
    if (centre) {  // the mean of what is left corrects the rounding of the first
      mean[j] += residual[j] * reach[j];
      scale[j] = std::max(0.0, scale[j] - residual[j] * residual[j]);
    }
    scale[j] = std::sqrt(scale[j]) * reach[j];
    const double size = std::max(std::abs(low[j]), std::abs(high[j]));
    if ((centre && high[j] == low[j]) || !(scale[j] > 1e-14 * size)) out.constant[j] = 1, scale[j] = 1;
    inverse[j] = out.constant[j] ? 0.0 : 1 / scale[j];
  }
  const bool safe = std::all_of(inverse_of.begin(), inverse_of.end(), [](double v) { return std::isfinite(v); });
  if (ones)
    for (int64_t i = 0; i < n; ++i) to[i * stride] = 1;
  const int64_t* rows = order ? order->data() : nullptr;
  if (safe) {
    scaled_rows(from, n, p, rows, mean, inverse, to + extra, stride);
    return out;
  }
  for (int64_t i = 0; i < n; ++i) {
    const double* row = from + (rows ? rows[i] : i) * p;
    double* target = to + i * stride + extra;
    for (int64_t j = 0; j < p; ++j) target[j] = out.constant[j] ? 0.0 : (row[j] - mean[j]) / scale[j];
  }
  return out;
}

detail::PenaltyTerms penalty_terms(const FitOptions& options, const Standardised& columns, int64_t extra) {
  const auto& [alpha, ratio] = options.penalty;
  detail::PenaltyTerms out;
  out.l1.assign(extra, 0.0);
  out.l2.assign(extra, 0.0);
  for (double scale : columns.scale) {
    const double s = options.standardise ? 1.0 : scale;  // |b| = |b_standardised| / scale
    out.l1.push_back(alpha * ratio / s);
    out.l2.push_back(alpha * (1 - ratio) / (s * s));
  }
  return out;
}

void check_options(const FitOptions& options) {
  if (!(options.penalty.alpha >= 0) || !std::isfinite(options.penalty.alpha))
    throw InvalidArgument("alpha, the strength of the penalty, must be finite and not negative; it is " +
                          std::to_string(options.penalty.alpha));
  if (!(options.penalty.l1_ratio >= 0 && options.penalty.l1_ratio <= 1))
    throw InvalidArgument("l1_ratio must lie in 0 (ridge) to 1 (lasso); it is " +
                          std::to_string(options.penalty.l1_ratio));
  if (options.max_iterations < 1 || !(options.tolerance > 0))
    throw InvalidArgument("max_iterations and tolerance must be positive");
}

void check_estimable(const Standardised& columns, int64_t n, int64_t free, const FitOptions& options) {
  for (size_t j = 0; j < columns.constant.size(); ++j)
    if (columns.constant[j])
      throw InvalidArgument(column_name(options.names, static_cast<int64_t>(j)) +
                            " is constant: it has no coefficient without a penalty. Leave it out");
  const int64_t p = static_cast<int64_t>(columns.scale.size());
  if (n < p + free)
    throw InvalidArgument(
        "X has " + std::to_string(p) + " columns and " + std::to_string(n) +
        " subjects: without a penalty there is no one solution. Use fewer columns, or penalty=\"elastic_net\"");
}

void throw_dependent(const FitOptions& options, int64_t column) {
  throw InvalidArgument(column_name(options.names, column) +
                        " is collinear, a linear combination of the columns before it: it has no coefficient of its "
                        "own. Leave it out, or use a penalty");
}

void multiply(const at::Tensor& x, bool transposed, const std::vector<double>& v, std::vector<double>& out) {
  const int64_t n = x.size(0), p = x.size(1);
  if (transposed)
    columns_times(x.const_data_ptr<double>(), n, p, v.data(), 1, n, out.data());
  else
    rows_times(x.const_data_ptr<double>(), n, p, v.data(), 1, out.data(), n);
}

void weighted_crossproduct(const at::Tensor& x, const std::vector<int64_t>& set, const double* weights,
                           std::vector<double>& out) {
  const int64_t n = x.size(0), p = x.size(1), m = static_cast<int64_t>(set.size());
  out.assign(static_cast<size_t>(m * m), 0.0);
  if (m == 0) return;
  const double* from = x.const_data_ptr<double>();
  if (m <= 16 || n * m * m <= 8 * kSmallProduct) {
    std::vector<double> row(static_cast<size_t>(m));
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t k = 0; k < m; ++k) row[k] = from[i * p + set[k]];
      for (int64_t k = 0; k < m; ++k) {
        const double factor = weights[i] * row[k];
        double* to = out.data() + k * m;
        for (int64_t l = 0; l <= k; ++l) to[l] += factor * row[l];
      }
    }
    for (int64_t k = 0; k < m; ++k)
      for (int64_t l = 0; l < k; ++l) out[l * m + k] = out[k * m + l];
    return;
  }
  auto result = at::from_blob(out.data(), {m, m}, at::kDouble);
  auto chosen = at::empty({n, m}, at::kDouble), weighted = at::empty({n, m}, at::kDouble);
  double *to = chosen.data_ptr<double>(), *scaled = weighted.data_ptr<double>();
  for (int64_t i = 0; i < n; ++i)
    for (int64_t k = 0; k < m; ++k) {
      const double value = from[i * p + set[k]];
      to[i * m + k] = value;
      scaled[i * m + k] = weights[i] * value;
    }
  at::mm_out(result, chosen.t(), weighted);
}

}  // namespace vesalius::outcome
