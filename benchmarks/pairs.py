"""Intervals and tests of paired comparisons by simulation, and how often a known order is found.

Writes pairs.json and pairs.md with machine, commit and date; exits with 1 where, by more than the
simulation leaves open, intervals over raters and images cover less than 93.5 % or their tests find
more than 6 % of differences that aren't there.

Example: python -m benchmarks.pairs --studies 20 --out build/bench

Raters' tastes and what images do to a method are there or not, of the size that a fit with both
finds in --judgements. Scale values are alike or apart; what an interval should cover is the scale
of the average judgement. Every cell is one line of the journal; a run that was stopped goes on
where it stopped, as long as the code is the same.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy

from benchmarks.coverage import code_version, seeded
from benchmarks.timing import ROOT, progress, provenance, write_results
from sreval.errors import StatisticsError
from sreval.opinions.arrays import Floats
from sreval.opinions.pairs.comparisons import Comparisons
from sreval.opinions.pairs.inference import compare
from sreval.opinions.pairs.models import PairFit, Source, fit
from sreval.opinions.pairs.power import error_parts, judgements_needed
from sreval.opinions.pairs.simulation import PairModel, plan_pairs

RATERS, IMAGES, METHODS = (5, 15, 26), (5, 10, 20), (4, 6)
PARTS = {"all": 1.0, "a third": 1 / 3}
EFFECTS = {"both": PairModel(), "none": PairModel(rater_sd=0.0, image_sd=0.0)}
APART = 0.6
"""The largest value where methods are apart, and minus the smallest; the others evenly between."""
ORDERS = (0.3, 0.6, 1.2)
"""The same where the order is to be found."""
UNITS: tuple[Source, ...] = ("both", "rater", "image", "information")
ALARMS = ("p below 5 %", "any, by Holm", "all alike")
"""What finds a difference: any pair, a pair after Holm, and the test that all are alike."""
RARE = 5
"""Units other than both are tried in one study of so many."""
LEVEL, LEAST_COVERED, MOST_ALARMS = 0.95, 0.935, 0.06


@dataclass(frozen=True)
class Cell:
    """Studies of a size: values from ``apart`` down to its negative, a part of all pairs."""

    raters: int
    images: int
    methods: int
    part: str
    effects: str
    apart: float

    @property
    def where(self) -> str:
        """The cell in words."""
        return (
            f"{self.raters} raters x {self.images} images x {self.methods} methods, {self.part}, "
            f"effects {self.effects}, apart {self.apart:g}"
        )

    @property
    def theta(self) -> Floats:
        """The values of the methods."""
        return np.linspace(self.apart, -self.apart, self.methods)

    def studies(self, n: int) -> Iterator[PairFit | None]:
        """The fits of ``n`` studies, None where no estimate exists."""
        places = list(PARTS).index(self.part), list(EFFECTS).index(self.effects)
        size = self.raters, self.images, self.methods
        generator = seeded(*size, *places, self.apart)
        plan, model = plan_pairs(*size, PARTS[self.part]), EFFECTS[self.effects]
        for _ in range(n):
            drawn = model.draw(self.theta, self.raters, self.images, generator)
            try:
                yield fit(drawn.answers(plan))
            except StatisticsError:
                yield None


def cells() -> Iterator[Cell]:
    """Where intervals and tests are tried."""
    for effects, apart, part, methods in itertools.product(EFFECTS, (0.0, APART), PARTS, METHODS):
        for raters, images in itertools.product(RATERS, IMAGES):
            yield Cell(raters, images, methods, part, effects, apart)


def order_cells() -> Iterator[Cell]:
    """Where the order of six methods is to be found."""
    for apart, part in itertools.product(ORDERS, PARTS):
        yield Cell(26, 20, 6, part, "both", apart)


Figures = dict[str, tuple[float, float]]


def simulate(cell: Cell, studies: int) -> Figures:
    """Of each unit the share of intervals that cover; of "both" the tests; standard errors.

    A study counts as one whatever the number of its pairs. "no estimate" is the share of studies
    without, which are left out. "variance" is the mean squared error of differences, in logits.
    Units other than "both" are tried in some studies alone.
    """
    truth = EFFECTS[cell.effects].average(cell.theta)
    rows: list[dict[str, float]] = []
    for study, made in enumerate(cell.studies(studies)):
        if made is None:
            continue
        row: dict[str, float] = {}
        for unit in UNITS if study % RARE == 0 else UNITS[:1]:
            found = compare(made, unit, LEVEL)
            names = made.comparisons.methods
            true = [truth[names.index(t.first)] - truth[names.index(t.second)] for t in found.pairs]
            row[unit] = share(
                t.difference.low <= x <= t.difference.high
                for t, x in zip(found.pairs, true, strict=True)
            )
            if unit == "both":
                row["p below 5 %"] = share(t.p < 1 - LEVEL for t in found.pairs)
                row["any, by Holm"] = any(t.verdict.significant for t in found.pairs)
                row["all alike"] = found.equality.p < 1 - LEVEL
                errors = [t.difference.estimate - x for t, x in zip(found.pairs, true, strict=True)]
                row["variance"] = float(np.square(errors).mean())
        rows.append(row)
    return averages(rows, studies)


def share(held: Iterable[bool]) -> float:
    return float(np.mean(list(held)))


def recover(cell: Cell, studies: int) -> Figures:
    """How often all methods are in the true order, and the mean of Kendall's tau with it."""
    rows = []
    for made in cell.studies(studies):
        if made is not None:
            right = np.diff(made.theta) < 0
            tau = scipy.stats.kendalltau(made.theta, cell.theta).statistic
            rows.append({"order": float(right.all()), "tau": float(tau)})
    return averages(rows, studies)


def averages(rows: list[dict[str, float]], studies: int) -> Figures:
    """The mean over studies of each figure, with its standard error."""
    missing = 1 - len(rows) / studies
    made = {"no estimate": (missing, math.sqrt(missing * (1 - missing) / studies))}
    for name in dict.fromkeys(itertools.chain(*rows)):
        values = np.array([row[name] for row in rows if name in row], dtype=np.float64)
        made[name] = (float(values.mean()), float(values.std() / math.sqrt(values.size)))
    return made


def effects_seen(judgements: Comparisons) -> tuple[float, float]:
    """The standard deviations of rater x method and image x method effects, in logits.

    The maximum of the marginal likelihood by Laplace's approximation (Breslow and Clayton 1993),
    scale values fixed effects with a wide normal prior.
    """
    n, sizes = len(judgements.methods), (judgements.n_raters, judgements.n_images)
    signs = np.where(judgements.outcome > 0, 1.0, -1.0)
    design = np.zeros((signs.size, n * (1 + sum(sizes))))
    rows = np.arange(signs.size)
    for method, side in ((judgements.left, signs), (judgements.right, -signs)):
        starts = 0, n * (1 + judgements.rater), n * (1 + sizes[0] + judgements.image)
        for start in starts:
            design[rows, start + method] += side

    def negative(log_sd: Floats) -> float:
        spread = np.repeat([10.0, *np.exp(log_sd)], [n, n * sizes[0], n * sizes[1]])
        precision = spread**-2
        mode = np.zeros(spread.size)
        for _ in range(30):
            p = scipy.special.expit(design @ mode)
            hessian = (design.T * (p * (1 - p))) @ design + np.diag(precision)
            step = np.linalg.solve(hessian, design.T @ (1 - p) - precision * mode)
            mode = mode + step
            if np.abs(step).max() < 1e-9:
                break
        value = scipy.special.log_expit(design @ mode).sum() - (precision * mode**2).sum() / 2
        log_determinant = np.linalg.slogdet(hessian)[1] - np.log(precision).sum()
        return float(log_determinant / 2 - value)

    found = scipy.optimize.minimize(negative, np.log([0.4, 0.4]), method="Nelder-Mead")
    rater_sd, image_sd = np.exp(found.x)
    return float(rater_sd), float(image_sd)


def run(studies: int, journal: Path) -> list[dict[str, Any]]:
    """What each cell found, taken from the journal where the same code left it there."""
    journal.parent.mkdir(parents=True, exist_ok=True)
    key = {"studies": studies, "code": code_version()}
    kept = map(json.loads, journal.read_text().splitlines()) if journal.exists() else ()
    done = {row["cell"]: row["found"] for row in kept if {k: row.get(k) for k in key} == key}
    rows = []
    with journal.open("a") as handle:
        for kind, made in (("tests", cells()), ("order", order_cells())):
            for cell in made:
                name = f"{kind}: {cell.where}"
                if name not in done:
                    begin = time.perf_counter()
                    done[name] = (simulate if kind == "tests" else recover)(cell, studies)
                    handle.write(json.dumps({"cell": name, **key, "found": done[name]}) + "\n")
                    handle.flush()
                    progress(f"{name}: {time.perf_counter() - begin:.1f} s")
                rows.append({"kind": kind, **vars(cell), "found": done[name]})
    return rows


def misses(row: dict[str, Any]) -> bool:
    """Whether an interval over both covers too little, or its tests alarm too often."""
    if row["kind"] != "tests" or "both" not in row["found"]:
        return False
    covered, error = row["found"]["both"]
    short = covered + 1.96 * error < LEAST_COVERED
    if row["apart"]:
        return bool(short)
    alarms = [row["found"][name] for name in ALARMS]
    return bool(short or any(share - 1.96 * wrong > MOST_ALARMS for share, wrong in alarms))


def lines(content: dict[str, Any]) -> list[str]:
    """The tables, in per cent."""
    rows = content["found"]
    tests = [row for row in rows if row["kind"] == "tests"]
    shares_of = ("no estimate", *ALARMS, *UNITS)
    largest = max(row["found"][name][1] for row in tests for name in shares_of)
    model, seen = content["model"], content["effects_seen"]
    said = [
        f"{content['studies']} studies a cell. Effects: raters' tastes for methods, standard "
        f"deviation {model['rater_sd']:g} logits, and what images do to methods, "
        f"{model['image_sd']:g}, both there or none. "
        + (
            f"In {seen['judgements']:g} judgements of {seen['raters']} raters on {seen['images']} "
            f"images ({seen['file']}) a fit with both finds {seen['rater_sd']:.2f} and "
            f"{seen['image_sd']:.2f}. "
            if seen
            else ""
        )
        + "Bradley-Terry; sides balanced. Values: alike, or apart from "
        f"{APART:g} to {-APART:g}. Figures in per cent of studies, a study's pairs counting as "
        f"one; standard error {100 * largest:.1f} or less.",
        "",
        verdict(tests),
    ]
    for title, apart, names in (
        ("No difference: false alarms over both, and coverage by unit", 0.0,
         (*ALARMS, *UNITS)),
        ("Methods apart: coverage by unit", APART, UNITS),
    ):  # fmt: skip
        said += ["", f"## {title}", ""]
        heads = ["raters x images x methods", "pairs", "effects", *names]
        said.append("| " + " | ".join(heads) + " |")
        said.append("| --- | --- | --- |" + " ---: |" * len(names))
        for row in tests:
            if row["apart"] == apart:
                size = f"{row['raters']} x {row['images']} x {row['methods']}"
                shares = [f"{100 * row['found'][name][0]:.1f}" for name in names]
                said.append("| " + " | ".join([size, row["part"], row["effects"], *shares]) + " |")
    said += ["", "## A known order: 26 raters x 20 images x 6 methods, effects both", ""]
    said += ["| values | neighbours win | pairs | all in order, % | Kendall's tau |"]
    said += ["| --- | ---: | --- | ---: | ---: |"]
    for row in rows:
        if row["kind"] == "order":
            step = 2 * row["apart"] / (row["methods"] - 1)
            win = EFFECTS["both"].average_chances(np.array([step]))[0, 0]
            (order, order_error), (tau, tau_error) = (row["found"][k] for k in ("order", "tau"))
            said.append(
                f"| {row['apart']:g} to {-row['apart']:g} | {win:.3f} | {row['part']} | "
                f"{100 * order:.1f} (SE {100 * order_error:.1f}) | "
                f"{tau:.3f} (SE {tau_error:.3f}) |"
            )
    said += [
        "",
        "## Errors of a difference: simulated, and by the formula of `study judgements`",
        "",
    ]
    said += [
        "Where methods are alike. Design factor: by how much the standard error is larger than "
        "that of independent judgements.",
        "",
        "| raters x images x methods | pairs | effects | simulated | formula | ratio |",
        "| --- | --- | --- | ---: | ---: | ---: |",
    ]
    for row in tests:
        if not row["apart"]:
            units = row["raters"], row["images"]
            model, part = EFFECTS[row["effects"]], PARTS[row["part"]]
            parts = error_parts(row["methods"], *units, share=part, model=model)
            formula = parts.design_factor(*units)
            ratio, error = ratio_of_errors(row["found"]["variance"], parts.variance(*units))
            said.append(
                f"| {units[0]} x {units[1]} x {row['methods']} | {row['part']} | "
                f"{row['effects']} | "
                f"{ratio * formula:.2f} | {formula:.2f} | {ratio:.3f} (SE {error:.3f}) |"
            )
    said += ["", "## Raters and images for an interval of a difference", ""]
    said += [
        "Judgements of a pair if all were independent; the half width that one study of 15 raters "
        "x 10 images reaches over both, 150 judgements of a pair, and its design factor; and the "
        "raters on 10 images, or images with 15 raters, that reach the half width. By the formula.",
        "",
        "| methods | +- JOD | independent | 15 x 10 reaches | design factor | raters | images |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    said += [
        f"| {row['methods']} | {row['half_width']:g} | {row['independent']} | "
        f"{row['reached']:.2f} | {row['design_factor']:.2f} | {of_number(row['n_raters_needed'])} |"
        f" {of_number(row['n_images_needed'])} |"
        for row in content["needed"]
    ]
    return said


def verdict(tests: list[dict[str, Any]]) -> str:
    """The criterion, and whether the intervals and tests over both meet it."""
    covered = [row["found"]["both"] for row in tests]
    alarms = [row["found"][name] for row in tests if not row["apart"] for name in ALARMS]
    (least, error), (most, wrong) = min(covered), max(alarms)
    missing = sum(map(misses, tests))
    met = f"{missing} of {len(tests)} cells miss it" if missing else "every cell meets it"
    return (
        f"Criterion, over both: intervals cover {100 * LEAST_COVERED:.1f} % or more, and tests "
        f"find at most {100 * MOST_ALARMS:g} % where there is no difference, as far as 1.96 "
        f"standard errors can tell. Result: {met}. The least coverage is {100 * least:.1f} "
        f"(SE {100 * error:.1f}), the most false alarms {100 * most:.1f} (SE {100 * wrong:.1f})."
    )


def ratio_of_errors(variance: tuple[float, float], formula: float) -> tuple[float, float]:
    """A simulated standard error over that of a formula, and the standard error of the ratio."""
    ratio = math.sqrt(variance[0] / formula)
    return ratio, variance[1] / formula / (2 * ratio)


def of_number(n: float | None) -> str:
    return "no number" if n is None else f"{n:.0f}"


def main() -> int:
    """Simulate all cells and write what they found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--studies", type=int, default=1000, help="A cell.")
    parser.add_argument("--judgements", type=Path, help="CSV: rater, image, left, right, choice.")
    parser.add_argument("--journal", type=Path, default=Path("build/pairs.jsonl"))
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    options = parser.parse_args()
    origin = provenance()
    seen: dict[str, Any] = {}
    if options.judgements:
        import pandas as pd

        table = pd.read_csv(options.judgements, dtype={"image": str})
        judged = Comparisons.of(table.assign(dataset="", count=1))
        seen = dict(zip(("rater_sd", "image_sd"), effects_seen(judged), strict=True)) | {
            "judgements": judged.n_judgements, "raters": judged.n_raters,
            "images": judged.n_images, "file": options.judgements.name,
        }  # fmt: skip
    model = PairModel()
    content = {
        **origin,
        "studies": options.studies,
        "model": vars(model),
        "effects_seen": seen,
        "found": run(options.studies, options.journal),
        "needed": judgements_needed((2, 4, 6, 9)).replace(math.inf, None).to_dict("records"),
    }
    title = "Paired comparisons: coverage, false alarms and known orders, by simulation"
    write_results(options.out, "pairs", content, title, lines(content))
    print(options.out / "pairs.md")
    missing = [row for row in content["found"] if misses(row)]
    for row in missing:
        print(f"{row}", file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    raise SystemExit(main())
