"""Tables of the procedures of the standards on the same votes."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd

from sreval.errors import StatisticsError, attempted, counted, listed, option
from sreval.frames import unit_name, unit_of
from sreval.opinions.recovery import ENOUGH_RATERS
from sreval.opinions.standards import (
    P910,
    PROCEDURES,
    Outcome,
    cast,
    recovered_differences,
)
from sreval.opinions.votes import task_in
from sreval.report import paper
from sreval.report.notes import image_notes, mark_notes
from sreval.report.opinions import Request
from sreval.report.table import (
    Columns,
    Table,
    column,
    method_column,
    table_of,
    whole,
    with_dataset,
)
from sreval.report.text import percent

_ANALYSIS = "standards"
_REJECTING = ("BT.500", "P.913", "P.913 (correlation)")


def standards(votes: pd.DataFrame, request: Request) -> list[Table]:
    """The procedures of the standards, the MOS by each, and DMOS from recovered quality."""
    counted_votes = cast(votes)
    found: dict[str, Outcome] = {}
    not_done = []
    for name, procedure in PROCEDURES.items():
        made, why = attempted(partial(procedure.run, counted_votes, request.level, request.scale))
        if made is None:
            not_done.append(f"Not done: {name}: {why}")
        else:
            found[name] = made
    if not found:
        raise StatisticsError(" ".join(not_done))
    notes = [*not_done, *_vote_notes(counted_votes), *mark_notes(votes)]
    rated = request.reference in set(counted_votes["method"])
    against_reference = task_in(votes).name == "dcr"
    if P910 in found and not rated and not against_reference:
        named = option("--reference METHOD", "reference=METHOD")
        notes = [
            f"No DMOS: {paper.label(request.reference)} has no votes. The hidden reference is "
            f"named by {named}.",
            *notes,
        ]
    tables = [
        _procedures(found, counted_votes, request, notes),
        _by_method(found, counted_votes, request, notes),
    ]
    if P910 in found and rated and not against_reference:
        tables += _differences(found[P910], request, notes)
    return tables


def _vote_notes(votes: pd.DataFrame) -> list[str]:
    repeats = int((votes["kind"] == "repeat").sum())
    stimuli = len(votes[["dataset", "image", "method"]].drop_duplicates())
    said = (
        f"{counted(len(votes), 'vote')} by {counted(votes['rater'].nunique(), 'rater')} on "
        f"{stimuli} stimuli"
    )
    if repeats:
        said += (
            f", {counted(repeats, 'repeat')} among them: the standards count repeats as votes, the "
            "other analyses leave them out"
        )
    return [f"{said}."]


def _procedures(
    found: dict[str, Outcome], votes: pd.DataFrame, request: Request, notes: list[str]
) -> Table:
    frame = pd.DataFrame(
        [
            {
                "procedure": name,
                "raters": votes["rater"].nunique() - len(made.rejected),
                "rejected": ", ".join(map(str, made.rejected)),
                "n_rejected": len(made.rejected),
                "n_votes": made.n_kept,
                "half_width": made.half_width,
                "parameters": made.parameters,
                "log_likelihood": made.log_likelihood,
                "unbounded": made.unbounded,
                "nbic": made.nbic,
                "steps": PROCEDURES[name].steps,
                "source": PROCEDURES[name].source,
            }
            for name, made in found.items()
        ]
    )
    columns: Columns = {
        "procedure": column("procedure"),
        "raters": whole("raters"),
        "rejected": whole("n_rejected"),
        "votes kept": whole("n_votes"),
        "half width": column("half_width", 3),
        "parameters": whole("parameters"),
        "NBIC": column("nbic", 3),
    }
    said = [
        f"{name}: {PROCEDURES[name].steps} ({PROCEDURES[name].source})."
        + (f" Rejected: {listed(made.rejected, 20)}." if made.rejected and name != P910 else "")
        for name, made in found.items()
    ]
    if P910 in found and (single := found[P910].rejected):
        said.append(f"{P910} leaves out whoever cast a single vote: {listed(single, 20)}.")
    said += [
        "No text of the ITU was read: what isn't from memory is as the paper or the code named "
        "has it.",
        f"Half width: mean over stimuli of the procedure's own interval, {percent(request.level)}, "
        "normal quantile, unit vote, about this stimulus; it is short for few raters.",
        *_preferred(found),
    ]
    return table_of(_ANALYSIS, "The procedures of the standards", frame, columns, [*said, *notes])


def _preferred(found: dict[str, Outcome]) -> list[str]:
    """What NBIC says, and where it can't be trusted."""
    known = {name: made.nbic for name, made in found.items() if not np.isnan(made.nbic)}
    if not known:
        return []
    best = min(known, key=lambda name: known[name])
    same = {name: nbic for name, nbic in known.items() if name not in _REJECTING}
    preferred = min(same, key=lambda name: same[name], default=best)
    said = [
        "NBIC: log(n) parameters / n - 2 log L / k of n votes, k of them kept, which is n where "
        "nobody is rejected (Li et al. 2020; k as in their code), less is better. "
        f"Of the models of all votes, the votes prefer that of {preferred}."
    ]
    rejecting = [name for name in known if name in _REJECTING and found[name].rejected]
    if rejecting:
        said.append(
            f"{listed(rejecting)}: the penalty is that of all votes, log L is that of the votes "
            "kept, divided by their number, as in the published code, which favours whoever "
            "rejects much. Don't compare them with the others by NBIC."
        )
    unbounded = max(made.unbounded for made in found.values())
    if unbounded:
        said.append(
            f"Up to {unbounded} votes are on stimuli that all rated alike, or that have one vote. "
            "A normal density has no bound there where each stimulus has a spread of its own, so "
            f"the log L of such models leaves them out, as published; that of {P910} doesn't."
        )
    return said


def _by_method(
    found: dict[str, Outcome], votes: pd.DataFrame, request: Request, notes: list[str]
) -> Table:
    names = list(found)
    rows = [made.stimuli.assign(procedure=name).reset_index() for name, made in found.items()]
    frame = pd.concat(rows, ignore_index=True)
    frame = frame[["procedure", "dataset", "image", "method", "mos", "low", "high", "n", "part"]]
    means = _means(frame, ["dataset", "method", "procedure"], ["mos"])
    wide = means["mos"].unstack("procedure")[names]
    unit = unit_name(frame["image"])
    printed = wide.join(means["units"].unstack("procedure").max(axis=1).rename("units"))
    printed = paper.in_order(printed.reset_index())
    columns: Columns = {
        "method": method_column(),
        **{name: column(name, 2) for name in names},
        f"{unit}s": whole("units"),
    }
    said = [
        f"Means over {unit}s. The JSON has every stimulus by every procedure with its interval.",
        *_warnings(found, votes),
        *image_notes(votes),
    ]
    title = "MOS by the procedures of the standards"
    columns = with_dataset(printed, columns)
    return table_of(_ANALYSIS, title, frame, columns, [*said, *notes], printed=printed)


def _warnings(found: dict[str, Outcome], votes: pd.DataFrame) -> list[str]:
    said = []
    raters = votes["rater"].nunique()
    if P910 in found and found[P910].collapsed:
        said.append(
            f"Don't use {P910}: with so few votes, the votes of {listed(found[P910].collapsed)} "
            "became the quality itself."
        )
    if P910 in found and raters < ENOUGH_RATERS:
        said.append(
            f"{counted(raters, 'rater')}: Annex E is unreliable below {ENOUGH_RATERS}; the "
            "analysis recovery says how."
        )
    parts = int(found[P910].stimuli["part"].max()) if P910 in found else 1
    if parts > 1:
        said.append(
            f"{P910}: the votes fall into {parts} parts without a common rater or stimulus, each "
            "recovered on its own. Their zeros differ: don't compare qualities of two parts."
        )
    return said


def _means(frame: pd.DataFrame, by: list[str], names: list[str]) -> pd.DataFrame:
    """Means of ``names`` over sequences, each still its own, and how many ``units`` there are."""
    units = frame.assign(unit=frame["image"].map(unit_of))
    of_units = units.groupby([*by, "unit"])[names].mean().groupby(by)
    return of_units.mean().join(of_units.size().rename("units"))


def _differences(made: Outcome, request: Request, notes: list[str]) -> list[Table]:
    found = recovered_differences(made, request.reference, request.scale).reset_index()
    if found.empty:
        return []
    found["half_width"] = (found["high"] - found["low"]) / 2
    means = _means(found, ["dataset", "method"], ["dmos", "half_width"])
    unit = unit_name(found["image"])
    printed = paper.in_order(means.reset_index())
    columns: Columns = {
        "method": method_column(),
        "DMOS": column("dmos", 2),
        "half width": column("half_width", 2),
        f"{unit}s": whole("units"),
    }
    top = request.scale.high
    said = [
        f"Recovered quality - that of {paper.label(request.reference)} on the same image + "
        f"{top:g}: {top:g} is as good as the reference, more is better (ACR-HR by {P910}, from "
        "memory; the analysis difference has the difference of single votes). DMOS: mean over "
        f"{unit}s. Half width: mean of the images' own, {percent(request.level)}, normal quantile, "
        "unit vote, about this image; it says nothing of the mean. The JSON has every image.",
    ]
    title = "DMOS from recovered quality"
    columns = with_dataset(printed, columns)
    return [table_of(_ANALYSIS, title, found, columns, [*said, *notes], printed=printed)]
