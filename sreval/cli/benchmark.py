"""``sreval benchmark``: run methods on data sets and score them."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sreval.cli.output import print_json, use_colour, warn
from sreval.errors import Exit, UsageError

if TYPE_CHECKING:
    from sreval.api import Results


@click.command(
    epilog="Example: sreval benchmark --method nearest --method bicubic --dataset Set5 "
    "--protocol ledig2017 --metric psnr --metric ssim --out results"
)
@click.option("--plan", type=click.Path(path_type=Path), help="A TOML file with any of these keys.")
@click.option(
    "--method",
    "methods",
    multiple=True,
    help="nearest, bicubic, lanczos, hr, a model's name or its weights, published:FOLDER, "
    "python:package.module:function[,weights=FILE]; NAME=METHOD gives it a name.",
)
@click.option(
    "--dataset",
    "datasets",
    multiple=True,
    help="Set5, Set14, BSD100, Urban100, demo, a folder of HR images, hr=FOLDER,lr=FOLDER, a TOML "
    "file.",
)
@click.option("--protocol", "protocols", multiple=True, help="ledig2017 (default), matlab, rgb.")
@click.option("--metric", "metrics", multiple=True, help="psnr, ssim (default), lpips, lpips-vgg.")
@click.option("--scale", type=int, help="Upscaling factor; default 4.")
@click.option("--device", help="auto (default), cpu, cuda.")
@click.option("--precision", help="Of networks: fp32 (default) or bf16.")
@click.option("--tile", type=int, help="Side of a network's tiles in LR pixels; default whole.")
@click.option("--workers", type=int, help="Images worked on at once; default one a core.")
@click.option("--out", type=click.Path(path_type=Path), help="The results folder.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable summary.")
def benchmark(plan: Path | None, out: Path | None, as_json: bool, **given: Any) -> None:
    """Run methods on data sets and score them under named protocols.

    Every SR image is kept. A second run computes only what changed, and a run that was
    interrupted or killed goes on where it stopped. Exits with 3 when some images failed, with
    1 when all did.
    """
    from sreval import api

    wanted = _plan(plan, {**given, "out": out})
    if wanted.out is None:
        raise UsageError("No results folder is given.", "Add --out FOLDER.")
    command = shlex.join(["sreval", *sys.argv[1:]])
    try:
        results = api.benchmark(**dict(wanted), command=command)
    except KeyboardInterrupt:
        click.echo(
            f"Interrupted. What is finished is kept in {wanted.out}; "
            f"`{command}` goes on from there.",
            err=True,
        )
        raise SystemExit(Exit.INTERRUPTED) from None
    _summary(results, wanted.protocols[0], as_json)
    if results.frame["value"].isna().all():
        raise SystemExit(Exit.FAILED)
    if results.frame["value"].isna().any():
        raise SystemExit(Exit.PARTIAL)


def _plan(path: Path | None, given: dict[str, Any]) -> Any:
    """The plan file with what the command line says put over it."""
    from sreval.benchmarking.plan import BenchmarkPlan
    from sreval.config import read_toml

    options = {key: value for key, value in given.items() if value not in (None, ())}
    options = {key: list(v) if isinstance(v, tuple) else v for key, v in options.items()}
    if path is not None:
        options = {**read_toml(path), **options}
    else:
        for key, option in (("methods", "--method"), ("datasets", "--dataset")):
            if key not in options:
                raise UsageError(f"No {option} is given.", f"Add {option} NAME, or a --plan file.")
    return BenchmarkPlan.checked(options, str(path or "the command line"))


def _summary(results: Results, protocol: str, as_json: bool) -> None:
    from sreval.benchmarking.results import ResultsFolder, missing_notes
    from sreval.report.collect import scored
    from sreval.report.worst import worst_text

    missing = missing_notes(scored(results.frame))
    failures = results.failures.to_dict("records")
    if as_json:
        print_json(
            {
                "out": str(results.folder),
                "values": len(ResultsFolder(results.folder).frame()),
                "images_computed": results.computed,
                "images_reused": results.reused,
                "failures": failures,
                "missing": missing,
            }
        )
        return
    for one in failures:
        warn(f"failed: {one['dataset']}/{one['image']}, {one['method']}: {one['reason']}")
    for note in missing:
        warn(note)
    first = results.frame["protocol"] == protocol
    if results.frame.loc[first, "value"].notna().any():
        click.echo(results.table(protocol=protocol).render("text", colour=use_colour()))
        if worst := worst_text(results.worst(protocol=protocol)):
            click.echo(worst + "\n")
    warn(
        f"{results.computed} images computed, {results.reused} taken over, {len(failures)} failed."
    )
    click.echo(str(results.folder))
