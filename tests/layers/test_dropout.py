"""Dropout: what it keeps on average, and that its draws belong to samples."""

import pytest
import torch

from creuset.device import BatchGenerator
from creuset.layers.dropout import Dropout


def test_without_a_generator_nothing_is_dropped() -> None:
    x = torch.randn(4, 5)
    assert Dropout(0.5)(x, None) is x
    assert Dropout(0.0)(x, BatchGenerator(0, size=4)) is x


def test_keeps_its_share_and_the_mean() -> None:
    out = Dropout(0.3)(torch.ones(200, 500), BatchGenerator(0, size=200))
    torch.testing.assert_close(out.unique(), torch.tensor([0.0, 1 / 0.7]))
    assert float((out == 0).float().mean()) == pytest.approx(0.3, abs=0.005)
    assert float(out.mean()) == pytest.approx(1, abs=0.01)


def test_parts_of_a_batch_are_dropped_as_in_the_whole() -> None:
    x = torch.randn(9, 3, 4, dtype=torch.float64)
    whole = Dropout(0.5)(x, BatchGenerator(0, size=9))
    generator = BatchGenerator(0, size=9)
    parts = [Dropout(0.5)(x[a:b], generator.slice(a, b)) for a, b in ((0, 2), (2, 3), (3, 9))]
    assert torch.equal(torch.cat(parts), whole)
    assert whole.dtype == torch.float64


@pytest.mark.parametrize("p", [-0.1, 1.0])
def test_refuses_impossible_probabilities(p: float) -> None:
    with pytest.raises(ValueError, match=r"outside \[0, 1\)"):
        Dropout(p)
