// SPDX-License-Identifier: Apache-2.0
#include "catch.h"

#include <filesystem>
#include <fstream>
#include <limits>

#include <unistd.h>

#include <ATen/ops/arange.h>

#include <vesalius/core/error.h>
#include <vesalius/io/dicom.h>
#include <vesalius/io/read.h>
#include <vesalius/io/write.h>

using namespace vesalius;
namespace fs = std::filesystem;

namespace {

const std::string kBad = std::string(VESALIUS_TEST_DATA) + "/io/badfiles/";

struct Folder {
  fs::path path = fs::temp_directory_path() / ("vesalius-io-test-" + std::to_string(::getpid()));
  Folder() { fs::create_directories(path); }
  ~Folder() { fs::remove_all(path); }
  std::string operator/(const std::string& name) const { return (path / name).string(); }
};

Image left_handed() {
  Geometry g{{2, 3, 4}, {2.5, 0.7, 0.8}, {-30.125, 12.0, 7.5}};
  const double c = 0.8, s = 0.6;
  g.direction = {{{c, -s, 0}, {s, c, 0}, {0, 0, -1}}};
  return Image(at::arange(24).reshape({2, 3, 4}).to(at::kShort), g);
}

struct Stop : Monitor {
  bool cancelled() override { return true; }
};

}  // namespace

TEST_CASE("images go round through every format", "[invariant]") {
  const Folder folder;
  const Image image = left_handed();
  for (const char* name : {"a.nii", "a.nii.gz", "a.nrrd", "a.mha"}) {
    const std::string path = folder / name;
    io::write_image(image, path);
    const Image back = io::read_image(path);
    CHECK(back.tensor().equal(image.tensor()));
    CHECK(back.tensor().scalar_type() == at::kShort);
    CHECK(back.geometry().difference(image.geometry(), 1e-5) == "");
    CHECK(io::info(path).dtype == "int16");
  }
}

TEST_CASE("masks keep names and are compared with their image", "[mechanics]") {
  const Folder folder;
  const Image image = left_handed();
  const std::string path = folder / "m.nrrd";
  io::write_mask(Mask(image.tensor().gt(5), image.geometry(), {{1, "femur"}}), path);
  CHECK(io::read_mask(path, &image).label_of("femur") == 1);
  Geometry moved = image.geometry();
  moved.origin[1] += 3;
  const Image elsewhere(image.tensor(), moved);
  CHECK_THROWS_AS(io::read_mask(path, &elsewhere), GeometryError);
  CHECK_THROWS_AS(io::write_image(image, folder / "a.what"), InvalidArgument);
  CHECK_THROWS_AS(io::write_image(image, folder / "none/a.nii"), IoError);
}

TEST_CASE("what is wrong with a file has its type", "[oracle: manifest of the bad files]") {
  CHECK_THROWS_AS(io::read_image(kBad + "nifti/bad_truncated.nii"), FormatError);
  CHECK_THROWS_AS(io::read_image(kBad + "nifti/bad_empty.nii"), FormatError);
  CHECK_THROWS_AS(io::read_image(kBad + "nifti/bad_gz_bomb.nii.gz"), FormatError);
  CHECK_THROWS_AS(io::read_image(kBad + "nrrd/bad_dir_singular.nrrd"), GeometryError);
  CHECK_THROWS_AS(io::read_image(kBad + "dicom_series/bad_missing_slice"), GeometryError);
  CHECK_THROWS_AS(io::read_image(kBad + "none.nii"), IoError);
  CHECK_THROWS_AS(io::read_image(kBad + "dicom_series/ok_two_series"), InvalidArgument);
}

TEST_CASE("a series is listed, read, and its reading stopped", "[mechanics]") {
  const std::string folder = kBad + "dicom_series/ok_axial";
  const auto all = io::list_dicom_series(folder);
  REQUIRE(all.size() == 1);
  CHECK((all[0].size == Index3{8, 12, 16}));
  CHECK((io::read_image(folder).geometry().size == all[0].size));
  Stop stop;
  CHECK_THROWS_AS(io::read_image(folder, {}, &stop), Cancelled);
}
