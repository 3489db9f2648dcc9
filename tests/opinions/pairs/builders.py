"""Small tables of judgements for tests."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from sreval.opinions.arrays import Floats
from sreval.opinions.pairs.comparisons import JUDGEMENT_COLUMNS, Comparisons

Counts = Sequence[tuple[str, str, float, float, float]]
"""Rows of left, right, and how often left, neither and right was preferred."""


def judgements(counts: Counts, rater: str = "", image: str = "") -> pd.DataFrame:
    rows = [
        ("", image, rater, left, right, choice, count)
        for left, right, *outcomes in counts
        for choice, count in zip(("left", "tie", "right"), outcomes, strict=True)
        if count
    ]
    return pd.DataFrame(rows, columns=list(JUDGEMENT_COLUMNS))


def counted(counts: Counts) -> Comparisons:
    return Comparisons.of(judgements(counts))


def study(
    seed: int = 0,
    raters: int = 8,
    images: int = 6,
    theta: Sequence[float] = (0.5, 0.0, -0.5),
    spread: float = 0.4,
    ties: float = 0.0,
    delta: float = 0.2,
) -> pd.DataFrame:
    """Each pair once per rater and image, sides at random, raters and images with tastes."""
    random = np.random.default_rng(seed)
    n = len(theta)
    own: Floats = (
        np.asarray(theta)
        + random.normal(0, spread, (raters, 1, n))
        + random.normal(0, spread, (1, images, n))
    )
    rows = []
    for rater, image in np.ndindex(raters, images):
        for a in range(n):
            for b in range(a):
                left, right = random.permutation([a, b])
                x = own[rater, image, left] - own[rater, image, right] + delta
                seen = x + random.logistic()
                choice = "tie" if abs(seen) < ties else "left" if seen > 0 else "right"
                names = ("abcdefgh"[left], "abcdefgh"[right])
                rows.append(("", f"i{image}", f"r{rater}", *names, choice, 1))
    return pd.DataFrame(rows, columns=list(JUDGEMENT_COLUMNS))
