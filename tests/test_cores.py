"""Independent pieces of work side by side."""

import threading
from collections.abc import Iterator

import pytest
import torch

from creuset.cores import map_on_cores


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_results_come_in_the_order_of_the_pieces_whichever_is_done_first() -> None:
    second_done = threading.Event()

    def work(piece: int) -> int:
        if piece == 0:
            assert second_done.wait(60)
        if piece == 1:
            second_done.set()
        return piece * piece

    assert list(map_on_cores(work, range(20))) == [piece * piece for piece in range(20)]


def test_each_piece_has_one_thread_and_the_caller_keeps_its_own() -> None:
    found = list(map_on_cores(lambda _: (torch.get_num_threads(), threading.get_ident()), range(8)))
    assert {threads for threads, _ in found} == {1}
    assert threading.get_ident() not in {thread for _, thread in found}
    assert torch.get_num_threads() == 2
    later: list[int] = []
    thread = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert later == [2]  # threads that are made afterwards too


def test_one_piece_alone_has_all_threads() -> None:
    assert list(map_on_cores(lambda _: (torch.get_num_threads(), threading.get_ident()), [0])) == [
        (2, threading.get_ident())
    ]
    assert list(map_on_cores(abs, [])) == []


def test_pieces_are_taken_only_as_they_are_needed() -> None:
    taken: list[int] = []

    def pieces() -> Iterator[int]:
        for piece in range(100):
            taken.append(piece)
            yield piece

    results = map_on_cores(abs, pieces())
    assert next(results) == 0
    assert len(taken) <= 5


@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_comes_in_its_turn_and_leaves_no_thread_behind(threads: int) -> None:
    def work(piece: int) -> int:
        if piece == 2:
            raise ValueError(f"piece {piece}")
        return piece

    torch.set_num_threads(threads)
    before = threading.active_count()
    results = map_on_cores(work, range(50))
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ValueError, match="piece 2"):
        next(results)
    assert threading.active_count() == before
