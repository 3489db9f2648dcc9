"""Tables of recovered quality, reliability, repeats and difference scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from sreval.errors import StatisticsError, attempted, counted, listed
from sreval.opinions.arrays import Ratings
from sreval.opinions.mos import difference_scores, mean_of
from sreval.opinions.recovery import ENOUGH_RATERS, Recovery, recover, remove_bias
from sreval.opinions.reliability import Reliability
from sreval.opinions.reliability import retest as retest_of
from sreval.opinions.significance import SignedRank, judge
from sreval.opinions.votes import STIMULUS, opinions
from sreval.report import paper
from sreval.report.notes import NO_INTERVAL, image_notes, no_interval, vote_notes
from sreval.report.opinions import Request
from sreval.report.table import (
    Columns,
    Table,
    column,
    interval_column,
    method_column,
    signed_column,
    table_of,
    whole,
    with_dataset,
)
from sreval.report.text import p_value, percent


def recovery(votes: pd.DataFrame, request: Request) -> list[Table]:
    """Quality, bias and inconsistency by ITU-T P.910 Annex E, and P.913's removal of bias."""
    ratings = Ratings.from_votes(opinions(votes), STIMULUS)
    unbiased = remove_bias(ratings)
    found, why = attempted(lambda: recover(ratings, request.level))
    mos = opinions(votes).groupby(list(STIMULUS))["score"].mean().rename("mos")
    stimuli = pd.DataFrame(index=unbiased.stimuli.index)
    stimuli = stimuli.join(found.stimuli) if found else stimuli.assign(quality=np.nan)
    stimuli = stimuli.assign(bias_removed=unbiased.stimuli["mos"])
    stimuli.index = pd.MultiIndex.from_tuples(list(stimuli.index), names=list(STIMULUS))
    stimuli = stimuli.join(mos).reset_index()
    by_method = stimuli.groupby(["dataset", "method"])[["mos", "bias_removed", "quality"]]
    means = paper.in_order(by_method.mean().join(by_method.size().rename("images")).reset_index())
    columns: Columns = {
        "method": method_column(),
        "MOS": column("mos", 2),
        "bias removed": column("bias_removed", 2),
        "quality": column("quality", 2),
        "images": whole("images"),
    }
    notes = ["Means over stimuli. Bias removed: ITU-T P.913 12.4.", *image_notes(opinions(votes))]
    columns = with_dataset(means, columns)
    title = "Recovered quality of every method"
    if found is None:
        notes += [f"Not done: quality, ITU-T P.910 Annex E: {why}", *vote_notes(votes)]
        return [table_of("recovery", title, stimuli, columns, notes, printed=means)]
    notes.append(
        "Quality: ITU-T P.910 Annex E, Li et "
        f"al. 2020, {counted(found.iterations, 'iteration')}"
        f"{'' if found.converged else ', NOT converged'}. The JSON has the interval of every "
        f"stimulus ({percent(request.level)}, Student t, unit vote, about this stimulus with these "
        "raters' bias) and both published half widths, whose normal quantile is short."
    )
    if found.excluded:
        notes.append(f"Left out, a single vote each: {listed(list(found.excluded))}.")
    warnings = recovery_warnings(found)
    notes += [*warnings, *vote_notes(votes)]
    facts = {"collapsed": list(map(str, found.collapsed)), "warnings": warnings}
    return [
        table_of("recovery", title, stimuli, columns, notes, facts, printed=means),
        _raters(found, facts),
    ]


def recovery_warnings(found: Recovery) -> list[str]:
    """Warnings about figures of ITU-T P.910 Annex E."""
    said = []
    if found.collapsed:
        said.append(
            f"Don't use these figures: with so few votes, the votes of {listed(found.collapsed)} "
            "became the quality itself. No interval is given."
        )
    if found.of.n_raters < ENOUGH_RATERS:
        said.append(
            f"{found.of.n_raters} raters: Annex E is unreliable below {ENOUGH_RATERS}. In "
            "simulations of 3 to 8 raters on 14 stimuli it collapsed in most studies, and the "
            "published half widths covered 75 % or less where 95 % were claimed. No interval of "
            "the inconsistency is given."
        )
    return said


def _raters(found: Recovery, facts: Mapping[str, object]) -> Table:
    frame = found.raters[["bias", "inconsistency", "n"]].join(found.rater_limits)
    frame = frame.rename_axis("rater").reset_index()
    level = percent(found.level)
    columns = {
        "rater": column("rater"),
        "bias": signed_column("bias", 2),
        f"bias, {level}": interval_column(2, "bias_low", "bias_high", signed=True),
        "inconsistency": column("inconsistency", 2),
        level: interval_column(2, "inconsistency_low", "inconsistency_high"),
        "votes": whole("n"),
    }
    notes = [
        "Bias: points above the other raters; inconsistency: standard deviation of the rater's "
        "noise in points. Intervals: Student t and chi-square on the votes less what bias and "
        "quality took of them, unit vote, about this rater.",
        *recovery_warnings(found),
    ]
    return table_of("recovery", "The raters", frame, columns, notes, facts)


def reliability(votes: pd.DataFrame, request: Request) -> list[Table]:
    """How far raters agree."""
    counted = opinions(votes)
    ratings = Ratings.from_votes(counted, STIMULUS)
    if ratings.n_raters == 1:
        raise StatisticsError("A single rater has nobody to agree with.", "Two are needed.")
    if counted["score"].nunique() == 1:
        raise StatisticsError(
            f"All votes are {counted['score'].iloc[0]}: agreement is undefined.",
            "Reliability needs votes that differ.",
        )
    rows: list[_Figure] = []
    notes = _icc_notes(ratings)
    for what, estimate in _agreement(ratings, request).items():
        made, why = attempted(estimate)
        rows += made or []
        notes += [f"Not done: {what}: {why}"] if made is None else []
        notes += [f"Not done: {row[0]}: {_NO_VALUE}" for row in made or [] if np.isnan(row[1])]
    if not rows:
        raise StatisticsError(" ".join(notes))
    frame = pd.DataFrame(rows, columns=["figure", "value", "low", "high", "about"])
    columns = {
        "figure": column("figure"),
        "value": column("value", 4),
        "low–high": interval_column(4),
        "about": column("about"),
    }
    notes += [
        "ICC: McGraw and Wong 1996, case 2A; A,1 one rater, A,k the mean of all. Split half: "
        "random splits of the raters.",
        *vote_notes(votes),
    ]
    return [table_of("reliability", "Do raters agree?", frame, columns, notes)]


_Figure = tuple[str, float, float, float, str]
_NO_VALUE = "on these votes its formula gives no number from -1 to 1."
_ENOUGH_FOR_ICC = 15
"""Raters from which McGraw and Wong's limits cover what they claim (benchmarks/coverage.py)."""


def _agreement(ratings: Ratings, request: Request) -> dict[str, Callable[[], list[_Figure]]]:
    """Every estimator of agreement by the name under which its failure is told."""

    agreement = Reliability(ratings, request.scale, request.level)

    def icc() -> list[_Figure]:
        found = agreement.intraclass_correlation()
        about = f"{percent(request.level)}, new stimuli and raters"
        of = (found.single, found.average)
        return [(i.estimand, i.estimate, i.low, i.high, about) for i in of]

    def halves() -> list[_Figure]:
        r = agreement.split_half()
        name, about = "split half, Spearman-Brown", "MOS of all raters"
        held = f"{percent(request.level)} of {r.splits} splits"
        return [
            ("split half, r", r.correlation, r.low, r.high, held),
            (name, r.spearman_brown, np.nan, np.nan, about),
        ]

    def rest() -> list[_Figure]:
        r = agreement.against_rest()["pearson"].dropna()
        if r.empty:
            raise StatisticsError("No rater's votes correlate with those of others.")
        about = "range of the raters"
        return [("rater against rest, mean r", r.mean(), r.min(), r.max(), about)]

    def single(name: str, value: float) -> list[_Figure]:
        return [(name, value, np.nan, np.nan, "")]

    alpha, sos = "Krippendorff's alpha, ordinal", "SOS coefficient a"
    return {
        "ICC": icc,
        alpha: lambda: single(alpha, agreement.krippendorff_alpha()),
        "split half": halves,
        "rater against rest": rest,
        sos: lambda: single(sos, agreement.sos_coefficient()),
    }


def _icc_notes(ratings: Ratings) -> list[str]:
    left = int(np.isnan(ratings.matrix()).any(axis=1).sum())
    notes = [f"ICC leaves out {left} stimuli that not every rater rated."] if left else []
    if ratings.n_raters < _ENOUGH_FOR_ICC:
        notes.append(
            f"The ICC's intervals fall short below {_ENOUGH_FOR_ICC} raters: in simulations of 3 "
            "to 8 raters on 100 stimuli those that claim 95 % covered 90 to 92 %."
        )
    return notes


_P_IS = {"exact": "exact", "normal": "a normal approximation"}


def _over_raters(test: SignedRank, alpha: float) -> str:
    (verdict,) = judge([test.p], [test.least_p], "none", alpha)
    small = f"; n too small: the least p is {p_value(test.least_p)}" if verdict.too_small else ""
    return f"signed-rank test over raters{small}"


def retest(votes: pd.DataFrame, request: Request) -> list[Table]:
    """The same rater on the same stimulus twice."""
    found = retest_of(votes, request.scale, request.level)
    change = found.change
    rows = [
        ("exact agreement", found.exact, np.nan, np.nan, "share of pairs"),
        ("within one point", found.within_one, np.nan, np.nan, "share of pairs"),
        ("change, second - first", change.estimate, change.low, change.high, change.estimand),
        ("kappa, quadratic weights", found.kappa, np.nan, np.nan, "all pairs"),
        ("p of no change", found.test.p, np.nan, np.nan, _over_raters(found.test, request.alpha)),
    ]
    frame = pd.DataFrame(rows, columns=["figure", "value", "low", "high", "about"])
    columns = {
        "figure": column("figure"),
        "value": column("value", 3),
        percent(request.level): interval_column(3, signed=True),
        "about": column("about"),
    }
    notes = [
        f"Change: mean over raters of their mean change. Interval: {change.method}.",
        *([NO_INTERVAL] if np.isnan(change.low) else []),
        f"{found.n_pairs} pairs of {found.n_raters} raters; {found.unpaired} repeats without a "
        f"first vote are left out. The p of no change is {_P_IS[found.test.method]}.",
        *vote_notes(votes),
    ]
    return [table_of("retest", "Repeats", frame, columns, notes)]


def difference(votes: pd.DataFrame, request: Request) -> list[Table]:
    """Difference scores against the hidden reference."""
    found = difference_scores(votes, request.reference, request.scale)
    rows = []
    for (dataset, method), group in found.votes.groupby(["dataset", "method"]):
        made = found.interval(group, request.interval, request.level)
        fields = {**vars(made), "interval": made.method, "mean_of": mean_of(request.interval)}
        rows.append(fields | {"dataset": dataset, "method": method, "n_votes": len(group)})
    if not rows:
        raise StatisticsError("No rater rated an image and its reference.", "None can be compared.")
    frame = paper.in_order(pd.DataFrame(rows))
    columns: Columns = {
        "method": method_column(),
        "DMOS": column("estimate", 2),
        percent(request.level): interval_column(2),
        "n": whole("n"),
        "votes": whole("n_votes"),
    }
    top, first = request.scale.high, frame.iloc[0]
    notes = [
        f"Vote - the same rater's vote on {paper.label(request.reference)} + {top}: {top} is as "
        "good as the reference, more is better (ITU-T P.910 (2008) 6.2). DMOS: "
        f"{first['mean_of']}. Interval: {first['interval']}, unit {first['unit']}, about "
        f"{first['estimand']}. Votes without a reference left out: {found.excluded}.",
        *no_interval(frame),
        *image_notes(found.votes),
        *vote_notes(votes),
    ]
    columns = with_dataset(frame, columns)
    return [table_of("difference", "Difference scores (ACR-HR)", frame, columns, notes)]
