"""A study's report: its parts in order, as one self-contained HTML page and as LaTeX."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

import sreval
from sreval.errors import attempted, counted
from sreval.report.notes import study_marks, study_warnings
from sreval.report.render import render_page
from sreval.report.study_parts import (
    Part,
    agreement_part,
    departures_part,
    design_part,
    effect_of_exclusions,
    exclusions_part,
    exposure_part,
    metrics_part,
    origin_part,
    raters_part,
    results_parts,
    screening_part,
)
from sreval.report.table import Table
from sreval.study.data import StudyData


@dataclass(frozen=True)
class Report:
    """A report before it is printed: ``marks`` are shown on every part, table and figure."""

    title: str
    marks: list[str]
    warnings: list[str]
    summary: list[str]
    parts: list[Part]

    @property
    def tables(self) -> list[Table]:
        """Every table of it, in order."""
        return [table for part in self.parts for table in part.tables]


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
        *_made("Departures from the plan", lambda: [departures_part(data)]),
        *_made("Raters", lambda: [raters_part(data)]),
        *_made("Exclusions", lambda: [exclusions_part(data)]),
    ]
    if not data.hidden:
        effect_of_exclusions(parts[-1], data)
        parts += _made("Results", lambda: results_parts(data))
        parts += _made("Metrics and opinion", lambda: [metrics_part(data, scores, score_notes)])
        parts += _made("Agreement of raters", lambda: [agreement_part(data)])
        parts += _made("Screening", lambda: [screening_part(data)])
    parts += _made("Exposure and careless responding", lambda: [exposure_part(data)])
    parts.append(origin_part(data, sources, command))
    return Report(data.design.title, study_marks(data), study_warnings(data), _summary(data), parts)


def _made(title: str, make: Callable[[], list[Part]]) -> list[Part]:
    """The parts that ``make`` gives, or one in their place that says why they can't be had."""
    parts, why = attempted(make)
    return [Part(title, not_done=[why])] if parts is None else parts


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


def to_html(report: Report) -> str:
    """One file: no script, style, font or image from elsewhere; complete without its script."""
    return render_page("study.html", report=report, version=sreval.__version__)


def to_latex(report: Report) -> str:
    """All tables, a section per part; the report's marks on every page and in every caption."""
    return render_page("study.tex", report=report)
