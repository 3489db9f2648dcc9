"""Exposure of stimuli over slots, by counting."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sreval.errors import UsageError
from sreval.study.design import StudyDesign
from sreval.study.exposure import (
    StimulusSet,
    drawn_blocks,
    drawn_images,
)
from sreval.study.manifest import Trial
from tests.study.designs import design_of, plain_pool

METHODS = [f"m{k}" for k in range(6)]


def votes_of(stimuli: StimulusSet, slot: int) -> tuple[Trial, ...]:
    return next(stimuli.seen_in([slot]))


@st.composite
def subsets_of_designs(draw: st.DrawFn) -> tuple[list[int], list[int], int, int]:
    """Images of each data set, methods left out of each, the subset's size, the seed."""
    images = draw(st.lists(st.integers(1, 12), min_size=1, max_size=3))
    without = [draw(st.integers(0, 4)) for _ in images]
    total = sum(i * (6 - w) for i, w in zip(images, without, strict=True))
    return images, without, draw(st.integers(1, total)), draw(st.integers(0, 99))


@settings(max_examples=200, deadline=None)
@given(given_design=subsets_of_designs(), slots=st.integers(1, 40))
def test_exposures_differ_by_at_most_one_after_any_number_of_slots(
    given_design: tuple[list[int], list[int], int, int], slots: int
) -> None:
    images, without, subset, seed = given_design
    pool = plain_pool(**{f"d{k}": count for k, count in enumerate(images)})
    datasets = [{"name": f"d{k}", "without": METHODS[:count]} for k, count in enumerate(without)]
    design = design_of(METHODS, datasets, subset=subset, seed=seed)
    stimuli = StimulusSet.of(design, pool)
    seen: Counter[Trial] = Counter(dict.fromkeys(stimuli.voted, 0))
    for slot in range(slots):
        votes = votes_of(stimuli, slot)
        assert len(set(votes)) == len(votes) == subset
        seen.update(votes)
        assert set(seen) == set(stimuli.voted)
        assert max(seen.values()) - min(seen.values()) <= 1
        for number, left_out in enumerate(without):
            mine = [key for key in votes if key[0] == f"d{number}"]
            methods = Counter(dict.fromkeys(METHODS[left_out:], 0))
            methods.update(key[2] for key in mine)
            assert max(methods.values()) - min(methods.values()) <= 1
            shown = Counter(dict.fromkeys(pool[f"d{number}"], 0))
            shown.update(key[1] for key in mine)
            assert max(shown.values()) - min(shown.values()) <= 2
    cycle = stimuli.slot_period
    assert votes_of(stimuli, slots % cycle) == votes_of(stimuli, slots)


def test_after_a_period_every_stimulus_was_seen_alike() -> None:
    design = design_of(METHODS, [{"name": "a"}, {"name": "b", "without": ["m0"]}], subset=14)
    stimuli = StimulusSet.of(design, plain_pool(a=5, b=8))
    slots = stimuli.slot_period
    seen = Counter(key for slot in range(slots) for key in votes_of(stimuli, slot))
    assert set(seen.values()) == {slots * 14 // len(stimuli.voted)}
    assert len(seen) == 5 * 6 + 8 * 5


def test_data_sets_take_their_share_of_every_subset() -> None:
    design = design_of(METHODS, [{"name": "a"}, {"name": "b"}], subset=30)
    stimuli = StimulusSet.of(design, plain_pool(a=5, b=15))
    for slot in range(12):
        small = sum(key[0] == "a" for key in votes_of(stimuli, slot))
        assert abs(small - 7.5) <= 1


def test_a_rater_with_one_vote_an_image_meets_all_methods_over_the_slots() -> None:
    """24 images in 6 methods, 24 a rater: each image once, in a new method from slot to slot."""
    design = design_of(METHODS, [{"name": "a"}], subset=24)
    stimuli = StimulusSet.of(design, plain_pool(a=24))
    slots = [votes_of(stimuli, slot) for slot in range(6)]
    for votes in slots:
        assert len({key[1] for key in votes}) == 24
        assert set(Counter(key[2] for key in votes).values()) == {4}
    for image in range(24):
        shown = {key[2] for votes in slots for key in votes if key[1] == f"i{image:03}"}
        assert shown == set(METHODS)


NAMES = [f"img_{i:03}" for i in range(1, 31)]


def drawn_design(**changes: Any) -> StudyDesign:
    content: dict[str, Any] = {
        "name": "drawn",
        "title": "Drawn",
        "instructions": "Rate.",
        "raters": 3,
        "seed": 7,
        "images": {"methods": ["nearest", "hr"], "datasets": [{"name": "Set5"}]},
        "consent": {"version": "1", "text": "Yes."},
        "calibration": {
            "dataset": "pool",
            "images": 4,
            "anchors": [{"method": "nearest", "score": 1}, {"method": "hr", "score": 5}],
        },
        "warm_up": {"dataset": "pool", "images": 3, "methods": ["nearest"]},
        "gold": [{"dataset": "pool", "method": "hr", "images": 2, "low": 4, "high": 5}],
    }
    return StudyDesign.model_validate(content | changes)


@given(seed=st.integers(0, 2**63 - 1), others=st.sets(st.sampled_from(NAMES)))
def test_what_was_frozen_gives_the_same_draw_as_the_whole_set(seed: int, others: set[str]) -> None:
    design = drawn_design(seed=seed)
    drawn = [drawn_images(design, block, NAMES) for block in drawn_blocks(design)]
    frozen = others.union(*drawn)
    assert [drawn_images(design, block, frozen) for block in drawn_blocks(design)] == drawn


@given(seed=st.integers(0, 2**63 - 1))
def test_parts_share_no_image_where_there_are_enough(seed: int) -> None:
    design = drawn_design(seed=seed)
    drawn = [name for block in drawn_blocks(design) for name in drawn_images(design, block, NAMES)]
    assert len(drawn) == len(set(drawn)) == 9


def test_parts_share_images_where_there_are_too_few() -> None:
    design = drawn_design()
    for block in drawn_blocks(design):
        assert len(set(drawn_images(design, block, NAMES[:4]))) == block.images


def test_images_that_are_rated_are_drawn_last() -> None:
    rated = {"name": "pool", "images": NAMES[:20]}
    design = drawn_design(images={"methods": ["nearest", "hr"], "datasets": [rated]})
    for block in drawn_blocks(design):
        assert set(drawn_images(design, block, NAMES)) <= set(NAMES[20:])


def test_every_image_is_drawn_equally_often_over_the_seeds() -> None:
    counts = dict.fromkeys(NAMES, 0)
    for seed in range(3000):
        design = drawn_design(seed=seed)
        for name in drawn_images(design, drawn_blocks(design)[0], NAMES):
            counts[name] += 1
    # 3000 * 4 / 30 = 400 each, standard deviation 18.6: five of them.
    assert all(abs(count - 400) < 93 for count in counts.values())


def test_too_few_images_name_the_part_and_the_data_set() -> None:
    design = drawn_design()
    with pytest.raises(UsageError, match="calibration asks for 4 images of pool, which has 2"):
        drawn_images(design, drawn_blocks(design)[0], NAMES[:2])
