import csv
import gzip
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from creuset.data.dataset import Dataset
from creuset.data.table import read_csv
from creuset.errors import CreusetError, DataError

Load = Callable[..., Dataset]


def write(path: Path, text: str) -> Path:
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def read(path: Path, label_column: str | None = None, image_size: tuple[int, int] | None = None) -> Any:
    return read_csv(path, label_column=label_column, image_size=image_size)


def message(path: Path, *settings: Any) -> str:
    with pytest.raises(DataError) as raised:
        read(path, *settings)
    return str(raised.value)


NEXT = (
    "  next: correct these cells, remove rows or columns that hold no numbers, "
    "or set data.text_column for texts"
)
TABLE = "width,height,Class\n1.5,2,cat\n-3e2,.5,dog\n0,+4.,cat\n7,8,dog\n"


@pytest.mark.parametrize(
    "text",
    [
        TABLE,
        TABLE.replace(",", ";"),
        TABLE.replace(",", "\t"),
        TABLE.replace("\n", "\r\n"),
        TABLE.replace("\n", "\n\n"),
        TABLE.rstrip(),
        "\ufeff" + TABLE,
        TABLE.replace("cat", '"cat"').replace("1.5", '"1.5"'),
        TABLE.replace(",", ", "),
    ],
)
@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
def test_one_table_in_many_forms(tmp_path: Path, text: str, suffix: str) -> None:
    source = read(write(tmp_path / f"t{suffix}", text))
    part = source.parts["train"]
    assert source.feature_names == ("width", "height")
    assert source.class_names == ("cat", "dog")
    assert part.labels.tolist() == [0, 1, 0, 1]
    assert part.inputs.dtype == np.float64
    assert part.inputs.tolist() == [[1.5, 2], [-300, 0.5], [0, 4], [7, 8]]


def test_rows_are_named_by_their_line(tmp_path: Path) -> None:
    source = read(write(tmp_path / "t.csv", TABLE.replace("\n-3e2", "\n\n-3e2")))
    assert source.parts["train"].names == ("t.csv:2", "t.csv:4", "t.csv:5", "t.csv:6")


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.floats(width=32, allow_nan=False, allow_infinity=False),
            st.sampled_from(["a", 'say "b"', "c,d", " e "]),
        ),
        min_size=9,
        max_size=30,
    )
)
def test_what_a_csv_tool_writes_is_read(tmp_path: Path, rows: list[tuple[float, str]]) -> None:
    rows += [(0.0, "a"), (1.0, "a"), (2.0, "c,d"), (3.0, "c,d")]
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(["x", "label"])
    writer.writerows(rows)
    source = read(write(tmp_path / "t.csv", file.getvalue()))
    part = source.parts["train"]
    assert part.inputs[:, 0].tolist() == [x for x, _ in rows]
    assert [source.class_names[label] for label in part.labels] == [label.strip() for _, label in rows]


def test_the_label_column_is_taken_as_asked(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "a,b,label\n1,2,0\n2,3,1\n1,4,0\n2,5,1\n")
    assert read(path, "a").feature_names == ("b", "label")
    assert read(path, "a").class_names == ("1", "2")
    assert 'no column "lable"; did you mean "label"?' in message(path, "lable")


def test_without_a_header_columns_are_numbered(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "5,1,0\n6,2,1\n7,3,0\n8,4,1\n")
    assert read(path).feature_names == ("1", "2", "3")
    assert read(path).class_names == ()
    source = read(path, "3")
    assert source.feature_names == ("1", "2")
    assert source.parts["train"].labels.tolist() == [0, 1, 0, 1]
    assert source.parts["train"].names[0] == "t.csv:1"


def test_pandas_names_columns_by_numbers(tmp_path: Path) -> None:
    assert read(write(tmp_path / "t.csv", "0,1,label\n5,1,a\n6,2,b\n7,3,a\n8,4,b\n")).feature_names == (
        "0",
        "1",
    )


@pytest.mark.parametrize("header", ["0,1,2", "1,2,3", '"0";"1";"2"'])
def test_numbers_that_count_the_columns_are_a_header(tmp_path: Path, header: str) -> None:
    rows = "5,1,0\n6,2,1\n7,3,0\n8,4,1\n".replace(",", ";" if ";" in header else ",")
    first, second, last = (name.strip(' "') for name in header.replace(";", ",").split(","))
    source = read(write(tmp_path / "t.csv", f"{header}\n{rows}"), last)
    assert source.feature_names == (first, second)
    assert source.parts["train"].inputs.tolist() == [[5, 1], [6, 2], [7, 3], [8, 4]]
    assert source.parts["train"].labels.tolist() == [0, 1, 0, 1]
    assert source.parts["train"].names[0] == "t.csv:2"
    assert source.notes == (f"the first line {first}, {second}, {last} is taken as the columns' names",)


@pytest.mark.parametrize(
    "text", ["0\n1\n2\n", "0,2\n1,5\n", "0.0,1.0\n3,4\n", "+0,1\n3,4\n", "00,1\n3,4\n", "2,3\n5,6\n"]
)
def test_other_numbers_in_the_first_line_are_a_sample(tmp_path: Path, text: str) -> None:
    source = read(write(tmp_path / "t.csv", text))
    assert len(source.parts["train"].inputs) == text.count("\n")
    assert "taken as" not in "".join(source.notes)


def test_where_all_lines_count_the_columns_there_is_no_header(tmp_path: Path) -> None:
    source = read(write(tmp_path / "t.csv", "0,1,2\n1,2,3\n0,1,2\n"))
    assert source.parts["train"].inputs.tolist() == [[0, 1, 2], [1, 2, 3], [0, 1, 2]]
    assert source.feature_names == ("1", "2", "3")
    assert source.notes == ()


def test_pictures_below_numbers_that_count_the_pixels(tmp_path: Path, pictures: Callable[..., Any]) -> None:
    images = pictures(4)
    header = ",".join(map(str, range(30)))
    rows = "\n".join(",".join(map(str, image.ravel())) for image in images)
    source = read(write(tmp_path / "p.csv", f"{header}\n{rows}\n"), None, (6, 5))
    assert np.array_equal(source.parts["train"].inputs, images[:, None])
    assert source.notes == ("the first line 0, 1, .. 29 is taken as the columns' names",)


def test_rows_that_float32_cannot_tell_apart_stay_different(tmp_path: Path, load: Load) -> None:
    rows = "".join(f"{1_700_000_000 + i},{'ab'[i % 2]}\n" for i in range(40))
    dataset = load(write(tmp_path / "t.csv", "time,label\n" + rows))
    assert dataset.report.duplicates_within == {}
    assert dataset.report.label_conflicts == 0
    train = dataset.splits["train"]
    features = dataset.batch("train", torch.arange(train.num_samples))["features"]
    assert features.dtype == torch.float32
    assert len(features.unique()) == train.num_samples
    assert features.mean() == pytest.approx(0, abs=1e-6)
    assert features.std(correction=0) == pytest.approx(1, abs=1e-6)


def test_a_fraction_that_never_changes_has_no_spread(tmp_path: Path, load: Load) -> None:
    dataset = load(write(tmp_path / "t.csv", "a,b\n" + "".join(f"{i},0.1\n" for i in range(43))))
    assert (dataset.spec.feature_mean[1], dataset.spec.feature_std[1]) == (0.1, 1.0)


def test_a_long_cell_in_quotes_is_read(tmp_path: Path) -> None:
    limit = csv.field_size_limit()
    number = "1." + "0" * 150_000
    assert read(write(tmp_path / "t.csv", f'a,b\n"{number}",2\n3,4\n')).parts["train"].inputs[0, 0] == 1
    assert '"b" is "x", not a number' in message(write(tmp_path / "t.csv", f"a,b\n{number},x\n3,4\n"))
    assert csv.field_size_limit() == limit


def test_colour_pictures_of_three_pixels_width(tmp_path: Path, pictures: Callable[..., Any]) -> None:
    images = pictures(6, height=3, width=3, channels=3)
    source = read(write(tmp_path / "p.csv", picture_rows(images, header=True)), "label", (3, 3))
    assert np.array_equal(source.parts["train"].inputs, images.transpose(0, 3, 1, 2))


def test_wrong_cells_are_named_by_file_line_and_column(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "a,b,label\n1,2,x\n\n,abc,y\n3,nan,\n1_0,1e40,x\n0x1,inf,?\n")
    text = message(path)
    assert text.splitlines()[1:] == [
        f'    {path}:5:3: the label "label" is missing',
        f'    {path}:7:3: the label "label" is missing',
        "  got: column 3 (2)",
        NEXT,
    ]
    path.write_text(path.read_text().replace("nan,\n", "nan,x\n").replace("?", "y"))
    assert message(path).splitlines() == [
        "7 wrong cells",
        f'    {path}:4:1: "a" is missing',
        f'    {path}:4:2: "b" is "abc", not a number',
        f'    {path}:5:2: "b" is missing',
        f'    {path}:6:1: "a" is "1_0", not a number',
        f'    {path}:6:2: "b" is 1e40, more than a 32-bit number can hold',
        f'    {path}:7:1: "a" is "0x1", not a number',
        f'    {path}:7:2: "b" is "inf", not a number',
        "  got: column 2 (4), column 1 (3)",
        NEXT,
    ]


def test_a_column_of_words_is_counted_not_listed(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "name,x,label\n" + "".join(f"n{i},{i},{i % 2}\n" for i in range(40)))
    text = message(path)
    assert text.startswith("40 wrong cells")
    assert text.count('"name" is "n') == 10
    assert "and 30 more" in text
    assert "got: column 1 (40)" in text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "this file is empty"),
        ("\n \n", "this file is empty"),
        ("a,b,label\n", "there are no rows below the header\n  got: a, b, label"),
        ("label\nx\ny\nx\ny\n", "there are no columns besides the labels"),
        ("a,b\n1,2\n3\n4,5,6\n", "t.csv:3:1: 1 cell where 2 are expected"),
        ("a,b\n1,2\n3\n4,5,6\n", "t.csv:4:1: 3 cells where 2 are expected"),
        ("5.1,3.5,setosa\n4.9,3.0,setosa\n", "t.csv:1:1: the first line mixes names and numbers"),
        ("5,3,setosa\n4,3,setosa\n", "t.csv:1:1: the first line mixes names and numbers"),
        ("a,,b\n1,2,3\n", "t.csv:1:2: a column has no name"),
        ("a,b,a\n1,2,3\n", 't.csv:1:3: a second column is called "a"'),
        ("a,label,class\n1,2,3\n", "several columns could hold the labels\n  got: label, class"),
        ('a,b\n1,"2\n3,4"\n', "t.csv:2:1: a cell in quotes goes on in the next line"),
        ('a,b\n1,"2\n', "t.csv:2:1: cannot be cut into cells"),
        ("a,b\n1,\0\n", "this is no text file"),
    ],
)
def test_wrong_files_are_named(tmp_path: Path, text: str, expected: str) -> None:
    assert expected in message(write(tmp_path / "t.csv", text))


def test_another_encoding_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes("a,label\n1,été\n".encode("latin-1"))
    text = message(path)
    assert "the file is not UTF-8 text\n  got: byte 0xe9 in line 2\n  next: save it as UTF-8" in text


def test_a_cut_gzip_is_named(tmp_path: Path) -> None:
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(TABLE.encode())[:-9])
    assert "cannot be decompressed: the file is damaged or cut short" in message(path)


def test_a_gzip_that_expands_without_bounds_is_refused(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("creuset.data.csv_file._BOMB_BYTES", 1000)
    assert "this file expands suspiciously" in message(write(tmp_path / "t.csv.gz", "0," * 10**6))


def test_a_column_that_never_changes_is_said(tmp_path: Path, load: Load) -> None:
    path = write(tmp_path / "t.csv", "a,b\n" + "".join(f"{i},7\n" for i in range(20)))
    assert read(path).notes == ("1 column with the same value in each row: b",)
    dataset = load(path)
    assert dataset.spec.feature_std[1] == 1
    assert dataset.batch("train", torch.arange(3))["features"][:, 1].tolist() == [0, 0, 0]


def picture_rows(images: Any, header: bool) -> str:
    lines = [",".join(["label", *(f"pixel{i}" for i in range(images[0].size))])] if header else []
    lines += [f"{i % 2}," + ",".join(map(str, image.ravel())) for i, image in enumerate(images)]
    return "\n".join(lines)


@pytest.mark.parametrize("header", [False, True])
@pytest.mark.parametrize("channels", [0, 3])
def test_rows_of_pixels(tmp_path: Path, pictures: Callable[..., Any], header: bool, channels: int) -> None:
    images = pictures(6, channels=channels)
    source = read(write(tmp_path / "p.csv", picture_rows(images, header)), "label" if header else "1", (6, 5))
    expected = images.transpose(0, 3, 1, 2) if channels else images[:, None]
    assert source.kind == "images"
    assert np.array_equal(source.parts["train"].inputs, expected)
    assert source.parts["train"].labels.tolist() == [0, 1, 0, 1, 0, 1]


@pytest.mark.parametrize(
    ("row", "settings", "expected"),
    [
        (
            "1,2,3,4,5,6,7,8,9",
            (None, (2, 4)),
            "got: 9 columns of pixels and no labels\n  expected: 8 (grey) or 24",
        ),
        ("1,2,3,4,5,6,7,8,9", (None, (2, 4)), "next: set data.image_size: [3, 3]"),
        (
            "1,2,3,4,0",
            (None, (2, 2)),
            "set data.label_column to the column of the labels, and data.image_size",
        ),
        ("1,2,3,256", (None, (2, 2)), "pixels out of range\n  got: float64 values from 1.0 to 256.0"),
        ("1,2,3,-1", (None, (2, 2)), "pixels out of range"),
        ("1,2,3,1.5", (None, (2, 2)), "pixels that are no whole numbers\n  got: float64 values, such as 1.5"),
        ("0,.2,.3,1", (None, (2, 2)), "pixels on a scale from 0 to 1"),
    ],
)
def test_rows_that_are_no_pictures(tmp_path: Path, row: str, settings: Any, expected: str) -> None:
    assert expected in message(write(tmp_path / "p.csv", f"{row}\n{row}\n"), *settings)


def test_damage_never_ends_in_another_error(tmp_path: Path) -> None:
    refused = 0
    generator = np.random.default_rng(0)
    for suffix in (".csv", ".csv.gz"):
        path = write(tmp_path / f"t{suffix}", TABLE * 3)
        whole = path.read_bytes()
        for _ in range(200):
            content = bytearray(whole)
            for place in generator.integers(0, len(whole), 2):
                content[place] = int(generator.integers(0, 256))
            path.write_bytes(bytes(content))
            try:
                read(path)
            except CreusetError:
                refused += 1
    assert refused > 20, "damage of so many kinds must show"
