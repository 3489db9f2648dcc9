import numpy as np
import pytest
from scipy import optimize

from sreval.opinions.agreement import MAPPINGS, Mapping, fit_mapped
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
    for mapping in MAPPINGS:
        fitted = fit_mapped(mapping, sign * x, mos, np.ones((1, 80)))[0]
        assert (sign * np.diff(fitted[order]) >= -1e-12).all()


SHAPES = {
    "step": lambda x: 1 + 4 / (1 + np.exp(-(x - 29) / 0.5)),
    "wave": lambda x: np.sin(x / 3),
    "line": lambda x: 0.1 * x,
    "falling": lambda x: -(x**2) / 300,
    "valley": lambda x: np.abs(x - 30),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_third_order_map_is_the_best_monotone_cubic(shape: str) -> None:
    """Against SLSQP with the slope bounded on a grid, in both directions."""
    generator = np.random.default_rng(5)
    x = generator.uniform(20, 40, 60)
    mos = SHAPES[shape](x) + generator.normal(0, 0.3, 60)
    t = (x - x.min()) / np.ptp(x)
    powers = np.stack([t**k for k in range(4)])
    grid = np.linspace(0, 1, 300)
    slopes = np.stack([0 * grid, 1 + 0 * grid, 2 * grid, 3 * grid**2])
    losses = []

    def loss(b: Floats) -> float:
        return float(((b @ powers - mos) ** 2).mean())

    for sign in (1, -1):
        found = optimize.minimize(
            loss,
            np.array([mos.mean(), sign, 0, 0]),
            method="SLSQP",
            constraints=optimize.LinearConstraint(sign * slopes.T, 0, np.inf),
            options={"ftol": 1e-12, "maxiter": 500},
        )
        losses.append(found.fun)
    fitted = fit_mapped("third-order", x, mos, np.ones((1, 60)))[0]
    assert ((fitted - mos) ** 2).mean() == pytest.approx(min(losses), rel=1e-4)


def test_the_third_order_map_leaves_a_monotone_cubic_alone() -> None:
    x = np.linspace(-1, 2, 30)
    mos = 2 + x + x**3
    weights = np.random.default_rng(1).integers(0, 3, (4, 30)).astype(float)
    assert fit_mapped("third-order", x, mos, weights) == pytest.approx(np.tile(mos, (4, 1)))


def test_linear_is_least_squares() -> None:
    x, mos = points(3)
    slope, intercept = np.polyfit(x, mos, 1)
    fitted = fit_mapped("linear", x, mos, np.ones((1, 80)))[0]
    assert fitted == pytest.approx(intercept + slope * x)


def test_a_metric_that_does_not_vary_maps_to_the_mean() -> None:
    _, mos = points(1)
    for mapping in MAPPINGS:
        fitted = fit_mapped(mapping, np.full(80, 3.0), mos, np.ones((2, 80)))
        assert fitted == pytest.approx(np.full((2, 80), mos.mean()))


@pytest.mark.parametrize("mapping", MAPPINGS)
def test_between_the_points_is_the_fitted_function_itself(mapping: Mapping) -> None:
    """The function that goes through the fitted points: found from them alone, by its formula."""
    x, mos = points(3)
    fitted = fit_mapped(mapping, x, mos, np.ones((1, 80)))[0]
    between = np.linspace(x.min(), x.max(), 201)
    found = fit_mapped(mapping, x, mos, np.ones((2, 80)), between)
    if mapping == "logistic":
        own, _ = optimize.curve_fit(curve, x, fitted, p0=[1, 4, 29, 2.5], maxfev=20_000)
        expected = curve(between, *own)
    else:
        degree = 1 if mapping == "linear" else 3
        expected = np.polynomial.Polynomial.fit(x, fitted, degree)(between)
    assert found.shape == (2, 201)
    assert found == pytest.approx(np.stack([expected, expected]), abs=1e-6)
