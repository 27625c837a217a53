"""A journal read while it is written: each time, the lines that are new."""

from pathlib import Path
from typing import Any

from creuset.runs.journal import parse_line


class JournalReader:
    """Reads on where it stopped the last time.

    A resume cuts the journal and writes on from there. That is seen by the last line read, which is no longer
    in its place: then what still stands as it was read is passed over, and what is new begins with the
    `resume` event after that. Of the lines read only hashes are held.

    Args:
        path: The journal; may not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._hashes: list[int] = []
        self._last = b""
        self._end = 0

    def new_lines(self) -> list[dict[str, Any]]:
        """What was written since the last call; a line that is not finished comes with a later call.

        Raises:
            CheckpointError: A line is damaged, or a newer creuset wrote it.
        """
        content = self._read(self._end - len(self._last))
        was_cut = not content.startswith(self._last)
        lines = self._lines_after_cut() if was_cut else _whole_lines(content[len(self._last) :])
        first = len(self._hashes) + 1
        self._passed(lines)
        events = [parse_line(line, f"{self._path}:{number}") for number, line in enumerate(lines, first)]
        if not was_cut:
            return events
        # the line of a checkpoint that was read already is written again, before the resume
        start = next((at for at, event in enumerate(events) if event["event"] == "resume"), 0)
        return events[start:]

    def _lines_after_cut(self) -> list[bytes]:
        """The lines after those that still stand as they were read."""
        lines, before = _whole_lines(self._read(0)), self._hashes
        kept = 0
        while kept < min(len(lines), len(before)) and hash(lines[kept]) == before[kept]:
            kept += 1
        self._hashes, self._last, self._end = [], b"", 0
        self._passed(lines[:kept])
        return lines[kept:]

    def _passed(self, lines: list[bytes]) -> None:
        """Remembers the lines as read."""
        self._hashes += map(hash, lines)
        self._last = lines[-1] if lines else self._last
        self._end += sum(map(len, lines))

    def _read(self, start: int) -> bytes:
        """The journal's bytes from `start` on; none where it does not exist."""
        if not self._path.exists():
            return b""
        with self._path.open("rb") as file:
            file.seek(start)
            return file.read()


def _whole_lines(content: bytes) -> list[bytes]:
    return [line for line in content.splitlines(keepends=True) if line.endswith(b"\n")]
