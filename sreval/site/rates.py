"""How often one may ask: by session, visit or link, and never by network address, as a laboratory
shares one. Each process counts for itself, in memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

from flask import Flask, request, session

from sreval.files import sha256_bytes
from sreval.site.config import Rates
from sreval.site.problems import PageError

WINDOW_SECONDS = 60.0
_KINDS = {
    "rater.study": "form",
    "rater.step": "form",
    "api.item": "vote",
    "api.device": "vote",
    "api.vote": "vote",
    "api.image": "image",
}


class Counts:
    """Requests in windows of a minute, each beginning with the first request of its key."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._windows: dict[str, tuple[float, int]] = {}
        self._swept = time.monotonic()

    def more(self, key: str) -> int:
        """Count one more; gives how many there are in the present window."""
        with self._lock:
            now = time.monotonic()
            if now - self._swept > WINDOW_SECONDS:
                self._windows = {k: w for k, w in self._windows.items() if w[0] > now}
                self._swept = now
            end, count = self._windows.get(key, (0.0, 0))
            if end <= now:
                end, count = now + WINDOW_SECONDS, 0
            self._windows[key] = end, count + 1
            return count + 1


def limit_rates(app: Flask, rates: Rates) -> None:
    """Answer 429 to requests above these rates."""
    counts = Counts()

    @app.before_request
    def limit() -> None:
        for kind, key in _asked():
            if counts.more(f"{kind}/{key}") > getattr(rates, kind):
                raise PageError("429")


def _asked() -> Iterator[tuple[str, str]]:
    """Under what the present request counts.

    Many may open one link at once, where it is an open one; a visitor who comes back by it
    without having agreed is known by the visit that began then.
    """
    if request.endpoint in ("rater.link", "rater.next_rater"):
        token = str((request.view_args or {}).get("token"))
        yield "link", sha256_bytes(token.encode(errors="replace"))
        if "visit" in session:
            yield "visit", session["visit"]
        return
    kind, key = _KINDS.get(str(request.endpoint)), session.get("sid") or session.get("visit")
    if kind and key:
        yield kind, key
