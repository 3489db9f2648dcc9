"""A signal to stop is told once, and everything is as it was afterwards."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from sreval.progress import stop_signals

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_is_told_and_a_second_acts_as_before(number: int) -> None:
    class SecondError(Exception):
        pass

    def second(*_: object) -> None:
        raise SecondError

    before = signal.signal(number, second)
    told: list[str] = []
    try:
        with stop_signals(lambda: told.append("told")) as received:
            os.kill(os.getpid(), number)
            assert (received, told) == ([number], ["told"])
            with pytest.raises(SecondError):
                os.kill(os.getpid(), number)
        assert signal.getsignal(number) is second
    finally:
        signal.signal(number, before)


def test_more_signals_and_patience_with_repeated_ones() -> None:
    before = signal.getsignal(signal.SIGUSR1)
    with stop_signals(more=(signal.SIGUSR1,), patient=True) as received:
        for number in (signal.SIGUSR1, signal.SIGUSR1, signal.SIGTERM):
            os.kill(os.getpid(), number)
        assert received == [signal.SIGUSR1]
    assert signal.getsignal(signal.SIGUSR1) is before


def test_a_hang_up_under_nohup_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_signals() as received:
            os.kill(os.getpid(), signal.SIGHUP)
            assert received == []
    finally:
        signal.signal(signal.SIGHUP, before)


def test_outside_the_main_thread_nothing_is_handled() -> None:
    handlers = [signal.getsignal(number) for number in SIGNALS]
    seen: list[object] = []

    def work() -> None:
        with stop_signals() as received:
            seen.append((received, [signal.getsignal(number) for number in SIGNALS]))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [([], handlers)]
