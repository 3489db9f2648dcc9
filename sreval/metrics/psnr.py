"""Peak signal-to-noise ratio."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from sreval.images.arrays import require_pair


def psnr(
    reference: npt.NDArray[np.generic],
    image: npt.NDArray[np.generic],
    data_range: float | None = None,
) -> float:
    """PSNR in dB of two planes or images of one shape, uint8 or floats of 0..255.

    10 log10(peak^2 N / SSE) over all N samples; identical images give inf. Images of 8 and 16
    bits are summed exactly. ``data_range`` is the peak of other arrays: 65535 for uint16, 1 for
    floats of 0..1. Raises ArrayError, a ValueError, for another shape, type or range.
    """
    peak = require_pair(reference, image, data_range)
    if {reference.dtype.type, image.dtype.type} <= {np.uint8, np.uint16}:
        difference = (reference.astype(np.int32) - image.astype(np.int32)).ravel()
        squared = float(np.einsum("i,i->", difference, difference, dtype=np.int64))
    else:
        error = (reference.astype(np.float64) - image.astype(np.float64)).ravel()
        squared = float(error @ error)
    if squared == 0:
        return math.inf
    return 10 * (math.log10(peak**2) + math.log10(reference.size) - math.log10(squared))
