"""Small charts: well-formed, to scale, escaped, and nothing a strict page would refuse."""

from __future__ import annotations

import math
from xml.etree import ElementTree

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
    lengths = [float(bar.get("width", "")) for bar in root.iter(f"{SVG}rect")]
    assert lengths[1] == pytest.approx(lengths[0] / 4, abs=0.1)
    assert lengths[2] == 0
    assert [t.text for t in root.iter(f"{SVG}title")] == ["a: 8", "b: 2", "c: 0"]


def test_columns_are_as_high_as_their_counts() -> None:
    root = ElementTree.fromstring(charts.columns([("x", 10), ("y", 5)], "about", "votes"))
    heights = [float(bar.get("height", "")) for bar in root.iter(f"{SVG}rect")]
    assert heights[1] == pytest.approx(heights[0] / 2)


def test_estimates_stand_where_the_axis_says() -> None:
    rows = [charts.Estimate("a", 2.0, 1.5, 2.5), charts.Estimate("b", 4.0)]
    root = ElementTree.fromstring(charts.estimates(rows, 1, 5, "about"))
    ticks = {text.text: float(text.get("x", "")) for text in root.iter(f"{SVG}text") if text.text}
    places = [float(circle.get("cx", "")) for circle in root.iter(f"{SVG}circle")]
    assert places == [ticks["2"], ticks["4"]]
    (group, alone) = root.iter(f"{SVG}g")
    (bar,) = group.iter(f"{SVG}line")
    assert float(bar.get("x1", "")) == pytest.approx((ticks["1"] + ticks["2"]) / 2, abs=0.1)
    assert list(alone.iter(f"{SVG}line")) == []
    assert math.isnan(rows[1].low)
