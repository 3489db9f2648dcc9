"""How many raters and images a difference needs, by simulation from the rater model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from sreval.errors import StatisticsError, unknown_name
from sreval.statistics.arrays import Floats
from sreval.statistics.comparison import CLAIMS, Unit
from sreval.statistics.wilcoxon import signed_rank
from sreval.study.simulate import RaterModel, draw_raters, draw_scores

STUDIES = 500


@dataclass(frozen=True)
class ImageModel:
    """The images a plan reckons with: ``quality`` is the mean of the two methods.

    ``image_sd`` is the spread of the images' difficulty, ``interaction_sd`` that of what an image
    does to one method alone; both in points of the scale.
    """

    quality: float = 3.0
    image_sd: float = 0.5
    interaction_sd: float = 0.3


@dataclass(frozen=True)
class Power:
    """The share of simulated studies with p < alpha, and its standard error."""

    power: float
    standard_error: float
    studies: int
    difference: float
    n_raters: int
    n_images: int
    unit: Unit
    alpha: float


def power(
    difference: float,
    n_raters: int,
    n_images: int,
    *,
    model: RaterModel | None = None,
    images_like: ImageModel | None = None,
    unit: Unit = "rater",
    alpha: float = 0.05,
    studies: int = STUDIES,
    seed: int = 0,
) -> Power:
    """How often the signed-rank test finds a true ``difference`` in quality of two methods.

    ``difference`` is in points before rounding and clipping. What an image does to one method
    alone is chance only for a claim about images in general, and what a rater's taste does
    only for one about raters in general: each is drawn with its own unit, and belongs to the
    difference with the other. Raises UsageError for an
    unknown unit, StatisticsError for fewer than one rater, image or study.
    """
    if unit not in CLAIMS:
        raise unknown_name("unit", unit, CLAIMS)
    if min(n_raters, n_images, studies) < 1:
        raise StatisticsError(
            f"Can't simulate {studies} studies of {n_raters} raters and {n_images} images.",
            "Each must be at least 1.",
        )
    model, images_like = model or RaterModel(), images_like or ImageModel()
    generator = np.random.default_rng(seed)
    found = 0
    for _ in range(studies):
        first, second = _paired_scores(
            difference, n_raters, n_images, model, images_like, unit, generator
        )
        found += signed_rank(first, second).p < alpha
    share = found / studies
    error = math.sqrt(share * (1 - share) / studies)
    return Power(share, error, studies, difference, n_raters, n_images, unit, alpha)


def power_curve(
    differences: Sequence[float],
    raters: Sequence[int],
    images: Sequence[int],
    *,
    model: RaterModel | None = None,
    images_like: ImageModel | None = None,
    unit: Unit = "rater",
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
    """The fewest raters of ``power_curve`` that reach ``target``, per difference and images.

    NaN where none of those tried does.
    """
    reached = curve["n_raters"].where(curve["power"] >= target)
    keys = [curve["difference"], curve["n_images"]]
    return reached.groupby(keys).min().rename("n_raters").reset_index()


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
