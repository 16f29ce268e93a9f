// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <vector>

#include <ATen/core/Tensor.h>

#include <vesalius/core/monitor.h>
#include <vesalius/segmentation/sliding_window.h>

namespace vesalius::segmentation::detail {

/// Batches 0 … count − 1: `cut` makes the input of one, a network computes it, `done` gets its outputs (float32, on the CPU),
/// in order and on the caller's thread. With one network all of it happens there; with more each has a thread that cuts ahead
/// of the others, at most two batches a network, and the outputs are the same: a batch doesn't know who computed it.
void run_batches(const std::vector<TileNetwork>& networks, int64_t count, const std::function<at::Tensor(int64_t)>& cut,
                 const std::function<std::vector<at::Tensor>(const TileNetwork&, const at::Tensor&)>& compute,
                 const std::function<void(int64_t, const std::vector<at::Tensor>&)>& done, Monitor* monitor);

}  // namespace vesalius::segmentation::detail
