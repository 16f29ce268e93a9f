# SPDX-License-Identifier: Apache-2.0
"""What is in the installed wheel, and what its libraries ask for and show."""

import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import torch
from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from packaging.requirements import Requirement

import vesalius

ROOT = Path(__file__).resolve().parents[3]
PREFIX = Path(vesalius.cmake_prefix_path)
LIBRARY = PREFIX / "lib" / "libvesalius.so"


def test_one_version():
    """Mechanics: CMake's project(VERSION) is the source; the others follow."""
    version = re.search(r"project\(vesalius VERSION ([0-9.]+)", (ROOT / "CMakeLists.txt").read_text()).group(1)
    assert vesalius.__version__ == version
    assert importlib.metadata.version("vesalius") == version
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"## [{version}]" in (ROOT / "CHANGELOG.md").read_text()


def test_dependencies_are_pinned_to_the_torch_that_was_built_for():
    """Mechanics: ATen's binary interface changes with the minor version."""
    requirements = {r.name: r for r in map(Requirement, importlib.metadata.requires("vesalius")) if r.marker is None}
    assert set(requirements) == {"torch", "numpy", "pandas", "scikit-learn", "matplotlib", "tqdm"}
    major, minor = torch.__version__.split(".")[:2]
    assert str(requirements["torch"].specifier) == f"=={major}.{minor}.*"


def test_wheel_holds_code_only():
    """Mechanics: the IBSI CT phantom and others may lie in tests/data under CC BY-NC; they must never be in a wheel."""
    files = [str(file) for file in importlib.metadata.files("vesalius") if ".dist-info" not in str(file)]
    assert any(file.endswith("py.typed") for file in files)
    kinds = {Path(file).suffix for file in files if "__pycache__" not in file}
    assert kinds <= {".py", ".pyi", ".typed", ".so", ".h", ".cmake", ".html", ".css", ".svg", ".yaml", ""}, kinds
    assert not [file for file in files if "tests" in Path(file).parts or "data" in Path(file).parts]
    assert sum((PREFIX.parent / file).stat().st_size for file in files if (PREFIX.parent / file).exists()) < 60e6


def test_command_line_is_installed():
    """Mechanics: the script and `python -m vesalius` are the same."""
    script = subprocess.run(
        [Path(sys.executable).parent / "vesalius", "--help"], capture_output=True, text=True, timeout=60
    )
    module = subprocess.run([sys.executable, "-m", "vesalius", "--help"], capture_output=True, text=True, timeout=60)
    assert script.returncode == module.returncode == 0, script.stderr + module.stderr
    for word in ("info", "import", "extract", "segment", "fit", "report"):
        assert word in script.stdout


def dynamic(path: Path) -> tuple[list[str], list[str]]:
    with path.open("rb") as file:
        section = next(s for s in ELFFile(file).iter_sections() if isinstance(s, DynamicSection))
        needed = [tag.needed for tag in section.iter_tags() if tag.entry.d_tag == "DT_NEEDED"]
        paths = [
            getattr(tag, "runpath", None) or getattr(tag, "rpath", None)
            for tag in section.iter_tags()
            if tag.entry.d_tag in ("DT_RUNPATH", "DT_RPATH")
        ]
    return needed, [part for path_ in paths for part in path_.split(":")]


def test_libraries_find_each_other_by_relative_paths():
    """Mechanics: a wheel may be unpacked anywhere, so no path of the building machine may be in it."""
    extension = next(PREFIX.glob("_vesalius*.so"))
    for library in (LIBRARY, extension):
        _, paths = dynamic(library)
        assert paths and all(path.startswith("$ORIGIN") for path in paths), (library, paths)
    assert "libvesalius.so" in dynamic(extension)[0]


def test_libvesalius_needs_the_cpu_parts_of_torch_only():
    """Mechanics: so that it loads with a torch without CUDA; the kernels are in libvesalius_cuda."""
    needed, _ = dynamic(LIBRARY)
    assert "libtorch_cpu.so" in needed and "libc10.so" in needed
    assert not [name for name in needed if "cuda" in name or "python" in name]


def test_no_symbol_of_another_library_is_exported():
    """Mechanics: an exported itk:: or H5 symbol could be bound to by SimpleITK's or h5py's own copy."""
    with LIBRARY.open("rb") as file:
        table = ELFFile(file).get_section_by_name(".dynsym")
        exported = [
            s.name for s in table.iter_symbols() if s["st_shndx"] != "SHN_UNDEF" and s["st_info"]["bind"] != "STB_LOCAL"
        ]
    assert any("8vesalius" in name for name in exported)
    assert not [name for name in exported if re.search(r"3itk[A-Z0-9]|4gdcm|4YAML|8nlohmann|^H5", name)]
