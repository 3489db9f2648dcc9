"""What a cell may mean: a name, a number, a flag, guarded text. One rule each, for all readers.

And the order in which names are listed: r2 before r10.
"""

from __future__ import annotations

import math
import re
import unicodedata

from sreval.errors import shown

_BEGIN = r"""((?:\A|[;\t\r\n])[" ]*)"""
"""Where a cell may begin, by whatever separator; quotes and blanks before its text are skipped."""
_ENDS = frozenset(";\t\r\n")
_UNGUARDED = re.compile(rf"{_BEGIN}(?=[=+\-@'＝＋－＠])")
_GUARDED = re.compile(rf"{_BEGIN}'(?=[=+\-@'＝＋－＠])")
_LEADING_BLANK = re.compile(r"\A(?=[\t\r\n])")
_GUARDED_BLANK = re.compile(r"\A'(?=[\t\r\n])")
_FLAGS = {"true": True, "yes": True, "1": True, "1.0": True} | dict.fromkeys(
    ("false", "no", "0", "0.0"), False
)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_COMMA = re.compile(r"[+-]?\d*,\d+", re.ASCII)
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}", re.ASCII)


def guarded(text: str) -> str:
    """Text that no spreadsheet takes for a formula: an apostrophe is put before what might be.

    Also within the text, after a semicolon, a tab or the end of a line: whoever reads the file by
    another separator than the comma finds a cell there.
    https://owasp.org/www-community/attacks/CSV_Injection. ``unguarded`` takes it away again.
    """
    if _harmless(text):
        return text
    return _LEADING_BLANK.sub("'", _UNGUARDED.sub(r"\1'", text))


def unguarded(text: str) -> str:
    """The text that ``guarded`` was given; any other text as it is."""
    if _harmless(text):
        return text
    return _GUARDED.sub(r"\1", _GUARDED_BLANK.sub("", text))


def _harmless(text: str) -> bool:
    """Whether no cell that could be a formula begins anywhere: true of all names, and fast."""
    return text[:1].isalnum() and _ENDS.isdisjoint(text)


def plain(text: str) -> str:
    """The meaning of a cell: its text without blanks around it and without its guard."""
    return unguarded(text.strip()).strip()


def identifier(value: object) -> str:
    """A name as text: without blanks around it, in Unicode's form NFC; 3.0, a float, is '3'."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return unicodedata.normalize("NFC", str(value).strip())


def name_in(column: str, value: object) -> str:
    """A cell of a column of names as its ``identifier``; in an image's a backslash is a ``/``.

    So paths of Windows name the frames that those of other systems name.
    """
    name = identifier(value)
    return name.replace("\\", "/") if column == "image" else name


def flag(value: object) -> bool:
    """True of true, yes and 1, False of false, no and 0, in any case, blanks around them or not.

    Raises ValueError for anything else.
    """
    try:
        return _FLAGS[str(value).strip().casefold()]
    except KeyError:
        raise ValueError(f"{shown(value)} is neither true nor false") from None


def number(value: object) -> float:
    """A finite number in decimal digits, with a point or a comma before its decimals.

    Raises ValueError for anything else, and for 1,234, which may be meant as 1.234 or as 1234.
    """
    text = str(value).strip()
    if not _THOUSANDS.fullmatch(text) and _NUMBER.fullmatch(with_point(text)):
        found = float(with_point(text))
        if math.isfinite(found):
            return found
    raise ValueError(f"{shown(value)} is not a finite number")


def with_point(text: str) -> str:
    """A number's decimal comma as a point; any other text as it is."""
    return text.replace(",", ".") if _COMMA.fullmatch(text) else text


def is_number(value: object) -> bool:
    """Whether ``number`` can read it."""
    try:
        number(value)
    except ValueError:
        return False
    return True


def is_flag(value: object) -> bool:
    """Whether ``flag`` can read it."""
    return str(value).strip().casefold() in _FLAGS
