"""The names of points, each beside its point, where there is room for it.

Names are placed one after another, the first ones first: right of the point, left of it, above, below, then
at the corners. A name lies over no other name and over no point; where all eight places are taken, the point
stays without one.

Source: the eight places and the greedy order: Christensen, Marks and Shieber 1995, "An Empirical Study of
Algorithms for Point-Feature Label Placement", section 3.1.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from creuset.reporting.charts.frame import Plot
from creuset.reporting.svg import FONT_SIZE, label, text_width

_GAP = 5.0
"""Pixels between a point and its name."""
_DOT = 3.0
"""Half the side of the square in which no name may stand around a point."""
_RISE, _FALL = 0.75 * FONT_SIZE, 0.25 * FONT_SIZE
"""How far letters reach above their base line, and below it."""
_PLACES = ((1, 0), (-1, 0), (0, -1), (0, 1), (1, -1), (-1, -1), (1, 1), (-1, 1))
"""Right, left, above, below, and the corners: signs of the steps in x and y, y growing downwards."""
_ANCHORS = {1: "start", 0: "middle", -1: "end"}


@dataclass(frozen=True, kw_only=True)
class PlacedName:
    """A name with its place: where it begins, ends or has its middle, by `anchor`, and its base line."""

    name: str
    x: float
    y: float
    anchor: str

    @property
    def box(self) -> NDArray[np.float64]:
        """Left, top, right, bottom, in pixels."""
        width = text_width(self.name)
        left = self.x - {"start": 0.0, "middle": width / 2, "end": width}[self.anchor]
        return np.array([left, self.y - _RISE, left + width, self.y + _FALL])


def place_names(pixels: NDArray[np.float64], names: Sequence[str], plot: Plot) -> list[PlacedName]:
    """The names that find room, in their order.

    Args:
        pixels: The points, (N, 2).
        names: One for each.
        plot: Beyond it no name is written.
    """
    dots = np.hstack([pixels - _DOT, pixels + _DOT])  # (N, 4)
    placed: list[PlacedName] = []
    boxes = np.empty((0, 4))
    for number, name in enumerate(names):
        others = np.vstack([boxes, np.delete(dots, number, axis=0)])
        for sign_x, sign_y in _PLACES:
            x, y = pixels[number]
            reach = _GAP if sign_x == 0 or sign_y == 0 else _GAP - 2
            base = y + sign_y * reach + {-1: -_FALL, 0: (_RISE - _FALL) / 2, 1: _RISE}[sign_y]
            one = PlacedName(name=name, x=x + sign_x * reach, y=base, anchor=_ANCHORS[sign_x])
            if _inside(one.box, plot) and not _overlaps(one.box, others):
                placed.append(one)
                boxes = np.vstack([boxes, one.box])
                break
    return placed


def drawn(names: Sequence[PlacedName]) -> list[Markup]:
    """The names as elements."""
    return [label(one.x, one.y, one.name, anchor=one.anchor) for one in names]


def _inside(box: NDArray[np.float64], plot: Plot) -> bool:
    left, top, right, bottom = box
    return bool(
        plot.x.start <= left and right <= plot.x.stop and plot.y.stop <= top and bottom <= plot.y.start
    )


def _overlaps(box: NDArray[np.float64], others: NDArray[np.float64]) -> bool:
    left, top, right, bottom = box
    apart = (
        (others[:, 2] <= left) | (others[:, 0] >= right) | (others[:, 3] <= top) | (others[:, 1] >= bottom)
    )
    return not bool(apart.all())
