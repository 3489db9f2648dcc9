"""``sreval data``: list, fetch, check, downscale."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from sreval import api
from sreval.cli import Group
from sreval.cli.shared import (
    DEGRADE,
    PATH,
    SEED,
    UPSCALING,
    json_option,
    print_json,
    warn,
)
from sreval.errors import Exit, counted
from sreval.report.text import columns


@click.group(cls=Group)
def data() -> None:
    """List, fetch, check and downscale data sets."""


@data.command("list", epilog="Example: sreval data list --json")
@json_option()
def list_command(as_json: bool) -> None:
    """The data sets known by name, and where each lies."""
    rows = api.datasets().to_dict("records")
    if as_json:
        print_json(rows)
        return
    head = ["name", "here", "where", "what", "licence"]
    body = [
        [
            row["name"],
            " ".join(f"x{s}" for s in row["scales_at_hand"]) or ("yes" if row["folder"] else "no"),
            row["folder"] or "-",
            row["about"],
            row["licence"],
        ]
        for row in rows
    ]
    click.echo(columns([head, *body]))


@data.command(epilog="Example: sreval data fetch Set5 Set14 --scale 4")
@click.argument("names", nargs=-1, required=True)
@click.option(
    "--scale", "scales", type=UPSCALING, multiple=True, help="Scales to fetch; default 4."
)
@click.option("--to", type=PATH, help="Data folder; default your own.")
@click.option("--mirror", help="Address of a copy of the public repository to fetch from.")
def fetch(names: tuple[str, ...], scales: tuple[int, ...], **chosen: Any) -> None:
    """Fetch public data sets, the weights of metrics, or vgg19 (for training).

    Weights are lpips-alex, lpips-vgg, dists, brisque, clip-iqa, fid and kid. Each file of a data
    set is verified by SHA-256. What is there already is not fetched again, and an
    interrupted fetch goes on where it stopped.
    """
    click.echo(str(api.fetch(names, scales=scales or 4, **chosen)))


@data.command(epilog="Example: sreval data check Set5 my/photographs")
@click.argument("names", nargs=-1, required=True)
@click.option("--scale", type=UPSCALING, default=4, show_default=True, help="Upscaling factor.")
@DEGRADE
@SEED
@json_option()
def check(names: tuple[str, ...], scale: float, as_json: bool, **chosen: Any) -> None:
    """Check data sets: checksums where they are known, else that every image can be used.

    Says of each LR image whether it is MATLAB's bicubic of its HR image, and by which border
    rule, or by which recipe it was or will be made. Exits with 1 when anything is wrong.
    """
    reports = [api.Dataset(name, scale).check(**chosen) for name in names]
    if as_json:
        print_json([asdict(report) for report in reports])
    else:
        click.echo("\n".join(map(str, reports)))
    if any(report.problems for report in reports):
        raise SystemExit(Exit.FAILED)


@data.command(epilog="Example: sreval data downscale photographs/ LR_x4/ --scale 4")
@click.argument("source", type=PATH)
@click.argument("target", type=PATH)
@click.option("--scale", type=UPSCALING, default=4, show_default=True, help="Downscaling factor.")
@DEGRADE
@SEED
@click.option("--crop", is_flag=True, help="Crop HR images to what LR pixels cover.")
def downscale(source: Path, target: Path, scale: float, degrade: str | None, **chosen: Any) -> None:
    """Make low-resolution images of a folder.

    bicubic is MATLAB's imresize; bicubic:border=symmetric is that of newer MATLABs. bd blurs and
    samples, dn adds noise, jpeg compresses, real-esrgan draws a chain of all these for each image.
    A parameter follows the name: bd:sigma=2, jpeg:quality=30. degradation.json beside the images
    records the recipe and what was drawn.
    """
    degrade = "bicubic" if degrade is None else degrade
    made = api.Dataset(source, scale).downscale(target, degrade=degrade, **chosen)
    for name, why in made.failed.items():
        warn(f"{name}: {why}")
    warn(f"{counted(made.written, 'image')} written, {len(made.failed)} failed.")
    click.echo(str(made.folder))
    if made.failed:
        raise SystemExit(Exit.PARTIAL if made.written else Exit.FAILED)
