"""Every error as a page or as JSON, in the rater's language, with what to do next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import Flask, Response, jsonify, make_response, render_template, request, url_for
from flask_babel import lazy_gettext as _
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as Answer

from sreval.errors import DataError, StoreError
from sreval.site.logs import LOG, log_database, where
from sreval.store.errors import AnswerError, StateError, TokenError, VoteError

_UNSAVED = _("Your answers below aren't saved yet. Please wait a moment, then send them again.")


@dataclass(frozen=True)
class Message:
    """What a rater reads. `back` offers the way to the present item; `after` so many seconds
    the same request may go well. `form` is read above a questionnaire that wasn't stored."""

    status: int
    title: str
    text: str
    back: bool = True
    after: int | None = None
    form: str = _UNSAVED


_SAVED = _("Everything that reached us is saved. Please come back later.")
_ASK = _("Please ask the people who invited you for a new link.")
_GO_ON = _("Continue with the current image.")
_BACK = _("Go back to the study.")

MESSAGES = {
    "session": Message(
        401,
        _("Please open your link"),
        _("This browser doesn't know your session. Your link leads to where you left off."),
        back=False,
    ),
    "cookies": Message(
        401,
        _("This browser refuses cookies"),
        _("The study needs one cookie to know that you are the person who opened the link. Please "
          "allow cookies for this site, then open your link again."),
        back=False,
    ),
    "other-session": Message(
        409,
        _("Another link was opened in this browser"),
        _("This page belongs to the link that you opened before. Nothing was changed. To go on "
          "here, open your own link again."),
        back=False,
    ),
    "other-study": Message(
        409,
        _("This page belongs to another study"),
        _("Nothing was changed. Please open the link that you were given for this study."),
        back=False,
    ),
    "unknown": Message(
        404,
        _("This link isn't known"),
        _("Check that it was copied whole, or ask the people who invited you."),
        back=False,
    ),
    "used-up": Message(
        410,
        _("This link has already been used by everyone it was meant for"),
        _ASK,
        back=False,
    ),
    "revoked": Message(410, _("This link has been withdrawn"), _ASK, back=False),
    "expired": Message(410, _("This link has expired"), _ASK, back=False),
    "participant": Message(
        400,
        _("Please open the study from the page that offers it"),
        _("This address doesn't say which participant you are, or not in a way that can be read. "
          "Nothing is stored. Go back to the page that offers the study and open it from there. If "
          "that doesn't help, tell the people who offer it."),
        back=False,
    ),
    "again": Message(
        409,
        _("You have begun this study before"),
        _("Everyone may take part once. If you aren't done, go on in the browser in which you "
          "began. What was saved there is safe."),
        back=False,
    ),
    "full": Message(
        410,
        _("Enough people take part already"),
        _("Everybody whom this link was meant for has been found. Thank you for your interest."),
        back=False,
    ),
    "paused": Message(
        503,
        _("The study is paused"),
        _SAVED,
        after=60,
        form=_("Your answers below aren't saved yet. Please keep this page open, and send them "
               "again when the study goes on."),
    ),
    "changed": Message(
        503,
        _("The study is being changed"),
        _("Nobody can begin at the moment. Please come back later."),
        back=False,
        after=60,
    ),
    "closed": Message(
        410,
        _("The study has ended"),
        _("It takes no more answers. Everything that reached us is saved. Thank you."),
        back=False,
        form=_("The answers below can't be saved any more. Everything that reached us before is "
               "saved. Thank you."),
    ),
    "ended": Message(410, _("Your session has ended"), _BACK),
    "scale": Message(422, _("That isn't one of the scores"), _GO_ON),
    "malformed": Message(400, _("The server did not understand that"), _BACK),
    "position": Message(409, _("That isn't the current image"), _GO_ON),
    "unseen": Message(409, _("That was very quick"), _("Please look at the image first.")),
    "too-early": Message(409, _("That was very quick"), _("Please look at the image first.")),
    "rest": Message(409, _("It is time to rest"), _("Your next part comes later.")),
    "step": Message(409, _("That step is already done"), _BACK),
    "answers": Message(422, _("Some answers don't fit"), _("Go back and correct them.")),
    "stimulus": Message(410, _("This image can't be shown, and we have been told"), _SAVED),
    "csrf": Message(
        403,
        _("That form could not be accepted"),
        _("It was not saved. Go back to the study and send it again."),
        form=_("Your answers below aren't saved yet. Please send them again."),
    ),
    "busy": Message(
        503,
        _("One moment, please"),
        _("The server can't save at present. Nothing that was saved is lost."),
        after=2,
    ),
    "400": Message(400, _("The server did not understand that"), _BACK),
    "404": Message(404, _("There is no such page"), _BACK),
    "413": Message(
        413,
        _("That was too long"),
        _("It was not saved. Go back and shorten it."),
        form=_("Your answers below aren't saved yet. Please shorten them, then send them again."),
    ),
    "429": Message(429, _("That was very fast"), _("Please wait a moment, then go on."), after=10),
    "500": Message(
        500,
        _("Something went wrong here"),
        _("It isn't your fault, and what was saved is safe. If it happens again, tell the people "
          "who invited you."),
    ),
}  # fmt: skip
"""What raters are told, by kind of error: the whys of TokenError and VoteError, our own, HTTP's."""


class StimulusError(DataError):
    """A stimulus whose bytes are not those that were frozen."""


class PageError(Exception):
    """Raised by a page to answer with what MESSAGES says of this kind."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


_KINDS: tuple[tuple[type[Exception], str], ...] = (
    (StateError, "step"),
    (AnswerError, "answers"),
    (StimulusError, "stimulus"),
    (CSRFError, "csrf"),
)


def kind_of(error: Exception) -> str:
    """The kind of an error. What only the operator can fix is logged."""
    if isinstance(error, PageError):
        return error.kind
    if isinstance(error, TokenError | VoteError):
        return error.why
    for known, kind in _KINDS:
        if isinstance(error, known):
            return kind
    if isinstance(error, StoreError):
        log_database(error, **where())
        return "busy"
    if isinstance(error, HTTPException) and error.code and error.code < 500:
        return str(error.code) if str(error.code) in MESSAGES else "400"
    LOG.error("unexpected", extra={"fields": where()}, exc_info=error)
    return "500"


def told(**fields: Any) -> Response:
    """JSON for a page's script, which believes an answer only if it names its own session."""
    place = (request.view_args or {}).get("place")
    return jsonify({"session": place, **fields} if place else fields)


def _way_back() -> str:
    """The page that the request was made from, as far as it is known."""
    named = request.view_args or {}
    if "place" in named:
        return url_for("rater.study", study=named["study"], place=named["place"])
    return url_for("rater.back")


def respond(kind: str, page: str | Answer | None = None, **more: Any) -> Response:
    """The answer: JSON for scripts, a page for people, which says it itself where not given."""
    message = MESSAGES[kind]
    if request.blueprint in ("api", "probes"):
        response = told(error=f"{message.title}. {message.text}", kind=kind, **more)
    elif page is not None:
        response = make_response(page)
    else:
        retry = _way_back() if message.back else None
        page = render_template(
            "rater/message.html", title=message.title, text=message.text, retry=retry
        )
        response = make_response(page)
    response.status_code = message.status
    if message.after is not None:
        response.headers["Retry-After"] = str(message.after)
    return response


def answer_errors(app: Flask, page_of_error: Callable[[str], str | Answer | None]) -> None:
    """No error leaves the site but through here.

    ``page_of_error`` gives the page that a rater sees for an error of a kind in the place of its
    message, None where there is no such page.
    """

    @app.errorhandler(Exception)
    def answer(error: Exception) -> Response:
        kind = kind_of(error)
        return respond(kind, page=page_of_error(kind))
