"""The rating page under all that raters, browsers and networks do to it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Request, Route, expect
from sqlalchemy import select

from sreval.store import models
from sreval.store.studies import Studies

from .conftest import READY, Window, begun, intercept, to_rating
from .study import Served, plain, served

COUNT = "#count"
OFFLINE = "net::ERR"
NOTE_STATUS = """() => {
  window.said = [];
  const status = document.getElementById("status");
  new MutationObserver(() => said.push(status.textContent)).observe(status, {childList: true});
}"""
"""Keeps what the page says of votes from now on, however shortly."""


def rate(page: Page, position: int, score: int) -> None:
    """Press a key at that item, once it can be rated."""
    expect(page.locator(COUNT)).to_have_text(f"Image {position} of 6")
    page.wait_for_selector(READY)
    page.keyboard.press(str(score))


def settle(site: Served, page: Page, votes: list[tuple[int, int]]) -> None:
    """Wait until the page says that all is saved; then exactly these votes are stored."""
    expect(page.locator("#status")).to_have_text("Saved")
    assert site.votes() == votes


def test_votes_made_offline_wait_and_go_out_in_order(brief: Served, window: Window) -> None:
    seen = window(brief)
    to_rating(seen.page, brief)
    rate(seen.page, 1, 4)
    expect(seen.page.locator(COUNT)).to_have_text("Image 2 of 6")
    seen.page.wait_for_load_state("networkidle")
    seen.context.set_offline(True)
    rate(seen.page, 2, 5)  # the images of three more items are loaded
    rate(seen.page, 3, 1)
    rate(seen.page, 4, 2)
    expect(seen.page.locator("#status")).to_have_text("Offline, will retry")
    assert brief.votes() == [(1, 4)]
    seen.context.set_offline(False)
    rate(seen.page, 5, 3)
    settle(brief, seen.page, [(1, 4), (2, 5), (3, 1), (4, 2), (5, 3)])
    expect(seen.page.locator(COUNT)).to_have_text("Image 6 of 6")
    seen.check(OFFLINE)


def test_a_vote_survives_a_reload_and_its_image_is_not_fetched_again(
    brief: Served, window: Window
) -> None:
    """Where the vote overtook its image, the server would refuse it by then."""
    seen = window(brief)
    to_rating(seen.page, brief)
    intercept(seen.page, "**/api/vote", lambda route: route.abort())
    rate(seen.page, 1, 2)
    expect(seen.page.locator("#status")).to_have_text("Offline, will retry")
    seen.addresses.clear()
    seen.page.reload()
    expect(seen.page.locator("#status")).to_have_text("Offline, will retry")
    seen.page.wait_for_load_state("networkidle")
    current = json.loads(seen.page.locator("#page").text_content() or "")["current"]
    assert current["position"] == 1
    assert f"{brief.url}{current['pictures'][0]['url']}" not in seen.addresses
    assert f"{brief.url}{current['next'][0]['pictures'][0]['url']}" in seen.addresses
    seen.page.unroute("**/api/vote")
    rate(seen.page, 2, 3)
    settle(brief, seen.page, [(1, 2), (2, 3)])


def test_a_lost_answer_is_asked_for_with_the_same_key(brief: Served, window: Window) -> None:
    seen = window(brief)
    to_rating(seen.page, brief)
    sent: list[Any] = []

    def lose_first_answer(route: Route, request: Request) -> None:
        sent.append(request.post_data_json)
        if len(sent) == 1:
            route.fetch()
            route.abort()
        else:
            route.continue_()

    intercept(seen.page, "**/api/vote", lose_first_answer)
    rate(seen.page, 1, 5)
    rate(seen.page, 2, 4)
    settle(brief, seen.page, [(1, 5), (2, 4)])
    assert [vote["position"] for vote in sent] == [1, 1, 2]
    assert sent[0] == sent[1]


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_server_is_asked_again_when_it_says(
    brief: Served, window: Window, status: int
) -> None:
    seen = window(brief)
    to_rating(seen.page, brief)
    refusals = [status]

    def refuse_once(route: Route) -> None:
        if refusals:
            headers = {"Retry-After": "1", "Content-Type": "application/json"}
            route.fulfill(status=refusals.pop(), headers=headers, body="{}")
        else:
            route.continue_()

    intercept(seen.page, "**/api/vote", refuse_once)
    seen.page.evaluate(NOTE_STATUS)
    rate(seen.page, 1, 5)
    settle(brief, seen.page, [(1, 5)])
    assert "The server is busy, will retry" in seen.page.evaluate("said")


def test_a_paused_study_is_told_and_the_vote_kept(brief: Served, window: Window) -> None:
    seen = window(brief)
    to_rating(seen.page, brief)
    Studies(brief.store).set_state("photographs", "paused")
    rate(seen.page, 1, 5)
    told = "The study is paused. Your score is kept and will be sent when the study continues."
    expect(seen.page.locator("#status")).to_have_text(told)
    Studies(brief.store).set_state("photographs", "open")
    seen.page.evaluate("dispatchEvent(new Event('online'))")  # instead of waiting for a minute
    settle(brief, seen.page, [(1, 5)])


def test_a_vote_whose_token_was_refused_is_sent_again_from_a_fresh_page(
    brief: Served, window: Window
) -> None:
    seen = window(brief)
    to_rating(seen.page, brief)

    def spoil(route: Route, request: Request) -> None:
        route.continue_(headers={**request.headers, "x-csrftoken": "no such token"})

    intercept(seen.page, "**/api/vote", spoil, times=1)
    rate(seen.page, 1, 4)
    rate(seen.page, 2, 5)
    settle(brief, seen.page, [(1, 4), (2, 5)])
    seen.check("403")


def test_back_and_reload_show_the_present_item(brief: Served, window: Window) -> None:
    seen = window(brief)
    link = to_rating(seen.page, brief)
    rate(seen.page, 1, 3)
    rate(seen.page, 2, 3)
    expect(seen.page.locator(COUNT)).to_have_text("Image 3 of 6")
    settle(brief, seen.page, [(1, 3), (2, 3)])
    seen.page.reload()
    expect(seen.page.locator(COUNT)).to_have_text("Image 3 of 6")
    seen.page.go_back()  # to the page from before the rating began
    seen.page.wait_for_load_state()
    seen.page.goto(link)
    rate(seen.page, 3, 3)
    settle(brief, seen.page, [(1, 3), (2, 3), (3, 3)])
    seen.check()


def test_the_first_of_two_tabs_counts_and_the_other_follows(brief: Served, window: Window) -> None:
    seen = window(brief)
    to_rating(seen.page, brief)
    other = seen.watch(seen.context.new_page())
    other.goto(f"{brief.url}/study")
    other.wait_for_selector(READY)
    rate(seen.page, 1, 2)
    settle(brief, seen.page, [(1, 2)])
    assert other.inner_text(COUNT) == "Image 1 of 6", "a tab in the background is left alone"
    rate(other, 1, 5)
    expect(other.locator(COUNT)).to_have_text("Image 2 of 6")
    settle(brief, other, [(1, 2)])
    rate(other, 2, 4)
    rate(seen.page, 2, 1)
    rate(seen.page, 3, 5)
    settle(brief, seen.page, [(1, 2), (2, 4), (3, 5)])


def test_a_second_browser_goes_on_where_the_first_one_stopped(
    brief: Served, window: Window
) -> None:
    first = window(brief)
    link = to_rating(first.page, brief)
    rate(first.page, 1, 2)
    settle(brief, first.page, [(1, 2)])
    second = window(brief)
    second.page.goto(link)
    rate(second.page, 2, 3)
    settle(brief, second.page, [(1, 2), (2, 3)])
    rate(first.page, 2, 5)
    rate(first.page, 3, 1)
    settle(brief, first.page, [(1, 2), (2, 3), (3, 1)])


def test_a_held_key_a_key_too_early_and_a_double_click_are_one_vote_at_most(
    brief: Served, window: Window
) -> None:
    seen = window(brief)
    to_rating(seen.page, brief)
    seen.page.keyboard.down("4")
    for _ in range(30):
        seen.page.keyboard.down("4")  # repeats, as from a held key
        seen.page.wait_for_timeout(30)
    expect(seen.page.locator(COUNT)).to_have_text("Image 2 of 6")
    seen.page.keyboard.up("4")
    seen.page.wait_for_selector(READY)
    seen.page.evaluate(
        """() => document.addEventListener("click", () => document.dispatchEvent(
          new KeyboardEvent("keydown", {key: "1", bubbles: true})), {once: true})"""
    )  # while the next image is not yet on the page
    seen.page.locator("[data-score='2']").dblclick(delay=0)
    expect(seen.page.locator(COUNT)).to_have_text("Image 3 of 6")
    seen.page.wait_for_selector(READY)
    settle(brief, seen.page, [(1, 4), (2, 2)])
    seen.page.keyboard.press("Control+5")
    seen.page.keyboard.press("6")
    seen.page.click("summary")
    seen.page.keyboard.press("5")  # while thinking of leaving
    seen.page.click("summary")
    rate(seen.page, 3, 3)
    settle(brief, seen.page, [(1, 4), (2, 2), (3, 3)])
    seen.check()


def test_buttons_say_that_they_wait_and_times_count_from_the_paint(
    brief: Served, window: Window
) -> None:
    seen = window(brief)
    page = seen.page
    to_rating(page, brief)
    page.evaluate(
        """() => {
          window.order = [];
          window.hints = [];
          const hint = document.getElementById("hint");
          new MutationObserver(() => hints.push(hint.innerText))
            .observe(hint, {childList: true, characterData: true, subtree: true});
          const now = performance.now.bind(performance);
          const note = (what, at = now()) => (order.push([what, at]), at);
          performance.now = () => note("read");  // by the page itself
          const frames = () => requestAnimationFrame(() => (note("frame"), frames()));
          frames();
          new MutationObserver(() => {
            note("stage");
            requestAnimationFrame(() => {
              note("before");
              requestAnimationFrame(() => requestAnimationFrame(() => note("after")));
            });
          }).observe(document.getElementById("stage"), {childList: true});
          const button = document.querySelector("#scores button");
          new MutationObserver(() => note("buttons"))
            .observe(button, {attributeFilter: ["aria-disabled"]});
          window.addEventListener("keydown", () => note("key"), {capture: true});
        }"""
    )
    assert (
        page.inner_text("#hint")
        == "How good is the quality of this image? Press a key from 1 to 5."
    )
    page.keyboard.press("3")
    expect(page.locator(COUNT)).to_have_text("Image 2 of 6")
    page.wait_for_selector(READY)
    late = "The next image is on its way."  # where this machine is busy
    first = next(hint for hint in page.evaluate("hints") if hint not in ("", late))
    assert first == "Look at the image."
    page.keyboard.press("4")
    settle(brief, page, [(1, 3), (2, 4)])
    times: dict[str, list[float]] = {}
    for what, when in page.evaluate("order"):
        times.setdefault(what, []).append(when)
    (press, second_press), (grey, image) = times["key"], times["stage"][:2]
    shut, *_, ready = (when for when in times["buttons"] if when < second_press)
    next_frame = next(when for when in times["frame"] if when > press)
    assert press <= max(shut, grey) <= next_frame, "the answer shows in a later frame"
    assert image - press >= 99, "less grey than the design asks for"
    assert ready - image >= 99, "less time to look than the design asks for"
    voted = next(when for when in times["buttons"] if when > second_press)
    painted = [at for at in times["read"] if times["before"][1] <= at <= times["after"][1]]
    answered = [at for at in times["read"] if second_press <= at <= voted]
    spans = {math.floor(end - begin + 0.5) for begin in painted for end in answered}
    assert brief.stored()[1].response_ms in spans, "the time doesn't count from the paint"


def test_keyboard_alone_suffices(brief: Served, window: Window) -> None:
    seen = window(brief)
    page = seen.page
    page.goto(brief.link())

    def tab_to(name: str) -> None:
        for _ in range(12):
            page.keyboard.press("Tab")
            if name in page.evaluate("document.activeElement.innerText"):
                width = page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
                assert width == "3px", "the focus can't be seen"
                return
        pytest.fail(f"no Tab leads to {name}")

    for name in ("I agree, go on", "My window stays like this", "Start with the first"):
        tab_to(name)
        with page.expect_navigation():
            page.keyboard.press("Enter")
    page.wait_for_selector(READY)
    tab_to("good")
    page.keyboard.press("Enter")
    expect(page.locator(COUNT)).to_have_text("Image 2 of 6")
    page.wait_for_selector(READY)
    assert page.evaluate("document.activeElement.id") == "scores", "Tab goes on from the buttons"
    tab_to("good")
    page.keyboard.press("Space")
    expect(page.locator(COUNT)).to_have_text("Image 3 of 6")
    settle(brief, page, [(1, 4), (2, 4)])
    page.wait_for_selector(READY)
    tab_to("good")
    page.keyboard.down("Enter")
    for _ in range(20):
        page.keyboard.down("Enter")
        page.wait_for_timeout(30)
    page.keyboard.up("Enter")
    expect(page.locator(COUNT)).to_have_text("Image 4 of 6")
    settle(brief, page, [(1, 4), (2, 4), (3, 4)])
    seen.check()


def test_a_window_that_is_too_small_is_covered_until_it_fits(brief: Served, window: Window) -> None:
    seen = window(brief, size=(1000, 700))
    page = seen.page
    to_rating(page, brief)
    with page.expect_response("**/api/device"):
        page.set_viewport_size({"width": 1000, "height": 400})
    expect(page.locator("#cover")).to_contain_text("Your window is too small for the images.")
    page.keyboard.press("3")
    with page.expect_response("**/api/device"):
        page.set_viewport_size({"width": 1000, "height": 700})
    expect(page.locator("#cover")).to_be_hidden()
    page.wait_for_selector(READY)
    assert page.locator("#image").bounding_box() is not None
    rate(page, 1, 4)
    settle(brief, page, [(1, 4)])
    session = brief.stored()[0].session_id
    with brief.store.read() as tx:
        told = select(models.Event.facts).filter_by(session_id=session, kind="device")
        assert [json.loads(facts)["fits"] for facts in tx.scalars(told)] == [True, False, True]


@pytest.mark.parametrize(
    ("size", "options", "says"),
    [
        ((1000, 400), {}, "Your window is too small"),
        ((390, 800), {"is_mobile": True, "has_touch": True}, "Phones are too small"),
    ],
)
def test_a_screen_that_does_not_fit_does_not_get_past_the_check(
    brief: Served, window: Window, size: tuple[int, int], options: dict[str, Any], says: str
) -> None:
    page = window(brief, size=size, **options).page
    page.goto(brief.link())
    page.click("form[data-stage=consent] button")
    expect(page.locator("#advice")).to_contain_text(says)
    expect(page.locator("form[data-stage=device] button")).to_be_disabled()


def test_an_image_that_fails_is_fetched_again(brief: Served, window: Window) -> None:
    seen = window(brief)
    failures = [1, 2]

    def fail_twice(route: Route) -> None:
        if failures:
            failures.pop()
            route.abort()
        else:
            route.continue_()

    seen.page.route("**/i/*", fail_twice)
    to_rating(seen.page, brief)
    rate(seen.page, 1, 5)
    settle(brief, seen.page, [(1, 5)])


KEEP, DELETE = "Keep them", "Delete them; this can't be undone"


def leave(page: Page, choice: str) -> None:
    """Leave the study by its button."""
    page.locator("#leave summary").click()
    page.get_by_label(choice).check()
    page.get_by_role("button", name="Leave the study now").click()


@pytest.mark.parametrize(("first", "kept"), [(1, [(1, 5), (2, 4)]), (5, [(5, 5), (6, 4)])])
def test_leaving_waits_for_votes_that_are_to_be_kept(
    brief: Served, window: Window, first: int, kept: list[tuple[int, int]]
) -> None:
    """In the middle, and at the end, where the site has another page to show by then."""
    page = window(brief).page
    page.goto(begun(brief, votes=first - 1))
    page.wait_for_selector(READY)
    page.wait_for_load_state("networkidle")
    intercept(page, "**/api/vote", lambda route: route.abort())
    rate(page, first, 5)
    rate(page, first + 1, 4)
    leave(page, KEEP)
    expect(page.locator("#leaving")).to_contain_text("As soon as they are saved, you leave")
    expect(page.locator("#status")).to_have_text("Offline, will retry")
    page.unroute("**/api/vote")
    page.evaluate("dispatchEvent(new Event('online'))")
    said = "You have left the study" if first == 1 else "Thank you"
    expect(page.locator("h1")).to_have_text(said)
    assert brief.votes()[-2:] == kept


@pytest.mark.parametrize("click", ["text=Delete them", "summary"])
def test_leaving_is_off_when_its_form_is_changed_or_closed(
    brief: Served, window: Window, click: str
) -> None:
    """What was chosen after the click is nothing that was sent."""
    page = window(brief).page
    to_rating(page, brief)
    page.wait_for_load_state("networkidle")
    intercept(page, "**/api/vote", lambda route: route.abort())
    rate(page, 1, 5)
    leave(page, KEEP)
    expect(page.locator("#leaving")).not_to_be_empty()
    page.locator(click).click()
    expect(page.locator("#leaving")).to_be_empty()
    page.unroute("**/api/vote")
    page.evaluate("dispatchEvent(new Event('online'))")
    settle(brief, page, [(1, 5)])
    page.wait_for_timeout(500)
    expect(page.locator(COUNT)).to_have_text("Image 2 of 6")


def test_leaving_is_not_overtaken_by_the_next_page(tmp_path: Path, window: Window) -> None:
    """Another tab sends what waits; the site has a break to show by then."""
    with served(tmp_path / "study", plain(sittings={"break_every": 2})) as site:
        seen = window(site)
        page = seen.page
        to_rating(page, site)
        busy = {"Retry-After": "60"}
        intercept(page, "**/api/vote", lambda route: route.fulfill(status=503, headers=busy))
        rate(page, 1, 5)
        leave(page, KEEP)
        expect(page.locator("#status")).to_contain_text("The server is busy")
        other = seen.context.new_page()
        other.goto(page.url)
        rate(other, 2, 4)
        expect(other.locator("form[data-stage=break]")).to_be_visible()
        aborted: list[str] = []
        page.on("requestfailed", lambda request: aborted.append(request.url))

        def late(route: Route) -> None:
            page.wait_for_timeout(800)
            route.continue_()

        intercept(page, "**/withdraw", late)
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        expect(page.locator("h1")).to_have_text("You have left the study")
        assert not [url for url in aborted if url.endswith("/withdraw")]


def test_deleting_takes_what_waits_in_the_browser(brief: Served, window: Window) -> None:
    page = window(brief).page
    to_rating(page, brief)
    intercept(page, "**/api/vote", lambda route: route.abort())
    rate(page, 1, 5)
    expect(page.locator("#status")).to_have_text("Offline, will retry")
    page.evaluate("localStorage.setItem('sreval-vote-s-other-1', '{}')")
    leave(page, DELETE)
    expect(page.locator("h1")).to_have_text("You have left the study")
    page.wait_for_load_state()
    assert page.evaluate("Object.keys(localStorage)") == ["sreval-vote-s-other-1"]
    assert brief.votes() == []


def test_leaving_keeps_or_deletes(brief: Served, window: Window) -> None:
    for choice, left in ((KEEP, 1), (DELETE, 0)):
        page = window(brief).page
        to_rating(page, brief)
        before = len(brief.votes())
        rate(page, 1, 5)
        leave(page, choice)
        expect(page.locator("h1")).to_have_text("You have left the study")
        assert len(brief.votes()) - before == left


def test_no_storage_is_said_and_nothing_is_lost_silently(brief: Served, window: Window) -> None:
    page = window(brief).page
    to_rating(page, brief)
    page.evaluate("() => { Storage.prototype.setItem = () => { throw new Error('full'); }; }")
    page.keyboard.press("3")
    expect(page.locator("#status")).to_contain_text("This browser stores nothing")
    assert brief.votes() == []


def test_an_ended_session_leads_to_the_page_that_says_so(tmp_path: Path, window: Window) -> None:
    with served(tmp_path / "study", plain()) as site:
        page = window(site).page
        to_rating(page, site)
        Studies(site.store).set_state("photographs", "closed")
        page.keyboard.press("3")
        expect(page.locator("h1")).to_have_text("The study has ended")
        assert site.votes() == []
