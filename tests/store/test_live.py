"""What the live page counts, held against what raters did one by one."""

from __future__ import annotations

import datetime as dt

import pytest
from sqlalchemy import event, update

from sreval.errors import UsageError
from sreval.store.live import Live, Present
from sreval.store.models import PlanItem
from sreval.store.sessions import RaterSession
from tests.store.conftest import Study, design

GOLD = [{"dataset": "Set5", "method": "hr", "images": 1, "low": 4, "high": 5}]


def present(study: Study) -> dict[str, Present]:
    return {one.rater: one for one in Live.of(study.store, study.name).present}


def test_it_counts_who_is_here_and_what_came_lately(study: Study) -> None:
    away = study.rating()
    study.vote_all(away, upto=3)
    study.clock.wait(hours=2)
    done = study.rating()
    study.vote_all(done)
    RaterSession(study.store, done).answer("after", {})
    study.clock.wait(minutes=11)
    here = study.rating()
    study.vote(here, 1)
    study.vote(here, 2)
    study.enrol()
    found = Live.of(study.store, study.name)
    assert (found.state, found.target, found.under_way, found.filled) == ("open", 3, 3, 1)
    assert found.outcomes == {"complete": 1}
    assert found.votes == 3 + 12 + 2
    assert (found.recent, found.votes_a_minute) == (2, 1)
    assert found.stages == {"rating": 1, "consent": 1}
    assert {one.done for one in found.present} == {2, 0}
    assert not any(one.flags for one in found.present)
    study.clock.wait(minutes=3)
    flagged = Live.of(study.store, study.name).present[0]
    assert (flagged.done, flagged.flags) == (2, ("silent",))
    RaterSession(study.store, here).note("stimulus-changed", sha256="0" * 64)
    RaterSession(study.store, here).note("stimulus-changed", sha256="0" * 64)
    assert Live.of(study.store, study.name).refused == 1
    with pytest.raises(UsageError, match="none"):
        Live.of(study.store, "none")


def test_votes_that_waited_in_the_browser_are_late_whatever_its_clock_says(study: Study) -> None:
    session = study.rating()
    wrong = dt.timedelta(hours=5)
    for position in (1, 2):  # on time, by a clock that is five hours slow
        study.vote(session, position, shown_at=study.clock.now - wrong, response_ms=900.0)
    assert next(iter(present(study).values())).waited == 0
    shown = study.clock.now - wrong
    study.clock.wait(minutes=1)  # offline
    study.vote(session, 3, shown_at=shown, response_ms=900.0)
    (one,) = present(study).values()
    assert one.waited in (60, 61)
    assert one.flags == ("votes had to wait",)


def test_a_refresh_asks_few_questions_however_many_raters_there_are(study: Study) -> None:
    asked: list[str] = []
    event.listen(study.store.engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
    counts = []
    for _ in range(3):
        study.vote(study.rating(), 1)
        asked.clear()
        Live.of(study.store, study.name)
        counts.append(len(asked))
    assert len(set(counts)) == 1
    assert counts[0] <= 8


def test_gold_that_was_missed_is_counted(study: Study) -> None:
    gold = Study(study.store, design(name="gold", gold=GOLD))
    session = gold.rating()
    with gold.store.begin() as tx:
        first = (PlanItem.session_id == session, PlanItem.position <= 2)
        tx.execute(update(PlanItem).where(*first).values(kind="gold", low=4, high=5))
    gold.vote(session, 1, 5)
    gold.vote(session, 2, 3)
    (one,) = present(gold).values()
    assert (one.missed, one.flags) == (1, ("gold missed",))
