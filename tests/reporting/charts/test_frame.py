from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from creuset.reporting.charts.frame import fitting_ticks, legend, not_drawn, spread
from creuset.reporting.charts.scales import Scale, value_range
from creuset.reporting.svg import drawing, text_width


@given(st.lists(st.floats(-50, 250), min_size=1, max_size=12))
def test_spread_keeps_order_distance_and_bounds(wanted: list[float]) -> None:
    placed = spread(wanted, low=0, high=200, spacing=15)
    order = sorted(range(len(wanted)), key=lambda i: (wanted[i], i))
    assert all(-1e-6 <= y <= 200 + 1e-6 for y in placed)
    assert all(placed[b] - placed[a] >= 15 - 1e-6 for a, b in pairwise(order))


def test_spread_moves_only_what_collides() -> None:
    assert spread([10, 100, 100], low=0, high=200, spacing=20) == [10, 90, 110]
    assert spread([0, 0, 0], low=0, high=20, spacing=20) == [0, 10, 20]
    assert spread([], low=0, high=20) == []


@given(st.floats(-1e9, 1e9), st.floats(-1e9, 1e9), st.floats(60, 800))
def test_tick_labels_do_not_touch(a: float, b: float, length: float) -> None:
    low, high = value_range([a, b])
    scale = Scale(low=low, high=high, start=0, stop=length)
    ends = [(scale(t.value), text_width(t.text) / 2) for t in fitting_ticks(scale, 70)]
    assert all(b - a >= wa + wb for (a, wa), (b, wb) in pairwise(ends))


@given(st.lists(st.text(max_size=80), max_size=12), st.sampled_from([200, 352, 720]))
def test_legend_fits(parse: type[Any], names: list[str], width: int) -> None:
    body, height = legend([(name, Markup()) for name in names], left=0, top=0, width=width)
    svg = drawing(body, width=width, height=max(height, 1), key="k", title="t", description="d")
    parse(svg).check_texts()


def test_what_is_not_drawn_is_said() -> None:
    assert not_drawn(0, 10, log=True) == []
    assert not_drawn(3, 1234, log=False) == ["3 of 1,234 values are not drawn: not finite."]
