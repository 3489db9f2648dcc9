"""What the pages' scripts send and fetch: the item, its image, a vote's receipt, the screen."""

from __future__ import annotations

import datetime as dt
import os
import re
from contextlib import ExitStack
from typing import Annotated, Any, Literal, TypeVar

from flask import Blueprint, Response, request
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from werkzeug.wsgi import wrap_file

from sreval.site.current import as_told, open_state, rater_session, refuse_unless_open, site
from sreval.site.errors import PageError, StimulusError, respond, told
from sreval.site.identity import HERE
from sreval.site.logs import LOG, where
from sreval.store.errors import VoteError
from sreval.store.sessions import SessionState

api = Blueprint("api", __name__)

_PHONE_PX = 600
"""A touch screen whose shorter side has fewer CSS pixels is a phone."""

_MAGNIFIED = 0.01
"""Pinching by less than this share is rounding."""

_BROWSERS = (
    ("Edge", r"Edg(?:A|iOS)?/(\d+)"),
    ("Opera", r"OPR/(\d+)"),
    ("Firefox", r"(?:Firefox|FxiOS)/(\d+)"),
    ("Chrome", r"(?:Chrome|CriOS)/(\d+)"),
    ("Safari", r"Version/(\d+)\S* .*Safari/"),
)
"""Families and how each names its major version; who comes first also names those that follow."""

Length = Annotated[int, Field(ge=1, le=100_000)]


class Facts(BaseModel):
    """What tells whether an image fits, and what can change how it looks.

    Lengths in CSS pixels; `ratio` device pixels to one; `magnified` by pinching. The rest is in
    coarse values, None where the browser can't tell: `forced_colors`, the colour `gamut`, `hdr`,
    `inverted` colours, and the `language` of the page, two or three letters.
    """

    model_config = ConfigDict(extra="forbid")

    window: tuple[Length, Length]
    screen: tuple[Length, Length]
    ratio: float = Field(ge=0.1, le=20)
    magnified: float = Field(default=1, ge=0.01, le=100)
    touch: bool = False
    forced_colors: bool | None = None
    gamut: Literal["srgb", "p3", "rec2020", "unknown"] | None = None
    hdr: bool | None = None
    inverted: bool | None = None
    language: str | None = Field(default=None, pattern=r"^[a-z]{2,3}$")


class Report(BaseModel):
    """What a browser reports, and whether by its own layout the image fits."""

    model_config = ConfigDict(extra="forbid")

    facts: Facts
    fits: bool

    def stored(self) -> dict[str, Any]:
        """What is kept: the facts that are known, and the browser's family and major version."""
        return {**self.facts.model_dump(exclude_none=True), "browser": _browser()}

    def holds(self, largest: tuple[int, int], *, phones: bool) -> bool:
        """Whether the largest image (width, height in device pixels) is shown as it is.

        The browser knows its layout and can only be stricter than what is checked here.
        """
        facts = self.facts
        phone = facts.touch and min(facts.screen) < _PHONE_PX
        room = (facts.window[0] * facts.ratio, facts.window[1] * facts.ratio)
        large = room[0] >= largest[0] and room[1] >= largest[1]
        whole = abs(facts.magnified - 1) <= _MAGNIFIED
        return self.fits and large and whole and (phones or not phone)


def keep_report(report: Report) -> bool:
    """Store what a browser reports of the session's screen; whether the images fit."""
    here = site()
    fits = report.holds(here.room, phones=here.design.viewing.phones)
    rater_session().device(report.stored(), fits)
    return fits


def _browser() -> str:
    told = request.user_agent.string
    found = ((name, re.search(pattern, told)) for name, pattern in _BROWSERS)
    return next((f"{name} {match[1][:4]}" for name, match in found if match), "other")


class Ballot(BaseModel):
    """A vote as the browser sends it, by its types; what it may be, the store decides."""

    model_config = ConfigDict(extra="forbid", strict=True)

    position: int
    image: str
    score: int | float
    key: str
    response_ms: float
    shown_at: dt.datetime
    device: str = ""
    hidden_ms: int | None = None
    unfocused_ms: int | None = None
    switches: int | None = None
    left_ms: int | None = None
    right_ms: int | None = None
    reference_ms: int | None = None
    comment: str = ""


_Model = TypeVar("_Model", Report, Ballot)


def _sent(model: type[_Model]) -> _Model:
    """What a script has sent. Raises PageError (400) for anything else."""
    if not request.is_json:
        raise PageError("400")
    try:
        return model.model_validate_json(request.get_data())
    except ValidationError:
        raise PageError("400") from None


@api.get(f"{HERE}/api/item")
def item(study: str, place: str) -> Response:
    """The present item."""
    return told(**as_told(open_state()))


@api.post(f"{HERE}/api/device")
def device(study: str, place: str) -> Response:
    """Facts of the window measured again: whether the image still fits."""
    return told(fits=keep_report(_sent(Report)))


@api.post(f"{HERE}/api/vote")
def vote(study: str, place: str) -> Response:
    """Store one vote; the answer comes when it is durable."""
    rated = rater_session()
    try:
        receipt = rated.vote(**_sent(Ballot).model_dump())
    except VoteError as error:
        if error.why not in ("position", "unseen", "rest", "too-early"):
            raise
        return respond(error.why, current=as_told(open_state()))
    # what stands may be another score than the one that was sent again
    feedback = {} if receipt.meant is None else {"given": receipt.score, "meant": receipt.meant}
    return told(saved=receipt.position, current=_after_vote(receipt.state), **feedback)


def _after_vote(state: SessionState) -> dict[str, Any]:
    """The vote is stored, so its receipt goes out whatever keeps the next item back."""
    try:
        refuse_unless_open(state)
        return as_told(state)
    except (PageError, StimulusError):
        return {"stage": "message"}


@api.get(f"{HERE}/i/<address>")
def image(study: str, place: str, address: str) -> Response:
    """A stimulus, for the session whose present or next items show it; 404 for all others."""
    rated, here = rater_session(), site()
    picture = rated.image(address)
    if picture is None:
        raise PageError("404")
    sha256 = picture.sha256
    known = sha256 in here.stimuli.refused
    try:
        file = here.stimuli.open(sha256)
    except StimulusError as error:
        if not known:  # browsers go on asking
            LOG.error("stimulus", extra={"fields": {**where(), "message": str(error)}})
            rated.note("stimulus-changed", sha256=sha256)
        raise
    response = Response(mimetype="image/png", direct_passthrough=True)
    with ExitStack() as undo:
        undo.enter_context(file)
        response.content_length = file.seek(0, os.SEEK_END)
        if request.method == "GET":  # HEAD sends no image
            rated.sent(picture)
            file.seek(0)
            # the server's own way to send a file, without its bytes passing through here
            response.response = wrap_file(request.environ, file)
            undo.pop_all()
    return response
