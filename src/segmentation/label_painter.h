// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include <ATen/core/Tensor.h>

#include <vesalius/segmentation/preprocess.h>

#include "segmentation/resize.h"

namespace vesalius::segmentation {

/// Labels on the geometry as given from planes of logits as they arrive: each row of the result is interpolated when the two
/// planes around it are there, decided and forgotten. Memory: the result and the planes between; neither classes × volume nor
/// the number of classes counts.
class LabelPainter {
 public:
  LabelPainter(const PreprocessTrace& trace, const LabelSet& labels);
  /// `[k, n, y, x]` float32 from plane `first` on, ascending and without gaps.
  void planes(int64_t first, const at::Tensor& logits);
  Mask finish() const;

 private:
  void rows(int64_t z);
  template <class Label>
  void row(int64_t z, int64_t y, std::vector<float>& buffers, Label* out) const;

  PreprocessTrace trace_;
  LabelSet labels_;
  bool regions_;
  int64_t classes_;
  std::vector<int64_t> values_;  ///< what is painted for each class or region
  std::vector<detail::LinearTap> z_, y_, x_;
  at::Tensor window_;    ///< [k, n, y, x] from plane window_first_ on
  int64_t window_first_ = 0, next_row_ = 0;
  at::Tensor out_;
};

}  // namespace vesalius::segmentation
