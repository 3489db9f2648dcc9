"""A protocol: the one named object that fixes how an image pair becomes its scores."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from sreval.errors import ImageError, unknown_name
from sreval.images.arrays import require_image
from sreval.images.luma import bt601, png2y4m_luma
from sreval.metrics.psnr import psnr

UInt8 = npt.NDArray[np.uint8]
Ssim = Callable[..., float]


@dataclass(frozen=True)
class Protocol:
    """How scores are computed. Its name and ``sha256`` are in every result row.

    ``crop`` is in pixels per side, or "scale" for as many as the upscaling factor, rounded up.
    ``luma`` names
    the conversion after the crop; "none" keeps the three channels. ``lpips_net`` names the trunk of
    the metric ``lpips``, whose crop is always the scale (Zhang et al. 2018 crop nothing; the
    crop only keeps the borders out, as for the other scores).
    """

    name: str
    about: str
    crop: int | Literal["scale"]
    luma: Literal["png2y4m", "bt601", "none"]
    ssim_window: Literal["daala", "wang"]
    lpips_net: Literal["alex", "vgg"] = "alex"
    revision: int = 1

    @property
    def sha256(self) -> str:
        """Hash of all that fixes the scores, the explanation left out."""
        content = {key: value for key, value in asdict(self).items() if key != "about"}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def border(self, scale: float) -> float:
        """What ``crop`` gets at that scale."""
        return scale if self.crop == "scale" else self.crop

    def planes(self, image: UInt8, scale: float) -> UInt8:
        """What PSNR and SSIM compare: (H, W[, 3]) uint8 to cropped (H', W', C) uint8.

        Raises ImageError for an image that the crop leaves nothing of, or that is too large for
        the protocol's luma, ArrayError for anything but a uint8 image.
        """
        require_image(image, "image")
        inner = crop(image, self.border(scale))
        if self.luma == "png2y4m":
            return png2y4m_luma(inner)[..., None]
        if self.luma == "bt601":
            return bt601(inner)[..., None]
        colour = inner if inner.ndim == 3 else inner[..., None]
        return np.broadcast_to(colour, (*inner.shape[:2], 3))

    def psnr(self, reference: UInt8, image: UInt8) -> float:
        """PSNR in dB of two results of ``planes``, over all their samples at once."""
        return psnr(reference, image)

    def ssim(self, reference: UInt8, image: UInt8, device: str = "cpu") -> float:
        """Mean SSIM of two results of ``planes``, the mean over their channels."""
        from sreval.metrics.ssim import ssim_daala, ssim_wang

        function: Ssim = ssim_daala if self.ssim_window == "daala" else ssim_wang
        return float(
            np.mean(
                [function(reference[..., c], image[..., c], device) for c in range(image.shape[2])]
            )
        )


def crop(image: UInt8, border: float) -> UInt8:
    """The image without ``border`` pixels, rounded up, on each side.

    Raises ImageError if nothing is left.
    """
    border = math.ceil(border)
    height, width = image.shape[:2]
    if min(height, width) <= 2 * border:
        raise ImageError(
            f"{width}x{height} pixels leave nothing after a crop of {border} on each side.",
            "Score larger images.",
        )
    return image[border : height - border, border : width - border]


PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            "ledig2017",
            "the SRGAN paper's: daala's dithered BT.709 luma and its SSIM, 4 pixels cropped",
            crop=4,
            luma="png2y4m",
            ssim_window="daala",
        ),
        Protocol(
            "matlab",
            "the field's: rounded BT.601 luma, SSIM of Wang et al. 2004, a crop of the scale",
            crop="scale",
            luma="bt601",
            ssim_window="wang",
        ),
        Protocol(
            "rgb",
            "all three channels, SSIM of Wang et al. 2004 on each, a crop of the scale",
            crop="scale",
            luma="none",
            ssim_window="wang",
        ),
    )
}


def get_protocol(name: str) -> Protocol:
    """The protocol of that name. Raises UsageError for an unknown name, with the nearest."""
    try:
        return PROTOCOLS[name]
    except KeyError:
        raise unknown_name("protocol", name, PROTOCOLS) from None
