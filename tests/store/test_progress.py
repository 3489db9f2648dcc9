"""A session from consent to thanks, on both databases."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import func, select

from sreval.errors import UsageError
from sreval.store import frames, raters
from sreval.store.database import Store, open_store
from sreval.store.errors import AnswerError, StateError, VoteError
from sreval.store.models import PlanItem, Rater
from sreval.store.overview import Overview
from sreval.store.raters import Raters
from sreval.store.sessions import RaterSession, SessionState
from sreval.store.studies import Studies
from sreval.study.acceptance import Acceptance, Verdict
from sreval.study.design import StudyDesign
from sreval.study.manifest import Manifest
from sreval.study.plan import Item
from tests.store.conftest import Study, design, manifest, plain_plan
from tests.study.designs import in_languages


def addresses(study: Study, session: str) -> list[str]:
    with study.store.read() as tx:
        query = select(PlanItem.address).where(PlanItem.session_id == session)
        return list(tx.scalars(query.order_by(PlanItem.position)))


def test_whole_way_goes_through_every_stage_in_order(study: Study) -> None:
    session = study.enrol()
    seen = [RaterSession(study.store, session).state().stage]
    seen.append(RaterSession(study.store, session).agree("1").stage)
    seen.append(RaterSession(study.store, session).device({}, False).stage)
    seen.append(RaterSession(study.store, session).device({}, True).stage)
    seen.append(RaterSession(study.store, session).answer("before", {"sight": "good"}).stage)
    seen.append(RaterSession(study.store, session).start().stage)
    study.mark_sent(session, study.clock())
    for position in range(1, 13):
        state = study.vote(session, position).state
        if state.stage != "rating":
            seen.append(state.stage)
        if state.stage in ("break", "rest"):
            study.clock.wait(hours=1)
            RaterSession(study.store, session).resume()
    seen.append(RaterSession(study.store, session).answer("after", {"remarks": "nice"}).stage)
    assert seen == [
        "consent",
        "device",
        "device",
        "questions",
        "instructions",
        "rating",
        "break",
        "rest",
        "break",
        "closing",
        "done",
    ]
    assert RaterSession(study.store, session).state().outcome == "complete"


def test_stages_without_content_are_skipped(store: Store) -> None:
    study = Study(store, design(questions=[], sittings={}))
    session = study.enrol()
    RaterSession(store, session).agree("1")
    assert RaterSession(store, session).device({}, True).stage == "instructions"
    RaterSession(store, session).start()
    study.mark_sent(session, study.clock())
    for position in range(1, 12):
        assert study.vote(session, position).state.stage == "rating"
    assert study.vote(session, 12).state.stage == "done"


def test_counts_are_told_for_the_whole_and_for_the_sitting(study: Study) -> None:
    session = study.rating()
    study.vote_all(session, upto=8)
    state = RaterSession(study.store, session).state()
    assert (state.position, state.done, state.of) == (9, 8, 12)
    assert (state.done_in_sitting, state.of_in_sitting) == (2, 6)
    assert (state.sitting, state.sittings) == (2, 2)


def test_break_and_rest_last_as_long_as_the_design_says(study: Study) -> None:
    session = study.rating()
    for position in (1, 2, 3):
        state = study.vote(session, position).state
    assert state.break_until is not None
    assert state.break_until - study.clock.now == pytest.approx(
        dt.timedelta(seconds=60), abs=dt.timedelta(seconds=1)
    )
    study.clock.wait(seconds=55)
    with pytest.raises(VoteError) as refused:
        RaterSession(study.store, session).resume()
    assert refused.value.why == "rest"
    study.clock.wait(seconds=5)
    assert RaterSession(study.store, session).resume().position == 4
    for position in (4, 5, 6):
        state = study.vote(session, position).state
    assert (state.stage, state.sitting, state.break_until) == ("rest", 1, None)
    assert state.rest_until is not None
    study.clock.wait(minutes=29)
    with pytest.raises(VoteError):
        RaterSession(study.store, session).resume()
    study.clock.wait(minutes=1)
    state = RaterSession(study.store, session).resume()
    assert (state.stage, state.sitting, state.position) == ("rating", 2, 7)


def test_every_step_taken_twice_is_taken_once(study: Study) -> None:
    session = study.enrol()
    steps: list[Callable[[], SessionState]] = [
        lambda: RaterSession(study.store, session).agree("1"),
        lambda: RaterSession(study.store, session).device({"ratio": 2}, True),
        lambda: RaterSession(study.store, session).answer("before", {"sight": "good"}),
        lambda: RaterSession(study.store, session).start(),
        lambda: RaterSession(study.store, session).resume(),
    ]
    for step in steps:
        assert step() == step()
    assert len(frames.tables(study.store, study.name)["answers"]) == 1
    kinds = frames.tables(study.store, study.name)["events"]["kind"].tolist()
    assert kinds == ["consent", "device", "sitting"]


def test_late_form_of_an_earlier_stage_changes_nothing(study: Study) -> None:
    session = study.rating()
    state = RaterSession(study.store, session).state()
    assert RaterSession(study.store, session).answer("before", {"sight": "poor"}) == state
    assert RaterSession(study.store, session).agree("an old version") == state


def test_early_form_of_a_later_stage_changes_nothing(study: Study) -> None:
    session = study.enrol()
    state = RaterSession(study.store, session).state()
    assert RaterSession(study.store, session).start() == state
    assert RaterSession(study.store, session).answer("after", {"remarks": "x"}) == state
    assert frames.tables(study.store, study.name)["answers"].empty


def test_consent_to_another_version_is_refused(study: Study) -> None:
    session = study.enrol()
    with pytest.raises(StateError, match="version '1', not '0'"):
        RaterSession(study.store, session).agree("0")
    assert RaterSession(study.store, session).state().stage == "consent"


@pytest.mark.parametrize(
    ("answers", "bad"),
    [
        ({}, {"sight"}),
        ({"sight": "splendid"}, {"sight"}),
        ({"sight": "good", "age": "17"}, {"age"}),
        ({"sight": "good", "age": "nan"}, {"age"}),
        ({"sight": "good", "age": "old"}, {"age"}),
        ({"sight": "good", "height": "2 m"}, {"height"}),
        ({"sight": "x" * 5000, "age": "1e999"}, {"sight", "age"}),
    ],
)
def test_answers_that_dont_fit_are_named_and_none_is_stored(
    study: Study, answers: dict[str, str], bad: set[str]
) -> None:
    session = study.enrol()
    RaterSession(study.store, session).agree("1")
    RaterSession(study.store, session).device({}, True)
    with pytest.raises(AnswerError) as refused:
        RaterSession(study.store, session).answer("before", answers)
    assert set(refused.value.faults) == bad
    assert frames.tables(study.store, study.name)["answers"].empty
    assert RaterSession(study.store, session).state().stage == "questions"


NAUGHTY = [
    "=1+1",
    "\t@x",
    "'quoted'",
    "a\x00b",
    "\ud800",
    "‮evil",
    "Ω≈ç√",
    "'; DROP TABLE vote;--",
    "😀" * 900,
]


@pytest.mark.parametrize("text", NAUGHTY)
def test_naughty_answers_are_kept_as_they_are_but_for_what_no_database_takes(
    study: Study, text: str
) -> None:
    session = study.rating()
    study.vote_all(session)
    RaterSession(study.store, session).answer("after", {"remarks": f"x{text}"})
    kept = frames.tables(study.store, study.name)["answers"].set_index("key")["value"]["remarks"]
    assert kept == "x" + text.replace("\x00", "").replace("\ud800", "")


def test_answer_that_screens_out_ends_the_session(study: Study) -> None:
    session = study.enrol()
    RaterSession(study.store, session).agree("1")
    RaterSession(study.store, session).device({}, True)
    state = RaterSession(study.store, session).answer("before", {"sight": "poor"})
    assert (state.stage, state.outcome) == ("done", "screened_out")
    with pytest.raises(VoteError) as refused:
        RaterSession(study.store, session).start()
    assert refused.value.why == "ended"


@pytest.mark.parametrize(
    ("verdict", "outcome", "held"),
    [
        (Verdict(True, True, ()), "complete", True),
        (Verdict(False, True, ("too fast",)), "complete", False),
        (Verdict(False, False, ("gold",)), "failed_check", False),
    ],
)
def test_the_rules_decide_how_a_session_ends(
    study: Study, monkeypatch: pytest.MonkeyPatch, verdict: Verdict, outcome: str, held: bool
) -> None:
    seen: list[tuple[int, int]] = []

    def verdicts(
        _: Acceptance, votes: pd.DataFrame, planned: dict[str, int], ended: Collection[str] = ()
    ) -> dict[str, Verdict]:
        seen.extend((len(votes), items) for items in planned.values())
        return dict.fromkeys(planned, verdict)

    monkeypatch.setattr(Acceptance, "verdicts", verdicts)
    session = study.rating()
    study.vote_all(session)
    assert seen == [(12, 12)]
    state = RaterSession(study.store, session).state()
    assert (state.stage, state.outcome) == ("closing", outcome)
    assert frames.tables(study.store, study.name)["sessions"]["holds_slot"].tolist() == [held]


def test_design_s_own_rules_are_held_against_a_session_as_it_ends(store: Store) -> None:
    rules = [
        {"kind": "straight-lining", "limit": 5, "paid": False, "reason": "one score throughout"},
        {"kind": "incomplete", "limit": 0.9, "reason": "not finished"},
    ]
    study = Study(store, design(sittings={}, acceptance=rules))
    lazy, honest, partial = study.rating(), study.rating(), study.rating()
    for position in range(1, 13):
        study.vote(lazy, position, 3)
    study.vote_all(honest)
    study.vote_all(partial, upto=4)
    table = frames.tables(store, study.name)["sessions"][["session", "outcome", "used", "paid"]]
    assert table.values.tolist() == [
        [lazy, "failed_check", False, False],
        [honest, "complete", True, True],
        [partial, None, False, True],
    ]
    votes = frames.tables(store, study.name)["votes"]
    reasons = votes.drop_duplicates("session").set_index("session")["reason"].to_dict()
    assert reasons == {lazy: "one score throughout", honest: "", partial: "not finished"}


GOLD = {"dataset": "Set5", "method": "hr", "images": 5, "low": 4, "high": 5}
MISSED = {"kind": "gold", "limit": 0.4, "paid": False, "reason": "gold"}
WHOLE = {"kind": "incomplete", "limit": 0.9, "paid": False, "reason": "not all"}


def with_gold(
    design: StudyDesign, manifest: Manifest, slot: int, rater: int, _judged: object = None
) -> tuple[Item, ...]:
    """Twelve items; every second from the second to the tenth is gold."""
    items = plain_plan(design, manifest, slot, 0)
    hr = [item for item in items if item.method == "hr"]
    return tuple(
        replace(hr[0], position=item.position, kind="gold", low=4, high=5)
        if item.position in (2, 4, 6, 8, 10)
        else item
        for item in items
    )


@pytest.mark.parametrize(
    ("scores", "rules", "ends"),
    [
        ("11111", [MISSED], 8),  # the rule judges by four gold items
        ("55111", [MISSED], 10),  # three of five
        ("15151", [MISSED], 10),
        ("11555", [MISSED], None),  # two of four are too many, two of five are not
        ("11111", [{**MISSED, "paid": True}], None),
        ("11111", [{**MISSED, "paid": True, "ends": True}, WHOLE], 8),
        ("11111", [{**MISSED, "ends_after": 9}], 10),
        ("11111", [{**MISSED, "ends": False}], None),
        ("55555", [{"kind": "straight-lining", "limit": 2, "paid": False, "reason": "one"}], 6),
        ("55555", [{"kind": "too-fast", "limit": 0.5, "paid": False, "reason": "fast"}], 10),
    ],
)
def test_a_session_ends_when_a_rule_is_broken_that_no_later_vote_mends(
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    scores: str,
    rules: list[dict[str, Any]],
    ends: int | None,
) -> None:
    """Where votes are fast, five of seven are when the last gold item comes."""
    monkeypatch.setattr("sreval.study.plan.make_plan", with_gold)
    fast = rules[0]["kind"] == "too-fast"
    # a rule on votes needs as many as the design plans, up to ten
    planned = design(sittings={}, gold=[GOLD], acceptance=rules, subset=5 if fast else None)
    study = Study(store, planned)
    session = study.rating()
    stages = []
    for position in range(1, 13):
        score = 3 if position % 2 or position > 10 else int(scores[position // 2 - 1])
        study.clock.wait(seconds=3)
        ms = 600.0 if fast else 2500.0
        state = study.vote(session, position, score, response_ms=ms).state
        stages.append(state.stage)
        if state.stage != "rating":
            break
    own = frames.tables(store, study.name)["sessions"].iloc[0]
    paid = bool(rules[0]["paid"] or not own["reasons"])
    if ends is None:
        assert len(stages) == 12
        assert (own["outcome"], own["paid"], own["holds_slot"]) == (
            "complete" if paid else "failed_check", paid, not own["reasons"],
        )  # fmt: skip
        return
    outcome = "ended_early" if paid else "failed_check"
    assert (len(stages), stages[-1], state.outcome) == (ends, "done", outcome)
    # whoever judges the votes again says the same
    assert (own["used"], own["paid"], own["holds_slot"]) == (False, paid, False)
    assert own["reasons"] == "; ".join(rule["reason"] for rule in rules)


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        ({"kind": "incomplete", "limit": 0.9, "ends": True}, "who is incomplete may go on"),
        ({"kind": "gold", "limit": 0.4, "ends_after": 6}, "the rule ends no session"),
        ({"kind": "gold", "limit": 0.4, "ends": True, "ends_after": 1}, "ends_after"),
    ],
)
def test_a_rule_that_can_not_end_a_session_is_refused(rule: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        design(gold=[GOLD], acceptance=[{**rule, "reason": "r"}])


def window(study: Study, session: str) -> list[int]:
    return [item.position for item in RaterSession(study.store, session).state().items]


def test_window_is_the_current_item_and_three_more_up_to_the_next_break(study: Study) -> None:
    session = study.rating()
    assert window(study, session) == [1, 2, 3]
    study.vote(session, 1)
    assert window(study, session) == [2, 3]
    study.vote(session, 2)
    study.vote(session, 3)
    assert window(study, session) == []


def test_window_without_breaks_ends_with_the_plan(store: Store) -> None:
    study = Study(store, design(sittings={}))
    session = study.rating()
    study.vote_all(session, upto=5)
    assert window(study, session) == [6, 7, 8, 9]
    study.vote_all(session, upto=10)
    assert window(study, session) == [11, 12]


def test_image_is_given_only_within_the_window_of_its_own_session(study: Study) -> None:
    session, other = study.rating(), study.rating()
    study.vote(session, 1)
    given = [
        position
        for position, address in enumerate(addresses(study, session), 1)
        if RaterSession(study.store, session).image(address)
    ]
    assert given == [2, 3]
    assert [RaterSession(study.store, session).image(a) for a in addresses(study, other)] == [
        None
    ] * 12
    assert RaterSession(study.store, session).image("") is None
    shown = RaterSession(study.store, session).state().items[0].pictures[0]
    assert RaterSession(study.store, session).image(shown.address) == shown


def test_no_image_before_the_first_item_nor_while_paused(study: Study) -> None:
    early = study.enrol()
    session = study.rating()
    Studies(study.store).set_state(study.name, "paused")
    for one in (early, session):
        assert {RaterSession(study.store, one).image(a) for a in addresses(study, one)} == {None}


def test_session_goes_on_at_the_right_item_from_anywhere(study: Study, database_url: str) -> None:
    token = study.token()
    session = study.rating(study.enrol(token))
    study.vote_all(session, upto=4)
    with open_store(database_url) as elsewhere:
        resumed = Study(elsewhere, clock=study.clock).enrol(token)
        assert resumed == session
        assert (
            RaterSession(elsewhere, resumed).state() == RaterSession(study.store, session).state()
        )
        assert RaterSession(elsewhere, resumed).state().position == 5


def test_withdrawal_keeps_the_votes_unless_asked(study: Study) -> None:
    session = study.rating()
    study.vote_all(session, upto=2)
    state = raters.withdraw(study.store, session)
    assert (state.stage, state.outcome, state.position) == ("done", "withdrew", None)
    assert raters.withdraw(study.store, session) == state
    assert len(frames.tables(study.store, study.name)["votes"]) == 2


def test_withdrawal_with_deletion_leaves_a_count_and_nothing_else(study: Study) -> None:
    other = study.rating()
    study.vote(other, 1)
    session = study.rating()
    study.vote_all(session, upto=2)
    name = frames.tables(study.store, study.name)["sessions"]["rater"].iloc[1]
    assert raters.withdraw(study.store, session, delete=True).outcome == "withdrew"
    from tests.store.test_schema import rows_of

    everything = repr(rows_of(study.store))
    assert session not in everything
    assert name not in everything
    assert Overview.of(study.store, study.name).deleted == 1
    with pytest.raises(VoteError) as gone:
        RaterSession(study.store, session).state()
    assert gone.value.why == "session"
    assert RaterSession(study.store, other).state().done == 1


@pytest.fixture
def remarked(new_database: Callable[..., str]) -> Iterator[tuple[Study, str]]:
    """A study in a SQLite file, its retention over, and a session with a remark."""
    store = open_store(new_database("sqlite"))
    study = Study(store, design(retention="2026-02-01"))
    session = study.rating()
    study.vote_all(session)
    RaterSession(store, session).answer("after", {"remarks": "my unmistakable remark"})
    yield study, session
    store.dispose()


def stored_bytes(store: Store) -> bytes:
    """The database's files as they lie there, its connections open."""
    path = Path(str(store.url.database))
    return b"".join(file.read_bytes() for file in path.parent.glob(f"{path.name}*"))


@pytest.mark.parametrize("way", ["withdraw", "delete", "purge"])
def test_what_was_deleted_stands_in_no_file_while_the_site_runs(
    remarked: tuple[Study, str], way: str
) -> None:
    study, session = remarked
    rater = frames.tables(study.store, study.name)["sessions"]["rater"].item()
    another = open_store(str(study.store.url.database))  # a second worker
    traces = [trace.encode() for trace in ("unmistakable", rater, session)]
    assert all(trace in stored_bytes(study.store) for trace in traces)
    desk = Raters(study.store, study.name)
    if way == "withdraw":
        raters.withdraw(study.store, session, delete=True)
    elif way == "delete":
        desk.delete(rater)
    else:
        desk.purge(study.clock().date())
    assert not any(trace in stored_bytes(study.store) for trace in traces)
    another.dispose()


@pytest.mark.parametrize("end", ["a vote", "the site's end"])
def test_a_long_read_keeps_deleted_text_until_it_ends_and_the_log_says_so(
    remarked: tuple[Study, str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    end: str,
) -> None:
    study, session = remarked
    monkeypatch.setattr("sreval.store.database._ERASE_SECONDS", 0.0)
    monkeypatch.setattr("sreval.store.database._ERASE_AGAIN", 0.0)
    other = study.rating()
    with study.store.read() as reading:
        reading.scalar(select(func.count()).select_from(Rater))
        raters.withdraw(study.store, session, delete=True)
        study.vote(other, 1)
        assert b"unmistakable" in stored_bytes(study.store)
    assert [record.message for record in caplog.records] == [
        "deleted text is still in the write-ahead log"
    ]
    if end == "a vote":
        study.vote(other, 2)
    else:
        study.store.dispose()
    assert b"unmistakable" not in stored_bytes(study.store)


@pytest.mark.parametrize("state", ["paused", "closed"])
def test_withdrawal_works_while_the_study_does_not_go_on(study: Study, state: Any) -> None:
    session = study.rating()
    Studies(study.store).set_state(study.name, state)
    assert raters.withdraw(study.store, session, delete=True).outcome == "withdrew"


def test_one_who_voted_to_the_end_may_answer_the_last_questions_after_closing(
    study: Study,
) -> None:
    session = study.rating()
    study.vote_all(session)
    Studies(study.store).set_state(study.name, "closed")
    state = RaterSession(study.store, session).answer("after", {"remarks": "good"})
    assert (state.stage, state.outcome) == ("done", "complete")


def test_device_facts_are_kept_where_they_change(study: Study) -> None:
    session = study.enrol()
    for ratio in (1, 1, 2, 2, 1):
        RaterSession(study.store, session).device({"ratio": ratio}, False)
    facts = frames.tables(study.store, study.name)["events"]["facts"].tolist()
    assert facts == [f'{{"fits": false, "ratio": {ratio}}}' for ratio in (1, 2, 1)]


def test_withdrawing_after_completion_undoes_nothing(study: Study) -> None:
    session = study.rating()
    study.vote_all(session)
    RaterSession(study.store, session).answer("after", {})
    before = RaterSession(study.store, session).state()
    assert before.outcome == "complete"
    assert raters.withdraw(study.store, session) == before
    (row,) = Overview.of(study.store, study.name).raters
    with pytest.raises(StateError, match="has ended"):
        Raters(study.store, study.name, "ada").withdraw(row.rater)
    assert RaterSession(study.store, session).state() == before


def test_closing_questions_screen_nobody_out(store: Store) -> None:
    asked = {"key": "tired", "when": "after", "text": "Tired?", "options": ["yes", "no"]}
    study = Study(store, design(questions=[asked | {"screens_out": ["yes"]}]))
    session = study.rating()
    study.vote_all(session)
    RaterSession(store, session).answer("after", {"tired": "yes"})
    assert RaterSession(store, session).state().outcome == "complete"


def test_a_break_never_lasts_twice_its_length_whatever_the_clock(study: Study) -> None:
    """The clock is set back by two hours: it begins anew once, and nobody waits two hours."""
    session = study.rating()
    for position in (1, 2, 3):
        study.vote(session, position)
    study.clock.wait(hours=-2)
    rater = RaterSession(study.store, session)
    shown = rater.state().break_until
    assert shown is not None
    assert shown - study.clock.now <= dt.timedelta(seconds=60)
    study.clock.wait(seconds=60)
    again = rater.resume()
    assert again.stage == "break"
    assert again.break_until is not None
    assert again.break_until - study.clock.now <= dt.timedelta(seconds=60)
    study.clock.wait(seconds=59)
    with pytest.raises(VoteError, match="break"):
        rater.resume()
    study.clock.wait(seconds=1)
    assert rater.resume().position == 4


def test_a_rest_is_bounded_as_a_break_is(study: Study) -> None:
    session = study.rating()
    study.vote_all(session, upto=5)
    study.vote(session, 6)
    study.clock.wait(hours=-2, minutes=30)
    rater = RaterSession(study.store, session)
    assert rater.resume().stage == "rest"
    study.clock.wait(minutes=30)
    assert rater.resume().sitting == 2


@pytest.mark.parametrize("behind", [3, 120])
def test_a_break_ends_on_a_server_whose_clock_is_behind(study: Study, behind: int) -> None:
    session = study.rating()
    for position in (1, 2, 3):
        study.vote(session, position)
    study.clock.wait(seconds=-behind)  # from here on the other server answers
    rater = RaterSession(study.store, session)
    waited = 0
    for _ in range(2):
        shown = rater.state().break_until
        assert shown is not None
        left = math.ceil((shown - study.clock.now).total_seconds())
        study.clock.wait(seconds=left)
        waited += left
        try:
            stage = rater.resume().stage
        except VoteError:
            stage = "break"
        if stage == "rating":
            break
    assert stage == "rating"
    assert 60 <= waited <= 121


def test_a_refused_rater_who_goes_on_takes_no_place_from_the_one_who_came_after(
    study: Study,
) -> None:
    refused = study.rating()
    study.vote_all(refused, upto=11)
    rater = frames.tables(study.store, study.name)["sessions"]["rater"].item()
    desk = Raters(study.store, study.name)
    desk.decide(rater, False, "was seen to sleep")
    study.vote_all(study.rating())
    study.vote_all(refused)
    sessions = frames.tables(study.store, study.name)["sessions"]
    assert sessions["slot"].tolist() == [0, 0]
    assert sessions["outcome"].tolist() == ["complete", "complete"]
    assert sessions["holds_slot"].tolist() == [False, True]


def test_a_rater_whose_votes_are_used_by_decision_keeps_their_place_at_the_end(
    store: Store,
) -> None:
    lazy = {"kind": "straight-lining", "limit": 5, "reason": "one score throughout"}
    study = Study(store, design(sittings={}, acceptance=[lazy]))
    session = study.rating()
    study.vote(session, 1)
    rater = frames.tables(store, study.name)["sessions"]["rater"].item()
    for accepted in (False, True):
        Raters(store, study.name).decide(rater, accepted, "a slow hand")
    for position in range(2, 13):
        study.vote(session, position)
    assert frames.tables(store, study.name)["sessions"]["holds_slot"].tolist() == [True]
    assert Overview.of(store, study.name).filled == 1


def in_three(**changes: Any) -> StudyDesign:
    content = design(**changes).model_dump(mode="json")
    return StudyDesign.model_validate(in_languages(content, "de", "ar"))


def test_the_language_is_stored_with_the_consent_and_stands_from_the_first_vote(
    store: Store,
) -> None:
    study = Study(store, in_three())
    session = study.enrol()
    rated = RaterSession(store, session)
    assert rated.read_in("ar").language is None  # nothing is stored before the consent
    with pytest.raises(StateError, match="'fr'"):
        rated.agree("1", "fr")
    assert rated.state().stage == "consent"
    assert rated.agree("1", "de").language == "de"
    with pytest.raises(StateError, match="'fr'"):
        rated.read_in("fr")
    assert rated.read_in("ar").language == "ar"
    study.rating(session)
    study.vote(session, 1)
    assert rated.read_in("en").language == "ar"
    own = study.rating()
    found = frames.tables(store, study.name)
    assert found["sessions"]["language"].tolist() == ["ar", "en"]
    changes = found["events"][found["events"]["kind"] == "language"]
    assert changes["facts"].tolist() == ['{"before": "de", "now": "ar"}']
    read = frames.study_data(store, study.name, study.manifest).sessions
    assert dict(zip(read["session"], read["language"], strict=True)) == {session: "ar", own: "en"}
    assert [row.language for row in Overview.of(store, study.name).raters] == ["ar", "en"]


def test_a_study_that_lacks_texts_is_not_registered(store: Store) -> None:
    content = design().model_dump(mode="json") | {"texts": {"de": {"title": "Klein"}}}
    with pytest.raises(UsageError, match=r"texts\.de\.instructions"):
        Studies(store).register(StudyDesign.model_validate(content), manifest())
    assert Studies(store).names() == []
