"""docs/reference/data-dictionary.md names every column of every exported file, and no other."""

from __future__ import annotations

import json
import re
from pathlib import Path

from sreval.store import snapshot
from sreval.store.answers import LONGEST
from sreval.store.database import Store
from tests.store.conftest import Study
from tests.store.test_tasks import TASKS, asking

OTHER = "Other tasks"
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "data-dictionary.md"


def documented() -> dict[str, list[str]]:
    parts = re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    found = {}
    for part in parts:
        rows = [line.split("|")[1].strip() for line in part.splitlines() if line.startswith("| ")]
        names = [name.strip() for row in rows[2:] for name in row.split(",")]
        found[re.split(r"[:\n]", part)[0]] = names
    return found


def test_every_column_of_every_file_is_documented_in_its_order(study: Study) -> None:
    files = snapshot.export_files(study.store, study.name, study.manifest)
    pages = documented()
    del pages[OTHER]
    for name, data in files.items():
        if name.endswith(".csv"):
            assert sorted(pages[name]) == sorted(data.decode().strip().split(",")), name
    assert sorted(pages["manifest.json"]) == sorted(json.loads(files["manifest.json"]))
    assert set(files) == set(pages)


def test_every_column_of_every_other_task_is_documented(store: Store) -> None:
    pages = documented()
    known, found = {*pages["votes.csv"], *pages["plan.csv"]}, set()
    for task in TASKS:
        study = asking(store, task, f"study-{TASKS.index(task)}")
        files = snapshot.export_files(store, study.name, study.manifest)
        for name in ("votes.csv", "plan.csv"):
            found |= set(files[name].decode().strip().split(","))
    assert sorted(pages[OTHER]) == sorted(found - known)


def test_the_length_of_an_answer_is_that_which_the_store_takes() -> None:
    answers = PAGE.read_text(encoding="utf-8").partition("## answers.csv")[2]
    row = next(line for line in answers.splitlines() if line.startswith("| value |"))
    assert f"at most {LONGEST} characters" in row
