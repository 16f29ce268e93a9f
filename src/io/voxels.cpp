// SPDX-License-Identifier: Apache-2.0
#include "io/voxels.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <vesalius/core/error.h>

namespace vesalius::io::detail {
namespace {

at::ScalarType torch_type(Element element) {
  switch (element) {
    case Element::u8:
      return at::kByte;
    case Element::i8:
      return at::kChar;
    case Element::i16:
    case Element::u16:
      return at::kShort;  // u16: same bits until `usable` widens them
    case Element::i32:
    case Element::u32:
      return at::kInt;
    case Element::i64:
    case Element::u64:
      return at::kLong;
    case Element::f32:
      return at::kFloat;
    case Element::f64:
      return at::kDouble;
    case Element::c64:
      return at::kComplexFloat;
    case Element::c128:
      return at::kComplexDouble;
  }
  return at::kByte;
}

template <class From, class To>
at::Tensor widened(const at::Tensor& stored, at::ScalarType type) {
  at::Tensor out = at::empty(stored.sizes(), stored.options().dtype(type));
  const auto* from = static_cast<const From*>(stored.const_data_ptr());
  auto* to = static_cast<To*>(out.mutable_data_ptr());
  for (int64_t i = 0; i < stored.numel(); ++i) to[i] = static_cast<To>(from[i]);
  return out;
}

/// Whitespace-separated numbers. Integers are read as integers: 2^53 + 1 stays.
template <class T>
void parse_text(const std::string& text, T* out, int64_t count, const std::string& path) {
  const char* at = text.data();
  const char* end = at + text.size();
  const auto separator = [](char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == ','; };
  for (int64_t i = 0; i < count; ++i) {
    while (at < end && separator(*at)) ++at;
    if (at == end)
      throw FormatError(path + ": truncated: expected " + std::to_string(count) + " values as text, found " +
                        std::to_string(i));
    if (*at == '+') ++at;
    using Read = std::conditional_t<sizeof(T) == 1, int, T>;  // from_chars would take a char for a number
    Read value{};
    const auto [next, failure] = std::from_chars(at, end, value);
    if (failure != std::errc() || (next < end && !separator(*next)) || value < std::numeric_limits<T>::lowest() ||
        (sizeof(T) == 1 && value > std::numeric_limits<T>::max()))
      throw FormatError(path + ": value " + std::to_string(i + 1) +
                        " is no number of the type that the header names: \"" +
                        printable(std::string(at, std::min<size_t>(end - at, 16))) + "\"");
    out[i] = static_cast<T>(value);
    at = next;
  }
}

void parse_text(Element element, const std::string& text, void* out, int64_t count, const std::string& path) {
  switch (element) {
    case Element::u8:
      return parse_text(text, static_cast<uint8_t*>(out), count, path);
    case Element::i8:
      return parse_text(text, static_cast<int8_t*>(out), count, path);
    case Element::u16:
      return parse_text(text, static_cast<uint16_t*>(out), count, path);
    case Element::i16:
      return parse_text(text, static_cast<int16_t*>(out), count, path);
    case Element::u32:
      return parse_text(text, static_cast<uint32_t*>(out), count, path);
    case Element::i32:
      return parse_text(text, static_cast<int32_t*>(out), count, path);
    case Element::u64:
      return parse_text(text, static_cast<uint64_t*>(out), count, path);
    case Element::i64:
      return parse_text(text, static_cast<int64_t*>(out), count, path);
    case Element::f32:
      return parse_text(text, static_cast<float*>(out), count, path);
    case Element::f64:
      return parse_text(text, static_cast<double*>(out), count, path);
    default:
      throw NotSupported(path + ": complex numbers as text are not read");
  }
}

void parse_hex(ByteStream& stream, uint8_t* out, int64_t bytes, const std::string& path) {
  const auto digit = [&](char c) -> int {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
  };
  std::vector<char> block(1 << 16);
  int64_t done = 0;
  int high = -1;
  while (done < bytes) {
    const int64_t got = stream.read(block.data(), static_cast<int64_t>(block.size()));
    if (got == 0)
      throw FormatError(path + ": truncated: expected " + std::to_string(bytes) +
                        " bytes as hexadecimal digits, found " + std::to_string(done));
    for (int64_t i = 0; i < got && done < bytes; ++i) {
      const char c = block[static_cast<size_t>(i)];
      if (c == ' ' || c == '\n' || c == '\r' || c == '\t') continue;
      const int value = digit(c);
      if (value < 0) throw FormatError(path + ": a character that is no hexadecimal digit among the voxels");
      if (high < 0)
        high = value;
      else
        out[done++] = static_cast<uint8_t>(16 * high + value), high = -1;
    }
  }
}

std::string rest_of(ByteStream& stream, int64_t limit, const std::string& path) {
  std::string text;
  std::vector<char> block(1 << 18);
  while (const int64_t got = stream.read(block.data(), static_cast<int64_t>(block.size()))) {
    if (static_cast<int64_t>(text.size()) + got > limit)
      throw FormatError(path + ": far more data than the header says");
    text.append(block.data(), static_cast<size_t>(got));
  }
  return text;
}

void read_voxels(const Header& header, const FileSource& file, ByteStream& stream, at::Tensor& out) {
  const auto& path = file.path();
  const int64_t bytes = header.layout.bytes();
  void* to = out.mutable_data_ptr();
  if (header.encoding == Header::Encoding::ascii) {
    // At most 40 characters a value are plausible: more is refused before it fills the memory.
    const std::string text = rest_of(stream, 64 + 40 * header.layout.values() + (1 << 20), path);
    return parse_text(header.layout.element, text, to, out.numel(), path);
  }
  if (header.encoding == Header::Encoding::hex) return parse_hex(stream, static_cast<uint8_t*>(to), bytes, path);
  if (header.skip_inflated == -1) {
    const std::string all = rest_of(stream, bytes + (int64_t{1} << 26), path);
    if (static_cast<int64_t>(all.size()) < bytes)
      throw FormatError(path + ": truncated: the voxels should take " + std::to_string(bytes) + " bytes; there are " +
                        std::to_string(all.size()));
    std::memcpy(to, all.data() + all.size() - static_cast<size_t>(bytes), static_cast<size_t>(bytes));
    return;
  }
  if (header.skip_inflated > 0) stream.skip(header.skip_inflated, path, "what the header says to skip");
  stream.read_exact(to, bytes, path, "the voxels");
  stream.finish();
}

/// Compressed voxels in one go; undefined where they have to be read step by step.
at::Tensor inflated(const Header& header, const FileSource& file) {
  const bool deflate = header.encoding == Header::Encoding::deflate;
  if (!deflate && !(header.whole_compressed && header.encoding == Header::Encoding::raw)) return {};
  const int64_t skipped = header.whole_compressed ? header.offset : header.skip_inflated, bytes = header.layout.bytes();
  constexpr int64_t kAligned = 64, kMostSkipped = 1 << 20;
  if (skipped < 0 || skipped > kMostSkipped || (deflate && header.whole_compressed)) return {};
  const int64_t lead = (kAligned - skipped % kAligned) % kAligned;  // so that the voxels are
  at::Tensor all;
  try {
    all = at::empty({lead + skipped + bytes}, at::TensorOptions().dtype(at::kByte));
  } catch (const std::exception&) {
    return {};
  }
  auto* to = all.mutable_data_ptr<uint8_t>() + lead;
  const bool whole = header.whole_compressed;
  if (!inflate_at_once(file, whole ? 0 : header.offset, whole ? -1 : header.data_end, to, skipped + bytes)) return {};
  return all.narrow(0, lead + skipped, bytes).view(torch_type(header.layout.element));
}

}  // namespace

int64_t bytes_of(Element element) {
  switch (element) {
    case Element::u8:
    case Element::i8:
      return 1;
    case Element::u16:
    case Element::i16:
      return 2;
    case Element::u32:
    case Element::i32:
    case Element::f32:
      return 4;
    case Element::u64:
    case Element::i64:
    case Element::f64:
    case Element::c64:
      return 8;
    case Element::c128:
      return 16;
  }
  return 1;
}

const char* name_of(Element element) {
  constexpr const char* kNames[] = {"uint8",  "int8",  "uint16",  "int16",   "uint32",    "int32",
                                    "uint64", "int64", "float32", "float64", "complex64", "complex128"};
  return kNames[static_cast<int>(element)];
}

int64_t Layout::values() const {
  int64_t out = checked_product(interleaved, volumes);
  for (const int64_t n : size) out = checked_product(out, n);
  return out;
}

int64_t Layout::bytes() const { return checked_product(values(), bytes_of(element)); }

std::vector<int64_t> Header::shape() const {
  const int64_t channels = layout.interleaved * layout.volumes;
  std::vector<int64_t> out(layout.size.begin(), layout.size.end());
  if (channels > 1 || layout.has_volumes) out.insert(out.begin(), channels);
  return out;
}

at::Tensor stored_tensor(const Layout& layout, const std::string& path) {
  try {
    return at::empty({layout.values()}, at::TensorOptions().dtype(torch_type(layout.element)));
  } catch (const std::exception&) {
    throw IoError(path + ": not enough memory for its " + std::to_string(layout.bytes()) + " bytes of voxels");
  }
}

void swap_bytes(void* data, int64_t values, int64_t size) {
  auto* bytes = static_cast<uint8_t*>(data);
  if (size == 2) {
    auto* v = static_cast<uint16_t*>(data);
    for (int64_t i = 0; i < values; ++i) v[i] = __builtin_bswap16(v[i]);
  } else if (size == 4) {
    auto* v = static_cast<uint32_t*>(data);
    for (int64_t i = 0; i < values; ++i) v[i] = __builtin_bswap32(v[i]);
  } else if (size > 1) {
    for (int64_t i = 0; i < values; ++i) std::reverse(bytes + i * size, bytes + (i + 1) * size);
  }
}

at::Tensor usable(const at::Tensor& stored, Element element, const std::string& path) {
  if (element == Element::u16) return widened<uint16_t, int32_t>(stored, at::kInt);
  if (element == Element::u32) return widened<uint32_t, int64_t>(stored, at::kLong);
  if (element == Element::u64 && stored.numel() > 0 && stored.min().item<int64_t>() < 0)
    throw NotSupported(path + ": holds uint64 values of 2^63 and more, which no torch type computes with");
  return stored;
}

at::Tensor arranged(const at::Tensor& flat, const Layout& layout) {
  const auto& s = layout.size;
  if (layout.interleaved > 1) {
    // [volume, z, y, x, value] → [volume · value, z, y, x]
    at::Tensor out =
        flat.view({layout.volumes, s[0], s[1], s[2], layout.interleaved}).permute({0, 4, 1, 2, 3}).contiguous();
    return out.view({layout.volumes * layout.interleaved, s[0], s[1], s[2]});
  }
  if (layout.volumes > 1 || layout.has_volumes) return flat.view({layout.volumes, s[0], s[1], s[2]});
  return flat.view({s[0], s[1], s[2]});
}

at::Tensor rescaled(const at::Tensor& voxels, Element element, double slope, double intercept) {
  if (slope == 1 && intercept == 0) return voxels;
  if (element == Element::c64 || element == Element::c128)
    throw NotSupported("complex voxels with a scale are not read");
  const at::Tensor scaled = voxels.to(at::kDouble).mul_(slope).add_(intercept);
  return bytes_of(element) <= 2 || element == Element::f32 ? scaled.to(at::kFloat) : scaled;
}

at::Tensor load_voxels(const Header& header) {
  const FileSource file(header.data_path);
  const bool packed = header.whole_compressed || header.encoding == Header::Encoding::deflate;
  std::unique_ptr<ByteStream> stream = header.whole_compressed ? inflate_stream(file)
                                       : packed                ? inflate_stream(file, header.offset, header.data_end)
                                                               : plain_stream(file, header.offset, header.data_end);
  // Text needs a digit and a separator a value at least, hexadecimal two digits a byte.
  const int64_t needed = header.encoding == Header::Encoding::ascii ? checked_product(header.layout.values(), 2) - 1
                         : header.encoding == Header::Encoding::hex ? checked_product(header.layout.bytes(), 2)
                                                                    : header.layout.bytes();
  if (header.layout.bytes() < 1)
    throw FormatError(file.path() + ": the sizes in its header make no number of voxels; the header is damaged");
  stream->require(needed, file.path(), "the voxels");
  at::Tensor flat = inflated(header, file);
  if (!flat.defined()) {
    if (header.whole_compressed) stream->skip(header.offset, file.path(), "the header");
    flat = stored_tensor(header.layout, file.path());
    read_voxels(header, file, *stream, flat);
  }
  const bool binary = header.encoding == Header::Encoding::raw || header.encoding == Header::Encoding::deflate ||
                      header.encoding == Header::Encoding::hex;
  const bool complex = header.layout.element == Element::c64 || header.layout.element == Element::c128;
  if (binary && header.layout.swap)
    swap_bytes(flat.mutable_data_ptr(), flat.numel() * (complex ? 2 : 1),
               bytes_of(header.layout.element) / (complex ? 2 : 1));
  const at::Tensor voxels = usable(flat, header.layout.element, file.path());
  return arranged(rescaled(voxels, header.layout.element, header.slope, header.intercept), header.layout);
}

Metadata finished_metadata(const Header& header, const std::string& path) {
  Metadata out = header.metadata;
  out["path"] = path;
  out["format"] = header.format;
  out["stored_type"] = name_of(header.layout.element);
  std::string problems;
  for (const auto& problem : header.problems) problems += (problems.empty() ? "" : "; ") + problem;
  if (!problems.empty()) out["problems"] = problems;
  return out;
}

}  // namespace vesalius::io::detail
