"""Measures by name: those of the instruments, with what real samples reach, and what is missing said."""

import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from prdc import compute_prdc

from creuset.errors import DataError, UsageError
from creuset.metrics import feature_scores, feature_sets
from creuset.metrics.feature_scores import (
    FEATURE_METRICS,
    FeatureScores,
    feature_metrics,
    require_samples,
    score_features,
)
from creuset.metrics.feature_sets import FeatureSets
from creuset.metrics.features import INCEPTION_SHA256, Extractor
from creuset.metrics.frechet import frechet_intercept
from creuset.metrics.inception_score import score_classes
from creuset.metrics.memorisation import TrainingNeighbours, memorisation_score, near_copies
from creuset.metrics.rke import median_distance, rke_mode_count
from creuset.metrics.signature import Context, Signature
from fidelity import fidelity

EXTRACTOR = Extractor(name="mean", sha256="0" * 64)
INCEPTION = Extractor(name="inception-v3", sha256=INCEPTION_SHA256)
CONTEXT = Context(data="reals", split="test", seed=3)


def rows(num: int, seed: int, shift: float = 0.0, dims: int = 12) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=(num, dims)) + shift).astype(np.float32)


def sets(num: int = 150, num_real: int | None = None, dims: int = 12, **others: object) -> FeatureSets:
    return FeatureSets(
        generated=rows(num, 1, 0.3, dims),
        reference=rows(160, 2, dims=dims),
        real=None if num_real is None else rows(num_real, 3, dims=dims),
        **{"extractor": EXTRACTOR, **others},  # type: ignore[arg-type]
    )


def values(found: FeatureScores) -> dict[str, float]:
    return {score.metric: score.value for score in found.scores}


def test_torch_fidelity_and_prdc_agree_on_the_same_features() -> None:
    own = sets(160)
    found = values(score_features(["fd", "kd", "precision", "recall", "density", "coverage"], own))
    fid, kid = fidelity("metric_fid"), fidelity("metric_kid")
    both = [torch.from_numpy(features).double() for features in (own.generated, own.reference)]
    statistics = [fid.fid_features_to_statistics(features) for features in both]
    frechet = fid.fid_statistics_to_metric(*statistics, verbose=False)[fid.KEY_METRIC_FID]
    assert found["fd"] == pytest.approx(frechet, rel=1e-6)
    kernel = kid.kid_features_to_metric(*both, kid_subsets=1, kid_subset_size=160, verbose=False, rng_seed=0)
    assert found["kd"] == pytest.approx(kernel[kid.KEY_METRIC_KID_MEAN])
    for name, value in compute_prdc(own.reference, own.generated, nearest_k=5).items():
        assert found[name] == pytest.approx(value, rel=1e-12)


def test_the_others_are_those_of_their_instruments() -> None:
    logits = rows(150, 4, dims=7)
    own = sets(num_real=200, logits=logits)
    found = score_features(["memorisation", "rke", "is", "fd-intercept"], own, context=CONTEXT)
    stated = {"extractor": EXTRACTOR, "context": CONTEXT}
    assert own.real is not None
    neighbours = TrainingNeighbours.from_features(own.generated, own.real, own.reference)
    bandwidth = median_distance(own.reference, context=CONTEXT)
    assert found.scores == [
        memorisation_score(neighbours, **stated),  # type: ignore[arg-type]
        near_copies(neighbours, **stated),  # type: ignore[arg-type]
        rke_mode_count(own.generated, bandwidth=bandwidth, **stated),  # type: ignore[arg-type]
        score_classes(logits, classifier=EXTRACTOR, context=CONTEXT),
        frechet_intercept(own.generated, own.reference, **stated),  # type: ignore[arg-type]
    ]
    assert found.remarks == []


def test_a_name_asks_for_a_metric_and_decides_nothing() -> None:
    found = score_features(["fid", "kid"], sets())
    assert [score.metric for score in found.scores] == ["fd", "kd", "fd_intercept"]
    assert found.remarks[-2:] == [
        "fid is called fd: FID is defined on the features of Inception v3 alone, and these are of mean",
        "kid is called kd: KID is defined on the features of Inception v3 alone, and these are of mean",
    ]
    on_inception = score_features(["fd", "kid"], sets(extractor=INCEPTION))
    assert [score.metric for score in on_inception.scores] == ["fid", "kid", "fid_intercept"]
    assert not [remark for remark in on_inception.remarks if "is called" in remark]


def test_the_intercept_comes_by_itself_where_there_are_samples_for_it() -> None:
    assert "fd_intercept" in values(score_features(["fd"], sets(48)))
    few = score_features(["fd"], sets(47))
    assert "fd_intercept" not in values(few)
    assert few.remarks[0] == (
        "no intercept on 1/N: it needs 48 samples on both sides (4 a feature), and there are 47"
    )
    # Few features: 4 a feature would leave the jackknife's blocks empty.
    assert score_features(["fd"], sets(39, dims=2)).remarks[0].startswith("no intercept on 1/N: it needs 40 ")
    assert "fd_intercept" in values(score_features(["fd"], sets(40, dims=2)))


def test_floors_are_of_as_many_other_real_samples() -> None:
    own = sets(num_real=400)
    found = score_features(["fd", "precision", "is"], replace_logits(own), context=CONTEXT)
    assert [floor.metric for floor in found.floors] == ["fd_floor", "precision_floor"]
    for floor, score in zip(found.floors, found.scores[:2], strict=True):
        signature = Signature.parse(floor.signature)
        assert (signature.n, signature.seed) == (150, 3)
        assert dict(signature.extra) == {
            **dict(Signature.parse(score.signature).extra),
            "training": "unstated",
        }
    assert found.floors[0].value < found.scores[0].value
    assert found.remarks == []
    again = score_features(["fd", "precision", "is"], replace_logits(own), context=CONTEXT)
    assert again.floors == found.floors
    other = score_features(["fd"], own, context=Context(seed=4))
    assert other.floors[0].value != found.floors[0].value


def replace_logits(own: FeatureSets) -> FeatureSets:
    return FeatureSets(
        generated=own.generated,
        reference=own.reference,
        real=own.real,
        logits=rows(len(own.generated), 5, dims=4),
        extractor=own.extractor,
    )


def test_few_generated_samples_give_no_intervals_of_what_blocks_are_left_out_for() -> None:
    names = ["fd", "precision", "recall", "coverage"]
    few = score_features(names, sets(39))
    assert [score.interval is None for score in few.scores] == [True, False, True, True]
    assert few.remarks[-1] == (
        "no interval of fd, recall, coverage: blocks are left out of 40 generated samples or more, and there "
        "are 39"
    )
    enough = score_features(names, sets(40))
    assert all(score.interval is not None for score in enough.scores if score.metric in names)


def test_without_as_many_the_reference_is_parted() -> None:
    found = score_features(["fd", "precision"], sets(num_real=149))
    assert [floor.metric for floor in found.floors] == ["fd_floor"]
    signature = Signature.parse(found.floors[0].signature)
    assert (signature.n, dict(signature.extra)["reference_n"]) == (80, "80")
    assert found.remarks == [
        "no floors of training samples: there are 149, fewer than the 150 generated",
        "fd_floor is of 80 reference samples against the 80 others, the distance of 150 against 160: fewer "
        "samples lie farther apart; as many training samples as generated ones give a floor at the same "
        "numbers",
    ]
    few = score_features(["fd"], sets(30))
    assert Signature.parse(few.floors[0].signature).n == 30


def test_modes_are_counted_among_as_many_reference_samples() -> None:
    found = score_features(["rke"], sets(100), context=CONTEXT)
    (floor,) = found.floors
    assert (floor.metric, floor.n) == ("rke_floor", 100)
    bandwidths = {dict(Signature.parse(s.signature).extra)["bandwidth"] for s in (*found.scores, floor)}
    assert len(bandwidths) == 1


def test_a_kernel_distance_of_few_against_very_many() -> None:
    few = FeatureSets(generated=rows(100, 1, dims=2), reference=rows(10_001, 2, dims=2))
    (score,) = score_features(["kd"], few).scores
    assert dict(Signature.parse(score.signature).extra)["estimator"] == "blocks10"
    assert score.interval is not None
    assert score.interval[0] < 0 < score.interval[1]
    with pytest.raises(DataError, match="generated: kd needs 20 samples or more"):
        score_features(["kd"], FeatureSets(generated=few.generated[:19], reference=few.reference))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["fdd"], 'no metric "fdd"; did you mean "fd"'),
        (["fd", "fid"], '"fd" is named twice'),
        ([], "no metric was named"),
        (["bleu"], "expected: fd, fd-intercept, kd"),
    ],
)
def test_wrong_names_are_refused(names: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        feature_metrics(names)


@pytest.mark.parametrize("metric", [name for name in FEATURE_METRICS if name != "memorisation"])
def test_each_metric_says_how_many_samples_it_needs(metric: str) -> None:
    """One sample less than the fewest is refused by number, and the fewest are enough."""
    needed = {"fd": 2, "fd-intercept": 48, "kd": 3, "is": 20, "rke": 3}.get(metric, 6)
    logits = rows(needed, 4, dims=3)
    enough = FeatureSets(generated=rows(needed, 1), reference=rows(max(needed, 6), 2), logits=logits)
    assert score_features([metric], enough).scores
    few = FeatureSets(generated=rows(needed - 1, 1), reference=rows(50, 2), logits=logits[1:])
    text = (
        rf"generated: {metric} needs {needed} samples or more\n  got: {needed - 1} generated and 50 reference"
    )
    with pytest.raises(DataError, match=text):
        score_features([metric], few)


def test_memorisation_needs_training_and_enough_reference_samples() -> None:
    with pytest.raises(UsageError, match="memorisation is measured by the training samples"):
        score_features(["memorisation"], sets())
    with pytest.raises(DataError, match="reference: memorisation needs 100 samples or more"):
        require_samples(["memorisation"], num_generated=5, num_reference=99, num_features=3)


def test_bad_features_are_refused() -> None:
    with pytest.raises(UsageError, match="the extractor mean has no classes"):
        score_features(["is"], sets())
    broken = rows(50, 1)
    broken[7, 2] = np.nan
    with pytest.raises(
        DataError, match=r"generated: values that are not finite\n  got: the first at \(7, 2\)"
    ):
        score_features(["fd"], FeatureSets(generated=broken, reference=rows(50, 2)))
    with pytest.raises(DataError, match="unequal numbers of features"):
        score_features(["fd"], FeatureSets(generated=rows(50, 1), reference=rows(50, 2, dims=3)))
    with pytest.raises(DataError, match="reference: nothing to measure"):
        score_features(["fd"], FeatureSets(generated=rows(50, 1), reference=rows(0, 2)))


def test_what_is_measured_by_training_samples_names_them() -> None:
    own = sets(num_real=200)
    signatures = []
    for real_data in ("a" * 64, "b" * 64):
        found = score_features(["fd", "kd", "memorisation"], replace(own, real_data=real_data))
        named = [score for score in (*found.scores, *found.floors) if score.metric not in PLAIN]
        assert [score.metric for score in named] == ["memorisation", "near_copies", "fd_floor", "kd_floor"]
        assert all(f"|training:{real_data[:8]}|" in score.signature for score in named)
        signatures.append([score.signature for score in named])
        assert not [
            score for score in found.scores if score.metric in PLAIN and "training" in score.signature
        ]
    assert not set(signatures[0]) & set(signatures[1])
    of_reference = score_features(["fd"], sets()).floors[0]
    assert "training" not in of_reference.signature


PLAIN = ("fd", "kd", "fd_intercept")


def test_an_intercept_that_takes_long_is_for_the_asking(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (feature_scores, feature_sets):
        monkeypatch.setattr(module, "MOST_FEATURES_LEFT_OUT", 11)
    found = score_features(["fd"], sets())
    assert "fd_intercept" not in values(found)
    assert found.scores[0].interval is None
    assert (
        found.remarks[-1]
        == "no interval of fd: of 150 samples with 12 features it takes half a minute or more"
    )
    assert found.remarks[0] == (
        "no intercept on 1/N: of 12 features it takes a minute or more; ask for it by fd-intercept "
        "(up to 11 it comes by itself)"
    )
    asked = score_features(["fd", "fd-intercept"], sets())
    assert "fd_intercept" in values(asked)
    assert not [remark for remark in asked.remarks if "no intercept" in remark]


@pytest.mark.parametrize(
    "given",
    [["generated", "reference", "real"], ["generated", "reference"]],
    ids=["training", "reference parted"],
)
def test_mapped_features_are_never_copied_whole(given: list[str], tmp_path: Path) -> None:
    num, dims = 20_000, 64
    mapped = {}
    for seed, name in enumerate(("generated", "reference", "real")):
        file = tmp_path / f"{name}.npy"
        np.save(file, rows(num + 5_000 * (name == "real"), seed, dims=dims))
        mapped[name] = np.load(file, mmap_mode="r")
    tracemalloc.start()
    found = score_features(["fd"], FeatureSets(**{name: mapped[name] for name in given}))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [score.metric for score in (*found.scores, *found.floors)] == ["fd", "fd_intercept", "fd_floor"]
    assert peak < 4 * num * dims  # less than one of the sets, of 4 bytes a number


@pytest.mark.parametrize("dims", [12, 300])
def test_a_floor_is_the_distance_of_the_rows_that_were_drawn(dims: int) -> None:
    own = sets(num_real=200, dims=dims)
    assert own.real is not None
    drawn = np.sort(CONTEXT.generator().permutation(200)[:150])
    expected = score_features(["fd"], replace(own, generated=own.real[drawn], real=None), context=CONTEXT)
    found = score_features(["fd"], own, context=CONTEXT)
    assert found.floors[0].value == pytest.approx(expected.scores[0].value, rel=1e-9)
