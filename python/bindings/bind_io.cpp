// SPDX-License-Identifier: Apache-2.0
#include "bindings.h"

void bind_io(py::module_& parent) {
  parent.def_submodule("io");
}
