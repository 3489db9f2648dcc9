"""One hand for all figures: their look, their words, and saving them.

A figure is drawn and saved in the house's style, whatever a user's matplotlibrc or notebook says.
"""

from __future__ import annotations

import io
import re
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import matplotlib as mpl
from matplotlib.backend_bases import RendererBase
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.text import Text

from sreval.errors import UsageError
from sreval.files import write_atomic
from sreval.report import paper

COLUMN_MM, PAGE_MM = 85, 175
WIDTHS_MM = {"column": COLUMN_MM, "page": PAGE_MM}
MOST_MM = 230
"""The height of a page."""

FORMATS = ("png", "svg", "pdf")

# Okabe and Ito 2008, without yellow (too light on white); a marker of its own for each.
COLOURS = ("#000000", "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">", "p", "h", "d")

_DPI = 300
SMALL = 7
"""The least size of text, in points."""

_EAST_ASIAN = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans SC", "Noto Sans JP", "Source Han Sans SC",
    "WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "Droid Sans Fallback", "PingFang SC",
    "Hiragino Sans", "Microsoft YaHei", "Yu Gothic", "SimHei", "Arial Unicode MS",
)  # fmt: skip
"""Fonts with letters that DejaVu Sans, which comes with matplotlib, lacks."""


@cache
def _families() -> list[str]:
    """DejaVu Sans, and a font of this machine for the letters that it lacks."""
    installed = set(fontManager.get_font_names())
    return ["sans-serif", *[name for name in _EAST_ASIAN if name in installed][:1]]


def _style() -> Any:
    return {
        "font.family": _families(),
        "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial", "sans-serif"],
        "font.size": 8,
        "axes.titlesize": 8,
        "axes.labelsize": 8,
        "xtick.labelsize": SMALL,
        "ytick.labelsize": SMALL,
        "legend.fontsize": SMALL,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.linewidth": 0.6,
        "xtick.major.width": 0.6,
        "ytick.major.width": 0.6,
        "pdf.fonttype": 42,
        "svg.fonttype": "none",
        "svg.hashsalt": "sreval",
        "text.parse_math": False,  # a name may hold dollar signs
    }


_drawing = threading.RLock()


@contextmanager
def house_style() -> Iterator[None]:
    """Matplotlib's defaults and the look of our figures, for a block or a decorated function.

    The user's own settings are back afterwards. They are the whole process's: of several threads
    one draws at a time.
    """
    with _drawing, mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_style())
        yield


class HouseFigure(Figure):
    """A figure drawn without a display, which a notebook shows all the same.

    ``name`` says in a few words what it shows: to a screen reader, and as a file's title.
    """

    name = ""

    def draw(self, renderer: RendererBase) -> None:
        """Draw it in the house's style; a letter that no font here has is a box."""
        layout = self.get_layout_engine()
        with house_style(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font", UserWarning)
            # To save, matplotlib first draws for the layout alone, and takes the engine away then.
            if isinstance(layout, ConstrainedLayoutEngine) and self.canvas.is_saving():
                layout.execute(self)
            else:
                super().draw(renderer)

    def savefig(self, fname: Any, **options: Any) -> None:
        """Save it as matplotlib does, in the house's style, with its name and caption."""
        is_path = isinstance(fname, str | Path)
        form = options.get("format") or (is_path and Path(fname).suffix[1:].lower()) or "png"
        caption = " ".join(self.get_supxlabel().split())
        about = {
            "png": {"Title": self.name, "Description": caption},
            "svg": {"Title": self.name, "Description": caption, "Date": None},
            "pdf": {"Title": self.name, "Subject": caption, "CreationDate": None},
        }
        if form in about:
            options.setdefault("metadata", about[form])
        with house_style():
            if form != "svg":
                super().savefig(fname, **options)
                return
            buffer = io.BytesIO()
            super().savefig(buffer, **{**options, "format": "svg"})
        svg = _for_readers(buffer.getvalue().decode(), self.name, caption).encode()
        if is_path:
            Path(fname).write_bytes(svg)
        else:
            fname.write(svg)

    def _repr_png_(self) -> bytes:
        return figure_bytes(self, "png", dpi=150)


def _for_readers(svg: str, name: str, caption: str) -> str:
    """An SVG whose name and description screen readers read."""
    named = f'<svg role="img" aria-label={quoteattr(name)} '
    described = f"</title>\n <desc>{escape(caption)}</desc>"
    return svg.replace("<svg ", named, 1).replace("</title>", described, 1)


def new_figure(width_mm: float, height_mm: float) -> HouseFigure:
    """An empty figure of that size, 300 dpi, constrained layout; call it in ``house_style``."""
    size = (width_mm / 25.4, height_mm / 25.4)
    return HouseFigure(figsize=size, dpi=_DPI, layout="constrained")


def describe(figure: Figure, name: str, caption: str = "") -> Figure:
    """Give the figure its name and, at its foot, its caption."""
    if isinstance(figure, HouseFigure):
        figure.name = name
    if caption:
        write_caption(figure, caption)
    return figure


def write_caption(figure: Figure, caption: str) -> None:
    """Write the caption at the foot of the figure, in as many lines as it takes."""
    lines = caption_lines(caption, figure.get_figwidth() * 25.4)
    figure.supxlabel("\n".join(lines), x=0.01, ha="left", fontsize=SMALL, multialignment="left")


def caption_lines(caption: str, width_mm: float) -> list[str]:
    """The lines of a caption in a figure of that width."""
    return wrapped(caption, 0.97 * width_mm, " ")


def look(index: int) -> dict[str, Any]:
    """Colour and marker of the index-th category."""
    return {"color": COLOURS[index % len(COLOURS)], "marker": MARKERS[index % len(MARKERS)]}


@cache
def _ruler() -> tuple[Any, FontProperties]:
    renderer: Any = RendererAgg
    return renderer(1, 1, _DPI), FontProperties(family=_families(), size=SMALL)


@cache
def width_of(text: str) -> float:
    """The width of one line of small text, in mm; call it in ``house_style``."""
    renderer, font = _ruler()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        width, _, _ = renderer.get_text_width_height_descent(text, font, False)
    return float(width) / _DPI * 25.4


def _is_wider(text: str, width_mm: float) -> bool:
    """Whether one line of small text is wider; it is measured only where its letters may be.

    A letter takes no more than its own width and a fifth of its size beside it, a space less than
    an n.
    """
    most = sum(width_of("n" if letter == " " else letter) + _BESIDE_MM for letter in text)
    return most > width_mm and width_of(text) > width_mm


def with_minus(text: str) -> str:
    """Figures with a true minus, as the axes have them."""
    return re.sub(r"(?<!\w)-(?=\d)", "−", text)


_BESIDE_MM = SMALL / 5 / 72 * 25.4

LINE_MM = SMALL * 1.2 * 1.17 / 72 * 25.4
"""From one line of small text to the next: DejaVu Sans is 1.17 times its size high."""


def wrapped(text: str, width_mm: float, breaks: str = " -_/") -> list[str]:
    """Small text in lines of at most that width.

    They end after one of the letters ``breaks``; what has none and is too long ends anywhere.
    """
    lines = [""]
    for part in re.findall(
        rf"[^{re.escape(breaks)}]*[{re.escape(breaks)}]?", " ".join(text.split())
    ):
        if lines[-1] and _is_wider((lines[-1] + part).rstrip(), width_mm):
            lines.append("")
        for letter in part if _is_wider(part.rstrip(), width_mm) else [part]:
            if lines[-1] and _is_wider((lines[-1] + letter).rstrip(), width_mm):
                lines.append("")
            lines[-1] += letter
    return [line.strip() for line in lines]


def names_within(
    methods: Sequence[str], width_mm: float, lines: int = 1
) -> tuple[dict[str, str], str]:
    """The methods' names in so many lines of that width, each its own, and a note.

    The middle of a longer one is left out; the note gives these in full, and is empty without any.
    """
    names: dict[str, str] = {}
    notes = []
    for method in methods:
        full = paper.label(method)
        short = shortened(full, width_mm, lines, list(names.values()))
        names[method] = "\n".join(wrapped(short, width_mm))
        if short != full:
            notes.append(f"{short} = {full}")
    return names, f"Names in full: {'; '.join(notes)}." if notes else ""


def shortened(full: str, width_mm: float, lines: int = 1, taken: Sequence[str] = ()) -> str:
    """A name that has room in so many lines: whole, or as much of its ends as isn't ``taken``.

    Raises UsageError where there is none.
    """
    if len(wrapped(full, width_mm)) <= lines:
        return full
    for kept in range(len(full) - 1, 0, -1):
        for tail in (kept // 2, kept // 3, 0):
            text = f"{full[: kept - tail]}…{full[len(full) - tail :]}"
            # lines lose no more than the space at their end
            if width_of(text) > lines * (width_mm + width_of("m")):
                continue
            found = wrapped(text, width_mm)
            if len(found) <= lines and "\n".join(found) not in taken:
                return text
    raise UsageError(
        f"{full!r} can't be told from the other names in {width_mm:.0f} mm.",
        "Give it a shorter name, or draw fewer methods.",
    )


def letters_without_font(figure: Figure) -> str:
    """The letters of the figure's texts that no font here has: a PNG or PDF shows boxes."""
    known: set[int] = set()
    for family in _families():
        with house_style():
            known |= set(get_font(findfont(FontProperties(family=[family]))).get_charmap())
    texts = "".join(text.get_text() for text in figure.findobj(Text))
    return "".join(
        letter for letter in dict.fromkeys(texts) if ord(letter) not in known and letter != "\n"
    )


def figure_bytes(figure: Figure, form: str, dpi: int = _DPI) -> bytes:
    """The figure as a PNG, SVG or PDF file, the same bytes for the same figure."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format=form, dpi=dpi)
    return buffer.getvalue()


def figure_form(path: Path) -> str:
    """The kind of figure that the file's ending says. Raises UsageError for another ending."""
    form = path.suffix.lower().removeprefix(".")
    if form not in FORMATS:
        raise UsageError(
            f"Can't draw {path.name}: {form or 'no ending'} is not a kind of figure.",
            f"End it in {', '.join('.' + known for known in FORMATS)}.",
        )
    return form


def save_figure(figure: Figure, path: Path, dpi: int = _DPI) -> None:
    """Write the figure as the file's ending says. Raises UsageError for another ending."""
    write_atomic(path, figure_bytes(figure, figure_form(path), dpi))


def figure_svg(figure: Figure) -> str:
    """The figure as an SVG element for a page."""
    text = figure_bytes(figure, "svg").decode()
    return text[text.index("<svg") :]
