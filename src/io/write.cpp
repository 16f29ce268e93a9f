// SPDX-License-Identifier: Apache-2.0
#include <vesalius/io/write.h>

#include <charconv>
#include <cmath>
#include <cstring>
#include <map>
#include <sstream>

#include <vesalius/core/error.h>

#include "io/atomic_file.h"
#include "io/pictures.h"
#include "io/voxels.h"

namespace vesalius::io {
namespace {

using namespace detail;

struct Stored {
  at::Tensor voxels;  ///< contiguous, on the CPU
  Element element;
};

/// What the file will hold, in a type that formats know: bool → uint8, half and bfloat16 → float32.
Stored storable(const Image& image, const std::string& path) {
  at::Tensor voxels = image.tensor().detach();
  switch (voxels.scalar_type()) {
    case at::kBool:
      voxels = voxels.to(at::kByte);
      break;
    case at::kHalf:
    case at::kBFloat16:
      voxels = voxels.to(at::kFloat);
      break;
    default:
      break;
  }
  voxels = voxels.cpu().contiguous();
  switch (voxels.scalar_type()) {
    case at::kByte:
      return {voxels, Element::u8};
    case at::kChar:
      return {voxels, Element::i8};
    case at::kUInt16:
      return {voxels, Element::u16};
    case at::kShort:
      return {voxels, Element::i16};
    case at::kUInt32:
      return {voxels, Element::u32};
    case at::kInt:
      return {voxels, Element::i32};
    case at::kUInt64:
      return {voxels, Element::u64};
    case at::kLong:
      return {voxels, Element::i64};
    case at::kFloat:
      return {voxels, Element::f32};
    case at::kDouble:
      return {voxels, Element::f64};
    default:
      throw TypeMismatch(path + ": voxels of type " + c10::toString(voxels.scalar_type()) +
                         " can't be written; use a real number type");
  }
}

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() > end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

/// The shortest text that reads back as the same number.
std::string exact(double value) {
  std::array<char, 40> text{};
  return {text.data(), std::to_chars(text.data(), text.data() + text.size(), value).ptr};
}

// ---- NIfTI-1 ----

class NiftiHeader {
 public:
  template <class T>
  void put(size_t offset, T value) {
    std::memcpy(bytes_.data() + offset, &value, sizeof(T));
  }
  const auto& bytes() const { return bytes_; }
  uint8_t* data() { return bytes_.data(); }

 private:
  std::array<uint8_t, 352> bytes_{};
};

int nifti_datatype(Element element) {
  static const std::map<Element, int> kTypes{
      {Element::u8, 2},   {Element::i16, 4},   {Element::i32, 8},   {Element::f32, 16},   {Element::f64, 64},
      {Element::i8, 256}, {Element::u16, 512}, {Element::u32, 768}, {Element::i64, 1024}, {Element::u64, 1280}};
  return kTypes.at(element);
}

/// The quaternion of a rotation (nifti1.h, nifti_mat44_to_quatern): a ≥ 0 and not stored.
std::array<double, 3> quaternion_of(const double r[3][3]) {
  double a = r[0][0] + r[1][1] + r[2][2] + 1, b = 0, c = 0, d = 0;
  if (a > 0.5) {
    a = 0.5 * std::sqrt(a);
    b = 0.25 * (r[2][1] - r[1][2]) / a, c = 0.25 * (r[0][2] - r[2][0]) / a, d = 0.25 * (r[1][0] - r[0][1]) / a;
  } else {
    const double x = 1 + r[0][0] - (r[1][1] + r[2][2]), y = 1 + r[1][1] - (r[0][0] + r[2][2]),
                 z = 1 + r[2][2] - (r[0][0] + r[1][1]);
    if (x > 1) {
      b = 0.5 * std::sqrt(x);
      c = 0.25 * (r[0][1] + r[1][0]) / b, d = 0.25 * (r[0][2] + r[2][0]) / b, a = 0.25 * (r[2][1] - r[1][2]) / b;
    } else if (y > 1) {
      c = 0.5 * std::sqrt(y);
      b = 0.25 * (r[0][1] + r[1][0]) / c, d = 0.25 * (r[1][2] + r[2][1]) / c, a = 0.25 * (r[0][2] - r[2][0]) / c;
    } else {
      d = 0.5 * std::sqrt(z);
      b = 0.25 * (r[0][2] + r[2][0]) / d, c = 0.25 * (r[1][2] + r[2][1]) / d, a = 0.25 * (r[1][0] - r[0][1]) / d;
    }
    if (a < 0) b = -b, c = -c, d = -d;
  }
  return {b, c, d};
}

void put_nifti_geometry(const Geometry& g, NiftiHeader& header) {
  auto steps = steps_of(g);
  auto origin = origin_xyz_of(g);
  for (auto& step : steps) step = {-step[0], -step[1], step[2]};  // LPS to RAS
  origin = {-origin[0], -origin[1], origin[2]};
  double r[3][3];
  for (int axis = 0; axis < 3; ++axis)
    for (int row = 0; row < 3; ++row) r[row][axis] = steps[axis][row] / g.spacing[2 - axis];
  const double determinant = r[0][0] * (r[1][1] * r[2][2] - r[1][2] * r[2][1]) -
                             r[0][1] * (r[1][0] * r[2][2] - r[1][2] * r[2][0]) +
                             r[0][2] * (r[1][0] * r[2][1] - r[1][1] * r[2][0]);
  const double qfac = determinant < 0 ? -1 : 1;
  for (auto& row : r) row[2] *= qfac;
  const auto q = quaternion_of(r);
  header.put<float>(76, static_cast<float>(qfac));
  for (int i = 0; i < 3; ++i) {
    header.put<float>(80 + 4 * i, static_cast<float>(g.spacing[2 - i]));
    header.put<float>(256 + 4 * i, static_cast<float>(q[i]));
    header.put<float>(268 + 4 * i, static_cast<float>(origin[i]));
    for (int j = 0; j < 3; ++j) header.put<float>(280 + 16 * i + 4 * j, static_cast<float>(steps[j][i]));
    header.put<float>(280 + 16 * i + 12, static_cast<float>(origin[i]));
  }
  header.put<int16_t>(252, 1);  // scanner coordinates, for both
  header.put<int16_t>(254, 1);
}

void write_nifti(const Image& image, const std::string& path, bool gzip) {
  const auto [voxels, element] = storable(image, path);
  const auto& g = image.geometry();
  NiftiHeader header;
  const int64_t channels = image.channels();
  for (const int64_t n : {g.size[0], g.size[1], g.size[2], channels})
    if (n > 32767)
      throw InvalidArgument(path + ": NIfTI-1 holds at most 32767 voxels along an axis, this image has " +
                            std::to_string(n) + "; write .nrrd or .mha");
  header.put<int32_t>(0, 348);
  const bool four = image.tensor().dim() == 4;
  const int16_t dim[8] = {static_cast<int16_t>(four ? 4 : 3),
                          static_cast<int16_t>(g.size[2]),
                          static_cast<int16_t>(g.size[1]),
                          static_cast<int16_t>(g.size[0]),
                          static_cast<int16_t>(four ? channels : 1),
                          1,
                          1,
                          1};
  for (int i = 0; i < 8; ++i) header.put<int16_t>(40 + 2 * i, dim[i]);
  for (int i = 4; i < 8; ++i) header.put<float>(76 + 4 * i, 1.0f);
  header.put<int16_t>(70, static_cast<int16_t>(nifti_datatype(element)));
  header.put<int16_t>(72, static_cast<int16_t>(8 * bytes_of(element)));
  header.put<float>(108, 352.0f);
  header.put<uint8_t>(123, 2);  // mm
  put_nifti_geometry(g, header);
  std::memcpy(header.data() + 148, "Vesalius", 8);
  std::memcpy(header.data() + 344, "n+1", 4);

  AtomicFile file(path);
  const auto bytes = static_cast<int64_t>(voxels.nbytes());
  if (gzip) {
    DeflateWriter out(file, true);
    out.write(header.bytes().data(), static_cast<int64_t>(header.bytes().size()));
    out.write(voxels.const_data_ptr(), bytes);
    out.finish();
  } else {
    file.write(header.bytes().data(), static_cast<int64_t>(header.bytes().size()));
    file.write(voxels.const_data_ptr(), bytes);
  }
  file.commit();
}

// ---- NRRD and MetaImage ----

std::string one_line(const std::string& text) {
  std::string out;
  for (const char c : text) out += c == '\n' || c == '\r' ? ' ' : c;
  return out;
}

using LabelNames = std::map<int64_t, std::string>;

void write_nrrd(const Image& image, const LabelNames& names, const std::string& path) {
  const auto [voxels, element] = storable(image, path);
  const auto& g = image.geometry();
  const bool four = image.tensor().dim() == 4;
  const auto steps = steps_of(g);
  const auto origin = origin_xyz_of(g);
  const auto vector = [](const std::array<double, 3>& v) {
    return "(" + exact(v[0]) + "," + exact(v[1]) + "," + exact(v[2]) + ")";
  };
  std::ostringstream out;
  out << "NRRD0005\ntype: " << name_of(element) << "\ndimension: " << (four ? 4 : 3)
      << "\nspace: left-posterior-superior\nsizes: " << g.size[2] << " " << g.size[1] << " " << g.size[0];
  if (four) out << " " << image.channels();
  out << "\nspace directions: " << vector(steps[0]) << " " << vector(steps[1]) << " " << vector(steps[2])
      << (four ? " none" : "") << "\nkinds: domain domain domain" << (four ? " list" : "")
      << "\nendian: little\nencoding: gzip\nspace origin: " << vector(origin) << "\n";
  for (const auto& [label, name] : names) out << "label_" << label << ":=" << one_line(name) << "\n";
  out << "\n";
  std::string head = out.str();
  for (const auto& [wide, narrow] :
       {std::pair<std::string, std::string>{"type: float32", "type: float"}, {"type: float64", "type: double"}})
    if (const size_t at = head.find(wide); at != std::string::npos) head.replace(at, wide.size(), narrow);
  AtomicFile file(path);
  file.write(head.data(), static_cast<int64_t>(head.size()));
  DeflateWriter packed(file, true);
  packed.write(voxels.const_data_ptr(), static_cast<int64_t>(voxels.nbytes()));
  packed.finish();
  file.commit();
}

void write_meta(const Image& image, const LabelNames& names, const std::string& path) {
  const auto [voxels, element] = storable(image, path);
  static const std::map<Element, const char*> kTypes{{Element::u8, "MET_UCHAR"},       {Element::i8, "MET_CHAR"},
                                                     {Element::u16, "MET_USHORT"},     {Element::i16, "MET_SHORT"},
                                                     {Element::u32, "MET_UINT"},       {Element::i32, "MET_INT"},
                                                     {Element::u64, "MET_ULONG_LONG"}, {Element::i64, "MET_LONG_LONG"},
                                                     {Element::f32, "MET_FLOAT"},      {Element::f64, "MET_DOUBLE"}};
  const auto& g = image.geometry();
  const bool four = image.tensor().dim() == 4;
  const auto origin = origin_xyz_of(g);
  const int rank = four ? 4 : 3;
  std::ostringstream out;
  out << "ObjectType = Image\nNDims = " << rank
      << "\nBinaryData = True\nBinaryDataByteOrderMSB = False\nCompressedData = False\nTransformMatrix =";
  for (int axis = 0; axis < rank; ++axis)
    for (int row = 0; row < rank; ++row)
      out << " " << (axis < 3 && row < 3 ? exact(g.direction[2 - row][2 - axis]) : axis == row ? "1" : "0");
  out << "\nOffset = " << exact(origin[0]) << " " << exact(origin[1]) << " " << exact(origin[2]) << (four ? " 0" : "")
      << "\nElementSpacing = " << exact(g.spacing[2]) << " " << exact(g.spacing[1]) << " " << exact(g.spacing[0])
      << (four ? " 1" : "") << "\nDimSize = " << g.size[2] << " " << g.size[1] << " " << g.size[0];
  if (four) out << " " << image.channels();
  out << "\n";
  for (const auto& [label, name] : names) out << "label_" << label << " = " << one_line(name) << "\n";
  out << "ElementType = " << kTypes.at(element) << "\nElementDataFile = LOCAL\n";
  const std::string head = out.str();
  AtomicFile file(path);
  file.write(head.data(), static_cast<int64_t>(head.size()));
  file.write(voxels.const_data_ptr(), static_cast<int64_t>(voxels.nbytes()));
  file.commit();
}

void write_any(const Image& image, const LabelNames& names, const std::string& path) {
  const std::string low = lower(path);
  if (ends_with(low, ".nii.gz")) return write_nifti(image, path, true);
  if (ends_with(low, ".nii")) return write_nifti(image, path, false);
  if (ends_with(low, ".nrrd")) return write_nrrd(image, names, path);
  if (ends_with(low, ".mha")) return write_meta(image, names, path);
  if (ends_with(low, ".png")) return write_png(storable(image, path).voxels, path);
  if (ends_with(low, ".tif") || ends_with(low, ".tiff")) return write_tiff(storable(image, path).voxels, path);
  throw InvalidArgument(path +
                        ": the extension says the format: .nii, .nii.gz, .nrrd, .mha, or .png, .tif, .tiff for 2D");
}

}  // namespace

void write_image(const Image& image, const std::string& path) { write_any(image, {}, path); }

void write_mask(const Mask& mask, const std::string& path) { write_any(mask, mask.names(), path); }

}  // namespace vesalius::io
