"""The rater model: votes of simulated raters, and what they are expected to be.

A vote is round(quality + bias + taste + noise), clipped to the scale: the model of Li et al.
2020 with a rater's taste for a method, which is what makes votes of one rater dependent, and
with what real raters do besides: lapses, straight-lining, speeding, dropping out. Every row
made here carries ``simulated`` = True.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import scipy
from numpy.typing import NDArray

from sreval.errors import StatisticsError
from sreval.opinions.arrays import Floats
from sreval.opinions.intervals import category
from sreval.opinions.votes import Scale

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
    once, and who leave after a random part. Votes are ``low`` to ``high``, ``step`` apart.
    """

    bias_sd: float = 0.3
    taste_sd: float = 0.2
    inconsistency: float = 0.6
    inconsistency_spread: float = 0.2
    lapse_rate: float = 0.02
    straight_liner_rate: float = 0.0
    speeder_rate: float = 0.0
    dropout_rate: float = 0.0
    low: float = 1
    high: float = 5
    step: float = 1

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if name.endswith("rate") and not 0 <= value <= 1:
                raise StatisticsError(f"{name} must lie within 0..1, got {value}.")
            if (name.endswith(("sd", "spread")) or name == "inconsistency") and value < 0:
                raise StatisticsError(f"{name} can't be negative, got {value}.")
        if self.straight_liner_rate + self.speeder_rate > 1:
            raise StatisticsError(
                f"{self.straight_liner_rate:g} of the raters can't be straight-liners and "
                f"{self.speeder_rate:g} speeders: that is more than all.",
                "Give shares that add up to 1 or less.",
            )
        if self.high <= self.low:
            raise StatisticsError(f"The scale {self.low}..{self.high} has no range.")
        if not self.step > 0:
            raise StatisticsError(f"The step of the votes can't be {self.step:g}.")

    @property
    def scale(self) -> Scale:
        """The scale of the votes."""
        return Scale(self.low, self.high, self.step)

    def on(self, scale: Scale) -> RaterModel:
        """The same raters on another scale: what differs between them grows with its length.

        On a slider they answer in hundredths of it.
        """
        factor = (scale.high - scale.low) / (self.high - self.low)
        return replace(
            self,
            bias_sd=self.bias_sd * factor,
            taste_sd=self.taste_sd * factor,
            inconsistency=self.inconsistency * factor,
            low=scale.low,
            high=scale.high,
            step=category(scale),
        )

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
            constant=self._at_random(n, generator),
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
        steps = np.rint((latent - self.low) / self.step)
        scores = np.clip(self.low + self.step * steps, self.low, self.high)
        at_random = generator.random(shape) < self.lapse_rate
        at_random |= raters.speeder
        drawn = np.where(at_random, self._at_random(shape, generator), scores)
        return np.where(raters.straight_liner, raters.constant, drawn)

    def _at_random(self, shape: int | tuple[int, ...], generator: np.random.Generator) -> Floats:
        """Scores of the scale that are equally likely."""
        most = round((self.high - self.low) / self.step)
        steps = generator.integers(0, most + 1, shape).astype(np.float64)
        return self.low + self.step * steps

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
        """Mean of a normal variable rounded to steps and clipped to the scale."""
        count = round((self.high - self.low) / self.step)
        steps = self.low + self.step * (np.arange(count) + 0.5)
        safe = np.maximum(sd, 1e-9)
        above = scipy.special.ndtr((centre[..., None] - steps) / safe[..., None])
        mean: Floats = self.low + self.step * above.sum(axis=-1)
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
    codes, _ = pd.factorize(stimuli["method"])
    quality = stimuli["quality"].to_numpy(dtype=np.float64)
    method = np.asarray(codes, dtype=np.intp)
    return draw_votes(model, quality, method, n_raters, generator).frame(stimuli)


@dataclass(frozen=True)
class DrawnVotes:
    """What raters would vote on stimuli, and in which order: all of shape (J, I).

    ``position``, (J + others, I), is a stimulus' place in the rater's order, last those on which no
    votes are drawn; ``response_ms`` the time that the vote took. ``rated``, (I,), is the share of
    the plan after which the rater leaves, 1 at its end.
    """

    scores: Floats
    position: NDArray[np.intp]
    response_ms: Floats
    rated: Floats

    def cast(self, shown: int) -> NDArray[np.bool_]:
        """Which votes are cast by raters who are shown the first ``shown`` of their order."""
        return self.position[: len(self.scores)] < np.ceil(self.rated * shown)

    def frame(self, stimuli: pd.DataFrame, cast: NDArray[np.bool_] | None = None) -> pd.DataFrame:
        """The votes as a table, as ``simulate_votes`` gives it; ``cast``: which (None: all)."""
        cast = self.cast(len(self.scores)) if cast is None else cast
        stimulus, rater = np.nonzero(cast)
        ordered = np.lexsort((self.position[cast], rater))
        stimulus, rater = stimulus[ordered], rater[ordered]
        shown = stimuli.drop(columns="quality", errors="ignore")
        votes = pd.DataFrame({name: shown[name].to_numpy()[stimulus] for name in shown})
        names = np.array([f"sim-{i + 1:03}" for i in range(self.rated.size)], dtype=object)
        votes.insert(0, "rater", names[rater])
        return votes.assign(
            study="simulated",
            position=self.position[stimulus, rater],
            score=_whole(self.scores[stimulus, rater]),
            kind="vote",
            response_ms=np.rint(self.response_ms[stimulus, rater]),
            simulated=True,
        )


def _whole(scores: Floats) -> NDArray[np.int64] | Floats:
    """Scores as integers where all are."""
    return scores.astype(np.int64) if (scores % 1 == 0).all() else scores


def draw_votes(
    model: RaterModel,
    quality: Floats,
    method: NDArray[np.intp],
    n_raters: int,
    generator: np.random.Generator,
    others: int = 0,
) -> DrawnVotes:
    """Votes of raters drawn from ``model`` on stimuli of ``quality`` (J,) made by ``method`` (J,).

    Each rater has a random order of their own, of these and of so many ``others``.
    """
    raters = model.draw_raters(n_raters, int(method.max()) + 1, generator)
    scores = model.draw_scores(raters, quality, method, generator)
    stimuli = quality.size + others
    stimulus = np.broadcast_to(np.arange(stimuli)[:, None], (stimuli, n_raters))
    position = generator.permuted(stimulus, axis=0)
    median = np.where(raters.speeder, 250.0, 2500.0)
    times = median * np.exp(0.4 * generator.normal(size=scores.shape))
    leaves = generator.random(n_raters) < model.dropout_rate
    rated = np.where(leaves, generator.random(n_raters), 1.0)
    return DrawnVotes(scores, position, times, rated)
