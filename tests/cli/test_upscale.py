"""``sreval upscale``: what a picture holds comes out again, larger."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from PIL import Image, ImageCms

from sreval.images.io import read_image
from sreval.images.resize import imresize

UInt8 = npt.NDArray[np.uint8]
Run = Callable[..., Any]


def test_an_8_bit_picture_keeps_alpha_and_profile(
    sreval: Run, tmp_path: Path, photograph: UInt8
) -> None:
    alpha = photograph[..., 0]
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    rgba = np.dstack([photograph, alpha])
    Image.fromarray(rgba).save(tmp_path / "cat.png", icc_profile=profile)
    ran = sreval("upscale", tmp_path / "cat.png", "--method", "nearest", "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    with Image.open(tmp_path / "out" / "cat.png") as made:
        assert made.mode == "RGBA"
        assert made.info["icc_profile"] == profile
        pixels = np.asarray(made)
    assert np.array_equal(pixels[..., :3], photograph.repeat(4, 0).repeat(4, 1))
    assert np.array_equal(pixels[..., 3], imresize(alpha, 4))


def test_a_ratio_enlarges_colour_and_alpha_to_one_size(
    sreval: Run, tmp_path: Path, photograph: UInt8
) -> None:
    rgba = np.dstack([photograph, photograph[..., 0]])[:31, :27]
    Image.fromarray(rgba).save(tmp_path / "cat.png")
    given = ("upscale", tmp_path / "cat.png", "--scale", "2.5", "--out", tmp_path / "out")
    for method in ("bicubic", "nearest", "lanczos"):
        ran = sreval(*given, "--method", method, "--replace")
        assert ran.code == 0, ran.err
        with Image.open(tmp_path / "out" / "cat.png") as made:
            assert (made.mode, made.size) == ("RGBA", (68, 78))
    ran = sreval(*given[:3], "1", *given[4:], "--method", "bicubic")
    assert (ran.code, ran.err[:29]) == (2, "Error: 1 isn't a valid scale.")


@pytest.mark.parametrize("channels", [0, 2, 3, 4])
def test_16_bits_stay_16_bits(
    sreval: Run, tmp_path: Path, photograph: UInt8, channels: int
) -> None:
    deep = photograph.astype(np.uint16) * 200 + 37
    image = deep[..., 0].copy() if channels == 0 else np.dstack([deep, deep])[..., :channels].copy()
    (tmp_path / "deep.png").write_bytes(imagecodecs.png_encode(image))
    out = tmp_path / "out"
    assert sreval("upscale", tmp_path / "deep.png", "--method", "bicubic", "--out", out).code == 0
    made = read_image(out / "deep.png").samples
    assert made.dtype == np.uint16
    assert np.array_equal(made, imresize(image, 4))


def test_a_jpeg_comes_out_turned_as_its_exif_says(
    sreval: Run, tmp_path: Path, photograph: UInt8
) -> None:
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(photograph).save(tmp_path / "turned.jpg", exif=exif)
    out = tmp_path / "out"
    assert sreval("upscale", tmp_path / "turned.jpg", "--method", "lanczos", "--out", out).code == 0
    with Image.open(out / "turned.png") as made:
        assert made.size == (4 * 96, 4 * 120)


def test_a_folder_stands_for_the_images_in_it(
    sreval: Run, tmp_path: Path, photograph: UInt8
) -> None:
    holiday, out = tmp_path / "holiday", tmp_path / "out"
    (holiday / "deeper").mkdir(parents=True)
    for name in ("a.png", "b.jpg", "deeper/c.png"):
        Image.fromarray(photograph).save(holiday / name)
    (holiday / "notes.txt").write_text("no picture")
    Image.fromarray(photograph).save(tmp_path / "d.png")
    command = ["--method", "nearest", "--out", out]
    ran = sreval("upscale", holiday, tmp_path / "d.png", *command)
    assert ran.code == 0, ran.err
    assert sorted(path.name for path in out.iterdir()) == ["a.png", "b.png", "d.png"]
    assert np.array_equal(read_image(out / "a.png").samples, photograph.repeat(4, 0).repeat(4, 1))


def test_a_picture_named_twice_is_taken_once(sreval: Run, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    Image.new("RGB", (8, 8), "teal").save(folder / "a.png")
    out = tmp_path / "out"
    ran = sreval("upscale", folder, folder / "a.png", "--method", "bicubic", "--out", out)
    assert ran.code == 0, ran.err
    assert [path.name for path in out.iterdir()] == ["a.png"]


def test_a_bad_picture_in_a_folder_does_not_stop_the_others(
    sreval: Run, tmp_path: Path, photograph: UInt8
) -> None:
    Image.fromarray(photograph).save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_bytes(b"not a picture")
    ran = sreval("upscale", tmp_path, "--method", "bicubic", "--out", tmp_path / "out")
    assert ran.code == 3
    assert "bad.png" in ran.err
    assert (tmp_path / "out" / "good.png").is_file()


def test_one_bad_picture_does_not_stop_the_others(
    sreval: Run, tmp_path: Path, photograph: UInt8
) -> None:
    Image.fromarray(photograph).save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_bytes(b"not a picture")
    command = ["--method", "bicubic", "--out", tmp_path / "out"]
    ran = sreval("upscale", tmp_path / "bad.png", tmp_path / "good.png", *command)
    assert ran.code == 3
    assert "bad.png" in ran.err
    assert (tmp_path / "out" / "good.png").is_file()
    assert sreval("upscale", tmp_path / "bad.png", *command).code == 1


def test_what_cannot_be_meant(sreval: Run, tmp_path: Path, photograph: UInt8) -> None:
    buffer = io.BytesIO()
    Image.fromarray(photograph).save(buffer, "PNG")
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "cat.png").write_bytes(buffer.getvalue())
    both = [tmp_path / "a" / "cat.png", tmp_path / "b" / "cat.png"]
    ran = sreval("upscale", tmp_path / "a", "--method", "bicubic", "--out", tmp_path / "a")
    assert (ran.code, "written over" in ran.err) == (1, True)
    none = tmp_path / "none"
    none.mkdir()
    ran = sreval("upscale", both[0], none, "--method", "bicubic", "--out", tmp_path / "out")
    assert (ran.code, f"{none} holds no images" in ran.err) == (1, True)
    assert not (tmp_path / "out").exists()
    ran = sreval("upscale", "x" * 300, "--method", "bicubic", "--out", tmp_path / "out")
    assert (ran.code, "it is too long" in ran.err) == (2, True)
    ran = sreval("upscale", both[0], "--method", "hr", "--out", tmp_path / "out")
    assert (ran.code, "hr can't enlarge your own pictures" in ran.err) == (2, True)
    ran = sreval("upscale", both[0], "--method", "bicubik", "--out", tmp_path / "out")
    assert (ran.code, "Did you mean 'bicubic'" in ran.err) == (2, True)


def test_of_two_pictures_of_one_name_the_second_waits_for_another_folder(
    sreval: Run, tmp_path: Path, photograph: UInt8
) -> None:
    both = [tmp_path / folder / "cat.png" for folder in "ab"]
    for path, image in zip(both, (photograph, photograph[::-1]), strict=True):
        path.parent.mkdir()
        Image.fromarray(image).save(path)
    command = ("--method", "nearest", "--out")
    ran = sreval("upscale", *both, *command, tmp_path / "out")
    assert (ran.code, f"{both[0]} and {both[1]} have one name" in ran.err) == (3, True)
    assert np.array_equal(read_image(tmp_path / "out/cat.png").samples[::4, ::4], photograph)
    assert sreval("upscale", both[1], *command, tmp_path / "other").code == 0


def test_pictures_that_differ_in_their_ending_alone_keep_it(
    sreval: Run, tmp_path: Path, photograph: UInt8
) -> None:
    for name, image in (("t.bmp", photograph), ("t.tif", photograph[::-1]), ("u.bmp", photograph)):
        (tmp_path / "in").mkdir(exist_ok=True)
        Image.fromarray(image).save(tmp_path / "in" / name)
    out = tmp_path / "out"
    ran = sreval("upscale", tmp_path / "in", "--method", "nearest", "--out", out)
    assert ran.code == 0, ran.err
    assert sorted(path.name for path in out.iterdir()) == ["t.bmp.png", "t.tif.png", "u.png"]
    assert np.array_equal(read_image(out / "t.bmp.png").samples[::4, ::4], photograph)
    assert np.array_equal(read_image(out / "t.tif.png").samples[::4, ::4], photograph[::-1])


def test_a_result_that_is_there_is_written_over_only_when_asked(
    sreval: Run, tmp_path: Path, photograph: UInt8
) -> None:
    Image.fromarray(photograph).save(tmp_path / "a.png")
    command = ("upscale", tmp_path / "a.png", "--method", "nearest", "--out", tmp_path / "out")
    assert sreval(*command).code == 0
    before = (tmp_path / "out" / "a.png").read_bytes()
    Image.fromarray(photograph).save(tmp_path / "b.png")
    ran = sreval(*command, tmp_path / "b.png", "--scale", "2")
    assert ran.code == 3
    assert f"{tmp_path / 'out' / 'a.png'} is there already" in ran.err
    assert (tmp_path / "out" / "a.png").read_bytes() == before
    assert read_image(tmp_path / "out" / "b.png").samples.shape == (192, 240, 3)
    assert sreval(*command, "--scale", "2", "--replace").code == 0
    assert read_image(tmp_path / "out" / "a.png").samples.shape == (192, 240, 3)


def test_inks_and_two_levels_are_converted(sreval: Run, tmp_path: Path) -> None:
    # no ink is white paper, all of each ink is black
    inks = np.zeros((16, 16, 4), np.uint8)
    inks[:, 8:] = 255
    bits = np.zeros((16, 16), bool)
    bits[:, 8:] = True
    Image.fromarray(inks, "CMYK").save(tmp_path / "inks.jpg", quality=100)
    Image.fromarray(inks, "CMYK").save(tmp_path / "inks2.tif")
    Image.fromarray(bits).save(tmp_path / "bits.png")
    out = tmp_path / "out"
    ran = sreval("upscale", tmp_path, "--method", "nearest", "--scale", "2", "--out", out)
    assert ran.code == 0, ran.err
    white_black = np.repeat([255, 0], 16)
    for name in ("inks", "inks2"):
        made = read_image(out / f"{name}.png").samples
        assert made.shape == (32, 32, 3)
        assert np.abs(made.astype(int) - white_black[None, :, None]).max() <= 2
    made = read_image(out / "bits.png").samples
    assert made.shape == (32, 32)
    assert (made == 255 - white_black).all()


def test_a_broken_profile_of_inks_is_left_out(sreval: Run, tmp_path: Path) -> None:
    # the header alone of a CMYK profile, which no colour engine takes: Pillow's formula stands in
    broken = b"\0\0\0\x80" + b"\0" * 12 + b"CMYKLab " + b"\0" * 104
    image = Image.fromarray(np.zeros((8, 8, 4), np.uint8), "CMYK")
    image.save(tmp_path / "a.jpg", icc_profile=broken)
    out = tmp_path / "out"
    ran = sreval("upscale", tmp_path / "a.jpg", "--method", "nearest", "--out", out)
    assert ran.code == 0, ran.err
    with Image.open(out / "a.png") as made:
        assert "icc_profile" not in made.info
        assert made.getextrema() == ((255, 255),) * 3


def test_a_picture_is_never_written_over(sreval: Run, tmp_path: Path) -> None:
    picture = tmp_path / "mine.png"
    Image.fromarray(np.full((8, 9, 3), 90, np.uint8)).save(picture)
    before = picture.read_bytes()
    ran = sreval("upscale", picture, "--method", "bicubic", "--out", tmp_path, "--replace")
    assert (ran.code, "written over" in ran.err) == (1, True)
    assert picture.read_bytes() == before


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_transparent_colour_stays_transparent(sreval: Run, tmp_path: Path, mode: str) -> None:
    pixels = np.full((6, 8, 3), 200, np.uint8)
    pixels[:, :4] = 10
    key: Any = (10, 10, 10) if mode == "RGB" else 10
    Image.fromarray(pixels).convert(mode).save(tmp_path / "key.png", transparency=key)
    out = tmp_path / "out"
    assert sreval("upscale", tmp_path / "key.png", "--method", "nearest", "--out", out).code == 0
    alpha = read_image(out / "key.png").samples[..., -1]
    assert np.array_equal(alpha, imresize(np.where(pixels[..., 0] == 10, 0, 255).astype("u1"), 4))


def test_a_deep_grey_tiff_with_alpha_keeps_alpha_and_profile(sreval: Run, tmp_path: Path) -> None:
    deep = np.arange(6 * 8 * 2, dtype=np.uint16).reshape(6, 8, 2) * 600
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    tifffile.imwrite(
        tmp_path / "deep.tif", deep, extrasamples=["unassalpha"], iccprofile=profile,
        photometric="minisblack", planarconfig="contig",
    )  # fmt: skip
    ran = sreval("upscale", tmp_path / "deep.tif", "--method", "bicubic", "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    assert np.array_equal(read_image(tmp_path / "out" / "deep.png").samples, imresize(deep, 4))
    with Image.open(tmp_path / "out" / "deep.png") as made:
        assert made.info["icc_profile"] == profile
