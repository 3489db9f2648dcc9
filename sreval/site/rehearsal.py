"""Rehearsing a study: raters of the rater model go through its site by HTTP."""

from __future__ import annotations

import datetime as dt
import logging
import os
import random
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Any

from sreval.errors import StoreError, option
from sreval.site import server
from sreval.site.app import create_app
from sreval.site.config import site_config
from sreval.store import invitations, studies
from sreval.store.database import Store, open_store
from sreval.study.design import StudyDesign, load_design
from sreval.study.manifest import Manifest, load_manifest
from sreval.study.respondent import Qualities, respondents
from sreval.study.visitor import Visit, Visitor

Progress = Callable[[int, int], object]


def send_raters(
    folder: Path,
    database: str,
    count: int,
    qualities: Qualities,
    *,
    url: str | None = None,
    think_ms: float = 0,
    seed: int = 0,
    progress: Progress = lambda done, total: None,
) -> Crowd:
    """Let simulated raters go through the study in ``folder``, to their end.

    Without ``url`` the site is served from this process, which must be the main thread's.
    ``progress`` is told how many votes of how many are cast. Raises StoreError where real raters
    have begun, KeyboardInterrupt when interrupted; in between no acknowledged vote is lost.
    """
    design, manifest = load_design(folder), load_manifest(folder)
    minds = respondents(count, design, manifest, qualities, seed=seed)
    tokens = _invite(database, design, manifest, count)
    stop = threading.Event()
    mean = think_ms / 1000
    think = (lambda: random.expovariate(1 / mean)) if mean else (lambda: 0.0)
    visitors = [
        Visitor(f"/r/{token}", mind, think=think, stop=stop)
        for token, mind in zip(tokens, minds, strict=True)
    ]
    crowd = Crowd(visitors, stop, progress)
    if url:
        crowd.send(url)
        crowd.wait()
        return crowd
    _serve(folder, database, crowd)
    if crowd.stop.is_set():
        crowd.wait()
        raise KeyboardInterrupt
    return crowd


def _invite(database: str, design: StudyDesign, manifest: Manifest, count: int) -> list[str]:
    """Personal links marked as simulated. Raises StoreError where real raters have begun."""
    store = open_store(database, create=True)
    try:
        studies.register(store, design, manifest)
        listed = invitations.listing(store, design.name)
        if any(link.rater and not link.simulated for link in listed):
            raise StoreError(
                f"Real raters have begun study {design.name!r} in {store.name}.",
                f"Name another place with {option('--database')}, to keep simulated votes apart.",
            )
        label = "simulated"
        return [
            invitations.create(store, design.name, "personal", label=label, simulated=True)[1]
            for _ in range(count)
        ]
    finally:
        store.dispose()


class Crowd:
    """Visitors, each in a thread, and what came of them."""

    def __init__(self, visitors: list[Visitor], stop: threading.Event, progress: Progress) -> None:
        self.visitors, self.stop = visitors, stop
        self._progress, self._done, self._total = progress, 0, 0
        self._told = threading.Lock()
        self._pool = ThreadPoolExecutor(len(visitors))
        self.futures: list[Future[Visit]] = []

    def send(self, address: str) -> None:
        """Begin. ``address`` is the site's."""
        for visitor in self.visitors:
            visitor.link = address.rstrip("/") + visitor.link
            visitor.told = self._tell
        self.futures = [self._pool.submit(visitor.run) for visitor in self.visitors]

    def _tell(self, visit: Visit) -> None:
        with self._told:
            self._total = max(self._total, visit.of * len(self.visitors))
            self._done += 1
            self._progress(self._done, self._total)

    @property
    def visits(self) -> list[Visit]:
        """What came of each visit."""
        return [visitor.visit for visitor in self.visitors]

    @property
    def through(self) -> bool:
        """Whether all have come to their end."""
        return bool(self.futures) and all(future.done() for future in self.futures)

    @property
    def complete(self) -> int:
        """How many came to the end."""
        return sum(visit.outcome == "complete" for visit in self.visits)

    @property
    def votes(self) -> int:
        """How many votes were acknowledged."""
        return sum(len(visit.votes) for visit in self.visits)

    @property
    def failures(self) -> list[BaseException]:
        """What kept visitors from their end."""
        return [error for future in self.futures if (error := future.exception())]

    def __repr__(self) -> str:
        return (
            f"<{len(self.visits)} simulated raters, {self.complete} to the end; {self.votes} votes>"
        )

    def wait(self) -> None:
        """Until all have come to their end; an interrupt ends them first."""
        try:
            self._pool.shutdown()
        except KeyboardInterrupt:
            self.stop.set()
            self._pool.shutdown()
            raise


def _serve(folder: Path, database: str, crowd: Crowd) -> None:
    """Serve the study until the crowd is through, or a signal stops it."""
    logging.getLogger("waitress").setLevel(logging.ERROR)  # that requests queue is the purpose
    app = create_app(site_config(study=folder, database=database, rates=None))
    store: Store = app.extensions["sreval"].store
    clock = _Clock()
    store.clock = clock
    for visitor in crowd.visitors:
        visitor.pause, visitor.clock = clock.put_forward, clock
    ended = threading.Thread(target=_end_with, args=(crowd,))
    try:
        with server.listen("127.0.0.1", 0) as opened:

            def ready() -> None:
                _let_go_of(crowd)
                crowd.send(server.address_of(opened))
                ended.start()

            server.serve(app, opened, 8, ready)
    finally:
        store.dispose()


def _let_go_of(crowd: Crowd) -> None:
    """Stop the visitors before the server waits for its requests to end."""
    for which in (signal.SIGINT, signal.SIGTERM):
        before = signal.getsignal(which)
        assert callable(before)

        def stop(number: int, frame: FrameType | None, then: Any = before) -> None:
            if not crowd.through:
                crowd.stop.set()
            then(number, frame)

        signal.signal(which, stop)


def _end_with(crowd: Crowd) -> None:
    crowd.wait()
    if not crowd.stop.is_set():
        os.kill(os.getpid(), signal.SIGTERM)


class _Clock:
    """The time, put forward whenever a simulated rater would have to wait."""

    def __init__(self) -> None:
        self._ahead = dt.timedelta()
        self._lock = threading.Lock()

    def __call__(self) -> dt.datetime:
        return dt.datetime.now(dt.UTC) + self._ahead

    def put_forward(self, seconds: float) -> None:
        """Let a wait of so many seconds, which begins now, be over; for all who wait at once."""
        until = self() + dt.timedelta(seconds=seconds + 1)
        with self._lock:
            self._ahead = max(self._ahead, until - dt.datetime.now(dt.UTC))
