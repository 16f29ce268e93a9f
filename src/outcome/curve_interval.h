// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <utility>

#include <vesalius/outcome/kaplan_meier.h>

namespace vesalius::outcome {

/// Limits around a probability `s` whose standard error is s · relative_se; NaN at 0.
std::pair<double, double> curve_interval(double s, double relative_se, double z, CurveInterval kind);

}  // namespace vesalius::outcome
