"""What the notes under `sreval study power` say of the plan and of its simulation."""

from __future__ import annotations

from typing import Any

import pytest

import sreval
from sreval.opinions.units import default_unit
from sreval.report.study_text import judgements_text, power_text


def told(**plan: Any) -> str:
    defaults = {"difference": 0.5, "raters": 8, "images": 6, "unit": "rater", "studies": 2}
    return power_text(sreval.power(**{**defaults, **plan}))


def test_what_is_not_the_default_is_told_and_nothing_else() -> None:
    assert "Assumed" not in told()
    text = told(
        methods=3, subset=0.5, repeats=1, straight_liners=0.1, speeders=0.05, drop_outs=0.2,
        screening="too-fast", seed=4,
    )  # fmt: skip
    assert (
        "Assumed: 3 methods; a rater sees 50% of the stimuli; 1 hidden repeat; 10% of raters "
        "give one score throughout; 5% of raters vote at random at once; 20% of raters leave "
        "after a random part; screening by too-fast, before which raters are counted; seed 4."
    ) in text
    assert "Raters are those who begin" in text
    # 9 of 18 stimuli: 6 x (9 x 8) / (18 x 17)
    assert "A rater sees both methods on 1.4 of 6 images on average." in text
    assert "about 1.25 times as many begin" in told(drop_outs=0.2, looks=2)


def test_the_frame_holds_all_that_was_assumed() -> None:
    for one in ({"raters": 8}, {"images": 2, "raters": None, "unit": "image"}):
        plan = {"images": 6, "unit": "rater", "studies": 2, "drop_outs": 0.25, "seed": 7} | one
        (row,) = sreval.power(0.5, **plan).to_dict("records")  # type: ignore[arg-type]
        assert (row["drop_outs"], row["seed"], row["target"], row["methods"]) == (0.25, 7, 0.8, 2)
        assert row["least_units"] == 6


@pytest.mark.parametrize(("difference", "side"), [(0.01, "below 0.730"), (9, "above 0.270")])
def test_studies_that_all_end_alike_have_limits_and_no_standard_error(
    difference: float, side: str
) -> None:
    """Wilson's limit of none of one study: z^2 / (1 + z^2), where z = 1.645."""
    text = told(difference=difference, studies=1)
    assert "1 simulated study a figure; where " in text
    assert f"the power lies {side} (at 95%)" in text
    assert "standard error" not in text


def test_the_floor_and_the_idle_looks_are_those_of_the_looks() -> None:
    text = told(raters=(8, 9), methods=4, looks=2, spending="pocock")
    assert "With fewer than 9 raters no outcome" in text
    assert "can be significant after 4 and 8 raters." in text
    assert "can be significant after 4 raters: leave that look out." in text
    assert "after 1 rater," in told(looks=(1, 8))
    assert "needs 8.0 raters on average at a difference of 0.01." in told(difference=0.01, looks=2)


def test_what_nothing_can_reach_has_a_remedy() -> None:
    text = told(images=1, raters=None, unit="both")
    assert "No number of raters is enough for 1 image" in text
    assert "Give more images by images=, or another unit by unit=." in text
    assert "none sees both methods on one image" in told(subset=0.01)


@pytest.mark.parametrize(("raters", "images"), [(5, 5), (5, 4), (4, 6), (None, 4), (6, None)])
def test_the_unit_is_that_which_votes_of_this_size_would_have(
    raters: int | None, images: int | None
) -> None:
    size = {"raters": raters, "images": images, "find": None if images else "images"}
    made = sreval.power(2.0, studies=2, **size)  # type: ignore[arg-type]
    default = default_unit(raters, images)
    assert default.unit == ("rater" if 4 in (raters, images) else "both")
    assert set(made["unit"]) == {default.unit}
    text = power_text(made)
    assert default.why in text
    assert ("so that the unit is rater" in text) == (default.unit == "rater")
    assert "so that the unit is rater" not in told(raters=4, unit="rater")


def test_each_plan_has_its_own_unit() -> None:
    text = told(raters=(4, 6), images=(3, 6), unit=None, difference=3)
    rows = [line.split() for line in text.splitlines() if "3.00" in line.split()[:1]]
    assert [row[3:5] for row in rows] == [["rater", "0.00"], ["rater", "0.00"], ["both", "–"]]
    assert "unit rater: these images" in text
    assert "unit both: raters and images" in text
    for there in ("4 raters and 3 images", "6 raters and 3 images", "4 raters and 6 images"):
        assert f"here are {there}" in text


@pytest.mark.parametrize(("find", "unit"), [("raters", "image"), ("images", "rater")])
def test_a_search_without_an_answer_says_what_was_asked(find: str, unit: str) -> None:
    other = "images" if find == "raters" else "raters"
    plan = {"find": find, find: None, other: 6, "unit": unit, "looks": 2, "drop_outs": 0.5}
    text = told(difference=1e-9, **plan)
    assert "more than 1024" in text
    assert " with 1024 " in text
    assert "2 looks, alpha spent by obrien-fleming: p must lie below" in text
    assert "Raters are those who finish" in text
    assert f"more {other} are needed: try find= {other}." in text
    few = told(**{**plan, other: 2})
    assert "2 looks, alpha spent by obrien-fleming." in few
    assert "Raters are those who finish" in few


def test_a_note_names_the_difference_as_the_table_does() -> None:
    text = told(task="pair", difference=None, jod=0.5, raters=6, looks=2, studies=3)
    assert "raters on average at a win probability of 0.632." in text


def test_what_no_number_of_raters_reaches_is_said() -> None:
    text = judgements_text(sreval.judgements_needed([0.3, 0.5]))
    assert text.count("  no number does") == 1
    assert "Where no number does, " in text
    assert "give more by images= or raters=" in text
    assert "15 x 10 reaches +- JOD" in text
    assert "150 judgements of a pair" in text
    assert "number does" not in judgements_text(sreval.judgements_needed(1))
