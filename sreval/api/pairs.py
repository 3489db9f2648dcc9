"""Paired comparisons from any file or frame: who was preferred, by how much, how surely."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any, Literal, get_args

from sreval.api.benchmarks import scores_of
from sreval.api.given import is_frame, kind_of, names_of, to_a_file
from sreval.api.votes import Adjustment, Votes, VotesLike, read_votes
from sreval.errors import (
    DataError,
    StatisticsError,
    UsageError,
    attempted,
    check_name,
    counted,
    listed,
    option,
    unknown_name,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from sreval.opinions.pairs.judgements import Judgements
    from sreval.report.choices import Width
    from sreval.report.preferences import Report, Scale
    from sreval.report.table import Table

PairModel = Literal["bradley-terry", "thurstone", "davidson", "rao-kupper", "glenn-david"]
PairUnit = Literal["both", "rater", "image", "information"]
TiesAs = Literal["half", "drop"]


def preferences(
    judgements: Judgements | pd.DataFrame | Path | str,
    *,
    model: PairModel | None = None,
    unit: PairUnit | None = None,
    ties: TiesAs | None = None,
    order: bool = False,
    level: float = 0.95,
    adjustment: Adjustment = "holm",
    without: Collection[str] = (),
    methods: Collection[str] | None = None,
    dataset: str | Collection[str] = (),
    reference: str = "hr",
    votes: VotesLike | None = None,
    results: object = None,
    metrics: pd.DataFrame | Path | str | None = None,
    protocol: str | None = None,
    factor: float | None = None,
    higher_is_better: Collection[str] = (),
    lower_is_better: Collection[str] = (),
) -> Preferences:
    """Analyse judgements of pairs: which of two versions of an image was preferred.

    Args:
        judgements: A file or DataFrame of one of these forms. One row a judgement: left, right
            (methods), choice (left, right, tie; also A, B, 1, 2, the chosen method's name), and
            rater, image, dataset, kind (real, repeat, trap, same, training), seconds where they
            are known. Counts: left, right, left_wins, right_wins, ties. Columns winner, loser. A
            square matrix of wins, the row's method over the column's. Or what `Study.judgements`
            gives.
        model: "bradley-terry" or "thurstone" for judgements without ties; with ties "davidson",
            "rao-kupper" or "glenn-david". None: Bradley-Terry, with ties Davidson. JOD are always
            of the normal models: Thurstone, with ties Glenn-David.
        unit: What varies in intervals and tests: "both" claims that raters in general would say
            so of images in general, "rater" of these images, "image" these raters. "information"
            takes judgements as independent, which they are not. None: "both" with at least five
            raters and five images, else "rater".
        ties: "half" counts a tie as half a win for each, "drop" leaves ties out; for comparison
            with other tools. None: ties are a third answer, which the model explains.
        order: Keep an advantage of the left picture in the model. It is printed in any case.
        level: Confidence level of the intervals; tests are made at 1 - ``level``.
        adjustment: Of the p values of all pairs of one data set.
        without: Raters to leave out.
        methods: Those to compare, two or more; judgements on others are left out. None: all.
        dataset: The data set, or several; none: all, each with its own scale.
        reference: The method that is the original: values are also given below it. Only "hr" may
            have no judgements.
        votes: Votes or mean opinion scores on the same methods, as `read_votes` takes them: both
            stand side by side in one table.
        results: Benchmark results of the same images: how many judgements each metric foretells.
        metrics: Instead of results a table with image, method (and dataset) and a column a metric.
        protocol: Of the results; None: ledig2017 where it was run.
        factor: The upscaling factor, where the results hold several.
        higher_is_better: Metrics that aren't known by themselves.
        lower_is_better: The same, lower is better.

    Raises:
        DataError: a file that can't be read, or holds votes on single images.
        UsageError: an unknown name, or arguments that don't go together, as order and a file that
            doesn't tell which picture stood left.
        StatisticsError: a judgement that can't be read, by its line; no judgement that counts.

    >>> import pandas as pd
    >>> import sreval
    >>> counts = pd.DataFrame(
    ...     [("bicubic", "srgan", 5, 15), ("bicubic", "edsr", 8, 12), ("edsr", "srgan", 9, 11)],
    ...     columns=["left", "right", "left_wins", "right_wins"],
    ... )
    >>> found = sreval.preferences(counts)
    >>> found.frame["method"].tolist()
    ['srgan', 'edsr', 'bicubic']
    """
    from sreval.content import user_path
    from sreval.opinions.arrays import check_level
    from sreval.opinions.pairs.judgements import Judgements, read_judgements
    from sreval.opinions.significance import ADJUSTMENTS
    from sreval.report import preferences as report

    check_level(level)
    for kind, name, known in (
        ("model", model, get_args(PairModel)),
        ("unit", unit, get_args(PairUnit)),
        ("treatment of ties", ties, get_args(TiesAs)),
        ("adjustment", adjustment, ADJUSTMENTS),
    ):
        if name is not None:
            check_name(kind, name, known)
    if ties is not None and model not in (None, "bradley-terry", "thurstone"):
        raise UsageError(
            f"The model {model} explains ties, so ties={ties!r} can't be applied.",
            "Leave one of the two out.",
        )
    if isinstance(judgements, Judgements):
        read = judgements
    elif isinstance(judgements, str | Path) or is_frame(judgements):
        read = read_judgements(
            user_path(judgements) if isinstance(judgements, str | Path) else judgements
        )
    else:
        raise UsageError(
            f"judgements can't be {kind_of(judgements)}.",
            "Give a file, or a DataFrame, as pandas.DataFrame(rows) makes it.",
        )
    if order and not read.sided:
        raise UsageError(
            "It isn't known which picture stood left, so that no advantage of a place can be kept "
            "in the model.",
            f"Leave out {option('--order', 'order=True')}.",
        )
    asked = None if methods is None else names_of(methods)
    read = _narrowed(read, names_of(without), names_of(dataset), asked)
    judged = {*read.frame["left"], *read.frame["right"]}
    if reference != "hr" and reference not in judged:
        raise unknown_name("reference", reference, judged, "It has no judgements.")
    request = report.Request(
        model=model,
        unit=unit,
        ties=ties,
        order=order,
        level=level,
        adjustment=adjustment,
        methods=asked,
        reference=reference,
        sided=read.sided,
    )
    notes = [*_unplanned_ties(judgements, read), *read.notes]
    given = _metric_values(
        results, metrics, protocol, factor, higher_is_better, lower_is_better, read, notes
    )
    found = report.analyse(read.frame, request)
    notes += [str(why) for made in found.sections if (why := made.facts.get("one_side"))]
    if votes is not None:
        _add_votes(found, votes, level, notes)
    if given is not None:
        from sreval.report.preferences_beside import beside_metrics

        table = found.attempt(partial(beside_metrics, read.frame, *given, level), "Metrics")
        found.sections += [table] if table else []
    return Preferences(read, found, tuple(notes))


def _unplanned_ties(source: object, read: Judgements) -> list[str]:
    """That there are ties though the design beside an export has no third answer."""
    ties = int(read.frame.loc[read.frame["choice"] == "tie", "count"].sum())
    if not ties or not isinstance(source, str | Path):
        return []
    from sreval.content import user_path
    from sreval.reading import read_json

    path = user_path(source)
    place = (path if path.is_dir() else path.parent) / "design.json"
    try:
        design = read_json(place)
    except (OSError, ValueError, DataError):
        return []
    task = design.get("task") if isinstance(design, dict) else None
    if not isinstance(task, dict) or task.get("kind") != "pair" or task.get("third"):
        return []
    return [f"{counted(ties, 'tie')}, though the design in {place} has no third answer."]


def _narrowed(
    read: Judgements,
    without: Sequence[str],
    datasets: Sequence[str],
    methods: Sequence[str] | None,
) -> Judgements:
    """The judgements that were asked for; the notes say how many aren't among them."""
    from dataclasses import replace

    from sreval.opinions.pairs.judgements import not_counted

    frame, notes = read.frame, list(read.notes)

    def keep(chosen: pd.Series, why: str) -> None:
        nonlocal frame
        lost = int(frame.loc[~chosen, "count"].sum())
        frame = frame[chosen]
        if lost:
            notes.append(f"{counted(lost, 'judgement')} left out: {why}.")
        if frame.empty:
            raise StatisticsError(f"No judgement is left: {why}.", "Name fewer, or others.")

    if datasets and set(frame["dataset"]) == {""}:
        raise UsageError(
            f"The judgements name no data set, so {option('--dataset')} can't choose one.",
            "Leave it out, or add a column dataset.",
        )
    for kind, name, names in (
        *(("data set", one, set(frame["dataset"])) for one in datasets),
        *(("rater", one, set(frame["rater"])) for one in without),
        *(("method", one, {*frame["left"], *frame["right"]}) for one in methods or ()),
    ):
        if name not in names:
            raise unknown_name(kind, name, names, "It has no judgements.")
    if datasets:
        keep(frame["dataset"].isin(datasets), "on other data sets")
    if without:
        keep(
            ~frame["rater"].isin(without), f"of {option('--without', 'without')} {listed(without)}"
        )
    if methods is not None:
        if len(set(methods)) < 2:
            raise UsageError(
                f"One method ({listed(methods)}) can't be compared.", "Name two or more."
            )
        keep(frame["left"].isin(methods) & frame["right"].isin(methods), "on other methods")
    uncounted = [f"{n} ({why})" for why, n in not_counted(frame).items()]
    if uncounted:
        notes.append(f"Judgements that don't count as opinions: {', '.join(uncounted)}.")
    return replace(read, frame=frame.reset_index(drop=True), notes=tuple(notes))


def _narrowing(scales: Sequence[Scale]) -> str:
    """The options of a command that leave the first of several scales alone."""
    first = scales[0]
    several = len({scale.dataset for scale in scales}) > 1
    flags = ["--dataset", quote(first.dataset)] if several else []
    if sum(scale.dataset == first.dataset for scale in scales) > 1:
        flags += [word for name in first.values["method"] for word in ("--method", quote(name))]
    return " ".join(flags)


def _add_votes(found: Report, votes: VotesLike, level: float, notes: list[str]) -> None:
    """MOS beside the scale values."""
    from sreval.opinions.mos import mos_table
    from sreval.opinions.reading import is_means
    from sreval.report.preferences_beside import beside_mos

    given = votes if isinstance(votes, Votes) else read_votes(votes)
    notes += [note for note in given.notes if note not in notes]
    if is_means(given.frame):
        means = given.frame.groupby(["dataset", "method"], sort=True)["mos"].mean().reset_index()
        table = means.assign(low=float("nan"), high=float("nan"))
        notes.append("The mean opinion scores are means of the table's rows, without intervals.")
    else:
        table = mos_table(given.frame, level=level, scale=given.scale)
    scales = [made for made in found.sections if made.analysis == "scale"]
    made = found.attempt(partial(beside_mos, scales, table, level), "Votes")
    found.sections += made or []


def _metric_values(
    results: object,
    metrics: pd.DataFrame | Path | str | None,
    protocol: str | None,
    factor: float | None,
    higher: Collection[str],
    lower: Collection[str],
    read: Judgements,
    notes: list[str],
) -> tuple[pd.DataFrame, dict[str, bool]] | None:
    """Values by dataset, image, method with a column a metric, and whether higher is better."""
    from sreval.opinions.sheet import directions

    if results is None and metrics is None:
        return None
    if results is not None and metrics is not None:
        raise UsageError("Both results and a table of metrics are given.", "Give one of them.")
    better = directions(names_of(higher), names_of(lower))
    from sreval.content import user_path
    from sreval.report.preferences_beside import matched, metrics_of_results, metrics_of_table

    if metrics is not None:
        source = user_path(metrics) if isinstance(metrics, str | Path) else metrics
        values, known, said = metrics_of_table(source, better)
        notes += said
    else:
        scores = scores_of(results, protocol, factor, notes.append)
        if scores is None:
            return None
        values, known = metrics_of_results(scores, better)
    return matched(values, read.frame), known


@dataclass(frozen=True, eq=False, repr=False)
class Preferences:
    """What judgements of pairs say: tables of figures, and what each of them claims.

    ``print`` shows it as ``sreval preferences`` does; a notebook shows it as HTML.

    Attributes:
        judgements: What was read: ``judgements.frame`` has one row a judgement or count.
        notes: What was left alone, left out or taken for granted, with numbers.
    """

    judgements: Judgements
    found: Report
    notes: tuple[str, ...]

    @property
    def sections(self) -> Sequence[Table]:
        """The tables, each with ``title``, ``frame``, ``notes`` and ``facts``."""
        return self.found.sections

    @property
    def not_done(self) -> Sequence[str]:
        """What couldn't be made, and why."""
        return self.found.not_done

    @property
    def frame(self) -> pd.DataFrame:
        """The scale values, a row a method and data set, best first: ``frames["scale"]``.

        Without a common finite scale these are the classes of methods. Raises StatisticsError
        where there is neither.
        """
        if "scale" not in self.frames:
            raise StatisticsError(" ".join(self.not_done))
        return self.frames["scale"]

    @property
    def frames(self) -> dict[str, pd.DataFrame]:
        """Every figure of all data sets, tidy, by the analysis.

        "scale", "pairs", "shares" (of pairs, where no scale exists), "models", "checks",
        "images", "agreement", "raters", "mos", "metrics": those that could be made.
        """
        import pandas as pd

        of: dict[str, list[pd.DataFrame]] = {}
        for made in self.sections:
            of.setdefault(made.analysis, []).append(made.frame)
        return {name: pd.concat(own, ignore_index=True) for name, own in of.items()}

    @property
    def text(self) -> str:
        """All tables with their notes, as text."""
        left = "".join(f"Not done: {reason}\n" for reason in self.not_done)
        return "\n".join([*(made.to_text() for made in self.sections), *[left] * bool(left)])

    def table(self, analysis: str = "scale") -> Table:
        """The first table of that analysis, which writes itself as LaTeX, HTML, CSV, ...

        Raises UsageError for one that wasn't made.
        """
        check_name("table", analysis, [made.analysis for made in self.sections])
        return next(made for made in self.sections if made.analysis == analysis)

    def records(self) -> dict[str, Any]:
        """Every value in full, for JSON: what ``sreval preferences --json`` prints."""
        return {
            "notes": list(self.notes),
            "sections": [section.records() for section in self.sections],
            "not_done": list(self.not_done),
            "simulated": bool(self.judgements.frame["simulated"].any()),
        }

    def figure(self, dataset: str | None = None, *, width: Width = "column") -> Figure:
        """Every method in JOD with its interval, best first, 85 or 175 mm wide.

        Raises UsageError where several scales exist and none is named, StatisticsError where none
        exists.
        """
        from sreval.report.choices import WIDTHS
        from sreval.report.preferences_figure import preferences_figure

        check_name("width", width, WIDTHS)
        scales = {scale.title: scale for scale in self.found.scales}
        if not scales:
            raise StatisticsError("No finite scale exists that could be drawn.")
        if dataset is None and len(scales) > 1:
            raise UsageError(
                f"There are several scales: {listed(list(scales))}.",
                f"Name one by {option(_narrowing(self.found.scales), 'dataset=')}; "
                f"{option('--out', 'write()')} draws all.",
            )
        if dataset is not None:
            check_name("scale", dataset, scales, to_a_file(dataset))
        return preferences_figure(scales[dataset or next(iter(scales))], width)

    def write(self, out: Path | str) -> list[str]:
        """Write all tables (text, CSV; scale and pairs also LaTeX) and figures (SVG) to ``out``.

        Returns why a figure wasn't drawn, where one wasn't.
        """
        from sreval.content import user_path
        from sreval.files import write_atomic
        from sreval.report.style import save_figure

        folder = user_path(out)
        said = "\n" * bool(self.notes) + "".join(f"{note}\n" for note in self.notes)
        write_atomic(folder / "preferences.txt", self.text + said)
        for index, section in enumerate(self.sections, 1):
            section.to_csv(folder / f"{index:02}-{section.analysis}.csv")
            if section.analysis in ("scale", "pairs"):
                section.to_latex(folder / f"{index:02}-{section.analysis}.tex")
        not_drawn = []
        for index, scale in enumerate(self.found.scales, 1):
            figure, why = attempted(self._drawing(scale))
            if figure is None:
                not_drawn.append(why)
            else:
                end = f"-{index}" if len(self.found.scales) > 1 else ""
                save_figure(figure, folder / f"preferences{end}.svg")
        return not_drawn

    def _drawing(self, scale: Scale) -> Callable[[], Figure]:
        from sreval.report.preferences_figure import preferences_figure

        return partial(preferences_figure, scale)

    def __repr__(self) -> str:
        return f"<Preferences: {listed([made.title for made in self.sections], 9)}>"

    def __str__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        from html import escape

        left = [f"<p>Not done: {escape(reason)}</p>" for reason in self.not_done]
        notes = [f"<p><small>{escape(note)}</small></p>" for note in self.notes]
        return "".join([*(made._repr_html_() for made in self.sections), *left, *notes])
