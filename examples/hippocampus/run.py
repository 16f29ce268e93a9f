# SPDX-License-Identifier: Apache-2.0
"""The hippocampus's two parts on T1 MR, by the bundle in examples/bundles/hippocampus, beside an expert's contours.

Five cases of the Medical Segmentation Decathlon that the bundle was not trained on (data: examples/data/hippocampus/SOURCE.md;
how it was trained: examples/bundles/hippocampus/card.md). Prints each part's Dice, distances and volume; writes the
masks and a figure.

    python examples/hippocampus/run.py --output hippocampus
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

import vesalius as vs

EXAMPLES = Path(__file__).resolve().parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("hippocampus"), help="folder for masks, table and figure")
    output = parser.parse_args().output
    output.mkdir(parents=True, exist_ok=True)

    model = vs.segmentation.Model.load(EXAMPLES / "bundles" / "hippocampus")
    rows = []
    for path in sorted((EXAMPLES / "data" / "hippocampus" / "images").glob("*.nii.gz")):
        image = vs.read_image(path)
        expert = vs.read_mask(EXAMPLES / "data" / "hippocampus" / "labels" / path.name, like=image)
        mask = model.predict(image, output=output / path.name)
        millilitres = image.geometry.voxel_volume / 1000
        for label, measures in vs.segmentation.metrics.evaluate(mask, expert, labels=list(mask.names)).items():
            rows.append(
                {
                    "case": path.name.removesuffix(".nii.gz"),
                    "part": mask.names[label],
                    "Dice": measures["dice"],
                    "95 % Hausdorff (mm)": measures["hausdorff95"],
                    "mean distance (mm)": measures["average_surface_distance"],
                    "volume (ml)": measures["predicted_voxels"] * millilitres,
                    "expert's (ml)": measures["reference_voxels"] * millilitres,
                }
            )
        if len(rows) == len(mask.names):  # the first case
            figure = vs.plot.slices(image, {"model": mask, "expert": expert})
            figure.savefig(output / "first_case.png", dpi=150, bbox_inches="tight")
    table = pd.DataFrame(rows).set_index(["case", "part"])
    table.to_csv(output / "measures.csv")
    print(table.round(3).to_string())
    print("\nMean of the cases\n" + table.groupby("part").mean().round(3).to_string())
    print(f"\n{output}: masks, measures.csv, first_case.png")


if __name__ == "__main__":
    main()
