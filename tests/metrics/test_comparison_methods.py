"""Which test belongs to which metric; equal generators are seldom told apart, better ones are found."""

from collections import Counter

import numpy as np
import pytest

from creuset.errors import GateError, UsageError
from creuset.metrics.comparison import Comparison
from creuset.metrics.comparison_methods import compare_kept, is_compared, is_compared_by_default
from creuset.metrics.features import INCEPTION_SHA256, Extractor
from creuset.metrics.inputs import FloatArray
from creuset.metrics.replicates import Replicates
from creuset.metrics.rows import KeptRows
from creuset.metrics.score import Score
from creuset.metrics.signature import Context
from generators import DATA, measured

Measured = tuple[dict[str, Score], KeptRows]
OF_GENERATED = ("fd", "kd", "precision", "density")


def drawn(seed: int, shift: float = 0.0, n: int = 150, dims: int = 12) -> FloatArray:
    return np.random.default_rng(seed).normal(shift, size=(n, dims))


def compared(metric: str, a: Measured, b: Measured) -> Comparison:
    return compare_kept(a[0][metric], b[0][metric], a[1], b[1])


@pytest.mark.parametrize("shift", [0.0, 0.3])
def test_two_sets_of_one_generator_are_seldom_told_apart(shift: float) -> None:
    told: Counter[str] = Counter()
    pairs = 60
    for number in range(pairs):
        reference, *sets = (drawn(3 * number + part, shift if part else 0.0) for part in range(3))
        a, b = (measured(generated, reference) for generated in sets)
        for metric in ("fd", "kd"):
            told[metric] += compared(metric, a, b).verdict != "cannot tell apart"
    assert max(told.values()) <= 0.07 * pairs + 1, told


def test_balls_of_one_reference_are_tested_sample_by_sample() -> None:
    told: Counter[str] = Counter()
    for number in range(20):
        reference, *sets = (drawn(3 * number + part, 0.2 if part else 0.0) for part in range(3))
        a, b = (measured(generated, reference) for generated in sets)
        for metric in ("precision", "density"):
            told[metric] += compared(metric, a, b).verdict != "cannot tell apart"
    assert max(told.values()) <= 3, told


@pytest.mark.parametrize("metric", OF_GENERATED)
def test_a_better_generator_is_found(metric: str) -> None:
    reference = drawn(0)
    poor, good = measured(drawn(1, 0.6), reference), measured(drawn(2), reference)
    assert compared(metric, poor, good).verdict == "better"
    assert compared(metric, good, poor).verdict == "worse"
    found = compared(metric, poor, good)
    assert not found.paired
    low, high = found.interval or (0, 0)
    assert low < found.difference < high


@pytest.mark.parametrize("metric", OF_GENERATED)
def test_a_set_against_itself_is_no_difference(metric: str) -> None:
    a = measured(drawn(1), drawn(0))
    found = compared(metric, a, a)
    assert (found.difference, found.verdict) == (0, "cannot tell apart")
    assert found.p_value == pytest.approx(1)


def test_what_both_kernel_distances_share_is_taken_from_the_error_exactly() -> None:
    # four reference samples far from both generators: both distances rise and fall with them
    reference = drawn(0, n=60)
    reference[:4] += 4
    a, b = measured(drawn(1), reference), measured(drawn(2, 0.1), reference)
    found = compared("kd", a, b)

    def squared(values: FloatArray) -> float:
        return Replicates(values=values, kind="jackknife").squared_error()

    generated = squared(a[1]["kd_generated"]) + squared(b[1]["kd_generated"])
    own = squared(a[1]["kd_reference"]) + squared(b[1]["kd_reference"])
    both = squared(b[1]["kd_reference"] - a[1]["kd_reference"])
    assert both < own / 5
    low, high = found.interval or (0, 0)
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(generated + both), rel=0.02)
    assert "|pairing:reference|" in found.signature
    assert "|pairing:none|" in compared("fd", a, b).signature


def test_the_samples_that_would_tell_count_generated_ones_of_both() -> None:
    reference = drawn(0)
    for metric in ("kd", "fd"):
        found = compared(metric, measured(drawn(1, 0.3), reference), measured(drawn(2, 0.31), reference))
        assert found.verdict == "cannot tell apart"
        assert found.effect_size is not None
        needed = 2 * ((1.959964 + 0.841621) / found.effect_size) ** 2
        assert found.more_samples == pytest.approx(max(needed - 150, 1), abs=1)


def test_scores_on_inceptions_features_are_compared_alike() -> None:
    inception = Extractor(name="inception", sha256=INCEPTION_SHA256)
    reference = drawn(0)
    a, b = (measured(drawn(seed, shift), reference, extractor=inception) for seed, shift in ((1, 1), (2, 0)))
    assert [compared(metric, a, b).verdict for metric in ("fid", "kid")] == ["better", "better"]


def test_whole_sets_alone_are_not_compared() -> None:
    scores, kept = measured(drawn(1), drawn(0))
    assert [name for name in scores if is_compared(name, kept)] == list(OF_GENERATED)
    assert is_compared_by_default("fd", kept)
    with pytest.raises(UsageError, match='"recall" cannot be compared: it depends on the generated set as a'):
        compare_kept(scores["recall"], scores["recall"], kept, kept)
    few = {name: rows for name, rows in kept.items() if name != "kd_reference"}
    assert not is_compared("kd", few)
    with pytest.raises(UsageError, match=r'"kd" cannot be compared: .* did not keep .*: kd_reference\n'):
        compare_kept(scores["kd"], scores["kd"], kept, few)


@pytest.mark.parametrize("metric", OF_GENERATED)
def test_distances_that_were_measured_otherwise_are_refused_by_the_field(metric: str) -> None:
    reference = drawn(0)
    a = measured(drawn(1), reference)
    others = {
        "n": measured(drawn(2, n=160), reference),
        "reference_n": measured(drawn(2), reference[:140]),
        "data": measured(drawn(2), reference, context=Context(data="1" * 64, split="test")),
        "split": measured(drawn(2), reference, context=Context(data=DATA.data, split="validation")),
        "extractor": measured(drawn(2), reference, extractor=Extractor(name="pixels")),
        "preprocessing": measured(
            drawn(2), reference, extractor=Extractor(name="none", preprocessing="crop")
        ),
        "weights": measured(drawn(2), reference, extractor=Extractor(name="none", sha256="ab" * 32)),
    }
    for field, other in others.items():
        with pytest.raises(GateError, match=f"side by side: they differ in {field}\n"):
            compared(metric, a, other)
