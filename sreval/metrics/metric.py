"""What is known of each metric: its name, digits, direction and limits, and what computes it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from sreval.errors import unknown_name
from sreval.metrics.protocol import Protocol

if TYPE_CHECKING:
    from sreval.metrics.lpips import Net

UInt8 = npt.NDArray[np.uint8]
Fidelity = Callable[[Protocol, UInt8, UInt8, str], float]


@dataclass(frozen=True)
class Metric:
    """All that is known of a metric: how it is printed, what its values mean, what computes it.

    ``name`` and ``digits`` (decimals) are how it is printed, ``low`` and ``high`` the limits of
    its values; ``higher_is_better`` is None where the direction isn't known. What computes it is
    either ``fidelity``, from what a protocol makes of HR and SR (see ``Protocol.planes``) and on a
    device, or LPIPS through ``trunk``.
    """

    key: str
    name: str
    digits: int
    unit: str = ""
    higher_is_better: bool | None = True
    low: float = -math.inf
    high: float = math.inf
    fidelity: Fidelity | None = None
    trunk: Net | Literal["protocol's"] | None = None

    def trunk_under(self, protocol: Protocol) -> Net | None:
        """The trunk network that it looks through under a protocol, None for one without."""
        return protocol.lpips_net if self.trunk == "protocol's" else self.trunk


METRICS = {
    metric.key: metric
    for metric in (
        Metric("psnr", "PSNR", 2, "dB", fidelity=lambda protocol, hr, sr, _: protocol.psnr(hr, sr)),
        Metric("ssim", "SSIM", 4, low=-1, high=1, fidelity=Protocol.ssim),
        Metric("lpips", "LPIPS", 4, higher_is_better=False, low=0, trunk="protocol's"),
        Metric("lpips-vgg", "LPIPS (VGG)", 4, higher_is_better=False, low=0, trunk="vgg"),
    )
}
"""The metrics of a benchmark by their keys, in a table's order; digits as in the SRGAN paper."""

_MOS = Metric("mos", "MOS", 2)


def metric_of(key: str) -> Metric:
    """What is known of a metric of some results, or of MOS; of an unknown one its key alone."""
    if key == _MOS.key:
        return _MOS
    return METRICS.get(key) or Metric(key, key, 4, higher_is_better=None)


def in_order(keys: Iterable[str]) -> list[str]:
    """Each key once, in a table's order: those of METRICS, others as they came, MOS last."""
    found = dict.fromkeys(keys)
    known = [key for key in METRICS if key in found]
    others = [key for key in found if key not in METRICS and key != _MOS.key]
    return [*known, *others, *([_MOS.key] if _MOS.key in found else [])]


def check_metrics(metrics: Iterable[str]) -> None:
    """Raises UsageError, suggesting the nearest name, for an unknown metric."""
    for metric in metrics:
        if metric not in METRICS:
            raise unknown_name("metric", metric, METRICS)
