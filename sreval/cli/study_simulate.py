"""``sreval study simulate``: raters of the rater model go through the site by HTTP."""

from __future__ import annotations

import datetime as dt
import logging
import os
import random
import signal
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from sreval import content
from sreval.cli.output import print_json, progress_line
from sreval.errors import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_PARTIAL, StoreError

if TYPE_CHECKING:
    from sreval.store.database import Store
    from sreval.study.design import StudyDesign
    from sreval.study.manifest import Manifest
    from sreval.study.respondent import Qualities
    from sreval.study.visitor import Visit, Visitor


@click.command(epilog="Example: sreval study simulate mine --raters 26 --database trial.sqlite")
@click.argument("study")
@click.option("--raters", type=click.IntRange(1, 500), required=True, help="How many.")
@click.option("--url", help="A site that serves the study; without it one is started.")
@click.option(
    "--database", metavar="URL", help="Default: SREVAL_DATABASE, else STUDY/votes.sqlite."
)
@click.option(
    "--think-ms", type=click.IntRange(0), default=0, show_default=True, help="Mean time a vote."
)
@click.option(
    "--qualities",
    default="paper",
    show_default=True,
    help="True qualities: the paper's opinion scores, or a CSV with method, quality[, dataset].",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Machine-readable summary.")
def simulate(
    study: str,
    raters: int,
    url: str | None,
    database: str | None,
    think_ms: int,
    qualities: str,
    seed: int,
    as_json: bool,
) -> None:
    """Send simulated raters through a frozen study's site, as browsers would.

    Their links, votes and figures are marked as simulated; a study that has real raters is
    refused. A site that is started for them keeps nobody waiting in breaks: its clock is put
    forward. One under --url must use the same database, and breaks last. Exits with 3 when some
    raters did not come to the end, with 1 when none did.
    """
    from sreval.store.urls import default_url

    folder = content.find("studies", study)
    where = default_url(folder, database)
    assert where is not None
    try:
        crowd = send_raters(
            folder, where, raters, _qualities(qualities), url=url, think_ms=think_ms, seed=seed
        )
    except KeyboardInterrupt:
        click.echo("Interrupted. Votes that were acknowledged are kept.", err=True)
        raise SystemExit(EXIT_INTERRUPTED) from None
    _summary(crowd, study, where, as_json)


def send_raters(
    folder: Path,
    database: str,
    count: int,
    qualities: Qualities,
    *,
    url: str | None = None,
    think_ms: float = 0,
    seed: int = 0,
) -> Crowd:
    """Let simulated raters go through the study in ``folder``, to their end.

    Without ``url`` the site is served from this process, which must be the main thread's.
    Raises StoreError where real raters have begun, KeyboardInterrupt when interrupted; in
    between no acknowledged vote is lost.
    """
    from sreval.study.design import load_design
    from sreval.study.manifest import load_manifest
    from sreval.study.respondent import respondents
    from sreval.study.visitor import Visitor

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
    crowd = Crowd(visitors, stop)
    if url:
        crowd.send(url)
        crowd.wait()
        return crowd
    _serve(folder, database, crowd)
    if crowd.stop.is_set():
        crowd.wait()
        raise KeyboardInterrupt
    return crowd


def _qualities(given: str) -> Qualities:
    if given != "paper":
        from sreval.study.respondent import read_qualities

        return read_qualities(Path(given))
    from sreval.report.paper import figures

    return {(s, m): value for (s, m, metric), value in figures().items() if metric == "mos"}


def _invite(database: str, design: StudyDesign, manifest: Manifest, count: int) -> list[str]:
    """Personal links marked as simulated. Raises StoreError where real raters have begun."""
    from sreval.store import invitations, studies
    from sreval.store.database import open_store

    store = open_store(database, create=True)
    try:
        studies.register(store, design, manifest)
        listed = invitations.listing(store, design.name)
        if any(link.rater and not link.simulated for link in listed):
            raise StoreError(
                f"Real raters have begun study {design.name!r} in {store.name}.",
                "Name another place with --database, to keep simulated votes apart.",
            )
        label = "simulated"
        return [
            invitations.create(store, design.name, "personal", label=label, simulated=True)[1]
            for _ in range(count)
        ]
    finally:
        store.dispose()


class Crowd:
    """Visitors, each in a thread, and the one line that tells of them."""

    def __init__(self, visitors: list[Visitor], stop: threading.Event) -> None:
        self.visitors, self.stop = visitors, stop
        self._line = progress_line(0, "rating", "vote")
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
            self._line.total = max(self._line.total or 0, visit.of * len(self.visitors))
            self._line.update()

    @property
    def visits(self) -> list[Visit]:
        """What came of each visit."""
        return [visitor.visit for visitor in self.visitors]

    @property
    def through(self) -> bool:
        """Whether all have come to their end."""
        return bool(self.futures) and all(future.done() for future in self.futures)

    @property
    def failures(self) -> list[BaseException]:
        """What kept visitors from their end."""
        return [error for future in self.futures if (error := future.exception())]

    def wait(self) -> None:
        """Until all have come to their end; an interrupt ends them first."""
        try:
            self._pool.shutdown()
        except KeyboardInterrupt:
            self.stop.set()
            self._pool.shutdown()
            raise
        finally:
            self._line.close()


def _serve(folder: Path, database: str, crowd: Crowd) -> None:
    """Serve the study until the crowd is through, or a signal stops it."""
    from sreval.site import server
    from sreval.site.app import create_app
    from sreval.site.config import site_config

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


def _summary(crowd: Crowd, study: str, database: str, as_json: bool) -> None:
    failed, visits = crowd.failures, crowd.visits
    complete = sum(visit.outcome == "complete" for visit in visits)
    acknowledged = sum(len(visit.votes) for visit in visits)
    for reason in dict.fromkeys(str(error) for error in failed):
        click.echo(f"failed: {reason}", err=True)
    if as_json:
        print_json(
            {
                "study": study,
                "database": database,
                "raters": len(visits),
                "complete": complete,
                "failed": len(failed),
                "votes": acknowledged,
                "retries": sum(visit.retries for visit in visits),
            }
        )
    else:
        click.echo(f"{len(visits)} simulated raters, {complete} to the end; {acknowledged} votes.")
    if complete < len(visits):
        raise SystemExit(EXIT_PARTIAL if acknowledged and complete else EXIT_FAILED)
