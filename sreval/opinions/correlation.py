"""Correlations with whole weights per point: what a jackknife asks for once a cluster.

A sample is a row of counts, so that every statistic below takes ``weights`` of shape (B, n)
and gives (B,): what the unweighted statistic gives on points repeated that often. NaN where
one side doesn't vary.
"""

from __future__ import annotations

import numpy as np
import scipy
from numpy.typing import NDArray

from sreval.opinions.arrays import Floats

MOST_PAIRED = 4000
"""Points up to which Kendall's tau compares all pairs."""

_BLOCK = 512


def pearson(x: Floats, y: Floats, weights: Floats) -> Floats:
    """Pearson's r of x and y, each of shape (n,) or (B, n)."""
    total = weights.sum(axis=1, keepdims=True)
    dx = x - (weights * x).sum(axis=1, keepdims=True) / total
    dy = y - (weights * y).sum(axis=1, keepdims=True) / total
    covariance = (weights * dx * dy).sum(axis=1)
    norm = np.sqrt((weights * dx**2).sum(axis=1) * (weights * dy**2).sum(axis=1))
    scale = total[:, 0] * np.abs(x).max() * np.abs(y).max()
    return _ratio(covariance, norm, norm > 1e-13 * scale)


def spearman(x: Floats, y: Floats, weights: Floats) -> Floats:
    """Spearman's rho of x and y, each of shape (n,), mid-ranks for ties."""
    return pearson(_mid_ranks(x, weights), _mid_ranks(y, weights), weights)


def kendall(x: Floats, y: Floats, weights: Floats) -> Floats:
    """Kendall's tau-b of x and y, each of shape (n,).

    All rows at once in n^2 steps each on a fast matrix product, or beyond MOST_PAIRED
    points one by one in n log n (Knight 1966, as scipy has it), which is then the faster.
    """
    if x.size > MOST_PAIRED:
        return np.array([_kendall_sorted(x, y, row) for row in weights])
    counts = weights.astype(np.float32)
    concordance = np.zeros(weights.shape[0])
    for start in range(0, x.size, _BLOCK):
        rows = slice(start, start + _BLOCK)
        signs = np.sign(x[rows, None] - x) * np.sign(y[rows, None] - y)
        sums = counts @ signs.astype(np.float32).T
        concordance += (weights[:, rows] * sums).sum(axis=1)
    untied = np.sqrt(_untied_pairs(x, weights) * _untied_pairs(y, weights))
    return _ratio(concordance, untied, untied > 0)


def _kendall_sorted(x: Floats, y: Floats, weights: Floats) -> float:
    counts = weights.astype(np.intp)
    return float(scipy.stats.kendalltau(np.repeat(x, counts), np.repeat(y, counts)).statistic)


def root_mean_square(difference: Floats, weights: Floats) -> Floats:
    """Root of the mean square of ``difference``, shape (B, n)."""
    mean: Floats = (weights * difference**2).sum(axis=1) / weights.sum(axis=1)
    return np.sqrt(mean)


def without_each(clusters: NDArray[np.intp]) -> Floats:
    """Weights of shape (clusters + 1, n): of all points, then of all but those of each cluster."""
    left_out = np.arange(-1, int(clusters.max()) + 1)
    weights: Floats = np.not_equal(clusters, left_out[:, None]).astype(np.float64)
    return weights


def _mid_ranks(values: Floats, weights: Floats) -> Floats:
    _, codes = np.unique(values, return_inverse=True)
    sizes = _group_sizes(codes, weights)
    ranks: Floats = np.cumsum(sizes, axis=1) - (sizes - 1) / 2
    return ranks[:, codes]


def _untied_pairs(values: Floats, weights: Floats) -> Floats:
    """Ordered pairs of repeated points whose values differ."""
    _, codes = np.unique(values, return_inverse=True)
    pairs: Floats = weights.sum(axis=1) ** 2 - (_group_sizes(codes, weights) ** 2).sum(axis=1)
    return pairs


def _group_sizes(codes: NDArray[np.intp], weights: Floats) -> Floats:
    order = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[order], np.arange(int(codes.max()) + 1))
    sizes: Floats = np.add.reduceat(weights[:, order], starts, axis=1)
    return sizes


def _ratio(above: Floats, below: Floats, defined: NDArray[np.bool_]) -> Floats:
    ratio: Floats = np.divide(above, below, out=np.full(above.shape, np.nan), where=defined)
    return ratio
