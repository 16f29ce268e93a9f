// SPDX-License-Identifier: Apache-2.0
#include <vesalius/io/read.h>

#include <filesystem>
#include <functional>
#include <new>

#include <vesalius/core/error.h>

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
    throw FormatError(file.path() + ": not a format that is read: NIfTI, NRRD, MetaImage, PNG, TIFF, JPEG or DICOM; it begins with \"" +
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

}  // namespace

OnProblem on_problem_from(const std::string& text) {
  if (text == "error") return OnProblem::error;
  if (text == "warn") return OnProblem::warn;
  throw InvalidArgument("on_problem must be \"error\" or \"warn\", got \"" + text + "\"");
}

Image read_image(const std::string& path, const ReadOptions& options, Monitor* monitor) {
  return guarded(path, [&] {
    step(monitor, 0, 1, path);
    const FileSource file(path);
    at::Tensor voxels;
    const Header header = read_file(file, &voxels);
    if (options.suv) throw InvalidArgument(path + ": suv=True needs DICOM PET, whose headers hold dose and weight; this is " + header.format);
    step(monitor, 1, 1, path);
    return Image(voxels, header.geometry, finished_metadata(header, path));
  });
}

Mask read_mask(const std::string& path, const Image* like, const MaskOptions& /*options*/, Monitor* monitor) {
  return guarded(path, [&] {
    step(monitor, 0, 1, path);
    const FileSource file(path);
    at::Tensor voxels;
    const Header header = read_file(file, &voxels);
    if (voxels.dim() == 4 && voxels.size(0) == 1) voxels = voxels.select(0, 0);
    Mask mask;
    try {
      mask = Mask::from_image(Image(voxels, header.geometry, finished_metadata(header, path)), header.labels);
    } catch (const TypeMismatch& error) {
      throw TypeMismatch(path + ": " + error.what());
    } catch (const ShapeError& error) {
      throw ShapeError(path + ": " + error.what());
    }
    if (like) mask.geometry().require_same(like->geometry(), "the mask " + path, "the image");
    step(monitor, 1, 1, path);
    return mask;
  });
}

FileInfo info(const std::string& path, Monitor* monitor) {
  return guarded(path, [&] {
    step(monitor, 0, 1, path);
    FileInfo out;
    out.path = path;
    const FileSource file(path);
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
