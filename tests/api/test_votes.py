"""Votes from Python: every form of a frame, and the figures against others' and by hand."""

from __future__ import annotations

import datetime as dt
import doctest
import json
import re
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
import scipy.stats

import sreval
from sreval import api
from sreval.api.votes import Adjustment
from sreval.errors import DataError, SrevalError, StatisticsError, UsageError, as_command
from sreval.opinions.arrays import Floats
from sreval.opinions.significance import ADJUSTMENTS
from tests.opinions.builders import random_votes, votes_table
from tests.opinions.conftest import expected, nflx, ratings_folder

__all__ = ["expected", "nflx", "ratings_folder"]

Sreval = Callable[..., Any]
student: Callable[..., Any] = scipy.stats.t.interval

TYPED = pd.DataFrame(
    [
        ("ann", "baboon", "bicubic", 2), ("ann", "baboon", "srgan", 4),
        ("bob", "baboon", "bicubic", 1), ("bob", "baboon", "srgan", 5),
        ("cid", "baboon", "bicubic", 3), ("cid", "baboon", "srgan", 3),
    ],
    columns=["rater", "image", "method", "score"],
)  # fmt: skip


def plain(votes: api.Votes) -> pd.DataFrame:
    """What every form of the same votes has in common."""
    frame = votes.frame[["rater", "image", "method", "score", "accepted", "kind"]]
    return frame.sort_values(["method", "image", "rater"], ignore_index=True).astype(
        {"score": np.int64}
    )


def same(frame: pd.DataFrame, **options: Any) -> None:
    found, wanted = plain(api.read_votes(frame, **options)), plain(api.read_votes(TYPED))
    pd.testing.assert_frame_equal(found, wanted)


# What a frame can carry


def test_a_frame_is_read_as_the_file_that_it_could_be_written_to(tmp_path: Path) -> None:
    frame = random_votes(seen=0.8).assign(note="x", accepted=lambda f: f["score"] != 3)
    path = tmp_path / "votes.csv"
    frame.to_csv(path, index=False)
    by_file, by_frame = api.read_votes(path), api.read_votes(frame)
    pd.testing.assert_frame_equal(by_file.frame, by_frame.frame)
    said = [note.removeprefix(f"{path}: ") for note in by_file.notes]
    assert said == [note.removeprefix("the DataFrame: ") for note in by_frame.notes]
    assert said == ["further columns are ignored: note."]


@pytest.mark.parametrize(
    "changed",
    [
        TYPED.astype({"score": float}),
        TYPED.astype({"score": "Int64", "rater": "string", "method": "category"}),
        TYPED.astype({"score": np.float32, "image": object}),
        TYPED.astype({"score": str}),
        TYPED.assign(accepted=pd.array([True] * 6, dtype=bool), shown_at=dt.datetime(2026, 1, 1)),
        TYPED.assign(accepted=pd.array([True, None, True, True, True, True], dtype="boolean")),
        TYPED.set_axis([7, 3, 3, 9, 0, -1]),
        TYPED.set_axis(list("uvwxyz")),
        TYPED.set_index(["rater", "image"]),
        TYPED.set_index("method", append=True),
        TYPED.rename(columns={"rater": " Rater ", "score": "Rating"}),
        TYPED.reindex(range(8)).fillna({"rater": "dan", "image": "baboon", "method": "srgan"}),
        TYPED.astype({"score": "Int64"})
        .reindex(range(7))
        .fillna({"rater": "dan", "image": "baboon", "method": "srgan"}),
    ],
    ids=range(13),
)
def test_one_row_a_vote_in_every_dress(changed: pd.DataFrame) -> None:
    same(changed)


def test_a_matrix_as_pandas_makes_it() -> None:
    wide = TYPED.pivot(index=["image", "method"], columns="rater", values="score")
    same(wide)
    same(wide.reset_index())
    one = TYPED[TYPED["method"] == "srgan"]
    named = one.pivot(index="image", columns="rater", values="score").rename_axis(index=None)
    found = api.read_votes(named).frame
    assert found["image"].tolist() == ["baboon"] * 3
    assert found["score"].tolist() == [4, 5, 3]


def test_a_bare_array_has_no_heads_and_is_described_by_a_frame() -> None:
    scores = TYPED.pivot(index="method", columns="rater", values="score").to_numpy()
    stimuli = pd.DataFrame({"image": "baboon", "method": ["bicubic", "srgan"]})
    found = api.read_votes(pd.DataFrame(scores), stimuli=stimuli)
    assert found.frame["rater"].unique().tolist() == ["r1", "r2", "r3"]
    assert api.mos(found)["mos"].tolist() == [2.0, 4.0]


def test_numbered_names_stay_whole_numbers() -> None:
    frame = TYPED.assign(rater=[1, 1, 2, 2, np.nan, np.nan]).dropna()
    assert api.read_votes(frame).frame["rater"].unique().tolist() == ["1", "2"]


@pytest.mark.parametrize(
    ("frame", "options", "error", "said"),
    [
        (TYPED.iloc[:0], {}, DataError, "the DataFrame is empty."),
        (TYPED.drop(columns="rater"), {}, DataError, "The votes in the DataFrame lack rater"),
        (TYPED.assign(score=[1, 2, 9, 4, 5, 3]), {}, StatisticsError, "1..5 in row 2: '9'"),
        (TYPED.set_axis(list("abcdef")).replace(5, "good"), {}, StatisticsError, "row d: 'good'"),
        (TYPED.assign(score=["(1,)", 2, 3, 4, 5, 3]), {}, StatisticsError, "row 0: '(1,)'"),
        (pd.concat([TYPED, TYPED[:1]]), {}, StatisticsError, "a second vote on one stimulus"),
        (pd.concat([TYPED], axis=1, keys=["x"]), {}, DataError, "has columns of 2 levels"),
        (TYPED, {"header": True}, UsageError, "A DataFrame has columns"),
        (TYPED, {"labels": True}, UsageError, "isn't a matrix of scores"),
        (TYPED, {"scale": "5..1"}, UsageError, "doesn't run from low to high"),
        (TYPED, {"without": "bub"}, UsageError, "Unknown rater 'bub'. Did you mean 'bob'?"),
        (TYPED, {"higher_is_better": ["vmaf"]}, UsageError, "The DataFrame holds votes"),
    ],
    ids=range(12),
)
def test_a_bad_frame_is_one_sentence(
    frame: pd.DataFrame, options: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error) as refused:
        api.read_votes(frame, **options)
    assert said in str(refused.value)
    assert isinstance(refused.value, SrevalError)


def test_a_bad_argument_is_a_value_error() -> None:
    for call in (
        lambda: api.read_votes(TYPED, scale="one"),
        lambda: api.mos(TYPED, level=2),
        lambda: api.compare(TYPED, **{"unit": "stimulus"}),  # type: ignore[arg-type]
        lambda: api.compare(TYPED, alpha=5),
        lambda: api.compare(TYPED, methods=["bicubic", "srgun"]),
        lambda: api.power(-1),
        lambda: api.power(0.5, methods=3, comparisons=4),
        lambda: api.read_votes(TYPED).analyse("metrics", results=3),
    ):
        with pytest.raises(ValueError) as refused:
            call()
        assert isinstance(refused.value, SrevalError)


@pytest.mark.parametrize("analyses", ["compare", ("compare", "mos")])
@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"methods": ["srgun"]}, "Unknown method 'srgun'. Did you mean 'srgan'?"),
        ({"adjustment": "bonferroni"}, "Known: benjamini-hochberg, holm, none."),
    ],
)
def test_an_analysis_refuses_names_that_mean_nothing(
    analyses: Any, asked: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        api.read_votes(TYPED).analyse(analyses, **asked)


def test_the_callers_frame_is_left_as_it_was() -> None:
    frame = TYPED.set_index("rater")
    before = frame.copy(deep=True)
    api.compare(api.read_votes(frame, without="ann"))
    pd.testing.assert_frame_equal(frame, before)


# What votes say of themselves


class _Cells(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.rows: list[int] = []
        self.feed(page)
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.open.append(tag)
        self.rows += [0] if tag == "tr" else []
        if tag in ("td", "th"):
            self.rows[-1] += 1

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_votes_count_themselves_and_what_is_left_out() -> None:
    votes = api.read_votes(TYPED, without=["bob"])
    assert len(votes) == 6
    assert repr(votes) == (
        "<Votes: 4 votes, 2 raters, 1 image, 2 methods, "
        "2 left out (not accepted: left out by name)>"
    )
    assert votes.frame.loc[votes.frame["rater"] == "bob", "accepted"].tolist() == [False] * 2
    page = api.read_votes(TYPED.replace("srgan", "<b>&"))._repr_html_()
    _Cells(page)
    assert "&lt;b&gt;&amp;" in page


def test_analyses_show_themselves_as_tables() -> None:
    found = api.read_votes(random_votes().replace("b", "<i>")).analyse()
    cells = _Cells(found._repr_html_())
    assert len(cells.rows) == sum(len(section.rows) + 1 for section in found.sections)
    assert "<i>" not in found._repr_html_()
    assert str(found) == found.text
    assert "Not done: retest" in found.text
    assert list(found.frames) == [section.title for section in found.sections]


# The figures


def limits(found: pd.DataFrame, method: str) -> list[float]:
    return [float(found[side].loc[method]) for side in ("low", "high")]


def test_a_mos_is_the_mean_and_its_interval_is_students_over_raters() -> None:
    draw = np.random.default_rng(3)
    scores = draw.integers(2, 4, (2, 7, 1)) + draw.integers(0, 2, (2, 1, 9)) * 1.0
    sem: Callable[..., Any] = scipy.stats.sem
    found = api.mos(votes_table(scores), unit="rater", level=0.9).set_index("method")
    for method, own in zip("ab", scores, strict=True):
        raters = own.mean(axis=0)
        low, high = student(0.9, 8, raters.mean(), sem(raters))
        assert found.loc[method, "mos"] == pytest.approx(own.mean(), abs=1e-12)
        assert limits(found, method) == pytest.approx([low, high])
    by_image = api.mos(votes_table(scores), unit="image").set_index("method")
    low, high = student(0.95, 6, scores[0].mean(), sem(scores[0].mean(axis=1)))
    assert limits(by_image, "a") == pytest.approx([low, high])


def test_comparisons_are_scipys_tests_with_holms_p() -> None:
    votes = random_votes(seed=4, raters=9)
    found = api.compare(votes, unit="rater")
    means = votes.groupby(["rater", "method"])["score"].mean().unstack()
    own = []
    for row in found.frame.to_dict("records"):
        test = scipy.stats.wilcoxon(means[row["first"]], means[row["second"]], method="exact")
        own.append(test.pvalue)
        assert row["difference"] == pytest.approx(
            (means[row["first"]] - means[row["second"]]).mean()
        )
    assert found.frame["p"].tolist() == pytest.approx(own)
    adjusted = np.empty(3)
    order = np.argsort(own)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(np.sort(own) * [3, 2, 1]))
    assert found.frame["p_adjusted"].tolist() == pytest.approx(adjusted.tolist())
    shared = found.letters.set_index("method")["letters"].map(set)
    for row in found.frame.to_dict("records"):
        assert bool(shared[row["first"]] & shared[row["second"]]) != row["significant"]


def test_comparisons_can_be_of_some_methods_and_are_of_every_data_set() -> None:
    both = pd.concat([random_votes(seed=5), random_votes(seed=6).assign(dataset="Set14")])
    found = api.compare(both, methods=["a", "b"], adjustment="none")
    assert found.frame[["dataset", "first", "second"]].to_numpy().tolist() == [
        ["Set14", "b", "a"], ["Set5", "b", "a"]
    ]  # fmt: skip
    assert found.frame["p"].tolist() == found.frame["p_adjusted"].tolist()
    assert set(found.letters["dataset"]) <= {"Set5", "Set14"}


def test_an_analysis_of_one_data_set_has_its_votes_alone() -> None:
    one = random_votes()
    votes = api.read_votes(pd.concat([one, one.assign(dataset="Set14")]))
    found = votes.analyse("mos", dataset="Set14")
    assert set(found.frame["dataset"]) == set(found.votes.frame["dataset"]) == {"Set14"}
    assert len(votes.analyse("mos", dataset=["Set5", "Set14"]).frame) == 6
    assert len(votes.analyse("mos", dataset=()).frame) == 6
    with pytest.raises(UsageError, match="Did you mean 'Set14'"):
        votes.analyse("mos", dataset="set14")


def test_standards_are_left_out_where_nothing_is_named() -> None:
    found = api.read_votes(random_votes()).analyse()
    assert {section.analysis for section in found.sections}.isdisjoint({"standards", "stimuli"})


def test_netflix_raters_as_sureal_recovers_them(nflx: Floats, expected: Any) -> None:
    known = expected["nflx_public"]["models"]["P910"]
    found = api.recover(pd.DataFrame(nflx))
    order = found.frame["image"].astype(int).argsort()
    assert found.frame["quality"].iloc[order].tolist() == pytest.approx(
        known["quality_scores"], abs=1e-4
    )
    raters = found.frames["The raters"]
    assert raters["bias"].tolist() == pytest.approx(known["observer_bias"], abs=1e-4)


def test_netflix_raters_agree_as_published_and_none_is_rejected(nflx: Floats) -> None:
    found = api.reliability(pd.DataFrame(nflx)).frame.set_index("figure")["value"]
    assert round(found["ICC(A,1)"], 4) == 0.7446
    assert round(found["Krippendorff's alpha, ordinal"], 4) == 0.7143
    screened = api.screen(pd.DataFrame(nflx)).frame
    assert len(screened) == 26
    assert not screened["bt500 rejected"].any()
    assert screened["votes"].tolist() == [79] * 26


def test_whom_a_rule_rejects_stands_in_the_frame() -> None:
    draw = np.random.default_rng(7)
    scores = np.rint(np.array([1.5, 3, 4.5])[:, None, None] + draw.normal(0, 0.4, (3, 20, 8)))
    scores[:, :, 3] = draw.integers(1, 6, (3, 20))
    votes = votes_table(np.clip(scores, 1, 5))
    found = api.screen(votes)
    judged = found.frame.set_index("rater")["rejected_by"]
    assert judged.index[judged.str.contains("correlation-with-rest")].tolist() == ["r03"]
    (effect,) = [f for title, f in found.frames.items() if "correlation-with-rest" in title]
    kept = votes[votes["rater"] != "r03"].groupby("method")["score"].mean()
    assert effect.set_index("method")["mos_kept"].to_dict() == pytest.approx(kept.to_dict())


def test_a_scale_goes_with_the_votes() -> None:
    wide = votes_table(np.random.default_rng(9).integers(0, 101, (2, 5, 6)).astype(float))
    votes = api.read_votes(wide, scale="0..100")
    assert (votes.scale.low, votes.scale.high) == (0, 100)
    assert api.mos(votes)["high"].max() <= 100
    with pytest.raises(StatisticsError, match=r"outside 1\.\.5"):
        api.mos(wide)


def test_means_bring_their_metrics() -> None:
    mos = np.linspace(1.2, 4.8, 24)
    frame = pd.DataFrame({"image": [f"i{i % 8}" for i in range(24)], "mos": mos})
    frame = frame.assign(method=np.repeat(["a", "b", "c"], 8), psnr=20 + mos, mine=9 - mos)
    votes = api.read_votes(frame, lower_is_better=["mine"])
    assert repr(votes) == "<Votes: 24 mean opinion scores>"
    found = votes.analyse("metrics").frame
    srocc = found[found["statistic"] == "srocc"].set_index("metric")["estimate"]
    assert srocc.to_dict() == {"psnr": 1.0, "mine": 1.0}
    with pytest.raises(StatisticsError, match="needs votes"):
        api.mos(votes)
    unnamed = api.read_votes(frame)
    assert "further columns are left alone: mine" in unnamed.notes[-1]


# The command and the library are one


def test_the_command_prints_the_librarys_figures(sreval: Sreval, tmp_path: Path) -> None:
    path = tmp_path / "votes.csv"
    random_votes(seed=10, seen=0.9).to_csv(path, index=False)
    options = ("--unit", "image", "--adjustment", "none", "--level", 0.9, "--json")
    printed = json.loads(sreval("opinions", path, *options).out)
    votes = api.read_votes(path)
    found = votes.analyse(unit="image", adjustment="none", level=0.9)
    assert json.loads(json.dumps(found.records())) == printed
    for frame, analysis in (
        (api.mos(votes, unit="image", level=0.9), "mos"),
        (api.compare(votes, unit="image", adjustment="none", level=0.9).frame, "compare"),
        (api.reliability(votes, level=0.9).frame, "reliability"),
        (api.recover(votes, level=0.9).frame, "recovery"),
        (api.screen(votes).frame, "screening"),
    ):
        rows = next(s["rows"] for s in printed["sections"] if s["analysis"] == analysis)
        assert json.loads(frame.to_json(orient="records", double_precision=15)) == rows


def test_the_adjustments_that_a_command_offers_are_those_that_are_known() -> None:
    assert get_args(Adjustment) == tuple(ADJUSTMENTS)


def test_votes_are_drawn_by_their_own_means() -> None:
    votes = api.read_votes(random_votes(seed=5))
    means = votes.frame.groupby("method")["score"].mean()
    axes = votes.figure("scores").axes[0]
    assert {label.get_text() for label in axes.get_yticklabels()} == set(means.index)
    printed = " ".join(text.get_text() for text in axes.texts)
    assert all(f"{mean:.2f}  (" in printed for mean in means)
    with pytest.raises(ValueError, match="kind of figure 'rank'"):
        votes.figure("rank")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="unit 'raters'"):
        votes.figure("ranks", unit="raters")  # type: ignore[arg-type]
    with pytest.raises(SrevalError):
        votes.figure("metrics")


def test_power_is_one_tidy_frame(sreval: Sreval) -> None:
    told: list[tuple[int, int]] = []
    plan: dict[str, Any] = {"images": 10, "studies": 60, "unit": "rater"}
    curve = api.power([0.4, 1.0], raters=[4, 8, 16], progress=lambda *at: told.append(at), **plan)
    assert told == [(1, 2), (2, 2)]
    assert curve[["difference", "n_raters"]].to_numpy().tolist() == [
        [difference, n] for difference in (0.4, 1.0) for n in (4, 8, 16)
    ]
    assert curve["simulated"].all()
    asked = ("--difference", 0.4, "--difference", 1, "--images", 10, "--studies", 60)
    raters = [part for n in (4, 8, 16) for part in ("--raters", n)]
    ran = sreval("study", "power", *asked, *raters, "--unit", "rater", "--json")
    printed = json.loads(ran.out)["curve"]
    assert [row["power"] for row in printed] == pytest.approx(curve["power"].tolist())
    found = api.power([0.4, 1.0], **plan)
    assert list(found["find"]) == ["raters"] * 2
    assert (found["low"] <= found["n_raters"]).all()
    assert (found["n_raters"] <= found["high"]).all()
    assert found["n_raters"].is_monotonic_decreasing


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"find": "methods"}, "Unknown find 'methods'"),
        ({"find": "images"}, "depend on how many raters"),
        ({"find": "images", "raters": 8, "images": 4}, "fewest images can't be found where"),
        ({"find": "raters", "raters": 8}, "fewest raters can't be found where"),
        ({"looks": (4, 8)}, "The looks name the number of raters"),
        ({"looks": (4, 8), "raters": 9, "images": 4}, "don't rise to the 9 raters"),
        ({"looks": 0}, "looks can't be 0"),
        ({"spending": "haybittle", "looks": 2}, "Unknown spending function 'haybittle'"),
        ({"screening": "gold"}, "Unknown screening rule 'gold'"),
        ({"subset": 1.5}, "a share of 1.5"),
        ({"drop_outs": -0.1}, "dropout_rate must lie within"),
        ({"task": "cmr"}, "Unknown task 'cmr'"),
        ({"task": "pair"}, r"difference= is for votes on single.*Give win_probability= or jod="),
        (
            {"win_probability": 0.6},
            r"win_probability= is for pairs.*Give difference=, or take task=",
        ),
        ({"ties": 0.1}, r"ties= is for pairs.*Leave it out, or take task='pair'"),
        ({"scale": "5..1"}, "5..1"),
    ],
)
def test_power_refuses_what_cannot_be_meant(options: dict[str, Any], message: str) -> None:
    with pytest.raises(SrevalError, match=message):
        api.power(0.5, studies=2, **options)


def test_power_of_pairs_says_the_difference_in_both_units() -> None:
    size: dict[str, Any] = {"raters": 8, "images": 6, "studies": 10, "task": "pair"}
    made = api.power(win_probability=[0.6, 0.75], **size)
    assert made["win_probability"].tolist() == [0.6, 0.75]
    assert made["difference"].tolist()[1] == pytest.approx(1)
    again = api.power(jod=[made["difference"][0], 1], **size)
    assert again["power"].tolist() == made["power"].tolist()
    assert set(made["task"]) == {"pair"}
    search: dict[str, Any] = {**size, "raters": None, "unit": "rater", "studies": 20}
    (found,) = api.power(jod=1.5, ties=0.2, **search).to_dict("records")
    assert found["low"] <= found["n_raters"] <= found["high"]
    with pytest.raises(SrevalError, match="say the same"):
        api.power(jod=1, win_probability=0.6, **size)
    with pytest.raises(SrevalError, match="drop_outs= is for votes"):
        api.power(drop_outs=0.1, **size)
    with pytest.raises(SrevalError, match="scale= is for votes"):
        api.power(scale="0..100", **size)
    with pytest.raises(SrevalError, match=r"jod= can't be 20.*Give 5 or less"):
        api.power(jod=[1, 20], **size)
    with as_command(), pytest.raises(SrevalError, match="--rating-scale is for votes"):
        api.power(scale="0..100", **size)


def test_other_tasks_and_scales_have_a_power() -> None:
    size: dict[str, Any] = {"raters": 6, "images": 6, "studies": 4}
    hidden = api.power(0.5, task="acr-hr", methods=3, **size)
    assert hidden["items"].tolist() == [24]
    made = api.power(scale="0..100", task="dcr", **size)
    assert made["difference"].tolist() == pytest.approx([2.5, 5, 7.5])
    assert set(made["scale"]) == {"0..100"}


def test_judgements_needed_refuses_what_cannot_be_meant() -> None:
    for options in ({"half_width": 0}, {"methods": 1}, {"level": 1}, {"raters": 1}, {"subset": 2}):
        with pytest.raises(SrevalError):
            api.judgements_needed(**options)


# The documentation, and what it costs


def test_the_documentation_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sreval, "__all__", [*sreval.__all__, *api.__all__])
    found = [
        test
        for name in api.__all__
        for test in doctest.DocTestFinder(recurse=False).find(getattr(api, name), name, module=api)
        if test.examples
    ]
    assert {"read_votes", "mos", "compare", "power"} <= {test.name for test in found}
    runner = doctest.DocTestRunner()
    for test in found:
        if test.name in ("read_votes", "mos", "compare", "power"):
            assert runner.run(test).failed == 0


LIGHT = """
import sys, time
import pandas as pd
import sreval.api as api
frame = pd.DataFrame([
    {"rater": f"r{r}", "image": f"i{i}", "method": m, "score": 1 + (r + i + k) % 5}
    for r in range(26) for i in range(14) for k, m in enumerate(["nearest", "bicubic", "hr"])
])
assert len(api.mos(frame)) == 3
print(*(name for name in sys.argv[1:] if name in sys.modules))
"""
HEAVY = ("torch", "flask", "sqlalchemy", "matplotlib", "skimage", "scipy.stats", "imagecodecs")


def test_a_mos_from_a_frame_loads_nothing_heavy() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", LIGHT, *HEAVY], capture_output=True, text=True, check=True
    )
    assert ran.stdout.split() == []
