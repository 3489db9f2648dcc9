"""How work grows: with images, megapixels, methods, votes and raters.

Each series is measured at several sizes, in rounds, by processor time. The slope of the logarithms
is the exponent of growth; it counts as linear where its 95 % interval reaches down to 1. Writes
growth.json, growth.md and the chart growth.svg; exits with 1 where something grows faster. Needs
BSD100 (SREVAL_DATA).

Example: python -m benchmarks.growth --quick --out build/bench
"""

from __future__ import annotations

import argparse
import contextlib
import io
import itertools
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator
from PIL import Image
from scipy import stats
from skimage.data import astronaut
from sqlalchemy import text

import sreval
from benchmarks.live import voted
from benchmarks.opinions import simulated_study
from benchmarks.site import noise_study
from benchmarks.timing import ROOT, cores, progress, provenance, write_results
from sreval.errors import SrevalError
from sreval.images.datasets import open_dataset
from sreval.images.io import write_png
from sreval.report.style import (
    COLOURS,
    PAGE_MM,
    describe,
    house_style,
    new_figure,
    save_figure,
    write_caption,
)
from sreval.store import enrolment
from sreval.store.database import Store, open_store
from sreval.store.invitations import Links
from sreval.store.live import Live
from sreval.store.sessions import RaterSession
from sreval.store.snapshot import export_files
from sreval.store.studies import Studies
from sreval.study.design import load_design
from sreval.study.manifest import Manifest, load_manifest

Floats = npt.NDArray[np.float64]

IMAGES = (20, 40, 80, 119, 238)
MEGAPIXELS = (0.15, 0.6, 1.5, 4.0, 12.0)
METHODS = (1, 2, 4, 8)
VOTES = (12_500, 25_000, 50_000, 100_000, 200_000)
RATERS = (10, 100, 300, 1_000, 3_000)
ROUNDS = 2
LEVEL = 0.95
_IMAGES_OF_METHODS = 20
_IMAGES_RATED = 5  # in six versions each
_RATED_NOW = 20
_COLUMNS = 3


@dataclass
class Series:
    """One kind of work: seconds of a processor at each size, one value a round."""

    name: str
    size: str
    what: str
    points: list[tuple[float, float]] = field(default_factory=list)

    def add(self, size: float, seconds: float) -> None:
        """Keep a measurement."""
        self.points.append((size, seconds))
        progress(f"{self.name}, {size:g} {self.size}: {seconds:.4g} s")


@dataclass(frozen=True)
class Line:
    """A straight line with the two-sided 95 % intervals of its parts, by Student's t."""

    slope: float
    slope_low: float
    slope_high: float
    start: float
    start_low: float
    start_high: float


def line_through(x: Floats, y: Floats, weights: Floats | None = None) -> Line:
    """Least squares of y on x, each point weighing as said."""
    scale = np.ones_like(x) if weights is None else np.sqrt(weights)
    design = np.column_stack([np.ones_like(x), x]) * scale[:, None]
    found, *_ = np.linalg.lstsq(design, y * scale)
    free = len(x) - 2
    spread = ((y * scale - design @ found) ** 2).sum() / free
    errors = np.sqrt(spread * np.diag(np.linalg.inv(design.T @ design)))
    half = stats.t.ppf((1 + LEVEL) / 2, free) * errors
    start, slope = found.tolist()
    half = half.tolist()
    return Line(
        slope, slope - half[1], slope + half[1], start, start - half[0], start + half[0]
    )  # fmt: skip


def power_law(points: Sequence[tuple[float, float]]) -> Line:
    """The line through the logarithms: its slope is the exponent of growth."""
    x, y = np.log(np.array(points)).T
    return line_through(x, y)


def straight(points: Sequence[tuple[float, float]]) -> Line:
    """Time as a start and so much a unit; errors are taken as parts of the time itself."""
    x, y = np.array(points).T
    return line_through(x, y, 1 / y**2)


def band(points: Sequence[tuple[float, float]], at: Floats) -> tuple[Floats, Floats, Floats]:
    """The power law at ``at``, and the 95 % band of its mean."""
    x, y = np.log(np.array(points)).T
    line, free = power_law(points), len(x) - 2
    spread = np.sqrt(((y - line.start - line.slope * x) ** 2).sum() / free)
    far = (np.log(at) - x.mean()) ** 2 / ((x - x.mean()) ** 2).sum()
    half = stats.t.ppf((1 + LEVEL) / 2, free) * spread * np.sqrt(1 / len(x) + far)
    middle = line.start + line.slope * np.log(at)
    return np.exp(middle), np.exp(middle - half), np.exp(middle + half)


def main() -> int:
    """Measure every series, write the results and the chart."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="the three smallest sizes of each")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    options = parser.parse_args()
    origin = provenance()
    most = 3 if options.quick else None
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        series = [
            *of_benchmarks(folder, most),
            of_votes(folder, VOTES[:most]),
            *of_raters(folder, RATERS[:most]),
        ]
    rows = [judged(one) for one in series]
    content = {**origin, "rows": rows}
    write_results(options.out, "growth", content, "How work grows", lines(content))
    save_figure(growth_figure([content]), options.out / "growth.svg")
    print(options.out / "growth.md")
    return 0 if all(row["linear"] for row in rows) else 1


def judged(series: Series) -> dict[str, Any]:
    """A series with its fits, and whether it is linear, or less, as far as one can tell."""
    law, line = power_law(series.points), straight(series.points)
    return {
        **asdict(series), "exponent": asdict(law), "line": asdict(line),
        "linear": bool(law.slope_low <= 1),
    }  # fmt: skip


@contextlib.contextmanager
def spent() -> Iterator[Callable[[], float]]:
    """Processor time of this process since the block began: all work is done in it."""
    before = time.process_time()
    yield lambda: time.process_time() - before


def of_benchmarks(folder: Path, most: int | None) -> list[Series]:
    """A benchmark by images, by their size and by methods."""
    both = {"nearest": "nearest", "bicubic": "bicubic"}
    by_images = Series("benchmark, images", "images", "nearest and bicubic on images of BSD100")
    by_size = Series("benchmark, megapixels", "MP", "bicubic on one image")
    by_methods = Series(
        "benchmark, methods", "methods", f"{_IMAGES_OF_METHODS} images of BSD100, bicubic each"
    )
    files = _originals()
    sets = {count: folder / f"hr{count}" for count in {*IMAGES[:most], _IMAGES_OF_METHODS}}
    for count, place in sets.items():
        place.mkdir()
        for number, path in zip(range(count), itertools.cycle(files), strict=False):
            shutil.copy(path, place / f"img_{number:03}.png")
    for megapixels in MEGAPIXELS[:most]:
        place = folder / f"mp{megapixels:g}"
        place.mkdir()
        height = 8 * round((1e6 * megapixels / 1.5) ** 0.5 / 8)
        size = (height * 3 // 2 // 8 * 8, height)
        photograph = Image.fromarray(astronaut()).resize(size, Image.Resampling.LANCZOS)
        write_png(place / "img_001.png", np.asarray(photograph))
    run_benchmark(folder, sets[_IMAGES_OF_METHODS], both)  # what is loaded at the first one
    for _ in range(ROUNDS):
        for count in IMAGES[:most]:
            by_images.add(count, run_benchmark(folder, sets[count], both))
        for megapixels in MEGAPIXELS[:most]:
            place = folder / f"mp{megapixels:g}"
            by_size.add(megapixels, run_benchmark(folder, place, {"bicubic": "bicubic"}))
        for count in METHODS[:most]:
            asked = {f"method{number}": "bicubic" for number in range(count)}
            by_methods.add(count, run_benchmark(folder, sets[_IMAGES_OF_METHODS], asked))
    return [by_images, by_size, by_methods]


def _originals() -> list[Path]:
    """BSD100's HR images, all of 0.15 megapixels."""
    try:
        return [item.hr for item in open_dataset("BSD100", 4).items if item.hr]
    except SrevalError as error:
        raise SystemExit(f"BSD100 can't be had: {error}") from None


def run_benchmark(folder: Path, images: Path, methods: dict[str, str]) -> float:
    """Processor time of a benchmark of a folder into a fresh one, PSNR and SSIM on Y."""
    # on one core: threads that wait for each other would count as work
    with tempfile.TemporaryDirectory(dir=folder) as out, cores(1), spent() as seconds:
        with contextlib.redirect_stderr(io.StringIO()):
            sreval.benchmark(
                methods, str(images), protocols="matlab", out=Path(out) / "results", workers=1
            )
        return seconds()


def of_votes(folder: Path, sizes: Sequence[int]) -> Series:
    """Reading and analysing a file of votes, more of them by more raters."""
    series = Series(
        "opinions, votes", "votes", "a CSV read; MOS, tests, screening, recovery, reliability"
    )
    files = {}
    for votes in sizes:
        frame = simulated_study(votes)
        files[len(frame)] = folder / f"votes{votes}.csv"
        frame.to_csv(files[len(frame)], index=False)
    _analyse(next(iter(files.values())))  # what is loaded first
    for _, (votes, path) in itertools.product(range(ROUNDS), files.items()):
        with spent() as seconds:
            _analyse(path)
            series.add(votes, seconds())
    return series


def _analyse(path: Path) -> None:
    sreval.read_votes(path).analyse(["mos", "compare", "screening", "recovery", "reliability"])


def of_raters(folder: Path, sizes: Sequence[int]) -> list[Series]:
    """What the site's store does, by the raters who are there: SQLite, in this process."""
    shown = 6 * _IMAGES_RATED
    enrolled = Series("enrolment, raters", "raters", f"a link opened, a plan of {shown} made")
    vote = Series("vote, raters", "raters", "a vote stored, the next item told")
    live = Series("live page, raters", "raters", "the query of the operator's live page")
    export = Series("export, raters", "raters", f"all tables as CSV, {shown} votes a rater")
    study = noise_study(folder / "noise", _IMAGES_RATED, 2 * max(sizes))
    design, manifest = load_design(study), load_manifest(study)
    with open_store(f"sqlite:///{folder}/votes.sqlite", create=True) as store:
        Studies(store).register(design, manifest)
        there = 0
        for size in sizes:
            while there < size:
                voted(store, _enrol(store, manifest), left=0)
                there += 1
            with store.begin() as tx:
                tx.execute(text("ANALYZE"))
            for _ in range(ROUNDS):
                with spent() as seconds:
                    session = _enrol(store, manifest)
                    enrolled.add(size, seconds())
                there += 1
                voted(store, session, left=shown)
                vote.add(size, _votes(store, session))
                with spent() as seconds:
                    for _ in range(_RATED_NOW):
                        Live.of(store, design.name)
                    live.add(size, seconds() / _RATED_NOW)
                with spent() as seconds:
                    export_files(store, design.name, manifest)
                    export.add(size, seconds())
    return [enrolled, vote, live, export]


def _enrol(store: Store, manifest: Manifest) -> str:
    """A new rater by a personal link; the session."""
    _, token = Links(store, "noise").create("personal", simulated=True)
    return enrolment.enrol(store, token, manifest).session_id


def _votes(store: Store, session: str) -> float:
    """Processor time of a vote, the mean of some."""
    rater = RaterSession(store, session)
    with spent() as seconds:
        for position in range(1, 1 + _RATED_NOW):
            rater.vote(
                position, 3, key=f"key-{position:06}", response_ms=2500.0,
                shown_at=store.clock(), device="",
            )  # fmt: skip
        return seconds() / _RATED_NOW


def lines(content: dict[str, Any]) -> list[str]:
    """The Markdown page below its title."""
    text = [
        f"Processor time at each size, {ROUNDS} rounds, in processes that are ready. The exponent "
        "is the slope of the logarithms; the time a unit is that of a straight line, in which an "
        "error counts as a part of the time. Intervals: 95 %, Student's t over sizes and rounds. "
        "Linear: the exponent's interval reaches down to 1, or lies below.",
        "",
        "![How work grows](growth.svg)",
        "",
        "| what | sizes | exponent | linear | seconds at the least and the largest | "
        "ms a unit | ms without any |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in content["rows"]:
        sizes = list(dict.fromkeys(x for x, _ in row["points"]))
        least, largest = (
            float(np.median([y for x, y in row["points"] if x == size]))
            for size in (min(sizes), max(sizes))
        )
        law, line = row["exponent"], row["line"]
        unit = _interval(*(1e3 * line[key] for key in ("slope", "slope_low", "slope_high")))
        start = _interval(*(1e3 * line[key] for key in ("start", "start_low", "start_high")))
        text.append(
            f"| {row['name']}: {row['what']} | {', '.join(f'{x:,g}' for x in sizes)} | "
            f"{_interval(*(law[key] for key in ('slope', 'slope_low', 'slope_high')))} | "
            f"{'ok' if row['linear'] else '**more**'} | {least:.3g}, {largest:.3g} | "
            f"{unit} | {start} |"
        )
    return text


def _interval(middle: float, low: float, high: float) -> str:
    return f"{middle:.3g} ({low:.3g} to {high:.3g})"


@house_style()
def growth_figure(results: Sequence[Any]) -> Figure:
    """A panel for each series: points, the power law and its band, both axes logarithmic."""
    (result,) = results
    rows = result["rows"]
    figure = new_figure(PAGE_MM, 150)
    grid = figure.subplots(-(-len(rows) // _COLUMNS), _COLUMNS, squeeze=False)
    for index, axes in enumerate(grid.flat):
        if index < len(rows):
            _panel(axes, rows[index], index % _COLUMNS == 0)
        else:
            axes.set_axis_off()
    write_caption(
        figure,
        "Processor time at each size: points are rounds, the line is the power law through them, "
        "the band its 95 % interval by Student's t. In each title the exponent with its interval; "
        f"1 is linear, k a thousand. Measured {result['date'][:10]}, commit {result['commit']}.",
    )
    return describe(figure, "How work grows with images, methods, votes and raters")


def _panel(axes: Axes, row: dict[str, Any], first: bool) -> None:
    points = [(float(x), float(y)) for x, y in row["points"]]
    sizes = sorted({x for x, _ in points})
    at = np.geomspace(sizes[0], sizes[-1], 60)
    middle, low, high = band(points, at)
    axes.fill_between(at, low, high, color=COLOURS[2], alpha=0.35, linewidth=0)
    axes.plot(at, middle, color=COLOURS[4], linewidth=0.8)
    axes.plot(*zip(*points, strict=True), "o", color=COLOURS[0], markersize=2.5)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(sizes, [_short(x) for x in sizes])
    axes.set_xticks([], minor=True)
    times = [y for _, y in points]
    centre, reach = float(np.sqrt(min(times) * max(times))), max(times) / min(times)
    room = max(reach**0.5 * 1.3, 4.0)  # flat growth looks flat
    axes.set_ylim(centre / room, centre * room)
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 3), numticks=9))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:.10g}"))
    axes.set_yticks([], minor=True)
    law = row["exponent"]
    exponent = f"{law['slope']:.2f} ({law['slope_low']:.2f} to {law['slope_high']:.2f})"
    axes.set_title(f"{row['name'].partition(',')[0]}: {exponent}".replace("-", "−"))
    axes.set_xlabel(row["size"])
    if first:
        axes.set_ylabel("seconds of a processor")


def _short(size: float) -> str:
    """A size as its axis has room for it."""
    return f"{size / 1000:.0f}k" if size >= 1000 else f"{size:g}"


if __name__ == "__main__":
    sys.exit(main())
