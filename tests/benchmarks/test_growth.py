"""The fits of growth against scipy's, and what counts as linear."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from benchmarks import growth


def grown(exponent: float, noise: float, start: float = 0.0) -> list[tuple[float, float]]:
    generator = np.random.default_rng(1)
    sizes = [10.0, 30.0, 100.0, 300.0, 1000.0] * 2
    return [(x, (start + 1e-3 * x**exponent) * np.exp(generator.normal(0, noise))) for x in sizes]


def test_the_exponent_and_its_interval_are_those_of_linregress() -> None:
    points = grown(1.2, 0.1)
    law = growth.power_law(points)
    x, y = np.log(np.array(points)).T
    theirs = stats.linregress(x, y)
    half = stats.t.ppf(0.975, len(x) - 2) * theirs.stderr
    assert law.slope == pytest.approx(theirs.slope)
    assert (law.slope_low, law.slope_high) == pytest.approx(
        (theirs.slope - half, theirs.slope + half)
    )
    half = stats.t.ppf(0.975, len(x) - 2) * theirs.intercept_stderr
    assert law.start_high == pytest.approx(theirs.intercept + half)


def test_the_straight_line_finds_start_and_unit() -> None:
    line = growth.straight(grown(1.0, 0.01, start=0.5))
    assert line.slope_low < 1e-3 < line.slope_high
    assert line.start_low < 0.5 < line.start_high


def test_the_band_is_least_in_the_middle_and_at_its_ends_that_of_the_mean() -> None:
    points = grown(1.0, 0.1)
    x, y = np.log(np.array(points)).T
    middle = np.exp(x.mean())
    at, low, high = growth.band(points, np.array([10.0, middle, 1000.0]))
    width = np.log(high / low)
    assert width[1] == min(width)
    # at the mean of x the error of the mean is the spread over the root of n
    residual = y - np.log(growth.band(points, np.exp(x))[0])
    error = np.sqrt((residual**2).sum() / (len(x) - 2) / len(x))
    assert width[1] == pytest.approx(2 * stats.t.ppf(0.975, len(x) - 2) * error)
    assert at[1] == pytest.approx(np.exp(y.mean()))


@pytest.mark.parametrize(("exponent", "linear"), [(0.0, True), (1.0, True), (1.3, False)])
def test_only_what_grows_faster_than_its_size_is_no_growth_in_line(
    exponent: float, linear: bool
) -> None:
    series = growth.Series("work", "pieces", "something", grown(exponent, 0.02))
    row = growth.judged(series)
    assert row["linear"] is linear
    page = "\n".join(growth.lines({"rows": [row]}))
    assert ("| ok |" in page) is linear
    result = {"rows": [row] * 2, "date": "2026-11-28", "commit": "abc"}
    figure = growth.growth_figure([result])
    assert [axes.get_title().partition(":")[0] for axes in figure.axes[:2]] == ["work", "work"]
