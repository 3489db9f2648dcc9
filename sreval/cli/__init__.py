"""The commands: parse, call, print. A room is imported only when its command runs."""

from __future__ import annotations

import atexit
import codecs
import errno
import gc
import importlib
import io
import logging
import os
import signal
import sys
import threading
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import click

from sreval import __version__
from sreval.content import user_path
from sreval.devices import keep_freed_memory
from sreval.errors import (
    DEBUG,
    Exit,
    SrevalError,
    UsageError,
    as_command,
    is_out_of_memory,
    shortened,
    unforeseen,
)
from sreval.files import require_text

COMMANDS = {
    "data": ("sreval.cli.data:data", "List, fetch, check and downscale data sets."),
    "benchmark": ("sreval.cli.benchmark:benchmark", "Run methods on data sets and score them."),
    "train": ("sreval.cli.training:train", "Train a model by its recipe."),
    "models": ("sreval.cli.training:models", "List, show, verify and publish models."),
    "upscale": ("sreval.cli.benchmark:upscale", "Enlarge your own pictures."),
    "cost": ("sreval.cli.cost:cost", "Measure what methods cost: operations, time, memory."),
    "table": ("sreval.cli.table:table", "Print results as the paper's tables."),
    "opinions": ("sreval.cli.opinions:opinions", "Analyse votes: MOS, tests, raters, metrics."),
    "preferences": (
        "sreval.cli.preferences:preferences",
        "Analyse judgements of pairs: which of two was preferred.",
    ),
    "metrics-study": (
        "sreval.cli.metrics_study:metrics_study",
        "Say which metric to trust where, by what raters said.",
    ),
    "study": ("sreval.cli.study:study", "Design, plan and run an opinion study."),
    "serve": ("sreval.cli.site:serve", "Serve a study's rating site from this machine."),
    "operator": ("sreval.cli.site:operator", "Manage accounts for a study's operator pages."),
    "report": ("sreval.cli.report:report", "Report a study: one page, tables, figures."),
    "archive": ("sreval.cli.report:archive", "Pack what a paper's supplement needs."),
    "figure": ("sreval.cli.figure:figure", "Draw figures from results and opinions."),
    "compare-protocols": (
        "sreval.cli.table:compare_protocols",
        "Show which score other tools give the same images.",
    ),
    "compare-studies": (
        "sreval.cli.compare_studies:compare_studies",
        "Compare two panels' opinions: scores, line, order.",
    ),
    "demo": ("sreval.cli.demo:demo", "Try everything once, on photographs that are installed."),
}

_READERS = {
    *("data", "models", "table", "opinions", "preferences", "metrics-study", "report", "archive"),
    *("figure", "compare-protocols", "compare-studies"),
}
"""Commands that read, print and end; others serve, train or hold a device's memory."""

_NEW_OBJECTS = 50_000


class Group(click.Group):
    """A group that refuses an option given twice, of which click would take the last."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command, whose options are given once each. Raises UsageError."""
        name, command, rest = super().resolve_command(ctx, args)
        if command and not isinstance(command, click.Group):
            parser = command.make_parser(click.Context(command, ctx, name))
            given: list[click.Parameter] = []
            with suppress(click.UsageError):  # which the command itself will raise
                given = parser.parse_args(list(rest))[2]
            for option, times in Counter(given).items():
                if not isinstance(option, click.Option) or option.multiple or option.is_flag:
                    continue
                if times > 1:
                    often = "twice" if times == 2 else f"{times} times"
                    raise UsageError(
                        f"{option.opts[0]} was given {often}, and it takes one value.",
                        "Give it once.",
                    )
        return name, command, rest


class LazyGroup(Group):
    """A group whose commands are imported when they are called, not before.

    ``table`` holds ("module:attribute", "what it does") by name, in the order of the work.
    """

    def __init__(self, *args: Any, table: Mapping[str, tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.table = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of the work."""
        return list(self.table)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import the command of that name."""
        if name not in self.table:
            return None
        module, _, attribute = self.table[name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, about) in self.table.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Suggest the nearest command for one that doesn't exist."""
        import difflib

        if args and args[0] not in self.table and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], self.table, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            ctx.fail(f"No such command {args[0]!r}.{hint}")
        return super().resolve_command(ctx, args)


@click.group(
    cls=LazyGroup,
    table=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Example: sreval benchmark --method bicubic --dataset Set5 --out results",
)
@click.version_option(__version__, prog_name="sreval")
@click.pass_context
def cli(context: click.Context) -> None:
    """Evaluation and opinion studies for super-resolution, from images to a result table."""
    context.with_resource(as_command())


def main(args: list[str] | None = None) -> None:
    """Run a command line; errors become one sentence on stderr and an exit code."""
    _open_streams()
    args = sys.argv[1:] if args is None else args
    fail = partial(_end, args)
    try:
        Path.cwd()
    except FileNotFoundError:
        fail("Error: The working directory no longer exists. Change to another.", Exit.FAILED)
    # What decoders have to say about a damaged file stands in the one sentence on it.
    warnings.filterwarnings("ignore", category=UserWarning, module="PIL")
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    # A notebook hands on its own to what it starts, and matplotlib refuses one that isn't here.
    os.environ["MPLBACKEND"] = "agg"
    # At its end Python looks through all that torch has made for garbage, for most of a second.
    atexit.register(gc.freeze)
    if args[:1] and args[0] in _READERS:
        # Python looks for garbage after each 700 new objects, which is a tenth of a report's time;
        # these commands end soon, and little of theirs waits for it.
        gc.set_threshold(_NEW_OBJECTS)
        # numpy's matrices here are small: the threads of a product wait for each other longer
        # than it takes, and the last digit of a sum depends on how many they are.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        keep_freed_memory()  # large tables are taken and freed by the hundred
    code: Any = 0
    try:
        with _interrupted_by_signals():
            args = [_with_home(arg) for arg in args]
            for arg in args:
                require_text(arg)
            code = cli.main(args, standalone_mode=False)
    except (click.exceptions.Abort, KeyboardInterrupt):
        fail("Interrupted.", Exit.INTERRUPTED)
    except click.ClickException as error:
        with io.StringIO() as told:
            error.show(told)
            fail(shortened(told.getvalue().rstrip()), error.exit_code)
    except SrevalError as error:
        fail(f"Error: {error}", error.exit_code)
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            what = error.filename or "the output"
            fail(f"Error: Can't write {what}: {error.strerror}. Free space first.", Exit.FAILED)
        if is_out_of_memory(error):
            fail(
                "Error: There is not enough memory. End other programs, or ask for less at a time: "
                "a smaller batch, tile, network or picture, or fewer workers.",
                Exit.FAILED,
            )
        if os.environ.get(DEBUG):
            raise
        fail(f"Error: sreval {unforeseen(error)}.", Exit.FAILED)
    sys.exit(code if isinstance(code, int) else 0)


class _StoppedError(KeyboardInterrupt):
    """An interruption by a signal; of the plain one Python says SIGINT to whoever waits for it."""


@contextmanager
def _interrupted_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP, which batch systems and closed terminals send, act as Ctrl-C does.

    The exit code of a command that they interrupt names the signal, as shells do.
    """

    received: list[int] = []
    before: dict[int, Any] = {}

    def receive(number: int, _frame: object) -> None:
        received.append(number)
        for each, handler in before.items():  # a second one ends it at once
            signal.signal(each, handler)
        raise _StoppedError

    if threading.current_thread() is threading.main_thread():
        numbers = [signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
        before = {number: signal.getsignal(number) for number in numbers}
        before = {number: own for number, own in before.items() if own is signal.SIG_DFL}
        for number in before:
            signal.signal(number, receive)
    try:
        yield
    except (SystemExit, KeyboardInterrupt, click.exceptions.Abort) as error:
        if not received:
            raise
        if not isinstance(error, SystemExit):
            click.echo("Interrupted.", err=True)
        elif error.code != Exit.INTERRUPTED:
            raise
        raise SystemExit(128 + received[0]) from None
    finally:
        for number, own in before.items():
            signal.signal(number, own)


def _told_elsewhere(args: list[str]) -> bool:
    """Whether this is one of several processes that train, of which another tells."""
    if args[:1] != ["train"]:
        return False
    from sreval.training.ranks import told_by_the_first

    return told_by_the_first()


def _with_home(arg: str) -> str:
    """The argument with its ~ as the home, which shells leave alone after = and within quotes."""
    option, equals, path = arg.partition("=") if arg.startswith("--") else ("", "", arg)
    at_home = path == "~" or path.startswith(("~/", "~\\"))
    return f"{option}{equals}{user_path(path)}" if at_home else arg


def _open_streams() -> None:
    """A stream that the caller closed is an empty one; libraries expect all three.

    On one whose encoding lacks a sign, plainer signs take its place.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115
    codecs.register_error("sreval-plain", _plainer)
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="sreval-plain")


_PLAIN = {"∞": "inf", "–": "-", "−": "-", "×": "x", "‡": "#", "…": "...", "·": ".", "\u2007": " "}


def _plainer(error: UnicodeError) -> tuple[str, int]:
    """What is printed for the letters that a stream can't encode."""
    assert isinstance(error, UnicodeEncodeError)
    letters = error.object[error.start : error.end]
    return "".join(_PLAIN.get(letter, "?") for letter in letters), error.end


def _end(args: list[str], message: str, code: int) -> None:
    if not _told_elsewhere(args):
        click.echo(message, err=True)
    sys.exit(code)
