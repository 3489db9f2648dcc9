"""A user's own pictures: transparency, 16 bits and colour profile kept on the way through."""

from __future__ import annotations

import struct
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import click
import numpy as np
import scipy

from sreval.content import user_path
from sreval.errors import ArrayError, ImageError, SrevalError, option
from sreval.files import write_atomic, write_error
from sreval.images.arrays import require_image
from sreval.images.folders import ImageFolder, left_out_note
from sreval.images.io import Pixels, deep_codecs, encode_png, read_image
from sreval.images.resize import imresize
from sreval.images.scales import hr_size
from sreval.methods.base import Upscaler
from sreval.progress import progress_line


@dataclass(frozen=True)
class Picture:
    """Grey (H, W) or colour (H, W, 3) pixels, uint8 or uint16; alpha (H, W) and ICC profile."""

    pixels: Pixels
    alpha: Pixels | None = None
    profile: bytes | None = None


class PictureUpscaler:
    """A method that enlarges pictures by one scale: call it with an array, or name files.

    Attributes:
        method: The Upscaler behind it.
        scale: How many times as large what it makes is.
    """

    def __init__(self, method: Upscaler, scale: float) -> None:
        self.method, self.scale = method, scale

    def __call__(self, lr: Pixels) -> Pixels:
        """An image ``scale`` times as large.

        Args:
            lr: (h, w, 3) or (h, w), uint8, or uint16 where the method takes 16 bits.

        Returns:
            (scale h, scale w[, 3]) of the same type.

        Raises:
            SrevalError: a ValueError, for what is no such array and where the method fails.
        """
        if not (isinstance(lr, np.ndarray) and lr.dtype == np.uint16):
            require_image(lr, "lr")
        elif lr.size == 0 or lr.ndim not in (2, 3) or lr.shape[2:] not in ((), (3,)):
            raise ArrayError(
                f"lr has the shape {lr.shape}, not (h, w) or (h, w, 3).",
                "Give one image, its channels last and without alpha.",
            )
        try:
            return self.method.enlarge(lr, self.scale)
        except ImageError as error:
            raise ArrayError(error.message, error.remedy) from error

    def files(
        self,
        pictures: Sequence[Path | str] | Path | str,
        out: Path | str,
        *,
        replace: bool = False,
        progress: bool = True,
    ) -> tuple[list[Path], list[SrevalError]]:
        """Enlarge pictures into the folder ``out``, each as PNG under its own name.

        A folder stands for the images in it, those of its folders left out. If it holds folders of
        frames and no images, it stands for these frames, and each is written below ``out`` in a
        folder of the same name. Of pictures that differ in their ending alone, both endings are
        kept: a.bmp.png. 16 bits stay 16 bits, grey stays grey, transparency is enlarged by bicubic,
        and the colour profile is kept.

        Args:
            pictures: files and folders.
            out: the folder to fill.
            replace: write over results that are there already.
            progress: whether to say on stderr how far it is, and what failed.

        Returns:
            The files that were written, and why the others weren't.
        """
        given = [pictures] if isinstance(pictures, str | Path) else pictures

        def say(text: str) -> None:
            if progress:
                click.echo(text, err=True)

        folder = user_path(out)
        found = {p: to for one in given for p, to in _pictures(user_path(one), folder, say)}
        stems = Counter((path.parent, path.stem) for path in found)
        originals = {path.resolve() for path in found}
        taken: dict[Path, Path] = {}
        written: list[Path] = []
        failed: list[SrevalError] = []
        with progress_line(len(found), "upscaling", "image", progress) as line:
            for path, to in found.items():
                stem = path.name if stems[path.parent, path.stem] > 1 else path.stem
                target = to / f"{stem}.png"
                try:
                    first = taken.setdefault(target, path)
                    _check_target(target, path, first, originals, replace)
                    with _tile_by_tile(self.method, path) if progress else nullcontext():
                        large = _enlarged(path, self.method, self.scale)
                    write_picture(target, large)
                    written.append(target)
                except ImageError as error:
                    failed.append(error)
                    say(str(error))
                line.update()
        if self.method.note:
            say(f"{self.method.name}: {self.method.note}.")
        return written, failed

    def __repr__(self) -> str:
        return f"<{self.method.name}, {self.scale:g} times as large>"


def read_picture(path: Path) -> Picture:
    """All of a picture that is kept; CMYK becomes sRGB, two levels become grey.

    Raises ImageError as ``images.io.read_image`` does.
    """
    read = read_image(path, convert=True)
    pixels, profile = read.samples, read.profile
    if profile and profile[16:20] == b"CMYK":  # the header's colour space; the pixels are sRGB now
        profile = None
    if pixels.ndim == 2:
        return Picture(pixels, None, profile)
    channels = pixels.shape[2]
    alpha = pixels[..., -1] if channels in (2, 4) else None
    colour = pixels[..., 0] if channels <= 2 else pixels[..., :3]
    return Picture(cast(Pixels, np.ascontiguousarray(colour)), alpha, profile)


def enlarge(picture: Picture, upscaler: Upscaler, scale: float) -> Picture:
    """The picture ``scale`` times as large; its alpha by bicubic, whatever the method.

    Colours under alpha 0, often black, are first replaced by the nearest visible colour, as they
    would darken the edges.
    """
    alpha = picture.alpha
    size = hr_size(picture.pixels.shape, scale)
    large_alpha = None if alpha is None else cast(Pixels, imresize(alpha, size=size))
    large = upscaler.enlarge(_without_hidden(picture), scale)
    return Picture(large, large_alpha, picture.profile)


def _enlarged(path: Path, upscaler: Upscaler, scale: float) -> Picture:
    """The picture in a file, enlarged. Raises ImageError, which names the file."""
    picture = read_picture(path)
    try:
        return enlarge(picture, upscaler, scale)
    except ImageError as error:
        raise ImageError(f"{path}: {error.message}", error.remedy) from error


def write_picture(path: Path, picture: Picture) -> None:
    """Write it as PNG, whole or not at all.

    Raises DataError, and ImageError where 16 bits need a package that is missing.
    """
    pixels = picture.pixels
    if picture.alpha is not None:
        colour = pixels if pixels.ndim == 3 else pixels[..., None]
        pixels = np.concatenate([colour, picture.alpha[..., None]], axis=2)
    deep = pixels.dtype == np.uint16
    data = deep_codecs(path, "Writing").png_encode(pixels) if deep else encode_png(pixels)
    write_atomic(path, _with_profile(bytes(data), picture.profile))


def _without_hidden(picture: Picture) -> Pixels:
    """The pixels, each under alpha 0 in the colour of the nearest that isn't, if there is one."""
    alpha = picture.alpha
    if alpha is None or alpha.all() or not alpha.any():
        return picture.pixels
    rows, columns = scipy.ndimage.distance_transform_edt(
        alpha == 0, return_distances=False, return_indices=True
    )
    return cast(Pixels, picture.pixels[rows, columns])


def _with_profile(png: bytes, profile: bytes | None) -> bytes:
    """The file with an iCCP chunk after its header (PNG, third edition, 11.3.2.3)."""
    if not profile:
        return png
    body = b"iCCP" + b"ICC profile\0\0" + zlib.compress(profile)
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return png[:33] + chunk + png[33:]


@contextmanager
def _tile_by_tile(upscaler: Upscaler, path: Path) -> Iterator[None]:
    """Progress within a picture that a method takes in several tiles."""
    lines: list[Any] = []

    def told(done: int, of: int) -> None:
        if of > 1 and not lines:
            lines.append(progress_line(of, path.name, "tile"))
        for line in lines:
            line.update(done - line.n)

    upscaler.told = told
    try:
        yield
    finally:
        for line in lines:
            line.close()


def _check_target(
    target: Path, path: Path, first: Path, originals: set[Path], replace: bool
) -> None:
    """Raises ImageError where writing ``target`` would lose a picture or a result."""
    if first != path:
        raise ImageError(
            f"{first} and {path} have one name.", "Upscale the second into another folder."
        )
    if target.resolve() in originals:
        raise ImageError(
            f"{path} would be written over {target}, one of the pictures.",
            f"Give another folder with {option('--out')}.",
        )
    try:
        there = target.exists()
    except OSError as error:
        raise write_error(target, error) from None
    if there and not replace:
        raise ImageError(
            f"{target} is there already; {path} was not enlarged.",
            f"Give another folder with {option('--out')}, or add "
            f"{option('--replace', 'replace=True')}.",
        )


def _pictures(given: Path, out: Path, say: Callable[[str], object]) -> Iterator[tuple[Path, Path]]:
    """The file itself, or the images of a folder, each with the folder that it is enlarged into."""
    try:
        if not given.is_dir():
            yield given, out
            return
    except OSError as error:
        raise ImageError(f"Can't read {given}: {error.strerror}.", "Check the path.") from None
    folder = ImageFolder(given)
    if not folder.has_images:
        folder = ImageFolder.with_frames(given, apart=[out])
    if others := folder.left_out():
        say(f"{given}: {left_out_note(others)}")
    for path in folder.images():
        yield path, out / path.parent.relative_to(given)
