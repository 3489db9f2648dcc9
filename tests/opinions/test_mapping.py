import numpy as np
import pytest
from scipy import optimize

from sreval.opinions.agreement import fit_mapped
from sreval.opinions.arrays import Floats


def curve(x: Floats, b0: float, b1: float, b2: float, b3: float) -> Floats:
    value: Floats = b0 + b1 / (1 + np.exp(-(x - b2) / b3))
    return value


def points(seed: int) -> tuple[Floats, Floats]:
    generator = np.random.default_rng(seed)
    x = generator.uniform(20, 40, 80)
    return x, curve(x, 1, 4, 29, 2.5) + generator.normal(0, 0.3, 80)


@pytest.mark.parametrize("seed", range(4))
def test_the_logistic_fit_is_as_good_as_scipys_in_every_row(seed: int) -> None:
    x, mos = points(seed)
    weights = np.random.default_rng(seed).multinomial(80, np.full(80, 1 / 80), 10).astype(float)
    for row, fitted in zip(weights, fit_mapped("logistic", x, mos, weights), strict=True):
        times = row.astype(int)
        best, _ = optimize.curve_fit(
            curve, np.repeat(x, times), np.repeat(mos, times), p0=[1, 4, 29, 2.5], maxfev=20_000
        )
        loss = (row * (curve(x, *best) - mos) ** 2).sum()
        assert (row * (fitted - mos) ** 2).sum() <= loss * (1 + 1e-3)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_maps_are_monotone(sign: int) -> None:
    x, mos = points(9)
    order = np.argsort(sign * x)
    for mapping in ("linear", "logistic"):
        fitted = fit_mapped(mapping, sign * x, mos, np.ones((1, 80)))[0]
        assert (sign * np.diff(fitted[order]) >= 0).all()


def test_linear_is_least_squares() -> None:
    x, mos = points(3)
    slope, intercept = np.polyfit(x, mos, 1)
    fitted = fit_mapped("linear", x, mos, np.ones((1, 80)))[0]
    assert fitted == pytest.approx(intercept + slope * x)


def test_a_metric_that_does_not_vary_maps_to_the_mean() -> None:
    _, mos = points(1)
    fitted = fit_mapped("logistic", np.full(80, 3.0), mos, np.ones((2, 80)))
    assert fitted == pytest.approx(np.full((2, 80), mos.mean()))
