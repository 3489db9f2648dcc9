"""One line of JSON an event; no token, no stimulus address, no rater's network address."""

from __future__ import annotations

import json
import logging
import secrets
import sys
import time
import traceback
from datetime import UTC, datetime
from typing import Any

from flask import Flask, Response, g, request

LOG = logging.getLogger("sreval.site")


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


def log_to_stderr(level: int = logging.INFO) -> None:
    """Send the site's lines to stderr, once. Servers' own logs name paths, and so tokens: off."""
    if not LOG.handlers:
        handler = logging.StreamHandler(sys.stderr)
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
