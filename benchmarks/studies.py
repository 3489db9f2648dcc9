"""False alarms, coverage and power of `sreval compare-studies`, by simulation.

Two panels rate the same stimuli with raters of their own. Where the map has the slope 0.9, every
score of panel B is 0.4 + 0.9 times one of the rater model, on a slider, so that the true means lie
on a line exactly. Writes studies.json and studies.md with machine, commit and date; exits with 1
where false alarms exceed 6 % by more than 1.96 of their standard errors. Every case and size is one
line of the journal; a run that was stopped goes on there, as long as the code is the same.

Example: python -m benchmarks.studies --studies 20 --out build/bench
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.coverage import code_version, share
from benchmarks.timing import ROOT, progress, provenance, write_results
from sreval.opinions.panels import POINT, Panel, by_method, compare_panels, panel_of_scores
from sreval.opinions.simulation import RaterModel, make_stimuli

RATERS, IMAGES = (8, 15, 26), (5, 14, 100)
QUALITIES = {f"m{i}": float(q) for i, q in enumerate(np.linspace(1.2, 4.4, 6))}
"""Six methods, from nearly bad to nearly excellent."""

MODEL = RaterModel()
SHIFT = 0.3
"""By how much the third method differs in B, where power is asked for."""

MOST_FALSE_ALARMS = 0.06
SLOW = 10
"""Of 100 images one study in so many."""


@dataclass(frozen=True)
class Case:
    """What is true of the two panels: B's ``slope``, the third method's ``shift``, votes seen.

    With ``other_images`` B's images are drawn anew, and only means of methods can be compared.
    """

    name: str
    slope: float = 1.0
    shift: float = 0.0
    seen: float = 1.0
    other_images: bool = False


CASES = (
    Case("slope 0.9, 30 % seen", slope=0.9, seen=0.3),
    Case("slope 1, 30 % seen", seen=0.3),
    Case("slope 1"),
    Case("slope 0.9", slope=0.9),
    Case("slope 1, other images", other_images=True),
    Case("one method shifted", shift=SHIFT),
)


def draw(case: Case, raters: int, images: int, seed: int) -> list[Panel]:
    """Two panels of single stimuli."""
    generator = np.random.default_rng([seed, raters, images, round(100 * case.slope)])
    panels = []
    for panel in "ab":
        again = 1_000_000 if panel == "b" and case.other_images else 0
        stimuli = make_stimuli(QUALITIES, images, seed=seed + again)
        quality = stimuli["quality"].to_numpy(dtype=np.float64)
        method = np.asarray(pd.factorize(stimuli["method"])[0], dtype=np.intp)
        drawn = MODEL.draw_raters(raters, len(QUALITIES), generator)
        own = quality + (case.shift * (method == 2) if panel == "b" else 0)
        scores = MODEL.draw_scores(drawn, own, method, generator)
        if panel == "b" and case.slope != 1:
            scores = 5 * (1 - case.slope) - 0.1 + case.slope * scores
        seen = generator.random(scores.shape) < case.seen
        kept = seen.sum(axis=1) > 1
        scores = np.where(seen, scores, np.nan)[kept].T
        index = pd.MultiIndex.from_frame(stimuli.loc[kept, list(POINT)])
        panels.append(panel_of_scores(scores[~np.isnan(scores).all(axis=1)], index))
    return panels


def study(case: Case, raters: int, images: int, seed: int) -> dict[str, float]:
    """One study: what each test finds, and whether each interval holds the truth."""
    stimuli = draw(case, raters, images, seed)
    found: dict[str, float] = {}
    if not case.other_images:
        common = stimuli[0].index.intersection(stimuli[1].index)
        stimuli = [panel.at(common) for panel in stimuli]
    for level in ("stimuli", "methods")[case.other_images :]:
        panels = stimuli
        if level == "methods":
            panels = [by_method(panel, images=case.other_images) for panel in stimuli]
        made = compare_panels(*panels, draws=2)
        assert made.linear is not None
        assert made.identical is not None
        found[f"{level}: B = A rejected"] = made.identical.p < 0.05
        found[f"{level}: B = line rejected"] = made.linear.p < 0.05
        departs = made.methods.set_index("method")["departure_p_adjusted"]
        found[f"{level}: a method departs"] = departs.min() < 0.05
        if case.shift:
            found[f"{level}: the shifted method departs"] = departs["m2"] < 0.05
        else:
            found[f"{level}: slope covered"] = made.slope.low <= case.slope <= made.slope.high
            found[f"{level}: true PLCC covered"] = made.true_plcc.low <= 1 <= made.true_plcc.high
        if level == "stimuli":
            points = made.points["departure_p_adjusted"]
            found["stimuli: a stimulus departs"] = points.min() < 0.05
    return found


def is_alarm(case: Case, name: str) -> bool:
    """Whether what is counted is a false alarm."""
    if "covered" in name or case.shift:
        return False
    return not ("B = A" in name and case.slope != 1)


def run(studies: int, only: str, jobs: int, journal: Path) -> list[dict[str, Any]]:
    """What each case and size found, taken from the journal where the same code left it there."""
    journal.parent.mkdir(parents=True, exist_ok=True)
    key = {"studies": studies, "code": code_version()}
    kept = map(json.loads, journal.read_text().splitlines()) if journal.exists() else ()
    done = {row["cell"]: row["found"] for row in kept if {k: row.get(k) for k in key} == key}
    cells = {
        f"{case.name}, {raters} x {images}": (case, raters, images, studies)
        for images, case, raters in itertools.product(IMAGES, CASES, RATERS)
        if only in case.name
    }
    left = [name for name in cells if name not in done]
    with journal.open("a") as handle, ProcessPoolExecutor(jobs) as pool:
        made = {pool.submit(simulate, *cells[name]): name for name in left}
        for future in as_completed(made):
            name = made[future]
            done[name] = future.result()
            handle.write(json.dumps({"cell": name, **key, "found": done[name]}) + "\n")
            handle.flush()
            progress(name)
    return [row for name in cells for row in done[name]]


def simulate(case: Case, raters: int, images: int, studies: int) -> list[dict[str, Any]]:
    """A row for each figure of one case and size."""
    n = max(2, studies // (SLOW if images == 100 else 1))
    made = pd.DataFrame([study(case, raters, images, seed) for seed in range(n)])
    rows = []
    for name in made:
        value, error = share(made[name].astype(float))
        rows.append(
            {"case": case.name, "raters": raters, "images": images, "studies": n}
            | {"name": name, "share": value, "error": error}
            | {"false_alarm": is_alarm(case, str(name))}
        )
    return rows


def main() -> int:
    """Simulate all cases and write what they found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--studies", type=int, default=500, help="A case and size; of 100 fewer.")
    parser.add_argument("--only", default="", help="Cases whose name holds this text.")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--journal", type=Path, default=Path("build/studies.jsonl"))
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    options = parser.parse_args()
    origin = provenance()
    rows = run(options.studies, options.only, options.jobs, options.journal)
    content = {**origin, "studies": options.studies, "model": vars(MODEL), "found": rows}
    title = "Two panels compared: false alarms, coverage, power"
    write_results(options.out, "studies", content, title, lines(options.studies, rows))
    print(options.out / "studies.md")
    wrong = [
        row
        for row in rows
        if row["false_alarm"] and row["share"] - 1.96 * row["error"] > MOST_FALSE_ALARMS
    ]
    for row in wrong:
        print(f"{row['case']}, {row['name']}: {row['share']:.1%}", file=sys.stderr)
    return 1 if wrong else 0


def lines(studies: int, rows: Sequence[dict[str, Any]]) -> list[str]:
    """A table a case: a row a figure, a column a size, in per cent with standard errors."""
    said = [
        f"{studies} studies a size, of 100 images {studies // SLOW} where made. Six methods, "
        f"panels of the same raters' model ({MODEL}). Per cent ± standard error. Sizes are raters "
        "of each panel x images."
    ]
    for case in CASES:
        if not (own := [row for row in rows if row["case"] == case.name]):
            continue
        sizes = list(dict.fromkeys((row["raters"], row["images"]) for row in own))
        said += ["", f"## {case.name}", "", "| | " + " | ".join(f"{r} x {i}" for r, i in sizes)]
        said[-1] += " |"
        said.append("| --- |" + " ---: |" * len(sizes))
        for name in dict.fromkeys(row["name"] for row in own):
            by = {(r["raters"], r["images"]): r for r in own if r["name"] == name}
            cells = [f"{100 * by[s]['share']:.1f} ± {100 * by[s]['error']:.1f}" for s in sizes]
            mark = " (false alarms)" if by[sizes[0]]["false_alarm"] else ""
            said.append(f"| {name}{mark} | " + " | ".join(cells) + " |")
    return said


if __name__ == "__main__":
    sys.exit(main())
