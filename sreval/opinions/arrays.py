"""Arrays that can be calculated with: checked vectors, and votes, however sparse their table is."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from sreval.errors import StatisticsError, numbered
from sreval.frames import unit_name, unit_of

Floats = NDArray[np.float64]

_ROUNDING = 1e-12
_SPARSE = 32
"""Codes that count to more than so many times their number are sorted instead of counted."""


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


Codes = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Ratings:
    """V votes: ``score``, ``rater`` and ``stimulus`` are of shape (V,).

    ``rater`` and ``stimulus`` index the labels in ``raters`` and ``stimuli``, each of which has
    at least one vote.
    """

    score: Floats
    rater: Codes
    stimulus: Codes
    raters: tuple[Hashable, ...]
    stimuli: tuple[Hashable, ...]

    @classmethod
    def from_matrix(cls, matrix: ArrayLike) -> Ratings:
        """From a stimulus by rater matrix, NaN where no vote was cast; labels are the indices.

        Rows and columns without a vote are left out. Raises StatisticsError for another shape
        or no vote at all.
        """
        dense = np.asarray(matrix, dtype=np.float64)
        if dense.ndim != 2 or np.isnan(dense).all():
            raise StatisticsError(
                f"Expected a stimulus by rater matrix with votes, got shape {dense.shape}.",
                "Missing votes are NaN.",
            )
        seen = ~np.isnan(dense)
        if seen.all():
            rows, columns = dense.shape
            rater = np.tile(np.arange(columns, dtype=np.intp), rows)
            stimulus = np.repeat(np.arange(rows, dtype=np.intp), columns)
            labels = tuple(range(columns)), tuple(range(rows))
            return cls(dense.ravel(), rater, stimulus, *labels)
        stimulus, rater = np.nonzero(seen)
        return _relabel(
            dense[stimulus, rater], rater, stimulus, range(dense.shape[1]), range(dense.shape[0])
        )

    @classmethod
    def from_votes(cls, votes: pd.DataFrame, stimulus: Sequence[str]) -> Ratings:
        """From a table of votes; ``stimulus`` names the columns that tell stimuli apart."""
        if votes.empty:
            raise StatisticsError("The table holds no votes.", "One row per vote is expected.")
        codes, names = pd.factorize(votes["rater"])
        raters = sorted(names, key=numbered)
        place = {name: number for number, name in enumerate(raters)}
        code, *columns = (pd.factorize(votes[name], sort=True) for name in stimulus)
        stimuli, labels = code[0], [(name,) for name in code[1]]
        for more, names_of in columns:
            stimuli, kept = compact(stimuli * len(names_of) + more)
            pairs = zip(*(own.tolist() for own in np.divmod(kept, len(names_of))), strict=True)
            labels = [(*labels[before], names_of[last]) for before, last in pairs]
        return cls(
            votes["score"].to_numpy(dtype=np.float64),
            np.array([place[name] for name in names], dtype=np.intp)[codes],
            np.asarray(stimuli, dtype=np.intp),
            tuple(raters),
            tuple(label if columns else label[0] for label in labels),
        )

    @property
    def n_raters(self) -> int:
        """How many raters cast at least one vote."""
        return len(self.raters)

    @property
    def n_stimuli(self) -> int:
        """How many stimuli have at least one vote."""
        return len(self.stimuli)

    @cached_property
    def sequence(self) -> Codes:
        """The sequence of each stimulus, (J,), where labels end in images; a still is its own."""
        keys = [key if isinstance(key, tuple) else (key,) for key in self.stimuli]
        units = pd.Index([(*key[:-1], unit_of(str(key[-1]))) for key in keys], tupleize_cols=False)
        return np.asarray(pd.factorize(units)[0], dtype=np.intp)

    @cached_property
    def unit_name(self) -> str:
        """What ``sequence`` counts: sequences, or images."""
        return unit_name(str(key[-1] if isinstance(key, tuple) else key) for key in self.stimuli)

    def matrix(self) -> Floats:
        """The stimulus by rater matrix, NaN where no vote was cast."""
        dense = np.full((self.n_stimuli, self.n_raters), np.nan)
        dense[self.stimulus, self.rater] = self.score
        return dense

    def keep(self, votes: NDArray[np.bool_]) -> Ratings:
        """The votes where the mask of shape (V,) is true, with labels that have votes left.

        Raises StatisticsError when none is.
        """
        if not votes.any():
            raise StatisticsError("The exclusions leave no vote.", "Use a milder rule.")
        return _relabel(
            self.score[votes], self.rater[votes], self.stimulus[votes], self.raters, self.stimuli
        )


def group_mean(values: Floats, codes: Codes, n: int, weights: Floats | None = None) -> Floats:
    """Mean, or weighted mean, of ``values`` (V,) within each of ``n`` groups, shape (n,)."""
    if weights is None:
        return np.bincount(codes, values, n) / np.bincount(codes, minlength=n)
    return np.bincount(codes, values * weights, n) / np.bincount(codes, weights, n)


def cell_means(values: Floats, rater: Codes, image: Codes) -> tuple[Floats, Codes, Codes]:
    """Each rater's mean of ``values`` (V,) on each image: means, raters, images, all (C,).

    The codes are renumbered without gaps.
    """
    width = int(image.max(initial=0)) + 1
    cell, cells = compact(rater * width + image)
    raters, images = (compact(codes)[0] for codes in np.divmod(cells, width))
    return group_mean(values, cell, cells.size), raters, images


def compact(codes: Codes) -> tuple[Codes, Codes]:
    """Codes renumbered without gaps, and the old code of each new one, in rising order.

    What ``np.unique`` gives, by counting, which is sooner done where the codes are no larger than
    there are many.
    """
    if int(codes.max(initial=0)) > _SPARSE * codes.size:
        different, renumbered = np.unique(codes, return_inverse=True)
        return np.asarray(renumbered, dtype=np.intp), different
    there = np.bincount(codes) > 0
    return (np.cumsum(there) - 1)[codes], np.flatnonzero(there)


def _relabel(
    score: Floats,
    rater: Codes,
    stimulus: Codes,
    raters: Sequence[Hashable],
    stimuli: Sequence[Hashable],
) -> Ratings:
    """Ratings whose codes index only those labels that occur."""
    rater, used_raters = compact(rater)
    stimulus, used_stimuli = compact(stimulus)
    return Ratings(
        score,
        rater,
        stimulus,
        tuple(raters[code] for code in used_raters.tolist()),
        tuple(stimuli[code] for code in used_stimuli.tolist()),
    )
