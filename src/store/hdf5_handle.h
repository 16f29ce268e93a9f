// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mutex>
#include <string>
#include <utility>

#include <hdf5.h>

#include <vesalius/core/error.h>

namespace vesalius::store::hdf5 {

/// Debian's HDF5 is not thread-safe: whoever calls it holds the one mutex of the process, in here.
/// While it is held HDF5 prints nothing; `fail` turns its error stack into our message.
class Guard {
 public:
  Guard();
  ~Guard();
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;

 private:
  std::unique_lock<std::recursive_mutex> lock_;
  H5E_auto2_t print_ = nullptr;
  void* print_data_ = nullptr;
};

/// What HDF5's error stack says, innermost first, and clears it.
std::string error_text();

template <class E = FormatError>
[[noreturn]] void fail(const std::string& what) {
  throw E(what + ": " + error_text());
}

/// An HDF5 identifier that closes itself.
template <auto Close>
class Handle {
 public:
  Handle() = default;
  /// @throws FormatError that starts with `what`, if HDF5 could not make the identifier.
  Handle(hid_t id, const std::string& what) : id_(id) {
    if (id < 0) fail(what);
  }
  Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, -1)) {}
  Handle& operator=(Handle&& other) noexcept {
    std::swap(id_, other.id_);
    return *this;
  }
  ~Handle() {
    if (id_ >= 0) Close(id_);
  }
  /// Closes now and says whether that went well: a file's last bytes are written here.
  bool close() { return Close(std::exchange(id_, -1)) >= 0; }
  operator hid_t() const { return id_; }

 private:
  hid_t id_ = -1;
};

using File = Handle<H5Fclose>;
using Group = Handle<H5Gclose>;
using Dataset = Handle<H5Dclose>;
using Attribute = Handle<H5Aclose>;
using Space = Handle<H5Sclose>;
using Type = Handle<H5Tclose>;
using Properties = Handle<H5Pclose>;
using Object = Handle<H5Oclose>;

template <class E = FormatError>
inline void require(herr_t status, const std::string& what) {
  if (status < 0) fail<E>(what);
}

}  // namespace vesalius::store::hdf5
