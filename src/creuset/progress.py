"""How long work reports that it goes on, without printing: the command line decides what is shown."""

from collections.abc import Mapping
from typing import Protocol

TRAINED_BEGIN, TRAINED_END = "⟦", "⟧"
"""Around what is trained of a text that is told; a terminal shows it in colour instead."""


class Progress(Protocol):
    """Watches one piece of work after another."""

    def start(self, task: str, total: float | None, unit: str) -> None:
        """A piece of work begins; `total` counts `unit`s (steps, B, pictures), None when not known."""

    def advance(self, done: float, values: Mapping[str, float] | None = None) -> None:
        """`done` units of the current piece are finished in all; `values` may be shown beside the bar."""

    def finish(self) -> None:
        """The current piece is over."""

    def say(self, message: str) -> None:
        """One line for the user, such as a choice that was made."""


class Silent:
    """Shows nothing: the default of the Python API."""

    def start(self, task: str, total: float | None, unit: str) -> None: ...

    def advance(self, done: float, values: Mapping[str, float] | None = None) -> None: ...

    def finish(self) -> None: ...

    def say(self, message: str) -> None: ...
