"""Figures as text: one rule each, whatever prints them."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence

from sreval.errors import NONE, fixed

CORRECTIONS = {"holm": "Holm", "benjamini-hochberg": "Benjamini-Hochberg", "none": "not adjusted"}
"""How an adjustment of p values is printed."""

TESTS = {
    "both": "Student's t test with crossed effects",
    **dict.fromkeys(("rater", "image", "pooled"), "Wilcoxon signed-rank test"),
}
"""How the test of a unit is printed."""


def language_name(code: str) -> str:
    """What a language's two letters stand for, in English; the letters where nobody knows."""
    from babel import Locale, UnknownLocaleError  # only studies of several languages need it

    try:
        return Locale.parse(code).get_display_name("en") or code
    except (UnknownLocaleError, ValueError):
        return code


def one_line(text: str) -> str:
    """Text in one line, without characters that control a printer or have no width."""
    if not text.isprintable():
        text = "".join(c for c in text if c.isspace() or unicodedata.category(c)[0] != "C")
    return " ".join(text.split())


def cells_wide(text: str) -> int:
    """How many cells of a terminal a text takes: two for a wide letter, none for an accent."""
    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in text)
    return len(text) + wide - sum(map(bool, map(unicodedata.combining, text)))


def padded(text: str, width: int, *, right: bool = False) -> str:
    """Text filled with spaces to so many cells of a terminal; ``right`` sets it right."""
    space = " " * (width - cells_wide(text))
    return space + text if right else text + space


def whole_percent(share: float) -> str:
    """A share of 0..1 in whole per cent, a dash for none."""
    return f"{fixed(100 * share, 0)}%" if math.isfinite(share) else NONE


def percent(level: float) -> str:
    """A level of confidence, with all its digits: 95%, 99.9%."""
    return f"{100 * level:.10g}%"


def span(low: float, high: float, digits: int, *, signed: bool = False) -> str:
    """An interval; ``signed`` prints signs, and 'to' between them: a minus looks like a dash."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return NONE
    if signed:
        return f"{fixed(low, digits, signed=True)} to {fixed(high, digits, signed=True)}"
    first, last = fixed(low, digits), fixed(high, digits)
    return f"{first}{' to ' if first.startswith('-') else '–'}{last}"


def p_value(p: float) -> str:
    """A p value with four decimals, never rounded to zero."""
    if math.isnan(p):
        return NONE
    return "<0.0001" if p < 0.0001 else fixed(p, 4)


def columns(rows: Sequence[Sequence[object]]) -> str:
    """Rows as left-aligned columns, the first row as their heads."""
    texts = [[str(cell) for cell in row] for row in rows]
    widths = [max(cells_wide(row[i]) for row in texts) for i in range(len(texts[0]))]
    return "\n".join(
        "  ".join(padded(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in texts
    )
