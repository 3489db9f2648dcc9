"""Whose page a request comes from: the page names its study and its session, the cookie authorises.

Every address of a rater's page, form, vote and image begins with /study/STUDY/PLACE. A place is a
session's id, or the name of a visit until its visitor agrees. A cookie knows one place only, that
of the link which was opened last in its browser, so that what an older tab sends is refused.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from flask import Flask, Request, redirect, request, session, url_for
from flask import Response as FlaskResponse
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionMixin
from itsdangerous import BadSignature, URLSafeTimedSerializer
from werkzeug.wrappers import Response

from sreval.files import sha256_bytes
from sreval.site.errors import PageError

HERE = "/study/<study>/<place>"
"""The beginning of every rater's address."""

_OPERATOR = "/operator"
_VISIT = "v-"
REMEMBERED = 2048
"""How many cookies and tokens are remembered as good; a rater keeps them through all items."""


class Cookies(SecureCookieSessionInterface):
    """A cookie for a study's raters and one for its operators, each with a CSRF token of its own.

    Cookies don't know ports and servers' clocks differ: so they are named for the study, signed
    for that name, and have no age. How long a session or a login lasts, the database says.
    """

    def __init__(self) -> None:
        self._serializers: dict[str, URLSafeTimedSerializer | None] = {}
        self._verified = lru_cache(maxsize=REMEMBERED)(self._read)

    def get_cookie_name(self, app: Flask) -> str:
        """The name of the cookie that the present request uses."""
        name = super().get_cookie_name(app)
        return f"{name}-operator" if is_operators(request.path) else name

    def get_signing_serializer(self, app: Flask) -> URLSafeTimedSerializer | None:
        """One that reads no other cookie, made once."""
        name = self.get_cookie_name(app)
        if name not in self._serializers:
            made = super().get_signing_serializer(app)
            if made is not None:
                made.salt = name.encode()
            self._serializers[name] = made
        return self._serializers[name]

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """The content of the cookie, however old; an empty session where the signature is bad."""
        serializer = self.get_signing_serializer(app)
        found = request.cookies.get(self.get_cookie_name(app))
        if serializer is None or not found:
            return self.session_class()
        try:
            return self.session_class(self._verified(serializer, found))
        except BadSignature:
            return self.session_class()

    def save_session(self, app: Flask, session: SessionMixin, response: FlaskResponse) -> None:
        """Set the cookie where its content has changed."""
        if not session or session.modified:
            super().save_session(app, session, response)
        elif session.accessed:
            response.vary.add("Cookie")

    @staticmethod
    def _read(serializer: URLSafeTimedSerializer, cookie: str) -> dict[str, Any]:
        """What a cookie says, if its signature is good: it then says so for ever."""
        said: dict[str, Any] = serializer.loads(cookie)
        return said


def is_operators(path: str) -> bool:
    """Whether an address is one of the operators' pages."""
    return f"{path}/".startswith(f"{_OPERATOR}/")


def visit_name(visit: str) -> str:
    """The place of a visitor who hasn't agreed yet; ``visit`` itself is a secret."""
    return _VISIT + sha256_bytes(visit.encode())[:16]


def enter(place: str, **kept: Any) -> None:
    """Authorise this browser for one place; of the one before only the language stays.

    The CSRF token goes too: a page of the place before can send nothing any more.
    """
    lang = session.get("lang")
    session.clear()
    session.update(kept, place=place)
    if lang:
        session["lang"] = lang


def session_id() -> str:
    """The id of the session that the cookie authorises. Raises PageError (401) without one."""
    place = session.get("place", _VISIT)
    if place.startswith(_VISIT) or "left" in session:
        raise PageError("session")
    return str(place)


def refuse_foreign(study: str) -> Response | None:
    """Refuse a request for another study or place than ``study`` and the cookie's.

    The page of a visit leads to the session that came of it, where a form was sent twice. Raises
    PageError: 409 for another study or another link's page, 401 without a cookie.
    """
    named = request.view_args or {}
    if "place" not in named:
        return None
    if named["study"] != study:
        raise PageError("other-study")
    if "place" not in session:
        # a link leads here with a cookie: who comes from it without one refuses cookies
        raise PageError("cookies" if "begin" in request.args else "session")
    if session["place"] == named["place"]:
        if "begin" not in request.args or request.method == "POST":
            return None
        # a tab that is restored without its cookie must not be told that it refuses cookies
        return redirect(url_for(str(request.endpoint), **named), 303)
    if session.get("was") == named["place"]:
        if request.method == "POST" and named.get("stage") != "consent":
            raise PageError("step")
        return redirect(url_for("rater.back"), 303)
    raise PageError("other-session")
