"""A study in words: its check, and the power of its tests."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from sreval.errors import counted
from sreval.report.text import CORRECTIONS, NONE, columns, fixed
from sreval.study.check import Feasibility
from sreval.study.design import StudyDesign
from sreval.study.manifest import Manifest
from sreval.study.sources import COMPUTED

if TYPE_CHECKING:
    import pandas as pd

    from sreval.opinions.units import Unit


@dataclass(frozen=True)
class CheckedStudy(Feasibility):
    """A Feasibility that says what it found: ``text`` is what ``sreval study check`` prints."""

    text: str

    @classmethod
    def of(
        cls, study: str, design: StudyDesign, manifest: Manifest | None, found: Feasibility
    ) -> CheckedStudy:
        """``found`` in words; ``study`` is the name or folder by which commands find the study."""
        return cls(**vars(found), text="\n".join(_check_lines(study, design, manifest, found)))

    @property
    def feasible(self) -> bool:
        """Whether the design can be met."""
        return not self.problems

    def __str__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        return f"<pre>{escape(self.text)}</pre>"


def _check_lines(
    study: str, design: StudyDesign, manifest: Manifest | None, found: Feasibility
) -> list[str]:
    counts = [f"{count} {kind}" for kind, count in found.counts.items() if count]
    total = sum(found.counts.values())
    state = f"frozen, {len(manifest.stimuli)} stimuli" if manifest else "not frozen"
    least, most = found.exposures
    votes = counted(most, "vote")
    votes = votes if least == most else f"{least} or {votes}"
    rows = [
        ["study", f"{design.name}: {design.title} ({state})"],
        ["raters", f"{design.raters}; every stimulus gets {votes}"],
        ["a rater", f"{counted(total, 'item')}: {', '.join(counts)}" if total else "no items"],
        *_sitting_rows(found),
        *_test_rows(found),
    ]
    lines = [columns(rows)]
    if found.missing:
        lines += ["", *_missing(study, manifest, found)]
    if manifest and manifest.stand_ins:
        lines += ["", f"Stand-ins take the places of {', '.join(manifest.stand_ins)}."]
    lines += ["", *(f"Note: {note}" for note in found.notes)] if found.notes else []
    if not found.problems:
        return [*lines, "", "The design can be met."]
    said = (
        f"{f'study.toml, line {p.line}: ' if p.line else ''}{p.constraint}: {p.what}. {p.remedy}"
        for p in found.problems
    )
    return [*lines, "", "The design can't be met.", *said]


def _test_rows(found: Feasibility) -> list[list[str]]:
    rows = []
    for made in found.tests:
        least = NONE if made.least_p_adjusted is None else f"{made.least_p_adjusted:.2g}"
        compared = counted(made.comparisons, "comparison")
        rows.append(
            f"{made.dataset}: {compared} over {made.over}, {CORRECTIONS[made.correction]}, alpha "
            f"{made.alpha:g}" + (f"; least adjusted p {least}" if made.least_p else "")
        )
    return [["tests" if i == 0 else "", text] for i, text in enumerate(rows)]


def _sitting_rows(found: Feasibility) -> list[list[str]]:
    many = len(found.sittings) > 1
    rows = []
    for (items, breaks, minutes), times in Counter(
        (s.items, s.breaks, round(s.minutes)) for s in found.sittings
    ).items():
        pauses = f", {counted(breaks, 'break')}" if breaks else ""
        each = f"{times} x " if times > 1 else ""
        if items:
            rows.append(f"{each}{counted(items, 'item')}{pauses}, {_about(minutes)}")
    named = [["sittings" if i == 0 else "", text] for i, text in enumerate(rows)]
    return [*named, ["in all", _about(round(found.minutes))]] if many else named


def _about(minutes: int) -> str:
    return f"about {counted(minutes, 'minute')}" if minutes else "under a minute"


def _missing(study: str, manifest: Manifest | None, found: Feasibility) -> list[str]:
    counts = found.missing_methods
    datasets = list(dict.fromkeys(name for name, _ in counts))
    methods = dict.fromkeys(method for _, method in counts)
    rows = [["missing images", *datasets]]
    rows += [[m, *(str(counts.get((name, m), "-")) for name in datasets)] for m in methods]
    bring = f"Bring them: sreval study freeze {study} --results FOLDER"
    instead = f"Or let marked degradations of HR take their places: sreval study freeze {study}"
    return [
        columns(rows),
        *([_again(study, manifest, found)] if manifest else [bring, f"{instead} --stand-ins"]),
    ]


def _again(study: str, manifest: Manifest, found: Feasibility) -> str:
    made = {*COMPUTED, *manifest.stand_ins}
    needs_results = any(key[2] not in made for key in (*found.missing, *manifest.by_key))
    results = " --results FOLDER" if needs_results else ""
    marked = " --stand-ins" if manifest.stand_ins else ""
    return f"Freeze the study again: sreval study freeze {study} --again{results}{marked}"


def power_text(curve: pd.DataFrame, needed: pd.DataFrame, target: float) -> str:
    """The curve of ``simulation.power_curve``, a row per difference and number of images.

    ``needed`` is what ``simulation.raters_needed`` gives for ``target``.
    """
    from sreval.opinions.comparison import least_units
    from sreval.opinions.units import CLAIMS
    from sreval.report.table import text_table

    first = curve.iloc[0]
    unit: Unit = first["unit"]
    comparisons, adjustment = int(first["comparisons"]), str(first["adjustment"])
    least = least_units(comparisons, adjustment, first["alpha"])
    raters = sorted(map(int, curve["n_raters"].unique()))
    heads = ["difference", "images", *map(str, raters), "raters needed"]
    rows = []
    by_plan = curve.set_index(["difference", "n_images", "n_raters"])["power"]
    for plan in needed.to_dict("records"):
        key = (plan["difference"], plan["n_images"])
        powers = [f"{by_plan[(*key, count)]:.2f}" for count in raters]
        fewest = fixed(plan["n_raters"], 0)
        if fewest == NONE:
            hopeless = unit == "image" and plan["n_images"] < least
            fewest = "no number does" if hopeless else f">{raters[-1]}"
        rows.append([f"{key[0]:.2f}", str(int(key[1])), *powers, fewest])
    bound = f"p x {comparisons}" if comparisons > 1 and adjustment != "none" else "p"
    error = float(curve["standard_error"].max())
    notes = [
        "Power of one two-sided Wilcoxon signed-rank test by number of raters; unit "
        f"{unit}: {CLAIMS[unit].about}. "
        f"Comparisons in all: {comparisons}; {CORRECTIONS[adjustment]}, "
        f"alpha {first['alpha']:g}. A difference is found where {bound} < {first['alpha']:g}: what "
        "it takes when no other comparison shows anything.",
        f"With fewer than {least} {unit}s no outcome of all comparisons can be significant. Raters "
        f"needed: the fewest tried that show a power of {target:g} or more, as all larger "
        "numbers do, with the 95% limit of the simulation.",
        f"{first['studies']} simulated studies a cell, standard error {error:.3f} or less; the "
        "difference is in points before rounding and clipping to the scale.",
    ]
    return text_table("power", "Power (simulated raters)", curve, heads, rows, notes).to_text()
