import csv
import gzip
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from creuset.data.source import Source
from creuset.data.text_file import read_texts
from creuset.errors import CreusetError, DataError

TEXTS = ["a fine film", "not so, not so", "good!", "bad"]
TABLE = 'review,label\na fine film,good\n"not so, not so",bad\ngood!,good\nbad,bad\n'
TABBED = "review\tlabel\na fine film\tgood\nnot so, not so\tbad\ngood!\tgood\nbad\tbad\n"


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    content = text.encode(encoding)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def read(path: Path, text_column: str = "review", label_column: str | None = None) -> Source:
    return read_texts(path, text_column=text_column, label_column=label_column)


def message(path: Path, *columns: Any) -> str:
    with pytest.raises(DataError) as raised:
        read(path, *columns)
    return str(raised.value)


def texts_of(source: Source) -> list[str]:
    return list(source.parts["train"].inputs)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.csv", TABLE),
        ("t.csv.gz", TABLE),
        ("t.csv", "\ufeff" + TABLE),
        ("t.csv", TABLE.replace("\n", "\r\n")),
        ("t.csv", TABLE.replace("\n", "\n\n")),
        ("t.csv", TABLE.replace(",", ";").replace("so; not", "so, not")),
        ("t.csv", TABLE.replace("a fine film", "  a fine film ")),
        ("t.tsv", TABBED),
        ("t.tsv.gz", TABBED),
        ("T.TSV", "\ufeff" + TABBED.rstrip()),
        ("t.tsv", TABBED.replace("good!", '"good!"')),
    ],
)
def test_one_table_in_many_forms(tmp_path: Path, name: str, text: str) -> None:
    source = read(write(tmp_path / name, text))
    labels = source.parts["train"].labels
    assert source.kind == "texts"
    assert texts_of(source) == TEXTS
    assert source.class_names == ("bad", "good")
    assert labels is not None
    assert labels.tolist() == [1, 0, 1, 0]
    assert source.notes == ()


def test_a_quoted_cell_may_hold_lines_and_delimiters(tmp_path: Path) -> None:
    for name, cut in (("t.csv", ","), ("t.tsv", "\t")):
        text = f'label{cut}review\na{cut}"one{cut}\ntwo ""three"""\nb{cut}four\na{cut}five\nb{cut}six\n'
        source = read(write(tmp_path / name, text))
        assert texts_of(source) == [f'one{cut}\ntwo "three"', "four", "five", "six"]
        assert source.parts["train"].names == (f"{name}:2", f"{name}:4", f"{name}:5", f"{name}:6")


def test_quotes_of_a_tsv_without_quoting_are_characters(tmp_path: Path) -> None:
    """Nothing between an opening quote and a later closing one may be swallowed."""
    text = 'review\tlabel\n"never closed\ta\nplain\tb\nthe "end"\ta\n"\tb\n'
    assert texts_of(read(write(tmp_path / "t.tsv", text))) == ['"never closed', "plain", 'the "end"', '"']


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.lists(
        st.text(alphabet=st.sampled_from('ab "\n\r\t,;é'), min_size=1).filter(lambda text: text.strip()),
        min_size=4,
        max_size=12,
    ),
    dialect=st.sampled_from([("t.csv", "excel"), ("t.tsv", "excel-tab")]),
)
def test_what_a_csv_tool_writes_is_read(tmp_path: Path, texts: list[str], dialect: tuple[str, str]) -> None:
    # a tab after a line break can make the halves of a quoted cell look like rows of a file without quoting
    assume(dialect[1] == "excel" or "\t" not in "".join(texts))
    file = io.StringIO(newline="")
    writer = csv.writer(file, dialect=dialect[1])
    writer.writerow(["label", "review"])
    writer.writerows([number % 2, text] for number, text in enumerate(texts))
    assert texts_of(read(write(tmp_path / dialect[0], file.getvalue()))) == [text.strip() for text in texts]


@pytest.mark.parametrize("name", ["t.csv", "t.tsv"])
def test_long_texts_are_read(tmp_path: Path, name: str) -> None:
    limit = csv.field_size_limit()
    long = "word " * 30_000 + "end"
    table = (TABLE if name == "t.csv" else TABBED).replace("a fine film", f'"{long}"')
    assert texts_of(read(write(tmp_path / name, table)))[0] == long
    assert csv.field_size_limit() == limit


def test_the_limit_of_cells_is_put_back_after_an_error(tmp_path: Path) -> None:
    limit = csv.field_size_limit()
    message(write(tmp_path / "t.csv", "review,label\n,a\n"))
    assert csv.field_size_limit() == limit


def test_columns_that_are_not_read_are_said(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "id,review,stars\n1,a,x\n2,b,y\n3,c,x\n4,d,y\n")
    assert read(path, "review", "stars").notes == ("1 column not read, neither texts nor classes: id",)
    source = read(path)
    assert source.class_names == ()
    assert source.parts["train"].labels is None
    assert source.notes == ("2 columns not read, neither texts nor classes: id, stars",)


def test_wrong_rows_are_named_by_file_line_and_column(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", 'label,review\na,"x\ny"\nb\na,  \n,z\nb,z,z\na,z\n')
    assert message(path).splitlines() == [
        "4 wrong cells",
        f"    {path}:4:1: 1 cell where 2 are expected",
        f'    {path}:5:2: the text "review" is empty',
        f'    {path}:6:1: the label "label" is missing',
        f"    {path}:7:1: 3 cells where 2 are expected",
        "  got: column 1 (3), column 2 (1)",
        "  next: correct these rows, or remove them",
    ]


@pytest.mark.parametrize(
    ("text", "columns", "expected"),
    [
        ("", (), "this file is empty\n  expected: a header and rows with texts"),
        ("\n \n", (), "this file is empty"),
        ("review,label\n", (), "there are no rows below the header"),
        (TABLE, ("reviews",), 'no column "reviews"; did you mean "review"?\n  got: "review", "label"'),
        (TABLE, ("review", "lable"), 'no column "lable"; did you mean "label"?'),
        ("review,label,class\na,b,c\n", (), "several columns could hold the labels\n  got: label, class"),
        ("review,a,a\nx,y,z\n", (), 't.csv:1:3: a second column is called "a"'),
        (
            'review,label\nx,a\n"y,b\nz,a\n',
            (),
            "t.csv:3:1: the row that begins here cannot be cut into cells",
        ),
        ("review\n\0\n", (), "this is no text file"),
    ],
)
def test_wrong_files_are_named(tmp_path: Path, text: str, columns: tuple[str, ...], expected: str) -> None:
    assert expected in message(write(tmp_path / "t.csv", text), *columns)


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [("latin-1", "got: byte 0xe9 in line 2"), ("utf-16", "got: byte 0xff in line 1")],
)
def test_another_encoding_is_named_with_its_line(tmp_path: Path, encoding: str, expected: str) -> None:
    path = write(tmp_path / "t.csv", "review,label\nété,a\n", encoding)
    assert f"the file is not UTF-8 text\n  {expected}\n  next: save it as UTF-8" in message(path)


def test_damage_never_ends_in_another_error(tmp_path: Path) -> None:
    refused = 0
    generator = np.random.default_rng(0)
    for name, text in (("t.csv", TABLE), ("t.tsv", TABBED), ("t.csv.gz", TABLE)):
        path = write(tmp_path / name, text * 2)
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


@pytest.mark.shared
def test_real_texts_with_stray_quotes_are_read_row_by_row(shared_data: Path) -> None:
    source = read(shared_data / "sentiment_rated.tsv", "text", "domain")
    assert source.class_names == ("amazon", "movies", "news", "tweets")
    assert len(texts_of(source)) == 23_703
    names = source.parts["train"].names
    assert names[-1] == "sentiment_rated.tsv:23704"
    assert texts_of(source)[14_902].startswith('"  this problem vanished')
