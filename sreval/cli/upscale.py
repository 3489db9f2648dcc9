"""``sreval upscale``: a user's own pictures through a method."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from sreval.errors import Exit


@click.command(epilog="Example: sreval upscale holiday --method srresnet-mse --out large")
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--method",
    required=True,
    help="bicubic, nearest, lanczos, a model, or python:package.module:function.",
)
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
    precision: Literal["fp32", "bf16"],
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
    from sreval import api

    made = api.upscaler(method, scale=scale, device=device, precision=precision, tile=tile)
    written, failed = made.files(images, out, replace=replace)
    click.echo(str(out))
    if failed:
        raise SystemExit(Exit.PARTIAL if written else Exit.FAILED)
