"""Figures as text: one rule for decimals, signs and missing numbers, whatever prints them."""

from __future__ import annotations

import math

NONE = "–"
"""The text for a missing number."""


def fixed(value: float, digits: int, *, signed: bool = False) -> str:
    """A number with so many decimals; what rounds to zero has no minus, a missing one is a dash.

    ``signed`` prints a plus, too, as differences need it.
    """
    if not math.isfinite(value):
        return NONE
    text = f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"
    return text.replace("-", "+" if signed else "") if float(text) == 0 else text


def whole_percent(share: float) -> str:
    """A share of 0..1 in whole per cent, a dash for none."""
    return f"{share:.0%}" if math.isfinite(share) else NONE
