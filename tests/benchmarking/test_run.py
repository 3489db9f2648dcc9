"""A run computes what changed and nothing else, survives being killed, and ends the same."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from sreval.benchmarking.plan import BenchmarkPlan, Resolved
from sreval.benchmarking.results import JOURNAL, MANIFEST, RESULTS, ResultsFolder, Store
from sreval.benchmarking.run import Outcome, run
from sreval.errors import DataError
from sreval.images.datasets import Item
from sreval.images.io import write_png
from sreval.methods.base import Bicubic, Nearest
from sreval.metrics.protocol import Protocol
from sreval.metrics.scorer import Reference

UInt8 = npt.NDArray[np.uint8]

IMAGES = ("ant", "bee", "cow")
LONG = 16


@pytest.fixture
def photos(tmp_path: Path, photograph: UInt8) -> Path:
    """A folder of three images that differ."""
    folder = tmp_path / "photos"
    for shift, name in enumerate(IMAGES):
        write_png(folder / f"{name}.png", np.roll(photograph, 17 * shift, axis=1))
    return folder


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "results"


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The SR images that nearest and bicubic have been asked to make, as they are asked."""
    calls: list[str] = []
    for method in (Nearest, Bicubic):
        original = method.upscale

        def counted(
            self: Nearest | Bicubic,
            lr: UInt8,
            scale: int,
            item: Item,
            original: object = original,
        ) -> UInt8:
            calls.append(f"{self.name} {item.image}")
            assert callable(original)
            result: UInt8 = original(self, lr, scale, item)
            return result

        monkeypatch.setattr(method, "upscale", counted)
    return calls


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every (protocol, metric) that is computed, as it is computed."""
    calls: list[str] = []
    original = Reference.score

    def counted(
        self: Reference, sr: UInt8, protocols: list[Protocol], metrics: list[str]
    ) -> object:
        keys = [metric if isinstance(metric, str) else metric.key for metric in metrics]
        calls.extend(f"{protocol.name} {key}" for protocol in protocols for key in keys)
        return original(self, sr, protocols, metrics)

    monkeypatch.setattr(Reference, "score", counted)
    return calls


def planned(
    dataset: Path | str,
    methods: tuple[str, ...] = ("nearest",),
    protocols: tuple[str, ...] = ("matlab",),
    metrics: tuple[str, ...] = ("psnr", "ssim"),
    workers: int = 1,
) -> Resolved:
    plan = BenchmarkPlan(
        methods=list(methods),
        datasets=[str(dataset)],
        protocols=list(protocols),
        metrics=list(metrics),
        workers=workers,
        device="cpu",
    )
    return Resolved.of(plan)


def go(dataset: Path | str, out: Path, **asked: Any) -> Outcome:
    return run(planned(dataset, **asked), out)


def results(out: Path) -> bytes:
    return (out / RESULTS).read_bytes()


# Nothing twice


def test_a_second_run_computes_nothing(
    photos: Path, out: Path, made: list[str], scored: list[str]
) -> None:
    first = go(photos, out)
    assert (first.computed, first.reused) == (3, 0)
    before = results(out)
    made.clear()
    scored.clear()
    second = go(photos, out)
    assert (second.computed, second.reused) == (0, 3)
    assert made == []
    assert scored == []
    assert results(out) == before
    assert not (out / JOURNAL).exists()
    assert [one["computed"] for one in ResultsFolder(out).manifest["runs"]] == [3, 0]


def test_a_new_metric_protocol_or_method_is_all_that_is_computed(
    photos: Path, out: Path, made: list[str], scored: list[str]
) -> None:
    go(photos, out, metrics=("psnr",))
    made.clear()
    scored.clear()

    go(photos, out, metrics=("psnr", "ssim"))
    assert made == []
    assert scored == ["matlab ssim"] * 3
    scored.clear()

    go(photos, out, protocols=("matlab", "rgb"))
    assert made == []
    assert sorted(scored) == ["rgb psnr"] * 3 + ["rgb ssim"] * 3
    scored.clear()

    go(photos, out, methods=("nearest", "bicubic"))
    assert sorted(made) == [f"bicubic {name}" for name in IMAGES]
    assert sorted(scored) == ["matlab psnr"] * 3 + ["matlab ssim"] * 3
    assert len(ResultsFolder(out).frame()) == 3 * (4 + 2)


def test_a_smaller_plan_keeps_what_a_larger_one_computed(photos: Path, out: Path) -> None:
    go(photos, out, methods=("nearest", "bicubic"), protocols=("matlab", "rgb"))
    before = results(out)
    outcome = go(photos, out)
    assert results(out) == before
    assert len(planned(photos).asked(outcome.frame)) == 6
    assert len(outcome.frame) == 24


def test_a_changed_hr_image_is_the_only_one_done_again(
    photos: Path, out: Path, made: list[str], photograph: UInt8
) -> None:
    go(photos, out)
    before = ResultsFolder(out).frame()
    made.clear()
    write_png(photos / "bee.png", 255 - photograph)
    outcome = go(photos, out)
    assert made == ["nearest bee"]
    assert (outcome.computed, outcome.reused) == (1, 2)
    after = ResultsFolder(out).frame()
    bee = before["image"] == "bee"
    pd.testing.assert_frame_equal(after[~bee], before[~bee])
    for column in ("hr_sha256", "lr_sha256", "sr_sha256", "value"):
        assert (after[bee][column] != before[bee][column]).all()


def test_a_changed_lr_image_is_the_only_one_done_again(
    photos: Path, out: Path, made: list[str], tmp_path: Path, photograph: UInt8
) -> None:
    low = tmp_path / "low"
    for name in IMAGES:
        write_png(low / f"{name}.png", np.ascontiguousarray(photograph[::4, ::4]))
    pair = f"hr={photos},lr={low}"
    go(pair, out)
    made.clear()
    write_png(low / "cow.png", np.ascontiguousarray(photograph[1::4, 1::4]))
    go(pair, out)
    assert made == ["nearest cow"]


@pytest.mark.parametrize("damage", ["tampered", "gone"])
def test_an_sr_image_that_is_not_what_was_scored_is_made_again(
    photos: Path, out: Path, made: list[str], photograph: UInt8, damage: str
) -> None:
    go(photos, out)
    before = results(out)
    made.clear()
    path = out / "images" / "photos_x4" / "nearest" / "ant.png"
    whole = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        write_png(path, photograph)
    go(photos, out)
    assert made == ["nearest ant"]
    assert path.read_bytes() == whole
    assert results(out) == before


def test_an_image_that_left_its_folder_leaves_the_results_with_all_methods(
    photos: Path, out: Path, tmp_path: Path
) -> None:
    go(photos, out, methods=("nearest", "bicubic"))
    (photos / "cow.png").unlink()
    outcome = go(photos, out)
    assert (outcome.computed, outcome.reused) == (0, 2)
    go(photos, tmp_path / "fresh", methods=("nearest", "bicubic"))
    assert results(out) == results(tmp_path / "fresh")


# Killed and resumed


def start(photos: Path, out: Path, *more: str) -> subprocess.Popen[str]:
    command = ["--method", "nearest", "--method", "bicubic", "--dataset", str(photos)]
    command += ["--protocol", "matlab", "--protocol", "rgb", "--workers", "2", "--out", str(out)]
    return subprocess.Popen(
        [sys.executable, "-m", "sreval", "benchmark", *command, *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        # A shell's background job starts with Ctrl-C ignored, and so would this run.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def wait_for_lines(running: subprocess.Popen[str], journal: Path, lines: int) -> None:
    """Wait until that many SR images stand in the journal, and the run still goes on."""
    end = time.monotonic() + 60
    while not (journal.is_file() and journal.read_bytes().count(b"\n") >= lines):
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < end
        time.sleep(0.002)


@pytest.fixture
def many(tmp_path: Path, photograph: UInt8) -> Path:
    """So many images that a run can be stopped in the middle."""
    folder = tmp_path / "many"
    large = np.tile(photograph, (2, 2, 1))
    for index in range(LONG):
        write_png(folder / f"{index:02}.png", np.roll(large, 3 * index, axis=0))
    return folder


def test_a_killed_run_resumes_and_ends_with_the_same_results(
    many: Path, out: Path, tmp_path: Path
) -> None:
    running = start(many, out)
    wait_for_lines(running, out / JOURNAL, 4)
    running.kill()
    running.communicate()
    assert running.returncode == -signal.SIGKILL
    assert not (out / RESULTS).exists()
    kept = len((out / JOURNAL).read_text().splitlines())

    methods, protocols = ("nearest", "bicubic"), ("matlab", "rgb")
    resumed = go(many, out, methods=methods, protocols=protocols, workers=2)
    assert resumed.reused >= kept - 1  # the last line may be torn
    assert resumed.computed + resumed.reused == 2 * LONG
    go(many, tmp_path / "whole", methods=methods, protocols=protocols, workers=2)
    assert results(out) == results(tmp_path / "whole")


def test_ctrl_c_leaves_a_folder_that_goes_on(many: Path, out: Path) -> None:
    running = start(many, out)
    wait_for_lines(running, out / JOURNAL, 2)
    running.send_signal(signal.SIGINT)
    printed, said = running.communicate(timeout=60)
    assert running.returncode == 130
    assert printed == ""
    _, last = said.splitlines()  # the first says what the run comes to
    assert last.startswith(f"Interrupted. What is finished is kept in {out}; `sreval benchmark ")
    assert last.endswith("goes on from there.")
    assert not list(out.rglob("*.part"))
    kept = len((out / JOURNAL).read_text().splitlines())
    resumed = go(many, out, methods=("nearest", "bicubic"), protocols=("matlab", "rgb"), workers=2)
    assert resumed.reused == kept


def interrupted_journal(photos: Path, out: Path, whole: Path) -> list[str]:
    """The lines of a run over all images that was stopped just before its end."""
    go(photos, whole)
    frame = ResultsFolder(whole).frame()
    out.mkdir()
    lines = [
        json.dumps(frame[frame["image"] == image].to_dict("records")) + "\n" for image in IMAGES
    ]
    for name in ("images", "inputs"):
        (whole / name).rename(out / name)
    return lines


@pytest.mark.parametrize("torn", [1, 40, -2])
def test_a_torn_last_line_costs_one_image_and_no_more(
    photos: Path, out: Path, tmp_path: Path, torn: int
) -> None:
    lines = interrupted_journal(photos, out, tmp_path / "whole")
    (out / JOURNAL).write_text(lines[0] + lines[1] + lines[2][:torn])
    outcome = go(photos, out)
    assert (outcome.computed, outcome.reused) == (1, 2)
    assert results(out) == results(tmp_path / "whole")


def test_what_follows_a_torn_line_survives_the_next_kill(
    photos: Path, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = interrupted_journal(photos, out, tmp_path / "whole")
    (out / JOURNAL).write_text(lines[0] + lines[1][:40])

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("sreval.benchmarking.run._manifest", killed)
        with pytest.raises(KeyboardInterrupt):
            go(photos, out)
    outcome = go(photos, out)
    assert (outcome.computed, outcome.reused) == (0, 3)
    assert results(out) == results(tmp_path / "whole")


def test_a_journal_of_another_version_is_computed_anew(
    photos: Path, out: Path, tmp_path: Path
) -> None:
    lines = interrupted_journal(photos, out, tmp_path / "whole")
    (out / JOURNAL).write_text("".join(lines).replace('"scene"', '"motif"'))
    outcome = go(photos, out)
    assert (outcome.computed, outcome.reused) == (3, 0)
    assert results(out) == results(tmp_path / "whole")


# One bad image, many workers, exact values


def test_one_bad_image_does_not_stop_the_others(photos: Path, out: Path) -> None:
    whole = (photos / "bee.png").read_bytes()
    (photos / "bee.png").write_bytes(whole[:900])
    outcome = go(photos, out, methods=("nearest", "bicubic"), workers=2)
    assert [(one.image, one.method) for one in outcome.failures] == [
        ("bee", "nearest"),
        ("bee", "bicubic"),
    ]
    assert set(outcome.frame["image"]) == {"ant", "cow"}

    (photos / "bee.png").write_bytes(whole)
    mended = go(photos, out, methods=("nearest", "bicubic"))
    assert (mended.computed, mended.reused, mended.failures) == (2, 4, [])


def test_any_number_of_workers_gives_the_same_bytes(
    tmp_path: Path, photograph: UInt8, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fewer workers leave more threads to each, so sums of wide images could come out otherwise."""
    monkeypatch.setattr("sreval.benchmarking.run.cores", lambda: 4)
    for index in range(4):
        write_png(tmp_path / "wide" / f"{index}.png", np.tile(photograph, (1, 11 + index, 1)))
    for workers in (1, 2, 4):
        out = tmp_path / str(workers)
        go(
            tmp_path / "wide",
            out,
            methods=("nearest", "bicubic"),
            protocols=("matlab", "rgb"),
            workers=workers,
        )
    assert results(tmp_path / "1") == results(tmp_path / "2") == results(tmp_path / "4")


def test_values_come_back_from_the_file_bit_for_bit(photos: Path, out: Path) -> None:
    outcome = go(photos, out, methods=("nearest", "bicubic", "hr"), protocols=("matlab", "rgb"))
    again = ResultsFolder(out).frame()
    assert again["value"].tolist() == outcome.frame["value"].tolist()
    assert np.isinf(again.loc[again["method"] == "hr", "value"]).any()
    pd.testing.assert_frame_equal(again, outcome.frame, check_dtype=False)


@pytest.mark.parametrize("name", ["001", "NA", "nan", "1e5", "a,b", 'quo"te', "übung", "None"])
def test_an_image_of_an_odd_name_keeps_it(
    tmp_path: Path, out: Path, photograph: UInt8, name: str
) -> None:
    write_png(tmp_path / "odd" / f"{name}.png", photograph)
    go(tmp_path / "odd", out)
    assert set(ResultsFolder(out).frame()["image"]) == {name}
    assert go(tmp_path / "odd", out).reused == 1


def test_the_manifest_says_what_was_run_and_with_what(photos: Path, out: Path) -> None:
    go(photos, out, protocols=("matlab", "rgb"))
    manifest = json.loads((out / MANIFEST).read_text())
    [only] = manifest["runs"]
    assert only["plan"]["methods"] == ["nearest"]
    assert set(only["protocols"]) == {"matlab", "rgb"}
    assert only["datasets"] == {"photos": {"images": 3, "scale": 4, "border": "replicate"}}
    assert only["machine"]["device"] == "cpu"
    assert only["packages"]["numpy"] == np.__version__
    frame = ResultsFolder(out).frame()
    assert set(frame["code"]) == {only["code"]}
    assert set(frame["protocol_sha256"]) == {p["sha256"] for p in only["protocols"].values()}


def test_two_runs_into_one_folder_are_refused(photos: Path, out: Path) -> None:
    go(photos, out)
    first = Store(ResultsFolder(out))
    with pytest.raises(DataError, match="Another run is writing into"):
        go(photos, out)
    assert (out / JOURNAL).is_file()
    first.close()
    assert go(photos, out).reused == 3


def test_the_order_of_the_rows_does_not_depend_on_history(
    photos: Path, out: Path, tmp_path: Path
) -> None:
    go(photos, out, metrics=("ssim",))
    go(photos, out, metrics=("psnr", "ssim"))
    other = tmp_path / "at once"
    go(photos, other, metrics=("psnr", "ssim"))
    assert (out / "results.csv").read_bytes() == (other / "results.csv").read_bytes()
