"""Arming, patience, and what the bands make of signals."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from creuset.recipe.collapse import CollapseConfig
from creuset.training.adversary_bands import Bands
from creuset.training.collapse import Alarm, CollapseWatch, Reading, standard_score, steps_between

CALIBRATION = {
    "spread": (1.0, 0.01),
    "deviation": (1.0, 0.01),
    "modes": (1.0, 0.05),
    "near_duplicates": (0.05, 0.02),
    "coverage": (0.97, 0.01),
    "recall": (0.97, 0.01),
    "realism": (0.95, 0.01),
    "cells": (0.0, 0.01),
}
HEALTHY = {
    "spread": 0.98,
    "deviation": 0.99,
    "modes": 0.9,
    "near_duplicates": 0.1,
    "cells": 0.03,
    "realism": 0.9,
    "accuracy": 0.55,
    "copies": 0.05,
    "copies_z": 1.0,
    "critic_gap": 0.52,
}


class Scripted:
    """A looker whose one signal is given: "h" healthy, "b" bad, "." between them."""

    calibration: Mapping[str, tuple[float, float]] = {}
    limits: Mapping[str, float] = {"spread": 0.5}

    def __init__(self, script: str) -> None:
        self.script = script

    def look(self, step: int) -> dict[str, float]:
        return {"spread": {"h": 1.0, "b": 0.1, ".": 0.6}[self.script[step - 1]]}

    def judge(self, values: Mapping[str, float], been_healthy: frozenset[str]) -> Sequence[Reading]:
        value = values["spread"]
        return [
            Reading(
                signal="spread",
                cause="diversity loss",
                value=value,
                limit=0.5,
                z=9.0,
                severity=9.0,
                healthy=value == 1,
                bad=value == 0.1,
            )
        ]


def alarms(script: str, num_steps: int = 100) -> list[Alarm]:
    config = CollapseConfig(check_every=1, patience=3)
    watch = CollapseWatch(Scripted(script), config, num_steps)
    found = []
    for step in range(1, len(script) + 1):
        found += watch.judge(step, watch.look(step))
        state = watch.state()
        watch = CollapseWatch(Scripted(script), config, num_steps)  # as a resume does
        watch.restore(state)
    return found


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("hhhbbb", [(6, 4)]),
        ("hhhbbbbbb", [(6, 4)]),  # one alarm a cause
        ("hhhbbhbbb", [(9, 7)]),  # a break begins anew
        ("hhbbbbbb", []),  # not armed: healthy at two checks only
        ("bbbbbb", []),
        ("hhh......", []),
        ("b" * 19 + "bbbb", [(23, 1)]),  # armed after 20 of 100 steps; bad from the first one on
        ("." * 20 + "bbb", [(23, 21)]),
    ],
)
def test_an_alarm_needs_an_armed_signal_and_patience(script: str, expected: list[tuple[int, int]]) -> None:
    assert [(alarm.step, alarm.began) for alarm in alarms(script)] == expected


def test_a_check_with_nothing_bad_is_healthy() -> None:
    watch = CollapseWatch(Scripted("h.b"), CollapseConfig(check_every=1), 100)
    seen = [watch.is_healthy]
    for step in (1, 2, 3):
        watch.judge(step, watch.look(step))
        seen.append(watch.is_healthy)
    assert seen == [False, True, True, False]


def bad(
    been_healthy: frozenset[str] = frozenset({"spread"}), untrained_spread: float = 0.5, **changed: float
) -> list[tuple[str, str]]:
    bands = Bands(calibration=CALIBRATION, gap_deviation=0.03, untrained_spread=untrained_spread)
    readings = bands.judge({**HEALTHY, **changed}, been_healthy)
    return [(one.signal, one.cause) for one in readings if one.bad]


def test_what_the_bands_name() -> None:
    assert bad() == []
    assert bad(spread=0.2) == [("spread", "diversity loss")]
    assert bad(cells=0.6) == [("cells", "diversity loss")]
    assert bad(critic_gap=0.95) == [("critic_gap", "memorising")]
    assert bad(copies=0.8, copies_z=8.0) == [("copies", "memorising")]
    assert bad(copies=0.8, copies_z=2.0) == []  # beyond the limit, but not clearly so
    unlike = {"realism": 0.01, "cells": 2.0}
    assert bad(accuracy=0.5) == []  # an equilibrium
    assert bad(accuracy=0.5, realism=0.01) == []  # near all modes, narrow ones
    assert bad(accuracy=0.52, **unlike)[0] == ("critic_vanishes", "critic vanishes")
    assert bad(accuracy=0.999, **unlike)[0] == ("critic_wins", "critic wins")
    assert bad(accuracy=0.999, realism=0.8) == []  # it wins, and samples look real
    assert bad(accuracy=0.999, spread=0.1, **unlike)[0] == ("spread", "diversity loss")
    never = frozenset[str]()
    assert bad(never, accuracy=0.999, spread=0.2, **unlike)[0] == ("critic_wins", "critic wins")
    assert bad(never, accuracy=0.999, spread=0.01, **unlike)[0] == ("spread", "diversity loss")
    near_its_start = bad(never, untrained_spread=0.015, accuracy=0.999, spread=0.01, **unlike)
    assert near_its_start[0] == ("critic_wins", "critic wins")


@pytest.mark.parametrize(
    ("factor", "scatter", "number"),
    [(0.95, 0.0, 0), (0.99, 0.0, 1), (1.0, 0.0, 1), (1.05, 0.0, 1), (0.95, 0.15, 0), (1.0, 0.04, 1)],
)
def test_what_was_never_healthy_but_gets_better_is_no_collapse(
    factor: float, scatter: float, number: int
) -> None:
    class Moving(Scripted):
        def judge(self, values: Mapping[str, float], been_healthy: frozenset[str]) -> Sequence[Reading]:
            return [replace(one, severity=values["severity"]) for one in super().judge(values, been_healthy)]

    watch = CollapseWatch(Moving(""), CollapseConfig(check_every=1, patience=4), 100)
    severities = [1000 * factor**step * (1 + scatter * (-1) ** step) for step in range(1, 41)]
    found = [watch.judge(step, {"spread": 0.1, "severity": one}) for step, one in enumerate(severities, 1)]
    assert sum(map(len, found)) == number


class Explained(Scripted):
    """Two signals that are bad together, the first of which accounts for the other."""

    def judge(self, values: Mapping[str, float], been_healthy: frozenset[str]) -> Sequence[Reading]:
        (reading,) = super().judge(values, been_healthy)
        wins = replace(reading, signal="critic_wins", cause="critic wins", explains="diversity loss")
        return [wins, reading]


def test_a_cause_that_another_one_explains_is_not_named() -> None:
    watch = CollapseWatch(Explained("hhhbbbbb"), CollapseConfig(check_every=1, patience=3), 100)
    found = [alarm for step in range(1, 9) for alarm in watch.judge(step, watch.look(step))]
    assert [(alarm.cause, alarm.step) for alarm in found] == [("critic wins", 6)]


def test_likeness_counts_only_once_it_was_in_order() -> None:
    bands = Bands(calibration=CALIBRATION, gap_deviation=0.03, untrained_spread=0.5)
    early = {one.signal: one.early for one in bands.judge(HEALTHY, frozenset())}
    assert [name for name, is_early in early.items() if not is_early] == ["modes", "near_duplicates"]

    class Late(Scripted):
        def judge(self, values: Mapping[str, float], been_healthy: frozenset[str]) -> Sequence[Reading]:
            return [replace(one, early=False) for one in super().judge(values, been_healthy)]

    for script, number in (("b" * 40, 0), ("b" * 25 + "hhhbbb", 1)):
        watch = CollapseWatch(Late(script), CollapseConfig(check_every=1, patience=3), 100)
        found = [watch.judge(step, watch.look(step)) for step in range(1, len(script) + 1)]
        assert sum(map(len, found)) == number


def test_without_held_out_samples_nothing_is_said_of_memorising() -> None:
    bands = Bands(calibration=CALIBRATION, gap_deviation=None, untrained_spread=0.5)
    values = {name: value for name, value in HEALTHY.items() if name not in ("copies", "critic_gap")}
    assert {one.cause for one in bands.judge(values, frozenset())} == {
        "diversity loss",
        "critic wins",
        "critic vanishes",
    }


def test_steps_between_checks_follow_from_the_number_of_steps() -> None:
    assert [steps_between(CollapseConfig(), number) for number in (400, 5000, 40_000)] == [100, 100, 400]
    assert steps_between(CollapseConfig(check_every=7), 40_000) == 7


def test_scores_are_finite() -> None:
    assert standard_score(3.0, 1.0, 0.5) == 4
    assert standard_score(1.0, 1.0, 0.0) == 0
    assert standard_score(2.0, 1.0, 0.0) == 1e6


def test_an_explained_cause_is_not_named_later_either() -> None:
    class Lagging(Explained):
        """The second signal goes bad two checks after the one that accounts for it."""

        def judge(self, values: Mapping[str, float], been_healthy: frozenset[str]) -> Sequence[Reading]:
            wins, reading = super().judge(values, been_healthy)
            late = values["step"] < 8
            return [wins, replace(reading, bad=reading.bad and not late, healthy=late)]

    watch = CollapseWatch(Lagging("hhhbbbbbbbb"), CollapseConfig(check_every=1, patience=3), 100)
    found = [
        alarm for step in range(1, 12) for alarm in watch.judge(step, {**watch.look(step), "step": step})
    ]
    assert [(alarm.cause, alarm.step) for alarm in found] == [("critic wins", 6)]


@pytest.mark.parametrize(("cells", "number"), [(0.0, 1), (-0.1, 0)])
def test_a_critic_that_wins_is_no_alarm_while_samples_come_nearer(cells: float, number: int) -> None:
    class Slow(Scripted):
        def judge(self, values: Mapping[str, float], been_healthy: frozenset[str]) -> Sequence[Reading]:
            return list(bands.judge(values, been_healthy))

    bands = Bands(calibration=CALIBRATION, gap_deviation=0.03, untrained_spread=0.5)
    watch = CollapseWatch(Slow(""), CollapseConfig(check_every=1, patience=4), 20)
    values = {**HEALTHY, "accuracy": 0.999, "realism": 0.01, "spread": 0.2}
    found = [
        alarm for step in range(1, 21) for alarm in watch.judge(step, {**values, "cells": 3.0 + cells * step})
    ]
    assert [alarm.cause for alarm in found] == ["critic wins"] * number


def test_what_another_creuset_remembered_is_left_out() -> None:
    watch = CollapseWatch(Scripted("hhhbbb"), CollapseConfig(check_every=1, patience=3), 100)
    for step in range(1, 6):
        watch.judge(step, watch.look(step))
    state = watch.state()
    state["signals"]["spread"]["scores"] = [1.0]
    del state["signals"]["spread"]["severities"]
    again = CollapseWatch(Scripted("hhhbbb"), CollapseConfig(check_every=1, patience=3), 100)
    again.restore(state)
    assert [alarm.step for alarm in again.judge(6, again.look(6))] == [6]
