"""``sreval data``: list, fetch, check, downscale."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np

from sreval import settings
from sreval.benchmarking.pairs import read_pair
from sreval.cli.output import columns, print_json, progress_line
from sreval.errors import (
    EXIT_FAILED,
    EXIT_PARTIAL,
    ImageError,
    SrevalError,
    UsageError,
    unknown_name,
)
from sreval.files import write_error
from sreval.images.datasets import Dataset, Item, by_stem, open_dataset, published
from sreval.images.fetch import BSDS500, SELFEXSR, fetch
from sreval.images.folders import left_out, left_out_note
from sreval.images.io import read_image, write_png
from sreval.images.known import KNOWN, best_copy, files_at, known_name, locate
from sreval.images.resize import crop_to_multiple, downscale, require_scale

TRUNKS = ("lpips-alex", "lpips-vgg", "vgg19")
FETCHABLE = tuple(name for name in KNOWN if name != "demo")


@click.group()
def data() -> None:
    """List, fetch, check and downscale data sets."""


@data.command("list", epilog="Example: sreval data list --json")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
def list_command(as_json: bool) -> None:
    """The data sets known by name, and where each lies."""
    rows: list[dict[str, Any]] = []
    for known in KNOWN.values():
        here = {scale: _where(known.name, scale) for scale in known.scales or (0,)}
        folders = [folder for folder in here.values() if folder]
        rows.append(
            {
                "name": known.name,
                "scales_known": list(known.scales),
                "scales_at_hand": [scale for scale in known.scales if here[scale]],
                "folder": folders[0] if folders else "",
                "about": known.about,
                "licence": known.licence,
            }
        )
    if as_json:
        print_json(rows)
        return
    head = ["name", "at hand", "where", "what", "licence"]
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


def _where(name: str, scale: int) -> str:
    """The folder that holds a whole set, or ""."""
    return "scikit-image" if name == "demo" else str(locate(name, scale) or "")


@data.command("fetch", epilog="Example: sreval data fetch Set5 Set14 --scale 4")
@click.argument("names", nargs=-1, required=True)
@click.option("--scale", type=int, multiple=True, help="Scales to fetch; default 4.")
@click.option("--to", type=click.Path(path_type=Path), help="Data folder; default your own.")
@click.option("--mirror", help="Address of a copy of the public repository to fetch from.")
def fetch_command(
    names: tuple[str, ...], scale: tuple[int, ...], to: Path | None, mirror: str | None
) -> None:
    """Fetch public data sets, or the weights lpips-alex, lpips-vgg and vgg19 (for training).

    Each file is verified by SHA-256. What is there already is not fetched again, and an
    interrupted fetch goes on where it stopped.
    """
    by_case = {name.lower(): name for name in (*FETCHABLE, *TRUNKS)}
    for name in names:
        if name.lower() not in by_case:
            raise unknown_name("data set", name, (*FETCHABLE, *TRUNKS))
    folder = to or settings.user_data_dir()
    for name in (by_case[name.lower()] for name in names):
        if name == "vgg19":
            _fetch_vgg19()
        elif name in TRUNKS:
            _fetch_trunk(name)
        else:
            _fetch_set(name, scale or (4,), folder, mirror)
    click.echo(str(folder))


def _fetch_set(name: str, scales: tuple[int, ...], folder: Path, mirror: str | None) -> None:
    files = list(dict.fromkeys(file for scale in scales for file in files_at(name, scale)))
    total = sum(file.size for file in files)
    home = mirror or (BSDS500 if name == "BSDS300-train" else SELFEXSR)
    click.echo(
        f"{name}: {len(files)} files, {total / 1e6:.0f} MB, from {home} "
        f"(licence: {KNOWN[name].licence})",
        err=True,
    )
    with progress_line(total, name, "B") as line:
        brought = fetch(files, folder, mirror, lambda file: line.update(file.size))
    click.echo(f"{name}: {brought} fetched, {len(files) - brought} were there.", err=True)


def _fetch_trunk(name: str) -> None:
    from sreval.metrics import lpips

    net: lpips.Net = "vgg" if name == "lpips-vgg" else "alex"
    try:
        file = lpips.trunk_file(net)
    except SrevalError:
        trunk = lpips.TRUNKS[net]
        click.echo(
            f"{name}: torchvision downloads {trunk.torchvision_file}, {trunk.megabytes} MB",
            err=True,
        )
        click.echo(f"{name}: {lpips.download_trunk(net)}", err=True)
    else:
        lpips.load_model(net)  # a damaged file is not there
        click.echo(f"{name}: already at {file}", err=True)


def _fetch_vgg19() -> None:
    from sreval.networks.vgg import fetch_torchvision_vgg

    click.echo("vgg19: torchvision downloads its VGG19, 548 MB", err=True)
    click.echo(f"vgg19: {fetch_torchvision_vgg()}", err=True)


@data.command("check", epilog="Example: sreval data check Set5 my/photographs")
@click.argument("names", nargs=-1, required=True)
@click.option("--scale", default=4, show_default=True, help="Upscaling factor.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
def check_command(names: tuple[str, ...], scale: int, as_json: bool) -> None:
    """Check data sets: checksums where they are known, else that every image can be used.

    Says of each LR image whether it is MATLAB's bicubic of its HR image, and by which border
    rule. Exits with 1 when anything is wrong.
    """
    reports = [_check(name, scale) for name in names]
    if as_json:
        print_json(reports)
    else:
        for report in reports:
            click.echo(f"{report['dataset']}: {report['images']} images, {report['summary']}")
            if report["left_out"]:
                click.echo("  " + left_out_note(report["left_out"]))
            for problem in report["problems"]:
                click.echo(f"  {problem}")
    if any(report["problems"] for report in reports):
        raise SystemExit(EXIT_FAILED)


def _check(name: str, scale: int) -> dict[str, Any]:
    known = known_name(name)
    wrong: list[str] = []
    kinds: list[str] = []
    hashes = ""
    if known is None or known == "demo":
        dataset = open_dataset(name, scale)
    else:
        copy = best_copy(known, scale)
        dataset = published(known, scale, copy.folder)
        wrong = copy.faults()
        right = len(copy.files) - len(wrong)
        hashes = f"; {right} of {len(copy.files)} files have the published SHA-256"
    with progress_line(len(dataset.items), f"checking {dataset.name}", "image") as line:
        for item in dataset.items:
            try:
                kinds.append(_check_item(dataset, item))
            except ImageError as error:
                if known is None:
                    wrong.append(str(error))
            line.update()
    summary = ", ".join(f"{kinds.count(kind)} LR {kind}" for kind in dict.fromkeys(kinds))
    return {
        "dataset": dataset.name,
        "images": len(dataset.items),
        "summary": (summary or "none usable") + hashes,
        "left_out": list(dataset.left_out),
        "problems": wrong,
    }


def _check_item(dataset: Dataset, item: Item) -> str:
    """How the LR image comes about. Raises ImageError for a pair that can't be used."""
    pair = read_pair(dataset, item)
    cropped = " (HR cropped)" if pair.cropped else ""
    if item.lr is None:
        return f"to be made{cropped}"
    for border in ("replicate", "symmetric"):
        if np.array_equal(downscale(pair.hr, dataset.scale, border), pair.lr):
            return f"MATLAB bicubic, {border} border{cropped}"
    return f"made in another way{cropped}"


@data.command("downscale", epilog="Example: sreval data downscale photographs/ LR_x4/ --scale 4")
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("target", type=click.Path(path_type=Path))
@click.option("--scale", default=4, show_default=True, help="Downscaling factor.")
@click.option(
    "--border",
    type=click.Choice(["replicate", "symmetric"]),
    default="replicate",
    show_default=True,
    help="Border rule: replicate as the published LR images, symmetric as newer MATLABs.",
)
@click.option("--crop", is_flag=True, help="Crop HR images to multiples of the scale.")
def downscale_command(source: Path, target: Path, scale: int, border: str, crop: bool) -> None:
    """Make low-resolution images of a folder exactly as MATLAB's imresize does."""
    require_scale(scale)
    if target.resolve() == source.resolve():
        raise UsageError(
            f"{target} holds the images themselves; they would be overwritten.",
            "Name another folder.",
        )
    images = by_stem(source)
    if others := left_out(source):
        click.echo(f"{source}: {left_out_note(others)}", err=True)
    failed = 0
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_error(target, error) from None
    with progress_line(len(images), "downscaling", "image") as line:
        for stem, path in images.items():
            try:
                image = read_image(path)
                image = crop_to_multiple(image, scale) if crop else image
                low = downscale(image, scale, "symmetric" if border == "symmetric" else "replicate")
                write_png(target / f"{stem}.png", low)
            except ImageError as error:
                failed += 1
                click.echo(f"{path.name}: {error}", err=True)
            line.update()
    click.echo(f"{len(images) - failed} images written, {failed} failed.", err=True)
    click.echo(str(target))
    if failed:
        raise SystemExit(EXIT_FAILED if failed == len(images) else EXIT_PARTIAL)
