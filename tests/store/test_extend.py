"""A link that lets more raters begin, or for longer; and what the log says of whom."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from sreval.errors import UsageError
from sreval.store import audit, raters
from sreval.store.audit import AuditLog
from sreval.store.errors import StateError, TokenError
from sreval.store.invitations import Links
from sreval.store.raters import Raters
from sreval.store.studies import Studies
from tests.store.conftest import START, Study
from tests.store.test_enrolment import pseudonym

LATER = START + dt.timedelta(days=9)


def facts(study: Study, action: str) -> list[dict[str, Any]]:
    return [d.facts for d in AuditLog(study.store).entries(study.name) if d.action == action]


def test_extended_link_lets_in_more_and_for_longer(study: Study) -> None:
    key, token = Links(study.store, study.name).create(
        "open", quota=1, expires=START + dt.timedelta(days=1)
    )
    study.enrol(token)
    with pytest.raises(TokenError):
        study.enrol(token)
    Links(study.store, study.name).extend(key, quota=2)
    study.clock.wait(days=2)
    with pytest.raises(TokenError):
        study.enrol(token)
    Links(study.store, study.name, "Anna").extend(key, expires=LATER)
    study.enrol(token)
    assert facts(study, "extend") == [
        {"invitation": key, "expires": LATER.isoformat()},
        {"invitation": key, "quota": 2},
    ]


@pytest.mark.parametrize(
    ("kind", "options", "error"),
    [
        ("open", {}, UsageError),
        ("open", {"quota": 0}, UsageError),
        ("personal", {"quota": 2}, UsageError),
    ],
)
def test_extension_that_cant_be_is_refused(
    study: Study, kind: Any, options: dict[str, Any], error: type[Exception]
) -> None:
    key, _ = Links(study.store, study.name).create(kind)
    with pytest.raises(error):
        Links(study.store, study.name).extend(key, **options)
    with pytest.raises(UsageError, match="no link 999"):
        Links(study.store, study.name).extend(999, quota=3)
    assert facts(study, "extend") == []


def test_quota_stays_above_those_who_came(study: Study) -> None:
    key, token = Links(study.store, study.name).create("open")
    study.enrol(token), study.enrol(token)
    with pytest.raises(UsageError, match="let 2 in"):
        Links(study.store, study.name).extend(key, quota=1)


def test_nothing_is_extended_that_is_over(study: Study) -> None:
    key, _ = Links(study.store, study.name).create("open")
    Links(study.store, study.name).revoke(key)
    with pytest.raises(StateError, match="revoked"):
        Links(study.store, study.name).extend(key, expires=LATER)
    other, _ = Links(study.store, study.name).create("open")
    Studies(study.store).set_state(study.name, "closed")
    with pytest.raises(StateError, match="closed"):
        Links(study.store, study.name).extend(other, expires=LATER)


@pytest.mark.parametrize("way", ["delete", "withdraw"])
def test_log_forgets_a_deleted_rater_and_keeps_what_was_done(study: Study, way: str) -> None:
    gone, stays = study.enrol(), study.enrol()
    name, other = pseudonym(study, gone), pseudonym(study, stays)
    for rater in (name, other):
        Raters(study.store, study.name).decide(rater, True, f"{rater} told me at lunch")
        Links(study.store, study.name).renew(rater)
    study.clock.wait(days=30)
    Raters(study.store, study.name).release(dt.timedelta(days=1))
    before = [d.action for d in AuditLog(study.store).entries(study.name)]
    if way == "delete":
        Raters(study.store, study.name).delete(name)
    else:
        raters.withdraw(study.store, gone, delete=True)
    after = AuditLog(study.store).entries(study.name)
    assert [d.action for d in after if d.action != "delete-rater"] == before
    assert name not in repr(after)
    assert [d.facts for d in after if d.action == "decide"] == [
        {"accepted": True, "rater": other, "why": f"{other} told me at lunch"},
        {"accepted": True, "rater": audit.DELETED},
    ]
    assert facts(study, "release") == [{"raters": [audit.DELETED, other]}]
    assert facts(study, "renew-link") == [{"rater": other}, {"rater": audit.DELETED}]


def test_label_of_a_renewed_link_goes_with_its_rater(study: Study) -> None:
    token = study.token(label="Erika Mustermann")
    name = pseudonym(study, study.enrol(token))
    Links(study.store, study.name).renew(name)
    labels = [row.label for row in Links(study.store, study.name).listing()]
    assert labels == ["Erika Mustermann"] * 2
    Raters(study.store, study.name).delete(name)
    assert [row.label for row in Links(study.store, study.name).listing()] == ["", ""]
