// SPDX-License-Identifier: Apache-2.0
#include <vesalius/io/read.h>

#include <filesystem>
#include <functional>
#include <new>

#include <vesalius/core/error.h>

#include "io/dicom_stack.h"
#include "io/pictures.h"
#include "io/voxels.h"

namespace vesalius::io {
namespace {

using namespace detail;

/// The header of a file that isn't DICOM, and its voxels if asked for.
Header read_file(const FileSource& file, at::Tensor* voxels) {
  auto head = file.head(1024);
  Header header;
  if (looks_like_nrrd(head)) {
    header = read_nrrd_header(file);
  } else if (looks_like_picture(head)) {
    return read_picture(file, voxels);
  } else if (looks_like_metaimage(head)) {
    header = read_metaimage_header(file);
  } else if (is_gzip(head) || looks_like_nifti(head)) {
    header = read_nifti_header(file);
  } else {
    throw FormatError(
        file.path() +
        ": not a format that is read: NIfTI, NRRD, MetaImage, PNG, TIFF, JPEG or DICOM; it begins with \"" +
        printable(std::string(head.begin(), head.begin() + std::min<size_t>(head.size(), 16))) + "\"");
  }
  if (voxels) *voxels = load_voxels(header);
  return header;
}

/// Whatever goes wrong below comes out as one of our errors: nothing else may reach a caller.
template <class Work>
auto guarded(const std::string& path, Work&& work) {
  try {
    return work();
  } catch (const Error&) {
    throw;
  } catch (const std::bad_alloc&) {
    throw IoError(path + ": not enough memory to read it");
  } catch (const std::filesystem::filesystem_error& error) {
    throw IoError(path + ": " + error.code().message());
  }
}

bool is_folder(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::is_directory(path, ignored);
}

bool is_dicom(const FileSource& file) {
  const auto head = file.head(132);
  return looks_like_dicom(head) && !looks_like_nifti(head);
}

Mask image_as_mask(const Image& image, const std::map<int64_t, std::string>& names, const Image* like,
                   const std::string& path) {
  const bool single = image.tensor().dim() == 4 && image.channels() == 1;
  try {
    const Mask mask = Mask::from_image(single ? image.with_tensor(image.tensor().select(0, 0)) : image, names);
    if (like) mask.geometry().require_same(like->geometry(), "the mask " + path, "the image");
    return mask;
  } catch (const TypeMismatch& error) {
    throw TypeMismatch(path + ": " + error.what());
  } catch (const ShapeError& error) {
    throw ShapeError(path + ": " + error.what());
  }
}

Mask read_dicom_mask(const std::string& path, const Image* like, const MaskOptions& options, Monitor* monitor) {
  const auto file = std::make_shared<const DicomFile>(path);
  const std::string modality = file->data().text(0x00080060);
  if (modality == "SEG") return read_dicom_seg(file, like, options);
  if (modality == "RTSTRUCT") {
    if (!like && !options.grid)
      throw InvalidArgument(path +
                            ": an RTSTRUCT holds contours: pass like= the image on whose grid they are to be drawn");
    return read_rtstruct(file, like ? like->geometry() : *options.grid, options);
  }
  return image_as_mask(read_dicom_file(path, options.reading, monitor), {}, like, path);
}

}  // namespace

OnProblem on_problem_from(const std::string& text) {
  if (text == "error") return OnProblem::error;
  if (text == "warn") return OnProblem::warn;
  throw InvalidArgument("on_problem must be \"error\" or \"warn\", got \"" + text + "\"");
}

Image read_image(const std::string& path, const ReadOptions& options, Monitor* monitor) {
  return guarded(path, [&] {
    if (is_folder(path)) return read_dicom_folder(path, options, monitor);
    step(monitor, 0, 1, path);
    const FileSource file(path);
    if (is_dicom(file)) return read_dicom_file(path, options, monitor);
    at::Tensor voxels;
    const Header header = read_file(file, &voxels);
    if (options.suv)
      throw InvalidArgument(path + ": suv=True needs DICOM PET, whose headers hold dose and weight; this is " +
                            header.format);
    step(monitor, 1, 1, path);
    return Image(voxels, header.geometry, finished_metadata(header, path));
  });
}

Mask read_mask(const std::string& path, const Image* like, const MaskOptions& options, Monitor* monitor) {
  return guarded(path, [&] {
    if (is_folder(path)) return image_as_mask(read_dicom_folder(path, options.reading, monitor), {}, like, path);
    step(monitor, 0, 1, path);
    const FileSource file(path);
    if (is_dicom(file)) return read_dicom_mask(path, like, options, monitor);
    if (!options.rois.empty() || !options.segments.empty())
      throw InvalidArgument(path +
                            ": roi= and segment= choose in RTSTRUCT and DICOM-SEG; this is another format. Choose "
                            "labels by mask.select(label)");
    at::Tensor voxels;
    const Header header = read_file(file, &voxels);
    step(monitor, 1, 1, path);
    return image_as_mask(Image(voxels, header.geometry, finished_metadata(header, path)), header.labels, like, path);
  });
}

FileInfo info(const std::string& path, Monitor* monitor) {
  return guarded(path, [&] {
    if (is_folder(path)) return dicom_info(path, true, monitor);
    step(monitor, 0, 1, path);
    FileInfo out;
    out.path = path;
    const FileSource file(path);
    if (is_dicom(file)) return dicom_info(path, false, monitor);
    const Header header = read_file(file, nullptr);
    out.format = header.format;
    out.dtype = name_of(header.layout.element);
    out.shape = header.shape();
    out.geometry = header.geometry;
    out.problems = header.problems;
    out.metadata = finished_metadata(header, path);
    step(monitor, 1, 1, path);
    return out;
  });
}

}  // namespace vesalius::io
