// SPDX-License-Identifier: Apache-2.0
#include <vesalius/radiomics/catalogue.h>

#include <algorithm>

#include <vesalius/core/error.h>

#include "radiomics/family.h"

/// The families in the order of the IBSI manual. A new family is one line here and one file that defines
/// `Family make_<name>()`.
#define VESALIUS_RADIOMICS_FAMILIES(X) \
  X(morphology)                        \
  X(local_intensity)                   \
  X(intensity_statistics)              \
  X(intensity_histogram)               \
  X(intensity_volume_histogram)        \
  X(glcm)                              \
  X(glrlm)                             \
  X(glszm)                             \
  X(gldzm)                             \
  X(ngtdm)                             \
  X(ngldm)

namespace vesalius::radiomics {

#define VESALIUS_DECLARE(name) Family make_##name();
VESALIUS_RADIOMICS_FAMILIES(VESALIUS_DECLARE)
#undef VESALIUS_DECLARE

const std::vector<Family>& all_families() {
#define VESALIUS_MAKE(name) make_##name(),
  static const std::vector<Family> list{VESALIUS_RADIOMICS_FAMILIES(VESALIUS_MAKE)};
#undef VESALIUS_MAKE
  return list;
}

std::vector<std::string> families() {
  std::vector<std::string> names;
  for (const Family& family : all_families()) names.emplace_back(family.info.name);
  return names;
}

std::vector<const Family*> chosen_families(const Settings& settings) {
  std::vector<const Family*> chosen;
  for (const auto& name : settings.families)
    if (std::ranges::none_of(all_families(), [&](const Family& f) { return f.info.name == name; })) {
      std::string known;
      for (const auto& f : families()) known += (known.empty() ? "" : ", ") + f;
      throw InvalidArgument("setting \"families\": \"" + name + "\" is unknown; there are: " + known);
    }
  for (const Family& family : all_families())
    if (settings.families.empty() || std::ranges::find(settings.families, family.info.name) != settings.families.end())
      chosen.push_back(&family);
  return chosen;
}

namespace {

std::string suffix(Aggregation aggregation, int64_t distance) {
  std::string text;
  if (aggregation != Aggregation::merged_3d) text += "_" + to_string(aggregation);
  if (distance != 1) text += "_d" + std::to_string(distance);
  return text;
}

std::vector<Variant> variants_of(const Settings& settings, const std::vector<int64_t>& distances) {
  std::vector<Variant> variants;
  for (const auto& word : settings.aggregation) {
    Aggregation aggregation;
    from_string(word, aggregation);
    for (int64_t distance : distances) variants.push_back({aggregation, distance, suffix(aggregation, distance)});
  }
  return variants;
}

}  // namespace

std::vector<Variant> texture_variants(const Settings& settings) {
  return variants_of(settings, settings.glcm_distances);
}
std::vector<Variant> run_variants(const Settings& settings) { return variants_of(settings, {1}); }

std::vector<Variant> zone_variants(const Settings& settings) {
  std::vector<Variant> variants;
  for (const Variant& v : run_variants(settings)) {
    Variant zone{Aggregation::merged_3d, 1, ""};
    if (v.aggregation == Aggregation::averaged_2d || v.aggregation == Aggregation::slice_merged_2d)
      zone = {Aggregation::averaged_2d, 1, "_2D"};
    if (v.aggregation == Aggregation::direction_merged || v.aggregation == Aggregation::merged_2_5d)
      zone = {Aggregation::merged_2_5d, 1, "_2_5D"};
    if (std::ranges::find(variants, zone.suffix, &Variant::suffix) == variants.end()) variants.push_back(zone);
  }
  return variants;
}

std::span<const FeatureRow> catalogue() {
  static const std::vector<FeatureRow> rows = [] {
    std::vector<FeatureRow> all;
    for (const Family& family : all_families()) all.insert(all.end(), family.rows.begin(), family.rows.end());
    return all;
  }();
  return rows;
}

const FeatureRow& find_feature(std::string_view name) {
  std::vector<std::string> known;
  std::vector<const FeatureRow*> found;
  for (const FeatureRow& row : catalogue()) {
    if (row.name == name) return row;
    if ((!row.code.empty() && row.code == name) || (!row.pyradiomics.empty() && row.pyradiomics == name))
      found.push_back(&row);
    known.emplace_back(row.name);
  }
  if (found.size() == 1) return *found.front();
  if (!found.empty()) {  // the volume at 10 % and at 90 % of the intensities have one code
    std::string candidates;
    for (const FeatureRow* row : found) candidates += (candidates.empty() ? "" : ", ") + std::string(row->name);
    throw InvalidArgument("\"" + std::string(name) + "\" is the code of several features; say which: " + candidates);
  }
  throw InvalidArgument("no feature is called \"" + std::string(name) + "\"." +
                        vesalius::detail::did_you_mean(name, known) +
                        " vesalius.radiomics.catalogue() lists all, by IBSI tag, IBSI code and PyRadiomics name");
}

std::vector<Column> columns(const Settings& settings) {
  settings.validate();
  std::vector<Column> out;
  for (const Family* family : chosen_families(settings)) {
    const FeatureRow* row = catalogue().data();  // as the families follow each other there
    for (const Family* before = all_families().data(); before != family; ++before) row += before->rows.size();
    for (const Variant& variant : family->variants(settings))
      for (size_t k = 0; k < family->rows.size(); ++k)
        out.push_back({std::string(row[k].name) + variant.suffix, row + k});
  }
  return out;
}

}  // namespace vesalius::radiomics
