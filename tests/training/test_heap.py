"""What a training process holds: given back where it grew."""

import ctypes
import sys

import pytest

from creuset.device import memory_bytes
from creuset.training.heap import Heap


def test_nothing_is_given_back_before_it_grew() -> None:
    held = iter([1000, 900, 1040, 1051, 700, 1049, 2000])
    given: list[int] = []
    seconds = iter(range(0, 100, 2))
    heap = Heap(lambda: next(held), lambda: given.append(1), lambda: next(seconds))
    counts = []
    for _ in range(7):
        heap.after_step()
        counts.append(len(given))
    assert counts == [0, 0, 0, 1, 1, 1, 2]


def test_short_steps_are_looked_at_once_a_second() -> None:
    looks: list[float] = []
    clock = [0.0]

    def held() -> int:
        looks.append(clock[0])
        return 1000

    heap = Heap(held, lambda: None, lambda: clock[0])
    for step in range(32):
        clock[0] = step / 8
        heap.after_step()
    assert looks == [0.0, 1.0, 2.0, 3.0]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="of the GNU C library")
def test_what_was_freed_goes_back_to_the_system() -> None:
    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]
    seconds = iter([0.0, 0.0, 2.0, 2.0])
    heap = Heap(now=lambda: next(seconds))
    heap.after_step()
    before = memory_bytes()
    pieces = [libc.malloc(100_000) for _ in range(4000)]  # 400 MB, below what is mapped by itself
    for piece in pieces:
        ctypes.memset(piece, 1, 100_000)
    for piece in pieces[:-1]:  # the last one holds the heap's end where it is
        libc.free(piece)
    grown = memory_bytes() - before
    if grown < 200_000_000:
        pytest.skip("this C library gave it back by itself")
    heap.after_step()
    assert memory_bytes() - before < 100_000_000
    libc.free(pieces[-1])
