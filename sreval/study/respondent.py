"""A simulated rater's judgement: recognises a frozen stimulus and scores it by the rater model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from sreval.errors import DataError, option
from sreval.files import sha256_bytes
from sreval.opinions.simulation import RaterModel, Raters
from sreval.opinions.votes import ACR
from sreval.study.design import Question, StudyDesign
from sreval.study.manifest import Manifest
from sreval.study.task import Scale

Qualities = Mapping[tuple[str, str], float]
"""(Data set, method) to true quality on the scale; data set '' holds for all others."""

_MODEL = RaterModel()
_MEDIAN_MS, _SPREAD, _SPEEDER_MS = 2500.0, 0.4, 250.0


@dataclass
class Respondent:
    """One rater of the model, who is told no method and knows the stimuli by their hashes."""

    model: RaterModel
    """On the study's scale."""
    scale: Scale
    rater: Raters
    seen: Mapping[str, tuple[float, int]]
    """SHA-256 of a stimulus to its true quality and the number of its method."""
    generator: np.random.Generator

    def respond(self, png: bytes, intended: int | None = None) -> tuple[float, float]:
        """Score and response time in ms. An example is given the score that it shows.

        Raises DataError for an image that isn't one of the frozen stimuli.
        """
        sha256 = sha256_bytes(png)
        if sha256 not in self.seen:
            raise DataError(
                f"An image was shown ({sha256[:12]}...) that isn't a stimulus of the study.",
                "Freeze the study again.",
            )
        quality, method = self.seen[sha256]
        quality_of, method_of = np.array([quality]), np.array([method])
        drawn = self.model.draw_scores(self.rater, quality_of, method_of, self.generator)[0, 0]
        median = _SPEEDER_MS if self.rater.speeder[0] else _MEDIAN_MS
        response_ms = median * np.exp(_SPREAD * self.generator.normal())
        score = self.scale.nearest(float(drawn)) if intended is None else intended
        return score, round(float(response_ms))

    def answer(self, question: Question) -> str:
        """An answer that doesn't screen the rater out, where there is one.

        A number is the middle of the range that is asked for.
        """
        if question.kind == "choice":
            fit = [one for one in question.options if one not in question.screens_out]
            return str(self.generator.choice(fit or list(question.options)))
        if question.kind == "number":
            ends = [end for end in (question.low, question.high) if end is not None]
            return f"{sum(ends) / len(ends):.0f}" if ends else "1"
        return "simulated"


def respondents(
    count: int,
    design: StudyDesign,
    manifest: Manifest,
    qualities: Qualities,
    *,
    seed: int = 0,
    model: RaterModel = _MODEL,
) -> list[Respondent]:
    """``count`` raters drawn from ``model``, which is taken to the design's scale.

    Raises DataError for methods without a quality, and for a quality off the scale.
    """
    scale = design.scale
    methods = sorted({stimulus.method for stimulus in manifest.stimuli})
    overall = {method: _quality_anywhere(qualities, method) for method in methods}
    unknown = [method for method, quality in overall.items() if quality is None]
    if unknown:
        raise DataError(
            f"No quality is given for {', '.join(unknown)}.",
            option(
                "Name a CSV file with the columns method and quality (on the study's scale) with "
                "--qualities.",
                "Add it to qualities=: a number on the study's scale a method.",
            ),
        )
    seen: dict[str, tuple[float, int]] = {}
    for stimulus in manifest.stimuli:
        quality = qualities.get((stimulus.dataset, stimulus.method), overall[stimulus.method])
        assert quality is not None
        if not scale.low <= quality <= scale.high:
            raise DataError(
                f"The quality of {stimulus.method} is {quality:g}, off the study's scale "
                f"{scale.numbers}.",
                f"Give qualities on the study's scale, {scale.low} the worst, {scale.high} the "
                "best.",
            )
        seen.setdefault(stimulus.sha256, (quality, methods.index(stimulus.method)))
    model = replace(model.on(scale.numbers), step=scale.step)
    drawn = model.draw_raters(count, len(methods), np.random.default_rng(seed))
    return [
        Respondent(model, scale, drawn.one(i), seen, np.random.default_rng([seed, i]))
        for i in range(count)
    ]


def quality_notes(qualities: Qualities, scale: Scale) -> list[str]:
    """A note where qualities seem to be given on 1..5 and the study's scale goes further."""
    best = max(qualities.values(), default=math.inf)
    if scale.high <= ACR.high or best > ACR.high:
        return []
    return [
        f"No quality is above {best:g} on the study's scale {scale.numbers}; they are taken as "
        f"points of it, not of {ACR}."
    ]


def read_qualities(path: Path) -> Qualities:
    """Qualities from a CSV file with the columns method, quality and, if it differs, dataset.

    Raises DataError when it can't be read or a quality isn't a number.
    """
    try:
        frame = pd.read_csv(path, keep_default_na=False, dtype=str)
        names = frame["dataset"] if "dataset" in frame else [""] * len(frame)
        values = frame["quality"].map(float)
        return dict(zip(zip(names, frame["method"], strict=True), values, strict=True))
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            f"{path} holds no qualities ({error}).",
            "Its columns are method, quality and, if they differ, dataset.",
        ) from None


def _quality_anywhere(qualities: Qualities, method: str) -> float | None:
    """What holds for all data sets, else the mean over those that are known."""
    if ("", method) in qualities:
        return qualities["", method]
    known = [quality for (_, name), quality in qualities.items() if name == method]
    return sum(known) / len(known) if known else None
