"""What a training tells: journal lines, TensorBoard events and progress, each from the same numbers."""

from collections.abc import Mapping
from pathlib import Path

from creuset.progress import Progress
from creuset.runs.events import EventFile
from creuset.runs.journal import Event, Journal, read_journal, without_abandoned


class Recorder:
    """Writes what happens in a run; on all but the first process of a training it writes nothing.

    Args:
        journal: The run's journal, or None to write nothing at all.
        tensorboard: The folder of event files.
        step: The steps done before this recording.
        progress: Who watches.
    """

    def __init__(
        self, journal: Journal | None, tensorboard: Path | None, *, step: int, progress: Progress
    ) -> None:
        self._journal = journal
        self.progress = progress
        self._events: EventFile | None = None
        if tensorboard is not None:
            self._events = EventFile(tensorboard, start=step)
            if journal is not None:
                # a viewer drops this step of the earlier files, and the journal still has it
                for line in without_abandoned(read_journal(journal.path)):
                    if line["step"] == step:
                        self._scalars(step, line["event"], line["values"], line["player"])

    def record(
        self,
        step: int,
        event: Event,
        values: Mapping[str, float | str],
        *,
        clock: Mapping[str, float],
        player: str | None = None,
    ) -> None:
        """One line of the journal, and its numbers as TensorBoard scalars "event/player/name"."""
        if self._journal is not None:
            self._journal.append(step, event, values, player=player, clock=clock)
        self._scalars(step, event, values, player)

    def _scalars(self, step: int, event: str, values: Mapping[str, float | str], player: str | None) -> None:
        if self._events is None:
            return
        prefix = event if player is None else f"{event}/{player}"
        for name, value in values.items():
            if not isinstance(value, str):
                self._events.scalar(f"{prefix}/{name}", value, step)

    def sync(self) -> int:
        """Makes the journal survive a power cut; returns its length in bytes (0 where there is none)."""
        return 0 if self._journal is None else self._journal.sync()

    def close(self) -> None:
        if self._events is not None:
            self._events.close()
        if self._journal is not None:
            self._journal.close()
