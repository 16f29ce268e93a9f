// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <functional>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include <vesalius/radiomics/catalogue.h>

#include "radiomics/roi.h"

namespace vesalius::radiomics {

/// A feature's value, or why the standard defines none.
struct Value {
  double value;
  const char* reason = nullptr;
  Value(double number) : value(number) {}  // NOLINT: a feature's function returns a plain number
  Value(double number, const char* why) : value(number), reason(why) {}
};
inline Value undefined(const char* why) { return {std::numeric_limits<double>::quiet_NaN(), why}; }

/// A feature's catalogue row and the function that computes it from what its family prepares (`Input`: a histogram,
/// a mesh, a co-occurrence matrix). A family's table is an array of these: adding a feature is adding one.
template <class Input>
struct Row {
  FeatureRow info;
  Value (*compute)(const Input&);
};

/// One way to compute a texture family: which matrices are made and merged.
struct Variant {
  Aggregation aggregation = Aggregation::merged_3d;
  int64_t distance = 1;
  std::string suffix;  ///< of the columns: "" for 3D merged at distance 1, else "_2D_avg_d2" and the like
};

struct FamilyInfo {
  std::string_view name, title, code;
};

/// A family as the rest of the module sees it.
struct Family {
  FamilyInfo info;
  std::vector<FeatureRow> rows;
  /// One entry for a family without aggregation.
  std::vector<Variant> (*variants)(const Settings&);
  /// A value for each row.
  std::function<std::vector<Value>(const Roi&, const Variant&)> compute;
};

/// For families that are computed once, whatever the aggregation.
inline std::vector<Variant> one_variant(const Settings&) { return {Variant{}}; }
/// For families with six aggregations and distances.
std::vector<Variant> texture_variants(const Settings& settings);
/// With six aggregations.
std::vector<Variant> run_variants(const Settings& settings);
/// Without directions to merge: each of 2D (8QNN; `averaged_2d`), 2.5D (62GR; `merged_2_5d`) and 3D (KOBO; `merged_3d`) once
/// that the settings' aggregations belong to.
std::vector<Variant> zone_variants(const Settings& settings);
/// The words of each, for the catalogue.
inline constexpr std::string_view kSixAggregations = "2D_avg 2D_comb 2_5D_avg 2_5D_comb 3D_avg 3D_comb";
inline constexpr std::string_view kThreeAggregations = "2D 2_5D 3D";

/// The mean over the matrices for which the feature is defined; `reason` is why there is no matrix.
template <class Input>
Value average(const std::vector<Input>& inputs, Value (*compute)(const Input&), const char* reason) {
  double sum = 0;
  int64_t defined = 0;
  for (const Input& input : inputs) {
    const Value v = compute(input);
    if (v.reason)
      reason = v.reason;
    else
      sum += v.value, ++defined;
  }
  return defined ? Value(sum / static_cast<double>(defined)) : undefined(reason);
}

/// Makes a family of its table. `prepare` gives what the functions work on: one `Input`, or one per matrix
/// where the feature is the average over directions or slices; none, if there is nothing: then the value is NaN and
/// `why_empty` the reason.
template <class Input, size_t N>
Family make_family(const FamilyInfo& info, const Row<Input> (&table)[N],
                   std::vector<Input> (*prepare)(const Roi&, const Variant&),
                   std::vector<Variant> (*variants)(const Settings&) = one_variant, std::string_view aggregations = "",
                   const char* why_empty = "there is nothing to compute it from") {
  Family family{info, {}, variants, {}};
  for (const auto& row : table) {
    FeatureRow filled = row.info;
    filled.family = info.name;
    filled.family_title = info.title;
    filled.family_code = info.code;
    filled.aggregation = aggregations;
    family.rows.push_back(filled);
  }
  family.compute = [&table, prepare, why_empty](const Roi& roi, const Variant& variant) {
    const std::vector<Input> inputs = prepare(roi, variant);
    std::vector<Value> values;
    values.reserve(N);
    for (const auto& row : table) values.push_back(average(inputs, row.compute, why_empty));
    return values;
  };
  return family;
}

/// All families in the order of the manual (families.cpp has the list).
const std::vector<Family>& all_families();
/// Those that the settings ask for. @throws InvalidArgument for an unknown name.
std::vector<const Family*> chosen_families(const Settings& settings);

}  // namespace vesalius::radiomics
