"""A researcher's own network: any Python function from an LR array to an SR array."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from sreval.errors import ImageError, UsageError
from sreval.files import sha256_file
from sreval.images.datasets import Item
from sreval.upscalers.base import UInt8, Upscaler


class FunctionUpscaler(Upscaler):
    """``package.module:function``, found on the import path or in the current folder.

    The function takes the LR image, uint8 (h, w) or (h, w, 3), and, if it has a parameter of
    that name, ``scale``. It returns uint8, or floats in 0..255, of scale times the size; floats
    are rounded half to even and saturated. Its fingerprint is that of the file it stands in.
    """

    parallel = False

    def __init__(self, path: str) -> None:
        self._path = path
        self._function = _load(path)
        self.name = path.rpartition(":")[2]
        source = _source_file(self._function, path)
        self._source = sha256_file(source) if source else ""
        self._takes_scale = _takes_scale(self._function)

    def fingerprint(self, item: Item) -> str:
        """The hash of the file that the function stands in."""
        return self._source

    def upscale(self, lr: UInt8, scale: int, item: Item) -> UInt8:
        """What the function returns, checked: shape, type, range, no NaN."""
        arguments = {"scale": scale} if self._takes_scale else {}
        try:
            result = np.asarray(self._function(lr.copy(), **arguments))
        except (Exception, SystemExit) as error:
            raise ImageError(
                f"{self._path} failed on {item.dataset}/{item.image}: "
                f"{type(error).__name__}: {error}.",
                "Mend the function, then run again.",
            ) from error
        return self._checked(result, lr, scale, item)

    def _checked(self, result: np.ndarray[Any, Any], lr: UInt8, scale: int, item: Item) -> UInt8:
        where = f"{self._path} returned"
        expected = (lr.shape[0] * scale, lr.shape[1] * scale, *lr.shape[2:])
        if result.shape != expected:
            raise ImageError(
                f"{where} shape {result.shape} for {item.dataset}/{item.image}, not {expected}.",
                "Return an array (height, width, channels) of the LR image's channels.",
            )
        if result.dtype == np.uint8:
            return np.asarray(result, dtype=np.uint8)
        if not np.issubdtype(result.dtype, np.floating):
            raise ImageError(f"{where} {result.dtype}.", "Return uint8, or floats in 0..255.")
        if not np.isfinite(result).all():
            raise ImageError(
                f"{where} NaN or infinite values for {item.dataset}/{item.image}.",
                "Mend the function, then run again.",
            )
        return np.asarray(np.clip(np.rint(result), 0, 255), dtype=np.uint8)


def _load(path: str) -> Callable[..., Any]:
    module_name, _, function_name = path.partition(":")
    if not function_name:
        raise UsageError(f"python:{path} names no function.", "Write python:package.module:name.")
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:
        raise UsageError(
            f"Can't import {module_name}: {type(error).__name__}: {error}.",
            "Install it, or run where it lies.",
        ) from error
    finally:
        sys.path.remove(here)
    function = getattr(module, function_name, None)
    if not callable(function):
        raise UsageError(f"{module_name} has no function {function_name!r}.", "Check the name.")
    return function  # type: ignore[no-any-return]


def _source_file(function: Callable[..., Any], path: str) -> Path | None:
    """The file that a function stands in; that of its module for a partial or a network object."""
    for thing in (inspect.unwrap(function), sys.modules[path.partition(":")[0]]):
        try:
            source = inspect.getsourcefile(thing)
        except TypeError:
            continue
        if source:
            return Path(source)
    return None


def _takes_scale(function: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:
        return False  # compiled functions needn't tell their parameters
    return any(p.name == "scale" or p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters)
