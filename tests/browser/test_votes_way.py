"""A vote's way to the site past all that answers in its place: none is lost or misdirected."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Request, Route, expect
from sqlalchemy import func, select

from sreval.site.config import Rates
from sreval.store import models
from sreval.store.operators import Operators

from .conftest import READY, Window, intercept, to_rating, until
from .study import LOGIN, Served, design, plain, served
from .test_operator import PASSWORD, log_in
from .test_rating import COUNT, DELETE, NOTE_STATUS, leave, rate, settle

FOREIGN = "Something between you and the study answers in its place."
OTHER = "Another link was opened in this browser. Your scores are kept"
HURRY = "setInterval(() => dispatchEvent(new Event('online')), 50)"
"""Instead of waiting for seconds between two tries."""


def session_of(page: Page) -> str:
    """The session that the page names."""
    return page.url.partition("?")[0].rpartition("/")[2]


def page_loads(page: Page) -> list[str]:
    """Every load of a page from now on."""
    loads: list[str] = []

    def note(request: Request) -> None:
        if request.is_navigation_request():
            loads.append(request.url)

    page.on("request", note)
    return loads


def kept(page: Page) -> list[int]:
    """The positions of the votes that wait in the browser."""
    names: list[str] = page.evaluate("Object.keys(localStorage)")
    return sorted(int(n.rpartition("-")[2]) for n in names if n.startswith("sreval-vote-"))


ANSWERS: list[dict[str, Any]] = [
    {"status": 200, "content_type": "text/html", "body": LOGIN},
    {"status": 200, "content_type": "application/json", "body": '{"saved": 1}'},
    {"status": 200, "content_type": "application/json", "body": "null"},
    {"status": 204, "body": ""},
    {"status": 302, "headers": {"Location": "/login"}},
    *(
        {"status": status, "content_type": "text/html", "body": LOGIN}
        for status in (400, 401, 403, 404, 407, 408, 409, 410, 411, 413, 451, 511)
    ),
    {"status": 400, "content_type": "application/json", "body": '{"kind": "malformed"}'},
    {"status": 409, "content_type": "application/json", "body": '{"current": {"done": 9}}'},
    {"status": 410, "content_type": "application/json", "body": '{"session": "s-other"}'},
]


def test_a_vote_waits_for_the_sites_own_answer(brief: Served, window: Window) -> None:
    seen = window(brief)
    page = seen.page
    page.add_init_script(HURRY)
    to_rating(page, brief)
    page.evaluate(NOTE_STATUS)
    loads, waiting = page_loads(page), list(ANSWERS)
    sent: list[dict[str, Any]] = []

    def answer(route: Route, request: Request) -> None:
        sent.append(json.loads(request.post_data or ""))
        if waiting:
            route.fulfill(**waiting.pop(0))
        else:
            route.continue_()

    intercept(page, "**/api/vote", answer)
    rate(page, 1, 4)
    rate(page, 2, 2)
    settle(brief, page, [(1, 4), (2, 2)])
    assert not waiting
    assert [vote["position"] for vote in sent] == [1] * (len(ANSWERS) + 1) + [2]
    assert len({vote["key"] for vote in sent}) == 2
    assert any(text.startswith(FOREIGN) for text in page.evaluate("said"))
    assert not loads, "the page was loaded anew"
    assert kept(page) == []


def test_a_login_page_in_place_of_everything_ends_nothing(brief: Served, window: Window) -> None:
    page = window(brief).page
    to_rating(page, brief)
    page.wait_for_load_state("networkidle")
    with brief.behind_a_portal():
        rate(page, 1, 5)
        rate(page, 2, 1)
        expect(page.locator("#status")).to_contain_text(FOREIGN)
        assert kept(page) == [1, 2]
        assert brief.votes() == []
    page.evaluate("dispatchEvent(new Event('online'))")
    settle(brief, page, [(1, 5), (2, 1)])
    for status in (200, 404, 410):
        intercept(page, "**/api/item", functools.partial(Route.fulfill, status=status, body=LOGIN))
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        expect(page.locator("#status")).to_contain_text(FOREIGN)
        page.unroute("**/api/item")
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        expect(page.locator("#status")).to_have_text("Saved")
    rate(page, 3, 3)
    settle(brief, page, [(1, 5), (2, 1), (3, 3)])


@pytest.mark.parametrize(("status", "kind"), [(403, "csrf"), (401, "session"), (410, "ended")])
def test_a_page_that_is_always_refused_is_loaded_anew_once(
    brief: Served, window: Window, status: int, kind: str
) -> None:
    page = window(brief).page
    page.add_init_script(HURRY)
    to_rating(page, brief)
    loads, refused = page_loads(page), []

    def refuse(route: Route) -> None:
        refused.append(1)
        body = json.dumps({"session": session_of(page), "kind": kind})
        route.fulfill(status=status, content_type="application/json", body=body)

    intercept(page, "**/api/vote", refuse)
    page.keyboard.press("4")
    expect(page.locator("#status")).to_contain_text("The study takes nothing from this page")
    until(page, lambda: len(refused) >= 8)
    assert len(loads) == 1
    assert kept(page) == [1]
    page.unroute("**/api/vote")
    settle(brief, page, [(1, 4)])
    assert page.evaluate("Object.keys(sessionStorage).length") == 0, "the next refusal may load it"


def test_a_vote_on_an_image_that_was_never_sent_is_given_anew(
    brief: Served, window: Window
) -> None:
    page = window(brief).page
    to_rating(page, brief)
    body = json.dumps({"session": session_of(page), "kind": "unseen"})
    intercept(
        page,
        "**/api/vote",
        lambda route: route.fulfill(status=409, content_type="application/json", body=body),
        times=1,
    )
    with page.expect_navigation():
        page.keyboard.press("4")
    page.wait_for_selector(READY)
    expect(page.locator(COUNT)).to_have_text("Image 1 of 6")
    expect(page.locator("#scores .chosen")).to_have_count(0)
    assert kept(page) == []
    rate(page, 1, 2)
    settle(brief, page, [(1, 2)])


def test_a_server_that_went_back_asks_for_what_it_lacks(brief: Served, window: Window) -> None:
    """As after a backup was restored: the vote that is ahead waits for the one before it."""
    page = window(brief).page
    to_rating(page, brief)
    page.wait_for_load_state("networkidle")
    intercept(page, "**/api/vote", lambda route: route.abort())
    rate(page, 1, 5)
    rate(page, 2, 4)
    expect(page.locator(COUNT)).to_have_text("Image 3 of 6")
    page.evaluate("name => localStorage.removeItem(name)", f"sreval-vote-{session_of(page)}-1")
    page.unroute("**/api/vote")
    page.evaluate("dispatchEvent(new Event('online'))")
    rate(page, 1, 3)
    expect(page.locator(COUNT)).to_have_text("Image 3 of 6")
    settle(brief, page, [(1, 3), (2, 4)])


def test_practice_ends_with_its_last_image_while_votes_wait(tmp_path: Path, window: Window) -> None:
    """Nothing says "Practice" over an image that counts, and only an example asks for a score."""
    content = {key: value for key, value in design().items() if key != "questions"}
    with served(tmp_path / "study", content) as site:
        page = window(site).page
        to_rating(page, site)
        page.keyboard.press("1")
        expect(page.locator(COUNT)).to_have_text("Image 2 of 9")
        page.wait_for_load_state("networkidle")
        intercept(page, "**/api/vote", lambda route: route.abort())
        said = []
        for position in range(2, 6):
            expect(page.locator(COUNT)).to_have_text(f"Image {position} of 9")
            page.wait_for_selector(READY)
            said.append((page.inner_text("#heading"), "example" in page.inner_text("#hint")))
            if position < 5:
                page.keyboard.press("3")
        assert said == [("Example", True), ("Practice", False), ("", False), ("", False)]
        assert kept(page) == [2, 3, 4]
        page.unroute("**/api/vote")
        page.evaluate("dispatchEvent(new Event('online'))")
        settle(site, page, [(1, 1), (2, 3), (3, 3), (4, 3)])


def by_session(site: Served) -> dict[str, list[tuple[int, float]]]:
    """The stored votes of each session."""
    found: dict[str, list[tuple[int, float]]] = {}
    for vote in site.stored():
        found.setdefault(vote.session_id, []).append((vote.position, vote.score))
    return found


def test_two_links_in_one_browser_mix_nothing(brief: Served, window: Window) -> None:
    seen = window(brief)
    first = seen.page
    link = to_rating(first, brief)
    rate(first, 1, 5)
    settle(brief, first, [(1, 5)])
    mine = session_of(first)
    second = seen.watch(seen.context.new_page())
    to_rating(second, brief)
    yours = session_of(second)
    rate(first, 2, 4)
    expect(first.locator("#status")).to_contain_text(OTHER)
    rate(second, 1, 1)
    expect(second.locator("#status")).to_have_text("Saved")
    assert by_session(brief) == {mine: [(1, 5)], yours: [(1, 1)]}
    leave(first, DELETE)
    expect(first.locator("h1")).to_have_text("Another link was opened in this browser")
    first.goto(link)
    rate(first, 3, 3)
    expect(first.locator("#status")).to_have_text("Saved")
    assert by_session(brief) == {mine: [(1, 5), (2, 4), (3, 3)], yours: [(1, 1)]}


def test_two_studies_on_two_ports_mix_nothing(
    brief: Served, tmp_path: Path, window: Window
) -> None:
    seen = window(brief)
    with served(tmp_path / "study", plain(name="others")) as other:
        to_rating(seen.page, brief)
        elsewhere = seen.context.new_page()
        to_rating(elsewhere, other)
        for position in range(1, 4):
            rate(seen.page, position, 5)
            rate(elsewhere, position, 1)
        settle(brief, seen.page, [(1, 5), (2, 5), (3, 5)])
        settle(other, elsewhere, [(1, 1), (2, 1), (3, 1)])


def test_an_operator_beside_a_rater_disturbs_nobody(brief: Served, window: Window) -> None:
    seen = window(brief)
    Operators(brief.store).add("ada", "owner", PASSWORD)
    to_rating(seen.page, brief)
    operator = seen.context.new_page()
    log_in(operator, brief)
    expect(operator).to_have_url(f"{brief.url}/operator/")
    rate(seen.page, 1, 4)
    rate(seen.page, 2, 2)
    settle(brief, seen.page, [(1, 4), (2, 2)])
    operator.reload()
    expect(operator).to_have_url(f"{brief.url}/operator/")


def test_a_window_that_is_resized_takes_nothing_from_votes(tmp_path: Path, window: Window) -> None:
    with served(tmp_path / "study", plain(), rates=Rates()) as site:
        seen = window(site, size=(1000, 700))
        page = seen.page
        to_rating(page, site)
        statuses = []
        page.on("response", lambda response: statuses.append(response.status))
        with page.expect_response("**/api/device"):
            page.evaluate(
                """async () => {
                  for (let n = 0; n < 300; n++) {
                    const value = 1000 - (n % 37);
                    Object.defineProperty(window, "innerWidth", { value, configurable: true });
                    dispatchEvent(new Event("resize"));
                    await new Promise((resolve) => setTimeout(resolve, 5));
                  }
                }"""
            )
        rate(page, 1, 4)
        settle(site, page, [(1, 4)])
        assert 429 not in statuses
        told = select(func.count()).where(models.Event.kind == "device")
        with site.store.read() as tx:
            assert (tx.scalar(told) or 0) <= 3
