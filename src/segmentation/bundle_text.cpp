// SPDX-License-Identifier: Apache-2.0
#include <filesystem>
#include <fstream>
#include <sstream>

#include <vesalius/core/error.h>

#include "io/atomic_file.h"
#include "segmentation/network_model.h"

namespace vesalius::segmentation {
namespace fs = std::filesystem;

std::string read_bundle_text(const std::string& path) {
  constexpr uintmax_t kMaxBytes = 1 << 20;  // a plan or a card is text for people
  std::error_code error;
  const auto bytes = fs::file_size(path, error);
  if (error) throw FormatError("can't read " + path + ": " + error.message());
  if (bytes > kMaxBytes)
    throw FormatError(path + " has " + std::to_string(bytes) + " bytes; a bundle's text file has at most " +
                      std::to_string(kMaxBytes));
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  if (!in) throw IoError("can't read " + path);
  return text.str();
}

void write_bundle_text(const std::string& path, const std::string& text) {
  io::detail::AtomicFile out(path);
  out.write(text.data(), static_cast<int64_t>(text.size()));
  out.commit();
}

}  // namespace vesalius::segmentation
