// SPDX-License-Identifier: Apache-2.0
#include "bindings.h"

void bind_explain(py::module_& parent) { parent.def_submodule("explain"); }
