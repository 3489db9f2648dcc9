"""From a study's database to a report and to tables, through the command line."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from io import StringIO
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from sreval.report.render import csv_text
from sreval.study.data import StudyData
from sreval.study.manifest import Manifest
from tests.report.study_builder import into_store, make_study, of_results

Run = Callable[..., Any]


def put(data: StudyData, here: Path, state: str = "closed") -> None:
    into_store(data, here / "studies" / data.design.name, state)


def changed(data: StudyData, images: int) -> StudyData:
    """The study with other files in the place of its first stimuli."""
    stimuli = list(data.manifest.stimuli)
    stimuli[:images] = [replace(s, image_sha256="0" * 64) for s in stimuli[:images]]
    return replace(data, manifest=Manifest(tuple(stimuli), "1.0"))


def test_a_report_of_a_study_and_its_results(
    sreval: Run, here: Path, demo_run: Path, scored: pd.DataFrame
) -> None:
    put(of_results(scored), here)
    ran = sreval("report", "small", "--results", demo_run)
    assert ran.code == 0, ran.err
    assert ran.out == "small-report/index.html\n"
    assert "SIMULATED: no person gave these votes" in ran.err
    page = (here / ran.out.strip()).read_text()
    assert f"sreval report small --results {demo_run} --out small-report" in page
    assert "Metrics and opinion side by side" not in page.split("Not computed")[-1]
    assert "PSNR" in page
    assert "Which metric follows the raters?" in page
    csv = sorted((here / "small-report" / "csv").iterdir())
    assert all("simulated" in path.read_text() for path in csv)
    again = sreval("report", "small", "--results", demo_run, "--json")
    assert again.code == 0, again.err
    assert json.loads(again.out)["marks"] == ["simulated"]
    assert (here / "small-report" / "index.html").read_text() == page


@pytest.mark.usefixtures("no_latex")
def test_the_commands_in_a_report_make_it_again(sreval: Run, here: Path) -> None:
    put(make_study({"Set5": 2}, raters=3), here, "open")
    folder = here / "studies" / "small"
    folder.rename(here / "my study")
    (here / "my study" / "votes.sqlite").rename(here / "elsewhere.sqlite")
    ran = sreval("report", "./my study", "--database", "elsewhere.sqlite", "--allow-open")
    assert ran.code == 0, ran.err
    page = here / ran.out.strip()
    (block,) = re.findall(r"<pre[^>]*><code>(.*?)</code>", page.read_text(), re.DOTALL)
    commands = [shlex.split(unescape(line)) for line in block.splitlines()]
    assert [words[1:3] for words in commands] == [["study", "export"], ["report", "./my study"]]
    page.unlink()
    for command in commands:
        ran = sreval(*command[1:])
        assert ran.code == 0, ran.err
    assert page.is_file()


@pytest.mark.usefixtures("no_latex")
def test_an_open_study_is_refused_unless_asked_for(sreval: Run, here: Path) -> None:
    put(make_study(), here, "open")
    ran = sreval("report", "small")
    assert ran.code == 2
    assert ran.err.startswith("Error: Study small is open: its results may still change. Close it:")
    assert not (here / "small-report").exists()
    ran = sreval("report", "small", "--allow-open")
    assert ran.code == 0, ran.err
    page = (here / "small-report" / "index.html").read_text()
    assert "means of methods are hidden" in page
    assert "Results on Set5" not in page


@pytest.mark.usefixtures("undrawn", "no_latex")
def test_a_look_that_the_design_lets_be_taken_is_kept_and_told(sreval: Run, here: Path) -> None:
    put(make_study(analysis={"look_before_close": True}), here, "open")
    for looks in (1, 2):
        ran = sreval("report", "small", "--allow-open")
        assert ran.code == 0, ran.err
        page = (here / "small-report" / "index.html").read_text()
        assert page.count("rows, command line") == looks
        assert "(simulated, interim)" in page


def test_a_table_with_opinions_of_a_study(
    sreval: Run, here: Path, demo_run: Path, scored: pd.DataFrame
) -> None:
    data = of_results(scored)
    put(data, here)
    ran = sreval("table", demo_run, "--study", "small", "--format", "csv", "--pairs")
    assert ran.code == 0, ran.err
    table = pd.read_csv(StringIO(ran.out))
    own = table[table["metric"] == "mos"]
    means = data.opinions.groupby("method")["score"].mean().to_dict()
    assert dict(zip(own["method"], own["mean"], strict=True)) == pytest.approx(means)
    assert set(own["unit"]) == {"rater and image"}  # the default, where the design names none
    assert set(own["simulated"]) == {True}
    assert {"psnr", "ssim"} <= set(table["metric"])
    text = sreval("table", demo_run, "--study", "small", "--unit", "image").out
    assert "unit image, about these raters, images in general" in text
    assert "small: SIMULATED: no person gave these votes" in text


def test_other_images_are_refused_by_name(
    sreval: Run, here: Path, demo_run: Path, scored: pd.DataFrame
) -> None:
    data = changed(of_results(scored), 2)
    put(data, here)
    names = ", ".join("/".join(s.key) for s in data.manifest.stimuli[:2])
    for command in (
        ("table", demo_run, "--study", "small"),
        ("report", "small", "--results", demo_run),
    ):
        ran = sreval(*command)
        assert ran.code == 1
        count = len(data.manifest.stimuli)
        assert f"Of {count} rated stimuli 2 are other files: {names}." in ran.err
    assert not (here / "small-report").exists()


def test_images_that_nobody_scored_are_refused_by_name(
    sreval: Run, here: Path, demo_run: Path
) -> None:
    put(make_study(), here)
    ran = sreval("table", demo_run, "--study", "small")
    assert ran.code == 1
    assert "Of 44 rated stimuli 44 are not in the results: Set5/img_001/nearest" in ran.err
    assert "and 39 more" in ran.err


def test_two_studies_stand_in_one_table_only_on_one_scale(
    sreval: Run, here: Path, demo_run: Path, scored: pd.DataFrame
) -> None:
    put(of_results(scored), here)
    put(of_results(scored, name="second", seed=3), here)
    words = ["worst", "worse", "so", "better", "best"]
    put(of_results(scored, name="third", scale={"words": words}), here)
    ran = sreval("table", demo_run, "--study", "small", "--study", "second")
    assert ran.code == 0, ran.err
    assert "MOS, small, simulated" in ran.out
    assert "MOS, second, simulated" in ran.out
    ran = sreval("table", demo_run, "--study", "small", "--study", "third")
    assert ran.code == 1
    told = "5 categories, 1 bad, 2 poor, 3 fair, 4 good, 5 excellent; 5 categories, 1 worst"
    assert f"small and third have different scales: {told}" in ran.err


def test_a_table_of_an_open_study_is_refused(
    sreval: Run, here: Path, demo_run: Path, scored: pd.DataFrame
) -> None:
    put(of_results(scored), here, "open")
    ran = sreval("table", demo_run, "--study", "small")
    assert ran.code == 2
    assert "Study small is open" in ran.err
    ran = sreval("table", demo_run, "--study", "small", "--allow-open")
    assert ran.code == 2
    assert "hides its results until it is closed" in ran.err


def test_a_stand_in_never_stands_beside_the_scores_of_what_it_replaces(
    sreval: Run, here: Path, demo_run: Path, scored: pd.DataFrame
) -> None:
    put(of_results(scored, stand_ins=("bicubic",)), here)
    ran = sreval("table", demo_run, "--study", "small")
    assert ran.code == 1
    assert "Stand-ins were rated instead of bicubic, which the results hold." in ran.err


def test_no_cell_of_a_table_can_be_taken_for_a_formula() -> None:
    frame = pd.DataFrame({"=name": ["=1+1", "@x", "\t=2", "plain"], "value": [-1.5, 2, 3, 4]})
    rows = list(pd.read_csv(StringIO(csv_text(frame)), keep_default_na=False).to_dict("records"))
    assert [row["'=name"] for row in rows] == ["'=1+1", "'@x", "'\t'=2", "plain"]
    assert [row["value"] for row in rows] == [-1.5, 2, 3, 4]
