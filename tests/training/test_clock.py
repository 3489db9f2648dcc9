"""Time that a run is stopped isn't counted, and what a clock makes of the rest."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from sreval.training.clock import Clock, Stopwatch

NEAR = 0.6
"""Seconds that a look may be late on a loaded machine."""

CHILD = """
import select, sys, threading, time
from sreval.training.clock import Stopwatch

def count():
    with Stopwatch() as watch:
        began = time.monotonic() - watch.seconds()
        NESTED
        print("counting", flush=True)
        last = watch.seconds()
        leap = 0.0
        while not select.select([sys.stdin], [], [], PAUSE)[0]:
            now = watch.seconds()
            leap, last = max(leap, now - last), now
        print(time.monotonic() - began, watch.seconds(), leap, flush=True)

CALL
"""


def stopped_for(seconds: float, pause: str, call: str = "count()", nested: str = "") -> list[float]:
    """What a child that is stopped meanwhile has counted.

    The seconds from its beginning to its end, those that it counted, the most between two looks,
    and how long it was stopped.
    """
    code = CHILD.replace("PAUSE", pause).replace("CALL", call).replace("NESTED", nested or "pass")
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout
        assert child.stdout.readline() == "counting\n"
        time.sleep(0.2)
        child.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, child.pid, os.WSTOPPED)
        began = time.monotonic()
        time.sleep(seconds)
        stopped = time.monotonic() - began
        child.send_signal(signal.SIGCONT)
        os.waitid(os.P_PID, child.pid, os.WCONTINUED)
        time.sleep(0.2)
        said, _ = child.communicate("end\n", timeout=60)
        assert child.returncode == 0
    return [*map(float, said.split()), stopped]


@pytest.mark.parametrize("pause", ["0", "0.2"])
def test_time_between_sigstop_and_sigcont_is_not_counted(pause: str) -> None:
    passed, counted, leap, stopped = stopped_for(2, pause)
    assert counted == pytest.approx(passed - stopped, abs=NEAR)
    # nor is it for a moment after the stop, when it would end a run
    assert leap < 2 - NEAR


def test_a_watch_within_a_watch_gives_it_its_signal_back() -> None:
    passed, counted, _, stopped = stopped_for(2, "0.2", nested="\n        with Stopwatch(): pass")
    assert counted == pytest.approx(passed - stopped, abs=NEAR)


def test_outside_the_main_thread_all_time_counts() -> None:
    call = "thread = threading.Thread(target=count); thread.start(); thread.join()"
    passed, counted, _, _ = stopped_for(1, "0.2", call)
    assert counted == pytest.approx(passed, abs=0.1)


@pytest.fixture
def own_handler() -> Iterator[tuple[object, int]]:
    """A handler of SIGCONT and a wake-up file that somebody else has set."""

    def handler(*_: object) -> None:
        pass

    reader, writer = socket.socketpair()
    writer.setblocking(False)
    before = signal.signal(signal.SIGCONT, handler), signal.set_wakeup_fd(writer.fileno())
    yield handler, writer.fileno()
    signal.signal(signal.SIGCONT, before[0])
    signal.set_wakeup_fd(before[1])
    reader.close()
    writer.close()


@pytest.mark.parametrize("fails", [False, True])
def test_handler_and_wake_up_file_are_put_back(
    own_handler: tuple[object, int], fails: bool
) -> None:
    handler, file = own_handler

    def watched() -> None:
        with Stopwatch():
            assert signal.getsignal(signal.SIGCONT) is not handler
            if fails:
                raise KeyboardInterrupt

    if fails:
        with pytest.raises(KeyboardInterrupt):
            watched()
    else:
        watched()
    assert signal.getsignal(signal.SIGCONT) is handler
    assert signal.set_wakeup_fd(file) == file


def test_a_continue_without_a_stop_takes_no_more_than_a_beat() -> None:
    with Stopwatch() as watch:
        began = time.monotonic() - watch.seconds()
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGCONT)
            time.sleep(0.1)
        passed = time.monotonic() - began
        assert passed - 2 * NEAR < watch.seconds() <= passed


class Hand(Stopwatch):
    """A watch that is set by hand."""

    now = 0.0

    def seconds(self) -> float:
        return self.now


def clock(total: float | None, before: float = 0.0, step: int = 0) -> tuple[Hand, Clock]:
    hand = Hand()
    hand.now = 7.0  # what passed before the clock was made isn't the run's
    return hand, Clock(hand, before, step, total)


def test_done_is_one_where_the_time_that_is_kept_free_begins() -> None:
    hand, run = clock(100.0)
    with run.validation():
        hand.now += 8
    with run.checkpoint():
        hand.now += 2
    free = 1.25 * 8 + 2  # a validation may take longer than the one before
    shares = []
    for seconds in (10, 44, 88, 95):
        hand.now = 7.0 + seconds
        shares.append(run.done())
    assert shares == pytest.approx([10 / (100 - free), 0.5, 1.0, 1.0])


def test_a_run_is_over_when_one_more_update_would_not_fit() -> None:
    hand, run = clock(100.0)
    with run.checkpoint():
        hand.now += 2
    hand.now += 15
    run.count(5)  # 3 s each
    hand.now = 7.0 + 94.9
    assert not run.over()
    hand.now = 7.0 + 95.1
    assert run.over()
    assert run.done() < 1


def test_a_time_that_holds_nothing_is_over_at_once() -> None:
    _, run = clock(0.5)
    assert run.done() == 1.0
    assert run.over()


def test_a_run_of_given_updates_is_never_over_by_its_clock() -> None:
    hand, run = clock(None)
    hand.now = 1e9
    assert not run.over()
    assert not run.no_time_to_validate()


def test_validations_come_a_dozen_times_or_for_a_twentieth_of_the_time() -> None:
    hand, run = clock(120.0)
    with run.validation():
        hand.now += 0.1
    hand.now = run.validated + 7 + 9.9
    assert not run.validation_due()
    hand.now = run.validated + 7 + 10.1
    assert run.validation_due()
    with run.validation():
        hand.now += 1
    assert not run.validation_due()
    hand.now += 19.9
    assert not run.validation_due()
    hand.now += 0.2
    assert run.validation_due()


def test_a_validation_ends_where_the_run_would_be_over_its_time() -> None:
    hand, run = clock(100.0)
    with run.checkpoint():
        hand.now += 3
    hand.now = 7.0 + 97.9
    assert not run.no_time_to_validate()
    hand.now = 7.0 + 98.1
    assert run.no_time_to_validate()


def test_validation_and_saving_are_no_part_of_the_rate() -> None:
    hand, run = clock(None)
    hand.now += 4
    with run.validation():
        hand.now += 50
    with run.checkpoint():
        hand.now += 30
    hand.now += 1
    run.count(10)
    assert run.rate() == pytest.approx(2.0)
    run.lap()
    assert run.rate() == pytest.approx(2.0)  # until the next lap has an update
    hand.now += 1
    run.count(14)
    assert run.rate() == pytest.approx(4.0)


def test_a_validation_that_fails_is_no_part_of_the_rate_either() -> None:
    hand, run = clock(None)

    def fails() -> None:
        with run.validation():
            hand.now += 50
            raise ValueError

    with pytest.raises(ValueError):
        fails()
    hand.now += 5
    run.count(10)
    assert run.rate() == pytest.approx(2.0)


def test_a_resumed_run_goes_on_at_its_seconds_and_updates() -> None:
    hand, run = clock(100.0, before=60.0, step=30)
    assert run.seconds() == 60.0
    assert run.rate() == 0.0
    hand.now += 20
    run.count(40)
    assert run.rate() == pytest.approx(0.5)
    assert run.done() == pytest.approx(80 / 99)  # a second is kept free for the first saving
