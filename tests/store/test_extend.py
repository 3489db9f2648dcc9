"""A link that lets more raters begin, or for longer; and what the log says of whom."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from sreval.errors import UsageError
from sreval.store import audit, invitations, raters, studies
from sreval.store.errors import StateError, TokenError
from tests.store.conftest import START, Study
from tests.store.test_enrolment import pseudonym

LATER = START + dt.timedelta(days=9)


def facts(study: Study, action: str) -> list[dict[str, Any]]:
    return [d.facts for d in audit.log(study.store, study.name) if d.action == action]


def test_extended_link_lets_in_more_and_for_longer(study: Study) -> None:
    key, token = invitations.create(
        study.store, study.name, "open", quota=1, expires=START + dt.timedelta(days=1)
    )
    study.enrol(token)
    with pytest.raises(TokenError):
        study.enrol(token)
    invitations.extend(study.store, study.name, key, quota=2)
    study.clock.wait(days=2)
    with pytest.raises(TokenError):
        study.enrol(token)
    invitations.extend(study.store, study.name, key, expires=LATER, who="Anna")
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
    key, _ = invitations.create(study.store, study.name, kind)
    with pytest.raises(error):
        invitations.extend(study.store, study.name, key, **options)
    with pytest.raises(UsageError, match="no link 999"):
        invitations.extend(study.store, study.name, 999, quota=3)
    assert facts(study, "extend") == []


def test_quota_stays_above_those_who_came(study: Study) -> None:
    key, token = invitations.create(study.store, study.name, "open")
    study.enrol(token), study.enrol(token)
    with pytest.raises(UsageError, match="let 2 in"):
        invitations.extend(study.store, study.name, key, quota=1)


def test_nothing_is_extended_that_is_over(study: Study) -> None:
    key, _ = invitations.create(study.store, study.name, "open")
    invitations.revoke(study.store, key)
    with pytest.raises(StateError, match="revoked"):
        invitations.extend(study.store, study.name, key, expires=LATER)
    other, _ = invitations.create(study.store, study.name, "open")
    studies.set_state(study.store, study.name, "closed")
    with pytest.raises(StateError, match="closed"):
        invitations.extend(study.store, study.name, other, expires=LATER)


@pytest.mark.parametrize("way", ["delete", "withdraw"])
def test_log_forgets_a_deleted_rater_and_keeps_what_was_done(study: Study, way: str) -> None:
    gone, stays = study.enrol(), study.enrol()
    name, other = pseudonym(study, gone), pseudonym(study, stays)
    for rater in (name, other):
        raters.decide(study.store, study.name, rater, True, f"{rater} told me at lunch")
        invitations.renew(study.store, study.name, rater)
    study.clock.wait(days=30)
    raters.release(study.store, study.name, dt.timedelta(days=1))
    before = [d.action for d in audit.log(study.store, study.name)]
    if way == "delete":
        raters.delete_rater(study.store, study.name, name)
    else:
        raters.withdraw(study.store, gone, delete=True)
    after = audit.log(study.store, study.name)
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
    invitations.renew(study.store, study.name, name)
    labels = [row.label for row in invitations.listing(study.store, study.name)]
    assert labels == ["Erika Mustermann"] * 2
    raters.delete_rater(study.store, study.name, name)
    assert [row.label for row in invitations.listing(study.store, study.name)] == ["", ""]
