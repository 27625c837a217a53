"""Growth that is known is found again, on a clock that only work moves."""

from collections.abc import Callable

import pytest

from creuset.workflows import extrapolate
from creuset.workflows.extrapolate import Cost, Growth, growing, line, power_law


class Clock:
    """Stands still but for work: a law of the samples, and what the first call takes besides."""

    def __init__(self, law: Callable[[int], float], first: float = 0.0) -> None:
        self.now = 0.0
        self.law, self.first = law, first
        self.sizes: list[int] = []

    def perf_counter(self) -> float:
        return self.now

    def work(self, size: int) -> None:
        self.now += self.law(size) + (self.first if not self.sizes else 0.0)
        self.sizes.append(size)


def measured(clock: Clock, whole: int, seconds: float, growth: float, patch: pytest.MonkeyPatch) -> Growth:
    patch.setattr(extrapolate, "time", clock)
    return growing(clock.work, whole, seconds, worst_growth=growth)


def test_parts_grow_until_the_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(lambda size: size / 1000, first=7.0)
    found = measured(clock, 6400, 2.0, 2.0, monkeypatch)
    assert clock.sizes == [200, 200, 400, 800]  # 1,600 more would end after three seconds
    assert found.overhead == pytest.approx(7.0)
    assert [size for size, _ in found.timings] == [200, 400, 800]
    assert clock.now - 7.0 - 0.2 <= 2.0


def test_what_fits_is_measured_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(lambda size: 1e-6 * size**2, first=3.0)
    found = measured(clock, 300, 5.0, 8.0, monkeypatch)
    assert clock.sizes[-1] == 300
    cost, text = power_law(found)
    assert cost.middle == pytest.approx(0.09 + 3.0)
    assert (cost.low, cost.high) == (cost.middle, cost.middle)
    assert text == "the fit was measured whole, on 300 samples"
    assert line(found) == cost


@pytest.mark.parametrize("power", [1.0, 1.7, 2.6])
def test_a_power_is_found(power: float, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(lambda size: 1e-6 * size**power, first=0.5)
    found = measured(clock, 60_000, 20 * 1e-6 * 1875**power, 8.0, monkeypatch)
    assert 2 <= len(found.timings) < 6
    cost, text = power_law(found)
    assert cost.middle == pytest.approx(1e-6 * 60_000**power + 0.5)
    assert cost.low == pytest.approx(cost.middle)
    assert f"n to the power of {power:.2f}" in text


def test_uneven_growth_gives_a_range() -> None:
    growth = Growth(overhead=0.0, timings=((100, 1.0), (200, 2.0), (400, 8.0), (800, 16.0)), whole=1600)
    cost, text = power_law(growth)
    assert (cost.low, cost.high) == (pytest.approx(32.0), pytest.approx(64.0))
    assert cost.low < cost.middle < cost.high
    assert "(1.00 to 2.00)" in text


def test_one_part_alone_is_called_a_guess() -> None:
    cost, text = power_law(Growth(overhead=1.0, timings=((100, 1.0),), whole=200))
    assert (cost.low, cost.middle, cost.high) == (3.0, 5.0, 9.0)
    assert "its growth is a guess" in text


def test_a_fixed_part_is_told_from_that_of_each_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(lambda size: 1.0 + size / 1000, first=0.25)
    found = measured(clock, 8000, 6.0, 2.0, monkeypatch)
    assert found.timings[-1][0] < 8000
    cost = line(found)
    assert cost.middle == pytest.approx(9.0 + 0.25)
    assert cost.low < cost.middle < cost.high
    # parts that take equally long, within noise, are not extrapolated to less than they take
    falling = Growth(overhead=0.0, timings=((100, 2.0), (200, 1.5)), whole=400)
    assert line(falling) == Cost(middle=1.5, low=1.5, high=3.0)


def test_steps_add_up_by_their_mean() -> None:
    cost = Cost.of_steps([1.0] * 9 + [11.0])
    assert cost.middle == 2.0
    assert cost.low == 1.0
    assert cost.high == pytest.approx(2.0)
    assert (cost * 10).middle == 20.0
    assert sum([cost, cost], Cost.exactly(0.0)).middle == 4.0
