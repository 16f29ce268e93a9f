// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace vesalius::segmentation {

/// "1 2" → {1, 2}. @throws InvalidArgument for anything else.
std::vector<int64_t> numbers_of(const std::string& text);

}  // namespace vesalius::segmentation
