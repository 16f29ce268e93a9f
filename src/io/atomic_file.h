// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

namespace vesalius::io::detail {

/// A file that appears under its name whole or not at all. Written beside its place; `commit` makes it lasting (fsync),
/// then renames. Without `commit` what was written goes and what was there stays.
class AtomicFile {
 public:
  /// @throws IoError: no such folder, no permission.
  explicit AtomicFile(const std::string& path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  /// @throws IoError naming the path and the reason, such as a full disk.
  void write(const void* data, int64_t count);
  void commit();

 private:
  [[noreturn]] void fail(const char* what) const;
  std::string path_, temporary_;
  int fd_ = -1;
};

/// Compressing writer on top: gzip (what .gz files hold) or zlib (MetaImage).
class DeflateWriter {
 public:
  DeflateWriter(AtomicFile& file, bool gzip);
  ~DeflateWriter();
  DeflateWriter(const DeflateWriter&) = delete;
  DeflateWriter& operator=(const DeflateWriter&) = delete;
  void write(const void* data, int64_t count);
  void finish();

 private:
  void run(int flush);
  struct State;
  State* state_;
  AtomicFile& file_;
};

}  // namespace vesalius::io::detail
