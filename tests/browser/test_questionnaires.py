"""Questionnaires and comments in a real browser: by keyboard, by finger, in every width."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import select

from sreval.store.models import Answer

from .conftest import READY, Window, submit
from .study import Served, plain, served
from .test_pages import check_axe, check_page

SOFT = 'lenses, "soft"'
QUESTIONS: list[dict[str, Any]] = [
    {"key": "glasses", "text": "Do you wear any?", "options": ["no", "glasses", SOFT]},
    {
        "key": "dioptres", "text": "How strong are they?", "kind": "number",
        "only_if": {"key": "glasses", "one_of": ["glasses", SOFT]},
    },
    {
        "key": "screens", "text": "On which screens do you look at photographs?",
        "kind": "choices", "options": ["a phone", "a tablet", "a monitor"], "most": 2,
    },
    {
        "key": "phone", "text": "Which phone is it?", "kind": "text",
        "only_if": {"key": "screens", "one_of": ["a phone"]},
    },
    {
        "key": "habits", "text": "How far do you agree?", "kind": "grid",
        "rows": ["I notice blurred photographs.", "I edit my photographs, whatever I use for it."],
        "options": ["strongly disagree", "disagree", "neither", "agree", "strongly agree"],
    },
]  # fmt: skip
COMMENT = {"text": "What disturbs you in this picture?", "required": True}
EXAMPLE = {"dataset": "skimage", "images": 1, "anchors": [{"method": "hr", "score": 5}]}
TOUCH = {"is_mobile": True, "has_touch": True, "device_scale_factor": 2}


@pytest.fixture(scope="module")
def asking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Questions of every kind before six pictures, each with a comment, and an example."""
    content = plain(
        questions=QUESTIONS, comment=COMMENT, calibration=EXAMPLE, viewing={
            "least_ms": 100, "grey_ms": 100, "phones": True,
        },
    )  # fmt: skip
    with served(tmp_path_factory.mktemp("asking") / "study", content) as site:
        yield site


def to_questions(page: Page, site: Served) -> None:
    page.goto(site.link())
    submit(page, "consent")
    submit(page, "device")
    page.wait_for_selector("form[data-stage=questions]")
    page.wait_for_load_state()


def at_item(page: Page, number: int) -> None:
    expect(page.locator("#count")).to_contain_text(f"Image {number} ")
    page.wait_for_selector(READY)


def stored(site: Served, session: str) -> dict[str, str]:
    with site.store.read() as tx:
        rows = tx.scalars(select(Answer).where(Answer.session_id == session))
        return {row.key: row.value for row in rows}


def test_questions_and_comments_by_keyboard(asking: Served, window: Window) -> None:
    """What doesn't apply is gone, digits in a comment are no score, and nothing is lost."""
    site = asking.for_one_test()
    seen = window(site, size=(1100, 860))
    page, press = seen.page, seen.page.keyboard.press
    to_questions(page, site)
    session = page.url.rpartition("/")[2]
    depends = [page.locator(f"#question-{key}") for key in ("dioptres", "phone")]
    for question in depends:
        expect(question).to_be_hidden()
    page.locator("input[name=glasses]").first.focus()
    press("ArrowDown")
    press("ArrowDown")
    press("Tab")
    page.keyboard.type("-2.5")
    press("Tab")
    press("Space")
    press("Tab")
    press("Tab")
    press("Space")
    for question in depends:
        expect(question).to_be_visible()
    check_page(page, "questions")
    check_axe(page, "questions")
    press("Tab")
    page.keyboard.type("mine")
    press("Shift+Tab")
    press("Shift+Tab")
    press("Shift+Tab")
    press("Space")  # no phone after all: what was written of it isn't sent
    expect(depends[1]).to_be_hidden()
    press("Tab")
    press("Tab")
    press("Tab")
    press("ArrowRight")
    press("Tab")
    press("Space")
    press("Tab")
    press("Enter")
    page.wait_for_selector("form[data-stage=instructions]")
    assert stored(site, session) == {
        "glasses": SOFT, "dioptres": "-2.5", "screens.3": "a monitor",
        "habits.1": "disagree", "habits.2": "strongly disagree",
    }  # fmt: skip
    submit(page, "instructions")
    at_item(page, 1)
    box = page.locator("#remark")
    expect(box).to_be_hidden()  # an example takes none
    press("5")
    at_item(page, 2)
    press("3")
    expect(page.locator("#remark-says")).to_have_text("Please write a comment first, then answer.")
    expect(box).to_be_focused()
    page.keyboard.type("1 sky, 2 ")
    press("ArrowLeft")
    check_axe(page, "rating")
    page.reload()
    at_item(page, 2)
    expect(box).to_have_value("1 sky, 2 ")
    box.focus()
    press("Escape")
    page.context.set_offline(True)
    press("4")
    expect(page.locator("#status")).to_have_text("Offline, will retry")
    page.context.set_offline(False)
    at_item(page, 3)
    expect(box).to_have_value("")
    assert [(vote.score, vote.comment) for vote in site.stored()] == [(5, None), (4, "1 sky, 2")]
    seen.check("ERR_INTERNET_DISCONNECTED")


@pytest.mark.evidence
@pytest.mark.parametrize("size", [(320, 640), (400, 800)])
def test_questions_and_comments_by_finger(
    asking: Served, window: Window, size: tuple[int, int]
) -> None:
    site = asking.for_one_test()
    page = window(site, size=size, **TOUCH).page
    to_questions(page, site)
    session = page.url.rpartition("/")[2]
    page.locator("form[data-stage=questions]").evaluate("form => (form.noValidate = true)")
    page.get_by_label("a phone").tap()
    page.locator("form[data-stage=questions] button").tap()
    page.wait_for_selector("[role=alert]")
    check_page(page, "errors")
    check_axe(page, "errors")
    page.get_by_label("no", exact=True).tap()
    page.fill("[name=phone]", "mine")
    for row in (1, 2):
        page.locator(f".row:nth-of-type({row + 1}) label").nth(row).tap()
    assert page.evaluate("document.documentElement.scrollWidth") == size[0]
    page.locator("form[data-stage=questions] button").tap()
    page.wait_for_selector("form[data-stage=instructions]")
    assert stored(site, session) == {
        "glasses": "no", "screens.1": "a phone", "phone": "mine",
        "habits.1": "disagree", "habits.2": "neither",
    }  # fmt: skip


@pytest.mark.evidence
def test_a_comment_by_finger_stays_while_a_keyboard_covers_half_of_the_page(
    asking: Served, window: Window
) -> None:
    site = asking.for_one_test()
    page = window(site, size=(400, 800), device_scale_factor=2, has_touch=True).page
    page.goto(site.link())
    to_questions(page, site)
    page.get_by_label("no", exact=True).tap()
    page.get_by_label("a tablet").tap()
    for row in (1, 2):
        page.locator(f".row:nth-of-type({row + 1}) label").first.tap()
    submit(page, "questions")
    submit(page, "instructions")
    at_item(page, 1)
    page.locator("[data-score='5']").tap()
    at_item(page, 2)
    box = page.locator("#remark")
    box.tap()
    page.set_viewport_size({"width": 400, "height": 400})
    page.keyboard.type("grey 😀")
    expect(page.locator("#cover")).to_be_hidden()
    page.set_viewport_size({"width": 400, "height": 800})
    page.locator("[data-score='2']").tap()
    at_item(page, 3)
    assert [vote.comment for vote in site.stored()] == [None, "grey 😀"]


@pytest.mark.evidence
def test_questions_without_scripts_are_all_there(asking: Served, window: Window) -> None:
    page = window(asking, size=(1100, 760)).page
    to_questions(page, asking)
    at = page.url
    cookies: Any = page.context.cookies()
    plain_page = window(asking, size=(1100, 760), java_script_enabled=False).page
    plain_page.context.add_cookies(cookies)
    plain_page.goto(at)
    for question in QUESTIONS:
        expect(plain_page.locator(f"#question-{question['key']}")).to_be_visible()
    plain_page.get_by_label("no", exact=True).check()
    plain_page.get_by_label("a tablet").check()
    for row in (1, 2):
        plain_page.locator(f"[name='habits.{row}']").first.check()
    submit(plain_page, "questions")
    plain_page.wait_for_selector("form[data-stage=instructions]")
    assert set(stored(asking, at.rpartition("/")[2])) == {
        "glasses", "screens.2", "habits.1", "habits.2",
    }  # fmt: skip
