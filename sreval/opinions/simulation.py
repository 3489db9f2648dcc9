"""The rater model: votes of simulated raters, what they are expected to be, and power from them.

A vote is round(quality + bias + taste + noise), clipped to the scale: the model of Li et al.
2020 with a rater's taste for a method, which is what makes votes of one rater dependent, and
with what real raters do besides: lapses, straight-lining, speeding, dropping out. Every row
made here carries ``simulated`` = True.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import scipy
from numpy.typing import NDArray

from sreval.errors import StatisticsError, unknown_name
from sreval.opinions.arrays import Floats
from sreval.opinions.significance import ADJUSTMENTS, signed_rank
from sreval.opinions.units import CLAIMS, STUDIES, Unit

_NODES, _NODE_WEIGHTS = np.polynomial.hermite_e.hermegauss(31)


@dataclass(frozen=True)
class Raters:
    """Raters drawn from a model: all of shape (I,), taste (I, methods).

    ``constant`` is the score that a rater gives who is a straight-liner.
    """

    straight_liner: NDArray[np.bool_]
    speeder: NDArray[np.bool_]
    bias: Floats
    inconsistency: Floats
    taste: Floats
    constant: Floats

    def one(self, index: int) -> Raters:
        """A single one of them."""
        chosen = slice(index, index + 1)
        return Raters(**{name: values[chosen] for name, values in vars(self).items()})


@dataclass(frozen=True)
class RaterModel:
    """How raters differ and err, in points of the scale.

    ``bias_sd``: spread of the raters' severity. ``taste_sd``: spread of a rater's own preference
    for a method. ``inconsistency``: median over raters of the noise's standard deviation, with
    ``inconsistency_spread`` the standard deviation of its logarithm. Bias and inconsistency
    are what P.910 (10/2023) Annex E recovers from Netflix' public 26 raters; the taste is assumed.
    ``lapse_rate``: share of votes cast at random. ``straight_liner_rate``, ``speeder_rate``,
    ``dropout_rate``: shares of raters who give one score throughout, who vote at random at
    once, and who leave after a random part.
    """

    bias_sd: float = 0.3
    taste_sd: float = 0.2
    inconsistency: float = 0.6
    inconsistency_spread: float = 0.2
    lapse_rate: float = 0.02
    straight_liner_rate: float = 0.0
    speeder_rate: float = 0.0
    dropout_rate: float = 0.0
    low: int = 1
    high: int = 5

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if name.endswith("rate") and not 0 <= value <= 1:
                raise StatisticsError(f"{name} must lie within 0..1, got {value}.")
            if (name.endswith(("sd", "spread")) or name == "inconsistency") and value < 0:
                raise StatisticsError(f"{name} can't be negative, got {value}.")
        if self.straight_liner_rate + self.speeder_rate > 1:
            raise StatisticsError("Straight-liners and speeders together exceed all raters.")
        if self.high <= self.low:
            raise StatisticsError(f"The scale {self.low}..{self.high} has no range.")

    def draw_raters(self, n: int, n_methods: int, generator: np.random.Generator) -> Raters:
        """``n`` raters with a taste for each of ``n_methods`` methods."""
        share = generator.random(n)
        straight_liner = share < self.straight_liner_rate
        speeder = ~straight_liner & (share < self.straight_liner_rate + self.speeder_rate)
        spread = generator.normal(size=n) * self.inconsistency_spread
        return Raters(
            straight_liner=straight_liner,
            speeder=speeder,
            bias=generator.normal(size=n) * self.bias_sd,
            inconsistency=self.inconsistency * np.exp(spread),
            taste=generator.normal(size=(n, n_methods)) * self.taste_sd,
            constant=generator.integers(self.low, self.high + 1, n).astype(np.float64),
        )

    def draw_scores(
        self,
        raters: Raters,
        quality: Floats,
        method: NDArray[np.intp],
        generator: np.random.Generator,
    ) -> Floats:
        """Scores of shape (J, I) on stimuli of ``quality`` (J,) made by ``method`` (J,)."""
        shape = (quality.size, raters.bias.size)
        latent = quality[:, None] + raters.bias + raters.taste[:, method].T
        latent = latent + generator.normal(size=shape) * raters.inconsistency
        scores = np.clip(np.rint(latent), self.low, self.high)
        at_random = generator.random(shape) < self.lapse_rate
        at_random |= raters.speeder
        scores = np.where(at_random, generator.integers(self.low, self.high + 1, shape), scores)
        return np.where(raters.straight_liner, raters.constant, scores)

    def expected_score(self, quality: Floats, spread: float = 0.0) -> Floats:
        """The expected score of a rater drawn anew, after rounding and clipping, shape as quality.

        ``spread`` is the standard deviation of further normal effects about ``quality``, such as
        images drawn anew. Gauss-Hermite quadrature over the raters' inconsistency.
        """
        noise = self.inconsistency * np.exp(self.inconsistency_spread * _NODES)
        sd = np.sqrt(self.bias_sd**2 + self.taste_sd**2 + spread**2 + noise**2)
        value = self._rounded_mean(np.asarray(quality, dtype=np.float64)[..., None], sd)
        attentive = value @ (_NODE_WEIGHTS / _NODE_WEIGHTS.sum())
        middle = (self.low + self.high) / 2
        at_random = 1 - (1 - self.straight_liner_rate - self.speeder_rate) * (1 - self.lapse_rate)
        expected: Floats = (1 - at_random) * attentive + at_random * middle
        return expected

    def expected_score_of(
        self, raters: Raters, quality: Floats, method: int, spread: float = 0.0
    ) -> Floats:
        """The expected score that each of ``raters`` gives, shape (J, I), for ``quality`` (J,)."""
        sd = np.sqrt(raters.inconsistency**2 + spread**2)
        centre = quality[:, None] + raters.bias + raters.taste[:, method]
        middle = (self.low + self.high) / 2
        lapsing = np.where(raters.speeder, 1.0, self.lapse_rate)
        mean = (1 - lapsing) * self._rounded_mean(centre, sd) + lapsing * middle
        return np.where(raters.straight_liner, raters.constant, mean)

    def _rounded_mean(self, centre: Floats, sd: Floats) -> Floats:
        """Mean of a normal variable rounded to integers and clipped to the scale."""
        steps = np.arange(self.low, self.high) + 0.5
        safe = np.maximum(sd, 1e-9)
        above = scipy.special.ndtr((centre[..., None] - steps) / safe[..., None])
        mean: Floats = self.low + above.sum(axis=-1)
        return mean


def make_stimuli(
    methods: Mapping[str, float],
    n_images: int,
    *,
    image_sd: float = 0.5,
    interaction_sd: float = 0.3,
    dataset: str = "simulated",
    seed: int = 0,
) -> pd.DataFrame:
    """Stimuli of every method on every image: dataset, image, scene, method, quality.

    ``methods`` gives each one's mean quality; an image's difficulty has ``image_sd``, what is
    the image's own with each method ``interaction_sd``.
    """
    generator = np.random.default_rng(seed)
    difficulty = generator.normal(size=n_images) * image_sd
    own = generator.normal(size=(len(methods), n_images)) * interaction_sd
    quality = np.array(list(methods.values()))[:, None] + difficulty + own
    images = [f"img_{i + 1:03}" for i in range(n_images)]
    return pd.DataFrame(
        {
            "dataset": dataset,
            "image": images * len(methods),
            "scene": images * len(methods),
            "method": np.repeat(list(methods), n_images),
            "quality": quality.ravel(),
        }
    )


def simulate_votes(
    stimuli: pd.DataFrame, model: RaterModel, n_raters: int, seed: int = 0
) -> pd.DataFrame:
    """A table of votes on every stimulus, each rater in a random order of their own.

    ``stimuli`` as ``make_stimuli`` gives them. Response times are log-normal about 2.5 s, and
    about 0.25 s for speeders. All rows carry ``simulated`` = True and the study 'simulated'.
    Raises StatisticsError for no rater or no stimulus.
    """
    if n_raters < 1 or stimuli.empty:
        raise StatisticsError(
            f"Can't simulate {n_raters} raters on {len(stimuli)} stimuli.",
            "Give at least one of each.",
        )
    generator = np.random.default_rng(seed)
    codes, methods = pd.factorize(stimuli["method"])
    method = np.asarray(codes, dtype=np.intp)
    raters = model.draw_raters(n_raters, len(methods), generator)
    quality = stimuli["quality"].to_numpy(dtype=np.float64)
    scores = model.draw_scores(raters, quality, method, generator)
    stimulus = np.broadcast_to(np.arange(quality.size)[:, None], scores.shape)
    rater = np.broadcast_to(np.arange(n_raters), scores.shape)
    position = generator.permuted(stimulus, axis=0)
    median = np.where(raters.speeder, 250.0, 2500.0)
    times = median * np.exp(0.4 * generator.normal(size=scores.shape))
    leaves = generator.random(n_raters) < model.dropout_rate
    seen = np.where(leaves, np.ceil(generator.random(n_raters) * len(stimuli)), len(stimuli))
    cast = position < seen
    shown = stimuli.drop(columns="quality")
    votes = pd.DataFrame({name: shown[name].to_numpy()[stimulus[cast]] for name in shown})
    votes.insert(0, "rater", [f"sim-{i + 1:03}" for i in rater[cast].tolist()])
    votes = votes.assign(
        study="simulated",
        position=position[cast],
        score=scores[cast].astype(np.int64),
        kind="vote",
        response_ms=np.rint(times[cast]),
        simulated=True,
    )
    ordered: pd.DataFrame = votes.sort_values(["rater", "position"], ignore_index=True)
    return ordered


# How many raters and images a difference needs


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
    raters = model.draw_raters(n_raters, 2, generator)
    scores = model.draw_scores(raters, quality, method, generator)
    halves = scores.reshape(2, n_images, n_raters)
    if unit == "pooled":
        return halves[0].ravel(), halves[1].ravel()
    axis = 0 if unit == "rater" else 1
    return halves[0].mean(axis=axis), halves[1].mean(axis=axis)
