"""Which metric to trust where: within a scene, across scenes, within and between method classes.

A stimulus is one version of a scene. Scenes are independent, the versions of one aren't: intervals
are about new scenes, over several studies about new scenes of these studies. A metric is
turned first so that more is better. Stimuli are a frame with the columns ``scene``, ``image``,
``group`` (the class of its method, empty where unknown), ``mos`` and one per metric.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping as Names
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
import scipy
from numpy.typing import NDArray

from sreval.errors import StatisticsError
from sreval.opinions.agreement import (
    MetricDifference,
    finite_rows,
    jackknifed,
    metric_agreement,
)
from sreval.opinions.arrays import Codes, Floats
from sreval.opinions.intervals import (
    LEAST_UNITS,
    Interval,
    standard_error,
    student_mean,
    student_quantile,
)
from sreval.opinions.significance import holm

Question = Literal["within a scene", "across scenes"]
Statistic = Literal["accuracy", "srocc"]
Groups = tuple[str, ...]
"""The classes of the methods compared: none for all methods, one, or two against each other."""

_LIMITS: dict[str, tuple[float, float]] = {"accuracy": (0, 1), "srocc": (-1, 1)}


@dataclass(frozen=True)
class Answer:
    """How well each metric follows the raters in one respect, in one study or over several.

    ``statistic``: 'accuracy', the share of pairs that a metric puts in the order of the raters,
    or 'srocc', Spearman's rank correlation. ``intervals`` and ``errors``, the standard errors, by
    metric; ``differences`` of all pairs of metrics, p adjusted by Holm's method. ``n`` counts
    ``of``: pairs, stimuli or studies.
    """

    question: Question
    groups: Groups
    statistic: Statistic
    intervals: Names[str, Interval]
    errors: Names[str, float]
    differences: tuple[MetricDifference, ...]
    n: int
    of: Literal["pairs", "stimuli", "studies"]

    @property
    def order(self) -> list[str]:
        """The metrics, the one that follows the raters best first."""
        return sorted(self.intervals, key=lambda name: -self.intervals[name].estimate)

    def p_from_best(self, metric: str) -> float:
        """Adjusted p of the difference of a metric from the best, NaN where it wasn't tested."""
        pair = {metric, self.order[0]}
        found = [d.p_adjusted for d in self.differences if {d.first, d.second} == pair]
        return found[0] if found else math.nan


def answer(
    values: pd.DataFrame,
    question: Question,
    groups: Groups,
    statistic: Statistic,
    level: float,
    n: int,
    of: Literal["pairs", "stimuli"],
) -> Answer:
    """What the scenes' ``values`` say: one row per scene, one column per metric, of ``n`` ``of``.

    Means over the scenes with Student's t interval, kept within the statistic's limits, and paired
    t tests of all pairs of metrics. Where the accuracy is 0, or 1, in every scene, the other limit
    is that of Clopper and Pearson (1934) for the share of scenes in which it isn't; other values
    that don't vary give no interval. A difference that is the same in every scene is tested by its
    sign.
    """
    own = {str(metric): values[metric].to_numpy(dtype=np.float64) for metric in values}
    intervals = {metric: _kept(one, statistic, level) for metric, one in own.items()}
    errors = {
        metric: standard_error(one) if one.size > 1 else math.nan for metric, one in own.items()
    }
    tested = {
        (a, b): _tested(own[a] - own[b], statistic, level)
        for a, b in itertools.combinations(own, 2)
    }
    differences = _adjusted(tested, statistic)
    return Answer(question, groups, statistic, intervals, errors, differences, n, of)


def _adjusted(
    tested: Names[tuple[str, str], tuple[Interval, float]], statistic: Statistic
) -> tuple[MetricDifference, ...]:
    adjusted = holm([p for _, p in tested.values()])
    return tuple(
        MetricDifference(a, b, statistic, interval, p, float(p_adjusted))
        for ((a, b), (interval, p)), p_adjusted in zip(tested.items(), adjusted, strict=True)
    )


def _kept(values: Floats, statistic: Statistic, level: float) -> Interval:
    found = student_mean(values, level, unit="scene", estimand=f"{statistic}, new scenes")
    bottom, top = _LIMITS[statistic]
    low, high = max(found.low, bottom), min(found.high, top)
    if values.size >= LEAST_UNITS and np.ptp(values) == 0:
        low = high = math.nan
        if statistic == "accuracy" and values[0] in (bottom, top):
            reach = 1 - ((1 - level) / 2) ** (1 / values.size)
            low, high = (0.0, reach) if values[0] == bottom else (1 - reach, 1.0)
    return replace(found, low=low, high=high)


def _tested(values: Floats, statistic: Statistic, level: float) -> tuple[Interval, float]:
    """The mean of the scenes' differences and the p of none, NaN where it can't be tested."""
    estimand = f"difference of {statistic}, new scenes"
    found = student_mean(values, level, unit="scene", estimand=estimand)
    if values.size < LEAST_UNITS or not values.any():
        return found, math.nan
    if np.ptp(values) == 0:
        return found, 2.0 ** (1 - values.size)
    return found, _p(found.estimate, standard_error(values), values.size - 1)


def _p(estimate: float, error: float, freedom: float) -> float:
    return float(2 * scipy.special.stdtr(freedom, -abs(estimate) / error))


# Within a scene


def pairs_of(
    stimuli: pd.DataFrame, ratings: Floats | None = None, level: float = 0.95
) -> pd.DataFrame:
    """The pairs of versions of one image that the raters put in an order.

    ``ratings``, shape (stimuli, raters), NaN where no vote was cast: a pair counts where the
    raters of both differ, by a paired t test of their votes at 1 - ``level``, each pair alone.
    Without ratings a pair counts where its MOS differ. One without a MOS is in no pair. Columns:
    ``first`` and ``second``, places in ``stimuli`` of the better and the worse version, their
    ``scene``, and their classes ``better`` and ``worse``.
    """
    mos = stimuli["mos"].to_numpy(dtype=np.float64)
    group = stimuli["group"].to_numpy()
    rows: list[pd.DataFrame] = []
    places = pd.Series(np.arange(len(stimuli)), index=stimuli.index)
    for (scene, _), own in places.groupby([stimuli["scene"], stimuli["image"]], sort=True):
        at = own.to_numpy()
        one, two = np.triu_indices(at.size, 1)
        told = np.abs(mos[at[one]] - mos[at[two]]) > 0
        if ratings is not None:
            told &= _differ(ratings[at], one, two, level)
        ahead = mos[at[one]] > mos[at[two]]
        first, second = np.where(ahead, at[one], at[two]), np.where(ahead, at[two], at[one])
        rows.append(pd.DataFrame({"scene": scene, "first": first, "second": second})[told])
    found = pd.concat(rows, ignore_index=True)
    found["better"], found["worse"] = group[found["first"]], group[found["second"]]
    return found


def _differ(ratings: Floats, one: Codes, two: Codes, level: float) -> NDArray[np.bool_]:
    """Whether the votes on two versions, rows of ``ratings``, differ by more than chance."""
    difference = ratings[one] - ratings[two]
    n = np.isfinite(difference).sum(axis=1)
    total = np.nansum(difference, axis=1)
    mean = total / np.maximum(n, 1)
    spread = np.nansum((difference - mean[:, None]) ** 2, axis=1)
    error = np.sqrt(spread / np.maximum(n - 1, 1) / np.maximum(n, 1))
    limit = student_quantile(np.maximum(n - 1, 1).astype(np.float64), level)
    found: NDArray[np.bool_] = (n >= LEAST_UNITS) & (np.abs(mean) > limit * error)
    return found


def accuracy(stimuli: pd.DataFrame, pairs: pd.DataFrame, metrics: Names[str, bool]) -> pd.DataFrame:
    """The share of each scene's ``pairs`` that a metric puts in their order; a tie is a half.

    One row per scene with a pair, one column per metric.
    """
    shares = {}
    for metric, higher in metrics.items():
        values = stimuli[metric].to_numpy(dtype=np.float64) * (1 if higher else -1)
        ahead = values[pairs["first"]] - values[pairs["second"]]
        shares[metric] = (np.sign(ahead) + 1) / 2
    table = pd.DataFrame(shares, index=pairs["scene"])
    return table.groupby(level=0)[list(shares)].mean()


def rank_correlations(stimuli: pd.DataFrame, metrics: Names[str, bool]) -> pd.DataFrame:
    """Spearman's rho of the versions of each image, averaged over a scene's images.

    One row per scene that has three versions of an image whose MOS vary, one column per metric; a
    metric that is the same on all versions has 0, as it says nothing of their order.
    """
    found: dict[object, list[list[float]]] = {}
    for (scene, _), own in stimuli.groupby(["scene", "image"], sort=True):
        if len(own) < 3 or own["mos"].nunique() < 2:
            continue
        ranks = own[["mos", *metrics]].rank()
        rho = ranks.corr()["mos"][list(metrics)].fillna(0.0)
        signs = [1 if higher else -1 for higher in metrics.values()]
        found.setdefault(scene, []).append(list(rho.to_numpy() * signs))
    means = {scene: np.mean(rows, axis=0) for scene, rows in found.items()}
    return pd.DataFrame.from_dict(means, orient="index", columns=list(metrics))


def within_scene(
    stimuli: pd.DataFrame,
    metrics: Names[str, bool],
    classes: Sequence[str],
    ratings: Floats | None = None,
    level: float = 0.95,
) -> list[Answer]:
    """Accuracy on the pairs of all methods, within each of ``classes``, and between two of them.

    Also Spearman's rho of all versions. What has no pair is left out. Two classes are in the order
    of ``classes``. A stimulus without a finite MOS and metrics is left out for all metrics, as by
    ``metric_agreement``.
    """
    finite = finite_rows(stimuli, ["mos", *metrics])
    stimuli = stimuli[finite]
    ratings = None if ratings is None else ratings[finite]
    pairs = pairs_of(stimuli, ratings, level)
    of_pair = [frozenset(pair) for pair in zip(pairs["better"], pairs["worse"], strict=True)]
    asked: list[Groups] = [*_all_and_each(stimuli, classes), *itertools.combinations(classes, 2)]
    answers = []
    for groups in asked:
        own = pairs[[not groups or set(groups) == pair for pair in of_pair]]
        if len(own):
            shares = accuracy(stimuli, own, metrics)
            made = answer(shares, "within a scene", groups, "accuracy", level, len(own), "pairs")
            answers.append(made)
    rho = rank_correlations(stimuli, metrics)
    if len(rho):
        n = int(stimuli["scene"].isin(rho.index).sum())
        made = answer(rho, "within a scene", (), "srocc", level, n, "stimuli")
        answers.insert(bool(answers), made)
    return answers


def _all_and_each(stimuli: pd.DataFrame, classes: Sequence[str]) -> list[Groups]:
    """All methods together, and each class that isn't all of them."""
    return [(), *((one,) for one in classes if (stimuli["group"] != one).any())]


# Across scenes


def across_scenes(
    stimuli: pd.DataFrame,
    metrics: Names[str, bool],
    classes: Sequence[str],
    level: float = 0.95,
) -> list[Answer]:
    """Spearman's rho over all stimuli together, and over those of each of ``classes``.

    Of ``metric_agreement``. A class with fewer than five stimuli, or values that don't vary, is
    left out.
    """
    answers = []
    for groups in _all_and_each(stimuli, classes):
        own = stimuli if not groups else stimuli[stimuli["group"] == groups[0]]
        try:
            found = metric_agreement(own, metrics, mapping="linear", level=level)
        except StatisticsError:
            if not groups:
                raise
            continue
        intervals = {metric: row["srocc"] for metric, row in found.statistics.items()}
        errors = {metric: _error(interval) for metric, interval in intervals.items()}
        made = Answer(
            "across scenes", groups, "srocc", intervals, errors, found.differences, found.n,
            "stimuli",
        )  # fmt: skip
        answers.append(made)
    return answers


def _error(found: Interval) -> float:
    """The standard error that a Student interval was made of."""
    return found.half_width / float(student_quantile(max(found.n - 1, 1), found.level))


# Between classes, at equal MOS


@dataclass(frozen=True)
class ClassEffect:
    """By how much a metric puts one class of methods above another at equal MOS.

    ``effect``: second minus first in the metric's units, positive where the metric favours the
    second; ``p`` of no effect. ``points``: the effect over the metric's slope, in points of MOS;
    NaN where the slope isn't shown to be positive. ``images`` have versions of both classes.
    """

    metric: str
    first: str
    second: str
    effect: Interval
    p: float
    p_adjusted: float
    points: float
    images: int


def class_effects(
    stimuli: pd.DataFrame,
    metrics: Names[str, bool],
    classes: Sequence[str],
    errors: Floats | None = None,
    level: float = 0.95,
) -> list[ClassEffect]:
    """The effects of all pairs of ``classes`` on all metrics, p adjusted together by Holm.

    Analysis of covariance within images: metric = image + slope MOS + effect [second] + noise, by
    least squares. What a metric lacks in precision doesn't bias it, unlike the residuals of MOS
    predicted from the metric, which are positive in a class of high MOS under any imprecise
    metric. An error in MOS would: with ``errors``, the standard errors of MOS, shape (stimuli,),
    their expected sum of squares is taken out of that of MOS (Fuller 1987, Measurement Error
    Models, 2.2); where they are more than half of it, the slope isn't known and there is no
    effect. Interval and p: jackknife over scenes. The slope is taken as the same in both classes,
    and straight. Stimuli are left out as by ``within_scene``.
    """
    finite = finite_rows(stimuli, ["mos", *metrics])
    stimuli = stimuli[finite]
    errors = None if errors is None else errors[finite]
    made = []
    for first, second in itertools.combinations(classes, 2):
        at = _with_both(stimuli, first, second)
        if not at.size:
            continue
        own = stimuli.iloc[at]
        noise = None if errors is None else errors[at]
        for metric, higher in metrics.items():
            values = own[metric].to_numpy(dtype=np.float64) * (1 if higher else -1)
            effect, slope, scenes, images = _covariance(own, values, own["group"] == second, noise)
            interval, p = jackknifed(effect, scenes, "effect of the class at equal MOS", level)
            steep, p_slope = jackknifed(slope, scenes, "slope", level)
            known = steep.estimate > 0 and p_slope < 1 - level
            points = interval.estimate / steep.estimate if known else math.nan
            made.append((metric, first, second, interval, p, points, images))
    adjusted = holm([p for *_, p, _, _ in made])
    return [
        ClassEffect(metric, first, second, interval, p, float(p_adjusted), points, images)
        for (metric, first, second, interval, p, points, images), p_adjusted in zip(
            made, adjusted, strict=True
        )
    ]


def _with_both(stimuli: pd.DataFrame, first: str, second: str) -> Codes:
    """Places of the stimuli of two classes whose image has versions of both."""
    places = np.flatnonzero(stimuli["group"].isin([first, second]))
    own = stimuli.iloc[places]
    classes = own.groupby(["scene", "image"])["group"].transform("nunique")
    found: Codes = places[classes.to_numpy() == 2]
    return found


def _covariance(
    stimuli: pd.DataFrame, metric: Floats, second: pd.Series, errors: Floats | None
) -> tuple[Floats, Floats, int, int]:
    """Effect and slope of all scenes, then of all but each one; how many scenes and images."""
    table = pd.DataFrame(
        {
            "image": stimuli.groupby(["scene", "image"]).ngroup().to_numpy(),
            "x": stimuli["mos"].to_numpy(dtype=np.float64),
            "y": metric,
            "d": second.to_numpy(dtype=np.float64),
            "variance": 0.0 if errors is None else errors**2,
        }
    )
    by_image = table.groupby("image")
    size = by_image["x"].transform("size")
    x, y, d = (table[name] - by_image[name].transform("mean") for name in "xyd")
    terms = pd.DataFrame(
        {"xx": x * x, "xy": x * y, "xd": x * d, "yd": y * d, "dd": d * d}
        | {"error": table["variance"] * (1 - 1 / size), "freedom": 1 - 1 / size}
    )
    by_scene = terms.groupby(stimuli["scene"].to_numpy()).sum()
    total = by_scene.sum()
    sums = pd.concat([total.to_frame().T, total - by_scene])
    scenes, images = len(by_scene), int(table["image"].nunique())
    xx = sums["xx"] - sums["xd"] ** 2 / sums["dd"]
    xy = sums["xy"] - sums["xd"] * sums["yd"] / sums["dd"]
    error = sums["error"] * (1 - 1 / sums["freedom"])
    known = (xx - error > 0.5 * xx) & (xx > 1e-12 * sums["xx"])
    slope = (xy / (xx - error)).where(known, math.nan)
    effect = (sums["yd"] - slope * sums["xd"]) / sums["dd"]
    return effect.to_numpy(), slope.to_numpy(), scenes, images


# Several studies


def combined(studies: Sequence[Sequence[Answer]], level: float = 0.95) -> list[Answer]:
    """Each answer over the studies that have it: the mean of their values, each alike.

    No MOS of one study meets one of another, so that their scales may differ. Intervals and tests
    are about new scenes of these very studies (the fixed effects, in the plural, of Rice, Higgins
    and Lumley 2018, Journal of the Royal Statistical Society A 181(1)): the error of the mean is
    made of the studies' own, with the degrees of freedom of Welch and Satterthwaite. There are
    none where a study has none. What only one study answers is left out.
    """
    found: dict[tuple[Question, Groups, Statistic], list[Answer]] = {}
    for answers in studies:
        for one in answers:
            found.setdefault((one.question, one.groups, one.statistic), []).append(one)
    made = []
    for (question, groups, statistic), own in found.items():
        if len(own) < 2:
            continue
        intervals, errors = {}, {}
        for metric in dict.fromkeys(name for one in own for name in one.intervals):
            has = [one for one in own if metric in one.intervals]
            parts = [(one.intervals[metric], one.errors[metric]) for one in has]
            mean, errors[metric], _ = _mean_of(parts, statistic, level)
            bottom, top = _LIMITS[statistic]
            intervals[metric] = replace(mean, low=max(mean.low, bottom), high=min(mean.high, top))
        apart: dict[tuple[str, str], list[Interval]] = {}
        for d in (d for one in own for d in one.differences):
            apart.setdefault((d.first, d.second), []).append(d.difference)
        tested = {}
        for pair, parts in ((pair, [(i, _error(i)) for i in has]) for pair, has in apart.items()):
            mean, _, p = _mean_of(parts, f"difference of {statistic}", level)
            tested[pair] = mean, p
        differences = _adjusted(tested, statistic)
        made.append(
            Answer(question, groups, statistic, intervals, errors, differences, len(own), "studies")
        )
    return made


def _mean_of(
    parts: Sequence[tuple[Interval, float]], estimand: str, level: float
) -> tuple[Interval, float, float]:
    """The mean of the studies' estimates, its standard error, and the p of none."""
    estimate = float(np.mean([found.estimate for found, _ in parts]))
    squares = np.array([error**2 for _, error in parts])
    freedoms = np.array([max(found.n - 1, 1) for found, _ in parts])
    error, half, p = math.sqrt(squares.sum()) / len(parts), math.nan, math.nan
    if error > 0:
        freedom = float(squares.sum() ** 2 / (squares**2 / freedoms).sum())
        half = float(student_quantile(freedom, level)) * error
        p = _p(estimate, error, freedom)
    interval = Interval(
        estimate, estimate - half, estimate + half, level, sum(found.n for found, _ in parts),
        "scene", f"{estimand}, new scenes of these studies", "mean of studies, Student t",
    )  # fmt: skip
    return interval, error, p


def combined_effects(
    studies: Sequence[Sequence[ClassEffect]], level: float = 0.95
) -> list[ClassEffect]:
    """Each effect over the studies that have it, as ``combined``; p adjusted together by Holm.

    ``points`` is the mean where every study has them.
    """
    found: dict[tuple[str, str, str], list[ClassEffect]] = {}
    for one in (one for effects in studies for one in effects):
        if math.isfinite(one.effect.estimate):
            found.setdefault((one.metric, one.first, one.second), []).append(one)
    several = {key: own for key, own in found.items() if len(own) > 1}
    means = [
        _mean_of([(one.effect, _error(one.effect)) for one in own], "effect of the class", level)
        for own in several.values()
    ]
    adjusted = holm([p for *_, p in means])
    return [
        ClassEffect(
            *key, mean, p, float(p_adjusted), float(np.mean([one.points for one in own])),
            sum(one.images for one in own),
        )
        for (key, own), (mean, _, p), p_adjusted in zip(
            several.items(), means, adjusted, strict=True
        )
    ]  # fmt: skip


@dataclass(frozen=True)
class Heterogeneity:
    """Whether studies differ by more than their scenes explain.

    Cochran's Q (1954) with its p, and the share ``i_squared`` of the spread that it leaves to the
    studies (Higgins and Thompson 2002), 0..1. NaN where fewer than two have a standard error.
    """

    q: float
    p: float
    i_squared: float


def heterogeneity(answers: Sequence[Answer], metric: str) -> Heterogeneity:
    """Of one metric in the ``answers`` of several studies to one question."""
    told = [a for a in answers if metric in a.intervals and a.errors[metric] > 0]
    if len(told) < 2:
        return Heterogeneity(math.nan, math.nan, math.nan)
    values = np.array([a.intervals[metric].estimate for a in told])
    weights = np.array([a.errors[metric] for a in told]) ** -2.0
    q = float((weights * (values - weights @ values / weights.sum()) ** 2).sum())
    freedom = len(told) - 1
    share = max(0.0, 1 - freedom / q) if q > 0 else 0.0
    return Heterogeneity(q, float(scipy.special.chdtrc(freedom, q)), share)
