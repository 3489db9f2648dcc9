"""``sreval figure``: figures from results, opinions and training runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sreval import api
from sreval.cli import Group
from sreval.cli.shared import (
    FOLDERS,
    PATH,
    PROTOCOL,
    RATINGS,
    SCALE,
    UNIT,
    save_drawing,
    warn,
    with_scores,
    with_votes,
)
from sreval.report.choices import FIGURES, SHOWN, SIZES, WIDTHS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from sreval.report.choices import FigureName

METHODS = click.option(
    "--method", "methods", multiple=True, help="A method to show; may be repeated; default: all."
)
WIDTH = click.option(
    "--width",
    type=click.Choice(WIDTHS),
    default="page",
    show_default=True,
    help="85 or 175 mm.",
)
OUT = click.option("--out", required=True, type=PATH, help="A .png, .svg or .pdf file.")


@click.group(cls=Group)
def figure() -> None:
    """Draw figures from results and opinions."""


@figure.command(
    epilog="Example: sreval figure comparison results --image baboon --region 200,30,90,90 "
    "--out baboon.pdf"
)
@FOLDERS
@click.option(
    "--dataset", help="May be left out where only one has the image, or only one is there."
)
@click.option(
    "--image",
    multiple=True,
    required=True,
    help="An image, by its name in the results or its common name; may be repeated.",
)
@click.option("--method", "methods", multiple=True, help="In that order; default: all.")
@click.option(
    "--region",
    multiple=True,
    help="X,Y,WIDTH,HEIGHT in HR pixels; default: where the methods differ most. Any number of one "
    "image, or one for each of several.",
)
@click.option(
    "--show",
    type=click.Choice(SHOWN),
    default="crops",
    show_default=True,
    help="The images, SR - HR on mid-grey, or |SR - HR| of the luma.",
)
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    help="A value below the crops; may be repeated; default: psnr, ssim.",
)
@WIDTH
@PROTOCOL
@SCALE
@OUT
def comparison(folders: tuple[Path, ...], out: Path, **chosen: Any) -> None:
    """Regions of images under every method, enlarged by pixel repetition."""
    _save(api.read_results(folders).figure("comparison", **chosen), out)


@figure.command(
    epilog="Example: sreval figure scores results --dataset BSD100 --metric ssim --out ssim.svg"
)
@with_scores
@click.option(
    "--dataset",
    help="Or a sequence of frames, such as Vid4/city; may be left out where only one set is there.",
)
@click.option("--metric", help="The metric to show; default: psnr, else the first there is.")
@METHODS
@WIDTH
@PROTOCOL
@SCALE
@OUT
def scores(results: api.Results, out: Path, **chosen: Any) -> None:
    """Every image's score under every method, the best mean first.

    Of one sequence of frames, a line a method over them.
    """
    _save(results.figure("scores", **chosen), out)


@figure.command(
    epilog="Example: sreval figure tradeoff results --dataset BSD100 --x psnr --y lpips --out t.pdf"
)
@with_scores
@click.option("--dataset", help="May be left out where there is only one.")
@click.option("--x", default="psnr", show_default=True, help="The metric of the horizontal axis.")
@click.option("--y", default="lpips", show_default=True, help="That of the vertical axis.")
@click.option("--size", type=click.Choice(SIZES), help="A cost that the area of a marker shows.")
@click.option(
    "--costs",
    type=PATH,
    help="A CSV or JSON that `sreval cost` wrote; `--size parameters` can do without it.",
)
@METHODS
@WIDTH
@PROTOCOL
@SCALE
@OUT
def tradeoff(results: api.Results, out: Path, **chosen: Any) -> None:
    """The perception-distortion plane, a point a method (Blau and Michaeli 2018)."""
    _save(results.figure("tradeoff", **chosen), out)


@figure.command(
    epilog="Example: sreval figure opinions votes.csv --kind scores --dataset BSD100 --out s.pdf"
)
@RATINGS
@click.option("--kind", required=True, type=click.Choice(FIGURES), help="What to show.")
@click.option("--dataset", help="Needed where the votes are on several, but for raters, metrics.")
@UNIT
@with_votes(means=True)
@PROTOCOL
@OUT
def opinions(
    votes: api.Votes, kind: FigureName, results: api.Results | None, out: Path, **chosen: Any
) -> None:
    """Votes: the scores of every method, ranks, significance, raters, all votes, metrics."""
    for note in results.notes if results else ():
        warn(note)
    _save(votes.figure(kind, results=results, **chosen), out)


@figure.command(epilog="Example: sreval figure training runs/srresnet-mse-paper --out curve.svg")
@FOLDERS
@OUT
def training(folders: tuple[Path, ...], out: Path) -> None:
    """Losses and validation scores over the updates.

    Several runs, of one recipe from different seeds, are drawn as faint lines with their mean and,
    of three and more, its 95% interval by Student's t.
    """
    _save(api.Model.training_figure(folders), out)


def _save(drawn: Figure, out: Path) -> None:
    """Write the figure; its caption, which says what was chosen and left out, goes to stderr."""
    save_drawing(drawn, out)
    if caption := drawn.get_supxlabel():
        warn(" ".join(caption.split()))
    click.echo(str(out))
