// SPDX-License-Identifier: Apache-2.0
#include "store/files.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <utility>
#include <vector>

#include <vesalius/core/error.h>

namespace fs = std::filesystem;

namespace vesalius::store {
namespace {

constexpr std::string_view kStagedPrefix = ".vesalius-tmp-";

[[noreturn]] void fail_io(const std::string& what) { throw IoError(what + ": " + std::strerror(errno)); }

class Descriptor {
 public:
  explicit Descriptor(int file) : file_(file) {}
  ~Descriptor() {
    if (file_ >= 0) ::close(file_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  operator int() const { return file_; }
  int close() { return ::close(std::exchange(file_, -1)); }

 private:
  int file_;
};

fs::path folder_of(const fs::path& path) { return path.has_parent_path() ? path.parent_path() : fs::path("."); }

void write_all(int file, std::string_view bytes, const std::string& what) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file, bytes.data(), std::min<size_t>(bytes.size(), size_t{1} << 30));
    if (written < 0) {
      if (errno == EINTR) continue;
      fail_io(what);
    }
    bytes.remove_prefix(static_cast<size_t>(written));
  }
}

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "unknown";
}

struct Holder {
  std::string host, since;
  long pid = 0;
};

Holder read_holder(int file) {
  std::array<char, 1024> text{};
  const ssize_t size = ::pread(file, text.data(), text.size() - 1, 0);
  Holder holder;
  std::array<char, 256> host{}, since{};
  if (size > 0 &&
      std::sscanf(text.data(), "host %255s pid %ld since %255s", host.data(), &holder.pid, since.data()) == 3) {
    holder.host = host.data();
    holder.since = since.data();
  }
  return holder;
}

std::string describe(const Holder& holder) {
  if (holder.pid == 0) return "another process";
  std::string text = "process " + std::to_string(holder.pid) + " on " + holder.host + ", since " + holder.since;
  if (holder.host == host_name() && ::kill(static_cast<pid_t>(holder.pid), 0) != 0 && errno == ESRCH)
    text += " (that process has ended; a child of it still holds the file open)";
  return text;
}

struct flock whole_file(short type) {
  struct flock lock{};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  return lock;
}

}  // namespace

StagedFile::StagedFile(fs::path target, std::string_view bytes) : target_(std::move(target)) {
  static std::atomic<uint64_t> counter{0};
  temporary_ =
      folder_of(target_) / (std::string(kStagedPrefix) + std::to_string(::getpid()) + "-" + std::to_string(counter++));
  const std::string what = "can't write " + target_.string() + " (what was stored before is unchanged)";
  Descriptor file(::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (file < 0) fail_io(what);
  try {
    write_all(file, bytes, what);
    if (::fsync(file) != 0) fail_io(what);
    if (file.close() != 0) fail_io(what);
  } catch (...) {
    ::unlink(temporary_.c_str());
    throw;
  }
}

StagedFile::StagedFile(StagedFile&& other) noexcept
    : target_(std::move(other.target_)), temporary_(std::exchange(other.temporary_, fs::path())) {}

StagedFile::~StagedFile() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void StagedFile::commit() {
  if (::rename(temporary_.c_str(), target_.c_str()) != 0) fail_io("can't put " + target_.string() + " in place");
  temporary_.clear();
  sync_folder(folder_of(target_));
}

void remove_staged_leftovers(const fs::path& folder) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored))
    if (entry.path().filename().string().starts_with(kStagedPrefix)) fs::remove(entry.path(), ignored);
}

void sync_file(const fs::path& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file < 0 || ::fsync(file) != 0) fail_io("can't sync " + path.string());
}

void sync_folder(const fs::path& folder) {
  const Descriptor file(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (file < 0) fail_io("can't open folder " + folder.string());
  // Some file systems (network ones) can't sync a folder; the rename itself stands.
  if (::fsync(file) != 0 && errno != EINVAL && errno != ENOTSUP) fail_io("can't sync folder " + folder.string());
}

void make_folder(const fs::path& folder) {
  if (::mkdir(folder.c_str(), 0777) == 0) return sync_folder(folder_of(folder));
  if (errno != EEXIST || !fs::is_directory(folder)) fail_io("can't make folder " + folder.string());
}

void touch(const fs::path& path) {
  const Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666));
  if (file < 0) fail_io("can't write " + path.string());
  sync_folder(folder_of(path));
}

void remove_file(const fs::path& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) fail_io("can't remove " + path.string());
}

WriteLock::WriteLock(const fs::path& study) : path_(study.string() + ".lock") {
  // An open-file-description lock: it ends with the process, holds between two Study objects of one process, and
  // another close of the file in this process does not drop it (as it would a POSIX lock).
  for (;;) {
    Descriptor file(::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
    if (file < 0)
      fail_io("can't make the lock " + path_.string() + "; to read the study only, open it with mode \"r\"");
    struct flock lock = whole_file(F_WRLCK);
    if (::fcntl(file, F_OFD_SETLK, &lock) != 0) {
      if (errno != EAGAIN && errno != EACCES) fail_io("can't lock " + path_.string());
      throw IoError("study " + study.string() + " is being written by " + describe(read_holder(file)) +
                    ". Close it there, wait until it is done, or open it with mode \"r\" to read it meanwhile");
    }
    // The last holder removes the file as it leaves: what was locked must still be what lies at the path.
    struct stat ours{}, there{};
    if (::fstat(file, &ours) == 0 && ::stat(path_.c_str(), &there) == 0 && ours.st_ino == there.st_ino) {
      const std::string text =
          "host " + host_name() + "\npid " + std::to_string(::getpid()) + "\nsince " + now_utc() + "\n";
      if (::ftruncate(file, 0) == 0) {
        const ssize_t written = ::pwrite(file, text.data(), text.size(), 0);
        (void)written;  // only a message's details: the lock itself holds on a full disk too
      }
      file_ = ::dup(file);
      ::fcntl(file_, F_SETFD, FD_CLOEXEC);
      return;
    }
  }
}

WriteLock::~WriteLock() {
  if (file_ < 0) return;
  ::unlink(path_.c_str());
  struct flock lock = whole_file(F_UNLCK);
  ::fcntl(file_, F_OFD_SETLK, &lock);  // by hand, for a forked child may hold the descriptor too
  ::close(file_);
}

bool is_utf8(std::string_view text) {
  // RFC 3629, section 4: no overlong forms, no surrogates, nothing above U+10FFFF.
  for (size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const size_t more = lead < 0x80                   ? 0
                        : lead >= 0xC2 && lead < 0xE0 ? 1
                        : (lead & 0xF0) == 0xE0       ? 2
                        : lead >= 0xF0 && lead < 0xF5 ? 3
                                                      : 9;
    if (more == 9 || i + more >= text.size()) return false;
    for (size_t k = 1; k <= more; ++k)
      if ((static_cast<unsigned char>(text[i + k]) & 0xC0) != 0x80) return false;
    const unsigned char second = more > 0 ? static_cast<unsigned char>(text[i + 1]) : 0;
    if ((lead == 0xE0 && second < 0xA0) || (lead == 0xED && second > 0x9F) || (lead == 0xF0 && second < 0x90) ||
        (lead == 0xF4 && second > 0x8F))
      return false;
    i += more + 1;
  }
  return true;
}

void require_name(const std::string& text, const std::string& what) {
  if (text.empty()) throw InvalidArgument(what + " must not be empty");
  if (!is_utf8(text)) throw InvalidArgument(what + " must be UTF-8 text");
  for (const unsigned char c : text)
    if (c < 0x20 || c == 0x7F) throw InvalidArgument(what + " \"" + encode_name(text) + "\" holds a control character");
}

std::string encode_name(const std::string& text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (const unsigned char c : text) {
    if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' || c == '_') {
      out += static_cast<char>(c);
    } else {
      out += '%', out += kHex[c >> 4], out += kHex[c & 15];
    }
  }
  return out;
}

std::string case_key(const std::string& subject, const std::string& time_point) {
  require_name(subject, "a subject's name");
  if (!time_point.empty()) require_name(time_point, "a time point");
  // '.' is encoded in both parts, so that the one between them is the only one.
  std::string key = encode_name(subject);
  if (!time_point.empty()) key += "." + encode_name(time_point);
  if (key.size() > 240)
    throw InvalidArgument("subject \"" + subject + "\": the name is too long for a file name (" +
                          std::to_string(key.size()) + " bytes as stored, 240 at most)");
  return key;
}

std::string now_utc() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text.data();
}

}  // namespace vesalius::store
