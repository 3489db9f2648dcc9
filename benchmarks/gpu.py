"""Train on a GPU that is lent for minutes: one command, stages with deadlines, nothing fetched.

Each STAGE is a name and its seconds, `srresnet-mse:270`, with changes to the recipe behind them,
`srgan-vgg54:230:data.batch=32`. It trains that model, from what an earlier stage, or an earlier
call with the same --work, made of the model that its recipe starts from; a run of the model
itself that lies there is kept as NAME-1. Four names mean something else:

  tests:45                            the tests that need a GPU
  check:15                            twenty updates against the CPU's losses
  speed:20:srresnet-mse=64            updates per second with a batch of 64, captured and not
  race:90:srgan-vgg54:loss.mse=0:loss.vgg54=2,data.batch=8
                                      the model as it is and with each change, an equal time each

Without stages all five models share the time. No stage runs past its seconds, nor past --seconds
in all, and one that fails ends none of the others; the exit code is then 1. Every 45 s, at the end
and on SIGTERM --out holds report.md, report.json and a zip file for each of the newest five runs,
of at most 16 MB: eight files with the one that is being written.

Example: python -m benchmarks.gpu --data photographs --out results --seconds 600 \\
    tests:40 speed:60 srresnet-mse:270 srgan-vgg54:200
"""

from __future__ import annotations

import argparse
import csv
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import traceback
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.gpu_report import page

# sreval and torch are imported where they are needed: --wheels may bring what sreval needs

ROOT = Path(__file__).resolve().parents[1]
KEPT = ("weights.safetensors", "best.safetensors", "run.json", "losses.csv", "validation.csv")
"""What of a run `sreval models publish` and `sreval figure training` read."""

WRITE_EVERY, LAST_WRITING = 45, 4
"""Seconds between two reports, and seconds kept free for the last one."""

ZIPS, ZIP_BYTES = 5, 16_000_000

VARIANTS = {
    "srresnet-mse": 34,
    "srgan-vgg54": 29,
    "srresnet-vgg22": 12,
    "srgan-vgg22": 12,
    "srgan-mse": 13,
}
"""All five, in the order in which they start from each other, with their shares of the time."""


class Stay:
    """The time there is, what the stages found, and the folder it is reported in."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.data: Path = given.data.resolve()
        self.out: Path = given.out.resolve()
        self.work: Path = given.work.resolve()
        self.profile: str = given.profile
        self.device: str = given.device
        self.end = time.monotonic() + float(given.seconds)
        self.report: dict[str, Any] = {"stages": []}
        self.lock = threading.Lock()
        self.packing: threading.Thread | None = None
        self.out.mkdir(parents=True, exist_ok=True)
        self.work.mkdir(parents=True, exist_ok=True)

    def begin(self) -> None:
        """Note the device; pack the photographs beside what else goes on; report now and then."""
        import torch

        for slow in ("sreval.training.run", "torch._dynamo"):
            importlib.import_module(slow)  # here, at no stage's cost: optimisers need the latter
        from sreval.devices import pick_device
        from sreval.training.packs import open_pack

        self.device = pick_device(self.device)
        on_gpu = torch.device(self.device).type == "cuda"
        self.report |= {
            "device": torch.cuda.get_device_name(self.device) if on_gpu else "CPU",
            "torch": torch.__version__,
            "python": sys.version.split()[0],
        }
        self.packing = threading.Thread(target=open_pack, args=([self.data], 4, say), daemon=True)
        self.packing.start()
        threading.Thread(target=self.write_now_and_then, daemon=True).start()
        signal.signal(signal.SIGTERM, self.stop)

    def stop(self, number: int, _frame: object) -> None:
        """End the stage that runs, as an error does; training has a handler of its own."""
        self.report["stopped"] = f"signal {number}"
        raise SystemExit(f"Stopped by signal {number}.")

    def pack(self) -> Any:
        """The photographs, once they are packed."""
        from sreval.training.packs import open_pack

        if self.packing is not None:
            self.packing.join()
        return open_pack([self.data], 4)

    def left(self) -> float:
        """Seconds until the end, less what writing the last report takes."""
        return self.end - time.monotonic() - LAST_WRITING

    def run(self, stage: str) -> None:
        """One stage; what goes wrong in it ends none of the others."""
        name, _, rest = stage.partition(":")
        text, _, more = rest.partition(":")
        row: dict[str, Any] = {"stage": stage}
        self.report["stages"].append(row)
        start = time.monotonic()
        try:
            seconds = min(float(text), self.left())
            if seconds <= 0:
                row["said"] = "left out, no time was left"
                return
            row["given"] = round(seconds, 1)
            say(f"== {stage}, {seconds:.0f} s, {self.left():.0f} s left in all")
            words = [word for word in more.split(":") if word]
            STAGES.get(name, train_stage)(self, row, seconds, [name, *words])
        except (Exception, SystemExit) as error:
            traceback.print_exc()
            row["failed"] = said_of(error)
        row["took"] = round(time.monotonic() - start, 1)
        say(json.dumps(row)[:1500])
        self.write()

    def write(self) -> None:
        """The report and the zip files as they stand now."""
        with self.lock:
            self.report["left_out"] = self.write_zips()
            self.write_text("report.json", json.dumps(self.report, indent=1) + "\n")
            self.write_text("report.md", page(self.report))

    def write_text(self, name: str, text: str) -> None:
        part = self.out / f".{name}.part"
        part.write_text(text)
        part.replace(self.out / name)

    def write_zips(self) -> list[str]:
        """The newest runs, a file each that is whole at any moment; what was left out, and why."""
        folders = sorted((self.work / "runs").glob("*"), key=lambda f: f.stat().st_mtime)
        left_out = []
        for place, folder in enumerate(reversed(folders)):
            target = self.out / f"{folder.name}.zip"
            files = [folder / name for name in KEPT if (folder / name).is_file()]
            size = sum(file.stat().st_size for file in files)
            why = "more than five runs" if place >= ZIPS else ""
            why = f"{size:,} bytes" if size > ZIP_BYTES - 2000 else why  # the zip's own list
            if why:
                left_out.append(f"{folder.name} ({why})")
                target.unlink(missing_ok=True)
                continue
            part = self.out / f".{target.name}.part"
            # weights can't be made smaller, so no time is spent on it
            with zipfile.ZipFile(part, "w") as archive:
                for file in files:
                    archive.write(file, f"{folder.name}/{file.name}")
            part.replace(target)
        return left_out

    def write_now_and_then(self) -> None:
        """Write until the process ends."""
        while True:
            time.sleep(WRITE_EVERY)
            try:
                self.write()
            except (OSError, RuntimeError) as error:  # the disk; a row that grew meanwhile
                say(f"not written: {error}")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("stages", nargs="*", metavar="STAGE")
    parser.add_argument("--data", type=Path, required=True, help="a folder of photographs")
    parser.add_argument("--out", type=Path, default=Path("runs/gpu"), help="reports and zips")
    parser.add_argument("--work", type=Path, default=Path("runs/gpu-work"), help="runs and packs")
    parser.add_argument("--seconds", type=float, default=600, help="for everything")
    parser.add_argument("--profile", default="gpu", help="of the recipes")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1")
    parser.add_argument("--weights", type=Path, help="VGG19 and AlexNet, as SREVAL_WEIGHTS")
    parser.add_argument("--wheels", type=Path, help="packages to install first, without a network")
    given = parser.parse_args()
    stay = Stay(given)
    if given.wheels:
        install(given.wheels, stay.work / "site")
    os.environ["SREVAL_CACHE"] = str(stay.work / "cache")
    if given.weights:
        os.environ["SREVAL_WEIGHTS"] = str(given.weights.resolve())
    stay.begin()
    each = stay.left() / sum(VARIANTS.values())
    try:
        for stage in given.stages or [f"{k}:{each * v:.0f}" for k, v in VARIANTS.items()]:
            stay.run(stage)
            if "stopped" in stay.report:
                break
    finally:
        stay.write()
    print(stay.out / "report.md")
    failed = any("failed" in row for row in stay.report["stages"])
    return int(failed or "stopped" in stay.report)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def said_of(error: BaseException) -> str:
    """An error in words: sreval's own as they are, others with their kind."""
    kind = "" if isinstance(error, SystemExit) else f"{type(error).__name__}: "
    return str(getattr(error, "message", f"{kind}{error}"))[:300]


def install(wheels: Path, site: Path) -> None:
    """Packages that were carried along, for this process and those that it starts."""
    files = [str(file) for file in sorted(wheels.glob("*.whl"))]
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps"]
    extra = ["--no-compile", "--no-cache-dir", "--upgrade", "--target", str(site)]
    subprocess.run([*pip, *extra, *files], check=True)
    sys.path.insert(0, str(site))
    importlib.invalidate_caches()
    before = os.environ.get("PYTHONPATH", "")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(site), str(ROOT), before])


Stage = Callable[[Stay, dict[str, Any], float, list[str]], None]
"""Fills the stage's row of the report, within so many seconds; its words are its name and what
stands behind the seconds."""


def tests_stage(stay: Stay, row: dict[str, Any], seconds: float, _words: list[str]) -> None:
    """The tests that need a GPU, but for those that compile, which takes a minute."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    quiet = ["-o", "filterwarnings=default", "-o", "faulthandler_timeout=30", "-k", "not default"]
    ran = subprocess.run(
        [*command, *quiet, "tests/training/test_gpu.py", "tests/networks/test_device.py"],
        cwd=ROOT,
        timeout=seconds,
        capture_output=True,
        text=True,
        check=False,
    )
    say(ran.stdout[-4000:] + ran.stderr[-1000:])
    row["said"] = (ran.stdout.strip().splitlines() or ["nothing"])[-1]
    if ran.returncode:
        raise RuntimeError(f"{row['said']}, exit code {ran.returncode}")


def check_stage(stay: Stay, row: dict[str, Any], seconds: float, _words: list[str]) -> None:
    """How far the losses of twenty updates are from the CPU's."""
    import torch

    from benchmarks.gpu_check import distances

    row["relative_distance_of_the_loss"] = distances(torch.device(stay.device), seconds)


def speed_stage(stay: Stay, row: dict[str, Any], seconds: float, words: list[str]) -> None:
    """Updates per second of models and batches, `NAME=BATCH`, captured and not, and their peak."""
    import torch

    from benchmarks.peak import matrix_peak, training_speed
    from sreval.training.recipe import load_recipe

    end = time.monotonic() + seconds
    device, pack = torch.device(stay.device), stay.pack()
    asked = [word.split("=") for word in words[1:]] or [["srresnet-mse", "64"], ["srgan-mse", "16"]]
    kinds = [(name, int(batch), graph) for name, batch in asked for graph in (True, False)]
    # what is made and captured before an update counts takes as long again, or twice
    each = seconds / (1 + len(kinds)) / 3
    row |= {"bf16_peak_tflops": matrix_peak(device, min(2.0, each)), "rows": []}
    for name, batch, graph in kinds:
        if time.monotonic() + each > end:
            break
        changes = {"data.batch": batch, "run.graph": graph}
        found = training_speed(load_recipe(name, stay.profile, changes), pack, device, each, say)
        share = found["gflop"] * found["updates_per_second"] / 1e3 / row["bf16_peak_tflops"]
        row["rows"].append({"model": name, "batch": batch, **found, "share_of_peak": share})
        say(str(row["rows"][-1]))


def race_stage(stay: Stay, row: dict[str, Any], seconds: float, words: list[str]) -> None:
    """A model trained as it is and with each change, an equal time each."""
    _, name, *changes = words
    rivals = ["as it is", *changes]
    end = time.monotonic() + seconds
    row["race"] = {}
    for place, rival in enumerate(rivals):
        found: dict[str, Any] = {}
        row["race"][rival] = found
        folder = stay.work / "race" / f"{len(stay.report['stages'])}-{place}"
        shutil.rmtree(folder, ignore_errors=True)
        each = (end - time.monotonic()) / (len(rivals) - place)
        changed = rival.split(",") if place else []
        try:
            train_stage(stay, found, each, [name, *changed], folder)
        except Exception as error:
            traceback.print_exc()
            found["failed"] = said_of(error)
        say(f"{rival}: {json.dumps(found)}"[:1500])
        if "stopped" in stay.report:
            return


def train_stage(
    stay: Stay, row: dict[str, Any], seconds: float, words: list[str], out: Path | None = None
) -> None:
    """Train a model for so many seconds, its packing and loading included."""
    from datetime import datetime, timedelta

    from sreval.networks.architecture import ModelFile
    from sreval.networks.weights import read_provenance
    from sreval.training.log import ProgressLine
    from sreval.training.recipe import load_recipe, parse_changes
    from sreval.training.run import Request, train

    until = datetime.now() + timedelta(seconds=seconds)
    name, *settings = words
    changes = {"run.checkpoint_minutes": 2.0, "run.keep": 1, **parse_changes(settings)}
    runs = stay.work / "runs"
    earlier = runs / (load_recipe(name, stay.profile, changes).starts_from or ".")
    folder = out or runs / name
    if folder.exists():
        kept = next(p for n in range(1, 1000) if not (p := runs / f"{name}-{n}").exists())
        folder.rename(kept)
        earlier = kept if earlier == folder else earlier
    has_weights = any((earlier / file).is_file() for file in (ModelFile.BEST, ModelFile.WEIGHTS))
    start = earlier if has_weights else None
    stay.pack()
    request = Request(
        name,
        [stay.data],
        folder,
        stay.profile,
        changes=changes,
        device=stay.device,
        start=start,
        until=until,
    )
    try:
        outcome = train(request, ProgressLine(every=5.0))
    finally:
        row |= curve(folder)
    made = read_provenance(outcome.weights).stages[-1]
    row |= account(outcome.step, made.seconds, made.batch)
    if outcome.signal is not None:
        stay.report["stopped"] = f"signal {outcome.signal}"


def curve(folder: Path) -> dict[str, Any]:
    """What the files of a run say of it, so that one which an error stopped has a curve too."""
    found: dict[str, Any] = {}
    if (folder / "losses.csv").is_file():
        with (folder / "losses.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        batch = json.loads((folder / "run.json").read_text())["recipe"]["data"]["batch"]
        if rows:
            found |= account(int(rows[-1]["step"]), float(rows[-1]["seconds"]), batch)
    if (folder / "validation.csv").is_file():
        found["head"], *found["validations"] = (folder / "validation.csv").read_text().splitlines()
    return found


def account(updates: int, seconds: float, batch: int) -> dict[str, Any]:
    return {"updates": updates, "trained_seconds": round(seconds, 1), "crops": updates * batch}


STAGES: dict[str, Stage] = {
    "tests": tests_stage,
    "check": check_stage,
    "speed": speed_stage,
    "race": race_stage,
}


if __name__ == "__main__":
    sys.exit(main())
