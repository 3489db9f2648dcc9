"""The speed of metrics and resize against other packages, and of a whole benchmark.

Writes metrics.json and metrics.md with machine, commit and date. Exits with 1 when a goal isn't
met, or the data sets of the whole benchmark (SREVAL_DATA) are missing. A rival that can't be had
is left out, with the goals against it, and named.

Example: python -m benchmarks.metrics --quick --out build/bench
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from skimage.data import astronaut
from skimage.metrics import structural_similarity

from benchmarks.rivals import Basicsr, MissingRivalError, load_basicsr
from benchmarks.timing import ROOT, compare, cores, progress, provenance, threads, write_results
from sreval.errors import SrevalError
from sreval.files import sha256_file, write_atomic
from sreval.images.datasets import Dataset, open_dataset
from sreval.images.io import encode_png, read_image, write_png
from sreval.images.luma import bt601_float
from sreval.images.resize import downscale, imresize, upscale
from sreval.methods import INTERPOLATIONS
from sreval.metrics.protocol import PROTOCOLS, crop
from sreval.metrics.psnr import psnr
from sreval.metrics.scorer import Reference
from sreval.metrics.ssim import ssim_wang

UInt8 = npt.NDArray[np.uint8]
Difference = Callable[[Any, Any], str]

SIZES = ((320, 480), (528, 656), (1356, 2040))
THREADS = (1, 2)
SETS = ("Set5", "Set14", "BSD100")
METHODS = ("nearest", "bicubic")
SCALE = 4


@dataclass(frozen=True)
class Case:
    """Rivals that do one thing, ours first; ``goal`` is how much faster than the second."""

    name: str
    rivals: Mapping[str, Callable[[], Any]]
    difference: Difference
    goal: float | None = None


def main() -> int:
    """Time everything and write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick", action="store_true", help="smallest size, few repeats, Set5 alone"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    options = parser.parse_args()
    basicsr: Basicsr | None = None
    rival = "basicsr is left out, since it can't be imported"
    try:
        basicsr = load_basicsr()
        rival = basicsr.origin
        progress(rival)
    except MissingRivalError as error:
        progress(str(error))
    origin = provenance()
    seconds = 0.5 if options.quick else 4.0
    rows = [
        {"height": height, "width": width, "threads": count, **row}
        for height, width in SIZES[: 1 if options.quick else None]
        for count in THREADS
        for row in timed(height, width, count, basicsr, seconds)
    ]
    try:
        whole = whole_benchmark(SETS[: 1 if options.quick else None])
    except SrevalError as error:
        raise SystemExit(f"The whole benchmark can't be run: {error}") from None
    content = {**origin, "basicsr": rival, "rows": rows, "whole": whole}
    lines = report(rows, whole, rival)
    write_results(options.out, "metrics", content, "Speed", lines)
    print("\n".join(lines))
    missed = [row for row in rows if row["met"] is False]
    for row in missed:
        progress(
            f"NOT MET: {row['case']}, {row['height']}x{row['width']}, {_threads(row['threads'])}: "
            f"{row['ratio']:.2f} times, goal {row['goal']}"
        )
    return 1 if missed else 0


def timed(
    height: int, width: int, count: int, basicsr: Basicsr | None, seconds: float
) -> Iterator[dict[str, Any]]:
    """The rows of all cases at one size and one number of threads."""
    with tempfile.TemporaryDirectory() as folder:
        for case in cases(height, width, basicsr, Path(folder)):
            progress(f"{height}x{width}, {_threads(count)}: {case.name}")
            with threads(count):
                timings = compare(case.rivals, seconds)
            first = next(iter(timings.values()))
            for place, (rival, timing) in enumerate(timings.items()):
                goal = case.goal if place == 1 else None
                yield {
                    "case": case.name,
                    "rival": rival,
                    "ms": timing.milliseconds,
                    "ms_per_megapixel": timing.milliseconds / (height * width / 1e6),
                    "ratio": timing.ratio,
                    "rounds": timing.rounds,
                    "difference": case.difference(first.value, timing.value) if place else "",
                    "goal": goal,
                    "met": None if goal is None else timing.ratio >= goal,
                }


def _threads(count: int) -> str:
    return f"{count} thread{'s' if count > 1 else ''}"


def cases(height: int, width: int, basicsr: Basicsr | None, folder: Path) -> Iterator[Case]:
    """Everything that is timed on a pair of that size."""
    hr, sr = pair(height, width)
    yield wang_case(hr, sr)
    yield matlab_case(hr, sr, basicsr)
    yield resize_case("downscale x4", hr, 1 / SCALE, basicsr)
    yield resize_case("upscale x4", downscale(hr, SCALE), SCALE, basicsr)
    yield ledig_case(hr, sr)
    yield file_case(hr, sr, folder)


def pair(height: int, width: int) -> tuple[UInt8, UInt8]:
    """A photograph at that size, and its bicubic reconstruction."""
    photograph = Image.fromarray(astronaut()).resize((width, height), Image.Resampling.LANCZOS)
    hr = np.array(photograph)
    return hr, upscale(downscale(hr, SCALE), SCALE)


def wang_case(hr: UInt8, sr: UInt8) -> Case:
    a, b = bt601_float(hr), bt601_float(sr)

    def skimage() -> float:
        return float(
            structural_similarity(
                a,
                b,
                gaussian_weights=True,
                sigma=1.5,
                use_sample_covariance=False,
                data_range=255,
            )
        )

    rivals = {"sreval": lambda: ssim_wang(a, b), "scikit-image": skimage}
    return Case("Wang SSIM, float64", rivals, lambda ours, own: f"{abs(ours - own):.1e}", 2.5)


def matlab_case(hr: UInt8, sr: UInt8, basicsr: Basicsr | None) -> Case:
    protocol = PROTOCOLS["matlab"]
    # basicsr's arrays are BGR, as OpenCV reads them.
    theirs = [np.ascontiguousarray(image[..., ::-1]) for image in (hr, sr)]
    a, b = (bt601_float(crop(image, SCALE)) for image in (hr, sr))
    like_basicsr = psnr(a, b), ssim_wang(a, b)

    def sreval() -> tuple[float, float]:
        a, b = (protocol.planes(image, SCALE) for image in (hr, sr))
        return protocol.psnr(a, b), protocol.ssim(a, b)

    def rival() -> tuple[float, float]:
        assert basicsr is not None
        return (
            basicsr.calculate_psnr(*theirs, crop_border=SCALE, test_y_channel=True),
            basicsr.calculate_ssim(*theirs, crop_border=SCALE, test_y_channel=True),
        )

    def difference(ours: tuple[float, float], own: tuple[float, float]) -> str:
        apart = _apart(ours, own)
        return f"{apart} (its luma isn't rounded; with ours unrounded {_apart(like_basicsr, own)})"

    rivals = {"sreval": sreval} | ({"basicsr": rival} if basicsr else {})
    return Case("`matlab` PSNR+SSIM", rivals, difference, 2 if basicsr else None)


def _apart(ours: tuple[float, float], own: tuple[float, float]) -> str:
    return f"{abs(ours[0] - own[0]):.1e} dB, {abs(ours[1] - own[1]):.1e} SSIM"


def resize_case(name: str, image: UInt8, scale: float, basicsr: Basicsr | None) -> Case:
    ready = image.astype(np.float32) / 255
    unrounded = imresize(image.astype(np.float64), scale, border="symmetric")
    size = (round(image.shape[1] * scale), round(image.shape[0] * scale))

    # basicsr mirrors the border, so that is what ours is asked for here.
    rivals: dict[str, Callable[[], Any]] = {
        "sreval": lambda: imresize(image, scale, border="symmetric")
    }
    if basicsr is not None:
        theirs = basicsr.imresize
        rivals["basicsr"] = lambda: theirs(ready, scale)
        rivals["basicsr, uint8 to uint8"] = lambda: _to_uint8(
            theirs(image.astype(np.float32) / 255, scale)
        )
    rivals["Pillow (inexact)"] = lambda: np.asarray(
        Image.fromarray(image).resize(size, Image.Resampling.BICUBIC)
    )

    def difference(ours: UInt8, own: npt.NDArray[Any]) -> str:
        levels = own if own.dtype == np.uint8 else _to_uint8(own)
        gap = np.abs(ours.astype(int) - levels)
        text = f"at most {gap.max()} grey levels, in {100 * (gap > 0).mean():.1f} % of values"
        if own.dtype == np.uint8:
            return text
        apart = np.abs(np.asarray(unrounded, dtype=np.float64) - 255.0 * own).max()
        return f"{text} (it doesn't round between passes; unrounded {apart:.1e})"

    return Case(name, rivals, difference, 5 if basicsr else None)


def _to_uint8(image: npt.NDArray[Any]) -> UInt8:
    return np.clip(np.round(image * 255), 0, 255).astype(np.uint8)


def ledig_case(hr: UInt8, sr: UInt8) -> Case:
    protocol = PROTOCOLS["ledig2017"]

    def luma() -> tuple[UInt8, UInt8]:
        return protocol.planes(hr, SCALE), protocol.planes(sr, SCALE)

    def sreval() -> tuple[float, float]:
        a, b = luma()
        return protocol.psnr(a, b), protocol.ssim(a, b)

    a, b = luma()
    rivals: dict[str, Callable[[], Any]] = {
        "sreval": sreval,
        "luma of both": luma,
        "PSNR": lambda: protocol.psnr(a, b),
        "SSIM": lambda: protocol.ssim(a, b),
    }
    return Case("`ledig2017` PSNR+SSIM", rivals, lambda *_: "")


def file_case(hr: UInt8, sr: UInt8, folder: Path) -> Case:
    files = [folder / "hr.png", folder / "sr.png"]
    for path, image in zip(files, (hr, sr), strict=True):
        write_png(path, image)

    def scored(name: str) -> Callable[[], Any]:
        return lambda: Reference(read_image(files[0]).pixels).score(
            read_image(files[1]).pixels, [PROTOCOLS[name]]
        )

    rivals = {name: scored(name) for name in PROTOCOLS}
    rivals["reading alone"] = lambda: [read_image(path).pixels for path in files]
    return Case("two PNG files to PSNR+SSIM", rivals, lambda *_: "")


def whole_benchmark(names: tuple[str, ...]) -> dict[str, Any]:
    """The command on two cores into a fresh folder, then its stages timed one after the other."""
    datasets = [open_dataset(name, SCALE) for name in names]
    with threads(1):
        stages = stage_times(datasets)
    with tempfile.TemporaryDirectory() as folder, cores(2):
        given = {"method": METHODS, "dataset": names, "protocol": PROTOCOLS}
        command = [sys.executable, "-m", "sreval", "benchmark", "--out", str(Path(folder) / "run")]
        command += [f"--{option}={value}" for option, values in given.items() for value in values]
        command += ["--metric=psnr", "--metric=ssim"]
        progress(f"the whole benchmark of {', '.join(names)}")
        path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
        start = time.perf_counter()
        done = subprocess.run(
            command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}
        )
        wall = time.perf_counter() - start
    if done.returncode:
        raise SystemExit(f"sreval benchmark failed:\n{done.stderr}")
    return {
        "datasets": list(names),
        "images": sum(len(dataset.items) for dataset in datasets),
        "cores": min(2, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2),
        "wall_seconds": wall,
        "stage_seconds": stages,
    }


class Stages:
    """Seconds by stage."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[name] += time.perf_counter() - start


def stage_times(datasets: list[Dataset]) -> dict[str, float]:
    """What the benchmark does on every image, stage by stage, in one thread."""
    stage = Stages()
    with stage("start of Python and imports"):
        command = [sys.executable, "-c", "import sreval.benchmarking.run, sreval.report.scores"]
        subprocess.run(command, check=True, cwd=ROOT)
    with tempfile.TemporaryDirectory() as folder:
        for dataset in datasets:
            progress(f"stages of {dataset.name}")
            for item in dataset.items:
                assert item.hr is not None
                assert item.lr is not None
                with stage("read PNG"):
                    hr, lr = read_image(item.hr).pixels, read_image(item.lr).pixels
                with stage("SHA-256"):
                    sha256_file(item.hr), sha256_file(item.lr)
                images = {}
                for method in METHODS:
                    with stage(method):
                        images[method] = INTERPOLATIONS[method]().upscale(lr, SCALE, item)
                    with stage("encode PNG"):
                        data = encode_png(images[method])
                    path = Path(folder) / f"{method}.png"
                    with stage("write and sync PNG"):
                        write_atomic(path, data)
                    with stage("SHA-256"):
                        sha256_file(path)
                score_stages(stage, hr, images)
    return dict(stage.seconds)


def score_stages(stage: Stages, hr: UInt8, images: Mapping[str, UInt8]) -> None:
    """The scores of one image under every protocol."""
    for name, protocol in PROTOCOLS.items():
        with stage(f"{name}: planes"):
            reference = protocol.planes(hr, SCALE)
        for image in images.values():
            with stage(f"{name}: planes"):
                planes = protocol.planes(image, SCALE)
            with stage(f"{name}: PSNR"):
                protocol.psnr(reference, planes)
            with stage(f"{name}: SSIM"):
                protocol.ssim(reference, planes)


def report(rows: list[dict[str, Any]], whole: dict[str, Any], origin: str) -> list[str]:
    """The results as Markdown."""
    lines = [
        f"Rival: {origin}.",
        "",
        "Times are medians; `times ours` is the median ratio within rounds of A B A B ...; arrays "
        "in memory unless files are named. basicsr's `imresize` is given float32 images made "
        "beforehand and stops before rounding; the line below it starts and ends with uint8 as "
        "ours does.",
        "",
        "| size | threads | what | who | ms | ms/MP | times ours | goal | differs from ours by |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        ratio = f"{row['ratio']:.2f}" if row["difference"] else ""
        goal = "" if row["goal"] is None else f"{row['goal']} {'ok' if row['met'] else 'NOT MET'}"
        lines.append(
            f"| {row['height']}x{row['width']} | {row['threads']} | {row['case']} | {row['rival']} "
            f"| {row['ms']:.2f} | {row['ms_per_megapixel']:.1f} | {ratio} | {goal} "
            f"| {row['difference']} |"
        )
    stages = sorted(whole["stage_seconds"].items(), key=lambda entry: -entry[1])
    total = sum(seconds for _, seconds in stages)
    lines += [
        "",
        f"The whole benchmark, from files to table: {', '.join(METHODS)} on "
        f"{', '.join(whole['datasets'])} ({whole['images']} images), PSNR and SSIM under "
        f"{', '.join(PROTOCOLS)}, {whole['cores']} cores, fresh folder, dither table on disk: "
        f"**{whole['wall_seconds']:.1f} s**. The same work stage by stage in one thread takes "
        f"{total:.1f} s:",
        "",
        "| stage | seconds | share |",
        "| --- | --- | --- |",
        *(
            f"| {name} | {seconds:.2f} | {100 * seconds / total:.0f} % |"
            for name, seconds in stages
        ),
    ]
    return lines


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    sys.exit(main())
