# SPDX-License-Identifier: Apache-2.0
"""The errors of Vesalius.

Each is also the built-in exception that a Python programmer would catch: a wrong argument is a
``ValueError``, a file that can't be read an ``OSError``. A message says what was asked, what was
expected, what came, and what to do.
"""


class Error(Exception):
    """Base of every error that Vesalius raises on purpose."""


class InvalidArgument(Error, ValueError):
    """An argument that is of the right type and makes no sense."""


class ShapeError(InvalidArgument):
    """A tensor of the wrong shape."""


class GeometryError(InvalidArgument):
    """An impossible geometry, or one that differs from what it must match."""


class TypeMismatch(Error, TypeError):
    """A value of the wrong type, such as a mask of floats."""


class IoError(Error, OSError):
    """Reading or writing failed."""


class FormatError(IoError):
    """A file was read and what it says is wrong."""


class NotSupported(Error, NotImplementedError):
    """Sensible, and not served by this build or device."""


class ConvergenceError(Error, RuntimeError):
    """An iteration did not reach its tolerance."""


class Cancelled(Error, KeyboardInterrupt):
    """The user stopped the work."""
