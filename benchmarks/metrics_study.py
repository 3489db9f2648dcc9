"""Whether `sreval metrics-study` finds a metric's bias where it is, and none where it isn't.

Simulated studies in which the truth is known: GANs are a point better than what was trained by MSE,
a noisy metric rises with quality, and gives GANs 0 or 3 dB less than their quality deserves. Writes
metrics_study.json and metrics_study.md with machine, commit and date; exits with 1 where false
alarms exceed 6 % by more than two standard errors, or the intervals cover less than 92 %.

Example: python -m benchmarks.metrics_study --studies 100 --out build/bench
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.timing import ROOT, progress, provenance, write_results
from sreval.opinions.agreement import fit_mapped
from sreval.opinions.arrays import Floats
from sreval.opinions.intervals import student_mean
from sreval.opinions.metric_study import accuracy, answer, class_effects, pairs_of

SCENES = (5, 14, 60)
RATERS = 26
BIAS_DB = 3.0
METHODS = {
    "nearest": ("interpolation", 1.6),
    "bicubic": ("interpolation", 2.0),
    "srcnn": ("mse", 2.6),
    "srresnet": ("mse", 3.0),
    "srgan-a": ("gan", 3.5),
    "srgan-b": ("gan", 3.7),
}
METRICS = {"psnr": True, "other": True}
MOST_FALSE_ALARMS, LEAST_COVERAGE = 0.06, 0.92


def study(
    scenes: int, bias: float, curved: bool, generator: np.random.Generator
) -> tuple[pd.DataFrame, Floats]:
    """The stimuli of a study, and the votes on them, shape (stimuli, raters).

    Two metrics of the same noise, 2 dB on 2 dB a point; the metric of ``curved`` saturates. Only
    'psnr' has the ``bias`` in dB against GANs.
    """
    shape = (scenes, len(METHODS))
    base = np.array([quality for _, quality in METHODS.values()])
    quality = base + generator.normal(0, 0.3, (scenes, 1)) + generator.normal(0, 0.35, shape)
    scene = generator.normal(28, 4, (scenes, 1))
    rise = 8 * np.log(np.clip(quality, 0.5, 6)) if curved else 2 * quality
    gan = np.array([group == "gan" for group, _ in METHODS.values()])
    rater = generator.normal(0, 0.3, RATERS)
    latent = quality.reshape(-1, 1) + rater + generator.normal(0, 0.6, (quality.size, RATERS))
    votes = np.clip(np.rint(latent), 1, 5)
    names = [f"s{i}" for i in range(scenes) for _ in METHODS]
    table = pd.DataFrame(
        {
            "scene": names,
            "image": names,
            "group": [group for group, _ in METHODS.values()] * scenes,
            "mos": votes.mean(axis=1),
            "psnr": (scene + rise + generator.normal(0, 2, shape) - bias * gan).ravel(),
            "other": (scene + rise + generator.normal(0, 2, shape)).ravel(),
        }
    )
    return table, votes


def errors_of(votes: Floats) -> Floats:
    """Standard errors of the MOS without the raters' bias."""
    residual = votes - votes.mean(axis=1, keepdims=True)
    own = residual - residual.mean(axis=0)
    error: Floats = own.std(axis=1, ddof=1) / math.sqrt(votes.shape[1])
    return error


def shares_of(table: pd.DataFrame, votes: Floats) -> tuple[pd.DataFrame, int]:
    """Accuracy of both metrics by scene on the pairs of an MSE and a GAN method."""
    pairs = pairs_of(table, votes)
    classes = [pairs["better"], pairs["worse"]]
    own = pairs[[{a, b} == {"mse", "gan"} for a, b in zip(*classes, strict=True)]]
    return accuracy(table, own, METRICS), len(own)


def residual_excludes_zero(table: pd.DataFrame) -> bool:
    """Whether the mean residual of GANs, of MOS predicted from the metric, is told from zero."""
    values, mos = (table[name].to_numpy(dtype=np.float64) for name in ("psnr", "mos"))
    residual = mos - fit_mapped("linear", values, mos, np.ones((1, mos.size)))[0]
    gan = table.assign(residual=residual)[table["group"] == "gan"]
    found = student_mean(gan.groupby("scene")["residual"].mean())
    return not found.low <= 0 <= found.high


def cell(n: int, scenes: int, bias: float, curved: bool) -> dict[str, Any]:
    """Shares of ``n`` studies, with the figures' standard errors."""
    generator = np.random.default_rng([20_201_401, scenes, round(bias), curved])
    truth = shares_of(*study(3000, bias, curved, generator))[0]["psnr"].mean()
    rows = []
    for _ in range(n):
        table, votes = study(scenes, bias, curved, generator)
        (found,) = class_effects(table, {"psnr": True}, ["mse", "gan"], errors_of(votes))
        shares, count = shares_of(table, votes)
        made = answer(shares, "within a scene", ("mse", "gan"), "accuracy", 0.95, count, "pairs")
        interval = made.intervals["psnr"]
        rows.append(
            {
                "bias told": found.p < 0.05,
                "its interval covers": found.effect.low <= -bias <= found.effect.high,
                "residual of the prediction told": residual_excludes_zero(table),
                "accuracy's interval covers": interval.low <= truth <= interval.high,
                "metrics told apart": made.differences[0].p < 0.05,
            }
        )
    frame = pd.DataFrame(rows).astype(float)
    return {
        "scenes": scenes,
        "bias_db": bias,
        "curved": curved,
        "shares": frame.mean().to_dict(),
        "errors": (frame.std(ddof=0) / math.sqrt(n)).to_dict(),
    }


def fails(row: dict[str, Any]) -> list[str]:
    """What a cell promises and doesn't keep."""
    share, error = row["shares"], row["errors"]
    told = ("its interval covers", "accuracy's interval covers")
    bad = [name for name in told if share[name] + 2 * error[name] < LEAST_COVERAGE]
    if not row["bias_db"]:
        alarms = ("bias told", "metrics told apart")
        bad += [n for n in alarms if share[n] - 2 * error[n] > MOST_FALSE_ALARMS]
    return bad


def main() -> int:
    """Simulate all cells and write what they found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--studies", type=int, default=1000, help="A cell.")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    options = parser.parse_args()
    origin = provenance()
    found = []
    for curved in (False, True):
        for bias in (0.0, BIAS_DB):
            for scenes in SCENES:
                found.append(cell(options.studies, scenes, bias, curved))
                progress(f"{scenes} scenes, {bias:g} dB, {'curved' if curved else 'straight'}")
    content = {**origin, "studies": options.studies, "found": found}
    title = "Metrics against opinion where the truth is known"
    write_results(options.out, "metrics_study", content, title, lines(options.studies, found))
    print(options.out / "metrics_study.md")
    missing = [(row["scenes"], row["bias_db"], name) for row in found for name in fails(row)]
    for row in missing:
        print(*row, file=sys.stderr)
    return 1 if missing else 0


def lines(studies: int, found: list[dict[str, Any]]) -> list[str]:
    """A row a cell, in per cent, each with its standard error."""
    names = list(found[0]["shares"])
    said = [
        f"{studies} studies a cell, {RATERS} raters, two methods a class; GANs are a point better "
        "than MSE methods, the metric has 2 dB of noise on 2 dB a point, and gives GANs so many dB "
        "less at equal quality. Per cent, ± standard error. Without a bias the first, third and "
        "last figure are false alarms at 5 %; the residual of MOS predicted from the metric is "
        "shown for contrast: it tells a bias where there is none, and isn't used.",
        "",
        "| metric | scenes | bias, dB | " + " | ".join(names) + " |",
        "| --- | ---: | ---: |" + " ---: |" * len(names),
    ]
    for row in found:
        cells = [f"{100 * row['shares'][n]:.1f} ± {100 * row['errors'][n]:.1f}" for n in names]
        kind = "curved" if row["curved"] else "straight"
        said.append(
            f"| {kind} | {row['scenes']} | {row['bias_db']:g} | " + " | ".join(cells) + " |"
        )
    return said


if __name__ == "__main__":
    raise SystemExit(main())
