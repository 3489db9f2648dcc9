"""One line of JSON an event; no token, no stimulus address, no rater's network address."""

from __future__ import annotations

import atexit
import json
import logging
import os
import queue
import sys
import threading
import time
import traceback
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from flask import g, request

from sreval.errors import SrevalError
from sreval.store.errors import BusyError

LOG = logging.getLogger("sreval.site")

_IN_FLOODS = ("login refused", "database", "database busy")
"""Events that come by the hundred from one cause, and of which nobody is told the request's id."""

_FLOOD_SECONDS = 60.0

_MOST_WAITING = 1000
_REST_SECONDS, _LAST_SECONDS = 0.05, 1.0


_ENCODER = json.JSONEncoder(ensure_ascii=False)


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
        return _ENCODER.encode(line)


class OneAMinute(logging.Filter):
    """Of an event that comes in floods, one line at once, then one a minute with a count."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._seen: dict[tuple[str, str, int], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is written. A minute's count is written with the next line of any kind,
        and where the flood goes on, that line is in the count."""
        fields: dict[str, Any] = getattr(record, "fields", {})
        key = (record.getMessage(), str(fields.get("message", "")), record.levelno)
        comes = key[0] in _IN_FLOODS and "count" not in fields
        if not comes and not self._seen:
            return True
        with self._lock:
            now = time.monotonic()
            over = [k for k, (since, _) in self._seen.items() if now - since > _FLOOD_SECONDS]
            told = {k: count for k in over if (count := self._seen.pop(k)[1])}
            first = comes and key not in self._seen and key not in told
            if key in told and comes:
                told[key] += 1
            if comes:
                since, count = self._seen.get(key, (now, -1))
                self._seen[key] = since, 0 if key in told else count + 1
        for (event, message, level), count in told.items():
            said = {"message": message} if message else {}
            LOG.log(level, event, extra={"fields": {**said, "count": count}})
        return first or not comes


class LogQueue(logging.Handler):
    """Lines to an open file, by a thread of its own.

    A terminal that stands still or a pipe that nobody reads would otherwise hold up raters. Of
    the lines that wait for it, a thousand are kept; how many others were lost is then said.
    """

    def __init__(self, file: int) -> None:
        super().__init__()
        self._waiting: queue.Queue[str] = queue.Queue(_MOST_WAITING)
        self.setFormatter(JsonLines())
        self._lost = 0
        writer = threading.Thread(target=_write_lines, args=(self._waiting, file), daemon=True)
        writer.start()
        atexit.register(self._finish)

    def emit(self, record: logging.LogRecord) -> None:
        """Hand its line to the thread; called under the handler's lock."""
        try:
            if self._lost:
                lost = logging.LogRecord(LOG.name, logging.WARNING, "", 0, "lines lost", (), None)
                lost.fields = {"count": self._lost}
                self._waiting.put_nowait(self.format(lost))
                self._lost = 0
            self._waiting.put_nowait(self.format(record))
        except queue.Full:
            self._lost += 1
        except Exception:
            self.handleError(record)

    def _finish(self) -> None:
        with self._waiting.all_tasks_done:
            self._waiting.all_tasks_done.wait_for(self._all_written, _LAST_SECONDS)

    def _all_written(self) -> bool:
        return not self._waiting.unfinished_tasks


def _write_lines(waiting: queue.Queue[str], file: int) -> None:
    """Write lines for ever, below Python's own streams, whose locks the end of the process would
    wait for.

    All that wait are written at once, and where none does the thread rests: one that woke at every
    line would take the interpreter from the busy ones.
    """
    while True:
        if waiting.empty():
            time.sleep(_REST_SECONDS)
        lines = [waiting.get()]
        lines += [waiting.get() for _ in range(waiting.qsize())]
        text = "".join(f"{line}\n" for line in lines).encode(errors="backslashreplace")
        with suppress(OSError):
            while text:
                text = text[os.write(file, text) :]
        for _ in lines:
            waiting.task_done()


def log_to_stderr(level: int = logging.INFO) -> None:
    """Send the site's lines to stderr, once. Servers' own logs name paths, and so tokens: off."""
    if not LOG.handlers:
        LOG.addHandler(LogQueue(sys.stderr.fileno()))
        LOG.addFilter(OneAMinute())
    LOG.setLevel(level)
    LOG.propagate = False
    logging.getLogger("waitress").setLevel(logging.CRITICAL)


def log_database(error: SrevalError, **fields: Any) -> None:
    """A line on a database that can't be used, or that others keep busy."""
    fields["message"] = str(error)
    if isinstance(error, BusyError):
        LOG.warning("database busy", extra={"fields": fields})
    else:
        LOG.error("database", extra={"fields": fields})


def where() -> dict[str, Any]:
    """What may be told of the present request: its id, its method, its route's template."""
    rule = request.url_rule.rule if request.url_rule else "-"
    return {"request": g.get("request_id", "-"), "method": request.method, "route": rule}
