"""How the benchmarks get their rivals: basicsr as released or a checkout, pyiqa by itself."""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import types
import venv
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from torchvision.transforms import functional

INSTALL = """\
basicsr, one of the rivals, is left out ({reason}).
To have it, install it without its dependencies, which name an old toolchain:
    pip install -e '.[bench]'
    pip install --no-deps --no-build-isolation basicsr
or name a checkout: BASICSR_PATH=/path/to/BasicSR"""

_GONE = "torchvision.transforms.functional_tensor"


class MissingRivalError(Exception):
    """Why a rival can't be had, and how to get it."""


@dataclass(frozen=True)
class Basicsr:
    """The functions of basicsr that are timed, and how they were got."""

    calculate_psnr: Callable[..., float]
    calculate_ssim: Callable[..., float]
    imresize: Callable[..., Any]
    bgr2ycbcr: Callable[..., Any]
    origin: str


def load_basicsr() -> Basicsr:
    """basicsr from BASICSR_PATH, else as installed. MissingRivalError when it can't be had.

    The released package imports a module that torchvision no longer has, for one function that
    moved; an alias of it is put in its place. No timed function uses it.
    """
    notes = []
    folder = os.environ.get("BASICSR_PATH")
    if folder:
        sys.path.insert(0, folder)
        if not Path(folder, "basicsr", "version.py").is_file():
            _put("basicsr.version", __version__="checkout", __gitsha__="unknown")
            notes.append("basicsr.version, which only its setup writes, made up")
    if importlib.util.find_spec(_GONE) is None:
        _put(_GONE, rgb_to_grayscale=functional.rgb_to_grayscale)
        notes.append(f"{_GONE}, gone from torchvision, put in its place as an alias")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            metrics = importlib.import_module("basicsr.metrics.psnr_ssim")
            resize = importlib.import_module("basicsr.utils.matlab_functions")
            colour = importlib.import_module("basicsr.utils.color_util")
    except ImportError as error:
        raise MissingRivalError(INSTALL.format(reason=error)) from None
    return Basicsr(
        metrics.calculate_psnr,
        metrics.calculate_ssim,
        resize.imresize,
        colour.bgr2ycbcr,
        "; ".join([_origin(bool(folder)), *notes]),
    )


def _put(name: str, **content: object) -> None:
    module = types.ModuleType(name)
    vars(module).update(content)
    sys.modules[name] = module


def _origin(checkout: bool) -> str:
    if checkout:
        return "basicsr from the checkout that BASICSR_PATH names"
    try:
        return f"basicsr {version('basicsr')} as released, installed with --no-deps"
    except PackageNotFoundError:
        return "basicsr from the import path"


def install_pyiqa(folder: Path) -> Path:
    """An environment of pyiqa's own in ``folder``, and its folder of programs.

    pyiqa is non-commercial: nothing of sreval depends on it. The environment has this one's
    packages, torch among them, and beside these only what importing pyiqa for PSNR and SSIM needs;
    pip would bring transformers and bitsandbytes too. Raises MissingRivalError without a network.
    """
    programs = folder / "bin"
    if not (programs / "pyiqa").exists():
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=True)
        (own,) = folder.glob("lib/python*/site-packages")
        (own / "shared.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
        pip = [str(programs / "python"), "-m", "pip", "install", "--quiet"]
        try:
            subprocess.run([*pip, "huggingface_hub"], check=True, capture_output=True, text=True)
            subprocess.run([*pip, "--no-deps", "pyiqa"], check=True, capture_output=True, text=True)
        except subprocess.CalledProcessError as error:
            reason = error.stderr.strip().splitlines()[-1:] or ["pip failed"]
            raise MissingRivalError(f"pyiqa, a rival, is left out ({reason[0]}).") from None
    return programs
