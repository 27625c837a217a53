"""What makes vectors for an index: a text embedder by name, and the space that its vectors are in."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch

from creuset.assets import resolve
from creuset.errors import UsageError
from creuset.files import sha256_of
from creuset.knowledge.records import Space
from creuset.pretrained.sentence_embedder import SentenceEmbedder
from creuset.progress import Progress
from creuset.workflows.load import load

_RUN = "run:"


@dataclass(frozen=True)
class OpenEmbedder:
    """An embedder and its space."""

    embedder: SentenceEmbedder
    space: Space


def open_index_embedder(name: str, precision: str, progress: Progress | None = None) -> OpenEmbedder:
    """The embedder of a name.

    Args:
        name: A folder that sentence-transformers reads, an asset's name, or run:ID of a tuned embedder.
        precision: float32 or bfloat16.
        progress: Shows the bytes where an asset is taken into the store.

    Raises:
        NotFoundError, BlockedError: There is no such embedder on this machine.
        DataError: Its files are damaged.
        UsageError: It is no text embedder; or a run's, in another precision than its own.
    """
    if name.startswith(_RUN):
        return _of_run(name, precision)
    folder = resolve(name, progress=progress).path
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    embedder = SentenceEmbedder.from_folder(folder, dtype=dtype)
    return OpenEmbedder(embedder, _space(name, _sha256_of_model(folder), embedder, precision))


def _of_run(name: str, precision: str) -> OpenEmbedder:
    loaded = load(name, precision=None)
    if precision != "float32":
        raise UsageError(
            "the vectors of a run are computed in its own precision",
            where="--precision",
            got=precision,
            next_step="leave it out, or export the run: creuset export RUN --to safetensors",
        )
    return OpenEmbedder(loaded.embedder, _space(name, loaded.checkpoint_hash, loaded.embedder, precision))


def _space(name: str, sha256: str, embedder: SentenceEmbedder, precision: str) -> Space:
    return Space(
        name=name,
        model_sha256=sha256,
        dimension=embedder.num_features,
        dtype=precision,
        is_normalised=embedder.embedder.normalise,
        max_tokens=embedder.max_tokens,
    )


def _sha256_of_model(folder: Path) -> str:
    """Of the weights and of the tokenizer: another tokenizer makes other vectors."""
    told = hashlib.sha256()
    for file in sorted([*folder.glob("*.safetensors"), folder / "tokenizer.json"]):
        told.update(f"{sha256_of(file)}  {file.name}\n".encode())
    return told.hexdigest()
