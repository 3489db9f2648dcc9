"""The speed of the statistics of opinions: Annex E against sureal, and whole studies.

Writes opinions.json and opinions.md with machine, commit and date. Exits with 1 when a goal
isn't met or sureal can't be had (pip install -e '.[bench]').

Example: python -m benchmarks.opinions --quick --out build/bench
"""

from __future__ import annotations

import argparse
import contextlib
import io
import math
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.limits import beside, copy_rate, distances
from benchmarks.timing import ROOT, compare, progress, provenance, write_results
from sreval.opinions.arrays import Floats, Ratings
from sreval.opinions.reading import read_ratings
from sreval.opinions.recovery import Recovery, recover
from sreval.opinions.simulation import RaterModel, make_stimuli, simulate_votes
from sreval.report.opinion_figures import all_figures
from sreval.report.opinions import ANALYSES, Request, analyse
from sreval.report.style import save_figure

GOAL_RATIO = 20.0
GOAL_SECONDS = 60.0
PAPER_VOTES = 29_328
QUALITIES = {
    "nearest": 1.2, "bicubic": 1.8, "srcnn": 2.3, "selfexsr": 2.4, "drcn": 2.8, "espcn": 2.5,
    "srresnet-mse": 3.0, "srresnet-vgg22": 3.1, "srgan-mse": 3.4, "srgan-vgg22": 3.5,
    "srgan-vgg54": 3.7, "hr": 4.4,
}  # fmt: skip
ON_BSD100 = [name for name in QUALITIES if name not in ("srresnet-vgg22", "srgan-mse")]
ON_BSD100.remove("srgan-vgg22")


def main() -> int:
    """Time everything and write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="smaller tables, no million votes")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    options = parser.parse_args()
    solver = load_sureal()
    origin = provenance()
    rivals = [against_sureal(solver, 1128, 26, 1.0, rounds=25)]
    shape = (2000, 60, 0.1) if options.quick else (20_000, 200, 0.05)
    rivals.append(against_sureal(solver, *shape, rounds=1))
    growth = linearity(200_000 if options.quick else 3_200_000)
    studies = [whole_study(PAPER_VOTES)]
    if not options.quick:
        studies.append(whole_study(1_000_000))
    content = {**origin, "rivals": rivals, "linearity": growth, "studies": studies}
    content["limits"] = limits(growth, studies)
    write_results(options.out, "opinions", content, "The statistics of opinions", lines(content))
    missed = [row for row in rivals if row["ratio"] < GOAL_RATIO or row["difference"] > 1e-6]
    missed += [row for row in studies if row["votes"] == PAPER_VOTES and row["seconds"] > 60]
    print(options.out / "opinions.md")
    return 1 if missed else 0


def load_sureal() -> Any:
    """sureal's solver of P.910 (10/2023) Annex E, or the end of the script with what to install."""
    try:
        from sureal.subjective_model import SubjectMLEModelProjectionSolver2
    except ImportError:
        sys.exit("sureal can't be had. Install it: pip install -e '.[bench]'")
    return SubjectMLEModelProjectionSolver2


def random_matrix(stimuli: int, raters: int, seen: float) -> Floats:
    """Votes of raters with bias and inconsistency, NaN where not seen."""
    generator = np.random.default_rng(0)
    quality = generator.uniform(1, 5, stimuli)
    bias = generator.normal(0, 0.3, raters)
    noise = generator.normal(size=(stimuli, raters)) * np.exp(generator.normal(-0.5, 0.2, raters))
    matrix: Floats = np.clip(np.rint(quality[:, None] + bias + noise), 1, 5)
    if seen < 1:
        matrix[generator.random(matrix.shape) > seen] = np.nan
    return matrix


def against_sureal(
    solver: Any, stimuli: int, raters: int, seen: float, rounds: int
) -> dict[str, Any]:
    """Both solvers from the same matrix in memory to arrays of results; in turn, A B A B ..."""
    matrix = random_matrix(stimuli, raters, seen)
    reader = SimpleNamespace(opinion_score_3darray=matrix[:, :, None])

    def ours() -> Recovery:
        return recover(Ratings.from_matrix(matrix))

    def theirs() -> dict[str, Any]:
        with contextlib.redirect_stdout(io.StringIO()), np.errstate(all="ignore"):
            result: dict[str, Any] = solver._run_modeling(reader)
        return result

    progress(f"recovery of {stimuli} x {raters}, {seen:.0%} seen")
    if rounds > 1:
        timed = compare({"sreval": ours, "sureal": theirs}, 10.0, least=rounds)
        first, second = timed["sreval"], timed["sureal"]
        mine, other = first.value, second.value
        seconds = first.milliseconds / 1e3, second.milliseconds / 1e3
        ratio = second.ratio
    else:
        mine, own = timed_once(ours)
        other, its = timed_once(theirs)
        seconds, ratio = (own, its), its / own
    quality = mine.stimuli["quality"].to_numpy()
    return {
        "stimuli": stimuli,
        "raters": raters,
        "votes": int((~np.isnan(matrix)).sum()),
        "rounds": rounds,
        "sreval_seconds": seconds[0],
        "sureal_seconds": seconds[1],
        "ratio": ratio,
        "sreval_iterations": mine.iterations,
        "sureal_iterations": int(other["num_iter"]),
        "difference": float(np.abs(quality / np.array(other["quality_scores"]) - 1).max()),
    }


def timed_once(run: Any) -> tuple[Any, float]:
    start = time.perf_counter()
    value = run()
    return value, time.perf_counter() - start


def linearity(most: int) -> dict[str, Any]:
    """Time of recovery per iteration as the votes double, and the slope of its logarithm."""
    rows = []
    votes = most // 16
    while votes <= most:
        stimuli = votes // 10
        generator = np.random.default_rng(1)
        rater = generator.integers(0, 200, votes)
        stimulus = np.repeat(np.arange(stimuli), 10)[:votes]
        frame = pd.DataFrame({"rater": rater, "stimulus": stimulus}).drop_duplicates()
        quality = generator.uniform(1, 5, stimuli)
        score = np.clip(
            np.rint(quality[frame["stimulus"]] + generator.normal(0, 0.7, len(frame))), 1, 5
        )
        ratings = Ratings.from_votes(frame.assign(score=score), ["stimulus"])
        runs = [timed_once(lambda given=ratings: recover(given)) for _ in range(3)]
        seconds = min(run[1] for run in runs)
        iterations = runs[0][0].iterations
        rows.append({"votes": len(frame), "seconds": seconds, "iterations": iterations})
        progress(f"recovery of {len(frame)} votes: {seconds:.2f} s, {iterations} iterations")
        votes *= 2
    each = [math.log(row["seconds"] / row["iterations"]) for row in rows]
    slope = float(np.polyfit([math.log(row["votes"]) for row in rows], each, 1)[0])
    return {"rows": rows, "exponent": slope}


def whole_study(votes: int) -> dict[str, Any]:
    """Read a file of votes, do every analysis, draw and save every figure."""
    frame = simulated_study(votes)
    scores = benchmark_rows(frame)
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "votes.csv"
        frame.to_csv(path, index=False)
        progress(f"a whole study of {len(frame)} votes")
        start = time.perf_counter()
        checked = read_ratings(path).votes
        parts = {"read": time.perf_counter() - start}
        request = Request(scores=scores)
        # these votes hold no repeats; benchmarks/ordinal.py times the ordinal model
        for analysis in sorted(set(ANALYSES) - {"retest", "ordinal"}):
            _, parts[analysis] = timed_once(lambda a=analysis: analyse(checked, [a], request))
        begin = time.perf_counter()
        drawn = 0
        for figure_name, figure, _ in all_figures(checked, request):
            if figure is not None:
                save_figure(figure, Path(name) / f"{figure_name}.svg")
                drawn += 1
        parts["figures"] = time.perf_counter() - begin
        seconds = time.perf_counter() - start
        _, parser = timed_once(lambda: pd.read_csv(path))
    progress(f"{len(frame)} votes: {seconds:.1f} s")
    return {
        "votes": len(frame),
        "raters": int(frame["rater"].nunique()),
        "stimuli": len(frame[["dataset", "image", "method"]].drop_duplicates()),
        "figures": drawn,
        "seconds": seconds,
        "parts": parts,
        "parser_seconds": parser,
    }


def simulated_study(votes: int) -> pd.DataFrame:
    """The paper's study, 26 raters on 1128 stimuli, with more raters for more votes."""
    parts = [
        make_stimuli(QUALITIES, 5, dataset="Set5", seed=5),
        make_stimuli(QUALITIES, 14, dataset="Set14", seed=14),
        make_stimuli({name: QUALITIES[name] for name in ON_BSD100}, 100, dataset="BSD100", seed=1),
    ]
    stimuli = pd.concat(parts, ignore_index=True)
    return simulate_votes(stimuli, RaterModel(), math.ceil(votes / len(stimuli)))


def benchmark_rows(votes: pd.DataFrame) -> pd.DataFrame:
    """Invented metric values of the rated stimuli, infinite for the original's PSNR."""
    generator = np.random.default_rng(3)
    stimuli = votes[["dataset", "image", "method"]].drop_duplicates()
    level = stimuli["method"].map(QUALITIES).to_numpy()
    rows = []
    for metric, slope, base in (("psnr", 2.0, 22.0), ("ssim", 0.1, 0.5), ("lpips", -0.1, 0.6)):
        value = base + slope * (level + generator.normal(0, 0.7, len(stimuli)))
        if metric == "psnr":
            value = np.where(stimuli["method"] == "hr", np.inf, value)
        rows.append(stimuli.assign(metric=metric, value=value))
    return pd.concat(rows, ignore_index=True)


def limits(growth: dict[str, Any], studies: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Recovery beside one look at each vote, and reading a file beside its parser."""
    largest = growth["rows"][-1]
    look = 3 * 8 * largest["votes"] / copy_rate()
    found = [
        beside(
            f"an iteration of recovery, {largest['votes']:,} votes",
            largest["seconds"] / largest["iterations"], look, "s",
            "memory: score, rater and stimulus of each vote, 8 bytes each, read once",
        )
    ]  # fmt: skip
    for study in studies:
        what, by = f"reading {study['votes']:,} votes", "pandas.read_csv of the same file"
        found.append(beside(what, study["parts"]["read"], study["parser_seconds"], "s", by))
    return found


def lines(content: dict[str, Any]) -> list[str]:
    """The Markdown page below its title."""
    text = [
        "## ITU-T P.910 (10/2023) Annex E against sureal",
        "",
        "Matrix in memory to arrays of results, one process. Goal: "
        f"{GOAL_RATIO:.0f} times faster, the same quality to 1e-6. "
        "sureal's solver is `SubjectMLEModelProjectionSolver2`.",
        "",
        "| stimuli x raters | votes | sreval | sureal | ratio | rounds | largest relative "
        "difference |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in content["rivals"]:
        text.append(
            f"| {row['stimuli']} x {row['raters']} | {row['votes']} | "
            f"{1e3 * row['sreval_seconds']:.2f} ms | {1e3 * row['sureal_seconds']:.1f} ms | "
            f"{row['ratio']:.1f} | {row['rounds']} | {row['difference']:.1e} |"
        )
    growth = content["linearity"]
    text += ["", "## Growth with the votes", "", "200 raters, 10 votes a stimulus, best of three."]
    text += ["", "| votes | time | iterations |", "| ---: | ---: | ---: |"]
    text += [
        f"| {row['votes']} | {row['seconds']:.2f} s | {row['iterations']} |"
        for row in growth["rows"]
    ]
    text += ["", f"Time per iteration grows as votes^{growth['exponent']:.2f}."]
    text += ["", "## Whole studies", ""]
    text.append(
        "A CSV read, every analysis of `sreval opinions` but repeats, every figure saved as SVG; "
        f"simulated raters. Goal: {PAPER_VOTES} votes within {GOAL_SECONDS:.0f} s."
    )
    for study in content["studies"]:
        parts = ", ".join(f"{name} {seconds:.1f}" for name, seconds in study["parts"].items())
        text += [
            "",
            f"**{study['votes']} votes** of {study['raters']} raters on {study['stimuli']} "
            f"stimuli, {study['figures']} figures: **{study['seconds']:.1f} s** ({parts} s).",
        ]
    return text + distances(content["limits"])


if __name__ == "__main__":
    sys.exit(main())
