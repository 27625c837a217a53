"""Preference: ratings in Elo units out of judgements between two players, with ties, and win rates.

    P(i beats j) = p_i/D, P(tie) = v sqrt(p_i p_j)/D, D = p_i + p_j + v sqrt(p_i p_j), rating = 400 log10 p

Sources: Bradley and Terry (1952), "Rank Analysis of Incomplete Block Designs" (v = 0, no ties); Davidson
(1970), "On Extending the Bradley-Terry Model to Accommodate Ties in Paired Comparison Experiments", whose
model of ties this is; Ford (1957), "Solution of a Ranking Problem from Binary Comparisons" (when there is a
finite answer); Albert and Anderson (1984) for the same with a third outcome.
Departures: the likelihood is maximised by Newton's method on log p and log v, where it is concave; ratings
have mean 0. Judgements are counted before anything is computed, so their order cannot matter.

A player who always wins has no finite rating, and players who were never compared have no common scale: both
are refused by name. `prior` gives an answer to the first: so many imagined judgements of each player against
one of rating 0, half of them won.

Legend of shapes: P players, M pairs of players that met, R resamples.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from creuset.errors import DataError, UsageError
from creuset.metrics.davidson import ELO, LEFT, LOST, TIED, fit, running_off
from creuset.metrics.inputs import FloatArray, IntArray
from creuset.metrics.intervals import NUM_RESAMPLES, Interval, wilson_interval
from creuset.metrics.score import Score
from creuset.metrics.signature import NO_CONTEXT, Context, FieldValue

Outcome = Literal["first", "second", "tie"]
Judgement = tuple[str, str, Outcome]
"""Two players, and which of them was preferred."""

_MAX_UNBOUNDED = 0.01
"""Share of resamples without a finite rating above which there is no interval of 95%."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Outcomes:
    """How often each pair of players met and how that ended: all that ratings depend on.

    Made by `Outcomes.from_judgements`.

    Args:
        players: Their names, sorted.
        pairs: The numbers of two players, the lower one first, (M, 2).
        counts: How often the first won, they tied, the second won, (M, 3).
    """

    players: tuple[str, ...]
    pairs: IntArray
    counts: IntArray

    @classmethod
    def from_judgements(cls, judgements: Iterable[Judgement]) -> "Outcomes":
        """Counts judgements, which may come in any order.

        Args:
            judgements: (player, player, "first", "second" or "tie").

        Raises:
            DataError: No judgements, a player against itself, or another outcome.
        """
        counter: Counter[tuple[str, str, int]] = Counter()
        for first, second, outcome in judgements:
            if first == second:
                raise DataError("a player against itself", where="judgements", got=first)
            if outcome not in ("first", "second", "tie"):
                raise DataError(
                    "not the outcome of a judgement",
                    where=f"{first} against {second}",
                    got=repr(outcome),
                    expected="first, second or tie",
                )
            ended = {"first": LEFT, "tie": TIED, "second": LOST}[outcome]
            if second < first:
                first, second, ended = second, first, LOST - ended
            counter[first, second, ended] += 1
        if not counter:
            raise DataError("nothing to measure", where="judgements", expected="one judgement or more")
        players = tuple(sorted({name for first, second, _ in counter for name in (first, second)}))
        number = {name: index for index, name in enumerate(players)}
        met = sorted({(number[first], number[second]) for first, second, _ in counter})
        row = {pair: index for index, pair in enumerate(met)}
        counts = np.zeros((len(met), 3), dtype=np.int64)
        for (first, second, ended), times in counter.items():
            counts[row[number[first], number[second]], ended] = times
        return cls(players=players, pairs=np.array(met, dtype=np.int64), counts=counts)

    @property
    def n(self) -> int:
        """Judgements."""
        return int(self.counts.sum())

    def index(self, player: str) -> int:
        """The number of a player.

        Raises:
            DataError: Nobody judged it.
        """
        if player not in self.players:
            raise DataError("no such player", got=player, expected=", ".join(self.players))
        return self.players.index(player)


@dataclass(frozen=True, kw_only=True, eq=False)
class Ratings:
    """Fitted ratings, and those of resamples.

    Args:
        outcomes: What they were fitted to.
        values: Ratings in Elo units with mean 0, (P,).
        tie_parameter: Davidson's v: equal players tie with probability v/(2 + v).
        resampled: Ratings of each resample, (R, P); NaN for a resample without finite ratings.
        prior: Imagined judgements a player.
        context: Data, split and seed.
    """

    outcomes: Outcomes
    values: FloatArray
    tie_parameter: float
    resampled: FloatArray
    prior: float
    context: Context

    @property
    def unbounded_share(self) -> float:
        """The share of resamples in which some rating is infinite, in [0, 1]."""
        return float(np.isnan(self.resampled[:, 0]).mean())

    def scores(self) -> dict[str, Score]:
        """The rating of each player, the best first, with its interval.

        No interval is given where more than 1% of the resamples leave some rating infinite.
        """
        order = np.argsort(-self.values, kind="stable")
        return {
            self.outcomes.players[place]: self._score("elo", self.values[place], self.resampled[:, place])
            for place in map(int, order)
        }

    def gap(self, first: str, second: str) -> Score:
        """How far the first player's rating is above the second's, with an interval of the difference.

        Raises:
            DataError: Nobody judged one of them.
        """
        left, right = self.outcomes.index(first), self.outcomes.index(second)
        return self._score(
            "elo_gap",
            self.values[left] - self.values[right],
            self.resampled[:, left] - self.resampled[:, right],
        )

    def _score(self, metric: str, value: float, resampled: FloatArray) -> Score:
        interval: Interval | None = None
        if self.unbounded_share <= _MAX_UNBOUNDED and self.outcomes.n > 1:
            low, high = np.nanquantile(resampled, [0.025, 0.975])
            if high > low:
                interval = (float(low), float(high))
        fields: dict[str, FieldValue] = {
            "interval": "percentile95",
            "model": "davidson",
            "players": len(self.outcomes.players),
            "prior": f"{self.prior:g}",
            "resamples": len(resampled),
        }
        return self.context.score(
            metric=metric,
            value=value,
            unit="elo",
            better="higher",
            interval=interval,
            n=self.outcomes.n,
            fields=fields,
            seeded=True,
        )


def elo_ratings(
    outcomes: Outcomes,
    *,
    prior: float = 0.0,
    context: Context = NO_CONTEXT,
    num_resamples: int = NUM_RESAMPLES,
) -> Ratings:
    """Maximum likelihood ratings of Davidson's model; three wins to one are 190.85 apart.

    Intervals are percentiles of a bootstrap over all judgements alike. It is not stratified by pair: a pair
    that was judged once or twice would then hardly vary, and the intervals be too narrow.

    Args:
        outcomes: The judgements.
        prior: Imagined judgements of each player against one of rating 0, half won and half lost. It pulls
            ratings together and makes them finite. 0 for none, 1 for a mild one.
        context: Data, split and seed.
        num_resamples: Resamples.

    Raises:
        DataError: Players that cannot be compared since no chain of judgements joins them; without a prior,
            players whose ratings are infinite; only ties.
        UsageError: A negative prior, or less than 2 resamples.
    """
    if not 0 <= prior < np.inf or num_resamples < 2:
        raise UsageError(
            "ratings cannot be fitted so",
            got=f"prior {prior}, {num_resamples} resamples",
            expected="a prior of 0 or more, and 2 resamples or more",
        )
    _require_joined(outcomes)
    if outcomes.counts[:, TIED].sum() == outcomes.n:
        raise DataError(
            "every judgement is a tie: nothing says who is better", got=f"{outcomes.n} ties of {outcomes.n}"
        )
    if prior == 0:
        _require_finite(outcomes)
    found = fit(outcomes.pairs, outcomes.counts[None], len(outcomes.players), prior=prior)
    generator = context.generator()
    shares = outcomes.counts.ravel() / outcomes.n
    drawn = generator.multinomial(outcomes.n, shares, size=num_resamples)
    again = fit(outcomes.pairs, drawn.reshape(num_resamples, -1, 3), len(outcomes.players), prior=prior)
    return Ratings(
        outcomes=outcomes,
        values=ELO * found.strengths[0],
        tie_parameter=float(np.exp(found.log_tie[0])),
        resampled=np.where(again.bounded[:, None], ELO * again.strengths, np.nan),
        prior=prior,
        context=context,
    )


def win_rate(
    outcomes: Outcomes, player: str, opponent: str | None = None, *, context: Context = NO_CONTEXT
) -> Score:
    """(wins + ties/2) / judgements of one player, with Wilson's interval.

    With ties the interval is a little too wide, since a tie varies less than a win and a loss.

    Args:
        outcomes: The judgements.
        player: Whose rate.
        opponent: Against whom; everybody where it is left out.
        context: Data, split and seed.

    Raises:
        DataError: A player whom nobody judged, or two that never met.
    """
    index = outcomes.index(player)
    left, right = (outcomes.pairs == index).T
    if opponent is not None:
        other = outcomes.index(opponent)
        left, right = left & (outcomes.pairs[:, 1] == other), right & (outcomes.pairs[:, 0] == other)
    wins, ties, losses = outcomes.counts[left].sum(axis=0) + outcomes.counts[right, ::-1].sum(axis=0)
    n = int(wins + ties + losses)
    if n == 0:
        raise DataError("they never met", got=f"{player} and {opponent}")
    rate = float(wins + ties / 2)
    return context.score(
        metric="win_rate",
        value=rate / n,
        unit="fraction",
        better="higher",
        interval=wilson_interval(rate, n),
        n=n,
        fields={
            "against": "everybody" if opponent is None else opponent,
            "interval": "wilson95",
            "ties": "half",
        },
    )


def _require_joined(outcomes: Outcomes) -> None:
    group = np.arange(len(outcomes.players))
    for first, second in outcomes.pairs:
        group[group == group[second]] = group[first]
    groups = [_names(outcomes.players, group == label) for label in dict.fromkeys(group.tolist())]
    if len(groups) > 1:
        raise DataError(
            "these players cannot be put on one scale: no chain of judgements joins them",
            where="judgements",
            got="; ".join(groups),
            next_step="judge a player of each group against one of another, or rate each group by itself",
        )


def _require_finite(outcomes: Outcomes) -> None:
    direction = running_off(outcomes.pairs, outcomes.counts, len(outcomes.players))
    if direction is None:
        return
    above = _names(outcomes.players, direction >= direction.max() - 1e-6)
    below = _names(outcomes.players, direction < direction.max() - 1e-6)
    raise DataError(
        "the judgements put no limit on how far these players are apart",
        where="judgements",
        got=f"{above} above {below}: no judgement speaks against it",
        expected="wins and losses on both sides",
        next_step="collect more judgements, or state a prior: elo_ratings(outcomes, prior=1)",
    )


def _names(players: Iterable[str], chosen: NDArray[np.bool_]) -> str:
    return ", ".join(name for name, kept in zip(players, chosen, strict=True) if kept)
