"""``sreval study power``: how many raters a difference needs."""

from __future__ import annotations

import json
from typing import Literal

import click

from sreval import api
from sreval.api.votes import Adjustment
from sreval.cli.output import print_json, progress_line
from sreval.cli.ratings import ADJUSTMENT
from sreval.opinions.units import STUDIES


@click.command(epilog="Example: sreval study power --difference 0.2 --images 100 --raters 26")
@click.option(
    "--difference",
    "differences",
    multiple=True,
    type=click.FloatRange(0, min_open=True),
    default=(0.1, 0.2, 0.3),
    show_default=True,
    help="True difference of two methods in points; may be repeated.",
)
@click.option(
    "--raters",
    multiple=True,
    type=click.IntRange(2),
    default=(6, 8, 10, 13, 16, 20, 26, 34, 44, 56),
    show_default=True,
)
@click.option(
    "--images", multiple=True, type=click.IntRange(1), default=(14, 100), show_default=True
)
@click.option("--unit", type=click.Choice(["rater", "image"]), default="rater", show_default=True)
@click.option(
    "--methods",
    type=click.IntRange(2),
    default=2,
    show_default=True,
    help="Methods of the study, all pairs of which are compared.",
)
@click.option(
    "--comparisons",
    type=click.IntRange(1),
    help="Comparisons of a study that plans fewer.  [default: all pairs of the methods]",
)
@ADJUSTMENT
@click.option(
    "--alpha",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.05,
    show_default=True,
)
@click.option(
    "--target",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.8,
    show_default=True,
)
@click.option("--studies", type=click.IntRange(1), default=STUDIES, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Every figure in full.")
def power(
    differences: tuple[float, ...],
    raters: tuple[int, ...],
    images: tuple[int, ...],
    unit: Literal["rater", "image"],
    methods: int,
    comparisons: int | None,
    adjustment: Adjustment,
    alpha: float,
    target: float,
    studies: int,
    seed: int,
    as_json: bool,
) -> None:
    """How many raters and images a difference needs, by simulation from the rater model.

    The power of one two-sided signed-rank test over the unit, among all that the study makes, and
    the fewest raters that reach the target.
    """
    with progress_line(len(differences) * len(images), "simulating", "curve") as line:
        curve = api.power(
            differences,
            raters=raters,
            images=images,
            unit=unit,
            methods=methods,
            comparisons=comparisons,
            adjustment=adjustment,
            alpha=alpha,
            target=target,
            studies=studies,
            seed=seed,
            progress=lambda done, total: line.update(),
        )
    needed = curve[["difference", "n_images", "raters_needed"]].drop_duplicates(ignore_index=True)
    needed = needed.rename(columns={"raters_needed": "n_raters"})
    if as_json:
        frames = {"curve": curve.drop(columns=["raters_needed", "target"]), "raters_needed": needed}
        print_json({k: json.loads(f.to_json(orient="records")) for k, f in frames.items()})
        return
    from sreval.report.study_text import power_text

    click.echo(power_text(curve, needed, target), nl=False)
