// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include <vesalius/core/export.h>

namespace vesalius {

/// How long work tells its caller how far it is and learns that it should stop.
/// The base class is silent and never cancels; derive from it, or pass nullptr.
class VESALIUS_API Monitor {
 public:
  virtual ~Monitor();
  /// `done` of `total` units; `what` says what was just done.
  virtual void report(int64_t done, int64_t total, const std::string& what);
  /// Asked often and must be quick.
  virtual bool cancelled();
};

/// Reports to `monitor`, which may be null. @throws Cancelled if it wants to stop.
VESALIUS_API void step(Monitor* monitor, int64_t done, int64_t total, const std::string& what = "");

}  // namespace vesalius
