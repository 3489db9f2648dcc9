"""A researcher's first hour off the walks: other networks, names, pairs, pictures and scales.

Every step is a command as a user types it, with the exit code that it must have and words that it
must print; each part begins in a folder that holds a few photographs, on a machine without the
public data sets and without weights of others. A step that ends otherwise is a stumble. Writes
first_hour.json and first_hour.md; exits with 1 when there is a stumble. Nothing is downloaded.

Example: python -m benchmarks.first_hour --part rename --out build/bench
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import skimage.data
from PIL import Image

from benchmarks.timing import ROOT, progress, provenance, write_results
from benchmarks.walks import in_cell, readers_environment, shell
from sreval.errors import counted
from sreval.images.datasets import DEMO_IMAGES

SIDES = 160, 128
_NOT_A_NEWCOMERS = ("SREVAL_DATA", "SREVAL_WEIGHTS", "XDG_DATA_HOME", "XDG_CONFIG_HOME")


@dataclass(frozen=True)
class Step:
    """A command for bash, what it must print on stdout or stderr, and its exit code."""

    command: str
    says: tuple[str, ...] = ()
    code: int = 0


@dataclass(frozen=True)
class Tried:
    """A step that was run, and how it went other than it must; empty where it went well."""

    step: Step
    seconds: float
    stumble: str


_TRAIN = (
    "sreval train espcn --data photographs --steps 20 --set run.dataset=demo --set data.crop=48 "
    "--set data.batch=2 --set data.kept_aside=0 --device cpu"
)
_NETWORK = """\
cat > net.py <<'EOF'
import torch

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.body = torch.nn.Conv2d(3, 48, 3, padding=1)

    def forward(self, x):
        return torch.nn.functional.pixel_shuffle(self.body(x), 4).sigmoid()

def twice(lr):
    return lr.repeat(4, 0).repeat(4, 1)
EOF"""
_TEN = " ".join(f"--method m{n}={'bicubic' if n % 2 else 'nearest'}" for n in range(1, 9))

PARTS: Mapping[str, tuple[Step, ...]] = {
    "retrain": (
        Step(f"{_TRAIN} --out runs/first", ("none of them a test image",)),
        Step("sreval models publish runs/first --to models", ("espcn",)),
        Step("sreval models list", ("espcn",)),
        Step(
            "sreval benchmark --method espcn --dataset photographs --metric psnr --out results",
            ("5 images computed, 0 taken over, 0 failed.",),
        ),
        Step("sreval models publish runs/first --to models", ("--replace",), code=2),
        Step(f"{_TRAIN} --set data.batch=3 --out runs/second"),
        Step("sreval models publish runs/second --to models --replace", ("espcn",)),
        Step(
            "sreval benchmark --method espcn --dataset photographs --metric psnr --out results",
            ("5 images computed, 0 taken over, 0 failed.",),
        ),
        Step("sreval table results", ("photographs", "PSNR")),
    ),
    "rename": (
        Step(
            "sreval benchmark --method ours=bicubic --dataset photographs --metric psnr --out r",
            ("5 images computed, 0 taken over, 0 failed.",),
        ),
        Step("mv photographs/chelsea.png 'photographs/our cat, at home.png'"),
        Step(
            "sreval benchmark --method ours=bicubic --dataset photographs --metric psnr --out r",
            (
                "1 image computed, 4 taken over, 0 failed.",
                "SR images in r without a score, which can be deleted: "
                "images/photographs_x4/ours/chelsea.png.",
            ),
        ),
        Step(
            "sreval benchmark --method final=bicubic --dataset photographs --metric psnr --out r",
            ("5 images computed",),
        ),
        Step("sreval table r --method final", ("final",)),
        Step("sreval benchmark --method bicubik --dataset photographs --out r", ("bicubic",), 2),
        Step("mv photographs 'my photographs'"),
        Step(
            "sreval benchmark --method final=bicubic --dataset 'my photographs' --metric psnr "
            "--out r2"
        ),
        Step("sreval table r r2 --method final", ("my photographs",)),
    ),
    "own pairs": (
        Step("sreval data downscale photographs low --scale 4"),
        Step("sreval data check hr=photographs,lr=low", ("5 images",)),
        Step(
            "sreval benchmark --method bicubic --dataset hr=photographs,lr=low,name=mine "
            "--metric psnr --out r",
            ("mine", "5 images computed, 0 taken over, 0 failed."),
        ),
        Step("rm low/rocket.png"),
        Step(
            "sreval benchmark --method bicubic --dataset hr=photographs,lr=low,name=mine --out r",
            ("has no low-resolution image of rocket.png",),
            1,
        ),
        Step("sreval benchmark --method bicubic --dataset hr=nowhere --out r", ("nowhere",), 1),
    ),
    "ten methods": (
        Step(_NETWORK),
        Step(
            f"sreval benchmark {_TEN} --method python:net:twice --method net=python:net:Net "
            "--dataset photographs --metric psnr --metric ssim --out r",
            ("50 images computed, 0 taken over, 0 failed.",),
        ),
        Step("sreval table r", ("m1", "m8", "net")),
        Step("sreval table r --baseline m1 --format latex --out t.tex", ("t.tex",)),
        Step("sreval figure scores r --dataset photographs --metric psnr --out s.pdf", ("s.pdf",)),
        Step(
            "sreval figure comparison r --dataset photographs --image chelsea --out c.pdf",
            ("c.pdf",),
        ),
        Step("sreval cost m1=bicubic net=python:net:Net --input 32x24 --repeat 1", ("1,344",)),
    ),
    "no reference": (
        Step("sreval data downscale photographs phone --scale 4"),
        Step("sreval data check lr=phone", ("5 images",)),
        Step(
            "sreval benchmark --method bicubic --method nearest --dataset lr=phone "
            "--metric brisque --out r",
            ("sreval data fetch brisque",),
            1,
        ),
        Step("printf 'def contrast(sr):\\n    return float(sr.std())\\n' > own.py"),
        Step(
            "sreval benchmark --method bicubic --method nearest --dataset lr=phone "
            "--metric contrast=python:own:contrast,better=higher,reference=no --out r",
            ("contrast", "10 images computed, 0 taken over, 0 failed."),
        ),
        Step("sreval table r", ("phone", "contrast")),
        Step("sreval figure comparison r --dataset phone --image chelsea --out c.pdf", ("c.pdf",)),
        Step("sreval benchmark --method bicubic --dataset lr=phone --out r2", ("brisque",), 2),
        Step("sreval benchmark --method hr --dataset lr=phone --out r3", ("hr",), 2),
    ),
    "other scales": (
        Step(
            "sreval benchmark --method bicubic --dataset photographs --scale 2.5 --metric psnr "
            "--out r",
            ("×2.5", "5 images computed, 0 taken over, 0 failed."),
        ),
        Step(
            "sreval benchmark --method bicubic --dataset photographs --scale 7 --metric psnr "
            "--out r",
            ("×7", "5 images computed, 0 taken over, 0 failed."),
        ),
        Step("sreval table r --scale 2.5", ("×2.5",)),
        Step("sreval benchmark --method espcn --dataset photographs --scale 2.5 --out r", (), 2),
        Step("sreval upscale photographs --method lanczos --scale 2.5 --out large"),
    ),
    "frames": (
        Step(
            "for clip in walk run; do mkdir -p clips/HR/$clip; "
            "cp photographs/rocket.png clips/HR/$clip/0001.png; "
            "cp photographs/coffee.png clips/HR/$clip/0002.png; done"
        ),
        Step("sreval data downscale clips/HR clips/LR --scale 4"),
        Step(
            "sreval benchmark --method bicubic --method nearest "
            "--dataset hr=clips/HR,lr=clips/LR,name=clips --metric psnr --out r",
            ("8 images computed, 0 taken over, 0 failed.",),
        ),
        Step("sreval table r --sequences", ("clips/walk", "clips/run")),
        Step(
            "sreval figure comparison r --dataset clips --image walk/0001 --out c.pdf", ("c.pdf",)
        ),
    ),
}
"""The steps of each part, in order."""


def try_out(steps: Sequence[Step], folder: Path, environment: Mapping[str, str]) -> list[Tried]:
    """Run the steps one after another in ``folder``, whatever becomes of them."""
    tried = []
    for step in steps:
        begun = time.monotonic()
        done = shell(step.command, folder, environment)
        seconds = time.monotonic() - begun
        tried.append(Tried(step, seconds, stumble(step, done.returncode, done.stdout)))
    return tried


def _newcomers_environment(folder: Path) -> dict[str, str]:
    given = {n: v for n, v in readers_environment(folder).items() if n not in _NOT_A_NEWCOMERS}
    return {**given, "HOME": str(folder.parent / f"{folder.name}-home")}


def stumble(step: Step, code: int, printed: str) -> str:
    """How a step went other than it must, with the last of what it printed, or ""."""
    wrong = [f"exit code {code}, not {step.code}"] if code != step.code else []
    wrong += [f"{words!r} isn't in its output" for words in step.says if words not in printed]
    if "Traceback" in printed:
        wrong.append("a traceback")
    return f"{'; '.join(wrong)}: {printed[-1500:]}" if wrong else ""


def put_photographs(folder: Path) -> None:
    """The demo's photographs in small and in colour, in ``folder``."""
    folder.mkdir(parents=True)
    for name in DEMO_IMAGES:
        whole = Image.open(Path(skimage.data.__file__).parent / name).convert("RGB")
        whole.crop((100, 100, 100 + SIDES[0], 100 + SIDES[1])).save(
            (folder / name).with_suffix(".png")
        )


def main() -> int:
    """Try all parts, or some, and write what came of them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--part", action="append", choices=list(PARTS), help="default: all")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    options = parser.parse_args()
    content: dict[str, Any] = {**provenance(), "parts": {}}
    with tempfile.TemporaryDirectory() as name:
        for part in options.part or PARTS:
            folder = Path(name) / part.replace(" ", "-")
            put_photographs(folder / "photographs")
            progress(part)
            tried = try_out(PARTS[part], folder, _newcomers_environment(folder))
            content["parts"][part] = [asdict(one) for one in tried]
    found = sum(bool(one["stumble"]) for tried in content["parts"].values() for one in tried)
    content["stumbles"] = found
    write_results(
        options.out, "first_hour", content, "The first hour off the walks", lines(content)
    )
    print(options.out / "first_hour.md")
    return 1 if found else 0


def lines(content: Mapping[str, Any]) -> list[str]:
    """The Markdown page below its title."""
    steps = [one for tried in content["parts"].values() for one in tried]
    text = [f"{counted(content['stumbles'], 'stumble')} in {counted(len(steps), 'step')}.", ""]
    for part, tried in content["parts"].items():
        text += [f"## {part.capitalize()}", "", "| command | exit code | seconds | |"]
        text.append("| --- | ---: | ---: | --- |")
        for one in tried:
            command = in_cell(one["step"]["command"])
            said = " ".join(one["stumble"].replace("|", "\\|").split())
            how = f"**stumble:** {said}" if said else "as it must"
            text.append(f"| {command} | {one['step']['code']} | {one['seconds']:.1f} | {how} |")
        text.append("")
    return text


if __name__ == "__main__":
    sys.exit(main())
