"""Pieces of work that do not depend on each other, side by side on the processor's cores.

torch divides each operation among its threads, which wait for each other at the end of every one. Pieces that
are large and independent are done sooner with one thread each.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, islice
from typing import TypeVar

import torch

Piece = TypeVar("Piece")
Result = TypeVar("Result")

_AHEAD = 2
"""Pieces a thread that are taken before the first of them is asked for."""


def map_on_cores(function: Callable[[Piece], Result], pieces: Iterable[Piece]) -> Iterator[Result]:
    """The function's result for each piece, in order; pieces are taken while others are computed.

    As many pieces are computed at once as torch has threads, with one of torch's threads each. One piece
    alone is computed with all of them, by the caller's thread.

    Args:
        function: Called from several threads at once; modes of torch that belong to a thread, such as
            inference_mode, are its own to enter.
        pieces: Any number; at most a few are held at once.

    Raises:
        Exception: What `function` or `pieces` raised, when its turn comes.
    """
    source = iter(pieces)
    first = list(islice(source, 2))
    num_threads = torch.get_num_threads()
    if len(first) < 2 or num_threads == 1:
        yield from map(function, chain(first, source))
        return
    pool = ThreadPoolExecutor(num_threads)
    try:
        _give_one_thread_each(pool, num_threads)
        waiting: deque[Future[Result]] = deque()
        for piece in chain(first, source):
            waiting.append(pool.submit(function, piece))
            if len(waiting) >= _AHEAD * num_threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _give_one_thread_each(pool: ThreadPoolExecutor, num_threads: int) -> None:
    """Starts the pool's threads, and has torch use none but themselves within them.

    torch keeps the number for each thread, and one more that a thread takes over when it first asks: asking
    comes before setting, and the number for threads to come is put back.
    """
    together = threading.Barrier(num_threads + 1)

    def start() -> None:
        torch.get_num_threads()
        torch.set_num_threads(1)
        together.wait()

    for _ in range(num_threads):
        pool.submit(start)
    together.wait()
    torch.set_num_threads(num_threads)
