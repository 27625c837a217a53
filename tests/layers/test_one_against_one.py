"""Votes and decisions of pairs of classes, worked out by hand."""

import numpy as np
import pytest

from creuset.layers.one_against_one import (
    gaussian_kernel,
    linear_kernel,
    pair_coefficients,
    pair_decisions,
    votes,
)


def test_votes_count_first_and_confidences_decide_between_equal_ones() -> None:
    decisions = np.array([[1.0, 2.0, 3.0], [5.0, -1.0, 0.5], [1.0, -2.0, 4.0], [0.0, 0.0, 0.0]])
    scores = votes(decisions, 3)
    assert [row.tolist() for row in np.floor(scores + 1 / 3)] == [[2, 1, 0], [1, 1, 1], [1, 1, 1], [2, 1, 0]]
    # a vote each: class 0 has the confidences 5 - 1, class 1 -5 + 0.5, class 2 1 - 0.5
    assert scores[1].argsort().tolist() == [1, 2, 0]
    assert scores[2].argsort().tolist() == [2, 0, 1]
    assert np.abs(scores - scores.round()).max() < 1 / 3


def test_each_vector_weighs_in_the_pairs_of_its_class_alone() -> None:
    # one vector of class 0, two of class 1, one of class 2; the columns are the pairs 01, 02, 12
    stored = np.array([[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]])
    expected = [[1.0, 5.0, 0.0], [2.0, 0.0, 6.0], [3.0, 0.0, 7.0], [0.0, 4.0, 8.0]]
    assert pair_coefficients(stored, np.array([1, 2, 1])).tolist() == expected


@pytest.mark.parametrize("chunk", [1, 2**23])
def test_decisions_are_weighted_kernel_values(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("creuset.layers.one_against_one._CHUNK_NUMBERS", chunk)
    rows, vectors = np.array([[1.0, 0.0], [0.0, 2.0]]), np.array([[1.0, 1.0], [3.0, 0.0]])
    coefficients, intercepts = np.array([[2.0], [-1.0]]), np.array([0.5])
    linear = pair_decisions(rows, vectors, coefficients, intercepts, linear_kernel)
    assert linear.tolist() == [[2 * 1 - 3 + 0.5], [2 * 2 - 0 + 0.5]]
    gaussian = pair_decisions(rows, vectors, coefficients, intercepts, gaussian_kernel(0.1))
    expected = [2 * np.exp(-0.1) - np.exp(-0.4) + 0.5, 2 * np.exp(-0.2) - np.exp(-1.3) + 0.5]
    np.testing.assert_allclose(gaussian[:, 0], expected)
