// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdexcept>
#include <string>

#include <vesalius/core/export.h>

/// The errors of Vesalius. A message says what was asked, what was expected, what came, and, where
/// there is one, what to do. `python/bindings/errors.cpp` is the one place that maps them to Python.
namespace vesalius {

/// Base of every error thrown on purpose. Python: `vesalius.Error`.
class VESALIUS_API Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// An argument that is of the right type and makes no sense. Python: also a `ValueError`.
class VESALIUS_API InvalidArgument : public Error {
 public:
  using Error::Error;
};

/// A tensor of the wrong shape.
class VESALIUS_API ShapeError : public InvalidArgument {
 public:
  using InvalidArgument::InvalidArgument;
};

/// A geometry that is impossible (zero spacing, singular direction) or differs from what it must match.
class VESALIUS_API GeometryError : public InvalidArgument {
 public:
  using InvalidArgument::InvalidArgument;
};

/// A value of the wrong type, such as a mask of floats. Python: also a `TypeError`.
class VESALIUS_API TypeMismatch : public Error {
 public:
  using Error::Error;
};

/// Reading or writing failed: no such file, no permission, disk full. Python: also an `OSError`.
class VESALIUS_API IoError : public Error {
 public:
  using Error::Error;
};

/// A file was read and what it says is wrong: truncated, inconsistent, hostile.
class VESALIUS_API FormatError : public IoError {
 public:
  using IoError::IoError;
};

/// The request is sensible and not served by this build or this device. Python: `NotImplementedError`.
class VESALIUS_API NotSupported : public Error {
 public:
  using Error::Error;
};

/// An iteration that did not reach its tolerance. Python: also a `RuntimeError`.
class VESALIUS_API ConvergenceError : public Error {
 public:
  using Error::Error;
};

/// The user stopped the work. Python: also a `KeyboardInterrupt`.
class VESALIUS_API Cancelled : public Error {
 public:
  using Error::Error;
};

}  // namespace vesalius
