"""Cross entropy of the next token: torch's, in one part or in many, with the gradients of one."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from creuset.objectives.next_token import next_token_nats


def losses(max_scores: int, head: nn.Linear, states: Tensor, targets: Tensor) -> tuple[Tensor, list[Tensor]]:
    nats = next_token_nats(states, targets, head, vocab_size=7, ignored=-1, max_scores=max_scores)
    gradients = torch.autograd.grad(nats.square().sum(), [states, head.weight, head.bias])
    return nats.detach(), list(gradients)


@pytest.mark.parametrize("max_scores", [1, 7, 14, 50, 10_000])
def test_parts_give_what_the_whole_gives(max_scores: int) -> None:
    generator = torch.Generator().manual_seed(0)
    head = nn.Linear(5, 7).double()
    states = torch.randn(3, 4, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    targets = torch.randint(7, (3, 4), generator=generator)
    targets[1, 2:] = -1
    nats, gradients = losses(max_scores, head, states, targets)
    logits = head(states)
    expected = functional.cross_entropy(
        logits.flatten(0, 1), targets.flatten(), ignore_index=-1, reduction="none"
    )
    wanted = torch.autograd.grad(expected.square().sum(), [states, head.weight, head.bias])
    torch.testing.assert_close(nats, expected.view(3, 4).detach())
    assert not nats[1, 2:].any()
    for one, other in zip(gradients, wanted, strict=True):
        torch.testing.assert_close(one, other)


def test_no_more_scores_stand_in_memory_than_allowed() -> None:
    seen: list[int] = []

    def head(states: Tensor) -> Tensor:
        seen.append(states.shape[0] * 7)
        return states.repeat(1, 7)

    states = torch.ones(4, 10, 1, requires_grad=True)
    nats = next_token_nats(
        states, torch.zeros(4, 10, dtype=torch.int64), head, vocab_size=7, ignored=-1, max_scores=70
    )
    nats.sum().backward()
    assert max(seen) == 70
    assert len(seen) == 8  # four parts, made again in the backward pass


def test_bfloat16_is_counted_in_float32() -> None:
    head = nn.Linear(5, 7).bfloat16()
    nats = next_token_nats(
        torch.ones(1, 2, 5, dtype=torch.bfloat16),
        torch.zeros(1, 2, dtype=torch.int64),
        head,
        vocab_size=7,
        ignored=-1,
    )
    assert nats.dtype == torch.float32
