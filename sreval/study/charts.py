"""Small charts as SVG text, for pages that are made on a server: no script, no style, no font.

Across they are in per cent of the room they have, down in pixels: in a narrow window they are drawn
narrower, and their text keeps its size. Colours are the page's own (``currentColor``). Every mark
has a title, which browsers show where the pointer rests; the chart's label says in words what it
shows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from sreval.errors import fixed

_ROW = 31
_MOST_LETTERS = 34
_MOST_TICKS = 11
"""Up to this many points an axis has a tick at each, else at each tenth."""
_EDGE = 3
"""Per cent left free on both sides of an axis, for the labels at its ends."""


@dataclass(frozen=True)
class Estimate:
    """A value with its interval; NaN limits where there is none. ``mark`` stands behind them."""

    label: str
    value: float
    low: float = math.nan
    high: float = math.nan
    note: str = ""
    mark: str = ""


def bars(values: Sequence[tuple[str, float]], about: str, unit: str = "") -> str:
    """Horizontal bars from zero, one a row: (label, value of 0 or more)."""
    most = max((value for _, value in values), default=0) or 1
    height = max(1, len(values)) * _ROW
    marks = [_line(0, 0, 0, height)]
    for row, (label, value) in enumerate(values):
        top = row * _ROW
        text = f"{value:g}{unit}"
        marks.append(
            _head(label, text, top)
            + f'<rect x="0%" y="{top + 18}" width="{100 * value / most:.2f}%" height="9" '
            f'fill="currentColor" fill-opacity="0.55"><title>{escape(label)}: {text}</title></rect>'
        )
    return _svg(height, about, marks)


def columns(counts: Sequence[tuple[str, int]], about: str, unit: str) -> str:
    """A histogram: (what a column covers, how many). The labels of every fourth stand below."""
    height = 120
    base = 18 + height
    most = max((count for _, count in counts), default=0) or 1
    marks = [_text(0, 11, f"{most} {unit}"), _line(0, 18, 0, base)]
    width = 100 / max(1, len(counts))
    for place, (label, count) in enumerate(counts):
        tall = height * count / most
        marks.append(
            f'<rect x="{(place + 0.05) * width:.2f}%" y="{base - tall:.1f}" '
            f'width="{0.9 * width:.2f}%" height="{tall:.1f}" fill="currentColor" '
            f'fill-opacity="0.55"><title>{escape(label)}: {count} {unit}</title></rect>'
        )
        if place % 4 == 0:
            last = place + 4 > len(counts) - 1
            marks.append(
                _text(100, base + 15, label, anchor="end")
                if last and place
                else _text(place * width, base + 15, label)
            )
    marks.append(_line(0, base, 100, base))
    return _svg(base + 22, about, marks)


def estimates(
    rows: Sequence[Estimate],
    low: float,
    high: float,
    about: str,
    *,
    unit: str = "",
    signed: bool = False,
) -> str:
    """A point and its interval a row on an axis from ``low`` to ``high``.

    ``signed`` prints a plus, too; values in per cent have no decimals.
    """

    def figure(value: float) -> str:
        return fixed(value, 0) if unit == "%" else fixed(value, 2, signed=signed)

    def place(value: float) -> float:
        share = (min(max(value, low), high) - low) / (high - low)
        return _EDGE + (100 - 2 * _EDGE) * share

    bottom = len(rows) * _ROW + 4
    marks = [_line(place(low), bottom, place(high), bottom)]
    for tick in range(math.ceil(low), math.floor(high) + 1, 1 if high - low <= _MOST_TICKS else 10):
        marks.append(_line(place(tick), 0, place(tick), bottom, opacity=0.12))
        marks.append(_line(place(tick), bottom, place(tick), bottom + 4))
        marks.append(_text(place(tick), bottom + 17, str(tick), anchor="middle"))
    for index, row in enumerate(rows):
        top = index * _ROW
        middle = top + 22
        has_interval = math.isfinite(row.low) and math.isfinite(row.high)
        span = f" ({figure(row.low)} to {figure(row.high)}{unit})" if has_interval else ""
        text = f"{figure(row.value)}{unit}{span}"
        note = f", {row.note}" if row.note else ""
        # the band makes the whole row answer to the pointer
        mark = f'<rect x="0%" y="{top}" width="100%" height="{_ROW}" fill-opacity="0"/>'
        if has_interval:
            mark += _line(place(row.low), middle, place(row.high), middle, 2)
        mark += f'<circle cx="{place(row.value):.2f}%" cy="{middle}" r="4" fill="currentColor"/>'
        title = f"<title>{escape(row.label + ': ' + text + note)}</title>"
        marks.append(_head(row.label, f"{text} {row.mark}".rstrip(), top))
        marks.append(f"<g>{title}{mark}</g>")
    return _svg(bottom + 22, about, marks)


def _svg(height: float, about: str, marks: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="100%" height="{height:g}" '
        f'role="img" aria-label="{escape(about)}" '
        f'font-family="system-ui, sans-serif" font-size="12" fill="currentColor">'
        f"{''.join(marks)}</svg>"
    )


def _head(label: str, text: str, top: float) -> str:
    """A row's label, and its figures at the other end of the line."""
    short = label if len(label) <= _MOST_LETTERS else label[: _MOST_LETTERS - 1] + "…"
    return _text(0, top + 13, short) + _text(100, top + 13, text, anchor="end")


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.2f}%" y="{y:g}" text-anchor="{anchor}">{escape(text)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, width: float = 1, opacity: float = 1) -> str:
    ends = f'x1="{x1:.2f}%" y1="{y1:g}" x2="{x2:.2f}%" y2="{y2:g}"'
    faint = f' stroke-opacity="{opacity:g}"' if opacity < 1 else ""
    return f'<line {ends} stroke="currentColor" stroke-width="{width:g}"{faint}/>'
