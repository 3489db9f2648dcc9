"""The design's rules on sessions made by hand."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from sreval.opinions.votes import check_votes
from sreval.study.acceptance import Acceptance, Verdict
from sreval.study.design import ItemKind, StudyDesign
from tests.study.designs import design_of

KEPT = Verdict(True, True, ())


def rule(kind: str, limit: float, **says: Any) -> dict[str, Any]:
    return {"kind": kind, "limit": limit, "reason": f"because of {kind}", **says}


def design(*rules: dict[str, Any], **changes: Any) -> StudyDesign:
    gold = [
        {"dataset": "train", "method": "hr", "images": 4, "low": 4, "high": 5},
        {"dataset": "Set5", "method": "hr", "images": 4, "low": 3, "high": 5},
    ]
    parts: dict[str, Any] = {"gold": gold, "acceptance": rules, **changes}
    return design_of(["nearest", "hr"], [{"name": "Set5"}], **parts)


def session(
    scores: list[int], kind: str = "vote", dataset: str = "Set5", first: int = 1, **columns: Any
) -> pd.DataFrame:
    rows = {
        "rater": "r-1",
        "position": range(first, first + len(scores)),
        "dataset": dataset,
        "image": [f"i{number}" for number in range(len(scores))],
        "method": "hr",
        "score": scores,
        "kind": kind,
        **columns,
    }
    return check_votes(pd.DataFrame(rows))


def joined(*parts: pd.DataFrame) -> pd.DataFrame:
    return pd.concat(parts, ignore_index=True)


def judge(votes: pd.DataFrame, rules: StudyDesign, planned: int | None = None) -> Verdict:
    return Acceptance(rules).verdicts(votes, {"r-1": planned})["r-1"]


VARIED = [1, 2, 3, 4, 5] * 4


def test_a_session_that_breaks_no_rule_is_used_and_paid() -> None:
    strict = design(
        rule("gold", 0), rule("too-fast", 0), rule("straight-lining", 1), rule("repeats", 0)
    )
    votes = joined(
        session(VARIED, response_ms=700),
        session([3, 4], "gold", first=50),
        session([1, 2], "repeat", first=60),
    )
    assert judge(votes, strict, planned=24) == KEPT


@pytest.mark.parametrize(("wrong", "kept"), [(1, True), (2, False)])
def test_gold_is_judged_by_the_range_of_its_data_set(wrong: int, kept: bool) -> None:
    """A 3 fails on the training photographs and passes on Set5."""
    votes = joined(
        session(VARIED),
        session([3] * wrong + [4] * (4 - wrong), "gold", "train", first=50),
        session([3, 3, 3, 3], "gold", first=60),
    )
    verdict = judge(votes, design(rule("gold", 0.125)))
    assert verdict == (KEPT if kept else Verdict(False, True, ("because of gold",)))


@pytest.mark.parametrize(("fast", "kept"), [(2, True), (3, False)])
def test_votes_faster_than_the_least_time_and_200_ms_count_as_too_fast(
    fast: int, kept: bool
) -> None:
    times = [999.0] * fast + [1000.0] * (20 - fast)
    rules = design(rule("too-fast", 0.1), viewing={"least_ms": 800})
    verdict = judge(session(VARIED, response_ms=times), rules)
    assert verdict.used == kept


@pytest.mark.parametrize(("run", "kept"), [(5, True), (6, False)])
def test_the_longest_run_is_counted_in_the_order_of_positions(run: int, kept: bool) -> None:
    votes = session([1, 2, *[3] * run, 4, 5])
    shuffled = votes.sample(frac=1, random_state=1)
    assert judge(shuffled, design(rule("straight-lining", 5))).used == kept


@pytest.mark.parametrize(("limit", "kept"), [(1.5, True), (1.4, False)])
def test_repeats_are_judged_by_their_mean_absolute_difference(limit: float, kept: bool) -> None:
    votes = joined(session([1, 5, 3]), session([3, 4], "repeat", first=10))
    repeats = [{"dataset": "Set5", "method": "hr", "images": 2}]
    assert judge(votes, design(rule("repeats", limit), repeats=repeats)).used == kept


@pytest.mark.parametrize(("planned", "kept"), [(25, True), (26, False), (None, True)])
def test_an_incomplete_session_rated_too_small_a_share_of_its_plan(
    planned: int | None, kept: bool
) -> None:
    assert judge(session(VARIED), design(rule("incomplete", 0.8)), planned).used == kept


def test_used_and_paid_hold_only_if_every_broken_rule_lets_them() -> None:
    rules = design(
        rule("straight-lining", 3, used=True, paid=False),
        rule("incomplete", 0.5, used=False, paid=True),
        rule("too-fast", 0.5, used=False, paid=False),
    )
    verdict = judge(session([2] * 4, response_ms=5000), rules, planned=20)
    reasons = ("because of straight-lining", "because of incomplete")
    assert verdict == Verdict(False, False, reasons)


def test_a_rule_with_nothing_to_judge_by_is_not_broken() -> None:
    strict = design(rule("gold", 0), rule("too-fast", 0), rule("repeats", 0))
    assert judge(session([3]), strict) == KEPT
    calibration_only = session([1, 5], "calibration")
    assert judge(calibration_only, design(rule("straight-lining", 1))) == KEPT


def test_rules_need_no_more_than_the_plan_holds_and_no_fewer() -> None:
    """Of eight planned gold items four are needed; of two planned, both."""
    eight, two = design(rule("gold", 0.3)), design(rule("gold", 0.3), gold=TWO)
    missed = session([1, 1, 1, 1], "gold", first=50)
    assert judge(joined(session(VARIED), missed.head(3)), eight) == KEPT
    assert not judge(joined(session(VARIED), missed), eight).used
    assert judge(joined(session(VARIED), missed.head(1)), two) == KEPT
    assert not judge(joined(session(VARIED), missed.head(2)), two).used


TWO = [{"dataset": "Set5", "method": "hr", "images": 2, "low": 3, "high": 5}]


def test_rules_that_judge_by_few_items_or_never_are_told() -> None:
    counts: dict[ItemKind, int] = {"vote": 30, "repeat": 0, "gold": 2}
    rules = design(
        rule("gold", 0.3), rule("too-fast", 0.1), rule("straight-lining", 40),
        rule("incomplete", 1), gold=TWO,
    )  # fmt: skip
    assert Acceptance(rules).weak_rules(counts) == [
        "The rule 'gold' judges a rater by 2 gold items. With 4, a slip or two would not decide.",
        "The rule 'straight-lining' judges nobody: it needs 41 votes, and a rater's plan holds 30.",
    ]
    assert Acceptance(design(rule("gold", 0.3))).weak_rules({**counts, "gold": 8}) == []


def test_repeats_and_gold_that_no_rule_names_are_told_where_they_are_too_few() -> None:
    counts: dict[ItemKind, int] = {"vote": 30, "repeat": 3, "gold": 0}
    assert Acceptance(design()).weak_rules(counts) == [
        "The rule 'repeats' of a screening judges nobody: it needs 4 repeated votes, and a "
        "rater's plan holds 3."
    ]
    assert Acceptance(design()).weak_rules({**counts, "repeat": 4}) == []


# Pairs: choices in place of scores

SIDES = {-1: "left", 0: "tie", 1: "right"}


def pair_design(*rules: dict[str, Any], **changes: Any) -> StudyDesign:
    parts = {"task": {"kind": "pair"}, "acceptance": rules, **changes}
    return design_of(["nearest", "edsr", "hr"], [{"name": "Set5"}], **parts)


def choices(
    answers: list[int], kind: str = "vote", first: int = 1, *, turned: bool = False, **more: Any
) -> pd.DataFrame:
    """What one rater answered, in the form of an export with the answers as numbers."""
    left, right = ("nearest", "edsr") if turned else ("edsr", "nearest")
    rows = {
        "rater": "r-1",
        "session": "r-1",
        "position": range(first, first + len(answers)),
        "dataset": "Set5",
        "image": [f"i{number}" for number in range(len(answers))],
        "left": left,
        "right": right,
        "score": answers,
        "choice": [SIDES[answer] for answer in answers],
        "kind": kind,
        "correct": None,
        "response_ms": 2000.0,
        "accepted": True,
        **more,
    }
    return pd.DataFrame(rows)


TURNS = [-1, 1, 1, -1, 1, -1, -1, 1] * 3


def test_a_session_of_pairs_that_breaks_no_rule_is_used_and_paid() -> None:
    strict = pair_design(
        rule("gold", 0), rule("too-fast", 0), rule("straight-lining", 2), rule("repeats", 0),
        rule("incomplete", 1),
    )  # fmt: skip
    votes = joined(
        choices(TURNS),
        choices([-1, 1], "gold", 30, correct=["left", "right"]),
        choices([-answer for answer in TURNS[:4]], "repeat", 40, turned=True),
        choices([1, 1], "same", 50),
    )
    assert judge(votes, strict, planned=32) == KEPT


@pytest.mark.parametrize(("answers", "kept"), [([-1, 1, 1, 1], True), ([-1, 0, -1, 1], False)])
def test_gold_of_pairs_is_judged_by_the_answer_of_its_item(answers: list[int], kept: bool) -> None:
    """Whichever side the better one stands on; a third answer isn't right."""
    correct = ["left", "right", "right", "left"]
    votes = joined(choices(TURNS), choices(answers, "gold", 30, correct=correct))
    verdict = judge(votes, pair_design(rule("gold", 0.25)))
    assert verdict == (KEPT if kept else Verdict(False, True, ("because of gold",)))


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(("other", "kept"), [(1, True), (2, False)])
def test_repeats_of_pairs_are_held_against_the_first_answer_by_method(
    turned: bool, other: int, kept: bool
) -> None:
    first = [-1, 1, 0, -1]
    again = [answer + 1 if answer < 1 else -1 for answer in first[:other]] + first[other:]
    if turned:
        again = [-answer for answer in again]
    votes = joined(choices(TURNS).assign(score=first + TURNS[4:]),
                   choices(again, "repeat", 40, turned=turned))  # fmt: skip
    verdict = judge(votes, pair_design(rule("repeats", 0.25)))
    assert verdict == (KEPT if kept else Verdict(False, True, ("because of repeats",)))


def test_a_long_run_on_one_side_and_choices_that_come_too_fast_break_their_rules() -> None:
    rules = pair_design(rule("straight-lining", 6), rule("too-fast", 0.2))
    assert judge(choices([1, *[-1] * 6, 1, *TURNS]), rules) == KEPT
    assert judge(choices([1, *[-1] * 7, 1, *TURNS]), rules).reasons == (
        "because of straight-lining",
    )
    fast = choices(TURNS, response_ms=[100.0] * 6 + [2000.0] * 18)
    assert judge(fast, rules).reasons == ("because of too-fast",)


def test_a_rater_of_pairs_is_lost_once_no_answer_can_mend_it() -> None:
    rules = Acceptance(pair_design(rule("gold", 0.25, paid=False), **GOLD_OF_PAIRS))
    planned: dict[ItemKind, int] = {"vote": 24, "gold": 8}
    wrong = [
        joined(choices(TURNS), choices([1] * n + [-1] * (5 - n), "gold", 30, correct="left"))
        for n in (2, 3)
    ]
    assert [rules.is_lost(votes, planned) for votes in wrong] == [False, True]


GOLD_OF_PAIRS = {
    "gold": [{"dataset": "train", "method": "hr", "against": "nearest", "images": 5}],
}


def test_the_rules_on_pairs_are_those_that_have_a_meaning_for_choices() -> None:
    made = Acceptance(pair_design(rule("repeats", 0.4))).rules
    assert [one.kind for one in made] == ["gold", "too-fast", "straight-lining", "repeats"]
    assert made[3].limits == {"most_change": 0.4}
    votes = joined(choices([1] * 24), choices([1] * 8, "repeat", 40, turned=True))
    said = {one.kind: one.judge(votes).reasons.get("r-1") for one in made[2:]}
    assert said == {
        "straight-lining": "one answer in 100% of 24 votes, 24 times in a row",
        "repeats": "100% of 8 repeats answered otherwise",
    }


def test_the_limit_of_repeats_of_pairs_is_a_share() -> None:
    with pytest.raises(ValueError, match="share of repeats with another answer"):
        pair_design(rule("repeats", 1.5))


def test_dcr_is_judged_on_its_scale_by_the_rules_of_acr() -> None:
    gold = [{"dataset": "Set5", "method": "hr", "images": 4, "low": 4, "high": 5}]
    other = design(rule("gold", 0.25), task={"kind": "dcr"}, gold=gold)
    kinds = [one.kind for one in Acceptance(other).rules]
    assert kinds == [one.kind for one in Acceptance(design()).rules]
    votes = joined(session(VARIED), session([5, 5, 3, 3], "gold", first=50))
    assert judge(votes, other).reasons == ("because of gold",)
