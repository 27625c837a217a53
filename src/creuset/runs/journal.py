"""journal.jsonl: what happened in a run, one JSON object a line (format 1).

    {"step": 50, "event": "train", "player": "model", "values": {"loss": 0.3}, "clock": {"seconds": 1.2}}

Events: train, validation, sample, alarm, checkpoint, resume, stop. What depends on time stands under `clock`
alone, so that two runs of the same recipe and seed have equal journals once `clock` is dropped. A resume cuts
the journal back to where its checkpoint was made.
"""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from creuset.errors import CheckpointError
from creuset.files import disk_errors

Event = Literal["train", "validation", "sample", "alarm", "checkpoint", "resume", "stop"]


class Journal:
    """Appends lines; each is handed to the operating system at once, so a killed process loses none."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with disk_errors(path):
            # without a buffer: after a full disk nothing is left that closing would have to write
            self._file = path.open("ab", buffering=0)

    def append(
        self,
        step: int,
        event: Event,
        values: Mapping[str, Any],
        *,
        player: str | None = None,
        clock: Mapping[str, float] | None = None,
    ) -> None:
        line = {
            "step": step,
            "event": event,
            "player": player,
            "values": dict(values),
            "clock": dict(clock or {}),
        }
        rest = json.dumps(line, allow_nan=False).encode() + b"\n"
        with disk_errors(self.path):
            while rest:
                rest = rest[self._file.write(rest) :]

    def sync(self) -> int:
        """Makes all lines survive a power cut; returns the journal's length in bytes."""
        with disk_errors(self.path):
            os.fsync(self._file.fileno())
        return self._file.tell()

    def cut(self, length: int) -> None:
        """Drops all lines after the first `length` bytes.

        Raises:
            CheckpointError: The journal is shorter than that: it is not the one of this checkpoint.
        """
        size = self.path.stat().st_size
        if size < length:
            raise CheckpointError(
                "the journal is shorter than when the checkpoint was made",
                where=self.path,
                got=size,
                expected=length,
            )
        self._file.truncate(length)
        self._file.seek(length)
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


def read_journal(path: Path) -> Iterator[dict[str, Any]]:
    """The journal's lines; a last line that a killed process left unfinished is passed over."""
    if not path.exists():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                return
            try:
                yield json.loads(line)
            except ValueError as error:
                raise CheckpointError(
                    "this line of the journal is damaged", where=f"{path}:{number}"
                ) from error
