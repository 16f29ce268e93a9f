// SPDX-License-Identifier: Apache-2.0
#include "outcome/censoring.h"

#include <cmath>
#include <limits>
#include <sstream>

#include <vesalius/core/error.h>

#include "outcome/common.h"

namespace vesalius::outcome {

std::string number(double value) {
  std::ostringstream out;
  out << value;
  return out.str();
}

std::vector<char> checked_status(const at::Tensor& status, int64_t n) {
  const auto vector = checked_vector(status, n, "event");
  std::vector<char> out;
  out.reserve(static_cast<size_t>(n));
  for (double value : span_of(vector)) {
    if (value != 0 && value != 1 && value != 2)
      throw InvalidArgument("event must be 0 (censored), 1 (the event) or 2 (a competing event); it holds " +
                            number(value));
    out.push_back(static_cast<char>(value));
  }
  return out;
}

void check_follow_up(std::span<const double> time) {
  if (time.empty()) throw InvalidArgument("time is empty");
  for (double t : time)
    if (t < 0) throw InvalidArgument("time must not be negative: follow-up starts at 0; it holds " + number(t));
}

Censoring censoring_of(const detail::Cohort& cohort, const CensoringOptions& options) {
  Censoring out;
  out.left_limit = options.left_limit;
  if (!options.train_time != !options.train_event)
    throw InvalidArgument("the subjects that censoring is estimated from need both times and events");
  if (!options.train_time) {
    out.curve = detail::product_limit(cohort, true);
  } else {
    const auto time = checked_vector(*options.train_time, -1, "times that censoring is estimated from");
    check_follow_up(span_of(time));
    const auto event = checked_status(*options.train_event, time.size(0));
    const std::vector<double> ones(event.size(), 1.0);
    out.curve = detail::product_limit(detail::cohort_of(span_of(time), event, ones), true);
    out.own = false;
  }
  out.reach = out.curve.last;
  return out;
}

std::string out_of_support(const Censoring& censoring, double t) {
  if (std::isnan(t)) return "the time is NaN";
  if (t > censoring.reach)
    return "time " + number(t) + " is beyond the last time of " + (censoring.own ? "these" : "the training") +
           " subjects, " + number(censoring.reach) + ": who is still event-free then is not known";
  if (censoring.at(t) <= 0)
    return "time " + number(t) + " is at or beyond the time when the last subject" +
           (censoring.own ? "" : " of the training set") +
           " was censored: the probability of being followed beyond it is 0";
  return "";
}

double error_of(std::span<const double> influence, int64_t members) {
  if (members < 2) return std::numeric_limits<double>::quiet_NaN();
  double sum = 0;
  for (double l : influence) sum += l * l;
  return std::sqrt(sum * static_cast<double>(members) / static_cast<double>(members - 1));
}

}  // namespace vesalius::outcome
