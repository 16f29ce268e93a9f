// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include <nlohmann/json.hpp>

namespace vesalius::segmentation::detail {

/// JSON of a file that a stranger wrote. nlohmann's parser keeps its own stack, but copies and prints values by recursion: a
/// deeper nesting than any of our formats has is refused here. @throws FormatError, nlohmann::json::exception.
nlohmann::ordered_json parse_json(const std::string& text);

}  // namespace vesalius::segmentation::detail
