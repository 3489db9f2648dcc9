"""The scores of one image pair under several protocols at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from sreval.errors import ImageError, unknown_name
from sreval.metrics.lpips import Net, lpips
from sreval.metrics.protocol import Protocol, crop

UInt8 = npt.NDArray[np.uint8]

METRICS = ("psnr", "ssim", "lpips", "lpips-vgg")
"""``lpips`` takes the protocol's own trunk (alex), ``lpips-vgg`` always vgg."""

HIGHER_IS_BETTER = {"psnr": True, "ssim": True, "lpips": False, "lpips-vgg": False}
UNITS = {"psnr": "dB", "ssim": "", "lpips": "", "lpips-vgg": ""}


@dataclass(frozen=True)
class Score:
    """One value; where it could not be computed it is NaN and ``note`` says why."""

    protocol: str
    metric: str
    value: float
    note: str = ""


def check_metrics(metrics: Iterable[str]) -> None:
    """Raises UsageError, suggesting the nearest name, for a metric nobody knows."""
    for metric in metrics:
        if metric not in METRICS:
            raise unknown_name("metric", metric, METRICS)


def match_modes(hr: UInt8, sr: UInt8) -> UInt8:
    """The SR image in the HR image's mode, checked to be comparable with it.

    An RGB copy of a grey image becomes grey again. Raises ImageError where sizes differ or a
    colour would have to be invented or thrown away.
    """
    if hr.shape[:2] != sr.shape[:2]:
        raise ImageError(
            f"SR is {sr.shape[1]}x{sr.shape[0]} pixels, HR is {hr.shape[1]}x{hr.shape[0]}.",
            "Both must have one size; nothing is resized or cropped to fit.",
        )
    if hr.ndim == sr.ndim:
        return sr
    if hr.ndim == 2 and (sr[..., 0] == sr[..., 1]).all() and (sr[..., 0] == sr[..., 2]).all():
        return np.ascontiguousarray(sr[..., 0])
    kinds = {2: "grey", 3: "in colour"}
    raise ImageError(
        f"SR is {kinds[sr.ndim]}, HR is {kinds[hr.ndim]}.", "Convert one of them first."
    )


def score(
    hr: UInt8,
    sr: UInt8,
    protocols: Sequence[Protocol],
    metrics: Sequence[str] = ("psnr", "ssim"),
    scale: int = 4,
    device: str = "cpu",
) -> list[Score]:
    """All metrics of an SR image against its HR image, uint8 (H, W[, 3]), protocol by protocol.

    Raises UsageError for an unknown metric and ImageError for images that can't be compared
    (see ``match_modes``); a single score that can't be computed is NaN with a note.
    """
    check_metrics(metrics)
    sr = match_modes(hr, sr)
    # The crop of LPIPS is the same under every protocol, so each trunk runs once.
    perceptual = {
        net: _attempt(partial(_lpips, hr, sr, net, scale, device))
        for net in {_net(m, p) for p in protocols for m in metrics if m.startswith("lpips")}
    }
    scores = []
    for protocol in protocols:
        fidelity = _fidelity(hr, sr, protocol, metrics, scale, device)
        for metric in metrics:
            value, note = fidelity.get(metric) or perceptual[_net(metric, protocol)]
            scores.append(Score(protocol.name, metric, value, note))
    return scores


def _net(metric: str, protocol: Protocol) -> Net:
    return "vgg" if metric == "lpips-vgg" else protocol.lpips_net


def _fidelity(
    hr: UInt8, sr: UInt8, protocol: Protocol, metrics: Sequence[str], scale: int, device: str
) -> dict[str, tuple[float, str]]:
    """PSNR and SSIM, those of them that are asked for, of the planes that both compare."""
    functions: dict[str, Callable[[UInt8, UInt8], float]] = {
        "psnr": protocol.psnr,
        "ssim": lambda reference, image: protocol.ssim(reference, image, device),
    }
    wanted = [metric for metric in metrics if metric in functions]
    if not wanted:
        return {}
    try:
        planes = protocol.planes(hr, scale), protocol.planes(sr, scale)
    except ImageError as error:
        return dict.fromkeys(wanted, (math.nan, error.message))
    return {metric: _attempt(partial(functions[metric], *planes)) for metric in wanted}


def _lpips(hr: UInt8, sr: UInt8, net: Net, scale: int, device: str) -> float:
    return lpips(crop(hr, scale), crop(sr, scale), net, device)


def _attempt(compute: Callable[[], float]) -> tuple[float, str]:
    try:
        return compute(), ""
    except ImageError as error:
        return math.nan, error.message
