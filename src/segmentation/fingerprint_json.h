// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include <nlohmann/json.hpp>

#include <vesalius/segmentation/fingerprint.h>

namespace vesalius::segmentation::detail {

nlohmann::ordered_json statistics_to_json(const std::vector<ChannelStatistics>& channels);
/// @throws FormatError, nlohmann::json::exception.
std::vector<ChannelStatistics> statistics_from_json(const nlohmann::ordered_json& json);

}  // namespace vesalius::segmentation::detail
