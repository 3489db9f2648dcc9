"""Firefox ESR goes the whole way by keyboard, and no vote goes astray in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sreval.store.operators import Operators

from . import firefox
from .conftest import begun
from .firefox import ENTER, TAB, Firefox
from .study import Served, plain, served
from .test_operator import PASSWORD
from .test_votes_way import FOREIGN, by_session

STATUS = "document.getElementById('status').innerText"


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
    browser.wait(f"document.readyState == 'complete' && document.querySelector({button!r})")
    tab_to(browser, button)
    browser.press(ENTER)
    browser.wait(f"!document.querySelector('form[data-stage={stage}]')")


def vote(browser: Firefox, position: int, score: int, of: int = 6) -> None:
    browser.wait(f"document.getElementById('count')?.innerText == 'Image {position} of {of}'")
    browser.wait("document.querySelector('#scores button[aria-disabled=false]')")
    browser.press(str(score))


def saved(browser: Firefox) -> None:
    """Wait until the page says that every vote is stored."""
    browser.wait(f"{STATUS} == 'Saved'")


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


def test_pairs_are_exchanged_and_answered_by_keyboard(tmp_path: Path, browser: Firefox) -> None:
    task = {"kind": "pair", "layout": "toggle"}
    viewing = {"least_ms": 20, "grey_ms": 20}
    with served(tmp_path / "study", plain(task=task, viewing=viewing)) as site:
        to_rating(browser, site.link())
        for position in range(1, 7):
            count = f"document.getElementById('count')?.innerText == 'Comparison {position} of 6'"
            hint = "document.getElementById('hint').innerText"
            browser.wait(f"{count} && {hint}.startsWith('Look at B, too.')")
            browser.press("2")
            browser.wait("document.querySelector('#scores button[aria-disabled=false]')")
            browser.press("ab"[position % 2])
        browser.wait("document.querySelector('#code')?.innerText == 'QX7-4421'")
        assert site.votes() == [(n, (-1, 1)[n % 2]) for n in range(1, 7)]


def test_two_links_mix_nothing(brief: Served, browser: Firefox) -> None:
    link = brief.link()
    mine = to_rating(browser, link)
    vote(browser, 1, 5)
    saved(browser)
    first, _ = browser.tab()
    yours = to_rating(browser, brief.link())
    vote(browser, 1, 1)
    saved(browser)
    browser.switch(first)
    vote(browser, 2, 4)
    browser.wait(f"{STATUS}.includes('Another link')")
    assert by_session(brief) == {mine: [(1, 5)], yours: [(1, 1)]}
    browser.open(link)
    vote(browser, 3, 3)
    saved(browser)
    assert by_session(brief) == {mine: [(1, 5), (2, 4), (3, 3)], yours: [(1, 1)]}


def test_two_studies_on_two_ports_mix_nothing(
    brief: Served, browser: Firefox, tmp_path: Path
) -> None:
    with served(tmp_path / "study", plain(name="others")) as other:
        browser.open(begun(brief))
        here, there = browser.tab()
        browser.open(begun(other))
        for position in (1, 2, 3):
            for tab, score in ((here, 5), (there, 1)):
                browser.switch(tab)
                vote(browser, position, score)
                saved(browser)
        assert brief.votes() == [(1, 5), (2, 5), (3, 5)]
        assert other.votes() == [(1, 1), (2, 1), (3, 1)]


def test_an_operator_beside_a_rater_disturbs_nobody(brief: Served, browser: Firefox) -> None:
    Operators(brief.store).add("grace", "owner", PASSWORD)
    browser.open(begun(brief))
    rater, operator = browser.tab()
    browser.open(f"{brief.url}/operator/")
    browser.wait("document.activeElement.matches('[name=name]')")
    browser.press("grace" + TAB + PASSWORD + ENTER)
    browser.wait("location.pathname == '/operator/'")
    browser.switch(rater)
    vote(browser, 1, 4)
    vote(browser, 2, 2)
    saved(browser)
    assert brief.votes() == [(1, 4), (2, 2)]
    browser.switch(operator)
    browser.open(f"{brief.url}/operator/")
    assert browser.value("location.pathname") == "/operator/"


LOADED = """(({ pictures, next }) => Promise.all(
  [pictures, ...next.map((item) => item.pictures)].flat()
    .map(({ url }) => Object.assign(new Image(), { src: url }).decode())
))(JSON.parse(document.getElementById("page").textContent).current)"""
"""A promise that resolves when every image that the page loads ahead can be shown."""


def test_a_login_page_in_place_of_everything_ends_nothing(brief: Served, browser: Firefox) -> None:
    browser.open(begun(brief))
    browser.value(LOADED)
    with brief.behind_a_portal():
        vote(browser, 1, 5)
        vote(browser, 2, 1)
        browser.wait(f"{STATUS}.includes({FOREIGN!r})")
        assert brief.votes() == []
    browser.value("dispatchEvent(new Event('online'))")
    saved(browser)
    assert brief.votes() == [(1, 5), (2, 1)]
    vote(browser, 3, 3)
    saved(browser)
    assert brief.votes() == [(1, 5), (2, 1), (3, 3)]


@pytest.mark.parametrize(
    ("setting", "value", "title"),
    [
        ("network.cookie.cookieBehavior", 2, "This browser refuses cookies"),
        ("dom.storage.enabled", False, "This browser stores nothing"),
    ],
)
def test_what_the_browser_refuses_is_said_in_place_of_the_page(
    brief: Served, browser: Firefox, setting: str, value: bool | int, title: str
) -> None:
    with browser.setting(setting, value):
        for link in (brief.link(), begun(brief)):  # a new rater, and one who goes on
            browser.open(link)
            browser.wait(f"document.querySelector('h1')?.innerText == {title!r}")
            assert browser.value("document.querySelector('button')") is None


@pytest.mark.parametrize(("asleep", "awake"), [("performance", "Date"), ("Date", "performance")])
def test_a_break_ends_whichever_clock_stands_still(
    tmp_path: Path, browser: Firefox, asleep: str, awake: str
) -> None:
    pauses = {"break_every": 3, "break_seconds": 3600}
    with served(tmp_path / "study", plain(sittings=pauses)) as site:
        browser.open(begun(site, votes=3))
        button = "form[data-stage=break] button"
        browser.wait(f"document.querySelector('{button}:disabled')")
        for clock, passed in ((asleep, 0), (awake, 3600_000)):
            now = f"window.{clock}.now"
            browser.value(f"void ({now} = ((then) => () => then + {passed})({now}()))")
        browser.wait(f"document.querySelector('{button}:enabled')")
