from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from creuset.data.dataset import Dataset, conform, without
from creuset.data.spec import DataSpec
from creuset.errors import DataError

Load = Callable[..., Dataset]


def test_a_batch_of_pictures(load: Load) -> None:
    dataset = load("digits")
    indices = torch.tensor([5, 0, 5])
    batch = dataset.batch("train", indices)
    stored = dataset.splits["train"].inputs[indices]
    assert stored.dtype == torch.uint8
    assert stored.max() == 16
    assert batch["images"].shape == (3, 1, 8, 8)
    assert torch.equal(batch["images"], stored.float() / 8 - 1)
    assert torch.equal(batch["labels"], dataset.splits["train"].labels[indices])
    assert batch["labels"].dtype == torch.int64


def test_a_batch_without_labels(tmp_path: Path, pictures: Callable[..., Any], load: Load) -> None:
    np.savez(tmp_path / "a.npz", train_images=pictures(10, channels=3))
    batch = load(tmp_path / "a.npz").batch("validation", torch.arange(1))
    assert set(batch) == {"images"}
    assert batch["images"].shape == (1, 3, 6, 5)


def test_a_batch_is_new_memory(load: Load) -> None:
    dataset = load("digits")
    before = dataset.splits["test"].inputs.clone()
    dataset.batch("test", torch.arange(9))["images"].zero_()
    assert torch.equal(dataset.splits["test"].inputs, before)


def npz(path: Path, labels: list[int], names: list[str], **more: Any) -> Path:
    images = np.random.default_rng(0).integers(0, 256, (len(labels), 4, 4), dtype=np.uint8)
    np.savez(path, train_images=images, train_labels=np.array(labels), class_names=np.array(names), **more)
    return path


def test_labels_follow_the_model_s_order_of_classes(tmp_path: Path, load: Load) -> None:
    dataset = load(npz(tmp_path / "a.npz", [0, 1] * 10, ["dog", "cat"]))
    spec = replace(dataset.spec, class_names=("bird", "cat", "dog"), class_counts=(5, 6, 7))
    taken = conform(dataset, spec)
    assert taken.spec == spec
    expected = torch.tensor([2, 1])[dataset.splits["train"].labels]
    assert torch.equal(taken.splits["train"].labels, expected)
    assert taken.content_hash != dataset.content_hash
    assert conform(dataset, dataset.spec).content_hash == dataset.content_hash


def test_tables_take_the_model_s_statistics(tmp_path: Path, load: Load) -> None:
    (tmp_path / "t.csv").write_text("x,y\n" + "\n".join(f"{i},{i * i}" for i in range(30)))
    dataset = load(tmp_path / "t.csv")
    taken = conform(dataset, replace(dataset.spec, feature_mean=(1.0, 2.0), feature_std=(2.0, 4.0)))
    raw = dataset.splits["test"].inputs
    expected = ((raw - torch.tensor([1.0, 2.0])) / torch.tensor([2.0, 4.0])).float()
    assert torch.equal(taken.batch("test", torch.arange(len(raw)))["features"], expected)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"kind": "table"}, "another kind\n  got: images\n  expected: table"),
        ({"shape": (3, 8, 8)}, "another shape"),
        ({"num_levels": 256}, "another number of pixel levels\n  got: 17\n  expected: 256"),
        ({"feature_names": ("x",)}, "made for data of other columns"),
        ({"class_names": ("0", "1")}, "classes that the model does not know\n  got: 2, 3, 4, 5, 6, 7, 8, 9"),
    ],
)
def test_data_of_another_form_is_refused(load: Load, change: dict[str, Any], expected: str) -> None:
    dataset = load("digits")
    with pytest.raises(DataError, match=expected.replace("(", r"\(")):
        conform(dataset, replace(dataset.spec, **change))


def test_a_model_without_classes_takes_data_without_labels(load: Load) -> None:
    dataset = load("digits")
    taken = conform(dataset, replace(dataset.spec, class_names=(), class_counts=()))
    assert taken.splits["train"].labels is None


def test_samples_of_other_splits_can_be_left_out(load: Load) -> None:
    dataset = load("digits")
    test, train = dataset.splits["test"], dataset.splits["train"]
    assert without(test, train).num_samples == test.num_samples
    some = test.select(np.arange(0, test.num_samples, 3))
    rest = without(test, train, some)
    assert rest.num_samples == test.num_samples - some.num_samples
    assert set(rest.names) == set(test.names) - set(some.names)
    assert torch.equal(rest.inputs[0], test.inputs[1])


def test_the_form_counts_its_classes() -> None:
    assert DataSpec(kind="table", shape=(2,), num_levels=0).num_classes == 0
    assert DataSpec(kind="table", shape=(2,), num_levels=0, class_names=("a", "b")).num_classes == 2
