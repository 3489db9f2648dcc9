"""Power that `sreval.power` promises against power reached, and false alarms over several looks.

Writes power.json and power.md with machine, commit and date; exits with 1 where promised and
reached power lie more than 2 points apart and their simulation doesn't explain it, or where the
looks of a study without a difference raise more than 5.5 % false alarms.

Example: python -m benchmarks.power --studies 200 --looks 500 --out build/bench

The votes are made here once more from the definition, vote by vote, by nothing of
`sreval.opinions.simulation` or `sreval.opinions.power`: a table with a row a vote, rater by rater
in the order in which they were cast, goes through `compare_methods`. Every cell is a line of the
journal; a run that was stopped goes on where it stopped, as long as the code is the same.
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

import sreval
from benchmarks.timing import ROOT, progress, provenance, write_results
from sreval.benchmarking.provenance import code_version
from sreval.opinions.comparison import compare_methods
from sreval.opinions.sequential import SPENDING, nominal_levels
from sreval.opinions.units import Unit
from sreval.opinions.votes import check_votes

MOST_APART, MOST_FALSE_ALARMS = 0.02, 0.055
LOOKS = 5
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


def votes_of(design: Design, generator: np.random.Generator) -> pd.DataFrame:
    """One study's votes, from the definition of the rater model in docs/explanation/statistics.md.

    Methods 0 and 1 lie ``difference`` apart, all others midway between them.
    """
    rest = {"subset": 1.0, "repeats": 0, "drop_outs": 0.0, "straight_liners": 0.0} | design.rest
    total = design.methods * design.images
    difficulty = [generator.normal(0, 0.5) for _ in range(design.images)]
    by_image = 0.3 if design.unit in ("image", "both") else 0.0
    by_rater = 0.2 if design.unit in ("rater", "both") else 0.0
    quality = {}
    for method in range(design.methods):
        step = {0: design.difference / 2, 1: -design.difference / 2}.get(method, 0.0)
        for image in range(design.images):
            quality[method, image] = 3 + step + difficulty[image] + generator.normal(0, by_image)
    rows = []
    for rater in range(design.raters):
        same = generator.random() < rest["straight_liners"]
        constant = int(generator.integers(1, 6))
        bias = generator.normal(0, 0.3)
        sd = 0.6 * math.exp(0.2 * generator.normal())
        taste = generator.normal(0, by_rater, design.methods)
        seen = generator.permutation(total)[: max(1, round(rest["subset"] * total))]
        plan = [(int(one), "vote") for one in seen]
        plan += [(int(one), "repeat") for one in generator.choice(seen, rest["repeats"])]
        plan = [plan[place] for place in generator.permutation(len(plan))]
        if generator.random() < rest["drop_outs"]:
            plan = plan[: math.ceil(generator.random() * len(plan))]
        for position, (stimulus, kind) in enumerate(plan):
            method, image = divmod(stimulus, design.images)
            latent = quality[method, image] + bias + taste[method] + generator.normal(0, sd)
            score = min(max(round(latent), 1), 5)
            if generator.random() < 0.02:
                score = int(generator.integers(1, 6))
            score = constant if same else score
            rows.append((f"r{rater:02}", f"i{image}", f"m{method}", score, kind, position))
    names = ["rater", "image", "method", "score", "kind", "position"]
    return pd.DataFrame(rows, columns=names)


def without_straight_liners(votes: pd.DataFrame) -> pd.DataFrame:
    """Votes of raters who gave one score in at most 90 % of 20 or more, and never 30 in a row."""
    kept = []
    for _, own in votes[votes["kind"] == "vote"].groupby("rater"):
        scores = own.sort_values("position")["score"].tolist()
        run = longest = 1
        for before, after in itertools.pairwise(scores):
            run = run + 1 if before == after else 1
            longest = max(longest, run)
        often = max(Counter(scores).values()) > 0.9 * len(scores)
        if len(scores) < 20 or not (often or longest >= 30):
            kept.append(own)
    return pd.concat(kept)


def reached(design: Design, studies: int) -> dict[str, Any]:
    """Promised power, and the share of ``studies`` made here whose analysis finds the difference.

    ``alone``: p times the comparisons is below 0.05, what is promised; ``adjusted``: the adjusted p
    is, among the other comparisons as they come out.
    """
    promised = sreval.power(
        design.difference, raters=design.raters, images=design.images, unit=design.unit,
        methods=design.methods, adjustment=design.adjustment, studies=2 * studies,
        seed=DESIGNS.index(design),
        **design.rest,
    ).iloc[0]  # fmt: skip
    tests = 1 if design.adjustment == "none" else math.comb(design.methods, 2)
    alone = adjusted = 0
    for study in range(studies):
        votes = votes_of(design, np.random.default_rng([99, DESIGNS.index(design), study]))
        if "screening" in design.rest:
            votes = without_straight_liners(votes)
        checked = check_votes(votes)
        (made,) = compare_methods(checked, unit=design.unit, adjustment=design.adjustment)
        (pair,) = [p for p in made.pairs if {p.first, p.second} == {"m0", "m1"}]
        if study == 0:
            frame = sreval.compare(votes, unit=design.unit, adjustment=design.adjustment).frame
            rows = frame[frame["first"].isin(["m0", "m1"]) & frame["second"].isin(["m0", "m1"])]
            assert math.isclose(rows["p"].iloc[0], pair.p), "sreval.compare has another p"
        alone += pair.p * tests < 0.05
        adjusted += pair.p_adjusted < 0.05
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
        votes = check_votes(votes_of(design, np.random.default_rng([7, study])))
        number = votes["rater"].str[1:].astype(int)
        p[study] = [compare_methods(votes[number < n], unit=unit)[0].pairs[0].p for n in raters]
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
        f"{power[0]['studies']} studies made vote by vote in another program, through "
        "`compare_methods`. Reached: p times the comparisons is below 0.05, or p itself without "
        "adjustment. Adjusted: the adjusted p is, other methods lying midway between the two. Per "
        "cent, with standard errors.",
        "",
        "| design | promised | reached | apart | adjusted |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    said += [
        f"| {row['what']} | {_share(row['promised'], row['promised_error'])} | "
        f"{_share(row['reached'], row['reached_error'])} | "
        f"{100 * (row['promised'] - row['reached']):+.1f} | {100 * row['adjusted']:.1f} |"
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
