"""Parts of a study's report that show results: planned tests, exploration, agreement, metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd

from sreval.errors import StatisticsError, attempted
from sreval.opinions.comparison import CLAIMS
from sreval.opinions.mos import mos_table
from sreval.opinions.votes import ACR, opinions
from sreval.report import paper
from sreval.report.digits import fixed
from sreval.report.opinion_figures import KINDS, opinion_figure
from sreval.report.opinions import ANALYSES, mos_columns, mos_notes, pair_columns, pair_notes
from sreval.report.sections import (
    CORRECTIONS,
    Request,
    Section,
    column,
    image_notes,
    in_order,
    method_column,
    percent,
    vote_notes,
    whole,
)
from sreval.report.study_parts import Part, Picture, marks, request_of, section
from sreval.report.study_planned import planned_tests
from sreval.report.style import figure_svg
from sreval.study import charts, monitor
from sreval.study.data import StudyData

FIGURES = {
    "scores": "Distribution of the scores of every method",
    "ranks": "Distribution of the ranks of every method",
    "significance": "Differences of all pairs of methods",
    "raters": "Bias and inconsistency of every rater",
    "matrix": "Every vote",
    "sos": "Variance and mean of every stimulus",
    "metrics": "Metrics against opinion",
}
_OF_DATASET = ("scores", "ranks", "significance")


def results_parts(data: StudyData) -> list[Part]:
    """One part per data set: means, the planned tests, and the figures of that data set."""
    request = request_of(data)
    names = [part.name for part in data.design.images.datasets]
    parts = []
    for name in paper.sort_datasets(names):
        part = Part(f"Results on {name}")
        votes = data.votes[data.votes["dataset"] == name]
        part.attempt("Mean opinion scores", lambda v=votes, r=request: _means(v, r))  # type: ignore[misc]
        part.attempt("Planned tests", partial(_tests, votes, data, request))
        for kind in _OF_DATASET:
            add_figure(part, kind, data, votes, request, name)
        if data.design.analysis.comparisons:
            part.attempt("All pairs", partial(_explored, votes, request))
        parts.append(part)
    return parts


def _means(votes: pd.DataFrame, request: Request) -> list[Section | Picture]:
    frame = in_order(
        mos_table(votes, interval=request.interval, level=request.level, scale=request.scale)
    )
    theirs = paper.figures()
    frame["paper"] = [
        theirs.get((str(row["dataset"]), str(row["method"]), "mos"), np.nan)
        for row in frame.to_dict("records")
    ]
    columns = mos_columns(request.level)
    first = frame.iloc[0]
    different = image_notes(opinions(votes), request.interval, request.scale)
    notes = [*mos_notes(frame), *different, *vote_notes(votes)]
    if frame["paper"].notna().any():
        columns["paper's MOS"] = column("paper", 2)
        notes.append(f"Paper's MOS: Ledig et al. 2017. {_order(frame)}")
    name = str(first["dataset"])
    rows = [
        charts.Estimate(
            paper.label(str(row["method"])), row["mos"], row["low"], row["high"],
            f"{row['n_votes']} votes, {row['n_raters']} raters",
        )
        for row in frame.to_dict("records")
    ]  # fmt: skip
    title = f"Mean opinion scores on {name}"
    said = (
        f"MOS in points, {percent(request.level)} interval: {first['interval']}, "
        f"unit {first['unit']}."
    )
    svg = charts.estimates(rows, ACR.low, ACR.high, f"{title}. {said}")
    return [section(title, frame, columns, notes), Picture(title, svg, said)]


def _order(frame: pd.DataFrame) -> str:
    both = frame[frame["paper"].notna()]
    ours = list(both.sort_values("mos", kind="stable")["method"])
    if list(both.sort_values("paper", kind="stable")["method"]) == ours:
        return f"The order of the {len(both)} methods is the paper's."
    pairs = len(both) * (len(both) - 1) // 2
    mos, theirs = both["mos"].to_numpy(), both["paper"].to_numpy()
    swapped = int((np.subtract.outer(mos, mos) * np.subtract.outer(theirs, theirs) < 0).sum()) // 2
    return f"{swapped} of {pairs} pairs of methods are in the opposite order to the paper's."


def _tests(votes: pd.DataFrame, data: StudyData, request: Request) -> list[Section]:
    analysis = data.design.analysis
    frame = planned_tests(votes, data, request.level)
    if frame.empty:
        raise StatisticsError("None of the planned comparisons was rated here.", "")
    columns = pair_columns(request.level, f"n ({analysis.unit}s)")
    correction = (
        f"NOT corrected for {len(frame)} comparisons"
        if analysis.correction == "none"
        else f"{CORRECTIONS[analysis.correction]} over these {len(frame)}"
    )
    notes = [
        f"As planned. Unit {analysis.unit}: {CLAIMS[analysis.unit]}. Two-sided Wilcoxon "
        f"signed-rank test of the units' means, {correction}, alpha {analysis.alpha:g}. "
        "Difference: first less second in points; effect: rank-biserial correlation, -1 to 1.",
        *pair_notes(frame),
        *vote_notes(votes),
    ]
    return [section(f"Planned comparisons on {frame['dataset'].iloc[0]}", frame, columns, notes)]


def _explored(votes: pd.DataFrame, request: Request) -> list[Section]:
    return [
        Section(
            made.analysis,
            f"{made.title} (exploratory, all pairs, not planned)",
            made.frame,
            made.shown,
            made.notes,
        )
        for made in ANALYSES["compare"](votes, request)
    ]


def add_figure(
    part: Part,
    kind: str,
    data: StudyData,
    votes: pd.DataFrame,
    request: Request,
    dataset: str | None = None,
) -> None:
    """Draw one figure of ``opinion_figures.KINDS`` into ``part``, the report's marks on it."""
    assert kind in KINDS

    def draw() -> list[Picture]:
        drawn = opinion_figure(votes, kind, request, dataset)
        words = " · ".join(marks(data)).upper()
        if words:
            drawn.suptitle(words, x=0.99, ha="right", fontsize=8, fontweight="bold")
        where = f", {dataset}" if dataset else ""
        return [Picture(f"{FIGURES[kind]}{where}", figure_svg(drawn))]

    part.attempt(f"Figure: {FIGURES[kind].lower()}", draw)


def agreement_part(data: StudyData) -> Part:
    """Do raters agree with each other, and with themselves."""
    part, request = Part("Agreement of raters"), request_of(data)
    part.attempt("Reliability", lambda: ANALYSES["reliability"](data.votes, request))
    part.attempt("Test and retest", lambda: ANALYSES["retest"](data.votes, request))
    part.attempt("Recovered quality", lambda: ANALYSES["recovery"](data.votes, request))
    for kind in ("raters", "matrix", "sos"):
        add_figure(part, kind, data, data.votes, request)
    return part


def effect_of_exclusions(part: Part, data: StudyData) -> None:
    """MOS per method with and without what is left out."""
    own = data.votes[data.votes["kind"] == "vote"]
    interval = request_of(data).interval
    if not own["accepted"].all():
        whole = own.assign(accepted=True)
        note = "Points; without and with the exclusions, no interval: the same votes are in both."
        made = partial(_effect, "Effect of the exclusions", {"all": whole, "used": own}, interval)
        part.attempt("Effect of the exclusions", lambda: [made(note)])
    decided = monitor.overruled(data)
    if len(decided):
        title = "Effect of the decisions that overrule the rules"
        part.attempt(title, lambda: _effect_of_decisions(title, own, decided, interval))


def screening_part(data: StudyData) -> Part:
    """What the screening rules would propose, and the results without whom each rejects."""
    part = Part("Screening")
    part.attempt("Screening", lambda: ANALYSES["screening"](data.votes, request_of(data)))
    return part


def _effect_of_decisions(
    title: str, own: pd.DataFrame, decided: pd.DataFrame, interval: str
) -> list[Section]:
    """MOS as the rules alone would have it and as decided, and what each decision changes most."""

    def by_rules(raters: Sequence[str]) -> pd.DataFrame:
        return own.assign(accepted=own["accepted"] ^ own["rater"].isin(raters))

    sides = {"by rules": by_rules(list(decided["rater"])), "used": own}
    notes = [
        "Points; the votes as the rules alone would have them, and as they are used; no interval: "
        "the same votes are in both."
    ]
    for rater in decided["rater"]:
        alone, why = attempted(lambda r=rater: _change(by_rules([r]), own, interval))  # type: ignore[misc]
        notes.append(f"The decision on {rater}: {alone or why}")
    return [_effect(title, sides, interval, *notes)]


def _change(before: pd.DataFrame, after: pd.DataFrame, interval: str) -> str:
    """The largest change of a MOS, in words."""
    sides = [
        mos_table(rows, interval=interval).set_index(["dataset", "method"])["mos"]
        for rows in (before, after)
    ]
    change = (sides[1] - sides[0]).dropna()
    if change.empty:
        raise StatisticsError("No MOS exists both with and without the rater's votes.")
    dataset, method = map(str, change.index[int(np.argmax(np.abs(change.to_numpy())))])
    by = fixed(float(change.loc[(dataset, method)]), 2, signed=True)
    return f"{by} points at most, on {paper.label(method)}, {dataset}."


def _effect(title: str, of: Mapping[str, pd.DataFrame], interval: str, *notes: str) -> Section:
    """MOS of the two sides of ``of``, by their names in order, and the change between them."""
    before, after = of
    sides = []
    for name, rows in of.items():
        found = mos_table(rows, interval=interval).set_index(["dataset", "method"])
        sides += [found["mos"].rename(f"mos_{name}"), found["n_votes"].rename(f"n_{name}")]
    frame = in_order(pd.concat(sides, axis=1).reset_index())
    frame["change"] = frame[f"mos_{after}"] - frame[f"mos_{before}"]
    columns = {
        "data set": column("dataset"),
        "method": method_column(),
        f"MOS, {before}": column(f"mos_{before}", 2),
        f"votes, {before}": whole(f"n_{before}"),
        f"MOS, {after}": column(f"mos_{after}", 2),
        f"votes, {after}": whole(f"n_{after}"),
        "change": lambda row: fixed(row["change"], 2, signed=True),
    }
    return section(title, frame, columns, notes)
