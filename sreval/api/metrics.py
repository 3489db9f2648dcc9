"""PSNR, SSIM, LPIPS and other metrics of arrays, one's own metrics, downscaling, degrading."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sreval.api.given import as_list, kind_of, named_objects
from sreval.errors import ArrayError, ImageError, UsageError, unknown_name

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from sreval.images.resize import Border
    from sreval.metrics.metric import Metric
    from sreval.metrics.own import OwnMetric
    from sreval.metrics.protocol import Protocol
    from sreval.metrics.scorer import Score

    UInt8 = npt.NDArray[np.uint8]
    Picture = UInt8 | str | Path


def downscale(hr: UInt8, scale: float = 4, *, border: Border = "replicate") -> UInt8:
    """The low-resolution image that a benchmark gives its methods: MATLAB's bicubic ``imresize``.

    Keys' cubic convolution (1981, a = -0.5), antialiased, rounded half away from zero after each
    of the two passes.

    Args:
        hr: uint8 (H, W, 3) or (H, W), both sides multiples of ``scale``, or,
            where that is no whole number, as ``data downscale --crop`` leaves them.
        scale: above 1 and up to 16.
        border: ``replicate`` as MATLAB's older releases and the published LR images of Set5, Set14
            and BSD100 have it, or ``symmetric`` as the newer releases.

    Returns:
        uint8 (H / scale, W / scale[, 3]).

    Raises:
        SrevalError: a ValueError, for another type, shape, scale or border.

    Example:
        >>> import numpy as np, sreval
        >>> hr = np.full((8, 12, 3), 200, np.uint8)
        >>> sreval.downscale(hr, 4).shape
        (2, 3, 3)
    """
    from sreval.images.arrays import require_image
    from sreval.images.resize import BORDERS
    from sreval.images.resize import downscale as of_benchmark

    if border not in BORDERS:
        raise unknown_name("border", border, BORDERS)
    require_image(hr, "hr")
    with _arrays():
        return of_benchmark(hr, scale, border)


def degrade(
    hr: UInt8, recipe: str | Path = "bicubic", scale: float = 4, *, seed: int | None = None
) -> UInt8:
    """The low-resolution image that a degradation makes.

    Random values are drawn from NumPy's Philox, keyed with the seed, the scale and the pixels of
    ``hr``: the same image gets the same LR image anywhere.

    Args:
        hr: uint8 (H, W, 3) or (H, W), both sides multiples of ``scale``, or,
            where that is no whole number, as ``data downscale --crop`` leaves them.
        recipe: ``bicubic`` (as ``sreval.downscale``), ``bd`` (a 7x7 Gaussian of sigma 1.6, then
            every scale-th pixel; Zhang et al. 2018), ``dn`` (bicubic, then Gaussian noise of level
            30; as there), ``jpeg`` (bicubic, then quality 40), ``real-esrgan`` (the second-order
            chain of Wang et al. 2021). A parameter follows the name, as in ``bd:sigma=2`` or
            ``jpeg:quality=30``. Or a TOML file of steps.
        scale: above 1 and up to 16.
        seed: in place of the recipe's own, which is 0 for those with a name.

    Returns:
        uint8 (H / scale, W / scale[, 3]).

    Raises:
        SrevalError: a ValueError, for another type, shape, scale, recipe or seed.

    Example:
        >>> import numpy as np, sreval
        >>> hr = np.full((8, 12, 3), 200, np.uint8)
        >>> sreval.degrade(hr, "bd", scale=4)[0, 0].tolist()
        [200, 200, 200]
    """
    from sreval.images.degradations import open_degradation
    from sreval.images.degrade import degrade as carry_out

    with _arrays():
        return carry_out(hr, open_degradation(recipe, seed), scale)[0]


def psnr(
    hr: Picture, sr: Picture, protocol: str | Protocol = "ledig2017", scale: float = 4
) -> float:
    """Peak signal-to-noise ratio in dB, as a benchmark scores it.

    10 log10(255^2 / MSE) of what the protocol compares. The default protocol is that of
    ``benchmark``, the SRGAN paper's (Ledig et al. 2017): so the value is the one in its results.
    Name ``matlab`` for the figure that most papers print.

    Args:
        hr: the original, uint8 (H, W, 3) or (H, W), or the path of an image file.
        sr: what is scored, of the same height and width, in either form. Where one of the two is
            grey, it is repeated to RGB.
        protocol: ``ledig2017``, ``matlab``, ``rgb``, or a Protocol. It fixes luma and border.
        scale: the upscaling factor, by which, rounded up, ``matlab`` and ``rgb`` crop.

    Returns:
        dB, higher is better; infinite for identical images.

    Raises:
        SrevalError: a ValueError, for arrays that are no images, differ in size or are smaller
            than the border, and for an unknown protocol; an ImageError for a file that can't be
            read.

    Example:
        >>> import numpy as np, sreval
        >>> hr = np.full((32, 32), 100, np.uint8)
        >>> round(sreval.psnr(hr, hr + np.uint8(1), protocol="matlab"), 2)
        48.13
    """
    return _value(hr, sr, protocol, "psnr", scale)


def ssim(
    hr: Picture,
    sr: Picture,
    protocol: str | Protocol = "ledig2017",
    scale: float = 4,
    *,
    device: str = "auto",
) -> float:
    """Mean structural similarity (Wang et al. 2004), as a benchmark scores it.

    ``matlab`` and ``rgb`` take the 11x11 Gaussian window of that paper, ``ledig2017`` the one of
    daala's ``dump_ssim``, which grows with the image.

    Args:
        hr: the original, uint8 (H, W, 3) or (H, W), or the path of an image file.
        sr: what is scored, of the same height and width, in either form.
        protocol: ``ledig2017``, ``matlab``, ``rgb``, or a Protocol; see ``psnr``.
        scale: the upscaling factor, by which, rounded up, ``matlab`` and ``rgb`` crop.
        device: ``auto`` (a GPU where there is one), ``cpu`` or ``cuda``.

    Returns:
        -1 to 1, higher is better; 1 for identical images.

    Raises:
        SrevalError: a ValueError, as ``psnr``, and for images smaller than the window.

    Example:
        >>> import numpy as np, sreval
        >>> hr = np.arange(1024, dtype=np.uint16).reshape(32, 32).astype(np.uint8)
        >>> sreval.ssim(hr, hr)
        1.0
    """
    return _value(hr, sr, protocol, "ssim", scale, device)


def lpips(
    hr: Picture,
    sr: Picture,
    net: Literal["alex", "vgg"] = "alex",
    scale: float = 4,
    *,
    device: str = "auto",
) -> float:
    """Learned perceptual distance (Zhang et al. 2018, version 0.1), as a benchmark scores it.

    ``scale`` pixels are cropped on each side, then the whole image is compared in colour.

    Args:
        hr: the original, uint8 (H, W, 3) or (H, W), or the path of an image file.
        sr: what is scored, of the same height and width, in either form.
        net: the trunk, ``alex`` or ``vgg``. ``sreval data fetch lpips-alex`` brings its weights.
        scale: the upscaling factor, and, rounded up, the pixels that are cropped.
        device: ``auto`` (a GPU where there is one), ``cpu`` or ``cuda``.

    Returns:
        0 for identical images; lower is better.

    Raises:
        SrevalError: a ValueError, as ``psnr``, and for images smaller than the trunk takes. A
            DataError where the trunk's weights are missing.

    Example:
        >>> import numpy as np, sreval
        >>> hr = np.zeros((64, 64, 3), np.uint8)
        >>> sreval.lpips(hr, hr)  # doctest: +SKIP
        0.0
    """
    metrics = {"alex": "lpips", "vgg": "lpips-vgg"}
    if net not in metrics:
        raise unknown_name("trunk of LPIPS", net, metrics)
    # under which of the protocols makes no difference to LPIPS
    return _value(hr, sr, "ledig2017", metrics[net], scale, device)


def metric(
    function: Callable[..., Any],
    *,
    name: str = "",
    better: Literal["higher", "lower"] | None = None,
    low: float | None = None,
    high: float | None = None,
    digits: int = 4,
    unit: str = "",
    reference: bool = True,
    per: Literal["image", "set"] = "image",
    crop: int | Literal["scale"] = 0,
    weights: Path | str | None = None,
) -> OwnMetric:
    """A metric of your own: a function with what its values mean.

    ``benchmark`` and ``score`` take it among their ``metrics``. Tables, figures, tests and
    intervals then treat it as they treat PSNR. It may also be what ``python:module:name`` names.

    Args:
        function: gets HR and SR, uint8 (H, W, 3), or (H, W) where both are grey, and returns one
            number. An exception, None or NaN makes the value NaN, and its note says why.
        name: what to call it, if not as the function is called.
        better: ``higher`` or ``lower``; without it tables don't rank its values.
        low: the least value that it can take; another makes the value NaN.
        high: the greatest.
        digits: decimals in tables.
        unit: such as ``dB``.
        reference: False for a function of SR alone, which gets it as it is.
        per: ``set`` for a function that gets an iterator of all pairs (HR, SR) of a data set, or of
            its SR images. Such a value has neither interval nor test.
        crop: pixels cut from each side first, or ``scale`` for as many as the upscaling
            factor, rounded up.
        weights: a file that the function reads, which is part of what its values are kept by.

    Returns:
        An OwnMetric.

    Raises:
        SrevalError: a UsageError, for a value that makes no sense.

    Example:
        >>> import numpy as np, sreval
        >>> def error(hr, sr):
        ...     return np.abs(hr.astype(float) - sr).mean()
        >>> mae = sreval.metric(error, name="mae", better="lower", low=0, high=255, digits=2)
        >>> hr = np.full((32, 32), 100, np.uint8)
        >>> sreval.score(hr, hr + np.uint8(1), metrics=mae)["value"].tolist()
        [1.0]
    """
    from sreval.metrics.own import Declaration, OwnMetric, checked_name

    if name:
        checked_name(name)
    if not callable(function):
        raise UsageError(f"A metric can't be {kind_of(function)}.", "Give a function of HR and SR.")
    said = {
        "better": better,
        "low": low,
        "high": high,
        "digits": digits,
        "unit": unit,
        "reference": reference,
        "per": per,
        "crop": crop,
        "weights": weights,
    }
    return OwnMetric(function, Declaration.checked(said, "metric"), name)


def score(
    hr: Picture | None,
    sr: Picture,
    protocols: Sequence[str | Protocol] | str | Protocol = ("ledig2017",),
    metrics: Mapping[str, object] | Sequence[object] | str | Callable[..., Any] | OwnMetric = (
        "psnr",
        "ssim",
    ),
    scale: float = 4,
    *,
    device: str = "auto",
) -> pd.DataFrame:
    """All metrics of one image under all protocols: the values that a benchmark would write.

    Args:
        hr: the original, uint8 (H, W, 3) or (H, W), or the path of an image file; None where there
            is none, for metrics without a reference.
        sr: what is scored, of the same height and width, in either form.
        protocols: any of ``ledig2017``, ``matlab``, ``rgb``, or Protocols.
        metrics: as in ``benchmark``, those of whole data sets left out.
        scale: the upscaling factor.
        device: ``auto`` (a GPU where there is one), ``cpu`` or ``cuda``.

    Returns:
        A row for each protocol and metric, with the columns ``protocol``, ``metric``, ``value``
        and ``note``. A value that can't be computed is NaN, and its note says why.

    Raises:
        SrevalError: a ValueError, for arrays that are no images or differ in size, for an unknown
            protocol or metric, and for a metric that needs an original where there is none; a
            DataError where the weights of LPIPS's trunk are missing; an ImageError for a file that
            can't be read.

    Example:
        >>> import numpy as np, sreval
        >>> hr = np.full((32, 32), 100, np.uint8)
        >>> found = sreval.score(hr, hr, protocols=["matlab", "rgb"], metrics=["psnr"])
        >>> found["value"].tolist()
        [inf, inf]
    """
    import pandas as pd

    named = metrics if isinstance(metrics, Mapping) else as_list(metrics)
    under = list(dict.fromkeys(as_list(protocols)))
    for what, given in (("metrics", named), ("protocols", under)):
        if not given:
            raise UsageError(f"{what} is empty.", "Name one or several.")
    found = _scores(hr, sr, under, named, scale, device)
    rows = [(one.protocol, one.metric, one.value, one.note) for one in found]
    return pd.DataFrame(rows, columns=["protocol", "metric", "value", "note"])


def _value(
    hr: Picture,
    sr: Picture,
    protocol: str | Protocol,
    metric: str,
    scale: float,
    device: str = "cpu",
) -> float:
    """One score of one pair. Raises ArrayError with the reason where there is none."""
    (one,) = _scores(hr, sr, [protocol], [metric], scale, device)
    if math.isnan(one.value):
        raise ArrayError(one.note, one.remedy)
    return one.value


def _scores(
    hr: Picture | None,
    sr: Picture,
    protocols: Sequence[str | Protocol],
    metrics: object,
    scale: float,
    device: str,
) -> list[Score]:
    """All metrics of one pair under all protocols."""
    from sreval.devices import pick_device
    from sreval.images.scales import checked_scale
    from sreval.metrics import scorer
    from sreval.metrics.metric import LIBRARY, METRICS
    from sreval.metrics.protocol import Protocol, get_protocol

    keys, own = named_objects(metrics, "metric")
    # PSNR needs no torch, which would be loaded to find a device
    on = "cpu" if set(keys) == {"psnr"} else pick_device(device)
    under = [one if isinstance(one, Protocol) else get_protocol(str(one)) for one in protocols]
    asked: Sequence[Any] = list(dict.fromkeys(keys))
    # before weights are missed that are of no use
    _check_per_image([LIBRARY[key] for key in keys if key in LIBRARY and key not in own])
    if own or not set(keys) <= set(METRICS):
        from sreval.benchmarking.metrics import metrics_of

        asked = metrics_of(keys, on, own)
    _check_per_image([one for one in asked if not isinstance(one, str)])
    original, scored = None if hr is None else _pixels(hr), _pixels(sr)
    with _arrays():
        return scorer.Reference(original, checked_scale(scale), on).score(scored, under, asked)


def _pixels(picture: Picture) -> UInt8:
    """An array as it is, a file as a benchmark reads it. Raises UsageError or ImageError."""
    if not isinstance(picture, str | Path):
        if hasattr(picture, "__array__"):
            return picture
        raise ArrayError(
            f"An image can't be {kind_of(picture)}.",
            "Give an array, uint8 (H, W, 3) or (H, W), or the path of an image file.",
        )
    if picture == "":
        raise UsageError("No image file can be called ''.", "Give the path of one.")
    from sreval.content import user_path
    from sreval.images.io import read_image

    return read_image(user_path(picture)).pixels


def _check_per_image(metrics: Sequence[Metric]) -> None:
    """Raises UsageError for a metric of whole data sets."""
    for one in metrics:
        if one.per == "set":
            raise UsageError(
                f"{one.key} is of a whole data set, not of one pair of images.",
                "Compute it by sreval.benchmark.",
            )


@contextmanager
def _arrays() -> Iterator[None]:
    """What is said of image files is said of arrays, too, as the ValueError that it is there."""
    try:
        yield
    except ImageError as error:
        raise ArrayError(error.message, error.remedy) from None
