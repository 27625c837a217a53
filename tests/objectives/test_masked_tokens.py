"""Masked tokens: how many and which are chosen, what is read in their place, and what their loss is."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from creuset.objectives.masked_tokens import (
    choose_places,
    corrupt_places,
    mask_places,
    masked_token_nats,
)

MASK, IGNORED = 99, -1


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def slow_places(candidates: Tensor, draws: Tensor, share: float) -> Tensor:
    """Row by row: the candidates in the order of their draws, as many as are wanted."""
    places = torch.zeros_like(candidates)
    for row in range(len(candidates)):
        found = [place for place in range(candidates.shape[1]) if candidates[row, place]]
        found.sort(key=lambda place: float(draws[row, place]))
        for place in found[: max(1, round(share * len(found)))]:
            places[row, place] = True
    return places


@pytest.mark.parametrize("share", [0.01, 0.15, 0.5, 1.0])
def test_places_are_those_of_a_plain_loop(share: float) -> None:
    candidates = numbers(20, 30) < 0.7
    draws = numbers(20, 30, seed=1)
    places = choose_places(candidates, draws, share)
    assert torch.equal(places, slow_places(candidates, draws, share))
    assert (places.sum(1) >= 1).all()


def test_a_text_without_candidates_has_no_place() -> None:
    candidates = torch.tensor([[False, False], [True, False]])
    assert choose_places(candidates, numbers(2, 2), 0.15).tolist() == [[False, False], [True, False]]


def test_each_candidate_is_chosen_equally_often() -> None:
    places = choose_places(torch.ones(20_000, 20, dtype=torch.bool), numbers(20_000, 20), 0.15)
    assert (places.sum(1) == 3).all()
    torch.testing.assert_close(places.float().mean(0), torch.full((20,), 0.15), atol=0.01, rtol=0)


def test_of_the_chosen_tokens_80_are_masked_10_are_random_and_10_stay() -> None:
    tokens = torch.zeros(1000, 100, dtype=torch.int64)
    places = numbers(1000, 100) < 0.5
    random = torch.full_like(tokens, 7)
    hidden = corrupt_places(
        tokens,
        places,
        mask_token=MASK,
        draws=numbers(1000, 100, seed=1),
        random_tokens=random,
        ignored=IGNORED,
    )
    read = hidden.tokens[places]
    for token, share in ((MASK, 0.8), (7, 0.1), (0, 0.1)):
        assert float((read == token).float().mean()) == pytest.approx(share, abs=0.005)
    assert not hidden.tokens[~places].any()
    assert torch.equal(hidden.targets, torch.where(places, tokens, IGNORED))


def test_for_measuring_all_chosen_tokens_are_masked() -> None:
    tokens = torch.arange(6).view(2, 3)
    places = torch.tensor([[True, False, False], [False, True, True]])
    hidden = mask_places(tokens, places, mask_token=MASK, ignored=IGNORED)
    assert hidden.tokens.tolist() == [[MASK, 1, 2], [3, MASK, MASK]]
    assert hidden.targets.tolist() == [[0, IGNORED, IGNORED], [IGNORED, 4, 5]]


def test_the_loss_is_cross_entropy_at_the_chosen_places_alone() -> None:
    generator = torch.Generator().manual_seed(0)
    head = nn.Linear(5, 11)
    states = torch.randn(3, 8, 5, generator=generator, requires_grad=True)
    targets = torch.randint(11, (3, 8), generator=generator)
    targets[numbers(3, 8) < 0.6] = IGNORED
    seen: list[int] = []

    def scores(chosen: Tensor) -> Tensor:
        seen.append(len(chosen))
        found: Tensor = head(chosen)
        return found

    nats = masked_token_nats(states, targets, scores, vocab_size=11, ignored=IGNORED)
    expected = functional.cross_entropy(
        head(states).flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="none"
    ).view(3, 8)
    torch.testing.assert_close(nats, expected)
    assert sum(seen) == int((targets != IGNORED).sum())
    found, wanted = (torch.autograd.grad(loss.square().sum(), states)[0] for loss in (nats, expected))
    torch.testing.assert_close(found, wanted)


def test_nothing_chosen_costs_nothing() -> None:
    targets = torch.full((2, 3), IGNORED)
    nats = masked_token_nats(torch.ones(2, 3, 5), targets, nn.Linear(5, 7), vocab_size=7, ignored=IGNORED)
    assert nats.shape == (2, 3)
    assert not nats.any()
