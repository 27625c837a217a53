"""Checkpoints: everything that training needs to go on as if it had never stopped, without pickle.

    step-00000500/
      weights.safetensors     the model's parameters and buffers
      optimizer.safetensors   PLAYER/PARAMETER/exp_avg and its like
      state.safetensors       ema/NAME, the averages of parameters and running statistics
      manifest.json           format 1: step, facts, and the size and sha256 of each file

Random generators and the data order need no tensors: they follow from (seed, step), see creuset/device.py.
A checkpoint is written to a temporary folder, fsynced and renamed: it is complete or it is not there.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from creuset.errors import CheckpointError, NotFoundError, ResourceError
from creuset.files import atomic_folder, remove_folder, sha256_of

FORMAT = 1
_PARTS = ("weights", "optimizer", "state")
_NAME = re.compile(r"step-\d{8,}", re.ASCII)


class DamagedCheckpoint(CheckpointError):
    """A checkpoint whose bytes are not those that were written; an earlier one may still be whole."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """What one checkpoint holds.

    Args:
        step: Training steps done.
        family: The model family, so that a checkpoint of another model is refused by name.
        weights: Parameters and buffers by name.
        optimizer: Optimizer tensors by "player/parameter/name".
        state: Other tensors of the loop.
        facts: Small values of the loop as JSON, such as the best validation loss so far.
        hashes: SHA-256 of each part that was read; empty before it is saved.
    """

    step: int
    family: str
    weights: Mapping[str, Tensor]
    optimizer: Mapping[str, Tensor] = field(default_factory=dict)
    state: Mapping[str, Tensor] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    hashes: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return checkpoint_name(self.step)


def checkpoint_name(step: int) -> str:
    """The folder's name for a step: step-00000500."""
    return f"step-{step:08d}"


def save_checkpoint(folder: Path, checkpoint: Checkpoint, *, run: str | None = None) -> Path:
    """Writes `checkpoint` below `folder`, complete or not at all.

    Args:
        folder: Where checkpoints lie.
        checkpoint: What is written.
        run: The name on the command line of the run that it belongs to; None where it is of no run.

    Raises:
        ResourceError: The disk is full; earlier checkpoints are as they were.
    """
    path = folder / checkpoint.name
    if path.exists():
        remove_folder(path)
    with atomic_folder(path) as temporary:
        files = {}
        for part in _PARTS:
            file = temporary / f"{part}.safetensors"
            tensors = {name: tensor.contiguous() for name, tensor in getattr(checkpoint, part).items()}
            _write_tensors(tensors, file, run)
            files[file.name] = {"bytes": file.stat().st_size, "sha256": sha256_of(file)}
        document: dict[str, Any] = {
            "format": FORMAT,
            "step": checkpoint.step,
            "family": checkpoint.family,
            "files": files,
            "facts": dict(checkpoint.facts),
        }
        document["sha256"] = _self_hash(document)
        text = json.dumps(document, indent=2, allow_nan=False) + "\n"
        (temporary / "manifest.json").write_text(text, encoding="utf-8")
    return path


def load_checkpoint(path: Path, *, parts: tuple[str, ...] = _PARTS) -> Checkpoint:
    """Reads a checkpoint, after checking the hash of each file that is read.

    Args:
        path: The checkpoint's folder.
        parts: What to read out of weights, optimizer, state; the others are left empty.

    Raises:
        NotFoundError: There is no checkpoint.
        DamagedCheckpoint: Which file, what was found in it, and what was expected.
        CheckpointError: A newer creuset wrote it.
    """
    document = read_checkpoint_manifest(path)
    tensors: dict[str, dict[str, Tensor]] = {part: {} for part in _PARTS}
    hashes: dict[str, str] = {}
    for part in parts:
        file = path / f"{part}.safetensors"
        expected = document["files"][file.name]
        if not file.is_file():
            raise _damaged(file, "the file is missing", f"sha256 {expected['sha256']}")
        if file.stat().st_size != expected["bytes"]:
            raise _damaged(file, f"{file.stat().st_size} bytes", f"{expected['bytes']} bytes")
        found = sha256_of(file)
        if found != expected["sha256"]:
            raise _damaged(file, f"sha256 {found}", f"sha256 {expected['sha256']}")
        hashes[part] = found
        tensors[part] = safetensors.torch.load_file(file)
    return Checkpoint(
        step=document["step"], family=document["family"], facts=document["facts"], hashes=hashes, **tensors
    )


def read_checkpoint_manifest(path: Path) -> dict[str, Any]:
    """The checkpoint's manifest, checked against its own hash."""
    file = path / "manifest.json"
    if not path.is_dir():
        raise NotFoundError("no checkpoint here", where=path, next_step="take another checkpoint")
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        stated = document.pop("sha256")
        version = document["format"]
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise _damaged(file, f"{type(error).__name__}: {error}", "the manifest of a checkpoint") from error
    if isinstance(version, int) and version > FORMAT:
        raise CheckpointError(
            "written by a newer creuset",
            where=file,
            got=f"format {version}",
            expected=f"format {FORMAT}",
            next_step="upgrade creuset",
        )
    if stated != _self_hash(document):
        raise _damaged(file, "a manifest that was changed", f"sha256 {stated}")
    assert isinstance(document, dict)
    return document


def keep_only(folder: Path, names: set[str]) -> None:
    """Removes the checkpoints below `folder` that are not in `names`; for the process that holds the lock.

    What is not named exactly as a checkpoint is, or is a link or a file, was put there by somebody and stays.
    """
    for path in folder.glob("step-*"):
        ours = _NAME.fullmatch(path.name) and path.is_dir() and not path.is_symlink()
        if ours and path.name not in names:
            remove_folder(path)


def check_family(checkpoint: Checkpoint, family: str, where: Path) -> None:
    """Refuses the checkpoint of another family's model; raises CheckpointError."""
    if checkpoint.family != family:
        raise CheckpointError(
            "this checkpoint is of another model",
            where=where,
            got=f"family {checkpoint.family}",
            expected=f"family {family}",
            next_step="use the recipe.yaml that lies beside the checkpoint",
        )


def check_fit(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor], where: Path) -> None:
    """Refuses weights of another model, naming what is missing, extra or of another shape.

    Raises:
        CheckpointError: The names or shapes differ.
    """
    missing = sorted(wanted.keys() - found.keys())
    extra = sorted(found.keys() - wanted.keys())
    shapes = [
        f"{name} {tuple(found[name].shape)} instead of {tuple(wanted[name].shape)}"
        for name in sorted(wanted.keys() & found.keys())
        if found[name].shape != wanted[name].shape
    ]
    findings = []
    if missing:
        findings.append(f"missing: {_some(missing)}")
    if extra:
        findings.append(f"not in the model: {_some(extra)}")
    if shapes:
        findings.append(f"other shapes: {_some(shapes)}")
    if findings:
        raise CheckpointError(
            "this checkpoint is of another model",
            where=where,
            got="; ".join(findings),
            expected=f"the {len(wanted)} tensors of the recipe's model",
            next_step="use the recipe.yaml that lies beside the checkpoint",
        )


def _write_tensors(tensors: dict[str, Tensor], file: Path, run: str | None) -> None:
    try:
        safetensors.torch.save_file(tensors, file, metadata={"format": "pt"})
    except safetensors.SafetensorError as error:
        # safetensors reports the operating system's error in its text alone
        if any(f"os error {code}" in str(error) for code in (28, 122, 27)):
            raise ResourceError(
                "the disk is full: this checkpoint was not written, earlier ones are kept",
                where=file.parent.parent,
                next_step="free some space" + ("" if run is None else f", then creuset train --resume {run}"),
            ) from error
        raise


def _damaged(file: Path, got: str, expected: str) -> DamagedCheckpoint:
    return DamagedCheckpoint(
        "the checkpoint is damaged",
        where=file,
        got=got,
        expected=expected,
        next_step="take another checkpoint",
    )


def _self_hash(document: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def _some(names: list[str], count: int = 3) -> str:
    shown = ", ".join(names[:count])
    return shown if len(names) <= count else f"{shown} and {len(names) - count} more"
