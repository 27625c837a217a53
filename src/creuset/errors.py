"""Every error that a user of creuset can meet, and the exit code of each.

    CreusetError                1   failed while working
    ├── UsageError              2   the call or the configuration is wrong; nothing was started
    │   ├── RecipeError         2   a recipe, with every problem as file:line:column
    │   └── DataError           2   data that cannot be used as asked
    │       └── RowsError       2   rows of a file that nothing is learned from, or something else
    ├── NotFoundError           3   a named thing is not there
    ├── GateError               4   a gate said no
    ├── ResourceError           5   out of memory or disk; the last checkpoint is kept
    ├── BlockedError            6   offline, a wrong hash, a licence not accepted
    ├── CheckpointError         1   a damaged checkpoint, or one of another model
    ├── NumericalError          1   NaN or infinity while training
    └── Interrupted   129/130/143   stopped by SIGHUP, Ctrl-C or SIGTERM, after a clean checkpoint

An error says where, what was got, what was expected and what to do next, each in its own argument, so
that no raise site has to format them.
"""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field


class CreusetError(Exception):
    """Something went wrong that a user should read as a sentence, not as a traceback.

    Args:
        message: What went wrong, in one line.
        where: The file, field or object it concerns; printed first.
        got: What was found.
        expected: What would have been right.
        next_step: What to do or type next.
    """

    exit_code = 1

    def __init__(
        self,
        message: str,
        *,
        where: object = None,
        got: object = None,
        expected: object = None,
        next_step: str | None = None,
    ) -> None:
        self.message = message
        self.where = where
        self.got = got
        self.expected = expected
        self.next_step = next_step
        super().__init__(message)

    def __str__(self) -> str:
        lines = [self.message if self.where is None else f"{self.where}: {self.message}"]
        if self.got is not None:
            lines.append(f"  got: {self.got}")
        if self.expected is not None:
            lines.append(f"  expected: {self.expected}")
        if self.next_step is not None:
            lines.append(f"  next: {self.next_step}")
        return "\n".join(lines)


class UsageError(CreusetError):
    """The call or the configuration is wrong; nothing was started."""

    exit_code = 2


@dataclass(frozen=True, kw_only=True, order=True)
class Problem:
    """One thing wrong in a file, at a place that an editor can jump to (line and column count from 1)."""

    file: str
    line: int
    column: int
    message: str
    shown: str = field(default="", compare=False)
    """What stands there, for people; "" where the place alone is told."""

    def __str__(self) -> str:
        told = f"{self.file}:{self.line}:{self.column}: {self.message}"
        return f"{told}\n        {self.shown}" if self.shown else told


class RecipeError(UsageError):
    """A recipe with all of its problems, in the order of the file."""

    def __init__(self, problems: Sequence[Problem], *, next_step: str | None = None) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems), next_step=next_step)


class DataError(UsageError):
    """Data that cannot be used as asked."""


class RowsError(DataError):
    """Rows of a file, each by its place, that nothing is learned from, or something else than is meant.

    Raised where a file is read; a tuning refuses it at its gate (`GateError`).
    """


class NotFoundError(CreusetError):
    """A file, run, model or data set that was named is not there."""

    exit_code = 3


class GateError(CreusetError):
    """A check that guards against a useless or harmful result said no."""

    exit_code = 4


class ResourceError(CreusetError):
    """Memory or disk ran out; what was saved before is kept."""

    exit_code = 5


class BlockedError(CreusetError):
    """Not allowed: offline, a hash that does not match, a licence that was not accepted."""

    exit_code = 6


class CheckpointError(CreusetError):
    """A checkpoint that is damaged, incomplete, or of another model."""


class NumericalError(CreusetError):
    """A loss, gradient or parameter became NaN or infinite."""


class Interrupted(CreusetError):
    """Stopped by a signal after a clean checkpoint; the exit code is 128 plus the signal's number."""

    def __init__(self, message: str, *, signal_number: int, next_step: str | None = None) -> None:
        self.exit_code = 128 + signal_number
        super().__init__(message, next_step=next_step)


def nearest(name: str, options: Iterable[str]) -> str | None:
    """The option closest in spelling to `name`, or None when none is close."""
    matches = difflib.get_close_matches(name, list(options), n=1, cutoff=0.6)
    return matches[0] if matches else None


def did_you_mean(name: str, options: Iterable[str]) -> str:
    """`; did you mean "x"?` for the nearest option, else the list of those there are."""
    known = list(options)
    match = nearest(name, known)
    if match is not None:
        return f'; did you mean "{match}"?'
    return f"; there is: {', '.join(known)}" if known else ""
