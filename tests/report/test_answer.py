"""The sentences of a report: their figures are those of the frames, in every case there is."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd
import pytest

from sreval.errors import StatisticsError
from sreval.opinions.comparison import compare_methods
from sreval.opinions.mos import mos_table
from sreval.opinions.simulation import RaterModel, make_stimuli, simulate_votes
from sreval.opinions.units import Unit, interval_of
from sreval.opinions.votes import ACR, Scale, check_votes
from sreval.report import paper
from sreval.report.answer import Answer

FOUR = {"nearest": 1.5, "bicubic": 2.4, "srresnet-mse": 3.4, "hr": 4.4}


def votes_of(
    qualities: dict[str, float], raters: int = 8, images: int = 6, seed: int = 0
) -> pd.DataFrame:
    stimuli = make_stimuli(qualities, images, dataset="Set5", seed=seed)
    return check_votes(simulate_votes(stimuli, RaterModel(), raters, seed))


def answer_to(
    votes: pd.DataFrame,
    unit: Unit = "both",
    pairs: tuple[tuple[str, str], ...] = (),
    scale: Scale = ACR,
    **changes: Any,
) -> Answer:
    def compared(pairs: tuple[tuple[str, str], ...]) -> pd.DataFrame:
        try:
            (made,) = compare_methods(votes, unit=unit, pairs=pairs, scale=scale)
        except StatisticsError:
            return pd.DataFrame()
        return made.frame()

    means = mos_table(votes, interval=interval_of(unit), scale=scale)
    n = {"raters": votes["rater"].nunique(), "images": votes["image"].nunique()}
    every = compared(())
    planned = compared(pairs) if pairs else every
    return Answer("Set5", means, planned, every, unit=unit, **{**n, **changes})


def with_means(means: dict[str, float], **changes: Any) -> Answer:
    """Two raters' votes on one image and method, shifted so that the means are just these."""
    rows = [
        {"rater": f"r{r}", "image": f"i{i}", "method": m, "dataset": "Set5", "score": mean}
        for m, mean in means.items()
        for r in range(6)
        for i in range(6)
    ]
    return answer_to(
        check_votes(pd.DataFrame(rows), scale=Scale(0, 100)), scale=Scale(0, 100), **changes
    )


def figures(text: str) -> list[float]:
    return [float(found) for found in re.findall(r"(?<![\w.])[+-]?\d+\.\d\d(?!\d)", text)]


def row_of(answer: Answer, first: str, second: str) -> tuple[pd.Series, int]:
    for _, row in answer.planned.iterrows():
        for names, sign in (((first, second), 1), ((second, first), -1)):
            if (row["first"], row["second"]) == names:
                return row, sign
    raise AssertionError


def test_every_figure_is_that_of_the_frames() -> None:
    answer = answer_to(votes_of(FOUR))
    leads, differs, original = answer.sentences
    means = answer.means.set_index("method")
    best, following = "srresnet-mse", "bicubic"
    row, sign = row_of(answer, best, following)
    limits = sorted(sign * row[side] for side in ("low_adjusted", "high_adjusted"))
    expected = [*means.loc[best, ["mos", "low", "high"]], abs(row["difference"]), *limits]
    assert figures(leads.replace("–", " ")) == pytest.approx(expected, abs=0.0051)
    assert leads.startswith("Of the methods, SRResNet-MSE has the highest MOS on Set5, ")
    assert re.search(r"points above the next, bicubic \(95%, Holm: \d", leads)
    assert differs == "All 6 planned comparisons show a difference (alpha 0.05, Holm)."
    row, sign = row_of(answer, best, "hr")
    below = sorted(-sign * row[side] for side in ("low_adjusted", "high_adjusted"))
    gap = -sign * row["difference"]
    assert below[0] < gap < below[1]
    expected = [gap, *below, means.loc["hr", "mos"]]
    assert figures(original.replace("–", " ")) == pytest.approx(expected, abs=0.0051)
    assert re.search(r"points below HR \(95%, Holm: \d", original)
    assert original.endswith(
        "These results are about raters and images in general; they rest on the votes of 8 "
        "raters on 6 images."
    )


def test_the_p_is_that_of_the_test_and_an_interval_over_raters_is_of_each_alone() -> None:
    answer = answer_to(votes_of(FOUR, raters=12), unit="rater", images=1)
    row, sign = row_of(answer, "srresnet-mse", "bicubic")
    limits = sorted((sign * row["low"], sign * row["high"]))
    leads = answer.sentences[0]
    assert f"(95%: {limits[0]:.2f}–{limits[1]:.2f}; adjusted p {row['p_adjusted']:.4f})" in leads
    assert (
        "about these images, raters in general; they rest on the votes of 12 raters on 1 image."
        in answer.sentences[2]
    )


def test_a_pair_that_was_not_planned_is_said_to_be() -> None:
    answer = answer_to(votes_of(FOUR), pairs=(("bicubic", "nearest"),))
    leads, differs, original = answer.sentences
    assert leads.endswith(", not planned).")
    assert ", not planned), the original, whose MOS is" in original
    assert differs == (
        "The planned comparison, bicubic against nearest, shows a difference (alpha 0.05)."
    )


def test_pairs_without_a_difference_are_named_and_counted() -> None:
    alike = {f"m{i}": 3.0 for i in range(5)}
    answer = answer_to(votes_of(alike, seed=3))
    count = int(answer.planned["significant"].sum())
    assert count == 0
    assert answer.sentences[1] == (
        "None of the 10 planned comparisons shows a difference (alpha 0.05, Holm)."
    )
    some = answer_to(votes_of({**alike, "hr": 4.6}, seed=3))
    found = some.planned[some.planned["significant"]]
    others = some.planned[~some.planned["significant"]]
    named = [
        f"{paper.label(a)} against {paper.label(b)}"
        for a, b in zip(others["first"], others["second"], strict=True)
    ]
    assert 0 < len(found) < 15
    assert some.sentences[1] == (
        f"{len(found)} of 15 planned comparisons show a difference (alpha 0.05, Holm); none is "
        f"shown for {', '.join(named[:4])} and {len(others) - 4} more."
    )


def test_methods_whose_means_are_printed_alike_share_the_first_place() -> None:
    three = with_means({"a": 50.0, "b": 50.0, "c": 50.0, "d": 10.0})
    assert three.sentences[0] == "a, b and c share the highest MOS on Set5, 50.00."
    two = with_means({"a": 50.001, "b": 50.0, "hr": 90.0})
    share, original = two.sentences[0], two.sentences[2]
    assert share.startswith(
        "Of the methods, a and b share the highest MOS on Set5, 50.00; their difference is "
        "0.00 (95%, Holm: "
    )
    assert original.startswith("They lie 40.00 points below HR, the original, whose MOS is")
    alike = with_means({"a": 50.0, "b": 40.0, "hr": 50.0})
    assert alike.sentences[2].startswith("a is as high as HR (")
    alike = with_means({"a": 50.0, "b": 50.0, "hr": 50.0})
    assert alike.sentences[2].startswith(
        "They are as high as HR, the original, whose MOS is 50.00."
    )
    assert not re.search(r"-0\.00", " ".join(two.sentences))


def test_what_lies_above_the_original_is_said_to() -> None:
    answer = with_means({"a": 95.0, "b": 20.0, "hr": 90.0})
    assert answer.sentences[2].startswith("a lies 5.00 points above HR (")
    assert answer.sentences[0].startswith("Of the methods, a has the highest MOS on Set5, 95.00")
    assert "75.00 points above the next, b" in answer.sentences[0]


def test_a_scale_of_another_kind_and_another_name_of_the_mean() -> None:
    answer = with_means({"a": 80.0, "b": 20.0}, name="DMOS(DCR)")
    assert answer.sentences[0].startswith("a has the highest DMOS(DCR) on Set5, 80.00")
    assert answer.sentences[2].startswith("The original was not rated. These results are about")


def test_one_method_alone_or_beside_the_original() -> None:
    alone = answer_to(votes_of({"bicubic": 2.5}))
    assert alone.sentences[0].startswith("Only bicubic has votes on Set5: MOS ")
    assert alone.sentences[1].startswith("The original was not rated. ")
    assert len(alone.sentences) == 2
    both = answer_to(votes_of({"bicubic": 2.5, "hr": 4.5}))
    leads, differs, original = both.sentences
    assert leads.startswith("Besides the original only bicubic has votes on Set5: MOS ")
    assert differs.startswith("The planned comparison, HR against bicubic, shows a difference")
    assert original.startswith("bicubic lies ")
    only = answer_to(votes_of({"hr": 4.5}))
    assert only.sentences[0].startswith("Only HR has votes on Set5: MOS ")
    assert "original" not in only.sentences[1]


def test_one_rater_has_means_and_no_test() -> None:
    answer = answer_to(votes_of(FOUR, raters=1), unit="rater")
    leads, differs, original = answer.sentences
    assert "(n is too small for a test)." in leads
    assert "interval" not in leads
    assert differs == "n is too small for any of the 6 planned comparisons (alpha 0.05, Holm)."
    assert original.endswith(
        "These are means of the votes of 1 rater on 6 images, too few for an interval."
    )


def test_no_vote_is_one_sentence() -> None:
    none = pd.DataFrame({"method": [], "mos": []})
    answer = Answer("Set5", none, pd.DataFrame(), pd.DataFrame(), 0, 0, "both")
    assert answer.sentences == ["Nobody's votes count on Set5."]
