"""One interface, LR image in, SR image out: interpolation, networks, images, own functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sreval import content
from sreval.errors import UsageError, unknown_name
from sreval.files import exists
from sreval.upscalers.base import Upscaler
from sreval.upscalers.function import FunctionUpscaler
from sreval.upscalers.interpolation import INTERPOLATIONS, Original
from sreval.upscalers.network import NetworkUpscaler, is_network
from sreval.upscalers.published import PublishedImages

if TYPE_CHECKING:
    from sreval.devices import Precision

__all__ = ["Running", "Upscaler", "make_upscaler", "method_names"]


@dataclass(frozen=True)
class Running:
    """How networks are run: where, in which precision, in tiles of which side (None: whole)."""

    device: str = "cpu"
    precision: Precision = "fp32"
    tile: int | None = None


def method_names() -> list[str]:
    """Every method that needs no more than its name."""
    return [*INTERPOLATIONS, "hr", *content.names("models")]


def make_upscaler(spec: str, running: Running = Running()) -> Upscaler:
    """The method a user wrote, optionally as LABEL=SPEC to give it a name of one's own.

    SPEC is one of ``method_names()``, the path of a weight file or of its folder,
    ``published:FOLDER`` or ``python:package.module:function``, which may be followed by the files
    that the function reads: ``,weights=FILE``. Raises UsageError for anything else.
    """
    label, _, rest = spec.partition("=")
    if rest and not exists(spec) and not any(mark in label for mark in ":/"):
        if not label:
            raise UsageError(f"{spec!r} gives the method an empty name.", "Write NAME=METHOD.")
        upscaler = make_upscaler(rest, running)
        upscaler.name = label
        return upscaler
    kind, _, value = spec.partition(":")
    if kind == "published" and value:
        return PublishedImages(value)
    if kind == "python" and value:
        return FunctionUpscaler(value)
    if spec == "hr":
        return Original()
    if spec in INTERPOLATIONS:
        return INTERPOLATIONS[spec]()
    if is_network(spec):
        return NetworkUpscaler(spec, running.device, running.precision, running.tile)
    raise unknown_name(
        "method", spec, method_names(), "Or use published:FOLDER or python:package.module:function."
    )
