"""The parts of a result table, and the marks on a figure: ranks, stars, letters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from sreval.files import write_atomic
from sreval.metrics.scorer import HIGHER_IS_BETTER
from sreval.opinions import multiplicity
from sreval.opinions.multiplicity import Verdict
from sreval.opinions.wilcoxon import SignedRank
from sreval.report import paper
from sreval.settings import user_path

DIGITS = {"psnr": 2, "ssim": 4, "lpips": 4, "lpips-vgg": 4, "mos": 2}
NAMES = {"psnr": "PSNR", "ssim": "SSIM", "lpips": "LPIPS", "lpips-vgg": "LPIPS (VGG)", "mos": "MOS"}
RANGES = {"ssim": (-1.0, 1.0), "lpips": (0.0, math.inf), "lpips-vgg": (0.0, math.inf)}
"""Where the values of a metric lie, and with them the limits of an interval of their mean."""
ALPHA = 0.05
TOO_SMALL = "‡"


@dataclass(frozen=True)
class Cell:
    """A method's mean on one data set; ``rank`` 1 is the best, 2 the second, 0 any other.

    ``mark`` is a significance mark, or the letters that a method shares with those it wasn't
    shown to differ from; ``paper`` the paper's own figure where it was asked for.
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
    """One metric on one data set: a cell per method (None where it has no result).

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
    """A paired test of two methods on one data set, and its verdict among those beside it."""

    dataset: str
    metric: str
    first: str
    second: str
    difference: float
    test: SignedRank
    verdict: Verdict


@dataclass(frozen=True, repr=False)
class Table:
    """What a result table says, independent of how it is printed; a notebook shows it as HTML."""

    title: str
    protocol: str
    scale: int
    methods: list[str]
    lines: list[Line]
    comparisons: list[Comparison]
    with_paper: bool
    notes: list[str] = field(default_factory=list)
    level: float = 0.95

    @property
    def frame(self) -> pd.DataFrame:
        """Every figure with its interval, one row a (data set, metric, method)."""
        from sreval.report.records import table_frame

        return table_frame(self)

    @property
    def tests(self) -> pd.DataFrame:
        """Every paired test, one row each; empty without a baseline and without pairs."""
        from sreval.report.records import tests_frame

        return tests_frame(self)

    def tests_csv(self) -> str:
        """``tests`` as CSV in which no text can be taken for a formula."""
        from sreval.report.records import csv_text

        return csv_text(self.tests)

    def render(self, form: str, *, colour: bool = False) -> str:
        """The table in one of ``choices.FORMATS``; ``colour`` lets text use bold and underline."""
        from sreval.report.render import render

        return render(self, form, colour=colour)

    def _written(self, form: str, path: Path | str | None) -> str:
        """The table in one form, which also goes to the file ``path`` where one is named."""
        text = self.render(form)
        if path is not None:
            write_atomic(user_path(path), text)
        return text

    def to_text(self, path: Path | str | None = None) -> str:
        """Aligned columns, as the command line prints them."""
        return self._written("text", path)

    def to_markdown(self, path: Path | str | None = None) -> str:
        """A Markdown table as GitHub and Pandoc show it."""
        return self._written("markdown", path)

    def to_latex(self, path: Path | str | None = None) -> str:
        """A LaTeX table; it needs the package booktabs."""
        return self._written("latex", path)

    def to_html(self, path: Path | str | None = None) -> str:
        """A page of its own, which needs no other file."""
        return self._written("html", path)

    def to_csv(self, path: Path | str | None = None) -> str:
        """``frame`` as CSV in which no text can be taken for a formula."""
        return self._written("csv", path)

    def to_json(self, path: Path | str | None = None) -> str:
        """Figures, tests and notes."""
        return self._written("json", path)

    def __repr__(self) -> str:
        return self.to_text().rstrip("\n")

    def _repr_html_(self) -> str:
        from sreval.report.render import to_html_part

        return to_html_part(self)


def rank_means(means: pd.Series, metric: str) -> dict[str, int]:
    """Ranks, 1 the best, of methods' means by the printed digits; HR, the ceiling, has none."""
    means = means.drop(index="hr", errors="ignore").round(DIGITS[metric])
    order = sorted(means.unique(), reverse=metric == "mos" or HIGHER_IS_BETTER[metric])
    if len(means) < 2:
        return {}
    return {str(method): order.index(mean) + 1 for method, mean in means.items()}


def verdicts(tests: Sequence[SignedRank]) -> list[Verdict]:
    """The verdicts of the tests of one data set and metric, by Holm at ALPHA."""
    return multiplicity.judge([t.p for t in tests], [t.least_p for t in tests], "holm", ALPHA)


def marks(methods: list[str], comparisons: list[Comparison], pairs: bool) -> dict[str, str]:
    """The mark beside each method's mean, given the tests of one data set and metric.

    With ``pairs`` letters, or the sign that n is too small for all pairs; else, beside a method
    that was tested against a baseline, a star, nothing, or that sign. HR takes no part.
    """
    if pairs and comparisons:
        names = [method for method in methods if method != "hr"]
        tested = {(c.first, c.second): c.verdict for c in comparisons}
        return multiplicity.letters(names, tested) or dict.fromkeys(names, TOO_SMALL)
    return {
        c.first: TOO_SMALL if c.verdict.too_small else "*" * c.verdict.significant
        for c in comparisons
    }


def too_small_notes(comparisons: Sequence[Comparison], unit: str) -> list[str]:
    """Where no outcome could have been significant; ``unit`` is what the tests' n counts.

    One note on the families of tests, and single tests against a baseline, that have the sign
    beside them, one on the pairs that share a letter for want of units.
    """
    families: dict[tuple[str, str], list[Comparison]] = {}
    for c in comparisons:
        families.setdefault((c.dataset, c.metric), []).append(c)
    least: dict[tuple[str, int], tuple[float, float]] = {}
    some = []
    for (dataset, metric), tests in families.items():
        small = [c for c in tests if c.verdict.too_small]
        name = f"{dataset}, MOS" if metric == "mos" else dataset
        if small and (len(small) == len(tests) or len({c.second for c in tests}) == 1):
            for c in small:
                found = (c.verdict.least_p_adjusted, c.test.least_p)
                least[name, c.test.n] = min(found, least.get((name, c.test.n), found))
        elif small:
            some.append(f"{len(small)} of {len(tests)} pairs of {NAMES[metric]} on {dataset}")
    marked = [
        f"{name} ({n} {unit}s; the least exact p is {p:.4f}, Holm-adjusted {adjusted:.4f})"
        for (name, n), (adjusted, p) in least.items()
    ]
    notes = []
    if marked:
        notes.append(
            f"{TOO_SMALL} n too small: no outcome could have been significant on "
            f"{'; '.join(marked)}."
        )
    if some:
        notes.append(
            f"n too small for {'; '.join(some)}: they share a letter because no outcome could have "
            "been significant."
        )
    return notes


def paper_figure(dataset: str, method: str, metric: str) -> float | None:
    """The paper's own figure, None where it has none."""
    return paper.figures().get((dataset, method, metric))
