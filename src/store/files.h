// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

/// What the study asks of the file system: whole files or none, one writer, names that are safe.
namespace vesalius::store {

/// A file that is complete on the disk beside its final place, and takes that place by `commit`; left alone, it
/// goes away. All that can fail for want of space happens in the constructor.
class StagedFile {
 public:
  /// @throws IoError with the system's reason.
  StagedFile(std::filesystem::path target, std::string_view bytes);
  StagedFile(StagedFile&& other) noexcept;
  StagedFile& operator=(StagedFile&&) = delete;
  ~StagedFile();
  void commit();

 private:
  std::filesystem::path target_, temporary_;
};

/// Temporary files of writers that were killed. Only for who holds the lock.
void remove_staged_leftovers(const std::filesystem::path& folder);

void sync_file(const std::filesystem::path& path);
void sync_folder(const std::filesystem::path& folder);
void make_folder(const std::filesystem::path& folder);
/// An empty file, on the disk when this returns.
void touch(const std::filesystem::path& path);
/// No error if there is none.
void remove_file(const std::filesystem::path& path);

/// The one writer's lock on `<study>.lock`, let go when the process ends however it ends. The file says who holds it.
class WriteLock {
 public:
  /// @throws IoError that says who holds it since when.
  explicit WriteLock(const std::filesystem::path& study);
  ~WriteLock();
  WriteLock(const WriteLock&) = delete;
  WriteLock& operator=(const WriteLock&) = delete;

 private:
  std::filesystem::path path_;
  int file_ = -1;
};

/// `text` with every byte but ASCII letters, digits, '-' and '_' as %XX: safe as a file's and as a link's name.
std::string encode_name(const std::string& text);
/// The name of a case's file and group. @throws InvalidArgument for names that are empty, not UTF-8, hold control
/// characters, or are too long for a file name.
std::string case_key(const std::string& subject, const std::string& time_point);
/// @throws InvalidArgument unless `text` is UTF-8, not empty, without control characters. `what` names it.
void require_name(const std::string& text, const std::string& what);
bool is_utf8(std::string_view text);

/// ISO 8601 in UTC, to the second.
std::string now_utc();

}  // namespace vesalius::store
