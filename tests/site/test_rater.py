"""A rater's whole way, and all the ways to stray from it."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import func, select

from sreval.site.app import create_app
from sreval.site.current import Site
from sreval.store import raters
from sreval.store.invitations import Links
from sreval.store.models import Answer, Event, Rater, StudyState, Vote
from sreval.store.overview import Overview
from sreval.store.raters import Raters
from sreval.store.studies import Studies
from sreval.study.design import StudyDesign
from tests.site.conftest import FACTS, MakeSite, Visitor

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
        assert visitor.stage(visitor.page()) == following
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
    visitor.invite()
    visitor.open()
    visitor.send("consent")
    visitor.send_facts()
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
    visitor.open()
    visitor.send("consent")
    visitor.send_facts()
    visitor.send("questions", sight="good", age="30")
    shown = re.search(r"http://localhost/r/([\w-]{22})", visitor.page().get_data(as_text=True))
    assert shown
    own = shown.group(1)
    assert own != visitor.token
    visitor.send("instructions")
    elsewhere = Visitor(visitor.app)
    assert elsewhere.stage(elsewhere.open(own)) == "rating"


def test_double_click_on_consent_enrols_once(visitor: Visitor) -> None:
    visitor.invite("open", quota=1)
    csrf = visitor.csrf_of(visitor.open())
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
        welcome = visitor.open()
        assert visitor.stage(welcome) == "kiosk"
        csrf = visitor.csrf_of(welcome)
        began = visitor.client.post(
            f"/r/{visitor.token}", data={"csrf_token": csrf}, follow_redirects=True
        )
        assert visitor.stage(began) == "consent"
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
    csrf = visitor.csrf_of(visitor.open())
    visitor.client.post(f"/r/{visitor.token}", data={"csrf_token": csrf})
    visitor.send("consent")
    assert visitor.stage(visitor.open()) == "kiosk"
    assert visitor.stage(visitor.page()) == "device"


def test_kiosk_goes_on_after_its_rater_was_deleted(visitor: Visitor) -> None:
    visitor.invite("kiosk")
    csrf = visitor.csrf_of(visitor.open())
    visitor.client.post(f"/r/{visitor.token}", data={"csrf_token": csrf})
    visitor.send("consent")
    (rater,) = Overview.of(visitor.store, "small").raters
    Raters(visitor.store, "small").delete(rater.rater)
    welcome = visitor.open()
    assert visitor.stage(welcome) == "kiosk"
    began = visitor.client.post(
        f"/r/{visitor.token}",
        data={"csrf_token": visitor.csrf_of(welcome)},
        follow_redirects=True,
    )
    assert visitor.stage(began) == "consent"


def test_double_click_enrols_once_through_two_workers(visitor: Visitor) -> None:
    """Two processes share nothing but the database and the secret."""
    here: Site = visitor.app.extensions["sreval"]
    other = create_app(here.config)
    visitor.invite("open")
    csrf = visitor.csrf_of(visitor.open())
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
    visitor.invite()
    visitor.open()
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
    visitor.invite()
    visitor.open()
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
    csrf = visitor.csrf_of(visitor.open())
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
    assert small.stage(small.open(token)) == "consent"


@pytest.mark.parametrize(("state", "status"), [("paused", 503), ("closed", 410)])
def test_study_that_is_not_open_takes_nothing(
    visitor: Visitor, state: StudyState, status: int
) -> None:
    visitor.to_rating()
    url = visitor.item()["image"]["url"]
    csrf = visitor.csrf_of(visitor.page())
    new = Visitor(visitor.app, token=Links(visitor.store, "small").create("personal")[1])
    Studies(visitor.store).set_state("small", state)
    vote = {"position": 1, "score": 3, "key": "k" * 8, "response_ms": 900}
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
    visitor.invite()
    visitor.open()
    visitor.send("consent")
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
    visitor.invite()
    visitor.open()
    visitor.send("consent")
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
    visitor.invite()
    visitor.open()
    visitor.send("consent")
    visitor.send_facts()
    refused = visitor.send("questions", **answers)
    text = refused.get_data(as_text=True)
    assert refused.status_code == 422
    assert "aria-invalid" in text
    assert all(f'value="{value}"' in text for value in answers.values() if value != "splendid")
    assert count(visitor, Answer) == 0


@pytest.mark.parametrize("text", NAUGHTY.values(), ids=NAUGHTY)
def test_naughty_strings_are_kept_as_text(on_both: Visitor, text: str) -> None:
    visitor = on_both
    visitor.invite()
    visitor.open()
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
    assert kept is not None
    assert kept.replace("\r", "") == plain


def test_megabyte_in_a_text_field_is_refused_and_nothing_lost(visitor: Visitor) -> None:
    visitor.invite()
    visitor.open()
    visitor.send("consent")
    visitor.send_facts()
    answer = visitor.send("questions", sight="good", age="30", light="x" * 2**20)
    assert answer.status_code == 413
    assert visitor.stage(visitor.page()) == "questions"
