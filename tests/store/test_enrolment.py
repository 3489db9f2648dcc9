"""Who gets in, and where: links, quotas, slots, indices, alone and at once, on both databases."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import event, func, select
from sqlalchemy.orm import Session as Transaction

from sreval.errors import DataError, UsageError
from sreval.store import enrolment, frames, invitations, raters
from sreval.store.database import Store, open_store
from sreval.store.errors import StateError, TokenError, VoteError
from sreval.store.invitations import Links
from sreval.store.models import Invitation, PlanItem, Rater, Session
from sreval.store.overview import Overview
from sreval.store.raters import Raters
from sreval.store.sessions import RaterSession, Receipt, SeenSession
from sreval.store.studies import Studies
from sreval.study.manifest import Manifest
from tests.store.conftest import Race, Study, design, plain_plan


def rows(study: Study) -> list[tuple[int, int, bool]]:
    """Rater index, slot, and whether it is held."""
    with study.store.read() as tx:
        query = select(Rater.number, Session.slot, Session.holds_slot)
        joined = query.join(Session, Session.rater_id == Rater.id).order_by(Rater.number)
        return [(number, slot, held) for number, slot, held in tx.execute(joined)]


def pseudonym(study: Study, session: str) -> str:
    table = frames.tables(study.store, study.name)["sessions"]
    return str(table.loc[table["session"] == session, "rater"].item())


def why(study: Study, token: str) -> str:
    with pytest.raises(TokenError) as refused:
        study.enrol(token)
    with pytest.raises(TokenError) as looked_up:
        invitations.lookup(study.store, token)
    assert refused.value.why == looked_up.value.why
    return refused.value.why


def test_personal_link_opens_the_same_session_every_time(study: Study) -> None:
    token = study.token()
    session = study.enrol(token)
    assert study.enrol(token) == session
    assert invitations.lookup(study.store, token).session_id == session
    assert rows(study) == [(0, 0, True)]


def test_plan_is_the_planners_for_slot_and_index(study: Study) -> None:
    study.enrol()
    session = study.enrol()
    made = plain_plan(study.design, study.manifest, 1, 1)
    with study.store.read() as tx:
        items = tx.scalars(
            select(PlanItem).where(PlanItem.session_id == session).order_by(PlanItem.position)
        ).all()
    assert [(i.position, i.sitting, i.stimulus_sha256) for i in items] == [
        (i.position, i.sitting, i.stimulus_sha256) for i in made
    ]
    assert len({item.address for item in items}) == len(items)
    assert all(len(item.address) >= 22 for item in items)


def test_open_link_gives_every_rater_a_session_and_a_link_of_their_own(study: Study) -> None:
    token = study.token("open", quota=2)
    first = enrolment.enrol(study.store, token, study.manifest)
    second = enrolment.enrol(study.store, token, study.manifest)
    assert first.session_id != second.session_id
    assert first.resume_token
    assert study.enrol(first.resume_token) == first.session_id
    assert why(study, token) == "used-up"


def test_kiosk_link_gives_every_rater_a_session_and_no_link(study: Study) -> None:
    token = study.token("kiosk")
    made = [enrolment.enrol(study.store, token, study.manifest) for _ in range(3)]
    assert len({one.session_id for one in made}) == 3
    assert {one.resume_token for one in made} == {None}


def test_token_is_stored_nowhere(study: Study) -> None:
    token = study.token("open")
    own = enrolment.enrol(study.store, token, study.manifest).resume_token
    assert own
    from tests.store.test_schema import rows_of

    everything = repr(rows_of(study.store))
    assert token not in everything
    assert own not in everything


def test_tokens_have_128_bits_and_never_repeat(study: Study) -> None:
    tokens = {study.token() for _ in range(50)}
    assert len(tokens) == 50
    assert all(len(token) == 22 for token in tokens)


@pytest.mark.parametrize("token", ["", "wrong", "x" * 10_000, "naughty\x00\ud800'; DROP TABLE"])
def test_wrong_token_is_unknown(study: Study, token: str) -> None:
    study.token()
    assert why(study, token) == "unknown"


def test_link_expires_for_beginning_and_not_for_resuming(study: Study) -> None:
    until = study.clock.now + dt.timedelta(hours=1)
    begun, unused = study.token(expires=until), study.token(expires=until)
    session = study.enrol(begun)
    study.clock.wait(hours=2)
    assert why(study, unused) == "expired"
    assert study.enrol(begun) == session


def test_revoked_link_opens_nothing_and_votes_stay(study: Study) -> None:
    token = study.token()
    session = study.rating(study.enrol(token))
    study.vote(session, 1)
    Links(study.store, study.name).revoke(invitations.lookup(study.store, token).id)
    assert why(study, token) == "revoked"
    assert len(frames.tables(study.store, study.name)["votes"]) == 1


def test_lost_link_is_renewed_and_the_old_one_opens_nothing(study: Study) -> None:
    lost = study.token(label="Ada")
    session = study.enrol(lost)
    _, token = Links(study.store, study.name).renew(pseudonym(study, session))
    assert study.enrol(token) == session
    assert why(study, lost) == "revoked"


@pytest.mark.parametrize(("kind", "quota"), [("personal", 1), ("open", 0), ("kiosk", -1)])
def test_quota_that_cant_be_is_refused(study: Study, kind: Any, quota: int) -> None:
    with pytest.raises(UsageError, match="quota"):
        Links(study.store, study.name).create(kind, quota=quota)


@pytest.mark.parametrize("state", ["paused", "closed"])
def test_nobody_new_begins_while_a_study_is_not_open(study: Study, state: Any) -> None:
    token, unused = study.token(), study.token()
    session = study.enrol(token)
    Studies(study.store).set_state(study.name, state)
    with pytest.raises(StateError, match=state):
        study.enrol(unused)
    assert study.enrol(token) == session
    assert len(rows(study)) == 1


def test_other_stimuli_than_the_registered_are_refused(study: Study) -> None:
    other = Manifest(study.manifest.stimuli[1:])
    with pytest.raises(DataError, match="stimuli"):
        enrolment.enrol(study.store, study.token(), other)
    assert rows(study) == []


def test_raters_who_enrol_at_once_share_nothing(study: Study, race: Race) -> None:
    token = study.token("open")
    made = race(lambda _: enrolment.enrol(study.store, token, study.manifest), 8)
    assert len({one.session_id for one in made}) == 8
    assert rows(study) == [(number, number, True) for number in range(8)]
    with study.store.read() as tx:
        planned = select(func.count()).select_from(PlanItem).group_by(PlanItem.session_id)
        assert set(tx.scalars(planned)) == {12}


def test_quota_holds_when_more_come_at_once(study: Study, race: Race) -> None:
    token = study.token("open", quota=3)
    made = race(lambda _: enrolment.enrol(study.store, token, study.manifest), 8)
    refused = [one for one in made if isinstance(one, Exception)]
    assert [getattr(one, "why", one) for one in refused] == ["used-up"] * 5
    assert len(rows(study)) == 3


def test_one_personal_link_opened_at_once_makes_one_session(study: Study, race: Race) -> None:
    token = study.token()
    assert (
        len(
            {
                one if isinstance(one, str) else repr(one)
                for one in race(lambda _: study.enrol(token), 8)
            }
        )
        == 1
    )
    assert len(rows(study)) == 1


@pytest.mark.parametrize("kind", ["open", "kiosk"])
def test_one_visit_enrols_one_rater_through_any_process(
    study: Study, database_url: str, race: Race, kind: Any
) -> None:
    token, visit = study.token(kind, quota=1), invitations.new_token()
    stores = [open_store(database_url) for _ in range(6)]
    try:
        made = race(lambda n: enrolment.enrol(stores[n], token, study.manifest, visit=visit), 6)
    finally:
        for store in stores:
            store.dispose()
    assert len(set(made)) == 1
    assert made[0].resume_token == (visit if kind == "open" else None)
    assert len(Overview.of(study.store, study.name).raters) == 1
    assert study.enrol(visit) == made[0].session_id


def test_visit_of_a_deleted_rater_enrols_nobody(study: Study) -> None:
    token, visit = study.token("open"), invitations.new_token()
    session = enrolment.enrol(study.store, token, study.manifest, visit=visit).session_id
    raters.withdraw(study.store, session, delete=True)
    with pytest.raises(TokenError):
        enrolment.enrol(study.store, token, study.manifest, visit=visit)


def test_enrolments_race_with_drop_outs_and_slots_stay_single(study: Study, race: Race) -> None:
    sessions = [study.enrol() for _ in range(4)]
    token = study.token("open")

    def come_or_go(number: int) -> None:
        if number % 2:
            raters.withdraw(study.store, sessions[number // 2])
        else:
            study.enrol(token)

    assert race(come_or_go, 8) == [None] * 8
    held = sorted(slot for _, slot, holds in rows(study) if holds)
    assert held == sorted(set(held))
    assert len(held) == 4
    assert [number for number, _, _ in rows(study)] == list(range(8))


def drop_out(study: Study, session: str, way: str) -> None:
    if way == "withdrew":
        raters.withdraw(study.store, session)
    elif way == "deleted":
        raters.withdraw(study.store, session, delete=True)
    elif way == "deleted by the operator":
        Raters(study.store, study.name).delete(pseudonym(study, session))
    elif way == "screened out":
        RaterSession(study.store, session).agree("1")
        RaterSession(study.store, session).device({}, True)
        RaterSession(study.store, session).answer("before", {"sight": "poor"})
    elif way == "released":
        study.clock.wait(days=8)
        Raters(study.store, study.name).release(dt.timedelta(days=7))
    elif way == "refused":
        Raters(study.store, study.name).decide(pseudonym(study, session), False, "asleep")


WAYS = ("withdrew", "deleted", "deleted by the operator", "screened out", "released", "refused")


@pytest.mark.parametrize("way", WAYS)
def test_next_rater_takes_a_drop_outs_slot_under_a_new_index(study: Study, way: str) -> None:
    first = study.enrol()
    drop_out(study, first, way)
    study.enrol()
    study.enrol()
    held = [(number, slot) for number, slot, holds in rows(study) if holds]
    assert held == [(1, 0), (2, 1)]


def test_index_of_a_deleted_rater_is_never_given_again(study: Study) -> None:
    for _ in range(3):
        raters.withdraw(study.store, study.enrol(), delete=True)
    study.enrol()
    assert rows(study) == [(3, 0, True)]


def test_deleted_raters_link_opens_nothing(study: Study) -> None:
    token = study.token(label="Ada")
    raters.withdraw(study.store, study.enrol(token), delete=True)
    assert why(study, token) == "revoked"
    with study.store.read() as tx:
        assert set(tx.scalars(select(Invitation.label))) == {""}


def test_first_enrolment_locks_the_design(study: Study) -> None:
    changed = design(title="Another")
    Studies(study.store).register(changed, study.manifest)
    assert Studies(study.store).get(study.name).locked_at is None
    Studies(study.store).register(study.design, study.manifest)
    study.enrol()
    assert Studies(study.store).get(study.name).locked_at is not None
    Studies(study.store).register(study.design, study.manifest)
    with pytest.raises(StateError, match="design of study 'small' changed"):
        Studies(study.store).register(changed, study.manifest)
    with pytest.raises(StateError, match="stimuli of study 'small' changed"):
        Studies(study.store).register(study.design, Manifest(study.manifest.stimuli[1:]))
    assert Studies(study.store).get(study.name).design == study.design


def test_simulated_links_make_simulated_raters_and_mark_the_study(study: Study) -> None:
    study.enrol()
    assert not Overview.of(study.store, study.name).simulated
    study.enrol(study.token("open", simulated=True))
    assert Overview.of(study.store, study.name).simulated
    table = frames.tables(study.store, study.name)["sessions"]
    assert table["simulated"].tolist() == [False, True]


def test_closed_study_stays_closed(study: Study) -> None:
    Studies(study.store).set_state(study.name, "closed")
    Studies(study.store).set_state(study.name, "closed")
    with pytest.raises(StateError, match="stays closed"):
        Studies(study.store).set_state(study.name, "open")
    with pytest.raises(StateError, match="closed"):
        study.token()


def test_unknown_study_suggests_the_nearest(study: Study) -> None:
    with pytest.raises(UsageError, match="Did you mean 'small'"):
        Studies(study.store).get("smal")


def test_empty_database_says_that_it_holds_no_study(store: Store) -> None:
    with pytest.raises(UsageError, match="holds no study"):
        Studies(store).get("small")


def test_released_rater_can_not_vote_any_more_and_votes_stay(study: Study) -> None:
    session = study.rating()
    study.vote(session, 1)
    study.clock.wait(days=15)
    name = pseudonym(study, session)
    assert Raters(study.store, study.name).release(dt.timedelta(days=14), [name]) == [name]
    with pytest.raises(VoteError) as refused:
        study.vote(session, 2)
    assert refused.value.why == "ended"
    assert RaterSession(study.store, session).state().outcome == "expired"
    assert len(frames.tables(study.store, study.name)["votes"]) == 1


def test_rater_who_is_active_is_not_released(study: Study) -> None:
    session = study.rating()
    study.clock.wait(days=15)
    study.vote(session, 1)
    idle = dt.timedelta(days=14)
    assert Raters(study.store, study.name).release(idle) == []
    with pytest.raises(StateError, match="did something"):
        Raters(study.store, study.name).release(idle, [pseudonym(study, session)])


def test_decision_needs_a_reason_and_can_be_taken_back(study: Study) -> None:
    session = study.rating()
    study.vote(session, 1)
    name = pseudonym(study, session)
    with pytest.raises(UsageError, match="needs a reason"):
        Raters(study.store, study.name).decide(name, False, " ")
    Raters(study.store, study.name).decide(name, False, "fell asleep")
    votes = frames.tables(study.store, study.name)["votes"]
    assert votes[["accepted", "reason"]].values.tolist() == [[False, "fell asleep"]]
    Raters(study.store, study.name).decide(name, None, "")
    assert frames.tables(study.store, study.name)["votes"]["accepted"].all()


def test_slot_comes_back_when_a_refusal_is_taken_back_unless_it_was_given_away(
    study: Study,
) -> None:
    first = study.rating()
    study.vote_all(first)
    RaterSession(study.store, first).answer("after", {})
    name = pseudonym(study, first)
    Raters(study.store, study.name).decide(name, False, "bad light")
    assert rows(study) == [(0, 0, False)]
    Raters(study.store, study.name).decide(name, None, "")
    assert rows(study) == [(0, 0, True)]
    Raters(study.store, study.name).decide(name, False, "bad light")
    study.enrol()
    Raters(study.store, study.name).decide(name, None, "")
    assert rows(study) == [(0, 0, False), (1, 0, True)]


def test_release_waits_for_a_vote_under_way_and_spares_its_rater(
    study: Study, race: Race, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who comes back while the operator releases keeps the place, or has ended: never both."""
    session = study.rating()
    study.clock.wait(days=20)
    began = threading.Event()
    genuine = SeenSession.count

    def slow(*given: Any) -> None:
        genuine(*given)
        began.set()
        time.sleep(0.2)  # long enough for the release to meet the lock; that is no event here

    def vote_or_release(number: int) -> object:
        if number:
            began.wait(5)
            return Raters(study.store, study.name).release(dt.timedelta(days=1))
        return study.vote(session, 1)

    monkeypatch.setattr(SeenSession, "count", slow)
    voted, released = race(vote_or_release, 2)
    assert isinstance(voted, Receipt)
    assert released == []
    assert RaterSession(study.store, session).state().outcome is None


def test_who_declines_while_another_enrols_by_the_link_is_taken_off_its_count(
    new_database: Callable[..., str],
) -> None:
    """The other one comes when the count was read, and before it is written."""
    with open_store(new_database("postgresql")) as store:
        study = Study(store)
        token = study.token("open", quota=2)
        declining, others = study.enrol(token), list[str]()

        def meanwhile(tx: Transaction, *_: object) -> None:
            if not others and any(isinstance(row, Invitation) for row in tx.dirty):
                others.append("comes")
                others.append(study.enrol(token))

        event.listen(Transaction, "before_flush", meanwhile)
        try:
            assert raters.decline(store, declining)
        finally:
            event.remove(Transaction, "before_flush", meanwhile)
        assert len(others) == 2
        (link,) = [row for row in Links(store, study.name).listing() if row.kind == "open"]
        assert link.used == 1


def test_an_active_plan_goes_by_the_accepted_votes_of_those_before(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of nine votes, a repeat and two checks of a rater the votes; none of who isn't used."""
    given: list[Any] = []

    def kept(*arguments: Any) -> Any:
        given.append(arguments[-1])
        return plain_plan(*arguments)

    monkeypatch.setattr("sreval.study.plan.make_plan", kept)
    asked = design(sittings={}, task={"kind": "pair"}, subset=4, pairs={"plan": "active"})
    study = Study(store, asked)
    first, second = study.rating(), study.rating()
    study.vote_all(first)
    study.vote_all(second, 4)
    study.enrol()
    Raters(store, study.name).decide(pseudonym(study, first), False, "Left the room.")
    study.enrol()
    assert [len(judged) for judged in given[:2]] == [0, 0]
    before, after = (frame.groupby("session").size().to_dict() for frame in given[2:])
    assert before[first] == 9
    assert after == {second: before[second]}
    assert set(given[3]["choice"]) <= {"left", "right"}
    assert given[3][["dataset", "image", "left", "right"]].notna().all(axis=None)
