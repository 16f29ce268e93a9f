// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <vesalius/core/monitor.h>
#include <vesalius/io/dicom.h>
#include <vesalius/io/read.h>

#include "io/dicom_pixels.h"

namespace vesalius::io::detail {

using Point = std::array<double, 3>;  ///< LPS mm (x, y, z)

/// One 2D image of a series: a file, or a frame of one.
struct Plane {
  std::shared_ptr<const DicomFile> file;
  int64_t frame = 0;
  PixelFormat format;
  std::optional<Point> position;
  std::optional<std::array<double, 6>> orientation;
  std::optional<std::array<double, 2>> spacing;  ///< mm between rows, between columns
  double slope = 1, intercept = 0;
  /// What tells volumes at the same place apart: temporal position, acquisition, echo, trigger, time.
  std::array<std::optional<double>, 6> order;
  int64_t instance = 0;
};

/// The planes of one file. @throws FormatError and others, see pixel_format.
std::vector<Plane> planes_of(const std::shared_ptr<const DicomFile>& file);

/// Planes in the order of a grid.
struct Stack {
  std::vector<Plane> planes;  ///< volume by volume, each along the normal
  int64_t volumes = 1, slices = 1;
  Geometry geometry;
  std::vector<double> positions;  ///< along the normal, where they are uneven and must be interpolated; else empty
  std::array<double, 2> shear{};  ///< pixels (x, y) that slices slip from one to the next: a gantry tilt
  bool placeless = false;         ///< frames in time, or one picture, without a place in the patient
  std::vector<std::string> problems;
  std::string volumes_by;
};

/// Sorts and checks. What makes the geometry wrong is a GeometryError; with OnProblem::warn it is said in `problems` where a
/// sensible reading exists. `name` is the folder or file for messages.
Stack arrange(std::vector<Plane> planes, OnProblem on_problem, const std::string& name);

struct Series {
  SeriesInfo info;
  std::vector<std::shared_ptr<const DicomFile>> files;
};
/// The series in a folder; what is no image is said in `skipped`.
std::vector<Series> scan_folder(const std::string& folder, Monitor* monitor, std::vector<std::string>& skipped);

/// Reads the pixels and makes the image. `extra` problems are added to the stack's.
Image assemble(Stack stack, const ReadOptions& options, const std::string& path, const std::vector<std::string>& extra,
               Monitor* monitor);
Image read_dicom_file(const std::string& path, const ReadOptions& options, Monitor* monitor);
Image read_dicom_folder(const std::string& folder, const ReadOptions& options, Monitor* monitor);
FileInfo dicom_info(const std::string& path, bool folder, Monitor* monitor);

/// Factor from stored PET values to body-weight SUV in g/ml (QIBA's vendor-neutral pseudo-code, 2012).
/// @throws FormatError that lists the tags missing, NotSupported for units that have no such factor.
double suv_factor(const std::vector<Plane>& planes, const std::string& path);

Mask read_dicom_seg(const std::shared_ptr<const DicomFile>& file, const Image* like, const MaskOptions& options);
Mask read_rtstruct(const std::shared_ptr<const DicomFile>& file, const Geometry& grid, const MaskOptions& options);

Metadata dicom_metadata(const DicomFile& file);
double length_of(const Point& v);
Point cross(const Point& a, const Point& b);
double dot(const Point& a, const Point& b);
/// Text of a number for messages: 57.5, not 57.500000.
std::string short_number(double value);

}  // namespace vesalius::io::detail
