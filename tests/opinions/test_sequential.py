from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from sreval.errors import SrevalError
from sreval.opinions.sequential import SPENDING, boundaries, nominal_levels, p_of_look
from sreval.opinions.units import Spending

FIVE = [0.2, 0.4, 0.6, 0.8, 1.0]


def z_of(levels: list[float]) -> list[float]:
    return [float(stats.norm.isf(level / 2)) for level in levels]


@pytest.mark.parametrize(
    ("spending", "printed"),
    [
        # Lan and DeMets 1983 and Jennison and Turnbull 2000, chapter 7; printed so by ldbounds too
        ("obrien-fleming", [4.877, 3.357, 2.680, 2.290, 2.031]),
        ("pocock", [2.438, 2.427, 2.410, 2.397, 2.386]),
    ],
)
def test_boundaries_of_five_looks_are_the_published_ones(
    spending: Spending, printed: list[float]
) -> None:
    assert z_of(nominal_levels(FIVE, 0.05, spending)) == pytest.approx(printed, abs=6e-4)


@pytest.mark.parametrize(
    "classical",
    [
        # Pocock 1977, O'Brien and Fleming 1979: five looks, two-sided alpha 0.05
        [2.413] * 5,
        [4.562, 3.226, 2.634, 2.281, 2.040],
    ],
)
def test_the_classical_designs_spend_five_percent(classical: list[float]) -> None:
    """What is spent at each look, from the joint normal distribution, gives back the boundaries."""
    spent = []
    for k in range(1, 6):
        shares = np.array(FIVE[:k])
        correlation = np.sqrt(np.minimum.outer(shares, shares) / np.maximum.outer(shares, shares))
        inside = stats.multivariate_normal(cov=correlation, seed=1).cdf(
            classical[:k], lower_limit=[-z for z in classical[:k]]
        )
        spent.append(1 - float(inside))
    assert spent[-1] == pytest.approx(0.05, abs=2e-4)
    assert boundaries(FIVE, spent)[1:] == pytest.approx(classical[1:], abs=0.02)


def test_looks_close_together_keep_alpha() -> None:
    """Against a million random walks, looked at after 900, 999 and 1000 of 1000 steps."""
    generator = np.random.default_rng(3)
    shares = [0.9, 0.999, 1.0]
    steps = generator.normal(size=(1_000_000, 3)) * np.sqrt(np.diff([0, *shares]))
    z = np.abs(steps.cumsum(axis=1)) / np.sqrt(shares)
    for spending in SPENDING:
        found = (z > z_of(nominal_levels(shares, 0.05, spending))).any(axis=1)
        assert found.mean() == pytest.approx(0.05, abs=4 * 0.00022), spending


def test_one_look_has_alpha() -> None:
    for spending in SPENDING:
        assert nominal_levels([1.0], 0.03, spending) == pytest.approx([0.03])


@pytest.mark.parametrize("spending", SPENDING)
def test_a_p_is_below_alpha_exactly_where_the_look_s_level_is_passed(spending: Spending) -> None:
    shares = [8 / 26, 16 / 26]
    for alpha in (0.001, 0.05, 0.2):
        level = nominal_levels(shares, alpha, spending)[-1]
        below, at, above = p_of_look([level * 0.99, level, level * 1.01], shares, spending)
        assert below < alpha < above
        assert at == pytest.approx(alpha, rel=1e-6)


def test_p_of_a_look_keeps_order_and_ends() -> None:
    found = p_of_look([0.0, 1e-12, 0.01, 0.3, 1.0, np.nan], FIVE[:2])
    assert found[0] == 0
    assert (np.diff(found[:-1]) > 0).all()
    assert found[-2] == 1
    assert np.isnan(found[-1])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nominal_levels([0.5, 0.5]), "must rise within 0..1"),
        (lambda: nominal_levels([0.5, 1.1]), "must rise within 0..1"),
        (lambda: nominal_levels([]), "must rise within 0..1"),
        (lambda: nominal_levels([1.0], 0.0), "alpha must lie between 0 and 1"),
        (lambda: nominal_levels([1.0], 0.05, "haybittle"), "Unknown spending function"),  # type: ignore[arg-type]
    ],
)
def test_refuses(call: Callable[[], object], message: str) -> None:
    with pytest.raises(SrevalError, match=message):
        call()
