"""When a signal of a generator and its critic is healthy, when it is bad, and what that means.

Each limit is an effect beside real samples: a share of what they reach, or a difference from it. Between
healthy and bad is room, so that a signal that wavers raises nothing. The values were chosen on trainings of
points and digits, healthy and forced to collapse, with seeds from 100 on (docs/collapse.md); they are
creuset's own.

    diversity loss    spread, deviation, modes or near duplicates say that samples are too like each other; or
                      they fall into too few cells, or reach too few real samples, while they look real
    critic wins       the critic tells almost every sample, and none looks real
    critic vanishes   the critic tells nothing, though hardly any sample looks real
    memorising        samples lie at training samples, or the critic knows those from held-out ones
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from creuset.training.collapse import Reading, standard_score

CLEAR = 5.0
"""Standard deviations that a bad signal is worse than real samples at least."""


@dataclass(frozen=True, kw_only=True)
class Band:
    """Of one signal.

    Args:
        healthy: The effect up to which, or from which on, it is healthy.
        bad: The effect beyond which it is bad.
        ratio: Whether the effect is the value divided by that of real samples, else the difference.
    """

    healthy: float
    bad: float
    ratio: bool


VARIETY: Mapping[str, Band] = {
    "spread": Band(healthy=0.7, bad=0.5, ratio=True),
    "deviation": Band(healthy=0.7, bad=0.5, ratio=True),
    "modes": Band(healthy=0.5, bad=0.25, ratio=True),
    "near_duplicates": Band(healthy=0.3, bad=0.7, ratio=False),
    "cells": Band(healthy=0.2, bad=0.45, ratio=False),
}
"""Effects that fall where variety is lost, and rise of the last two."""
_SAY_LITTLE_EARLY = frozenset({"modes", "near_duplicates"})
"""Smooth first pictures are near to each other: these count only once they were in order."""
COPIES = Band(healthy=0.25, bad=0.4, ratio=False)
GAP = Band(healthy=0.65, bad=0.75, ratio=False)
"""Of `critic_gap` itself."""
_UNLIKE, _LIKE = 0.1, 0.3
"""Share of what real samples reach in `realism` below which samples are unlike the data, and from which on
they are like it. Narrow modes are missed for long: samples in the right cells are like the data."""
_WINS, _CONTEST = 0.98, 0.9
_MOVED, _VARIED = 0.5, 0.1
"""Of the spread that the generator began with, and of that of real samples: below both it has collapsed,
and did not merely learn nothing."""
_TELLS_NOTHING = 0.1
"""Distance of `accuracy` from .5."""


@dataclass(frozen=True, kw_only=True)
class Bands:
    """The bands beside what real samples reach.

    Args:
        calibration: Signal -> mean and standard deviation between real samples.
        gap_deviation: Of `critic_gap` for a critic that knows no sample; None without held-out samples.
        untrained_spread: Of the generator before the first step.
    """

    calibration: Mapping[str, tuple[float, float]]
    gap_deviation: float | None
    untrained_spread: float

    def limits(self) -> dict[str, float]:
        """The value of each signal beyond which it is bad."""
        found = {name: self._limit(name, band) for name, band in VARIETY.items()}
        if self.gap_deviation is not None:
            found |= {"copies": COPIES.bad, "critic_gap": GAP.bad}
        return found

    def _limit(self, signal: str, band: Band) -> float:
        mean = self.calibration[signal][0]
        return mean * band.bad if band.ratio else mean + band.bad

    def judge(self, values: Mapping[str, float], been_healthy: frozenset[str]) -> Iterator[Reading]:
        """Readings of all signals; those that explain others come first."""
        realism = values["realism"] / self.calibration["realism"][0]
        varied = [self._variety(name, band, values[name]) for name, band in VARIETY.items()]
        misplaced = any(one.bad for one in varied if one.signal == "cells")
        unlike, like = realism < _UNLIKE and misplaced, realism >= _LIKE or not misplaced
        accuracy = values["accuracy"]
        spread = values["spread"] / self.calibration["spread"][0]
        unmoved = values["spread"] >= _MOVED * self.untrained_spread or spread >= _VARIED
        never_varied = "spread" not in been_healthy and unmoved
        is_like_itself = any(one.bad for one in varied if one.signal != "cells")
        wins = accuracy >= _WINS and unlike and (never_varied or not is_like_itself)
        misplaced_by = next(one.severity for one in varied if one.signal == "cells")
        vanished = abs(accuracy - 0.5) <= _TELLS_NOTHING and unlike
        yield Reading(
            signal="critic_vanishes",
            cause="critic vanishes",
            value=accuracy,
            limit=0.5 + _TELLS_NOTHING,
            z=0.0,
            severity=misplaced_by,
            healthy=like and not vanished,
            bad=vanished,
            explains="diversity loss",
        )
        yield Reading(
            signal="critic_wins",
            cause="critic wins",
            value=accuracy,
            limit=_WINS,
            z=0.0,
            severity=misplaced_by,
            healthy=(accuracy < _CONTEST or like) and not wins,
            bad=wins,
            explains="diversity loss",
        )
        yield from varied
        if self.gap_deviation is None:
            return
        share, z = values["copies"], values["copies_z"]
        yield Reading(
            signal="copies",
            cause="memorising",
            value=share,
            limit=COPIES.bad,
            z=standard_score(z, 0.0, 1.0),
            severity=share,
            healthy=share <= COPIES.healthy,
            bad=share > COPIES.bad and z >= CLEAR,
        )
        gap = values["critic_gap"]
        z = standard_score(gap, 0.5, self.gap_deviation)
        yield Reading(
            signal="critic_gap",
            cause="memorising",
            value=gap,
            limit=GAP.bad,
            z=z,
            severity=gap - 0.5,
            healthy=gap <= GAP.healthy,
            bad=gap > GAP.bad and z >= CLEAR,
        )

    def _variety(self, name: str, band: Band, value: float) -> Reading:
        mean, deviation = self.calibration[name]
        limit, edge = self._limit(name, band), mean * band.healthy if band.ratio else mean + band.healthy
        z = standard_score(mean, value, deviation) if band.ratio else standard_score(value, mean, deviation)
        beyond, within = (value < limit, value >= edge) if band.ratio else (value > limit, value <= edge)
        return Reading(
            signal=name,
            cause="diversity loss",
            value=value,
            limit=limit,
            z=z,
            severity=z,
            healthy=within,
            bad=beyond and z >= CLEAR,
            early=name not in _SAY_LITTLE_EARLY,
        )
