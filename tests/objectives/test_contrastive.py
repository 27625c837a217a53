"""The contrastive loss against plain loops and against sentence-transformers."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from creuset.objectives.contrastive import info_nce_nats, matching, sharing


def vectors(size: int = 6, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    first, second = (torch.randn(size, 5, generator=generator, dtype=torch.float64) for _ in range(2))
    return functional.normalize(first), functional.normalize(second)


def slow(first: Tensor, second: Tensor, temperature: float, not_wrong: Tensor) -> list[float]:
    losses = []
    for i in range(len(first)):
        halves = []
        for own, others in ((first, second), (second, first)):
            right = math.exp(float(own[i] @ others[i]) / temperature)
            wrong = sum(
                math.exp(float(own[i] @ others[j]) / temperature)
                for j in range(len(first))
                if j != i and not not_wrong[i, j]
            )
            halves.append(-math.log(right / (right + wrong)))
        losses.append(sum(halves) / 2)
    return losses


@pytest.mark.parametrize("temperature", [0.05, 1.0])
def test_it_is_the_formula(temperature: float) -> None:
    first, second = vectors()
    not_wrong = torch.zeros(6, 6, dtype=torch.bool)
    not_wrong[0, 3] = not_wrong[3, 0] = not_wrong[2, 2] = True
    found = info_nce_nats(first, second, temperature=temperature, not_wrong=not_wrong)
    assert found.tolist() == pytest.approx(slow(first, second, temperature, not_wrong), rel=1e-12)
    alone = info_nce_nats(first, second, temperature=temperature)
    assert alone.tolist() == pytest.approx(
        slow(first, second, temperature, torch.zeros(6, 6, dtype=torch.bool)), rel=1e-12
    )


def test_vectors_that_say_nothing_cost_a_guess() -> None:
    same = torch.ones(7, 3) / 3**0.5
    assert info_nce_nats(same, same, temperature=0.1).tolist() == pytest.approx([math.log(7)] * 7, rel=1e-6)


@pytest.mark.parametrize("symmetric", [False, True])
def test_it_is_that_of_sentence_transformers(symmetric: bool) -> None:
    losses = pytest.importorskip("sentence_transformers.losses")
    first, second = (side.float() for side in vectors(9, seed=1))
    theirs = losses.MultipleNegativesRankingLoss(
        torch.nn.Identity(),
        scale=20.0,
        directions=("query_to_doc", "doc_to_query") if symmetric else ("query_to_doc",),
        partition_mode="per_direction",
    )
    expected = theirs.compute_loss_from_embeddings([first, second], None)
    found = info_nce_nats(first, second, temperature=1 / 20, symmetric=symmetric).mean()
    assert float(found) == pytest.approx(float(expected), rel=1e-5)


def test_pairs_that_share_a_text_are_found() -> None:
    texts = {"a": [5, 6, -1], "b": [5, -1, -1], "c": [7, 8, 9], "d": [6, 5, -1], "e": [1, -1, -1]}
    pairs = [("a", "b"), ("c", "d"), ("a", "e"), ("d", "a"), ("e", "e")]
    first, second = (torch.tensor([texts[pair[side]] for pair in pairs]) for side in range(2))
    expected = [[bool(set(one) & set(other)) for other in pairs] for one in pairs]
    assert sharing(first, second).tolist() == expected


@pytest.mark.parametrize("symmetric", [False, True])
def test_hard_negatives_are_those_of_sentence_transformers(symmetric: bool) -> None:
    losses = pytest.importorskip("sentence_transformers.losses")
    (first, second), (hard, _) = vectors(9, seed=1), vectors(9, seed=2)
    theirs = losses.MultipleNegativesRankingLoss(
        torch.nn.Identity(),
        scale=20.0,
        directions=("query_to_doc", "doc_to_query") if symmetric else ("query_to_doc",),
        partition_mode="per_direction",
    )
    expected = theirs.compute_loss_from_embeddings([first, second, hard], None)
    found = info_nce_nats(first, second, temperature=1 / 20, symmetric=symmetric, negatives=hard).mean()
    assert float(found) == pytest.approx(float(expected), abs=1e-6)


def test_a_hard_negative_is_wrong_for_all_but_those_it_belongs_to() -> None:
    (first, second), (hard, _) = vectors(4), vectors(3, seed=5)
    not_wrong = torch.zeros(4, 3, dtype=torch.bool)
    not_wrong[1] = torch.tensor([True, False, True])
    not_wrong[2] = True
    found = info_nce_nats(
        first, second, temperature=0.3, symmetric=False, negatives=hard, not_wrong_negatives=not_wrong
    )
    for i in range(4):
        scores = [float(first[i] @ other) / 0.3 for other in second]
        wrong = [float(first[i] @ other) / 0.3 for k, other in enumerate(hard) if not not_wrong[i, k]]
        expected = math.log(sum(map(math.exp, scores + wrong))) - scores[i]
        assert float(found[i]) == pytest.approx(expected, rel=1e-9)


def test_hard_negatives_that_are_texts_of_related_pairs_are_found() -> None:
    texts = {name: [number + 1, -1] for number, name in enumerate("abcdefg")}
    pairs, hard = [("a", "b"), ("a", "c"), ("d", "e")], ["c", "d", "g", "b"]
    sides = [torch.tensor([texts[pair[side]] for pair in pairs]) for side in range(2)]
    found = matching(*sides, torch.tensor([texts[name] for name in hard]))
    # c and b belong to a, which two pairs share; d is a text of the third; g of none
    assert found.tolist() == [
        [True, False, False, True],
        [True, False, False, True],
        [False, True, False, False],
    ]
