# SPDX-License-Identifier: Apache-2.0
"""Oracle: the consensus values of the IBSI 1 reference manual. Writes docs/ibsi.md."""

from __future__ import annotations

from pathlib import Path

import ibsi
import pytest

import vesalius as vs

KNOWN = set(vs.radiomics.catalogue().index)
CHECKED = [r for r in ibsi.references() if r.tag in KNOWN and r.configuration in ibsi.CONFIGURATIONS]


@pytest.fixture(scope="module")
def values() -> dict[str, vs.radiomics.Features]:
    return {name: vs.radiomics.extract(*ibsi.load(name), settings) for name, settings in ibsi.CONFIGURATIONS.items()}


@pytest.mark.parametrize("reference", CHECKED, ids=lambda r: r.id)
def test_reference_value(values, reference):
    ours = values[reference.configuration][reference.column]
    assert reference.agrees(ours), f"{ours} is not {reference.value} ± {reference.tolerance}"


def test_codes_are_the_standards():
    """Oracle: the list of tags and codes that comes with the reference values."""
    codes = vs.radiomics.catalogue()["code"]
    for r in CHECKED:
        assert codes[r.tag] == r.code, r.tag


def test_page_of_all_values(values):
    page = Path(__file__).parents[3] / "docs" / "ibsi.md"
    text = ibsi.table(values)
    assert "**out**" not in text
    if not page.exists() or page.read_text() != text:
        page.write_text(text)
