"""Distances from a limit, and what of a PNG is zlib's."""

from __future__ import annotations

import io
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.limits import beside, distances, image_data


def test_times_the_limit_is_above_one_for_durations_and_rates() -> None:
    slow, few = beside("a", 3.0, 1.5, "s", "x"), beside("b", 50.0, 200.0, "MP/s", "y")
    assert (slow["times"], few["times"]) == (2, 4)
    page = distances([slow, few])
    assert "| a | 3 | 1.5 | s | 2 | x |" in page
    assert "| b | 50 | 200 | MP/s | 4 | y |" in page
    assert distances([]) == []


@pytest.mark.parametrize("shape", [(40, 30), (2000, 300, 3)])
def test_image_data_is_every_filtered_row(shape: tuple[int, ...], tmp_path: Path) -> None:
    # noise, so that the larger one takes several IDAT chunks
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    # a byte before each row names its filter (PNG specification, 9.2)
    rows = zlib.decompress(image_data(file.getvalue()))
    assert len(rows) == shape[0] + pixels.size
    assert set(rows[:: 1 + pixels[0].size]) <= set(range(5))
