"""Sampling against slow, obvious twins, and against transformers' processors where they mean the same."""

import math
from collections import Counter

import pytest
import torch
from torch import Tensor

from creuset.errors import UsageError
from creuset.generation.sampling import (
    Sampling,
    choose,
    draw,
    min_p,
    penalised,
    score_tokens,
    top_k,
    top_p,
    with_bias,
    without_unknown,
)

VOCAB = 700
"""More than the tokens that top_p looks at first."""


def random_logits(*, spread: float = 2.0, rows: int = 3, seed: int = 0) -> Tensor:
    return torch.randn(rows, VOCAB, generator=torch.Generator().manual_seed(seed)) * spread


def kept(logits: Tensor) -> list[set[int]]:
    return [set(row.isfinite().nonzero()[:, 0].tolist()) for row in logits]


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("temperature", -0.1, "a finite number from 0"),
        ("temperature", math.nan, "a finite number from 0"),
        ("temperature", math.inf, "a finite number from 0"),
        ("top_k", -1, "at least 0"),
        ("top_p", 0.0, r"a number in \(0, 1\]"),
        ("top_p", 1.1, r"a number in \(0, 1\]"),
        ("min_p", 1.0, r"a number in \[0, 1\)"),
        ("repeat_penalty", 0.0, "above 0"),
        ("presence_penalty", math.inf, "a finite number"),
        ("frequency_penalty", math.nan, "a finite number"),
        ("penalty_window", 0, "at least 1, or None"),
        ("logit_bias", {-1: 0.0}, "a token id"),
        ("logit_bias", {1: math.inf}, "a token id"),
    ],
)
def test_a_value_out_of_its_range_is_named(field: str, value: object, expected: str) -> None:
    with pytest.raises(UsageError, match=rf"{field}: out of range\n  got: .*\n  expected: {expected}"):
        Sampling(**{field: value})  # type: ignore[arg-type]


def test_bias_is_added_to_its_ids_alone() -> None:
    logits = random_logits()
    expected = logits.clone()
    for row in range(3):
        expected[row, 7] += 2.5
        expected[row, 0] -= 100
    assert torch.equal(with_bias(logits, {7: 2.5, 0: -100.0}), expected)
    assert with_bias(logits, {}) is logits


def test_ids_of_no_token_are_never_drawn() -> None:
    known = torch.ones(VOCAB, dtype=torch.bool)
    known[[3, 698, 699]] = False
    masked = without_unknown(random_logits(), known)
    assert kept(masked) == [set(range(VOCAB)) - {3, 698, 699}] * 3


def slow_penalties(
    logits: list[float], tokens: list[int], repeat: float, presence: float, frequency: float
) -> list[float]:
    out = []
    for token, logit in enumerate(logits):
        if token not in tokens:
            out.append(logit)
            continue
        logit = logit / repeat if logit > 0 else logit * repeat
        out.append(logit - presence - frequency * Counter(tokens)[token])
    return out


@pytest.mark.parametrize("numbers", [(1.3, 0.0, 0.0), (1.0, 0.5, 0.0), (1.0, 0.0, 0.4), (0.8, -0.5, 0.25)])
def test_penalties(numbers: tuple[float, float, float]) -> None:
    repeat, presence, frequency = numbers
    logits = random_logits()
    history = [[5, 9, 5, 5, 600], [], [1]]
    found = penalised(logits, history, repeat=repeat, presence=presence, frequency=frequency)
    for row in range(3):
        expected = slow_penalties(logits[row].tolist(), history[row], repeat, presence, frequency)
        torch.testing.assert_close(found[row], torch.tensor(expected))


@pytest.mark.parametrize("k", [0, 1, 5, VOCAB, VOCAB + 1])
def test_top_k_leaves_the_largest(k: int) -> None:
    logits = random_logits()
    expected = [set(sorted(range(VOCAB), key=lambda i: -row[i])[: k or VOCAB]) for row in logits.tolist()]
    assert kept(top_k(logits, k)) == expected


@pytest.mark.parametrize("spread", [0.01, 2.0, 8.0])
@pytest.mark.parametrize("p", [1e-6, 0.3, 0.9, 0.999, 1.0])
def test_top_p_leaves_the_fewest_that_hold_it(p: float, spread: float) -> None:
    logits = random_logits(spread=spread)
    expected = []
    for row in logits.double().softmax(-1).tolist():
        total, tokens = 0.0, set()
        for token in sorted(range(VOCAB), key=lambda i: -row[i]):
            tokens.add(token)
            total += row[token]
            if total >= p and p < 1:
                break
        expected.append(tokens)
    found = kept(top_p(logits, p))
    # sums of 700 float32 numbers may differ from exact ones by a token
    assert all(len(one ^ other) <= 1 for one, other in zip(found, expected, strict=True))


def test_top_p_counts_what_is_left_alone() -> None:
    logits = torch.tensor([[2.0, 1.0, 0.0, -1.0]])
    narrowed = top_k(logits, 2)
    assert kept(top_p(narrowed, 0.73)) == [{0}]  # 0.731 of the two, 0.644 of all
    assert kept(top_p(logits, 0.73)) == [{0, 1}]


@pytest.mark.parametrize("p", [0.0, 0.05, 0.5, 0.999])
def test_min_p_leaves_what_is_near_the_likeliest(p: float) -> None:
    logits = random_logits()
    probs = logits.softmax(-1).tolist()
    expected = [{token for token in range(VOCAB) if row[token] >= p * max(row)} for row in probs]
    assert kept(min_p(logits, p)) == expected


def test_the_same_as_in_transformers() -> None:
    transformers = pytest.importorskip("transformers", reason="compares with transformers")
    logits, history = random_logits(), torch.randint(0, VOCAB, (3, 9), generator=torch.Generator())
    pairs = [
        (transformers.TopKLogitsWarper(7), top_k(logits, 7)),
        (transformers.TopPLogitsWarper(0.7), top_p(logits, 0.7)),
        (transformers.MinPLogitsWarper(0.1), min_p(logits, 0.1)),
        (
            transformers.RepetitionPenaltyLogitsProcessor(1.4),
            penalised(logits, history.tolist(), repeat=1.4),
        ),
    ]
    for theirs, ours in pairs:
        torch.testing.assert_close(ours, theirs(history, logits.clone()))


def test_draws_follow_the_probabilities() -> None:
    logits = torch.tensor([0.5, 0.25, 0.0, 0.25]).log().expand(4000, 4)
    generators = [torch.Generator().manual_seed(seed) for seed in range(4000)]
    counts = draw(logits, generators).bincount(minlength=4) / 4000
    assert counts[2] == 0
    torch.testing.assert_close(counts, torch.tensor([0.5, 0.25, 0.0, 0.25]), atol=0.03, rtol=0)


def test_a_row_draws_the_same_whatever_stands_beside_it() -> None:
    logits = random_logits()
    together = draw(logits, [torch.Generator().manual_seed(seed) for seed in (4, 5, 6)])
    alone = [draw(logits[row : row + 1], [torch.Generator().manual_seed(4 + row)]) for row in range(3)]
    assert together.tolist() == [int(token) for token in alone]


def test_nothing_is_drawn_where_the_likeliest_is_taken() -> None:
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    logits = random_logits()[0]
    assert choose(logits, Sampling(), [], generator) == int(logits.argmax())
    assert torch.equal(generator.get_state(), before)


@pytest.mark.parametrize("limit", [{"top_k": 1}, {"top_p": 1e-6}, {"min_p": 0.9999}])
def test_a_narrow_limit_leaves_the_likeliest(limit: dict[str, float]) -> None:
    logits = random_logits()[0]
    sampling = Sampling(temperature=5.0, **limit)  # type: ignore[arg-type]
    assert choose(logits, sampling, [], torch.Generator()) == int(logits.argmax())


def test_the_penalties_look_at_a_window() -> None:
    logits = torch.zeros(4)
    logits[1] = 1.0
    sampling = Sampling(presence_penalty=5.0, penalty_window=2)
    assert choose(logits, sampling, [1, 0, 0], torch.Generator()) == 1
    assert choose(logits, sampling, [0, 1, 0], torch.Generator()) == 2


def test_the_order_is_bias_penalties_temperature_limits() -> None:
    logits = torch.tensor([1.0, 0.0, -1.0])
    # the bias takes token 2 to the lead with 2, and then the penalty to 0.5
    sampling = Sampling(logit_bias={2: 3.0}, repeat_penalty=4.0)
    assert choose(logits, sampling, [2], torch.Generator()) == 0
    # at a high temperature the second token holds more than a tenth of the first one's probability
    warm = Sampling(temperature=10.0, min_p=0.5)
    drawn = {choose(logits, warm, [], torch.Generator().manual_seed(seed)) for seed in range(40)}
    assert drawn == {0, 1, 2}


def test_scores_are_the_models_own() -> None:
    logits = random_logits()
    scores = score_tokens(logits, [3, 4, 5], 2)
    for row, score in enumerate(scores):
        total = math.log(sum(math.exp(value) for value in logits[row].tolist()))
        assert score.token_id == row + 3
        assert score.log_prob == pytest.approx(float(logits[row, row + 3]) - total, abs=1e-5)
        best = sorted(range(VOCAB), key=lambda i: -float(logits[row, i]))[:2]
        assert list(score.top_ids) == best
        assert score.top_log_probs[0] == pytest.approx(float(logits[row, best[0]]) - total, abs=1e-5)
    assert score_tokens(logits, [1, 1, 1], 0)[0].top_ids == ()
