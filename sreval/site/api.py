"""What the rating page fetches by script: the current item, its image, a vote's receipt."""

from __future__ import annotations

import datetime as dt
from typing import Any

from flask import Blueprint, Response, jsonify, make_response, request
from pydantic import BaseModel, ConfigDict, ValidationError

from sreval.site.current import as_told, open_state, rater_session, refuse_unless_open, site
from sreval.site.errors import PageError, respond
from sreval.site.logs import LOG, where
from sreval.site.screen import Report
from sreval.site.stimuli import StimulusError
from sreval.store.errors import VoteError
from sreval.store.sessions import SessionState
from sreval.store.studies import Studies

api = Blueprint("api", __name__)


class Ballot(BaseModel):
    """A vote as the browser sends it, by its types; what it may be, the store decides."""

    model_config = ConfigDict(extra="forbid", strict=True)

    position: int
    score: int
    key: str
    response_ms: float
    shown_at: dt.datetime
    device: str = ""


def _body() -> bytes:
    if not request.is_json:
        raise PageError("400")
    return request.get_data()


@api.get("/api/item")
def item() -> Response:
    """The present item."""
    return jsonify(as_told(open_state()))


@api.post("/api/device")
def device() -> Response:
    """Facts of the window measured again: whether the image still fits."""
    rated = rater_session()
    try:
        report = Report.model_validate_json(_body())
    except ValidationError:
        raise PageError("400") from None
    here = site()
    fits = report.holds(here.manifest.largest, phones=here.design.viewing.phones)
    rated.device(report.stored(), fits)
    return jsonify({"fits": fits})


@api.post("/api/vote")
def vote() -> Response:
    """Store one vote; the answer comes when it is durable."""
    rated = rater_session()
    try:
        ballot = Ballot.model_validate_json(_body())
    except ValidationError:
        raise PageError("400") from None
    try:
        receipt = rated.vote(
            ballot.position,
            ballot.score,
            key=ballot.key,
            response_ms=ballot.response_ms,
            shown_at=ballot.shown_at,
            device=ballot.device,
        )
    except VoteError as error:
        if error.why not in ("position", "rest", "too-early"):
            raise
        return respond(error.why, current=as_told(open_state()))
    return jsonify({"saved": receipt.position, "current": _after_vote(receipt.state)})


def _after_vote(state: SessionState) -> dict[str, Any]:
    """The vote is stored, so its receipt goes out whatever keeps the next item back."""
    try:
        refuse_unless_open(state)
        return as_told(state)
    except (PageError, StimulusError):
        return {"stage": "message"}


@api.get("/i/<address>")
def image(address: str) -> Response:
    """A stimulus, for the session whose present or next items show it; 404 for all others."""
    rated, here = rater_session(), site()
    sha256 = rated.image(address)
    if sha256 is None:
        raise PageError("404")
    told = sha256 in here.stimuli.refused
    try:
        data = here.stimuli.read(sha256)
    except StimulusError as error:
        if not told:  # browsers go on asking
            LOG.error("stimulus", extra={"fields": {**where(), "message": str(error)}})
            rated.note("stimulus-changed", sha256=sha256)
        raise
    response = make_response(data)
    response.mimetype = "image/png"
    return response


@api.get("/health")
def health() -> Response:
    """Whether the site answers and its database can be read."""
    Studies(site().store).get(site().design.name)
    return jsonify({"status": "ok"})
