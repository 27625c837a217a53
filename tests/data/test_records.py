"""Records of each kind of file, and what is wrong with one by file, line and column."""

import gzip
import json
from pathlib import Path

import pytest

from creuset.data.records import read_records
from creuset.errors import DataError, NotFoundError

ROWS = [{"a": "x", "b": "1"}, {"a": "y\nz", "b": "2"}]


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_each_kind_of_file_holds_the_same_records(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="reads Parquet by pyarrow, which is not installed")
    import pyarrow
    from pyarrow import parquet

    lines = "\n\n".join(map(json.dumps, ROWS)) + "\n"
    table = 'a,b\nx,1\n\n"y\nz",2\n'
    files = [
        written(tmp_path / "a.jsonl", lines),
        written(tmp_path / "a.ndjson", "\ufeff" + lines),
        written(tmp_path / "a.json", json.dumps(ROWS, indent=2)),
        written(tmp_path / "b.json", " [" + ",".join(map(json.dumps, ROWS)) + "]\n"),
        written(tmp_path / "a.csv", table),
        written(tmp_path / "a.tsv", table.replace(",", "\t")),
    ]
    with gzip.open(tmp_path / "a.csv.gz", "wt") as packed:
        packed.write(table)
    parquet.write_table(pyarrow.Table.from_pylist(ROWS), tmp_path / "a.parquet")
    with gzip.open(tmp_path / "a.jsonl.gz", "wt") as packed:
        packed.write(lines)
    for path in [*files, *(tmp_path / name for name in ("a.csv.gz", "a.jsonl.gz", "a.parquet"))]:
        assert [dict(record.values) for record in read_records(path)] == ROWS, path.name


def test_a_record_knows_where_it_begins(tmp_path: Path) -> None:
    lines = written(tmp_path / "a.jsonl", '{"a": 1}\n\n{"a": 2}\n')
    array = written(tmp_path / "a.json", '[\n  {"a": 1}, {"a":\n 2},\n\n {"a": 3}\n]')
    table = written(tmp_path / "a.csv", 'a,b\n"1\n2",x\n3,y\n')
    assert [(record.line, record.column) for record in read_records(lines)] == [(1, 1), (3, 1)]
    assert [(record.line, record.column) for record in read_records(array)] == [(2, 3), (2, 13), (5, 2)]
    assert [record.place for record in read_records(table)] == ["a.csv:2", "a.csv:4"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.jsonl", '{"a": 1}\n{"a" 2}\n[1]\n', r"a\.jsonl:2:6: this is no JSON: Expecting ':'"),
        ("a.jsonl", '{"a": 1}\n{"a" 2}\n[1]\n', r"a\.jsonl:3:1: this is no object, but list"),
        ("a.jsonl", "\n\n", "no records in this file"),
        ("a.json", '{"a": 1}', r"a\.json:1:1: this is no array"),
        ("a.json", '[{"a": 1}\n {"a": 2}]', r"a\.json:2:2: this is no JSON: a comma or \] is missing"),
        ("a.json", '[{"a": 1},\n {"a": 2,}]', r"a\.json:2:\d+: this is no JSON"),
        ("a.json", '[{"a": 1},\n {"a":\n x}]', r"a\.json:3:2: this is no JSON"),
        ("a.json", '[{"a": 1}, 7]', r"a\.json:1:12: this is no object, but int"),
        ("a.json", "[]", "no records in this file"),
        ("a.json", '[{"a": 1}]\n[{"a": 2}]', r"a\.json:2:1: .*something stands behind the array"),
        ("a.json", "[" * 100_000, "this is no JSON"),
        ("a.csv", "a,b\n1\n", r"a\.csv:2:1: 1 cell where 2 are expected"),
        ("a.parquet", "no table", "no Parquet file|not installed"),
        ("a.xlsx", "", r"expected: a name that ends with \.jsonl"),
    ],
)
def test_what_is_wrong_is_named_by_its_place(name: str, text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        read_records(written(tmp_path / name, text))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no such file"):
        read_records(tmp_path / "a.jsonl")
