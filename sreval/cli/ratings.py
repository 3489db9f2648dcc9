"""What commands that read ratings share: the options, and votes from a file."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import pandas as pd

from sreval.cli.output import warn
from sreval.errors import StatisticsError, UsageError, listed
from sreval.report.collect import collect, scored, select
from sreval.report.opinion_metrics import own_metrics
from sreval.statistics.cells import identifier, number
from sreval.statistics.heads import head_key
from sreval.statistics.multiplicity import ADJUSTMENTS
from sreval.statistics.reading import (
    Reading,
    is_means,
    needs_votes,
    read_ratings,
)
from sreval.statistics.units import DEFAULT_UNIT
from sreval.statistics.votes import Scale, without_raters

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
    type=click.Choice(list(ADJUSTMENTS)),
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
    """What the command line says of a file of ratings; as in ``read_ratings``."""

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
        scale = parse_scale(rating_scale)
        command(form=Form(scale, stimuli, _truth(header), _truth(labels), missing), **others)

    decorated: Callable[..., None] = wrapped
    for option in reversed(_FORM):
        decorated = option(decorated)
    return decorated


def better_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that name the metrics of a table of means."""
    return _HIGHER(_LOWER(command))


def directions(higher: Sequence[str], lower: Sequence[str]) -> dict[str, bool]:
    """Of each named metric whether higher is better. Raises UsageError for one named both ways."""
    both = set(map(head_key, higher)) & set(map(head_key, lower))
    if both:
        raise UsageError(
            f"{listed(sorted(both))} can't be better when higher and when lower.", "Name it once."
        )
    return dict.fromkeys(higher, True) | dict.fromkeys(lower, False)


def _truth(choice: str | None) -> bool | None:
    return None if choice is None else choice == "yes"


def parse_scale(text: str) -> Scale:
    """``LOW..HIGH`` or ``LOW..HIGH/STEP``. Raises UsageError."""
    ends, slash, step = text.partition("/")
    low, _, high = ends.partition("..")
    try:
        return Scale(_number(low), _number(high), _number(step) if slash else None)
    except StatisticsError as error:
        raise UsageError(f"--rating-scale {text}: {error.message}", error.remedy) from None
    except ValueError:
        raise UsageError(
            f"Can't read the scale {text!r}.",
            "Write LOW..HIGH, such as 1..5, or LOW..HIGH/STEP, such as 1..5/0.5.",
        ) from None


def _number(text: str) -> float:
    value = number(text)
    return int(value) if value.is_integer() else value


def load_ratings(path: Path, form: Form) -> Reading:
    """What a file of ratings holds; what was left alone or taken for granted goes to stderr."""
    found = read_ratings(
        path,
        scale=form.scale,
        stimuli=form.stimuli,
        header=form.header,
        labels=form.labels,
        missing=form.missing,
    )
    for note in found.notes:
        warn(note)
    return found


def left_out(votes: pd.DataFrame, without: Sequence[str]) -> pd.DataFrame:
    """The checked votes with those of the raters ``without`` marked as not accepted.

    Raises what without_raters raises.
    """
    if not without:
        return votes
    without_raters(votes, without)
    excluded = votes["rater"].isin([identifier(rater) for rater in without])
    reason = votes["reason"] if "reason" in votes else pd.Series(None, votes.index, object)
    return votes.assign(
        reason=reason.mask(excluded & votes["accepted"], "left out by name"),
        accepted=votes["accepted"] & ~excluded,
    )


def load_votes(path: Path, form: Form, without: Sequence[str] = ()) -> pd.DataFrame:
    """The checked votes of a file for a table, those of ``without`` marked as not accepted.

    Raises what read_ratings and without_raters raise, StatisticsError for a table of means.
    """
    table = load_ratings(path, form).table
    if is_means(table):
        raise needs_votes(f"{path}: sreval table")
    return left_out(table, without)


def load_opinions(
    path: Path, form: Form, without: Sequence[str], better: Mapping[str, bool]
) -> tuple[Reading, Mapping[str, bool]]:
    """The checked votes of a file, or its table of means with ``better``, its named metrics.

    What was left alone or taken for granted is in the notes, and goes to stderr.

    Raises what read_ratings and without_raters raise, UsageError for an option on the other kind.
    """
    read = load_ratings(path, form)
    table = read.table
    if not is_means(table):
        if better:
            raise UsageError(
                f"{path} holds votes, so its further columns aren't metrics.",
                "Leave out --higher-is-better and --lower-is-better; name results by --results.",
            )
        return replace(read, table=left_out(table, without)), better
    if without:
        raise needs_votes("--without")
    others = own_metrics(table, better)[1]
    if others:
        note = (
            f"{path}: further columns are left alone: {listed(others, 20)}. A metric among them "
            "is named by --higher-is-better or --lower-is-better."
        )
        warn(note)
        read = replace(read, notes=(*read.notes, note))
    return read, better


def load_scores(
    folders: Sequence[Path], protocol: str | None, scale: int | None = None
) -> pd.DataFrame | None:
    """The benchmark's scores of one protocol and scale, None without folders."""
    return scored(select(collect(folders, warn), protocol, scale)) if folders else None
