"""Pieces of work that do not depend on each other, side by side on the processor's cores.

torch divides each operation among its threads, which wait for each other at the end of every one. Many pieces
that do not depend on each other need not wait: each is computed with one thread.

How torch keeps the number: aten/src/ATen/ParallelOpenMP.cpp, one for the process, and one for each thread,
which takes over the process's when it first asks.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, islice
from threading import Thread
from typing import TypeVar

import torch

Piece = TypeVar("Piece")
Result = TypeVar("Result")

_AHEAD = 2
"""Pieces a thread that are taken before the first of them is asked for."""


def map_on_cores(function: Callable[[Piece], Result], pieces: Iterable[Piece]) -> Iterator[Result]:
    """The function's result for each piece, in order; pieces are taken while others are computed.

    As many pieces are computed at once as torch has threads here. Fewer pieces than that are computed one
    after another, with all threads. Each call has threads of its own: two at once share the cores. A foreign
    thread that uses torch for the first time just while these are started may keep one thread for its own.

    Args:
        function: Called from several threads at once; modes of torch that belong to a thread, such as
            inference_mode, are its own to enter.
        pieces: Any number; at most twice as many as threads are held at once.

    Raises:
        Exception: What `function` raised, in its turn; what `pieces` raised, as soon as it does, without the
            results that have not been given yet.
    """
    num_threads = torch.get_num_threads()
    source = iter(pieces)
    first = list(islice(source, num_threads))
    if num_threads == 1 or len(first) < num_threads:
        yield from map(function, chain(first, source))
        return
    pool = ThreadPoolExecutor(num_threads, initializer=_use_one_thread, initargs=(num_threads,))
    try:
        waiting: deque[Future[Result]] = deque()
        for piece in chain(first, source):
            waiting.append(pool.submit(function, piece))
            if len(waiting) >= _AHEAD * num_threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _use_one_thread(others: int) -> None:
    """torch computes with one thread in this thread from now on, and with `others` in those to come."""
    torch.get_num_threads()  # takes over the process's number, which it would do later otherwise
    torch.set_num_threads(1)
    putting_back = Thread(target=torch.set_num_threads, args=(others,))
    putting_back.start()
    putting_back.join()
