// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include <ATen/core/Tensor.h>

#include <vesalius/core/export.h>

namespace vesalius {

/// SHA-256 (FIPS 180-4), 64 lower-case hexadecimal digits.
VESALIUS_API std::string sha256(std::string_view bytes);
/// Of a tensor's element type, shape and values, wherever it lies.
VESALIUS_API std::string sha256(const at::Tensor& tensor);
/// Of a file. @throws IoError.
VESALIUS_API std::string sha256_file(const std::string& path);

}  // namespace vesalius
