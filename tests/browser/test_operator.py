"""An operator's whole way in a browser, with pictures of it: as it is, at 400 %, and printed."""

from __future__ import annotations

import csv
import datetime as dt
import io
import re
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from argon2 import PasswordHasher
from PIL import Image
from playwright.sync_api import Page, expect

from sreval.opinions.cells import unguarded
from sreval.store import enrolment, frames
from sreval.store.invitations import Links
from sreval.store.operators import Operators
from sreval.store.overview import Overview
from sreval.store.sessions import RaterSession
from sreval.store.studies import Studies
from sreval.study.manifest import load_manifest

from .conftest import Watched, Window
from .study import Served, plain, served
from .test_pages import check_axe

PASSWORD = "correct horse battery"
NAUGHTY = "<b>bold</b> \"'; =1+1 \u202eשלום 😀"
GOLD = [{"dataset": "skimage", "method": "hr", "images": 1, "low": 4, "high": 5}]


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """A study with six raters, one of whom gives one score to everything, and an account."""
    quick = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    monkeypatch.setattr("sreval.store.operators._hasher", quick)
    repeats = [{"dataset": "skimage", "method": "bicubic", "images": 2, "distance": 2}]
    lining = {
        "kind": "straight-lining",
        "limit": 5,
        "used": True,
        "reason": "One score throughout.",
    }
    content = plain(
        raters=8, gold=GOLD, repeats=repeats, retention="2020-01-31", acceptance=[lining]
    )
    with served(tmp_path / "study", content) as site:
        Operators(site.store).add("ada", "owner", PASSWORD)
        for number in range(6):
            rate(site, number)
        yield site


def rate(site: Served, number: int) -> None:
    """One rater by the store's own transactions; the last one is still under way."""
    token = Links(site.store, "photographs").create("personal", label=f"person {number}")[1]
    sid = enrolment.enrol(site.store, token, load_manifest(site.folder)).session_id
    RaterSession(site.store, sid).agree("1")
    RaterSession(site.store, sid).device({"ratio": 1}, True)
    RaterSession(site.store, sid).start()
    rated = RaterSession(site.store, sid)
    for position in range(1, rated.state().of + 1 if number < 5 else 4):
        rated.sent(rated.state().items[0].pictures[0])
        rated.vote(
            position,
            3 if number == 0 else 1 + (position * 7 + number) % 5,
            key=f"key-{position:06}",
            response_ms=900.0 + 130 * ((position + number) % 9),
            shown_at=dt.datetime.now(dt.UTC),
            device="{}",
        )


class Album:
    """Pictures of a page, kept as files."""

    def __init__(self, seen: Watched, folder: Path) -> None:
        self.page, self.folder = seen.page, folder

    def keep(self, name: str) -> None:
        self.page.screenshot(path=self.folder / f"{name}.png", full_page=True)


def log_in(page: Page, site: Served) -> None:
    page.goto(f"{site.url}/operator/")
    expect(page).to_have_url(f"{site.url}/operator/login")
    page.fill("input[name=name]", "ada")
    page.fill("input[name=password]", PASSWORD)
    page.click("main button")


def test_whole_way_of_an_operator(running: Served, window: Window, tmp_path: Path) -> None:
    seen = window(running, size=(1280, 860), java_script_enabled=False)
    page, album = seen.page, Album(seen, tmp_path)
    page.goto(f"{running.url}/operator/login")
    album.keep("1-login")
    log_in(page, running)
    album.keep("2-studies")
    page.click("text=photographs")
    first = page.locator("section h2").first
    expect(first).to_have_text("What needs attention")
    lined = Overview.of(running.store, "photographs").raters[0].rater
    expect(page.locator("tr", has_text=lined).first).to_contain_text("straight-lining")
    expect(page.locator("svg rect")).to_have_count(21)
    album.keep("3-study")

    page.click("nav >> text=Links")
    page.fill("input[name=count]", "2")
    page.fill("input[name=label]", NAUGHTY)
    with page.expect_download() as download:
        page.click("text=Make links and download them")
    rows = list(csv.DictReader(io.StringIO(download.value.path().read_text(encoding="utf-8"))))
    assert [unguarded(row["label"]) for row in rows] == [f"{NAUGHTY} 1", f"{NAUGHTY} 2"]
    page.reload()
    expect(page.locator("td", has_text=f"{NAUGHTY} 2")).to_be_visible()
    album.keep("4-links")

    page.click("nav >> text=State and data")
    page.click("button:text('Pause')")
    expect(page.locator(".said")).to_have_text("The study is paused.")
    rater = window(running)
    rater.page.goto(rows[0]["link"])
    assert "paused" in rater.page.inner_text("h1")
    page.click("text=Open it again")

    page.click("nav >> text=photographs")
    page.click(f"main >> text={lined} >> nth=0")
    page.check("input[value=accept]")
    page.fill("textarea", "\n\n")
    page.click("text=Keep this decision")
    expect(page.locator(".error")).to_contain_text("Give a reason")
    page.fill("textarea", NAUGHTY)
    page.click("text=Keep this decision")
    expect(page.locator("q")).to_have_text(NAUGHTY)
    assert _isolated(page), "a reason's direction runs on into the words after it"
    album.keep("5-rater")
    page.click("nav >> text=photographs")
    expect(page.locator("section").first).not_to_contain_text(lined)

    _delete(page, lined, album)
    kept = [row.rater for row in Overview.of(running.store, "photographs").raters]
    assert lined not in kept
    assert len(kept) == 5

    page.click("nav >> text=State and data")
    album.keep("7-state")
    with page.expect_download() as download:
        page.click("text=Download the export")
    with zipfile.ZipFile(download.value.path()) as archive:
        assert archive.testzip() is None
        assert archive.read("votes.csv").count(b"\n") == 1 + len(
            frames.tables(running.store, "photographs")["votes"]
        )
    page.click("nav >> text=Results")
    expect(page.locator("main")).to_contain_text("hidden until the study is closed")
    page.click("nav >> text=State and data")
    page.click("text=Close the study")
    page.fill("details input[name=confirm]", "photographs")
    page.click("button:text('Close photographs')")
    page.click("nav >> text=Results")
    expect(page.locator("tbody tr")).to_have_count(3)
    album.keep("8-results")
    page.click("nav >> text=Log")
    expect(page.locator("main")).to_contain_text("delete-rater")
    expect(page.locator("main")).not_to_contain_text("<b>bold</b> bold")
    album.keep("9-log")
    page.click("text=Log out")
    page.goto(f"{running.url}/operator/studies/photographs")
    expect(page).to_have_url(f"{running.url}/operator/login")
    seen.check("422")  # forms refused on purpose


def _isolated(page: Page) -> bool:
    """Whether the sentence after the quoted reason still runs from left to right."""
    return bool(
        page.evaluate(
            """() => {
              const text = document.querySelector("q").nextSibling;
              const start = text.textContent.indexOf("By the design");
              const at = place => {
                const range = document.createRange();
                range.setStart(text, place);
                range.setEnd(text, place + 1);
                return range.getBoundingClientRect();
              };
              return at(start).left < at(start + 1).left;
            }"""
        )
    )


def _delete(page: Page, rater: str, album: Album) -> None:
    page.click(f"main >> text={rater} >> nth=0")
    page.click("text=Delete this rater's data")
    page.fill("input[name=confirm]", "another study")
    album.keep("6-delete")
    page.click(f"text=Delete all data of {rater}")
    expect(page.locator(".error")).to_contain_text("is not the study's name")
    page.click("text=Delete this rater's data")
    page.fill("input[name=confirm]", "photographs")
    page.click(f"text=Delete all data of {rater}")
    expect(page.locator(".said")).to_contain_text("a count stays")


PAGES = ("", "/links", "/steer", "/results", "/log")


def test_pages_fit_at_400_percent(running: Served, window: Window, tmp_path: Path) -> None:
    """1280 by 1024 at 400 % is a window of 320 by 256 (WCAG 2.2, 1.4.10)."""
    seen = window(running, size=(320, 256), device_scale_factor=4)
    page, album = seen.page, Album(seen, tmp_path)
    log_in(page, running)
    rater = Overview.of(running.store, "photographs").raters[0].rater
    for number, path in enumerate((*PAGES, f"/raters/{rater}")):
        page.goto(f"{running.url}/operator/studies/photographs{path}")
        album.keep(f"zoom-{number}")
        assert page.evaluate("document.documentElement.scrollWidth") == 320, path
        cut = page.evaluate(
            """() => [...document.querySelectorAll("main *, header *")].filter(e =>
                 !e.closest(".wide, .chart") && e.getBoundingClientRect().right > 321
                 && e.getBoundingClientRect().width > 0).map(e => e.outerHTML)"""
        )
        assert cut == [], path
    seen.check()


def test_axe_finds_nothing_on_any_page(running: Served, window: Window) -> None:
    page = window(running, size=(1280, 860)).page
    token = Operators(running.store).link("ada")
    for path in (f"login/{token}", "login/unknown", "login"):
        page.goto(f"{running.url}/operator/{path}")
        check_axe(page, path)
    page.fill("input[name=name]", "ada")
    page.fill("input[name=password]", "a wrong one")
    page.click("main button")
    expect(page.locator(".error")).to_be_visible()
    check_axe(page, "login refused")
    log_in(page, running)
    check_axe(page, "studies")
    rater = Overview.of(running.store, "photographs").raters[0].rater
    for path in (*PAGES, f"/raters/{rater}"):
        page.goto(f"{running.url}/operator/studies/photographs{path}")
        page.locator("details").evaluate_all("all => all.forEach(one => (one.open = true))")
        check_axe(page, path)
    page.check("input[value=accept]")
    page.fill("textarea", "\n")
    page.click("text=Keep this decision")
    expect(page.locator(".error")).to_contain_text("Give a reason")
    check_axe(page, "decision refused")
    page.goto(f"{running.url}/operator/studies/unknown")
    check_axe(page, "no such study")
    Studies(running.store).set_state("photographs", "closed")
    for path in ("", "/steer", "/results"):
        page.goto(f"{running.url}/operator/studies/photographs{path}")
        check_axe(page, f"closed {path}")


def test_buttons_and_fields_are_large_and_reached_by_keyboard(
    running: Served, window: Window
) -> None:
    seen = window(running, size=(1280, 860))
    page = seen.page
    log_in(page, running)
    page.goto(f"{running.url}/operator/studies/photographs/steer")
    for box in [b.bounding_box() for b in page.locator("main button:visible").all()]:
        assert box is not None
        assert box["height"] >= 44
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent.includes('Download the export')"):
            break
    else:
        pytest.fail("the export's button is never reached")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"


def test_study_prints_on_paper_without_its_buttons(
    running: Served, window: Window, tmp_path: Path
) -> None:
    seen = window(running, size=(1280, 860))
    page = seen.page
    log_in(page, running)
    page.goto(f"{running.url}/operator/studies/photographs/steer")
    page.emulate_media(media="print")
    assert page.locator("button:visible, header:visible").count() == 0
    page.goto(f"{running.url}/operator/studies/photographs")
    paper = tmp_path / "study.pdf"
    page.pdf(path=paper, format="A4")
    assert len(re.findall(rb"/Type\s*/Page\b", paper.read_bytes())) in (1, 2, 3)
    if tool := shutil.which("pdftocairo"):
        subprocess.run([tool, "-png", "-r", "70", paper, tmp_path / "print"], check=True)
        for picture in tmp_path.glob("print*.png"):
            pixels = np.asarray(Image.open(picture).convert("L"))
            margin = pixels[:, -20:]
            assert (margin > 250).all(), "something runs off the paper"
