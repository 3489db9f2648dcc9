"""How often studies of pairs find a known order: active, balanced and random plans, by simulation.

Writes active.json and active.md with machine, commit and date.

Example: python -m benchmarks.active --studies 20 --out build/bench

All plans of a study have the same raters, images and tastes, and as many judgements: one spanning
tree of the methods an image and rater. Raters of an active plan enrol one after the other, each
when all before have judged.
"""

from __future__ import annotations

import argparse
import itertools
import math
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.timing import ROOT, progress, provenance, write_results
from sreval.opinions.arrays import Codes
from sreval.opinions.pairs.active import Trial, choose
from sreval.opinions.pairs.comparisons import Comparisons
from sreval.opinions.pairs.models import firth
from sreval.opinions.pairs.simulation import DrawnPairs, PairModel, PairPlan, plan_pairs

RATERS, METHODS = 26, 6
EFFECTS = {
    "both": PairModel("thurstone", rater_sd=0.26, image_sd=0.29),
    "none": PairModel("thurstone", rater_sd=0.0, image_sd=0.0),
}
"""Those of PairModel, 0.45 and 0.5 logits, in standard deviations of a difference; or none, as
the choice of pairs takes for granted."""
CELLS = (("both", 5), ("both", 10), ("none", 10))
"""Effects, and the number of images."""
VALUES: Mapping[str, tuple[float, ...]] = {
    "even steps of 0.2": (0.5, 0.3, 0.1, -0.1, -0.3, -0.5),
    "three couples 0.2 apart, 1.0 between": (1.3, 1.1, 0.1, -0.1, -1.1, -1.3),
    "three couples 0.2 apart, 2.0 between": (2.3, 2.1, 0.1, -0.1, -2.1, -2.3),
}
CHOICES = {1: "left", 0: "tie", -1: "right"}


def active(drawn: DrawnPairs, images: int, generator: np.random.Generator) -> Comparisons:
    """What raters judge who get the pairs that tell most when they enrol."""
    methods = [f"m{code + 1:03}" for code in range(METHODS)]
    names = [f"i{code + 1:03}" for code in range(images)]
    trials: list[Trial] = [
        ("", image, *pair) for image in names for pair in itertools.combinations(methods, 2)
    ]
    judged = pd.DataFrame(columns=["dataset", "image", "left", "right", "choice"])
    plan = np.zeros((4, 0), dtype=np.intp)
    for rater in range(RATERS):
        order = [trials[place] for place in generator.permutation(len(trials))]
        chosen = list(choose(order, judged, images * (METHODS - 1)))
        own = np.array(
            [(rater, names.index(i), methods.index(a), methods.index(b)) for _, i, a, b in chosen]
        ).T
        plan = np.concatenate([plan, own], axis=1)
        answers = drawn.answers(plan_of(own)).outcome
        rows = [(*trial, CHOICES[int(one)]) for trial, one in zip(chosen, answers, strict=True)]
        judged = pd.concat([judged, pd.DataFrame(rows, columns=judged.columns)])
    return drawn.answers(plan_of(plan))


def balanced(drawn: DrawnPairs, images: int, generator: np.random.Generator) -> Comparisons:
    """What raters judge of a plan that shows all pairs equally often."""
    share = 2 / METHODS
    return drawn.answers(
        plan_pairs(RATERS, images, METHODS, share, seed=int(generator.integers(2**31)))
    )


def at_random(drawn: DrawnPairs, images: int, generator: np.random.Generator) -> Comparisons:
    """What raters judge who get pairs that are drawn from all, none twice."""
    every = [(i, *p) for i in range(images) for p in itertools.combinations(range(METHODS), 2)]
    many = images * (METHODS - 1)
    plan = [
        (rater, *every[place])
        for rater in range(RATERS)
        for place in generator.permutation(len(every))[:many]
    ]
    return drawn.answers(plan_of(np.array(plan).T))


PLANS = {"active": active, "balanced": balanced, "random": at_random}


def plan_of(codes: Codes) -> PairPlan:
    """Rows of the rater, the image and the two methods as a plan."""
    rater, image, left, right = codes
    return PairPlan(rater, image, left, right, METHODS)


def run(studies: int) -> Iterator[dict[str, Any]]:
    """A row for each kind of values, the effects and the number of images."""
    for kind, values in VALUES.items():
        for effects, images in CELLS:
            right: dict[str, list[bool]] = {name: [] for name in PLANS}
            slowest = 0.0
            for study in range(studies):
                generator = np.random.default_rng([study, images])
                drawn = EFFECTS[effects].draw(np.array(values), RATERS, images, generator)
                for name, judge in PLANS.items():
                    begun = time.perf_counter()
                    found = firth(judge(drawn, images, generator)).theta
                    slowest = max(slowest, (time.perf_counter() - begun) / RATERS)
                    right[name].append(bool((np.diff(found) < 0).all()))
            both = np.array([right["active"], right["balanced"]], dtype=float)
            difference = both[0] - both[1]
            many = RATERS * images * (METHODS - 1)
            row = {"values": kind, "effects": effects, "images": images, "judgements": many}
            for name, of_plan in right.items():
                share = float(np.mean(of_plan))
                row |= {name: share, f"{name} SE": math.sqrt(share * (1 - share) / studies)}
            error = float(difference.std(ddof=1)) / math.sqrt(studies)
            progress(f"{row}, {1000 * slowest:.0f} ms a rater at most")
            yield row | {"more": float(difference.mean()), "more SE": error}


def lines(content: dict[str, Any]) -> Iterator[str]:
    """The table that people read."""
    both = EFFECTS["both"]
    yield (
        f"{content['studies']} studies a row, of {RATERS} raters and {METHODS} methods; a rater "
        f"judges {METHODS - 1} pairs an image. Values in standard deviations of a difference "
        f"(Thurstone's case V); where there are effects, raters' tastes have {both.rater_sd}, what "
        f"images do to methods {both.image_sd}. A study is right where a penalised fit (Firth "
        "1993) puts all methods in their known order. Per cent of studies, standard error in "
        "brackets; active less balanced is paired by study."
    )
    yield ""
    yield (
        "| values | effects | images | judgements | active | balanced | random "
        "| active less balanced |"
    )
    yield "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    for row in content["found"]:
        shares = [f"{100 * row[name]:.1f} ({100 * row[f'{name} SE']:.1f})" for name in PLANS]
        more = f"{100 * row['more']:+.1f} ({100 * row['more SE']:.1f})"
        design = [str(row[name]) for name in ("values", "effects", "images", "judgements")]
        cells = [*design, *shares, more]
        yield f"| {' | '.join(cells)} |"


def main() -> int:
    """Simulate all rows and write what they found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--studies", type=int, default=400, help="A row.")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    options = parser.parse_args()
    content = {**provenance(), "studies": options.studies, "found": list(run(options.studies))}
    title = "Active and balanced plans of pairs: how often a known order is found, by simulation"
    write_results(options.out, "active", content, title, list(lines(content)))
    print(options.out / "active.md")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
