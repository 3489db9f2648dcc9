"""Killing the site loses no acknowledged vote, and the comparison would see one that was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import delete, update

from benchmarks.durability import compare, endure, kill
from benchmarks.site import links, noise_study
from sreval.store import enrolment
from sreval.store.database import open_store
from sreval.store.models import Vote
from sreval.store.sessions import RaterSession
from sreval.study.manifest import load_manifest
from tests.load.visitor import Visit


@pytest.mark.slow
@pytest.mark.parametrize(
    "database_kind",
    ["sqlite", pytest.param("postgresql", marks=pytest.mark.evidence)],
    indirect=True,
)
def test_two_kills_lose_and_double_no_vote(tmp_path: Path, database_url: str) -> None:
    row = endure(tmp_path, database_url, 2, 4, kill)
    assert (row["lost"], row["changed"], row["doubled"], row["gaps"]) == (0, 0, 0, 0)
    assert row["acknowledged"] >= 3  # one before each kill, one after the last
    assert row["stored"] >= row["acknowledged"]
    assert row["retries"] >= 2


def test_a_vote_that_was_lost_or_changed_would_be_seen(
    tmp_path: Path, new_database: Callable[..., str]
) -> None:
    url = new_database("sqlite")
    study = noise_study(tmp_path / "study", images=2, raters=1)
    token = links(study, url, 1)[0].removeprefix("/r/")
    store = open_store(url)
    session = enrolment.enrol(store, token, load_manifest(study)).session_id
    RaterSession(store, session).agree("1")
    RaterSession(store, session).device({}, True)
    RaterSession(store, session).start()
    visit = Visit(session=session)
    for position in range(1, 5):
        rated = RaterSession(store, session)
        rated.sent(rated.state().items[0].pictures[0])
        rated.vote(
            position,
            3,
            key=f"key-{position:06}",
            response_ms=1000,
            shown_at=store.clock(),
            device="",
        )
        visit.votes[position] = 3
    assert compare(url, [visit])["acknowledged"] == compare(url, [visit])["stored"] == 4
    with store.begin() as tx:
        tx.execute(delete(Vote).where(Vote.position == 2))
        tx.execute(update(Vote).where(Vote.position == 3).values(score=5))
    store.dispose()
    found = compare(url, [visit])
    assert (found["lost"], found["changed"], found["gaps"]) == (1, 1, 1)
