"""Training, scoring and upscaling where few packages are installed, as on a rented GPU."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch

from sreval.images.io import read_image, write_png
from sreval.metrics.lpips import TRUNKS
from sreval.networks.weights import serialise

PACKAGES = ["torch", "torchvision", "numpy", "PIL", "pydantic", "safetensors", "scipy", "skimage"]
PACKAGES += ["tqdm", "lpips", "click"]
THEIRS = ["torchgen", "functorch", "typing_extensions", "sympy", "mpmath"]
THEIRS += ["pydantic_core", "annotated_types", "typing_inspection", "lazy_loader", "packaging"]
"""What those packages themselves can't be imported without."""
PYTEST = ["pytest", "_pytest", "py", "pluggy", "iniconfig", "pygments"]

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_few_packages_are_enough_to_train_score_list_and_upscale(tmp_path: Path) -> None:
    photographs, out, weights = (tmp_path / name for name in ("photographs", "out", "weights"))
    weights.mkdir()
    for name in ("astronaut", "chelsea", "coffee", "rocket"):
        suffix = "jpg" if name == "rocket" else "png"
        image = read_image(Path(skimage.data.__file__).parent / f"{name}.{suffix}")
        write_png(photographs / f"{name}.png", np.ascontiguousarray(image[:64, :72]))
    save_random_alexnet(weights)
    said = run([], tmp_path, photographs, out, SREVAL_WEIGHTS=str(weights))
    assert "srresnet-mse" in said
    assert read_image(out / "large" / "coffee.png").shape == (256, 288, 3)


def test_the_tests_of_a_gpu_are_found_there(tmp_path: Path) -> None:
    files = ["tests/training/test_gpu.py", "tests/networks/test_device.py", "tests/test_devices.py"]
    paths = [ROOT / file for file in files]
    alone = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    said = run(PYTEST, tmp_path, "-q", "--collect-only", *paths, **alone)
    assert "test_on_a_gpu" in said


def run(more: list[str], folder: Path, *arguments: str | Path, **environment: str) -> str:
    """What bare_machine.py prints; it must end well."""
    names = ",".join(["sreval", *PACKAGES, *THEIRS, *more])
    done = subprocess.run(
        [sys.executable, ROOT / "tests" / "bare_machine.py", names, *arguments],
        capture_output=True,
        text=True,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(folder / "home"),
            "PYTHONPATH": str(ROOT),
            "SREVAL_DEBUG": "1",
            # the dither of `ledig2017` is computed once for all tests
            "SREVAL_CACHE": os.environ["SREVAL_CACHE"],
            **environment,
        },
        cwd=folder,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def save_random_alexnet(folder: Path) -> None:
    """A trunk for LPIPS with torchvision's names and shapes."""
    torch.manual_seed(0)
    shapes = {
        0: (64, 3, 11),
        3: (192, 64, 5),
        6: (384, 192, 3),
        8: (256, 384, 3),
        10: (256, 256, 3),
    }
    state = {}
    for place, (outputs, inputs, side) in shapes.items():
        state[f"features.{place}.weight"] = torch.randn(outputs, inputs, side, side) / 50
        state[f"features.{place}.bias"] = torch.zeros(outputs)
    (folder / TRUNKS["alex"].file).write_bytes(serialise(state, {}))
