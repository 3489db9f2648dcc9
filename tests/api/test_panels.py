"""``sreval.compare_studies`` and the command: what either side may be, and what is written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import sreval as package
from sreval import api
from sreval.errors import StatisticsError, UsageError
from tests.opinions.builders import random_votes
from tests.site.conftest import freeze

Sreval = Callable[..., Any]
OK, FAILED, USAGE = 0, 1, 2


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Votes of two panels, the second also on 0..100, and a table of methods."""
    monkeypatch.chdir(tmp_path)
    for name in ("SREVAL_HOME", "SREVAL_DATABASE"):
        monkeypatch.delenv(name, raising=False)
    a, b = (random_votes(seed, methods=4, images=4, raters=8) for seed in (1, 2))
    a.to_csv("a.csv", index=False)
    b.to_csv("b.csv", index=False)
    b.assign(score=25 * (b["score"] - 1)).to_csv("b100.csv", index=False)
    Path("table.csv").write_text(
        "dataset,method,mos\nset5,bicubic,2\nset5,SRGAN,3.6\nset5,hr,4.3\n"
    )
    return tmp_path


def test_the_command_prints_what_python_gives(sreval: Sreval, files: Path) -> None:
    ran = sreval("compare-studies", "a.csv", "b.csv", "--margin", "0.5", "--out", "out")
    assert ran.code == OK, ran.err
    found = api.compare_studies("a.csv", "b.csv", margin=0.5)
    assert ran.out == f"{found.text}out\n"
    assert str(found) == found.text
    assert repr(found) == "<Comparison of a.csv and b.csv: 16 common means>"
    assert "Agreement of the two panels" in found._repr_html_()
    written = sorted(path.name for path in (files / "out").iterdir())
    assert written == [
        "01-agreement.csv", "02-means.csv", "03-stimuli.csv", "04-orders.csv", "05-pairs.csv",
        "agreement.svg", "agreement.txt",
    ]  # fmt: skip
    table = pd.read_csv(files / "out" / "02-means.csv")
    assert table["a"].to_numpy() == pytest.approx(found.found.means["a"].to_numpy())


def test_json_holds_every_value(sreval: Sreval, files: Path) -> None:
    ran = sreval("compare-studies", "a.csv", "b.csv", "--json")
    said = json.loads(ran.out)
    agreement, means, *_ = said["sections"]
    assert agreement["n"] == 16
    assert agreement["same_images"] is True
    assert [row["figure"] for row in agreement["rows"]][:4] == [
        "slope", "intercept", "B = A", "B = line",
    ]  # fmt: skip
    assert len(means["rows"]) == 4


def test_each_side_has_its_own_scale(sreval: Sreval, files: Path) -> None:
    ran = sreval("compare-studies", "a.csv", "b100.csv", "--rating-scale-b", "0..100/25")
    assert ran.code == OK, ran.err
    votes = api.read_votes("b100.csv", scale="0..100/25")
    found = api.compare_studies("a.csv", votes, names=("a.csv", "b100.csv"))
    assert ran.out == found.text


def test_a_table_of_methods_is_laid_beside_the_paper(sreval: Sreval, files: Path) -> None:
    ran = sreval("compare-studies", "table.csv", "paper")
    assert ran.code == OK, ran.err
    assert "SRGAN-VGG54" in ran.out
    assert "No error of either panel's means is known" in ran.out
    assert "Only in paper, so left out" in ran.err


def test_a_rehearsed_study_is_a_side(files: Path) -> None:
    freeze(files / "studies" / "small")
    study = api.Study("small", "rehearsal.sqlite")
    study.rehearse(4, {"bicubic": 2.0, "srresnet": 3.5, "hr": 4.6})
    found = api.compare_studies(study, study.votes(), names=("small", "again"))
    assert found.found.agreement.slope.estimate == pytest.approx(1)
    assert "Both are the same opinions" in found.notes[-1]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["a.csv", "nothere.csv"], FAILED, "Can't read nothere.csv"),
        (["a.csv", "nothere"], USAGE, "Unknown study 'nothere'"),
        (["a.csv", "paper", "--rating-scale-b", "0..10"], USAGE, "can't take --rating-scale-b"),
        (["a.csv", "paper", "--database-b", "x"], USAGE, "the paper's table, which can't take"),
        (["a.csv", "b.csv", "--database-a", "x"], USAGE, "a.csv is a file of votes, which can't"),
        (["quick", "paper", "--missing-a", "0"], USAGE, "a study, which can't take --missing-a"),
        (["a.csv", "paper"], FAILED, "have 0 means in common"),
        (["a.csv", "b.csv", "--margin", "0"], USAGE, "--margin"),
        (["a.csv", "b100.csv"], FAILED, "outside 1..5"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(
    sreval: Sreval, files: Path, arguments: list[str], code: int, said: str
) -> None:
    ran = sreval("compare-studies", *arguments)
    assert ran.code == code, ran.err
    assert said in ran.err
    assert "should not" not in ran.err


def test_python_refuses_what_is_no_side(files: Path) -> None:
    with pytest.raises(UsageError, match="votes can't be of the type int"):
        api.compare_studies(3, "a.csv")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="names holds 1"):
        api.compare_studies("a.csv", "b.csv", names=["x"])
    with pytest.raises(StatisticsError, match="margin can't be 0"):
        api.compare_studies("a.csv", "b.csv", margin=0)
    assert package.compare_studies is api.compare_studies
