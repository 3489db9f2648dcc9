"""Protocols, the scorer, and the conventions of other tools."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import piq
import pytest
import torch

from sreval.errors import ImageError, UsageError
from sreval.images import _daala
from sreval.images.luma import bt601, png2y4m_luma
from sreval.metrics.conventions import (
    CONVENTIONS,
    LPIPS_CONVENTIONS,
    ssim_downsampled,
    ssim_reflected,
)
from sreval.metrics.lpips import TRUNKS
from sreval.metrics.protocol import PROTOCOLS, get_protocol
from sreval.metrics.psnr import psnr
from sreval.metrics.scorer import Reference
from sreval.metrics.ssim import ssim_daala, ssim_wang

UInt8 = npt.NDArray[np.uint8]


@pytest.fixture
def pair(photograph: UInt8) -> tuple[UInt8, UInt8]:
    blurred = (photograph // 2 + np.roll(photograph, 1, axis=0) // 2).astype(np.uint8)
    return photograph, blurred


def values(hr: UInt8, sr: UInt8, name: str, scale: float = 4) -> tuple[float, float]:
    psnr_score, ssim_score = Reference(hr, scale).score(sr, [PROTOCOLS[name]])
    return psnr_score.value, ssim_score.value


def test_ledig2017_crops_before_it_converts(pair: tuple[UInt8, UInt8]) -> None:
    a, b = (png2y4m_luma(np.ascontiguousarray(image[4:-4, 4:-4])) for image in pair)
    assert values(*pair, "ledig2017") == (psnr(a, b), ssim_daala(a, b))
    assert values(*pair, "ledig2017", scale=2) == (psnr(a, b), ssim_daala(a, b))


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_matlab_crops_by_the_scale(pair: tuple[UInt8, UInt8], scale: int) -> None:
    a, b = (bt601(image)[scale:-scale, scale:-scale] for image in pair)
    assert values(*pair, "matlab", scale) == pytest.approx((psnr(a, b), ssim_wang(a, b)))


def test_a_ratio_crops_its_next_whole_number(pair: tuple[UInt8, UInt8]) -> None:
    assert values(*pair, "matlab", 2.5) == values(*pair, "matlab", 3)
    assert values(*pair, "ledig2017", 2.5) == values(*pair, "ledig2017", 4)


def test_rgb_takes_the_error_of_all_channels_and_the_mean_ssim(pair: tuple[UInt8, UInt8]) -> None:
    a, b = (image[4:-4, 4:-4].astype(np.float64) for image in pair)
    found = values(*pair, "rgb")
    assert found[0] == pytest.approx(10 * math.log10(255**2 / np.mean((a - b) ** 2)))
    assert found[1] == pytest.approx(np.mean([ssim_wang(a[..., c], b[..., c]) for c in range(3)]))


def test_grey_under_rgb_is_the_grey_plane(pair: tuple[UInt8, UInt8]) -> None:
    a, b = (image[..., 0] for image in pair)
    crop_a, crop_b = a[4:-4, 4:-4], b[4:-4, 4:-4]
    assert values(a, b, "rgb") == pytest.approx((psnr(crop_a, crop_b), ssim_wang(crop_a, crop_b)))


def test_hash_follows_the_definition_and_not_its_explanation() -> None:
    protocol = PROTOCOLS["matlab"]
    assert replace(protocol, about="in other words").sha256 == protocol.sha256
    changed = [
        replace(protocol, crop=6),
        replace(protocol, luma="none"),
        replace(protocol, ssim_window="daala"),
        replace(protocol, lpips_net="vgg"),
        replace(protocol, revision=2),
    ]
    assert len({protocol.sha256, *(other.sha256 for other in changed)}) == 6


def test_an_unknown_protocol_suggests_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"Unknown protocol 'matlap'. Did you mean 'matlab'\?"):
        get_protocol("matlap")


def test_an_unknown_metric_suggests_the_nearest(pair: tuple[UInt8, UInt8]) -> None:
    with pytest.raises(UsageError, match="Did you mean 'ssim'"):
        Reference(pair[0]).score(pair[1], [PROTOCOLS["rgb"]], ["sim"])


def test_a_size_that_differs_is_refused_with_both_sizes(pair: tuple[UInt8, UInt8]) -> None:
    hr, sr = pair
    with pytest.raises(ImageError, match="SR is 119x96 pixels, HR is 120x96"):
        Reference(hr).score(sr[:, :-1], [PROTOCOLS["rgb"]])


@pytest.mark.parametrize("name", PROTOCOLS)
def test_grey_is_scored_against_colour_as_its_rgb_copy(
    pair: tuple[UInt8, UInt8], name: str
) -> None:
    colour, grey = pair[0], np.ascontiguousarray(pair[1][..., 1])
    copy = np.stack([grey] * 3, axis=-1)
    assert values(grey, colour, name) == values(copy, colour, name)
    assert values(colour, grey, name) == values(colour, copy, name)
    shifted = np.roll(grey, 1, axis=1)
    assert values(copy, shifted, name) == values(copy, np.stack([shifted] * 3, axis=-1), name)


def test_a_grey_image_is_compared_as_it_is_with_grey_alone(pair: tuple[UInt8, UInt8]) -> None:
    a, b = (np.ascontiguousarray(image[..., 1]) for image in pair)
    reference = Reference(a)
    copy = np.stack([b] * 3, axis=-1)
    for image in (b, copy, b):  # whatever was scored before
        found, *_ = reference.score(image, [PROTOCOLS["matlab"]])
        # BT.601 squeezes 0..255 into 16..235: 20 log10(255 / 219) dB
        more = 0 if image.ndim == 2 else 20 * math.log10(255 / 219)
        assert found.value == pytest.approx(psnr(a[4:-4, 4:-4], b[4:-4, 4:-4]) + more, abs=0.05)
        assert ("Grey is repeated to RGB" in found.note) == (image.ndim == 3)


def test_too_large_for_the_dither_is_said_and_the_rest_is_scored(
    pair: tuple[UInt8, UInt8], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_daala, "MAX_BLOCKS", 1250)
    found = Reference(pair[0]).score(pair[1], [PROTOCOLS["ledig2017"], PROTOCOLS["matlab"]])
    assert [math.isnan(one.value) for one in found] == [True, True, False, False]
    assert (
        "112x88 pixels are too many: the dither table of daala's luma ends at 5000" in found[0].note
    )


def test_too_small_for_the_window_is_said_and_psnr_is_scored(pair: tuple[UInt8, UInt8]) -> None:
    small = [image[:18, :40] for image in pair]
    psnr_score, ssim_score = Reference(small[0]).score(small[1], [PROTOCOLS["matlab"]])
    assert math.isfinite(psnr_score.value)
    assert math.isnan(ssim_score.value)
    assert "smaller than SSIM's window" in ssim_score.note


def test_a_crop_that_leaves_nothing_is_said(pair: tuple[UInt8, UInt8]) -> None:
    tiny = [image[:8, :8] for image in pair]
    found = Reference(tiny[0]).score(tiny[1], [PROTOCOLS["matlab"]])
    assert all("leave nothing after a crop of 4 on each side" in one.note for one in found)


def tensor(plane: npt.NDArray[np.generic]) -> torch.Tensor:
    return torch.from_numpy(plane.astype(np.float64))[None, None]


def test_reflected_border_is_torchmetrics(pair: tuple[UInt8, UInt8]) -> None:
    # takes seconds to import, and each worker collects this file
    from torchmetrics.functional.image import structural_similarity_index_measure

    a, b = (bt601(image) for image in pair)
    theirs = structural_similarity_index_measure(tensor(b), tensor(a), data_range=255.0)
    assert ssim_reflected(a, b) == pytest.approx(float(theirs), abs=1e-12)  # type: ignore[arg-type]


@pytest.mark.parametrize("repeat", [1, 5])
def test_downsampled_is_piqs_default(pair: tuple[UInt8, UInt8], repeat: int) -> None:
    a, b = (bt601(image).repeat(repeat, 0).repeat(repeat, 1) for image in pair)
    noise = np.random.default_rng(0).integers(-3, 4, a.shape)
    a = np.clip(a + noise, 0, 255).astype(np.uint8)
    theirs = piq.ssim(tensor(b), tensor(a), data_range=255.0)
    assert ssim_downsampled(a, b) == pytest.approx(float(theirs), abs=1e-9)


def test_every_convention_scores_and_none_equals_matlab_by_name_only(
    pair: tuple[UInt8, UInt8],
) -> None:
    hr, sr = (image.repeat(5, 0).repeat(5, 1) for image in pair)
    found = {c.name: c.score(hr, sr, 4) for c in CONVENTIONS}
    assert len(set(found.values())) == len(CONVENTIONS) == 10
    assert found["full-range luma"][0] < found["matlab"][0] - 1
    assert abs(found["float luma"][0] - found["matlab"][0]) < 0.05


@pytest.mark.data
def test_the_conventions_of_lpips_are_those_of_the_package_called_directly(
    photograph: UInt8, shared_weights: Path
) -> None:
    sr = np.roll(photograph, 1, axis=1)
    found = {c.name: c.score(photograph, sr, 4)[0] for c in LPIPS_CONVENTIONS if c.trunk == "alex"}
    model = TRUNKS["alex"].load()

    def direct(border: int, low: int) -> float:
        cut = slice(border, -border or None)
        pair = [
            torch.from_numpy(image[cut, cut] / 255 * (1 - low) + low).permute(2, 0, 1)[None].float()
            for image in (photograph, sr)
        ]
        with torch.inference_mode():
            return float(model(*pair))

    expected = {"lpips": (4, -1), "lpips no crop": (0, -1), "lpips 0..1": (4, 0)}
    assert found == pytest.approx(
        {name: direct(*given) for name, given in expected.items()}, abs=1e-5
    )
    assert len(set(found.values())) == 3


def test_iqa_pytorch_mixes_two_lumas(photograph: UInt8) -> None:
    scores = {c.name: c.score(photograph, np.roll(photograph, 1, axis=0), 4) for c in CONVENTIONS}
    assert scores["luma half rounded"] == (scores["float luma"][0], scores["matlab"][1])
