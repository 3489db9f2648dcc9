"""Size and power of the crossed test of two methods, by simulation, beside what else is in use.

Writes crossed.json and crossed.md with machine, commit and date, and draws crossed.svg; exits with
1 where the crossed test finds a difference that isn't there in more than 6 % of the studies, or,
where both effects exist, in less than 3 %, by more than the simulation leaves open.

Example: python -m benchmarks.crossed --studies 40 --out build/bench

Raters vote as those of RaterModel, rounded and clipped; what a rater's taste and an image do to one
method alone is there or not. A study is two methods' votes. Over raters alone and over images alone
the test is Wilcoxon's signed-rank; the bootstrap draws raters and images anew together (Owen 2007)
and takes Student's t with the smaller number of units less one. Every cell is one line of the
journal; a run that was stopped goes on where it stopped, as long as the code is the same.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from benchmarks.charts import draw_figures
from benchmarks.coverage import code_version, seeded
from benchmarks.timing import ROOT, progress, provenance, write_results
from sreval.opinions.arrays import Codes, Floats
from sreval.opinions.comparison import crossed_test
from sreval.opinions.power import ImageModel
from sreval.opinions.significance import signed_rank
from sreval.opinions.simulation import RaterModel

RATERS, IMAGES = (5, 8, 15, 26), (5, 14, 100)
SEEN = {"all": 1.0, "30 %": 0.3, "one method": 1.0}
"""What each rater sees, and what share of the images: under both methods, or each under one of them
at random."""
EFFECTS = {
    "both": (True, True),
    "raters": (True, False),
    "images": (False, True),
    "none": (False,) * 2,
}
DIFFERENCES = (0.15, 0.3)
POWER_AT = ((15, 14), (26, 100))
ALPHA, MOST, LEAST = 0.05, 0.06, 0.03
RESAMPLES = 400
SLOW = 5
"""The bootstrap is made of one study in so many."""
TESTS = ("crossed", "raters", "images", "bootstrap")


@dataclass(frozen=True)
class Cell:
    """Studies of two methods ``difference`` points apart; what raters have ``seen`` as in SEEN."""

    raters: int
    images: int
    seen: str
    effects: str
    difference: float

    @property
    def where(self) -> str:
        """The cell in words."""
        return (
            f"{self.raters} raters x {self.images} images, seen {self.seen}, effects "
            f"{self.effects}, difference {self.difference:g}"
        )


def cells() -> Iterator[Cell]:
    """Size at every plan, power at two."""
    for seen, effects in itertools.product(SEEN, EFFECTS):
        for raters, images in itertools.product(RATERS, IMAGES):
            yield Cell(raters, images, seen, effects, 0.0)
    for seen, difference in itertools.product(["all", "30 %"], DIFFERENCES):
        for raters, images in POWER_AT:
            yield Cell(raters, images, seen, "both", difference)


def draw(cell: Cell, generator: np.random.Generator) -> tuple[Floats, Codes, Codes]:
    """One study: votes (cells, 2), NaN where none was cast, of these raters on these images."""
    taste, own = EFFECTS[cell.effects]
    model = RaterModel() if taste else replace(RaterModel(), taste_sd=0.0)
    like = ImageModel()
    difficulty = generator.normal(size=cell.images) * like.image_sd
    of_method = generator.normal(size=(2, cell.images)) * like.interaction_sd * own
    levels = like.quality + np.array([[cell.difference], [-cell.difference]]) / 2
    raters = model.draw_raters(cell.raters, 2, generator)
    quality = (levels + difficulty + of_method).ravel()
    scores = model.draw_scores(raters, quality, np.repeat([0, 1], cell.images), generator)
    image, rater = np.nonzero(seen_by(cell, generator))
    votes = scores.reshape(2, cell.images, cell.raters)[:, image, rater].T
    if cell.seen == "one method":
        first = generator.random(rater.size) < 0.5
        votes = np.where(np.column_stack([first, ~first]), votes, np.nan)
    return votes, rater, image


def seen_by(cell: Cell, generator: np.random.Generator) -> NDArray[np.bool_]:
    """Which images (rows) each rater sees: as many each, at least one."""
    shown = max(1, round(SEEN[cell.seen] * cell.images))
    order = generator.random((cell.images, cell.raters)).argsort(axis=0)
    return np.asarray(order < shown)


def bootstrap_p(
    values: Floats, rater: Codes, image: Codes, generator: np.random.Generator
) -> float:
    """The p of a mean of zero by the pigeonhole bootstrap; NaN where nothing varies."""
    sizes = [int(codes.max()) + 1 for codes in (rater, image)]
    times = [generator.multinomial(n, np.full(n, 1 / n), RESAMPLES) for n in sizes]
    weights = times[0][:, rater] * times[1][:, image]
    totals = weights.sum(axis=1)
    means = (weights @ values)[totals > 0] / totals[totals > 0]
    smaller = min(sizes)
    error = float(means.std()) * math.sqrt(smaller / (smaller - 1))
    if error == 0:
        return math.nan
    return float(2 * special.stdtr(smaller - 1, -abs(values.mean()) / error))


def unit_means(values: Floats, codes: Codes) -> Floats:
    n = np.bincount(codes)
    return np.asarray(np.bincount(codes, values)[n > 0] / n[n > 0]).round(10)


def simulate(cell: Cell, studies: int) -> dict[str, tuple[float, float]]:
    """How often each test finds a difference, and the standard error of that share."""
    places = list(EFFECTS).index(cell.effects), list(SEEN).index(cell.seen)
    generator = seeded(cell.raters, cell.images, *places, cell.difference)
    found = dict.fromkeys(TESTS if cell.seen != "one method" else TESTS[:1], 0)
    for study in range(studies):
        votes, rater, image = draw(cell, generator)
        _, test = crossed_test(votes, rater, image)
        p = {"crossed": test.p if test else math.nan}
        if cell.seen != "one method":
            values = votes[:, 0] - votes[:, 1]
            p |= {
                name: signed_rank(own, np.zeros(own.size)).p
                for name, codes in (("raters", rater), ("images", image))
                for own in [unit_means(values, codes)]
            }
            if study % SLOW == 0:
                p["bootstrap"] = bootstrap_p(values, rater, image, generator)
        for name, one in p.items():
            found[name] += one < ALPHA
    made = {name: math.ceil(studies / (SLOW if name == "bootstrap" else 1)) for name in found}
    shares = {name: count / made[name] for name, count in found.items()}
    return {name: (s, math.sqrt(s * (1 - s) / made[name])) for name, s in shares.items()}


def run(studies: int, journal: Path) -> list[dict[str, Any]]:
    """What each cell found, taken from the journal where the same code left it there."""
    journal.parent.mkdir(parents=True, exist_ok=True)
    key = {"studies": studies, "code": code_version()}
    kept = map(json.loads, journal.read_text().splitlines()) if journal.exists() else ()
    done = {row["cell"]: row["found"] for row in kept if {k: row.get(k) for k in key} == key}
    rows = []
    with journal.open("a") as handle:
        for cell in cells():
            if cell.where not in done:
                begin = time.perf_counter()
                done[cell.where] = simulate(cell, studies)
                line = {"cell": cell.where, **key, "found": done[cell.where]}
                handle.write(json.dumps(line) + "\n")
                handle.flush()
                progress(f"{cell.where}: {time.perf_counter() - begin:.1f} s")
            rows.append(vars(cell) | {"found": done[cell.where]})
    return rows


def misses(row: dict[str, Any]) -> bool:
    """Whether the crossed test alarms too often, or too seldom where both effects exist."""
    if row["difference"]:
        return False
    share, error = row["found"]["crossed"]
    too_seldom = row["effects"] == "both" and share + 1.96 * error < LEAST
    return bool(share - 1.96 * error > MOST or too_seldom)


def lines(studies: int, rows: list[dict[str, Any]]) -> list[str]:
    """A table of the sizes and one of the power, in per cent."""
    largest = max(error for row in rows for _, error in row["found"].values())
    said = [
        f"{studies} studies a cell, two methods, two-sided tests at alpha {ALPHA}: the share in "
        f"which a difference was found, per cent; standard error {largest:.1%} or less. "
        f"{RaterModel()}, {ImageModel()}. Effects: raters' tastes (taste_sd) and what images do to "
        "one method (interaction_sd), both there, one, or none. Over raters alone a test claims "
        "nothing about new images, nor that over images about new raters: where that effect "
        "exists, what it finds is no difference of the methods in general. Seen: each rater sees "
        "all images, or 30 % of them, under both methods, or each under one of the two at random.",
    ]
    for title, chosen in (
        ("No difference", [row for row in rows if not row["difference"]]),
        ("Power", [row for row in rows if row["difference"]]),
    ):
        said += ["", f"## {title}", ""]
        said.append("| raters x images | seen | effects | difference | " + " | ".join(TESTS) + " |")
        said.append("| --- | ---: | --- | ---: |" + " ---: |" * len(TESTS))
        for row in chosen:
            there = row["found"]
            shares = [f"{100 * there[name][0]:.1f}" if name in there else "–" for name in TESTS]
            said.append(
                f"| {row['raters']} x {row['images']} | {row['seen']} | {row['effects']} | "
                f"{row['difference']:g} | " + " | ".join(shares) + " |"
            )
    return said


def main() -> int:
    """Simulate all cells and write what they found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--studies", type=int, default=2000, help="A cell.")
    parser.add_argument("--journal", type=Path, default=Path("build/crossed.jsonl"))
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    options = parser.parse_args()
    origin = provenance()
    rows = run(options.studies, options.journal)
    model = {"raters": vars(RaterModel()), "images": vars(ImageModel())}
    content = {**origin, "studies": options.studies, "model": model, "found": rows}
    title = "Size and power of the crossed test, by simulation"
    write_results(options.out, "crossed", content, title, lines(options.studies, rows))
    for path in (options.out / "crossed.md", *draw_figures(options.out)):
        print(path)
    missing = [row for row in rows if misses(row)]
    for row in missing:
        print(f"{row['raters']} x {row['images']}: {row['found']['crossed']}", file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    raise SystemExit(main())
