"""What sreval 0.1 wrote opens: a results folder, a study, its database, its export."""

from __future__ import annotations

import csv
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from statistics import mean
from typing import Any

import pytest
from sqlalchemy import inspect

from sreval.store.database import open_store
from sreval.store.models import Study
from sreval.store.studies import Studies
from sreval.study.design import load_design
from sreval.study.manifest import load_manifest

WRITTEN = Path(__file__).parent / "fixtures" / "sreval-0.1"
DATABASE = Path("studies", "small", "votes.sqlite")
Run = Callable[..., Any]


@pytest.fixture(autouse=True)
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory as a user of 0.1 left it."""
    folder = tmp_path / "old"
    shutil.copytree(WRITTEN, folder)
    with sqlite3.connect(folder / DATABASE) as connection:
        connection.executescript((WRITTEN / "votes.sql").read_text(encoding="utf-8"))
    monkeypatch.chdir(folder)
    return folder


def rows(folder: str = "results") -> list[dict[str, str]]:
    with Path(folder, "results.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def rewrite(change: Callable[[dict[str, str]], dict[str, str]]) -> None:
    changed = [change(row) for row in rows()]
    with Path("results", "results.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(changed[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(changed)


def columns(study: Study) -> dict[str, object]:
    return {attribute.key: attribute.value for attribute in inspect(study).attrs}


def votes(database: Path = DATABASE) -> list[tuple[str, int]]:
    query = (
        "SELECT plan_item.method, vote.score FROM vote JOIN plan_item "
        "ON plan_item.session_id = vote.session_id AND plan_item.position = vote.position"
    )
    with sqlite3.connect(database) as connection:
        return sorted(connection.execute(query))


def test_tables_and_figures_take_a_results_folder(sreval: Run) -> None:
    ran = sreval("table", "results", "--baseline", "bicubic")
    assert ran.code == 0, ran.err
    line = next(line for line in ran.out.splitlines() if " PSNR " in line)
    for method in ("nearest", "bicubic"):
        own = [float(r["value"]) for r in rows() if (r["method"], r["metric"]) == (method, "psnr")]
        assert f"{mean(own):.2f}" in line
    assert "results was written by sreval 0.1" in ran.out
    figure = ("figure", "comparison", "results", "--dataset", "photos", "--image", "one")
    ran = sreval(*figure, "--out", "one.png")
    assert ran.code == 0, ran.err
    assert Path("one.png").is_file()
    assert sreval("compare-protocols", "results").code == 0


def test_a_run_leaves_a_results_folder_as_it_was_and_says_where_to(sreval: Run) -> None:
    before = {path: path.read_bytes() for path in Path("results").rglob("*") if path.is_file()}
    command = ("benchmark", "--method", "lanczos", "--dataset", "photos", "--metric", "psnr")
    ran = sreval(*command, "--out", "results")
    assert ran.code == 1
    assert "results was written by sreval 0.1; it can be read, not added to." in ran.err
    assert "Name a new folder with --out" in ran.err
    assert before == {p: p.read_bytes() for p in Path("results").rglob("*") if p.is_file()}
    assert sreval(*command, "--out", "new").code == 0
    ran = sreval("table", "results", "new", "--metric", "psnr")
    assert ran.code == 0, ran.err
    assert "lanczos" in ran.out


def test_scores_are_what_they_were(sreval: Run) -> None:
    names = ("bicubic", "nearest")
    methods = [word for name in names for word in ("--method", name)]
    metrics = ("--metric", "psnr", "--metric", "ssim")
    ran = sreval("benchmark", *methods, "--dataset", "photos", *metrics, "--out", "new")
    assert ran.code == 0, ran.err

    def scores(folder: str) -> dict[tuple[str, ...], float]:
        subject = ("method", "image", "protocol", "metric", "sr_sha256")
        own = [row for row in rows(folder) if row["method"] in names]
        return {tuple(row[name] for name in subject): float(row["value"]) for row in own}

    assert len(scores("new")) == 8
    assert scores("new") == pytest.approx(scores("results"), abs=1e-9)


def test_images_of_others_were_one_method_in_0_1(sreval: Run) -> None:
    """Each image of `published:FOLDER` had a hash of its own as its method's."""
    rewrite(lambda row: {**row, "method_sha256": row["image"].ljust(64, "0")})
    assert sreval("table", "results").code == 0


def test_two_weights_under_one_name_are_refused(sreval: Run) -> None:
    rewrite(lambda row: {**row, "weights_sha256": row["image"].ljust(64, "0")})
    ran = sreval("table", "results")
    assert ran.code == 1
    assert "hold different methods called" in ran.err


@pytest.fixture
def upgraded(old: Path, sreval: Run) -> None:
    """Its database as the command that the error names brings it up."""
    ran = sreval("study", "status", "small")
    assert ran.code == 1
    assert "older tables" in ran.err
    assert "sreval study upgrade" in ran.err
    ran = sreval("study", "upgrade", "small")
    assert ran.code == 0, ran.err


@pytest.mark.usefixtures("upgraded", "no_latex")
def test_a_study_its_votes_and_their_table_open(sreval: Run) -> None:
    ran = sreval("study", "status", "small")
    assert "small: closed; 3 of 3 places filled; 3 raters came to the end" in ran.out, ran.err
    ran = sreval("table", "results", "--study", "small")
    assert ran.code == 0, ran.err
    line = next(line for line in ran.out.splitlines() if "MOS, simulated" in line)
    for method in ("nearest", "bicubic", "hr"):
        assert f"{mean(score for name, score in votes() if name == method):.2f}" in line
    # The analysis that was planned stays, though the default is the rater now.
    assert "unit image" in ran.out
    ran = sreval("report", "small", "--results", "results", "--out", "report")
    assert ran.code == 0, ran.err
    assert "Departures from the plan" in Path("report", "index.html").read_text("utf-8")


@pytest.mark.usefixtures("upgraded")
def test_a_study_that_is_under_way_goes_on(sreval: Run) -> None:
    with sqlite3.connect(DATABASE) as connection:
        connection.execute("UPDATE study SET state = 'open', closed_at = NULL")
    folder = DATABASE.parent
    with open_store(str(DATABASE)) as store:
        before = columns(Studies(store).get("small"))
        Studies(store).register(load_design(folder), load_manifest(folder))
        assert columns(Studies(store).get("small")) == before
    ran = sreval("serve", "small", "--check")
    assert ran.code == 0, ran.out + ran.err
    ran = sreval("study", "invite", "small")
    assert ran.code == 0, ran.err


@pytest.mark.usefixtures("upgraded")
def test_an_export_is_read(sreval: Run) -> None:
    ran = sreval("study", "import", "small", "export.zip", "--database", "other.sqlite")
    assert ran.code == 0, ran.err
    assert votes(Path("other.sqlite")) == votes()
    ran = sreval("study", "export", "small", "--out", "again.zip")
    assert ran.code == 0, ran.err
