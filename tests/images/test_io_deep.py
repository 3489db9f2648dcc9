"""Samples of any number of bits keep their white, and nothing huge is decoded."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from PIL import Image

from sreval.errors import ImageError
from sreval.images.io import read_image

Array = npt.NDArray[Any]

HEIGHT, WIDTH = 5, 7


def tiff(samples: Array, bits: int, photometric: int, order: str = "<", *extra: Any) -> bytes:
    """A TIFF by the letter of the specification (TIFF 6.0): rows of packed samples, one strip."""
    height, width = samples.shape[:2]
    channels = 1 if samples.ndim == 2 else samples.shape[2]
    rows = []
    for row in samples.reshape(height, -1):
        text = "".join(f"{int(value):0{bits}b}" for value in row)
        text += "0" * (-len(text) % 8)
        rows.append(int(text, 2).to_bytes(len(text) // 8, "big"))
    strip = b"".join(rows)
    tags: dict[int, Sequence[int]] = {
        256: [width],
        257: [height],
        258: [bits] * channels,
        259: [1],
        262: [photometric],
        273: [8],
        277: [channels],
        278: [height],
        279: [len(strip)],
        **dict(extra),
    }
    start = 8 + len(strip) + len(strip) % 2
    values = start + 2 + 12 * len(tags) + 4
    entries, more = b"", b""
    for tag, numbers in sorted(tags.items()):
        data = struct.pack(f"{order}{len(numbers)}I", *numbers)
        if len(data) > 4:
            place, more = values + len(more), more + data
            data = struct.pack(f"{order}I", place)
        entries += struct.pack(f"{order}HHI", tag, 4, len(numbers)) + data
    header = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", start)
    directory = struct.pack(f"{order}H", len(tags)) + entries + struct.pack(f"{order}I", 0)
    return header + strip + b"\0" * (len(strip) % 2) + directory + more


def stretched(samples: Array, bits: int) -> Array:
    """v of 0..2^bits - 1 as the nearest v / (2^bits - 1) of the full range, half up."""
    full = 255 if bits <= 8 else 65535
    scaled: Array = np.floor(samples * (full / (2**bits - 1)) + 0.5)
    return scaled.astype(np.uint8 if bits <= 8 else np.uint16)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("channels", [0, 3], ids=["grey", "RGB"])
@pytest.mark.parametrize("bits", [2, 4, 6, 10, 12, 14])
def test_a_tiff_is_read_by_the_bits_of_its_samples(
    tmp_path: Path, bits: int, channels: int, order: str
) -> None:
    shape = (HEIGHT, WIDTH, channels) if channels else (HEIGHT, WIDTH)
    samples = np.random.default_rng(bits).integers(0, 2**bits, shape)
    samples[0, 0], samples[0, 1] = 0, 2**bits - 1
    path = tmp_path / "a.tif"
    path.write_bytes(tiff(samples, bits, 2 if channels else 1, order))
    pixels = read_image(path).samples
    np.testing.assert_array_equal(pixels, stretched(samples, bits))
    assert read_image(path).pixels.max() == 255
    assert read_image(path).pixels.min() == 0


@pytest.mark.parametrize("bits", [4, 6, 10, 12, 14])
def test_white_is_white_where_it_is_stored_as_zero(tmp_path: Path, bits: int) -> None:
    samples = np.random.default_rng(bits).integers(0, 2**bits, (HEIGHT, WIDTH))
    path = tmp_path / "a.tif"
    path.write_bytes(tiff(samples, bits, 0))
    np.testing.assert_array_equal(read_image(path).samples, stretched(2**bits - 1 - samples, bits))


def test_a_packed_tiff_is_turned_as_its_tag_says(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).integers(0, 4096, (HEIGHT, WIDTH))
    path = tmp_path / "a.tif"
    path.write_bytes(tiff(samples, 12, 1, "<", (274, [3])))
    np.testing.assert_array_equal(read_image(path).samples, stretched(samples[::-1, ::-1], 12))


@pytest.mark.parametrize("bits", [20, 24])
def test_bits_that_fit_no_type_are_named(tmp_path: Path, bits: int) -> None:
    samples = np.zeros((HEIGHT, WIDTH), int)
    path = tmp_path / "a.tif"
    path.write_bytes(tiff(samples, bits, 1))
    with pytest.raises(ImageError, match=rf"a\.tif holds .* of {bits} bits, 1 a pixel"):
        read_image(path)


@pytest.mark.parametrize("bits", [2, 4])
def test_a_png_of_few_bits_keeps_its_white(tmp_path: Path, bits: int) -> None:
    row = b"\0" + bytes([0b11111111, 0b00000000])
    width = 16 // bits
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", width, 1, bits, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(row)),
        (b"IEND", b""),
    ]
    chunks = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    ]
    path = tmp_path / "a.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    half = width // 2
    np.testing.assert_array_equal(read_image(path).pixels, [[255] * half + [0] * half])


def png_header(path: Path, width: int, height: int, bits: int, colour: int) -> None:
    """A PNG of that size without its pixels: to decode it is to find it damaged."""
    data = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    chunks = [(b"IHDR", data), (b"IDAT", zlib.compress(b""))]
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(part)) + kind + part + struct.pack(">I", zlib.crc32(kind + part))
            for kind, part in chunks
        )
    )


def test_a_deep_png_is_bounded_by_its_bytes_and_not_by_its_pixels(tmp_path: Path) -> None:
    path = tmp_path / "deep.png"
    png_header(path, 9400, 9400, 16, 6)
    assert (Image.MAX_IMAGE_PIXELS or 0) > 9400 * 9400
    with pytest.raises(ImageError, match=r"deep\.png takes 706,880,000 bytes, more"):
        read_image(path)
    png_header(path, 9400, 9400, 8, 2)
    with pytest.raises(ImageError, match="damaged or truncated"):
        read_image(path)


@pytest.mark.parametrize(
    ("bits", "tag", "value", "message"),
    [
        (16, 32997, 200_000_000, "takes 42,000,000,000 bytes"),
        (8, 32997, 200_000_000, "takes 21,000,000,000 bytes"),
        (16, 32997, 2, "holds 2 frames"),
        (8, 32997, 2, "holds 2 frames"),
    ],
)
def test_the_depth_of_a_tiff_counts(
    tmp_path: Path, bits: int, tag: int, value: int, message: str
) -> None:
    samples = np.zeros((HEIGHT, WIDTH, 3), int)
    path = tmp_path / "depth.tif"
    path.write_bytes(tiff(samples, bits, 2, "<", (tag, [value])))
    with pytest.raises(ImageError, match=rf"depth\.tif {message}"):
        read_image(path)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_huge_tile_of_a_small_tiff_is_not_made(tmp_path: Path, dtype: type) -> None:
    path = tmp_path / "tile.tif"
    tifffile.imwrite(path, np.zeros((16, 16, 3), dtype), photometric="rgb", tile=(16, 16))
    with tifffile.TiffFile(path, mode="r+") as opened:
        for name in ("TileWidth", "TileLength"):
            opened.pages.first.tags[name].overwrite(60_000)
    with pytest.raises(ImageError, match=r"tile\.tif takes [\d,]+ bytes, more"):
        read_image(path)


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    with path.open("wb") as handle:
        handle.truncate(2**29 + 1)
    with pytest.raises(
        ImageError, match="takes 536,870,913 bytes, more than the limit of 536,870,912"
    ):
        read_image(path)
