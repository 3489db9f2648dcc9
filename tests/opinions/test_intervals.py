import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from sreval.errors import StatisticsError
from sreval.opinions.intervals import Interval, limits_on_scale, student_mean
from sreval.opinions.votes import ACR, Scale

VALUES = np.array([3.1, 2.7, 4.4, 3.9, 2.2, 3.3, 4.1])


def test_student_agrees_with_scipy() -> None:
    interval = student_mean(VALUES, 0.9)
    low, high = stats.t.interval(0.9, VALUES.size - 1, loc=VALUES.mean(), scale=stats.sem(VALUES))
    assert interval.estimate == pytest.approx(VALUES.mean(), rel=1e-14)
    assert (interval.low, interval.high) == pytest.approx((low, high), rel=1e-12)


def test_two_values_give_no_interval() -> None:
    assert math.isnan(student_mean([3.0, 5.0]).low)
    assert math.isfinite(student_mean([3.0, 5.0, 4.0]).low)


@pytest.mark.parametrize("n", [3, 5])
def test_few_values_are_covered_as_claimed(n: int) -> None:
    values = np.random.default_rng(n).normal(size=(1000, n))
    found = [student_mean(row) for row in values]
    assert np.mean([i.low <= 0 <= i.high for i in found]) > 0.935


def limits(mean: float, half: float, least: float, scale: Scale = ACR) -> tuple[float, float]:
    low, high = limits_on_scale(mean, half, least, scale)
    return float(low), float(high)


@given(st.floats(1, 5), st.floats(0, 3), st.floats(1e-6, 1))
def test_limits_stay_on_the_scale_and_have_a_width(mean: float, half: float, least: float) -> None:
    low, high = limits(mean, half, least)
    assert 1 <= low <= mean <= high <= 5
    assert high > low
    wider = limits(mean, half * 1.1 + 0.01, least)
    assert wider[0] <= low
    assert wider[1] >= high


@given(st.floats(2, 4), st.floats(0.2, 2))
def test_limits_away_from_the_ends_are_students(mean: float, half: float) -> None:
    low, high = limits(mean, half, 0.1)
    if mean - half >= 2:
        assert low == pytest.approx(mean - half, rel=1e-12)
    if mean + half <= 4:
        assert high == pytest.approx(mean + half, rel=1e-12)


HUNDREDTHS = st.integers(100, 500).map(lambda n: n / 100)


@given(HUNDREDTHS, st.floats(0.05, 2))
def test_limits_solve_their_equation(mean: float, half: float) -> None:
    """(mean - m)^2 = k min(m - 1, 5 - m, 1), found here by bisection."""
    k = max(half**2 / max(min(mean - 1, 5 - mean, 1), 1e-300) if 1 < mean < 5 else 0, 0.01)

    def excess(m: float) -> float:
        return (mean - m) ** 2 - k * min(m - 1, 5 - m, 1)

    low, high = limits(mean, half, 0.1)
    if mean > 1:
        assert low == pytest.approx(optimize.brentq(excess, 1, mean - 1e-6), abs=1e-6)
    if mean < 5:
        assert high == pytest.approx(optimize.brentq(excess, mean + 1e-6, 5), abs=1e-6)


@given(HUNDREDTHS, st.floats(0, 2))
def test_a_scale_is_only_a_unit(mean: float, half: float) -> None:
    wide = limits(25 * (mean - 1), 25 * half, 2.5, Scale(0, 100))
    narrow = limits(mean, half, 0.1)
    assert wide == pytest.approx([25 * (limit - 1) for limit in narrow], abs=1e-6)


def test_a_mean_off_the_scale_is_refused() -> None:
    with pytest.raises(StatisticsError, match=r"37\.5 lies outside 1\.\.5"):
        limits(37.5, 1.0, 0.1)


class TestDegenerate:
    def test_one_value_gives_no_interval(self) -> None:
        interval = _call([3.0])
        assert interval.estimate == 3.0
        assert math.isnan(interval.low)
        assert math.isnan(interval.high)

    def test_identical_values_give_width_zero(self) -> None:
        interval = _call([0.1] * 7)
        assert interval.low == interval.high == interval.estimate == pytest.approx(0.1)

    def test_infinite_values_give_an_infinite_mean_and_no_interval(self) -> None:
        for values in ([math.inf] * 5, [30.0, math.inf, 28.0]):
            interval = _call(values)
            assert interval.estimate == math.inf
            assert math.isnan(interval.low)
            assert math.isnan(interval.high)

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            ([], "empty"),
            ([1.0, math.nan], "1 missing of 2"),
            ([math.inf, -math.inf], r"both \+inf and -inf"),
            ([[1.0, 2.0]], r"shape \(1, 2\)"),
        ],
    )
    def test_refuses(self, values: list[float], message: str) -> None:
        with pytest.raises(StatisticsError, match=message):
            _call(values)

    def test_refuses_a_level_in_percent(self) -> None:
        with pytest.raises(StatisticsError, match="got 95"):
            _call([1.0, 2.0], 95)


def _call(values: list[float], level: float = 0.95) -> Interval:
    interval = student_mean(values, level, unit="image", estimand="mean of new images")
    assert (interval.unit, interval.estimand) == ("image", "mean of new images")
    return interval
