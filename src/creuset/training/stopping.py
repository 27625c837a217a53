"""When a training ends before its last step: a signal, the time limit, or no more progress."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SAME_REQUEST_SECONDS = 1.0
"""Signals so close together are one request: torchrun passes on a Ctrl-C that its processes got, too."""


class StopRequest:
    """Remembers the first SIGINT, SIGTERM or SIGHUP (a closed terminal); a later SIGINT interrupts at once.

    SIGHUP stays ignored where it was: that is what `nohup` asks for.
    """

    def __init__(self) -> None:
        self.signal_number: int | None = None
        self._came = 0.0

    @contextmanager
    def listening(self) -> Iterator["StopRequest"]:
        """Within the block, signals are remembered instead of ending the process.

        Signals come to a program's main thread alone, so in another one there is nothing to listen to.
        """
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        numbers = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            numbers.append(signal.SIGHUP)
        before = {number: signal.signal(number, self._remember) for number in numbers}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _remember(self, number: int, _frame: FrameType | None) -> None:
        if self.signal_number is None:
            self.signal_number, self._came = number, time.monotonic()
        elif number == signal.SIGINT and time.monotonic() - self._came >= _SAME_REQUEST_SECONDS:
            raise KeyboardInterrupt


class TimeLimit:
    """Says when `seconds` have gone by since it was made; never, when None."""

    def __init__(self, seconds: float | None) -> None:
        self._end = None if seconds is None else time.monotonic() + seconds

    def reached(self) -> bool:
        return self._end is not None and time.monotonic() >= self._end


class Patience:
    """Tracks the best validation loss, and how many validations since have been no better.

    Args:
        limit: Validations without a better loss after which to stop; None never stops.
    """

    def __init__(self, limit: int | None) -> None:
        self.limit = limit
        self.best: float | None = None
        self.waited = 0

    def see(self, loss: float) -> bool:
        """Takes in a validation loss; True when it is the best so far."""
        if self.best is None or loss < self.best:
            self.best, self.waited = loss, 0
            return True
        self.waited += 1
        return False

    def exhausted(self) -> bool:
        return self.limit is not None and self.waited >= self.limit
