"""What a training on a borrowed machine without a network needs, small enough to be carried.

Writes three folders. `photographs`: the training photographs as WebP under their own stems, at
the best quality at which they and the wheels fit into so many megabytes, beside the list of
their licences. `weights`: VGG19's and AlexNet's, no value changed. `wheels`: what such a machine
lacks beside torch, torchvision, numpy, scipy, scikit-image, pillow, safetensors, tqdm and click,
for Python 3.12 on Linux, x86-64.

Example: python -m benchmarks.carry --data photographs --weights weights --to runs/carry
There: python -m pip install --no-index --no-deps runs/carry/wheels/*.whl
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from sreval.errors import SrevalError
from sreval.files import write_atomic
from sreval.images.folders import ImageFolder
from sreval.images.io import read_image
from sreval.metrics.lpips import TRUNKS
from sreval.networks.vgg import find_vgg
from sreval.networks.weights import serialise
from sreval.training.packs import is_grey

MEBIBYTE = 2**20
WITH_DEPENDENCIES = ("pydantic",)
ALONE = ("lpips",)
"""Packages of which all dependencies are there already."""

_PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
_STEPS = range(4 * 40, 4 * 100 + 1)
"""Qualities that are tried, in quarters."""
_METHOD = 6
"""libwebp's most thorough search."""
_SAMPLE = 12
"""One photograph in so many says which quality to begin with."""


def main() -> int:
    """Write the three folders and print what they weigh."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="a folder of photographs")
    parser.add_argument("--weights", type=Path, help="a folder looked in before sreval's own")
    parser.add_argument("--to", type=Path, default=Path("runs/carry"))
    parser.add_argument(
        "--megabytes", type=float, default=46, help="MiB of the photographs and wheels together"
    )
    given = parser.parse_args()
    wheels = download_wheels(given.to / "wheels")
    if given.weights:
        os.environ["SREVAL_WEIGHTS"] = str(given.weights)
    copy_weights(given.to / "weights")
    room = int(given.megabytes * MEBIBYTE) - weigh(wheels)
    quality = pack_photographs(given.data, given.to / "photographs", room)
    print(f"photographs as WebP of quality {quality:g}")
    for folder in ("photographs", "wheels", "weights"):
        size = weigh(given.to / folder)
        print(f"{folder}: {size:,} bytes, {size / MEBIBYTE:.2f} MiB")
    return 0


def download_wheels(folder: Path) -> Path:
    """Fill the folder with the wheels that the machine lacks, in the newest versions."""
    empty(folder)
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    pip += ["--dest", str(folder), "--only-binary=:all:"]
    pip += ["--python-version", "3.12", "--implementation", "cp"]
    for platform in _PLATFORMS:
        pip += ["--platform", platform]
    subprocess.run([*pip, *WITH_DEPENDENCIES], check=True)
    subprocess.run([*pip, "--no-deps", *ALONE], check=True)
    return folder


def copy_weights(folder: Path) -> None:
    """Copy VGG19 and LPIPS's AlexNet from where sreval finds them, no value changed.

    Of torchvision's own file of AlexNet the convolutions alone, which are a twentieth of it.
    SystemExit, saying how to get it, when one isn't there.
    """
    try:
        vgg, alex = find_vgg(), TRUNKS["alex"].file()
    except SrevalError as error:
        raise SystemExit(str(error)) from None
    empty(folder)
    shutil.copyfile(vgg, folder / vgg.name)
    target = folder / TRUNKS["alex"].others[0]
    if alex.suffix == target.suffix:
        shutil.copyfile(alex, target)
        return
    state: dict[str, Tensor] = torch.load(alex, map_location="cpu", weights_only=True)
    convolutions = {name: value for name, value in state.items() if name.startswith("features.")}
    write_atomic(target, serialise(convolutions, {}))


def pack_photographs(source: Path, folder: Path, room: int) -> float:
    """Write the photographs in colour as WebP into at most `room` bytes; their quality.

    The list of licences, SOURCE.csv beside them or any inside, goes in with them. SystemExit when
    they don't fit at the least quality.
    """
    empty(folder)
    for path in (source.resolve().with_suffix(".csv"), *sorted(source.glob("*.csv"))):
        if path.is_file():
            shutil.copyfile(path, folder / path.name)
    room -= weigh(folder)
    # training skips grey photographs, and would not know them again as lossy WebP
    photographs = [
        path for path in ImageFolder(source).images() if not is_grey(read_image(path).pixels)
    ]
    step = first_step(photographs, room)
    while step >= _STEPS.start:
        sizes = encode_all(photographs, step / 4, folder)
        if sum(sizes) <= room:
            return step / 4
        # a step of quality is about one hundredth of the size
        step -= max(1, round(100 * (sum(sizes) / room - 1)))
    raise SystemExit(f"{len(photographs)} photographs don't fit into {room} bytes.")


def first_step(photographs: Sequence[Path], room: int) -> int:
    """The highest step at which a sample, by its share of the pixels, would fill the room."""
    sample = photographs[::_SAMPLE]
    share = sum(map(pixels, sample)) / sum(map(pixels, photographs))
    low, high = _STEPS.start, _STEPS.stop - 1
    while low < high:
        middle = (low + high + 1) // 2
        if sum(encode_all(sample, middle / 4)) <= room * share:
            low = middle
        else:
            high = middle - 1
    return low


def encode_all(
    photographs: Sequence[Path], quality: float, folder: Path | None = None
) -> list[int]:
    """The size of each photograph as WebP of that quality, written where a folder is given."""

    def one(path: Path) -> int:
        data = encode(path, quality)
        if folder is not None:
            write_atomic(folder / f"{path.stem}.webp", data)
        return len(data)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = pool.map(one, photographs)
        return list(tqdm(found, f"quality {quality:g}", len(photographs), unit="photograph"))


def encode(path: Path, quality: float) -> bytes:
    """A photograph as the bytes of a WebP file."""
    buffer = io.BytesIO()
    Image.fromarray(read_image(path).pixels).save(buffer, "WEBP", quality=quality, method=_METHOD)
    return buffer.getvalue()


def pixels(path: Path) -> int:
    """How many an image has, by its header."""
    with Image.open(path) as image:
        return image.width * image.height


def weigh(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def empty(folder: Path) -> None:
    """Make the folder, or make it anew where an earlier call filled it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


if __name__ == "__main__":
    sys.exit(main())
