"""One interface, LR image in, SR image out: interpolation, networks, images, own functions."""

from __future__ import annotations

import copy
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from sreval import content
from sreval.devices import Precision
from sreval.errors import UsageError, unknown_name
from sreval.files import exists
from sreval.methods.base import INTERPOLATIONS, Original, Upscaler
from sreval.methods.function import CallableUpscaler, FunctionUpscaler
from sreval.methods.network import ModuleUpscaler, NetworkUpscaler, is_network
from sreval.methods.published import PublishedImages

__all__ = ["INTERPOLATIONS", "Running", "Upscaler", "make_upscaler", "method_of"]


@dataclass(frozen=True)
class Running:
    """How networks are run: where, in which precision, in tiles of which side (None: whole)."""

    device: str = "cpu"
    precision: Precision = "fp32"
    tile: int | None = None

    def __post_init__(self) -> None:
        """Raise UsageError for a precision that isn't known."""
        known = get_args(Precision)
        if self.precision not in known:
            raise unknown_name("precision", self.precision, known)


def method_names() -> list[str]:
    """Every method that needs no more than its name."""
    return [*INTERPOLATIONS, "hr", *content.names("models")]


def method_of(method: object, running: Running = Running(), name: str = "") -> Upscaler:
    """The method that an object is: a text, a function, a torch.nn.Module, or an Upscaler itself.

    ``name`` is what to call it instead of its own name. Raises what ``make_upscaler`` raises, and
    UsageError for an object that is no method.
    """
    torch = sys.modules.get("torch")  # who has a module has imported it
    if isinstance(method, str | Path):
        made = make_upscaler(str(method), running)
    elif isinstance(method, Upscaler):
        made = copy.copy(method)
    elif torch and isinstance(method, torch.nn.Module):
        return ModuleUpscaler(method, running.device, name or type(method).__name__)
    elif callable(method):
        return CallableUpscaler(method, name or getattr(method, "__name__", type(method).__name__))
    else:
        raise UsageError(
            f"An object of type {type(method).__name__} can't be a method.",
            "Give a name such as bicubic, a function from LR to SR, or a torch.nn.Module.",
        )
    made.name = name or made.name
    return made


def _is_function(found: object) -> bool:
    torch = sys.modules.get("torch")
    return not isinstance(found, Upscaler) and not (torch and isinstance(found, torch.nn.Module))


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
        return FunctionUpscaler(
            value, lambda found: None if _is_function(found) else method_of(found, running)
        )
    if spec == "hr":
        return Original()
    if spec in INTERPOLATIONS:
        return INTERPOLATIONS[spec]()
    if is_network(spec):
        return NetworkUpscaler(spec, running.device, running.precision, running.tile)
    raise unknown_name(
        "method", spec, method_names(), "Or use published:FOLDER or python:package.module:function."
    )
