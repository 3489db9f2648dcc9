"""What is said under tables and figures of opinions: counts, marks, what can't be compared."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from sreval.errors import counted, fixed, listed
from sreval.frames import image_order, is_frame, unit_of
from sreval.opinions.intervals import LEAST_UNITS
from sreval.opinions.mos import mos_table
from sreval.opinions.reading import is_means
from sreval.opinions.votes import ACR, Scale, exclusions, stand_ins
from sreval.report import paper

if TYPE_CHECKING:
    from sreval.study.data import StudyData

_MOST_NAMED = 3
"""The most images that a note names."""

NO_INTERVAL = "there is no interval."
"""How a note on too few units ends."""

SIMULATED = "Simulated data: no person gave these votes."


def stand_in_note(methods: Sequence[str]) -> str:
    """The note to show with all opinions of stand-ins."""
    names = ", ".join(map(paper.label, methods))
    return (
        f"Stand-ins: the images rated as {names} are degraded originals, as the methods' own "
        "images were missing. Their scores say nothing about these methods."
    )


def too_few(units: Iterable[str] = (), *, dash: bool = True) -> str:
    """The note that there is no interval of so few ``units``, for which a ``dash`` may stand."""
    named = " or ".join(f"{unit}s".replace(" and ", "s or ") for unit in dict.fromkeys(units))
    named = named or "units"
    text = f"ith fewer than {LEAST_UNITS} {named} {NO_INTERVAL}"
    return f"–: w{text}" if dash else f"W{text}"


def no_interval(frame: pd.DataFrame, low: str = "low") -> list[str]:
    """What is said under a table where an interval is missing."""
    missing = frame[frame[low].isna()]
    return [too_few(missing.get("unit", ()))] if len(missing) else []


def units_said(frame: pd.DataFrame) -> str:
    """What the intervals of MOS vary, ``unit`` of a frame; how many it is where it is sequences."""
    rows = frame[frame["unit"].str.contains("sequence")]
    n = rows.groupby("dataset", sort=False)["n"].max()
    sizes = ", ".join(f"{name} {count}".strip() for name, count in n.items())
    return f"unit {either(frame['unit'])}" + (f" (n: {sizes})" if sizes else "")


def either(said: Iterable[str]) -> str:
    """What is said, each once: it differs where some sets are stills and some sequences."""
    return " or ".join(dict.fromkeys(said))


def named_as_in(images: Iterable[str]) -> str:
    """How ratings name the frames among the images of results; empty where none is a frame."""
    frame = min(filter(is_frame, images), key=image_order, default="")
    return f" Name a frame as the results do: {frame}." if frame else ""


def vote_notes(votes: pd.DataFrame) -> list[str]:
    """The notes under every table: how many votes, what was left out and why, the marks."""
    if is_means(votes):
        return [f"{counted(len(votes), 'mean opinion score')}, as given.", *mark_notes(votes)]
    own = votes[(votes["kind"] == "vote") & votes["accepted"]]
    stimuli = len(own[["dataset", "image", "method"]].drop_duplicates())
    said = (
        f"{counted(len(own), 'vote')} by {counted(own['rater'].nunique(), 'rater')} on "
        f"{stimuli} {'stimulus' if stimuli == 1 else 'stimuli'}."
    )
    frame = next(filter(is_frame, own["image"].unique()), "")
    frames = [f"An image such as {frame} is a frame of the sequence {unit_of(frame)}."] * bool(
        frame
    )
    return [" ".join([said, *frames, *uncounted(votes)]), *mark_notes(votes)]


def untested(few: int, pairs: int) -> list[str]:
    """The note that ``few`` of the pairs share a letter though no test could be significant."""
    return [
        f"{few} of {counted(pairs, 'pair')} couldn't be tested; they share a letter untested."
    ] * (few > 0)


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

    It names the methods that lack images, and which.

    ``votes`` are accepted ones, or rows made of them. Their means are then of different images:
    with the name of an ``interval`` of ``mos_table``, those over the common images are given too.
    """
    notes = []
    for dataset, rows in votes.groupby("dataset"):
        of = {str(method): set(own["image"].unique()) for method, own in rows.groupby("method")}
        common = set.intersection(*of.values())
        if all(images == common for images in of.values()):
            continue
        names = paper.sort_methods(list(of))
        where = f" of {dataset!s}" if dataset else ""
        every = set.union(*of.values())
        lacking: dict[tuple[str, ...], list[str]] = {}
        for name in names:
            if lost := tuple(sorted(every - of[name], key=image_order)):
                lacking.setdefault(lost, []).append(paper.label(name))
        counts = "; ".join(
            f"{listed(methods, len(methods))} on {len(every) - len(lost)} (not on "
            f"{listed(lost, _MOST_NAMED)})"
            for lost, methods in lacking.items()
        )
        note = (
            f"Different images{where}: of {len(every)}, {counts}; "
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


def study_marks(data: StudyData) -> list[str]:
    """The words shown on every part, table and figure of a report; empty for a plain one."""
    words = ["simulated"] if data.simulated else []
    words += ["stand-ins"] if data.stand_ins else []
    words += ["interim"] if data.state != "closed" else []
    return words + (["pilot"] if data.design.pilot else [])


def study_warnings(data: StudyData) -> list[str]:
    """What the marks mean, a sentence each, for the head of the report."""
    said = []
    if data.simulated:
        said.append("SIMULATED: no person gave these votes; a program drew them.")
    if data.stand_ins:
        said.append(stand_in_note(data.stand_ins).replace("Stand-ins", "STAND-INS", 1))
    if data.state != "closed":
        seen = "means of methods are hidden" if data.hidden else "results may still change"
        said.append(f"INTERIM: the study is {data.state}; {seen}.")
    if data.look and data.look.number:
        said.append(str(data.look))
    if data.design.pilot:
        said.append("PILOT: made to try the study out, not to be published as its result.")
    return said
