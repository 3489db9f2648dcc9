"""Blur kernels: Gaussian, generalized Gaussian, plateau-shaped, and the circular low-pass filter.

As in Wang et al. 2021 (Real-ESRGAN, arXiv:2107.10833), sections 3.1 and 3.3. Each is a square of
odd ``size``, centred, float64, of sum 1.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]


def gaussian(size: int, sigma: tuple[float, float], angle: float = 0.0) -> Float64:
    """exp(-d/2), d the squared Mahalanobis distance: ``sigma`` in pixels along the two axes.

    ``angle`` turns the first axis, in radians. With equal sigmas it is MATLAB's ``fspecial``.
    """
    return _normalised(np.exp(-0.5 * _distance(size, sigma, angle)))


def generalized(size: int, sigma: tuple[float, float], angle: float, beta: float) -> Float64:
    """exp(-d^beta/2): Wang et al. 2021, section 3.1, after Pascal et al. 2013."""
    return _normalised(np.exp(-0.5 * _distance(size, sigma, angle) ** beta))


def plateau(size: int, sigma: tuple[float, float], angle: float, beta: float) -> Float64:
    """1/(1 + d^beta): Wang et al. 2021, section 3.1."""
    return _normalised(1 / (1 + _distance(size, sigma, angle) ** beta))


def sinc(size: int, cutoff: float) -> Float64:
    """The circular ideal low-pass filter, ``cutoff`` in radians a pixel, at most pi.

    w J1(w r) / (2 pi r), J1 the Bessel function of the first kind: Wang et al. 2021, equation 6.
    """
    from scipy.special import j1

    radius = np.sqrt(_distance(size, (1.0, 1.0), 0.0))
    centre = radius == 0
    radius[centre] = 1
    kernel = cutoff * j1(cutoff * radius) / (2 * np.pi * radius)
    kernel[centre] = cutoff**2 / (4 * np.pi)
    return _normalised(kernel)


def _distance(size: int, sigma: tuple[float, float], angle: float) -> Float64:
    """The squared distance of each tap from the centre, in units of ``sigma``: (size, size)."""
    line = np.arange(size) - (size - 1) / 2
    x, y = line[None, :], line[:, None]
    along = x * np.cos(angle) + y * np.sin(angle)
    across = y * np.cos(angle) - x * np.sin(angle)
    return np.asarray((along / sigma[0]) ** 2 + (across / sigma[1]) ** 2, np.float64)


def _normalised(kernel: Float64) -> Float64:
    return np.asarray(kernel / kernel.sum(), np.float64)
