"""Sound through the same trainings as pictures, and back to sound."""

import json
import re
from base64 import b64decode
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import wavfile

from creuset.data.wav import read_wav
from creuset.errors import DataError, UsageError
from creuset.runs.folder import RunFolder
from creuset.workflows.evaluate import evaluate
from creuset.workflows.generate import generate
from creuset.workflows.load import data_spec, load
from creuset.workflows.train import Run, train
from sounds import RATE, sound_form, tone, tone_folder

RECIPE = """
model: {{family: {family}, size: tiny, channels: [4, 8]}}
data: {{source: {source}, batch_size: 8, audio: {{num_mels: 32, seconds: 0.512}}}}
training: {{num_steps: 30, learning_rate: 3e-3}}
evaluation: {{suite: {suite}}}
"""


def trained(folder: Path, family: str, suite: str, **settings: Any) -> Run:
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / "tones"
    if not source.exists():
        tone_folder(source)
    recipe = folder / f"{family}.yaml"
    recipe.write_text(RECIPE.format(family=family, source=source, suite=suite))
    return train(recipe, name=folder / family, settings=settings)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sound")


@pytest.fixture(scope="module")
def vae(place: Path) -> RunFolder:
    settings = {"model.likelihood": "gaussian", "evaluation.num_generated": 0}
    settings["evaluation.num_importance_samples"] = 2
    return trained(place, "vae", "images", **settings).folder


@pytest.fixture(scope="module")
def cnn(place: Path) -> RunFolder:
    return trained(place, "cnn", "classification").folder


@pytest.fixture(scope="module")
def flow(place: Path) -> RunFolder:
    """A model that is asked for low or high tones."""
    settings = {"model.condition": "class", "model.patch_size": 4, "model.num_sampling_steps": 2}
    settings |= {"evaluation.num_generated": 0, "model.num_likelihood_steps": 2}
    return trained(place, "flow", "images", **settings).folder


FORM = sound_form()


def test_the_form_of_sound_travels_with_the_run(vae: RunFolder) -> None:
    assert data_spec(vae).sound == FORM
    assert data_spec(vae).shape == (1, 32, 32)
    assert load(vae).spec == data_spec(vae)


def test_a_classifier_learns_tones_and_takes_clips(cnn: RunFolder, place: Path) -> None:
    loaded = load(cnn)
    high, low = tone(1500, FORM.seconds), tone(300, FORM.seconds)
    assert loaded.predict(np.stack([high, low, high])) == ["high", "low", "high"]
    assert loaded.predict(tone(1500, 0.2)[None]) == ["high"]
    with pytest.raises(DataError, match="clip 0: a clip that cannot be used\n  got: holds silence alone"):
        loaded.predict(np.zeros((1, 800), np.float32))
    other = tone_folder(place / "others", num=5)
    scores = {score.metric: score for score in evaluate(cnn, data=str(other)).scores}
    assert scores["accuracy"].value == 1


def test_samples_are_sound(vae: RunFolder) -> None:
    loaded = load(vae)
    clips = loaded.generate(3, seed=1)
    assert clips.dtype == np.float32
    assert clips.shape == (3, FORM.num_samples)
    assert np.abs(clips).max() <= 1
    assert np.array_equal(clips, loaded.generate(3, seed=1))
    pictures = loaded.draw_pictures(3, seed=1)
    assert pictures.shape == (3, 32, 32, 1)
    assert np.array_equal(clips, loaded.to_sound(pictures, seed=1))


def test_clips_are_encoded_and_rebuilt(vae: RunFolder) -> None:
    loaded = load(vae)
    clip = tone(300, FORM.seconds)[None]
    assert loaded.encode(clip).shape == (1, 8)
    assert loaded.reconstruct(clip).shape == (1, 32, 32, 1)


def comment(content: bytes) -> dict[str, Any]:
    start = content.index(b"ICMT") + 8
    return dict(json.loads(content[start : content.index(b"\0", start)]))


def test_a_file_to_be_heard(vae: RunFolder, tmp_path: Path) -> None:
    out = tmp_path / "tones.wav"
    record = generate(vae.path, out, num=3, seed=1)
    rate, samples = wavfile.read(out)
    pause = RATE // 4
    assert (rate, len(samples)) == (RATE, 3 * FORM.num_samples + 2 * pause)
    clips = load(vae).generate(3, seed=1)
    second = samples[FORM.num_samples + pause :][: FORM.num_samples] / 32767
    np.testing.assert_allclose(second, clips[1], atol=1e-4)
    assert np.abs(samples[FORM.num_samples :][:pause]).max() == 0
    assert comment(out.read_bytes())["num"] == record.num == 3
    assert generate(vae.path, tmp_path / "more.wav").num == 10
    again = out.read_bytes()
    generate(vae.path, out, num=3, seed=1)
    assert out.read_bytes() == again


def test_a_file_for_each_clip(flow: RunFolder, tmp_path: Path) -> None:
    out = tmp_path / "tones" / "high_%02d.wav"
    generate(flow.path, out, num=3, seed=1, label="high")
    files = sorted(out.parent.iterdir())
    assert [file.name for file in files] == ["high_01.wav", "high_02.wav", "high_03.wav"]
    clips = load(flow).generate(3, seed=1, label="high")
    for number, file in enumerate(files):
        rate, samples = wavfile.read(file)
        assert rate == RATE
        np.testing.assert_allclose(samples / 32767, clips[number], atol=1e-4)
        record = comment(file.read_bytes())
        assert (record["clip"], record["num"], record["label"]) == (number + 1, 3, "high")


def test_arrays_and_pictures_of_samples(vae: RunFolder, tmp_path: Path) -> None:
    generate(vae.path, tmp_path / "a.npz", num=4, seed=1)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as file:
        assert set(file) == {"audio", "pictures", "sample_rate", "record"}
        assert np.array_equal(file["audio"], load(vae).generate(4, seed=1))
        assert int(file["sample_rate"]) == RATE
    generate(vae.path, tmp_path / "a.png", num=4)
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(UsageError, match="clips of sound cannot be written so"):
        generate(vae.path, tmp_path / "a.csv")


def test_sound_of_pictures_is_refused(tmp_path: Path) -> None:
    recipe = tmp_path / "vae.yaml"
    recipe.write_text("model: {family: vae, size: tiny}\ndata: {source: digits}\ntraining: {num_steps: 1}\n")
    run = train(recipe, name=tmp_path / "vae", measure=False)
    with pytest.raises(UsageError, match="pictures cannot be written so"):
        generate(run.path, tmp_path / "a.wav")
    with pytest.raises(UsageError, match="this model was not trained on sound"):
        run.model().to_sound(np.zeros((1, 8, 8, 1), np.uint8))


SOUND = re.compile(r'<audio controls src="data:audio/wav;base64,([^"]+)" aria-label="([^"]+)">')


def played(run: RunFolder, tmp_path: Path) -> dict[str, np.ndarray]:
    """The clips of a report by their names."""
    found = {}
    for content, name in SOUND.findall(run.report_path.read_text()):
        path = tmp_path / "clip.wav"
        path.write_bytes(b64decode(content))
        found[name] = read_wav(path).samples
    return found


def test_the_report_plays_samples_and_held_out_clips(vae: RunFolder, tmp_path: Path) -> None:
    clips = played(vae, tmp_path)
    assert [f"sample {number}" in clips for number in range(1, 9)] == [True] * 8
    assert any(name.endswith(", reconstructed") for name in clips)
    assert {"high", "low"} & set(clips)
    first = load(vae).generate(8, seed=0)[0]
    heard = clips["sample 1"]
    np.testing.assert_allclose(heard, first[: len(heard)], atol=1e-4)
    assert len(heard) <= len(first)
    assert vae.report_path.stat().st_size < 600_000


def test_the_report_of_a_classifier_says_what_it_heard(cnn: RunFolder, tmp_path: Path) -> None:
    names = list(played(cnn, tmp_path))
    assert names
    assert all(re.fullmatch(r"(high|low), taken for (high|low)", name) for name in names)


def test_a_model_that_is_asked_for_classes_is_heard_class_by_class(flow: RunFolder, tmp_path: Path) -> None:
    clips = played(flow, tmp_path)
    assert list(clips)[:2] == ["asked for high", "asked for low"]
    assert list(clips)[2:4] == ["high", "low"]
    first = load(flow).generate(1, seed=0, label="high")[0]
    heard = clips["asked for high"]
    np.testing.assert_allclose(heard, first[: len(heard)], atol=1e-4)


def test_a_prompt_says_which_sound(tmp_path: Path) -> None:
    """Classes that are called 0 to 9 have phrases in English and French."""
    tones = tone_folder(tmp_path / "tones")
    (tones / "low").rename(tones / "1")
    (tones / "high").rename(tones / "7")
    settings = {"model.condition": "text", "model.patch_size": 4, "model.num_sampling_steps": 1}
    run = trained(tmp_path, "flow", "none", **settings, **{"training.num_steps": 2}).folder
    record = generate(run.path, tmp_path / "seven.wav", num=2, prompt="sept")
    assert record.prompt == "sept"
    first, second = (load(run).generate(1, prompt=prompt) for prompt in ("sept", "one"))
    assert not np.array_equal(first, second)
