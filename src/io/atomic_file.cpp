// SPDX-License-Identifier: Apache-2.0
#include "io/atomic_file.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <vesalius/core/error.h>

namespace vesalius::io::detail {

namespace {
/// A fast level: at 6 the same volumes take about three times as long for 3 % fewer bytes.
constexpr int kDeflateLevel = 2;
constexpr size_t kDeflateBlock = size_t{1} << 18;
}  // namespace

AtomicFile::AtomicFile(const std::string& path) : path_(path) {
  namespace fs = std::filesystem;
  static std::atomic<int> counter{0};
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) throw IoError(path + ": can't be written: it is a folder");
  const fs::path target(path);
  const fs::path folder = target.parent_path().empty() ? fs::path(".") : target.parent_path();
  if (!fs::is_directory(folder, ignored))
    throw IoError(path + ": can't be written: there is no folder " + folder.string());
  temporary_ = (folder / ("." + target.filename().string() + "." + std::to_string(::getpid()) + "-" +
                          std::to_string(counter++) + ".tmp"))
                   .string();
  fd_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (fd_ < 0) fail("can't be written");
}

AtomicFile::~AtomicFile() {
  if (fd_ < 0) return;
  ::close(fd_);
  ::unlink(temporary_.c_str());
}

void AtomicFile::fail(const char* what) const {
  throw IoError(path_ + ": " + what + ": " + std::strerror(errno) + ". What was there before is unchanged");
}

void AtomicFile::write(const void* data, int64_t count) {
  const auto* at = static_cast<const char*>(data);
  while (count > 0) {
    const auto wrote = ::write(fd_, at, static_cast<size_t>(std::min<int64_t>(count, int64_t{1} << 30)));
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) fail("can't be written");
    at += wrote;
    count -= wrote;
  }
}

void AtomicFile::commit() {
  if (::fsync(fd_) != 0) fail("can't be written to the disk");
  if (::close(fd_) != 0) {
    fd_ = -1;
    ::unlink(temporary_.c_str());
    fail("can't be written to the disk");
  }
  fd_ = -1;
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) {
    const int why = errno;
    ::unlink(temporary_.c_str());
    errno = why;
    fail("can't be put in its place");
  }
  // The rename itself lasts once the folder is synced; some file systems can't, which is no loss of data.
  const auto slash = path_.rfind('/');
  const int folder =
      ::open(slash == std::string::npos ? "." : path_.substr(0, slash + 1).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder >= 0) {
    ::fsync(folder);
    ::close(folder);
  }
}

struct DeflateWriter::State {
  z_stream z{};
  std::vector<uint8_t> out = std::vector<uint8_t>(kDeflateBlock);
};

DeflateWriter::DeflateWriter(AtomicFile& file, bool gzip) : state_(new State), file_(file) {
  if (deflateInit2(&state_->z, kDeflateLevel, Z_DEFLATED, gzip ? 15 + 16 : 15, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
    delete state_;
    throw IoError("zlib could not start");
  }
}

DeflateWriter::~DeflateWriter() {
  deflateEnd(&state_->z);
  delete state_;
}

void DeflateWriter::run(int flush) {
  auto& z = state_->z;
  int status = Z_OK;
  do {
    z.next_out = state_->out.data();
    z.avail_out = static_cast<uInt>(state_->out.size());
    status = deflate(&z, flush);
    file_.write(state_->out.data(), static_cast<int64_t>(state_->out.size() - z.avail_out));
  } while (flush == Z_FINISH ? status != Z_STREAM_END : z.avail_out == 0);
}

void DeflateWriter::write(const void* data, int64_t count) {
  const auto* at = static_cast<const uint8_t*>(data);
  while (count > 0) {
    const int64_t part = std::min<int64_t>(count, int64_t{1} << 30);
    state_->z.next_in = const_cast<uint8_t*>(at);
    state_->z.avail_in = static_cast<uInt>(part);
    run(Z_NO_FLUSH);
    at += part;
    count -= part;
  }
}

void DeflateWriter::finish() {
  state_->z.avail_in = 0;
  run(Z_FINISH);
}

}  // namespace vesalius::io::detail
