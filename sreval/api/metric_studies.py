"""Which metric to trust where, from any number of opinion studies."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from sreval.api.benchmarks import scores_of
from sreval.api.given import as_list, is_frame, names_of
from sreval.api.studies import Study
from sreval.api.votes import Votes, read_votes
from sreval.errors import (
    StatisticsError,
    UsageError,
    attempted,
    counted,
    listed,
    option,
    unknown_name,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from sreval.report.table import Table

StudyLike: TypeAlias = "Study | Votes | pd.DataFrame | Path | str"
"""A study with votes, votes that were read, or what `read_votes` reads."""

MapName = Literal["linear", "logistic", "third-order"]


def metrics_study(
    studies: StudyLike | Sequence[StudyLike] | Mapping[str, StudyLike],
    *,
    rating_scale: str | Sequence[str] | None = None,
    results: object = None,
    classes: Mapping[str, str] | None = None,
    mapping: MapName = "third-order",
    level: float = 0.95,
    reference: str = "hr",
    protocol: str | None = None,
    factor: float | None = None,
    allow_open: bool | None = None,
    higher_is_better: Collection[str] = (),
    lower_is_better: Collection[str] = (),
) -> MetricsStudy:
    """Which metric to trust where, by what raters said in one study or several.

    Within a scene: how many pairs of versions of one image does a metric put in the order of the
    raters. Across scenes: the rank correlation over all stimuli. Each of all methods, within a
    class of methods (interpolation, mse, gan, diffusion, ...) and between two classes; and by how
    much a metric favours a class at equal MOS. Also the figures and tests of ITU-T P.1401.

    Args:
        studies: One or several: `Study` objects, `Votes`, files or DataFrames; by name in a
            mapping. Votes need ``results``; a table of mean opinion scores may bring its metrics
            (columns image, method, mos, psnr, ...), with ``class``, the class of a row's method,
            ``ci95``, half of the 95 % interval of its MOS, and ``study``, which parts a table
            into several studies.
        rating_scale: Of the files and DataFrames, as in `read_votes`: one for all, or one for
            each in their order.
        results: Benchmark results of the rated images: what `benchmark` returns, a folder, or a
            list of these.
        classes: The class of a method by its name, beside those of the paper's methods.
        mapping: From a metric to MOS for P.1401, fitted to each study.
        level: Confidence level; tests are made at 1 - level.
        reference: The method that is the reference; it is left out.
        protocol: Of the results; None: ledig2017 where it was run.
        factor: The upscaling factor, where the results hold several.
        allow_open: Of a `Study`, as in `Study.votes`.
        higher_is_better: Metrics that aren't known by themselves.
        lower_is_better: The same, lower is better.

    Raises:
        UsageError: an unknown name; studies of one name.
        StatisticsError: nothing that could be compared.

    >>> import sreval
    >>> import pandas as pd
    >>> rows = [
    ...     {"image": f"i{i}", "method": m, "mos": mos + 0.01 * i, "psnr": psnr + i}
    ...     for i in range(4)
    ...     for m, mos, psnr in [("bicubic", 2, 26), ("srresnet-mse", 3, 29), ("srgan-mse", 4, 25)]
    ... ]
    >>> found = sreval.metrics_study(pd.DataFrame(rows))
    >>> found.frame.query("methods == 'MSE against GAN'")["estimate"].item()
    0.0
    """
    from sreval.opinions.agreement import MAPPINGS
    from sreval.opinions.arrays import check_level
    from sreval.opinions.sheet import directions
    from sreval.report import metrics_study as report
    from sreval.report.opinions import Request

    check_level(level)
    if mapping not in MAPPINGS:
        raise unknown_name("mapping", str(mapping), MAPPINGS)
    notes: list[str] = []
    scores = scores_of(results, protocol, factor, notes.append)
    better = directions(names_of(higher_is_better), names_of(lower_is_better))
    given = _with_scales(
        _named(studies, allow_open), (None,) if rating_scale is None else names_of(rating_scale)
    )
    read = _read(given, better, notes)
    methods = {str(name) for votes in read.values() for name in votes.frame["method"].unique()}
    if reference not in methods | {"hr"}:
        raise unknown_name("reference", reference, methods, "No study has it.")
    named = _classes(classes or {}, methods)
    not_done = []
    of = []
    for name, votes in read.items():
        own = None if _brings_metrics(votes) else scores
        request = Request(scale=votes.scale, better=votes.better, scores=own, reference=reference)
        make = partial(report.stimuli_of, name, votes.frame, request, named)
        found, why = (make(), "") if len(read) == 1 else attempted(make)
        if found is None:
            not_done.append(why if name in why else f"{name}: {why}")
        else:
            of.append(found)
    if not of:
        raise StatisticsError(" ".join(not_done))
    sections, others = report.metrics_study(of, mapping, level)
    return MetricsStudy(sections, (*not_done, *others), tuple(notes), level)


Given = tuple[str, StudyLike, str | None]
"""A study's name, the study, and its scale where it is still to be read."""


def _named(
    given: StudyLike | Sequence[StudyLike] | Mapping[str, StudyLike], allow_open: bool | None
) -> list[tuple[str, StudyLike]]:
    """Each study with a name: a study's own, a file's without its ending where no other has it.

    A `Study` is read: its votes stand in its place.
    """
    if isinstance(given, Mapping):
        pairs = [(str(name), one) for name, one in given.items()]
        return [(name, _cast(one, allow_open)) for name, one in pairs]
    from sreval.content import user_path

    every = [given] if is_frame(given) else as_list(given)
    if not every:
        raise UsageError("No study is given.", "Name a file, or a study.")
    files = [Path(one) for one in every if isinstance(one, str | Path)]
    for place, file in enumerate(files):
        if user_path(file).resolve() in [user_path(one).resolve() for one in files[:place]]:
            raise UsageError(f"{file} is given twice.", "Give each file once.")
    stems = [file.stem for file in files]
    found = []
    for index, one in enumerate(every, 1):
        name = f"study {index}"
        if isinstance(one, Study):
            name = one.name
        elif isinstance(one, str | Path):
            stem = Path(one).stem
            name = stem if stems.count(stem) == 1 else str(one)
        found.append((name, _cast(one, allow_open)))
    return found


def _cast(given: StudyLike, allow_open: bool | None) -> StudyLike:
    return given.votes(allow_open=allow_open) if isinstance(given, Study) else given


def _with_scales(
    named: Sequence[tuple[str, StudyLike]], scales: Sequence[str | None]
) -> list[Given]:
    """The studies, each file and frame with its scale."""
    unread = sum(not isinstance(one, Votes) for _, one in named)
    if len(scales) not in (1, unread):
        raise UsageError(
            f"{option('--rating-scale', 'rating_scale')} is given {counted(len(scales), 'time')} "
            f"for {counted(unread, 'file')}.",
            "Give it once for all, or once for each.",
        )
    left = iter([*scales] * unread if len(scales) == 1 else scales)
    return [(name, one, None if isinstance(one, Votes) else next(left)) for name, one in named]


def _read(given: Sequence[Given], better: Mapping[str, bool], notes: list[str]) -> dict[str, Votes]:
    """The votes or means of every study by its name; what was assumed goes to ``notes``."""
    from sreval.opinions.reading import metric_key

    read: dict[str, Votes] = {}
    columns: set[str] = set()
    for name, one, scale in given:
        votes = _votes(one, scale, better)
        if _means(votes):
            columns |= {metric_key(str(column)) for column in votes.frame}
        notes.extend(note for note in votes.notes if note not in notes)
        for own, part in _parts(name, votes).items():
            if own in read:
                raise UsageError(
                    f"Two studies are called {own!r}.", "Rename a file, or a study in its column."
                )
            read[own] = part
    lacking = [name for name in better if metric_key(name) not in columns]
    if lacking and all(map(_means, read.values())):
        raise UsageError(f"No table has the column {lacking[0]!r}.", "Check the metric's name.")
    return read


def _votes(given: StudyLike, scale: str | None, better: Mapping[str, bool]) -> Votes:
    """The votes or means of one study, with the directions of the metrics that it has."""
    from sreval.opinions.reading import metric_key

    assert not isinstance(given, Study)
    votes = given if isinstance(given, Votes) else read_votes(given, scale=scale)
    if not _means(votes):
        return replace(votes, better={**votes.better, **better})
    columns = {metric_key(str(column)) for column in votes.frame}
    own = {name: higher for name, higher in better.items() if metric_key(name) in columns}
    if own and not isinstance(given, Votes):
        sides = [[name for name in own if own[name] == side] for side in (True, False)]
        return read_votes(given, scale=scale, higher_is_better=sides[0], lower_is_better=sides[1])
    return replace(votes, better={**votes.better, **own})


def _means(votes: Votes) -> bool:
    from sreval.opinions.reading import is_means

    return is_means(votes.frame)


def _brings_metrics(votes: Votes) -> bool:
    from sreval.report.opinion_models import own_metrics

    return _means(votes) and bool(own_metrics(votes.frame, votes.better)[0])


def _parts(name: str, votes: Votes) -> dict[str, Votes]:
    """The studies of a table of means by its column study; anything else is one study."""
    frame = votes.frame
    if not _means(votes) or "study" not in frame or not (frame["study"] != "").any():
        return {name: votes}
    names = frame["study"].where(frame["study"] != "", name)
    return {
        str(own): replace(votes, frame=rows, notes=())
        for own, rows in frame.groupby(names, sort=False)
    }


def _classes(given: Mapping[str, str], methods: Collection[str]) -> dict[str, str]:
    """The classes that the caller named. Raises UsageError for a method that no study has."""
    for method, group in given.items():
        if method not in methods:
            raise unknown_name("method", str(method), methods, "No study has it.")
        if not str(group).strip():
            raise UsageError(
                f"The class of {method!r} is empty.",
                f"Name one: {option(f'--class {method}=gan', 'classes=')}.",
            )
    return {str(method): " ".join(str(group).split()) for method, group in given.items()}


@dataclass(frozen=True, eq=False, repr=False)
class MetricsStudy:
    """Which metric to trust where: tables of figures, and what each of them claims.

    ``print`` shows it as ``sreval metrics-study`` does; a notebook shows it as HTML.

    Attributes:
        sections: The tables, each with ``title``, ``frame`` and ``notes``.
        not_done: What couldn't be made, and why.
        notes: What was left alone or taken for granted in reading the studies and results.
        level: Of the intervals.
    """

    sections: Sequence[Table]
    not_done: Sequence[str]
    notes: tuple[str, ...]
    level: float

    @property
    def frame(self) -> pd.DataFrame:
        """A row per study, question, methods, statistic and metric, the best metric first."""
        return self.sections[0].frame

    @property
    def frames(self) -> dict[str, pd.DataFrame]:
        """Every figure of every table, tidy, by the table's title."""
        return {made.title: made.frame for made in self.sections}

    @property
    def text(self) -> str:
        """All tables with their notes, as text."""
        left = "".join(f"Not done: {reason}\n" for reason in self.not_done)
        return "\n".join([*(made.to_text() for made in self.sections), *[left] * bool(left)])

    def records(self) -> dict[str, Any]:
        """Every value in full, for JSON: what ``sreval metrics-study --json`` prints."""
        return {
            "notes": list(self.notes),
            "sections": [section.records() for section in self.sections],
            "not_done": list(self.not_done),
        }

    def figure(self) -> Figure:
        """Every metric in every respect, with intervals.

        Raises UsageError for more studies or metrics than a page has room for.
        """
        from sreval.report.metrics_study_figure import metrics_study_figure

        marks = [mark for mark in ("simulated", "stand_ins") if mark in self.frame]
        return metrics_study_figure(self.frame, self.level, marks)

    def write(self, out: Path | str) -> list[str]:
        """Write all tables (text, CSV) and the figure (SVG) to the folder ``out``.

        Returns why the figure wasn't drawn, where it wasn't.
        """
        from sreval.content import user_path
        from sreval.files import write_atomic
        from sreval.report.style import save_figure

        folder = user_path(out)
        said = "\n" * bool(self.notes) + "".join(f"{note}\n" for note in self.notes)
        write_atomic(folder / "metrics-study.txt", self.text + said)
        for index, section in enumerate(self.sections, 1):
            name = "-".join(
                "".join(c if c.isalnum() else " " for c in section.title).lower().split()
            )
            section.to_csv(folder / f"{index:02}-{name}.csv")
        figure, why = attempted(self.figure)
        if figure is None:
            return [why]
        save_figure(figure, folder / "metrics-study.svg")
        return []

    def __repr__(self) -> str:
        return f"<MetricsStudy: {listed([made.title for made in self.sections], 9)}>"

    def __str__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        from html import escape

        left = [f"<p>Not done: {escape(reason)}</p>" for reason in self.not_done]
        notes = [f"<p><small>{escape(note)}</small></p>" for note in self.notes]
        return "".join([*(made._repr_html_() for made in self.sections), *left, *notes])
