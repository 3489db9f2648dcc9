"""MOS beside the metrics: the same images, in every format, or a refusal with names."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sreval.errors import DataError, UsageError
from sreval.opinions.votes import check_votes
from sreval.report.choices import FORMATS
from sreval.report.notes import uncounted
from sreval.report.opinion_rows import check_same_stimuli, results_table, with_mos
from sreval.report.scores import ScoreTable, score_table
from tests.opinions.builders import random_votes, votes_table

METHODS = ("a", "b", "hr")
Frame = Callable[..., pd.DataFrame]


@pytest.fixture
def frame(make_frame: Frame) -> pd.DataFrame:
    bases = {"a": 24.0, "b": 26.0, "unrated": 25.0, "hr": np.inf}
    values = {
        ("Set5", m, "psnr"): [base + i for i in range(6)] for m, base in bases.items()
    }  # fmt: skip
    return make_frame(values)


@pytest.fixture
def votes() -> pd.DataFrame:
    made = random_votes(methods=3)
    return check_votes(made.assign(method=made["method"].replace({"c": "hr"})))


def mos_cells(table: ScoreTable) -> dict[str, Any]:
    rows = table.frame[table.frame["metric"] == "mos"].to_dict("records")
    return {row["method"]: SimpleNamespace(**{str(k): v for k, v in row.items()}) for row in rows}


def test_means_intervals_and_marks_are_those_of_the_unit(
    frame: pd.DataFrame, votes: pd.DataFrame
) -> None:
    table = with_mos(score_table(frame, baseline="a"), votes, unit="rater", baseline="a")
    cells = mos_cells(table)
    by_rater = votes.groupby(["method", "rater"])["score"].mean().unstack()
    for method in METHODS:
        own = by_rater.loc[method]
        half = stats.t.ppf(0.975, 7) * own.std(ddof=1) / np.sqrt(8)
        assert cells[method].mean == pytest.approx(own.mean())
        if own.mean() - half >= 2:
            assert cells[method].low == pytest.approx(own.mean() - half)
        if own.mean() + half <= 4:
            assert cells[method].high == pytest.approx(own.mean() + half)
        assert 1 <= cells[method].low < own.mean() < cells[method].high <= 5
    p = stats.wilcoxon(by_rater.loc["b"] - by_rater.loc["a"], method="exact").pvalue
    (test,) = table.tests[table.tests["metric"] == "mos"].itertuples()
    assert (test.first, test.second) == ("b", "a")
    assert test.p == pytest.approx(p)
    assert test.mean_difference == pytest.approx((by_rater.loc["b"] - by_rater.loc["a"]).mean())
    assert cells["b"].mark == ("*" if p < 0.05 else "")
    assert "unrated" not in cells
    assert (cells["b"].rank, cells["a"].rank, cells["hr"].rank) == (1, 2, 0)


def test_letters_of_a_mos_are_withheld_where_no_outcome_could_have_been_significant(
    make_frame: Frame,
) -> None:
    """Six raters in one order; three pairs: 3 x 2 x 2^-6 = 0.094."""
    votes = check_votes(votes_table(np.ones((3, 6, 6)) + np.arange(3)[:, None, None]))
    values = {("Set5", m, "psnr"): [20.0 + i for i in range(6)] for m in "abc"}
    table = with_mos(score_table(make_frame(values)), votes, unit="rater", pairs=True)
    assert {cell.mark for cell in mos_cells(table).values()} == {"‡"}
    notes = " ".join(table.notes)
    assert (
        "could have been significant on Set5, MOS (6 raters; the least exact p is 0.0313" in notes
    )
    assert "Holm-adjusted 0.0938" in notes


def test_pairs_that_nobody_compared_are_told(make_frame: Frame) -> None:
    """No rater rated both a and b: the two share a letter, and that shows nothing."""
    scores = np.ones((3, 6, 16)) + np.arange(3)[:, None, None] * np.ones((1, 1, 16))
    scores[0, :, :8] = scores[1, :, 8:] = np.nan
    votes = check_votes(votes_table(scores))
    values = {("Set5", m, "psnr"): [20.0 + i for i in range(6)] for m in "abc"}
    table = with_mos(score_table(make_frame(values)), votes, pairs=True)
    marks = {method: cell.mark for method, cell in mos_cells(table).items()}
    assert marks["a"] == marks["b"] != marks["c"]
    untested = "1 of 3 pairs couldn't be tested; they share a letter untested."
    assert f"MOS on Set5: {untested}" in table.notes


def test_the_unit_image_counts_images(frame: pd.DataFrame, votes: pd.DataFrame) -> None:
    table = with_mos(score_table(frame, pairs=True), votes, unit="image", pairs=True)
    assert mos_cells(table)["a"].n == 6
    assert mos_cells(table)["a"].mark
    assert "unit image, about these raters, images in general" in " ".join(table.notes)


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_has_the_row_and_marks_simulated(
    frame: pd.DataFrame, votes: pd.DataFrame, form: str
) -> None:
    for simulated in (False, True):
        marked = votes.assign(simulated=simulated)
        table = with_mos(score_table(frame), marked, unit="rater")
        text = table.render(form)
        mean = votes.loc[votes["method"] == "a", "score"].mean()
        if form == "csv":
            rows = pd.read_csv(StringIO(text))
            own = rows[(rows["metric"] == "mos") & (rows["method"] == "a")].iloc[0]
            assert own["mean"] == pytest.approx(mean)
            assert (own["unit"], own["simulated"]) == ("rater", simulated)
        elif form == "json":
            (own,) = [
                f
                for f in json.loads(text)["figures"]
                if f["metric"] == "mos" and f["method"] == "a"
            ]
            assert own["mean"] == pytest.approx(mean)
            assert own["simulated"] is simulated
        else:
            plain = text.replace(r" & \underline{.", ".").replace("}.", ".")  # LaTeX's two halves
            assert f"{mean:.2f}" in plain
            assert ("MOS, simulated" in text) is simulated


def test_the_papers_row_stands_below_ours(frame: pd.DataFrame, votes: pd.DataFrame) -> None:
    paper = score_table(
        frame.replace({"method": {"a": "nearest", "b": "bicubic"}}), with_paper=True
    )
    names = votes["method"].replace({"a": "nearest", "b": "bicubic"})
    table = with_mos(paper, votes.assign(method=names))
    lines = table.render("text").splitlines()
    place = next(i for i, line in enumerate(lines) if line.split()[:1] == ["MOS"])
    assert lines[place + 2].split()[:2] == ["paper", "1.28"]
    assert mos_cells(table)["nearest"].paper == 1.28
    assert mos_cells(table)["srcnn"].paper == 2.57


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": {"b": "B"}}, "on the method B, which the results don't have; they hold a, b"),
        ({"dataset": {"Set5": "set5"}}, "on the data set set5, which the results don't have"),
        (
            {"image": {"img_000": "baby"}},
            "the results lack 1 image: baby; the ratings lack 1 image: img_000",
        ),
    ],
)
def test_other_names_are_refused(
    frame: pd.DataFrame, votes: pd.DataFrame, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        check_same_stimuli(frame, votes.replace(change))


def test_rated_images_without_results_are_named(frame: pd.DataFrame, votes: pd.DataFrame) -> None:
    fewer = frame[frame["image"] != "img_003"]
    with pytest.raises(
        DataError, match="of Set5 are on different images: the results lack 1 image: img_003"
    ):
        check_same_stimuli(fewer, votes)


def test_ratings_of_frames_by_other_names_are_told_how_to_name_them(
    frame: pd.DataFrame, votes: pd.DataFrame
) -> None:
    frames = frame.assign(image="cal/" + frame["image"])
    check_same_stimuli(frames, votes.assign(image="cal/" + votes["image"]))
    with pytest.raises(DataError) as refused:
        check_same_stimuli(frames, votes.assign(image="cal_" + votes["image"]))
    assert "as the results do: cal/img_000." in str(refused.value.remedy)


def test_stimuli_other_than_those_scored_are_refused(
    frame: pd.DataFrame, votes: pd.DataFrame
) -> None:
    scored = frame.assign(sr_sha256=frame["method"] + frame["image"])
    shown = votes.assign(stimulus_sha256=votes["method"] + votes["image"])
    check_same_stimuli(scored, shown)
    shown.loc[shown["image"] == "img_002", "stimulus_sha256"] = "other"
    with pytest.raises(DataError, match="3 stimuli that were rated are not the images that were"):
        check_same_stimuli(scored, shown)


def test_the_table_itself_is_not_changed(frame: pd.DataFrame, votes: pd.DataFrame) -> None:
    table = score_table(frame)
    before = table.frame.copy(), table.to_json()
    with_mos(table, votes)
    pd.testing.assert_frame_equal(table.frame, before[0])
    assert table.to_json() == before[1]


def test_through_the_command_line(
    sreval: Callable[..., Any], demo_run: Path, tmp_path: Path
) -> None:
    results = pd.read_csv(demo_run / "results.csv")
    images = sorted(results["image"].unique())
    made = random_votes(methods=2, images=len(images))
    names = {f"img_{i:03}": name for i, name in enumerate(images)}
    made["image"] = made["image"].map(names)
    made["method"] = made["method"].replace({"a": "nearest", "b": "bicubic"})
    made.assign(dataset="demo").to_csv(tmp_path / "votes.csv", index=False)
    ran = sreval("table", demo_run, "--ratings", tmp_path / "votes.csv", "--baseline", "nearest")
    assert ran.code == 0, ran.err
    (line,) = [line for line in ran.out.splitlines() if line.split()[:1] == ["MOS"]]
    assert f"{made.loc[made['method'] == 'nearest', 'score'].mean():.2f}" in line
    made.to_csv(tmp_path / "votes.csv", index=False)
    ran = sreval("table", demo_run, "--ratings", tmp_path / "votes.csv")
    assert ran.code == 1
    assert ran.err.startswith(
        "Error: The ratings are on the data set Set5, which the results don't have"
    )


def test_rows_that_are_no_votes_are_named() -> None:
    kinds = ["vote"] * 3 + ["repeat"] * 2 + ["warm-up"]
    votes = pd.DataFrame({"kind": kinds, "accepted": [True, True, False, True, False, True]})
    votes["reason"] = [None, None, "too fast", None, None, None]
    assert uncounted(votes) == [
        "Not counted as votes: 2 repeats, 1 warm-up item.",
        "Votes that weren't accepted: 1 (too fast).",
    ]
    assert uncounted(votes.iloc[:2]) == []


def test_ratings_stand_beside_one_scale(frame: pd.DataFrame, votes: pd.DataFrame) -> None:
    two = pd.concat([frame, frame.assign(scale=2)], ignore_index=True)
    with pytest.raises(UsageError, match=r"hold scales \[2, 4\]; ratings are of one"):
        results_table(two, votes=votes)


def test_without_intervals_the_note_on_opinions_names_none(
    frame: pd.DataFrame, votes: pd.DataFrame
) -> None:
    table = with_mos(score_table(frame, intervals="none", transposed=True), votes)
    assert [column.full for column in table.columns[1:]] == ["Set5 PSNR", "Set5 MOS"]
    assert all(row.kind == "value" for row in table.rows)
    assert not any("interval" in note for note in table.all_notes)
