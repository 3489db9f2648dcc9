"""``sreval cost``: what methods cost."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from sreval import api
from sreval.cli.shared import (
    DEVICE,
    PATH,
    PROTOCOL,
    UPSCALING,
    for_terminal,
    put,
    require_file,
    results_option,
)
from sreval.errors import Exit
from sreval.report.choices import FORMATS


def _size(_: click.Context, __: click.Parameter, text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,6})x(\d{1,6})", text.strip(), re.ASCII)
    if not found:
        raise click.BadParameter(f"{text!r} is no size. Write it as in 320x180.")
    return int(found[1]), int(found[2])


@click.command(epilog="Example: sreval cost bicubic espcn srresnet-mse --input 64x64")
@click.argument("methods", metavar="METHOD...", nargs=-1, required=True)
@click.option("--scale", type=UPSCALING, default=4, show_default=True)
@click.option(
    "--input",
    metavar="WIDTHxHEIGHT",
    callback=_size,
    help="Of the LR image; default: what becomes 1280x720, 320x180 for a scale of 4.",
)
@DEVICE
@click.option("--precision", type=click.Choice(["fp32", "bf16"]), default="fp32", show_default=True)
@click.option("--tile", type=int, help="Side of a network's tiles in LR pixels, 16 or more.")
@click.option(
    "--repeat",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="Timed calls of each method, after two that aren't.",
)
@results_option("Put mean scores beside the costs, of these results; may be repeated.")
@PROTOCOL
@click.option(
    "--dataset", "datasets", multiple=True, help="Of the scores; default: all in the results."
)
@click.option("--metric", "metrics", multiple=True, help="Default: all that were computed.")
@click.option("--format", "written", type=click.Choice(FORMATS), default="text", show_default=True)
@click.option("--json", "written", flag_value="json", help="The same as --format json.")
@click.option("--out", type=PATH, help="Write to this file.")
def cost(
    methods: tuple[str, ...],
    metrics: tuple[str, ...],
    written: str,
    out: Path | None,
    **chosen: Any,
) -> None:
    """Measure what each METHOD takes to enlarge one image.

    Parameters and multiply-adds are counted, seconds and peak memory measured. A METHOD is what
    `sreval benchmark --method` takes, but for hr and published:FOLDER, which make no images. One
    that fails, also when it is opened, stops none of the others: exits with 3 then, with 1 when
    all did. An unknown name stops all at once. Ctrl-C prints what was measured and exits with 130.
    """
    require_file(out)
    made = api.cost(methods, metrics=metrics or None, **chosen)
    put(made.render(written, **({} if out else for_terminal())), out)
    if made.unmeasured:
        raise SystemExit(Exit.INTERRUPTED)
    if made.failures:
        raise SystemExit(Exit.PARTIAL)
