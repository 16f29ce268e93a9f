// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <vesalius/core/export.h>
#include <vesalius/core/image.h>
#include <vesalius/core/mask.h>

/// The study: a cohort's images, masks, tables, features and predictions with where they came from, in HDF5.
/// `docs/study-format.md` describes the files field by field, `docs/adr/0001-study-writes.md` how they are written.
namespace vesalius::store {

/// A cell of a clinical or outcome table; monostate is "not known".
using Value = std::variant<std::monostate, bool, int64_t, double, std::string>;
/// Named values, in order.
using Record = std::vector<std::pair<std::string, Value>>;

/// One examination: a subject, and which one where there are several. An empty time point is a cross-sectional study's.
struct VESALIUS_API CaseId {
  std::string subject;
  std::string time_point;
  bool operator==(const CaseId&) const = default;
};

/// The file that voxels were read from.
struct VESALIUS_API Source {
  std::string path;
  std::string sha256;
};

/// What is stored under one name of a case, without its voxels.
struct VESALIUS_API VoxelInfo {
  std::string name;
  std::string sha256;   ///< of the voxels, as `vesalius::sha256(tensor)`
  std::string content;  ///< SHA-256 of voxels and geometry: what features depend on
  std::string dtype;
  std::vector<int64_t> shape;
  Source source;
};

/// A case as the index knows it.
struct VESALIUS_API CaseInfo {
  CaseId id;
  std::string key;       ///< name of its group in the index and of its file
  std::string added;     ///< ISO 8601, UTC
  std::string software;  ///< what wrote it
  std::vector<VoxelInfo> images, masks;
  Record clinical, outcome;
};

/// What a new case holds; images and masks by name ("image" and "mask" where there is one).
struct VESALIUS_API NewCase {
  std::map<std::string, Image> images;
  std::map<std::string, Mask> masks;
  Record clinical, outcome;
  std::map<std::string, Source> image_sources, mask_sources;
};

/// Features of one case under one group of settings. `codes` are the catalogue's (IBSI), "" where there is none.
struct VESALIUS_API FeatureValues {
  std::vector<std::string> names, codes;
  std::vector<double> values;
  std::string settings_yaml, settings_hash;
  std::string image = "image", mask = "mask";  ///< the names they were computed from
  int64_t label = 1;
};

/// All features of a study that were made with the same settings: rows are cases, columns features.
struct VESALIUS_API FeatureTable {
  std::string set;  ///< its group's name: the settings' hash, and image, mask and label where they are not the default
  std::string settings_yaml, settings_hash, image, mask;
  int64_t label = 1;
  std::vector<std::string> names, codes;
  std::vector<CaseId> cases;
  std::vector<double> values;                   ///< row by row; NaN where a case lacks a feature
  std::vector<std::string> computed, software;  ///< a case: when, by what
};

/// A model's predictions: values by case.
struct VESALIUS_API Predictions {
  Record about;  ///< of the model: anything worth keeping
  std::vector<std::pair<CaseId, Record>> rows;
};

/// A study on disk: `study.h5`, the index, and one file a case in `study.cases/`.
///
/// Every change is on disk when the call returns; a process killed at any moment leaves a study that opens with every
/// change that was reported done. One writer at a time, by a lock that ends with its process; any number of readers,
/// which see the study as it was when they opened it. Safe to use from several threads.
class VESALIUS_API Study {
 public:
  /// @param mode "r" reads, "a" reads and writes and makes a study where there is none, "w" starts it anew.
  /// @throws IoError: there is none ("r"), another writer holds it, the disk refuses.
  /// @throws FormatError: not a study, or cut off; says how to repair. NotSupported: of a newer format version.
  explicit Study(const std::string& path, const std::string& mode = "a");
  ~Study();
  Study(Study&&) noexcept;
  Study& operator=(Study&&) noexcept;

  /// Writes what a batch still holds and lets the lock go. Later calls throw InvalidArgument.
  void close();
  bool closed() const;
  std::string path() const;
  std::string mode() const;
  bool packed() const;

  /// @throws InvalidArgument: the case is there already and `overwrite` is false, a name is unfit, nothing is given;
  ///   GeometryError: a mask lies on another grid than the case's images; TypeMismatch: a column changes its kind.
  void add(const CaseId& id, const NewCase& content, bool overwrite = false);
  /// One more image or mask of a case that is there.
  void add_image(const CaseId& id, const std::string& name, const Image& image, const Source& source = {},
                 bool overwrite = false);
  void add_mask(const CaseId& id, const std::string& name, const Mask& mask, const Source& source = {},
                bool overwrite = false);
  /// Sets the named columns; the others stay.
  void set_clinical(const CaseId& id, const Record& values);
  void set_outcome(const CaseId& id, const Record& values);
  /// Takes a case out of the study and its files off the disk.
  void remove(const CaseId& id);

  std::vector<CaseInfo> cases() const;
  bool contains(const CaseId& id) const;
  /// The voxels are compared with their checksum unless `verify` is false.
  /// @throws InvalidArgument that lists what there is; FormatError for a file that is cut off or was changed.
  Image image(const CaseId& id, const std::string& name = "image", bool verify = true) const;
  Mask mask(const CaseId& id, const std::string& name = "mask", bool verify = true) const;

  /// Replaces what the case had under these settings.
  void add_features(const CaseId& id, const FeatureValues& features);
  /// Whether the case has features of this set, made from the image and mask that it holds now.
  bool has_features(const CaseId& id, const std::string& set) const;
  std::vector<std::string> feature_sets() const;
  FeatureTable features(const std::string& set) const;
  /// The name of the set that `add_features` would write to.
  static std::string feature_set(const FeatureValues& features);

  void add_predictions(const std::string& name, const Predictions& predictions, bool overwrite = false);
  std::vector<std::string> prediction_names() const;
  Predictions predictions(const std::string& name) const;

  /// Between these the cases are written one by one as always and the index once, at the end: for adding many.
  /// They nest. A reader, or the next writer after a kill, finds the cases all the same.
  void begin_batch();
  void end_batch();

  /// "created", "modified", "software", "format_version".
  std::map<std::string, std::string> provenance() const;
  /// Case files that could not be read when the index had to be rebuilt at opening; "" where all was well.
  std::vector<std::string> problems() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Makes the index anew from the case files; predictions are kept where the old index can still be read.
/// @returns what could not be taken over, one sentence each.
VESALIUS_API std::vector<std::string> repair(const std::string& path);

/// One file that holds everything, for moving: read it as any study; `unpack` it to write to it.
/// @throws InvalidArgument if `out` exists.
VESALIUS_API void pack(const std::string& path, const std::string& out);
VESALIUS_API void unpack(const std::string& packed, const std::string& out);

/// What is wrong with a study, one sentence each: version, links that lead elsewhere, storage outside the files,
/// tables that contradict each other, checksums. In this process: for a stranger's study use Python's
/// `vesalius.store.verify` or `vesalius verify`, which run it in a process of its own.
VESALIUS_API std::vector<std::string> verify_in_process(const std::string& path);

}  // namespace vesalius::store
