"""From a benchmark to a study's export, and from the export to tables: nothing gets lost."""

from __future__ import annotations

import csv
import json
import shutil
import zipfile
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from sreval import content
from sreval.cli import main

Run = Callable[..., Any]
QUALITIES = "method,quality\nnearest,1.4\nbicubic,2.3\nsrcnn,3.1\nhr,4.4\n"
NOTE = "the images rated as SRCNN are degraded originals"


@pytest.fixture(scope="module")
def exported(demo_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a study of four simulated raters; a stand-in takes the place of SRCNN."""
    work = tmp_path_factory.mktemp("exported")
    folder = work / "studies/quick"
    folder.mkdir(parents=True)
    design = (content.packaged("studies") / "quick/study.toml").read_text(encoding="utf-8")
    design = design.replace('"lanczos"', '"srcnn"').replace('unit = "rater"\n', "")
    (folder / "study.toml").write_text(design, encoding="utf-8")
    (work / "guess.csv").write_text(QUALITIES, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(work)
        patched.delenv("SREVAL_DATABASE", raising=False)
        for command in (
            ("freeze", "quick", "--results", str(demo_run), "--stand-ins"),
            ("simulate", "quick", "--raters", "4", "--qualities", "guess.csv"),
            ("close", "quick", "--yes"),
            ("export", "quick", "--out", "export"),
        ):
            with pytest.raises(SystemExit) as ended:
                main(["study", *command])
            assert not ended.value.code
    return work


@pytest.fixture
def votes(exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """votes.csv of that study, in a copy of its folder, which is the working directory."""
    shutil.copytree(exported, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SREVAL_DATABASE", raising=False)
    return tmp_path / "export/votes.csv"


def test_an_export_gives_the_table_that_its_study_gives(
    sreval: Run, demo_run: Path, votes: Path
) -> None:
    tables = {}
    for source in (("--study", "quick"), ("--ratings", votes)):
        ran = sreval("table", demo_run, *source, "--unit", "rater", "--format", "csv")
        assert ran.code == 0, ran.err
        frame = pd.read_csv(StringIO(ran.out))
        tables[source[0]] = frame[frame["metric"] == "mos"].reset_index(drop=True)
        text = sreval("table", demo_run, *source).out
        assert "MOS, simulated" in text
        assert NOTE in text
        assert "Stand-ins have no scores: srcnn." in text
    assert len(tables["--study"]) == 3
    pd.testing.assert_frame_equal(tables["--study"], tables["--ratings"])
    rows = pd.read_csv(votes)
    own = rows[(rows["kind"] == "vote") & (rows["method"] == "bicubic")]
    found = tables["--ratings"].set_index("method").loc["bicubic", "mean"]
    assert found == pytest.approx(own["score"].mean())


def test_a_zip_whose_votes_were_changed_is_refused(sreval: Run, votes: Path) -> None:
    assert sreval("study", "export", "quick", "--out", "e.zip").code == 0
    plain = sreval("opinions", "e.zip", "--analyse", "mos", "--json")
    assert plain.out == sreval("opinions", votes, "--analyse", "mos", "--json").out
    with zipfile.ZipFile("e.zip") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    for name in ("votes.csv", "manifest.json"):
        with zipfile.ZipFile("changed.zip", "w") as archive:
            for member, data in members.items():
                archive.writestr(member, data + b"\n " if member == name else data)
        ran = sreval("opinions", "changed.zip", "--analyse", "mos", "--json")
        if name == "votes.csv":
            assert (ran.code, ran.out) == (1, "")
            assert "votes.csv in changed.zip was changed." in ran.err
        else:
            assert ran.code == 0, ran.err


def test_opinions_of_an_export_are_marked_as_the_report_marks_them(
    sreval: Run, votes: Path, tmp_path: Path
) -> None:
    manifest = json.loads((votes.parent / "manifest.json").read_text())
    assert manifest["simulated"] is True
    assert manifest["stand_ins"] == ["srcnn"]
    ran = sreval("opinions", votes, "--analyse", "mos", "--out", tmp_path / "made")
    assert ran.code == 0, ran.err
    assert ran.out.startswith("Mean opinion scores (simulated, stand-ins)\n")
    assert NOTE in ran.out
    (table,) = (tmp_path / "made").glob("*mos.csv")
    frame = pd.read_csv(table)
    assert frame["simulated"].all()
    assert frame["stand_ins"].all()
    figure = (tmp_path / "made/scores-demo.svg").read_text()
    assert "SIMULATED · STAND-INS" in figure
    told = json.loads(sreval("opinions", votes, "--json").out)
    assert (told["simulated"], told["stand_ins"]) == (True, ["srcnn"])


def test_report_and_opinions_of_the_export_give_the_same_intervals_by_default(
    sreval: Run, votes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The design's unit is left to its default, as are the options of the command."""
    from matplotlib.figure import Figure

    from sreval.report import study_facts
    from sreval.report.opinion_rows import load
    from sreval.report.study_report import study_report

    monkeypatch.setattr(study_facts, "figure_beside", lambda *arguments: (Figure(), ""))
    names = ["method", "unit", "mos", "low", "high", "level"]
    report = study_report(load(tmp_path / "studies/quick"))
    (means,) = [s for s in report.tables if s.title == "Mean opinion scores on demo"]
    ours = means.frame[names].sort_values("method", ignore_index=True)
    told = json.loads(sreval("opinions", votes, "--analyse", "mos", "--json").out)
    theirs = pd.DataFrame(told["sections"][0]["rows"])[names].sort_values(
        "method", ignore_index=True
    )
    pd.testing.assert_frame_equal(ours, theirs)
    assert set(ours["unit"]) == {"rater"}
    (tests,) = [s for s in report.tables if s.title == "Planned comparisons on demo"]
    told = json.loads(sreval("opinions", votes, "--analyse", "compare", "--json").out)
    assert {row["unit"] for row in told["sections"][0]["rows"]} == set(tests.frame["unit"])
    assert "Unit rater" in " ".join(tests.notes)


def test_images_other_than_those_scored_are_refused(
    sreval: Run, demo_run: Path, votes: Path
) -> None:
    rows = read(votes)
    scored = pd.read_csv(demo_run / "results.csv")
    assert {row["stand_in"] for row in rows if row["method"] == "srcnn"} == {"true"}
    assert {row["stand_in"] for row in rows if row["method"] != "srcnn"} == {"false"}
    bicubic = {row["image_sha256"] for row in rows if row["method"] == "bicubic"}
    assert bicubic == set(scored.loc[scored["method"] == "bicubic", "sr_sha256"])
    for row in rows:
        if (row["method"], row["image"]) == ("bicubic", "coffee"):
            row["image_sha256"] = "0" * 64
    ran = sreval("table", demo_run, "--ratings", written(rows))
    assert ran.code == 1
    assert "1 stimuli that were rated are not the images that were scored: demo/coffee/b" in ran.err


def test_an_export_that_names_no_scored_image_says_how_to_get_one(
    sreval: Run, demo_run: Path, votes: Path
) -> None:
    rows = [row for row in read(votes) if row["method"] != "srcnn"]
    for row in rows:
        del row["image_sha256"], row["stand_in"]
    ran = sreval("table", demo_run, "--ratings", written(rows))
    assert ran.code == 1
    assert "export it again" in ran.err


def test_scores_do_not_stand_beside_opinions_of_a_stand_in(
    sreval: Run, demo_run: Path, votes: Path
) -> None:
    rows = read(votes)
    for row in rows:
        row["stand_in"] = str(row["method"] == "bicubic").lower()
    ran = sreval("table", demo_run, "--ratings", written(rows))
    assert ran.code == 1
    assert "Stand-ins were rated instead of bicubic, which the results hold" in ran.err


def read(votes: Path) -> list[dict[str, str]]:
    with votes.open(newline="") as handle:
        return list(csv.DictReader(handle))


def written(rows: list[dict[str, str]]) -> Path:
    path = Path("changed.csv")
    with path.open("w", newline="") as handle:
        writer = csv.DictWriter(handle, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path
