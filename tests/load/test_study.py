"""The evidence on whole studies: the same accounting on 60 positions, and that it sees faults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from benchmarks.site import METHODS, noise_study
from benchmarks.study import _against_acknowledged, _against_design, account
from sreval.study.design import StudyDesign, load_design
from sreval.study.manifest import Manifest, load_manifest
from sreval.study.plan import make_plan

MORE = """
[calibration]
dataset = "noise"
images = 2
anchors = [{ method = "nearest", score = 1 }, { method = "espcn", score = 5 }]
[[repeats]]
dataset = "noise"
method = "drcn"
images = 3
distance = 8
[sittings]
items = 35
break_every = 20
break_seconds = 60
rest_minutes = 30
"""
QUALITIES = {("", method): 1.0 + number / 2 for number, method in enumerate(METHODS)}


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return noise_study(tmp_path / "study", images=10, raters=4, more=MORE)


@pytest.mark.slow
def test_sixty_positions_of_four_raters_are_all_accounted_for(study: Path, tmp_path: Path) -> None:
    found = account(study, tmp_path, 4, QUALITIES)
    assert found["by_kind"] == {"vote": 240, "calibration": 16, "repeat": 12}
    assert not any(found["faults"].values()), found["faults"]


@pytest.fixture
def planned(study: Path) -> tuple[pd.DataFrame, StudyDesign, Manifest]:
    """One rater's votes as the plan has them."""
    design, manifest = load_design(study), load_manifest(study)
    rows = pd.DataFrame([vars(item) for item in make_plan(design, manifest, 0, 0)])
    rows = rows.assign(session="s", score=3, simulated=True, total=len(rows))
    return rows, design, manifest


def faults_of(
    planned: tuple[pd.DataFrame, StudyDesign, Manifest], rows: pd.DataFrame
) -> dict[str, int]:
    found = _against_design(rows.reset_index(drop=True), planned[1], planned[2], raters=1)
    return {name: int(count) for name, count in found.items() if count}


def test_a_plan_that_is_kept_has_no_fault(planned: Any) -> None:
    assert faults_of(planned, planned[0]) == {}


def test_what_breaks_the_design_is_seen(planned: Any) -> None:
    rows = planned[0]
    assert "positions without a vote" in faults_of(planned, rows.iloc[:-1])
    assert "stimuli not rated exactly once" in faults_of(planned, rows.drop(index=rows.index[30]))
    assert "calibration after the first vote" in faults_of(planned, rows.iloc[::-1])
    by_scene = rows.sort_values(["kind", "scene"])
    assert "scenes shown again too soon" in faults_of(planned, by_scene)
    by_method = rows.sort_values(["kind", "method"])
    assert "methods twice in a row" in faults_of(planned, by_method)
    assert "sittings that are too long" in faults_of(planned, rows.assign(sitting=1))
    assert "other stimuli than planned" in faults_of(
        planned, rows.assign(stimulus_sha256=rows["stimulus_sha256"].to_numpy()[::-1])
    )
    beside = rows.sort_values(["dataset", "image", "method"])
    assert "repeats too soon" in faults_of(planned, beside)


def test_votes_that_differ_from_what_was_acknowledged_are_seen() -> None:
    rows = pd.DataFrame(
        {
            "session": ["s"] * 4,
            "position": [1, 2, 3, 3],
            "score": [5, 4, 2, 2],
            "simulated": [True, True, False, True],
        }
    )
    assert _against_acknowledged(rows, {("s", 1): 5, ("s", 2): 3, ("s", 9): 1}) == {
        "acknowledged votes that are not stored": 1,
        "votes stored with another score": 1,
        "votes stored without being acknowledged": 1,
        "positions with two votes": 1,
        "votes not marked as simulated": 1,
    }
