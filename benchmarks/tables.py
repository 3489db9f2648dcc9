"""Does any table of votes stop an analysis in a way that it should not?

All complete tables of scores 1..5 by up to 2 raters on 3 stimuli and by 3 raters on 2; and random
larger ones: incomplete, with ties, gold items, repeats, rejected votes, several data sets, metrics
beside them. Every complete table goes through the estimators. Every analysis of ``sreval opinions``
gets those that differ in more than the order of raters or of stimuli, in turn as methods on one
image and as images of one method, and all the random ones. An analysis may say that it can't be
done, and why. It may not fail otherwise, warn, or print a number that is none. Writes tables.json
and tables.md; exits with 1 when any does.

Example: python -m benchmarks.tables --random 30 --every 100 --out build/bench
"""

from __future__ import annotations

import argparse
import itertools
import re
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.timing import ROOT, progress, provenance, write_results
from sreval.errors import UNFORESEEN, StatisticsError, unforeseen
from sreval.opinions.arrays import Floats, Ratings
from sreval.opinions.comparison import friedman
from sreval.opinions.intervals import student_mean
from sreval.opinions.mos import bootstrap_two_way, crowdmos, over_images, over_raters, pooled
from sreval.opinions.recovery import recover
from sreval.opinions.reliability import (
    Reliability,
    weighted_kappa,
)
from sreval.opinions.significance import signed_rank
from sreval.opinions.units import CLAIMS
from sreval.opinions.votes import KINDS, check_votes
from sreval.report.opinion_figures import all_figures
from sreval.report.opinions import ANALYSES, Request, analyse
from sreval.report.style import figure_svg

RANDOM = 3000
LARGEST = ((2, 3), (3, 2))
"""Raters and stimuli of the largest complete tables."""

METHODS = ("nearest", "bicubic", "hr", "srgan", "a,b")
METRICS = ("psnr", "ssim", "lpips")

_NO_NUMBER = re.compile(r"(?<![\w.])[+-]?(nan|inf|NaN)(?!\w)")
_DRAWN = 300
_SCORED = 30


def main() -> int:
    """Analyse the tables and write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--random", type=int, default=RANDOM)
    parser.add_argument("--every", type=int, default=1, help="Take every Nth complete table.")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    options = parser.parse_args()
    origin, start = provenance(), time.process_time()
    found = Findings()
    found.complete(options.every)
    found.random(options.random)
    content = {**origin, **found.content(), "seconds": time.process_time() - start}
    write_results(
        options.out, "tables", content, "Small and random tables of votes", lines(content)
    )
    print(options.out / "tables.md")
    return 1 if content["faults"] else 0


class Findings:
    """What was tried, what could not be done, and what failed in a way it should not."""

    def __init__(self) -> None:
        self.estimated = self.analysed = self.random_tables = self.figures = 0
        self.done: Counter[str] = Counter()
        self.not_done: Counter[str] = Counter()
        self.faults: list[str] = []

    def complete(self, every: int = 1) -> None:
        """Every ``every``-th complete table."""
        seen: set[tuple[tuple[int, ...], ...]] = set()
        for number, table in enumerate(complete_tables()):
            if number % every:
                continue
            self.estimate(table)
            self.estimated += 1
            if (one := smallest_order(table)) in seen:
                continue
            seen.add(one)
            layout = as_images if len(seen) % 2 else as_methods
            self.analyse(layout(table), Request(), f"{layout.__name__} {table.tolist()}")
            if len(seen) % 500 == 0:
                progress(f"{len(seen)} complete tables, {len(self.faults)} faults")

    def random(self, count: int) -> None:
        """``count`` random tables; some with metrics beside them, some drawn."""
        for seed in range(count):
            votes, request = random_table(seed)
            self.analyse(votes, request, f"seed {seed}")
            if seed % _DRAWN == _DRAWN - 1:
                self.draw(votes, request, f"seed {seed}")
            self.random_tables += 1
            if seed % 500 == 499:
                progress(f"{seed + 1} random tables, {len(self.faults)} faults")

    def estimate(self, table: Floats) -> None:
        """Every estimator on a table of shape (stimuli, raters)."""
        for name, estimator in ESTIMATORS.items():
            try:
                with warnings.catch_warnings(action="error"):
                    estimator(table)
            except StatisticsError:
                continue
            except Exception as error:
                self.faults.append(f"{name} of {table.tolist()}: {unforeseen(error)}")

    def analyse(self, frame: pd.DataFrame, request: Request, what: str) -> None:
        """Every analysis of a table of votes, its sections as text and as JSON."""
        with warnings.catch_warnings(action="error"):
            try:
                votes = check_votes(frame)
                sections, not_done = analyse(votes, list(ANALYSES), request)
                texts = [section.to_text() for section in sections]
                for section in sections:
                    section.to_json()
            except Exception as error:
                self.faults.append(f"{what}: {unforeseen(error)}")
                return
        self.analysed += 1
        self.done.update({section.analysis for section in sections})
        self.not_done.update(reason.split(":")[0] for reason in not_done)
        for text in [*texts, *not_done]:
            if UNFORESEEN in text or _NO_NUMBER.search(text):
                (line,) = [*filter(_is_fault, text.splitlines())][:1]
                self.faults.append(f"{what}: {line}")

    def draw(self, frame: pd.DataFrame, request: Request, what: str) -> None:
        """Every figure that the votes allow."""
        with warnings.catch_warnings(action="error"):
            for name, figure, why in all_figures(check_votes(frame), request):
                try:
                    if figure is not None:
                        figure_svg(figure)
                        self.figures += 1
                except Exception as error:
                    why = unforeseen(error)
                if UNFORESEEN in why:
                    self.faults.append(f"{what}, figure {name}: {why}")

    def content(self) -> dict[str, Any]:
        """All of it for JSON."""
        return {
            "complete": self.estimated,
            "estimators": len(ESTIMATORS),
            "analysed": self.analysed,
            "random": self.random_tables,
            "figures": self.figures,
            "done": dict(sorted(self.done.items())),
            "not_done": dict(sorted(self.not_done.items())),
            "faults": self.faults,
        }


def _is_fault(line: str) -> bool:
    return UNFORESEEN in line or bool(_NO_NUMBER.search(line))


def complete_tables() -> Iterator[Floats]:
    """Every complete table of shape (stimuli, raters) within LARGEST."""
    shapes = {
        (stimuli, raters)
        for most_raters, most_stimuli in LARGEST
        for raters in range(1, most_raters + 1)
        for stimuli in range(1, most_stimuli + 1)
    }
    for shape in sorted(shapes):
        for scores in itertools.product(range(1, 6), repeat=shape[0] * shape[1]):
            yield np.array(scores, dtype=np.float64).reshape(shape)


def smallest_order(table: Floats) -> tuple[tuple[int, ...], ...]:
    """The same of all tables that differ in the order of raters or of stimuli alone."""
    stimuli, raters = map(range, table.shape)
    return min(
        tuple(sorted(tuple(int(table[i, j]) for i in order) for j in raters))
        for order in itertools.permutations(stimuli)
    )


def as_methods(table: Floats) -> pd.DataFrame:
    """Votes on one image, a stimulus a method."""
    return _votes(table, [("x", METHODS[i]) for i in range(table.shape[0])])


def as_images(table: Floats) -> pd.DataFrame:
    """Votes on one method, a stimulus an image."""
    return _votes(table, [(f"x{i}", "srgan") for i in range(table.shape[0])])


def _votes(table: Floats, stimuli: list[tuple[str, str]]) -> pd.DataFrame:
    rows = [
        (f"r{rater}", *stimulus, int(score))
        for stimulus, scores in zip(stimuli, table, strict=True)
        for rater, score in enumerate(scores, 1)
    ]
    return pd.DataFrame(rows, columns=["rater", "image", "method", "score"])


def random_table(seed: int) -> tuple[pd.DataFrame, Request]:
    """Votes of every sort that a file may hold, and what is asked of them."""
    rng = np.random.default_rng(seed)
    methods = rng.permutation(METHODS)[: rng.integers(1, len(METHODS) + 1)]
    raters, images = rng.integers(1, 13), rng.integers(1, 9)
    rows = [
        (f"r{rater}", dataset, f"i{image}", str(method))
        for dataset in ["", "Set5", "own"][: rng.integers(1, 4)]
        for method in methods
        for image in range(rng.integers(1, images + 1) if rng.random() < 0.2 else images)
        for rater in range(raters)
    ]
    frame = pd.DataFrame(rows, columns=["rater", "dataset", "image", "method"])
    frame = frame[rng.random(len(frame)) < rng.choice([1, 1, 0.8, 0.5, 0.2])]
    frame = frame if len(frame) else pd.DataFrame(rows[:1], columns=frame.columns)
    frame["score"] = _scores(frame, rng)
    if rng.random() < 0.2:  # frames of sequences
        frame["image"] = [f"s{int(name[1:]) % 3}/{name}" for name in frame["image"]]
    frame["scene"] = frame["image"].str[:1] if rng.random() < 0.1 else frame["image"]
    frame["kind"] = "vote"
    for kind in KINDS:
        if kind != "vote" and rng.random() < 0.3:
            more = frame[rng.random(len(frame)) < rng.choice([0.05, 0.3, 1])].assign(kind=kind)
            more["score"] = rng.integers(1, 6, len(more))
            frame = pd.concat([frame, more[more["kind"] == kind]], ignore_index=True)
    if rng.random() < 0.5:
        frame["position"] = np.arange(1, len(frame) + 1)
    if rng.random() < 0.5:
        times = rng.choice([100.0, 900.0, 5000.0, np.nan], len(frame))
        frame["response_ms"] = times if rng.random() < 0.9 else np.nan
    if rng.random() < 0.2:
        frame["accepted"] = ~frame["rater"].isin([f"r{n}" for n in range(rng.integers(1, 4))])
    unit = rng.choice(["rater", "image", "pooled"])
    interval = rng.choice([CLAIMS[unit].interval, "crowdmos"])
    scores = _metrics(frame, rng) if seed % _SCORED == _SCORED - 1 else None
    return frame, Request(unit=unit, interval=str(interval), scores=scores)


def _scores(frame: pd.DataFrame, rng: np.random.Generator) -> Any:
    """Scores that vary by everything, by the method alone, by the rater alone, hardly, or not."""
    by_method = frame["method"].map({name: place for place, name in enumerate(METHODS)})
    by_rater = pd.factorize(frame["rater"])[0] % 5
    kinds: list[Callable[[], Any]] = [
        lambda: rng.integers(1, 6, len(frame)),
        lambda: np.clip(np.rint(by_method + 1 + rng.normal(0, 0.7, len(frame))), 1, 5),
        lambda: by_method + 1,
        lambda: by_rater + 1,
        lambda: 4 + (rng.random(len(frame)) < 0.05),
        lambda: np.full(len(frame), rng.integers(1, 6)),
        lambda: rng.choice([1, 5], len(frame)),
    ]
    return np.asarray(kinds[rng.integers(len(kinds))](), dtype=np.int64)


def _metrics(frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Values of metrics on the stimuli: random, of one value, infinite for hr, or missing."""
    stimuli = frame[["dataset", "image", "method", "scene"]].drop_duplicates()
    made = []
    for metric in METRICS[: rng.integers(1, len(METRICS) + 1)]:
        values = (
            rng.normal(20, 5, len(stimuli)) if rng.random() < 0.8 else np.full(len(stimuli), 1.0)
        )
        if metric == "psnr":
            values = np.where(stimuli["method"] == "hr", np.inf, values)
        made.append(stimuli.assign(metric=metric, value=values))
    return pd.concat(made, ignore_index=True)


def _of_ratings(estimator: Callable[[Ratings], object]) -> Callable[[Floats], object]:
    return lambda table: estimator(Ratings.from_matrix(table))


ESTIMATORS: dict[str, Callable[[Floats], object]] = {
    "mean over raters": _of_ratings(over_raters),
    "mean over images": _of_ratings(over_images),
    "pooled mean": _of_ratings(pooled),
    "crowdmos": _of_ratings(crowdmos),
    "bootstrap over both": _of_ratings(lambda r: bootstrap_two_way(r, resamples=50)),
    "ICC": _of_ratings(lambda r: Reliability(r).intraclass_correlation()),
    "alpha": _of_ratings(lambda r: Reliability(r).krippendorff_alpha()),
    "split halves": _of_ratings(lambda r: Reliability(r).split_half(splits=10)),
    "SOS": _of_ratings(lambda r: Reliability(r).sos_coefficient()),
    "recovery": _of_ratings(lambda r: (lambda found: (found.stimuli, found.raters))(recover(r))),
    "Student t": lambda table: student_mean(table[:, 0]),
    "signed rank": lambda table: signed_rank(table[0], table[-1]),
    "Friedman": lambda table: friedman(table.T),
    "kappa": lambda table: weighted_kappa(table[0], table[-1]),
}


def lines(content: dict[str, Any]) -> list[str]:
    """The Markdown page below its title."""
    table = [
        f"| {name} | {content['done'].get(name, 0)} | {content['not_done'].get(name, 0)} |"
        for name in ANALYSES
    ]
    return [
        f"All {content['complete']} complete tables of scores 1..5 by up to 2 raters on 3 stimuli "
        f"and by 3 on 2 through {content['estimators']} estimators, each with warnings as errors; "
        f"and {content['analysed']} tables through every analysis of `sreval opinions`: of these "
        "the ones that differ in more than the order of raters or of stimuli, in turn as methods "
        f"on one image and as images of one method, and {content['random']} random larger ones; "
        f"{content['figures']} figures of some of them. Goal: no fault, which is an exception that "
        "isn't one of sreval's, a warning, or a number printed as nan or inf.",
        "",
        f"**{len(content['faults'])} faults**, in {content['seconds'] / 60:.0f} minutes of one "
        "core.",
        "",
        "| analysis | done | said why it can't be done |",
        "| --- | ---: | ---: |",
        *table,
        *(["", *(f"- {fault}" for fault in content["faults"][:50])] if content["faults"] else []),
    ]


if __name__ == "__main__":
    sys.exit(main())
