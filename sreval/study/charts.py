"""Small charts as SVG text, for pages that are made on a server: no script, no style, no font.

Colours are the page's own (``currentColor``). Every mark has a title, which browsers show where
the pointer rests; the chart's label says in words what it shows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_ROW, _LABEL, _PLOT, _VALUE = 20, 150, 360, 130
_MOST_LETTERS = 22
_MOST_TICKS = 11
"""Up to this many points an axis has a tick at each, else at each tenth."""


@dataclass(frozen=True)
class Estimate:
    """A value with its interval; NaN limits where there is none."""

    label: str
    value: float
    low: float = math.nan
    high: float = math.nan
    note: str = ""


def bars(values: Sequence[tuple[str, float]], about: str, unit: str = "") -> str:
    """Horizontal bars from zero, one a row: (label, value of 0 or more)."""
    most = max((value for _, value in values), default=0) or 1
    marks = []
    for row, (label, value) in enumerate(values):
        top = row * _ROW
        text = f"{value:g}{unit}"
        marks.append(
            _row_label(label, top)
            + f'<rect x="{_LABEL}" y="{top + 4}" width="{_PLOT * value / most:.1f}" height="12" '
            f'fill="currentColor" fill-opacity="0.55"><title>{escape(label)}: {text}</title></rect>'
            + _text(_LABEL + _PLOT * value / most + 6, top + 14, text)
        )
    return _svg(_LABEL + _PLOT + _VALUE, max(1, len(values)) * _ROW, about, marks)


def columns(counts: Sequence[tuple[str, int]], about: str, unit: str) -> str:
    """A histogram: (what a column covers, how many). The labels of every fourth stand below."""
    width, height = 24, 120
    most = max((count for _, count in counts), default=0) or 1
    marks = [_text(0, 10, f"{most} {unit}")]
    for place, (label, count) in enumerate(counts):
        tall = height * count / most
        marks.append(
            f'<rect x="{place * width + 1}" y="{16 + height - tall:.1f}" width="{width - 2}" '
            f'height="{tall:.1f}" fill="currentColor" fill-opacity="0.55">'
            f"<title>{escape(label)}: {count} {unit}</title></rect>"
        )
        if place % 4 == 0:
            marks.append(_text(place * width + 1, height + 31, label))
    marks.append(_line(0, 16 + height, len(counts) * width, 16 + height))
    return _svg(len(counts) * width + 60, height + 38, about, marks)


def estimates(rows: Sequence[Estimate], low: float, high: float, about: str) -> str:
    """A point and its interval a row on an axis from ``low`` to ``high``."""

    def place(value: float) -> float:
        return _LABEL + _PLOT * (min(max(value, low), high) - low) / (high - low)

    bottom = len(rows) * _ROW + 4
    marks = [_line(_LABEL, bottom, _LABEL + _PLOT, bottom)]
    for tick in range(math.ceil(low), math.floor(high) + 1, 1 if high - low <= _MOST_TICKS else 10):
        marks.append(_line(place(tick), bottom, place(tick), bottom + 4))
        marks.append(_text(place(tick), bottom + 17, str(tick), anchor="middle"))
    for index, row in enumerate(rows):
        middle = index * _ROW + 10
        has_interval = math.isfinite(row.low) and math.isfinite(row.high)
        span = f" ({row.low:.2f}–{row.high:.2f})" if has_interval else ""
        text = f"{row.value:.2f}{span}"
        note = f", {row.note}" if row.note else ""
        # the pale band makes the whole row answer to the pointer
        mark = (
            f'<rect x="{_LABEL}" y="{index * _ROW}" width="{_PLOT}" height="{_ROW}" '
            'fill="currentColor" fill-opacity="0.03"/>'
        )
        if has_interval:
            mark += _line(place(row.low), middle, place(row.high), middle, 2)
        mark += f'<circle cx="{place(row.value):.1f}" cy="{middle}" r="4" fill="currentColor"/>'
        title = f"<title>{escape(row.label + ': ' + text + note)}</title>"
        marks.append(_row_label(row.label, index * _ROW) + f"<g>{title}{mark}</g>")
        marks.append(_text(_LABEL + _PLOT + 10, middle + 4, text))
    return _svg(_LABEL + _PLOT + _VALUE, bottom + 22, about, marks)


def _svg(width: float, height: float, about: str, marks: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}" role="img" aria-label="{escape(about)}" '
        f'font-family="system-ui, sans-serif" font-size="12" fill="currentColor">'
        f"{''.join(marks)}</svg>"
    )


def _row_label(label: str, top: float) -> str:
    short = label if len(label) <= _MOST_LETTERS else label[: _MOST_LETTERS - 1] + "…"
    return _text(_LABEL - 8, top + 14, short, anchor="end")


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:g}" text-anchor="{anchor}">{escape(text)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, width: float = 1) -> str:
    ends = f'x1="{x1:.1f}" y1="{y1:g}" x2="{x2:.1f}" y2="{y2:g}"'
    return f'<line {ends} stroke="currentColor" stroke-width="{width:g}"/>'
