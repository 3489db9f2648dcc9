"""Tables of recovered quality, reliability, repeats, difference scores, metrics and opinion."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd

from sreval.errors import (
    StatisticsError,
    UsageError,
    attempted,
    counted,
    fixed,
    listed,
    not_in_results,
    option,
)
from sreval.frames import unit_name
from sreval.metrics.metric import LIBRARY, METRICS, in_order, metric_of
from sreval.opinions.agreement import Agreement, finite_rows, metric_agreement
from sreval.opinions.arrays import Ratings, varies
from sreval.opinions.intervals import LEAST_UNITS, Interval, category
from sreval.opinions.mos import (
    INTERVALS,
    DifferenceScores,
    difference_scores,
    mean_of,
    mos_interval,
    stimulus_mos,
)
from sreval.opinions.reading import DESCRIBED, is_means, metric_key, metric_values
from sreval.opinions.recovery import (
    ENOUGH_RATERS,
    Recovery,
    connected,
    recover_parts,
    remove_bias,
)
from sreval.opinions.reliability import Reliability
from sreval.opinions.reliability import retest as retest_of
from sreval.opinions.sheet import MEAN
from sreval.opinions.significance import SignedRank, judge
from sreval.opinions.slider import z_scores
from sreval.opinions.units import CLAIMS
from sreval.opinions.votes import STIMULUS, opinions, plain_number, task_in, units_of
from sreval.report import paper
from sreval.report.notes import (
    either,
    image_notes,
    named_as_in,
    no_interval,
    too_few,
    units_said,
    vote_notes,
)
from sreval.report.opinions import Request
from sreval.report.table import (
    Columns,
    Table,
    column,
    interval_column,
    method_column,
    signed_column,
    table_of,
    text_table,
    whole,
    with_dataset,
)
from sreval.report.text import p_value, percent, span
from sreval.report.values import metric_name


def recovery(votes: pd.DataFrame, request: Request) -> list[Table]:
    """Quality, bias and inconsistency by P.910 (10/2023) Annex E, and P.913's removal of bias.

    Parts of the votes without a common rater or stimulus are recovered each on its own; the frames
    then have a column ``part``.
    """
    ratings = Ratings.from_votes(opinions(votes), STIMULUS)
    unbiased = remove_bias(ratings)
    parts, why = attempted(lambda: recover_parts(ratings, request.level, request.scale))
    mos = opinions(votes).groupby(list(STIMULUS))["score"].mean().rename("mos")
    stimuli = pd.DataFrame(index=unbiased.stimuli.index)
    quality = _parts([part.stimuli for part in parts]) if parts else None
    stimuli = stimuli.assign(quality=np.nan) if quality is None else stimuli.join(quality)
    stimuli = stimuli.assign(bias_removed=unbiased.stimuli["mos"])
    stimuli.index = pd.MultiIndex.from_tuples(list(stimuli.index), names=list(STIMULUS))
    stimuli = stimuli.join(mos).reset_index()
    several = "part" in stimuli
    by = ["dataset", "method", *["part"] * several]
    by_method = stimuli.groupby(by, dropna=False)[["mos", "bias_removed", "quality"]]
    means = paper.in_order(by_method.mean().join(by_method.size().rename("images")).reset_index())
    columns: Columns = {
        **({"part": whole("part")} if several else {}),
        "method": method_column(),
        "MOS": column("mos", 2),
        "bias removed": column("bias_removed", 2),
        "quality": column("quality", 2),
        "images": whole("images"),
    }
    notes = [
        "Means over stimuli. Bias removed: ITU-T P.913 (03/2016) 12.4, without the rejection that "
        "follows; the analysis standards has both.",
        *image_notes(opinions(votes)),
    ]
    columns = with_dataset(means, columns)
    title = "Recovered quality of every method"
    if parts is None:
        notes += [f"Not done: quality, ITU-T P.910 (10/2023) Annex E: {why}", *vote_notes(votes)]
        return [table_of("recovery", title, stimuli, columns, notes, printed=means)]
    unconverged = any(not part.converged for part in parts)
    iterations = listed([str(part.iterations) for part in parts], 20)
    notes.append(
        "Quality: ITU-T P.910 (10/2023) Annex E, Li et "
        f"al. 2020, {iterations} iteration{'s' * (iterations != '1')}"
        f"{', NOT converged' if unconverged else ''}. The JSON has the interval of every "
        f"stimulus ({percent(request.level)}, Student t, unit vote, about this stimulus with these "
        "raters' bias) and both published half widths, whose normal quantile is short."
    )
    if parts[0].excluded:
        notes.append(f"Left out, a single vote each: {listed(list(parts[0].excluded))}.")
    warnings = parts_notes(parts)
    notes += [*warnings, *vote_notes(votes)]
    collapsed = [str(rater) for part in parts for rater in part.collapsed]
    facts = {"collapsed": collapsed, "warnings": warnings}
    return [
        table_of("recovery", title, stimuli, columns, notes, facts, printed=means),
        _raters(parts, facts),
    ]


def _parts(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The rows of all parts; where there are several, ``part`` numbers them from 1."""
    if len(frames) == 1:
        return frames[0]
    return pd.concat([frame.assign(part=part) for part, frame in enumerate(frames, 1)])


def parts_notes(parts: Sequence[Recovery]) -> list[str]:
    """What is said of several parts, and the warnings about each, which is then named."""
    if len(parts) == 1:
        return recovery_warnings(parts[0])
    sizes = "; ".join(
        f"part {number}: {counted(part.of.n_raters, 'rater')}, {part.of.n_stimuli} stimuli"
        for number, part in enumerate(parts, 1)
    )
    apart = (
        f"The votes fall into {len(parts)} parts without a common rater or stimulus ({sizes}), "
        "each recovered on its own. Quality and bias of different parts have different zeros and "
        "can't be compared."
    )
    of_each = [
        f"Part {number}: {said}"
        for number, part in enumerate(parts, 1)
        for said in recovery_warnings(part)
    ]
    return [apart, *of_each]


def recovery_warnings(found: Recovery) -> list[str]:
    """Warnings about figures of ITU-T P.910 (10/2023) Annex E."""
    said = []
    if found.collapsed:
        said.append(
            f"Don't use these figures: with so few votes, the votes of {listed(found.collapsed)} "
            "became the quality itself. No interval is given."
        )
    if found.of.n_raters < ENOUGH_RATERS:
        said.append(
            f"{counted(found.of.n_raters, 'rater')}: Annex E is unreliable below {ENOUGH_RATERS}. "
            "In simulations of 3 to 8 raters on 14 stimuli it collapsed in most studies, and the "
            "published half widths covered 75% or less where 95% were claimed. No interval of "
            "the inconsistency is given."
        )
    return said


def _raters(parts: Sequence[Recovery], facts: Mapping[str, object]) -> Table:
    frame = _parts(
        [
            part.raters[["bias", "inconsistency", "n"]].join(part.rater_limits).rename_axis("rater")
            for part in parts
        ]
    ).reset_index()
    level = percent(parts[0].level)
    columns = {
        **({"part": whole("part")} if "part" in frame else {}),
        "rater": column("rater"),
        "bias": signed_column("bias", 2),
        f"bias, {level}": interval_column(2, "bias_low", "bias_high", signed=True),
        "inconsistency": column("inconsistency", 2),
        level: interval_column(2, "inconsistency_low", "inconsistency_high"),
        "votes": whole("n"),
    }
    notes = [
        "Bias: points above the other raters"
        f"{' of the part' * (len(parts) > 1)}; inconsistency: standard deviation of the rater's "
        "noise in points. Intervals: Student t and chi-square on the votes less what bias and "
        "quality took of them, unit vote, about this rater.",
        *["The warnings above are about these figures, too."] * bool(facts["warnings"]),
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
    notes = [*_apart(ratings), *_icc_notes(ratings)]
    frames = unit_name(counted["image"].unique()) == "sequence"
    for what, estimate in _agreement(ratings, request, frames).items():
        made, why = attempted(estimate)
        rows += made or []
        notes += [f"Not done: {what}: {why}"] if made is None else []
        notes += [f"Not done: {row[0]}: {_NO_VALUE}" for row in made or [] if np.isnan(row[1])]
    if not rows:
        raise StatisticsError(" ".join(notes))
    frame = pd.DataFrame(rows, columns=["figure", "value", "low", "high", "about", "stimuli"])
    columns = {
        "figure": column("figure"),
        "value": column("value", 4),
        "low–high": interval_column(4),
        "about": column("about"),
        "stimuli": whole("stimuli"),
    }
    notes += [
        "ICC: McGraw and Wong 1996, case 2A, as corrected in Psychological Methods 1(4); A,1 one "
        "rater, A,k the mean of all. Alpha and SOS: jackknife over raters and stimuli, Student t; "
        f"{_COVERED.format('97 to 99')}. Split half: random splits of the raters.",
        *vote_notes(votes),
    ]
    return [table_of("reliability", "Do raters agree?", frame, columns, notes)]


_Figure = tuple[str, float, float, float, str, int]
"""The figure, its value and limits, what they are about, and on how many stimuli it rests."""
_COVERED = (
    "in simulations of 8 to 26 raters on 14 and 100 stimuli, intervals that claim 95% covered {}%"
)
_NO_VALUE = "on these votes its formula gives no number from -1 to 1."
_ENOUGH_FOR_ICC = 15
"""Raters from which McGraw and Wong's limits cover what they claim (benchmarks/coverage.py)."""


def _agreement(
    ratings: Ratings, request: Request, frames: bool
) -> dict[str, Callable[[], list[_Figure]]]:
    """Every estimator of agreement by the name under which its failure is told."""

    agreement = Reliability(ratings, request.scale, request.level)
    new = "new raters, frames taken as independent" if frames else "new stimuli and raters"
    about = f"{percent(request.level)}, {new}"
    shared = int((np.bincount(ratings.stimulus) > 1).sum())

    def icc() -> list[_Figure]:
        found = agreement.intraclass_correlation()
        of = (found.single, found.average)
        return [(i.estimand, i.estimate, i.low, i.high, about, i.n) for i in of]

    def halves() -> list[_Figure]:
        r = agreement.split_half()
        held = f"{percent(request.level)} of {r.splits} splits"
        return [
            ("split half, r", r.correlation, r.low, r.high, held, shared),
            (
                "split half, Spearman-Brown",
                r.spearman_brown,
                np.nan,
                np.nan,
                "MOS of all raters",
                shared,
            ),
        ]

    def rest() -> list[_Figure]:
        r = agreement.against_rest()["pearson"].dropna()
        if r.empty:
            raise StatisticsError("No rater's votes correlate with those of others.")
        name = "rater against rest, mean r"
        return [(name, r.mean(), r.min(), r.max(), "range of the raters", shared)]

    def single(name: str, found: Interval) -> list[_Figure]:
        return [(name, found.estimate, found.low, found.high, about, shared)]

    alpha, sos = "Krippendorff's alpha, ordinal", "SOS coefficient a"
    return {
        "ICC": icc,
        alpha: lambda: single(alpha, agreement.alpha_interval()),
        "split half": halves,
        "rater against rest": rest,
        sos: lambda: single(sos, agreement.sos_interval()),
    }


def _apart(ratings: Ratings) -> list[str]:
    parts, _ = connected(ratings)
    if parts == 1:
        return []
    return [
        f"The votes fall into {parts} parts without a common rater or stimulus. Raters of two "
        "parts never judged the same, so how far they agree isn't known: alpha, SOS and split half "
        "are over all parts together."
    ]


def _icc_notes(ratings: Ratings) -> list[str]:
    left = int(np.isnan(ratings.matrix()).any(axis=1).sum())
    notes = []
    if left:
        notes.append(
            f"ICC leaves out {left} of {ratings.n_stimuli} stimuli that not every rater rated; the "
            "other figures don't, so they speak of other stimuli."
        )
    if ratings.n_raters < _ENOUGH_FOR_ICC:
        notes.append(
            f"The ICC's intervals fall short below {_ENOUGH_FOR_ICC} raters: in simulations of 3 "
            "to 8 raters on 100 stimuli those that claim 95% covered 90 to 92%."
        )
    return notes


_P_IS = {"exact": "exact", "normal": "a normal approximation"}


def _over_raters(test: SignedRank, alpha: float) -> str:
    (verdict,) = judge([test.p], [test.least_p], "none", alpha)
    small = f"; n too small: the least p is {p_value(test.least_p)}" if verdict.too_small else ""
    return f"signed-rank test over raters{small}"


def _within(step: float) -> str:
    return "within one point" if step == 1 else f"within {step:g} points"


def retest(votes: pd.DataFrame, request: Request) -> list[Table]:
    """The same rater on the same stimulus twice."""
    found = retest_of(votes, request.scale, request.level)
    change = found.change
    rows = [
        ("exact agreement", found.exact, np.nan, np.nan, "share of pairs"),
        (_within(category(request.scale)), found.within_one, np.nan, np.nan, "share of pairs"),
        ("change, second - first", change.estimate, change.low, change.high, change.estimand),
        (
            "kappa, quadratic weights",
            found.kappa.estimate,
            found.kappa.low,
            found.kappa.high,
            "all pairs; new raters and stimuli",
        ),
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
        f"Change: mean over raters of their mean change. Interval: {change.method}. Kappa: "
        f"jackknife over raters and stimuli, Student t; {_COVERED.format('94 to 98')}.",
        *([too_few(["rater"])] if np.isnan(change.low) else []),
        f"{counted(found.n_pairs, 'pair')} of {counted(found.n_raters, 'rater')}; left out: "
        f"{counted(found.unpaired, 'repeat')} without a first vote. The p of no change is "
        f"{_P_IS[found.test.method]}.",
        *vote_notes(votes),
    ]
    return [table_of("retest", "Repeats", frame, columns, notes)]


def difference(votes: pd.DataFrame, request: Request) -> list[Table]:
    """Difference scores against the hidden reference, plain and crushed, and the MOS beside."""
    found = difference_scores(votes, request.reference, request.scale)
    rows = []
    defaults = units_of(votes)
    for (dataset, method), group in found.votes.groupby(["dataset", "method"]):
        name = request.interval or CLAIMS[defaults[str(dataset)].unit].interval
        made = found.interval(group, name, request.level)
        crushed = found.interval(group, name, request.level, "crushed")
        plain = mos_interval(
            Ratings.from_votes(group, ["image"]), name, request.level, request.scale
        )
        of = unit_name(group["image"].unique())
        fields = {**vars(made), "interval": made.method, "mean_of": mean_of(name, of)}
        fields |= {
            "crushed": crushed.estimate, "crushed_low": crushed.low, "crushed_high": crushed.high,
            "mos": plain.estimate,
            "above": int((group["difference"] > request.scale.high).sum()),
        }  # fmt: skip
        rows.append(fields | {"dataset": dataset, "method": method, "n_votes": len(group)})
    if not rows:
        raise StatisticsError("No rater rated an image and its reference.", "None can be compared.")
    frame = paper.in_order(pd.DataFrame(rows))
    columns: Columns = {
        "method": method_column(),
        "DMOS": column("estimate", 2),
        percent(request.level): interval_column(2),
        "crushed": column("crushed", 2),
        "MOS": column("mos", 2),
        "n": whole("n"),
        "votes": whole("n_votes"),
    }
    top, name = f"{plain_number(request.scale.high)}", paper.label(request.reference)
    hidden = task_in(votes).name == "acr-hr"
    notes = [
        f"Vote - the same rater's vote on {name} + {top}: {top} is as "
        "good as the reference, more is better ("
        f"{'' if hidden else 'as in ACR-HR, '}ITU-T P.910 (2008) 6.2, from memory). DMOS: "
        f"{either(frame['mean_of'])}. Interval: {either(frame['interval'])}, "
        f"{units_said(frame)}, about {either(frame['estimand'])}. Votes without a reference left "
        f"out: {_without_reference(found)}.",
        *_crushing(frame, request),
        "MOS: of the same votes. Tests between methods are those of the votes: in the difference "
        "of two methods, by one rater on one image, the reference cancels.",
        *_preferred(found, name),
        *no_interval(frame),
        *image_notes(found.votes),
        *vote_notes(votes),
    ]
    columns = with_dataset(frame, columns)
    kind = "(ACR-HR)" if hidden else f"against {name}"
    return [table_of("difference", f"Difference scores {kind}", frame, columns, notes)]


def _without_reference(found: DifferenceScores) -> str:
    """How many votes, and of how many raters, have no reference; how many references have two."""
    said = str(found.excluded)
    if found.excluded:
        said += f", of {counted(found.raters_without, 'rater')}"
    if found.twice:
        said += f". Rated more than once, the mean counts: {counted(found.twice, 'reference')}"
    return said


def _crushing(frame: pd.DataFrame, request: Request) -> list[str]:
    """What the crushed scores are, and of how many votes."""
    above, votes = int(frame["above"].sum()), int(frame["n_votes"].sum())
    scale = request.scale
    step = scale.spacing or (scale.high - scale.low) / 4
    k = round((scale.high - scale.low) / step) + 1
    origin = f"as P.910 does for {k}, from memory" if k == 5 else "our generalisation of P.910's"
    if not scale.spacing:
        origin += ", by the slider's five bands"
    d, back = "d, the difference,", ""
    if (scale.low, step) != (1, 1):
        below = f" - {plain_number(scale.low)}" if scale.low else ""
        over = f" / {step:g}" if step != 1 else ""
        shown = f"DV{below}" if not (below and over) else f"(DV{below})"
        d, back = f"d = 1 + {shown}{over}", ", taken back to the scale"
    share = f"{above} of {counted(votes, 'vote')} lie above {plain_number(scale.high)}"
    return [f"Crushed: where {d} is above {k}, {k + 2} d / (2 + d){back} ({origin}). {share}."]


_MOST_PREFERRED = 10


def _preferred(found: DifferenceScores, name: str) -> list[str]:
    """The note on methods that most raters put above the reference, on which images."""
    above = found.votes["difference"] > found.scale.high
    keys = [found.votes[key].astype(str) for key in ("method", "dataset", "image")]
    shares = above.groupby(keys).mean().reset_index(name="share")
    most = shares[shares["share"] > 0.5]
    if most.empty:
        return []
    said = []
    for method in paper.sort_methods(list(map(str, most["method"].unique()))):
        images = list(map(str, most.loc[most["method"] == method, "image"]))
        rated = int((shares["method"] == method).sum())
        said.append(
            f"{paper.label(method)} on {len(images)} of {counted(rated, 'image')} "
            f"({listed(images, _MOST_PREFERRED)})"
        )
    return [f"Most raters put these above {name}: {'; '.join(said)}."]


def zmos(votes: pd.DataFrame, request: Request) -> list[Table]:
    """Means of z scores per rater, rescaled to 0..100, beside the MOS."""
    found = z_scores(votes)
    rows = []
    defaults = units_of(votes)
    for (dataset, method), group in found.votes.groupby(["dataset", "method"]):
        name = request.interval or CLAIMS[defaults[str(dataset)].unit].interval
        ratings = Ratings.from_votes(group.assign(score=group["zmos"]), ["image"])
        made = INTERVALS[name](ratings, request.level)
        plain = INTERVALS[name](Ratings.from_votes(group, ["image"]), request.level).estimate
        fields = vars(made) | {"zmos": made.estimate, "mos": plain, "interval": made.method}
        del fields["estimate"], fields["method"]
        fields["mean_of"] = mean_of(name, unit_name(group["image"].unique()))
        rows.append(fields | {"dataset": dataset, "method": method, "n_votes": len(group)})
    frame = paper.in_order(pd.DataFrame(rows))
    columns: Columns = {
        "method": method_column(),
        "ZMOS": column("zmos", 2),
        percent(request.level): interval_column(2),
        "MOS": column("mos", 2),
        "votes": whole("n_votes"),
    }
    notes = [
        "ZMOS: each vote less its rater's mean, over its rater's standard deviation, as 100 (z + "
        f"3) / 6: 50 is a rater's mean vote. {either(frame['mean_of']).capitalize()}. Interval: "
        f"{either(frame['interval'])}, {units_said(frame)}, about {either(frame['estimand'])}; it "
        "takes the raters' means and standard deviations as known. MOS: of the same votes.",
        *no_interval(frame),
        *image_notes(found.votes),
    ]
    if found.without:
        notes.append(f"Without a z score, as their votes don't differ: {listed(found.without)}.")
    columns = with_dataset(frame, columns)
    notes += vote_notes(votes)
    return [table_of("zmos", "Means of z scores, ZMOS", frame, columns, notes)]


def metrics(votes: pd.DataFrame, request: Request) -> list[Table]:
    """Which metric follows the raters, per data set and overall."""
    stimuli, names = join_scores(votes, request)
    names_of_sets = paper.sort_datasets(list(map(str, stimuli["dataset"].unique())))
    groups = [(name, stimuli[stimuli["dataset"] == name]) for name in names_of_sets]
    if len(groups) > 1:
        groups.append(("all data sets", stimuli))
    frames, differences, notes = [], [], []
    for name, rows in groups:
        where = f"{name}: " if name else ""
        usable, unusable = usable_metrics(rows, names, request)
        notes += [f"Not done: {where}{why}" for why in unusable]
        if not usable:
            continue
        better = directions(usable, request)
        found, why = attempted(partial(metric_agreement, rows, better, level=request.level))
        if found is None:
            notes.append(f"Not done: {where}{why}")
            continue
        frames.append(found.frame().assign(dataset=name))
        notes += [f"{where}{note}" for note in scene_notes(found)]
        differences += _differences(name, found)
        notes += [f"{where}{note}" for note in lacking_values(rows, usable)]
    if not frames:
        raise StatisticsError(" ".join(note.removeprefix("Not done: ") for note in notes))
    frame = pd.concat(frames, ignore_index=True)
    return _metric_tables(frame, differences, notes, votes, request.level)


def scene_notes(found: Agreement) -> list[str]:
    """Notes on intervals of few scenes, and on missing ones."""
    notes = []
    lacking = [math.isnan(i.low) for row in found.statistics.values() for i in row.values()]
    if found.few_scenes and not all(lacking):
        notes.append(f"{found.n_scenes} scenes, the intervals rest on little.")
    if any(lacking):
        notes.append(
            f"–: fewer than {LEAST_UNITS} scenes give no interval, nor does an agreement that is "
            "perfect or undefined once a scene is left out."
        )
    return notes


def lacking_values(stimuli: pd.DataFrame, metrics: Sequence[str]) -> list[str]:
    """Which of MOS and ``metrics`` aren't finite on how many stimuli, and what that leaves out."""
    lacking = {
        name: int((~finite_rows(stimuli, [column])).sum())
        for column, name in {"mos": "MOS", **{one: metric_name(one) for one in metrics}}.items()
    }
    kept = finite_rows(stimuli, ["mos", *metrics])
    left = int((~kept).sum())
    if not left:
        return []
    gone = paper.sort_methods(sorted(set(stimuli["method"]) - set(stimuli.loc[kept, "method"])))
    lost = f" Nothing is left of {listed([paper.label(m) for m in gone], 10)}." if gone else ""
    named = [f"{name} in {counted(n, 'row')}" for name, n in lacking.items() if n]
    return [
        f"Missing or infinite: {listed(named, 10)}. {counted(left, 'row')} left out for all "
        f"metrics, so that all are judged on the same stimuli.{lost}"
    ]


def usable_metrics(
    stimuli: pd.DataFrame, names: list[str], request: Request
) -> tuple[list[str], list[str]]:
    """Those of the metrics ``names`` that can be compared with the MOS, and why the others can't.

    A metric without finite values, of one value or without a direction must not stop the others.
    """
    usable, reasons = [], []
    for name in names:
        values = stimuli[name].to_numpy(dtype=np.float64)
        finite = values[np.isfinite(values)]
        if metric_of(name).higher_is_better is None and name not in request.better:
            why = "whether higher or lower is better isn't known; say it where it is computed"
            reasons.append(f"{metric_name(name)}: {why}.")
        elif finite.size == 0:
            reasons.append(f"{metric_name(name)}: no stimulus has a finite value.")
        elif not varies(finite):
            why = "all stimuli have the same value, so no correlation exists"
            reasons.append(f"{metric_name(name)}: {why}.")
        else:
            usable.append(name)
    return usable, reasons


def join_scores(votes: pd.DataFrame, request: Request) -> tuple[pd.DataFrame, list[str]]:
    """One row per stimulus with its MOS and metrics, and the metrics' names.

    ``votes`` may be a table of mean opinion scores, which brings its metrics along where there
    are no results. Raises UsageError when a rated stimulus has no results, or no metric is known.
    """
    scores = request.scores
    if is_means(votes) and votes.duplicated(list(STIMULUS)).any():
        raise UsageError(
            "The table has stimuli of several studies, whose MOS may differ.",
            "Compare them by sreval metrics-study (sreval.metrics_study).",
        )
    if is_means(votes) and scores is None:
        return _own_metrics(votes, request)
    if scores is None:
        raise UsageError(
            "No benchmark results are given.",
            f"Add {option('--results FOLDER', 'results=FOLDER')}: these are votes, which bring no "
            "metrics, as a table of means may.",
        )
    wide = scores.pivot(index=list(STIMULUS), columns="metric", values="value")
    if is_means(votes):
        opinion = votes.set_index(list(STIMULUS))
        mos, scene = opinion[[MEAN]], opinion["scene"]
    else:
        mos = stimulus_mos(votes, scale=request.scale)
        scene = opinions(votes).groupby(list(STIMULUS))["scene"].first()
    for level, kind in (("dataset", "data set"), ("method", "method")):
        for name in mos.index.unique(level):
            if name not in wide.index.unique(level):
                raise not_in_results(kind, str(name), wide.index.unique(level))
    lacking = mos.index.difference(wide.index)
    if len(lacking):
        raise UsageError(
            f"{len(lacking)} rated stimuli have no results: "
            f"{listed(['/'.join(map(str, key)) for key in lacking])}.",
            f"Benchmark the images that were rated.{named_as_in(wide.index.unique('image'))}",
        )
    scene = scene.astype(object)
    if list(scene) == list(scene.index.get_level_values("image")):
        # these are votes that name no scenes
        theirs = scores[scores["scene"] != ""].groupby(list(STIMULUS))["scene"].first()
        scene = theirs.reindex(scene.index).fillna(scene)
    joined = mos.join(wide).join(scene).reset_index()
    return _by_scene(joined), [
        key for key in in_order(map(str, wide)) if metric_of(key).per == "image"
    ]


def _by_scene(stimuli: pd.DataFrame) -> pd.DataFrame:
    """Scenes of different data sets are different scenes."""
    dataset, scene = (stimuli[name].astype(object) for name in ("dataset", "scene"))
    return stimuli.assign(scene=dataset + "/" + scene)


def _own_metrics(means: pd.DataFrame, request: Request) -> tuple[pd.DataFrame, list[str]]:
    metrics, others = own_metrics(means, request.better)
    if not metrics:
        raise UsageError(
            f"The table has no metric that is known ({', '.join((*METRICS, *LIBRARY))}).",
            f"Add {option('--results FOLDER', 'results=FOLDER')}, or name columns by "
            f"{better_options('and')}{': ' + listed(others) if others else ''}.",
        )
    return _by_scene(metric_values(means, metrics)), metrics


def better_options(conjunction: str) -> str:
    """How a user names the columns of metrics that aren't known by themselves."""
    return option(
        f"--higher-is-better {conjunction} --lower-is-better",
        f"higher_is_better= {conjunction} lower_is_better=",
    )


def own_metrics(means: pd.DataFrame, better: Mapping[str, bool]) -> tuple[list[str], list[str]]:
    """The metrics that a table of means brings, known or named, and its other columns."""
    further = {metric_key(str(name)): str(name) for name in means if name not in DESCRIBED}
    named = {metric_key(name): name for name in (*METRICS, *LIBRARY, *better)}
    metrics = [name for key, name in named.items() if key in further or name in better]
    return metrics, [name for key, name in further.items() if key not in named]


def directions(metrics: Sequence[str], request: Request) -> dict[str, bool]:
    """Of each metric whether higher is better."""
    known = {name: metric_of(name).higher_is_better is not False for name in metrics}
    return {name: request.better.get(name, better) for name, better in known.items()}


def _differences(dataset: str, found: Agreement) -> list[dict[str, object]]:
    return [
        {
            "dataset": dataset,
            "first": d.first,
            "second": d.second,
            "statistic": d.statistic,
            "difference": d.difference.estimate,
            "low": d.difference.low,
            "high": d.difference.high,
            "p": d.p,
            "p_adjusted": d.p_adjusted,
        }
        for d in found.differences
    ]


def _metric_tables(
    frame: pd.DataFrame,
    differences: list[dict[str, object]],
    notes: list[str],
    votes: pd.DataFrame,
    level: float,
) -> list[Table]:
    head = [part for name in ("PLCC", "SROCC", "KROCC", "RMSE") for part in (name, percent(level))]
    named = bool((frame["dataset"] != "").any())
    heads = [*["data set"] * named, "metric", *head, "n", "scenes"]
    rows = []
    for (dataset, metric), group in frame.groupby(["dataset", "metric"], sort=False):
        of = {str(row["statistic"]): row for row in group.to_dict("records")}
        cells = [*[str(dataset)] * named, metric_name(str(metric))]
        for name, digits in (("plcc", 3), ("srocc", 3), ("krocc", 3), ("rmse", 2)):
            row, signed = of[name], of[name]["low"] < 0
            cells.append(fixed(row["estimate"], digits))
            cells.append(span(row["low"], row["high"], digits, signed=signed))
        rows.append([*cells, str(of["plcc"]["n"]), str(of["plcc"]["scenes"])])
    notes = [
        "Unit stimulus, about new scenes: jackknife over scenes with all their versions. PLCC "
        "and RMSE after a four-parameter logistic mapping; 1 is best, also for a metric of which "
        "smaller is better.",
        *notes,
        *vote_notes(votes),
    ]
    title = "Which metric follows the raters?"
    tables = [text_table("metrics", title, frame, heads, rows, notes)]
    if differences:
        frame = pd.DataFrame(differences)
        columns: Columns = {
            "first": lambda row: metric_name(row["first"]),
            "second": lambda row: metric_name(row["second"]),
            "SROCC, difference": signed_column("difference", 3),
            percent(level): interval_column(3, signed=True),
            "p adjusted": lambda row: p_value(row["p_adjusted"]),
        }
        notes = [
            "Same stimuli; interval and p from one jackknife over scenes; p adjusted by Holm, "
            "the interval not."
        ]
        columns = with_dataset(frame, columns)
        tables.append(table_of("metrics", "Do the metrics differ?", frame, columns, notes))
    return tables
