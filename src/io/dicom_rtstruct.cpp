// SPDX-License-Identifier: Apache-2.0
// RTSTRUCT contours (PS3.3 C.8.8.6) drawn on a grid: a voxel belongs where its centre lies inside, by the even-odd rule,
// so that contours within contours are holes, and keyholes work.
#include <algorithm>
#include <cmath>

#include <ATen/ops/zeros.h>

#include <vesalius/core/error.h>

#include "io/dicom_stack.h"

namespace vesalius::io::detail {
namespace {

using Polygon = std::vector<std::array<double, 2>>;  ///< (y, x) in voxels

struct Roi {
  int64_t number = 0;
  std::string name;
  const DataSet* contours = nullptr;
};

std::vector<Roi> all_rois(const DataSet& d, const std::string& path) {
  std::vector<Roi> out;
  for (const DataSet& item : d.items(0x30060020)) {
    const auto number = item.count(0x30060022);
    if (!number) throw FormatError(path + ": an ROI has no number (3006,0022)");
    Roi roi{*number, item.text(0x30060026), nullptr};
    for (const DataSet& contours : d.items(0x30060039))
      if (contours.count(0x30060084) == number) roi.contours = &contours;
    out.push_back(roi);
  }
  if (out.empty()) throw FormatError(path + ": the RTSTRUCT lists no ROI (StructureSetROISequence)");
  return out;
}

bool closed(const DataSet& contour) { return contour.text(0x30060042).compare(0, 6, "CLOSED") == 0; }

std::vector<Roi> choose_rois(const DataSet& d, const std::vector<std::string>& wanted, const std::string& path) {
  const auto all = all_rois(d, path);
  std::string list;
  for (const Roi& r : all)
    list += (list.empty() ? "" : ", ") + std::to_string(r.number) + " \"" + printable(r.name) + "\"";
  const auto drawn = [](const Roi& r) {
    return r.contours &&
           std::any_of(r.contours->items(0x30060040).begin(), r.contours->items(0x30060040).end(), closed);
  };
  std::vector<Roi> out;
  if (wanted.empty()) {
    std::copy_if(all.begin(), all.end(), std::back_inserter(out), drawn);
    if (out.empty()) throw FormatError(path + ": no ROI has a closed contour; there are: " + list);
    return out;
  }
  for (const auto& want : wanted) {
    const auto matches = [&](const Roi& r) { return r.name == want || std::to_string(r.number) == want; };
    const auto found = std::find_if(all.begin(), all.end(), matches);
    if (found == all.end()) throw InvalidArgument(path + ": no ROI \"" + want + "\"; there are: " + list);
    if (!drawn(*found))
      throw FormatError(path + ": the ROI \"" + want + "\" has no closed contour (points or lines only)");
    if (std::count_if(all.begin(), all.end(), [&](const Roi& r) { return r.name == want; }) > 1 && found->name == want)
      throw InvalidArgument(path + ": several ROIs are named \"" + want + "\"; choose by number: " + list);
    out.push_back(*found);
  }
  return out;
}

/// Flips what lies inside the polygon. A centre on an edge belongs to the side of lower coordinates only.
void flip_inside(const Polygon& polygon, uint8_t* slice, int64_t rows, int64_t columns) {
  double low = polygon[0][0], high = low;
  for (const auto& p : polygon) low = std::min(low, p[0]), high = std::max(high, p[0]);
  std::vector<double> crossings;
  const auto first = static_cast<int64_t>(std::clamp(std::ceil(low), 0.0, static_cast<double>(rows)));
  const auto last = static_cast<int64_t>(std::clamp(std::floor(high), -1.0, static_cast<double>(rows - 1)));
  for (int64_t y = first; y <= last; ++y) {
    crossings.clear();
    for (size_t i = 0; i < polygon.size(); ++i) {
      const auto& a = polygon[i];
      const auto& b = polygon[(i + 1) % polygon.size()];
      const auto at = static_cast<double>(y);
      if ((a[0] <= at) != (b[0] <= at)) crossings.push_back(a[1] + (at - a[0]) / (b[0] - a[0]) * (b[1] - a[1]));
    }
    std::sort(crossings.begin(), crossings.end());
    for (size_t i = 0; i + 1 < crossings.size(); i += 2) {
      const auto from = static_cast<int64_t>(std::clamp(std::ceil(crossings[i]), 0.0, static_cast<double>(columns)));
      const auto to = static_cast<int64_t>(std::clamp(std::ceil(crossings[i + 1]), 0.0, static_cast<double>(columns)));
      for (int64_t x = from; x < to; ++x) slice[y * columns + x] ^= 1;
    }
  }
}

/// Draws one contour; returns its slice. -1: outside the grid.
int64_t draw_contour(const DataSet& contour, const Geometry& grid, uint8_t* voxels, const Roi& roi,
                     const std::string& path) {
  const auto points = contour.numbers(0x30060050);
  if (points.size() < 9 || points.size() % 3 != 0)
    throw FormatError(path + ": a contour of ROI \"" + printable(roi.name) + "\" has " + std::to_string(points.size()) +
                      " coordinates; expected three a point and three points at least");
  Polygon polygon;
  double low = 1e300, high = -1e300;
  for (size_t i = 0; i < points.size(); i += 3) {
    const Vec3 index = grid.to_index({points[i + 2], points[i + 1], points[i]});
    if (!std::isfinite(index[0] + index[1] + index[2]))
      throw FormatError(path + ": a contour's coordinates are not finite");
    low = std::min(low, index[0]), high = std::max(high, index[0]);
    polygon.push_back({index[1], index[2]});
  }
  if (high - low > 0.5)
    throw GeometryError(
        path + ": a contour of ROI \"" + printable(roi.name) + "\" runs through slices " + short_number(low) + " to " +
        short_number(high) +
        " of the image: it was not drawn in the image's slices. Pass the image it was drawn on as like=");
  const double middle = (low + high) / 2;
  if (middle < -0.5 || middle >= static_cast<double>(grid.size[0]) - 0.5) return -1;
  const auto z = std::llround(middle);
  flip_inside(polygon, voxels + z * grid.size[1] * grid.size[2], grid.size[1], grid.size[2]);
  return z;
}

}  // namespace

Mask read_rtstruct(const std::shared_ptr<const DicomFile>& file, const Geometry& grid, const MaskOptions& options) {
  const auto& path = file->path();
  const auto rois = choose_rois(file->data(), options.rois, path);
  at::Tensor labels = at::zeros({grid.size[0], grid.size[1], grid.size[2]}, at::kInt);
  std::map<int64_t, std::string> names;
  Header header;
  header.format = "RTSTRUCT";
  header.layout.element = Element::u8;
  header.metadata = dicom_metadata(*file);
  std::string overlaps;
  for (size_t i = 0; i < rois.size(); ++i) {
    at::Tensor one = at::zeros({grid.size[0], grid.size[1], grid.size[2]}, at::kByte);
    std::vector<int64_t> slices;
    int64_t outside = 0;
    for (const DataSet& contour : rois[i].contours->items(0x30060040)) {
      if (!closed(contour)) continue;
      const int64_t z = draw_contour(contour, grid, one.mutable_data_ptr<uint8_t>(), rois[i], path);
      if (z < 0)
        ++outside;
      else
        slices.push_back(z);
    }
    if (slices.empty())
      throw GeometryError(path + ": all contours of ROI \"" + printable(rois[i].name) +
                          "\" lie outside the image. Pass the image it was drawn on as like=");
    if (outside > 0)
      header.problems.push_back(std::to_string(outside) + " contours of \"" + rois[i].name +
                                "\" lie outside the image");
    std::sort(slices.begin(), slices.end());
    slices.erase(std::unique(slices.begin(), slices.end()), slices.end());
    const int64_t span = slices.back() - slices.front() + 1;
    if (static_cast<int64_t>(slices.size()) < span)
      header.problems.push_back("\"" + rois[i].name + "\" has contours in " + std::to_string(slices.size()) +
                                " of the " + std::to_string(span) + " slices it spans; the others are empty");
    const at::Tensor inside = one.ne(0);
    const auto label = static_cast<int64_t>(i + 1);
    const at::Tensor there = labels.masked_select(inside.logical_and(labels.ne(0)));
    if (there.numel() > 0)
      overlaps += (overlaps.empty() ? "" : "; ") + std::string("\"") +
                  printable(rois[static_cast<size_t>(there[0].item<int64_t>() - 1)].name) + "\" and \"" +
                  printable(rois[i].name) + "\" share " + std::to_string(there.numel()) + " voxels";
    labels.masked_fill_(inside, label);
    names[label] = rois[i].name;
  }
  if (!overlaps.empty()) {
    std::string list;
    for (const Roi& r : rois)
      list += (list.empty() ? "" : ", ") + std::to_string(r.number) + " \"" + printable(r.name) + "\"";
    throw InvalidArgument(path + ": its ROIs overlap, and a mask has one label a voxel: " + overlaps +
                          ". Choose with roi= one of " + list);
  }
  return Mask(labels, grid, names, finished_metadata(header, path));
}

}  // namespace vesalius::io::detail
