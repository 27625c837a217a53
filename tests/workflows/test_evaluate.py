import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from creuset.errors import DataError, UsageError
from creuset.evaluation import split_hash
from creuset.metrics.score import Score
from creuset.metrics.signature import Signature
from creuset.progress import Silent
from creuset.runs.folder import RunFolder
from creuset.workflows.evaluate import evaluate, stored_scores
from creuset.workflows.load import load, run_recipe
from creuset.workflows.run_data import load_run_data
from creuset.workflows.train import train
from listening import Heard
from small_runs import CNN, VAE, write_recipe


def test_an_evaluation_is_kept_beside_the_run(vae: RunFolder) -> None:
    kept = vae.evaluations()["images"]
    found = evaluate("vae")
    assert vae.evaluations() == {"images": kept}  # the same numbers again
    assert kept["scores"] == [one.to_json() for one in found.scores]
    assert kept["format"] == 1
    assert (kept["run"], kept["split"], kept["suite"], kept["data"]) == ("vae", "test", "images", "digits")
    assert kept["checkpoint"] == load(vae).checkpoint_hash
    assert {one["metric"] for one in kept["floors"]} >= {"nll_independent_pixels", "nll_class_mixture"}
    assert stored_scores(vae) == found.scores


def test_the_floors_say_which_training_split_they_were_fitted_to(vae: RunFolder) -> None:
    data = load_run_data(run_recipe(vae).data, Silent())
    found = {one.metric: Signature.parse(one.signature).fields() for one in evaluate("vae").floors}
    assert found["nll_independent_pixels"]["fitted_to"] == split_hash(data, "train")[:8]
    assert found["nll_class_mixture"]["fitted_to"] == split_hash(data, "train")[:8]
    assert "fitted_to" not in found["nll_uniform"]


def test_a_loaded_model_gives_the_likelihoods_of_the_evaluation(vae: RunFolder) -> None:
    found = {one.metric: one.value for one in evaluate("vae", split="train", seed=3).scores}
    data = load_run_data(run_recipe(vae).data, Silent())
    images = data.batch("train", torch.arange(data.splits["train"].num_samples))["images"]
    assert len(images) > 250  # more than one chunk
    values = load(vae).log_likelihood(images, seed=3)
    assert -values.astype(np.float64).mean() == found["nll"]
    few = evaluate("vae", split="test", num_importance_samples=2).scores[0]
    images = data.batch("test", torch.arange(data.splits["test"].num_samples))["images"]
    values = load(vae).log_likelihood(images, num_importance_samples=2)
    assert -values.astype(np.float64).mean() == few.value


def test_the_accuracy_is_that_of_the_model(cnn: RunFolder) -> None:
    found = {one.metric: one for one in evaluate("cnn").scores}
    data = load_run_data(run_recipe(cnn).data, Silent())
    batch = data.batch("test", torch.arange(data.splits["test"].num_samples))
    right = load(cnn).logits(batch["images"]).argmax(1) == batch["labels"].numpy()
    assert found["accuracy"].value == pytest.approx(right.mean())
    assert found["accuracy"].n == len(right)
    low, high = found["accuracy"].interval or (0, 0)
    assert low < right.mean() < high


def test_what_is_measured_otherwise_leaves_the_usual_scores(vae: RunFolder) -> None:
    usual = vae.evaluations()["images"]
    evaluate("vae", split="validation")
    evaluate("vae", seed=1)
    evaluate("vae", num_importance_samples=7)
    evaluate("vae", checkpoint="last")
    kept = vae.evaluations()
    assert len(kept) == 5
    assert kept["images"] == usual
    signatures = [tuple(one["signature"] for one in document["scores"]) for document in kept.values()]
    assert len({signature[0] for signature in signatures}) >= 4
    evaluate("vae", seed=1)
    assert len(vae.evaluations()) == 5


def test_samples_that_a_run_was_trained_on_are_left_out_of_other_data(cnn: RunFolder, tmp_path: Path) -> None:
    data = load_run_data(run_recipe(cnn).data, Silent())
    heard = Heard()
    found = evaluate("cnn", data="digits", progress=heard)
    n = found.scores[0].n
    # all of the digits but those of the training and validation splits: the test split
    assert n == data.splits["test"].num_samples
    assert heard.said == [f"of digits left out: {1797 - n:,} samples that the run was trained on"]
    assert f"training_samples_left_out:{1797 - n}" in found.scores[0].signature
    own = evaluate("cnn")
    assert [one.value for one in found.scores] == pytest.approx([one.value for one in own.scores], abs=1e-6)


def test_other_data_with_a_test_split_is_measured_on_it(cnn: RunFolder, tmp_path: Path) -> None:
    drawn = np.random.default_rng(0)
    arrays = {
        "train_images": drawn.integers(0, 256, (40, 8, 8), dtype=np.uint8),
        "train_labels": np.arange(40) % 10,
        "test_images": drawn.integers(0, 256, (30, 8, 8), dtype=np.uint8),
        "test_labels": np.arange(30) % 10,
    }
    np.savez(tmp_path / "other.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="another number of pixel levels"):
        evaluate("cnn", data=str(tmp_path / "other.npz"))
    np.savez(tmp_path / "mine.npz", **arrays)  # type: ignore[arg-type]
    recipe = write_recipe(
        tmp_path, CNN.replace("digits", str(tmp_path / "mine.npz")).replace("64", "16"), "mine"
    )
    run = train(recipe, settings={"training.num_steps": 2}, measure=False)
    found = evaluate(run.folder, data=str(tmp_path / "other.npz"))
    assert (found.split, found.scores[0].n) == ("test", 30)
    with pytest.raises(DataError, match="nothing is left to measure") as caught:
        evaluate(run.folder, data=str(tmp_path / "other.npz"), split="train")
    assert "40 samples" in str(caught.value.got)


def test_floors_are_fitted_to_the_run_s_own_training_split(vae: RunFolder, tmp_path: Path) -> None:
    drawn = np.random.default_rng(0)
    arrays = {"train_images": drawn.integers(0, 17, (40, 8, 8), dtype=np.uint8)}
    arrays["test_images"] = drawn.integers(0, 17, (20, 8, 8), dtype=np.uint8)
    np.savez(tmp_path / "other.npz", num_levels=np.array(17), **arrays)  # type: ignore[arg-type]
    fitted = [
        re.findall(
            r"fitted_to:(\w+)",
            evaluate("vae", data=str(tmp_path / "other.npz"), split=part).floors[-1].signature,
        )
        for part in ("train", "test")
    ]
    assert fitted[0] == fitted[1] != []


@pytest.mark.parametrize("name", ["cnn", "vae"])
def test_importance_samples_without_effect_are_refused(cnn: RunFolder, vae: RunFolder, name: str) -> None:
    if name == "cnn":
        with pytest.raises(UsageError, match="importance samples have no effect here"):
            evaluate(name, num_importance_samples=5)
        return
    before = sorted(vae.evaluations())
    usual = load(vae).num_importance_samples
    evaluate(name, num_importance_samples=usual)
    assert sorted(vae.evaluations()) == sorted({*before, "images"})


def test_a_run_without_a_test_split_is_measured_on_its_validation_split(workspace: Path) -> None:
    recipe = write_recipe(workspace, VAE.replace("digits", "digits, test_share: 0.0"), "all")
    heard = Heard()
    run = train(recipe, settings={"training.num_steps": 2}, progress=heard)
    assert "there is no test split: the validation split is taken" in heard.said
    assert run.folder.evaluations()["images"]["split"] == "validation"
    assert "|split:validation|" in run.scores[0].signature
    assert run.folder.report_path.exists()


def test_a_suite_that_does_not_fit_is_refused(vae: RunFolder, cnn: RunFolder) -> None:
    with pytest.raises(UsageError, match="the suite classification does not fit the family vae") as caught:
        evaluate("vae", suite="classification")
    assert caught.value.expected == "images"
    with pytest.raises(UsageError, match="the suite images does not fit the family cnn"):
        evaluate("cnn", suite="images")


def test_a_split_that_is_not_there_is_answered_with_those_that_are(vae: RunFolder) -> None:
    with pytest.raises(DataError, match='this data has no "tset" split') as caught:
        evaluate("vae", split="tset")
    assert "validation" in str(caught.value.expected)


def test_changed_data_is_refused(vae: RunFolder) -> None:
    vae.update(data_hash="0" * 64)
    with pytest.raises(UsageError, match="the data is not what this run was trained on"):
        evaluate("vae")


def test_scores_are_read_back_as_they_were(vae: RunFolder) -> None:
    document = json.loads((vae.evaluation / "images.json").read_text())
    scores = [Score.from_json(one) for one in document["scores"]]
    assert [one.to_json() for one in scores] == document["scores"]
    for one in document["scores"]:
        assert one.keys() == {"metric", "value", "unit", "better", "interval", "n", "signature"}
