"""How many raters and images a difference needs, by simulation from the rater model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import scipy

from sreval.errors import StatisticsError, unknown_name
from sreval.opinions.arrays import Floats
from sreval.opinions.comparison import CLAIMS
from sreval.opinions.multiplicity import ADJUSTMENTS
from sreval.opinions.units import STUDIES, Unit
from sreval.opinions.wilcoxon import signed_rank
from sreval.study.simulate import RaterModel, draw_raters, draw_scores


@dataclass(frozen=True)
class ImageModel:
    """The images that a plan assumes: ``quality`` is the mean of the two methods.

    ``image_sd`` is the spread of the images' difficulty, ``interaction_sd`` that of what an image
    does to one method alone; both in points of the scale.
    """

    quality: float = 3.0
    image_sd: float = 0.5
    interaction_sd: float = 0.3


@dataclass(frozen=True)
class Power:
    """The share of simulated studies with an adjusted p below alpha, and its standard error.

    ``low`` is the lower limit of the power, 95 % to one side (Wilson 1927). ``comparisons`` are
    made in all; see ``power`` for what is assumed of the others.
    """

    power: float
    standard_error: float
    low: float
    studies: int
    difference: float
    n_raters: int
    n_images: int
    unit: Unit
    comparisons: int
    adjustment: str
    alpha: float


def power(
    difference: float,
    n_raters: int,
    n_images: int,
    *,
    model: RaterModel | None = None,
    images_like: ImageModel | None = None,
    unit: Unit = "rater",
    comparisons: int = 1,
    adjustment: str = "holm",
    alpha: float = 0.05,
    studies: int = STUDIES,
    seed: int = 0,
) -> Power:
    """How often the signed-rank test finds a true ``difference`` in quality of two methods.

    Of ``comparisons`` tests this one is found where its p times their number is below ``alpha``
    (p itself without adjustment). That is what Holm and Benjamini-Hochberg both find whatever the
    other tests show: the power where they show nothing, and the least where they do.

    ``difference`` is in points before rounding and clipping. What an image does to one method
    alone is chance only for a claim about images in general, and what a rater's taste does
    only for one about raters in general: each is drawn with its own unit, and belongs to the
    difference with the other. Raises UsageError for an unknown unit or adjustment,
    StatisticsError for fewer than one rater, image, comparison or study.
    """
    if unit not in CLAIMS:
        raise unknown_name("unit", unit, CLAIMS)
    if adjustment not in ADJUSTMENTS:
        raise unknown_name("adjustment", adjustment, ADJUSTMENTS)
    if min(n_raters, n_images, comparisons, studies) < 1:
        raise StatisticsError(
            f"Can't simulate {studies} studies of {n_raters} raters, {n_images} images and "
            f"{comparisons} comparisons.",
            "Each must be at least 1.",
        )
    model, images_like = model or RaterModel(), images_like or ImageModel()
    generator = np.random.default_rng(seed)
    found = 0
    for _ in range(studies):
        first, second = _paired_scores(
            difference, n_raters, n_images, model, images_like, unit, generator
        )
        p = signed_rank(first, second).p
        found += p * (1 if adjustment == "none" else comparisons) < alpha
    share = found / studies
    return Power(
        power=share,
        standard_error=math.sqrt(share * (1 - share) / studies),
        low=_lower_limit(share, studies),
        studies=studies,
        difference=difference,
        n_raters=n_raters,
        n_images=n_images,
        unit=unit,
        comparisons=comparisons,
        adjustment=adjustment,
        alpha=alpha,
    )


def power_curve(
    differences: Sequence[float],
    raters: Sequence[int],
    images: Sequence[int],
    *,
    model: RaterModel | None = None,
    images_like: ImageModel | None = None,
    unit: Unit = "rater",
    comparisons: int = 1,
    adjustment: str = "holm",
    alpha: float = 0.05,
    studies: int = STUDIES,
    seed: int = 0,
) -> pd.DataFrame:
    """``power`` at every combination, one row each; all are simulated data.

    Columns: the fields of Power, and ``simulated`` = True.
    """
    rows = [
        power(
            difference,
            n_raters,
            n_images,
            model=model,
            images_like=images_like,
            unit=unit,
            comparisons=comparisons,
            adjustment=adjustment,
            alpha=alpha,
            studies=studies,
            seed=seed,
        )
        for difference in differences
        for n_raters in raters
        for n_images in images
    ]
    return pd.DataFrame([vars(row) for row in rows]).assign(simulated=True)


def raters_needed(curve: pd.DataFrame, target: float = 0.8) -> pd.DataFrame:
    """The fewest raters of ``power_curve`` from which on ``target`` is shown to be reached.

    Per difference and images: their ``low`` and that of every larger number tried is ``target``
    or more. Tried from the largest down, each at 5 %, so that too few are named in 5 % of curves
    at most, however many numbers are tried. NaN where the largest isn't shown to reach it.
    """
    rows = []
    for (difference, n_images), group in curve.groupby(["difference", "n_images"]):
        down = group.sort_values("n_raters", ascending=False)
        shown = down.loc[(down["low"] >= target).cummin(), "n_raters"]
        rows.append((difference, n_images, shown.min() if len(shown) else math.nan))
    return pd.DataFrame(rows, columns=["difference", "n_images", "n_raters"])


def _lower_limit(share: float, n: int) -> float:
    """Wilson's lower limit of a share of ``n``, 95 % to one side (Wilson 1927, JASA 22(158))."""
    if share == 0:
        return 0.0
    z = float(scipy.special.ndtri(0.95))
    root = math.sqrt(z**2 / 4 + n * share * (1 - share))
    return (n * share + z**2 / 2 - z * root) / (n + z**2)


def _paired_scores(
    difference: float,
    n_raters: int,
    n_images: int,
    model: RaterModel,
    images_like: ImageModel,
    unit: Unit,
    generator: np.random.Generator,
) -> tuple[Floats, Floats]:
    """The two methods' scores of one simulated study, by unit."""
    difficulty = generator.normal(size=n_images) * images_like.image_sd
    own = generator.normal(size=(2, n_images)) * images_like.interaction_sd * (unit == "image")
    levels = images_like.quality + np.array([[difference], [-difference]]) / 2
    quality = (levels + difficulty + own).ravel()
    method = np.repeat(np.arange(2), n_images)
    if unit == "image":
        model = replace(model, taste_sd=0.0)
    raters = draw_raters(model, n_raters, 2, generator)
    scores = draw_scores(model, raters, quality, method, generator)
    halves = scores.reshape(2, n_images, n_raters)
    if unit == "pooled":
        return halves[0].ravel(), halves[1].ravel()
    axis = 0 if unit == "rater" else 1
    return halves[0].mean(axis=axis), halves[1].mean(axis=axis)
