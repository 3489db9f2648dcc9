"""``sreval figure``: figures from results, opinions and training runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sreval import api
from sreval.cli.shared import (
    FOLDERS,
    PATH,
    PROTOCOL,
    RATINGS,
    SCALE,
    UNIT,
    results_in,
    results_option,
    with_votes,
)
from sreval.report.choices import FIGURES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from sreval.report.choices import FigureName

OUT = click.option("--out", required=True, type=PATH, help="A .png, .svg or .pdf file.")


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
def comparison(folders: tuple[Path, ...], out: Path, **chosen: Any) -> None:
    """One region of one image under every method, enlarged by pixel repetition."""
    _save(results_in(folders).figure("comparison", **chosen), out)


@figure.command(
    epilog="Example: sreval figure scores results --dataset BSD100 --metric ssim --out ssim.svg"
)
@FOLDERS
@click.option("--dataset", required=True, help="The data set to show.")
@click.option("--metric", default="psnr", show_default=True, help="The metric to show.")
@PROTOCOL
@SCALE
@OUT
def scores(folders: tuple[Path, ...], out: Path, **chosen: Any) -> None:
    """Every image's score under every method."""
    _save(results_in(folders).figure("scores", **chosen), out)


@figure.command(
    epilog="Example: sreval figure opinions votes.csv --kind scores --dataset BSD100 --out s.pdf"
)
@RATINGS
@click.option("--kind", required=True, type=click.Choice(FIGURES), help="What to show.")
@click.option("--dataset", help="Needed where the votes are on several, but for raters, metrics.")
@UNIT
@with_votes(means=True)
@results_option("Benchmark results of the same images; needed for metrics.")
@PROTOCOL
@OUT
def opinions(
    votes: api.Votes, kind: FigureName, results: tuple[Path, ...], out: Path, **chosen: Any
) -> None:
    """Votes: the scores of every method, ranks, significance, raters, all votes, metrics."""
    scored = results_in(results) if results else None
    _save(votes.figure(kind, results=scored, **chosen), out)


@figure.command(epilog="Example: sreval figure training runs/srresnet-mse-paper --out curve.svg")
@FOLDERS
@OUT
def training(folders: tuple[Path, ...], out: Path) -> None:
    """Losses and validation scores over the updates.

    Several runs, of one recipe from different seeds, are drawn as their mean and spread.
    """
    _save(api.Model.training_figure(folders), out)


def _save(drawn: Figure, out: Path) -> None:
    from sreval.report.style import save_figure

    save_figure(drawn, out)
    click.echo(str(out))
