"""A run computes what changed and nothing else, survives being killed, and ends the same."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from sreval import api
from sreval.benchmarking.plan import BenchmarkPlan, Resolved
from sreval.benchmarking.results import (
    JOURNAL,
    MANIFEST,
    RESULTS,
    ResultsFolder,
    Snapshot,
    Store,
)
from sreval.benchmarking.run import Outcome, run
from sreval.errors import DataError
from sreval.images.datasets import Item
from sreval.images.io import write_png
from sreval.methods.base import Bicubic, Nearest
from sreval.metrics.protocol import Protocol
from sreval.metrics.scorer import Reference

UInt8 = npt.NDArray[np.uint8]
Run = Callable[..., Any]

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
    seen = []
    for lines in (4, 9):
        running = start(many, out)
        wait_for_lines(running, out / JOURNAL, lines)
        running.kill()
        running.communicate()
        assert running.returncode == -signal.SIGKILL
        assert not (out / RESULTS).exists()
        seen.append(Snapshot.of(out))
    kept = sum(line.startswith("[") for line in (out / JOURNAL).read_text().splitlines())

    methods, protocols = ("nearest", "bicubic"), ("matlab", "rgb")
    resumed = go(many, out, methods=methods, protocols=protocols, workers=2)
    assert resumed.reused >= kept - 1  # the last line may be torn
    assert resumed.computed + resumed.reused == 2 * LONG
    go(many, tmp_path / "whole", methods=methods, protocols=protocols, workers=2)
    assert results(out) == results(tmp_path / "whole")
    end = Snapshot.of(out)
    for one in seen:
        done = one.frame["image"].unique()
        assert one.unfinished == f"Unfinished: {len(done)} of {LONG} images of many are done."
        rows = end.frame[end.frame["image"].isin(done)].reset_index(drop=True)
        pd.testing.assert_frame_equal(one.frame, rows, check_dtype=False)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_or_a_batch_system_leaves_a_folder_that_goes_on(
    many: Path, out: Path, number: int, code: int
) -> None:
    left = out / "images" / f".0123456789ab.{2**22 + 1}-7.part"  # of a run that was killed
    write_png(left, np.zeros((4, 4, 3), np.uint8))
    running = start(many, out)
    wait_for_lines(running, out / JOURNAL, 2)
    running.send_signal(number)
    printed, said = running.communicate(timeout=60)
    assert running.returncode == code
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
        patched.setattr("sreval.benchmarking.run._counts", killed)
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


FAILS = """
from pathlib import Path

def up(lr):
    with Path("calls").open("a") as calls:
        calls.write("x")
    assert Path("mended").exists(), "boom"
    return lr.repeat(4, 0).repeat(4, 1)
"""


@pytest.mark.parametrize("workers", ["1", "4"])
def test_a_method_that_fails_on_its_first_images_is_dropped_and_the_others_go_on(
    many: Path, tmp_path: Path, workers: str, monkeypatch: pytest.MonkeyPatch, sreval: Run
) -> None:
    monkeypatch.chdir(tmp_path)
    name = f"fails_{workers}"  # Python keeps a module that it has loaded
    Path(f"{name}.py").write_text(FAILS)
    broken = f"broken=python:{name}:up"
    (many / "00.png").write_bytes(b"no image")  # not the method's fault
    words = ("--dataset", many, "--metric", "psnr", "--workers", workers, "--out", "r")

    alone = sreval("benchmark", "--method", "bicubic", *words)
    assert (alone.code, alone.err.count("A failure of every method, on many/00: ")) == (3, 1)
    before = results(Path("r"))

    def told(ran: Any) -> None:
        """The method was called three times, and each thing is said once."""
        assert Path("calls").read_text() == "xxx"
        Path("calls").unlink()
        said = ran.err.split("failed: ")[0]
        assert said.count("A failure of broken, on many/0") == 1
        dropped = "broken is dropped from the rest of this run: it failed on its first 3 images."
        assert said.count(dropped) == 1
        first = f"not tried, as it failed on its first 3 images. {name}:up failed on many/01: "
        assert ran.err.count(first) == 1
        assert f"failed: {LONG - 4} images of many (04, 05, 06, 07, 08 and " in ran.err
        assert ran.err.count("Fix the function") == 4  # at once, and with the three failures

    both = sreval("benchmark", "--method", broken, "--method", "bicubic", *words)
    assert both.code == 3
    told(both)
    only = sreval("benchmark", "--method", broken, *words)
    assert only.code == 1
    told(only)
    assert results(Path("r")) == before
    assert sreval("table", "r").out.count("broken: no result on 16 of 16 images of many.") == 1

    Path("mended").touch()
    assert f"{LONG - 1} images computed" in sreval("benchmark", "--method", broken, *words).err


def test_of_two_images_a_method_is_asked_for_both(photos: Path, out: Path) -> None:
    (photos / "cow.png").unlink()
    calls: list[int] = []

    def up(lr: UInt8) -> UInt8:
        calls.append(1)
        raise ValueError("boom")

    failed = api.benchmark(up, photos, out=out, progress=False).failures
    assert calls == [1, 1]
    assert not failed["reason"].str.contains("not tried").any()


def test_the_table_so_far_is_shown_after_each_data_set_but_the_last(
    photos: Path, tmp_path: Path, out: Path, sreval: Run
) -> None:
    shutil.copytree(photos, tmp_path / "more")
    sets = ("--dataset", photos, "--dataset", tmp_path / "more")
    words = (*sets, "--method", "nearest", "--metric", "psnr", "--workers", "1", "--out", out)
    first = sreval("benchmark", *words)
    assert first.err.count("Super-resolution ×4") == 1
    so_far = "Unfinished: 3 of 3 images of photos are done, 0 of 3 of more."
    assert first.err.count(so_far) == 1
    assert "Unfinished" not in first.out
    assert "Super-resolution" not in sreval("benchmark", *words).err  # all was there before


def test_on_a_terminal_the_table_so_far_is_shown_now_and_then(
    photos: Path, out: Path, sreval: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sreval.api.benchmarks._PAUSE", 0.0)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    words = ("--dataset", photos, "--method", "nearest", "--workers", "1", "--out", out)
    err = sreval("benchmark", *words).err
    assert [f"Unfinished: {n} of 3 images of photos" in err for n in range(5)] == [
        n in (1, 2) for n in range(5)
    ]


def test_what_a_killed_run_left_of_another_data_set_is_not_taken_for_all_of_it(
    photos: Path, tmp_path: Path, out: Path, sreval: Run
) -> None:
    def stop(lr: UInt8) -> UInt8:
        calls.append(1)
        if len(calls) >= 2:
            raise KeyboardInterrupt
        return lr.repeat(4, 0).repeat(4, 1)

    calls: list[int] = []
    shutil.copytree(photos, tmp_path / "more")
    given: Any = {"metrics": "psnr", "out": out, "workers": 1, "progress": False}
    with pytest.raises(KeyboardInterrupt):
        api.benchmark({"ours": stop}, tmp_path / "more", **given)
    assert "Unfinished: 1 of 3 images of more are done." in sreval("table", out).out
    api.benchmark("nearest", photos, **given)
    shown = sreval("table", out)
    left = "a run of ours was stopped after 1 of 3 images of more."
    assert f"Unfinished: {left}" in shown.out
    assert "n: more 1, photos 3" in shown.out
    packed = sreval("archive", out, "--out", tmp_path / "a.zip")
    assert packed.code == 1
    assert f"Unfinished: {left} Run these methods on these data sets again" in packed.err
    api.benchmark("nearest", tmp_path / "more", **given)
    shown = sreval("table", out)
    assert left in shown.out
    assert "scores of ours are left out. Its run was stopped after 1 of 3 images." in shown.out
    calls[:] = []
    with pytest.raises(KeyboardInterrupt):
        api.benchmark({"ours": stop}, tmp_path / "more", **given)
    api.benchmark("nearest", photos, **given)
    assert sreval("table", out).out.count(left) == 1
    api.benchmark({"ours": "bicubic"}, tmp_path / "more", **given)
    whole = sreval("table", out)
    assert "Unfinished" not in whole.out + whole.err
    assert "n: more 3, photos 3" in whole.out


def test_failures_of_a_killed_run_outlast_a_smaller_one(
    photos: Path, tmp_path: Path, out: Path, sreval: Run
) -> None:
    def bad(lr: UInt8) -> UInt8:
        raise ValueError("boom")

    def late(lr: UInt8) -> UInt8:
        calls.append(1)
        if len(calls) > 4:
            raise KeyboardInterrupt
        return lr.repeat(4, 0).repeat(4, 1)

    calls: list[int] = []
    shutil.copytree(photos, tmp_path / "more")
    given: Any = {"metrics": "psnr", "out": out, "workers": 1, "progress": False}
    with pytest.raises(KeyboardInterrupt):
        api.benchmark({"bad": bad, "late": late}, [photos, tmp_path / "more"], **given)
    api.benchmark("nearest", photos, **given)
    shown = sreval("table", out).out
    assert "bad: no result on 3 of 3 images of photos." in shown
    assert "was stopped after 1 of 3 images of more" in shown


def test_what_a_stopped_run_half_replaced_is_left_out_and_the_rest_is_shown(
    photos: Path, out: Path, sreval: Run
) -> None:
    calls: list[int] = []

    def ours(lr: UInt8) -> UInt8:
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return lr.repeat(4, 0).repeat(4, 1)

    given: Any = {"metrics": "psnr", "out": out, "workers": 1, "progress": False}
    api.benchmark({"ours": ours}, photos, **given)
    with pytest.raises(KeyboardInterrupt):
        api.benchmark({"ours": ours, "lanczos": "lanczos"}, photos, **given)
    api.benchmark(["lanczos", "bicubic"], photos, **given)
    shown = sreval("table", out)
    assert shown.code == 0
    assert "photos: scores of ours are left out. Some of its images were made by " in shown.out
    assert shown.out.splitlines()[2].split() == ["bicubic", "lanczos"]
    assert re.search(r"run of \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC\)", shown.out)
    assert sreval("figure", "scores", out, "--out", out / "f.png").code == 0


def test_a_gap_of_one_metric_names_it(photos: Path, out: Path, sreval: Run) -> None:
    given: Any = {"out": out, "progress": False}
    api.benchmark("bicubic", photos, metrics=["psnr", "ssim"], **given)
    path = out / RESULTS
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    gone = (frame["metric"] == "ssim") & (frame["image"] != "ant")
    frame[~gone].to_csv(path, index=False)
    shown = " ".join(sreval("table", out).out.split())
    said = "photos: SSIM of bicubic is left out. 1 of 3 images has a value, but not bee, cow. Run "
    assert said in shown
    assert "PSNR" in shown
    assert "scores of bicubic" not in shown


def test_the_protocol_shown_is_one_rule_and_others_are_named(
    photos: Path, out: Path, sreval: Run
) -> None:
    words = ("--method", "bicubic", "--metric", "psnr", "--dataset", photos, "--out", out)
    ran = sreval("benchmark", *words, "--protocol", "rgb", "--protocol", "ledig2017")
    shown = sreval("table", out)
    for one in (ran, shown):
        assert "protocol ledig2017" in one.out
        assert one.err.count("Also computed: rgb; see --protocol rgb.") == 1
    assert "Also computed" not in sreval("table", out, "--protocol", "rgb").err


def test_any_number_of_workers_gives_the_same_bytes(
    tmp_path: Path, photograph: UInt8, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fewer workers leave more threads to each, so sums of wide images could come out otherwise."""
    monkeypatch.setattr("sreval.benchmarking.executors.cores", lambda: 4)
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
    facts = only["datasets"]["photos"]
    assert (facts["images"], facts["scale"]) == (3, 4)
    assert facts["degradation"]["steps"] == [{"step": "bicubic", "border": "replicate"}]
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
