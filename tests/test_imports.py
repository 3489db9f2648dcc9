"""What is imported when little is asked for: a user waits for it each time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = (
    *("torch", "torchvision", "lpips", "pandas", "scipy", "skimage", "matplotlib"),
    *("flask", "waitress", "sqlalchemy", "alembic", "argon2", "httpx", "imagecodecs", "tifffile"),
)

HELP = """
import json, sys
from contextlib import suppress
import click
from sreval.cli import cli

heavy, asked, brought = json.loads(sys.argv[1]), 0, {}

def ask(command, *path):
    global asked
    asked += 1
    with suppress(SystemExit):
        cli.main([*path, "--help"], standalone_mode=False)
    for name in set(heavy) & set(sys.modules):
        brought.setdefault(name, " ".join(path))
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            ask(command.get_command(context, name), *path, name)

ask(cli)
assert asked > 40, asked
print(json.dumps(brought))
"""


def last_line(code: str, *args: str) -> str:
    """What a Python of its own, in which nothing is loaded yet, prints last."""
    done = subprocess.run(
        [sys.executable, "-c", code, *args],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def test_the_help_of_no_command_imports_what_the_command_computes_with() -> None:
    brought = json.loads(last_line(HELP, json.dumps(["numpy", *HEAVY])))
    assert brought == {}, "by the command that first imported each"


@pytest.mark.parametrize(
    ("modules", "allowed"),
    [
        # one pair of images under a protocol, SSIM and LPIPS not computed
        ("sreval.metrics.scorer sreval.metrics.conventions", set()),
        # what is read of a model, a study and a plan before anything is computed
        ("sreval.training.recipe sreval.study.design sreval.study.plan", set()),
        ("sreval.training.models sreval.networks.weights", set()),
        ("sreval.benchmarking.plan sreval.benchmarking.run sreval.methods", {"pandas"}),
        ("sreval.opinions.screening sreval.opinions.reading", {"pandas", "scipy"}),
        ("sreval.report.render sreval.report.opinions", {"pandas", "scipy"}),
        ("sreval.report.comparison sreval.report.score_figures", {"pandas", "matplotlib", "scipy"}),
        # tables and archives of results without a study
        ("sreval.report.opinion_rows", {"pandas", "scipy"}),
        ("sreval.report.archive", {"pandas", "scipy"}),
        # asking a database
        ("sreval.store.overview sreval.store.invitations", {"sqlalchemy"}),
        ("sreval.images.io sreval.images.fetch", set()),
    ],
)
def test_a_module_imports_no_more_than_it_computes_with(modules: str, allowed: set[str]) -> None:
    code = "import sys; [__import__(m) for m in sys.argv[1].split()]; print('', *sys.modules)"
    loaded = set(last_line(code, modules).split())
    assert loaded & set(HEAVY) <= allowed
    # of scipy no more than the part that was needed; its statistics take a second
    assert "scipy.stats" not in loaded


COMMAND = """
import sys
from sreval.cli import main

try:
    main(sys.argv[1:])
except SystemExit as ended:
    assert not ended.code, ended.code
print()
print(*sys.modules)
"""

VOTES = "rater,image,method,score\n" + "".join(
    f"r{rater},i{image},{method},{1 + (rater + image + len(method)) % 5}\n"
    for rater in range(6)
    for image in range(6)
    for method in ("nearest", "bicubic")
)


@pytest.mark.parametrize(
    ("command", "allowed"),
    [
        ("data list", {"pandas"}),
        ("models list", {"pandas"}),
        ("models show espcn", set()),
        ("study schema", set()),
        ("opinions votes.csv", {"pandas", "scipy"}),
        (
            "figure opinions votes.csv --kind ranks --out ranks.svg",
            {"pandas", "scipy", "matplotlib"},
        ),
    ],
)
def test_a_command_imports_no_more_than_it_computes_with(
    command: str, allowed: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("votes.csv").write_text(VOTES, encoding="utf-8")
    loaded = set(last_line(COMMAND, *command.split()).split())
    assert "sreval.cli" in loaded
    assert loaded & set(HEAVY) <= allowed
