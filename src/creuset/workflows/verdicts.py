"""What a comparison of systems with the first of them found, and the gate on it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from creuset.errors import GateError
from creuset.metrics.comparison import Comparison, correct_together
from creuset.progress import Progress

Test = tuple[str, Callable[[], Comparison]]
"""A system as it can be typed, and its comparison with the first one."""


@dataclass(frozen=True, kw_only=True)
class Verdicts(ABC):
    """Systems against a baseline.

    Args:
        baseline: The first system, as it can be typed.
        comparisons: (system, comparison with the baseline), system by system; corrected together.
        left_out: Metrics that all systems have and that are not compared: nothing that was kept gives the
            error of their difference, or they were not asked for.
        remarks: What the comparison left out, and why: whole sentences without a full stop.
    """

    kind: ClassVar[str]
    """What a system is called: "run" or "file"."""

    baseline: str
    comparisons: tuple[tuple[str, Comparison], ...]
    left_out: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    @abstractmethod
    def measured_on(self) -> str:
        """What all systems were measured on, in a few words."""

    def to_json(self) -> dict[str, Any]:
        """The wire form of `--json`."""
        return {
            "baseline": self.baseline,
            "comparisons": [{self.kind: name, **one.to_json()} for name, one in self.comparisons],
            "left_out": list(self.left_out),
        }


def tested(tests: Sequence[Test], progress: Progress) -> tuple[tuple[str, Comparison], ...]:
    """All comparisons, with p values corrected for being read together."""
    found: list[Comparison] = []
    progress.start("comparison", len(tests), "tests")
    for _, compare in tests:
        found.append(compare())
        progress.advance(len(found))
    progress.finish()
    systems = [system for system, _ in tests]
    return tuple(zip(systems, correct_together(found), strict=True))


def fail_if_worse(result: Verdicts) -> None:
    """The gate of `--fail-if-worse`.

    Raises:
        GateError: A system is worse than the baseline by some metric.
    """
    worse = [(system, one) for system, one in result.comparisons if one.verdict == "worse"]
    if worse:
        raise GateError(
            "; ".join(f"{system} is worse by {one.metric}" for system, one in worse),
            where="--fail-if-worse",
            got="; ".join(
                f"{one.metric} {one.b:.6g}, p {one.p_corrected:.2g} after correction" for _, one in worse
            ),
            expected=f"no worse than {result.baseline}: "
            + "; ".join(f"{one.metric} {one.a:.6g}" for _, one in worse),
        )
