"""The conventions that other tools compute PSNR, SSIM and LPIPS by, often under one name.

None of them is a protocol to publish under; they are here to show, on the same images, where
two published figures come apart. Each differs from ``matlab``, or from ``lpips``, in the one thing
that it names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sreval.images.luma import bt601, bt601_float, bt601_full_range
from sreval.images.resize import round_half_away
from sreval.metrics.protocol import PROTOCOLS, crop
from sreval.metrics.psnr import psnr

if TYPE_CHECKING:
    from sreval.metrics.lpips import Net

UInt8 = npt.NDArray[np.uint8]
Plane = npt.NDArray[Any]


@dataclass(frozen=True)
class Convention:
    """A way to score a pair: what is different about it, which tool does so, its scores.

    These are PSNR and SSIM, or LPIPS alone, through ``trunk``.
    """

    name: str
    difference: str
    tool: str
    score: Callable[[UInt8, UInt8, float], tuple[float, ...]]
    trunk: Net | None = None


def _protocol(name: str) -> Callable[[UInt8, UInt8, float], tuple[float, float]]:
    protocol = PROTOCOLS[name]

    def score(hr: UInt8, sr: UInt8, scale: float) -> tuple[float, float]:
        a, b = protocol.planes(hr, scale), protocol.planes(sr, scale)
        return protocol.psnr(a, b), protocol.ssim(a, b)

    return score


def _ssim(reference: Plane, image: Plane) -> float:
    """SSIM of Wang et al. 2004 of planes in 0..255, however dark."""
    from sreval.metrics.ssim import ssim_wang

    return ssim_wang(reference, image, data_range=255)


def _variant(
    luma: Callable[[UInt8], Plane] = bt601,
    ssim: Callable[[Plane, Plane], float] = _ssim,
    border: int | None = None,
) -> Callable[[UInt8, UInt8, float], tuple[float, float]]:
    def score(hr: UInt8, sr: UInt8, scale: float) -> tuple[float, float]:
        cut = scale if border is None else border
        a, b = (luma(crop(image, cut)) for image in (hr, sr))
        return psnr(a, b, data_range=255), ssim(a, b)

    return score


def ssim_uniform(reference: Plane, image: Plane) -> float:
    """SSIM as scikit-image computes it by default: 7x7 uniform window, sample covariance."""
    from skimage.metrics import structural_similarity

    return float(structural_similarity(reference, image, data_range=255))


def ssim_reflected(reference: Plane, image: Plane) -> float:
    """SSIM of Wang et al. 2004 with every pixel scored, the border reflected (torchmetrics)."""
    from sreval.metrics.ssim import WANG_WINDOW

    reach = WANG_WINDOW // 2
    a, b = (np.pad(plane, reach, mode="reflect") for plane in (reference, image))
    return _ssim(a, b)


def ssim_downsampled(reference: Plane, image: Plane) -> float:
    """SSIM after averaging over squares so that the shorter side is about 256 (piq's default)."""
    factor = max(1, round(min(reference.shape) / 256))
    height, width = (side // factor for side in reference.shape)

    def shrink(plane: Plane) -> Plane:
        whole = plane[: height * factor, : width * factor].astype(np.float64)
        averaged: Plane = whole.reshape(height, factor, width, factor).mean(axis=(1, 3))
        return averaged

    return _ssim(shrink(reference), shrink(image))


def _rounded_full_range(image: UInt8) -> Plane:
    return round_half_away(bt601_full_range(image)).astype(np.uint8)


CONVENTIONS = (
    Convention(
        "ledig2017",
        "dithered BT.709 luma, growing SSIM window, 4 pixels cropped",
        "daala",
        _protocol("ledig2017"),
    ),
    Convention(
        "matlab",
        "rounded BT.601 luma, 11x11 Gaussian SSIM, cropped by the scale",
        "MATLAB",
        _protocol("matlab"),
    ),
    Convention("float luma", "luma not rounded", "BasicSR", _variant(luma=bt601_float)),
    Convention(
        "luma half rounded",
        "PSNR of luma not rounded, SSIM of rounded",
        "IQA-PyTorch",
        lambda hr, sr, scale: (
            _variant(luma=bt601_float)(hr, sr, scale)[0],
            _variant()(hr, sr, scale)[1],
        ),
    ),
    Convention(
        "full-range luma",
        "luma in 0..255, not 16..235",
        "OpenCV, Pillow",
        _variant(luma=_rounded_full_range),
    ),
    Convention(
        "uniform window", "SSIM window 7x7, uniform", "scikit-image", _variant(ssim=ssim_uniform)
    ),
    Convention(
        "reflected border",
        "SSIM scores the border too, reflected",
        "torchmetrics",
        _variant(ssim=ssim_reflected),
    ),
    Convention(
        "downsampled",
        "SSIM after downsampling to about 256 pixels",
        "piq",
        _variant(ssim=ssim_downsampled),
    ),
    Convention("no crop", "nothing cropped", "scripts without a crop", _variant(border=0)),
    Convention(
        "rgb",
        "the three channels instead of luma",
        "BasicSR without its Y option",
        _protocol("rgb"),
    ),
)


def _lpips(
    net: Net = "alex", border: int | None = None, low: float = -1
) -> Callable[[UInt8, UInt8, float], tuple[float, ...]]:
    def score(hr: UInt8, sr: UInt8, scale: float) -> tuple[float, ...]:
        from sreval.metrics.lpips import lpips

        cut = scale if border is None else border
        return (lpips(crop(hr, cut), crop(sr, cut), net, low=low),)

    return score


LPIPS_CONVENTIONS = (
    Convention("lpips", "AlexNet, -1..1, cropped by the scale", "sreval", _lpips(), "alex"),
    Convention("lpips no crop", "nothing cropped", "lpips, IQA-PyTorch", _lpips(border=0), "alex"),
    Convention("lpips 0..1", "0..1 instead of -1..1, a mistake", "scripts", _lpips(low=0), "alex"),
    Convention("lpips vgg", "VGG16 instead of AlexNet", "BasicSR", _lpips("vgg"), "vgg"),
)
"""Those of LPIPS; each needs the weights of its trunk."""
