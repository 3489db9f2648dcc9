"""Votes through the command line: what is printed, and every kind of bad input."""

from __future__ import annotations

import json
import math
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from scipy import stats

from sreval import api
from sreval.errors import UsageError
from sreval.images.io import write_png
from sreval.opinions.simulation import RaterModel, make_stimuli, simulate_votes
from sreval.store.csvs import to_csv
from tests.opinions.builders import random_votes
from tests.opinions.conftest import expected, ratings_folder

__all__ = ["expected", "ratings_folder"]

OK, FAILED, USAGE, PARTIAL = 0, 1, 2, 3
Sreval = Callable[..., Any]

LONG = "rater,image,method,score\n"


def sentence(ran: Any) -> str:
    """The one line on stderr that says what is wrong."""
    lines = ran.err.strip().splitlines()
    assert len(lines) == 1, ran.err
    assert lines[0].startswith("Error: ")
    assert "should not" not in lines[0]
    return str(lines[0].removeprefix("Error: "))


@pytest.fixture
def votes(tmp_path: Path) -> Path:
    path = tmp_path / "votes.csv"
    random_votes().to_csv(path, index=False)
    return path


@pytest.fixture
def simulated(tmp_path: Path) -> Path:
    path = tmp_path / "simulated.csv"
    stimuli = make_stimuli({"nearest": 1.5, "b": 3.0, "hr": 4.4}, 8)
    simulate_votes(stimuli, RaterModel(), 9).to_csv(path, index=False)
    return path


def test_mos_are_the_plain_means_and_say_what_they_are_about(sreval: Sreval, votes: Path) -> None:
    ran = sreval("opinions", votes, "--analyse", "mos", "--unit", "rater")
    assert ran.code == OK, ran.err
    frame = pd.read_csv(votes)
    for method, mean in frame.groupby("method")["score"].mean().items():
        (line,) = [line for line in ran.out.splitlines() if line.startswith(f"Set5      {method} ")]
        assert f" {mean:.2f} " in line
    assert "unit rater, about these images, raters in general" in ran.out
    assert f"{len(frame)} votes by 8 raters on 18 stimuli.\n" in ran.out


def test_json_holds_the_full_numbers(sreval: Sreval, votes: Path) -> None:
    ran = sreval("opinions", votes, "--analyse", "mos", "--unit", "image", "--level", 0.5, "--json")
    content = json.loads(ran.out)
    frame = pd.read_csv(votes)
    rows = {row["method"]: row for row in content["sections"][0]["rows"]}
    of = frame[frame["method"] == "b"]
    images = of.groupby("image")["score"].mean()
    assert rows["b"]["mos"] == pytest.approx(of["score"].mean(), abs=1e-12)
    assert rows["b"]["unit"] == "image"
    half = 0.72668684 * max(images.std(ddof=1) / np.sqrt(6), np.sqrt(0.5 / len(of)))
    assert 2 < images.mean() - half < images.mean() + half < 4
    assert rows["b"]["high"] - rows["b"]["low"] == pytest.approx(2 * half, rel=1e-6)
    assert content["simulated"] is False


def test_without_a_choice_all_is_done_that_can_be(sreval: Sreval, votes: Path) -> None:
    ran = sreval("opinions", votes)
    assert ran.code == OK, ran.err
    for title in ("Mean opinion scores", "Which methods differ on Set5", "Screening", "The raters"):
        assert title in ran.out
    assert "Methods that share a letter weren't shown to differ" in ran.out
    assert "Not done: retest: The votes hold no repeat" in ran.out
    assert "Not done: metrics: No benchmark results are given." in ran.out


def test_simulated_votes_are_marked_everywhere(
    sreval: Sreval, simulated: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    ran = sreval("opinions", simulated, "--out", out)
    assert ran.code == OK, ran.err
    assert ran.out.splitlines()[-1] == str(out)
    titles = [line for line in ran.out.splitlines() if line.endswith("(simulated)")]
    assert len(titles) == len(list(out.glob("*.csv"))) > 5
    for table in out.glob("*.csv"):
        assert pd.read_csv(table)["simulated"].all()
    figures = {path.stem for path in out.glob("*.svg")}
    assert figures == {
        "scores-simulated", "ranks-simulated", "significance-simulated", "raters", "matrix", "sos"
    }  # fmt: skip


def test_the_published_reliability_is_printed(
    sreval: Sreval, ratings_folder: Path, expected: Any
) -> None:
    ran = sreval("opinions", ratings_folder / "nflx_public.raw.csv", "--analyse", "reliability")
    for name, value in (
        ("ICC(A,1) ", "0.7446"),
        ("ICC(A,26)", "0.9870"),
        ("Krippendorff's alpha, ordinal", "0.7143"),
        ("SOS coefficient a", "0.1980"),
    ):
        (line,) = [line for line in ran.out.splitlines() if line.startswith(name)]
        assert f" {value}" in line


def test_the_nested_json_reaches_the_published_systems(
    sreval: Sreval, ratings_folder: Path, expected: Any
) -> None:
    path = ratings_folder / "blizzard_paid_participants.json"
    asked = ("--analyse", "mos", "--interval", "crowdmos", "--missing", "0", "--json")
    ran = sreval("opinions", path, *asked)
    rows = {int(row["method"]): row for row in json.loads(ran.out)["sections"][0]["rows"]}
    published = expected["blizzard_paid_participants"]
    ours = [rows[i + 1] for i in range(len(rows))]
    assert [row["mos"] for row in ours] == pytest.approx(published["mos"], rel=1e-6)
    half = [(row["high"] - row["low"]) / 2 for row in ours]
    assert half == pytest.approx(published["ci95_crowdmos"], rel=1e-6)


@pytest.mark.parametrize("name", ["nflx_public", "unanimous_counterexample"])
def test_bt500_rejects_nobody_on_honest_raters(
    sreval: Sreval, ratings_folder: Path, name: str
) -> None:
    ran = sreval("opinions", ratings_folder / f"{name}.raw.csv", "--analyse", "screening")
    assert "bt500 (ITU-R BT.500-15 A1-2.3.1): rejects 0 of " in ran.out


def test_a_matrix_and_its_description(sreval: Sreval, tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("1,2\n,5\n4,4\n3,5\n")
    (tmp_path / "s.csv").write_text("image,method\nx,a\nx,b\ny,a\ny,b\n")
    told = ("--header", "no", "--stimuli", tmp_path / "s.csv")
    ran = sreval("opinions", tmp_path / "m.csv", *told, "--analyse", "mos")
    assert ran.code == OK, ran.err
    assert [line.split()[:2] for line in ran.out.splitlines()[3:5]] == [
        ["a", "2.75"],
        ["b", "4.50"],
    ]


def two_panels(path: Path) -> Path:
    """Votes on two data sets by raters of their own, some of them repeated."""
    one = random_votes(methods=3, images=6, raters=16)
    one["method"] = one["method"].replace({"c": "hr"})
    one = pd.concat([one.assign(kind="vote"), one[::7].assign(kind="repeat")])
    other = one.assign(dataset="Set14", rater="o" + one["rater"])
    pd.concat([one, other]).to_csv(path, index=False)
    return path


def test_the_standards_are_made_where_they_are_named(sreval: Sreval, tmp_path: Path) -> None:
    path = two_panels(tmp_path / "votes.csv")
    ran = sreval("opinions", path, "--analyse", "standards", "--json")
    assert ran.code == OK, ran.err
    procedures, by_method, differences = json.loads(ran.out)["sections"]
    rows = {row["procedure"]: row for row in procedures["rows"]}
    assert list(rows) == [
        "MOS", "BT.500", "bias removed", "P.913", "P.913 (correlation)", "P.910 (10/2023)",
    ]  # fmt: skip
    repeats = "84 repeats among them: the standards count repeats as votes"
    assert any(repeats in note for note in procedures["notes"])
    assert rows["MOS"]["n_votes"] == 2 * 288 + 84
    assert len(by_method["rows"]) == 6 * 36
    assert len(differences["rows"]) == 24
    text = sreval("opinions", path, "--analyse", "standards").out
    assert "the votes prefer that of" in text
    assert "the votes fall into 2 parts" in text


def test_parts_are_recovered_each_on_its_own(sreval: Sreval, tmp_path: Path) -> None:
    path = two_panels(tmp_path / "votes.csv")
    ran = sreval("opinions", path, "--analyse", "recovery", "--json")
    assert ran.code == OK, ran.err
    quality, raters = json.loads(ran.out)["sections"]
    assert {row["part"] for row in quality["rows"]} == {1, 2}
    assert {row["part"] for row in raters["rows"]} == {1, 2}
    assert any("can't be compared" in note for note in quality["notes"])
    alone = sreval("opinions", path, "--analyse", "recovery", "--dataset", "Set5", "--json")
    (own, _) = json.loads(alone.out)["sections"]
    assert "part" not in own["rows"][0]
    part = {(r["image"], r["method"]): r["quality"] for r in quality["rows"] if r["part"] == 2}
    assert part == pytest.approx({(r["image"], r["method"]): r["quality"] for r in own["rows"]})


def test_every_analysis_is_of_the_named_data_sets(sreval: Sreval, tmp_path: Path) -> None:
    path = two_panels(tmp_path / "votes.csv")
    asked = ("--analyse", "mos", "--analyse", "compare", "--analyse", "reliability")
    ran = sreval("opinions", path, *asked, "--dataset", "Set14")
    assert ran.code == OK, ran.err
    assert "Set14" in ran.out
    assert "Set5" not in ran.out
    assert "288 votes by 16 raters on 18 stimuli." in ran.out
    both = sreval("opinions", path, "--analyse", "mos", "--dataset", "Set5", "--dataset", "Set14")
    assert both.out == sreval("opinions", path, "--analyse", "mos").out
    unknown = sreval("opinions", path, "--dataset", "Urban100")
    assert (unknown.code, unknown.out) == (USAGE, "")
    assert sentence(unknown) == "Unknown data set 'Urban100'. Known: Set5, Set14."
    unnamed = tmp_path / "unnamed.csv"
    random_votes().drop(columns="dataset").to_csv(unnamed, index=False)
    ran = sreval("opinions", unnamed, "--dataset", "Set5")
    assert ran.code == USAGE
    assert "The votes name no data set." in ran.err


def test_each_figure_of_reliability_says_on_how_many_stimuli_it_rests(
    sreval: Sreval, tmp_path: Path
) -> None:
    votes = random_votes(methods=3, images=6, raters=8)
    votes = votes[~((votes["rater"] == "r00") & (votes["image"] > "img_001"))]
    path = tmp_path / "votes.csv"
    votes.to_csv(path, index=False)
    ran = sreval("opinions", path, "--analyse", "reliability", "--json")
    (section,) = json.loads(ran.out)["sections"]
    rows = {row["figure"]: row for row in section["rows"]}
    assert rows["ICC(A,1)"]["stimuli"] == 6
    alpha = rows["Krippendorff's alpha, ordinal"]
    assert alpha["stimuli"] == 18
    assert alpha["low"] < alpha["value"] < alpha["high"]
    assert any("ICC leaves out 12 of 18 stimuli" in note for note in section["notes"])


def test_leaving_raters_out_is_said(sreval: Sreval, votes: Path) -> None:
    ran = sreval("opinions", votes, "--analyse", "mos", "--without", "r01", "--without", "r02")
    assert ran.code == OK
    assert "by 6 raters" in ran.out
    assert "Votes that weren't accepted: 36 (left out by name)." in ran.out


# Forms of a file


def test_what_may_be_votes_is_asked_and_the_answer_works(sreval: Sreval, tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text("1,2,3,4,5\n5,5,5,5,5\n5,5,5,5,5\n")
    ran = sreval("opinions", path, "--analyse", "mos")
    assert (ran.code, ran.out) == (FAILED, "")
    assert sentence(ran).endswith("Say which by --header no or --header yes.")
    for answer, votes, mean in (("yes", 10, "5.00"), ("no", 15, "4.33")):
        ran = sreval("opinions", path, "--analyse", "mos", "--header", answer)
        assert ran.out.splitlines()[3].split()[:2] == ["unnamed", mean]
        assert f"{votes} votes by 5 raters" in ran.out


def test_a_value_for_a_vote_not_cast_is_named(sreval: Sreval, tmp_path: Path) -> None:
    path = tmp_path / "v.csv"
    path.write_text(LONG + "r1,x,a,4\nr1,y,a,0\nr2,x,a,4\nr2,y,a,2\n")
    ran = sreval("opinions", path)
    assert "or name what marks it with --missing." in sentence(ran)
    ran = sreval("opinions", path, "--analyse", "mos", "--missing", "0")
    assert "3 votes by 2 raters" in ran.out
    assert ran.err == f"{path}: cells taken as votes not cast (0): 1.\n"
    ran = sreval("opinions", path, "--analyse", "mos", "--rating-scale", "0..5")
    assert "4 votes by 2 raters" in ran.out


def test_a_slider_is_analysed_and_drawn_in_its_five_bands(sreval: Sreval, tmp_path: Path) -> None:
    frame = random_votes()
    generator = np.random.default_rng(0)
    sliders = frame.assign(
        score=frame["score"] * 40 - 120 + generator.integers(0, 4, len(frame)) / 4
    )
    repeats = sliders.assign(kind="repeat", score=sliders["score"] - 0.25)
    path = tmp_path / "v.csv"
    pd.concat([sliders.assign(kind="vote"), repeats]).to_csv(path, index=False)
    scale = ("--rating-scale", "-100..100")
    ran = sreval("opinions", path, "--analyse", "mos", "--analyse", "retest", *scale, "--json")
    assert ran.code == OK, ran.err
    mos, retest = json.loads(ran.out)["sections"]
    means = sliders.groupby("method")["score"].mean()
    assert {row["method"]: row["mos"] for row in mos["rows"]} == pytest.approx(means.to_dict())
    (kappa,) = [row for row in retest["rows"] if "kappa" in str(row)]
    spread = 2 * sliders["score"].var(ddof=0) + 0.25**2
    assert kappa["value"] == pytest.approx(1 - 0.25**2 / spread)
    out = ("--out", tmp_path / "f.svg")
    ran = sreval("figure", "opinions", path, "--kind", "scores", *scale, *out)
    assert "Scores -100 (worst) to 100 (best) in 5 equal bands, dark to light." in ran.err
    for kind in ("matrix", "sos"):
        assert sreval("figure", "opinions", path, "--kind", kind, *scale, *out).code == OK


@pytest.mark.parametrize("scale", ["5", "1..nan", "1..5/x", "..", "1..1e400"])
def test_a_scale_that_is_none(sreval: Sreval, votes: Path, scale: str) -> None:
    for command in (("opinions", votes), ("table", "results")):
        ran = sreval(*command, "--rating-scale", scale)
        assert ran.code == USAGE
        assert sentence(ran).startswith(
            f"Can't read the scale {scale!r}. Write LOW..HIGH, such as 1..5"
        )


@pytest.mark.parametrize("value", ["", "maybe", "1"])
def test_what_a_matrix_has_is_yes_or_no(sreval: Sreval, votes: Path, value: str) -> None:
    for option in ("--header", "--labels"):
        ran = sreval("opinions", votes, option, value)
        assert ran.code == USAGE
        assert "'yes', 'no'" in ran.err


@pytest.fixture
def means(tmp_path: Path) -> Path:
    """Mean opinion scores of 24 stimuli; psnr rises with them, lpips and niqe fall."""
    mos = np.linspace(1.2, 4.8, 24)
    frame = pd.DataFrame(
        {"image": [f"i{i % 8}" for i in range(24)], "method": np.repeat(["a", "b", "c"], 8)}
    ).assign(MOS=mos, n=20, PSNR=20 + 2 * mos, lpips=1 - mos / 5, niqe=9 - mos, taste="fine")
    path = tmp_path / "means.csv"
    frame.to_csv(path, index=False)
    return path


def test_a_table_of_means_brings_its_metrics(sreval: Sreval, means: Path, tmp_path: Path) -> None:
    ran = sreval("opinions", means, "--lower-is-better", "niqe", "--json", "--out", tmp_path / "o")
    assert ran.code == OK, ran.err
    content = json.loads(ran.out)
    found = {
        (row["metric"], row["statistic"]): row["estimate"] for row in content["sections"][0]["rows"]
    }
    for metric in ("psnr", "lpips", "niqe"):
        assert found[metric, "srocc"] == pytest.approx(1)
        assert found[metric, "plcc"] == pytest.approx(1, abs=1e-3)
    assert "further columns are left alone: n, taste. A metric among them" in ran.err
    needs = "needs votes; this table has mean opinion scores."
    assert f"mos: The analysis mos {needs}" in content["not_done"]
    assert len(content["not_done"]) == 7
    assert (tmp_path / "o" / "metrics.svg").is_file()


def test_a_table_of_means_says_what_needs_votes(
    sreval: Sreval, means: Path, tmp_path: Path
) -> None:
    needs = "needs votes; this table has mean opinion scores. Give one row per vote"
    for command in (
        ("opinions", means, "--analyse", "compare"),
        ("opinions", means, "--without", "r1"),
        ("figure", "opinions", means, "--kind", "ranks", "--out", tmp_path / "f.svg"),
    ):
        ran = sreval(*command)
        assert ran.code == FAILED
        assert needs in ran.err.splitlines()[-1]
    figure = ("figure", "opinions", means, "--kind", "metrics", "--out", tmp_path / "f.svg")
    assert sreval(*figure).code == OK


def test_metrics_that_nobody_knows_are_asked_for(sreval: Sreval, tmp_path: Path) -> None:
    path = tmp_path / "means.csv"
    path.write_text("image,mos,niqe\n" + "".join(f"i{i},{1 + i / 2},{9 - i}\n" for i in range(8)))
    asked = ("opinions", path, "--analyse", "metrics")
    ran = sreval(*asked)
    assert ran.code == USAGE
    assert "no metric that is known (psnr, ssim, lpips, lpips-vgg, ms-ssim," in ran.err
    assert "by --higher-is-better and --lower-is-better: niqe." in ran.err
    assert sreval(*asked, "--lower-is-better", "NIQE").code == OK
    ran = sreval(*asked, "--lower-is-better", "niqe", "--higher-is-better", "niqe")
    assert sentence(ran) == "niqe can't be better when higher and when lower. Name it once."


def test_an_exports_guarded_names_join_the_results(
    sreval: Sreval, photograph: npt.NDArray[np.uint8], tmp_path: Path
) -> None:
    for name in ("+1", "-2;=x"):
        write_png(tmp_path / "set" / f"{name}.png", photograph)
    out = tmp_path / "results"
    methods = ("--method", "@m=nearest", "--method", "bicubic", "--metric", "psnr")
    data = ("--dataset", tmp_path / "set", "--protocol", "matlab", "--out", out)
    ran = sreval("benchmark", *methods, *data)
    assert ran.code == OK, ran.err
    exported = to_csv(
        pd.DataFrame(
            [
                ("set", rater, image, method, score)
                for rater in ("r1", "r2")
                for image in ("+1", "-2;=x")
                for method, score in (("@m", 2), ("bicubic", 4))
            ],
            columns=["dataset", "rater", "image", "method", "score"],
        )
    )
    assert b"'+1" in exported
    (tmp_path / "votes.csv").write_bytes(exported)
    ran = sreval("table", out, "--ratings", tmp_path / "votes.csv", "--json")
    assert ran.code == OK, ran.err
    figures = json.loads(ran.out)["figures"]
    mos = {row["method"]: row["mean"] for row in figures if row["metric"] == "mos"}
    assert mos == {"@m": 2, "bicubic": 4}
    with zipfile.ZipFile(tmp_path / "export.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(tmp_path / "votes.csv", "votes.csv")
    whole = sreval("table", out, "--ratings", tmp_path / "export.zip", "--json")
    assert json.loads(whole.out)["figures"] == figures


def test_scores_made_elsewhere_meet_the_opinions(
    sreval: Sreval, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sreval.metrics.metric._declared", {})
    random = np.random.default_rng(0)
    for name in "abcd":
        pixels = random.integers(0, 255, (16, 16, 3), np.uint8)
        write_png(tmp_path / "set" / f"{name}.png", pixels)
    methods = ("--method", "nearest", "--method", "bicubic", "--metric", "psnr")
    out = ("--dataset", tmp_path / "set", "--out", tmp_path / "r")
    assert sreval("benchmark", *methods, *out).code == OK
    subjects = [(method, image) for method in ("nearest", "bicubic") for image in "abcd"]
    votes = [
        ("set", rater, image, method, 1 + (place + (rater == "s")) // 2)
        for rater in "rs"
        for place, (method, image) in enumerate(subjects)
    ]
    columns = ["dataset", "rater", "image", "method", "score"]
    pd.DataFrame(votes, columns=columns).to_csv(tmp_path / "votes.csv", index=False)
    elsewhere = [
        ("set", method, image, 8 - place) for place, (method, image) in enumerate(subjects)
    ]
    scores = pd.DataFrame(elsewhere, columns=["dataset", "method", "image", "niqe"])
    scores.to_csv(tmp_path / "scores.csv", index=False)
    given = ("--results", tmp_path / "r", "--scores", tmp_path / "scores.csv")
    asked = ("opinions", tmp_path / "votes.csv", "--analyse", "metrics", "--json")
    ran = sreval(*asked, *given, "--lower-is-better", "niqe")
    assert ran.code == OK, ran.err
    assert ran.err.count("niqe: computed elsewhere, scores.csv") == 1
    rows = json.loads(ran.out)["sections"][0]["rows"]
    found = {(row["metric"], row["statistic"]): row["estimate"] for row in rows}
    assert found["niqe", "srocc"] == pytest.approx(1, abs=0.03)
    assert ("psnr", "srocc") in found
    drawing = ("figure", "opinions", tmp_path / "votes.csv", "--kind", "metrics")
    drawn = sreval(*drawing, *given, "--lower-is-better", "niqe", "--out", tmp_path / "f.svg")
    assert drawn.code == OK, drawn.err
    assert "niqe" in (tmp_path / "f.svg").read_text(encoding="utf-8")
    ran = sreval(*asked, *given[2:])
    assert (ran.code, ran.err.count("Add --results FOLDER.")) == (USAGE, 1)


def test_every_analysis_obeys_the_level_and_says_it(sreval: Sreval, tmp_path: Path) -> None:
    first = random_votes(methods=3, images=9, raters=16)
    first["method"] = first["method"].replace({"c": "hr"})
    again = first[first["image"] == "img_000"].assign(kind="repeat")
    again["score"] = 6 - again["score"]
    path = tmp_path / "votes.csv"
    pd.concat([first.assign(kind="vote"), again]).to_csv(path, index=False)
    for analysis in (
        "mos", "stimuli", "recovery", "standards", "reliability", "retest", "difference",
    ):  # fmt: skip
        widths = []
        for level in (0.9, 0.999):
            ran = sreval("opinions", path, "--analyse", analysis, "--level", level, "--json")
            assert ran.code == OK, ran.err
            sections = json.loads(ran.out)["sections"]
            assert {section["level"] for section in sections} == {level}
            rows = [row for section in sections for row in section["rows"]]
            pairs = [("low", "high"), ("bias_low", "bias_high")]
            pairs.append(("inconsistency_low", "inconsistency_high"))
            widths.append(
                np.array([r[h] - r[lo] for r in rows for lo, h in pairs if r.get(lo) is not None])
            )
        assert widths[0].size
        own = ~np.isclose(widths[0], widths[1]) | (widths[0] == 0)
        assert (widths[1] >= widths[0] - 1e-12).all()
        assert own.mean() > 0.4  # the range of the raters has no level
        shown = sreval("opinions", path, "--analyse", analysis, "--level", 0.999).out
        assert "99.9%" in shown
        simulated = r"claim 95%|95% were claimed|to 95%"  # what was simulated is of one level
        assert "95%" not in re.sub(simulated, "", " ".join(shown.split()))
        assert " 100%" not in shown


def test_a_mean_over_unequally_viewed_images_weighs_them_alike(
    sreval: Sreval, tmp_path: Path
) -> None:
    rows = [
        f"r{i},{image},m,{score}\n"
        for i in range(10)
        for image, score in (("A", 5), ("B" if i < 5 else "C", 1))
    ]
    path = tmp_path / "votes.csv"
    path.write_text(LONG + "".join(rows))
    for interval in ("raters", "images", "pooled", "bootstrap"):
        ran = sreval("opinions", path, "--analyse", "mos", "--interval", interval)
        assert "m       2.33" in ran.out
        assert "MOS: mean of the images' mean votes" in ran.out
    ran = sreval("opinions", path, "--analyse", "mos", "--interval", "crowdmos")
    assert "m       3.00" in ran.out
    assert "MOS: mean of all votes" in ran.out
    ran = sreval("opinions", path, "--analyse", "recovery", "--json")
    (row,) = json.loads(sreval("opinions", path, "--analyse", "mos", "--json").out)["sections"][0][
        "rows"
    ]
    stimuli = json.loads(ran.out)["sections"][0]["rows"]
    assert row["mos"] == pytest.approx(np.mean([s["mos"] for s in stimuli]), rel=1e-12)


def test_two_raters_give_a_dash_and_a_note(sreval: Sreval, tmp_path: Path) -> None:
    path = tmp_path / "votes.csv"
    random_votes(raters=2).to_csv(path, index=False)
    out = sreval("opinions", path, "--analyse", "mos").out
    assert all(line.split()[3] == "–" for line in out.splitlines()[3:6])
    assert "with fewer than 3 raters there is no interval" in out


def test_annex_e_says_in_json_when_it_collapsed(sreval: Sreval, tmp_path: Path) -> None:
    path = tmp_path / "votes.csv"
    random_votes(methods=1, images=5, raters=3).to_csv(path, index=False)
    content = json.loads(sreval("opinions", path, "--analyse", "recovery", "--json").out)
    for section in content["sections"]:
        assert section["collapsed"]
        assert set(section["collapsed"]) <= {"r00", "r01", "r02"}
        assert "3 raters: Annex E is unreliable below 15" in " ".join(section["warnings"])
    assert all(row["low"] is None for row in content["sections"][0]["rows"])


# Bad input


BAD: dict[str, tuple[str, str]] = {
    "empty file": ("", "is empty. One row per vote, or one row per stimulus, is expected."),
    "head alone": (LONG, "The table holds no votes."),
    "no votes cast": (LONG + "r1,x,a,\n", "The table holds no votes."),
    "duplicate": (
        LONG + "r1,x,a,3\nr1,x,a,4\n",
        "Column 'score' has a second vote on one stimulus in line 2: 3, line 3: 4. Remove one.",
    ),
    "two scales": (
        LONG + "r1,x,a,3\nr2,x,a,87\n",
        "Column 'score' has a number outside 1..5 in line 3: '87'. Leave the cell of a missing",
    ),
    "no whole score": (
        LONG + "r1,x,a,3\nr2,x,a,3.5\n",
        "'score' has a number between the steps of 1 in line 3: '3.5'. Write --rating-scale 1..5/",
    ),
    "missing column": (
        "rater,image,score\nr1,x,3\n",
        "lack method: the columns are rater, image, score.",
    ),
    "no UTF-8": ("rater,image,method,score\nr\xe9,x,a,3\n", "isn't UTF-8 text."),
    "ragged": (LONG + "r1,x,a,3,4,5\nr,x\n", "isn't a rectangular CSV"),
    "words in a matrix": (
        "p1,p2\n3,x\n",
        "has no score in line 2, column 2: 'x'. Its first",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_table_is_one_sentence(sreval: Sreval, tmp_path: Path, case: str) -> None:
    text, message = BAD[case]
    path = tmp_path / "bad.csv"
    path.write_text(text, encoding="latin-1")
    ran = sreval("opinions", path)
    assert ran.code == FAILED
    assert message in sentence(ran)
    assert ran.out == ""


def test_further_columns_are_left_alone_and_named_once(sreval: Sreval, votes: Path) -> None:
    frame = pd.read_csv(votes)
    before = sreval("opinions", votes).out
    frame.assign(comment="fine", Age=30).to_csv(votes, index=False)
    ran = sreval("opinions", votes)
    assert (ran.code, ran.out) == (OK, before)
    assert ran.err == f"{votes}: further columns are ignored: comment, Age.\n"


def test_a_file_that_is_not_there(sreval: Sreval, tmp_path: Path) -> None:
    ran = sreval("opinions", tmp_path / "gone.csv")
    assert ran.code == FAILED
    assert "gone.csv: No such file or directory." in sentence(ran)


def test_exclusions_that_leave_nobody_or_name_a_stranger(sreval: Sreval, votes: Path) -> None:
    everyone = [part for i in range(8) for part in ("--without", f"r0{i}")]
    ran = sreval("opinions", votes, *everyone)
    assert ran.code == FAILED
    assert sentence(ran) == "Excluding all 8 raters leaves no vote. Use a milder rule."
    ran = sreval("opinions", votes, "--without", "r99")
    assert ran.code == USAGE
    assert sentence(ran).startswith("Unknown rater 'r99'.")


def test_missing_votes_and_a_rater_with_one_vote(sreval: Sreval, tmp_path: Path) -> None:
    frame = random_votes(images=20, seen=0.7)
    once = frame[frame["rater"] == "r00"].index[1:]
    path = tmp_path / "votes.csv"
    frame.drop(once).to_csv(path, index=False)
    ran = sreval("opinions", path)
    assert ran.code == OK, ran.err
    assert "Left out, a single vote each: r00." in ran.out
    assert "ICC leaves out" in ran.out


def test_all_votes_equal(sreval: Sreval, tmp_path: Path) -> None:
    path = tmp_path / "votes.csv"
    random_votes().assign(score=3).to_csv(path, index=False)
    ran = sreval("opinions", path)
    assert ran.code == OK, ran.err
    assert "2.74–3.26" in ran.out
    assert "Not done: reliability: All votes are 3: agreement is undefined." in ran.out
    ran = sreval("opinions", path, "--analyse", "reliability")
    assert ran.code == FAILED
    assert sentence(ran).startswith("All votes are 3: agreement is undefined.")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--analyse", "compare", "--rating-scale", "5"), USAGE, "Can't read the scale '5'."),
        (("--analyse", "difference"), USAGE, "Unknown reference 'hr'."),
        (("--analyse", "retest"), FAILED, "The votes hold no repeat with its first vote."),
        (("--analyse", "metrics"), USAGE, "No benchmark results are given. Add --results"),
        (("--results", "nowhere"), FAILED, "nowhere holds no results.csv."),
    ],
)
def test_what_cannot_be_done_is_said(
    sreval: Sreval, votes: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    ran = sreval("opinions", votes, *arguments)
    assert (ran.code, ran.out) == (code, "")
    assert message in sentence(ran)


def test_figures_by_kind_and_a_data_set_that_must_be_chosen(
    sreval: Sreval, votes: Path, tmp_path: Path
) -> None:
    ran = sreval("figure", "opinions", votes, "--kind", "scores", "--out", tmp_path / "s.pdf")
    assert ran.code == OK, ran.err
    assert (tmp_path / "s.pdf").read_bytes().startswith(b"%PDF")
    both = tmp_path / "both.csv"
    frame = random_votes()
    pd.concat([frame, frame.assign(dataset="Set14")]).to_csv(both, index=False)
    ran = sreval("figure", "opinions", both, "--kind", "ranks", "--out", tmp_path / "r.svg")
    assert ran.code == USAGE
    assert sentence(ran) == "The votes are on Set14, Set5. Choose one with --dataset."
    ran = sreval(
        "figure", "opinions", both, "--kind", "ranks", "--dataset", "Set6", "--out", "r.svg"
    )
    assert sentence(ran).startswith("These votes have no data set 'Set6'. Did you mean 'Set5'")


def ordered(path: Path, raters: int, methods: int) -> Path:
    """Votes of raters who all put the methods in one order."""
    rows = [
        (f"r{r:02}", f"i{i:02}", f"m{m}", 2 + (i <= m) + r % 2)
        for r in range(raters)
        for i in range(methods)
        for m in range(methods)
    ]
    pd.DataFrame(rows, columns=["rater", "image", "method", "score"]).to_csv(path, index=False)
    return path


def test_n_is_too_small_by_the_adjusted_p_and_no_letters_stand(
    sreval: Sreval, tmp_path: Path
) -> None:
    """Nine methods have 36 pairs: 36 x 2^-9 = 0.07 for ten raters, 0.035 for eleven."""
    compare = ("opinions", "--analyse", "compare", "--unit", "rater")
    ten = ordered(tmp_path / "ten.csv", 10, 9)
    text = sreval(*compare, ten).out
    assert text.count("n too small\n") == 36
    assert "(n 10; the least p is 0.0020, adjusted 0.0703)" in text
    assert "share a letter" not in text
    assert "They aren't adjusted for the 36 comparisons" in text
    (told,) = json.loads(sreval(*compare, ten, "--json").out)["sections"]
    assert {row["too_small"] for row in told["rows"]} == {True}
    text = sreval(*compare, ordered(tmp_path / "eleven.csv", 11, 9)).out
    assert "n too small" not in text
    assert "Methods that share a letter weren't shown to differ: m8 a, m7 b" in text
    text = sreval(*compare, ten, "--adjustment", "benjamini-hochberg").out
    assert "n too small" not in text


def test_a_difference_of_unequal_views_says_what_it_is(sreval: Sreval, tmp_path: Path) -> None:
    rows = [
        f"r{rater},i{image},{method},{(4 if image < 2 else 1) + (method == 'b') * (image > 1)}"
        for rater in range(12)
        for image in range(6)
        if rater < 6 or image < 2
        for method in "ab"
    ]
    path = tmp_path / "votes.csv"
    path.write_text("rater,image,method,score\n" + "\n".join(rows))
    said = "the difference is the mean of the raters' mean differences, in which the images don't"
    compare = ("opinions", path, "--analyse", "compare")
    assert said in sreval(*compare, "--unit", "rater").out
    weighted = "Not every rater has votes on every image: the difference is the generalised least"
    assert weighted in sreval(*compare).out
    path.write_text("rater,image,method,score\n" + "\n".join(rows[: 6 * 12]))
    assert said not in sreval(*compare, "--unit", "rater").out
    assert weighted not in sreval(*compare).out


def test_zero_differences_are_told_where_n_is_too_small(sreval: Sreval, tmp_path: Path) -> None:
    rows = [
        f"r{rater},i{image},{method},{4 if method == 'b' and rater < 5 and image == 1 else 3}"
        for rater in range(26)
        for image in range(5)
        for method in "ab"
    ]
    path = tmp_path / "votes.csv"
    path.write_text("rater,image,method,score\n" + "\n".join(rows))
    text = sreval("opinions", path, "--analyse", "compare", "--unit", "rater").out
    assert "(n 26, of which 21 differences are zero; the least p is 0.0625)" in text


def test_power_of_what_no_number_of_raters_can_show(sreval: Sreval) -> None:
    few = ("--images", 5, "--unit", "image", "--methods", 3, "--studies", 10)
    told = sreval("study", "power", "--difference", 0.2, *few).out
    assert "no number does" in told
    assert "With fewer than 7 images no outcome of all comparisons can be significant." in told
    content = json.loads(sreval("study", "power", "--difference", 0.2, *few, "--json").out)
    (row,) = content["needed"]
    assert (row["n_raters"], row["n_images"], row["hopeless"]) == (None, 5, True)
    ran = sreval("study", "power", "--methods", 4, "--comparisons", 9)
    assert (ran.code, ran.out) == (USAGE, "")
    assert "4 methods have 6 pairs, fewer than 9 comparisons." in ran.err


def test_the_level_of_compare_is_obeyed_and_told(sreval: Sreval, votes: Path) -> None:
    compare = ("--analyse", "compare", "--unit", "rater")

    def rows(*options: str) -> list[dict[str, float]]:
        ran = sreval("opinions", votes, *compare, "--json", *options)
        return list(json.loads(ran.out)["sections"][0]["rows"])

    for narrow, wide in zip(rows(), rows("--level", "0.999"), strict=True):
        assert wide["low"] < narrow["low"] < narrow["high"] < wide["high"]
        assert (narrow["level"], wide["level"]) == (0.95, 0.999)
    text = sreval("opinions", votes, *compare, "--level", "0.999").out
    assert " 99.9%  " in text
    assert "the scale's differences, 99.9% for each difference alone." in text


def test_a_friedman_test_that_can_show_nothing_is_not_done(sreval: Sreval, tmp_path: Path) -> None:
    two = sreval("opinions", ordered(tmp_path / "2.csv", 2, 3), "--analyse", "compare").out
    # chi-square 4 on 2 degrees of freedom
    assert "Friedman's test: not done. On 2 raters and 3 methods" in two
    assert "the least p is 0.1353" in two
    one = sreval("opinions", ordered(tmp_path / "1.csv", 1, 3), "--analyse", "compare").out
    assert "Friedman's test: not done. It needs three methods and two raters" in one


@pytest.mark.parametrize(("raters", "small"), [(5, True), (6, False)])
def test_a_retest_on_few_raters_says_that_it_can_show_nothing(
    sreval: Sreval, tmp_path: Path, raters: int, small: bool
) -> None:
    """Every second vote is higher: p is 2 x 2^-5 = 0.0625 for five raters, half of it for six."""
    rows = [
        (f"r{r}", f"i{i}", "m", kind, 2 + (kind == "repeat") * (i <= r))
        for r in range(raters)
        for i in range(raters)
        for kind in ("vote", "repeat")
    ]
    path = tmp_path / "repeats.csv"
    columns = ["rater", "image", "method", "kind", "score"]
    pd.DataFrame(rows, columns=columns).to_csv(path, index=False)
    text = sreval("opinions", path, "--analyse", "retest").out
    assert ("n too small: the least p is 0.0625" in text) == small
    assert ("n too small" in text) == small


def test_power_knows_methods_adjustment_and_alpha(sreval: Sreval) -> None:
    """36 x 2^-9 = 0.07 for ten raters: nothing can be found, whatever the difference."""
    plan = ("--difference", "2", "--images", "20", "--studies", "20", "--unit", "rater")
    raters = ("--raters", "6", "--raters", "10", "--raters", "11")

    def told(*options: str) -> list[float]:
        content = json.loads(sreval("study", "power", *plan, *raters, *options, "--json").out)
        return [row["power"] for row in content["curve"]]

    assert told() == [1, 1, 1]
    assert told("--methods", "9") == [0, 0, 1]
    assert told("--methods", "9", "--adjustment", "none") == [1, 1, 1]
    assert told("--methods", "9", "--comparisons", "2", "--alpha", "0.1") == [1, 1, 1]
    assert told("--alpha", "0.002") == [0, 1, 1]
    text = sreval("study", "power", *plan, *raters, "--methods", "9").out
    assert "Comparisons in all: 36; Holm, alpha 0.05" in text
    assert "With fewer than 11 raters no outcome of all comparisons can be significant." in text
    (line,) = [line for line in text.splitlines() if line.strip().startswith("2.00")]
    assert line.split() == ["2.00", "20", "180", "0.00", "0.00", "1.00"]


def test_power_finds_the_fewest_raters_and_images(sreval: Sreval) -> None:
    plan = ("--difference", "0.6", "--studies", "60")
    ran = sreval("study", "power", *plan, "--images", "20", "--unit", "rater")
    assert ran.code == OK, ran.err
    assert "Power (simulated raters)" in ran.out
    assert "raters needed" in ran.out
    (line,) = [line for line in ran.out.splitlines() if line.strip().startswith("0.60")]
    assert 6 <= int(line.split()[2]) <= 10
    asked = ("--find", "images", "--raters", "10", "--unit", "image", "--repeats", "3", "--json")
    (row,) = json.loads(sreval("study", "power", *plan, *asked).out)["needed"]
    assert row["low"] <= row["n_images"] <= row["high"]
    assert row["items"] == 2 * row["n_images"] + 3
    assert row["simulated"] is True


def test_power_tells_the_level_of_every_look(sreval: Sreval) -> None:
    plan = ("--difference", "0.5", "--images", "14", "--studies", "20", "--unit", "rater")
    text = sreval("study", "power", *plan, "--raters", "26", "--looks", "8,16,26").out
    assert "p must lie below 0.00011 after 8 raters, 0.0085 after 16 raters, 0.047 after 26" in text
    assert "raters on average at a difference of 0.50." in text
    wrong = sreval("study", "power", *plan, "--looks", "8,x")
    assert wrong.code == USAGE
    assert "'8,x' is neither a number nor numbers with commas" in wrong.err


CANCELS = LONG + "r1,1,x,4\nr2,1,x,2\nr1,2,x,2\nr2,2,x,3\nr1,3,x,3\nr2,3,x,4\n"
"""Mean squares of 0.5 (stimuli), 0 (raters) and 1.5 (error): ICC(A,2) is -1 / (0.5 - 1.5 / 3)."""


def test_one_figure_that_is_undefined_takes_no_other_with_it(
    sreval: Sreval, tmp_path: Path
) -> None:
    path = tmp_path / "votes.csv"
    path.write_text(CANCELS)
    ran = sreval("opinions", path)
    assert ran.code == OK, ran.err
    assert ran.err == ""
    for title in ("Mean opinion scores", "Screening", "The raters", "Do raters agree?"):
        assert title in ran.out
    assert "Krippendorff's alpha" in ran.out
    assert "Not done: ICC(A,2): on these votes its formula gives no number" in ran.out


def test_an_analysis_fails_alone_whatever_it_raises(
    sreval: Sreval, votes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sreval.report import opinions

    def broken(frame: pd.DataFrame, request: Any) -> Any:
        raise KeyError("quality")

    monkeypatch.setitem(opinions.ANALYSES, "compare", broken)
    ran = sreval("opinions", votes)
    assert ran.code == PARTIAL
    assert "Do raters agree?" in ran.out
    said = "Not done: compare: sreval failed in a way it should not: KeyError: 'quality'."
    assert said in ran.out
    assert "Traceback" not in ran.out + ran.err
    content = json.loads(sreval("opinions", votes, "--json").out)
    assert [why for why in content["not_done"] if "should not" in why]


def test_where_no_analysis_can_be_done_the_command_fails(sreval: Sreval, tmp_path: Path) -> None:
    path = tmp_path / "votes.csv"
    random_votes().assign(accepted="no").to_csv(path, index=False)
    ran = sreval("opinions", path)
    assert "Not done: mos: None of" in ran.out
    assert ran.code == FAILED


def test_what_was_taken_for_granted_is_in_every_output(sreval: Sreval, tmp_path: Path) -> None:
    path = tmp_path / "matrix.csv"
    path.write_text("2,1,2,2\n1,3,2,NA\n4,5,4,5\n5,4,5,5\n")
    ran = sreval(
        "opinions", path, "--analyse", "mos", "--missing", "NA", "--json", "--out", tmp_path / "o"
    )
    assert ran.code == OK, ran.err
    notes = json.loads(ran.out)["notes"]
    assert [note.removeprefix(f"{path}: ") for note in notes] == [
        "the first row is read as votes, since its numbers repeat (--header no).",
        "cells taken as votes not cast (NA): 1.",
    ]
    for note in notes:
        assert note in ran.err.splitlines()
        assert note in (tmp_path / "o" / "opinions.txt").read_text().splitlines()


@pytest.mark.parametrize(
    ("scale", "said"),
    [
        ("1..5/0.3", "--rating-scale 1..5/0.3: Steps of 0.3 don't lead from 1 to 5. Name another"),
        ("1..5/7", "--rating-scale 1..5/7: Steps of 7 don't lead from 1 to 5. Name another step"),
        (
            "5..1",
            "--rating-scale 5..1: The scale 5..1 doesn't run from low to high. Write LOW..HIGH.",
        ),
        ("one", "Can't read the scale 'one'."),
    ],
)
def test_a_scale_that_cannot_be_says_why(
    sreval: Sreval, votes: Path, scale: str, said: str
) -> None:
    ran = sreval("opinions", votes, "--rating-scale", scale)
    assert ran.code == USAGE
    assert sentence(ran).startswith(said)


def test_of_several_named_analyses_the_others_are_printed(sreval: Sreval, votes: Path) -> None:
    named = ("--analyse", "retest", "--analyse", "mos", "--analyse", "difference")
    ran = sreval("opinions", votes, *named)
    assert ran.code == PARTIAL
    assert ran.out.startswith("Mean opinion scores")
    assert ran.out.endswith(
        "Not done: retest: The votes hold no repeat with its first vote. Mark second votes "
        "kind=repeat.\n"
        "Not done: difference: Unknown reference 'hr'. Known: a, b, c. Name the original by "
        "--reference, if it was rated.\n"
    )
    ran = sreval("opinions", votes, *named[:2], *named[4:])
    assert ran.code == FAILED
    assert ran.out.count("Not done: ") == 2


def test_a_data_set_with_one_method_stops_no_other(sreval: Sreval, tmp_path: Path) -> None:
    both = random_votes()
    alone = random_votes(methods=1).assign(dataset="Set14")
    path = tmp_path / "votes.csv"
    pd.concat([both, alone]).to_csv(path, index=False)
    ran = sreval("opinions", path, "--analyse", "compare")
    assert ran.code == OK, ran.err
    assert "Which methods differ on Set5" in ran.out
    assert "Not done: Set14: Set14 has votes on one method only: a." in ran.out


def test_a_metric_of_one_value_stops_no_other(
    votes: Path, make_scores: Callable[..., pd.DataFrame]
) -> None:
    from sreval.errors import StatisticsError
    from sreval.opinions.votes import check_votes
    from sreval.report.opinions import Request, analyse

    checked = check_votes(pd.read_csv(votes))
    stimuli = checked[["dataset", "image", "method"]].drop_duplicates()
    rng = np.random.default_rng(0)
    scores = make_scores(stimuli, psnr=rng.normal(30, 2, len(stimuli)), ssim=0.9)
    scores = pd.concat([scores, make_scores(stimuli, lpips=np.inf)])
    (made,), not_done = analyse(checked, ["metrics"], Request(scores=scores))
    assert not_done == []
    assert {row.cells[1].text for row in made.rows} == {"PSNR"}
    assert (
        "Not done: Set5: SSIM: all stimuli have the same value, so no correlation exists."
        in made.notes
    )
    assert "Not done: Set5: LPIPS: no stimulus has a finite value." in made.notes
    with pytest.raises(StatisticsError, match=r"Set5: SSIM: all stimuli have the same value"):
        analyse(checked, ["metrics"], Request(scores=make_scores(stimuli, ssim=0.9)))


@pytest.fixture
def make_scores() -> Callable[..., pd.DataFrame]:
    """Benchmark rows of the given metrics on stimuli."""

    def make(stimuli: pd.DataFrame, **metrics: Any) -> pd.DataFrame:
        rows = [
            stimuli.assign(scene="", metric=name, value=value) for name, value in metrics.items()
        ]
        return pd.concat(rows, ignore_index=True)

    return make


def test_methods_on_different_images_are_said_to_be(sreval: Sreval, tmp_path: Path) -> None:
    """b on the five easier of ten images: its mean is higher, on common images it is lower."""
    rows = [
        (f"r{rater}", f"i{image}", method, (4 if image < 5 else 1) - (method == "b"))
        for rater in range(6)
        for image in range(10)
        for method in "ab"
        if method == "a" or image < 5
    ]
    path = tmp_path / "votes.csv"
    frame = pd.DataFrame(rows, columns=["rater", "image", "method", "score"])
    frame["score"] = frame["score"].clip(1, 5)
    frame.to_csv(path, index=False)
    note = (
        "Different images: of 10, b on 5 (not on i5, i6, i7 and 2 more); 5 in common. Their means "
        "can't be compared."
    )
    ran = sreval("opinions", path, "--analyse", "mos", "--json")
    (section,) = json.loads(ran.out)["sections"]
    assert {row["method"]: row["mos"] for row in section["rows"]} == {"a": 2.5, "b": 3.0}
    assert f"{note} MOS over the common images: a 4.00, b 3.00." in section["notes"]
    assert note in sreval("opinions", path, "--analyse", "recovery").out
    reference = ("--analyse", "difference", "--reference", "c")
    third = pd.concat([frame, frame[frame["method"] == "a"].assign(method="c", score=5)])
    third.to_csv(path, index=False)
    assert note in sreval("opinions", path, *reference).out
    same = frame[frame["image"].isin([f"i{n}" for n in range(5)])]
    same.to_csv(path, index=False)
    assert "Different images" not in sreval("opinions", path).out


def test_raters_are_listed_by_their_numbers(sreval: Sreval, tmp_path: Path) -> None:
    frame = random_votes(raters=12)
    frame["rater"] = "r" + (frame["rater"].str[1:].astype(int) + 1).astype(str)
    path = tmp_path / "votes.csv"
    frame.to_csv(path, index=False)
    wanted = [f"r{n}" for n in range(1, 13)]
    for name in ("screening", "recovery"):
        sections = json.loads(sreval("opinions", path, "--analyse", name, "--json").out)["sections"]
        listings = [[row["rater"] for row in s["rows"] if "rater" in row] for s in sections]
        assert wanted in listings


def test_standards_say_why_there_is_no_dmos(sreval: Sreval, votes: Path) -> None:
    ran = sreval("opinions", votes, "--analyse", "standards", "--reference", "none")
    assert ran.code == OK
    assert "No DMOS: none has no votes." in ran.out
    assert "DMOS from recovered quality" not in ran.out


def test_the_ordinal_model_is_printed_when_asked(sreval: Sreval, votes: Path) -> None:
    ran = sreval("opinions", votes, "--analyse", "ordinal")
    assert ran.code == OK, ran.err
    assert "Which methods differ by an ordinal model on Set5" in ran.out
    assert "P(first better)" in ran.out
    assert "ordinal model" not in sreval("opinions", votes, "--analyse", "compare").out


def test_over_both_all_three_claims_stand_side_by_side(sreval: Sreval, votes: Path) -> None:
    ran = sreval("opinions", votes, "--analyse", "compare", "--margin", "0.5")
    assert ran.code == OK, ran.err
    table = ran.out.split("\n\n")[1]
    assert max(map(len, table.splitlines())) <= 100
    head = "n  difference       95%, Holm  p both  p raters  p images  superior  differ?"
    assert table.splitlines()[0].endswith(head)
    assert " 8 x 6 " in table
    for said in (
        "Unit both: raters and images in general.",
        "p raters: these images, raters in general; p images: these raters, images in general",
        "the chance that any of them wrongly does is at most 5%",
        "Equivalence within 0.5 points on Set5",
        "a pair is equivalent exactly where its 90% interval lies between -0.5 and +0.5",
    ):
        assert said in ran.out
    assert "although the test shows no difference" not in ran.out
    assert "Only images that a rater rated under both methods count." in ran.out
    (compared, equivalent) = json.loads(
        sreval("opinions", votes, "--analyse", "compare", "--margin", "0.5", "--json").out
    )["sections"]
    assert equivalent["analysis"] == "equivalence"
    shown = [row["shown"] for row in compared["rows"]]
    assert [row["shown"] for row in equivalent["rows"]] == shown
    assert (compared["level"], equivalent["level"]) == (0.95, 0.9)
    for row in compared["rows"]:
        half = stats.t.ppf(0.975, row["freedom"]) * row["error"]
        assert row["high"] - row["difference"] == pytest.approx(min(half, 4 - row["difference"]))
        spread = math.hypot(row["sd_rater"], row["sd_image"], row["sd_rest"])
        assert row["d_z"] == pytest.approx(row["difference"] / spread)


def _compared(sreval: Sreval, table: pd.DataFrame, path: Path, *options: str) -> str:
    table.to_csv(path, index=False)
    ran = sreval("opinions", path, "--analyse", "compare", *options)
    assert ran.code == OK, ran.err
    return " ".join(ran.out.split())


def test_pairs_without_a_test_of_equivalence_stay_in_its_table(
    sreval: Sreval, tmp_path: Path
) -> None:
    table, path = random_votes(images=6), tmp_path / "votes.csv"
    some = (table["method"] != "c") | table["image"].isin(sorted(set(table["image"]))[:4])
    options = ("--unit", "both", "--margin", "0.5")
    said = _compared(sreval, table[some], path, *options)
    needed = "the test over both needs 5 raters and 5 images in common."
    assert said.count(f"n too small for 2 of 3 pairs: {needed}") == 2
    assert len(re.findall(r"– – – – n too small", said.partition("Equivalence")[2])) == 2
    assert "2 of 3 pairs couldn't be tested; they share a letter untested." in said
    none = _compared(sreval, random_votes(images=4), path, *options).partition("Equivalence")[2]
    assert none.count("– – – – n too small") == 3
    assert f"n too small: {needed}" in none
    pooled = _compared(sreval, table, path, "--unit", "pooled", "--margin", "0.5")
    assert pooled.partition("Equivalence")[2].count("Pooled votes are not independent") == 1


def test_a_margin_that_no_analysis_takes_is_refused(sreval: Sreval, votes: Path) -> None:
    ran = sreval("opinions", votes, "--analyse", "mos", "--margin", "0.5")
    assert (ran.code, ran.out) == (USAGE, "")
    assert "--analyse compare" in sentence(ran)


def test_tests_and_adjusted_intervals_go_by_alpha(sreval: Sreval, tmp_path: Path) -> None:
    table, path = random_votes(images=6), tmp_path / "votes.csv"
    said = _compared(sreval, table, path, "--alpha", "0.2", "--level", "0.99")
    assert " 80%, Holm " in said
    assert "alpha 0.2." in said
    assert "go by alpha. low and high in JSON and CSV are of each difference alone, at 99%." in said
    one = _compared(sreval, table[table["method"] != "c"], path)
    assert " 95% p both " in one
    assert "each for its difference alone." in one


def test_signed_rank_tests_that_can_show_nothing_have_no_p(sreval: Sreval, tmp_path: Path) -> None:
    said = _compared(sreval, random_votes(images=5), tmp_path / "votes.csv")
    assert "– under p images: on so few no outcome" in said
    assert "1.0000" not in said.partition("Unit both")[0]


def test_notes_of_all_votes_say_which_columns_take_them(sreval: Sreval, tmp_path: Path) -> None:
    """A Latin square: each rater saw each image under one method."""
    table = random_votes(methods=4, images=8)
    rater, image, method = (pd.factorize(table[n])[0] for n in ("rater", "image", "method"))
    square, path = (rater + image) % 4 == method, tmp_path / "votes.csv"
    said = _compared(sreval, table[square], path)
    assert " 8 x 8 " in said
    assert "Raters saw most images under one of the two methods only." in said
    assert "votes on one image, raters" not in said
    assert "Only images that" not in said
    some = _compared(sreval, table[square | (method < 2)], path)
    assert "In 5 of 6 pairs raters saw most images under one of the two methods only." in some
    assert "and in the other pairs only images that a rater rated under both methods count" in some


def test_single_units_are_named_in_the_singular(sreval: Sreval, tmp_path: Path) -> None:
    path = tmp_path / "votes.csv"
    random_votes(raters=1).to_csv(path, index=False)
    ran = sreval("opinions", path, "--analyse", "mos", "--unit", "both")
    assert " votes by 1 rater on " in ran.out
    assert "fewer than 3 raters or images" in ran.out


def test_the_unit_that_alone_can_show_a_difference_is_named(sreval: Sreval, tmp_path: Path) -> None:
    said = _compared(sreval, random_votes(raters=3, images=9), tmp_path / "votes.csv")
    assert "Name the unit image, which alone can show a difference on so few raters." in said


@pytest.mark.parametrize("margin", ["0", "-0.2", "nan", "4"])
def test_a_margin_off_the_scale_is_refused(sreval: Sreval, votes: Path, margin: str) -> None:
    ran = sreval("opinions", votes, "--analyse", "compare", "--margin", margin)
    assert (ran.code, ran.out) == (USAGE, "")
    assert sentence(ran).startswith(f"A margin of {float(margin):g} points isn't one on the scale")
    with pytest.raises(UsageError, match="margin can't be 'wide'"):
        api.compare(votes, margin="wide")  # type: ignore[arg-type]


def test_the_rater_is_said_to_be_taken_where_too_few_images_are_there(
    sreval: Sreval, tmp_path: Path
) -> None:
    path = tmp_path / "votes.csv"
    random_votes(images=4).to_csv(path, index=False)
    for analysis in ("mos", "compare"):
        ran = sreval("opinions", path, "--analyse", analysis)
        assert "in general needs 5 of each; here are 8 raters and 4 images, so that" in ran.out
        assert "these images, raters in general" in ran.out
        named = sreval("opinions", path, "--analyse", analysis, "--unit", "rater")
        assert "needs 5 of each" not in named.out


def test_power_of_pairs_is_told_in_its_own_units(sreval: Sreval) -> None:
    asked = ("--task", "pair", "--jod", 1, "--raters", 8, "--images", 6, "--studies", 8)
    text = sreval("study", "power", *asked, "--methods", 3, "--ties", 0.2, "--subset", 0.5).out
    assert "win probability   JOD" in text
    assert "0.750  1.00" in text
    assert "t test of the Davidson difference; unit both" in text
    assert "3 methods; a rater sees 50% of the pairs; 20% ties between methods alike." in text
    assert "1 JOD is preferred by 75%" in text
    (row,) = json.loads(sreval("study", "power", *asked, "--json").out)["curve"]
    assert (row["task"], row["win_probability"]) == ("pair", pytest.approx(0.75))
    wrong = sreval("study", "power", "--task", "pair", "--difference", 1)
    assert (wrong.code, "Give --win-probability or --jod" in wrong.err) == (2, True)


def test_judgements_that_an_interval_needs(sreval: Sreval) -> None:
    asked = ("study", "judgements", "--half-width", 0.3, "--raters", 6, "--images", 6)
    text = sreval(*asked, "--subset", 0.5).out
    assert "6 x 6: one study of 6 raters, each judging 50% of the pairs on 6 images" in text
    (row,) = json.loads(sreval(*asked, "--json").out)["judgements"]
    assert f" {row['independent']} " in text
    # 1.96 x 2.63 / sqrt(4 m) JOD, for judgements that are independent and methods nearly equal
    assert row["independent"] == 74
    assert row["design_factor"] > 1
    assert row["n_raters_needed"] is None
