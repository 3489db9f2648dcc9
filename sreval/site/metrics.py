"""Figures for Prometheus on a private port: requests, problems, the database, the study.

No label tells a rater, a link, a session or an image: of an address only its route's template.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from flask import Flask, Response, g, request
from sqlalchemy import event

from sreval.errors import SrevalError, UsageError, install, shown
from sreval.site.config import SiteConfig, listening_address
from sreval.site.logs import LOG, log_database
from sreval.site.looks import GIVE_UP_SECONDS, Look
from sreval.store.counts import Counts

if TYPE_CHECKING:
    from prometheus_client import Metric

    from sreval.site.current import Site

MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR"
"""The variable by which processes of one site are told of the folder that they count in."""

METRICS = "sreval.metrics"
"""Where an application keeps them, among its extensions."""

_BUCKETS = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""Seconds; the goals of benchmarks/load.py are among them."""

_REQUEST_SECONDS = 10.0
"""How long a request may take from its connection to the end of the answer."""


class Metrics:
    """What one process counts, and the answer to whoever asks: the sum over all processes.

    Raises UsageError where prometheus_client isn't installed.
    """

    def __init__(self, app: Flask, here: Site) -> None:
        try:
            from prometheus_client import (
                CollectorRegistry,
                Counter,
                Gauge,
                Histogram,
                disable_created_metrics,
            )
        except ImportError:
            raise UsageError(
                "SREVAL_METRICS needs the package prometheus_client.", install("prometheus")
            ) from None
        disable_created_metrics()  # several processes don't tell when a count began
        self._here = here
        self._study = Look(
            here.store, lambda: Counts.of(here.store, here.design.name, GIVE_UP_SECONDS)
        )
        self._own = own = CollectorRegistry()
        self._requests = Counter(
            "sreval_requests",
            "Requests by the template of their route.",
            ["route", "method", "status"],
            registry=own,
        )
        self._seconds = Histogram(
            "sreval_request_seconds",
            "From a request's arrival at the application to its answer.",
            ["route", "method"],
            buckets=_BUCKETS,
            registry=own,
        )
        self._problems = Counter(
            "sreval_problems", "Warnings and errors in the log, by event.", ["event"], registry=own
        )
        self._connections = Gauge(
            "sreval_database_connections_in_use",
            "Connections of the pools that a request holds.",
            registry=own,
            multiprocess_mode="livesum",
        )
        app.after_request(self._count)
        # the pool counts one that comes back until its listeners have been told
        for moment, less in (("checkout", 0), ("checkin", 1)):
            event.listen(here.store.engine, moment, partial(self._in_use, less))

    def _in_use(self, less: int, *_: object) -> None:
        self._connections.set(self._here.store.engine.pool.checkedout() - less)

    def _count(self, response: Response) -> Response:
        rule = request.url_rule
        # of a request that fits no route, the method may be any word
        named = (rule.rule, request.method) if rule else ("-", "-")
        self._requests.labels(*named, response.status_code).inc()
        if "began" in g:
            self._seconds.labels(*named).observe(time.perf_counter() - g.began)
        return response

    def count_problem(self, record: logging.LogRecord) -> None:
        """Count a line of the log; some stand for several events."""
        fields: dict[str, Any] = getattr(record, "fields", {})
        self._problems.labels(record.getMessage()).inc(fields.get("count", 1))

    def collect(self) -> Iterator[Metric]:
        """All figures as of now; of a database that can't be read only that."""
        from prometheus_client.multiprocess import MultiProcessCollector

        of_all = MULTIPROCESS in os.environ
        yield from (MultiProcessCollector(None) if of_all else self._own).collect()
        yield from self._of_study()

    def _of_study(self) -> Iterator[Metric]:
        from prometheus_client.core import GaugeMetricFamily

        try:
            counts: Counts | None = self._study.answer()
        except SrevalError as error:
            counts = None
            log_database(error)
        yield GaugeMetricFamily(
            "sreval_database_up", "1 while the database can be read.", int(counts is not None)
        )
        if counts is None:
            return
        yield GaugeMetricFamily(
            "sreval_items_rated", "Items rated in the study, practice included.", counts.rated
        )
        yield GaugeMetricFamily(
            "sreval_places", "Raters whom the design asks for.", self._here.design.raters
        )
        sessions = GaugeMetricFamily(
            "sreval_sessions",
            "Sessions of the study: active ones took a step within 30 minutes.",
            labels=["state"],
        )
        for state, count in counts.sessions.items():
            sessions.add_metric([state], count)
        yield sessions


class _Problems(logging.Handler):
    def __init__(self, metrics: Metrics) -> None:
        super().__init__(logging.WARNING)
        self._metrics = metrics

    def emit(self, record: logging.LogRecord) -> None:
        self._metrics.count_problem(record)


def listen(address: str) -> socket.socket:
    """A socket that listens at this private address.

    Raises UsageError when it is none, the port is in use or the address isn't this machine's.
    """
    try:
        host, port = listening_address(address)
        family, _, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        opened = socket.create_server(place[:2], family=family)
    except (OSError, ValueError) as error:
        number = getattr(error, "errno", None) or 0  # of a name that isn't known it is negative
        said = os.strerror(number) if number > 0 else getattr(error, "strerror", None) or error
        raise UsageError(
            f"Can't listen for metrics on SREVAL_METRICS = {shown(address)}: {said}.",
            "Give another address, 127.0.0.1:9100 or the like, or leave it unset.",
        ) from None
    opened.setblocking(False)  # of several processes that wait at it, one gets the connection
    return opened


@contextmanager
def answering(metrics: Metrics, listening: socket.socket) -> Iterator[None]:
    """Answer at this socket, in a thread of its own, until the block ends."""
    from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

    def tell(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        known = environ["PATH_INFO"] == "/metrics"
        text = generate_latest(metrics) if known else b"Only /metrics is here.\n"
        kind = CONTENT_TYPE_PLAIN_0_0_4 if known else "text/plain"
        headers = [("Content-Type", kind), ("Server", "sreval")]
        start_response("200 OK" if known else "404 Not Found", headers)
        return [text]

    problems = _Problems(metrics)
    LOG.addHandler(problems)
    server = _Server(listening)
    server.set_app(tell)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        LOG.removeHandler(problems)


@contextmanager
def metrics_at(config: SiteConfig, app: Flask) -> Iterator[None]:
    """Answer for an application of one process at the address that it was given, if any.

    Raises UsageError as `listen`.
    """
    if not config.metrics:
        yield
        return
    with listen(config.metrics) as listening, answering(app.extensions[METRICS], listening):
        yield


class _Handler(WSGIRequestHandler):
    timeout = _REQUEST_SECONDS

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: readers come every few seconds."""


class _Server(ThreadingMixIn, WSGIServer):
    """A reader that is slow, or a database that is, keeps no other reader waiting."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, listening: socket.socket) -> None:
        host, port = listening.getsockname()[:2]
        super().__init__((host, port), _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listening
        self.server_name, self.server_port = host, port
        self.setup_environ()
        self._began: dict[socket.socket, float] = {}

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread; note when it began."""
        self._began[request] = time.monotonic()
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """The end of a request, however it ended."""
        self._began.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Called twice a second: let go whoever takes too long."""
        late = time.monotonic() - _REQUEST_SECONDS
        for reader, began in list(self._began.items()):
            if began < late:
                with suppress(OSError):
                    reader.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: a reader that left asks again."""
