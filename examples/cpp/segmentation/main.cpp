// SPDX-License-Identifier: Apache-2.0
// segment BUNDLE MASK IMAGE...: the mask that a model makes of an image (a file each channel), on the image's grid.

#include <iostream>
#include <string>
#include <vector>

#include <ATen/ops/stack.h>

#include <vesalius/core/error.h>
#include <vesalius/io/read.h>
#include <vesalius/io/write.h>
#include <vesalius/segmentation/model.h>

namespace {

/// Tiles as they are done.
class Percent : public vesalius::Monitor {
 public:
  void report(int64_t done, int64_t total, const std::string& what) override {
    if (total > 0) std::cerr << '\r' << what << ' ' << 100 * done / total << " %" << (done == total ? "\n" : "");
  }
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::cerr << "usage: segment BUNDLE MASK IMAGE...   (an image file for each channel of the model)\n";
    return 2;
  }
  try {
    const auto model = vesalius::segmentation::Model::load(argv[1]);
    vesalius::Image image = vesalius::io::read_image(argv[3]);
    if (argc > 4) {
      std::vector<at::Tensor> channels{image.tensor().to(at::kFloat)};
      for (int i = 4; i < argc; ++i) {
        const vesalius::Image channel = vesalius::io::read_image(argv[i]);
        image.geometry().require_same(channel.geometry(), argv[3], argv[i]);
        channels.push_back(channel.tensor().to(at::kFloat));
      }
      image = vesalius::Image(at::stack(channels), image.geometry());
    }
    Percent percent;
    const auto found = model.predict(image, vesalius::segmentation::PredictOptions(), &percent);
    vesalius::io::write_mask(found.mask, argv[2]);
    for (const auto& [label, name] : found.mask.names())
      std::cout << name << ' ' << found.mask.tensor().eq(label).sum().item<int64_t>() << " voxels\n";
  } catch (const vesalius::Error& error) {  // says which file, what was expected, what came
    std::cerr << "segment: " << error.what() << '\n';
    return 1;
  }
}
