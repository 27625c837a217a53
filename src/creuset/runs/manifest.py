"""manifest.json: what a run is, and how far it came (format 4).

Format 1 did not say how many processes trained, nor the device's name; format 2 knew of no collapse, format 3
of no base. Older documents are read: each is brought to the next format, one step at a time, and is written
in the newest one at the run's next change.
"""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from creuset.device import Precision
from creuset.errors import CheckpointError

FORMAT = 4

Status = Literal["created", "running", "stopped", "finished", "failed"]


class Manifest(BaseModel):
    """The manifest of a run.

    last, previous and best name checkpoints: the newest, the one before it, and the one with the lowest
    validation loss so far. Times are in seconds of training. device_name is what the maker calls the device;
    num_processes and distributed say how many processes trained last, and how (None for a single one). What
    an older creuset did not write down is None.

    base is the language model that the run tunes: its "name" and the "sha256" of its weights; parent names
    the run that this one goes on from, or whose codes it learns.

    healthy names the newest checkpoint at which nothing was collapsing. remedies lists the rollbacks, each
    with the step at which training went back, where to ("back_to"), cause, signal, the settings that training
    goes on with, the journal's bytes and the seconds of training up to then.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = FORMAT
    id: str
    created: str
    command: str
    family: str
    seed: int
    device: str
    device_name: str | None = None
    num_processes: int | None = None
    distributed: Literal["ddp", "fsdp"] | None = None
    precision: Precision
    precision_reason: str
    machine: dict[str, Any]
    data_source: str
    data_hash: str
    data_spec: dict[str, Any]
    data_report: dict[str, Any]
    parent: str | None = None
    base: dict[str, str] | None = None
    status: Status = "created"
    stop_reason: str | None = None
    step: int = 0
    seconds: float = 0.0
    last: str | None = None
    previous: str | None = None
    best: str | None = None
    best_validation_loss: float | None = None
    healthy: str | None = None
    remedies: tuple[dict[str, Any], ...] = ()

    @property
    def checkpoints(self) -> set[str]:
        """The checkpoints that are named here."""
        return {name for name in (self.last, self.previous, self.best, self.healthy) if name is not None}

    @property
    def settings(self) -> dict[str, Any]:
        """What rollbacks have set in place of the recipe's values: dotted key -> value."""
        return {key: value for remedy in self.remedies for key, value in remedy["settings"].items()}

    def to_text(self) -> str:
        return self.model_dump_json(indent=2) + "\n"


def read_manifest(path: Path) -> Manifest:
    """The manifest in a file.

    Raises:
        CheckpointError: It cannot be read, or a newer creuset wrote it.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(document, dict):
            raise ValueError("not an object")
        version = document.get("format")
        if not isinstance(version, int) or isinstance(version, bool) or version < 1:
            raise ValueError(f"format {version!r}")
        if version > FORMAT:
            raise CheckpointError(
                "written by a newer creuset",
                where=path,
                got=f"format {version}",
                expected=f"format {FORMAT}",
                next_step="upgrade creuset",
            )
        for older in range(version, FORMAT):
            document = {**_MIGRATIONS[older](document), "format": older + 1}
        return Manifest.model_validate(document)
    except (OSError, ValueError) as error:
        raise CheckpointError(
            "the run's manifest cannot be read",
            where=path,
            got=_what_is_wrong(error),
            expected=f"the manifest of a run, format 1 to {FORMAT}",
            next_step=f"put back a copy of it, or train again: creuset train {path.parent / 'recipe.yaml'}",
        ) from error


def _what_is_wrong(error: OSError | ValueError) -> str:
    """The first thing that is wrong with a document, in one line."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return str(error).splitlines()[0]


def _from_1(document: dict[str, Any]) -> dict[str, Any]:
    """Format 1 says nothing of processes and the device's name."""
    return {**document, "device_name": None, "num_processes": None, "distributed": None}


def _from_2(document: dict[str, Any]) -> dict[str, Any]:
    """Format 2 knows of no collapse."""
    return {**document, "healthy": None, "remedies": []}


def _from_3(document: dict[str, Any]) -> dict[str, Any]:
    """Format 3 knows of no base."""
    return {**document, "base": None}


_MIGRATIONS: Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]] = MappingProxyType(
    {1: _from_1, 2: _from_2, 3: _from_3}
)
"""format -> what makes a document of the next one."""


def now() -> str:
    """The time of day for a manifest, in UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
