"""``sreval compare-studies``: two panels' opinions side by side, in tables and a figure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from sreval.errors import NONE, DataError, StatisticsError, attempted, counted, fixed, listed
from sreval.frames import is_frame, unit_name, unit_of
from sreval.opinions.comparison import compare_methods
from sreval.opinions.intervals import Interval
from sreval.opinions.panels import (
    METHOD,
    POINT,
    OrderAgreement,
    Panel,
    PanelAgreement,
    PanelTest,
    by_method,
    compare_orders,
    compare_panels,
    panel_of_means,
    panel_of_votes,
    same_order_again,
    voted_twice,
)
from sreval.opinions.reading import is_means, metric_key, metric_values
from sreval.opinions.sheet import MEAN
from sreval.opinions.votes import ACR, Scale, opinions, task_in
from sreval.report import paper
from sreval.report.notes import mark_notes, marks_of, uncounted
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
from sreval.report.text import p_value, percent, span, whole_percent

_MOST_STIMULI = 10
"""The stimuli printed of those that depart most from the line."""

_COUNTS = ("n_raters", "raters", "n", "n_votes", "votes")
"""Columns of a table of means that say how many opinions stand behind its ``sd``."""


@dataclass(frozen=True, eq=False)
class Side:
    """One of the two: its name as given, its votes or means, their scale, the raters if known."""

    name: str
    table: pd.DataFrame
    scale: Scale = ACR
    raters: int | None = None
    is_paper: bool = False

    @property
    def has_votes(self) -> bool:
        """Whether single votes are there, not means alone."""
        return not is_means(self.table)


def paper_side(name: str) -> Side:
    """The opinion scores of the SRGAN paper's tables, which print no errors."""
    rows = [
        {"dataset": dataset, "image": "", "method": method, "mos": value}
        for (dataset, method, metric), value in paper.figures().items()
        if metric == "mos"
    ]
    table = pd.DataFrame(rows).assign(simulated=False, stand_in=False)
    return Side(name, table, ACR, paper.RATERS, is_paper=True)


@dataclass(frozen=True, eq=False)
class Comparison:
    """What was found: the tables, what is said of reading and matching, and the figures' values."""

    sections: Sequence[Table]
    notes: tuple[str, ...]
    agreement: PanelAgreement
    orders: tuple[OrderAgreement, ...]
    means: pd.DataFrame
    names: tuple[str, str]
    marks: tuple[str, ...] = ()


def compare(
    a: Side, b: Side, *, level: float = 0.95, margin: float | None = None, seed: int = 0
) -> Comparison:
    """Two panels' opinions: the same, the same up to a linear map, in the same order?

    Tests are made at 1 - ``level``. ``margin`` is in points of B's scale. Raises DataError where
    fewer than three means have a partner, and what ``compare_panels`` raises.
    """
    matched = _match(a, b)
    a, b = matched.a, matched.b
    panels = _panels(matched, methods=not matched.stimuli, images=not matched.same_images)
    agreement = compare_panels(*panels.both, level=level, margin=margin, seed=seed)
    of_methods = _panels(matched, methods=True, images=True)
    orders, said = _orders(matched, of_methods, level, seed)
    unlike = (a.scale.low, a.scale.high) != (b.scale.low, b.scale.high)
    sections = [
        _agreement_table(agreement, matched, panels, level, unlike),
        _means_table(agreement, matched, panels, level, margin, unlike),
    ]
    if matched.stimuli and panels.known:
        sections.append(_stimuli_table(agreement, level))
    if orders:
        sections += [_orders_table(orders, matched, of_methods, level, said)]
        sections += [_pairs_table(order, matched, level) for order in orders]
    names = (a.name, b.name)
    means = _with_limits(agreement.methods, matched, level)
    marks = tuple(dict.fromkeys(mark for side in (a, b) for mark in marks_of(side.table)))
    return Comparison(sections, matched.notes, agreement, orders, means, names, marks)


# What has a partner


@dataclass(frozen=True, eq=False)
class _Matched:
    """Both sides on what they share, under A's names; ``stimuli``: points are single stimuli."""

    a: Side
    b: Side
    stimuli: bool
    same_images: bool
    unit: str
    notes: tuple[str, ...]

    @property
    def both(self) -> tuple[Side, Side]:
        return self.a, self.b


def _match(a: Side, b: Side) -> _Matched:
    notes = [f"{s.name}: {said}" for s in (a, b) if s.has_votes for said in uncounted(s.table)]
    tables = [_counted(side, notes) for side in (a, b)]
    tables = _same_set(tables, (a, b), notes)
    for name in ("dataset", "method"):
        tables = _same_names(tables, name, (a, b))
    points = [_keys(table, POINT) for table in tables]
    stimuli = points[0].intersection(points[1])
    by_image = len(stimuli) > 0 and all("" not in keys.unique("image") for keys in points)
    key = POINT if by_image else METHOD
    keys = [_keys(table, key) for table in tables]
    common = keys[0].intersection(keys[1])
    if len(common) < 3:
        raise DataError(
            f"{a.name} and {b.name} have {counted(len(common), 'mean')} in common, and a "
            f"comparison needs three. {_held(a, tables[0])}; {_held(b, tables[1])}.",
            _remedy((a, b), tables),
        )
    for side, table, own, other in zip((a, b), tables, keys, (b, a), strict=True):
        notes += _without_partner(side, table, own, common, other)
    tables = [
        table[pd.MultiIndex.from_frame(table[list(key)].astype(str)).isin(common)]
        for table in tables
    ]
    notes += _other_files(tables, by_image)
    if a.table.equals(b.table):
        notes.append("Both are the same opinions, so that every agreement is by construction.")
    unit = unit_name(map(str, tables[0]["image"])) if by_image else "image"
    same_images = by_image or _whole_sets(a, b, tables, notes)
    sides = [replace(side, table=table) for side, table in zip((a, b), tables, strict=True)]
    for side in sides:
        missing = None if side.has_votes else _means_of(side)["error"].isna()
        if missing is not None and missing.any() and not missing.all():
            notes.append(f"{side.name} gives no error of {int(missing.sum())} means; none is used.")
    return _Matched(sides[0], sides[1], by_image, same_images, unit, tuple(notes))


def _counted(side: Side, notes: list[str]) -> pd.DataFrame:
    """The means, or the votes on stimuli that two raters rated; frames of a sequence are one."""
    if not side.has_votes:
        there = np.isfinite(side.table[MEAN].to_numpy(dtype=np.float64))
        if lost := int((~there).sum()):
            what = counted(lost, "row")
            notes.append(f"{side.name}: Left out: {what} without a mean opinion score.")
        kept: pd.DataFrame = side.table[there]
        return kept
    votes = opinions(side.table).reset_index(drop=True)
    with _naming(side):
        kept = voted_twice(votes.assign(image=votes["image"].astype(str).map(unit_of)))
    if lost := len(votes) - len(kept):
        notes.append(
            f"{side.name}: Left out: {counted(lost, 'vote')} alone on a stimulus, as one vote "
            "doesn't say how raters differ."
        )
    return votes.loc[kept.index]


@contextmanager
def _naming(side: Side) -> Iterator[None]:
    """An error in a side's votes or means names the side."""
    try:
        yield
    except StatisticsError as error:
        raise StatisticsError(f"{side.name}: {error.message}", error.remedy) from None


def _keys(table: pd.DataFrame, names: Sequence[str]) -> pd.MultiIndex:
    """The points of a table, each once."""
    return pd.MultiIndex.from_frame(table[list(names)].astype(str).drop_duplicates())


def _held(side: Side, table: pd.DataFrame) -> str:
    """What a side holds, for an error."""
    sets = [str(name) or "no named data set" for name in table["dataset"].unique()]
    methods = sorted(map(str, table["method"].unique()))
    return f"{side.name} holds {listed(sets)} with {listed(methods, 12)}"


def _remedy(sides: Sequence[Side], tables: Sequence[pd.DataFrame]) -> str:
    """What to rename where too little has a partner: data sets alone, where methods agree."""
    first, second = (set(table["method"]) for table in tables)
    if len(first & second) < 3:
        return "Name data sets, images and methods alike in both."
    sets = [list(map(str, table["dataset"].unique())) for table in tables]
    for side, own, others in zip(sides, sets, reversed(sets), strict=True):
        if own == [""]:
            named = [name for name in others if name]
            known = f"{', '.join(named[:-1])} or {named[-1]}" if named[1:] else "".join(named)
            return (
                f"Only the data set isn't named alike: add a column dataset with {known} to "
                f"{side.name}."
            )
    if not set(sets[0]) & set(sets[1]):
        return "Only the names of the data sets differ: write them alike in both."
    return "Name data sets, images and methods alike in both."


def _same_set(
    tables: list[pd.DataFrame], sides: Sequence[Side], notes: list[str]
) -> list[pd.DataFrame]:
    """A side that names no data set takes the name of the other's only one."""
    sets = [set(map(str, table["dataset"].unique())) for table in tables]
    for place, other in ((0, 1), (1, 0)):
        if sets[place] == {""} and len(sets[other]) == 1 and sets[other] != {""}:
            (name,) = sets[other]
            notes.append(f"{sides[place].name} names no data set; it is taken for {name}.")
            tables[place] = tables[place].assign(dataset=name)
    return tables


def _same_names(
    tables: Sequence[pd.DataFrame], column: str, sides: Sequence[Side]
) -> list[pd.DataFrame]:
    """Both tables with one spelling for each data set or method: the paper's, else A's."""
    known = paper.METHOD_ORDER if column == "method" else paper.DATASET_ORDER
    spelling = {paper.name_key(name): name for name in known}
    own: list[dict[str, str]] = []
    for table, side in zip(tables, sides, strict=True):
        names: dict[str, str] = {}
        for name in map(str, table[column].unique()):
            if (twin := names.setdefault(paper.name_key(name), name)) != name:
                raise DataError(
                    f"{side.name} names {twin!r} and {name!r}, which a comparison takes for one "
                    f"{column}.",
                    "Rename one of them.",
                )
            spelling.setdefault(paper.name_key(name), name)
        own.append(names)
    found = []
    for table, names, others in zip(tables, own, reversed(own), strict=True):
        to = {}
        for key, name in names.items():
            target = paper.method_key(key) if column == "method" else key
            alias = key not in others and target in others and target not in names
            to[name] = spelling[target if alias else key]
        found.append(table.assign(**{column: table[column].astype(str).map(to)}))
    return found


def _without_partner(
    side: Side, table: pd.DataFrame, own: pd.MultiIndex, common: pd.MultiIndex, other: Side
) -> list[str]:
    """What of a side the other doesn't have: whole methods by name, stimuli by number."""
    lost = own.difference(common).to_frame(index=False)
    if lost.empty:
        return []
    kept = set(map(tuple, common.to_frame(index=False)[list(METHOD)].to_numpy()))
    gone = [key for key in map(tuple, _keys(table, METHOD)) if key not in kept]
    said = []
    if gone:
        by_set: dict[str, list[str]] = {}
        for dataset, method in gone:
            by_set.setdefault(dataset, []).append(paper.label(method))
        names = "; ".join(
            f"{dataset}: {listed(own, 13)}" if dataset else listed(own, 13)
            for dataset, own in by_set.items()
        )
        said.append(f"Only in {side.name}, so left out: {names}.")
    rest = [key for key in map(tuple, lost[list(METHOD)].to_numpy()) if key not in set(gone)]
    if rest:
        said.append(
            f"{counted(len(rest), 'further stimulus').replace('stimuluss', 'stimuli')} of "
            f"{side.name} without a partner in {other.name}."
        )
    return said


def _other_files(tables: Sequence[pd.DataFrame], by_image: bool) -> list[str]:
    """Whether stimuli of one name were different files."""
    column = "stimulus_sha256"
    if not by_image or not all(column in table for table in tables):
        return []
    first, second = (table.groupby(list(POINT))[column].first() for table in tables)
    both = pd.concat([first, second], axis=1, join="inner").dropna()
    both = both[(both != "").all(axis=1)]
    unlike = int((both.iloc[:, 0] != both.iloc[:, 1]).sum())
    if not unlike:
        return []
    return [
        f"{unlike} of {len(both)} common stimuli were different files in the two: what departs "
        "there may be the pictures and not the panels."
    ]


def _whole_sets(a: Side, b: Side, tables: Sequence[pd.DataFrame], notes: list[str]) -> bool:
    """Whether means by method rest on the same images: known of whole data sets of the paper."""
    for place, side, other in ((0, a, b), (1, b, a)):
        if not (side.has_votes and other.is_paper):
            continue
        sizes = tables[place].groupby(list(METHOD))["image"].nunique().groupby("dataset").min()
        few = {str(name): int(n) for name, n in sizes.items() if n != paper.IMAGES[str(name)]}
        if not few:
            return True
        said = ", ".join(f"{n} of {paper.IMAGES[name]} images of {name}" for name, n in few.items())
        notes.append(f"{side.name} has votes on {said} under a method, so images vary, too.")
    return False


# Panels with their errors


@dataclass(frozen=True, eq=False)
class _Panels:
    """Two panels on the same points; ``borrowed``: whose errors are taken from the other."""

    both: tuple[Panel, Panel]
    borrowed: str = ""

    @property
    def known(self) -> bool:
        return any(panel.sources for panel in self.both)

    @property
    def estimated(self) -> bool:
        """Whether any error is estimated from raters or images, not given by a table."""
        return any(math.isfinite(s.n) for panel in self.both for s in panel.sources)


def _panels(matched: _Matched, *, methods: bool, images: bool) -> _Panels:
    panels = [_panel(side, methods, images) for side in matched.both]
    common = panels[0].index.intersection(panels[1].index)
    index = pd.MultiIndex.from_frame(paper.in_order(common.to_frame(index=False)))
    panels = [panel.at(index) for panel in panels]
    borrowed = ""
    for place, other in ((0, 1), (1, 0)):
        if not panels[place].sources and panels[other].sources:
            side, lender = matched.both[place], matched.both[other]
            size = side.scale.high - side.scale.low
            factor = size / (lender.scale.high - lender.scale.low)
            if side.raters and lender.has_votes:
                factor *= math.sqrt(lender.table["rater"].nunique() / side.raters)
            sources = [replace(s, influence=s.influence * factor) for s in panels[other].sources]
            panels[place] = replace(panels[place], sources=tuple(sources))
            borrowed = side.name
            break
    return _Panels((panels[0], panels[1]), borrowed)


def _panel(side: Side, methods: bool, images: bool) -> Panel:
    if side.has_votes:
        panel = panel_of_votes(_without_frames(side.table))
        return by_method(panel, images=images) if methods else panel
    means = _means_of(side)
    key = list(METHOD if methods else POINT)
    if methods:
        grouped = means.groupby(key)
        squares = means.assign(error=means["error"] ** 2).groupby(key)["error"]
        error = np.sqrt(squares.sum(min_count=1)) / grouped.size()
        means = grouped[["mos"]].mean().assign(error=error)
    else:
        means = means.set_index(key)
    return panel_of_means(means["mos"], None if means["error"].isna().any() else means["error"])


def _without_frames(votes: pd.DataFrame) -> pd.DataFrame:
    """One vote a rater and stimulus, frames averaged over their sequence."""
    votes = votes[["rater", *POINT, "score"]]
    if not any(map(is_frame, votes["image"].unique())):
        return votes
    sequence = votes.assign(image=votes["image"].map(unit_of))
    grouped = sequence.groupby(["rater", *POINT], sort=False)["score"]
    return grouped.mean().reset_index()


def _means_of(side: Side) -> pd.DataFrame:
    """Means with the standard ``error`` that a table's columns give, NaN where they give none."""
    there = {metric_key(str(name)): str(name) for name in side.table}
    count = next((there[name] for name in _COUNTS if name in there), "")
    wanted: tuple[str, ...] = ()
    if "se" in there:
        wanted = ("se",)
    elif {"low", "high"} <= set(there):
        wanted = ("low", "high", *(["level"] if "level" in there else []))
    elif "ci95" in there:
        wanted = ("ci95",)
    elif "sd" in there and count:
        wanted = ("sd", count)
    with _naming(side):
        read = metric_values(side.table, wanted)
    values = {name: read[name].to_numpy(dtype=np.float64) for name in wanted}
    found = np.full(len(read), math.nan)
    if "se" in wanted:
        found = values["se"]
    elif "low" in wanted:
        level = np.clip(values.get("level", np.array(0.95)), 0.01, 0.9999)
        found = (values["high"] - values["low"]) / 2 / special.ndtri((1 + level) / 2)
    elif "ci95" in wanted:
        found = values["ci95"] / special.ndtri(0.975)
    elif wanted:
        found = values["sd"] / np.sqrt(np.maximum(values[count], 1))
    if (found < 0).any():
        raise StatisticsError(
            f"{side.name}: {' and '.join(wanted)} give{'s' * (len(wanted) == 1)} a mean an error "
            "below 0.",
            "Write low below high, and se, sd and ci95 above 0.",
        )
    return side.table.assign(error=np.where(np.isfinite(found), found, math.nan))


# Orders


def _orders(
    matched: _Matched, panels: _Panels, level: float, seed: int
) -> tuple[tuple[OrderAgreement, ...], list[str]]:
    """How the methods of each data set are ordered, and what the tests claim."""
    found, said = [], []
    a, b = panels.both
    for dataset in dict.fromkeys(a.index.get_level_values("dataset")):
        own = a.index[a.index.get_level_values("dataset") == dataset]
        if len(own) < 2:
            continue
        methods = own.get_level_values("method")
        tests: list[pd.DataFrame | None] = []
        for side in matched.both:
            made, why = None, ""
            if side.has_votes:
                rows = side.table[side.table["dataset"] == dataset]
                made, why = attempted(
                    partial(
                        compare_methods, rows, methods=list(methods), alpha=_alpha(level),
                        level=level, scale=side.scale,
                    )
                )  # fmt: skip
            if made:
                said.append(f"unit {made[0].unit}: {made[0].claim}")
            elif why:
                said.append(f"no tests of {side.name}: {why}")
            tests.append(made[0].frame() if made else None)
            small = int(tests[-1]["too_small"].sum()) if tests[-1] is not None else 0
            if small:
                where = f" on {dataset}" if dataset else ""
                said.append(f"n of {side.name}{where} is too small for {counted(small, 'pair')}")
        again = same_order_again(a.at(own), b.at(own), same_images=matched.same_images, seed=seed)
        series = [pd.Series(p.at(own).mean, index=list(methods)) for p in (a, b)]
        found.append(compare_orders(str(dataset), series, tests, alpha=_alpha(level), again=again))
    return tuple(found), list(dict.fromkeys(said))


# What is printed


def _alpha(level: float) -> float:
    """The level of the tests, without the noise of the subtraction."""
    return round(1 - level, 12)


def _agreement_table(
    found: PanelAgreement, matched: _Matched, panels: _Panels, level: float, unlike: bool
) -> Table:
    rows: list[dict[str, object]] = []

    def row(figure: str, made: Interval | PanelTest | float, about: str) -> None:
        one: dict[str, object] = {"figure": figure, "value": math.nan, "low": math.nan}
        one |= {"high": math.nan, "about": about}
        one |= {"f": math.nan, "df_above": math.nan, "df_below": math.nan, "p": math.nan}
        if isinstance(made, Interval):
            one |= {"value": made.estimate, "low": made.low, "high": made.high}
        elif isinstance(made, PanelTest):
            one |= {"f": made.f, "df_above": made.above, "df_below": made.below, "p": made.p}
        else:
            one["value"] = made
        rows.append(one)

    row("slope", found.slope, "points of B for a point of A")
    row("intercept", found.intercept, "B where A is 0")
    if found.identical and not unlike:
        row("B = A", found.identical, "slope 1 and intercept 0")
    if found.linear:
        row("B = line", found.linear, "B departs from the line by no more than the errors")
    row("PLCC", found.plcc, "of the means as they are")
    if math.isfinite(found.true_plcc.estimate):
        row("PLCC without errors", found.true_plcc, "of the true means")
    row("SROCC", found.srocc, "of the means as they are")
    row("RMSE", found.rmse, "of B from the line, in points of B's scale")
    if panels.known:
        row("RMSE of errors", found.rmse_of_errors, "what errors make of it")
    frame = pd.DataFrame(rows)
    columns: Columns = {
        "figure": column("figure"),
        "value": _value,
        percent(level): interval_column(3),
        "p": _p("p"),
        "about": column("about"),
    }
    facts = {
        "a": matched.a.name,
        "b": matched.b.name,
        "n": found.n,
        "points": "stimuli" if matched.stimuli else "methods",
        "same_images": matched.same_images,
        "errors_assumed_for": panels.borrowed,
        "ceiling": found.ceiling,
        "level": level,
    }
    notes = [_answer(found, level, unlike, panels.known)]
    notes += _agreement_notes(found, matched, panels)
    return table_of("agreement", "Agreement of the two panels", frame, columns, notes, facts)


def _value(row: Mapping[str, float]) -> str:
    if math.isfinite(row["f"]):
        above, below = (
            "∞" if freedom > 1e6 else fixed(freedom, 1).removesuffix(".0")
            for freedom in (row["df_above"], row["df_below"])
        )
        return f"F({above}, {below}) = {fixed(row['f'], 2)}"
    return fixed(row["value"], 3)


def _answer(found: PanelAgreement, level: float, unlike: bool, known: bool) -> str:
    """What the two F tests say, in words."""
    alpha = _alpha(level)
    if found.slope.estimate < 0:
        return (
            "The line falls: what A rates high, B rates low. Is one of the scales reversed, or "
            "are methods named differently?"
        )
    if not known or found.linear is None:
        return "No error of either panel's means is known, so nothing is tested."
    line = (
        f"departs from a linear map of A by more than the errors (p {p_value(found.linear.p)})"
        if found.linear.p < alpha
        else f"wasn't shown to depart from a linear map of A (p {p_value(found.linear.p)})"
    )
    if unlike or found.identical is None:
        return f"B {line}."
    same = p_value(found.identical.p)
    if found.identical.p < alpha:
        return (
            f"B isn't A on the same scale: the map isn't slope 1, intercept 0 (p {same}). B {line}."
        )
    return f"The map wasn't shown to differ from slope 1, intercept 0 (p {same}). B {line}."


def _agreement_notes(found: PanelAgreement, matched: _Matched, panels: _Panels) -> list[str]:
    notes = [
        f"{letter}: {'' if side.name == letter else f'{side.name}, '}{_described(side)}"
        for letter, side in zip("AB", matched.both, strict=True)
    ]
    what = f"stimuli ({matched.unit}s under a method)" if matched.stimuli else "means of methods"
    votes = any(side.has_votes for side in matched.both)
    images = matched.unit
    if votes and matched.same_images:
        claim = (
            f"errors come from raters alone, as both rated the same {images}s: the claim is about "
            f"raters in general and these {images}s"
        )
    elif votes:
        claim = f"errors come from raters and {images}s, as the two may have rated other {images}s"
        sides = zip("AB", matched.both, panels.both, strict=True)
        alone = [
            letter
            for letter, side, panel in sides
            if side.has_votes and all(source.unit != "image" for source in panel.sources)
        ]
        if alone:
            claim += (
                f"; those of {' and '.join(alone)} from raters alone, as a method has a single "
                "image there: what another image would change isn't in any interval or test"
            )
        given = [
            letter
            for letter, panel in zip("AB", panels.both, strict=True)
            if any(math.isinf(source.n) for source in panel.sources)
        ]
        if given:
            claim += f"; those of {given[0]} are its table's, taken as independent and known"
    else:
        claim = "no errors are known"
        if panels.known:
            claim = "errors are the tables', taken as independent from mean to mean and known"
    notes.append(f"{found.n} common {what}; {claim}.")
    if panels.borrowed:
        side = next(s for s in matched.both if s.name == panels.borrowed)
        size = f", for its {side.raters} raters," if side.raters else ""
        notes.append(
            f"ASSUMPTION: {side.name} gives no errors; they are taken{size} as those of the other "
            "panel. Intervals and tests rest on it."
        )
    if panels.known:
        if panels.estimated:
            intervals, why = "Student's t over the units", "one rater's errors go together"
            test = "F test of the sum of squares"
        else:
            intervals, why = "normal, as the errors are known", "the errors may differ in size"
            test = "chi-squared test of the sum of squares, printed as F"
        notes.append(
            "Line: least squares with errors in both (Deming's and York's regression). Intervals: "
            f"{intervals}. B = line: {test}, its degrees of freedom Box's, as {why}. A test that "
            "shows nothing doesn't prove that nothing is there."
        )
    if found.ceiling > 0:
        notes.append(
            "PLCC, SROCC and RMSE after a linear map as in ITU-T P.1401 (from memory). Errors "
            "lower a correlation: with these, panels whose true means lie on a line reach a PLCC "
            f"of {fixed(found.ceiling, 3)} (Spearman 1904). The interval without errors is the F "
            f"test's, turned round with {(1 - found.true_plcc.level) / 2:.3g} to either side: it "
            "leaves a perfect line out where the p of B = line is below that."
        )
    return notes


def _described(side: Side) -> str:
    if not side.has_votes:
        raters = f", {side.raters} raters" if side.raters else ""
        said = f"{counted(len(side.table), 'mean opinion score')}{raters}"
    else:
        task = task_in(side.table)
        of = "" if task.mean == "MOS" else f" of {task.title}"
        said = (
            f"{counted(len(side.table), 'vote')}{of} by "
            f"{counted(side.table['rater'].nunique(), 'rater')} on what is common"
        )
    scale = "" if side.scale == ACR else f", on {side.scale}"
    return " ".join([f"{said}{scale}.", *mark_notes(side.table)])


def _means_table(
    found: PanelAgreement,
    matched: _Matched,
    panels: _Panels,
    level: float,
    margin: float | None,
    unlike: bool,
) -> Table:
    frame = found.methods.assign(on_line=found.methods["b"] - found.methods["departure"])
    columns: dict[str, Callable[[Any], str]] = {"method": method_column()}
    if matched.stimuli:
        columns["n"] = whole("n")
    columns |= {"A": column("a", 2), "B": column("b", 2)}
    for name, head in (("difference", "B - A"), ("departure", "B - line")):
        if name == "difference" and unlike:
            continue
        columns[head] = signed_column(name, 2)
        if not panels.known:
            continue
        columns[f"{percent(level)}{'' if name == 'difference' else ' '}"] = interval_column(
            2, f"{name}_low", f"{name}_high", signed=True
        )
        columns[f"p of {head}"] = _p(f"{name}_p_adjusted")
        if margin is not None:
            columns[f"{head} within {margin:g}"] = _within(f"{name}_equivalence_p_adjusted", level)
    over = f"the common {matched.unit}s. n: {matched.unit}s" if matched.stimuli else "all images"
    notes = [f"Means over {over}. Line: the linear map of A above."]
    if panels.known:
        notes.append(
            "Intervals are of each row alone; p is adjusted by Holm's method over the rows."
            + " An error that raters leave counts as the root mean square of all rows where it is "
            "smaller: a few votes that agree don't say that all would."
            * any(side.has_votes for side in matched.both)
        )
    if margin is not None and panels.known:
        kind = "t" if panels.estimated else "z"
        notes.append(
            f"Within {margin:g}: yes where two one-sided {kind} tests, adjusted by Holm's method "
            f"over the rows, show at {_alpha(level):g} that the true value is within {margin:g} "
            "points."
        )
    title = "Mean opinion scores of both"
    return table_of("means", title, frame, with_dataset(frame, columns), notes)


def _p(name: str) -> Callable[[Any], str]:
    return lambda row: p_value(row[name])


def _within(name: str, level: float) -> Callable[[Any], str]:
    def show(row: Any) -> str:
        p = row[name]
        return NONE if math.isnan(p) else "yes" if p < _alpha(level) else "not shown"

    return show


def _stimuli_table(found: PanelAgreement, level: float) -> Table:
    frame = found.points
    order = frame.sort_values("departure_p", kind="stable")
    columns: Columns = {
        "image": column("image"),
        "method": method_column(),
        "A": column("a", 2),
        "B": column("b", 2),
        "B - line": signed_column("departure", 2),
        percent(level): interval_column(2, "departure_low", "departure_high", signed=True),
        "p": _p("departure_p"),
        "p adjusted": _p("departure_p_adjusted"),
    }
    n = int((frame["departure_p_adjusted"] < _alpha(level)).sum())
    notes = [
        f"{n} of {len(frame)} stimuli are shown to depart from the line, by Holm's method over all "
        f"of them. Printed: the {min(_MOST_STIMULI, len(frame))} with the least p."
    ]
    return table_of(
        "stimuli", "Stimuli that depart most from the line", order, with_dataset(frame, columns),
        notes, printed=order.head(_MOST_STIMULI),
    )  # fmt: skip


_OF_BOTH = {
    "replicated": "both panels' tests show it, in the same direction",
    "contradicted": "both show it, in opposite directions",
    "not shown in B": "A's test shows it alone",
    "not shown in A": "B's test shows it alone",
    "not shown in either": "neither test shows it",
    "equal means": "both show it, and a panel's means are equal",
}
_OF_ONE = {
    "same direction": "the test shows it, and the other side's means agree",
    "opposite direction": "the test shows it, and the other side's means are the other way round",
    "equal means": "the test shows it, and the other side's means are equal",
}


def _verdicts(matched: _Matched) -> Mapping[str, str]:
    """The verdicts that these sides allow, and what they mean."""
    a, b = (side.has_votes for side in matched.both)
    if a and b:
        return _OF_BOTH
    if not (a or b):
        return {
            **dict.fromkeys(_OF_ONE, "by the means alone"),
            "equal means": "of one side or both",
        }
    return {**_OF_ONE, f"not shown in {'A' if a else 'B'}": "the test doesn't show it"}


def _orders_table(
    orders: Sequence[OrderAgreement],
    matched: _Matched,
    panels: _Panels,
    level: float,
    said: Sequence[str],
) -> Table:
    rows = []
    tested = any(side.has_votes for side in matched.both)
    found = {verdict for order in orders for verdict in order.pairs["verdict"]}
    verdicts = {
        name: about
        for name, about in _verdicts(matched).items()
        if name != "equal means" or name in found
    }
    for order in orders:
        counts = order.pairs["verdict"].value_counts()
        rows.append(
            {
                "dataset": order.dataset,
                "methods": order.n_methods,
                "pairs": len(order.pairs),
                "same": order.same,
                "tau": order.tau,
                "tau_low": order.tau_low,
                "tau_high": order.tau_high,
                "again": order.again,
            }
            | {name: int(counts.get(name, 0)) for name in verdicts}
        )
    frame = pd.DataFrame(rows)
    columns: dict[str, Callable[[Any], str]] = {
        "methods": whole("methods"),
        "pairs": whole("pairs"),
        "same order": whole("same"),
        "tau": column("tau", 2),
    }
    if tested:
        columns["true tau"] = lambda row: span(row["tau_low"], row["tau_high"], 2)
        columns |= {name: whole(name) for name in verdicts}
    if not frame["again"].isna().all():
        columns["all alike again"] = lambda row: whole_percent(row["again"])
    notes = [
        "Same order: pairs whose means are in the same order. tau: Kendall's tau-b of the means."
    ]
    if tested:
        meaning = "; ".join(f"{name}: {about}" for name, about in verdicts.items())
        notes += [
            f"True tau: what the tests leave of it at {percent(level)}, where a pair that isn't "
            f"shown may be either way. {meaning[0].upper()}{meaning[1:]}.",
            f"Tests: those of `sreval opinions --analyse compare`, at {_alpha(level):g} within "
            f"panel and data set; {'; '.join(said)}.",
        ]
    if "all alike again" in columns:
        units = dict.fromkeys(s.unit for panel in panels.both for s in panel.sources)
        drawn = " and ".join(f"{unit}s" for unit in units)
        notes.append(
            f"All alike again: how often two panels of these sizes, {drawn} drawn anew, put all "
            "methods in the same order."
            + (f" The errors of {panels.borrowed} are assumed." if panels.borrowed else "")
        )
    return table_of("orders", "Order of the methods", frame, with_dataset(frame, columns), notes)


def _pairs_table(order: OrderAgreement, matched: _Matched, level: float) -> Table:
    frame = order.pairs
    agreed = frame["verdict"].isin(["replicated", "same direction"])
    columns: dict[str, Callable[[Any], str]] = {
        "first": method_column("first"),
        "second": method_column("second"),
    }
    for side, given in zip("ab", matched.both, strict=True):
        columns[side.upper()] = signed_column(f"difference_{side}", 2)
        if given.has_votes:
            columns[f"{percent(level)} of {side.upper()}"] = interval_column(
                2, f"low_{side}", f"high_{side}", signed=True
            )
            columns[f"p of {side.upper()}"] = _p(f"p_adjusted_{side}")
    columns["order"] = column("verdict")
    name = f" on {order.dataset}" if order.dataset else ""
    both = all(side.has_votes for side in matched.both)
    alike = "replicated" if both else "in the same direction"
    if agreed.all():
        notes = [f"All {len(frame)} pairs are {alike}; none is printed."]
        heads, counts = ["pairs", "replicated" if both else "same direction"], [str(len(frame))] * 2
        return text_table("pairs", f"Pairs of methods{name}", frame, heads, [counts], notes)
    notes = ["First less second, the better of A first."]
    if any(side.has_votes for side in matched.both):
        notes[0] = f"{notes[0][:-1]}; p adjusted by Holm's method within the panel."
    for sign, said in ((-1, "the other way round in B"), (0, "equal in a panel")):
        named = [
            f"{paper.label(first)} and {paper.label(second)}"
            for first, second in frame.loc[order.signs == sign, ["first", "second"]].to_numpy()
        ]
        if named:
            notes.append(f"The means are {said} of {listed(named, 20)}.")
    if agreed.any():
        notes.append(f"Not printed, as {alike}: {counted(int(agreed.sum()), 'pair')}.")
    return table_of(
        "pairs", f"Pairs of methods{name} that aren't {alike}", frame,
        columns, notes, printed=frame[~agreed],
    )  # fmt: skip


def _with_limits(methods: pd.DataFrame, matched: _Matched, level: float) -> pd.DataFrame:
    """Both means of every method with the limits of each alone, for the figure."""
    found = methods.copy()
    index = pd.MultiIndex.from_frame(methods[list(METHOD)])
    for name, side in zip("ab", matched.both, strict=True):
        panel = _panel(side, True, not matched.same_images).at(index)
        found[f"{name}_low"], found[f"{name}_high"] = panel.limits(level)
    return found
