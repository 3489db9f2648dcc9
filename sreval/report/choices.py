"""The names that a user chooses among: formats of a table, analyses and figures of opinions.

Whoever only lists these names, as a command's help does, needs none of the packages that compute
and draw.
"""

from __future__ import annotations

from typing import Literal, get_args

FORMATS = ("text", "markdown", "latex", "html", "csv", "json")
"""What ``render.render`` writes a table as."""

AnalysisName = Literal[
    "mos",
    "stimuli",
    "compare",
    "screening",
    "recovery",
    "reliability",
    "retest",
    "difference",
    "metrics",
]
ANALYSES: tuple[AnalysisName, ...] = get_args(AnalysisName)
"""The names of ``opinions.ANALYSES``, in the order in which they are printed."""

FigureName = Literal["scores", "ranks", "significance", "raters", "matrix", "sos", "metrics"]
FIGURES: tuple[FigureName, ...] = get_args(FigureName)
"""The names of ``opinion_figures.KINDS``."""
