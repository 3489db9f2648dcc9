"""Tables of scores arranged as the paper's: means, intervals, ranks and paired tests."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, product
from typing import Any, Literal, Self, get_args

import numpy as np
import pandas as pd

from sreval.benchmarking.results import remarks, titled
from sreval.errors import NONE, UsageError, fixed, not_in_results, numbered, option
from sreval.frames import is_frame, unit_name, unit_of
from sreval.metrics.metric import in_order, metric_of, needs_original
from sreval.opinions import significance
from sreval.opinions.comparison import MeanTest
from sreval.opinions.intervals import LEAST_UNITS, Interval, student_mean
from sreval.opinions.significance import SignedRank, Verdict, signed_rank
from sreval.report import paper
from sreval.report.choices import Intervals
from sreval.report.collect import narrowed, scales_of, unverified, without_originals
from sreval.report.notes import NO_INTERVAL, too_few
from sreval.report.render import csv_text
from sreval.report.table import Cell, Column, Row, Table
from sreval.report.text import p_value, percent
from sreval.report.values import (
    by_unit,
    comparable,
    gap_notes,
    infinite_notes,
    metric_name,
    number,
    sequence_notes,
    sequences_of,
    values_of,
)

Layout = Literal["methods", "losses"]
LAYOUTS: tuple[Layout, ...] = get_args(Layout)


ALPHA = 0.05
TOO_SMALL = "‡"

_FIGURES = (
    "dataset", "metric", "method", "n", "unit", "mean", "low", "high", "level", "rank", "mark",
    "paper", "simulated", "study", "scale",
)  # fmt: skip
"""What every figure says; a table's ``frame`` adds its protocol."""

_PER_SET = "set"
"""The unit of a metric that gives one value for all images of a set."""
_FRAME = "frame"
"""The unit of the mean of a sequence, whose frames are not independent."""

_TESTS = (
    "dataset", "metric", "first", "second", "n", "mean_difference", "w_plus", "w_minus", "p",
    "p_holm", "method", "rank_biserial", "least_p", "least_p_holm", "significant", "too_small",
    "scale",
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
    test: SignedRank | MeanTest
    verdict: Verdict
    scale: float

    def record(self) -> Record:
        """The comparison as a row of ``ScoreTable.tests``."""
        test = self.test
        ranks = (
            (test.w_plus, test.w_minus, test.rank_biserial)
            if isinstance(test, SignedRank)
            else (math.nan,) * 3
        )
        found = (
            self.dataset, self.metric, self.first, self.second, test.n, self.difference,
            *ranks[:2], test.p, self.verdict.p_adjusted, test.method, ranks[2], test.least_p,
            self.verdict.least_p_adjusted, self.verdict.significant, self.verdict.too_small,
            self.scale,
        )  # fmt: skip
        return dict(zip(_TESTS, found, strict=True))


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class ScoreTable(Table):
    """A table of one protocol with a column a method, or a row where it is ``transposed``.

    ``frame`` has one row a (data set, scale, metric, study, method): the mean, its interval over
    ``n`` of ``unit``, its ``rank`` (1 the best, 2 the second, 0 of HR), a significance ``mark``,
    and the paper's own figure where it was asked for. ``tests`` has every paired test, one row
    each.
    """

    methods: list[str]
    tests: pd.DataFrame
    protocol: str
    scales: Sequence[float]
    level: float = 0.95
    with_paper: bool = False
    intervals: Intervals = "below"
    transposed: bool = False

    @classmethod
    def of(
        cls,
        title: str,
        protocol: str,
        scales: Sequence[float],
        methods: list[str],
        figures: Sequence[Record] = (),
        comparisons: Sequence[Comparison] = (),
        notes: Sequence[str] = (),
        *,
        level: float = 0.95,
        with_paper: bool = False,
        intervals: Intervals = "below",
        transposed: bool = False,
    ) -> Self:
        """The table of these figures, in the order of the table's lines."""
        empty = cls(
            analysis="scores",
            title=title,
            frame=pd.DataFrame(),
            columns=[],
            rows=[],
            notes=[],
            methods=methods,
            tests=pd.DataFrame(columns=list(_TESTS)),
            protocol=protocol,
            scales=scales,
            level=level,
            with_paper=with_paper,
            intervals=intervals,
            transposed=transposed,
        )
        return empty.with_figures(figures, comparisons, notes)

    def figures(self) -> list[Record]:
        """The rows of ``frame`` without the table's protocol."""
        return [
            {str(name): value for name, value in row.items()}
            for row in self.frame[list(_FIGURES)].to_dict("records")
        ]

    def with_figures(
        self, figures: Sequence[Record], comparisons: Sequence[Comparison], notes: Sequence[str]
    ) -> Self:
        """The table with ``figures`` in place of its own, and more comparisons and notes."""
        frame = pd.DataFrame(list(figures), columns=list(_FIGURES))
        frame.insert(len(_FIGURES) - 1, "protocol", self.protocol)
        tests = [*self.tests.to_dict("records"), *(c.record() for c in comparisons)]
        arrange = _transposed if self.transposed else _upright
        lines = list(_lines(figures, self.methods, len(self.scales) > 1))
        columns, rows = arrange(lines, self.methods, self.intervals)
        said = [note for note in [*self.notes, *notes] if not note.endswith(NO_INTERVAL)]
        small = [
            f["unit"]
            for f in figures
            if 0 < f["n"] < LEAST_UNITS and f["unit"] not in (_PER_SET, _FRAME)
        ]
        if self.intervals != "none" and small:
            said.append(too_few(small, dash=_dashes(rows)))
        return replace(
            self,
            frame=frame,
            columns=columns,
            rows=rows,
            tests=pd.DataFrame(tests, columns=list(_TESTS)),
            notes=said,
            ranking=_ranking(figures),
            second=self._of_intervals(frame, lines),
        )

    def _of_intervals(self, frame: pd.DataFrame, lines: Sequence[_Line]) -> Table | None:
        """The table of intervals where they are to be apart, and there are any."""
        there = [line for line in lines if line.has_intervals]
        if self.intervals != "apart" or not there:
            return None
        arrange = _transposed if self.transposed else _upright
        cells = [replace(line, values=list(map(Cell, line.intervals)), paper=[]) for line in there]
        columns, rows = arrange(cells, self.methods, "none")
        return Table(
            analysis="scores",
            title=f"{percent(self.level)} intervals of the means",
            frame=frame,
            columns=[replace(column, decimals=0) for column in columns],
            rows=rows,
            notes=[],
        )

    def records(self) -> dict[str, Any]:
        """Figures, tests and notes, for JSON."""
        return {
            "title": self.title,
            "protocol": self.protocol,
            "scales": list(self.scales),
            "figures": self.figures(),
            "comparisons": self.tests.to_dict("records"),
            "notes": self.notes,
        }

    def tests_csv(self) -> str:
        """``tests`` as CSV in which no text can be taken for a formula."""
        return csv_text(self.tests)


@dataclass(frozen=True)
class _Line:
    """One metric of one data set as printed, a cell a method."""

    dataset: str
    name: str
    values: list[Cell]
    intervals: list[str]
    halves: list[str]
    paper: list[str]
    digits: int
    kind: Literal["value", "paper"] = "value"

    @property
    def has_intervals(self) -> bool:
        return any(text not in ("", NONE) for text in self.intervals)

    def cells(self, intervals: Intervals) -> list[Cell]:
        """The values, with half of their intervals where these are to be beside them."""
        if intervals != "beside":
            return self.values
        return [
            replace(cell, beside=half) for cell, half in zip(self.values, self.halves, strict=True)
        ]


def _lines(figures: Sequence[Record], methods: Sequence[str], several: bool) -> Iterator[_Line]:
    keys = ("dataset", "scale", "metric", "study")
    found = groupby(figures, key=lambda figure: tuple(figure[key] for key in keys))
    for (dataset, scale, metric, study), line in found:
        of = {figure["method"]: figure for figure in line}
        cells = [of.get(method, {}) for method in methods]
        theirs = [_number(cell.get("paper"), metric) for cell in cells]
        place, digits = titled(dataset, scale, several), metric_of(metric).digits
        if metric == "mos" and not any(figure["n"] for figure in of.values()):
            name = f"{metric_name(metric)}, paper"
            yield _Line(place, name, list(map(Cell, theirs)), [], [], [], digits, "paper")
            continue
        name = metric_name(metric) + (f", {study}" if study else "")
        name += ", simulated" if any(figure["simulated"] for figure in of.values()) else ""
        values = [
            Cell(number(cell["mean"], metric), cell["rank"], cell["mark"]) if cell else Cell(NONE)
            for cell in cells
        ]
        intervals = [_interval(cell, metric) for cell in cells]
        halves = [_half(cell, metric) for cell in cells]
        yield _Line(place, name, values, intervals, halves, theirs, digits)


def _upright(
    lines: Sequence[_Line], methods: Sequence[str], intervals: Intervals
) -> tuple[list[Column], list[Row]]:
    """A column a method, from top to bottom value, interval, and the paper's figure."""
    digits = max((line.digits for line in lines), default=0)
    columns = [
        Column("", "left", described="Data set"),
        Column("", "left", described="Metric"),
        *(Column(paper.label(method), decimals=digits) for method in methods),
    ]
    rows, previous = [], None
    for line in lines:
        starts, previous = line.dataset != previous, line.dataset
        names = [Cell(line.dataset if starts else ""), Cell(line.name)]
        rows.append(Row([*names, *line.cells(intervals)], line.kind, starts))
        if intervals == "below" and line.has_intervals:
            rows.append(Row([Cell(""), Cell(""), *map(Cell, line.intervals)], "interval"))
        if any(line.paper):
            rows.append(Row([Cell(""), Cell("paper"), *map(Cell, line.paper)], "paper"))
    return columns, rows


def _transposed(
    lines: Sequence[_Line], methods: Sequence[str], intervals: Intervals
) -> tuple[list[Column], list[Row]]:
    """A row a method, from left to right the metrics of each data set."""
    columns = [
        Column("", "left", described="Method"),
        *(Column(line.name, decimals=line.digits, group=line.dataset) for line in lines),
    ]
    rows = []
    for place, method in enumerate(methods):
        cells = [line.cells(intervals)[place] for line in lines]
        rows.append(Row([Cell(paper.label(method)), *cells]))
        below = [line.intervals[place] if line.has_intervals else "" for line in lines]
        if intervals == "below" and any(below):
            rows.append(Row([Cell(""), *map(Cell, below)], "interval"))
        theirs = [line.paper[place] if line.paper else "" for line in lines]
        if any(theirs):
            rows.append(Row([Cell("paper"), *map(Cell, theirs)], "paper"))
    return columns, rows


def _dashes(rows: Sequence[Row]) -> bool:
    """Whether a dash stands for an interval."""
    return any(cell.text == NONE for row in rows if row.kind == "interval" for cell in row.cells)


def _number(value: float | None, metric: str) -> str:
    return "" if value is None or math.isnan(value) else number(value, metric)


def _interval(figure: Mapping[str, Any], metric: str) -> str:
    """An interval, a dash where there are too few units; nothing where there can't be one."""
    if not figure or not math.isfinite(figure["mean"]) or figure["unit"] in (_PER_SET, _FRAME):
        return ""
    if math.isnan(figure["low"]) or math.isnan(figure["high"]):
        return NONE
    low, high = number(figure["low"], metric), number(figure["high"], metric)
    return "" if figure["method"] == "hr" and low == high else f"{low}–{high}"


def _half(figure: Mapping[str, Any], metric: str) -> str:
    """Half the width of an interval; both ends where a limit of the metric cuts it."""
    interval = _interval(figure, metric)
    if interval in ("", NONE):
        return ""
    below, above = figure["mean"] - figure["low"], figure["high"] - figure["mean"]
    if math.isclose(below, above, rel_tol=1e-6, abs_tol=1e-12):
        return f"± {number(above, metric)}"
    return f"[{interval}]"


def _ranking(figures: Sequence[Record]) -> str:
    """The note on bold and underlined figures, empty where there are none."""
    ranks = {figure["rank"] for figure in figures}
    if 1 not in ranks:
        return ""
    second = ", second underlined" if 2 in ranks else ""
    hr = ", HR not ranked" if any(f["method"] == "hr" and f["n"] for f in figures) else ""
    return f"Best bold{second}{hr}."


def score_table(
    frame: pd.DataFrame,
    layout: Layout = "methods",
    *,
    methods: Sequence[str] = (),
    datasets: Sequence[str] = (),
    metrics: Sequence[str] | None = None,
    baseline: str | None = None,
    pairs: bool = False,
    with_paper: bool = False,
    level: float = 0.95,
    intervals: Intervals = "below",
    transposed: bool = False,
    sequences: bool = False,
) -> ScoreTable:
    """A table of one protocol from rows that ``collect.of_protocol`` has chosen.

    ``methods``, ``datasets`` and ``metrics`` stand in the order given, by default all in the
    paper's; the layout ``losses`` has the paper's loss variants alone. Every mean of a line is over
    the same images, see ``values.comparable``, and of frames it is over the means of their
    sequences, see ``values.by_unit``; a method without any result has a row whose n is 0.
    Intervals: Student's t over images or sequences. Tests: paired two-sided Wilcoxon signed-rank
    against ``baseline``, or for all ``pairs``, Holm-adjusted within one data set, scale and metric;
    HR takes no part, nor does a metric of one value a set. With ``sequences`` each has a row of its
    own before its data set; one among ``datasets``, as ``Vid4/city``, has it alone. Raises
    UsageError for a name or layout that the results can't serve, and for a folder that would
    contribute nothing.
    """
    protocol = str(frame["protocol"].iloc[0])
    scales = scales_of(frame)
    if with_paper and (protocol != "ledig2017" or 4 not in scales):
        raise UsageError(
            f"The paper's figures are of ledig2017 at scale 4, these results of {protocol} at "
            f"{', '.join(f'{scale:g}' for scale in scales)}.",
            option(
                "Leave --paper out, or choose --protocol ledig2017.",
                'Leave paper=True out, or choose protocol="ledig2017".',
            ),
        )
    chosen = _methods(frame, layout, methods)
    if baseline is not None and baseline not in chosen:
        holder = "this table has" if methods else "these results have"
        raise not_in_results("method", baseline, chosen, holder=holder)
    notes = [] if methods else _left_out(frame, chosen)
    frame = narrowed(frame, "method", chosen)
    shown = _with_paper_methods(chosen, layout) if with_paper and not methods else chosen
    named = _chosen("metric", metrics or (), in_order(frame["metric"]))
    frame = narrowed(frame, "metric", named)
    there = paper.sort_datasets(list(frame["dataset"].unique()))
    parts = sequences_of(frame)
    places = _chosen("data set", datasets, [*there, *parts]) if datasets else there
    sets = list(dict.fromkeys(parts[p][0] if p in parts else p for p in places))
    frame = narrowed(frame, "dataset", sets)
    if sequences and not any(map(is_frame, frame["image"].unique())):
        raise UsageError(
            "The results hold no sequences of frames.",
            f"Leave {option('--sequences', 'sequences=True')} out.",
        )
    several = frame["scale"].nunique() > 1
    figures: list[Record] = []
    comparisons: list[Comparison] = []
    for dataset, scale in product(sets, scales_of(frame)):
        rows = frame[(frame["dataset"] == dataset) & (frame["scale"] == scale)]
        if rows.empty:
            continue
        place, theirs = titled(dataset, scale, several), with_paper and scale == 4
        whole = dataset in places
        notes += gap_notes(rows.assign(dataset=place), chosen)
        lacking = []
        of_set: list[Record] = []
        every: dict[str, pd.DataFrame] = {}
        used: dict[str, pd.DataFrame] = {}
        for metric in named:
            asked = values_of(rows, metric, chosen)
            if whole and asked.empty and needs_original(metric) and without_originals(rows):
                lacking.append(metric)
                none = dict.fromkeys(m for m in shown if m in set(rows["method"]))
                of_set += score_line(dataset, metric, shown, none, {}, level, scale)
            if asked.empty:
                continue
            every[metric], used[metric] = asked, comparable(asked)
            notes += infinite_notes(place, metric, asked, used[metric])
            per_set = list(asked.index) == [""]
            unit = _PER_SET if per_set else unit_name(asked.index)
            units = by_unit(used[metric])
            made = (
                _compare(units, dataset, metric, baseline, pairs, scale)
                if whole and not per_set
                else []
            )
            comparisons += made
            beside = marks(list(units.columns), made, pairs)
            found = _means(asked, units, metric, level, unit)
            of_set += score_line(
                dataset, metric, shown, found, beside, level, scale, unit=unit, with_paper=theirs
            )
        own = _of_sequences(used, dataset, shown, level, scale)
        figures += [f for f in own if f["dataset"] in places or (sequences and whole)]
        if not whole:
            continue
        figures += of_set
        notes += sequence_notes(place, used, every)
        if lacking:
            names = ", ".join(map(metric_name, lacking))
            notes.append(f"{NONE}: no {names} of {place}, which has LR images alone.")
        if theirs and any(paper_figure(dataset, method, "mos") is not None for method in shown):
            figures += score_line(dataset, "mos", shown, {}, {}, level, scale, with_paper=True)
    notes += [*remarks(frame), *unverified(frame)]
    table = ScoreTable.of(
        f"Super-resolution {', '.join(f'×{scale:g}' for scale in scales)}, protocol {protocol}",
        protocol,
        scales,
        shown,
        figures,
        comparisons,
        level=level,
        with_paper=with_paper,
        intervals=intervals,
        transposed=transposed,
    )
    said = _notes(table, comparisons, baseline)
    return replace(table, notes=[*notes, *said, *table.notes])


def _methods(frame: pd.DataFrame, layout: Layout, methods: Sequence[str]) -> list[str]:
    present = paper.sort_methods(list(frame["method"].unique()))
    if methods:
        return _chosen("method", methods, present)
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


def _chosen(kind: str, names: Sequence[str], present: list[str]) -> list[str]:
    """The names once each in the order given; all that are ``present`` where none is given."""
    for name in names:
        if name not in present:
            raise not_in_results(kind, name, present)
    return list(dict.fromkeys(names)) or present


def _left_out(frame: pd.DataFrame, chosen: Sequence[str]) -> list[str]:
    left = [m for m in paper.sort_methods(list(frame["method"].unique())) if m not in chosen]
    return [f"Left out, as no loss variants of the paper: {', '.join(left)}."] if left else []


def _with_paper_methods(chosen: list[str], layout: Layout) -> list[str]:
    if layout == "losses":
        return list(paper.LOSS_VARIANTS)
    return paper.sort_methods(list({*paper.TABLE_2, *chosen}))


def _compare(
    used: pd.DataFrame,
    dataset: str,
    metric: str,
    baseline: str | None,
    pairs: bool,
    scale: float,
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
            dataset,
            metric,
            first,
            second,
            _difference(used[first], used[second]),
            test,
            verdict,
            scale,
        )
        for (first, second), test, verdict in zip(chosen, tests, verdicts(tests), strict=True)
    ]


def _difference(x: pd.Series, y: pd.Series) -> float:
    """The mean of x - y; equal infinities differ by zero, as in the test."""
    a, b = x.to_numpy(float), y.to_numpy(float)
    return float(np.subtract(a, b, out=np.zeros_like(a), where=a != b).mean())


def _of_sequences(
    used: Mapping[str, pd.DataFrame],
    dataset: str,
    methods: Sequence[str],
    level: float,
    scale: float,
) -> list[Record]:
    """The figures of each sequence: means over those of its frames that the data set's are over."""
    parts = {
        (unit_of(first), metric): values
        for metric, of_set in used.items()
        for _, values in of_set.groupby(list(map(unit_of, of_set.index)))
        if is_frame(first := values.index[0])
    }
    figures: list[Record] = []
    for sequence, metric in sorted(parts, key=lambda part: numbered(part[0])):
        values = parts[sequence, metric]
        means = {
            method: made and replace(made, low=math.nan, high=math.nan)
            for method, made in _means(values, values, metric, level, _FRAME).items()
        }
        figures += score_line(
            f"{dataset}/{sequence}", metric, methods, means, {}, level, scale, unit=_FRAME
        )
    return figures


def _means(
    asked: pd.DataFrame, used: pd.DataFrame, metric: str, level: float, unit: str
) -> dict[str, Interval | None]:
    """The mean of every method of ``asked`` with its interval; None where there is no result."""
    least, most = metric_of(metric).low, metric_of(metric).high
    found: dict[str, Interval | None] = dict.fromkeys(map(str, asked.columns))
    for method in used.columns if len(used) else ():
        made = student_mean(used[method], level, unit=unit, estimand=f"mean over {unit}s")
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
    scale: float,
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
            simulated, study, scale,
        )  # fmt: skip
        records.append(dict(zip(_FIGURES, figures, strict=True)))
    return records


def _notes(table: ScoreTable, comparisons: Sequence[Comparison], baseline: str | None) -> list[str]:
    """What stands below a table of metrics, of what it shows."""
    figures = table.figures()
    several = len(table.scales) > 1
    metrics = list(map(metric_of, in_order(figure["metric"] for figure in figures)))
    per_set = in_order(figure["metric"] for figure in figures if figure["unit"] == _PER_SET)
    units = "".join(f"; {m.name} in {m.unit}" for m in metrics if m.unit)
    sizes = {unit: ", ".join(_sizes(figures, several, unit)) for unit in _UNITS}
    over = " and ".join(f"{unit}s (n: {there})" for unit, there in sizes.items() if there)
    over = f" Means over {over}{units}." if over else units.replace("; ", " ") + "." * bool(units)
    notes = [f"Protocol {table.protocol}.{over}{_interval_note(table)}"]
    if per_set:
        of = ", ".join(map(metric_name, per_set))
        notes.append(f"{of}: one value for all images of a set, without interval and test.")
    smaller = [m.name for m in metrics if m.higher_is_better is False]
    notes += [f"{', '.join(smaller)}: smaller is better."] if smaller else []
    unknown = [m.name for m in metrics if m.higher_is_better is None]
    notes += [f"{', '.join(unknown)}: not ranked, direction not known."] if unknown else []
    if any(figure["unit"] == _FRAME for figure in figures):
        first = next(figure["dataset"] for figure in figures if figure["unit"] == _FRAME)
        notes.append(
            f"Rows such as {first}: the mean over the frames of one sequence, without interval and "
            "test, as its frames are not independent."
        )
    if comparisons:
        notes.append(_test_note(comparisons, baseline, figures))
        for unit in _UNITS:
            these = [f for f in figures if f["unit"] == unit and f["metric"] != "mos"]
            places = {(figure["dataset"], figure["scale"]) for figure in these}
            own = [one for one in comparisons if (one.dataset, one.scale) in places]
            notes += too_small_notes(own, unit)
    elif baseline is not None:
        notes.append(f"Nothing was tested against {paper.label(baseline)}: see above.")
    if table.with_paper:
        notes.append("Rows 'paper': Ledig et al. 2017, tables 1 and 2.")
        notes += [text for method, text in paper.FOOTNOTES.items() if method in table.methods]
    return notes


def _interval_note(table: ScoreTable) -> str:
    """What the intervals in sight are; nothing where none is."""
    new = _units(table.figures())
    what = f"{percent(table.level)} interval of the mean for new {new} of the kind, by Student t"
    if table.second:
        return f" The second table has the {what}."
    if any(row.kind == "interval" and _has_span(row) for row in table.rows):
        return f" Below each, the {what}."
    beside = [cell.beside for row in table.rows for cell in row.cells if cell.beside]
    cut = any(text.startswith("[") for text in beside)
    ends = "; its ends in brackets where a limit of the metric cuts it" if cut else ""
    return f" Beside each, half the {what}{ends}." if beside else ""


def _has_span(row: Row) -> bool:
    return any(cell.text not in ("", NONE) for cell in row.cells)


_UNITS = ("image", "sequence")
"""What the means of metrics are over, and their intervals and tests."""


def _units(figures: Sequence[Record]) -> str:
    """The units of these figures, in words."""
    there = {figure["unit"] for figure in figures if figure["metric"] != "mos"}
    return " or ".join(f"{unit}s" for unit in _UNITS if unit in there)


def _sizes(figures: Sequence[Record], several: bool, unit: str) -> list[str]:
    """How many images or sequences means are over, for each metric where they differ."""
    counts: dict[str, dict[str, int]] = {}
    for figure in figures:
        if figure["metric"] != "mos" and figure["unit"] == unit:
            place = titled(figure["dataset"], figure["scale"], several)
            of = counts.setdefault(place, {})
            of[figure["metric"]] = max(figure["n"], of.get(figure["metric"], 0))
    said = []
    for place, every in counts.items():
        of = {m: n for m, n in every.items() if n} or every
        if unit == "sequence" and set(of.values()) == {1}:
            continue  # ``sequence_notes`` says so
        if len(set(of.values())) == 1:
            said.append(f"{place} {next(iter(of.values()))}")
        else:
            said.append(f"{place} {', '.join(f'{metric_name(m)} {n}' for m, n in of.items())}")
    return said


def _test_note(
    comparisons: Sequence[Comparison], baseline: str | None, figures: Sequence[Record]
) -> str:
    """What was tested, and what the marks in sight mean."""
    within = "data set, scale and metric" if _several(comparisons) else "data set and metric"
    test = f"paired two-sided Wilcoxon signed-rank over {_units(figures)}, Holm within {within}"
    if any(figure["method"] == "hr" and figure["n"] for figure in figures):
        test += "; HR isn't tested"
    if all(c.verdict.too_small for c in comparisons):
        return f"Tests: {test}."
    if baseline is None:
        return f"Methods that share a letter weren't shown to differ (p < {ALPHA}; {test})."
    name = paper.label(baseline)
    if any(figure["mark"] == "*" for figure in figures):
        return f"* differs from {name} (p < {ALPHA}; {test})."
    return f"No method was shown to differ from {name} (p < {ALPHA}; {test})."


def _several(comparisons: Sequence[Comparison]) -> bool:
    return len({c.scale for c in comparisons}) > 1


def rank_means(means: pd.Series, metric: str) -> dict[str, int]:
    """Ranks, 1 the best, of methods' means by the printed digits; HR, the ceiling, has none.

    Nor has any where the metric's direction isn't known, or where there is one alone.
    """
    better = metric_of(metric).higher_is_better
    digits = metric_of(metric).digits
    means = means.drop(index="hr", errors="ignore").map(
        lambda mean: float(fixed(mean, digits)) if math.isfinite(mean) else mean
    )
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
        place = titled(c.dataset, c.scale, _several(comparisons))
        families.setdefault((place, c.metric), []).append(c)
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
        f"{name} ({n} {unit}{'s' * (n != 1)}; the least exact p is {p_value(p)}, "
        f"Holm-adjusted {p_value(adjusted)})"
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
