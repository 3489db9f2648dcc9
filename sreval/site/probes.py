"""What a supervisor asks of a site: does the process live, and could it store a vote now?"""

from __future__ import annotations

from flask import Blueprint, Response, jsonify

from sreval.site.checks import check_storable
from sreval.site.looks import GIVE_UP_SECONDS, Look
from sreval.store.database import Store
from sreval.store.schema import revisions

PROBES = "probes"
"""The name of the blueprint."""

FRESH_SECONDS = 1.0
"""How long an answer is told again: a look writes, and takes SQLite's lock for writers."""


def probes(store: Store, study: str) -> Blueprint:
    """The addresses for supervisors and proxies. They say nothing but well or not well."""
    revision = revisions()[-1]

    def look() -> None:
        check_storable(store, study, revision, GIVE_UP_SECONDS)

    readiness = Look(store, look, FRESH_SECONDS)
    blueprint = Blueprint(PROBES, __name__)

    @blueprint.get("/healthz")
    def alive() -> Response:
        """Whether the process answers; no database is asked."""
        return jsonify(status="ok")

    @blueprint.get("/readyz")
    @blueprint.get("/health")
    def ready() -> Response:
        """Whether a vote could be stored."""
        readiness.answer()
        return jsonify(status="ok")

    return blueprint
