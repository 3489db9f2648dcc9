"""Carrying out a degradation: an HR image, a recipe and a scale give one LR image.

Random values come from NumPy's Philox, keyed with the SHA-256 of the recipe's seed, the scale and
the HR image's pixels: an image has one LR image, whatever its file is called, in whatever order
and by whatever process it is made. Arithmetic is in float64, samples are of 0..255.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from sreval.images import kernels
from sreval.images.arrays import require_image
from sreval.images.degradations import (
    Beyond,
    Bicubic,
    Blur,
    Degradation,
    Jpeg,
    Kernel,
    Mode,
    Noise,
    Resize,
    Sharpen,
    Shuffle,
    Sinc,
    Step,
    Subsample,
)
from sreval.images.resize import imresize, require_lr_size, round_half_away, weighted
from sreval.images.scales import checked_scale

UInt8 = npt.NDArray[np.uint8]
Float64 = npt.NDArray[np.float64]
Samples = npt.NDArray[np.generic]
Drawn = list[dict[str, Any]]
Name = TypeVar("Name", bound=str)

_BEYOND: dict[Beyond, Literal["edge", "symmetric", "reflect"]] = {
    "replicate": "edge",
    "symmetric": "symmetric",
    "reflect": "reflect",
}
"""Our names of borders, and NumPy's."""

_LUMA = np.array([0.2989, 0.587, 0.114])
"""BT.601 as torchvision's rgb_to_grayscale has it, which Real-ESRGAN's grey noise uses."""


def degrade(hr: UInt8, recipe: Degradation, scale: float) -> tuple[UInt8, Drawn]:
    """The LR image, (H, W[, 3]) uint8 to (H/scale, W/scale[, 3]) uint8, and what was drawn for it.

    What was drawn is a dictionary for each step that was taken. Raises ArrayError for another type
    or shape, UsageError for a scale that is invalid or not one of the recipe's, ImageError when a
    side must be cropped first (see ``images.scales``).
    """
    require_image(hr, "hr")
    scale = checked_scale(scale)
    recipe.require_scale(scale)
    low = require_lr_size(hr, scale)
    rng = generator(hr, recipe.seed, scale)
    drawn: Drawn = []
    image: Samples = hr if recipe.rounding == "each" else hr.astype(np.float64)
    for step in _in_order(recipe.steps, rng, drawn):
        image = _taken(step, image, scale, low, rng, drawn)
        if recipe.rounding == "each":
            image = as_8_bit(image)
    return as_8_bit(image), drawn


def generator(hr: UInt8, seed: int, scale: float) -> np.random.Generator:
    """The generator of one image's random values."""
    digest = hashlib.sha256(f"{seed} {scale} {pixels_sha256(hr)}".encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "big")))


def pixels_sha256(image: UInt8) -> str:
    """The SHA-256 of an image's shape and pixels, whatever file they came from."""
    digest = hashlib.sha256(json.dumps(image.shape).encode())
    digest.update(np.ascontiguousarray(image).tobytes())
    return digest.hexdigest()


def as_8_bit(image: Samples) -> UInt8:
    """Samples of 0..255 as uint8: rounded half away from zero, clipped."""
    if image.dtype == np.uint8:
        return image.astype(np.uint8, copy=False)
    return np.clip(round_half_away(image.astype(np.float64)), 0, 255).astype(np.uint8)


def _in_order(steps: Iterable[Step], rng: np.random.Generator, drawn: Drawn) -> Iterable[Any]:
    """The steps, those of a shuffle in the order that is drawn when it is reached."""
    for step in steps:
        if isinstance(step, Shuffle):
            order = [int(place) for place in rng.permutation(len(step.groups))]
            drawn.append({"step": "shuffle", "order": order})
            for place in order:
                yield from step.groups[place]
        else:
            yield step


def _taken(
    step: Any,
    image: Samples,
    scale: float,
    low: tuple[int, int],
    rng: np.random.Generator,
    drawn: Drawn,
) -> Samples:
    """The image after one step."""
    match step:
        case Bicubic():
            return imresize(image, size=low, border=step.border)
        case Subsample():
            every = int(scale)
            first = every // 2 if step.first == "centre" else 0
            return np.ascontiguousarray(image[first::every, first::every])
        case Blur() | Sinc():
            if step.probability < 1 and rng.uniform() >= step.probability:
                return image
            kernel, of_kernel = (
                draw_kernel(step, rng) if isinstance(step, Blur) else draw_sinc(step, rng)
            )
            drawn.append({"step": step.step, **of_kernel})
            return convolve(image, kernel, step.border)
        case Sharpen():
            return sharpen(image, step.size, step.sigma, step.weight, step.threshold)
        case Resize():
            direction = pick(step.directions, rng)
            lowest, highest = step.range
            bounds = {"up": (1.0, highest), "down": (lowest, 1.0)}
            factor = amount(bounds.get(direction, 1.0), rng)
            mode = pick(dict.fromkeys(step.modes, 1.0), rng)
            sides = image.shape[:2] if step.of == "image" else low
            size = (max(1, int(sides[0] * factor)), max(1, int(sides[1] * factor)))
            drawn.append({"step": "resize", "mode": mode, "factor": factor, "size": list(size)})
            return resize(image, size, mode, factor if step.of == "image" else None)
        case Noise():
            noisy, of_noise = add_noise(image.astype(np.float64), step, rng)
            drawn.append({"step": "noise", **of_noise})
            return noisy
        case Jpeg():
            quality = whole(step.quality, rng)
            drawn.append({"step": "jpeg", "quality": quality})
            return jpeg(as_8_bit(image), quality)
    raise TypeError(f"no such step: {step!r}")


def amount(value: float | tuple[float, float], rng: np.random.Generator) -> float:
    """A number as it is; of a range, one drawn uniformly."""
    return float(rng.uniform(*value)) if isinstance(value, tuple) else float(value)


def whole(value: int | tuple[int, int], rng: np.random.Generator, step: int = 1) -> int:
    """A whole number as it is; of a range, each ``step``-th number is equally probable."""
    if not isinstance(value, tuple):
        return value
    count = (value[1] - value[0]) // step + 1
    return value[0] + step * min(int(rng.uniform() * count), count - 1)


def pick(weights: Mapping[Name, float], rng: np.random.Generator) -> Name:
    """A name drawn by its weight; nothing is drawn where but one has any."""
    names = [name for name, weight in weights.items() if weight > 0]
    if len(names) == 1:
        return names[0]
    bounds = np.cumsum([weights[name] for name in names])
    place = int(np.searchsorted(bounds, rng.uniform() * bounds[-1], side="right"))
    return names[min(place, len(names) - 1)]


def draw_kernel(step: Blur, rng: np.random.Generator) -> tuple[Float64, dict[str, Any]]:
    """A kernel of a blur, and what was drawn for it."""
    size = whole(step.size, rng, 2)
    if step.sinc and rng.uniform() < step.sinc:
        # Real-ESRGAN's data set class, realesrgan_dataset.py: small kernels keep more
        cutoff = amount((1 / 3 if size < 13 else 1 / 5, 1.0), rng)
        return kernels.sinc(size, cutoff * np.pi), {"kind": "sinc", "size": size, "cutoff": cutoff}
    kind = pick(step.kinds, rng)
    return draw_of_kind(step, kind, size, rng)


def draw_sinc(step: Sinc, rng: np.random.Generator) -> tuple[Float64, dict[str, Any]]:
    """A kernel of a sinc filter, and what was drawn for it."""
    size, cutoff = whole(step.size, rng, 2), amount(step.cutoff, rng)
    return kernels.sinc(size, cutoff * np.pi), {"size": size, "cutoff": cutoff}


def draw_of_kind(
    step: Blur, kind: Kernel, size: int, rng: np.random.Generator
) -> tuple[Float64, dict[str, Any]]:
    """Sigma, sigma across, angle and beta are drawn in this order, as basicsr draws them."""
    sigma, angle = (amount(step.sigma, rng),) * 2, 0.0
    if kind.endswith("aniso"):
        sigma, angle = (sigma[0], amount(step.sigma, rng)), amount((-np.pi, np.pi), rng)
    drawn: dict[str, Any] = {"kind": kind, "size": size, "sigma": list(sigma), "angle": angle}
    if kind in ("iso", "aniso"):
        return kernels.gaussian(size, sigma, angle), drawn
    shape, (lowest, highest) = (
        (kernels.generalized, step.generalized)
        if kind.startswith("generalized")
        else (kernels.plateau, step.plateau)
    )
    beta = amount((lowest, 1.0) if rng.uniform() < 0.5 else (1.0, highest), rng)
    return shape(size, sigma, angle, beta), {**drawn, "beta": beta}


def convolve(image: Samples, kernel: Float64, border: Beyond) -> Float64:
    """Each channel correlated with ``kernel``, (H, W[, C]) to float64 of that shape."""
    from scipy.ndimage import correlate

    over = kernel if image.ndim == 2 else kernel[..., None]
    return _inside(correlate(_padded(image, len(kernel), border), over), len(kernel))


def _padded(image: Samples, size: int, border: Beyond) -> Float64:
    """What a kernel of ``size`` sees; SciPy's own borders err where images are smaller than it."""
    wide = [(size // 2, size // 2)] * 2 + [(0, 0)] * (image.ndim - 2)
    return np.asarray(np.pad(image.astype(np.float64), wide, _BEYOND[border]), np.float64)


def _inside(padded: npt.NDArray[Any], size: int) -> Float64:
    """The image that was padded for a kernel of ``size``."""
    half = size // 2
    rows, columns = (slice(half, length - half) for length in padded.shape[:2])
    return np.ascontiguousarray(padded[rows, columns], np.float64)


def sharpen(image: Samples, size: int, sigma: float, weight: float, threshold: float) -> Float64:
    """Unsharp masking, (H, W[, C]) of 0..255 to float64: basicsr's ``usm_sharp``.

    ``weight`` times what a Gaussian takes away is added, clipped, where that is more than
    ``threshold``; the mask, blurred as well, fades one into the other.
    """
    from scipy.ndimage import correlate1d

    line = kernels.gaussian(size, (sigma, sigma)).sum(axis=0)

    def blurred(of: Float64) -> Float64:
        wide = _padded(of, size, "reflect")
        return _inside(correlate1d(correlate1d(wide, line, axis=0), line, axis=1), size)

    source = image.astype(np.float64)
    residual = source - blurred(source)
    mask = blurred((np.abs(residual) > threshold).astype(np.float64))
    sharp = np.clip(source + weight * residual, 0, 255)
    return np.asarray(mask * sharp + (1 - mask) * source, np.float64)


def resize(
    image: Samples, size: tuple[int, int], mode: Mode, factor: float | None = None
) -> Float64:
    """PyTorch's ``interpolate`` without antialiasing, (H, W[, C]) to ``size`` = (height, width).

    ``factor``: by which positions are reckoned; without it, by the ratio of the sizes. As there,
    pixels are areas (``align_corners=False``), and the last pixel stands beyond the edge.
    """
    out: Samples = image.astype(np.float64)
    for axis in (0, 1):
        indices, weights = _taps(image.shape[axis], size[axis], mode, factor)
        out = weighted(out, axis, indices, weights)
    return out.astype(np.float64, copy=False)


def _taps(
    in_length: int, out_length: int, mode: Mode, factor: float | None
) -> tuple[npt.NDArray[np.intp], Float64]:
    """Source indices and weights (out_length, taps) of each sample of a resized line."""
    places = np.arange(out_length)
    if mode == "area":
        first = places * in_length // out_length
        end = -(-(places + 1) * in_length // out_length)
        indices = first[:, None] + np.arange((end - first).max())
        inside = indices < end[:, None]
        weights = inside / (end - first)[:, None]
        return np.minimum(indices, in_length - 1), np.asarray(weights, np.float64)
    centre = (places + 0.5) * (1 / factor if factor else in_length / out_length) - 0.5
    if mode == "bilinear":
        # PyTorch on a processor leaves an axis of the same length as it is, for this mode alone
        centre = np.maximum(centre if in_length != out_length else places, 0)
    left = np.floor(centre)
    distance = np.abs(
        (centre - left)[:, None] - (np.arange(2) if mode == "bilinear" else np.arange(-1, 3))
    )
    indices = left[:, None] + (np.arange(2) if mode == "bilinear" else np.arange(-1, 3))
    weights = 1 - distance if mode == "bilinear" else _keys(distance, -0.75)
    return np.clip(indices, 0, in_length - 1).astype(np.intp), np.asarray(weights, np.float64)


def _keys(x: Float64, a: float) -> Float64:
    """Keys' cubic kernel at distances up to 2: Keys 1981, equation 4."""
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.where(x <= 1, near, far)


def add_noise(
    image: Float64, step: Noise, rng: np.random.Generator
) -> tuple[Float64, dict[str, Any]]:
    """Noise on samples of 0..255, clipped; and what was drawn, but for the noise itself."""
    kind = pick({"gaussian": step.gaussian, "poisson": 1 - step.gaussian}, rng)
    level = step.sigma if kind == "gaussian" else step.poisson
    assert level is not None
    drawn_level = amount(level, rng)
    grey = image.ndim == 3 and step.grey > 0 and bool(rng.uniform() < step.grey)
    noise = (
        gaussian_noise(image, drawn_level, grey, rng)
        if kind == "gaussian"
        else poisson_noise(image, drawn_level, grey, rng)
    )
    drawn = {"kind": kind, "level": drawn_level, "grey": grey}
    return np.clip(image + noise, 0, 255), drawn


def gaussian_noise(image: Float64, sigma: float, grey: bool, rng: np.random.Generator) -> Float64:
    """Noise of standard deviation ``sigma``; grey: (H, W, 1), one for all channels."""
    shape = (*image.shape[:2], 1) if grey else image.shape
    return np.asarray(rng.standard_normal(shape) * sigma, np.float64)


def poisson_noise(image: Float64, scale: float, grey: bool, rng: np.random.Generator) -> Float64:
    """``scale`` times what photon counts add to samples of 0..255, rounded to 8 bits.

    White is as many photons as the image has values, rounded up to a power of two: as basicsr and
    scikit-image's ``random_noise`` reckon. Grey: (H, W, 1), that of the luma, for all channels.
    """
    source = (image @ _LUMA)[..., None] if grey else image
    source = np.clip(np.rint(source), 0, 255) / 255
    photons = 2 ** np.ceil(np.log2(len(np.unique(source))))
    counted = rng.poisson(source * photons) / photons
    return np.asarray((counted - source) * (255 * scale), np.float64)


def jpeg(image: UInt8, quality: int) -> UInt8:
    """An image after Pillow's JPEG encoder and decoder: libjpeg, 4:2:0 chroma."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality, subsampling="4:2:0")
    with Image.open(buffer) as decoded:
        return np.asarray(decoded).copy()
