from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch

from sreval.images.io import read_image, write_png
from sreval.training.recipe import Recipe


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def no_shared_data(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Leave the evaluation sets of this machine out, and keep packs in a folder of the session."""
    base = tmp_path_factory.getbasetemp()
    monkeypatch.setenv("SREVAL_DATA", str(base / "no-data"))
    monkeypatch.setenv("SREVAL_CACHE", str(base / "cache"))


@pytest.fixture(scope="session")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six pieces of real photographs, as PNG files of different sizes."""
    folder = tmp_path_factory.mktemp("photographs")
    source = Path(skimage.data.__file__).parent
    for name in ("astronaut.png", "chelsea.png", "coffee.png"):
        image = read_image(source / name).pixels
        stem = name.split(".")[0]
        write_png(folder / f"{stem}-a.png", np.ascontiguousarray(image[:151, :122]))
        write_png(folder / f"{stem}-b.png", np.ascontiguousarray(image[-131:, -163:]))
    return folder


MakeRecipe = Callable[..., Recipe]


@pytest.fixture
def make_recipe() -> MakeRecipe:
    """Recipes so small that an update takes milliseconds; arguments replace whole sections."""

    def make(**changes: object) -> Recipe:
        raw: dict[str, object] = {
            "name": "tiny",
            "network": {"name": "srresnet", "depth": 1, "channels": 8},
            "loss": {"mse": 1.0},
            "data": {"crop": 32, "batch": 3},
            "optimisation": {"updates": 6, "learning_rate": 1e-3},
            "run": {"log_every": 2, "dataset": "demo", "validate_every": 6},
        }
        return Recipe.model_validate(raw | changes)

    return make
