"""What an array of pixels must be, and what is said of one that isn't."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sreval.errors import ArrayError

Array = npt.NDArray[Any]

_DARK = 2
"""Floats that never exceed it are taken as 0..1 or -1..1, which networks may overshoot."""


def require_image(image: Array, what: str) -> None:
    """Raises ArrayError, naming ``what``, for anything but uint8 (H, W) or (H, W, 3)."""
    _require_array(image, what)
    if image.dtype != np.uint8:
        raise ArrayError(
            f"{what} holds {seen(image)}, not uint8 of 0..255.", f"Give {as_uint8(what, image)}."
        )
    if image.ndim not in (2, 3) or image.shape[2:] not in ((), (3,)):
        raise ArrayError(
            f"{what} has the shape {image.shape}, not (H, W) or (H, W, 3).",
            "Give one image with its channels last and without alpha.",
        )


def as_colour(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """An image as (H, W, 3): grey (H, W) repeated to three equal channels."""
    return np.repeat(image[..., None], 3, axis=2) if image.ndim == 2 else image


def require_pair(reference: Array, image: Array, data_range: float | None = None) -> float:
    """The value of white in two arrays of one shape: 255, or ``data_range`` if given.

    Without it, uint8 and floats of 0..255 are accepted. Raises ArrayError for different shapes,
    for values outside 0..white, and for floats so small that 0..1 must be meant.
    """
    if data_range is not None and not 0 < data_range < np.inf:
        raise ArrayError(
            f"data_range is {data_range}.", "Give the value of white: 255, 65535 or 1."
        )
    arrays = {"reference": reference, "image": image}
    for what, array in arrays.items():
        _require_array(array, what)
    if reference.shape != image.shape:
        raise ArrayError(
            f"The shapes differ: {reference.shape} and {image.shape}.",
            "Nothing is resized or cropped to fit. Give both images at one size.",
        )
    for what, array in arrays.items():
        if data_range is None and array.dtype != np.uint8:
            _require_float_of_255(array, what)
        elif data_range is not None and not _within(array, data_range):
            raise ArrayError(
                f"{what} holds {seen(array)}, not 0..{data_range:g}.",
                "Set data_range to the value of white in both arrays, and clip them to it.",
            )
    return 255 if data_range is None else data_range


def seen(array: Array) -> str:
    """An array's type and range, for messages: ``float64 of 0..1``."""
    if not (np.issubdtype(array.dtype, np.number) or array.dtype == bool):
        return f"{array.dtype}"
    if not np.isfinite(array).all():
        return f"{array.dtype} with NaN or infinite values"
    return f"{array.dtype} of {_short(array.min())}..{_short(array.max())}"


def as_uint8(name: str, array: Array) -> str:
    """A line of Python that converts an array called ``name`` to uint8, judging by its range."""
    kind = array.dtype.kind
    if kind not in "biuf" or not np.isfinite(array).all():
        return "uint8 of 0..255"
    low, high = float(array.min()), float(array.max())
    if kind == "b":
        return f"{name} * np.uint8(255)"
    if kind in "iu" and low >= 0 and high <= 255:
        return f"{name}.astype(np.uint8)"
    unit, where = name, ""
    if kind == "f" and low >= -_DARK and high <= _DARK:
        unit = f"({name} + 1) * 127.5" if low < -0.5 else f"{name} * 255"
    elif low >= 0 and high > 2**14:
        unit = f"{name} / 257"  # 65535, the white of 16 bits, becomes 255
    elif low >= 0 and high > 511:
        unit, where = f"{name} * (255 / white)", " with white = 1023, 4095 or 65535"
    return f"np.clip(np.rint({unit}), 0, 255).astype(np.uint8){where}"


def _require_array(array: object, what: str) -> None:
    if not isinstance(array, np.ndarray):
        raise ArrayError(
            f"{what} isn't an array, but of the type {type(array).__name__}.", "Give a NumPy array."
        )
    if array.size == 0:
        raise ArrayError(f"{what} is empty: its shape is {array.shape}.", "Give an image.")


def _require_float_of_255(array: Array, what: str) -> None:
    floats = np.issubdtype(array.dtype, np.floating)
    if floats and _within(array, 255) and array.max() > _DARK:
        return
    raise ArrayError(
        f"{what} holds {seen(array)}, not uint8 or floats of 0..255.",
        f"Give {as_uint8(what, array)}, or set data_range to the value of white.",
    )


def _within(array: Array, white: float) -> bool:
    real = array.dtype.kind in "biuf"
    return bool(real and array.min() >= 0 and array.max() <= white)


def _short(value: Any) -> str:
    return f"{float(value):.6g}"
