"""benchmarks.house: lines, files and names of a small house that was counted by hand."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.house import Count, count, of_commit, of_folder, table
from benchmarks.timing import ROOT

HOUSE = {
    "sreval/__init__.py": '"""A house."""\n\nfrom sreval.errors import Fault\n',
    "sreval/errors.py": "class Fault(Exception):\n    '''A fault.'''\n\n\ndef plural(): ...\n",
    "sreval/images/__init__.py": "",
    "sreval/images/read.py": (
        '"""Reading."""\n\n# why\nfrom sreval.errors import Fault, plural\n\nLIMIT = 3\n\n\n'
        'def read():\n    text = """two\n\nlines"""\n    return text, Fault, plural\n\n\n'
        "def _help():\n    def inner(): ...\n"
    ),
    "sreval/report/__init__.py": "from sreval.report.own import table\n",
    "sreval/report/own.py": (
        "from sreval.errors import plural\nfrom sreval.images import read as reading\n\n\n"
        "def table():\n    return reading.read(), reading.LIMIT, reading.read\n"
    ),
    "sreval/api.py": "def call():\n    from sreval.images.read import read\n\n    return read()\n",
}


def test_every_room_is_as_counted_by_hand() -> None:
    assert count(HOUSE) == {
        "api": Count(files=1, lines=4, code_lines=3, names=1, crossing=0),
        "ground floor": Count(files=2, lines=8, code_lines=3, names=2, crossing=2),
        "images": Count(files=2, lines=17, code_lines=9, names=2, crossing=2),
        "report": Count(files=2, lines=7, code_lines=5, names=1, crossing=0),
        "total": Count(files=7, lines=36, code_lines=20, names=6, crossing=4),
    }
    assert count(HOUSE)["total"].names_per_thousand == 300


def test_a_folder_and_a_commit_of_it_are_counted_alike(tmp_path: Path) -> None:
    for path, text in HOUSE.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    (tmp_path / "sreval" / "notes.txt").write_text("no Python\n")
    who = ["-c", "user.name=a", "-c", "user.email=a@b.invalid"]
    for words in (["init", "-q"], ["add", "."], [*who, "commit", "-q", "-m", "A house"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    assert of_folder(tmp_path) == of_commit(tmp_path, "HEAD") == HOUSE


def test_the_table_has_a_line_a_room() -> None:
    head, *rooms = table(count(HOUSE)).splitlines()
    assert head.split()[:3] == ["room", "lines", "files"]
    assert [line.split()[0] for line in rooms] == ["api", "ground", "images", "report", "total"]


@pytest.mark.evidence
def test_the_first_count_of_all_stays_what_it_was() -> None:
    revision = "d653647"
    known = subprocess.run(["git", "cat-file", "-e", f"{revision}^{{commit}}"], cwd=ROOT)
    if known.returncode:
        pytest.skip(f"{revision} isn't in this copy's history")
    command = [sys.executable, "-m", "benchmarks.house", "--commit", revision, "--json"]
    printed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    total = json.loads(printed)["total"]
    figures = [total[key] for key in ("lines", "files", "crossing", "names_per_thousand")]
    assert figures == [28_187, 227, 373, 68.6]
