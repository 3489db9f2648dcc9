"""Every error as a page or as JSON, in the rater's language, with what to do next."""

from __future__ import annotations

from typing import Any, NamedTuple

from flask import Flask, Response, jsonify, make_response, render_template, request, url_for
from flask_babel import gettext as _
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException

from sreval.errors import StoreError
from sreval.site.images import StimulusError
from sreval.site.logs import LOG, where
from sreval.store.errors import BusyError, StateError, TokenError, VoteError

BUSY_SECONDS, PAUSED_SECONDS, RATE_SECONDS = 2, 60, 10


class Problem(Exception):
    """What a rater is told instead of the page they asked for.

    `after` seconds later the same request may go well; `back` leads to the present item.
    """

    def __init__(
        self, status: int, title: str, text: str, *, back: bool = False, after: int | None = None
    ) -> None:
        super().__init__(title)
        self.status, self.title, self.text = status, title, text
        self.back, self.after = back, after


class _Row(NamedTuple):
    status: int
    title: str
    text: str
    back: bool = False
    after: int | None = None


def no_session() -> Problem:
    """Nobody is signed in."""
    return Problem(
        401,
        _("Please open your link"),
        _("This page belongs to a session that this browser doesn't know. Open the link that "
          "you were given; it leads to where you left off."),
    )


def paused() -> Problem:
    """The study rests."""
    return Problem(
        503,
        _("The study is paused"),
        _("Everything you did is saved. Please come back later by the same link."),
        back=True,
        after=PAUSED_SECONDS,
    )


def closed() -> Problem:
    """The study is over."""
    return Problem(
        410,
        _("The study has ended"),
        _("It takes no more ratings. Everything you did before is saved. Thank you."),
    )


def problem_of(error: Exception) -> Problem:
    """What a rater is told of any error; what only the operator can mend is logged."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, TokenError):
        return _of_token(error)
    if isinstance(error, VoteError):
        return _of_vote(error)
    if isinstance(error, StateError):
        return Problem(
            409, _("That step is already done"), _("Go on with the present one."), back=True
        )
    if isinstance(error, StoreError):
        if not isinstance(error, BusyError):
            LOG.error("database", extra={"fields": {**where(), "message": str(error)}})
        return Problem(
            503,
            _("One moment, please"),
            _("The server can't save at present. Nothing that was saved is lost. Please try "
              "again."),
            back=True,
            after=BUSY_SECONDS,
        )
    if isinstance(error, StimulusError):
        return Problem(
            410,
            _("This image can't be shown"),
            _("The people who run the study have been told. Everything you did is saved. Please "
              "come back later by the same link."),
            back=True,
        )
    if isinstance(error, HTTPException):
        return _of_http(error)
    LOG.error("unexpected", extra={"fields": where()}, exc_info=error)
    return Problem(
        500,
        _("Something went wrong here"),
        _("It isn't your fault, and everything you did is saved. Please try again; if it stays, "
          "tell the people who invited you."),
        back=True,
    )


def _of_token(error: TokenError) -> Problem:
    ask = _("Please ask the people who invited you for a new link.")
    status, title = {
        "unknown": (404, _("This link isn't known")),
        "used-up": (410, _("This link has been used by as many people as it is meant for")),
        "revoked": (410, _("This link has been withdrawn")),
        "expired": (410, _("This link has expired")),
    }[error.why]
    if error.why == "unknown":
        ask = _("Check that it was copied whole, or ask the people who invited you.")
    return Problem(status, title, ask)


def _of_vote(error: VoteError) -> Problem:
    if error.why == "closed":
        return closed()
    if error.why == "paused":
        return paused()
    go_on = _("Go on with the present image.")
    row = {
        "scale": _Row(400, _("That is no score from 1 to 5"), go_on, True),
        "position": _Row(409, _("That image isn't the present one"), go_on, True),
        "session": _Row(401, _("Please open your link"), _("Your session isn't known here.")),
        "ended": _Row(410, _("Your session has ended"), _("Thank you for your time."), True),
        "too-early": _Row(
            409, _("That was very quick"), _("Please look at the image first."), True
        ),
        "rest": _Row(409, _("Now is a time to rest"), _("Your next part comes later."), True),
    }[error.why]
    return Problem(row.status, row.title, row.text, back=row.back, after=row.after)


def _of_http(error: HTTPException) -> Problem:
    if isinstance(error, CSRFError):
        return Problem(
            403,
            _("That form could not be accepted"),
            _("It was not saved. Go back to the study and send it again."),
            back=True,
        )
    status = error.code or 500
    again = _("Go back to the study.")
    title, text, after = {
        400: (_("The server did not understand that"), again, None),
        404: (_("There is no such page"), again, None),
        405: (_("There is no such page"), again, None),
        413: (_("That was too long"), _("It was not saved. Go back and shorten it."), None),
        415: (_("The server did not understand that"), again, None),
        429: (_("That was very fast"), _("Please wait a moment, then go on."), RATE_SECONDS),
    }.get(status, (_("That did not work"), again, None))
    return Problem(status, title, text, back=True, after=after)


def respond(problem: Problem, **more: Any) -> Response:
    """The answer: JSON for scripts, a page for people."""
    if request.path.startswith(("/api/", "/i/", "/health")):
        response = jsonify({"error": f"{problem.title}. {problem.text}", **more})
    else:
        retry = url_for("rater.study") if problem.back else None
        response = make_response(
            render_template(
                "rater/message.html", title=problem.title, text=problem.text, retry=retry
            )
        )
    response.status_code = problem.status
    if problem.after is not None:
        response.headers["Retry-After"] = str(problem.after)
    return response


def answer_errors(app: Flask) -> None:
    """No error leaves the site but through here."""

    @app.errorhandler(Exception)
    def answer(error: Exception) -> Response:
        return respond(problem_of(error))
