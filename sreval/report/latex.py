"""Result tables in LaTeX (booktabs)."""

from __future__ import annotations

import unicodedata

from sreval.report import paper
from sreval.report.cells import Table
from sreval.report.printing import Printed, PrintedRow, printed_rows

_LATEX = r"""% needs \usepackage{{booktabs}}
\begin{{table}}
\centering\footnotesize\setlength{{\tabcolsep}}{{3pt}}
\caption{{{title}.}}
\begin{{tabular}}{{{columns}}}
\toprule
{head} \\
\midrule
{body}
\bottomrule
\end{{tabular}}\par\smallskip
\begin{{minipage}}{{\linewidth}}\scriptsize
{notes}
\end{{minipage}}
\end{{table}}
"""

_LATEX_SPECIAL = {
    "\\": r"\textbackslash{}",
    "∞": r"$\infty$",
    "–": "--",
    "‡": r"\ddag{}",
    "*": r"\textasteriskcentered{}",
    **{char: f"\\{char}" for char in "&%$#_{}"},
    "<": "$<$",
    ">": "$>$",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "[": "{[}",
    "]": "{]}",
    "−": "$-$",
    "×": r"$\times$",
    "·": r"$\cdot$",
    "≥": r"$\ge$",
    "ρ": r"$\rho$",
    "²": r"\textsuperscript{2}",
    "“": "``",
    "”": "''",
    "…": r"\dots{}",
}


def latex_escape(text: str) -> str:
    """Text with LaTeX's special characters escaped, in one line and without control characters.

    Brackets are set in braces: behind ``\\\\`` they would be taken for its argument.
    """
    line = " ".join(text.split())
    plain = (char for char in line if unicodedata.category(char) not in ("Cc", "Cf", "Cs"))
    return "".join(_LATEX_SPECIAL.get(char, char) for char in plain)


def to_latex(table: Table) -> str:
    """A booktabs table, figures aligned at the point by a column either side of it."""
    heads = [f"\\multicolumn{{2}}{{c}}{{\\scriptsize {_latex_head(m)}}}" for m in table.methods]
    body: list[str] = []
    for row in printed_rows(table):
        if row.dataset and body:
            body.append(r"\addlinespace")
        cells = " & ".join(_latex_cell(cell, row) for cell in row.cells)
        body.append(f"{latex_escape(row.dataset)} & {latex_escape(row.label)} & {cells} \\\\")
    return _LATEX.format(
        title=latex_escape(table.title),
        columns="ll" + "r@{}l" * len(table.methods),
        head=" & ".join(["", "", *heads]),
        body="\n".join(body),
        notes="\n".join(latex_escape(note) + r"\par" for note in table.notes),
    )


def _latex_head(method: str) -> str:
    """A method's name, broken after its hyphen: the column stays as narrow as its figures."""
    family, hyphen, loss = latex_escape(paper.label(method)).partition("-")
    return f"\\shortstack{{{family}-\\\\{loss}}}" if hyphen else family


def _latex_cell(cell: Printed, row: PrintedRow) -> str:
    if row.kind == "interval":
        return f"\\multicolumn{{2}}{{c}}{{\\scriptsize {latex_escape(cell.text)}}}"
    whole, point, decimals = cell.text.partition(".")
    wrap = {1: r"\textbf{%s}", 2: r"\underline{%s}"}.get(cell.rank, "%s")
    left, right = latex_escape(whole), point + decimals
    mark = f"\\textsuperscript{{{latex_escape(cell.mark)}}}" if cell.mark else ""
    return f"{wrap % left if left else ''} & {wrap % right if right else ''}{mark}"
