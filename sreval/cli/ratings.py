"""What commands that read ratings share: the options, and votes from a file."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from sreval.api import Votes, read_votes
from sreval.api.votes import Adjustment
from sreval.cli.output import warn
from sreval.opinions.units import DEFAULT_UNIT

if TYPE_CHECKING:
    from sreval.opinions.votes import Scale

RATINGS = click.argument("ratings", type=click.Path(path_type=Path))
WITHOUT = click.option(
    "--without", multiple=True, metavar="RATER", help="Leave this rater out; may be repeated."
)
UNIT = click.option(
    "--unit",
    type=click.Choice(["rater", "image", "pooled"]),
    default=DEFAULT_UNIT,
    show_default=True,
    help="What varies in intervals and tests: a claim on raters, or on images, in general.",
)
ADJUSTMENT = click.option(
    "--adjustment",
    type=click.Choice(get_args(Adjustment)),
    default="holm",
    show_default=True,
    help="For the p values of all comparisons on one data set.",
)
_HIGHER = click.option(
    "--higher-is-better",
    "higher",
    multiple=True,
    metavar="COLUMN",
    help="In a table of mean opinion scores, a metric beside psnr, ssim, lpips; may be repeated.",
)
_LOWER = click.option(
    "--lower-is-better", "lower", multiple=True, metavar="COLUMN", help="The same, lower is better."
)
_YES_OR_NO = click.Choice(["yes", "no"])
_FORM = (
    click.option(
        "--stimuli",
        type=click.Path(path_type=Path),
        help="For a matrix of scores: a CSV of its rows' dataset, image, scene, method.",
    ),
    click.option(
        "--rating-scale",
        default="1..5",
        show_default=True,
        metavar="LOW..HIGH[/STEP]",
        help="Step 1 up to eleven scores, else any number; 1..5/0.5 for half points, 1..5/0 for "
        "a slider.",
    ),
    click.option("--header", type=_YES_OR_NO, help="Whether a matrix' first row names raters."),
    click.option("--labels", type=_YES_OR_NO, help="Whether its first column names stimuli."),
    click.option(
        "--missing",
        multiple=True,
        metavar="VALUE",
        help="What stands for a vote not cast, beside an empty cell; may be repeated.",
    ),
)


@dataclass(frozen=True)
class Form:
    """What the command line says of a file of ratings; as in ``read_votes``."""

    scale: Scale
    stimuli: Path | None
    header: bool | None
    labels: bool | None
    missing: tuple[str, ...]


def form_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options on a file of ratings, as one argument ``form``."""

    @functools.wraps(command)
    def wrapped(
        stimuli: Path | None,
        rating_scale: str,
        header: str | None,
        labels: str | None,
        missing: tuple[str, ...],
        **others: Any,
    ) -> None:
        from sreval.opinions.votes import Scale

        scale = Scale.parse(rating_scale)
        command(form=Form(scale, stimuli, _truth(header), _truth(labels), missing), **others)

    decorated: Callable[..., None] = wrapped
    for option in reversed(_FORM):
        decorated = option(decorated)
    return decorated


def better_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that name the metrics of a table of means."""
    return _HIGHER(_LOWER(command))


def _truth(choice: str | None) -> bool | None:
    return None if choice is None else choice == "yes"


def load(
    path: Path,
    form: Form,
    without: Sequence[str] = (),
    higher: Sequence[str] = (),
    lower: Sequence[str] = (),
) -> Votes:
    """``read_votes`` of a file; what was left alone or taken for granted goes to stderr."""
    votes = read_votes(
        path,
        scale=form.scale,
        stimuli=form.stimuli,
        header=form.header,
        labels=form.labels,
        missing=form.missing,
        without=without,
        higher_is_better=higher,
        lower_is_better=lower,
    )
    for note in votes.notes:
        warn(note)
    return votes
