"""What commands share: arguments, options, votes from a file, and printing.

An option has the name of the argument of the public call that it goes to.
"""

from __future__ import annotations

import functools
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Protocol, get_args

import click

from sreval.api import Study, read_results, read_votes
from sreval.api.votes import Adjustment
from sreval.errors import UsageError
from sreval.files import json_text, write_atomic
from sreval.opinions.tasks import TASKS
from sreval.opinions.units import CLAIMS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from sreval.opinions.votes import Scale

Command = Callable[..., Any]

PATH = click.Path(path_type=Path)


class _ScaleType(click.ParamType):  # type: ignore[type-arg]  # in click 8.1 it isn't generic
    """An upscaling factor, whatever the command: one sentence says what is one."""

    name = "float"

    def convert(self, value: Any, _: object, __: object) -> float:
        """The scale that is written. Raises UsageError as ``read_scale`` does."""
        from sreval.images.scales import checked_scale, read_scale

        return read_scale(value) if isinstance(value, str) else checked_scale(value)


UPSCALING = _ScaleType()


class _Folders(click.Argument):
    def process_value(self, ctx: click.Context, value: Any) -> Any:
        try:
            return super().process_value(ctx, value)
        except click.MissingParameter:
            if file := ctx.params.get("scores"):
                raise UsageError(
                    f"--scores adds to results, and no folder of any is named beside {file}.",
                    "Name the folder: sreval benchmark made it.",
                ) from None
            raise


FOLDERS = click.argument("folders", cls=_Folders, nargs=-1, required=True, type=PATH)
PROTOCOL = click.option(
    "--protocol",
    help="Of the results; default: one that all folders have, ledig2017 before others.",
)
SCALE = click.option("--scale", type=UPSCALING, help="Needed where the results hold several.")
DEGRADE = click.option(
    "--degrade",
    metavar="RECIPE",
    help="How LR images are made: bicubic (default), bd, dn, jpeg, real-esrgan, with parameters as "
    "in jpeg:quality=30, or a TOML file.",
)
SEED = click.option("--seed", type=int, help="Seed of what is drawn; default the recipe's, 0.")
DEVICE = click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda.")

RATINGS = click.argument("ratings", type=PATH)
UNIT = click.option(
    "--unit",
    type=click.Choice(list(CLAIMS)),
    help="What varies in intervals and tests: a claim on raters and images, on raters, or on "
    "images in general; frames of one sequence count as one image. Default: both on a data set "
    "with at least five raters and five images, else rater.",
)
LEVEL = click.option(
    "--level",
    type=click.FloatRange(0.5, 0.999),
    default=0.95,
    show_default=True,
    help="Level of the intervals.",
)
ADJUSTMENT = click.option(
    "--adjustment",
    type=click.Choice(get_args(Adjustment)),
    default="holm",
    show_default=True,
    help="For the p values of all comparisons on one data set.",
)
_YES_OR_NO = click.Choice(["yes", "no"])


def _truth(_: click.Context, __: click.Parameter, choice: str | None) -> bool | None:
    return None if choice is None else choice == "yes"


def _scale(_: click.Context, __: click.Parameter, text: str | None) -> Scale | None:
    from sreval.opinions.votes import Scale

    return None if text is None else Scale.parse(text)


def votes_options(side: str = "", file: str = "") -> tuple[Callable[[Command], Command], ...]:
    """The options on a file of ratings; ``side`` ends their names where a command takes two.

    ``file`` is the option that names it, where it isn't the command's argument.
    """
    suffix = f"-{side}" if side else ""
    of = f"{side.upper() or file}: " if side or file else ""
    return (
        click.option(
            f"--stimuli{suffix}",
            type=PATH,
            help=f"{of}For a matrix of scores: a CSV of its rows' dataset, image, scene, method.",
        ),
        click.option(
            f"--rating-scale{suffix}",
            callback=_scale,
            metavar="LOW..HIGH[/STEP]",
            help=f"{of}Step 1 up to eleven scores, else any number; 1..5/0.5 for half points, "
            "1..5/0 for a slider. Default: what a column rating_scale says, else 1..5.",
        ),
        click.option(
            f"--task{suffix}",
            type=click.Choice(list(TASKS)),
            help=f"{of}What raters were asked; default: what a column task says, else acr.",
        ),
        click.option(
            f"--header{suffix}",
            type=_YES_OR_NO,
            callback=_truth,
            help=f"{of}Whether a matrix' first row names raters.",
        ),
        click.option(
            f"--labels{suffix}",
            type=_YES_OR_NO,
            callback=_truth,
            help=f"{of}Whether its first column names stimuli.",
        ),
        click.option(
            f"--missing{suffix}",
            multiple=True,
            metavar="VALUE",
            help=f"{of}What stands for a vote not cast, beside an empty cell; may be repeated.",
        ),
        click.option(
            f"--without{suffix}",
            multiple=True,
            metavar="RATER",
            help=f"{of}Leave this rater out; may be repeated.",
        ),
    )


_OF_VOTES = votes_options()
_SCORES_FILE = click.option(
    "--scores",
    type=PATH,
    help="A CSV of scores made elsewhere: method, dataset, image, metric, value.",
)
_OF_MEANS = (
    click.option(
        "--results",
        multiple=True,
        type=PATH,
        help="Benchmark results of the same images, for metrics; may be repeated.",
    ),
    _SCORES_FILE,
    click.option(
        "--higher-is-better",
        multiple=True,
        metavar="METRIC",
        help="Of --scores, or a column beside psnr, ssim, lpips in a table of mean opinion scores; "
        "may be repeated.",
    ),
    click.option(
        "--lower-is-better",
        multiple=True,
        metavar="METRIC",
        help="The same, lower is better.",
    ),
)
_SCORES = (
    _SCORES_FILE,
    click.option("--higher-is-better", multiple=True, metavar="METRIC", help="Of --scores."),
    click.option("--lower-is-better", multiple=True, metavar="METRIC", help="The same."),
)


def json_option(about: str = "Machine-readable output.") -> Callable[[Command], Command]:
    """The option --json."""
    return click.option("--json", "as_json", is_flag=True, help=about)


def results_option(about: str) -> Callable[[Command], Command]:
    """The option --results, which may be repeated."""
    return click.option("--results", multiple=True, type=PATH, help=about)


def with_votes(*, means: bool) -> Callable[[Command], Command]:
    """Give a command the options on a file of ratings; read, it is the argument ``votes``.

    The file is the command's own ``ratings``; without it ``votes`` is None. What was left alone or
    taken for granted goes to stderr. ``means`` also gives the options on metrics, those of a table
    of mean opinion scores and those of ``results``, whose notes are for the command to show.
    """
    options = (*_OF_VOTES, *_OF_MEANS) if means else _OF_VOTES

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def wrapped(ratings: Path | None, rating_scale: Scale | None, **others: Any) -> Any:
            names = ["task", "stimuli", "header", "labels", "missing", "without"]
            if means:
                better = ["higher_is_better", "lower_is_better"]
                scores, folders = others.pop("scores"), others["results"]
                others["results"] = read_results(folders) if folders else None
                if scores is None:
                    names += better
                elif not folders:
                    raise UsageError(
                        "--scores are of the images of benchmark results.", "Add --results FOLDER."
                    )
                else:
                    directions = {name: others.pop(name) for name in better}
                    others["results"] = others["results"].with_scores(scores, **directions)
            form = {name: others.pop(name) for name in names}
            votes = None if ratings is None else read_votes(ratings, scale=rating_scale, **form)
            for note in () if votes is None else votes.notes:
                warn(note)
            return command(votes=votes, **others)

        decorated: Command = wrapped
        for option in reversed(options):
            decorated = option(decorated)
        return decorated

    return decorate


def with_scores(command: Command) -> Command:
    """Give a command FOLDERS, --scores and the directions of its metrics, as one ``results``.

    Its notes are for the command to show: a table and a figure's caption have them.
    """

    @functools.wraps(command)
    def wrapped(
        folders: Sequence[Path],
        scores: Path | None,
        higher_is_better: Sequence[str],
        lower_is_better: Sequence[str],
        **others: Any,
    ) -> Any:
        results = read_results(folders)
        if scores is not None:
            results = results.with_scores(
                scores, higher_is_better=higher_is_better, lower_is_better=lower_is_better
            )
        elif higher_is_better or lower_is_better:
            raise UsageError("A direction is of a metric of --scores.", "Add --scores FILE.")
        return command(results=results, **others)

    decorated: Command = wrapped
    for option in reversed(_SCORES):
        decorated = option(decorated)
    return FOLDERS(decorated)


def on_study(command: Command) -> Command:
    """Give a command the argument STUDY and the option --database, as one ``study``."""
    return click.argument("study")(_opened(command))


def for_study(command: Command) -> Command:
    """Give a command the options --study and --database, as one ``study``."""
    option = click.option("--study", required=True, help="A study in the database.")
    return option(_opened(command))


def _opened(command: Command) -> Command:
    @functools.wraps(command)
    def wrapped(study: str, database: str | None, **others: Any) -> Any:
        return command(study=Study(study, database), **others)

    return click.option(
        "--database",
        metavar="URL",
        help="A SQLite file or postgresql://...  [default: SREVAL_DATABASE, else votes.sqlite in "
        "the study's folder]",
    )(wrapped)


BASE_URL = click.option(
    "--base-url",
    metavar="URL",
    help="The address raters know.  [default: SREVAL_BASE_URL, else http://127.0.0.1:8000]",
)


def counting(line: Any) -> Callable[[int, int], None]:
    """What tells a line of progress that so many of so many are done."""

    def tell(done: int, total: int) -> None:
        line.total = total
        line.update(done - line.n)

    return tell


def print_json(content: Any) -> None:
    """Machine-readable output on stdout."""
    click.echo(json_text(content))


class Printed(Protocol):
    """Tables of an analysis, as text, as records, and as files in a folder."""

    @property
    def text(self) -> str:
        """All tables with their notes."""

    def records(self) -> dict[str, Any]:
        """Every value in full."""

    def write(self, out: Path) -> Sequence[str] | None:
        """Write the files; which figures can't be drawn, and why."""


def show_analysis(found: Printed, notes: Sequence[str], as_json: bool, out: Path | None) -> None:
    """Print an analysis with ``notes`` on stderr, and write it to the folder ``out``."""
    for note in notes:
        warn(note)
    if as_json:
        print_json(found.records())
    else:
        click.echo(found.text, nl=False)
    if out is not None:
        for why in found.write(out) or ():
            warn(f"Not drawn: {why}")
        click.echo(str(out), err=as_json)


def warn(text: str) -> None:
    """A line on stderr, so that what is printed can still be read by a program."""
    click.echo(text, err=True)


def for_terminal() -> dict[str, Any]:
    """How ``Table.render`` prints on stdout: coloured (https://no-color.org) and split, or not."""
    if not sys.stdout.isatty():
        return {}
    colour = not os.environ.get("NO_COLOR")
    return {"colour": colour, "width": shutil.get_terminal_size().columns}


def require_file(out: Path | None) -> None:
    """Raises UsageError for a folder: before a long piece of work, not after it."""
    if out is not None and out.is_dir():
        raise UsageError(f"{out} is a folder.", "Name a file.")


def require_folder(out: Path | None) -> None:
    """Raises UsageError for a folder that can't be written: before a piece of work, not after it.

    Nothing is left behind: what is tried is the nearest folder that exists.
    """
    if out is None:
        return
    there = next(folder for folder in (out.absolute(), *out.absolute().parents) if folder.exists())
    try:
        with TemporaryDirectory(dir=there):
            pass
    except OSError as error:
        raise UsageError(
            f"No folder can be written at {out}: {error.strerror}.", "Name another one."
        ) from None


def require_drawing(path: Path | None) -> None:
    """Raises UsageError for what can't be a figure's file: before a piece of work."""
    if path is None:
        return
    from sreval.report.style import figure_form

    figure_form(path)
    require_file(path)
    require_folder(path.parent)


def save_drawing(drawn: Figure, path: Path) -> None:
    """Write a figure, and say which of its letters no font here has."""
    from sreval.report.style import letters_without_font, save_figure

    save_figure(drawn, path)
    if path.suffix != ".svg" and (letters := letters_without_font(drawn)):
        warn(f"No font here has {letters}. An .svg is shown with its reader's fonts.")


def put(text: str, out: Path | None) -> None:
    """Print text, or write it to a file and print the file's path."""
    if out is None:
        click.echo(text, nl=False)
        return
    require_file(out)
    write_atomic(out, text)
    click.echo(str(out))
