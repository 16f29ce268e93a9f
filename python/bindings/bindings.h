// SPDX-License-Identifier: Apache-2.0
#pragma once

// torch's casters: at::Tensor is torch.Tensor, and pybind11 itself is the one inside the torch wheel.
#include <torch/csrc/utils/pybind.h>

#include <pybind11/stl.h>

namespace py = pybind11;

// One function a module, in bind_<module>.cpp; each makes the submodule vesalius._vesalius.<module>.
// Bindings convert arguments and release the GIL; they hold no logic.
void bind_errors(py::module_& m);
void bind_core(py::module_& m);
void bind_io(py::module_& m);
void bind_image(py::module_& m);
void bind_store(py::module_& m);
void bind_radiomics(py::module_& m);
void bind_segmentation(py::module_& m);
void bind_outcome(py::module_& m);
void bind_explain(py::module_& m);

/// For functions that compute or read: other Python threads run meanwhile.
using ReleaseGil = py::call_guard<py::gil_scoped_release>;
