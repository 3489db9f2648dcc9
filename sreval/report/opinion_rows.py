"""Rows of mean opinion scores beside the metrics of the same images, for the result tables."""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Sequence
from dataclasses import replace

import pandas as pd

from sreval.errors import DataError, listed
from sreval.opinions.arrays import Ratings
from sreval.opinions.comparison import CLAIMS, compare_methods
from sreval.opinions.intervals import LEAST_UNITS
from sreval.opinions.mos import mean_of, mos_interval, warning_of
from sreval.opinions.units import DEFAULT_UNIT, INTERVAL_OF, Unit
from sreval.opinions.votes import ACR, STIMULUS, Scale, opinions, stand_ins
from sreval.report import paper
from sreval.report.cells import (
    Cell,
    Comparison,
    Line,
    Table,
    marks,
    paper_figure,
    rank_means,
    too_small_notes,
    verdicts,
)
from sreval.report.collect import scored
from sreval.report.sections import (
    NO_INTERVAL,
    SIMULATED,
    image_notes,
    percent,
    stand_in_note,
    uncounted,
)


def check_same_stimuli(frame: pd.DataFrame, votes: pd.DataFrame) -> None:
    """Raise DataError unless votes and results are on the same images, the names said.

    Every rated method and data set must be among the results. Of a data set that was rated,
    the images of votes and results must be the same; methods that nobody rated may be there.
    Where the votes carry the hash of the image, it must be that of what was scored:
    `image_sha256`, as an export of a study has it, else that of what was shown. Votes on
    stand-ins must have been taken out by ``scored_votes``.
    """
    counted, frame = opinions(votes), scored(frame)
    for column, what in (("dataset", "data set"), ("method", "method")):
        strange = sorted(set(counted[column].astype(str)) - set(frame[column]))
        if strange == [""]:
            raise DataError(
                f"The ratings have no {what}; the results hold "
                f"{', '.join(sorted(frame[column].unique()))}.",
                f"Add a column {column!r} with the names of the results.",
            )
        if strange:
            raise DataError(
                f"The ratings are on the {what} {listed(strange)}, which the results don't have; "
                f"they hold {', '.join(sorted(frame[column].unique()))}.",
                "Benchmark what is missing, or use the same name in both.",
            )
    for dataset, rated in counted.groupby("dataset"):
        there = set(frame.loc[frame["dataset"] == dataset, "image"])
        images = set(rated["image"].astype(str))
        gaps = {"results": sorted(images - there), "ratings": sorted(there - images)}
        said = [f"the {who} lack {len(gap)}, {listed(gap)}" for who, gap in gaps.items() if gap]
        if said:
            raise DataError(
                f"Ratings and results of {dataset} are on different images: {'; '.join(said)}.",
                "One table takes MOS and metrics over the same images.",
            )
    for column in ("image_sha256", "stimulus_sha256"):
        if column in counted:
            _check_hashes(frame, counted, column)
            break


def scored_votes(frame: pd.DataFrame, votes: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The votes that may be shown beside metrics, without those on stand-ins, and notes.

    Raises DataError for results that hold a method that a stand-in replaced.
    """
    methods = stand_ins(votes)
    if not methods:
        return votes, []
    check_stand_ins(frame, set(votes["dataset"].astype(str)), methods)
    notes = [f"Stand-ins have no scores: {listed(methods, 20)}.", stand_in_note(methods)]
    return votes[~votes["method"].isin(methods)], notes


def check_stand_ins(frame: pd.DataFrame, datasets: Collection[str], methods: Sequence[str]) -> None:
    """A method's scores must not be shown beside opinions of the stand-in that replaced it.

    Raises DataError where ``frame`` holds one of ``methods`` on a data set that was rated.
    """
    frame = scored(frame)
    both = sorted(set(methods) & set(frame.loc[frame["dataset"].isin(datasets), "method"]))
    if both:
        raise DataError(
            f"Stand-ins were rated instead of {listed(both)}, which the results hold.",
            "Freeze a study from these results, or leave these methods out of the results.",
        )


def with_mos(
    table: Table,
    votes: pd.DataFrame,
    *,
    unit: Unit = DEFAULT_UNIT,
    baseline: str | None = None,
    pairs: bool = False,
    level: float = 0.95,
    scale: Scale = ACR,
    study: str = "",
) -> Table:
    """``table`` with a row of mean opinion scores for every data set that was rated.

    ``scale`` is that of the votes; ``baseline``, ``pairs`` and ``level`` as the table was built
    with; tests are signed-rank tests over ``unit``, Holm-adjusted within the data set, HR takes
    no part. The votes must have passed ``check_same_stimuli``. ``study`` names the study in the
    row's label; rows of other studies stay.
    """
    counted = opinions(votes)
    lines: list[Line] = []
    added: list[Line] = []
    comparisons = list(table.comparisons)
    for dataset in dict.fromkeys(line.dataset for line in table.lines):
        own = [line for line in table.lines if line.dataset == dataset]
        rows = counted[(counted["dataset"] == dataset) & counted["method"].isin(table.methods)]
        if len(rows):
            own = [line for line in own if line.metric != "mos" or line.study]
            made = _tests(rows, dataset, unit, baseline, pairs, scale)
            line = _line(rows, dataset, table, made, unit, level, scale, pairs)
            added.append(replace(line, study=study))
            own.append(added[-1])
            comparisons += made
        lines += own
    tested = [c for c in comparisons[len(table.comparisons) :] if c.metric == "mos"]
    cells = [cell for line in added for cell in line.cells.values() if cell and cell.n]
    warnings = [warning_of(INTERVAL_OF[unit], cell.mean, scale) for cell in cells]
    if any(cell.n < LEAST_UNITS for cell in cells):
        warnings.append(NO_INTERVAL)
    notes = [*table.notes, *_notes(votes, tested, unit, baseline, level, scale, study, warnings)]
    if pairs:
        own = [line for line in lines if line.metric == "mos" and line.study == study]
        notes += _untested(own, tested)
    return replace(table, lines=lines, comparisons=comparisons, notes=notes)


def _line(
    rows: pd.DataFrame,
    dataset: str,
    table: Table,
    tests: list[Comparison],
    unit: Unit,
    level: float,
    scale: Scale,
    pairs: bool,
) -> Line:
    interval = INTERVAL_OF[unit]
    found = {
        str(method): mos_interval(Ratings.from_votes(group, ["image"]), interval, level, scale)
        for method, group in rows.groupby("method")
    }
    ranks = rank_means(pd.Series({m: i.estimate for m, i in found.items()}), "mos")
    beside = marks([method for method in table.methods if method in found], tests, pairs)
    cells: dict[str, Cell | None] = {}
    for method in table.methods:
        theirs = paper_figure(dataset, method, "mos") if table.with_paper else None
        if method in found:
            i = found[method]
            mark = beside.get(method, "")
            cells[method] = Cell(i.estimate, i.low, i.high, i.n, ranks.get(method, 0), mark, theirs)
        elif theirs is not None:
            cells[method] = Cell(math.nan, math.nan, math.nan, 0, paper=theirs)
        else:
            cells[method] = None
    simulated = bool(rows["simulated"].any())
    return Line(dataset, "mos", cells, unit, simulated)


def _tests(
    rows: pd.DataFrame, dataset: str, unit: Unit, baseline: str | None, pairs: bool, scale: Scale
) -> list[Comparison]:
    rows = rows[rows["method"] != "hr"]
    rated = set(rows["method"])
    if len(rated) < 2 or not (pairs or baseline in rated):
        return []
    (made,) = compare_methods(rows, unit=unit, scale=scale)
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
        found.append((first, second, estimate, test))
    judged = verdicts([test for *_, test in found])
    return [
        Comparison(dataset, "mos", *pair, verdict)
        for pair, verdict in zip(found, judged, strict=True)
    ]


def _untested(lines: Sequence[Line], tests: Sequence[Comparison]) -> list[str]:
    """Pairs that share a letter on lines of MOS because nobody compared them."""
    notes = []
    for line in lines:
        rated = [m for m, cell in line.cells.items() if m != "hr" and cell and cell.n]
        made = sum(c.dataset == line.dataset for c in tests)
        pairs = math.comb(len(rated), 2)
        if 0 < made < pairs:
            notes.append(
                f"MOS on {line.dataset}: no rater rated both methods of {pairs - made} of {pairs} "
                "pairs on one image; they share a letter untested."
            )
    return notes


def _notes(
    votes: pd.DataFrame,
    tests: list[Comparison],
    unit: Unit,
    baseline: str | None,
    level: float,
    scale: Scale,
    study: str,
    warnings: Sequence[str],
) -> list[str]:
    counted = opinions(votes)
    datasets = paper.sort_datasets(list(map(str, counted["dataset"].unique())))
    groups = [(dataset, counted[counted["dataset"] == dataset]) for dataset in datasets]
    sizes = ", ".join(f"{d} {len(g)} by {g['rater'].nunique()} raters" for d, g in groups)
    note = (
        f"MOS{f' of {study}' if study else ''}: {mean_of(INTERVAL_OF[unit])} ({sizes}); "
        f"{percent(level)} interval by Student t, kept on the scale, unit {unit}, about "
        f"{CLAIMS[unit]}."
    )
    if tests:
        against = f" against {paper.label(baseline)}" if baseline else ", all pairs"
        note += f" Its tests{against}: signed-rank over the same unit, Holm within data set"
        note += "." if baseline else "; methods that share a letter weren't shown to differ."
    notes = [" ".join([note, *uncounted(votes)])]
    notes += too_small_notes(tests, "vote" if unit == "pooled" else unit)
    notes += [f"MOS: {note}" for note in image_notes(counted, INTERVAL_OF[unit], scale)]
    notes += dict.fromkeys(filter(None, warnings))
    if counted["simulated"].any():
        notes.append(f"MOS: {SIMULATED}")
    return notes


def _check_hashes(frame: pd.DataFrame, counted: pd.DataFrame, column: str) -> None:
    rated = counted.groupby(list(STIMULUS))[column].first().dropna().astype(str)
    hashes = scored_hashes(frame)
    other = [
        "/".join(key)
        for row in rated.reset_index().itertuples(index=False)
        if row[-1] not in hashes.get(key := tuple(map(str, row[:-1])), ())
    ]
    if other:
        remedy = "Score the images that were shown."
        if column == "stimulus_sha256":
            remedy += (
                " For a study of sreval, export it again: a new export names the image that was"
                " scored beside the file that was shown."
            )
        raise DataError(
            f"{len(other)} stimuli that were rated are not the images that were scored: "
            f"{listed(other)}.",
            remedy,
        )


def scored_hashes(frame: pd.DataFrame) -> dict[Hashable, set[str]]:
    """The SHA-256 of what was scored, by stimulus; an original goes by that of its own file too."""
    rows = scored(frame).drop_duplicates(list(STIMULUS))
    return {
        tuple(row[name] for name in STIMULUS): {row["sr_sha256"], row["hr_sha256"]}
        if row["method"] == "hr"
        else {row["sr_sha256"]}
        for row in rows.to_dict("records")
    }
