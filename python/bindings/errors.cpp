// SPDX-License-Identifier: Apache-2.0
// The one place where C++ errors become Python's (`vesalius.errors` has the classes).
#include "bindings.h"

#include <new>

#include <c10/util/Exception.h>

#include <vesalius/core/error.h>

namespace {

void raise(const char* name, const char* message) {
  const py::object type = py::module_::import("vesalius.errors").attr(name);
  PyErr_SetString(type.ptr(), message);
}

}  // namespace

void bind_errors(py::module_&) {
  py::register_exception_translator([](std::exception_ptr pointer) {
    try {
      if (pointer) std::rethrow_exception(pointer);
    } catch (const vesalius::ShapeError& e) {
      raise("ShapeError", e.what());
    } catch (const vesalius::GeometryError& e) {
      raise("GeometryError", e.what());
    } catch (const vesalius::InvalidArgument& e) {
      raise("InvalidArgument", e.what());
    } catch (const vesalius::TypeMismatch& e) {
      raise("TypeMismatch", e.what());
    } catch (const vesalius::FormatError& e) {
      raise("FormatError", e.what());
    } catch (const vesalius::IoError& e) {
      raise("IoError", e.what());
    } catch (const vesalius::NotSupported& e) {
      raise("NotSupported", e.what());
    } catch (const vesalius::ConvergenceError& e) {
      raise("ConvergenceError", e.what());
    } catch (const vesalius::Cancelled& e) {
      // Ctrl-C has already set KeyboardInterrupt's own flag: the typed error replaces it.
      PyErr_Clear();
      raise("Cancelled", e.what());
    } catch (const vesalius::Error& e) {
      raise("Error", e.what());
    }
  });
}
