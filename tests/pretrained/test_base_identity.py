"""Which base an adapter is of: by its numbers, wherever they lie, and by nothing less."""

from pathlib import Path

import pytest
import torch

from creuset.errors import CheckpointError, DataError
from creuset.pretrained.base_identity import (
    BASE_FILE,
    BaseIdentity,
    OpenedBase,
    read_identity,
    require_base,
    tensors_hash,
    write_identity,
)
from creuset.pretrained.folder import load_folder
from creuset.pretrained.gguf.writing import write_gguf
from creuset.pretrained.whole_base import load_whole_base
from small_bases import write_base


def opened(place: Path, name: str = "base") -> OpenedBase:
    return OpenedBase(name=name, place=place, weights=load_whole_base(place).weights)


def identity(place: Path) -> BaseIdentity:
    base = opened(place)
    return BaseIdentity.of("base", base.place, base.weights)


def as_gguf(folder: Path, path: Path, stored: str) -> Path:
    found = load_folder(folder)
    assert found.tokenizer is not None
    write_gguf(
        path,
        found.config,
        found.state,
        found.tokenizer,
        chat_template=found.chat_template,
        stored=stored,  # type: ignore[arg-type]
        name="base",
        eos_ids=(2,),
    )
    return path


def test_numbers_are_the_same_in_a_folder_and_in_a_file(tmp_path: Path) -> None:
    folder = write_base(tmp_path / "base")
    file = as_gguf(folder, tmp_path / "base.gguf", "f32")
    assert identity(folder).tensors_sha256 == identity(file).tensors_sha256
    assert identity(folder).files_sha256 != identity(file).files_sha256
    write_identity(tmp_path, identity(folder))
    assert read_identity(tmp_path) == identity(folder)
    assert require_base(tmp_path, opened(file), named="base") is None


def test_other_numbers_are_another_base(tmp_path: Path) -> None:
    folder, other = write_base(tmp_path / "base"), write_base(tmp_path / "other", seed=1)
    write_identity(tmp_path, identity(folder))
    for place in (other, as_gguf(folder, tmp_path / "few.gguf", "q8_0")):
        with pytest.raises(CheckpointError, match="of another base") as raised:
            require_base(tmp_path, opened(place, "typed"), named="base")
        assert "typed" in str(raised.value)
        assert "base, whose numbers have sha256" in str(raised.value)


def test_the_hash_is_of_names_shapes_and_numbers() -> None:
    one = {"a": torch.arange(4.0), "b": torch.ones(2)}
    assert tensors_hash(one) == tensors_hash({"b": torch.ones(2), "a": torch.arange(4.0).to(torch.bfloat16)})
    for other in ({**one, "a": torch.arange(4.0).view(2, 2)}, {"a": one["a"], "c": one["b"]}):
        assert tensors_hash(one) != tensors_hash(other)


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("", "its folder names none"),
        ("org/Base", "although its folder names org/Base"),
        ("org/else", "its folder names org/else, and this one is base"),
    ],
)
def test_a_name_proves_nothing(named: str, said: str, tmp_path: Path) -> None:
    folder = write_base(tmp_path / "base")
    remark = require_base(tmp_path, opened(folder), named=named)
    assert remark is not None
    assert remark.startswith("nothing proves that this adapter is of this base")
    assert said in remark


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / BASE_FILE).write_text('{"format": 1, "name": "base"}')
    with pytest.raises(DataError, match="does not say which base"):
        read_identity(tmp_path)
