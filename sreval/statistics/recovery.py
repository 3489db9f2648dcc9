"""Quality recovered from votes: the raters' bias removed, their inconsistency weighed.

The model (Li, Bampis, Krasula, Janowski and Katsavounidis 2020, "A simple model for subject
behavior in subjective experiments", HVEI; ITU-T P.910 Annex E): a vote is the stimulus'
quality plus the rater's bias plus noise of the rater's own size.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse, special
from scipy.sparse import csgraph

from sreval.errors import StatisticsError
from sreval.statistics.arrays import Floats
from sreval.statistics.ratings import Ratings, group_mean

Z_95 = 1.95996
"""The normal quantile of the 95 % intervals, rounded as in the reference implementation."""

_MAX_ITERATIONS = 1000
_CONVERGED = 1e-8
_LEAST_VARIANCE = 1e-8
_COLLAPSED = 0.01
_DENSE = 0.3
"""Share of votes cast from which the dense product is the faster one."""


@dataclass(frozen=True)
class BiasRemoved:
    """MOS after ITU-T P.913 clause 12.4.

    ``stimuli``: mos, sd (n - 1), n, half_width at 95 %, by stimulus. ``bias``: by rater.
    """

    stimuli: pd.DataFrame
    bias: pd.Series


@dataclass(frozen=True)
class Recovery:
    """Quality, bias and inconsistency by ITU-T P.910 Annex E.

    ``stimuli``, by stimulus: quality; n; and the 95 % half widths of the two published versions,
    ``half_width_li2020`` from the inconsistency of the raters who voted (Li et al. 2020) and
    ``half_width_p910`` from the residuals on that stimulus (P.910 Annex E).
    ``raters``, by rater: bias (mean zero over raters) and its 95 % half width; inconsistency
    (the noise's standard deviation) with low and high of its 95 % interval; n.
    ``excluded``: raters with a single vote, who leave no residual, and why. ``collapsed``: raters
    whose inconsistency went below 0.01. The likelihood has no bound there: with few votes a
    stimulus such a rater's votes ARE the quality, and the result should not be used.
    """

    stimuli: pd.DataFrame
    raters: pd.DataFrame
    iterations: int
    converged: bool
    excluded: dict[str, str]
    collapsed: tuple[Hashable, ...]


def remove_bias(ratings: Ratings) -> BiasRemoved:
    """Subtract from each vote its rater's mean distance from the MOS (P.913 clause 12.4)."""
    mos = group_mean(ratings.score, ratings.stimulus, ratings.n_stimuli)
    bias = group_mean(ratings.score - mos[ratings.stimulus], ratings.rater, ratings.n_raters)
    unbiased = pd.Series(ratings.score - bias[ratings.rater]).groupby(ratings.stimulus)
    sd, n = unbiased.std(ddof=1).to_numpy(), unbiased.size().to_numpy()
    stimuli = pd.DataFrame(
        {"mos": unbiased.mean().to_numpy(), "sd": sd, "n": n, "half_width": Z_95 * sd / np.sqrt(n)},
        index=_index(ratings.stimuli),
    )
    return BiasRemoved(stimuli, pd.Series(bias, index=_index(ratings.raters), name="bias"))


def recover(ratings: Ratings) -> Recovery:
    """Alternating projection to the maximum of the model's likelihood (P.910 Annex E).

    Time and memory grow linearly in the votes, whatever share of the matrix they fill.
    Raises StatisticsError when no rater has two votes, or when raters and stimuli fall into
    parts without a common vote, between which bias and quality can't be told apart.
    """
    kept, excluded = _with_residuals(ratings)
    _check_connected(kept)
    quality, bias, inconsistency, iterations, converged = _alternate(kept)
    precision = _reciprocal(inconsistency**2)
    residual = kept.score - quality[kept.stimulus] - bias[kept.rater]
    n_stimulus, n_rater = np.bincount(kept.stimulus), np.bincount(kept.rater)
    li2020 = _reciprocal(np.sqrt(np.bincount(kept.stimulus, precision[kept.rater], kept.n_stimuli)))
    spread = _deviation(residual, kept.stimulus, kept.n_stimuli)
    shift = float(bias.mean())
    stimuli = pd.DataFrame(
        {
            "quality": quality + shift,
            "n": n_stimulus,
            "half_width_li2020": Z_95 * li2020,
            "half_width_p910": Z_95 * spread / np.sqrt(n_stimulus),
        },
        index=_index(kept.stimuli),
    )
    raters = pd.DataFrame(
        {
            "bias": bias - shift,
            "bias_half_width": Z_95 * inconsistency / np.sqrt(n_rater),
            "inconsistency": inconsistency,
            "inconsistency_low": np.sqrt(n_rater / special.chdtri(n_rater, 0.025)) * inconsistency,
            "inconsistency_high": np.sqrt(n_rater / special.chdtri(n_rater, 0.975)) * inconsistency,
            "n": n_rater,
        },
        index=_index(kept.raters),
    )
    collapsed = tuple(kept.raters[code] for code in np.flatnonzero(inconsistency < _COLLAPSED))
    return Recovery(stimuli, raters, iterations, converged, excluded, collapsed)


def _alternate(ratings: Ratings) -> tuple[Floats, Floats, Floats, int, bool]:
    """Quality, bias, inconsistency, iterations and whether they converged.

    A rater's bias is the mean of score minus quality, so that the squared inconsistency is the
    mean square of score minus quality less the squared bias: sums over votes are products of
    the score matrix and the mask of votes cast with vectors.
    """
    centre = float(ratings.score.mean())
    scores = _table(ratings, ratings.score - centre)
    cast = _table(ratings, np.ones(ratings.score.size))
    n = np.bincount(ratings.rater)
    total = np.bincount(ratings.rater, ratings.score - centre)
    squares = np.bincount(ratings.rater, (ratings.score - centre) ** 2)
    quality = group_mean(ratings.score - centre, ratings.stimulus, ratings.n_stimuli)
    bias = (total - cast.T @ quality) / n
    iteration, converged = 0, False
    while not converged and iteration < _MAX_ITERATIONS:
        before = quality
        mean_square = (squares - 2 * (scores.T @ quality) + cast.T @ quality**2) / n
        variance = np.maximum(mean_square - bias**2, 0)
        weight = 1 / (variance + _LEAST_VARIANCE)
        quality = (scores @ weight - cast @ (weight * bias)) / (cast @ weight)
        bias = (total - cast.T @ quality) / n
        iteration += 1
        converged = bool(np.linalg.norm(quality - before) < _CONVERGED)
    residual = ratings.score - centre - before[ratings.stimulus]
    return (
        quality + centre,
        bias,
        _deviation(residual, ratings.rater, ratings.n_raters),
        iteration,
        converged,
    )


def _table(ratings: Ratings, values: Floats) -> Floats | sparse.csr_array:
    """``values`` as a stimulus by rater matrix, zero where no vote was cast."""
    shape = (ratings.n_stimuli, ratings.n_raters)
    cells = (ratings.stimulus, ratings.rater)
    if values.size < _DENSE * ratings.n_stimuli * ratings.n_raters:
        return sparse.csr_array((values, cells), shape=shape)
    table = np.zeros(shape)
    table[cells] = values
    return table


def _with_residuals(ratings: Ratings) -> tuple[Ratings, dict[str, str]]:
    single = np.bincount(ratings.rater) < 2
    if not single.any():
        return ratings, {}
    names = {str(ratings.raters[code]): "a single vote" for code in np.flatnonzero(single)}
    return ratings.keep(~single[ratings.rater]), names


def _check_connected(ratings: Ratings) -> None:
    if np.bincount(ratings.rater).max() == ratings.n_stimuli:
        return
    size = ratings.n_raters + ratings.n_stimuli
    edges = (np.ones(ratings.score.size), (ratings.rater, ratings.n_raters + ratings.stimulus))
    parts, _ = csgraph.connected_components(sparse.coo_array(edges, shape=(size, size)), False)
    if parts > 1:
        raise StatisticsError(
            f"Raters and stimuli fall into {parts} parts with no vote between them.",
            "Recover the scores of each part on its own.",
        )


def _deviation(values: Floats, codes: np.ndarray[tuple[int], np.dtype[np.intp]], n: int) -> Floats:
    """Population standard deviation of ``values`` within each of ``n`` groups."""
    centred = values - group_mean(values, codes, n)[codes]
    return np.sqrt(group_mean(centred**2, codes, n))


def _reciprocal(values: Floats) -> Floats:
    """1 / values with 1 / 0 = inf and 1 / inf = 0."""
    with np.errstate(divide="ignore"):
        return 1 / values


def _index(labels: tuple[object, ...]) -> pd.Index:
    return pd.Index(labels, tupleize_cols=True)
