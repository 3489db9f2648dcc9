"""A study as one object: the operator's decision above the rules', the deleted counted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sreval.errors import DataError
from sreval.store import frames
from sreval.store.database import Store
from sreval.store.frames import record_look, study_data
from sreval.store.raters import Raters
from sreval.study.data import StudyData
from sreval.study.manifest import Manifest
from tests.store.conftest import Study, design


def test_what_was_collected_stands_in_one_object(study: Study) -> None:
    for upto in (None, None, 4):
        study.vote_all(study.rating(), upto)
    names = [row["rater"] for row in collected(study).sessions.to_dict("records")]
    Raters(study.store, study.name).decide(names[0], False, "Left the room.")
    Raters(study.store, study.name).delete(names[1])
    data = collected(study)
    assert data.design == study.design
    assert (data.state, data.deleted, data.invited) == ("open", 1, 3)
    assert set(data.sessions["rater"]) == {names[0], names[2]}
    assert set(data.opinions["rater"]) == {names[2]}
    assert len(data.opinions) == 4
    own = data.sessions.set_index("rater")
    assert not own.loc[names[0], "accepted"]
    assert own.loc[names[0], "reason"] == "Left the room."
    assert own.loc[names[2], "accepted"]
    flags = data.monitoring.flags
    assert flags.iloc[0][["flag", "reason"]].tolist() == ["not used", "Left the room."]
    assert data.monitoring.outcomes["enrolled"] == 3
    assert data.monitoring.progress.iloc[0]["votes"] == 4


def test_a_study_is_read_at_one_moment(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else enrols when the votes are read already."""
    study.enrol()
    tables_of = frames.tables_of

    def read_and_go_on(*given: Any) -> Any:
        found = tables_of(*given)
        study.enrol()
        return found

    with monkeypatch.context() as patched:
        patched.setattr(frames, "tables_of", read_and_go_on)
        data = collected(study)
    assert data.invited == len(data.sessions) == 1
    assert collected(study).invited == 2


def test_a_study_without_raters_is_empty_not_an_error(study: Study) -> None:
    data = collected(study)
    assert data.opinions.empty
    assert data.sessions.empty
    assert not data.simulated
    assert data.monitoring.flags.empty


def test_looks_are_kept_in_order(store: Store) -> None:
    study = Study(store, design(analysis={"look_before_close": True}))
    study.vote_all(study.rating(), upto=9)
    seen = collected(study)
    record_look(store, replace(seen, votes=seen.votes.head(5)))
    now = record_look(store, seen, who="ada")
    assert now.looks == collected(study).looks
    assert [(look.who, look.votes) for look in now.looks] == [
        ("command line", 5),
        ("ada", 9),
    ]


def test_nobody_looks_too_early_where_results_are_hidden(study: Study) -> None:
    assert record_look(study.store, collected(study)).looks == ()
    assert collected(study).looks == ()


def test_another_manifest_is_refused(study: Study) -> None:
    first, *others = study.manifest.stimuli
    other = Manifest((replace(first, sha256="f" * 64), *others))
    with pytest.raises(DataError, match="not the one under which small was rated"):
        study_data(study.store, study.name, other)


def collected(study: Study) -> StudyData:
    return study_data(study.store, study.name, study.manifest)
