"""The report of a study of pairs: the figures of ``sreval preferences``, in words and whole."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

import sreval
from sreval.errors import UNFORESEEN, StatisticsError, UsageError
from sreval.opinions.intervals import exact_share
from sreval.opinions.pairs.consistency import left_of_same
from sreval.opinions.pairs.judgements import Judgements
from sreval.opinions.pairs.simulation import PairModel
from sreval.report import pair_answer, paper
from sreval.report.anonymous import anonymous_votes
from sreval.report.opinion_rows import results_table
from sreval.report.pair_facts import PairFacts
from sreval.report.study_report import Report, study_report, to_html, to_latex
from sreval.report.thumbnails import galleries
from sreval.study.data import StudyData
from tests.report.study_builder import make_pair_study, make_study
from tests.report.test_thumbnails import frozen

ONE = {"Set5": 5}


@pytest.fixture(scope="module")
def closed() -> StudyData:
    return make_pair_study(ONE)


@pytest.fixture(scope="module")
def facts(closed: StudyData) -> PairFacts:
    """What is computed of it, each table once."""
    return PairFacts(closed)


def answered(data: StudyData, change: Callable[[pd.DataFrame], pd.DataFrame]) -> StudyData:
    """The study with other answers."""
    votes = change(data.votes.copy())
    scores = votes["choice"].map({"left": -1, "tie": 0, "right": 1})
    return replace(data, votes=votes.assign(score=scores))


def brief(data: StudyData) -> list[str]:
    return PairFacts(data).answer("Set5").sentences


def said(report: Report) -> list[str]:
    return [line for part in report.parts for line in (*part.sentences, *part.not_done)]


def titles(report: Report) -> list[str]:
    return [part.title for part in report.parts]


def test_a_report_has_the_figures_that_preferences_gives_of_the_votes() -> None:
    data = make_pair_study(ONE, raters=5, model=PairModel("davidson", tie_parameter=-0.5))
    found = sreval.preferences(data.votes.drop(columns="score")).frames
    facts = PairFacts(data)
    for name, theirs in found.items():
        ours = pd.concat([table.frame for table in facts.tables("Set5", name)])
        shared = [column for column in theirs if column != "simulated"]
        pd.testing.assert_frame_equal(ours[shared], theirs[shared])
    assert set(found) == {"scale", "pairs", "checks", "models", "images", "agreement", "raters"}


def test_it_begins_with_who_judged_what_and_what_was_found(
    closed: StudyData, facts: PairFacts
) -> None:
    report = study_report(closed)
    assert report.lead[0].startswith("6 raters gave the 180 judgements that count")
    assert "on 30 pairs of pictures" in report.lead[0]
    assert "which picture looks better, side by side; answers left, right." in report.lead[1]
    assert "Pairs: all by every rater." in report.lead[1]
    assert [part.title for part in report.parts if part.first] == ["In brief: Set5"]
    first, second, third = facts.answer("Set5").sentences
    scale, pairs = (facts.tables("Set5", name)[0].frame for name in ("scale", "pairs"))
    best = scale.sort_values("jod").to_dict("records")[-1]
    assert f"{best['method']} has the highest value on Set5, {best['jod']:+.2f} JOD" in first
    row = pairs[(pairs["first"] == best["method"]) & (pairs["second"] == "srresnet-mse")].iloc[0]
    assert f"chosen in {row['share']:.0%} of {row['n']:.0f} judgements" in first
    assert f"adjusted p {row['p_adjusted']:.4f}" in first
    found = int(pairs["significant"].sum())
    assert second.startswith(f"{found or 'None'} of the {len(pairs)} pairs of methods")
    assert "SRResNet-MSE against bicubic" in second  # nearest of those that aren't told apart
    assert "about raters and images in general" in third
    assert "180 judgements of 6 raters on 5 images" in third
    page, latex = to_html(report), to_latex(report)
    assert "Preferences in JOD, Set5" in page
    assert all(UNFORESEEN not in line for line in said(report))
    assert "Bradley and Terry 1952" in page
    assert "theta" in latex


def test_what_has_no_finite_scale_is_said_and_penalised_by_name(closed: StudyData) -> None:
    def wins(votes: pd.DataFrame) -> pd.DataFrame:
        votes.loc[votes["left"] == "srgan", "choice"] = "left"
        votes.loc[votes["right"] == "srgan", "choice"] = "right"
        return votes

    data = answered(closed, wins)
    facts = PairFacts(data)
    first, last = facts.answer("Set5").sentences
    assert first.startswith("There is no common scale on Set5: from these judgements")
    assert "Chosen the most: srgan in 100% of 90 judgements against " in first
    assert "JOD" not in first + last
    (table,) = facts.tables("Set5", "scale")
    assert "penalised (Firth)" in [column.heading for column in table.columns]
    ((title, _, _),) = facts.charts("Set5")
    assert title == "How often each method was chosen, Set5"


def test_ties_alone_and_parts_without_a_link_are_said(closed: StudyData) -> None:
    ties = answered(closed, lambda votes: votes.assign(choice="tie"))
    assert brief(ties)[0].endswith("each of 180 judgements is a tie.")
    pair = {"nearest", "bicubic"}
    parts = answered(closed, lambda v: v[v["left"].isin(pair) == v["right"].isin(pair)])
    assert brief(parts)[0].startswith("No judgement on Set5 links the methods of 2 parts")
    ((dataset, never),) = PairFacts(parts).lacking
    assert (dataset, len(never)) == ("Set5", 4)
    assert "nearest against srgan" in never


def test_it_says_how_far_the_best_method_lies_from_the_original() -> None:
    data = make_pair_study(ONE, {"nearest": -1.5, "srgan": 0.0, "hr": 1.5}, 8)
    facts = PairFacts(data)
    first, second, _ = facts.answer("Set5").sentences
    (scale,) = (table.frame.set_index("method")["jod"] for table in facts.tables("Set5", "scale"))
    assert f"srgan lies {scale['hr'] - scale['srgan']:.2f} JOD below HR (95%, Holm: " in first
    assert "3 pairs of methods and HR" in second


def test_a_lead_that_own_judgements_contradict_is_the_models() -> None:
    pairs = pd.DataFrame(
        {
            "first": ["a", "b"], "second": ["b", "c"], "n": [50, 2], "raters": [9, 1],
            "indirect": [False, True], "share": [0.49, 0.5], "p_adjusted": [0.7, 0.01],
            "share_low": 0.35, "share_high": 0.64, "level": 0.95,
        }
    )  # fmt: skip
    said = pair_answer._over(pairs.iloc[0])
    assert said.startswith(" by the model over all pairs (chosen in 49% of 50 judgements")
    indirect = pair_answer._over(pairs.iloc[1])
    assert "(indirect: judged 2 times by 1 rater; adjusted p 0.0100)" in indirect


def test_a_pair_hardly_judged_is_said_to_be_compared_through_others() -> None:
    data = make_pair_study(ONE, {"nearest": -3.0, "bicubic": 0.0, "srgan": 0.1}, 8)
    votes = data.votes
    pair = {"nearest", "srgan"}
    own = votes["left"].isin(pair) & votes["right"].isin(pair) & (votes["kind"] == "vote")
    few = replace(data, votes=votes[~own | own.cumsum().between(1, 2)])
    facts = PairFacts(few)
    (table,) = facts.tables("Set5", "pairs")
    indirect = table.frame[table.frame["indirect"]]
    assert indirect[["n", "raters"]].to_numpy().tolist() == [[2, 1]]
    assert any("(2 judgements). Their differences come mostly" in note for note in table.notes)
    (whole,) = PairFacts(data).tables("Set5", "pairs")
    assert not whole.frame["indirect"].any()


def test_the_pairs_told_apart_are_named_where_they_are_few(facts: PairFacts) -> None:
    (table,) = facts.tables("Set5", "pairs")
    answer, every = facts.answer("Set5"), table.frame
    names = [
        f"{paper.label(a)} against {paper.label(b)}"
        for a, b in every[["first", "second"]].to_numpy()
    ]
    rows = range(len(every))
    one = answer._differences(
        every.assign(significant=[n == 0 for n in rows], indirect=True, n=2), set()
    )
    assert f"{one.split(':')[1]}:".startswith(f" {names[0]} (indirect")
    assert "is told apart (alpha 0.05, Holm)" in one
    most = answer._differences(every.assign(significant=[n > 0 for n in rows]), set())
    assert f"are told apart (alpha 0.05, Holm), all but {names[0]}" in most


@pytest.mark.parametrize("side", ["left", "right"])
def test_one_side_alone_says_nothing_about_methods(closed: StudyData, side: str) -> None:
    data = answered(closed, lambda votes: votes.assign(choice=side))
    said = brief(data)
    assert said[0] == (
        f"Every answer on Set5 is {side}: the judgements say nothing about the methods."
    )
    assert len(said) == 2
    (table,) = PairFacts(data).tables("Set5", "scale")
    assert table.notes[0] == said[0]


def test_ties_alone_give_shares_no_interval(closed: StudyData) -> None:
    ties = answered(closed, lambda votes: votes.assign(choice="tie"))
    (table,) = PairFacts(ties).tables("Set5", "shares")
    assert table.frame[["share_low", "share_high"]].isna().all(axis=None)
    assert "no interval" in table.notes[-1]


def test_one_rater_nobody_and_an_open_study(closed: StudyData) -> None:
    alone = brief(make_pair_study(ONE, raters=1))
    assert "interval" not in alone[0]
    assert (
        alone[1] == "No test tells the pairs of methods apart: there are too few raters or images."
    )
    empty = replace(closed, votes=closed.votes.head(0), sessions=closed.sessions.head(0))
    report = study_report(empty)
    assert report.lead[0].startswith("Nobody has voted yet.")
    assert all(UNFORESEEN not in line for line in said(report))
    hidden = study_report(replace(closed, state="open"))
    assert not any("Results" in title or "brief" in title for title in titles(hidden))
    page = to_html(hidden)
    assert "JOD" not in page.replace("Perez-Ortiz and Mantiuk", "").partition("For a paper")[0]


def test_the_photograph_is_told_by_the_rate_against_the_original() -> None:
    theta = {"nearest": -2.0, "srgan": 0.0, "hr": 0.5}
    data = make_pair_study(ONE, theta, 8, task={"question": "photograph"})
    votes = data.opinions
    own = votes[(votes["left"] == "srgan") | (votes["right"] == "srgan")]
    chosen = own["left"].where(own["choice"] == "left", own["right"])
    share = (chosen == "srgan").mean()
    told = f"srgan was taken for the photograph in {share:.0%} of 40 judgements (95%: "
    assert brief(data)[0].startswith(told)
    assert "at 50% a method can't be told from the original." in brief(data)[0]

    def original(votes: pd.DataFrame) -> pd.DataFrame:
        votes.loc[votes["left"] == "hr", "choice"] = "left"
        votes.loc[votes["right"] == "hr", "choice"] = "right"
        return votes

    first, second, *_ = brief(answered(data, original))
    assert "was taken for the photograph in 0% of 40" in first
    assert second.startswith("There is no common scale on Set5")
    assert "HR" in second
    assert "hr" not in second
    assert "Chosen the most" not in second
    ((title, svg, caption),) = PairFacts(data).charts("Set5")
    assert title == "Taken for the photograph in place of the original, Set5"
    assert f"{share:.0%}" in svg
    assert "50% if they can't be told apart" in caption


def test_planned_comparisons_are_corrected_among_themselves() -> None:
    planned = [["srgan", "nearest"], ["nearest", "bicubic"]]
    data = make_pair_study(ONE, raters=8, analysis={"comparisons": planned})
    facts = PairFacts(data)
    made = facts.planned_tests("Set5").frame
    assert made[["first", "second"]].to_numpy().tolist() == planned
    (every,) = facts.tables("Set5", "pairs")
    (turned,) = (
        row for row in every.frame.to_dict("records")
        if (row["first"], row["second"]) == ("bicubic", "nearest")
    )  # fmt: skip
    assert made["difference"].iloc[1] == -turned["difference"]
    assert made["share"].iloc[1] == pytest.approx(1 - turned["share"])
    low, high = sorted(made["p"])
    assert sorted(made["p_adjusted"]) == pytest.approx([2 * low, max(2 * low, high)])
    assert "planned pairs of methods" in brief(data)[1]


def test_an_active_plan_is_said_to_break_what_fixed_plans_promise(closed: StudyData) -> None:
    design = closed.design.model_copy(
        update={"subset": 20, "pairs": type(closed.design.pairs)(plan="active")}
    )
    lines = said(study_report(replace(closed, design=design)))
    assert any("tests and intervals for fixed plans don't hold" in line for line in lines)


def test_looks_of_toggled_pictures_and_habits_of_one_side_are_there() -> None:
    task = {"layout": "toggle", "switch_ms": 200, "reference": True, "question": "closer"}
    data = make_pair_study(ONE, task=task)
    ((table),) = PairFacts(data).switches_on("Set5")
    assert table.frame.set_index("what")["median"].to_dict() == {
        "exchanges of pictures": 3.0,
        "seconds on the left picture": 1.5,
        "seconds on the right picture": 2.5,
    }
    (raters,) = PairFacts(data).tables("Set5", "raters")
    assert "the mean of 6 raters is 50%" in raters.notes[-1]
    assert "in one place, beside the original" in study_report(data).lead[1]


def test_the_left_of_identical_pictures_is_a_mean_over_raters() -> None:
    rows = [
        (f"r{rater}", "left" if trial < rater else "right") for rater in range(5)
        for trial in range(4)
    ]  # fmt: skip
    frame = pd.DataFrame(rows, columns=["rater", "choice"]).assign(kind="same", count=1)
    found = left_of_same(frame)
    assert found.estimate == pytest.approx((0 + 1 + 2 + 3 + 4) / 4 / 5)
    low, high = exact_share(found.estimate, 20)
    assert found.low <= low < high <= found.high
    with pytest.raises(StatisticsError, match="Nobody chose one of two identical pictures"):
        left_of_same(frame.assign(choice="tie"))


def test_anonymous_judgements_give_the_same_scale(closed: StudyData, facts: PairFacts) -> None:
    votes = anonymous_votes(closed)
    assert not {"session", "reason", "score"} & set(votes)
    (ours,) = facts.tables("Set5", "scale")
    theirs = sreval.preferences(votes).frame
    assert theirs["jod"].tolist() == pytest.approx(ours.frame["jod"].tolist())


def test_what_divided_raters_most_and_least_is_shown(tmp_path: Path, closed: StudyData) -> None:
    data, _ = frozen(closed, tmp_path / "stimuli")
    most, least = galleries(data, tmp_path / "stimuli")
    own = data.opinions
    first = own[["left", "right"]].min(axis=1)
    chosen = own["left"].where(own["choice"] == "left", own["right"])
    pair = [own["image"], first, own[["left", "right"]].max(axis=1)]
    gaps = ((chosen == first).groupby(pair).mean() - 0.5).abs()
    for made, gap in ((most, gaps.min()), (least, gaps.max())):
        won, lost = map(int, re.findall(r"(\d+) (?:chose )?[A-Za-z-]+", made.title.split("; ")[1]))
        assert won >= lost
        assert won / 6 - 0.5 == pytest.approx(gap)
        assert len(made.crops) == 2
    hidden = list(galleries(replace(data, state="open"), tmp_path / "stimuli"))
    assert all(made.title.startswith("Versions of") for made in hidden)


def test_effects_of_exclusions_are_in_jod(closed: StudyData, facts: PairFacts) -> None:
    votes = closed.votes.copy()
    votes.loc[votes["rater"] == "rater_002", ["accepted", "reason"]] = (False, "too fast")
    data = replace(closed, votes=votes)
    without = PairFacts(data)
    frame = without.effect_of_exclusions
    used = without.tables("Set5", "scale")[0].frame.set_index("method")["jod"]
    every = facts.tables("Set5", "scale")[0].frame.set_index("method")["jod"]
    own = frame.set_index("method")
    pd.testing.assert_series_equal(own["jod_used"], used[own.index], check_names=False)
    pd.testing.assert_series_equal(own["jod_all"], every[own.index], check_names=False)
    assert own["n_used"].sum() == 2 * 150


def test_the_api_takes_judgements_and_a_table_refuses_what_has_no_mos(closed: StudyData) -> None:
    found = sreval.preferences(Judgements(closed.judgements))
    assert found.frame["method"].iloc[0] == "srgan"
    dcr = make_study({"Set5": 2}, raters=2, task={"kind": "dcr"})
    for data, why in ((closed, "it has no scores"), (dcr, r"it has DMOS\(DCR\), not MOS")):
        with pytest.raises(UsageError, match=why):
            results_table(pd.DataFrame({"scale": [4]}), studies=[data])


@pytest.mark.usefixtures("undrawn")
def test_means_of_degradation_have_their_name_everywhere() -> None:
    data = make_study({"Set5": 5}, task={"kind": "dcr"})
    report = study_report(data)
    page = to_html(report)
    assert "DMOS(DCR)" in page
    assert re.findall(r"(?<!D)MOS|[Mm]ean opinion", page) == []
    notes = [note for table in report.tables for note in table.notes]
    assert any("HR, rated against itself, got less than 5" in note for note in notes)
    assert not any("paper's" in note for note in notes)
