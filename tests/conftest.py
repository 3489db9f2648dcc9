"""What all tests share: the data they may need, a folder for caches, the command line."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import skimage.data
import torch

torch.set_num_threads(1)
os.environ["SREVAL_CACHE"] = str(Path(__file__).parents[1] / "build" / "test-cache")

UInt8 = npt.NDArray[np.uint8]


def _folder(variable: str) -> Path:
    value = os.environ.get(variable)
    if not value or not Path(value).is_dir():
        pytest.skip(f"{variable} names no folder: the data this test needs are not here")
    return Path(value)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The evaluation images and golden scores; tests skip, saying so, without them."""
    return _folder("SREVAL_DATA")


@pytest.fixture(scope="session")
def shared_weights() -> Path:
    """Third-party weights; tests skip, saying so, without them."""
    return _folder("SREVAL_WEIGHTS")


@pytest.fixture(scope="session")
def photograph() -> UInt8:
    """A real colour photograph, 96x120, uint8."""
    image: UInt8 = skimage.data.chelsea()[40:136, 60:180]
    return np.ascontiguousarray(image)


@dataclass
class Ran:
    """What a command left: its exit code and what it printed."""

    code: int
    out: str
    err: str


@pytest.fixture
def sreval(capfd: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Run the command line in this process."""

    def run(*args: str | Path) -> Ran:
        from sreval.cli import main

        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(arg) for arg in args])
        out, err = capfd.readouterr()
        code = ended.value.code
        return Ran(code if isinstance(code, int) else 1, out, err)

    return run
