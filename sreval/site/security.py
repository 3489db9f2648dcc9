"""What guards every request: cookies, CSRF, headers, rates, the size of bodies, proxies.

One file, to be reviewed as one.
"""

from __future__ import annotations

import hashlib

from flask import Flask, Response, request, session
from flask_limiter import Limiter
from flask_wtf.csrf import CSRFProtect
from werkzeug.middleware.proxy_fix import ProxyFix

from sreval.site.config import BODY_BYTES, Rates, SiteConfig, secret_key

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_HSTS = "max-age=31536000"
_RATED = {
    "rater.link": "link",
    "rater.study": "form",
    "rater.step": "form",
    "api.item": "vote",
    "api.device": "vote",
    "api.vote": "vote",
    "api.image": "image",
}


def secure(app: Flask, config: SiteConfig) -> None:
    """Put every guard in place. Raises DataError when the secret can't be used."""
    app.config.update(
        SECRET_KEY=secret_key(config),
        # the prefix keeps neighbours under the same domain from planting a cookie
        SESSION_COOKIE_NAME="__Host-sreval" if config.tls else "sreval",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=config.tls,
        MAX_CONTENT_LENGTH=BODY_BYTES,
        MAX_FORM_MEMORY_SIZE=BODY_BYTES,
        WTF_CSRF_TIME_LIMIT=None,  # a form may wait over a long break; the session bounds it
        WTF_CSRF_SSL_STRICT=False,  # it asks for a referrer, and our pages send none
    )
    if config.trusted_proxies:
        count = config.trusted_proxies
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=count, x_proto=count, x_host=count
        )
    if config.rates is not None:
        _limit_rates(app, config.rates)
    CSRFProtect(app)

    @app.after_request
    def harden(response: Response) -> Response:
        response.headers.update(HEADERS)
        if config.tls:
            response.headers["Strict-Transport-Security"] = _HSTS
        if request.endpoint != "static":
            response.headers["Cache-Control"] = "private, no-store"
        return response


def _limit_rates(app: Flask, rates: Rates) -> None:
    """Limits by session or token and never by network address: a laboratory shares one."""
    Limiter(
        _who,
        app=app,
        default_limits=[lambda: str(getattr(rates, _RATED[str(request.endpoint)]))],
        default_limits_exempt_when=lambda: request.endpoint not in _RATED or not _who(),
        storage_uri="memory://",
    )


def _who() -> str:
    """The session, else the link that was opened, by its hash; empty when there is neither."""
    token = (request.view_args or {}).get("token") or session.get("token")
    if request.endpoint != "rater.link" and "sid" in session:
        return str(session["sid"])
    return hashlib.sha256(str(token).encode()).hexdigest() if token else ""
