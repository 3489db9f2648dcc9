"""One interface, LR image in, SR image out: interpolation, published images, a user's function."""

from __future__ import annotations

from sreval.errors import UsageError, unknown_name
from sreval.upscalers.base import Upscaler
from sreval.upscalers.function import FunctionUpscaler
from sreval.upscalers.interpolation import INTERPOLATIONS, Original
from sreval.upscalers.published import PublishedImages

__all__ = ["Upscaler", "make_upscaler", "method_names"]


def method_names() -> list[str]:
    """Every method that needs no more than its name."""
    return [*INTERPOLATIONS, "hr"]


def make_upscaler(spec: str) -> Upscaler:
    """The method a user wrote, optionally as LABEL=SPEC to give it a name of one's own.

    SPEC is one of ``method_names()``, ``published:FOLDER`` or ``python:package.module:function``.
    Raises UsageError for what it can't mean.
    """
    label, _, rest = spec.partition("=")
    if rest and not any(mark in label for mark in ":/"):
        if not label:
            raise UsageError(f"{spec!r} gives the method an empty name.", "Write NAME=METHOD.")
        upscaler = make_upscaler(rest)
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
    raise unknown_name(
        "method", spec, method_names(), "Or published:FOLDER, or python:package.module:function."
    )
