// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <omp.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <ATen/Parallel.h>

#include <vesalius/core/monitor.h>

namespace vesalius::segmentation::detail {

/// From here on this thread computes with a team of so many (1: alone). torch sets a thread's number of OpenMP threads when it is first
/// asked for it, in its library and, inlined, in ours: it is asked first, lest it undo what is set here.
inline void use_threads(int count) {
  at::get_num_threads();
  at::internal::lazy_init_num_threads();
  omp_set_num_threads(count);
}

/// work(i) for i in 0..count-1 on `jobs` threads (0: torch's number). The caller's thread reports and asks the monitor; the
/// first exception stops the rest and is thrown here. A worker computes on one thread: cases are the parallel dimension.
inline void for_each_case(int64_t count, int64_t jobs, Monitor* monitor,
                          const std::function<std::string(int64_t)>& name, const std::function<void(int64_t)>& work) {
  if (count == 0) return;
  jobs = std::clamp<int64_t>(jobs > 0 ? jobs : at::get_num_threads(), 1, count);
  std::atomic<int64_t> next{0}, done{0}, last{-1};
  std::atomic<bool> stop{false};
  std::exception_ptr failure;
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::thread> threads;
  const auto run = [&, jobs] {
    if (jobs > 1) use_threads(1);
    for (int64_t i; !stop && (i = next++) < count;) {
      try {
        work(i);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (!failure) failure = std::current_exception();
        stop = true;
      }
      last = i;
      const std::lock_guard lock(mutex);
      ++done;
      changed.notify_all();
    }
  };
  try {
    for (int64_t j = 0; j < jobs; ++j) threads.emplace_back(run);  // throws where the system gives no more threads
    int64_t told = -1;
    for (;;) {
      {
        std::unique_lock lock(mutex);
        changed.wait_for(lock, std::chrono::milliseconds(50), [&] { return done > told || stop; });
      }
      if (stop) break;
      const int64_t now = done;
      if (now != told)
        step(monitor, now, count, last >= 0 ? name(last) : "");
      else if (monitor && monitor->cancelled())
        step(monitor, now, count, "");
      told = now;
      if (now >= count) break;
    }
  } catch (...) {
    stop = true;
    for (auto& thread : threads) thread.join();
    throw;
  }
  for (auto& thread : threads) thread.join();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace vesalius::segmentation::detail
