"""Viewing checks in the database: their order, what they find, and what keeps hold of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from sqlalchemy import func, select

from sreval.store import frames, schema, snapshot
from sreval.store.database import Store, open_store
from sreval.store.errors import CheckError
from sreval.store.models import Session, ViewingCheck
from sreval.store.raters import Raters, withdraw
from sreval.store.rehearsal import rehearse
from sreval.store.sessions import RaterSession, SessionState
from sreval.study import viewing
from tests.store.conftest import Study, design
from tests.store.test_schema import rows_of, study_rater
from tests.study.frozen import QUALITIES

ALL = dict.fromkeys(viewing.CHECKS, True)


def checked(store: Store, **more: Any) -> Study:
    return Study(store, design(viewing={"checks": ALL | more}))


def at_checks(study: Study) -> RaterSession:
    rater = RaterSession(study.store, study.enrol())
    rater.agree("1")
    assert rater.device({}, True).stage == "checks"
    return rater


def make(rater: RaterSession, kind: viewing.Check, **changes: Any) -> SessionState:
    """What an ordinary rater observes, with changes."""
    state = rater.state()
    right = viewing.plate_gaps(state.plates)
    seen = json.loads(viewing.simulated(kind, state.checks, right))
    return rater.check(kind, json.dumps(seen | changes))


def session_of(study: Study, rater: RaterSession) -> dict[str, Any]:
    own = frames.tables(study.store, study.name)["sessions"]
    return dict(own[own["session"] == rater.id].iloc[0])


def test_checks_come_in_order_and_each_stays_as_it_was_first_made(store: Store) -> None:
    study = checked(store)
    rater = at_checks(study)
    assert rater.check("acuity", None).check == "card"  # not its turn
    assert make(rater, "card").check == "distance"
    again = make(rater, "card", width=100)
    assert again.check == "distance"
    assert again.checks["card"]["width"] == 323.5
    for kind in ("distance", "patches", "colour", "acuity"):
        state = make(rater, kind)
    assert state.stage == "questions"
    assert (state.check, state.checks) == (None, {})
    found = session_of(study, rater)
    assert found["pixels_per_mm"] == pytest.approx(96 / 25.4, abs=0.001)
    assert found["distance_mm"] == pytest.approx(600, abs=0.5)
    assert found["pixels_per_degree"] == pytest.approx(39.58, abs=0.05)
    assert found["gamma"] == pytest.approx(2.2, abs=0.01)
    assert (found["black_step"], found["colour_wrong"]) == (2, 0)
    assert found["acuity"] == found["finest_acuity"] == pytest.approx(0.66, abs=0.005)


def test_what_can_t_be_true_is_refused_and_the_rater_tries_again(store: Store) -> None:
    rater = at_checks(checked(store))
    for observed in ("", "[]", '{"ratio": 1, "width": 3}', "x" * 10_000):
        with pytest.raises(CheckError, match="can't be used"):
            rater.check("card", observed)
    assert rater.state().check == "card"
    assert make(rater, "card").check == "distance"


def test_a_check_that_is_left_out_takes_along_what_needs_it(store: Store) -> None:
    study = checked(store)
    rater = at_checks(study)
    state = rater.check("card", None)
    assert state.check == "patches"
    assert set(state.checks) == {"card", "distance", "acuity"}
    make(rater, "patches")
    assert rater.check("colour", None).stage == "questions"
    found = session_of(study, rater)
    assert found["gamma"] == pytest.approx(2.2, abs=0.01)
    assert found["pixels_per_mm"] is found["acuity"] is found["colour_wrong"] is None


def test_limits_end_a_session_and_so_does_leaving_out_what_is_required(store: Store) -> None:
    study = checked(store, required=True, colour_most_wrong=3)
    rater = at_checks(study)
    make(rater, "card")
    assert rater.check("distance", None).outcome == "screened_out"
    other = at_checks(study)
    for kind in ("card", "distance", "patches"):
        make(other, kind)
    state = make(other, "colour", answers=[""] * len(viewing.PLATES))
    assert (state.stage, state.outcome) == ("done", "screened_out")
    assert session_of(study, other)["colour_wrong"] == 9


def test_a_design_without_checks_has_no_such_stage_and_no_such_column(study: Study) -> None:
    rater = RaterSession(study.store, study.enrol())
    rater.agree("1")
    assert rater.device({}, True).stage == "questions"
    assert rater.check("card", None).stage == "questions"
    own = frames.tables(study.store, study.name)
    assert "gamma" not in own["sessions"]
    assert own["checks"].empty


def test_checks_go_with_their_rater(store: Store) -> None:
    study = checked(store)
    rater = at_checks(study)
    make(rater, "card")
    Raters(store, study.name).delete(study_rater(study, rater.id))
    gone = at_checks(study)
    make(gone, "card")
    withdraw(store, gone.id, delete=True)
    with store.read() as tx:
        assert tx.scalar(select(func.count()).select_from(ViewingCheck)) == 0


def test_export_and_import_keep_them_and_older_exports_have_none(
    store: Store, tmp_path: Path
) -> None:
    study = checked(store)
    make(at_checks(study), "card")
    before = snapshot.export(store, study.name, study.manifest, tmp_path / "export")
    other = open_store(f"sqlite:///{tmp_path / 'other.sqlite'}", create=True)
    snapshot.import_(other, before, study.name)
    after = snapshot.export(other, study.name, study.manifest, tmp_path / "again")
    for path in before.iterdir():
        assert path.read_bytes() == (after / path.name).read_bytes()
    assert b"pixels_per_mm" in (after / "checks.csv").read_bytes()
    other.dispose()

    (before / "checks.csv").unlink()
    manifest = json.loads((before / "manifest.json").read_text())
    del manifest["sha256"]["checks.csv"]
    (before / "manifest.json").write_text(json.dumps(manifest))
    older = open_store(f"sqlite:///{tmp_path / 'older.sqlite'}", create=True)
    snapshot.import_(older, before, study.name)
    assert frames.tables(older, study.name)["checks"].empty
    assert len(frames.tables(older, study.name)["sessions"]) == 1
    older.dispose()


def test_a_step_down_and_up_keeps_all_that_hangs_on_a_session(store: Store) -> None:
    """Whoever is at a check is at the page before it again; what checks found is lost."""
    study = checked(store)
    rating = at_checks(study)
    for kind in viewing.CHECKS:
        make(rating, kind)
    rating.answer("before", {"sight": "good"})
    rating.start()
    study.mark_sent(rating.id, study.clock())
    for position in (1, 2, 3):
        study.vote(rating.id, position)
    waiting = at_checks(study)
    before = rows_of(store)
    assert all(before[name] for name in ("vote", "plan_item", "answer", "event"))
    with store.schema_change() as connection:
        command.downgrade(schema._config(connection), "0005")
    with store.schema_change() as connection:
        schema.to_head(connection)
    after = rows_of(store)
    assert len(before.pop("viewing_check")) == 5
    assert after.pop("viewing_check") == []
    assert len(after["session"]) == len(before.pop("session"))
    with store.read() as tx:
        assert tx.get_one(Session, waiting.id).stage == "device"
    del after["session"]
    assert after == before


def test_a_rehearsal_makes_them(frozen_study: Path) -> None:
    text = (frozen_study / "study.toml").read_text()
    asked = "\n[viewing.checks]\n" + "".join(f"{kind} = true\n" for kind in viewing.CHECKS)
    (frozen_study / "study.toml").write_text(text + asked + "required = true\n")
    url = f"sqlite:///{frozen_study / 'v.sqlite'}"
    made = rehearse(frozen_study, url, 1, QUALITIES)
    assert (made.complete, made.failures) == (1, [])
    opened = open_store(url)
    with opened.read() as tx:
        assert set(tx.scalars(select(ViewingCheck.kind))) == set(viewing.CHECKS)
    opened.dispose()
