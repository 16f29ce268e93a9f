// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include <vesalius/outcome/detail/elastic_net_kernel.h>
#include <vesalius/outcome/elastic_net.h>

/// Checks and preparation that every model of this module needs.
namespace vesalius::outcome {

std::string column_name(const std::vector<std::string>& names, int64_t j);

/// [n, p] or [n] as contiguous float64 on the CPU, all finite. `what` names it in messages.
at::Tensor checked_matrix(const at::Tensor& x, const std::vector<std::string>& names);
at::Tensor checked_vector(const at::Tensor& v, int64_t n, const std::string& what);
/// Zeros and ones as chars. @throws InvalidArgument for any other value
std::vector<char> checked_binary(const at::Tensor& y, int64_t n, const std::string& what);
/// Ones if not given; ≥ 0, not all zero.
std::vector<double> checked_weights(const std::optional<at::Tensor>& weights, int64_t n);

std::span<const double> span_of(const at::Tensor& t);
at::Tensor tensor_of(const std::vector<double>& values);
at::Tensor tensor_of(const std::vector<double>& values, int64_t rows, int64_t columns);

/// Columns less their (weighted) mean over their standard deviation, so that neither units nor offsets of the
/// columns touch the arithmetic. A constant column becomes zeros with scale 1.
struct Standardised {
  at::Tensor x;  ///< [n, extra + p]; the first `extra` columns are ones
  std::vector<double> mean, scale;
  std::vector<char> constant;
};
/// With `order`, row i of the result is row order[i] of x.
Standardised standardise(const at::Tensor& x, const std::vector<double>& weights, bool centre, bool ones,
                         const std::vector<int64_t>* order = nullptr);

/// The penalty on coefficients of standardised columns; the first `extra` coordinates are free.
detail::PenaltyTerms penalty_terms(const FitOptions& options, const Standardised& columns, int64_t extra);
void check_options(const FitOptions& options);
/// For fits without a penalty. @throws InvalidArgument naming constant columns, or n ≤ p
void check_estimable(const Standardised& columns, int64_t n, int64_t free, const FitOptions& options);

/// out = x v, or xᵀ v, in one pass over x.
void multiply(const at::Tensor& x, bool transposed, const std::vector<double>& v, std::vector<double>& out);
/// xᵀ diag(w) x for the chosen columns, row-major.
void weighted_crossproduct(const at::Tensor& x, const std::vector<int64_t>& set, const double* weights,
                           std::vector<double>& out);

/// @throws InvalidArgument that names a column which depends linearly on those before
[[noreturn]] void throw_dependent(const FitOptions& options, int64_t column);

}  // namespace vesalius::outcome
