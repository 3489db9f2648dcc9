"""Coverage of every interval, and false alarms and power of every unit, by simulation.

Writes coverage.json and coverage.md with machine, commit and date; exits with 1 when an interval
covers less than 93.5 % of its own estimand (but the one that says so), or false alarms exceed 6 %.

Example: python -m benchmarks.coverage --studies 50 --out build/bench

Each simulated study is one line of the journal; a run that was stopped goes on where it
stopped, as long as the code that is simulated is the same. What counts as truth is the rater
model's expected score after rounding and clipping, for the estimand that each interval names.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.timing import ROOT, provenance, write_results
from sreval.statistics.arrays import Floats
from sreval.statistics.intervals import Interval, bootstrap_mean, student_mean
from sreval.statistics.opinion import bootstrap_two_way, crowdmos, over_images, over_raters, pooled
from sreval.statistics.ratings import Ratings
from sreval.statistics.recovery import recover
from sreval.statistics.stimulus import STIMULUS_INTERVALS
from sreval.statistics.votes import ACR
from sreval.statistics.wilcoxon import signed_rank
from sreval.study.simulate import (
    RaterModel,
    Raters,
    draw_raters,
    draw_scores,
    expected_score,
    expected_score_of,
)

MODEL = RaterModel()
QUALITIES = {"middle": 3.0, "low": 1.3, "high": 4.5}
IMAGE_SD, INTERACTION_SD = 0.5, 0.3
LEAST_COVERAGE, MOST_FALSE_ALARMS = 0.935, 0.06
SPREAD = math.hypot(IMAGE_SD, INTERACTION_SD)


def covers(interval: Interval, truth: float) -> bool:
    return interval.low <= truth <= interval.high


def method_study(
    level: float, n_raters: int, n_images: int, generator: np.random.Generator
) -> dict[str, bool | float]:
    """One study of one method: which intervals hold their truth."""
    quality = level + generator.normal(size=n_images) * SPREAD
    raters = draw_raters(MODEL, n_raters, 1, generator)
    scores = draw_scores(MODEL, raters, quality, np.zeros(n_images, np.intp), generator)
    ratings = Ratings.from_matrix(scores)
    per_image = expected_score(MODEL, quality)
    in_general = float(expected_score(MODEL, np.array(level), SPREAD))
    by_rater = expected_score_of(MODEL, raters, np.array([level]), 0, SPREAD)
    exactly = expected_score_of(MODEL, raters, quality, 0)
    found: dict[str, bool | float] = {
        "raters": covers(over_raters(ratings), float(per_image.mean())),
        "raters, bootstrap": covers(
            bootstrap_mean(scores.mean(axis=0), resamples=1000), float(per_image.mean())
        ),
        "images": covers(over_images(ratings), float(by_rater.mean())),
        "pooled": covers(pooled(ratings), float(exactly.mean())),
        "crowdmos": covers(crowdmos(ratings), in_general),
        "bootstrap": covers(bootstrap_two_way(ratings, resamples=1000), in_general),
    }
    return found | stimulus_coverage(scores, quality, per_image, raters, generator)


def stimulus_coverage(
    scores: Floats,
    quality: Floats,
    truth: Floats,
    raters: Raters,
    generator: np.random.Generator,
) -> dict[str, bool | float]:
    """Share of stimuli whose own interval holds, for the MOS and for the recovered quality.

    Recovery is judged on votes of its own model, neither rounded nor clipped.
    """
    votes = np.full(truth.size, float(scores.shape[1]))
    limits = scores.mean(axis=1), scores.std(axis=1, ddof=1), votes
    hits = {
        f"stimulus, {name}": float(((low <= truth) & (truth <= high)).mean())
        for name, (function, _) in STIMULUS_INTERVALS.items()
        for low, high in (function(*limits, 0.95, ACR),)
    }
    noise = generator.normal(size=scores.shape) * raters.inconsistency
    unrounded = quality[:, None] + raters.bias + noise
    stimuli = recover(Ratings.from_matrix(unrounded)).stimuli
    error = np.abs(stimuli["quality"].to_numpy() - quality - raters.bias.mean())
    return {
        **hits,
        "recovery, half_width_li2020": float((error <= stimuli["half_width_li2020"]).mean()),
        "recovery, half_width_p910": float((error <= stimuli["half_width_p910"]).mean()),
    }


def pair_study(
    difference: float, n_raters: int, n_images: int, generator: np.random.Generator
) -> dict[str, bool]:
    """One study of two methods: what each unit finds, and whether its interval holds."""
    found: dict[str, bool] = {}
    for unit in ("rater", "image", "pooled"):
        own = INTERACTION_SD if unit == "image" else 0.0
        taste = 0.0 if unit == "image" else MODEL.taste_sd
        model = RaterModel(taste_sd=taste)
        quality = 3 + generator.normal(size=n_images) * IMAGE_SD
        levels = np.array([[difference / 2], [-difference / 2]])
        both = quality + levels + generator.normal(size=(2, n_images)) * own
        raters = draw_raters(model, n_raters, 2, generator)
        method = np.repeat(np.arange(2), n_images)
        scores = draw_scores(model, raters, both.ravel(), method, generator)
        first, second = scores.reshape(2, n_images, n_raters)
        if unit == "pooled":
            found[unit] = signed_rank(first.ravel(), second.ravel()).p < 0.05
            continue
        axis = 0 if unit == "rater" else 1
        x, y = first.mean(axis=axis), second.mean(axis=axis)
        found[unit] = signed_rank(x, y).p < 0.05
        if difference == 0:
            found[f"{unit}, interval of the difference"] = covers(student_mean(x - y), 0.0)
    return found


def study(seed: int, n_raters: int, n_images: int) -> dict[str, dict[str, bool | float]]:
    generator = np.random.default_rng([20_110_501, seed])
    return {
        **{
            f"coverage, {name}": method_study(level, n_raters, n_images, generator)
            for name, level in QUALITIES.items()
        },
        "rejects, no difference": dict(pair_study(0.0, n_raters, n_images, generator)),
        "rejects, difference 0.1": dict(pair_study(0.1, n_raters, n_images, generator)),
        "rejects, difference 0.2": dict(pair_study(0.2, n_raters, n_images, generator)),
    }


def main() -> int:
    """Simulate all studies and write what they found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--studies", type=int, default=2000)
    parser.add_argument("--raters", type=int, default=26)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--journal", type=Path, default=Path("build/coverage.jsonl"))
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    options = parser.parse_args()
    origin = provenance()
    rows = simulate(options.studies, (options.raters, options.images), options.journal)
    found = [
        {
            "group": group,
            "name": name,
            "share": float(np.mean([row[group][name] for row in rows])),
            "error": float(np.std([row[group][name] for row in rows]) / math.sqrt(len(rows))),
        }
        for group in rows[0]
        for name in rows[0][group]
    ]
    content = {**origin, "studies": len(rows), "model": vars(MODEL), "found": found}
    title = "Coverage, false alarms and power, by simulation"
    shape = f"{options.raters} raters x {options.images} images"
    head = f"{len(rows)} simulated studies, {shape}, {MODEL}."
    table = ["| | | share | standard error |", "| --- | --- | ---: | ---: |"]
    table += [
        f"| {row['group']} | {row['name']} | {row['share']:.2%} | {row['error']:.2%} |"
        for row in found
    ]
    write_results(options.out, "coverage", content, title, [head, "", *table])
    print(options.out / "coverage.md")
    return 1 if any(map(misses, found)) else 0


def simulate(studies: int, shape: tuple[int, int], journal: Path) -> list[dict[str, Any]]:
    """What each study found, taken from the journal where the same code left it there."""
    journal.parent.mkdir(parents=True, exist_ok=True)
    key = {"shape": list(shape), "code": code_version()}
    lines = journal.read_text().splitlines() if journal.exists() else []
    kept = [row for row in map(json.loads, lines) if {k: row.get(k) for k in key} == key]
    done = {row["seed"]: row["found"] for row in kept}
    with journal.open("a") as handle:
        for seed in range(studies):
            if seed not in done:
                done[seed] = study(seed, *shape)
                line = {"seed": seed, **key, "found": done[seed]}
                handle.write(json.dumps(line, default=float) + "\n")
                handle.flush()
    return [done[seed] for seed in range(studies)]


def code_version() -> str:
    """A hash of the rooms that are simulated: statistics and study."""
    digest = hashlib.sha256()
    for room in ("statistics", "study"):
        for path in sorted((ROOT / "sreval" / room).glob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def misses(row: dict[str, Any]) -> bool:
    """Whether an interval covers too little, or a test over raters or images alarms too often.

    Student's interval of a single stimulus says in its own name that it under-covers.
    """
    if row["name"] == "stimulus, student":
        return False
    if row["group"].startswith("coverage") or "interval" in row["name"]:
        return bool(row["share"] < LEAST_COVERAGE)
    if row["group"] != "rejects, no difference" or row["name"] == "pooled":
        return False  # power, or the test that comes with its warning
    return bool(row["share"] > MOST_FALSE_ALARMS)


if __name__ == "__main__":
    sys.exit(main())
