// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>

#include <ATen/core/Tensor.h>

#include <vesalius/core/export.h>

/// The safetensors format (huggingface/safetensors, README "Format"): 8 bytes of header length, a JSON header of names, types,
/// shapes and offsets, then the bytes. Nothing in it is ever executed.
namespace vesalius::segmentation {

using TensorMap = std::map<std::string, at::Tensor>;

struct SafeTensors {
  TensorMap tensors;  ///< on the CPU, their own memory
  std::map<std::string, std::string> metadata;
};

/// @throws IoError where the file can't be read; FormatError for a file cut short, a header over 100 MB or that is no such
///   JSON, a name twice, offsets that overlap, leave gaps or don't fit the shape; NotSupported for a type that torch lacks.
VESALIUS_API SafeTensors read_safetensors(const std::string& path);
/// Written beside its place, flushed, then renamed; tensors of any strides and device.
/// @throws NotSupported for complex or quantized tensors; IoError.
VESALIUS_API void write_safetensors(const std::string& path, const TensorMap& tensors,
                                    const std::map<std::string, std::string>& metadata = {});

}  // namespace vesalius::segmentation
