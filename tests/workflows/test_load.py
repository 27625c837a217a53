import json
from pathlib import Path

import numpy as np
import pytest
import torch

import creuset
from creuset.data.dataset import standardise
from creuset.errors import CheckpointError, DataError, NotFoundError, UsageError
from creuset.files import sha256_of
from creuset.models.base import Model
from creuset.runs.checkpoint import DamagedCheckpoint, load_checkpoint
from creuset.runs.folder import RunFolder
from creuset.workflows.load import Loaded, find_run, load
from creuset.workflows.train import train
from players import digits
from small_runs import RECIPES, write_recipe

NUM = 12


@pytest.fixture
def pictures() -> np.ndarray:
    """Digits as a user has them, uint8 (N, H, W, C) in 0..255."""
    images = digits().batch("test", torch.arange(NUM))["images"]
    return ((images + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()


def test_a_model_comes_back_with_what_is_around_it(vae: RunFolder) -> None:
    model = creuset.load("vae")
    assert isinstance(model, Loaded)
    best = vae.checkpoint_path("best")
    assert model.step == int(best.name.removeprefix("step-"))
    assert model.checkpoint_hash == sha256_of(best / "weights.safetensors")
    assert model.spec == digits().spec
    assert (model.family.name, model.run.path) == ("vae", vae.path)
    assert isinstance(model.model, Model)
    assert not model.model.training


def test_the_averages_are_what_is_used(vae: RunFolder) -> None:
    model = load(vae).model
    assert isinstance(model, Model)
    saved = load_checkpoint(vae.checkpoint_path("best"))
    for name, value in model.named_parameters():
        assert torch.equal(value, saved.state[f"ema/{name}"])
        assert not torch.equal(value, saved.weights[name])


def test_checkpoints_are_chosen_by_name(vae: RunFolder) -> None:
    assert load(vae, checkpoint="last").step == 40
    name = vae.checkpoint_names()[0]
    assert load(vae, checkpoint=name).step == int(name.removeprefix("step-"))
    with pytest.raises(NotFoundError, match='no checkpoint "step-00000003" in this run') as caught:
        load(vae, checkpoint="step-00000003")
    assert name in str(caught.value.expected)


def test_pictures_go_in_and_out_as_bytes(vae: RunFolder, pictures: np.ndarray) -> None:
    model = load(vae)
    drawn = model.generate(num_samples=5, seed=0)
    assert (drawn.dtype, drawn.shape) == (np.uint8, (5, 8, 8, 1))
    assert np.array_equal(drawn, model.generate(5, seed=0))
    assert not np.array_equal(drawn, model.generate(5, seed=1))
    codes = model.encode(pictures)
    assert (codes.dtype, codes.shape) == (np.float32, (NUM, 8))
    assert np.array_equal(model.decode(codes), model.reconstruct(pictures))
    assert np.array_equal(model.reconstruct(pictures[..., 0]), model.reconstruct(pictures))
    floats = torch.from_numpy(pictures).permute(0, 3, 1, 2) / 127.5 - 1
    assert np.allclose(model.encode(floats), codes, atol=1e-6)


def test_the_way_between_two_pictures_has_both_ends(vae: RunFolder, pictures: np.ndarray) -> None:
    model = load(vae)
    way = model.interpolate(pictures[0], pictures[1], 6)
    assert way.shape == (6, 8, 8, 1)
    ends = model.reconstruct(pictures[:2])
    assert np.abs(way[[0, -1]].astype(int) - ends.astype(int)).max() <= 1


def test_likelihoods_are_finite_and_bounded(vae: RunFolder, pictures: np.ndarray) -> None:
    model = load(vae)
    values = model.log_likelihood(pictures, num_importance_samples=5, seed=0)
    assert (values.dtype, values.shape) == (np.float32, (NUM,))
    assert (values < 0).all()  # of binary pixels
    assert np.array_equal(values, model.log_likelihood(pictures, num_importance_samples=5, seed=0))
    noise = np.random.default_rng(0).integers(0, 256, pictures.shape, dtype=np.uint8)
    assert values.mean() > model.log_likelihood(noise, num_importance_samples=5).mean()


def test_noise_is_added_and_taken_away(denoiser: RunFolder, pictures: np.ndarray) -> None:
    model = load(denoiser)
    noisy = model.add_noise(pictures, seed=0)
    assert noisy.shape == pictures.shape
    assert not np.array_equal(noisy, pictures)
    assert np.array_equal(noisy, model.add_noise(pictures, seed=0))
    assert model.denoise(noisy).shape == pictures.shape


def test_what_is_known_of_pictures_is_said_for_all_or_each(pixelcnn: RunFolder, pictures: np.ndarray) -> None:
    model = load(pixelcnn)
    known = np.zeros((8, 8), dtype=bool)
    known[:, :3] = True
    completed = model.inpaint(pictures, known, seed=1)
    assert (completed.dtype, completed.shape) == (np.uint8, pictures.shape)
    assert np.array_equal(completed[:, :, :3], pictures[:, :, :3])
    assert np.array_equal(completed, model.inpaint(pictures, np.stack([known] * NUM), seed=1))
    for wrong, got in ((known.astype(np.uint8), "uint8 (8, 8)"), (known[:4], "bool (4, 8)")):
        with pytest.raises(DataError, match="known pixels are told by true and false") as caught:
            model.inpaint(pictures, wrong)
        assert (caught.value.got, caught.value.expected) == (got, f"bool (8, 8) or ({NUM}, 8, 8)")


def test_classes_are_told_by_name(cnn: RunFolder, linear: RunFolder, pictures: np.ndarray) -> None:
    for run in (cnn, linear):
        model = load(run)
        logits = model.logits(pictures)
        assert (logits.dtype, logits.shape) == (np.float32, (NUM, 10))
        assert model.predict(pictures) == [str(label) for label in logits.argmax(1)]
    truth = digits().batch("test", torch.arange(NUM))["labels"]
    assert np.mean(load(linear).logits(pictures).argmax(1) == truth.numpy()) > 0.5


TABLE = """
model: {family: linear}
data: {source: SOURCE}
"""


def test_rows_of_a_table_are_taken_as_the_file_holds_them(workspace: Path) -> None:
    drawn = np.random.default_rng(0)
    x = drawn.normal([1000.0, -5.0], [50.0, 0.01], (200, 2))
    labels = (x[:, 0] > 1000) ^ (x[:, 1] > -4.99)
    lines = [
        "width,height,label",
        *(f"{a},{b},{'yes' if c else 'no'}" for (a, b), c in zip(x, labels, strict=True)),
    ]
    workspace.mkdir(parents=True, exist_ok=True)
    (workspace / "table.csv").write_text("\n".join(lines))
    recipe = write_recipe(workspace, TABLE.replace("SOURCE", str(workspace / "table.csv")), "table")
    run = train(recipe).folder
    model = load(run)
    logits = model.logits(x)
    assert isinstance(model.predict(x)[0], str)
    rows = standardise(torch.as_tensor(x, dtype=torch.float32), model.spec)
    assert np.allclose(logits, model.model.logits(rows).numpy(), rtol=1e-5, atol=1e-5)
    for wrong in (x[0], x[:, :1], np.zeros((0, 2))):
        with pytest.raises(DataError, match="not of the form that the model was trained on") as caught:
            model.logits(wrong)
        assert caught.value.expected == "(N, 2): width, height"


@pytest.mark.parametrize(
    ("call", "ability"),
    [
        (lambda model, _: model.generate(3), "draw samples"),
        (lambda model, given: model.encode(given), "encode pictures"),
        (lambda model, given: model.reconstruct(given), "reconstruct pictures"),
        (lambda model, _: model.decode(np.zeros((1, 8), np.float32)), "decode codes"),
        (lambda model, given: model.interpolate(given[0], given[1]), "interpolate between pictures"),
        (lambda model, given: model.denoise(given), "remove noise"),
        (lambda model, given: model.log_likelihood(given), "give likelihoods"),
    ],
)
def test_what_a_family_cannot_do_is_refused(
    call: object, ability: str, cnn: RunFolder, pictures: np.ndarray
) -> None:
    with pytest.raises(UsageError, match=f"a model of the family cnn cannot {ability}") as caught:
        call(load(cnn), pictures)  # type: ignore[operator]
    assert caught.value.got == "traits classifies, gradient"


def test_a_model_that_never_saw_noise_takes_none_away(vae: RunFolder, pictures: np.ndarray) -> None:
    for call in (load(vae).denoise, load(vae).add_noise):
        with pytest.raises(UsageError, match="has not learned to remove noise"):
            call(pictures)
    with pytest.raises(UsageError, match="cannot classify"):
        load(vae).predict(pictures)


def test_codes_of_another_length_are_refused(vae: RunFolder) -> None:
    with pytest.raises(UsageError, match="samples of another shape") as caught:
        load(vae).decode(np.zeros((2, 9), np.float32))
    assert caught.value.got == (2, 9)


@pytest.mark.parametrize("name", ["vae", "denoiser", "cnn"])
def test_a_model_is_loaded_in_the_format_it_was_trained_in(name: str, workspace: Path) -> None:
    settings: dict[str, object] = {"training.precision": "float64", "training.num_steps": 4}
    if name != "cnn":
        settings["training.sample_every"] = 2
    run = train(write_recipe(workspace, RECIPES[name], name), settings=settings)
    loaded = run.model()
    assert isinstance(loaded.model, Model)
    assert loaded.model.dtype == torch.float64
    saved = load_checkpoint(run.folder.checkpoint_path(), parts=("weights", "state"))
    for key, value in loaded.model.state_dict().items():
        assert torch.equal(value, saved.state.get(f"ema/{key}", saved.weights[key]))
    digits = np.zeros((2, 8, 8, 1), np.uint8)
    if name == "cnn":
        assert loaded.logits(digits).shape == (2, 10)
        return
    assert loaded.encode(digits).dtype == np.float32
    assert loaded.interpolate(digits[0], digits[1], 3).shape == (3, 8, 8, 1)
    assert loaded.decode(loaded.encode(digits)).shape == loaded.reconstruct(digits).shape
    if name == "denoiser":
        assert loaded.denoise(loaded.add_noise(digits)).shape == (2, 8, 8, 1)
    else:
        assert np.isfinite(loaded.log_likelihood(digits, num_importance_samples=2)).all()
        assert loaded.generate(2).shape == (2, 8, 8, 1)


@pytest.mark.parametrize("file", ["weights.safetensors", "state.safetensors", "manifest.json"])
def test_a_damaged_checkpoint_is_never_loaded(file: str, vae: RunFolder) -> None:
    path = vae.checkpoint_path("best") / file
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)
    with pytest.raises(DamagedCheckpoint, match=f"{file}: the checkpoint is damaged") as caught:
        load("vae")
    whole = max(set(vae.checkpoint_names()) - {path.parent.name})
    wanted = f"creuset train --resume vae goes on from {whole}, which is whole"
    assert caught.value.next_step == wanted


def test_a_checkpoint_of_another_model_is_refused(vae: RunFolder, denoiser: RunFolder) -> None:
    text = vae.recipe_path.read_text()
    vae.recipe_path.write_text(text.replace("latent_dim: 8", "latent_dim: 5"))
    with pytest.raises(CheckpointError, match="this checkpoint is of another model") as caught:
        load("vae")
    assert "other shapes" in str(caught.value.got)
    vae.recipe_path.write_text(denoiser.recipe_path.read_text())
    with pytest.raises(CheckpointError, match="this checkpoint is of another model") as caught:
        load("vae")
    assert (caught.value.got, caught.value.expected) == ("family vae", "family autoencoder")


def test_runs_are_found_by_id_and_by_path(
    vae: RunFolder, workspace: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert find_run("vae").path == vae.path
    assert find_run(vae.path).path == vae.path
    monkeypatch.chdir(tmp_path)
    (tmp_path / "vae").mkdir()  # no run: the name still means the workspace's
    assert find_run("vae").path == vae.path
    monkeypatch.chdir(workspace / "runs")
    assert find_run("vae").manifest() == vae.manifest()
    monkeypatch.chdir(workspace)
    assert find_run("runs/vae").manifest() == vae.manifest()


def test_a_run_without_a_checkpoint_cannot_be_used_yet(vae: RunFolder) -> None:
    vae.update(last=None, previous=None, best=None)
    for path in vae.checkpoints.iterdir():
        path.rename(vae.path / path.name)
    with pytest.raises(NotFoundError, match='no checkpoint "best" in this run') as caught:
        load("vae")
    assert caught.value.next_step == "creuset train --resume vae"


def test_a_checkpoint_that_is_replaced_while_it_is_read_is_read_anew(
    vae: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What happens where another process trains in the run."""
    newest, older = vae.checkpoint_names()[-1], vae.checkpoint_names()[0]
    vae.update(best=older)
    calls: list[Path] = []

    def read(path: Path, *, parts: tuple[str, ...]) -> object:
        calls.append(path)
        if len(calls) == 1:  # the trainer drops it at this moment, for a better one
            vae.update(best=newest)
            path.rename(vae.path / "dropped")
        return load_checkpoint(path, parts=parts)

    monkeypatch.setattr("creuset.runs.folder.load_checkpoint", read)
    with vae.lock():
        assert load("vae").step == 40
    assert [path.name for path in calls] == [older, newest]


def test_a_newer_manifest_is_refused(vae: RunFolder) -> None:
    document = json.loads(vae.manifest_path.read_text())
    vae.manifest_path.write_text(json.dumps({**document, "format": 9}))
    with pytest.raises(CheckpointError, match="written by a newer creuset"):
        load("vae")
