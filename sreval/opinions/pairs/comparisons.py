"""Judgements of pairs as arrays that can be calculated with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sreval.errors import StatisticsError, listed, numbered, shown
from sreval.frames import unit_name, unit_of
from sreval.opinions.arrays import Codes, Floats

JUDGEMENT_COLUMNS: Final = ("dataset", "image", "rater", "left", "right", "choice", "count")
"""What every frame of judgements has, one row a judgement or a ``count`` of equal ones.

``dataset``, ``image`` and ``rater`` are "" where the file has none; ``choice`` is left, right or
tie; ``count`` is above 0. Where the file has them there are ``seconds``, NaN where missing, and
``kind``: real, repeat, trap, same or training.
"""

_OUTCOMES = {"left": 1, "tie": 0, "right": -1}


@dataclass(frozen=True, eq=False)
class Comparisons:
    """N judgements, or counts of equal ones, of one data set, as arrays of shape (N,).

    ``left`` and ``right`` index ``methods``, ``rater`` indexes ``raters``, and ``image`` indexes
    ``images``, which are sequences where the images are frames; ``of_images`` is what they are
    called. ``outcome`` is +1 where the left was preferred, -1 the right, 0 a tie; ``count`` is how
    many judgements the row stands for. A file without raters, or images, has the single one "".
    """

    methods: tuple[str, ...]
    raters: tuple[str, ...]
    images: tuple[str, ...]
    left: Codes
    right: Codes
    outcome: Codes
    rater: Codes
    image: Codes
    count: Floats
    of_images: str = "image"

    @classmethod
    def of(cls, frame: pd.DataFrame, methods: Sequence[str] | None = None) -> Comparisons:
        """The "real" judgements of a frame with JUDGEMENT_COLUMNS, of one data set.

        ``methods`` names those to keep, in their order: judgements on another are left out; None:
        all, sorted by name. Raises StatisticsError for no judgement, several data sets, an unknown
        choice, a count of zero or less, a method against itself, one that was never judged, or
        fewer than two.
        """
        if "kind" in frame:
            frame = frame[frame["kind"] == "real"]
        _check(frame)
        left, right, raters = (frame[name].astype(str) for name in ("left", "right", "rater"))
        if methods is not None:
            kept = left.isin(methods) & right.isin(methods)
            frame, left, right, raters = frame[kept], left[kept], right[kept], raters[kept]
        judged = set(left) | set(right)
        names = tuple(sorted(judged, key=numbered) if methods is None else methods)
        missing = [name for name in names if name not in judged]
        if missing or len(names) < 2 or len(set(names)) < len(names):
            raise StatisticsError(
                f"No judgement compares {listed(missing)} with another of these methods."
                if missing
                else f"Scale values need two different methods, got {listed(names)}.",
                "Name methods that were compared with each other, each once.",
            )
        frames = frame["image"].astype(str)
        images = frames.map({name: unit_of(name) for name in frames.unique()})
        rater, rater_names = _coded(raters)
        image, image_names = _coded(images)
        index = {name: number for number, name in enumerate(names)}
        return cls(
            methods=names,
            raters=rater_names,
            images=image_names,
            left=_numbers(left, index),
            right=_numbers(right, index),
            outcome=_numbers(frame["choice"], _OUTCOMES),
            rater=rater,
            image=image,
            count=frame["count"].to_numpy(dtype=np.float64),
            of_images=unit_name(frames.unique()),
        )

    @property
    def n_judgements(self) -> float:
        """How many judgements there are."""
        return float(self.count.sum())

    @property
    def n_ties(self) -> float:
        """How many of them are ties."""
        return float(self.count[self.outcome == 0].sum())

    @property
    def n_raters(self) -> int:
        """How many raters there are; 1 where the file has none."""
        return len(self.raters)

    @property
    def n_images(self) -> int:
        """How many images, or sequences, there are; 1 where the file has none."""
        return len(self.images)

    def wins(self) -> Floats:
        """How often each method (row) was preferred to each (column), (n, n), without ties."""
        won = np.zeros((len(self.methods),) * 2)
        for outcome, winner, loser in ((1, self.left, self.right), (-1, self.right, self.left)):
            chosen = self.outcome == outcome
            np.add.at(won, (winner[chosen], loser[chosen]), self.count[chosen])
        return won

    def tied(self) -> Floats:
        """How often each two methods were tied, symmetric, (n, n)."""
        ties = np.zeros((len(self.methods),) * 2)
        chosen = self.outcome == 0
        np.add.at(ties, (self.left[chosen], self.right[chosen]), self.count[chosen])
        return ties + ties.T

    @cached_property
    def cells(self) -> tuple[Codes, Codes, Codes, Floats]:
        """The M ordered pairs shown: left, right, each judgement's pair, and their outcomes.

        Of shapes (M,), (M,), (N,) and (M, 3): how often left, neither and right was preferred.
        """
        n = len(self.methods)
        pairs, cell = np.unique(self.left * n + self.right, return_inverse=True)
        counts = np.zeros((pairs.size, 3))
        np.add.at(counts, (cell, 1 - self.outcome), self.count)
        return pairs // n, pairs % n, np.asarray(cell, dtype=np.intp), counts

    def where(self, rows: NDArray[np.bool_]) -> Comparisons:
        """The judgements where the mask (N,) is true, of all methods, raters and images."""
        arrays = ("left", "right", "outcome", "rater", "image", "count")
        return replace(self, **{name: getattr(self, name)[rows] for name in arrays})

    def among(self, methods: Sequence[str]) -> Comparisons:
        """The judgements between two of these ``methods``, in their order."""
        place = np.full(len(self.methods), -1, dtype=np.intp)
        for number, name in enumerate(methods):
            place[self.methods.index(name)] = number
        rows = (place[self.left] >= 0) & (place[self.right] >= 0)
        kept = self.where(rows)
        return replace(kept, methods=tuple(methods), left=place[kept.left], right=place[kept.right])


def unit_codes(comparisons: Comparisons) -> dict[str, Codes]:
    """The number of the rater, of the image, and of both of each judgement, all (N,)."""
    cell = comparisons.rater * comparisons.n_images + comparisons.image
    return {"rater": comparisons.rater, "image": comparisons.image, "both": cell}


def unit_sums(values: Floats, codes: Codes) -> Floats:
    """The sums (U, m) of ``values`` (N, m) over each unit that occurs in ``codes`` (N,)."""
    units, unit = np.unique(codes, return_inverse=True)
    sums = np.zeros((units.size, values.shape[1]))
    np.add.at(sums, unit, values)
    return sums


def _check(frame: pd.DataFrame) -> None:
    """Raise StatisticsError for judgements that are none."""
    if frame.empty:
        raise StatisticsError(
            "The table holds no judgements.", "One row a judgement of two methods is expected."
        )
    names = frame["dataset"].unique().tolist()
    if len(names) > 1:
        raise StatisticsError(
            f"The judgements are of several data sets: {listed(names)}.", "Compare within one."
        )
    unknown = set(frame["choice"]) - _OUTCOMES.keys()
    if unknown:
        raise StatisticsError(
            f"Unknown choice {shown(min(unknown, key=str))}.", "Use left, right or tie."
        )
    none = frame["count"][~(frame["count"] > 0)]
    if len(none):
        raise StatisticsError(
            f"A count of judgements must be above 0, got {none.iloc[0]}.", "Leave such rows out."
        )
    itself = frame["left"][frame["left"] == frame["right"]]
    if len(itself):
        raise StatisticsError(
            f"{shown(itself.iloc[0])} is compared with itself.", "Leave such judgements out."
        )


def _coded(values: pd.Series[str]) -> tuple[Codes, tuple[str, ...]]:
    """Codes of ``values`` (N,), and their names in order."""
    names = sorted(values.unique(), key=numbered)
    return _numbers(values, {name: number for number, name in enumerate(names)}), tuple(names)


def _numbers(values: pd.Series[str], number: Mapping[str, int]) -> Codes:
    return np.asarray(values.map(dict(number)).to_numpy(), dtype=np.intp)
