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
Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Offsets = npt.NDArray[np.int16]

CHUNK = 1 << 16
"""Blocks in one file of the table on disk."""

MAX_BLOCKS = 64 * CHUNK
"""Longest table: images of up to 16.7 million pixels. Beyond it the table isn't made."""

_STRIP = 8192
"""2x2 blocks converted at once, few enough for the processor's cache."""

_TO_CHROMA = np.array(
    [
        np.array([-29764, -100128, 129892]) / 304016865,
        np.array([110236, -100128, -10108]) / 258011295,
    ]
)
_TO_LUMA = (np.array(WEIGHTS) * 219 / (5000 * 65535)).astype(np.float32)
_OF_CHROMA = np.array([[0, CR_TO_RED], [CB_TO_GREEN, CR_TO_GREEN], [CB_TO_BLUE, 0]]) / (2 * ONE)
_HALF_STEP = np.float32(STEP / (2 * ONE))
_HALF_WHITE = np.float32(65535 / 2)

_U32 = np.uint64(0xFFFFFFFF)
_DRAWS = 24
"""Numbers that a block's dither takes: two for each of three components of four pixels."""

_lock = threading.Lock()
_tables: list[Offsets] = []
"""The longest table loaded so far, if any."""


def luma(image: UInt8) -> UInt8:
    """As `daala.png2y4m_pixel_by_pixel`, of up to 4 * MAX_BLOCKS pixels; ValueError beyond.

    Whether a pixel's luma is the lower or the higher of two is asked in float32 first. It is told
    by the sign of a difference of errors, and all that float32 leaves out of that is bounded: the
    bounds stand where they are used. What lies within them, about one pixel in a hundred, is
    computed anew in whole numbers.
    """
    height, width = image.shape[:2]
    rows, columns = -(-height // 2), -(-width // 2)
    offsets = dither_offsets(rows * columns)
    if height % 2 or width % 2:
        image = np.pad(image, [(0, height % 2), (0, width % 2), (0, 0)][: image.ndim])
    # channel by pixel of the block by block
    blocks = image.reshape(rows, 2, columns, 2, -1).transpose(4, 1, 3, 0, 2)
    result = np.empty((4, rows * columns), np.uint8)
    step = min(rows, max(1, _STRIP // columns))
    space = np.empty((5, 3 * 4 * step * columns), np.float32)
    left = []
    for top in range(0, rows, step):
        strip = blocks[..., top : top + step, :]
        taken = slice(top * columns, top * columns + strip[0, 0, 0].size)
        samples, *scratch = space[:, : strip[0].size * 3].reshape(5, 3, 4, -1)
        samples[...] = strip.reshape(len(strip), 4, -1)
        samples *= 257
        samples += offsets[..., taken]
        # an odd edge repeats the last dithered pixel
        placed = samples.reshape(3, 4, -1, columns)
        if width % 2:
            placed[:, 1::2, :, -1] = placed[:, 0::2, :, -1]
        if height % 2 and top + step >= rows:
            placed[:, 2:, -1] = placed[:, :2, -1]
        chroma = _chroma(samples)
        pixels = np.flatnonzero(_strip_luma(samples, chroma, result[:, taken], scratch))
        place, block = np.divmod(pixels, samples.shape[2])
        left.append((place, block + taken.start, samples[:, place, block], chroma[:, block]))
    place, block, colours, chroma = (
        np.concatenate(parts, axis=-1) for parts in zip(*left, strict=True)
    )
    result[place, block] = 16 + _block_luma(colours.astype(np.int64), *chroma.astype(np.int64))
    plane = np.empty((rows, 2, columns, 2), np.uint8)
    for index, luma in enumerate(result.reshape(4, rows, columns)):
        plane[:, index // 2, :, index % 2] = luma
    return plane.reshape(2 * rows, 2 * columns)[:height, :width]


def _chroma(samples: Float32) -> Float64:
    """Cb and Cr of blocks, without their 128: whole numbers, (2, blocks).

    Sums of four samples are exact in float32. The divisors are odd, so a quotient lies at least
    1/(2 * 304016865) from a half, and float64 errs by less than 1e-12.
    """
    chroma: Float64 = _TO_CHROMA @ samples.sum(axis=1)
    return np.rint(chroma, out=chroma).clip(-128, 127, out=chroma)


def _strip_luma(
    samples: Float32, chroma: Float64, luma: UInt8, scratch: list[Float32]
) -> npt.NDArray[np.bool_]:
    """Write the luma of blocks, (4, blocks), and tell which pixels are left to be computed.

    `samples` are (3, 4, blocks), and so is each part of `scratch`, which is overwritten.
    """
    low_shown, high_shown, half, (estimate, low, total) = scratch
    # BT.709's luma, 16 added. The tool's estimate lies within 2e-6 of it, since chroma adds nothing
    # but what its four constants were cut off by; float32 adds 6 roundings of at most 239 / 2^24.
    np.matmul(_TO_LUMA, samples.reshape(3, -1), out=estimate.reshape(-1))
    estimate += 16
    np.floor(estimate, out=low)
    luma[...] = low
    estimate -= low
    estimate -= 0.5
    unsure: npt.NDArray[np.bool_] = np.abs(estimate, out=estimate) > 0.5 - 1e-4

    # What is shown with the lower luma and the next one, halved: clipped, yet not rounded.
    of_chroma = (_OF_CHROMA @ chroma).astype(np.float32)
    of_chroma -= 16 * _HALF_STEP
    low *= _HALF_STEP
    np.add(low, of_chroma[:, None], out=low_shown)
    np.add(low_shown, _HALF_STEP, out=high_shown)
    low_shown.clip(0, _HALF_WHITE, out=low_shown)
    high_shown.clip(0, _HALF_WHITE, out=high_shown)
    # A fourth of the difference of the squared errors is the sum over the channels of h (m - v),
    # h half the distance of the two and m the middle between them.
    np.subtract(high_shown, low_shown, out=half)
    middle = np.add(low_shown, high_shown, out=low_shown)
    middle -= samples
    np.add.reduce(np.multiply(half, middle, out=high_shown), axis=0, out=total)
    luma += total < 0

    # Rounding, the tool's to whole numbers and float32's, moves h by at most 0.531 and m - v by
    # 0.541: the sum by 0.531 |m - v| + 0.541 * 149.7 + 0.288 a channel. Below 2^31 = 46340^2 the
    # tool's errors, at most (|m - v| + 151)^2 a channel, don't leave their 32 bits.
    off = np.add.reduce(np.abs(middle, out=middle), axis=0, out=estimate)
    if off.max() > 45000:
        unsure |= off > 45000
    off *= 0.55
    off += 255
    sure = np.abs(total, out=total) > off
    if not total.all():
        # Where both are clipped alike in every channel, nothing is rounded: of two, the even.
        alike = ~half.any(axis=0)
        luma += alike.view(np.uint8) & luma
        sure |= alike
    unsure |= ~sure
    return unsure


def _block_luma(colours: Int64, cb: Int64, cr: Int64) -> Int64:
    """The luma less 16 of pixels, exactly: `colours` (3, pixels), the chroma of their blocks."""
    of_chroma = [CR_TO_RED * cr, CB_TO_GREEN * cb + CR_TO_GREEN * cr, CB_TO_BLUE * cb]
    weighted = sum(
        weight * ((colour * ONE - offset + 4096) >> 13)
        for weight, colour, offset in zip(WEIGHTS, colours, of_chroma, strict=True)
    )
    low = np.clip(np.floor(weighted / (5000 * STEP >> 13)), -16, 238).astype(np.int64)
    high = low + 1
    error_low, error_high = (_squared_error(y, colours, of_chroma) for y in (low, high))
    take_high = (error_high < error_low) | ((error_high == error_low) & (high % 2 == 0))
    luma: Int64 = np.where(take_high, high, low)
    return luma


def _squared_error(luma: Int64, colours: Int64, of_chroma: list[Int64]) -> npt.NDArray[np.int32]:
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
