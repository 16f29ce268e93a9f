# SPDX-License-Identifier: Apache-2.0
"""Slices of images with the outlines of masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .._vesalius.core import Geometry, Image, Mask
from ..errors import InvalidArgument
from ._base import COLOURS, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Row and column axis of each plane in (z, y, x), and the letters at its left, right, top and bottom edge
# for an LPS image shown as a radiologist expects: the patient's right on the reader's left.
_PLANES = {
    "axial": (0, (1, 2), "RLAP"),
    "coronal": (1, (0, 2), "RLSI"),
    "sagittal": (2, (0, 1), "APSI"),
}


def default_window(image: Image) -> tuple[float, float, str]:
    """Display range and colour map by modality: CT soft tissue, PET inverse grey from 0, else 1st to 99th percentile."""
    modality = image.metadata.get("modality", "").upper()
    units = image.metadata.get("units", "").upper()
    voxels = image.numpy()
    finite = voxels[np.isfinite(voxels)]
    if finite.size == 0:
        return 0.0, 1.0, "gray"
    if modality in ("PT", "PET") or units.startswith("SUV"):
        return 0.0, float(max(np.percentile(finite, 99.5), 1e-6)), "gray_r"
    if modality == "CT" or units == "HU":
        return -160.0, 240.0, "gray"
    low, high = np.percentile(finite, [1, 99])
    return float(low), float(high if high > low else low + 1), "gray"


def _plane(voxels: np.ndarray, plane: str, index: int) -> np.ndarray:
    """One slice with superior (or anterior) at the top."""
    axis = _PLANES[plane][0]
    out = np.take(voxels, index, axis=axis)
    return out if plane == "axial" else out[::-1]


def _masks(masks: Any) -> dict[str, Mask]:
    if masks is None:
        return {}
    if isinstance(masks, Mask):
        return {"mask": masks}
    if isinstance(masks, Mapping):
        return dict(masks)
    raise InvalidArgument(f"masks must be a Mask or a mapping of names to masks; got {type(masks).__name__}")


def draw_slice(
    axes: Axes,
    image: Image,
    masks: Mask | Mapping[str, Mask] | None = None,
    *,
    plane: str = "axial",
    index: int | None = None,
    window: tuple[float, float] | None = None,
    cmap: str | None = None,
    scale_bar: bool = True,
    legend: bool = True,
) -> Any:
    """Draws one slice with the masks' outlines into `axes`; returns matplotlib's image (for a colour bar).

    The image is shown in the radiological convention, in millimetres, from its nearest LPS orientation. Each label of a
    mask has its own outline, all in the mask's colour.
    Without `index` the slice is the one with the largest area of the first mask, or the middle one.
    """
    if plane not in _PLANES:
        raise InvalidArgument(f"plane must be one of {', '.join(_PLANES)}; got {plane!r}")
    named = _masks(masks)
    for name, mask in named.items():
        difference = image.geometry.difference(mask.geometry)
        if difference:
            raise InvalidArgument(f"{name} is not on the image's grid: {difference}")
    shown = image.reorient("LPS")
    voxels = shown.numpy()
    if voxels.ndim == 4:
        voxels = voxels[0]
    axis, (rows, columns), letters = _PLANES[plane]
    outlines = {name: mask.reorient("LPS").numpy() for name, mask in named.items()}
    if index is None:
        first = next((o for o in outlines.values() if o.any()), None)
        if first is None:
            index = voxels.shape[axis] // 2
        else:
            index = int(np.argmax((first != 0).sum(axis=tuple(a for a in range(3) if a != axis))))
    low, high, automatic = default_window(shown)
    if window is not None:
        low, high = window
    geometry: Geometry = shown.geometry
    height = geometry.size[rows] * geometry.spacing[rows]
    width = geometry.size[columns] * geometry.spacing[columns]
    extent = (0.0, width, height, 0.0)
    drawn = axes.imshow(
        _plane(voxels, plane, index).astype(np.float64),
        extent=extent,
        cmap=cmap or automatic,
        vmin=low,
        vmax=high,
        interpolation="nearest",
    )
    x = (np.arange(geometry.size[columns]) + 0.5) * geometry.spacing[columns]
    y = (np.arange(geometry.size[rows]) + 0.5) * geometry.spacing[rows]
    handles = []
    for number, (name, labels) in enumerate(outlines.items()):
        colour = COLOURS[(number + 1) % len(COLOURS)]
        section = _plane(labels, plane, index)
        for value in np.unique(section[section != 0]) if min(section.shape) > 1 else ():
            axes.contour(x, y, (section == value).astype(float), levels=[0.5], colors=[colour], linewidths=1.4)
        handles.append(axes.plot([], [], color=colour, linewidth=1.4, label=name)[0])
    if legend and (len(handles) > 1 or (handles and "mask" not in named)):
        axes.legend(handles=handles, loc="upper right", fontsize=6, framealpha=0.85)
    # Letters and bar stand out against both dark and light images, and from the outlines.
    ink = "#0072B2" if (cmap or automatic).endswith("_r") else "#F0E442"
    for letter, (u, v, ha, va) in zip(
        letters,
        [
            (0.02, 0.5, "left", "center"),
            (0.98, 0.5, "right", "center"),
            (0.5, 0.98, "center", "top"),
            (0.5, 0.02, "center", "bottom"),
        ],
        strict=True,
    ):
        axes.text(u, v, letter, transform=axes.transAxes, ha=ha, va=va, fontsize=8, color=ink, weight="bold")
    if scale_bar:
        length = next((s for s in (100, 50, 20, 10, 5, 2, 1) if s < 0.35 * width), width / 3)
        axes.plot(
            [0.05 * width, 0.05 * width + length], [0.94 * height] * 2, color=ink, linewidth=2, solid_capstyle="butt"
        )
        axes.text(
            0.05 * width + length / 2, 0.925 * height, f"{length:g} mm", ha="center", va="bottom", fontsize=6, color=ink
        )
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(f"{plane}, slice {index + 1} of {voxels.shape[axis]}", fontsize=8)
    return drawn


def slices(
    image: Image | Mask,
    masks: Mask | Mapping[str, Mask] | None = None,
    *,
    planes: Sequence[str] | None = None,
    index: int | None = None,
    window: tuple[float, float] | None = None,
    cmap: str | None = None,
) -> Figure:
    """Slices through an image with the outlines of masks.

    Parameters
    ----------
    image : Image or Mask
    masks : Mask or mapping of names to Mask, on the image's grid
    planes : of "axial", "coronal", "sagittal"; default all three, or the axial one of a 2D image
    index : slice number in LPS orientation, for a single plane; default through the first mask's largest area
    window : (lowest, highest) value shown; default by modality, see `default_window`

    Raises
    ------
    InvalidArgument
        For an unknown plane, or a mask on another grid.
    """
    if isinstance(image, Mask):
        image = Image(image.tensor, image.geometry)
        cmap = cmap or "viridis"
    if planes is None:
        planes = ("axial",) if image.geometry.size[0] == 1 else ("axial", "coronal", "sagittal")
    figure = new_figure(3.1 * len(planes) + 0.6, 3.3)
    drawn = None
    panels = figure.subplots(1, len(planes), squeeze=False)[0]
    for axes, plane in zip(panels, planes, strict=True):
        drawn = draw_slice(
            axes, image, masks, plane=plane, index=index, window=window, cmap=cmap, legend=axes is panels[0]
        )
    if drawn is not None:
        figure.colorbar(drawn, ax=list(panels), shrink=0.8, label=image.metadata.get("units", ""))
    return figure
