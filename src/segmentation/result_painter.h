// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include <ATen/core/Tensor.h>

#include <vesalius/segmentation/preprocess.h>

#include "segmentation/resize.h"

namespace vesalius::segmentation {

/// What is made of the logits besides labels.
struct PaintOptions {
  int64_t members = 1;  ///< of the ensemble; labels and probabilities are of their mean logits
  bool probabilities = false, entropy = false, disagreement = false;
};

/// Results on the geometry as given from planes of logits as they arrive: each row is interpolated when the two planes around it
/// are there, decided and forgotten. Memory: the results and one plane; neither classes × volume nor the number of classes counts
/// where no probabilities are asked for.
class ResultPainter {
 public:
  ResultPainter(const PreprocessTrace& trace, const LabelSet& labels, const PaintOptions& options = {});
  /// `[members, k, n, y, x]` float32 from plane `first` on, ascending and without gaps; rows (x) contiguous.
  void planes(int64_t first, const at::Tensor& logits);
  Mask finish() const;
  /// `[k, z, y, x]`; `[z, y, x]` in nats; undefined where not asked for.
  const at::Tensor& probabilities() const { return probabilities_; }
  const at::Tensor& entropy() const { return entropy_; }
  const at::Tensor& disagreement() const { return disagreement_; }

 private:
  struct Rows;
  void interpolate(int64_t z, int64_t y, const at::Tensor& logits, Rows& rows) const;
  template <class Label>
  void decide(int64_t z, int64_t y, Rows& rows, Label* out) const;
  void estimate(int64_t z, int64_t y, Rows& rows) const;
  void run(int64_t z, int64_t y, const at::Tensor& logits, Rows& rows) const;

  PreprocessTrace trace_;
  LabelSet labels_;
  PaintOptions options_;
  bool regions_;
  int64_t classes_;
  std::vector<int64_t> values_;  ///< what is painted for each class or region
  std::vector<detail::LinearTap> z_, y_, x_;
  at::Tensor kept_;  ///< [members, k, n, y, x]: planes kept_first_ … seen_ − 1, which later rows need
  int64_t kept_first_ = 0, seen_ = 0, next_row_ = 0;
  at::Tensor out_, probabilities_, entropy_, disagreement_;
};

}  // namespace vesalius::segmentation
