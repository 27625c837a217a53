"""Each family through the whole of `creuset.train`: digits, pictures in folders, tables, texts, pairs."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import creuset
from creuset.errors import UsageError
from creuset.models import family, family_names
from creuset.workflows.load import Loaded
from creuset.workflows.train import Run, resume, train
from players import digits
from small_runs import leftovers, write_recipe

STEPS = {"training.num_steps": 4, "data.batch_size": 32}
MODELS = {
    "autoencoder": [
        "{family: autoencoder, size: tiny}",
        "{family: autoencoder, channels: [4], hidden_dims: [16]}",
    ],
    "cnn": ["{family: cnn, size: tiny}"],
    "gan": [
        "{family: gan, size: tiny}",
        "{family: gan, size: tiny, channels: [4, 8], generator_norm: batch, condition: class}",
    ],
    "linear": ["{family: linear, kind: logistic}", "{family: linear, kind: svm}"],
    "pixelcnn": ["{family: pixelcnn, size: tiny}", "{family: pixelcnn, size: tiny, likelihood: categorical}"],
    "rnn": ["{family: rnn, size: tiny, cell: gru}", "{family: rnn, size: tiny, cell: lstm}"],
    "vae": [
        "{family: vae, size: tiny}",
        "{family: vae, size: tiny, likelihood: discretised}",
        "{family: vae, size: tiny, likelihood: gaussian}",
    ],
}
LANGUAGE_MODELS = {
    "decoder": [
        "{family: decoder, size: tiny}",
        "{family: decoder, size: tiny, positions: rotary, norm: rms, gated: true}",
    ],
    "rnn_lm": ["{family: rnn_lm, size: tiny}", "{family: rnn_lm, size: tiny, cell: gru}"],
}
TRANSDUCERS = {
    "encoder_decoder": [
        "{family: encoder_decoder, size: tiny}",
        "{family: encoder_decoder, size: tiny, positions: learned}",
    ],
}
ELSEWHERE = {
    "encoder": "test_encoder.py",
    "token_embeddings": "test_word_vectors.py",
    "text_embedder": "test_embed.py",
    "flow": "test_asked_pictures.py",
    "diffusion": "test_asked_pictures.py",
    "vqvae": "test_two_stages.py",
    "tuned": "test_finetune.py",
    "tuned_classifier": "test_finetune_classifier.py",
    "tuned_embedder": "test_finetune_embedder.py",
}
"""Families that are trained in a file of their own."""

WITHOUT_INTERVAL = {"psnr", "fd", "density", "memorisation", "bleu", "chrf"}
"""A distance at N never has one; the others have none where nothing varies, as with a model of 4 steps."""


def trained(folder: Path, model: str, source: str, extra: str = "") -> Run:
    recipe = write_recipe(folder, f"model: {model}\ndata: {{source: {source}{extra}}}\n", "small")
    steps = "gradient" in family(model.split("family: ")[1].split(",")[0].rstrip("}")).traits
    return train(recipe, settings=STEPS if steps else {})


def check(run: Run) -> Loaded:
    """What holds of each run, whatever was trained."""
    state = run.folder.manifest()
    assert state.status == "finished"
    assert run.scores
    assert all(one.interval is not None for one in run.scores if one.metric not in WITHOUT_INTERVAL)
    page = run.folder.report_path.read_text()
    assert f"<title>{run.folder.id}" in page
    assert 'src="http' not in page
    assert leftovers(run.path) == []
    assert resume(run.path).outcome.step == state.step
    return creuset.load(run.path)


def test_each_family_is_trained_here() -> None:
    here = MODELS.keys() | LANGUAGE_MODELS.keys() | TRANSDUCERS.keys()
    assert here | ELSEWHERE.keys() == set(family_names())
    assert all(Path(__file__).with_name(file).is_file() for file in ELSEWHERE.values())


@pytest.mark.parametrize("model", [model for models in MODELS.values() for model in models])
def test_a_family_trains_on_digits(model: str, workspace: Path) -> None:
    run = trained(workspace, model, "digits")
    loaded = check(run)
    suite = "classification" if "classifies" in loaded.family.traits else "images"
    assert run.folder.evaluations().keys() == {suite}


@pytest.mark.parametrize("model", [model for models in TRANSDUCERS.values() for model in models])
@pytest.mark.parametrize("tokenizer", ["characters", "wordpiece, vocabulary_size: 60"])
def test_a_family_of_pairs_trains_on_a_table(
    model: str, tokenizer: str, workspace: Path, tmp_path: Path
) -> None:
    rows = (f"{number} and more;{number * 7} et plus" for number in range(200))
    source = tmp_path / "pairs.csv"
    source.write_text("\n".join(["en;fr", *rows]) + "\n")
    data = f"{source}, source_column: en, target_column: fr, context: 20"
    run = trained(workspace, model, data, f", tokenizer: {tokenizer}")
    assert run.folder.evaluations().keys() == {"pairs"}
    assert len(check(run).transduce("7 and more", 2)) == 2


@pytest.mark.parametrize("model", [model for models in LANGUAGE_MODELS.values() for model in models])
@pytest.mark.parametrize("tokenizer", ["characters", "byte_bpe, vocabulary_size: 280"])
def test_a_language_model_trains_on_documents(
    model: str, tokenizer: str, workspace: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    for number in range(60):
        (folder / f"{number}.txt").write_text(
            f"{number} and {number * 7 % 60} are {'so ' * (number % 9)}old\n" * 3
        )
    loaded = check(trained(workspace, model, str(folder), f", context: 8, tokenizer: {tokenizer}"))
    assert loaded.run.evaluations().keys() == {"text"}
    assert len(loaded.write("", 2, max_tokens=5)) == 2


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Digits in colour as PNG files, a folder a class."""
    folder = tmp_path / "pictures"
    data = digits()
    batch = data.batch("train", torch.arange(200))
    levels = ((batch["images"] + 1) * 127.5).round().to(torch.uint8).expand(-1, 3, -1, -1)
    for number, (picture, label) in enumerate(zip(levels, batch["labels"].tolist(), strict=True)):
        place = folder / f"class {label}"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture.permute(1, 2, 0).contiguous().numpy()).save(place / f"{number}.png")
    return folder


@pytest.mark.parametrize("name", ["autoencoder", "cnn", "linear", "rnn", "vae"])
def test_a_family_trains_on_pictures_in_folders(name: str, pictures: Path, workspace: Path) -> None:
    model = "{family: vae, size: tiny, likelihood: discretised}" if name == "vae" else MODELS[name][0]
    loaded = check(trained(workspace, model, str(pictures)))
    assert loaded.spec.shape == (3, 8, 8)
    assert loaded.spec.class_names == tuple(f"class {number}" for number in range(10))


def test_pictures_need_no_labels_to_be_modelled(pictures: Path, workspace: Path, tmp_path: Path) -> None:
    flat = tmp_path / "flat"
    flat.mkdir()
    for file in pictures.glob("*/*.png"):
        file.rename(flat / file.name)
    for name in ("autoencoder", "vae"):
        loaded = check(trained(workspace, MODELS[name][0], str(flat)))
        assert loaded.spec.class_names == ()
        assert loaded.encode(np.zeros((1, 8, 8, 3), np.uint8)).shape[0] == 1
    with pytest.raises(UsageError, match="cnn learns classes, and the data has no labels"):
        trained(workspace, MODELS["cnn"][0], str(flat))


@pytest.mark.parametrize("kind", ["logistic", "svm"])
def test_a_table_is_classified(kind: str, workspace: Path, tmp_path: Path) -> None:
    drawn = np.random.default_rng(0)
    x = drawn.normal(size=(300, 3)) * [1, 100, 0.01] + [0, 5000, 1]
    species = np.where(x[:, 0] > 0.5, "oak", np.where(x[:, 1] > 5000, "elm", "ash"))
    rows = [f"{a},{b},{c},{name}" for (a, b, c), name in zip(x, species, strict=True)]
    (tmp_path / "trees.csv").write_text("\n".join(["height,age,girth,species", *rows]))
    loaded = check(
        trained(
            workspace,
            f"{{family: linear, kind: {kind}}}",
            str(tmp_path / "trees.csv"),
            ", label_column: species",
        )
    )
    assert np.mean(np.array(loaded.predict(x)) == species) > 0.85
    found = {one.metric: one.value for one in Run(loaded.run, resume(loaded.run.path).outcome).scores}
    assert found["accuracy"] > 0.7
