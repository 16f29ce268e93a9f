// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "bindings.h"

#include <chrono>
#include <exception>

#include <vesalius/core/monitor.h>

/// A Monitor over a Python callable `progress(done, total, what)` (or None) that honours Ctrl-C. It takes the
/// GIL at most every 50 ms, so that tight loops may ask as often as they like. An exception raised by
/// the callable stops the work and comes through.
class PyMonitor : public vesalius::Monitor {
 public:
  explicit PyMonitor(py::object progress) : progress_(std::move(progress)) {}

  void report(int64_t done, int64_t total, const std::string& what) override {
    if (done != total && !due(reported_)) return;
    py::gil_scoped_acquire gil;
    if (progress_.is_none()) return;
    progress_(done, total, what);  // error_already_set passes through the C++ frames to the caller
  }

  bool cancelled() override {
    if (!due(checked_)) return false;
    py::gil_scoped_acquire gil;
    if (PyErr_CheckSignals() == 0) return false;
    if (PyErr_ExceptionMatches(PyExc_KeyboardInterrupt)) {
      PyErr_Clear();
      return true;
    }
    throw py::error_already_set();
  }

 private:
  using Clock = std::chrono::steady_clock;
  static bool due(Clock::time_point& last) {
    const auto now = Clock::now();
    if (now - last < std::chrono::milliseconds(50)) return false;
    last = now;
    return true;
  }
  py::object progress_;
  Clock::time_point reported_{}, checked_{};
};
