"""Scales other than five buttons: more of them, and a line; by keys, by hand and by finger."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from sreval.opinions.mos import difference_scores
from sreval.store.frames import study_data
from sreval.study.design import load_design
from sreval.study.manifest import load_manifest
from sreval.study.respondent import respondents

from .conftest import Window, begun, until
from .study import Served, plain, served
from .test_pages import check_axe
from .test_way import shown

NINE = {"words": ["bad", "", "poor", "", "fair", "", "good", "", "excellent"]}
ELEVEN = {"words": ["bad", *[""] * 4, "fair", *[""] * 4, "excellent"], "first": 0}
LINE = {"line": True}
OPEN = "#scores button[data-score='4'][aria-disabled=false]"
TOUCH = {"is_mobile": True, "has_touch": True, "device_scale_factor": 2}


def asking(folder: Path, **changes: Any) -> Any:
    viewing = {"least_ms": 20, "grey_ms": 20, "phones": True}
    return served(folder / "study", plain(viewing=viewing, **changes))


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with asking(tmp_path_factory.mktemp("line"), scale=LINE) as site:
        yield site


def at_item(page: Page, number: int) -> None:
    """Wait until a score for the image of that number is taken."""
    expect(page.locator("#count")).to_have_text(f"Image {number} of 6")
    expect(page.locator("#hint")).to_contain_text("How good is the quality of this image?")


def stored(page: Page, site: Served, count: int) -> list[tuple[int, float]]:
    """The votes once so many have come: the next image appears before the last is acknowledged."""
    until(page, lambda: len(site.votes()) >= count)
    return site.votes()


@pytest.mark.parametrize(("scale", "key", "score"), [(NINE, "9", 9), (ELEVEN, "X", 10)])
def test_many_buttons_fit_every_window_and_stay_in_their_place(
    tmp_path: Path, window: Window, scale: dict[str, Any], key: str, score: int
) -> None:
    with asking(tmp_path, scale=scale) as site:
        page = window(site, size=(1280, 860), device_scale_factor=2).page
        page.goto(begun(site))
        for width, height in ((1280, 860), (640, 860), (860, 480), (320, 700)):
            page.set_viewport_size({"width": width, "height": height})
            page.wait_for_selector(OPEN)
            places = [button.bounding_box() for button in page.locator("#scores button").all()]
            for box in places:
                assert box is not None
                assert box["height"] >= 44
                assert box["width"] >= 44
                assert 0 <= box["x"] <= width - box["width"]
                assert box["y"] + box["height"] <= height
            cut = page.evaluate(
                """() => [...document.querySelectorAll("#scores button, #hint")].filter(
                  (e) => e.scrollWidth > e.clientWidth || e.scrollHeight > e.clientHeight).length"""
            )
            assert cut == 0, (width, height)
        page.keyboard.press(key)
        at_item(page, 2)
        again = [button.bounding_box() for button in page.locator("#scores button").all()]
        assert again == places
        page.locator("#scores button").first.click()
        at_item(page, 3)
        assert stored(page, site, 2) == [(1, score), (2, load_design(site.folder).scale.low)]
        check_axe(page, "many buttons")


def marks(page: Page) -> tuple[Locator, Locator]:
    return page.locator("#mark"), page.locator("#confirm")


def test_without_a_mark_on_the_line_nothing_can_be_sent(line: Served, window: Window) -> None:
    site = line.for_one_test()
    seen = window(site, size=(1280, 860))
    page = seen.page
    page.goto(begun(site))
    sent: list[str] = []
    page.on("request", lambda r: sent.append(r.url) if r.url.endswith("/api/vote") else None)
    at_item(page, 1)
    mark, confirm = marks(page)
    expect(mark).to_be_hidden()
    page.keyboard.press("Enter")
    page.keyboard.press("5")
    confirm.click(force=True)
    confirm.focus()
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    page.evaluate("document.querySelector('#confirm').click()")
    expect(mark).to_be_hidden()
    expect(confirm).to_have_attribute("aria-disabled", "true")
    slider = page.get_by_role("slider", name="Your mark on the line")
    expect(slider).to_have_attribute("aria-valuetext", "no mark yet")
    page.keyboard.press("ArrowLeft")
    expect(mark).to_be_visible()
    expect(slider).to_have_attribute("aria-valuetext", "fair")
    expect(confirm).to_have_attribute("aria-disabled", "false")
    assert sent == []
    page.keyboard.press("Enter")
    at_item(page, 2)
    assert stored(page, site, 1) == [(1, 50)]
    expect(mark).to_be_hidden()
    page.keyboard.press("Enter")
    for pressed in ("End", "PageDown", "ArrowDown", "ArrowRight", "ArrowLeft", "Enter"):
        page.keyboard.press(pressed)
    at_item(page, 3)
    for pressed in ("Home", "ArrowLeft", "PageUp", "Enter"):
        page.keyboard.press(pressed)
    at_item(page, 4)
    assert stored(page, site, 3) == [(1, 50), (2, 89), (3, 10)]
    assert len(sent) == 3
    seen.check()
    check_axe(page, "an empty line")
    page.keyboard.press("End")
    check_axe(page, "a marked line")


def test_a_line_is_marked_where_it_is_clicked_and_the_mark_can_be_drawn_along(
    line: Served, window: Window
) -> None:
    site = line.for_one_test()
    page = window(site, size=(1280, 860)).page
    page.goto(begun(site))
    at_item(page, 1)
    box = page.locator("#line").bounding_box()
    assert box is not None
    _, confirm = marks(page)

    def x(share: float) -> float:
        return box["x"] + share * box["width"]

    middle = box["y"] + box["height"] / 2
    page.mouse.click(x(0.5), middle)  # where a slider's hidden thumb would lie
    confirm.click()
    at_item(page, 2)
    assert page.locator("#line").bounding_box() == box
    page.mouse.move(x(0.2), middle)
    page.mouse.down()
    page.mouse.move(x(0.6), middle, steps=3)
    page.mouse.move(x(1.5), middle + 90)
    page.mouse.move(x(0.731), middle)
    page.mouse.up()
    page.mouse.move(x(0.1), middle)
    page.keyboard.press("Enter")
    at_item(page, 3)
    (_, first), (_, second) = stored(page, site, 2)
    assert first == pytest.approx(50, abs=0.1)
    assert second == pytest.approx(73.1, abs=0.1)


def test_a_line_on_a_telephone_is_marked_by_a_finger(line: Served, window: Window) -> None:
    site = line.for_one_test()
    page = window(site, size=(320, 640), **TOUCH).page
    page.goto(begun(site))
    expect(page.locator("#hint")).to_contain_text("then tap Confirm")
    _, confirm = marks(page)
    boxes = [page.locator(name).bounding_box() for name in ("#line", "#confirm")]
    for box in boxes:
        assert box is not None
        assert box["height"] >= 44
        assert 0 <= box["x"] <= 320 - box["width"]
        assert box["y"] + box["height"] <= 640
    assert page.evaluate("document.documentElement.scrollWidth") == 320
    line_box = boxes[0]
    assert line_box is not None
    page.touchscreen.tap(line_box["x"] + 0.25 * line_box["width"], line_box["y"] + 20)
    confirm.tap()
    at_item(page, 2)
    ((_, score),) = stored(page, site, 1)
    assert score == pytest.approx(25, abs=0.4)


@pytest.mark.parametrize(
    "changes",
    [
        {"scale": LINE},
        pytest.param(
            {"scale": NINE, "task": {"kind": "acr-hr"}, "order": {"scene_distance": 2}},
            marks=pytest.mark.evidence,
        ),
    ],
    ids=["line", "nine, acr-hr"],
)
def test_simulated_raters_go_the_whole_way_and_no_vote_is_lost(
    tmp_path: Path, window: Window, changes: dict[str, Any]
) -> None:
    with asking(tmp_path, **changes) as site:
        design, manifest = load_design(site.folder), load_manifest(site.folder)
        low, width = design.scale.low, design.scale.high - design.scale.low
        qualities = {
            ("", "nearest"): low + 0.1 * width,
            ("", "bicubic"): low + 0.5 * width,
            ("", "hr"): low + 0.9 * width,
        }
        given: dict[tuple[str, int], float] = {}
        for mind in respondents(2, design, manifest, qualities, seed=1):
            seen = window(site, size=(1280, 860))
            page = seen.page
            page.goto(begun(site))
            for position in range(1, 7):
                at_item(page, position)
                score = mind.respond({"left": shown(page)}).score
                _give(page, score, line=design.scale.line)
                given[page.url, position] = score
                if position < 6:
                    at_item(page, position + 1)
            expect(page.locator("body")).to_contain_text("Thank you")
            seen.check()
        data = study_data(site.store, design.name, manifest)
        assert len(data.votes) == len(given) == 12
        assert sorted(data.votes["score"]) == pytest.approx(sorted(given.values()), abs=0.1)
        means = data.opinions.groupby("method")["score"].mean()
        assert means["nearest"] < means["bicubic"] < means["hr"]
        if design.task.with_reference:
            found = difference_scores(data.votes, scale=design.scale.numbers)
            assert (len(found.votes), found.excluded) == (8, 0)


def _give(page: Page, score: float, *, line: bool) -> None:
    if not line:
        page.keyboard.press(str(score))
        return
    box = page.locator("#line").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + score / 100 * box["width"], box["y"] + 9)
    page.keyboard.press("Enter")
