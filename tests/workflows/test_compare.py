"""Runs against each other, from the rows that their evaluations kept."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from creuset.errors import CheckpointError, GateError, NotFoundError, UsageError
from creuset.runs.folder import RunFolder
from creuset.workflows.compare import compare
from creuset.workflows.evaluate import evaluate
from creuset.workflows.train import train
from creuset.workflows.verdicts import fail_if_worse
from generators import write_distances
from small_runs import CNN, write_recipe


@pytest.fixture
def other_cnn(cnn: RunFolder, workspace: Path) -> RunFolder:
    """The same recipe with another seed."""
    recipe = write_recipe(workspace, CNN, "other")
    return train(recipe, settings={"training.seed": 1}, name="other").folder


@pytest.fixture
def bad_cnn(cnn: RunFolder, workspace: Path) -> RunFolder:
    """Two steps of training only."""
    recipe = write_recipe(workspace, CNN, "bad")
    return train(recipe, settings={"training.num_steps": 2}, name="bad").folder


def test_a_run_against_itself_cannot_be_told_apart(cnn: RunFolder) -> None:
    found = compare(["cnn", "cnn"])
    assert (found.suite, found.split, found.baseline) == ("classification", "test", "cnn")
    assert [one.metric for _, one in found.comparisons] == [
        *("accuracy", "f1_macro", "auroc", "label_nll", "brier_score")
    ]
    for _, one in found.comparisons:
        assert (one.difference, one.p_value, one.verdict) == (0, 1, "cannot tell apart")
    assert "calibration_error" in found.left_out
    fail_if_worse(found)


def test_two_seeds_and_a_model_that_learned_nothing(
    cnn: RunFolder, other_cnn: RunFolder, bad_cnn: RunFolder
) -> None:
    found = compare([cnn, other_cnn, bad_cnn])
    by_run = {(run, one.metric): one for run, one in found.comparisons}
    assert {run for run, _ in by_run} == {"other", "bad"}
    scores = {score["metric"]: score for score in other_cnn.evaluations()["classification"]["scores"]}
    same = by_run["other", "accuracy"]
    assert same.b == scores["accuracy"]["value"]
    assert same.difference == pytest.approx(same.b - same.a)
    assert same.num_comparisons == 10
    for metric in ("accuracy", "f1_macro", "auroc", "label_nll"):
        assert by_run["bad", metric].verdict == "worse"
        assert by_run["bad", metric].p_corrected < 0.05
    with pytest.raises(GateError, match="bad is worse by accuracy") as caught:
        fail_if_worse(found)
    assert "no worse than cnn" in str(caught.value)
    turned = compare([bad_cnn, cnn], metrics=["accuracy"])
    assert turned.comparisons[0][1].verdict == "better"
    fail_if_worse(turned)


def test_pictures_are_compared_by_likelihood_and_error(vae: RunFolder) -> None:
    found = compare([vae, vae])
    assert [one.metric for _, one in found.comparisons] == ["nll", "elbo", "mse", "psnr"]
    named = compare([vae, vae], metrics=["bits_per_dim"])
    assert [one.metric for _, one in named.comparisons] == ["bits_per_dim"]


def test_the_rows_give_the_scores(vae: RunFolder, cnn: RunFolder) -> None:
    for run, suite in ((vae, "images"), (cnn, "classification")):
        rows = run.evaluation_rows(suite)
        assert rows is not None
        scores = {score["metric"]: score for score in run.evaluations()[suite]["scores"]}
        for name, values in rows.arrays.items():
            if name in scores:
                assert values.mean() == pytest.approx(scores[name]["value"])
                assert len(values) == scores[name]["n"]
    assert rows is not None
    assert (rows.arrays["label"] == rows.arrays["predicted"]).mean() == scores["accuracy"]["value"]


def test_one_class_s_f1_is_compared_where_it_is_asked_for(cnn: RunFolder, bad_cnn: RunFolder) -> None:
    found = compare([cnn, bad_cnn], metrics=["f1_class_0"])
    assert [one.metric for _, one in found.comparisons] == ["f1_class_0"]


def test_another_split_has_its_own_scores(cnn: RunFolder, other_cnn: RunFolder) -> None:
    with pytest.raises(NotFoundError, match="not measured with the suite classification on the split val"):
        compare([cnn, other_cnn], split="validation")
    for run in (cnn, other_cnn):
        evaluate(run, split="validation")
    found = compare([cnn, other_cnn], split="validation")
    assert found.split == "validation"
    assert "|split:validation|" in found.comparisons[0][1].signature


def test_runs_on_different_data_are_refused_by_the_field(cnn: RunFolder, workspace: Path) -> None:
    drawn = np.random.default_rng(0)
    np.savez(
        workspace / "mine.npz",
        train_images=drawn.integers(0, 17, (60, 8, 8), dtype=np.uint8),
        train_labels=np.arange(60) % 10,
        test_images=drawn.integers(0, 17, (180, 8, 8), dtype=np.uint8),
        test_labels=np.arange(180) % 10,
    )
    text = CNN.replace("digits", str(workspace / "mine.npz")).replace("64", "16")
    elsewhere = train(write_recipe(workspace, text, "elsewhere"), settings={"training.num_steps": 2}).folder
    with pytest.raises(GateError, match="cannot be put side by side: they differ in data"):
        compare([cnn, elsewhere])


def test_an_evaluation_without_rows_says_what_to_do(cnn: RunFolder) -> None:
    path = cnn.evaluation / "classification.json"
    document = json.loads(path.read_text())
    del document["rows"]
    path.write_text(json.dumps(document))
    with pytest.raises(CheckpointError, match="this evaluation kept no rows") as caught:
        compare([cnn, cnn])
    assert caught.value.next_step == "creuset eval cnn --suite classification"
    evaluate(cnn)
    compare([cnn, cnn], metrics=["accuracy"])


def test_rows_of_something_else_are_refused(cnn: RunFolder) -> None:
    path = cnn.evaluation / "classification.rows.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(CheckpointError, match="these rows are not those of the evaluation"):
        compare([cnn, cnn])
    path.unlink()
    with pytest.raises(CheckpointError, match="the rows of this evaluation are missing"):
        compare([cnn, cnn])


def test_generated_samples_are_compared_by_distances_and_balls(vae: RunFolder, runs: Path) -> None:
    near, far = vae, RunFolder.open(shutil.copytree(vae.path, runs / "far"))
    write_distances(near, 0, seed=0)
    write_distances(far, 0.8, seed=1)
    found = compare([near, far])
    of_generated = ["fd", "kd", "precision", "density"]
    assert [one.metric for _, one in found.comparisons] == ["nll", "elbo", "mse", "psnr", *of_generated]
    assert set(found.left_out) >= {"bits_per_dim", "recall", "coverage"}
    verdicts = {one.metric: one.verdict for _, one in found.comparisons}
    assert {verdicts[metric] for metric in of_generated} == {"worse"}
    assert verdicts["nll"] == "cannot tell apart"
    with pytest.raises(GateError, match="far is worse by fd; far is worse by kd; far is worse by precision"):
        fail_if_worse(found)
    for metric in ("recall", "coverage"):
        with pytest.raises(
            UsageError, match=f'"{metric}" cannot be compared: it depends on the generated set as a whole'
        ) as caught:
            compare([near, far], metrics=[metric])
        assert caught.value.expected == "one of density, elbo, fd, kd, mse, nll, precision, psnr"
    write_distances(far, 0, seed=1)
    assert {one.verdict for _, one in compare([near, far]).comparisons} == {"cannot tell apart"}


@pytest.mark.parametrize(
    ("field", "other"),
    [
        ("n", {"n": 130}),
        ("extractor", {"extractor": "pixels"}),
        ("data", {"data": "1" * 64}),
    ],
)
def test_distances_measured_otherwise_are_refused_by_the_field(
    field: str, other: dict[str, Any], vae: RunFolder, runs: Path
) -> None:
    second = RunFolder.open(shutil.copytree(vae.path, runs / "second"))
    write_distances(vae, 0, seed=0)
    write_distances(second, 0, seed=1, **other)
    with pytest.raises(
        GateError, match=f"fd: these scores cannot be put side by side: they differ in {field}\n"
    ):
        compare([vae, second])


def test_a_file_among_runs_is_refused(cnn: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a\n")
    with pytest.raises(UsageError, match=r"a\.txt is a file, and runs are compared") as caught:
        compare([cnn, tmp_path / "a.txt"])
    assert caught.value.next_step == "compare files of texts with --metrics bleu,rouge --references FILE"


def test_what_cannot_be_compared_is_refused(cnn: RunFolder, vae: RunFolder) -> None:
    with pytest.raises(UsageError, match="a comparison is of two runs or more\n  got: 1"):
        compare([cnn])
    with pytest.raises(UsageError, match='no score "acuracy"; did you mean "accuracy"'):
        compare([cnn, cnn], metrics=["acuracy"])
    with pytest.raises(
        UsageError, match='"calibration_error" cannot be compared: it is not made of one row a sample'
    ) as caught:
        compare([cnn, cnn], metrics=["calibration_error"])
    assert caught.value.expected == "one of accuracy, auroc, brier_score, f1_macro, label_nll"
    assert caught.value.next_step == "compare another metric"
    with pytest.raises(NotFoundError, match="not measured with the suite classification") as caught:
        compare([cnn, vae])
    assert caught.value.next_step == "creuset eval vae --suite classification"
    (cnn.evaluation / "classification.json").unlink()
    with pytest.raises(NotFoundError, match="this run was not measured"):
        compare([cnn, cnn])
