// SPDX-License-Identifier: Apache-2.0
#include <vesalius/core/mask.h>

#include <set>

#include <ATen/Dispatch.h>
#include <ATen/ops/_unique.h>
#include <ATen/ops/round.h>

#include <vesalius/core/error.h>

namespace vesalius {
namespace {

/// Labels come in stretches: looking up only where the value changes is an order of magnitude quicker than sorting.
std::vector<int64_t> labels_on_cpu(const at::Tensor& tensor) {
  std::set<int64_t> found;
  AT_DISPATCH_INTEGRAL_TYPES_AND(at::kUInt16, tensor.scalar_type(), "labels", [&] {
    const auto* values = tensor.const_data_ptr<scalar_t>();
    scalar_t last = 0;
    for (int64_t i = 0; i < tensor.numel(); ++i)
      if (values[i] != last) found.insert(static_cast<int64_t>(last = values[i]));
  });
  found.erase(0);
  return {found.begin(), found.end()};
}

}  // namespace

Mask::Mask(at::Tensor labels, Geometry geometry, std::map<int64_t, std::string> names, Metadata metadata)
    : Image(labels.scalar_type() == at::kBool ? labels.to(at::kByte) : labels, geometry, std::move(metadata)),
      names_(std::move(names)) {
  if (!at::isIntegralType(tensor_.scalar_type(), /*includeBool=*/false))
    throw TypeMismatch(std::string("a mask holds whole-number labels; got ") + c10::toString(tensor_.scalar_type()) +
                       ". Use Mask.from_image to convert a label image that was stored as floats");
  if (tensor_.dim() != 3) throw ShapeError("a mask is [z, y, x]; got " + std::to_string(tensor_.dim()) + " dimensions");
}

Mask Mask::from_image(const Image& image, std::map<int64_t, std::string> names) {
  at::Tensor labels = image.tensor();
  if (at::isFloatingType(labels.scalar_type())) {
    const at::Tensor whole = at::round(labels);
    const at::Tensor wrong = labels.masked_select(whole.ne(labels));  // NaN differs from itself: caught too
    if (wrong.numel() > 0)
      throw TypeMismatch("a mask holds whole-number labels; this image has " + std::to_string(wrong.numel()) +
                         " voxels that are none, the first being " + std::to_string(wrong[0].item<double>()) +
                         ". Threshold it first, for example image.tensor > 0.5");
    labels = whole.to(at::kInt);
  }
  return Mask(labels, image.geometry(), std::move(names), image.metadata());
}

std::vector<int64_t> Mask::labels() const {
  if (tensor_.device().is_cpu()) return labels_on_cpu(tensor_.contiguous());
  const at::Tensor unique = std::get<0>(at::_unique(tensor_)).to(at::kLong).cpu();
  const auto* values = unique.const_data_ptr<int64_t>();
  std::vector<int64_t> out;
  for (int64_t i = 0; i < unique.numel(); ++i)
    if (values[i] != 0) out.push_back(values[i]);
  return out;
}

at::Tensor Mask::select(int64_t label) const {
  at::Tensor chosen = tensor_.eq(label);
  if (chosen.any().item<bool>()) return chosen;
  const auto present = labels();
  if (present.empty())
    throw InvalidArgument("the mask is empty: every voxel is 0, so label " + std::to_string(label) + " isn't there");
  std::string list;
  for (size_t i = 0; i < present.size() && i < 20; ++i) list += (i ? ", " : "") + std::to_string(present[i]);
  throw InvalidArgument("label " + std::to_string(label) + " isn't in the mask; it holds " + list +
                        (present.size() > 20 ? ", …" : ""));
}

int64_t Mask::label_of(const std::string& name) const {
  std::string list;
  for (const auto& [label, known] : names_) {
    if (known == name) return label;
    list += (list.empty() ? "" : ", ") + known;
  }
  throw InvalidArgument("no label is named \"" + name + "\"" +
                        (list.empty() ? "; this mask has no label names" : "; there are: " + list));
}

Mask Mask::to(const std::string& device) const {
  return Mask(tensor_.to(at::Device(device)), geometry_, names_, metadata_);
}

}  // namespace vesalius
