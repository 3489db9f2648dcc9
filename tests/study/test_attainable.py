"""Whether check warns exactly where no outcome could be significant, and whether it helps."""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import asdict
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sreval.opinions.comparison import compare_methods
from sreval.opinions.sequential import nominal_levels
from sreval.opinions.units import Spending
from sreval.opinions.votes import check_votes
from sreval.study.check import Attainable, attainable, check
from sreval.study.design import Analysis, StudyDesign
from sreval.study.exposure import StimulusSet
from sreval.study.manifest import Manifest
from sreval.study.plan import make_plan
from tests.study.designs import design_of, manifest_of, plain_pool

METHODS = [f"m{k}" for k in range(6)]
PAIRS = [list(pair) for pair in itertools.combinations(METHODS, 2)]


def design(images: int, raters: int, analysis: dict[str, Any], **changes: Any) -> StudyDesign:
    names = [f"i{k:03}" for k in range(images)]
    methods = changes.pop("methods", METHODS)
    return design_of(
        methods, [{"name": "a", "images": names}], raters=raters, analysis=analysis, **changes
    )


@cache
def frozen(images: int) -> Manifest:
    return manifest_of(plain_pool(a=images), METHODS)


def on(made: StudyDesign, images: int) -> Attainable:
    (found,) = attainable(StimulusSet.of(made, plain_pool(a=images)))
    return found


@pytest.mark.parametrize("unit", ["rater", "image"])
@pytest.mark.parametrize("correction", ["holm", "benjamini-hochberg", "none"])
def test_check_warns_exactly_where_no_outcome_could_be_significant(
    unit: str, correction: str
) -> None:
    """All n and m up to 12, against scipy's test of n differences of one sign."""
    for n, m in itertools.product(range(1, 13), range(1, 13)):
        p = stats.wilcoxon(np.arange(1.0, n + 1), method="exact").pvalue
        # all p are this one: Holm's first, and largest, is m p; of BH's the least is m p / m
        hopeless = not p * (m if correction == "holm" else 1) < 0.05
        images, raters = (n, 2) if unit == "image" else (2, n)
        plan = {"unit": unit, "correction": correction, "comparisons": PAIRS[:m]}
        made = design(images, raters, plan, order={"scene_distance": 1})
        found = check(made, frozen(images))
        assert bool(found.problems) == hopeless, (n, m)
        assert len(found.tests[0].hopeless) == m * hopeless
        assert [problem.constraint for problem in found.problems] == ["analysis"] * hopeless
        assert not any("significant" in note for note in found.notes)


def best_votes(made: StudyDesign, images: int) -> pd.DataFrame:
    """The votes of the design's own plans when every rater puts the methods in one order."""
    manifest = manifest_of(plain_pool(a=images), METHODS)
    rows = [
        (f"r{slot:03}", item.image, item.method, 1 + METHODS.index(item.method))
        for slot in range(made.raters)
        for item in make_plan(made, manifest, slot, slot)
        if item.kind == "vote"
    ]
    return check_votes(pd.DataFrame(rows, columns=["rater", "image", "method", "score"]))


@pytest.mark.parametrize("unit", ["both", "rater", "image"])
@pytest.mark.parametrize("subset", [3, 4, 7, 13, 20])
@pytest.mark.parametrize("raters", [4, 9, 17])
def test_where_raters_see_a_part_the_plans_own_votes_decide(
    unit: str, subset: int, raters: int
) -> None:
    """Against the analysis of the votes that these raters would give at best."""
    analysis = {"unit": unit}
    made = design(6, raters, analysis, subset=subset, methods=METHODS[:5])
    found = on(made, 6)
    votes = best_votes(made, 6)
    (tested,) = compare_methods(votes, unit=unit)  # type: ignore[arg-type]
    hopeless = {
        frozenset((p.first, p.second))
        for p in tested.pairs
        if (p.test is None if unit == "both" else not p.verdict.significant)
    }
    assert set(map(frozenset, found.hopeless)) == hopeless
    assert found.comparisons == len(tested.pairs)
    assert found.tests == sum(pair.test is not None for pair in tested.pairs)
    units = {frozenset((p.first, p.second)): p.n for p in tested.pairs}
    told = hopeless or units
    best = (max if hopeless else min)(units[pair] for pair in told)
    assert found.n == best


def changed(made: StudyDesign, remedy: str, images: int) -> tuple[StudyDesign, int]:
    """The design, and the number of images, after doing what a remedy says."""
    content = made.model_dump(mode="json")
    if found := re.search(r'set analysis.unit to "(\w+)"', remedy):
        content["analysis"]["unit"] = found[1]
    if "leave subset out" in remedy:
        content["subset"] = None
    if found := re.search(r"set raters to (\d+) or more", remedy):
        content["raters"] = int(found[1])
    if found := re.search(r"the last of analysis.looks to (\d+) or more", remedy):
        content["raters"] = content["analysis"]["looks"][-1] = int(found[1])
    if "leave analysis.looks out" in remedy:
        content["analysis"]["looks"] = []
    if found := re.search(r"rate (\d+) images or more", remedy):
        images = int(found[1])
        content["images"]["datasets"][0]["images"] = [f"i{k:03}" for k in range(images)]
    if found := re.search(r"name (?:a|at most (\d+)) (?:single )?comparison", remedy):
        content["analysis"]["comparisons"] = PAIRS[: int(found[1] or 1)]
    return StudyDesign.model_validate(content), images


def fewer(remedy: str) -> str:
    """The remedy with one rater or image less than it asks for."""
    return re.sub(
        r"((?:raters|looks) to|rate) (\d+)", lambda found: f"{found[1]} {int(found[2]) - 1}", remedy
    )


@pytest.mark.parametrize("unit", ["both", "rater", "image"])
@pytest.mark.parametrize("correction", ["holm", "benjamini-hochberg"])
@pytest.mark.parametrize("subset", [None, 3, 8])
@pytest.mark.parametrize(("images", "raters"), [(2, 2), (2, 3), (5, 26), (7, 7), (9, 5)])
def test_every_remedy_does_to_the_letter_and_no_less_would(
    unit: str, correction: str, subset: int | None, images: int, raters: int
) -> None:
    plan = {"unit": unit, "correction": correction}
    made = design(images, raters, plan, subset=subset, methods=METHODS[:4])
    found = on(made, images)
    assert bool(found.hopeless) == bool(found.remedies)
    for remedy in found.remedies:
        assert not on(*changed(made, remedy, images)).hopeless, remedy
        if fewer(remedy) != remedy:
            assert on(*changed(made, fewer(remedy), images)).hopeless, remedy


def test_a_note_tells_the_units_the_least_p_the_comparisons_and_what_would_do() -> None:
    made = design(5, 26, {"unit": "image"})
    found = check(made, manifest_of(plain_pool(a=5), METHODS))
    assert not found.problems
    # 15 x 2 x 2^-5; over 26 raters 15 x 2^-25; 15 x 2^-8 = 0.059 and 15 x 2^-9 = 0.029
    assert found.notes == (
        "On a no outcome could be significant: the least p on 5 images is 0.0625, adjusted for 15 "
        'comparisons 0.938, and alpha is 0.05. Set analysis.unit to "both", or rate 10 images or '
        "more in place of 5.",
    )
    planned = design(5, 26, {"unit": "image", "comparisons": PAIRS[:2]})
    (problem,) = check(planned, manifest_of(plain_pool(a=5), METHODS)).problems
    assert "the least p on 5 images is 0.0625, adjusted for 2 comparisons 0.125" in problem.what


def test_pairs_that_no_rater_sees_together_are_named() -> None:
    """With one stimulus a rater nobody compares anything."""
    found = on(design(5, 40, {"unit": "rater"}, subset=1, methods=METHODS[:2]), 5)
    assert (found.n, found.least_p_adjusted) == (0, None)
    assert found.note.endswith("no rater sees both methods on one image")
    over_images = on(design(5, 40, {"unit": "image"}, subset=1, methods=METHODS[:2]), 5)
    assert over_images.note == found.note
    assert found.remedies == ("leave subset out",)


def test_what_is_found_can_be_written_as_json() -> None:
    made = on(design(5, 2, {"unit": "rater"}, subset=1), 5)
    told = json.loads(json.dumps(asdict(made), allow_nan=False))
    assert (told["unit"], told["least_p_adjusted"]) == ("rater", None)


@pytest.mark.parametrize(
    ("comparisons", "message"),
    [
        ([["m0", "m1"], ["m1", "m0"]], "these two are compared already"),
        ([["m0", "m0"]], "a method is compared with itself"),
    ],
)
def test_a_comparison_stands_once_and_is_of_two(comparisons: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        design(2, 2, {"comparisons": comparisons})


@pytest.mark.parametrize("subset", [None, 30])
def test_frames_of_one_sequence_count_once(subset: int | None) -> None:
    """Four sequences of five frames: over images the least p is 1/8, whoever sees what."""
    names = [f"{name}/{n}" for name in "abcd" for n in range(5)]
    changes: dict[str, Any] = {"order": {"scene_distance": 1}, "subset": subset}
    sets = [{"name": "a", "images": names}]
    made = design_of(METHODS[:2], sets, raters=3, analysis={"unit": "image"}, **changes)
    pool = {"a": {name: name[0] for name in names}}
    (found,) = attainable(StimulusSet.of(made, pool))
    assert (found.unit, found.n, found.least_p) == ("sequence", 4, 0.125)
    assert "the least p on 4 sequences is 0.125" in found.note
    over_raters = made.model_copy(update={"analysis": Analysis(unit="rater")})
    (found,) = attainable(StimulusSet.of(over_raters, pool))
    assert (found.unit, found.n) == ("rater", 3)
    assert 'analysis.unit to "image"' not in found.remedy


@pytest.mark.parametrize(
    ("images", "raters", "unit"), [(5, 5, "rater and image"), (4, 26, "rater"), (14, 4, "rater")]
)
def test_a_plan_that_names_no_unit_is_over_both_from_five_on(
    images: int, raters: int, unit: str
) -> None:
    made = design(images, raters, {}, methods=METHODS[:2])
    found = on(made, images)
    assert found.unit == unit
    if unit == "rater and image":
        assert (found.least_p, found.hopeless, found.over) == (
            0,
            (),
            "raters and images, 5 of the fewer",
        )


def test_over_both_a_note_tells_what_a_test_needs() -> None:
    found = on(design(2, 8, {"unit": "both"}, methods=METHODS[:2]), 2)
    assert found.note == (
        "On a no outcome could be significant: raters and images, 2 of the fewer, and a test needs "
        "5 of each"
    )
    assert found.remedy == 'Set analysis.unit to "rater", or rate 5 images or more in place of 2.'


LOOKS = {"look_before_close": True, "spending": "pocock", "looks": [4, 8]}


@pytest.mark.parametrize("unit", ["rater", "image"])
@pytest.mark.parametrize(("spending", "m"), [("pocock", 6), ("obrien-fleming", 1)])
def test_with_looks_check_warns_exactly_where_no_look_could_find_anything(
    unit: str, spending: Spending, m: int
) -> None:
    """Against the level of Bonferroni's first step at each look, and 2^(1 - n)."""
    for n, fewer in [(6, 3), (8, 4), (9, 4), (10, 4)]:
        images, raters = (n, 8) if unit == "image" else (2, n)
        looks = (fewer, raters)
        plan = LOOKS | {"unit": unit, "looks": looks, "spending": spending}
        made = design(images, raters, plan | {"comparisons": PAIRS[:m]})
        levels = nominal_levels([look / raters for look in looks], 0.05 / m, spending)
        idle = [
            look
            for look, level in zip(looks, levels, strict=True)
            if 2.0 ** (1 - (images if unit == "image" else look)) >= level
        ]
        found = on(made, images)
        assert list(found.idle_looks) == idle, n
        assert bool(found.hopeless) == (len(idle) == 2), n
        assert bool(found.idle_note) == (len(idle) == 1), n


@pytest.mark.parametrize("unit", ["both", "rater", "image"])
@pytest.mark.parametrize(("images", "raters", "subset"), [(2, 8, None), (9, 5, 8)])
def test_every_remedy_does_with_looks_as_well(
    unit: str, images: int, raters: int, subset: int | None
) -> None:
    plan = LOOKS | {"unit": unit, "looks": [4, raters]}
    made = design(images, raters, plan, subset=subset, methods=METHODS[:4])
    found = on(made, images)
    assert bool(found.hopeless) == bool(found.remedies)
    for remedy in found.remedies:
        assert not on(*changed(made, remedy, images)).hopeless, remedy
        if fewer(remedy) != remedy:
            assert on(*changed(made, fewer(remedy), images)).hopeless, remedy


def test_of_eight_raters_with_two_looks_no_look_finds_one_of_six() -> None:
    plan = LOOKS | {"unit": "rater", "comparisons": PAIRS[:6]}
    (problem,) = check(design(5, 8, plan), frozen(5)).problems
    assert problem.what.startswith(
        "On a no outcome could be significant: the least p on 8 raters is 0.00781, adjusted for 6 "
        "comparisons and the looks 0.0"
    )
    assert "set raters and the last of analysis.looks to 9 or more" in problem.remedy
    assert "leave analysis.looks out" in problem.remedy


def test_looks_that_could_find_nothing_are_named() -> None:
    plan = LOOKS | {"unit": "rater", "looks": [1, 4, 12]}
    found = check(design(5, 12, plan, methods=METHODS[:3]), frozen(5))
    assert found.notes[-1] == (
        "On a no outcome could be significant after 1 and 4 raters. "
        "Leave these looks out of analysis.looks."
    )
