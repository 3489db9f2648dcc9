"""One interface, LR image in, SR image out: interpolation, networks, images, own functions."""

from __future__ import annotations

import copy
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sreval import content
from sreval.errors import UsageError, told, unknown_name
from sreval.files import exists
from sreval.methods.base import INTERPOLATIONS, LEAST_TILE, ON_CPU, Original, Running, Upscaler
from sreval.methods.declarations import Declared
from sreval.methods.function import CallableUpscaler, OwnCode
from sreval.methods.published import PublishedImages
from sreval.methods.sources import SOURCES, module_network, network_of_class, source_of

__all__ = ["INTERPOLATIONS", "LEAST_TILE", "Running", "Upscaler", "make_upscaler", "method_of"]


def method_names() -> list[str]:
    """Every method that needs no more than its name."""
    return [*INTERPOLATIONS, "hr", *content.names("models")]


def method_of(method: object, running: Running = ON_CPU, name: str = "") -> Upscaler:
    """The method that an object is: a text, a function, a torch.nn.Module, or an Upscaler itself.

    ``name`` is what to call it instead of its own name. Raises what ``make_upscaler`` raises, and
    UsageError for an object that is no method.
    """
    if isinstance(method, str | Path):
        made = make_upscaler(str(method), running)
    elif isinstance(method, Upscaler):
        made = copy.copy(method)
    else:
        return _of_object(method, running, name)
    made.name = name or made.name
    return made


def _of_object(
    method: object,
    running: Running,
    name: str,
    given: Mapping[str, Any] = {},
    weights: Path | None = None,
) -> Upscaler:
    """The method of a function, a torch.nn.Module or its class, declared or not."""
    if isinstance(method, Declared):
        given, method = {**method.given, **given}, method.method
    torch = sys.modules.get("torch")  # who has a module has imported it
    own = name or getattr(method, "__name__", type(method).__name__)
    if torch and isinstance(method, type) and issubclass(method, torch.nn.Module):
        if weights and (made := network_of_class(weights, running, f"python:{name}", given)):
            return made
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of lines of others' code
                method = method()
        except Exception as error:
            raise UsageError(
                f"{own}() failed: {told(error)}.",
                f"Name a torch.nn.Module that is made with its arguments: net = {own}(...).",
            ) from error
    if torch and isinstance(method, torch.nn.Module):
        return module_network(method, running, own, given, weights)
    if callable(method):
        return CallableUpscaler(method, own, given)
    raise UsageError(
        f"{name or f'An object of type {type(method).__name__}'} can't be a method: it is neither "
        "a function nor a torch.nn.Module.",
        "Give a function from LR to SR, a torch.nn.Module, or a name such as bicubic.",
    )


def make_upscaler(spec: str, running: Running = ON_CPU) -> Upscaler:
    """The method a user wrote, optionally as LABEL=SPEC to give it a name of one's own.

    SPEC is one of ``method_names()``, the path of a weight file or of its folder, ``spandrel:``,
    ``torchscript:`` or ``onnx:`` and a FILE, ``published:FOLDER`` or
    ``python:package.module:name``. Declarations such as ``scale=2`` follow after commas, and after
    ``python:`` the files that it reads, such as ``weights=FILE``. Raises UsageError for anything
    else, and WeightsError for files that can't be read.
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
        return OwnCode(
            value,
            lambda found, name, given, weights: (
                method_of(found, running)
                if isinstance(found, Upscaler) and not given
                else _of_object(found, running, name, given, weights)
            ),
        )
    if kind in SOURCES and value:
        return SOURCES[kind](value, running)
    if spec == "hr":
        return Original()
    if spec in INTERPOLATIONS:
        return INTERPOLATIONS[spec]()
    if source := source_of(spec):
        return source(spec, running)
    raise unknown_name(
        "method",
        spec,
        method_names(),
        "Or use spandrel:FILE, torchscript:FILE, onnx:FILE, published:FOLDER or "
        "python:package.module:function.",
    )
