"""The operator's side of a site: who may come in, and what goes wrong there.

Every page under /operator is refused unless somebody is logged in, every change unless they are
an owner: `guard` comes before each of them, and only the endpoints named here are spared.
"""

from __future__ import annotations

from typing import Any, cast
from urllib.parse import urlsplit

from flask import Blueprint, flash, g, redirect, render_template, request, session, url_for
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as Answer

from sreval.errors import SrevalError, StoreError, UsageError, option
from sreval.site.current import site
from sreval.site.logs import LOG, where
from sreval.store.errors import StateError
from sreval.store.operators import LoginError, OperatorRow, Operators

operator = Blueprint("operator", __name__, url_prefix="/operator")
Page = str | Answer | tuple[str, int]

_FOR_ANYBODY = ("operator.login", "operator.enter")
_FOR_VIEWERS = ("operator.logout",)
_READING = ("GET", "HEAD")
_TOKEN = "operator"


class RefusalError(Exception):
    """What isn't allowed: a status, what is said, and what would help."""

    def __init__(self, status: int, title: str, text: str) -> None:
        super().__init__(title)
        self.status, self.title, self.text = status, title, text


def who() -> OperatorRow:
    """Who is logged in."""
    return cast(OperatorRow, g.operator)


@operator.before_request
def guard() -> Answer | None:
    """Refuse everything but what is allowed here."""
    reading = request.method in _READING
    if "\0" in request.path + request.form.get("name", ""):
        raise RefusalError(400, "No name has a NUL character", "Nothing was changed.")
    if not reading:
        _refuse_other_sites()
    token = session.get(_TOKEN)
    g.operator = Operators(site().store).logged_in(token) if isinstance(token, str) else None
    if request.endpoint in _FOR_ANYBODY:
        return None
    if g.operator is None:
        if reading:
            return redirect(url_for("operator.login"), 303)
        raise RefusalError(
            401, "You are not logged in", "Nothing was changed. Log in, then try again."
        )
    if not reading and g.operator.role != "owner" and request.endpoint not in _FOR_VIEWERS:
        raise RefusalError(403, "Viewers change nothing", "An owner of the study can do this.")
    return None


def _refuse_other_sites() -> None:
    """A form that another site sent; the CSRF token is asked for besides."""
    fetched = request.headers.get("Sec-Fetch-Site", "same-origin")
    origin = request.headers.get("Origin")
    own = urlsplit(site().config.base_url or request.host_url)
    if fetched not in ("same-origin", "none") or (
        origin is not None and origin != f"{own.scheme}://{own.netloc}"
    ):
        raise RefusalError(
            403,
            "That came from another site",
            "Nothing was changed. If it did come from this site, its base URL isn't the address "
            "that your browser shows: serve it with "
            f"{option('--base-url')}.",
        )


@operator.get("/login")
def login() -> Page:
    """The form to log in."""
    if g.operator is not None:
        return redirect(url_for("operator.studies_page"), 303)
    ended = session.pop(_TOKEN, None) is not None
    return render_template("operator/login.html", error="", name="", ended=ended)


@operator.post("/login")
def enter() -> Page:
    """Log in: whatever this browser's session held before is gone."""
    name = request.form.get("name", "")
    try:
        token = Operators(site().store).log_in(name, request.form.get("password", ""))
    except LoginError as error:
        LOG.warning("login refused", extra={"fields": where()})
        page = render_template("operator/login.html", error=str(error), name=name, ended=False)
        return page, 401
    session.clear()
    session[_TOKEN] = token
    return redirect(url_for("operator.studies_page"), 303)


@operator.post("/logout")
def logout() -> Page:
    """End the login, here and for whoever copied its cookie."""
    Operators(site().store).log_out(session[_TOKEN])
    session.clear()
    flash("You are logged out.")
    return redirect(url_for("operator.login"), 303)


@operator.context_processor
def _shared() -> dict[str, Any]:
    return {"operator": g.get("operator")}


@operator.errorhandler(Exception)
def _answer(error: Exception) -> tuple[str, int]:
    status, title, text = _told(error)
    return render_template("operator/message.html", title=title, text=text), status


def _told(error: Exception) -> tuple[int, str, str]:
    """Status, title and text. Operators are told what the error says; what nobody foresaw is
    logged, and only its request's number told."""
    if isinstance(error, RefusalError):
        return error.status, error.title, error.text
    if isinstance(error, CSRFError):
        return (
            403,
            "That form could not be accepted",
            "Nothing was changed. Reload, then try again.",
        )
    if isinstance(error, HTTPException) and error.code and error.code < 500:
        return error.code, error.name, "Nothing was changed."
    if isinstance(error, UsageError | StateError) and g.get("operator") is not None:
        return (404 if isinstance(error, UsageError) else 409), error.message, error.remedy
    if isinstance(error, SrevalError):
        told = error.message, error.remedy
        if g.get("operator") is None:  # where a database lies is nothing for strangers
            told = "Nobody can log in at present", f"The log says more under {g.request_id}."
        LOG.error("operator", extra={"fields": {**where(), "message": str(error)}})
        return 503 if isinstance(error, StoreError) else 500, *told
    LOG.error("unexpected", extra={"fields": where()}, exc_info=error)
    return 500, "Something went wrong here", f"The log says more under {g.request_id}."


def done(text: str, to: str, **values: Any) -> Answer:
    """To another page, which first says what was done."""
    flash(text)
    return redirect(url_for(to, **values), 303)
