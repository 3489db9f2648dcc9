"""``sreval.preferences`` and the command: from a file of pairs to tables and a figure."""

from __future__ import annotations

import io
import itertools
import json
import math
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import sreval as package
from sreval import api
from sreval.errors import SrevalError, StatisticsError, UsageError, as_command
from sreval.opinions.pairs.consistency import agreement, most_circular, triads
from sreval.opinions.pairs.judgements import read_judgements
from sreval.report.choices import Width
from tests.conftest import Ran

Sreval = Callable[..., Ran]
OK, FAILED, USAGE, PARTIAL = 0, 1, 2, 3
METHODS = ("bicubic", "edsr", "srgan")


def study(
    raters: int = 6, images: int = 5, ties: float = 0.0, seed: int = 0, methods: Any = METHODS
) -> pd.DataFrame:
    """Made up: everybody judges every pair on every image, later methods are better."""
    draw = np.random.default_rng(seed)
    rows = []
    for r, i in itertools.product(range(raters), range(images)):
        for a, b in itertools.combinations(range(len(methods)), 2):
            left, right = (a, b) if draw.random() < 0.5 else (b, a)
            better = draw.random() < 1 / (1 + math.exp(-0.8 * (left - right)))
            choice = "tie" if draw.random() < ties else "left" if better else "right"
            rows.append((f"r{r}", f"i{i}", methods[left], methods[right], choice))
    return pd.DataFrame(rows, columns=["rater", "image", "left", "right", "choice"])


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    study().to_csv("pairs.csv", index=False)
    return tmp_path


@pytest.fixture(scope="module")
def shared(shared_data: Path) -> Path:
    """The folder of published judgements with reference results."""
    if not (found := shared_data.parent / "pairs").is_dir():
        pytest.skip("needs the conformance data of paired comparisons")
    return found


def test_the_command_prints_what_python_gives(sreval: Sreval, files: Path) -> None:
    ran = sreval("preferences", "pairs.csv", "--out", "out", "--figure", "ranks.svg")
    assert ran.code == OK, ran.err
    with as_command():
        found = api.preferences("pairs.csv")
    assert ran.out == f"{found.text}out\nranks.svg\n"
    assert sorted(path.name for path in (files / "out").iterdir()) == [
        "01-scale.csv", "01-scale.tex", "02-pairs.csv", "02-pairs.tex", "03-models.csv",
        "04-checks.csv", "05-images.csv", "06-agreement.csv", "07-raters.csv", "preferences.svg",
        "preferences.txt",
    ]  # fmt: skip
    assert "Preferences on one scale" in repr(found)
    assert "<table" in found._repr_html_()
    said = json.loads(sreval("preferences", "pairs.csv", "--json").out)
    assert [one["analysis"] for one in said["sections"]] == list(found.frames)
    assert said["simulated"] is False


def test_the_order_of_the_made_up_study_is_found() -> None:
    found = package.preferences(study(raters=12, images=8))
    assert found.frame["method"].tolist() == ["srgan", "edsr", "bicubic"]
    assert found.frame["jod"].sum() == pytest.approx(0)
    assert (found.frame["jod_low"] < found.frame["jod"]).all()
    assert found.frame["jod_above_lowest"].min() == 0
    pairs = found.frames["pairs"]
    assert pairs["p_adjusted"].notna().all()
    assert (pairs["significant"] == (pairs["low_adjusted"] > 0)).all()


@pytest.mark.data
@pytest.mark.parametrize("name", ["sr4", "tmo"])
def test_conformance_of_scale_and_jod(shared: Path, name: str) -> None:
    expected = json.loads((shared / "expected.json").read_text())
    found = package.preferences(shared / f"{name}.csv")
    own = found.frame.set_index("method")
    for column, model, key in (
        ("theta", "bradley_terry", "theta"),
        ("jod", "thurstone_v", "jod"),
    ):
        wanted = expected[name][model][key]
        assert own[column].to_dict() == pytest.approx(wanted, abs=1e-6)
    models = found.frames["models"].set_index("model")["log_likelihood"]
    assert models["bradley-terry"] == pytest.approx(
        expected[name]["bradley_terry"]["loglik"], abs=1e-6
    )


@pytest.mark.data
def test_conformance_of_the_models_of_ties(shared: Path) -> None:
    found = package.preferences(shared / "llm_ties.csv")
    aic = found.frames["models"].set_index("model")["aic"].round(2).to_dict()
    assert aic == {"davidson": 2007.15, "rao-kupper": 1990.62, "glenn-david": 2002.05}
    assert set(found.frame["model"]) == {"davidson"}


@pytest.mark.data
@pytest.mark.parametrize("name", ["sr4", "tmo", "llm_ties"])
def test_conformance_of_circular_triads_and_agreement(shared: Path, name: str) -> None:
    expected = json.loads((shared / "expected.json").read_text())[name]
    frame = read_judgements(shared / f"{name}.csv").frame
    found = triads(frame).set_index("rater")
    assert found["complete_blocks"].sum() == expected["circular_triads"]["complete_blocks"]
    for rater, golden in expected["circular_triads"]["per_rater"].items():
        own = found.loc[rater]
        assert own["circular"] == golden["circular"]
        assert own["triples"] == golden["judged_triples"]
        assert own["complete_blocks"] == golden["complete_blocks"]
        wanted = math.nan if golden["zeta_mean"] is None else golden["zeta_mean"]
        assert own["zeta"] == pytest.approx(wanted, nan_ok=True)
    u = agreement(frame).set_index("image")
    for image, golden in expected.get("kendall_u_per_image", {}).items():
        assert u.loc[image, "raters"] == golden["m"]
        assert u.loc[image, "u"] == pytest.approx(golden["u"], abs=1e-9)


@pytest.mark.data
def test_conformance_of_the_most_circular_triads(shared: Path) -> None:
    for name, golden in json.loads((shared / "triad_table.json").read_text()).items():
        n = int(name.removeprefix("n="))
        assert most_circular(n) == golden["max_circular"]
        # a triple is circular by chance in 2 of its 8 outcomes
        assert math.comb(n, 3) / 4 == golden["expected_by_chance"]


def test_ties_need_a_model_or_a_word() -> None:
    pairs = study(ties=0.3)
    assert set(package.preferences(pairs).frame["model"]) == {"davidson"}
    with pytest.raises(UsageError, match=r"Bradley-Terry can't explain \d+ ties"):
        package.preferences(pairs, model="bradley-terry")
    with pytest.raises(UsageError, match="explains ties"):
        package.preferences(pairs, model="davidson", ties="half")
    half = package.preferences(pairs, ties="half")
    assert set(half.frame["model"]) == {"bradley-terry"}
    assert "Ties count as half a win" in half.text
    none = package.preferences(study(), model="glenn-david")
    assert "No answer is a tie: Glenn-David is then Thurstone case V." in none.text


@pytest.mark.data
@pytest.mark.parametrize(
    ("case", "says"),
    [
        (
            "one_method_always_wins",
            "From these judgements the differences a > b, c have no finite estimate.",
        ),
        ("perfect_order", "a > b; b > c"),
        ("two_blocks_one_way", "a, b > c, d"),
        ("disconnected", "No judgement links these methods with those of the other parts"),
        ("ties_only", "No decisive answer: every judgement is a tie"),
        ("cycle", "Preferences on one scale"),
        ("single_pair", "1.00"),
    ],
)
def test_bad_cases_say_what_is_true(shared: Path, case: str, says: str) -> None:
    bad = json.loads((shared / "bad_cases.json").read_text())[case]
    found = package.preferences(pd.DataFrame(bad["rows"], columns=bad["columns"]))
    assert says in found.text
    assert not found.not_done
    if not bad["ml_exists_ties_as_half"] and bad["connected"]:
        penalised = found.frame.set_index("method")["penalised"].to_dict()
        assert penalised == pytest.approx(bad["firth_theta"], abs=1e-6)
        assert "pairs" not in found.frames  # no p where there is no scale


def test_what_is_left_out_is_told_by_number() -> None:
    pairs = study()
    found = package.preferences(pairs, without="r0", methods=["bicubic", "srgan"])
    assert "15 judgements left out: of without r0." in found.notes
    assert "50 judgements left out: on other methods." in found.notes
    assert found.frame["n"].tolist() == [25, 25]
    extra = pd.concat([pairs, pairs.head(4).assign(kind="repeat")])
    assert "Judgements that don't count as opinions: 4 (kind repeat)." in (
        package.preferences(extra).notes
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"model": "elo"}, "Unknown model 'elo'"),
        ({"unit": "pooled"}, "Unknown unit 'pooled'"),
        ({"ties": "win"}, "Unknown treatment of ties"),
        ({"adjustment": "sidak"}, "Unknown adjustment"),
        ({"level": 1.5}, "level"),
        ({"without": "r99"}, "Unknown rater 'r99'"),
        ({"methods": ["srgan"]}, "One method"),
        ({"methods": ["srgan", "x"]}, "Unknown method 'x'"),
        ({"dataset": "Set5"}, "name no data set"),
        ({"metrics": pd.DataFrame({"a": [1]})}, "lack image and method"),
        ({"metrics": pd.DataFrame({"image": ["i"], "method": ["m"], "niqe": [1]})}, "no metric"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(SrevalError, match=says):
        package.preferences(study(raters=2, images=2), **arguments)


def test_wrong_files_are_one_sentence_each(sreval: Sreval, files: Path) -> None:
    Path("votes.csv").write_text("rater,image,method,score\nr,i,m,4\n")
    ran = sreval("preferences", "votes.csv")
    assert (ran.code, ran.out) == (FAILED, "")
    assert "sreval opinions votes.csv" in ran.err
    ran = sreval("opinions", "pairs.csv")
    assert (ran.code, ran.out) == (FAILED, "")
    assert "sreval preferences pairs.csv" in ran.err
    ran = sreval("preferences", "pairs.csv", "--model", "elo")
    assert ran.code == USAGE


def test_mos_and_preferences_side_by_side() -> None:
    votes = pd.DataFrame(
        [
            {"rater": f"r{r}", "image": f"i{i}", "method": m, "score": 2 + k + (r + i + k) % 2}
            for r in range(6)
            for i in range(5)
            for k, m in enumerate(METHODS)
        ]
    )
    found = package.preferences(study(raters=8), votes=votes)
    beside = found.table("mos")
    assert beside.facts == {"tau": 1.0, "same": 3, "pairs": 3}
    assert "3 of 3 pairs of methods are in the same order; Kendall's tau = 1.00, n = 3" in (
        found.text
    )
    other = package.preferences(study(), votes=votes.assign(method=votes["method"] + "2"))
    assert other.not_done[0].startswith("Votes: No two methods have both")


def test_votes_beside_pairs_take_every_option_that_an_error_names(
    sreval: Sreval, files: Path
) -> None:
    rows = [f"r{r},i{i},{m},{3 + (r + i) % 2}" for r in range(6) for i in range(5) for m in METHODS]
    Path("votes.csv").write_text("\n".join(["rater,image,method,score", "x,y,edsr,NA", *rows]))
    refused = sreval("preferences", "pairs.csv", "--votes", "votes.csv")
    assert (refused.code, "with --missing." in refused.err) == (FAILED, True)
    done = sreval("preferences", "pairs.csv", "--votes", "votes.csv", "--missing", "NA")
    assert done.code == OK
    assert "Mean opinion scores and preferences" in done.out
    assert "cells taken as votes not cast (NA): 1" in done.err
    alone = sreval("preferences", "pairs.csv", "--missing", "NA")
    assert (alone.code, alone.out) == (USAGE, "")
    assert "--missing is of --votes. Name a file of votes" in alone.err
    of_two = sreval("compare-studies", "votes.csv", "paper")
    assert "with --missing-a." in of_two.err


def test_counts_without_images_have_no_metrics_and_say_why() -> None:
    counts = study().groupby(["left", "right", "choice"]).size().reset_index(name="count")
    metrics = pd.DataFrame([("i0", m, k) for k, m in enumerate(METHODS)])
    metrics.columns = pd.Index(["image", "method", "psnr"])
    (said,) = package.preferences(counts, metrics=metrics).not_done
    assert said == (
        "Metrics: The judgements name no images, and metrics are values of images. Give judgements "
        "with a column image; counts may have one, too."
    )
    named = counts.assign(image="i0")
    assert "metrics" in package.preferences(named, metrics=metrics).frames


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ("ap.png", "'ap.png'. Known: none. figure(...).savefig('ap.png') writes a file."),
        (Path("ap.PDF"), "writes a file."),
        (["Set5"], "Unknown scale ['Set5']. Known: none."),
        (5, "Unknown scale 5. Known: none."),
    ],
)
def test_a_figure_of_what_is_no_scale_says_how_a_file_is_written(asked: Any, says: str) -> None:
    found = package.preferences(study())
    with pytest.raises(UsageError) as refused:
        found.figure(asked)
    assert str(refused.value).endswith(says)
    found.figure().savefig(io.BytesIO())


def test_metrics_foretell_preferences(sreval: Sreval, files: Path) -> None:
    values = pd.DataFrame(
        [
            {"image": f"i{i}", "method": m, "PSNR (dB)": 20 + k, "niqe": k, "note": "x"}
            for i in range(5)
            for k, m in enumerate(METHODS)
        ]
    )
    values.to_csv("scores.csv", index=False)
    found = package.preferences("pairs.csv", metrics="scores.csv", lower_is_better="niqe")
    shares = found.frames["metrics"].set_index("metric")["share"]
    pairs = study()
    order = {m: k for k, m in enumerate(METHODS)}
    hits = (pairs["left"].map(order) > pairs["right"].map(order)) == (pairs["choice"] == "left")
    assert shares["psnr"] == pytest.approx(hits.mean())
    assert shares["niqe"] == pytest.approx(1 - hits.mean())
    assert 0.4 < shares["another rater"] < 1
    ran = sreval("preferences", "pairs.csv", "--metrics", "scores.csv")
    assert ran.code == OK
    assert "further columns are left alone: niqe, note" in ran.err


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--figure", "ranks.bmp"), "bmp is not a kind of figure"),
        (("--figure", "pairs.csv/ranks.png"), "No folder can be written at pairs.csv"),
        (("--out", "pairs.csv"), "No folder can be written at pairs.csv"),
        (("--out", "/proc/none"), "No folder can be written at /proc/none"),
        (("--reference", "nix"), "Unknown reference 'nix'"),
    ],
)
def test_what_cannot_be_done_is_refused_before_the_report(
    sreval: Sreval, files: Path, options: tuple[str, ...], says: str
) -> None:
    ran = sreval("preferences", "pairs.csv", *options)
    assert (ran.code, ran.out) == (USAGE, "")
    assert says in ran.err
    assert [path.name for path in files.iterdir()] == ["pairs.csv"]


def test_one_of_several_scales_is_named_as_the_error_says(sreval: Sreval, files: Path) -> None:
    parts = [study(methods=names).assign(dataset=of) for names, of in (
        (("a", "b c"), "x"), (("d", "e"), "x"), (("d", "e"), "y"),
    )]  # fmt: skip
    pd.concat(parts[:2]).drop(columns="dataset").to_csv("parts.csv", index=False)
    pd.concat(parts).to_csv("both.csv", index=False)
    for file in ("parts.csv", "both.csv"):
        ran = sreval("preferences", file, "--figure", "ranks.svg")
        assert ran.code == USAGE
        remedy = ran.err.partition("Name one by ")[2].partition(";")[0]
        assert sreval("preferences", file, "--figure", "r.svg", *shlex.split(remedy)).code == OK


def test_letters_without_a_font_are_told(sreval: Sreval, files: Path) -> None:
    study(methods=("a", "b", "\U0010fffd")).to_csv("names.csv", index=False)
    ran = sreval("preferences", "names.csv", "--figure", "ranks.png")
    assert ran.code == OK
    assert "No font here has \U0010fffd." in ran.err


def test_what_a_figure_or_a_note_claims_is_in_it() -> None:
    named = study(ties=0.2).replace("srgan", "m (-2)")
    cases = {
        "for raters and images in general": named,
        "for raters in general on this image": named[named["image"] == "i0"],
        "No intervals.": named.drop(columns=["rater", "image"]),
    }
    for says, judgements in cases.items():
        found = package.preferences(judgements)
        caption = " ".join(found.figure(width="page").get_supxlabel().split())
        assert says in caption
        assert says in found.text
        assert ("Bars" in caption) == bool(found.frame["jod_low"].notna().any())
        assert "75% prefer the better, ties aside;" in caption
    long = named.replace("m (-2)", f"m {'x' * 60} (-2)")
    assert "xxx (-2)" in package.preferences(long).figure().get_supxlabel().replace("\n", "")


def test_units_of_shares_and_classes_read_as_a_sentence() -> None:
    never = study().assign(choice=lambda f: np.where(f["left"] > f["right"], "left", "right"))
    said = package.preferences(never).text
    assert "a tie half; interval over raters and images." in said
    assert "Where no > leads from one class to another, their order isn't known." in said


def test_a_row_of_checks_that_has_no_test_says_why() -> None:
    found = package.preferences(study(raters=6, images=5, methods=tuple("abcdefg")))
    row = found.frames["checks"].iloc[0].to_dict()
    assert row["question"] == "Do the methods differ?"
    assert math.isnan(row["p"])
    assert row["more"] == "5 images are too few for one test of 7 methods"
    unnamed = study().drop(columns=["rater", "image"])
    row = package.preferences(unnamed).frames["checks"].iloc[0].to_dict()
    assert "scale say why" in row["more"]


def test_a_missing_value_of_one_metric_takes_nothing_from_the_others() -> None:
    pairs = study(images=6)
    values = pd.DataFrame(
        [
            {"image": f"i{i}", "method": m, "psnr": i * k % 4, "ssim": -k, "lpips": math.nan}
            for i in range(6)
            for k, m in enumerate(METHODS)
        ]
    ).astype({"ssim": float})
    whole = package.preferences(pairs, metrics=values).frames["metrics"].set_index("metric")
    values.loc[0, "ssim"] = math.nan
    found = package.preferences(pairs, metrics=values)
    table = found.frames["metrics"].set_index("metric")
    lost = ((pairs["image"] == "i0") & (pairs[["left", "right"]] == METHODS[0]).any(axis=1)).sum()
    own = ["share", "low", "high", "n"]
    assert table.loc[["psnr"], own].equals(whole.loc[["psnr"], own])
    assert table["n"].to_dict() == {
        "psnr": len(pairs), "ssim": len(pairs) - lost, "another rater": len(pairs)
    }  # fmt: skip
    of = values.set_index(["image", "method"])["psnr"].to_dict()
    ahead = [of[row.image, row.left] - of[row.image, row.right] for row in pairs.itertuples()]
    hits = (np.sign(ahead) * np.where(pairs["choice"] == "left", 1, -1) + 1) / 2
    kept = (pairs["image"] != "i0") | (pairs[["left", "right"]] != METHODS[0]).all(axis=1)
    assert table.loc["psnr", "common_share"] == pytest.approx(hits[kept].mean())
    said = found.table("metrics").to_text()
    assert f"share in common: of the {len(pairs) - lost} judgements that every row" in said
    assert f"without a value of both pictures, of {len(pairs)}: " in said
    assert f"SSIM {lost}" in said
    assert f"LPIPS {len(pairs)}" in said
    assert (
        "in common"
        not in package.preferences(pairs, metrics=values[["image", "method", "psnr"]])
        .table("metrics")
        .to_text()
    )


def test_a_column_of_intervals_stands_only_where_there_are_any() -> None:
    values = pd.DataFrame(
        [
            {"image": f"i{i}", "method": m, "psnr": k}
            for i in range(5)
            for k, m in enumerate(METHODS)
        ]
    )
    named = package.preferences(study(), metrics=values).table("metrics").to_text()
    assert "95%" in named
    assert "Intervals of metrics: raters and images" in named
    unnamed = study().drop(columns="rater")
    said = package.preferences(unnamed, metrics=values).table("metrics").to_text()
    assert "95%" not in said
    assert "No interval: not all judgements name raters." in said
    assert "another answer" in said
    assert "another rater" not in said


def test_a_figure_of_either_width_and_of_one_of_several_scales() -> None:
    both = pd.concat([study().assign(dataset=name) for name in ("Set5", "Set14")])
    found = package.preferences(both)
    with pytest.raises(UsageError, match="several scales: Set5, Set14"):
        found.figure()
    sizes: dict[Width, int] = {"column": 85, "page": 175}
    for width, mm in sizes.items():
        figure = found.figure("Set5", width=width)
        assert figure.get_figwidth() * 25.4 == pytest.approx(mm)
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert len(texts) == len(METHODS)
    with pytest.raises(StatisticsError, match="No finite scale"):
        package.preferences(pd.DataFrame({"left": ["a"], "right": "b", "choice": "tie"})).figure()


def test_simulated_judgements_are_marked() -> None:
    found = package.preferences(study().assign(simulated=True))
    assert all("(simulated)" in made.title for made in found.sections)
    assert found.figure().get_supxlabel().startswith("SIMULATED")


def test_names_and_numbers_as_people_write_them() -> None:
    names = ["=cmd()", "Gänse & Söhne", "a\nb"]
    pairs = study().replace(dict(zip(METHODS, names, strict=True)))
    found = package.preferences(pairs)
    assert sorted(found.frame["method"]) == sorted(names)
    assert "'=cmd()" in found.table().to_csv()
    assert r"G\"{a}nse \& S\"{o}hne" in found.table().to_latex()


def test_a_method_of_ties_alone_is_named_where_ties_are_dropped() -> None:
    tied = pd.DataFrame([("r0", "i0", "srgan", "lost", "tie")], columns=list(study().columns))
    found = package.preferences(pd.concat([study(), tied]), ties="drop")
    assert found.not_done == ["lost: every judgement is a tie, and ties are left out."]
    assert sorted(found.frame["method"]) == sorted(METHODS)


def test_without_sides_no_advantage_is_kept() -> None:
    winners = pd.DataFrame([("a", "b"), ("b", "a")], columns=["winner", "loser"])
    with pytest.raises(UsageError, match="Leave out order=True"):
        package.preferences(winners, order=True)


@pytest.mark.parametrize("choice", ["left", "right"])
def test_every_answer_on_one_side_has_one_remedy(choice: str) -> None:
    frame = study().assign(choice=choice)
    plain = package.preferences(frame)
    row = plain.frames["checks"].set_index("question").loc["Does the left have an advantage?"]
    assert "the advantage of one place has no finite estimate" in row["more"]
    assert "Sides weren't balanced" in plain.text
    found = package.preferences(frame, order=True)
    assert "scale" not in found.frames
    assert found.not_done[0].endswith("Leave out order=True.")


def test_raters_without_sides_or_images_are_told_what_is_known() -> None:
    frame = study()
    chosen = frame["choice"] == "left"
    winners = frame[["rater", "image"]].assign(
        winner=frame["left"].where(chosen, frame["right"]),
        loser=frame["right"].where(chosen, frame["left"]),
    )
    found = package.preferences(winners)
    assert found.frames["raters"]["left_share"].isna().all()
    assert "left" not in found.table("raters").to_text()
    nameless = package.preferences(frame.drop(columns="image"))
    assert "agreement" not in nameless.frames
    text = nameless.table("raters").to_text()
    assert "Images aren't named and pairs were judged more than once" in text
    assert "circular" not in text


def test_nothing_is_claimed_of_images_without_names() -> None:
    """They may be one or many: the claim is on raters, and says that images aren't named."""
    made = package.preferences(study().drop(columns="image"))
    assert "Intervals are for raters in general; images aren't named." in made.text
    assert "this image" not in made.text


def test_ties_that_the_design_beside_a_file_does_not_allow_are_said(tmp_path: Path) -> None:
    rows = ["rater,image,left,right,choice"]
    rows += [f"r{n},i,a,b,{choice}" for n, choice in enumerate(("left", "right", "tie", "left"))]
    file = tmp_path / "votes.csv"
    file.write_text("\n".join(rows) + "\n")
    said = "1 tie, though the design"
    for task, told in (
        ({"kind": "pair"}, True),
        ({"kind": "pair", "third": ""}, True),
        ({"kind": "pair", "third": "no difference"}, False),
        ({"kind": "acr"}, False),
    ):
        (tmp_path / "design.json").write_text(json.dumps({"task": task}))
        assert any(note.startswith(said) for note in package.preferences(file).notes) is told
    (tmp_path / "design.json").write_text("{")
    assert not any(note.startswith(said) for note in package.preferences(file).notes)
