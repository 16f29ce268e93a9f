// SPDX-License-Identifier: Apache-2.0
// DICOM segmentations (PS3.3 A.51): one frame for each segment and slice.
#include <algorithm>
#include <cmath>

#include <ATen/ops/zeros.h>

#include <vesalius/core/error.h>

#include "io/dicom_stack.h"

namespace vesalius::io::detail {
namespace {

struct Segments {
  std::map<int64_t, std::string> names;  ///< all of the file
  std::vector<int64_t> taken;
};

Segments choose_segments(const DataSet& d, const std::vector<std::string>& wanted, const std::string& path) {
  Segments out;
  std::string list;
  for (const DataSet& s : d.items(0x00620002)) {
    const auto number = s.count(0x00620004);
    if (!number) throw FormatError(path + ": a segment has no SegmentNumber (0062,0004)");
    out.names[*number] = s.text(0x00620005);
    list += (list.empty() ? "" : ", ") + std::to_string(*number) + " \"" + printable(s.text(0x00620005)) + "\"";
  }
  if (out.names.empty()) throw FormatError(path + ": the segmentation lists no segment (SegmentSequence)");
  if (wanted.empty()) {
    for (const auto& [number, name] : out.names) out.taken.push_back(number);
    return out;
  }
  for (const auto& want : wanted) {
    const auto found = std::find_if(out.names.begin(), out.names.end(),
                                    [&](const auto& s) { return s.second == want || std::to_string(s.first) == want; });
    if (found == out.names.end()) throw InvalidArgument(path + ": no segment \"" + want + "\"; there are: " + list);
    out.taken.push_back(found->first);
  }
  return out;
}

/// The grid that the frames lie on when no image is given: from their own places.
Geometry own_grid(const std::vector<Plane>& planes, const std::string& path) {
  const auto& o = *planes.front().orientation;
  const auto& spacing = *planes.front().spacing;
  const Point row{o[0], o[1], o[2]}, column{o[3], o[4], o[5]}, normal = cross(row, column);
  std::vector<std::pair<double, const Plane*>> at;
  for (const Plane& p : planes) at.emplace_back(dot(*p.position, normal), &p);
  std::sort(at.begin(), at.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  const DataSet& d = planes.front().file->data();
  const DataSet& measures = d.item(0x52009229).item(0x00289110);
  double gap = 0;
  for (size_t i = 1; i < at.size(); ++i)
    if (const double g = at[i].first - at[i - 1].first; g > 1e-3 && (gap == 0 || g < gap)) gap = g;
  const double said = measures.number(0x00180088).value_or(measures.number(0x00180050).value_or(0));
  // Slices without any segment are left out: the distance that the file states divides every gap then.
  if (gap == 0 || (said > 0 && said < gap)) gap = said > 0 ? said : 1;
  const double depth = (at.back().first - at.front().first) / gap;
  if (!(depth < 1e5)) throw FormatError(path + ": its frames are spread over " + short_number(depth) + " slices");
  std::array<std::array<double, 3>, 3> steps{};
  for (int k = 0; k < 3; ++k)
    steps[0][k] = row[k] * spacing[1], steps[1][k] = column[k] * spacing[0], steps[2][k] = normal[k] * gap;
  return geometry_from_steps(steps, *at.front().second->position,
                             {std::llround(depth) + 1, planes.front().format.rows, planes.front().format.columns},
                             path);
}

/// Which slice of `grid` the plane is. @throws GeometryError that says by how much it is none.
int64_t slice_of(const Plane& plane, const Geometry& grid, const std::string& path) {
  const auto& p = *plane.position;
  const Vec3 index = grid.to_index({p[2], p[1], p[0]});
  const auto z = std::llround(std::clamp(index[0], -1e9, 1e9));
  const double off = std::hypot((index[0] - static_cast<double>(z)) * grid.spacing[0], index[1] * grid.spacing[1],
                                index[2] * grid.spacing[2]);
  if (!(off <= 0.02 * std::min({grid.spacing[0], grid.spacing[1], grid.spacing[2]})) || z < 0 || z >= grid.size[0])
    throw GeometryError(path + ": frame " + std::to_string(plane.frame + 1) + " of the segmentation lies at slice " +
                        short_number(index[0]) + " of the grid's " + std::to_string(grid.size[0]) + ", " +
                        short_number(off) +
                        " mm off the nearest voxels. Read it with resample=True, or pass the image it was drawn on");
  return z;
}

void check_grid(const Plane& plane, const Geometry& grid, const std::string& path) {
  Geometry own = grid;
  const auto& o = *plane.orientation;
  const auto& spacing = *plane.spacing;
  const Point row{o[0], o[1], o[2]}, column{o[3], o[4], o[5]}, normal = cross(row, column);
  own.size = {grid.size[0], plane.format.rows, plane.format.columns};
  own.spacing = {grid.spacing[0], spacing[0], spacing[1]};
  double turned = 0;
  for (int k = 0; k < 3; ++k) turned += normal[k] * grid.direction[2 - k][0];
  for (int k = 0; k < 3; ++k) own.direction[2 - k] = {turned < 0 ? -normal[k] : normal[k], column[k], row[k]};
  grid.require_same(own, "the image", "the segmentation " + path);
}

}  // namespace

Mask read_dicom_seg(const std::shared_ptr<const DicomFile>& file, const Image* like, const MaskOptions& options) {
  const DataSet& d = file->data();
  const auto& path = file->path();
  const Segments segments = choose_segments(d, options.segments, path);
  const std::string kind = d.text(0x00620001);
  if (kind != "BINARY" && kind != "FRACTIONAL")
    throw NotSupported(path + ": segmentations of type BINARY and FRACTIONAL are read, found \"" + printable(kind) +
                       "\"");
  const auto planes = planes_of(file);
  for (const Plane& p : planes)
    if (!p.position || !p.orientation || !p.spacing)
      throw GeometryError(path + ": frame " + std::to_string(p.frame + 1) +
                          " of the segmentation has no position, orientation or pixel spacing");
  const double full = kind == "FRACTIONAL" ? d.number(0x0062000e).value_or(255) : 1;
  const Geometry grid = like ? like->geometry() : own_grid(planes, path);
  check_grid(planes.front(), grid, path);

  const at::Tensor frames = decode_frames(*file, planes.front().format).select(3, 0);
  at::Tensor labels = at::zeros({grid.size[0], grid.size[1], grid.size[2]}, at::kInt);
  const auto& per_frame = d.items(0x52009230);
  std::map<std::pair<int64_t, int64_t>, int64_t> overlaps;
  for (const Plane& p : planes) {
    static const DataSet kNone;
    const DataSet& frame =
        p.frame < static_cast<int64_t>(per_frame.size()) ? per_frame[static_cast<size_t>(p.frame)] : kNone;
    auto number = frame.item(0x0062000a).count(0x0062000b);
    if (!number) number = d.item(0x52009229).item(0x0062000a).count(0x0062000b);
    if (!number)
      throw FormatError(path + ": frame " + std::to_string(p.frame + 1) + " says no segment (ReferencedSegmentNumber)");
    if (std::find(segments.taken.begin(), segments.taken.end(), *number) == segments.taken.end()) continue;
    at::Tensor slice = labels.select(0, slice_of(p, grid, path));
    const at::Tensor inside =
        kind == "BINARY" ? frames.select(0, p.frame).ne(0) : frames.select(0, p.frame).ge(full / 2);
    const at::Tensor there = slice.masked_select(inside.logical_and(slice.ne(0)).logical_and(slice.ne(*number)));
    if (there.numel() > 0) overlaps[{there[0].item<int64_t>(), *number}] += there.numel();
    slice.masked_fill_(inside, *number);
  }
  if (!overlaps.empty()) {
    std::string list;
    for (const auto& [pair, count] : overlaps)
      list += (list.empty() ? "" : "; ") + std::to_string(pair.first) + " \"" +
              printable(segments.names.at(pair.first)) + "\" and " + std::to_string(pair.second) + " \"" +
              printable(segments.names.at(pair.second)) + "\" share " + std::to_string(count) + " voxels";
    throw InvalidArgument(path + ": its segments overlap, and a mask has one label a voxel: " + list +
                          ". Read them one by one with segment=");
  }
  std::map<int64_t, std::string> names;
  for (const int64_t number : segments.taken) names[number] = segments.names.at(number);
  Header header;
  header.format = "DICOM-SEG";
  header.layout.element = planes.front().format.element;
  header.metadata = dicom_metadata(*file);
  if (kind == "FRACTIONAL")
    header.problems.emplace_back("a fractional segmentation: voxels of half of the full value and more were taken");
  return Mask(labels, grid, names, finished_metadata(header, path));
}

}  // namespace vesalius::io::detail
