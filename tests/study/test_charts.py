"""Small charts: well-formed, to scale, escaped, and nothing a strict page would refuse."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest

from sreval.study import charts

SVG = "{http://www.w3.org/2000/svg}"
NAUGHTY = "<script>&\"'"


def every_chart() -> list[str]:
    return [
        charts.bars([(NAUGHTY, 3.0), ("b", 0.0)], NAUGHTY),
        charts.columns([(NAUGHTY, 3), ("b", 0)], NAUGHTY, "votes"),
        charts.estimates([charts.Estimate(NAUGHTY, 3.0, 2.5, 3.5, NAUGHTY)], 1, 5, NAUGHTY),
        charts.bars([], "nothing"),
        charts.columns([], "nothing", "votes"),
        charts.estimates([], 1, 5, "nothing"),
    ]


@pytest.mark.parametrize("chart", every_chart())
def test_charts_are_well_formed_and_hold_neither_script_nor_style(chart: str) -> None:
    root = ElementTree.fromstring(chart)
    tags = {element.tag.removeprefix(SVG) for element in root.iter()}
    assert tags <= {"svg", "rect", "text", "title", "line", "circle", "g"}
    assert root.get("role") == "img"
    assert root.get("aria-label") in (NAUGHTY, "nothing")
    for element in root.iter():
        assert "style" not in element.attrib
        assert not [name for name in element.attrib if name.startswith("on")]


def test_bars_are_as_long_as_their_values() -> None:
    root = ElementTree.fromstring(charts.bars([("a", 8.0), ("b", 2.0), ("c", 0.0)], "about"))
    lengths = [float(bar.get("width", "").rstrip("%")) for bar in root.iter(f"{SVG}rect")]
    assert lengths[1] == pytest.approx(lengths[0] / 4, abs=0.1)
    assert lengths[2] == 0
    assert [t.text for t in root.iter(f"{SVG}title")] == ["a: 8", "b: 2", "c: 0"]


def test_columns_are_as_high_as_their_counts() -> None:
    root = ElementTree.fromstring(charts.columns([("x", 10), ("y", 5)], "about", "votes"))
    heights = [float(bar.get("height", "")) for bar in root.iter(f"{SVG}rect")]
    assert heights[1] == pytest.approx(heights[0] / 2)


def percent(element: ElementTree.Element, name: str) -> float:
    """A place across: in per cent, so that a narrow window has the chart drawn narrower."""
    given = element.get(name, "")
    assert given.endswith("%")
    return float(given.rstrip("%"))


@pytest.mark.parametrize(("low", "high"), [(1, 5), (0, 100), (-2, 2)])
def test_estimates_stand_where_the_axis_says(low: float, high: float) -> None:
    quarter, end = low + (high - low) / 4, high
    rows = [
        charts.Estimate("a", quarter, low, (low + high) / 2, mark="ab"),
        charts.Estimate("b", end),
        charts.Estimate("c", -0.001),
    ]
    root = ElementTree.fromstring(charts.estimates(rows, low, high, "about"))
    middles = [t for t in root.iter(f"{SVG}text") if t.get("text-anchor") == "middle"]
    ticks = {float(text.text or ""): percent(text, "x") for text in middles}
    ends = np.array(list(ticks)), np.array(list(ticks.values()))
    places = [percent(circle, "cx") for circle in root.iter(f"{SVG}circle")]
    assert places[:2] == pytest.approx(np.interp([quarter, end], *ends), abs=0.01)
    (group, alone, _) = root.iter(f"{SVG}g")
    (bar,) = group.iter(f"{SVG}line")
    assert percent(bar, "x1") == pytest.approx(ticks[low], abs=0.01)
    assert percent(bar, "x2") == pytest.approx(np.interp((low + high) / 2, *ends), abs=0.01)
    assert list(alone.iter(f"{SVG}line")) == []
    told = [text.text or "" for text in root.iter(f"{SVG}text")]
    assert any(text.endswith(" ab") for text in told)
    assert "0.00" in told
    assert not any("-0.00" in text for text in told)
