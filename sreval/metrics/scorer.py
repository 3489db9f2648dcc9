"""The metrics, and the scores of one image pair under several protocols at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from sreval.errors import ImageError, UsageError, listed
from sreval.images.arrays import as_colour, require_image
from sreval.metrics.metric import (
    METRICS,
    Fidelity,
    Images,
    Metric,
    check_metrics,
    without_reference,
)
from sreval.metrics.protocol import Protocol, crop

if TYPE_CHECKING:
    import torch

    from sreval.metrics.lpips import Net

UInt8 = npt.NDArray[np.uint8]

GREY_AS_COLOUR = "Grey is repeated to RGB, whose luma is 16..235 (that of two grey images 0..255)"
"""The note of a score that can't be compared with one of two grey images."""

_KEPT = 2**28
"""Bytes of LPIPS's features of HR that are kept from one SR image to the next."""


@dataclass(frozen=True)
class Score:
    """One value; where it could not be computed it is NaN, and ``note`` and ``remedy`` say why.

    The note of a value that could be computed says what was done to the pair first.
    """

    protocol: str
    metric: str
    value: float
    note: str = ""
    remedy: str = ""


def match_modes(hr: UInt8, sr: UInt8) -> tuple[UInt8, UInt8]:
    """Two uint8 images of one size, the grey one of them repeated to RGB where the other is RGB.

    Raises ArrayError for anything but uint8 images, ImageError where sizes differ.
    """
    for image, what in ((hr, "hr"), (sr, "sr")):
        require_image(image, what)
    if hr.shape[:2] != sr.shape[:2]:
        raise ImageError(
            f"SR is {sr.shape[1]}x{sr.shape[0]} pixels, HR is {hr.shape[1]}x{hr.shape[0]}.",
            "Both must have the same size. Nothing is resized or cropped to fit.",
        )
    return (hr, sr) if hr.ndim == sr.ndim else (as_colour(hr), as_colour(sr))


class Reference:
    """An HR image that many SR images are scored against; what it needs is computed once."""

    def __init__(self, hr: UInt8 | None, scale: float = 4, device: str = "cpu") -> None:
        """``hr`` is uint8 (H, W) or (H, W, 3); what takes long runs on ``device``.

        Where ``hr`` is None there is no original: metrics without a reference can be had.
        """
        if hr is not None:
            require_image(hr, "hr")
        self._hr, self._scale, self._device = hr, scale, device
        self._planes = cache(self._planes_of)
        self._features: dict[Net, list[torch.Tensor]] = {}

    def score(
        self,
        sr: UInt8,
        protocols: Sequence[Protocol],
        metrics: Sequence[str | Metric] = ("psnr", "ssim"),
    ) -> list[Score]:
        """All metrics, of METRICS or made ready, of an SR image (H, W[, 3]), protocol by protocol.

        A metric without a reference sees the SR image as it is, whatever HR is. Raises UsageError
        for an unknown metric, and for one that needs an original where there is none; ArrayError
        or ImageError for an image that can't be compared (see ``match_modes``). A single score
        that can't be computed is NaN with a note.
        """
        check_metrics(metric for metric in metrics if isinstance(metric, str))
        asked = [METRICS[metric] if isinstance(metric, str) else metric for metric in metrics]
        require_image(sr, "sr")
        images = (sr,) if self._hr is None else match_modes(self._hr, sr)
        if self._hr is None and (needing := [one.name for one in asked if one.reference]):
            raise UsageError(
                f"{listed(needing)} can't be computed without the original.",
                f"Give it, or choose metrics without a reference: {without_reference()}.",
            )
        mixed = self._hr is not None and self._hr.ndim != sr.ndim
        # What no protocol touches is the same under each: it is computed once.
        perceptual = cache(lambda net: _attempt(lambda: self._lpips(images, net)))
        other = cache(
            lambda compute, reference: _attempt(
                lambda: compute(images if reference else (sr,), self._scale, self._device)
            )
        )
        planes = cache(
            lambda protocol: (
                self._planes(protocol, images[-1].ndim == 3),
                protocol.planes(images[-1], self._scale),
            )
        )

        def fidelity(compute: Fidelity, protocol: Protocol) -> float:
            return compute(protocol, *planes(protocol), self._device)

        scores = []
        for protocol in protocols:
            for metric in asked:
                if metric.of_image is not None:
                    value, note, remedy = other(metric.of_image, metric.reference)
                elif metric.fidelity is None:
                    value, note, remedy = perceptual(metric.trunk_under(protocol))
                else:
                    value, note, remedy = _attempt(partial(fidelity, metric.fidelity, protocol))
                    if not note and mixed and protocol.luma == "bt601":
                        note = GREY_AS_COLOUR
                scores.append(Score(protocol.name, metric.key, value, note, remedy))
        return scores

    def _planes_of(self, protocol: Protocol, colour: bool) -> UInt8:
        """Of HR; a grey one is compared as it is with grey, repeated to RGB with RGB."""
        assert self._hr is not None
        return protocol.planes(as_colour(self._hr) if colour else self._hr, self._scale)

    def _lpips(self, images: Images, net: Net) -> float:
        from sreval.metrics.lpips import distance, features

        hr, sr = (crop(image, self._scale) for image in images)
        reference = self._features.get(net) or features(hr, net, self._device)
        if sum(layer.nbytes for layer in reference) <= _KEPT:
            self._features[net] = reference
        return distance(reference, features(sr, net, self._device), net, self._device)


def _attempt(compute: Callable[[], float]) -> tuple[float, str, str]:
    try:
        return compute(), "", ""
    except ImageError as error:
        return math.nan, error.message, error.remedy
