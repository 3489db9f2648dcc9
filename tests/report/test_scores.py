"""Tables: ranks, intervals, tests and what they say of themselves."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sreval.errors import DataError, UsageError
from sreval.report import paper
from sreval.report.choices import FORMATS, Intervals
from sreval.report.collect import collect, select
from sreval.report.scores import ScoreTable, score_table

Maker = Callable[..., pd.DataFrame]
RNG = np.random.default_rng(0)
BASE = RNG.normal(28, 3, 14)
HARD = {
    ("Set14", "nearest", "psnr"): list(BASE - 1 + RNG.normal(0, 0.2, 14)),
    ("Set14", "bicubic", "psnr"): list(BASE),
    ("Set14", "lanczos", "psnr"): list(BASE + RNG.normal(0, 0.2, 14)),
}


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def line(table: ScoreTable, dataset: str, metric: str) -> dict[str, Any]:
    """One metric on one data set: a row of the frame a method, in the table's order."""
    rows = table.frame[(table.frame["dataset"] == dataset) & (table.frame["metric"] == metric)]
    return {row["method"]: SimpleNamespace(**row) for row in records(rows)}


def test_best_and_second_by_printed_digits_and_hr_not_ranked(make_frame: Maker) -> None:
    values = {
        ("Set5", "a", "psnr"): [28.001, 28.003],
        ("Set5", "b", "psnr"): [28.004, 28.004],
        ("Set5", "c", "psnr"): [27.0, 27.2],
        ("Set5", "d", "psnr"): [20.0, 20.0],
        ("Set5", "hr", "psnr"): [math.inf, math.inf],
    }
    cells = line(score_table(make_frame(values)), "Set5", "psnr")
    ranks = {m: c.rank for m, c in cells.items()}
    assert ranks == {"a": 1, "b": 1, "c": 2, "d": 3, "hr": 0}
    assert math.isinf(cells["hr"].mean)


def test_a_smaller_lpips_is_better(make_frame: Maker) -> None:
    values = {("Set5", "a", "lpips"): [0.3, 0.3], ("Set5", "b", "lpips"): [0.1, 0.2]}
    cells = line(score_table(make_frame(values)), "Set5", "lpips")
    assert cells["b"].rank == 1


@pytest.mark.parametrize("level", [0.9, 0.999])
def test_the_interval_is_students_at_the_level_that_the_note_says(
    make_frame: Maker, level: float
) -> None:
    numbers = list(RNG.normal(26, 2, 5))
    table = score_table(make_frame({("Set5", "a", "psnr"): numbers}), level=level)
    cell = line(table, "Set5", "psnr")["a"]
    theirs = stats.t.interval(level, 4, loc=np.mean(numbers), scale=stats.sem(numbers))
    assert cell.mean == pytest.approx(np.mean(numbers))
    assert (cell.low, cell.high) == pytest.approx(theirs)
    assert table.level == level
    assert f"the {100 * level:g}% interval" in " ".join(table.notes)


def test_other_methods_stand_by_their_numbers_and_in_one_line() -> None:
    names = ["m10", "hr", "m2", "m1", "bicubic"]
    assert paper.sort_methods(names) == ["bicubic", "m1", "m2", "m10", "hr"]
    assert paper.sort_datasets(["set10", "set9", "Set14"]) == ["Set14", "set9", "set10"]
    assert paper.label("two\nlines") == "two lines"


@pytest.mark.parametrize("form", FORMATS)
def test_two_images_give_no_interval_and_a_note_in_every_format(
    make_frame: Maker, form: str
) -> None:
    table = score_table(make_frame({("Set5", "a", "psnr"): [24.0, 26.0]}))
    cell = line(table, "Set5", "psnr")["a"]
    assert math.isnan(cell.low)
    text = table.render(form)
    if form == "json":
        assert json.loads(text)["figures"][0]["low"] is None
    if form != "csv":
        assert "With fewer than 3 images there is no interval." in text
        assert "by Student t" not in text
    assert "25.00–" not in text
    assert "\n\n\n" not in text


def test_an_interval_stays_where_the_metric_can_be(make_frame: Maker) -> None:
    values = {
        ("Set5", "a", "ssim"): [0.99, 0.9, 0.6],
        ("Set5", "a", "lpips"): [0.01, 0.1, 0.3],
    }
    table = score_table(make_frame(values))
    assert line(table, "Set5", "ssim")["a"].high == 1
    assert line(table, "Set5", "lpips")["a"].low == 0


def test_a_baseline_is_tested_as_scipy_does_with_holm(make_frame: Maker) -> None:
    table = score_table(make_frame(HARD), baseline="bicubic")
    found = {test["first"]: SimpleNamespace(**test) for test in records(table.tests)}
    assert set(found) == {"nearest", "lanczos"}
    for method, comparison in found.items():
        x, y = HARD["Set14", method, "psnr"], HARD["Set14", "bicubic", "psnr"]
        assert comparison.p == pytest.approx(stats.wilcoxon(x, y, method="exact").pvalue)
        assert comparison.mean_difference == pytest.approx(np.mean(np.subtract(x, y)))
    assert found["nearest"].p_holm == pytest.approx(2 * found["nearest"].p)
    cells = line(table, "Set14", "psnr")
    assert (cells["nearest"].mark, cells["lanczos"].mark, cells["bicubic"].mark) == ("*", "", "")
    assert any("differs from bicubic" in note for note in table.notes)


def test_all_pairs_get_letters(make_frame: Maker) -> None:
    table = score_table(make_frame(HARD), pairs=True)
    assert len(table.tests) == 3
    marks = {m: set(c.mark) for m, c in line(table, "Set14", "psnr").items()}
    assert marks["bicubic"] & marks["lanczos"]
    assert not marks["bicubic"] & marks["nearest"]


def test_five_images_are_too_few_and_the_table_says_so(make_frame: Maker) -> None:
    values = {
        ("Set5", "nearest", "psnr"): [20.0, 21, 22, 23, 24],
        ("Set5", "bicubic", "psnr"): [21.1, 22.2, 23.3, 24.4, 25.5],
    }
    table = score_table(make_frame(values), baseline="bicubic")
    assert line(table, "Set5", "psnr")["nearest"].mark == "‡"
    assert any("n too small" in n and "least exact p is 0.0625" in n for n in table.notes)


SIX = {
    ("Set6", "nearest", "psnr"): [20.0, 21, 22, 23, 24, 25],
    ("Set6", "bicubic", "psnr"): [21.1, 22.2, 23.3, 24.4, 25.5, 26.6],
    ("Set6", "lanczos", "psnr"): [22.3, 23.5, 24.7, 25.9, 27.1, 28.3],
}
"""Six images in one order: p is 2 x 2^-6 for every pair, and 0.0625 or more for two and more."""


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(("options", "marks"), [({"pairs": True}, 3), ({"baseline": "bicubic"}, 2)])
def test_six_images_are_too_few_for_more_than_one_comparison(
    make_frame: Maker, options: dict[str, Any], marks: int, form: str
) -> None:
    table = score_table(make_frame(SIX), **options)
    printed = table.render(form)
    sign = "\\ddag" if form == "latex" else "‡"
    assert printed.count(sign) + printed.count("\\u2021") == marks + (form != "csv")
    assert "share a letter" not in printed
    assert "differs from" not in printed
    said = {True: "0.0938", False: "0.0625"}["pairs" in options]
    if form != "csv":
        assert "no outcome could have been significant on Set6 (6 images" in printed
        assert f"Holm-adjusted {said}" in printed
    for test in table.tests.to_dict("records"):
        assert (test["too_small"], test["significant"], test["p"]) == (True, False, 0.03125)


def test_six_images_do_for_one_comparison(make_frame: Maker) -> None:
    two = {key: values for key, values in SIX.items() if key[1] != "lanczos"}
    table = score_table(make_frame(two), baseline="bicubic")
    assert line(table, "Set6", "psnr")["nearest"].mark == "*"
    assert not any("n too small" in note for note in table.notes)


def test_pairs_that_share_a_letter_for_want_of_images_are_told(make_frame: Maker) -> None:
    """Ten images; bicubic and lanczos differ on five of them, too few for any outcome."""
    base = np.arange(10.0)
    values = {
        ("Set10", "nearest", "psnr"): list(base),
        ("Set10", "bicubic", "psnr"): list(base + 2 + base / 10),
        ("Set10", "lanczos", "psnr"): list(base + 2 + base / 10 + (base < 5) * (1 + base) / 100),
    }
    table = score_table(make_frame(values), pairs=True)
    marks = {method: cell.mark for method, cell in line(table, "Set10", "psnr").items()}
    assert marks["bicubic"] == marks["lanczos"] != marks["nearest"]
    assert any("weren't shown to differ" in note for note in table.notes)
    assert any("n too small for 1 of 3 pairs of PSNR on Set10" in note for note in table.notes)


def test_means_are_over_the_images_that_all_methods_have(make_frame: Maker) -> None:
    values = {
        ("Set5", "a", "psnr"): [20.0, 30.0, math.nan],
        ("Set5", "b", "psnr"): [22.0, 32.0, 99.0],
    }
    table = score_table(make_frame(values))
    cells = line(table, "Set5", "psnr")
    assert [(c.mean, c.n) for c in cells.values()] == [(25, 2), (27, 2)]
    assert any("1 of 3 images is left out" in note and "img_002" in note for note in table.notes)


def test_no_method_is_dropped_by_its_name(make_frame: Maker) -> None:
    names = ["hr", "srgan-vgg54", "zeta", "bicubic", "srresnet-vgg22", "srresnet-mse", "nearest"]
    frame = make_frame({("Set5", name, "psnr"): [1.0, 2.0] for name in names})
    assert score_table(frame).methods == [
        "nearest",
        "bicubic",
        "srresnet-mse",
        "srresnet-vgg22",
        "srgan-vgg54",
        "zeta",
        "hr",
    ]
    assert {method for method, _ in line(score_table(frame), "Set5", "psnr").items()} == set(names)
    losses = score_table(frame, "losses")
    assert losses.methods == ["srresnet-mse", "srresnet-vgg22", "srgan-vgg54"]
    assert any("Left out" in n and "bicubic, zeta, hr" in n for n in losses.notes)
    with pytest.raises(UsageError, match="none of the paper's loss variants"):
        score_table(make_frame({("Set5", "bicubic", "psnr"): [1.0]}), "losses")


def test_the_papers_figures_only_where_they_are_comparable(make_frame: Maker) -> None:
    values = {("Set5", "bicubic", "psnr"): [28.0, 29.0]}
    table = score_table(make_frame(values), with_paper=True)
    cells = line(table, "Set5", "psnr")
    assert cells["bicubic"].paper == 28.43
    assert cells["srgan-vgg54"].paper == 29.40
    assert any("Huang et al. 2015" in note for note in table.notes)
    with pytest.raises(UsageError, match="of ledig2017 at scale 4"):
        score_table(make_frame(values, protocol="matlab"), with_paper=True)


def test_the_papers_tables_are_whole() -> None:
    figures = paper.figures()
    assert len(figures) == 9 * 9 + 3 * 6
    assert figures["Set14", "srgan-vgg22", "mos"] == 3.57
    assert figures["BSD100", "hr", "mos"] == 4.46


def test_unknown_baselines_metrics_protocols_and_scales_are_named(make_frame: Maker) -> None:
    frame = make_frame({("Set5", "bicubic", "psnr"): [28.0, 29.0]})
    with pytest.raises(UsageError, match="Did you mean 'bicubic'"):
        score_table(frame, baseline="bicubik")
    with pytest.raises(UsageError, match="These results have no metric 'ssim'"):
        score_table(frame, metrics=["ssim"])
    with pytest.raises(UsageError, match="These results have no protocol 'rgb'"):
        select(frame, "rgb", None)
    with pytest.raises(UsageError, match="hold no scale 2"):
        select(frame, None, 2)


def test_two_scores_of_one_method_are_refused(demo_run: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    frame = pd.read_csv(demo_run / "results.csv", dtype=str, keep_default_na=False)
    frame.loc[3, "value"] = "1.5"
    frame.to_csv(other / "results.csv", index=False)
    (other / "manifest.json").write_bytes((demo_run / "manifest.json").read_bytes())
    with pytest.raises(DataError, match=rf"{demo_run} and {other} have different .* and 1\.5"):
        collect([demo_run, other])


def test_two_runs_on_different_hr_files_are_refused(demo_run: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    frame = pd.read_csv(demo_run / "results.csv", dtype=str, keep_default_na=False)
    frame["method"] = "other-" + frame["method"]
    frame.loc[frame["image"] == "coffee", "hr_sha256"] = "0" * 64
    frame.to_csv(other / "results.csv", index=False)
    (other / "manifest.json").write_bytes((demo_run / "manifest.json").read_bytes())
    with pytest.raises(DataError, match=r"demo/coffee: .* different high-resolution files"):
        collect([demo_run, other])


def test_a_method_without_any_result_keeps_its_column(make_frame: Maker) -> None:
    frame = make_frame(
        {
            ("Set5", "a", "psnr"): [20.0, 30.0],
            ("Set5", "bad", "psnr"): [math.nan, math.nan],
            ("Set5", "b", "psnr"): [22.0, 32.0],
        }
    )
    frame.loc[frame["method"] == "bad", "note"] = "It went wrong."
    table = score_table(frame, baseline="bad")
    cells = line(table, "Set5", "psnr")
    assert table.methods == ["a", "b", "bad"]
    assert [(cells[m].mean, cells[m].n) for m in ("a", "b")] == [(25, 2), (27, 2)]
    assert math.isnan(cells["bad"].mean)
    assert cells["bad"].n == 0
    assert "bad: no result on 2 of 2 images of Set5. The first: It went wrong." in table.notes
    assert any("Nothing was tested against bad" in note for note in table.notes)


def test_an_infinite_value_is_named_and_the_mean_is_of_the_rest(make_frame: Maker) -> None:
    values = {
        ("Set5", "a", "psnr"): [20.0, math.inf, 30.0, 40.0],
        ("Set5", "b", "psnr"): [21.0, 50.0, 31.0, 41.0],
        ("Set5", "copy", "psnr"): [math.inf] * 4,
        ("Set5", "hr", "psnr"): [math.inf] * 4,
    }
    table = score_table(make_frame(values), pairs=True)
    cells = line(table, "Set5", "psnr")
    # means over the images 0, 2 and 3 by hand; a copy of the original is infinite on each
    assert [(cells[m].mean, cells[m].n) for m in ("a", "b")] == [(30, 3), (31, 3)]
    assert math.isfinite(cells["a"].low)
    assert [cells[m].mean for m in ("copy", "hr")] == [math.inf, math.inf]
    (note,) = [note for note in table.notes if "infinite" in note]
    assert "img_001 (a)" in note
    assert "every image, img_000, img_001, img_002, img_003 (copy)" in note
    assert "3 of 4 images" in note
    assert "HR" not in note
    assert set(table.tests["n"]) == {3}
    differences = {(c.first, c.second): c.mean_difference for c in table.tests.itertuples()}
    assert differences["a", "b"] == -1


def test_two_methods_that_are_infinite_everywhere_do_not_differ(make_frame: Maker) -> None:
    values = {("Set5", name, "psnr"): [math.inf] * 3 for name in ("a", "b")}
    table = score_table(make_frame(values), baseline="b")
    (comparison,) = table.tests.itertuples()
    assert (comparison.mean_difference, comparison.p) == (0, 1)


def test_n_stands_for_each_metric_where_they_differ(make_frame: Maker) -> None:
    values = {
        ("Set5", "a", "psnr"): [20.0, 30.0, 40.0],
        ("Set5", "a", "ssim"): [0.5, math.nan, 0.7],
        ("Set14", "a", "psnr"): [20.0, 30.0],
        ("Set14", "a", "ssim"): [0.5, 0.6],
    }
    notes = score_table(make_frame(values)).notes
    assert any("(n: Set5 PSNR 3, SSIM 2, Set14 2)" in note for note in notes)


def test_every_data_set_on_which_n_is_too_small_is_named(make_frame: Maker) -> None:
    values = {
        (dataset, method, "psnr"): [20.0 + k + (method == "a") * 0.1 * k for k in range(1, n + 1)]
        for dataset, n in (("Set5", 5), ("few", 3))
        for method in ("a", "bicubic")
    }
    (note,) = [n for n in score_table(make_frame(values), baseline="bicubic").notes if "‡" in n]
    assert "Set5 (5 images" in note
    assert "few (3 images" in note


def test_methods_without_a_common_image_keep_their_line(make_frame: Maker) -> None:
    values = {
        ("Set5", "a", "psnr"): [20.0, math.nan],
        ("Set5", "b", "psnr"): [math.nan, 22.0],
    }
    table = score_table(make_frame(values))
    assert [cell.n for cell in line(table, "Set5", "psnr").values()] == [0, 0]
    assert any("2 of 2 images are left out" in note for note in table.notes)


def test_the_protocol_is_one_that_all_folders_have(make_frame: Maker) -> None:
    first = make_frame({("Set5", "a", "psnr"): [1.0]}, protocol="matlab").assign(folder="r1")
    second = [
        make_frame({("Set5", "b", "psnr"): [2.0]}, protocol=name).assign(folder="r2")
        for name in ("ledig2017", "matlab")
    ]
    frame = pd.concat([first, *second], ignore_index=True)
    assert set(select(frame, None, None)["protocol"]) == {"matlab"}
    assert set(select(second[0], None, None)["protocol"]) == {"ledig2017"}
    with pytest.raises(UsageError, match=r"r1 contributes nothing: it holds no protocol ledig"):
        select(frame, "ledig2017", None)
    apart = pd.concat([first, second[0]], ignore_index=True)
    with pytest.raises(UsageError, match="r1 has matlab; r2 has ledig2017"):
        select(apart, None, None)


def test_a_folder_that_contributes_nothing_is_named(make_frame: Maker) -> None:
    first = make_frame({("Set5", "a", "psnr"): [1.0]}).assign(folder="r1")
    second = make_frame({("Set5", "b", "ssim"): [0.5]}).assign(folder="r2")
    frame = pd.concat([first, second], ignore_index=True)
    with pytest.raises(UsageError, match=r"r2 contributes nothing: it holds no metric psnr"):
        score_table(frame, metrics=["psnr"])
    with pytest.raises(UsageError, match=r"r1 contributes nothing: .* srgan-mse"):
        score_table(
            pd.concat(
                [first, make_frame({("Set5", "srgan-mse", "psnr"): [1.0]}).assign(folder="r2")]
            ),
            "losses",
        )
    scales = pd.concat([first, second.assign(scale=2)], ignore_index=True)
    with pytest.raises(UsageError, match=r"hold scales 2 and 4\. Choose one with scale="):
        select(scales, None, None)
    said: list[str] = []
    assert set(select(scales, None, 4, say=said.append)["folder"]) == {"r1"}
    assert said == ["r2 adds nothing: it holds no scale 4."]
    with pytest.raises(UsageError, match="hold no scale 3"):
        select(scales, None, 3)


SEVERAL = {
    (dataset, method, metric): [level + k + (dataset == "Set14") for k in range(9)]
    for dataset in ("Set5", "Set14")
    for method, level in (("a", 1.0), ("b", 2.0), ("c", 3.0))
    for metric in ("psnr", "ssim")
}


def printed(table: ScoreTable) -> list[list[str]]:
    """The cells of every row of values."""
    return [[cell.text for cell in row.cells] for row in table.rows if row.kind == "value"]


def test_methods_data_sets_and_metrics_stand_in_the_order_given(make_frame: Maker) -> None:
    frame = make_frame(SEVERAL)
    table = score_table(
        frame, methods=["c", "a", "c"], datasets=["Set14", "Set5"], metrics=["ssim", "psnr"]
    )
    assert [column.heading for column in table.columns] == ["", "", "c", "a"]
    assert [row[:2] for row in printed(table)] == [
        ["Set14", "SSIM"], ["", "PSNR"], ["Set5", "SSIM"], ["", "PSNR"],
    ]  # fmt: skip
    assert not any("b" in re.findall(r"\w+", note) for note in table.notes)
    assert [column.heading for column in score_table(frame).columns] == ["", "", "a", "b", "c"]
    given: list[dict[str, Any]] = [{name: ["no"]} for name in ("methods", "datasets", "metrics")]
    for argument in given:
        with pytest.raises(UsageError, match=r"^These results have no [a-z ]+ 'no'"):
            score_table(frame, **argument)
    with pytest.raises(UsageError, match="This table has no method 'b'"):
        score_table(frame, methods=["a", "c"], baseline="b")


def test_means_are_over_the_images_of_the_methods_that_are_shown(make_frame: Maker) -> None:
    values = {
        ("Set5", "a", "psnr"): [20.0, 30.0, 40.0],
        ("Set5", "b", "psnr"): [20.0, math.nan, math.nan],
    }
    table = score_table(make_frame(values), methods=["a"])
    assert line(table, "Set5", "psnr")["a"].n == 3
    assert not any("left out" in note for note in table.notes)


def test_scales_stand_below_each_other_ranked_and_tested_apart(make_frame: Maker) -> None:
    harder = {key: [v / 2 for v in values[::-1]] for key, values in HARD.items()}
    frame = pd.concat([make_frame(HARD, scale=2), make_frame(harder)], ignore_index=True)
    table = score_table(frame, pairs=True)
    assert [row[0] for row in printed(table)] == ["Set14 ×2", "Set14 ×4"]
    assert table.title.startswith("Super-resolution ×2, ×4,")
    assert any("Holm within data set, scale and metric" in note for note in table.notes)
    assert any("n: Set14 ×2 14, Set14 ×4 14" in note for note in table.notes)
    for scale, values in ((2, HARD), (4, harder)):
        alone = score_table(make_frame(values, scale=scale), pairs=True)
        for name in ("frame", "tests"):
            both = getattr(table, name)
            part = both[both["scale"] == scale].reset_index(drop=True)
            pd.testing.assert_frame_equal(part, getattr(alone, name))
    assert "×" not in printed(alone)[0][0]
    assert json.loads(table.to_json())["scales"] == [2, 4]


@pytest.mark.parametrize("form", ["text", "markdown", "latex", "html"])
@pytest.mark.parametrize("transposed", [False, True])
def test_intervals_are_where_they_are_asked_for(
    make_frame: Maker, form: str, transposed: bool
) -> None:
    values = {("Set5", m, "psnr"): [20.0 + k, 22 + k, 27 + k] for k, m in enumerate("ab")}
    # scipy.stats.t.interval(0.95, 2, 23, scipy.stats.sem([20, 22, 27]))
    said: dict[Intervals, str] = {
        "below": "Below each, the 95", "beside": "Beside each, half the 95",
        "apart": "The second table has the 95", "none": "",
    }  # fmt: skip
    for intervals, note in said.items():
        table = score_table(make_frame(values), intervals=intervals, transposed=transposed)
        text = table.render(form)
        span = "14.04--31.96" if form == "latex" else "14.04–31.96"
        half = "$\\pm$ 8.96" if form == "latex" else "± 8.96"
        assert (span in text, half in text) == (
            intervals in ("below", "apart"),
            intervals == "beside",
        )
        assert note in text
        if not note:
            assert "interval" not in text.split("</style>")[-1].split("<script>")[0]


def test_half_an_interval_gives_way_to_its_ends_where_a_limit_cuts_it(make_frame: Maker) -> None:
    values = {
        ("Set5", "a", "ssim"): [0.99, 0.9, 0.6],
        ("Set5", "b", "ssim"): [0.50, 0.51, 0.52],
    }
    table = score_table(make_frame(values), intervals="beside")
    beside = [cell.beside for row in table.rows for cell in row.cells if cell.beside]
    assert beside == ["[0.3227–1.0000]", "± 0.0248"]
    assert any("its ends in brackets" in note for note in table.notes)


def test_methods_down_have_the_same_figures(make_frame: Maker) -> None:
    across = score_table(make_frame(SEVERAL), pairs=True)
    down = score_table(make_frame(SEVERAL), pairs=True, transposed=True)
    assert [column.full for column in down.columns] == [
        "", "Set5 PSNR", "Set5 SSIM", "Set14 PSNR", "Set14 SSIM",
    ]  # fmt: skip
    assert [row[1:] for row in printed(down)] == [
        list(column) for column in zip(*(row[2:] for row in printed(across)), strict=True)
    ]
    assert down.notes == across.notes
    pd.testing.assert_frame_equal(down.frame, across.frame)


def test_a_note_says_only_what_is_in_sight(make_frame: Maker) -> None:
    alone = score_table(
        make_frame({("Set5", "a", "psnr"): [1.0, 2, 3], ("Set5", "hr", "psnr"): [4.0, 5, 6]})
    )
    assert not any("bold" in note or "HR" in note for note in alone.all_notes)
    two = score_table(
        make_frame({("Set5", m, "psnr"): [1.0 + k, 2, 3] for k, m in enumerate("ab")})
    )
    assert two.all_notes[0] == "Best bold, second underlined."
    assert "bold" in two.to_markdown()
    assert "bold" in two.render("text", colour=True)
    assert "bold" not in two.to_text()
    equal = score_table(make_frame({("Set5", m, "psnr"): [1.0, 2, 3] for m in "ab"}))
    assert equal.all_notes[0] == "Best bold."
    same = {("Set14", m, "psnr"): list(BASE + RNG.normal(0, 1, 14)) for m in ("a", "b")}
    table = score_table(make_frame(same), baseline="a")
    assert any("No method was shown to differ from a" in note for note in table.notes)
    assert not any("* differs" in note for note in table.notes)


def test_the_originals_have_no_interval(make_frame: Maker) -> None:
    values = {("Set5", "a", "ssim"): [0.7, 0.8, 0.9], ("Set5", "hr", "ssim"): [1.0, 1.0, 1.0]}
    table = score_table(make_frame(values))
    assert "1.0000–1.0000" not in table.to_text()
    assert "1.0000" in table.to_text()


def test_one_value_a_set_has_no_interval_no_test_and_no_count(make_frame: Maker) -> None:
    frame = pd.concat(
        [
            make_frame(HARD),
            make_frame(
                {("Set14", m, "fid"): [k + 1.0] for k, m in enumerate(("bicubic", "lanczos"))}
            ).assign(image=""),
        ],
        ignore_index=True,
    )
    table = score_table(frame, baseline="bicubic")
    assert set(table.tests["metric"]) == {"psnr"}
    assert set(table.frame.loc[table.frame["metric"] == "fid", "unit"]) == {"set"}
    assert any("one value for all images of a set" in note for note in table.notes)
    assert any("(n: Set14 14)" in note for note in table.notes)
    assert not any("Fewer than 3" in note for note in table.notes)
    assert [row.kind for row in table.rows] == ["value", "interval", "value"]
