"""What the first row of a file says: which columns there are, and of which form the file is."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pandas as pd

from sreval.errors import DataError, UsageError, listed
from sreval.opinions.cells import identifier, plain, with_point
from sreval.opinions.sheet import Rows, Sheet, refuse_twice
from sreval.opinions.votes import (
    COLUMNS,
    IDENTIFIERS,
    REPETITION,
    REQUIRED,
    Place,
    mapped,
)

MEAN = "mos"
"""The column of a table that holds mean opinion scores instead of votes."""

SYNONYMS = {
    "rater": ("participant", "subject", "observer", "worker", "viewer", "voter", "annotator"),
    "image": ("stimulus", "picture"),
    "score": ("rating", "vote", "opinion"),
    MEAN: ("mean_opinion_score",),
}
"""Other heads of a column; case, blanks and an ending ``id``, ``name`` or ``nr`` don't matter."""

UNNAMED = "unnamed"
"""The method of a matrix or table that names none."""

DESCRIBING = ("dataset", "image", "scene", "method")
_KNOWN = (*COLUMNS, REPETITION, MEAN)
_PAIRS = (
    *({"winner"}, {"preferred"}, {"preference"}, {"left", "right"}),
    *({"methoda", "methodb"}, {"method1", "method2"}),
)
FORMS = (
    f"A table with one row per vote needs the columns {', '.join(REQUIRED)}. A matrix of scores "
    "has one row per stimulus and one column per rater, with names in the first row and column "
    "alone."
)
ONE_ROW_A_RATER = (
    "Write one row per vote, with the columns rater, image, method, score (in pandas: "
    "DataFrame.melt), or one row per stimulus and one column per rater."
)


@dataclass(frozen=True)
class Cells:
    """Cells on their way to votes: one row per cell, cast or not, scores as text."""

    frame: pd.DataFrame
    place: Place
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Heads:
    """The first row of a file: its cells, and the columns that they name, by place."""

    cells: list[str]
    known: Mapping[int, str]
    notes: list[str]

    @property
    def names(self) -> set[str]:
        """The columns that there are, by the names that are used here."""
        return set(self.known.values())

    @staticmethod
    def of(path: Path, cells: list[str]) -> Heads:
        """Raises DataError where two columns are one, or might both be."""
        keys = [head_key(cell) for cell in cells]
        known = {place: key for place, key in enumerate(keys) if key in _KNOWN}
        refuse_twice(path, known.values(), "column")
        notes = []
        for name, others in SYNONYMS.items():
            places = [i for i, key in enumerate(keys) if _stem(key) in (name, *others)]
            if name in known.values() or not places:
                continue
            if len(places) > 1:
                raise DataError(
                    f"In {path}, {' and '.join(repr(cells[i]) for i in places)} may both be the "
                    f"column {name}.",
                    f"Name the right one {name}.",
                )
            known[places[0]] = name
            notes.append(f"column {cells[places[0]]!r} is read as {name}.")
        return Heads(cells, known, notes)


def head_key(head: str) -> str:
    """A head in the form in which heads are compared: lower case, ``_`` between words."""
    return re.sub(r"[\s-]+", "_", identifier(head).casefold())


def directions(higher: Sequence[str], lower: Sequence[str]) -> dict[str, bool]:
    """Of each named metric whether higher is better. Raises UsageError for one named both ways."""
    both = set(map(head_key, higher)) & set(map(head_key, lower))
    if both:
        raise UsageError(
            f"{listed(sorted(both))} can't be better when higher and when lower.", "Name it once."
        )
    return dict.fromkeys(higher, True) | dict.fromkeys(lower, False)


def _stem(key: str) -> str:
    return re.sub(r"_?(id|name|nr|no|number)$", "", key)


def _before_number(name: str) -> str | None:
    """What stands before the number of a name that ends in one."""
    found = re.fullmatch(r"(\D*)\d+", name)
    return found and found[1]


def families(names: Sequence[str]) -> set[str]:
    """What stands before the number of two names or more."""
    return {
        stem
        for stem, count in Counter(map(_before_number, names)).items()
        if count > 1 and stem is not None
    }


def all_heads() -> list[str]:
    """Every head that names a column."""
    return [*_KNOWN, *(name for names in SYNONYMS.values() for name in names)]


def form_of(path: Path, heads: Heads) -> Literal["long", "means", "matrix"]:
    """Which form the first row announces. Raises DataError for forms that aren't read."""
    names = heads.names
    keys = {head_key(cell) for cell in heads.cells}
    if names >= set(REQUIRED):
        return "long"
    if any(pair <= {key.replace("_", "") for key in keys} for pair in _PAIRS):
        raise DataError(
            f"{path} holds preferences between two images ({', '.join(heads.cells)}), which "
            "aren't analysed.",
            "Give ratings of single images. For pairs, fit a Bradley-Terry model, for example "
            "with the package choix.",
        )
    if "score" in names or ("rater" in names and names & {"image", "method"}):
        return "long"
    if MEAN in names and "image" not in names and families(heads.cells):
        mean = heads.cells[next(i for i, name in heads.known.items() if name == MEAN)]
        raise DataError(f"In {path}, {mean} is among the raters.", f"Leave it out. {FORMS}")
    if MEAN in names:
        return "means"
    if "dmos" in keys:
        raise DataError(
            f"{path} holds difference scores (dmos), where higher may be better or worse.",
            "If higher is better, name the column mos. If lower is better, first subtract the "
            "values from the top of the scale.",
        )
    if "rater" in names and len(heads.cells) > 1:
        raise DataError(
            f"{path} holds one row per rater ({listed(heads.cells)}).",
            ONE_ROW_A_RATER,
        )
    return "matrix"


def filled_rows(sheet: Sheet) -> list[tuple[int, list[str]]]:
    """The rows below the head that hold anything, with their places, from 1."""
    return [(i, row) for i, row in enumerate(sheet.rows) if i and any(map(str.strip, row))]


def columns_of(sheet: Sheet, heads: Heads, rows: Rows) -> tuple[pd.DataFrame, list[str]]:
    """The cells by column, '' where one is empty, and the names of columns that aren't used."""
    named = {i: heads.known.get(i, cell) for i, cell in enumerate(heads.cells) if cell}
    refuse_twice(sheet.path, named.values(), "column")
    content = {}
    for place, name in named.items():
        cells = mapped(pd.Series([row[place] for row in rows], dtype=object), plain)
        if name in IDENTIFIERS:
            cells = mapped(cells, identifier)
        elif sheet.separator != ",":
            cells = mapped(cells, with_point)
        filled = name in (*IDENTIFIERS, "score")
        content[name] = cells.fillna("") if filled else cells
    frame = pd.DataFrame(content)
    return frame, [name for i, name in named.items() if i not in heads.known]


def place_of(sheet: Sheet, rows: Sequence[tuple[int, list[str]]]) -> Place:
    """Names the rows of ``filled_rows`` as the file counts them."""
    return lambda row: sheet.place(rows[row][0])
