"""Whatever changes, a results folder prints what a fresh one would."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.cache import differences


@pytest.mark.evidence
def test_after_any_two_changes_a_results_folder_prints_what_a_fresh_one_would(
    tmp_path: Path,
) -> None:
    found = differences(tmp_path, sequences=36, changes=2)
    assert found["different"] == []
    assert found["runs"] == 72
    assert min(found["changes"].values()) >= 2
    assert found["refused"].keys() == {"two data sets of one name", "a column of two methods"}
    assert found["reused"] > 36
