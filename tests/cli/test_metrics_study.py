"""``sreval metrics-study``: what is printed, exit codes, wrong arguments."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.api.test_metric_studies import means

OK, FAILED, USAGE, PARTIAL = 0, 1, 2, 3
Sreval = Callable[..., Any]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    means().to_csv("a.csv", index=False)
    means(1, bias=0.0).to_csv("b.csv", index=False)
    means()[["image", "method", "mos"]].to_csv("bare.csv", index=False)
    rated = means()[["image", "method"]].assign(rater="r", score=3)
    rated.to_csv("votes.csv", index=False)
    return tmp_path


def test_two_files_are_two_studies(sreval: Sreval, here: Path) -> None:
    ran = sreval("metrics-study", "a.csv", "b.csv", "--out", "out")
    assert ran.code == OK, ran.err
    assert ran.out.startswith("Which metric to trust where\n")
    assert "a      PSNR    GAN  MSE" in ran.out
    assert ran.out.endswith("out\n")
    assert (here / "out" / "metrics-study.svg").is_file()
    told = json.loads(sreval("metrics-study", "a.csv", "b.csv", "--json").out)
    assert {row["study"] for row in told["sections"][0]["rows"]} == {"all 2", "a", "b"}


def test_what_cannot_be_done_is_said_and_told_by_the_exit_code(sreval: Sreval, here: Path) -> None:
    ran = sreval("metrics-study", "a.csv", "bare.csv")
    assert ran.code == PARTIAL
    assert "Not done: bare: The table has no metric that is known" in ran.out


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        ((), USAGE, "No study is given."),
        (("nowhere.csv",), FAILED, "Can't read nowhere.csv"),
        (("a.csv", "./a.csv"), USAGE, "a.csv is given twice."),
        (("votes.csv",), USAGE, "Add --results FOLDER: these are votes"),
        (("a.csv", "--class", "gan"), USAGE, "'gan' names no class."),
        (("a.csv", "--class", "x=gan"), USAGE, "Unknown method 'x'."),
        (("a.csv", "--class", "srcnn=a", "--class", "srcnn=b"), USAGE, "given two classes"),
        (("--study", "nope"), USAGE, "Unknown study 'nope'."),
        (("a.csv", "--results", "nowhere"), FAILED, "nowhere holds no results.csv."),
        (("bare.csv",), USAGE, "The table has no metric that is known"),
        (("a.csv", "--rating-scale", "1-5"), USAGE, "1-5"),
    ],
)
def test_wrong_arguments(
    sreval: Sreval, here: Path, given: tuple[str, ...], code: int, said: str
) -> None:
    ran = sreval("metrics-study", *given)
    assert (ran.code, said in ran.err) == (code, True), ran.err
    assert "Traceback" not in ran.err
