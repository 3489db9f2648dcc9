"""The ordinal model: its time on the paper's votes, its false alarms and coverage by simulation.

Writes ordinal.json and ordinal.md with machine, commit and date. Exits with 1 where a data set
takes more than two minutes, or false alarms exceed 6 % by more than their simulation leaves open.

Votes are drawn from the rater model, which is not the model that is fitted. What counts as truth
of the probability of superiority is that of a million pairs of its votes.

Example: python -m benchmarks.ordinal --studies 10 --out build/bench
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy

from benchmarks.opinions import ON_BSD100, QUALITIES
from benchmarks.timing import ROOT, progress, provenance, write_results
from sreval.errors import StatisticsError
from sreval.opinions.ordinal import ordinal_model
from sreval.opinions.simulation import RaterModel, make_stimuli, simulate_votes
from sreval.opinions.votes import check_votes

GOAL_SECONDS = 120.0
GOAL_SIZE = 0.06
MODEL = RaterModel()
SETS = (("Set5", 5, list(QUALITIES)), ("Set14", 14, list(QUALITIES)), ("BSD100", 100, ON_BSD100))
DESIGNS = ((8, 5), (15, 5), (8, 14), (15, 14), (26, 14))
"""Raters and images."""
DIFFERENCES = (0.0, 0.5)


def main() -> int:
    """Time and simulate everything and write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--studies", type=int, default=120, help="simulated studies a design")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    options = parser.parse_args()
    origin = provenance()
    times = [timed(*of) for of in SETS]
    truth = {difference: superiority(difference) for difference in DIFFERENCES}
    cells = [
        simulated(raters, images, difference, truth[difference], options.studies)
        for difference in DIFFERENCES
        for raters, images in DESIGNS
    ]
    content = {**origin, "times": times, "cells": cells, "truth": truth, "model": str(MODEL)}
    write_results(options.out, "ordinal", content, "The ordinal model", lines(content))
    print(options.out / "ordinal.md")
    missed = any(row["seconds"] > GOAL_SECONDS for row in times)
    return int(missed or any(too_many(row) for row in cells))


def timed(dataset: str, images: int, methods: list[str]) -> dict[str, Any]:
    """The seconds that 26 raters' votes on one data set take, contrasts of all pairs included."""
    progress(f"time of {dataset}")
    stimuli = make_stimuli({name: QUALITIES[name] for name in methods}, images, dataset=dataset)
    votes = check_votes(simulate_votes(stimuli, MODEL, 26))
    start = time.perf_counter()
    model = ordinal_model(votes)
    model.contrasts()
    return {
        "dataset": dataset,
        "votes": len(votes),
        "effects": sum(map(len, model.fit.modes.values())),
        "seconds": time.perf_counter() - start,
    }


def superiority(difference: float) -> float:
    """P(first > second) + P(equal) / 2 of a new rater on a new image, under the rater model."""
    stimuli = make_stimuli({"a": 3 + difference / 2, "b": 3 - difference / 2}, 1000, seed=1)
    votes = simulate_votes(stimuli, MODEL, 1000, seed=1)
    wide = votes.pivot(index=["rater", "image"], columns="method", values="score")
    return float((wide["a"] > wide["b"]).mean() + (wide["a"] == wide["b"]).mean() / 2)


def simulated(
    raters: int, images: int, difference: float, truth: float, studies: int
) -> dict[str, Any]:
    """How often two methods of one ``difference`` are told apart, and the truth is covered."""
    progress(f"{studies} studies of {raters} raters, {images} images, difference {difference}")
    found: list[pd.Series] = []
    refused = 0
    for seed in range(studies):
        methods = {"a": 3 + difference / 2, "b": 3 - difference / 2, "c": 3.0}
        stimuli = make_stimuli(methods, images, seed=2 * seed)
        votes = check_votes(simulate_votes(stimuli, MODEL, raters, seed=2 * seed + 1))
        try:
            found.append(ordinal_model(votes).contrasts().iloc[0])
        except StatisticsError:
            refused += 1
    rows = pd.DataFrame(found)
    normal = 2 * scipy.special.ndtr(-(rows["log_odds"] / rows["standard_error"]).abs())
    inside = (rows["superiority_low"] <= truth) & (truth <= rows["superiority_high"])
    shares = {
        "rejected": float((rows["p"] < 0.05).mean()),
        "rejected_normal": float(np.mean(normal < 0.05)),
        "covered": float(inside.mean()),
    }
    return {
        "raters": raters,
        "images": images,
        "difference": difference,
        "studies": len(rows),
        "refused": refused,
        **shares,
        **{f"{name}_error": math.sqrt(p * (1 - p) / len(rows)) for name, p in shares.items()},
    }


def too_many(row: dict[str, Any]) -> bool:
    """Whether false alarms exceed the goal by more than two of their standard errors."""
    return bool(row["difference"] == 0 and row["rejected"] - 2 * row["rejected_error"] > GOAL_SIZE)


def lines(content: dict[str, Any]) -> list[str]:
    """The results as Markdown."""
    said = ["| data set | votes | random effects | seconds |", "| --- | ---: | ---: | ---: |"]
    said += [
        f"| {row['dataset']} | {row['votes']:,} | {row['effects']:,} | {row['seconds']:.1f} |"
        for row in content["times"]
    ]
    said += [
        "",
        f"Simulated studies of three methods, {content['model']}; images' difficulty 0.5, an "
        "image's own with each method 0.3, in points. Rejected: p below 0.05 for the first two "
        "methods, Student's t on the fewer of raters and images less one; beside it with the "
        "normal quantile. Covered: how often the 95% interval of the probability of superiority "
        "holds the rater model's. Per cent, with the simulation's standard error.",
        "",
        "| difference | raters | images | studies | refused | rejected | normal | covered |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in content["cells"]:
        shares = " | ".join(
            f"{100 * row[name]:.1f} ± {100 * row[f'{name}_error']:.1f}"
            for name in ("rejected", "rejected_normal", "covered")
        )
        said.append(
            f"| {row['difference']:g} | {row['raters']} | {row['images']} | {row['studies']} | "
            f"{row['refused']} | {shares} |"
        )
    return said


if __name__ == "__main__":
    sys.exit(main())
