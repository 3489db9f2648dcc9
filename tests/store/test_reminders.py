"""Who is reminded, and what becomes of their links."""

from __future__ import annotations

import datetime as dt

import pytest

from sreval.store import enrolment
from sreval.store.audit import AuditLog
from sreval.store.errors import StaleError, StateError, TokenError
from sreval.store.invitations import Links, lookup
from sreval.store.raters import Raters
from sreval.store.reminders import Reminder, Reminders
from sreval.store.sessions import RaterSession
from sreval.store.studies import Studies
from tests.store.conftest import Study

DAY = dt.timedelta(days=1)


def address(token: str) -> str:
    return f"https://rate.example.org/r/{token}"


def test_who_could_go_on_is_reminded_and_nobody_else(study: Study) -> None:
    study.token(label="not opened")
    study.token(label="expired", expires=study.clock.now + dt.timedelta(hours=1))
    ended = study.rating(study.enrol(study.token(label="ended")))
    study.vote_all(ended)
    RaterSession(study.store, ended).answer("after", {})
    stopped = study.rating(study.enrol(study.token(label="stopped")))
    study.vote(stopped, 1)
    study.rating(study.enrol(study.token("open", quota=5)))
    Links(study.store, study.name).revoke(
        Links(study.store, study.name).create("personal", label="revoked")[0]
    )
    study.token(label="simulated", simulated=True)
    study.clock.wait(days=2)
    resting = study.rating(study.enrol(study.token(label="resting")))
    study.vote_all(resting, upto=5)
    study.vote(resting, 6)  # before a rest of half an hour
    assert RaterSession(study.store, resting).state().stage == "rest"

    found = Reminders(study.store, study.name).due(DAY)
    told = [(one.label, one.why, one.done, one.of) for one in found.reminders]
    assert told == [("not opened", "not opened", None, None), ("stopped", "stopped", 1, 12)]
    assert found.unknown == 1
    study.clock.wait(minutes=29)
    assert "resting" not in {one.label for one in all_due(study)}
    study.clock.wait(minutes=2)
    assert ("resting", "rest is over") in {(one.label, one.why) for one in all_due(study)}


def all_due(study: Study) -> tuple[Reminder, ...]:
    return Reminders(study.store, study.name).due(dt.timedelta()).reminders


def test_a_renewed_link_leads_on_and_the_old_one_no_more(study: Study) -> None:
    fresh, begun = study.token(label="=fresh"), study.token(label="begun")
    session = study.rating(study.enrol(begun))
    study.vote(session, 1)
    study.clock.wait(days=2)
    made = Reminders(study.store, study.name, "ada").renew(DAY, address)
    tokens = {one.label: one.address.removeprefix("https://rate.example.org/r/") for one in made}
    assert set(tokens) == {"=fresh", "begun"}
    for old in (fresh, begun):
        with pytest.raises(TokenError, match="revoked"):
            lookup(study.store, old)
    assert enrolment.enrol(study.store, tokens["begun"], study.manifest).session_id == session
    assert study.enrol(tokens["=fresh"]) != session
    entries = [e for e in AuditLog(study.store).entries(study.name) if e.action == "renew-link"]
    assert {entry.who for entry in entries} == {"ada"}
    assert not any(token in str(entry) for token in tokens.values() for entry in entries)
    # who was just sent a link is not reminded again at once, and is after another day
    assert Reminders(study.store, study.name).renew(DAY, address) == []
    study.clock.wait(days=2)
    assert len(Reminders(study.store, study.name).renew(DAY, address)) == 2


def test_a_renewal_is_refused_where_somebody_changed_a_rater_or_the_study_stands_still(
    study: Study,
) -> None:
    session = study.rating()
    study.vote(session, 1)
    study.clock.wait(days=2)
    shown = AuditLog(study.store).newest(study.name)
    rater = all_due(study)[0].rater
    Raters(study.store, study.name).decide(rater, True, "known")
    with pytest.raises(StaleError):
        Reminders(study.store, study.name, made_from=shown).renew(DAY, address)
    for state in ("paused", "closed"):
        Studies(study.store).set_state(study.name, state)
        with pytest.raises(StateError, match=f"is {state}: nobody could go on"):
            Reminders(study.store, study.name).due(DAY)
