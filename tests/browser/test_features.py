"""Browsers that lack something are told so before anybody agrees; odd ones are done without."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Playwright, Route, expect

from .conftest import CHROMIUM, READY, Window, begun, to_rating
from .study import Served, plain, served
from .test_rating import rate, settle

NO_STORAGE = """Object.defineProperty(window, "localStorage", {
  get() { throw new DOMException("denied", "SecurityError"); },
})"""
NO_ROOM = "Storage.prototype.setItem = () => { throw new DOMException('', 'QuotaExceededError'); }"
NO_COOKIES = "Object.defineProperty(Navigator.prototype, 'cookieEnabled', {get: () => false})"
TOO_OLD = "This browser is too old"


@pytest.mark.parametrize(
    ("removes", "title"),
    [
        (NO_STORAGE, "This browser stores nothing"),
        (NO_ROOM, "This browser stores nothing"),
        (NO_COOKIES, "This browser refuses cookies"),
        ("delete AbortSignal.timeout", TOO_OLD),
        ("delete HTMLImageElement.prototype.decode", TOO_OLD),
    ],
)
def test_what_a_browser_lacks_is_said_in_place_of_the_page(
    brief: Served, window: Window, removes: str, title: str
) -> None:
    lacking = window(brief)
    page = lacking.page
    page.add_init_script(removes)
    for address in (brief.link(), begun(brief)):  # a new rater, and one who goes on in this browser
        page.goto(address)
        expect(page.locator("h1")).to_have_text(title)
        expect(page.locator("main p")).to_contain_text("open your link")
        expect(page.locator("button")).to_have_count(0)
    lacking.check()


def test_a_browser_without_modules_is_told(brief: Served, window: Window) -> None:
    """As it reads the page: it skips scripts of the type module and runs those marked nomodule."""
    page = window(brief).page

    def as_before_modules(route: Route) -> None:
        if "/study/" not in route.request.url:
            return route.continue_()
        response = route.fetch()
        text = response.text().replace('type="module"', 'type="none"').replace("nomodule", "")
        return route.fulfill(response=response, body=text)

    page.route("**/*", as_before_modules)
    page.goto(brief.link())
    page.reload()  # what a redirect leads to passes the route by
    expect(page.locator("h1")).to_have_text(TOO_OLD)
    expect(page.locator("main p")).to_contain_text("open your link in another browser")
    expect(page.locator("form")).to_have_count(0)


def test_nobody_agrees_without_script(brief: Served, window: Window) -> None:
    page = window(brief, java_script_enabled=False).page
    page.goto(brief.link())
    expect(page.locator(".error")).to_contain_text("This study needs JavaScript.")
    expect(page.locator("form[data-stage=consent] button")).to_be_disabled()


def test_a_browser_that_refuses_cookies_is_told_so(
    brief: Served, playwright: Playwright, chromium_path: str, tmp_path: Path
) -> None:
    """By its own setting, which refuses storage too."""
    (tmp_path / "Default").mkdir()
    refused = {"profile": {"default_content_setting_values": {"cookies": 2}}}
    (tmp_path / "Default" / "Preferences").write_text(json.dumps(refused))
    context = playwright.chromium.launch_persistent_context(
        tmp_path, executable_path=chromium_path, args=CHROMIUM, locale="en-GB"
    )
    try:
        page = context.new_page()
        page.goto(brief.link())
        expect(page.locator("h1")).to_have_text("This browser refuses cookies")
        expect(page.locator("main")).to_contain_text("Please allow cookies for this site")
    finally:
        context.close()


def test_an_image_that_loads_but_refuses_to_be_decoded_is_shown(
    brief: Served, window: Window
) -> None:
    page = window(brief).page
    page.add_init_script(
        "HTMLImageElement.prototype.decode = () => Promise.reject(new DOMException('no'))"
    )
    to_rating(page, brief)
    rate(page, 1, 4)
    settle(brief, page, [(1, 4)])


def test_an_image_that_never_loads_is_said(brief: Served, window: Window) -> None:
    page = window(brief).page
    to_rating(page, brief)
    page.add_init_script("const later = setTimeout; setTimeout = (f, ms) => later(f, ms / 20);")
    page.route("**/i/*", lambda route: route.fulfill(content_type="image/png", body="no image"))
    page.reload()
    expect(page.locator("#hint")).to_contain_text("The next image can't be loaded.")


@pytest.mark.parametrize("asleep", ["performance", "Date"])
def test_a_break_ends_whichever_clock_stands_still(
    tmp_path: Path, window: Window, asleep: str
) -> None:
    """performance.now stands still while some computers sleep, the time of day can be set back."""
    awake = {"performance": "Date", "Date": "performance"}[asleep]
    pauses = {"break_every": 3, "break_seconds": 3600}
    with served(tmp_path / "study", plain(sittings=pauses)) as site:
        page = window(site).page
        page.add_init_script(f"const stands = {asleep}.now(); {asleep}.now = () => stands;")
        page.goto(begun(site, votes=3))
        button = page.locator("form[data-stage=break] button")
        expect(button).to_be_disabled()
        expect(page.locator("#clock")).to_have_text(re.compile(r"^(60:00|59:\d\d)$"))
        page.evaluate(f"{awake}.now = ((now) => () => now + 3600_000)({awake}.now())")
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        expect(button).to_be_enabled()
        expect(page.locator("#over")).to_have_text("The break is over. Go on when you are ready.")


PRESS = """([key, code, more]) => document.dispatchEvent(
  new KeyboardEvent("keydown", { key, code, bubbles: true, cancelable: true, ...more }))"""


def test_digits_count_on_every_keyboard(brief: Served, window: Window) -> None:
    page = window(brief).page
    to_rating(page, brief)
    for no_score in (
        ["1", "Digit1", {"ctrlKey": True}],
        ["1", "Digit1", {"altKey": True}],
        ["1", "Digit1", {"metaKey": True}],
        ["1", "Digit1", {"modifierAltGraph": True}],
        ["1", "Digit1", {"isComposing": True}],
        ["7", "Digit3", {}],
        ["٠", "Digit0", {}],
        ["ArrowRight", "ArrowRight", {}],
    ):
        page.evaluate(PRESS, no_score)
    pressed = [
        ("&", "Digit1", 1),  # AZERTY without Shift
        ("End", "Numpad1", 1),  # without Num Lock
        ("３", "", 3),  # full width
        ("٤", "Digit4", 4),  # Arabic
        ("५", "Digit5", 5),  # Devanagari
        ("2", "Digit9", 2),  # wherever it lies
    ]
    for position, (key, code, _) in enumerate(pressed, start=1):
        expect(page.locator("#count")).to_have_text(f"Image {position} of 6")
        page.wait_for_selector(READY)
        page.evaluate(PRESS, [key, code, {}])
    expect(page.locator("h1")).to_have_text("Thank you")
    assert brief.votes() == [(n, score) for n, (*_, score) in enumerate(pressed, start=1)]


def test_what_spoils_a_look_is_sent_with_the_vote(brief: Served, window: Window) -> None:
    page = window(brief, size=(1000, 700), forced_colors="active").page
    to_rating(page, brief)
    away = page.evaluate(
        """async () => {
          const from = performance.now();
          const hide = (yes) => {
            Object.defineProperty(document, "hidden", { value: yes, configurable: true });
            document.hasFocus = () => !yes;
            document.dispatchEvent(new Event("visibilitychange"));
            window.dispatchEvent(new Event(yes ? "blur" : "focus"));
          };
          hide(true);
          await new Promise((resolve) => setTimeout(resolve, 120));
          hide(false);
          return performance.now() - from;
        }"""
    )
    with page.expect_request("**/api/vote") as sent:
        rate(page, 1, 4)
    vote: dict[str, Any] = json.loads(sent.value.post_data or "")
    for name in ("hidden_ms", "unfocused_ms"):
        assert type(vote[name]) is int
        assert 110 <= vote[name] <= away + 1
    assert vote["response_ms"] >= vote["hidden_ms"]
    assert f"/i/{vote['image']}" in (page.locator("#page").text_content() or "")
    device = json.loads(vote["device"])
    assert device["forced_colors"] is True
    assert (device["hdr"], device["inverted"], device["language"]) == (False, False, "en")
    assert device["gamut"] in ("srgb", "p3", "rec2020", "unknown")
    with page.expect_request("**/api/vote") as sent:
        rate(page, 2, 4)
    assert json.loads(sent.value.post_data or "")["hidden_ms"] == 0, "each look counts for itself"
    settle(brief, page, [(1, 4), (2, 4)])


def test_forced_colours_leave_the_ground_grey(
    brief: Served, window: Window, tmp_path: Path
) -> None:
    seen = window(brief, size=(1000, 700), forced_colors="active")
    to_rating(seen.page, brief)
    screen = seen.screenshot(tmp_path / "forced.png")
    box = seen.page.locator("#image").bounding_box()
    assert box is not None
    x, y = round(box["x"]), round(box["y"])
    assert (screen[y, x - 40 : x] == 119).all()
    assert (screen[y - 6 : y, x] == 119).all()


def test_scale_words_are_not_translated_and_run_their_own_way(
    tmp_path: Path, window: Window
) -> None:
    words = ["سيئ", "ضعيف", "مقبول", "جيد", "ممتاز"]
    with served(tmp_path / "study", plain(scale={"words": words}, title="صور!")) as site:
        page = window(site).page
        to_rating(page, site)
        told = page.evaluate(
            """() => [...document.querySelectorAll("#scores span")]
              .map((word) => [word.translate, getComputedStyle(word).direction])"""
        )
        assert told == [[False, "rtl"]] * 5
        assert page.evaluate("getComputedStyle(document.querySelector('h1')).direction") == "rtl"
