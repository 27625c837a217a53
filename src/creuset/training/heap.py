"""Gives memory that was freed back to the system, where the C library would keep it.

A training on texts makes tensors of other sizes in each step. What is freed of them the GNU C library keeps
in pieces, which later tensors fit into badly: what the process held grew by 33 MB with each step of SmolLM2,
though its tensors did not. Of rows of unlike lengths the first step has the longest batch
(training/batches.py), so that what is held after it is what training needs. A run that is resumed begins with
any batch, and gives back more often than it must: at most after each step, for a fifteenth of its time.
"""

import ctypes
import sys
import time
from collections.abc import Callable

from creuset.device import memory_bytes

_MOST = 1.05
"""What may be held, as a multiple of that after the first step."""
_SECONDS_BETWEEN_LOOKS = 1.0
"""Looking takes some 30 microseconds, which steps of a millisecond would notice."""


class Heap:
    """What a training process holds, watched step by step.

    Args:
        held: Tells the bytes that the process holds.
        give_back: Gives what was freed back to the system; None for malloc_trim, where there is one.
        now: Tells the seconds.
    """

    def __init__(
        self,
        held: Callable[[], int] = memory_bytes,
        give_back: Callable[[], object] | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._held, self._now = held, now
        self._give_back = _malloc_trim() if give_back is None else give_back
        self._after_first: int | None = None
        self._next_look = float("-inf")

    def after_step(self) -> None:
        """Gives back what was freed, if the process holds more than after the first step by a twentieth."""
        if self._give_back is None or self._now() < self._next_look:
            return
        self._next_look = self._now() + _SECONDS_BETWEEN_LOOKS
        held = self._held()
        if self._after_first is None:
            self._after_first = held
        elif held > _MOST * self._after_first:
            self._give_back()


def _malloc_trim() -> Callable[[], object] | None:
    """malloc_trim(0) of the GNU C library; None of others."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError):  # musl has none
        return None
    return lambda: trim(ctypes.c_size_t(0))
