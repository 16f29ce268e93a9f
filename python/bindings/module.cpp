// SPDX-License-Identifier: Apache-2.0
#include "bindings.h"

#include <vesalius/core/device.h>
#include <vesalius/core/version.h>

PYBIND11_MODULE(_vesalius, m) {
  m.doc() = "The C++ core of Vesalius. Use the package `vesalius`; this module is how it is made.";
  m.attr("__version__") = VESALIUS_VERSION;
  m.attr("torch_version") = VESALIUS_TORCH_VERSION;
  bind_errors(m);
  bind_core(m);
  bind_io(m);
  bind_image(m);
  bind_store(m);
  bind_radiomics(m);
  bind_segmentation(m);
  bind_outcome(m);
  bind_explain(m);
}
