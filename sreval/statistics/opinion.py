"""Mean opinion scores and their intervals, each of which says what it is about.

The same votes answer different questions. Whether other raters would agree is seen in the
spread of the raters; whether the method does as well on other images, in the spread of the
images; the spread of single votes answers neither.

A MOS is the estimate that its interval is around. Over raters, or images, it is the mean of their
means, a unit with many votes counting no more than one with few (the summary measure of a cluster:
Galbraith, Daniel and Vissel 2010, Journal of Neuroscience 30(32)); the two-way and the pooled
estimates are the mean of all votes. With equal numbers of votes these are the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence

import numpy as np
import pandas as pd
import scipy

from sreval.errors import unknown_name
from sreval.statistics.arrays import Floats, check_level
from sreval.statistics.intervals import Interval, expanded_tail, student_mean
from sreval.statistics.ratings import Codes, Ratings, group_mean
from sreval.statistics.votes import opinions

RESAMPLES = 2000

POOLED_WARNING = (
    "Votes of one rater, and votes on one image, are not independent: this interval speaks "
    "neither about other raters nor about other images, and is far too short for both."
)


def over_raters(ratings: Ratings, level: float = 0.95) -> Interval:
    """Student's t over the raters' means: these images, raters in general.

    With incomplete plans the estimate weighs raters, not votes, equally.
    """
    means = group_mean(ratings.score, ratings.rater, ratings.n_raters)
    return student_mean(means, level, unit="rater", estimand="these images, raters in general")


def over_images(ratings: Ratings, level: float = 0.95) -> Interval:
    """Student's t over the images' means: these raters, images in general."""
    means = group_mean(ratings.score, ratings.stimulus, ratings.n_stimuli)
    return student_mean(means, level, unit="image", estimand="these raters, images in general")


def pooled(ratings: Ratings, level: float = 0.95) -> Interval:
    """Student's t over single votes: these raters again on these images (POOLED_WARNING)."""
    return student_mean(
        ratings.score, level, unit="vote", estimand="these raters again on these images"
    )


def crowdmos(ratings: Ratings, level: float = 0.95) -> Interval:
    """Two-way random effects: raters and images in general.

    Ribeiro, Florencio, Zhang and Seltzer 2011 (CrowdMOS, ICASSP): rater, image and
    residual variance by the method of moments with population variances; Student's t with
    min(raters, images) - 1 degrees of freedom. Where no image has two votes, or no rater
    has, all variance counts as the votes' own, as in the published implementation.
    """
    check_level(level)
    per_rater = np.bincount(ratings.rater)
    per_image = np.bincount(ratings.stimulus)
    total = ratings.score.size
    v_all = float(ratings.score.var()) if total > 1 else math.nan
    v_within_rater = _mean_group_variance(ratings.score, ratings.rater)
    v_within_image = _mean_group_variance(ratings.score, ratings.stimulus)
    if math.isnan(v_within_rater) or math.isnan(v_within_image):
        within = v_within_image if math.isnan(v_within_rater) else v_within_rater
        variance = v_all / total if math.isnan(within) else max(v_all, within) / total
    else:
        v_image = max(0.0, v_all - v_within_image)
        v_rater = max(0.0, v_all - v_within_rater)
        v_vote = max(0.0, v_within_rater + v_within_image - v_all)
        variance = (
            v_image * float((per_image**2).sum()) / total**2
            + v_rater * float((per_rater**2).sum()) / total**2
            + v_vote / total
        )
    freedom = min(per_rater.size, per_image.size) - 1
    half = (
        float(scipy.stats.t.ppf((1 + level) / 2, freedom)) * math.sqrt(variance)
        if freedom
        else math.nan
    )
    mean = float(ratings.score.mean())
    return Interval(
        mean,
        mean - half,
        mean + half,
        level,
        freedom + 1,
        "rater and image",
        "raters and images in general",
        "CrowdMOS two-way random effects (Ribeiro et al. 2011)",
    )


def bootstrap_two_way(
    ratings: Ratings, level: float = 0.95, *, resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """Raters and images drawn anew together: raters and images in general.

    The pigeonhole bootstrap (Owen 2007, Annals of Applied Statistics 1(2)): a vote counts as
    often as its rater times as often as its image. It errs on the wide side. Percentiles are
    expanded for the smaller of the two numbers of units (Hesterberg 2015).
    """
    check_level(level)
    smaller = min(ratings.n_raters, ratings.n_stimuli)
    mean = float(ratings.score.mean())
    low = high = math.nan
    if smaller > 1:
        means = _pigeonhole_means(ratings, resamples, np.random.default_rng(seed))
        tail = expanded_tail(smaller, level)
        low, high = (float(q) for q in np.quantile(means, [tail, 1 - tail]))
    return Interval(
        mean,
        low,
        high,
        level,
        smaller,
        "rater and image",
        "raters and images in general",
        f"bootstrap over raters and images, {resamples} resamples, seed {seed}",
    )


INTERVALS: dict[str, Callable[[Ratings, float], Interval]] = {
    "raters": over_raters,
    "images": over_images,
    "pooled": pooled,
    "crowdmos": crowdmos,
    "bootstrap": bootstrap_two_way,
}
"""The intervals of a method's MOS by the name under which a user asks for them."""


def mean_of(unit: str) -> str:
    """What a MOS is the mean of where its interval is over ``unit``, in words."""
    return {
        "rater": "mean of the raters' mean votes",
        "image": "mean of the images' mean votes",
    }.get(unit, "mean of all votes")


def mos_table(
    votes: pd.DataFrame,
    by: Sequence[str] = ("dataset", "method"),
    interval: str = "raters",
    level: float = 0.95,
) -> pd.DataFrame:
    """MOS of every group of checked votes, one row a group, in the order of ``by``.

    Columns: those of ``by``, ``mos`` (the interval's estimate, ``mean_of`` its unit), ``sd`` (of
    the votes, n - 1), ``n_votes``, ``n_raters``, ``n_images``, and the fields of the Interval,
    its method under ``interval``, and ``warning``, empty but for pooled votes. Raises UsageError
    for an interval that INTERVALS doesn't know.
    """
    if interval not in INTERVALS:
        raise unknown_name("interval", interval, INTERVALS)
    rows = []
    for key, group in opinions(votes).groupby(list(by), sort=True):
        ratings = Ratings.from_votes(group, ["dataset", "image"])
        found = INTERVALS[interval](ratings, level)
        fields = vars(found)
        fields = {name: fields[name] for name in fields if name != "method"}
        rows.append(
            dict(zip(by, key, strict=True))
            | {"mos": found.estimate}
            | _summary(ratings)
            | fields
            | {"interval": found.method}
            | {"warning": POOLED_WARNING if interval == "pooled" else ""}
        )
    return pd.DataFrame(rows)


def _summary(ratings: Ratings) -> dict[str, Hashable]:
    votes = ratings.score.size
    return {
        "sd": float(ratings.score.std(ddof=1)) if votes > 1 else math.nan,
        "n_votes": votes,
        "n_raters": ratings.n_raters,
        "n_images": ratings.n_stimuli,
    }


def _mean_group_variance(score: Floats, codes: Codes) -> float:
    """Mean over groups of two votes or more of the population variance, NaN if there are none."""
    counts = np.bincount(codes)
    centred = score - group_mean(score, codes, counts.size)[codes]
    several = counts > 1
    variances = np.bincount(codes, centred**2)[several] / counts[several]
    return float(variances.mean()) if several.any() else math.nan


def _pigeonhole_means(ratings: Ratings, resamples: int, generator: np.random.Generator) -> Floats:
    shape = (ratings.n_raters, ratings.n_stimuli)
    cells = (ratings.rater, ratings.stimulus)
    sums = scipy.sparse.csr_array((ratings.score, cells), shape=shape)
    counts = scipy.sparse.csr_array((np.ones(ratings.score.size), cells), shape=shape)
    means = []
    for start in range(0, resamples, 200):
        size = min(200, resamples - start)
        raters = generator.multinomial(shape[0], np.full(shape[0], 1 / shape[0]), size).T
        images = generator.multinomial(shape[1], np.full(shape[1], 1 / shape[1]), size).T
        drawn = (raters * (counts @ images)).sum(axis=0)
        total = (raters * (sums @ images)).sum(axis=0)
        means.append(total[drawn > 0] / drawn[drawn > 0])
    return np.concatenate(means)
