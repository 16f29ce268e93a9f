// SPDX-License-Identifier: Apache-2.0
// NIfTI-1 and NIfTI-2 headers (https://nifti.nimh.nih.gov/pub/dist/src/niftilib/nifti1.h and nifti2.h: the standard
// is that header's comments, "METHOD 1..3" among them).
#include <algorithm>
#include <cmath>
#include <cstring>

#include <sys/stat.h>

#include <vesalius/core/error.h>

#include "io/voxels.h"

namespace vesalius::io::detail {
namespace {

using Steps = std::array<std::array<double, 3>, 3>;

/// The fields that matter, of either version, in this machine's byte order.
struct Nifti {
  bool two = false, swapped = false, pair = false;
  std::array<int64_t, 8> dim{};
  int datatype = 0, bitpix = 0, qform = 0, sform = 0, units = 0, intent = 0;
  std::array<double, 8> pixdim{};
  double vox_offset = 0, slope = 0, inter = 0;
  std::array<double, 3> quaternion{}, q_offset{};
  std::array<std::array<double, 4>, 3> srow{};
  std::string description, intent_name;
};

class Fields {
 public:
  Fields(const std::vector<uint8_t>& bytes, bool swap) : bytes_(bytes), swap_(swap) {}
  template <class T>
  T get(size_t offset) const {
    std::array<uint8_t, sizeof(T)> raw{};
    std::memcpy(raw.data(), bytes_.data() + offset, sizeof(T));
    if (swap_) std::reverse(raw.begin(), raw.end());
    T value{};
    std::memcpy(&value, raw.data(), sizeof(T));
    return value;
  }
  std::string text(size_t offset, size_t size) const {
    const std::string all(reinterpret_cast<const char*>(bytes_.data()) + offset, size);
    return trim(all.substr(0, all.find('\0')));
  }

 private:
  const std::vector<uint8_t>& bytes_;
  bool swap_;
};

int32_t header_size(const std::vector<uint8_t>& head, bool swap) {
  return head.size() < 4 ? 0 : Fields(head, swap).get<int32_t>(0);
}

Nifti parse_one(const std::vector<uint8_t>& head, bool swap) {
  const Fields f(head, swap);
  Nifti n;
  n.swapped = swap;
  for (int i = 0; i < 8; ++i) n.dim[i] = f.get<int16_t>(40 + 2 * i), n.pixdim[i] = f.get<float>(76 + 4 * i);
  n.intent = f.get<int16_t>(68), n.datatype = f.get<int16_t>(70), n.bitpix = f.get<int16_t>(72);
  n.vox_offset = f.get<float>(108), n.slope = f.get<float>(112), n.inter = f.get<float>(116);
  n.units = f.get<uint8_t>(123);
  n.description = f.text(148, 80), n.intent_name = f.text(328, 16);
  n.qform = f.get<int16_t>(252), n.sform = f.get<int16_t>(254);
  for (int i = 0; i < 3; ++i) {
    n.quaternion[i] = f.get<float>(256 + 4 * i), n.q_offset[i] = f.get<float>(268 + 4 * i);
    for (int j = 0; j < 4; ++j) n.srow[i][j] = f.get<float>(280 + 16 * i + 4 * j);
  }
  return n;
}

Nifti parse_two(const std::vector<uint8_t>& head, bool swap) {
  const Fields f(head, swap);
  Nifti n;
  n.two = true, n.swapped = swap;
  n.datatype = f.get<int16_t>(12), n.bitpix = f.get<int16_t>(14);
  for (int i = 0; i < 8; ++i) n.dim[i] = f.get<int64_t>(16 + 8 * i), n.pixdim[i] = f.get<double>(104 + 8 * i);
  n.vox_offset = static_cast<double>(f.get<int64_t>(168)), n.slope = f.get<double>(176), n.inter = f.get<double>(184);
  n.description = f.text(240, 80), n.intent_name = f.text(508, 16);
  n.qform = f.get<int32_t>(344), n.sform = f.get<int32_t>(348);
  for (int i = 0; i < 3; ++i) {
    n.quaternion[i] = f.get<double>(352 + 8 * i), n.q_offset[i] = f.get<double>(376 + 8 * i);
    for (int j = 0; j < 4; ++j) n.srow[i][j] = f.get<double>(400 + 32 * i + 8 * j);
  }
  n.units = f.get<int32_t>(500) & 0xff, n.intent = f.get<int32_t>(504);
  return n;
}

Nifti parse(const std::vector<uint8_t>& head, const std::string& path) {
  for (const bool swap : {false, true}) {
    const int32_t size = header_size(head, swap);
    if (size != 348 && size != 540) continue;
    if (static_cast<int32_t>(head.size()) < size)
      throw FormatError(path + ": truncated: a NIfTI header takes " + std::to_string(size) + " bytes; the file has " +
                        std::to_string(head.size()));
    Nifti n = size == 348 ? parse_one(head, swap) : parse_two(head, swap);
    const std::string magic(reinterpret_cast<const char*>(head.data()) + (n.two ? 4 : 344), 4);
    const char version = n.two ? '2' : '1';
    n.pair = magic[1] == 'i';
    if (magic[0] != 'n' || (magic[1] != '+' && magic[1] != 'i') || magic[2] != version || magic[3] != '\0')
      throw FormatError(path + ": expected the magic \"n+" + version + "\" or \"ni" + version +
                        "\" of NIfTI, found \"" + printable(magic) +
                        "\" (Analyze 7.5 files have none and don't say left from right: convert them first)");
    if (n.two && std::memcmp(head.data() + 8, "\r\n\032\n", 4) != 0)
      throw FormatError(path + ": the NIfTI-2 signature was damaged, as a transfer in text mode does");
    return n;
  }
  throw FormatError(path + ": not a NIfTI header: its first number must be 348 or 540, found " +
                    std::to_string(header_size(head, false)));
}

void read_type(const Nifti& n, const std::string& path, Layout& layout, std::vector<std::string>& problems) {
  int bits = 0;
  switch (n.datatype) {
    case 2:
      layout.element = Element::u8, bits = 8;
      break;
    case 4:
      layout.element = Element::i16, bits = 16;
      break;
    case 8:
      layout.element = Element::i32, bits = 32;
      break;
    case 16:
      layout.element = Element::f32, bits = 32;
      break;
    case 32:
      layout.element = Element::c64, bits = 64;
      break;
    case 64:
      layout.element = Element::f64, bits = 64;
      break;
    case 128:
      layout.element = Element::u8, layout.interleaved = 3, bits = 24;
      break;
    case 256:
      layout.element = Element::i8, bits = 8;
      break;
    case 512:
      layout.element = Element::u16, bits = 16;
      break;
    case 768:
      layout.element = Element::u32, bits = 32;
      break;
    case 1024:
      layout.element = Element::i64, bits = 64;
      break;
    case 1280:
      layout.element = Element::u64, bits = 64;
      break;
    case 1792:
      layout.element = Element::c128, bits = 128;
      break;
    case 2304:
      layout.element = Element::u8, layout.interleaved = 4, bits = 32;
      break;
    case 1:
    case 1536:
    case 2048:
      throw NotSupported(path + ": NIfTI datatype " + std::to_string(n.datatype) +
                         " (1-bit, float128 or complex256 voxels) is not read; convert it to float64");
    default:
      throw FormatError(path + ": unknown NIfTI datatype " + std::to_string(n.datatype));
  }
  if (n.bitpix != bits)
    problems.push_back("bitpix says " + std::to_string(n.bitpix) + ", the datatype has " + std::to_string(bits) +
                       " bits; the datatype was used");
}

void read_sizes(const Nifti& n, const std::string& path, Layout& layout) {
  const int64_t rank = n.dim[0];
  if (rank < 1 || rank > 7)
    throw FormatError(path + ": the number of dimensions must be 1 to 7, found " + std::to_string(rank));
  std::array<int64_t, 8> dim{};
  dim.fill(1);
  for (int64_t i = 1; i <= rank; ++i) {
    dim[i] = n.dim[i];
    if (dim[i] < 1)
      throw FormatError(path + ": the size along dimension " + std::to_string(i) + " must be at least 1, found " +
                        std::to_string(dim[i]));
  }
  layout.size = {dim[3], dim[2], dim[1]};
  layout.volumes = checked_product(dim[4], dim[5]);
  layout.has_volumes = layout.volumes > 1;
  if (dim[6] > 1 || dim[7] > 1 || (dim[4] > 1 && dim[5] > 1))
    throw NotSupported(path + ": images of 3 dimensions, or 4 with time or components, are read; this has dimensions " +
                       std::to_string(dim[1]) + " × " + std::to_string(dim[2]) + " × " + std::to_string(dim[3]) +
                       " × " + std::to_string(dim[4]) + " × " + std::to_string(dim[5]) + " …");
}

/// METHOD 2: quaternion, offset, pixdim.
Steps qform_steps(const Nifti& n, const std::array<double, 3>& spacing, const std::string& path) {
  auto [b, c, d] = n.quaternion;
  if (!std::isfinite(b) || !std::isfinite(c) || !std::isfinite(d))
    throw GeometryError(path + ": the qform's quaternion is not finite; the geometry is undefined");
  double a = 1.0 - (b * b + c * c + d * d);
  if (a < 1e-7) {  // as the standard's nifti_quatern_to_mat44 does: renormalise
    const double length = std::sqrt(b * b + c * c + d * d);
    b /= length, c /= length, d /= length, a = 0;
  } else {
    a = std::sqrt(a);
  }
  const double qfac = n.pixdim[0] < 0 ? -1 : 1;
  const double r[3][3] = {{a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)},
                          {2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)},
                          {2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - c * c - b * b}};
  Steps steps{};
  for (int axis = 0; axis < 3; ++axis)
    for (int row = 0; row < 3; ++row) steps[axis][row] = r[row][axis] * spacing[axis] * (axis == 2 ? qfac : 1);
  return steps;
}

/// pixdim as mm; what is odd about it is said.
std::array<double, 3> spacing_of(const Nifti& n, const Layout& layout, const std::string& path,
                                 std::vector<std::string>& problems) {
  std::array<double, 3> out{};
  for (int i = 0; i < 3; ++i) {
    out[i] = n.pixdim[i + 1];
    if (out[i] == 0 && layout.size[2 - i] == 1) out[i] = 1;  // a 2D image need not say how thick it is
    if (out[i] < 0) {
      problems.push_back("pixdim[" + std::to_string(i + 1) + "] is negative; its absolute value was used");
      out[i] = -out[i];
    }
    if (!std::isfinite(out[i]) || out[i] == 0)
      throw GeometryError(path + ": spacing must be positive and finite, found pixdim[" + std::to_string(i + 1) +
                          "] = " + std::to_string(out[i]));
  }
  return out;
}

double furthest(const Steps& a, const Steps& b) {
  double out = 0;
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 3; ++j) out = std::max(out, std::abs(a[i][j] - b[i][j]));
  return out;
}

/// sform where it is set, else qform, else pixdim alone: nibabel's order.
Geometry read_geometry(const Nifti& n, const Layout& layout, const std::string& path,
                       std::vector<std::string>& problems) {
  const int unit = n.units & 7;
  const double mm = unit == 1 ? 1000.0 : unit == 3 ? 1e-3 : 1.0;
  Steps steps{};
  std::array<double, 3> origin{};
  if (n.sform > 0) {
    for (int axis = 0; axis < 3; ++axis)
      for (int row = 0; row < 3; ++row) steps[axis][row] = n.srow[row][axis];
    for (int row = 0; row < 3; ++row) origin[row] = n.srow[row][3];
    std::array<double, 3> spacing{n.pixdim[1], n.pixdim[2], n.pixdim[3]};
    const bool has_q = n.qform > 0 && std::isfinite(n.quaternion[0] + n.quaternion[1] + n.quaternion[2]);
    if (has_q && furthest(qform_steps(n, spacing, path), steps) > 1e-2)
      problems.push_back("sform and qform describe different geometries; the sform was used");
  } else {
    const auto spacing = spacing_of(n, layout, path, problems);
    if (n.qform > 0) {
      steps = qform_steps(n, spacing, path);
      origin = n.q_offset;
    } else {
      problems.push_back("the file gives no orientation (qform and sform are 0): axes were taken as LPS, origin 0");
      for (int i = 0; i < 3; ++i) steps[i][i] = i == 2 ? spacing[i] : -spacing[i];
    }
  }
  // RAS to LPS, to mm.
  for (auto& step : steps) step = {-step[0] * mm, -step[1] * mm, step[2] * mm};
  origin = {-origin[0] * mm, -origin[1] * mm, origin[2] * mm};
  return geometry_from_steps(steps, origin, layout.size, path);
}

std::string image_beside(const std::string& header) {
  const size_t dot = header.rfind(".hdr");
  if (dot != std::string::npos)
    for (const char* end : {".img", ".img.gz"}) {
      struct stat status{};
      const std::string candidate = header.substr(0, dot) + end;
      if (::stat(candidate.c_str(), &status) == 0) return candidate;
    }
  throw FormatError(header + ": is the header of a pair; its .img file is not beside it");
}

}  // namespace

bool looks_like_nifti(const std::vector<uint8_t>& head) {
  for (const bool swap : {false, true})
    if (const int32_t size = header_size(head, swap); size == 348 || size == 540) return true;
  return false;
}

Header read_nifti_header(const FileSource& file) {
  const auto& path = file.path();
  Header header;
  std::vector<uint8_t> head = file.head(540);
  header.whole_compressed = is_gzip(head);
  if (header.whole_compressed) {
    head.assign(540, 0);
    head.resize(static_cast<size_t>(inflate_stream(file)->read(head.data(), 540)));
  }
  const Nifti n = parse(head, path);
  header.format = n.two ? "NIfTI-2" : "NIfTI-1";
  header.layout.swap = n.swapped;
  read_type(n, path, header.layout, header.problems);
  read_sizes(n, path, header.layout);
  header.geometry = read_geometry(n, header.layout, path, header.problems);

  const double first = n.pair ? 0 : n.two ? 544 : 352;
  double offset = n.vox_offset;
  if (offset == 0 && !n.pair) offset = first;
  if (!(offset >= first && offset < 9e15) || offset != std::floor(offset))
    throw FormatError(path + ": the voxels can't begin at byte " + std::to_string(n.vox_offset) +
                      " (vox_offset); expected " + std::to_string(int(first)) + " or more");
  header.offset = static_cast<int64_t>(offset);
  header.data_path = n.pair ? image_beside(path) : path;
  if (n.pair) header.whole_compressed = is_gzip(FileSource(header.data_path).head(4));

  const bool colours = header.layout.interleaved > 1;
  if (n.slope != 0 && !colours) {
    if (!std::isfinite(n.slope) || !std::isfinite(n.inter))
      throw FormatError(path + ": the scale of its values is not finite (scl_slope " + std::to_string(n.slope) +
                        ", scl_inter " + std::to_string(n.inter) + ")");
    header.slope = n.slope, header.intercept = n.inter;
  }
  if (!n.description.empty()) header.metadata["description"] = n.description;
  if (!n.intent_name.empty()) header.metadata["intent_name"] = n.intent_name;
  return header;
}

}  // namespace vesalius::io::detail
