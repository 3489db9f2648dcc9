"""Groups and quotas, on both databases: who comes where, who is turned away, what is exported."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from sreval.errors import UsageError
from sreval.store import frames, invitations, raters, snapshot
from sreval.store.database import Store, open_store
from sreval.store.errors import TokenError
from sreval.store.invitations import Links
from sreval.store.models import Session
from sreval.store.reminders import Reminders
from sreval.store.sessions import RaterSession
from sreval.study.design import StudyDesign
from sreval.study.manifest import Manifest
from sreval.study.plan import Item
from tests.store.conftest import Study, design, plain_plan

GROUPS: list[dict[str, Any]] = [
    {"name": "both", "raters": 4},
    {"name": "without-hr", "raters": 2, "methods": ["bicubic", "srresnet"]},
]
ASKED = [{"key": "eyes", "text": "Eyes?", "options": ["near", "far"]}]
QUOTA = [{"question": "eyes", "option": "near", "raters": 2}]


@pytest.fixture
def grouped(store: Store) -> Study:
    return Study(store, design(raters=6, groups=GROUPS))


def places(study: Study) -> list[tuple[str, int]]:
    """Group and slot of those who hold one, in the order in which they came."""
    query = select(Session.group, Session.slot).where(Session.holds_slot)
    with study.store.read() as tx:
        return [(group, slot) for group, slot in tx.execute(query.order_by(Session.created_at))]


def test_raters_come_to_the_group_that_lacks_most_and_are_planned_for_it(
    grouped: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned: list[tuple[tuple[str, ...], int]] = []

    def made(own: StudyDesign, of: Manifest, slot: int, *more: Any) -> tuple[Item, ...]:
        planned.append((own.images.methods, slot))
        return plain_plan(own, of, slot, *more)

    monkeypatch.setattr("sreval.study.plan.make_plan", made)
    token = grouped.token("open")
    for there in range(1, 7):
        grouped.enrol(token)
        counts = Counter(group for group, _ in places(grouped))
        shares = [counts[group["name"]] / group["raters"] for group in GROUPS]
        assert max(shares) - min(shares) <= 0.5, there
    assert Counter(places(grouped)) == Counter(
        [("both", slot) for slot in range(4)] + [("without-hr", slot) for slot in range(2)]
    )
    methods = {"both": ("bicubic", "srresnet", "hr"), "without-hr": ("bicubic", "srresnet")}
    assert planned == [(methods[group], slot) for group, slot in places(grouped)]
    exported = frames.tables(grouped.store, grouped.name)["sessions"]
    assert list(zip(exported["group"], exported["slot"], strict=True)) == places(grouped)


def test_whoever_replaces_a_drop_out_takes_group_and_slot(grouped: Study) -> None:
    sessions = [grouped.enrol() for _ in range(6)]
    lost = places(grouped)[2]
    raters.withdraw(grouped.store, sessions[2])
    grouped.enrol()
    assert places(grouped)[-1] == lost


def test_nobody_is_reminded_to_begin_in_a_group_that_is_full(grouped: Study) -> None:
    def due() -> set[str]:
        found = Reminders(grouped.store, grouped.name).due(dt.timedelta())
        return {one.label for one in found.reminders if one.why == "not opened"}

    for group in ("both", "without-hr"):
        grouped.token(group=group, label=group)
    first, _ = (grouped.enrol(grouped.token(group="without-hr")) for _ in range(2))
    assert due() == {"both"}
    renewed = Reminders(grouped.store, grouped.name).renew(dt.timedelta(), str)
    assert "without-hr" not in {one.label for one in renewed}
    raters.withdraw(grouped.store, first)
    assert due() == {"both", "without-hr"}


def test_raters_who_come_at_once_fill_the_groups(
    grouped: Study, race: Callable[..., list[object]]
) -> None:
    token = grouped.token("open")
    race(lambda _: grouped.enrol(token), 6)
    assert Counter(group for group, _ in places(grouped)) == {"both": 4, "without-hr": 2}


def test_a_link_leads_to_its_group_until_that_is_full(grouped: Study) -> None:
    token = grouped.token("open", group="without-hr")
    own = grouped.token(group="without-hr")
    grouped.enrol(own)
    grouped.enrol(token)
    assert places(grouped) == [("without-hr", 0), ("without-hr", 1)]
    with pytest.raises(TokenError) as full:
        grouped.enrol(token)
    assert full.value.why == "full"
    with pytest.raises(TokenError, match="has all its raters"):
        invitations.lookup(grouped.store, token)
    assert invitations.lookup(grouped.store, own).session_id  # who is in goes on
    with pytest.raises(UsageError, match="no group 'with-hr'"):
        Links(grouped.store, grouped.name).create(group="with-hr")


def test_an_export_with_groups_comes_back_the_same(grouped: Study, tmp_path: Path) -> None:
    session = grouped.rating(grouped.enrol(grouped.token(group="without-hr")))
    grouped.vote(session, 1)
    first = snapshot.export(grouped.store, grouped.name, grouped.manifest, tmp_path / "one.zip")
    with open_store(f"sqlite:///{tmp_path / 'other.sqlite'}", create=True) as other:
        snapshot.import_(other, first, grouped.name)
        again = snapshot.export_files(other, grouped.name, grouped.manifest)
    assert again == snapshot.export_files(grouped.store, grouped.name, grouped.manifest)
    assert b"without-hr" in again["sessions.csv"]


def test_an_answer_of_which_there_are_enough_ends_the_session(
    store: Store, race: Callable[..., list[Any]]
) -> None:
    study = Study(store, design(raters=4, questions=ASKED, quotas=QUOTA))
    sessions = [study.enrol() for _ in range(5)]
    for session in sessions:
        RaterSession(store, session).agree("1")
        RaterSession(store, session).device({}, True)

    def answered(number: int) -> Any:
        return RaterSession(store, sessions[number]).answer("before", {"eyes": "near"})

    ends = [state.outcome for state in race(answered, 4)]
    assert sorted(map(str, ends)) == ["None", "None", "quota_full", "quota_full"]
    assert len(places(study)) == 3
    state = RaterSession(store, sessions[4]).answer("before", {"eyes": "far"})
    assert state.stage == "instructions"
    # who leaves makes room for another one with the same answer
    raters.withdraw(store, sessions[ends.index(None)])
    late = study.enrol()
    RaterSession(store, late).agree("1")
    RaterSession(store, late).device({}, True)
    assert RaterSession(store, late).answer("before", {"eyes": "near"}).outcome is None
