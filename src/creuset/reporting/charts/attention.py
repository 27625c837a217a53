"""Attention as something to look at: a grid of small heat maps, a row for each layer, a column for each head.

All maps share one scale of shades from 0 to 1, so that equal shades are equal weights everywhere. Tokens are
written at the first map of each row and above the first row, as many as there is room for; where that is not
all of them, they are listed below in their order.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from creuset.errors import UsageError
from creuset.reporting.charts.frame import LINE_HEIGHT, WIDE, not_drawn, note_lines
from creuset.reporting.charts.heatmap import NUM_SHADES, shade_key, shade_strokes
from creuset.reporting.numbers import number
from creuset.reporting.svg import FONT_SIZE, drawing, join, label, text_width

_LARGEST_CELL, _LARGEST_HEIGHT = 22, 700
"""Of one cell, and of all maps together, in pixels."""
_TOKEN_WIDTH = 60
"""Room for a token beside or above a map, in pixels."""
_ROUNDING = 0.01
"""By how much a weight in a short number format may pass 1."""
_GAP = 8


@dataclass(frozen=True, kw_only=True, eq=False)
class AttentionGrid:
    """The attention weights of several layers and heads for one text.

    Args:
        title: What the chart shows, for those who cannot see it.
        weights: (layers, heads, T, S) in [0, 1], the weight of each key for each query; what is not finite
            stays blank, is counted and said.
        tokens: The queries as people read them, T of them.
        keys: The keys, S of them; None where they are the queries.
        layer_numbers: The number of each layer that is shown, where not all are; () for 1, 2, 3, ...

    Raises:
        UsageError: Weights of another form or outside [0, 1], or another number of tokens or layers.
    """

    title: str
    weights: NDArray[Any]
    tokens: Sequence[str]
    keys: Sequence[str] | None = None
    layer_numbers: Sequence[int] = ()

    def __post_init__(self) -> None:
        if self.weights.ndim != 4 or 0 in self.weights.shape:
            raise UsageError(
                "an attention chart takes weights of layers and heads",
                where=self.title,
                got=self.weights.shape,
                expected="(layers, heads, queries, keys)",
            )
        finite = self.weights[np.isfinite(self.weights)]
        if finite.size and not (finite.min() >= 0 and finite.max() <= 1 + _ROUNDING):
            raise UsageError(
                "attention weights are shares",
                where=self.title,
                got=f"{finite.min():.4g} to {finite.max():.4g}",
                expected="0 to 1",
            )
        num_layers, _, num_queries, num_keys = self.weights.shape
        for what, found, expected in (
            ("query", len(self.tokens), num_queries),
            ("key", len(self.key_tokens), num_keys),
        ):
            if found != expected:
                raise UsageError(
                    f"each {what} needs a token", where=self.title, got=f"{found} tokens", expected=expected
                )
        if len(self.layer_numbers) not in (0, num_layers):
            raise UsageError(
                "each layer needs a number",
                where=self.title,
                got=f"{len(self.layer_numbers)} numbers",
                expected=num_layers,
            )

    @property
    def key_tokens(self) -> Sequence[str]:
        """The keys as people read them."""
        return self.tokens if self.keys is None else self.keys

    @property
    def numbers(self) -> Sequence[int]:
        """The number of each layer that is shown, from 1."""
        return self.layer_numbers or range(1, len(self.weights) + 1)

    def svg(self, *, width: int = WIDE, key: str = "chart") -> Markup:
        """The drawing, `width` pixels wide; `key` makes its ids its own within a document."""
        layout = _Layout(self, width)
        body = join(
            [
                shade_key(0.0, 1.0, "attention weight", top=2),
                label(0, 34, layout.heading, width=width),
                *_maps(self, layout),
                *_tokens(self, layout),
                note_lines(layout.notes, width=width, bottom=layout.height),
            ]
        )
        return drawing(
            body, width=width, height=layout.height, key=key, title=self.title, description=self.describe()
        )

    def describe(self) -> str:
        """The weights in words: how many, and where a head looks most at one token alone."""
        num_layers, num_heads, num_queries, num_keys = self.weights.shape
        text = (
            f"Attention weights of {num_layers} layers with {num_heads} heads each, for {num_queries} tokens"
        )
        text += "." if self.keys is None else f" that read {num_keys} others."
        means = np.nan_to_num(np.asarray(self.weights, dtype=np.float64)).max(axis=3).mean(axis=2)
        layer, head = divmod(int(means.argmax()), num_heads)
        mean = number(float(means[layer, head]), 3)
        return (
            f"{text} Most concentrated: layer {self.numbers[layer]}, head {head + 1}, "
            f"where a token's largest weight is {mean} on average."
        )


class _Layout:
    """Where everything of one AttentionGrid lies at one width, and the shade of each cell."""

    def __init__(self, chart: AttentionGrid, width: int) -> None:
        values = np.asarray(chart.weights, dtype=np.float64)
        finite = np.isfinite(values)
        num_layers, num_heads, num_rows, num_columns = values.shape
        shades = np.rint(np.where(finite, values, 0.0) * NUM_SHADES).astype(int)
        self.shades = np.minimum(shades, NUM_SHADES)

        widest = max((text_width(token) for token in (*chart.tokens, *chart.key_tokens)), default=0.0)
        names: float = min(widest, _TOKEN_WIDTH)
        self.left: float = names + 8
        across = (width - self.left - 2 - (num_heads - 1) * _GAP) / (num_heads * num_columns)
        self.cell: float = min(across, _LARGEST_HEIGHT / (num_layers * num_rows), _LARGEST_CELL)
        self.stride = math.ceil((FONT_SIZE + 2) / self.cell)
        self.names_width = names
        self.map_width: float = self.cell * num_columns
        self.map_height: float = self.cell * num_rows

        long = [_place(n, head, long=True) for n in chart.numbers for head in range(num_heads)]
        self.long = max(map(text_width, long)) <= self.map_width
        heading = "row: query, column: key"
        self.heading = heading if self.long else f"above each map: layer.head · {heading}"
        self.title_top = 44.0
        self.top: float = self.title_top + LINE_HEIGHT + names + 8
        self.row_step: float = self.map_height + LINE_HEIGHT + _GAP
        bottom = self.top + (num_layers - 1) * self.row_step + self.map_height
        self.notes = not_drawn(int((~finite).sum()), values.size, log=False)
        if self.stride > 1:
            what = "tokens" if chart.keys is None else "queries"
            self.notes += _listed(what, chart.tokens, width)
            self.notes += [] if chart.keys is None else _listed("keys", chart.keys, width)
        self.height = bottom + 6 + LINE_HEIGHT * len(self.notes)

    def x(self, head: int) -> float:
        """The left edge of a head's maps."""
        return self.left + head * (self.map_width + _GAP)

    def y(self, layer: int) -> float:
        """The upper edge of a layer's maps."""
        return self.top + layer * self.row_step


def _place(layer_number: int, head: int, *, long: bool) -> str:
    """What stands above a map."""
    return f"layer {layer_number}, head {head + 1}" if long else f"{layer_number}.{head + 1}"


def _maps(chart: AttentionGrid, layout: _Layout) -> list[Markup]:
    parts = []
    for layer, number_ in enumerate(chart.numbers):
        # Above the first row the tokens stand between a map and its title.
        title_y = layout.title_top + 10 if layer == 0 else layout.y(layer) - 6
        for head in range(chart.weights.shape[1]):
            x, name = layout.x(head), _place(number_, head, long=layout.long)
            parts.append(label(x, title_y, name, kind="tick", width=layout.map_width))
            shades = layout.shades[layer, head]
            parts.append(shade_strokes(shades, left=x, top=layout.y(layer), cell=layout.cell))
    return parts


def _tokens(chart: AttentionGrid, layout: _Layout) -> list[Markup]:
    """The queries beside the first map of each row, the keys above the first row, written upwards."""
    parts = []
    num_layers, num_heads = chart.weights.shape[:2]
    for layer in range(num_layers):
        for row in range(0, len(chart.tokens), layout.stride):
            y = layout.y(layer) + (row + 0.5) * layout.cell + 4
            name = chart.tokens[row]
            parts.append(label(layout.left - 6, y, name, anchor="end", kind="tick", width=layout.names_width))
    for head in range(num_heads):
        for column in range(0, len(chart.key_tokens), layout.stride):
            x = layout.x(head) + (column + 0.5) * layout.cell + 4
            name = chart.key_tokens[column]
            parts.append(label(x, layout.top - 5, name, kind="tick", width=layout.names_width, turned=True))
    return parts


def _listed(what: str, tokens: Sequence[str], width: float) -> list[str]:
    """All tokens in their order, as lines that fit into `width`."""
    lines, line = [], f"{what}:"
    for token in tokens:
        if text_width(f"{line} {token} ·") > width and line:
            lines.append(line)
            line = ""
        line = f"{line} {token} ·".lstrip()
    return [*lines, line.removesuffix(" ·")]
