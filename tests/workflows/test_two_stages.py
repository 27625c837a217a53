"""A VQ-VAE and what is trained on its codes: data, samples, scores, lineage, and what is refused."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import creuset
from command_line import run_command
from creuset.data.code_maps import as_codes
from creuset.errors import CheckpointError, NotFoundError, UsageError
from creuset.evaluation import split_hash
from creuset.progress import Silent
from creuset.runs.folder import RunFolder
from creuset.workflows.compare import compare
from creuset.workflows.evaluate import evaluate
from creuset.workflows.generate import generate
from creuset.workflows.joint_curves import losses_are_one_quantity
from creuset.workflows.load import load
from creuset.workflows.run_data import run_data
from creuset.workflows.train import Run, resume, train
from small_runs import write_recipe
from sounds import tone_folder

SECOND = """
model: {family: pixelcnn, likelihood: categorical, num_layers: 2, channels: 24, condition: class}
data: {source: "run:vqvae", batch_size: 64}
training: {num_steps: 60, learning_rate: 5e-3, sample_every: 30}
evaluation: {num_generated: 60}
"""


def second(place: Path, *settings: str, **options: Any) -> Run:
    return train(write_recipe(place, SECOND, "second"), name="second", settings=settings, **options)


def test_the_second_stage_learns_the_codes_of_the_first_ones_splits(vqvae: RunFolder, tmp_path: Path) -> None:
    run = second(tmp_path, measure=False)
    codes, pictures = run_data(run.folder, Silent()), run_data(vqvae, Silent())
    first = load(vqvae)
    for name, split in pictures.splits.items():
        images = pictures.batch(name, torch.arange(20))["images"]
        maps = codes.batch(name, torch.arange(20))
        assert np.array_equal(as_codes(maps["images"], 16).numpy(), first.encode(images))
        assert split.labels is not None
        assert torch.equal(maps["labels"], split.labels[:20])
    manifest = run.folder.manifest()
    assert (manifest.parent, manifest.data_source) == ("vqvae", "run:vqvae")
    assert manifest.data_spec["codes"] == {"run": "vqvae", "checkpoint": first.checkpoint_hash}
    shown = run_command(["runs", "show", "second"])
    assert "lineage         vqvae -> second\n" in shown.stdout
    values = [json.loads(line)["values"] for line in run.folder.journal_path.read_text().splitlines()]
    assert any("bits_per_code" in line for line in values)
    assert not any("bits_per_dim" in line for line in values)


def test_samples_are_pictures_made_by_the_first_stage(vqvae: RunFolder, tmp_path: Path) -> None:
    run = second(tmp_path, measure=False)
    with Image.open(next(run.folder.samples.glob("*.png"))) as sheet:
        assert sheet.width > 8 * 8
    loaded = creuset.load("second")
    drawn = loaded.generate(12, seed=3, label="7")
    assert drawn.shape == (12, 8, 8, 1)
    assert drawn.dtype == np.uint8
    maps = loaded.model.sample(  # type: ignore[union-attr]
        12, creuset.device.BatchGenerator(3, "sample", size=12), {"labels": torch.full((12,), 7)}
    )
    assert np.array_equal(drawn, load(vqvae).decode(as_codes(maps, 16)))
    generate("second", tmp_path / "x.npz", num=12, seed=3, label="7")
    with np.load(tmp_path / "x.npz") as stored:
        assert np.array_equal(stored["pictures"], drawn)
    answer = run_command(["generate", "second", "--out", str(tmp_path / "x.png"), "-n", "6"])
    assert answer.exit_code == 0, answer.stderr


def test_scores_are_of_codes_where_they_are_and_of_pictures_where_these_are_drawn(
    vqvae: RunFolder, vae: RunFolder, tmp_path: Path
) -> None:
    run = second(tmp_path, "evaluation.num_generated=1000")
    scores = {score.metric: score for score in run.scores}
    nll = scores["code_nll"]
    assert nll.unit == "nats_per_code_map"
    assert "likelihood:codes16" in nll.signature
    assert f"codebook:{load(vqvae).checkpoint_hash[:8]}" in nll.signature
    assert scores["bits_per_code"].value == pytest.approx(nll.value / (16 * np.log(2)))
    assert not {"nll", "bits_per_dim"} & set(scores)
    document = run.folder.evaluations()["images"]
    floors = {floor["metric"]: floor["value"] for floor in document["floors"]}
    assert floors["code_nll_uniform"] == pytest.approx(16 * np.log(16))
    assert floors["code_nll_class_mixture"] < floors["code_nll_independent_codes"]
    assert nll.value < floors["code_nll_uniform"]
    pictures = run_data(vqvae, Silent())
    assert split_hash(pictures, "test")[:8] in scores["memorisation"].signature
    images = pictures.batch("test", torch.arange(180))["images"]
    assert -load("second").log_likelihood(images).mean() == pytest.approx(nll.value, rel=1e-5)
    report = run.folder.report_path.read_text()
    assert "samples, seed 0" in report
    assert "NLL of codes, nats a code map" in report
    assert "What simple models reach on the same code maps" in report
    assert "the same pixels" not in report
    with pytest.raises(UsageError, match="no score in common"):
        compare([vae, run.folder])
    assert not losses_are_one_quantity([vae, run.folder])


def test_second_stages_on_one_first_stage_are_compared_by_their_codes(
    vqvae: RunFolder, tmp_path: Path
) -> None:
    run = second(tmp_path)
    recipe = write_recipe(tmp_path, SECOND, "other")
    other = train(recipe, name="other", settings=["training.num_steps=3"])
    found = {one.metric: one for _, one in compare([run.folder, other.folder]).comparisons}
    assert found["code_nll"].verdict == "worse"
    assert losses_are_one_quantity([run.folder, other.folder])
    assert vqvae.status() == "finished"


def test_other_pictures_go_through_the_first_stage_too(vqvae: RunFolder, tmp_path: Path) -> None:
    run = second(tmp_path, measure=False)
    data = run_data(vqvae, Silent())
    images = data.splits["test"].inputs.numpy().copy()
    images[:, :, 0, 0] = 16 - images[:, :, 0, 0]
    np.savez(tmp_path / "other.npz", train_images=images[:60, 0] * np.uint8(15))
    with pytest.raises(UsageError, match="another number of pixel levels"):
        evaluate(run.folder, data=str(tmp_path / "other.npz"))
    found = evaluate(run.folder, data="digits", num_generated=0)
    assert found.scores[0].n < 1797 - 1000
    assert "training_samples_left_out" in found.scores[0].signature


def test_a_stopped_second_stage_goes_on(vqvae: RunFolder, tmp_path: Path) -> None:
    whole = second(tmp_path, "training.num_steps=4", measure=False)
    path = whole.folder.path.rename(whole.folder.path.with_name("whole"))
    second(tmp_path, "training.num_steps=4", measure=False, max_seconds=1e-6)
    again = resume("second", measure=False)
    name = "checkpoints/step-00000004/weights.safetensors"
    assert (path / name).read_bytes() == (again.path / name).read_bytes()
    assert vqvae.status() == "finished"


def test_a_first_stage_that_changed_or_is_gone_is_named(vqvae: RunFolder, tmp_path: Path) -> None:
    second(tmp_path, "training.num_steps=4", measure=False)
    kept = shutil.copytree(vqvae.path, tmp_path / "kept")
    shutil.rmtree(vqvae.path)
    with pytest.raises(NotFoundError, match="the run vqvae, whose codes this one learned, is not there"):
        load("second")
    answer = run_command(["generate", "second", "--out", str(tmp_path / "x.png")])
    assert answer.exit_code == 3
    settings = ["--set", "training.num_steps=3", "--set", "data.source=digits", "--set", "model.size=tiny"]
    assert run_command(["train", "vqvae-mnist", "--name", "vqvae", "--no-eval", *settings]).exit_code == 0
    for use in (lambda: load("second"), lambda: resume("second"), lambda: evaluate("second")):
        with pytest.raises(CheckpointError, match=r"the run vqvae has changed since this one was trained"):
            use()
    shutil.rmtree(vqvae.path)
    shutil.copytree(kept, vqvae.path)
    assert load("second").generate(1).shape == (1, 8, 8, 1)  # type: ignore[union-attr]


def test_a_run_by_its_path_is_found_from_anywhere(
    vqvae: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(vqvae.path.parent)
    run = second(tmp_path, "data.source=run:./vqvae", "training.num_steps=2", measure=False)
    monkeypatch.chdir(tmp_path)
    assert run.folder.manifest().data_source == f"run:{vqvae.path}"
    assert load("second").generate(1).shape == (1, 8, 8, 1)  # type: ignore[union-attr]


def test_no_such_run(runs: Path, tmp_path: Path) -> None:
    (runs / "vqvea").mkdir()
    with pytest.raises(NotFoundError, match=r"data.source: the run vqvae, whose codes are asked for, is not"):
        second(tmp_path)
    answer = run_command(["train", "pixelcnn-codes"])
    assert answer.exit_code == 3
    assert "next: train it: creuset train vqvae-mnist --name vqvae-mnist" in answer.stderr


def test_a_run_without_codes(vae: RunFolder, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"a model of the family vae makes no code maps\n  got: run:vae"):
        second(tmp_path, "data.source=run:vae")
    assert vae.status() == "finished"


@pytest.mark.parametrize(
    ("setting", "what"),
    [
        ("data.augmentation.shift=1", "augmentation"),
        ("data.image_size=[8, 8]", "image_size"),
        ("data.limit=100", "limit"),
        ("data.test_share=0.2", "test_share"),
        ("data.stack=3", "stack"),
    ],
)
def test_settings_of_pictures_are_refused(vqvae: RunFolder, tmp_path: Path, setting: str, what: str) -> None:
    with pytest.raises(UsageError, match=rf"a setting without effect: code maps(.|\n)*remove data.{what}"):
        second(tmp_path, setting)
    assert vqvae.status() == "finished"


def test_a_run_that_is_training_is_refused(
    vqvae: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RunFolder, "running_process", lambda self: 1234)
    with pytest.raises(UsageError, match="this run is still training: its codes will change"):
        second(tmp_path)
    assert vqvae.status()


def test_what_a_first_stage_cannot_do_says_what_can(vqvae: RunFolder, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"creuset train pixelcnn-codes --set data.source=run:vqvae"):
        generate("vqvae", tmp_path / "x.png")
    with pytest.raises(UsageError, match="names of codes, which are no coordinates"):
        generate("vqvae", tmp_path / "x.svg", mode="encode")
    generate("vqvae", tmp_path / "x.npz", mode="encode", num=5)
    with np.load(tmp_path / "x.npz") as stored:
        assert stored["codes"].shape == (5, 4, 4)
        assert stored["codes"].dtype == np.int64
    assert vqvae.status() == "finished"


def test_what_a_second_stage_cannot_do(vqvae: RunFolder, tmp_path: Path) -> None:
    second(tmp_path, "training.num_steps=2", measure=False)
    with pytest.raises(UsageError, match="a model of code maps cannot complete pictures"):
        generate("second", tmp_path / "x.png", mode="inpaint")
    assert vqvae.status() == "finished"


def test_the_codebook_s_use_is_measured(vqvae: RunFolder) -> None:
    found = evaluate(vqvae)
    scores = {score.metric: score for score in found.scores}
    assert list(scores) == ["mse", "psnr", "code_perplexity", "codes_used"]
    counts = np.array(found.details["code_use"])
    assert counts.sum() == 180 * 16
    assert scores["codes_used"].value == (counts > 0).sum()
    shares = counts[counts > 0] / counts.sum()
    assert scores["code_perplexity"].value == pytest.approx(np.exp(-(shares * np.log(shares)).sum()))


def test_data_commands_show_codes(vqvae: RunFolder, tmp_path: Path) -> None:
    shown = run_command(["data", "show", "run:vqvae", "--out", str(tmp_path / "x.png")])
    assert shown.exit_code == 0, shown.stderr
    assert "code maps, 4 x 4 (height x width), 16 codes" in shown.stdout
    assert (tmp_path / "x.png").exists()
    assert run_command(["data", "validate", "run:vqvae"]).exit_code == 0
    refused = run_command(["data", "split", "run:vqvae", "--out", str(tmp_path / "x.npz")])
    assert refused.exit_code == 2
    assert "code maps are not written" in refused.stderr
    assert vqvae.status() == "finished"


def test_sound_goes_through_two_stages(workspace: Path, tmp_path: Path) -> None:
    tones = tone_folder(tmp_path / "tones")
    first = f"""
model: {{family: vqvae, size: tiny, channels: [4, 8]}}
data: {{source: {tones}, batch_size: 8, audio: {{num_mels: 32, seconds: 0.512}}}}
training: {{num_steps: 3}}
"""
    train(write_recipe(tmp_path, first, "vqvae"), name="vqvae", measure=False)
    small = ("model.num_layers=1", "model.channels=4", "training.num_steps=2", "data.batch_size=8")
    run = second(tmp_path, *small, "evaluation.num_generated=4")
    loaded = creuset.load("second")
    assert loaded.generate(2, seed=0).shape == (2, 32 * 128)
    assert run_command(["generate", "second", "--out", str(tmp_path / "x.wav"), "-n", "2"]).exit_code == 0
    assert run.folder.report_path.read_text().count("<audio") > 0
    assert workspace.is_dir()
