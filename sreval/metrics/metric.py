"""What is known of each metric: its name, digits, direction and limits, and what computes it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from sreval.errors import option, unknown_name
from sreval.metrics.protocol import Protocol

if TYPE_CHECKING:
    from sreval.metrics.lpips import Net

UInt8 = npt.NDArray[np.uint8]
Fidelity = Callable[[Protocol, UInt8, UInt8, str], float]
Images = tuple[UInt8, ...]
"""What a metric sees of an image: HR and SR, or without a reference SR alone."""
OfImage = Callable[[Images, float, str], float]
"""From the images, the scale and the device."""
OfSet = Callable[[Iterator[Images], float, str], float]
"""The same from those of all images of a set, one after the other."""


@dataclass(frozen=True)
class Metric:
    """All that is known of a metric: how it is printed, what its values mean, what computes it.

    ``name`` and ``digits`` (decimals) are how it is printed, ``low`` and ``high`` the limits of
    its values; ``higher_is_better`` is None where the direction isn't known. ``reference`` says
    whether it sees HR, ``per`` whether a value is of an image or of a whole data set.

    What computes it is ``fidelity``, from what a protocol makes of HR and SR (see
    ``Protocol.planes``) and on a device, or LPIPS through ``trunk``, or ``of_image`` or ``of_set``,
    which no protocol touches. ``specification`` names that as a user does; ``package``, with its
    version, and ``licence`` are somebody else's; ``files`` are the SHA-256 of what it was read
    from, by path. ``sha256``, of all of this, stands in the rows. ``now`` makes it anew with the
    modules that its function has loaded since, here and, by their ``files``, in another process.
    ``least_images`` is how many a set must have.
    ``known`` says whether all that its values depend on is told by ``sha256``; of others each run
    computes them anew.
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
    reference: bool = True
    per: Literal["image", "set"] = "image"
    specification: str = ""
    package: str = ""
    licence: str = ""
    sha256: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    of_image: OfImage | None = None
    of_set: OfSet | None = None
    now: Callable[..., Metric] | None = None
    least_images: int = 1
    known: bool = True

    def trunk_under(self, protocol: Protocol) -> Net | None:
        """The trunk network that it looks through under a protocol, None for one without."""
        return protocol.lpips_net if self.trunk == "protocol's" else self.trunk

    def facts(self) -> dict[str, Any]:
        """What a manifest keeps of it, as JSON has it: a limit that isn't there is None."""
        facts = {name: getattr(self, name) for name in _FACTS}
        for limit in ("low", "high"):
            facts[limit] = facts[limit] if math.isfinite(facts[limit]) else None
        return facts | {"files": dict(self.files)}

    def may_be(self, other: Metric) -> bool:
        """Whether two can be one metric: alike in what they mean, and no file in two versions."""
        alike = all(getattr(self, name) == getattr(other, name) for name in _MEANING)
        return alike and all(other.files.get(p, sha) == sha for p, sha in self.files.items())

    def __str__(self) -> str:
        return f"{self.specification} ({self.package})" if self.package else self.specification


_MEANING = ("specification", "package", "higher_is_better", "low", "high", "reference", "per")
_FACTS = ("name", "digits", "unit", "licence", "sha256", *_MEANING)


@dataclass(frozen=True)
class Facts:
    """What a manifest says of a metric, see ``Metric.facts``; read, it is checked by its types."""

    name: str
    digits: int
    specification: str
    sha256: str = ""
    unit: str = ""
    higher_is_better: bool | None = None
    low: float | None = None
    high: float | None = None
    reference: bool = True
    per: Literal["image", "set"] = "image"
    package: str = ""
    licence: str = ""
    files: dict[str, str] = field(default_factory=dict)

    def metric(self, key: str) -> Metric:
        """The metric that they are of; nothing computes it."""
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        facts = {name: getattr(self, name) for name in _FACTS} | {"low": low, "high": high}
        return Metric(key, files=self.files, **facts)


METRICS = {
    metric.key: metric
    for metric in (
        Metric("psnr", "PSNR", 2, "dB", fidelity=lambda protocol, hr, sr, _: protocol.psnr(hr, sr)),
        Metric("ssim", "SSIM", 4, low=-1, high=1, fidelity=Protocol.ssim),
        Metric("lpips", "LPIPS", 4, higher_is_better=False, low=0, trunk="protocol's"),
        Metric("lpips-vgg", "LPIPS (VGG)", 4, higher_is_better=False, low=0, trunk="vgg"),
    )
}
"""The metrics that sreval defines itself, by their keys, in a table's order; digits as in the SRGAN
paper."""

_LOWER: dict[str, Any] = {"higher_is_better": False, "low": 0}
_UNIT: dict[str, Any] = {"low": 0, "high": 1}
LIBRARY = {
    metric.key: metric
    for metric in (
        Metric("ms-ssim", "MS-SSIM", 4, specification="piq.multi_scale_ssim", **_UNIT),
        Metric("vif", "VIF", 4, low=0, specification="piq.vif_p"),
        Metric("fsim", "FSIM", 4, specification="piq.fsim", **_UNIT),
        Metric("gmsd", "GMSD", 4, specification="piq.gmsd", **_LOWER),
        Metric("haarpsi", "HaarPSI", 4, specification="piq.haarpsi", **_UNIT),
        Metric("dists", "DISTS", 4, specification="torchmetrics DISTSNetwork", **_LOWER),
        Metric(
            "brisque",
            "BRISQUE",
            2,
            higher_is_better=False,
            reference=False,
            specification="piq.brisque",
        ),
        Metric("clip-iqa", "CLIP-IQA", 4, reference=False, specification="piq.CLIPIQA", **_UNIT),
        Metric("fid", "FID", 2, per="set", specification="piq.FID", least_images=2048, **_LOWER),
        Metric(
            "kid",
            "KID",
            5,
            higher_is_better=False,
            per="set",
            specification="piq.KID",
            least_images=1000,
        ),
    )
}
"""The metrics that other libraries compute, see ``sreval.metrics.packages``."""

_MOS = Metric("mos", "MOS", 2)
_TAKEN = {
    name.casefold()
    for one in (*METRICS.values(), *LIBRARY.values(), _MOS)
    for name in (one.key, one.name)
}
_declared: dict[str, Metric] = {}


def declare(metric: Metric) -> None:
    """Let ``metric_of`` know a metric of a user's own; the newest of one key wins."""
    if metric.key not in METRICS and metric.key not in LIBRARY:
        _declared.pop(metric.key, None)
        _declared[metric.key] = metric


def is_taken(name: str) -> bool:
    """Whether a metric of ours, or MOS, is named or printed so, in upper or lower case."""
    return name.casefold() in _TAKEN


def metric_of(key: str) -> Metric:
    """What is known of a metric of some results, or of MOS; of an unknown one its key alone."""
    for known in (METRICS, LIBRARY, {_MOS.key: _MOS}, _declared):
        if key in known:
            return known[key]
    return Metric(key, key, 4, higher_is_better=None)


def needs_original(key: str) -> bool:
    """Whether a metric of some results is known to see HR; of one computed elsewhere it is not."""
    metric = metric_of(key)
    return metric.reference and (key in METRICS or metric.specification != "")


def in_order(keys: Iterable[str]) -> list[str]:
    """Each key once, in a table's order: METRICS, LIBRARY, as declared, as they came, MOS last."""
    found = dict.fromkeys(keys)
    known = [key for key in (*METRICS, *LIBRARY, *_declared) if key in found]
    others = [key for key in found if key not in (*known, _MOS.key)]
    return [*known, *others, *([_MOS.key] if _MOS.key in found else [])]


def without_reference() -> str:
    """What can be had where there is no original, for messages."""
    keys = ", ".join(key for key, one in LIBRARY.items() if not one.reference)
    own = option("reference=no", "reference=False")
    return f"{keys}, pyiqa:NAME such as pyiqa:niqe, or a function of your own with {own}"


def check_metrics(metrics: Iterable[str]) -> None:
    """Raises UsageError, suggesting the nearest name, for a metric that isn't one of METRICS."""
    for metric in metrics:
        if metric not in METRICS:
            raise unknown_name("metric", metric, METRICS)
