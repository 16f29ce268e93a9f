// SPDX-License-Identifier: Apache-2.0
// A study's features and predictions.
#include <algorithm>
#include <set>

#include "store/study_impl.h"

namespace vesalius::store {
namespace {

void require_set_name(const std::string& hash) {
  const bool plain = !hash.empty() && hash.size() <= 128 && std::all_of(hash.begin(), hash.end(), [](unsigned char c) {
    return std::isalnum(c) || c == '-' || c == '_';
  });
  if (!plain)
    throw InvalidArgument("features need their settings' hash (letters and digits); it was \"" + encode_name(hash) +
                          "\"");
}

void require_columns(const FeatureValues& features) {
  const size_t count = features.names.size();
  if (count == 0) throw InvalidArgument("features to store: there are none");
  if (features.values.size() != count || features.codes.size() != count)
    throw ShapeError("features to store: " + std::to_string(count) + " names, " +
                     std::to_string(features.codes.size()) + " codes, " + std::to_string(features.values.size()) +
                     " values; they must be equally many");
  std::set<std::string> seen;
  for (size_t i = 0; i < count; ++i) {
    require_name(features.names[i], "a feature's name");
    if (!seen.insert(features.names[i]).second)
      throw InvalidArgument("feature \"" + features.names[i] + "\" is there twice");
    if (!is_utf8(features.codes[i]))
      throw InvalidArgument("feature \"" + features.names[i] + "\": its code must be UTF-8 text");
  }
  require_name(features.image, "an image's name");
  require_name(features.mask, "a mask's name");
  if (!is_utf8(features.settings_yaml) || features.settings_yaml.find('\0') != std::string::npos)
    throw InvalidArgument("features to store: the settings must be UTF-8 text");
}

/// The columns that another case's row of the set already holds, if they are the same: thousands of names once.
std::shared_ptr<const Columns> shared_columns(const State& state, const std::string& set, Columns columns) {
  for (const auto& record : state.cases) {
    const auto row = record->features.find(set);
    if (row != record->features.end() && *row->second.columns == columns) return row->second.columns;
  }
  return std::make_shared<const Columns>(std::move(columns));
}

}  // namespace

std::string Study::feature_set(const FeatureValues& features) {
  require_set_name(features.settings_hash);
  if (features.image == "image" && features.mask == "mask" && features.label == 1) return features.settings_hash;
  return features.settings_hash + "." + encode_name(features.image) + "." + encode_name(features.mask) + "." +
         std::to_string(features.label);
}

void Study::add_features(const CaseId& id, const FeatureValues& features) {
  require_columns(features);
  const std::string set = feature_set(features);
  const hdf5::Guard guard;
  Impl& self = *impl_;
  self.require_writable();
  CaseRecord record = self.get(id);
  const VoxelInfo* image = record.image(features.image);
  const VoxelInfo* mask = record.mask(features.mask);
  if (!image || !mask)
    throw InvalidArgument("subject " + spell(record.info.id) + " has no " +
                          (image ? "mask \"" + features.mask : "image \"" + features.image) +
                          "\" that features could come from");
  FeatureRow row;
  row.settings_yaml = features.settings_yaml, row.settings_hash = features.settings_hash;
  row.image = features.image, row.mask = features.mask, row.label = features.label;
  row.image_content = image->content, row.mask_content = mask->content;
  row.computed = now_utc(), row.software = software();
  row.columns = shared_columns(self.state, set, {features.names, features.codes});
  row.values = features.values;
  record.features[set] = std::move(row);
  std::vector<StagedFile> files;
  files.emplace_back(self.layout.feature_file(record.info.key), feature_bytes(record.info, record.features));
  State next = self.state;
  next.put(std::move(record));
  self.commit(std::move(next), std::move(files));
}

bool Study::has_features(const CaseId& id, const std::string& set) const {
  const hdf5::Guard guard;
  const auto& features = impl_->get(id).features;
  return features.find(set) != features.end();  // rows of other voxels are dropped as soon as the voxels change
}

std::vector<std::string> Study::feature_sets() const {
  const hdf5::Guard guard;
  impl_->require_open();
  std::set<std::string> sets;
  for (const auto& record : impl_->state.cases)
    for (const auto& [set, row] : record->features) sets.insert(set);
  return {sets.begin(), sets.end()};
}

FeatureTable Study::features(const std::string& set) const {
  const hdf5::Guard guard;
  impl_->require_open();
  auto tables = feature_tables(impl_->state);
  const auto at = tables.find(set);
  if (at == tables.end())
    throw InvalidArgument("no features \"" + set + "\" in " + impl_->path + "; there are " +
                          list(tables, [](const auto& item) { return item.first; }));
  return std::move(at->second.table);
}

void Study::add_predictions(const std::string& name, const Predictions& predictions, bool overwrite) {
  require_name(name, "the name of predictions");
  const hdf5::Guard guard;
  Impl& self = *impl_;
  self.require_writable();
  if (self.state.predictions.count(name) && !overwrite)
    throw InvalidArgument("predictions \"" + name + "\" are in " + self.path +
                          " already; pass overwrite to replace them");
  auto stored = std::make_shared<Predictions>();
  stored->about = checked(predictions.about, "what is said about predictions");
  std::set<std::string> seen;
  for (const auto& [id, record] : predictions.rows) {
    const CaseInfo& info = self.get(id).info;
    if (!seen.insert(info.key).second)
      throw InvalidArgument("predictions \"" + name + "\" name subject " + spell(id) + " twice");
    stored->rows.emplace_back(info.id, checked(record, "predictions"));
  }
  State next = self.state;
  next.predictions[name] = std::move(stored);
  self.commit(std::move(next), {}, true);
}

std::vector<std::string> Study::prediction_names() const {
  const hdf5::Guard guard;
  impl_->require_open();
  std::vector<std::string> names;
  for (const auto& [name, predictions] : impl_->state.predictions) names.push_back(name);
  return names;
}

Predictions Study::predictions(const std::string& name) const {
  const hdf5::Guard guard;
  impl_->require_open();
  const auto at = impl_->state.predictions.find(name);
  if (at == impl_->state.predictions.end())
    throw InvalidArgument("no predictions \"" + name + "\" in " + impl_->path + "; there are " +
                          list(impl_->state.predictions, [](const auto& item) { return item.first; }));
  return *at->second;
}

}  // namespace vesalius::store
