"""Firefox ESR goes the whole way by keyboard, and keeps two raters apart."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from . import firefox
from .firefox import ENTER, TAB, Firefox
from .study import Served
from .test_votes_way import by_session


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firefox]:
    program = firefox.path()
    if program is None:
        pytest.skip("there is no firefox-esr on the PATH")
    with firefox.running(program, tmp_path_factory.mktemp("firefox")) as started:
        yield started


def tab_to(browser: Firefox, selector: str) -> None:
    for _ in range(12):
        browser.press(TAB)
        if browser.value(f"document.activeElement.matches({selector!r})"):
            return
    pytest.fail(f"no Tab leads to {selector}")


def send(browser: Firefox, stage: str) -> None:
    """Send the form of a stage, once it can be sent, by keyboard."""
    button = f"form[data-stage={stage}] button:enabled"
    browser.wait(f"document.querySelector({button!r})")
    tab_to(browser, button)
    browser.press(ENTER)
    browser.wait(f"!document.querySelector('form[data-stage={stage}]')")


def vote(browser: Firefox, position: int, score: int, of: int = 6) -> None:
    browser.wait(f"document.getElementById('count')?.innerText == 'Image {position} of {of}'")
    browser.wait("document.querySelector('#scores button[aria-disabled=false]')")
    browser.press(str(score))


def to_rating(browser: Firefox, link: str) -> str:
    """To the first image; the session."""
    browser.open(link)
    for stage in ("consent", "device", "instructions"):
        send(browser, stage)
    browser.wait("document.getElementById('scores')")
    return str(browser.value("location.pathname.split('/').at(-1)"))


def test_a_whole_way_by_keyboard(brief: Served, browser: Firefox) -> None:
    session = to_rating(browser, brief.link())
    for position in range(1, 7):
        vote(browser, position, 1 + position % 5)
    browser.wait("document.querySelector('#code')?.innerText == 'QX7-4421'")
    assert by_session(brief) == {session: [(n, 1 + n % 5) for n in range(1, 7)]}


def test_two_links_mix_nothing(brief: Served, browser: Firefox) -> None:
    link = brief.link()
    mine = to_rating(browser, link)
    vote(browser, 1, 5)
    browser.wait("document.getElementById('status').innerText == 'Saved'")
    first = browser.tab()
    yours = to_rating(browser, brief.link())
    vote(browser, 1, 1)
    browser.wait("document.getElementById('status').innerText == 'Saved'")
    browser.switch(first)
    vote(browser, 2, 4)
    browser.wait("document.getElementById('status').innerText.includes('Another link')")
    assert by_session(brief) == {mine: [(1, 5)], yours: [(1, 1)]}
    browser.open(link)
    vote(browser, 3, 3)
    browser.wait("document.getElementById('status').innerText == 'Saved'")
    assert by_session(brief) == {mine: [(1, 5), (2, 4), (3, 3)], yours: [(1, 1)]}
