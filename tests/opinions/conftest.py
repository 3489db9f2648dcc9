"""Real rater matrices with expected numbers, found beside the folder that SREVAL_DATA names."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sreval.opinions.arrays import Floats


@pytest.fixture(scope="session")
def ratings_folder() -> Path:
    data = os.environ.get("SREVAL_DATA")
    folder = Path(data).resolve().parent / "ratings" if data else None
    if folder is None or not (folder / "expected.json").is_file():
        pytest.skip("no rater matrices: SREVAL_DATA has no 'ratings' folder beside it")
    return folder


@pytest.fixture(scope="session")
def expected(ratings_folder: Path) -> Any:
    return json.loads((ratings_folder / "expected.json").read_text())


@pytest.fixture(scope="session")
def nflx(ratings_folder: Path) -> Floats:
    """79 stimuli by 26 raters."""
    return np.loadtxt(ratings_folder / "nflx_public.raw.csv", delimiter=",")


@pytest.fixture(scope="session")
def unanimous(ratings_folder: Path) -> Floats:
    """Stimuli by raters, some rated alike by all."""
    return np.loadtxt(ratings_folder / "unanimous_counterexample.raw.csv", delimiter=",")


@pytest.fixture(scope="session")
def blizzard(ratings_folder: Path) -> Floats:
    """18 systems by 80 raters by 18 sentences, NaN where no vote was cast."""
    text = (ratings_folder / "blizzard_paid_participants.json").read_text()
    votes = np.array(json.loads(text), dtype=float)
    return np.where(votes == 0, np.nan, votes)
