"""A session from consent to thanks, on both databases."""

from __future__ import annotations

from sreval.store import progress
from tests.store.conftest import Study


def test_whole_way_goes_through_every_stage_in_order(study: Study) -> None:
    session = study.enrol()
    seen = [progress.state(study.store, session).stage]
    seen.append(progress.agree(study.store, session, "1").stage)
    seen.append(progress.device(study.store, session, {}, False).stage)
    seen.append(progress.device(study.store, session, {}, True).stage)
    seen.append(progress.answer(study.store, session, "before", {"sight": "good"}).stage)
    seen.append(progress.start(study.store, session).stage)
    for position in range(1, 13):
        state = study.vote(session, position).current.state
        if state.stage != "rating":
            seen.append(state.stage)
        if state.stage in ("break", "rest"):
            study.clock.wait(hours=1)
            progress.resume_after_break(study.store, session)
    seen.append(progress.answer(study.store, session, "after", {"remarks": "nice"}).stage)
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
    assert progress.state(study.store, session).outcome == "complete"
