// SPDX-License-Identifier: Apache-2.0
#include "io/source.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <limits>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#ifdef VESALIUS_LIBDEFLATE
#include <libdeflate.h>
#endif

#include <vesalius/core/error.h>

namespace vesalius::io::detail {
namespace {

/// Deflate can't expand by more (zlib's technical notes: 1032:1).
constexpr int64_t kMostInflation = 1032;
constexpr int64_t kChunk = int64_t{1} << 18;
/// Bytes after the voxels that are inflated to reach the checksum; more is no picture of a sound file.
constexpr int64_t kMostTrailing = int64_t{1} << 26;

class PlainStream final : public ByteStream {
 public:
  PlainStream(const FileSource& file, int64_t offset, int64_t end) : file_(file), at_(offset), end_(end) {}
  int64_t read(void* to, int64_t count) override {
    const int64_t got = file_.read_some(at_, to, std::min(count, at_most()));
    at_ += got;
    return got;
  }
  int64_t at_most() const override { return std::max<int64_t>(0, end_ - at_); }

 private:
  const FileSource& file_;
  int64_t at_, end_;
};

class InflateStream final : public ByteStream {
 public:
  InflateStream(const FileSource& file, int64_t offset, int64_t end)
      : file_(file), at_(offset), end_(end), in_(kChunk) {
    if (inflateInit2(&z_, 15 + 32) != Z_OK) throw IoError(file.path() + ": zlib could not start");
  }
  ~InflateStream() override { inflateEnd(&z_); }

  int64_t read(void* to, int64_t count) override {
    auto* out = static_cast<uint8_t*>(to);
    int64_t done = 0;
    while (done < count && !ended_) {
      fill();
      if (z_.avail_in == 0) truncated();
      const auto room = static_cast<uInt>(std::min<int64_t>(count - done, std::numeric_limits<uInt>::max() / 2));
      z_.next_out = out + done;
      z_.avail_out = room;
      const int status = inflate(&z_, Z_NO_FLUSH);
      done += room - z_.avail_out;
      if (status == Z_STREAM_END)
        next_member();
      else if (status != Z_OK && status != Z_BUF_ERROR)
        throw FormatError(file_.path() + ": the compressed data are damaged (" +
                          (z_.msg ? z_.msg : std::to_string(status).c_str()) + ")");
    }
    return done;
  }

  int64_t at_most() const override {
    if (ended_) return 0;
    const int64_t bound = checked_product(end_ - at_ + z_.avail_in, kMostInflation);
    return bound < 0 ? std::numeric_limits<int64_t>::max() : bound + kChunk;
  }

  void finish() override {
    std::vector<uint8_t> scrap(kChunk);
    int64_t more = 0;
    while (!ended_) {
      more += read(scrap.data(), kChunk);
      if (more > kMostTrailing) throw FormatError(file_.path() + ": holds far more data than its header says");
    }
  }

 private:
  void fill() {
    if (z_.avail_in > 0 || at_ >= end_) return;
    const int64_t got = file_.read_some(at_, in_.data(), std::min<int64_t>(kChunk, end_ - at_));
    at_ += got;
    if (got == 0) end_ = at_;
    z_.next_in = in_.data();
    z_.avail_in = static_cast<uInt>(got);
  }
  [[noreturn]] void truncated() const {
    throw FormatError(file_.path() + ": the compressed data end too early: the file is truncated");
  }
  /// gzip files may be several members one after the other; anything else behind the end is left alone.
  void next_member() {
    fill();
    if (z_.avail_in > 0 && z_.next_in[0] == 0x1f && inflateReset(&z_) == Z_OK) return;
    ended_ = true;
  }

  const FileSource& file_;
  int64_t at_, end_;
  std::vector<uint8_t> in_;
  z_stream z_{};
  bool ended_ = false;
};

int64_t end_of(const FileSource& file, int64_t end) { return end < 0 ? file.size() : std::min(end, file.size()); }

}  // namespace

FileSource::FileSource(const std::string& path) : path_(path) {
  fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // O_NONBLOCK: a named pipe must not hang us
  if (fd_ < 0) throw IoError(path + ": can't be opened: " + std::strerror(errno));
  struct stat status{};
  const bool known = ::fstat(fd_, &status) == 0;
  if (!known || !S_ISREG(status.st_mode)) {
    ::close(fd_);
    throw IoError(path +
                  (known && S_ISDIR(status.st_mode) ? ": is a folder; expected a file" : ": is not an ordinary file"));
  }
  size_ = status.st_size;
  if (size_ == 0) {
    ::close(fd_);
    throw FormatError(path + ": the file is empty (0 bytes)");
  }
}

FileSource::~FileSource() { ::close(fd_); }

int64_t FileSource::read_some(int64_t offset, void* to, int64_t count) const {
  auto* out = static_cast<uint8_t*>(to);
  int64_t done = 0;
  if (offset < 0) return 0;
  while (done < count) {
    const auto got =
        ::pread(fd_, out + done, static_cast<size_t>(std::min<int64_t>(count - done, int64_t{1} << 30)), offset + done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw IoError(path_ + ": can't be read: " + std::strerror(errno));
    if (got == 0) break;
    done += got;
  }
  return done;
}

void FileSource::read_at(int64_t offset, void* to, int64_t count, const char* what) const {
  const int64_t got = read_some(offset, to, count);
  if (got != count)
    throw FormatError(path_ + ": truncated: " + what + " should take " + std::to_string(count) + " bytes from byte " +
                      std::to_string(offset) + "; the file has " + std::to_string(size_) + " bytes");
}

std::vector<uint8_t> FileSource::head(int64_t count) const {
  std::vector<uint8_t> out(static_cast<size_t>(std::min(count, size_)));
  out.resize(static_cast<size_t>(read_some(0, out.data(), static_cast<int64_t>(out.size()))));
  return out;
}

void ByteStream::read_exact(void* to, int64_t count, const std::string& path, const char* what) {
  const int64_t got = read(to, count);
  if (got != count)
    throw FormatError(path + ": truncated: " + what + " should take " + std::to_string(count) +
                      " bytes; the file has " + std::to_string(got) + " of them");
}

void ByteStream::skip(int64_t count, const std::string& path, const char* what) {
  std::vector<uint8_t> scrap(static_cast<size_t>(std::clamp<int64_t>(count, 0, kChunk)));
  while (count > 0) {
    const int64_t part = std::min<int64_t>(count, static_cast<int64_t>(scrap.size()));
    read_exact(scrap.data(), part, path, what);
    count -= part;
  }
}

void ByteStream::require(int64_t count, const std::string& path, const char* what) const {
  if (count < 0)
    throw FormatError(path + ": " + what + " would take more bytes than a computer can address; the header is damaged");
  if (count > at_most())
    throw FormatError(path + ": truncated: " + what + " should take " + std::to_string(count) +
                      " bytes, and the file can hold at most " + std::to_string(at_most()));
}

std::unique_ptr<ByteStream> plain_stream(const FileSource& file, int64_t offset, int64_t end) {
  return std::make_unique<PlainStream>(file, offset, end_of(file, end));
}

std::unique_ptr<ByteStream> inflate_stream(const FileSource& file, int64_t offset, int64_t end) {
  return std::make_unique<InflateStream>(file, offset, end_of(file, end));
}

#ifdef VESALIUS_LIBDEFLATE
bool inflate_at_once(const FileSource& file, int64_t offset, int64_t end, void* to, int64_t count) {
  constexpr int64_t kMost = int64_t{1} << 30;  // a whole file in memory beside its voxels
  int64_t left = end_of(file, end) - offset;
  if (left <= 0 || left > kMost) return false;
  const std::unique_ptr<uint8_t[]> packed(new uint8_t[left]);
  if (file.read_some(offset, packed.get(), left) != left) return false;
  const std::unique_ptr<libdeflate_decompressor, void (*)(libdeflate_decompressor*)> inflater(
      libdeflate_alloc_decompressor(), &libdeflate_free_decompressor);
  if (!inflater) return false;
  const uint8_t* from = packed.get();
  auto* out = static_cast<uint8_t*>(to);
  const auto member = [](const uint8_t* p, int64_t n) { return n > 1 && p[0] == 0x1f && p[1] == 0x8b; };
  const auto inflate_one = member(from, left) ? &libdeflate_gzip_decompress_ex : &libdeflate_zlib_decompress_ex;
  while (count > 0) {  // a gzip file may be several members
    size_t used = 0, made = 0;
    if (inflate_one(inflater.get(), from, left, out, count, &used, &made) != LIBDEFLATE_SUCCESS) return false;
    from += used, left -= static_cast<int64_t>(used);
    out += made, count -= static_cast<int64_t>(made);
    if (count > 0 && !member(from, left)) return false;
  }
  return left == 0 || from[0] != 0x1f;
}
#else
bool inflate_at_once(const FileSource&, int64_t, int64_t, void*, int64_t) { return false; }
#endif

std::vector<uint8_t> inflate_raw(const uint8_t* data, int64_t size, int64_t limit, const std::string& path) {
  z_stream z{};
  if (inflateInit2(&z, -15) != Z_OK) throw IoError(path + ": zlib could not start");
  const std::unique_ptr<z_stream, int (*)(z_stream*)> guard(&z, &inflateEnd);
  std::vector<uint8_t> out;
  z.next_in = const_cast<uint8_t*>(data);
  z.avail_in = static_cast<uInt>(std::min<int64_t>(size, std::numeric_limits<uInt>::max()));
  int status = Z_OK;
  while (status == Z_OK) {
    const size_t before = out.size();
    if (static_cast<int64_t>(before) > limit)
      throw FormatError(path + ": inflates to more than " + std::to_string(limit) + " bytes");
    out.resize(before + kChunk);
    z.next_out = out.data() + before;
    z.avail_out = kChunk;
    status = inflate(&z, Z_NO_FLUSH);
    out.resize(before + kChunk - z.avail_out);
  }
  if (status != Z_STREAM_END) throw FormatError(path + ": the deflated data set is damaged or truncated");
  return out;
}

bool is_gzip(const std::vector<uint8_t>& head) { return head.size() > 2 && head[0] == 0x1f && head[1] == 0x8b; }

int64_t checked_product(int64_t a, int64_t b) {
  int64_t out = 0;
  return a < 0 || b < 0 || __builtin_mul_overflow(a, b, &out) ? -1 : out;
}

std::string data_file_beside(const std::string& header_path, const std::string& name) {
  namespace fs = std::filesystem;
  const auto refuse = [&](const std::string& why) {
    throw FormatError(header_path + ": names \"" + printable(name) + "\" as its data file; " + why);
  };
  if (name.find('\0') != std::string::npos || name.empty()) refuse("that is no file name");
  if (name.find('%') != std::string::npos || name.find(' ') != std::string::npos)
    if (!fs::exists(fs::path(header_path).parent_path() / name))
      refuse("lists and patterns of data files are not read");
  std::error_code failed;
  const fs::path folder = fs::canonical(fs::absolute(header_path).parent_path(), failed);
  if (failed) refuse("its folder can't be opened: " + failed.message());
  const fs::path file = fs::weakly_canonical(folder / name, failed);
  if (failed) refuse("which can't be followed: " + failed.message());
  const fs::path within = file.lexically_relative(folder);
  if (within.empty() || *within.begin() == "..")
    refuse(
        "a data file must lie in the header's own folder, so that a header can't name any file of the computer as its "
        "voxels");
  if (!fs::is_regular_file(file, failed)) refuse("there is no such file beside the header");
  return file.string();
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return c < 128 ? std::tolower(c) : c; });
  return text;
}

std::string trim(const std::string& text) {
  const auto space = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\0'; };
  size_t from = 0, to = text.size();
  while (from < to && space(text[from])) ++from;
  while (to > from && space(text[to - 1])) --to;
  return text.substr(from, to - from);
}

std::string printable(const std::string& text) {
  std::string out;
  for (const char c : text.substr(0, 40)) out += c >= 32 && c < 127 ? c : '?';
  return text.size() > 40 ? out + "…" : out;
}

}  // namespace vesalius::io::detail
