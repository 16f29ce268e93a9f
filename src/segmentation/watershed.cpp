// SPDX-License-Identifier: Apache-2.0
#include <vesalius/segmentation/region.h>

#include <itkMorphologicalWatershedFromMarkersImageFilter.h>

#include <vesalius/core/error.h>

#include "image/itk_adapter.h"
#include "segmentation/checks.h"

namespace vesalius::segmentation {

Mask watershed(const Image& relief, const Mask& markers, int64_t connectivity) {
  namespace adapter = image::detail;
  if (connectivity != 6 && connectivity != 26)
    throw InvalidArgument("watershed: connectivity is 6 (faces) or 26 (corners too); got " +
                          std::to_string(connectivity));
  const at::Tensor heights = detail::finite_voxels("watershed", relief).to(at::kFloat).contiguous();
  detail::region_voxels("watershed", relief, markers);  // on the grid, and not empty
  const at::Tensor labels = markers.tensor().cpu().to(at::kInt).contiguous();

  using Relief = adapter::ItkImage<float>;
  using Labels = adapter::ItkImage<int32_t>;
  const auto relief_view = adapter::itk_view<float>(heights, relief.geometry());
  const auto label_view = adapter::itk_view<int32_t>(labels, relief.geometry());
  const auto filter = itk::MorphologicalWatershedFromMarkersImageFilter<Relief, Labels>::New();
  filter->SetInput1(relief_view);
  filter->SetInput2(label_view);
  filter->SetFullyConnected(connectivity == 26);
  filter->SetMarkWatershedLine(false);
  adapter::run(*filter, "watershed");
  const at::Tensor out = adapter::tensor_view<int32_t>(filter->GetOutput()).to(markers.tensor().scalar_type()).clone();
  return Mask(out.to(markers.tensor().device()), relief.geometry(), markers.names());
}

}  // namespace vesalius::segmentation
