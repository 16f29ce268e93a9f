# SPDX-License-Identifier: Apache-2.0
"""docs/features.md is the catalogue. Written here, so that it can't differ."""

from __future__ import annotations

from pathlib import Path

import vesalius as vs


def test_page_of_features():
    catalogue = vs.radiomics.catalogue()
    lines = [
        "# Features",
        "",
        f"The {len(catalogue)} features of `vesalius.radiomics.catalogue()`. Written by `tests/python/radiomics/test_docs.py`; do not edit.",
        "Sections are those of the IBSI 1 reference manual (arXiv:1612.07003v11).",
        "",
    ]
    for family, rows in catalogue.groupby("family", sort=False):
        first = rows.iloc[0]
        lines += [f"## {first['family_title']} ({first['family_code']})", "", f"Family `{family}`."]
        if first["aggregation"]:
            lines += [f"Aggregations: {', '.join(f'`{a}`' for a in first['aggregation'].split())}."]
        lines += [
            "",
            "| name | code | feature | unit | formula | section | PyRadiomics |",
            "| --- | --- | --- | --- | --- | --- | --- |",
        ]
        for name, row in rows.iterrows():
            formula = row["formula"].replace("|", r"\vert ")
            alias = f"`{row['pyradiomics']}`" if row["pyradiomics"] else ""
            lines.append(
                f"| `{name}` | {row['code']} | {row['title']} | {row['unit']} | ${formula}$ | {row['reference']} | {alias} |"
            )
        lines.append("")
    page, text = Path(__file__).parents[3] / "docs" / "features.md", "\n".join(lines)
    if not page.exists() or page.read_text() != text:
        page.write_text(text)
    assert page.read_text().count("\n| `") == len(catalogue)
