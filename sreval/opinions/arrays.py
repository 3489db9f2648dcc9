"""Checked conversion of what a caller passes into arrays that can be calculated with."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sreval.errors import StatisticsError

Floats = NDArray[np.float64]

_ROUNDING = 1e-12


def vector(values: ArrayLike, name: str) -> Floats:
    """``values`` as a float64 array of shape (n,), n >= 1, infinities allowed.

    Raises StatisticsError for another shape, no values, or a NaN.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise StatisticsError(
            f"{name} must be one-dimensional, got shape {array.shape}.", "Pass one value per unit."
        )
    if array.size == 0:
        raise StatisticsError(f"{name} is empty.", "At least one value is needed.")
    missing = int(np.isnan(array).sum())
    if missing:
        raise StatisticsError(
            f"{name} holds {missing} missing of {array.size} values.",
            "Drop the missing units first and report how many they were.",
        )
    return array


def paired_vectors(x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
    """Two checked vectors of one length.

    Raises StatisticsError as ``vector`` does, and when the lengths differ.
    """
    first, second = vector(x, "x"), vector(y, "y")
    if first.size != second.size:
        raise StatisticsError(
            f"Paired values differ in length: {first.size} and {second.size}.",
            "Keep only the units that both sides have, in one order.",
        )
    return first, second


def varies(values: Floats) -> bool:
    """Whether finite ``values``, shape (n,), n >= 1, differ by more than the noise of rounding."""
    return bool(np.ptp(values) > _ROUNDING * np.abs(values).max())


def quotient(above: float, below: float, size: float) -> float:
    """above / below, NaN where ``below`` is zero but for rounding.

    ``size`` is the magnitude of the terms that were summed to ``below``: sums of variances that
    cancel exactly come out as rounding noise, which must not be divided by.
    """
    return above / below if abs(below) > _ROUNDING * abs(size) else math.nan


def check_level(level: float) -> None:
    """Raise StatisticsError unless the confidence level lies strictly between 0 and 1."""
    if not 0 < level < 1:
        raise StatisticsError(
            f"A confidence level must lie between 0 and 1, got {level}.", "0.95 is usual."
        )
