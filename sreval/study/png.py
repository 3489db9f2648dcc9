"""PNG files that tell no version of an image from another but by its pixels.

All versions have the same header, the same chunks in the same order and the same length; what
differs in length is hidden by a last chunk of padding (PNG, third edition, 5.3 and 5.4). Whoever
takes the file apart learns how well the pixels compress, which they learn from the pixels too.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from sreval.images.io import encode_png

UInt8 = npt.NDArray[np.uint8]

PADDING = b"paDD"
"""Ancillary, private, and not to be copied by a program that changes the image."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def encode_versions(versions: Sequence[UInt8]) -> list[bytes]:
    """Versions of one image, uint8 of one shape (H, W, 3), as PNG files of the same length.

    Each holds IHDR, one IDAT, the padding and IEND. The padding is made from the pixels, so that
    the same pixels in the same company give the same file, and nothing on the way compresses it.
    """
    compressed = [_compressed(version) for version in versions]
    longest = max(len(data) for _, data in compressed)
    return [
        _SIGNATURE
        + _chunk(b"IHDR", header)
        + _chunk(b"IDAT", data)
        + _chunk(PADDING, hashlib.shake_256(data).digest(longest - len(data)))
        + _chunk(b"IEND", b"")
        for header, data in compressed
    ]


def _compressed(image: UInt8) -> tuple[bytes, bytes]:
    """The header and the compressed pixels, which the encoder spreads over many chunks."""
    chunks = list(_chunks(encode_png(image)))
    header = next(body for kind, body in chunks if kind == b"IHDR")
    return header, b"".join(body for kind, body in chunks if kind == b"IDAT")


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(_SIGNATURE)
    while at < len(png):
        (length,) = struct.unpack_from(">I", png, at)
        yield png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        at += length + 12


def _chunk(kind: bytes, body: bytes) -> bytes:
    crc = zlib.crc32(body, zlib.crc32(kind))
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", crc)
