"""What is said before a run is what the run then does."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from sreval.benchmarking import estimate as module
from sreval.benchmarking import executors
from sreval.benchmarking.estimate import Estimate, estimate
from sreval.benchmarking.executors import workers_here
from sreval.benchmarking.plan import BenchmarkPlan, Resolved
from sreval.benchmarking.results import ResultsFolder
from sreval.benchmarking.run import run
from sreval.benchmarking.trial import SIDES, Tried
from sreval.images.io import write_png

UInt8 = npt.NDArray[np.uint8]


@pytest.fixture
def photos(tmp_path: Path, photograph: UInt8) -> Path:
    """Three photographs, one of them half as large."""
    folder = tmp_path / "photos"
    for name, image in (("a", photograph), ("b", photograph[::-1]), ("c", photograph[:48])):
        write_png(folder / f"{name}.png", np.ascontiguousarray(image))
    return folder


def plan(photos: Path, *methods: str, metrics: Sequence[str] = ("psnr",)) -> Resolved:
    return Resolved.of(
        BenchmarkPlan(
            methods=list(methods),
            datasets=[str(photos)],
            protocols=["matlab"],
            metrics=list(metrics),
            workers=1,
            device="cpu",
        )
    )


def test_it_tells_images_and_what_is_there_already(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "results"
    both = plan(photos, "nearest", "bicubic")
    before = estimate(both, out)
    assert not out.exists()
    assert (before.images, before.datasets, before.methods) == (3, 1, 2)
    assert (before.made, before.taken_over) == (6, 0)

    run(plan(photos, "nearest"), out)
    files = sorted(out.rglob("*"))
    after = estimate(both, out)
    outcome = run(both, out)
    assert files == sorted(path for path in out.rglob("*") if path in files)
    assert (after.made, after.taken_over) == (outcome.computed, outcome.reused) == (3, 3)
    assert estimate(both, out).size == 0
    assert "0 SR images to make, 6 there already (unless the images have changed)." in str(
        estimate(both, out)
    )


@pytest.mark.parametrize(
    ("changed", "made"),
    [
        ({"methods": ["nearest=bicubic"]}, 3),
        ({"metrics": ["psnr", "ssim"]}, 0),
        ({"protocols": ["rgb"]}, 0),
    ],
)
def test_what_does_not_hold_is_not_counted_as_there(
    photos: Path, tmp_path: Path, changed: dict[str, Any], made: int
) -> None:
    out = tmp_path / "results"
    first = plan(photos, "nearest")
    run(first, out)
    other = Resolved.of(first.plan.model_copy(update=changed))
    said = estimate(other, out)
    outcome = run(other, out)
    assert (said.made, said.taken_over) == (outcome.computed, outcome.reused) == (made, 3 - made)
    assert said.rescored == outcome.rescored == 3 - made
    anew = "3 there already (unless the images have changed), 3 of them to score, "
    assert (anew in str(said)) == (made == 0)
    assert said.size > 0


def test_the_images_take_the_place_that_was_told(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LEAST", 0)
    out = tmp_path / "results"
    asked = plan(photos, "nearest", "bicubic", "hr")
    told = estimate(asked, out)
    run(asked, out)
    made = sum(path.stat().st_size for path in [*out.rglob("*.png"), out / "results.csv"])
    assert told.size == pytest.approx(made, rel=0.2)


def test_the_time_is_that_of_the_images_and_their_pixels(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def trial(names: frozenset[str], resolved: Resolved, place: tuple[int, int]) -> list[Tried]:
        return [Tried(0.5 + 0.001 * side**2, side**2, {}) for side in SIDES]

    monkeypatch.setattr(module, "_LEAST", 0)
    monkeypatch.setattr(module, "trial", trial)
    told = estimate(plan(photos, "nearest", "bicubic"), tmp_path / "results")
    # half a second an image, a millisecond a pixel
    pixels = 120 * (96 + 96 + 48)
    assert told.seconds == pytest.approx(3 * 0.5 + 0.001 * pixels)


def test_it_is_tried_out_by_what_computes_the_run(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The images that two processes make of it take the time and the place of one's."""
    monkeypatch.setattr(module, "_LEAST", 0)
    monkeypatch.setattr(executors, "LEAST", 1)
    one = plan(photos, "nearest", "bicubic")
    two = Resolved.of(one.plan.model_copy(update={"workers": 2}))
    with workers_here(two, ResultsFolder(tmp_path), 3, 6, print) as workers:
        numbers = workers.each(_process, [0, 1, 2])
    assert os.getpid() not in numbers
    said, alone = (estimate(asked, tmp_path / "results") for asked in (two, one))
    assert said.seconds is not None
    assert said.seconds > 0
    assert said.size == pytest.approx(alone.size, rel=0.05)
    assert not (tmp_path / "results").exists()


def _process(resolved: Resolved, one: int) -> int:
    return os.getpid()


def test_a_function_is_not_called_before_the_run(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LEAST", 0)
    monkeypatch.chdir(tmp_path)
    Path("never_called.py").write_text("def up(lr): raise SystemExit('called')\n")
    told = estimate(plan(photos, "bicubic", "python:never_called:up"), tmp_path / "results")
    assert told.seconds is None
    assert "the time will be known after the first images" in str(told)


def test_an_image_that_cannot_be_read_is_left_to_the_run(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LEAST", 0)
    (photos / "a.png").write_bytes(b"not an image")
    assert estimate(plan(photos, "bicubic"), tmp_path / "results").seconds is None


def test_a_disk_too_small_is_told_before(
    sreval: Callable[..., Any], photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    out = tmp_path / "results"
    ran = sreval("benchmark", "--method", "nearest", "--dataset", photos, "--out", out)
    assert ran.code == 0
    first, second, *_ = ran.err.splitlines()
    assert first.startswith("3 images of 1 data set, 1 method: 3 SR images to make, ")
    assert second.startswith(f"The disk of {out} has 1 kB free; this run needs about ")


def test_it_reads_as_a_sentence() -> None:
    told = Estimate(119, 3, 5, 590, 5, 0, 720.0, 340_000_000, 2, "cpu", Path("results"), 10**12)
    assert str(told) == (
        "119 images of 3 data sets, 5 methods: 590 SR images to make, 5 there already "
        "(unless the images have changed), about 12 min on 2 cores, about 340 MB in results."
    )
    assert told.warning == ""
