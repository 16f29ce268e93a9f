// SPDX-License-Identifier: Apache-2.0
#include "segmentation/tile_pipeline.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <map>
#include <mutex>
#include <thread>

#include <ATen/Parallel.h>
#include <ATen/ThreadLocalState.h>
#include <ATen/core/grad_mode.h>

#include "segmentation/workers.h"

namespace vesalius::segmentation::detail {
namespace {

std::vector<at::Tensor> on_cpu(std::vector<at::Tensor> outputs) {
  for (at::Tensor& t : outputs) t = t.to(at::kCPU, at::kFloat);
  return outputs;
}

constexpr int64_t kAhead = 2;  // batches under way or waiting, for each network
constexpr auto kPatience = std::chrono::milliseconds(100);

/// What the threads and the caller share.
struct Shared {
  std::mutex mutex;
  std::condition_variable changed;
  std::map<int64_t, std::vector<at::Tensor>> ready;
  int64_t next = 0, taken = 0;  ///< to be computed; to be handed over
  bool stop = false;
  std::exception_ptr failure;
};

}  // namespace

void run_batches(const std::vector<TileNetwork>& networks, int64_t count, const std::function<at::Tensor(int64_t)>& cut,
                 const std::function<std::vector<at::Tensor>(const TileNetwork&, const at::Tensor&)>& compute,
                 const std::function<void(int64_t, const std::vector<at::Tensor>&)>& done, Monitor* monitor) {
  if (networks.size() == 1) {
    for (int64_t i = 0; i < count; ++i) done(i, on_cpu(compute(networks[0], cut(i))));
    return;
  }
  Shared shared;
  const at::ThreadLocalState caller;  // autocast, gradients: as where the call came from
  const int threads = std::max(1, at::get_num_threads() / static_cast<int>(networks.size()));
  const int64_t ahead = kAhead * static_cast<int64_t>(networks.size());
  const auto work = [&](const TileNetwork& network) {
    const at::ThreadLocalStateGuard state(caller);
    const at::NoGradGuard no_gradients;
    use_threads(threads);
    for (;;) {
      int64_t own = 0;
      {
        std::unique_lock lock(shared.mutex);
        shared.changed.wait(lock,
                            [&] { return shared.stop || shared.next >= count || shared.next < shared.taken + ahead; });
        if (shared.stop || shared.next >= count) return;
        own = shared.next++;
      }
      try {
        auto outputs = on_cpu(compute(network, cut(own)));
        const std::lock_guard lock(shared.mutex);
        shared.ready[own] = std::move(outputs);
      } catch (...) {
        const std::lock_guard lock(shared.mutex);
        if (!shared.failure) shared.failure = std::current_exception();
        shared.stop = true;
      }
      shared.changed.notify_all();
    }
  };
  std::vector<std::thread> workers;
  const auto finish = [&] {
    {
      const std::lock_guard lock(shared.mutex);
      shared.stop = true;
    }
    shared.changed.notify_all();
    for (auto& worker : workers) worker.join();
  };
  try {
    for (const TileNetwork& network : networks) workers.emplace_back([&work, &network] { work(network); });
    for (int64_t i = 0; i < count; ++i) {
      std::vector<at::Tensor> outputs;
      for (bool here = false; !here;) {
        {
          std::unique_lock lock(shared.mutex);
          shared.changed.wait_for(lock, kPatience, [&] { return shared.stop || shared.ready.count(i) > 0; });
          if (shared.stop) break;
          here = shared.ready.count(i) > 0;
          if (here) {
            outputs = std::move(shared.ready[i]);
            shared.ready.erase(i);
            ++shared.taken;
          }
        }
        if (!here && monitor && monitor->cancelled()) step(monitor, i, count, "tiles");
      }
      if (shared.stop) break;
      shared.changed.notify_all();
      done(i, outputs);
    }
  } catch (...) {
    finish();
    throw;
  }
  finish();
  if (shared.failure) std::rethrow_exception(shared.failure);
}

}  // namespace vesalius::segmentation::detail
