"""Pictures of one's own: what they score, what decides it, and what is refused before any feature is made."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from prdc import compute_prdc
from sklearn.datasets import load_digits

from creuset.assets import cache_folder
from creuset.errors import DataError, NotFoundError, UsageError
from creuset.metrics.feature_scores import FeatureScores
from creuset.metrics.signature import Signature
from creuset.pretrained.features import extract
from creuset.runs.folder import RunFolder
from creuset.workflows import own_pictures
from creuset.workflows.extractors import open_extractor
from creuset.workflows.generate import generate
from creuset.workflows.own_pictures import measure_pictures
from fidelity import fidelity

PIXELS = np.rint(load_digits().images * (255 / 16)).astype(np.uint8)  # (1797, 8, 8)


def write_pictures(folder: Path, pixels: np.ndarray, name: Callable[[int], str] = "{}.png".format) -> Path:
    for number, picture in enumerate(pixels):
        path = folder / name(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path)
    return folder


@pytest.fixture
def folder(tmp_path: Path, cnn: RunFolder, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three folders of digits, and the run cnn as an extractor of their form."""
    monkeypatch.chdir(tmp_path)
    bounds = {"made": (0, 60), "real": (60, 130), "learned": (130, 250)}
    for name, (start, stop) in bounds.items():
        write_pictures(tmp_path / name, PIXELS[start:stop])
    return tmp_path


def measure(
    *metrics: str, generated: str = "made", reference: str = "real", **others: object
) -> FeatureScores:
    return measure_pictures(
        metrics,
        generated=generated,
        reference=reference,
        **{"extractor": "cnn", **others},  # type: ignore[arg-type]
    )


def features(pixels: np.ndarray) -> np.ndarray:
    return np.array(extract(pixels[:, None], open_extractor("cnn")))


def test_torch_fidelity_and_prdc_agree_on_the_classifier_s_features(folder: Path) -> None:
    write_pictures(folder / "made", PIXELS[250:260], "more-{}.png".format)
    own = np.concatenate([PIXELS[:60], PIXELS[250:260]])
    found = {
        score.metric: score.value
        for score in measure("fd", "kd", "precision", "recall", "density", "coverage").scores
    }
    generated, reference = features(own), features(PIXELS[60:130])
    fid, kid = fidelity("metric_fid"), fidelity("metric_kid")
    both = [torch.from_numpy(rows).double() for rows in (generated, reference)]
    frechet = fid.fid_statistics_to_metric(*map(fid.fid_features_to_statistics, both), verbose=False)
    assert found["fd"] == pytest.approx(frechet[fid.KEY_METRIC_FID], rel=1e-5)
    kernel = kid.kid_features_to_metric(*both, kid_subsets=1, kid_subset_size=70, verbose=False, rng_seed=0)
    assert found["kd"] == pytest.approx(kernel[kid.KEY_METRIC_KID_MEAN], rel=1e-5)
    for name, value in compute_prdc(reference, generated, nearest_k=5).items():
        assert found[name] == pytest.approx(value)


def test_a_signature_says_what_decides_the_number(folder: Path) -> None:
    (score,) = measure("kd", seed=4).scores
    signature = Signature.parse(score.signature)
    network = open_extractor("cnn")
    assert (signature.split, signature.n, signature.seed) == ("everything", 60, None)
    assert network.extractor.sha256 is not None
    stated = {"extractor": "cnn", "preprocessing": "none", "weights": network.extractor.sha256[:8]}
    assert stated.items() <= dict(signature.extra).items()
    assert Signature.parse(measure("kd", generated="learned").scores[0].signature).data == signature.data
    assert Signature.parse(measure("kd", reference="learned").scores[0].signature).data != signature.data
    for name, start in (("others", 250), ("further", 370)):
        write_pictures(folder / name, PIXELS[start : start + 120])
    others, further = (
        measure("memorisation", reference="learned", training=name).scores for name in ("others", "further")
    )
    for one, other in zip(others, further, strict=True):
        left, right = Signature.parse(one.signature), Signature.parse(other.signature)
        differing = {name for name, value in left.fields().items() if right.fields()[name] != value}
        assert differing == {"training"}


def test_signatures_name_the_training_pictures(folder: Path) -> None:
    write_pictures(folder / "other", PIXELS[250:370])
    signatures = {}
    for training in ("learned", "other"):
        found = measure("kd", "precision", training=training)
        signatures[training] = [floor.signature for floor in found.floors]
        named = {dict(Signature.parse(signature).extra)["training"] for signature in signatures[training]}
        assert len(named) == 1
        assert "unstated" not in named
    assert len(signatures["learned"]) == 2
    assert not set(signatures["learned"]) & set(signatures["other"])


def test_names_of_files_and_folders_decide_nothing(folder: Path) -> None:
    found = measure("fd", "kd", "precision", "is", training="learned")
    write_pictures(folder / "turned", PIXELS[60:130][::-1], "picture-{:03}.bmp".format)
    write_pictures(folder / "classes", PIXELS[:60], lambda number: f"{number % 3}/{number}.png")
    write_pictures(
        folder / "splits", PIXELS[130:250], lambda number: f"{('train', 'test')[number % 2]}/{number}.png"
    )
    renamed = measure(
        "fd", "kd", "precision", "is", generated="classes", reference="turned", training="splits"
    )
    assert (renamed.scores, renamed.floors) == (found.scores, found.floors)
    assert renamed.remarks[0] == "training splits: all of its splits are taken together: train 60, test 60"


def test_arrays_and_names_are_sources_too(folder: Path) -> None:
    np.savez(folder / "real.npz", train_images=PIXELS[60:130])
    assert measure("kd", reference="real.npz").scores == measure("kd").scores
    # scikit-learn's digits have 17 levels; those of files have 256.
    write_pictures(folder / "all", PIXELS)
    assert measure("fd", reference="digits").scores == measure("fd", reference="all").scores


def test_what_generate_writes_is_a_source(folder: Path, vae: RunFolder) -> None:
    generate("vae", Path("drawn.npz"), num=30, seed=1)
    drawn = np.load(folder / "drawn.npz", allow_pickle=False)["pictures"]
    write_pictures(folder / "drawn", drawn[..., 0])
    assert measure("kd", generated="drawn.npz").scores == measure("kd", generated="drawn").scores


def test_features_are_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = measure("fd", "is")
    assert len(list((cache_folder() / "features").glob("*.npy"))) == 2

    def refuse(_: torch.Tensor) -> torch.Tensor:
        raise AssertionError("computed again")

    network = replace(open_extractor("cnn"), features=refuse)
    monkeypatch.setattr(own_pictures, "open_extractor", lambda _: network)
    assert measure("fd", "is") == found


def test_shared_pictures_are_told(folder: Path) -> None:
    write_pictures(folder / "made", PIXELS[60:61], "copy-{}.png".format)
    write_pictures(folder / "learned", PIXELS[60:63], "copy-{}.png".format)
    assert measure("kd", training="learned").remarks == [
        "1 picture of 61 of generated made is also in reference real, pixel for pixel",
        "1 picture of 61 of generated made is also in training learned, pixel for pixel",
        "3 pictures of 70 of reference real are also in training learned, pixel for pixel",
    ]


def test_what_reading_remarked_is_told(folder: Path) -> None:
    colour = np.repeat(PIXELS[60:130, ..., None], 3, axis=-1)
    colour[1:, ..., 1] //= 2
    write_pictures(folder / "coloured", colour[1:])
    write_pictures(folder / "coloured", PIXELS[60:61], "grey-{}.png".format)
    with pytest.raises(DataError, match="grey pictures against colour ones"):
        measure("kd", reference="coloured")
    source = own_pictures._read("reference", "coloured", own_pictures.Silent())
    assert source.remarks == [
        "reference coloured: 1 picture of 70 hold grey only and are taken as colour with equal channels, "
        "such as grey-0.png"
    ]


def test_fid_without_inception_is_fd_and_says_so(folder: Path) -> None:
    found = measure("fid")
    assert [score.metric for score in found.scores] == ["fd"]
    assert found.remarks[-1] == (
        "fid is called fd: FID is defined on the features of Inception v3 alone, and these are of cnn"
    )


def test_features_that_are_not_finite_are_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = open_extractor("cnn")
    broken = replace(network, features=lambda pictures: network.features(pictures) * torch.nan)
    monkeypatch.setattr(own_pictures, "open_extractor", lambda _: broken)
    message = (
        "generated made: the extractor cnn gives features that are not finite\n"
        r"  got: 60 pictures of 60, such as \d+\.png"
    )
    with pytest.raises(DataError, match=message):
        measure("fd")


@pytest.mark.parametrize(
    ("metrics", "options", "message"),
    [
        (["fdd"], {}, 'no metric "fdd"; did you mean "fd"'),
        (["fd"], {"generated": "empty"}, "empty: this folder holds no files"),
        (["fd"], {"generated": "damaged"}, "damaged: 1 file of 2 cannot be used\n  got: 1.png: is empty"),
        (["fd"], {"reference": "mixed"}, "mixed: pictures of 2 different sizes\n  got: 0.png is 8 x 8"),
        (
            ["fd"],
            {"reference": "wide"},
            "pictures of different sizes\n  got: generated made: 8 x 8 .height x width., grey; "
            "reference wide: 8 x 9 .height x width., grey\n(.*\n)*.*-resize 9x8!",
        ),
        (
            ["kd"],
            {"training": "colour"},
            "grey pictures against colour ones\n  got: generated made: 8 x 8 .height x width., grey; "
            "training colour: 8 x 8 .height x width., colour",
        ),
        (
            ["precision"],
            {"generated": "two"},
            "generated: precision needs 6 samples or more\n  got: 2 generated and 70 reference samples",
        ),
        (["memorisation"], {}, "memorisation is measured by the training samples"),
        (["is", "rke"], {"training": "learned"}, "learned: training pictures have no effect on is, rke"),
        (
            ["fd"],
            {"reference": "made"},
            "two sources hold the same pictures.*\n  got: generated made and reference made: 60 pictures e",
        ),
        (["fd"], {"training": "copy"}, "reference real and training copy: 70 pictures each"),
        (
            ["fd"],
            {"generated": "h.txt"},
            "generated h.txt: these are no pictures\n  got: h.txt: 1 document of plain text",
        ),
        (["fd"], {"generated": "t.csv"}, "generated t.csv: these are no pictures\n  got: a CSV or TSV file"),
        (
            ["fd"],
            {"reference": "t.npz"},
            "reference t.npz: these are no pictures\n  got: t.npz: .npz of table",
        ),
        (["fd"], {"reference": "two/0.png"}, "give the folder of the pictures: two"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    metrics: list[str], options: dict[str, str], message: str, folder: Path
) -> None:
    (folder / "empty").mkdir()
    write_pictures(folder / "damaged", PIXELS[:2])
    (folder / "damaged" / "1.png").write_bytes(b"")
    write_pictures(folder / "mixed", PIXELS[:2])
    write_pictures(folder / "mixed", np.zeros((1, 9, 9), np.uint8), "wider.png".format)
    write_pictures(folder / "wide", np.random.default_rng(0).integers(0, 256, (9, 8, 9), dtype=np.uint8))
    write_pictures(folder / "colour", np.random.default_rng(0).integers(0, 256, (9, 8, 8, 3), dtype=np.uint8))
    write_pictures(folder / "two", PIXELS[:2])
    write_pictures(folder / "copy", PIXELS[60:130], "other-{}.png".format)
    (folder / "h.txt").write_text("a text\n")
    (folder / "t.csv").write_text("a,b\n1,2\n")
    np.savez(folder / "t.npz", train_features=np.ones((4, 2)))
    with pytest.raises(UsageError, match=message):
        measure(*metrics, **options)  # type: ignore[arg-type]
    assert not (cache_folder() / "features").exists()


def test_a_source_that_is_not_there(folder: Path) -> None:
    with pytest.raises(NotFoundError, match='"nowhere" is not there'):
        measure("fd", generated="nowhere")


def test_features_by_the_asset_of_the_store(
    folder: Path, starter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not (starter / "models" / "efficientnet-lite0" / "model.safetensors").is_file():
        pytest.skip("needs efficientnet-lite0 (creuset models pull efficientnet-lite0)")
    monkeypatch.setattr(own_pictures, "cache_folder", lambda: folder)
    write_pictures(folder / "few", PIXELS[:12])
    write_pictures(folder / "others", PIXELS[12:24])
    write_pictures(folder / "upside", 255 - PIXELS[12:24])
    kernel = {
        source: measure_pictures(["kd"], generated=source, reference="others").scores[0]
        for source in ("few", "upside")
    }
    assert "|extractor:efficientnet-lite0|" in kernel["few"].signature
    assert abs(kernel["few"].value) < 0.1 * kernel["upside"].value
