"""The driver of a lent GPU, on a CPU: deadlines, failures, signals, reports and what it carries."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
import torch

from benchmarks.gpu import STAGES, ZIP_BYTES, ZIPS, Stay, install
from benchmarks.gpu_check import REFERENCE, content_losses
from benchmarks.gpu_report import best, page, scores
from benchmarks.timing import ROOT
from sreval.images.io import read_image, write_png
from sreval.networks.weights import read_provenance
from sreval.training.models import publish

RECIPE = """
name = "tiny"
network = { name = "srresnet", depth = 1, channels = 8 }
loss = { mse = 1.0 }
data = { crop = 32, batch = 3 }

[optimisation]
minutes = 1
learning_rate = 1e-3

[profiles.gpu]
run.log_every = 5
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a recipe of its own and twelve small photographs."""
    (tmp_path / "models" / "tiny").mkdir(parents=True)
    (tmp_path / "models" / "tiny" / "recipe.toml").write_text(RECIPE)
    image = read_image(Path(skimage.data.__file__).parent / "coffee.png").pixels
    for place in range(12):
        piece = image[20 * place :][:72, 30 * place :][:, :64]
        write_png(tmp_path / "photographs" / f"{place}.png", np.ascontiguousarray(piece))
    monkeypatch.chdir(tmp_path)
    for name in ("SREVAL_DATA", "SREVAL_WEIGHTS", "SREVAL_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "nothing"))
    return tmp_path


def start(*words: str) -> subprocess.Popen[str]:
    """The driver in a process of its own, with one thread."""
    command = [sys.executable, "-m", "benchmarks.gpu", "--data", "photographs", "--device", "cpu"]
    env = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [*command, "--out", "out", "--work", "work", *words],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def report() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path("out/report.json").read_text())
    return found


def stay(folder: Path, seconds: float) -> Stay:
    paths = {"data": folder / "photographs", "out": folder / "out", "work": folder / "work"}
    return Stay(argparse.Namespace(**paths, profile="gpu", device="cpu", seconds=seconds))


def wait_until(ready: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 60
    while not ready():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.evidence
def test_stages_keep_to_their_seconds_and_one_that_fails_ends_no_other(folder: Path) -> None:
    hopeless = "tiny:40:optimisation.learning_rate=1e30"  # it ends by itself
    process = start("--seconds", "100", "nothing:1", "tiny:3", hopeless, "race:4:tiny:data.batch=2")
    said, _ = process.communicate(timeout=100)
    assert process.returncode == 1, said
    unknown, trained, diverged, race = report()["stages"]

    assert "nothing" in unknown["failed"]
    for row in (trained, race):
        assert "failed" not in row, said
        assert row["took"] < row["given"] + 4  # one slow update more than was left
    assert trained["updates"] > 5
    assert trained["crops"] == 3 * trained["updates"]
    assert scores(trained).keys() > {"step", "psnr", "ssim", "grid_peak"}
    assert [*race["race"]] == ["as it is", "data.batch=2"]
    assert all(rival["updates"] for rival in race["race"].values())
    # the curve of a run that an error stopped is not lost
    assert "updates" in diverged["failed"]
    assert scores(diverged, 0)["step"] == 0

    text = Path("out/report.md").read_text()
    assert text.count("failed.") == 2
    assert f"| {trained['updates']:,} | {trained['crops']:,} |" in text
    assert "| data.batch=2 |" in text
    # the second run of a model leaves the first one's where a stage can start from it
    names = sorted(path.name for path in Path("out").iterdir())
    assert names == ["report.json", "report.md", "tiny-1.zip", "tiny.zip"]

    zipfile.ZipFile("out/tiny-1.zip").extractall("done")
    assert {"losses.csv", "validation.csv"} < {path.name for path in Path("done/tiny-1").iterdir()}
    published = publish(Path("done/tiny-1"), Path("published"))
    assert "Crops of 96 pixels seen in all" in (published / "card.md").read_text()
    assert read_provenance(published / "weights.safetensors").recipe == "tiny"


@pytest.mark.evidence
def test_a_signal_ends_the_stay_with_report_and_weights(folder: Path) -> None:
    process = start("--seconds", "300", "tiny:200", "race:50:tiny")
    try:
        losses = Path("work/runs/tiny/losses.csv")
        wait_until(lambda: losses.exists() and losses.read_text().count("\n") > 1, process)
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 1, said
    found = report()
    assert found["stopped"] == "signal 15"
    (row,) = found["stages"]
    assert row["took"] < 100
    assert "Stopped by signal 15." in Path("out/report.md").read_text()
    with zipfile.ZipFile("out/tiny.zip") as archive:
        archive.extract("tiny/weights.safetensors", "done")
    assert read_provenance(Path("done/tiny/weights.safetensors")).step == row["updates"]


def test_speeds_are_measured_with_and_without_a_graph(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rate(run: Callable[[], object], _device: torch.device, seconds: float) -> float:
        assert 0 < seconds < 50 / 3
        run()
        return 40.0

    monkeypatch.setattr("benchmarks.peak.rate", rate)
    at = stay(folder, 60)
    at.report |= {"device": "CPU", "torch": torch.__version__, "python": "3"}
    at.run("speed:50:tiny=2")
    (row,) = report()["stages"]
    assert [r["captured"] for r in row["rows"]] == [False, False]  # no graph on a CPU
    for r in row["rows"]:
        share = r["gflop"] / 1e3 * r["updates_per_second"] / row["bf16_peak_tflops"]
        assert r["updates_per_second"] == 40
        assert r["share_of_peak"] == pytest.approx(share)
    assert Path("out/report.md").read_text().count("| tiny | 2 | no |") == 2


def test_a_signal_outside_of_training_ends_the_stage_as_an_error_does(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = stay(folder, 60)
    at.report |= {"device": "CPU", "torch": "2", "python": "3"}
    monkeypatch.setitem(STAGES, "wait", lambda *_: at.stop(signal.SIGTERM, None))
    at.run("wait:5")
    assert report()["stopped"] == "signal 15"
    assert report()["stages"][0]["failed"] == "Stopped by signal 15."


def test_a_stage_whose_time_is_over_is_left_out(folder: Path) -> None:
    at = stay(folder, 0)
    at.run("tiny:5")
    assert at.report["stages"] == [{"stage": "tiny:5", "said": "left out, no time was left"}]
    assert not (folder / "work" / "runs").exists()


def test_what_comes_back_is_eight_files_at_most(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = stay(folder, 60)
    at.report |= {"device": "CPU", "torch": "2", "python": "3"}
    for place in range(ZIPS + 2):
        run = folder / "work" / "runs" / f"m{place}"
        run.mkdir(parents=True)
        (run / "weights.safetensors").write_bytes(bytes(ZIP_BYTES if place == 6 else 10))
        os.utime(run, (place, place))
    writing: list[int] = []
    replace = Path.replace

    def count(path: Path, target: Path) -> Path:
        writing.append(len(list(at.out.iterdir())))
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", count)
    at.write()
    at.write()
    assert max(writing) <= 8
    assert sorted(path.stem for path in at.out.glob("*.zip")) == ["m2", "m3", "m4", "m5"]
    assert all(path.stat().st_size <= ZIP_BYTES for path in at.out.iterdir())
    assert at.report["left_out"][0] == "m6 (16,000,000 bytes)"
    assert at.report["left_out"][1:] == ["m1 (more than five runs)", "m0 (more than five runs)"]


def test_carried_wheels_are_found_here_and_by_other_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("PYTHONPATH", "")
    (tmp_path / "wheels").mkdir()
    about = "carried_thing-1.0.dist-info"
    with zipfile.ZipFile(tmp_path / "wheels" / "carried_thing-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("carried_thing.py", "WEIGHT = 46\n")
        wheel.writestr(
            f"{about}/METADATA", "Metadata-Version: 2.1\nName: carried-thing\nVersion: 1.0\n"
        )
        tags = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        wheel.writestr(f"{about}/WHEEL", tags)
        wheel.writestr(f"{about}/RECORD", "")
    install(tmp_path / "wheels", tmp_path / "site")
    import carried_thing  # type: ignore[import-not-found]

    assert carried_thing.WEIGHT == 46
    command = [
        sys.executable,
        "-c",
        "import carried_thing, benchmarks; print(carried_thing.WEIGHT)",
    ]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert ran.stdout == "46\n"


def test_the_committed_losses_are_those_of_this_machine() -> None:
    wanted = json.loads(REFERENCE.read_text())["srresnet-mse"][:2]
    assert content_losses("srresnet-mse", torch.device("cpu"), 2) == pytest.approx(wanted, rel=1e-4)


def test_the_committed_page_is_that_of_the_committed_report() -> None:
    path = ROOT / "benchmarks" / "results" / "gpu_stay.json"
    assert path.with_suffix(".md").read_text() == page(json.loads(path.read_text()))


def test_the_best_validation_is_the_one_whose_weights_are_kept() -> None:
    rows = ["0,30,0.1", "5,20,0.4", "9,24,0.3", "12,28,0.35"]
    assert best({"head": "step,psnr,lpips", "validations": rows})["step"] == 9
    assert best({"head": "step,psnr,ssim", "validations": rows})["step"] == 12
    assert best({"head": "step,psnr,ssim", "validations": rows[:1]}) == {}
