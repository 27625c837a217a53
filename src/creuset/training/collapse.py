"""The collapse alarm: which signals are armed, since when one is bad, and when that is worth an alarm.

At each check a looker (adversary_watch.py, latent_watch.py) measures its signals, and judges each as
healthy, bad, or between the two. A signal is armed once it was healthy at `patience` checks in a row, or
after 20% of the steps; it raises the alarm when it was bad at `patience` checks in a row, all of them since
it was armed. One that was never healthy, but gets better, raises none: a model that learns slowly is not
collapsing. Each cause raises one alarm. All of it follows from (recipe, seed, step), and what is
remembered between checks lies in checkpoints.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from statistics import mean
from typing import Any, Protocol

from creuset.recipe.collapse import CollapseConfig
from creuset.recipe.remedy import Cause

ARMED_AFTER = 0.2
"""Share of the steps after which a signal is armed that was never healthy."""
_CHECKS = 100
_LEAST_STEPS = 100
"""Default steps between checks: a hundredth of the training, or so many."""
_NEARER = 0.9
"""Share of its severity of earlier checks, `patience` at most, at which a signal is getting better."""
_MOST = 1e6
"""Scores are cut there: JSON has no infinity."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A signal at a check.

    Args:
        signal: Its name.
        cause: What collapses where it is bad.
        value: What was measured.
        limit: The value beyond which it is bad.
        z: By how many standard deviations it is worse than real samples are, cut at a million; 0 of a signal
            that has no real counterpart.
        severity: How far from health it is, to be compared with itself at other checks; above 0 where it is
            bad.
        healthy: Whether it is as in health.
        bad: Whether it is beyond its limit, and clearly so.
        explains: Another cause, whose signals are bad for the same reason.
        early: Whether it is armed after 20% of the steps though it was never healthy.
    """

    signal: str
    cause: Cause
    value: float
    limit: float
    z: float
    severity: float
    healthy: bool
    bad: bool
    explains: Cause | None = None
    early: bool = True


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """A collapse: what, by which signal, since when.

    Args:
        cause: What collapses.
        signal: The signal that was bad for the longest time.
        value, limit, z: See `Reading`.
        step: The check that raised the alarm.
        began: The first of the checks at which the signal was bad without a break.
    """

    cause: Cause
    signal: str
    value: float
    limit: float
    z: float
    step: int
    began: int


class Looker(Protocol):
    """Measures and judges the signals of one kind of model."""

    calibration: Mapping[str, tuple[float, float]]
    """Signal -> its mean and standard deviation in health, measured before training."""
    limits: Mapping[str, float]
    """Signal -> the value beyond which it is bad."""

    def look(self, step: int) -> dict[str, float]:
        """Every signal after a training step, without a trace in the model."""

    def judge(self, values: Mapping[str, float], been_healthy: frozenset[str]) -> Sequence[Reading]:
        """The signals that can raise an alarm, those that explain others first.

        Args:
            values: What `look` measured.
            been_healthy: Signals that were healthy at some check.
        """


@dataclass
class _Memory:
    """What is remembered of a signal between checks."""

    armed: bool = False
    been_healthy: bool = False
    healthy_checks: int = 0
    bad_checks: int = 0
    bad_checks_armed: int = 0
    began: int = 0
    severities: list[float] = field(default_factory=list)

    @property
    def is_recovering(self) -> bool:
        """Whether a signal that was never healthy is on its way: nearer by a tenth in the newer half of the
        checks that are remembered. Single checks are no measure of it: they scatter by more than that."""
        half = len(self.severities) // 2
        before, now = self.severities[:half], self.severities[half:]
        return not self.been_healthy and bool(before) and mean(now) <= _NEARER * mean(before)


class CollapseWatch:
    """Watches a training by one looker.

    Args:
        looker: Measures the signals.
        config: The recipe's section.
        num_steps: Of the training.
    """

    def __init__(self, looker: Looker, config: CollapseConfig, num_steps: int) -> None:
        self._looker = looker
        self._patience = config.patience
        self.every = steps_between(config, num_steps)
        self._armed_after = ARMED_AFTER * num_steps
        self._memory: dict[str, _Memory] = {}
        self._raised: set[str] = set()

    def calibration(self) -> dict[str, float]:
        """Mean and standard deviation of each calibrated signal in health, and limits, for the journal."""
        health = {
            f"{name}_{what}": value
            for name, pair in self._looker.calibration.items()
            for what, value in zip(("mean", "sd"), pair, strict=True)
        }
        return health | {f"{name}_limit": value for name, value in self._looker.limits.items()}

    def look(self, step: int) -> dict[str, float]:
        """Every signal after a training step."""
        return self._looker.look(step)

    def judge(self, step: int, values: Mapping[str, float]) -> list[Alarm]:
        """The alarms that a check raises, the one to act on first."""
        been_healthy = frozenset(name for name, one in self._memory.items() if one.been_healthy)
        readings = self._looker.judge(values, been_healthy)
        for reading in readings:
            self._remember(step, reading)
        found: dict[str, Alarm] = {}
        explained: set[str] = set()
        for reading in readings:
            memory = self._memory[reading.signal]
            lasts = memory.bad_checks_armed >= self._patience
            if reading.explains is not None and lasts:
                explained.add(reading.explains)
            if lasts and not memory.is_recovering and reading.cause not in self._raised:
                known = found.get(reading.cause)
                if known is None or memory.began < known.began:
                    found[reading.cause] = _alarm(step, reading, memory)
        found = {cause: alarm for cause, alarm in found.items() if cause not in explained}
        self._raised |= found.keys()
        return list(found.values())

    def _remember(self, step: int, reading: Reading) -> None:
        memory = self._memory.setdefault(reading.signal, _Memory())
        memory.healthy_checks = memory.healthy_checks + 1 if reading.healthy else 0
        memory.been_healthy |= reading.healthy
        if reading.bad and not memory.bad_checks:
            memory.began = step
        memory.severities = [*memory.severities, reading.severity][-2 * self._patience :]
        memory.bad_checks = memory.bad_checks + 1 if reading.bad else 0
        memory.bad_checks_armed = memory.bad_checks_armed + 1 if reading.bad and memory.armed else 0
        is_late = reading.early and step >= self._armed_after
        memory.armed |= memory.healthy_checks >= self._patience or is_late

    @property
    def is_healthy(self) -> bool:
        """Whether a check was made, and nothing was bad at the last one."""
        return bool(self._memory) and not any(memory.bad_checks for memory in self._memory.values())

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps of it, as JSON."""
        memory = {name: asdict(one) for name, one in self._memory.items()}
        return {"signals": memory, "raised": sorted(self._raised)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on from what `state` gave."""
        known = {one.name for one in fields(_Memory)}  # another creuset may have kept other things
        self._memory = {
            name: _Memory(**{key: value for key, value in one.items() if key in known})
            for name, one in state["signals"].items()
        }
        self._raised = set(state["raised"])


def steps_between(config: CollapseConfig, num_steps: int) -> int:
    """Training steps between checks of a training of `num_steps`."""
    return max(_LEAST_STEPS, num_steps // _CHECKS) if config.check_every is None else config.check_every


def _alarm(step: int, reading: Reading, memory: _Memory) -> Alarm:
    return Alarm(
        cause=reading.cause,
        signal=reading.signal,
        value=reading.value,
        limit=reading.limit,
        z=reading.z,
        step=step,
        began=memory.began,
    )


def standard_score(value: float, mean: float, deviation: float) -> float:
    """(value - mean) / deviation, cut at a million either way."""
    if deviation <= 0:
        return 0.0 if value == mean else math.copysign(_MOST, value - mean)
    return max(-_MOST, min(_MOST, (value - mean) / deviation))
