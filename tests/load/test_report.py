"""benchmarks.report: the study that it makes is the paper's, and complete."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from benchmarks.report import lines, make_study, measure
from sreval.report.opinion_rows import load


@pytest.mark.evidence
def test_a_rater_of_the_full_study_is_reported_and_measured(tmp_path: Path) -> None:
    folder = tmp_path / "ledig2017"
    assert make_study(folder, 2) == {"calibration": 80, "vote": 2256, "repeat": 20}
    data = load(folder)
    assert len(data.opinions) == 2256
    assert (data.state, data.simulated, len(data.stand_ins)) == ("closed", True, 9)
    assert data.opinions.groupby("rater").size().tolist() == [1128, 1128]
    found = measure(folder, tmp_path / "made")
    contents = json.loads((tmp_path / "made/report.json").read_text())
    assert contents["facts"]["marks"] == ["simulated", "stand-ins"]
    assert found["page_bytes"] < found["folder_bytes"]
    assert found["files"] == len(contents["files"]) + 1
    assert found["cpu_seconds"] > 0
    content = {
        "raters": 2,
        "by_kind": {"vote": 2256},
        "load_average": [9.0],
        "sizes": [{"votes": 2256, **found}],
        "growth": {"exponent": math.nan},
    }
    page = lines(content)
    assert "2 simulated raters" in page[0]
    assert "Other work shared the machine." in page[0]
