"""The figures of statistics.md are drawn of the committed results."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from benchmarks import charts
from benchmarks.timing import ROOT

RESULTS = ROOT / "benchmarks" / "results"


@pytest.mark.parametrize("name", list(charts.FIGURES))
def test_committed_figures_are_of_the_committed_results(name: str) -> None:
    paths = [RESULTS / f"{source}.json" for source in charts.FIGURES[name][1]]
    if not all(path.exists() for path in paths):
        assert not (RESULTS / f"{name}.svg").exists()
        return
    drawn = " ".join((RESULTS / f"{name}.svg").read_text("utf-8").split())
    for path in paths:
        result = json.loads(path.read_text("utf-8"))
        assert f"{result['date'][:10]}, commit {result['commit']}" in drawn, "benchmarks.charts"


@pytest.mark.parametrize("name", list(charts.FIGURES))
def test_the_guide_shows_every_figure_that_is_there(name: str) -> None:
    page = (ROOT / "docs" / "explanation" / "statistics.md").read_text("utf-8")
    assert (f"({name}.svg)" in page.replace("../../benchmarks/results/", "")) == (
        RESULTS / f"{name}.svg"
    ).exists()


def test_every_point_of_coverage_is_in_its_panel() -> None:
    result = json.loads((RESULTS / "coverage.json").read_text("utf-8"))
    figure = charts.coverage_figure([result])
    panels = {axes.get_title(): axes for axes in figure.axes}
    assert len(panels) == len(charts.LEVELS) * 3
    for row in result["found"]:
        words = row["where"].split()
        title = f"{row['part']}, {words[3] if len(words) == 5 else '?'} images"
        if title in panels and row["name"] in charts.INTERVALS:
            (line,) = (one for one in panels[title].lines if one.get_label() == row["name"])
            points = dict(np.asarray(line.get_xydata()).tolist())
            assert points[int(words[0])] == pytest.approx(100 * row["share"])


def test_size_and_power_are_drawn_apart() -> None:
    def row(raters: int, effects: str, difference: float, found: float) -> dict[str, Any]:
        shares = dict.fromkeys(charts.TESTS, (found, 0.01))
        cell = {"raters": raters, "images": 14, "seen": "all", "effects": effects}
        return cell | {"difference": difference, "found": shares}

    rows = [row(8, "both", 0.0, 0.04), row(15, "both", 0.0, 0.05), row(15, "both", 0.3, 0.7)]
    origin = {"date": "2026-11-27T00:00:00", "commit": "abc"}
    size, power = charts.crossed_figure([{**origin, "found": rows}]).axes
    assert np.asarray(size.lines[0].get_ydata()) == pytest.approx([4, 5])
    assert np.asarray(power.lines[0].get_ydata()) == pytest.approx([70])
