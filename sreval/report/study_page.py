"""A study's report: its parts in order, as one self-contained HTML page and as LaTeX."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any

import pandas as pd

import sreval
from sreval.benchmark.provenance import code_version
from sreval.files import sha256_bytes
from sreval.report.cells import Table
from sreval.report.latex import latex_escape, to_latex
from sreval.report.opinion_rows import check_same_stimuli, with_mos
from sreval.report.pages import render_page
from sreval.report.render import html_table
from sreval.report.sections import Section, column, is_text
from sreval.report.study_parts import Part, Picture, marks, request_of, section, warnings
from sreval.report.study_planned import departures
from sreval.report.study_results import (
    agreement_part,
    effect_of_exclusions,
    metrics_part,
    results_parts,
)
from sreval.report.study_scores import scored_opinions
from sreval.report.study_sections import conduct_part, design_part, exclusions_part, raters_part
from sreval.report.tables import build_table
from sreval.study.data import StudyData

_PACKAGES = ("numpy", "scipy", "pandas", "matplotlib")


@dataclass(frozen=True)
class Report:
    """A report before it is printed: ``marks`` stand on every part, table and figure of it."""

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
    parts = [design_part(data), raters_part(data), exclusions_part(data), conduct_part(data)]
    if not data.hidden:
        effect_of_exclusions(parts[2], data)
        parts += results_parts(data)
        parts.append(_side_by_side(data, scores, score_notes))
        parts += [metrics_part(data, scores, score_notes), agreement_part(data)]
    parts.insert(1, Part("Departures from the plan", departures(data) or ["None."]))
    parts.append(_origin(data, sources, command))
    return Report(data.design.title, marks(data), warnings(data), _summary(data), parts)


def _summary(data: StudyData) -> list[str]:
    counted = data.opinions
    stimuli = len(counted[["dataset", "image", "method"]].drop_duplicates())
    said = [
        f"Study {data.design.name}: {len(counted)} votes of {counted['rater'].nunique()} raters on "
        f"{stimuli} stimuli."
    ]
    if data.hidden:
        said.append(
            "The design hides results until the study is closed: no mean score stands here."
        )
    return said


def _side_by_side(data: StudyData, scores: pd.DataFrame | None, notes: Sequence[str]) -> Part:
    part = Part("Metrics and opinion side by side")
    if scores is None:
        part.not_done.append("No benchmark results were given: --results FOLDER.")
        return part
    part.attempt("The table", lambda: [_table(data, scores, notes)])
    return part


def _table(data: StudyData, scores: pd.DataFrame, notes: Sequence[str]) -> Table:
    request, votes = request_of(data), scored_opinions(data)
    check_same_stimuli(scores, votes)
    protocol, scale = scores["protocol"].iloc[0], int(scores["scale"].iloc[0])
    made = build_table(scores, with_paper=(protocol, scale) == ("ledig2017", 4))
    made = with_mos(made, votes, unit=request.unit, pairs=True)
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
    part.sentences.append(f"The votes: sreval study export {name}")
    if command:
        part.sentences.append(f"This report: {command}")
    return part


def to_html(report: Report) -> str:
    """One file: no script, style, font or image from elsewhere; complete without its script."""
    numbers = {"table": 0, "figure": 0}
    mark = f" ({', '.join(report.marks)})" if report.marks else ""
    parts = [
        {
            "title": part.title + mark,
            "anchor": part.anchor,
            "sentences": part.sentences,
            "not_done": part.not_done,
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
    if isinstance(block, Picture):
        svg = block.svg
        if 'role="img"' not in svg:
            svg = svg.replace("<svg ", '<svg role="img" ', 1)
        return {"kind": kind, "title": title, "svg": svg, "caption": block.caption}
    if isinstance(block, Table):
        return {"kind": "result", "title": title, "table": html_table(block)}
    head, *rows = block.shown
    left = [is_text([row[place] for row in rows]) for place in range(len(head))]
    return {
        "kind": kind,
        "title": title,
        "head": head,
        "rows": rows,
        "left": left,
        "notes": block.notes,
    }


_LATEX = r"""\documentclass[a4paper,10pt]{article}
\usepackage[margin=2cm]{geometry}
\usepackage{booktabs,longtable,array}
\usepackage{iftex}
\ifPDFTeX\usepackage[T1]{fontenc}\usepackage[utf8]{inputenc}\fi
\pagestyle{myheadings}
\markright{HEADING}
\setlength{\LTleft}{0pt}
\begin{document}
\section*{TITLE}
WARNINGS

BODY
\end{document}
"""


def to_report_latex(report: Report) -> str:
    """All tables, a section a part; the report's marks on every page and in every caption."""
    mark = f" ({', '.join(report.marks)})" if report.marks else ""
    body = []
    for part in report.parts:
        tables = [block for block in part.blocks if not isinstance(block, Picture)]
        if not (tables or part.sentences or part.not_done):
            continue
        body.append(f"\\subsection*{{{latex_escape(part.title + mark)}}}")
        body += [latex_escape(said) + r"\par" for said in [*part.sentences, *part.not_done]]
        for block in tables:
            if isinstance(block, Table):
                body.append(to_latex(replace(block, title=block.title + mark)))
            else:
                body.append(_longtable(block, mark))
    heading = f"{report.title} {' · '.join(report.marks).upper()}"
    text = _LATEX.replace("HEADING", latex_escape(heading), 1)
    text = text.replace("TITLE", latex_escape(report.title), 1)
    said = "\n".join(latex_escape(line) + r"\par" for line in [*report.warnings, *report.summary])
    return text.replace("WARNINGS", said, 1).replace("BODY", "\n".join(body), 1)


def _longtable(block: Section, mark: str) -> str:
    head, *rows = block.shown
    left = [is_text([row[place] for row in rows]) for place in range(len(head))]
    long = [max((len(row[place]) for row in rows), default=0) > 40 for place in range(len(head))]
    kinds = [
        r"p{.5\linewidth}" if wide else "l" if text else "r"
        for wide, text in zip(long, left, strict=True)
    ]
    lines = [" & ".join(map(latex_escape, row)) + r" \\" for row in rows]
    return "\n".join(
        [
            rf"\begin{{longtable}}{{{''.join(kinds)}}}",
            rf"\caption{{{latex_escape(block.title + mark)}}}\\",
            r"\toprule",
            " & ".join(map(latex_escape, head)) + r" \\",
            r"\midrule\endhead",
            *lines,
            r"\bottomrule",
            r"\end{longtable}",
            *(rf"{{\footnotesize {latex_escape(note)}\par}}" for note in block.notes),
        ]
    )
