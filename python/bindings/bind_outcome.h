// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "bindings.h"

// Parts of vesalius._vesalius.outcome, a file each.
void bind_outcome_cox(py::module_& m);
void bind_outcome_curves(py::module_& m);
void bind_outcome_measures(py::module_& m);
void bind_outcome_parametric(py::module_& m);
void bind_outcome_regression(py::module_& m);
