"""Chromium to look at a served study with, and short ways through its pages."""

from __future__ import annotations

import base64
import datetime as dt
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, expect, sync_playwright

from sreval.store import enrolment
from sreval.store.sessions import RaterSession
from sreval.study.manifest import load_manifest
from tests.site.conftest import LANGUAGES, compiled_once
from tests.study.designs import in_languages

from .study import Served, UInt8, design, plain, served

__all__ = ["compiled_once"]

READY = "#scores button[data-score='1'][aria-disabled=false]"
CHROMIUM = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
]


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """Chromium as people have it; tests skip, saying so, without it."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if not found:
        pytest.skip("there is no chromium on the PATH")
    return found


@pytest.fixture(scope="session")
def page_program(request: pytest.FixtureRequest) -> str:
    """Chromium's engine without the window of a browser, which costs more than the pages in it;
    Chromium itself where this isn't installed."""
    found = shutil.which("chromium-headless-shell")
    return found or request.getfixturevalue("chromium_path")


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    expect.set_options(timeout=30_000)
    with sync_playwright() as started:
        yield started


@dataclass
class Watched:
    """A browser window, and everything that went wrong or out in it."""

    browser: Browser
    context: BrowserContext
    page: Page
    origin: str
    problems: list[str] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> Page:
        """Listen to one more tab."""
        page.on("console", lambda m: self.problems.append(f"{m.type}: {m.text}"))
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("request", lambda request: self.addresses.append(request.url))
        return page

    def check(self, *expected: str) -> None:
        """Nothing left the host; no word on the console but what was to be expected."""
        away = [url for url in self.addresses if not url.startswith(f"{self.origin}/")]
        assert not away, away
        other = [p for p in self.problems if not any(word in p for word in expected)]
        assert not other, other

    def screenshot(self, path: Path) -> UInt8:
        """The window's own pixels, kept as a file. Playwright's own call would give them, too,
        but only in a viewport that it emulates, where Chromium places boxes on whole CSS
        pixels."""
        session = self.context.new_cdp_session(self.page)
        data = session.send("Page.captureScreenshot", {"format": "png", "optimizeForSpeed": True})[
            "data"
        ]
        session.detach()
        path.write_bytes(base64.b64decode(data))
        return np.asarray(Image.open(path).convert("RGB"))


Window = Callable[..., Watched]


@pytest.fixture(scope="session")
def browsers(
    playwright: Playwright, page_program: str, request: pytest.FixtureRequest
) -> Iterator[Callable[[float], Browser]]:
    """Chromium on a screen with that many device pixels to a CSS pixel.

    On all but the plainest screen it is Chromium as people have it: there pixels are compared.
    """
    started: dict[float, Browser] = {}

    def get(ratio: float) -> Browser:
        if ratio not in started:
            size = {1: "1280,860", 1.25: "1100,780"}.get(ratio, "940,720")  # few pixels: fast
            scale = [f"--force-device-scale-factor={ratio}", f"--window-size={size}"]
            program = page_program if ratio == 1 else request.getfixturevalue("chromium_path")
            started[ratio] = playwright.chromium.launch(
                executable_path=program, args=CHROMIUM + scale
            )
        return started[ratio]

    yield get
    for browser in started.values():
        browser.close()


@pytest.fixture
def window(browsers: Callable[[float], Browser]) -> Iterator[Window]:
    """Open a window on a served study; `size` emulates one of that many CSS pixels."""
    with ExitStack() as stack:

        def open_window(
            site: Served, ratio: float = 1, size: tuple[int, int] | None = None, **options: Any
        ) -> Watched:
            browser = browsers(ratio)
            shape = {"width": size[0], "height": size[1]} if size else None
            options |= {"viewport": shape} if shape else {"no_viewport": True}
            context = browser.new_context(**{"locale": "en-GB", **options})
            stack.callback(context.close)
            context.set_default_timeout(30_000)
            page = context.new_page()
            watched = Watched(browser, context, page, site.url)
            watched.watch(page)
            return watched

        yield open_window


@pytest.fixture(scope="session")
def _whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    content = in_languages(design(), *LANGUAGES)
    with served(tmp_path_factory.mktemp("whole") / "study", content) as site:
        yield site


@pytest.fixture(scope="session")
def _brief(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("brief") / "study", plain()) as site:
        yield site


@pytest.fixture
def whole(_whole: Served) -> Served:
    """A study with all its parts."""
    return _whole.for_one_test()


@pytest.fixture
def brief(_brief: Served) -> Served:
    """Six votes and nothing else."""
    return _brief.for_one_test()


def until(page: Page, holds: Callable[[], bool]) -> None:
    """Wait for what Playwright can't wait for by itself."""
    for _ in range(600):
        if holds():
            return
        page.wait_for_timeout(50)
    pytest.fail("it is still false after 30 s")


def intercept(page: Page, pattern: str, handler: Callable[..., Any], **options: Any) -> None:
    """As ``page.route``, for a page that is open.

    Chromium tells the page's own process late, and a key press can overtake that: one request
    that is answered here shows that it knows.
    """
    page.route(pattern, handler, **options)
    page.route("**/health", lambda route: route.fulfill(body="ours"))
    asked = "fetch('/health').then((answer) => answer.text())"
    until(page, lambda: page.evaluate(asked) == "ours")
    page.unroute("**/health")


def submit(page: Page, stage: str) -> None:
    """Send the form of one stage, once it can be sent."""
    page.locator(f"form[data-stage={stage}] button:enabled").click()


def begun(site: Served, votes: int = 0, language: str | None = None) -> str:
    """The link of a rater who has given so many votes in a study without questions."""
    link = site.link()
    enrolled = enrolment.enrol(site.store, link.rpartition("/")[2], load_manifest(site.folder))
    rater = RaterSession(site.store, enrolled.session_id)
    rater.agree("1", language)
    rater.device({}, True)
    rater.start()
    for position in range(1, votes + 1):
        rater.sent(rater.state().items[0].pictures[0])
        rater.vote(
            position,
            3,
            key=f"key-{position:06}",
            response_ms=900.0,
            shown_at=dt.datetime.now(dt.UTC),
            device="{}",
        )
    return link


def to_rating(page: Page, site: Served, language: str | None = None) -> str:
    """Open a new rater's link at the first image of a study without questions; the link."""
    link = begun(site, language=language)
    page.goto(link)
    page.wait_for_selector(READY)
    return link
