"""Items of several pictures in the database: pairs and originals in view, and what is exported."""

from __future__ import annotations

import csv
import io
import json
import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import select

from sreval.api import preferences, read_votes
from sreval.errors import DataError, SrevalError
from sreval.files import sha256_bytes
from sreval.opinions.pairs.judgements import read_judgements
from sreval.report.study_status import Status
from sreval.store import csvs, frames, models, overview, snapshot
from sreval.store.answers import check_looks, check_vote
from sreval.store.database import Store, open_store
from sreval.store.enrolment import enrol
from sreval.store.errors import StateError, VoteError
from sreval.store.models import PlanItem, Vote
from sreval.store.overview import Overview
from sreval.store.raters import Raters
from sreval.store.sessions import RaterSession
from sreval.store.snapshot import backup, restore
from sreval.store.studies import Studies
from sreval.study.data import StudyData
from sreval.study.task import Task
from tests.store.conftest import START, Study, design

PAIR = {"kind": "pair", "third": "no difference"}
TOGGLED = {"kind": "pair", "layout": "toggle", "reference": True, "question": "closer"}
DCR = {"kind": "dcr"}
TASKS: list[dict[str, Any]] = [{"kind": "acr-hr"}, DCR, {**DCR, "layout": "toggle"}, PAIR, TOGGLED]
OTHER = {"sqlite": "postgresql", "postgresql": "sqlite"}
LOOKS = {"switches": 4, "left_ms": 700, "right_ms": 500.5, "reference_ms": 300}


def asking(store: Store, task: dict[str, Any], name: str = "small") -> Study:
    """The small study with another task, all in one sitting."""
    return Study(store, design(sittings={}, task=task, name=name))


def filled(store: Store, task: dict[str, Any], name: str = "small") -> Study:
    """One rater to the end, two on the way, and one deleted; of toggled pictures the looks."""
    study = asking(store, task, name)
    for upto in (None, 5, 2):
        study.vote_all(study.rating(), upto)
    part = study.rating()
    kept = study.design.task
    looks = {name: LOOKS[name] for name in ("switches", *(f"{p}_ms" for p in kept.places))}
    study.vote(part, 1, study.answer(1), **(looks if kept.toggled else {}))
    gone = study.rating()
    study.vote(gone, 1, study.answer(0))
    sessions = frames.tables(store, study.name)["sessions"]
    rater = sessions.loc[sessions["session"] == gone, "rater"].item()
    Raters(store, study.name).delete(rater)
    return study


def files_of(study: Study, store: Store | None = None) -> dict[str, bytes]:
    return snapshot.export_files(store or study.store, study.name, study.manifest)


def rows(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


def addresses(store: Store) -> set[str]:
    columns = (PlanItem.address, PlanItem.right_address, PlanItem.reference_address)
    with store.read() as tx:
        return {one for row in tx.execute(select(*columns)) for one in row if one is not None}


def test_export_import_export_and_backup_give_the_same_bytes(
    store: Store, tmp_path: Path, database_kind: str, new_database: Callable[..., str]
) -> None:
    """Of all tasks, into a database of the other kind."""
    studies = [filled(store, task, f"study-{n}") for n, task in enumerate(TASKS)]
    before = [files_of(study) for study in studies]
    own = addresses(store)
    assert len(own) == sum(4 * 12 * len(study.design.task.places) for study in studies)
    url = new_database(OTHER[database_kind])
    with open_store(url) as other:
        for study in studies:
            path = tmp_path / f"{study.name}.zip"
            snapshot.export(store, study.name, study.manifest, path)
            assert snapshot.import_(other, path, study.name).sessions == 4
        assert [files_of(study, other) for study in studies] == before
        assert not addresses(other) & own
        assert len(addresses(other)) == len(own)
    copy = backup(store.url.render_as_string(hide_password=False), tmp_path / "b.zip")
    restore(copy, url, "study-0", overwrite=True)
    with open_store(url) as other:
        assert [files_of(study, other) for study in studies] == before
        assert addresses(other) == own


def collected(study: Study) -> StudyData:
    return frames.study_data(study.store, study.name, study.manifest)


def test_an_export_of_pairs_is_read_as_judgements(store: Store, tmp_path: Path) -> None:
    """By `sreval preferences`, from the zip, the folder's table, and as a study's own frame."""
    study = filled(store, TOGGLED)
    data = collected(study)
    frame = data.judgements
    path = snapshot.export(store, study.name, study.manifest, tmp_path / "e.zip")
    folder = snapshot.export(store, study.name, study.manifest, tmp_path / "e")
    for file in (path, folder / "votes.csv", folder):
        read = read_judgements(file)
        assert read.notes == ()
        pd.testing.assert_frame_equal(read.frame, frame)
    with store.read() as tx:
        of = (Vote.session_id == PlanItem.session_id) & (Vote.position == PlanItem.position)
        query = select(PlanItem, Vote.score, Vote.response_ms).join(Vote, of)
        stored = tx.execute(query).all()
    kinds = {"vote": "real", "gold": "trap"}
    expected = sorted(
        (
            *(item.image, item.method, item.right_method, kinds.get(item.kind, item.kind)),
            *(frames.CHOICES[int(score)], response_ms / 1000),
            {None: "", -1: "left", 1: "right"}[item.low],
        )
        for item, score, response_ms in stored
    )
    columns = ["image", "left", "right", "kind", "choice", "seconds", "correct"]
    assert sorted(frame[columns].itertuples(index=False, name=None)) == expected
    assert len(frame) == 12 + 5 + 2 + 1
    chosen = data.votes["score"].map({-1: "left", 1: "right"})
    assert chosen.tolist() == frame["choice"].tolist() == data.votes["choice"].tolist()


@pytest.mark.parametrize("task", [PAIR, DCR], ids=lambda task: task["kind"])
def test_each_command_refuses_an_export_of_the_other_kind_and_names_the_right_one(
    store: Store, tmp_path: Path, task: dict[str, Any]
) -> None:
    study = asking(store, task)
    study.vote(study.rating(), 1, study.answer(1))
    for form in ("e.zip", "e"):
        path = snapshot.export(store, study.name, study.manifest, tmp_path / form)
        refused, right = (
            (read_votes, "sreval.preferences(...)")
            if task is PAIR
            else (preferences, "sreval.read_votes(...)")
        )
        with pytest.raises(SrevalError) as error:
            refused(path)
        assert right in error.value.remedy
        (preferences if task is PAIR else read_votes)(path)


def test_what_was_collected_of_pairs_is_counted_by_pair(store: Store) -> None:
    """Against counts of the rows, one by one."""
    study = filled(store, PAIR)
    data = collected(study)
    seen = data.monitoring
    assert data.trials[:3] == (
        ("Set5", "a", "bicubic", "srresnet"),
        ("Set5", "a", "bicubic", "hr"),
        ("Set5", "a", "srresnet", "hr"),
    )
    votes = [row for row in data.votes.to_dict("records") if row["kind"] == "vote"]
    for row in seen.cells.to_dict("records"):
        pair = {row["first"], row["second"]}
        own = [vote for vote in votes if {vote["left"], vote["right"]} == pair]
        by_image = Counter(vote["image"] for vote in own)
        assert row["votes"] == len(own) == row["first_left"] + row["second_left"]
        assert row["first_left"] == sum(vote["left"] == row["first"] for vote in own)
        assert (row["stimuli"], row["raters"]) == (4, len({vote["rater"] for vote in own}))
        assert (row["least"], row["most"]) == (0, max(by_image.values()))  # image d isn't voted on
        assert row["planned"] == 3 * 4
    (exposure,) = seen.exposure.to_dict("records")
    assert (exposure["stimuli"], exposure["least"], exposure["never"]) == (12, 0, 3)
    assert seen.progress["of"].unique().tolist() == [12]
    assert math.isnan(seen.sos)


def test_checks_of_pairs_are_told_by_rater(store: Store) -> None:
    study = asking(store, PAIR)
    session = study.rating()
    with store.read() as tx:
        items = tx.scalars(select(PlanItem).where(PlanItem.session_id == session)).all()
    for item in sorted(items, key=lambda item: item.position):
        wrong = -(item.low or 0)
        answer = {"gold": wrong, "repeat": 1}.get(item.kind, -1)
        study.vote(session, item.position, answer)
    seen = collected(study).monitoring
    (gold,), (repeat,), (same,) = (
        table.drop(columns="rater").to_dict("records")
        for table in (seen.gold, seen.repeats, seen.same)
    )
    assert gold == {"asked": 1, "wrong": 1, "share": 1.0}
    assert repeat == {"pairs": 1, "exact": 1.0}  # the other side, and so the same method
    assert same == {"pairs": 1, "left": 1.0}


def test_results_of_pairs_are_hidden_until_the_study_is_closed(store: Store) -> None:
    study = filled(store, PAIR)
    data = collected(study)
    assert data.hidden
    assert frames.record_look(store, data).looks == ()
    Studies(store).set_state(study.name, "closed")
    assert not collected(study).hidden


def test_a_pair_is_judged_when_both_pictures_were_sent_and_once(store: Store) -> None:
    study = asking(store, PAIR)
    session = study.rating()
    study.mark_sent(session, None)
    rated = RaterSession(store, session)
    left, right = rated.state().items[0].pictures
    assert (left.place, right.place) == ("left", "right")
    assert rated.image(right.address) == right
    for sent in ((), (left,)):
        for picture in sent:
            rated.sent(picture)
        assert why(study, session, {}) == "unseen"
    rated.sent(right)
    assert why(study, session, {}, score=2) == "scale"
    first = study.vote(session, 1, 0, key="the-first-key")
    again = study.vote(session, 1, 1, key="another-key")
    assert (first.repeated, again.repeated, again.score) == (False, True, 0)
    forced = asking(store, {"kind": "pair"}, "forced")
    assert why(forced, forced.rating(), {}, score=0) == "scale"


@pytest.mark.parametrize(
    ("task", "looks", "refusal"),
    [
        (TOGGLED, {"switches": 2, "left_ms": 0.5, "right_ms": 86_400_000, "reference_ms": 1}, None),
        (TOGGLED, {}, None),
        (TOGGLED, {"switches": 1}, "unseen"),
        (TOGGLED, {**LOOKS, "left_ms": 0}, "unseen"),
        (TOGGLED, {**LOOKS, "right_ms": -1}, "malformed"),
        (TOGGLED, {**LOOKS, "right_ms": 86_400_001}, "malformed"),
        (TOGGLED, {**LOOKS, "right_ms": math.nan}, "malformed"),
        (TOGGLED, {**LOOKS, "switches": 2.0}, "malformed"),
        (TOGGLED, {**LOOKS, "switches": True}, "malformed"),
        (TOGGLED, {**LOOKS, "switches": -1}, "malformed"),
        (PAIR, {"switches": 3}, "malformed"),
        (PAIR, {"left_ms": 3}, "malformed"),
        ({**DCR, "layout": "toggle"}, {"switches": 1, "right_ms": 3}, "malformed"),
        ({**DCR, "layout": "toggle"}, {"switches": 1, "reference_ms": 3, "left_ms": 4}, None),
    ],
)
def test_what_a_browser_tells_of_toggled_pictures_fits_the_task(
    task: dict[str, Any], looks: dict[str, float], refusal: str | None
) -> None:
    vote = {"position": 1, "key": "the-first-key", "shown_at": START, "device": ""}
    vote |= dict.fromkeys(("response_ms", "hidden_ms", "unfocused_ms", *LOOKS)) | looks
    found = None
    try:
        check_vote(vote)
        check_looks(Task.model_validate(task), vote)
    except VoteError as error:
        found = error.why
    assert found == refusal


def test_what_a_browser_tells_of_toggled_pictures_is_stored(store: Store) -> None:
    study = asking(store, TOGGLED)
    session = study.rating()
    assert why(study, session, {**LOOKS, "reference_ms": 0}) == "unseen"
    assert why(study, session, LOOKS) is None
    with store.read() as tx:
        (vote,) = tx.scalars(select(Vote))
    assert {name: getattr(vote, name) for name in LOOKS} == LOOKS


def why(
    study: Study, session: str, looks: dict[str, float], score: float | None = None
) -> str | None:
    """Why a vote on the first item is refused, None where it isn't."""
    try:
        study.vote(session, 1, study.answer(1) if score is None else score, **looks)
    except VoteError as error:
        return error.why
    return None


def forged(study: Study, folder: Path, name: str, column: str, value: str, row: int = 0) -> Path:
    """An export with another cell, and the right hash of the file."""
    path = snapshot.export(study.store, study.name, study.manifest, folder)
    found = rows((path / name).read_bytes())
    found[row][column] = value
    data = csvs.to_csv(pd.DataFrame(found))
    (path / name).write_bytes(data)
    contents = json.loads((path / "manifest.json").read_text())
    contents["sha256"][name] = sha256_bytes(data)
    (path / "manifest.json").write_text(json.dumps(contents))
    return path


def test_a_forged_item_or_answer_is_refused_by_file_row_and_column(
    store: Store, tmp_path: Path
) -> None:
    pairs = asking(store, {"kind": "pair"}, "pairs")
    session = pairs.rating()
    pairs.vote(session, 1, -1)
    pairs.vote(session, 2, 1)
    scores = asking(store, DCR, "scores")
    scores.vote(scores.rating(), 1, 4)
    for study, name, column, value, row, said in (
        (pairs, "votes.csv", "choice", "maybe", 1, "'maybe' is not left, right, tie"),
        (pairs, "votes.csv", "choice", "", 0, "'' is not left, right, tie"),
        (pairs, "votes.csv", "choice", "tie", 1, "tie isn't an answer; answers are left, right"),
        (pairs, "votes.csv", "choice", "-1", 0, "'-1' is not left, right, tie"),
        (pairs, "votes.csv", "left", "hr", 0, "'hr', and plan.csv has 'bicubic'"),
        (
            pairs,
            "votes.csv",
            "right",
            "bicubic",
            0,
            "'bicubic' against 'bicubic': items of the kind same",
        ),
        (
            pairs,
            "plan.csv",
            "right",
            "bicubic",
            0,
            "'bicubic' against 'bicubic': items of the kind same",
        ),
        (pairs, "plan.csv", "right", "", 0, "it is empty, and every item of the task 'pair'"),
        (pairs, "plan.csv", "right", "hr", 11, "'bicubic' against 'hr': items of the kind same"),
        (pairs, "plan.csv", "right_sha256", "", 3, "it is empty, and every item"),
        (pairs, "plan.csv", "correct", "5", 10, "'5' is not left, right, tie"),
        (scores, "votes.csv", "score", "3.5", 0, "3.5 isn't a score; scores are whole numbers"),
        (scores, "votes.csv", "score", "6", 0, "6 isn't a score"),
        (scores, "plan.csv", "reference_sha256", "", 2, "it is empty, and every item"),
        (scores, "plan.csv", "kind", "same", 2, "no item of the task 'dcr' is of the kind same"),
    ):
        path = forged(study, tmp_path / f"{name}-{column}-{row}-{value}", name, column, value, row)
        before = Studies(store).votes_and_newest()
        with pytest.raises(DataError) as error:
            snapshot.import_(store, path, study.name)
        assert f"({name}, row {row + 1}, {column}: {said}" in error.value.message
        assert Studies(store).votes_and_newest()[0] == before[0]


def test_a_study_of_another_task_is_refused_and_both_are_named(
    store: Store, tmp_path: Path
) -> None:
    study = asking(store, {"kind": "acr"})
    path = snapshot.export(store, study.name, study.manifest, tmp_path / "empty.zip")
    other = design(sittings={}, task=PAIR)
    enrolled = study.token()
    with pytest.raises(DataError, match=r"registered with: task \(acr, now pair\)"):
        enrol(store, enrolled, study.manifest, design=other)
    study.vote(study.rating(), 1)
    with pytest.raises(StateError, match=r"changed after .*: task \(acr, now pair\)"):
        Studies(store).register(other, study.manifest)
    with pytest.raises(StateError, match=r"than its study.toml here: task \(acr, now pair\)"):
        snapshot.import_(store, path, study.name, design=other)
    with open_store(str(tmp_path / "other.sqlite"), create=True) as there:
        Studies(there).register(other, study.manifest)
        with pytest.raises(
            StateError, match=r"here has the task pair, and that in .* the task acr"
        ):
            snapshot.import_(there, path, study.name)


def test_exposures_of_pairs_do_not_ask_for_the_side(store: Store) -> None:
    study = filled(store, PAIR)
    votes = collected(study).votes
    votes = votes[votes["kind"] == "vote"]
    found = Overview.of(store, study.name).exposures
    assert [(one.method, one.against) for one in found] == [
        ("bicubic", "hr"),
        ("bicubic", "srresnet"),
        ("hr", "srresnet"),
    ]
    for one in found:
        own = votes[
            [{*pair} == {one.method, one.against} for pair in votes[["left", "right"]].values]
        ]
        counts = own.groupby("image").size().reindex(["a", "b", "c"], fill_value=0)
        assert (one.stimuli, one.votes) == (3, len(own))
        assert (one.fewest, one.most) == (counts.min(), counts.max())
    assert "bicubic, srresnet" in Status(Overview.of(store, study.name)).text


def test_the_counts_of_an_active_plan_are_hidden_until_it_is_closed() -> None:
    active = {"pairs": {"plan": "active"}, "analysis": {"look_before_close": False}}
    looked = active | {"analysis": {"look_before_close": True}}
    for facts, tells in ((active, True), (looked, False), ({**active, "pairs": {}}, False)):
        assert overview._counts_tell(models.Study(design_json=json.dumps(facts))) is tells
