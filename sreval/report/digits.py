"""Figures as text: one rule for decimals and signs, whatever prints them."""

from __future__ import annotations


def fixed(value: float, digits: int, *, signed: bool = False) -> str:
    """A finite number with so many decimals; what rounds to zero has no minus.

    ``signed`` prints a plus, too, as differences need it.
    """
    text = f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"
    return text.replace("-", "+" if signed else "") if float(text) == 0 else text
