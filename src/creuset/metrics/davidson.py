"""Davidson's model of paired comparisons with ties, fitted to many sets of counts at once.

With t = log p and u = log v, a pair's outcome is a choice between three with logits
((t_i - t_j)/2, u, (t_j - t_i)/2): the likelihood is concave in (t, u), and Newton's method with halved steps
climbs to its top from anywhere.

Sources: Davidson (1970), "On Extending the Bradley-Terry Model to Accommodate Ties in Paired Comparison
Experiments"; Albert and Anderson (1984), "On the existence of maximum likelihood estimates in logistic
regression models" (the linear program of `running_off`).

Legend of shapes: P players, M pairs of players, B sets of counts.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from creuset.errors import NumericalError
from creuset.metrics.inputs import FloatArray, IntArray

LEFT, TIED, LOST = range(3)
"""The columns of counts: the first player of the pair won, neither did, the second one won."""

ELO = 400 / math.log(10)
"""Elo units in one unit of log strength."""

_MAX_STEPS = 100
_TOLERANCE = 1e-12
"""A Newton step that promises less log-likelihood, relative to the number of judgements, is the last one:
it squares an error of 1e-6."""
_FAR = 30.0
"""Log odds of a pair that no finite answer reaches."""
_RIDGE = 1e-12
"""Keeps the equations of a fit that runs off solvable; it moves no other."""
_NO_TIES = -40.0
"""log v where nothing tied: its limit is minus infinity."""
_LEAST_INFORMATION = 1e-5
"""Fisher information in the direction that is known least, below which a fit is running off to infinity.
Where a finite answer exists some count speaks against any direction, and it stays near 0.01 or above."""
_MAX_HALVINGS = 30
_CHUNK_ELEMENTS = 2**22


@dataclass(frozen=True, kw_only=True, eq=False)
class Fit:
    """The most likely parameters of each set of counts.

    Args:
        strengths: log p with mean 0, (B, P).
        log_tie: log v, (B,); -40 where nothing tied.
        bounded: Whether the parameters are finite, (B,); where not, they are just far out.
    """

    strengths: FloatArray
    log_tie: FloatArray
    bounded: NDArray[np.bool_]


def fit(pairs: IntArray, counts: IntArray, num_players: int, *, prior: float) -> Fit:
    """Maximises the likelihood of each set of counts.

    Args:
        pairs: The numbers of two players, (M, 2).
        counts: (B, M, 3).
        num_players: P; all of them are joined by pairs.
        prior: Imagined judgements of each player against one of strength 0, half won and half lost.

    Raises:
        NumericalError: The steps did not settle.
    """
    chunk = max(1, _CHUNK_ELEMENTS // (3 * len(pairs) + (num_players + 1) ** 2))
    fits = [
        _Ascent(pairs, part, num_players, prior).climb()
        for part in np.split(counts, range(chunk, len(counts), chunk))
    ]
    return Fit(
        strengths=np.concatenate([one.strengths for one in fits]),
        log_tie=np.concatenate([one.log_tie for one in fits]),
        bounded=np.concatenate([one.bounded for one in fits]),
    )


class _Ascent:
    """Newton's method on (log strengths, log tie), (B, P + 1), with halved steps."""

    def __init__(self, pairs: IntArray, counts: IntArray, num_players: int, prior: float) -> None:
        self.first, self.second = pairs.T
        self.counts = counts.astype(np.float64)
        self.totals = self.counts.sum(axis=2)  # (B, M)
        self.size = num_players
        self.prior = prior
        self.ties = counts[:, :, TIED].sum(axis=1) > 0  # (B,)
        self._fixed = _RIDGE * np.eye(num_players + 1)
        if not prior:  # then nothing else fixes the common level of the strengths
            self._fixed[:-1, :-1] += 1.0
        self.design = np.zeros((len(pairs), num_players))  # t_i - t_j of each pair
        self.design[np.arange(len(pairs)), self.first] = 1
        self.design[np.arange(len(pairs)), self.second] = -1

    def climb(self) -> Fit:
        """The top of each likelihood, or a place far out where it has none."""
        place = np.zeros((len(self.counts), self.size + 1))
        place[~self.ties, -1] = _NO_TIES
        value = self.value(place)
        enough = _TOLERANCE * (1 + self.totals.sum(axis=1))
        going = np.ones(len(place), dtype=np.bool_)
        for _ in range(_MAX_STEPS):
            gradient, information = self.slopes(place)
            step = np.linalg.solve(information + self._fixed, gradient[..., None])[..., 0].astype(np.float64)
            gain = np.einsum("bp,bp->b", step, gradient)
            place, value = self._advance(place, value, step * going[:, None])
            going &= (gain > enough) & ~self._far(place)
            if not going.any():
                return self._settled(place)
        raise NumericalError("the ratings did not settle", got=f"{_MAX_STEPS} Newton steps")

    def value(self, place: FloatArray) -> FloatArray:
        """The log-likelihood, (B,)."""
        value: FloatArray = np.einsum("bmk,bmk->b", self.counts, self._log_probs(place))
        strengths = place[:, :-1]
        # log s(t)/2 + log s(-t)/2 for each imagined judgement
        value -= self.prior * (np.logaddexp(0, strengths) - strengths / 2).sum(axis=1)
        return value

    def slopes(self, place: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The gradient (B, P + 1) and the information matrix, minus the Hessian, (B, P + 1, P + 1)."""
        left, tied, lost = np.moveaxis(np.exp(self._log_probs(place)), 2, 0)  # (B, M) each
        won = (self.counts[:, :, LEFT] - self.counts[:, :, LOST]) / 2 - self.totals * (left - lost) / 2
        gradient = np.concatenate(
            [won @ self.design, (self.counts[:, :, TIED] - self.totals * tied).sum(axis=1)[:, None]], axis=1
        )
        information = np.empty((len(place), self.size + 1, self.size + 1))
        spread = self.totals * ((left + lost) / 4 - ((left - lost) / 2) ** 2)
        information[:, :-1, :-1] = np.einsum("bm,mp,mq->bpq", spread, self.design, self.design, optimize=True)
        mixed = -(self.totals * tied * (left - lost) / 2) @ self.design
        information[:, :-1, -1] = information[:, -1, :-1] = mixed
        information[:, -1, -1] = (self.totals * tied * (1 - tied)).sum(axis=1)
        strengths = place[:, :-1]
        chance = 1 / (1 + np.exp(-strengths))
        gradient[:, :-1] += self.prior * (0.5 - chance)
        players = np.arange(self.size)
        information[:, players, players] += self.prior * chance * (1 - chance)
        gradient[~self.ties, -1] = 0
        information[~self.ties, -1, :] = information[~self.ties, :, -1] = 0
        information[~self.ties, -1, -1] = 1
        return gradient, information

    def _advance(
        self, place: FloatArray, value: FloatArray, step: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """A step, halved until it does not lower the likelihood."""
        share = np.ones(len(place))
        for _ in range(_MAX_HALVINGS):
            tried = place + share[:, None] * step
            reached = self.value(tried)
            lower = reached < value
            if not lower.any():
                return tried, reached
            share[lower] /= 2
        tried[lower], reached[lower] = place[lower], value[lower]  # the top, as far as doubles can tell
        return tried, reached

    def _far(self, place: FloatArray) -> NDArray[np.bool_]:
        apart = np.abs(place[:, self.first] - place[:, self.second]).max(axis=1)
        far: NDArray[np.bool_] = (apart > _FAR) | (place[:, -1] > _FAR)
        return far

    def _settled(self, place: FloatArray) -> Fit:
        strengths = place[:, :-1] - place[:, :-1].mean(axis=1, keepdims=True)
        least = np.linalg.eigvalsh(self.slopes(place)[1] + self._fixed)[:, 0]
        return Fit(
            strengths=strengths,
            log_tie=place[:, -1],
            bounded=(least > _LEAST_INFORMATION) & ~self._far(place),
        )

    def _log_probs(self, place: FloatArray) -> FloatArray:
        half = (place[:, self.first] - place[:, self.second]) / 2
        tie = np.broadcast_to(place[:, -1:], half.shape)
        result: FloatArray = log_softmax(np.stack([half, tie, -half], axis=2), axis=2)
        return result


def running_off(pairs: IntArray, counts: IntArray, num_players: int) -> FloatArray | None:
    """A direction in which the likelihood never falls, (P,); None where the best strengths are finite.

    Going there, each outcome that occurred becomes no less likely: its logit rises at least as much as the
    other two. A linear program looks for such a direction with some strict rise.
    """
    from scipy.optimize import linprog

    logits = np.zeros((len(pairs), 3, num_players + 1))
    rows = np.arange(len(pairs))
    logits[rows, LEFT, pairs[:, 0]] = logits[rows, LOST, pairs[:, 1]] = 0.5
    logits[rows, LEFT, pairs[:, 1]] = logits[rows, LOST, pairs[:, 0]] = -0.5
    logits[rows, TIED, -1] = 1.0
    ended = [LEFT, TIED, LOST] if counts[:, TIED].any() else [LEFT, LOST]
    rises = np.concatenate(
        [
            logits[counts[:, one] > 0, one] - logits[counts[:, one] > 0, other]
            for one in ended
            for other in ended
            if one != other
        ]
    )
    found = linprog(-rises.sum(axis=0), A_ub=-rises, b_ub=np.zeros(len(rises)), bounds=(-1, 1))
    if found.status != 0:
        raise NumericalError("no answer whether the ratings are finite", got=found.message)
    if -found.fun <= 1e-7:
        return None
    direction: FloatArray = found.x[:-1]
    return direction
