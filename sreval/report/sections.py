"""What an analysis of opinions says: every figure in full, the table as printed, the notes."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from sreval.errors import StatisticsError, attempted
from sreval.opinions.intervals import LEAST_UNITS
from sreval.opinions.mos import mos_table
from sreval.opinions.reading import is_means
from sreval.opinions.screening import Rule
from sreval.opinions.units import DEFAULT_UNIT, INTERVAL_OF, Unit
from sreval.opinions.votes import ACR, Scale, exclusions, stand_ins
from sreval.report import paper
from sreval.report.digits import NONE, fixed

NO_INTERVAL = f"–: fewer than {LEAST_UNITS} units give no interval."
SIMULATED = "Simulated data: no person gave these votes."


def stand_in_note(methods: Sequence[str]) -> str:
    """The note to show with all opinions of stand-ins."""
    names = ", ".join(map(paper.label, methods))
    return (
        f"Stand-ins: the images rated as {names} are degraded originals, as the methods' own "
        "images were missing. Their scores say nothing about these methods."
    )


CORRECTIONS = {"holm": "Holm", "benjamini-hochberg": "Benjamini-Hochberg", "none": "not adjusted"}
"""How an adjustment of p values is printed."""


@dataclass(frozen=True)
class Request:
    """What is asked of the votes; each field as in the estimator that takes it."""

    unit: Unit = DEFAULT_UNIT
    interval: str = INTERVAL_OF[DEFAULT_UNIT]
    level: float = 0.95
    adjustment: str = "holm"
    alpha: float = 0.05
    scale: Scale = ACR
    reference: str = "hr"
    rules: tuple[Rule, ...] | None = None
    """The rules by which raters are judged; None: ``opinions.screening.default_rules``."""
    scores: pd.DataFrame | None = None
    """Benchmark rows of one protocol and scale, for metrics against opinion."""
    methods: Sequence[str] | None = None
    """Those that are compared with each other; None: all."""
    better: Mapping[str, bool] = field(default_factory=dict)
    """Further metrics among the columns of a table of means, and whether higher is better."""


@dataclass(frozen=True)
class Section:
    """One table: ``frame`` holds all figures, ``shown`` the printed cells under their heads.

    ``facts`` are what else JSON says of it: true of the whole table, not of a row.
    """

    analysis: str
    title: str
    frame: pd.DataFrame
    shown: list[list[str]]
    notes: list[str]
    facts: Mapping[str, object] = field(default_factory=dict)


Columns = dict[str, Callable[[Any], str]]


def each(parts: Mapping[str, Callable[[], list[Section]]]) -> list[Section]:
    """The sections of all ``parts`` that can be made, with a note on each that can't.

    Raises StatisticsError, the reasons said, where none can.
    """
    made: list[Section] = []
    not_done = []
    for name, make in parts.items():
        found, why = attempted(make)
        made += found or []
        not_done += [f"{name}: {why}" if name else why] if found is None else []
    if not made:
        raise StatisticsError(" ".join(not_done))
    said = [f"Not done: {why}" for why in not_done]
    return [*made[:-1], replace(made[-1], notes=[*made[-1].notes, *said])]


def printed(frame: pd.DataFrame, columns: Columns) -> list[list[str]]:
    """Heads and cells as text; ``columns`` maps each head to what prints a row."""
    rows = [[show(row) for show in columns.values()] for _, row in frame.iterrows()]
    return [list(columns), *rows]


def column(name: str, digits: int | None = None) -> Callable[[Any], str]:
    """Prints the field ``name``: a number with ``digits``, anything else as it is."""

    def show(row: Any) -> str:
        value = row[name]
        return str(value) if digits is None else fixed(value, digits)

    return show


def whole(name: str) -> Callable[[Any], str]:
    """Prints the count ``name`` without decimals, also where pandas made a float of it."""
    return lambda row: fixed(row[name], 0)


def method_column(name: str = "method") -> Callable[[Any], str]:
    """Prints a method's name as the paper's tables do."""
    return lambda row: paper.label(str(row[name]))


def interval_column(
    digits: int, low: str = "low", high: str = "high", *, signed: bool = False
) -> Callable[[Any], str]:
    """Prints low to high, a dash where there is no interval; ``signed`` for differences."""
    return lambda row: span(row[low], row[high], digits, signed=signed)


def span(low: float, high: float, digits: int, *, signed: bool = False) -> str:
    """An interval; ``signed`` prints signs, and 'to' between them: a minus looks like a dash."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return "–"
    if signed:
        return f"{fixed(low, digits, signed=True)} to {fixed(high, digits, signed=True)}"
    first, last = fixed(low, digits), fixed(high, digits)
    return f"{first}{' to ' if first.startswith('-') else '–'}{last}"


def percent(level: float) -> str:
    """A level of confidence, with all its digits: 95%, 99.9%."""
    return f"{100 * level:.10g}%"


def no_interval(frame: pd.DataFrame, low: str = "low") -> list[str]:
    """What is said under a table where an interval is missing."""
    return [NO_INTERVAL] if frame[low].isna().any() else []


def p_value(p: float) -> str:
    """A p value with four decimals, never rounded to zero."""
    if math.isnan(p):
        return NONE
    return "<0.0001" if p < 0.0001 else f"{p:.4f}"


def with_dataset(frame: pd.DataFrame, columns: Columns) -> Columns:
    """``columns`` behind one for the data set, where the votes name any."""
    if (frame["dataset"] == "").all():
        return columns
    return {"data set": column("dataset"), **columns}


def in_order(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows by data set and method in the paper's order."""
    datasets = paper.sort_datasets([str(name) for name in frame["dataset"].unique()])
    methods = paper.sort_methods([str(name) for name in frame["method"].unique()])
    keys = pd.DataFrame(
        {
            "d": frame["dataset"].astype(str).map(datasets.index),
            "m": frame["method"].astype(str).map(methods.index),
        }
    )
    return frame.loc[keys.sort_values(["d", "m"], kind="stable").index].reset_index(drop=True)


def vote_notes(votes: pd.DataFrame) -> list[str]:
    """The notes under every table: how many votes, what was left out and why, the marks."""
    if is_means(votes):
        return [f"{len(votes)} mean opinion scores, as given.", *mark_notes(votes)]
    counted = votes[(votes["kind"] == "vote") & votes["accepted"]]
    said = (
        f"{len(counted)} votes by {counted['rater'].nunique()} raters on "
        f"{len(counted[['dataset', 'image', 'method']].drop_duplicates())} stimuli."
    )
    return [" ".join([said, *uncounted(votes)]), *mark_notes(votes)]


def uncounted(votes: pd.DataFrame) -> list[str]:
    """Sentences on the rows that aren't opinions, and why; none where all are."""
    others, refused = [], []
    for why, n in exclusions(votes).items():
        what, _, reason = why.partition(": ")
        if reason:
            refused.append(f"{n} ({reason.rstrip('.')})")
        else:
            kind = what.removeprefix("kind ")
            others.append(f"{n} {kind if kind == 'repeat' else f'{kind} item'}{'s' * (n != 1)}")
    said = [f"Not counted as votes: {', '.join(others)}."] if others else []
    return said + ([f"Votes that weren't accepted: {'; '.join(refused)}."] if refused else [])


def mark_notes(votes: pd.DataFrame) -> list[str]:
    """The notes on simulated raters and stand-ins."""
    notes = [SIMULATED] if votes["simulated"].any() else []
    if methods := stand_ins(votes):
        notes.append(stand_in_note(methods))
    return notes


def image_notes(votes: pd.DataFrame, interval: str | None = None, scale: Scale = ACR) -> list[str]:
    """The note where methods of a data set were rated on different images; else nothing.

    ``votes`` are accepted ones, or rows made of them. Their means are then of different images:
    with the name of an ``interval`` of ``mos_table``, those over the common images are given too.
    """
    notes = []
    for dataset, rows in votes.groupby("dataset"):
        of = {str(method): set(own["image"]) for method, own in rows.groupby("method")}
        common = set.intersection(*of.values())
        if all(images == common for images in of.values()):
            continue
        names = paper.sort_methods(list(of))
        where = f" of {dataset!s}" if dataset else ""
        counts = ", ".join(f"{paper.label(name)} on {len(of[name])}" for name in names)
        note = (
            f"Different images{where}: {counts}; "
            f"{len(common) or 'none'} in common. Their means can't be compared."
        )
        if interval and common:
            found = mos_table(rows[rows["image"].isin(common)], interval=interval, scale=scale)
            means = found.set_index("method")["mos"]
            over = ", ".join(f"{paper.label(name)} {fixed(means[name], 2)}" for name in names)
            note += f" MOS over the common images: {over}."
        notes.append(note)
    return notes


def marks_of(votes: pd.DataFrame) -> list[str]:
    """The words shown on every table and figure of these votes; empty for plain ones."""
    words = ["simulated"] if votes["simulated"].any() else []
    return words + (["stand-ins"] if stand_ins(votes) else [])


def to_text(section: Section) -> str:
    """Title, aligned columns (text left, figures right), notes."""
    widths = [max(map(len, cells)) for cells in zip(*section.shown, strict=True)]
    left = [is_text(cells[1:]) for cells in zip(*section.shown, strict=True)]
    lines = [section.title, ""]
    for row in section.shown:
        cells = [
            cell.ljust(width) if flush else cell.rjust(width)
            for cell, width, flush in zip(row, widths, left, strict=True)
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join([*lines, "", *section.notes]) + "\n"


def to_html(section: Section) -> str:
    """The section as a piece of a page: a heading, a table, the notes."""
    head, *rows = section.shown
    left = [is_text(cells[1:]) for cells in zip(*section.shown, strict=True)]
    align = ["left" if flush else "right" for flush in left]
    return "".join(
        [
            f"<h4>{escape(section.title)}</h4>",
            html_rows(head, rows, align),
            *(f"<p><small>{escape(note)}</small></p>" for note in section.notes),
        ]
    )


def html_rows(
    head: Sequence[object], rows: Sequence[Sequence[object]], align: Sequence[str] | None = None
) -> str:
    """An HTML table; ``align`` says of each column how it is set, left without it."""
    align = align or ["left"] * len(head)

    def row(tag: str, cells: Sequence[object]) -> str:
        made = (
            f'<{tag} style="text-align: {how}">{escape(str(cell))}</{tag}>'
            for cell, how in zip(cells, align, strict=True)
        )
        return f"<tr>{''.join(made)}</tr>"

    return f"<table>{row('th', head)}{''.join(row('td', cells) for cells in rows)}</table>"


def to_records(section: Section, level: float) -> dict[str, Any]:
    """The section for JSON, its intervals at ``level``: missing and infinite figures are null."""
    rows = json.loads(section.frame.to_json(orient="records", double_precision=15))
    return {
        "analysis": section.analysis,
        "title": section.title,
        "level": level,
        **section.facts,
        "rows": rows,
        "notes": section.notes,
    }


def is_text(cells: Sequence[str]) -> bool:
    """Whether a column's cells are words, set flush left; figures are set flush right."""
    return not all(cell in ("", NONE) or cell[0] in "+-<0123456789" for cell in cells) or all(
        not np.any([character.isdigit() for character in cell]) for cell in cells
    )
