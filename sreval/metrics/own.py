"""A user's own metric: a function with what its values mean."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, model_validator

from sreval.config import Config, FieldError, UserPath
from sreval.errors import ImageError, UsageError, option, shown, told
from sreval.metrics.metric import Images, Metric, is_taken
from sreval.metrics.protocol import crop

_calling = threading.RLock()
"""Held while a function of a user's own is called: it may not bear several threads."""


class Declaration(Config):
    """What the values of a metric mean, and what its function is given."""

    better: Literal["higher", "lower"] | None = None
    """Absent: the metric has no ranks."""
    low: float | None = None
    """The least value that it can take."""
    high: float | None = None
    """The greatest."""
    digits: int = Field(default=4, ge=0, le=10)
    """Decimals that are printed."""
    unit: str = Field(default="", max_length=20)
    reference: bool = True
    """Whether the function gets HR."""
    per: Literal["image", "set"] = "image"
    """Whether a value is of an image, or of all images of a data set."""
    crop: Annotated[int, Field(ge=0)] | Literal["scale"] = 0
    """Pixels cut from each side first."""
    weights: UserPath | None = None
    """A file that the function reads."""

    @model_validator(mode="after")
    def _limits(self) -> Declaration:
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise FieldError(f"low is {self.low:g}, high is {self.high:g}", "high")
        return self


@dataclass(frozen=True)
class OwnMetric:
    """A function with its declaration; ``name`` is what to call it, by default its own name."""

    function: Callable[..., Any]
    declaration: Declaration = field(default_factory=Declaration)
    name: str = ""


_COLUMNS = {"dataset", "method", "image", "scene", "score"}
_NAME = 60
"""Letters of a metric's name."""


def checked_name(name: str) -> str:
    """A name that a metric of a user's own may have. Raises UsageError for another."""
    taken = is_taken(name) or name.casefold() in _COLUMNS
    plain = name.strip() == name and name.isprintable() and not set("\\,:=|") & set(name)
    if taken or not name or not plain or len(name) > _NAME:
        raise UsageError(
            f"Your own metric can't be called {shown(name)}{', which is taken' if taken else ''}.",
            "Give it another name: "
            f"{option('--metric NAME=METRIC', '{NAME: METRIC}, or name= of sreval.metric')}.",
        )
    return name


def of_function(function: Callable[..., Any], key: str, declaration: Declaration) -> Metric:
    """The metric that a function computes: from HR and SR, uint8 (H, W[, 3]), or from SR alone.

    One that is per set gets an iterator of pairs of HR and SR, or of SR alone. It returns a number.
    What else it returns, or raises, becomes an ImageError that says so.
    """
    d = declaration
    least = -math.inf if d.low is None else d.low
    most = math.inf if d.high is None else d.high

    def given(images: Images, scale: float) -> Images:
        border = scale if d.crop == "scale" else d.crop
        return tuple(crop(one, border).copy() for one in images)

    def value(*arguments: object) -> float:
        try:
            with _calling:
                result = function(*arguments)
        except ImageError:
            raise
        except (Exception, SystemExit) as error:
            raise ImageError(f"{key} failed: {told(error)}.", "Fix the function.") from error
        found = as_number(result, key)
        if not least - _SLACK <= found <= most + _SLACK:
            raise ImageError(
                f"{key} returned {found:g}, which isn't within {least:g}..{most:g}.",
                "Fix the function, or declare other limits.",
            )
        return found

    def of_set(every: Iterator[Images], scale: float) -> float:
        each = (given(images, scale) for images in every)
        return value(each if d.reference else (sr for (sr,) in each))

    per_set = d.per == "set"
    return Metric(
        key,
        key,
        d.digits,
        d.unit,
        None if d.better is None else d.better == "higher",
        least,
        most,
        reference=d.reference,
        per=d.per,
        of_image=None if per_set else lambda images, scale, _: value(*given(images, scale)),
        of_set=(lambda every, scale, _: of_set(every, scale)) if per_set else None,
    )


_SLACK = 1e-6
"""How far rounding may take a value beyond its limits."""


def as_number(result: object, key: str) -> float:
    """A score as a float: of a number, or of an array or tensor of one. Raises ImageError."""
    tensor: Any = result
    try:
        array = np.asarray(tensor.detach().cpu().double() if hasattr(tensor, "detach") else tensor)
    except Exception:  # an object's own conversion may raise anything
        array = np.asarray(None)
    if array.dtype.kind not in "iuf" or array.size != 1:
        several = array.dtype.kind in "iuf"
        what = f"an array of shape {array.shape}" if several else shown(result)
        raise ImageError(f"{key} returned {what}, not a number.", "Return one float.")
    number = float(array.reshape(-1)[0])
    if math.isnan(number):
        raise ImageError(f"{key} returned NaN.", "Fix the function.")
    return number
