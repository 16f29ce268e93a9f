# SPDX-License-Identifier: Apache-2.0
"""Writes the stubs of the installed extension to FOLDER/_vesalius: stubs.py FOLDER (`make stubs`: python/vesalius).

tests/python/packaging/test_stubs.py makes them again and compares.
"""

import inspect
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import ModuleType

from vesalius import _vesalius


def tidy(text: str) -> str:
    text = re.sub(r"^(__version__|torch_version): str = .*$", r"\1: str", text, flags=re.MULTILINE)
    text = text.replace(
        "__hash__: typing.ClassVar[None] = None", "__hash__: typing.ClassVar[None]  # type: ignore[assignment]"
    )
    # Two operators that take any object in Python and one type in C++.
    text = re.sub(r"(def __(?:eq|ne)__\(self, \w+): \w+\) -> bool:", r"\1: object) -> bool:", text)
    # Pointer parameters take None, and pybind11 doesn't say so.
    text = re.sub(r"(\bregion: [\w.]+\.Mask)\b(?! \|)", r"\1 | None", text)
    text = re.sub(
        r"(: [\w.]+) = None",
        lambda m: m[0] if m[1].endswith(("Any", "None", "object")) else f"{m[1]} | None = None",
        text,
    )
    text = re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE)
    return "# SPDX-License-Identifier: Apache-2.0\n# Made by `make stubs`; not to be edited.\n" + text.rstrip() + "\n"


def enums(module: ModuleType) -> list[str]:
    """Where each enum lives, for default arguments such as <Ties.efron: 0>."""
    found = [
        f"--enum-class-locations={name}:{module.__name__}"
        for name, kind in inspect.getmembers(module, inspect.isclass)
        if hasattr(kind, "__members__")
    ]
    return found + [option for _, inner in inspect.getmembers(module, inspect.ismodule) for option in enums(inner)]


def main(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        made = subprocess.run(
            [
                sys.executable,
                "-m",
                "pybind11_stubgen",
                "vesalius._vesalius",
                "-o",
                temporary,
                "--exit-code",
                *enums(_vesalius),
            ],
            capture_output=True,
            text=True,
            cwd=temporary,
        )
        if made.returncode != 0:
            sys.exit(made.stdout + made.stderr)
        out = folder / "_vesalius"
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        source = Path(temporary) / "vesalius" / "_vesalius"
        for file in sorted(source.rglob("*.pyi")):
            target = out / file.relative_to(source)
            target.parent.mkdir(exist_ok=True)
            target.write_text(tidy(file.read_text()))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
