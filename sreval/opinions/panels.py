"""Two panels' mean opinion scores: are they the same, or the same up to a linear map?

Every mean has errors from independent units: from the panel's raters, and from the images where
the two panels saw different ones. A unit's influence on all means at once says how far its errors
go together: a severe rater lifts all means, one with a taste all those of a method. Sums of
squares of such errors are weighed as in Box 1954 (Annals of Mathematical Statistics 25(2)), with
traces that are unbiased also for more means than raters (Bai and Saranadasa 1996, Statistica
Sinica 6(2); both from memory).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np
import pandas as pd
import scipy

from sreval.errors import StatisticsError, counted, numbered
from sreval.opinions.arrays import Codes, Floats, check_level
from sreval.opinions.intervals import LEAST_UNITS, Interval, student_quantile
from sreval.opinions.regression import york
from sreval.opinions.significance import holm

LEAST_POINTS = 3
"""Common means from which two panels can be compared: through two goes a line without error."""

DRAWS = 1000
"""How often the panels are drawn anew for the errors of correlations and of an order."""

_STEP = 1e-3
"""Of a unit's influence, by which the points are moved to see what it changes."""

_MANY = 1e9
"""Degrees of freedom in the place of infinitely many, which scipy's Student and F don't take."""

POINT = ("dataset", "image", "method")
METHOD = ("dataset", "method")


@dataclass(frozen=True, eq=False)
class Source:
    """What makes errors in a panel's J means: ``n`` independent units.

    ``influence`` (K, J): what a unit adds to each mean, so that its product with itself, (J, J), is
    the covariance of the means. Of raters who are more than the means it is reduced to J rows with
    the same product. ``n`` is infinite for errors that are known, as those of a table.
    """

    unit: str
    n: float
    influence: Floats

    @property
    def freedom(self) -> float:
        """Degrees of freedom of a variance from so many units."""
        return self.n - 1


@dataclass(frozen=True, eq=False)
class Panel:
    """Means of J points, named by ``index``, and the sources of their errors, none if unknown."""

    index: pd.MultiIndex
    mean: Floats
    sources: tuple[Source, ...] = ()

    def at(self, index: pd.MultiIndex) -> Panel:
        """The panel's means at these points alone, in this order."""
        places = self.index.get_indexer(index)
        sources = [replace(s, influence=s.influence[:, places]) for s in self.sources]
        return Panel(index, self.mean[places], tuple(sources))

    @property
    def error(self) -> Floats:
        """The standard error of each mean, (J,), NaN where none is known."""
        if not self.sources:
            return np.full(self.mean.size, math.nan)
        variance = sum((s.influence**2).sum(axis=0) for s in self.sources)
        return np.sqrt(np.asarray(variance, dtype=np.float64))

    def limits(self, level: float) -> tuple[Floats, Floats]:
        """The ends of each mean's own interval, Student's t of the fewest units, each (J,)."""
        freedom = min((s.freedom for s in self.sources), default=math.inf)
        half = _quantile(freedom, level) * self.error
        return self.mean - half, self.mean + half


def panel_of_votes(votes: pd.DataFrame) -> Panel:
    """A panel of votes: rater, dataset, image, method, score; one vote a rater and stimulus.

    The points are the stimuli. Those with one vote are left out, as by ``voted_twice``, which
    raises StatisticsError.
    """
    wide = voted_twice(votes).pivot(index="rater", columns=list(POINT), values="score")
    return panel_of_scores(wide.to_numpy(dtype=np.float64), _multi(wide.columns))


def panel_of_scores(scores: Floats, index: pd.MultiIndex) -> Panel:
    """A panel of I raters on J stimuli, ``scores`` (I, J), NaN where none was given.

    Each stimulus needs two scores, each rater one, and the panel three raters.
    """
    influence = _influence(scores, pd.factorize(_keys(index, METHOD))[0])
    source = Source("rater", len(scores), _reduced(influence))
    return Panel(index, np.nanmean(scores, axis=0), (source,))


def voted_twice(votes: pd.DataFrame) -> pd.DataFrame:
    """The votes on stimuli that two raters or more rated: one vote doesn't say how they differ.

    Raises StatisticsError for fewer than three raters.
    """
    if votes["rater"].nunique() == 1:
        raise StatisticsError(
            f"All {counted(len(votes), 'vote')} are of one rater.",
            f"A comparison of panels needs {LEAST_UNITS} raters who rated the same stimuli.",
        )
    kept = votes[votes.groupby(list(POINT))["rater"].transform("nunique") > 1]
    if (raters := kept["rater"].nunique()) < LEAST_UNITS:
        raise StatisticsError(
            f"{counted(raters, 'rater')} rated stimuli that another rater rated, too.",
            f"A comparison of panels needs {LEAST_UNITS} raters who rated the same stimuli.",
        )
    return kept


def _influence(scores: Floats, method: Codes) -> Floats:
    """What each rater adds to the means, (I, J), of ``scores`` (I, J), NaN where none was given.

    A vote is measured from the mean of a stimulus, of which it is a part: this takes from the
    variance of n votes 1 part in n, and of two stimuli's covariance, seen by few raters together,
    far more. Each rater's deviations are therefore lifted to what they have on average where
    raters differ in severity, in taste for a method and at random, as Bell and McCaffrey 2002
    (Survey Methodology 28(2); in the form of Pustejovsky and Tipton 2018, Journal of Business and
    Economic Statistics 36(4), equation 6; both from memory). With all votes this is n / (n - 1).
    """
    seen = ~np.isnan(scores)
    n = seen.sum(axis=0)
    deviation: Floats = np.nan_to_num(scores - np.nanmean(scores, axis=0))
    if seen.all() or not deviation.any():
        return np.asarray(deviation / n * np.sqrt(n / (n - 1)))
    together = seen.T.astype(np.float64) @ seen
    left = 1 - 1 / n[:, None] - 1 / n + together / np.outer(n, n)
    products, pairs = deviation.T @ deviation, left * together
    own = np.eye(n.size, dtype=bool)
    alike = (method[:, None] == method) & ~own
    vote, taste, severity = (
        products[of].sum() / pairs[of].sum() if pairs[of].sum() > 0 else 0.0
        for of in (own, alike, ~own & ~alike)
    )
    severity = min(max(severity, 0.0), 0.9 * vote)
    taste = min(max(taste - severity, 0.0), 0.9 * vote - severity)
    # no part of it is singular, as a tenth of a vote's variance stays its own
    model = severity + taste * (alike | own) + (vote - severity - taste) * own
    for row, there in zip(deviation, seen, strict=True):
        part = np.ix_(there, there)
        upper = np.linalg.cholesky(model[part]).T
        values, vectors = np.linalg.eigh(upper @ (model * left)[part] @ upper.T)
        root = (vectors / np.sqrt(values)) @ vectors.T
        row[there] = upper.T @ root @ upper @ row[there]
    return np.asarray(deviation / n)


def panel_of_means(means: pd.Series, error: pd.Series | None = None) -> Panel:
    """A panel of a table: ``means`` by point, with their standard errors where it has them.

    These are taken as independent of each other, as the table doesn't say more. One of 0, as of
    raters who all agreed, counts as the root mean square of the others. Raises StatisticsError for
    a mean or an error that isn't finite.
    """
    for what, values in (("mean", means), ("standard error", error)):
        if values is not None and not np.isfinite(values.to_numpy(dtype=np.float64)).all():
            raise StatisticsError(f"A {what} of the panel isn't a finite number.", "Leave it out.")
    sources: tuple[Source, ...] = ()
    if error is not None and (error > 0).any():
        own = error.to_numpy(dtype=np.float64)
        own = np.where(own > 0, own, np.sqrt((own[own > 0] ** 2).mean()))
        sources = (Source("mean", math.inf, np.diag(own)),)
    return Panel(_multi(means.index), means.to_numpy(dtype=np.float64), sources)


def _multi(index: pd.Index) -> pd.MultiIndex:
    assert isinstance(index, pd.MultiIndex)
    return index


def _keys(index: pd.Index, names: Sequence[str]) -> pd.MultiIndex:
    return pd.MultiIndex.from_frame(index.to_frame(index=False)[list(names)])


def _reduced(influence: Floats) -> Floats:
    rows, columns = influence.shape
    if rows <= columns:
        return influence
    _, triangle = np.linalg.qr(influence)
    return triangle


def by_method(panel: Panel, *, images: bool) -> Panel:
    """The means over each (data set, method)'s images; ``images`` lets these vary, too.

    Two panels on the same images must first be brought to the same stimuli, ``Panel.at``.
    """
    keys = _keys(panel.index, METHOD)
    index = keys.unique()
    of = index.get_indexer(keys)
    weight = (of[:, None] == np.arange(len(index))) / np.bincount(of)
    mean = panel.mean @ weight
    sources = [replace(s, influence=_reduced(s.influence @ weight)) for s in panel.sources]
    n = np.bincount(of)
    if images and n.min() > 1:
        codes, names = pd.factorize(_keys(panel.index, ("dataset", "image")))
        spread = np.zeros((len(names), len(index)))
        spread[codes, of] = (panel.mean - mean[of]) / n[of] * np.sqrt(n[of] / (n[of] - 1))
        sources.append(Source("image", float(n.min()), spread))
    return Panel(index, mean, tuple(sources))


@dataclass(frozen=True)
class PanelTest:
    """An F test: its statistic, degrees of freedom above and below, and p."""

    f: float
    above: float
    below: float
    p: float


@dataclass(frozen=True, eq=False)
class PanelAgreement:
    """How far panel B's means are a linear map of panel A's: b = intercept + slope a.

    ``identical`` tests that the map is b = a, ``linear`` that b departs from the map by no more
    than the errors; both are None where no error is known. ``plcc`` and ``srocc`` are correlations
    of the means as they are; ``true_plcc`` is that of the true means, with the interval that agrees
    with ``linear``; ``ceiling`` is the ``plcc`` that panels of these errors reach on average where
    the true means lie on a line. ``rmse`` is the root mean square of b less the map,
    on J - 2 degrees of freedom; ``rmse_of_errors`` what the errors alone make of it.

    ``points`` has a row a point and ``methods`` a row a (data set, method): ``a``, ``b``, the
    ``difference`` b - a and the ``departure`` of b from the map, each with error, degrees of
    freedom, interval and p, adjusted by Holm's method over the rows.
    """

    n: int
    slope: Interval
    intercept: Interval
    identical: PanelTest | None
    linear: PanelTest | None
    plcc: Interval
    srocc: Interval
    true_plcc: Interval
    ceiling: float
    rmse: float
    rmse_of_errors: float
    points: pd.DataFrame
    methods: pd.DataFrame


def compare_panels(
    a: Panel,
    b: Panel,
    *,
    level: float = 0.95,
    margin: float | None = None,
    seed: int = 0,
    draws: int = DRAWS,
) -> PanelAgreement:
    """How far two panels agree on the same points, in the same order.

    The line has errors in both panels, of a panel's raters alike at all points: the error of one
    mean of few votes is itself not known well, and is 0 where they agree. Its interval and all
    tests rest on the units' influences. ``margin``, in points of B's scale, is that of the tests
    of equivalence in ``methods``. ``seed`` is that of the ``draws`` panels drawn anew.

    Raises StatisticsError for fewer than LEAST_POINTS points, means that don't vary or aren't
    related, and a level or margin that can't be meant.
    """
    check_level(level)
    if margin is not None and not 0 < margin < math.inf:
        raise StatisticsError(f"A margin can't be {margin:g}.", "Give points above 0.")
    n = a.mean.size
    if n < LEAST_POINTS:
        raise StatisticsError(
            f"The two have {n} means in common.",
            f"A comparison needs {LEAST_POINTS}: name methods and data sets alike in both.",
        )
    for panel in (a, b):
        if np.ptp(panel.mean) < 1e-12:
            raise StatisticsError(
                f"All {n} common means of one panel are {panel.mean[0]:g}.",
                "A comparison needs means that differ.",
            )
    errors = [_for_line(panel) for panel in (a, b)]
    if not any(error.any() for error in errors):
        errors = [np.ones(1), np.ones(1)]
    line = partial(york, x_error=errors[0], y_error=errors[1])
    (slope,), (intercept,) = line(a.mean, b.mean)
    departure = b.mean - intercept - slope * a.mean
    va, vb = (error**2 for error in errors)
    on_line = a.mean + slope * va * departure / (vb + slope**2 * va)
    # with known errors the points on the line give the errors of the likelihood (York et al.
    # 2004); with few raters those as they are covered better
    known = all(math.isinf(s.n) for panel in (a, b) for s in panel.sources)
    at_a, at_b = (on_line, intercept + slope * on_line) if known else (a.mean, b.mean)
    changes = [_change(line, at_a, at_b, s, of_a=True) for s in a.sources]
    changes += [_change(line, at_a, at_b, s, of_a=False) for s in b.sources]
    middle = float(a.mean.mean())
    plcc, srocc = _correlations(a, b, level, seed, draws)
    linear, own = _linear(a, b, slope, departure, on_line)
    frame = a.index.to_frame(index=False)
    groups = _keys(a.index, METHOD)
    names = groups.unique()
    codes = np.asarray(names.get_indexer(groups), dtype=np.intp)
    rows = partial(_rows, a.mean, b.mean, departure, changes, level=level, margin=margin)
    return PanelAgreement(
        n=n,
        slope=_interval(float(slope), [c.slope for c in changes], changes, level, "slope"),
        intercept=_interval(
            float(intercept), [c.intercept for c in changes], changes, level, "intercept"
        ),
        identical=_identical(
            np.array([slope - 1, intercept + (slope - 1) * middle]),
            [np.stack([c.slope, c.intercept + c.slope * middle]) for c in changes],
            changes,
        ),
        linear=linear,
        plcc=plcc,
        srocc=srocc,
        true_plcc=_true_plcc(b, float(slope), linear, own, level),
        ceiling=math.sqrt(_reliability(a) * _reliability(b)),
        rmse=math.sqrt(float((departure**2).sum()) / (n - 2)),
        rmse_of_errors=math.sqrt(own / (n - 2)),
        points=rows(np.arange(n, dtype=np.intp), frame),
        methods=rows(codes, names.to_frame(index=False)),
    )


def _centred(values: Floats) -> Floats:
    centred: Floats = values - values.mean(axis=-1, keepdims=True)
    return centred


def _for_line(panel: Panel) -> Floats:
    """The errors by which a line weighs the means, (J,) or (1,); 0 where none is known.

    Those of a table as they are; of raters one for all means, without what moves all alike.
    """
    if not panel.sources:
        return np.zeros(1)
    freedom = panel.mean.size - 1
    alike = math.sqrt(sum(float((_centred(s.influence) ** 2).sum()) for s in panel.sources))
    alike /= math.sqrt(freedom)
    if all(math.isinf(s.n) for s in panel.sources):
        return panel.error
    return np.array([alike])


@dataclass(frozen=True, eq=False)
class _Change:
    """What the K units of a source change: (K,) of the line, (K, J) of the points."""

    freedom: float
    slope: Floats
    intercept: Floats
    departure: Floats
    difference: Floats


def _change(
    line: Callable[[Floats, Floats], tuple[Floats, Floats]],
    a: Floats,
    b: Floats,
    source: Source,
    *,
    of_a: bool,
) -> _Change:
    """What a small error changes, in proportion, of the line through the points ``a`` and ``b``.

    Steps to both sides make it the same on a scale turned round.
    """
    found = []
    for step in (_STEP, -_STEP):
        moved = step * source.influence
        moved_a, moved_b = (a + moved, b) if of_a else (a, b + moved)
        slopes, intercepts = line(moved_a, moved_b)
        found.append(
            (slopes, intercepts, moved_b - intercepts[:, None] - slopes[:, None] * moved_a)
        )
    slope, intercept, departure = (
        (up - down) / (2 * _STEP) for up, down in zip(*found, strict=True)
    )
    return _Change(
        freedom=source.freedom,
        slope=slope,
        intercept=intercept,
        departure=departure,
        difference=-source.influence if of_a else source.influence,
    )


def _welch(variances: Sequence[Floats], freedoms: Sequence[float]) -> Floats:
    """Degrees of freedom of a sum of variances, each of shape (M,) (Welch and Satterthwaite)."""
    total = np.sum(variances, axis=0)
    parts = np.sum([v**2 / f for v, f in zip(variances, freedoms, strict=True)], axis=0)
    freedom: Floats = np.divide(
        total**2, parts, out=np.full(np.shape(total), math.inf), where=parts > 0
    )
    return freedom


def _interval(
    estimate: float, moved: Sequence[Floats], changes: Sequence[_Change], level: float, what: str
) -> Interval:
    low = high = math.nan
    if changes:
        variances = [np.array((one**2).sum()) for one in moved]
        freedom = float(_welch(variances, [c.freedom for c in changes]))
        half = float(_quantile(freedom, level)) * math.sqrt(float(np.sum(variances)))
        low, high = estimate - half, estimate + half
    return Interval(estimate, low, high, level, len(changes), "source", what, "Student t")


def _quantile(freedom: Floats | float, level: float) -> Floats:
    return student_quantile(np.minimum(freedom, _MANY), level)


def _identical(
    found: Floats, moved: Sequence[Floats], changes: Sequence[_Change]
) -> PanelTest | None:
    """That slope less 1 and the difference in the middle, ``found`` (2,), are both 0.

    Hotelling's test with the degrees of freedom of Krishnamoorthy and Yu 2004 (Statistics and
    Probability Letters 66(2); from memory) for panels that don't err alike.
    """
    if not changes:
        return None
    parts = [one @ one.T for one in moved]
    total = np.sum(parts, axis=0)
    if np.linalg.matrix_rank(total) < 2:
        return None
    shares = [np.linalg.solve(total, part) for part in parts]
    below = sum(
        (np.trace(s @ s) + np.trace(s) ** 2) / c.freedom
        for s, c in zip(shares, changes, strict=True)
    )
    freedom = 6 / below if below > 0 else math.inf
    f = float(found @ np.linalg.solve(total, found)) * (1 - 1 / freedom) / 2
    return _f_test(f, 2, freedom - 1)


def _f_test(f: float, above: float, below: float) -> PanelTest:
    return PanelTest(f, above, below, float(scipy.special.fdtrc(above, min(below, _MANY), f)))


def _linear(
    a: Panel, b: Panel, slope: float, departure: Floats, on_line: Floats
) -> tuple[PanelTest | None, float]:
    """That ``departure`` is no larger than errors make it, and the sum of squares that they make.

    Box' F test of the sum of squares beside the line, across from it in J - 2 dimensions.
    """
    base, _ = np.linalg.qr(np.stack([np.ones(a.mean.size), _centred(on_line)], axis=1))

    def beside(values: Floats) -> Floats:
        found: Floats = values - (values @ base) @ base.T
        return found

    parts = [(s, beside(slope * s.influence)) for s in a.sources]
    parts += [(s, beside(s.influence)) for s in b.sources]
    sizes = [float((part**2).sum()) for _, part in parts]
    total = sum(sizes)
    if total <= 0:
        return None, math.nan if not parts else 0.0
    freedom = a.mean.size - 2
    squares = [_square(s, part, freedom) for s, part in parts]
    spread = sum(square / s.freedom for (s, _), square in zip(parts, squares, strict=True))
    crossed = sum(
        float(((parts[i][1] @ parts[j][1].T) ** 2).sum())
        for i in range(len(parts))
        for j in range(len(parts))
        if i != j
    )
    above = (total**2 - 2 * spread) / (sum(squares) + crossed)
    f = float((beside(departure) ** 2).sum()) / total
    below = total**2 / spread if spread > 0 else math.inf
    return _f_test(f, min(max(above, 1.0), freedom), below), total


def _true_plcc(
    b: Panel, slope: float, linear: PanelTest | None, errors: float, level: float
) -> Interval:
    """The correlation of the true means: what of B beside the line is more than ``errors``.

    The interval turns the F test round: the sums of squares beside the line that it wouldn't
    reject at (1 - ``level``) / 2 to either side. Where even the errors alone would make more, it is
    1 to 1: what is beside the line says of no departure at all.
    """
    estimate = low = high = math.nan
    spread = _reliability(b) * float((_centred(b.mean) ** 2).sum())
    if linear is not None and spread > 0:
        tail = (1 - level) / 2
        most, least = scipy.special.fdtri(linear.above, min(linear.below, _MANY), [1 - tail, tail])
        ratios = (linear.f, linear.f / least, linear.f / most)
        beside = [max(0.0, errors * (ratio - 1)) for ratio in ratios]
        found = [math.copysign(math.sqrt(max(0.0, 1 - one / spread)), slope) for one in beside]
        estimate, (low, high) = found[0], sorted(found[1:])
    return Interval(estimate, low, high, level, b.mean.size, "mean", "PLCC of true means", "F")


def _square(source: Source, part: Floats, freedom: int) -> float:
    """The trace of the squared covariance, without the bias of its estimate from n units."""
    size = float((part**2).sum())
    square = float(((part @ part.T) ** 2).sum())
    if math.isfinite(n := source.n):
        square -= size**2 / (n - 1)
        square *= (n - 1) ** 2 / ((n - 2) * (n + 1))
    return max(square, size**2 / freedom)


def _reliability(panel: Panel) -> float:
    """The share of the means' variance that isn't error, 0..1; NaN where no error is known."""
    if not panel.sources:
        return math.nan
    errors = sum(float((_centred(s.influence) ** 2).sum()) for s in panel.sources)
    return max(0.0, 1 - errors / float((_centred(panel.mean) ** 2).sum()))


def redrawn(panel: Panel, generator: np.random.Generator, draws: int = DRAWS) -> Floats:
    """The means of ``draws`` panels drawn anew around this one, (draws, J)."""
    means = np.tile(panel.mean, (draws, 1))
    for source in panel.sources:
        means += generator.normal(size=(draws, len(source.influence))) @ source.influence
    return means


def _correlations(
    a: Panel, b: Panel, level: float, seed: int, draws: int
) -> tuple[Interval, Interval]:
    """Pearson's and Spearman's correlation: the error of Fisher's z is that of redrawn panels."""
    generator = np.random.default_rng(seed)
    drawn = [redrawn(panel, generator, draws) for panel in (a, b)]
    known = [s for panel in (a, b) for s in panel.sources]
    freedom = min((s.freedom for s in known), default=math.inf)
    n = a.mean.size
    # half a step below a perfect order: nearer to 1 there is no rank correlation but 1 itself
    found = []
    for name, form, most in (
        ("PLCC", _centred, 1 - 1e-12),
        ("SROCC", _ranks, 1 - 6 / (n * (n**2 - 1))),
    ):
        estimate, low, high = float(_cosine(form(a.mean), form(b.mean))), math.nan, math.nan
        if known:
            z, again = (
                np.arctanh(np.clip(r, -most, most)) for r in (estimate, _cosine(*map(form, drawn)))
            )
            half = float(_quantile(freedom, level)) * float(again.std(ddof=1))
            low = min(math.tanh(z - half), estimate)
            high = max(math.tanh(z + half), estimate)
        found.append(Interval(estimate, low, high, level, n, "mean", name, "redrawn"))
    return found[0], found[1]


def _ranks(values: Floats) -> Floats:
    # means of equal votes may differ in the last bit, which must not decide a rank
    return _centred(scipy.stats.rankdata(np.round(values, 10), axis=-1))


def _cosine(x: Floats, y: Floats) -> Floats:
    cosine: Floats = (x * y).sum(axis=-1) / np.sqrt((x**2).sum(axis=-1) * (y**2).sum(axis=-1))
    return cosine


def _rows(
    a: Floats,
    b: Floats,
    departure: Floats,
    changes: Sequence[_Change],
    codes: Codes,
    names: pd.DataFrame,
    *,
    level: float,
    margin: float | None,
) -> pd.DataFrame:
    """A row for each of the names that ``codes`` (J,) give the points, with its points' means."""
    weight = (codes[:, None] == np.arange(len(names))) / np.bincount(codes)
    found: dict[str, Any] = {"n": np.bincount(codes), "a": a @ weight, "b": b @ weight}
    for name, values in (("difference", b - a), ("departure", departure)):
        variances = [_variance(getattr(c, name) @ weight, c.freedom) for c in changes]
        estimate = values @ weight
        found[name] = estimate
        error = freedom = np.full(len(names), math.nan)
        if changes:
            error = np.sqrt(np.sum(variances, axis=0))
            freedom = _welch(variances, [c.freedom for c in changes])
        many = np.minimum(freedom, _MANY)
        with np.errstate(divide="ignore", invalid="ignore"):
            p = 2 * scipy.special.stdtr(many, -np.abs(estimate) / error)
        half = _quantile(freedom, level) * error
        found |= {f"{name}_error": error, f"{name}_df": freedom}
        found |= {f"{name}_low": estimate - half, f"{name}_high": estimate + half}
        found |= {f"{name}_p": p, f"{name}_p_adjusted": holm(p)}
        if margin is not None:
            with np.errstate(divide="ignore", invalid="ignore"):
                outside = scipy.special.stdtr(many, (np.abs(estimate) - margin) / error)
            found[f"{name}_equivalence_p"] = outside
            found[f"{name}_equivalence_p_adjusted"] = holm(outside)
    return names.assign(**found)


def _variance(moved: Floats, freedom: float) -> Floats:
    """The variance of each row, (M,): of raters no less than the mean over all rows.

    A few votes that happen to agree don't say that all raters would.
    """
    own: Floats = (moved**2).sum(axis=0)
    return own if math.isinf(freedom) else np.maximum(own, own.mean())


Verdict = Literal[
    "replicated",
    "contradicted",
    "not shown in B",
    "not shown in A",
    "not shown in either",
    "same direction",
    "opposite direction",
    "equal means",
]


@dataclass(frozen=True)
class OrderAgreement:
    """How far two panels put the methods of one data set in the same order.

    ``pairs`` has a row a pair of methods: both differences, their tests where votes are there, and
    the ``verdict``. ``tau`` is Kendall's tau-b of the means, ``same`` the number of pairs in the
    same order. ``tau_low`` and ``tau_high`` hold the tau of the true orders at the tests' level:
    a pair that a panel's test doesn't settle may be either way. ``again``: the share of panels
    drawn anew, with other images, of which both put all methods in the same order; NaN if unknown.
    """

    dataset: str
    n_methods: int
    tau: float
    tau_low: float
    tau_high: float
    same: int
    again: float
    pairs: pd.DataFrame

    @property
    def signs(self) -> Floats:
        """Of each pair 1 where both means are in one order, -1 where not, 0 where a panel's tie."""
        return _signs(self.pairs)


def compare_orders(
    dataset: str,
    means: Sequence[pd.Series],
    tests: Sequence[pd.DataFrame | None],
    *,
    alpha: float = 0.05,
    again: float = math.nan,
) -> OrderAgreement:
    """How far two panels put methods in the same order.

    ``means`` are A's and B's by method, of the same methods; ``tests`` the two frames of
    ``Comparison.frame`` on these methods, None of a panel without votes. In pairs the better of A
    comes first. A pair is replicated where both panels' tests show it, in the same direction; what
    is shown has equal means where those of the other panel, or of both, don't differ.
    """
    a, b = means
    names = sorted(a.index, key=lambda name: (-a[name], numbered(name)))
    shown = [None if one is None else _by_pair(one) for one in tests]
    rows = []
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            row: dict[str, object] = {"dataset": dataset, "first": first, "second": second}
            for side, own, test in zip("ab", (a, b), shown, strict=True):
                row[f"difference_{side}"] = float(own[first] - own[second])
                row |= _tested(test, first, second, side)
            rows.append(row)
    pairs = pd.DataFrame(rows)
    signs = _signs(pairs)
    tested = [side for side, test in zip("ab", shown, strict=True) if test is not None]
    pairs["verdict"] = [
        _verdict([bool(row[f"p_adjusted_{side}"] < alpha) for side in tested], tested, sign)
        for (_, row), sign in zip(pairs.iterrows(), signs, strict=True)
    ]
    low = high = math.nan
    if tested:
        # each panel's family of tests at its share of alpha, so that both hold at once
        limits = pairs[[f"p_adjusted_{side}" for side in tested]] < alpha / len(tested)
        settled = limits.all(axis=1).to_numpy()
        alike, unlike = int((settled & (signs > 0)).sum()), int((settled & (signs < 0)).sum())
        low, high = 2 * alike / len(pairs) - 1, 1 - 2 * unlike / len(pairs)
    tau = float(scipy.stats.kendalltau(a[names].round(10), b[names].round(10)).statistic)
    return OrderAgreement(dataset, len(names), tau, low, high, int((signs > 0).sum()), again, pairs)


def _signs(pairs: pd.DataFrame) -> Floats:
    found: Floats = np.sign(pairs[["difference_a", "difference_b"]].round(10).to_numpy()).prod(1)
    return found


def _by_pair(tests: pd.DataFrame) -> dict[tuple[str, str], dict[str, float]]:
    """Of each pair, in both directions: the test's difference, its interval, its p."""
    found = {}
    for row in tests.to_dict("records"):
        one = {key: float(row[key]) for key in ("difference", "low", "high", "p_adjusted")}
        found[str(row["first"]), str(row["second"])] = one
        found[str(row["second"]), str(row["first"])] = {
            "difference": -one["difference"],
            "low": -one["high"],
            "high": -one["low"],
            "p_adjusted": one["p_adjusted"],
        }
    return found


def _tested(
    test: dict[tuple[str, str], dict[str, float]] | None, first: str, second: str, side: str
) -> dict[str, object]:
    keys = ("difference", "low", "high", "p_adjusted")
    if test is None:
        return {f"{key}_{side}": math.nan for key in keys[1:]}
    return {f"{key}_{side}": value for key, value in test[first, second].items()}


def _verdict(shown: Sequence[bool], tested: Sequence[str], sign: float) -> Verdict:
    if len(tested) == 2:
        if all(shown):
            return ("contradicted", "equal means", "replicated")[int(sign) + 1]
        if not any(shown):
            return "not shown in either"
        return "not shown in B" if shown[0] else "not shown in A"
    if tested and not shown[0]:
        return "not shown in A" if tested[0] == "a" else "not shown in B"
    return ("opposite direction", "equal means", "same direction")[int(sign) + 1]


def same_order_again(a: Panel, b: Panel, *, same_images: bool, seed: int = 0) -> float:
    """The share of DRAWS pairs of panels drawn anew that put all points in the same order.

    With ``same_images`` both see the same images, drawn anew. NaN where a panel has no errors.
    """
    if not (a.sources and b.sources):
        return math.nan
    generator = np.random.default_rng(seed)
    drawn = [redrawn(_without(panel, "image"), generator) for panel in (a, b)]
    images = [s.influence for panel in (a, b) for s in panel.sources if s.unit == "image"]
    if same_images and len(images) == 2 and images[0].shape == images[1].shape:
        moved = generator.normal(size=(DRAWS, len(images[0])))
        drawn = [means + moved @ own for means, own in zip(drawn, images, strict=True)]
    else:
        drawn = [redrawn(panel, generator) for panel in (a, b)]
    orders = [np.argsort(means, axis=1) for means in drawn]
    return float((orders[0] == orders[1]).all(axis=1).mean())


def _without(panel: Panel, unit: str) -> Panel:
    return replace(panel, sources=tuple(s for s in panel.sources if s.unit != unit))
