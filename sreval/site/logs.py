"""One line of JSON an event; no token, no stimulus address, no rater's network address."""

from __future__ import annotations

import atexit
import json
import logging
import os
import queue
import secrets
import sys
import threading
import time
import traceback
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from flask import Flask, Response, g, request

LOG = logging.getLogger("sreval.site")

_WAITING = 1000
_REST_SECONDS, _LAST_SECONDS = 0.05, 1.0


class JsonLines(logging.Formatter):
    """A record as one line; what is passed as extra={"fields": {...}} stands beside it."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {
            "time": when,
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info and record.exc_info[1]:
            line["error"] = "".join(traceback.format_exception(record.exc_info[1]))
        return json.dumps(line, ensure_ascii=False)


class LineWriter(logging.Handler):
    """Lines to an open file, by a thread of its own.

    A terminal that stands still or a pipe that nobody reads would otherwise hold up raters. Of
    the lines that wait for it, a thousand are kept; how many others were lost is then said.
    """

    def __init__(self, file: int) -> None:
        super().__init__()
        self._file = file
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._taken, self._written, self._lost = 0, 0, 0
        threading.Thread(target=self._write_all, name="log", daemon=True).start()
        atexit.register(self._finish)

    def emit(self, record: logging.LogRecord) -> None:
        """Hand a record to the thread; called under the handler's lock."""
        if self._lines.qsize() >= _WAITING:
            self._lost += 1
            return
        if self._lost:
            lost = logging.LogRecord(LOG.name, logging.WARNING, "", 0, "lines lost", (), None)
            lost.fields = {"count": self._lost}
            self._lost = 0
            self._put(lost)
        self._put(record)

    def _put(self, record: logging.LogRecord) -> None:
        self._taken += 1
        self._lines.put(f"{self.format(record)}\n".encode(errors="backslashreplace"))

    def _write_all(self) -> None:
        while True:
            lines = [self._lines.get()]
            while not self._lines.empty():
                lines.append(self._lines.get())
            text = b"".join(lines)
            # below Python's own streams, whose locks the end of the process would wait for
            with suppress(OSError):
                while text:
                    text = text[os.write(self._file, text) :]
            self._written += len(lines)
            # a thread that woke at every line would take the interpreter from the busy ones
            time.sleep(_REST_SECONDS)

    def _finish(self) -> None:
        end = time.monotonic() + _LAST_SECONDS
        while self._written < self._taken and time.monotonic() < end:
            time.sleep(0.01)


def log_to_stderr(level: int = logging.INFO) -> None:
    """Send the site's lines to stderr, once. Servers' own logs name paths, and so tokens: off."""
    if not LOG.handlers:
        handler = LineWriter(sys.stderr.fileno())
        handler.setFormatter(JsonLines())
        LOG.addHandler(handler)
    LOG.setLevel(level)
    LOG.propagate = False
    logging.getLogger("waitress").setLevel(logging.CRITICAL)


def where() -> dict[str, Any]:
    """What may be told of the present request: its id, its method, its route's template."""
    rule = request.url_rule.rule if request.url_rule else "-"
    return {"request": g.get("request_id", "-"), "method": request.method, "route": rule}


def log_requests(app: Flask) -> None:
    """Give each request an id (sent back as X-Request-ID) and one line when it is answered."""

    @app.before_request
    def begin() -> None:
        g.request_id, g.began = secrets.token_hex(8), time.perf_counter()

    @app.after_request
    def end(response: Response) -> Response:
        milliseconds = round((time.perf_counter() - g.get("began", time.perf_counter())) * 1e3, 1)
        fields = {**where(), "status": response.status_code, "ms": milliseconds}
        LOG.info("request", extra={"fields": fields})
        response.headers["X-Request-ID"] = g.get("request_id", "-")
        return response
