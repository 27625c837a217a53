"""Following a velocity field by steps: Euler, the midpoint method, Heun's method, Runge-Kutta.

    euler      x + h v(x, t)                                              order 1, one evaluation a step
    midpoint   x + h v(x + h/2 v(x, t), t + h/2)                          order 2, two
    heun       x + h/2 (v(x, t) + v(x + h v(x, t), t + h))                order 2, two
    rk4        x + h/6 (a + 2 b + 2 c + d): velocities at t, twice at     order 4, four
               t + h/2 and at t + h, each place by the one before

A method of order p leaves an error that falls as the p-th power of the step h.

Source: Hairer, Norsett & Wanner 1993, "Solving Ordinary Differential Equations I", section II.1.

Legend of shapes: B batch, ... the axes of a sample, D its numbers.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType
from typing import Literal

from torch import Tensor

SolverName = Literal["euler", "midpoint", "heun", "rk4"]
Field = Callable[[Tensor, float], Tensor]
"""Places (B, ...) and a time to velocities (B, ...)."""


@dataclass(frozen=True, kw_only=True)
class Solver:
    """One method.

    Args:
        order: The power of the step by which its error falls.
        num_evaluations: Evaluations of the field in a step.
        step: (field, places, time, next time) -> the next places.
    """

    order: int
    num_evaluations: int
    step: Callable[[Field, Tensor, float, float], Tensor]


def _euler(field: Field, x: Tensor, start: float, stop: float) -> Tensor:
    return x + (stop - start) * field(x, start)


def _midpoint(field: Field, x: Tensor, start: float, stop: float) -> Tensor:
    half = (stop - start) / 2
    return x + (stop - start) * field(x + half * field(x, start), start + half)


def _heun(field: Field, x: Tensor, start: float, stop: float) -> Tensor:
    first = field(x, start)
    return x + (stop - start) / 2 * (first + field(x + (stop - start) * first, stop))


def _rk4(field: Field, x: Tensor, start: float, stop: float) -> Tensor:
    step, middle = stop - start, (start + stop) / 2
    first = field(x, start)
    second = field(x + step / 2 * first, middle)
    third = field(x + step / 2 * second, middle)
    fourth = field(x + step * third, stop)
    return x + step / 6 * (first + 2 * (second + third) + fourth)


SOLVERS: Mapping[SolverName, Solver] = MappingProxyType(
    {
        "euler": Solver(order=1, num_evaluations=1, step=_euler),
        "midpoint": Solver(order=2, num_evaluations=2, step=_midpoint),
        "heun": Solver(order=2, num_evaluations=2, step=_heun),
        "rk4": Solver(order=4, num_evaluations=4, step=_rk4),
    }
)


def even_times(start: float, stop: float, num_steps: int) -> list[float]:
    """num_steps + 1 times from `start` to `stop`, both included."""
    return [start + (stop - start) * step / num_steps for step in range(num_steps + 1)]


def times_back(num_steps: int) -> list[float]:
    """num_steps + 1 times from 1, where data is, back to 0: 1 - (i / num_steps)^2, so that steps begin small.

    Near the data a flow turns within the width of a pixel's level, near the noise it hardly does.
    """
    return [1 - (step / num_steps) ** 2 for step in range(num_steps + 1)]


def integrate(field: Field, x: Tensor, times: Sequence[float], solver: SolverName) -> Tensor:
    """Where the places (B, ...) of the first time are at the last one.

    Args:
        field: The velocity.
        x: Places at times[0].
        times: In the order in which they are gone through, forth or back.
        solver: How a step is made.
    """
    step = SOLVERS[solver].step
    for start, stop in pairwise(times):
        x = step(field, x, start, stop)
    return x
