"""Names as users write them: compared in one form, and a pair of folders in one text."""

from __future__ import annotations

import unicodedata

from sreval.errors import UsageError
from sreval.files import exists


def composed(text: str) -> str:
    """A name in Unicode's form NFC: file systems, archives and keyboards differ in it."""
    return unicodedata.normalize("NFC", text)


def one_name(text: str) -> str:
    """A name in the form in which the names of images are compared: NFC, in lower case."""
    return composed(text).casefold()


def pair_parts(spec: str) -> dict[str, str]:
    """The values of ``hr=A,lr=B,name=C`` by key; commas are part of a path that exists.

    Raises UsageError for anything else.
    """
    parts: dict[str, str] = {}
    rest = spec
    while rest:
        key, equals, rest = rest.partition("=")
        if not equals or key not in ("hr", "lr", "name"):
            raise _unreadable(spec, f"{key!r} isn't one of its keys")
        ends = [at for at, letter in enumerate(rest) if letter == ","] + [len(rest)]
        whole = [end for end in ends if key != "name" and end and exists(rest[:end])]
        end = whole[-1] if whole else ends[0]
        if not end or key in parts:
            raise _unreadable(spec, f"{key} is {'given twice' if end else 'empty'}")
        parts[key], rest = rest[:end], rest[end + 1 :]
    if "hr" not in parts:
        raise _unreadable(spec, "it has no hr")
    return parts


def _unreadable(spec: str, why: str) -> UsageError:
    return UsageError(
        f"Can't read the data set {spec!r}: {why}.",
        "Write hr=FOLDER,lr=FOLDER[,name=NAME]. Both folders must exist.",
    )
