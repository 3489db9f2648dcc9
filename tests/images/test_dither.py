"""The dither table: the generator's known outputs, and a draw-by-draw version."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from sreval.images import dither
from sreval.images.dither import CHUNK, MODULI, DitherStream, Kiss99, dither_offsets, offsets_of


def kiss99() -> Iterator[int]:
    """Marsaglia's generator, one output at a time."""
    z, w, jsr, jcong = 362436069, 521288629, 123456789, 380116160
    mask = 0xFFFFFFFF
    while True:
        z = (36969 * (z & 65535) + (z >> 16)) & mask
        w = (18000 * (w & 65535) + (w >> 16)) & mask
        jsr ^= (jsr << 17) & mask
        jsr ^= jsr >> 13
        jsr ^= (jsr << 5) & mask
        jcong = (69069 * jcong + 1234567) & mask
        yield (((((z << 16) + w) & mask) ^ jcong) + jsr) & mask


def triples_one_by_one(blocks: int) -> list[list[list[int]]]:
    source = kiss99()

    def draw(modulus: int) -> int:
        bound = 0xFFFFFFFF // modulus * modulus
        return next(value for value in source if value < bound) % modulus

    return [[[draw(r) - draw(r) for r in MODULI] for _ in range(4)] for _ in range(blocks)]


def test_first_outputs_are_the_published_ones() -> None:
    assert Kiss99().take(3).tolist() == [769445856, 742012328, 2121196314]


def test_stretches_equal_one_output_at_a_time() -> None:
    generator, source = Kiss99(), kiss99()
    for count in (1, 2, 7, 1000, 65537):
        assert generator.take(count).tolist() == [next(source) for _ in range(count)]


def test_first_triples_are_the_published_ones() -> None:
    first = DitherStream().take(1)[0]
    assert first[0].tolist() == [27433528, -684424628, -547676870]
    assert first[1].tolist() == [662606395, 597007450, -273016341]


def test_stream_equals_draw_by_draw_however_it_is_cut() -> None:
    expected = triples_one_by_one(700)
    stream = DitherStream()
    assert np.concatenate([stream.take(n) for n in (1, 3, 196, 500)]).tolist() == expected


def test_offsets_equal_integer_rounding() -> None:
    triples = triples_one_by_one(200)
    offsets = offsets_of(np.array(triples, np.int64))

    def rounded(numerator: int, denominator: int) -> int:
        sign = -1 if numerator < 0 else 1
        return sign * ((abs(numerator) + denominator // 2) // denominator)

    for block, pixels in enumerate(triples):
        (_, cbd, crd) = pixels[0]
        for pixel, (yd, _, _) in enumerate(pixels):
            expected = [
                rounded(2 * yd + 3 * crd, 8176000),
                rounded(2384 * yd + 361 * cbd + 1063 * crd, 9745792000),
                rounded(2 * yd + 3 * cbd, 8176000),
            ]
            assert offsets[:, pixel, block].tolist() == expected


def test_table_is_kept_on_disk_and_a_damaged_part_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SREVAL_CACHE", str(tmp_path))
    dither._tables.clear()
    first = dither_offsets(CHUNK + 1).copy()
    parts = sorted(tmp_path.rglob("*.npy"))
    assert len(parts) == 2
    parts[1].write_bytes(b"broken")
    dither._tables.clear()
    assert np.array_equal(dither_offsets(CHUNK + 1), first)
    assert np.load(parts[1]).shape == (3, 4, CHUNK)
    dither._tables.clear()


def test_a_cache_that_cannot_be_written_costs_only_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    monkeypatch.setenv("SREVAL_CACHE", str(blocked))
    dither._tables.clear()
    assert dither_offsets(5).shape == (3, 4, 5)
    dither._tables.clear()


def test_beyond_its_end_the_table_is_refused() -> None:
    with pytest.raises(ValueError, match="ends at"):
        dither_offsets(dither.MAX_BLOCKS + 1)
