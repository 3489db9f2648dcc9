"""What a network in training is scored on, and with what."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sreval.errors import ImageError, UsageError
from sreval.images.datasets import open_dataset
from sreval.images.degradations import open_degradation
from sreval.images.degrade import degrade
from sreval.images.io import read_image, write_png
from sreval.images.resize import crop_to_multiple, downscale
from sreval.metrics.protocol import get_protocol
from sreval.metrics.scorer import Reference
from sreval.networks.inference import Inference
from sreval.training.packs import Pack, Photograph, open_pack
from sreval.training.recipe import KEPT_ASIDE
from sreval.training.validation import (
    OutOfTime,
    Validator,
    check_validation,
    flat_colours,
    grey_of,
    grid_peak,
    kept_aside,
)
from tests.training.conftest import MakeRecipe

CPU = torch.device("cpu")


def pack_of(files: list[str]) -> Pack:
    photographs = tuple(Photograph(file, "", 16, 16) for file in files)
    return Pack(Path("nowhere"), 4, photographs, (), np.zeros((len(files), 1), np.float32))


def test_those_with_the_least_hash_of_their_stem_are_kept_aside() -> None:
    files = [f"{index}.png" for index in range(50)]
    order = sorted(files, key=lambda file: hashlib.sha256(file[:-4].encode()).hexdigest())
    chosen = [files[place] for place in kept_aside(pack_of(files), 3)]
    assert sorted(chosen) == sorted(order[:3])
    assert len(kept_aside(pack_of(files), 10)) == 5
    assert kept_aside(pack_of(files), 0) == ()


def test_another_order_or_format_keeps_the_same_ones_aside() -> None:
    files = [f"{index}.png" for index in range(50)]
    stems = {files[place][:-4] for place in kept_aside(pack_of(files), 4)}
    other = [f"{file[:-4]}.webp" for file in reversed(files)]
    places = kept_aside(pack_of(other), 4)
    assert {other[place][:-5] for place in places} == stems
    assert list(places) == sorted(places)


@pytest.mark.parametrize(("photographs", "kept"), [(1, 0), (2, 1), (19, 1), (20, 2), (200, 10)])
def test_a_tenth_at_most_and_one_of_two_is_kept_aside(photographs: int, kept: int) -> None:
    assert len(kept_aside(pack_of([f"{i}.png" for i in range(photographs)]), 10)) == kept


def test_their_middles_are_the_validation_set(make_recipe: MakeRecipe, tmp_path: Path) -> None:
    source = np.random.default_rng(0).integers(0, 256, (407, 331, 3), dtype=np.uint8)
    for name, image in (("large", source), ("flat", source[:90, :310]), ("other", source[::-1])):
        write_png(tmp_path / f"{name}.png", np.ascontiguousarray(image))
    pack = open_pack([tmp_path], 4)
    recipe = make_recipe(data={"crop": 32, "batch": 1}, run={"dataset": KEPT_ASIDE})
    seen = {}
    for place, photograph in enumerate(pack.photographs):
        # names decide which is kept: each in its turn has the one that is
        names = ["x", "y", "z"]
        least = min(names, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
        names.remove(least)
        names.insert(place, least)
        renamed = [
            replace(p, file=f"{n}.png") for p, n in zip(pack.photographs, names, strict=True)
        ]
        validator = Validator(recipe, CPU, replace(pack, photographs=tuple(renamed)))
        seen[photograph.file] = (validator.high[0], validator.low[0])
        assert len(validator.high) == 1
    large = source[:404, :328][82:322, 44:284]
    assert (seen["large.png"][0] == large).all()
    assert (seen["large.png"][1] == downscale(np.ascontiguousarray(large), 4)).all()
    assert (seen["flat.png"][0] == source[:88, :308][:, 34:274]).all()
    assert seen["other.png"][0].shape == (240, 240, 3)


def test_none_to_keep_aside_is_said(
    make_recipe: MakeRecipe, photographs: Path, tmp_path: Path
) -> None:
    recipe = make_recipe(data={"crop": 32, "kept_aside": 0}, run={"dataset": KEPT_ASIDE})
    with pytest.raises(UsageError, match=r"data\.kept_aside is 0"):
        check_validation(recipe)
    (tmp_path / "one.png").write_bytes(next(photographs.iterdir()).read_bytes())
    recipe = make_recipe(run={"dataset": KEPT_ASIDE})
    with pytest.raises(UsageError, match="single photograph"):
        Validator(recipe, CPU, open_pack([tmp_path], 4))


@pytest.mark.parametrize(
    "run", [{"dataset": "Set6"}, {"protocol": "matlap"}, {"metrics": ("psnrr",)}]
)
def test_what_lacks_is_said_without_photographs(
    make_recipe: MakeRecipe, run: dict[str, object]
) -> None:
    with pytest.raises(UsageError):
        check_validation(make_recipe(run=run))


def test_a_validation_set_has_originals(make_recipe: MakeRecipe, tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", np.zeros((40, 40, 3), np.uint8))
    with pytest.raises(UsageError, match="validation needs the originals"):
        check_validation(make_recipe(run={"dataset": f"lr={tmp_path}"}))


def test_scores_are_means_a_median_and_the_flat_colours(make_recipe: MakeRecipe) -> None:
    recipe = make_recipe(run={"dataset": "demo", "metrics": ("psnr", "ssim")})
    torch.manual_seed(0)
    network = recipe.network.build().eval()
    scores, grid = Validator(recipe, CPU).scores(network)
    assert list(scores) == ["psnr", "ssim", "grid_peak", "flat_pattern", "flat_offset"]

    inference = Inference.of(network, recipe.network)
    high = [
        crop_to_multiple(read_image(item.file).pixels, 4) for item in open_dataset("demo").items
    ]
    images = inference.upscale([downscale(image, 4) for image in high])
    pairs = list(zip(high, images, strict=True))
    matlab = [get_protocol("matlab")]
    for metric in ("psnr", "ssim"):
        values = [Reference(a).score(b, matlab, (metric,))[0].value for a, b in pairs]
        assert scores[metric] == pytest.approx(np.mean(values), rel=1e-9)
    peaks = [grid_peak(grey_of(image)) for image in images]
    assert scores["grid_peak"] == np.median(peaks)
    flat = flat_colours(inference)
    assert (scores["flat_pattern"], scores["flat_offset"]) == (flat.pattern, flat.offset)
    assert grid.shape == (160 * min(5, len(high)), 480, 3)


def test_time_is_asked_for_before_each_image(make_recipe: MakeRecipe) -> None:
    recipe = make_recipe(run={"dataset": "demo", "metrics": ("psnr",)})
    validator = Validator(recipe, CPU)
    answers = iter([False] * len(validator.high))
    validator.scores(recipe.network.build().eval(), lambda: next(answers))
    assert next(answers, None) is None
    asked: list[bool] = []

    def second() -> bool:
        asked.append(True)
        return len(asked) == 2

    with pytest.raises(OutOfTime):
        validator.scores(recipe.network.build().eval(), second)
    assert len(asked) == 2


def test_an_image_of_the_validation_set_that_is_too_small_is_named(
    make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    write_png(tmp_path / "tiny" / "a.png", np.zeros((3, 3, 3), np.uint8))
    with pytest.raises(ImageError, match=r"a\.png is 3x3 pixels, smaller than one LR pixel. Use"):
        Validator(make_recipe(run={"dataset": str(tmp_path / "tiny")}), CPU)


def test_hr_is_cropped_to_its_lr_in_validation_too(make_recipe: MakeRecipe, tmp_path: Path) -> None:
    write_png(tmp_path / "HR" / "a.png", np.zeros((99, 101, 3), np.uint8))
    write_png(tmp_path / "LR" / "a.png", np.zeros((24, 25, 3), np.uint8))
    dataset = f"hr={tmp_path / 'HR'},lr={tmp_path / 'LR'}"
    validator = Validator(make_recipe(run={"dataset": dataset}), CPU)
    assert [image.shape for image in validator.high] == [(96, 100, 3)]


@pytest.mark.parametrize("spec", ["bd:sigma=2", "dn"])
def test_photographs_kept_aside_are_degraded_alike_each_time(
    photographs: Path, make_recipe: MakeRecipe, spec: str
) -> None:
    data = {"crop": 32, "batch": 3, "kept_aside": 1, "degrade": spec}
    recipe = make_recipe(data=data, run={"dataset": KEPT_ASIDE})
    for _ in range(2):
        validator = Validator(recipe, CPU, open_pack([photographs], 4))
        (high,), (low,) = validator.high, validator.low
        assert np.array_equal(low, degrade(high, open_degradation(spec), 4)[0])


def test_a_named_set_is_degraded_as_the_benchmark_does_it(
    photographs: Path, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    data = {"crop": 32, "batch": 3, "degrade": "bd"}
    recipe = make_recipe(data=data, run={"dataset": str(photographs)})
    validator = Validator(recipe, CPU)
    dataset = open_dataset(str(photographs), 4, open_degradation("bd"))
    assert validator.name == dataset.name == f"{photographs.name}-bd"
    lows = [dataset.pair(item).lr for item in dataset.items]
    assert all(map(np.array_equal, validator.low, lows))
    for item, low in zip(dataset.items, lows, strict=True):
        write_png(tmp_path / f"{item.image}.png", low)
    pairs = make_recipe(data=data, run={"dataset": f"hr={photographs},lr={tmp_path}"})
    with pytest.raises(UsageError, match="has its LR images") as raised:
        check_validation(pairs)
    assert "leave data.degrade out" in raised.value.remedy
    with pytest.raises(UsageError, match="nowhere"):
        check_validation(make_recipe(data=data, run={"dataset": "nowhere"}))
