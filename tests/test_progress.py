"""Progress on a pipe: soon, then seldom, with what is left, and right about it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tqdm import tqdm

from sreval.errors import duration
from sreval.progress import ProgressLog, progress_line

Run = Callable[..., Any]


class Clock:
    """Time that stands still until it is put forward."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def log(total: int, unit: str = "image") -> tuple[Clock, ProgressLog]:
    clock = Clock()
    return clock, ProgressLog(total, "benchmark", unit, clock)


def test_a_short_run_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    clock, line = log(20)
    for _ in range(20):
        clock.now += 0.24
        line.update()
    assert capfd.readouterr() == ("", "")


def test_a_long_run_says_a_line_soon_and_then_one_in_thirty_seconds(
    capfd: pytest.CaptureFixture[str],
) -> None:
    clock, line = log(600)
    for _ in range(600):
        clock.now += 0.5
        line.update()
    lines = capfd.readouterr().err.splitlines()
    # 5 s after the first image, and then every 30 of the 300 s in all
    done = [int(line.split()[1]) for line in lines]
    assert done == [11, *range(71, 600, 60)]
    assert lines[0] == "benchmark: 11 of 600 images, about 5 min left"
    assert lines[-1] == "benchmark: 551 of 600 images, about 24 s left"


def test_what_is_done_before_the_first_image_does_not_lengthen_the_rest(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Worker processes load for 10 s; then each image, under four methods, takes a second."""
    clock, line = log(200)
    clock.now += 10
    for _ in range(20):
        line.update(4)
        clock.now += 1
    told = capfd.readouterr().err.splitlines()
    assert told == ["benchmark: 24 of 200 images, about 44 s left"]


def test_what_was_taken_over_at_once_does_not_shorten_the_rest(
    capfd: pytest.CaptureFixture[str],
) -> None:
    for at_once in (0.5, 40):
        clock, line = log(600)
        clock.now += at_once
        line.update(500)
        clock.now += 40
        line.update(20)
        # two seconds an image, 80 images to go
        told = capfd.readouterr().err.splitlines()[-1]
        assert told.endswith("520 of 600 images, about 3 min left")


def test_bytes_are_told_in_megabytes(capfd: pytest.CaptureFixture[str]) -> None:
    clock, line = log(40_000_000, "B")
    clock.now += 30
    line.update(10_000_000)
    assert capfd.readouterr().err == "benchmark: 10 of 40 MB, about 2 min left\n"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.2, "1 s"), (59, "59 s"), (61, "1 min"), (720, "12 min"), (9000, "2 h 30 min")],
)
def test_a_duration_is_told_as_exactly_as_it_can_be_known(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_on_a_terminal_one_line_renews(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(progress_line(3, "x", "image"), ProgressLog)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with progress_line(3, "x", "image") as line:
        assert isinstance(line, tqdm)


def test_upscaling_one_large_picture_tells_of_its_tiles(
    sreval: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ProgressLog, "PAUSE", 0.0)
    Image.new("RGB", (40, 20), "teal").save(tmp_path / "sea.png")
    command = ("upscale", tmp_path / "sea.png", "--method", "srcnn", "--out", tmp_path / "out")
    ran = sreval(*command, "--tile", "16", "--device", "cpu")
    assert ran.code == 0, ran.err
    told = [line.rpartition(", ")[0] for line in ran.err.splitlines()]
    # 3 x 2 tiles, the last of which ends the picture
    assert told == [f"sea.png: {done} of 6 tiles" for done in range(1, 6)]
