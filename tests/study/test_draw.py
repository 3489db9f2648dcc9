"""The draw is the same among all images and among what was frozen, and parts differ."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sreval.errors import UsageError
from sreval.study.design import StudyDesign
from sreval.study.draw import drawn_images, drawn_parts

NAMES = [f"img_{i:03}" for i in range(1, 31)]


def make_design(**changes: Any) -> StudyDesign:
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
    design = make_design(seed=seed)
    drawn = [drawn_images(design, part, NAMES) for part in drawn_parts(design)]
    frozen = others.union(*drawn)
    assert [drawn_images(design, part, frozen) for part in drawn_parts(design)] == drawn


@given(seed=st.integers(0, 2**63 - 1))
def test_parts_share_no_image_where_there_are_enough(seed: int) -> None:
    design = make_design(seed=seed)
    drawn = [name for part in drawn_parts(design) for name in drawn_images(design, part, NAMES)]
    assert len(drawn) == len(set(drawn)) == 9


def test_parts_share_images_where_there_are_too_few() -> None:
    design = make_design()
    for part in drawn_parts(design):
        assert len(set(drawn_images(design, part, NAMES[:4]))) == part.images


def test_images_that_are_rated_are_drawn_last() -> None:
    rated = {"name": "pool", "images": NAMES[:20]}
    design = make_design(images={"methods": ["nearest", "hr"], "datasets": [rated]})
    for part in drawn_parts(design):
        assert set(drawn_images(design, part, NAMES)) <= set(NAMES[20:])


def test_every_image_is_drawn_equally_often_over_the_seeds() -> None:
    counts = dict.fromkeys(NAMES, 0)
    for seed in range(3000):
        design = make_design(seed=seed)
        for name in drawn_images(design, drawn_parts(design)[0], NAMES):
            counts[name] += 1
    # 3000 * 4 / 30 = 400 each, standard deviation 18.6: five of them.
    assert all(abs(count - 400) < 93 for count in counts.values())


def test_too_few_images_name_the_part_and_the_data_set() -> None:
    design = make_design()
    with pytest.raises(UsageError, match="calibration asks for 4 images of pool, which has 2"):
        drawn_images(design, drawn_parts(design)[0], NAMES[:2])
