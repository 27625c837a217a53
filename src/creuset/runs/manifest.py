"""manifest.json: what a run is, and how far it came (format 1)."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from creuset.device import Precision
from creuset.errors import CheckpointError

FORMAT = 1

Status = Literal["created", "running", "stopped", "finished", "failed"]


class Manifest(BaseModel):
    """The manifest of a run.

    last, previous and best name checkpoints: the newest, the one before it, and the one with the lowest
    validation loss so far. Times are in seconds of training.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = FORMAT
    id: str
    created: str
    command: str
    family: str
    seed: int
    device: str
    precision: Precision
    precision_reason: str
    machine: dict[str, Any]
    data_source: str
    data_hash: str
    data_spec: dict[str, Any]
    data_report: dict[str, Any]
    parent: str | None = None
    status: Status = "created"
    stop_reason: str | None = None
    step: int = 0
    seconds: float = 0.0
    last: str | None = None
    previous: str | None = None
    best: str | None = None
    best_validation_loss: float | None = None

    @property
    def checkpoints(self) -> set[str]:
        """The checkpoints that are named here."""
        return {name for name in (self.last, self.previous, self.best) if name is not None}

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
        if isinstance(version, int) and version > FORMAT:
            raise CheckpointError(
                "written by a newer creuset",
                where=path,
                got=f"format {version}",
                expected=f"format {FORMAT}",
                next_step="upgrade creuset",
            )
        return Manifest.model_validate(document)
    except (OSError, ValueError, ValidationError) as error:
        raise CheckpointError(
            "the run's manifest cannot be read", where=path, got=str(error).splitlines()[0]
        ) from error


def now() -> str:
    """The time of day for a manifest, in UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
