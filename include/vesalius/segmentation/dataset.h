// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>

#include <vesalius/core/image.h>
#include <vesalius/core/mask.h>
#include <vesalius/core/monitor.h>

/// Datasets to train on: nnU-Net's raw folders, or a plain pair of folders; and what is wrong with them.
namespace vesalius::segmentation {

/// What the numbers of a label map mean (nnU-Net's `labels` in dataset.json). A name stands for one number, or, in
/// region-based training, for several that are learnt together (regions may overlap).
struct VESALIUS_API LabelSet {
  std::vector<std::pair<std::string, std::vector<int64_t>>> labels;  ///< as listed: background, then the others
  std::vector<int64_t> regions_class_order;  ///< the number painted for each region, in the order of painting
  std::optional<int64_t> ignore;             ///< voxels that nobody annotated

  bool has_regions() const;
  /// The numbers that may stand in a label map, ascending, without `ignore`.
  std::vector<int64_t> values() const;
  /// What is learnt, in order: {1}, {2}, … for labels; the sets of numbers for regions. Without the background.
  std::vector<std::vector<int64_t>> foreground() const;
  std::vector<std::string> foreground_names() const;
  /// Output channels of a network: labels with the background, or regions without it.
  int64_t heads() const;

  /// @throws InvalidArgument: no background, gaps between the numbers, an order that doesn't fit the regions.
  void validate() const;
  std::string to_json() const;
  static LabelSet from_json(const std::string& text);
};

struct DatasetCase {
  std::string id;
  std::vector<std::string> images;  ///< one path a channel
  std::string label;                ///< path; empty where there is none
};

/// Something found in a dataset. A case with a fatal problem is never trained on.
struct Problem {
  std::string id;    ///< the case, or empty where it concerns the dataset
  std::string kind;  ///< one word: "unreadable", "shape", "geometry", "nan", "labels", "missing_label", …
  std::string message;
  bool fatal = true;
};

struct VESALIUS_API Dataset {
  std::string name, root;
  std::vector<std::string> channels;  ///< names decide the normalisation: "CT", "MRI", …
  LabelSet labels;
  std::vector<DatasetCase> cases;      ///< sorted by id
  std::vector<DatasetCase> test;       ///< imagesTs, without labels
  std::vector<Problem> file_problems;  ///< found while listing: images without labels, missing channels, …

  /// nnU-Net's raw format (`dataset.json`, `imagesTr`, `labelsTr`; channels `_0000`, …), or a folder with `images/` and
  /// `labels/` of the same file names (one channel each; labels are then named by what `check` finds, or given here).
  /// @param label_names for a plain pair: names of 1, 2, …; empty: every number found is a label of its own.
  /// @throws IoError for no such folder, FormatError for a dataset.json that makes no sense (with what is wrong).
  static Dataset open(const std::string& folder, const std::vector<std::string>& label_names = {},
                      const std::vector<std::string>& channels = {});
};

/// The voxels of one case: image float32 [c, z, y, x], labels int16 [z, y, x] (undefined where there is no label).
struct LoadedCase {
  Image image;
  at::Tensor labels;
};

/// Reads one case. @throws what read_image throws, and GeometryError/ShapeError where its files don't fit.
VESALIUS_API LoadedCase load_case(const DatasetCase& files, Monitor* monitor = nullptr);

/// Everything that is wrong with the dataset, one entry a finding: files that can't be read, shapes and geometry that
/// don't match, NaN, numbers that aren't in `labels`, empty labels, constant images, the same voxels twice, a class absent
/// everywhere, one case alone. Reads every voxel once. What is odd beside the other cases is told and isn't fatal: labels
/// stored as floats, islands, volumes far from the others', images scaled differently, other orientations and spacings, label
/// maps on empty image, equal label maps, images that are nearly the same or mirrored.
/// @param jobs threads; 0 as many as torch uses.
VESALIUS_API std::vector<Problem> check_dataset(const Dataset& dataset, int64_t jobs = 0, Monitor* monitor = nullptr);

}  // namespace vesalius::segmentation
