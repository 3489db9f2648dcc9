"""What can be done where few packages are installed: no extra, or less, as on a rented GPU."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from functools import cache
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

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
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DEPENDENCIES = [Requirement(text).name for text in PROJECT["dependencies"]]


@pytest.mark.evidence
def test_few_packages_are_enough_to_train_score_show_and_upscale(tmp_path: Path) -> None:
    out, weights = tmp_path / "out", tmp_path / "weights"
    weights.mkdir()
    photographs = save_photographs(tmp_path)
    save_random_alexnet(weights)
    few = [*PACKAGES, *THEIRS]
    said = run(few, tmp_path, "train", photographs, out, SREVAL_WEIGHTS=str(weights))
    assert "srresnet-mse" in said
    assert read_image(out / "large" / "coffee.png").pixels.shape == (256, 288, 3)


def test_the_tests_of_a_gpu_are_found_there(tmp_path: Path) -> None:
    files = ["tests/training/test_gpu.py", "tests/networks/test_device.py", "tests/test_devices.py"]
    paths = [ROOT / file for file in files]
    alone = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    names = [*PACKAGES, *THEIRS, *PYTEST]
    said = run(names, tmp_path, "pytest", "-q", "--collect-only", *paths, **alone)
    assert "test_on_a_gpu" in said


@pytest.mark.slow
def test_the_dependencies_without_any_extra_do_all_three_jobs(tmp_path: Path) -> None:
    modules = modules_of(with_theirs(DEPENDENCIES))
    assert {"torch", "pandas", "flask", "mako"} < modules
    assert not {"imagecodecs", "psycopg", "gunicorn", "pytest", "mypy"} & modules
    said = run(modules, tmp_path, "jobs", save_photographs(tmp_path), tmp_path)
    # the table of the benchmark, and that of the votes
    assert "photographs  PSNR" in said
    assert "Mean opinion scores" in said


def test_each_dependency_is_imported_and_each_import_is_a_dependency() -> None:
    imported = set()
    for path in (ROOT / "sreval").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                imported.add(node.module.partition(".")[0])
    own = imported - sys.stdlib_module_names - {"sreval"}
    # extras, and what Flask, Jinja and pydantic are built on
    extras = {"imagecodecs", "mlflow", "onnx", "onnxruntime", "spandrel", "spandrel_extra_arches"}
    extras |= {"cloudpickle", "dask", "distributed", "prometheus_client"}
    theirs = {"itsdangerous", "markupsafe", "pydantic_core", "werkzeug"}
    assert own - modules_of(DEPENDENCIES) == extras | theirs
    assert [name for name in DEPENDENCIES if not own & modules_of([name])] == []


def with_theirs(names: Iterable[str]) -> set[str]:
    """The distributions that installing these brings here, themselves among them."""
    found: set[str] = set()
    ahead = list(names)
    while ahead:
        name = canonicalize_name(ahead.pop())
        if name in found:
            continue
        found.add(name)
        for text in metadata.requires(name) or ():
            needed = Requirement(text)
            if not needed.marker or needed.marker.evaluate({"extra": ""}):
                ahead.append(needed.name)
    return found


def modules_of(distributions: Iterable[str]) -> set[str]:
    """What can be imported of them."""
    wanted = {canonicalize_name(name) for name in distributions}
    return {module for module, owners in installed().items() if wanted & owners}


@cache
def installed() -> dict[str, set[str]]:
    """The distributions that each module here comes from."""
    found = metadata.packages_distributions()
    return {module: set(map(canonicalize_name, owners)) for module, owners in found.items()}


def run(names: Iterable[str], folder: Path, *arguments: str | Path, **environment: str) -> str:
    """What bare_machine.py prints where the modules ``names`` exist; it must end well."""
    names = ["sreval", *names]
    done = subprocess.run(
        [sys.executable, ROOT / "tests" / "bare_machine.py", ",".join(names), *arguments],
        capture_output=True,
        text=True,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(folder / "home"),
            "PYTHONPATH": str(ROOT),
            "SREVAL_DEBUG": "1",
            # the dither of `ledig2017` is computed once for all tests
            "SREVAL_CACHE": os.environ["SREVAL_CACHE"],
            # another test runs beside this one
            "OMP_NUM_THREADS": "1",
            **environment,
        },
        cwd=folder,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def save_photographs(folder: Path) -> Path:
    """A folder of four, 72x64 pixels each."""
    for name in ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg"):
        path = Path(skimage.data.__file__).parent / name
        part = np.ascontiguousarray(read_image(path).pixels[:64, :72])
        write_png(folder / "photographs" / f"{path.stem}.png", part)
    return folder / "photographs"


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
    (folder / TRUNKS["alex"].others[0]).write_bytes(serialise(state, {}))
