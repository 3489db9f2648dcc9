"""Signals that ask a long piece of work to come to an end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_HANGUP = getattr(signal, "SIGHUP", signal.SIGTERM)  # Windows has none
_STOPPING = (signal.SIGINT, signal.SIGTERM, _HANGUP)


@contextmanager
def stop_signals(told: Callable[[], object] = lambda: None) -> Iterator[list[int]]:
    """A list that the first signal to stop puts its number into; a second acts as it always did.

    The signals are SIGINT, SIGTERM and SIGHUP, the last one not under nohup. ``told`` is called
    when one came. Python handles signals in its main thread alone: in others the list stays empty.
    """
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    before = {number: signal.getsignal(number) for number in _STOPPING}
    if before.get(_HANGUP) is signal.SIG_IGN:
        del before[_HANGUP]

    def receive(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        for each, handler in before.items():
            signal.signal(each, handler)
        told()

    for number in before:
        signal.signal(number, receive)
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
