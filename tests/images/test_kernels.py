"""Kernels against SciPy's densities and Fourier transforms, and against their own symmetries."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from scipy.stats import multivariate_normal

from sreval.images import kernels

SIZES = some.integers(0, 12).map(lambda half: 2 * half + 1)
SIGMAS = some.floats(0.2, 8)
ANGLES = some.floats(-np.pi, np.pi)
BETAS = some.floats(0.5, 4)


@settings(deadline=None)
@given(SIZES, SIGMAS, SIGMAS, ANGLES)
def test_a_gaussian_kernel_is_the_normal_density_sampled(
    size: int, along: float, across: float, angle: float
) -> None:
    turned = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    density = multivariate_normal(cov=turned @ np.diag([along**2, across**2]) @ turned.T)
    half = size // 2
    expected = np.array(
        [[density.logpdf([x, y]) for x in range(-half, half + 1)] for y in range(-half, half + 1)]
    )
    expected = np.exp(expected - expected.max())
    found = kernels.gaussian(size, (along, across), angle)
    np.testing.assert_allclose(found, expected / expected.sum(), atol=1e-12)


def test_the_kernel_of_bd_is_matlab_s_fspecial() -> None:
    """fspecial('gaussian', 7, 1.6): MATLAB's formula, by hand for one tap."""
    line = [np.exp(-(x * x) / (2 * 1.6**2)) for x in range(-3, 4)]
    found = kernels.gaussian(7, (1.6, 1.6))
    assert found[0, 1] == pytest.approx(line[0] * line[1] / sum(line) ** 2, abs=1e-15)


@settings(deadline=None)
@given(SIZES, SIGMAS, SIGMAS, ANGLES)
def test_with_beta_1_a_generalized_kernel_is_gaussian(
    size: int, along: float, across: float, angle: float
) -> None:
    gaussian = kernels.gaussian(size, (along, across), angle)
    np.testing.assert_allclose(
        kernels.generalized(size, (along, across), angle, 1.0), gaussian, atol=1e-14
    )


@settings(deadline=None)
@given(SIZES, SIGMAS, SIGMAS, ANGLES, BETAS)
def test_kernels_have_the_sum_1_and_are_symmetric_about_the_centre(
    size: int, along: float, across: float, angle: float, beta: float
) -> None:
    for kernel in (
        kernels.gaussian(size, (along, across), angle),
        kernels.generalized(size, (along, across), angle, beta),
        kernels.plateau(size, (along, across), angle, beta),
        kernels.sinc(size, np.pi * min(1.0, beta / 4)),
    ):
        assert kernel.shape == (size, size)
        assert kernel.sum() == pytest.approx(1, abs=1e-12)
        np.testing.assert_allclose(kernel, kernel[::-1, ::-1], atol=1e-12)


@settings(deadline=None)
@given(SIZES, SIGMAS, BETAS)
def test_a_round_kernel_is_the_same_at_any_angle(size: int, sigma: float, beta: float) -> None:
    for shape in (kernels.generalized, kernels.plateau):
        first = shape(size, (sigma, sigma), 0.0, beta)
        np.testing.assert_allclose(first, shape(size, (sigma, sigma), 1.0, beta), atol=1e-12)
        np.testing.assert_allclose(first, first.T, atol=1e-12)


@pytest.mark.parametrize("cutoff", [np.pi / 5, np.pi / 3, np.pi / 2])
def test_a_large_sinc_kernel_passes_what_is_below_its_cutoff_alone(cutoff: float) -> None:
    response = np.abs(np.fft.fft2(kernels.sinc(301, cutoff)))
    frequency = np.abs(np.fft.fftfreq(301)) * 2 * np.pi
    radius = np.hypot(*np.meshgrid(frequency, frequency))
    np.testing.assert_allclose(response[radius < 0.8 * cutoff], 1, atol=0.06)
    np.testing.assert_allclose(response[radius > 1.2 * cutoff], 0, atol=0.06)
