"""Paired comparisons from any file or frame: which of two versions of an image a rater chose.

Tables are read as those of votes are (``sheet``, ``cells``): the same separators, guards, decimal
commas and names. Here stand only the columns, the spellings of a choice, and what is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sreval.errors import DataError, StatisticsError, counted, listed, option, shown
from sreval.frames import is_frame, unit_of
from sreval.opinions.cells import flag, identifier, is_number, number, plain
from sreval.opinions.reading import is_json, read_json, sheet_of
from sreval.opinions.sheet import (
    FRAME,
    SYNONYMS,
    Heads,
    Sheet,
    Source,
    head_key,
    parse,
    read_text,
    sheet_of_frame,
)
from sreval.opinions.votes import Place, flags, mapped, refuse, refuse_case

KINDS = ("real", "repeat", "trap", "same", "training")
"""What a trial was for; only ``real`` ones are opinions on a pair."""

_KIND_OF = {
    "vote": "real",
    "gold": "trap",
    **dict.fromkeys(("calibration", "warm-up", "stabilising"), "training"),
}
"""What an export of a study calls them."""

LEFT, RIGHT, TIE = "left", "right", "tie"

NAMES = ("dataset", "image", "rater", "left", "right")
COUNTS = ("left_wins", "right_wins", "ties")
COLUMNS = (
    *NAMES,
    "choice",
    "correct",
    "count",
    "seconds",
    "kind",
    "accepted",
    "simulated",
    *COUNTS,
)

_MILLISECONDS = "response_ms"
_OF_EXPORT = (
    *("study", "session", "position", "scene", "hidden_ms", "unfocused_ms", "switches"),
    *(f"{side}_{what}" for side in (LEFT, RIGHT) for what in ("sha256", "image_sha256", "ms")),
    *("left_stand_in", "right_stand_in", "reference_sha256", "reference_ms", "sent_at"),
    *("shown_at", "received_at", "device", "reason", "task"),
)
"""The further columns of an export of a study, known by the hash of the left picture."""

_SIDES = ("method", "condition", "model", "system", "option", "algorithm", "item")


def _side(letter: str, number: str) -> tuple[str, ...]:
    """How other tools head the column of one picture of the pair."""
    named = [
        f"{word}{gap}{end}" for word in _SIDES for gap in ("_", "") for end in (letter, number)
    ]
    return (letter, *named)


HEADS = {
    "rater": SYNONYMS["rater"],
    "image": (*SYNONYMS["image"], "scene", "content", "prompt"),
    "left": (*_side("a", "1"), "winner"),
    "right": (*_side("b", "2"), "loser"),
    "choice": (
        *("winner", "preference", "preferred", "selection", "selected", "label", "answer"),
        *("response", "is_a_selected", "is_left_selected"),
    ),
    "left_wins": ("wins_left", "wins_a", "a_wins", "wins1", "win1", "votes1", "votes_a"),
    "right_wins": ("wins_right", "wins_b", "b_wins", "wins2", "win2", "votes2", "votes_b"),
    "ties": ("tie", "draws", "tied"),
}
"""Other heads of a column; case, blanks and an ending ``id``, ``name`` or ``nr`` don't matter."""

_CHOICES = {
    LEFT: ("l", "a", "1", "first", "model a", "method a", "condition a", "option a"),
    RIGHT: ("r", "b", "2", "second", "model b", "method b", "condition b", "option b"),
    TIE: (
        *("same", "equal", "draw", "tied", "both", "neither", "no difference"),
        *("no preference", "not sure", "unsure", "don't know", "can't tell"),
        *("tie (bothbad)", "both bad", "bothbad"),
    ),
}
_CHOICE_OF = {word: side for side, words in _CHOICES.items() for word in (side, *words)}

FORMS = (
    "A table of judgements needs the columns left, right, choice, and rater and image where they "
    "are known; choice is left, right or tie. A table of counts needs left, right, left_wins, "
    "right_wins, ties."
)


@dataclass(frozen=True)
class Judgements:
    """What a file holds.

    ``frame`` has one row a judgement, or a number of equal ones, with the columns dataset, image,
    rater ('' where the file names none), left, right (names of methods), choice ('left', 'right'
    or 'tie'), count (1 or more), seconds (NaN where missing), kind (one of ``KINDS``), accepted,
    simulated, and where the file has them correct, the right answer to a trap, and reason, why a
    judgement isn't accepted. ``sided`` says
    whether left and right are places: in a matrix of wins, and in columns winner and loser, they
    are not. ``notes`` say what was ignored or taken for granted.
    """

    frame: pd.DataFrame
    notes: tuple[str, ...] = ()
    sided: bool = True


def read_judgements(source: Source) -> Judgements:
    """The checked judgements in a file, or in a frame, whichever form it has.

    - Judgements: left, right, choice, and rater, image, dataset, kind, seconds where there are
      any. The export of a study of pairs is one, a zip or a folder. A row without a choice is a
      judgement that was not made. ``HEADS`` are the names that other tools give the columns. A
      choice is left, right or tie, A, B, 1, 2, the name of the method that was chosen, or words
      such as "no difference".
    - Winners: winner, loser instead of left, right, choice; what stood left isn't known then.
    - Counts: left, right, left_wins, right_wins, ties, and rater, image, dataset.
    - A matrix of wins: the methods in the first row and column; a cell is how often the row's
      method was chosen over the column's.

    Files are CSV or a JSON list of objects; see ``sreval.opinions.reading``.

    Raises DataError for a file that can't be read, or is of another kind; StatisticsError, with
    line numbers, for an empty name, left = right unless of the kind same, a choice that can't be
    read, a count that isn't whole, and a second judgement of one rater on one pair and image.
    """
    path, sheet = _sheet(source)
    cells = [plain(cell) for cell in sheet.rows[0]]
    if sheet.square:
        heads, read = Heads.of(path, cells, (), {}), _wins
    else:
        heads, read = _heads(path, cells), _long
    try:
        return read(sheet, heads)
    except StatisticsError as error:
        raise StatisticsError(f"{path}: {error.message}", error.remedy) from None


def _sheet(source: Source) -> tuple[Path, Sheet]:
    if isinstance(source, pd.DataFrame):
        return FRAME, sheet_of_frame(source, FORMS)
    path = Path(source)
    text = read_text(path, FORMS)
    if is_json(path, text):
        content = read_json(path, text, FORMS)
        if isinstance(content, list) and all(isinstance(row, dict) for row in content):
            return path, sheet_of(path, content)
        if _are_scores(content):
            raise DataError(f"{path} holds lists of scores, not judgements of pairs.", _use(path))
        raise DataError(
            f"{path} isn't a list of judgements.",
            "Write one object a judgement, as DataFrame.to_json(orient='records') does: "
            '[{"rater": "ann", "image": "baby", "left": "edsr", "right": "srgan", '
            '"choice": "left"}, ...].',
        )
    return path, parse(path, text, [*COLUMNS, *(name for own in HEADS.values() for name in own)])


def _are_scores(content: list[Any] | dict[str, Any]) -> bool:
    """Whether these are [method][rater][image] lists of scores."""
    tables = list(content.values()) if isinstance(content, dict) else content
    return all(
        isinstance(table, list) and all(isinstance(row, list) for row in table) for table in tables
    )


def _use(path: Path) -> str:
    return f"Use {option(f'sreval opinions {path}', 'sreval.read_votes(...)')}."


def _heads(path: Path, cells: list[str]) -> Heads:
    """The columns of a table with a row a judgement or a pair. Raises DataError for others."""
    keys = {head_key(cell) for cell in cells}
    others = dict(HEADS)
    if {"winner", "loser"} <= keys:
        others = {"left": ("winner",), "right": ("loser",)} | {
            name: own for name, own in HEADS.items() if name not in ("left", "right", "choice")
        }
    else:
        others |= {"left": HEADS["left"][:-1], "right": HEADS["right"][:-1]}
    known = (*COLUMNS, _MILLISECONDS, *(_OF_EXPORT if "left_sha256" in keys else ()))
    heads = Heads.of(path, cells, known, others)
    names = heads.names
    if not {"left", "right"} <= names:
        if keys & {"score", "mos", *SYNONYMS["score"]} or "method" in keys:
            raise DataError(
                f"{path} holds votes on single images ({listed(cells, 9)}), not judgements of "
                "pairs.",
                _use(path),
            )
        scores = f"Scores of single images: {_use(path)[0].lower()}{_use(path)[1:]} "
        raise DataError(
            f"{path} names no pairs: its columns are {listed(cells, 9)}.", f"{scores}{FORMS}"
        )
    counts = [name for name in COUNTS if name in names]
    if counts and names & {"choice", "count"}:
        raise DataError(
            f"{path} mixes judgements and counts: it has {listed(counts)} beside "
            f"{listed(sorted(names & {'choice', 'count'}))}.",
            "Keep one of the two forms.",
        )
    if not counts and "choice" not in names and "loser" not in keys:
        raise DataError(
            f"{path} doesn't say which of two was chosen: its columns are {listed(cells, 9)}.",
            FORMS,
        )
    if counts and not {"left_wins", "right_wins"} <= names:
        raise DataError(f"The counts in {path} lack left_wins or right_wins.", FORMS)
    return heads


# One row a judgement, or a count


def _long(sheet: Sheet, heads: Heads) -> Judgements:
    rows = sheet.filled
    if not rows:
        raise StatisticsError("The table holds no judgements.", FORMS)
    frame, further = heads.columns(sheet, [row for _, row in rows], (*NAMES, "choice", "correct"))

    def place(row: int) -> str:
        return sheet.place(rows[row][0])

    notes = list(heads.notes)
    if further:
        hint = "" if "rater" in frame else " If one of them names the raters, call it rater."
        notes.append(f"further columns are ignored: {listed(further, 20)}.{hint}")
    for name in [name for name in NAMES if name in frame and name != "dataset"]:
        empty = frame[name] == ""
        refuse(frame[name], empty, f"Column {name!r} has an empty cell", "Name it.", place)
    sided = not {"winner", "loser"} <= {head_key(cell) for cell in heads.cells}
    kind = _kinds(frame, place)
    _check_sides(frame, kind, place)
    told = pd.DataFrame({name: frame.get(name, "") for name in NAMES}, index=frame.index).assign(
        kind=kind, seconds=_seconds(frame, place)
    )
    if "reason" in heads.names:
        told["reason"] = frame["reason"].fillna("")
    for name, default in (("accepted", True), ("simulated", False)):
        told[name] = flags(frame[name], default, place) if name in frame else default
    if replaced := _stand_ins(frame, place):
        notes.append(f"stand-ins were shown in place of {listed(replaced)}.")
    if "left_wins" in heads.names:
        found = _counted(told, frame, place, notes)
    else:
        found = _judged(told, frame, heads, sided, place, notes)
    if found.empty:
        raise StatisticsError(
            f"None of the {len(rows)} rows holds a judgement.", "Fill in choices or counts."
        )
    single = not {"count", "left_wins"} & set(frame)
    return _checked(sheet.path, found, notes, sided, place, single)


def _stand_ins(frame: pd.DataFrame, place: Place) -> list[str]:
    """The methods of an export that stand-ins replaced, sorted."""
    replaced: set[str] = set()
    for side in (LEFT, RIGHT):
        if (mark := f"{side}_stand_in") in frame:
            replaced |= set(frame.loc[flags(frame[mark], False, place), side])
    return sorted(replaced)


def _kinds(frame: pd.DataFrame, place: Place) -> pd.Series:
    if "kind" not in frame:
        return pd.Series("real", frame.index, dtype=object)
    kinds = mapped(frame["kind"], lambda kind: identifier(kind).casefold()).fillna("real")
    kinds = kinds.replace(_KIND_OF)
    known = f"Known: {', '.join(KINDS)}."
    refuse(frame["kind"], ~kinds.isin(KINDS), "Column 'kind' has an unknown kind", known, place)
    return kinds


def _check_sides(frame: pd.DataFrame, kind: pd.Series, place: Place) -> None:
    equal = frame["left"] == frame["right"]
    refuse(
        frame["left"],
        equal & (kind != "same"),
        "A method is compared with itself",
        "Remove the row, or mark a trial with two identical pictures kind=same.",
        place,
    )
    refuse(
        frame["right"],
        ~equal & (kind == "same"),
        "A trial of the kind same has two methods",
        "Write one name in both columns, or mark it kind=real.",
        place,
    )


def _seconds(frame: pd.DataFrame, place: Place) -> pd.Series:
    for name, unit in (("seconds", 1), (_MILLISECONDS, 1000)):
        if name in frame:
            times = _numbers(frame[name], "time", place)
            what = f"Column {name!r} has a negative time"
            refuse(frame[name], times < 0, what, "Leave it empty.", place)
            return times / unit
    return pd.Series(np.nan, frame.index)


def _numbers(column: pd.Series, what: str, place: Place, where: str = "") -> pd.Series:
    """The column as floats, NaN where a cell is empty. Raises StatisticsError for other text."""
    found = mapped(column, number)
    bad = found.isna() & mapped(column, str).notna()
    remedy = "Write plain decimal numbers, and leave a cell empty where there is none."
    refuse(column, bad, f"{where or f'Column {column.name!r}'} has no {what}", remedy, place)
    return found.astype(np.float64)


def _whole(frame: pd.DataFrame, name: str, least: int, place: Place, where: str = "") -> pd.Series:
    """A column of counts, ``where`` in messages.

    Raises StatisticsError for one that isn't whole, or below ``least``.
    """
    where = where or f"Column {name!r}"
    found = _numbers(frame[name], "count", place, where).fillna(least)
    remedy = f"Write whole numbers from {least}; judgements can't be shared out."
    for bad, what in (
        (found % 1 != 0, "that isn't a whole number"),
        (found < least, f"below {least}"),
    ):
        refuse(frame[name], bad, f"{where} has a count {what}", remedy, place)
    return found.astype(np.int64)


def _counted(
    told: pd.DataFrame, frame: pd.DataFrame, place: Place, notes: list[str]
) -> pd.DataFrame:
    """A row for each choice of each row of counts; its index is that of the row."""
    counts = {
        choice: _whole(frame, name, 0, place)
        for choice, name in zip((LEFT, RIGHT, TIE), COUNTS, strict=True)
        if name in frame
    }
    pair = [*NAMES, "kind"]
    refuse(
        frame["left"],
        told.duplicated(pair, keep=False),
        "One pair has two rows of counts",
        "Add them up, or name the rater and the image of each.",
        place,
    )
    parts = [told.assign(choice=choice, count=count) for choice, count in counts.items()]
    if empty := int((pd.DataFrame(counts) == 0).all(axis=1).sum()):
        notes.append(f"rows without any judgement: {empty}.")
    made = pd.concat(parts).sort_index(kind="stable")
    return made[made["count"] > 0]


def _judged(
    told: pd.DataFrame,
    frame: pd.DataFrame,
    heads: Heads,
    sided: bool,
    place: Place,
    notes: list[str],
) -> pd.DataFrame:
    """A row for each judgement that was made; its index is that of the row."""
    told["count"] = _whole(frame, "count", 1, place) if "count" in frame else 1
    if not sided:
        return told.assign(choice=LEFT)
    made = told[frame["choice"] != ""]
    if len(made) < len(told):
        notes.append(f"judgements not made (no choice): {len(told) - len(made)}.")
    if made.empty:
        return made.assign(choice="")
    head = next(head_key(heads.cells[at]) for at, name in heads.known.items() if name == "choice")
    chosen = frame.loc[made.index].reset_index(drop=True)
    rows = made.index.to_numpy()
    read = _flag_choices if head.startswith("is_") else _choices
    if "correct" in frame:
        asked = frame[(frame["correct"] != "") & (frame["choice"] != "")]
        places = asked.index.to_numpy()
        correct = asked.assign(choice=asked["correct"]).reset_index(drop=True)
        found = _choices(correct, lambda row: place(int(places[row])))
        made = made.assign(correct=found.set_axis(asked.index).reindex(made.index).fillna(""))
    choice = read(chosen, lambda row: place(int(rows[row])))
    notes += _codes(chosen, choice)
    return made.assign(choice=choice.to_numpy())


def _codes(chosen: pd.DataFrame, read: pd.Series) -> list[str]:
    """What each choice is taken for that is neither left, right, tie nor a method's name."""
    choice = chosen["choice"]
    named = (choice == chosen["left"]) | (choice == chosen["right"])
    told = pd.DataFrame({"choice": choice, "read": read})[~named & (choice.map(_words) != read)]
    each = sorted({(one.read, one.choice) for one in told.itertuples()})
    if not each:
        return []
    codes = [f"{choice} as {side}" for side, choice in each]
    return [f"choices: {listed(codes, 9).replace(' as ', ' is read as ', 1)}."]


def _flag_choices(chosen: pd.DataFrame, place: Place) -> pd.Series:
    """Choices of a column that says whether the left picture was selected."""
    found = mapped(chosen["choice"], flag)
    what = "The column of choices has neither yes nor no"
    refuse(chosen["choice"], found.isna(), what, "Write 1 for the left picture, 0 else.", place)
    return found.map({True: LEFT, False: RIGHT})


def _choices(chosen: pd.DataFrame, place: Place) -> pd.Series:
    """Choices by the place or by the name of what was chosen, whichever the column holds.

    Raises StatisticsError where both readings fit, and differ.
    """
    choice, left, right = chosen["choice"], chosen["left"], chosen["right"]
    by_place = mapped(choice, lambda word: _CHOICE_OF.get(_words(word)))
    tied = by_place == TIE
    named = pd.Series(
        np.select([choice == left, choice == right, tied], [LEFT, RIGHT, TIE], ""), choice.index
    )
    named_all = bool(named.ne("").all())
    placed_all = bool(by_place.notna().all())
    if named_all and placed_all:
        refuse(
            choice,
            named != by_place,
            "A choice may name a method, or a place",
            "Write left, right or tie.",
            place,
        )
    if named_all or placed_all:
        return named if named_all else by_place
    numbers_alone = choice[choice.map(is_number)]
    if len(numbers_alone) == len(choice) and any(number(one) > 2 for one in numbers_alone.unique()):
        raise StatisticsError(
            f"Choices are numbers such as {shown(max(numbers_alone, key=number))}: answers on a "
            "scale, not which of two was chosen.",
            "Write left, right or tie. Votes on single images go to "
            f"{option('sreval opinions', 'sreval.read_votes(...)')}.",
        )
    folded = choice.map(str.casefold)
    near = (folded == left.map(str.casefold)) | (folded == right.map(str.casefold))
    refuse(
        choice,
        near & (named == "") & by_place.isna(),
        "A choice and a method differ only in case",
        "Write the name as in the columns of the two methods.",
        place,
    )
    # A name that a file's other rows write as a place is refused, too: one column, one meaning.
    unread = named == "" if named.ne("").sum() > by_place.notna().sum() else by_place.isna()
    refuse(
        choice,
        unread,
        "A choice is neither left, right or tie nor one of the two methods",
        "Write left, right or tie in every row, or the name of the chosen method in every row; "
        "leave a cell empty where no choice was made.",
        place,
    )
    raise AssertionError("some choice was not read")


def _words(text: str) -> str:
    # between words alone: -1 isn't 1
    return " ".join(re.sub(r"(?<=\w)[-_](?=\w)", " ", text.casefold()).replace("’", "'").split())


# A matrix of wins


def _wins(sheet: Sheet, heads: Heads) -> Judgements:
    """One row a cell that isn't 0: so often the row's method was chosen over the column's."""
    rows = sheet.filled
    columns = [identifier(cell) for cell in heads.cells][1:]
    cells = [
        (i, identifier(plain(row[0])), column, plain(cell))
        for i, (_, row) in enumerate(rows)
        for column, cell in zip(columns, row[1:], strict=True)
    ]
    told = pd.DataFrame(cells, columns=["at", "left", "right", "wins"], dtype=object)

    def place(row: int) -> str:
        return f"{sheet.place(rows[int(told['at'].iloc[row])][0])}, column {told['right'][row]}"

    refuse(told["left"], told["left"] == "", "A row has no name", "Name the method.", place)
    diagonal = told["left"] == told["right"]
    told.loc[diagonal & ~told["wins"].map(is_number), "wins"] = ""  # often a dash
    told["count"] = _whole(told, "wins", 0, place, "The matrix")
    own = diagonal & (told["count"] > 0)
    refuse(told["wins"], own, "A method beats itself", "Leave the diagonal empty.", place)
    made = told[told["count"] > 0].assign(
        dataset="", image="", rater="", choice=LEFT, seconds=np.nan, kind="real", accepted=True,
        simulated=False,
    )  # fmt: skip
    if made.empty:
        raise StatisticsError("The matrix holds no wins.", FORMS)
    notes = ["read as a matrix of wins, the row's method over the column's."]
    return _checked(sheet.path, made, notes, False, place, False)


# What all forms have in common


def _checked(
    path: Path, found: pd.DataFrame, notes: list[str], sided: bool, place: Place, single: bool
) -> Judgements:
    """Raises StatisticsError for names that differ in case alone and for a double judgement."""
    methods = pd.DataFrame({"method": [*found["left"], *found["right"]]})
    refuse_case(methods)
    refuse_case(found[["rater", "dataset", "image"]])
    if single and (found["rater"] != "").all() and (found["image"] != "").all():
        _refuse_twice(found, place)
    elif single and (found["rater"] != "").any() and len(set(found["image"])) == 1:
        notes.append("no image is named, so that a rater's second judgement of a pair counts.")
    if not sided:
        notes.append("it isn't known which picture stood left, so there is no order effect.")
    frames = found["image"].map(is_frame)
    if frames.any():
        units = found.loc[frames, "image"].map(unit_of).nunique()
        notes.append(f"frames are taken as one image a sequence: {counted(units, 'sequence')}.")
    own = [name for name in ("correct", "reason") if name in found]
    columns = [*NAMES, "choice", "count", "seconds", "kind", "accepted", "simulated", *own]
    frame = found.assign(image=found["image"].map(unit_of))[columns].reset_index(drop=True)
    return Judgements(frame, tuple(f"{path}: {note}" for note in notes), sided)


def _refuse_twice(found: pd.DataFrame, place: Place) -> None:
    """Raises StatisticsError for a second judgement of a rater on a pair and image."""
    first, last = np.sort(found[["left", "right"]].to_numpy(dtype=str), axis=1).T
    pair = found[["rater", "dataset", "image", "kind"]].assign(first=first, last=last)
    rows = found.index.to_numpy()
    refuse(
        found["left"] + " / " + found["right"],
        (found["kind"] == "real") & pair.duplicated(keep=False),
        "One rater has two judgements of a pair on one image",
        "Remove one, or mark a planned repetition kind=repeat.",
        lambda row: place(int(rows[row])),
    )


def counted_judgements(frame: pd.DataFrame) -> pd.DataFrame:
    """The judgements that count as opinions: kind real, accepted."""
    return frame[(frame["kind"] == "real") & frame["accepted"]]


def not_counted(frame: pd.DataFrame) -> dict[str, int]:
    """How many judgements of a frame don't count, by reason."""
    other = frame[frame["kind"] != "real"]
    reasons = {f"kind {kind}": int(n) for kind, n in other.groupby("kind")["count"].sum().items()}
    refused = frame[(frame["kind"] == "real") & ~frame["accepted"]]
    why = refused["reason"] if "reason" in refused else pd.Series("", refused.index)
    why = why.map(lambda said: f"not accepted: {said.rstrip('.')}" if said else "not accepted")
    return reasons | {str(said): int(n) for said, n in refused.groupby(why)["count"].sum().items()}
