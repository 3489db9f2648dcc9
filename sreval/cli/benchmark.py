"""``sreval benchmark`` and ``sreval upscale``: methods on data sets, and on one's own pictures."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

import click

from sreval import api
from sreval.cli.shared import (
    DEGRADE,
    DEVICE,
    PATH,
    SEED,
    UPSCALING,
    for_terminal,
    json_option,
    print_json,
    warn,
)
from sreval.errors import Exit, UsageError, counted, listed


@click.command(
    epilog="Example: sreval benchmark --method nearest --method bicubic --dataset Set5 "
    "--protocol ledig2017 --metric psnr --metric ssim --out results"
)
@click.option("--plan", type=PATH, help="A TOML file with any of these keys.")
@click.option(
    "--method",
    "methods",
    multiple=True,
    help="nearest, bicubic, lanczos, hr, a model's name or its weights, spandrel:FILE, "
    "torchscript:FILE, onnx:FILE, published:FOLDER, python:package.module:name[,weights=FILE]; "
    "NAME=METHOD gives it a name.",
)
@click.option(
    "--dataset",
    "datasets",
    multiple=True,
    help="Set5, Set14, BSD100, Urban100, demo, a folder of HR images or one of folders of frames, "
    "hr=FOLDER,lr=FOLDER, lr=FOLDER for LR images without originals, a TOML file.",
)
@click.option("--protocol", "protocols", multiple=True, help="ledig2017 (default), matlab, rgb.")
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    help="psnr, ssim (default), lpips, lpips-vgg; ms-ssim, vif, fsim, gmsd, haarpsi, dists, "
    "brisque, clip-iqa, fid, kid; python:package.module:function[,better=lower,low=0,high=1,"
    "digits=4,unit=dB,reference=no,per=set,crop=4,weights=FILE]; pyiqa:NAME; NAME=METRIC gives "
    "one of the last two a name.",
)
@click.option("--scale", type=UPSCALING, help="Upscaling factor, such as 2.5; default 4.")
@DEGRADE
@SEED
@click.option("--device", help="auto (default), cpu, cuda.")
@click.option("--precision", help="Of networks: fp32 (default) or bf16.")
@click.option("--tile", type=int, help="Side of a network's tiles in LR pixels, 16 or more.")
@click.option(
    "--workers",
    type=int,
    help="Images worked on at once; default: one for each core, as far as the memory reaches.",
)
@click.option(
    "--dask",
    metavar="ADDRESS",
    help="Compute on a Dask cluster: its scheduler's address, such as tcp://10.0.0.1:8786, or the "
    "scheduler's file.",
)
@click.option("--out", type=PATH, help="The results folder.")
@json_option("Machine-readable summary.")
def benchmark(
    plan: Path | None, out: Path | None, as_json: bool, dask: str | None, **given: Any
) -> None:
    """Run methods on data sets and score them under named protocols.

    Every SR image is kept. A second run computes only what changed, and a run that was
    interrupted or killed goes on where it stopped. Exits with 3 when some images failed, with
    1 when all did.

    Published LR images are taken as they are, others are made by bicubic. --degrade bd makes them
    by another recipe, and results then name the data set Set5-bd. Of LR images without originals
    there are only metrics without a reference: brisque, clip-iqa, pyiqa:NAME, your own.
    """
    wanted = _plan(plan, {**given, "out": out})
    if wanted.out is None:
        raise UsageError("No results folder is given.", "Add --out FOLDER.")
    command = shlex.join(["sreval", *sys.argv[1:]])
    try:
        results = api.benchmark(**dict(wanted), executor=dask, command=command)
    except KeyboardInterrupt:
        warn(
            f"Interrupted. What is finished is kept in {wanted.out}; "
            f"`{command}` goes on from there."
        )
        raise SystemExit(Exit.INTERRUPTED) from None
    _summary(results, as_json)
    if results.frame["value"].isna().all():
        raise SystemExit(Exit.FAILED)
    if results.frame["value"].isna().any():
        raise SystemExit(Exit.PARTIAL)


def _plan(path: Path | None, given: dict[str, Any]) -> Any:
    """The plan file with what the command line says put over it."""
    from sreval.benchmarking.plan import BenchmarkPlan
    from sreval.config import config_text, parse_toml

    options = {key: value for key, value in given.items() if value not in (None, ())}
    options = {key: list(v) if isinstance(v, tuple) else v for key, v in options.items()}
    text = ""
    if path is not None:
        text = config_text(path)
        options = {**parse_toml(text, path), **options}
    else:
        for key, option in (("methods", "--method"), ("datasets", "--dataset")):
            if key not in options:
                raise UsageError(f"No {option} is given.", f"Add {option} NAME, or a --plan file.")
    return BenchmarkPlan.checked(options, str(path or "the command line"), text)


def _summary(results: api.Results, as_json: bool) -> None:
    from sreval.benchmarking.results import ResultsFolder, missing_notes
    from sreval.report.collect import also_computed, scored
    from sreval.report.values import worst_text

    missing = missing_notes(scored(results.frame))
    failures = results.failures.to_dict("records")
    if as_json:
        print_json(
            {
                "out": str(results.folder),
                "values": len(ResultsFolder(results.folder).frame()),
                "images_computed": results.computed,
                "images_reused": results.reused,
                "images_rescored": results.rescored,
                "failures": failures,
                "missing": missing,
            }
        )
        return
    alike: dict[tuple[str, str, str], list[str]] = {}
    for one in failures:
        reason = f"{one['reason']} {one['remedy']}".strip()
        alike.setdefault((one["dataset"], one["method"], reason), []).append(one["image"])
    for (dataset, method, reason), images in alike.items():
        on = f"{dataset}/{images[0]}"
        if len(images) > 1:
            on = f"{len(images)} images of {dataset} ({listed(images)})"
        warn(f"failed: {on}, {method}: {reason}")
    for note in missing:
        warn(note)
    if results.frame["value"].notna().any():
        table = results.table()
        click.echo(table.render("text", **for_terminal()))
        if worst := worst_text(results.worst()):
            click.echo(worst + "\n")
        if others := also_computed(results.frame, table.protocol):
            warn(others)
    anew = f" ({results.rescored} of them scored anew)" if results.rescored else ""
    warn(
        f"{counted(results.computed, 'image')} computed, {results.reused} taken over{anew}, "
        f"{len(failures)} failed."
    )
    click.echo(str(results.folder))


@click.command(epilog="Example: sreval upscale holiday --method srresnet-mse --out large")
@click.argument("images", nargs=-1, required=True, type=PATH)
@click.option(
    "--method",
    required=True,
    help="bicubic, nearest, lanczos, a model, spandrel:FILE, torchscript:FILE, onnx:FILE, or "
    "python:package.module:name[,weights=FILE].",
)
@click.option("--scale", type=UPSCALING, help="Default: the network's own, for others 4.")
@click.option("--out", required=True, type=PATH, help="The folder to fill.")
@DEVICE
@click.option("--precision", type=click.Choice(["fp32", "bf16"]), default="fp32", show_default=True)
@click.option("--replace", is_flag=True, help="Write over results that are there already.")
@click.option(
    "--tile",
    type=int,
    default=512,
    show_default=True,
    help="Side of a network's tiles in LR pixels, 16 or more; bounds the memory.",
)
def upscale(images: tuple[Path, ...], method: str, out: Path, replace: bool, **chosen: Any) -> None:
    """Enlarge IMAGES; each comes out as PNG under its own name.

    A folder among them stands for the images in it. If it holds folders of frames and no images, it
    stands for these frames, and each is written below --out in a folder of the same name. Of
    pictures that differ in their ending alone, such as a.bmp and a.tif, both endings are kept:
    a.bmp.png. What can't be enlarged is named and stops none of the others; exits with 3, or with 1
    when nothing could be.

    16 bits stay 16 bits, grey stays grey, transparency is enlarged by bicubic, and the colour
    profile is kept. CMYK becomes RGB, two levels become grey.
    """
    written, failed = api.upscaler(method, **chosen).files(images, out, replace=replace)
    click.echo(str(out))
    if failed:
        raise SystemExit(Exit.PARTIAL if written else Exit.FAILED)
