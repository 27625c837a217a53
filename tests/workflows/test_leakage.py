import json
from pathlib import Path

import numpy as np
import pytest

import creuset
from creuset.data.dataset import Dataset
from creuset.data.load import load_data
from creuset.data.near_duplicates import near_duplicates
from creuset.recipe.sections import DataConfig
from creuset.workflows.leakage import leakage_remark, look_for_leakage, validate_command
from listening import Heard
from small_runs import CNN, write_recipe


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Digits of which two of the test are darker copies of training ones."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = (digits.images[:300] * 15.9).astype(np.uint8)
    images[[250, 251]] = (images[[3, 4]] * 0.9).astype(np.uint8)
    labels = digits.target[:300]
    labels[[250, 251]] = labels[[3, 4]]
    np.savez(
        tmp_path / "near.npz",
        **{"train_images": images[:200], "train_labels": labels[:200]},
        **{"validation_images": images[200:250], "validation_labels": labels[200:250]},
        **{"test_images": images[250:], "test_labels": labels[250:]},
    )
    return tmp_path / "near.npz"


def load(source: Path) -> Dataset:
    return load_data(DataConfig(source=str(source)), seed=0, resolve=Path)


def test_a_training_says_reports_and_keeps_near_duplicates(source: Path, tmp_path: Path) -> None:
    recipe = write_recipe(
        tmp_path, CNN.replace("digits", str(source)).replace("num_steps: 40", "num_steps: 1")
    )
    heard = Heard()
    run = creuset.train(recipe, progress=heard)
    told = [line for line in heard.said if "nearly" in line]
    assert len(told) == 1
    assert "2 test pictures are nearly the same as a training picture, such as test_images[" in told[0]
    assert told[0].endswith(f"; see creuset data validate {source}")
    assert "\n" not in told[0]
    kept = json.loads((run.path / "manifest.json").read_text())["data_report"]["near_duplicates"]
    assert kept["looked_for"]
    assert kept["num_pairs"] == 50 * 200 + 50 * 200 + 50 * 50
    assert [one["count"] for one in kept["found"]] == [0, 2, 0]
    assert "2 test pictures are nearly the same as a training picture" in run.folder.report_path.read_text()


def test_neither_hash_nor_a_resume_know_of_it(source: Path, tmp_path: Path) -> None:
    recipe = write_recipe(
        tmp_path, CNN.replace("digits", str(source)).replace("num_steps: 40", "num_steps: 2")
    )
    run = creuset.train(recipe, measure=False, max_seconds=1e-6)
    assert run.folder.manifest().data_hash == load(source).content_hash
    kept = run.folder.manifest().data_report
    heard = Heard()
    assert creuset.resume(run.path, measure=False, progress=heard).outcome.reason == "finished"
    assert run.folder.manifest().data_report == kept
    assert not [line for line in heard.said if "nearly" in line]


def test_what_stands_in_a_manifest_is_what_was_found(source: Path) -> None:
    dataset = load(source)
    kept = json.loads(json.dumps(look_for_leakage(dataset)))
    found = near_duplicates(dataset)
    assert [
        type(one).from_json(document) for one, document in zip(found, kept["found"], strict=True)
    ] == found


def test_data_without_near_duplicates_gives_no_remark() -> None:
    dataset = load(Path("digits"))
    report = look_for_leakage(dataset)
    assert report["looked_for"]
    assert leakage_remark(report, DataConfig(source="digits")) is None


def test_many_pairs_are_not_compared_and_that_is_said(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("creuset.workflows.leakage.MAX_PAIRS", 22_499)
    report = look_for_leakage(load(source))
    assert report == {"num_pairs": 22_500, "looked_for": False, "found": []}
    remark = leakage_remark(report, DataConfig(source="near.npz"))
    assert remark == (
        "near duplicates were not looked for (22,500 pairs); creuset data validate near.npz does"
    )


def test_the_command_reads_the_data_as_the_recipe_does() -> None:
    data = DataConfig(
        source="my rows.csv", image_size=(8, 9), label_column="kind", unreadable="skip", test_share=0.2
    )
    assert validate_command(data) == (
        "creuset data validate 'my rows.csv' --image-size 8x9 --label-column kind --unreadable skip "
        "--test-share 0.2"
    )
