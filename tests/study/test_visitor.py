"""Simulated raters go the whole way, judge what they see, and lose no vote to a bad connection."""

from __future__ import annotations

import json
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sqlalchemy import select
from werkzeug.serving import make_server

from sreval.errors import DataError
from sreval.images.io import write_png
from sreval.opinions.simulation import RaterModel, expected_score
from sreval.site.app import create_app
from sreval.site.config import site_config
from sreval.store import invitations
from sreval.store.database import Store, open_store
from sreval.store.models import PlanItem, Rater, Session, Vote
from sreval.study.design import load_design
from sreval.study.freeze import freeze
from sreval.study.manifest import load_manifest
from sreval.study.respondent import read_qualities, respondents
from sreval.study.visitor import Stopped, VisitError, Visitor
from sreval.study.webpage import WebPage

UInt8 = npt.NDArray[np.uint8]
QUALITIES = {("", "nearest"): 1.3, ("", "bicubic"): 2.6, ("", "hr"): 4.4}

DESIGN = """
name = "small"
title = "Small"
instructions = "Rate."
raters = 3
seed = 5
[images]
methods = ["nearest", "bicubic", "hr"]
datasets = [{ name = "photos" }]
[calibration]
dataset = "photos"
images = 1
anchors = [{ method = "nearest", score = 1 }, { method = "hr", score = 5 }]
[[repeats]]
dataset = "photos"
method = "hr"
images = 1
distance = 2
[order]
scene_distance = 1
[sittings]
items = 8
break_every = 5
break_seconds = 60
rest_minutes = 30
[consent]
version = "1"
text = "Yes"
[[questions]]
key = "sight"
text = "Sight?"
options = ["poor", "good"]
screens_out = ["poor"]
[[questions]]
key = "age"
text = "Age?"
kind = "number"
low = 18
high = 99
[[questions]]
key = "remarks"
text = "Remarks?"
when = "after"
kind = "text"
required = false
[outcomes]
complete = "DONE-1"
"""
ITEMS = 3 * 3 + 2 + 1


@pytest.fixture
def study(tmp_path: Path, photograph: UInt8, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A frozen study of three small photographs, with sittings and breaks."""
    for shift, name in enumerate(("ant", "bee", "cow")):
        write_png(tmp_path / "photos" / f"{name}.png", np.roll(photograph, 31 * shift, axis=1))
    folder = tmp_path / "studies" / "small"
    folder.mkdir(parents=True)
    (folder / "study.toml").write_text(DESIGN)
    monkeypatch.chdir(tmp_path)
    freeze(folder, load_design(folder), [])
    return folder


Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


@contextmanager
def served(study: Path, between: Callable[[Wsgi], Wsgi]) -> Iterator[tuple[str, Store]]:
    """The study's site on a free port with something between it and the net; its database."""
    design = (study / "study.toml").read_text()
    design = design.replace("seconds = 60", "seconds = 0").replace("minutes = 30", "minutes = 0")
    (study / "study.toml").write_text(design)
    freeze(study, load_design(study), [], again=True)
    app = create_app(
        site_config(study=study, database=str(study / "votes.sqlite"), secret=40 * "s", rates=None)
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
    mind = respondents(1, load_design(study), load_manifest(study), QUALITIES)[0]
    return Visitor(f"{site}/r/{token}", mind, **options)


def stored(store: Store) -> list[tuple[int, int]]:
    with store.read() as tx:
        rows = tx.execute(select(Vote.position, Vote.score).order_by(Vote.position))
        return [(position, score) for position, score in rows]


@pytest.mark.slow
def test_the_command_sends_raters_to_the_end_and_marks_their_data(
    study: Path, sreval: Callable[..., Any]
) -> None:
    (study.parents[1] / "q.csv").write_text("method,quality\nnearest,1.3\nbicubic,2.6\nhr,4.4\n")
    ran = sreval("study", "simulate", "small", "--raters", "4", "--qualities", "q.csv", "--json")
    assert ran.code == 0, ran.err
    summary = json.loads(ran.out)
    assert (summary["complete"], summary["votes"]) == (4, 4 * ITEMS)
    store = open_store(str(study / "votes.sqlite"))
    with store.read() as tx:
        assert all(tx.scalars(select(Rater.simulated)))
        assert set(tx.scalars(select(Session.outcome))) == {"complete"}
        counts = Counter(tx.scalars(select(Vote.session_id)))
        assert set(counts.values()) == {ITEMS}
        rows = tx.execute(
            select(PlanItem.method, PlanItem.kind, PlanItem.intended, Vote.score).join(
                Vote,
                (Vote.session_id == PlanItem.session_id) & (Vote.position == PlanItem.position),
            )
        ).all()
    store.dispose()
    by_method: dict[str, list[int]] = {}
    for method, kind, intended, score in rows:
        if kind == "calibration":
            assert score == intended
        else:
            by_method.setdefault(method, []).append(score)
    means = {method: np.mean(scores) for method, scores in by_method.items()}
    assert means["nearest"] < means["bicubic"] < means["hr"]


def test_raters_can_be_sent_to_a_site_that_runs_already(
    study: Path, sreval: Callable[..., Any]
) -> None:
    (study.parents[1] / "q.csv").write_text("method,quality\nnearest,1.3\nbicubic,2.6\nhr,4.4\n")
    with served(study, lambda app: app) as (site, store):
        ran = sreval(
            "study", "simulate", "small", "--raters", "2", "--url", site, "--qualities", "q.csv"
        )
        assert len(stored(store)) == 2 * ITEMS
    assert ran.code == 0, ran.err
    assert ran.out == f"2 simulated raters, 2 to the end; {2 * ITEMS} votes.\n"


def test_a_study_with_real_raters_is_refused(study: Path, sreval: Callable[..., Any]) -> None:
    with served(study, lambda app: app) as (site, store):
        _, token = invitations.create(store, "small", "personal")
        a_visitor(study, site, token).run()
    ran = sreval("study", "simulate", "small", "--raters", "1")
    assert ran.code == 1
    assert "Real raters have begun" in ran.err


def test_a_visit_ends_with_the_code_and_every_vote_is_as_it_was_acknowledged(study: Path) -> None:
    with served(study, lambda app: app) as (site, store):
        _, token = invitations.create(store, "small", "personal", simulated=True)
        visit = a_visitor(study, site, token).run()
        assert stored(store) == sorted(visit.votes.items())
    assert (visit.outcome, visit.code, visit.of) == ("complete", "DONE-1", ITEMS)
    assert sorted(visit.votes) == list(range(1, ITEMS + 1))
    assert visit.retries == 0


def losing(share: float) -> Callable[[Wsgi], Wsgi]:
    """Answers that are lost on the way back: the site has done its work, a 503 arrives."""
    generator = random.Random(1)

    def between(app: Wsgi) -> Wsgi:
        def call(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
            if generator.random() >= share:
                return app(environ, start)
            for _ in app(environ, lambda *_: None):
                pass
            start("503 Service Unavailable", [("Content-Length", "0")])
            return []

        return call

    return between


def test_answers_that_are_lost_cost_no_vote_and_double_none(study: Path) -> None:
    with served(study, losing(0.3)) as (site, store):
        _, token = invitations.create(store, "small", "personal", simulated=True)
        visit = a_visitor(study, site, token).run()
        assert visit.retries > 5
        assert visit.outcome == "complete"
        assert stored(store) == sorted(visit.votes.items())
        assert len(stored(store)) == ITEMS


def test_a_site_that_stays_silent_ends_the_patience(study: Path) -> None:
    with served(study, losing(1)) as (site, _):
        visitor = a_visitor(study, site, "anything", patience=0.2)
        with pytest.raises(VisitError, match=r"answers 503, for 0 s"):
            visitor.run()


def test_nobody_there_is_told_so() -> None:
    class Nobody:
        def respond(self, png: bytes, intended: int | None = None) -> tuple[int, float]:
            raise AssertionError

        def answer(self, question: str, options: list[str]) -> str:
            raise AssertionError

    with pytest.raises(VisitError, match="can't be reached"):
        Visitor("http://127.0.0.1:9/r/x", Nobody(), patience=0.1).run()


def test_a_link_that_opens_nothing_is_an_error_and_no_visit(study: Path) -> None:
    with (
        served(study, lambda app: app) as (site, _),
        pytest.raises(VisitError, match="answers 404"),
    ):
        a_visitor(study, site, "wrong").run()


def test_a_visitor_who_is_stopped_has_told_of_every_vote(study: Path) -> None:
    stop = threading.Event()

    def told(visit: Any) -> None:
        if len(visit.votes) == 4:
            stop.set()

    with served(study, lambda app: app) as (site, store):
        _, token = invitations.create(store, "small", "personal", simulated=True)
        visitor = a_visitor(study, site, token, stop=stop, told=told)
        with pytest.raises(Stopped):
            visitor.run()
        assert stored(store) == sorted(visitor.visit.votes.items())
        assert len(visitor.visit.votes) == 4


def test_scores_follow_the_rater_model(study: Path) -> None:
    """The mean over many raters is what quadrature over the model gives."""
    manifest, model = load_manifest(study), RaterModel(bias_sd=0.2, taste_sd=0)
    minds = respondents(3000, load_design(study), manifest, QUALITIES, model=model)
    for method in ("nearest", "bicubic", "hr"):
        stimulus = manifest.by_key["photos", "ant", method]
        png = (study / "stimuli" / f"{stimulus.sha256}.png").read_bytes()
        scores = [mind.respond(png)[0] for mind in minds]
        expected = expected_score(model, np.array([QUALITIES["", method]]))[0]
        assert np.mean(scores) == pytest.approx(expected, abs=5 * np.std(scores) / 3000**0.5)


def test_an_image_that_is_no_stimulus_is_refused(study: Path) -> None:
    mind = respondents(1, load_design(study), load_manifest(study), QUALITIES)[0]
    with pytest.raises(DataError, match="isn't a stimulus of the study"):
        mind.respond(b"something else")


def test_qualities_come_by_method_and_by_data_set(study: Path, tmp_path: Path) -> None:
    path = tmp_path / "q.csv"
    path.write_text(
        "dataset,method,quality\nphotos,hr,4\nother,hr,2\n,nearest,1\nother,bicubic,3\n"
    )
    qualities = read_qualities(path)
    manifest = load_manifest(study)
    mind = respondents(1, load_design(study), manifest, qualities)[0]
    found = {s.method: mind.seen[s.sha256][0] for s in manifest.stimuli}
    assert found == {"hr": 4, "nearest": 1, "bicubic": 3}
    with pytest.raises(DataError, match=r"No quality is given for bicubic, hr\."):
        respondents(1, load_design(study), manifest, {("", "nearest"): 1.0})


@pytest.mark.parametrize("text", ["", "method\nhr\n", "method,quality\nhr,good\n"])
def test_a_file_without_qualities_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "q.csv").write_text(text)
    with pytest.raises(DataError, match=r"q\.csv holds no qualities"):
        read_qualities(tmp_path / "q.csv")


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
