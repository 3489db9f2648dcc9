"""Votes as a matrix of scores: one row per stimulus, one column per rater."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from sreval.errors import DataError, listed, option, shown
from sreval.opinions.cells import identifier, is_number, name_in, number, plain, with_point
from sreval.opinions.sheet import (
    DESCRIBING,
    FORMS,
    ONE_ROW_A_RATER,
    UNNAMED,
    Cells,
    Heads,
    Rows,
    Sheet,
    Source,
    all_heads,
    families,
    head_key,
    read_sheet,
    refuse_twice,
)
from sreval.opinions.votes import STIMULUS, Place, row_number

_NO_RATERS = {
    *("mean", "mos", "dmos", "average", "avg", "median", "mode", "sum", "total", "count", "n"),
    *("sd", "std", "stdev", "stddev", "se", "sem", "ci", "var", "variance", "iqr", "range"),
    *("psnr", "ssim", "msssim", "lpips", "lpipsvgg", "lpipsalex", "vmaf", "vif", "fsim", "dists"),
    *("niqe", "brisque", "piqe", "mse", "rmse", "mae", "fid", "uqi", "nqm"),
    *("nr", "no", "num", "number", "id", "index", "row", "item", "pvs", "src", "hrc", "clip"),
    *("scale", "factor", "bitrate", "rate", "qp", "crf", "quality", "resolution", "width"),
    *("height", "size", "fps", "frame", "codec", "algorithm", "model", "condition", "content"),
    *("age", "sex", "gender", "time", "timestamp", "date", "duration", "comment", "comments"),
}
"""Heads of statistics, metrics, labels and particulars, letters alone; names of persons aside."""

_IMAGES = {
    *("img", "image", "im", "pic", "picture", "photo", "stim", "stimulus", "clip", "video"),
    *("scene", "frame", "file", "item", "src", "pvs"),
}
_RATERS = {"r", "rater", "participant", "subject", "observer", "worker", "viewer", "user", "voter"}
_FILE = re.compile(r".*\.(png|jpe?g|bmp|tiff?|webp|gif|yuv|mp4)", re.IGNORECASE)
_ROW_HEADS = ("", "unnamed:_0", "index")


@dataclass(frozen=True)
class _Matrix:
    """Cells of text below ``header``, of which the first ``width`` columns name the stimuli."""

    path: Path
    heads: list[str]
    known: Mapping[int, str]
    body: Rows
    width: int
    first_rates: bool
    place: Place

    @property
    def raters(self) -> list[str]:
        """The raters' names, r1 and so on without a header."""
        count = len(self.body[0]) - self.width
        if not self.heads:
            return numbered(count)
        names = [identifier(head) for head in self.heads[self.width :]]
        refused = [*_strangers(names)]
        for place, name in enumerate(names, self.width + 1):
            if not name:
                raise DataError(
                    f"In {self.path}, column {place} doesn't name a rater.", "Name each."
                )
            if name in refused and not (self.first_rates and place == 1):
                raise DataError(
                    f"In {self.path}, column {place} ({name}) doesn't look like a rater beside "
                    f"{listed([other for other in names if other != name], 3)}.",
                    "Leave the column out. If it says what was rated, put it first and name it "
                    f"{', '.join(DESCRIBING[:-1])} or {DESCRIBING[-1]}; if it is a rater, give it "
                    "a name like those of the others.",
                )
        return names

    @property
    def labels(self) -> dict[int, str]:
        """The columns that name the stimuli or are kept beside, by place."""
        labels = dict(self.known)
        for place in range(self.width):
            head = self.heads[place] if self.heads else ""
            if place not in labels and "image" not in labels.values():
                labels[place] = "image"
            elif place not in labels and head_key(head) not in _ROW_HEADS:
                labels[place] = head
        refuse_twice(self.path, labels.values(), "column")
        return labels

    def described(self, stimuli: Source | None) -> pd.DataFrame:
        """One row per stimulus: image, method and what else the labels or ``stimuli`` name."""
        columns = {
            name: [name_in(name, row[place]) for row in self.body]
            for place, name in self.labels.items()
        }
        for name in [name for name in columns if name in DESCRIBING]:
            if "" in columns[name]:
                row = self.place(columns[name].index(""))
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
                f"{' and '.join(map(self.place, twice.index[:2]))}.",
                "Give each stimulus one row, and its image or method a name of its own.",
            )
        return frame

    def refuse_transposed(self, raters: Sequence[str]) -> None:
        """Raise DataError where the heads are images', or the labels raters'."""
        if not self.heads:
            return
        labels = [identifier(row[0]) for row in self.body] if self.width else []
        images = {_letters(stem) for stem in families(raters)} & _IMAGES
        files = all(_FILE.fullmatch(rater) for rater in raters)
        people = {_letters(stem) for stem in families(labels)} & _RATERS
        if images or files or people:
            what = (
                f"the heads {listed(raters, 3)}"
                if images or files
                else f"the rows {listed(labels, 3)}"
            )
            raise DataError(
                f"{self.path} seems to hold one row per rater, by {what}.", ONE_ROW_A_RATER
            )

    def refuse_words(self, missing: Sequence[str], heads: Heads) -> None:
        """Raise DataError for a cell that is neither a score nor missing."""
        words = {word.strip().casefold() for word in missing} | {""}
        bad = [
            f"{self.place(row)}, column {column + 1}: {shown(cells[column])}"
            for row, cells in enumerate(self.body)
            for column in range(self.width, len(cells))
            if cells[column].casefold() not in words and not is_number(cells[column])
        ]
        if bad:
            raise DataError(
                f"{self.path} has no score in {listed(bad)}. Its first row: "
                f"{listed(heads.cells, 8)}.",
                f"{FORMS} If a code marks a missing vote, name it with {option('--missing')}.",
            )

    def roles(self, raters: Sequence[str], images: Sequence[str]) -> list[str]:
        """Notes on a first column that no head explains, and on columns that are kept aside."""
        notes = []
        if self.width and 0 not in self.known:
            notes.append(f"read as raters: {listed(raters)}; as images: {listed(images)}.")
        further = [name for name in self.labels.values() if name not in DESCRIBING]
        if further:
            notes.append(f"further columns are ignored: {listed(further, 20)}.")
        return notes


def read_matrix(
    sheet: Sheet,
    heads: Heads,
    stimuli: Source | None,
    header: bool | None,
    labels: bool | None,
    missing: Sequence[str],
) -> Cells:
    """The cells of a matrix; arguments as in ``reading.read_ratings``.

    Raises DataError where the first row or column may be names or votes, for a column that isn't a
    rater's, a name that is there twice, and a cell that is neither score nor missing.
    """
    rows = written = [[plain(cell) for cell in row] for row in sheet.rows]
    if sheet.separator != ",":
        rows = [[with_point(cell) for cell in row] for row in rows]
    width, named = _label_columns(rows, heads, header, labels, missing)
    notes: list[str] = []
    if header is None:
        header = named or _is_header(sheet.path, rows[0][width:], notes)
    start = int(header)
    body = [
        [*names[:width], *scores[width:]]
        for names, scores in zip(written[start:], rows[start:], strict=True)
    ]
    if not body or len(body[0]) == width:
        raise DataError(f"{sheet.path} holds names but no votes.", FORMS)
    names = written[0] if header else []
    labels_of = {i: name for i, name in heads.known.items() if i < width and name in DESCRIBING}
    matrix = _Matrix(
        sheet.path,
        names,
        labels_of,
        body,
        width,
        labels is False,
        lambda row: sheet.place(row + start),
    )
    stray = [heads.cells[place] for place in heads.known if place >= width]
    if stray and header:
        raise DataError(
            f"{sheet.path} holds {listed(stray)} among the raters of a matrix.",
            f"Put columns that name the stimuli first. {FORMS}",
        )
    refuse_twice(sheet.path, [*map(identifier, names[width:])], "rater", width + 1)
    if labels is None and not width and _may_label(body, names):
        raise DataError(
            f"The first column of {sheet.path} may hold votes or name the stimuli: it begins "
            f"{', '.join([*names[:1], *(row[0] for row in body[:3])])}.",
            f"Say which by {option('--labels no or --labels yes', 'labels=False or labels=True')}.",
        )
    raters = matrix.raters
    matrix.refuse_transposed(raters)
    matrix.refuse_words(missing, heads)
    described = matrix.described(stimuli)
    notes += matrix.roles(raters, described["image"].to_list())
    scores = [cell for row in body for cell in row[width:]]
    frame = described.loc[described.index.repeat(len(raters))].reset_index(drop=True)
    frame = frame.assign(rater=raters * len(body), score=scores)

    def place(cell: int) -> str:
        row, column = divmod(cell, len(raters))
        return f"{matrix.place(row)}, column {column + width + 1}"

    return Cells(frame.astype(object), place, notes)


def _label_columns(
    rows: Rows,
    heads: Heads,
    header: bool | None,
    labels: bool | None,
    missing: Sequence[str],
) -> tuple[int, bool]:
    """How many columns name the stimuli, and whether the first row is known by that as a header."""
    first, below = rows[0], rows[1:]
    if labels is False:
        return 0, False
    uncast = {word.strip().casefold() for word in missing} | {""}
    unheaded = header is False or (header is None and any(map(is_number, first)))
    width, named = 0, False
    for place, head in enumerate(first[:-1]):
        known = header is not False and (
            heads.known.get(place) in DESCRIBING
            or head_key(head) in _ROW_HEADS[1:]
            or (not head and not place and not unheaded)
        )
        words = bool(below) and not any(
            is_number(row[place]) or row[place].casefold() in uncast for row in below
        )
        if not (known or words or (labels and not place)):
            break
        width, named = width + 1, named or known
    return width, named


def _is_header(path: Path, cells: list[str], notes: list[str]) -> bool:
    """Whether the first row names raters. Raises DataError where it may be names or votes."""
    filled = [cell for cell in cells if cell]
    numeric = [number(cell) for cell in filled if is_number(cell)]
    if not numeric:
        return bool(filled)
    repeated = len(numeric) - len(set(numeric))
    if len(numeric) == len(filled) and 2 * repeated >= len(numeric):
        said = option("--header no", "header=False")
        notes.append(f"the first row is read as votes, since its numbers repeat ({said}).")
        return False
    raise DataError(
        f"The first row of {path} may hold votes or raters' names: it begins "
        f"{', '.join(cells[:5])}.",
        f"Say which by {option('--header no or --header yes', 'header=False or header=True')}.",
    )


def _strangers(names: Sequence[str]) -> list[str]:
    """The names that are no rater's: those beside numbered ones (r1, r2), and usual other heads."""
    stems = tuple(families(names))
    unlike = [name for name in names if not _numbered(name, stems)]
    if stems:
        return unlike
    return [name for name in unlike if _letters(name) in _NO_RATERS]


def _numbered(name: str, stems: Sequence[str]) -> bool:
    return any(re.match(rf"{re.escape(stem)}\d", name) for stem in stems)


def _letters(head: str) -> str:
    """The letters of a head, in lower case, without what stands in brackets."""
    return re.sub(r"\(.*?\)|[\W\d_]", "", head.casefold())


def _may_label(body: Rows, names: Sequence[str]) -> bool:
    """Whether the first column may name the rows: by its head, or where it has none by its cells.

    Heads that are one name with numbers are raters. Whole numbers that rise, or fill a run, may
    count the rows.
    """
    if names:
        return len(names) > 1 and not _numbered(names[0], tuple(families(names)))
    cells = [row[0] for row in body]
    if len(cells) < 2 or len(body[0]) < 2 or not all(map(is_number, cells)):
        return False
    values = list(map(number, cells))
    gapless = len(values) > 3 and (
        max(values) - min(values) == len(values) - 1 == len(set(values)) - 1
    )
    rising = all(one < other for one, other in itertools.pairwise(values))
    return (gapless or rising) and all(value.is_integer() for value in values)


def _description(stimuli: Source, path: Path, labels: pd.DataFrame) -> pd.DataFrame:
    """The stimuli of a matrix, by a table of their own; labels of the matrix must not differ."""
    sheet = read_sheet(stimuli, all_heads())
    heads = Heads.of(sheet.path, [plain(cell) for cell in sheet.rows[0]])
    if "image" not in heads.names:
        raise DataError(
            f"{sheet.path} has no column 'image'; it has {', '.join(heads.cells)}.",
            "Name what was rated in columns image, method, dataset, scene.",
        )
    frame, _ = heads.columns(sheet, sheet.rows[1:])
    frame = frame[[name for name in DESCRIBING if name in frame]]
    if len(frame) != len(labels):
        raise DataError(
            f"{sheet.path} describes {len(frame)} stimuli, but {path} has {len(labels)} rows of "
            "votes.",
            "Write one row per stimulus, in the order of the matrix.",
        )
    numbers_only = [[str(i + start) for i in range(len(frame))] for start in (0, 1)]
    for name in labels:
        own = labels[name].to_list()
        other = frame[name].to_list() if name in frame else own
        for row, (one, two) in enumerate(zip(own, other, strict=True)):
            if one != two and own not in numbers_only:
                raise DataError(
                    f"{row_number(row).capitalize()} is {one!r} in {path}, but {two!r} in "
                    f"{sheet.path}.",
                    "Put both in the same order.",
                )
    return frame


def numbered(count: int) -> list[str]:
    """Names for ``count`` raters without any: r1, r2 and so on, with leading zeros."""
    return [f"r{i + 1:0{len(str(count))}}" for i in range(count)]
