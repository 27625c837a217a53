"""A row's draws depend on the seed and its place alone."""

import torch

from creuset.device import BatchGenerator
from creuset.samplers.row_noise import RowNoise


def test_rows_do_not_depend_on_how_a_batch_is_cut() -> None:
    draws = BatchGenerator(0, "noise", size=6)
    whole = RowNoise(draws)
    expected = [whole.normal(2, 3), whole.uniform(4), whole.normal(2, 3)]
    part = RowNoise(draws.slice(2, 5))
    for one in expected:
        shape = one.shape[1:]
        found = part.uniform(*shape) if shape == (4,) else part.normal(*shape)
        assert torch.equal(found, one[2:5])
    other = RowNoise(BatchGenerator(1, "noise", size=6))
    assert not torch.equal(other.normal(2, 3), expected[0])


def test_numbers_have_their_distribution() -> None:
    noise = RowNoise(BatchGenerator(0, "noise", size=50))
    normal = noise.normal(4000)
    assert abs(float(normal.mean())) < 0.01
    assert abs(float(normal.std()) - 1) < 0.01
    signs = noise.signs(4000)
    assert set(signs.unique().tolist()) == {-1.0, 1.0}
    assert abs(float(signs.mean())) < 0.01
    assert len(torch.corrcoef(normal[:2])) == 2
    assert abs(float(torch.corrcoef(normal[:2])[0, 1])) < 0.06
