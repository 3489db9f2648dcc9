"""What commands that read ratings share: the options, and votes from a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
import pandas as pd

from sreval.cli.output import warn
from sreval.errors import UsageError
from sreval.report.collect import collect, scored, select
from sreval.statistics.votes import Scale, without_raters
from sreval.study.imports import read_ratings

RATINGS = click.argument("ratings", type=click.Path(path_type=Path))
STIMULI = click.option(
    "--stimuli",
    type=click.Path(path_type=Path),
    help="For a matrix of scores: a CSV of its rows' dataset, image, scene, method.",
)
RATING_SCALE = click.option(
    "--rating-scale", default="1..5", show_default=True, help="Lowest..highest score."
)
WITHOUT = click.option(
    "--without", multiple=True, metavar="RATER", help="Leave this rater out; may be repeated."
)
UNIT = click.option(
    "--unit",
    type=click.Choice(["rater", "image", "pooled"]),
    default="rater",
    show_default=True,
    help="What varies in intervals and tests: a claim on raters, or on images, in general.",
)


def parse_scale(text: str) -> Scale:
    """``LOW..HIGH``. Raises UsageError."""
    low, dots, high = text.partition("..")
    try:
        scale = Scale(int(low), int(high))
    except ValueError:
        scale = Scale(0, 0)
    if not dots or scale.high <= scale.low:
        raise UsageError(f"Can't read the scale {text!r}.", "Write LOW..HIGH, such as 1..5.")
    return scale


def load_votes(
    path: Path, stimuli: Path | None, scale: Scale, without: Sequence[str] = ()
) -> pd.DataFrame:
    """The checked votes of a file, with those of ``without`` marked as not accepted.

    Raises what read_ratings and without_raters raise.
    """
    votes = read_ratings(path, stimuli=stimuli, scale=scale)
    votes["rater"] = votes["rater"].astype(str)
    without_raters(votes, without)
    if without:
        excluded = votes["rater"].isin(without)
        reason = votes["reason"] if "reason" in votes else pd.Series(None, votes.index, object)
        votes["reason"] = reason.mask(excluded & votes["accepted"], "left out by name")
        votes["accepted"] &= ~excluded
    return votes


def load_scores(
    folders: Sequence[Path], protocol: str | None, scale: int | None = None
) -> pd.DataFrame | None:
    """The benchmark's scores of one protocol and scale, None without folders."""
    return scored(select(collect(folders, warn), protocol, scale)) if folders else None
