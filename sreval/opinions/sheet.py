"""Tables as rows of text, and what their first row says.

A CSV file by RFC 4180, by comma, semicolon or tab, or a DataFrame; which columns there are, and of
which form the table is.
"""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from sreval.errors import DataError, UsageError, listed, option
from sreval.files import parsing, read_zip, sha256_bytes
from sreval.opinions.cells import identifier, name_in, plain, with_point
from sreval.opinions.votes import (
    COLUMNS,
    IDENTIFIERS,
    REPETITION,
    REQUIRED,
    Place,
    mapped,
)
from sreval.reading import from_json, read_bytes

_SEPARATORS = ("\t", ";", ",")
_SAID = re.compile(r'\A"?sep=[,;\t]"?\r?\n')
"""The line by which a spreadsheet says which separator follows."""

_ZIP = b"PK\x03\x04"
"""How a zip file begins."""

_VOTES, _MANIFEST, _STUDIES = "votes.csv", "manifest.json", "studies.csv"
"""The votes of an export, what states their SHA-256, and what only a backup holds."""

_BYTES = 512 * 2**20
"""The most that a table of votes may have: some five million rows."""

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

    @property
    def filled(self) -> list[tuple[int, list[str]]]:
        """The rows below the head that hold anything, with their places, from 1."""
        return [(i, row) for i, row in enumerate(self.rows) if i and any(map(str.strip, row))]

    @property
    def square(self) -> bool:
        """Whether the heads, but for the first, are the names of the rows."""
        heads = [identifier(plain(cell)) for cell in self.rows[0]][1:]
        names = [identifier(plain(row[0])) for _, row in self.filled]
        return len(heads) > 1 and sorted(heads) == sorted(names) and len(set(names)) == len(names)


_EXPECTED = "One row per vote, or one row per stimulus, is expected."


def read_text(path: Path, expected: str = _EXPECTED) -> str:
    """The text of a UTF-8 file (or UTF-16 with its mark, as spreadsheets write), without a mark.

    Of the export of a study, a zip or a folder, it is the table of votes. ``expected`` is what an
    empty one is told. Raises DataError for a file that can't be read, isn't text or is empty.
    """
    in_folder = (path / _VOTES).is_file()
    try:
        data = read_bytes(path / _VOTES if in_folder else path, _BYTES)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"Can't read {path}: {reason}.") from error
    if in_folder or data[:4] == _ZIP:
        data = _of_export(path)
    utf16 = data[:2] in (b"\xff\xfe", b"\xfe\xff")
    try:
        text = data.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} isn't UTF-8 text.", "Save it as CSV in UTF-8.") from error
    if not text.strip():
        raise DataError(f"{path} is empty.", expected)
    return text


def _of_export(path: Path) -> bytes:
    """The votes in what `sreval study export` writes, a zip or a folder."""
    names = {_VOTES, _MANIFEST, _STUDIES}
    with parsing(
        path, "the export of a study", "Save a table as CSV in UTF-8, or export the study again."
    ):
        if path.is_dir():
            files = {n: (path / n).read_bytes() for n in names if (path / n).is_file()}
        else:
            files = read_zip(path, names.__contains__)
        if _VOTES not in files:
            raise ValueError(f"it holds no {_VOTES}")
        own = sha256_bytes(files[_VOTES])
        stated = from_json(files[_MANIFEST])["sha256"][_VOTES] if _MANIFEST in files else own
    if _STUDIES in files:
        raise DataError(
            f"{path} is a backup, perhaps of several studies.",
            "Name an export: sreval study export STUDY",
        )
    if own != stated:
        raise DataError(
            f"{_VOTES} in {path} was changed.",
            f"Export the study again. To use the changed votes, unpack {_VOTES} and name it.",
        )
    return files[_VOTES]


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


def sheet_of_frame(frame: pd.DataFrame, expected: str = _EXPECTED) -> Sheet:
    """A frame as the CSV file that it could be: its heads, then its cells as text.

    ``expected`` is what an empty one is told.

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
        raise DataError(f"{FRAME} is empty.", expected)
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


MEAN = "mos"
"""The column of a table that holds mean opinion scores instead of votes."""

SYNONYMS = {
    "rater": (
        *("participant", "subject", "observer", "worker", "viewer", "voter", "annotator"),
        *("user", "judge", "assessor", "evaluator", "respondent"),
    ),
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
    *(
        {f"{word}{one}", f"{word}{two}"}
        for word in ("method", "condition", "model")
        for one, two in ("ab", "12")
    ),
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
    def of(
        path: Path,
        cells: list[str],
        columns: Collection[str] = _KNOWN,
        synonyms: Mapping[str, Sequence[str]] = SYNONYMS,
    ) -> Heads:
        """Raises DataError where two columns are one, or might both be."""
        keys = [head_key(cell) for cell in cells]
        known = {place: key for place, key in enumerate(keys) if key in columns}
        refuse_twice(path, known.values(), "column")
        notes = []
        for name, others in synonyms.items():
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

    def form(self, path: Path) -> Literal["long", "means", "matrix"]:
        """Which form the first row announces. Raises DataError for forms that aren't read."""
        names = self.names
        keys = {head_key(cell) for cell in self.cells}
        if names >= set(REQUIRED):
            return "long"
        if any(pair <= {key.replace("_", "") for key in keys} for pair in _PAIRS):
            raise DataError(
                f"{path} holds preferences between two images ({listed(self.cells, 9)}), not "
                "ratings of single ones.",
                f"Use {option(f'sreval preferences {path}', 'sreval.preferences(...)')}.",
            )
        if "score" in names or ("rater" in names and names & {"image", "method"}):
            return "long"
        if MEAN in names and "image" not in names and families(self.cells):
            mean = self.cells[next(i for i, name in self.known.items() if name == MEAN)]
            raise DataError(f"In {path}, {mean} is among the raters.", f"Leave it out. {FORMS}")
        if MEAN in names:
            return "means"
        if "dmos" in keys:
            raise DataError(
                f"{path} holds difference scores (dmos), where higher may be better or worse.",
                "If higher is better, name the column mos. If lower is better, first subtract the "
                "values from the top of the scale.",
            )
        if "rater" in names and len(self.cells) > 1:
            raise DataError(
                f"{path} holds one row per rater ({listed(self.cells)}).",
                ONE_ROW_A_RATER,
            )
        return "matrix"

    def columns(
        self, sheet: Sheet, rows: Rows, identifiers: Collection[str] = IDENTIFIERS
    ) -> tuple[pd.DataFrame, list[str]]:
        """The cells by column, and the names of columns that aren't used.

        A cell of ``identifiers`` is '' where it is empty.
        """
        named = {i: self.known.get(i, cell) for i, cell in enumerate(self.cells) if cell}
        refuse_twice(sheet.path, named.values(), "column")
        content = {}
        for place, name in named.items():
            cells = mapped(pd.Series([row[place] for row in rows], dtype=object), plain)
            if name in identifiers:
                cells = mapped(cells, partial(name_in, name))
            elif sheet.separator != ",":
                cells = mapped(cells, with_point)
            filled = name in (*identifiers, "score")
            content[name] = cells.fillna("") if filled else cells
        frame = pd.DataFrame(content)
        return frame, [name for i, name in named.items() if i not in self.known]


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
