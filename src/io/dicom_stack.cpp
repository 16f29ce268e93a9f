// SPDX-License-Identifier: Apache-2.0
// From planes to a grid: what ITK takes for granted is checked here (DESIGN 6a).
#include "io/dicom_stack.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <sstream>

#include <vesalius/core/error.h>

namespace vesalius::io::detail {
namespace {

/// Fraction of the slice distance by which slices may lie off the even grid.
constexpr double kUneven = 0.01;
/// mm within which two slices are at the same place.
constexpr double kSamePlace = 1e-3;
const char* const kOrderNames[6] = {"temporal position (0020,0100)", "acquisition number (0020,0012)",
                                    "echo number (0018,0086)",       "b-value (0018,9087)",
                                    "trigger time (0018,1060)",      "acquisition time (0008,0032)"};

template <size_t N>
std::optional<std::array<double, N>> exactly(const std::vector<double>& values) {
  if (values.size() != N) return std::nullopt;
  std::array<double, N> out{};
  std::copy(values.begin(), values.end(), out.begin());
  return out;
}

/// A tag of the frame's functional groups, or the shared ones', or the data set's own.
const DataSet& group_of(const DataSet& root, const DataSet& frame, uint32_t macro) {
  if (!frame.items(macro).empty()) return frame.item(macro);
  const DataSet& shared = root.item(0x52009229);
  if (!shared.items(macro).empty()) return shared.item(macro);
  return root;
}

/// "what" at which planes differ from the first one, for messages.
std::string file_name(const Plane& plane) {
  const auto slash = plane.file->path().rfind('/');
  return plane.file->path().substr(slash == std::string::npos ? 0 : slash + 1) +
         (plane.format.frames > 1 ? " frame " + std::to_string(plane.frame + 1) : "");
}

[[noreturn]] void refuse(const std::string& name, const std::string& what) { throw GeometryError(name + ": " + what); }

void check_orientation(const Plane& plane, const std::string& name) {
  if (!plane.position)
    refuse(name, "no ImagePositionPatient (0020,0032) in " + file_name(plane) +
                     ": the slices' place in the patient is unknown, and slice numbers are not trusted instead");
  if (!plane.orientation) refuse(name, "no ImageOrientationPatient (0020,0037) in " + file_name(plane));
  const auto& o = *plane.orientation;
  const Point row{o[0], o[1], o[2]}, column{o[3], o[4], o[5]};
  if (!(std::abs(length_of(row) - 1) < 1e-2 && std::abs(length_of(column) - 1) < 1e-2 &&
        std::abs(dot(row, column)) < 1e-2))
    refuse(name, "ImageOrientationPatient (0020,0037) in " + file_name(plane) +
                     " must be two perpendicular unit vectors; its lengths are " + short_number(length_of(row)) +
                     " and " + short_number(length_of(column)));
  if (!plane.spacing) refuse(name, "no PixelSpacing (0028,0030) in " + file_name(plane));
}

void check_alike(const std::vector<Plane>& planes, const std::string& name) {
  const Plane& first = planes.front();
  for (const Plane& p : planes) {
    if (p.format.rows != first.format.rows || p.format.columns != first.format.columns ||
        p.format.samples != first.format.samples)
      refuse(name, "the slices have different sizes: " + std::to_string(first.format.rows) + " × " +
                       std::to_string(first.format.columns) + " pixels in " + file_name(first) + ", " +
                       std::to_string(p.format.rows) + " × " + std::to_string(p.format.columns) + " in " +
                       file_name(p));
    check_orientation(p, name);
    for (int i = 0; i < 6; ++i)
      if (std::abs((*p.orientation)[i] - (*first.orientation)[i]) > 1e-3)
        refuse(name, "the slices have different orientations (" + file_name(first) + ", " + file_name(p) +
                         "): several stacks, or a localizer among them");
    for (int i = 0; i < 2; ++i)
      if (std::abs((*p.spacing)[i] - (*first.spacing)[i]) > 1e-3 * (*first.spacing)[i])
        refuse(name, "the pixel spacing changes: " + short_number((*first.spacing)[i]) + " mm in " + file_name(first) +
                         ", " + short_number((*p.spacing)[i]) + " mm in " + file_name(p));
  }
}

struct Placed {
  Plane plane;
  double distance;  ///< along the normal
};

/// Planes at the same place, place by place.
std::vector<std::vector<Placed>> group_by_place(std::vector<Placed>& all) {
  std::stable_sort(all.begin(), all.end(), [](const Placed& a, const Placed& b) {
    return a.distance != b.distance ? a.distance < b.distance : a.plane.instance < b.plane.instance;
  });
  std::vector<std::vector<Placed>> out;
  for (auto& p : all) {
    if (out.empty() || p.distance - out.back().front().distance > kSamePlace) out.emplace_back();
    out.back().push_back(std::move(p));
  }
  return out;
}

/// Which ordering tells all planes at each place apart, in the same way everywhere; -1 if none.
int telling_order(const std::vector<std::vector<Placed>>& places) {
  for (int key = 0; key < 6; ++key) {
    std::set<double> expected;
    bool good = true;
    for (const auto& place : places) {
      std::set<double> values;
      for (const auto& p : place)
        if (p.plane.order[key]) values.insert(*p.plane.order[key]);
      good = good && values.size() == place.size();
      // Times differ from slice to slice: there it is enough that they tell the planes of one place apart.
      if (key < 4) good = good && (expected.empty() || values == expected), expected = values;
    }
    if (good) return key;
  }
  return -1;
}

/// Several planes at one place: volumes one after the other, or duplicates.
void split_volumes(std::vector<std::vector<Placed>>& places, Stack& stack, OnProblem on_problem,
                   const std::string& name) {
  const size_t count = places.front().size();
  const bool even = std::all_of(places.begin(), places.end(), [&](const auto& place) { return place.size() == count; });
  if (even && count == 1) return;
  const int key = even ? telling_order(places) : -1;
  if (key >= 0) {
    for (auto& place : places)
      std::stable_sort(place.begin(), place.end(),
                       [&](const Placed& a, const Placed& b) { return *a.plane.order[key] < *b.plane.order[key]; });
    stack.volumes = static_cast<int64_t>(count);
    stack.volumes_by = kOrderNames[key];
    stack.problems.push_back(std::to_string(count) + " volumes at the same place, told apart by " + kOrderNames[key] +
                             ": the image is [volume, z, y, x]");
    return;
  }
  std::string list;
  for (auto& place : places) {
    if (place.size() == 1) continue;
    list += (list.empty() ? "" : "; ") + short_number(place.front().distance) + " mm: ";
    for (size_t i = 0; i < place.size(); ++i) list += (i ? ", " : "") + file_name(place[i].plane);
  }
  const std::string said = "duplicate slices at the same place (" + list + ")";
  if (on_problem == OnProblem::error)
    refuse(name, said + ". Remove them, or read with on_problem=\"warn\", which takes the first of each");
  stack.problems.push_back(said + ": the first of each was taken");
  for (auto& place : places) place.resize(1);
}

/// Even distances, or what is wrong with them.
double check_distances(const std::vector<std::vector<Placed>>& places, Stack& stack, OnProblem on_problem,
                       const std::string& name) {
  std::vector<double> at, gaps;
  for (const auto& place : places) at.push_back(place.front().distance);
  for (size_t i = 1; i < at.size(); ++i) gaps.push_back(at[i] - at[i - 1]);
  std::vector<double> sorted = gaps;
  std::sort(sorted.begin(), sorted.end());
  const double usual = sorted[(sorted.size() - 1) / 2];
  bool missing_only = true, even = true;
  std::string list;
  for (size_t i = 0; i < gaps.size(); ++i) {
    if (std::abs(gaps[i] - usual) <= std::max(kUneven * usual, 2 * kSamePlace)) continue;
    even = false;
    const double steps = gaps[i] / usual;
    missing_only = missing_only && std::round(steps) >= 2 && std::abs(steps - std::round(steps)) < 0.05;
    if (list.size() < 200)
      list += (list.empty() ? "" : ", ") + short_number(at[i]) + " → " + short_number(at[i + 1]) + " mm";
  }
  if (even) return (at.back() - at.front()) / static_cast<double>(gaps.size());
  const std::string said =
      missing_only ? "slices are missing: they are " + short_number(usual) + " mm apart, but " + list
                   : "the slices are unevenly spaced: mostly " + short_number(usual) + " mm apart, but " + list;
  if (on_problem == OnProblem::error)
    refuse(name, said +
                     " along their normal. Get the missing ones, or read with on_problem=\"warn\", which interpolates "
                     "linearly onto an even grid");
  if ((at.back() - at.front()) / usual > 20.0 * static_cast<double>(at.size()) + 20)
    refuse(name, said + ": too far apart to interpolate");
  stack.problems.push_back(said + ": interpolated linearly onto an even grid of " + short_number(usual) + " mm");
  stack.positions = at;
  return usual;
}

/// Slices that slip sideways from one to the next: a gantry tilt.
void check_slip(const std::vector<std::vector<Placed>>& places, const Point& row, const Point& column,
                const std::array<double, 2>& spacing, Stack& stack, OnProblem on_problem, const std::string& name) {
  const auto& first = *places.front().front().plane.position;
  const auto& last = *places.back().front().plane.position;
  const double depth = places.back().front().distance - places.front().front().distance;
  const auto aside = [&](const Point& p) {
    const Point d{p[0] - first[0], p[1] - first[1], p[2] - first[2]};
    return std::array<double, 2>{dot(d, row), dot(d, column)};
  };
  const auto total = aside(last);
  const double pixel = std::min(spacing[0], spacing[1]);
  for (const auto& place : places)
    for (const auto& p : place) {
      const auto is = aside(*p.plane.position);
      const double part = (p.distance - places.front().front().distance) / depth;
      if (std::hypot(is[0] - part * total[0], is[1] - part * total[1]) > std::max(0.05 * pixel, 0.01))
        refuse(name, "the slices do not lie on one line (" + file_name(p.plane) + " lies " +
                         short_number(std::hypot(is[0] - part * total[0], is[1] - part * total[1])) + " mm off)");
    }
  const double slip = std::hypot(total[0], total[1]);
  // Rounding of positions to a few digits is no tilt: a tenth of a pixel over the whole stack, or 0.06°.
  if (slip <= std::max(0.1 * pixel, 1e-3 * depth)) return;
  const std::string said = "gantry tilt: the slices slip sideways by " +
                           short_number(std::atan2(slip, depth) * 180 / M_PI) + "° against their normal";
  if (on_problem == OnProblem::error)
    refuse(name, said +
                     ", so that they make no right-angled grid. Read with on_problem=\"warn\", which shifts each slice "
                     "back by linear interpolation");
  stack.problems.push_back(said + ": each slice was shifted back by linear interpolation");
  const double steps = static_cast<double>(places.size() - 1);
  stack.shear = {total[0] / steps / spacing[1], total[1] / steps / spacing[0]};
}

/// One picture, or frames in time, without a place in the patient.
Stack placeless_stack(std::vector<Plane> planes, const std::string& name) {
  Stack stack;
  const Plane& p = planes.front();
  stack.placeless = true;
  stack.volumes = static_cast<int64_t>(planes.size());
  stack.geometry.size = {1, p.format.rows, p.format.columns};
  if (p.spacing) stack.geometry.spacing = {1, (*p.spacing)[0], (*p.spacing)[1]};
  stack.problems.push_back(std::string("no place in the patient (ImagePositionPatient): origin 0") +
                           (p.spacing ? "" : ", and no pixel spacing: 1 was taken"));
  if (stack.volumes > 1)
    stack.problems.push_back(std::to_string(stack.volumes) + " frames in time: the image is [frame, 1, y, x]");
  stack.geometry.validate(name);
  stack.planes = std::move(planes);
  return stack;
}

}  // namespace

double length_of(const Point& v) { return std::sqrt(dot(v, v)); }
Point cross(const Point& a, const Point& b) {
  return {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
}
double dot(const Point& a, const Point& b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

std::string short_number(double value) {
  std::ostringstream out;
  out.precision(6);
  out << value;
  return out.str();
}

std::vector<Plane> planes_of(const std::shared_ptr<const DicomFile>& file) {
  const DataSet& d = file->data();
  Plane base;
  base.file = file;
  base.format = pixel_format(*file);
  base.instance = static_cast<int64_t>(std::clamp(d.number_if_any(0x00200013).value_or(0), -1e15, 1e15));
  const auto& per_frame = d.items(0x52009230);
  if (base.format.frames > 65536)
    throw FormatError(file->path() + ": " + std::to_string(base.format.frames) + " frames");
  std::vector<Plane> out;
  for (int64_t i = 0; i < base.format.frames; ++i) {
    static const DataSet kNone;
    const DataSet& frame = i < static_cast<int64_t>(per_frame.size()) ? per_frame[static_cast<size_t>(i)] : kNone;
    Plane p = base;
    p.frame = i;
    p.position = exactly<3>(group_of(d, frame, 0x00209113).numbers(0x00200032));
    p.orientation = exactly<6>(group_of(d, frame, 0x00209116).numbers(0x00200037));
    p.spacing = exactly<2>(group_of(d, frame, 0x00289110).numbers(0x00280030));
    if (!p.spacing && base.format.frames == 1 && !p.position)
      p.spacing = exactly<2>(d.numbers(0x00181164));  // at the detector
    if (p.spacing && !((*p.spacing)[0] > 0 && (*p.spacing)[1] > 0))
      throw GeometryError(file->path() + ": PixelSpacing (0028,0030) must be positive, found " +
                          short_number((*p.spacing)[0]) + " and " + short_number((*p.spacing)[1]));
    const DataSet& rescale = group_of(d, frame, 0x00289145);
    p.slope = rescale.number(0x00281053).value_or(1);
    p.intercept = rescale.number(0x00281052).value_or(0);
    if (p.slope == 0) throw FormatError(file->path() + ": RescaleSlope (0028,1053) is 0");
    const DataSet& content = group_of(d, frame, 0x00209111);
    p.order = {content.has(0x00209128) ? content.number_if_any(0x00209128) : d.number_if_any(0x00200100),
               d.number_if_any(0x00200012),
               d.number_if_any(0x00180086),
               d.number_if_any(0x00189087),
               d.number_if_any(0x00181060),
               d.number_if_any(0x00080032)};
    if (base.format.frames > 1) p.instance = i;
    out.push_back(std::move(p));
  }
  // NM and RT dose: the frames' places are offsets from the first (GridFrameOffsetVector).
  const auto offsets = d.numbers(0x3004000c);
  if (offsets.size() == out.size() && out.size() > 1 && out.front().position && out.front().orientation) {
    const auto& o = *out.front().orientation;
    const Point normal = cross({o[0], o[1], o[2]}, {o[3], o[4], o[5]});
    for (size_t i = 0; i < out.size(); ++i)
      for (int k = 0; k < 3; ++k) (*out[i].position)[k] += normal[k] * (offsets[i] - offsets[0]);
  }
  return out;
}

Stack arrange(std::vector<Plane> planes, OnProblem on_problem, const std::string& name) {
  const bool one_file =
      std::all_of(planes.begin(), planes.end(), [&](const Plane& p) { return p.file == planes.front().file; });
  const bool nowhere = std::none_of(planes.begin(), planes.end(),
                                    [](const Plane& p) { return p.position.has_value() || p.orientation.has_value(); });
  if (nowhere && one_file) return placeless_stack(std::move(planes), name);
  check_alike(planes, name);

  Stack stack;
  const auto o = *planes.front().orientation;
  const auto spacing = *planes.front().spacing;
  Point row{o[0], o[1], o[2]}, column{o[3], o[4], o[5]}, normal = cross(row, column);
  for (Point* v : {&row, &column, &normal})
    if (const double length = length_of(*v); length > 0)
      for (double& x : *v) x /= length;
  std::vector<Placed> placed;
  for (auto& p : planes) {
    const double distance = dot(*p.position, normal);
    placed.push_back({std::move(p), distance});
  }
  auto places = group_by_place(placed);
  split_volumes(places, stack, on_problem, name);
  stack.slices = static_cast<int64_t>(places.size());
  double step_mm = 0;
  if (stack.slices > 1) {
    step_mm = check_distances(places, stack, on_problem, name);
    check_slip(places, row, column, spacing, stack, on_problem, name);
  } else {
    const Plane& p = places.front().front().plane;
    const DataSet& measures = group_of(p.file->data(), p.file->data().item(0x52009230), 0x00289110);
    step_mm = measures.number_if_any(0x00180050).value_or(0);
    if (!(step_mm > 0)) step_mm = 1;
    stack.problems.push_back("one slice: its thickness, " + short_number(step_mm) + " mm, was taken as the spacing");
  }
  for (int64_t v = 0; v < stack.volumes; ++v)
    for (auto& place : places) stack.planes.push_back(place[static_cast<size_t>(v)].plane);

  std::array<std::array<double, 3>, 3> steps{};
  for (int k = 0; k < 3; ++k)
    steps[0][k] = row[k] * spacing[1], steps[1][k] = column[k] * spacing[0], steps[2][k] = normal[k] * step_mm;
  int64_t depth = stack.slices;
  if (!stack.positions.empty()) depth = std::llround((stack.positions.back() - stack.positions.front()) / step_mm) + 1;
  stack.geometry =
      geometry_from_steps(steps, *stack.planes.front().position,
                          {depth, stack.planes.front().format.rows, stack.planes.front().format.columns}, name);
  return stack;
}

}  // namespace vesalius::io::detail
