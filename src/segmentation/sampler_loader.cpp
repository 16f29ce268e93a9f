// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <map>
#include <mutex>
#include <thread>

#include <vesalius/core/error.h>
#include <vesalius/segmentation/sampler.h>

#include "segmentation/sampler_state.h"
#include "segmentation/workers.h"

namespace vesalius::segmentation {

/// Threads take samples (not batches) in order, so that a batch of two is made by two of them. At most `prefetch` batches
/// beyond the one asked for are begun.
struct PatchLoader::State {
  struct Slot {
    PatchBatch batch;
    int64_t done = 0;
    std::exception_ptr failure;
  };

  PatchSampler sampler;  // shares the cases: the loader may outlive the sampler it was made from
  int64_t iterations, last, prefetch, samples;
  int64_t next_step, next_sample = 0;  // to be begun
  int64_t wanted;                      // to be handed out
  std::map<int64_t, std::unique_ptr<Slot>> slots;
  bool stop = false;
  std::mutex mutex;
  std::condition_variable work, ready;
  std::vector<std::thread> threads;

  State(const PatchSampler& from, int64_t first, int64_t last_, int64_t iterations_, int64_t prefetch_)
      : sampler(from),
        iterations(iterations_),
        last(last_),
        prefetch(prefetch_),
        samples(from.options().batch_size),
        next_step(first),
        wanted(first) {}

  void run() {
    detail::use_threads(1);  // samples are the parallel dimension
    std::unique_lock lock(mutex);
    for (;;) {
      work.wait(lock, [&] { return stop || (next_step < last && next_step < wanted + prefetch); });
      if (stop) return;
      const int64_t step = next_step, sample = next_sample;
      auto& place = slots[step];
      if (++next_sample == samples) next_sample = 0, ++next_step;
      std::exception_ptr failure;
      if (!place) {
        place = std::make_unique<Slot>();
        try {
          place->batch = sampler.state_->empty_batch(step / iterations, step % iterations);
        } catch (...) {
          place->failure = std::current_exception();
        }
      }
      Slot& slot = *place;
      const bool skip = slot.failure != nullptr;
      lock.unlock();
      try {
        if (!skip) sampler.state_->make(slot.batch, sample);
      } catch (...) {
        failure = std::current_exception();
      }
      lock.lock();
      if (failure && !slot.failure) slot.failure = failure;
      if (++slot.done == samples) ready.notify_all();
    }
  }

  void join() {
    {
      const std::lock_guard lock(mutex);
      stop = true;
    }
    work.notify_all();
    for (auto& thread : threads)
      if (thread.joinable()) thread.join();
  }
};

PatchLoader::PatchLoader(const PatchSampler& sampler, int64_t first, int64_t last, int64_t iterations, int64_t threads,
                         int64_t prefetch) {
  if (iterations < 1 || first < 0 || last < first)
    throw InvalidArgument("a loader needs steps 0 <= first <= last and at least one iteration an epoch; got " +
                          std::to_string(first) + ", " + std::to_string(last) + ", " + std::to_string(iterations));
  if (threads < 0 || prefetch < 0) throw InvalidArgument("threads and prefetch can't be negative");
  if (threads == 0) threads = std::clamp<int64_t>(std::thread::hardware_concurrency(), 1, 8);
  if (prefetch == 0) prefetch = threads / sampler.options().batch_size + 2;
  state_ = std::make_unique<State>(sampler, first, last, iterations, prefetch);
  try {
    for (int64_t i = 0; i < threads; ++i) state_->threads.emplace_back([state = state_.get()] { state->run(); });
  } catch (...) {
    state_->join();
    throw;
  }
}

PatchLoader::~PatchLoader() { state_->join(); }

std::optional<PatchBatch> PatchLoader::next(Monitor* monitor) {
  State& s = *state_;
  std::unique_lock lock(s.mutex);
  if (s.wanted >= s.last) return std::nullopt;
  const auto done = [&] {
    const auto found = s.slots.find(s.wanted);
    return found != s.slots.end() && found->second->done == s.samples;
  };
  while (!s.ready.wait_for(lock, std::chrono::milliseconds(50), done)) {
    lock.unlock();
    if (monitor && monitor->cancelled()) throw Cancelled("stopped while waiting for a batch");
    lock.lock();
  }
  const std::unique_ptr<State::Slot> slot = std::move(s.slots.at(s.wanted));
  s.slots.erase(s.wanted++);
  lock.unlock();
  s.work.notify_all();
  if (slot->failure) std::rethrow_exception(slot->failure);
  return std::move(slot->batch);
}

}  // namespace vesalius::segmentation
