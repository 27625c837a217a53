"""Toys: mixtures against their definition, stacked pictures against the pictures they are made of."""

from pathlib import Path

import numpy as np
import pytest
import torch

from creuset.data.load import load_data
from creuset.data.source import Part
from creuset.data.toys import mixtures, read_toy, stacked
from creuset.errors import CreusetError, DataError, UsageError
from creuset.metrics.modes import GRID_SIGMA, RING_SIGMA, ModeCounts, grid_means, ring_means
from creuset.recipe.sections import DataConfig


def nowhere(name: str) -> Path:
    raise AssertionError(name)


def test_mixtures_are_those_that_modes_are_counted_by() -> None:
    found = mixtures()
    np.testing.assert_allclose(found["ring"].means, ring_means())
    np.testing.assert_allclose(found["grid"].means, grid_means())
    assert (found["ring"].sigma, found["grid"].sigma) == (RING_SIGMA, GRID_SIGMA)


@pytest.mark.parametrize("name", ["ring", "grid"])
def test_points_are_of_their_mixture_and_always_the_same(name: str) -> None:
    first, again = read_toy(name), read_toy(name)
    mixture = mixtures()[name]
    for split, part in first.parts.items():
        np.testing.assert_array_equal(part.inputs, again.parts[split].inputs)
        assert part.labels is not None
        offsets = (part.inputs - mixture.means[part.labels]) / mixture.sigma
        assert abs(float(offsets.mean())) < 0.05
        assert float(offsets.std()) == pytest.approx(1, abs=0.02)
        counts = ModeCounts.from_points(part.inputs, mixture.means, mixture.sigma)
        assert counts.covered == len(mixture.means)
        assert counts.num_good / counts.n == pytest.approx(counts.perfect_quality, abs=0.01)


def test_a_toy_is_loaded_as_a_table_with_its_own_splits() -> None:
    dataset = load_data(DataConfig(source="ring"), seed=0, resolve=nowhere)
    assert dataset.spec.kind == "table"
    assert dataset.spec.mixture == "ring"
    assert dataset.spec.class_names == tuple("01234567")
    assert {name: split.num_samples for name, split in dataset.splits.items()} == {
        "train": 50_000,
        "validation": 5_000,
        "test": 5_000,
    }
    batch = dataset.batch("train", torch.arange(1000))["features"]
    assert float(batch.std()) == pytest.approx(1, abs=0.05)
    with pytest.raises(UsageError, match="test split of its own"):
        load_data(DataConfig(source="ring", test_share=0.2), seed=0, resolve=nowhere)


def test_a_stack_is_made_of_pictures_each_once_in_each_channel() -> None:
    pictures = np.arange(5, dtype=np.uint8).reshape(5, 1, 1, 1).repeat(2, axis=2)
    part = Part(inputs=pictures, labels=np.arange(5), names=tuple("abcde"))
    made = stacked(part, 3, "numbers")
    assert made.inputs.shape == (5, 3, 2, 1)
    assert made.labels is None
    for channel in range(3):
        assert sorted(made.inputs[:, channel, 0, 0].tolist()) == [0, 1, 2, 3, 4]
    assert len({tuple(row) for row in made.inputs[:, :, 0, 0].tolist()}) == 5
    letters = made.names[0].split(" + ")
    assert ["abcde".index(letter) for letter in letters] == made.inputs[0, :, 0, 0].tolist()


def test_only_grey_pictures_are_stacked() -> None:
    colour = Part(inputs=np.zeros((2, 3, 4, 4), dtype=np.uint8), labels=None, names=("a", "b"))
    with pytest.raises(DataError, match="only pictures of one channel can be stacked"):
        stacked(colour, 3, "colours")
    with pytest.raises(CreusetError, match=r"a setting without effect: it is for pictures[^$]*data.stack"):
        load_data(DataConfig(source="ring", stack=3), seed=0, resolve=nowhere)


def test_stacked_digits_share_no_digit_between_splits() -> None:
    dataset = load_data(DataConfig(source="digits", stack=3), seed=0, resolve=nowhere)
    assert dataset.spec.shape == (3, 8, 8)
    assert dataset.spec.mixture == "stack"
    assert dataset.spec.class_names == ()
    grey = load_data(DataConfig(source="digits"), seed=0, resolve=nowhere)
    for name, split in dataset.splits.items():
        assert split.num_samples == grey.splits[name].num_samples
        own = {row.numpy().tobytes() for row in grey.splits[name].inputs[:, 0]}
        assert {row.numpy().tobytes() for row in split.inputs.flatten(0, 1)} == own
