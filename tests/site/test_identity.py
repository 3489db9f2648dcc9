"""A page's vote, consent and deletion reach the rater whose page it is, or are refused by name."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from werkzeug.test import TestResponse

from sreval.site.app import create_app
from sreval.site.config import SiteConfig
from sreval.store.invitations import Links
from sreval.store.models import Rater, Session, Vote
from sreval.store.operators import Operators
from sreval.store.overview import Overview
from sreval.store.raters import Raters
from tests.site.conftest import FACTS, SECRET, MakeSite, Visitor, freeze, serve

PASSWORD = "four random words here"


def tab(visitor: Visitor) -> Visitor:
    """Another tab of a visitor's browser: the same cookies, a page of its own."""
    other = Visitor(visitor.app)
    other.client = visitor.client
    return other


def place(visitor: Visitor) -> str:
    return visitor.here.rpartition("/")[2]


def votes(visitor: Visitor) -> list[tuple[str, int, float]]:
    with visitor.store.read() as tx:
        return [(v.session_id, v.position, v.score) for v in tx.scalars(select(Vote))]


def sessions(visitor: Visitor) -> set[str]:
    with visitor.store.read() as tx:
        return set(tx.scalars(select(Session.id)))


def refused(answer: TestResponse, kind: str = "other-session") -> bool:
    """Whether the site refuses it as a request of another place, and says so in words."""
    told = answer.get_json()["kind"] if answer.is_json else answer.get_data(as_text=True)
    return answer.status_code == 409 and (
        told == kind or "Another link was opened in this browser" in told
    )


def test_second_link_in_one_browser_acts_on_nothing_of_the_first(visitor: Visitor) -> None:
    visitor.to_rating()
    vote = {"X-CSRFToken": visitor.csrf}
    other = tab(visitor)
    other.to_rating()
    assert place(visitor) != place(other)
    assert refused(visitor.vote(1, 2))
    facts = {"facts": FACTS, "fits": True}
    assert refused(visitor.client.post(visitor.at("api/device"), json=facts, headers=vote))
    assert refused(visitor.client.get(visitor.at("api/item")))
    assert refused(visitor.client.get(visitor.here))
    for stage in ("withdraw", "break", "closing", "questions", "instructions", "device"):
        form = visitor.client.post(
            visitor.at(stage), data={"csrf_token": other.csrf, "delete": "yes"}
        )
        assert refused(form), stage
    assert votes(visitor) == []
    assert sessions(visitor) == {place(visitor), place(other)}
    assert other.vote(1, 5).status_code == 200
    assert votes(visitor) == [(place(other), 1, 5)]


def test_first_link_opened_again_goes_on_where_it_was(visitor: Visitor) -> None:
    visitor.to_rating()
    first = visitor.here
    other = tab(visitor)
    other.to_rating()
    assert visitor.stage(visitor.open()) == "rating"
    assert visitor.here == first
    visitor.csrf = visitor.csrf_of(visitor.page())
    assert visitor.vote(1, 4).status_code == 200
    assert refused(other.vote(1, 5))
    assert votes(visitor) == [(place(visitor), 1, 4)]


def test_agreement_on_an_older_page_enrols_nobody(visitor: Visitor) -> None:
    visitor.invite("open")
    visitor.open()
    other = tab(visitor)
    other.invite()
    other.open()
    for csrf in (visitor.csrf, other.csrf):
        assert refused(visitor.client.post(visitor.at("consent"), data={"csrf_token": csrf}))
    with visitor.store.read() as tx:
        assert not tx.scalars(select(Rater)).all()
    assert other.send("consent").status_code == 303
    assert other.stage(other.page()) == "device"


def test_a_decline_after_the_agreement_is_not_swallowed(visitor: Visitor) -> None:
    visitor.invite()
    visitor.open()
    older = visitor.here
    visitor.send("consent")
    visitor.csrf = visitor.csrf_of(visitor.page())
    data = {"csrf_token": visitor.csrf}
    assert visitor.client.post(f"{older}/decline", data=data).status_code == 409
    led = visitor.client.get(older, follow_redirects=True)
    assert visitor.stage(led) == "device"


def test_open_link_begins_anew_where_its_session_is_gone(visitor: Visitor) -> None:
    visitor.invite("open")
    visitor.open()
    visitor.send("consent")
    (row,) = Overview.of(visitor.store, "small").raters
    Raters(visitor.store, "small").delete(row.rater)
    assert visitor.stage(visitor.open()) == "consent"


def test_a_token_that_was_good_is_good_for_its_own_session_alone(visitor: Visitor) -> None:
    other = Visitor(visitor.app)
    for one in (visitor, other):
        one.to_rating()
        assert one.vote(1).status_code == 200
    own, other.csrf = other.csrf, visitor.csrf
    assert other.vote(2).status_code == 403
    assert visitor.vote(2).status_code == 200
    other.csrf = own
    assert other.vote(2).status_code == 200
    assert len(votes(visitor)) == 4


def test_every_change_of_the_session_brings_a_new_csrf_token(visitor: Visitor) -> None:
    def secret() -> Any:
        visitor.page()
        with visitor.client.session_transaction() as cookie:
            return cookie["csrf_token"]

    visitor.invite("open")
    visitor.open()
    seen = [secret()]
    visitor.send("consent")
    seen.append(secret())
    visitor.open()  # the same session: nothing changes
    assert secret() == seen[-1]
    visitor.invite()
    visitor.open()
    seen.append(secret())
    assert len(set(seen)) == 3


def test_link_opened_in_two_tabs_leaves_both_working(visitor: Visitor) -> None:
    visitor.to_rating()
    again = tab(visitor)
    again.open(visitor.token)
    assert again.here == visitor.here
    assert visitor.vote(1, 4).status_code == 200


def both(tmp_path: Path, *secrets: str) -> tuple[Visitor, Visitor]:
    """Two studies in one database, each served by a site of its own."""
    database = str(tmp_path / "both.sqlite")
    sites = []
    for number, secret in enumerate(secrets):
        folder = freeze(tmp_path / f"study-{number}", name=("small", "other")[number])
        sites.append(serve(folder, database, secret=secret))
    return sites[0], sites[1]


@pytest.mark.parametrize("secrets", [(SECRET, SECRET), (SECRET, SECRET[::-1])])
def test_two_studies_on_one_host_leave_each_other_alone(
    tmp_path: Path, secrets: tuple[str, str]
) -> None:
    """Cookies know no ports: a browser sends what one site set to the other one, too."""
    one, two = both(tmp_path, *secrets)
    one.to_rating()
    two.token = Links(two.store, "other").create("personal")[1]
    share_cookies(one, two)
    two.to_rating()
    share_cookies(two, one)
    assert one.vote(1, 2).status_code == 200
    assert two.vote(1, 5).status_code == 200
    assert sorted(votes(one)) == sorted([(place(one), 1, 2), (place(two), 1, 5)])
    assert one.stage(one.page()) == two.stage(two.page()) == "rating"
    # a page of the one study at the other's address
    two.here = one.here
    assert refused(two.vote(2, 1), "other-study")
    assert "another study" in two.client.get(one.here).get_data(as_text=True)
    # a cookie under the other study's name
    mine = one.client.get_cookie("sreval-small")
    assert mine is not None
    two.client.set_cookie("sreval-other", mine.value)
    assert two.client.get("/study").status_code == 401
    for site in (one, two):
        site.store.dispose()


def share_cookies(source: Visitor, target: Visitor) -> None:
    for name in ("sreval-small", "sreval-other"):
        if (found := source.client.get_cookie(name)) is not None:
            target.client.set_cookie(name, found.value)


def test_operator_and_rater_share_a_browser(visitor: Visitor, quick_hashes: None) -> None:
    Operators(visitor.store).add("ada", "owner", PASSWORD)
    visitor.to_rating()
    login = visitor.client.get("/operator/login")
    data = {"name": "ada", "password": PASSWORD, "csrf_token": visitor.csrf_of(login)}
    assert visitor.client.post("/operator/login", data=data).status_code == 303
    assert visitor.vote(1, 4).status_code == 200
    page = visitor.client.get("/operator/")
    assert page.status_code == 200
    # neither token passes on the other side
    out = visitor.client.post("/operator/logout", data={"csrf_token": visitor.csrf})
    assert out.status_code == 403
    visitor.csrf = operators = visitor.csrf_of(page)
    assert visitor.vote(2, 4).status_code == 403
    out = visitor.client.post("/operator/logout", data={"csrf_token": operators})
    assert out.status_code == 303
    assert visitor.stage(visitor.page()) == "rating"
    assert visitor.client.get("/operator/").status_code == 303


def test_kiosk_page_of_the_rater_before_acts_on_nobody(visitor: Visitor) -> None:
    visitor.invite("kiosk")
    visitor.to_rating()
    following = tab(visitor)
    following.token = visitor.token
    following.to_rating()
    assert refused(visitor.vote(1, 1))
    assert refused(visitor.client.post(visitor.at("withdraw"), data={"delete": "yes"}))
    assert following.vote(1, 5).status_code == 200
    assert votes(visitor) == [(place(following), 1, 5)]


def test_browser_without_cookies_is_told_so_at_its_link(visitor: Visitor) -> None:
    visitor.invite()
    arrival = visitor.client.get(f"/r/{visitor.token}")
    bare = visitor.app.test_client(use_cookies=False).get(arrival.headers["Location"])
    assert bare.status_code == 401
    assert "refuses cookies" in bare.get_data(as_text=True)
    # who comes by the address that stays has lost the cookie, which is no refusal
    landed = visitor.client.get(arrival.headers["Location"], follow_redirects=True)
    assert visitor.stage(landed) == "consent"
    assert not landed.request.args
    odd = visitor.client.get(f"{landed.request.path}?begin=&endpoint=x&_scheme=ftp&place=y")
    assert odd.headers["Location"] == landed.request.path
    later = visitor.app.test_client().get(landed.request.full_path)
    assert "Please open your link" in later.get_data(as_text=True)


@pytest.mark.parametrize("seconds", [-7200, -3, 3, 40 * 86400])
def test_servers_clocks_may_differ(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch, seconds: int
) -> None:
    visitor.to_rating()
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + seconds)
    assert visitor.stage(visitor.page()) == "rating"
    assert visitor.vote(1).status_code == 200
    visitor.csrf = visitor.csrf_of(visitor.page())
    assert visitor.vote(2).status_code == 200


HOSTS = ["a..b", "x y", "[::1", "a/b", "a@b", "é", "", "localhost:123456", "x" * 300]


@pytest.mark.parametrize("host", HOSTS)
def test_unfit_host_is_refused_like_any_other_request(
    visitor: Visitor, caplog: pytest.LogCaptureFixture, host: str
) -> None:
    visitor.invite()
    with caplog.at_level(logging.DEBUG):
        answer = visitor.client.get(f"/r/{visitor.token}", headers={"Host": host})
    assert answer.status_code == 400
    assert {"Content-Security-Policy", "X-Request-ID", "X-Frame-Options"} <= set(
        answer.headers.keys()
    )
    assert visitor.token not in caplog.text
    assert "unexpected" not in caplog.text


@pytest.mark.parametrize("host", ["study.example.org", "10.0.0.1:8000", "[::1]:80", "a-b_c."])
def test_fit_host_is_served(visitor: Visitor, host: str) -> None:
    assert visitor.client.get("/health", headers={"Host": host}).status_code == 200


def test_failure_outside_of_every_page_is_told_and_logs_no_link(
    visitor: Visitor, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor.invite()

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr("sreval.site.errors.render_template", fail)
    monkeypatch.setattr("sreval.site.rater.render_template", fail)
    visitor.app.config["PROPAGATE_EXCEPTIONS"] = False
    with caplog.at_level(logging.DEBUG):
        answer = visitor.client.get(f"/r/{visitor.token}", follow_redirects=True)
    assert answer.status_code == 500
    assert "X-Frame-Options" in answer.headers
    assert visitor.token not in caplog.text


EVIL = [
    {"X-Forwarded-Proto": "javascript"},
    {"X-Forwarded-Host": "evil.example"},
    {"Host": "evil.example"},
]


@pytest.mark.parametrize("headers", EVIL)
@pytest.mark.parametrize("proxies", [0, 1])
def test_addresses_come_from_the_base_url_alone(
    make_site: MakeSite, headers: dict[str, str], proxies: int
) -> None:
    own = "https://study.example.org"
    visitor = make_site(site={"base_url": own, "trusted_proxies": proxies})
    moved = visitor.client.get("/static//rater.css", headers=headers)
    assert moved.headers.get("Location", own).startswith(own)
    if "Host" in headers:  # by which the test's browser files its cookies, too
        return
    visitor.invite("open")
    https = {"base_url": own, "headers": headers}
    page = visitor.client.get(f"/r/{visitor.token}", follow_redirects=True, base_url=own)
    visitor.here = page.request.path
    data = {"csrf_token": visitor.csrf_of(page)}
    assert visitor.client.post(visitor.at("consent"), data=data, **https).status_code == 303
    for stage, more in [
        ("device", {"facts": json.dumps(FACTS), "fits": "yes"}),
        ("questions", {"sight": "good", "age": "30"}),
    ]:
        page = visitor.client.get("/study", follow_redirects=True, base_url=own)
        data = {"csrf_token": visitor.csrf_of(page), **more}
        visitor.client.post(f"{page.request.path}/{stage}", data=data, base_url=own)
    shown = visitor.client.get(page.request.path, **https).get_data(as_text=True)
    assert f"{own}/r/" in shown
    assert "evil" not in shown


def test_unknown_scheme_of_a_proxy_is_refused(make_site: MakeSite) -> None:
    visitor = make_site(site={"trusted_proxies": 1})
    answer = visitor.client.get("/static//rater.css", headers={"X-Forwarded-Proto": "javascript"})
    assert answer.status_code == 400
    assert "Location" not in answer.headers


def test_cookies_are_named_for_their_study(tmp_path: Path) -> None:
    folder = freeze(tmp_path / "study", name="two.words_and-more")
    made: Flask = create_app(
        SiteConfig.given(study=folder, database=str(folder / "v.sqlite"), secret=SECRET)
    )
    assert made.config["SESSION_COOKIE_NAME"] == "sreval-two.words_and-more"
    made.extensions["sreval"].store.dispose()
