"""The built wheel, installed and run far from the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

CHECK = """
import importlib.util, pathlib, sreval
from sreval import content
print(sreval.__file__)
site = pathlib.Path(sreval.__file__).parents[1]
for kind in ("models", "studies", "web"):
    assert (content.packaged(kind) / "README.md").is_file(), kind
    print(content.packaged(kind))
for name in ("models", "studies", "web"):
    found = importlib.util.find_spec(name)
    places = list(found.submodule_search_locations or []) if found else []
    assert not any(site in pathlib.Path(place).parents for place in places), places
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's content, installed without its dependencies, which this environment has."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT],
        check=True,
        capture_output=True,
    )
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def run(installed: Path, folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(installed), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_content_is_found_inside_the_wheel(installed: Path, tmp_path: Path) -> None:
    done = run(installed, tmp_path, "-c", CHECK)
    assert done.returncode == 0, done.stderr
    assert all(Path(line).is_relative_to(installed) for line in done.stdout.splitlines())


def test_a_benchmark_runs_from_the_wheel_and_writes_nothing_into_it(
    installed: Path, tmp_path: Path
) -> None:
    before = sorted(installed.rglob("*"))
    done = run(
        installed, tmp_path, "-m", "sreval", "benchmark", "--method", "nearest",
        "--dataset", "demo", "--protocol", "matlab", "--out", "results",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "results" / "results.csv").is_file()
    table = run(installed, tmp_path, "-m", "sreval", "table", "results", "--format", "html")
    assert table.returncode == 0, table.stderr
    assert sorted(installed.rglob("*")) == before


def test_checksums_types_and_templates_are_packed(installed: Path) -> None:
    for inside in (
        "_content/docs/data-dictionary.md",
        "images/checksums.csv",
        "images/names.csv",
        "py.typed",
        "report/templates/table.html",
    ):
        assert (installed / "sreval" / inside).is_file()
