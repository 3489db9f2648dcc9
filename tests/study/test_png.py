"""The versions of an image decode to their pixels and differ in nothing else that is seen."""

from __future__ import annotations

import io
import struct
import zlib

import imagecodecs
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from sreval.images.arrays import as_colour
from sreval.study.png import encode_versions

UInt8 = npt.NDArray[np.uint8]


def take_apart(png: bytes) -> list[tuple[bytes, bytes]]:
    """The chunks of a PNG file; its signature and every CRC are checked."""
    stream = io.BytesIO(png)
    assert stream.read(8) == bytes([137, 80, 78, 71, 13, 10, 26, 10])
    chunks = []
    while head := stream.read(8):
        length, kind = struct.unpack(">I4s", head)
        body = stream.read(length)
        assert struct.unpack(">I", stream.read(4))[0] == zlib.crc32(kind + body)
        chunks.append((kind, body))
    return chunks


def unfiltered(png: bytes) -> UInt8:
    """The pixels by the filters of PNG's clause 9, written out: a decoder of our own."""
    parts = dict(take_apart(png))
    width, height = struct.unpack(">II", parts[b"IHDR"][:8])
    data = np.frombuffer(zlib.decompress(parts[b"IDAT"]), np.uint8).reshape(height, -1)
    above = [0] * (3 * width)
    rows = []
    for line in data.astype(int).tolist():
        kind, row = line[0], line[1:]
        for x in range(len(row)):
            a, b = (row[x - 3] if x > 2 else 0), above[x]
            c = above[x - 3] if x > 2 else 0
            p = a + b - c
            nearest = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
            row[x] = (row[x] + (0, a, b, (a + b) // 2, nearest)[kind]) % 256
        rows.append(row)
        above = row
    return np.array(rows, dtype=np.uint8).reshape(height, width, 3)


@pytest.fixture
def versions(photograph: UInt8) -> list[UInt8]:
    noise = np.random.default_rng(0).integers(0, 256, photograph.shape, dtype=np.uint8)
    return [photograph, noise, np.zeros_like(photograph), photograph // 32 * 32]


def test_three_decoders_give_the_pixels(versions: list[UInt8]) -> None:
    for version, png in zip(versions, encode_versions(versions), strict=True):
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(png))), version)
        np.testing.assert_array_equal(imagecodecs.png_decode(png), version)
        np.testing.assert_array_equal(unfiltered(png), version)


def test_length_header_and_chunks_are_the_same(versions: list[UInt8]) -> None:
    files = encode_versions(versions)
    assert len({len(png) for png in files}) == 1
    assert len({png[:33] for png in files}) == 1
    kinds = {tuple(kind for kind, _ in take_apart(png)) for png in files}
    assert kinds == {(b"IHDR", b"IDAT", b"paDD", b"IEND")}
    assert len({len(zlib.compress(png)) for png in files}) > 1  # they do hold different pixels


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 5).flatmap(
        lambda n: st.lists(arrays(np.uint8, (n, 7, 3)), min_size=1, max_size=4)
    )
)
def test_any_pixels_come_back_at_one_length(versions: list[UInt8]) -> None:
    files = encode_versions(versions)
    assert len({len(png) for png in files}) == 1
    for version, png in zip(versions, files, strict=True):
        np.testing.assert_array_equal(imagecodecs.png_decode(png), version)


def test_large_images_have_one_idat_too() -> None:
    large = np.random.default_rng(1).integers(0, 256, (400, 400, 3), dtype=np.uint8)
    kinds = [kind for kind, _ in take_apart(encode_versions([large])[0])]
    assert kinds.count(b"IDAT") == 1


def test_padding_can_be_compressed_by_nothing_on_the_way(versions: list[UInt8]) -> None:
    padding = dict(take_apart(encode_versions(versions)[2]))[b"paDD"]
    assert len(padding) > 10_000
    assert len(zlib.compress(padding, 9)) >= len(padding)


def test_the_same_versions_give_the_same_files(versions: list[UInt8]) -> None:
    assert encode_versions(versions) == encode_versions([v.copy() for v in versions])


def test_grey_becomes_colour_with_three_equal_channels(photograph: UInt8) -> None:
    colour = as_colour(photograph[..., 0])
    assert colour.shape == photograph.shape
    assert all(np.array_equal(colour[..., c], photograph[..., 0]) for c in range(3))
    assert as_colour(photograph) is photograph
