"""The parts of a result table, and the marks on a figure: ranks, stars, letters."""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd

from sreval.metrics.scorer import HIGHER_IS_BETTER
from sreval.report import paper
from sreval.statistics.multiplicity import letter_display
from sreval.statistics.wilcoxon import SignedRank

DIGITS = {"psnr": 2, "ssim": 4, "lpips": 4, "lpips-vgg": 4, "mos": 2}
NAMES = {"psnr": "PSNR", "ssim": "SSIM", "lpips": "LPIPS", "lpips-vgg": "LPIPS (VGG)", "mos": "MOS"}
ALPHA = 0.05
TOO_SMALL = "‡"


@dataclass(frozen=True)
class Cell:
    """A method's mean on one data set; ``rank`` 1 is the best, 2 the second, 0 any other.

    ``mark`` is a significance mark or the letters of the groups that don't differ; ``paper`` the
    paper's own figure where it was asked for.
    """

    mean: float
    low: float
    high: float
    n: int
    rank: int = 0
    mark: str = ""
    paper: float | None = None


@dataclass(frozen=True)
class Line:
    """One metric on one data set: a cell a method (None where it has no result).

    ``unit`` is what a cell's ``n`` counts and its interval is over; ``study`` names the study
    that a line of opinions is of, where there may be several.
    """

    dataset: str
    metric: str
    cells: dict[str, Cell | None]
    unit: str = "image"
    simulated: bool = False
    study: str = ""


@dataclass(frozen=True)
class Comparison:
    """A paired test of two methods over the images of one data set."""

    dataset: str
    metric: str
    first: str
    second: str
    difference: float
    test: SignedRank
    p_holm: float

    @property
    def significant(self) -> bool:
        """Whether the adjusted p is below ALPHA."""
        return self.p_holm < ALPHA


@dataclass(frozen=True)
class Table:
    """What a result table says, independent of how it is printed."""

    title: str
    protocol: str
    scale: int
    methods: list[str]
    lines: list[Line]
    comparisons: list[Comparison]
    with_paper: bool
    notes: list[str] = field(default_factory=list)


def rank_means(means: pd.Series, metric: str) -> dict[str, int]:
    """Ranks, 1 the best, of methods' means by the printed digits; HR, the ceiling, has none."""
    means = means.drop(index="hr", errors="ignore").round(DIGITS[metric])
    order = sorted(means.unique(), reverse=metric == "mos" or HIGHER_IS_BETTER[metric])
    if len(means) < 2:
        return {}
    return {str(method): order.index(mean) + 1 for method, mean in means.items()}


def letters(methods: list[str], comparisons: list[Comparison]) -> dict[str, str]:
    """Letters of the groups that don't differ, or the sign that n is too small for all pairs."""
    if all(c.test.too_small_for(ALPHA) for c in comparisons):
        return dict.fromkeys(methods, TOO_SMALL)
    different = [(c.first, c.second) for c in comparisons if c.significant]
    return letter_display(methods, different)


def star(comparison: Comparison) -> str:
    """The mark of a comparison: significant, not, or never possible with this n."""
    if comparison.test.too_small_for(ALPHA):
        return TOO_SMALL
    return "*" if comparison.significant else ""


def paper_figure(dataset: str, method: str, metric: str) -> float | None:
    """The paper's own figure, None where it has none."""
    return paper.figures().get((dataset, method, metric))
