"""Mean opinion scores and their intervals, each of which says what it is about.

The same votes answer different questions. Whether other raters would agree is seen in the
spread of the raters; whether the method does as well on other images, in the spread of the
images; the spread of single votes answers neither.

A MOS is the mean of the images' mean votes: an image counts no more for having many votes, whoever
the interval speaks about. CrowdMOS alone, as published, takes the mean of all votes. With equal
numbers of votes on the images these are the same.

Frames of one sequence are not independent. They are averaged over their sequence first, as scores
are, and a sequence is then to the mean, and to all intervals, what an image is among stills.

The MOS of a single stimulus has intervals of its own, which hold at the ends of the scale as well:
26 votes on a nearest neighbour image may all be 1 although one rater in twenty says 2. The spread
of these votes then says nothing, and Student's interval has no width. Difference scores against
the hidden reference (ACR-HR, ITU-T P.910 (2008) clause 6.2) have the intervals of the MOS.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import scipy

from sreval.errors import StatisticsError, check_name, option, unknown_name
from sreval.opinions.arrays import Codes, Floats, Ratings, cell_means, check_level, group_mean
from sreval.opinions.crossed import crossed_mean
from sreval.opinions.intervals import (
    LEAST_UNITS,
    Interval,
    least_error,
    limits_on_scale,
    on_scale,
    standard_error,
    student_quantile,
)
from sreval.opinions.units import CLAIMS, claim
from sreval.opinions.votes import ACR, STIMULUS, Scale, opinions, task_in, units_of

RESAMPLES = 2000

POOLED_WARNING = (
    "Votes of one rater, and votes on one image, are not independent: this interval speaks "
    "neither about other raters nor about other images, and is far too short for both."
)

NEAR_END_WARNINGS = {
    name: f"A MOS within a sixteenth of the scale from its end: over {over}, intervals that claim "
    f"95% covered {covered} in simulations of 5 and 14 images."
    for name, over, covered in (
        ("images", "images", "91 to 95%"),
        ("crossed", "raters and images", "86 to 95%"),
    )
}
"""By the name of the interval; benchmarks/coverage.py has the figures, of 8 raters or more."""
_VERY_NEAR = 1 / 16


def crossed(ratings: Ratings, level: float = 0.95) -> Interval:
    """Raters and images, or sequences, in general: Student's t with crossed random effects.

    The variances of raters, images and rest are those of ``crossed_mean``, of frames over each
    rater's mean vote on a sequence, as are the degrees of freedom; the standard error is what they
    give the mean of the images' means. Where every rater saw every image it is ``crossed_mean``'s.
    """
    unit, image = ratings.unit_name, ratings.sequence[ratings.stimulus]
    found = crossed_mean(*cell_means(ratings.score, ratings.rater, image))
    weight = _weights(ratings)
    parts = (
        (found.sd_rater, ratings.rater),
        (found.sd_image, image),
        (found.sd_rest, ratings.rater * (int(image.max()) + 1) + image),
    )
    variance = sum(sd**2 * float((np.bincount(codes, weight) ** 2).sum()) for sd, codes in parts)
    return _interval(
        ratings, level, error=math.sqrt(variance), freedom=found.freedom,
        n=min(found.n_raters, found.n_images), unit=f"rater and {unit}",
        estimand=claim("both", unit), method="Student t, raters and images random",
    )  # fmt: skip


def over_raters(ratings: Ratings, level: float = 0.95) -> Interval:
    """These images, raters in general: Student's t.

    The standard error is linearised: a rater's influence on the mean of the images' means is the
    sum of the rater's distances from them, each over the votes on its image (Binder 1983,
    International Statistical Review 51(3)), with n / (n - 1) for the n votes on it. A rater's
    votes that stand alone on their images count as one, with the variance of the others. The
    degrees of freedom are Kish's effective number of raters less one. Where every rater saw every
    image this is Student's t over the raters' means. No interval where no image has two votes.
    """
    check_level(level)
    n = np.bincount(ratings.stimulus)
    means = group_mean(ratings.score, ratings.stimulus, n.size)
    weight = _weights(ratings)
    on_it = n[ratings.stimulus]
    several = on_it > 1
    share = np.bincount(ratings.rater, weight)
    freedom = 1 / float((share**2).sum()) - 1
    error = math.nan
    if several.any() and freedom > 0:
        distance = ratings.score - means[ratings.stimulus]
        scaled = distance * np.sqrt(on_it / np.maximum(on_it - 1, 1))
        variance = float((np.bincount(ratings.rater, weight * scaled) ** 2).sum())
        within = np.bincount(ratings.stimulus, distance**2)[n > 1] / (n[n > 1] - 1)
        alone = np.bincount(ratings.rater, weight * ~several)
        error = math.sqrt(variance + float(within.mean()) * float((alone**2).sum()))
    return _interval(
        ratings, level, error=error, freedom=freedom, n=ratings.n_raters, unit="rater",
        estimand=claim("rater", ratings.unit_name), method="Student t",
    )  # fmt: skip


def over_images(ratings: Ratings, level: float = 0.95) -> Interval:
    """These raters, images in general: Student's t over the images', or sequences', means."""
    means, unit = _means(ratings), ratings.unit_name
    return _interval(
        ratings, level, error=standard_error(means), freedom=means.size - 1,
        n=means.size, unit=unit, estimand=claim("image", unit), method="Student t",
    )  # fmt: skip


def pooled(ratings: Ratings, level: float = 0.95) -> Interval:
    """These raters again on these images: t as if votes were independent (POOLED_WARNING)."""
    weight = _weights(ratings)
    votes = weight.size
    distance = ratings.score - float((weight * ratings.score).sum())
    error = math.sqrt(float((weight**2 * distance**2).sum()) * votes / max(votes - 1, 1))
    return _interval(
        ratings, level, error=error, freedom=votes - 1, n=votes, unit="vote",
        estimand=claim("pooled", ratings.unit_name), method="Student t",
    )  # fmt: skip


def crowdmos(ratings: Ratings, level: float = 0.95) -> Interval:
    """Two-way random effects: raters and images in general, around the mean of all votes.

    Ribeiro, Florencio, Zhang and Seltzer 2011 (CrowdMOS, ICASSP): rater, image and
    residual variance by the method of moments with population variances; Student's t with
    min(raters, images) - 1 degrees of freedom. Where no image has two votes, or no rater
    has, all variance counts as the votes' own, as in the published implementation.
    """
    check_level(level)
    image, unit = ratings.sequence[ratings.stimulus], ratings.unit_name
    per_rater = np.bincount(ratings.rater)
    per_image = np.bincount(image)
    total = ratings.score.size
    v_all = float(ratings.score.var()) if total > 1 else math.nan
    v_within_rater = _mean_group_variance(ratings.score, ratings.rater)
    v_within_image = _mean_group_variance(ratings.score, image)
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
    n = min(per_rater.size, per_image.size)
    return _interval(
        ratings, level, error=math.sqrt(variance), freedom=n - 1, n=n,
        unit=f"rater and {unit}", estimand=f"raters and {unit}s in general",
        method="CrowdMOS two-way random effects (Ribeiro et al. 2011), known to under-cover near "
        "the ends of the scale with few images",
        estimate=float(ratings.score.mean()),
    )  # fmt: skip


def bootstrap_two_way(
    ratings: Ratings,
    level: float = 0.95,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Raters and images drawn anew together: raters and images in general.

    The pigeonhole bootstrap (Owen 2007, Annals of Applied Statistics 1(2)): a vote counts as
    often as its rater times as often as its image, or sequence. It errs on the wide side.
    Student's t with the standard deviation of the resampled means times sqrt(n / (n - 1)), n the
    smaller of the two numbers of units (Hesterberg 2015, The American Statistician 69(4)).
    """
    check_level(level)
    unit = ratings.unit_name
    smaller = min(ratings.n_raters, int(ratings.sequence.max()) + 1)
    error = math.nan
    if smaller >= LEAST_UNITS:
        means = _pigeonhole_means(ratings, resamples, np.random.default_rng(seed))
        error = float(means.std()) * math.sqrt(smaller / (smaller - 1))
    return _interval(
        ratings, level, error=error, freedom=smaller - 1, n=smaller,
        unit=f"rater and {unit}", estimand=f"raters and {unit}s in general",
        method=f"bootstrap over raters and {unit}s, {resamples} resamples, seed {seed}",
    )  # fmt: skip


def _interval(
    ratings: Ratings,
    level: float,
    *,
    error: float,
    freedom: float,
    n: int,
    unit: str,
    estimand: str,
    method: str,
    estimate: float | None = None,
) -> Interval:
    """The mean of the images' means, or ``estimate``, with its interval of ``freedom``."""
    check_level(level)
    if estimate is None:
        estimate = float(_means(ratings).mean())
    t = float(student_quantile(freedom, level)) if n >= LEAST_UNITS else math.nan
    low, high = estimate - t * error, estimate + t * error
    return Interval(estimate, low, high, level, n, unit, estimand, method, freedom)


def _means(ratings: Ratings) -> Floats:
    """The means of the images' mean votes over each sequence; a still is its own."""
    means = group_mean(ratings.score, ratings.stimulus, ratings.n_stimuli)
    sequence = ratings.sequence
    return group_mean(means, sequence, int(sequence.max()) + 1)


def _weights(ratings: Ratings) -> Floats:
    """What each vote weighs in the mean of ``_means``, shape (V,)."""
    n, sequence = np.bincount(ratings.stimulus), ratings.sequence
    frames = np.bincount(sequence)
    weights: Floats = 1 / (frames.size * frames[sequence] * n)
    return weights[ratings.stimulus]


INTERVALS: dict[str, Callable[[Ratings, float], Interval]] = {
    "crossed": crossed,
    "raters": over_raters,
    "images": over_images,
    "pooled": pooled,
    "crowdmos": crowdmos,
    "bootstrap": bootstrap_two_way,
}
"""The intervals of a method's MOS by the name under which a user asks for them."""


def mean_of(interval: str, unit: str = "image") -> str:
    """What a MOS is the mean of where its interval is of that name in INTERVALS, in words.

    ``unit`` is what ``frames.unit_name`` says of the images.
    """
    if interval == "crowdmos":
        return "mean of all votes"
    frames = ", each the mean of its frames' mean votes" if unit == "sequence" else ""
    return f"mean of the {unit}s' mean{'s' if frames else ' votes'}{frames}"


def mos_interval(
    ratings: Ratings, interval: str = "raters", level: float = 0.95, scale: Scale = ACR
) -> Interval:
    """The MOS of ``ratings`` with the named interval, kept on the scale.

    CrowdMOS' limits are the published ones, cut off at the ends of the scale; only where these
    have no width are they ``limits_on_scale`` too.

    Raises UsageError for an interval that INTERVALS doesn't know, StatisticsError for a MOS that
    isn't on the scale.
    """
    if interval not in INTERVALS:
        raise unknown_name("interval", interval, INTERVALS)
    found = INTERVALS[interval](ratings, level)
    if interval == "crowdmos" and found.high > found.low:
        return replace(found, low=max(found.low, scale.low), high=min(found.high, scale.high))
    return on_scale(found, scale, ratings.score.size)


def warning_of(interval: str, mos: float, scale: Scale = ACR) -> str:
    """The warning to show beside a MOS with the interval of that name, or nothing."""
    if interval == "pooled":
        return POOLED_WARNING
    nearest = min(mos - scale.low, scale.high - mos)
    if nearest < _VERY_NEAR * (scale.high - scale.low):
        return NEAR_END_WARNINGS.get(interval, "")
    return ""


def mos_table(
    votes: pd.DataFrame,
    by: Sequence[str] = ("dataset", "method"),
    interval: str | None = None,
    level: float = 0.95,
    scale: Scale = ACR,
) -> pd.DataFrame:
    """MOS of every group of checked votes on ``scale``, one row per group, in the order of ``by``.

    Columns: those of ``by``, ``mos`` (the interval's estimate) and ``mean_of`` (what it is the
    mean of, in words), ``sd`` (of the votes, n - 1), ``n_votes``, ``n_raters``, ``n_images``, and
    the fields of the Interval, its method under ``interval``, and ``warning_of`` it as
    ``warning``. ``interval`` None: that of the unit that each data set has by default. Raises
    UsageError for an interval that INTERVALS doesn't know.
    """
    rows = []
    defaults = units_of(votes)
    needed = list(dict.fromkeys((*by, "dataset", "image", "rater", "score")))
    for key, group in opinions(votes)[needed].groupby(list(by), sort=True):
        ratings = Ratings.from_votes(group, ["dataset", "image"])
        default = CLAIMS[defaults[str(group["dataset"].iloc[0])].unit].interval
        name = default if interval is None else interval
        found = mos_interval(ratings, name, level, scale)
        fields = vars(found)
        fields = {name: fields[name] for name in fields if name != "method"}
        rows.append(
            dict(zip(by, key, strict=True))
            | {"mos": found.estimate, "mean_of": mean_of(name, ratings.unit_name)}
            | _summary(ratings)
            | fields
            | {"interval": found.method}
            | {"warning": warning_of(name, found.estimate, scale)}
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
    """Means of ``_means``, raters and sequences drawn anew; an image without votes is none."""
    sequence = ratings.sequence
    frames = scipy.sparse.csr_array((np.ones(sequence.size), (sequence, np.arange(sequence.size))))
    shape = (ratings.n_stimuli, ratings.n_raters)
    cells = (ratings.stimulus, ratings.rater)
    sums = scipy.sparse.csr_array((ratings.score, cells), shape=shape)
    counts = scipy.sparse.csr_array((np.ones(ratings.score.size), cells), shape=shape)
    means = []
    for start in range(0, resamples, 200):
        size = min(200, resamples - start)
        raters = generator.multinomial(shape[1], np.full(shape[1], 1 / shape[1]), size).T
        n = frames.shape[0]
        sequences = generator.multinomial(n, np.full(n, 1 / n), size).T
        drawn = counts @ raters
        of_images = np.divide(sums @ raters, drawn, out=np.zeros(drawn.shape), where=drawn > 0)
        rated = frames @ (drawn > 0)
        mean = np.divide(frames @ of_images, rated, out=np.zeros(rated.shape), where=rated > 0)
        sequences = sequences * (rated > 0)
        seen = sequences.sum(axis=0)
        means.append((sequences * mean).sum(axis=0)[seen > 0] / seen[seen > 0])
    return np.concatenate(means)


ESTIMAND = "this stimulus, raters in general"
_MOST_STEPS = 10
_SOS_OF_FIVE = 0.25
"""The SOS coefficient of binomial votes on five categories."""


def binomial_sos(scale: Scale) -> float | None:
    """The SOS coefficient of binomial votes on the k scores of ``scale``: 1 / (k - 1).

    Binomial votes have the variance (high - m)(m - low) / (k - 1) (Hossfeld et al. 2018,
    arXiv 1806.01126). None for a slider, or more than eleven scores, on which nobody errs so
    little.
    """
    steps = (scale.high - scale.low) / scale.spacing if scale.spacing else math.inf
    return 1 / round(steps) if steps <= _MOST_STEPS else None


_ENOUGH_STIMULI = 20
"""Stimuli from which the SOS coefficient is taken as known."""


def stimulus_mos(
    votes: pd.DataFrame, level: float = 0.95, interval: str = "score", scale: Scale = ACR
) -> pd.DataFrame:
    """MOS of every stimulus, indexed by (dataset, image, method).

    Columns: mos, sd (n - 1), n, low, high, interval (the method in words). The interval is of
    the name ``score`` or ``student``; fewer than LEAST_UNITS votes give none. Raises UsageError
    for another name.

    ``score``: all expected scores that the votes don't contradict, |mos - m| <= t sqrt(a (high
    - m)(m - low) / n): Wilson's interval for the variance a (high - m)(m - low) of the SOS
    hypothesis, as Hossfeld et al. 2018 ("Confidence interval estimators for MOS values",
    arXiv 1806.01126) build theirs on it. a is the stimulus' own or that of all stimuli
    together, whichever is larger; with fewer than 20 stimuli, or none whose votes differ, that of
    binomial votes on the scale's scores, 0.25 for five, replaces the latter; on a slider it
    doesn't. It stays on the scale and covers 95 % or more of the time (benchmarks/coverage.py;
    on sliders benchmarks/agreement.py, 92 to 96 % for one stimulus alone).

    ``student``: Student's t (ITU-R BT.500-15 A1-2.2, from memory, with the normal quantile). It is
    known to under-cover at the ends of the scale: 91 % at a mean quality of 1.3 from 26 raters.
    """
    check_level(level)
    if interval not in STIMULUS_INTERVALS:
        raise unknown_name("interval of a stimulus", interval, STIMULUS_INTERVALS)
    scores = opinions(votes).groupby(list(STIMULUS), sort=True)["score"]
    table = scores.agg(["mean", "std", "count"])
    table.columns = pd.Index(["mos", "sd", "n"])
    limits, method = STIMULUS_INTERVALS[interval]
    mos, sd, n = (table[name].to_numpy(dtype=np.float64) for name in table)
    low, high = limits(mos, sd, n, level, scale)
    return table.assign(low=low, high=high, interval=method)


def student_limits(
    mos: Floats, sd: Floats, n: Floats, level: float = 0.95, scale: Scale = ACR
) -> tuple[Floats, Floats]:
    """Student's t limits of stimuli with ``n`` votes each, of shape (J,); NaN for too few."""
    half = _quantile(n, level) * sd / np.sqrt(n)
    return mos - half, mos + half


def score_limits(
    mos: Floats, sd: Floats, n: Floats, level: float = 0.95, scale: Scale = ACR
) -> tuple[Floats, Floats]:
    """The ``score`` limits of ``stimulus_mos`` for all stimuli of a study, of shape (J,)."""
    largest = (scale.high - mos) * (mos - scale.low)
    own = np.divide(sd**2, largest, out=np.zeros(n.size), where=largest > 0)
    several = n > 1
    norm = float((largest[several] ** 2).sum())
    common = float((largest * sd**2)[several].sum()) / norm if norm else 0.0
    constant = binomial_sos(scale)
    if common == 0 or (constant and several.sum() < _ENOUGH_STIMULI):
        common = constant or _SOS_OF_FIVE
    # on 0..1: (p - P)^2 <= c P (1 - P), solved for P
    width = scale.high - scale.low
    p = (mos - scale.low) / width
    c = _quantile(n, level) ** 2 * np.maximum(common, own) / n
    half = np.sqrt(c * p * (1 - p) + c**2 / 4) / (1 + c)
    middle = (p + c / 2) / (1 + c)
    return scale.low + width * (middle - half), scale.low + width * (middle + half)


Limits = Callable[[Floats, Floats, Floats, float, Scale], tuple[Floats, Floats]]

STIMULUS_INTERVALS: dict[str, tuple[Limits, str]] = {
    "score": (score_limits, "Wilson's score interval, SOS variance (Hossfeld et al. 2018)"),
    "student": (student_limits, "Student t, known to under-cover at the ends of the scale"),
}
"""The intervals of a single stimulus' MOS, and their methods in words, by name."""


def _quantile(n: Floats, level: float) -> Floats:
    quantile = np.full(n.size, np.nan)
    enough = n >= LEAST_UNITS
    quantile[enough] = student_quantile(n[enough] - 1, level)
    return quantile


@dataclass(frozen=True)
class DifferenceScores:
    """Differential votes and what was left out.

    ``votes``: one row per rater, image and method other than the reference, with the vote's
    columns, ``difference``, the rater's score minus the same rater's score of the reference
    of that image plus the scale's top: 5 is "as good as the reference", more is better; and
    ``crushed``, the same after ``crush``. ``excluded``: votes whose rater didn't rate the reference
    of that image; ``raters_without``: of how many raters these are. ``twice``: references that a
    rater rated more than once, whose mean counts.
    """

    votes: pd.DataFrame
    reference: str
    excluded: int
    raters_without: int
    twice: int
    scale: Scale

    def interval(
        self,
        votes: pd.DataFrame,
        name: str = "raters",
        level: float = 0.95,
        score: str = "difference",
    ) -> Interval:
        """DMOS of some of ``votes``, those of one method; ``score`` "crushed": of crushed ones.

        Of all ``INTERVALS`` as the MOS, kept between the least and the largest difference.
        Raises UsageError for an interval of another name.
        """
        if name not in INTERVALS:
            raise unknown_name("interval", name, INTERVALS)
        ratings = Ratings.from_votes(votes.assign(score=votes[score]), ["image"])
        return on_scale(INTERVALS[name](ratings, level), self.scale, ratings.score.size, self.ends)

    @property
    def ends(self) -> Scale:
        """The least and the largest difference."""
        return Scale(self.scale.low, 2 * self.scale.high - self.scale.low, 0)

    def stimuli(self, level: float = 0.95) -> pd.DataFrame:
        """DMOS of every stimulus over its raters, indexed by (dataset, image, method).

        ``dmos``, ``sd`` (n - 1), ``n``, ``half_width`` (Student's t, NaN for fewer than
        LEAST_UNITS votes), ``low`` and ``high`` (kept between the least and the largest
        difference); the same of crushed ones after ``crushed_``, with ``crushed`` as their mean;
        ``above``: how many differences lie above the top of the scale.
        """
        check_level(level)
        groups = self.votes.groupby(list(STIMULUS), sort=True)
        table = pd.DataFrame(index=groups.size().index)
        for score, mean, lead in (("difference", "dmos", ""), ("crushed", "crushed", "crushed_")):
            own = groups[score].agg(["mean", "std", "count"])
            dmos, sd, n = (own[name].to_numpy(dtype=np.float64) for name in own)
            t = _quantile(n, level)
            half = t * sd / np.sqrt(n)
            least = t * least_error(self.scale, 1) / np.sqrt(n)
            low, high = limits_on_scale(dmos, half, least, self.ends)
            table[mean] = dmos
            made = {"sd": sd, "n": n.astype(int), "half_width": half, "low": low, "high": high}
            for name in made if not lead else ("sd", "half_width", "low", "high"):
                table[f"{lead}{name}"] = made[name]
        table["above"] = groups["difference"].agg(lambda own: int((own > self.scale.high).sum()))
        return table


def crush(differences: Floats, scale: Scale = ACR) -> Floats:
    """Differences above the top of the scale, drawn towards it: (K + 2) d / (2 + d).

    d is the difference in categories counted from 1, of K. Continuous at K; it weakens what a few
    raters say who prefer a picture to its original by far. For K = 5 it is the crushing of ITU-T
    P.910 (2008) clause 6.2, from memory; for other K our generalisation. A slider is taken as its
    five equal bands, so as K = 5.
    """
    step = scale.spacing or (scale.high - scale.low) / 4
    k = (scale.high - scale.low) / step + 1
    d = (differences - scale.low) / step + 1
    crushed: Floats = scale.low + step * ((k + 2) * d / (2 + d) - 1)
    return np.where(differences > scale.high, crushed, differences)


def check_reference(counted: pd.DataFrame, reference: str) -> None:
    """Raise UsageError where no vote that counts is on the method ``reference``."""
    known = set(counted["method"].astype(str))
    remedy = f"Name the original by {option('--reference', 'reference')}, if it was rated."
    check_name("reference", reference, known, remedy)


def difference_scores(
    votes: pd.DataFrame, reference: str = "hr", scale: Scale = ACR
) -> DifferenceScores:
    """Subtract from each rater's vote the same rater's vote on the hidden reference.

    DV = V(processed) - V(reference) + top of scale (ITU-T P.910 (2008) clause 6.2, from memory).
    Where a rater rated the reference of an image again, as a repeat, V(reference) is the mean.
    Raises UsageError when ``votes`` hold no method of that name, StatisticsError for degradation
    category rating, whose votes are differences from the reference already.
    """
    if (task := task_in(votes)).name == "dcr":
        raise StatisticsError(
            f"Votes of {task.title} compare with the reference already: they have no difference "
            "scores.",
            f"Their mean, {task.mean}, is in the analysis mos.",
        )
    counted = opinions(votes)
    check_reference(counted, reference)
    key = ["rater", "dataset", "image"]
    again = votes["accepted"] & (votes["kind"] == "repeat") & (votes["method"] == reference)
    of_reference = pd.concat([counted[counted["method"] == reference], votes[again]])
    hidden = of_reference.groupby(key)["score"].agg(["mean", "size"])
    processed = counted[counted["method"] != reference]
    own = hidden["mean"].reindex(pd.MultiIndex.from_frame(processed[key])).to_numpy()
    difference = processed["score"].to_numpy(dtype=np.float64) - own + scale.high
    differences = processed.assign(difference=difference, crushed=crush(difference, scale))
    there = differences["difference"].notna()
    return DifferenceScores(
        votes=differences[there],
        reference=reference,
        excluded=int((~there).sum()),
        raters_without=differences.loc[~there, "rater"].nunique(),
        twice=int((hidden["size"] > 1).sum()),
        scale=scale,
    )
