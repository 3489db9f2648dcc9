"""Votes from any file or frame, and the statistics of opinions."""

from __future__ import annotations

import functools
import math
import numbers
import shlex
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from sreval.api.benchmarks import scores_of
from sreval.api.given import as_list, is_frame, kind_of, names_of, to_a_file
from sreval.errors import (
    StatisticsError,
    UsageError,
    check_name,
    counted,
    listed,
    option,
    unknown_name,
)
from sreval.opinions.units import CLAIMS, STUDIES, Chosen, default_unit, interval_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from sreval.opinions.power import Find, Needed, Plan, Power, PowerTask, ScreeningRule
    from sreval.opinions.tasks import TaskName
    from sreval.opinions.units import IntervalName, Spending, Unit
    from sreval.opinions.votes import Scale
    from sreval.report.choices import AnalysisName, FigureName
    from sreval.report.opinions import Request
    from sreval.report.table import Table


Adjustment = Literal["holm", "benjamini-hochberg", "none"]
"""How the p values of all comparisons on one data set are adjusted."""


VotesLike: TypeAlias = "Votes | pd.DataFrame | Path | str"
"""Votes that were read, or what `read_votes` reads."""


def read_votes(
    votes: VotesLike,
    *,
    scale: str | Scale | None = None,
    task: TaskName | None = None,
    stimuli: pd.DataFrame | Path | str | None = None,
    header: bool | None = None,
    labels: bool | None = None,
    missing: Collection[object] = (),
    without: Collection[str] = (),
    higher_is_better: Collection[str] = (),
    lower_is_better: Collection[str] = (),
    whole_methods: bool = False,
) -> Votes:
    """Read and check opinions, whatever form they have.

    ``votes`` is a file or a DataFrame of one of these forms; a frame is read as the file that it
    could be written to.

    - One row a vote, with the columns rater, image, method, score. The columns dataset, scene,
      kind, accepted and others of docs/reference/data-dictionary.md are used where they are there.
    - A matrix: one row a stimulus and one column a rater, empty where no vote was cast.
      ``stimuli``, a table with a row a stimulus, names the dataset, image, scene and method of
      the rows. ``header`` and ``labels`` say whether a file's first row and first column hold
      names, where they might hold votes.
    - JSON: lists as [method][rater][image], null where no vote was cast.
    - Mean opinion scores with metrics: the columns image, method, mos, and psnr, ssim, ... This
      is for ``analyse("metrics")`` and `compare_studies` alone. ``higher_is_better`` and
      ``lower_is_better`` name metrics that aren't known by themselves. ``whole_methods``: the
      column image may be missing, as in a paper's table of methods; for `compare_studies` alone.

    ``scale`` is LOW..HIGH or LOW..HIGH/STEP: "1..5", "1..5/0.5", "0..100/0" for a slider;
    None: what a column ``rating_scale`` says, as that of an export does, else 1..5.
    ``task`` is what the raters were asked: "acr", "acr-hr" (with a hidden reference) or "dcr"
    (degradation against a shown reference); None: what a column ``task`` says, else "acr".
    ``missing`` lists what stands for a vote not cast beside an empty cell, such as "NA" or -1.
    The votes of the raters ``without`` are kept, but don't count; this works on Votes, too.

    Raises:
        DataError: a file that can't be read, or is none of these forms.
        UsageError: an argument that can't be meant, such as an unknown rater.
        StatisticsError: a vote that isn't on the scale, or is there twice; votes of several tasks
            or scales, or of others than those named.

    >>> import pandas as pd
    >>> import sreval
    >>> frame = pd.DataFrame({
    ...     "rater": ["ann", "ann", "bob", "bob"], "image": "baboon",
    ...     "method": ["bicubic", "srgan", "bicubic", "srgan"], "score": [2, 4, 1, 5],
    ... })
    >>> sreval.read_votes(frame)
    <Votes: 4 votes, 2 raters, 1 image, 2 methods>
    """
    from sreval.content import user_path
    from sreval.opinions.reading import is_means, needs_votes, read_ratings
    from sreval.opinions.sheet import directions
    from sreval.opinions.tasks import task_of
    from sreval.opinions.votes import Scale, left_out, scale_in

    raters = names_of(without)
    if isinstance(votes, Votes):
        named = {"stimuli": stimuli, "header": header, "labels": labels}
        given = [name for name, value in named.items() if value is not None]
        given += ["missing"] if missing != () else []
        given += ["task"] if task not in (None, votes.task) else []
        given += ["scale"] if scale not in (None, "1..5", votes.scale) else []
        given += ["higher_is_better"] if higher_is_better else []
        given += ["lower_is_better"] if lower_is_better else []
        if given:
            raise UsageError(
                f"These votes were read already, so {listed(given)} can't be applied.",
                "Give them where the file or the DataFrame is read.",
            )
        if raters and is_means(votes.frame):
            raise needs_votes(option("--without", "without"))
        return replace(votes, frame=left_out(votes.frame, raters)) if raters else votes
    if not (isinstance(votes, str | Path) or is_frame(votes)):
        raise UsageError(
            f"votes can't be {kind_of(votes)}.",
            "Give a file, a DataFrame, or what read_votes returned.",
        )
    if not isinstance(scale, str | Scale | None):
        raise UsageError(f"scale can't be {scale!r}.", "Write it as text, such as '1..5'.")
    better = directions(names_of(higher_is_better), names_of(lower_is_better))
    asked = None if task is None else task_of(str(task)).name
    on = Scale.parse(scale) if isinstance(scale, str) else scale
    read = read_ratings(
        user_path(votes) if isinstance(votes, str | Path) else votes,
        scale=on,
        stimuli=user_path(stimuli) if isinstance(stimuli, str | Path) else stimuli,
        header=header,
        labels=labels,
        missing=names_of(missing),
        whole_methods=whole_methods,
        task=asked,
    )
    table, notes = read.table, read.notes
    on = on or scale_in(table)
    if isinstance(votes, str | Path) and not is_means(table):
        notes = (*notes, *_planned_looks(user_path(votes)))
    where = "The DataFrame" if not isinstance(votes, str | Path) else str(votes)
    if not is_means(table):
        if better:
            from sreval.report.opinion_models import better_options

            raise UsageError(
                f"{where} holds votes, so its further columns aren't metrics.",
                f"Leave out {better_options('and')}; name results by {option('--results')}.",
            )
        return Votes(left_out(table, raters) if raters else table, notes, on)
    if raters:
        raise needs_votes(option("--without", "without"))
    from sreval.report.opinion_models import better_options, own_metrics

    if not whole_methods and (others := own_metrics(table, better)[1]):
        note = (
            f"{where}: further columns are left alone: {listed(others, 20)}. A metric among them "
            f"is named by {better_options('or')}."
        )
        notes = (*notes, note)
    return Votes(table, notes, on, better)


def _planned_looks(file: Path) -> list[str]:
    """What must be said of an exported study's votes whose design, beside them, plans looks."""
    import json

    try:
        design = json.loads((file.parent / "design.json").read_text(encoding="utf-8"))
        looks, name = design["analysis"]["looks"], design["name"]
    except (OSError, ValueError, LookupError, TypeError):
        return []
    if not looks:
        return []
    return [
        f"{file}: study {name} plans looks, and these are all of its votes, which are "
        "tested as if there were one look. The planned tests are in its report: sreval report "
        f"{shlex.quote(str(name))}."
    ]


@dataclass(frozen=True, eq=False, repr=False)
class Votes:
    """Checked votes. `read_votes` and `Study.votes` give them.

    Attributes:
        frame: One row a vote, tidy: the columns rater, image, method, score, dataset, scene,
            kind, accepted, simulated and others. A vote counts where ``kind`` is "vote" and
            ``accepted`` is True. Of a table of mean opinion scores: one row a stimulus.
        notes: What was left alone or taken for granted in reading, a sentence each.
        scale: The rating scale, with ``low``, ``high`` and ``step``.
        better: Of the metrics that were named for a table of mean opinion scores: whether a
            higher value is better.
    """

    frame: pd.DataFrame
    notes: tuple[str, ...]
    scale: Scale
    better: Mapping[str, bool] = field(default_factory=dict)

    @property
    def task(self) -> TaskName:
        """What the raters were asked: "acr", "acr-hr" or "dcr"."""
        from sreval.opinions.votes import task_in

        return task_in(self.frame).name

    def __len__(self) -> int:
        return len(self.frame)

    def __repr__(self) -> str:
        return f"<Votes: {self._counts()}>"

    def _counts(self) -> str:
        """What is there and what counts, in words."""
        from sreval.opinions.reading import is_means
        from sreval.opinions.votes import STIMULUS, exclusions

        frame = self.frame
        if is_means(frame):
            return counted(len(frame), "mean opinion score")
        used = frame[(frame["kind"] == "vote") & frame["accepted"]]
        sizes = {
            "vote": len(used),
            "rater": used["rater"].nunique(),
            "image": len(used[[*STIMULUS[:2]]].drop_duplicates()),
            "method": used["method"].nunique(),
        }
        said = [counted(number, what) for what, number in sizes.items()]
        said += [f"{n} left out ({why})" for why, n in exclusions(frame).items()]
        return ", ".join(said + (["SIMULATED"] if frame["simulated"].any() else []))

    def _repr_html_(self) -> str:
        from html import escape

        notes = "".join(f"<p><small>{escape(note)}</small></p>" for note in self.notes)
        return f"<p>{escape(self._counts())}</p>{self.frame.head().to_html()}{notes}"

    def analyse(
        self,
        analyses: AnalysisName | Sequence[AnalysisName] = (),
        *,
        unit: Unit | None = None,
        interval: IntervalName | None = None,
        level: float = 0.95,
        adjustment: Adjustment = "holm",
        alpha: float = 0.05,
        margin: float | None = None,
        methods: Collection[str] | None = None,
        reference: str = "hr",
        results: object = None,
        protocol: str | None = None,
        factor: float | None = None,
        dataset: str | Collection[str] = (),
        progress: Callable[[int, int], object] | None = None,
    ) -> Analysis:
        """Analyse the votes: everything they allow, or the ``analyses`` that are named.

        Each analysis fails alone: ``not_done`` says which could not be made, and why. An analysis
        that is named alone raises its error instead.

        Args:
            analyses: One name or several of `report.choices.ANALYSES`; none: all but
                "stimuli", "standards" and "ordinal", which may take a minute.
            unit: What varies in intervals and tests: "both" claims that raters in general would
                say so of images in general, "rater" that they would of these images, "image" that
                these raters would of images in general. Frames of one sequence count as one image.
                "pooled" takes votes as independent, which they are not. None: "both" on a data set
                with at least five raters and five images, else "rater".
            interval: The interval of a MOS; None: the one that claims the same as ``unit``.
            level: Confidence level of the intervals, between 0 and 1; of "compare" over "both"
                that of ``low`` and ``high``, while the printed intervals go by ``alpha``.
            adjustment: For the p values of all comparisons on one data set.
            alpha: Level of the tests, between 0 and 1.
            margin: In points of the scale; each pair of "compare" is tested for equivalence and
                non-inferiority within it. None: no such tests.
            methods: Those to compare with each other; None: all.
            reference: The method that is the hidden reference, for "difference".
            results: Benchmark results of the rated images, for "metrics": what `benchmark`
                returns, a folder, or a list of these.
            protocol: Of the results; None: ledig2017 where it was run.
            factor: The upscaling factor, where the results hold several.
            dataset: The data set, or several, whose votes are analysed; none: all.
            progress: Told how many votes of how many the ordinal model has done.

        Raises:
            UsageError: an unknown name.
            StatisticsError: a level or alpha outside 0..1; votes that don't allow the one
                analysis that was named.
        """
        from sreval.opinions.arrays import check_level
        from sreval.opinions.comparison import check_margin
        from sreval.opinions.significance import ADJUSTMENTS
        from sreval.report.opinions import analyse

        votes = self._on(names_of(dataset)) if dataset else self
        check_level(level)
        if not 0 < alpha < 1:
            raise StatisticsError(f"alpha must lie between 0 and 1, got {alpha}.", "0.05 is usual.")
        if adjustment not in ADJUSTMENTS:
            raise unknown_name("adjustment", str(adjustment), ADJUSTMENTS)
        if margin is not None:
            if isinstance(margin, bool) or not isinstance(margin, numbers.Real):
                raise UsageError(f"margin can't be {margin!r}.", "Give a number, such as 0.2.")
            check_margin(margin, alpha, self.scale)
            if analyses and "compare" not in names_of(analyses):
                raise UsageError(
                    "A margin is of the analysis compare, which isn't among those named: "
                    f"{', '.join(names_of(analyses))}.",
                    f"Add {option('--analyse compare', 'compare')}, or leave the margin out.",
                )
        chosen = None if methods is None else names_of(methods)
        known = set(votes.frame["method"])
        for method in chosen or ():
            if method not in known:
                raise unknown_name("method", method, known, "It has no votes.")
        said: list[str] = []
        request = replace(
            self._request(unit, scores_of(results, protocol, factor, said.append)),
            level=level,
            adjustment=adjustment,
            alpha=alpha,
            margin=margin,
            reference=reference,
            methods=chosen,
            progress=progress,
        )
        if interval is not None:
            request = replace(request, interval=interval)
        names = (analyses,) if isinstance(analyses, str) else tuple(analyses)
        sections, not_done = analyse(votes.frame, names, request)
        return Analysis(votes, sections, not_done, (*self.notes, *said), request)

    def figure(
        self,
        kind: FigureName,
        *,
        dataset: str | None = None,
        unit: Unit | None = None,
        results: object = None,
        protocol: str | None = None,
    ) -> Figure:
        """Draw the votes.

        Args:
            kind: "scores" of every method, "ranks", "significance" of all differences, "raters",
                "matrix" of all votes, "sos" (how far the votes on one image spread), "metrics"
                against opinion.
            dataset: needed where the votes are on several, but for "raters" and "metrics".
            unit: what varies in intervals and tests; see `analyse`.
            results: as in `analyse`; "metrics" needs them.
            protocol: of the results; None: ledig2017 where it was run.

        Returns:
            A matplotlib Figure; ``figure.savefig("scores.pdf")`` writes it.

        Raises:
            UsageError: an unknown name.
            StatisticsError: votes that don't allow the figure.
        """
        from sreval.report.opinion_figures import KINDS, opinion_figure

        check_name("kind of figure", kind, KINDS, to_a_file(kind))
        request = self._request(unit, scores_of(results, protocol, None, lambda _: None))
        return opinion_figure(self.frame, kind, request, dataset)

    def _on(self, datasets: Sequence[str]) -> Votes:
        """The votes on the named data sets. Raises UsageError for one without votes."""
        known = sorted(set(self.frame["dataset"].astype(str)))
        for name in datasets:
            if name not in known:
                remedy = "" if any(known) else "The votes name no data set."
                raise unknown_name("data set", name, filter(None, known), remedy)
        return replace(self, frame=self.frame[self.frame["dataset"].isin(datasets)])

    def _request(self, unit: Unit | None, scores: pd.DataFrame | None) -> Request:
        """What is asked of these votes, as far as they and the unit decide it."""
        from sreval.report.opinions import Request

        if unit is not None:
            check_name("unit", unit, CLAIMS)
        interval = interval_of(unit)
        return Request(unit, interval, scale=self.scale, better=self.better, scores=scores)


@dataclass(frozen=True, eq=False, repr=False)
class Analysis:
    """What an analysis of votes found: tables of figures, and what each of them claims.

    ``print`` shows it as ``sreval opinions`` does; a notebook shows it as HTML.

    Attributes:
        votes: The votes that were analysed.
        sections: The tables, each with ``title``, ``frame``, ``notes`` and ``facts``.
        not_done: Analyses that could not be made, and why.
        notes: What was left alone or taken for granted in reading the votes and results.
    """

    votes: Votes
    sections: Sequence[Table]
    not_done: Sequence[str]
    notes: tuple[str, ...]
    request: Request

    @property
    def frame(self) -> pd.DataFrame:
        """Every figure of the first table, and of those with the same columns, tidy.

        Raises StatisticsError where no analysis could be made.
        """
        import pandas as pd

        if not self.sections:
            raise StatisticsError(" ".join(self.not_done))
        first = self.sections[0]
        same = [
            made.frame
            for made in self.sections
            if made.analysis == first.analysis and list(made.frame) == list(first.frame)
        ]
        return same[0] if len(same) == 1 else pd.concat(same, ignore_index=True)

    @property
    def frames(self) -> dict[str, pd.DataFrame]:
        """Every figure of every table, tidy, by the table's title."""
        return {made.title: made.frame for made in self.sections}

    @property
    def letters(self) -> pd.DataFrame:
        """The compact letter display of the comparisons: dataset, method, letters.

        Methods of one data set that share a letter weren't shown to differ. A data set on which no
        test could have been significant has no letters, and no rows.
        """
        import pandas as pd

        rows = [
            (made.facts["dataset"], method, letters)
            for made in self.sections
            if isinstance(own := made.facts.get("letters"), dict)
            for method, letters in own.items()
        ]
        return pd.DataFrame(rows, columns=["dataset", "method", "letters"])

    @property
    def text(self) -> str:
        """All tables with their notes, as text."""
        left = "".join(f"Not done: {reason}\n" for reason in self.not_done)
        return "\n".join([*(made.to_text() for made in self.sections), *[left] * bool(left)])

    def records(self) -> dict[str, Any]:
        """Every value in full, for JSON: what ``sreval opinions --json`` prints."""
        from sreval.opinions.votes import stand_ins

        frame = self.votes.frame
        return {
            "notes": list(self.notes),
            "sections": [section.records() for section in self.sections],
            "not_done": list(self.not_done),
            "simulated": bool(frame["simulated"].any()),
            "stand_ins": stand_ins(frame),
        }

    def write(self, out: Path | str) -> list[str]:
        """Write all tables (text, CSV) and figures (SVG) to the folder ``out``.

        Returns which figures the votes don't allow, and why.
        """
        from sreval.content import user_path
        from sreval.files import write_atomic
        from sreval.report.opinion_figures import all_figures
        from sreval.report.style import save_figure

        folder = user_path(out)
        said = "\n" * bool(self.notes) + "".join(f"{note}\n" for note in self.notes)
        write_atomic(folder / "opinions.txt", self.text + said)
        for index, section in enumerate(self.sections, 1):
            section.to_csv(folder / f"{index:02}-{section.analysis}.csv")
        not_drawn = []
        for name, figure, why in all_figures(self.votes.frame, self.request):
            if figure is None:
                not_drawn.append(f"{name}: {why}")
            else:
                save_figure(figure, folder / f"{name}.svg")
        return not_drawn

    def __repr__(self) -> str:
        titles = ", ".join(section.title for section in self.sections)
        return f"<Analysis of {self.votes._counts()}: {titles or 'nothing'}>"

    def __str__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        from html import escape

        left = [f"<p>Not done: {escape(reason)}</p>" for reason in self.not_done]
        notes = [f"<p><small>{escape(note)}</small></p>" for note in self.notes]
        return "".join([*(made._repr_html_() for made in self.sections), *left, *notes])


def mos(
    votes: VotesLike,
    *,
    unit: Unit | None = None,
    interval: IntervalName | None = None,
    level: float = 0.95,
) -> pd.DataFrame:
    """Mean opinion scores of every method on every data set, with confidence intervals.

    A MOS is the mean of the images' mean votes (of all votes with "crowdmos"), and of frames that
    of their sequences' means. ``unit``, ``interval`` and ``level`` are as in `Votes.analyse`.
    ``votes`` that were not read yet are read on the scale 1..5; use `read_votes` for another.

    Returns a tidy frame, a row a (dataset, method) in the paper's order: ``mos``, ``low``,
    ``high``, ``sd`` of the votes, ``n_votes``, ``n_raters``, ``n_images``, and what the interval
    is: ``interval``, ``level``, ``unit``, ``n`` units, ``estimand``, ``warning``. ``low`` and
    ``high`` are NaN with fewer than three units.

    Raises StatisticsError where no vote counts, and what `read_votes` raises.

    >>> import pandas as pd
    >>> import sreval
    >>> frame = pd.DataFrame({
    ...     "rater": ["ann", "bob", "cid"] * 2, "image": "baboon",
    ...     "method": ["bicubic"] * 3 + ["srgan"] * 3, "score": [2, 1, 3, 4, 5, 3],
    ... })
    >>> found = sreval.mos(frame)
    >>> found[["method", "mos", "n_raters"]].to_numpy().tolist()
    [['bicubic', 2.0, 3], ['srgan', 4.0, 3]]
    """
    return read_votes(votes).analyse("mos", unit=unit, interval=interval, level=level).frame


def compare(
    votes: VotesLike,
    *,
    unit: Unit | None = None,
    methods: Collection[str] | None = None,
    adjustment: Adjustment = "holm",
    alpha: float = 0.05,
    level: float = 0.95,
    margin: float | None = None,
) -> Analysis:
    """Which methods differ: all pairs, data set by data set.

    ``unit`` decides the claim: see `Votes.analyse`. For "both", Student's t test of the difference
    between a rater's votes on one image, or of all votes where raters saw most images under one
    method only, raters and images random; it needs five raters and five images in common. For the
    others two-sided Wilcoxon signed-rank tests of the units' mean votes. p values are adjusted
    within a data set. Friedman's test stands beside them.

    Returns an `Analysis`. Its ``frame`` has a row a pair: ``difference`` (first minus second, in
    points) with ``low`` and ``high``, for "both" also ``low_adjusted`` and ``high_adjusted``, which
    exclude 0 exactly where the adjusted test finds a difference; ``p``, ``p_adjusted``, for "both"
    those of the signed-rank tests, ``p_rater_adjusted`` and ``p_image_adjusted``; ``superiority``,
    the mean share of a rater's votes on one image that put the first above the second, ties half,
    with its interval; ``d_z``; ``rank_biserial``, which is no size; ``significant``, and
    ``too_small`` where no outcome of so few units could be significant. With a ``margin`` in
    points, ``shown`` says which pairs are equivalent within it or which method is no worse, by two
    one-sided tests. Its ``letters`` say which methods weren't shown to differ.

    Raises UsageError for an unknown unit, method or adjustment, StatisticsError where no data set
    has votes on two methods, and what `read_votes` raises.

    >>> import pandas as pd
    >>> import sreval
    >>> frame = pd.DataFrame([
    ...     {"rater": f"r{rater}", "image": image, "method": method, "score": score}
    ...     for rater in range(8) for image in "abc"
    ...     for method, score in {"bicubic": 2 + rater % 2, "srgan": 4 + rater % 2}.items()
    ... ])
    >>> found = sreval.compare(frame)
    >>> found.frame[["first", "second", "difference", "p", "significant"]].to_numpy().tolist()
    [['srgan', 'bicubic', 2.0, 0.0078125, True]]
    >>> found.letters["letters"].to_list()
    ['a', 'b']
    """
    return read_votes(votes).analyse(
        "compare",
        unit=unit,
        methods=methods,
        adjustment=adjustment,
        alpha=alpha,
        level=level,
        margin=margin,
    )


def screen(votes: VotesLike, *, reference: str = "hr") -> Analysis:
    """What the usual screening rules say of every rater; nobody is left out.

    The rules are those of ITU-R BT.500-15 (A1-2.3.1), the correlation with the other raters of
    VQEG's tests, and more where the votes hold what they need; docs/explanation/statistics.md has
    them all.

    Returns an `Analysis`. Its ``frame`` has a row a rater, with the figures of every rule and
    ``rejected_by``. Its other ``frames`` show the MOS with and without whom a rule rejects. To
    leave raters out, read the votes again: ``read_votes(votes, without=[...])``.

    Raises StatisticsError where no vote counts, and what `read_votes` raises.
    """
    return read_votes(votes).analyse("screening", reference=reference)


def recover(votes: VotesLike, *, level: float = 0.95) -> Analysis:
    """The quality of every stimulus, freed from the raters' bias and inconsistency.

    The model of Li et al. 2020, as ITU-T P.910 (10/2023) Annex E states it, and the removal of bias
    of ITU-T P.913 (03/2016) 12.4; `Votes.analyse` ("standards") has the rejection that follows it.
    Parts of the votes without a common rater or stimulus are recovered each on its own.

    Returns an `Analysis`. Its ``frame`` has a row a stimulus (``mos``, ``bias_removed``,
    ``quality`` with intervals); the frame "The raters" of ``frames`` has each rater's bias and
    inconsistency, in points of the scale.

    Raises StatisticsError where no vote counts, and what `read_votes` raises.
    """
    return read_votes(votes).analyse("recovery", level=level)


def reliability(votes: VotesLike, *, level: float = 0.95) -> Analysis:
    """How far the raters agree.

    Intraclass correlation (McGraw and Wong 1996, case 2A), Krippendorff's alpha, split-half
    correlation, each rater against the rest, and the SOS coefficient.

    Returns an `Analysis` whose ``frame`` has a row for each value: ``figure``, ``value``, ``low``,
    ``high``, ``about``, and ``stimuli``, on how many it rests. Raises StatisticsError where no
    value can be had, and what `read_votes` raises.
    """
    return read_votes(votes).analyse("reliability", level=level)


def power(
    difference: float | Sequence[float] | None = None,
    *,
    task: PowerTask = "acr",
    scale: str | Scale = "1..5",
    win_probability: float | Sequence[float] | None = None,
    jod: float | Sequence[float] | None = None,
    ties: float = 0.0,
    raters: int | Sequence[int] | None = None,
    images: int | Sequence[int] | None = None,
    find: Find | None = None,
    unit: Unit | None = None,
    methods: int = 2,
    comparisons: int | None = None,
    adjustment: Adjustment = "holm",
    alpha: float = 0.05,
    subset: float = 1.0,
    repeats: int = 0,
    screening: ScreeningRule | Sequence[ScreeningRule] = (),
    straight_liners: float = 0.0,
    speeders: float = 0.0,
    drop_outs: float = 0.0,
    looks: int | Sequence[int] = 1,
    spending: Spending = "obrien-fleming",
    target: float = 0.8,
    studies: int = STUDIES,
    seed: int = 0,
    progress: Callable[[int, int], object] | None = None,
) -> pd.DataFrame:
    """How many raters and images a difference needs, by simulation of the whole analysis.

    Votes of the rater model on a ``scale``, screened, tested over the ``unit`` and adjusted
    for the ``comparisons`` that the study makes (None: all pairs of ``methods``); or judgements of
    pairs, by Bradley-Terry, or Davidson's model where there are ties. Of frames, sequences count
    as images.

    Args:
        difference: The true difference of two methods in points of the scale. None: 0.1, 0.2 and
            0.3 points on 1..5, as much of another scale.
        task: "acr", "acr-hr" (raters see the original of each image besides, and a vote counts as
            its difference from theirs of the original), "dcr", or "pair".
        scale: Of the votes, as in `read_votes`. What differs between raters and images is known on
            1..5 and taken to grow with the length of the scale.
        win_probability: With the task "pair", in the place of ``difference``: how often the better
            of two methods is preferred, 0.5 to 1, ties aside. None: 0.55, 0.6 and 0.65.
        jod: The same as a difference in JOD, where 1 is preferred by 75 %.
        ties: Share of ties between two methods alike, 0 for a forced choice.
        raters: How many there are. None: the fewest are found.
        images: How many there are. None: 14 and 100, unless ``find`` is "images".
        find: "raters" or "images": the fewest for each number of the other. None: "raters" if
            no number of ``raters`` is given, else none: the power of every plan.
        unit: What varies in the test; see `Votes.analyse`. None: of each plan the one that votes
            of its size would have; a number that is to be found counts as large enough.
        methods: Those of the study.
        comparisons: Those that are made in all.
        adjustment: For the p values of all comparisons. A difference counts as found where it is
            whatever the other comparisons show.
        alpha: Level of the tests, between 0 and 1.
        subset: Share of the stimuli that each rater sees, drawn for each; of pairs a balanced part;
            with a hidden reference of the images, each whole.
        repeats: Hidden repeats, which a rater judges besides and which count in no test.
        screening: Rules of `sreval opinions --analyse screening` that leave raters out: "too-fast",
            "straight-lining", "correlation-with-rest", "bt500".
        straight_liners: Share of raters who give one score throughout.
        speeders: Share of raters who vote at random, at once.
        drop_outs: Share of raters who leave after a random part. Their votes until then count, and
            raters are those who begin; with looks they don't, and raters are those who finish.
        looks: How often the study is looked at, equally spaced in raters and at the end; or after
            how many raters each time. Raters are counted before screening.
        spending: How alpha is divided among the looks, "obrien-fleming" or "pocock".
        target: The power that is wanted of what is found.
        studies: How many are simulated for each figure, at most.
        seed: Decides all chance.
        progress: Is told how many figures of how many are done.

    Returns:
        A tidy frame of simulated figures. Of plans a row each: ``power`` with its
        ``standard_error``, ``items`` that a rater judges, ``mean_raters`` of a study that stops at
        the look which finds the difference. Of a search a row for each difference and number of the
        other: besides, ``n_raters`` or ``n_images`` as found, and ``low`` to ``high``, which the
        simulation can't tell apart; NaN where not even 1024 do, ``hopeless`` where no number can.
        Where not even 1024 do, ``power`` is that of 1024. Every row has what was assumed as well,
        ``idle_looks``, at which no outcome could be significant, ``least_units``, the fewest on
        which one could, and ``unit_why``: why the unit isn't "both" where none was named. Of pairs
        ``difference`` is in JOD, and ``win_probability`` says the same.

    Raises:
        UsageError: an unknown name, or arguments that don't go together.
        StatisticsError: numbers that can't be meant.

    >>> import sreval
    >>> sreval.power(1.0, images=14, unit="rater", studies=50)[["n_raters", "low", "high"]]
       n_raters  low  high
    0         6    6     6
    """
    import pandas as pd

    from sreval.opinions import power as simulated
    from sreval.opinions.votes import ACR, Scale

    on = scale if isinstance(scale, Scale) else Scale.parse(scale)
    of_votes = {
        "straight_liners": straight_liners, "speeders": speeders, "drop_outs": drop_outs,
    }  # fmt: skip
    _refuse_of_other_task(
        task,
        {"difference": difference, "screening": screening, **of_votes}
        | {"rating_scale": None if on == ACR else scale},
        {"win_probability": win_probability, "jod": jod, "ties": ties},
    )
    differences = _asked_differences(task, difference, win_probability, jod, on)
    for name, share in (("alpha", alpha), ("target", target)):
        if _numbers(name, share, 0, whole=False)[0] >= 1:
            raise StatisticsError(f"{name} can't be {share}.", "Give a number between 0 and 1.")
    for name, count, least in (
        ("methods", methods, 2),
        ("comparisons", 1 if comparisons is None else comparisons, 1),
        ("repeats", repeats, 0),
        ("studies", studies, 1),
        ("seed", seed, 0),
    ):
        _numbers(name, count, least, whole=True)
    most = math.comb(methods, 2)
    if comparisons is not None and comparisons > most:
        raise UsageError(
            f"{methods} methods have {counted(most, 'pair')}, fewer than {comparisons} "
            "comparisons.",
            f"Name more by {option('--methods')}, or fewer by {option('--comparisons')}.",
        )
    if find not in (None, "raters", "images"):
        raise unknown_name("find", str(find), ("raters", "images"))
    found = "raters" if find is None and raters is None else find
    if found is not None and (raters, images)[found == "images"] is not None:
        raise UsageError(
            f"The fewest {found} can't be found where their number is given.",
            f"Leave out {option(f'--{found}')} or {option('--find')}.",
        )
    if found == "images" and raters is None:
        raise UsageError(
            "The fewest images depend on how many raters there are.", f"Add {option('--raters')}."
        )
    counts = _numbers("raters", raters, 2, whole=True) if raters is not None else []
    sizes = [] if found == "images" else _numbers("images", images or (14, 100), 1, whole=True)
    several = not isinstance(looks, numbers.Integral)
    at = tuple(_numbers("looks", looks, 1, whole=True))
    if several and found == "raters":
        raise UsageError(
            "The looks name the number of raters, which is to be found.",
            f"Give how many looks there are, or {option('--raters')}.",
        )
    plan = simulated.Plan(
        unit="both" if unit is None else unit,
        methods=methods,
        task=task,
        comparisons=comparisons,
        adjustment=adjustment,
        alpha=alpha,
        subset=subset,
        repeats=repeats,
        screening=tuple(as_list(screening)),
        looks=at if several else at[0],
        spending=spending,
    )
    power_of, needed_of = _simulations(task, on, ties, of_votes, studies, seed)
    planned = {
        "task": task,
        "scale": "" if task == "pair" else str(on),
        "ties": ties,
        "methods": methods,
        "comparisons": plan.tests,
        "adjustment": adjustment,
        "alpha": alpha,
        "subset": subset,
        "repeats": repeats,
        "screening": ", ".join(plan.screening),
        **of_votes,
        "n_looks": len(at) if several else at[0],
        "spending": spending,
        "target": target,
        "seed": seed,
    }
    given = counts if found == "images" else sizes
    cells = [(d, n) for d in differences for n in given]
    rows: list[dict[str, object]] = []

    for place, (one, n) in enumerate(cells):
        if found is not None:
            own, told = _planned(plan, unit, *((None, n) if found == "raters" else (n, None)))
            needed = needed_of(found, one, n, own, target=target)
            made = [needed.row(one, n) | told]
        else:
            made = [
                vars(power_of(one, r, n, own)) | told
                for r in counts
                for own, told in [_planned(plan, unit, r, n)]
            ]
        rows += made if task != "pair" else [_of_pair(row, one) for row in made]
        if progress is not None:
            progress(place + 1, len(cells))
    return pd.DataFrame([row | planned for row in rows]).assign(simulated=True)


_ARGUMENTS = {"rating_scale": "scale="}
"""What the library calls an argument whose option has another name."""


def _refuse_of_other_task(
    task: str, of_votes: dict[str, object], of_pairs: dict[str, object]
) -> None:
    """Raise UsageError for an argument that isn't of the task."""
    for name, value in (of_votes if task == "pair" else of_pairs).items():
        if value not in (None, 0, (), []):
            given = option("--" + name.replace("_", "-"), _ARGUMENTS.get(name))
            pairs, pictures = "pairs of pictures", "votes on single pictures"
            of, here = (pictures, pairs) if task == "pair" else (pairs, pictures)
            differences = (option("--win-probability"), option("--jod"), option("--difference"))
            instead = {
                "difference": f"Give {differences[0]} or {differences[1]}",
                "win_probability": f"Give {differences[2]}",
                "jod": f"Give {differences[2]}",
            }.get(name, "Leave it out")
            other = "acr" if task == "pair" else "pair"
            to = option(f"--task {other}", f"task={other!r}")
            raise UsageError(
                f"{given} is for {of}; the task {task} simulates {here}.",
                f"{instead}, or take {to}.",
            )


def _simulations(
    task: str, scale: Scale, ties: float, of_votes: dict[str, float], studies: int, seed: int
) -> tuple[Callable[..., Power], Callable[..., Needed]]:
    """The power of one plan, and the search, of a task."""
    both: dict[str, Any] = {"studies": studies, "seed": seed}
    if task == "pair":
        from sreval.opinions.pairs import power as of_pairs
        from sreval.opinions.pairs.simulation import PairModel

        pairs = PairModel("davidson").with_ties(ties) if ties else PairModel()
        return (
            functools.partial(of_pairs.pair_power, model=pairs, **both),
            functools.partial(of_pairs.pair_needed, model=pairs, **both),
        )
    from sreval.opinions import power as simulated
    from sreval.opinions.simulation import RaterModel

    model = RaterModel(
        straight_liner_rate=of_votes["straight_liners"],
        speeder_rate=of_votes["speeders"],
        dropout_rate=of_votes["drop_outs"],
    ).on(scale)
    like = simulated.ImageModel().on(scale)
    return (
        functools.partial(simulated.power, model=model, images_like=like, **both),
        functools.partial(simulated.needed, model=model, images_like=like, **both),
    )


def _of_pair(row: dict[str, Any], win_probability: float) -> dict[str, Any]:
    """A row of pairs with the difference that was asked, in both of its units."""
    from sreval.opinions.pairs.power import jod_of

    own = {"win_probability": win_probability, "difference": jod_of(win_probability)}
    return row | own


_MOST_JOD = 5
"""The largest difference whose power is asked; at it the worse method wins 1 in 2,700."""


def _asked_differences(
    task: str, difference: object, win_probability: object, jod: object, scale: Scale
) -> list[float]:
    """The differences whose power is asked; of pairs the win probabilities."""
    if task != "pair":
        asked = [share * (scale.high - scale.low) / 4 for share in (0.1, 0.2, 0.3)]
        return _numbers("difference", asked if difference is None else difference, 0, whole=False)
    from sreval.opinions.pairs.power import win_probability_of

    if jod is not None and win_probability is not None:
        raise UsageError(
            "A win probability and a JOD say the same.",
            f"Leave out {option('--win-probability')} or {option('--jod')}.",
        )
    if jod is not None:
        found = _numbers("jod", jod, 0, whole=False)
        # beyond it the chance that the worse method is preferred is of no account
        if max(found) > _MOST_JOD:
            raise StatisticsError(
                f"{option('--jod')} can't be {max(found):g}: the better method would be preferred "
                "always.",
                f"Give {_MOST_JOD:g} or less, or {option('--win-probability')}.",
            )
        return [win_probability_of(one) for one in found]
    shares = (0.55, 0.6, 0.65) if win_probability is None else win_probability
    return _numbers("win_probability", shares, 0.5, whole=False)


def judgements_needed(
    half_width: float | Sequence[float] = (0.1, 0.2, 0.3, 0.5),
    *,
    methods: int | Sequence[int] = 4,
    raters: int = 15,
    images: int = 10,
    subset: float = 1.0,
    level: float = 0.95,
) -> pd.DataFrame:
    """How many raters, or images, an interval of a difference of two methods needs.

    Args:
        half_width: Of the interval, in JOD, 0.001 or more.
        methods: How many methods are compared, all pairs of them equally often, nearly equal.
        raters: Of the study that is planned, 2 or more.
        images: Of that study, 2 or more.
        subset: The share of all pairs that each of its raters judges.
        level: Of the interval.

    Returns:
        A row for each number of methods and half width: ``independent``, the judgements of each
        pair that were enough if none went together; of one study of ``raters`` and ``images``
        ``judged``, its judgements of each pair, ``design_factor``, by how much its errors are
        larger than of independent ones, and ``reached``, its half width over raters and images in
        general. ``n_raters_needed`` on these images, ``n_images_needed`` with these raters: the
        fewest that reach the half width, inf (in JSON null) where no number does. By a formula of
        the first order, not by simulation.

    Raises:
        StatisticsError: numbers that can't be meant.

    >>> import sreval
    >>> sreval.judgements_needed(0.3, images=40)[["independent", "n_raters_needed"]]
       independent  n_raters_needed
    0           74               22
    """
    from sreval.opinions.arrays import check_level
    from sreval.opinions.pairs import power as of_pairs

    check_level(level)
    for name, count in (("raters", raters), ("images", images)):
        _numbers(name, count, 2, whole=True)
    return of_pairs.judgements_needed(
        _numbers("methods", methods, 2, whole=True),
        _numbers("half_width", half_width, 0, whole=False),
        n_raters=raters,
        n_images=images,
        share=subset,
        level=level,
    ).assign(raters=raters, images=images, subset=subset, level=level)


@functools.lru_cache(maxsize=64)
def _planned(
    plan: Plan, unit: Unit | None, n_raters: int | None, n_images: int | None
) -> tuple[Plan, dict[str, Any]]:
    """The plan over ``unit``, or over the default of this size, and what a row tells of it."""
    made = default_unit(n_raters, n_images) if unit is None else Chosen(unit)
    own = replace(plan, unit=made.unit)
    return own, {"unit": made.unit, "unit_why": made.why, "least_units": own.least_units}


def _numbers(name: str, given: object, low: float, whole: bool) -> list[Any]:
    """One number or several, each above ``low``, or whole and at least ``low``."""
    found = as_list(given)
    kind: Any = numbers.Integral if whole else numbers.Real
    for one in found:
        if not isinstance(one, kind) or not (low <= one if whole else low < one < math.inf):
            wanted = f"whole numbers from {low}" if whole else f"numbers above {low}"
            raise StatisticsError(f"{name} can't be {one!r}.", f"Give {wanted}.")
    if not found:
        raise StatisticsError(f"{name} is empty.", "Give one number or several.")
    return [int(one) if whole else float(one) for one in found]
