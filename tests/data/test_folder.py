import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from creuset.data.dataset import Dataset
from creuset.data.folder import read_folder
from creuset.errors import CreusetError, DataError, ResourceError
from creuset.progress import Silent

Load = Callable[..., Dataset]
Write = Callable[[Mapping[str, Any]], Path]
Pictures = Callable[..., Any]


def read(root: Path, unreadable: Any = "refuse") -> Any:
    return read_folder(root, unreadable=unreadable, progress=Silent())


def message(root: Path, unreadable: Any = "refuse") -> str:
    with pytest.raises(DataError) as raised:
        read(root, unreadable)
    return str(raised.value)


def test_a_folder_a_class(write_folder: Write, pictures: Pictures) -> None:
    images = pictures(4)
    root = write_folder({f"{name}/{i}.png": images[i] for i, name in enumerate(["cat", "dog", "cat", "dog"])})
    source = read(root)
    part = source.parts["train"]
    assert source.class_names == ("cat", "dog")
    assert part.names == ("cat/0.png", "cat/2.png", "dog/1.png", "dog/3.png")
    assert part.labels.tolist() == [0, 0, 1, 1]
    assert part.inputs.dtype == np.uint8
    assert np.array_equal(part.inputs, images[[0, 2, 1, 3]][:, None])
    assert source.origin == "pictures: folder of pictures, a folder a class"


def test_classes_named_by_numbers_are_in_their_order(write_folder: Write, pictures: Pictures) -> None:
    images = pictures(24)
    root = write_folder({f"{i % 12}/{i}.png": images[i] for i in range(24)})
    assert read(root).class_names == tuple(str(i) for i in range(12))


def test_a_flat_folder_has_no_classes(write_folder: Write, pictures: Pictures) -> None:
    images = pictures(3, channels=3)
    source = read(write_folder({f"{i}.png": images[i] for i in range(3)}))
    assert source.class_names == ()
    assert source.parts["train"].labels is None
    assert np.array_equal(source.parts["train"].inputs, images.transpose(0, 3, 1, 2))


@pytest.mark.parametrize("labelled", [False, True])
def test_own_splits_are_kept(write_folder: Write, pictures: Pictures, load: Load, labelled: bool) -> None:
    images, files = pictures(12), {}
    for i in range(12):
        split = ("train", "train", "val", "Test")[i % 4]
        files[f"{split}/{f'{i // 4 % 2}/' if labelled else ''}{i}.png"] = images[i]
    dataset = load(write_folder(files))
    assert dataset.report.own_splits == ("validation", "test")
    assert dataset.report.num_samples == {"train": 6, "validation": 3, "test": 3}
    assert all(name.startswith("Test/") for name in dataset.splits["test"].names)
    assert dataset.spec.class_names == (("0", "1") if labelled else ())


def test_hidden_files_are_passed_over(write_folder: Write, pictures: Pictures) -> None:
    hidden = {".DS_Store": "x", "a/.hidden.png": "x", "Thumbs.db": "x", "b/desktop.ini": "x", ".git/x": "y"}
    root = write_folder(
        {"a/1.png": pictures(1)[0], "b/2.png": pictures(1)[0], "b/3.png": pictures(1)[0], **hidden}
    )
    (root / "a" / "4.png").write_bytes((root / "a" / "1.png").read_bytes())
    source = read(root)
    assert source.parts["train"].names == ("a/1.png", "a/4.png", "b/2.png", "b/3.png")
    assert source.skipped == ()


def test_grey_among_colour_is_taken_as_colour_and_said(write_folder: Write, pictures: Pictures) -> None:
    grey, colour = pictures(1)[0], pictures(2, channels=3)
    source = read(write_folder({"a.png": colour[0], "b.png": grey, "c.png": colour[1]}))
    assert source.parts["train"].inputs.shape == (3, 3, 6, 5)
    assert np.array_equal(source.parts["train"].inputs[1], np.stack([grey] * 3))
    assert source.notes == (
        "1 picture of 3 hold grey only and are taken as colour with equal channels, such as b.png",
    )


def test_unreadable_files_are_refused_all_by_name(write_folder: Write, pictures: Pictures) -> None:
    images = pictures(2)
    root = write_folder(
        {"1.png": images[0], "2.png": "text", "3.png": b"", "4.png": images[1], "notes.txt": "hello"}
    )
    (root / "5.png").symlink_to("nowhere")
    os.mkfifo(root / "6.png")
    text = message(root)
    assert text.startswith(f"{root}: 5 files of 7 cannot be used")
    assert "2.png: is no picture of a known format" in text
    assert "3.png: is empty" in text
    assert "5.png: is a link to nothing" in text
    assert "6.png: is no regular file" in text
    assert "notes.txt: is no picture by its name" in text
    assert "data.unreadable: skip" in text


def test_skipped_files_are_named_and_counted(write_folder: Write, pictures: Pictures, load: Load) -> None:
    images = pictures(20)
    root = write_folder({f"{i:02}.png": images[i] for i in range(20)} | {"x.png": "text", "y.png": b""})
    report = load(root, unreadable="skip").report
    assert sum(report.num_samples.values()) == 20
    assert [item.file for item in report.skipped] == ["x.png", "y.png"]
    assert report.remarks()[0].startswith("2 files skipped:\n    x.png: is no picture of a known format")
    assert report.to_json()["skipped"][1] == {"file": "y.png", "reason": "is empty"}


def test_many_unreadable_files_are_counted(write_folder: Write) -> None:
    text = message(write_folder({f"{i:02}.png": "text" for i in range(25)}))
    assert "25 files of 25 cannot be used" in text
    assert "09.png" in text
    assert "10.png" not in text
    assert "and 15 more" in text


def test_different_sizes_name_two_files_and_the_fix(write_folder: Write, pictures: Pictures) -> None:
    files = {f"{i}.png": picture for i, picture in enumerate(pictures(3, height=6, width=5))}
    text = message(write_folder({**files, "odd.png": pictures(1, height=7, width=8)[0]}))
    assert "pictures of 2 different sizes" in text
    assert "0.png is 5 x 6 (width x height, as 3 of 4), odd.png is 8 x 7" in text
    assert "mogrify -resize 5x6! FILES" in text


def pictures_beside_folders(image: Any) -> Mapping[str, Any]:
    return {"a/1.png": image, "b/2.png": image, "loose.png": image}


def pictures_beside_splits(image: Any) -> Mapping[str, Any]:
    return {"train/1.png": image, "test/2.png": image, "loose.png": image}


def folders_too_deep(image: Any) -> Mapping[str, Any]:
    return {"a/more/1.png": image, "b/2.png": image}


def a_class_without_pictures(image: Any) -> Mapping[str, Any]:
    return {"a/1.png": image, "b/.keep": ""}


def a_split_without_pictures(image: Any) -> Mapping[str, Any]:
    return {"train/1.png": image, "test/.keep": ""}


def a_split_twice(image: Any) -> Mapping[str, Any]:
    return {"train/1.png": image, "val/2.png": image, "valid/3.png": image}


def classes_in_one_split_only(image: Any) -> Mapping[str, Any]:
    return {"train/a/1.png": image, "train/b/2.png": image, "test/3.png": image}


def nothing(image: Any) -> Mapping[str, Any]:
    return {}


@pytest.mark.parametrize(
    ("layout", "expected"),
    [
        (pictures_beside_folders, "pictures lie beside folders of pictures, so their class is unclear"),
        (pictures_beside_folders, "got: loose.png beside the folder a"),
        (pictures_beside_splits, "got: loose.png beside the folder test"),
        (folders_too_deep, "a: folders inside a class folder\n  got: more"),
        (a_class_without_pictures, "b: a class folder without pictures"),
        (a_split_without_pictures, "test: a split's folder without pictures"),
        (a_split_twice, "two folders for one split\n  got: train, val, valid"),
        (classes_in_one_split_only, "some splits have class folders and others have none"),
        (nothing, "this folder holds no files"),
        (nothing, "for a model of texts .txt files\n  next: put pictures there (.bmp, "),
        (nothing, "), or texts (.txt)"),
    ],
)
def test_unclear_layouts_are_refused(
    write_folder: Write, pictures: Pictures, layout: Callable[[Any], Mapping[str, Any]], expected: str
) -> None:
    assert expected in message(write_folder(layout(pictures(1)[0])))


def one_class_only(image: Any) -> Mapping[str, Any]:
    return {"a/1.png": image, "a/2.png": image}


def a_class_a_picture(image: Any) -> Mapping[str, Any]:
    return {f"{i}/1.png": image for i in range(5)}


def a_class_unknown_to_training(image: Any) -> Mapping[str, Any]:
    return {f"train/{i % 2}/{i}.png": image for i in range(9)} | {"test/new/1.png": image}


@pytest.mark.parametrize(
    ("layout", "expected"),
    [
        (one_class_only, 'pictures: there is one class only\n  got: each sample is labelled "a"'),
        (a_class_a_picture, "too many classes for so few samples\n  got: 5 classes for 5 samples"),
        (a_class_unknown_to_training, "1 class without a training sample\n  got: new"),
    ],
)
def test_classes_that_cannot_be_learned_are_refused_for_training_only(
    write_folder: Write, pictures: Pictures, load: Load, layout: Callable[[Any], Any], expected: str
) -> None:
    root = write_folder(layout(pictures(1)[0]))
    assert read(root).class_names
    with pytest.raises(DataError, match=expected):
        load(root)


def test_a_text_beside_class_folders_is_skipped_as_asked(write_folder: Write, pictures: Pictures) -> None:
    image = pictures(1)[0]
    root = write_folder(
        {"a/1.png": image, "a/2.png": image, "b/1.png": image, "b/2.png": image, "README.txt": "x"}
    )
    assert "README.txt: is no picture by its name" in message(root)
    source = read(root, "skip")
    assert source.class_names == ("a", "b")
    assert source.parts["train"].labels.tolist() == [0, 0, 1, 1]
    assert [item.file for item in source.skipped] == ["README.txt"]


@pytest.mark.parametrize("split", ["", "test/"])
def test_skipping_never_loses_a_class_or_split_silently(
    write_folder: Write, pictures: Pictures, split: str
) -> None:
    files: dict[str, Any] = {f"train/{name}/1.png": pictures(1)[0] for name in ("a", "b")}
    if split:
        files |= {"test/a/1.png": "broken"}
        lost = "test a"
    else:
        files |= {"train/c/1.png": "broken"}
        lost = "train c"
    text = message(write_folder(files), "skip")
    assert "folders of which no picture can be read" in text
    assert f"got: {lost}" in text


def test_nothing_readable_is_an_error_even_when_skipping(write_folder: Write) -> None:
    text = message(write_folder({"1.png": "text"}), "skip")
    assert "no file of this folder can be read as a picture\n  got: 1.png: is no picture" in text


def test_more_than_memory_holds_is_refused_before_it_is_read(
    write_folder: Write, pictures: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sysconf", lambda name: 10)
    root = write_folder({f"{i}.png": picture for i, picture in enumerate(pictures(9))})
    with pytest.raises(ResourceError, match="does not fit into memory"):
        read(root)


def test_the_order_and_names_of_files_do_not_matter(tmp_path: Path, pictures: Pictures, load: Load) -> None:
    from PIL import Image

    images = pictures(30)
    roots = [tmp_path / "one", tmp_path / "two"]
    for root, order in zip(roots, (range(30), reversed(range(30))), strict=True):
        for place, index in enumerate(order):
            folder = root / str(index % 2)
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(images[index]).save(folder / f"{place:03}.png")
    one, two = load(roots[0]), load(roots[1])
    assert one.content_hash == two.content_hash
    assert torch.equal(one.splits["train"].inputs, two.splits["train"].inputs)


def test_progress_counts_every_picture(write_folder: Write, pictures: Pictures) -> None:
    events: list[Any] = []

    class Watch(Silent):
        def start(self, task: str, total: float | None, unit: str) -> None:
            events.append((task, total, unit))

        def advance(self, done: float, values: Any = None) -> None:
            events.append(done)

        def finish(self) -> None:
            events.append("finished")

    read_folder(
        write_folder({f"{i}.png": p for i, p in enumerate(pictures(3))}),
        unreadable="refuse",
        progress=Watch(),
    )
    assert events == [("reading pictures", 3, "pictures"), 3, "finished"]


def test_a_folder_that_may_not_be_read_is_named(tmp_path: Path, load: Load, monkeypatch: Any) -> None:
    def forbidden(self: Path) -> Any:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "iterdir", forbidden)
    with pytest.raises(CreusetError, match=r"cannot be read\n  got: Permission denied"):
        load(tmp_path)
