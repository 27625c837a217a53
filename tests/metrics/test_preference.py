"""Ratings against closed forms, their stationary equations, and their promise in simulation."""

import itertools
import math
import random

import numpy as np
import pytest
from scipy.optimize import minimize

from creuset.errors import DataError, UsageError
from creuset.metrics.davidson import ELO, fit
from creuset.metrics.preference import Judgement, Outcomes, elo_ratings, win_rate
from creuset.metrics.signature import Context, require_comparable


def outcomes(*counts: tuple[str, str, int, int, int]) -> Outcomes:
    """(first, second, times won, tied, lost)."""
    judgements: list[Judgement] = []
    for first, second, won, tied, lost in counts:
        judgements += [(first, second, "first")] * won + [(first, second, "tie")] * tied
        judgements += [(first, second, "second")] * lost
    return Outcomes.from_judgements(judgements)


def simulated(strengths: np.ndarray, tie: float, n: int, generator: np.random.Generator) -> list[Judgement]:
    """Judgements of Davidson's model between random pairs."""
    pairs = np.array(list(itertools.combinations(range(len(strengths)), 2)))
    chosen = pairs[generator.integers(len(pairs), size=n)]
    half = (strengths[chosen[:, 0]] - strengths[chosen[:, 1]]) / 2
    weights = np.stack([np.exp(half), np.full(n, tie), np.exp(-half)], axis=1)
    ended = (generator.random((n, 1)) > np.cumsum(weights / weights.sum(1, keepdims=True), axis=1)).sum(1)
    words = ("first", "tie", "second")
    return [(f"p{i}", f"p{j}", words[k]) for (i, j), k in zip(chosen, ended, strict=True)]  # type: ignore[misc]


def test_three_wins_to_one_are_191_apart() -> None:
    ratings = elo_ratings(outcomes(("a", "b", 3, 0, 1)), num_resamples=2)
    assert ratings.gap("a", "b").value == pytest.approx(400 * math.log10(3))
    assert ratings.gap("a", "b").value == pytest.approx(190.85, abs=0.005)
    assert ratings.values.sum() == pytest.approx(0)


def test_two_players_with_ties_have_a_closed_form() -> None:
    # Davidson: p_i/p_j = won/lost and v = ties/sqrt(won lost), whatever the ties.
    ratings = elo_ratings(outcomes(("a", "b", 12, 9, 3)), num_resamples=2)
    assert ratings.gap("a", "b").value == pytest.approx(400 * math.log10(4))
    assert ratings.tie_parameter == pytest.approx(9 / math.sqrt(36))


def test_a_cycle_is_even() -> None:
    found = outcomes(("a", "b", 3, 0, 1), ("b", "c", 3, 0, 1), ("c", "a", 3, 0, 1))
    assert elo_ratings(found, num_resamples=2).values == pytest.approx([0, 0, 0], abs=1e-9)


@pytest.mark.parametrize("prior", [0.0, 2.0])
def test_the_likelihood_is_at_its_top(prior: float) -> None:
    # against a general optimizer on the likelihood as the paper writes it
    generator = np.random.default_rng(3)
    found = Outcomes.from_judgements(simulated(generator.normal(size=5), 0.5, 300, generator))

    def loss(x: np.ndarray) -> float:
        p, v = np.exp(x[:-1]), np.exp(x[-1])
        total = 0.0
        for (i, j), (won, tied, lost) in zip(found.pairs, found.counts, strict=True):
            root = v * np.sqrt(p[i] * p[j])
            whole = p[i] + p[j] + root
            total -= won * np.log(p[i] / whole) + tied * np.log(root / whole) + lost * np.log(p[j] / whole)
        total -= prior / 2 * float((np.log(p / (1 + p)) + np.log(1 / (1 + p))).sum())
        return float(total) + (0 if prior else float(x[:-1].sum() ** 2))

    best = minimize(loss, np.zeros(6), tol=1e-12).x
    ratings = elo_ratings(found, prior=prior, num_resamples=2)
    assert ratings.values == pytest.approx(ELO * (best[:-1] - best[:-1].mean()), abs=0.02)
    assert ratings.tie_parameter == pytest.approx(np.exp(best[-1]), abs=1e-4)


def test_the_order_of_judgements_and_of_players_does_not_matter() -> None:
    generator = np.random.default_rng(0)
    judgements = simulated(generator.normal(size=4), 0.5, 200, generator)
    mirrored = {"first": "second", "second": "first", "tie": "tie"}
    shuffled = [(b, a, mirrored[how]) if i % 3 else (a, b, how) for i, (a, b, how) in enumerate(judgements)]
    random.Random(1).shuffle(shuffled)
    ours, theirs = (
        elo_ratings(Outcomes.from_judgements(one), num_resamples=50)  # type: ignore[arg-type]
        for one in (judgements, shuffled)
    )
    assert ours.scores() == theirs.scores()


def test_scores_come_best_first_and_can_be_put_side_by_side() -> None:
    ratings = elo_ratings(
        outcomes(("a", "b", 30, 5, 20), ("c", "a", 30, 3, 20), ("b", "c", 20, 4, 40)),
        context=Context(data="0" * 64, split="panel"),
    )
    scores = ratings.scores()
    assert list(scores) == ["c", "a", "b"]
    for score in scores.values():
        low, high = score.interval or (0, 0)
        assert low < score.value < high
        assert (score.unit, score.n) == ("elo", 172)
        require_comparable(score.signature, scores["c"].signature)
    assert "|model:davidson|players:3|prior:0|" in scores["c"].signature
    assert ratings.unbounded_share == 0


def test_few_judgements_give_a_rating_without_an_interval() -> None:
    # of four judgements, three and one, 32% of the resamples are all wins or, less often, all losses
    ratings = elo_ratings(outcomes(("a", "b", 3, 0, 1)), num_resamples=4000)
    assert ratings.unbounded_share == pytest.approx(0.75**4 + 0.25**4, abs=0.03)
    assert ratings.gap("a", "b").interval is None
    assert elo_ratings(outcomes(("a", "b", 3, 0, 1)), prior=1).gap("a", "b").interval is not None


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ([("a", "b", 3, 0, 0)], "got: a above b: no judgement"),
        ([("a", "b", 3, 1, 0)], "got: a above b: no judgement"),
        ([("a", "b", 2, 0, 2), ("c", "a", 1, 0, 0), ("c", "b", 5, 0, 0)], "got: c above a, b: no judgement"),
        # ties join all three, yet a growing share of ties explains everything
        ([("a", "b", 5, 0, 0), ("a", "c", 0, 1, 0), ("b", "c", 0, 1, 0)], "got: a above b, c: no judgement"),
    ],
)
def test_ratings_without_a_limit_are_refused_by_name(
    counts: list[tuple[str, str, int, int, int]], message: str
) -> None:
    with pytest.raises(DataError, match="put no limit") as caught:
        elo_ratings(outcomes(*counts))
    assert message in str(caught.value)
    ratings = elo_ratings(outcomes(*counts), prior=1)
    assert ratings.values.argmax() == ratings.outcomes.index(message[5])
    assert ratings.unbounded_share <= 0.01


def test_what_cannot_be_rated_is_refused() -> None:
    with pytest.raises(DataError, match="no chain of judgements joins them\n  got: a, b; c, d"):
        elo_ratings(outcomes(("a", "b", 1, 0, 1), ("c", "d", 1, 0, 1)), prior=1)
    with pytest.raises(DataError, match="every judgement is a tie"):
        elo_ratings(outcomes(("a", "b", 0, 3, 0)))
    with pytest.raises(UsageError, match="ratings cannot be fitted so\n  got: prior -1"):
        elo_ratings(outcomes(("a", "b", 1, 0, 1)), prior=-1)
    with pytest.raises(DataError, match="judgements: nothing to measure"):
        Outcomes.from_judgements([])
    with pytest.raises(DataError, match="a player against itself\n  got: a"):
        Outcomes.from_judgements([("a", "a", "tie")])
    with pytest.raises(DataError, match="a against b: not the outcome of a judgement\n  got: 'draw'"):
        Outcomes.from_judgements([("a", "b", "draw")])  # type: ignore[list-item]
    with pytest.raises(DataError, match="no such player\n  got: z\n  expected: a, b"):
        elo_ratings(outcomes(("a", "b", 1, 0, 1))).gap("a", "z")


def test_many_fits_at_once_are_those_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    pairs = np.array([[0, 1], [0, 2], [1, 2]])
    counts = generator.integers(1, 9, (7, 3, 3))
    counts[2, :, 1] = 0  # no ties in one of them
    together = fit(pairs, counts, 3, prior=0)
    monkeypatch.setattr("creuset.metrics.davidson._CHUNK_ELEMENTS", 60)
    np.testing.assert_allclose(fit(pairs, counts, 3, prior=0).strengths, together.strengths, atol=1e-9)
    assert together.bounded.all()
    assert together.log_tie[2] == -40


@pytest.mark.slow
@pytest.mark.parametrize(("n", "tie"), [(150, 0.0), (400, 0.8)])
def test_intervals_cover(n: int, tie: float) -> None:
    # A gap and a rating, in 300 made studies of four players.
    strengths = np.array([0.6, 0.1, -0.2, -0.5])
    held = []
    for trial in range(300):
        judgements = simulated(strengths, tie, n, np.random.default_rng([7, trial]))
        ratings = elo_ratings(Outcomes.from_judgements(judgements), num_resamples=400)
        scores = ratings.scores()
        truths = [(scores[f"p{i}"], ELO * value) for i, value in enumerate(strengths)]
        truths.append((ratings.gap("p0", "p3"), ELO * 1.1))
        held.append([s.interval is not None and s.interval[0] <= t <= s.interval[1] for s, t in truths])
    covered = np.mean(held, axis=0)
    assert (covered > 0.90).all(), covered
    assert (covered < 0.99).all(), covered


def test_win_rates_count_ties_as_half() -> None:
    found = outcomes(("a", "b", 6, 2, 2), ("c", "a", 1, 0, 4))
    against_b = win_rate(found, "a", "b")
    assert (against_b.value, against_b.n) == (0.7, 10)
    assert win_rate(found, "b", "a").value == pytest.approx(0.3)
    assert win_rate(found, "a").value == pytest.approx(11 / 15)
    assert "|against:b|interval:wilson95|ties:half" in against_b.signature
    assert win_rate(outcomes(("a", "b", 5, 0, 0)), "a").interval == pytest.approx((0.5655, 1), abs=1e-4)
    with pytest.raises(DataError, match="they never met\n  got: b and c"):
        win_rate(found, "b", "c")
