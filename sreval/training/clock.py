"""How long a run has trained, and when it should end."""

from __future__ import annotations

import select
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Self

_BEAT = 0.05
"""Seconds between two looks at the time: what lies between the last look and a SIGCONT was not
training, to that precision."""

_LATE = 0.5
"""Seconds by which a SIGCONT may be delivered after the time was seen to leap."""

_FIRST_SAVING = 1.0
"""Seconds kept free for the first checkpoint of a run; later ones are measured."""

_LONGER = 1.25
"""How much longer than the validation before the last one may take."""


class Stopwatch:
    """Seconds that pass inside its `with`, without those between SIGSTOP and SIGCONT.

    A thread looks at the time again and again; it stands still with the process, so that when
    SIGCONT comes its last look tells when that was. Outside the main thread, and on systems
    without SIGCONT, all time counts; of nested watches the innermost alone is told of a stop.
    """

    def __init__(self) -> None:
        self._started = self._last = time.monotonic()
        self._stopped = self._leap = self._leapt = 0.0
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def seconds(self) -> float:
        """Seconds since the watch was made."""
        if self._thread is None:
            return time.monotonic() - self._started - self._stopped
        # whoever asks just after a stop must not be told of it
        self._look()
        with self._lock:
            return self._last - self._started - self._stopped

    def __enter__(self) -> Self:
        main = threading.current_thread() is threading.main_thread()
        if main and hasattr(signal, "SIGCONT"):
            self._reader, self._writer = socket.socketpair()
            self._reader.setblocking(False)
            self._writer.setblocking(False)
            self._last = time.monotonic()
            self._handler = signal.signal(signal.SIGCONT, _nothing)
            self._wakeup = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
            self._thread = threading.Thread(target=self._watch, daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread is not None:
            signal.set_wakeup_fd(self._wakeup)
            signal.signal(signal.SIGCONT, self._handler or signal.SIG_DFL)
            self._writer.close()
            self._thread.join()
            self._reader.close()
            self._thread = None

    def _watch(self) -> None:
        while self._look():
            select.select([self._reader], [], [], _BEAT)

    def _look(self) -> bool:
        """Note the time, and a stop that has ended; False where the other end was closed."""
        with self._lock:
            received = self._received()
            now = time.monotonic()
            gap, self._last = now - self._last, now
            if received is None and gap > 2 * _BEAT:
                received = self._received()  # the stop came between the two lines above
            if gap >= self._leap or now - self._leapt > _LATE:
                self._leap, self._leapt = gap, now
            if received and signal.SIGCONT in received:
                self._stopped += self._leap
                self._leap = 0.0
            return received != b""

    def _received(self) -> bytes | None:
        """The numbers of signals that came; None for none, empty where the end was closed."""
        try:
            return self._reader.recv(64)
        except BlockingIOError:
            return None


def _nothing(_number: int, _frame: FrameType | None) -> None:
    """A handler, so that the signal's number is written to the wake-up file."""


class Clock:
    """A run's seconds, and for a run of given minutes how far it has come.

    `total` is the run's length in seconds, None for a run of given updates; `before` the seconds
    that it trained in earlier processes, `step` its updates so far. Validating and saving belong
    to the run, so that the last of each have their time kept free.
    """

    def __init__(self, watch: Stopwatch, before: float, step: int, total: float | None) -> None:
        self._watch = watch
        self._offset = before - watch.seconds()
        self.total = total
        self.validating, self.saving, self.updating = 0.0, _FIRST_SAVING, 0.0
        self.validated = self.saved = self._lap = self.seconds()
        self._step = self._lap_step = step

    def seconds(self) -> float:
        """Seconds of training up to now."""
        return self._watch.seconds() + self._offset

    def done(self) -> float:
        """The share of a timed run that is over, 0 to 1."""
        length = (self.total or 0.0) - self._kept_free()
        return min(1.0, self.seconds() / length) if length > 0 else 1.0

    def over(self) -> bool:
        """Whether a timed run has no time for one more update."""
        if self.total is None:
            return False
        return self.seconds() + self.updating > self.total - self._kept_free()

    def validation_due(self) -> bool:
        """Whether a timed run should validate: a dozen times, for a twentieth of its time."""
        between = max((self.total or 0.0) / 12, 20 * self.validating)
        return self.seconds() - self.validated >= between

    def no_time_to_validate(self) -> bool:
        """Whether a timed run would be 1 % over its time by the time that it is saved."""
        return self.total is not None and self.seconds() > 1.01 * self.total - self.saving

    def _kept_free(self) -> float:
        """Seconds for saving, and for a last validation that may take longer than before."""
        return _LONGER * self.validating + self.saving

    def count(self, step: int) -> None:
        """Note that `step` updates are done."""
        self._step = step
        self.updating = max(self.seconds() - self._lap, 1e-9) / (step - self._lap_step)

    def rate(self) -> float:
        """Updates per second in this lap, or in the last that had any."""
        return 1 / self.updating if self.updating else 0.0

    def lap(self) -> None:
        """Measure the rate anew from here."""
        self._lap, self._lap_step = self.seconds(), self._step

    @contextmanager
    def validation(self) -> Iterator[None]:
        """Time a validation, which is not part of the rate."""
        start = self.seconds()
        try:
            yield
        finally:
            self.validated = self.seconds()
            self.validating = self.validated - start
            self._lap += self.validating

    @contextmanager
    def checkpoint(self) -> Iterator[None]:
        """Time a checkpoint, which is not part of the rate."""
        start = self.seconds()
        yield
        self.saved = self.seconds()
        self.saving = self.saved - start
        self._lap += self.saving
