"""A user's own code: a function from an LR array to an SR array, or what a module holds."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sreval.errors import ImageError, UsageError, told
from sreval.files import sha256_file
from sreval.images.arrays import as_colour, as_uint8, seen
from sreval.images.datasets import Dataset, Item
from sreval.images.io import Pixels
from sreval.images.scales import hr_size
from sreval.methods.base import IN_PYTHON, UInt8, Upscaler
from sreval.methods.declarations import FUNCTION, Declarations, split_files
from sreval.own_code import load_object, own_modules

if TYPE_CHECKING:
    from sreval.networks.export import Checked, Form


class CallableUpscaler(Upscaler):
    """A function, or whatever else can be called, of the running program.

    It takes the LR image, uint8 (h, w, 3), and, if it has parameters of these names, ``scale`` and
    ``size``, the height and width to make; one without ``size`` takes whole scales alone. It
    returns (scale h, scale w, 3), uint8 or floats in 0..255; floats are rounded half to even and
    saturated. A grey LR image comes repeated to three channels, and what the function makes of it
    is kept as grey where its channels are equal. A function of the declared colour ``grey`` gets
    (h, w) and returns (scale h, scale w): of a colour image each channel by itself. One of ``bgr``
    gets and returns the channels in that order.
    What it depends on can't be told, so each run calls it anew.
    """

    parallel = False
    known = False

    def __init__(
        self, function: Callable[..., Any], name: str, given: Mapping[str, Any] = {}
    ) -> None:
        """``given`` is declared of it. Raises UsageError for what a function can't declare."""
        self._function, self.name = function, name
        declared = Declarations.of(dict(given), name, FUNCTION)
        if declared.colour == "luma":
            raise UsageError(f"{name} can't take luma alone.", "Declare rgb, bgr or grey.")
        self.scale, self._colour = declared.scale, declared.colour
        self.settings = ", ".join(f"{key}={value}" for key, value in declared.told.items())
        kind = function if hasattr(function, "__qualname__") else type(function)
        self.specification = f"{IN_PYTHON}{kind.__module__}.{kind.__qualname__}"
        self._takes = {name for name in ("scale", "size") if _takes(function, name)}

    def require_scale(self, scale: float, dataset: str = "") -> None:
        """Raises UsageError for a scale that isn't the declared one, or that needs ``size``."""
        super().require_scale(scale, dataset)
        if scale % 1 and "size" not in self._takes:
            raise UsageError(
                f"{self.name} has no parameter size, so it takes whole scales, not {scale:g}.",
                "Give it one: it gets the (height, width) to make.",
            )

    def upscale(self, lr: UInt8, scale: float, item: Item) -> UInt8:
        """What the function returns, checked: shape, type, range, no NaN."""
        return self._applied(lr, scale, f"{item.dataset}/{item.image}")

    def enlarge(self, pixels: Pixels, scale: float) -> Pixels:
        """What the function returns for 8 bits. Raises ImageError for 16."""
        self.require_scale(scale)
        if pixels.dtype != np.uint8:
            raise ImageError(
                f"{self.name} takes 8 bits; this picture has 16.",
                "Save the picture with 8 bits, or use bicubic or a network.",
            )
        return self._applied(pixels.astype(np.uint8, copy=False), scale, "the picture")

    def _applied(self, lr: UInt8, scale: float, which: str) -> UInt8:
        if self._colour == "grey":
            planes = [lr] if lr.ndim == 2 else [lr[..., channel] for channel in range(3)]
            made = [self._called(plane, scale, which) for plane in planes]
            return made[0] if lr.ndim == 2 else np.stack(made, axis=-1)
        order = slice(None, None, -1) if self._colour == "bgr" else slice(None)
        sr = self._called(as_colour(lr)[..., order], scale, which)[..., order]
        copies = lr.ndim == 2 and (sr == sr[..., :1]).all()
        return np.ascontiguousarray(sr[..., 0] if copies else sr)

    def _called(self, lr: UInt8, scale: float, which: str) -> UInt8:
        """What the function makes of the array that it is to get, checked."""
        given = lr.copy()  # it may write on what it gets
        of_name = {"scale": scale, "size": hr_size(lr.shape, scale)}
        arguments = {name: of_name[name] for name in self._takes}
        try:
            result = np.asarray(self._function(given, **arguments))
        except ImageError:
            raise
        except (Exception, SystemExit) as error:
            raise ImageError(
                f"{self.name} failed on {which}: {told(error)}.",
                "Fix the function, then run again.",
            ) from error
        return self._checked(result, lr, scale, which)

    def _checked(self, result: np.ndarray[Any, Any], lr: UInt8, scale: float, which: str) -> UInt8:
        where = f"{self.name} returned"
        expected = (*hr_size(lr.shape, scale), 3)[: lr.ndim]
        if result.shape != expected:
            raise ImageError(
                f"{where} shape {result.shape} for {which}, not {expected}.",
                _reshape(result.shape, expected, lr.shape, scale),
            )
        if result.dtype == np.uint8:
            return np.asarray(result, dtype=np.uint8)
        floats = np.issubdtype(result.dtype, np.floating)
        if floats and not np.isfinite(result).all():
            raise ImageError(
                f"{where} NaN or infinite values for {which}.",
                "Fix the function, then run again.",
            )
        if not floats or not _fits(result, lr):
            raise ImageError(
                f"{where} {seen(result)} for {which}, whose LR image holds {lr.min()}..{lr.max()}.",
                f"Return {as_uint8('sr', result)}, where sr is what it returns now.",
            )
        return np.asarray(np.clip(np.rint(result), 0, 255), dtype=np.uint8)


class OwnCode(Upscaler):
    """``package.module:name[,weights=FILE ...]``, on the import path or in the current folder.

    The name is that of a function, or of a torch.nn.Module, its class, an Upscaler or what
    ``sreval.declare`` returns; ``method_of`` makes a method of it, its name, what is declared of
    it, and the file of its weights. It is known by its modules and the files it names; one that
    names none may read any.
    """

    def __init__(
        self,
        text: str,
        method_of: Callable[[object, str, dict[str, str], Path | None], Upscaler],
    ) -> None:
        self._path, named, declared = split_files(text)
        self._named = {path: (_state(path), sha256_file(path)) for path in named.values()}
        found = load_object(self._path)
        self._method = method_of(found, self._path, declared, named.get("weights"))
        self.name = self._path.rpartition(":")[2]
        self.settings, self.scale = self._method.settings, self._method.scale
        self.weights_sha256 = self._method.weights_sha256
        self.torch_device = self._method.torch_device
        self.parallel = False
        options = {**named, **declared}
        self.specification = ",".join(
            [f"python:{self._path}", *(f"{key}={value}" for key, value in options.items())]
        )
        self.known = bool(named) and bool(own_modules(self._module))
        self._elsewhere: dict[str, str] = {}

    @property
    def _module(self) -> str:
        return self._path.partition(":")[0]

    def facts(self, measure: bool = False) -> dict[str, Any]:
        """Those of what the name stands for."""
        return self._method.facts(measure)

    def multiply_adds(self, height: int, width: int) -> int | None:
        """Those of what the name stands for."""
        return self._method.multiply_adds(height, width)

    def exported(self, form: Form) -> Checked:
        """What the name stands for."""
        return self._method.exported(form)

    @property
    def note(self) -> str:
        """That of what the name stands for."""
        return self._method.note

    def observed(self) -> dict[str, Any]:
        """What the method that the name stands for has, and the modules that are loaded by now."""
        return {**self._method.observed(), "files": own_modules(self._module)}

    def observe(self, observed: Mapping[str, Any]) -> None:
        """See ``Upscaler.observe``; modules that another process has loaded are its own, too."""
        rest = dict(observed)
        self._elsewhere |= rest.pop("files", {})
        self._method.observe(rest)

    def prepare(self, dataset: Dataset) -> None:
        """As what the name stands for does."""
        self._method.prepare(dataset)

    def require_scale(self, scale: float, dataset: str = "") -> None:
        """As what the name stands for does, under this name where it has a scale of its own."""
        super().require_scale(scale, dataset)
        self._method.require_scale(scale, dataset)

    def upscale(self, lr: UInt8, scale: float, item: Item) -> UInt8:
        """What the function or the object makes of it."""
        return self._method.upscale(lr, scale, item)

    def enlarge(self, pixels: Pixels, scale: float) -> Pixels:
        """What the function or the object makes of it."""
        self._method.told = self.told
        return self._method.enlarge(pixels, scale)

    def identity(self) -> list[object]:
        """The function, and what it has loaded and named by now."""
        return [self.specification, self.files(), *([self.settings] if self.settings else [])]

    def files(self) -> dict[str, str]:
        """Its modules, as far as they are loaded by now, and the files that it names."""
        named = {str(path): sha256 for path, (_, sha256) in self._named.items()}
        loaded = {**self._elsewhere, **own_modules(self._module)}
        return {**dict(sorted(loaded.items())), **named}  # whichever process saw one first

    def check_unchanged(self) -> None:
        """Raises ImageError when a named file was written to: it may have been read before."""
        for path, (state, sha256) in self._named.items():
            if _state(path) != state and (not path.is_file() or sha256_file(path) != sha256):
                raise ImageError(f"{path} has changed since this run began.", "Run it again.")


_BEYOND = 100
"""How far beyond 0..255 floats may reach and still be rounded and saturated."""


def _fits(result: np.ndarray[Any, Any], lr: UInt8) -> bool:
    """Whether floats can be meant as 0..255: about as bright as the LR image, or saturated little.

    In 0..1 and in -1..1 the brightest value is below a sixteenth of the LR image's, however dark
    that is.
    """
    low, high = float(result.min()), float(result.max())
    bright = high > lr.max() / 16 or lr.max() == 0
    return bright and low >= -_BEYOND and high <= 255 + _BEYOND


def _reshape(
    shape: tuple[int, ...], expected: tuple[int, ...], lr: tuple[int, ...], scale: float
) -> str:
    """What to do about a result of another shape."""
    if sorted(shape) == sorted(expected) and shape[0] == 3:
        return "The channels come last: return np.moveaxis(sr, 0, -1)."
    if len(shape) == 4 and shape[0] == 1:
        return "Return the one image and not a batch: return sr[0]."
    if len(shape) == len(expected) and shape[2:] == expected[2:]:
        if scale % 1:
            return "Return the height and width that it gets as size."
        found = shape[0] / lr[0], shape[1] / lr[1]
        if found[0] == found[1] >= 2 and found[0].is_integer():
            return (
                f"It enlarges {found[0]:.0f} times: run it with a scale of {found[0]:.0f}, or give "
                "it a parameter called scale."
            )
        return f"Return {scale} times the LR image's height and width."
    return f"Return an array {('(height, width)', '(height, width, 3)')[len(expected) - 2]}."


def _state(path: Path) -> tuple[int, int] | None:
    """What tells, short of reading it, that a file was written to."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def _takes(function: Callable[..., Any], name: str) -> bool:
    """Whether a function names that parameter; a wrapper's own go before the wrapped ones."""
    try:
        own = inspect.signature(function, follow_wrapped=False).parameters
        wrapped = inspect.signature(function).parameters
    except ValueError:
        return False  # compiled functions needn't tell their parameters
    if name in own:
        return own[name].kind is not inspect.Parameter.POSITIONAL_ONLY
    passes_on = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in own.values())
    return passes_on and name in wrapped
