"""Our scores against the published ones on the full sets; resumable; writes benchmarks/results/.

Needs SREVAL_DATA (Set5, Set14, BSD100, the authors' published Set5 images, golden_scores.json)
and, for LPIPS, SREVAL_WEIGHTS. Exits with 1 when a figure is not what it should be.

Example: python -m benchmarks.conformance --work build/conformance
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.timing import provenance, write_results
from sreval.benchmarking.plan import BenchmarkPlan, Resolved
from sreval.benchmarking.run import run
from sreval.content import data_dirs
from sreval.images.io import read_image
from sreval.images.resize import downscale
from sreval.metrics.lpips import lpips
from sreval.report import paper
from sreval.report.protocols import conventions_text, score_conventions, summarise_conventions

SETS = ("Set5", "Set14", "BSD100")
METHODS = ("nearest", "bicubic")
AUTHORS = ("srresnet-mse", "srgan-vgg54")
DIGITS = {"psnr": 2, "ssim": 4}
Check = tuple[str, str, str, bool]


def main() -> int:
    """Run every check and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=Path("build/conformance"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    options = parser.parse_args()
    data = data_dirs()[0]
    golden = json.loads((data / "golden_scores.json").read_text())
    frame = scored(data, options.work)
    checks = [
        low_resolution(data),
        *twelve_figures(frame),
        *per_image(frame, golden),
        *authors(frame),
        *perceptual(data),
    ]
    lines = ["| check | expected | measured | |", "| --- | --- | --- | --- |"]
    lines += [f"| {a} | {b} | {c} | {'ok' if good else 'NOT MET'} |" for a, b, c, good in checks]
    lines += ["", "```", conventions(frame, options.work).rstrip(), "```"]
    content: dict[str, Any] = {
        **provenance(),
        "checks": [
            dict(zip(("check", "expected", "measured", "met"), c, strict=True)) for c in checks
        ],
    }
    write_results(options.out, "conformance", content, "Conformance with published figures", lines)
    print("\n".join(lines))
    return 0 if all(good for *_, good in checks) else 1


def scored(data: Path, work: Path) -> pd.DataFrame:
    """Nearest and bicubic under all protocols, and the authors' images on Set5."""
    plan = BenchmarkPlan(
        methods=list(METHODS),
        datasets=list(SETS),
        protocols=["ledig2017", "matlab", "rgb"],
        metrics=["psnr", "ssim", "lpips"],
    )
    run(Resolved.of(plan), work)
    theirs = plan.model_copy(
        update={
            "methods": [f"published:{data / 'published' / 'Set5' / name}" for name in AUTHORS],
            "datasets": ["Set5"],
        }
    )
    return run(Resolved.of(theirs), work).frame


def values(frame: pd.DataFrame, dataset: str, method: str, protocol: str, metric: str) -> Any:
    """Scores image by image, in the order of the images."""
    keys = {"dataset": dataset, "method": method, "protocol": protocol, "metric": metric}
    rows = frame
    for column, value in keys.items():
        rows = rows[rows[column] == value]
    return rows.sort_values("image")["value"].to_numpy()


def low_resolution(data: Path) -> Check:
    """How many published LR images our downscale makes bit for bit."""
    equal = [
        np.array_equal(
            downscale(read_image(hr).pixels, 4),
            read_image(hr.parents[1] / "LR_x4" / hr.name).pixels,
        )
        for name in SETS
        for hr in sorted((data / "eval" / name / "HR").glob("*.png"))
    ]
    return (
        "LR images identical to the published ones",
        "119 of 119",
        f"{sum(equal)} of {len(equal)}",
        sum(equal) == len(equal) == 119,
    )


def twelve_figures(frame: pd.DataFrame) -> list[Check]:
    """Nearest and bicubic of the paper's table 2."""
    checks = []
    for dataset in SETS:
        for method in METHODS:
            for metric, digits in DIGITS.items():
                mean = float(np.mean(values(frame, dataset, method, "ledig2017", metric)))
                printed = paper.figures()[dataset, method, metric]
                checks.append(_figure(f"{dataset} {method} {metric}", printed, mean, digits))
    return checks


def authors(frame: pd.DataFrame) -> list[Check]:
    """The authors' published Set5 images."""
    return [
        _figure(
            f"Set5 authors' {method} {metric}",
            paper.figures()["Set5", method, metric],
            float(np.mean(values(frame, "Set5", method, "ledig2017", metric))),
            digits,
        )
        for method in AUTHORS
        for metric, digits in DIGITS.items()
    ]


def _figure(name: str, printed: float, mean: float, digits: int) -> Check:
    met = round(mean, digits) == printed
    return (
        f"{name}, ledig2017, paper's table",
        f"{printed:.{digits}f}",
        f"{mean:.{digits + 2}f}",
        met,
    )


def per_image(frame: pd.DataFrame, golden: dict[str, Any]) -> list[Check]:
    """Largest difference of any image from the independent implementation and Huang's table."""
    checks = []
    for metric, tolerance in (("psnr", 1e-7), ("ssim", 1e-8)):
        found = [
            np.abs(values(frame, dataset, method, protocol, metric) - expected).max()
            for dataset in ("Set5", "Set14")
            for method in METHODS
            for protocol in ("ledig2017", "matlab")
            for expected in [golden[f"{dataset}/{method}"][f"{protocol}_{metric}"]]
        ]
        huang = [
            np.abs(
                values(frame, dataset, "bicubic", "matlab", metric)
                - golden[f"{dataset}/huang_bicubic"][metric]
            ).max()
            for dataset in ("Set5", "Set14")
        ]
        for name, worst in (
            ("independent implementation", max(found)),
            ("Huang's table", max(huang)),
        ):
            checks.append(
                (
                    f"{metric} per image against {name}",
                    f"within {tolerance:.0e}",
                    f"{worst:.1e}",
                    bool(worst < tolerance),
                )
            )
    return checks


def perceptual(data: Path) -> list[Check]:
    """LPIPS on its package's own example."""
    reference = read_image(data / "lpips" / "ex_ref.png").pixels
    checks = []
    for name, expected in (("p0", 0.722), ("p1", 0.138)):
        value = lpips(reference, read_image(data / "lpips" / f"ex_{name}.png").pixels)
        checks.append(
            (
                f"LPIPS alex ex_ref/ex_{name}",
                f"{expected}",
                f"{value:.4f}",
                round(value, 3) == expected,
            )
        )
    return checks


def conventions(frame: pd.DataFrame, work: Path) -> str:
    """Bicubic under every convention of public tools."""
    rows = frame[frame["method"] == "bicubic"].assign(folder=str(work))
    return conventions_text(summarise_conventions(score_conventions(rows)))


if __name__ == "__main__":
    sys.exit(main())
