"""A site is made by `create_app`: one study, its database, its pages."""

from __future__ import annotations

from typing import Any

from flask import Flask, request, session
from flask_babel import get_locale

from sreval import content
from sreval.errors import DataError
from sreval.site.api import api
from sreval.site.config import SiteConfig
from sreval.site.context import Site, site
from sreval.site.images import Shelf
from sreval.site.logs import log_requests
from sreval.site.operator_actions import operator
from sreval.site.problems import answer_errors
from sreval.site.rater import rater
from sreval.site.security import secure
from sreval.site.translations import SOURCE_LANGUAGE, Compiled, catalogues, own_names
from sreval.store import invitations, studies
from sreval.store.database import open_store
from sreval.study.design import load_design
from sreval.study.manifest import load_manifest


def create_app(config: SiteConfig) -> Flask:
    """The site as a WSGI application; the study is registered in the database.

    Raises DataError for a study that is not frozen whole or a secret that others can read,
    UsageError for a faulty design, StoreError for a database that can't be used, is of another
    schema or holds another study under this name.
    """
    design, manifest = load_design(config.study), load_manifest(config.study)
    shelf = Shelf(config.study, manifest)
    if missing := shelf.missing():
        raise DataError(
            f"{config.study} lacks {len(missing)} of {len(shelf.sizes)} stimuli.",
            "Freeze the study again, or put the files back from a backup.",
        )
    web = content.packaged("web")
    app = Flask("sreval.site", template_folder=web / "templates", static_folder=web / "static")
    log_requests(app)
    secure(app, config)
    store = open_store(config.database, create=True)
    studies.register(store, design, manifest)
    found = catalogues(web / "translations")
    languages = own_names(found)
    app.extensions["sreval"] = Site(config, store, design, manifest, shelf, languages)
    Compiled(app, found, locale_selector=_language)
    answer_errors(app)
    _add_pages(app)
    return app


def personal_link(app: Flask) -> str:
    """The path of a new personal link, for someone who sits at this machine."""
    here: Site = app.extensions["sreval"]
    _, token = invitations.create(here.store, here.design.name, "personal", label="sreval serve")
    return f"/r/{token}"


def _add_pages(app: Flask) -> None:
    app.register_blueprint(rater)
    app.register_blueprint(api)
    app.register_blueprint(operator)

    @app.before_request
    def remember_language() -> None:
        if request.args.get("lang") in site().languages:
            session["lang"] = request.args["lang"]

    @app.context_processor
    def shared() -> dict[str, Any]:
        return {"study": site().view, "lang": str(get_locale()), "languages": site().languages}


def _language() -> str:
    """As asked for by ?lang=, else before, else by the browser, else that of the design."""
    known = site().languages
    wishes = [session.get("lang", ""), *request.accept_languages.values(), site().design.language]
    spoken = (str(wish).split("-")[0].lower() for wish in wishes)
    return next((code for code in spoken if code in known), SOURCE_LANGUAGE)
