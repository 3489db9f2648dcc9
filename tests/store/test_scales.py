"""Votes of every task and scale in the database, and what is refused of them."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from sreval.api import read_votes
from sreval.errors import DataError
from sreval.files import sha256_bytes
from sreval.store import frames, snapshot
from sreval.store.database import Store, open_store
from sreval.store.errors import StateError, VoteError
from sreval.store.models import Vote
from sreval.store.rehearsal import rehearse
from sreval.store.sessions import RaterSession
from sreval.store.studies import Studies
from sreval.study import plan
from sreval.study.design import load_design
from sreval.study.manifest import load_manifest
from tests.store.conftest import Study, design, manifest
from tests.study.frozen import QUALITIES

NINE = {"words": ["bad", "", "poor", "", "fair", "", "good", "", "excellent"]}
ELEVEN = {"words": ["bad", *[""] * 9, "excellent"], "first": 0}
LINE = {"line": True}
MAKE_PLAN = plan.make_plan
"""The planner's own, before the fixture of the other tests of the store puts a plain one."""


def asking(store: Store, **changes: Any) -> Study:
    """The small study with another task or scale, all in one sitting."""
    return Study(store, design(sittings={}, **changes))


def exported(study: Study, folder: Path) -> Path:
    return snapshot.export(study.store, study.name, study.manifest, folder)


@pytest.mark.parametrize(
    ("scale", "taken", "refused"),
    [
        ({}, [(1, 1), (5, 5)], [0, 6, 3.5, 3.0]),
        (NINE, [(1, 1), (9, 9)], [0, 10, 4.5]),
        (ELEVEN, [(0, 0), (10, 10)], [-1, 11, 0.5]),
        (LINE, [(0, 0), (100, 100), (37.26, 37.3), (0.04, 0)], [-0.1, 100.1, float("nan")]),
    ],
)
def test_a_vote_is_on_the_scale_or_nothing_is_stored(
    store: Store, scale: dict[str, Any], taken: list[tuple[float, float]], refused: list[float]
) -> None:
    study = asking(store, scale=scale)
    session = study.rating()
    for score in [*refused, True]:
        with pytest.raises(VoteError) as raised:
            study.vote(session, 1, score)
        assert raised.value.why == "scale"
        assert raised.value.remedy == f"Scores are {study.design.scale.scores}."
    assert RaterSession(store, session).state().done == 0
    for position, (score, kept) in enumerate(taken, 1):
        assert study.vote(session, position, score).score == kept
    with store.read() as tx:
        found = tx.scalars(select(Vote.score).order_by(Vote.position)).all()
    assert found == [kept for _, kept in taken]
    assert [type(score) for score in found] == [type(kept) for _, kept in taken]


@pytest.mark.parametrize(
    ("scale", "told", "score"),
    [({}, "1..5", "4"), (NINE, "1..9", "4"), (ELEVEN, "0..10", "4"), (LINE, "0..100", "37.3")],
)
def test_an_export_says_its_task_and_scale_and_is_read_without_an_option(
    store: Store, tmp_path: Path, scale: dict[str, Any], told: str, score: str
) -> None:
    study = asking(store, scale=scale, task={"kind": "acr-hr"})
    session = study.rating()
    study.vote(session, 1, json.loads(score))
    folder = exported(study, tmp_path / "export")
    with (folder / "votes.csv").open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["task"], row["rating_scale"], row["score"]) == ("acr-hr", told, score)
    read = read_votes(folder / "votes.csv")
    assert (read.task, read.scale) == ("acr-hr", study.design.scale.numbers)
    assert read.frame["score"].tolist() == [float(score)]
    data = frames.study_data(store, study.name, study.manifest)
    assert data.votes["task"].tolist() == ["acr-hr"]


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"task": {"kind": "acr-hr"}}, "task"),
        ({"scale": NINE}, "scale"),
        ({"language": "de"}, "language"),
    ],
)
def test_task_and_scale_stay_once_a_rater_has_enrolled(
    study: Study, tmp_path: Path, changes: dict[str, Any], key: str
) -> None:
    studies = Studies(study.store)
    studies.register(design(**changes), manifest())
    studies.register(design(), manifest())
    study.vote(study.rating(), 1)
    with pytest.raises(StateError, match=rf"The design of study 'small' changed .*: {key}\."):
        studies.register(design(**changes), manifest())
    path = exported(study, tmp_path / "export.zip")
    with open_store(str(tmp_path / "other.sqlite"), create=True) as other:
        Studies(other).register(design(**changes), manifest())
        with pytest.raises(StateError, match=rf"another design or other stimuli: {key}\."):
            snapshot.import_(other, path, "small")
        assert Studies(other).votes_and_newest()[0] == 0


@pytest.mark.parametrize(("scale", "bad"), [({}, "3.5"), (NINE, "0"), (LINE, "100.5")])
def test_an_export_with_a_score_off_its_scale_is_refused_whole(
    store: Store, tmp_path: Path, scale: dict[str, Any], bad: str
) -> None:
    study = asking(store, scale=scale)
    study.vote(study.rating(), 1, 4)
    folder = exported(study, tmp_path / "export")
    votes, contents = folder / "votes.csv", folder / "manifest.json"
    votes.write_bytes(votes.read_bytes().replace(b",4,vote,", f",{bad},vote,".encode()))
    told = json.loads(contents.read_text())
    told["sha256"]["votes.csv"] = sha256_bytes(votes.read_bytes())
    contents.write_text(json.dumps(told))
    with (
        open_store(str(tmp_path / "other.sqlite"), create=True) as other,
        pytest.raises(
            DataError, match=rf"votes.csv, row 1, score: {bad} isn't a score; scores are"
        ),
    ):
        snapshot.import_(other, folder, "small")


@pytest.mark.parametrize("scale", [ELEVEN, LINE])
def test_a_rehearsal_answers_on_any_scale(
    frozen_study: Path, scale: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sreval.study.plan.make_plan", MAKE_PLAN)
    path = frozen_study / "study.toml"
    rows = ", ".join(f"{key} = {json.dumps(value)}" for key, value in scale.items())
    text = path.read_text().replace("[images]", f"scale = {{ {rows} }}\n[images]", 1)
    path.write_text(text.replace("score = 5", "score = 9"))
    chosen = load_design(frozen_study).scale
    width = chosen.high - chosen.low
    qualities = {key: chosen.low + (q - 1) / 4 * width for key, q in QUALITIES.items()}
    database = str(frozen_study / "votes.sqlite")
    made = rehearse(frozen_study, database, 4, qualities, seed=2)
    assert (made.complete, made.failures) == (4, [])
    with open_store(database) as store:
        votes = frames.study_data(store, "small", load_manifest(frozen_study)).opinions
    assert len(votes) == 4 * 9
    assert votes["score"].between(chosen.low, chosen.high).all()
    assert votes["score"].max() > 5
    means = votes.groupby("method")["score"].mean()
    assert means["nearest"] < means["bicubic"] < means["hr"]
