"""A site is made by `create_app`: one study, its database, its pages in every language.

Everything that guards a request is set up here, to be reviewed as one: cookies, CSRF, headers,
rates, the size of bodies, proxies; and what is logged of it.
"""

from __future__ import annotations

import io
import secrets
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from babel import Locale
from babel.core import UnknownLocaleError
from babel.messages.mofile import write_mo
from babel.messages.pofile import PoFileError, read_po
from babel.support import NullTranslations, Translations
from flask import Flask, Response, abort, g, request, session
from flask_babel import Babel, Domain, get_locale
from flask_wtf.csrf import CSRFProtect, ValidationError, validate_csrf
from markupsafe import Markup
from werkzeug.datastructures import LanguageAccept
from werkzeug.http import parse_accept_header
from werkzeug.middleware.proxy_fix import ProxyFix

from sreval import content
from sreval.content import SOURCE_LANGUAGE
from sreval.errors import DataError
from sreval.files import sha256_bytes
from sreval.site.api import api
from sreval.site.config import Rates, SiteConfig, body_limit, origin
from sreval.site.current import Site, Stimuli, StudyView, design_as_read, own, site
from sreval.site.errors import PageError, answer_errors
from sreval.site.identity import REMEMBERED, Cookies, is_operators, refuse_foreign
from sreval.site.logs import LOG, where
from sreval.site.metrics import METRICS, Metrics
from sreval.site.operator_actions import operator
from sreval.site.probes import PROBES, probes
from sreval.site.rater import page_of_error, rater
from sreval.store.database import open_store
from sreval.store.invitations import Links
from sreval.store.studies import Studies
from sreval.study.design import StudyDesign, load_design
from sreval.study.manifest import load_manifest
from sreval.study.markdown import as_html

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

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
_UNKNOWN = "sreval.unknown_address"
_HOSTS = 64
"""How many addresses of this site are remembered; visitors may claim any."""

Catalogues = dict[str, NullTranslations]

WINDOW_SECONDS = 60.0
_HEADER_LETTERS = 1000
"""What is read of Accept-Language: its parsing takes time."""
_RATE_OF = {
    "rater.study": "form",
    "rater.instructions": "form",
    "rater.step": "form",
    "api.item": "vote",
    "api.device": "device",
    "api.vote": "vote",
    "api.image": "image",
    "rater.plate": "image",
}


class _Application(Flask):
    def ensure_sync(self, func: Any) -> Any:
        """The function itself: none here is asynchronous, and to ask each takes time."""
        return func

    def log_exception(self, exc_info: Any) -> None:
        """Log what no error handler could answer; Flask's own line names the path, with tokens."""
        LOG.error("unexpected", extra={"fields": where()}, exc_info=exc_info)

    def handle_exception(self, e: Exception) -> Response:
        """Answer even where an error's own page fails: a server's log would name the link."""
        try:
            return super().handle_exception(e)
        except Exception:
            plain = Response("Something went wrong here.", 500, mimetype="text/plain")
            return self.finalize_request(plain, from_error_handler=True)


def create_app(config: SiteConfig) -> Flask:
    """The site as a WSGI application; the study is registered in the database.

    Raises DataError for a study that is not frozen whole or a secret that others can read,
    UsageError for a faulty design, StoreError for a database that can't be used, is of another
    schema or holds another study under this name.
    """
    design, manifest = load_design(config.study), load_manifest(config.study)
    stimuli = Stimuli(config.study, manifest)
    if missing := stimuli.missing():
        raise DataError(
            f"{config.study} lacks {len(missing)} of {len(stimuli.sizes)} stimuli.",
            "Freeze the study again, or put the files back from a backup.",
        )
    app = application()
    _log_requests(app)
    _guard(app, config, design)
    store = open_store(config.database, create=config.create_tables)
    Studies(store).register(design, manifest)
    found = all_catalogues()
    languages = offered(design, found)
    raters_pages(app, Site(config, store, design, manifest, stimuli, languages), found)
    app.register_blueprint(operator)
    app.register_blueprint(probes(store, design.name))
    if config.metrics:
        app.extensions[METRICS] = Metrics(app, app.extensions["sreval"])
    return app


def application() -> Flask:
    """An application with the site's templates and static files, and nothing else yet."""
    web = content.packaged("web")
    return _Application(
        "sreval.site", template_folder=web / "templates", static_folder=web / "static"
    )


def raters_pages(app: Flask, here: Site, found: Catalogues) -> None:
    """Add all that raters meet: their pages, what scripts ask for, errors, languages."""
    app.extensions["sreval"] = here
    Compiled(app, found, locale_selector=_language)
    answer_errors(app, page_of_error)
    _add_pages(app)


def personal_link(app: Flask) -> str:
    """The path of a new personal link, for someone who sits at this machine."""
    here: Site = app.extensions["sreval"]
    _, token = Links(here.store, here.design.name).create("personal", label="sreval serve")
    return f"/r/{token}"


def _add_pages(app: Flask) -> None:
    app.register_blueprint(rater)
    app.register_blueprint(api)
    app.jinja_env.filters["markdown"] = lambda text: Markup(as_html(text))

    @app.before_request
    def remember_language() -> None:
        if request.args.get("lang") in site().languages:
            session["lang"] = request.args["lang"]

    @app.context_processor
    def shared() -> dict[str, Any]:
        here = own("rater.study") if "place" in session else None
        language = get_locale()
        return {
            "study": StudyView.of(design_as_read()),
            "lang": str(language),
            "direction": language.text_direction,
            "languages": site().languages,
            "here": here,
        }


def _language() -> str:
    """As asked for by ?lang=, else before, else by the browser, else that of the design.

    Only a language that the study has: no page is half in another.
    """
    known = site().languages
    header = request.headers.get("Accept-Language", "")[:_HEADER_LETTERS]
    accepted = parse_accept_header(header, LanguageAccept).values()
    wishes = [session.get("lang", ""), *accepted, site().design.language]
    spoken = (str(wish).split("-")[0].lower() for wish in wishes)
    return next((code for code in spoken if code in known), SOURCE_LANGUAGE)


def all_catalogues() -> Catalogues:
    """The catalogues that the package brings. Raises DataError as `catalogues`."""
    return catalogues(content.packaged("web") / "translations")


def catalogues(folder: Path) -> Catalogues:
    """Every folder/LANGUAGE/LC_MESSAGES/messages.po by language, and English as the source has it.

    Raises DataError naming the file that can't be read or whose folder is no known language.
    """
    found: Catalogues = {SOURCE_LANGUAGE: NullTranslations()}
    for path in sorted(folder.glob("*/LC_MESSAGES/messages.po")):
        language = path.parent.parent.name
        try:
            Locale.parse(language)
            compiled = io.BytesIO()
            with path.open("rb") as file:
                write_mo(compiled, read_po(file, locale=language, abort_invalid=True))
        except (OSError, ValueError, UnknownLocaleError, PoFileError) as error:
            raise DataError(f"{path}: {error}.", "Fix the file, or remove it.") from None
        compiled.seek(0)
        found[language] = Translations(compiled)
    return found


def offered(design: StudyDesign, found: Catalogues) -> dict[str, str]:
    """What raters may choose: the languages that the study and the pages have, code to name."""
    names = own_names(found)
    return {code: names[code] for code in design.languages if code in names}


def own_names(languages: Catalogues) -> dict[str, str]:
    """What each language calls itself, by its code, in the codes' order."""
    return {code: Locale.parse(code).get_display_name() or code for code in sorted(languages)}


class Compiled(Babel):  # type: ignore[misc]
    """Flask-Babel with these catalogues in place of .mo files."""

    def __init__(self, app: Flask, found: Catalogues, **options: Any) -> None:
        self._domain = _Domain(found)
        super().__init__(app, default_locale=SOURCE_LANGUAGE, **options)

    @property
    def domain_instance(self) -> Domain:
        """Where all of Flask-Babel looks a message up."""
        return self._domain


class _Domain(Domain):  # type: ignore[misc]
    def __init__(self, found: Catalogues) -> None:
        super().__init__()
        self._found = found

    def get_translations(self) -> NullTranslations:
        return self._found.get(str(get_locale()), self._found[SOURCE_LANGUAGE])


class _Csrf(CSRFProtect):  # type: ignore[misc]
    """Remembers what it has verified: a page sends one token with every vote, and it has no age."""

    def __init__(self, app: Flask) -> None:
        self._verified = lru_cache(maxsize=REMEMBERED)(self._verify)
        super().__init__(app)

    def protect(self, **options: Any) -> None:
        """Refuse the request unless its token is that of its session."""
        token = request.headers.get("X-CSRFToken")
        if token and request.is_json:
            with suppress(ValidationError):  # which is answered below
                g.csrf_valid = self._verified(token, session.get("csrf_token"))
                return
        super().protect(**options)

    @staticmethod
    def _verify(token: str, own: str | None) -> bool:
        """True for the token of the session whose ``own`` it is; raises for any other."""
        validate_csrf(token)
        return True


def _guard(app: Flask, config: SiteConfig, design: StudyDesign) -> None:
    """Put every guard in place. Raises DataError when the secret can't be used."""
    study, longest = design.name, body_limit(design.questions)
    app.config.update(
        SECRET_KEY=config.secret_key(),
        # the prefix keeps neighbours under the same domain from planting a cookie
        SESSION_COOKIE_NAME=f"__Host-sreval-{study}" if config.tls else f"sreval-{study}",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=config.tls,
        MAX_CONTENT_LENGTH=longest,
        MAX_FORM_MEMORY_SIZE=longest,
        WTF_CSRF_TIME_LIMIT=None,  # a form may wait over a long break; the session bounds it
        WTF_CSRF_SSL_STRICT=False,  # it asks for a referrer, and our pages send none
    )
    app.session_interface = Cookies()
    _know_own_address(app, config)
    if config.rates is not None:
        _limit_rates(app, config.rates)
    # before CSRF: a page of another place is told so, and not that its form has grown old
    app.before_request(lambda: refuse_foreign(study))
    _Csrf(app)

    _harden(app, config)

    @app.after_request
    def keep_nowhere(response: Response) -> Response:
        if request.endpoint != "static":
            response.headers["Cache-Control"] = "private, no-store"
        return response


def _harden(app: Flask, config: SiteConfig) -> None:
    """Add the headers that guard visitors to every answer."""
    answer = app.wsgi_app
    to_all = HEADERS | ({"Strict-Transport-Security": _HSTS} if config.tls else {})
    # told no referrer, browsers hide the origin of forms too, which is checked there
    to_operators = list((to_all | {"Referrer-Policy": "same-origin"}).items())
    to_raters = list(to_all.items())

    def hardened(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        more = to_operators if is_operators(environ["PATH_INFO"]) else to_raters

        def start(status: str, headers: list[tuple[str, str]], *failed: Any) -> Any:
            return start_response(status, headers + more, *failed)

        return answer(environ, start)

    app.wsgi_app = hardened  # type: ignore[method-assign]


def _know_own_address(app: Flask, config: SiteConfig) -> None:
    """Take scheme and host from the base URL; without one, only from a host that can be one."""
    answer, known_origin = app.wsgi_app, lru_cache(maxsize=_HOSTS)(origin)

    def known(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        told = environ.get("HTTP_HOST", "localhost")
        try:
            if not told.isascii():
                raise ValueError("a header's letters are ASCII")
            own = config.base_url or known_origin(f"{environ['wsgi.url_scheme']}://{told}")
        except ValueError:
            # nothing could be answered there, not even with an error's page
            own, environ[_UNKNOWN] = "http://localhost", True
        environ["wsgi.url_scheme"], _, environ["HTTP_HOST"] = own.partition("://")
        return answer(environ, start_response)

    count = config.trusted_proxies
    proxied = ProxyFix(known, x_for=count, x_proto=count, x_host=count) if count else known
    app.wsgi_app = proxied  # type: ignore[method-assign]

    @app.before_request
    def refuse_unknown() -> None:
        if _UNKNOWN in request.environ:
            abort(400)


class Counts:
    """Requests in windows of a minute, each beginning with the first request of its key."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._windows: dict[str, tuple[float, int]] = {}
        self._swept = time.monotonic()

    def more(self, key: str) -> int:
        """Count one more; gives how many there are in the present window."""
        with self._lock:
            now = time.monotonic()
            if now - self._swept > WINDOW_SECONDS:
                self._windows = {k: w for k, w in self._windows.items() if w[0] > now}
                self._swept = now
            end, count = self._windows.get(key, (0.0, 0))
            if end <= now:
                end, count = now + WINDOW_SECONDS, 0
            self._windows[key] = end, count + 1
            return count + 1


def _limit_rates(app: Flask, rates: Rates) -> None:
    """Answer 429 to requests above these rates.

    They are counted by session, visit or link, never by network address, as a laboratory shares
    one. Each process counts for itself, in memory.
    """
    counts = Counts()

    @app.before_request
    def limit() -> None:
        for kind, key in _counted_as():
            if counts.more(f"{kind}/{key}") > getattr(rates, kind):
                raise PageError("429")


def _counted_as() -> Iterator[tuple[str, str]]:
    """Under what the present request counts.

    Many may open one link at once, where it is an open one; a visitor who comes back by it
    without having agreed is known by the visit that began then.
    """
    if request.endpoint in ("rater.link", "rater.next_rater"):
        token = str((request.view_args or {}).get("token"))
        yield "link", sha256_bytes(token.encode(errors="replace"))
        if "visit" in session:
            yield "visit", session["visit"]
        return
    kind, key = _RATE_OF.get(str(request.endpoint)), session.get("place")
    if kind and key:
        yield kind, key


def _log_requests(app: Flask) -> None:
    """Give each request an id (sent back as X-Request-ID) and one line when it is answered."""

    @app.before_request
    def begin() -> None:
        g.request_id, g.began = secrets.token_hex(8), time.perf_counter()

    @app.after_request
    def end(response: Response) -> Response:
        response.headers["X-Request-ID"] = g.get("request_id", "-")
        if request.blueprint == PROBES and response.status_code == 200:
            return response  # supervisors ask every few seconds
        milliseconds = round((time.perf_counter() - g.get("began", time.perf_counter())) * 1e3, 1)
        fields = {**where(), "status": response.status_code, "ms": milliseconds}
        LOG.info("request", extra={"fields": fields})
        return response
