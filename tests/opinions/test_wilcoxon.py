import itertools
import math

import numpy as np
import pytest
from scipy import stats

from sreval.errors import StatisticsError
from sreval.opinions.significance import EXACT_UP_TO, Zeros, signed_rank


def enumerated_p(difference: list[int], zeros: Zeros) -> float:
    """The two-sided p by writing out every sign flip, ranks from scipy."""
    kept = [d for d in difference if d] if zeros == "wilcox" else difference
    if not any(kept):
        return 1.0
    pairs = [(rank, d) for rank, d in zip(stats.rankdata(np.abs(kept)), kept, strict=True) if d]
    centre = sum(rank for rank, _ in pairs) / 2
    observed = abs(sum(rank for rank, d in pairs if d > 0) - centre)
    signs = np.array(list(itertools.product((0, 1), repeat=len(pairs))))
    sums = signs @ np.array([rank for rank, _ in pairs])
    return float((np.abs(sums - centre) >= observed).mean())


@pytest.mark.parametrize("zeros", ["wilcox", "pratt"])
@pytest.mark.parametrize("n", range(1, 16))
def test_exact_p_agrees_with_all_sign_flips(n: int, zeros: Zeros) -> None:
    generator = np.random.default_rng(n)
    for _ in range(3):
        difference = generator.integers(-3, 5, n)
        base = generator.integers(1, 6, n) / 10
        outcome = signed_rank(base + difference / 10, base, zeros=zeros)
        assert outcome.method == "exact"
        assert outcome.p == pytest.approx(enumerated_p(difference.tolist(), zeros), abs=1e-12)


def test_exact_p_agrees_with_scipy_without_ties() -> None:
    generator = np.random.default_rng(0)
    for n in (8, 40, 60):
        x, y = generator.normal(size=(2, n))
        expected = stats.wilcoxon(x, y, method="exact")
        outcome = signed_rank(x, y)
        assert outcome.p == pytest.approx(expected.pvalue, rel=1e-10)
        assert min(outcome.w_plus, outcome.w_minus) == expected.statistic


@pytest.mark.parametrize("zeros", ["wilcox", "pratt"])
def test_normal_p_agrees_with_scipy(zeros: Zeros) -> None:
    generator = np.random.default_rng(1)
    x, y = generator.integers(1, 6, (2, 900)).astype(float)
    expected = stats.wilcoxon(x, y, zero_method=zeros, method="approx", correction=True)
    outcome = signed_rank(x, y, zeros=zeros)
    assert outcome.method == "normal"
    assert outcome.p == pytest.approx(expected.pvalue, rel=1e-10)


def test_exact_and_normal_meet_at_the_limit() -> None:
    generator = np.random.default_rng(2)
    for _ in range(20):
        difference = generator.normal(0.1, 1, EXACT_UP_TO)
        exact = signed_rank(difference, np.zeros_like(difference))
        normal = stats.wilcoxon(difference, method="approx", correction=True).pvalue
        assert exact.method == "exact"
        assert exact.p == pytest.approx(normal, abs=1e-3)
    assert signed_rank(np.arange(EXACT_UP_TO + 1), [0.5] * (EXACT_UP_TO + 1)).method == "normal"


def test_rounding_noise_breaks_no_ties() -> None:
    votes = np.array([[3, 1], [4, 2], [1, 3], [5, 2], [2, 2], [4, 1], [3, 3], [2, 1]])
    clean = signed_rank(votes[:, 0], votes[:, 1])
    tenths = np.cumsum(np.full(60, 0.1))
    noisy = signed_rank(tenths[votes[:, 0] * 9], tenths[votes[:, 1] * 9])
    assert len(set(tenths[votes[:, 0] * 9] - tenths[votes[:, 1] * 9])) > 5
    assert noisy == clean


def test_swapping_the_sides_changes_the_sign_only() -> None:
    x, y = np.random.default_rng(4).integers(1, 6, (2, 30))
    one, other = signed_rank(x, y), signed_rank(y, x)
    assert one.p == other.p
    assert (one.w_plus, one.w_minus) == (other.w_minus, other.w_plus)
    assert one.rank_biserial == -other.rank_biserial != 0


def test_infinities() -> None:
    x = [math.inf, math.inf, 30.0, 29.0, 28.5]
    y = [math.inf, 31.0, 29.0, 29.5, 28.0]
    outcome = signed_rank(x, y)
    finite = signed_rank([0, 100.0, 30.0, 29.0, 28.5], [0, 31.0, 29.0, 29.5, 28.0])
    assert outcome == finite
    assert outcome.n_zero == 1


def test_too_few_pairs_can_never_reach_alpha() -> None:
    five = signed_rank([2, 3, 4, 5, 5], [1, 1, 1, 1, 2])
    assert five.p == five.least_p == 0.0625
    six = signed_rank([2, 3, 4, 5, 5, 5], [1, 1, 1, 1, 2, 3])
    assert six.p == six.least_p == 0.03125


def test_no_difference_at_all() -> None:
    outcome = signed_rank([1.0, 2.0], [1.0, 2.0])
    assert (outcome.p, outcome.rank_biserial, outcome.n_used) == (1.0, 0.0, 0)
    assert signed_rank([1.0] * 300, [1.0] * 300, zeros="pratt").p == 1.0


def test_rank_biserial_is_one_when_all_pairs_agree() -> None:
    assert signed_rank([2, 3, 4], [1, 1, 1]).rank_biserial == 1.0


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ([], [], "x is empty"),
        ([1.0, 2.0], [1.0], "2 and 1"),
        ([1.0, math.nan], [1.0, 2.0], "x holds 1 missing of 2"),
    ],
)
def test_refuses(x: list[float], y: list[float], message: str) -> None:
    with pytest.raises(StatisticsError, match=message):
        signed_rank(x, y)


def test_refuses_an_unknown_zero_rule() -> None:
    with pytest.raises(StatisticsError, match="zsplit"):
        signed_rank([1.0], [2.0], zeros="zsplit")  # type: ignore[arg-type]
