"""Each step against loops or PyTorch; the chain against itself in another place and order."""

from __future__ import annotations

import io
import math
import subprocess
import sys
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some
from PIL import Image

from sreval.errors import ArrayError, ImageError, UsageError
from sreval.images import degrade as steps
from sreval.images import kernels
from sreval.images.degradations import (
    NAMES,
    Blur,
    Degradation,
    Noise,
    known_degradation,
    open_degradation,
)
from sreval.images.degrade import degrade, generator
from sreval.images.resize import crop_to_multiple, downscale

UInt8 = npt.NDArray[np.uint8]
Float64 = npt.NDArray[np.float64]


def noise_image(seed: int, *shape: int) -> UInt8:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def recipe(*given: dict[str, Any], **more: Any) -> Degradation:
    return Degradation.checked({"name": "own", "steps": list(given), **more}, "test")


def correlated(image: Float64, kernel: Float64, mode: str) -> Float64:
    """A correlation in loops over NumPy's own padding."""
    half = len(kernel) // 2
    wide = [(half, half)] * 2 + [(0, 0)] * (image.ndim - 2)
    padded = np.pad(image, wide, mode=mode)  # type: ignore[call-overload]
    total = np.zeros(image.shape)
    for y, row in enumerate(kernel):
        for x, weight in enumerate(row):
            total += weight * padded[y : y + image.shape[0], x : x + image.shape[1]]
    return total


@pytest.mark.parametrize("shape", [(24, 36), (24, 36, 3), (5, 4, 3), (2, 1, 3), (1, 1)])
@pytest.mark.parametrize(
    ("border", "mode"), [("replicate", "edge"), ("symmetric", "symmetric"), ("reflect", "reflect")]
)
def test_a_blur_is_a_correlation_with_numpy_s_padding(
    shape: tuple[int, ...], border: Any, mode: str
) -> None:
    image = noise_image(1, *shape).astype(float)
    kernel = kernels.plateau(17, (0.7, 2.0), 0.4, 1.5)
    kernel[0] *= 2  # not symmetric
    found = steps.convolve(image, kernel, border)
    np.testing.assert_allclose(found, correlated(image, kernel, mode), atol=1e-10)


@pytest.mark.parametrize("scale", [2, 3, 4, 5, 16])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_bd_blurs_rounds_and_keeps_the_pixel_that_matlab_s_nearest_keeps(
    scale: int, channels: tuple[int, ...]
) -> None:
    hr = noise_image(2, 3 * scale, 5 * scale, *channels)
    blurred = correlated(hr.astype(float), kernels.gaussian(7, (1.6, 1.6)), "edge")
    rounded = np.floor(blurred + 0.5).astype(np.uint8)
    # imresize(..., 'nearest') takes the source pixel whose half-open interval (u-.5, u+.5]
    # holds u = scale (i + 0.5) + 0.5, counted from 1
    places = [int(np.floor(scale * (i + 0.5) + 0.5 + 0.5)) - 1 for i in range(5)]
    expected = rounded[np.ix_(places[:3], places)]
    found, _ = degrade(hr, known_degradation("bd"), scale)
    assert np.array_equal(found, expected)


def test_bicubic_is_the_benchmark_s_own(photograph: UInt8) -> None:
    for border in ("replicate", "symmetric"):
        for scale in (2, 3, 4):
            found, drawn = degrade(photograph, open_degradation(f"bicubic:border={border}"), scale)
            assert np.array_equal(found, downscale(photograph, scale, border))
            assert drawn == []


def test_dn_is_bicubic_and_noise_of_standard_deviation_30(photograph: UInt8) -> None:
    grey = np.full((256, 256, 3), 128, np.uint8)
    found, drawn = degrade(grey, known_degradation("dn"), 2)
    difference = found.astype(float) - 128
    assert difference.mean() == pytest.approx(0, abs=4 * 30 / np.sqrt(difference.size))
    assert difference.std() == pytest.approx(30, rel=0.02)
    channels = difference.reshape(-1, 3)
    assert np.abs(np.corrcoef(channels.T) - np.eye(3)).max() < 0.03
    assert drawn == [{"step": "noise", "kind": "gaussian", "level": 30.0, "grey": False}]
    # the very noise, drawn anew
    found, _ = degrade(photograph, known_degradation("dn"), 4)
    low = downscale(photograph, 4).astype(float)
    drawn_noise = generator(photograph, 0, 4).standard_normal(low.shape) * 30
    assert np.array_equal(found, np.clip(np.floor(low + drawn_noise + 0.5), 0, 255))


def test_jpeg_is_pillow_s_file_of_the_bicubic_image(photograph: UInt8) -> None:
    for image in (photograph, np.ascontiguousarray(photograph[..., 0])):
        buffer = io.BytesIO()
        Image.fromarray(downscale(image, 4)).save(buffer, "JPEG", quality=40)
        expected = np.asarray(Image.open(buffer))
        found, _ = degrade(image, known_degradation("jpeg"), 4)
        assert np.array_equal(found, expected)


@settings(deadline=None, max_examples=60)
@given(
    some.integers(1, 40),
    some.integers(1, 40),
    some.integers(1, 60),
    some.integers(1, 60),
    some.sampled_from(["area", "bilinear", "bicubic"]),
)
def test_a_resize_is_pytorch_s(height: int, width: int, high: int, wide: int, mode: Any) -> None:
    image = noise_image(height, height, width, 3).astype(float)
    tensor = torch.from_numpy(image).permute(2, 0, 1)[None]
    expected = torch.nn.functional.interpolate(tensor, size=(high, wide), mode=mode)
    found = steps.resize(image, (high, wide), mode)
    np.testing.assert_allclose(found, expected[0].permute(1, 2, 0).numpy(), atol=1e-9)


@settings(deadline=None, max_examples=60)
@given(some.floats(0.15, 1.5), some.sampled_from(["area", "bilinear", "bicubic"]))
def test_a_resize_by_a_factor_is_pytorch_s(factor: float, mode: Any) -> None:
    image = noise_image(3, 30, 41).astype(float)
    tensor = torch.from_numpy(image)[None, None]
    expected = torch.nn.functional.interpolate(tensor, scale_factor=factor, mode=mode)[0, 0]
    found = steps.resize(image, (int(30 * factor), int(41 * factor)), mode, factor)
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-9)


def test_sharpening_is_unsharp_masking_under_a_blurred_mask(photograph: UInt8) -> None:
    image = photograph.astype(float)
    kernel = kernels.gaussian(51, (8, 8))
    residual = image - correlated(image, kernel, "reflect")
    mask = correlated((np.abs(residual) > 10).astype(float), kernel, "reflect")
    expected = mask * np.clip(image + 0.5 * residual, 0, 255) + (1 - mask) * image
    found = steps.sharpen(photograph, 51, 8, 0.5, 10)
    np.testing.assert_allclose(found, expected, atol=1e-9)
    flat = np.full((20, 30), 77, np.uint8)
    np.testing.assert_allclose(steps.sharpen(flat, 51, 8, 0.5, 10), flat, atol=1e-9)


@pytest.mark.parametrize("level", [0.5, 2.0])
def test_poisson_noise_has_the_variance_of_photon_counts(level: float) -> None:
    # two values: white is two photons, so v/255 has 2 v/255 of them
    image = np.zeros((400, 400))
    image[:, ::2] = 102
    noise = steps.poisson_noise(image, level, False, np.random.default_rng(4))
    assert np.all(noise[:, 1::2] == 0)
    expected = 255 * level * np.sqrt(102 / 255 / 2)
    assert noise[:, ::2].std() == pytest.approx(expected, rel=0.02)
    assert noise[:, ::2].mean() == pytest.approx(0, abs=4 * expected / np.sqrt(80_000))


def test_grey_noise_is_one_for_all_channels() -> None:
    image = noise_image(5, 30, 40, 3).astype(float)
    rng = np.random.default_rng(6)
    for noise in (
        steps.gaussian_noise(image, 9, True, rng),
        steps.poisson_noise(image, 1, True, rng),
    ):
        assert noise.shape == (30, 40, 1)


@pytest.fixture
def draws() -> list[dict[str, Any]]:
    """What the chain draws for 800 tiny images."""
    chain = known_degradation("real-esrgan")
    return [
        {f"{number}{entry['step']}": entry for number, entry in enumerate(drawn)}
        for seed in range(800)
        for _, drawn in [
            degrade(
                np.full((8, 8), seed % 256, np.uint8), chain.model_copy(update={"seed": seed}), 2
            )
        ]
    ]


def test_the_chain_draws_as_its_configuration_says(draws: list[dict[str, Any]]) -> None:
    first = [next(iter(each.values())) for each in draws]
    total = len(draws)

    def close(count: int, share: float) -> bool:
        return bool(abs(count - share * total) < 4.5 * np.sqrt(total * share * (1 - share)))

    kinds = [each["kind"] for each in first]
    assert close(kinds.count("sinc"), 0.1)
    for kind, share in (("iso", 0.45), ("aniso", 0.25), ("plateau_aniso", 0.03)):
        assert close(kinds.count(kind), 0.9 * share), kind
    for size in range(7, 22, 2):
        assert close(sum(each["size"] == size for each in first), 1 / 8), size
    for each in first:
        if each["kind"] == "sinc":
            assert (1 / 3 if each["size"] < 13 else 1 / 5) <= each["cutoff"] <= 1
        else:
            assert all(0.2 <= sigma <= 3 for sigma in each["sigma"])
    resized = [each["1resize"] for each in draws]
    assert close(sum(each["factor"] > 1 for each in resized), 0.2)
    assert close(sum(each["factor"] == 1 for each in resized), 0.1)
    assert all(0.15 <= each["factor"] <= 1.5 for each in resized)
    assert close(sum(each["mode"] == "area" for each in resized), 1 / 3)
    noise = [each["2noise"] for each in draws]
    assert close(sum(each["kind"] == "gaussian" for each in noise), 0.5)
    qualities = [each["3jpeg"]["quality"] for each in draws]
    assert (min(qualities), max(qualities)) == (30, 95)
    assert close(sum("4blur" in each for each in draws), 0.8)
    orders = [entry["order"] for each in draws for entry in each.values() if "order" in entry]
    assert len(orders) == total
    assert close(orders.count([0, 1]), 0.5)
    assert close(sum(any("sinc" in key for key in each) for each in draws), 0.8)


def test_betas_below_and_above_1_are_equally_probable() -> None:
    step = Blur(step="blur", size=3, sigma=1, kinds={"generalized_iso": 1})
    rng = np.random.default_rng(7)
    betas = np.array([steps.draw_kernel(step, rng)[1]["beta"] for _ in range(2000)])
    assert abs((betas < 1).mean() - 0.5) < 0.05
    assert 0.5 <= betas.min() < 0.55
    assert 3.9 < betas.max() <= 4


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("channels", [(), (3,)])
@pytest.mark.parametrize("scale", [2, 3, 4, 8, 16])
def test_the_lr_image_measures_one_scaleth(
    name: str, channels: tuple[int, ...], scale: int
) -> None:
    for sides in ((scale, scale), (scale, 3 * scale), (5 * scale, 4 * scale)):
        low, drawn = degrade(noise_image(8, *sides, *channels), known_degradation(name), scale)
        assert low.shape == (sides[0] // scale, sides[1] // scale, *channels)
        assert low.dtype == np.uint8
        assert all(isinstance(entry["step"], str) for entry in drawn)


@pytest.mark.parametrize("name", ["bicubic", "dn", "jpeg", "real-esrgan"])
@pytest.mark.parametrize("scale", [1.3, 2.5, 4.2, 11])
def test_a_recipe_ends_at_the_lr_size_of_any_scale(name: str, scale: float) -> None:
    hr = crop_to_multiple(noise_image(3, 64, 77, 3), scale)
    low, _ = degrade(hr, known_degradation(name), scale)
    assert low.shape == (*(math.floor(side / Fraction(str(scale))) for side in (64, 77)), 3)


def test_a_recipe_of_every_nth_pixel_takes_whole_scales() -> None:
    said = (
        r"bd keeps every scale-th pixel: it has no scale of 2\.5\. Choose a whole scale or another"
    )
    with pytest.raises(UsageError, match=said):
        degrade(noise_image(3, 50, 50), known_degradation("bd"), 2.5)
    assert degrade(noise_image(3, 50, 50), known_degradation("bd"), 5.0)[0].shape == (10, 10)


def test_an_image_has_one_lr_image_in_any_process_and_layout(photograph: UInt8) -> None:
    chain = known_degradation("real-esrgan")
    before = photograph.copy()
    low, drawn = degrade(photograph, chain, 4)
    assert np.array_equal(photograph, before)
    degrade(noise_image(9, 16, 16, 3), chain, 4)  # draws of another image lie between
    again, drawn_again = degrade(np.asfortranarray(photograph), chain, 4)
    assert np.array_equal(low, again)
    assert drawn == drawn_again
    code = (
        "import numpy as np, skimage.data, sreval;"
        "hr = np.ascontiguousarray(skimage.data.chelsea()[40:136, 60:180]);"
        "print(sreval.degrade(hr, 'real-esrgan', 4).tobytes().hex())"
    )
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert there.stdout.strip() == low.tobytes().hex()


def test_seed_scale_and_pixels_each_draw_anew(photograph: UInt8) -> None:
    chain = recipe(
        {"step": "bicubic"}, {"step": "noise", "sigma": [1, 30]}, rounding="each", seed=1
    )
    other = photograph.copy()
    other[0, 0, 0] ^= 1
    levels = {
        degrade(image, chain.model_copy(update={"seed": seed}), scale)[1][0]["level"]
        for image in (photograph, other)
        for seed in (1, 2)
        for scale in (2, 4)
    }
    assert len(levels) == 8


@settings(deadline=None)
@given(some.integers(0, 255))
def test_a_flat_image_stays_flat_where_nothing_is_drawn(value: int) -> None:
    hr = np.full((12, 20, 3), value, np.uint8)
    for name in ("bicubic", "bd"):
        assert np.all(degrade(hr, known_degradation(name), 4)[0] == value)


def test_the_last_step_alone_rounds_unless_each_does() -> None:
    hr = noise_image(10, 24, 24)
    blur: dict[str, Any] = {"step": "blur", "size": 3, "sigma": 1}
    twice = [blur, blur, {"step": "subsample"}]
    exact = correlated(
        correlated(hr.astype(float), kernels.gaussian(3, (1, 1)), "edge"),
        kernels.gaussian(3, (1, 1)),
        "edge",
    )[1::2, 1::2]
    once, _ = degrade(hr, recipe(*twice), 2)
    assert np.array_equal(once, np.floor(exact + 0.5))
    each, _ = degrade(hr, recipe(*twice, rounding="each"), 2)
    assert not np.array_equal(once, each)


BORDERS = some.sampled_from(["replicate", "symmetric", "reflect"])
ODD = some.integers(0, 15).map(lambda half: 2 * half + 1)
MODES = some.lists(some.sampled_from(["area", "bilinear", "bicubic"]), min_size=1, max_size=3)
PLAIN: some.SearchStrategy[dict[str, Any]] = some.one_of(
    some.fixed_dictionaries(
        {
            "step": some.just("blur"),
            "size": ODD,
            "sigma": some.floats(0.01, 9),
            "kinds": some.dictionaries(
                some.sampled_from(["iso", "aniso", "generalized_aniso", "plateau_iso"]),
                some.floats(0.1, 1),
                min_size=1,
            ),
            "sinc": some.floats(0, 1),
            "probability": some.floats(0, 1),
            "border": BORDERS,
        }
    ),
    some.fixed_dictionaries(
        {
            "step": some.just("sinc"),
            "size": ODD,
            "cutoff": some.floats(0.01, 1),
            "border": BORDERS,
        }
    ),
    some.fixed_dictionaries(
        {
            "step": some.just("sharpen"),
            "size": ODD,
            "sigma": some.floats(0.01, 9),
            "weight": some.floats(0.1, 9),
            "threshold": some.floats(0, 255),
        }
    ),
    some.fixed_dictionaries(
        {
            "step": some.just("resize"),
            "of": some.sampled_from(["image", "lr"]),
            "directions": some.dictionaries(
                some.sampled_from(["up", "down", "keep"]), some.floats(0.1, 1), min_size=1
            ),
            "range": some.tuples(some.floats(0.01, 1), some.floats(1, 2)),
            "modes": MODES,
        }
    ),
    some.fixed_dictionaries(
        {
            "step": some.just("noise"),
            "gaussian": some.floats(0, 1),
            "sigma": some.floats(0, 255),
            "poisson": some.floats(0, 9),
            "grey": some.floats(0, 1),
        }
    ),
    some.fixed_dictionaries({"step": some.just("jpeg"), "quality": some.integers(1, 100)}),
)


@settings(deadline=None, max_examples=80)
@given(
    some.lists(PLAIN, max_size=4),
    some.booleans(),
    some.sampled_from(["each", "last"]),
    some.integers(2, 16),
    some.tuples(some.integers(1, 4), some.integers(1, 4)),
    some.sampled_from([(), (3,)]),
    some.integers(0, 2**32),
)
def test_any_recipe_makes_one_lr_image_of_any_hr_image(
    plain: list[dict[str, Any]],
    shuffled: bool,
    rounding: str,
    scale: int,
    low: tuple[int, int],
    channels: tuple[int, ...],
    seed: int,
) -> None:
    last = {"step": "resize", "of": "lr"}
    groups = [plain, [{"step": "jpeg", "quality": 50}]]
    given_steps = [{"step": "shuffle", "groups": groups}] if shuffled and plain else plain
    own = recipe(*given_steps, last, rounding=rounding, seed=seed)
    hr = noise_image(seed, low[0] * scale, low[1] * scale, *channels)
    made, drawn = degrade(hr, own, scale)
    assert made.shape == (*low, *channels)
    assert made.dtype == np.uint8
    again, drawn_again = degrade(hr, Degradation.model_validate_json(own.model_dump_json()), scale)
    assert np.array_equal(made, again)
    assert drawn == drawn_again


def test_noise_is_clipped_and_a_level_of_0_is_none() -> None:
    image = noise_image(11, 40, 40).astype(float)
    rng = np.random.default_rng(12)
    found, _ = steps.add_noise(image, Noise(step="noise", sigma=200), rng)
    assert (found.min(), found.max()) == (0, 255)
    found, _ = steps.add_noise(image, Noise(step="noise", sigma=0), rng)
    assert np.array_equal(found, image)


def test_what_is_no_hr_image_is_refused(photograph: UInt8) -> None:
    bd = known_degradation("bd")
    with pytest.raises(ArrayError, match="not uint8"):
        degrade(photograph / 255, bd, 4)  # type: ignore[arg-type]
    with pytest.raises(ArrayError, match="alpha"):
        degrade(noise_image(1, 8, 8, 4), bd, 4)
    with pytest.raises(ImageError, match="can't be divided by 7"):
        degrade(photograph, bd, 7)
    with pytest.raises(UsageError, match="isn't a valid scale"):
        degrade(photograph, bd, 17)
