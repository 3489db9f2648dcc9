"""A simulated rater's judgement: recognises frozen stimuli and judges them by the rater model.

A pair is judged by the same model as Thurstone's case V (``opinions.pairs.models``): the rater
sees the difference of two values with a normal error of standard deviation 1, and chooses the
larger. A third answer is given where the difference that is seen is below half of that.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from sreval.errors import DataError, option
from sreval.files import sha256_bytes
from sreval.opinions.pairs.models import JOD
from sreval.opinions.simulation import RaterModel, Raters
from sreval.opinions.votes import ACR
from sreval.study.design import StudyDesign
from sreval.study.exposure import StimulusSet
from sreval.study.manifest import Key, Manifest, pictures
from sreval.study.questions import Question
from sreval.study.task import TIE, Choice, Place, Scale

Qualities = Mapping[tuple[str, str], float]
"""(Data set, method) to true quality, on the scale, of pairs in JOD; data set '' holds for all
others."""

_SCORES = RaterModel()
_CHOICES = RaterModel(bias_sd=0.0, taste_sd=0.26, inconsistency=1.0, inconsistency_spread=0.0)
"""In standard deviations of a difference. The bias is for one side, the taste that of
``opinions.pairs.simulation.PairModel``, 0.45 logits."""
JOD_OF_A_POINT = 1 / (math.sqrt(2) * _SCORES.inconsistency * JOD)
"""How many JOD a point of 1..5 is to a rater who scores both pictures of a pair, each with the
model's own error, and chooses the better."""
_IMAGE_SD = 0.29
"""What images do to methods in the judgement of pairs, as PairModel has it: 0.5 logits."""
_OBVIOUS = 6.0
"""How far apart the pictures of a check are, where one is known to be better."""
_MEDIAN_MS, _SPREAD, _SPEEDER_MS = 2500.0, 0.4, 250.0
_COMMENTED = 0.2
"""The share of items on which a comment is written where none is needed."""
_TEXT = "simulated"
_FURTHER_SWITCHES = 2.0
"""How often toggled pictures are exchanged, on average, once each was seen."""


class Response(NamedTuple):
    """A judgement: the score or the answer to a pair as a number, and how long it took in ms.

    ``looks`` is what a vote tells of toggled pictures: ``switches``, and the ms of each place;
    ``comment`` what the rater writes of the item.
    """

    score: float
    response_ms: float
    looks: Mapping[str, Any]
    comment: str = ""


@dataclass
class Respondent:
    """One rater of the model, who is told no method and knows the stimuli by their hashes."""

    design: StudyDesign
    model: RaterModel
    """On the study's scale; of pairs in standard deviations of a difference."""
    rater: Raters
    seen: Mapping[str, tuple[float, int]]
    """SHA-256 of a stimulus to its true quality and the number of its method."""
    better: Mapping[frozenset[str], str]
    """The two pictures of a check, and which of them is better, by their hashes."""
    generator: np.random.Generator

    def respond(self, shown: Mapping[Place, bytes], intended: int | None = None) -> Response:
        """The rater's judgement of the pictures at their places, as PNG files.

        An example is given the score that it shows. Raises DataError for a picture that isn't one
        of the frozen stimuli.
        """
        hashes = {place: sha256_bytes(png) for place, png in shown.items()}
        rater, quality, method = self.rater, *self._known(hashes["left"])
        if "right" in hashes:
            right, right_method = self._known(hashes["right"])
            taste = self.rater.taste
            own = taste[:, [right_method]] - taste[:, [method]]
            rater, quality, method = replace(rater, taste=own), right - quality, 0
            best = self.better.get(frozenset((hashes["left"], hashes["right"])))
            if best is not None:
                quality = _OBVIOUS if best == hashes["right"] else -_OBVIOUS
        quality_of, method_of = np.array([quality]), np.array([method])
        drawn = self.model.draw_scores(rater, quality_of, method_of, self.generator)[0, 0]
        median = _SPEEDER_MS if self.rater.speeder[0] else _MEDIAN_MS
        response_ms = round(float(median * np.exp(_SPREAD * self.generator.normal())))
        response_ms = max(response_ms, self.design.viewing.least_ms)
        score = self.design.answers.nearest(float(drawn)) if intended is None else intended
        looks = self._looks(response_ms)
        return Response(score, response_ms, looks, self._comment() if intended is None else "")

    def _known(self, sha256: str) -> tuple[float, int]:
        if sha256 not in self.seen:
            raise DataError(
                f"An image was shown ({sha256[:12]}...) that isn't a stimulus of the study.",
                "Freeze the study again.",
            )
        return self.seen[sha256]

    def _looks(self, response_ms: int) -> dict[str, int]:
        """How often toggled pictures were exchanged, and how long each was seen in all."""
        task = self.design.task
        if not task.toggled:
            return {}
        switches = len(task.places) - 1 + int(self.generator.poisson(_FURTHER_SWITCHES))
        ends = np.sort(self.generator.random(len(task.places) - 1)) * response_ms
        times = np.diff([0, *np.rint(ends).astype(int), response_ms])
        seen = {f"{place}_ms": int(ms) for place, ms in zip(task.places, times, strict=True)}
        return {"switches": switches, **seen}

    def _comment(self) -> str:
        """A comment where one is needed, else on some of the items."""
        asked = self.design.comment
        if asked is None:
            return ""
        return _TEXT if asked.required or self.generator.random() < _COMMENTED else ""

    def answer(self, question: Question) -> dict[str, str]:
        """An answer that doesn't screen the rater out, where there is one, by the names of
        ``Question.fields``.

        A number is the middle of the range that is asked for.
        """
        match question.kind:
            case "choices":
                return self._several(question)
            case "choice" | "grid":
                fit = [one for one in question.options if one not in question.screens_out]
                offered = fit or list(question.options)
                return {name: str(self.generator.choice(offered)) for name in question.fields}
            case "number":
                ends = [end for end in (question.low, question.high) if end is not None]
                return {question.key: f"{sum(ends) / len(ends):.0f}" if ends else "1"}
            case _:
                return {question.key: _TEXT}

    def _several(self, question: Question) -> dict[str, str]:
        """As many options as are asked for at least, or more, those first that end nothing."""
        fields = [(name, option) for name, (option,) in question.fields.items()]
        self.generator.shuffle(fields)
        fit = [field for field in fields if field[1] not in question.screens_out]
        most = max(question.fewest, min(question.most or len(fields), len(fit)))
        count = int(self.generator.integers(question.fewest, most + 1))
        chosen = dict(sorted(fields, key=lambda field: field not in fit)[:count])
        return question.given(chosen)


def respondents(
    count: int,
    design: StudyDesign,
    manifest: Manifest,
    qualities: Qualities,
    *,
    seed: int = 0,
    model: RaterModel | None = None,
) -> list[Respondent]:
    """``count`` raters drawn from ``model``, which is taken to the design's scale.

    Of pairs the model is in standard deviations of a difference, and what images do to methods is
    drawn with the seed. Raises DataError for methods without a quality, and for a quality off the
    scale.
    """
    stimuli = StimulusSet.of(design, manifest.scenes)
    judged = _judged(stimuli)
    methods = sorted({method for _, _, method in judged})
    overall = {method: _quality_anywhere(qualities, method) for method in methods}
    unknown = [method for method, quality in overall.items() if quality is None]
    unit = _unit(design.answers)
    if unknown:
        raise DataError(
            f"No quality is given for {', '.join(unknown)}.",
            option(
                f"Name a CSV file with the columns method and quality ({unit}) with --qualities.",
                f"Add it to qualities=: a number ({unit}) a method.",
            ),
        )
    seen: dict[str, tuple[float, int]] = {}
    of_images = np.random.default_rng([seed, 0, 0])
    for stimulus in manifest.stimuli:
        if stimulus.key not in judged:
            continue
        quality = qualities.get((stimulus.dataset, stimulus.method), overall[stimulus.method])
        assert quality is not None
        _refuse_off_scale(stimulus.method, quality, design.answers)
        if design.task.pair:
            quality = quality * JOD + _IMAGE_SD * of_images.normal()
        seen.setdefault(stimulus.sha256, (quality, methods.index(stimulus.method)))
    better: dict[frozenset[str], str] = {}
    if design.task.pair:
        for trial, _, _ in stimuli.gold:
            best, other = (manifest.by_key[key].sha256 for key in pictures(trial))
            better[frozenset((best, other))] = best
    own = _on(design.answers, model)
    drawn = own.draw_raters(count, len(methods), np.random.default_rng(seed))
    return [
        Respondent(design, own, drawn.one(i), seen, better, np.random.default_rng([seed, i]))
        for i in range(count)
    ]


def _judged(stimuli: StimulusSet) -> set[Key]:
    """What some rater may judge: not an original that is only in view."""
    turns = (trial for trials in (*stimuli.warm_up, *stimuli.stabilising) for trial in trials)
    trials = (*stimuli.voted, *turns, *(trial for trial, _, _ in stimuli.gold), *stimuli.same)
    examples = {key for key, _ in stimuli.calibration}
    return examples | {key for trial in trials for key in pictures(trial)}


def _on(answers: Scale | Choice, model: RaterModel | None) -> RaterModel:
    """The model with the answers that a rater may give."""
    if isinstance(answers, Scale):
        return replace((model or _SCORES).on(answers.numbers), step=answers.step)
    step = 1 if answers.answer(TIE) is not None else 2
    return replace(model or _CHOICES, low=answers.low, high=answers.high, step=step)


def _unit(answers: Scale | Choice) -> str:
    return "on the study's scale" if isinstance(answers, Scale) else "in JOD"


def _refuse_off_scale(method: str, quality: float, answers: Scale | Choice) -> None:
    """Raise DataError for a quality that the study's answers don't have."""
    if isinstance(answers, Scale):
        fits = answers.low <= quality <= answers.high
        where = f"off the study's scale {answers.numbers}"
        ends = f"{answers.low} the worst, {answers.high} the best"
        remedy = f"Give qualities on the study's scale, {ends}."
    else:
        fits, where = math.isfinite(quality), "no number of JOD"
        remedy = "Give qualities in JOD; of two that are 1 apart 75 % choose the better."
    if not fits:
        raise DataError(f"The quality of {method} is {quality:g}, {where}.", remedy)


def quality_notes(qualities: Qualities, answers: Scale | Choice) -> list[str]:
    """A note where qualities seem to be given on 1..5, and the study takes them otherwise."""
    values = qualities.values()
    if isinstance(answers, Choice):
        if not values or not all(ACR.low <= value <= ACR.high for value in values):
            return []
        return ["All qualities lie within 1..5; they are taken as JOD, not as opinion scores."]
    best = max(values, default=math.inf)
    if answers.high <= ACR.high or best > ACR.high:
        return []
    return [
        f"No quality is above {best:g} on the study's scale {answers.numbers}; they are taken as "
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
