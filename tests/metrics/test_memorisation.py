"""Copies of training samples are found, fresh samples are not accused."""

import numpy as np
import pytest

from creuset.errors import DataError, UsageError
from creuset.metrics.features import Extractor
from creuset.metrics.memorisation import TrainingNeighbours, memorisation_score, near_copies

DIMS = 4


def draws(num: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(num, DIMS))


TRAINING, HELD_OUT = draws(300, 0), draws(200, 1)


def test_fresh_samples_score_a_half() -> None:
    covered = 0
    for seed in range(100):
        neighbours = TrainingNeighbours.from_features(
            draws(150, 2 * seed + 10), TRAINING, draws(150, 2 * seed + 11)
        )
        interval = memorisation_score(neighbours).interval
        assert interval is not None
        covered += interval[0] <= 0.5 <= interval[1]
    assert covered >= 90


def test_copies_score_1_and_strays_below_a_half() -> None:
    copies = TrainingNeighbours.from_features(TRAINING[:100], TRAINING, HELD_OUT)
    score = memorisation_score(copies, extractor=Extractor(name="none"))
    assert (score.value, score.interval) == (1.0, None)
    assert "|held_out_n:200|" in score.signature
    assert "|training_n:300|" in score.signature
    assert score.unit == "probability"
    assert near_copies(copies).value == 1.0
    strays = TrainingNeighbours.from_features(3 * draws(100, 5), TRAINING, HELD_OUT)
    assert memorisation_score(strays).value < 0.2


def test_the_probability_written_out_with_ties() -> None:
    neighbours = TrainingNeighbours.from_features([[1.0], [2.0]], [[0.0]], [[2.0], [3.0], [0.5]])
    # pairs: 1 < 2, 1 < 3, 1 > .5, 2 = 2, 2 < 3, 2 > .5
    assert memorisation_score(neighbours).value == pytest.approx(3.5 / 6)


def test_a_few_copies_among_many_are_found_and_shown() -> None:
    generated = draws(400, 3)
    generated[[7, 90, 399]] = TRAINING[[5, 0, 299]]
    generated[90] += 1e-6
    neighbours = TrainingNeighbours.from_features(generated, TRAINING, HELD_OUT)
    fake, training = neighbours.closest(3)
    assert fake.tolist() == [7, 399, 90]
    assert training.tolist() == [5, 299, 0]
    score = near_copies(neighbours, near_share=0.01)
    assert 3 / 400 <= score.value <= 0.05
    assert "|near_share:0.01|" in score.signature


def test_near_copies_of_real_samples_is_the_near_share() -> None:
    neighbours = TrainingNeighbours.from_features(HELD_OUT, TRAINING, HELD_OUT)
    assert near_copies(neighbours, near_share=0.05).value == pytest.approx(0.05)


def test_bad_input_is_refused() -> None:
    neighbours = TrainingNeighbours.from_features(draws(50, 3), TRAINING, HELD_OUT[:99])
    with pytest.raises(DataError, match=r"held_out: not enough(.|\n)*got: 99\n  expected: 100 or more"):
        near_copies(neighbours)
    with pytest.raises(UsageError, match="not a share"):
        near_copies(neighbours, near_share=1.0)
    with pytest.raises(UsageError, match="expected: 1 to 50"):
        neighbours.closest(51)
    with pytest.raises(DataError, match="generated 4, training 3, held_out 4"):
        TrainingNeighbours.from_features(draws(50, 3), TRAINING[:, :3], HELD_OUT)


def test_held_out_copies_hide_no_copies() -> None:
    held_out = np.concatenate([HELD_OUT, TRAINING[100:150]])
    copies = TrainingNeighbours.from_features(TRAINING[:100], TRAINING, held_out)
    score = near_copies(copies)
    assert score.value == 1.0
    assert "|held_out_copies:50|held_out_n:250|" in score.signature
    fresh = TrainingNeighbours.from_features(draws(400, 3), TRAINING, held_out)
    without = TrainingNeighbours.from_features(draws(400, 3), TRAINING, HELD_OUT)
    assert near_copies(fresh).value == near_copies(without).value < 0.05
    assert "|held_out_copies:0|" in near_copies(without).signature


def test_too_few_held_out_samples_that_are_no_copies() -> None:
    held_out = np.concatenate([HELD_OUT[:99], TRAINING[:50]])
    neighbours = TrainingNeighbours.from_features(draws(50, 3), TRAINING, held_out)
    with pytest.raises(DataError, match="got: 99 besides 50 copies of training samples\n  expected: 100"):
        near_copies(neighbours)


def test_other_training_samples_have_another_signature() -> None:
    one, other = (
        TrainingNeighbours.from_features(draws(50, 3), TRAINING, HELD_OUT, training_data=letter * 64)
        for letter in "ab"
    )
    for metric in (memorisation_score, near_copies):
        assert "|training:aaaaaaaa|" in metric(one).signature
        assert metric(one).signature != metric(other).signature
