// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include <itkImage.h>

#include <ATen/core/Tensor.h>
#include <ATen/ops/from_blob.h>
#include <c10/core/CPUAllocator.h>

#include <vesalius/core/error.h>
#include <vesalius/core/geometry.h>

/// Tensors seen as ITK images and the other way round, without copying voxels. The one place that turns (z, y, x) into
/// ITK's order.
namespace vesalius::image::detail {

template <class T>
using ItkImage = itk::Image<T, 3>;

/// A view of a contiguous CPU tensor [z, y, x] of type T; the tensor must outlive it.
template <class T>
typename ItkImage<T>::Pointer itk_view(const at::Tensor& tensor, const Geometry& geometry) {
  auto image = ItkImage<T>::New();
  typename ItkImage<T>::RegionType region;
  typename ItkImage<T>::SpacingType spacing;
  typename ItkImage<T>::PointType origin;
  typename ItkImage<T>::DirectionType direction;
  for (int a = 0; a < 3; ++a) {
    region.SetSize(a, geometry.size[2 - a]);
    spacing[a] = geometry.spacing[2 - a];
    origin[a] = geometry.origin[2 - a];
    for (int b = 0; b < 3; ++b) direction(a, b) = geometry.direction[2 - a][2 - b];
  }
  image->SetRegions(region);
  image->SetSpacing(spacing);
  image->SetOrigin(origin);
  image->SetDirection(direction);
  // ITK only reads its inputs; its container has no const pointer.
  image->GetPixelContainer()->SetImportPointer(const_cast<T*>(tensor.const_data_ptr<T>()), tensor.numel(), false);
  return image;
}

/// A tensor [z, y, x] over an image's buffer; it keeps the image alive.
template <class T>
at::Tensor tensor_view(const typename ItkImage<T>::Pointer& image) {
  const auto size = image->GetBufferedRegion().GetSize();
  const at::IntArrayRef::value_type nz = size[2], ny = size[1], nx = size[0];
  return at::from_blob(
      image->GetBufferPointer(), {nz, ny, nx}, [image](void*) {},
      at::TensorOptions().dtype(c10::CppTypeToScalarType<T>::value));
}

/// Runs an ITK filter; its exceptions become ours.
template <class Filter>
void run(Filter& filter, const std::string& what) {
  try {
    filter.Update();
  } catch (const itk::ExceptionObject& error) {
    throw Error(what + " failed in ITK: " + error.GetDescription());
  }
}

}  // namespace vesalius::image::detail
