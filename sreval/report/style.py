"""One hand for all figures: colours, markers, sizes, and saving them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from sreval.errors import UsageError
from sreval.files import write_atomic

COLUMN_MM, PAGE_MM = 85, 175
FORMATS = ("png", "svg", "pdf")

# Okabe and Ito 2008, without yellow (too light on white); a marker of its own for each.
COLOURS = ("#000000", "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">", "p", "h", "d")

_RC: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "pdf.fonttype": 42,
    "svg.hashsalt": "sreval",
    "text.parse_math": False,  # a name may hold dollar signs
}


class HouseFigure(Figure):
    """A figure drawn without a display, which a notebook shows all the same."""

    def _repr_png_(self) -> bytes:
        return figure_bytes(self, "png", dpi=150)


def new_figure(width_mm: float, height_mm: float) -> Figure:
    """An empty figure of that size, constrained layout, drawn without a display."""
    mpl.rcParams.update(_RC)
    return HouseFigure(figsize=(width_mm / 25.4, height_mm / 25.4), layout="constrained")


def look(index: int) -> dict[str, Any]:
    """Colour and marker of the index-th category."""
    return {"color": COLOURS[index % len(COLOURS)], "marker": MARKERS[index % len(MARKERS)]}


def figure_bytes(figure: Figure, form: str, dpi: int = 300) -> bytes:
    """The figure as a PNG, SVG or PDF file, the same bytes for the same figure."""
    buffer = io.BytesIO()
    metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(form, {})
    with mpl.rc_context(_RC):
        figure.savefig(buffer, format=form, dpi=dpi, metadata=metadata)
    return buffer.getvalue()


def save_figure(figure: Figure, path: Path, dpi: int = 300) -> None:
    """Write the figure as the file's ending says. Raises UsageError for another ending."""
    form = path.suffix.lower().removeprefix(".")
    if form not in FORMATS:
        raise UsageError(
            f"Can't draw {path.name}: {form or 'no ending'} is not a kind of figure.",
            f"End it in {', '.join('.' + known for known in FORMATS)}.",
        )
    write_atomic(path, figure_bytes(figure, form, dpi))


def figure_svg(figure: Figure) -> str:
    """The figure as an SVG element for a page."""
    text = figure_bytes(figure, "svg").decode()
    return text[text.index("<svg") :]
