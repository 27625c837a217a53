"""How long models take to draw: several rounds of as many samples each, on this machine as it is now."""

import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from creuset.progress import Progress
from creuset.workflows.load import Loaded

_ROUNDS = 3
_WARM_UP = 4
"""Samples that are drawn before, and not counted."""


@dataclass(frozen=True, kw_only=True)
class DrawingTime:
    """How long a model took to draw samples.

    Args:
        num_samples: In each round.
        seconds: Of each round.
        threads: Of torch.
    """

    num_samples: int
    seconds: tuple[float, ...]
    threads: int

    @property
    def per_thousand(self) -> float:
        """Seconds for 1,000 samples, by the median of the rounds."""
        return self._scaled(statistics.median(self.seconds))

    @property
    def extremes(self) -> tuple[float, float]:
        """The same by the fastest and the slowest round."""
        return self._scaled(min(self.seconds)), self._scaled(max(self.seconds))

    def _scaled(self, spent: float) -> float:
        return spent * 1000 / self.num_samples


def drawing_times(
    models: Mapping[str, Loaded], num_samples: int, progress: Progress
) -> dict[str, DrawingTime]:
    """The times of those that draw samples; rounds go through all models in turn, so that a machine that
    slows down meanwhile slows all of them.

    Args:
        models: By name.
        num_samples: In each round, from 1.
        progress: Who watches.
    """
    drawing = {name: model for name, model in models.items() if "samples" in model.family.traits}
    spent: dict[str, list[float]] = {name: [] for name in drawing}
    progress.start("drawing", _ROUNDS * len(drawing), "rounds")
    for model in drawing.values():
        model.draw_pictures(min(_WARM_UP, num_samples), seed=0)
    done = 0
    for seed in range(_ROUNDS):
        for name, model in drawing.items():
            begin = time.perf_counter()
            model.draw_pictures(num_samples, seed=seed)
            spent[name].append(time.perf_counter() - begin)
            done += 1
            progress.advance(done)
    progress.finish()
    threads = torch.get_num_threads()
    return {
        name: DrawingTime(num_samples=num_samples, seconds=tuple(times), threads=threads)
        for name, times in spent.items()
    }
