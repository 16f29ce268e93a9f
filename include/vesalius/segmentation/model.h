// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <vesalius/core/image.h>
#include <vesalius/core/mask.h>
#include <vesalius/core/monitor.h>
#include <vesalius/core/settings.h>

namespace vesalius::segmentation {

enum class Method { threshold, otsu, percent_of_maximum, contrast_threshold };
/// What is kept of the voxels that the method finds: everything, the largest component, or the components that hold a voxel of
/// the region given to `predict`.
enum class Keep { all, largest, touching };

VESALIUS_API std::string to_string(Method method);
VESALIUS_API void from_string(const std::string& text, Method& out);
VESALIUS_API std::string to_string(Keep keep);
VESALIUS_API void from_string(const std::string& text, Keep& out);

/// `plan.yaml` of a bundle: one flat mapping. Every field has a default but `method`, which a bundle must name.
struct Plan {
  int64_t version = 1;
  std::string name = "model";
  Method method = Method::percent_of_maximum;
  double lower = 0.0;                                      ///< threshold: lower ≤ x
  double upper = std::numeric_limits<double>::infinity();  ///< threshold: x ≤ upper
  int64_t bins = 256;                                      ///< otsu
  double fraction = 0.41;                                  ///< percent_of_maximum
  double mean_weight = 0.15;                               ///< contrast_threshold
  double background_weight = 1.0;
  double shell_inner_mm = 10.0;
  double shell_outer_mm = 20.0;
  double smoothing_mm = 0.0;                                  ///< Gaussian's standard deviation, before the method
  double limit_mm = std::numeric_limits<double>::infinity();  ///< no voxel further from the region is taken
  double opening_mm = 0.0;                                    ///< ball's radius, after the method
  Keep keep = Keep::all;
  int64_t connectivity = 6;
  bool fill_holes = false;
  std::vector<std::string> labels{"lesion"};  ///< the name of label 1

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("version", self.version);
    field("name", self.name);
    field("method", self.method);
    field("lower", self.lower);
    field("upper", self.upper);
    field("bins", self.bins);
    field("fraction", self.fraction);
    field("mean_weight", self.mean_weight);
    field("background_weight", self.background_weight);
    field("shell_inner_mm", self.shell_inner_mm);
    field("shell_outer_mm", self.shell_outer_mm);
    field("smoothing_mm", self.smoothing_mm);
    field("limit_mm", self.limit_mm);
    field("opening_mm", self.opening_mm);
    field("keep", self.keep);
    field("connectivity", self.connectivity);
    field("fill_holes", self.fill_holes);
    field("labels", self.labels);
  }

  /// @throws InvalidArgument that names the first field that makes no sense.
  VESALIUS_API void validate() const;
};

class NetworkModel;
struct NetworkPlan;

/// How a network predicts. The classical methods take none of it.
struct PredictOptions {
  bool mirroring = true;              ///< the mean over the plan's flips (8 in 3D)
  double step = 0.0;                  ///< of the patch; 0: the plan's
  int64_t batch = 0;                  ///< tiles at once; 0: one on the CPU, two elsewhere
  std::string precision = "float32";  ///< float32, bfloat16, float16
  std::string device = "cpu";         ///< where the network runs
  std::vector<std::string> devices;   ///< several, each with a thread of its own; empty: `device`
  bool skip_background = false;       ///< tiles of one constant value aren't computed: they are background
  std::vector<std::string> folds;     ///< empty: all of them
  bool probabilities = false, entropy = false, disagreement = false;  ///< what is wanted besides the mask
};

struct Prediction {
  Mask mask;
  std::optional<Image> probabilities;  ///< float32 [classes or regions, z, y, x]
  std::optional<Image> entropy;        ///< nats [z, y, x]: −Σ p log p; of regions the mean of each one's
  std::optional<Image> disagreement;   ///< nats: the entropy of the folds' mean less the mean of their entropies
};

/// A segmentation model on disk is a folder, a *bundle*: `plan.yaml` (what is done, flat YAML), `card.md` (for people) and, for a
/// network, its weights. Nothing in a bundle of safetensors is ever executed; TorchScript and AOTInductor bundles are programs,
/// run only when `load` is told to trust them.
class VESALIUS_API Model {
 public:
  /// @throws InvalidArgument for a plan that makes no sense.
  explicit Model(Plan plan, std::string card = "");
  /// A network: tensors of each fold, named as the network's state dict. @param previous a cascade's stage before.
  /// @throws InvalidArgument for the plan, FormatError for missing, extra or misshapen weights.
  Model(NetworkPlan plan, std::map<std::string, std::map<std::string, at::Tensor>> weights, std::string card = "",
        const Model* previous = nullptr);

  /// @param trusted whether a bundle may hold a program (TorchScript, AOTInductor).
  /// @throws IoError when there is no such folder; FormatError for a plan that isn't there, isn't flat YAML, has unknown or
  ///   impossible fields, and for weights that don't fit it (with the file's name); NotSupported for a later version, and for a
  ///   program in a bundle that isn't trusted.
  static Model load(const std::string& bundle, bool trusted = false);
  /// Writes plan.yaml, card.md and weights, each as a whole (temporary file, then renamed).
  /// @param precision of the weights on disk, "float32", "float16" or "bfloat16"; `load` widens them to float32 again. float16
  ///   halves the file and keeps 11 bits of each weight.
  /// @throws IoError; InvalidArgument for a precision unknown, or where float16 can't hold a weight.
  void save(const std::string& bundle, const std::string& precision = "float32") const;

  /// The mask on the image's grid. With a region (its voxels that aren't 0) a classical method starts from it: statistics
  /// are taken there, and `keep: touching` needs it.
  /// @throws as the method; GeometryError when the region lies on another grid; InvalidArgument for a network with a region.
  Mask predict(const Image& image, const Mask* region = nullptr) const;
  /// Preprocessing, tiles, folds, export on the image's geometry; memory for logits is a patch high, not the volume's.
  /// @throws ShapeError for another number of channels, InvalidArgument for NaN and for options that make no sense, Cancelled.
  Prediction predict(const Image& image, const PredictOptions& options, Monitor* monitor = nullptr) const;
  /// Mean logits of the folds `[k, z, y, x]` on the prepared (cropped, resampled, transposed) grid.
  at::Tensor logits(const Image& image, const PredictOptions& options, Monitor* monitor = nullptr) const;

  bool has_network() const { return network_ != nullptr; }
  /// @throws InvalidArgument for a classical model.
  const NetworkPlan& network_plan() const;
  /// Tensors of each fold. @throws as `network_plan`.
  const std::map<std::string, std::map<std::string, at::Tensor>>& weights() const;
  const Plan& plan() const { return plan_; }
  const std::string& card() const { return card_; }

 private:
  Plan plan_;
  std::string card_;
  std::shared_ptr<const NetworkModel> network_;
};

}  // namespace vesalius::segmentation
