"""Nothing of an answer stands beside the next image, and no hint over an empty stage."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Route, expect

from . import painted
from .conftest import READY, Window, to_rating
from .study import plain, served
from .test_rating import COUNT, rate


@pytest.mark.parametrize(
    ("least_ms", "grey_ms", "inputs"),
    [
        (0, 0, ("key", "mouse", "enter", "key", "enter")),
        (0, 100, ("touch", "key", "mouse")),
        (2000, 0, ("enter", "key")),
    ],
)
def test_nothing_of_the_last_vote_is_painted_with_the_next_image(
    tmp_path: Path, window: Window, least_ms: int, grey_ms: int, inputs: tuple[str, ...]
) -> None:
    viewing = {"least_ms": least_ms, "grey_ms": grey_ms}
    with served(tmp_path / "study", plain(viewing=viewing)) as site:
        page = window(site, size=(1000, 700), has_touch="touch" in inputs).page
        painted.watch(page)
        to_rating(page, site)
        for position, by in enumerate(inputs, start=1):
            expect(page.locator(COUNT)).to_have_text(f"Image {position} of 6")
            page.wait_for_selector(READY)
            painted.give(page, by, 1 + position % 5)
        assert painted.like_the_first(page, len(inputs)) == len(inputs)


FRAMES = """() => {
  window.hints = new Set();
  const note = () => {
    if (!document.getElementById("stage").firstChild) {
      hints.add(document.getElementById("hint").textContent);
    }
    requestAnimationFrame(note);
  };
  note();
}"""


def test_an_empty_stage_only_says_that_the_image_is_on_its_way(
    tmp_path: Path, window: Window
) -> None:
    with served(tmp_path / "study", plain(viewing={"least_ms": 0, "grey_ms": 200})) as site:
        page = window(site).page
        asked: list[str] = []

        def hold(route: Route) -> None:
            asked.append(route.request.url)
            if len(asked) == 1:
                route.continue_()
            else:
                route.abort()

        page.route("**/i/*", hold)
        to_rating(page, site)
        page.evaluate(FRAMES)
        page.keyboard.press("5")
        hint = page.locator("#hint")
        expect(hint).to_have_text("The next image is on its way.")
        expect(page.locator("#scores .chosen")).to_have_count(0)
        page.unroute("**/i/*")
        rate(page, 2, 4)
        assert set(page.evaluate("[...hints]")) == {"", "The next image is on its way."}
