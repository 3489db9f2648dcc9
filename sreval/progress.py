"""A long piece of work: how far it is, how long it will take, and the signals that end it."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import IO, TYPE_CHECKING, Any, Self

import click

from sreval.errors import duration

if TYPE_CHECKING:
    from tqdm import tqdm


_HANGUP = getattr(signal, "SIGHUP", signal.SIGTERM)  # Windows has none
_STOPPING = (signal.SIGINT, signal.SIGTERM, _HANGUP)


class ProgressLog:
    """Progress for a pipe or a log: a new line on stderr at most every ``PAUSE`` seconds.

    The first may come after ``SOON`` seconds, so that the time is known early.

    The remaining time goes by the rate since the line before: what an earlier run left is taken
    over at once, and says nothing of the images that are still to be made.
    """

    PAUSE = 30.0
    SOON = 5.0

    def __init__(
        self,
        total: int,
        what: str,
        unit: str,
        clock: Callable[[], float] = time.monotonic,
        say: Callable[[str], None] | None = None,
    ) -> None:
        """``unit`` names one of ``total``, or is B for bytes; ``clock`` gives seconds.

        ``say`` is told the lines, in place of stderr.
        """
        self.total: float = total
        self.n: float = 0
        self._what, self._unit, self._clock = what, unit, clock
        self._postfix = ""
        self._say = say or partial(click.echo, err=True)
        self._started = clock()
        self._last: tuple[float, float] = (self._started, 0)
        self._pause = min(self.SOON, self.PAUSE)

    def update(self, n: float = 1) -> None:
        """``n`` more are done."""
        self.n += n
        then, before = self._last
        now = self._clock()
        if now - self._started < 1:  # what an earlier run left comes in at once
            self._last = (now, self.n)
        if not before and self._pause < self.PAUSE and self._unit != "B":
            # before the first piece other work may have to be done, which says nothing of others
            self._last = (now, self.n)
            return
        if now - then < self._pause or not before < self.n < self.total:
            return
        self._last = (now, self.n)
        self._pause = self.PAUSE
        left = duration((now - then) * (self.total - self.n) / (self.n - before))
        if self._unit == "B":
            done = f"{self.n / 1e6:.0f} of {self.total / 1e6:.0f} MB"
        else:
            done = f"{self.n:.0f} of {self.total:.0f} {self._unit}s"
        self._say(f"{self._what}: {done}{self._postfix}, about {left} left")

    def set_postfix_str(self, text: str, refresh: bool = True) -> None:
        """Say ``text`` beside how much is done, from the next line on; ``refresh`` is tqdm's."""
        self._postfix = f", {text}" if text else ""

    def write(self, text: str, file: IO[str] | None = None) -> None:
        """Print ``text`` on ``file``, by default on stdout."""
        click.echo(text, file=file)

    def close(self) -> None:
        """Nothing is open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Silent(ProgressLog):
    def update(self, n: float = 1) -> None:
        """Nobody wants to see it."""


def progress_line(total: int, what: str, unit: str, shown: bool = True) -> tqdm[Any] | ProgressLog:
    """Progress and remaining time on stderr: on a terminal one line that renews, else a log.

    Nothing is said unless it is ``shown``.
    """
    if not shown:
        return _Silent(total, what, unit)
    if not sys.stderr.isatty():
        return ProgressLog(total, what, unit)
    from tqdm import tqdm

    class Line(tqdm):  # type: ignore[type-arg]
        monitor_interval = 0  # a thread that looks after it would keep this process from forking

    return Line(
        total=total,
        miniters=1,
        desc=what,
        unit=unit,
        leave=False,
        file=sys.stderr,
        bar_format="{desc}  {n_fmt}/{total_fmt}{postfix}  {rate_fmt}  {remaining} left",
    )


@contextmanager
def stop_signals(
    told: Callable[[], object] = lambda: None, more: Sequence[int] = (), patient: bool = False
) -> Iterator[list[int]]:
    """A list that the first signal to stop puts its number into; a second acts as it always did.

    The signals are SIGINT, SIGTERM and SIGHUP, the last one not under nohup, and ``more``. ``told``
    is called when one came. If ``patient``, a second does nothing: a launcher may hand on what
    the process has had from the system. Python handles signals in its main thread alone: in others
    the list stays empty.
    """
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    before = {number: signal.getsignal(number) for number in (*_STOPPING, *more)}
    if before.get(_HANGUP) is signal.SIG_IGN:
        del before[_HANGUP]

    def receive(number: int, _frame: FrameType | None) -> None:
        if received:
            return
        received.append(number)
        for each, handler in () if patient else before.items():
            signal.signal(each, handler)
        told()

    for number in before:
        signal.signal(number, receive)
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
