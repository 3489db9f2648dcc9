"""``sreval metrics-study``: which metric to trust where."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import click

from sreval import api
from sreval.api.metric_studies import MapName
from sreval.cli.shared import (
    LEVEL,
    PATH,
    PROTOCOL,
    UPSCALING,
    json_option,
    require_folder,
    results_option,
    show_analysis,
)
from sreval.errors import UNFORESEEN, Exit, UsageError


def _classes(_: click.Context, __: click.Parameter, given: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in given:
        method, equals, group = (part.strip() for part in one.rpartition("="))
        if not (equals and method and group):
            raise UsageError(f"{one!r} names no class.", "Write METHOD=CLASS, as in srgan=gan.")
        if found.setdefault(method, group) != group:
            raise UsageError(f"{method!r} is given two classes.", "Give it one.")
    return found


@click.command(
    epilog="Example: sreval metrics-study set14.csv urban.csv --class mynet=gan --out trust"
)
@click.argument("files", nargs=-1, type=PATH)
@click.option("--study", "studies", multiple=True, help="A study of yours; may be repeated.")
@click.option("--database", metavar="URL", help="Of the studies; default: each one's own.")
@click.option(
    "--allow-open", is_flag=True, help="Also a study that is not closed; it counts as a look."
)
@results_option("Benchmark results of the rated images; may be repeated.")
@PROTOCOL
@click.option(
    "--scale", "factor", type=UPSCALING, help="Needed where the results hold several scales."
)
@click.option(
    "--rating-scale",
    multiple=True,
    metavar="LOW..HIGH[/STEP]",
    help="Of the files: once for all, or once for each in their order. Default: what a column "
    "rating_scale says, else 1..5.",
)
@click.option(
    "--class",
    "classes",
    multiple=True,
    metavar="METHOD=CLASS",
    callback=_classes,
    help="What kind of method it is: interpolation, mse, gan, diffusion, or any other word; may be "
    "repeated. The methods of the paper have theirs.",
)
@click.option(
    "--mapping",
    type=click.Choice(get_args(MapName)),
    default="third-order",
    show_default=True,
    help="From a metric to MOS, for the figures of ITU-T P.1401.",
)
@LEVEL
@click.option("--reference", default="hr", show_default=True, help="A method; it is left out.")
@click.option("--higher-is-better", multiple=True, metavar="METRIC", help="May be repeated.")
@click.option("--lower-is-better", multiple=True, metavar="METRIC", help="May be repeated.")
@json_option("Every value in full.")
@click.option("--out", type=PATH, help="A folder for tables (CSV, text) and the figure.")
def metrics_study(
    files: Sequence[Path],
    studies: Sequence[str],
    database: str | None,
    allow_open: bool,
    results: Sequence[Path],
    rating_scale: Sequence[str],
    as_json: bool,
    out: Path | None,
    **chosen: Any,
) -> None:
    """Say which metric to trust where, by what raters said in FILES and studies.

    Within a scene, across scenes, within a class of methods and between classes; by how much a
    metric favours a class at equal MOS; the figures and tests of ITU-T P.1401.

    A file holds mean opinion scores with metrics, in the columns image, method, mos, psnr, ssim,
    ... (and dataset, scene, study, class, ci95), or votes, which need --results, as a --study does.
    """
    require_folder(out)
    found = api.metrics_study(
        [*(api.Study(name, database) for name in studies), *files],
        rating_scale=rating_scale or None,
        results=results or None,
        allow_open=allow_open or None,
        **chosen,
    )
    show_analysis(found, found.notes, as_json, out)
    if found.not_done or UNFORESEEN in found.text:
        raise SystemExit(Exit.PARTIAL)
