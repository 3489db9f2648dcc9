"""Peak signal-to-noise ratio."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt


def psnr(reference: npt.NDArray[np.generic], image: npt.NDArray[np.generic]) -> float:
    """PSNR in dB of two planes or images of one shape, for a peak of 255.

    10 log10(255^2 N / SSE) over all N samples; identical images give inf. Integer images are
    summed exactly. Raises ValueError on different shapes.
    """
    if reference.shape != image.shape:
        raise ValueError(f"shapes differ: {reference.shape} and {image.shape}")
    if np.issubdtype(reference.dtype, np.integer) and np.issubdtype(image.dtype, np.integer):
        difference = (reference.astype(np.int32) - image.astype(np.int32)).ravel()
        squared = float(np.einsum("i,i->", difference, difference, dtype=np.int64))
    else:
        error = (reference.astype(np.float64) - image.astype(np.float64)).ravel()
        squared = float(error @ error)
    if squared == 0:
        return math.inf
    return 10 * (math.log10(255**2) + math.log10(reference.size) - math.log10(squared))
