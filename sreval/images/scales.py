"""Scales, and the sizes that they give: the rule by which HR images are cropped.

At a scale s the LR image of an HR image of H x W pixels has h rows, the most with round(s h) <= H,
halves rounded up, and w columns likewise. The HR image loses its last rows and columns down to
round(s h) x round(s w), of which the same rule makes h x w again. For whole scales that is the
field's crop to multiples of s. Chen et al. 2021 (LIIF, arXiv 2012.09161, its data set class) crop
so, too, but have floor(H / s) rows: one fewer where s (h + 1) is rounded down to H. Sizes are
computed exactly, of the scale as it is written: 22 rows are 10 at a scale of 2.2.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction
from numbers import Rational, Real
from typing import Annotated

from pydantic import Field, PlainSerializer, WrapValidator

from sreval.config import FieldError
from sreval.errors import UsageError, shown

_LARGEST = 16
_DIGITS = 4
"""After the point, so that ``{scale:g}`` writes every scale in full."""

_RULE = (
    f"A scale is a number above 1 and up to {_LARGEST}, such as 4 or 2.5, of at most {_DIGITS} "
    "decimals, as in 2.6667."
)
_WRITTEN = re.compile(r"-?[0-9]+(\.[0-9]*)?")


def checked_scale(scale: object) -> float:
    """A scale as it is printed: an int where it is whole; 1.3 of ``np.float32(1.3)``.

    Raises UsageError for what isn't a number above 1, up to 16 and of at most 4 decimals.
    """
    if isinstance(scale, str):
        raise UsageError(f"{scale!r} isn't a valid scale.", f"Write it without quotes. {_RULE}")
    number = math.nan
    if isinstance(scale, Real) and not isinstance(scale, bool):
        try:
            number = float(scale if isinstance(scale, Rational) else str(scale))
        except OverflowError:
            number = math.inf
    if not (1 < number <= _LARGEST and round(number, _DIGITS) == number):
        told = shown(scale) if math.isnan(number) else f"{number:.15g}"
        raise UsageError(f"{told} isn't a valid scale.", _RULE)
    return int(number) if number.is_integer() else number


def read_scale(text: str) -> float:
    """A scale as it is written on the command line. Raises UsageError as ``checked_scale`` does."""
    if not _WRITTEN.fullmatch(text):
        raise UsageError(f"{text!r} isn't a valid scale.", _RULE)
    return checked_scale(float(text))


def _in_file(scale: object, _: object) -> float:
    try:
        return checked_scale(scale)
    except UsageError as error:
        raise FieldError("it isn't a valid scale", remedy=error.remedy) from error


UpscalingFactor = Annotated[
    float,
    Field(gt=1, le=_LARGEST),
    WrapValidator(_in_file),  # the field's own limits are for its JSON schema
    PlainSerializer(lambda scale: scale),  # pydantic's own would write 4 as 4.0
]
"""A scale in a configuration or a file."""


def exact(scale: float) -> Fraction:
    """The scale as it is written: 11/5 of 2.2."""
    return Fraction(str(scale))


def lr_size(hr: tuple[int, ...], scale: float) -> tuple[int, int]:
    """Height and width of the LR image of an HR image of shape (H, W[, 3])."""
    return _most(hr[0], exact(scale)), _most(hr[1], exact(scale))


def hr_size(lr: tuple[int, ...], scale: float) -> tuple[int, int]:
    """Height and width to which an LR image of shape (h, w[, 3]) is enlarged."""
    return _rounded(lr[0] * exact(scale)), _rounded(lr[1] * exact(scale))


def belong(hr: tuple[int, ...], lr: tuple[int, ...], scale: float) -> bool:
    """Whether an HR image of shape (H, W[, 3]) covers the LR image (h, w[, 3]) and no more.

    That is round(s h) <= H < s (h + 1), and so for W: of ``lr_size`` and of floor(H / s) rows.
    """
    sides = zip(hr[:2], hr_size(lr, scale), lr, strict=False)
    return all(least <= high < exact(scale) * (low + 1) for high, least, low in sides)


def fitting_scale(hr: tuple[int, ...], lr: tuple[int, ...]) -> float | None:
    """The scale of fewest decimals, of up to two, at which the shapes ``belong`` together."""
    for digits in range(3):
        for high, low in zip(hr[:2], lr, strict=False):
            scale = round(high / low, digits)
            if 1 < scale <= _LARGEST and belong(hr, lr, scale):
                return checked_scale(scale)
    return None


def _most(side: int, scale: Fraction) -> int:
    """The most pixels that are enlarged to ``side`` or fewer."""
    return math.ceil((side + Fraction(1, 2)) / scale) - 1


def _rounded(value: Fraction) -> int:
    return math.floor(value + Fraction(1, 2))
