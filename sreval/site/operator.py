"""The operator's side of a site: who may come in, and what goes wrong there.

Every page under /operator is refused unless somebody is logged in, every change unless they are
an owner: `guard` comes before each of them, and only the endpoints named here are spared.
"""

from __future__ import annotations

import secrets
from typing import Any, cast

from flask import (
    Blueprint,
    current_app,
    flash,
    g,
    make_response,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from flask_wtf.csrf import CSRFError
from itsdangerous import BadData, URLSafeTimedSerializer
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as Answer

from sreval.errors import SrevalError, StoreError, UsageError, option
from sreval.site.config import origin
from sreval.site.current import site
from sreval.site.logs import LOG, where
from sreval.store.errors import BusyError, StateError
from sreval.store.operators import LoginError, OperatorRow, Operators
from sreval.store.studies import Studies

operator = Blueprint("operator", __name__, url_prefix="/operator")
Page = str | Answer | tuple[str, int]

_FOR_ANYBODY = ("operator.login", "operator.enter", "operator.link_page", "operator.use_link")
_FOR_VIEWERS = ("operator.logout",)
_FOR_OWNERS = ("operator.payments",)
_UNATTENDED = ("operator.live_now",)
"""What a page asks for by itself, whether or not anybody is there."""
_READING = ("GET", "HEAD")
_TOKEN = "operator"

_KNOWN_SECONDS = 180 * 24 * 3600
_MOST_NAMES = 8

_UNTYPED = ("csrf_token", "password", "made_from", "confirm")
"""Fields that nobody typed, that must not be shown, or that are typed to think twice."""


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
    if not reading and _from_elsewhere():
        raise RefusalError(
            403,
            "That came from another site",
            "Nothing was changed. If it did come from this site, its base URL isn't the address "
            f"that your browser shows: serve it with {option('--base-url')}.",
        )
    token = session.get(_TOKEN)
    g.operator = None
    if isinstance(token, str):
        attended = request.endpoint not in _UNATTENDED
        g.operator = Operators(site().store).logged_in(token, attended=attended)
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
    if request.endpoint in _FOR_OWNERS and g.operator.role != "owner":
        raise RefusalError(403, "Viewers see no participants", "An owner of the study does.")
    if "name" in (request.view_args or {}):
        # a name in the address is looked up here, before anything takes it for a folder's
        Studies(site().store).get(cast(dict[str, Any], request.view_args)["name"])
    return None


def _from_elsewhere() -> bool:
    """Whether another site sent the form; the CSRF token is asked for besides."""
    fetched = request.headers.get("Sec-Fetch-Site", "same-origin")
    told = request.headers.get("Origin")
    try:
        own = origin(request.host_url)
        return fetched not in ("same-origin", "none") or (told is not None and origin(told) != own)
    except ValueError:
        return True


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
    name, password = request.form.get("name", ""), request.form.get("password", "")
    key, names = _known_browser()
    try:
        token = Operators(site().store).log_in(name, password, browser=key if name in names else "")
    except LoginError as error:
        LOG.warning("login refused", extra={"fields": where()})
        told = {"error": str(error), "name": name[:100], "ended": False}
        return make_response(render_template("operator/login.html", **told), 401)
    return _welcome(name, token)


@operator.get("/login/<token>")
def link_page(token: str) -> Page:
    """Who a link logs in. Only the button uses it up: mail programs open links by themselves."""
    name = Operators(site().store).whose_link(token)
    if not name:
        raise _used_link()
    return render_template("operator/link.html", whose=name, token=token)


@operator.post("/login/<token>")
def use_link(token: str) -> Page:
    """Log in by a link, once."""
    try:
        name, login_token = Operators(site().store).use_link(token)
    except LoginError:
        raise _used_link() from None
    return _welcome(name, login_token)


def _used_link() -> RefusalError:
    return RefusalError(
        404, "This link was used, or is too old", "Make another on the server: sreval operator link"
    )


def _welcome(name: str, token: str) -> Answer:
    """The way in. This browser is known as one of this operator's from now on."""
    session.clear()
    session[_TOKEN] = token
    key, names = _known_browser()
    kept = [name, *(other for other in names if other != name)][:_MOST_NAMES]
    answer = redirect(url_for("operator.studies_page"), 303)
    answer.set_cookie(
        _browser_cookie(),
        _signer().dumps([key or secrets.token_urlsafe(16), kept]),
        max_age=_KNOWN_SECONDS,
        secure=site().config.tls,
        httponly=True,
        samesite="Lax",
    )
    return answer


def _known_browser() -> tuple[str, list[str]]:
    """The key of this browser, and which operators have logged in here before: OWASP's device
    cookie. It lets nobody in; strangers' guesses just don't count for it."""
    try:
        key, names = _signer().loads(request.cookies.get(_browser_cookie(), ""))
    except BadData:
        return "", []
    return key, names


def _browser_cookie() -> str:
    return f"{current_app.config['SESSION_COOKIE_NAME']}-browser"


def _signer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(str(current_app.secret_key), salt="an operator's browser")


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
def refused(error: Exception) -> tuple[str, int]:
    """The page that says what went wrong, with what was typed."""
    status, title, text = _told(error)
    page = render_template("operator/message.html", title=title, text=text, kept=_typed())
    return page, status


def _typed() -> dict[str, str]:
    """What was typed into a form of this site that is refused, by field: it must not be lost."""
    if request.method in _READING or _from_elsewhere():
        return {}
    try:
        form = request.form
    except HTTPException:  # too long to be read
        return {}
    return {key: text for key, text in form.items() if key not in _UNTYPED and text.strip()}


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
    if isinstance(error, BusyError):
        return 503, "The database is busy", "Nothing was changed. Try again in a moment."
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
