"""The tables of a study's report in LaTeX, and their PDF where LaTeX is installed."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

from sreval.report.cells import Table
from sreval.report.latex import latex_escape, to_latex
from sreval.report.sections import Section
from sreval.report.study_page import Report, column_kinds
from sreval.report.study_parts import Picture

_PROGRAMS = {
    "xelatex": ["-interaction=nonstopmode", "-no-shell-escape"],
    "pdflatex": ["-interaction=nonstopmode", "-no-shell-escape"],
    "tectonic": ["--only-cached"],
}
"""In the order they are tried; tectonic would else fetch packages from a network."""

_SECONDS = 120

_LATEX = r"""\documentclass[a4paper,10pt]{article}
\usepackage[margin=2cm]{geometry}
\usepackage{booktabs,longtable,array,float}
\usepackage{iftex}
\ifPDFTeX\usepackage[T1]{fontenc}\usepackage[utf8]{inputenc}\fi
\pagestyle{myheadings}
\markright{HEADING}
\setlength{\LTleft}{0pt}\setlength{\parindent}{0pt}
\begin{document}
\section*{TITLE}
\footnotesize\setlength{\tabcolsep}{3pt}
WARNINGS

BODY
\end{document}
"""


def to_report_latex(report: Report) -> str:
    """All tables, a section per part; the report's marks on every page and in every caption."""
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
                made = to_latex(replace(block, title=block.title + mark))
                # In its place, as the others stand: their numbers are in order then.
                body.append(made.replace(r"\begin{table}", r"\begin{table}[H]", 1))
            else:
                body.append(_longtable(block, mark))
    heading = f"{report.title} {' · '.join(report.marks).upper()}"
    text = _LATEX.replace("HEADING", latex_escape(heading), 1)
    text = text.replace("TITLE", latex_escape(report.title), 1)
    said = "\n".join(latex_escape(line) + r"\par" for line in [*report.warnings, *report.summary])
    return text.replace("WARNINGS", said, 1).replace("BODY", "\n".join(body), 1)


def _longtable(block: Section, mark: str) -> str:
    head, *rows = block.shown
    columns = {"words": r"p{.5\linewidth}", "left": "l", "": "r"}
    kinds = [columns[kind] for kind in column_kinds(block.shown)]
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
            *(rf"{{\scriptsize {latex_escape(note)}\par}}" for note in block.notes),
        ]
    )


def compile_pdf(latex: str) -> tuple[bytes | None, str]:
    """The PDF of ``latex``, or None and why there is none: LaTeX not installed, or failing."""
    program = next((name for name in _PROGRAMS if shutil.which(name)), None)
    if program is None:
        return None, f"no PDF: none of {', '.join(_PROGRAMS)} is installed"
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "tables.tex"
        source.write_text(latex, encoding="utf-8")
        command = [program, *_PROGRAMS[program], source.name]
        for _ in range(2 if program != "tectonic" else 1):  # longtable settles its widths
            try:
                ran = subprocess.run(
                    command, cwd=folder, capture_output=True, timeout=_SECONDS, check=False
                )
            except (OSError, subprocess.TimeoutExpired) as error:
                return None, f"no PDF: {program} failed ({type(error).__name__})"
        pdf = source.with_suffix(".pdf")
        if not pdf.is_file():
            said = [
                line for line in ran.stdout.decode(errors="replace").splitlines() if line[:1] == "!"
            ]
            return None, f"no PDF: {program} failed{': ' + said[0] if said else ''}"
        return pdf.read_bytes(), ""
