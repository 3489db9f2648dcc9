"""Rows of mean opinion scores beside the metrics of the same images, for the result tables."""

from __future__ import annotations

import math
from dataclasses import replace

import pandas as pd

from sreval.errors import DataError
from sreval.report import paper
from sreval.report.cells import (
    ALPHA,
    TOO_SMALL,
    Cell,
    Comparison,
    Line,
    Table,
    letters,
    paper_figure,
    rank_means,
    star,
)
from sreval.report.sections import INTERVAL_OF, SIMULATED, listed
from sreval.statistics.comparison import CLAIMS, Unit, compare_methods
from sreval.statistics.multiplicity import holm
from sreval.statistics.opinion import INTERVALS, POOLED_WARNING
from sreval.statistics.ratings import Ratings
from sreval.statistics.votes import STIMULUS, opinions


def check_same_stimuli(frame: pd.DataFrame, votes: pd.DataFrame) -> None:
    """Raise DataError unless votes and results are on the same images, the names said.

    Every rated method and data set must be among the results. Of a data set that was rated,
    the images of votes and results must be the same; methods that nobody rated may be there.
    Where the votes carry the hash of what was shown, it must be that of what was scored.
    """
    counted = opinions(votes)
    for column, what in (("dataset", "data set"), ("method", "method")):
        strange = sorted(set(counted[column].astype(str)) - set(frame[column]))
        if strange:
            raise DataError(
                f"The ratings are on the {what} {listed(strange)}, which the results lack; they "
                f"hold {', '.join(sorted(frame[column].unique()))}.",
                "Benchmark it, or name it alike in both.",
            )
    for dataset, rated in counted.groupby("dataset"):
        scored = set(frame.loc[frame["dataset"] == dataset, "image"])
        images = set(rated["image"].astype(str))
        gaps = {"results": sorted(images - scored), "ratings": sorted(scored - images)}
        said = [f"the {who} lack {len(gap)}, {listed(gap)}" for who, gap in gaps.items() if gap]
        if said:
            raise DataError(
                f"Ratings and results of {dataset} are on different images: {'; '.join(said)}.",
                "One table takes MOS and metrics over the same images.",
            )
    if "stimulus_sha256" in counted:
        _check_hashes(frame, counted)


def with_mos(
    table: Table,
    votes: pd.DataFrame,
    *,
    unit: Unit = "rater",
    baseline: str | None = None,
    pairs: bool = False,
    level: float = 0.95,
    study: str = "",
) -> Table:
    """``table`` with a row of mean opinion scores for every data set that was rated.

    ``baseline``, ``pairs`` and ``level`` as the table was built with; tests are signed-rank
    tests over ``unit``, Holm-adjusted within the data set, HR takes no part. The votes must
    have passed ``check_same_stimuli``. ``study`` names the study in the row's label; rows of
    other studies stay.
    """
    counted = opinions(votes)
    lines: list[Line] = []
    comparisons = list(table.comparisons)
    for dataset in dict.fromkeys(line.dataset for line in table.lines):
        own = [line for line in table.lines if line.dataset == dataset]
        rows = counted[(counted["dataset"] == dataset) & counted["method"].isin(table.methods)]
        if len(rows):
            own = [line for line in own if line.metric != "mos" or line.study]
            made = _tests(rows, dataset, unit, baseline, pairs)
            line = _line(rows, dataset, table, made, unit, level, pairs)
            own.append(replace(line, study=study))
            comparisons += made
        lines += own
    tested = [c for c in comparisons[len(table.comparisons) :] if c.metric == "mos"]
    notes = [*table.notes, *_notes(votes, tested, unit, baseline, level, study)]
    return replace(table, lines=lines, comparisons=comparisons, notes=notes)


def _line(
    rows: pd.DataFrame,
    dataset: str,
    table: Table,
    tests: list[Comparison],
    unit: Unit,
    level: float,
    pairs: bool,
) -> Line:
    interval = INTERVALS[INTERVAL_OF[unit]]
    found = {
        str(method): interval(Ratings.from_votes(group, ["image"]), level)
        for method, group in rows.groupby("method")
    }
    ranks = rank_means(pd.Series({m: i.estimate for m, i in found.items()}), "mos")
    marks = {c.first: star(c) for c in tests}
    if pairs and tests:
        marks = letters([m for m in table.methods if m in found and m != "hr"], tests)
    cells: dict[str, Cell | None] = {}
    for method in table.methods:
        theirs = paper_figure(dataset, method, "mos") if table.with_paper else None
        if method in found:
            i = found[method]
            mark = marks.get(method, "")
            cells[method] = Cell(i.estimate, i.low, i.high, i.n, ranks.get(method, 0), mark, theirs)
        elif theirs is not None:
            cells[method] = Cell(math.nan, math.nan, math.nan, 0, paper=theirs)
        else:
            cells[method] = None
    simulated = bool(rows["simulated"].astype(bool).any())
    return Line(dataset, "mos", cells, unit, simulated)


def _tests(
    rows: pd.DataFrame, dataset: str, unit: Unit, baseline: str | None, pairs: bool
) -> list[Comparison]:
    rows = rows[rows["method"] != "hr"]
    rated = set(rows["method"])
    if len(rated) < 2 or not (pairs or baseline in rated):
        return []
    (made,) = compare_methods(rows, unit=unit)
    found = []
    for pair in made.pairs:
        if pair.test is None or pair.difference is None:
            continue
        first, second, difference, test = pair.first, pair.second, pair.difference, pair.test
        if not pairs and baseline not in (first, second):
            continue
        estimate = difference.estimate
        if not pairs and first == baseline:
            first, second, estimate = second, first, -estimate
            test = replace(
                test, w_plus=test.w_minus, w_minus=test.w_plus, rank_biserial=-test.rank_biserial
            )
        found.append(Comparison(dataset, "mos", first, second, estimate, test, math.nan))
    adjusted = holm([c.test.p for c in found])
    return [replace(c, p_holm=float(p)) for c, p in zip(found, adjusted, strict=True)]


def _notes(
    votes: pd.DataFrame,
    tests: list[Comparison],
    unit: Unit,
    baseline: str | None,
    level: float,
    study: str,
) -> list[str]:
    counted = opinions(votes)
    datasets = paper.sort_datasets(list(map(str, counted["dataset"].unique())))
    groups = [(dataset, counted[counted["dataset"] == dataset]) for dataset in datasets]
    sizes = ", ".join(f"{d} {len(g)} by {g['rater'].nunique()} raters" for d, g in groups)
    note = (
        f"MOS{f' of {study}' if study else ''}: mean of the votes ({sizes}); {level:.0%} interval "
        f"by Student t, unit {unit}, about {CLAIMS[unit]}."
    )
    if tests:
        against = f" against {paper.label(baseline)}" if baseline else ", all pairs"
        note += f" Its tests{against}: signed-rank over the same unit, Holm within data set."
    left = len(votes) - len(counted)
    note += f" {left} rows that are no accepted votes are left out." if left else ""
    notes = [note]
    too_small = [c for c in tests if c.test.too_small_for(ALPHA)]
    if too_small:
        least = too_small[0].test
        notes.append(
            f"{TOO_SMALL} at a MOS: no p below {ALPHA} is possible with n = {least.n} (the least "
            f"is {least.least_p:.4f})."
        )
    if unit == "pooled":
        notes.append(POOLED_WARNING)
    if counted["simulated"].astype(bool).any():
        notes.append(f"MOS: {SIMULATED}")
    return notes


def _check_hashes(frame: pd.DataFrame, counted: pd.DataFrame) -> None:
    shown = counted.groupby(list(STIMULUS))["stimulus_sha256"].first().dropna()
    scored = frame.drop_duplicates(list(STIMULUS)).set_index(list(STIMULUS))["sr_sha256"]
    other = shown[shown.astype(str) != scored.reindex(shown.index).astype(str)]
    if len(other):
        raise DataError(
            f"{len(other)} stimuli that were rated are not the images that were scored: "
            f"{listed(['/'.join(map(str, key)) for key in other.index])}.",
            "Score the images that were shown.",
        )
