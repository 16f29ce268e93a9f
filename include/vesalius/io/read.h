// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <vesalius/core/export.h>
#include <vesalius/core/image.h>
#include <vesalius/core/mask.h>
#include <vesalius/core/monitor.h>

/// Reading images and masks. Every header is checked before a voxel is read: sizes against the file's bytes,
/// finite and invertible geometry, data files inside the header's folder. See docs/io.md.
namespace vesalius::io {

/// What to do where something is wrong and a sensible reading exists all the same (a gantry tilt, a missing slice):
/// refuse with what was found, or read and say it in the metadata ("problems").
enum class OnProblem { error, warn };
/// @throws InvalidArgument unless `text` is "error" or "warn".
VESALIUS_API OnProblem on_problem_from(const std::string& text);

struct ReadOptions {
  std::string series;  ///< DICOM folders: series instance UID, or its end, or the description
  OnProblem on_problem = OnProblem::error;
  bool suv = false;  ///< DICOM PET: body-weight SUV (units "SUVbw") instead of the stored units
};

/// Reads NIfTI-1/2 (.nii, .nii.gz, .hdr/.img), NRRD (.nrrd, .nhdr), MetaImage (.mha, .mhd), PNG, TIFF, JPEG (z = 1), a
/// DICOM file, or a folder that holds a DICOM series. The format is told from the file's contents.
///
/// The voxel type is kept, except that unsigned integers wider than 8 bits become the next wider signed type (torch
/// computes with few operators on them); NIfTI's scale and DICOM's rescale are applied. Several values a voxel, and 4D,
/// give `[c, z, y, x]`.
/// @throws IoError (no such file, no permission), FormatError (what the file says is wrong), GeometryError (singular,
///   sheared, or non-finite geometry; slices that make no grid), NotSupported (a valid file of a kind not served).
VESALIUS_API Image read_image(const std::string& path, const ReadOptions& options = {}, Monitor* monitor = nullptr);

struct MaskOptions {
  std::vector<std::string> rois;  ///< RTSTRUCT: names or numbers of the contours to draw, labelled 1, 2, …; empty: all
  std::vector<std::string> segments;  ///< DICOM-SEG: labels or numbers of the segments to take; empty: all
  ReadOptions reading;
  std::optional<Geometry> grid;  ///< RTSTRUCT: the grid to draw on where `like` isn't given
};

/// Reads labels: any image of whole numbers (floats that are whole numbers too), a DICOM segmentation, or an RTSTRUCT
/// whose contours are drawn on the grid of `like`.
/// @param like the image it belongs to. @throws GeometryError that says by how much, if their grids differ.
VESALIUS_API Mask read_mask(const std::string& path, const Image* like = nullptr, const MaskOptions& options = {},
                            Monitor* monitor = nullptr);

/// What a file says of itself, without its voxels.
struct FileInfo {
  std::string path, format;    ///< "NIfTI-1", "NRRD", "MetaImage", "DICOM", …
  std::string dtype;           ///< as stored, such as "int16"
  std::vector<int64_t> shape;  ///< of the tensor that read_image would give
  Geometry geometry;
  std::vector<std::string> problems;  ///< what is odd but can be read, or why it can't
  Metadata metadata;
};
VESALIUS_API FileInfo info(const std::string& path, Monitor* monitor = nullptr);

}  // namespace vesalius::io
