// SPDX-License-Identifier: Apache-2.0
#include "catch.h"

#include <filesystem>
#include <fstream>
#include <system_error>

#include <unistd.h>

#include <ATen/ops/add.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/gt.h>

#include <vesalius/core/checksum.h>
#include <vesalius/core/error.h>
#include <vesalius/store/study.h>

using namespace vesalius;
using namespace vesalius::store;
namespace fs = std::filesystem;

namespace {

/// A folder that goes away with the test.
struct Folder {
  fs::path path = fs::temp_directory_path() / ("vesalius-store-" + std::to_string(::getpid()));
  Folder() { fs::create_directories(path); }
  ~Folder() { fs::remove_all(path); }
  std::string study() const { return (path / "study.h5").string(); }
};

Geometry oblique() {
  Geometry g{{4, 5, 6}, {2.5, 0.7, 0.8}, {-30.0, 12.0, 7.0}};
  g.direction = {{{1, 0, 0}, {0, 0.6, -0.8}, {0, -0.8, -0.6}}};
  return g;
}

NewCase example() {
  NewCase content;
  const Image image(at::arange(120).reshape({4, 5, 6}).to(at::kFloat), oblique(), {{"modality", "PT"}});
  content.images["image"] = image;
  content.masks["mask"] = Mask(image.tensor().gt(60), oblique(), {{1, "tumour"}});
  content.clinical = {{"age", int64_t{61}}, {"stage", std::string("II")}, {"unknown", std::monostate{}}};
  content.outcome = {{"time", 412.5}, {"event", true}};
  content.image_sources["image"] = {"/scans/1.nii", "abc"};
  return content;
}

FeatureValues two_features() {
  FeatureValues features;
  features.names = {"stat_mean", "morph_volume"};
  features.codes = {"Q4LE", ""};
  features.values = {1.5, 2.5};
  features.settings_yaml = "bin_width: 25\n";
  features.settings_hash = "abc123";
  return features;
}

}  // namespace

TEST_CASE("a study holds what was put into it", "[invariant]") {
  const Folder folder;
  const NewCase content = example();
  {
    Study study(folder.study());
    study.add({"p/1", ""}, content);
    study.add({"p2", "week 0"}, content);
    study.add_features({"p/1", ""}, two_features());
    Predictions predictions;
    predictions.about = {{"auc", 0.75}};
    predictions.rows = {{{"p/1", ""}, {{"risk", 0.25}}}};
    study.add_predictions("cox", predictions);
    CHECK_THROWS_AS(study.add({"p2", "week 0"}, content), InvalidArgument);
    CHECK_THROWS_AS(Study(folder.study()), IoError);  // locked
  }
  for (const bool repaired : {false, true}) {
    if (repaired) CHECK(repair(folder.study()).empty());
    const Study study(folder.study(), "r");
    const auto cases = study.cases();
    REQUIRE(cases.size() == 2);
    CHECK((cases[1].id == CaseId{"p2", "week 0"}));
    CHECK((cases[0].clinical == Record{{"age", int64_t{61}}, {"stage", std::string("II")}}));
    CHECK((cases[0].outcome == content.outcome));
    CHECK(cases[0].images[0].source.path == "/scans/1.nii");
    const Image& image = content.images.at("image");
    const Image stored = study.image({"p2", ""});
    CHECK(sha256(stored.tensor()) == sha256(image.tensor()));
    CHECK(stored.geometry() == image.geometry());
    CHECK(stored.metadata() == image.metadata());
    CHECK(study.mask({"p/1", ""}).names() == content.masks.at("mask").names());
    REQUIRE(study.feature_sets() == std::vector<std::string>{"abc123"});
    CHECK(study.features("abc123").values == std::vector<double>{1.5, 2.5});
    CHECK(study.features("abc123").codes == std::vector<std::string>{"Q4LE", ""});
    CHECK((study.predictions("cox").about == Record{{"auc", 0.75}}));
    CHECK_THROWS_AS(study.image({"nobody", ""}), InvalidArgument);
    CHECK(verify_in_process(folder.study()).empty());
  }
}

TEST_CASE("a packed study reads as the study", "[invariant]") {
  const Folder folder;
  {
    Study study(folder.study());
    study.add({"a", ""}, example());
    study.add_features({"a", ""}, two_features());
  }
  const std::string packed = (folder.path / "packed.h5").string(), back = (folder.path / "back.h5").string();
  pack(folder.study(), packed);
  unpack(packed, back);
  for (const auto& path : {packed, back}) {
    const Study study(path, "r");
    CHECK(sha256(study.image({"a", ""}).tensor()) == sha256(example().images.at("image").tensor()));
    CHECK(study.features("abc123").values == std::vector<double>{1.5, 2.5});
    CHECK(verify_in_process(path).empty());
  }
  CHECK_THROWS_AS(Study(packed, "a"), NotSupported);
}

TEST_CASE("features are dropped with the voxels they came from", "[mechanics]") {
  const Folder folder;
  Study study(folder.study());
  study.add({"a", ""}, example());
  study.add_features({"a", ""}, two_features());
  study.set_clinical({"a", ""}, {{"age", int64_t{3}}});
  CHECK(study.has_features({"a", ""}, "abc123"));
  NewCase other = example();
  other.images["image"] = Image(other.images["image"].tensor().add(1), oblique());
  study.add({"a", ""}, other, true);
  CHECK_FALSE(study.has_features({"a", ""}, "abc123"));
}

TEST_CASE("bad arguments and files are named", "[mechanics]") {
  const Folder folder;
  Study study(folder.study());
  NewCase shifted = example();
  Geometry g = oblique();
  g.origin[0] += 5;
  shifted.masks["mask"] = Mask(shifted.masks["mask"].tensor(), g);
  CHECK_THROWS_AS(study.add({"a", ""}, shifted), GeometryError);
  CHECK_THROWS_AS(study.add({"", ""}, example()), InvalidArgument);
  CHECK_THROWS_AS(study.add({"a\xff", ""}, example()), InvalidArgument);
  CHECK_THROWS_AS(study.add({"a", ""}, NewCase{}), InvalidArgument);
  study.add({"a", ""}, example());
  FeatureValues features = two_features();
  features.values.pop_back();
  CHECK_THROWS_AS(study.add_features({"a", ""}, features), ShapeError);
  features = two_features();
  features.settings_hash = "../x";
  CHECK_THROWS_AS(study.add_features({"a", ""}, features), InvalidArgument);
  NewCase text = example();
  text.clinical = {{"age", std::string("old")}};
  CHECK_THROWS_AS(study.add({"b", ""}, text), TypeMismatch);
  study.close();
  CHECK_THROWS_AS(study.cases(), InvalidArgument);
  std::ofstream(folder.study(), std::ios::trunc) << "not HDF5";
  CHECK_THROWS_AS(Study(folder.study()), FormatError);
  CHECK_THROWS_AS(Study((folder.path / "none.h5").string(), "r"), IoError);
}

TEST_CASE("names become safe file names", "[mechanics]") {
  const Folder folder;
  Study study(folder.study());
  for (const char* name : {"a/../b", "M\xc3\xbcller", "..", "a.b"}) {
    study.add({name, ""}, example());
    CHECK(study.contains({name, ""}));
  }
  study.add({"a", "b"}, example());  // not the file of "a.b"
  for (const char* file : {"a%2F%2E%2E%2Fb", "M%C3%BCller", "%2E%2E", "a%2Eb", "a.b"})
    CHECK(fs::exists(folder.path / "study.cases" / (std::string(file) + ".h5")));
  for (const char* bad : {"\xc3", "\xc0\x80", "\xed\xa0\x80", "\xf5\x80\x80\x80", "\x80", "a\nb"})
    CHECK_THROWS_AS(study.add({bad, ""}, example()), InvalidArgument);
}

TEST_CASE("no file stays open", "[invariant]") {
  const Folder folder;
  const auto open_files = [] {
    size_t count = 0;
    for (const auto& entry : fs::directory_iterator("/proc/self/fd")) {
      std::error_code code;
      if (fs::read_symlink(entry.path(), code).string().find("vesalius-store-") != std::string::npos) ++count;
    }
    return count;
  };
  {
    Study study(folder.study());
    study.add({"a", ""}, example());
    CHECK_THROWS_AS(study.add({"a", ""}, example()), InvalidArgument);
    study.add_mask({"a", ""}, "more", example().masks["mask"]);
    study.image({"a", ""});
    CHECK(open_files() == 1);  // the lock
  }
  pack(folder.study(), (folder.path / "packed.h5").string());
  CHECK(verify_in_process(folder.study()).empty());
  std::ofstream(folder.path / "study.cases" / "a.h5", std::ios::trunc) << "x";
  CHECK_THROWS_AS(Study(folder.study()).image({"a", ""}), FormatError);
  CHECK(open_files() == 0);
}
