"""A line with errors in both coordinates, against published fits, minimisation and limits."""

from __future__ import annotations

import numpy as np
import pytest
import scipy

from sreval.errors import StatisticsError
from sreval.opinions.arrays import Floats
from sreval.opinions.regression import york

# Pearson's data (1901, Philosophical Magazine 2(11)) with the weights of York 1966, table I,
# the standard example of the method, as York et al. 2004 repeat it.
X = np.array([0.0, 0.9, 1.8, 2.6, 3.3, 4.4, 5.2, 6.1, 6.5, 7.4])
Y = np.array([5.9, 5.4, 4.4, 4.6, 3.5, 3.7, 2.8, 2.8, 2.4, 1.5])
X_WEIGHT = np.array([1000, 1000, 500, 800, 200, 80, 60, 20, 1.8, 1.0])
Y_WEIGHT = np.array([1, 1.8, 4, 8, 20, 20, 70, 70, 100, 500.0])


def test_yorks_example_gives_the_published_line() -> None:
    slope, intercept = york(X, Y, X_WEIGHT**-0.5, Y_WEIGHT**-0.5)
    assert slope == pytest.approx(-0.48053, abs=5e-6)
    assert intercept == pytest.approx(5.47991, abs=5e-6)


def test_with_equal_errors_it_is_pearsons_line_of_closest_fit() -> None:
    """Pearson 1901: y = 5.784 - 0.54556 x, the major axis."""
    slope, intercept = york(X, Y, 1, 1)
    assert slope == pytest.approx(-0.54556, abs=5e-6)
    assert intercept == pytest.approx(5.784, abs=5e-4)
    _, _, axes = np.linalg.svd(np.stack([X - X.mean(), Y - Y.mean()], axis=1))
    assert slope == pytest.approx(axes[0, 1] / axes[0, 0])


def test_errors_in_one_coordinate_alone_are_ordinary_least_squares() -> None:
    assert york(X, Y, 0, 1)[0] == pytest.approx(scipy.stats.linregress(X, Y).slope)
    assert york(X, Y, 1, 0)[0] == pytest.approx(1 / scipy.stats.linregress(Y, X).slope)


@pytest.mark.parametrize("seed", range(5))
def test_it_minimises_the_weighted_sum_of_squares(seed: int) -> None:
    generator = np.random.default_rng(seed)
    x_error, y_error = generator.uniform(0.05, 0.5, (2, 12))
    true = generator.uniform(1, 5, 12)
    x = true + generator.normal(size=12) * x_error
    y = 1 - 0.7 * true + generator.normal(size=12) * y_error

    def misfit(line: Floats) -> float:
        residual = y - line[1] - line[0] * x
        return float((residual**2 / (y_error**2 + line[0] ** 2 * x_error**2)).sum())

    found = scipy.optimize.minimize(misfit, [-0.7, 1.0], method="Nelder-Mead", tol=1e-10).x
    slope, intercept = york(x, y, x_error, y_error)
    assert [*slope, *intercept] == pytest.approx(found, abs=1e-4)


def test_rows_are_lines_of_their_own_and_axes_may_be_swapped() -> None:
    rows = np.stack([Y, Y[::-1], 2 * Y])
    slopes, intercepts = york(X, rows, 0.3, 0.2)
    for row, slope, intercept in zip(rows, slopes, intercepts, strict=True):
        assert (slope, intercept) == pytest.approx([v[0] for v in york(X, row, 0.3, 0.2)])
        assert 1 / slope == pytest.approx(york(row, X, 0.2, 0.3)[0][0])


def test_what_has_no_line_is_refused() -> None:
    with pytest.raises(StatisticsError, match="aren't related"):
        york([1, 2, 1, 2], [1, 1, 2, 2], 1, 1)
    with pytest.raises(StatisticsError, match="no error"):
        york(X, Y, 0, 0)
