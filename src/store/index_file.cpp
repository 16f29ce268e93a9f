// SPDX-License-Identifier: Apache-2.0
#include "store/index_file.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <tuple>
#include <unordered_map>

#include "store/files.h"

namespace fs = std::filesystem;

namespace vesalius::store {
namespace {

/// 0 text, 1 truth, 2 whole number, 3 number; a column's kind is the widest of its cells.
enum class Kind { text, truth, whole, number };

Kind kind_of(const Value& value) {
  if (std::holds_alternative<std::string>(value)) return Kind::text;
  if (std::holds_alternative<bool>(value)) return Kind::truth;
  return std::holds_alternative<int64_t>(value) ? Kind::whole : Kind::number;
}

std::string kind_name(Kind kind) {
  return kind == Kind::text ? "text" : kind == Kind::truth ? "bool" : kind == Kind::whole ? "int" : "float";
}

double number_of(const Value& value) {
  if (const auto* yes = std::get_if<bool>(&value)) return *yes ? 1.0 : 0.0;
  if (const auto* whole = std::get_if<int64_t>(&value)) return static_cast<double>(*whole);
  if (const auto* number = std::get_if<double>(&value)) return *number;
  return std::numeric_limits<double>::quiet_NaN();
}

std::string text_of(const Value& value) {
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  return std::holds_alternative<std::monostate>(value) ? "" : std::to_string(number_of(value));
}

struct Column {
  std::string name;
  Kind kind;
  std::vector<Value> cells;
};

/// Rows of records as columns, in the order in which names first come.
std::vector<Column> columns_of(const std::vector<const Record*>& rows) {
  std::vector<Column> columns;
  std::unordered_map<std::string, size_t> place;
  for (size_t r = 0; r < rows.size(); ++r) {
    for (const auto& [name, value] : *rows[r]) {
      if (std::holds_alternative<std::monostate>(value)) continue;
      const auto [at, fresh] = place.try_emplace(name, columns.size());
      if (fresh) columns.push_back({name, kind_of(value), std::vector<Value>(rows.size())});
      Column& column = columns[at->second];
      const Kind kind = kind_of(value);
      if (kind == Kind::text || column.kind == Kind::text)
        column.kind = Kind::text;
      else
        column.kind = std::max(column.kind, kind);
      column.cells[r] = value;
    }
  }
  return columns;
}

void write_table(hid_t where, const std::string& name, const std::vector<const Record*>& rows) {
  const hdf5::Group group = hdf5::make_group(where, name);
  for (const auto& column : columns_of(rows)) {
    const std::string link = encode_name(column.name);
    if (column.kind == Kind::text) {
      std::vector<std::string> cells;
      for (const auto& cell : column.cells) cells.push_back(text_of(cell));
      hdf5::write_texts(group, link, cells);
    } else {
      std::vector<double> cells;
      for (const auto& cell : column.cells) cells.push_back(number_of(cell));
      hdf5::write_doubles(group, link, cells, {cells.size()});
    }
    const hdf5::Dataset dataset = hdf5::open_dataset(group, link);
    hdf5::write_attribute(dataset, "name", column.name);
    hdf5::write_attribute(dataset, "kind", kind_name(column.kind));
  }
}

std::vector<Record> read_table(hid_t where, const std::string& name, size_t rows) {
  std::vector<Record> records(rows);
  const hdf5::Group group = hdf5::open_group(where, name);
  for (const auto& link : hdf5::link_names(group)) {
    const hdf5::Dataset dataset = hdf5::open_dataset(group, link);
    const std::string column = hdf5::read_text(dataset, "name"), kind = hdf5::read_text(dataset, "kind");
    if (kind == "text") {
      const auto cells = hdf5::read_texts(group, link);
      if (cells.size() != rows)
        throw FormatError("column \"" + column + "\" of " + name + " has " + std::to_string(cells.size()) +
                          " rows, the study " + std::to_string(rows));
      for (size_t r = 0; r < rows; ++r)
        if (!cells[r].empty()) records[r].emplace_back(column, cells[r]);
      continue;
    }
    const auto cells = hdf5::read_doubles(group, link, rows);
    for (size_t r = 0; r < rows; ++r) {
      if (std::isnan(cells[r])) continue;
      if (kind == "bool")
        records[r].emplace_back(column, cells[r] != 0);
      else if (kind == "int" && std::abs(cells[r]) < 9.1e15)
        records[r].emplace_back(column, static_cast<int64_t>(cells[r]));
      else
        records[r].emplace_back(column, cells[r]);
    }
  }
  return records;
}

/// The named text columns of a group, which must be of one length.
std::vector<std::vector<std::string>> read_columns(hid_t group, const std::vector<std::string>& names) {
  std::vector<std::vector<std::string>> columns;
  for (const auto& name : names) {
    columns.push_back(hdf5::read_texts(group, name));
    if (columns.back().size() != columns.front().size())
      throw FormatError("columns \"" + names.front() + "\" and \"" + name + "\" differ in length");
  }
  return columns;
}

std::string shape_text(const std::vector<int64_t>& shape) {
  std::string text;
  for (const int64_t size : shape) text += (text.empty() ? "" : "x") + std::to_string(size);
  return text;
}

std::vector<int64_t> shape_from(const std::string& text) {
  std::vector<int64_t> shape;
  for (size_t i = 0; i < text.size();) {
    size_t end = text.find('x', i);
    if (end == std::string::npos) end = text.size();
    shape.push_back(std::strtoll(text.substr(i, end - i).c_str(), nullptr, 10));
    i = end + 1;
  }
  return shape;
}

const std::vector<std::string> kVoxelColumns{"case",  "kind",  "name",        "sha256",       "content_sha256",
                                             "dtype", "shape", "source_path", "source_sha256"};
const std::vector<std::string> kCaseColumns{"subject", "time_point", "case", "added", "software"};
const std::vector<std::string> kFeatureColumns{
    "case", "subject", "time_point", "image_content_sha256", "mask_content_sha256", "computed", "software"};

void write_columns(hid_t group, const std::vector<std::string>& names,
                   const std::vector<std::vector<std::string>>& columns) {
  for (size_t c = 0; c < names.size(); ++c) hdf5::write_texts(group, names[c], columns[c]);
}

void write_cases(hid_t root, const State& state) {
  std::vector<std::vector<std::string>> cases(kCaseColumns.size()), voxels(kVoxelColumns.size());
  const auto push = [](auto& columns, const std::vector<std::string>& cells) {
    for (size_t c = 0; c < cells.size(); ++c) columns[c].push_back(cells[c]);
  };
  for (const auto& record : state.cases) {
    const CaseInfo& info = record->info;
    push(cases, {info.id.subject, info.id.time_point, info.key, info.added, info.software});
    const auto each = [&](const char* kind, const std::vector<VoxelInfo>& list) {
      for (const auto& v : list)
        push(voxels, {info.key, kind, v.name, v.sha256, v.content, v.dtype, shape_text(v.shape), v.source.path,
                      v.source.sha256});
    };
    each("image", info.images), each("mask", info.masks);
  }
  write_columns(hdf5::make_group(root, "subjects"), kCaseColumns, cases);
  write_columns(hdf5::make_group(root, "voxels"), kVoxelColumns, voxels);
}

std::vector<CaseRecord> read_cases(hid_t root) {
  const auto cases = read_columns(hdf5::open_group(root, "subjects"), kCaseColumns);
  const size_t count = cases[0].size();
  std::vector<CaseRecord> records(count);
  std::unordered_map<std::string, size_t> place;
  for (size_t i = 0; i < count; ++i) {
    CaseInfo& info = records[i].info;
    info.id = {cases[0][i], cases[1][i]};
    info.key = case_key(info.id.subject, info.id.time_point);
    if (info.key != cases[2][i])
      throw FormatError("case \"" + cases[2][i] + "\" should be called \"" + info.key + "\"");
    if (!place.emplace(info.key, i).second) throw FormatError("case \"" + info.key + "\" is there twice");
    info.added = cases[3][i];
    info.software = cases[4][i];
  }
  const auto v = read_columns(hdf5::open_group(root, "voxels"), kVoxelColumns);
  for (size_t i = 0; i < v[0].size(); ++i) {
    const auto at = place.find(v[0][i]);
    if (at == place.end()) throw FormatError("voxels of a case \"" + v[0][i] + "\" that is not there");
    CaseInfo& info = records[at->second].info;
    (v[1][i] == "mask" ? info.masks : info.images)
        .push_back({v[2][i], v[3][i], v[4][i], v[5][i], shape_from(v[6][i]), {v[7][i], v[8][i]}});
  }
  auto clinical = read_table(root, "clinical", count), outcomes = read_table(root, "outcomes", count);
  for (size_t i = 0; i < count; ++i)
    records[i].info.clinical = std::move(clinical[i]), records[i].info.outcome = std::move(outcomes[i]);
  return records;
}

/// All columns of a set's rows, in the order of the first row that has them.
std::shared_ptr<const Columns> union_of(const std::vector<const FeatureRow*>& rows) {
  if (std::all_of(rows.begin(), rows.end(), [&](const FeatureRow* row) {
        return row->columns == rows[0]->columns || *row->columns == *rows[0]->columns;
      }))
    return rows[0]->columns;
  auto all = std::make_shared<Columns>();
  std::set<std::string> seen;
  for (const FeatureRow* row : rows)
    for (size_t i = 0; i < row->columns->names.size(); ++i)
      if (seen.insert(row->columns->names[i]).second)
        all->names.push_back(row->columns->names[i]), all->codes.push_back(row->columns->codes[i]);
  return all;
}

void append_row(std::vector<double>& block, const FeatureRow& row, const std::shared_ptr<const Columns>& columns) {
  if (row.columns == columns || *row.columns == *columns) {
    block.insert(block.end(), row.values.begin(), row.values.end());
    return;
  }
  std::unordered_map<std::string, double> by_name;
  for (size_t i = 0; i < row.values.size(); ++i) by_name[row.columns->names[i]] = row.values[i];
  for (const auto& name : columns->names) {
    const auto at = by_name.find(name);
    block.push_back(at == by_name.end() ? std::numeric_limits<double>::quiet_NaN() : at->second);
  }
}

void write_feature_sets(hid_t root, const State& state) {
  const hdf5::Group features = hdf5::make_group(root, "features");
  for (const auto& [set, table] : feature_tables(state)) {
    const hdf5::Group group = hdf5::make_group(features, set);
    hdf5::write_attribute(group, "settings_hash", table.table.settings_hash);
    hdf5::write_attribute(group, "settings_yaml", table.table.settings_yaml);
    hdf5::write_attribute(group, "image", table.table.image);
    hdf5::write_attribute(group, "mask", table.table.mask);
    hdf5::write_attribute(group, "label", table.table.label);
    std::vector<std::vector<std::string>> columns(kFeatureColumns.size());
    for (size_t r = 0; r < table.keys.size(); ++r) {
      columns[0].push_back(table.keys[r]);
      columns[1].push_back(table.table.cases[r].subject);
      columns[2].push_back(table.table.cases[r].time_point);
      columns[3].push_back(table.image_content[r]);
      columns[4].push_back(table.mask_content[r]);
    }
    columns[5] = table.table.computed, columns[6] = table.table.software;
    write_columns(group, kFeatureColumns, columns);
    hdf5::write_texts(group, "names", table.table.names);
    hdf5::write_texts(group, "codes", table.table.codes);
    hdf5::write_doubles(group, "values", table.table.values, {table.keys.size(), table.table.names.size()});
  }
}

void read_feature_sets(hid_t root, std::vector<CaseRecord>& records) {
  std::unordered_map<std::string, size_t> place;
  for (size_t i = 0; i < records.size(); ++i) place[records[i].info.key] = i;
  const hdf5::Group features = hdf5::open_group(root, "features");
  for (const auto& set : hdf5::link_names(features)) {
    const hdf5::Group group = hdf5::open_group(features, set);
    FeatureRow row;
    row.settings_hash = hdf5::read_text(group, "settings_hash");
    row.settings_yaml = hdf5::read_text(group, "settings_yaml");
    row.image = hdf5::read_text(group, "image");
    row.mask = hdf5::read_text(group, "mask");
    row.label = hdf5::read_whole(group, "label");
    const auto columns = read_columns(group, kFeatureColumns);
    Columns names{hdf5::read_texts(group, "names"), hdf5::read_texts(group, "codes")};
    if (names.names.size() != names.codes.size())
      throw FormatError("features " + set + ": names and codes differ in number");
    const size_t width = names.names.size();
    const auto values = hdf5::read_doubles(group, "values", columns[0].size() * width);
    row.columns = std::make_shared<const Columns>(std::move(names));
    for (size_t r = 0; r < columns[0].size(); ++r) {
      const auto at = place.find(columns[0][r]);
      if (at == place.end()) throw FormatError("features of a case \"" + columns[0][r] + "\" that is not there");
      row.image_content = columns[3][r], row.mask_content = columns[4][r], row.computed = columns[5][r],
      row.software = columns[6][r];
      row.values.assign(values.begin() + static_cast<ptrdiff_t>(r * width),
                        values.begin() + static_cast<ptrdiff_t>((r + 1) * width));
      records[at->second].features[set] = row;
    }
  }
}

void write_predictions(hid_t root, const State& state) {
  const hdf5::Group all = hdf5::make_group(root, "predictions");
  for (const auto& [name, predictions] : state.predictions) {
    const hdf5::Group group = hdf5::make_group(all, encode_name(name));
    hdf5::write_attribute(group, "name", name);
    write_record(group, "about", predictions->about);
    std::vector<std::string> subjects, time_points;
    std::vector<const Record*> rows;
    for (const auto& [id, record] : predictions->rows)
      subjects.push_back(id.subject), time_points.push_back(id.time_point), rows.push_back(&record);
    hdf5::write_texts(group, "subject", subjects);
    hdf5::write_texts(group, "time_point", time_points);
    write_table(group, "values", rows);
  }
}

void read_predictions(hid_t root, State& state) {
  const hdf5::Group all = hdf5::open_group(root, "predictions");
  for (const auto& link : hdf5::link_names(all)) {
    const hdf5::Group group = hdf5::open_group(all, link);
    auto predictions = std::make_shared<Predictions>();
    predictions->about = read_record(hdf5::open_group(group, "about"));
    const auto ids = read_columns(group, {"subject", "time_point"});
    auto records = read_table(group, "values", ids[0].size());
    for (size_t r = 0; r < ids[0].size(); ++r)
      predictions->rows.emplace_back(CaseId{ids[0][r], ids[1][r]}, std::move(records[r]));
    state.predictions[hdf5::read_text(group, "name")] = std::move(predictions);
  }
}

}  // namespace

std::map<std::string, FullFeatureTable> feature_tables(const State& state) {
  std::map<std::string, std::vector<std::pair<const CaseRecord*, const FeatureRow*>>> sets;
  for (const auto& record : state.cases)
    for (const auto& [set, row] : record->features) sets[set].emplace_back(record.get(), &row);
  std::map<std::string, FullFeatureTable> tables;
  for (const auto& [set, members] : sets) {
    FullFeatureTable& full = tables[set];
    FeatureTable& table = full.table;
    const FeatureRow& first = *members[0].second;
    table.set = set, table.settings_hash = first.settings_hash, table.settings_yaml = first.settings_yaml;
    table.image = first.image, table.mask = first.mask, table.label = first.label;
    std::vector<const FeatureRow*> rows;
    for (const auto& member : members) rows.push_back(member.second);
    const auto columns = union_of(rows);
    table.names = columns->names, table.codes = columns->codes;
    table.values.reserve(rows.size() * columns->names.size());
    for (const auto& [record, row] : members) {
      table.cases.push_back(record->info.id), full.keys.push_back(record->info.key);
      full.image_content.push_back(row->image_content), full.mask_content.push_back(row->mask_content);
      table.computed.push_back(row->computed), table.software.push_back(row->software);
      append_row(table.values, *row, columns);
    }
  }
  return tables;
}

const CaseRecord* State::find(const std::string& key) const {
  for (const auto& record : cases)
    if (record->info.key == key) return record.get();
  return nullptr;
}

void State::put(CaseRecord record) {
  std::erase_if(record.features, [&](const auto& item) { return !record.current(item.second); });
  for (auto& there : cases) {
    if (there->info.key != record.info.key) continue;
    there = std::make_shared<const CaseRecord>(std::move(record));
    return;
  }
  cases.push_back(std::make_shared<const CaseRecord>(std::move(record)));
}

void write_index(hid_t root, const State& state) {
  hdf5::write_attribute(root, "format", std::string(kStudyFormat));
  hdf5::write_attribute(root, "version", kFormatVersion);
  hdf5::write_attribute(root, "created", state.created);
  hdf5::write_attribute(root, "modified", state.modified);
  hdf5::write_attribute(root, "software", state.software);
  hdf5::write_attribute(root, "cases_folder", state.folder);
  write_cases(root, state);
  std::vector<const Record*> clinical, outcomes;
  for (const auto& record : state.cases)
    clinical.push_back(&record->info.clinical), outcomes.push_back(&record->info.outcome);
  write_table(root, "clinical", clinical);
  write_table(root, "outcomes", outcomes);
  write_feature_sets(root, state);
  write_predictions(root, state);
}

std::string index_bytes(const State& state) {
  const hdf5::File file = hdf5::new_memory_file();
  write_index(file, state);
  {
    const hdf5::Group cases = hdf5::make_group(file, "cases");
    for (const auto& record : state.cases)
      hdf5::link_external(cases, record->info.key, state.folder + "/" + record->info.key + ".h5", "/");
  }
  return hdf5::bytes_of(file);
}

State read_index(hid_t root, const std::string& path) {
  require_format(root, kStudyFormat, path);
  State state;
  try {
    state.created = hdf5::read_text(root, "created");
    state.modified = hdf5::read_text(root, "modified");
    state.software = hdf5::read_text(root, "software");
    state.folder = hdf5::read_text(root, "cases_folder");
    if (state.folder.find('/') != std::string::npos || state.folder == "." || state.folder == "..")
      throw FormatError("the case files are said to lie in \"" + state.folder +
                        "\", which is not a folder beside the study");
    auto records = read_cases(root);
    read_feature_sets(root, records);
    for (auto& record : records) state.cases.push_back(std::make_shared<const CaseRecord>(std::move(record)));
    read_predictions(root, state);
  } catch (const InvalidArgument& error) {  // a name in the file that we would not have written
    throw FormatError(path + ": " + error.what());
  } catch (const FormatError& error) {
    throw FormatError(path + ": " + error.what());
  }
  return state;
}

Layout::Layout(const fs::path& study) : Layout(study, study.stem().string() + ".cases") {}
Layout::Layout(const fs::path& study, const std::string& folder_name)
    : index(study), folder((study.has_parent_path() ? study.parent_path() : fs::path(".")) / folder_name) {}

void scan_cases(const Layout& layout, State& known, std::vector<std::string>& problems) {
  std::vector<CaseRecord> found;
  std::set<std::string> kept;
  std::error_code code;
  for (const auto& entry : fs::directory_iterator(layout.folder, code)) {
    const std::string key = entry.path().stem().string(), path = entry.path().string();
    if (entry.path().extension() != ".h5" || key.starts_with(".")) continue;
    try {
      const hdf5::File file = hdf5::open_file(path);
      CaseRecord record{read_case(file, path), {}};
      if (record.info.key != key)
        throw FormatError(path + " says it is case \"" + record.info.key + "\": it was renamed");
      found.push_back(std::move(record));
    } catch (const Error& error) {
      problems.emplace_back(error.what());
      if (const CaseRecord* old = known.find(key)) found.push_back(*old);
      continue;
    }
    const std::string features = layout.feature_file(key).string();
    if (!fs::exists(features, code)) continue;
    try {
      found.back().features = read_features(hdf5::open_file(features), features);
    } catch (const Error& error) {
      problems.emplace_back(error.what());
      if (const CaseRecord* old = known.find(key)) found.back().features = old->features;
    }
  }
  for (const auto& old : known.cases)
    if (std::none_of(found.begin(), found.end(),
                     [&](const CaseRecord& record) { return record.info.key == old->info.key; }))
      problems.push_back("case \"" + old->info.key + "\" is in the index and its file " +
                         layout.case_file(old->info.key).string() + " is gone");
  // The order of the index first, then by date and name: directory order means nothing.
  std::unordered_map<std::string, size_t> place;
  for (size_t i = 0; i < known.cases.size(); ++i) place[known.cases[i]->info.key] = i;
  const auto rank = [&](const CaseRecord& record) {
    const auto at = place.find(record.info.key);
    return std::tuple(at == place.end() ? place.size() : at->second, record.info.added, record.info.key);
  };
  std::sort(found.begin(), found.end(), [&](const CaseRecord& a, const CaseRecord& b) { return rank(a) < rank(b); });
  known.cases.clear();
  for (auto& record : found) known.put(std::move(record));
}

}  // namespace vesalius::store
