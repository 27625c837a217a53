import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from creuset.errors import DataError, UsageError
from creuset.runs.folder import RunFolder
from creuset.workflows.generate import Mode, code_map, generate, project
from creuset.workflows.load import load


def arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as file:
        return dict(file.items())


def record_of(path: Path) -> dict[str, object]:
    """What a file says of where it came from."""
    if path.suffix == ".npz":
        return dict(json.loads(str(arrays(path)["record"])))
    with Image.open(path) as picture:
        assert isinstance(picture, Image.Image)
        return dict(json.loads(picture.info["creuset"]))


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of ten pictures of the size of the digits, for models of 256 levels none."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(10):
        Image.fromarray(np.full((8, 8), 25 * number, np.uint8)).save(folder / f"{number}.png")
    return folder


def test_samples_are_those_of_the_model(vae: RunFolder, tmp_path: Path) -> None:
    out = tmp_path / "samples.npz"
    record = generate("vae", out, num=7, seed=3)
    assert np.array_equal(arrays(out)["pictures"], load(vae).generate(7, seed=3))
    expected = {"format": 1, "run": "vae", "mode": "sample", "seed": 3, "num": 7, "data": None}
    assert record_of(out) == {**expected, "step": record.step, "label": None, "prompt": None}


def test_a_sheet_carries_its_record_and_is_the_same_each_time(vae: RunFolder, tmp_path: Path) -> None:
    out = tmp_path / "new" / "samples.png"
    generate("vae", out, seed=1)
    first = out.read_bytes()
    generate("vae", out, seed=1)
    assert out.read_bytes() == first
    assert record_of(out)["num"] == 64
    with Image.open(io.BytesIO(first)) as sheet:
        assert min(sheet.size) >= 64


def test_reconstructions_stand_below_their_originals(vae: RunFolder, tmp_path: Path) -> None:
    out = tmp_path / "copies.npz"
    generate("vae", out, mode="reconstruct", num=5)
    found = arrays(out)
    assert found["originals"].shape == (5, 8, 8, 1)
    assert np.array_equal(found["pictures"], load(vae).reconstruct(found["originals"]))
    generate("vae", out, mode="reconstruct", num=5, seed=1)
    assert not np.array_equal(found["originals"], arrays(out)["originals"])


def test_a_denoiser_is_shown_noise(denoiser: RunFolder, tmp_path: Path) -> None:
    out = tmp_path / "clean.npz"
    generate("denoiser", out, mode="denoise", num=4)
    found = arrays(out)
    assert np.array_equal(found["pictures"], load(denoiser).denoise(found["noisy"]))
    assert not np.array_equal(found["noisy"], found["originals"])
    generate("denoiser", tmp_path / "clean.png", mode="denoise")
    assert record_of(tmp_path / "clean.png")["num"] == 30


def test_completions_keep_the_upper_halves(pixelcnn: RunFolder, tmp_path: Path) -> None:
    out = tmp_path / "completed.npz"
    record = generate("pixelcnn", out, mode="inpaint", num=20, seed=2)
    found = arrays(out)
    assert (record.mode, record.num, found["pictures"].shape) == ("inpaint", 20, (20, 8, 8, 1))
    assert np.array_equal(found["pictures"][:, :4], found["originals"][:, :4])
    assert np.array_equal(found["kept"][:, :4], found["originals"][:, :4])
    assert (found["kept"][:, 4:] == 128).all()
    assert set(np.unique(found["pictures"][:, 4:])) == {0, 255}
    known = np.repeat([True, False], 4)[:, None].repeat(8, axis=1)
    assert np.array_equal(found["pictures"], load(pixelcnn).inpaint(found["originals"], known, seed=2))
    again = generate("pixelcnn", out, mode="inpaint", num=20, seed=2, label="3")
    assert again.label == "3"
    assert not np.array_equal(found["pictures"], arrays(out)["pictures"])
    generate("pixelcnn", tmp_path / "completed.png", mode="inpaint")
    assert record_of(tmp_path / "completed.png")["num"] == 30


def test_samples_of_a_class_are_asked_for_by_its_name(pixelcnn: RunFolder, tmp_path: Path) -> None:
    out = tmp_path / "threes.npz"
    assert generate("pixelcnn", out, num=20, label="3").label == "3"
    threes = arrays(out)["pictures"]
    model = load(pixelcnn)
    assert np.array_equal(threes, model.generate(20, label="3"))
    assert not np.array_equal(threes, model.generate(20, label="4"))


def test_ways_go_from_one_picture_to_another(vae: RunFolder, tmp_path: Path) -> None:
    out = tmp_path / "ways.npz"
    generate("vae", out, mode="interpolate", num=6)
    assert arrays(out)["pictures"].shape == (10, 6, 8, 8, 1)
    generate("vae", tmp_path / "ways.png", mode="interpolate")


def test_codes_come_with_their_labels(vae: RunFolder, tmp_path: Path) -> None:
    out = tmp_path / "codes.npz"
    assert generate("vae", out, mode="encode").num == 180
    found = arrays(out)
    assert (found["codes"].dtype, found["codes"].shape, found["labels"].shape) == (
        np.float32,
        (180, 8),
        (180,),
    )
    assert generate("vae", out, mode="encode", num=5, split="train").num == 5
    generate("vae", tmp_path / "map.svg", mode="encode")
    text = (tmp_path / "map.svg").read_text()
    assert text.startswith("<svg")
    assert "principal component" in text


def test_a_plane_keeps_the_two_largest_spreads() -> None:
    drawn = np.random.default_rng(0)
    codes = drawn.normal(size=(300, 5)) * [0.1, 9.0, 0.2, 3.0, 0.3] + 5
    assert project(codes[:1].astype(np.float32)).tolist() == [[0, 0]]
    plane = project(codes.astype(np.float32))
    assert plane.shape == (300, 2)
    assert np.allclose(plane.mean(0), 0, atol=1e-3)
    assert np.allclose(np.abs(np.corrcoef(plane[:, 0], codes[:, 1])[0, 1]), 1, atol=0.01)
    assert np.allclose(np.abs(np.corrcoef(plane[:, 1], codes[:, 3])[0, 1]), 1, atol=0.01)
    assert np.allclose(project(codes[:, :1].astype(np.float32))[:, 1], 0)
    assert code_map(codes[:, :2].astype(np.float32), None, ()).x.label == "code 1"


@pytest.mark.parametrize(
    ("mode", "name", "expected"),
    [
        ("sample", "a.jpg", ".png or .npz or .csv or .svg or .wav"),
        ("sample", "a", ".png or .npz or .csv or .svg or .wav"),
        ("encode", "a.png", ".npz or .svg"),
        ("reconstruct", "a.svg", ".png or .npz"),
    ],
)
def test_an_ending_says_what_is_written(
    mode: Mode, name: str, expected: str, vae: RunFolder, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="unknown ending") as caught:
        generate("vae", tmp_path / name, mode=mode)
    assert caught.value.expected == expected
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("mode", "num", "lowest"), [("sample", 0, 1), ("interpolate", 1, 2), ("encode", -1, 1)]
)
def test_too_few_are_refused(mode: Mode, num: int, lowest: int, vae: RunFolder, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="too few to make") as caught:
        generate("vae", tmp_path / "a.npz", mode=mode, num=num)
    assert caught.value.expected == f"at least {lowest}"


def test_settings_without_effect_are_refused(vae: RunFolder, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="samples are drawn from nothing: data has no effect"):
        generate("vae", tmp_path / "a.npz", data="digits")
    with pytest.raises(UsageError, match="samples are drawn from nothing: split has no effect"):
        generate("vae", tmp_path / "a.npz", split="train")


def test_more_than_there_are_is_refused(vae: RunFolder, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="too few pictures") as caught:
        generate("vae", tmp_path / "a.npz", mode="reconstruct", num=181)
    assert (caught.value.where, caught.value.got) == ("test", 180)


def test_a_vae_completes_no_pictures(vae: RunFolder, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a model of the family vae cannot complete pictures"):
        generate("vae", tmp_path / "a.npz", mode="inpaint")


@pytest.mark.parametrize("mode", ["reconstruct", "denoise", "interpolate", "encode"])
def test_a_classifier_makes_no_pictures(mode: Mode, cnn: RunFolder, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"a model of the family cnn cannot {mode} pictures"):
        generate("cnn", tmp_path / "a.npz", mode=mode)


def test_an_unknown_mode_is_answered_with_the_nearest(vae: RunFolder, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match='no mode "samples"; did you mean "sample"'):
        generate("vae", tmp_path / "a.npz", mode="samples")  # type: ignore[arg-type]


def test_pictures_of_another_form_are_refused(vae: RunFolder, pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="another number of pixel levels") as caught:
        generate("vae", tmp_path / "a.npz", mode="reconstruct", data=str(pictures))
    assert (caught.value.got, caught.value.expected) == (256, 17)


def test_other_data_without_splits_is_taken_whole(vae: RunFolder, tmp_path: Path) -> None:
    out = tmp_path / "codes.npz"
    assert generate("vae", out, mode="encode", data="digits").num == 1797


def test_no_test_split_means_the_validation_split(vae: RunFolder, tmp_path: Path) -> None:
    text = vae.recipe_path.read_text().replace("test_share: 0.1", "test_share: 0.0")
    vae.recipe_path.write_text(text)
    from creuset.progress import Silent
    from creuset.workflows.run_data import load_run_data

    data = load_run_data(load(vae).recipe.data, Silent())
    vae.update(data_hash=data.content_hash)
    assert generate("vae", tmp_path / "codes.npz", mode="encode").num == data.splits["validation"].num_samples
