"""Raters before the site go the whole way, and lose no vote to a bad connection."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from werkzeug.serving import make_server

from sreval.site.app import create_app
from sreval.site.config import SiteConfig
from sreval.store.database import Store, open_store
from sreval.store.invitations import Links
from sreval.store.models import Answer, Event, Vote
from sreval.store.rehearsal import rehearse
from sreval.study.design import load_design
from sreval.study.freeze import freeze
from sreval.study.manifest import load_manifest
from sreval.study.respondent import Response, respondents
from tests.load.visitor import Stopped, VisitError, Visitor, WebPage
from tests.study.frozen import ITEMS, QUALITIES

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


@contextmanager
def served(study: Path, between: Callable[[Wsgi], Wsgi]) -> Iterator[tuple[str, Store]]:
    """The study's site on a free port with something between it and the net; its database."""
    design = (study / "study.toml").read_text()
    design = design.replace("seconds = 60", "seconds = 0").replace("minutes = 30", "minutes = 0")
    (study / "study.toml").write_text(design)
    freeze(study, load_design(study), [], again=True)
    app = create_app(
        SiteConfig.given(
            study=study, database=str(study / "votes.sqlite"), secret=40 * "s", rates=None
        )
    )
    store: Store = app.extensions["sreval"].store
    app.wsgi_app = between(app.wsgi_app)  # type: ignore[method-assign, assignment]
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}", store
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        store.dispose()


def a_visitor(study: Path, site: str, token: str, **options: Any) -> Visitor:
    rater = respondents(1, load_design(study), load_manifest(study), QUALITIES)[0]
    return Visitor(f"{site}/r/{token}", rater.respond, **options)


def stored(store: Store) -> list[tuple[int, float]]:
    with store.read() as tx:
        rows = tx.execute(select(Vote.position, Vote.score).order_by(Vote.position))
        return [(position, score) for position, score in rows]


def test_a_visit_ends_with_the_code_and_every_vote_is_as_it_was_acknowledged(
    frozen_study: Path,
) -> None:
    with served(frozen_study, lambda app: app) as (site, store):
        _, token = Links(store, "small").create("personal", simulated=True)
        visit = a_visitor(frozen_study, site, token).run()
        assert stored(store) == sorted(visit.votes.items())
    assert (visit.outcome, visit.code, visit.of) == ("complete", "DONE-1", ITEMS)
    assert sorted(visit.votes) == list(range(1, ITEMS + 1))
    assert visit.retries == 0


def left_behind(store: Store) -> tuple[list[Any], list[Any], list[str]]:
    """What one rater leaves in a database, its times and keys aside."""
    with store.read() as tx:
        votes = select(Vote.position, Vote.score, Vote.response_ms, Vote.device)
        answers = select(Answer.when, Answer.key, Answer.value).order_by(Answer.id)
        return (
            [tuple(row) for row in tx.execute(votes.order_by(Vote.position))],
            [tuple(row) for row in tx.execute(answers)],
            [*tx.scalars(select(Event.kind).order_by(Event.id))],
        )


def test_a_rehearsal_leaves_what_the_same_rater_leaves_by_http(frozen_study: Path) -> None:
    with served(frozen_study, lambda app: app) as (site, store):
        _, token = Links(store, "small").create("personal", simulated=True)
        design, manifest = load_design(frozen_study), load_manifest(frozen_study)
        rater = respondents(1, design, manifest, QUALITIES)[0]
        rater.answer(design.questions[0])  # a draw that the visitor, who takes "good", leaves out
        Visitor(f"{site}/r/{token}", rater.respond).run()
        by_http = left_behind(store)
    database = str(frozen_study / "rehearsal.sqlite")
    rehearse(frozen_study, database, 1, QUALITIES)
    store = open_store(database)
    rehearsed = left_behind(store)
    store.dispose()
    assert rehearsed == by_http
    assert len(rehearsed[0]) == ITEMS


def losing(share: float) -> Callable[[Wsgi], Wsgi]:
    """Answers that are lost on the way back: the site has done its work, a 503 arrives."""
    generator = random.Random(1)

    def between(app: Wsgi) -> Wsgi:
        def call(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
            if generator.random() >= share:
                return app(environ, start)
            answer: Any = app(environ, lambda *_: None)
            with closing(answer):
                for _ in answer:
                    pass
            start("503 Service Unavailable", [("Content-Length", "0")])
            return []

        return call

    return between


def test_answers_that_are_lost_cost_no_vote_and_double_none(frozen_study: Path) -> None:
    with served(frozen_study, losing(0.3)) as (site, store):
        _, token = Links(store, "small").create("personal", simulated=True)
        visit = a_visitor(frozen_study, site, token).run()
        assert visit.retries > 5
        assert visit.outcome == "complete"
        assert stored(store) == sorted(visit.votes.items())
        assert len(stored(store)) == ITEMS


def test_a_site_that_stays_silent_ends_the_patience(frozen_study: Path) -> None:
    with served(frozen_study, losing(1)) as (site, _):
        visitor = a_visitor(frozen_study, site, "anything", patience=0.2)
        with pytest.raises(VisitError, match=r"answers 503, for 0 s"):
            visitor.run()


def test_nobody_there_is_told_so() -> None:
    def respond(shown: object, intended: int | None) -> Response:
        raise AssertionError

    with pytest.raises(VisitError, match="can't be reached"):
        Visitor("http://127.0.0.1:9/r/x", respond, patience=0.1).run()


def test_a_link_that_opens_nothing_is_an_error_and_no_visit(frozen_study: Path) -> None:
    with (
        served(frozen_study, lambda app: app) as (site, _),
        pytest.raises(VisitError, match="answers 404"),
    ):
        a_visitor(frozen_study, site, "wrong").run()


def test_a_visitor_who_is_stopped_has_told_of_every_vote(frozen_study: Path) -> None:
    stop = threading.Event()

    def told(visit: Any) -> None:
        if len(visit.votes) == 4:
            stop.set()

    with served(frozen_study, lambda app: app) as (site, store):
        _, token = Links(store, "small").create("personal", simulated=True)
        visitor = a_visitor(frozen_study, site, token, stop=stop, told=told)
        with pytest.raises(Stopped):
            visitor.run()
        assert stored(store) == sorted(visitor.visit.votes.items())
        assert len(visitor.visit.votes) == 4


def test_a_page_is_read_as_a_browser_reads_it() -> None:
    page = WebPage(
        '<p data-seconds="41"></p><form action="/study/withdraw" data-stage="withdraw">'
        '<input type="radio" name="delete" value="no"></form>'
        '<form action="/study/questions" data-stage="questions">'
        '<input type="hidden" name="csrf_token" value="a&amp;b">'
        '<input type="radio" name="q" value="one"><input type="radio" name="q" value="two">'
        '<input type="number" name="n" min="18" max="99"><button type="submit">Go</button></form>'
        '<script type="application/json" id="page">{"a": "\\u003cb\\u003e"}</script>'
        '<code id="code">X-1</code>'
    )
    assert page.form is not None
    assert page.form.action == "/study/questions"
    assert page.form.fields["csrf_token"].values == ["a&b"]
    assert page.form.fields["q"].values == ["one", "two"]
    assert (page.form.fields["n"].low, page.form.fields["n"].high) == (18, 99)
    assert page.data("page") == {"a": "<b>"}
    assert page.data("room") is None
    assert (page.seconds_left, page.text_of["code"]) == (41, "X-1")
