# SPDX-License-Identifier: Apache-2.0
"""Plots and reports: what is drawn where, read back from matplotlib's own objects and from the written files."""

import os

import numpy as np
import pandas as pd
import pytest
import torch

import vesalius as vs


def lopsided() -> vs.Image:
    """Bright at the patient's left, anterior, superior corner only; stored in RAS order to be turned."""
    voxels = torch.zeros(4, 6, 8)
    voxels[3, 5, 0] = 10.0  # z up, y towards anterior, x = 0 is the left end of an axis that runs to the right
    ras = [[1, 0, 0], [0, -1, 0], [0, 0, -1]]
    return vs.Image(voxels, spacing=(3.0, 2.0, 1.0), direction=ras)


@pytest.mark.parametrize(
    ("plane", "index", "corner"), [("axial", 3, (0, -1)), ("coronal", 0, (0, -1)), ("sagittal", 7, (0, 0))]
)
def test_radiological_convention(plane, index, corner):
    """The patient's left is on the right, anterior and superior are up (sagittal: anterior on the left)."""
    assert lopsided().orientation == "RAS"
    figure = vs.plot.slices(lopsided(), planes=[plane], index=index)
    drawn = figure.axes[0].images[0]
    array = np.asarray(drawn.get_array())
    assert array[corner] == 10.0 and array.sum() == 10.0
    left, right, bottom, top = drawn.get_extent()
    assert (right - left, bottom - top) == pytest.approx(
        {"axial": (8, 12), "coronal": (8, 12), "sagittal": (12, 12)}[plane]
    )


def test_outlines_and_wrong_grids():
    image = lopsided()
    mask = vs.Mask((image.tensor > 5).to(torch.uint8), image.geometry)
    assert vs.plot.slices(image, {"contour": mask}).axes[0].get_legend() is not None
    with pytest.raises(vs.InvalidArgument, match="not on the image's grid"):
        vs.plot.slices(image, vs.Mask(mask.tensor, spacing=(1, 1, 1)))
    with pytest.raises(vs.InvalidArgument, match="axial"):
        vs.plot.slices(image, planes=["oblique"])


def test_previews():
    image = lopsided()
    assert image._repr_png_()[:8] == b"\x89PNG\r\n\x1a\n"
    html = image._repr_html_()
    assert "RAS" in html and "data:image/png;base64," in html
    mask = vs.Mask((image.tensor > 5).to(torch.uint8), image.geometry, names={1: "<femur>"})
    assert "&lt;femur&gt;" in mask._repr_html_()


def test_report_escapes_and_writes_atomically(tmp_path):
    report = vs.report.Report("a < b", "lead")
    report.section("S")
    report.text("<script>alert(1)</script>")
    report.table(pd.DataFrame({"x": [1.5, np.nan]}, index=["<i>", "j"]))
    report.figure("calibration", vs.plot.calibration([0.1, 0.4, 0.6, 0.9], [0, 0, 1, 1], bins=2), "caption")
    page = report.write(tmp_path / "r")
    text = page.read_text()
    assert "<script>" not in text and "&lt;i&gt;" in text and (tmp_path / "r" / "calibration.png").exists()
    assert sorted(os.listdir(tmp_path / "r")) == ["calibration.png", "index.html"]
    (tmp_path / "file").write_text("")
    with pytest.raises(vs.IoError, match="can't write the report"):
        report.write(tmp_path / "file")


def test_calibration_groups_are_wilson():
    """Oracle: statsmodels' Wilson interval."""
    from statsmodels.stats.proportion import proportion_confint

    figure = vs.plot.calibration(np.linspace(0.1, 0.9, 20), [0, 1] * 10, bins=1)
    low, high = proportion_confint(10, 20, method="wilson")
    assert any(
        np.allclose(line.get_ydata(), [low, high], atol=1e-6)
        for line in figure.axes[0].lines
        if len(line.get_ydata()) == 2
    )
