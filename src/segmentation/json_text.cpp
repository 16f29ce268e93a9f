// SPDX-License-Identifier: Apache-2.0
#include "segmentation/json_text.h"

#include <vesalius/core/error.h>

namespace vesalius::segmentation::detail {

nlohmann::ordered_json parse_json(const std::string& text) {
  constexpr int kDeepest = 32;
  using Json = nlohmann::ordered_json;
  return Json::parse(text, [](int depth, Json::parse_event_t, Json&) {
    if (depth > kDeepest) throw FormatError("the JSON is nested more than 32 levels deep");
    return true;
  });
}

}  // namespace vesalius::segmentation::detail
