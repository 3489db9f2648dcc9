"""Coverage of the intervals of alpha, SOS and kappa, of a stimulus' MOS on other scales, and of the
published intervals of the standards' procedures.

Writes agreement.json and agreement.md with machine, commit and date; exits with 1 where an interval
that claims 95 % covers so little that its own simulation leaves 93.5 % out.

Example: python -m benchmarks.agreement --studies 100 --out build/bench

Truth is the coefficient of one panel of 600 raters on 6,000 stimuli of the same rater model. On
other scales the same raters vote on 0..100, a category of 1..5 being 25 points wide, without
rounding or in steps of 10; truth is then the mean of 40,000 raters' votes on each quality. The
procedures of the standards get votes of Annex E's own model, neither rounded nor clipped, of a
method of quality 3 and a reference of 4.6; truth is the quality, for those that remove bias plus
the mean bias of these raters. What they claim is what is printed: the shares are shown, not judged.
"""

from __future__ import annotations

import argparse
import itertools
import math
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.coverage import (
    LEAST_COVERAGE,
    MODEL,
    QUALITIES,
    SPREAD,
    Shares,
    covers,
    draw,
    seeded,
    share,
)
from benchmarks.timing import ROOT, progress, provenance, write_results
from sreval.opinions.arrays import Floats, Ratings
from sreval.opinions.mos import score_limits
from sreval.opinions.reliability import Reliability, retest, weighted_kappa
from sreval.opinions.standards import P910, PROCEDURES, cast, recovered_differences
from sreval.opinions.votes import ACR, STIMULUS, Scale, check_votes

SIZES = ((8, 14), (15, 14), (26, 14), (15, 100), (26, 100))
FEW = ((5, 1), (5, 5), (15, 1), (15, 5), (15, 14), (26, 1), (26, 5), (26, 14))
STANDARDS = "published intervals of the standards, on as many images of two methods"
SCALES = (Scale(0, 100), Scale(0, 100, 10))


def agreement_cell(n: int, size: tuple[int, int]) -> Shares:
    """Alpha and SOS of votes, kappa where every stimulus is rated twice."""
    n_raters, n_images = size
    first = draw(MODEL, 3.0, (n, n_images, n_raters), seeded(20, *size)).scores
    hits: dict[str, list[bool]] = {"alpha": [], "SOS": [], "kappa": []}
    for scores in first:
        agreement = Reliability(Ratings.from_matrix(scores))
        hits["alpha"].append(covers(agreement.alpha_interval(), panel()["alpha"]))
        hits["SOS"].append(covers(agreement.sos_interval(), panel()["SOS"]))
    generator = seeded(21, *size)
    for _ in range(n):
        found = retest(votes_twice(*twice(n_images, n_raters, generator)))
        hits["kappa"].append(covers(found.kappa, panel()["kappa"]))
    return {name: share(values) for name, values in hits.items()}


def twice(n_images: int, n_raters: int, generator: np.random.Generator) -> tuple[Floats, Floats]:
    """First and second votes (images, raters) of the same raters on the same stimuli."""
    raters = MODEL.draw_raters(n_raters, 1, generator)
    quality = 3 + generator.normal(size=n_images) * SPREAD
    method = np.zeros(n_images, dtype=np.intp)
    first, second = (MODEL.draw_scores(raters, quality, method, generator) for _ in range(2))
    return first, second


def votes_twice(first: Floats, second: Floats) -> Any:
    import pandas as pd

    image, rater = np.indices(first.shape).reshape(2, -1)
    parts = [
        pd.DataFrame(
            {
                "rater": np.char.add("r", rater.astype(str)),
                "image": np.char.add("i", image.astype(str)),
                "method": "a",
                "score": scores.ravel().astype(int),
                "kind": kind,
            }
        )
        for scores, kind in ((first, "vote"), (second, "repeat"))
    ]
    return check_votes(pd.concat(parts))


def standards_cell(n: int, size: tuple[int, int]) -> Shares:
    """Share of stimuli whose published interval holds, and of DMOS from recovered quality."""
    n_raters, n_images = size
    generator = seeded(26, *size)
    image, rater = np.indices((2 * n_images, n_raters)).reshape(2, -1)
    index = pd.DataFrame(
        {
            "rater": rater,
            "dataset": "",
            "image": image % n_images,
            "method": np.where(image < n_images, "a", "hr"),
            "kind": "vote",
            "accepted": True,
        }
    )
    hits: dict[str, list[float]] = {}
    for _ in range(n):
        raters = MODEL.draw_raters(n_raters, 1, generator)
        quality = np.concatenate([3 + generator.normal(size=n_images) * SPREAD, [4.6] * n_images])
        noise = generator.normal(size=(2 * n_images, n_raters)) * raters.inconsistency
        votes = index.assign(score=(quality[:, None] + raters.bias + noise).ravel())
        truth = index.assign(truth=quality[image]).groupby(list(STIMULUS))["truth"].first()
        for name, procedure in PROCEDURES.items():
            found = procedure.run(cast(votes), 0.95, ACR)
            shift = 0.0 if name in ("MOS", "BT.500") else float(raters.bias.mean())
            hits.setdefault(name, []).append(held(found.stimuli, truth + shift))
            if name == P910:
                made = recovered_differences(found, "hr")
                true = pd.Series(quality[:n_images] - quality[n_images:] + 5)
                true.index = made.index
                hits.setdefault("DMOS from recovered quality", []).append(held(made, true))
    return {name: share(values) for name, values in hits.items()}


def held(limits: pd.DataFrame, truth: pd.Series) -> float:
    truth = truth.reindex(limits.index)
    return float(((limits["low"] <= truth) & (truth <= limits["high"])).mean())


@cache
def panel() -> dict[str, float]:
    """The coefficients of the large panel."""
    scores = draw(MODEL, 3.0, (1, 6000, 600), seeded(22)).scores[0]
    agreement = Reliability(Ratings.from_matrix(scores))
    first, second = twice(6000, 600, seeded(23))
    return {
        "alpha": agreement.krippendorff_alpha(),
        "SOS": agreement.sos_coefficient(),
        "kappa": weighted_kappa(first.ravel(), second.ravel()),
    }


def slider_votes(quality: Floats, n_raters: int, step: float, generator: Any) -> Floats:
    """Votes on 0..100 of shape (studies, images, raters)."""
    n, images = quality.shape
    raters = MODEL.draw_raters(n * n_raters, 1, generator)
    bias = (raters.bias + raters.taste[:, 0]).reshape(n, 1, n_raters)
    noise = raters.inconsistency.reshape(n, 1, n_raters)
    shape = (n, images, n_raters)
    latent = quality[:, :, None] + bias + generator.normal(size=shape) * noise
    votes = np.clip((latent - 1) * 25, 0, 100)
    lapses = generator.random(shape) < MODEL.lapse_rate
    votes[lapses] = generator.random(int(lapses.sum())) * 100
    rounded: Floats = np.rint(votes / step) * step if step else votes
    return rounded


@cache
def true_means(step: float) -> tuple[Floats, Floats]:
    """Qualities and the mean votes of 40,000 raters each."""
    grid = np.linspace(-2, 8, 401)
    generator = seeded(24, step)
    means = [slider_votes(np.full((1, 1), q), 40_000, step, generator).mean() for q in grid]
    return grid, np.array(means)


def scale_cell(n: int, size: tuple[int, int], scale: Scale, level: float) -> Shares:
    """Share of stimuli whose own interval holds."""
    n_raters, n_images = size
    generator = seeded(25, *size, level, scale.spacing)
    quality = level + generator.normal(size=(n, n_images)) * SPREAD
    truth = np.interp(quality, *true_means(scale.spacing))
    hits = []
    for scores, true in zip(
        slider_votes(quality, n_raters, scale.spacing, generator), truth, strict=True
    ):
        votes = np.full(n_images, float(n_raters))
        limits = scores.mean(axis=1), scores.std(axis=1, ddof=1), votes
        low, high = score_limits(*limits, 0.95, scale)
        hits.append(((low <= true) & (true <= high)).mean())
    return {f"stimulus, score, quality {level:g}": share(hits)}


def main() -> int:
    """Simulate all cells and write what they found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--studies", type=int, default=2000, help="A cell.")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    options = parser.parse_args()
    origin = provenance()
    found: list[dict[str, Any]] = []

    def add(part: str, size: tuple[int, int], shares: Shares) -> None:
        where = f"{size[0]} x {size[1]}"
        progress(f"{part}, {where}")
        found.extend(
            {"part": part, "where": where, "name": name, "share": value, "error": error}
            for name, (value, error) in shares.items()
        )

    for size in SIZES:
        add("agreement", size, agreement_cell(options.studies, size))
    for scale, level, size in itertools.product(SCALES, QUALITIES[:3], FEW):
        kind = f"steps of {scale.spacing:g}" if scale.spacing else "slider"
        add(f"{scale}, {kind}", size, scale_cell(options.studies, size, scale, level))
    for size in SIZES:
        add(STANDARDS, size, standards_cell(options.studies // 4, size))
    content = {**origin, "studies": options.studies, "panel": panel(), "found": found}
    title = "Coverage of coefficients of agreement and of stimuli on other scales"
    write_results(options.out, "agreement", content, title, lines(options.studies, found))
    print(options.out / "agreement.md")
    judged = [row for row in found if row["part"] != STANDARDS]
    missing = [r for r in judged if r["share"] + 1.96 * r["error"] < LEAST_COVERAGE]
    for row in missing:
        print(f"{row['part']}, {row['where']}, {row['name']}: {row['share']:.1%}", file=sys.stderr)
    return 1 if missing else 0


def lines(studies: int, found: list[dict[str, Any]]) -> list[str]:
    """A table a part: a row an interval, a column a size, in per cent."""
    largest = max(row["error"] for row in found)
    truth = ", ".join(f"{name} {value:.3f}" for name, value in panel().items())
    said = [
        f"{studies} studies a cell, {studies // 4} of the standards; standard error {largest:.2%} "
        "or less; intervals claim 95 %. Sizes are raters x stimuli. Coefficients of the panel: "
        f"{truth}. {MODEL}. Per cent.",
    ]
    for part in dict.fromkeys(row["part"] for row in found):
        own = [row for row in found if row["part"] == part]
        sizes = list(dict.fromkeys(row["where"] for row in own))
        said += ["", f"## {part}", "", "| | " + " | ".join(sizes) + " |"]
        said.append("| --- |" + " ---: |" * len(sizes))
        for name in dict.fromkeys(row["name"] for row in own):
            by = {row["where"]: row["share"] for row in own if row["name"] == name}
            cells = ["–" if math.isnan(by[size]) else f"{100 * by[size]:.1f}" for size in sizes]
            said.append(f"| {name} | " + " | ".join(cells) + " |")
    return said


if __name__ == "__main__":
    sys.exit(main())
