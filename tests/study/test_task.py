"""What a design may ask: its task, and the scale that its raters answer on."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sreval.opinions.tasks import TASKS
from sreval.study.check import check
from sreval.study.design import StudyDesign
from sreval.study.exposure import StimulusSet
from sreval.study.plan import make_plan
from sreval.study.task import Scale, Task
from tests.study.designs import BASE, design_of, manifest_of, plain_pool

METHODS = ["nearest", "bicubic", "hr"]
NINE = ["bad", "", "poor", "", "fair", "", "good", "", "excellent"]
scales = st.builds(
    Scale,
    words=st.integers(2, 11).map(lambda points: [f"w{k}" for k in range(points)]),
    first=st.sampled_from([0, 1]),
)


def made(**changes: Any) -> StudyDesign:
    return design_of(METHODS, [{"name": "set"}], **changes)


@given(scales)
def test_every_category_is_an_answer_with_a_key_of_its_own(scale: Scale) -> None:
    numbers = [number for number, _ in scale.categories]
    assert numbers == scale.numbers.scores() == list(range(scale.low, scale.high + 1))
    assert [scale.answer(number) for number in numbers] == numbers
    assert set(scale.keys) == set(numbers)
    assert len(set(scale.keys.values())) == len(numbers)
    assert all(key == str(number) for number, key in scale.keys.items() if number < 10)
    for bad in (scale.low - 1, scale.high + 1, scale.low + 0.5, float(scale.low), True, "1", None):
        assert scale.answer(bad) is None


@pytest.mark.parametrize(
    ("first", "points", "keys"),
    [(1, 10, {10: "0"}), (0, 11, {10: "x"}), (1, 11, {10: "0", 11: "x"}), (1, 9, {})],
)
def test_keys_above_nine(first: int, points: int, keys: dict[int, str]) -> None:
    scale = Scale(words=["w"] * points, first=first)
    assert {n: key for n, key in scale.keys.items() if n > 9} == keys


@given(st.floats() | st.integers())
def test_a_mark_on_a_line_is_kept_to_a_tenth(mark: float) -> None:
    kept = Scale(line=True).answer(mark)
    if not 0 <= mark <= 100:  # also what is no number
        assert kept is None
    else:
        assert kept is not None
        assert abs(kept - mark) <= 0.05 + 1e-9
        assert kept == round(kept, 1)


def test_the_parts_of_a_line_are_equally_long() -> None:
    line = Scale(line=True)
    ends = [0, 19.9, 20, 39.9, 40, 59.9, 60, 79.9, 80, 100]
    assert [line.word(mark) for mark in ends] == [w for w in line.words for _ in "ab"]


def test_scales_and_tasks_are_told_in_words() -> None:
    assert str(Scale(words=NINE)) == "9 categories, 1 bad, 2, 3 poor, 4, 5 fair, 6, 7 good, 8, " \
        "9 excellent"  # fmt: skip
    assert str(Scale(line=True)) == (
        "a line from 0 to 100, in parts bad, poor, fair, good, excellent"
    )
    assert str(Task(kind="acr-hr")) == TASKS["acr-hr"].title


BEFORE_TASKS = "2cc00ce8c4fe45f49594d1c208a70ace766e41005706a7bb4218dc309e6d4c51"


def test_a_design_that_names_no_task_or_scale_keeps_its_hash() -> None:
    """Raters of a study that is under way must not be locked out."""
    plain = made()
    assert plain.sha256 == BEFORE_TASKS
    words = list(Scale().words)
    named = made(task={"kind": "acr"}, scale={"words": words, "first": 1, "line": False})
    assert named.sha256 == plain.sha256
    for change in (
        {"task": {"kind": "acr-hr"}},
        {"scale": {"words": NINE}},
        {"scale": {"first": 0}},
        {"scale": {"line": True}},
    ):
        assert made(**change).sha256 != plain.sha256


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"task": {"kind": "ccr"}}, "Input should be 'acr', 'acr-hr', 'dcr' or 'pair'"),
        ({"scale": {"words": ["good"]}}, "it has 2 to 11 words"),
        ({"scale": {"words": ["w"] * 12}}, "it has 2 to 11 words"),
        ({"scale": {"first": 2}}, "Input should be 0 or 1"),
        ({"scale": {"first": True}}, "Input should be 0 or 1"),
        ({"scale": {"line": 1}}, "Input should be a valid boolean"),
        ({"scale": {"line": True, "first": 0}}, "a line has no first category"),
        ({"task": {"kind": "acr-hr"}, "order": {"scene_distance": 1}}, "from standing next to"),
    ],
)
def test_what_can_be_no_task_or_scale_is_refused(changes: dict[str, Any], what: str) -> None:
    with pytest.raises(ValueError, match=re.escape(what)):
        made(**changes)


@pytest.mark.parametrize(
    ("scale", "fits", "off"),
    [
        ({}, [1, 5], [0, 6]),
        ({"words": NINE}, [1, 9], [0, 10]),
        ({"words": ["w"] * 11, "first": 0}, [0, 10], [-1, 11]),
        ({"line": True}, [0, 100], [-1, 101]),
    ],
)
def test_scores_of_a_design_are_on_its_scale(
    scale: dict[str, Any], fits: list[int], off: list[int]
) -> None:
    gold = {"dataset": "set", "method": "hr", "images": 1}
    shown = {"dataset": "set", "images": 1}
    for score in fits:
        anchors = [{"method": "hr", "score": score}]
        made(scale=scale, calibration={**shown, "anchors": anchors})
        made(scale=scale, gold=[{**gold, "low": score, "high": score}])
    for score in off:
        anchors = [{"method": "hr", "score": score}]
        with pytest.raises(ValueError, match="isn't on the scale"):
            made(scale=scale, calibration={**shown, "anchors": anchors})
        with pytest.raises(ValueError, match="isn't on the scale"):
            made(scale=scale, gold=[{**gold, "low": score, "high": score}])


@pytest.mark.parametrize(
    ("words", "line", "what"),
    [
        (["bad", "", "Bad "], False, "two of its words are alike"),
        (["", "", "good"], False, "one of its ends has no word"),
        (["", "bad", "good", ""], False, "one of its ends has no word"),
        (["", "", ""], True, "a part of the line has no word"),
        (["bad", "", "good"], True, "a part of the line has no word"),
    ],
)
def test_words_that_tell_a_rater_too_little_are_a_problem(
    words: list[str], line: bool, what: str
) -> None:
    design = made(scale={"words": words, "line": line})
    found = check(design, manifest_of(plain_pool(set=9), METHODS))
    assert [(p.constraint, p.what) for p in found.problems] == [("scale", what)]


@pytest.mark.parametrize(
    ("instructions", "scale", "noted"),
    [
        ("Rate from 1 (bad) to 5 (excellent).", {"words": NINE}, "1 to 5"),
        ("Use the keys 1 to 5.", {"line": True}, "1 to 5"),
        ("Noten von 1 bis 5.", {"words": NINE}, "1 to 5"),
        ("\u4ece 1 \u5230 5", {"words": NINE}, "1 to 5"),
        ("Rate from 0 to 100.", {}, "0 to 100"),
        ("Rate from 1 to 9, take 10 to 15 minutes, by 1.0 to 5.5 m.", {"words": NINE}, ""),
        ("Rate from 0 to 100.", {"line": True}, ""),
        ("Press 1 to 9, and 0 for the best.", {"words": [*NINE, "best"]}, ""),
        ("Rate from 1 to 5.", {}, ""),
    ],
)
def test_instructions_of_another_scale_are_noted(
    instructions: str, scale: dict[str, Any], noted: str
) -> None:
    design = made(instructions=instructions, scale=scale)
    notes = check(design, manifest_of(plain_pool(set=9), METHODS)).notes
    found = [note for note in notes if note.startswith("instructions speak of")]
    assert [noted] * bool(noted) == [n.split(" of ")[1].split(";")[0] for n in found]


# With a hidden reference


def test_a_hidden_reference_must_be_rated_on_every_data_set() -> None:
    kind = {"task": {"kind": "acr-hr"}}
    with pytest.raises(ValueError, match="needs 'hr' among them"):
        design_of(["nearest", "bicubic"], [{"name": "set"}], **kind)
    with pytest.raises(ValueError, match="needs 'hr' on every data set"):
        design_of(METHODS, [{"name": "set"}, {"name": "two", "without": ["hr"]}], **kind)


@given(images=st.integers(2, 9), whole=st.integers(1, 9), seed=st.integers(0, 99))
def test_who_rates_an_image_rates_its_original_and_never_beside_it(
    images: int, whole: int, seed: int
) -> None:
    subset = 3 * min(whole, images)
    pool = plain_pool(set=images, two=images)
    design = design_of(
        METHODS,
        [{"name": "set"}, {"name": "two"}],
        **{**BASE, "seed": seed, "task": {"kind": "acr-hr"}, "subset": subset},
    )
    manifest = manifest_of(pool, METHODS)
    exposures: Counter[tuple[str, ...]] = Counter()
    for slot in range(4):
        if subset == 3:  # a single image can't be kept from itself
            votes = next(StimulusSet.of(design, pool).seen_in([slot]))
        else:
            plan = make_plan(design, manifest, slot, slot)
            votes = tuple((item.dataset, item.image, item.method) for item in plan)
            assert all(one[:2] != other[:2] for one, other in itertools.pairwise(votes))
        seen = {(dataset, image) for dataset, image, _ in votes}
        assert {(d, i) for d, i, m in votes if m == "hr"} == seen
        assert len(votes) == subset == 3 * len(seen)
        exposures.update(votes)
        every = [exposures[key] for key in StimulusSet.of(design, pool).voted]
        assert max(every) - min(every) <= 1


@pytest.mark.parametrize(
    ("datasets", "subset", "remedy"),
    [
        ([{"name": "set"}], 7, "Set it to 6, or to another multiple of 3."),
        ([{"name": "set"}], 2, "Set it to 3, or to another multiple of 3."),
        (
            [{"name": "set"}, {"name": "two", "without": ["nearest"]}],
            6,
            "Leave it out, or rate the same number of methods.",
        ),
    ],
)
def test_a_subset_that_would_part_an_image_from_its_original_is_a_problem(
    datasets: list[dict[str, Any]], subset: int, remedy: str
) -> None:
    design = design_of(METHODS, datasets, task={"kind": "acr-hr"}, subset=subset)
    found = check(design, manifest_of(plain_pool(set=9, two=9), METHODS))
    assert [(p.constraint, p.remedy) for p in found.problems] == [("subset", remedy)]
