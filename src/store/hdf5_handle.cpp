// SPDX-License-Identifier: Apache-2.0
#include "store/hdf5_handle.h"

namespace vesalius::store::hdf5 {
namespace {

std::recursive_mutex& process_mutex() {
  static std::recursive_mutex mutex;
  return mutex;
}

herr_t keep_description(unsigned, const H5E_error2_t* error, void* out) {
  auto& text = *static_cast<std::string*>(out);
  const std::string said = error->desc ? error->desc : "";
  // The innermost two say what happened and to what; the rest is HDF5's own call chain.
  if (!said.empty() && text.size() < 200) text += (text.empty() ? "" : "; ") + said;
  return 0;
}

}  // namespace

Guard::Guard() : lock_(process_mutex()) {
  H5Eget_auto2(H5E_DEFAULT, &print_, &print_data_);
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
}

Guard::~Guard() { H5Eset_auto2(H5E_DEFAULT, print_, print_data_); }

std::string error_text() {
  std::string text;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_description, &text);
  H5Eclear2(H5E_DEFAULT);
  return text.empty() ? "HDF5 gives no reason" : "HDF5 says: " + text;
}

}  // namespace vesalius::store::hdf5
