from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from creuset.data.audio import is_sound_folder, read_sound_folder
from creuset.data.clips import clips_as_pictures, fit_clip, sound_form
from creuset.data.dataset import Dataset, conform
from creuset.data.npz import write_npz
from creuset.data.wav import UnreadableSoundError
from creuset.errors import DataError, UsageError
from creuset.progress import Silent
from creuset.recipe.audio import AudioConfig
from sounds import RATE, levels, tone, tone_folder, write_wav
from sounds import sound_form as form_of

Load = Callable[..., Dataset]
FORM = sound_form(AudioConfig())


def read(root: Path, unreadable: Any = "refuse", **audio: Any) -> Any:
    return read_sound_folder(root, AudioConfig(**audio), unreadable=unreadable, progress=Silent())


def message(root: Path, unreadable: Any = "refuse") -> str:
    with pytest.raises(DataError) as raised:
        read(root, unreadable)
    return str(raised.value)


def test_the_form_follows_from_the_section() -> None:
    assert (FORM.shape, FORM.num_samples, FORM.seconds) == ((1, 64, 64), 8192, 1.024)
    longer = sound_form(AudioConfig(seconds=1.0, hop=100, num_mels=40))
    assert (longer.num_samples, longer.shape) == (8000, (1, 40, 80))
    assert sound_form(AudioConfig(seconds=1.01, hop=100)).num_samples == 8100  # whole hops, rounded up


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"hop": 300}, "hop is more than half of window"),
        ({"seconds": 0.05}, "seconds is less than one window"),
    ],
)
def test_forms_without_a_way_back_are_refused(settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        AudioConfig(**settings)


def test_a_folder_a_class(tmp_path: Path) -> None:
    source = read(tone_folder(tmp_path / "tones", num=3))
    part = source.parts["train"]
    assert source.class_names == ("high", "low")
    assert part.names == ("high/0.wav", "high/1.wav", "high/2.wav", "low/0.wav", "low/1.wav", "low/2.wav")
    assert part.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert part.inputs.shape == (6, 1, 64, 64)
    assert source.sound == FORM
    assert source.origin == "tones: folder of sound, with classes"
    assert source.notes == ("6 clips shorter than 1.024 seconds, filled up with silence",)


def test_own_splits_and_no_classes(tmp_path: Path) -> None:
    for part in ("train", "test"):
        for number in range(2):
            write_wav(tmp_path / part / f"{number}.wav", levels(tone(300 + 50 * number)))
    source = read(tmp_path)
    assert set(source.parts) == {"train", "test"}
    assert source.class_names == ()
    assert source.parts["test"].labels is None


def spoken(root: Path, numbers: range, digits: str = "37") -> Path:
    for digit in digits:
        for number in numbers:
            samples = tone(200 * int(digit) + 10 * number, 0.3)
            write_wav(root / f"{digit}_jackson_{number}.wav", levels(samples))
    return root


def test_names_of_spoken_digits_tell_class_and_test_split(tmp_path: Path) -> None:
    source = read(spoken(tmp_path, range(3, 8)))
    assert source.class_names == ("3", "7")
    assert [name.split("_")[2] for name in source.parts["test"].names] == ["3.wav", "4.wav"] * 2
    assert source.parts["train"].labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert "classes are the first parts of the names, such as 3 of 3_jackson_3.wav" in source.notes
    assert any("numbered below 5 are the test split" in note for note in source.notes)


def test_numbers_make_no_test_split_where_a_class_would_have_none(tmp_path: Path) -> None:
    spoken(tmp_path, range(5, 8))
    spoken(tmp_path, range(5), digits="3")
    source = read(tmp_path)
    assert set(source.parts) == {"train"}
    assert source.class_names == ("3", "7")


def test_files_that_are_skipped_cost_no_classes(tmp_path: Path) -> None:
    (spoken(tmp_path, range(6)) / "README.md").write_text("who spoke")
    source = read(tmp_path, unreadable="skip")
    assert source.class_names == ("3", "7")
    assert source.skipped[0].file == "README.md"


def test_one_other_name_and_there_are_no_classes(tmp_path: Path) -> None:
    write_wav(spoken(tmp_path, range(6)) / "noise.wav", levels(tone(100)))
    assert read(tmp_path).class_names == ()


def test_rates_and_channels_are_brought_to_one_and_said(tmp_path: Path) -> None:
    plain = levels(tone(440, 0.3))
    write_wav(tmp_path / "a.wav", plain)
    write_wav(tmp_path / "b.wav", np.stack([plain, plain], axis=1))
    write_wav(tmp_path / "c.wav", levels(tone(440, 0.3, rate=22_050)), rate=22_050)
    source = read(tmp_path)
    a, b, c = source.parts["train"].inputs.astype(float)
    assert np.array_equal(a, b)
    loud = a > 150
    assert np.abs(a - c)[loud].max() <= 3
    assert source.notes == (
        "1 clip resampled to 8,000 samples a second, from 22,050",
        "the channels of 1 clip averaged to one",
        "3 clips shorter than 1.024 seconds, filled up with silence",
    )


def test_long_clips_are_cut_and_counted(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", levels(tone(440, 3)))
    write_wav(tmp_path / "b.wav", levels(tone(440, FORM.seconds)))
    source = read(tmp_path)
    assert source.notes == ("1 clip longer than 1.024 seconds, cut there",)
    a, b = source.parts["train"].inputs
    assert np.array_equal(a, b)


def test_loudness_counts_only_where_it_is_asked_for(tmp_path: Path) -> None:
    for name, amplitude in (("loud", 0.5), ("soft", 0.05)):
        write_wav(tmp_path / f"{name}.wav", tone(440, amplitude=amplitude))
    loud, soft = read(tmp_path).parts["train"].inputs.astype(int)
    assert np.abs(loud - soft).max() <= 1
    loud, soft = read(tmp_path, normalise=False).parts["train"].inputs.astype(int)
    assert np.median((loud - soft)[soft > 50]) == pytest.approx(20 / 80 * 255, abs=1)


UNUSABLE = {
    "silent.wav": (levels(np.zeros(800)), "holds silence alone"),
    "late.wav": (
        np.concatenate([np.zeros(9000, dtype=np.float32), tone(440)]),
        "is silent in its first 1.024 seconds below 4,000 hertz",
    ),
    "nan.wav": (
        np.array([0.1, 0.2, np.nan], np.float32),
        "holds a value that is no finite number, at sample 2",
    ),
    "empty.wav": (np.zeros(0, np.int16), "holds no sample"),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_what_cannot_be_used_is_named(tmp_path: Path, name: str) -> None:
    samples, reason = UNUSABLE[name]
    write_wav(tmp_path / "fine.wav", levels(tone(440)))
    write_wav(tmp_path / name, samples)
    text = message(tmp_path)
    assert "1 file of 2 cannot be used" in text
    assert f"{name}: {reason}" in text
    source = read(tmp_path, unreadable="skip")
    assert source.parts["train"].names == ("fine.wav",)
    assert source.skipped[0].reason == reason


def test_sound_beyond_what_the_rate_can_carry_is_silence() -> None:
    with pytest.raises(
        UnreadableSoundError, match=r"is silent in its first 1\.024 seconds below 4,000 hertz"
    ):
        fit_clip(tone(15_000, 0.5, rate=44_100, amplitude=1e-4), 44_100, FORM)


def test_files_that_are_no_sound_are_named(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", levels(tone(440)))
    (tmp_path / "b.wav").write_bytes(b"RIFF")
    (tmp_path / "notes.txt").write_text("taken in May")
    text = message(tmp_path)
    assert "b.wav: is no WAV file by its beginning" in text
    assert "notes.txt: is no WAV file by its name" in text
    only = tmp_path / "only"
    only.mkdir()
    (only / "b.wav").write_bytes(b"RIFF")
    assert "no file of this folder can be read as a clip" in message(only, unreadable="skip")


def test_clips_beside_folders_of_clips_are_refused(tmp_path: Path) -> None:
    write_wav(tone_folder(tmp_path, num=1) / "loose.wav", levels(tone(440)))
    assert "clips lie beside folders of clips, so their class is unclear" in message(tmp_path)


def test_which_folders_are_sound(tmp_path: Path) -> None:
    assert is_sound_folder(tone_folder(tmp_path / "classes", num=1))
    write_wav(tmp_path / "splits" / "train" / "a" / "1.WAV", levels(tone(440)))
    assert is_sound_folder(tmp_path / "splits")
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "1.png").write_bytes(b"")
    assert not is_sound_folder(tmp_path / "pictures")
    assert not is_sound_folder(tmp_path / "nothing")


def test_a_data_set_of_sound(tmp_path: Path, load: Load) -> None:
    root = tone_folder(tmp_path / "tones")
    dataset = load(root, audio=AudioConfig(num_mels=32))
    assert (dataset.spec.kind, dataset.spec.shape, dataset.spec.num_levels) == ("images", (1, 32, 64), 256)
    assert dataset.spec.sound == form_of(num_samples=8192)
    batch = dataset.batch("train", torch.arange(4))
    assert batch["images"].shape == (4, 1, 32, 64)
    other = load(root, audio=AudioConfig(num_mels=32, dynamic_range=60.0))
    assert other.content_hash != dataset.content_hash
    with pytest.raises(DataError, match=r"another form of sound"):
        conform(other, dataset.spec)
    with pytest.raises(UsageError, match="the splits of sound are no file of arrays"):
        write_npz(dataset, tmp_path / "splits.npz")


def test_settings_of_sound_have_no_effect_on_pictures(load: Load) -> None:
    with pytest.raises(UsageError, match=r"data\.audio: a setting without effect: it is for sound"):
        load("digits", audio=AudioConfig(num_mels=32))


def test_settings_of_others_have_no_effect_on_sound(tmp_path: Path, load: Load) -> None:
    with pytest.raises(UsageError, match=r"data\.image_size: a setting without effect: it is for CSV files"):
        load(tone_folder(tmp_path), image_size=(8, 8))
    with pytest.raises(
        UsageError, match=r"data\.stack: a setting without effect: it is for pictures, and a clip"
    ):
        load(tmp_path, stack=3)


def test_a_wav_file_alone_is_no_source(tmp_path: Path, load: Load) -> None:
    path = write_wav(tmp_path / "a.wav", levels(tone(440)))
    with pytest.raises(DataError, match=f"give the folder of the sound: {tmp_path}"):
        load(path)


def test_arrays_become_pictures_as_files_do(tmp_path: Path) -> None:
    samples = levels(tone(440, 0.5))
    write_wav(tmp_path / "a.wav", samples)
    pictures = clips_as_pictures((samples / 2**15)[None], FORM)
    assert np.array_equal(pictures, read(tmp_path).parts["train"].inputs)
    with pytest.raises(DataError, match="clip 1: a clip that cannot be used\n  got: holds silence alone"):
        clips_as_pictures(np.stack([tone(440), np.zeros(RATE // 2, np.float32)]), FORM)
