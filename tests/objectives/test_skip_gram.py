"""The skip-gram loss and its draws, against plain loops and closed forms."""

import math

import pytest
import torch

from creuset.objectives.skip_gram import (
    keep_probabilities,
    noise_distribution,
    skip_gram_nats,
    window_pairs,
)

COUNTS = torch.tensor([0, 900, 90, 9, 1])


def test_frequent_words_are_kept_as_word2vec_keeps_them() -> None:
    found = keep_probabilities(COUNTS, 0.01)
    expected = [0.0] + [
        min(1.0, (math.sqrt(count / (0.01 * 1000)) + 1) * (0.01 * 1000) / count) for count in (900, 90, 9, 1)
    ]  # word2vec.c: ran = (sqrt(cn / (sample * train_words)) + 1) * (sample * train_words) / cn
    assert found.tolist() == pytest.approx(expected, rel=1e-12)
    assert found.dtype == torch.float64


def test_noise_is_drawn_by_the_power_of_the_count() -> None:
    found = noise_distribution(COUNTS)
    weights = [0.0, 900**0.75, 90**0.75, 9**0.75, 1.0]
    assert found.tolist() == pytest.approx([weight / sum(weights) for weight in weights])
    assert noise_distribution(COUNTS, 0).tolist() == [0, 0.25, 0.25, 0.25, 0.25]


def test_a_window_holds_the_words_around_its_own() -> None:
    windows = torch.tensor([[1, 2, 1, 3, 1]])
    present = torch.tensor([[True, True, True, True, False]])
    expected = {(0, 1), (1, 0), (1, 2), (1, 3), (2, 1), (2, 3), (3, 0), (3, 1), (3, 2)}
    assert {(i, j) for _, i, j in window_pairs(windows, present).nonzero().tolist()} == expected


def slow_nats(
    centres: torch.Tensor, contexts: torch.Tensor, noise: torch.Tensor, pairs: set[tuple[int, int]]
) -> float:
    """One row, pair by pair, by equation 4."""
    total = 0.0
    for i, j in sorted(pairs):
        total -= math.log(1 / (1 + math.exp(-float(centres[i] @ contexts[j]))))
        wrong = [-math.log(1 / (1 + math.exp(float(centres[i] @ word)))) for word in noise]
        total += 5 * sum(wrong) / len(wrong)
    return total / len(pairs) if pairs else 0.0


def test_the_loss_is_that_of_each_pair() -> None:
    generator = torch.Generator().manual_seed(0)
    centres, contexts = (torch.randn(3, 7, 4, generator=generator, dtype=torch.float64) for _ in range(2))
    noise = torch.randn(3, 6, 4, generator=generator, dtype=torch.float64)
    windows = torch.randint(1, 4, (3, 7), generator=generator)
    present = torch.rand(3, 7, generator=generator) < 0.7
    present[2] = False
    pairs = window_pairs(windows, present)
    found = skip_gram_nats(centres, contexts, noise, pairs, num_negatives=5)
    expected = [
        slow_nats(centres[row], contexts[row], noise[row], {(i, j) for i, j in pairs[row].nonzero().tolist()})
        for row in range(3)
    ]
    assert found.tolist() == pytest.approx(expected, rel=1e-12)
    assert found[2] == 0


def test_vectors_that_say_nothing_cost_a_coin_for_each_word() -> None:
    nothing = torch.zeros(1, 4, 3)
    pairs = window_pairs(torch.ones(1, 4, dtype=torch.long), torch.ones(1, 4, dtype=torch.bool))
    assert float(skip_gram_nats(nothing, nothing, nothing, pairs, num_negatives=5)) == pytest.approx(
        6 * math.log(2)
    )
