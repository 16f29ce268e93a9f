# SPDX-License-Identifier: Apache-2.0
"""What Jupyter shows for an image or a mask."""

from __future__ import annotations

import base64
import html as escape
import io

from ._vesalius.core import Image, Mask


def png(image: Image | Mask) -> bytes:
    from .plot import slices

    buffer = io.BytesIO()
    slices(image).savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


def html(image: Image | Mask) -> str:
    geometry = image.geometry
    kind = type(image).__name__
    rows = {
        "shape": f"{tuple(image.shape)} {str(image.tensor.dtype).removeprefix('torch.')} on {image.tensor.device}",
        "spacing (z, y, x)": " × ".join(f"{v:.4g}" for v in geometry.spacing) + " mm",
        "origin (z, y, x)": ", ".join(f"{v:.4g}" for v in geometry.origin) + " mm LPS",
        "orientation": geometry.orientation,
    }
    if isinstance(image, Mask):
        names = image.names
        rows["labels"] = (
            ", ".join(f"{label} {names.get(label, '')}".strip() for label in image.labels) or "none: the mask is empty"
        )
    rows.update({k: v for k, v in image.metadata.items() if k in ("modality", "units")})
    table = "".join(
        f"<tr><th style='text-align:left'>{escape.escape(k)}</th><td style='text-align:left'>{escape.escape(str(v))}</td></tr>"
        for k, v in rows.items()
    )
    picture = base64.b64encode(png(image)).decode()
    return f"<div><b>{kind}</b><table>{table}</table><img src='data:image/png;base64,{picture}' style='max-width:100%'/></div>"
