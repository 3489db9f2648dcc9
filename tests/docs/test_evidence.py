"""What benchmarks.walks says of a simulated opinion test: orders, marks, false alarms."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.repeated import false_alarms, repeated, repeated_lines, whole_orders
from benchmarks.timing import ROOT
from benchmarks.walks import orders, unmarked
from sreval.report import paper
from sreval.study.design import load_design


def test_two_methods_that_changed_places_are_named(tmp_path: Path) -> None:
    (tmp_path / "csv").mkdir()
    (tmp_path / "csv" / "06-mean-opinion-scores-on-set5.csv").write_text(
        "dataset,method,mos,paper\nSet5,nearest,1.3,1.28\nSet5,drcn,2.8,3.26\nSet5,espcn,2.9,2.89\n"
    )
    (found,) = orders(tmp_path)
    assert found["by_mos"] == ["espcn", "drcn", "nearest"]
    (pair,) = found["turned"]
    assert (pair["better"], pair["worse"]) == ("drcn", "espcn")
    assert pair["paper"] == pytest.approx(0.37)
    assert pair["here"] == pytest.approx(-0.1)


def test_a_file_without_the_mark_is_named(tmp_path: Path) -> None:
    (tmp_path / "report" / "csv").mkdir(parents=True)
    (tmp_path / "table.tex").write_text("MOS, simulated")
    (tmp_path / "report" / "index.html").write_text("SIMULATED")
    (tmp_path / "report" / "csv" / "01.csv").write_text("mos\n3")
    assert unmarked(tmp_path) == ["report/csv/01.csv"]


def test_methods_far_apart_keep_their_order_and_equal_ones_come_out_either_way() -> None:
    apart = whole_orders({"a": 1.5, "b": 3.0, "c": 4.5}, 20, 10, 50)
    assert apart == {"whole_order": 1.0, "pairs_out_of_order": 0.0, "pairs": 3.0}
    equal = whole_orders({"a": 3.0, "b": 3.0}, 20, 10, 200)
    assert 0.35 < equal["whole_order"] < 0.65  # 4.2 standard deviations of 200 coins


def test_raters_tastes_are_chance_over_raters_and_a_difference_over_images() -> None:
    design = load_design(ROOT / "studies" / "ledig2017")
    methods = design.images.methods_of("BSD100")
    qualities = {method: paper.figures()["BSD100", method, "mos"] for method in methods}
    over = {
        unit: false_alarms(design, qualities, 50, 26, unit=unit, taste_sd=0.6, studies=12)
        for unit in ("rater", "image")
    }
    assert over["rater"]["alone"] <= 4 / 12  # 5 or more of 12 at 5 % each: one in 5000
    assert over["image"]["alone"] >= 8 / 12
    assert over["image"]["corrected"] <= over["image"]["alone"]


def test_five_images_never_find_anything_over_images() -> None:
    found = repeated(raters=6, studies=2)
    (five,) = (one for one in found if one["dataset"] == "Set5")
    assert {a["alone"] for a in five["false_alarms"] if a["unit"] == "image"} == {0.0}
    page = "\n".join(repeated_lines(found))
    assert "| Set5 | 5 | image, no tastes | 0.00 / 0.00 / 0.00 | 0.000 | 0.000 |" in page


PROVED = [
    paragraph
    for paragraph in (ROOT / "docs" / "explanation" / "statistics.md")
    .read_text("utf-8")
    .split("\n\n")
    if paragraph.startswith("**Proved.**") and "benchmarks/results/" in paragraph
]


@pytest.mark.parametrize("paragraph", PROVED, ids=range(len(PROVED)))
def test_what_is_said_to_be_proved_stands_in_the_results(paragraph: str) -> None:
    pages = re.findall(r"\(\.\./\.\./(benchmarks/results/\w+\.md)\)", paragraph)
    texts = [(ROOT / page).read_text("utf-8") for page in pages]
    tests = re.findall(r"`(tests/[\w/]+\.py)`", paragraph)
    held = set(
        re.findall(r"\d+\.\d+", " ".join(texts + [(ROOT / t).read_text("utf-8") for t in tests]))
    )
    assert set(re.findall(r"\d+\.\d+", paragraph)) - held == set()


def test_the_guide_has_such_figures() -> None:
    assert len(PROVED) >= 8
