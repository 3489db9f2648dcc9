"""What operators watch, against counts made in plain loops."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from sreval.opinions.simulation import RaterModel
from sreval.study.data import StudyData
from tests.report.study_builder import make_study


@pytest.fixture(scope="module")
def study() -> StudyData:
    gold = [{"dataset": "Set5", "method": "nearest", "images": 2, "low": 1, "high": 2}]
    return make_study(gold=gold, without={"Set14": ("bicubic",)})


def test_cells_count_accepted_votes_of_every_planned_cell(study: StudyData) -> None:
    votes = study.votes.copy()
    votes.loc[votes["rater"] == "sim-001", "accepted"] = False
    table = replace(study, votes=votes).monitoring.cells.set_index(["dataset", "method"])
    expected = Counter(
        (v["dataset"], v["method"])
        for v in votes.to_dict("records")
        if v["kind"] == "vote" and v["accepted"]
    )
    assert table["votes"].to_dict() == expected
    assert ("Set14", "bicubic") not in table.index
    assert (table["least"] == 5).all()
    assert (table["most"] == 5).all()
    assert table["share"].to_numpy() == pytest.approx(5 / 6)
    assert list(table.index[:4]) == [("Set5", m) for m in study.design.images.methods]


def test_a_stimulus_that_nobody_rated_counts_as_never(study: StudyData) -> None:
    votes = study.votes[~((study.votes["image"] == "img_001") & (study.votes["method"] == "hr"))]
    table = replace(study, votes=votes).monitoring.exposure.set_index("dataset")
    assert table["never"].to_dict() == {"Set5": 1, "Set14": 1}
    assert table["least"].to_dict() == {"Set5": 0, "Set14": 0}
    assert table["stimuli"].to_dict() == {"Set5": 20, "Set14": 18}


def test_planned_votes_of_a_subset_are_shared_out(study: StudyData) -> None:
    design = study.design.model_copy(update={"subset": 19})
    table = replace(study, design=design).monitoring.cells
    assert table["planned"].sum() == pytest.approx(6 * 19)


def test_progress_puts_those_under_way_first(study: StudyData) -> None:
    sessions = study.sessions.copy()
    sessions.loc[2, "outcome"] = None
    sessions.loc[2, "stage"] = "rating"
    votes = study.votes[(study.votes["rater"] != "sim-003") | (study.votes["image"] == "img_002")]
    table = replace(study, sessions=sessions, votes=votes).monitoring.progress
    first = table.iloc[0]
    assert (first["rater"], first["outcome"]) == ("sim-003", "under way")
    own = votes[(votes["rater"] == "sim-003") & votes["kind"].isin(["vote", "repeat", "gold"])]
    assert first["votes"] == len(own)
    assert first["of"] == 38 + 2
    assert first["share"] == pytest.approx(len(own) / first["of"])


def test_outcomes_add_up(study: StudyData) -> None:
    sessions = study.sessions.copy()
    sessions.loc[0, "outcome"] = "withdrew"
    sessions.loc[1, "outcome"] = None
    counts = replace(study, sessions=sessions, invited=9, deleted=2).monitoring.outcomes
    assert counts["invited"] == 9
    assert counts["enrolled"] == 6 + 2
    assert (counts["withdrew"], counts["under way"], counts["complete"]) == (1, 1, 4)
    assert sum(v for k, v in counts.items() if k not in ("invited", "enrolled")) == 8


def test_gold_items_are_judged_by_the_designs_ranges(study: StudyData) -> None:
    votes = study.votes.copy()
    gold = (votes["kind"] == "gold") & (votes["dataset"] == "Set5")
    votes.loc[gold, "score"] = 1
    votes.loc[gold & (votes["rater"] == "sim-004"), "score"] = 5
    votes = votes[gold | (votes["kind"] != "gold")]
    table = replace(study, votes=votes).monitoring.gold.set_index("rater")
    asked = int((gold & (study.votes["rater"] == "sim-004")).sum())
    own = table[table.index == "sim-004"].to_dict("records")
    assert own == [{"asked": asked, "wrong": asked, "share": 1.0}]
    assert table["wrong"].sum() == asked


def test_repeats_are_compared_with_their_first_votes(study: StudyData) -> None:
    votes = study.votes.copy()
    own = (votes["kind"] == "repeat") & (votes["rater"] == "sim-002")
    first = votes[(votes["kind"] == "vote") & (votes["rater"] == "sim-002")]
    key = ["dataset", "image", "method"]
    before = votes[own].merge(first, on=key, suffixes=("", "_first"))["score_first"]
    votes.loc[own, "score"] = np.where(before.to_numpy() == 1, 2, before.to_numpy() - 1)
    table = replace(study, votes=votes).monitoring.repeats.set_index("rater")
    assert table.loc["sim-002"].to_dict() == {"pairs": 3, "exact": 0.0, "change": 1.0}
    assert table.drop("sim-002")["exact"].eq(1).all()
    once = replace(study, votes=votes[votes["kind"] == "vote"])
    assert once.monitoring.repeats.empty


def test_every_time_falls_into_one_column(study: StudyData) -> None:
    votes = study.votes.copy()
    votes["response_ms"] = np.nan
    times = [0.0, 499.9, 500.0, 9999.0, 10_000.0, 3_600_000.0]
    votes.loc[votes.index[: len(times)], "response_ms"] = times
    found = replace(study, votes=votes).monitoring.response_times
    columns = dict(zip(found.labels, found.counts, strict=True))
    assert columns["0–0.5 s"] == 2
    assert columns["0.5–1 s"] == 1
    assert columns["9.5–10 s"] == 1
    assert columns["≥ 10 s"] == 2
    assert sum(found.counts) == found.n == 6
    assert found.median == pytest.approx((0.5 + 9.999) / 2)
    untimed = replace(study, votes=votes.assign(response_ms=np.nan))
    nothing = untimed.monitoring.response_times
    assert (nothing.n, sum(nothing.counts)) == (0, 0)
    assert np.isnan(nothing.median)


def test_raters_who_did_not_look_are_flagged_with_reasons() -> None:
    model = RaterModel(straight_liner_rate=0.12, speeder_rate=0.12)
    study = make_study({"Set5": 5, "Set14": 14}, raters=24, model=model, seed=5)
    votes = study.votes[study.votes["kind"] == "vote"].groupby("rater")
    lining = set(votes["score"].nunique()[lambda n: n == 1].index)
    fast = set(votes["response_ms"].median()[lambda ms: ms < 700].index)
    assert lining
    assert fast
    found = study.monitoring.flags
    by_flag = {flag: set(group["rater"]) for flag, group in found.groupby("flag")}
    assert by_flag["straight-lining"] == lining
    assert by_flag["too-fast"] == fast
    (reason, *_) = found.loc[found["flag"] == "straight-lining", "reason"]
    assert reason == "one score in 100% of 76 votes, 76 times in a row"
    assert found["used"].all()


def test_what_was_decided_stands_first_among_the_flags(study: StudyData) -> None:
    sessions = study.sessions.copy()
    sessions.loc[3, "accepted"] = False
    sessions.loc[3, "reason"] = "Left the room."
    votes = study.votes.copy()
    votes.loc[votes["rater"] == "sim-004", "accepted"] = False
    first = replace(study, sessions=sessions, votes=votes).monitoring.flags.iloc[0]
    assert first.to_list() == ["sim-004", "not used", "Left the room.", False]


def test_nothing_collected_is_no_error(study: StudyData) -> None:
    empty = replace(study, votes=study.votes.iloc[:0], sessions=study.sessions.iloc[:0])
    assert empty.monitoring.outcomes["enrolled"] == 0
    assert empty.monitoring.progress.empty
    assert empty.monitoring.cells["votes"].sum() == 0
    assert empty.monitoring.flags.empty
    assert empty.monitoring.gold.empty
    assert np.isnan(empty.monitoring.sos)


def test_rated_stimuli_are_those_that_the_design_counts(study: StudyData) -> None:
    part = study.design.images.datasets[0].model_copy(update={"images": ("img_002",)})
    images = study.design.images.model_copy(update={"datasets": (part,)})
    design = study.design.model_copy(update={"images": images})
    found = replace(study, design=design).rated
    assert {(s.dataset, s.image) for s in found} == {("Set5", "img_002")}
    assert len(found) == 4


def test_votes_without_a_session_are_marked_not_dropped(study: StudyData) -> None:
    sessions = study.sessions[study.sessions["rater"] != "sim-001"]
    data = replace(study, sessions=sessions).without_orphans()
    assert len(data.votes) == len(study.votes)
    own = data.votes[data.votes["rater"] == "sim-001"]
    assert not own["accepted"].any()
    assert own["reason"].str.contains("deleted").all()
    assert pd.isna(data.votes.loc[data.votes["rater"] == "sim-002", "reason"]).all()
    assert study.without_orphans() is study
