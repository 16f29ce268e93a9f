// SPDX-License-Identifier: Apache-2.0
// JPEG by libjpeg itself: ITK 5.2's reader corrupted the stack on damaged files that the fuzzer found.
#include <cstdio>

#include <csetjmp>

#include <jpeglib.h>

#include <vesalius/core/error.h>

#include "io/pictures.h"

namespace vesalius::io::detail {
namespace {

struct JpegFailure {
  jpeg_error_mgr manager;
  std::jmp_buf back;
  char message[JMSG_LENGTH_MAX];
  long warnings;
};

extern "C" void jpeg_failed(j_common_ptr info) {
  auto* failure = reinterpret_cast<JpegFailure*>(info->err);
  failure->manager.format_message(info, failure->message);
  std::longjmp(failure->back, 1);
}
extern "C" void jpeg_quiet(j_common_ptr) {}
extern "C" void jpeg_warned(j_common_ptr info, int level) {
  auto* failure = reinterpret_cast<JpegFailure*>(info->err);
  if (level >= 0) return;
  if (failure->warnings++ == 0) failure->manager.format_message(info, failure->message);
}

struct JpegFacts {
  unsigned rows, columns, channels;
};

/// Only C below: libjpeg leaves by longjmp, which skips destructors. `pixels` null: the header alone.
/// Returns whether it went well; `failure->message` says why not.
bool jpeg_run(const unsigned char* bytes, unsigned long size, JpegFacts* facts, unsigned char* pixels,
              JpegFailure* failure) {
  jpeg_decompress_struct info{};
  info.err = jpeg_std_error(&failure->manager);
  failure->manager.error_exit = jpeg_failed;
  failure->manager.output_message = jpeg_quiet;
  failure->manager.emit_message = jpeg_warned;
  failure->warnings = 0;
  failure->message[0] = '\0';
  if (setjmp(failure->back)) {
    jpeg_destroy_decompress(&info);
    return false;
  }
  jpeg_create_decompress(&info);
  jpeg_mem_src(&info, const_cast<unsigned char*>(bytes), size);
  jpeg_read_header(&info, TRUE);
  info.out_color_space = info.num_components == 1 ? JCS_GRAYSCALE : info.num_components == 4 ? JCS_CMYK : JCS_RGB;
  jpeg_calc_output_dimensions(&info);
  if (!pixels) {
    facts->rows = info.output_height, facts->columns = info.output_width,
    facts->channels = static_cast<unsigned>(info.output_components);
    jpeg_destroy_decompress(&info);
    return true;
  }
  jpeg_start_decompress(&info);
  if (info.output_height != facts->rows || info.output_width != facts->columns ||
      static_cast<unsigned>(info.output_components) != facts->channels) {
    jpeg_destroy_decompress(&info);
    return false;
  }
  while (info.output_scanline < info.output_height) {
    JSAMPROW row = pixels + size_t{info.output_scanline} * facts->columns * facts->channels;
    jpeg_read_scanlines(&info, &row, 1);
  }
  jpeg_finish_decompress(&info);
  jpeg_destroy_decompress(&info);
  return failure->warnings == 0;  // "premature end of data": grey where tissue was
}

}  // namespace

Header read_jpeg(const FileSource& file, at::Tensor* voxels) {
  const auto& path = file.path();
  std::vector<uint8_t> bytes(static_cast<size_t>(file.size()));
  file.read_at(0, bytes.data(), file.size(), "the picture");
  JpegFacts facts{};
  JpegFailure failure{};
  const auto refuse = [&] {
    throw FormatError(path + ": the JPEG data are damaged or truncated: " + printable(failure.message));
  };
  if (!jpeg_run(bytes.data(), bytes.size(), &facts, nullptr, &failure)) refuse();
  Header header;
  header.format = "JPEG";
  header.layout.size = {1, facts.rows, facts.columns};
  header.layout.interleaved = facts.channels;
  if (header.layout.bytes() < 1 || header.layout.bytes() / 2000 > file.size())
    throw FormatError(path + ": truncated: pixels of " + std::to_string(header.layout.bytes()) +
                      " bytes can't lie in a file of " + std::to_string(file.size()));
  header.geometry.size = header.layout.size;
  header.problems.emplace_back("a picture has no place in a patient: origin 0, spacing 1");
  if (!voxels) return header;
  at::Tensor flat = stored_tensor(header.layout, path);
  if (!jpeg_run(bytes.data(), bytes.size(), &facts, flat.mutable_data_ptr<uint8_t>(), &failure)) refuse();
  *voxels = arranged(flat, header.layout);
  return header;
}

}  // namespace vesalius::io::detail
