# SPDX-License-Identifier: Apache-2.0
"""HTML reports: one folder with ``index.html`` and its figures, no script, no network, printable."""

from __future__ import annotations

import html
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ._vesalius import __version__
from .errors import InvalidArgument, IoError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from .store import Study

_STYLE = """
:root { --ink: #1c2430; --quiet: #5b6675; --line: #d9dee5; --soft: #f5f7f9; --accent: #0072b2; }
body { font: 15px/1.5 system-ui, "Segoe UI", Roboto, sans-serif; color: var(--ink); max-width: 62rem; margin: 2rem auto; padding: 0 1.2rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .3rem; } h2 { font-size: 1.2rem; margin: 2.2rem 0 .6rem; border-bottom: 2px solid var(--line); padding-bottom: .2rem; }
.lead { color: var(--quiet); margin: 0 0 1.2rem; } p { max-width: 46rem; }
.finding { background: var(--soft); border-left: 4px solid var(--accent); padding: .7rem 1rem; margin: 1rem 0; max-width: 46rem; }
figure { margin: 1rem 0; } figure img { max-width: 100%; height: auto; } figcaption { color: var(--quiet); font-size: .88rem; max-width: 46rem; }
.row { display: flex; flex-wrap: wrap; gap: 1.2rem; } .row figure { flex: 1 1 20rem; margin: .5rem 0; }
table { border-collapse: collapse; font-size: .86rem; font-variant-numeric: tabular-nums; } th, td { padding: .22rem .7rem; border-bottom: 1px solid var(--line); text-align: right; }
th:first-child, td:first-child { text-align: left; } thead th { background: var(--soft); border-bottom: 2px solid var(--line); position: sticky; top: 0; }
.scroll { overflow: auto; max-height: 26rem; border: 1px solid var(--line); } details { margin: .6rem 0; } summary { cursor: pointer; color: var(--accent); }
code, pre { font: .85rem/1.45 ui-monospace, monospace; background: var(--soft); } pre { padding: .7rem; overflow: auto; white-space: pre-wrap; overflow-wrap: anywhere; }
@media print { .scroll { max-height: none; } details[open] summary { display: none; } }
"""


class Report:
    """Builds a report piece by piece and writes it at the end.

    >>> report = Report("PET of 51 sarcomas")
    >>> report.section("Cohort")
    >>> report.text("51 patients, 19 with lung metastases.")
    >>> report.write("report")                                   # doctest: +SKIP
    """

    def __init__(self, title: str, lead: str = "") -> None:
        self._title = title
        self._parts: list[str] = [f"<h1>{html.escape(title)}</h1>"]
        if lead:
            self._parts.append(f"<p class='lead'>{html.escape(lead)}</p>")
        self._figures: list[tuple[str, Figure]] = []
        self._row = False

    def section(self, title: str) -> None:
        self._parts.append(f"<h2>{html.escape(title)}</h2>")

    def text(self, text: str) -> None:
        self._parts.append(f"<p>{html.escape(text)}</p>")

    def finding(self, text: str) -> None:
        """A sentence the reader must not miss."""
        self._parts.append(f"<div class='finding'>{html.escape(text)}</div>")

    def figure(self, name: str, figure: Figure, caption: str) -> None:
        """Adds a figure, to be written as ``<name>.png``; captions say what is seen."""
        self._figures.append((name, figure))
        alt = html.escape(caption, quote=True)
        self._parts.append(
            f"<figure><img src='{html.escape(name)}.png' alt='{alt}'><figcaption>{html.escape(caption)}</figcaption></figure>"
        )

    def row(self, *figures: tuple[str, Figure, str]) -> None:
        """Figures side by side: (name, figure, caption) each."""
        self._parts.append("<div class='row'>")
        for name, figure, caption in figures:
            self.figure(name, figure, caption)
        self._parts.append("</div>")

    def table(self, frame: pd.DataFrame, *, caption: str = "", folded: str = "", digits: int = 4) -> None:
        """A table; long ones scroll. `folded` puts it behind a line to click on."""
        body = frame.to_html(
            border=0, na_rep="–", float_format=lambda v: f"{v:.{digits}g}", justify="right", escape=True
        )
        scrolled = f"<div class='scroll'>{body}</div>" if len(frame) > 12 or frame.shape[1] > 8 else body
        if caption:
            scrolled = f"<p class='lead'>{html.escape(caption)}</p>{scrolled}"
        self._parts.append(
            f"<details><summary>{html.escape(folded)}</summary>{scrolled}</details>" if folded else scrolled
        )

    def facts(self, facts: Mapping[str, Any]) -> None:
        rows = "".join(
            f"<tr><td>{html.escape(str(k))}</td><td style='text-align:left'>{html.escape(str(v))}</td></tr>"
            for k, v in facts.items()
        )
        self._parts.append(f"<table>{rows}</table>")

    def preformatted(self, text: str, *, folded: str = "") -> None:
        body = f"<pre>{html.escape(text)}</pre>"
        self._parts.append(f"<details><summary>{html.escape(folded)}</summary>{body}</details>" if folded else body)

    def write(self, folder: str | Path) -> Path:
        """Writes ``index.html`` and the figures; returns the path of the page.

        Raises
        ------
        IoError
            If the folder can't be written, naming it.
        """
        folder = Path(folder)
        page = (
            f"<!doctype html><html lang='en'><head><meta charset='utf-8'><meta name='viewport' content='width=device-width'>"
            f"<title>{html.escape(self._title)}</title><style>{_STYLE}</style></head><body>{''.join(self._parts)}"
            f"<p class='lead' style='margin-top:3rem'>Made by Vesalius {__version__}. For research, not for diagnosis.</p></body></html>"
        )
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name, figure in self._figures:
                figure.savefig(folder / f"{name}.png", dpi=150)
            temporary = folder / "index.html.part"
            temporary.write_text(page, encoding="utf-8")
            os.replace(temporary, folder / "index.html")
        except OSError as error:
            raise IoError(f"can't write the report to {folder}: {error}") from error
        return folder / "index.html"


def _roc_curves(predictions: Mapping[str, pd.DataFrame], outcomes: pd.DataFrame) -> dict[str, tuple[Any, Any, str]]:
    """Of predictions named "<outcome>: <model>" where the outcome has two classes."""
    from .outcome import metrics

    curves = {}
    for name, frame in predictions.items():
        outcome = name.partition(":")[0]
        if outcome not in outcomes or "prediction" not in frame:
            continue
        both = frame[["prediction"]].join(outcomes[[outcome]]).dropna().astype(float)
        if set(both[outcome].unique()) != {0.0, 1.0}:
            continue
        auc, curve = (
            metrics.roc_auc(both[outcome], both["prediction"]),
            metrics.roc_curve(both[outcome], both["prediction"]),
        )
        label = f"{name.partition(': ')[2]}, AUC {auc.value:.2f} ({auc.interval[0]:.2f}–{auc.interval[1]:.2f})"
        curves[name] = (curve.false_positive_rate, curve.true_positive_rate, label)
    return curves


def write_study(study: Study, folder: str | Path) -> Path:
    """The report of any study: its subjects, one of its images, features, outcomes, predictions, provenance.

    Raises
    ------
    InvalidArgument
        For a study without subjects.
    """
    from . import plot

    subjects = list(study.subjects)
    if not subjects:
        raise InvalidArgument(f"{study.path} holds no subject yet; `vesalius import` adds them")
    report = Report(Path(study.path).name, f"A study of {len(subjects)} subjects")
    report.section("Subjects")
    outcomes, clinical = study.outcomes, study.clinical
    if outcomes.shape[1]:
        known = outcomes.notna().sum()
        report.facts(
            {
                column: f"known of {known[column]}, mean {outcomes[column].astype(float).mean():.3g}"
                for column in outcomes.select_dtypes(["number", "bool"])
            }
        )
        report.table(outcomes, folded="Outcomes")
    if clinical.shape[1]:
        report.table(clinical, folded="Clinical data")

    middle = subjects[len(subjects) // 2]
    image = study.image(middle)
    report.section("Images")
    if study.has_mask(middle):
        figure = plot.slices(image, study.mask(middle))
        report.figure(
            "slices", figure, f"{middle} with the outline of its mask, through the mask's largest area in each plane."
        )
    else:
        report.figure("slices", plot.slices(image), f"{middle}, middle slices.")

    features = study.features()
    report.section("Features")
    if len(features):
        summary = features.describe().T[["mean", "std", "min", "50%", "max"]]
        report.table(summary, caption=f"{features.shape[1]} features of {features.shape[0]} subjects")
        report.table(features, folded="every value")
    else:
        report.text("None yet: `vesalius extract` computes them.")

    predictions = study.predictions()
    if predictions:
        report.section("Predictions")
        curves = _roc_curves(predictions, outcomes)
        if curves:
            report.figure(
                "roc",
                plot.roc(curves),
                "ROC curves of the stored predictions against the outcome they are named after, with DeLong's 95 % interval.",
            )
        for name, frame in predictions.items():
            report.table(frame, folded=name)

    report.section("Provenance")
    for name, value in study.provenance.items():
        if hasattr(value, "to_html"):
            report.table(value, folded=str(name))
        elif isinstance(value, Mapping):
            report.preformatted("\n".join(f"{k}: {v}" for k, v in value.items()), folded=str(name))
        else:
            report.facts({name: value})
    return report.write(folder)
