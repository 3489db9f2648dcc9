"""docs/deploy/: its variables, commands and paths are those of the code."""

from __future__ import annotations

import json
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
from sreval.site.config import _FROM_ENVIRONMENT, body_limit
from sreval.study.questions import Question
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


def test_a_shell_reads_the_settings_as_systemd_does(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "how-to" / "hosting.md").read_text("utf-8")
    (example,) = re.findall(r"^```\n(SREVAL_STUDY=.*?)^```$", page, re.MULTILINE | re.DOTALL)
    password = "a&b$HOME(c;d#e`"
    file = tmp_path / "sreval.env"
    file.write_text(example.replace("PASSWORD", password))
    code = "import json, os; print(json.dumps(dict(os.environ)))"
    text = 'set -a; . "$1"; set +a; exec "$2" -c "$3"'
    run = ["sh", "-ec", text, "sh", str(file), sys.executable, code]
    told = json.loads(subprocess.run(run, capture_output=True, check=True, text=True).stdout)
    assert told["SREVAL_DATABASE"] == f"postgresql://sreval:{password}@127.0.0.1/votes"
    assert told["SREVAL_STUDY"] == "/var/lib/sreval/studies/mine"
    assert set(re.findall(r"^\w+", example, re.MULTILINE)) <= KNOWN


def test_proxies_take_what_the_site_explains() -> None:
    page = (ROOT / "docs" / "how-to" / "hosting.md").read_text("utf-8")
    caddy = re.findall(r"max_size (\d+)MB", (DEPLOY / "Caddyfile").read_text("utf-8"))
    limits = [*caddy, *re.findall(r"client_max_body_size (\d+)m;", page)]
    long = [Question(key=f"q{i}", text="?", kind="text") for i in range(50)]
    assert min(map(int, limits)) * 1e6 >= body_limit(long)
    assert len(limits) == 2


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
