"""GGUF files: what is in them comes out, and what is wrong is refused by name and number."""

import struct
import time
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch

from creuset.assets import resolve
from creuset.errors import DataError, NotFoundError
from creuset.pretrained.gguf.file import GgufFile
from gguf_bytes import gguf_bytes, string

F32 = 0
ROWS = np.arange(6, dtype="<f4").reshape(2, 3)
TENSORS = [("rows", (3, 2), F32, ROWS.tobytes()), ("row", (2,), F32, ROWS[0, :2].tobytes())]
METADATA = {
    "general.architecture": "llama",
    "n": 7,
    "x": 0.5,
    "yes": True,
    "words": ["a", "é"],
    "ids": [1, -2],
}


def written(folder: Path, content: bytes) -> Path:
    path = folder / "model.gguf"
    path.write_bytes(content)
    return path


def made(folder: Path, metadata: Any = METADATA, tensors: Any = TENSORS, **wrong: Any) -> Path:
    return written(folder, gguf_bytes(metadata, tensors, **wrong))


def test_metadata_and_tensors_come_out_as_they_went_in(tmp_path: Path) -> None:
    file = GgufFile(made(tmp_path))
    assert file.version == 3
    assert dict(file.metadata) | {"ids": list(file.metadata["ids"])} == METADATA
    assert file.metadata.wholes("ids") == [1, -2]
    assert {name: info.shape for name, info in file.tensors.items()} == {"rows": (2, 3), "row": (2,)}
    torch.testing.assert_close(file.tensor("rows"), torch.from_numpy(ROWS.copy()), rtol=0, atol=0)
    torch.testing.assert_close(file.tensor("row"), torch.tensor([0.0, 1.0]), rtol=0, atol=0)


def test_a_change_in_place_leaves_the_file_as_it_is(tmp_path: Path) -> None:
    path = made(tmp_path)
    before = path.read_bytes()
    GgufFile(path).tensor("rows").zero_()
    assert path.read_bytes() == before


def test_version_2_and_another_alignment_are_read(tmp_path: Path) -> None:
    metadata = METADATA | {"general.alignment": 64}
    file = GgufFile(made(tmp_path, metadata, version=2, alignment=64))
    assert file.tensors["rows"].start % 64 == 0
    torch.testing.assert_close(file.tensor("row"), torch.tensor([0.0, 1.0]), rtol=0, atol=0)


def test_all_types_of_metadata_as_the_gguf_package_writes_them(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    numbers = {
        "uint8": 200,
        "int8": -3,
        "uint16": 60_000,
        "int16": -300,
        "uint32": 2**32 - 1,
        "int32": -(2**31),
    }
    numbers |= {"uint64": 2**64 - 1, "int64": -(2**63)}
    for kind, number in numbers.items():
        getattr(writer, f"add_{kind}")(kind, number)
    writer.add_float32("float32", 1.5)
    writer.add_float64("float64", 1e300)
    writer.add_bool("no", False)
    writer.add_array("flags", [True, False])
    writer.add_array("reals", [0.5, 2.5])
    writer.add_tensor("t", np.arange(4, dtype=np.float32))
    for step in ("header", "kv_data", "tensors"):
        getattr(writer, f"write_{step}_to_file")()
    writer.close()
    found = GgufFile(path).metadata
    assert {kind: found[kind] for kind in numbers} == numbers
    assert (found["float32"], found["float64"], found["no"]) == (1.5, 1e300, False)
    assert list(found["flags"]) == [True, False]
    assert list(found["reals"]) == [0.5, 2.5]


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"version": 4}, "another version\n  got: 4\n  expected: 2 or 3"),
        ({"version": 0x03000000}, "got: 3 in big-endian order"),
        ({"num_tensors": 2**60}, "more tensors than there can be.*\n  got: 1,152,921"),
        ({"num_keys": 2**60}, "more keys of metadata than there can be"),
        ({"num_keys": 7}, "type of the value of|is too long|unknown type|ends within"),
        ({"offsets": (0, 0)}, "tensor row overlaps tensor rows"),
        ({"offsets": (0, 5)}, "tensor row does not lie at the alignment.*\n  got: 5"),
        ({"offsets": (0, 3200)}, "tensor row ends behind the end of the file"),
        ({"offsets": (0, 2**64 - 32)}, "tensor row ends behind the end of the file"),
        ({"raw_pairs": [string("n") + struct.pack("<IB", 7, 1)]}, 'the key "n" stands there twice'),
        ({"raw_pairs": [string("m") + struct.pack("<IB", 7, 2)]}, "neither 0 nor 1.*\n  got: 2"),
        (
            {"raw_pairs": [string("m") + struct.pack("<I", 13)]},
            'value of "m" has an unknown type.*\n  got: 13',
        ),
        ({"raw_pairs": [string("m") + struct.pack("<IIQ", 9, 9, 1)]}, '"m" is an array of arrays'),
        (
            {"raw_pairs": [string("m") + struct.pack("<IIQ", 9, 8, 2**50)]},
            "more strings in .* than there can be",
        ),
        (
            {"raw_pairs": [string("m") + struct.pack("<IIQ", 9, 6, 2**62)]},
            "more numbers in .* than there can be",
        ),
        ({"raw_pairs": [string("m") + struct.pack("<IIQ3B", 9, 7, 3, 0, 1, 2)]}, "neither 0 nor 1"),
        (
            {"raw_pairs": [string("m") + struct.pack("<IIQ", 9, 8, 2) + string("a") + string(b"\xff")]},
            'string 1 of the value of "m" is no UTF-8',
        ),
        (
            {
                "raw_pairs": [
                    string("m") + struct.pack("<IIQ", 9, 8, 2) + string("a") + struct.pack("<Q", 2**62)
                ]
            },
            'string 1 of the value of "m" is too long',
        ),
        ({"raw_pairs": [string("m") + struct.pack("<IQ", 8, 2**63)]}, 'value of "m" is too long'),
        (
            {"raw_pairs": [string("k" * 70_000) + struct.pack("<IB", 7, 1)]},
            "a key of the metadata is too long",
        ),
        ({"raw_pairs": [string(b"\xff") + struct.pack("<IB", 7, 1)]}, "a key of the metadata is no UTF-8"),
    ],
)
def test_a_wrong_header_is_refused(tmp_path: Path, wrong: dict[str, Any], text: str) -> None:
    path = made(tmp_path, **wrong)
    with pytest.raises(DataError, match=text) as caught:
        GgufFile(path)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize(
    ("tensor", "text"),
    [
        (("t", (3, 2), 23, b""), r"tensor t: .* not read\n  got: IQ4_XS \(type 23\)\n  expected: F32, F16"),
        (("t", (3, 2), 77, b""), "got: type 77"),
        (("t", (33,), 8, b""), r"tensor t has a shape that Q8_0 cannot have.*\n  got: \[33\]"),
        (("t", (0, 3), F32, b""), "tensor t has a shape"),
        (("t", (), F32, b""), "tensor t has 0 axes"),
        (("t", (1,) * 5, F32, b""), "tensor t has 5 axes"),
        (("t", (2**63, 2**63), F32, b""), "tensor t ends behind the end"),
        (("t" * 65, (1,), F32, b"\0" * 4), "a tensor's name is too long"),
        (("rows", (2,), F32, b"\0" * 8), "two tensors have the name rows"),
    ],
)
def test_a_wrong_tensor_is_refused(tmp_path: Path, tensor: Any, text: str) -> None:
    with pytest.raises(DataError, match=text):
        GgufFile(made(tmp_path, tensors=[TENSORS[0], tensor]))


@pytest.mark.parametrize("alignment", [0, 4, 24, 2**21])
def test_a_wrong_alignment_is_refused(tmp_path: Path, alignment: int) -> None:
    with pytest.raises(DataError, match=r"general\.alignment"):
        GgufFile(made(tmp_path, METADATA | {"general.alignment": alignment}))


def test_a_file_cut_short_anywhere_is_refused(tmp_path: Path) -> None:
    content = gguf_bytes(METADATA, TENSORS)
    needed = len(content) - 24  # the last tensor has 8 bytes and 24 of padding, which may be missing
    for length in range(1, needed):
        with pytest.raises(DataError):
            GgufFile(written(tmp_path, content[:length]))
    GgufFile(written(tmp_path, content[:needed]))


def test_what_is_no_file_of_weights(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no such file"):
        GgufFile(tmp_path / "none.gguf")
    with pytest.raises(DataError, match="an empty file"):
        GgufFile(written(tmp_path, b""))
    with pytest.raises(DataError, match="no GGUF file"):
        GgufFile(written(tmp_path, b"PK\3\4 and so on"))


def test_what_a_reader_asks_for_and_the_file_lacks(tmp_path: Path) -> None:
    file = GgufFile(made(tmp_path))
    with pytest.raises(DataError, match='no tensor "rowz"; did you mean "row"'):
        file.tensor("rowz")
    with pytest.raises(DataError, match=r'the metadata lacks "general\.architectur"; did you mean'):
        file.metadata.text("general.architectur")
    for key, method in (("n", "text"), ("yes", "whole"), ("words", "real"), ("n", "flag"), ("ids", "texts")):
        with pytest.raises(DataError, match=f'the metadata\'s "{key}" is something else'):
            getattr(file.metadata, method)(key)
    with pytest.raises(DataError, match="an array of whole numbers"):
        file.metadata.wholes("words")


def test_the_real_smollm2_equals_the_gguf_package_s_reading(starter: Path) -> None:
    path = resolve("smollm2-135m").file
    assert path is not None
    begin = time.perf_counter()
    file = GgufFile(path)
    found = {name: file.tensor(name).numpy() for name in file.tensors}
    seconds = time.perf_counter() - begin
    assert sum(tensor.size for tensor in found.values()) == 134_515_008
    assert seconds < 20
    reader = gguf.GGUFReader(path)
    assert {tensor.name for tensor in reader.tensors} == found.keys()
    for tensor in reader.tensors:
        expected = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        np.testing.assert_array_equal(found[tensor.name].view(np.uint32), expected.view(np.uint32))
    assert file.metadata.text("general.architecture") == "llama"
    assert len(file.metadata.texts("tokenizer.ggml.tokens")) == 49_152
