"""The questionnaires' kinds of questions, conditions, and comments, as the site takes them."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
from sqlalchemy import select

from sreval.store.models import Answer, Vote
from tests.site.conftest import MakeSite, Visitor
from tests.site.operator_desk import Desk
from tests.site.test_rater import BRIEF, NAUGHTY, text_of

GRID = ["<b>x</b>", "y"]
QUESTIONS: list[dict[str, Any]] = [
    {"key": "glasses", "text": "Glasses?", "options": ["yes", "no"]},
    {
        "key": "strength", "text": "How strong?", "kind": "number", "low": -9, "high": 9,
        "only_if": {"key": "glasses", "one_of": ["yes"]},
    },
    {"key": "screens", "text": "?", "kind": "choices", "options": ["a", "b", "c"], "most": 2},
    {"key": "agree", "text": "?", "kind": "grid", "rows": GRID, "options": ["no", "yes"]},
    {
        "key": "sharp", "text": "Sharp with them?", "when": "after", "options": ["yes", "no"],
        "only_if": {"key": "glasses", "one_of": ["yes"]},
    },
    {"key": "end", "text": "Anything?", "when": "after", "kind": "text", "required": False},
]  # fmt: skip
FULL = {"glasses": "no", "screens.2": "b", "agree.1": "no", "agree.2": "yes"}


def answers(visitor: Visitor) -> dict[str, str]:
    with visitor.store.read() as tx:
        return {row.key: row.value for row in tx.scalars(select(Answer))}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"screens.1": "a", "screens.3": "c"}, "You may choose up to 2 answers."),
        ({"screens.2": ""}, "Please answer this question."),
        ({"screens.2": "c"}, "Please choose one of the answers."),
        ({"agree.1": ""}, "Please choose one answer in every row."),
        ({"glasses": "yes", "strength": "10"}, "Please write a number from -9 to 9."),
    ],
)
def test_faults_are_told_by_their_kind_and_nothing_is_lost(
    make_site: MakeSite, changes: dict[str, str], told: str
) -> None:
    visitor = make_site(questions=QUESTIONS, **BRIEF)
    visitor.to("questions")
    sent = {**FULL, **changes}
    refused = visitor.send("questions", **sent)
    assert refused.status_code == 422
    assert text_of(refused).count(told) == 1
    whole = refused.get_data(as_text=True)
    kept = re.findall(r'name="([\w.]+)" value="(\w+)" checked', whole.partition("<footer>")[0])
    lost = {"screens.2"} if sent["screens.2"] == "c" else set()
    assert {k: v for k, v in sent.items() if v and k not in {"strength", *lost}} == dict(kept)
    # what an element is described by stands on the page, once
    for names in re.findall(r'aria-describedby="([^"]*)"', whole):
        for name in names.split():
            assert whole.count(f'id="{name}"') == 1, name
    assert answers(visitor) == {}


def test_what_does_not_apply_is_neither_needed_nor_stored_nor_asked_later(
    make_site: MakeSite,
) -> None:
    visitor = make_site(questions=QUESTIONS, **BRIEF)
    page = visitor.to("questions")
    whole = page.get_data(as_text=True)
    assert 'data-only-if="glasses" data-one-of="[&#34;yes&#34;]"' in whole
    (strength,) = re.findall(r'<input id="answer-strength"[^>]*>', whole)
    assert " required" not in strength  # without scripts nobody could go on
    assert visitor.send("questions", **FULL, strength="5").status_code == 303
    assert answers(visitor) == FULL
    visitor.send("instructions")
    visitor.vote_all()
    closing = visitor.page().get_data(as_text=True)
    assert "Anything?" in closing
    assert "Sharp with them?" not in closing


@pytest.mark.parametrize("name", ["html", "controls", "right to left"])
def test_naughty_answers_are_refused_as_text_and_doubled_ones_harm_nothing(
    make_site: MakeSite, name: str
) -> None:
    visitor = make_site(questions=QUESTIONS, **BRIEF)
    visitor.to("questions")
    text = NAUGHTY[name]
    wrong = {"screens.2": text, "agree.1": text, "glasses": text, "screens": text, "agree.9": text}
    refused = visitor.send("questions", **{**FULL, **wrong, text[:30]: text})
    assert refused.status_code == 422
    assert "<script>alert" not in refused.get_data(as_text=True)
    assert html.escape(GRID[0]) in refused.get_data(as_text=True)
    doubled = {**FULL, "csrf_token": visitor.csrf_of(refused), "agree.1": ["no", text]}
    assert visitor.client.post(visitor.at("questions"), data=doubled).status_code == 303
    assert answers(visitor) == FULL


def test_long_options_of_many_fields_fit_into_a_request(make_site: MakeSite) -> None:
    """Every option chosen, as browsers encode them."""
    options = [f"{n}{'画' * 3000}" for n in range(20)]
    several = {"key": "k", "text": "?", "kind": "choices", "options": options}
    rows = [f"row {n}" for n in range(10)]
    grid = {"key": "g", "text": "?", "kind": "grid", "rows": rows, "options": options[:2]}
    visitor = make_site(questions=[several, grid])
    visitor.to("questions")
    sent = {f"k.{n}": option for n, option in enumerate(options, start=1)}
    sent |= {f"g.{n}": options[1] for n in range(1, 11)}
    assert visitor.send("questions", **sent).status_code == 303
    assert answers(visitor) == sent


def test_a_comment_is_stored_with_its_vote_and_shown_to_operators(make_site: MakeSite) -> None:
    text = "What <disturbs> you?"
    visitor = make_site(questions=QUESTIONS, comment={"text": text, "required": True})
    visitor.to("questions")
    visitor.send("questions", **FULL)
    visitor.send("instructions")
    page = visitor.page().get_data(as_text=True)
    assert html.escape(text) in page
    assert [visitor.vote(n).status_code for n in (1, 2)] == [200, 200]  # examples need none
    assert visitor.vote(3).status_code == 400
    assert visitor.vote(3, comment=["a"]).status_code == 400
    assert visitor.vote(3, comment="<i>sky</i> \x00\r\n").status_code == 200
    assert visitor.vote(3, comment="again").status_code == 200
    seen: dict[str, Any] = visitor.item()
    assert "comment" not in seen  # nothing there tells one kind of items from another
    with visitor.store.read() as tx:
        assert list(tx.scalars(select(Vote.comment).order_by(Vote.position))) == [
            None, None, "<i>sky</i>",
        ]  # fmt: skip
    desk = Desk(visitor).account("viewer")
    told = desk.text(f"/raters/{desk.raters()[0]}")
    assert "&lt;i&gt;sky&lt;/i&gt;" in told
    assert html.escape(GRID[0]) in told
