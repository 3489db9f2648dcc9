"""Tasks of two and three pictures: side by side and one at a time, by key, by hand, by finger."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from sreval.store.frames import study_data
from sreval.study.manifest import load_manifest
from sreval.study.task import GAP
from tests.study.designs import in_languages

from .conftest import Watched, Window, begun, submit, until
from .study import Served, UInt8, plain, served
from .test_pages import check_axe

OPEN = "#scores button[aria-disabled=false]"
METHODS = ["nearest", "bicubic", "hr"]
TOUCH = {"is_mobile": True, "has_touch": True}
TASKS: dict[str, dict[str, Any]] = {
    "dcr-side": {"kind": "dcr"},
    "dcr-toggle": {"kind": "dcr", "layout": "toggle"},
    "pair-side": {"kind": "pair"},
    "pair-toggle": {
        "kind": "pair",
        "layout": "toggle",
        "switch_ms": 30,
        "reference": True,
        "question": "closer",
        "third": "not sure",
    },
}


@pytest.fixture(
    scope="module",
    params=[
        one if one in ("dcr-side", "pair-toggle") else pytest.param(one, marks=pytest.mark.evidence)
        for one in TASKS
    ],
)
def _site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    viewing = {"least_ms": 20, "grey_ms": 20, "phones": True}
    content = in_languages(plain(task=TASKS[request.param], viewing=viewing), "ar", "de", "zh")
    with served(tmp_path_factory.mktemp(request.param) / "study", content) as site:
        yield site


@pytest.fixture
def site(_site: Served) -> Served:
    return _site.for_one_test()


@pytest.fixture
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.node.callspec.params["_site"])


def at_item(page: Page, number: int) -> None:
    """Wait until the first picture of the item of that number is in view."""
    expect(page.locator("#count")).to_contain_text(str(number))
    expect(page.locator("#stage img:visible").first).to_be_visible()


def look(page: Page) -> None:
    """At every picture, until an answer is taken."""
    for button in page.locator("#switch button").all():
        button.click()
        expect(button).to_have_attribute("aria-pressed", "true")
        expect(page.locator("#captions")).to_have_text(button.inner_text())
        expect(page.locator("#stage img:visible")).to_have_count(1)
    page.wait_for_selector(OPEN)


def files(page: Page) -> dict[str, bytes]:
    """The PNG at each place, asked for once more."""
    found: dict[str, str] = page.evaluate(
        """async () => {
          const read = async (img) => {
            const bytes = new Uint8Array(await (await fetch(img.src)).arrayBuffer());
            const text = bytes.reduce((all, byte) => all + String.fromCharCode(byte), "");
            return [img.dataset.place, btoa(text)];
          };
          const shown = [...document.querySelectorAll("#stage img")];
          return Object.fromEntries(await Promise.all(shown.map(read)));
        }"""
    )
    return {place: base64.b64decode(data) for place, data in found.items()}


def methods(page: Page, site: Served) -> dict[str, str]:
    """The method at each place, known by the pictures alone."""
    names = {s.sha256: s.method for s in load_manifest(site.folder).stimuli}
    return {place: names[hashlib.sha256(png).hexdigest()] for place, png in files(page).items()}


def answer(shown: dict[str, str]) -> int:
    """The score that a picture deserves, or the better side of a pair."""
    rank = {place: METHODS.index(method) for place, method in shown.items()}
    if "right" not in shown:
        return 1 + 2 * rank["left"]
    return -1 if rank["left"] > rank["right"] else 1


def give(page: Page, score: int, how: int) -> None:
    """By one of the keys, else by the button."""
    button = page.locator(f"#scores button[data-score='{score}']")
    keys = (button.get_attribute("aria-keyshortcuts") or "").split()
    if how % 3 < len(keys):
        page.keyboard.press(keys[how % 3])
    else:
        button.click()


def test_raters_go_the_whole_way_and_no_vote_is_lost(
    site: Served, window: Window, kind: str
) -> None:
    given = []
    for rater in range(2):
        seen = window(site, size=(1280, 860))
        page = seen.page
        page.goto(begun(site))
        for position in range(1, 7):
            at_item(page, position)
            expect(page.locator("#scores .chosen")).to_have_count(0)
            shown = methods(page, site)
            assert shown.pop("reference", "hr") == "hr"
            look(page)
            given.append((*shown.values(), answer(shown)))
            give(page, answer(shown), rater + position)
        expect(page.locator("h1")).to_have_text("Thank you")
        seen.check()
    data = study_data(site.store, "photographs", load_manifest(site.folder))
    stored = data.votes[~data.votes["session"].isin(site.earlier)]
    columns = ["left", "right", "score"] if "pair" in kind else ["method", "score"]
    assert len(stored) == 12
    assert sorted(stored[columns].itertuples(index=False, name=None)) == sorted(given)
    if "toggle" in kind:
        assert (stored[["switches", "left_ms", "reference_ms"]].to_numpy(float) > 0).all()
    if "pair" in kind:
        left = stored["score"] == -1
        for side, other in (("left", "right"), ("right", "left")):
            won = stored[left if side == "left" else ~left]
            assert (won[side].map(METHODS.index) > won[other].map(METHODS.index)).all()


@pytest.mark.parametrize("ratio", [1.5, pytest.param(1, marks=pytest.mark.evidence)])
def test_every_picture_stands_pixel_for_pixel_and_toggled_ones_on_the_same(
    site: Served, window: Window, tmp_path: Path, kind: str, ratio: float
) -> None:
    seen = window(site, ratio)
    page = seen.page
    page.goto(begun(site))
    at_item(page, 1)
    wanted = {at: np.asarray(Image.open(io.BytesIO(png))) for at, png in files(page).items()}
    boxes = []
    if "side" in kind:
        screen = seen.screenshot(tmp_path / "side.png")
        boxes = [stands(seen, screen, at, picture) for at, picture in wanted.items()]
        (left, top, width), (right, level, _) = boxes
        assert (right - left, level) == (width + GAP, top)
    else:
        for button in page.locator("#switch button").all():
            button.click()
            at = button.get_attribute("data-place") or ""
            expect(page.locator(f"img[data-place={at}]")).to_be_visible()
            screen = seen.screenshot(tmp_path / f"{at}.png")
            boxes.append(stands(seen, screen, at, wanted[at]))
        assert len(set(boxes)) == 1


def stands(seen: Watched, screen: UInt8, place: str, wanted: UInt8) -> tuple[int, int, int]:
    """Left, top and width of a picture, all of whose pixels are on the screen, in a grey ring."""
    box = seen.page.locator(f"img[data-place={place}]").bounding_box()
    assert box is not None
    ratio = seen.page.evaluate("devicePixelRatio")
    x, y = round(box["x"] * ratio), round(box["y"] * ratio)
    height, width = wanted.shape[:2]
    assert np.array_equal(screen[y : y + height, x : x + width], wanted)
    ring = screen[y - 1 : y + height + 1, x - 1 : x + width + 1].copy()
    ring[1:-1, 1:-1] = 119
    assert (ring == 119).all()
    return x, y, width


@pytest.mark.parametrize("_site", ["pair-toggle"], indirect=True)
def test_nothing_is_answered_before_all_pictures_were_seen(site: Served, window: Window) -> None:
    """By keyboard alone, with a held key; times in view leave out what another tab hid."""
    seen = window(site, size=(1280, 860))
    page = seen.page
    page.goto(begun(site))
    at_item(page, 1)
    hint = page.locator("#hint")
    expect(hint).to_have_text("Look at A, too. The space bar shows the next picture.")
    for key in ("ArrowLeft", "ArrowRight", "ArrowDown", "a", "b"):
        page.keyboard.press(key)
    page.locator("#scores button").first.click(force=True)
    expect(page.locator("#count")).to_have_text("Comparison 1 of 6")
    page.keyboard.press("1")
    expect(hint).to_have_text("Look at B, too. The space bar shows the next picture.")
    assert page.locator(OPEN).count() == 0
    page.keyboard.down("Space")
    expect(page.locator("#captions")).to_have_text("B")
    for _ in range(4):
        page.keyboard.down("Space")  # a held key repeats itself
    page.keyboard.up("Space")
    page.wait_for_selector(OPEN)
    expect(page.locator("#captions")).to_have_text("B")
    expect(hint).to_contain_text("Which picture is closer to the original?")
    page.keyboard.press("0")
    expect(page.locator("#captions")).to_have_text("Original")
    page.locator("#switch button").last.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#captions")).to_have_text("B")
    page.evaluate(
        """async () => {
          const hide = (yes) => {
            Object.defineProperty(document, "hidden", { value: yes, configurable: true });
            document.dispatchEvent(new Event("visibilitychange"));
          };
          hide(true);
          await new Promise((resolve) => setTimeout(resolve, 150));
          hide(false);
        }"""
    )
    with page.expect_request("**/api/vote") as sent:
        page.keyboard.press("b")
    vote = json.loads(sent.value.post_data or "")
    assert (vote["score"], vote["switches"]) == (1, 4)
    in_view = [vote[f"{at}_ms"] for at in ("reference", "left", "right")]
    assert all(type(ms) is int and ms > 0 for ms in in_view)
    grey = 4 * TASKS["pair-toggle"]["switch_ms"]
    assert sum(in_view) <= vote["response_ms"] - vote["hidden_ms"] - grey + 3
    at_item(page, 2)
    expect(page.locator("#captions")).to_have_text("Original")
    page.keyboard.press("b")
    expect(page.locator("#count")).to_have_text("Comparison 2 of 6")
    until(page, lambda: len(site.votes()) == 1)
    seen.check()


@pytest.mark.parametrize(
    ("_site", "language"),
    [
        ("dcr-side", "de"),
        ("pair-toggle", "ar"),
        pytest.param("dcr-toggle", "ar", marks=pytest.mark.evidence),
        pytest.param("pair-side", "zh", marks=pytest.mark.evidence),
    ],
    indirect=["_site"],
)
def test_telephones_show_all_of_the_page(
    site: Served, window: Window, kind: str, language: str
) -> None:
    """The smallest and a wide one, without anything cut, and a vote by finger."""
    page = window(site, size=(320, 640), device_scale_factor=4, locale=language, **TOUCH).page
    page.goto(begun(site, language=language))
    for width, height in ((320, 640), (640, 360)):
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_function(f"innerWidth === {width}")
        page.evaluate("new Promise(requestAnimationFrame)")  # the page knows by now
        at_item(page, 1)
        look(page)
        told = page.evaluate(
            """() => {
              const all = "header, header p, summary, #hint, #scores button, #switch button";
              const cut = [...document.querySelectorAll(all)].filter(
                (e) => e.checkVisibility() &&
                  (e.scrollWidth > e.clientWidth || e.scrollHeight > e.clientHeight));
              const { scrollWidth, scrollHeight } = document.documentElement;
              return [scrollWidth, scrollHeight, cut.map((e) => e.id || e.textContent)];
            }"""
        )
        assert told == [width, height, []]
        for button in page.locator("#scores button, #switch button").all():
            box = button.bounding_box()
            assert box is not None
            assert min(box["width"], box["height"]) >= 44
            assert box["y"] + box["height"] <= height
    page.locator(OPEN).last.tap()
    until(page, lambda: len(site.votes()) == 1)
    check_axe(page, kind)


@pytest.mark.parametrize("_site", ["pair-side", "pair-toggle"], indirect=True)
def test_a_window_must_hold_all_that_stands_side_by_side(
    site: Served, window: Window, kind: str
) -> None:
    """No other layout is shown in one that doesn't."""
    page = window(site, size=(900, 860)).page
    page.goto(site.link())
    submit(page, "consent")
    if kind == "pair-toggle":
        expect(page.locator("#advice")).to_have_text("Your window is large enough.")
        return
    expect(page.locator("#needed")).to_have_text("978 × 609")
    expect(page.locator("#advice")).to_contain_text("Your window is too small for the images.")
    page.set_viewport_size({"width": 980, "height": 860})
    submit(page, "device")
    submit(page, "instructions")
    at_item(page, 1)
    page.set_viewport_size({"width": 900, "height": 860})
    expect(page.locator("#cover")).to_contain_text("Your window is too small")
    expect(page.locator("#stage")).to_be_hidden()
