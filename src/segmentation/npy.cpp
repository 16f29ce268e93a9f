// SPDX-License-Identifier: Apache-2.0
#include "segmentation/npy.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include <vesalius/core/error.h>

#include "io/atomic_file.h"

namespace vesalius::segmentation::detail {
namespace {

struct Type {
  const char* name;
  at::ScalarType type;
  int64_t bytes;
};
constexpr Type kTypes[] = {{"<f4", at::kFloat, 4}, {"<i2", at::kShort, 2}, {"<i4", at::kInt, 4}};
constexpr size_t kMaxAxes = 8;

/// The tuple after `'shape':` in the header; empty where it makes no sense.
std::vector<int64_t> shape_in(const std::string& header) {
  std::vector<int64_t> shape;
  size_t at = header.find("'shape':");
  if (at == std::string::npos || (at = header.find('(', at)) == std::string::npos) return shape;
  for (++at; at < header.size() && header[at] != ')';) {
    if (header[at] < '0' || header[at] > '9') {
      ++at;
      continue;
    }
    int64_t value = 0;
    for (; at < header.size() && header[at] >= '0' && header[at] <= '9' && value < (int64_t{1} << 40); ++at)
      value = value * 10 + (header[at] - '0');
    shape.push_back(value);
    if (shape.size() > kMaxAxes) return {};
  }
  return shape;
}

/// How many elements; -1 where that makes no sense. A zero among impossible sizes is refused with them.
int64_t elements(const std::vector<int64_t>& shape) {
  if (shape.empty()) return -1;
  int64_t all = 1, whole = 1;
  for (const int64_t n : shape) {
    const int64_t factor = n > 0 ? n : 1;
    if (whole > (int64_t{1} << 40) / factor) return -1;
    whole *= factor;
    all *= n;
  }
  return all;
}

std::string printable_ascii(std::string text) {
  for (char& c : text)
    if (c < ' ' || c > '~') c = '?';
  return text;
}

struct Mapping {
  void* data = MAP_FAILED;
  size_t bytes = 0;
  ~Mapping() {
    if (data != MAP_FAILED) munmap(data, bytes);
  }
};

}  // namespace

void write_npy(const std::string& path, const at::Tensor& tensor) {
  const at::Tensor voxels = tensor.contiguous();
  const Type* type = nullptr;
  for (const auto& known : kTypes)
    if (known.type == voxels.scalar_type()) type = &known;
  if (!type) throw TypeMismatch("write_npy: float32, int16 or int32");
  std::string header = std::string("{'descr': '") + type->name + "', 'fortran_order': False, 'shape': (";
  for (const int64_t n : voxels.sizes()) header += std::to_string(n) + ", ";
  header += "), }";
  header.resize((10 + header.size() + 1 + 63) / 64 * 64 - 10 - 1, ' ');
  header += '\n';
  const auto length = static_cast<uint16_t>(header.size());
  io::detail::AtomicFile file(path);
  file.write("\x93NUMPY\x01\x00", 8);
  file.write(&length, 2);
  file.write(header.data(), static_cast<int64_t>(header.size()));
  if (voxels.numel() > 0) file.write(voxels.const_data_ptr(), voxels.numel() * type->bytes);
  file.commit();
}

at::Tensor map_npy(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) throw IoError("can't open " + path + ": " + std::strerror(errno));
  struct stat status{};
  auto mapping = std::make_shared<Mapping>();
  if (fstat(fd, &status) == 0 && status.st_size >= 64) {
    mapping->bytes = static_cast<size_t>(status.st_size);
    mapping->data = mmap(nullptr, mapping->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
  }
  ::close(fd);
  if (mapping->data == MAP_FAILED)
    throw FormatError(path + " can't be mapped; it has " + std::to_string(status.st_size) +
                      " bytes. Delete its folder: prepared cases are made again");
  const auto* bytes = static_cast<const unsigned char*>(mapping->data);
  const size_t start = 10 + bytes[8] + 256 * bytes[9];
  if (std::memcmp(bytes, "\x93NUMPY\x01\x00", 8) != 0 || start > mapping->bytes)
    throw FormatError(path + " is no .npy file of version 1; delete its folder: prepared cases are made again");
  const std::string header(reinterpret_cast<const char*>(bytes) + 10, start - 10);
  const auto shape = shape_in(header);
  const Type* type = nullptr;
  for (const auto& known : kTypes)
    if (header.find(std::string("'") + known.name + "'") != std::string::npos) type = &known;
  const int64_t count = elements(shape);
  if (!type || count < 0 || header.find("'fortran_order': False") == std::string::npos ||
      start % static_cast<size_t>(type->bytes) != 0 ||
      start + static_cast<size_t>(count) * type->bytes != mapping->bytes)
    throw FormatError(path + ": the header " + printable_ascii(header.substr(0, 120)) + " doesn't fit " +
                      std::to_string(mapping->bytes) + " bytes; was the file cut short? Delete its folder: prepared " +
                      "cases are made again");
  void* data = static_cast<char*>(mapping->data) + start;
  if (count == 0) return at::empty(shape, type->type);
  return at::from_blob(data, shape, [mapping](void*) {}, at::TensorOptions().dtype(type->type));
}

}  // namespace vesalius::segmentation::detail
