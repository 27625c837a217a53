"""Which base an adapter is of: a file of our own beside PEFT's two, which PEFT passes over.

    creuset_base.json    {"format": 1, "name": ..., "files_sha256": ..., "tensors_sha256": ...}

files_sha256 is of the base's files, as runs name their base (whole_base.py). tensors_sha256 is of the numbers
alone, in float32 and in the order of our names: it is the same wherever the same numbers lie, in a GGUF file,
in a folder, or in several shards. A base that was quantized again has other numbers, and is another base.

Folders that others wrote lack this file. They name a base, and a name proves nothing.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from creuset.data.tokenizer_files import as_json, read_settings
from creuset.errors import CheckpointError, DataError
from creuset.files import write_atomic
from creuset.pretrained.folder import MODEL_CONFIG
from creuset.pretrained.gguf.file import GgufFile
from creuset.pretrained.whole_base import weights_hash

BASE_FILE = "creuset_base.json"
FORMAT = 1
_SHOWN = 16
"""Digits of a hash that errors show."""
_GGUF_NAMES = ("general.name", "general.basename")


@dataclass(frozen=True, kw_only=True)
class BaseIdentity:
    """The base that an adapter was trained on.

    Args:
        name: What it was called there.
        files_sha256: Of its files of weights.
        tensors_sha256: Of its numbers.
    """

    name: str
    files_sha256: str
    tensors_sha256: str

    @classmethod
    def of(cls, name: str, place: Path, weights: Mapping[str, Tensor]) -> "BaseIdentity":
        """That of a base in memory.

        Args:
            name: What it is called.
            place: Its file or folder.
            weights: Its tensors in float32, as a Transformer's `state_dict` names them.
        """
        return cls(name=name, files_sha256=weights_hash(place), tensors_sha256=tensors_hash(weights))


@dataclass(frozen=True, kw_only=True)
class OpenedBase:
    """A base to which an adapter is to be added.

    Args:
        name: What was typed.
        place: Its file or folder.
        weights: Its tensors in float32.
    """

    name: str
    place: Path
    weights: Mapping[str, Tensor]


def tensors_hash(weights: Mapping[str, Tensor]) -> str:
    """SHA-256 of names, shapes and numbers in float32, in the order of the names."""
    found = hashlib.sha256()
    for name in sorted(weights):
        tensor = weights[name].detach().to("cpu", torch.float32).contiguous()
        found.update(f"{name} {tuple(tensor.shape)}\n".encode())
        found.update(tensor.numpy().data)
    return found.hexdigest()


def write_identity(folder: Path, identity: BaseIdentity) -> None:
    """Says beside an adapter which base it is of."""
    write_atomic(folder / BASE_FILE, as_json({"format": FORMAT, **asdict(identity)}))


def read_identity(folder: Path) -> BaseIdentity | None:
    """What a folder of ours says of its base; None of a folder that others wrote.

    Raises:
        DataError: A damaged file, or one of a newer creuset.
    """
    path = folder / BASE_FILE
    if not path.is_file():
        return None
    values = read_settings(path)
    words = [values.get(name) for name in ("name", "files_sha256", "tensors_sha256")]
    if values.get("format") != FORMAT or not all(isinstance(word, str) for word in words):
        raise DataError(
            "this file does not say which base the adapter is of",
            where=path,
            got=f"format {values.get('format')}",
            expected=f"format {FORMAT}, with name, files_sha256 and tensors_sha256",
        )
    name, files, tensors = map(str, words)
    return BaseIdentity(name=name, files_sha256=files, tensors_sha256=tensors)


def require_base(folder: Path, base: OpenedBase, *, named: str) -> str | None:
    """Refuses an adapter of another base.

    Args:
        folder: The adapter's.
        base: To which it is to be added.
        named: What its adapter_config.json calls its base, or "".

    Returns:
        None where the weights are those that it was trained on; else a sentence on what is not proven.

    Raises:
        CheckpointError: They are others.
        DataError: As `read_identity`.
    """
    identity = read_identity(folder)
    if identity is None:
        return _not_proven(base, named)
    if weights_hash(base.place) == identity.files_sha256:
        return None
    found = tensors_hash(base.weights)
    if found == identity.tensors_sha256:
        return None
    raise CheckpointError(
        "this adapter is of another base",
        where=folder,
        got=f"{base.name}, whose numbers have sha256 {found[:_SHOWN]}",
        expected=f"{identity.name}, whose numbers have sha256 {identity.tensors_sha256[:_SHOWN]}",
        next_step="name the base that it was trained on; where you mean this one, take "
        f"{BASE_FILE} out of the adapter's folder",
    )


def _not_proven(base: OpenedBase, named: str) -> str:
    said = "nothing proves that this adapter is of this base"
    if not named:
        return f"{said}: its folder names none"
    if _plain(named) in {_plain(name) for name in _names(base)}:
        return f"{said}, although its folder names {named}: a name says nothing of the weights"
    return f"{said}: its folder names {named}, and this one is {base.name}"


def _names(base: OpenedBase) -> list[str]:
    """What a base is called, as far as is known."""
    names = [base.name, base.place.resolve().name]
    if base.place.is_dir():
        own = read_settings(base.place / MODEL_CONFIG).get("_name_or_path")
        return [*names, *([own] if isinstance(own, str) and own else [])]
    metadata = GgufFile(base.place).metadata
    return [*names, *(metadata.text(key) for key in _GGUF_NAMES if key in metadata)]


def _plain(name: str) -> str:
    """A name without owner, folder, ending and spelling."""
    last = name.rstrip("/").rpartition("/")[2].casefold().removesuffix(".gguf")
    return last.replace("_", "-").replace(" ", "-")
