"""``sreval upscale``: a user's own pictures through a method."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sreval.cli.output import progress_line
from sreval.errors import EXIT_FAILED, EXIT_PARTIAL, ImageError
from sreval.files import write_error

if TYPE_CHECKING:
    from sreval.upscalers import Upscaler


@click.command(epilog="Example: sreval upscale holiday --method srresnet-mse --out large")
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--method", required=True, help="bicubic, nearest, lanczos, or a model.")
@click.option("--scale", default=4, show_default=True, type=click.IntRange(2, 16))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The folder to fill.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda.")
@click.option("--precision", type=click.Choice(["fp32", "bf16"]), default="fp32", show_default=True)
@click.option("--replace", is_flag=True, help="Write over results that are there already.")
@click.option(
    "--tile",
    type=click.IntRange(min=16),
    default=512,
    show_default=True,
    help="Side in pixels of what a network works on at once; bounds the memory.",
)
def upscale(
    images: tuple[Path, ...],
    method: str,
    scale: int,
    out: Path,
    device: str,
    precision: str,
    replace: bool,
    tile: int,
) -> None:
    """Enlarge IMAGES; each comes out as PNG under its own name.

    A folder among them stands for the images in it, those of its folders left out. Of pictures that
    differ in their ending alone, such as a.bmp and a.tif, both endings are kept: a.bmp.png. What
    can't be enlarged is named and stops none of the others; exits with 3, or with 1 when nothing
    could be.

    16 bits stay 16 bits, grey stays grey, transparency is enlarged by bicubic, and the colour
    profile is kept. CMYK becomes RGB, two levels become grey.
    """
    from sreval.devices import pick_device
    from sreval.upscalers import Running, make_upscaler
    from sreval.upscalers.pictures import enlarge, read_picture, write_picture

    found = list(dict.fromkeys(path for given in images for path in _pictures(given)))
    running = Running(pick_device(device), "bf16" if precision == "bf16" else "fp32", tile)
    upscaler = make_upscaler(method, running)
    stems = Counter((path.parent, path.stem) for path in found)
    originals = {path.resolve() for path in found}
    taken: dict[Path, Path] = {}
    failed = 0
    with progress_line(len(found), "upscaling", "image") as line:
        for path in found:
            stem = path.name if stems[path.parent, path.stem] > 1 else path.stem
            target = out / f"{stem}.png"
            try:
                _check_target(target, path, taken.setdefault(target, path), originals, replace)
                with _tile_by_tile(upscaler, path):
                    large = enlarge(read_picture(path), upscaler, scale)
                write_picture(target, large)
            except ImageError as error:
                failed += 1
                click.echo(str(error), err=True)
            line.update()
    click.echo(str(out))
    if failed:
        raise SystemExit(EXIT_FAILED if failed == len(found) else EXIT_PARTIAL)


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
            "Give another folder with --out.",
        )
    try:
        there = target.exists()
    except OSError as error:
        raise write_error(target, error) from None
    if there and not replace:
        raise ImageError(
            f"{target} is there already; {path} was not enlarged.",
            "Give another folder with --out, or add --replace.",
        )


def _pictures(given: Path) -> list[Path]:
    """The file itself, or the images of a folder."""
    from sreval.images.folders import left_out, left_out_note, list_images

    try:
        if not given.is_dir():
            return [given]
    except OSError as error:
        raise ImageError(f"Can't read {given}: {error.strerror}.", "Check the path.") from None
    if others := left_out(given):
        click.echo(f"{given}: {left_out_note(others)}", err=True)
    return list_images(given)
