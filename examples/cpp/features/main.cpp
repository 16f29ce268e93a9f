// SPDX-License-Identifier: Apache-2.0
// features IMAGE MASK [BIN_WIDTH [LABEL]]: the features of one region as CSV.

#include <cmath>
#include <exception>
#include <iomanip>
#include <iostream>
#include <string>

#include <vesalius/core/error.h>
#include <vesalius/io/read.h>
#include <vesalius/radiomics/features.h>

int main(int argc, char** argv) {
  if (argc < 3 || argc > 5) {
    std::cerr << "usage: features IMAGE MASK [BIN_WIDTH [LABEL]]\n";
    return 2;
  }
  try {
    const vesalius::Image image = vesalius::io::read_image(argv[1]);
    const vesalius::Mask mask = vesalius::io::read_mask(argv[2], &image);

    vesalius::radiomics::Settings settings;
    if (argc > 3) settings.bin_width = std::stod(argv[3]);
    const int64_t label = argc > 4 ? std::stoll(argv[4]) : 1;
    const auto features = vesalius::radiomics::extract(image, mask, settings, label);

    std::cout << "feature,code,unit,value\n" << std::setprecision(17);
    for (size_t i = 0; i < features.values.size(); ++i) {
      const auto& column = features.columns[i];
      std::cout << column.name << ',' << column.row->code << ',' << column.row->unit << ',';
      if (!std::isnan(features.values[i])) std::cout << features.values[i];
      std::cout << '\n';
    }
  } catch (const vesalius::Error& error) {  // says which file, what was expected, what came
    std::cerr << "features: " << error.what() << '\n';
    return 1;
  } catch (const std::exception& error) {  // std::stod's
    std::cerr << "features: BIN_WIDTH and LABEL are numbers (" << error.what() << ")\n";
    return 2;
  }
}
