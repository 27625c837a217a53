"""The fused cross entropy against torch's own, with its gradients, in parts and in bfloat16."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from creuset.objectives.linear_cross_entropy import sum_of_nats


def problem(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    states = torch.randn(17, 6, generator=generator, dtype=torch.float64)
    weight = torch.randn(23, 6, generator=generator, dtype=torch.float64)
    targets = torch.randint(23, (17,), generator=generator)
    return states.to(dtype).requires_grad_(), weight.to(dtype).requires_grad_(), targets


@pytest.mark.parametrize("max_scores", [1, 23 * 4, 23 * 17, 10**6])
def test_value_and_gradients_are_those_of_cross_entropy(max_scores: int) -> None:
    states, weight, targets = problem()
    found = sum_of_nats(states, weight, targets, max_scores=max_scores)
    (found * 0.3).backward()
    again, heavy, _ = problem()
    expected = functional.cross_entropy(again @ heavy.T, targets, reduction="sum")
    (expected * 0.3).backward()
    assert float(found.detach()) == pytest.approx(float(expected.detach()), rel=1e-12)
    assert states.grad is not None
    assert weight.grad is not None
    assert torch.allclose(states.grad, again.grad, rtol=1e-10, atol=1e-12)
    assert torch.allclose(weight.grad, heavy.grad, rtol=1e-10, atol=1e-12)


def test_what_is_frozen_gets_no_gradient() -> None:
    states, weight, targets = problem()
    weight.requires_grad_(False)
    sum_of_nats(states, weight, targets).backward()
    assert states.grad is not None
    assert weight.grad is None
    states, weight, targets = problem()
    sum_of_nats(states.detach(), weight, targets).backward()
    assert weight.grad is not None
    with torch.no_grad():
        assert not sum_of_nats(states, weight, targets).requires_grad


def test_gradients_by_differences() -> None:
    states, weight, targets = problem()
    assert torch.autograd.gradcheck(
        lambda a, b: sum_of_nats(a, b, targets, max_scores=23 * 5), (states, weight), fast_mode=True
    )


def test_no_tokens() -> None:
    states, weight, targets = problem()
    total = sum_of_nats(states[:0], weight, targets[:0])
    total.backward()
    assert float(total.detach()) == 0
    assert weight.grad is not None
    assert not weight.grad.any()


def test_bfloat16_is_summed_in_float32() -> None:
    states, weight, targets = problem(torch.bfloat16)
    total = sum_of_nats(states, weight, targets)
    assert total.dtype == torch.float32
    total.backward()
    exact, heavy, _ = problem()
    sum_of_nats(exact, heavy, targets).backward()
    assert states.grad is not None
    assert states.grad.dtype == weight.grad.dtype == torch.bfloat16
    assert torch.allclose(states.grad.double(), exact.grad, atol=0.05)
    assert torch.allclose(weight.grad.double(), heavy.grad, atol=0.1)


def test_scores_never_stand_in_memory_together() -> None:
    from torch.utils._python_dispatch import TorchDispatchMode

    class Largest(TorchDispatchMode):
        numbers = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            if isinstance(out, Tensor):
                self.numbers = max(self.numbers, out.numel())
            return out

    states = torch.randn(64, 8, generator=torch.Generator().manual_seed(0)).requires_grad_()
    weight = torch.randn(1000, 8, generator=torch.Generator().manual_seed(1))
    with Largest() as seen:
        sum_of_nats(states, weight, torch.zeros(64, dtype=torch.long), max_scores=4000).backward()
    assert seen.numbers <= 8000  # of the weight; the scores of all tokens would be 64,000
