from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from creuset.data.audio_npz import holds_sound, read_sound_npz
from creuset.data.clips import clips_as_pictures, sound_form
from creuset.data.dataset import Dataset
from creuset.errors import DataError
from creuset.progress import Silent
from creuset.recipe.audio import AudioConfig
from sounds import RATE, levels, tone

Load = Callable[..., Dataset]
FORM = sound_form(AudioConfig())
CLIPS = np.stack([tone(200 + 50 * number) for number in range(12)])


def save(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def read(path: Path) -> Any:
    return read_sound_npz(path, AudioConfig(), Silent())


def message(path: Path) -> str:
    with pytest.raises(DataError) as raised:
        read(path)
    return str(raised.value)


def end_to_end(**changes: Any) -> dict[str, Any]:
    """Twelve clips of unlike lengths, of two classes, numbered 0 to 5 in each."""
    parts = [clip[: 2000 + 100 * number] for number, clip in enumerate(levels(CLIPS))]
    usual = {
        "samples": np.concatenate(parts),
        "offsets": np.cumsum([0, *map(len, parts)]),
        "labels": np.repeat(np.array([3, 7], np.uint8), 6),
        "indices": np.tile(np.arange(6), 2),
        "speakers": np.array(["jackson"] * 12),
    }
    return {**usual, **changes}


def test_clips_end_to_end(tmp_path: Path) -> None:
    source = read(save(tmp_path / "a.npz", **end_to_end()))
    assert source.class_names == ("3", "7")
    assert source.parts["train"].names == ("samples[5]", "samples[11]")
    assert source.parts["train"].labels.tolist() == [0, 1]
    assert source.parts["test"].labels.tolist() == [0] * 5 + [1] * 5
    clip = levels(CLIPS)[11][:3100] / 2**15
    assert np.array_equal(source.parts["train"].inputs[1], clips_as_pictures(clip[None], FORM)[0])
    assert source.sound == FORM
    assert source.notes[:2] == (
        "recordings numbered below 5 are the test split, as in the Free Spoken Digit Dataset",
        "taken as 8,000 samples a second: no sample_rate",
    )


def test_without_numbers_there_is_no_test_split(tmp_path: Path) -> None:
    arrays = end_to_end()
    del arrays["indices"]
    assert set(read(save(tmp_path / "a.npz", **arrays)).parts) == {"train"}
    del arrays["labels"]
    assert read(save(tmp_path / "b.npz", **arrays)).class_names == ()


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int16, np.int32])
def test_whole_arrays_with_splits(tmp_path: Path, kind: type) -> None:
    scale = -float(np.iinfo(kind).min) if issubclass(kind, np.integer) else 1
    path = save(
        tmp_path / "a.npz",
        train_audio=(CLIPS[:8] * scale).astype(kind),
        test_audio=(CLIPS[8:] * scale).astype(kind),
        train_labels=np.arange(8) % 2,
        test_labels=np.arange(4) % 2,
        class_names=np.array(["low", "high"]),
        sample_rate=RATE,
    )
    source = read(path)
    assert source.class_names == ("low", "high")
    assert np.abs(source.parts["test"].inputs.astype(int) - clips_as_pictures(CLIPS[8:], FORM)).max() <= 1
    assert source.notes == ("12 clips shorter than 1.024 seconds, filled up with silence",)


def test_the_rate_of_the_file_counts(tmp_path: Path) -> None:
    source = read(save(tmp_path / "a.npz", train_audio=CLIPS, sample_rate=16_000))
    assert "12 clips resampled to 8,000 samples a second, from 16,000" in source.notes


def test_what_creuset_generate_writes_is_sound_again(tmp_path: Path) -> None:
    path = save(
        tmp_path / "a.npz",
        audio=CLIPS,
        pictures=np.zeros((12, 64, 64, 1), np.uint8),
        sample_rate=RATE,
        record=np.array("{}"),
    )
    assert holds_sound(path)
    assert np.array_equal(read(path).parts["train"].inputs, clips_as_pictures(CLIPS, FORM))


def test_files_of_pictures_are_not_sound(tmp_path: Path, load: Load) -> None:
    path = save(tmp_path / "a.npz", train_images=np.random.default_rng(0).integers(0, 256, (30, 6, 6)))
    assert not holds_sound(path)
    assert load(path).spec.sound is None


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"test_audio": CLIPS}, "there is no train_audio"),
        (end_to_end(lables=np.zeros(12)), 'unknown array "lables"; did you mean "labels"?'),
        (
            {"train_audio": CLIPS, "train_label": 1},
            'unknown array "train_label"; did you mean "train_labels"?',
        ),
        ({"train_audio": CLIPS[0]}, "sound of a wrong type or shape"),
        ({"train_audio": CLIPS.astype(np.uint16)}, "sound of a wrong type or shape"),
        (
            {"train_audio": CLIPS, "test_audio": CLIPS, "train_labels": np.zeros(12, int)},
            "have no counterpart",
        ),
        ({"train_audio": CLIPS, "train_labels": np.zeros(11, int)}, "labels out of step with the samples"),
        ({"train_audio": CLIPS, "sample_rate": 44.1}, "wrong sample_rate"),
        ({"train_audio": CLIPS, "sample_rate": 3}, "expected: one whole number in 1,000..1,000,000"),
        (end_to_end(offsets=np.arange(12)), "offsets that do not cut the samples into clips"),
        (end_to_end(labels=np.zeros(11, int)), "labels out of step with the clips"),
        (end_to_end(indices=np.zeros(13, int)), "indices out of step with the clips"),
        ({"train_audio": np.vstack([CLIPS, 0 * CLIPS[:1]])}, "train_audio[12]: holds silence alone"),
        (
            {"train_audio": np.vstack([CLIPS, np.nan * CLIPS[:1]])},
            "train_audio[12]: holds a value that is no",
        ),
    ],
)
def test_what_cannot_be_used_is_refused(tmp_path: Path, arrays: dict[str, Any], reason: str) -> None:
    assert reason in message(save(tmp_path / "a.npz", **arrays))


def test_a_clip_without_a_sample_is_named(tmp_path: Path) -> None:
    arrays = end_to_end()
    arrays["offsets"] = np.insert(arrays["offsets"], 3, arrays["offsets"][3])
    for name in ("labels", "indices"):
        arrays[name] = np.insert(arrays[name], 3, 3)
    assert "samples[3]: holds no sample" in message(save(tmp_path / "a.npz", **arrays))


@pytest.mark.shared
def test_the_spoken_digits(shared_data: Path, load: Load) -> None:
    dataset = load(shared_data / "spoken_digits.npz", audio=AudioConfig(num_mels=16, hop=256))
    assert dataset.spec.class_names == tuple("0123456789")
    assert dataset.report.own_splits == ("test",)
    assert dataset.split("test").num_samples == 300
    assert set(dataset.report.class_counts["test"]) == {30}
    assert sum(dataset.report.num_samples.values()) == 3000
