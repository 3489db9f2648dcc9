"""``sreval figure``: figures from results."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from sreval.cli.output import warn
from sreval.cli.ratings import (
    RATINGS,
    UNIT,
    WITHOUT,
    Form,
    better_options,
    form_options,
    load,
)
from sreval.report.choices import FIGURES

if TYPE_CHECKING:
    from sreval.opinions.units import Unit
    from sreval.report.choices import FigureName

FOLDERS = click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path))
OUT = click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="A .png, .svg or .pdf file."
)
PROTOCOL = click.option(
    "--protocol", help="Default: one that all folders have, ledig2017 before others."
)
SCALE = click.option("--scale", type=int, help="Needed where the results hold several.")


@click.group()
def figure() -> None:
    """Draw figures from results and opinions."""


@figure.command(
    epilog="Example: sreval figure comparison results --dataset Set14 --image img_001 "
    "--region 200,30,90,90 --out baboon.pdf"
)
@FOLDERS
@click.option("--dataset", required=True, help="The data set of the image.")
@click.option(
    "--image", required=True, help="The image, by its name in the results or its common name."
)
@click.option("--method", "methods", multiple=True, help="Default: all.")
@click.option("--region", help="X,Y,WIDTH,HEIGHT in HR pixels; default: where methods err most.")
@PROTOCOL
@SCALE
@OUT
def comparison(
    folders: tuple[Path, ...],
    dataset: str,
    image: str,
    methods: tuple[str, ...],
    region: str | None,
    protocol: str | None,
    scale: int | None,
    out: Path,
) -> None:
    """One region of one image under every method, enlarged by pixel repetition."""
    _draw(
        folders,
        "comparison",
        out,
        dataset=dataset,
        image=image,
        methods=methods,
        region=region,
        protocol=protocol,
        scale=scale,
    )


@figure.command(
    epilog="Example: sreval figure scores results --dataset BSD100 --metric ssim --out ssim.svg"
)
@FOLDERS
@click.option("--dataset", required=True, help="The data set to show.")
@click.option("--metric", default="psnr", show_default=True, help="The metric to show.")
@PROTOCOL
@SCALE
@OUT
def scores(
    folders: tuple[Path, ...],
    dataset: str,
    metric: str,
    protocol: str | None,
    scale: int | None,
    out: Path,
) -> None:
    """Every image's score under every method."""
    _draw(folders, "scores", out, dataset=dataset, metric=metric, protocol=protocol, scale=scale)


def _draw(
    folders: tuple[Path, ...], kind: Literal["comparison", "scores"], out: Path, **chosen: Any
) -> None:
    from sreval import api
    from sreval.report.style import save_figure

    results = api.read_results(folders)
    for note in results.notes:
        warn(note)
    save_figure(results.figure(kind, **chosen), out)
    click.echo(str(out))


@figure.command(
    epilog="Example: sreval figure opinions votes.csv --kind scores --dataset BSD100 --out s.pdf"
)
@RATINGS
@click.option("--kind", required=True, type=click.Choice(FIGURES), help="What to show.")
@click.option("--dataset", help="Needed where the votes are on several, but for raters, metrics.")
@UNIT
@form_options
@WITHOUT
@better_options
@click.option(
    "--results",
    "folders",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Benchmark results of the same images; needed for metrics.",
)
@PROTOCOL
@OUT
def opinions(
    ratings: Path,
    kind: FigureName,
    dataset: str | None,
    unit: Unit,
    form: Form,
    without: tuple[str, ...],
    higher: tuple[str, ...],
    lower: tuple[str, ...],
    folders: tuple[Path, ...],
    protocol: str | None,
    out: Path,
) -> None:
    """Votes: the scores of every method, ranks, significance, raters, all votes, metrics."""
    from sreval import api
    from sreval.report.style import save_figure

    votes = load(ratings, form, without, higher, lower)
    results = api.read_results(folders) if folders else None
    for note in results.notes if results else ():
        warn(note)
    drawn = votes.figure(kind, dataset=dataset, unit=unit, results=results, protocol=protocol)
    save_figure(drawn, out)
    click.echo(str(out))


@figure.command(epilog="Example: sreval figure training runs/srresnet-mse-paper --out curve.svg")
@FOLDERS
@OUT
def training(folders: tuple[Path, ...], out: Path) -> None:
    """Losses and validation scores over the updates.

    Several runs, of one recipe from different seeds, are drawn as their mean and spread.
    """
    from sreval import api
    from sreval.report.style import save_figure

    save_figure(api.Model.training_figure(folders), out)
    click.echo(str(out))
