import numpy as np
import pytest

from creuset.training.fit import places_of_share


@pytest.mark.parametrize(
    ("share", "expected"),
    [(1.0, [0, 1, 2, 3, 4, 5, 6]), (0.5, [0, 1, 2, 4]), (0.01, [0, 1, 4])],
)
def test_a_share_keeps_some_of_each_class_in_their_order(share: float, expected: list[int]) -> None:
    labels = np.array([2, 0, 2, 2, 1, 2, 0], dtype=np.int64)
    assert places_of_share(labels, share).tolist() == expected
