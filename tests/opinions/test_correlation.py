import numpy as np
import pytest
from scipy import stats

from sreval.opinions import correlation
from sreval.opinions.correlation import (
    kendall,
    pearson,
    root_mean_square,
    spearman,
    without_each,
)

GENERATOR = np.random.default_rng(0)
X = GENERATOR.integers(0, 12, 700).astype(float)
Y = X + GENERATOR.integers(-6, 7, 700)
WEIGHTS = GENERATOR.multinomial(700, np.full(700, 1 / 700), 5).astype(float)


@pytest.mark.parametrize(
    ("ours", "scipys"),
    [(pearson, stats.pearsonr), (spearman, stats.spearmanr), (kendall, stats.kendalltau)],
)
def test_weights_count_repeated_points(ours: object, scipys: object) -> None:
    assert callable(ours)
    assert callable(scipys)
    for row, found in zip(WEIGHTS, ours(X, Y, WEIGHTS), strict=True):
        times = row.astype(int)
        expected = scipys(np.repeat(X, times), np.repeat(Y, times)).statistic
        assert found == pytest.approx(expected, abs=1e-10)


def test_root_mean_square_counts_repeated_points() -> None:
    difference = np.array([[1.0, 2.0, 5.0]])
    assert root_mean_square(difference, np.array([[2.0, 1.0, 0.0]]))[0] == np.sqrt(2)


def test_no_variation_is_no_correlation() -> None:
    weights = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 1.0]])
    constant_then_not = np.array([0.1, 0.1, 3.0])
    for statistic in (pearson, spearman, kendall):
        found = statistic(constant_then_not, np.array([1.0, 2.0, 3.0]), weights)
        assert np.isnan(found).tolist() == [True, False]


def test_clusters_are_left_out_whole() -> None:
    weights = without_each(np.array([0, 0, 1, 2, 2, 2]))
    assert weights.tolist() == [
        [1, 1, 1, 1, 1, 1],
        [0, 0, 1, 1, 1, 1],
        [1, 1, 0, 1, 1, 1],
        [1, 1, 1, 0, 0, 0],
    ]


def test_kendall_is_the_same_by_pairs_and_by_sorting(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(5)
    x, y = generator.integers(0, 9, (2, 60)).astype(float)
    weights = generator.integers(0, 4, (20, 60)).astype(float)
    by_pairs = correlation.kendall(x, y, weights)
    monkeypatch.setattr(correlation, "MOST_PAIRED", 10)
    assert correlation.kendall(x, y, weights) == pytest.approx(by_pairs, abs=1e-12)
