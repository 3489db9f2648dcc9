"""Votes as a matrix of scores: one row a stimulus, one column a rater."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from sreval.errors import DataError, listed
from sreval.statistics.cells import identifier, is_number, number, plain, shown, with_point
from sreval.statistics.heads import (
    DESCRIBING,
    FORMS,
    UNNAMED,
    Cells,
    Heads,
    all_heads,
    columns_of,
    head_key,
)
from sreval.statistics.sheet import Rows, Sheet, parse, read_text, refuse_twice
from sreval.statistics.votes import STIMULUS, row_number

_NO_RATERS = {
    *("mean", "average", "median", "sd", "std", "variance", "sum", "total", "count"),
    *("age", "sex", "gender", "timestamp"),
}
_ROW_HEADS = ("", "unnamed:_0", "index")


@dataclass(frozen=True)
class _Matrix:
    """Cells of text below ``header``, of which the first ``width`` columns name the stimuli."""

    path: Path
    heads: list[str]
    known: Mapping[int, str]
    body: Rows
    width: int

    @property
    def raters(self) -> list[str]:
        """The raters' names, r1 and so on without a header."""
        count = len(self.body[0]) - self.width
        if not self.heads:
            return numbered(count)
        names = [identifier(head) for head in self.heads[self.width :]]
        for place, name in enumerate(names, self.width + 1):
            if not name:
                raise DataError(f"In {self.path}, column {place} names no rater.", "Name each.")
            if head_key(name) in _NO_RATERS:
                raise DataError(
                    f"In {self.path}, column {place} ({name}) is no rater.",
                    "Leave the column out, or name the rater otherwise.",
                )
        refuse_twice(self.path, names, "rater", self.width + 1)
        return names

    def described(self, stimuli: Path | None) -> pd.DataFrame:
        """One row a stimulus: image, method and what else the labels or ``stimuli`` name."""
        columns = {
            self.known.get(place, "image"): [identifier(row[place]) for row in self.body]
            for place in range(self.width)
            if place in self.known or "image" not in self.known.values()
        }
        for name, cells in columns.items():
            if "" in cells:
                row = row_number(cells.index(""))
                raise DataError(f"In {self.path}, {row} has no {name}.", "Name every stimulus.")
        frame = pd.DataFrame(columns, index=range(len(self.body)))
        if stimuli is not None:
            frame = _description(stimuli, self.path, frame)
        if "image" not in frame:
            frame["image"] = [str(row + 1) for row in frame.index]
        frame = frame.assign(method=frame.get("method", UNNAMED))
        key = [name for name in STIMULUS if name in frame]
        twice = frame[frame.duplicated(key, keep=False)]
        if len(twice):
            raise DataError(
                f"{self.path} has the stimulus {'/'.join(twice[key].iloc[0])} in "
                f"{' and '.join(map(row_number, twice.index[:2]))}.",
                "Give each stimulus one row, and its image or method a name of its own.",
            )
        return frame


def read_matrix(
    sheet: Sheet,
    heads: Heads,
    stimuli: Path | None,
    header: bool | None,
    labels: bool | None,
    missing: Sequence[str],
) -> Cells:
    """The cells of a matrix; arguments as in ``reading.read_ratings``.

    Raises DataError where the first row or column may be names or votes, for a column that is
    no rater's, a name that is there twice, and a cell that is neither score nor missing.
    """
    rows = [[plain(cell) for cell in row] for row in sheet.rows]
    if sheet.separator != ",":
        rows = [[with_point(cell) for cell in row] for row in rows]
    width, named = _label_columns(rows, heads, header, labels)
    notes: list[str] = []
    if header is None:
        header = named or _is_header(sheet.path, rows[0][width:], notes)
    body = rows[1:] if header else rows
    if not body or len(body[0]) == width:
        raise DataError(f"{sheet.path} holds names but no votes.", FORMS)
    names = rows[0] if header else []
    labels_of = {i: name for i, name in heads.known.items() if i < width and name in DESCRIBING}
    matrix = _Matrix(sheet.path, names, labels_of, body, width)
    stray = [heads.cells[place] for place in heads.known if place >= width]
    if stray and header:
        raise DataError(
            f"{sheet.path} holds {listed(stray)} among the raters of a matrix.",
            f"Put columns that name the stimuli first. {FORMS}",
        )
    raters = matrix.raters
    if labels is None and not width and _may_number(body, names):
        raise DataError(
            f"The first column of {sheet.path} may hold votes or number the stimuli: it begins "
            f"{', '.join(row[0] for row in body[:3])}.",
            "Say which by --labels no or --labels yes.",
        )
    _refuse_words(matrix, missing, heads)
    described = matrix.described(stimuli)
    scores = [cell for row in body for cell in row[width:]]
    frame = described.loc[described.index.repeat(len(raters))].reset_index(drop=True)
    frame = frame.assign(rater=raters * len(body), score=scores)

    def place(cell: int) -> str:
        row, column = divmod(cell, len(raters))
        return f"{row_number(row)}, column {column + width + 1}"

    return Cells(frame.astype(object), place, notes)


def _label_columns(
    rows: Rows, heads: Heads, header: bool | None, labels: bool | None
) -> tuple[int, bool]:
    """How many columns name the stimuli, and whether the first row is known by that as a header."""
    first, below = rows[0], [row[0] for row in rows[1:]]
    named = 0
    if header is not False and labels is not False:
        for place, head in enumerate(first):
            if heads.known.get(place) not in DESCRIBING and head_key(head) not in _ROW_HEADS[1:]:
                break
            named += 1
    if named:
        return named, True
    if labels is not None:
        return int(labels), False
    if not first[0] and (header or not any(map(is_number, first))) and len(first) > 1:
        return int(header is not False), header is not False
    words = bool(below) and all(cell and not is_number(cell) for cell in below)
    return int(words), False


def _is_header(path: Path, cells: list[str], notes: list[str]) -> bool:
    """Whether the first row names raters. Raises DataError where it may be names or votes."""
    filled = [cell for cell in cells if cell]
    numeric = [number(cell) for cell in filled if is_number(cell)]
    if not numeric:
        return bool(filled)
    repeated = len(numeric) - len(set(numeric))
    if len(numeric) == len(filled) and 2 * repeated >= len(numeric):
        notes.append("the first row is read as votes, since its numbers repeat (--header no).")
        return False
    raise DataError(
        f"The first row of {path} may hold votes or raters' names: it begins "
        f"{', '.join(cells[:5])}.",
        "Say which by --header no or --header yes.",
    )


def _may_number(body: Rows, names: Sequence[str]) -> bool:
    """Whether the first column counts or numbers the rows, under a head unlike the others."""
    cells = [row[0] for row in body]
    alike = len({re.sub(r"\d+", "", name) for name in names}) == 1
    if alike or len(cells) < 2 or not all(map(is_number, cells)):
        return False
    values = list(map(number, cells))
    gapless = len(values) > 3 and (
        max(values) - min(values) == len(values) - 1 == len(set(values)) - 1
    )
    rising = all(one < other for one, other in itertools.pairwise(values))
    return (gapless or rising) and all(value.is_integer() for value in values)


def _refuse_words(matrix: _Matrix, missing: Sequence[str], heads: Heads) -> None:
    words = {word.strip().casefold() for word in missing} | {""}
    bad = [
        f"{row_number(row)}, column {column + 1}: {shown(cells[column])}"
        for row, cells in enumerate(matrix.body)
        for column in range(matrix.width, len(cells))
        if cells[column].casefold() not in words and not is_number(cells[column])
    ]
    if bad:
        raise DataError(
            f"{matrix.path} has no score in {listed(bad)}. Its first row: "
            f"{listed(heads.cells, 8)}.",
            f"{FORMS} What stands for a vote not cast is named by --missing.",
        )


def _description(stimuli: Path, path: Path, labels: pd.DataFrame) -> pd.DataFrame:
    """The stimuli of a matrix, by a file of their own; labels of the matrix must not differ."""
    sheet = parse(stimuli, read_text(stimuli), all_heads())
    heads = Heads.of(stimuli, [plain(cell) for cell in sheet.rows[0]])
    if "image" not in heads.names:
        raise DataError(
            f"{stimuli} has no column 'image'; it has {', '.join(heads.cells)}.",
            "Name what was rated in columns image, method, dataset, scene.",
        )
    frame, _ = columns_of(sheet, heads, sheet.rows[1:])
    frame = frame[[name for name in DESCRIBING if name in frame]]
    if len(frame) != len(labels):
        raise DataError(
            f"{stimuli} describes {len(frame)} stimuli, but {path} has {len(labels)} rows of "
            "votes.",
            "Write one row a stimulus, in the order of the matrix.",
        )
    numbers_only = [[str(i + start) for i in range(len(frame))] for start in (0, 1)]
    for name in labels:
        own = labels[name].to_list()
        other = frame[name].to_list() if name in frame else own
        for row, (one, two) in enumerate(zip(own, other, strict=True)):
            if one != two and own not in numbers_only:
                raise DataError(
                    f"{row_number(row).capitalize()} is {one!r} in {path}, but {two!r} in "
                    f"{stimuli}.",
                    "Bring both into one order.",
                )
    return frame


def numbered(count: int) -> list[str]:
    """Names of ``count`` raters that have none: r1, r2 and so on, with leading zeros."""
    return [f"r{i + 1:0{len(str(count))}}" for i in range(count)]
