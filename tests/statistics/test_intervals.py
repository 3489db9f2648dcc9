import math

import numpy as np
import pytest
from scipy import stats

from sreval.errors import StatisticsError
from sreval.statistics.intervals import Interval, bootstrap_mean, student_mean

VALUES = np.array([3.1, 2.7, 4.4, 3.9, 2.2, 3.3, 4.1])


def test_student_agrees_with_scipy() -> None:
    interval = student_mean(VALUES, 0.9)
    low, high = stats.t.interval(0.9, VALUES.size - 1, loc=VALUES.mean(), scale=stats.sem(VALUES))
    assert interval.estimate == pytest.approx(VALUES.mean(), rel=1e-14)
    assert (interval.low, interval.high) == pytest.approx((low, high), rel=1e-12)


def test_bootstrap_agrees_with_the_enumeration_of_all_resamples() -> None:
    values = VALUES[:4]
    grid = np.stack(np.meshgrid(*[values] * 4), axis=-1).reshape(-1, 4).mean(axis=1)
    tail = stats.norm.cdf(-math.sqrt(4 / 3) * stats.t.ppf(0.975, 3))
    low, high = np.quantile(grid, [tail, 1 - tail])
    interval = bootstrap_mean(values, resamples=200_000)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=0.05)


def test_bootstrap_covers_what_it_claims_on_few_values() -> None:
    generator = np.random.default_rng(3)
    samples = generator.normal(size=(400, 14))
    hits = 0
    for sample in samples:
        interval = bootstrap_mean(sample, resamples=800)
        hits += interval.low <= 0 <= interval.high
    assert 0.91 <= hits / 400 <= 0.98


def test_bootstrap_depends_on_the_seed_alone() -> None:
    assert bootstrap_mean(VALUES, seed=5) == bootstrap_mean(VALUES, seed=5)
    assert bootstrap_mean(VALUES, seed=5).low != bootstrap_mean(VALUES, seed=6).low


@pytest.mark.parametrize("method", [student_mean, bootstrap_mean])
class TestDegenerate:
    def test_one_value_gives_no_interval(self, method: object) -> None:
        interval = _call(method, [3.0])
        assert interval.estimate == 3.0
        assert math.isnan(interval.low)
        assert math.isnan(interval.high)

    def test_identical_values_give_width_zero(self, method: object) -> None:
        interval = _call(method, [0.1] * 7)
        assert interval.low == interval.high == interval.estimate == pytest.approx(0.1)

    def test_infinite_values_give_an_infinite_mean_and_no_interval(self, method: object) -> None:
        for values in ([math.inf] * 5, [30.0, math.inf, 28.0]):
            interval = _call(method, values)
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
    def test_refuses(self, method: object, values: list[float], message: str) -> None:
        with pytest.raises(StatisticsError, match=message):
            _call(method, values)

    def test_refuses_a_level_in_percent(self, method: object) -> None:
        with pytest.raises(StatisticsError, match="got 95"):
            _call(method, [1.0, 2.0], 95)


def test_the_bootstrap_refuses_no_resamples() -> None:
    with pytest.raises(StatisticsError, match="got 0"):
        bootstrap_mean(VALUES, resamples=0)


def _call(method: object, values: object, level: float = 0.95) -> Interval:
    assert callable(method)
    interval = method(values, level, unit="image", estimand="mean of new images")
    assert isinstance(interval, Interval)
    assert (interval.unit, interval.estimand) == ("image", "mean of new images")
    return interval
