"""Result tables arranged as the paper's: means, intervals, ranks and paired tests."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import pandas as pd

from sreval.benchmarking.results import remarks
from sreval.errors import UsageError, option, unknown_name
from sreval.metrics.scorer import METRICS, UNITS
from sreval.opinions.intervals import LEAST_UNITS, student_mean
from sreval.opinions.wilcoxon import signed_rank
from sreval.report import paper
from sreval.report.cells import (
    ALPHA,
    NAMES,
    RANGES,
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
from sreval.report.collect import narrowed
from sreval.report.sections import NO_INTERVAL, percent
from sreval.report.values import comparable, gap_notes, infinite_notes, values_of

Layout = Literal["methods", "losses"]
LAYOUTS: tuple[Layout, ...] = get_args(Layout)


def build_table(
    frame: pd.DataFrame,
    layout: Layout = "methods",
    *,
    metrics: Sequence[str] | None = None,
    baseline: str | None = None,
    pairs: bool = False,
    with_paper: bool = False,
    level: float = 0.95,
) -> Table:
    """A table of one protocol and scale from rows that ``collect.select`` has chosen.

    The layout ``methods`` has every method of ``frame``, ``losses`` the paper's loss variants
    alone. Every mean of a line is over the same images, see ``values.comparable``; a method
    without any result has a cell whose n is 0. Intervals: Student's t over images. Tests: paired
    two-sided Wilcoxon signed-rank against ``baseline``, or for all ``pairs``, Holm-adjusted
    within one data set and metric; HR takes no part. Raises UsageError for a method, metric or
    layout that the results can't serve, and for a folder that would contribute nothing.
    """
    protocol, scale = str(frame["protocol"].iloc[0]), int(frame["scale"].iloc[0])
    if with_paper and (protocol, scale) != ("ledig2017", 4):
        raise UsageError(
            f"The paper's figures are of ledig2017 at scale 4, these results of {protocol} at "
            f"{scale}.",
            option(
                "Leave --paper out, or choose --protocol ledig2017.",
                'Leave paper=True out, or choose protocol="ledig2017".',
            ),
        )
    chosen = _methods(frame, layout)
    if baseline is not None and baseline not in chosen:
        raise unknown_name("method of these results", baseline, chosen)
    notes = _left_out(frame, chosen)
    frame = narrowed(frame, "method", chosen)
    methods = _with_paper_methods(chosen, layout) if with_paper else chosen
    named = _metrics(frame, metrics)
    frame = narrowed(frame, "metric", named)
    lines: list[Line] = []
    comparisons: list[Comparison] = []
    for dataset in paper.sort_datasets(list(frame["dataset"].unique())):
        rows = frame[frame["dataset"] == dataset]
        notes += gap_notes(rows, chosen)
        for metric in named:
            asked = values_of(rows, metric, chosen)
            if asked.empty:
                continue
            used = comparable(asked)
            notes += infinite_notes(dataset, metric, asked, used)
            made = _compare(used, dataset, metric, baseline, pairs)
            comparisons += made
            lines.append(
                _line(asked, used, dataset, metric, methods, made, level, pairs, with_paper)
            )
        if with_paper and paper_figure(dataset, methods[0], "mos") is not None:
            lines.append(_paper_mos(dataset, methods))
    notes += remarks(frame[frame["method"].isin(chosen)])
    notes += _notes(protocol, lines, comparisons, level, baseline, with_paper, methods)
    return Table(
        _title(protocol, scale),
        protocol,
        scale,
        methods,
        lines,
        comparisons,
        with_paper,
        notes,
        level,
    )


def _methods(frame: pd.DataFrame, layout: Layout) -> list[str]:
    present = paper.sort_methods(list(frame["method"].unique()))
    if layout == "methods":
        return present
    chosen = [method for method in paper.LOSS_VARIANTS if method in present]
    if not chosen:
        every = option("--layout methods", "layout='methods'")
        raise UsageError(
            "The results hold none of the paper's loss variants.",
            f"They are {', '.join(paper.LOSS_VARIANTS)}; or use {every}.",
        )
    return chosen


def _left_out(frame: pd.DataFrame, chosen: Sequence[str]) -> list[str]:
    left = [m for m in paper.sort_methods(list(frame["method"].unique())) if m not in chosen]
    return [f"Left out, as no loss variants of the paper: {', '.join(left)}."] if left else []


def _with_paper_methods(chosen: list[str], layout: Layout) -> list[str]:
    if layout == "losses":
        return list(paper.LOSS_VARIANTS)
    return paper.sort_methods(list({*paper.TABLE_2, *chosen}))


def _metrics(frame: pd.DataFrame, metrics: Sequence[str] | None) -> list[str]:
    present = [metric for metric in METRICS if metric in set(frame["metric"])]
    for metric in metrics or ():
        if metric not in present:
            raise unknown_name("metric of these results", metric, present)
    return [metric for metric in present if metrics is None or metric in metrics]


def _compare(
    used: pd.DataFrame, dataset: str, metric: str, baseline: str | None, pairs: bool
) -> list[Comparison]:
    methods = [method for method in used.columns if method != "hr"]
    if used.empty:
        return []
    if pairs:
        chosen = [(a, b) for i, a in enumerate(methods) for b in methods[i + 1 :]]
    elif baseline in methods:
        chosen = [(method, str(baseline)) for method in methods if method != baseline]
    else:
        return []
    tests = [signed_rank(used[first], used[second]) for first, second in chosen]
    return [
        Comparison(
            dataset, metric, first, second, _difference(used[first], used[second]), test, verdict
        )
        for (first, second), test, verdict in zip(chosen, tests, verdicts(tests), strict=True)
    ]


def _difference(x: pd.Series, y: pd.Series) -> float:
    """The mean of x - y; equal infinities differ by zero, as in the test."""
    a, b = x.to_numpy(float), y.to_numpy(float)
    return float(np.subtract(a, b, out=np.zeros_like(a), where=a != b).mean())


def _line(
    asked: pd.DataFrame,
    used: pd.DataFrame,
    dataset: str,
    metric: str,
    methods: list[str],
    comparisons: list[Comparison],
    level: float,
    pairs: bool,
    with_paper: bool,
) -> Line:
    ranks = rank_means(used.mean(), metric) if len(used) else {}
    beside = marks(list(used.columns), comparisons, pairs)
    cells: dict[str, Cell | None] = {}
    for method in methods:
        theirs = paper_figure(dataset, method, metric) if with_paper else None
        if method in used.columns and len(used):
            interval = student_mean(used[method], level, unit="image", estimand="mean over images")
            least, most = RANGES.get(metric, (-math.inf, math.inf))
            cells[method] = Cell(
                interval.estimate,
                interval.low if math.isnan(interval.low) else max(least, interval.low),
                interval.high if math.isnan(interval.high) else min(most, interval.high),
                interval.n,
                ranks.get(method, 0),
                beside.get(method, ""),
                theirs,
            )
        elif method in asked.columns or theirs is not None:
            cells[method] = Cell(math.nan, math.nan, math.nan, 0, paper=theirs)
        else:
            cells[method] = None
    return Line(dataset, metric, cells)


def _paper_mos(dataset: str, methods: list[str]) -> Line:
    return Line(
        dataset,
        "mos",
        {
            method: None if theirs is None else Cell(math.nan, math.nan, math.nan, 0, paper=theirs)
            for method in methods
            for theirs in (paper_figure(dataset, method, "mos"),)
        },
    )


def _title(protocol: str, scale: int) -> str:
    return f"Super-resolution x{scale}, protocol {protocol}"


def _notes(
    protocol: str,
    lines: list[Line],
    comparisons: list[Comparison],
    level: float,
    baseline: str | None,
    with_paper: bool,
    methods: list[str],
) -> list[str]:
    sizes = ", ".join(_sizes(lines))
    units = [
        f"{NAMES[m]} in {UNITS[m]}"
        for m in UNITS
        if UNITS[m] and any(li.metric == m for li in lines)
    ]
    notes = [
        f"Protocol {protocol}. Means over images (n: {sizes}); {', '.join(units)}. Below each, the "
        f"{percent(level)} interval of the mean for new images of the kind, by Student t.",
        _ranking_note(lines, methods),
    ]
    if any(0 < c.n < LEAST_UNITS for line in lines for c in line.cells.values() if c):
        notes.append(NO_INTERVAL)
    if comparisons:
        notes += [_test_note(comparisons, baseline), *too_small_notes(comparisons, "image")]
    elif baseline is not None:
        notes.append(f"Nothing was tested against {paper.label(baseline)}: see above.")
    if with_paper:
        notes.append("Rows 'paper': Ledig et al. 2017, tables 1 and 2.")
        notes += [text for method, text in paper.FOOTNOTES.items() if method in methods]
    return notes


def _sizes(lines: Sequence[Line]) -> list[str]:
    """How many images the means are over, for each metric where they differ."""
    counts: dict[str, dict[str, int]] = {}
    for line in lines:
        if line.metric != "mos":
            found = max((c.n for c in line.cells.values() if c), default=0)
            counts.setdefault(line.dataset, {})[line.metric] = found
    said = []
    for dataset, of in counts.items():
        if len(set(of.values())) == 1:
            said.append(f"{dataset} {next(iter(of.values()))}")
        else:
            said.append(f"{dataset} {', '.join(f'{NAMES[m]} {n}' for m, n in of.items())}")
    return said


def _ranking_note(lines: list[Line], methods: list[str]) -> str:
    note = "Best bold, second underlined"
    note += ", HR not ranked." if "hr" in methods else "."
    if any(line.metric.startswith("lpips") for line in lines):
        note += " LPIPS: smaller is better."
    return note


def _test_note(comparisons: list[Comparison], baseline: str | None) -> str:
    test = "paired two-sided Wilcoxon signed-rank over images, Holm within data set and metric"
    if all(c.verdict.too_small for c in comparisons):
        return f"Tests: {test}."
    if baseline is not None:
        return f"* differs from {paper.label(baseline)} (p < {ALPHA}; {test})."
    return f"Methods that share a letter weren't shown to differ (p < {ALPHA}; {test})."
