// SPDX-License-Identifier: Apache-2.0
#include "io/dicom_pixels.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <sstream>

#include <ATen/ops/empty.h>
#include <gdcmImageReader.h>
#include <gdcmTrace.h>

#include <vesalius/core/error.h>

namespace vesalius::io::detail {
namespace {

/// PackBits (PS3.5 annex G): one segment of `bytes` into every `stride`-th byte of `out`.
void unpack_bits(const std::vector<uint8_t>& in, size_t from, size_t to, uint8_t* out, int64_t bytes, int64_t stride,
                 const std::string& path) {
  int64_t done = 0;
  size_t at = from;
  while (done < bytes) {
    if (at >= to)
      throw FormatError(path + ": truncated: an RLE segment gives " + std::to_string(done) + " of " +
                        std::to_string(bytes) + " bytes");
    const auto code = static_cast<int8_t>(in[at++]);
    if (code == -128) continue;
    const int64_t count = std::min<int64_t>(code >= 0 ? code + 1 : 1 - code, bytes - done);
    if (at + static_cast<size_t>(code >= 0 ? count : 1) > to) throw FormatError(path + ": truncated RLE segment");
    for (int64_t i = 0; i < count; ++i) out[(done + i) * stride] = in[at + static_cast<size_t>(code >= 0 ? i : 0)];
    at += static_cast<size_t>(code >= 0 ? code + 1 : 1);
    done += count;
  }
}

/// Segments are bytes of samples, the most significant first; planes of colour one after the other.
void decode_rle(const DicomFile& file, const PixelFormat& f, std::vector<uint8_t>& out) {
  const int64_t size = f.allocated / 8, segments = size * f.samples, pixels = f.rows * f.columns;
  const auto fragments = file.fragments();
  if (static_cast<int64_t>(fragments.size()) != f.frames)
    throw FormatError(file.path() + ": " + std::to_string(f.frames) + " frames, but " +
                      std::to_string(fragments.size()) + " RLE fragments");
  std::vector<uint8_t> in;
  for (int64_t frame = 0; frame < f.frames; ++frame) {
    const auto [offset, length] = fragments[static_cast<size_t>(frame)];
    in.resize(static_cast<size_t>(length));
    file.read_bytes(offset, in.data(), length);
    const auto word = [&](size_t i) {
      return in.size() < 4 * i + 4 ? 0u
                                   : in[4 * i] | uint32_t{in[4 * i + 1]} << 8 | uint32_t{in[4 * i + 2]} << 16 |
                                         uint32_t{in[4 * i + 3]} << 24;
    };
    if (length < 64 || word(0) != static_cast<uint32_t>(segments))
      throw FormatError(file.path() + ": expected " + std::to_string(segments) + " RLE segments, found " +
                        std::to_string(word(0)));
    for (int64_t s = 0; s < segments; ++s) {
      const size_t from = word(static_cast<size_t>(s + 1)),
                   to = s + 1 < segments ? word(static_cast<size_t>(s + 2)) : in.size();
      if (from < 64 || from > to || to > in.size())
        throw FormatError(file.path() + ": the RLE header points outside its fragment");
      const int64_t sample = s / size, byte = size - 1 - s % size;
      // Interleaved little-endian samples.
      unpack_bits(in, from, to, out.data() + frame * f.frame_values() * size + sample * size + byte, pixels,
                  f.samples * size, file.path());
    }
  }
}

/// What a codestream says of its own size must be what the DICOM header says: GDCM asserts it, or writes past the end.
void check_codestream(const DicomFile& file, const PixelFormat& f, int64_t offset, int64_t length) {
  std::vector<uint8_t> b(static_cast<size_t>(std::min<int64_t>(length, 1 << 20)));
  file.read_bytes(offset, b.data(), static_cast<int64_t>(b.size()));
  const auto u16 = [&](size_t i) { return i + 1 < b.size() ? int64_t{b[i]} << 8 | b[i + 1] : -1; };
  const auto u32 = [&](size_t i) { return u16(i) << 16 | u16(i + 2); };
  int64_t rows = -1, columns = -1, samples = -1, bits = -1;
  if (u16(0) == 0xff4f && u16(2) == 0xff51 && b.size() > 42) {  // JPEG 2000: SIZ (ISO/IEC 15444-1 A.5.1)
    columns = u32(8) - u32(16), rows = u32(12) - u32(20), samples = u16(40), bits = (b[42] & 0x7f) + 1;
  } else if (u16(0) == 0xffd8) {  // JPEG, JPEG-LS: the frame header (ISO/IEC 10918-1 B.2.2, 14495-1 C.2.2)
    for (size_t at = 2; at + 9 < b.size() && b[at] == 0xff;) {
      const uint8_t marker = b[at + 1];
      if (marker == 0xff) {
        ++at;
        continue;
      }
      if (marker == 0xf7 || (marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc)) {
        bits = b[at + 4], rows = u16(at + 5), columns = u16(at + 7), samples = b[at + 9];
        break;
      }
      if (u16(at + 2) < 2) break;
      at += 2 + static_cast<size_t>(u16(at + 2));
    }
  }
  if (rows != f.rows || columns != f.columns || samples != f.samples || bits < 1 || bits > f.allocated)
    throw FormatError(file.path() + ": its compressed pixels say " + std::to_string(rows) + " × " +
                      std::to_string(columns) + " of " + std::to_string(samples) + " samples and " +
                      std::to_string(bits) + " bits; the DICOM header says " + std::to_string(f.rows) + " × " +
                      std::to_string(f.columns) + " of " + std::to_string(f.samples) + " and " +
                      std::to_string(f.allocated));
}

/// An explicit little-endian element with its value padded.
void put_element(std::string& out, uint16_t group, uint16_t element, const char* vr, std::string value) {
  const auto u16 = [&](uint16_t v) { out += static_cast<char>(v & 0xff), out += static_cast<char>(v >> 8); };
  if (value.size() % 2) value += vr[0] == 'U' && vr[1] == 'I' ? '\0' : ' ';
  u16(group), u16(element);
  out += vr;
  u16(static_cast<uint16_t>(value.size()));
  out += value;
}

std::string word(int64_t v) { return {static_cast<char>(v & 0xff), static_cast<char>(v >> 8 & 0xff)}; }

/// A DICOM file of our own around the same fragments: GDCM as Debian builds it ends the process by an assertion on
/// some damaged headers (found by fuzzing), so that it gets to see none that it was not us who wrote.
std::string clean_copy(const DicomFile& file, const PixelFormat& f) {
  static const char* kSyntaxes[] = {"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.57",
                                    "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81",
                                    "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91"};
  const std::string& syntax = file.transfer_syntax();
  if (std::find(std::begin(kSyntaxes), std::end(kSyntaxes), syntax) == std::end(kSyntaxes))
    throw NotSupported(file.path() + ": pixels in transfer syntax " + printable(syntax) +
                       " are not read; native, deflated, RLE, JPEG, JPEG-LS and JPEG 2000 are");
  if (f.rows > 65535 || f.columns > 65535) throw FormatError(file.path() + ": more than 65535 rows or columns");
  const std::string secondary_capture = "1.2.840.10008.5.1.4.1.1.7", instance = "1.2.826.0.1.3680043.10.1";
  std::string meta;
  put_element(meta, 0x0002, 0x0002, "UI", secondary_capture);
  put_element(meta, 0x0002, 0x0003, "UI", instance);
  put_element(meta, 0x0002, 0x0010, "UI", syntax);
  std::string out(128, '\0');
  out += "DICM";
  put_element(out, 0x0002, 0x0000, "UL", word(static_cast<int64_t>(meta.size())) + word(0));
  out += meta;
  put_element(out, 0x0008, 0x0016, "UI", secondary_capture);
  put_element(out, 0x0008, 0x0018, "UI", instance);
  put_element(out, 0x0028, 0x0002, "US", word(f.samples));
  put_element(out, 0x0028, 0x0004, "CS", f.photometric.empty() ? "MONOCHROME2" : f.photometric);
  if (f.samples > 1) put_element(out, 0x0028, 0x0006, "US", word(f.planar));
  if (f.frames > 1) put_element(out, 0x0028, 0x0008, "IS", std::to_string(f.frames));
  put_element(out, 0x0028, 0x0010, "US", word(f.rows));
  put_element(out, 0x0028, 0x0011, "US", word(f.columns));
  put_element(out, 0x0028, 0x0100, "US", word(f.allocated));
  put_element(out, 0x0028, 0x0101, "US", word(f.stored));
  put_element(out, 0x0028, 0x0102, "US", word(f.high));
  put_element(out, 0x0028, 0x0103, "US", word(f.is_signed));
  out += std::string("\xe0\x7f\x10\x00OB\x00\x00\xff\xff\xff\xff\xfe\xff\x00\xe0\x00\x00\x00\x00", 20);
  const auto fragments = file.fragments();
  // One fragment a frame, or the first begins one: every frame that can be told apart is checked.
  const bool each = static_cast<int64_t>(fragments.size()) == f.frames;
  for (size_t i = 0; i < fragments.size(); ++i)
    if (i == 0 || each) check_codestream(file, f, fragments[i].first, fragments[i].second);
  for (const auto& [offset, length] : fragments) {
    out += std::string("\xfe\xff\x00\xe0", 4) + word(length & 0xffff) + word(length >> 16);
    const size_t at = out.size();
    out.resize(at + static_cast<size_t>(length));
    file.read_bytes(offset, out.data() + at, length);
  }
  out += std::string("\xfe\xff\xdd\xe0\x00\x00\x00\x00", 8);
  return out;
}

/// JPEG, JPEG-LS, JPEG 2000 by GDCM.
void decode_gdcm(const DicomFile& file, const PixelFormat& f, std::vector<uint8_t>& out, std::string& photometric,
                 bool& planar) {
  gdcm::Trace::SetDebug(false);
  gdcm::Trace::SetWarning(false);
  gdcm::Trace::SetError(false);
  std::istringstream stream(clean_copy(file, f));
  try {
    gdcm::ImageReader reader;
    reader.SetStream(stream);
    if (!reader.Read()) throw FormatError(file.path() + ": its compressed pixel data can't be decoded");
    const gdcm::Image& image = reader.GetImage();
    if (static_cast<int64_t>(image.GetBufferLength()) != static_cast<int64_t>(out.size()))
      throw FormatError(file.path() + ": its compressed pixels make " + std::to_string(image.GetBufferLength()) +
                        " bytes; the header says " + std::to_string(out.size()));
    if (!image.GetBuffer(reinterpret_cast<char*>(out.data())))
      throw FormatError(file.path() + ": its compressed pixel data are damaged");
    photometric = image.GetPhotometricInterpretation().GetString();
    photometric = trim(photometric);
    planar = image.GetPlanarConfiguration() == 1;
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    throw FormatError(file.path() + ": its compressed pixel data can't be decoded: " + error.what());
  }
}

/// YBR_FULL to RGB (PS3.3 C.7.6.3.1.2), in place, interleaved 8 bits.
void to_rgb(uint8_t* pixels, int64_t count) {
  const auto clip = [](double v) { return static_cast<uint8_t>(std::clamp(std::lround(v), 0L, 255L)); };
  for (int64_t i = 0; i < count; ++i) {
    uint8_t* p = pixels + 3 * i;
    const double y = p[0], cb = p[1] - 128.0, cr = p[2] - 128.0;
    p[0] = clip(y + 1.402 * cr), p[1] = clip(y - 0.344136 * cb - 0.714136 * cr), p[2] = clip(y + 1.772 * cb);
  }
}

void interleave(std::vector<uint8_t>& bytes, const PixelFormat& f) {
  const int64_t size = f.allocated / 8, pixels = f.rows * f.columns;
  std::vector<uint8_t> frame(static_cast<size_t>(f.frame_values() * size));
  for (int64_t i = 0; i < f.frames; ++i) {
    uint8_t* at = bytes.data() + i * static_cast<int64_t>(frame.size());
    std::memcpy(frame.data(), at, frame.size());
    for (int64_t s = 0; s < f.samples; ++s)
      for (int64_t p = 0; p < pixels; ++p)
        std::memcpy(at + (p * f.samples + s) * size, frame.data() + (s * pixels + p) * size, static_cast<size_t>(size));
  }
}

template <class T>
void to_integers(const uint8_t* raw, int32_t* out, int64_t count, const PixelFormat& f) {
  const int shift = static_cast<int>(f.high + 1 - f.stored);
  const uint32_t mask = f.stored >= 32 ? ~0u : (1u << f.stored) - 1;
  const uint32_t sign = 1u << (f.stored - 1);
  for (int64_t i = 0; i < count; ++i) {
    T value{};
    std::memcpy(&value, raw + i * static_cast<int64_t>(sizeof(T)), sizeof(T));
    uint32_t bits = (static_cast<uint32_t>(value) >> shift) & mask;
    if (f.is_signed && (bits & sign)) bits |= ~mask;
    out[i] = static_cast<int32_t>(bits);
  }
}

}  // namespace

PixelFormat pixel_format(const DicomFile& file) {
  const DataSet& d = file.data();
  const auto& path = file.path();
  if (!file.has_pixels())
    throw FormatError(path + ": a DICOM file without pixel data (" + d.text(0x00080060) +
                      "); a segmentation or RTSTRUCT is read by read_mask");
  PixelFormat f;
  const auto required = [&](uint32_t tag, const char* name) {
    const auto value = d.count(tag);
    if (!value) throw FormatError(path + ": the DICOM header lacks " + name);
    return *value;
  };
  f.rows = required(0x00280010, "Rows (0028,0010)");
  f.columns = required(0x00280011, "Columns (0028,0011)");
  f.frames = std::max<int64_t>(1, d.count(0x00280008).value_or(1));
  f.samples = d.count(0x00280002).value_or(1);
  f.allocated = required(0x00280100, "BitsAllocated (0028,0100)");
  f.stored = d.count(0x00280101).value_or(f.allocated);
  f.high = d.count(0x00280102).value_or(f.stored - 1);
  f.is_signed = d.count(0x00280103).value_or(0) == 1;
  f.planar = f.samples > 1 && d.count(0x00280006).value_or(0) == 1;
  f.photometric = d.text(0x00280004);
  if (f.rows < 1 || f.columns < 1)
    throw FormatError(path + ": Rows and Columns must be at least 1, found " + std::to_string(f.rows) + " and " +
                      std::to_string(f.columns));
  if (f.samples != 1 && f.samples != 3)
    throw NotSupported(path + ": 1 or 3 samples a pixel are read, found " + std::to_string(f.samples));
  static const char* kKnown[] = {
      "",        "MONOCHROME1", "MONOCHROME2",     "RGB",          "YBR_FULL", "YBR_FULL_422",
      "YBR_RCT", "YBR_ICT",     "YBR_PARTIAL_420", "PALETTE COLOR"};
  if (std::find(std::begin(kKnown), std::end(kKnown), f.photometric) == std::end(kKnown))
    throw NotSupported(path + ": unknown PhotometricInterpretation (0028,0004) \"" + printable(f.photometric) + "\"");
  if (f.photometric == "PALETTE COLOR")
    throw NotSupported(path + ": PALETTE COLOR pixels are not read; convert them to RGB first");
  const bool floats = file.pixel_tag() == 0x7fe00008, doubles = file.pixel_tag() == 0x7fe00009;
  if (floats || doubles) {
    if (f.allocated != (floats ? 32 : 64))
      throw FormatError(path + ": float pixel data of " + std::to_string(f.allocated) + " bits");
    f.element = floats ? Element::f32 : Element::f64;
  } else {
    if (f.allocated != 1 && f.allocated != 8 && f.allocated != 16 && f.allocated != 32)
      throw NotSupported(path + ": pixels of 1, 8, 16 or 32 bits are read, found " + std::to_string(f.allocated));
    if (f.stored < 1 || f.stored > f.allocated || f.high + 1 < f.stored || f.high >= f.allocated)
      throw FormatError(path + ": BitsStored " + std::to_string(f.stored) + " and HighBit " + std::to_string(f.high) +
                        " don't fit in BitsAllocated " + std::to_string(f.allocated));
    if (f.allocated == 32 && f.stored == 32 && !f.is_signed)
      f.element = Element::u32;
    else
      f.element = f.allocated == 8    ? (f.is_signed ? Element::i8 : Element::u8)
                  : f.allocated == 16 ? (f.is_signed ? Element::i16 : Element::u16)
                                      : Element::i32;
    f.low = f.is_signed ? -std::ldexp(1.0, static_cast<int>(f.stored - 1)) : 0;
    f.top = std::ldexp(1.0, static_cast<int>(f.stored - (f.is_signed ? 1 : 0))) - 1;
  }
  int64_t bits = checked_product(checked_product(f.rows, f.columns), checked_product(f.samples, f.frames));
  bits = checked_product(bits, f.allocated);
  if (bits < 0) throw FormatError(path + ": the sizes in its header make no number of pixels");
  const int64_t bytes = bits / 8 + (bits % 8 != 0);
  // Codecs reach about 1000:1 on an empty image (deflate's and RLE's bounds are below that too).
  const int64_t most =
      file.compression() == Compression::none ? file.pixel_length() : checked_product(file.size(), 2000);
  const bool half = f.photometric == "YBR_FULL_422" && file.compression() == Compression::none;
  if (half) throw NotSupported(path + ": uncompressed YBR_FULL_422 pixels are not read");
  if (bytes > most)
    throw FormatError(path + ": truncated: " + std::to_string(f.rows) + " × " + std::to_string(f.columns) + " × " +
                      std::to_string(f.frames) + " pixels should take " + std::to_string(bytes) + " bytes; there are " +
                      std::to_string(file.compression() == Compression::none ? file.pixel_length() : file.size()) +
                      (file.compression() == Compression::none ? "" : ", compressed"));
  return f;
}

at::Tensor decode_frames(const DicomFile& file, const PixelFormat& f) {
  const int64_t values = f.frames * f.frame_values();
  const auto shaped = [&](const at::Tensor& flat) { return flat.view({f.frames, f.rows, f.columns, f.samples}); };
  if (f.allocated == 1) {  // packed, the lowest bit first, frames without padding between them
    std::vector<uint8_t> packed(static_cast<size_t>((values + 7) / 8));
    file.read_pixels(0, packed.data(), static_cast<int64_t>(packed.size()));
    at::Tensor out = at::empty({values}, at::kByte);
    auto* to = out.mutable_data_ptr<uint8_t>();
    for (int64_t i = 0; i < values; ++i) to[i] = packed[static_cast<size_t>(i / 8)] >> (i % 8) & 1;
    return shaped(out);
  }
  const int64_t size = f.allocated / 8;
  // A byte more where they are odd: words of a big-endian file come in pairs.
  std::vector<uint8_t> raw(static_cast<size_t>(values * size));
  std::string photometric = f.photometric;
  bool planar = f.planar;
  if (file.compression() == Compression::none) {
    const bool words = file.big_endian() && size == 1 && file.word_pixels() && file.pixel_length() > values;
    if (words && values % 2) raw.resize(raw.size() + 1);
    file.read_pixels(0, raw.data(), static_cast<int64_t>(raw.size()));
    if (file.big_endian() && size == 1 && file.word_pixels())
      swap_bytes(raw.data(), static_cast<int64_t>(raw.size()) / 2, 2), raw.resize(static_cast<size_t>(values));
    else if (file.big_endian())
      swap_bytes(raw.data(), values, size);
  } else if (file.compression() == Compression::rle) {
    decode_rle(file, f, raw);
    planar = false;
  } else {
    decode_gdcm(file, f, raw, photometric, planar);
  }
  if (planar && f.samples > 1) interleave(raw, f);
  if (f.samples == 3 && size == 1 && photometric.compare(0, 8, "YBR_FULL") == 0) to_rgb(raw.data(), values / 3);
  if (f.element == Element::f32 || f.element == Element::f64 || f.element == Element::u32) {
    Layout layout;
    layout.element = f.element;
    layout.size = {1, 1, values};
    at::Tensor out = stored_tensor(layout, file.path());
    std::memcpy(out.mutable_data_ptr(), raw.data(), raw.size());
    return shaped(usable(out, f.element, file.path()));
  }
  if (f.element == Element::u8 && f.stored == 8) {
    at::Tensor out = at::empty({values}, at::kByte);
    std::memcpy(out.mutable_data_ptr(), raw.data(), raw.size());
    return shaped(out);
  }
  at::Tensor out = at::empty({values}, at::kInt);
  auto* to = out.mutable_data_ptr<int32_t>();
  if (size == 1)
    to_integers<uint8_t>(raw.data(), to, values, f);
  else if (size == 2)
    to_integers<uint16_t>(raw.data(), to, values, f);
  else
    to_integers<uint32_t>(raw.data(), to, values, f);
  return shaped(out);
}

}  // namespace vesalius::io::detail
