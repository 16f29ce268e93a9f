// SPDX-License-Identifier: Apache-2.0
// MetaImage (https://itk.org/Wiki/ITK/MetaIO/Documentation).
#include <algorithm>
#include <map>

#include <vesalius/core/error.h>

#include "io/text_header.h"
#include "io/voxels.h"

namespace vesalius::io::detail {
namespace {

using MetaFields = std::map<std::string, std::string>;

MetaFields parse_meta(const FileSource& file, int64_t& data_offset) {
  MetaFields out;
  HeaderLines lines(file);
  for (std::string line; lines.next(line);) {
    const size_t sign = line.find('=');
    const std::string key = sign == std::string::npos ? "" : trim(line.substr(0, sign));
    if (key.empty() || key.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_ -.") !=
                           std::string::npos) {
      if (trim(line).empty()) continue;
      throw FormatError(file.path() + ": a line of the MetaImage header is not \"name = value\": \"" + printable(line) +
                        "\"");
    }
    if (!out.emplace(lower(key), trim(line.substr(sign + 1))).second)
      throw FormatError(file.path() + ": \"" + printable(key) + "\" is given twice");
    if (lower(key) == "elementdatafile") {
      data_offset = lines.offset();
      return out;
    }
  }
  throw FormatError(file.path() + ": the MetaImage header has no ElementDataFile");
}

class Meta {
 public:
  Meta(const MetaFields& fields, const std::string& path) : fields_(fields), path_(path) {}
  /// The value under the first of these names that is there; "" if none is.
  std::string text(std::initializer_list<const char*> names) const {
    for (const char* name : names)
      if (const auto found = fields_.find(name); found != fields_.end()) return found->second;
    return "";
  }
  bool flag(std::initializer_list<const char*> names, bool otherwise) const {
    const std::string value = lower(text(names));
    if (value.empty()) return otherwise;
    if (value == "true" || value == "1" || value == "yes") return true;
    if (value == "false" || value == "0" || value == "no") return false;
    throw FormatError(path_ + ": \"" + *names.begin() + "\" should be True or False, found \"" + printable(value) +
                      "\"");
  }
  int64_t number(const char* name, int64_t otherwise) const {
    const std::string value = text({name});
    return value.empty() ? otherwise : whole_number(value, path_, name);
  }
  std::vector<double> numbers(std::initializer_list<const char*> names, size_t count) const {
    const std::string value = text(names);
    if (value.empty()) return {};
    auto out = real_numbers(value, path_, *names.begin());
    if (out.size() != count)
      throw FormatError(path_ + ": \"" + *names.begin() + "\" should be " + std::to_string(count) + " numbers, found " +
                        std::to_string(out.size()));
    return out;
  }

 private:
  const MetaFields& fields_;
  const std::string& path_;
};

Element meta_type(const std::string& text, const std::string& path) {
  static const std::map<std::string, Element> kTypes{
      {"MET_CHAR", Element::i8},
      {"MET_UCHAR", Element::u8},
      {"MET_SHORT", Element::i16},
      {"MET_USHORT", Element::u16},
      {"MET_INT", Element::i32},
      {"MET_UINT", Element::u32},
      {"MET_LONG_LONG", Element::i64},
      {"MET_ULONG_LONG", Element::u64},
      {"MET_FLOAT", Element::f32},
      {"MET_DOUBLE", Element::f64},
      // MetaIO stores these as 4 bytes; on 64-bit Linux ITK writes its own longs as MET_LONG_LONG.
      {"MET_LONG", Element::i32},
      {"MET_ULONG", Element::u32}};
  std::string name = text;
  if (const size_t array = name.find("_ARRAY"); array != std::string::npos) name.erase(array);
  const auto found = kTypes.find(name);
  if (found == kTypes.end()) throw FormatError(path + ": unknown ElementType \"" + printable(text) + "\"");
  return found->second;
}

void meta_sizes(const Meta& meta, const std::string& path, int64_t rank, Layout& layout) {
  const auto sizes = whole_numbers(meta.text({"dimsize"}), path, "DimSize");
  if (static_cast<int64_t>(sizes.size()) != rank)
    throw FormatError(path + ": DimSize should be " + std::to_string(rank) + " numbers, found " +
                      std::to_string(sizes.size()));
  for (int64_t i = 0; i < rank; ++i) {
    if (sizes[i] < 1) throw FormatError(path + ": every size must be at least 1, found " + std::to_string(sizes[i]));
    if (i < 3) layout.size[2 - i] = sizes[i];
  }
  layout.volumes = rank == 4 ? sizes[3] : 1;
  layout.has_volumes = rank == 4;
  layout.interleaved = meta.number("elementnumberofchannels", 1);
  if (layout.interleaved < 1)
    throw FormatError(path + ": ElementNumberOfChannels must be at least 1, found " +
                      std::to_string(layout.interleaved));
}

Geometry meta_geometry(const Meta& meta, const std::string& path, int64_t rank, const Index3& size,
                       std::vector<std::string>& problems) {
  std::array<std::array<double, 3>, 3> steps{{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
  std::array<double, 3> origin{};
  const auto n = static_cast<size_t>(rank);
  auto spacing = meta.numbers({"elementspacing", "elementsize"}, n);
  if (spacing.empty()) problems.push_back("the file gives no spacing: 1 was taken"), spacing.assign(n, 1.0);
  const auto matrix = meta.numbers({"transformmatrix", "rotation", "orientation"}, n * n);
  const auto offset = meta.numbers({"offset", "origin", "position"}, n);
  for (size_t i = 0; i < std::min<size_t>(n, 3); ++i) {
    if (!offset.empty()) origin[i] = offset[i];
    for (size_t j = 0; j < std::min<size_t>(n, 3); ++j) {
      if (!matrix.empty()) steps[i][j] = matrix[i * n + j];  // row i: the direction of axis i
    }
    if (!(spacing[i] > 0))
      throw GeometryError(path + ": spacing must be positive, found " + std::to_string(spacing[i]) +
                          " (ElementSpacing)");
    for (double& part : steps[i]) part *= spacing[i];
  }
  return geometry_from_steps(steps, origin, size, path);
}

void meta_data(const FileSource& file, const Meta& meta, int64_t data_offset, Header& header) {
  const auto& path = file.path();
  const std::string name = meta.text({"elementdatafile"});
  header.offset = data_offset;
  header.data_path = path;
  if (lower(name) == "list" || name.find('%') != std::string::npos)
    throw NotSupported(path + ": MetaImages whose voxels lie in a list or pattern of files (\"" + printable(name) +
                       "\") are not read; join them first");
  if (lower(name) != "local") {
    header.data_path = data_file_beside(path, name);
    header.offset = 0;
  }
  const bool binary = meta.flag({"binarydata"}, true), packed = meta.flag({"compresseddata"}, false);
  header.encoding = !binary ? Header::Encoding::ascii : packed ? Header::Encoding::deflate : Header::Encoding::raw;
  if (!binary && packed) throw NotSupported(path + ": compressed text is not read");
  const FileSource data(header.data_path);
  const int64_t skip = meta.number("headersize", 0);
  if (skip < -1) throw FormatError(path + ": HeaderSize must be -1 or more, found " + std::to_string(skip));
  if (skip == -1 && header.encoding == Header::Encoding::raw && header.layout.bytes() >= 0) {
    if (data.size() - header.layout.bytes() < header.offset)
      throw FormatError(path + ": truncated: the voxels should take the last " + std::to_string(header.layout.bytes()) +
                        " bytes of " + std::to_string(data.size()));
    header.offset = data.size() - header.layout.bytes();
  } else if (skip > 0) {
    header.offset += std::min(skip, data.size());
  }
  if (packed)
    if (const int64_t size = meta.number("compresseddatasize", 0); size > 0)
      header.data_end = header.offset + std::min(size, data.size());
}

}  // namespace

bool looks_like_metaimage(const std::vector<uint8_t>& head) {
  // ObjectType comes first as MetaIO writes it; NDims or a comment may.
  const std::string text = lower(std::string(head.begin(), head.begin() + std::min<size_t>(head.size(), 512)));
  const size_t first = text.find_first_not_of(" \r\n\t");
  if (first == std::string::npos) return false;
  for (const char* key : {"objecttype", "ndims", "comment", "id"}) {
    const std::string name(key);
    if (text.compare(first, name.size(), name) != 0) continue;
    const size_t sign = text.find_first_not_of(" \t", first + name.size());
    return sign != std::string::npos && text[sign] == '=';
  }
  return false;
}

Header read_metaimage_header(const FileSource& file) {
  const auto& path = file.path();
  int64_t data_offset = 0;
  const MetaFields fields = parse_meta(file, data_offset);
  const Meta meta(fields, path);
  Header header;
  header.format = "MetaImage";
  if (const std::string type = lower(meta.text({"objecttype"})); !type.empty() && type != "image")
    throw FormatError(path + ": expected ObjectType = Image, found \"" + printable(type) + "\"");
  const int64_t rank = meta.number("ndims", 0);
  if (rank < 2 || rank > 4) throw FormatError(path + ": NDims must be 2 to 4, found " + std::to_string(rank));
  header.layout.element = meta_type(meta.text({"elementtype"}), path);
  meta_sizes(meta, path, rank, header.layout);
  header.layout.swap = meta.flag({"binarydatabyteordermsb", "elementbyteordermsb"}, false);
  header.geometry = meta_geometry(meta, path, rank, header.layout.size, header.problems);
  meta_data(file, meta, data_offset, header);
  static const char* kKnown[] = {"objecttype",
                                 "ndims",
                                 "dimsize",
                                 "elementtype",
                                 "elementspacing",
                                 "elementsize",
                                 "elementnumberofchannels",
                                 "transformmatrix",
                                 "rotation",
                                 "orientation",
                                 "offset",
                                 "origin",
                                 "position",
                                 "binarydata",
                                 "binarydatabyteordermsb",
                                 "elementbyteordermsb",
                                 "compresseddata",
                                 "compresseddatasize",
                                 "headersize",
                                 "elementdatafile",
                                 "centerofrotation",
                                 "anatomicalorientation",
                                 "objectsubtype"};
  for (const auto& [key, value] : fields) {
    if (std::find(std::begin(kKnown), std::end(kKnown), key) != std::end(kKnown)) continue;
    if (key.compare(0, 6, "label_") == 0 && key.size() > 6 && key.size() < 20 &&
        key.find_first_not_of("0123456789", 6) == std::string::npos)
      header.labels[whole_number(key.substr(6), path, key)] = value;
    else
      header.metadata[key] = value;
  }
  return header;
}

}  // namespace vesalius::io::detail
