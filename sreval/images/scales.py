"""Scales, and the sizes that they give: the rule by which HR images are cropped.

At a scale s the LR image of an HR image of H x W pixels has h = floor(H / s) rows and floor(W / s)
columns, and the HR image loses its last rows and columns down to round(s h) x round(s w), halves
rounded up. That is the rule of Chen et al. 2021 (LIIF, arXiv 2012.09161, its data set class), and
for whole scales the field's crop to multiples of s. Sizes are computed exactly, of the scale as it
is written: 22 rows are 10 at a scale of 2.2.
"""

from __future__ import annotations

import math
from fractions import Fraction
from numbers import Real
from typing import Annotated

from pydantic import AfterValidator, Field, PlainSerializer

from sreval.errors import UsageError

_LARGEST = 16
_DIGITS = 4
"""After the point, so that ``{scale:g}`` writes every scale in full."""


def checked_scale(scale: object) -> float:
    """A scale as it is printed: an int where it is whole.

    Raises UsageError for what isn't a number above 1, up to 16 and of at most 4 decimals.
    """
    number = float(scale) if isinstance(scale, Real) else math.nan
    if not (1 < number <= _LARGEST and round(number, _DIGITS) == number):
        raise UsageError(
            f"{scale!r} isn't a valid scale."
            if math.isnan(number)
            else f"{number:.15g} isn't a valid scale.",
            f"A scale is a number above 1 and up to {_LARGEST}, such as 4 or 2.5, of at most "
            f"{_DIGITS} decimals.",
        )
    return int(number) if number.is_integer() else number


def _as_printed(scale: float) -> float:
    try:
        return checked_scale(scale)
    except UsageError as error:
        raise ValueError(f"it must have at most {_DIGITS} decimals") from error


UpscalingFactor = Annotated[
    float,
    Field(gt=1, le=_LARGEST),
    AfterValidator(_as_printed),
    PlainSerializer(lambda scale: scale),  # pydantic's own would write 4 as 4.0
]
"""A scale in a configuration or a file."""


def exact(scale: float) -> Fraction:
    """The scale as it is written: 11/5 of 2.2."""
    return Fraction(str(scale))


def lr_size(hr: tuple[int, ...], scale: float) -> tuple[int, int]:
    """Height and width of the LR image of an HR image of shape (H, W[, 3])."""
    return math.floor(hr[0] / exact(scale)), math.floor(hr[1] / exact(scale))


def hr_size(lr: tuple[int, ...], scale: float) -> tuple[int, int]:
    """Height and width to which an LR image of shape (h, w[, 3]) is enlarged."""
    return _rounded(lr[0] * exact(scale)), _rounded(lr[1] * exact(scale))


def lr_size_of_cropped(hr: tuple[int, ...], scale: float) -> tuple[int, int] | None:
    """Height and width that are enlarged to just the shape (H, W[, 3]); None where none are."""
    height, width = (math.ceil((side - Fraction(1, 2)) / exact(scale)) for side in hr[:2])
    return (height, width) if hr_size((height, width), scale) == hr[:2] else None


def _rounded(value: Fraction) -> int:
    return math.floor(value + Fraction(1, 2))
