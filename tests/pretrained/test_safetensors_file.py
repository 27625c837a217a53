"""Safetensors files and folders: what is in them comes out, what is wrong is refused by name and number."""

import json
import re
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from creuset.assets import resolve
from creuset.errors import DataError, NotFoundError, UsageError
from creuset.pretrained.safetensors_file import (
    read_safetensors,
    read_weights,
    write_safetensors,
    write_weights,
)

A = {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}
DTYPES = [
    *(torch.float64, torch.float32, torch.float16, torch.bfloat16),
    *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool),
]


def some_tensors() -> dict[str, torch.Tensor]:
    """One tensor of each type, with odd sizes, an empty one and a single number."""
    generator = torch.Generator().manual_seed(0)
    numbers = torch.randint(0, 100, (3, 5), generator=generator)
    found = {f"layer.{dtype}".replace("torch.", ""): numbers.to(dtype) for dtype in DTYPES}
    return found | {"empty": torch.empty(0, 7), "single": torch.tensor(2.5)}


def written(folder: Path, header: Any, data: bytes = b"\0" * 16, length: int | None = None) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path = folder / "model.safetensors"
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)
    return path


def assert_same(found: Any, expected: Any) -> None:
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor), name


def test_files_of_the_format_s_own_writer_are_read(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    safetensors.torch.save_file(some_tensors(), path, metadata={"format": "pt", "note": 'a "b" {é}'})
    weights = read_safetensors(path)
    assert_same(weights.tensors, some_tensors())
    assert weights.metadata == {"format": "pt", "note": 'a "b" {é}'}
    assert weights.paths == (path,)


def test_the_format_s_own_reader_reads_what_is_written(tmp_path: Path) -> None:
    (path,) = write_weights(tmp_path, some_tensors())
    assert_same(safetensors.torch.load_file(path), some_tensors())
    with safetensors.safe_open(path, framework="pt") as file:
        assert file.metadata() == {"format": "pt"}
    assert_same(read_weights(tmp_path).tensors, some_tensors())


def test_tensors_of_any_stride_are_written(tmp_path: Path) -> None:
    tensor = torch.arange(12.0).reshape(3, 4).T[1:]
    write_weights(tmp_path, {"a": tensor.requires_grad_()})
    assert torch.equal(read_weights(tmp_path).tensors["a"], tensor)


def test_numbers_across_their_natural_places_are_read(tmp_path: Path) -> None:
    header = {
        "a": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]},
        "b": {"dtype": "F32", "shape": [2], "data_offsets": [1, 9]},
    }
    path = written(tmp_path, header, b"\7" + struct.pack("<2f", 1.5, -2))
    assert read_safetensors(path).tensors["b"].tolist() == [1.5, -2]


def test_a_change_in_place_leaves_the_file_as_it_is(tmp_path: Path) -> None:
    path = written(tmp_path, {"a": A})
    before = path.read_bytes()
    read_safetensors(path).tensors["a"].fill_(3)
    assert path.read_bytes() == before


def test_tensors_are_not_read_before_they_are_looked_at(tmp_path: Path) -> None:
    write_weights(tmp_path, {"large": torch.ones(2_000_000)})
    tracemalloc.start()
    weights = read_weights(tmp_path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 200_000
    assert weights.tensors["large"].sum() == 2_000_000


def two(second: dict[str, Any]) -> dict[str, Any]:
    return {"a": A, "b": {"dtype": "F32", "shape": [1], **second}}


@pytest.mark.parametrize(
    ("header", "text"),
    [
        (two({"data_offsets": [12, 16]}), "tensor b overlaps tensor a"),
        (
            two({"data_offsets": [20, 24]}),
            "tensor b leaves a gap behind tensor a.*\n.*\n  expected: a start at 16",
        ),
        (
            two({"data_offsets": [16, 20]}),
            "tensor b ends behind the end of the file.*\n.*16 to 20.*\n.*at most 16",
        ),
        (
            {"a": {**A, "shape": [3]}},
            "tensor a: the size does not fit.*\n  got: 16 bytes.*\n  expected: 12 bytes",
        ),
        ({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}, "bytes behind the last tensor"),
        (
            {"a": {"dtype": "F32", "shape": [2], "data_offsets": [8, 16]}},
            "tensor a leaves a gap behind the header",
        ),
        ({"a": {**A, "shape": [-4]}}, r"tensor a: no shape\n  got: \[-4\]"),
        ({"a": {**A, "shape": [True, 4]}}, "tensor a: no shape"),
        ({"a": {**A, "shape": [4.0]}}, "tensor a: no shape"),
        ({"a": {**A, "shape": [1] * 17}}, "tensor a: no shape"),
        ({"a": {**A, "shape": "4"}}, "tensor a: no shape"),
        ({"a": {**A, "shape": [2**63, 2**63]}}, "tensor a: a shape beyond any memory"),
        ({"a": {**A, "shape": [0, 2**63], "data_offsets": [0, 0]}}, "tensor a: a shape beyond any memory"),
        ({"a": {**A, "data_offsets": [16, 0]}}, "tensor a: no range of bytes"),
        ({"a": {**A, "data_offsets": [0, 16, 16]}}, "tensor a: no range of bytes"),
        ({"a": {**A, "dtype": "F8_E4M3"}}, "tensor a: a type of numbers that is not read\n  got: F8_E4M3"),
        ({"a": {**A, "dtype": 7}}, "tensor a: a type of numbers"),
        ({"a": {**A, "more": 1}}, "tensor a: an entry of other fields"),
        ({"a": {"dtype": "F32", "shape": [4]}}, "tensor a: an entry of other fields"),
        ({"__metadata__": {"n": 1}, "a": A}, "a string with a string for its value"),
        ({"__metadata__": "x", "a": A}, "an object of strings"),
        (
            json.dumps({"a": A}).encode()[:-1] + b"," + json.dumps({"a": A}).encode()[1:],
            "two tensors have one name",
        ),
        (
            b'{"a": {"dtype": "F32", "dtype": "I32", "shape": [4], "data_offsets": [0, 16]}}',
            "'dtype' stands there twice",
        ),
        (b'{"__metadata__": {"a": "b", "a": "c"}}', "a key of the metadata stands there twice"),
        (b'{"__metadata__": {}, "__metadata__": {}}', "the metadata stands there twice"),
        (b'{"a": ' + b"[" * 100_000, "dtype, shape and data_offsets"),
        (b'{"a": {"dtype": ' + b"[" * 900 + b"}}", "tensor a: this entry of the header cannot be read"),
        (b"[" * 100_000, "an opening brace"),
        (b"{" + b'"a":' * 100_000, "an object with dtype"),
        (json.dumps({"a": A}).encode() + b" x", "nothing but spaces behind"),
        (json.dumps({"a": A}).encode()[:-1] + b",}", "a tensor's name"),
        (b'{"' + b"n" * 600 + b'": 1}', "a tensor's name of at most 512"),
        (b'{"\xff": 1}', "the header is not UTF-8\n  got: byte 2"),
        (b"", "an opening brace"),
        (b"{}", "bytes behind the last tensor"),
    ],
)
def test_a_wrong_header_is_refused(tmp_path: Path, header: Any, text: str) -> None:
    path = written(tmp_path, header)
    with pytest.raises(DataError, match=text) as caught:
        read_safetensors(path)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize("length", [2**64 - 1, 2**40, 100_000_001])
def test_a_header_longer_than_the_file_is_refused_without_room_for_it(tmp_path: Path, length: int) -> None:
    path = written(tmp_path, {"a": A}, length=length)
    tracemalloc.start()
    with pytest.raises(DataError, match=f"the header is longer than it can be.*\n  got: {length:,} bytes"):
        read_safetensors(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100_000


def test_a_header_over_100_mb_is_refused_even_where_the_file_has_it(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", 100_000_001))
        file.truncate(100_000_100)
    with pytest.raises(DataError, match="got: 100,000,001 bytes\n  expected: at most 100,000,000"):
        read_safetensors(path)


def test_a_truth_value_is_0_or_1(tmp_path: Path) -> None:
    header = {"a": {"dtype": "BOOL", "shape": [3], "data_offsets": [0, 3]}}
    assert read_safetensors(written(tmp_path, header, b"\0\1\1")).tensors["a"].tolist() == [False, True, True]
    with pytest.raises(DataError, match="tensor a: a truth value is neither 0 nor 1"):
        read_safetensors(written(tmp_path, header, b"\0\1\2"))


def test_a_file_cut_short_anywhere_is_refused(tmp_path: Path) -> None:
    content = written(tmp_path, {"__metadata__": {"format": "pt"}, "a": A}).read_bytes()
    for length in range(len(content)):
        path = tmp_path / "cut.safetensors"
        path.write_bytes(content[:length])
        with pytest.raises(DataError):
            read_safetensors(path)


def test_shards_and_their_index(tmp_path: Path) -> None:
    tensors = {f"layer.{number}": torch.full((4, 4), float(number)) for number in range(5)}
    paths = write_weights(tmp_path, tensors, max_shard_bytes=130)
    assert [path.name for path in paths] == [
        f"model-0000{number}-of-00003.safetensors" for number in (1, 2, 3)
    ]
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    assert index["metadata"] == {"total_size": 5 * 64}
    assert index["weight_map"]["layer.4"] == "model-00003-of-00003.safetensors"
    weights = read_weights(tmp_path)
    assert_same(weights.tensors, tensors)
    assert weights.paths == paths
    together: dict[str, torch.Tensor] = {}
    for path in paths:
        together |= safetensors.torch.load_file(path)
    assert_same(together, tensors)


def test_a_tensor_larger_than_a_shard_has_one_of_its_own(tmp_path: Path) -> None:
    tensors = {"a": torch.zeros(2), "large": torch.zeros(100), "b": torch.zeros(2)}
    assert len(write_weights(tmp_path, tensors, max_shard_bytes=16)) == 3
    assert_same(read_weights(tmp_path).tensors, tensors)


@pytest.fixture
def sharded(tmp_path: Path) -> Path:
    write_weights(tmp_path, {"a": torch.zeros(4), "b": torch.ones(4)}, max_shard_bytes=16)
    return tmp_path


def change_index(folder: Path, weight_map: Any) -> None:
    text = weight_map if isinstance(weight_map, str) else json.dumps({"weight_map": weight_map})
    (folder / "model.safetensors.index.json").write_text(text)


FIRST, SECOND = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"


@pytest.mark.parametrize(
    ("weight_map", "text"),
    [
        (
            {"a": FIRST, "b": SECOND, "c": SECOND},
            "holds other tensors than the index says\n  got: missing: c",
        ),
        ({"a": FIRST, "c": SECOND}, "missing: c; not in the index: b"),
        ({"a": FIRST, "b": "../other.safetensors"}, "tensor b: not the name of a file in this folder"),
        ({"a": FIRST, "b": "/etc/other.safetensors"}, "tensor b: not the name of a file"),
        ({"a": FIRST, "b": "model.bin"}, r"got: 'model\.bin'"),
        ({"a": FIRST, "b": 3}, "tensor b: not the name of a file"),
        ({}, "an index without a weight_map"),
        ("[]", "an index without a weight_map"),
        ("{", "damaged: this is no JSON"),
        ("[" * 100_000, "damaged: this is no JSON"),
        ('{"weight_map": {"a": "x.safetensors", "a": "y.safetensors"}}', "'a' stands there twice"),
    ],
)
def test_a_wrong_index_is_refused(sharded: Path, weight_map: Any, text: str) -> None:
    change_index(sharded, weight_map)
    with pytest.raises(DataError, match=text):
        read_weights(sharded)


def test_a_shard_that_is_missing_is_named(sharded: Path) -> None:
    (sharded / SECOND).unlink()
    with pytest.raises(NotFoundError, match=re.escape(SECOND)):
        read_weights(sharded)


def test_folders_without_weights_or_with_two_sets(tmp_path: Path, sharded: Path) -> None:
    with pytest.raises(NotFoundError, match="no weights in this folder"):
        read_weights(tmp_path / "nowhere")
    write_safetensors(sharded / "model.safetensors", {"a": torch.zeros(1)}, {})
    with pytest.raises(DataError, match="two sets of weights in one folder"):
        read_weights(sharded)


def test_what_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no tensors to write"):
        write_weights(tmp_path, {})
    with pytest.raises(UsageError, match="a shard holds at least a byte\n  got: 0"):
        write_weights(tmp_path, {"a": torch.zeros(1)}, max_shard_bytes=0)
    with pytest.raises(DataError, match=r"tensor a cannot be written\n  got: torch\.complex64"):
        write_weights(tmp_path, {"a": torch.zeros(1, dtype=torch.complex64)})
    with pytest.raises(DataError, match="tensor __metadata__ cannot be written"):
        write_weights(tmp_path, {"__metadata__": torch.zeros(1)})
    assert list(tmp_path.iterdir()) == []
    write_weights(tmp_path, {"a": torch.zeros(1)})
    with pytest.raises(UsageError, match="this folder holds weights already"):
        write_weights(tmp_path, {"a": torch.zeros(1)})


def test_the_real_minilm_equals_the_format_s_own_reading(starter: Path) -> None:
    path = resolve("minilm").file
    assert path is not None
    assert_same(read_weights(path.parent).tensors, safetensors.torch.load_file(path))


def test_an_index_that_would_fill_the_memory_is_refused_before_it_is_built(tmp_path: Path) -> None:
    index = tmp_path / "model.safetensors.index.json"
    index.write_text('{"weight_map": {}, "metadata": [' + "{}," * 2_000_000 + "{}]}")
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=r"too many values for such a file[^$]*at most 500,000"):
            read_weights(tmp_path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3 * index.stat().st_size
