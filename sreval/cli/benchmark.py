"""``sreval benchmark``: run methods on data sets and score them."""

from __future__ import annotations

import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from pydantic import ValidationError

from sreval.cli.output import print_json, progress_line, use_colour, warn
from sreval.config import config_error, read_toml
from sreval.errors import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_PARTIAL, UsageError


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
    from sreval.benchmark.estimate import estimate
    from sreval.benchmark.plan import resolve
    from sreval.benchmark.run import run, total_images
    from sreval.images.folders import left_out_note

    wanted = _plan(plan, {**given, "out": out})
    if wanted.out is None:
        raise UsageError("No results folder is given.", "Add --out FOLDER.")
    resolved = resolve(wanted)
    for dataset in resolved.datasets:
        if dataset.left_out:
            click.echo(f"{dataset.name}: {left_out_note(dataset.left_out)}", err=True)
    command = shlex.join(["sreval", *sys.argv[1:]])
    try:
        expected = estimate(resolved, wanted.out)
        warn(str(expected))
        if expected.warning:
            warn(expected.warning)
        with progress_line(total_images(resolved), "benchmark", "image") as line:
            outcome = run(resolved, wanted.out, line.update, command)
    except KeyboardInterrupt:
        click.echo(
            f"Interrupted. What is finished is kept in {wanted.out}; "
            f"`{command}` goes on from there.",
            err=True,
        )
        raise SystemExit(EXIT_INTERRUPTED) from None
    for method in resolved.methods:
        if not method.known:
            warn(
                f"{method.name} names no files that it reads, so each run computes its images "
                f"anew. Name them: {method.name}={method.specification},weights=FILE."
            )
    _summary(outcome, resolved, wanted.out, as_json)
    if outcome.asked["value"].notna().sum() == 0:
        raise SystemExit(EXIT_FAILED)
    if outcome.failures or outcome.asked["value"].isna().any():
        raise SystemExit(EXIT_PARTIAL)


def _plan(path: Path | None, given: dict[str, Any]) -> Any:
    """The plan file with what the command line says put over it."""
    from sreval.benchmark.plan import BenchmarkPlan

    options = {key: value for key, value in given.items() if value not in (None, ())}
    options = {key: list(v) if isinstance(v, tuple) else v for key, v in options.items()}
    if path is not None:
        options = {**read_toml(path), **options}
    else:
        for key, option in (("methods", "--method"), ("datasets", "--dataset")):
            if key not in options:
                raise UsageError(f"No {option} is given.", f"Add {option} NAME, or a --plan file.")
    try:
        return BenchmarkPlan.model_validate(options)
    except ValidationError as error:
        raise config_error(str(path or "the command line"), error) from None


def _summary(outcome: Any, resolved: Any, out: Path, as_json: bool) -> None:
    from sreval.benchmark.results import missing_notes

    missing = missing_notes(outcome.asked)
    if as_json:
        print_json(
            {
                "out": str(out),
                "values": len(outcome.frame),
                "images_computed": outcome.computed,
                "images_reused": outcome.reused,
                "failures": [asdict(failure) for failure in outcome.failures],
                "missing": missing,
            }
        )
        return
    for failure in outcome.failures:
        click.echo(
            f"failed: {failure.dataset}/{failure.image}, {failure.method}: {failure.reason}",
            err=True,
        )
    for note in missing:
        click.echo(note, err=True)
    first = outcome.asked["protocol"] == resolved.protocols[0].name
    if outcome.asked.loc[first, "value"].notna().any():
        _print_table(outcome.asked, resolved, out)
    click.echo(
        f"{outcome.computed} images computed, {outcome.reused} taken over, "
        f"{len(outcome.failures)} failed.",
        err=True,
    )
    click.echo(str(out))


def _print_table(rows: Any, resolved: Any, out: Path) -> None:
    """The table of what this run asked for, its failures included."""
    from sreval.benchmark.run import asked
    from sreval.report.collect import select, with_failures
    from sreval.report.render import to_text
    from sreval.report.tables import build_table
    from sreval.report.worst import worst_images, worst_text

    frame = asked(with_failures(rows, [out]), resolved)
    frame = select(frame, resolved.protocols[0].name, resolved.plan.scale)
    click.echo(to_text(build_table(frame), use_colour()))
    if worst := worst_text(worst_images(frame)):
        click.echo(worst + "\n")
