"""Quality recovered from votes: the raters' bias removed, their inconsistency weighed.

The model (Li, Bampis, Krasula, Janowski and Katsavounidis 2020, "A simple model for subject
behavior in subjective experiments", HVEI; ITU-T P.910 (10/2023) Annex E): a vote is the
stimulus' quality plus the rater's bias plus noise of the rater's own size.

The equations are those of Li et al. 2020, whose text was read: equations 1 and 6, algorithms 2 and
4. That Annex E of P.910 (10/2023), clause 12.6 of P.913 (06/2021) and ITU-R BT.500-15 have the
same is from memory and from the reference code that its authors publish for the three (sureal).
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import scipy

from sreval.errors import StatisticsError
from sreval.opinions.arrays import Codes, Floats, Ratings, check_level, group_mean
from sreval.opinions.intervals import LEAST_UNITS, student_quantile
from sreval.opinions.votes import ACR, Scale

ENOUGH_RATERS = 15
"""Raters below which the likelihood often has no maximum, or the half widths are far too short."""

_ENOUGH_VOTES = 14
_MAX_ITERATIONS = 1000
_CONVERGED = 1e-8
_LEAST_VARIANCE = 1e-8
_COLLAPSED = 0.01
"""In points of 1..5, like the two above; on another scale as large a share of its width."""


@dataclass(frozen=True)
class BiasRemoved:
    """MOS after ITU-T P.913 (03/2016) clause 12.4, as Li et al. 2020 print it, algorithm 2.

    ``stimuli``: mos, sd (n - 1), n and the published 95 % half width, by stimulus; its normal
    quantile is short for few raters. ``bias``: by rater.
    """

    stimuli: pd.DataFrame
    bias: pd.Series


@dataclass(frozen=True, eq=False)
class Recovery:
    """Quality, bias and inconsistency by ITU-T P.910 (10/2023) Annex E, of votes ``of``.

    ``quality`` (J,), ``deviation`` (J,) of the residuals on each stimulus; ``bias`` (I,), mean
    zero over raters, and ``inconsistency`` (I,), the standard deviation of a rater's noise.
    ``excluded``: raters with a single vote, who leave no residual, and why. ``collapsed``: raters
    whose inconsistency went below 0.01 points of 1..5, or as small a share of another scale. The
    likelihood has no bound there: with few votes a stimulus such a rater's votes ARE the quality,
    and the result should not be used. Every interval is at ``level``.
    """

    of: Ratings
    quality: Floats
    deviation: Floats
    bias: Floats
    inconsistency: Floats
    iterations: int
    converged: bool
    excluded: dict[str, str]
    collapsed: tuple[Hashable, ...]
    level: float = 0.95

    @property
    def _well_founded(self) -> bool:
        """Whether limits cover what they claim: nobody collapsed, and raters cast enough votes."""
        return not self.collapsed and self.of.score.size >= _ENOUGH_VOTES * self.of.n_raters

    @property
    def log_likelihood(self) -> float:
        """Of the votes under the model, the raters' noise normal; infinite where one has none."""
        of = self.of
        error = of.score - self.quality[of.stimulus] - self.bias[of.rater]
        return normal_log_likelihood(error, self.inconsistency[of.rater])

    @cached_property
    def stimuli(self) -> pd.DataFrame:
        """By stimulus: quality, n, low, high, and the half widths of the two published versions.

        ``half_width_li2020`` comes from the inconsistency of the raters who voted (Li et al.
        2020), ``half_width_p910`` from the residuals on that stimulus (P.910 (10/2023) Annex E).
        Both take the normal quantile and forget that bias and inconsistency are estimates too:
        they cover less than they claim with few raters or stimuli. ``low`` and ``high`` are the
        latter with Student's t, n - 1 and the votes that the biases cost; NaN where a rater
        collapsed or raters cast fewer than 14 votes on average.
        """
        n = np.bincount(self.of.stimulus).astype(np.float64)
        precision = _reciprocal(self.inconsistency**2)[self.of.rater]
        li2020 = _reciprocal(np.sqrt(np.bincount(self.of.stimulus, precision)))
        per_rater = self.of.score.size / self.of.n_raters
        half = np.full(n.size, np.nan)
        if self._well_founded:
            enough = n >= LEAST_UNITS
            t = student_quantile(n[enough] - 1, self.level)
            error = self.deviation[enough] / np.sqrt(n[enough] - 1)
            half[enough] = t * error * np.sqrt(per_rater / (per_rater - 1))
        z = normal_quantile(self.level)
        return pd.DataFrame(
            {
                "quality": self.quality,
                "n": n.astype(np.intp),
                "low": self.quality - half,
                "high": self.quality + half,
                "half_width_li2020": z * li2020,
                "half_width_p910": z * self.deviation / np.sqrt(n),
            },
            index=_index(self.of.stimuli),
        )

    @cached_property
    def raters(self) -> pd.DataFrame:
        """By rater: bias, inconsistency, n, and the published intervals of both.

        These cover less than they claim: see ``rater_limits``.
        """
        n, inconsistency = np.bincount(self.of.rater), self.inconsistency
        tails = ((1 - self.level) / 2, (1 + self.level) / 2)
        low, high = (np.sqrt(n / scipy.special.chdtri(n, tail)) * inconsistency for tail in tails)
        return pd.DataFrame(
            {
                "bias": self.bias,
                "bias_half_width": normal_quantile(self.level) * inconsistency / np.sqrt(n),
                "inconsistency": inconsistency,
                "inconsistency_low": low,
                "inconsistency_high": high,
                "n": n,
            },
            index=_index(self.of.raters),
        )

    @cached_property
    def rater_limits(self) -> pd.DataFrame:
        """By rater: bias_low, bias_high, inconsistency_low, inconsistency_high.

        A rater's n residuals have (n - 1)(1 - w) degrees of freedom: one is spent on the bias, and
        the quality holds the rater's own votes with the weight w, the mean of 1 / inconsistency^2
        over the sum of those who voted. Student's t and chi-square on these; NaN as
        the limits in ``stimuli``, those of the inconsistency below ENOUGH_RATERS too.
        """
        n = np.bincount(self.of.rater)
        tail = (1 - self.level) / 2
        half = low = high = np.full(n.size, np.nan)
        if self._well_founded:
            precision = self.inconsistency**-2.0
            total = np.bincount(self.of.stimulus, precision[self.of.rater])[self.of.stimulus]
            weight = group_mean(precision[self.of.rater] / total, self.of.rater, n.size)
            freedom = (n - 1) * (1 - weight)
            freedom[freedom <= 0] = np.nan
            squares = n * self.inconsistency**2
            half = student_quantile(freedom, self.level) * np.sqrt(squares / freedom / n)
            if n.size >= ENOUGH_RATERS:
                low = np.sqrt(squares / scipy.special.chdtri(freedom, tail))
                low = np.minimum(low, self.inconsistency)
                high = np.sqrt(squares / scipy.special.chdtri(freedom, 1 - tail))
        return pd.DataFrame(
            {
                "bias_low": self.bias - half,
                "bias_high": self.bias + half,
                "inconsistency_low": low,
                "inconsistency_high": high,
            },
            index=_index(self.of.raters),
        )


def remove_bias(ratings: Ratings) -> BiasRemoved:
    """Subtract from each vote its rater's mean distance from the MOS.

    ITU-T P.913 (03/2016) clause 12.4, as Li et al. 2020 print it, algorithm 2. A rejection follows,
    which ``standards`` has.
    """
    mos = group_mean(ratings.score, ratings.stimulus, ratings.n_stimuli)
    bias = group_mean(ratings.score - mos[ratings.stimulus], ratings.rater, ratings.n_raters)
    unbiased = pd.Series(ratings.score - bias[ratings.rater]).groupby(ratings.stimulus)
    sd, n = unbiased.std(ddof=1).to_numpy(), unbiased.size().to_numpy()
    stimuli = pd.DataFrame(
        {
            "mos": unbiased.mean().to_numpy(),
            "sd": sd,
            "n": n,
            "half_width": normal_quantile(0.95) * sd / np.sqrt(n),
        },
        index=_index(ratings.stimuli),
    )
    return BiasRemoved(stimuli, pd.Series(bias, index=_index(ratings.raters), name="bias"))


def recover(ratings: Ratings, level: float = 0.95, scale: Scale = ACR) -> Recovery:
    """Alternating projection to the maximum of the model's likelihood (P.910 (10/2023) Annex E).

    It ends where the step of all qualities is shorter than 1e-8 points of 1..5, or as small a share
    of the width of another ``scale``: votes multiplied with their scale give qualities multiplied.
    Time and memory grow linearly in the votes, whatever share of the matrix they fill.
    Raises StatisticsError when no rater has two votes, or when raters and stimuli fall into
    parts without a common vote, between which bias and quality can't be told apart.
    """
    pieces, excluded = _connected(ratings)
    if len(pieces) > 1:
        raise StatisticsError(
            f"Raters and stimuli fall into {len(pieces)} parts with no vote between them.",
            "Recover each part on its own: recover_parts.",
        )
    return _recovered(pieces[0], excluded, level, scale)


def recover_parts(
    ratings: Ratings, level: float = 0.95, scale: Scale = ACR
) -> tuple[Recovery, ...]:
    """``recover`` of each part between which there is no vote, on its own; usually there is one.

    The parts are in the order of their first stimuli. In each the biases have the mean zero, so
    quality and bias of two parts have different zeros and can't be compared. ``excluded`` is that
    of all parts. Raises StatisticsError when no rater has two votes.
    """
    pieces, excluded = _connected(ratings)
    return tuple(_recovered(piece, excluded, level, scale) for piece in pieces)


def _recovered(kept: Ratings, excluded: dict[str, str], level: float, scale: Scale) -> Recovery:
    check_level(level)
    point = (scale.high - scale.low) / (ACR.high - ACR.low)
    centre = float(kept.score.mean())
    full = _is_full(kept) and kept.n_stimuli > 1
    table: _FullTable | _SparseTable = (_FullTable if full else _SparseTable)(kept, centre)
    quality, before, bias, iterations, converged = _alternate(table, point)
    inconsistency = table.deviation_by_rater(before, bias)
    shift = float(bias.mean())
    return Recovery(
        of=kept,
        quality=quality + (centre + shift),
        deviation=table.deviation_by_stimulus(quality, bias),
        bias=bias - shift,
        inconsistency=inconsistency,
        iterations=iterations,
        converged=converged,
        excluded=excluded,
        collapsed=tuple(
            kept.raters[code]
            for code in np.flatnonzero(inconsistency < _COLLAPSED * point).tolist()
        ),
        level=level,
    )


def _alternate(
    table: _FullTable | _SparseTable, point: float
) -> tuple[Floats, Floats, Floats, int, bool]:
    """Quality, the quality before the last step, bias, iterations and whether they converged.

    ``point`` is how many points of the scale are one of 1..5.

    A rater's bias is the mean of score minus quality, so that the squared inconsistency is the
    mean square of score minus quality less the squared bias: sums over votes are products of
    the score matrix and the mask of votes cast with vectors.
    """
    n, total, squares = table.n_rater, table.rater_sums, table.rater_squares
    quality = table.stimulus_sums / table.n_stimulus
    bias = (total - table.sum_by_rater(quality)) / n
    iteration, converged = 0, False
    while not converged and iteration < _MAX_ITERATIONS:
        before = quality
        cross = table.scores.T @ quality
        mean_square = (squares - 2 * cross + table.sum_by_rater(quality * quality)) / n
        variance = np.maximum(mean_square - bias * bias, 0)
        weight = 1 / (variance + _LEAST_VARIANCE * point**2)
        weighted = table.scores @ weight - table.sum_by_stimulus(weight * bias)
        quality = weighted / table.sum_by_stimulus(weight)
        bias = (total - table.sum_by_rater(quality)) / n
        iteration += 1
        step = quality - before
        converged = bool(step @ step < (_CONVERGED * point) ** 2)
    return quality, before, bias, iteration, converged


class _FullTable:
    """Centred votes of a complete matrix in its order: sums over the mask are plain sums."""

    def __init__(self, ratings: Ratings, centre: float) -> None:
        shape = (ratings.n_stimuli, ratings.n_raters)
        self.scores: Floats = (ratings.score - centre).reshape(shape)
        self.n_stimulus = np.full(ratings.n_stimuli, ratings.n_raters)
        self.n_rater = np.full(ratings.n_raters, ratings.n_stimuli)
        self.stimulus_sums: Floats = self.scores.sum(axis=1)
        self.rater_sums: Floats = self.scores.sum(axis=0)
        self.rater_squares: Floats = np.einsum("ji,ji->i", self.scores, self.scores)

    def sum_by_rater(self, values: Floats) -> Floats:
        """Sum of ``values``, one a stimulus, over the stimuli of each rater."""
        total: Floats = values.sum(keepdims=True)
        return total

    def sum_by_stimulus(self, values: Floats) -> Floats:
        """Sum of ``values``, one a rater, over the raters of each stimulus."""
        total: Floats = values.sum(keepdims=True)
        return total

    def deviation_by_stimulus(self, quality: Floats, bias: Floats) -> Floats:
        """Population standard deviation of the residuals on each stimulus."""
        residual = self.scores - bias
        residual -= residual.mean(axis=1, keepdims=True)
        squares: Floats = np.einsum("ji,ji->j", residual, residual)
        deviation: Floats = np.sqrt(squares / residual.shape[1])
        return deviation

    def deviation_by_rater(self, quality: Floats, bias: Floats) -> Floats:
        """Population standard deviation of the residuals of each rater."""
        residual = self.scores - quality[:, None]
        residual -= residual.mean(axis=0)
        squares: Floats = np.einsum("ji,ji->i", residual, residual)
        deviation: Floats = np.sqrt(squares / residual.shape[0])
        return deviation


class _SparseTable:
    """Centred votes where some of the matrix was not seen, in time linear in the votes."""

    def __init__(self, ratings: Ratings, centre: float) -> None:
        self._ratings = ratings
        self._centred = ratings.score - centre
        shape = (ratings.n_stimuli, ratings.n_raters)
        cells = (ratings.stimulus, ratings.rater)
        self.scores = scipy.sparse.csr_array((self._centred, cells), shape=shape)
        self._cast = scipy.sparse.csr_array((np.ones(ratings.score.size), cells), shape=shape)
        self.n_stimulus = np.bincount(ratings.stimulus)
        self.n_rater = np.bincount(ratings.rater)
        self.stimulus_sums = np.bincount(ratings.stimulus, self._centred)
        self.rater_sums = np.bincount(ratings.rater, self._centred)
        self.rater_squares = np.bincount(ratings.rater, self._centred**2)

    def sum_by_rater(self, values: Floats) -> Floats:
        """Sum of ``values``, one a stimulus, over the stimuli of each rater."""
        return np.asarray(self._cast.T @ values)

    def sum_by_stimulus(self, values: Floats) -> Floats:
        """Sum of ``values``, one a rater, over the raters of each stimulus."""
        return np.asarray(self._cast @ values)

    def deviation_by_stimulus(self, quality: Floats, bias: Floats) -> Floats:
        """Population standard deviation of the residuals on each stimulus."""
        of = self._ratings
        return _deviation(self._centred - bias[of.rater], of.stimulus, of.n_stimuli)

    def deviation_by_rater(self, quality: Floats, bias: Floats) -> Floats:
        """Population standard deviation of the residuals of each rater."""
        of = self._ratings
        return _deviation(self._centred - quality[of.stimulus], of.rater, of.n_raters)


def _is_full(ratings: Ratings) -> bool:
    """Whether the votes are a complete matrix, stimulus by stimulus, rater by rater."""
    cells = ratings.n_stimuli * ratings.n_raters
    if ratings.score.size != cells:
        return False
    shape = (ratings.n_stimuli, ratings.n_raters)
    stimulus, rater = (codes.reshape(shape) for codes in (ratings.stimulus, ratings.rater))
    return bool(
        (rater == np.arange(shape[1])).all() and (stimulus == np.arange(shape[0])[:, None]).all()
    )


def _with_residuals(ratings: Ratings) -> tuple[Ratings, dict[str, str]]:
    single = np.bincount(ratings.rater) < 2
    if not single.any():
        return ratings, {}
    names = {str(ratings.raters[code]): "a single vote" for code in np.flatnonzero(single).tolist()}
    return ratings.keep(~single[ratings.rater]), names


def connected(ratings: Ratings) -> tuple[int, Codes]:
    """Into how many parts without a common rater or stimulus the votes fall, and which is whose.

    The codes of the parts are of all raters, then of all stimuli.
    """
    size = ratings.n_raters + ratings.n_stimuli
    ends = ratings.rater, ratings.n_raters + ratings.stimulus
    votes = scipy.sparse.coo_array((np.ones(ratings.score.size), ends), shape=(size, size))
    parts, label = scipy.sparse.csgraph.connected_components(votes, False)
    return int(parts), np.asarray(label, dtype=np.intp)


def _connected(ratings: Ratings) -> tuple[list[Ratings], dict[str, str]]:
    """The parts between which there is no vote, and whom a single vote excludes from all."""
    if _is_full(ratings) and ratings.n_stimuli > 1:
        return [ratings], {}
    kept, excluded = _with_residuals(ratings)
    parts, label = connected(kept)
    if parts == 1:
        return [kept], excluded
    of_stimuli = label[kept.n_raters :]
    in_order = dict.fromkeys(of_stimuli.tolist())
    return [kept.keep(of_stimuli[kept.stimulus] == part) for part in in_order], excluded


def _deviation(values: Floats, codes: np.ndarray[tuple[int], np.dtype[np.intp]], n: int) -> Floats:
    """Population standard deviation of ``values`` within each of ``n`` groups."""
    centred = values - group_mean(values, codes, n)[codes]
    return np.sqrt(group_mean(centred**2, codes, n))


def normal_log_likelihood(error: Floats, deviation: Floats) -> float:
    """Sum over ``error`` (V,) of the logarithms of normal densities of ``deviation`` (V,)."""
    if not (deviation > 0).all():
        return math.inf
    scaled = error / deviation
    return float(-(np.log(deviation) + scaled**2 / 2 + math.log(2 * math.pi) / 2).sum())


def normal_quantile(level: float) -> float:
    """Two-sided, to five decimals as in the reference implementation: 1.95996 at 95 %."""
    return round(float(scipy.special.ndtri((1 + level) / 2)), 5)


def _reciprocal(values: Floats) -> Floats:
    """1 / values with 1 / 0 = inf and 1 / inf = 0."""
    with np.errstate(divide="ignore"):
        return 1 / values


def _index(labels: tuple[object, ...]) -> pd.Index:
    return pd.Index(labels, tupleize_cols=True)
