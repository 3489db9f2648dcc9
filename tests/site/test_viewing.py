"""The pages of viewing checks without a browser: what is sent, refused, left out and shown."""

from __future__ import annotations

import html
import json
from typing import Any

import pytest

from sreval.store import frames
from sreval.store.sessions import RaterSession
from sreval.study import viewing
from tests.site.conftest import MakeSite, Visitor
from tests.site.operator_desk import Desk

pytestmark = pytest.mark.usefixtures("quick_hashes")

ASKED: dict[str, Any] = {"viewing": {"checks": {"card": True, "distance": True, "colour": True}}}


def at_checks(site: Visitor) -> Visitor:
    site.to("checks")
    return site


def make(visitor: Visitor, kind: viewing.Check, **more: str) -> Any:
    state = RaterSession(visitor.store, visitor.here.rpartition("/")[2]).state()
    seen = viewing.simulated(kind, state.checks, viewing.plate_gaps(state.plates))
    return visitor.send("checks", **({"check": kind, "facts": seen} | more))


def test_a_rater_goes_from_check_to_check_and_comes_back_to_the_next(make_site: MakeSite) -> None:
    visitor = at_checks(make_site(**ASKED))
    assert b'id="outline"' in visitor.page().data
    assert make(visitor, "card").status_code == 303
    assert (
        make(visitor, "card", facts='{"ratio": 1, "width": 100}').status_code == 303
    )  # sent twice
    page = visitor.page().get_data(as_text=True)
    assert 'id="field"' in page
    assert '"pixels_per_mm": 3.77' in page
    make(visitor, "distance")
    assert b'id="plate"' in visitor.page().data
    make(visitor, "colour")
    assert visitor.stage(visitor.page()) == "questions"
    own = frames.tables(visitor.store, "small")["sessions"].iloc[0]
    assert own["colour_wrong"] == 0
    told = Desk(visitor).account("owner").text(f"/raters/{own['rater']}")
    for row in frames.tables(visitor.store, "small")["checks"].to_dict("records"):
        assert f'<th scope="row">{row["kind"]}</th>' in told
        assert html.escape(row["facts"], quote=True).replace("&quot;", "&#34;") in told


def test_what_can_t_be_true_is_told_and_nothing_is_kept(make_site: MakeSite) -> None:
    visitor = at_checks(make_site(**ASKED))
    bad = ["", "x" * 10_000, "<script>", "\u202e\x00", '{"ratio": 1, "width": 2}', "[" * 5000]
    for facts in bad:
        answer = visitor.send("checks", check="card", facts=facts)
        assert answer.status_code == 422, facts
        assert b"nothing was saved" in answer.data
    for fields in ({}, {"check": "acuity"}, {"check": "x" * 10_000, "skip": "yes"}):
        assert visitor.send("checks", **fields).status_code == 303
    assert frames.tables(visitor.store, "small")["checks"].empty
    doubled = {"csrf_token": visitor.csrf, "check": ["card", "distance"], "skip": ["yes", "no"]}
    assert visitor.client.post(visitor.at("checks"), data=doubled).status_code == 303
    kept = frames.tables(visitor.store, "small")["checks"]
    assert kept["kind"].tolist() == ["card", "distance"]
    assert [json.loads(facts) for facts in kept["facts"]] == [{"skipped": True}] * 2


def test_a_required_check_that_is_left_out_ends_the_session(make_site: MakeSite) -> None:
    visitor = at_checks(make_site(viewing={"checks": {"card": True, "required": True}}))
    assert "you can't take part" in visitor.page().get_data(as_text=True)
    visitor.send("checks", check="card", skip="yes")
    assert "OUT-7" in visitor.page().get_data(as_text=True)


def test_plates_are_shown_at_their_check_alone_and_tell_no_answer(make_site: MakeSite) -> None:
    visitor = at_checks(make_site(viewing={"checks": {"colour": True}}))
    plate = visitor.client.get(visitor.at("plate/3"))
    assert plate.mimetype == "image/svg+xml"
    assert plate.data.startswith(b"<svg")
    assert b"protan" not in plate.data
    for number in ("10", "99999999999999999999", "-1", "x"):
        assert visitor.client.get(visitor.at(f"plate/{number}")).status_code == 404
    page = visitor.page().get_data(as_text=True)
    assert visitor.at("plate/9") in page
    make(visitor, "colour")
    assert visitor.client.get(visitor.at("plate/3")).status_code == 404


def test_a_study_without_checks_has_no_such_page(make_site: MakeSite) -> None:
    visitor = make_site()
    visitor.to("questions")
    assert visitor.send("checks", check="card", skip="yes").status_code == 303
    assert visitor.client.get(visitor.at("plate/0")).status_code == 404
