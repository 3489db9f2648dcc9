"""Result tables arranged as the paper's: means, intervals, ranks and paired tests."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd

from sreval.benchmark.results import remarks
from sreval.errors import UsageError, unknown_name
from sreval.metrics.scorer import METRICS, UNITS
from sreval.report import paper
from sreval.report.cells import (
    ALPHA,
    NAMES,
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
from sreval.statistics.intervals import bootstrap_mean
from sreval.statistics.multiplicity import holm
from sreval.statistics.wilcoxon import signed_rank

Layout = Literal["methods", "losses"]


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

    Every mean of a line is over the same images: those that all its methods have a value for.
    Intervals: bootstrap over images. Tests: paired two-sided Wilcoxon signed-rank against
    ``baseline``, or for all ``pairs``, Holm-adjusted within one data set and metric; HR takes
    no part. Raises UsageError for a method, metric or layout that the results can't serve.
    """
    protocol, scale = str(frame["protocol"].iloc[0]), int(frame["scale"].iloc[0])
    if with_paper and (protocol, scale) != ("ledig2017", 4):
        raise UsageError(
            f"The paper's figures are of ledig2017 at scale 4, these results of {protocol} at "
            f"{scale}.",
            "Leave --paper out, or choose --protocol ledig2017.",
        )
    chosen = _methods(frame, layout)
    if baseline is not None and baseline not in chosen:
        raise unknown_name("method of these results", baseline, chosen)
    methods = _with_paper_methods(chosen, layout) if with_paper else chosen
    lines: list[Line] = []
    comparisons: list[Comparison] = []
    notes: list[str] = []
    for dataset in paper.sort_datasets(list(frame["dataset"].unique())):
        for metric in _metrics(frame, metrics):
            values = _values(frame, dataset, metric, chosen, notes)
            if values.empty:
                continue
            made = _compare(values, dataset, metric, baseline, pairs)
            comparisons += made
            lines.append(_line(values, dataset, metric, methods, made, level, pairs, with_paper))
        if with_paper and paper_figure(dataset, methods[0], "mos") is not None:
            lines.append(_paper_mos(dataset, methods))
    notes += remarks(frame[frame["method"].isin(chosen)])
    notes += _notes(protocol, lines, comparisons, level, baseline, with_paper, methods)
    return Table(
        _title(protocol, scale), protocol, scale, methods, lines, comparisons, with_paper, notes
    )


def _methods(frame: pd.DataFrame, layout: Layout) -> list[str]:
    present = paper.sort_methods(list(frame["method"].unique()))
    if layout == "losses":
        chosen = [method for method in paper.LOSS_VARIANTS if method in present]
        if not chosen:
            raise UsageError(
                "The results hold none of the paper's loss variants.",
                f"They are {', '.join(paper.LOSS_VARIANTS)}; or use --layout methods.",
            )
        return chosen
    only_losses = set(paper.LOSS_VARIANTS) - {"srresnet-mse", "srgan-vgg54"}
    return [method for method in present if method not in only_losses] or present


def _with_paper_methods(chosen: list[str], layout: Layout) -> list[str]:
    theirs = {method for _, method, _ in paper.figures()}
    variants = set(paper.LOSS_VARIANTS)
    if layout == "losses":
        return list(paper.LOSS_VARIANTS)
    theirs -= variants - {"srresnet-mse", "srgan-vgg54"}
    return paper.sort_methods(list(theirs | set(chosen)))


def _metrics(frame: pd.DataFrame, metrics: Sequence[str] | None) -> list[str]:
    present = [metric for metric in METRICS if metric in set(frame["metric"])]
    for metric in metrics or ():
        if metric not in present:
            raise unknown_name("metric of these results", metric, present)
    return [metric for metric in present if metrics is None or metric in metrics]


def _values(
    frame: pd.DataFrame, dataset: str, metric: str, methods: list[str], notes: list[str]
) -> pd.DataFrame:
    """Images by methods, only images that every method has a value for; says what was left."""
    rows = frame[(frame["dataset"] == dataset) & (frame["metric"] == metric)]
    wide = rows.pivot(index="image", columns="method", values="value")
    wide = wide[[method for method in methods if method in wide.columns]].dropna(how="all")
    complete = wide.dropna()
    if len(complete) < len(wide):
        lacking = wide[wide.isna().any(axis=1)].index
        notes.append(
            f"{dataset} {NAMES[metric]}: {len(lacking)} of {len(wide)} images are left out, not "
            f"every method has a value for them: {', '.join(lacking[:5])}"
            f"{' ...' if len(lacking) > 5 else ''}."
        )
    return complete


def _compare(
    values: pd.DataFrame, dataset: str, metric: str, baseline: str | None, pairs: bool
) -> list[Comparison]:
    methods = [method for method in values.columns if method != "hr"]
    if pairs:
        chosen = [(a, b) for i, a in enumerate(methods) for b in methods[i + 1 :]]
    elif baseline in methods:
        chosen = [(method, str(baseline)) for method in methods if method != baseline]
    else:
        return []
    tests = [signed_rank(values[first], values[second]) for first, second in chosen]
    adjusted = holm([test.p for test in tests])
    return [
        Comparison(
            dataset,
            metric,
            first,
            second,
            float(np.mean(values[first] - values[second])),
            test,
            float(p),
        )
        for (first, second), test, p in zip(chosen, tests, adjusted, strict=True)
    ]


def _line(
    values: pd.DataFrame,
    dataset: str,
    metric: str,
    methods: list[str],
    comparisons: list[Comparison],
    level: float,
    pairs: bool,
    with_paper: bool,
) -> Line:
    ranks = rank_means(values.mean(), metric)
    marks = {c.first: star(c) for c in comparisons}
    if pairs and comparisons:
        marks = letters([method for method in values.columns if method != "hr"], comparisons)
    cells: dict[str, Cell | None] = {}
    for method in methods:
        theirs = paper_figure(dataset, method, metric) if with_paper else None
        if method not in values.columns:
            cells[method] = (
                None if theirs is None else Cell(math.nan, math.nan, math.nan, 0, paper=theirs)
            )
            continue
        interval = bootstrap_mean(values[method], level, unit="image", estimand="mean over images")
        cells[method] = Cell(
            interval.estimate,
            interval.low,
            interval.high,
            interval.n,
            ranks.get(method, 0),
            marks.get(method, ""),
            theirs,
        )
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
    counts = {
        line.dataset: max(c.n for c in line.cells.values() if c)
        for line in lines
        if line.metric != "mos"
    }
    sizes = ", ".join(f"{dataset} {count}" for dataset, count in counts.items())
    units = [
        f"{NAMES[m]} in {UNITS[m]}"
        for m in UNITS
        if UNITS[m] and any(li.metric == m for li in lines)
    ]
    notes = [
        f"Protocol {protocol}. Means over images (n: {sizes}); {', '.join(units)}. Below each, the "
        f"{level:.0%} interval of the mean for new images of the kind, by bootstrap over images.",
        _ranking_note(lines, methods),
    ]
    if comparisons:
        notes.append(_test_note(comparisons, baseline))
        too_small = [c for c in comparisons if c.test.too_small_for(ALPHA)]
        if too_small:
            least = max(too_small, key=lambda c: c.test.n)
            notes.append(
                f"{TOO_SMALL} n too small: no p below {ALPHA} is possible on {least.dataset} "
                f"({least.test.n} images; the least exact p is {least.test.least_p:.4f})."
            )
    if with_paper:
        notes.append("Rows 'paper': Ledig et al. 2017, tables 1 and 2.")
        notes += [text for method, text in paper.FOOTNOTES.items() if method in methods]
    return notes


def _ranking_note(lines: list[Line], methods: list[str]) -> str:
    note = "Best bold, second underlined"
    note += ", HR not ranked." if "hr" in methods else "."
    if any(line.metric.startswith("lpips") for line in lines):
        note += " LPIPS: smaller is better."
    return note


def _test_note(comparisons: list[Comparison], baseline: str | None) -> str:
    test = "paired two-sided Wilcoxon signed-rank over images, Holm within data set and metric"
    if baseline is not None and all(c.second == baseline for c in comparisons):
        return f"* differs from {paper.label(baseline)} (p < {ALPHA}; {test})."
    return f"Methods that share a letter don't differ (p < {ALPHA}; {test})."
