"""Questions to the database that a supervisor asks: each in a thread of its own, within a limit."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

from sreval.store.database import Store
from sreval.store.errors import BusyError

Answer = TypeVar("Answer")

WAIT_SECONDS = 2.0
"""How long who asks waits; supervisors' own limits are mostly longer."""

GIVE_UP_SECONDS = 5.0
"""When a look that a silent server keeps waiting is ended, and its connection with it."""


class Look(Generic[Answer]):
    """One question, and its answer for ``fresh`` seconds.

    A database that doesn't answer holds up neither who asks nor the site's threads. Whoever asks
    while a look is under way waits for that one, so that there is one at a time.
    """

    def __init__(self, store: Store, ask: Callable[[], Answer], fresh: float = 0.0) -> None:
        self._store, self._ask, self._fresh = store, ask, fresh
        self._lock = threading.Lock()
        self._look: Future[Answer] | None = None
        self._answered = 0.0

    def answer(self) -> Answer:
        """What the question gives or raises; BusyError when that takes longer than WAIT_SECONDS."""
        with self._lock:
            look = self._look
            if look is None or (look.done() and time.monotonic() >= self._answered + self._fresh):
                look = self._look = Future()
                threading.Thread(target=self._run, args=(look,), daemon=True).start()
        try:
            return look.result(WAIT_SECONDS)
        except TimeoutError:
            raise BusyError(
                f"{self._store.name} doesn't answer.", "See what keeps the database busy."
            ) from None

    def _run(self, look: Future[Answer]) -> None:
        try:
            found = self._ask()
        except BaseException as error:
            self._answered = time.monotonic()
            look.set_exception(error)
        else:
            self._answered = time.monotonic()
            look.set_result(found)
