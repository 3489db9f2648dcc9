"""The luma of daala's png2y4m, fast: what `images.daala` defines pixel by pixel.

The tool seeds its generator anew for every image, so the dither of a 2x2 block depends on the
block's place in raster order alone, and one table serves every image. All parts of the generator
are linear: a stretch of its numbers is made from the one before, moved on by a known jump.
"""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sreval import content
from sreval.errors import DataError
from sreval.files import atomic_file
from sreval.images.daala import (
    CB_TO_BLUE,
    CB_TO_GREEN,
    CR_TO_GREEN,
    CR_TO_RED,
    KISS99,
    MODULI,
    ONE,
    STEP,
    WEIGHTS,
)
from sreval.images.resize import round_half_away

UInt8 = npt.NDArray[np.uint8]
UInt64 = npt.NDArray[np.uint64]
Int64 = npt.NDArray[np.int64]
Offsets = npt.NDArray[np.int16]

CHUNK = 1 << 16
"""Blocks in one file of the table on disk."""

MAX_BLOCKS = 64 * CHUNK
"""Longest table: images of up to 16.7 million pixels. Beyond it the table isn't made."""

_STRIP = 4096
"""2x2 blocks converted at once, few enough for the processor's cache."""

_U32 = np.uint64(0xFFFFFFFF)
_DRAWS = 24
"""Numbers that a block's dither takes: two for each of three components of four pixels."""

_lock = threading.Lock()
_tables: list[Offsets] = []
"""The longest table loaded so far, if any."""


def luma(image: UInt8) -> UInt8:
    """As `daala.png2y4m_pixel_by_pixel`, of up to 4 * MAX_BLOCKS pixels; ValueError beyond."""
    height, width = image.shape[:2]
    rows, columns = -(-height // 2), -(-width // 2)
    offsets = dither_offsets(rows * columns).reshape(3, 4, rows, columns)
    result = np.empty((height, width), np.uint8)
    step = max(1, _STRIP // columns)
    for top in range(0, rows, step):
        strip = slice(2 * top, 2 * (top + step))
        result[strip] = _strip_luma(image[strip], offsets[:, :, top : top + step])
    return result


def _strip_luma(image: UInt8, offsets: Offsets) -> UInt8:
    rows, columns = offsets.shape[2:]
    colours = _dithered_blocks(image, offsets)
    cb, cr = _chroma(*(colour.sum(axis=0) for colour in colours))
    blocks = 16 + _block_luma(colours, cb, cr)
    # (pixel of the block, block row, block column) back to (row, column)
    plane = blocks.reshape(2, 2, rows, columns).transpose(2, 0, 3, 1).astype(np.uint8)
    return plane.reshape(2 * rows, 2 * columns)[: image.shape[0], : image.shape[1]]


def _dithered_blocks(image: UInt8, offsets: Offsets) -> list[Int64]:
    """Each channel as (4, rows, columns): the block's pixels, dithered, in raster order."""
    height, width = image.shape[:2]
    colour = np.broadcast_to(image[..., None], (*image.shape, 3)) if image.ndim == 2 else image
    rows, columns = offsets.shape[2:]
    channels = []
    for channel in range(3):
        wide = colour[..., channel].astype(np.int64) * 257
        padded = np.pad(wide, ((0, 2 * rows - height), (0, 2 * columns - width)))
        blocks = padded.reshape(rows, 2, columns, 2).transpose(1, 3, 0, 2).reshape(4, rows, columns)
        out = blocks + offsets[channel]
        # an odd edge repeats the last dithered pixel
        if width % 2:
            out[1::2, :, -1] = out[0::2, :, -1]
        if height % 2:
            out[2:, -1] = out[:2, -1]
        channels.append(out)
    return channels


def _chroma(red: Int64, green: Int64, blue: Int64) -> tuple[Int64, Int64]:
    cb = _divide(-29764 * red - 100128 * green + 129892 * blue, 304016865)
    cr = _divide(110236 * red - 100128 * green - 10108 * blue, 258011295)
    return np.clip(cb, -128, 127), np.clip(cr, -128, 127)


def _block_luma(colours: list[Int64], cb: Int64, cr: Int64) -> Int64:
    of_chroma = [CR_TO_RED * cr, CB_TO_GREEN * cb + CR_TO_GREEN * cr, CB_TO_BLUE * cb]
    weighted = sum(
        weight * ((colour * ONE - offset + 4096) >> 13)
        for weight, colour, offset in zip(WEIGHTS, colours, of_chroma, strict=True)
    )
    low = np.clip(np.floor(weighted / (5000 * STEP >> 13)), -16, 238).astype(np.int64)
    high = low + 1
    error_low, error_high = (_squared_error(y, colours, of_chroma) for y in (low, high))
    take_high = (error_high < error_low) | ((error_high == error_low) & (high % 2 == 0))
    return np.where(take_high, high, low)


def _squared_error(
    luma: Int64, colours: list[Int64], of_chroma: list[Int64]
) -> npt.NDArray[np.int32]:
    total = np.zeros(luma.shape, np.int32)
    scaled = STEP * luma
    for seen, offset in zip(colours, of_chroma, strict=True):
        shown = np.clip(_divide(scaled + offset, ONE), 0, 65535)
        difference = (shown - seen).astype(np.int32)
        # 32 bits, as in the tool, wrapping included
        total += difference * difference
    return total


def _divide(numerator: Int64, denominator: int) -> Int64:
    """numerator / denominator, rounded half away from zero.

    Exact although it divides in float64: the numerators stay below 2^53, and a quotient below
    2^17 is further from a wrong side (1/denominator > 1e-10) than float64 can err (2e-11).
    """
    return round_half_away(numerator / denominator).astype(np.int64)


def dither_offsets(blocks: int) -> Offsets:
    """What the dither adds to each 16-bit sample: (3, 4, blocks), channel by pixel by block.

    Channels are R, G, B; pixels run top left, top right, bottom left, bottom right. The table
    is kept on disk in the cache folder, chunk by chunk, and in memory while it is in use.
    Raises ValueError above MAX_BLOCKS.
    """
    if blocks > MAX_BLOCKS:
        raise ValueError(f"{blocks} blocks; the dither table ends at {MAX_BLOCKS}")
    with _lock:
        if not (_tables and _tables[0].shape[2] >= blocks):
            _tables[:] = [_load_table(max(1, -(-blocks // CHUNK)))]
        return _tables[0][:, :, :blocks]


def _load_table(chunks: int) -> Offsets:
    folder = content.cache_dir() / "dither-kiss99-v1"
    parts = []
    for index in range(chunks):
        part = _read_chunk(folder / f"{index:03}.npy")
        if part is None:
            parts += _make_chunks(folder, index, chunks)
            break
        parts.append(part)
    return np.concatenate(parts, axis=2)


def _read_chunk(path: Path) -> Offsets | None:
    try:
        part: Offsets = np.load(path)
    except (OSError, ValueError, EOFError):
        return None
    whole = part.shape == (3, 4, CHUNK) and part.dtype == np.int16
    return part if whole else None


def _make_chunks(folder: Path, first: int, end: int) -> list[Offsets]:
    stream = DitherStream()
    made = []
    for index in range(end):
        triples = stream.take(CHUNK)
        if index < first:
            continue
        part = offsets_of(triples)
        made.append(part)
        try:
            with atomic_file(folder / f"{index:03}.npy") as handle:
                np.save(handle, part)
        except DataError:
            continue  # a cache that can't be written costs time, not correctness
    return made


def offsets_of(triples: Int64) -> Offsets:
    """(blocks, 4, 3) dither triples as 16-bit RGB offsets (3, 4, blocks).

    Each pixel has its own yd; the four pixels of a block share the first one's cbd and crd.
    """
    yd = triples[:, :, 0].T
    cbd, crd = triples[:, 0, 1], triples[:, 0, 2]
    red = (2 * yd + 3 * crd) / 8176000
    green = (2384 * yd + 361 * cbd + 1063 * crd) / ONE
    blue = (2 * yd + 3 * cbd) / 8176000
    return round_half_away(np.stack([red, green, blue])).astype(np.int16)


class DitherStream:
    """The dither triples of block after block, in the tool's raster order."""

    def __init__(self) -> None:
        self._generator = Kiss99()
        self._left = np.empty(0, np.uint64)

    def take(self, blocks: int) -> Int64:
        """The next blocks: (blocks, 4, 3), pixel by pixel the triple yd, cbd, crd."""
        wanted = blocks * _DRAWS
        raw = self._left
        while len(kept := _accepted(raw)) < wanted:
            more = int((wanted - len(kept)) * 1.3) + 1024
            raw = np.concatenate([raw, self._generator.take(more)])
        kept = kept[:wanted]
        self._left = raw[int(kept[-1]) + 1 :]
        pairs = raw[kept].astype(np.int64).reshape(blocks, 4, 3, 2)
        pairs %= np.array(MODULI, np.int64)[:, None]
        return pairs[..., 0] - pairs[..., 1]


def _accepted(raw: UInt64) -> npt.NDArray[np.intp]:
    """Indices of the draws that are used; a draw is redrawn at or above its range's bound.

    Which bound holds depends on how many draws were accepted before, modulo 6. The stream is
    cut into about sqrt(n) pieces that are followed side by side from all six states at once;
    chaining the pieces then tells each one's true first state.
    """
    if not len(raw):
        return np.empty(0, np.intp)
    pieces = int(len(raw) ** 0.5) + 1
    length = -(-len(raw) // pieces)
    padded = np.full(pieces * length, _U32, np.uint64)
    padded[: len(raw)] = raw
    columns = np.ascontiguousarray(padded.reshape(pieces, length).T)
    accepted = [0xFFFFFFFF // modulus * modulus for modulus in MODULI]
    passes = columns[:, :, None] < np.repeat(np.array(accepted, np.uint64), 2)
    following = (np.arange(6, dtype=np.int8) + 1) % 6

    states = np.tile(np.arange(6, dtype=np.int8), (pieces, 1))
    rows = np.arange(pieces)
    for row in passes:
        states = np.where(np.take_along_axis(row, states, 1), following[states], states)
    first = np.zeros(pieces, np.int8)
    for piece in range(1, pieces):
        first[piece] = states[piece - 1, first[piece - 1]]

    used = np.empty((length, pieces), bool)
    state = first
    for step, row in enumerate(passes):
        used[step] = row[rows, state]
        state = np.where(used[step], following[state], state)
    return np.flatnonzero(used.T.ravel()[: len(raw)])


class Kiss99:
    """`daala.kiss99`, of which ``take(n)`` gives the next n numbers at once.

    A stretch is made by doubling: its second half is the first half moved on by a known jump.
    """

    def __init__(self) -> None:
        self.z, self.w, self.jsr, self.jcong = KISS99

    def take(self, count: int) -> UInt64:
        """The next ``count`` numbers, each 0 .. 2^32 - 1."""
        z = _multiply_with_carry(self.z, 36969, count)
        w = _multiply_with_carry(self.w, 18000, count)
        jsr = _shift_register(self.jsr, count)
        jcong = _congruential(self.jcong, count)
        self.z, self.w, self.jsr, self.jcong = int(z[-1]), int(w[-1]), int(jsr[-1]), int(jcong[-1])
        return (((((z << np.uint64(16)) + w) & _U32) ^ jcong) + jsr) & _U32


def _multiply_with_carry(state: int, a: int, count: int) -> UInt64:
    # x' = a (x mod 2^16) + x div 2^16 is multiplication by a modulo a 2^16 - 1.
    modulus = a * 65536 - 1
    out = np.empty(count, np.uint64)
    out[0] = a * (state & 65535) + (state >> 16)
    done = 1
    while done < count:
        step = min(done, count - done)
        out[done : done + step] = out[:step] * np.uint64(pow(a, done, modulus)) % np.uint64(modulus)
        done += step
    return out


def _congruential(state: int, count: int) -> UInt64:
    a, c = 69069, 1234567
    out = np.empty(count, np.uint64)
    out[0] = (a * state + c) & 0xFFFFFFFF
    done, jump_a, jump_c = 1, a, c
    while done < count:
        step = min(done, count - done)
        out[done : done + step] = (out[:step] * np.uint64(jump_a) + np.uint64(jump_c)) & _U32
        done += step
        jump_a, jump_c = jump_a * jump_a & 0xFFFFFFFF, (jump_a * jump_c + jump_c) & 0xFFFFFFFF
    return out


def _shift_register(state: int, count: int) -> UInt64:
    # Linear over GF(2): a jump is the image of each of the 32 single bits.
    out = np.empty(count, np.uint64)
    out[0] = _shift(np.array([state], np.uint64))[0]
    jump = _shift(np.uint64(1) << np.arange(32, dtype=np.uint64))
    done = 1
    while done < count:
        step = min(done, count - done)
        out[done : done + step] = _apply(jump, out[:step])
        done += step
        jump = _apply(jump, jump)
    return out


def _shift(x: UInt64) -> UInt64:
    x = x ^ (x << np.uint64(17)) & _U32
    x = x ^ (x >> np.uint64(13))
    return x ^ (x << np.uint64(5)) & _U32


def _apply(columns: UInt64, x: UInt64) -> UInt64:
    result = np.zeros_like(x)
    for byte in range(4):
        table = np.zeros(256, np.uint64)
        for bit in range(8):
            table[1 << bit : 2 << bit] = table[: 1 << bit] ^ columns[8 * byte + bit]
        result ^= table[(x >> np.uint64(8 * byte)) & np.uint64(255)]
    return result
