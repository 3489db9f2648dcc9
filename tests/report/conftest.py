"""Results small enough to work out by hand, and a real run on photographs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from sreval.benchmarking.plan import BenchmarkPlan, Resolved
from sreval.benchmarking.results import COLUMNS
from sreval.benchmarking.run import run
from sreval.report.collect import collect, select

Values = dict[tuple[str, str, str], list[float]]


def _frame(values: Values, protocol: str = "ledig2017", scale: int = 4) -> pd.DataFrame:
    rows = []
    for (dataset, method, metric), numbers in values.items():
        for index, value in enumerate(numbers):
            row = dict.fromkeys(COLUMNS, "")
            row |= {
                "method": method,
                "dataset": dataset,
                "image": f"img_{index:03}",
                "protocol": protocol,
                "metric": metric,
                "hr_sha256": f"hr{index}",
            }
            rows.append({**row, "value": value, "scale": scale, "folder": "results"})
    return pd.DataFrame(rows)


@pytest.fixture
def make_frame() -> Callable[..., pd.DataFrame]:
    """Rows from {(data set, method, metric): values image by image}."""
    return _frame


@pytest.fixture(scope="session")
def demo_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder: nearest, bicubic and HR on scikit-image's photographs."""
    out = tmp_path_factory.mktemp("demo") / "results"
    plan = BenchmarkPlan(
        methods=["nearest", "bicubic", "hr"], datasets=["demo"], protocols=["ledig2017", "matlab"]
    )
    run(Resolved.of(plan), out)
    return out


@pytest.fixture(scope="module")
def scored(demo_run: Path) -> pd.DataFrame:
    return select(collect([demo_run]), "ledig2017", 4)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SREVAL_DATABASE", raising=False)
    return tmp_path


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are empty: most of a report's time is theirs."""
    from matplotlib.figure import Figure

    from sreval.report import study_facts

    monkeypatch.setattr(study_facts, "figure_beside", lambda *arguments: (Figure(), ""))
