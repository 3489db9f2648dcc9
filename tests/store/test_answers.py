"""Answers of every kind and comments: what is taken, stored, exported and deleted."""

from __future__ import annotations

import csv
import io
from typing import Any

import pandas as pd
import pytest

from sreval.store import frames, raters, snapshot
from sreval.store.answers import LONGEST, check_answers
from sreval.store.database import Store, open_store
from sreval.store.errors import AnswerError, VoteError
from sreval.store.sessions import RaterSession
from tests.store.conftest import Study, design

NASTY = 'a "phone", or\n=two'.replace("\n", " ")
QUESTIONS: list[dict[str, Any]] = [
    {"key": "sight", "text": "?", "options": ["good", "poor"]},
    {
        "key": "devices", "text": "?", "kind": "choices", "most": 2, "screens_out": ["none"],
        "options": [NASTY, "b;c, d", "'e", "none"],
    },
    {
        "key": "phone", "text": "?", "kind": "text",
        "only_if": {"key": "devices", "one_of": [NASTY]},
    },
    {
        "key": "habits", "text": "?", "kind": "grid", "rows": ["=x", "y, z"],
        "options": ["no", "yes"],
    },
    {
        "key": "why", "when": "after", "text": "?", "kind": "text",
        "only_if": {"key": "sight", "one_of": ["poor"]},
    },
]  # fmt: skip
DESIGN = design(questions=QUESTIONS, comment={"text": "What disturbs you?"})
FULL = {
    "sight": "good", "devices.1": NASTY, "devices.3": "'e", "phone": "mine",
    "habits.1": "no", "habits.2": "yes",
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "faults"),
    [
        ({}, {}),
        ({"devices.1": "", "devices.3": "", "phone": ""}, {"devices": "missing"}),
        ({"devices.2": "b;c, d"}, {"devices": "too-many"}),
        ({"devices.1": "'e"}, {"devices": "not-offered"}),
        ({"devices.5": "'e"}, {"devices.5": "unknown"}),
        ({"devices": NASTY}, {"devices": "unknown"}),
        ({"habits.2": ""}, {"habits": "missing"}),
        ({"habits.2": "perhaps"}, {"habits": "not-offered"}),
        ({"phone": ""}, {"phone": "missing"}),
        ({"phone": "x" * (LONGEST + 1)}, {"phone": "too-long"}),
        # what isn't asked may be anything
        ({"devices.1": "", "phone": "x" * (LONGEST + 1)}, {}),
    ],
)
def test_each_kind_takes_what_it_asks_for(changes: dict[str, str], faults: dict[str, str]) -> None:
    sent = {name: value for name, value in {**FULL, **changes}.items() if value}
    if faults:
        with pytest.raises(AnswerError) as refused:
            check_answers(DESIGN, "before", sent)
        assert refused.value.faults == faults
        return
    asked = sent if "devices.1" in sent else {k: v for k, v in sent.items() if k != "phone"}
    assert check_answers(DESIGN, "before", sent) == asked


@pytest.mark.parametrize(
    ("typed", "stored"),
    [("25", "25"), ("2,5", "2.5"), ("٢٥", "25"), ("٢٫٥", "2.5"), ("２．５", None), ("²", None)],
)
def test_a_number_is_stored_in_plain_digits(typed: str, stored: str | None) -> None:
    asked = design(questions=[{"key": "age", "text": "?", "kind": "number"}])
    if stored is None:
        with pytest.raises(AnswerError):
            check_answers(asked, "before", {"age": typed}, {})
    else:
        assert check_answers(asked, "before", {"age": typed}, {}) == {"age": stored}


def test_fewer_than_the_least_are_refused_and_none_of_an_optional_question_is_nothing() -> None:
    several = {"key": "d", "text": "?", "kind": "choices", "options": ["a", "b", "c"], "least": 2}
    made = design(questions=[{**several, "required": False}])
    assert check_answers(made, "before", {}) == {}
    with pytest.raises(AnswerError, match="d: too-few"):
        check_answers(made, "before", {"d.2": "b"})


@pytest.fixture
def asked(store: Store) -> Study:
    return Study(store, DESIGN)


def at_rating(study: Study, **changes: str) -> str:
    """A session at its first item, after the whole questionnaire."""
    session = study.enrol()
    rater = RaterSession(study.store, session)
    rater.agree("1")
    rater.device({}, True)
    rater.answer("before", {**FULL, **changes})
    rater.start()
    study.mark_sent(session, study.clock())
    return session


def test_answers_and_comments_come_back_as_they_were_and_twice_the_same(
    asked: Study, tmp_path_factory: pytest.TempPathFactory
) -> None:
    session = at_rating(asked)
    said = '=1+1; "so", 画\r\nsecond\x00 line  '
    asked.vote(session, 1, comment=said)
    asked.vote(session, 2)
    folder = tmp_path_factory.mktemp("export")
    files = snapshot.export_files(asked.store, "small", asked.manifest)
    # without a parser of ours, but for the apostrophe that keeps a spreadsheet from executing it
    answers = pd.read_csv(io.BytesIO(files["answers.csv"]))
    (part,) = answers.loc[answers["key"] == "devices.1", "value"]
    assert part == NASTY
    plain = list(csv.DictReader(io.StringIO(files["answers.csv"].decode(), newline="")))
    assert {row["key"] for row in plain} == FULL.keys()
    tables = frames.tables(asked.store, "small")
    kept = tables["answers"].set_index("key")["value"].to_dict()
    assert kept == FULL
    comments = [c if isinstance(c, str) else None for c in tables["votes"]["comment"]]
    assert comments == ['=1+1; "so", 画\nsecond line', None]
    other = open_store(f"sqlite:///{folder / 'other.sqlite'}", create=True)
    path = snapshot.export(asked.store, "small", asked.manifest, folder / "e.zip")
    snapshot.import_(other, path, "small")
    assert snapshot.export_files(other, "small", asked.manifest) == files
    other.dispose()


def test_a_comment_belongs_to_the_first_vote_and_goes_with_its_rater(asked: Study) -> None:
    session = at_rating(asked)
    asked.vote(session, 1, comment="first")
    for key in ("again", f"{session}-1"):
        receipt = asked.vote(session, 1, key=f"{key:_<12}", comment="second")
        assert receipt.repeated
    assert list(frames.tables(asked.store, "small")["votes"]["comment"]) == ["first"]
    with pytest.raises(VoteError) as refused:
        asked.vote(session, 2, comment="x" * (LONGEST + 1))
    assert refused.value.why == "malformed"
    asked.vote(session, 2, comment=" " + "画" * LONGEST + "\n")
    raters.withdraw(asked.store, session, delete=True)
    assert all(
        frames.tables(asked.store, "small")[name].empty for name in ("votes", "answers", "sessions")
    )


def test_a_comment_is_taken_where_one_is_asked_for_and_needed_where_it_is_required(
    store: Store,
) -> None:
    plain = Study(store)
    with pytest.raises(VoteError):
        plain.vote(plain.rating(), 1, comment="unasked")
    asking = design(name="needs", comment={"text": "?", "required": True}, questions=[])
    needs = Study(store, asking)
    session = needs.rating()
    for empty in ("", " \r\n\x00"):
        with pytest.raises(VoteError):
            needs.vote(session, 1, comment=empty)
    assert needs.vote(session, 1, comment="seen").position == 1
    assert "comment" not in frames.tables(store, "small")["votes"]


def test_the_last_questions_are_left_out_where_none_is_asked(asked: Study) -> None:
    good, poor = at_rating(asked), at_rating(asked, sight="poor")
    for session in (good, poor):
        asked.vote_all(session)
    stages = [RaterSession(asked.store, one).state().stage for one in (good, poor)]
    assert stages == ["done", "closing"]
    with pytest.raises(AnswerError, match="why: missing"):
        RaterSession(asked.store, poor).answer("after", {})
    assert RaterSession(asked.store, poor).answer("after", {"why": "so"}).stage == "done"


def test_one_of_several_answers_ends_the_session(asked: Study) -> None:
    session = asked.enrol()
    RaterSession(asked.store, session).agree("1")
    RaterSession(asked.store, session).device({}, True)
    sent = {**FULL, "devices.3": "", "devices.4": "none"}
    state = RaterSession(asked.store, session).answer("before", sent)
    assert state.outcome == "screened_out"
