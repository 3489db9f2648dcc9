"""Tables as rows of text: a CSV file by RFC 4180, by comma, semicolon or tab; a DataFrame."""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from sreval.errors import DataError, listed

_SEPARATORS = ("\t", ";", ",")
_SAID = re.compile(r'\A"?sep=[,;\t]"?\r?\n')
"""The line by which a spreadsheet says which separator follows."""

_LOOKED_AT = 50
"""The rows that decide which separator is used."""

Rows = list[list[str]]

Source = Path | str | pd.DataFrame
"""Where a table is: a file, or a frame."""

FRAME = Path("the DataFrame")
"""What messages call a table that came as a frame, in the place of its file."""


@dataclass(frozen=True)
class Sheet:
    """``rows`` of one length, as in the file, without empty lines.

    ``lines`` are the lines of the file on which they begin, from 1; None where it has no lines.
    ``labels`` are what a frame calls them.
    """

    path: Path
    rows: Rows
    separator: str
    lines: list[int] | None = None
    labels: list[str] | None = None

    def place(self, row: int) -> str:
        """How messages name a row: by its line, its label, or counted from the head, which is 0."""
        if self.labels is not None:
            return f"row {self.labels[row]}"
        return f"row {row}" if self.lines is None else f"line {self.lines[row]}"


def read_text(path: Path) -> str:
    """The text of a UTF-8 file (or UTF-16 with its mark, as spreadsheets write), without a mark.

    Raises DataError for a file that can't be read, isn't text or is empty.
    """
    try:
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"Can't read {path}: {reason}.") from error
    utf16 = data[:2] in (b"\xff\xfe", b"\xfe\xff")
    try:
        text = data.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} isn't UTF-8 text.", "Save it as CSV in UTF-8.") from error
    if not text.strip():
        raise DataError(
            f"{path} is empty.", "One row per vote, or one row per stimulus, is expected."
        )
    return text


def parse(path: Path, text: str, heads: Iterable[str] = ()) -> Sheet:
    """The rows of ``text``, the file's content, by the separator that fits.

    It is the one by which the first row names most of ``heads`` (in any case), else the one that
    gives rows of one length. Raises DataError for rows of different lengths and misplaced quotes.
    """
    known = {head.casefold() for head in heads}
    text, said = _SAID.subn("", text, count=1)

    def fit(separator: str) -> tuple[int, bool, bool, bool]:
        try:
            begun = itertools.islice(_rows(path, text, separator), _LOOKED_AT)
            rows = [row for _, row in begun]
        except DataError:
            rows = []
        lengths = {len(row) for row in rows}
        named = sum(cell.strip().casefold() in known for cell in rows[0]) if rows else 0
        several = bool(rows) and len(rows[0]) > 1
        return named, several and len(lengths) == 1, several, (separator != ",") == several

    separator = max(_SEPARATORS, key=fit)
    found = list(_rows(path, text, separator))
    lines, rows = [line + said for line, _ in found], [row for _, row in found]
    if not rows:
        raise DataError(
            f"{path} holds no rows.", "One row per vote, or one per stimulus, is expected."
        )
    width = len(rows[0])
    for line, row in zip(lines, rows, strict=True):
        if len(row) != width:
            raise DataError(
                f"{path} isn't a rectangular CSV: line {line} has {len(row)} cells, but the first "
                f"row has {width}.",
                f"Put quotes around a cell that holds {_named(separator)}.",
            )
    while width > 1 and not any(row[-1].strip() for row in rows):
        width -= 1
        rows = [row[:width] for row in rows]
    for other, what in (("|", "vertical bars (|)"), (":", "colons"), (None, "blanks")):
        widths = {len(row[0].split(other)) for row in rows}
        if width == 1 and len(rows) > 1 and len(widths) == 1 and max(widths) > 2:
            raise DataError(
                f"The cells of {path} are separated by {what}.",
                "Separate them by commas, semicolons or tabs.",
            )
    return Sheet(path, rows, separator, lines)


def read_sheet(source: Source, heads: Iterable[str] = ()) -> Sheet:
    """The rows of a CSV file, or of a frame. Raises as ``read_text`` and ``parse`` do."""
    if isinstance(source, pd.DataFrame):
        return sheet_of_frame(source)
    path = Path(source)
    return parse(path, read_text(path), heads)


def sheet_of_frame(frame: pd.DataFrame) -> Sheet:
    """A frame as the CSV file that it could be: its heads, then its cells as text.

    What is missing (None, NaN, NaT, NA) is an empty cell. Levels of the index that have a name,
    and an index of names, are columns before the others; an index of numbers only counts the
    rows. A frame whose columns were never named, 0..n - 1, has no row of heads.

    Raises DataError for an empty frame and for columns of several levels.
    """
    if isinstance(frame.columns, pd.MultiIndex):
        raise DataError(
            f"{FRAME} has columns of {frame.columns.nlevels} levels.",
            "Give each column one name, as frame.columns = [...] does.",
        )
    if frame.empty:
        raise DataError(f"{FRAME} is empty.", "One row a vote, or one row a stimulus, is expected.")
    heads, columns = [], []
    for level in range(frame.index.nlevels):
        index = frame.index.get_level_values(level)
        if index.name is not None or index.dtype.kind not in "iuf":
            heads.append("" if index.name is None else str(index.name))
            columns.append(_texts(index.to_series()))
    columns += [_texts(frame.iloc[:, place]) for place in range(frame.shape[1])]
    rows = [list(cells) for cells in zip(*columns, strict=True)]
    labels = list(map(_text, frame.index))
    if heads or not unnamed(frame):
        rows.insert(0, [*heads, *map(_text, frame.columns)])
        labels.insert(0, "of heads")
    return Sheet(FRAME, rows, ",", labels=labels)


def unnamed(frame: pd.DataFrame) -> bool:
    """Whether nobody named the columns of a frame: they count from 0."""
    return isinstance(frame.columns, pd.RangeIndex) and frame.columns.start == 0


def _texts(column: pd.Series) -> list[str]:
    empty = column.isna().to_numpy()
    return [
        "" if missing else _text(value)
        for value, missing in zip(column.to_list(), empty, strict=True)
    ]


def _text(value: object) -> str:
    """A cell as a file would hold it: 3.0, a float for want of integers with gaps, is 3."""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def _rows(path: Path, text: str, separator: str) -> Iterable[tuple[int, list[str]]]:
    """The rows that hold anything, with the lines on which they begin, from 1."""
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=separator, strict=True, skipinitialspace=True
    )
    before = 0
    try:
        for row in reader:
            if len(row) > 1 or "".join(row).strip():
                yield before + 1, row
            before = reader.line_num
    except csv.Error as error:
        raise DataError(
            f"{path}, line {reader.line_num}: {error}.",
            "Put quotes around the whole cell, and write a quote within it twice (RFC 4180).",
        ) from None


def _named(separator: str) -> str:
    return {",": "a comma", ";": "a semicolon", "\t": "a tab"}[separator]


def refuse_twice(path: Path, names: Iterable[str], what: str, start: int = 1) -> None:
    """Raise DataError for a name that is there twice, by its columns, counted from ``start``."""
    places: dict[str, list[int]] = {}
    for place, name in enumerate(names, start):
        places.setdefault(name, []).append(place)
    for name, own in places.items():
        if len(own) > 1:
            raise DataError(
                f"{path} names the {what} {name!r} in columns {listed(own)}.",
                "Give every column a name of its own.",
            )
