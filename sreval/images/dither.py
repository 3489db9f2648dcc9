"""The dither of daala's png2y4m: KISS99 random numbers turned into one long table.

The tool dithers RGB before it converts to luma, with a generator it seeds anew for every
image; so the dither of a 2x2 block depends on the block's raster index alone, and one table
serves every image. Marsaglia's KISS99 ("Random numbers for C", sci.math 1999) adds a
multiply-with-carry pair, a shift register and a congruential generator.
"""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sreval import settings
from sreval.errors import DataError
from sreval.files import atomic_file
from sreval.images.resize import round_half_away

UInt64 = npt.NDArray[np.uint64]
Int64 = npt.NDArray[np.int64]

MODULI = (1223320001, 1479548744, 1255654970)
"""The ranges R of the three dither components yd, cbd and crd."""

CHUNK = 1 << 16
"""Blocks in one file of the table on disk."""

MAX_BLOCKS = 64 * CHUNK
"""Longest table: images of up to 16.7 million pixels. Beyond it the table isn't made."""

_U32 = np.uint64(0xFFFFFFFF)
_ACCEPT = tuple((0xFFFFFFFF // modulus) * modulus for modulus in MODULI)
_DRAWS = 24
_lock = threading.Lock()
_tables: list[npt.NDArray[np.int16]] = []
"""The longest table loaded so far, if any."""


class Kiss99:
    """The generator as a stream: ``take(n)`` gives the next n outputs at once.

    Every part is linear, so a whole stretch is reached by doubling: the second half of a
    stretch is the first half moved on by a known jump.
    """

    def __init__(self) -> None:
        self.z, self.w, self.jsr, self.jcong = 362436069, 521288629, 123456789, 380116160

    def take(self, count: int) -> UInt64:
        """The next ``count`` outputs, each 0 .. 2^32 - 1."""
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


class DitherStream:
    """The dither triples of block after block, in the tool's raster order."""

    def __init__(self) -> None:
        self._generator = Kiss99()
        self._left = np.empty(0, np.uint64)

    def take(self, blocks: int) -> Int64:
        """The next blocks: (blocks, 4, 3), pixel by pixel the triple yd, cbd, crd."""
        wanted = blocks * _DRAWS
        accepted = np.empty(0, np.intp)
        raw = self._left
        while True:
            kept = _accept(raw)
            if len(kept) >= wanted:
                accepted = kept[:wanted]
                break
            more = int((wanted - len(kept)) * 1.3) + 1024
            raw = np.concatenate([raw, self._generator.take(more)])
        values = raw[accepted]
        self._left = raw[int(accepted[-1]) + 1 :]
        pairs = values.astype(np.int64).reshape(blocks, 4, 3, 2)
        moduli = np.array(MODULI, np.int64)[:, None]
        pairs %= moduli
        return pairs[..., 0] - pairs[..., 1]


def _accept(raw: UInt64) -> npt.NDArray[np.intp]:
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
    bounds = np.repeat(np.array(_ACCEPT, np.uint64), 2)
    passes = columns[:, :, None] < bounds
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


def dither_offsets(blocks: int) -> npt.NDArray[np.int16]:
    """What the dither adds to each 16-bit sample: (3, 4, blocks), channel by pixel by block.

    Channels are R, G, B; pixels run top left, top right, bottom left, bottom right. The table
    is kept on disk in the cache folder, chunk by chunk, and in memory while it is in use.
    Raises ValueError above MAX_BLOCKS.
    """
    if blocks > MAX_BLOCKS:
        raise ValueError(f"{blocks} blocks; the dither table ends at {MAX_BLOCKS}")
    chunks = max(1, -(-blocks // CHUNK))
    with _lock:
        if _tables and _tables[0].shape[2] >= blocks:
            return _tables[0][:, :, :blocks]
        _tables[:] = [_load_table(chunks)]
        return _tables[0][:, :, :blocks]


def _load_table(chunks: int) -> npt.NDArray[np.int16]:
    folder = settings.cache_dir() / "dither-kiss99-v1"
    parts = []
    for index in range(chunks):
        part = _read_chunk(folder / f"{index:03}.npy")
        if part is None:
            parts += _make_chunks(folder, index, chunks)
            break
        parts.append(part)
    return np.concatenate(parts, axis=2)


def _read_chunk(path: Path) -> npt.NDArray[np.int16] | None:
    try:
        part: npt.NDArray[np.int16] = np.load(path)
    except (OSError, ValueError, EOFError):
        return None
    whole = part.shape == (3, 4, CHUNK) and part.dtype == np.int16
    return part if whole else None


def _make_chunks(folder: Path, first: int, end: int) -> list[npt.NDArray[np.int16]]:
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


def offsets_of(triples: Int64) -> npt.NDArray[np.int16]:
    """(blocks, 4, 3) dither triples as 16-bit RGB offsets (3, 4, blocks).

    Each pixel has its own yd; the four pixels of a block share the first one's cbd and crd.
    """
    yd = triples[:, :, 0].T
    cbd, crd = triples[:, 0, 1], triples[:, 0, 2]
    red = (2 * yd + 3 * crd) / 8176000
    green = (2384 * yd + 361 * cbd + 1063 * crd) / 9745792000
    blue = (2 * yd + 3 * cbd) / 8176000
    return round_half_away(np.stack([red, green, blue])).astype(np.int16)
