import os
import signal
import threading
import time

import pytest

from creuset.training import stopping
from creuset.training.stopping import Patience, StopRequest, TimeLimit


def test_patience_counts_validations_without_a_better_one() -> None:
    patience = Patience(2)
    seen = [(patience.see(loss), patience.exhausted()) for loss in (3.0, 2.0, 2.0, 1.5, 1.6, 1.5)]
    assert [best for best, _ in seen] == [True, True, False, True, False, False]
    assert [over for _, over in seen] == [False, False, False, False, False, True]
    assert patience.best == 1.5


def test_without_a_limit_patience_never_ends() -> None:
    patience = Patience(None)
    assert [patience.see(loss) for loss in (1.0, *(2.0,) * 50)].count(True) == 1
    assert (patience.waited, patience.exhausted()) == (50, False)


def test_a_time_limit_is_reached() -> None:
    assert not TimeLimit(None).reached()
    assert not TimeLimit(60).reached()
    limit = TimeLimit(0.01)
    time.sleep(0.02)
    assert limit.reached()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_remembered(number: signal.Signals) -> None:
    handlers = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    with StopRequest().listening() as request:
        assert request.signal_number is None
        os.kill(os.getpid(), number)
        time.sleep(0.001)
        assert request.signal_number == number
    assert [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == handlers


def test_nohup_is_left_in_force() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopRequest().listening() as request:
            os.kill(os.getpid(), signal.SIGHUP)
            time.sleep(0.001)
            assert request.signal_number is None
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_the_first_signal_counts_and_its_echo_is_no_second_one() -> None:
    with StopRequest().listening() as request:
        for number in (signal.SIGINT, signal.SIGINT, signal.SIGTERM):
            os.kill(os.getpid(), number)
            time.sleep(0.001)
        assert request.signal_number == signal.SIGINT


def test_a_later_interrupt_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopping, "_SAME_REQUEST_SECONDS", 0.0)

    def interrupt_twice() -> None:
        with StopRequest().listening():
            for _ in range(2):
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(0.001)

    with pytest.raises(KeyboardInterrupt):
        interrupt_twice()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_in_another_thread_there_is_nothing_to_listen_to() -> None:
    found: list[int | None] = []

    def work() -> None:
        with StopRequest().listening() as request:
            found.append(request.signal_number)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [None]
