"""The errors that reach a user, and the exit codes of the commands.

Every message names the thing and the bad value; ``remedy`` says what to do about it.
"""

from __future__ import annotations

import difflib
import errno
import math
import os
import re
import traceback
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from decimal import ROUND_HALF_UP, Context, Decimal
from enum import IntEnum
from functools import lru_cache
from typing import TypeVar


class Exit(IntEnum):
    """With what a command ends."""

    OK = 0
    FAILED = 1
    USAGE = 2
    PARTIAL = 3
    INTERRUPTED = 130


DEBUG = "SREVAL_DEBUG"
UNFORESEEN = "failed in a way it should not"
"""What is said of a fault of the program itself, wherever one is caught."""

NONE = "–"
"""The text for a missing number."""

Made = TypeVar("Made")


_SHOWN = 60
"""Letters of a quoted value."""
_WORD, _MESSAGE = 400, 2000
"""Letters of a path, and of a whole message."""
_QUOTES = re.compile(r"""(?<!\w)(['"])(?:(?!\1)[^\\\n]|\\.)*\1(?!\w)""")
_WORDS = re.compile(rf"\S{{{_WORD + 1},}}")
_BREAKS = re.compile(r"\s*[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]\s*")
_DECIMALS = Context(prec=400, rounding=ROUND_HALF_UP)
"""Room for all digits of the largest float."""
_ADDRESSES = re.compile(r" at 0x[0-9a-fA-F]+")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def without_addresses(text: str) -> str:
    """What Python prints of objects, without where they lie in memory."""
    return _ADDRESSES.sub("", text)


def shown(value: object) -> str:
    """A value as messages quote it, cut where it is long."""
    text = without_addresses(repr(value))
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def shortened(text: str) -> str:
    """A message without control characters, long quotations and long words cut.

    What users write may be of any length and hold anything; every message passes here.
    """
    text = _CONTROLS.sub(lambda found: repr(found[0])[1:-1], text[: 50 * _MESSAGE])
    text = _QUOTES.sub(lambda found: cut(found[0], 4 * _SHOWN), text)
    return cut(_WORDS.sub(lambda found: cut(found[0], _WORD), text), _MESSAGE)


def _sentence(text: str) -> str:
    """``shortened``, on one line: the text of another program's error may have many."""
    return shortened(_BREAKS.sub(" ", text[: 50 * _MESSAGE].strip()))


def cut(text: str, most: int) -> str:
    """A text's beginning and its end, with what lies between left out where it is too long."""
    return text if len(text) <= most else f"{text[: most - most // 4]}…{text[-(most // 4) :]}"


class SrevalError(Exception):
    """Base of all errors that a user can meet: what is wrong, and how to fix it."""

    exit_code = Exit.FAILED

    def __init__(self, message: str, remedy: str = "") -> None:
        self.message, self.remedy = _sentence(message), _sentence(remedy)
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()


class UsageError(SrevalError, ValueError):
    """A call, the command line or a configuration file asks for something that makes no sense."""

    exit_code = Exit.USAGE


class UnknownNameError(UsageError):
    """A name that isn't among those that are known."""


class ImageError(SrevalError):
    """An image file that can't be read or must not be used."""


class ArrayError(SrevalError, ValueError):
    """An array that isn't what a function takes: its type, its range or its shape."""


class DataError(SrevalError):
    """A data set, a folder or a results file that is missing, damaged or inconsistent."""


class WriteError(DataError):
    """A file that can't be written."""


class WeightsError(SrevalError):
    """A file of network weights that is missing, damaged or of another network."""


class TrainingError(SrevalError):
    """A training run that can't begin, go on or be resumed."""


class StatisticsError(SrevalError, ValueError):
    """Numbers from which a statistic can't be computed."""


class StoreError(SrevalError):
    """A database of votes that can't be reached, read or written, or that refuses something."""


_calls: dict[str, str | None] = {"suffix": None}
"""How a running command line ends the names of its options, None where none is running.

All threads that it starts are to see the same.
"""


@contextmanager
def as_command(suffix: str = "") -> Iterator[None]:
    """While it lasts, messages name the options of the command line; otherwise arguments.

    ``suffix`` ends the options' names, where a command has them once for each of two files.
    """
    before = _calls["suffix"]
    _calls["suffix"] = suffix
    try:
        yield
    finally:
        _calls["suffix"] = before


def option(flag: str, argument: str | None = None) -> str:
    """How a user writes it: ``flag`` in a command, ``argument`` in Python.

    Without ``argument`` it is the keyword of that name: ``--stand-ins`` is ``stand_ins=``. Ask for
    it where a message is made, not where a module is imported.
    """
    if (suffix := _calls["suffix"]) is not None:
        name, *value = flag.split(" ", 1)
        return " ".join([name + suffix, *value]) if name.startswith("--") else flag
    return f"{flag[2:].replace('-', '_')}=" if argument is None else argument


def install(extra: str) -> str:
    """The remedy where packages are missing that only some users need: those of an extra."""
    return f"Run: pip install 'sreval[{extra}]'"


def unforeseen(error: Exception) -> str:
    """What a user is told of an unexpected error; the variable DEBUG shows where it came from."""
    what = _sentence(told(error))
    return f"{UNFORESEEN}: {what}. Set {DEBUG}=1 to see where"


def told(error: BaseException) -> str:
    """The error of somebody else's code in a sentence, on a line: its type, and its text if any."""
    text = str(error)
    if isinstance(error, KeyError) and len(error.args) == 1 and isinstance(error.args[0], str):
        text = repr(" ".join(error.args[0].split()))  # its own text writes a line's end as \\n
    text = " ".join(text.split()).rstrip(".")
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def briefly_told(error: BaseException) -> str:
    """As `told`, its first sentence alone."""
    return re.split(r"(?<=\w)\.\s", told(error))[0]


def is_out_of_memory(error: Exception) -> bool:
    """Whether Python, the system, torch on a GPU or the CPU, or onnxruntime ran out of memory."""
    text = str(error).lower()
    return (
        isinstance(error, MemoryError)
        or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
        or type(error).__name__ == "OutOfMemoryError"  # torch's, without importing it
        or "out of memory" in text
        or "can't allocate memory" in text
    )


def attempted(make: Callable[[], Made], *, remedy: bool = False) -> tuple[Made | None, str]:
    """What ``make`` returns and an empty text, or None and the reason why it failed.

    With its ``remedy`` where the user asked for just this.
    One figure that fails must not stop the others, whatever it raises. Any error but SrevalError
    is a fault of the program and is reported as one; with the variable DEBUG set, its traceback
    goes to stderr.
    """
    try:
        return make(), ""
    except SrevalError as error:
        return None, str(error) if remedy else error.message
    except Exception as error:
        if os.environ.get(DEBUG):
            traceback.print_exc()
        return None, f"sreval {unforeseen(error)}."


def listed(names: Sequence[Hashable], most: int = 5) -> str:
    """The first names, and how many more there are."""
    shown = ", ".join(str(name) for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")


def counted(number: int, noun: str) -> str:
    """The number with its noun, in the plural but for one."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def fixed(value: float, digits: int, *, signed: bool = False) -> str:
    """A number with so many decimals; what rounds to zero has no minus, a missing one is a dash.

    Halves are rounded away from zero, and what lies within 1e-8 of the last digit of one is a half:
    the same difference is printed alike whatever sums it comes from, and its reverse is its
    negative. ``signed`` prints a plus, too, as differences need it.
    """
    if not math.isfinite(value):
        return NONE
    near = Decimal(f"{value:.{digits + 8}f}")
    rounded = near.quantize(Decimal(1).scaleb(-digits), context=_DECIMALS)
    if not rounded:
        rounded = abs(rounded)
    return f"{rounded:+f}" if signed else f"{rounded:f}"


@lru_cache(maxsize=65_536, typed=True)
def numbered(name: Hashable) -> tuple[tuple[str | int, ...], str]:
    """A key to sort names by, in which their numbers count as numbers, of whatever length."""
    parts: list[str | int] = []
    for place, part in enumerate(re.split(r"(\d+)", str(name))):
        digits = part.lstrip("0")
        parts += [len(digits), digits] if place % 2 else [part]
    return tuple(parts), str(name)


def duration(seconds: float) -> str:
    """Seconds as `3 h 07 min`, `7 min` or `40 s`; never less than `1 s`."""
    minutes = round(seconds / 60)
    if minutes >= 60:
        return f"{minutes // 60:,} h {minutes % 60:02d} min"
    return f"{minutes} min" if seconds >= 60 else f"{max(1, round(seconds))} s"


def byte_size(size: float) -> str:
    """Bytes as `1.2 GB`, `34 MB` or `5 kB`."""
    if size >= 1e9:
        return f"{size / 1e9:.1f} GB"
    return f"{size / 1e6:.0f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"


def unknown_name(
    kind: str, name: object, known: Iterable[str], remedy: str = ""
) -> UnknownNameError:
    """The error for an unknown name; it suggests the nearest known one."""
    return UnknownNameError(
        f"Unknown {kind} {shown(name)}.", f"{suggestion(str(name), known)} {remedy}".strip()
    )


def check_name(kind: str, name: object, known: Collection[str], remedy: str = "") -> None:
    """Raise UnknownNameError for what is none of the ``known`` names, a list or number too."""
    if not (isinstance(name, str) and name in known):
        raise unknown_name(kind, name, known, remedy)


def not_in_results(
    kind: str,
    name: object,
    known: Iterable[str],
    remedy: str = "",
    *,
    of: str = "",
    where: str = "",
    holder: str = "these results have",
) -> UnknownNameError:
    """The error for a name that results don't have, ``of`` a data set; ``where`` it was read."""
    lead = f"{where}: {holder}" if where else holder[0].upper() + holder[1:]
    return UnknownNameError(
        f"{lead} no {kind} {shown(name)}{f' of {of}' * bool(of)}.",
        f"{suggestion(str(name), known)} {remedy}".strip(),
    )


def suggestion(name: str, known: Iterable[str]) -> str:
    """The known name that is nearest to ``name``, as a question; else all of them."""
    names = sorted(set(filter(None, known)), key=numbered)
    near = difflib.get_close_matches(name[:200], names, n=1, cutoff=0.5)
    if not near:
        folded = {one.casefold(): one for one in names}
        alike = difflib.get_close_matches(name[:200].casefold(), list(folded), n=1, cutoff=0.5)
        near = [folded[one] for one in alike]
    return f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(names) or 'none'}."
