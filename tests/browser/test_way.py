"""A person's whole way through a study, on screens of four densities, with pictures of it."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page

from .conftest import READY, Watched, Window, submit
from .study import Served, UInt8


@pytest.mark.slow
@pytest.mark.parametrize(
    "ratio", [1.5, *(pytest.param(ratio, marks=pytest.mark.evidence) for ratio in (1, 1.25, 2))]
)
def test_a_whole_way_pixel_for_pixel(
    whole: Served, window: Window, tmp_path: Path, ratio: float
) -> None:
    seen = window(whole, ratio)
    page = seen.page

    def keep(name: str) -> UInt8:
        return seen.screenshot(tmp_path / f"{name}.png")

    page.goto(whole.link())
    assert page.evaluate("devicePixelRatio") == ratio
    keep("1-consent")
    submit(page, "consent")
    page.wait_for_selector("form[data-stage=device] button:enabled")
    keep("2-device")
    submit(page, "device")
    page.check("input[name=sight][value=Yes]")
    page.fill("input[name=distance]", "60")
    page.check("input[name=light][value=Lamps]")
    keep("3-questions")
    submit(page, "questions")
    page.wait_for_selector("form[data-stage=instructions]")
    keep("4-instructions")
    submit(page, "instructions")

    pressed = [5, 1, 2, 3, 4, 5, 1, 2, 3]
    strips = set()
    for position, score in enumerate(pressed, start=1):
        page.wait_for_selector(READY)
        assert page.inner_text("#count") == f"Image {position} of 9"
        strips.add(str(page.locator("#scores").bounding_box()))
        assert_pixel_for_pixel(seen, keep(f"5-item-{position:02}"), whole.folder / "stimuli")
        heading, hint = page.inner_text("#heading"), page.inner_text("#hint")
        assert heading == {1: "Example", 2: "Example", 3: "Practice"}.get(position, "")
        assert ("This example is meant to show" in hint) == (position <= 2)
        page.keyboard.press(str(score))
        if position == 6:
            page.wait_for_selector("form[data-stage=break]")
            keep("6-break")
            submit(page, "break")
    assert len(strips) == 1, "the buttons moved"

    page.wait_for_selector("form[data-stage=closing]")
    keep("7-closing")
    assert "QX7-4421" not in page.content()
    submit(page, "closing")
    assert page.inner_text("#code") == "QX7-4421"
    keep("8-done")
    assert whole.votes() == list(enumerate(pressed, start=1))
    seen.check()


def assert_pixel_for_pixel(seen: Watched, screen: UInt8, stimuli: Path) -> None:
    """The PNG as it was frozen stands on the screen, every pixel of it, and grey around it."""
    data = shown(seen.page)
    assert data in [path.read_bytes() for path in stimuli.iterdir()]
    wanted = np.asarray(Image.open(io.BytesIO(data)))
    box = seen.page.locator("#image").bounding_box()
    assert box is not None
    ratio = seen.page.evaluate("devicePixelRatio")
    x, y = round(box["x"] * ratio), round(box["y"] * ratio)
    height, width = wanted.shape[:2]
    assert np.array_equal(screen[y : y + height, x : x + width], wanted)
    ring = screen[y - 1 : y + height + 1, x - 1 : x + width + 1].copy()
    ring[1:-1, 1:-1] = 119
    assert (ring == 119).all()


def shown(page: Page) -> bytes:
    """The file of the image on the page, asked for once more."""
    return base64.b64decode(
        page.evaluate(
            """async () => {
              const response = await fetch(document.getElementById("image").src);
              const bytes = new Uint8Array(await response.arrayBuffer());
              return btoa(bytes.reduce((text, byte) => text + String.fromCharCode(byte), ""));
            }"""
        )
    )
