// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <set>

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include <vesalius/core/error.h>

#include "io/dicom_stack.h"

namespace vesalius::io {
namespace detail {
namespace {

constexpr size_t kMostFiles = 100000;

/// The type that holds every rescaled value: whole slopes and intercepts keep whole numbers, as ITK does.
at::ScalarType type_for(const std::vector<Plane>& planes, double factor) {
  const PixelFormat& f = planes.front().format;
  if (f.element == Element::f64) return at::kDouble;
  if (f.element == Element::f32) return at::kFloat;
  double low = 0, top = 0;
  bool whole = factor == 1, plain = factor == 1;
  for (const Plane& p : planes) {
    whole = whole && p.slope == std::round(p.slope) && p.intercept == std::round(p.intercept);
    plain = plain && p.slope == 1 && p.intercept == 0;
    for (const double v : {p.format.low, p.format.top}) {
      low = std::min(low, v * p.slope + p.intercept);
      top = std::max(top, v * p.slope + p.intercept);
    }
  }
  if (plain && low >= 0 && top <= 255) return at::kByte;
  if (whole && low >= -32768 && top <= 32767) return at::kShort;
  if (whole && low >= -2147483648.0 && top <= 2147483647.0) return at::kInt;
  if (plain) return at::kLong;
  return f.allocated > 16 ? at::kDouble : at::kFloat;
}

/// Linear interpolation of `volumes` along z from uneven `positions` to an even grid. Whole numbers are rounded.
at::Tensor interpolate_slices(const at::Tensor& stack, const std::vector<double>& positions, double step_mm,
                              int64_t depth) {
  const int64_t dim = stack.dim() - 3;
  std::vector<int64_t> sizes = stack.sizes().vec();
  sizes[static_cast<size_t>(dim)] = depth;
  at::Tensor out = at::empty(sizes, stack.options());
  const bool whole = !at::isFloatingType(stack.scalar_type());
  size_t i = 0;
  for (int64_t z = 0; z < depth; ++z) {
    const double at_mm = std::min(positions.front() + static_cast<double>(z) * step_mm, positions.back());
    while (i + 2 < positions.size() && positions[i + 1] <= at_mm) ++i;
    const double part = (at_mm - positions[i]) / (positions[i + 1] - positions[i]);
    const at::Tensor a = stack.select(dim, static_cast<int64_t>(i)).to(at::kDouble),
                     b = stack.select(dim, static_cast<int64_t>(i) + 1).to(at::kDouble);
    at::Tensor mixed = a.mul(1 - part).add_(b.mul(part));
    if (whole) mixed = mixed.round_();
    out.select(dim, z).copy_(mixed);
  }
  return out;
}

/// Each slice moved in its plane by `slip` pixels times its number, by bilinear interpolation; outside: the lowest value.
at::Tensor unshear(const at::Tensor& volume, const std::array<double, 2>& slip) {
  const at::Tensor in = volume.to(at::kDouble).contiguous();
  at::Tensor out = at::empty_like(in);
  const int64_t dims = in.dim(), depth = in.size(dims - 3), rows = in.size(dims - 2), columns = in.size(dims - 1),
                volumes = in.numel() / (depth * rows * columns);
  const double outside = in.min().item<double>();
  const auto* from = in.const_data_ptr<double>();
  auto* to = out.mutable_data_ptr<double>();
  for (int64_t s = 0; s < volumes * depth; ++s) {
    const double dx = -slip[0] * static_cast<double>(s % depth), dy = -slip[1] * static_cast<double>(s % depth);
    const double* slice = from + s * rows * columns;
    const auto value = [&](int64_t y, int64_t x) {
      return y < 0 || x < 0 || y >= rows || x >= columns ? outside : slice[y * columns + x];
    };
    for (int64_t y = 0; y < rows; ++y)
      for (int64_t x = 0; x < columns; ++x) {
        const double v = static_cast<double>(y) + dy, u = static_cast<double>(x) + dx, fy = std::floor(v),
                     fx = std::floor(u), py = v - fy, px = u - fx;
        const auto iy = static_cast<int64_t>(fy), ix = static_cast<int64_t>(fx);
        to[(s * rows + y) * columns + x] = (1 - py) * ((1 - px) * value(iy, ix) + px * value(iy, ix + 1)) +
                                           py * ((1 - px) * value(iy + 1, ix) + px * value(iy + 1, ix + 1));
      }
  }
  return (at::isFloatingType(volume.scalar_type()) ? out : out.round_()).to(volume.scalar_type());
}

std::string series_list(const std::vector<Series>& all) {
  std::string out;
  for (const auto& s : all) {
    out += "\n  " + s.info.uid + "  " + s.info.modality + "  " + std::to_string(s.info.files.size()) + " files";
    if (!s.info.description.empty()) out += "  \"" + printable(s.info.description) + "\"";
  }
  return out;
}

bool names(const std::string& wanted, const SeriesInfo& info) {
  return info.uid == wanted || info.description == wanted ||
         (wanted.size() >= 3 && info.uid.size() >= wanted.size() &&
          info.uid.compare(info.uid.size() - wanted.size(), wanted.size(), wanted) == 0);
}

const Series& choose(const std::vector<Series>& all, const std::string& wanted, const std::string& folder) {
  if (wanted.empty()) {
    if (all.size() == 1) return all.front();
    throw InvalidArgument(
        folder + ": holds " + std::to_string(all.size()) +
        " DICOM series; choose one by series= (its UID, the UID's end, or its description):" + series_list(all));
  }
  const Series* found = nullptr;
  for (const auto& s : all)
    if (names(wanted, s.info)) {
      if (found)
        throw InvalidArgument(folder + ": series \"" + wanted + "\" names several; there are:" + series_list(all));
      found = &s;
    }
  if (!found) throw InvalidArgument(folder + ": no DICOM series \"" + wanted + "\"; there are:" + series_list(all));
  return *found;
}

std::vector<Plane> planes_of_all(const std::vector<std::shared_ptr<const DicomFile>>& files) {
  std::vector<Plane> out;
  for (const auto& file : files)
    for (auto& p : planes_of(file)) out.push_back(std::move(p));
  return out;
}

/// Fills what can be known without pixels; what is wrong becomes a problem instead of an error.
void describe(Series& series) {
  try {
    const Stack stack = arrange(planes_of_all(series.files), OnProblem::warn, series.info.uid);
    series.info.size = stack.geometry.size;
    series.info.spacing = stack.geometry.spacing;
    series.info.time_points = stack.volumes;
    series.info.problems = stack.problems;
    std::vector<std::string> sorted;
    for (int64_t i = 0; i < (stack.placeless ? 1 : stack.slices); ++i)
      if (sorted.empty() || sorted.back() != stack.planes[static_cast<size_t>(i)].file->path())
        sorted.push_back(stack.planes[static_cast<size_t>(i)].file->path());
    if (sorted.size() == series.info.files.size()) series.info.files = sorted;
  } catch (const Error& error) {
    std::string message = error.what();
    if (message.compare(0, series.info.uid.size() + 2, series.info.uid + ": ") == 0)
      message.erase(0, series.info.uid.size() + 2);
    series.info.problems.push_back(message);
  }
}

}  // namespace

Metadata dicom_metadata(const DicomFile& file) {
  // No name, number, or date of a patient: what tells the image, not who it is of.
  static const std::pair<uint32_t, const char*> kTags[] = {{0x00080060, "modality"},
                                                           {0x0008103e, "series_description"},
                                                           {0x0020000e, "series_uid"},
                                                           {0x00200052, "frame_of_reference_uid"},
                                                           {0x00080070, "manufacturer"},
                                                           {0x00081090, "model"},
                                                           {0x00180015, "body_part"},
                                                           {0x00180050, "slice_thickness"},
                                                           {0x00180060, "kvp"},
                                                           {0x00181210, "convolution_kernel"},
                                                           {0x00180080, "repetition_time"},
                                                           {0x00180081, "echo_time"},
                                                           {0x00180087, "magnetic_field_strength"},
                                                           {0x00180020, "scanning_sequence"},
                                                           {0x00280004, "photometric"}};
  Metadata out;
  for (const auto& [tag, name] : kTags)
    if (const std::string value = file.data().text(tag); !value.empty()) out[name] = value;
  const std::string type = file.data().text(0x00281054), units = file.data().text(0x00541001);
  if (!units.empty())
    out["units"] = units;
  else if (!type.empty() && type != "US")
    out["units"] = type;
  else if (out["modality"] == "CT" && file.data().has(0x00281053))
    out["units"] = "HU";
  return out;
}

std::vector<Series> scan_folder(const std::string& folder, Monitor* monitor, std::vector<std::string>& skipped) {
  namespace fs = std::filesystem;
  std::error_code failed;
  if (!fs::is_directory(folder, failed)) throw IoError(folder + ": there is no such folder");
  std::vector<std::string> paths;
  for (fs::directory_iterator it(folder, failed), end; !failed && it != end; it.increment(failed)) {
    if (it->is_regular_file(failed)) paths.push_back(it->path().string());
    if (paths.size() > kMostFiles) throw NotSupported(folder + ": more than " + std::to_string(kMostFiles) + " files");
  }
  if (failed) throw IoError(folder + ": can't be listed: " + failed.message());
  std::sort(paths.begin(), paths.end());
  std::vector<Series> out;
  for (size_t i = 0; i < paths.size(); ++i) {
    step(monitor, static_cast<int64_t>(i), static_cast<int64_t>(paths.size()), paths[i]);
    const std::string name = fs::path(paths[i]).filename().string();
    try {
      if (!looks_like_dicom(FileSource(paths[i]).head(132))) {
        skipped.push_back(name + " (not DICOM)");
        continue;
      }
      const auto file = std::make_shared<const DicomFile>(paths[i]);
      const std::string modality = file->data().text(0x00080060);
      if (!file->has_pixels() || modality == "SEG") {
        skipped.push_back(name + " (DICOM " + (modality.empty() ? "without pixels" : printable(modality)) + ")");
        continue;
      }
      pixel_format(*file);  // a truncated copy is no slice
      const std::string uid = file->data().text(0x0020000e);
      auto found = std::find_if(out.begin(), out.end(), [&](const Series& s) { return s.info.uid == uid; });
      if (found == out.end()) {
        out.push_back({{uid, file->data().text(0x0008103e), modality, {}, {0, 0, 0}, {0, 0, 0}, 1, {}}, {}});
        found = out.end() - 1;
      }
      found->info.files.push_back(paths[i]);
      found->files.push_back(file);
    } catch (const Cancelled&) {
      throw;
    } catch (const Error& error) {
      std::string why = error.what();
      if (why.compare(0, paths[i].size() + 2, paths[i] + ": ") == 0) why.erase(0, paths[i].size() + 2);
      skipped.push_back(name + " (" + why + ")");
    }
  }
  if (out.empty()) {
    std::string list;
    for (size_t i = 0; i < skipped.size() && i < 5; ++i) list += (i ? ", " : "") + skipped[i];
    throw FormatError(folder + ": holds no DICOM image" +
                      (list.empty() ? ": the folder has no files"
                                    : "; found " + std::to_string(skipped.size()) + " other files: " + list));
  }
  step(monitor, static_cast<int64_t>(paths.size()), static_cast<int64_t>(paths.size()), folder);
  return out;
}

Image assemble(Stack stack, const ReadOptions& options, const std::string& path, const std::vector<std::string>& extra,
               Monitor* monitor) {
  const PixelFormat& f = stack.planes.front().format;
  const double factor = options.suv ? suv_factor(stack.planes, path) : 1;
  const auto count = static_cast<int64_t>(stack.planes.size());
  const at::ScalarType type = options.suv ? at::kFloat : type_for(stack.planes, factor);
  const int64_t total =
      checked_product(checked_product(count, f.frame_values()), static_cast<int64_t>(c10::elementSize(type)));
  if (total < 0) throw FormatError(path + ": the sizes make no number of bytes");
  at::Tensor voxels = at::empty({count, f.rows, f.columns, f.samples}, at::TensorOptions().dtype(type));
  const DicomFile* open = nullptr;
  at::Tensor frames;
  for (int64_t i = 0; i < count; ++i) {
    const Plane& p = stack.planes[static_cast<size_t>(i)];
    step(monitor, i, count, p.file->path());
    if (p.file.get() != open) frames = decode_frames(*p.file, p.format), open = p.file.get();
    const at::Tensor stored = frames.select(0, p.frame);
    if (p.slope == 1 && p.intercept == 0 && factor == 1)
      voxels.select(0, i).copy_(stored);
    else
      voxels.select(0, i).copy_(stored.to(at::kDouble).mul_(p.slope).add_(p.intercept).mul_(factor));
  }
  // [volume · slice, y, x, sample] → [volume · sample, z, y, x], or [z, y, x] of one volume of one sample.
  const int64_t volumes = stack.volumes, slices = count / volumes;
  if (f.samples == 1 && volumes == 1)
    voxels = voxels.view({slices, f.rows, f.columns});
  else
    voxels = voxels.view({volumes, slices, f.rows, f.columns, f.samples})
                 .permute({0, 4, 1, 2, 3})
                 .contiguous()
                 .view({volumes * f.samples, slices, f.rows, f.columns});
  if (stack.shear[0] != 0 || stack.shear[1] != 0) voxels = unshear(voxels, stack.shear);
  if (!stack.positions.empty())
    voxels = interpolate_slices(voxels, stack.positions, stack.geometry.spacing[0], stack.geometry.size[0]);

  const DicomFile& first = *stack.planes.front().file;
  Header header;
  header.format = "DICOM";
  header.layout.element = f.element;
  header.metadata = dicom_metadata(first);
  header.problems = stack.problems;
  if (f.photometric == "MONOCHROME1")
    header.problems.emplace_back("MONOCHROME1: low values are to be shown bright; values are as stored");
  if (first.data().has(0x00280120)) {
    if (const auto padding = first.data().number(0x00280120)) {
      const double stored = f.is_signed && *padding > 32767 && f.allocated == 16 ? *padding - 65536 : *padding;
      header.metadata["padding_value"] =
          short_number(stored * stack.planes.front().slope + stack.planes.front().intercept);
      header.problems.push_back("pixels of value " + header.metadata["padding_value"] + " are padding, not tissue");
    }
  }
  if (!stack.volumes_by.empty()) header.metadata["volumes_by"] = stack.volumes_by;
  if (options.suv) header.metadata["units"] = "SUVbw";
  header.problems.insert(header.problems.end(), extra.begin(), extra.end());
  step(monitor, count, count, path);
  return Image(voxels, stack.geometry, finished_metadata(header, path));
}

Image read_dicom_file(const std::string& path, const ReadOptions& options, Monitor* monitor) {
  const auto file = std::make_shared<const DicomFile>(path);
  return assemble(arrange(planes_of(file), options.on_problem, path), options, path, {}, monitor);
}

Image read_dicom_folder(const std::string& folder, const ReadOptions& options, Monitor* monitor) {
  std::vector<std::string> skipped;
  const auto all = scan_folder(folder, monitor, skipped);
  const Series& series = choose(all, options.series, folder);
  Stack stack = arrange(planes_of_all(series.files), options.on_problem, folder);
  std::vector<std::string> extra;
  if (!skipped.empty()) {
    std::string list;
    for (size_t i = 0; i < skipped.size() && i < 10; ++i) list += (i ? ", " : "") + skipped[i];
    extra.push_back("skipped " + std::to_string(skipped.size()) + " files of the folder: " + list);
  }
  return assemble(std::move(stack), options, folder, extra, monitor);
}

FileInfo dicom_info(const std::string& path, bool folder, Monitor* monitor) {
  FileInfo out;
  out.path = path;
  out.format = "DICOM";
  std::vector<std::shared_ptr<const DicomFile>> files;
  std::vector<std::string> skipped;
  if (folder) {
    const auto all = scan_folder(path, monitor, skipped);
    for (const auto& s : all)
      if (all.size() > 1)
        out.problems.push_back("series " + s.info.uid + " " + s.info.modality + " " +
                               std::to_string(s.info.files.size()) + " files \"" + printable(s.info.description) +
                               "\"");
    files = all.front().files;
  } else {
    files.push_back(std::make_shared<const DicomFile>(path));
  }
  out.metadata = dicom_metadata(*files.front());
  if (!files.front()->has_pixels()) return out;
  try {
    const Stack stack = arrange(planes_of_all(files), OnProblem::warn, path);
    const PixelFormat& f = stack.planes.front().format;
    out.geometry = stack.geometry;
    out.dtype = name_of(f.element);
    out.shape.assign(stack.geometry.size.begin(), stack.geometry.size.end());
    if (stack.volumes * f.samples > 1) out.shape.insert(out.shape.begin(), stack.volumes * f.samples);
    out.problems.insert(out.problems.end(), stack.problems.begin(), stack.problems.end());
  } catch (const GeometryError& error) {
    out.problems.emplace_back(error.what());
  }
  for (const auto& s : skipped) out.problems.push_back("skipped " + s);
  return out;
}

}  // namespace detail

std::vector<SeriesInfo> list_dicom_series(const std::string& folder, Monitor* monitor,
                                          std::vector<std::string>* skipped) {
  std::vector<std::string> others;
  auto all = detail::scan_folder(folder, monitor, others);
  std::vector<SeriesInfo> out;
  for (auto& series : all) {
    detail::describe(series);
    out.push_back(series.info);
  }
  if (skipped) *skipped = others;
  return out;
}

}  // namespace vesalius::io
