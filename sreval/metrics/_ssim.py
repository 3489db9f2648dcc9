"""Windowed sums for SSIM, fast: what `metrics.ssim` defines, in the same order of its sums.

The windows separate into rows and columns. A pass along one axis is a product with a small banded
matrix, taken block by block, strip by strip so that a strip stays in the processor's cache: the
same few lines run at BLAS speed on a CPU and on a GPU, in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from sreval.devices import exact_fp32, one_thread

Plane = npt.NDArray[np.generic]
Kernel = npt.NDArray[np.float64]

_STRIP = 64
"""Output rows filtered at once on a CPU."""

_LEAST_STRIPS = 4
"""The fewest strips that are worth another thread."""

_BLOCK = 16
"""Outputs that one product with the banded matrix gives."""


def inside(
    reference: Plane,
    image: Plane,
    kernel: Kernel,
    constants: tuple[float, float],
    device: str | torch.device,
) -> float:
    """The mean of SSIM over the places where the window lies inside the planes.

    `kernel` sums to 1; `constants` are C1 and C2.
    """
    c1, c2 = constants

    def score(sums: _Sums) -> tuple[float, float]:
        mx, my, squares, products, _, _ = sums
        cross = mx * my
        means = (mx * mx).addcmul_(my, my)
        numerator = products.sub_(cross).mul_(2).add_(c2).mul_(cross.mul_(2).add_(c1))
        denominator = squares.sub_(means).add_(c2).mul_(means.add_(c1))
        return _total(numerator.div_(denominator)), numerator.numel()

    return _weighted_mean(reference, image, kernel, 0, device, score)


def everywhere(
    reference: Plane,
    image: Plane,
    kernel: Kernel,
    constants: tuple[float, float],
    device: str | torch.device,
) -> float:
    """The mean of SSIM over all places, each with the weight of the window's part inside.

    `kernel` sums to anything; exact in float64 where its taps are whole.
    """
    down, across = (_used_taps(length, kernel, device) for length in reference.shape)

    def score(sums: _Sums) -> tuple[float, float]:
        mx, my, squares, products, rows, columns = sums
        # all terms times the square of the window's weight, which then needs no division
        w = down[rows][:, None] * across[columns][:, None, :]
        w_squared = w * w
        c1, c2 = w_squared * constants[0], w_squared.mul_(constants[1])
        cross = mx * my
        means = (mx * mx).addcmul_(my, my)
        numerator = products.mul_(w).sub_(cross).mul_(2).add_(c2)
        denominator = squares.mul_(w).sub_(means).add_(c2).mul_(means.add_(c1))
        numerator.mul_(cross.mul_(2).add_(c1))
        return _total(numerator.div_(denominator).mul_(w)), _total(w)

    return _weighted_mean(reference, image, kernel, len(kernel) // 2, device, score)


def _used_taps(length: int, kernel: Kernel, device: str | torch.device) -> torch.Tensor:
    """For each position of a line, the sum of the taps that fall inside it."""
    used = np.convolve(np.ones(length), kernel)[len(kernel) // 2 :][:length]
    return torch.from_numpy(used).to(device)


class _Sums(NamedTuple):
    """Windowed sums over a group of column blocks, each (blocks, rows, columns of a block)."""

    mx: torch.Tensor
    my: torch.Tensor
    squares: torch.Tensor
    products: torch.Tensor
    rows: slice
    columns: torch.Tensor


def _weighted_mean(
    reference: Plane,
    image: Plane,
    kernel: Kernel,
    padding: int,
    device: str | torch.device,
    score: Callable[[_Sums], tuple[float, float]],
) -> float:
    """The mean over the picture of what ``score`` sums up over a part, with its weight.

    On a CPU the strips are shared out to as many threads as torch has; the result doesn't
    depend on their number, since the parts and the order of their sum stay the same.
    """
    x, y = (
        torch.from_numpy(np.require(p, requirements=["C", "W"])).to(device)
        for p in (reference, image)
    )
    out_rows = len(x) + 2 * padding - len(kernel) + 1
    strip = _STRIP if x.device.type == "cpu" else out_rows
    strips = [slice(top, min(top + strip, out_rows)) for top in range(0, out_rows, strip)]

    def work(share: list[slice]) -> list[tuple[float, float]]:
        return [score(sums) for sums in _window_sums(x, y, kernel, padding, share)]

    with exact_fp32(), one_thread() as threads:
        workers = max(1, min(threads, len(strips) // _LEAST_STRIPS))
        size = -(-len(strips) // workers)
        shares = [strips[start : start + size] for start in range(0, len(strips), size)]
        if workers == 1:
            parts = work(strips)
        else:
            with ThreadPoolExecutor(workers) as pool:
                parts = [part for done in pool.map(work, shares) for part in done]
    return sum(value for value, _ in parts) / sum(weight for _, weight in parts)


def _window_sums(
    x: torch.Tensor,
    y: torch.Tensor,
    kernel: Kernel,
    padding: int,
    strips: list[slice],
) -> Iterator[_Sums]:
    """Windowed x, y, x^2 + y^2 and x y, strip by strip; zeros beyond the border."""
    reach = len(kernel) - 1
    block = max(_BLOCK, reach)
    band = _band(kernel, block).to(x.device)
    width = x.shape[1] + 2 * padding
    columns = torch.arange(width - reach, device=x.device)
    tallest = max(rows.stop - rows.start for rows in strips)
    space = torch.zeros((4, tallest + reach, width), dtype=torch.float64, device=x.device)
    filtered = torch.empty((4 * tallest, width), dtype=torch.float64, device=x.device)
    for rows in strips:
        count = rows.stop - rows.start
        planes, lines = space[:, : count + reach], filtered[: 4 * count]
        _fill(planes, x, y, rows.start - padding, padding)
        for plane, target in zip(planes, lines.view(4, count, width), strict=True):
            _filter_rows(plane, band, block, reach, target)
        for start, blocks, size in _blocks(len(columns), block):
            pieces = lines.as_strided((blocks, 4 * count, size + reach), (block, width, 1), start)
            sums = torch.matmul(pieces, band[:size, : size + reach].t())
            mx, my, squares, products = sums.view(blocks, 4, count, size).unbind(1)
            group = columns[start : start + blocks * size].view(blocks, size)
            yield _Sums(mx, my, squares, products, rows, group)


def _fill(planes: torch.Tensor, x: torch.Tensor, y: torch.Tensor, first: int, padding: int) -> None:
    """Put x, y, x^2 + y^2, x y from row ``first`` on into (4, rows, width), zero outside."""
    rows = planes.shape[1]
    start, stop = max(first, 0), min(first + rows, len(x))
    planes[:, : start - first].zero_()
    planes[:, stop - first :].zero_()
    a, b, squares, products = planes[
        :, start - first : stop - first, padding : padding + x.shape[1]
    ]
    a.copy_(x[start:stop])
    b.copy_(y[start:stop])
    torch.mul(a, a, out=squares).addcmul_(b, b)
    torch.mul(a, b, out=products)


def _filter_rows(
    lines: torch.Tensor, band: torch.Tensor, block: int, reach: int, out: torch.Tensor
) -> None:
    """Correlate (rows, n) with the kernel along its first axis into ``out`` (rows - reach, n)."""
    length, width = out.shape
    for start, blocks, size in _blocks(length, block):
        pieces = lines.as_strided(
            (blocks, size + reach, width),
            (block * width, width, 1),
            lines.storage_offset() + start * width,
        )
        target = out[start : start + blocks * size].view(blocks, size, width)
        torch.matmul(band[:size, : size + reach], pieces, out=target)


def _blocks(length: int, block: int) -> Iterator[tuple[int, int, int]]:
    """A line as (start, number of blocks, block length): the whole blocks, then the rest."""
    whole, rest = divmod(length, block)
    if whole:
        yield 0, whole, block
    if rest:
        yield whole * block, 1, rest


def _total(values: torch.Tensor) -> float:
    """The sum of all values, on a CPU in an order that the number of threads doesn't change."""
    return float(values.numpy().sum() if values.device.type == "cpu" else values.sum())


def _band(kernel: Kernel, block: int) -> torch.Tensor:
    """The (block, block + taps - 1) matrix whose row i holds the kernel from column i on."""
    band = torch.zeros((block, block + len(kernel) - 1), dtype=torch.float64)
    for row in range(block):
        band[row, row : row + len(kernel)] = torch.from_numpy(kernel)
    return band
