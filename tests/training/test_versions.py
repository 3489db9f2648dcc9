"""What becomes of a photograph: smaller sizes and LR images, by the functions that make them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sreval.images.degradations import open_degradation
from sreval.images.degrade import degrade
from sreval.images.resize import crop_to_multiple, downscale, imresize
from sreval.training.packs import Photographs, open_pack
from sreval.training.recipe import Data
from sreval.training.versions import Versions, drawn_anew


@pytest.fixture
def pack(photographs: Path) -> Photographs:
    return open_pack([photographs], 4)


@pytest.mark.parametrize("fraction", [1, 2 / 3])
@pytest.mark.parametrize("spec", ["", "bd", "real-esrgan", "jpeg:quality=[30,95]"])
def test_a_version_is_made_by_hand(pack: Photographs, fraction: float, spec: str) -> None:
    data = Data.model_validate({"crop": 32, "smaller": (2 / 3,), "degrade": spec or None})
    versions = Versions(pack, data, [2, 4], seed=11)
    image = np.array(pack.image(4))
    if fraction != 1:
        smaller = imresize(image, fraction).astype(np.uint8)
        image = np.ascontiguousarray(crop_to_multiple(smaller, 4))
    for number in (0, 3):
        high, low = versions.made(1, fraction, number)
        assert np.array_equal(high, image)
        assert versions.shape(1, fraction) == low.shape[:2]
        if not spec:
            assert np.array_equal(low, downscale(image, 4))
            continue
        recipe = open_degradation(spec)
        assert np.array_equal(low, degrade(image, drawn_anew(recipe, 11, number), 4)[0])


def test_a_degradation_is_drawn_anew_by_recipe_run_and_entrance() -> None:
    recipes = [open_degradation("dn"), open_degradation("dn", seed=7)]
    drawn = [drawn_anew(recipe, seed, n) for recipe in recipes for seed in (0, 1) for n in (0, 1)]
    assert len({recipe.seed for recipe in drawn}) == 8
    assert {recipe.steps for recipe in drawn} == {recipes[0].steps}
    # the digest's first 63 bits, reckoned with another program: sha256sum of "0 0 0"
    assert drawn[0].seed == 2673160886387138021


def test_pixels_are_those_of_all_versions_that_hold_a_crop(pack: Photographs) -> None:
    versions = Versions(pack, Data(crop=64, smaller=(0.5, 2 / 3)), list(range(6)), 0)
    for member in range(6):
        made = versions.all_made(member, 0)
        assert versions.pixels(member) == sum(one[1].size // 3 for one in made if one)
        assert [one is None for one in made] == [
            min(pack.photographs[member].height, pack.photographs[member].width) * f < 64
            for f in (1, 0.5, 2 / 3)
        ]
