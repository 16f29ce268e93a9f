// SPDX-License-Identifier: Apache-2.0
#include <cstring>

#include <itkObject.h>
#include <itkPNGImageIO.h>
#include <itkTIFFImageIO.h>
#include <zlib.h>

#include <vesalius/core/error.h>

#include "io/pictures.h"

namespace vesalius::io::detail {
namespace {

/// Pixels that a byte of a file can plausibly become: deflate's bound, and room for a JPEG of one colour.
constexpr int64_t kMostPixelsAByte = 4200;

enum class PictureKind { none, png, tiff, jpeg };

PictureKind kind_of(const std::vector<uint8_t>& head) {
  if (head.size() >= 8 && std::memcmp(head.data(), "\x89PNG\r\n\x1a\n", 8) == 0) return PictureKind::png;
  if (head.size() >= 4 && (std::memcmp(head.data(), "II*\0", 4) == 0 || std::memcmp(head.data(), "MM\0*", 4) == 0))
    return PictureKind::tiff;
  if (head.size() >= 3 && head[0] == 0xff && head[1] == 0xd8 && head[2] == 0xff) return PictureKind::jpeg;
  return PictureKind::none;
}

/// Every chunk whole and its checksum right, up to IEND: libpng would warn, and ITK go on, where it isn't.
void check_png(const FileSource& file) {
  int64_t at = 8;
  std::vector<uint8_t> chunk;
  for (bool first = true;; first = false) {
    std::array<uint8_t, 8> head{};
    file.read_at(at, head.data(), 8, "a PNG chunk");
    const uint32_t length = uint32_t{head[0]} << 24 | uint32_t{head[1]} << 16 | uint32_t{head[2]} << 8 | head[3];
    if (int64_t{length} + 12 > file.size() - at)
      throw FormatError(file.path() + ": truncated: a PNG chunk of " + std::to_string(length) + " bytes at byte " +
                        std::to_string(at) + " of " + std::to_string(file.size()));
    chunk.resize(length + 8);
    file.read_at(at + 4, chunk.data(), static_cast<int64_t>(chunk.size()), "a PNG chunk");
    const uint32_t stored = uint32_t{chunk[length + 4]} << 24 | uint32_t{chunk[length + 5]} << 16 |
                            uint32_t{chunk[length + 6]} << 8 | chunk[length + 7];
    if (crc32(0, chunk.data(), length + 4) != stored)
      throw FormatError(file.path() + ": the checksum of a PNG chunk is wrong; the file is damaged");
    const bool header = std::memcmp(head.data() + 4, "IHDR", 4) == 0;
    if (first != header) throw FormatError(file.path() + ": a PNG file begins with one IHDR chunk");
    if (std::memcmp(head.data() + 4, "IEND", 4) == 0) return;
    at += int64_t{length} + 12;
  }
}

void check_jpeg(const FileSource& file) {
  std::array<uint8_t, 64> tail{};
  const int64_t count = std::min<int64_t>(64, file.size());
  file.read_at(file.size() - count, tail.data(), count, "the end");
  for (int64_t i = 0; i + 1 < count; ++i)
    if (tail[static_cast<size_t>(i)] == 0xff && tail[static_cast<size_t>(i + 1)] == 0xd9) return;
  throw FormatError(file.path() + ": truncated: a JPEG file ends with the marker FF D9, which is not there");
}

Element element_of(itk::ImageIOBase::IOComponentEnum type, const std::string& path) {
  using T = itk::ImageIOBase::IOComponentEnum;
  switch (type) {
    case T::UCHAR:
      return Element::u8;
    case T::CHAR:
      return Element::i8;
    case T::USHORT:
      return Element::u16;
    case T::SHORT:
      return Element::i16;
    case T::UINT:
      return Element::u32;
    case T::INT:
      return Element::i32;
    case T::FLOAT:
      return Element::f32;
    case T::DOUBLE:
      return Element::f64;
    default:
      throw NotSupported(path + ": pixels of this type are not read");
  }
}

Header picture_header(const FileSource& file, itk::ImageIOBase& io) {
  Header header;
  const auto& path = file.path();
  if (io.GetNumberOfDimensions() < 2 || io.GetNumberOfDimensions() > 3)
    throw FormatError(path + ": a picture of 2 dimensions was expected");
  header.layout.size = {io.GetNumberOfDimensions() == 3 ? static_cast<int64_t>(io.GetDimensions(2)) : 1,
                        static_cast<int64_t>(io.GetDimensions(1)), static_cast<int64_t>(io.GetDimensions(0))};
  header.layout.element = element_of(io.GetComponentType(), path);
  header.layout.interleaved = io.GetNumberOfComponents();
  const int64_t bytes = header.layout.bytes();
  if (bytes < 1) throw FormatError(path + ": the sizes in its header make no number of pixels");
  if (bytes / kMostPixelsAByte > file.size())
    throw FormatError(path + ": truncated: pixels of " + std::to_string(bytes) + " bytes can't lie in a file of " +
                      std::to_string(file.size()));
  std::array<std::array<double, 3>, 3> steps{};
  for (unsigned i = 0; i < 3; ++i) steps[i][i] = i < io.GetNumberOfDimensions() ? io.GetSpacing(i) : 1.0;
  header.geometry = geometry_from_steps(steps, {0, 0, 0}, header.layout.size, path);
  header.problems.emplace_back(
      "a picture has no place in a patient: origin 0, and spacing as its resolution says or 1");
  return header;
}

}  // namespace

bool looks_like_picture(const std::vector<uint8_t>& head) { return kind_of(head) != PictureKind::none; }

Header read_picture(const FileSource& file, at::Tensor* voxels) {
  const PictureKind kind = kind_of(file.head(16));
  if (kind == PictureKind::jpeg) return check_jpeg(file), read_jpeg(file, voxels);
  itk::ImageIOBase::Pointer io;
  // Explicit readers: ITK's factories could be changed by plug-ins of another program (ITK_AUTOLOAD_PATH).
  if (kind == PictureKind::png)
    check_png(file), io = itk::PNGImageIO::New();
  else
    io = itk::TIFFImageIO::New();
  itk::Object::SetGlobalWarningDisplay(false);
  try {
    io->SetFileName(file.path());
    io->ReadImageInformation();
    Header header = picture_header(file, *io);
    header.format = kind == PictureKind::png ? "PNG" : "TIFF";
    if (!voxels) return header;
    itk::ImageIORegion region(io->GetNumberOfDimensions());
    for (unsigned i = 0; i < io->GetNumberOfDimensions(); ++i) region.SetSize(i, io->GetDimensions(i));
    io->SetIORegion(region);
    at::Tensor flat = stored_tensor(header.layout, file.path());
    flat.zero_();
    io->Read(flat.mutable_data_ptr());
    *voxels = arranged(usable(flat, header.layout.element, file.path()), header.layout);
    return header;
  } catch (const itk::ExceptionObject& error) {
    throw FormatError(file.path() + ": damaged or of a kind not read: " + error.GetDescription());
  }
}

}  // namespace vesalius::io::detail
