"""The live page and the preview in a browser: they refresh, lead on, and are open to everybody."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from playwright.sync_api import Page, expect
from waitress.server import create_server

from sreval.site.preview import create_preview
from sreval.store.operators import Operators

from .conftest import READY, Window, begun, until
from .study import Served, design, freeze, plain, served
from .test_operator import PASSWORD, log_in
from .test_pages import check_axe


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """A study with one rater under way, and an account."""
    quick = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    monkeypatch.setattr("sreval.store.operators._hasher", quick)
    with served(tmp_path / "study", plain()) as site:
        Operators(site.store).add("ada", "owner", PASSWORD)
        begun(site, votes=1)
        yield site


def test_the_live_page_refreshes_until_it_is_held(running: Served, window: Window) -> None:
    page = window(running, size=(1280, 860)).page
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.clock.install()
    log_in(page, running)
    page.goto(f"{running.url}/operator/studies/photographs/live")
    rows = page.locator("#now tbody tr")
    expect(rows).to_have_count(1)
    page.locator("#now a").first.focus()
    name = page.locator("#now a").first.inner_text()
    begun(running, votes=2)
    page.clock.run_for(5_000)
    expect(rows).to_have_count(2)
    # who reads with the keyboard stays where they were
    expect(page.locator(f"[id='{name}']")).to_be_focused()
    check_axe(page, "live")

    hold = page.get_by_role("button", name="Hold the page")
    hold.press("Enter")
    expect(hold).to_have_attribute("aria-pressed", "true")
    begun(running)
    count = len(asked)
    page.clock.run_for(60_000)
    assert len(asked) == count
    hold.press("Enter")
    expect(rows).to_have_count(3)
    page.context.set_offline(True)
    page.clock.run_for(5_000)
    expect(page.locator("#refreshing [role=status]")).to_contain_text("doesn't answer")
    page.context.set_offline(False)
    page.clock.run_for(5_000)
    expect(page.locator("#refreshing [role=status]")).to_have_text("")
    page.context.clear_cookies()
    page.clock.run_for(5_000)
    expect(page.locator("#refreshing [role=status]")).to_contain_text("login has ended")
    page.clock.run_for(5_000)
    log_in(page, running)
    page.goto(f"{running.url}/operator/studies/photographs/reminders?days=0")
    expect(page.locator("tbody tr")).to_have_count(3)
    check_axe(page, "reminders")


@pytest.fixture
def previewed(tmp_path: Path) -> Iterator[str]:
    """The address of a preview of a study that isn't frozen."""
    content = design(sittings={"items": 4, "break_every": 2, "break_seconds": 1})
    folder = freeze(tmp_path / "preview", content)
    (folder / "manifest.json").unlink()
    server = create_server(create_preview(folder), host="127.0.0.1", port=0, threads=4)
    threading.Thread(target=server.run, daemon=True).start()
    yield f"http://127.0.0.1:{server.effective_port}"
    server.close()


@pytest.mark.evidence
def test_a_preview_is_walked_through_by_keyboard(
    running: Served, previewed: str, window: Window
) -> None:
    page: Page = window(running, size=(1100, 900)).page
    page.goto(previewed)
    addresses = page.locator("ol a").evaluate_all("links => links.map((link) => link.href)")
    check_axe(page, "contents")
    page.get_by_role("link", name="consent").press("Enter")
    page.get_by_role("button", name="I agree").press("Enter")
    page.locator("form[data-stage=device] button:enabled").press("Enter")
    page.get_by_role("link", name="Next page").press("Enter")
    page.get_by_role("button", name="Start").press("Enter")
    for key in ("1", "5"):
        page.wait_for_selector(READY)
        page.keyboard.press(key)
    until(page, lambda: "rating-warm-up" in page.url)
    for address in addresses:
        page.goto(address)
        check_axe(page, address)
