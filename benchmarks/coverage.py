"""Coverage of every interval, and false alarms and power of every unit, by simulation.

Writes coverage.json and coverage.md (with --only, coverage_NAME) with machine, commit and date,
and draws coverage.svg where both are there; exits with 1 where an interval that claims 95 % covers
so little that its own simulation leaves 93.5 % out, or false alarms exceed 6 %. Intervals that say
what they cover are marked and don't count.

Example: python -m benchmarks.coverage --studies 50 --out build/bench

Every cell, one part at one size and quality, is one line of the journal; a run that was stopped
goes on where it stopped, as long as the code that is simulated is the same. What counts as truth
is the rater model's expected score after rounding and clipping, for the estimand that each
interval names. Complete tables are calculated for all studies at once; the first studies of each
cell are calculated by the package's own functions as well, and must agree.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import math
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import optimize

from benchmarks.charts import draw_figures
from benchmarks.timing import ROOT, progress, provenance, write_results
from sreval.errors import StatisticsError
from sreval.opinions.agreement import STATISTICS, metric_agreement
from sreval.opinions.arrays import Floats, Ratings
from sreval.opinions.intervals import (
    LEAST_UNITS,
    Interval,
    limits_on_scale,
    on_scale,
    student_mean,
    student_quantile,
)
from sreval.opinions.mos import (
    NEAR_END_WARNINGS,
    STIMULUS_INTERVALS,
    bootstrap_two_way,
    mos_interval,
)
from sreval.opinions.recovery import recover
from sreval.opinions.reliability import Reliability
from sreval.opinions.significance import signed_rank
from sreval.opinions.simulation import (
    RaterModel,
)
from sreval.opinions.votes import ACR, Scale

MODEL = RaterModel()
RATERS, IMAGES = (3, 5, 8, 15, 26), (5, 14, 100)
QUALITIES = (3.0, 1.3, 4.5, 1.2, 1.1)
MEANS = (1.2, 1.1)
"""Mean scores of methods that lie nearer to the end of the scale than a quality of 1.1."""
ATTENTIVE = RaterModel(lapse_rate=0.0)
"""Raters whose mean scores can come so near to the end: a lapse may be a 5."""
SCENES = ((5, 4), (5, 8), (8, 6), (14, 6), (50, 6))
PLANS = ((26, 14, 0.5), (26, 14, 0.15), (8, 14, 0.5), (15, 100, 0.1))
IMAGE_SD, INTERACTION_SD = 0.5, 0.3
LEAST_COVERAGE, MOST_FALSE_ALARMS = 0.935, 0.06
SPREAD = math.hypot(IMAGE_SD, INTERACTION_SD)
SLOW = 4
"""Of bootstrap, Annex E and single stimuli one study in so many."""

BOTH_WAYS = Scale(-4, 4)
"""The scale of the difference of two votes."""

Shares = dict[str, tuple[float, float]]
"""Share of the studies, or of the estimates in them, and its standard error, by interval."""


def covers(interval: Interval, truth: float) -> bool:
    return interval.low <= truth <= interval.high


def share(hits: Any) -> tuple[float, float]:
    """Mean and standard error of one figure a study."""
    values = np.asarray(hits, dtype=np.float64)
    values = values[~np.isnan(values)]
    if not values.size:
        return math.nan, math.nan
    return float(values.mean()), float(values.std() / math.sqrt(values.size))


@dataclass(frozen=True)
class Studies:
    """``scores`` (S, images, raters) of one method, and the truth of every estimand."""

    scores: Floats
    quality: Floats
    per_image: Floats
    by_rater: Floats
    exactly: Floats
    in_general: float


def draw(
    model: RaterModel, level: float, shape: tuple[int, int, int], generator: np.random.Generator
) -> Studies:
    """Studies of shape (studies, images, raters) at a method's mean quality ``level``."""
    studies, _, n_raters = shape
    raters = model.draw_raters(studies * n_raters, 1, generator)
    quality = level + generator.normal(size=shape[:2]) * SPREAD
    bias = (raters.bias + raters.taste[:, 0]).reshape(studies, 1, n_raters)
    noise = raters.inconsistency.reshape(studies, 1, n_raters)
    latent = quality[:, :, None] + bias + generator.normal(size=shape) * noise
    scores = np.clip(np.rint(latent), model.low, model.high)
    lapses = generator.random(shape) < model.lapse_rate
    scores[lapses] = generator.integers(int(model.low), int(model.high) + 1, int(lapses.sum()))
    grid = np.linspace(level - 6 * SPREAD, level + 6 * SPREAD, 2001)
    by_rater = model.expected_score_of(raters, np.array([level]), 0, SPREAD)
    exactly = np.empty(studies)
    for s in range(studies):
        own = slice(s * n_raters, (s + 1) * n_raters)
        fields = {name: values[own] for name, values in vars(raters).items()}
        exactly[s] = model.expected_score_of(type(raters)(**fields), quality[s], 0).mean()
    return Studies(
        scores,
        quality,
        np.interp(quality, grid, model.expected_score(grid)),
        by_rater.reshape(studies, n_raters).mean(axis=1),
        exactly,
        float(model.expected_score(np.array(level), SPREAD)),
    )


def opinion_cell(n: int, size: tuple[int, int], level: float, model: RaterModel) -> Shares:
    """The intervals of a MOS, of all studies at once."""
    n_raters, n_images = size
    made = draw(model, level, (n, n_images, n_raters), seeded(*size, level, model.lapse_rate))
    scores, truth = made.scores, made.per_image.mean(axis=1)
    mean = scores.mean(axis=(1, 2))
    over = {"raters": scores.mean(axis=1), "images": scores.mean(axis=2)}
    over["pooled"] = scores.reshape(n, -1)
    errors = {
        name: units.std(axis=1, ddof=1) / math.sqrt(units.shape[1]) for name, units in over.items()
    }
    units = {name: values.shape[1] for name, values in over.items()}
    errors["crowdmos"], units["crowdmos"] = two_way_error(scores), min(size)
    truths = {
        "raters": truth, "images": made.by_rater, "pooled": made.exactly,
        "crowdmos": np.full(n, made.in_general),
    }  # fmt: skip
    found: Shares = {}
    for name, error in errors.items():
        t = float(student_quantile(units[name] - 1, 0.95))
        least = np.full(n, t / math.sqrt(2 * scores[0].size))
        low, high = limits_on_scale(mean, t * error, least, ACR)
        if name == "crowdmos":
            low = np.where(error > 0, np.maximum(mean - t * error, 1), low)
            high = np.where(error > 0, np.minimum(mean + t * error, 5), high)
        for s in range(3):
            own = mos_interval(Ratings.from_matrix(scores[s]), name)
            assert np.allclose([own.low, own.high], [low[s], high[s]], atol=1e-9), name
        found[name] = share((low <= truths[name]) & (truths[name] <= high))
        if name in ("raters", "images"):
            plain = np.abs(mean - truths[name]) <= t * error
            found[f"{name}, plain Student t"] = share(plain)
    return found


def two_way_error(scores: Floats) -> Floats:
    """CrowdMOS' standard error of complete tables (S, images, raters)."""
    _, n_images, n_raters = scores.shape
    everything = scores.var(axis=(1, 2))
    within_rater, within_image = scores.var(axis=1).mean(axis=1), scores.var(axis=2).mean(axis=1)
    variance = (
        np.maximum(everything - within_image, 0) / n_images
        + np.maximum(everything - within_rater, 0) / n_raters
        + np.maximum(within_rater + within_image - everything, 0) / (n_images * n_raters)
    )
    return np.asarray(np.sqrt(variance))


def bootstrap_cell(n: int, size: tuple[int, int], level: float) -> Shares:
    made = draw(MODEL, level, (n, size[1], size[0]), seeded(1, *size, level))
    hits = []
    for s in range(n):
        ratings = Ratings.from_matrix(made.scores[s])
        found = bootstrap_two_way(ratings, resamples=200, seed=s)
        hits.append(covers(on_scale(found, ACR, ratings.score.size), made.in_general))
    return {"bootstrap": share(hits)}


def crossed_cell(
    n: int, size: tuple[int, int], level: float, model: RaterModel, seen: float = 1.0
) -> Shares:
    """The interval over raters and images; every vote is cast with the probability ``seen``."""
    generator = seeded(10, *size, level, model.lapse_rate, seen)
    made = draw(model, level, (n, size[1], size[0]), generator)
    hits = []
    for scores in made.scores:
        cast = np.where(generator.random(scores.shape) < seen, scores, np.nan)
        found = mos_interval(Ratings.from_matrix(cast), "crossed")
        hits.append(math.nan if math.isnan(found.low) else float(covers(found, made.in_general)))
    return {"crossed": share(hits)}


def stimulus_cell(n: int, size: tuple[int, int], level: float) -> Shares:
    """Share of stimuli whose own interval holds."""
    made = draw(MODEL, level, (n, size[1], size[0]), seeded(2, *size, level))
    votes = np.full(size[1], float(size[0]))
    found = {}
    for name, (function, _) in STIMULUS_INTERVALS.items():
        hits = []
        for scores, truth in zip(made.scores, made.per_image, strict=True):
            limits = scores.mean(axis=1), scores.std(axis=1, ddof=1), votes
            low, high = function(*limits, 0.95, ACR)
            hits.append(((low <= truth) & (truth <= high)).mean())
        found[f"stimulus, {name}"] = share(hits)
    return found


def difference_cell(n: int, size: tuple[int, int], level: float) -> Shares:
    """DMOS of a method against a reference of quality 4.6, and the change of repeated votes."""
    generator = seeded(3, *size, level)
    n_raters, n_images = size
    hits: list[bool] = []
    changes: list[bool] = []
    t = float(student_quantile(n_raters - 1, 0.95))
    least = t / math.sqrt(2 * n_raters * n_images)
    model = RaterModel()
    for _ in range(n):
        raters = model.draw_raters(n_raters, 2, generator)
        quality = np.stack(
            [level + generator.normal(size=n_images) * SPREAD, np.full(n_images, 4.6)]
        )
        method = np.repeat([0, 1], n_images)
        votes = model.draw_scores(raters, quality.ravel(), method, generator)
        difference = (votes[:n_images] - votes[n_images:]).mean(axis=0)
        truth = float((model.expected_score(quality[0]) - model.expected_score(quality[1])).mean())
        again = model.draw_scores(raters, quality[0], method[:n_images], generator)
        for values, true, into in (
            (difference, truth, hits),
            ((again - votes[:n_images]).mean(axis=0), 0.0, changes),
        ):
            half = t * values.std(ddof=1) / math.sqrt(n_raters)
            low, high = limits_on_scale(values.mean(), half, least, BOTH_WAYS)
            into.append(bool(low <= true <= high))
    return {"DMOS": share(hits), "change of repeats": share(changes)}


def recovery_cell(n: int, size: tuple[int, int]) -> Shares:
    """Annex E on votes of its own model, neither rounded nor clipped."""
    generator = seeded(4, *size)
    rows = []
    for _ in range(n):
        raters = MODEL.draw_raters(size[0], 1, generator)
        quality = 3 + generator.normal(size=size[1]) * SPREAD
        noise = generator.normal(size=(size[1], size[0])) * raters.inconsistency
        made = recover(Ratings.from_matrix(quality[:, None] + raters.bias + noise))
        stimuli, table, limits = made.stimuli, made.raters, made.rater_limits
        error = np.abs(stimuli["quality"].to_numpy() - quality - raters.bias.mean())
        bias = raters.bias - raters.bias.mean()
        row = {
            "Annex E, collapsed": float(bool(made.collapsed)),
            "Annex E, half_width_p910": (error <= stimuli["half_width_p910"]).mean(),
            "Annex E, half_width_li2020": (error <= stimuli["half_width_li2020"]).mean(),
            "Annex E, published interval of the bias": (
                (table["bias"] - bias).abs() <= table["bias_half_width"]
            ).mean(),
            "Annex E, published interval of the inconsistency": (
                (table["inconsistency_low"] <= raters.inconsistency)
                & (raters.inconsistency <= table["inconsistency_high"])
            ).mean(),
        }
        if stimuli["low"].notna().all():
            row |= {
                "Annex E, quality where offered": (
                    error <= stimuli["high"] - stimuli["quality"]
                ).mean(),
                "Annex E, bias where offered": (
                    (limits["bias_low"] <= bias) & (bias <= limits["bias_high"])
                ).mean(),
            }
        if limits["inconsistency_low"].notna().all():
            row["Annex E, inconsistency where offered"] = (
                (limits["inconsistency_low"] <= raters.inconsistency)
                & (raters.inconsistency <= limits["inconsistency_high"])
            ).mean()
        rows.append(row)
    table = pd.DataFrame(rows)
    return {str(name): share(table[name]) for name in table}


def reliability_cell(n: int, size: tuple[int, int]) -> Shares:
    made = draw(MODEL, 3.0, (n, size[1], size[0]), seeded(5, *size))
    hits = []
    for scores in made.scores:
        try:
            hits.append(float(covers(icc(scores), true_icc())))
        except StatisticsError:
            hits.append(math.nan)
    return {"ICC(A,1)": share(hits)}


@cache
def true_icc() -> float:
    """ICC(A,1) of the model at quality 3, from a table large enough to be the population's."""
    scores = draw(MODEL, 3.0, (1, 2000, 3000), seeded(6)).scores[0]
    return icc(scores).estimate


def icc(scores: Floats) -> Interval:
    """ICC(A,1) of a stimulus by rater matrix."""
    return Reliability(Ratings.from_matrix(scores)).intraclass_correlation().single


def metrics_cell(n: int, size: tuple[int, int]) -> Shares:
    """A metric that follows the MOS with an error of its own on each scene and each version."""
    generator = seeded(7, *size)
    large = [metric_stimuli(600, size[1], generator) for _ in range(8)]
    found = [metric_agreement(one.assign(scene=0), {"a": True}).statistics["a"] for one in large]
    truth = {k: float(np.mean([one[k].estimate for one in found])) for k in STATISTICS}
    hits: dict[str, list[float]] = {f"{k.upper()} over scenes": [] for k in STATISTICS}
    for _ in range(n):
        made = metric_agreement(metric_stimuli(*size, generator), {"a": True}).statistics["a"]
        for k in STATISTICS:
            missing = math.isnan(made[k].low)
            hits[f"{k.upper()} over scenes"].append(
                math.nan if missing else float(covers(made[k], truth[k]))
            )
    return {name: share(values) for name, values in hits.items()}


def metric_stimuli(scenes: int, versions: int, generator: np.random.Generator) -> pd.DataFrame:
    scene = np.repeat(np.arange(scenes), versions)
    quality = np.tile(np.linspace(1.4, 4.4, versions), scenes) + generator.normal(
        0, 0.3, scene.size
    )
    mos = np.clip(quality + generator.normal(0, 0.15, scene.size), 1, 5)
    own = generator.normal(0, 1, scenes)[scene] + generator.normal(0, 0.5, scene.size)
    return pd.DataFrame({"scene": scene, "mos": mos, "a": quality + own})


def plan_cell(n: int, size: tuple[int, int], seen: float, level: float) -> Shares:
    """Incomplete plans: every vote is cast with the probability ``seen``."""
    generator = seeded(8, *size, seen, level)
    made = draw(MODEL, level, (n, size[1], size[0]), generator)
    hits = []
    for scores, per_image in zip(made.scores, made.per_image, strict=True):
        cast = np.where(generator.random(scores.shape) < seen, scores, np.nan)
        found = mos_interval(Ratings.from_matrix(cast))
        truth = float(per_image[~np.isnan(cast).all(axis=1)].mean())
        hits.append(math.nan if math.isnan(found.low) else float(covers(found, truth)))
    return {"raters": share(hits)}


def values_cell(n: int, images: int) -> Shares:
    """Student's t of a metric's mean over images whose values are normal, and skewed."""
    generator = seeded(9, images)
    t = float(student_quantile(images - 1, 0.95))
    found = {}
    for name, values, truth in (
        ("normal values", generator.normal(size=(n, images)), 0.0),
        ("skewed values (gamma of shape 4)", generator.gamma(4, size=(n, images)), 4.0),
    ):
        half = t * values.std(axis=1, ddof=1) / math.sqrt(images)
        assert math.isclose(student_mean(values[0]).half_width, half[0])
        found[f"metric over images, {name}"] = share(np.abs(values.mean(axis=1) - truth) <= half)
    return found


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
        raters = model.draw_raters(n_raters, 2, generator)
        method = np.repeat(np.arange(2), n_images)
        scores = model.draw_scores(raters, both.ravel(), method, generator)
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


def tests_cell(n: int, size: tuple[int, int], difference: float) -> Shares:
    generator = seeded(10, *size, difference)
    rows = pd.DataFrame([pair_study(difference, *size, generator) for _ in range(n)])
    return {str(name): share(rows[name]) for name in rows}


def near_the_end(mean: float) -> float:
    """The quality at which a method's mean score is ``mean``."""
    return float(
        optimize.brentq(
            lambda q: float(ATTENTIVE.expected_score(np.array(q), SPREAD)) - mean, -3, 3
        )
    )


def seeded(*numbers: float) -> np.random.Generator:
    return np.random.default_rng([20_110_501, *(round(1000 * number) for number in numbers)])


Cell = tuple[str, str, partial[Shares]]


def cells(studies: int) -> Iterator[Cell]:
    """Part, size and the simulation of every cell."""
    slow = max(1, studies // SLOW)
    for size in itertools.product(RATERS, IMAGES):
        where = f"{size[0]} raters x {size[1]} images"
        for level in QUALITIES:
            yield (
                f"quality {level}",
                where,
                partial(opinion_cell, studies, size, level, MODEL),
            )
            yield f"quality {level}", where, partial(crossed_cell, slow, size, level, MODEL)
        for mean in MEANS:
            level = near_the_end(mean)
            yield (
                f"mean score {mean}",
                where,
                partial(opinion_cell, studies, size, level, ATTENTIVE),
            )
            yield f"mean score {mean}", where, partial(crossed_cell, slow, size, level, ATTENTIVE)
        for level in QUALITIES[:3]:
            part = f"quality {level}"
            if level < 4:
                yield part, where, partial(bootstrap_cell, slow, size, level)
            yield part, where, partial(stimulus_cell, slow, size, level)
            yield part, where, partial(difference_cell, studies, size, level)
        yield "recovery", where, partial(recovery_cell, slow, size)
        yield "reliability", where, partial(reliability_cell, studies, size)
    for scenes in SCENES:
        where = f"{scenes[0]} scenes x {scenes[1]} versions"
        n = slow if scenes[0] > 14 else studies
        yield "metrics", where, partial(metrics_cell, n, scenes)
    for n_raters, n_images, seen in PLANS:
        plan = (n_raters, n_images)
        where = f"{n_raters} raters x {n_images} images, {seen:.0%} seen"
        for level in QUALITIES[:2]:
            yield (
                f"quality {level}, incomplete",
                where,
                partial(plan_cell, studies, plan, seen, level),
            )
            yield (
                f"quality {level}, incomplete",
                where,
                partial(crossed_cell, slow, plan, level, MODEL, seen),
            )
    for images in (LEAST_UNITS, *IMAGES):
        yield "metrics alone", f"{images} images", partial(values_cell, studies, images)
    for difference in (0.0, 0.1, 0.2):
        part = f"rejects, difference {difference:g}" if difference else "rejects, no difference"
        yield (
            part,
            "26 raters x 100 images",
            partial(tests_cell, 2000 * studies // 5300, (26, 100), difference),
        )


def main() -> int:
    """Simulate all cells and write what they found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--studies", type=int, default=5300, help="A cell; of slow parts fewer.")
    parser.add_argument("--only", help="The cells of this one interval, e.g. crossed.")
    parser.add_argument("--journal", type=Path, default=Path("build/coverage.jsonl"))
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    options = parser.parse_args()
    origin = provenance()
    found = simulate(options.studies, options.journal, options.only)
    content = {**origin, "studies": options.studies, "model": vars(MODEL), "found": found}
    title = "Coverage, false alarms and power, by simulation"
    name = f"coverage_{options.only}" if options.only else "coverage"
    write_results(options.out, name, content, title, lines(options.studies, found))
    for path in (options.out / f"{name}.md", *draw_figures(options.out)):
        print(path)
    missing = [row for row in found if misses(row)]
    for row in missing:
        print(f"{row['part']}, {row['where']}, {row['name']}: {row['share']:.1%}", file=sys.stderr)
    return 1 if missing else 0


def simulate(studies: int, journal: Path, only: str | None) -> list[dict[str, Any]]:
    """What each cell found, taken from the journal where the same code left it there."""
    journal.parent.mkdir(parents=True, exist_ok=True)
    key = {"studies": studies, "code": code_version()}
    kept = (
        [json.loads(line) for line in journal.read_text().splitlines()] if journal.exists() else []
    )
    done = {row["cell"]: row["found"] for row in kept if {k: row.get(k) for k in key} == key}
    rows = []
    with journal.open("a") as handle:
        for part, where, simulated in cells(studies):
            if only and simulated.func.__name__ != f"{only}_cell":
                continue
            cell = f"{simulated.func.__name__}, {part}, {where}"
            if cell not in done:
                begin = time.perf_counter()
                done[cell] = simulated()
                handle.write(json.dumps({"cell": cell, **key, "found": done[cell]}) + "\n")
                handle.flush()
                progress(f"{part}, {where}: {time.perf_counter() - begin:.1f} s")
            rows += [
                {"part": part, "where": where, "name": name, "share": value, "error": error}
                for name, (value, error) in done[cell].items()
            ]
    return rows


def lines(studies: int, found: list[dict[str, Any]]) -> list[str]:
    """A table a part: a row an interval, a column a size, in per cent."""
    over = ("raters", "images", "crossed")
    largest = max(row["error"] for row in found if row["name"] in over)
    said = [
        f"{studies} studies a cell, {studies // SLOW} of crossed, bootstrap, Annex E, single "
        f"stimuli and the metric with 50 scenes; standard error of an interval of the MOS "
        f"{largest:.2%} or less. {MODEL}; mean scores 1.2 and 1.1 without lapses. Per cent.",
    ]
    for part in dict.fromkeys(row["part"] for row in found):
        own = [row for row in found if row["part"] == part]
        sizes = list(dict.fromkeys(row["where"] for row in own))
        said += ["", f"## {part}", "", "| | " + " | ".join(map(short, sizes)) + " |"]
        said.append("| --- |" + " ---: |" * len(sizes))
        for name in dict.fromkeys(row["name"] for row in own):
            by = {row["where"]: row["share"] for row in own if row["name"] == name}
            shown = [by.get(size, math.nan) for size in sizes]
            cells = ["–" if math.isnan(v) else f"{100 * v:.1f}" for v in shown]
            said.append(f"| {name} | " + " | ".join(cells) + " |")
    return said


def short(where: str) -> str:
    for word in (" raters", " images", " scenes", " versions"):
        where = where.replace(word, "")
    return where


def code_version() -> str:
    """A hash of the rooms that are simulated: opinions and study."""
    digest = hashlib.sha256()
    for room in ("opinions", "study"):
        for path in sorted((ROOT / "sreval" / room).glob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def misses(row: dict[str, Any]) -> bool:
    """Whether an interval covers too little, or a test over raters or images alarms too often."""
    if row["part"].startswith("rejects") and "interval" not in row["name"]:
        alarms = row["part"] == "rejects, no difference" and row["name"] != "pooled"
        return bool(alarms and row["share"] > MOST_FALSE_ALARMS)
    if row["name"] in NEAR_END_WARNINGS and row["part"].startswith("mean score"):
        return False  # the warning says what it covers
    if any(word in row["name"] for word in SAID) or (row["name"] == "ICC(A,1)" and few_raters(row)):
        return False
    return bool(row["share"] + 1.96 * row["error"] < LEAST_COVERAGE)


SAID = (
    "crowdmos",
    "plain Student t",
    "stimulus, student",
    "half_width",
    "published",
    "collapsed",
    "skewed",
)
"""What says itself that it covers less than it claims, or is shown for comparison."""


def few_raters(row: dict[str, Any]) -> bool:
    return int(row["where"].split()[0]) < 15


if __name__ == "__main__":
    sys.exit(main())
