"""The colours of charts.css: told from the paper, and from each other, also with colour blindness."""

import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

import creuset.reporting.charts
from creuset.reporting.charts.frame import NUM_COLOURS

CSS = (Path(creuset.reporting.charts.__file__).parent / "charts.css").read_text(encoding="utf-8")
NAME = re.compile(r"--([\w-]+): (#[0-9a-f]{6})")
LIGHT, DARK = (dict(NAME.findall(block)) for block in re.findall(r":root \{(.*?)\}", CSS, flags=re.DOTALL))

# Machado, Oliveira and Fernandes (2009), severity 1, on linear sRGB.
BLINDNESS = {
    "none": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


def linear(colour: str) -> np.ndarray:
    values = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    """WCAG 2 contrast ratio."""
    a, b = sorted(float(linear(colour) @ [0.2126, 0.7152, 0.0722]) for colour in (one, other))
    return (b + 0.05) / (a + 0.05)


def oklab(rgb: np.ndarray) -> np.ndarray:
    """Linear sRGB to Oklab (Ottosson 2020), where distances are about as large as they look."""
    cones = np.array(
        [
            [0.4122214708, 0.5363325363, 0.0514459929],
            [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005],
        ]
    )
    opponents = np.array(
        [
            [0.2104542553, 0.7936177850, -0.0040720468],
            [1.9779984951, -2.4285922050, 0.4505937099],
            [0.0259040371, 0.7827717662, -0.8086757660],
        ]
    )
    return opponents @ np.cbrt(cones @ rgb)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_every_colour_stands_out_from_the_paper(theme: dict[str, str]) -> None:
    paper = theme["paper"]
    for name in ("ink", "muted", "accent"):
        assert contrast(theme[name], paper) >= 4.5, name
    for index in range(NUM_COLOURS):
        assert contrast(theme[f"series-{index}"], paper) >= 3, index


@pytest.mark.parametrize("kind", BLINDNESS)
@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_colours_differ_for_every_eye(theme: dict[str, str], kind: str) -> None:
    seen = [
        oklab(np.clip(np.array(BLINDNESS[kind]) @ linear(theme[f"series-{i}"]), 0, 1))
        for i in range(NUM_COLOURS)
    ]
    for (i, one), (j, other) in combinations(enumerate(seen), 2):
        # The first six, which most charts get by with, are further apart than all ten can be.
        assert np.linalg.norm(one - other) >= (0.085 if j < 6 else 0.06), (i, j)


def test_both_themes_define_the_same_colours() -> None:
    assert set(LIGHT) == set(DARK)
    assert sum(name.startswith("series-") for name in LIGHT) == NUM_COLOURS
    assert all(f".s{index} {{ --c:" in CSS for index in range(NUM_COLOURS))
