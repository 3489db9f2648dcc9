"""The names that a user chooses among: formats of a table, analyses and figures of opinions.

Whoever only lists these names, as a command's help does, needs none of the packages that compute
and draw.
"""

from __future__ import annotations

from typing import Literal, get_args

FORMATS = ("text", "markdown", "latex", "html", "csv", "json")
"""What ``render.render`` writes a table as."""

Intervals = Literal["below", "beside", "apart", "none"]
INTERVALS: tuple[Intervals, ...] = get_args(Intervals)
"""Where a table has its intervals: below the means, beside them, in a second table, nowhere."""

TableWidth = Literal["auto", "column", "page"]
TABLE_WIDTHS: tuple[TableWidth, ...] = get_args(TableWidth)
"""How wide a table is in LaTeX; ``auto`` is a column where it fits one, else the page."""

AnalysisName = Literal[
    "mos",
    "stimuli",
    "compare",
    "ordinal",
    "screening",
    "recovery",
    "standards",
    "reliability",
    "retest",
    "difference",
    "zmos",
    "metrics",
]
ANALYSES: tuple[AnalysisName, ...] = get_args(AnalysisName)
"""The names of ``opinions.ANALYSES``, in the order in which they are printed."""

FigureName = Literal["scores", "ranks", "significance", "raters", "matrix", "sos", "metrics"]
FIGURES: tuple[FigureName, ...] = get_args(FigureName)
"""The names of ``opinion_figures.KINDS``."""

ResultFigure = Literal["comparison", "scores", "tradeoff"]
"""The figures of results."""

Size = Literal["parameters", "multiply-adds", "seconds", "memory"]
SIZES: tuple[Size, ...] = get_args(Size)
"""The costs that the area of a marker can show."""

Show = Literal["crops", "difference", "error"]
SHOWN: tuple[Show, ...] = get_args(Show)
"""What a comparison shows of a region under each method."""

Width = Literal["column", "page"]
WIDTHS: tuple[Width, ...] = get_args(Width)
"""The widths of a figure, 85 and 175 mm."""
