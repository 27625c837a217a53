"""What a critic sees of a batch, against plain loops over the published formulas."""

import math

import pytest
import torch

from creuset.errors import UsageError
from creuset.layers.minibatch_discrimination import MinibatchDiscrimination, with_minibatch_deviation


def test_discrimination_is_the_papers_formula_without_the_sample_itself() -> None:
    torch.manual_seed(0)
    layer, x = MinibatchDiscrimination(4, 3, 2).double(), torch.randn(5, 4, dtype=torch.float64)
    found = layer(x).detach()
    assert found.shape == (5, 7)
    assert torch.equal(found[:, :4], x)
    matrices = [
        [[float(x[i] @ layer.projection.detach()[:, k, d]) for d in range(2)] for k in range(3)]
        for i in range(5)
    ]
    for i in range(5):
        for k in range(3):
            likeness = sum(
                math.exp(-sum(abs(matrices[i][k][d] - matrices[j][k][d]) for d in range(2)))
                for j in range(5)
                if j != i
            )
            assert float(found[i, 4 + k]) == pytest.approx(likeness, rel=1e-9)


def test_equal_samples_are_told_from_unlike_ones() -> None:
    torch.manual_seed(0)
    layer = MinibatchDiscrimination(4, 3, 2)
    same = layer(torch.randn(1, 4).repeat(6, 1))[:, 4:]
    torch.testing.assert_close(same, torch.full_like(same, 5.0))
    assert float(layer(1e4 * torch.randn(6, 4))[:, 4:].detach().max()) < 1e-3
    x = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(layer.double(), (x,))


def test_deviation_is_the_mean_standard_deviation_of_a_group() -> None:
    maps = torch.randn(6, 2, 3, 4, dtype=torch.float64)
    found = with_minibatch_deviation(maps, 3)
    assert found.shape == (6, 3, 3, 4)
    assert torch.equal(found[:, :2], maps)
    for sample in range(6):
        group = maps[[sample % 2, sample % 2 + 2, sample % 2 + 4]]
        expected = float(group.std(0, unbiased=False).mean())
        assert found[sample, 2].flatten().tolist() == pytest.approx([expected] * 12)


def test_equal_samples_deviate_by_nothing_and_give_a_finite_gradient() -> None:
    maps = torch.zeros(4, 1, 2, 2, requires_grad=True)
    found = with_minibatch_deviation(maps, 4)
    assert float(found[:, 1].detach().max()) == pytest.approx(1e-4)
    found.sum().backward()  # type: ignore[no-untyped-call]
    assert maps.grad is not None
    assert bool(torch.isfinite(maps.grad).all())


def test_a_group_that_does_not_divide_the_batch_is_refused() -> None:
    with pytest.raises(UsageError, match=r"groups do not fill[^$]*6 samples, groups of 4"):
        with_minibatch_deviation(torch.zeros(6, 1, 2, 2), 4)
