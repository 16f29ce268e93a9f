# SPDX-License-Identifier: Apache-2.0
"""The ledger behind docs/outcome-validation.md: a test that compares with R asserts and records in one call.

    import gold
    gold.check("lung", "km/surv", ours)                              # the reference is GOLD["lung"]["km"]["surv"]
    gold.check("lung", "harrell/c", c.value, rel=1e-9)               # |ours − R| ≤ abs + rel · |R|
    gold.check("lung", "coxph_efron/coef", coef, labels=X.columns)   # a row of the page for each value
    gold.check("kidney", "frailty", ours, reference, source="R survival 3.5-3, frailty.json")   # a value from elsewhere
    gold.differs("lung", "glmnet_lasso/coef", ours, within=1e-2, why="glmnet drops …")           # R's is another definition

`check` fails the test where a value is out. `differs` is for the few places where R means something else or rounds: it asserts
|ours − R| ≤ within, and the page says why. `conftest.py` writes the page at the end of a session in which every outcome test ran
and passed, and lists what of r_gold.json no test has compared. Numbers are rounded (six digits, differences to the next power of
ten, not below 1e-9), so that another machine writes the same page.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

PAGE = Path(__file__).parents[3] / "docs" / "outcome-validation.md"
R = "R 4.2.2"


@dataclass(frozen=True)
class Row:
    section: str
    quantity: str
    ours: float
    reference: float
    tolerance: str
    source: str
    why: str

    @property
    def difference(self) -> str:
        if (math.isnan(self.ours) and math.isnan(self.reference)) or self.ours == self.reference:
            return "≤ 1e-9"
        relative = abs(self.ours - self.reference)
        if self.tolerance.endswith("rel") and self.reference != 0:
            relative /= abs(self.reference)
        if not math.isfinite(relative):
            return "∞"
        return f"≤ 1e{max(-9, math.ceil(math.log10(relative) - 1e-9))}"


LEDGER: dict[tuple[str, str], Row] = {}
COMPARED: set[tuple[str, str]] = set()


def numbers(entry: Any) -> np.ndarray:
    """R writes one number without brackets, NA as a word, a matrix as lists of rows."""
    flat: list[Any] = []

    def walk(e: Any) -> None:
        if isinstance(e, dict):
            e = list(e.values())
        if isinstance(e, list | tuple | np.ndarray):
            for x in e:
                walk(x)
        else:
            flat.append(np.nan if e == "NA" else e)

    walk(entry)
    return np.array(flat, dtype=float)


def look_up(gold: dict[str, Any], section: str, quantity: str) -> np.ndarray:
    entry = gold[section]
    for key in quantity.split("/"):
        entry = entry[key]
    return numbers(entry)


def record(
    gold: dict[str, Any],
    section: str,
    quantity: str,
    ours: Any,
    reference: Any = None,
    *,
    rel: float = 1e-6,
    abs: float = 0.0,
    source: str = R,
    labels: Iterable[Any] | None = None,
    why: str = "",
) -> None:
    expected = look_up(gold, section, quantity) if reference is None else numbers(reference)
    values = np.asarray(ours, dtype=float).reshape(-1)
    assert values.shape == expected.shape, f"{section} {quantity}: {values.shape[0]} values, R has {expected.shape[0]}"
    np.testing.assert_allclose(values, expected, rtol=rel, atol=abs, err_msg=f"{section}: {quantity}")
    if reference is None:
        COMPARED.add((section, quantity.split("/")[0] if section in gold else quantity))
    names = [""] * len(values) if len(values) == 1 else [str(i + 1) for i in range(len(values))]
    if labels is not None:
        names = [str(n) for n in labels]
    small, large = (f"{abs:g}", f"{rel:g} rel")
    tolerance = large if abs == 0 or rel >= 1e-6 else small
    for name, a, b in zip(names, values, expected, strict=True):
        key = f"{quantity} {name}".strip()
        reason = why if np.abs(a - b) > 1e-6 * np.abs(b) else ""
        LEDGER[section, key] = Row(section, key, float(a), float(b), tolerance if b != 0 else small, source, reason)


def number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return f"{value + 0.0:.6g}" if abs(value) > 1e-9 else "0"


def missing(gold: dict[str, Any]) -> list[str]:
    """What no test has compared, counts of the data aside."""
    out = []
    for section, entry in gold.items():
        for key in entry:
            if key not in ("n", "events") and (section, key) not in COMPARED:
                out.append(f"{section}: {key}")
    return sorted(out)


def page(gold: dict[str, Any]) -> str:
    lines = [
        "# Agreement with R's values",
        "",
        "Written by the tests in `tests/python/outcome` when all of them pass; do not edit. Data and the values of `r_gold.json` are described in",
        "`tests/data/outcome/SOURCE.md` (R 4.2.2, survival 3.5-3, glmnet 4.1-6, cmprsk 2.2-11, riskRegression 2022.11.28). A value agrees if the",
        "difference, relative to R's where the tolerance says so, is within the tolerance; differences are rounded up to a power of ten, 1e-9 at least.",
        "Where the verdict is *differs*, R means something else or rounds what it prints, and the reason is given.",
        "",
    ]
    summary, blocks = [], []
    order = list(gold)
    sections = sorted(
        {r.section for r in LEDGER.values()}, key=lambda s: (order.index(s) if s in order else len(order), s)
    )
    for section in sections:
        rows = sorted((r for r in LEDGER.values() if r.section == section), key=lambda r: r.quantity.split()[0])
        other = sum(bool(r.why) for r in rows)
        summary.append(f"| {section} | {len(rows)} | {len(rows) - other} | {other} |")
        blocks += [
            f"## {section}",
            "",
            "| quantity | Vesalius | R | difference | tolerance | verdict | source |",
            "| --- | --- | --- | --- | --- | --- | --- |",
        ]
        for r in rows:
            verdict = f"differs: {r.why}" if r.why else "agrees"
            blocks.append(
                f"| {r.quantity} | {number(r.ours)} | {number(r.reference)} | {r.difference} | {r.tolerance} | {verdict} | {r.source} |"
            )
        blocks.append("")
    lines += ["| data | values | agree | differ, with the reason |", "| --- | --- | --- | --- |", *summary, ""]
    left = missing(gold)
    if left:
        lines += ["Not compared: " + ", ".join(left) + ".", ""]
    return "\n".join([*lines, *blocks])


def write(gold: dict[str, Any]) -> None:
    text = page(gold)
    if not PAGE.exists() or PAGE.read_text() != text:
        PAGE.write_text(text)
