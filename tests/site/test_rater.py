"""A rater's whole way, and all the ways to stray from it."""

from __future__ import annotations

import datetime as dt
import html
import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from sreval.errors import StoreError
from sreval.site.app import create_app
from sreval.site.config import Rates
from sreval.site.current import Site
from sreval.store import raters
from sreval.store.errors import BusyError
from sreval.store.invitations import Links
from sreval.store.models import (
    Answer,
    Event,
    Invitation,
    PlanItem,
    Rater,
    Session,
    StudyState,
    Tombstone,
    Vote,
)
from sreval.store.overview import Overview
from sreval.store.raters import Raters
from sreval.store.sessions import RaterSession
from sreval.store.studies import Studies
from sreval.study.design import StudyDesign
from tests.site.conftest import FACTS, MakeSite, Visitor

BRIEF: dict[str, Any] = {"calibration": None, "warm_up": None, "repeats": []}
ASKED: list[dict[str, Any]] = [
    {"key": "sight", "text": "Sight?", "options": ["good", "poor"]},
    {"key": "age", "text": "Age?", "kind": "number", "low": 18, "high": 99},
    {"key": "light", "text": "Light?", "kind": "text", "required": False},
    {"key": "screens", "text": "Screens?", "kind": "choices", "options": ['one, "two"', "three"]},
    {"key": "agree", "text": "?", "kind": "grid", "rows": ["x", "y"], "options": ["no", "yes"]},
    {
        "key": "why", "text": "Why?", "kind": "text",
        "only_if": {"key": "screens", "one_of": ["three"]},
    },
]  # fmt: skip
NAUGHTY = {
    "right to left": "\u202eשלום\u202c مرحبا",
    "zero width": "a\u200bb\ufeffc\u200d",
    "four bytes": "😀🏳️‍🌈𠜎",
    "sql": "'; DROP TABLE vote; --",
    "html": "<script>alert(1)</script><img src=x onerror=alert(1)>\"'",
    "template": "{{ config }}{% raw %}${7*7}",
    "controls": "a\x00b\x1b[31mc\x7f",
    "lines": "one\r\ntwo\n\nthree",
    "combining": "Z̸̡̛a̷l̵g̶o̴",
    "format": "%s%n%(x)s{0}",
}


def count(visitor: Visitor, table: Any) -> int:
    with visitor.store.read() as tx:
        return tx.scalar(select(func.count()).select_from(table)) or 0


@pytest.fixture
def on_both(make_site: MakeSite, database_url: str) -> Visitor:
    """A rater before a study on SQLite and on PostgreSQL in turn."""
    return make_site(database=database_url)


def test_whole_way_from_link_to_code(on_both: Visitor) -> None:
    visitor = on_both
    visitor.invite()
    assert visitor.stage(visitor.open()) == "consent"
    steps: list[tuple[str, Callable[[], Any]]] = [
        ("device", lambda: visitor.send("consent")),
        ("questions", lambda: visitor.send_facts()),
        ("instructions", lambda: visitor.send("questions", sight="good", age="41")),
        ("rating", lambda: visitor.send("instructions")),
    ]
    for following, send in steps:
        assert send().status_code == 303
        page = visitor.page().get_data(as_text=True)
        assert visitor.stage(visitor.page()) == following
        # the instructions are within reach, and what was typed on the page stays
        assert ("Look, then say." in page) == (following != "rating")
    seen = visitor.vote_all()
    assert [item["position"] for item in seen] == list(range(1, 14))
    assert [item["done"] for item in seen] == list(range(13))
    headings = [item["heading"] for item in seen]
    assert headings == ["examples"] * 2 + ["practice"] + ["rating"] * 10
    assert sorted(item["intended"] for item in seen[:2]) == [1, 5]
    assert all(item["intended"] is None for item in seen[2:])
    assert "DONE-7" not in visitor.page().get_data(as_text=True)
    assert visitor.stage(visitor.page()) == "closing"
    visitor.send("closing", remarks="none")
    assert "DONE-7" in visitor.page().get_data(as_text=True)
    assert count(visitor, Vote) == 13


def test_outcome_that_is_an_address_is_a_link(make_site: MakeSite) -> None:
    visitor = make_site(outcomes={"screened_out": "https://panel.example/back?c=1&d=2"})
    visitor.to("questions")
    visitor.send("questions", sight="poor", age="30")
    page = visitor.page().get_data(as_text=True)
    assert 'href="https://panel.example/back?c=1&amp;d=2"' in page
    assert visitor.vote(1).status_code == 410


def test_nobody_is_enrolled_before_they_agree(visitor: Visitor) -> None:
    visitor.invite("open", quota=1)
    for _ in range(3):
        assert Visitor.stage(Visitor(visitor.app).open(visitor.token)) == "consent"
    assert count(visitor, Rater) == 0
    visitor.open()
    visitor.send("consent")
    assert count(visitor, Rater) == 1


def test_link_leads_back_to_the_present_item_in_another_browser(visitor: Visitor) -> None:
    visitor.to_rating()
    visitor.vote(1)
    second = Visitor(visitor.app)
    assert second.stage(second.open(visitor.token)) == "rating"
    assert second.item() == visitor.item()
    assert second.item()["position"] == 2
    second.vote(2)
    assert visitor.item()["position"] == 3


def test_open_link_gives_each_browser_a_rater_and_the_same_one_again(visitor: Visitor) -> None:
    visitor.invite("open", quota=2)
    second = Visitor(visitor.app, token=visitor.token)
    visitor.to_rating(), second.to_rating()
    visitor.vote(1)
    assert visitor.open().status_code == 200
    assert visitor.item()["position"] == 2
    assert second.item()["position"] == 1
    third = Visitor(visitor.app).open(visitor.token)
    assert third.status_code == 410
    assert count(visitor, Rater) == 2


def test_rater_by_an_open_link_is_given_a_link_of_their_own(visitor: Visitor) -> None:
    visitor.invite("open")
    page = visitor.to("instructions").get_data(as_text=True)
    shown = re.search(r"http://localhost/r/([\w-]{22})", page)
    assert shown
    own = shown.group(1)
    assert own != visitor.token
    visitor.send("instructions")
    elsewhere = Visitor(visitor.app)
    assert elsewhere.stage(elsewhere.open(own)) == "rating"


def test_double_click_on_consent_enrols_once(visitor: Visitor) -> None:
    visitor.invite("open", quota=1)
    csrf = visitor.csrf_of(visitor.begin())
    cookie = visitor.client.get_cookie("sreval-small")
    assert cookie is not None

    def click(_: int) -> int:
        browser = visitor.app.test_client()
        browser.set_cookie("sreval-small", cookie.value)
        return browser.post(visitor.at("consent"), data={"csrf_token": csrf}).status_code

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(click, range(4))) == [303] * 4
    assert count(visitor, Rater) == 1


def test_old_forms_and_double_clicks_change_nothing(visitor: Visitor) -> None:
    visitor.to_rating()
    for stage in ("consent", "device", "questions", "instructions", "closing", "break"):
        assert visitor.send(stage, sight="poor", age="30").status_code == 303
    assert visitor.stage(visitor.page()) == "rating"
    assert count(visitor, Answer) == 2


def test_kiosk_begins_anew_for_every_rater(visitor: Visitor) -> None:
    visitor.invite("kiosk")
    tokens, sessions = set(), set()
    for _ in range(2):
        visitor.begin()
        visitor.client.get("/study?lang=de")
        visitor.send("consent")
        visitor.page()
        with visitor.client.session_transaction() as cookie:
            tokens.add(cookie["csrf_token"])
            sessions.add(cookie["place"])
        visitor.send("withdraw")
        done = visitor.page().get_data(as_text=True)
        assert "LEFT-7" in done
        assert f'href="/r/{visitor.token}"' in done
        visitor.open()
        with visitor.client.session_transaction() as cookie:
            assert set(cookie) <= {"csrf_token"}
        assert visitor.page().status_code == 401
    assert len(tokens) == len(sessions) == 2


def test_kiosk_link_opened_in_mid_session_loses_nothing(visitor: Visitor) -> None:
    visitor.invite("kiosk")
    visitor.to("device")
    assert visitor.stage(visitor.open()) == "kiosk"
    assert visitor.stage(visitor.page()) == "device"


def test_kiosk_goes_on_after_its_rater_was_deleted(visitor: Visitor) -> None:
    visitor.invite("kiosk")
    visitor.to("device")
    (rater,) = Overview.of(visitor.store, "small").raters
    Raters(visitor.store, "small").delete(rater.rater)
    assert visitor.stage(visitor.open()) == "kiosk"
    visitor.begin()


def test_double_click_enrols_once_through_two_workers(visitor: Visitor) -> None:
    """Two processes share nothing but the database and the secret."""
    here: Site = visitor.app.extensions["sreval"]
    other = create_app(here.config)
    visitor.invite("open")
    csrf = visitor.csrf_of(visitor.begin())
    cookie = visitor.client.get_cookie("sreval-small")
    assert cookie is not None
    links = []
    for app in (visitor.app, other):
        browser = app.test_client()
        browser.set_cookie("sreval-small", cookie.value)
        sent = browser.post(visitor.at("consent"), data={"csrf_token": csrf})
        assert sent.status_code == 303
        with browser.session_transaction() as session:
            links.append((session["place"], session["resume"]))
    assert count(visitor, Rater) == 1
    assert links[0] == links[1]
    other.extensions["sreval"].store.dispose()


@pytest.mark.parametrize("file", ["manifest.json", "study.toml"])
def test_nobody_begins_once_the_study_was_changed_under_the_server(
    visitor: Visitor, caplog: pytest.LogCaptureFixture, file: str
) -> None:
    old = Visitor(visitor.app)
    old.to_rating()
    visitor.begin()
    csrf = visitor.csrf_of(visitor.page())
    path = visitor.app.extensions["sreval"].config.study / file
    kept = path.read_text()
    path.write_text(kept.replace('"image": "a"', '"image": "z"').replace("Look, then", "Then"))
    assert path.read_text() != kept
    for answer in (visitor.page(), visitor.send("consent", csrf=csrf)):
        assert answer.status_code == 503
        assert "being changed" in answer.text
    assert "study changed" in caplog.text
    assert count(visitor, Rater) == 1
    assert old.vote(1).status_code == 200  # who began goes on as planned
    path.write_text(kept)
    assert visitor.stage(visitor.page()) == "consent"
    assert visitor.send("consent").status_code == 303
    assert count(visitor, Rater) == 2


def test_nobody_begins_once_another_design_was_registered(visitor: Visitor) -> None:
    """`study invite` with an edited study.toml, which was then put back."""
    here: Site = visitor.app.extensions["sreval"]
    visitor.begin()
    consent = {"version": "2", "text": "More."}
    other = StudyDesign.model_validate({**here.design.model_dump(), "consent": consent})
    Studies(here.store).register(other, here.manifest)
    assert visitor.send("consent").status_code == 503
    assert count(visitor, Rater) == 0
    Studies(here.store).register(here.design, here.manifest)
    assert visitor.send("consent").status_code == 303


@pytest.mark.parametrize(
    ("why", "status"), [("unknown", 404), ("used-up", 410), ("revoked", 410), ("expired", 410)]
)
def test_link_that_opens_nothing_says_why(visitor: Visitor, why: str, status: int) -> None:
    past = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    visitor.invite("open", quota=1, expires=past if why == "expired" else None)
    if why == "used-up":
        other = Visitor(visitor.app, token=visitor.token)
        other.open(), other.send("consent")
    if why == "revoked":
        (row,) = Links(visitor.store, "small").listing()
        Links(visitor.store, "small").revoke(row.id)
    answer = visitor.open("x" * 22 if why == "unknown" else "")
    assert answer.status_code == status
    title = re.search(r"<h1>(.*?)</h1>", answer.get_data(as_text=True))
    assert title
    assert "link" in title.group(1)
    assert visitor.page().status_code == 401


def test_link_revoked_between_opening_and_agreeing_enrols_nobody(visitor: Visitor) -> None:
    visitor.invite("open")
    csrf = visitor.csrf_of(visitor.begin())
    (row,) = Links(visitor.store, "small").listing()
    Links(visitor.store, "small").revoke(row.id)
    assert visitor.send("consent", csrf=csrf).status_code == 410
    assert count(visitor, Rater) == 0


def test_link_of_another_study_in_the_same_database_is_unknown(
    make_site: MakeSite, tmp_path: Any
) -> None:
    url = str(tmp_path / "both.sqlite")
    small = make_site(database=url)
    other = make_site(database=url, name="other")
    token = small.invite()
    assert other.open(token).status_code == 404
    assert other.page().status_code == 401
    assert small.stage(small.open(token)) == "consent"


@pytest.mark.parametrize(("state", "status"), [("paused", 503), ("closed", 410)])
def test_study_that_is_not_open_takes_nothing(
    visitor: Visitor, state: StudyState, status: int
) -> None:
    visitor.to_rating()
    url = visitor.item()["pictures"][0]["url"]
    csrf = visitor.csrf_of(visitor.page())
    new = Visitor(visitor.app, token=Links(visitor.store, "small").create("personal")[1])
    Studies(visitor.store).set_state("small", state)
    vote = {"position": 1, "image": "x", "score": 3, "key": "k" * 8, "response_ms": 900}
    refused = visitor.client.post(
        visitor.at("api/vote"),
        json=vote | {"shown_at": "2026-03-01T09:00:00Z"},
        headers={"X-CSRFToken": csrf},
    )
    assert refused.status_code == status
    assert visitor.page().status_code == status
    assert visitor.client.get(visitor.at("api/item")).status_code == status
    assert visitor.client.get(url).status_code == 404
    assert new.open().status_code == status
    assert count(visitor, Rater) == 1
    assert count(visitor, Vote) == 0
    if state == "paused":
        assert refused.headers["Retry-After"]
        Studies(visitor.store).set_state("small", "open")
        assert visitor.vote(1).status_code == 200


def test_one_may_leave_and_keep_or_delete_at_any_time(visitor: Visitor) -> None:
    second = Visitor(visitor.app)
    for one, delete in ((visitor, "no"), (second, "yes")):
        one.to_rating()
        one.vote(1)
        assert one.send("withdraw", delete=delete).status_code == 303
        assert "LEFT-7" in one.page().get_data(as_text=True)
    assert count(visitor, Vote) == 1
    assert count(visitor, Rater) == 1


def test_who_left_in_one_browser_has_left_in_all(visitor: Visitor) -> None:
    visitor.to_rating()
    second = Visitor(visitor.app)
    second.open(visitor.token)
    visitor.send("withdraw")
    assert second.vote(1).status_code == 410
    assert "LEFT-7" in second.page().get_data(as_text=True)
    assert "LEFT-7" in visitor.open().get_data(as_text=True)
    assert count(visitor, Vote) == 0


def test_session_deleted_elsewhere_asks_for_the_link(visitor: Visitor) -> None:
    visitor.to_rating()
    with visitor.client.session_transaction() as cookie:
        sid = cookie["place"]
    raters.withdraw(visitor.store, sid, delete=True)
    assert visitor.page().status_code == 401
    assert visitor.client.get(visitor.at("api/item")).status_code == 401


@pytest.mark.parametrize(
    ("changes", "fits"),
    [
        ({}, True),
        ({"window": [31, 900]}, False),
        ({"window": [32, 900]}, True),  # 32 CSS pixels of 1.25 are the image's 40
        ({"window": [1400, 25]}, False),
        ({"magnified": 1.5}, False),
        ({"touch": True, "screen": [390, 844]}, False),
        ({"touch": True, "screen": [1280, 800]}, True),
        ({"window": [-5, 900]}, False),
        ({"window": ["<b>", 900]}, False),
        ({"ratio": 1e9}, False),
        ({"more": "x" * 1000}, False),
        ({"gamut": "Adobe RGB (1998)"}, False),
        ({"language": "de-AT-1996"}, False),
    ],
)
def test_device_check_passes_only_what_shows_the_image(
    visitor: Visitor, changes: dict[str, Any], fits: bool
) -> None:
    visitor.to("device")
    assert visitor.send_facts(**changes).status_code == 303
    assert visitor.stage(visitor.page()) == ("questions" if fits else "device")


BROWSERS = {
    "Firefox 128": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Chrome 126": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/126.0.6478.61 Safari/537.36",
    "Edge 125": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/125.0.0.0 Safari/537.36 Edg/125.0.2535.51",
    "Opera 110": "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/124.0.0.0 Safari/537.36 OPR/110.0.0.0",
    "Safari 17": "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, "
    "like Gecko) Version/17.4.1 Safari/605.1.15",
    "other": "Lynx/2.8.9rel.1",
}


@pytest.mark.parametrize("browser", BROWSERS)
def test_of_a_browser_coarse_facts_are_kept_and_no_more(visitor: Visitor, browser: str) -> None:
    visitor.invite()
    visitor.client.environ_base["HTTP_USER_AGENT"] = BROWSERS[browser]
    visitor.open()
    visitor.send("consent")
    coarse = {"forced_colors": True, "gamut": "p3", "hdr": False, "inverted": False}
    visitor.send_facts(**coarse, language="de")
    with visitor.store.read() as tx:
        facts = json.loads(tx.scalars(select(Event.facts).where(Event.kind == "device")).one())
    assert facts == FACTS | coarse | {"language": "de", "browser": browser, "fits": True}


def test_phones_pass_where_the_design_allows_them(make_site: MakeSite) -> None:
    visitor = make_site(viewing={"phones": True, "least_ms": 0})
    visitor.to("device")
    visitor.send_facts(touch=True, screen=[390, 844])
    assert visitor.stage(visitor.page()) == "questions"


@pytest.mark.parametrize(
    "answers",
    [
        {"age": "30"},
        {"sight": "good"},
        {"sight": "splendid", "age": "30"},
        {"sight": "good", "age": "seventeen"},
        {"sight": "good", "age": "17"},
        {"sight": "good", "age": "nan"},
        {"sight": "good", "age": "1e999"},
        {"sight": "good", "age": "30", "light": "x" * 2001},
    ],
)
def test_answers_that_do_not_fit_come_back_with_what_was_typed(
    visitor: Visitor, answers: dict[str, str]
) -> None:
    visitor.to("questions")
    refused = visitor.send("questions", **answers)
    text = refused.get_data(as_text=True)
    assert refused.status_code == 422
    assert "aria-invalid" in text
    for key, value in answers.items():
        typed = f">{value}</textarea>" if key == "light" else f'value="{value}"'
        assert value == "splendid" or typed in text
    assert count(visitor, Answer) == 0


@pytest.mark.parametrize("text", NAUGHTY.values(), ids=NAUGHTY)
def test_naughty_strings_are_kept_as_text(on_both: Visitor, text: str) -> None:
    visitor = on_both
    visitor.begin()
    visitor.send("consent", version=text)
    assert visitor.stage(visitor.open()) == "consent"  # nobody was shown such a text
    visitor.send("consent")
    visitor.send("device", facts=text, fits=text)
    visitor.send_facts()
    wrong = visitor.send("questions", sight=text, age=text, light=text)
    assert wrong.status_code == 422
    assert "<script>alert" not in wrong.get_data(as_text=True)
    assert visitor.send("questions", sight="good", age="30", light=text).status_code == 303
    visitor.send("instructions", **{text[:50]: text})
    assert visitor.vote(1, device=text).status_code == 200
    assert visitor.vote(2, key=text).status_code == 400
    with visitor.store.read() as tx:
        kept = tx.scalar(select(Answer.value).where(Answer.key == "light"))
    plain = re.sub(r"[\x00-\x08\x0b-\x1f\x7f]", "", text)
    assert kept == plain


def text_of(page: TestResponse) -> str:
    """What a reader sees: no tags, one blank between words."""
    words = re.sub(r"<[^>]+>", " ", page.get_data(as_text=True))
    return " ".join(html.unescape(words).split())


@pytest.mark.parametrize("kind", ["personal", "open", "kiosk"])
def test_who_declines_leaves_no_trace_and_may_come_back(make_site: MakeSite, kind: Any) -> None:
    visitor = make_site(outcomes={"declined": "NO-7", "withdrew": "LEFT-7"})
    visitor.invite(kind)
    visitor.begin()
    assert visitor.send("decline").status_code == 303
    said = text_of(visitor.page())
    assert "NO-7" in said
    assert "LEFT-7" not in said
    assert "nothing about you is stored" in said
    assert ("open your link again" in said) == (kind != "kiosk")
    assert count(visitor, Rater) == count(visitor, Event) == 0
    assert visitor.stage(visitor.open()) == ("kiosk" if kind == "kiosk" else "consent")


@pytest.mark.parametrize("kind", ["personal", "open"])
def test_session_that_was_made_and_not_agreed_to_is_gone_when_declined(
    visitor: Visitor, kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server fails between the two steps of agreeing: the rater reads the consent again."""
    visitor.invite(kind, quota=1) if kind == "open" else visitor.invite(kind)
    visitor.open()
    with monkeypatch.context() as patch:
        patch.setattr(RaterSession, "agree", lambda *_: (_ for _ in ()).throw(BusyError("busy")))
        assert visitor.send("consent").status_code == 503
    assert visitor.stage(visitor.page()) == "consent"
    assert count(visitor, Rater) == 1
    visitor.send("decline")
    for table in (Rater, Session, PlanItem, Event, Tombstone):
        assert count(visitor, table) == 0
    assert count(visitor, Invitation) == 1
    assert visitor.stage(Visitor(visitor.app).open(visitor.token)) == "consent"  # it isn't used up
    assert visitor.stage(visitor.open()) == "consent"
    assert visitor.send("consent").status_code == 303
    assert visitor.stage(visitor.page()) == "device"


def test_who_has_agreed_can_not_decline_in_an_older_tab(visitor: Visitor) -> None:
    visitor.to("questions")
    assert visitor.send("decline").status_code == 303
    assert visitor.stage(visitor.page()) == "questions"
    assert count(visitor, Rater) == 1


def test_every_stage_has_a_way_out(make_site: MakeSite) -> None:
    visitor = make_site(sittings={"items": 5, "break_every": 3, "break_seconds": 0})
    visitor.begin()
    seen = set()
    steps: dict[str, Callable[[], Any]] = {
        "consent": lambda: visitor.send("consent"),
        "device": lambda: visitor.send_facts(),
        "questions": lambda: visitor.send("questions", sight="good", age="30"),
        "instructions": lambda: visitor.send("instructions"),
        "rating": lambda: visitor.vote(visitor.item()["position"]),
        "break": lambda: visitor.send("break"),
        "rest": lambda: visitor.send("break"),
        "closing": lambda: visitor.send("closing"),
    }
    while (stage := visitor.stage(page := visitor.page())) != "none":
        way = "decline" if stage == "consent" else "withdraw"
        assert f'action="{visitor.here}/{way}"' in page.get_data(as_text=True), stage
        seen.add(stage)
        steps[stage]()
    assert seen == set(steps)


def test_leaving_at_the_last_questions_ends_as_the_rating_did(visitor: Visitor) -> None:
    visitor.to_rating()
    visitor.vote_all()
    assert visitor.stage(visitor.page()) == "closing"
    visitor.send("withdraw", delete="no")
    said = text_of(visitor.page())
    assert "DONE-7" in said
    assert "LEFT-7" not in said


def test_kiosk_offers_to_go_on_where_somebody_is_not_done(visitor: Visitor) -> None:
    visitor.invite("kiosk")
    visitor.to("device")
    place = visitor.here
    welcome = visitor.open()
    assert f'href="{place}"' in welcome.get_data(as_text=True)
    assert "Begin as the next rater" in text_of(welcome)
    assert visitor.client.get(place).status_code == 200
    visitor.send("withdraw")
    assert "Go on" not in text_of(visitor.open())


SENT = {
    "sight": "good", "age": "30", "light": "Two lamps.\nOne <window>.",
    "screens.1": 'one, "two"', "screens.2": "three", "agree.1": "no", "agree.2": "yes",
    "why": "it's <mine>",
}  # fmt: skip


def broken(visitor: Visitor, why: str, patch: pytest.MonkeyPatch) -> None:
    """What keeps a questionnaire from being stored from here on."""
    studies = Studies(visitor.store)
    match why:
        case "paused" | "closed":
            studies.set_state("small", "paused" if why == "paused" else "closed")
        case "locked" | "gone":
            error = BusyError("busy") if why == "locked" else StoreError("gone")

            def fail(*_: object, **__: object) -> None:
                raise error

            for name in ("answer", "state") if why == "gone" else ("answer",):
                patch.setattr(RaterSession, name, fail)
        case "500":
            patch.setattr(RaterSession, "answer", lambda *_: 1 / 0)
        case "429":
            patch.setattr("sreval.site.app.Counts.more", lambda *_: 10**6)


@pytest.mark.parametrize(
    ("stage", "why", "status"),
    [
        ("questions", "paused", 503),
        ("questions", "closed", 410),
        ("questions", "locked", 503),
        ("questions", "gone", 503),
        ("questions", "500", 500),
        ("questions", "429", 429),
        ("questions", "csrf", 403),
        ("questions", "413", 413),
        ("closing", "locked", 503),
        ("closing", "csrf", 403),
    ],
)
def test_questionnaire_that_is_not_stored_comes_back_filled_in(
    make_site: MakeSite, monkeypatch: pytest.MonkeyPatch, why: str, status: int, stage: str
) -> None:
    questions = [{**q, "when": "after" if stage == "closing" else "before"} for q in ASKED]
    visitor = make_site(questions=questions, site={"rates": Rates()}, **BRIEF)
    visitor.to("rating" if stage == "closing" else "questions")
    if stage == "closing":
        visitor.vote_all()
    csrf = visitor.csrf_of(visitor.page())
    sent = {**SENT, "light": "x" * 2 * visitor.app.config["MAX_CONTENT_LENGTH"]}
    sent = sent if why == "413" else SENT
    with monkeypatch.context() as patch:
        broken(visitor, why, patch)
        page = visitor.send(stage, "of another time" if why == "csrf" else csrf, **sent)
    assert page.status_code == status
    assert visitor.stage(page) == stage
    whole = page.get_data(as_text=True)
    assert 'role="alert"' in whole
    assert f">{html.escape(sent['light'])}</textarea>" in whole
    assert 'value="good" checked' in whole
    assert 'value="30"' in whole
    for name in ("screens.1", "screens.2", "agree.1", "agree.2"):
        checked = f'name="{name}" value="{html.escape(SENT[name], quote=True)}" checked'
        assert checked.replace("&quot;", "&#34;") in whole
    assert f">{html.escape(SENT['why'])}</textarea>".replace("&#x27;", "&#39;") in whole
    said = text_of(page)
    assert ("can't be saved any more" if why == "closed" else "aren't saved yet") in said
    assert count(visitor, Answer) == 0
    Studies(visitor.store).set_state("small", "open") if why == "paused" else None
    if why != "closed":
        again = visitor.send(stage, visitor.csrf_of(page), **SENT)
        assert again.status_code == 303
        assert count(visitor, Answer) == len(SENT)


def test_questionnaire_that_was_stored_is_not_called_unsaved(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor.to("questions")
    visitor.send("questions", visitor.csrf, **SENT)
    there = visitor.at("questions")
    page = visitor.client.post(there, data={**SENT, "csrf_token": "of another time"})
    assert page.status_code == 403
    assert visitor.stage(page) == "none"


def test_questionnaire_of_another_session_is_not_shown(visitor: Visitor) -> None:
    visitor.to("questions")
    first, csrf = visitor.here, visitor.csrf
    visitor.invite()
    visitor.to("questions")
    page = visitor.client.post(f"{first}/questions", data={**SENT, "csrf_token": csrf})
    assert page.status_code == 409
    assert SENT["light"] not in page.get_data(as_text=True)


@pytest.mark.parametrize("character", ["画", "😀", "\n", "é"])
def test_answers_may_be_as_long_as_is_said_and_are_never_cut(
    make_site: MakeSite, character: str
) -> None:
    """Twenty full answers, as browsers encode them; a line's end is sent as two characters."""
    twenty = [{"key": f"q{n}", "text": "?", "kind": "text"} for n in range(20)]
    visitor = make_site(questions=twenty)
    page = visitor.to("questions")
    assert page.get_data(as_text=True).count("<textarea") == 20
    assert "maxlength" not in page.get_data(as_text=True)
    (most,) = set(re.findall(r"At most (\d+) characters", text_of(page)))
    full = "a" + character * (int(most) - 2) + "z"
    sent = {f"q{n}": full.replace("\n", "\r\n") for n in range(20)}
    over = sent | {"q7": "b" * 3 + sent["q7"], "q8": "b" + sent["q8"]}
    refused = visitor.send("questions", **over)
    assert refused.status_code == 422
    said = text_of(refused)
    assert said.count("3 characters too many") == said.count("1 character too many") == 1
    assert html.escape("bbb" + full) in html.escape(html.unescape(refused.get_data(as_text=True)))
    assert visitor.send("questions", visitor.csrf_of(refused), **sent).status_code == 303
    with visitor.store.read() as tx:
        assert set(tx.scalars(select(Answer.value))) == {full}


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        ({"low": 18, "high": 99}, "a number from 18 to 99."),
        ({"low": 0.5}, "a number of at least 0.5."),
        ({"high": 250000}, "a number of at most 250000."),
    ],
)
def test_limits_of_a_number_are_told_as_people_write_them(
    make_site: MakeSite, limits: dict[str, float], told: str
) -> None:
    visitor = make_site(questions=[{"key": "n", "text": "?", "kind": "number", **limits}])
    page = visitor.to("questions").get_data(as_text=True)
    bounds = re.findall(r' m(?:in|ax)="([^"]+)"', page)
    assert bounds == [str(limit) for limit in limits.values()]
    wrong = "-1" if "low" in limits else "1e9"
    assert told in text_of(visitor.send("questions", n=wrong))


TEXT = """First *line*
goes on.

- one
- **two**

1. [page](https://example.org/?a=1&b=2)
2. <mailto:ada@example.org>

<script>alert(1)</script> <img src=x onerror=alert(1)> ![i](https://example.org/i.png)
[j](javascript:alert(1)) [J](JaVa&#115;cript:alert(1)) [d](data:text/html,x) [r](/operator)
[q](https://example.org/"onclick="alert(1))
"""


def test_consent_and_instructions_are_marked_up_and_safe(make_site: MakeSite) -> None:
    visitor = make_site(consent={"version": "1", "text": TEXT}, instructions=TEXT)
    for page in (visitor.begin(), visitor.to("instructions")):
        allowed = {"p", "ul", "ol", "li", "em", "strong", "a"}
        whole = page.get_data(as_text=True)
        marked = whole[(first := whole.index('<p dir="auto">First')) : whole.index("</div>", first)]
        tags = re.findall(r"<(\w+)([^>]*)>", marked)
        assert {name for name, _ in tags} == allowed
        links = [given for name, given in tags if name == "a"]
        assert all('rel="noopener noreferrer"' in given for given in links)
        targets = re.findall(r'href="([^"]+)"', " ".join(links))
        assert {target.partition(":")[0] for target in targets} == {"https", "mailto"}
        assert {given for name, given in tags if name != "a"} <= {"", ' dir="auto"'}
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in marked
        assert "script-src 'self'" in page.headers["Content-Security-Policy"]


def test_plain_texts_look_as_they_did(make_site: MakeSite) -> None:
    text = "One & <another>\nof it: 3 * 4 * 5, a_b_c, &copy;\n    indented\n\n# Two\n\n\n> Three"
    visitor = make_site(instructions=text, consent={"version": "1", "text": text})
    visitor.invite()
    whole = visitor.open().get_data(as_text=True)
    found = re.findall(r'<p dir="auto">(.*?)</p>', whole, re.S)[:3]
    expected = [part.strip() for part in text.split("\n\n") if part.strip()]
    assert [" ".join(html.unescape(part).split()) for part in found] == [
        " ".join(part.split()) for part in expected
    ]


def test_texts_of_the_study_are_not_translated_and_have_their_direction(
    make_site: MakeSite,
) -> None:
    ours = {"title": "TITLE", "instructions": "INSTRUCT", "language": "he"}
    scale = {"words": ["WORDA", "WORDB", "WORDC", "WORDD", "WORDE"]}
    asked = [{"key": "k", "text": "QUESTION", "options": ["OPTION"]}]
    visitor = make_site(
        **ours, scale=scale, consent={"version": "1", "text": "CONSENT"}, questions=asked
    )
    pages = [visitor.begin(), visitor.to("questions")]
    visitor.send("questions", k="OPTION")
    pages.append(visitor.page())
    for n, texts in enumerate((["CONSENT"], ["QUESTION", "OPTION"], ["INSTRUCT", "WORDA"])):
        whole = pages[n].get_data(as_text=True)
        for text in ["TITLE", *texts]:
            body = whole[whole.index("<body") :]
            before = body[: body.index(f">{text}") + 1].removesuffix('<p dir="auto">').rstrip()
            tag = before[before.rindex("<") :]
            assert 'lang="he" dir="auto" translate="no"' in tag, (text, tag)


@pytest.mark.parametrize("kind", ["personal", "open", "kiosk"])
def test_pages_say_what_is_true_for_the_way_in(make_site: MakeSite, kind: Any) -> None:
    """The same link elsewhere is true of a personal one only; a kiosk's rater has none."""
    visitor = make_site(
        sittings={"items": 4, "rest_minutes": 600}, questions=[], **{**BRIEF, "calibration": None}
    )
    visitor.invite(kind)
    device = visitor.to("device")
    visitor.send_facts()
    instructions = visitor.page()
    visitor.send("instructions")
    again = visitor.client.get(visitor.at("instructions"))
    visitor.vote_all()
    rest = visitor.page()
    assert visitor.stage(rest) == "rest"
    assert "The next sitting is number 2 of 3" in text_of(rest)
    assert "Look, then say." in text_of(rest)
    assert text_of(rest).count("excellent") == 1
    for page in (device, instructions, again, rest):
        whole = page.get_data(as_text=True)
        assert ("the same link" in whole) == (kind == "personal")
        assert bool(re.search(r"http://localhost/r/[\w-]{22}", whole)) == (kind == "open")


@pytest.mark.parametrize("kind", ["personal", "kiosk"])
@pytest.mark.parametrize("told", ["", "CODE-7", "https://panel.example/?c=1&d=2"])
def test_last_page_leads_back_and_says_what_is_left_to_do(
    make_site: MakeSite, told: str, kind: Any
) -> None:
    visitor = make_site(outcomes={"withdrew": told})
    visitor.invite(kind)
    visitor.to("device")
    visitor.send("withdraw")
    page = visitor.page()
    refresh = re.findall(r"(\d+); url=(\S+)", page.headers.get("Refresh", ""))
    url = told.startswith("https")
    assert [to for _, to in refresh] == [told] * (url and kind == "personal")
    assert all(3 <= int(seconds) <= 15 for seconds, _ in refresh)
    said = text_of(page)
    assert ("page that you came from" in said) == bool(refresh)
    assert ("you can close this page" in said.lower()) == (kind == "personal" and not url)
    if told == "CODE-7" and kind == "personal":
        assert said.index("CODE-7") < said.index("you can close this page")
        assert re.search(r'<button[^>]+id="copy"[^>]+hidden', page.get_data(as_text=True))


def test_instructions_can_be_read_again_while_rating(visitor: Visitor) -> None:
    current = visitor.to_rating()
    assert f'href="{visitor.at("instructions")}"' in visitor.page().get_data(as_text=True)
    page = visitor.client.get(visitor.at("instructions"))
    assert "Look, then say." in text_of(page)
    assert "excellent" in text_of(page)
    assert f'href="{visitor.here}"' in page.get_data(as_text=True)
    assert visitor.item() == current
    assert count(visitor, Vote) == 0
    visitor.vote_all()
    assert visitor.client.get(visitor.at("instructions")).status_code == 303
