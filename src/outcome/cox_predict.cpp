// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <limits>

#include <ATen/ops/empty.h>

#include <vesalius/core/error.h>
#include <vesalius/outcome/cox.h>

#include "outcome/common.h"

namespace vesalius::outcome {

at::Tensor predict_cox(const CoxFit& fit, const at::Tensor& x_in) {
  const auto x = checked_matrix(x_in, {});
  const int64_t p = fit.coef.size(0);
  if (x.size(1) != p)
    throw ShapeError("the model has " + std::to_string(p) + " columns; X has " + std::to_string(x.size(1)));
  auto out = at::empty({x.size(0)}, at::kDouble);
  const double *value = x.const_data_ptr<double>(), *coef = fit.coef.const_data_ptr<double>(),
               *mean = fit.mean.const_data_ptr<double>();
  for (int64_t i = 0; i < x.size(0); ++i) {
    double sum = 0;  // the difference first: offsets of 1e9 would eat the digits of a sum
    for (int64_t j = 0; j < p; ++j) sum += (value[i * p + j] - mean[j]) * coef[j];
    out.data_ptr<double>()[i] = sum;
  }
  return out;
}

at::Tensor cox_cumulative_hazard(const CoxFit& fit, const at::Tensor& predictor_in, const at::Tensor& times_in,
                                 const std::optional<at::Tensor>& strata_in) {
  const auto predictor_tensor = checked_vector(predictor_in, -1, "linear_predictor");
  const auto predictor = span_of(predictor_tensor);
  const int64_t n = static_cast<int64_t>(predictor.size());
  const auto times_tensor = checked_vector(times_in, -1, "times");
  const auto times = span_of(times_tensor);
  std::vector<int64_t> strata;
  if (strata_in) {
    const auto vector = checked_vector(*strata_in, n, "strata");
    for (double s : span_of(vector)) strata.push_back(std::llround(s));
  }
  const auto known = span_of(fit.baseline_times), log_hazard = span_of(fit.baseline_log_hazard);
  const int64_t* stratum = fit.baseline_stratum.const_data_ptr<int64_t>();
  const int64_t* stratum_end = stratum + fit.baseline_stratum.numel();
  auto out = at::empty({n, static_cast<int64_t>(times.size())}, at::kDouble);
  double* value = out.data_ptr<double>();
  for (int64_t i = 0; i < n; ++i) {
    const int64_t wanted = strata.empty() ? stratum[0] : strata[i];
    const auto [first, last] = std::equal_range(stratum, stratum_end, wanted);
    if (first == last) throw InvalidArgument("stratum " + std::to_string(wanted) + " was not in the training data");
    const auto begin = known.begin() + (first - stratum), end = known.begin() + (last - stratum);
    for (double t : times) {
      const auto after = std::upper_bound(begin, end, t);
      *value++ = t > *(end - 1)   ? std::numeric_limits<double>::quiet_NaN()
                 : after == begin ? 0.0
                                  : std::exp(log_hazard[static_cast<size_t>(after - known.begin() - 1)] + predictor[i]);
    }
  }
  return out;
}

}  // namespace vesalius::outcome
