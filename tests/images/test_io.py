"""Every kind of image file a user may have: read exactly, or refused in one sentence."""

from __future__ import annotations

import io
import struct
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from PIL import ExifTags, Image

from sreval.errors import DataError, ImageError
from sreval.images import io as images_io
from sreval.images.io import decode_image, read_image, write_png

Array = npt.NDArray[Any]

_GENERATOR = np.random.default_rng(2017)
RGBA16: Array = _GENERATOR.integers(0, 65536, (7, 9, 4), dtype=np.uint16)
RGB8: Array = _GENERATOR.integers(0, 256, (7, 9, 3), dtype=np.uint8)
GREY8: Array = RGB8[..., 0]


def narrowed(samples: Array) -> Array:
    """16 bits to 8 by round(v / 257), which maps 65535 to 255 and every v * 257 to v."""
    return np.floor(samples / 257 + 0.5).astype(np.uint8)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png16(samples: Array, *extra: bytes) -> bytes:
    """A 16-bit PNG by the letter of the specification, no library between."""
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[1 if samples.ndim == 2 else samples.shape[2]]
    height, width = samples.shape[:2]
    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in samples)
    header = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)
    chunks = (chunk(b"IHDR", header), *extra, chunk(b"IDAT", zlib.compress(lines)))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks) + chunk(b"IEND", b"")


def turned(image: Array, orientation: int) -> Array:
    """How an image of that EXIF orientation is to be seen (TIFF 6.0, tag 274)."""
    turns = {
        1: image,
        2: np.fliplr(image),
        3: np.rot90(image, 2),
        4: np.flipud(image),
        5: np.rot90(np.fliplr(image), 1),
        6: np.rot90(image, -1),
        7: np.rot90(np.fliplr(image), -1),
        8: np.rot90(image, 1),
    }
    return turns[orientation]


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[ExifTags.Base.Orientation] = orientation
    return tags


def assert_reads(path: Path, expected: Array) -> None:
    image = read_image(path).pixels
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous
    np.testing.assert_array_equal(image, expected)


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "a.TIFF", "a.webp"])
@pytest.mark.parametrize("pixels", [RGB8, GREY8], ids=["colour", "grey"])
def test_lossless_8_bit_files_give_back_every_pixel(
    tmp_path: Path, name: str, pixels: Array
) -> None:
    Image.fromarray(pixels).save(tmp_path / name, lossless=True)
    grey_webp_is_rgb = name == "a.webp" and pixels.ndim == 2
    assert_reads(
        tmp_path / name, np.repeat(pixels[..., None], 3, 2) if grey_webp_is_rgb else pixels
    )


@pytest.mark.parametrize("pixels", [RGB8, GREY8], ids=["colour", "grey"])
def test_a_jpeg_is_read_as_pillow_decodes_it(tmp_path: Path, pixels: Array) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(pixels).save(path, quality=90)
    with Image.open(path) as image:
        assert_reads(path, np.asarray(image))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_is_turned_at_every_depth(tmp_path: Path, orientation: int) -> None:
    jpeg, png, tiff = tmp_path / "a.jpg", tmp_path / "a.png", tmp_path / "a.tif"
    Image.fromarray(RGB8).save(jpeg, quality=95)
    with Image.open(jpeg) as plain:
        expected = turned(np.asarray(plain), orientation)
    Image.fromarray(RGB8).save(jpeg, quality=95, exif=exif(orientation))
    assert_reads(jpeg, expected)

    block = exif(orientation).tobytes().removeprefix(b"Exif\0\0")
    png.write_bytes(png16(RGBA16, chunk(b"eXIf", block)))
    assert_reads(png, turned(narrowed(RGBA16[..., :3]), orientation))

    tag = [(274, 3, 1, orientation, True)]
    for samples in (RGBA16[..., :3], RGBA16[..., 0]):
        kind = "rgb" if samples.ndim == 3 else "minisblack"
        tifffile.imwrite(tiff, samples, photometric=kind, extratags=tag)
        assert_reads(tiff, turned(narrowed(samples), orientation))


@pytest.mark.parametrize("channels", [0, 2, 3, 4], ids=["grey", "grey+alpha", "RGB", "RGBA"])
def test_a_16_bit_png_keeps_all_its_bits_until_it_is_rounded(tmp_path: Path, channels: int) -> None:
    samples = RGBA16[..., :channels] if channels else RGBA16[..., 0]
    path = tmp_path / "a.png"
    path.write_bytes(png16(samples))
    np.testing.assert_array_equal(read_image(path).samples, samples)
    seen = {0: samples, 2: samples[..., 0], 3: samples, 4: samples[..., :3]}[channels]
    assert_reads(path, narrowed(seen))


def test_16_bits_widened_from_8_come_back_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png16(RGB8.astype(np.uint16) * 257))
    assert_reads(path, RGB8)


TIFF16: dict[str, tuple[dict[str, Any], Array, Array]] = {
    "RGB": ({"photometric": "rgb"}, RGBA16[..., :3], RGBA16[..., :3]),
    "RGB, big-endian": (
        {"photometric": "rgb", "byteorder": ">"},
        RGBA16[..., :3],
        RGBA16[..., :3],
    ),
    "RGBA": (
        {"photometric": "rgb", "extrasamples": ["unassalpha"]},
        RGBA16,
        RGBA16[..., :3],
    ),
    "RGB, plane by plane": (
        {"photometric": "rgb", "planarconfig": "separate"},
        RGBA16[..., :3].transpose(2, 0, 1),
        RGBA16[..., :3],
    ),
    "RGB, LZW with predictor": (
        {"photometric": "rgb", "compression": "lzw", "predictor": True},
        RGBA16[..., :3],
        RGBA16[..., :3],
    ),
    "grey": ({"photometric": "minisblack"}, RGBA16[..., 0], RGBA16[..., 0]),
    "grey, big-endian": (
        {"photometric": "minisblack", "byteorder": ">"},
        RGBA16[..., 0],
        RGBA16[..., 0],
    ),
    "grey, white is zero": (
        {"photometric": "miniswhite"},
        RGBA16[..., 0],
        65535 - RGBA16[..., 0],
    ),
    "grey and alpha": (
        {"photometric": "minisblack", "extrasamples": ["unassalpha"], "planarconfig": "contig"},
        RGBA16[..., :2],
        RGBA16[..., 0],
    ),
}


@pytest.mark.parametrize("kind", TIFF16)
def test_a_16_bit_tiff_of_any_layout_is_read_right(tmp_path: Path, kind: str) -> None:
    options, stored, seen = TIFF16[kind]
    tifffile.imwrite(tmp_path / "a.tif", stored, **options)
    assert_reads(tmp_path / "a.tif", narrowed(seen))


def test_a_palette_becomes_its_colours(tmp_path: Path) -> None:
    image = Image.fromarray(RGB8).quantize(16)
    image.save(tmp_path / "plain.png")
    image.save(tmp_path / "seen-through.png", transparency=3)
    image.save(tmp_path / "plain.bmp")
    for name in ("plain.png", "seen-through.png", "plain.bmp"):
        assert_reads(tmp_path / name, np.asarray(image.convert("RGB")))


def test_alpha_is_dropped_and_not_blended(tmp_path: Path) -> None:
    rgba = np.dstack([RGB8, GREY8])
    grey_alpha = np.dstack([GREY8, RGB8[..., 1]])
    for suffix in ("png", "tif"):
        Image.fromarray(rgba).save(tmp_path / f"rgba.{suffix}")
        assert_reads(tmp_path / f"rgba.{suffix}", RGB8)
        Image.fromarray(grey_alpha).save(tmp_path / f"la.{suffix}")
        assert_reads(tmp_path / f"la.{suffix}", GREY8)


@pytest.mark.parametrize("samples", [RGBA16[..., :3], RGBA16[..., 0]], ids=["colour", "grey"])
def test_one_transparent_colour_of_16_bits_becomes_alpha(tmp_path: Path, samples: Array) -> None:
    key = samples[1, 2]
    png = png16(samples, chunk(b"tRNS", np.atleast_1d(key).astype(">u2").tobytes()))
    (tmp_path / "keyed.png").write_bytes(png)
    pixels = read_image(tmp_path / "keyed.png").samples
    opaque = pixels[..., -1]
    assert pixels.dtype == np.uint16
    assert opaque[1, 2] == 0
    for y, x in np.ndindex(opaque.shape):
        assert opaque[y, x] == (0 if np.array_equal(samples[y, x], key) else 65535)
    colour = pixels[..., :-1]
    np.testing.assert_array_equal(colour if samples.ndim == 3 else colour[..., 0], samples)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    for index, pixels in enumerate((RGB8, GREY8, RGBA16[..., 0])):
        write_png(tmp_path / f"{index}.png", pixels)
        np.testing.assert_array_equal(read_image(tmp_path / f"{index}.png").samples, pixels)


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def tiff(samples: Array, **options: Any) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, samples, **options)
    return buffer.getvalue()


COLOUR = Image.fromarray(RGB8)
FRAMES = [Image.fromarray(255 - RGB8)]
REFUSED: dict[str, tuple[str, bytes, str]] = {
    "empty": ("a.png", b"", "is empty. Replace it."),
    "no image": ("a.png", b"a letter to the editor", "is not an image."),
    "no TIFF": ("a.tif", b"a letter to the editor", "is not an image."),
    "a page of HTML": ("a.jpg", b"<!doctype html><title>404</title>", "is not an image."),
    "truncated PNG": ("a.png", saved(COLOUR, "PNG")[:-60], "is damaged or truncated"),
    "truncated 16-bit PNG": ("a.png", png16(RGBA16)[:-60], "is damaged or truncated"),
    "flipped bit in 16-bit PNG": (
        "a.png",
        png16(RGBA16)[:90] + b"!!" + png16(RGBA16)[92:],
        "is damaged or truncated",
    ),
    "truncated JPEG": ("a.jpg", saved(COLOUR, "JPEG")[:-60], "is damaged or truncated"),
    "truncated WebP": ("a.webp", saved(COLOUR, "WEBP")[:-20], "is damaged or truncated"),
    "truncated BMP": ("a.bmp", saved(COLOUR, "BMP")[:-60], "is damaged or truncated"),
    "truncated TIFF": ("a.tif", tiff(RGB8, photometric="rgb")[:-60], "is damaged or truncated"),
    "truncated TIFF header": (
        "a.tif",
        saved(COLOUR, "TIFF", compression="tiff_lzw")[:200],
        "is damaged or truncated",
    ),
    "PNG named JPEG": ("a.jpg", saved(COLOUR, "PNG"), "is named as JPEG but holds PNG."),
    "GIF named PNG": ("a.png", saved(COLOUR, "GIF"), "is named as PNG but holds GIF."),
    "camera's JPEG named PNG": (
        "a.png",
        saved(COLOUR, "MPO", save_all=True, append_images=FRAMES),
        "is named as PNG but holds JPEG.",
    ),
    "CMYK": ("a.jpg", saved(COLOUR.convert("CMYK"), "JPEG"), "is a CMYK image. Convert it"),
    "1 bit": ("a.png", saved(COLOUR.convert("1"), "PNG"), "is a two-level (1-bit) image."),
    "float": ("a.tif", tiff(GREY8.astype(np.float32)), "is a 32-bit float image."),
    "float in colour": (
        "a.tif",
        tiff(RGB8.astype(np.float32), photometric="rgb"),
        "holds float32 samples",
    ),
    "32-bit integer": ("a.tif", tiff(GREY8.astype(np.int32)), "is a 32-bit integer image."),
    "signed": ("a.tif", tiff(GREY8.astype(np.int8)), "holds signed samples."),
    "premultiplied": (
        "a.tif",
        tiff(RGBA16, photometric="rgb", extrasamples=["assocalpha"]),
        "has colours that are multiplied by its alpha.",
    ),
    "CIELAB": ("a.tif", tiff(RGB8, photometric="cielab"), "is a CIELAB image."),
    "animated PNG": (
        "a.png",
        saved(COLOUR, "PNG", save_all=True, append_images=FRAMES),
        "holds 2 frames.",
    ),
    "animated WebP": (
        "a.webp",
        saved(COLOUR, "WEBP", save_all=True, append_images=FRAMES),
        "holds 2 frames.",
    ),
    "TIFF of pages": (
        "a.tif",
        tiff(np.stack([RGB8, RGB8]), photometric="rgb"),
        "holds 2 frames.",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_a_bad_file_is_refused_in_one_sentence_that_names_it(tmp_path: Path, kind: str) -> None:
    name, data, reason = REFUSED[kind]
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(ImageError) as refused:
        read_image(path)
    message = str(refused.value)
    assert message.startswith(f"{path} {reason}")
    assert refused.value.remedy
    assert "\n" not in message


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"Can't read .*gone.png: No such file"):
        read_image(tmp_path / "gone.png")


@pytest.mark.parametrize("limit", [RGB8.size // 3 - 1, RGB8.size // 3 // 2 - 1])
@pytest.mark.parametrize("name", ["a.png", "a.tif", "rgb16.tif", "la16.tif"])
def test_a_decompression_bomb_is_refused_before_it_goes_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int, name: str
) -> None:
    path = tmp_path / name
    if name == "rgb16.tif":
        tifffile.imwrite(path, RGBA16[..., :3], photometric="rgb")
    elif name == "la16.tif":
        options, stored, _ = TIFF16["grey and alpha"]
        tifffile.imwrite(path, stored, **options)
    else:
        COLOUR.save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(ImageError, match=f"holds more than {limit} pixels. Cut it"):
        read_image(path)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("kind", ["png16", "tiff16", "tiff-lzw", "jpeg"])
def test_no_damage_does_more_than_refuse_the_file(tmp_path: Path, kind: str) -> None:
    """Files cut short anywhere, and with any byte changed, are read or refused: never a crash."""
    suffix, data = {
        "png16": (".png", png16(RGBA16[..., :3])),
        "tiff16": (".tif", tiff(RGBA16[..., :3], photometric="rgb")),
        "tiff-lzw": (".tif", saved(COLOUR, "TIFF", compression="tiff_lzw")),
        "jpeg": (".jpg", saved(COLOUR, "JPEG", exif=exif(6))),
    }[kind]
    path = tmp_path / f"a{suffix}"
    read = 0
    for place in range(0, len(data), 3):
        for damaged in (data[:place], data[:place] + b"\xff" + data[place + 1 :]):
            path.write_bytes(damaged)
            try:
                image = read_image(path).pixels
            except ImageError:
                continue
            read += 1
            assert image.dtype == np.uint8
            assert image.ndim == 2 or image.shape[2] == 3
    assert read < len(data) / 3 * 2


def test_a_full_disk_leaves_what_stood_there_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.png"
    write_png(path, RGB8)
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(DataError, match=r"Can't write .*a.png: No space left on device."):
        write_png(path, 255 - RGB8)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_without_imagecodecs_only_16_bits_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    (tmp_path / "deep.png").write_bytes(png16(RGBA16))
    with pytest.raises(ImageError, match="needs the package imagecodecs") as caught:
        read_image(tmp_path / "deep.png")
    assert str(tmp_path / "deep.png") in caught.value.message
    tifffile.imwrite(tmp_path / "deep.tif", RGBA16[..., :3], photometric="rgb")
    assert np.array_equal(read_image(tmp_path / "deep.tif").pixels, narrowed(RGBA16[..., :3]))
    write_png(tmp_path / "eight.png", RGB8)
    assert np.array_equal(read_image(tmp_path / "eight.png").pixels, RGB8)


def test_without_imagecodecs_a_compressed_16_bit_tiff_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tifffile.imwrite(tmp_path / "deep.tif", RGBA16[..., :3], photometric="rgb", compression="lzw")
    assert np.array_equal(read_image(tmp_path / "deep.tif").pixels, narrowed(RGBA16[..., :3]))
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    with pytest.raises(ImageError, match="needs the package imagecodecs"):
        read_image(tmp_path / "deep.tif")


def plain(path: Path) -> bool:
    """Whether a file is decoded without Pillow."""
    data = path.read_bytes()
    with Image.open(io.BytesIO(data)) as image:
        return images_io._plain_png(image, data) is not None


@pytest.mark.parametrize(
    "pixels", [RGB8, GREY8, GREY8[:1, :1]], ids=["colour", "grey", "one pixel"]
)
def test_a_plain_png_is_read_without_pillow_to_the_same_pixels(
    tmp_path: Path, pixels: Array
) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(pixels).save(path, icc_profile=b"a profile")
    assert plain(path)
    assert_reads(path, pixels)
    assert read_image(path).profile == b"a profile"


def chunks(png: bytes) -> list[tuple[bytes, bytes]]:
    found, place = [], 8
    while place < len(png):
        end = place + 8 + int.from_bytes(png[place : place + 4])
        found.append((png[place + 4 : place + 8], png[place + 8 : end]))
        place = end + 4
    return found


def png_of(*parts: tuple[bytes, bytes]) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(kind, data) for kind, data in parts)


def test_a_png_with_more_than_its_samples_is_left_to_pillow(tmp_path: Path) -> None:
    head, idat, end = chunks(saved(COLOUR, "PNG"))
    path = tmp_path / "a.png"
    block = exif(6).tobytes().removeprefix(b"Exif\0\0")
    keyed = b"".join(int(level).to_bytes(2) for level in RGB8[0, 0])
    for before, after in (
        ([(b"eXIf", block)], []),
        ([], [(b"eXIf", block)]),
        ([(b"tRNS", keyed)], []),
        ([(b"tEXt", b"Raw profile type exif\0")], []),
    ):
        path.write_bytes(png_of(head, *before, idat, *after, end))
        assert not plain(path)
        turns = any(kind == b"eXIf" for kind, _ in (*before, *after))
        assert_reads(path, turned(RGB8, 6) if turns else RGB8)
    path.write_bytes(png_of(head, (b"gAMA", bytes(4)), idat, end))
    assert plain(path)
    path.write_bytes(png_of(head, idat, end)[:-12])
    assert not plain(path)


@pytest.mark.parametrize("pixels", [RGB8, GREY8], ids=["colour", "grey"])
def test_a_damaged_plain_png_is_what_pillow_alone_makes_of_it(
    pixels: Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = saved(Image.fromarray(pixels), "PNG")
    head, (_, idat), end = chunks(whole)
    samples = zlib.decompress(idat)
    damaged = [whole[:place] for place in range(0, len(whole), 4)]
    damaged += [
        whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :]
        for place in range(0, len(whole), 3)
    ]
    damaged += [
        png_of(head, (b"IDAT", zlib.compress(stream)), end)
        for stream in (samples[:-1], samples + b"more", b"\x07" + samples[1:])
    ]
    damaged += [png_of(head, (b"IDAT", idat[:30]), (b"IDAT", idat[30:]), end), whole + b"more"]

    def outcome(data: bytes) -> str | bytes:
        try:
            return decode_image(data, Path("a.png")).samples.tobytes()
        except ImageError as error:
            return error.message

    ours = [outcome(data) for data in damaged]
    monkeypatch.setattr(images_io, "_PLAIN_PNG", {})
    assert ours == [outcome(data) for data in damaged]


def test_without_kornia_rs_pillow_reads_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "kornia_rs.io", None)
    write_png(tmp_path / "a.png", RGB8)
    assert not plain(tmp_path / "a.png")
    assert_reads(tmp_path / "a.png", RGB8)
