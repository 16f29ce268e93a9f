// SPDX-License-Identifier: Apache-2.0
#include <vesalius/core/device.h>

#include <dlfcn.h>

#include <filesystem>

namespace vesalius {
namespace {

/// The kernels are a library of their own, so that one build of libvesalius serves torch with and
/// without CUDA. It registers its operators when it is opened and is never closed.
std::string open_cuda_library() {
  Dl_info here{};
  if (!dladdr(reinterpret_cast<const void*>(&cuda_status), &here) || !here.dli_fname)
    return "libvesalius can't tell where it lies";
  const auto path = std::filesystem::path(here.dli_fname).parent_path() / "libvesalius_cuda.so";
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored))
    return "this build of Vesalius has no CUDA kernels (it was built without nvcc)";
  if (!dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)) {
    const char* why = dlerror();
    return std::string("the CUDA kernels can't be loaded; torch may be a CPU-only build: ") + (why ? why : "");
  }
  return "available";
}

const std::string& status() {
  static const std::string text = open_cuda_library();
  return text;
}

}  // namespace

bool load_cuda_kernels() { return status() == "available"; }
std::string cuda_status() { return status(); }

}  // namespace vesalius
