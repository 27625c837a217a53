"""journal.jsonl: what happened in a run, one JSON object a line (format 1).

    {"format": 1, "step": 50, "event": "train", "player": "model", "values": {"loss": 0.3},
     "clock": {"seconds": 1.2}}

Events: train, validation, sample, checkpoint, resume, stop; of what is watched for collapse calibration,
collapse, alarm, rollback. What depends on time stands under `clock` alone, so that two runs of the same
recipe and seed have equal journals once `clock` is dropped. A resume cuts the journal back to where its
checkpoint was made. A rollback cuts nothing: its line says to which step training went back ("back_to"), and
the lines before it that come after that step are of a way that was abandoned.

Each line carries the format, for a journal is cut, and begun anew where it was lost: no line is sure to stay
the first one. A line without it is of format 1.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from creuset.errors import CheckpointError
from creuset.files import disk_errors, write_atomic

FORMAT = 1

Event = Literal[
    "train",
    "validation",
    "sample",
    "calibration",
    "collapse",
    "alarm",
    "rollback",
    "checkpoint",
    "resume",
    "stop",
]


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
            "format": FORMAT,
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

    def close(self) -> None:
        self._file.close()


def read_journal(path: Path) -> Iterator[dict[str, Any]]:
    """The journal's lines; a last line that a killed process left unfinished is passed over.

    Raises:
        CheckpointError: A line is damaged, or a newer creuset wrote it.
    """
    if not path.exists():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                return
            yield parse_line(line, f"{path}:{number}")


def parse_line(line: bytes, where: object) -> dict[str, Any]:
    """The event of a whole line.

    Raises:
        CheckpointError: The line is damaged, or a newer creuset wrote it.
    """
    document = _parsed(line, where)
    if document is None:
        raise CheckpointError(
            "this line of the journal is damaged",
            where=where,
            got=repr(line[:60].decode(errors="replace")),
            expected="a JSON object with a step",
            next_step="delete the line",
        )
    return document


def go_back(path: Path, *, length: int, step: int) -> CheckpointError | None:
    """Cuts the journal back to where a checkpoint was made; says so where it is no longer that journal.

    Where it was deleted, cut short or damaged, what can be read of the time up to the checkpoint is kept: a
    lost line is no reason not to go on with whole weights.

    Args:
        path: The journal; may not exist.
        length: Its bytes when the checkpoint was made.
        step: The checkpoint's step.

    Returns:
        What is missing, or None.

    Raises:
        CheckpointError: A newer creuset wrote the journal.
    """
    content = path.read_bytes() if path.exists() else b""
    lines = content[:length].splitlines(keepends=True)
    begin = max((place for place, line in enumerate(lines, 1) if _is_rollback(line, path)), default=0)
    if len(content) >= length and all(
        _parsed(line, path) is not None if place < begin else _belongs(line, step, path)
        for place, line in enumerate(lines)
    ):
        if len(content) > length:
            with disk_errors(path), path.open("rb+") as file:
                file.truncate(length)
                os.fsync(file.fileno())
        return None
    kept = b"".join(
        line
        for line in content.splitlines(keepends=True)
        if _belongs(line, step, path) and not _is_of_the_checkpoint(json.loads(line), step)
    )
    write_atomic(path, kept)
    return CheckpointError(
        f"some of what happened before step {step} is missing from the journal; the weights are whole",
        where=path,
        got=f"{len(kept)} bytes of whole lines up to step {step}",
        expected=f"{length} bytes",
    )


def _belongs(line: bytes, step: int, path: Path) -> bool:
    """Whether a line is whole, and of an event up to a step."""
    document = _parsed(line, path) if line.endswith(b"\n") else None
    return document is not None and document["step"] <= step


def without_abandoned(lines: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The lines of the way that led to the last one: none of what a rollback undid, nor of the rollback."""
    kept: list[dict[str, Any]] = []
    for line in lines:
        if line["event"] == "rollback":
            kept = [one for one in kept if one["step"] <= line["values"]["back_to"]]
        else:
            kept.append(line)
    return kept


def _is_rollback(line: bytes, path: Path) -> bool:
    document = _parsed(line, path)
    return document is not None and document.get("event") == "rollback"


def _is_of_the_checkpoint(document: Mapping[str, Any], step: int) -> bool:
    """Whether an event came after the checkpoint of its step was made: whoever goes on writes it again."""
    return bool(document["step"] == step and document.get("event") in ("checkpoint", "resume", "stop"))


def _parsed(line: bytes, where: object) -> dict[str, Any] | None:
    """The document of a line, None where it is none; CheckpointError where a newer creuset wrote it."""
    try:
        document = json.loads(line)
    except ValueError:
        return None
    if not isinstance(document, dict):
        return None
    version = document.get("format", FORMAT)
    if isinstance(version, int) and version > FORMAT:
        raise CheckpointError(
            "written by a newer creuset",
            where=where,
            got=f"format {version}",
            expected=f"format {FORMAT}",
            next_step="upgrade creuset",
        )
    return document if isinstance(document.get("step"), int) else None
