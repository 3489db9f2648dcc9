"""What is said of a study's check: the raters' burden, the tests, what is missing."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from html import escape

from sreval.errors import counted
from sreval.report.columns import columns
from sreval.report.sections import CORRECTIONS
from sreval.study.check import Feasibility
from sreval.study.design import StudyDesign
from sreval.study.manifest import Manifest


@dataclass(frozen=True)
class CheckedStudy(Feasibility):
    """A Feasibility that says what it found: ``text`` is what ``sreval study check`` prints."""

    text: str

    @property
    def feasible(self) -> bool:
        """Whether the design can be met."""
        return not self.problems

    def __str__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        return f"<pre>{escape(self.text)}</pre>"


def told(
    study: str, design: StudyDesign, manifest: Manifest | None, found: Feasibility
) -> CheckedStudy:
    """``found`` in words; ``study`` is the name or folder by which commands find the study."""
    return CheckedStudy(**vars(found), text="\n".join(_lines(study, design, manifest, found)))


def _lines(
    study: str, design: StudyDesign, manifest: Manifest | None, found: Feasibility
) -> list[str]:
    counts = [f"{count} {kind}" for kind, count in found.counts.items() if count]
    state = f"frozen, {len(manifest.stimuli)} stimuli" if manifest else "not frozen"
    least, most = found.exposures
    votes = counted(most, "vote")
    votes = votes if least == most else f"{least} or {votes}"
    rows = [
        ["study", f"{design.name}: {design.title} ({state})"],
        ["raters", f"{design.raters}; every stimulus gets {votes}"],
        ["a rater", f"{sum(found.counts.values())} items: {', '.join(counts)}"],
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
    said = (f"{p.constraint}: {p.what}. {p.remedy}" for p in found.problems)
    return [*lines, "", "The design can't be met.", *said]


def _test_rows(found: Feasibility) -> list[list[str]]:
    rows = []
    for made in found.tests:
        least = "–" if made.least_p_adjusted is None else f"{made.least_p_adjusted:.2g}"
        compared = counted(made.comparisons, "comparison")
        units = counted(made.n, made.unit)
        rows.append(
            f"{made.dataset}: {compared} over {units}, {CORRECTIONS[made.correction]}, alpha "
            f"{made.alpha:g}; least adjusted p {least}"
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
        rows.append(f"{each}{items} items{pauses}, about {max(minutes, 1)} minutes")
    named = [["sittings" if i == 0 else "", text] for i, text in enumerate(rows)]
    return [*named, ["in all", f"about {round(found.minutes)} minutes"]] if many else named


def _missing(study: str, manifest: Manifest | None, found: Feasibility) -> list[str]:
    counts = found.missing_methods
    datasets = list(dict.fromkeys(name for name, _ in counts))
    methods = dict.fromkeys(method for _, method in counts)
    rows = [["missing images", *datasets]]
    rows += [[m, *(str(counts.get((name, m), "-")) for name in datasets)] for m in methods]
    lost = "Freeze the study again: sreval study freeze"
    bring = f"Bring them: sreval study freeze {study} --results FOLDER"
    instead = f"Or let marked degradations of HR take their places: sreval study freeze {study}"
    return [
        columns(rows),
        *([f"{lost} {study}"] if manifest else [bring, f"{instead} --stand-ins"]),
    ]
