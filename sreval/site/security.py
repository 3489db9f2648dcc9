"""What guards every request: cookies, CSRF, headers, rates, the size of bodies, proxies.

One file, to be reviewed as one; only the counting of requests is in rates.py.
"""

from __future__ import annotations

from flask import Flask, Response, request
from flask_wtf.csrf import CSRFProtect
from werkzeug.middleware.proxy_fix import ProxyFix

from sreval.site.config import BODY_BYTES, SiteConfig, secret_key
from sreval.site.rates import limit_rates

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
        limit_rates(app, config.rates)
    CSRFProtect(app)

    @app.after_request
    def harden(response: Response) -> Response:
        response.headers.update(HEADERS)
        if request.blueprint == "operator":
            # told no referrer, browsers hide the origin of forms too, which is checked there
            response.headers["Referrer-Policy"] = "same-origin"
        if config.tls:
            response.headers["Strict-Transport-Security"] = _HSTS
        if request.endpoint != "static":
            response.headers["Cache-Control"] = "private, no-store"
        return response
