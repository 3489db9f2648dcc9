"""One line of JSON an event; no token, no stimulus address, no rater's network address."""

from __future__ import annotations

import atexit
import json
import logging
import os
import queue
import sys
import time
import traceback
from contextlib import suppress
from datetime import UTC, datetime
from logging.handlers import QueueHandler, QueueListener
from typing import Any

from flask import g, request

LOG = logging.getLogger("sreval.site")

_MOST_WAITING = 1000
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


class LogQueue(QueueHandler):
    """Lines to an open file, by a thread of its own.

    A terminal that stands still or a pipe that nobody reads would otherwise hold up raters. Of
    the lines that wait for it, a thousand are kept; how many others were lost is then said.
    """

    def __init__(self, file: int) -> None:
        self._waiting: queue.Queue[logging.LogRecord] = queue.Queue(_MOST_WAITING)
        super().__init__(self._waiting)
        self.setFormatter(JsonLines())
        self._lost = 0
        _Listener(self._waiting, _LineWriter(file)).start()
        atexit.register(self._finish)

    def enqueue(self, record: logging.LogRecord) -> None:
        """Hand a line to the thread; called under the handler's lock."""
        try:
            if self._lost:
                lost = logging.LogRecord(LOG.name, logging.WARNING, "", 0, "lines lost", (), None)
                lost.fields = {"count": self._lost}
                self._waiting.put_nowait(self.prepare(lost))
                self._lost = 0
            self._waiting.put_nowait(record)
        except queue.Full:
            self._lost += 1

    def _finish(self) -> None:
        with self._waiting.all_tasks_done:
            self._waiting.all_tasks_done.wait_for(self._all_written, _LAST_SECONDS)

    def _all_written(self) -> bool:
        return not self._waiting.unfinished_tasks


class _Listener(QueueListener):
    queue: queue.Queue[logging.LogRecord]

    def dequeue(self, block: bool) -> logging.LogRecord:
        """The next line, after a rest where none is waiting.

        A thread that woke at every line would take the interpreter from the busy ones.
        """
        if self.queue.empty():
            time.sleep(_REST_SECONDS)
        return super().dequeue(block)


class _LineWriter(logging.Handler):
    """Below Python's own streams, whose locks the end of the process would wait for."""

    def __init__(self, file: int) -> None:
        super().__init__()
        self._file = file

    def createLock(self) -> None:  # noqa: N802
        """None: only the listener's thread writes, and at the end nobody may wait for it."""
        self.lock = None

    def emit(self, record: logging.LogRecord) -> None:
        """Write what the queue has made of the record, its line."""
        text = f"{record.getMessage()}\n".encode(errors="backslashreplace")
        with suppress(OSError):
            while text:
                text = text[os.write(self._file, text) :]


def log_to_stderr(level: int = logging.INFO) -> None:
    """Send the site's lines to stderr, once. Servers' own logs name paths, and so tokens: off."""
    if not LOG.handlers:
        LOG.addHandler(LogQueue(sys.stderr.fileno()))
    LOG.setLevel(level)
    LOG.propagate = False
    logging.getLogger("waitress").setLevel(logging.CRITICAL)


def where() -> dict[str, Any]:
    """What may be told of the present request: its id, its method, its route's template."""
    rule = request.url_rule.rule if request.url_rule else "-"
    return {"request": g.get("request_id", "-"), "method": request.method, "route": rule}
