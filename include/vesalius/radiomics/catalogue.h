// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <vesalius/core/export.h>
#include <vesalius/radiomics/settings.h>

namespace vesalius::radiomics {

/// One feature: everything that is said of it anywhere is read from here (DESIGN 4). The rows stand in the source
/// file of their family, beside the functions that compute them.
struct FeatureRow {
  std::string_view name;         ///< IBSI's tag, "stat_mean"
  std::string_view code;         ///< IBSI's four letters, "Q4LE"; "" for a feature that IBSI lacks
  std::string_view title;        ///< "Mean intensity"
  std::string_view unit;         ///< "mm3", "intensity" (that of the image), "1" for a pure number
  std::string_view formula;      ///< LaTeX
  std::string_view reference;    ///< the section of the IBSI 1 manual that defines it
  std::string_view pyradiomics;  ///< PyRadiomics' name where it means the same, else ""
  std::string_view family = {};  ///< "intensity_statistics"; filled in by the family
  std::string_view family_title = {};
  std::string_view family_code = {};  ///< IBSI's code of the family
  std::string_view aggregation = {};  ///< the aggregations that apply: "", or a list of `Aggregation`'s words
};

/// All features, in the order of the IBSI manual. Lives as long as the program.
VESALIUS_API std::span<const FeatureRow> catalogue();
/// By IBSI tag, IBSI code or PyRadiomics name. @throws InvalidArgument with the nearest name.
VESALIUS_API const FeatureRow& find_feature(std::string_view name);
/// The families' names, in order.
VESALIUS_API std::vector<std::string> families();

/// One number that `extract` gives with some settings: a feature, and how it is aggregated.
struct Column {
  std::string name;  ///< the tag; with "_2D_avg", "_d2" appended where aggregation or distance are not "3D_comb" and 1
  const FeatureRow* row = nullptr;
};
/// What `extract` will give, without extracting: the columns of a table.
VESALIUS_API std::vector<Column> columns(const Settings& settings);

}  // namespace vesalius::radiomics
