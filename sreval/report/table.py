"""A table: a frame, how its columns are printed, notes and marks. ``render`` writes it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from sreval.content import user_path
from sreval.errors import NONE, UsageError, fixed
from sreval.files import write_atomic
from sreval.report import paper
from sreval.report.choices import TableWidth
from sreval.report.text import span

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")

_LONG = 40
"""Letters from which a column's cells may wrap."""


@dataclass(frozen=True)
class Cell:
    """A cell as printed; ``rank`` 1 is the best, 2 the second, 0 any other; ``mark`` is raised.

    ``beside`` is set behind the figure, such as half of its interval.
    """

    text: str
    rank: int = 0
    mark: str = ""
    beside: str = ""


@dataclass(frozen=True)
class Row:
    """A row as printed; ``starts`` a group of rows. Intervals are set small, below their values."""

    cells: Sequence[Cell]
    kind: Literal["value", "interval", "paper"] = "value"
    starts: bool = False


@dataclass(frozen=True)
class Column:
    """How a column is set: names left, figures right, sentences in lines that wrap.

    Figures of ``decimals`` are aligned at the point, in a column that has room for so many.
    ``described`` is the heading in HTML, where each column needs one, of a column without;
    ``group`` what stands above it and its neighbours of that group.
    """

    heading: str
    align: Literal["left", "right", "words"] = "right"
    decimals: int = 0
    described: str = ""
    group: str = ""

    @property
    def full(self) -> str:
        """The heading with its group's."""
        return f"{self.group} {self.heading}".strip()


def checked_label(label: str) -> str:
    """A label for LaTeX, empty for the default. Raises UsageError for one that LaTeX can't take."""
    if label and not re.fullmatch(r"[A-Za-z0-9:._/+-]+", label):
        raise UsageError(
            f"{label!r} can't be a label in LaTeX.", "Use letters, digits and : . _ / + -."
        )
    return label


def spans(columns: Sequence[Column]) -> list[tuple[str, list[int]]]:
    """The places of neighbours under one group's heading, empty for those under none."""
    found = groupby(range(len(columns)), key=lambda place: columns[place].group)
    return [(group, list(places)) for group, places in found]


def parts_of(columns: Sequence[Column], fits: Callable[[Sequence[int]], bool]) -> list[list[int]]:
    """The places of the columns of each part of a table that is too wide.

    Those of names are in every part, figures in turn, where ``fits`` says so of the places.
    """
    places = range(len(columns))
    names = [p for p in places if all(column.align != "right" for column in columns[: p + 1])]
    figures = places[len(names) :]
    groups = groups_of(figures, lambda p: columns[p].group != columns[p - 1].group)
    single = [[p] for p in figures]
    found = split(groups if len(groups) > 1 else single, single, lambda own: fits([*names, *own]))
    return [[*names, *own] for own in found] or [names]


def groups_of(items: Sequence[T], begins: Callable[[T], bool]) -> list[list[T]]:
    """Neighbours together; a group begins where ``begins`` says so."""
    found: list[list[T]] = []
    for item in items:
        if begins(item) or not found:
            found.append([])
        found[-1].append(item)
    return found


def split(
    groups: Sequence[list[T]], single: Sequence[list[T]], fits: Callable[[list[T]], bool]
) -> list[list[T]]:
    """As few parts as fit, of ``groups`` or, where one is too large, of ``single``.

    They are of about as many each where that fits, too. What doesn't fit alone is a part of its
    own.
    """
    units = groups if all(map(fits, groups)) else single
    filled: list[list[T]] = []
    for unit in units:
        if filled and fits([*filled[-1], *unit]):
            filled[-1] += unit
        else:
            filled.append([*unit])
    ends = [len(units) * part / len(filled) for part in range(len(filled) + 1) if filled]
    even = [
        [item for unit in units[round(a) : round(b)] for item in unit] for a, b in pairwise(ends)
    ]
    return even if all(map(fits, even)) else filled


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Table:
    """What a table says, independent of how it is printed; a notebook shows it as HTML.

    ``frame`` holds all figures in full, ``rows`` the printed cells under their ``columns``;
    ``facts`` are what else JSON says: true of the whole table, not of a row. ``ranking`` is the
    note on bold and underlined figures, where there are any. ``second`` is a table to print after
    this one. ``label`` and ``width`` are LaTeX's: what a paper refers to it by, and whether it is
    as wide as a column or as the page.
    """

    analysis: str
    title: str
    frame: pd.DataFrame
    columns: Sequence[Column]
    rows: Sequence[Row]
    notes: list[str]
    facts: Mapping[str, object] = field(default_factory=dict)
    ranking: str = ""
    second: Table | None = None
    label: str = ""
    width: TableWidth = "auto"

    @property
    def all_notes(self) -> list[str]:
        """The notes where bold and underline can be seen."""
        return [*([self.ranking] if self.ranking else []), *self.notes]

    def records(self) -> dict[str, Any]:
        """The table for JSON, every value in full."""
        return {
            "analysis": self.analysis,
            "title": self.title,
            **self.facts,
            "rows": json.loads(self.frame.to_json(orient="records", double_precision=15)),
            "notes": self.notes,
        }

    def render(self, form: str, *, colour: bool = False, width: int | None = None) -> str:
        """The table in one of ``choices.FORMATS``.

        ``colour`` lets text use bold and underline; text of more than ``width`` cells of a terminal
        is split, where columns allow it.
        """
        from sreval.report.render import render

        return render(self, form, colour=colour, width=width)

    def _written(self, form: str, path: Path | str | None) -> str:
        """The table in one form, which also goes to the file ``path`` where one is named."""
        text = self.render(form)
        if path is not None:
            write_atomic(user_path(path), text)
        return text

    def to_text(self, path: Path | str | None = None) -> str:
        """Aligned columns, as the command line prints them."""
        return self._written("text", path)

    def to_markdown(self, path: Path | str | None = None) -> str:
        """A Markdown table as GitHub and Pandoc show it."""
        return self._written("markdown", path)

    def to_latex(self, path: Path | str | None = None) -> str:
        """A LaTeX table, or several where it is too wide; needs the packages booktabs, siunitx."""
        return self._written("latex", path)

    def to_html(self, path: Path | str | None = None) -> str:
        """A page of its own, which needs no other file."""
        return self._written("html", path)

    def to_csv(self, path: Path | str | None = None) -> str:
        """``frame`` as CSV in which no text can be taken for a formula."""
        return self._written("csv", path)

    def to_json(self, path: Path | str | None = None) -> str:
        """Figures, notes and what else ``records`` gives."""
        return self._written("json", path)

    def __repr__(self) -> str:
        return self.to_text().rstrip("\n")

    def _repr_html_(self) -> str:
        from sreval.report.render import to_html_part

        return to_html_part(self)


Columns = Mapping[str, Callable[[Any], str]]
"""Headings, and what prints a row of a frame under each."""


def table_of(
    analysis: str,
    title: str,
    frame: pd.DataFrame,
    columns: Columns,
    notes: Sequence[str] = (),
    facts: Mapping[str, object] | None = None,
    *,
    printed: pd.DataFrame | None = None,
) -> Table:
    """A table whose rows are those of ``frame``; ``printed`` where not all of them are printed."""
    rows = frame if printed is None else printed
    texts = [[show(row) for show in columns.values()] for _, row in rows.iterrows()]
    return text_table(analysis, title, frame, list(columns), texts, notes, facts)


def text_table(
    analysis: str,
    title: str,
    frame: pd.DataFrame,
    headings: Sequence[str],
    texts: Sequence[Sequence[str]],
    notes: Sequence[str] = (),
    facts: Mapping[str, object] | None = None,
) -> Table:
    """A table from cells as text; columns of figures are set right, of words left."""
    cells = list(zip(*texts, strict=True)) or [()] * len(headings)
    return Table(
        analysis=analysis,
        title=title,
        frame=frame,
        columns=[Column(h, _align(own)) for h, own in zip(headings, cells, strict=True)],
        rows=[Row([Cell(text) for text in row]) for row in texts],
        notes=list(notes),
        facts=facts or {},
    )


def _align(cells: Sequence[str]) -> Literal["left", "right", "words"]:
    if max(map(len, cells), default=0) > _LONG:
        return "words"
    figures = all(cell in ("", NONE) or cell[0] in "+-<0123456789" for cell in cells)
    digits = any(character.isdigit() for cell in cells for character in cell)
    return "right" if figures and digits else "left"


def column(name: str, digits: int | None = None) -> Callable[[Any], str]:
    """Prints the field ``name``: a number with ``digits``, anything else as it is."""

    def show(row: Any) -> str:
        value = row[name]
        return str(value) if digits is None else fixed(value, digits)

    return show


def whole(name: str) -> Callable[[Any], str]:
    """Prints the count ``name`` without decimals, also where pandas made a float of it."""
    return column(name, 0)


def signed_column(name: str, digits: int) -> Callable[[Any], str]:
    """Prints a difference: its sign always, also a plus."""
    return lambda row: fixed(row[name], digits, signed=True)


def method_column(name: str = "method") -> Callable[[Any], str]:
    """Prints a method's name as the paper's tables do."""
    return lambda row: paper.label(str(row[name]))


def interval_column(
    digits: int, low: str = "low", high: str = "high", *, signed: bool = False
) -> Callable[[Any], str]:
    """Prints low to high, a dash where there is no interval; ``signed`` for differences."""
    return lambda row: span(row[low], row[high], digits, signed=signed)


def share_column(name: str, digits: int = 0) -> Callable[[Any], str]:
    """Prints a share of 0..1 in per cent, a dash for none."""

    def show(row: Any) -> str:
        value = row[name]
        return f"{value:.{digits}%}" if math.isfinite(value) else NONE

    return show


def share_interval_column(low: str, high: str, digits: int = 0) -> Callable[[Any], str]:
    """Prints the limits of a share in per cent, a dash where there is no interval."""

    def show(row: Any) -> str:
        limits = span(100 * row[low], 100 * row[high], digits)
        return limits if limits == NONE else f"{limits}%"

    return show


def with_dataset(frame: pd.DataFrame, columns: Columns) -> Columns:
    """``columns`` behind one for the data set, where the votes name any."""
    if (frame["dataset"] == "").all():
        return columns
    return {"data set": column("dataset"), **columns}
