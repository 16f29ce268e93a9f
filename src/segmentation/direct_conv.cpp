// SPDX-License-Identifier: Apache-2.0
#include "segmentation/direct_conv.h"

#include <algorithm>
#include <array>
#include <tuple>

#include <ATen/autocast_mode.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/convolution_backward.h>
#include <ATen/ops/empty.h>
#include <torch/csrc/autograd/custom_function.h>

#include "segmentation/conv_passes.h"

namespace vesalius::segmentation {

#ifdef VESALIUS_DIRECT_CONV
namespace {

using detail::ConvShape;

// Below, packing the weights costs what the layout saves, the sooner the more channels there are.
constexpr int64_t kShortRow = 16, kShortestRow = 8, kManyWeights = 64 * 64;

bool has_avx512() {
  static const bool has = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                          __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
                          __builtin_cpu_supports("fma");
  return has;
}

bool has_bfloat16() {
  static const bool has = has_avx512() && __builtin_cpu_supports("avx512bf16") && !__builtin_cpu_supports("amx-bf16");
  return has;
}

/// What a convolution of `x` is computed in.
at::ScalarType compute_type(const at::Tensor& x) {
  return at::autocast::is_autocast_enabled(at::kCPU) ? at::autocast::get_autocast_dtype(at::kCPU) : x.scalar_type();
}

std::array<int64_t, 3> three(at::IntArrayRef list, int64_t front) {
  if (list.size() == 2) return {front, list[0], list[1]};
  return {list[0], list[1], list[2]};
}

/// Of the convolution itself, or, transposed, of the one whose transpose it is: its input is the larger side.
ConvShape conv_shape(const at::Tensor& x, const at::Tensor& weight, const DirectConvOptions& o) {
  ConvShape s;
  s.samples = x.size(0);
  s.oc = weight.size(0);
  s.ic = weight.size(1);
  s.kernel = three(weight.sizes().slice(2), 1);
  s.stride = three(o.stride, 1);
  s.padding = three(o.padding, 0);
  const auto here = three(x.sizes().slice(2), 1), extra = three(o.output_padding, 0);
  for (int a = 0; a < 3; ++a) {
    const int64_t k = s.kernel[a], t = s.stride[a], p = s.padding[a];
    s.in[a] = o.transposed ? (here[a] - 1) * t - 2 * p + k + extra[a] : here[a];
    s.out[a] = o.transposed ? here[a] : (here[a] + 2 * p - k) / t + 1;
  }
  return s;
}

std::vector<int64_t> tensor_sizes(const at::Tensor& x, int64_t channels, const std::array<int64_t, 3>& spatial) {
  std::vector<int64_t> sizes{x.size(0), channels};
  for (int a = x.dim() == 4 ? 1 : 0; a < 3; ++a) sizes.push_back(spatial[a]);
  return sizes;
}

const float* floats_of(const at::Tensor& t) { return t.defined() ? t.const_data_ptr<float>() : nullptr; }

template <class Run>
void by_type(const at::Tensor& x, const Run& run) {
  if (x.scalar_type() == at::kFloat)
    run(float{});
  else
    run(uint16_t{});
}
template <class T>
T* voxels_of(const at::Tensor& t) {
  return static_cast<T*>(t.data_ptr());
}

at::Tensor forward_of(const ConvShape& s, const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  at::Tensor y = at::empty(tensor_sizes(x, s.oc, s.out), x.options());
  by_type(x, [&](auto t) {
    using T = decltype(t);
    detail::conv_forward<T>(s, voxels_of<T>(x), floats_of(weight), floats_of(bias), voxels_of<T>(y));
  });
  return y;
}

at::Tensor backward_of(const ConvShape& s, const at::Tensor& dy, const at::Tensor& weight, const at::Tensor& bias) {
  at::Tensor dx = at::empty(tensor_sizes(dy, s.ic, s.in), dy.options());
  by_type(dy, [&](auto t) {
    using T = decltype(t);
    detail::conv_backward_data<T>(s, voxels_of<T>(dy), floats_of(weight), floats_of(bias), voxels_of<T>(dx));
  });
  return dx;
}

at::Tensor as_float(const at::Tensor& t) { return t.defined() ? t.detach().to(at::kFloat).contiguous() : t; }

class DirectConv : public torch::autograd::Function<DirectConv> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            const std::optional<at::Tensor>& bias, std::vector<int64_t> stride,
                            std::vector<int64_t> padding, std::vector<int64_t> output_padding, bool transposed) {
    const DirectConvOptions o{std::move(stride), std::move(padding), std::move(output_padding), transposed};
    const ConvShape s = conv_shape(x, weight, o);
    const at::Tensor b = bias.value_or(at::Tensor());
    context->save_for_backward({x, weight, b});
    context->saved_data["stride"] = o.stride;
    context->saved_data["padding"] = o.padding;
    context->saved_data["output_padding"] = o.output_padding;
    context->saved_data["transposed"] = transposed;
    return transposed ? backward_of(s, x, as_float(weight), as_float(b))
                      : forward_of(s, x, as_float(weight), as_float(b));
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1], &bias = saved[2];
    DirectConvOptions o;
    o.stride = context->saved_data["stride"].toIntVector();
    o.padding = context->saved_data["padding"].toIntVector();
    o.output_padding = context->saved_data["output_padding"].toIntVector();
    o.transposed = context->saved_data["transposed"].toBool();
    const ConvShape s = conv_shape(x, weight, o);
    const at::Tensor dy = gradients[0].to(x.scalar_type()).contiguous();
    at::Tensor dx, dw, db;
    if (context->needs_input_grad(0)) {
      const at::Tensor w = as_float(weight);
      dx = o.transposed ? forward_of(s, dy, w, {}) : backward_of(s, dy, w, {});
    }
    const bool wants_bias = bias.defined() && context->needs_input_grad(2);
    const bool strided = s.stride[0] * s.stride[1] * s.stride[2] > 1;
    if (strided && (context->needs_input_grad(1) || wants_bias)) {
      // Here packing costs as much as it saves, and oneDNN reads the strided input as it is.
      std::tie(std::ignore, dw, db) = at::convolution_backward(
          dy, x, weight.detach().to(x.scalar_type()),
          wants_bias ? at::OptionalIntArrayRef(bias.sizes()) : at::OptionalIntArrayRef(), o.stride, o.padding,
          std::vector<int64_t>(o.stride.size(), 1), o.transposed, o.output_padding, 1, {false, true, wants_bias});
      dw = dw.to(weight.scalar_type());
    } else if (context->needs_input_grad(1) || wants_bias) {
      if (wants_bias && o.transposed) {
        std::vector<int64_t> axes{0};
        for (int64_t axis = 2; axis < dy.dim(); ++axis) axes.push_back(axis);
        db = dy.sum(axes, false, at::kFloat);
      }
      dw = at::empty(weight.sizes(), at::kFloat);
      if (wants_bias && !o.transposed) db = at::empty(bias.sizes(), at::kFloat);
      by_type(x, [&](auto t) {
        using T = decltype(t);
        detail::conv_backward_weight<T>(s, voxels_of<T>(o.transposed ? dy : x), voxels_of<T>(o.transposed ? x : dy),
                                        dw.mutable_data_ptr<float>(),
                                        wants_bias && !o.transposed ? db.mutable_data_ptr<float>() : nullptr);
      });
      dw = dw.to(weight.scalar_type());
    }
    if (db.defined()) db = db.to(bias.scalar_type());
    return {dx, dw, db, at::Tensor(), at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

}  // namespace

bool direct_conv_available(at::ScalarType type) {
  return type == at::kFloat ? has_avx512() : type == at::kBFloat16 && has_bfloat16();
}

bool direct_conv_serves(const at::Tensor& x, const at::Tensor& weight, int64_t groups, const DirectConvOptions& o) {
  if (!x.device().is_cpu() || !weight.device().is_cpu() || groups != 1 || x.numel() == 0) return false;
  if (x.dim() != static_cast<int64_t>(o.stride.size()) + 2 || x.size(1) != weight.size(o.transposed ? 0 : 1))
    return false;
  if (!direct_conv_available(compute_type(x))) return false;
  const bool autocast = at::autocast::is_autocast_enabled(at::kCPU);
  if (!at::isFloatingType(x.scalar_type()) || (!autocast && weight.scalar_type() != x.scalar_type())) return false;
  const ConvShape s = conv_shape(x, weight, o);
  for (int a = 0; a < 3; ++a)
    if (s.out[a] < 1 || s.padding[a] >= s.kernel[a]) return false;
  return s.out[2] >= (s.ic * s.oc > kManyWeights ? kShortRow : kShortestRow);
}

at::Tensor direct_conv(const at::Tensor& given, const at::Tensor& weight, const at::Tensor& bias,
                       const DirectConvOptions& o) {
  const at::Tensor x = given.to(compute_type(given)).contiguous();
  if (at::GradMode::is_enabled())
    return DirectConv::apply(x, weight, bias.defined() ? std::optional<at::Tensor>(bias) : std::nullopt, o.stride,
                             o.padding, o.output_padding, o.transposed);
  ConvShape s = conv_shape(x, weight, o);
  s.winograd =
      x.scalar_type() == at::kFloat;  // training bears its rounding in bfloat16; a prediction is to be a peer's
  return o.transposed ? backward_of(s, x, as_float(weight), as_float(bias))
                      : forward_of(s, x, as_float(weight), as_float(bias));
}

#else
bool direct_conv_available(at::ScalarType) { return false; }
bool direct_conv_serves(const at::Tensor&, const at::Tensor&, int64_t, const DirectConvOptions&) { return false; }
at::Tensor direct_conv(const at::Tensor&, const at::Tensor&, const at::Tensor&, const DirectConvOptions&) { return {}; }
#endif

}  // namespace vesalius::segmentation
