// SPDX-License-Identifier: Apache-2.0
#include "io/dicom_file.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstring>
#include <set>

#include <vesalius/core/error.h>

namespace vesalius::io::detail {
namespace {

constexpr int64_t kPrefix = int64_t{1} << 17;  // most headers end before; else the whole file is read
constexpr int64_t kMostHeaderBytes = int64_t{1} << 30;
constexpr int kMostDepth = 24;
constexpr uint32_t kUndefined = 0xffffffffu;
constexpr uint32_t kItem = tag_of(0xfffe, 0xe000), kItemEnd = tag_of(0xfffe, 0xe00d),
                   kSequenceEnd = tag_of(0xfffe, 0xe0dd);

struct NeedMore {};  // the prefix of the file was too short

/// Sequences that are read here: in implicit VR nothing else says that they are sequences.
bool known_sequence(uint32_t tag) {
  static const std::set<uint32_t> kSequences{0x00082112, 0x00081115, 0x00081140, 0x00089124, 0x00089215, 0x00180026,
                                             0x00209111, 0x00209113, 0x00209116, 0x00209221, 0x00209222, 0x00289110,
                                             0x00289132, 0x00289145, 0x00409096, 0x00540016, 0x00620002, 0x0062000a,
                                             0x30060010, 0x30060012, 0x30060014, 0x30060016, 0x30060020, 0x30060039,
                                             0x30060040, 0x30060080, 0x52009229, 0x52009230};
  return kSequences.count(tag) > 0;
}

bool long_form(const char* vr) {
  for (const char* name : {"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})
    if (vr[0] == name[0] && vr[1] == name[1]) return true;
  return false;
}

bool is_vr(const char* vr) { return vr[0] >= 'A' && vr[0] <= 'Z' && vr[1] >= 'A' && vr[1] <= 'Z'; }

std::string tag_name(uint32_t tag) {
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), "(%04X,%04X)", tag >> 16, tag & 0xffff);
  return text.data();
}

}  // namespace

struct DataSet::Origin {
  std::shared_ptr<const std::vector<uint8_t>> bytes;
  bool big_endian = false;
  std::string path;
};

class DicomParser {
 public:
  DicomParser(std::shared_ptr<const std::vector<uint8_t>> bytes, int64_t total, const std::string& path)
      : bytes_(std::move(bytes)), total_(total), path_(path) {}

  void set_syntax(bool is_explicit, bool big_endian) { explicit_ = is_explicit, big_ = big_endian; }
  int64_t at() const { return at_; }
  void seek(int64_t at) { at_ = at; }

  /// Elements up to `end` (-1: up to a delimiter). `stop` ends before the first tag that it says.
  template <class Stop>
  void elements(DataSet& out, int64_t end, int depth, Stop&& stop) {
    out.origin_ = origin();
    while (end < 0 ? at_ < total_ : at_ < end) {
      if (end >= 0 && end - at_ < 8) break;
      if (end < 0 && total_ - at_ < 8) break;  // a few bytes of padding at the file's end
      const int64_t begin = at_;
      const uint32_t tag = read_tag();
      if (tag == kItemEnd || tag == kSequenceEnd) {
        read_u32();
        return;
      }
      if (stop(tag, begin)) {
        at_ = begin;
        return;
      }
      element(out, tag, end, depth);
    }
    if (end >= 0) at_ = end;
  }

  /// The header of an element; leaves the cursor at its value.
  std::pair<DicomElement, uint32_t> header() {
    DicomElement out;
    uint32_t length = 0;
    if (explicit_) {
      char vr[2] = {static_cast<char>(byte(at_)), static_cast<char>(byte(at_ + 1))};
      if (!is_vr(vr)) fail("an element whose type is no two letters", at_);
      at_ += 2;
      if (long_form(vr)) {
        at_ += 2;
        length = read_u32();
      } else {
        length = read_u16();
      }
      std::memcpy(out.vr, vr, 2);
    } else {
      length = read_u32();
    }
    out.offset = at_;
    return {out, length};
  }

  uint32_t read_tag() {
    const uint16_t group = read_u16();
    return tag_of(group, read_u16());
  }
  uint16_t read_u16() {
    const uint16_t a = byte(at_), b = byte(at_ + 1);
    at_ += 2;
    return static_cast<uint16_t>(big_ ? a << 8 | b : b << 8 | a);
  }
  uint32_t read_u32() {
    const uint32_t first = read_u16(), second = read_u16();
    return big_ ? first << 16 | second : second << 16 | first;
  }

 private:
  uint8_t byte(int64_t at) const {
    need(at, 1);
    return (*bytes_)[static_cast<size_t>(at)];
  }
  void need(int64_t at, int64_t count) const {
    if (at + count > total_)
      throw FormatError(path_ + ": truncated: the DICOM header goes on behind the file's end (" +
                        std::to_string(total_) + " bytes)");
    if (at + count > static_cast<int64_t>(bytes_->size())) throw NeedMore{};
  }
  [[noreturn]] void fail(const std::string& what, int64_t at) const {
    throw FormatError(path_ + ": the DICOM header is damaged: " + what + " at byte " + std::to_string(at));
  }

  std::shared_ptr<const DataSet::Origin> origin() {
    if (!origin_ || origin_->big_endian != big_)
      origin_ = std::make_shared<DataSet::Origin>(DataSet::Origin{bytes_, big_, path_});
    return origin_;
  }

  void element(DataSet& out, uint32_t tag, int64_t end, int depth) {
    auto [found, length] = header();
    const bool unknown = found.vr[0] == 'U' && found.vr[1] == 'N';
    // Compressed pixels inside a sequence (an icon): fragments, not items.
    if (length == kUndefined && found.vr[0] == 'O') {
      for (uint32_t tag_at = read_tag(), size = read_u32(); tag_at != kSequenceEnd;
           tag_at = read_tag(), size = read_u32()) {
        if (tag_at != kItem || (end >= 0 ? end : total_) - at_ < int64_t{size})
          fail("damaged fragments of compressed data", at_);
        at_ += size;
      }
      return;
    }
    const bool sequence = (found.vr[0] == 'S' && found.vr[1] == 'Q') || length == kUndefined ||
                          ((!explicit_ || unknown) && known_sequence(tag));
    if (length != kUndefined && (end >= 0 ? end : total_) - at_ < int64_t{length})
      fail("element " + tag_name(tag) + " says it has " + std::to_string(length) + " bytes, " +
               std::to_string((end >= 0 ? end : total_) - at_) + " are left",
           at_);
    if (sequence) {
      // A sequence of unknown type is in implicit VR (PS3.5 6.2.2 note 2).
      const bool was = explicit_;
      if (explicit_ && unknown) explicit_ = false;
      items(found, length == kUndefined ? int64_t{-1} : at_ + int64_t{length}, depth);
      explicit_ = was;
    } else {
      found.length = length;
      if (int64_t{length} <= (int64_t{1} << 26)) need(at_, length);
      at_ += length;
    }
    out.elements_[tag] = std::move(found);
  }

  void items(DicomElement& sequence, int64_t end, int depth) {
    if (depth >= kMostDepth) fail("sequences nested more than " + std::to_string(kMostDepth) + " deep", at_);
    while (end < 0 || end - at_ >= 8) {
      const int64_t begin = at_;
      const uint32_t tag = read_tag();
      const uint32_t length = read_u32();
      if (tag == kSequenceEnd) return;
      if (tag != kItem) fail("expected an item of a sequence, found " + tag_name(tag), begin);
      if (length != kUndefined && (end >= 0 ? end : total_) - at_ < int64_t{length})
        fail("an item of a sequence is longer than what holds it", begin);
      sequence.items.emplace_back();
      elements(sequence.items.back(), length == kUndefined ? int64_t{-1} : at_ + int64_t{length}, depth + 1,
               [](uint32_t, int64_t) { return false; });
    }
    if (end >= 0) at_ = end;
  }

  std::shared_ptr<const std::vector<uint8_t>> bytes_;
  std::shared_ptr<const DataSet::Origin> origin_;
  int64_t total_, at_ = 0;
  const std::string& path_;
  bool explicit_ = true, big_ = false;
};

std::string DataSet::text(uint32_t tag) const {
  const auto found = elements_.find(tag);
  if (found == elements_.end() || found->second.length == 0) return "";
  const auto& bytes = *origin_->bytes;
  const auto from = static_cast<size_t>(found->second.offset);
  if (from + static_cast<size_t>(found->second.length) > bytes.size()) return "";
  return trim(std::string(bytes.begin() + static_cast<int64_t>(from),
                          bytes.begin() + static_cast<int64_t>(from) + found->second.length));
}

std::vector<double> DataSet::numbers(uint32_t tag) const {
  const auto found = elements_.find(tag);
  if (found == elements_.end() || found->second.length == 0) return {};
  const DicomElement& e = found->second;
  const auto& bytes = *origin_->bytes;
  if (e.offset + e.length > static_cast<int64_t>(bytes.size())) return {};
  const auto binary = [&](auto type) {
    using T = decltype(type);
    std::vector<double> out;
    for (int64_t i = 0; i + static_cast<int64_t>(sizeof(T)) <= e.length; i += sizeof(T)) {
      std::array<uint8_t, sizeof(T)> raw{};
      std::memcpy(raw.data(), bytes.data() + e.offset + i, sizeof(T));
      if (origin_->big_endian) std::reverse(raw.begin(), raw.end());
      T value{};
      std::memcpy(&value, raw.data(), sizeof(T));
      out.push_back(static_cast<double>(value));
    }
    return out;
  };
  const std::string vr(e.vr, 2);
  if (vr == "US") return binary(uint16_t{});
  if (vr == "SS") return binary(int16_t{});
  if (vr == "UL") return binary(uint32_t{});
  if (vr == "SL") return binary(int32_t{});
  if (vr == "FL") return binary(float{});
  if (vr == "FD") return binary(double{});
  const uint16_t group = tag >> 16, element = tag & 0xffff;
  if (vr == "UN") {
    // Implicit VR: the binary ones among the tags that are read here (PS3.6).
    if (group == 0x0028 && (element < 0x0012 || (element >= 0x0100 && element < 0x0122)) && element != 0x0008)
      return e.length == 4 ? binary(uint32_t{}) : binary(uint16_t{});
    if (group == 0x0062 && (element == 0x0004 || element == 0x000b || element == 0x000e)) return binary(uint16_t{});
    if (group == 0x0020 && (element == 0x9057 || element == 0x9128 || element == 0x9157)) return binary(uint32_t{});
    if (tag == 0x00189087) return binary(double{});
  }
  std::vector<double> out;
  const std::string all = text(tag);
  for (size_t from = 0; from <= all.size();) {
    const size_t to = std::min(all.find('\\', from), all.size());
    std::string word = trim(all.substr(from, to - from));
    if (!word.empty() && word[0] == '+') word.erase(0, 1);
    if (!word.empty()) {
      double value = 0;
      const auto [next, failure] = std::from_chars(word.data(), word.data() + word.size(), value);
      if (failure != std::errc() || next != word.data() + word.size() || !std::isfinite(value))
        throw FormatError(origin_->path + ": DICOM element " + tag_name(tag) + " should be a number, found \"" +
                          printable(word) + "\"");
      out.push_back(value);
    }
    from = to + 1;
  }
  return out;
}

std::optional<double> DataSet::number(uint32_t tag) const {
  const auto all = numbers(tag);
  return all.empty() ? std::nullopt : std::optional<double>(all[0]);
}

std::optional<double> DataSet::number_if_any(uint32_t tag) const {
  try {
    return number(tag);
  } catch (const FormatError&) {
    return std::nullopt;
  }
}

std::optional<int64_t> DataSet::count(uint32_t tag) const {
  const auto value = number(tag);
  if (!value) return std::nullopt;
  if (!(*value >= 0 && *value < 9e15) || *value != std::floor(*value))
    throw FormatError(origin_->path + ": DICOM element " + tag_name(tag) + " should be a whole number, found " +
                      std::to_string(*value));
  return static_cast<int64_t>(*value);
}

const std::vector<DataSet>& DataSet::items(uint32_t tag) const {
  static const std::vector<DataSet> kNone;
  const auto found = elements_.find(tag);
  return found == elements_.end() ? kNone : found->second.items;
}

const DataSet& DataSet::item(uint32_t tag) const {
  static const DataSet kEmpty;
  const auto& all = items(tag);
  return all.empty() ? kEmpty : all.front();
}

DicomFile::DicomFile(const std::string& path) : path_(path) {
  try {
    parse(kPrefix);
  } catch (const NeedMore&) {
    data_ = DataSet();
    parse(kMostHeaderBytes);
  }
}

void DicomFile::parse(int64_t prefix) {
  const FileSource file(path_);
  size_ = file.size();
  if (size_ > kMostHeaderBytes && prefix == kMostHeaderBytes)
    throw NotSupported(path_ + ": a DICOM header of more than 1 GB");
  auto bytes = std::make_shared<const std::vector<uint8_t>>(file.head(prefix));
  const bool preamble = bytes->size() >= 132 && std::memcmp(bytes->data() + 128, "DICM", 4) == 0;
  DicomParser meta(bytes, size_, path_);
  DataSet head;
  meta.seek(preamble ? 132 : 0);
  meta.elements(head, -1, 0, [](uint32_t tag, int64_t) { return tag >> 16 != 0x0002; });

  const std::string syntax = syntax_ = head.text(tag_of(0x0002, 0x0010));
  int64_t at = meta.at();
  bool is_explicit = true;
  if (syntax.empty()) {  // no meta header: two letters after the first tag tell explicit VR
    is_explicit =
        static_cast<int64_t>(bytes->size()) > at + 6 && is_vr(reinterpret_cast<const char*>(bytes->data()) + at + 4);
  } else if (syntax == "1.2.840.10008.1.2") {
    is_explicit = false;
  } else if (syntax == "1.2.840.10008.1.2.2") {
    big_endian_ = true;
  } else if (syntax == "1.2.840.10008.1.2.1.99") {
    const auto packed =
        prefix >= size_ ? bytes : std::make_shared<const std::vector<uint8_t>>(file.head(kMostHeaderBytes));
    inflated_ = std::make_shared<const std::vector<uint8_t>>(
        inflate_raw(packed->data() + at, static_cast<int64_t>(packed->size()) - at, kMostHeaderBytes, path_));
    bytes = inflated_;
    at = 0;
    size_ = static_cast<int64_t>(bytes->size());
  } else if (syntax == "1.2.840.10008.1.2.5") {
    compression_ = Compression::rle;
  } else if (syntax != "1.2.840.10008.1.2.1") {
    compression_ = Compression::other;
  }

  DicomParser body(bytes, size_, path_);
  body.set_syntax(is_explicit, big_endian_);
  body.seek(at);
  bool at_pixels = false;
  body.elements(data_, -1, 0, [&](uint32_t tag, int64_t) {
    return at_pixels = tag == 0x7fe00010 || tag == 0x7fe00008 || tag == 0x7fe00009;
  });
  if (!at_pixels) return;
  pixel_tag_ = body.read_tag();
  const auto [element, length] = body.header();
  pixel_offset_ = element.offset;
  word_pixels_ = element.vr[0] == 'O' && element.vr[1] == 'W';
  pixel_length_ = length == kUndefined ? int64_t{-1} : int64_t{length};
  if (length != kUndefined && compression_ != Compression::none)
    compression_ = Compression::none;  // said compressed, and isn't
  if (length == kUndefined && compression_ == Compression::none)
    throw FormatError(path_ + ": the pixel data have no length, which only compressed ones may");
  if (pixel_length_ > size_ - pixel_offset_)
    throw FormatError(path_ + ": truncated: the pixel data should take " + std::to_string(pixel_length_) + " bytes, " +
                      std::to_string(size_ - pixel_offset_) + " are left");
}

void DicomFile::read_bytes(int64_t offset, void* to, int64_t count) const {
  if (inflated_) {
    if (offset < 0 || count < 0 || offset + count > size_) throw FormatError(path_ + ": truncated pixel data");
    std::memcpy(to, inflated_->data() + offset, static_cast<size_t>(count));
    return;
  }
  FileSource(path_).read_at(offset, to, count, "the pixel data");
}

void DicomFile::read_pixels(int64_t from, void* to, int64_t count) const {
  if (from < 0 || count < 0 || pixel_offset_ < 0 || from + count > pixel_length_)
    throw FormatError(path_ + ": truncated: pixels up to byte " + std::to_string(from + count) +
                      " of the pixel data are needed, there are " + std::to_string(pixel_length_));
  read_bytes(pixel_offset_ + from, to, count);
}

std::vector<std::pair<int64_t, int64_t>> DicomFile::fragments() const {
  std::vector<std::pair<int64_t, int64_t>> out;
  const FileSource file(path_);
  for (int64_t at = pixel_offset_;;) {
    std::array<uint8_t, 8> raw{};
    file.read_at(at, raw.data(), 8, "a fragment of the compressed pixel data");
    const auto u16 = [&](int i) { return static_cast<uint16_t>(raw[i] | raw[i + 1] << 8); };
    const uint32_t tag = tag_of(u16(0), u16(2)), length = u16(4) | uint32_t{u16(6)} << 16;
    at += 8;
    if (tag == kSequenceEnd) break;
    if (tag != kItem || length == kUndefined || int64_t{length} > size_ - at)
      throw FormatError(path_ + ": the compressed pixel data are damaged or truncated at byte " +
                        std::to_string(at - 8) + ": expected a fragment or the end, found " + tag_name(tag) + " of " +
                        std::to_string(length) + " bytes");
    out.emplace_back(at, length);
    at += length;
  }
  if (!out.empty()) out.erase(out.begin());  // the basic offset table
  if (out.empty()) throw FormatError(path_ + ": the compressed pixel data hold no fragment");
  return out;
}

bool looks_like_dicom(const std::vector<uint8_t>& head) {
  if (head.size() >= 132 && std::memcmp(head.data() + 128, "DICM", 4) == 0) return true;
  // Without a preamble, as old archives have them: group 0002 or 0008, a small element, a plausible length or type.
  if (head.size() < 132 || (head[0] != 2 && head[0] != 8) || head[1] != 0 || head[3] != 0) return false;
  return is_vr(reinterpret_cast<const char*>(head.data()) + 4) || (head[6] == 0 && head[7] == 0);
}

}  // namespace vesalius::io::detail
