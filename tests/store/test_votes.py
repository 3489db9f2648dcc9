"""The transaction of a vote, on both databases: durable, once, in order, whatever races."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, insert, select
from sqlalchemy.exc import IntegrityError

from sreval.store import answers, frames, raters
from sreval.store.audit import AuditLog
from sreval.store.database import open_store
from sreval.store.errors import VoteError
from sreval.store.models import Session, Vote
from sreval.store.sessions import PlanItemRow, RaterSession, Receipt, SeenSession
from sreval.store.studies import Studies
from tests.store.conftest import START, Race, Study


def stored(study: Study, session: str) -> list[tuple[int, float]]:
    with study.store.read() as tx:
        query = select(Vote.position, Vote.score).where(Vote.session_id == session)
        return [(position, score) for position, score in tx.execute(query.order_by(Vote.position))]


def why(study: Study, *args: Any, **options: Any) -> str:
    with pytest.raises(VoteError) as refused:
        study.vote(*args, **options)
    return refused.value.why


def test_receipt_names_what_was_stored_and_what_comes_next(study: Study) -> None:
    session = study.rating()
    receipt = study.vote(session, 1, 4)
    assert (receipt.position, receipt.score, receipt.repeated) == (1, 4, False)
    assert receipt.state.position == 2
    assert receipt.state == RaterSession(study.store, session).state()
    assert receipt.stored_at > START


def test_acknowledged_vote_is_there_for_everyone_at_once(study: Study, database_url: str) -> None:
    session = study.rating()
    study.vote(session, 1, 2)
    with open_store(database_url) as other:
        assert RaterSession(other, session).state().done == 1


def test_same_key_gives_the_same_receipt(study: Study) -> None:
    session = study.rating()
    first = study.vote(session, 1, 4, key="the-key-")
    again = study.vote(session, 1, 4, key="the-key-")
    assert again.repeated
    assert (again.position, again.score, again.stored_at) == (1, 4, first.stored_at)
    later = study.vote(session, 2, 5, key="the-key-")
    assert (later.position, later.score) == (1, 4)
    assert stored(study, session) == [(1, 4)]


def test_first_vote_on_a_position_stands(study: Study) -> None:
    session = study.rating()
    study.vote(session, 1, 4, key="one-tab-")
    other = study.vote(session, 1, 2, key="another-tab")
    assert (other.score, other.repeated) == (4, True)
    assert stored(study, session) == [(1, 4)]


def test_retry_is_answered_however_things_went_on(study: Study) -> None:
    session = study.rating()
    study.vote(session, 1, 4, key="the-key-")
    Studies(study.store).set_state(study.name, "paused")
    assert study.vote(session, 1, 4, key="the-key-").repeated
    Studies(study.store).set_state(study.name, "closed")
    assert study.vote(session, 1, 4, key="the-key-").repeated
    raters.withdraw(study.store, session)
    assert study.vote(session, 1, 4, key="the-key-").score == 4


@pytest.mark.parametrize("position", [2, 12, 13, 10**6])
def test_position_ahead_is_refused(study: Study, position: int) -> None:
    session = study.rating()
    assert why(study, session, position) == "position"
    assert stored(study, session) == []


@pytest.mark.parametrize("score", [0, 6, -1, 2**40, 3.0, "3", True, None])
def test_score_off_the_scale_is_refused(study: Study, score: Any) -> None:
    assert why(study, study.rating(), 1, score) == "scale"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"response_ms": 499.0}, "too-early"),
        ({"response_ms": -1.0}, "malformed"),
        ({"response_ms": float("nan")}, "malformed"),
        ({"shown_at": dt.datetime(2026, 3, 1)}, "malformed"),  # the point
        ({"key": ""}, "malformed"),
        ({"key": "k" * 65}, "malformed"),
        ({"key": "the-key-\x00"}, "malformed"),
        ({"device": "d" * 501}, "malformed"),
        ({"response_ms": 86_400_001.0}, "malformed"),
        ({"hidden_ms": 86_400_001}, "malformed"),
        ({"unfocused_ms": -1}, "malformed"),
    ],
)
def test_senseless_vote_is_refused(study: Study, options: dict[str, Any], reason: str) -> None:
    session = study.rating()
    assert why(study, session, 1, **options) == reason
    assert stored(study, session) == []


def test_an_image_that_was_never_sent_is_not_rated(study: Study) -> None:
    session = study.rating()
    study.mark_sent(session, None)
    rated = RaterSession(study.store, session)
    assert why(study, session, 1) == "unseen"
    rated.sent(rated.state().items[1].pictures[0])
    assert why(study, session, 1) == "unseen"
    rated.sent(rated.state().items[0].pictures[0])
    study.vote(session, 1)
    study.vote(session, 2)
    assert why(study, session, 3) == "unseen"
    assert stored(study, session) == [(1, 3), (2, 3)]


def test_only_the_first_sending_of_an_image_is_kept(study: Study) -> None:
    session = study.rating()
    study.mark_sent(session, None)
    rated = RaterSession(study.store, session)
    before = rated.state().items[0].pictures[0]
    for _ in range(2):
        study.clock.wait(seconds=9)
        rated.sent(before)  # as of two requests at once: neither knows of the other
    first = rated.state().items[0].pictures[0].sent_at
    assert first is not None
    assert (first - START).total_seconds() == pytest.approx(9, abs=0.5)
    assert rated.image(before.address) == rated.state().items[0].pictures[0]
    assert [item.pictures[0].sent_at for item in rated.state().items[1:]] == [None, None]


def test_how_long_a_look_was_hidden_is_kept_where_it_is_known(study: Study) -> None:
    session = study.rating()
    study.vote(session, 1)
    study.vote(session, 2, hidden_ms=4000, unfocused_ms=0)
    votes = frames.tables(study.store, study.name)["votes"]
    looks = votes[["hidden_ms", "unfocused_ms"]].astype(object)
    assert looks.where(looks.notna(), None).values.tolist() == [[None, None], [4000, 0]]
    assert (votes["sent_at"] < votes["received_at"]).all()


def test_votes_are_refused_before_the_first_item(study: Study) -> None:
    assert why(study, study.enrol(), 1) == "position"


def test_votes_are_refused_of_nobody(study: Study) -> None:
    assert why(study, "s-nobody", 1) == "session"


def test_votes_are_refused_while_paused_and_go_on_afterwards(study: Study) -> None:
    session = study.rating()
    Studies(study.store).set_state(study.name, "paused")
    assert why(study, session, 1) == "paused"
    Studies(study.store).set_state(study.name, "open")
    study.vote(session, 1)
    Studies(study.store).set_state(study.name, "closed")
    assert why(study, session, 2) == "closed"


def test_votes_are_refused_in_a_break_even_when_its_time_is_over(study: Study) -> None:
    session = study.rating()
    for position in (1, 2, 3):
        study.vote(session, position)
    assert why(study, session, 4) == "rest"
    study.clock.wait(minutes=2)
    assert why(study, session, 4) == "position"
    RaterSession(study.store, session).resume()
    study.vote(session, 4)


def test_votes_are_refused_after_the_last_and_after_withdrawal(study: Study) -> None:
    session = study.rating()
    study.vote_all(session)
    assert why(study, session, 13) == "ended"
    other = study.rating()
    raters.withdraw(study.store, other)
    assert why(study, other, 1) == "ended"


def test_race_on_one_position_stores_one_vote_and_tells_all_the_same(
    study: Study, race: Race
) -> None:
    session = study.rating()
    receipts = race(lambda n: study.vote(session, 1, 1 + n % 5, key=f"the-tab-{n}"), 8)
    assert Counter(receipt.repeated for receipt in receipts) == {False: 1, True: 7}
    assert len({(receipt.score, receipt.stored_at) for receipt in receipts}) == 1
    assert stored(study, session) == [(1, receipts[0].score)]


def test_race_of_one_retried_request_stores_one_vote(study: Study, race: Race) -> None:
    session = study.rating()
    receipts = race(lambda _: study.vote(session, 1, 5, key="the-same"), 8)
    assert Counter(receipt.repeated for receipt in receipts) == {False: 1, True: 7}


def test_raters_who_vote_at_once_lose_nothing(study: Study, race: Race) -> None:
    sessions = [study.rating() for _ in range(6)]

    def all_votes(number: int) -> list[int]:
        study.vote_all(sessions[number])
        return [position for position, _ in stored(study, sessions[number])]

    assert race(all_votes, 6) == [list(range(1, 13))] * 6


def test_vote_racing_with_withdrawal_is_kept_or_refused_never_both(
    study: Study, race: Race
) -> None:
    for _ in range(5):
        session = study.rating()

        def vote_or_leave(number: int, session: str = session) -> object:
            if number:
                return raters.withdraw(study.store, session)
            return study.vote(session, 1)

        voted, _ = race(vote_or_leave, 2)
        assert len(stored(study, session)) == (0 if isinstance(voted, VoteError) else 1)


def test_database_itself_refuses_a_second_vote_and_one_on_no_position(study: Study) -> None:
    """Whatever the code above it does."""
    session = study.rating()
    study.vote(session, 1, 3, key="the-key-1")
    study.vote(session, 2, 3, key="the-key-2")
    row = {
        "session_id": session,
        "position": 3,
        "score": 3,
        "key": "k3",
        "response_ms": 900.0,
        "shown_at": START,
        "stored_at": START,
        "device": "",
    }
    for bad in (
        {"position": 1},
        {"key": "the-key-1"},
        {"position": 99},
    ):
        with pytest.raises(IntegrityError), study.store.begin() as tx:
            tx.execute(insert(Vote), [{**row, **bad}])
    assert stored(study, session) == [(1, 3), (2, 3)]


def test_failure_after_the_vote_was_written_undoes_it_whole(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = study.rating()
    with monkeypatch.context() as patched:
        patched.setattr(SeenSession, "state", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            study.vote(session, 1, 5)
    assert stored(study, session) == []
    assert RaterSession(study.store, session).state().done == 0
    study.vote(session, 1, 2)
    assert stored(study, session) == [(1, 2)]


def test_a_process_that_has_not_read_the_design_yet_takes_votes(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = study.rating()
    address = RaterSession(study.store, session).state().items[0].pictures[0].address
    monkeypatch.setattr("sreval.store.sessions.designs", {})
    assert RaterSession(study.store, session).image(address)
    study.vote(session, 1, 4)
    assert stored(study, session) == [(1, 4)]


def test_done_is_the_number_of_votes(study: Study) -> None:
    sessions = [study.rating() for _ in range(3)]
    for number, session in enumerate(sessions):
        study.vote_all(session, upto=4 * number)
    with study.store.read() as tx:
        counted = select(Session.done, func.count(Vote.position))
        query = counted.outerjoin(Vote, Vote.session_id == Session.id).group_by(Session.id)
        assert sorted(tuple(row) for row in tx.execute(query)) == [(0, 0), (4, 4), (8, 8)]


@given(st.text(max_size=answers.LONGEST_DEVICE))
def test_device_facts_may_be_any_text(text: str) -> None:
    from sqlalchemy.dialects import sqlite

    from sreval.store.models import FreeText

    kept = FreeText().process_bind_param(text, sqlite.dialect())
    assert kept is not None
    assert "\x00" not in kept
    assert kept.encode().decode() == kept
    assert len(kept) == len(text)


def test_no_vote_is_stored_once_the_study_is_closed(
    study: Study, race: Race, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The vote has read that the study is open; then it is closed, in another connection."""
    sessions = [study.rating() for _ in range(2)]
    read, closed = threading.Event(), threading.Event()
    genuine = SeenSession.refuse_vote

    def slow(*given: Any) -> PlanItemRow:
        item = genuine(*given)
        read.set()
        assert not closed.wait(0.5)  # the operator waits for this vote
        return item

    def close_or_vote(number: int) -> object:
        if number:
            read.wait(5)
            Studies(study.store).set_state(study.name, "closed")
            closed.set()
            return study.vote(sessions[1], 1)
        return study.vote(sessions[0], 1)

    monkeypatch.setattr(SeenSession, "refuse_vote", slow)
    voted, late = race(close_or_vote, 2)
    assert isinstance(voted, Receipt)
    assert isinstance(late, VoteError)
    assert late.why == "closed"
    ended = Studies(study.store).get(study.name).closed_at
    assert ended is not None
    assert voted.stored_at < ended


def test_vote_that_waited_for_the_closing_is_refused(
    study: Study, race: Race, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = study.rating()
    locked = threading.Event()
    genuine = AuditLog.record

    def slow(*given: Any, **facts: Any) -> None:
        genuine(*given, **facts)
        locked.set()
        time.sleep(0.2)  # long enough for the vote to begin; there is no event of its waiting

    def close_or_vote(number: int) -> object:
        if number:
            locked.wait(5)
            return study.vote(session, 1)
        Studies(study.store).set_state(study.name, "closed")
        return None

    monkeypatch.setattr(AuditLog, "record", slow)
    _, voted = race(close_or_vote, 2)
    assert isinstance(voted, VoteError)
    assert voted.why == "closed"
    assert stored(study, session) == []
