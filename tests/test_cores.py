"""Independent pieces of work side by side."""

import threading
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor

import pytest
import torch

from creuset.cores import map_on_cores


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before, threads = torch.get_num_threads(), set(threading.enumerate())
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)
    assert set(threading.enumerate()) <= threads


def number_in_a_new_thread() -> int:
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    return found[0]


def test_results_come_in_the_order_of_the_pieces_whichever_is_done_first() -> None:
    second_done = threading.Event()

    def work(piece: int) -> int:
        if piece == 0:
            assert second_done.wait(60)
        if piece == 1:
            second_done.set()
        return piece * piece

    assert list(map_on_cores(work, range(20))) == [piece * piece for piece in range(20)]


def test_each_piece_has_one_thread_and_all_others_keep_theirs() -> None:
    found = list(map_on_cores(lambda _: (torch.get_num_threads(), threading.get_ident()), range(8)))
    assert {threads for threads, _ in found} == {1}
    assert threading.get_ident() not in {thread for _, thread in found}
    assert torch.get_num_threads() == 2
    assert number_in_a_new_thread() == 2


def test_fewer_pieces_than_threads_have_all_threads() -> None:
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
    assert len(taken) <= 4
    results.close()  # type: ignore[attr-defined]
    assert len(taken) <= 4


@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_comes_in_its_turn(threads: int) -> None:
    def work(piece: int) -> int:
        if piece == 2:
            raise ValueError(f"piece {piece}")
        return piece

    torch.set_num_threads(threads)
    results = map_on_cores(work, range(50))
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ValueError, match="piece 2"):
        next(results)


def test_an_error_of_the_pieces_is_given_on() -> None:
    def pieces() -> Iterator[int]:
        yield from range(9)
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        list(map_on_cores(abs, pieces()))


def test_pieces_may_be_divided_again_and_two_callers_may_ask_at_once() -> None:
    def work(piece: int) -> int:
        return sum(map_on_cores(abs, range(piece)))

    found: list[list[int]] = []
    callers = [
        threading.Thread(target=lambda: found.append(list(map_on_cores(work, range(30))))) for _ in range(2)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert found == [[piece * (piece - 1) // 2 for piece in range(30)]] * 2
    assert torch.get_num_threads() == number_in_a_new_thread() == 2


@pytest.mark.parametrize("allowed", [0, 1, 2])
def test_where_no_more_threads_can_be_started_it_is_an_error(
    monkeypatch: pytest.MonkeyPatch, allowed: int
) -> None:
    start, left = threading.Thread.start, [allowed]

    def limited(thread: threading.Thread) -> None:
        if not left[0]:
            raise RuntimeError("can't start new thread")
        left[0] -= 1
        start(thread)

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", limited)
        with pytest.raises((RuntimeError, BrokenExecutor)):
            list(map_on_cores(abs, range(8)))
    assert torch.get_num_threads() == 2
