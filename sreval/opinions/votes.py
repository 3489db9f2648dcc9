"""The table of votes: its columns, its defaults, and what is refused.

One row per vote. ``rater``, ``image``, ``method`` and ``score`` must be there; the other columns
of COLUMNS and ``repetition`` may be, and further ones are kept as they are. An image is known by
(dataset, image), a stimulus by (dataset, image, method).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sreval.errors import StatisticsError, UsageError, option, shown, suggestion, unknown_name
from sreval.frames import unit_name, unit_of
from sreval.opinions.arrays import Codes, Floats
from sreval.opinions.cells import flag, identifier, name_in, number
from sreval.opinions.tasks import TASKS, Task, TaskName, task_of
from sreval.opinions.units import Chosen, Unit, default_unit

REQUIRED = ("rater", "image", "method", "score")
TASK = "task"
"""A column of what raters were asked, a name of ``tasks.TASKS``, the same on every row."""
RATING_SCALE = "rating_scale"
"""A column of the scale of the scores, as ``Scale.parse`` reads it, the same on every row."""
COLUMNS = (
    "study",
    "rater",
    "session",
    "position",
    "image",
    "scene",
    "dataset",
    "method",
    "stimulus_sha256",
    "image_sha256",
    "stand_in",
    "score",
    "kind",
    "response_ms",
    "hidden_ms",
    "unfocused_ms",
    "sent_at",
    "shown_at",
    "received_at",
    "device",
    "accepted",
    "reason",
    "simulated",
    TASK,
    RATING_SCALE,
)
REPETITION = "repetition"
"""A column that numbers the votes of one rater on one stimulus: 1 is the vote, 2 its repeat."""

KINDS = ("calibration", "warm-up", "stabilising", "vote", "repeat", "gold")
STIMULUS = ("dataset", "image", "method")

IDENTIFIERS = ("study", "rater", "session", "image", "scene", "dataset", "method")
NUMBERS = ("position", "response_ms", "hidden_ms", "unfocused_ms")
FLAGS = {"accepted": True, "simulated": False, "stand_in": False}
"""The columns of flags, and what an empty cell means."""

_SHOWN_ROWS = 5
_MOST_CATEGORIES = 11
_PAIRS = ("pair", "pairs")
_OFF_STEP = 1e-6

Place = Callable[[int], str]


@dataclass(frozen=True)
class Scale:
    """A rating scale from ``low`` to ``high``, both included.

    Scores are ``step`` apart; with 0 every number between the ends is a score, as on a slider. By
    default the step is 1 on a scale of up to eleven such scores, else 0.

    Raises StatisticsError for ends that aren't finite or are in the wrong order, and for a step
    that doesn't lead from one end to the other.
    """

    low: float = 1
    high: float = 5
    step: float | None = None

    def __post_init__(self) -> None:
        width = self.high - self.low
        if not (math.isfinite(width) and width > 0):
            raise StatisticsError(
                f"The scale {self} doesn't run from low to high.", "Write LOW..HIGH."
            )
        if self.step is None:
            object.__setattr__(self, "step", 1 if width < _MOST_CATEGORIES else 0)
        if not 0 <= self.spacing <= width or not self.holds(np.array([self.high])).all():
            raise StatisticsError(
                f"Steps of {plain_number(self.spacing)} don't lead from {plain_number(self.low)} "
                f"to {plain_number(self.high)}.",
                "Name another step, or 0 for a slider.",
            )

    @classmethod
    def parse(cls, text: str) -> Scale:
        """The scale that ``LOW..HIGH`` or ``LOW..HIGH/STEP`` names. Raises UsageError."""
        ends, slash, step = text.partition("/")
        low, _, high = ends.partition("..")
        try:
            return cls(_end(low), _end(high), _end(step) if slash else None)
        except StatisticsError as error:
            raise UsageError(f"{on_scale(text)}: {error.message}", error.remedy) from None
        except ValueError:
            raise UsageError(
                f"Can't read the scale {text!r}.",
                "Write LOW..HIGH, such as 1..5, or LOW..HIGH/STEP, such as 1..5/0.5.",
            ) from None

    def __str__(self) -> str:
        return f"{plain_number(self.low)}..{plain_number(self.high)}"

    @property
    def spacing(self) -> float:
        """The distance of neighbouring scores, 0 where there is none."""
        return self.step or 0

    @property
    def whole(self) -> bool:
        """Whether every score is a whole number."""
        return self.spacing > 0 and self.spacing % 1 == 0 == self.low % 1

    def holds(self, scores: Floats) -> NDArray[np.bool_]:
        """Which of ``scores`` (N,) are a whole number of steps from the lowest, ends aside."""
        if not self.spacing:
            return np.isfinite(scores)
        steps = (scores - self.low) / self.spacing
        off: Floats = np.abs(steps - np.rint(steps))
        return off < _OFF_STEP

    def scores(self) -> list[float]:
        """Every score, from the lowest. Raises StatisticsError where the scale has no steps."""
        if not self.spacing:
            raise StatisticsError(
                f"The scale {self} is continuous: it has no single scores to count.",
                f"Name its step, as in {on_scale('0..100/10')}, if it has one.",
            )
        count = round((self.high - self.low) / self.spacing) + 1
        return [self.low + i * self.spacing for i in range(count)]


ACR = Scale(1, 5)
"""Absolute category rating, 1 bad to 5 excellent (ITU-T P.910 (2008) clause 6.1, from memory)."""


def plain_number(value: float) -> str:
    """The shortest digits that are ``value``, without an exponent, as users write scales."""
    return np.format_float_positional(value, trim="-")


def _end(text: str) -> float:
    value = number(text)
    return int(value) if value.is_integer() else value


def row_number(index: int) -> str:
    """How messages name the row at ``index``: they count from 1, the head aside."""
    return f"row {index + 1}"


def check_votes(
    frame: pd.DataFrame,
    scale: Scale = ACR,
    place: Place = row_number,
    task: TaskName | None = None,
) -> pd.DataFrame:
    """A copy of ``frame`` with a plain row index, every rule kept and every default filled in.

    Names are text without blanks around it, in NFC; a backslash in an image's is read as ``/``.
    Scores are numbers of ``scale``, as integers
    where its scores are 1 apart. Flags are true, yes, 1 or false, no, 0. Where a column
    ``repetition`` numbers the votes of a rater on a stimulus, 1 is the vote, each further a
    repeat. Defaults: study and dataset empty, scene the image, session the rater, kind 'vote',
    accepted True, simulated and stand_in False. ``place`` names the row of an index in messages.
    ``task`` is what the raters were asked; None: what a column ``task`` says, else 'acr'. A column
    ``rating_scale`` must name ``scale``.

    Raises StatisticsError for an empty table, missing columns, an empty cell among rater, image,
    method and score, a score that isn't on ``scale``, an unknown kind or flag, names that differ
    in case alone, more than one study, task or rating scale, or another than the one named, and a
    second 'vote', or one number of ``repetition`` twice, of one rater on one stimulus.
    """
    return with_texts(coded_votes(frame, scale, place, task))


def coded_votes(
    frame: pd.DataFrame,
    scale: Scale = ACR,
    place: Place = row_number,
    task: TaskName | None = None,
) -> pd.DataFrame:
    """``check_votes`` as ``with_codes`` has them. Raises as it does."""
    _check_columns(frame)
    votes = frame.reset_index(drop=True).copy()
    _refuse_other_scale(votes, scale, place)
    votes[TASK] = _task(votes, task, place)
    for column in [name for name in IDENTIFIERS if name in votes]:
        votes[column] = by_codes(votes[column], partial(name_in, column))
    for column in REQUIRED:
        empty = is_empty(votes[column])
        remedy = "Leave out votes not cast."
        refuse(votes[column], empty, f"Column {column!r} has an empty cell", remedy, place)
    votes["score"] = _scores(votes["score"], scale, place)
    for column in [name for name in NUMBERS if name in votes]:
        votes[column] = numbers(votes[column], place).astype(np.float64)
    for column, default in FLAGS.items():
        votes[column] = flags(votes[column], default, place) if column in votes else default
    for column in ("study", "dataset"):
        given = votes[column] if column in votes else pd.Series("", votes.index, dtype=object)
        votes[column] = by_codes(given, str, empty="")
    votes["kind"] = _kinds(votes, place)
    for column, other in (("scene", "image"), ("session", "rater")):
        own = votes[column] if column in votes else votes[other]
        if own.hasnans:
            own = by_codes(own.astype(object).fillna(votes[other].astype(object)), str)
        votes[column] = own
    refuse_case(votes)
    studies = sorted(votes["study"].unique())
    if len(studies) > 1:
        raise StatisticsError(
            f"The table mixes {len(studies)} studies: {', '.join(studies[:_SHOWN_ROWS])}.",
            "Raters and scales differ between studies; analyse one at a time.",
        )
    twice = (votes["kind"] == "vote") & votes.duplicated(["rater", *STIMULUS, "kind"], keep=False)
    refuse(
        votes["score"],
        twice,
        "Column 'score' has a second vote on one stimulus",
        "Remove one. Mark a planned repetition kind=repeat, or number the votes of a rater on a "
        f"stimulus from 1 in a column {REPETITION!r}.",
        place,
    )
    return votes


def accepted_votes(votes: pd.DataFrame) -> pd.DataFrame:
    """The rows of a checked table that count as opinions: kind 'vote', accepted. May be empty."""
    return votes[(votes["kind"] == "vote") & votes["accepted"]]


def opinions(votes: pd.DataFrame) -> pd.DataFrame:
    """``accepted_votes``. Raises StatisticsError when there are none."""
    kept = accepted_votes(votes)
    if kept.empty:
        raise StatisticsError(
            f"None of {len(votes)} rows is an accepted vote.",
            "Look at the columns 'kind', 'accepted' and 'reason'.",
        )
    return kept


def without_raters(votes: pd.DataFrame, raters: Iterable[str]) -> pd.DataFrame:
    """``votes`` without those of the named raters.

    Raises UsageError for a rater who isn't in the table, StatisticsError if no rater is left.
    """
    present = set(votes["rater"])
    excluded = set(map(identifier, raters))
    for rater in sorted(excluded - present, key=str):
        raise unknown_name("rater", str(rater), map(str, present))
    if excluded == present:
        raise StatisticsError(
            f"Excluding all {len(present)} raters leaves no vote.", "Use a milder rule."
        )
    return votes[~votes["rater"].isin(excluded)]


def left_out(votes: pd.DataFrame, raters: Iterable[str]) -> pd.DataFrame:
    """Checked votes, those of the named raters marked as not accepted.

    Raises what ``without_raters`` raises.
    """
    excluded = ~votes.index.isin(without_raters(votes, raters).index)
    reason = votes["reason"] if "reason" in votes else pd.Series(None, votes.index, object)
    return votes.assign(
        reason=reason.mask(excluded & votes["accepted"], "left out by name"),
        accepted=votes["accepted"] & ~excluded,
    )


def stand_ins(votes: pd.DataFrame) -> list[str]:
    """The methods of a checked table that stand-ins replaced, sorted."""
    return sorted(votes.loc[votes["stand_in"], "method"].astype(str).unique())


def units_of(votes: pd.DataFrame, unit: Unit | None = None) -> dict[str, Chosen]:
    """The unit of each data set of checked ``votes``: ``unit``, or by default from what counts."""
    found = {}
    for dataset, rows in opinions(votes).groupby("dataset", sort=True):
        images = [str(image) for image in rows["image"].unique()]
        n_images = len(set(map(unit_of, images)))
        default = default_unit(rows["rater"].nunique(), n_images, unit_name(images))
        found[str(dataset)] = default if unit is None else Chosen(unit)
    return found


def exclusions(votes: pd.DataFrame) -> Mapping[str, int]:
    """How many rows of a checked table ``opinions`` leaves out, by reason."""
    other_kind = votes["kind"] != "vote"
    counts = {
        f"kind {kind}": int(n)
        for kind, n in votes.loc[other_kind, "kind"].astype(object).value_counts().items()
    }
    refused = votes[~other_kind & ~votes["accepted"]]
    reasons = refused["reason"].fillna("no reason given") if "reason" in refused else None
    if reasons is not None:
        counts |= {f"not accepted: {why}": int(n) for why, n in reasons.value_counts().items()}
    elif len(refused):
        counts["not accepted: no reason given"] = len(refused)
    return counts


def mapped(column: pd.Series, read: Callable[[Any], object]) -> pd.Series:
    """``read`` of every cell, called once for each different one; empty cells are None.

    Empty are None, NaN and texts of blanks alone. What ``read`` refuses by ValueError is NaN.
    """
    codes, made = _mapped(column, read)
    return pd.Series(np.array([*made, None], dtype=object)[codes], index=column.index, dtype=object)


def _mapped(column: pd.Series, read: Callable[[Any], object]) -> tuple[Codes, list[object]]:
    """The code of each cell, -1 where nothing is, and what ``read`` makes of each code's cell."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        codes = np.asarray(column.cat.codes, dtype=np.intp)
        different = list(column.cat.categories)
    else:
        found, values = pd.factorize(column.to_numpy(dtype=object))
        codes, different = np.asarray(found, dtype=np.intp), list(values)
    return codes, [_read(value, read) for value in different]


def with_codes(votes: pd.DataFrame) -> pd.DataFrame:
    """Checked votes with their names and kinds as categorical columns, in sorted order.

    So millions of votes are chosen, compared and grouped by whole numbers.
    """
    made = {}
    for name in [name for name in (*IDENTIFIERS, "kind") if name in votes]:
        if not isinstance(votes[name].dtype, pd.CategoricalDtype):
            codes, different = pd.factorize(votes[name].to_numpy(dtype=object))
            if all(isinstance(text, str) for text in different) and not (codes < 0).any():
                made[name] = categorical(codes, list(different), votes.index)
    return votes.assign(**made)


def with_texts(votes: pd.DataFrame) -> pd.DataFrame:
    """Votes with texts in the place of categorical columns."""
    made = {}
    for name, kind in votes.dtypes.items():
        if isinstance(kind, pd.CategoricalDtype):
            own = votes[name].astype(object)
            made[str(name)] = own.where(own.notna(), None)
    return votes.assign(**made)


def by_codes(
    column: pd.Series, read: Callable[[Any], object], empty: str | None = None
) -> pd.Series:
    """``mapped`` to texts, as a ``categorical`` column.

    ``empty`` is what empty cells are instead of None.
    """
    codes, made = _mapped(column, read)
    if (codes < 0).any():
        made.append(None)
    texts = [empty if text is None else str(text) for text in made]
    return categorical(codes, texts, column.index)


def categorical(codes: Codes, texts: Sequence[str | None], index: pd.Index[Any]) -> pd.Series:
    """The categorical column of the ``texts`` that ``codes`` number; they are in sorted order.

    The code -1 is the last of the texts.
    """
    known = sorted({text for text in texts if text is not None})
    of: dict[str | None, int] = {text: code for code, text in enumerate(known)}
    sorted_codes = np.array([of.get(text, -1) for text in texts], dtype=np.int32)
    dtype = pd.CategoricalDtype(pd.Index(known, dtype=object))
    return pd.Series(pd.Categorical.from_codes(sorted_codes[codes], dtype=dtype), index=index)


def is_empty(column: pd.Series) -> pd.Series[bool]:
    """Which cells hold None, NaN or a text of blanks alone."""
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "iufb":
        return column.isna()
    codes, made = _mapped(column, str)
    return pd.Series(np.array([*(text is None for text in made), True])[codes], column.index)


def _read(value: Any, read: Callable[[Any], object]) -> object:
    if value is None or value != value or (isinstance(value, str) and not value.strip()):
        return None
    try:
        return read(value)
    except ValueError:
        return math.nan


def _check_columns(frame: pd.DataFrame) -> None:
    if frame.empty:
        raise StatisticsError("The table holds no votes.", "One row per vote is expected.")
    missing = [column for column in REQUIRED if column not in frame]
    if missing:
        raise StatisticsError(
            f"The table of votes lacks {', '.join(missing)}.",
            f"It must have {', '.join(REQUIRED)}; it has {', '.join(map(str, frame.columns))}.",
        )


def on_scale(text: str) -> str:
    """How a user names the rating scale ``text``."""
    return option(f"--rating-scale {text}", f"scale={text!r}")


def _empty() -> str:
    named = option("--missing")
    return (
        "Leave the cell of a missing value empty (null in JSON), or name what marks it with "
        f"{named}."
    )


def task_in(votes: pd.DataFrame) -> Task:
    """What the raters of checked votes were asked; absolute category rating where nothing says."""
    return task_of(str(votes[TASK].iloc[0])) if TASK in votes and len(votes) else TASKS["acr"]


def _task(votes: pd.DataFrame, named: TaskName | None, place: Place) -> TaskName:
    """The one task of all rows, held against the one ``named``."""
    if TASK not in votes:
        return named or "acr"
    cells = _named_throughout(votes[TASK], identifier, place)
    of = {name: _task_named(name) for name in cells.dropna().unique()}
    unknown = cells.notna() & ~cells.isin([name for name, task in of.items() if task])
    first = next((name for name, task in of.items() if not task), "")
    pairs = option("sreval preferences FILE", "sreval.preferences(...)")
    remedy = (
        f"Paired comparisons have no scores; read them with {pairs}."
        if first.casefold() in _PAIRS
        else suggestion(first, TASKS)
    )
    refuse(votes[TASK], unknown, f"Column {TASK!r} names no task of votes", remedy, place)
    found = sorted({task.name for task in of.values() if task})
    if len(found) > 1:
        raise StatisticsError(
            f"The table mixes the tasks {' and '.join(found)}.",
            "Their scores don't mean the same; split it, and analyse one task at a time.",
        )
    own = found[0] if found else None
    if own and named and own != named:
        differences = option("--analyse difference", 'analyse("difference")')
        raise StatisticsError(
            f"The votes are of the task {own}, by their column {TASK!r}, not {named}.",
            f"Leave {option('--task', 'task')} out, or name {own}."
            + f" Scores against the original are made of them, too, by {differences}."
            * ((own, named) == ("acr", "acr-hr")),
        )
    return own or named or "acr"


def _task_named(name: str) -> Task | None:
    try:
        return task_of(name)
    except UsageError:
        return None


def _named_throughout(column: pd.Series, read: Callable[[Any], object], place: Place) -> pd.Series:
    """What the cells name; None throughout where all are empty.

    Raises StatisticsError where some are empty: their rows may be of another kind.
    """
    cells = mapped(column, read)
    if cells.notna().any():
        what = f"Column {str(column.name)!r} is empty"
        remedy = "Other rows name one: name it in every row, or leave the column out."
        refuse(column.where(cells.notna(), ""), cells.isna(), what, remedy, place)
    return cells


def scale_in(votes: pd.DataFrame) -> Scale:
    """The scale that a column ``rating_scale`` names, 1..5 where none does."""
    texts = set(mapped(votes[RATING_SCALE], str).dropna()) if RATING_SCALE in votes else set()
    return Scale.parse(min(texts).strip()) if texts else ACR


def _refuse_other_scale(votes: pd.DataFrame, scale: Scale, place: Place) -> None:
    """Raise StatisticsError for a column ``rating_scale`` that names another scale, or several."""
    if RATING_SCALE not in votes:
        return
    cells = _named_throughout(votes[RATING_SCALE], lambda text: str(text).strip(), place)
    scales = {Scale.parse(text): text for text in sorted(set(cells.dropna()))}
    if len(scales) > 1:
        raise StatisticsError(
            f"The table mixes the rating scales {' and '.join(scales.values())}.",
            "Split it, and analyse one scale at a time.",
        )
    for own, text in scales.items():
        if own != scale:
            raise StatisticsError(
                f"The votes are on the scale {text}, by their column {RATING_SCALE!r}, not "
                f"{scale}.",
                f"Name {on_scale(text)}.",
            )


def _scores(column: pd.Series, scale: Scale, place: Place) -> pd.Series:
    scores = numbers(column, place)
    remedy = (
        f"{_empty()} The numbers run from {scores.min():g} to {scores.max():g}. Name another "
        f"scale, as in {on_scale('0..100')}; split a table that mixes two."
    )
    outside = (scores < scale.low) | (scores > scale.high)
    refuse(column, outside, f"Column 'score' has a number outside {scale}", remedy, place)
    between = pd.Series(~scale.holds(scores.to_numpy()), scores.index)
    refuse(
        column,
        between,
        f"Column 'score' has a number between the steps of {scale.spacing:g}",
        f"Write {on_scale(f'{scale}/STEP')} for other steps, {on_scale(f'{scale}/0')} for a "
        "slider. Name a column of mean scores 'mos'.",
        place,
    )
    return scores.round().astype(np.int64) if scale.whole else scores


def numbers(column: pd.Series, place: Place) -> pd.Series:
    """The column as floats, NaN where a cell is empty.

    Raises StatisticsError for a cell that isn't a finite number.
    """
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "iuf":
        found: pd.Series = column.astype(np.float64)
        bad: pd.Series = pd.Series(np.isinf(found.to_numpy()), column.index)
    else:
        found = mapped(column, number)
        bad = found.isna() & ~is_empty(column)
    what = f"Column {str(column.name)!r} has no finite number"
    refuse(column, bad, what, f"Write plain decimal numbers, such as 3 or 3.5. {_empty()}", place)
    return found.astype(np.float64)


def flags(column: pd.Series, default: bool, place: Place) -> pd.Series:
    """The column as truth values, ``default`` where a cell is empty.

    Raises StatisticsError for a cell that isn't a flag.
    """
    if column.dtype == np.bool_:
        return column
    found = mapped(column, flag)
    bad = found.isna() & ~is_empty(column)
    what = f"Column {str(column.name)!r} has no flag"
    refuse(column, bad, what, f"Write true or false, yes or no, 1 or 0. {_empty()}", place)
    return found.where(found.notna(), default).astype(bool)


def _kinds(votes: pd.DataFrame, place: Place) -> pd.Series:
    kinds = categorical(np.zeros(len(votes), dtype=np.intp), ["vote"], votes.index)
    if "kind" in votes:
        kinds = by_codes(votes["kind"], lambda kind: identifier(kind).casefold(), empty="vote")
        unknown = ~kinds.isin(KINDS)
        known = f"Known: {', '.join(KINDS)}."
        refuse(votes["kind"], unknown, "Column 'kind' has an unknown kind", known, place)
    if REPETITION in votes:
        which = numbers(votes[REPETITION], place).fillna(1)
        bad = (which < 1) | (which % 1 != 0)
        what = f"Column {REPETITION!r} has no count"
        refuse(votes[REPETITION], bad, what, "Count from 1, the first vote.", place)
        rated = votes[["rater", *STIMULUS]].assign(which=which, kind=kinds)
        twice = rated.duplicated(keep=False) & kinds.isin(["vote", "repeat"]) & (which > 1)
        what = f"Column {REPETITION!r} has one number twice for a rater and stimulus"
        refuse(votes[REPETITION], twice, what, "Count on, or remove one.", place)
        again = (kinds == "vote") & (which > 1)
        kinds = by_codes(kinds.astype(object).mask(again, "repeat"), str)
    return kinds


def refuse_case(table: pd.DataFrame) -> None:
    """Raise StatisticsError for two names that differ in case alone, images within a data set."""
    for column in [
        name for name in ("rater", "method", "dataset", "image", "scene") if name in table
    ]:
        within = ["dataset"] if column in ("image", "scene") else []
        names = table[[*within, column]].drop_duplicates()
        folded = names.assign(**{column: names[column].map(str.casefold)})
        alike = names[folded.duplicated(keep=False)]
        if len(alike):
            first = alike[column].iloc[0]
            own = [name for name in alike[column] if name.casefold() == first.casefold()]
            raise StatisticsError(
                f"Column {column!r} has {first!r} and {own[1]!r}, which differ only in case.",
                "Write the name in one way; if they are two, rename one.",
            )


def refuse(column: pd.Series, bad: pd.Series, what: str, remedy: str, place: Place) -> None:
    """Raise StatisticsError that names the first bad cells, if there are any."""
    rows = np.flatnonzero(bad.to_numpy())
    if rows.size == 0:
        return
    first = column.iloc[rows[:_SHOWN_ROWS]]
    if isinstance(first.dtype, pd.CategoricalDtype):
        first = mapped(first, str)
    blank = is_empty(first)
    cells = zip(rows.tolist(), first, blank, strict=False)
    places = ", ".join(
        place(row) if empty else f"{place(row)}: {shown(cell)}" for row, cell, empty in cells
    )
    more = f" and {rows.size - _SHOWN_ROWS} more" if rows.size > _SHOWN_ROWS else ""
    raise StatisticsError(f"{what} in {places}{more}.", remedy)
