"""``sreval upscale``: a user's own pictures through a method."""

from __future__ import annotations

from pathlib import Path

import click

from sreval.cli.output import progress_line
from sreval.errors import EXIT_FAILED, EXIT_PARTIAL, ImageError, UsageError


@click.command(epilog="Example: sreval upscale holiday --method srresnet-mse --out large")
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--method", required=True, help="bicubic, nearest, lanczos, or a model.")
@click.option("--scale", default=4, show_default=True, type=click.IntRange(2, 16))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The folder to fill.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda.")
@click.option("--precision", type=click.Choice(["fp32", "bf16"]), default="fp32", show_default=True)
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
    tile: int,
) -> None:
    """Enlarge IMAGES; each comes out as PNG under its own name.

    A folder among them stands for the images in it, those of its folders left out.

    16 bits stay 16 bits, grey stays grey, transparency is enlarged by bicubic, and the colour
    profile is kept.
    """
    from sreval.devices import pick_device
    from sreval.upscalers import Running, make_upscaler
    from sreval.upscalers.pictures import enlarge, read_picture, write_picture

    found = list(dict.fromkeys(path for given in images for path in _pictures(given)))
    originals = {path.resolve() for path in found}
    targets: dict[Path, Path] = {}
    for path in found:
        target = out / f"{path.stem}.png"
        if target in targets:
            raise UsageError(
                f"{targets[target]} and {path} have one name.", "Upscale them into two folders."
            )
        if target.resolve() in originals:
            raise UsageError(
                f"{path} would be written over {target}, one of the pictures.",
                "Give another folder with --out.",
            )
        targets[target] = path
    running = Running(pick_device(device), "bf16" if precision == "bf16" else "fp32", tile)
    upscaler = make_upscaler(method, running)
    failed = 0
    with progress_line(len(found), "upscaling", "image") as line:
        for target, path in targets.items():
            try:
                write_picture(target, enlarge(read_picture(path), upscaler, scale))
            except ImageError as error:
                failed += 1
                click.echo(str(error), err=True)
            line.update()
    click.echo(str(out))
    if failed:
        raise SystemExit(EXIT_FAILED if failed == len(found) else EXIT_PARTIAL)


def _pictures(given: Path) -> list[Path]:
    """The file itself, or the images of a folder."""
    from sreval.images.io import list_images

    try:
        return list_images(given) if given.is_dir() else [given]
    except OSError as error:
        raise ImageError(f"Can't read {given}: {error.strerror}.", "Check the path.") from None
