// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>

#include <vesalius/segmentation/dataset.h>

namespace vesalius::segmentation::detail {

nlohmann::ordered_json label_set_to_json(const LabelSet& set);
/// @throws FormatError.
LabelSet label_set_from_json(const nlohmann::ordered_json& json);

}  // namespace vesalius::segmentation::detail
