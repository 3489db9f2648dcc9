"""docs/deploy/: its variables, commands and paths are those of the code."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from benchmarks.timing import ROOT
from docs.deploy.requirements import COMPUTING, requirements
from sreval.site.config import _FROM_ENVIRONMENT
from tests.docs.test_pages import problem

DEPLOY = ROOT / "docs" / "deploy"
FILES = sorted(path for path in DEPLOY.iterdir() if path.is_file() and path.suffix != ".py")
KNOWN = {f"SREVAL_{name.upper()}" for name in (*_FROM_ENVIRONMENT, "study", "database")}


def test_the_folder_is_explained() -> None:
    page = (ROOT / "docs" / "how-to" / "hosting.md").read_text("utf-8")
    assert {f.name for f in FILES} == set(re.findall(r"\]\(\.\./deploy/([\w.-]+)\)", page))
    assert set(re.findall(r"^\| `(SREVAL_\w+)` \|", page, re.MULTILINE)) >= KNOWN


@pytest.mark.parametrize("file", FILES, ids=[file.name for file in FILES])
def test_every_variable_and_command_exists(file: Path) -> None:
    text = file.read_text("utf-8")
    assert set(re.findall(r"\bSREVAL_[A-Z_]+\b", text)) <= KNOWN
    lists = re.findall(r"[cC]ommand: \[(sreval, .*)\]", text)
    lines = [one.replace(",", "") for one in lists]
    lines += re.findall(r"(?:ExecStart=/opt/sreval/bin/|- )(sreval study [^&\n]*)", text)
    assert [problem(shlex.split(line)[1:]) for line in lines] == [""] * len(lines)
    started = re.findall(r"python:([\w.]+)", text)
    assert set(started) <= {"sreval.site.workers"}


def test_what_is_copied_into_the_image_is_there() -> None:
    text = (DEPLOY / "Containerfile").read_text("utf-8")
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.MULTILINE)
    sources = [source for line in copied for source in line.split()]
    assert len(sources) >= 8
    assert [source for source in sources if not (ROOT / source).exists()] == []
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]
    included = wheel["targets"]["wheel"]["force-include"]
    assert {*included, "sreval", "pyproject.toml", "README.md", "LICENSE"} <= set(sources)


def test_a_site_needs_nothing_of_what_its_image_leaves_out(tmp_path: Path) -> None:
    project = ROOT / "pyproject.toml"
    whole, small = requirements(project, True), requirements(project, False)
    assert set(small) < set(whole)
    assert len(whole) - len(small) == len(COMPUTING)
    assert {"gunicorn", "psycopg", "prometheus_client"} <= {
        re.split(r"\W", each)[0] for each in small
    }
    modules = [name.replace("scikit-image", "skimage") for name in COMPUTING]
    code = (
        "import sys\n"
        f"sys.modules.update(dict.fromkeys({modules!r}))\n"
        "import sreval.site.workers, sreval.site.app, sreval.site.server, prometheus_client\n"
        "from sreval.cli import main\n"
        "main(['study', 'upgrade', sys.argv[1], '--check'])\n"
    )
    study = tmp_path / "mine"
    study.mkdir()
    (study / "study.toml").write_bytes((ROOT / "studies" / "quick" / "study.toml").read_bytes())
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = [sys.executable, "-c", code, str(study)]
    done = subprocess.run(run, env=environment, capture_output=True, text=True)
    assert "to be upgraded" in done.stdout, done.stderr
