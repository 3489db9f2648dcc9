"""Many simulated studies of the paper's opinion test: how often what the plan may claim is wrong.

Raters as `sreval study simulate` draws them, votes on images that don't differ, methods of the
true qualities given. Needs no images and no site.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.timing import ROOT, progress
from sreval.opinions.power import Plan, power
from sreval.opinions.simulation import (
    RaterModel,
    make_stimuli,
    simulate_votes,
)
from sreval.opinions.units import Unit
from sreval.opinions.votes import check_votes
from sreval.report import paper
from sreval.report.study_facts import planned_tests
from sreval.study.data import StudyData
from sreval.study.design import StudyDesign, load_design
from sreval.study.manifest import Manifest

IMAGES = (5, 14, 100)
"""Of Set5, Set14 and BSD100."""
DIFFERENCES = (0.1, 0.2, 0.3)
UNITS: tuple[Unit, ...] = ("rater", "image")


def false_alarms(
    design: StudyDesign,
    qualities: Mapping[str, float],
    images: int,
    raters: int,
    *,
    unit: Unit,
    taste_sd: float,
    studies: int,
    seed: int = 0,
) -> dict[str, Any]:
    """How often the planned tests find a difference between two methods that have none.

    The two are the first planned comparison: the first of them is given the second one's
    quality, all others keep theirs. Each study goes through ``planned_tests`` of the report.
    ``alone`` is the share with p < alpha, ``corrected`` the share that stays significant among
    all planned comparisons.
    """
    first, second = design.analysis.comparisons[0]
    equal = {**qualities, first: qualities[second]}
    analysis = design.analysis.model_copy(update={"unit": unit})
    planned = design.model_copy(update={"analysis": analysis})
    stimuli = make_stimuli(equal, images, image_sd=0.0, interaction_sd=0.0)
    model = replace(RaterModel(), taste_sd=taste_sd)
    alone = corrected = 0
    for study in range(studies):
        votes = check_votes(simulate_votes(stimuli, model, raters, seed=seed + study))
        data = StudyData(planned, "", Manifest(()), votes, pd.DataFrame())
        test = planned_tests(votes, data).to_dict("records")[0]
        assert (test["first"], test["second"]) == (first, second)
        alone += test["p"] < analysis.alpha
        corrected += bool(test["significant"])
    return {
        "unit": unit,
        "taste_sd": taste_sd,
        "images": images,
        "raters": raters,
        "studies": studies,
        "alone": alone / studies,
        "corrected": corrected / studies,
    }


def whole_orders(
    qualities: Mapping[str, float], images: int, raters: int, studies: int, seed: int = 0
) -> dict[str, float]:
    """How often all methods come out in the order of their qualities, and pairs that don't.

    ``pairs_out_of_order`` is a mean over the studies.
    """
    levels = np.array(sorted(qualities.values()))
    method = np.repeat(np.arange(levels.size), images)
    generator = np.random.default_rng(seed)
    model = RaterModel()
    above, below = np.triu_indices(levels.size, 1)
    wrong = np.empty(studies)
    for study in range(studies):
        drawn = model.draw_raters(raters, levels.size, generator)
        scores = model.draw_scores(drawn, levels[method], method, generator)
        means = scores.reshape(levels.size, -1).mean(axis=1)
        wrong[study] = (means[below] <= means[above]).sum()
    return {
        "whole_order": float((wrong == 0).mean()),
        "pairs_out_of_order": float(wrong.mean()),
        "pairs": float(above.size),
    }


def powers(images: int, raters: int, studies: int) -> list[dict[str, Any]]:
    """What `sreval study power` says of a single comparison, per unit and difference."""
    return [
        vars(power(difference, raters, images, Plan(unit), studies=studies))
        for unit in UNITS
        for difference in DIFFERENCES
    ]


def repeated(raters: int, studies: int) -> list[dict[str, Any]]:
    """Power, false alarms and the chance of a whole order, per data set of the paper's design."""
    design = load_design(ROOT / "studies" / "ledig2017")
    printed = paper.figures()
    found = []
    for part, images in zip(design.images.datasets, IMAGES, strict=True):
        qualities = {
            method: printed[part.name, method, "mos"]
            for method in design.images.methods_of(part.name)
        }
        taste = RaterModel().taste_sd
        progress(f"{studies} simulated studies of {part.name}")
        cases: list[tuple[Unit, float]] = [("rater", taste), ("image", 0.0), ("image", taste)]
        alarms = [
            false_alarms(design, qualities, images, raters, unit=unit, taste_sd=sd, studies=studies)
            for unit, sd in cases
        ]
        found.append(
            {
                "dataset": part.name,
                "images": images,
                "power": powers(images, raters, studies),
                "false_alarms": alarms,
                **whole_orders(qualities, images, raters, studies),
            }
        )
    return found


def repeated_lines(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """``repeated`` as a part of a Markdown page."""
    first = found[0]["false_alarms"][0]
    text = [
        "## What such a study can and can't tell",
        "",
        f"{first['studies']} simulated studies a cell, {first['raters']} raters of the rater "
        "model's defaults (docs/explanation/statistics.md). Power: of one signed-rank test at "
        "0.05, by `sreval study power`, for a true difference of 0.1, 0.2 and 0.3 points. False "
        "alarms: the first planned comparison of ledig2017 with both methods given one true "
        "quality, through the planned analysis, over images that don't differ; alone, and after "
        "Holm among all planned comparisons. *Tastes* means that raters still prefer one method "
        "for themselves, as those of `sreval study simulate` do: a difference of these raters, "
        "and none of raters in general. Over images it is found as what it is; over raters it "
        "is chance.",
        "",
        "| data set | images | unit | power 0.1 / 0.2 / 0.3 | false alarms alone | after Holm |",
        "| --- | ---: | --- | ---: | ---: | ---: |",
    ]
    for one in found:
        for alarm in one["false_alarms"]:
            cells = [p for p in one["power"] if p["unit"] == alarm["unit"]]
            shares = " / ".join(f"{p['power']:.2f}" for p in cells)
            unit = alarm["unit"] + (", tastes" if alarm["taste_sd"] else ", no tastes")
            text.append(
                f"| {one['dataset']} | {one['images']} | {unit} | {shares} | {alarm['alone']:.3f} "
                f"| {alarm['corrected']:.3f} |"
            )
    text += ["", "| data set | the paper's whole order comes out | pairs out of order |"]
    text += ["| --- | ---: | ---: |"]
    return text + [
        f"| {one['dataset']} | {one['whole_order']:.0%} of studies | "
        f"{one['pairs_out_of_order']:.2f} of {one['pairs']:.0f} |"
        for one in found
    ]
