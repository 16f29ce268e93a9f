// SPDX-License-Identifier: Apache-2.0
// NRRD 1 to 5 (https://teem.sourceforge.net/nrrd/format.html).
#include <cmath>
#include <map>
#include <optional>

#include <vesalius/core/error.h>

#include "io/text_header.h"
#include "io/voxels.h"

namespace vesalius::io::detail {
namespace {

using Vector = std::array<double, 3>;
using NrrdFields = std::map<std::string, std::string>;

constexpr int64_t kMostAxes = 16;

/// "(1,0,0)" or "none".
std::optional<std::vector<double>> nrrd_vector(const std::string& word, const std::string& path,
                                               const std::string& field) {
  if (lower(word) == "none") return std::nullopt;
  if (word.size() < 2 || word.front() != '(' || word.back() != ')')
    throw FormatError(path + ": \"" + field + "\" should be vectors such as (1,0,0), found \"" + printable(word) +
                      "\"");
  std::string inner = word.substr(1, word.size() - 2);
  for (char& c : inner)
    if (c == ',') c = ' ';
  return real_numbers(inner, path, field);
}

/// Words, where a vector may have spaces inside its parentheses.
std::vector<std::string> vector_words(const std::string& text) {
  std::vector<std::string> out;
  std::string current;
  bool inside = false;
  for (const char c : text) {
    if (c == '(') inside = true;
    if (!inside && (c == ' ' || c == '\t')) {
      if (!current.empty()) out.push_back(std::move(current)), current.clear();
      continue;
    }
    if (inside && (c == ' ' || c == '\t')) continue;
    current += c;
    if (c == ')') inside = false;
  }
  if (!current.empty()) out.push_back(current);
  return out;
}

std::string unescaped(const std::string& value) {
  std::string out;
  for (size_t i = 0; i < value.size(); ++i) {
    if (value[i] == '\\' && i + 1 < value.size() && (value[i + 1] == 'n' || value[i + 1] == '\\'))
      out += value[++i] == 'n' ? '\n' : '\\';
    else
      out += value[i];
  }
  return out;
}

struct Parsed {
  NrrdFields fields, pairs;
  bool blank_line = false;
  int64_t data_offset = 0;
};

Parsed parse_lines(const FileSource& file) {
  Parsed out;
  HeaderLines lines(file);
  std::string line;
  lines.next(line);
  if (line.size() != 8 || line.compare(0, 7, "NRRD000") != 0 || line[7] < '1' || line[7] > '5')
    throw FormatError(file.path() + ": expected NRRD0001 to NRRD0005 as the first line, found \"" + printable(line) +
                      "\"");
  while (lines.next(line)) {
    if (line.empty()) {
      out.blank_line = true;
      break;
    }
    if (line[0] == '#') continue;
    const size_t field = line.find(": "), pair = line.find(":=");
    const size_t colon = field == std::string::npos && pair == std::string::npos ? line.find(':') : field;
    if (pair != std::string::npos && (colon == std::string::npos || pair < colon)) {
      out.pairs[unescaped(line.substr(0, pair))] = unescaped(line.substr(pair + 2));
      continue;
    }
    if (colon == std::string::npos)
      throw FormatError(file.path() + ": a line of the header is neither \"field: value\" nor \"key:=value\": \"" +
                        printable(line) + "\"");
    std::string name = lower(trim(line.substr(0, colon)));
    std::erase(name, ' ');  // "data file" and "datafile", "line skip" and "lineskip"
    if (!out.fields.emplace(name, trim(line.substr(colon + 1))).second)
      throw FormatError(file.path() + ": the field \"" + printable(name) + "\" is given twice");
  }
  out.data_offset = lines.offset();
  return out;
}

const std::string& required(const Parsed& parsed, const std::string& name, const std::string& path) {
  const auto found = parsed.fields.find(name);
  if (found == parsed.fields.end()) throw FormatError(path + ": the NRRD header has no \"" + name + "\"");
  return found->second;
}

Element nrrd_type(const std::string& text, const std::string& path) {
  static const std::map<std::string, Element> kTypes{{"signed char", Element::i8},
                                                     {"int8", Element::i8},
                                                     {"int8_t", Element::i8},
                                                     {"uchar", Element::u8},
                                                     {"unsigned char", Element::u8},
                                                     {"uint8", Element::u8},
                                                     {"uint8_t", Element::u8},
                                                     {"short", Element::i16},
                                                     {"short int", Element::i16},
                                                     {"signed short", Element::i16},
                                                     {"signed short int", Element::i16},
                                                     {"int16", Element::i16},
                                                     {"int16_t", Element::i16},
                                                     {"ushort", Element::u16},
                                                     {"unsigned short", Element::u16},
                                                     {"unsigned short int", Element::u16},
                                                     {"uint16", Element::u16},
                                                     {"uint16_t", Element::u16},
                                                     {"int", Element::i32},
                                                     {"signed int", Element::i32},
                                                     {"int32", Element::i32},
                                                     {"int32_t", Element::i32},
                                                     {"uint", Element::u32},
                                                     {"unsigned int", Element::u32},
                                                     {"uint32", Element::u32},
                                                     {"uint32_t", Element::u32},
                                                     {"longlong", Element::i64},
                                                     {"long long", Element::i64},
                                                     {"long long int", Element::i64},
                                                     {"signed long long", Element::i64},
                                                     {"signed long long int", Element::i64},
                                                     {"int64", Element::i64},
                                                     {"int64_t", Element::i64},
                                                     {"ulonglong", Element::u64},
                                                     {"unsigned long long", Element::u64},
                                                     {"unsigned long long int", Element::u64},
                                                     {"uint64", Element::u64},
                                                     {"uint64_t", Element::u64},
                                                     {"float", Element::f32},
                                                     {"double", Element::f64}};
  const auto found = kTypes.find(lower(text));
  if (found != kTypes.end()) return found->second;
  if (lower(text) == "block") throw NotSupported(path + ": NRRD's type \"block\" (opaque bytes) is not read");
  throw FormatError(path + ": unknown NRRD type \"" + printable(text) + "\"");
}

/// Factors that turn the file's space into LPS.
Vector to_lps(const Parsed& parsed, std::vector<std::string>& problems) {
  const auto found = parsed.fields.find("space");
  const std::string space = found == parsed.fields.end() ? "" : lower(found->second);
  if (space == "left-posterior-superior" || space == "lps") return {1, 1, 1};
  if (space == "right-anterior-superior" || space == "ras") return {-1, -1, 1};
  if (space == "left-anterior-superior" || space == "las") return {1, -1, 1};
  problems.push_back(space.empty()
                         ? "the file names no space: axes were taken as LPS"
                         : "the space \"" + printable(space) + "\" is no patient space: axes were taken as LPS");
  return {1, 1, 1};
}

/// Which axis holds no place but several values: fastest (0), slowest (rank - 1), or none (-1).
int64_t value_axis(const Parsed& parsed, const std::vector<std::string>& directions, int64_t rank,
                   const std::string& path) {
  for (int64_t i = 0; i < static_cast<int64_t>(directions.size()); ++i)
    if (lower(directions[i]) == "none") return i;
  if (const auto kinds = parsed.fields.find("kinds"); kinds != parsed.fields.end()) {
    const auto list = words(kinds->second);
    for (int64_t i = 0; i < static_cast<int64_t>(list.size()) && i < rank; ++i) {
      const std::string kind = lower(list[i]);
      if (kind != "domain" && kind != "space" && kind != "???" && kind != "none") return i;
    }
  }
  if (rank == 4) return 3;
  if (rank > 4) throw NotSupported(path + ": NRRD images of 2 to 4 axes are read; this has " + std::to_string(rank));
  return -1;
}

struct Axes {
  std::vector<int64_t> sizes, spatial;  ///< spatial: axis numbers, fastest first
  int64_t values = -1;
  std::vector<std::string> directions;
};

Axes read_axes(const Parsed& parsed, const std::string& path, Layout& layout) {
  Axes axes;
  const int64_t rank = whole_number(required(parsed, "dimension", path), path, "dimension");
  if (rank < 1 || rank > kMostAxes)
    throw FormatError(path + ": \"dimension\" must be 1 to 16, found " + std::to_string(rank));
  axes.sizes = whole_numbers(required(parsed, "sizes", path), path, "sizes");
  if (static_cast<int64_t>(axes.sizes.size()) != rank)
    throw FormatError(path + ": \"sizes\" should be " + std::to_string(rank) + " numbers, found " +
                      std::to_string(axes.sizes.size()));
  for (const int64_t size : axes.sizes)
    if (size < 1) throw FormatError(path + ": every size must be at least 1, found " + std::to_string(size));
  if (const auto found = parsed.fields.find("spacedirections"); found != parsed.fields.end()) {
    axes.directions = vector_words(found->second);
    if (static_cast<int64_t>(axes.directions.size()) != rank)
      throw FormatError(path + ": \"space directions\" should be " + std::to_string(rank) + " vectors, found " +
                        std::to_string(axes.directions.size()));
  }
  axes.values = value_axis(parsed, axes.directions, rank, path);
  if (axes.values > 0 && axes.values != rank - 1)
    throw NotSupported(path + ": the axis of values must be the first or the last; it is axis " +
                       std::to_string(axes.values + 1));
  for (int64_t i = 0; i < rank; ++i)
    if (i != axes.values) axes.spatial.push_back(i);
  if (axes.spatial.size() < 2 || axes.spatial.size() > 3)
    throw NotSupported(path + ": images of 2 or 3 spatial axes are read; this has " +
                       std::to_string(axes.spatial.size()));
  for (size_t i = 0; i < axes.spatial.size(); ++i) layout.size[2 - i] = axes.sizes[axes.spatial[i]];
  if (axes.values == 0) layout.interleaved = axes.sizes[0];
  if (axes.values > 0) layout.volumes = axes.sizes[axes.values];
  layout.has_volumes = axes.values >= 0;
  return axes;
}

Geometry nrrd_geometry(const Parsed& parsed, const Axes& axes, const Index3& size, const std::string& path,
                       std::vector<std::string>& problems) {
  std::array<Vector, 3> steps{{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
  Vector origin{};
  const Vector sign = to_lps(parsed, problems);
  const size_t count = axes.spatial.size();
  if (!axes.directions.empty()) {
    for (size_t i = 0; i < count; ++i) {
      const auto step = nrrd_vector(axes.directions[axes.spatial[i]], path, "space directions");
      if (!step || step->size() < 2 || step->size() > 3)
        throw FormatError(path + ": \"space directions\" should be vectors of 2 or 3 numbers");
      steps[i] = {(*step)[0], (*step)[1], step->size() == 3 ? (*step)[2] : 0.0};
    }
    if (count == 2) {  // the third axis stands upright on the plane of a 2D image
      const auto& [a, b, unused] = steps;
      Vector n{a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
      const double length = std::hypot(n[0], n[1], n[2]);
      if (length > 0) steps[2] = {n[0] / length, n[1] / length, n[2] / length};
    }
  } else if (const auto found = parsed.fields.find("spacings"); found != parsed.fields.end()) {
    const auto spacings = real_numbers(found->second, path, "spacings");
    if (spacings.size() != axes.sizes.size())
      throw FormatError(path + ": \"spacings\" should be " + std::to_string(axes.sizes.size()) + " numbers, found " +
                        std::to_string(spacings.size()));
    for (size_t i = 0; i < count; ++i) steps[i][i] = spacings[axes.spatial[i]];
  } else {
    problems.push_back("the file gives no spacing: 1 was taken");
  }
  if (const auto found = parsed.fields.find("spaceorigin"); found != parsed.fields.end()) {
    const auto parts = vector_words(found->second);
    const auto point = parts.size() == 1 ? nrrd_vector(parts[0], path, "space origin") : std::nullopt;
    if (!point || point->size() < 2 || point->size() > 3)
      throw FormatError(path + ": \"space origin\" should be one vector, found \"" + printable(found->second) + "\"");
    for (size_t i = 0; i < point->size(); ++i) origin[i] = (*point)[i];
  }
  for (auto& step : steps)
    for (int i = 0; i < 3; ++i) step[i] *= sign[i];
  for (int i = 0; i < 3; ++i) origin[i] *= sign[i];
  return geometry_from_steps(steps, origin, size, path);
}

/// Where the voxels begin: another file, lines and bytes to skip.
void place_data(const FileSource& file, const Parsed& parsed, Header& header) {
  const auto& path = file.path();
  const std::string encoding = lower(required(parsed, "encoding", path));
  if (encoding == "gzip" || encoding == "gz")
    header.encoding = Header::Encoding::deflate;
  else if (encoding == "txt" || encoding == "text" || encoding == "ascii")
    header.encoding = Header::Encoding::ascii;
  else if (encoding == "hex")
    header.encoding = Header::Encoding::hex;
  else if (encoding == "bzip2" || encoding == "bz2")
    throw NotSupported(path + ": NRRD's bzip2 encoding is not read; write it with gzip or raw");
  else if (encoding != "raw")
    throw FormatError(path + ": unknown NRRD encoding \"" + printable(encoding) + "\"");

  header.data_path = path;
  header.offset = parsed.data_offset;
  if (const auto found = parsed.fields.find("datafile"); found != parsed.fields.end()) {
    header.data_path = data_file_beside(path, found->second);
    header.offset = 0;
  } else if (!parsed.blank_line) {
    throw FormatError(path + ": the header's end (an empty line) and the voxels are missing");
  }
  const auto number = [&](const char* name) {
    const auto found = parsed.fields.find(name);
    return found == parsed.fields.end() ? int64_t{0} : whole_number(found->second, path, name);
  };
  const int64_t lines = number("lineskip"), bytes = number("byteskip");
  if (lines < 0) throw FormatError(path + ": \"line skip\" must not be negative, found " + std::to_string(lines));
  if (bytes < -1) throw FormatError(path + ": \"byte skip\" must be -1 or more, found " + std::to_string(bytes));
  const FileSource data(header.data_path);
  if (lines > 0) header.offset = skip_lines(data, header.offset, lines);
  const bool packed = header.encoding == Header::Encoding::deflate;
  if (bytes >= 0 && packed)
    header.skip_inflated = bytes;
  else if (bytes >= 0)
    header.offset += std::min(bytes, data.size());
  else if (packed)
    header.skip_inflated = -1;
  else if (header.encoding == Header::Encoding::raw && header.layout.bytes() >= 0) {
    const int64_t from = data.size() - header.layout.bytes();
    if (from < header.offset)
      throw FormatError(path + ": truncated: the voxels should take the last " + std::to_string(header.layout.bytes()) +
                        " bytes of " + std::to_string(data.size()));
    header.offset = from;
  }
}

}  // namespace

bool looks_like_nrrd(const std::vector<uint8_t>& head) {
  return head.size() >= 4 && std::string(head.begin(), head.begin() + 4) == "NRRD";
}

Header read_nrrd_header(const FileSource& file) {
  const auto& path = file.path();
  const Parsed parsed = parse_lines(file);
  Header header;
  header.format = "NRRD";
  header.layout.element = nrrd_type(required(parsed, "type", path), path);
  const Axes axes = read_axes(parsed, path, header.layout);
  header.geometry = nrrd_geometry(parsed, axes, header.layout.size, path, header.problems);
  const auto endian = parsed.fields.find("endian");
  place_data(file, parsed, header);
  if (endian != parsed.fields.end()) {
    const std::string order = lower(endian->second);
    if (order != "little" && order != "big")
      throw FormatError(path + ": \"endian\" must be little or big, found \"" + printable(order) + "\"");
    header.layout.swap = order == "big";
  } else if (bytes_of(header.layout.element) > 1 && header.encoding != Header::Encoding::ascii) {
    throw FormatError(path +
                      ": the header doesn't say \"endian: little\" or \"endian: big\", so that its voxels of several "
                      "bytes could mean either");
  }
  for (const auto& [key, value] : parsed.pairs) {
    // Label names as write_mask keeps them: "label_3:=femur".
    if (key.compare(0, 6, "label_") == 0 && key.size() > 6 && key.size() < 20 &&
        key.find_first_not_of("0123456789", 6) == std::string::npos)
      header.labels[whole_number(key.substr(6), path, key)] = value;
    else
      header.metadata[key] = value;
  }
  return header;
}

}  // namespace vesalius::io::detail
