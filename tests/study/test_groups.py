"""Groups and quotas of a design: what is refused, and what each group's raters are asked for."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from sreval.errors import UsageError
from sreval.study.check import check
from sreval.study.design import StudyDesign
from sreval.study.exposure import StimulusSet
from sreval.study.groups import Group, next_group
from sreval.study.plan import Item, make_plan
from tests.study.designs import Content, design_of, manifest_of, plain_pool

METHODS = ["nearest", "bicubic", "net", "hr"]
POOL = plain_pool(one=4, two=6)
GOLD = {"dataset": "two", "method": "hr", "images": 2, "low": 4, "high": 5}
LEFT: Content = {"name": "left", "raters": 2, "methods": ["nearest", "hr"]}
RIGHT: Content = {"name": "right", "raters": 3, "datasets": ["one"], "instructions": "Closer."}


def grouped(*groups: Content, **changes: Any) -> StudyDesign:
    chosen = {"groups": list(groups or (LEFT, RIGHT)), "gold": [GOLD], **changes}
    return design_of(METHODS, [{"name": "one"}, {"name": "two"}], **chosen)


def plans(design: StudyDesign, group: str) -> list[tuple[Item, ...]]:
    own = design.of_group(group)
    return [make_plan(own, manifest_of(POOL, METHODS), n, n) for n in range(own.raters)]


def test_a_group_rates_its_part_and_shares_the_checks() -> None:
    design = grouped()
    voted = {
        group: {(i.dataset, i.image, i.method) for i in plan if i.kind == "vote"}
        for group in ("left", "right")
        for plan in plans(design, group)
    }
    images = {name: list(POOL[name]) for name in ("one", "two")}
    assert voted["left"] == {
        (name, image, method) for name in images for image in images[name]
        for method in ("nearest", "hr")
    }  # fmt: skip
    assert voted["right"] == {("one", image, m) for image in images["one"] for m in METHODS}
    gold = {
        frozenset(i.image for i in plan if i.kind == "gold")
        for group in ("left", "right")
        for plan in plans(design, group)
    }
    assert len(gold) == 1  # what is drawn is drawn for the study: only that is frozen
    frozen = set(StimulusSet.of(design, POOL).shown)
    for group in ("left", "right"):
        items = [item for plan in plans(design, group) for item in plan]
        assert {(i.dataset, i.image, i.method) for i in items} <= frozen
    assert design.of_group("right").instructions == "Closer."
    assert design.of_group("left").instructions == design.instructions


def test_check_counts_what_all_groups_give_together() -> None:
    design = grouped(subset=7)
    found = check(design, manifest_of(POOL, METHODS))
    assert not found.problems
    votes = Counter(
        (i.dataset, i.image, i.method)
        for group in ("left", "right")
        for plan in plans(design, group)
        for i in plan
        if i.kind == "vote"
    )
    rated = {key for group in ("left", "right") for key in StimulusSet.of(
        design.of_group(group), POOL).voted}  # fmt: skip
    least, most = found.exposures
    assert least <= min(votes[key[0], key[1], key[2]] for key in rated)
    assert most >= max(votes.values())
    assert [(plan.name, plan.raters, plan.items) for plan in found.groups] == [
        ("left", 2, 9), ("right", 3, 9),
    ]  # fmt: skip
    assert "The groups rate different things" in " ".join(found.notes)
    assert found.tests == ()


def test_groups_that_differ_in_their_instructions_alone_are_tested_together() -> None:
    alike = grouped({"name": "a", "raters": 2}, {"name": "b", "raters": 3, "instructions": "Else."})
    alone = design_of(METHODS, [{"name": "one"}, {"name": "two"}], gold=[GOLD])
    manifest = manifest_of(POOL, METHODS)
    assert check(alike, manifest).tests == check(alone, manifest).tests
    assert check(alike, manifest).exposures == check(alone, manifest).exposures


@pytest.mark.parametrize(
    ("groups", "changes", "why"),
    [
        ([LEFT], {}, "the groups have 2 raters in all, and the study has 5"),
        ([LEFT, {**RIGHT, "name": "left"}], {}, "another group has this name"),
        ([{**LEFT, "methods": ["nearest", "none"]}, RIGHT], {}, "'none' isn't rated"),
        ([{**LEFT, "datasets": ["three"]}, RIGHT], {}, "'three' isn't rated"),
        ([{**LEFT, "methods": ["hr", "hr"]}, RIGHT], {}, "'hr' is given twice"),
        ([LEFT, {**RIGHT, "raters": 0}], {}, "greater than 0"),
        ([LEFT, {**RIGHT, "name": "<b>"}], {}, "should match pattern"),
        ([LEFT, {**RIGHT, "name": "a" * 10_000}], {}, "at most 200"),
        ([{**LEFT, "methods": ["net"]}, RIGHT], {"task": {"kind": "acr-hr"}},
         "the group 'left' can't be filled: the task acr-hr needs 'hr' among them"),
        ([{**LEFT, "methods": ["net"]}, RIGHT], {"task": {"kind": "pair"}, "gold": []},
         "the group 'left' can't be filled: a pair needs two methods"),
        ([LEFT, RIGHT], {"task": {"kind": "pair"}, "gold": [], "subset": 6,
                         "pairs": {"plan": "active"}}, "an active plan goes by the answers of all"),
        ([LEFT, RIGHT], {"analysis": {"looks": [3, 5], "look_before_close": True}},
         "take all raters to rate the same"),
    ],
)  # fmt: skip
def test_groups_that_can_not_be_filled_are_refused(
    groups: list[Content], changes: Content, why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        grouped(*groups, **changes)


def test_a_group_whose_order_can_not_be_met_is_a_problem_of_that_group() -> None:
    design = grouped(order={"scene_distance": 5})
    (problem,) = check(design, manifest_of(POOL, METHODS)).problems
    assert problem.constraint == "groups.1"
    assert problem.what.startswith("the group 'right' can't be filled: order.scene_distance")
    with pytest.raises(UsageError, match=r"order\.scene_distance"):
        plans(design, "right")


def test_a_comparison_that_no_group_rates_is_a_problem() -> None:
    right = {"name": "right", "raters": 3, "methods": ["bicubic", "hr"]}
    analysis = {"comparisons": [["nearest", "hr"], ["nearest", "bicubic"]]}
    (problem,) = check(grouped(LEFT, right, analysis=analysis), manifest_of(POOL, METHODS)).problems
    assert problem.constraint == "analysis.comparisons.1"
    assert "no group rates both nearest and bicubic" in problem.what


def test_the_next_rater_comes_where_the_least_share_is_and_equals_are_drawn() -> None:
    groups = [Group(name="a", raters=10), Group(name="b", raters=10), Group(name="c", raters=2)]
    assert next_group(groups, {"a": 4, "b": 5, "c": 1}, 1, 10) == "a"
    assert next_group([], {}, 1, 0) == ""
    drawn = Counter(next_group(groups, {"c": 1}, 1, rater) for rater in range(400))
    assert set(drawn) == {"a", "b"}
    assert abs(drawn["a"] - 200) < 60  # six standard deviations
    assert next_group(groups, {}, 1, 3) == next_group(groups, {}, 1, 3)


def test_an_unknown_group_is_named_with_those_that_there_are() -> None:
    with pytest.raises(UsageError, match=r"no group 'lefd'.*Did you mean 'left'"):
        grouped().of_group("lefd")
    with pytest.raises(UsageError, match=r"has no \[\[groups\]\]"):
        design_of(METHODS, [{"name": "one"}]).of_group("left")


def test_designs_without_groups_keep_their_hash() -> None:
    """The hash is that of the version before there were groups."""
    design = design_of(METHODS, [{"name": "one"}])
    hashed = "436516429d372170b2e4639e410f956c3785fcabdadc9eefd04fab759e70a4da"
    assert design.sha256 == hashed
    assert design.by_group == {"": design}


ASKED = {"key": "eyes", "text": "Eyes?", "options": ["near", "far", "none"],
         "screens_out": ["none"]}  # fmt: skip


@pytest.mark.parametrize(
    ("quotas", "why"),
    [
        ([("ears", "near", 3)], "no choice of this key is asked before"),
        ([("eyes", "nearly", 3)], "it isn't an option of 'eyes'"),
        ([("eyes", "none", 3)], "this answer ends every session"),
        ([("eyes", "near", 3), ("eyes", "near", 4)], "this answer has a quota already"),
        ([("eyes", "near", 2), ("eyes", "far", 2)], "let 4 raters in at most, and the study has 5"),
        ([("eyes", "near", 0)], "greater than 0"),
    ],
)
def test_quotas_that_keep_a_study_from_its_raters_are_refused(
    quotas: list[tuple[str, str, int]], why: str
) -> None:
    given = [{"question": q, "option": option, "raters": n} for q, option, n in quotas]
    with pytest.raises(ValueError, match=why):
        design_of(METHODS, [{"name": "one"}], questions=[ASKED], quotas=given)


def test_a_quota_may_leave_the_rest_to_other_answers() -> None:
    quota = {"question": "eyes", "option": "near", "raters": 2}
    assert design_of(METHODS, [{"name": "one"}], questions=[ASKED], quotas=[quota]).quotas
