"""README's Python and examples/: run as they are printed, on the demo's photographs in small."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import skimage.data
from PIL import Image

from benchmarks.timing import ROOT
from sreval.images.datasets import DEMO_IMAGES
from tests.docs.warm import warm

SIDE = 64
SECONDS = 300
"""Far beyond the few seconds that each takes, for a loaded machine."""


def readme() -> str:
    """The one block of Python in README."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks: list[str] = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    (block,) = blocks
    return block


EXAMPLES = {path.name: path.read_text("utf-8") for path in (ROOT / "examples").glob("*.py")}
LEFT = {
    "README.md": ["results/results.csv", "rocket.png"],
    "benchmark.py": ["results/results.csv", "table.tex", "comparison.png"],
    "opinions.py": [],
    "study.py": ["results/results.csv", "studies/mine/manifest.json"],
}
"""What each leaves in the folder it is run in."""


IMPORTED = (
    *("flask", "matplotlib.backends.backend_agg", "pandas", "pydantic", "scipy.ndimage"),
    *("scipy.stats", "sqlalchemy", "torch"),
)
"""Packages that an example waits for; nothing of sreval, so that each imports what it needs."""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A Python of which each script is a forked copy; the demo's photographs are small there."""
    own = tmp_path_factory.mktemp("python")
    (own / "photographs").mkdir()
    for photograph in DEMO_IMAGES:
        whole = Image.open(Path(skimage.data.__file__).parent / photograph)
        small = whole.crop((100, 100, 100 + SIDE, 100 + SIDE))
        small.save(own / "photographs" / photograph)
    (own / "sitecustomize.py").write_text(
        "import skimage.data\n"
        f"skimage.data.__file__ = {str(own / 'photographs' / '__init__.py')!r}\n"
    )
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PYTHONPATH", f"{own}{os.pathsep}{ROOT}", prepend=os.pathsep)
        with warm(own, IMPORTED):
            yield own / "python"


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        # the walk with raters does what it does
        pytest.param(name, marks=pytest.mark.evidence) if name == "study.py" else name
        for name in LEFT
    ],
)
def test_it_runs_as_printed(name: str, tmp_path: Path, python: Path) -> None:
    """As a script, in a folder of its own."""
    script = tmp_path / "example.py"
    script.write_text(readme() if name == "README.md" else EXAMPLES[name], encoding="utf-8")
    environment = {**os.environ}
    for variable in ("SREVAL_DATABASE", "SREVAL_HOME", "SREVAL_DATA", "SREVAL_WEIGHTS"):
        environment.pop(variable, None)
    for _ in range(2 if name == "study.py" else 1):  # a study that is there is gone on with
        done = subprocess.run(
            [python, script],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        assert done.stdout.strip()
        assert "Traceback" not in done.stderr
    assert [file for file in LEFT[name] if not (tmp_path / file).is_file()] == []


def test_no_example_is_left_out() -> None:
    assert sorted(EXAMPLES) == sorted(set(LEFT) - {"README.md"})


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_cells_of_text_and_code(name: str) -> None:
    """Percent format: what editors and jupytext open as a notebook."""
    cells = re.split(r"^# %%(.*)$", EXAMPLES[name], flags=re.M)
    before, kinds, bodies = cells[0], cells[1::2], cells[2::2]
    assert before == ""
    assert {kind.strip() for kind in kinds} == {"", "[markdown]"}
    for kind, body in zip(kinds, bodies, strict=True):
        lines = body.strip().splitlines()
        assert lines, "an empty cell"
        text = [line for line in lines if line.startswith("#")]
        if kind.strip():
            assert text == lines, "a cell of text holds code"
