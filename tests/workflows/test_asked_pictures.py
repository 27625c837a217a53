"""Flows and diffusions through the whole of `creuset.train`, asked for by class and prompt."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import norm
from sklearn.datasets import load_digits

import creuset
from creuset.errors import DataError, UsageError
from creuset.models.flow import Flow
from creuset.workflows.generate import generate
from creuset.workflows.train import Run, resume, train
from small_runs import leftovers, write_recipe

SETTINGS = {"training.num_steps": 4, "data.batch_size": 50, "data.limit": 200, "training.ema_decay": 0.9}
FEW = {"model.num_likelihood_steps": 3, "evaluation.num_generated": 50}
UNMEASURED = {"evaluation.suite": "none"}
MODELS = {
    "flow": "family: flow, size: tiny, num_sampling_steps: 2",
    "diffusion": "family: diffusion, size: tiny, num_sampling_steps: 3",
}


def trained(workspace: Path, name: str, source: str = "digits", extra: str = "", **settings: object) -> Run:
    recipe = write_recipe(
        workspace, f"model: {{{MODELS[name]}{extra}}}\ndata: {{source: {source}}}\n", "small"
    )
    few = {} if settings == UNMEASURED else FEW
    return train(recipe, settings={**SETTINGS, **few, **settings})


@pytest.mark.parametrize("name", MODELS)
def test_a_family_trains_on_digits(name: str, workspace: Path) -> None:
    run = trained(workspace, name, extra=", condition: class, guidance: 2.0")
    assert run.folder.manifest().status == "finished"
    assert run.folder.evaluations().keys() == {"images"}
    found = {score.metric: score for score in run.scores}
    bounds = {"flow": {"nll", "bits_per_dim"}, "diffusion": {"nll", "elbo", "bits_per_dim"}}
    assert bounds[name] == {"nll", "elbo", "bits_per_dim"} & found.keys()
    said = str(found["nll"].signature)
    assert "importance_samples:1" in said.replace("=", ":")
    assert ("averaged" in said) == (name == "flow")
    integrated = "divergence:hutchinson|draws:averaged|" in said and "|solver:rk4|steps:3" in said
    assert integrated == (name == "flow")
    document = run.folder.evaluations()["images"]
    if name == "flow":
        told = document["details"]["integration"]
        assert told["num_steps"] == 3
        remarks = [remark for remark in document["details"]["remarks"] if "NLL is integrated" in remark]
        assert f"{told['nll_change_by_half_the_steps_nats']:+.3f} nats" in remarks[0]
    assert leftovers(run.path) == []
    assert resume(run.path).outcome.step == 4
    loaded = creuset.load(run.path)
    drawn = loaded.generate(6, seed=1, label="7")
    assert drawn.shape == (6, 8, 8, 1)
    assert drawn.dtype == np.uint8
    assert np.array_equal(drawn, loaded.generate(6, seed=1, label="7"))
    assert not np.array_equal(drawn, loaded.generate(6, seed=1, label="3"))
    with pytest.raises(UsageError, match='no class "eight"'):
        loaded.generate(6, label="eight")
    with pytest.raises(UsageError, match=r"cannot be asked for a prompt\n.*\n  expected: a class"):
        loaded.generate(6, prompt="a seven")


def test_a_prompt_is_asked_for(workspace: Path, tmp_path: Path) -> None:
    run = trained(workspace, "flow", extra=", condition: text", **UNMEASURED)
    out = tmp_path / "sept.npz"
    record = generate(run.path, out, num=5, prompt="le chiffre sept")
    assert (record.num, record.prompt) == (5, "le chiffre sept")
    with np.load(out) as arrays:
        drawn = arrays["pictures"]
    loaded = creuset.load(run.path)
    assert np.array_equal(drawn, loaded.generate(5, prompt="Le chiffre SEPT"))
    assert not np.array_equal(drawn, loaded.generate(5))
    with pytest.raises(
        UsageError, match=r"longer than the model reads\n  got: 60 bytes.*\n  expected: at most 48"
    ):
        loaded.generate(5, prompt="x" * 60)


def test_classes_that_are_no_digits_are_given_phrases(workspace: Path, tmp_path: Path) -> None:
    digits = load_digits()
    source = tmp_path / "ends.npz"
    kept = digits.target >= 8
    np.savez(
        source,
        train_images=(digits.images[kept] * 15).astype(np.uint8),
        train_labels=digits.target[kept] - 8,
        class_names=np.array(["low", "high"]),
    )
    with pytest.raises(
        UsageError, match=r"got: no phrase for low, high\n(.*\n)*  next: name them in model.captions"
    ):
        trained(workspace, "flow", str(source), ", condition: text")
    captions = ", captions: {low: [an eight, huit], high: [a nine, neuf]}"
    run = trained(workspace, "flow", str(source), f", condition: text{captions}", **UNMEASURED)
    assert creuset.load(run.path).generate(2, prompt="huit").shape == (2, 8, 8, 1)


@pytest.mark.parametrize("name", MODELS)
def test_rows_of_a_table_are_drawn_in_its_units(name: str, workspace: Path, tmp_path: Path) -> None:
    drawn = np.random.default_rng(0).normal(size=(300, 2)) * [3, 0.1] + [100, -1]
    source = tmp_path / "plane.csv"
    source.write_text("\n".join(["length,width", *(f"{x},{y}" for x, y in drawn)]) + "\n")
    run = trained(workspace, name, str(source), **UNMEASURED)
    assert list((run.path / "samples").glob("*.csv"))
    out = tmp_path / "rows.csv"
    generate(run.path, out, num=7)
    with out.open() as file:
        header, *rows = list(csv.reader(file))
    assert header == ["length", "width"]
    assert np.array(rows, dtype=float).shape == (7, 2)
    assert abs(np.array(rows, dtype=float)[:, 0].mean() - 100) < 30


def test_likelihoods_of_rows_are_densities_in_the_units_of_the_table(workspace: Path, tmp_path: Path) -> None:
    """A flow that stands still leaves N(0, I) of the standardised columns."""
    rows = np.random.default_rng(0).normal(size=(300, 2)) * [3, 0.1] + [100, -1]
    source = tmp_path / "plane.csv"
    source.write_text("\n".join(["length,width", *(f"{x},{y}" for x, y in rows)]) + "\n")
    loaded = creuset.load(trained(workspace, "flow", str(source), **UNMEASURED).path)
    assert isinstance(loaded.model, Flow)
    for parameter in loaded.model.denoiser.network.output.parameters():
        torch.nn.init.zeros_(parameter)
    expected = norm.logpdf(rows[:20], loaded.spec.feature_mean, loaded.spec.feature_std).sum(1)
    np.testing.assert_allclose(loaded.log_likelihood(rows[:20]), expected, rtol=1e-5)
    with pytest.raises(DataError, match=r"got: shape \(20, 1\)\n  expected: \(N, 2\): length, width"):
        loaded.log_likelihood(rows[:20, :1])
