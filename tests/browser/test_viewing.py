"""Viewing checks in Chromium: a card and an eye of known size, every page by keys and by touch."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from sreval.store import frames
from sreval.store.sessions import RaterSession
from sreval.study import viewing

from .conftest import Window, submit
from .study import Served, plain, served
from .test_pages import GREYS, TARGETS, arrive, check_axe

# Frames follow each other at once, and the page's clock goes on by 10 ms with each.
FRAMES = """(() => {
  let time = 0;
  performance.now = () => time;
  const { port1, port2 } = new MessageChannel();
  const due = [];
  port1.onmessage = () => due.shift()((time += 10));
  window.requestAnimationFrame = (then) => (due.push(then), port2.postMessage(0));
})()"""

# An eye whose blind spot begins at so many CSS pixels from the square; `press` as its hand does.
EYE = """async ([blind, press]) => {
  const middle = (id) => {
    const { left, width } = document.getElementById(id).getBoundingClientRect();
    return left + width / 2;
  };
  const presses = {
    key: () => document.dispatchEvent(new KeyboardEvent("keydown", { key: " ", bubbles: true })),
    touch: () => document.getElementById("press").dispatchEvent(
      new PointerEvent("pointerdown", { pointerType: "touch", button: 0, bubbles: true })),
  };
  for (let run = 0; run < 5; run++) {
    presses[press]();
    while (Math.abs(middle("square") - middle("dot")) < blind) {
      await new Promise((resolve) => requestAnimationFrame(resolve));
    }
    presses[press]();
  }
}"""

KEYS = {gap: f"Arrow{gap.capitalize()}" for gap in viewing.DIRECTIONS}

SET = """(input, value) => {
  input.value = value;
  input.dispatchEvent(new Event("input", { bubbles: true }));
}"""


@pytest.fixture
def checked(tmp_path: Path) -> Iterator[Served]:
    asked = {"phones": True, "checks": dict.fromkeys(viewing.CHECKS, True)}
    content = plain(viewing={"least_ms": 100, "grey_ms": 100, **asked})
    with served(tmp_path / "study", content) as site:
        yield site


def to_checks(page: Page, site: Served) -> None:
    page.add_init_script(FRAMES)
    page.goto(site.link())
    submit(page, "consent")
    submit(page, "device")
    arrive(page, "#outline")


def plates(page: Page, site: Served) -> tuple[str, ...]:
    session = page.url.rpartition("/")[2]
    return viewing.plate_gaps(RaterSession(site.store, session).state().plates)


def facts(page: Page, site: Served) -> dict[str, dict[str, Any]]:
    kept = frames.tables(site.store, "photographs")["checks"]
    own = kept[kept["session"] == page.url.rpartition("/")[2]]
    return {row["kind"]: json.loads(row["facts"]) for row in own.to_dict("records")}


def blind(css_pixels_per_mm: float, distance_mm: float) -> float:
    """Where the blind spot of an eye at that distance begins, in CSS pixels from the square."""
    return distance_mm * math.tan(math.radians(13.5)) * css_pixels_per_mm


def by_keys(page: Page) -> Callable[[str], None]:
    """Press the arrow key of a direction, or the button for none."""
    none = page.locator("[data-answer='']")
    return lambda gap: page.keyboard.press(KEYS[gap]) if gap else none.click()


def answer_plates(page: Page, answers: tuple[str, ...], give: Callable[[str], None]) -> None:
    for number, gap in enumerate(answers, 1):
        expect(page.locator("#count")).to_have_text(f"Picture {number} of {len(answers)}")
        give(gap)


def answer_rings(page: Page, give: Callable[[str], None]) -> None:
    """Look at the ring's pixels, where it is white and not black, and say so."""
    look = """() => {
      const canvas = document.querySelector("#ring canvas");
      const half = canvas.width / 2;
      const copy = new OffscreenCanvas(canvas.width, canvas.width);
      const pen = copy.getContext("2d", { willReadFrequently: true });
      pen.drawImage(canvas, 0, 0);
      const { data } = pen.getImageData(0, 0, canvas.width, canvas.width);
      const black = (x, y) => data[4 * (Math.floor(y) * canvas.width + Math.floor(x))] < 128;
      let radius = 0;
      for (let x = 0; x < half; x++) for (const [u, v] of [[x, 0], [-x, 0], [0, x], [0, -x]]) {
        if (black(half + u, half + v)) radius = Math.max(radius, x);
      }
      const middle = (radius + 1) * 0.8;
      const at = { left: [-1, 0], right: [1, 0], up: [0, -1], down: [0, 1] };
      const open = ([u, v]) => !black(half + u * middle, half + v * middle);
      return Object.keys(at).filter((side) => open(at[side]));
    }"""
    button = page.locator("form[data-stage=checks] button")
    for _ in range(60):
        if button.is_enabled():
            return
        seen = page.evaluate(look)
        assert len(seen) == 1, seen
        give(seen[0])
    pytest.fail("the rings don't end")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ratio", "width", "distance"),
    [pytest.param(1, 323.5, 500, marks=pytest.mark.evidence), (2, 420, 650)],
)
def test_a_known_card_and_a_known_eye_are_found_within_five_per_cent(
    checked: Served, window: Window, ratio: int, width: float, distance: float
) -> None:
    watched = window(checked, size=(1280, 860), device_scale_factor=ratio)
    page = watched.page
    to_checks(page, checked)
    page.locator("#width").evaluate(SET, width)
    submit(page, "checks")
    arrive(page, "#field")
    page.evaluate(EYE, [blind(width / 85.6, distance), "key"])
    submit(page, "checks")
    arrive(page, "[data-shows=lines]")
    found = facts(page, checked)
    assert found["card"]["pixels_per_mm"] == pytest.approx(ratio * width / 85.6, rel=0.01)
    assert found["distance"]["distance_mm"] == pytest.approx(distance, rel=0.01)
    page.check("input[name=black][value='4']")
    page.check("input[name=white][value='6']")
    page.locator("#grey").evaluate(SET, 180)
    submit(page, "checks")
    arrive(page, "#plate")
    answers = ("", *plates(page, checked)[1:])
    answer_plates(page, answers, by_keys(page))
    submit(page, "checks")
    arrive(page, "#ring")
    answer_rings(page, by_keys(page))
    submit(page, "checks")
    arrive(page, "form[data-stage=instructions]")
    found = facts(page, checked)
    assert (found["patches"]["black_step"], found["patches"]["white_step"]) == (4, 1)
    assert found["patches"]["gamma"] == pytest.approx(1.99, abs=0.01)
    assert (found["colour"]["control_wrong"], found["colour"]["wrong"]) == (1, 0)
    assert found["acuity"]["acuity"] == found["acuity"]["finest"]
    watched.check()


def check_look(page: Page, name: str) -> None:
    check_axe(page, name)
    small = [target for target in page.evaluate(TARGETS) if target[1] < 44]
    assert not small, (name, small)
    for colour in set(page.evaluate(GREYS)):
        red, green, blue = colour[colour.index("(") + 1 :].rstrip(")").split(",")[:3]
        assert int(red) == int(green) == int(blue), (name, colour)


def tab_to(page: Page, selector: str) -> None:
    for _ in range(40):
        if page.evaluate("(s) => document.activeElement.matches(s)", selector):
            return
        page.keyboard.press("Tab")
    pytest.fail(f"no Tab leads to {selector}")


@pytest.mark.evidence
def test_every_check_by_keys_alone_and_axe_finds_nothing(checked: Served, window: Window) -> None:
    watched = window(checked, size=(1280, 860))
    page, go_on = watched.page, "form[data-stage=checks] button"
    to_checks(page, checked)
    check_look(page, "card")
    tab_to(page, "#width")
    for _ in range(20):
        page.keyboard.press("ArrowRight")
    tab_to(page, go_on)
    page.keyboard.press("Enter")
    arrive(page, "#field")
    assert facts(page, checked)["card"]["width"] == 250
    check_look(page, "distance")
    tab_to(page, "#press")
    for _ in range(viewing.RUNS):
        page.keyboard.press("Space")
        expect(page.locator("#dot")).to_be_visible()
        page.wait_for_function(
            "() => document.getElementById('dot').offsetLeft + 400 < "
            "document.getElementById('square').offsetLeft"
        )
        page.keyboard.press("Space")
        expect(page.locator("#dot")).to_be_hidden()
    page.keyboard.press("Enter")  # the focus has come to the button that goes on
    arrive(page, "[data-shows=lines]")
    check_look(page, "patches")
    for name in ("black", "white"):
        tab_to(page, f"input[name={name}]")
        page.keyboard.press("Space")
        page.keyboard.press("ArrowRight")
    tab_to(page, "#grey")
    page.keyboard.press("ArrowLeft")
    tab_to(page, go_on)
    page.keyboard.press("Enter")
    arrive(page, "#plate")
    assert facts(page, checked)["patches"]["black_step"] == 32
    check_look(page, "colour")
    answer_plates(page, plates(page, checked), by_keys(page))
    page.keyboard.press("Enter")
    arrive(page, "#ring")
    check_look(page, "acuity")
    answer_rings(page, by_keys(page))
    page.keyboard.press("Enter")
    arrive(page, "form[data-stage=instructions]")
    watched.check()


@pytest.mark.evidence
def test_every_check_by_touch_on_a_phone(checked: Served, window: Window) -> None:
    """A phone is narrower than a card is long: it is held upright there."""
    watched = window(
        checked, size=(390, 780), has_touch=True, is_mobile=True, device_scale_factor=3
    )
    page, go_on = watched.page, "form[data-stage=checks] button"
    to_checks(page, checked)
    page.locator("#width").evaluate(SET, 330)
    page.locator(".slider button").last.tap()
    page.locator(go_on).tap()
    arrive(page, "#field")
    card = facts(page, checked)["card"]
    assert (card["side"], card["width"]) == ("short", 330.5)
    assert card["pixels_per_mm"] == pytest.approx(3 * 330.5 / 53.98, rel=0.01)
    page.evaluate(EYE, [blind(330.5 / 53.98, 200), "touch"])
    page.locator(go_on).tap()
    arrive(page, "[data-shows=lines]")
    assert facts(page, checked)["distance"]["distance_mm"] == pytest.approx(200, rel=0.02)
    for name in ("black", "white"):
        page.locator(f"#{name} label").last.tap()
    page.locator(".slider button").first.tap()
    page.locator(go_on).tap()
    arrive(page, "#plate")
    tap = lambda gap: page.locator(f"[data-answer={gap}]").tap()  # noqa: E731
    answer_plates(page, plates(page, checked), tap)
    page.locator(go_on).tap()
    arrive(page, "#ring")
    answer_rings(page, tap)
    page.locator(go_on).tap()
    arrive(page, "form[data-stage=instructions]")
    watched.check()


@pytest.mark.evidence
def test_what_was_observed_at_another_zoom_is_forgotten(checked: Served, window: Window) -> None:
    page = window(checked, size=(1280, 860)).page
    to_checks(page, checked)
    button = page.locator("form[data-stage=checks] button")
    page.locator("#width").evaluate(SET, 300)
    expect(button).to_be_enabled()
    page.evaluate("Object.defineProperty(window, 'devicePixelRatio', { value: 1.5 })")
    page.evaluate("window.dispatchEvent(new Event('resize'))")
    expect(button).to_be_disabled()
    page.locator("#width").evaluate(SET, 200)
    submit(page, "checks")
    arrive(page, "#field")
    assert facts(page, checked)["card"]["pixels_per_mm"] == pytest.approx(1.5 * 200 / 85.6)
