"""Two opinion studies side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from sreval.api.studies import Study
from sreval.api.votes import Votes, VotesLike, read_votes
from sreval.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from sreval.report.panels import Comparison, Side
    from sreval.report.table import Table

PanelLike: TypeAlias = "Study | VotesLike"
"""A study, its name or folder, votes or means that `read_votes` reads, or the word "paper"."""

PAPER = "paper"


def compare_studies(
    a: PanelLike,
    b: PanelLike,
    *,
    level: float = 0.95,
    margin: float | None = None,
    names: Sequence[str] | None = None,
    allow_open: bool | None = None,
    seed: int = 0,
) -> StudyComparison:
    """Whether two panels agree: the same scores, the same up to a line, the same order.

    ``a`` and ``b`` are each a `Study`, its name or folder; votes, or a table of mean opinion
    scores with the columns method, mos and perhaps dataset, image, and se, low and high, ci95
    (half of the 95 % interval), or sd and n: what `read_votes` returns or a file or DataFrame
    on the scale 1..5; or "paper", the table of the SRGAN paper. Single stimuli are matched
    where both name images, else data sets and methods.

    ``level`` is that of the intervals; tests are made at 1 - ``level``. ``margin``, in points of
    b's scale, asks of every method whether the panels differ by less. ``names`` are what the two
    are called in tables. ``allow_open`` as in `Study.votes`. ``seed`` is that of panels drawn anew
    for the intervals of correlations.

    Raises DataError where fewer than three means have a partner, StatisticsError for means that
    can't be compared, and what `read_votes` and `Study.votes` raise.

    >>> import pandas as pd
    >>> import sreval
    >>> votes = pd.DataFrame([
    ...     {"rater": f"r{r}", "image": i, "method": m, "score": 1 + k + (r + len(i) + k) % 2}
    ...     for r in range(6) for i in ("a", "bb") for k, m in enumerate(["nn", "sr", "gan"])
    ... ])
    >>> found = sreval.compare_studies(votes, votes)
    >>> found.frames["Order of the methods"][["pairs", "same", "tau"]].to_dict("records")
    [{'pairs': 3, 'same': 3, 'tau': 1.0}]
    """
    from sreval.report.panels import compare

    called = ("", "") if names is None else tuple(names)
    if len(called) != 2:
        raise UsageError(f"names holds {len(called)} names.", "Give two, of a and of b.")
    sides = [
        _side(one, name, letter, allow_open)
        for one, name, letter in zip((a, b), called, "AB", strict=True)
    ]
    found = compare(*(side for side, _ in sides), level=level, margin=margin, seed=seed)
    return StudyComparison(found, tuple(note for _, said in sides for note in said) + found.notes)


def _side(
    given: PanelLike, name: str, letter: str, allow_open: bool | None
) -> tuple[Side, tuple[str, ...]]:
    """What was given, read, and the notes on its reading."""
    from sreval.report.panels import Side, paper_side

    if isinstance(given, str) and given == PAPER:
        return paper_side(name or PAPER), ()
    called = str(given) if isinstance(given, str | Path) else letter
    if isinstance(given, str | Path) and not is_file(given):
        given = Study(given)
    if isinstance(given, Study):
        called = given.name
        given = given.votes(allow_open=allow_open)
    votes = given if isinstance(given, Votes) else read_votes(given, whole_methods=True)
    return Side(name or called, votes.frame, votes.scale), votes.notes


def is_file(given: str | Path) -> bool:
    """Whether it is a file of votes, as it is there or ends like one; else it is a study."""
    from sreval.content import user_path

    path = user_path(given)
    return path.is_file() or (path.suffix in (".csv", ".tsv", ".json", ".zip", ".txt"))


@dataclass(frozen=True, eq=False, repr=False)
class StudyComparison:
    """How far two panels agree: tables of figures, and what each of them claims.

    ``print`` shows it as ``sreval compare-studies`` does; a notebook shows it as HTML.

    Attributes:
        found: The values behind the tables.
        notes: What was left alone or taken for granted in reading and matching.
    """

    found: Comparison
    notes: tuple[str, ...]

    @property
    def sections(self) -> Sequence[Table]:
        """The tables, each with ``title``, ``frame``, ``notes`` and ``facts``."""
        return self.found.sections

    @property
    def frames(self) -> dict[str, pd.DataFrame]:
        """Every figure of every table, tidy, by the table's title."""
        return {made.title: made.frame for made in self.sections}

    @property
    def text(self) -> str:
        """All tables with their notes, as text."""
        return "\n".join(made.to_text() for made in self.sections)

    def records(self) -> dict[str, Any]:
        """Every value in full, for JSON: what ``sreval compare-studies --json`` prints."""
        return {
            "notes": list(self.notes),
            "sections": [made.records() for made in self.sections],
        }

    def figure(self) -> Figure:
        """The means of a against those of b, with intervals and the line."""
        from sreval.report.panel_figure import panel_figure

        return panel_figure(self.found)

    def write(self, out: Path | str) -> None:
        """Write all tables (text, CSV) and the figure (SVG) to the folder ``out``."""
        from sreval.content import user_path
        from sreval.files import write_atomic
        from sreval.report.style import save_figure

        folder = user_path(out)
        said = "\n" * bool(self.notes) + "".join(f"{note}\n" for note in self.notes)
        write_atomic(folder / "agreement.txt", self.text + said)
        for index, section in enumerate(self.sections, 1):
            section.to_csv(folder / f"{index:02}-{section.analysis}.csv")
        save_figure(self.figure(), folder / "agreement.svg")

    def __repr__(self) -> str:
        first, second = self.found.names
        return f"<Comparison of {first} and {second}: {self.found.agreement.n} common means>"

    def __str__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        from html import escape

        notes = [f"<p><small>{escape(note)}</small></p>" for note in self.notes]
        return "".join([*(made._repr_html_() for made in self.sections), *notes])
