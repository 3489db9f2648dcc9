"""Real judgements with reference results, found beside the folder that SREVAL_DATA names."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from sreval.opinions.pairs.comparisons import Comparisons
from tests.opinions.pairs.builders import counted


@pytest.fixture(scope="session")
def pairs_folder() -> Path:
    data = os.environ.get("SREVAL_DATA")
    folder = Path(data).resolve().parent / "pairs" if data else None
    if folder is None or not (folder / "expected.json").is_file():
        pytest.skip("no judgements of pairs: SREVAL_DATA has no 'pairs' folder beside it")
    return folder


@pytest.fixture(scope="session")
def expected(pairs_folder: Path) -> Any:
    return json.loads((pairs_folder / "expected.json").read_text())


@pytest.fixture(scope="session")
def bad_cases(pairs_folder: Path) -> Any:
    return json.loads((pairs_folder / "bad_cases.json").read_text())


@pytest.fixture(scope="session")
def real(pairs_folder: Path) -> Callable[[str], Comparisons]:
    """The comparisons of one of the folder's files, by its name."""

    def read(name: str) -> Comparisons:
        table = pd.read_csv(pairs_folder / f"{name}.csv", dtype={"image": str, "rater": str})
        if "choice" in table:
            return Comparisons.of(table.assign(dataset="", count=1))
        columns = ["left", "right", "left_wins", "ties", "right_wins"]
        return counted(list(table[columns].itertuples(index=False, name=None)))

    return read
