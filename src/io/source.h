// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

/// Bounded access to files: nothing here reads past an end or allocates what a header merely claims.
namespace vesalius::io::detail {

/// An open file. Moves of the file under us give errors, not signals: it is read, never mapped.
class FileSource {
 public:
  /// @throws IoError: missing, a folder, not readable; FormatError: 0 bytes.
  explicit FileSource(const std::string& path);
  ~FileSource();
  FileSource(const FileSource&) = delete;
  FileSource& operator=(const FileSource&) = delete;

  const std::string& path() const { return path_; }
  int64_t size() const { return size_; }
  /// Up to `count` bytes at `offset`; returns how many there were.
  int64_t read_some(int64_t offset, void* to, int64_t count) const;
  /// Exactly `count` bytes. @throws FormatError if the file ends before.
  void read_at(int64_t offset, void* to, int64_t count, const char* what) const;
  /// The first bytes, at most `count`.
  std::vector<uint8_t> head(int64_t count) const;

 private:
  std::string path_;
  int fd_ = -1;
  int64_t size_ = 0;
};

/// Bytes in order.
class ByteStream {
 public:
  virtual ~ByteStream() = default;
  /// Up to `count` bytes; fewer only at the end.
  virtual int64_t read(void* to, int64_t count) = 0;
  /// The most bytes that can still come: exact for plain files, a bound for compressed ones.
  virtual int64_t at_most() const = 0;
  /// Reads what is left and checks the checksum, where there is one.
  virtual void finish() {}

  /// Exactly `count`. @throws FormatError "truncated" with both numbers.
  void read_exact(void* to, int64_t count, const std::string& path, const char* what);
  void skip(int64_t count, const std::string& path, const char* what);
  /// @throws FormatError when `count` bytes can't be there: called before memory is taken for them.
  void require(int64_t count, const std::string& path, const char* what) const;
};

/// `file` from `offset` to `end` (-1: the file's end).
std::unique_ptr<ByteStream> plain_stream(const FileSource& file, int64_t offset = 0, int64_t end = -1);
/// The same, inflated; gzip (several members too) or zlib, told by their first bytes.
std::unique_ptr<ByteStream> inflate_stream(const FileSource& file, int64_t offset = 0, int64_t end = -1);
/// The bytes of `file` from `offset` to `end`, inflated at once into `count` bytes at `to`, checksum checked. False where
/// that isn't possible: another number of bytes, damaged, too large a file, built without libdeflate. `inflate_stream` reads what
/// can be read then, and says what is wrong.
bool inflate_at_once(const FileSource& file, int64_t offset, int64_t end, void* to, int64_t count);
/// Raw deflate without a header (DICOM's deflated transfer syntax); bounded by `limit` bytes.
std::vector<uint8_t> inflate_raw(const uint8_t* data, int64_t size, int64_t limit, const std::string& path);

bool is_gzip(const std::vector<uint8_t>& head);

/// a * b, or -1 where that overflows int64 or an argument is negative.
int64_t checked_product(int64_t a, int64_t b);

/// `name`, a data file that a header in `header_path` names; it must lie in the header's folder, links resolved.
/// @throws FormatError otherwise.
std::string data_file_beside(const std::string& header_path, const std::string& name);

std::string lower(std::string text);
std::string trim(const std::string& text);
/// Bytes for a message: printable ASCII, at most 40.
std::string printable(const std::string& text);

}  // namespace vesalius::io::detail
