// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <vesalius/core/image.h>

#include "io/source.h"

/// A DICOM data set (PS3.5), parsed here with every length checked against what is there, so that a damaged or hostile
/// header never reaches a decoder.
namespace vesalius::io::detail {

constexpr uint32_t tag_of(uint16_t group, uint16_t element) { return uint32_t{group} << 16 | element; }

class DataSet;

struct DicomElement {
  char vr[2] = {'U', 'N'};
  int64_t offset = 0, length = 0;  ///< the value, in the buffer
  std::vector<DataSet> items;      ///< of a sequence
};

class DataSet {
 public:
  bool has(uint32_t tag) const { return elements_.count(tag) > 0; }
  /// Text without padding; "" if absent. Values are separated by backslashes.
  std::string text(uint32_t tag) const;
  /// Numbers written as text (DS, IS) or binary (US, SS, UL, SL, FL, FD); empty if absent.
  /// @throws FormatError naming the tag where the text is no number.
  std::vector<double> numbers(uint32_t tag) const;
  std::optional<double> number(uint32_t tag) const;
  /// The same, and nothing where the text is no number.
  std::optional<double> number_if_any(uint32_t tag) const;
  /// A whole number in [0, limit], or nothing.
  std::optional<int64_t> count(uint32_t tag) const;
  const std::vector<DataSet>& items(uint32_t tag) const;
  /// The first item of a sequence, or an empty data set.
  const DataSet& item(uint32_t tag) const;

 private:
  friend class DicomParser;
  struct Origin;  ///< the buffer, its byte order, the file's name
  std::map<uint32_t, DicomElement> elements_;
  std::shared_ptr<const Origin> origin_;
};

enum class Compression { none, rle, other };

class DicomFile {
 public:
  /// @throws FormatError unless it is a sound DICOM file.
  explicit DicomFile(const std::string& path);

  const std::string& path() const { return path_; }
  const DataSet& data() const { return data_; }
  Compression compression() const { return compression_; }
  const std::string& transfer_syntax() const { return syntax_; }
  bool big_endian() const { return big_endian_; }
  bool word_pixels() const { return word_pixels_; }  ///< OW: bytes come in words of the file's order
  bool has_pixels() const { return pixel_offset_ >= 0; }
  int64_t pixel_length() const { return pixel_length_; }  ///< of uncompressed pixels, as the header says
  uint32_t pixel_tag() const { return pixel_tag_; }
  /// Bytes of the uncompressed pixel data.
  void read_pixels(int64_t from, void* to, int64_t count) const;
  /// The fragments of compressed pixel data (without the offset table), lengths checked.
  std::vector<std::pair<int64_t, int64_t>> fragments() const;
  void read_bytes(int64_t offset, void* to, int64_t count) const;
  int64_t size() const { return size_; }

 private:
  friend class DicomParser;
  void parse(int64_t prefix);
  std::string path_, syntax_;
  int64_t size_ = 0;
  DataSet data_;
  Compression compression_ = Compression::none;
  bool big_endian_ = false, word_pixels_ = false;
  std::shared_ptr<const std::vector<uint8_t>> inflated_;  ///< the deflated transfer syntax
  int64_t pixel_offset_ = -1, pixel_length_ = 0;
  uint32_t pixel_tag_ = 0;
};

bool looks_like_dicom(const std::vector<uint8_t>& head);

}  // namespace vesalius::io::detail
