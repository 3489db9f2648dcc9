"""A study's report: its parts in order, as one self-contained HTML page and as LaTeX."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any

import pandas as pd

import sreval
from sreval.benchmarking.provenance import code_version
from sreval.errors import attempted, counted, option
from sreval.files import sha256_bytes
from sreval.report import paper
from sreval.report.cells import Table
from sreval.report.opinion_metrics import metrics
from sreval.report.opinion_rows import check_same_stimuli, with_mos
from sreval.report.pages import render_page
from sreval.report.render import html_table
from sreval.report.sections import Section, column, is_text
from sreval.report.study_parts import Part, Picture, marks, request_of, section, warnings
from sreval.report.study_planned import departures
from sreval.report.study_results import (
    add_figure,
    agreement_part,
    effect_of_exclusions,
    results_parts,
    screening_part,
)
from sreval.report.study_scores import scored_opinions
from sreval.report.study_sections import conduct_part, design_part, exclusions_part, raters_part
from sreval.report.tables import build_table
from sreval.study.data import StudyData

_LONG = 40
"""Letters from which a column's cells may wrap."""

_PACKAGES = ("numpy", "scipy", "pandas", "matplotlib")


@dataclass(frozen=True)
class Report:
    """A report before it is printed: ``marks`` are shown on every part, table and figure."""

    title: str
    marks: list[str]
    warnings: list[str]
    summary: list[str]
    parts: list[Part]

    @property
    def sections(self) -> list[Section]:
        """Every table of it that has a frame behind it, in order."""
        blocks = [block for part in self.parts for block in part.blocks]
        return [block for block in blocks if isinstance(block, Section)]


def study_report(
    data: StudyData,
    scores: pd.DataFrame | None = None,
    score_notes: Sequence[str] = (),
    sources: Sequence[tuple[str, str]] = (),
    command: str = "",
) -> Report:
    """The report of a study.

    ``scores`` and ``score_notes`` as ``study_scores`` gives them; ``sources``: what else is to
    be named with its hash; ``command``: what makes the report again. What the votes don't allow
    is said in its place instead of failing.
    """
    parts = [
        *_made("Design", lambda: [design_part(data)]),
        *_made("Departures from the plan", lambda: [_departures(data)]),
        *_made("Raters", lambda: [raters_part(data)]),
        *_made("Exclusions", lambda: [exclusions_part(data)]),
    ]
    if not data.hidden:
        effect_of_exclusions(parts[-1], data)
        parts += _made("Results", lambda: results_parts(data))
        parts += _made("Metrics and opinion", lambda: [_metrics_part(data, scores, score_notes)])
        parts += _made("Agreement of raters", lambda: [agreement_part(data)])
        parts += _made("Screening", lambda: [screening_part(data)])
    parts += _made("Exposure and careless responding", lambda: [conduct_part(data)])
    parts.append(_origin(data, sources, command))
    return Report(data.design.title, marks(data), warnings(data), _summary(data), parts)


def _made(title: str, make: Callable[[], list[Part]]) -> list[Part]:
    """The parts that ``make`` gives, or one in their place that says why they can't be had."""
    parts, why = attempted(make)
    return [Part(title, not_done=[why])] if parts is None else parts


def _departures(data: StudyData) -> Part:
    return Part("Departures from the plan", departures(data) or ["None."])


def _summary(data: StudyData) -> list[str]:
    votes = data.opinions
    stimuli = len(votes[["dataset", "image", "method"]].drop_duplicates())
    said = [
        f"Study {data.design.name}: {len(votes)} votes of "
        f"{counted(votes['rater'].nunique(), 'rater')} on {stimuli} stimuli."
    ]
    if data.hidden:
        said.append(
            "The design hides results until the study is closed: no mean score is shown here."
        )
    return said


def _metrics_part(data: StudyData, scores: pd.DataFrame | None, notes: Sequence[str]) -> Part:
    """Metrics and opinion side by side, and which metric follows the raters."""
    part = Part("Metrics and opinion", list(notes))
    if scores is None:
        part.not_done.append(
            f"No benchmark results were given: {option('--results FOLDER', 'results=FOLDER')}."
        )
        return part
    request, votes = request_of(data, scores), scored_opinions(data)
    part.attempt("Metrics and opinion side by side", lambda: [_table(data, scores, notes)])
    part.attempt("Which metric follows the raters", lambda: metrics(votes, request))
    add_figure(part, "metrics", data, votes, request)
    return part


def _table(data: StudyData, scores: pd.DataFrame, notes: Sequence[str]) -> Table:
    request, votes = request_of(data), scored_opinions(data)
    check_same_stimuli(scores, votes)
    protocol, scale = scores["protocol"].iloc[0], int(scores["scale"].iloc[0])
    rated_there = {dataset for dataset, _, _ in paper.figures()} & set(votes["dataset"])
    theirs = bool(rated_there) and (protocol, scale) == ("ledig2017", 4)
    made = build_table(scores, with_paper=theirs, level=request.level)
    made = with_mos(made, votes, unit=request.unit, pairs=True, level=request.level)
    return replace(made, notes=[*made.notes, *notes])


def _origin(data: StudyData, sources: Sequence[tuple[str, str]], command: str) -> Part:
    """Versions, hashes, and the commands that make the report again."""
    csv = data.votes.to_csv(index=False, lineterminator="\n")
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    rows = [
        ("sreval", code_version()),
        ("Python", f"{platform.python_version()}; {packages}"),
        ("design, SHA-256", data.design_sha256),
        ("manifest of stimuli, SHA-256", data.manifest.sha256),
        ("stimuli frozen by sreval", data.manifest.code_version or "not said"),
        ("votes as analysed, SHA-256", sha256_bytes(csv.encode())),
        *sources,
    ]
    frame = pd.DataFrame(rows, columns=["what", "value"])
    columns = {"": column("what"), "version or hash": column("value")}
    part = Part("Versions and commands")
    part.blocks.append(section("What this was made from", frame, columns))
    name = data.design.name
    part.commands += [f"sreval study export {name}", *filter(None, [command])]
    return part


def to_html(report: Report) -> str:
    """One file: no script, style, font or image from elsewhere; complete without its script."""
    numbers = {"table": 0, "figure": 0}
    mark = f" ({', '.join(report.marks)})" if report.marks else ""
    parts = [
        {
            "title": part.title + mark,
            "short": part.title,
            "anchor": part.anchor,
            "sentences": part.sentences,
            "not_done": part.not_done,
            "commands": part.commands,
            "blocks": [_block(block, mark, numbers) for block in part.blocks],
        }
        for part in report.parts
    ]
    return render_page(
        "study.html",
        title=report.title,
        mark=" · ".join(report.marks).upper(),
        warnings=report.warnings,
        summary=report.summary,
        parts=parts,
        version=sreval.__version__,
    )


def _block(block: Section | Table | Picture, mark: str, numbers: dict[str, int]) -> dict[str, Any]:
    kind = "figure" if isinstance(block, Picture) else "table"
    numbers[kind] += 1
    title = f"{kind.capitalize()} {numbers[kind]}. {block.title}{mark}"
    name = f"{kind}-{numbers[kind]}"
    if isinstance(block, Picture):
        svg = block.svg
        if 'role="img"' not in svg:
            svg = svg.replace("<svg ", '<svg role="img" ', 1)
        return {"kind": kind, "title": title, "svg": svg, "caption": block.caption}
    if isinstance(block, Table):
        return {"kind": "result", "id": name, "title": title, "table": html_table(block)}
    return {
        "kind": kind,
        "id": name,
        "title": title,
        "head": block.shown[0],
        "rows": block.shown[1:],
        "kinds": column_kinds(block.shown),
        "notes": block.notes,
    }


def column_kinds(shown: list[list[str]]) -> list[str]:
    """Of every column: "words" where it may wrap, "left" for names, empty for figures."""
    columns = list(zip(*shown[1:], strict=True)) or [()] * len(shown[0])
    return [
        "words" if max(map(len, cells), default=0) > _LONG else "left" if is_text(cells) else ""
        for cells in columns
    ]
