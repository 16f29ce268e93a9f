// SPDX-License-Identifier: Apache-2.0
#include <vesalius/core/monitor.h>

#include <vesalius/core/error.h>

namespace vesalius {

Monitor::~Monitor() = default;
void Monitor::report(int64_t, int64_t, const std::string&) {}
bool Monitor::cancelled() { return false; }

void step(Monitor* monitor, int64_t done, int64_t total, const std::string& what) {
  if (!monitor) return;
  if (monitor->cancelled())
    throw Cancelled("stopped by the user after " + std::to_string(done) + " of " + std::to_string(total));
  monitor->report(done, total, what);
}

}  // namespace vesalius
