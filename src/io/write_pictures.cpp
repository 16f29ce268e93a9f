// SPDX-License-Identifier: Apache-2.0
// PNG (ISO/IEC 15948) and baseline TIFF 6.0, written here because a full disk must become an error, not a short file.
#include <cstring>

#include <ATen/TensorOperators.h>
#include <zlib.h>

#include <vesalius/core/error.h>

#include "io/atomic_file.h"
#include "io/pictures.h"

namespace vesalius::io::detail {
namespace {

/// [y, x, c], contiguous.
at::Tensor picture_of(const at::Tensor& voxels, const std::string& path, bool colours_only) {
  const auto depth = voxels.size(voxels.dim() - 3);
  if (depth != 1)
    throw ShapeError(path + ": a picture is one slice, [1, y, x]; this image has " + std::to_string(depth) +
                     " slices. Crop one, or write .nii.gz, .nrrd or .mha");
  const at::Tensor out = voxels.dim() == 4 ? voxels.select(1, 0).permute({1, 2, 0}).contiguous()
                                           : voxels.select(0, 0).unsqueeze(-1).contiguous();
  const auto channels = out.size(2);
  if (channels != 1 && channels != 3 && channels != 4 && (colours_only || channels > 65535))
    throw ShapeError(path + ": a picture has 1 channel (grey), 3 (RGB) or 4 (RGBA); this image has " +
                     std::to_string(channels));
  return out;
}

void append_big(std::string& out, uint32_t value) {
  for (const int shift : {24, 16, 8, 0}) out += static_cast<char>(value >> shift & 0xff);
}

void png_chunk(AtomicFile& file, const std::string& type, const std::string& data) {
  std::string out;
  append_big(out, static_cast<uint32_t>(data.size()));
  const std::string body = type + data;
  out += body;
  append_big(out, static_cast<uint32_t>(
                      crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size()))));
  file.write(out.data(), static_cast<int64_t>(out.size()));
}

template <class T>
void append_little(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof(T));
}

}  // namespace

void write_png(const at::Tensor& voxels, const std::string& path) {
  at::Tensor pixels = picture_of(voxels, path, true);
  const bool eight = pixels.scalar_type() == at::kByte;
  if (!eight) {
    const bool whole = at::isIntegralType(pixels.scalar_type(), false);
    const at::Tensor wide = whole ? pixels.to(at::kLong) : at::Tensor();
    if (!whole || wide.min().item<int64_t>() < 0 || wide.max().item<int64_t>() > 65535)
      throw TypeMismatch(path + ": PNG holds uint8, or whole numbers from 0 to 65535; this image is " +
                         c10::toString(pixels.scalar_type()) +
                         (whole ? " from " + std::to_string(wide.min().item<int64_t>()) + " to " +
                                      std::to_string(wide.max().item<int64_t>())
                                : std::string()) +
                         ". Scale it first, or write .tif");
    pixels = wide.to(at::kInt).contiguous();
  }
  const int64_t rows = pixels.size(0), columns = pixels.size(1), channels = pixels.size(2);
  if (rows > 0x7fffffff || columns > 0x7fffffff) throw InvalidArgument(path + ": too large for PNG");
  std::string head;
  append_big(head, static_cast<uint32_t>(columns));
  append_big(head, static_cast<uint32_t>(rows));
  head += static_cast<char>(eight ? 8 : 16);
  head += static_cast<char>(channels == 1 ? 0 : channels == 3 ? 2 : 6);
  head.append(3, '\0');
  std::string raw;  // each row after a filter byte (0: none)
  const int64_t row_values = columns * channels;
  raw.reserve(static_cast<size_t>(rows * (row_values * (eight ? 1 : 2) + 1)));
  for (int64_t y = 0; y < rows; ++y) {
    raw += '\0';
    if (eight) {
      raw.append(static_cast<const char*>(pixels.const_data_ptr()) + y * row_values, static_cast<size_t>(row_values));
      continue;
    }
    const auto* row = pixels.const_data_ptr<int32_t>() + y * row_values;
    for (int64_t i = 0; i < row_values; ++i)
      raw += static_cast<char>(row[i] >> 8), raw += static_cast<char>(row[i] & 0xff);
  }
  uLongf size = compressBound(static_cast<uLong>(raw.size()));
  std::string packed(size, '\0');
  if (compress2(reinterpret_cast<Bytef*>(packed.data()), &size, reinterpret_cast<const Bytef*>(raw.data()),
                static_cast<uLong>(raw.size()), 6) != Z_OK)
    throw IoError(path + ": zlib could not compress the pixels");
  packed.resize(size);
  AtomicFile file(path);
  file.write("\x89PNG\r\n\x1a\n", 8);
  png_chunk(file, "IHDR", head);
  for (size_t at = 0; at < packed.size(); at += size_t{1} << 30)
    png_chunk(file, "IDAT", packed.substr(at, size_t{1} << 30));
  png_chunk(file, "IEND", "");
  file.commit();
}

void write_tiff(const at::Tensor& voxels, const std::string& path) {
  at::Tensor pixels = picture_of(voxels, path, false);
  // What was uint16 in a file is int32 in memory: back to 16 bits, which every reader knows.
  if (pixels.scalar_type() == at::kInt && pixels.numel() > 0 && pixels.min().item<int64_t>() >= 0 &&
      pixels.max().item<int64_t>() <= 65535)
    pixels = pixels.to(at::kUInt16);
  uint16_t bits = 0, format = 1;  // 1 unsigned, 2 signed, 3 float
  switch (pixels.scalar_type()) {
    case at::kByte:
      bits = 8;
      break;
    case at::kChar:
      bits = 8, format = 2;
      break;
    case at::kUInt16:
      bits = 16;
      break;
    case at::kShort:
      bits = 16, format = 2;
      break;
    case at::kUInt32:
      bits = 32;
      break;
    case at::kInt:
      bits = 32, format = 2;
      break;
    case at::kFloat:
      bits = 32, format = 3;
      break;
    case at::kDouble:
      bits = 64, format = 3;
      break;
    default:
      throw TypeMismatch(
          path + ": TIFF readers know no 64-bit integers; convert the voxels (image.tensor.int()), or write .nrrd");
  }
  const int64_t bytes = static_cast<int64_t>(pixels.nbytes());
  if (bytes > 0xf0000000LL) throw InvalidArgument(path + ": classic TIFF ends at 4 GB; write .nrrd or .mha");
  const auto channels = static_cast<uint16_t>(pixels.size(2));
  const bool rgb = channels >= 3 && bits <= 16;
  const uint32_t directory = 8 + static_cast<uint32_t>(bytes + bytes % 2);
  struct Entry {
    uint16_t tag, type;
    uint32_t count, value;
  };
  std::vector<Entry> entries{{256, 4, 1, static_cast<uint32_t>(pixels.size(1))},
                             {257, 4, 1, static_cast<uint32_t>(pixels.size(0))},
                             {258, 3, channels, bits},
                             {259, 3, 1, 1},
                             {262, 3, 1, rgb ? 2u : 1u},
                             {273, 4, 1, 8},
                             {277, 3, 1, channels},
                             {278, 4, 1, static_cast<uint32_t>(pixels.size(0))},
                             {279, 4, 1, static_cast<uint32_t>(bytes)},
                             {284, 3, 1, 1},
                             {339, 3, channels, format}};
  const int extra = channels - (rgb ? 3 : 1);
  if (extra > 0) entries.insert(entries.end() - 1, {338, 3, static_cast<uint32_t>(extra), 0});
  const uint32_t arrays = directory + 2 + 12 * static_cast<uint32_t>(entries.size()) + 4;
  std::string head("II*\0", 4), tail, lists;
  append_little<uint32_t>(head, directory);
  if (bytes % 2) tail += '\0';
  append_little<uint16_t>(tail, static_cast<uint16_t>(entries.size()));
  for (const auto& e : entries) {
    append_little(tail, e.tag), append_little(tail, e.type), append_little(tail, e.count);
    if (e.type == 3 && e.count > 2) {  // does not fit in the entry: the same value for each channel, further on
      append_little<uint32_t>(tail, arrays + static_cast<uint32_t>(lists.size()));
      for (uint32_t i = 0; i < e.count; ++i) append_little<uint16_t>(lists, static_cast<uint16_t>(e.value));
    } else {
      append_little<uint32_t>(tail, e.type == 3 && e.count == 2 ? e.value | e.value << 16 : e.value);
    }
  }
  append_little<uint32_t>(tail, 0);
  tail += lists;
  AtomicFile file(path);
  file.write(head.data(), static_cast<int64_t>(head.size()));
  file.write(pixels.const_data_ptr(), bytes);
  file.write(tail.data(), static_cast<int64_t>(tail.size()));
  file.commit();
}

}  // namespace vesalius::io::detail
