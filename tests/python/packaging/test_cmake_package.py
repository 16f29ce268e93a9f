# SPDX-License-Identifier: Apache-2.0
"""find_package(vesalius): what it says when it can't serve, and an install tree outside Python's folders."""

import os
import subprocess
from pathlib import Path

import pytest
import torch

import vesalius

ROOT = Path(__file__).resolve().parents[3]
PREFIX = Path(vesalius.cmake_prefix_path)

CONSUMER = """
cmake_minimum_required(VERSION 3.25)
project(consumer LANGUAGES CXX)
find_package(vesalius 0.1 REQUIRED COMPONENTS {components})
add_executable(consumer main.cpp)
target_link_libraries(consumer PRIVATE vesalius::core)
"""
MAIN = """
#include <iostream>
#include <vesalius/core/error.h>
#include <vesalius/core/geometry.h>
#include <vesalius/core/version.h>
int main() {
  vesalius::Geometry geometry{.size = {4, 5, 6}, .spacing = {3, 1, 1}};
  std::cout << VESALIUS_VERSION << ' ' << geometry.to_physical({1, 0, 0})[0] << std::endl;
  geometry.spacing[0] = 0;
  try {
    geometry.validate();
  } catch (const vesalius::GeometryError& error) {
    std::cout << error.what() << std::endl;
    return 0;
  }
  return 1;
}
"""


def consumer(folder: Path, components: str = "core") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "CMakeLists.txt").write_text(CONSUMER.format(components=components))
    (folder / "main.cpp").write_text(MAIN)
    return folder


def test_unknown_component_is_named_with_those_there_are(cmake, tmp_path):
    """Mechanics."""
    result = cmake(consumer(tmp_path / "src", "radiomics pathology"), tmp_path / "build")
    assert result.returncode != 0
    words = " ".join(result.stdout.split())
    assert 'Vesalius has no component "pathology"' in words
    assert "core, io, image, store, radiomics" in words


def test_another_torch_is_refused(cmake, tmp_path):
    """Mechanics: a torch of another minor version, played by its version file."""
    other = tmp_path / "torch"
    (other / "lib").mkdir(parents=True)
    (other / "version.py").write_text("__version__ = '2.99.0'\ncuda: Optional[str] = None\n")
    result = cmake(consumer(tmp_path / "src"), tmp_path / "build", f"-DVESALIUS_TORCH_DIR={other}")
    assert result.returncode != 0
    words = " ".join(result.stdout.split())
    built = ".".join(torch.__version__.split(".")[:2])
    assert f"built for torch {built}" in words and "2.99.0" in words and "rebuild Vesalius" in words


def test_newer_version_than_installed_is_refused(cmake, tmp_path):
    """Mechanics."""
    source = consumer(tmp_path / "src")
    text = (source / "CMakeLists.txt").read_text().replace("vesalius 0.1", "vesalius 9.0")
    (source / "CMakeLists.txt").write_text(text)
    result = cmake(source, tmp_path / "build")
    assert result.returncode != 0 and 'compatible with requested version "9.0"' in " ".join(result.stdout.split())


def test_consumer_of_the_package_runs(build_cpp, tmp_path):
    """Mechanics: an exception of libvesalius is caught by its type in another program."""
    program = build_cpp(consumer(tmp_path / "src"), tmp_path / "build", "consumer")
    result = subprocess.run([program], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0
    first, message = result.stdout.splitlines()
    assert first == f"{vesalius.__version__} 3"
    assert "spacing" in message


def test_consumer_of_an_installed_prefix_runs(build_cpp, tmp_path):
    """Mechanics: `cmake --install` of the build tree to a prefix that has nothing to do with Python."""
    build = next(
        (f for f in (ROOT / "build/release", *sorted((ROOT / "build").glob("cp*"))) if (f / "CMakeCache.txt").exists()),
        None,
    )
    if build is None:
        pytest.skip("LOUD: no build tree beside the sources; this runs in `make test`")
    cache = (build / "CMakeCache.txt").read_text()
    assert "VESALIUS_PYTHON" in cache
    prefix = tmp_path / "prefix"
    installed = subprocess.run(
        ["cmake", "--install", build, "--prefix", prefix], capture_output=True, text=True, timeout=120
    )
    assert installed.returncode == 0, installed.stdout + installed.stderr
    # Built for a wheel, the library looks for torch beside it; here it's told where.
    program = build_cpp(consumer(tmp_path / "src"), tmp_path / "build", "consumer", prefix=str(prefix))
    result = subprocess.run(
        [program],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "LD_LIBRARY_PATH": str(Path(torch.__file__).parent / "lib")},
    )
    assert result.returncode == 0, result.stderr
