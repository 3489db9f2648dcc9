"""A panel's whole way: arrival with ids, second go, return, redirect, payment list, deletion."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import logging
import re
import zipfile
from typing import Any

import pytest
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from sreval.store import participants
from sreval.store.invitations import Links
from sreval.store.models import Participant, Rater
from sreval.store.raters import Raters
from sreval.store.sessions import RaterSession
from sreval.store.studies import Studies
from tests.site.conftest import MakeSite, Visitor
from tests.site.operator_desk import Clock, Desk, everything

PANEL = {"parameter": "PROLIFIC_PID", "keep": ["STUDY_ID"]}
OUTCOMES = {
    "complete": "https://panel.example/done?cc=A1&who={PROLIFIC_PID}&of={STUDY_ID}",
    "withdrew": "https://panel.example/left?code={code}",
    "declined": "https://panel.example/no?who={PROLIFIC_PID}",
    "screened_out": "{code}",
}
PID = "5f00d-beef&x=/..#ü"
IN_A_URL = "5f00d-beef%26x%3D%2F..%23%C3%BC"


def panel_site(make_site: MakeSite, again: str = "resume", **more: Any) -> Visitor:
    site = make_site(
        panel=PANEL | {"again": again} | more.pop("panel", {}), outcomes=OUTCOMES, **more
    )
    site.invite("open")
    return site


def come(visitor: Visitor, token: str, query: dict[str, Any] | None = None) -> TestResponse:
    """Open the link as the panel's page does."""
    told = {"PROLIFIC_PID": PID, "STUDY_ID": "s1"} if query is None else query
    page = visitor.client.get(f"/r/{token}", query_string=told, follow_redirects=True)
    if page.request.path.startswith("/study/"):
        visitor.here = page.request.path
    return page


def agree(visitor: Visitor, page: TestResponse) -> TestResponse:
    visitor.send("consent", visitor.csrf_of(page))
    return visitor.page()


def counts(visitor: Visitor) -> tuple[int, int]:
    with visitor.store.read() as tx:
        both = [tx.scalar(select(func.count()).select_from(m)) for m in (Rater, Participant)]
    return both[0] or 0, both[1] or 0


@pytest.mark.usefixtures("quick_hashes")
def test_the_whole_way_of_a_participant(
    make_site: MakeSite, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    first = panel_site(make_site)
    token, app = first.token, first.app
    before = everything(first)
    page = come(first, token)
    assert "the ID with which you were sent here" in page.text
    assert PID not in str(page.request.url)
    assert everything(first) == before, "nothing of a visitor is stored before they agree"
    agree(first, page)
    assert counts(first) == (1, 1)

    # in another browser the same id goes on in the same session
    second = Visitor(app)
    page = come(second, token)
    assert (second.stage(page), second.here) == ("device", first.here)
    second.send_facts()
    second.send("questions", sight="good", age="30")
    second.send("instructions")
    second.csrf = second.csrf_of(second.page())
    second.vote_all()
    second.send("closing")
    end = second.page()
    address = f"https://panel.example/done?cc=A1&who={IN_A_URL}&of=s1"
    assert address.replace("&", "&amp;") in end.text
    assert end.headers["Refresh"].endswith(f"url={address}")

    # and a third one is told of the end again, as is the first
    for browser in (Visitor(app), first):
        assert address.replace("&", "&amp;") in come(browser, token).text
    assert counts(first) == (1, 1)

    # a quota that is full keeps out the next one, and nobody who came before
    (link,) = (link for link in Links(first.store, "small").listing() if link.kind == "open")
    Links(first.store, "small").extend(link.id, quota=1)
    assert come(Visitor(app), token, {"PROLIFIC_PID": "another"}).status_code == 410
    assert come(Visitor(app), token).status_code == 200

    desk = Desk(first).account("owner")
    listed = desk.text("/payments")
    assert "without an id or a code" not in listed
    assert "5f00d-beef&amp;x=/..#ü" in listed
    answer = desk.post("/payments")
    (row,) = csv.DictReader(io.StringIO(answer.text))
    assert (row["participant"], row["STUDY_ID"], row["outcome"], row["paid"]) == (
        PID, "s1", "complete", "true",
    )  # fmt: skip
    export = desk.post("/export").get_data()
    with zipfile.ZipFile(io.BytesIO(export)) as archive:
        texts = {name: archive.read(name).decode() for name in archive.namelist()}
    assert not [name for name, text in texts.items() if PID in text or row["code"] in text]
    (session,) = csv.DictReader(io.StringIO(texts["sessions.csv"]))
    assert session["link_number"] == str(link.id)
    pages = ["", "/links", "/steer", "/log", f"/raters/{desk.raters()[0]}", "/results"]
    assert not [path for path in pages if "5f00d-beef" in desk.text(path)]
    assert '"/operator/studies/small/payments"' in desk.text("/steer")

    # deletion by the id alone, which asks for the study's name
    assert desk.post("/payments/delete", participant=PID, confirm="smal").status_code == 422
    refused = desk.post("/payments/delete", participant="<b>x", confirm="small")
    assert refused.status_code == 422
    assert "has no participant &#39;&lt;b&gt;x&#39;" in refused.text
    assert counts(first) == (1, 1)
    rated = row["rated"]
    assert int(rated) > 1
    assert desk.post("/payments/delete", participant=PID, confirm="small").status_code == 303
    assert counts(first) == (0, 0)
    assert f"are deleted, with {rated} rated items; a count stays" in desk.text("/payments")
    assert "5f00d" not in desk.text("/payments") + desk.text("/log") + str(everything(first))
    lines = [json.dumps(vars(record), default=str) for record in caplog.records]
    assert lines
    assert not [line for line in lines if "5f00d" in line or token in line]

    viewer = Desk(first).account("viewer")
    assert viewer.get("/payments").status_code == 403
    assert viewer.post("/payments").status_code == 403


def test_a_second_go_elsewhere_is_refused_where_the_design_says_so(make_site: MakeSite) -> None:
    first = panel_site(make_site, "refuse")
    waiting = Visitor(first.app)
    page_of_waiting = come(waiting, first.token)
    agree(first, come(first, first.token))
    for elsewhere in (Visitor(first.app), Visitor(first.app)):
        told = come(elsewhere, first.token)
        assert told.status_code == 409
        assert "You have begun this study before" in told.text
        assert PID not in told.text
    # who had the consent open in a second browser is told so, too
    late = waiting.send("consent", waiting.csrf_of(page_of_waiting))
    assert late.status_code == 409
    assert counts(first) == (1, 1)
    # the browser in which it was begun goes on, with the id or without, and sees the last page
    without: dict[str, Any] = {}
    for query in (None, without):
        assert first.stage(come(first, first.token, query)) == "device"
    first.send("withdraw", first.csrf_of(first.page()))
    assert "You have left the study" in come(first, first.token).text
    assert come(Visitor(first.app), first.token).status_code == 409


def test_one_browser_may_serve_two_participants(make_site: MakeSite) -> None:
    both = panel_site(make_site)
    agree(both, come(both, both.token))
    one = both.here
    page = come(both, both.token, {"PROLIFIC_PID": "two"})
    assert both.stage(page) == "consent"
    assert both.stage(come(both, both.token)) == "device", "who changes back is who they were"
    assert both.here == one
    agree(both, come(both, both.token, {"PROLIFIC_PID": "two"}))
    assert both.here != one
    assert counts(both) == (2, 2)


LONG = "i" * 10_000
BAD: list[dict[str, Any]] = [
    {}, {"STUDY_ID": "s1"}, {"PROLIFIC_PID": ""}, {"PROLIFIC_PID": LONG},
    {"PROLIFIC_PID": ["1", "2"]}, {"PROLIFIC_PID": "1", "STUDY_ID": ["1", "1"]},
    {"PROLIFIC_PID": "1", "STUDY_ID": LONG}, {"PROLIFIC_PID": "<script>alert(1)</script>"},
    {"PROLIFIC_PID": "{{%PROLIFIC_PID%}}"}, {"PROLIFIC_PID": "a\u202eb"},
    {"PROLIFIC_PID": b"\xff\xfe"}, {"PROLIFIC_PID": "a\x00b"},
]  # fmt: skip


def test_what_names_no_participant_is_told_and_not_stored(make_site: MakeSite) -> None:
    site = panel_site(make_site)
    before = everything(site)
    for query in BAD:
        browser = Visitor(site.app)
        told = come(browser, site.token, query)
        assert told.status_code == 400, query
        assert "Please open the study from the page that offers it" in told.text
        assert not re.search("alert|iii|%PROL", told.text)
        assert browser.client.get("/study").status_code == 401
    assert everything(site) == before
    # links for people who are known otherwise need no id, and read none
    for kind in ("personal", "kiosk"):
        person = Visitor(site.app)
        person.invite(kind)
        assert come(person, person.token, BAD[4]).status_code == 200
    person = Visitor(site.app)
    person.invite("personal")
    person.begin()
    agree(person, person.page())
    assert counts(site) == (1, 1)


def test_an_open_link_may_be_opened_to_all(make_site: MakeSite) -> None:
    site = panel_site(make_site, panel={"required": False})
    page = come(site, site.token, {})
    assert "the ID with which" not in page.text
    agree(site, page)
    assert counts(site) == (1, 1), "no id, but a code"
    assert come(Visitor(site.app), site.token, BAD[3]).status_code == 400


def test_who_leaves_goes_back_with_a_code_or_an_id(make_site: MakeSite) -> None:
    site = panel_site(make_site)
    page = come(site, site.token)
    site.send("decline", site.csrf_of(page))
    assert f"https://panel.example/no?who={IN_A_URL}" in site.page().text
    assert counts(site) == (0, 0)
    agree(site, come(site, site.token))
    (code,) = participants.payments(site.store, "small")["code"]
    site.send("withdraw", delete="yes")
    assert f"https://panel.example/left?code={code}" in site.page().text
    assert counts(site) == (0, 0)


def test_a_code_of_ones_own_is_shown_and_nobody_else_s(make_site: MakeSite) -> None:
    site = panel_site(make_site)
    shown = []
    for participant in ("one", "two"):
        person = Visitor(site.app)
        agree(person, come(person, site.token, {"PROLIFIC_PID": participant}))
        person.send_facts()
        person.send("questions", sight="poor", age="30")
        shown += re.findall(r'<code id="code"[^>]*>([^<]*)<', person.page().text)
    assert shown == list(participants.payments(site.store, "small")["code"])
    assert all(re.fullmatch("[2-9A-Z]{10}", code) for code in shown)
    assert len(set(shown)) == 2


def test_a_deleted_or_revoked_one_begins_anew_or_not_at_all(make_site: MakeSite) -> None:
    site = panel_site(make_site)
    agree(site, come(site, site.token))
    assert RaterSession(site.store, site.here.rpartition("/")[2]).state().stage == "device"
    Raters(site.store, "small").delete_participant(PID)
    assert site.stage(come(site, site.token)) == "consent"
    agree(site, site.page())
    assert counts(site) == (1, 1)
    (link,) = (link for link in Links(site.store, "small").listing() if link.kind == "open")
    Links(site.store, "small").revoke(link.id)
    assert come(Visitor(site.app), site.token).status_code == 410


@pytest.mark.usefixtures("quick_hashes")
@pytest.mark.parametrize("ended", ["{code}", "https://panel.example/end?of={PROLIFIC_PID}", ""])
@pytest.mark.parametrize("closed", [True, False])
def test_who_is_kept_from_finishing_gets_a_code_or_a_way_back(
    make_site: MakeSite, ended: str, closed: bool
) -> None:
    site = make_site(panel=PANEL, outcomes={"complete": "{code}", "ended": ended})
    site.invite("open")
    csrf = site.csrf_of(agree(site, come(site, site.token)))
    (code,) = participants.payments(site.store, "small")["code"]
    if closed:
        Studies(site.store).set_state("small", "closed")
    else:
        site.store.clock = clock = Clock()
        clock.wait(days=1)
        Raters(site.store, "small").release(dt.timedelta())
    told = f"end?of={IN_A_URL}" if ended.startswith("https") else code
    # in the browser of the session, by a form of it, and by the panel's link in another browser
    here, sent = site.page(), site.send("instructions", csrf)
    for page in (here, come(Visitor(site.app), site.token), *([sent] if closed else [])):
        assert page.status_code == (410 if closed else 200)
        assert (told in page.text) == bool(ended)
        assert page.headers.get("Refresh", "").endswith(IN_A_URL) == ended.startswith("https")
    stranger = come(Visitor(site.app), site.token, {"PROLIFIC_PID": "another"})
    assert told not in stranger.text
