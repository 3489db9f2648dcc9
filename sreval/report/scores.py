"""Tables of scores arranged as the paper's: means, intervals, ranks and paired tests."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, Literal, Self, get_args

import numpy as np
import pandas as pd

from sreval.benchmarking.results import remarks
from sreval.errors import UsageError, option, unknown_name
from sreval.metrics.metric import in_order, metric_of
from sreval.opinions import significance
from sreval.opinions.intervals import LEAST_UNITS, Interval, student_mean
from sreval.opinions.significance import SignedRank, Verdict, signed_rank
from sreval.report import paper
from sreval.report.collect import narrowed
from sreval.report.notes import NO_INTERVAL
from sreval.report.render import csv_text
from sreval.report.table import Cell, Column, Row, Table
from sreval.report.text import NONE, percent
from sreval.report.values import (
    comparable,
    gap_notes,
    infinite_notes,
    metric_name,
    number,
    values_of,
)

Layout = Literal["methods", "losses"]
LAYOUTS: tuple[Layout, ...] = get_args(Layout)

ALPHA = 0.05
TOO_SMALL = "‡"

_FIGURES = (
    "dataset", "metric", "method", "n", "unit", "mean", "low", "high", "level", "rank", "mark",
    "paper", "simulated", "study",
)  # fmt: skip
"""What every figure says; a table's ``frame`` adds its protocol and scale."""

_TESTS = (
    "dataset", "metric", "first", "second", "n", "mean_difference", "w_plus", "w_minus", "p",
    "p_holm", "method", "rank_biserial", "least_p", "least_p_holm", "significant", "too_small",
)  # fmt: skip

Record = dict[str, Any]


@dataclass(frozen=True)
class Comparison:
    """A paired test of two methods on one data set, and its verdict among those beside it."""

    dataset: str
    metric: str
    first: str
    second: str
    difference: float
    test: SignedRank
    verdict: Verdict

    def record(self) -> Record:
        """The comparison as a row of ``ScoreTable.tests``."""
        found = (
            self.dataset, self.metric, self.first, self.second, self.test.n, self.difference,
            self.test.w_plus, self.test.w_minus, self.test.p, self.verdict.p_adjusted,
            self.test.method, self.test.rank_biserial, self.test.least_p,
            self.verdict.least_p_adjusted, self.verdict.significant, self.verdict.too_small,
        )  # fmt: skip
        return dict(zip(_TESTS, found, strict=True))


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class ScoreTable(Table):
    """A table of one protocol and scale with a column a method.

    ``frame`` has one row a (data set, metric, study, method): the mean, its interval over ``n`` of
    ``unit``, its ``rank`` (1 the best, 2 the second, 0 of HR), a significance ``mark``, and the
    paper's own figure where it was asked for. ``tests`` has every paired test, one row each.
    """

    methods: list[str]
    tests: pd.DataFrame
    protocol: str
    scale: int
    level: float = 0.95
    with_paper: bool = False

    @classmethod
    def of(
        cls,
        title: str,
        protocol: str,
        scale: int,
        methods: list[str],
        figures: Sequence[Record] = (),
        comparisons: Sequence[Comparison] = (),
        notes: Sequence[str] = (),
        *,
        level: float = 0.95,
        with_paper: bool = False,
    ) -> Self:
        """The table of these figures, in the order of the table's lines."""
        return cls(
            analysis="scores",
            title=title,
            frame=_frame(figures, protocol, scale),
            columns=[
                Column("", "left", described="Data set"),
                Column("", "left", described="Metric"),
                *(
                    Column(
                        paper.label(m),
                        decimals=max((metric_of(f["metric"]).digits for f in figures), default=0),
                    )
                    for m in methods
                ),
            ],
            rows=list(_rows(figures, methods)),
            notes=list(notes),
            methods=methods,
            tests=pd.DataFrame([c.record() for c in comparisons], columns=list(_TESTS)),
            protocol=protocol,
            scale=scale,
            level=level,
            with_paper=with_paper,
        )

    def figures(self) -> list[Record]:
        """The rows of ``frame`` without the table's protocol and scale."""
        return [
            {str(name): value for name, value in row.items()}
            for row in self.frame[list(_FIGURES)].to_dict("records")
        ]

    def with_figures(
        self, figures: Sequence[Record], comparisons: Sequence[Comparison], notes: Sequence[str]
    ) -> Self:
        """The table with ``figures`` in place of its own, and more comparisons and notes."""
        tests = [*self.tests.to_dict("records"), *(c.record() for c in comparisons)]
        return replace(
            self,
            frame=_frame(figures, self.protocol, self.scale),
            rows=list(_rows(figures, self.methods)),
            tests=pd.DataFrame(tests, columns=list(_TESTS)),
            notes=[*self.notes, *notes],
        )

    def records(self) -> dict[str, Any]:
        """Figures, tests and notes, for JSON."""
        return {
            "title": self.title,
            "protocol": self.protocol,
            "scale": self.scale,
            "figures": self.figures(),
            "comparisons": self.tests.to_dict("records"),
            "notes": self.notes,
        }

    def tests_csv(self) -> str:
        """``tests`` as CSV in which no text can be taken for a formula."""
        return csv_text(self.tests)


def _frame(figures: Sequence[Record], protocol: str, scale: int) -> pd.DataFrame:
    frame = pd.DataFrame(list(figures), columns=list(_FIGURES))
    return frame.assign(protocol=protocol, scale=scale)


def _rows(figures: Sequence[Record], methods: Sequence[str]) -> Iterator[Row]:
    """The rows from top to bottom: value, interval, and the paper's where it was asked for."""
    previous = None
    lines = groupby(
        figures, key=lambda figure: (figure["dataset"], figure["metric"], figure["study"])
    )
    for (dataset, metric, study), line in lines:
        of = {figure["method"]: figure for figure in line}
        cells = [of.get(method, {}) for method in methods]
        starts, previous = dataset != previous, dataset
        name = Cell(dataset if starts else "")
        theirs = [Cell(_number(cell.get("paper"), metric)) for cell in cells]
        if metric == "mos" and not any(figure["n"] for figure in of.values()):
            yield Row([name, Cell(f"{metric_name(metric)}, paper"), *theirs], "paper", starts)
            continue
        label = metric_name(metric) + (f", {study}" if study else "")
        label += ", simulated" if any(figure["simulated"] for figure in of.values()) else ""
        values = [
            Cell(number(cell["mean"], metric), cell["rank"], cell["mark"]) if cell else Cell(NONE)
            for cell in cells
        ]
        yield Row([name, Cell(label), *values], "value", starts)
        below = [Cell(_interval(cell, metric)) for cell in cells]
        yield Row([Cell(""), Cell(""), *below], "interval")
        if any(figure.text for figure in theirs):
            yield Row([Cell(""), Cell("paper"), *theirs], "paper")


def _number(value: float | None, metric: str) -> str:
    return "" if value is None or math.isnan(value) else number(value, metric)


def _interval(figure: Mapping[str, Any], metric: str) -> str:
    if not figure or not math.isfinite(figure["mean"]):
        return ""
    if math.isnan(figure["low"]) or math.isnan(figure["high"]):
        return NONE
    return f"{number(figure['low'], metric)}–{number(figure['high'], metric)}"


def score_table(
    frame: pd.DataFrame,
    layout: Layout = "methods",
    *,
    metrics: Sequence[str] | None = None,
    baseline: str | None = None,
    pairs: bool = False,
    with_paper: bool = False,
    level: float = 0.95,
) -> ScoreTable:
    """A table of one protocol and scale from rows that ``collect.select`` has chosen.

    The layout ``methods`` has every method of ``frame``, ``losses`` the paper's loss variants
    alone. Every mean of a line is over the same images, see ``values.comparable``; a method
    without any result has a row whose n is 0. Intervals: Student's t over images. Tests: paired
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
    figures: list[Record] = []
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
            beside = marks(list(used.columns), made, pairs)
            found = _means(asked, used, metric, level)
            figures += score_line(
                dataset, metric, methods, found, beside, level, with_paper=with_paper
            )
        if with_paper and paper_figure(dataset, methods[0], "mos") is not None:
            figures += score_line(dataset, "mos", methods, {}, {}, level, with_paper=True)
    notes += remarks(frame[frame["method"].isin(chosen)])
    notes += _notes(protocol, figures, comparisons, level, baseline, with_paper, methods)
    return ScoreTable.of(
        f"Super-resolution x{scale}, protocol {protocol}",
        protocol,
        scale,
        methods,
        figures,
        comparisons,
        notes,
        level=level,
        with_paper=with_paper,
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
    present = in_order(frame["metric"])
    for metric in metrics or ():
        if metric not in present:
            raise unknown_name("metric of these results", metric, present)
    return [metric for metric in present if metrics is None or metric in metrics]


def _compare(
    used: pd.DataFrame, dataset: str, metric: str, baseline: str | None, pairs: bool
) -> list[Comparison]:
    methods = [method for method in used.columns if method != "hr"]
    if used.empty or metric_of(metric).per == "set":
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


def _means(
    asked: pd.DataFrame, used: pd.DataFrame, metric: str, level: float
) -> dict[str, Interval | None]:
    """The mean of every method of ``asked`` with its interval; None where there is no result."""
    least, most = metric_of(metric).low, metric_of(metric).high
    found: dict[str, Interval | None] = dict.fromkeys(map(str, asked.columns))
    for method in used.columns if len(used) else ():
        made = student_mean(used[method], level, unit="image", estimand="mean over images")
        if not math.isnan(made.low):
            made = replace(made, low=max(least, made.low), high=min(most, made.high))
        found[str(method)] = made
    return found


def score_line(
    dataset: str,
    metric: str,
    methods: Sequence[str],
    means: Mapping[str, Interval | None],
    marks: Mapping[str, str],
    level: float,
    *,
    unit: str = "image",
    simulated: bool = False,
    study: str = "",
    with_paper: bool = False,
) -> list[Record]:
    """The figures of one metric on one data set: a record a method that has a result or a paper's.

    ``means`` has None for a method that was asked for and has no result: of it n is 0.
    """
    found = {method: made for method, made in means.items() if made is not None}
    ranks = rank_means(pd.Series({m: i.estimate for m, i in found.items()}, dtype=float), metric)
    records = []
    for method in methods:
        theirs = paper_figure(dataset, method, metric) if with_paper else None
        made = means.get(method)
        if made is None and method not in means and theirs is None:
            continue
        mean, low, high, n = (
            (made.estimate, made.low, made.high, made.n) if made else (math.nan,) * 3 + (0,)
        )
        figures = (
            dataset, metric, method, n, unit, mean, low, high, level, ranks.get(method, 0),
            marks.get(method, "") if made else "", math.nan if theirs is None else theirs,
            simulated, study,
        )  # fmt: skip
        records.append(dict(zip(_FIGURES, figures, strict=True)))
    return records


def _notes(
    protocol: str,
    figures: list[Record],
    comparisons: list[Comparison],
    level: float,
    baseline: str | None,
    with_paper: bool,
    methods: list[str],
) -> list[str]:
    sizes = ", ".join(_sizes(figures))
    units = [
        f"{m.name} in {m.unit}"
        for m in map(metric_of, in_order(figure["metric"] for figure in figures))
        if m.unit
    ]
    notes = [
        f"Protocol {protocol}. Means over images (n: {sizes}){'; ' if units else ''}"
        f"{', '.join(units)}. Below each, the "
        f"{percent(level)} interval of the mean for new images of the kind, by Student t.",
        _ranking_note(figures, methods),
    ]
    of_sets = [key for key in in_order(f["metric"] for f in figures) if metric_of(key).per == "set"]
    if of_sets:
        named = ", ".join(map(metric_name, of_sets))
        notes.append(f"{named}: of the whole data set, so without interval and test.")
    if any(0 < f["n"] < LEAST_UNITS and f["metric"] not in of_sets for f in figures):
        notes.append(NO_INTERVAL)
    if comparisons:
        notes += [_test_note(comparisons, baseline), *too_small_notes(comparisons, "image")]
    elif baseline is not None:
        notes.append(f"Nothing was tested against {paper.label(baseline)}: see above.")
    if with_paper:
        notes.append("Rows 'paper': Ledig et al. 2017, tables 1 and 2.")
        notes += [text for method, text in paper.FOOTNOTES.items() if method in methods]
    return notes


def _sizes(figures: Sequence[Record]) -> list[str]:
    """How many images the means are over, for each metric where they differ."""
    counts: dict[str, dict[str, int]] = {}
    for figure in figures:
        if figure["metric"] != "mos" and metric_of(figure["metric"]).per == "image":
            of = counts.setdefault(figure["dataset"], {})
            of[figure["metric"]] = max(figure["n"], of.get(figure["metric"], 0))
    said = []
    for dataset, of in counts.items():
        if len(set(of.values())) == 1:
            said.append(f"{dataset} {next(iter(of.values()))}")
        else:
            said.append(f"{dataset} {', '.join(f'{metric_name(m)} {n}' for m, n in of.items())}")
    return said


def _ranking_note(figures: Sequence[Record], methods: list[str]) -> str:
    note = "Best bold, second underlined"
    note += ", HR not ranked." if "hr" in methods else "."
    there = map(metric_of, in_order(figure["metric"] for figure in figures))
    directions = {m.name: m.higher_is_better for m in there}
    for better, said in ((False, "smaller is better"), (None, "not ranked, direction not known")):
        names = [name for name, higher in directions.items() if higher is better]
        note += f" {', '.join(names)}: {said}." if names else ""
    return note


def _test_note(comparisons: list[Comparison], baseline: str | None) -> str:
    test = "paired two-sided Wilcoxon signed-rank over images, Holm within data set and metric"
    if all(c.verdict.too_small for c in comparisons):
        return f"Tests: {test}."
    if baseline is not None:
        return f"* differs from {paper.label(baseline)} (p < {ALPHA}; {test})."
    return f"Methods that share a letter weren't shown to differ (p < {ALPHA}; {test})."


def rank_means(means: pd.Series, metric: str) -> dict[str, int]:
    """Ranks, 1 the best, of methods' means by the printed digits; HR, the ceiling, has none.

    Nor has any where the metric's direction isn't known, or where there is one alone.
    """
    better = metric_of(metric).higher_is_better
    means = means.drop(index="hr", errors="ignore").round(metric_of(metric).digits)
    if len(means) < 2 or better is None:
        return {}
    order = sorted(means.unique(), reverse=better)
    return {str(method): order.index(mean) + 1 for method, mean in means.items()}


def verdicts(tests: Sequence[SignedRank]) -> list[Verdict]:
    """The verdicts of the tests of one data set and metric, by Holm at ALPHA."""
    return significance.judge([t.p for t in tests], [t.least_p for t in tests], "holm", ALPHA)


def marks(methods: list[str], comparisons: list[Comparison], pairs: bool) -> dict[str, str]:
    """The mark beside each method's mean, given the tests of one data set and metric.

    With ``pairs`` letters, or the sign that n is too small for all pairs; else, beside a method
    that was tested against a baseline, a star, nothing, or that sign. HR takes no part.
    """
    if pairs and comparisons:
        names = [method for method in methods if method != "hr"]
        tested = {(c.first, c.second): c.verdict for c in comparisons}
        return significance.letters(names, tested) or dict.fromkeys(names, TOO_SMALL)
    return {
        c.first: TOO_SMALL if c.verdict.too_small else "*" * c.verdict.significant
        for c in comparisons
    }


def too_small_notes(comparisons: Sequence[Comparison], unit: str) -> list[str]:
    """Where no outcome could have been significant; ``unit`` is what the tests' n counts.

    One note on the families of tests, and single tests against a baseline, that have the sign
    beside them, one on the pairs that share a letter for want of units.
    """
    families: dict[tuple[str, str], list[Comparison]] = {}
    for c in comparisons:
        families.setdefault((c.dataset, c.metric), []).append(c)
    least: dict[tuple[str, int], tuple[float, float]] = {}
    some = []
    for (dataset, metric), tests in families.items():
        small = [c for c in tests if c.verdict.too_small]
        name = f"{dataset}, MOS" if metric == "mos" else dataset
        if small and (len(small) == len(tests) or len({c.second for c in tests}) == 1):
            for c in small:
                found = (c.verdict.least_p_adjusted, c.test.least_p)
                least[name, c.test.n] = min(found, least.get((name, c.test.n), found))
        elif small:
            some.append(f"{len(small)} of {len(tests)} pairs of {metric_name(metric)} on {dataset}")
    marked = [
        f"{name} ({n} {unit}s; the least exact p is {p:.4f}, Holm-adjusted {adjusted:.4f})"
        for (name, n), (adjusted, p) in least.items()
    ]
    notes = []
    if marked:
        notes.append(
            f"{TOO_SMALL} n too small: no outcome could have been significant on "
            f"{'; '.join(marked)}."
        )
    if some:
        notes.append(
            f"n too small for {'; '.join(some)}: they share a letter because no outcome could have "
            "been significant."
        )
    return notes


def paper_figure(dataset: str, method: str, metric: str) -> float | None:
    """The paper's own figure, None where it has none."""
    return paper.figures().get((dataset, method, metric))
