"""What a report draws of the suite `modes`: the points beside the means of their mixture, how often each mode
was met, and what was published."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from creuset.reporting.blocks import Block, Figure, Text
from creuset.reporting.charts import Axis, LineChart, ScatterChart, Series

_KINDS = ("generated", "mean of a mode")


def mode_blocks(document: Mapping[str, Any]) -> list[Block]:
    """Figures and a note for a document of the suite `modes`."""
    details = document["details"]
    blocks: list[Block] = []
    if "points" in details:
        points, means = np.array(details["points"]), np.array(details["means"])
        kinds = np.repeat([0, 1], [len(points), len(means)])
        chart = ScatterChart(
            title="generated points beside the means of the mixture",
            points=np.concatenate([points, means]),
            x=Axis(label=details["columns"][0]),
            y=Axis(label=details["columns"][1]),
            labels=kinds,
            class_names=_KINDS,
        )
        caption = (
            f"{len(points):,} generated points, none left out, and the {len(means)} means of the mixture."
        )
        blocks.append(Figure(drawing=chart, caption=caption))
    counts = np.sort(np.array(details["counts"]))[::-1]
    ranks = np.arange(1, len(counts) + 1)
    even = float(counts.sum()) / len(counts)
    counted = LineChart(
        title="samples of each mode",
        series=[
            Series(name="generated", x=ranks.tolist(), y=counts.tolist()),
            Series(name="even", x=[1, len(counts)], y=[even, even]),
        ],
        x=Axis(label="mode, from the most to the least frequent"),
        y=Axis(label="samples of high quality"),
    )
    caption = "How often each mode was met, and how often it would be if all were met alike."
    blocks.append(Figure(drawing=counted, caption=caption))
    blocks.append(Text(text=f"Published, with as many samples: {'; '.join(details['published'])}."))
    return blocks
