"""What a supervisor asks of a site: does the process live, and could it store a vote now?"""

from __future__ import annotations

import threading
from concurrent.futures import Future

from flask import Blueprint, Response, jsonify

from sreval.site.checks import check_storable
from sreval.store.database import Store
from sreval.store.errors import BusyError
from sreval.store.schema import revisions

PROBES = "probes"
"""The name of the blueprint."""

WAIT_SECONDS = 2.0
"""How long who asks for readiness waits; supervisors' own limits are mostly longer."""


class Readiness:
    """Whether a vote could be stored, asked of the database in a thread of its own.

    A database that doesn't answer then holds up neither who asks nor the site's threads. Whoever
    asks while a look is under way waits for that one.
    """

    def __init__(self, store: Store, study: str) -> None:
        self._store, self._study, self._revision = store, study, revisions()[-1]
        self._lock = threading.Lock()
        self._look: Future[None] = Future()
        self._look.set_result(None)

    def check(self) -> None:
        """Raise StoreError, after WAIT_SECONDS at most, unless a vote could be stored now."""
        with self._lock:
            if self._look.done():
                self._look = Future()
                threading.Thread(target=self._ask, args=(self._look,), daemon=True).start()
            look = self._look
        try:
            look.result(WAIT_SECONDS)
        except TimeoutError:
            raise BusyError(
                f"{self._store.name} doesn't answer.", "See what keeps the database busy."
            ) from None

    def _ask(self, look: Future[None]) -> None:
        try:
            check_storable(self._store, self._study, self._revision)
        except BaseException as error:
            look.set_exception(error)
        else:
            look.set_result(None)


def probes(store: Store, study: str) -> Blueprint:
    """The addresses for supervisors and proxies. They say nothing but well or not well."""
    readiness = Readiness(store, study)
    blueprint = Blueprint(PROBES, __name__)

    @blueprint.get("/healthz")
    def alive() -> Response:
        """Whether the process answers; no database is asked."""
        return jsonify(status="ok")

    @blueprint.get("/readyz")
    @blueprint.get("/health")
    def ready() -> Response:
        """Whether a vote could be stored."""
        readiness.check()
        return jsonify(status="ok")

    return blueprint
