from collections import Counter

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from creuset.data.hashing import sample_hashes
from creuset.data.split import cut, straddlers, take
from creuset.errors import DataError

SHARES = {"test": 0.1, "validation": 0.1}


def hashes_of(values: list[int] | NDArray[np.int64]) -> NDArray[np.uint64]:
    return sample_hashes(np.array(values, dtype=np.float32)[:, None])


shares = st.fixed_dictionaries({"test": st.floats(0.01, 0.45), "validation": st.floats(0.01, 0.45)})


@st.composite
def samples(draw: st.DrawFn, *, distinct: bool) -> tuple[list[int], NDArray[np.int64]]:
    """Contents and labels; equal contents may have unequal labels."""
    number = draw(st.integers(10, 120))
    values = (
        list(range(number)) if distinct else draw(st.lists(st.integers(0, 30), min_size=10, max_size=120))
    )
    num_classes = draw(st.integers(1, 4))
    generator = np.random.default_rng(draw(st.integers(0, 1000)))
    return values, generator.integers(0, num_classes, len(values)).astype(np.int64)


@settings(deadline=None, max_examples=80)
@given(samples(distinct=False), shares, st.integers(0, 5))
def test_equal_samples_never_part(
    drawn: tuple[list[int], NDArray[np.int64]], shares: dict[str, float], seed: int
) -> None:
    values, labels = drawn
    try:
        splits = cut(hashes_of(values), labels, shares=shares, seed=seed)
    except DataError:
        assume(False)
    assert sorted(np.concatenate(list(splits.values())).tolist()) == list(range(len(values)))
    contents = [{values[index] for index in indices} for indices in splits.values()]
    assert sum(len(content) for content in contents) == len(set(values))


@settings(deadline=None, max_examples=80)
@given(samples(distinct=True), shares, st.integers(0, 5))
def test_sizes_are_exact_where_samples_differ(
    drawn: tuple[list[int], NDArray[np.int64]], shares: dict[str, float], seed: int
) -> None:
    values, labels = drawn
    sizes = {name: max(1, int(len(values) * share + 0.5)) for name, share in shares.items()}
    assume(sum(sizes.values()) <= len(values) - 4)  # a class keeps one sample to train on
    splits = cut(hashes_of(values), labels, shares=shares, seed=seed)
    assert {name: len(splits[name]) for name in shares} == sizes
    counts = Counter(labels.tolist())
    for name, share in shares.items():
        for label, count in counts.items():
            in_split = int((labels[splits[name]] == label).sum())
            if count >= 20:
                assert abs(in_split - share * count) <= 2
    assert set(labels[splits["train"]].tolist()) == set(labels.tolist())


@settings(deadline=None, max_examples=60)
@given(samples(distinct=False), st.randoms(use_true_random=False), st.integers(0, 5))
def test_the_order_of_samples_does_not_matter(
    drawn: tuple[list[int], NDArray[np.int64]], random: object, seed: int
) -> None:
    values, labels = drawn
    order = list(range(len(values)))
    random.shuffle(order)  # type: ignore[attr-defined]
    try:
        splits = cut(hashes_of(values), labels, shares=SHARES, seed=seed)
    except DataError:
        assume(False)
    shuffled = cut(hashes_of([values[place] for place in order]), labels[order], shares=SHARES, seed=seed)
    for name, indices in splits.items():
        assert sorted(values[index] for index in indices) == sorted(
            values[order[index]] for index in shuffled[name]
        )


def test_the_seed_decides_and_classes_are_spread_evenly() -> None:
    labels = np.repeat(np.arange(10), 500)
    hashes = hashes_of(np.arange(5000))
    splits = cut(hashes, labels, shares=SHARES, seed=0)
    assert {name: np.bincount(labels[indices]).tolist() for name, indices in splits.items()} == {
        "train": [400] * 10,
        "test": [50] * 10,
        "validation": [50] * 10,
    }
    again, other = cut(hashes, labels, shares=SHARES, seed=0), cut(hashes, labels, shares=SHARES, seed=1)
    assert np.array_equal(splits["test"], again["test"])
    # Another seed draws anew: about a tenth of the 500 is drawn twice.
    assert 20 <= len(np.intersect1d(splits["test"], other["test"])) <= 90


def test_a_test_split_does_not_depend_on_the_validation_share() -> None:
    hashes, labels = hashes_of(np.arange(300)), np.arange(300) % 3
    small = cut(hashes, labels, shares={"test": 0.2, "validation": 0.1}, seed=0)
    large = cut(hashes, labels, shares={"test": 0.2, "validation": 0.5}, seed=0)
    assert np.array_equal(small["test"], large["test"])


def test_a_class_keeps_its_last_sample_for_training() -> None:
    labels = np.array([0] * 8 + [1])
    splits = cut(hashes_of(list(range(9))), labels, shares={"test": 0.44, "validation": 0.33}, seed=0)
    assert 8 in splits["train"]
    assert (len(splits["test"]), len(splits["validation"])) == (4, 3)


def test_nothing_but_equal_samples_cannot_be_split() -> None:
    with pytest.raises(DataError, match="too few samples for a test split") as raised:
        cut(hashes_of([1] * 10), None, shares=SHARES, seed=0)
    assert "10 samples, 1 of them different" in str(raised.value)
    assert "data.test_share: 0" in str(raised.value)


def test_a_sample_stays_in_test_before_validation_before_train() -> None:
    flags = straddlers(
        {"train": hashes_of([1, 2, 3, 3, 4]), "validation": hashes_of([3, 5]), "test": hashes_of([4, 5, 6])}
    )
    assert {name: found.tolist() for name, found in flags.items()} == {
        "test": [False, False, False],
        "validation": [False, True],
        "train": [False, False, True, True, True],
    }


def test_equal_samples_within_one_part_are_no_straddlers() -> None:
    assert not straddlers({"train": hashes_of([1, 1, 2])})["train"].any()


@settings(deadline=None, max_examples=40)
@given(samples(distinct=True), st.data())
def test_take_is_exact_spread_and_independent_of_order(
    drawn: tuple[list[int], NDArray[np.int64]], data: st.DataObject
) -> None:
    values, labels = drawn
    number = data.draw(st.integers(1, len(values)))
    taken = take(hashes_of(values), labels, number, seed=0)
    assert len(taken) == number == len(set(taken.tolist()))
    for label, count in Counter(labels.tolist()).items():
        assert abs((labels[taken] == label).sum() - number * count / len(values)) <= 1
    backwards = take(hashes_of(values[::-1]), labels[::-1], number, seed=0)
    assert sorted(len(values) - 1 - backwards) == taken.tolist()
