import base64
import io

import numpy as np
import pytest
from PIL import Image

from creuset.errors import UsageError
from creuset.reporting.sheet import Sheet, comparison_sheet, data_uri, picture_sheet


def pixels(sheet: Sheet) -> np.ndarray:
    picture = Image.open(io.BytesIO(sheet.png))
    assert picture.size == (sheet.width, sheet.height)
    return np.asarray(picture)


def test_layout_to_the_pixel() -> None:
    pictures = np.arange(1, 13, dtype=np.uint8).reshape(3, 2, 2, 1)
    sheet = picture_sheet(pictures, alt="three", columns=2, scale=1, padding=1)
    found = pixels(sheet)
    grey = [
        [0, 0, 0, 0, 0, 0, 0, 0],
        [0, 1, 2, 0, 0, 5, 6, 0],
        [0, 3, 4, 0, 0, 7, 8, 0],
        [0, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 0],
        [0, 9, 10, 0, 0, 0, 0, 0],
        [0, 11, 12, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 0],
    ]
    assert found[..., 0].tolist() == grey
    assert found[..., 1].tolist() == [[255 if value else 0 for value in row] for row in grey]


def test_enlarging_repeats_each_pixel_and_keeps_colours() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (4, 3, 5, 3), dtype=np.uint8)
    found = pixels(picture_sheet(pictures, alt="four", columns=2, scale=3, padding=2))
    assert found.shape == (2 * (9 + 4), 2 * (15 + 4), 4)
    second = found[2:11, 21:36]
    assert (second[..., 3] == 255).all()
    assert (second[::3, ::3, :3] == pictures[1]).all()
    assert (second[..., :3] == np.kron(pictures[1], np.ones((3, 3, 1), dtype=np.uint8))).all()


@pytest.mark.parametrize(("side", "scale"), [(8, 7), (28, 2), (32, 1), (64, 1)])
def test_small_pictures_are_enlarged_by_a_whole_number(side: int, scale: int) -> None:
    sheet = picture_sheet(np.zeros((1, side, side, 1), dtype=np.uint8), alt="one")
    assert (sheet.width, sheet.height) == (side * scale + 2, side * scale + 2)


def test_of_two_channels_the_third_colour_is_black() -> None:
    pictures = np.full((1, 1, 1, 2), [7, 9], dtype=np.uint8)
    assert pixels(picture_sheet(pictures, alt="one", scale=1, padding=0)).tolist() == [[[7, 9, 0, 255]]]


def test_columns_are_chosen_for_a_wide_sheet() -> None:
    sheet = picture_sheet(np.zeros((64, 28, 28, 1), dtype=np.uint8), alt="64")
    assert (sheet.width // 58, sheet.height // 58) == (10, 7)
    single = picture_sheet(np.zeros((1, 28, 28, 1), dtype=np.uint8), alt="one")
    assert single.width == single.height


def test_kinds_stand_below_each_other_in_groups() -> None:
    originals = np.arange(1, 6, dtype=np.uint8).reshape(5, 1, 1, 1)
    sheet = comparison_sheet(
        {"original": originals, "rebuilt": originals + 100}, alt="five", columns=3, scale=4, padding=0
    )
    assert sheet.row_labels == ("original", "rebuilt", "", "original", "rebuilt")
    assert sheet.row_heights == (4, 4, 1, 4, 4)
    found = pixels(sheet)[..., 0]
    assert found[[0, 4, 9, 13]][:, ::4].tolist() == [[1, 2, 3], [101, 102, 103], [4, 5, 0], [104, 105, 0]]
    assert not found[8].any()


def test_the_same_pictures_give_the_same_bytes_and_no_metadata() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (9, 28, 28, 1), dtype=np.uint8)
    first, second = (picture_sheet(pictures.copy(), alt="nine").png for _ in range(2))
    assert first == second
    assert set(chunks(first)) == {"IHDR", "IDAT", "IEND"}


def chunks(png: bytes) -> list[str]:
    names, place = [], 8
    while place < len(png):
        length = int.from_bytes(png[place : place + 4], "big")
        names.append(png[place + 4 : place + 8].decode())
        place += length + 12
    return names


def test_data_uri_holds_the_file() -> None:
    assert data_uri(b"\x89PNG") == "data:image/png;base64," + base64.b64encode(b"\x89PNG").decode()


@pytest.mark.parametrize(
    "pictures",
    [
        np.zeros((2, 8, 8, 1), dtype=np.float32),
        np.zeros((2, 8, 8), dtype=np.uint8),
        np.zeros((2, 8, 8, 4), dtype=np.uint8),
        np.zeros((0, 8, 8, 1), dtype=np.uint8),
    ],
)
def test_what_is_no_picture_is_refused(pictures: np.ndarray) -> None:
    with pytest.raises(UsageError, match="these are no pictures for a sheet") as caught:
        picture_sheet(pictures, alt="none")
    assert str(pictures.dtype) in str(caught.value)
    with pytest.raises(UsageError, match="these are no pictures for a sheet"):
        comparison_sheet({"one": pictures}, alt="none")


def test_settings_that_do_not_fit_are_refused() -> None:
    pictures = np.zeros((4, 8, 8, 1), dtype=np.uint8)
    with pytest.raises(UsageError, match="a sheet needs a column"):
        picture_sheet(pictures, alt="a", columns=0)
    with pytest.raises(UsageError, match="a sheet needs a column"):
        comparison_sheet({"one": pictures}, alt="a", columns=0)
    with pytest.raises(UsageError, match="scale is 1 or more"):
        picture_sheet(pictures, alt="a", scale=0)
    with pytest.raises(UsageError, match="scale is 1 or more"):
        picture_sheet(pictures, alt="a", padding=-1)
    with pytest.raises(UsageError, match="each row needs a label"):
        picture_sheet(pictures, alt="a", columns=2, row_labels=("only one",))
    with pytest.raises(UsageError, match="each column needs a label"):
        picture_sheet(pictures, alt="a", columns=2, column_labels=("a", "b", "c"))
    with pytest.raises(UsageError, match="kinds of one form are compared"):
        comparison_sheet({"one": pictures, "two": pictures[:3]}, alt="a")
    with pytest.raises(UsageError, match="kinds of one form are compared"):
        comparison_sheet({}, alt="a")
