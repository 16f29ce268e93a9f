// SPDX-License-Identifier: Apache-2.0
#include <mutex>

#include <torch/csrc/inductor/aoti_package/model_package_loader.h>

#include <vesalius/core/error.h>

#include "segmentation/network_model.h"

namespace vesalius::segmentation {

NetworkModel::Runner make_package_runner(const std::string& file, const std::string& device) {
  std::shared_ptr<torch::inductor::AOTIModelPackageLoader> loader;
  try {
    loader = std::make_shared<torch::inductor::AOTIModelPackageLoader>(file);
  } catch (const std::exception& why) {
    throw FormatError(file + " is no AOTInductor package for this machine: " + std::string(why.what()).substr(0, 300));
  }
  auto mutex = std::make_shared<std::mutex>();
  return [loader, mutex, device](const at::Tensor& tiles) {
    const std::lock_guard lock(*mutex);
    const auto out = loader->run({tiles.to(at::Device(device)).contiguous()});
    if (out.empty()) throw FormatError("the AOTInductor package gives no output");
    return out[0];
  };
}

}  // namespace vesalius::segmentation
