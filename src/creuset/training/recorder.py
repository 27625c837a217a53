"""What a training tells: journal lines, TensorBoard events and progress, each from the same numbers."""

import math
from collections.abc import Mapping
from pathlib import Path

from creuset.progress import Progress
from creuset.runs.journal import Event, Journal


class Recorder:
    """Writes what happens in a run; on all but the first process of a training it writes nothing.

    Args:
        journal: The run's journal, or None to write nothing at all.
        tensorboard: The folder of event files.
        step: The step at which this recording begins; above 0 the event file says that it goes on from there.
        progress: Who watches.
    """

    def __init__(
        self, journal: Journal | None, tensorboard: Path | None, *, step: int, progress: Progress
    ) -> None:
        self._journal = journal
        self.progress = progress
        self._writer = None
        if tensorboard is not None:
            from tensorboardX import SummaryWriter

            # purge_step writes a SessionLog START, on which TensorBoard drops what a killed process left
            self._writer = SummaryWriter(str(tensorboard), purge_step=step if step > 0 else None)

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
        if self._writer is not None:
            prefix = event if player is None else f"{event}/{player}"
            for name, value in values.items():
                if not isinstance(value, str) and math.isfinite(value):
                    self._writer.add_scalar(f"{prefix}/{name}", value, step)

    def sync(self) -> int:
        """Makes the journal survive a power cut; returns its length in bytes (0 where there is none)."""
        return 0 if self._journal is None else self._journal.sync()

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        if self._journal is not None:
            self._journal.close()
