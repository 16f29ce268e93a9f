// SPDX-License-Identifier: Apache-2.0
// Mutates files and reads them. Whatever comes out must be an image, or a vesalius::Error; anything else (another
// exception, a signal, a sanitizer's report) is a failure, and the file that did it stays behind.
//
//   fuzz_read SECONDS SEED FILE…      (FILE may be a folder: all files in it)
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <random>
#include <string>
#include <vector>

#include <unistd.h>

#include <ATen/ops/zeros.h>

#include <vesalius/core/error.h>
#include <vesalius/io/dicom.h>
#include <vesalius/io/read.h>

#include "fuzz.h"

namespace fs = std::filesystem;
using vesalius::fuzz::Bytes;
using vesalius::fuzz::mutate;

namespace {

struct Seed {
  std::string name;
  Bytes bytes;
};

std::vector<Seed> load(int count, char** paths) {
  std::vector<Seed> out;
  const auto add = [&](const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    Bytes bytes{std::istreambuf_iterator<char>(in), {}};
    if (!bytes.empty() && bytes.size() < 600000) out.push_back({path.filename().string(), std::move(bytes)});
  };
  for (int i = 0; i < count; ++i) {
    if (!fs::is_directory(paths[i])) {
      add(paths[i]);
      continue;
    }
    for (const auto& entry : fs::recursive_directory_iterator(paths[i]))
      if (entry.is_regular_file()) add(entry.path());
  }
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr, "usage: %s SECONDS SEED FILE...\n", argv[0]);
    return 2;
  }
  const double seconds = std::atof(argv[1]);
  std::mt19937_64 random(std::strtoull(argv[2], nullptr, 10));
  const auto seeds = load(argc - 3, argv + 3);
  const fs::path folder = fs::temp_directory_path() / ("vesalius-fuzz-" + std::to_string(::getpid()));
  fs::create_directories(folder);
  const std::string path = (folder / "case").string();
  const vesalius::Image grid(at::zeros({4, 16, 16}), vesalius::Geometry{{4, 16, 16}});
  vesalius::io::ReadOptions warn;
  warn.on_problem = vesalius::io::OnProblem::warn;

  std::map<std::string, int64_t> outcomes;
  int64_t runs = 0;
  const auto start = std::chrono::steady_clock::now();
  const auto elapsed = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(); };
  for (; elapsed() < seconds && !seeds.empty(); ++runs) {
    const Seed& seed = seeds[random() % seeds.size()];
    Bytes bytes = seed.bytes;
    mutate(bytes, random);
    std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<int64_t>(bytes.size()));
    const double before = elapsed();
    try {
      switch (random() % 4) {
        case 0:
          vesalius::io::read_mask(path, random() % 2 ? &grid : nullptr);
          break;
        case 1:
          vesalius::io::info(path);
          break;
        case 2:
          vesalius::io::read_image(random() % 4 ? path : folder.string(), warn);
          break;
        default:
          vesalius::io::read_image(path);
          break;
      }
      ++outcomes["read"];
    } catch (const vesalius::FormatError&) {
      ++outcomes["FormatError"];
    } catch (const vesalius::IoError&) {
      ++outcomes["IoError"];
    } catch (const vesalius::GeometryError&) {
      ++outcomes["GeometryError"];
    } catch (const vesalius::Error&) {
      ++outcomes["other Error"];
    } catch (const std::exception& error) {
      std::fprintf(stderr, "FAILED after %ld runs: %s (%s): an exception that is none of ours: %s\n",
                   static_cast<long>(runs), seed.name.c_str(), path.c_str(), error.what());
      return 1;
    }
    if (elapsed() - before > 10) {
      std::fprintf(stderr, "FAILED after %ld runs: %s (%s): took %.1f s\n", static_cast<long>(runs), seed.name.c_str(),
                   path.c_str(), elapsed() - before);
      return 1;
    }
  }
  std::printf("%ld runs over %zu files in %.0f s:", static_cast<long>(runs), seeds.size(), elapsed());
  for (const auto& [name, count] : outcomes) std::printf(" %s %ld", name.c_str(), static_cast<long>(count));
  std::printf("\n");
  fs::remove_all(folder);
  return 0;
}
