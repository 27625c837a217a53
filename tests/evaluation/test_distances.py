from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from creuset.evaluation.curves import distance_curves
from creuset.evaluation.distances import DistanceSetting, distances_part, kept_rows
from creuset.metrics.feature_sets import FeatureSets, Measuring
from creuset.metrics.frechet import frechet_distance
from creuset.metrics.kernel import kernel_distance
from creuset.metrics.precision_recall import BallCounts
from creuset.metrics.rows import KeptRows
from creuset.metrics.signature import NO_CONTEXT, Context
from creuset.pretrained.features import FeatureNetwork
from creuset.progress import Silent
from picture_sets import picture_sets, pooled, quarters


def setting(network: FeatureNetwork | None, num: int = 200, cache: Path | None = None) -> DistanceSetting:
    return DistanceSetting(num_generated=num, network=network, missing="no network", cache=cache)


def test_all_measures_stand_beside_those_of_training_pictures() -> None:
    found = distances_part(picture_sets(200), setting(quarters()), Silent())
    names = ["fd", "fd_intercept", "kd", "precision", "recall", "density", "coverage"]
    assert [score.metric for score in found.scores] == names
    with_floor = [name for name in names if name != "fd_intercept"]
    assert [floor.metric for floor in found.floors] == [f"{name}_floor" for name in with_floor]
    assert all("extractor:quarters" in score.signature for score in found.scores)
    assert found.remarks == []
    assert all(score.interval is not None for score in (*found.scores, *found.floors))


def test_the_scores_are_those_of_the_features() -> None:
    sets = picture_sets(200)

    def features(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        pictures = torch.from_numpy(images.transpose(0, 3, 1, 2).copy()).float()
        found: NDArray[np.float32] = pooled(pictures).numpy()
        return found

    generated, reference = features(sets.generated), features(sets.reference)
    found = {score.metric: score for score in distances_part(sets, setting(quarters()), Silent()).scores}
    assert found["fd"].value == pytest.approx(frechet_distance(generated, reference).value, rel=1e-6)
    assert found["kd"].value == pytest.approx(kernel_distance(generated, reference).value, rel=1e-6)
    balls = BallCounts.from_features(generated, reference)
    assert found["precision"].value == np.mean(balls.real_balls > 0)
    assert found["recall"].value == np.mean(balls.recalled)


def test_features_of_real_pictures_alone_are_kept(tmp_path: Path) -> None:
    calls: list[int] = []

    def counted(pictures: Tensor) -> Tensor:
        calls.append(len(pictures))
        return pooled(pictures)

    counting = quarters(counted)
    distances_part(picture_sets(200), setting(counting, cache=tmp_path), Silent())
    assert sum(calls) == 200 + 120 + 200  # generated, reference, as many of the training pictures
    calls.clear()
    other = replace(picture_sets(200), generated=picture_sets(200, seed=1).generated)
    distances_part(other, setting(counting, cache=tmp_path), Silent())
    assert sum(calls) == 200
    assert len(list(tmp_path.glob("*.npy"))) == 2


def test_what_is_missing_is_a_remark() -> None:
    found = distances_part(picture_sets(200), setting(None), Silent())
    assert (found.scores, found.remarks) == ([], ["no network"])
    few = distances_part(picture_sets(4), setting(quarters(), 4), Silent())
    assert {score.metric for score in few.scores} == {"fd", "kd"}
    assert len(few.remarks) == 1
    assert few.remarks[0].startswith("no precision, recall, density, coverage: ")
    two_channels = replace(picture_sets(9), generated=np.zeros((9, 4, 4, 2), dtype=np.uint8))
    refused = distances_part(two_channels, setting(quarters(), 9), Silent())
    assert refused.remarks[0].startswith("no distances: ")


def rows_of(generated: np.ndarray, reference: np.ndarray, context: Context = NO_CONTEXT) -> KeptRows:
    return kept_rows(Measuring(FeatureSets(generated=generated, reference=reference), context))


def test_rows_are_what_is_left_without_each_part() -> None:
    draws = np.random.default_rng(0)
    generated, reference = draws.normal(size=(60, 3)), draws.normal(size=(50, 3))
    rows = rows_of(generated, reference)
    assert {name: values.shape for name, values in rows.items()} == {
        "fd": (20,),
        "kd_generated": (60,),
        "kd_reference": (50,),
        "precision": (60,),
        "density": (60,),
    }
    assert rows["kd_generated"][7] == pytest.approx(
        kernel_distance(np.delete(generated, 7, axis=0), reference).value
    )
    assert rows["kd_reference"][3] == pytest.approx(
        kernel_distance(generated, np.delete(reference, 3, axis=0)).value
    )
    balls = BallCounts.from_features(generated, reference).real_balls
    assert rows["density"] == pytest.approx(balls / 5)
    assert set(np.unique(rows["precision"])) <= {0, 1}
    assert rows["precision"].mean() == np.mean(balls > 0)
    assert rows_of(generated[:2], reference) == {}


@pytest.mark.parametrize("num_features", [2, 80])
def test_blocks_are_left_out_by_moments_as_by_rows(num_features: int) -> None:
    """With many more samples than features by moments, else by the features themselves: the same numbers."""
    draws = np.random.default_rng(1)
    generated, reference = draws.normal(size=(100, num_features)), draws.normal(size=(90, num_features))
    found = rows_of(generated, reference, Context(seed=5))["fd"]
    blocks = np.array_split(Context(seed=5).generator().permutation(100), 20)
    left = [frechet_distance(np.delete(generated, block, axis=0), reference).value for block in blocks]
    assert found == pytest.approx(left, rel=1e-6)


def test_curves_end_at_the_scores() -> None:
    draws = np.random.default_rng(0)
    sets = FeatureSets(
        generated=draws.normal(size=(300, 3)),
        reference=draws.normal(size=(200, 3)),
        real=draws.normal(size=(300, 3)),
    )
    curves = distance_curves(sets)
    assert set(curves) == {"fd", "kd", "precision", "recall"}
    for curve in curves.values():
        assert (curve["n"][0], curve["n"][-1]) == (40, 300)
        assert len({len(values) for values in curve.values()}) == 1
    assert curves["fd"]["value"][-1] == frechet_distance(sets.generated, sets.reference).value
    assert curves["kd"]["value"][-1] == kernel_distance(sets.generated, sets.reference).value
    assert curves["fd"]["floor"][-1] == frechet_distance(sets.real, sets.reference).value  # type: ignore[arg-type]
    assert curves["fd"]["value"][0] > curves["fd"]["value"][-1]  # its bias
    assert curves["fd"]["low"] == [None] * 6
    balls = BallCounts.from_features(sets.generated[: curves["recall"]["n"][2]], sets.reference)
    assert curves["recall"]["value"][2] == balls.recalled.mean()
    assert "floor" not in distance_curves(replace(sets, real=None))["fd"]


def test_too_few_pictures_draw_no_curve() -> None:
    draws = np.random.default_rng(0)
    one = FeatureSets(generated=draws.normal(size=(30, 3)), reference=draws.normal(size=(30, 3)))
    assert distance_curves(one) == {}  # all of them are one size
    few = FeatureSets(generated=draws.normal(size=(60, 3)), reference=draws.normal(size=(4, 3)))
    assert set(distance_curves(few)) == {"fd", "kd"}  # balls need more than five real pictures
