"""One reader for opinions that were collected anywhere: long CSV, matrix CSV, JSON, MOS tables.

Votes as JSON are [method][rater][image], or a list of objects that is a table.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sreval.errors import DataError, StatisticsError, UsageError, listed, option, shown
from sreval.opinions.cells import identifier, is_flag, is_number, number, plain
from sreval.opinions.matrix import numbered, read_matrix
from sreval.opinions.sheet import (
    FRAME,
    MEAN,
    UNNAMED,
    Cells,
    Heads,
    Sheet,
    Source,
    all_heads,
    head_key,
    parse,
    read_text,
    sheet_of_frame,
)
from sreval.opinions.tasks import TaskName
from sreval.opinions.votes import (
    ACR,
    FLAGS,
    REQUIRED,
    STIMULUS,
    Scale,
    check_votes,
    flags,
    mapped,
    numbers,
    on_scale,
    refuse,
    refuse_case,
    scale_in,
)
from sreval.reading import from_json

_NEVER_MISSING = ("rater", *STIMULUS, "position")
DESCRIBED = (*STIMULUS, "scene", "study", "class", MEAN, "ci95", "simulated", "stand_in")
"""The columns of a table of means that aren't metrics."""


@dataclass(frozen=True)
class Reading:
    """What a file holds: ``table``, and ``notes`` on what was ignored or assumed.

    ``table`` has one row per vote, as ``check_votes`` gives it; or, of mean opinion scores
    (``is_means``), one row per stimulus, of each study where it names any, with the columns
    dataset, image, method, scene, mos, simulated, stand_in, and the file's further columns as
    text; its index names the file's rows.
    """

    table: pd.DataFrame
    notes: tuple[str, ...] = ()

    @property
    def votes(self) -> pd.DataFrame:
        """The checked votes. Raises StatisticsError for a table of means."""
        if is_means(self.table):
            raise needs_votes("This")
        return self.table


def is_means(table: pd.DataFrame) -> bool:
    """Whether a table that was read holds mean opinion scores instead of votes."""
    return "score" not in table


def needs_votes(what: str) -> StatisticsError:
    """The error for an analysis of votes that is given a table of means."""
    return StatisticsError(
        f"{what} needs votes; this table has mean opinion scores.",
        "Give one row per vote, with the columns rater, image, method, score.",
    )


def read_ratings(
    source: Source,
    *,
    scale: Scale | None = None,
    stimuli: Source | None = None,
    header: bool | None = None,
    labels: bool | None = None,
    missing: Sequence[str] = (),
    whole_methods: bool = False,
    task: TaskName | None = None,
) -> Reading:
    """The checked opinions in a file, or in a frame, whichever form it has.

    - Long: a CSV whose first row names rater, image, method and score, or JSON with a list of
      such objects; one row per vote. A row without a score is a missing vote.
    - Matrix: any other CSV, one row per stimulus and one column per rater, empty where no vote was
      cast. ``header`` and ``labels`` say whether its first row and column hold names; the
      command asks where they might be votes. ``stimuli`` is a CSV with one row per stimulus that
      names, in columns dataset, image, scene and method, what was rated; without it the image is
      the label or the row's number, from 1.
    - JSON: [method][rater][image] nested lists, null where no vote was cast, or an object of
      such [rater][image] lists by method name.
    - Means: a CSV with the columns image and mos, and method, dataset, scene, study where they
      differ; with ``whole_methods`` also one with method and mos, but no image, which is then ''.

    ``task`` and ``scale`` as in ``check_votes``; without a scale it is what a column
    ``rating_scale`` says, else 1..5.

    A frame is read as the CSV file that it could be written to; see ``sheet_of_frame``. Its columns
    are its first row, so ``header`` can't be given.

    CSV is that of RFC 4180, by comma, semicolon or tab, in UTF-8. 0 is a score like any other;
    ``missing`` names what stands for an empty cell or null, in every column but rater, image,
    method, dataset and position; a flag stays a flag.

    Raises DataError for a file that can't be read, is empty, ragged or of another kind;
    UsageError for an option that doesn't go with the form; what check_votes raises, with the file.
    """
    matrix_options = {"stimuli": stimuli, "header": header, "labels": labels}
    given = [option(f"--{n}", n) for n, value in matrix_options.items() if value is not None]
    if isinstance(source, pd.DataFrame):
        if header is not None:
            raise UsageError(
                "A DataFrame has columns, so header says nothing.", "Leave it out: header=None."
            )
        path, sheet = FRAME, sheet_of_frame(source)
        header = len(sheet.rows) > len(source)
        if labels is None and not header and pd.api.types.is_numeric_dtype(source.dtypes.iloc[0]):
            labels = False  # where nobody named a column, the first is a rater's like the others
    else:
        path = Path(source)
        text = read_text(path)
        content = read_json(path, text) if is_json(path, text) else None
        if isinstance(content, list) and all(isinstance(row, dict) for row in content):
            sheet = sheet_of(path, content)
        elif content is not None:
            _refuse_options(path, given)
            cells = read_nested(path, content)
            return _named(path, lambda: _checked(path, cells, scale, missing, task))
        else:
            sheet = parse(path, text, all_heads())
    heads = Heads.of(path, [plain(cell) for cell in sheet.rows[0]])
    form = heads.form(path)
    if form == "matrix" and labels is None:
        _refuse_wins(sheet)
    if form != "matrix":
        _refuse_options(path, given)
    if form == "means":
        return _named(path, lambda: _means(sheet, heads, scale or ACR, missing, whole_methods))
    if form == "matrix":
        cells = read_matrix(sheet, heads, stimuli, header, labels, missing)
    else:
        cells = _long(sheet, heads)
    return _named(path, lambda: _checked(path, cells, scale, missing, task))


def is_json(path: Path, text: str) -> bool:
    """Whether a file's text is to be read as JSON, by its name or how it begins."""
    return path.suffix.lower() == ".json" or text.lstrip()[0] in "[{"


def _refuse_options(path: Path, given: Sequence[str]) -> None:
    if given:
        raise UsageError(
            f"{path} isn't a matrix of scores, so {' and '.join(given)} can't be used.",
            f"Leave out {' and '.join(given)}.",
        )


def _refuse_wins(sheet: Sheet) -> None:
    """Raise DataError for a matrix of wins: methods both ways, and none against itself."""
    rows = [row for _, row in sheet.filled]
    if not sheet.square or all(is_number(plain(row[0])) for row in rows):
        return
    heads = [identifier(plain(cell)) for cell in sheet.rows[0]]
    own = [plain(row[heads.index(identifier(plain(row[0])), 1)]) for row in rows]
    if all(number(cell) == 0 if is_number(cell) else True for cell in own):
        raise DataError(
            f"{sheet.path} names the same in its first row and column ({listed(heads[1:])}), as a "
            "matrix of wins does.",
            f"Use {option(f'sreval preferences {sheet.path}', 'sreval.preferences(...)')}. If its "
            f"columns are raters, say so by {option('--labels yes', 'labels=True')}.",
        )


def _named(path: Path, read: Callable[[], Reading]) -> Reading:
    """What ``read`` gives; its refusals name the file."""
    try:
        return read()
    except StatisticsError as error:
        raise StatisticsError(f"{path}: {error.message}", error.remedy) from None


def _checked(
    path: Path, found: Cells, scale: Scale | None, missing: Sequence[str], task: TaskName | None
) -> Reading:
    """The votes that were cast."""
    told, notes = _emptied(found.frame, "score", missing, "votes not cast")
    scores = told["score"]
    rows = np.flatnonzero((scores != "").to_numpy())
    frame = told.iloc[rows]
    without = sorted(set(told["method"].unique()) - set(frame["method"].unique()) - {""})
    if without and len(frame):
        notes.append(f"no vote was cast on {listed(without)}.")
    scale = scale or scale_in(frame)
    votes = check_votes(frame, scale, lambda row: found.place(int(rows[row])), task)
    notes += _unused_ends(votes["score"], scale)
    return Reading(votes, tuple(f"{path}: {note}" for note in (*found.notes, *notes)))


def _unused_ends(scores: pd.Series, scale: Scale) -> list[str]:
    """What is said where votes on another scale than 1 to 5 leave an end out, or use a tenth of it.

    A scale that was read wrongly looks so: 1 to 10 as 0 to 10, or shares as 0 to 100.
    """
    least, most = float(scores.min()), float(scores.max())
    used = most - least > (scale.high - scale.low) / 10
    fits = used if not scale.spacing else least == scale.low and most == scale.high
    if fits or (scale.low, scale.high) == (ACR.low, ACR.high):
        return []
    return [
        f"the votes run from {least:g} to {most:g} on the scale {scale}; if they were given on "
        f"another, name it, as in {on_scale('0..100')}."
    ]


def _emptied(
    frame: pd.DataFrame, opinion: str, missing: Sequence[str], what: str
) -> tuple[pd.DataFrame, list[str]]:
    """``frame`` with '' in the cells that ``missing`` names, and notes on how many there are.

    Names of raters and of what was rated stay, positions, and flags that are flags: 0 may mean
    no, and a position may count from 0.
    """
    notes = []
    told = frame.copy()
    for word in missing:
        if not word.strip():
            raise UsageError(
                f"{option('--missing')} names an empty text.",
                "Leave it out: an empty cell is a missing vote anyway.",
            )
        counts = {True: 0, False: 0}
        for column in [str(name) for name in frame if name not in _NEVER_MISSING]:
            cells = frame[column]
            meant = {cell: _means_missing(cell, word, column) for cell in cells.unique()}
            there = cells.map(meant).astype(bool)
            told[column] = told[column].mask(there, "")
            counts[column == opinion] += int(there.sum())
        notes.append(f"cells taken as {what} ({word}): {counts[True]}.")
        if counts[False]:
            notes.append(f"further cells taken as empty ({word}): {counts[False]}.")
    return told, notes


def _means_missing(cell: object, word: str, column: str) -> bool:
    if not isinstance(cell, str) or not cell or (column in FLAGS and is_flag(cell)):
        return False
    word = word.strip()
    alike = is_number(cell) and is_number(word) and number(cell) == number(word)
    return alike or cell.casefold() == word.casefold()


# One row per vote, or a stimulus


def _long(sheet: Sheet, heads: Heads) -> Cells:
    missing = [name for name in REQUIRED if name not in heads.names]
    if missing:
        raise DataError(
            f"The votes in {sheet.path} lack {', '.join(missing)}: the columns are "
            f"{', '.join(heads.cells)}.",
            f"Name the columns {', '.join(REQUIRED)}.",
        )
    rows = sheet.filled
    frame, further = heads.columns(sheet, [row for _, row in rows])
    notes = list(heads.notes)
    if further:
        notes.append(f"further columns are ignored: {listed(further, 20)}.")
    return Cells(frame, lambda row: sheet.place(rows[row][0]), notes)


def _means(
    sheet: Sheet, heads: Heads, scale: Scale, missing: Sequence[str], whole_methods: bool
) -> Reading:
    """A table of mean opinion scores; ``metric_values`` makes numbers of further columns."""
    of_methods = whole_methods and "image" not in heads.names and "method" in heads.names
    if "image" not in heads.names and not of_methods:
        raise DataError(
            f"The mean opinion scores in {sheet.path} lack the column image: the columns are "
            f"{', '.join(heads.cells)}.",
            "Name the column that holds the images image.",
        )
    rows = sheet.filled
    if not rows:
        raise StatisticsError("The table holds no scores.", "One row per stimulus is expected.")
    frame, _ = heads.columns(sheet, [row for _, row in rows])
    frame, emptied = _emptied(frame, MEAN, missing, "no mean opinion score")

    def place(row: int) -> str:
        return sheet.place(rows[row][0])

    key = "method" if of_methods else "image"
    refuse(frame[key], frame[key] == "", f"Column {key!r} has an empty cell", "Name it.", place)
    if of_methods:
        frame["image"] = ""
    frame[MEAN] = numbers(frame[MEAN], place)
    outside = (frame[MEAN] < scale.low) | (frame[MEAN] > scale.high)
    what = f"Column '{MEAN}' has a number outside {scale}"
    refuse(frame[MEAN], outside, what, f"Name the scale, as in {on_scale('0..100')}.", place)
    for column, default in (("dataset", ""), ("method", UNNAMED), ("scene", frame["image"])):
        own = frame[column] if column in frame else pd.Series("", frame.index, dtype=object)
        frame[column] = own.where(own != "", default)
    refuse_case(frame)
    stimulus = [*STIMULUS, *(name for name in ["study"] if name in frame)]
    twice = frame.duplicated(stimulus, keep=False)
    refuse(frame[key], twice, "One stimulus has two rows", "Keep one of them.", place)
    notes = tuple(f"{sheet.path}: {note}" for note in (*heads.notes, *emptied))
    for mark in ("simulated", "stand_in"):
        frame[mark] = flags(frame[mark], False, place) if mark in frame else False
    return Reading(frame.set_axis(list(map(place, range(len(rows))))), notes)


def metric_key(name: str) -> str:
    """A metric's name in the form in which heads are compared, its unit aside."""
    return head_key(name).removesuffix("_(db)")


def metric_values(table: pd.DataFrame, metrics: Iterable[str]) -> pd.DataFrame:
    """A table of means with the columns of ``metrics`` as floats under these names.

    Case, and separators between words, don't matter to a name; inf and an empty cell may be
    there. Raises StatisticsError for any other cell that isn't a number, with its row, and for a
    name that no column has.
    """
    columns = {metric_key(str(column)): column for column in table}
    found = table.copy()
    for name in metrics:
        if metric_key(name) not in columns:
            raise StatisticsError(
                f"The table has no column {name!r}.", f"It has {', '.join(map(str, table))}."
            )
        cells = table[columns[metric_key(name)]]
        infinite = mapped(cells, str).map(lambda cell: str(cell).casefold() in ("inf", "infinity"))
        finite = numbers(cells.mask(infinite), lambda row: str(table.index[row]))
        found[name] = finite.mask(infinite, np.inf)
    return found


_NESTED = "Write [method][rater][image] as lists within lists, null where no vote was cast."


def read_json(path: Path, text: str, forms: str = _NESTED) -> list[Any] | dict[str, Any]:
    """The content, numbers as text, so that the rule of every other form reads them.

    ``forms`` says what it may hold, where it can't be read or is empty.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        for name, count in Counter(name for name, _ in pairs).items():
            if count > 1:
                raise DataError(
                    f"{path} has the name {shown(name)} twice in one object.", "Rename one."
                )
        return dict(pairs)

    try:
        from_json(text)  # it refuses half a surrogate, which can't be written anywhere
        content = json.loads(
            text, object_pairs_hook=unique, parse_int=str, parse_float=str, parse_constant=str
        )
    except (ValueError, RecursionError) as error:
        raise DataError(f"Can't read {path}: {error}.", forms) from None
    if not content or not isinstance(content, list | dict):
        raise DataError(f"{path} holds no opinions.", forms)
    return content


def read_nested(path: Path, content: list[Any] | dict[str, Any]) -> Cells:
    """Votes by [method][rater][image]."""
    tables = content if isinstance(content, dict) else dict(enumerate(content, 1))
    cells: list[tuple[str, int, int, str]] = []
    for method, table in tables.items():
        where = f"{path}: method {method}"
        if not isinstance(table, list) or not all(isinstance(row, list) for row in table):
            raise DataError(f"{where} isn't a list of raters, each with a list of scores.", _NESTED)
        if len({len(row) for row in table}) > 1:
            raise DataError(f"{where} has raters with different numbers of images.", _NESTED)
        for rater, row in enumerate(table):
            for image, score in enumerate(row):
                if isinstance(score, list | dict):
                    raise DataError(f"{where} has more than two levels of lists.", _NESTED)
                cells.append((identifier(method), rater, image, _text(score)))
    raters = numbered(1 + max((rater for _, rater, _, _ in cells), default=0))
    frame = pd.DataFrame(
        [(method, raters[rater], str(image + 1), score) for method, rater, image, score in cells],
        columns=["method", "rater", "image", "score"],
        dtype=object,
    )

    def place(cell: int) -> str:
        method, rater, image, _ = cells[cell]
        return f"method {method}, rater {rater + 1}, image {image + 1}"

    return Cells(frame, place)


def sheet_of(path: Path, rows: list[dict[str, Any]]) -> Sheet:
    """A list of objects as rows under the names of their fields."""
    heads = list(dict.fromkeys(name for row in rows for name in row))
    return Sheet(path, [heads, *([_text(row.get(head)) for head in heads] for row in rows)], ",")


def _text(value: object) -> str:
    return "" if value is None else str(value).strip()
