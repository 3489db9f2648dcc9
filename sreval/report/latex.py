"""A table in LaTeX: escaped, measured, and split where it is wider or higher than a page."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import cache

from sreval.report.table import Cell, Column, Row, Table, groups_of, parts_of, spans, split
from sreval.report.text import one_line

_MM = 72.27 / 25.4
"""A millimetre in TeX's points, in which all widths here are."""

COLUMN, PAGE = 82 * _MM, 174 * _MM
"""What a table must fit: the column and the page of CVPR, the narrowest of the usual ones."""

_STUDY_PAGE = 170 * _MM
"""What a table of a study must fit, see templates/study.tex."""

_LINES = 50
"""Rows that fit a page with the notes below them."""

_SEPARATION = 6.0
"""The room between two columns."""

_NAME, _HEADING = 64.0, 42.0
"""The longest line of a name before figures, and of a heading over them, in a wide table."""

_FONT, _SMALL = r"\fontsize{8}{9.5}\selectfont", r"\fontsize{7}{8.5}\selectfont"

_FLOAT = r"""\begin{%(float)s}
\centering%(font)s\setlength{\tabcolsep}{3pt}\sisetup{mode=text,group-digits=none}
\def\ci#1{{\fontsize{7}{8.5}\selectfont #1}}
%(caption)s
\begin{tabular}{%(columns)s}
\toprule
%(head)s
\midrule
%(body)s
\bottomrule
\end{tabular}%(notes)s
\end{%(float)s}
"""

_NOTES = r"""\par\smallskip
\begin{minipage}{\linewidth}%s\raggedright
%s
\end{minipage}"""

_LONGTABLE = r"""\begin{longtable}{%(columns)s}
\caption{%(caption)s}\\
\toprule
%(head)s
\midrule\endhead
%(body)s
\bottomrule
\end{longtable}
"""

_JOINT = "\0"
"""Stands between two hyphens, of which LaTeX would make a dash."""

_OPENING = {'"': "“", "'": "‘"}

_SPECIAL = {
    _JOINT: "{}",
    "\\": r"\textbackslash{}",
    **{char: f"\\{char}" for char in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "|": r"\textbar{}",
    "*": r"\textasteriskcentered{}",
    "`": r"\textasciigrave{}",
    "'": "'{}",
    '"': "''",
    "<": "$<$",
    ">": "$>$",
    "[": "{[}",
    "]": "{]}",
    "‐": "-",
    "‑": "-",
    "–": "--",
    "—": "---",
    "−": "$-$",
    "±": r"$\pm$",
    "×": r"$\times$",
    "·": r"$\cdot$",
    "∞": r"$\infty$",
    "≤": r"$\le$",
    "≥": r"$\ge$",
    "≠": r"$\neq$",
    "≈": r"$\approx$",
    "→": r"$\to$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "°": r"$^\circ$",
    "†": r"\dag{}",
    "‡": r"\ddag{}",
    "§": r"\S{}",
    "©": r"\copyright{}",
    "¹": r"\textsuperscript{1}",
    "²": r"\textsuperscript{2}",
    "³": r"\textsuperscript{3}",
    "‘": "`",
    "’": "'",
    "“": "``",
    "”": "''",
    "…": r"\dots{}",
    "µ": r"$\mu$",
    **{char: f"\\{name}{{}}" for char, name in zip(
        "ßæÆœŒøØåÅłŁ", ("ss", "ae", "AE", "oe", "OE", "o", "O", "aa", "AA", "l", "L"),
        strict=True)},
}  # fmt: skip

_ACCENTS = dict(
    zip(
        "\u0300\u0301\u0302\u0303\u0308\u0304\u0306\u0307\u030a\u030c\u030b\u0327",
        "`'^~\"=u.rvHc",
        strict=True,
    )
)
"""Combining accents that every encoding of pdflatex has, and LaTeX's commands for them."""

_GREEK = {
    *("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa"),
    *("lambda", "mu", "nu", "xi", "pi", "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi"),
    *("omega", "Gamma", "Delta", "Theta", "Lambda", "Xi", "Pi", "Sigma", "Upsilon", "Phi", "Psi"),
    "Omega",
}


_WIDTHS = {
    char: width
    for width, chars in {
        0.28: "il.,:;!'`[]|",
        0.34: "fj -",
        0.40: "rstI()",
        0.45: "cez",
        0.53: 'agokvxyJ0123456789/?$*"\\{}~^_',
        0.56: "bdhnpquS",
        0.66: "FLZ",
        0.75: "wABCEHNPRTUVXY",
        0.79: "DGKOQ&+=<>@",
        0.84: "m%#",
        1.03: "MW",
    }.items()
    for char in chars
}
"""Widths in Computer Modern Roman at 10 pt (cmr10) in em, rounded up; Times is narrower."""

_EM = {8: 8.5, 7: 7.95, 6: 7.3}
"""An em of _WIDTHS at each size: smaller sizes of Computer Modern are relatively wider."""

_BOLD = 1.16
"""How much wider bold figures are than others."""


def latex_escape(text: str) -> str:
    """Text for pdflatex in one line, without control characters; Greek is set as mathematics.

    What pdflatex can't set is named by its code point, [U+4E2D]. Brackets are set in braces:
    behind ``\\\\`` they would be taken for its argument. Straight quotes that begin a word open.
    """
    apart = re.sub("-(?=-)", "-" + _JOINT, _composed(text))
    opened = re.sub(r"(?<![^\s(\[{])[\"'](?=\S)", lambda mark: _OPENING[mark[0]], apart)
    return _HASH.sub(_breakable, "".join(map(_escape, opened)))


_HASH = re.compile(r"(?<![0-9A-Za-z])[0-9a-f]{64}(?![0-9A-Za-z])")


def _breakable(sha256: re.Match[str]) -> str:
    """A SHA-256 that may go on in a new line, without a hyphen or a ligature: it may be copied."""
    parts = (re.sub("f(?=f)", "f{}", sha256[0][n : n + 16]) for n in range(0, 64, 16))
    return r"\allowbreak{}".join(f"\\mbox{{{part}}}" for part in parts)


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", one_line(text))


@cache
def _escape(char: str) -> str:
    if found := _SPECIAL.get(char) or _greek(char):
        return found
    if char.isascii():
        return char
    base, accent = _parts(char)
    return f"\\{accent}{{{base}}}" if accent else latex_escape(_code_point(char)) + r"\allowbreak{}"


def _code_point(char: str) -> str:
    return f"[U+{ord(char):04X}]"


def _parts(char: str) -> tuple[str, str]:
    """A Latin letter and LaTeX's command for its accent; else the character and nothing."""
    apart = unicodedata.normalize("NFD", char)
    base, accent = apart[:1], apart[1:]
    if accent in _ACCENTS and base.isascii() and base.isalpha():
        return base, _ACCENTS[accent]
    return char, ""


def _greek(char: str) -> str:
    """A Greek letter as mathematics; empty for any other character."""
    script, _, letter = unicodedata.name(char, "").partition(" LETTER ")
    letter = letter.replace("LAMDA", "LAMBDA").lower()
    name = {"GREEK SMALL": letter, "GREEK CAPITAL": letter.capitalize()}.get(script, "")
    return f"$\\{name}$" if name in _GREEK else ""


def text_width(text: str, size: int = 8) -> float:
    """How wide a text is at most, in pt; ``size`` is 8, 7 or 6 pt."""
    return sum(map(_char_width, _composed(text))) * _EM[size]


@cache
def _char_width(char: str) -> float:
    base, accent = _parts(char)
    if base in _WIDTHS:
        return _WIDTHS[base] + (0.04 if accent else 0)
    if char in _SPECIAL or _greek(char):
        return 1.34  # the widest, an ellipsis
    return sum(map(_WIDTHS.__getitem__, _code_point(char)))


def _lines(text: str, most: float) -> list[str]:
    """A text in lines of at most ``most`` pt, broken behind a space, a hyphen or the like."""
    whole = _composed(text)
    if text_width(whole) <= most:
        return [whole]
    lines = [""]
    for word in re.findall(r"[^\s_/,-]*[\s_/,-]?", whole):
        if lines[-1] and text_width((lines[-1] + word).strip()) > most:
            lines.append("")
        for char in word:
            if lines[-1] and text_width((lines[-1] + char).strip()) > most:
                lines.append("")
            lines[-1] += char
    return [line.strip() for line in lines if line.strip()] or [""]


def _stacked(lines: Sequence[str], align: str) -> str:
    escaped = list(map(latex_escape, lines))
    stack = r"\\".join(escaped)
    return escaped[0] if len(lines) == 1 else f"\\shortstack[{align}]{{{stack}}}"


class _Setting:
    """How one column is set: ``specification``, ``width`` in pt, how many columns it ``spans``.

    Figures stand in a column of siunitx, aligned at the point. One that is bold, underlined or
    marked is text there, padded to the width of the others; the column has room for the mark on
    its right. What stands beside a figure has a column of its own.
    """

    def __init__(
        self,
        column: Column,
        cells: Sequence[tuple[Row, Cell]],
        limit: float,
        name: float,
        heading: float,
    ) -> None:
        self.column = column
        self.longest = name
        self.figured = column.decimals > 0
        figures = [cell for row, cell in cells if self.figured and row.kind != "interval"]
        numbers = [cell for cell in figures if _is_number(cell.text)]
        parts = [cell.text.removeprefix("-").partition(".") for cell in numbers]
        self.signed = any(cell.text.startswith("-") for cell in numbers)
        self.whole = max((len(whole) for whole, _, _ in parts), default=1)
        self.decimals = max((len(decimals) for *_, decimals in parts), default=0)
        self.beside = any(cell.beside for cell in figures)
        self.spans = 1 + self.beside
        self.heading = _lines(column.heading, heading if self.figured else name)
        room = max((text_width(cell.mark, 6) for cell in figures), default=0.0)
        self.specification = self._specification(room)
        if column.align == "words":
            self.width = limit / 2
            return
        bold = _BOLD if any(cell.rank == 1 for cell in figures) else 1.0
        sign = text_width("=") if self.signed else 0.0
        shown = [bold * text_width("0" * self.whole + "." + "0" * self.decimals) + sign]
        shown += [text_width(cell.text) for cell in figures if not _is_number(cell.text)]
        beside = max((text_width(" " + cell.beside) for cell in figures), default=0.0)
        small = [text_width(c.text, 7) for row, c in cells if row.kind == "interval"]
        names = [text_width(line) for _, c in cells for line in self._name(c)]
        heads = [text_width(line) for line in self.heading]
        content = (max(shown) if self.figured else 0.0) + room + (beside if self.beside else 0.0)
        self.width = max(content, *small, *names, *heads, 0.0) + _SEPARATION

    def _specification(self, room: float) -> str:
        if self.figured:
            form = f"S[table-format={'-' * self.signed}{self.whole}.{self.decimals}]"
            if self.beside:
                return f"{form}@{{\\hspace{{{room + 2:.1f}pt}}}}l"
            return form + (f"@{{\\hspace{{{room + _SEPARATION:.1f}pt}}}}" if room else "")
        return {"words": r"p{.47\linewidth}", "left": "l", "right": "r"}[self.column.align]

    def _name(self, cell: Cell) -> list[str]:
        """The lines of a name; none of a figure or a sentence."""
        named = not self.figured and self.column.align != "words"
        return _lines(cell.text, self.longest) if named else []

    def head(self) -> str:
        heading = _stacked(self.heading, "c" if self.figured else self.column.align[0])
        if self.beside:
            return f"\\multicolumn{{2}}{{c}}{{{heading}}}"
        return f"{{{heading}}}" if self.figured else heading

    def cell(self, row: Row, cell: Cell) -> str:
        if not self.figured:
            name = self._name(cell)
            align = "r" if self.column.align == "right" else "l"
            return _stacked(name, align) if name else latex_escape(cell.text)
        if row.kind == "interval":
            return f"{{\\ci{{{latex_escape(cell.text)}}}}}" if cell.text else ""
        beside = f" & {latex_escape(cell.beside)}" if self.beside else ""
        return self._figure(cell) + beside

    def _figure(self, cell: Cell) -> str:
        wrap = {1: r"\textbf{%s}", 2: r"\underline{%s}"}.get(cell.rank, "%s")
        mark = f"\\rlap{{\\textsuperscript{{{latex_escape(cell.mark)}}}}}" if cell.mark else ""
        if not _is_number(cell.text):
            text = latex_escape(cell.text)
            return f"{{{wrap % text}{mark}}}" if text else ""
        if wrap == "%s" and not mark:
            return cell.text
        whole, point, decimals = cell.text.removeprefix("-").partition(".")
        negative = cell.text.startswith("-")
        left = "0" * (self.whole - len(whole))
        right = ("" if point else ".") + "0" * (self.decimals - len(decimals))
        sign = "$-$" if negative else ""
        pads = [f"\\phantom{{{pad}}}" if pad else "" for pad in (left, right)]
        if self.signed and not negative:
            pads[0] += r"\phantom{$-$}"
        figure = wrap % (sign + whole + point + decimals)
        return f"{{{pads[0]}{figure}{mark}{pads[1]}}}"


def _is_number(text: str) -> bool:
    return re.fullmatch(r"-?\d+(\.\d+)?", text, re.ASCII) is not None


def to_latex(table: Table) -> str:
    """The table and its second one as floats, for a paper.

    Each is as wide as one column or, as ``table*``, the page, see COLUMN and PAGE; where it fits
    neither it is split into several of one number, where columns or rows begin a group.
    """
    label = table.label or f"tab:{table.analysis}"
    floats = _floats(table, latex_escape(table.title), label)
    if table.second:
        title = f"{latex_escape(table.second.title)} of Table~\\ref{{{label}}}"
        floats += _floats(table.second, title, f"{label}-intervals")
    return (
        "% needs \\usepackage{booktabs,siunitx}; siunitx 3, of 2021 or later\n"
        f"% fits a column of {COLUMN / _MM:.0f} mm; table* a page of {PAGE / _MM:.0f} mm\n"
        + "\n".join(floats)
    )


def _floats(table: Table, title: str, label: str) -> list[str]:
    limit = PAGE if table.width == "page" else COLUMN
    settings = _settings(table, limit)
    if table.width == "auto" and _width(settings) > limit:
        limit = PAGE
        settings = _settings(table, limit)
    blocks = split(
        groups_of(table.rows, lambda row: row.starts),
        groups_of(table.rows, lambda row: row.kind == "value"),
        lambda rows: len(rows) <= _LINES,
    )
    parts = [
        _tabular(settings, rows, places)
        for rows in blocks or [[]]
        for places in _parts_of(settings, limit)
    ]
    title = title.rstrip(".")
    stop = "" if title.endswith(("?", "!")) else "."
    made = []
    for number, part in enumerate(parts, 1):
        caption = f"\\caption{{{title}{stop}}}\\label{{{label}}}"
        if number > 1:
            caption = f"\\addtocounter{{table}}{{-1}}\\caption{{{title} (continued).}}"
        notes = _notes(table) if number == len(parts) else ""
        made.append(
            _FLOAT
            % {
                "float": "table" if limit == COLUMN else "table*",
                "font": _FONT,
                "caption": caption,
                "notes": _NOTES % (_SMALL, notes) if notes else "",
                **part,
            }
        )
    return made


def longtable(table: Table, title: str) -> str:
    """The table in LaTeX under another title, in its place; it may break over pages."""
    settings = _settings(table, _STUDY_PAGE)
    made = [
        (r"\addtocounter{table}{-1}" if number else "")
        + _LONGTABLE
        % {
            "caption": latex_escape(title) + (" (continued)" if number else ""),
            **_tabular(settings, table.rows, places),
        }
        for number, places in enumerate(_parts_of(settings, _STUDY_PAGE))
    ]
    notes = _notes(table)
    return "".join([*made, f"{{\\scriptsize {notes}}}\n" if notes else ""])


def _notes(table: Table) -> str:
    return "\n".join(latex_escape(note) + r"\par" for note in table.all_notes)


def _settings(table: Table, limit: float) -> list[_Setting]:
    """The columns, their names and headings in narrow lines where they don't fit otherwise."""
    columns = [
        (column, [(row, row.cells[place]) for row in table.rows])
        for place, column in enumerate(table.columns)
    ]
    broad = [_Setting(column, cells, limit, limit, limit) for column, cells in columns]
    if _width(broad) <= limit:
        return broad
    return [_Setting(column, cells, limit, _NAME, _HEADING) for column, cells in columns]


def _width(settings: Sequence[_Setting]) -> float:
    """How wide these columns are together, in pt, at most."""
    return sum(
        max(sum(settings[p].width for p in places), text_width(group) + _SEPARATION)
        for group, places in spans([setting.column for setting in settings])
    )


def _parts_of(settings: Sequence[_Setting], limit: float) -> list[list[int]]:
    return parts_of(
        [setting.column for setting in settings],
        lambda places: _width([settings[p] for p in places]) <= limit,
    )


def _tabular(
    settings: Sequence[_Setting], rows: Sequence[Row], places: Sequence[int]
) -> dict[str, str]:
    """Columns, head and body of the cells at ``places`` of ``rows``."""
    shown = [settings[p] for p in places]
    body: list[str] = []
    for row in rows:
        if row.starts and body:
            body.append(r"\addlinespace")
        cells = (s.cell(row, row.cells[p]) for s, p in zip(shown, places, strict=True))
        body.append(" & ".join(cells) + r" \\")
    return {
        "columns": "".join(setting.specification for setting in shown),
        "head": _heads(shown),
        "body": "\n".join(body),
    }


def _heads(settings: Sequence[_Setting]) -> str:
    """The line of headings, above it that of the groups where there are any."""
    cells, rules, place = [], "", 1
    for group, places in spans([setting.column for setting in settings]):
        count = sum(settings[p].spans for p in places)
        if group:
            cells.append(f"\\multicolumn{{{count}}}{{c}}{{{latex_escape(group)}}}")
            rules += f"\\cmidrule(lr){{{place}-{place + count - 1}}}"
        else:
            cells += [""] * count
        place += count
    above = [" & ".join(cells) + r" \\", rules] if rules else []
    return "\n".join([*above, " & ".join(setting.head() for setting in settings) + r" \\"])
