"""Power that `sreval.power` promises against power reached, and false alarms over several looks.

Writes power.json and power.md with machine, commit and date; exits with 1 where promised and
reached power lie more than 2 points apart and their simulation doesn't explain it, or where the
looks of a study without a difference raise more than 5.5 % false alarms.

Example: python -m benchmarks.power --studies 200 --looks 500 --out build/bench

The votes are made here once more from the definition, by nothing of `sreval.opinions.simulation`
or `sreval.opinions.power`. Their tests are those that `compare_methods` makes; the p of the first
studies of each cell is held against `sreval.compare`. Every cell is a line of the journal; a run
that was stopped goes on where it stopped, as long as the code is the same.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import sreval
from benchmarks.timing import ROOT, progress, provenance, write_results
from sreval.benchmarking.provenance import code_version
from sreval.opinions.comparison import crossed_test
from sreval.opinions.sequential import SPENDING, nominal_levels
from sreval.opinions.significance import ADJUSTMENTS, signed_rank
from sreval.opinions.units import Unit

MOST_APART, MOST_FALSE_ALARMS = 0.02, 0.055
LOOKS = 5
CHECKED = 5
"""Studies of each cell whose p is held against `sreval.compare`."""
UNITS: tuple[Unit, ...] = ("rater", "both")


@dataclass(frozen=True)
class Design:
    """A study to plan: what ``sreval.power`` takes."""

    unit: Unit
    difference: float
    raters: int
    images: int
    methods: int = 2
    adjustment: Literal["holm", "benjamini-hochberg", "none"] = "holm"
    rest: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        rest = ", ".join(f"{name} {value}" for name, value in self.rest.items())
        return (
            f"unit {self.unit}, {self.methods} methods, {self.adjustment}, {self.raters} raters, "
            f"{self.images} images, {self.difference:g} points{', ' * bool(rest)}{rest}"
        )


DESIGNS = (
    Design("rater", 0.3, 18, 14),
    Design("image", 0.25, 26, 30),
    Design("both", 0.35, 20, 30),
    Design("rater", 0.35, 26, 14, 9),
    Design("image", 0.35, 15, 40, 4),
    Design("both", 0.45, 26, 40, 9),
    Design("rater", 0.3, 20, 14, 3, "benjamini-hochberg"),
    Design("both", 0.35, 16, 30, 4, "none"),
    Design("rater", 0.35, 30, 14, 4, rest={"subset": 0.5}),
    Design("both", 0.45, 24, 20, 3, rest={"subset": 0.6, "repeats": 6}),
    Design("rater", 0.35, 24, 12, 3, rest={"drop_outs": 0.3, "repeats": 10}),
    Design(
        "both", 0.5, 24, 20, 3,
        rest={
            "subset": 0.8, "drop_outs": 0.1, "straight_liners": 0.15,
            "screening": ("straight-lining",),
        },
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Votes:
    """One study: ``scores`` (methods, images, raters), NaN where none was cast, and their order.

    ``place`` is where in the rater's order a vote was cast.
    """

    scores: NDArray[np.float64]
    place: NDArray[np.intp]

    def frame(self) -> pd.DataFrame:
        """As a table with a row a vote."""
        method, image, rater = np.nonzero(~np.isnan(self.scores))
        named = zip(("m", "i", "r"), (method, image, rater), strict=True)
        names = [[f"{letter}{code:02}" for code in codes] for letter, codes in named]
        table = dict(zip(("method", "image", "rater"), names, strict=True))
        return pd.DataFrame(table).assign(score=self.scores[method, image, rater].astype(int))

    def p(self, first: int, second: int, unit: Unit, raters: int | None = None) -> float:
        """The p of two methods on the first ``raters`` (None: all)."""
        difference = self.scores[first, :, :raters] - self.scores[second, :, :raters]
        both = ~np.isnan(difference)
        if unit == "both":
            image, rater = np.nonzero(np.ones(both.shape))
            votes = self.scores[[first, second], :, :raters].reshape(2, -1).T
            _, test = crossed_test(votes, rater, image)
            return test.p if test else math.nan
        axis = 0 if unit == "rater" else 1
        counts = both.sum(axis)
        sums = [self.scores[m, :, :raters].sum(axis, where=both) for m in (first, second)]
        return signed_rank(*(own[counts > 0] / counts[counts > 0] for own in sums)).p

    def without_straight_liners(self) -> Votes:
        """Without raters of 20 votes or more, above 90 % alike or more than 30 alike in a row."""
        kept = []
        for rater in range(self.scores.shape[-1]):
            order = self.place[..., rater].argsort(axis=None)
            ordered = self.scores[..., rater].ravel()[order]
            own = ordered[~np.isnan(ordered)].tolist()
            run = max((sum(1 for _ in same) for _, same in itertools.groupby(own)), default=0)
            often = max(Counter(own).values(), default=0) > 0.9 * len(own)
            kept.append(len(own) < 20 or not (often or run > 30))
        return Votes(self.scores[..., kept], self.place[..., kept])


def votes_of(design: Design, generator: np.random.Generator) -> Votes:
    """One study's votes, from the definition of the rater model in docs/explanation/statistics.md.

    Methods 0 and 1 lie ``difference`` apart, all others midway between them.
    """
    rest = {"subset": 1.0, "repeats": 0, "drop_outs": 0.0, "straight_liners": 0.0} | design.rest
    shape = methods, images, raters = design.methods, design.images, design.raters
    quality = 3 + generator.normal(0, 0.5, (1, images)) + np.zeros((methods, 1))
    quality[0] += design.difference / 2
    quality[1] -= design.difference / 2
    if design.unit != "rater":
        quality += generator.normal(0, 0.3, (methods, images))
    severity = generator.normal(0, 0.3, raters)
    taste = generator.normal(0, 0.2 if design.unit != "image" else 0.0, (methods, 1, raters))
    noise = generator.normal(0, 1, shape) * 0.6 * generator.lognormal(0, 0.2, raters)
    scores = np.clip(np.round(quality[:, :, None] + severity + taste + noise), 1, 5)
    lapses = generator.random(shape) < 0.02
    scores[lapses] = generator.integers(1, 6, lapses.sum())
    same = generator.random(raters) < rest["straight_liners"]
    scores[:, :, same] = generator.integers(1, 6, same.sum())

    # each rater sees a part of the stimuli, and some of them again, in random order until the end
    total, repeats = methods * images, rest["repeats"]
    shown = max(1, round(rest["subset"] * total))
    drawn = generator.random((total, raters)).argsort(axis=0).argsort(axis=0)
    time = generator.random((total + repeats, raters))
    time[:total][drawn >= shown] = np.inf
    place = time.argsort(axis=0).argsort(axis=0)[:total].reshape(shape)
    leaves = generator.random(raters) < rest["drop_outs"]
    share = np.where(leaves, generator.random(raters), 1.0)
    cast = place < np.ceil(share * (shown + repeats))
    return Votes(np.where(cast, scores, np.nan), place)


def checked(votes: Votes, design: Design, p: float) -> None:
    """Raise AssertionError where ``sreval.compare`` has another p of the methods 0 and 1."""
    table = sreval.compare(votes.frame(), unit=design.unit, adjustment=design.adjustment).frame
    (row,) = table[table[["first", "second"]].isin(["m00", "m01"]).all(axis=1)].to_dict("records")
    assert math.isclose(row["p"], p, rel_tol=1e-6), f"sreval.compare has {row['p']} for {p}"


def reached(design: Design, studies: int) -> dict[str, Any]:
    """Promised power, and the share of ``studies`` made here whose analysis finds the difference.

    ``alone``: p times the comparisons is below 0.05, what is promised; ``adjusted``: the adjusted p
    is, among the other comparisons as they come out.
    """
    number = DESIGNS.index(design)
    promised = sreval.power(
        design.difference, raters=design.raters, images=design.images, unit=design.unit,
        methods=design.methods, adjustment=design.adjustment, studies=2 * studies, seed=number,
        **design.rest,
    ).iloc[0]  # fmt: skip
    pairs = list(itertools.combinations(range(design.methods), 2))
    tests = 1 if design.adjustment == "none" else len(pairs)
    alone = adjusted = 0
    for study in range(studies):
        votes = votes_of(design, np.random.default_rng([99, number, study]))
        if "screening" in design.rest:
            votes = votes.without_straight_liners()
        p = votes.p(0, 1, design.unit)
        if study < CHECKED:
            checked(votes, design, p)
        # what is found alone is found among the others, and no adjusted p is below its own
        found = p * tests < 0.05
        alone += found
        if not found and p < 0.05:
            others = [votes.p(*pair, design.unit) for pair in pairs[1:]]
            found = bool(ADJUSTMENTS[design.adjustment]([p, *others])[0] < 0.05)
        adjusted += found
    share = alone / studies
    return {
        "promised": float(promised["power"]),
        "promised_error": float(promised["standard_error"]),
        "reached": share,
        "reached_error": math.sqrt(share * (1 - share) / studies),
        "adjusted": adjusted / studies,
        "studies": studies,
    }


def false_alarms(unit: Unit, studies: int) -> dict[str, Any]:
    """The share of studies without a difference in which any of the looks finds one.

    Five looks, after 8, 16, ... of 40 raters, on 20 images; and the share at the end alone.
    """
    raters = [8, 16, 24, 32, 40]
    design = Design(unit, 0.0, raters[-1], 20)
    p = np.empty((studies, len(raters)))
    for study in range(studies):
        votes = votes_of(design, np.random.default_rng([7, study]))
        p[study] = [votes.p(0, 1, unit, n) for n in raters]
        if study < CHECKED:
            checked(votes, design, p[study, -1])
    shares = [n / raters[-1] for n in raters]
    found: dict[str, Any] = {"studies": studies}
    for spending in SPENDING:
        alarms = float((p < nominal_levels(shares, 0.05, spending)).any(axis=1).mean())
        found[spending] = alarms, math.sqrt(alarms * (1 - alarms) / studies)
    found["without"] = float((p < 0.05).any(axis=1).mean())
    found["at_end"] = float((p[:, -1] < 0.05).mean())
    return found


def cells(studies: int, looks: int) -> Iterator[tuple[str, str, Callable[[], dict[str, Any]]]]:
    """The part, what is simulated, and its simulation."""
    for design in DESIGNS:
        yield "power", design.name, partial(reached, design, studies)
    for unit in UNITS:
        yield "looks", f"unit {unit}", partial(false_alarms, unit, looks)


def simulate(studies: int, looks: int, journal: Path) -> list[dict[str, Any]]:
    """What each cell found, taken from the journal where the same code left it there."""
    journal.parent.mkdir(parents=True, exist_ok=True)
    key = {"studies": studies, "looks": looks, "code": code_version()}
    kept = (
        [json.loads(line) for line in journal.read_text().splitlines()] if journal.exists() else []
    )
    done = {row["what"]: row["found"] for row in kept if {k: row.get(k) for k in key} == key}
    rows = []
    with journal.open("a") as handle:
        for part, what, simulated in cells(studies, looks):
            if what not in done:
                begin = time.perf_counter()
                done[what] = simulated()
                handle.write(json.dumps({"what": what, **key, "found": done[what]}) + "\n")
                handle.flush()
                progress(f"{what}: {time.perf_counter() - begin:.1f} s, {done[what]}")
            rows.append({"part": part, "what": what, **done[what]})
    return rows


def missed(row: dict[str, Any]) -> bool:
    """Whether a figure is worse than it may be by more than 2 standard errors of its simulation."""
    if row["part"] == "looks":
        return any(row[name][0] - 2 * row[name][1] > MOST_FALSE_ALARMS for name in SPENDING)
    error = math.hypot(row["promised_error"], row["reached_error"])
    return bool(abs(row["promised"] - row["reached"]) - 2 * error > MOST_APART)


def lines(found: list[dict[str, Any]]) -> list[str]:
    """Both parts as tables, in per cent with standard errors."""
    power = [row for row in found if row["part"] == "power"]
    looks = [row for row in found if row["part"] == "looks"]
    said = [
        f"Promised by `sreval study power`, {2 * power[0]['studies']} studies; reached in "
        f"{power[0]['studies']} studies whose votes another program made, by the same tests. "
        "Reached: p times the comparisons is below 0.05, or p itself without "
        "adjustment. Adjusted: the adjusted p is, other methods lying midway between the two. Per "
        "cent, with standard errors; that of the distance is of both simulations.",
        "",
        "| design | promised | reached | apart | adjusted |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    said += [
        f"| {row['what']} | {_share(row['promised'], row['promised_error'])} | "
        f"{_share(row['reached'], row['reached_error'])} | "
        f"{_apart(row)} | {100 * row['adjusted']:.1f} |"
        for row in power
    ]
    said += [
        "",
        f"False alarms of {LOOKS} looks, after 8, 16, 24, 32 and 40 raters on 20 images, in "
        f"{looks[0]['studies']} studies without a difference: at any look, at the levels of each "
        "spending function; at any look with p < 0.05; at the end alone with p < 0.05. Per cent.",
        "",
        f"| test | {' | '.join(SPENDING)} | p < 0.05 at any | the end alone |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    said += [
        f"| {row['what']} | {' | '.join(_share(*row[name]) for name in SPENDING)} | "
        f"{100 * row['without']:.1f} | {100 * row['at_end']:.1f} |"
        for row in looks
    ]
    return said


def _apart(row: dict[str, Any]) -> str:
    error = math.hypot(row["promised_error"], row["reached_error"])
    return f"{100 * (row['promised'] - row['reached']):+.1f} ± {100 * error:.1f}"


def _share(share: float, error: float) -> str:
    return f"{100 * share:.1f} ± {100 * error:.1f}"


def main() -> int:
    """Simulate all cells and write what they found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--studies", type=int, default=4000, help="A design.")
    parser.add_argument("--looks", type=int, default=4000, help="Studies of each test with looks.")
    parser.add_argument("--journal", type=Path, default=Path("build/power.jsonl"))
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    options = parser.parse_args()
    origin = provenance()
    found = simulate(options.studies, options.looks, options.journal)
    content = {**origin, "found": found}
    write_results(options.out, "power", content, "Promised and reached power", lines(found))
    print(options.out / "power.md")
    for row in filter(missed, found):
        print(f"{row['what']}: {row}", file=sys.stderr)
    return 1 if any(map(missed, found)) else 0


if __name__ == "__main__":
    sys.exit(main())
