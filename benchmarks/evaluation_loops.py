"""The loops that benchmarks/evaluation.py times: each rival's own way through a folder of results.

A program of its own, since a rival may stand in another environment: it prepares, reads the number
of images from each line of its input, and answers each with its seconds and values, or ends after
one pass.

Example: python benchmarks/evaluation_loops.py basicsr HR SR --once
"""

from __future__ import annotations

import importlib
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

CROP = 4
Pair = tuple[str, str]
Values = tuple[list[float], list[float]]
"""PSNR and SSIM of each pair."""


def _scored(pair: Pair) -> tuple[float, float]:
    import sreval

    psnr, ssim = sreval.score(*pair, "matlab")["value"]
    return psnr, ssim


def _use_one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def sreval_loop() -> Callable[[Sequence[Pair]], Values]:
    """``sreval.score`` for each pair, in two processes that are there before the first pair."""
    pool = ProcessPoolExecutor(2, initializer=_use_one_thread)

    def run(pairs: Sequence[Pair]) -> Values:
        psnr, ssim = zip(*pool.map(_scored, pairs, chunksize=5), strict=True)
        return list(psnr), list(ssim)

    return run


def sreval_threads() -> Callable[[Sequence[Pair]], Values]:
    """``sreval.score`` for each pair, in two threads of a process that has just begun."""
    _use_one_thread()  # the two threads share the cores

    def run(pairs: Sequence[Pair]) -> Values:
        with ThreadPoolExecutor(2) as pool:
            psnr, ssim = zip(*pool.map(_scored, pairs), strict=True)
        return list(psnr), list(ssim)

    return run


def sreval_benchmark() -> Callable[[Sequence[Pair]], Values]:
    """``sreval.benchmark`` into a fresh folder, which keeps the images, their hashes and rows."""
    import sreval

    def run(pairs: Sequence[Pair]) -> Values:
        sr = Path(pairs[0][1]).parent
        with tempfile.TemporaryDirectory() as name:
            found = sreval.benchmark(
                {"sr": f"published:{sr}"}, "BSD100", protocols="matlab", out=Path(name) / "results"
            )
            rows = found.frame.sort_values("image")
            psnr, ssim = (rows.loc[rows["metric"] == one, "value"] for one in ("psnr", "ssim"))
            return list(psnr), list(ssim)

    return run


def basicsr() -> Callable[[Sequence[Pair]], Values]:
    """As scripts/metrics/calculate_psnr_ssim.py of BasicSR goes, with its functions, on Y."""
    import cv2
    import numpy as np

    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from benchmarks.rivals import load_basicsr

    rival = load_basicsr()

    def luma(path: str) -> Any:
        pixels = cv2.imread(path, cv2.IMREAD_UNCHANGED)
        assert pixels is not None
        return rival.bgr2ycbcr(pixels.astype(np.float32) / 255.0, y_only=True) * 255

    def run(pairs: Sequence[Pair]) -> Values:
        values: Values = ([], [])
        for hr, sr in pairs:
            images = luma(hr), luma(sr)
            values[0].append(float(rival.calculate_psnr(*images, crop_border=CROP)))
            values[1].append(float(rival.calculate_ssim(*images, crop_border=CROP)))
        return values

    return run


def pyiqa() -> Callable[[Sequence[Pair]], Values]:
    """Metrics made once, given the paths of each pair, as pyiqa's README has it; our luma, crop."""
    create_metric = importlib.import_module("pyiqa").create_metric

    given = {"device": "cpu", "crop_border": CROP, "color_space": "ycbcr"}
    metrics = [create_metric(name, **given) for name in ("psnry", "ssim")]

    def run(pairs: Sequence[Pair]) -> Values:
        psnr, ssim = ([float(one(sr, hr).item()) for hr, sr in pairs] for one in metrics)
        return psnr, ssim

    return run


LOOPS = {
    "sreval.score": sreval_loop,
    "sreval.score in threads": sreval_threads,
    "sreval.benchmark": sreval_benchmark,
    "basicsr": basicsr,
    "pyiqa": pyiqa,
}


def main() -> None:
    """Answer on stdout, which is kept for that: what a loop prints goes to stderr."""
    name, hr, sr = sys.argv[1:4]
    answers, sys.stdout = sys.stdout, sys.stderr
    pairs = [(str(path), str(Path(sr, path.name))) for path in sorted(Path(hr).iterdir())]
    run = LOOPS[name]()
    if "--once" in sys.argv:
        print(json.dumps(run(pairs)), file=answers)
        return
    run(pairs[:20])  # what is loaded at the first call, in each process
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        given = pairs[: int(line)]
        start = time.perf_counter()
        values = run(given)
        seconds = time.perf_counter() - start
        print(json.dumps({"seconds": seconds, "values": values}), file=answers, flush=True)


if __name__ == "__main__":
    main()
