"""What a study's report computes, as frames, figures and facts; templates/study.jinja says it.

``Facts`` is what all studies have, ``StudyFacts`` what those have in which pictures are scored one
by one; ``pair_facts.PairFacts`` stands beside it for pairs.
"""

from __future__ import annotations

import hashlib
import platform
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from importlib.metadata import version
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from sreval.errors import StatisticsError, attempted, counted, listed, numbered
from sreval.frames import unit_name, unit_of
from sreval.opinions.comparison import Comparison, compare_methods
from sreval.opinions.mos import mos_table
from sreval.opinions.sequential import p_of_look
from sreval.opinions.significance import judge
from sreval.opinions.tasks import TASKS
from sreval.opinions.units import Unit, unit_names
from sreval.opinions.votes import accepted_votes, exclusions, units_of
from sreval.processes import Beside
from sreval.report import paper
from sreval.report.answer import Answer
from sreval.report.notes import study_marks
from sreval.report.opinion_figures import figure_beside, write_marks
from sreval.report.opinion_rows import check_same_stimuli, scored_opinions, with_mos
from sreval.report.opinions import ANALYSES, Request, comparison_tables
from sreval.report.plain_csv import csv_parts
from sreval.report.scores import score_table
from sreval.report.study_methods import of_votes
from sreval.report.style import figure_svg, house_style
from sreval.report.table import Table
from sreval.report.text import TESTS, language_name
from sreval.study import charts
from sreval.study.data import StudyData
from sreval.study.questions import Question

T = TypeVar("T")

_PACKAGES = ("numpy", "scipy", "pandas", "matplotlib")
_MEASURES = {
    "pixels_per_mm": "device pixels per mm",
    "distance_mm": "viewing distance, mm",
    "pixels_per_degree": "device pixels per degree",
    "black_step": "least step seen from black, of 255",
    "white_step": "least step seen from white, of 255",
    "gamma": "gamma of the screen",
    "colour_wrong": "colour plates wrong, of 9",
    "acuity": "decimal acuity",
    "finest_acuity": "finest acuity that the screen can show",
}
"""What the report calls the columns of viewing checks."""


def _commented(votes: pd.DataFrame) -> pd.Series[bool]:
    """Which votes have a comment."""
    given = votes["comment"] if "comment" in votes else pd.Series(None, votes.index, object)
    return given.fillna("").astype(str).ne("")


class Facts:
    """What is computed of any study; ``scores`` are benchmark results on the same images.

    Results are computed where they are asked for: what the votes don't allow raises
    StatisticsError there and stops nothing else.
    """

    value, unit = "MOS", "points"
    """What is said of a method in one number, and in which unit."""

    def __init__(self, data: StudyData, scores: pd.DataFrame | None = None) -> None:
        self.data = data
        self.scores = scores
        self.datasets = [part.name for part in data.design.images.datasets]
        self.by_paper = paper.sort_datasets(self.datasets)
        """The data sets in the order of the paper's tables."""
        self.beside: Beside | None = None
        """What computes ``later`` meanwhile."""
        self._found: dict[tuple[str, str], Any] = {}

    @property
    def later(self) -> dict[Hashable, Callable[[], object]]:
        """What takes long, can be sent by another process, and needs nothing that else is found.

        By its name in ``_once``, in the order in which a report asks for it.
        """
        return {("votes_sha256", ""): self._votes_sha256}

    def _once(self, what: str, dataset: str, make: Callable[[], T]) -> T:
        """``what`` of a data set, computed the first time that it is asked for."""
        key = (what, dataset)
        if key not in self._found:
            self._found[key] = self.beside.get(key, make) if self.beside else make()
        made: T = self._found[key]
        return made

    def images_of(self, dataset: str) -> int:
        """How many images of a data set are rated."""
        return len({s.image for s in self.data.rated if s.dataset == dataset})

    def sample_of(self, dataset: str) -> str:
        """What the images rated of a data set are samples of: images, or sequences of frames."""
        return unit_name(s.image for s in self.data.rated if s.dataset == dataset)

    def answers_to(self, question: Question) -> list[str]:
        """The answers that were given to a question, one or several of each rater."""
        return list(self._answers_to(question)["value"].astype(str))

    def answered(self, question: Question) -> int:
        """How many raters answered a question."""
        return int(self._answers_to(question)["session"].nunique())

    def grid(self, question: Question) -> pd.DataFrame:
        """Of a grid a line for each of its rows: row, its ``n`` answers, and how many of these each
        option has, in columns numbered from 0."""
        counts = self._answers_to(question).groupby(["key", "value"]).size()
        frame = pd.DataFrame(
            [
                [int(counts.get((name, option), 0)) for option in question.options]
                for name in question.fields
            ]
        )
        return frame.assign(n=frame.sum(axis=1), row=question.rows)

    def _answers_to(self, question: Question) -> pd.DataFrame:
        own = self.data.answers
        return own[own["key"].isin(question.fields)]

    @property
    def comments(self) -> pd.DataFrame:
        """How many votes on what is rated once have a comment, in the design's order: dataset,
        shown, votes, comments. Both orders of a pair are one row."""
        own, order = self.own, self.data.design.images.methods
        names = ("left", "right") if self.data.design.task.pair else ("method",)
        ranks = [
            tuple(sorted(map(order.index, shown)))
            for shown in zip(*(own[name] for name in names), strict=True)
        ]
        places = [self.datasets.index(dataset) for dataset in own["dataset"]]
        of = pd.Series(ranks, own.index, dtype=object)
        made = own.assign(place=places, ranks=of, commented=_commented(own))
        grouped = made.groupby(["place", "ranks", "dataset"])["commented"]
        frame = grouped.agg(votes="size", comments="sum").reset_index()
        labels = [" and ".join(paper.label(order[n]) for n in of_one) for of_one in frame["ranks"]]
        return frame.assign(shown=labels).drop(columns=["place", "ranks"])

    @property
    def commented(self) -> int:
        """How many votes of any kind have a comment."""
        return int(_commented(self.data.votes).sum())

    @property
    def viewing(self) -> pd.DataFrame:
        """What the viewing checks found of all raters: said, n, median, low, high; may be empty."""
        own, rows = self.data.sessions, []
        for name, said in _MEASURES.items():
            found = self.numbers(list(own[name])) if name in own else pd.Series(dtype=float)
            if len(found):
                rows.append([said, len(found), found.median(), found.min(), found.max()])
        return pd.DataFrame(rows, columns=["said", "n", "median", "low", "high"])

    def numbers(self, given: Sequence[str]) -> pd.Series[float]:
        """Those of some answers that are numbers."""
        return pd.to_numeric(pd.Series(given, dtype=object), errors="coerce").dropna()

    @property
    def progress(self) -> pd.DataFrame:
        """``Monitoring.progress`` with the minutes from start to end, NaN where not known."""
        frame = self.data.monitoring.progress
        if not {"started_at", "ended_at"} <= set(frame):
            return frame.assign(minutes=float("nan"))
        started, ended = (pd.to_datetime(frame[n], utc=True) for n in ("started_at", "ended_at"))
        return frame.assign(minutes=(ended - started).dt.total_seconds() / 60)

    @property
    def missed_gold(self) -> pd.DataFrame:
        """The rows of ``Monitoring.gold`` with a wrong answer, the largest share first."""
        gold = self.data.monitoring.gold
        return gold[gold["wrong"] > 0].sort_values("share", ascending=False)

    @cached_property
    def own(self) -> pd.DataFrame:
        """All votes on stimuli that are rated once, used or not."""
        return self.data.votes[self.data.votes["kind"] == "vote"]

    @property
    def unused(self) -> Counter[str]:
        """Raters whose votes aren't used, in order of their names, and how many votes."""
        raters = self.own.loc[~self.own["accepted"], "rater"]
        return Counter(sorted(raters, key=numbered))

    @property
    def left_out(self) -> pd.DataFrame:
        """Rows that aren't opinions, by reason: why, rows."""
        return pd.DataFrame(exclusions(self.data.votes).items(), columns=["why", "rows"])

    @property
    def sites(self) -> dict[str, int]:
        """Raters by the site that they took part at, in order of names; none where the study
        was not joined of several."""
        if "site" not in self.data.sessions or self.data.sessions["site"].isna().all():
            return {}
        own = self.data.sessions["site"].fillna("this site")
        return dict(sorted(Counter(own).items()))

    @property
    def period(self) -> str:
        """The days on which raters began and ended, '' where that isn't known."""
        own = self.data.sessions
        given = [own[name].dropna() for name in ("started_at", "ended_at") if name in own]
        days = [f"{pd.Timestamp(when):%Y-%m-%d}" for when in pd.concat(given)] if given else []
        if not days:
            return ""
        first, last = min(days), max(days)
        return f"on {first}" if first == last else f"from {first} to {last}"

    @property
    def raters_by_language(self) -> str:
        """How many raters whose votes count read each language, '' in a study of one language."""
        own, design = self.data.sessions, self.data.design
        if not design.texts or "language" not in own or self.data.opinions.empty:
            return ""
        read = own.loc[own["rater"].isin(set(self.data.opinions["rater"])), "language"]
        counts = Counter(read.fillna(""))
        told = [(language_name(code), counts.pop(code, 0)) for code in design.languages]
        told += [("a language that isn't known", counts.total())] if counts.total() else []
        return listed([f"{name} ({counted(n, 'rater')})" for name, n in told], len(told))

    @property
    def python(self) -> str:
        """The version of Python."""
        return platform.python_version()

    @property
    def packages(self) -> dict[str, str]:
        """The versions of the packages that figures depend on."""
        return {name: version(name) for name in _PACKAGES}

    @property
    def votes_sha256(self) -> str:
        """The hash of all votes as analysed, as CSV."""
        return self._once("votes_sha256", "", self._votes_sha256)

    def _votes_sha256(self) -> str:
        found = hashlib.sha256()
        for part in csv_parts(self.data.votes):
            found.update(part)
        return found.hexdigest()

    @property
    def _analysed(self) -> pd.DataFrame:
        """The votes of ``StudyData.analysed`` on stimuli that are rated once, used or not."""
        votes = self.data.analysed
        return votes[votes["kind"] == "vote"]

    def _by_rules(self, raters: Sequence[str]) -> pd.DataFrame:
        """All votes as the rules alone would have them on ``raters``, who were decided on."""
        own = self._analysed
        return own.assign(accepted=own["accepted"] ^ own["rater"].isin(raters))

    @property
    def effect_of_exclusions(self) -> pd.DataFrame:
        """MOS, or JOD, with all votes and with those that are used, and the change."""
        own = self._analysed
        return self._effect({"all": own.assign(accepted=True), "used": own})

    @property
    def effect_of_decisions(self) -> pd.DataFrame:
        """MOS, or JOD, as the rules alone would have it and as decided, and the change."""
        decided = list(self.data.monitoring.overruled["rater"])
        return self._effect({"by rules": self._by_rules(decided), "used": self._analysed})

    def _effect(self, of: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
        """The values of the two sides of ``of``, by their names in order, and the change."""
        before, after = of
        own = self.value.lower()
        sides: list[pd.Series[Any]] = []
        for name, rows in of.items():
            found = self._values(rows)
            sides += [found[0].rename(f"{own}_{name}"), found[1].rename(f"n_{name}")]
        frame = paper.in_order(pd.concat(sides, axis=1).reset_index())
        return frame.assign(change=frame[f"{own}_{after}"] - frame[f"{own}_{before}"])

    @property
    def decisions(self) -> Iterator[tuple[str, dict[str, Any] | None, str]]:
        """Each rater decided on against the rules, what that alone changes most, or why not."""
        for rater in self.data.monitoring.overruled["rater"]:
            yield rater, *attempted(lambda r=rater: self._largest_change(r))  # type: ignore[misc]

    def _largest_change(self, rater: str) -> dict[str, Any]:
        change = (
            self._values(self._analysed)[0] - self._values(self._by_rules([rater]))[0]
        ).dropna()
        if change.empty:
            raise StatisticsError(
                f"No {self.value} exists both with and without the rater's votes."
            )
        dataset, method = map(str, change.index[int(np.argmax(np.abs(change.to_numpy())))])
        return {"by": float(change.loc[(dataset, method)]), "dataset": dataset, "method": method}

    def _values(self, votes: pd.DataFrame) -> tuple[pd.Series[float], pd.Series[int]]:
        """What ``value`` names of each (dataset, method), and of how many votes, by these."""
        raise NotImplementedError


class StudyFacts(Facts):
    """What is computed of a study in which pictures are scored one by one."""

    def __init__(self, data: StudyData, scores: pd.DataFrame | None = None) -> None:
        super().__init__(data, scores)
        self.request = Request.planned(data, scores)

    @property
    def counts(self) -> dict[str, int]:
        """How many votes count, of how many raters, on how many stimuli."""
        votes = self.data.opinions
        stimuli = votes[["dataset", "image", "method"]].drop_duplicates()
        return {"votes": len(votes), "raters": votes["rater"].nunique(), "stimuli": len(stimuli)}

    @property
    def planned_test(self) -> str:
        """The planned tests and what they are over, in words."""
        said = []
        for dataset in self.datasets:
            images = {s.image for s in self.data.rated if s.dataset == dataset}
            unit = self.data.design.unit_on(images).unit
            over = " and ".join(f"{name}s" for name in unit_names(unit, self.sample_of(dataset)))
            said.append(f"two-sided {TESTS[unit]} over {over}")
        return " or ".join(dict.fromkeys(said))

    @property
    def lacking(self) -> Iterator[tuple[str, list[str]]]:
        """Data sets with methods of the design that have no votes, and these methods."""
        cells = self.data.opinions.groupby(["dataset", "method"]).size()
        for name in self.datasets:
            methods = self.data.design.images.methods_of(name)
            if lacking := [m for m in methods if (name, m) not in cells]:
                yield name, lacking

    @property
    def methods(self) -> list[str]:
        """How the study was made and analysed, for a paper, and the works that this cites."""
        return of_votes(self)

    @property
    def mean(self) -> str:
        """What a mean of votes is called."""
        kind = self.data.design.task.kind
        assert kind != "pair"  # those have no means
        return TASKS[kind].mean

    def votes_on(self, dataset: str) -> pd.DataFrame:
        """``StudyData.analysed`` on one data set; raises what that raises."""
        votes = self.data.analysed
        return self._once("votes", dataset, lambda: votes[votes["dataset"] == dataset])

    def mos(self, dataset: str) -> Table:
        """The mean opinion scores of a data set, with the paper's, NaN where it gives none."""

        def make() -> Table:
            (made,) = self.asked("mos", self.votes_on(dataset))
            return replace(made, frame=self.with_paper(made.frame))

        return self._once("mos", dataset, make)

    def difference(self, dataset: str) -> list[Table]:
        """The difference scores of a data set; raises what these raise."""
        return self._once(
            "difference", dataset, lambda: self.asked("difference", self.votes_on(dataset))
        )

    def dmos(self, dataset: str) -> list[dict[Hashable, Any]]:
        """The rows of ``difference``, the best first, none where there is no hidden reference."""
        if not self.data.design.task.with_reference:
            return []
        made, _ = attempted(lambda: self.difference(dataset))
        frames = [table.frame for table in made or []]
        rows = [row for own in frames for row in own.to_dict("records")]
        return sorted(rows, key=lambda row: -row["estimate"])

    def compared(self, dataset: str) -> Comparison:
        """All pairs of methods on a data set, planned or not."""

        def make() -> Comparison:
            asked = self.request
            (made,) = compare_methods(
                self.votes_on(dataset), unit=asked.unit, adjustment=asked.adjustment,
                alpha=asked.alpha, level=asked.level, scale=asked.scale,
            )  # fmt: skip
            return made

        return self._once("compared", dataset, make)

    def pairs_tables(self, dataset: str) -> list[Table]:
        """The tables of all pairs of methods on a data set."""
        return comparison_tables(self.compared(dataset), self.votes_on(dataset))

    def answer(self, dataset: str) -> Answer:
        """What was found on a data set, as sentences; raises what its means raise."""
        votes = accepted_votes(self.votes_on(dataset))
        if votes.empty:
            none = pd.DataFrame()
            return Answer(dataset, none, none, none, 0, 0, self.request.unit or "both")
        (chosen,) = units_of(votes, self.request.unit).values()
        planned, _ = attempted(lambda: self.planned_tests(dataset))
        every, _ = attempted(lambda: self.compared(dataset).frame())
        none = pd.DataFrame()
        return Answer(
            dataset,
            self.mos(dataset).frame,
            none if planned is None else planned,
            none if every is None else every,
            raters=votes["rater"].nunique(),
            images=len(set(map(unit_of, votes["image"].unique()))),
            unit=chosen.unit,
            of=unit_name(votes["image"].unique()),
            level=self.request.level,
            name=self.mean,
            reference=self.request.reference,
        )

    def unit_of(self, votes: pd.DataFrame) -> Unit:
        """The unit of the tests of one data set's votes."""
        (chosen,) = units_of(votes, self.request.unit).values()
        return chosen.unit

    def asked(self, analysis: str, votes: pd.DataFrame) -> list[Table]:
        """The tables of one of ``ANALYSES``, as the design plans it."""
        return ANALYSES[analysis](votes, self.request)

    def overall(self, analysis: str) -> list[Table]:
        """``asked`` of the votes on all data sets, of a screening also of those left out."""
        votes = self.data.votes if analysis == "screening" else self.data.analysed
        return self._once(analysis, "", partial(self.asked, analysis, votes))

    def planned_tests(self, dataset: str) -> pd.DataFrame:
        """``planned_tests`` of one data set; StatisticsError where none was rated there."""

        def make() -> pd.DataFrame:
            analysis = self.data.design.analysis
            if not analysis.comparisons and not analysis.looks:
                return self.compared(dataset).frame()
            return planned_tests(self.votes_on(dataset), self.data, self.request.level)

        frame = self._once("planned", dataset, make)
        if frame.empty:
            raise StatisticsError("None of the planned comparisons was rated here.", "")
        return frame

    def with_paper(self, means: pd.DataFrame) -> pd.DataFrame:
        """Means of ``mos_table`` with the paper's MOS, NaN where it gives none or isn't asked."""
        theirs = paper.figures() if self.mean == "MOS" else {}
        keys = zip(means["dataset"], means["method"], strict=True)
        return means.assign(paper=[theirs.get((*key, "mos"), np.nan) for key in keys])

    def order(self, means: pd.DataFrame) -> dict[str, int | bool]:
        """Whether the order of methods is the paper's, and how many pairs are in the opposite."""
        both = means[means["paper"].notna()]
        ours, theirs = (
            list(both.sort_values(name, kind="stable")["method"]) for name in ("mos", "paper")
        )
        gaps = [np.subtract.outer(both[n].to_numpy(), both[n].to_numpy()) for n in ("mos", "paper")]
        return {
            "same": ours == theirs,
            "methods": len(both),
            "pairs": len(both) * (len(both) - 1) // 2,
            "opposite": int((gaps[0] * gaps[1] < 0).sum()) // 2,
        }

    def mos_chart(self, dataset: str, about: str) -> str:
        """Means with their intervals and letters as an SVG element, labelled with ``about``."""
        letters = self.letters(dataset)
        rows = [
            charts.Estimate(
                paper.label(str(row["method"])), row["mos"], row["low"], row["high"],
                f"{counted(row['n_votes'], 'vote')}, {counted(row['n_raters'], 'rater')}",
                letters.get(row["method"], ""),
            )
            for row in self.mos(dataset).frame.to_dict("records")
        ]  # fmt: skip
        scale = self.request.scale
        return charts.estimates(rows, scale.low, scale.high, about)

    def letters(self, dataset: str) -> dict[str, str]:
        """Letters by method, two of which share one where no difference was shown; may be empty."""
        found, _ = attempted(lambda: self.compared(dataset))
        return found.letters if found else {}

    def drawn(self, kind: str, dataset: str = "") -> tuple[str | Callable[[], str], str]:
        """A figure of ``opinion_figures.KINDS`` as an SVG element, or what draws it, and its
        caption; on one data set, or on all."""
        return self._once(f"figure: {kind}", dataset, partial(self._figure, kind, dataset))

    def _figure(self, kind: str, dataset: str) -> tuple[Callable[[], str], str]:
        asked = replace(self.request, width="column")
        if kind == "significance":
            asked = replace(asked, compared=partial(self.compared, dataset))
        votes = self.scored_votes if kind == "metrics" else self.data.analysed
        votes = self.votes_on(dataset) if dataset else votes
        figure, caption = figure_beside(votes, kind, asked, dataset or None)
        with house_style():
            write_marks(figure, study_marks(self.data))
        return partial(figure_svg, figure), caption

    def _svg(self, kind: str, dataset: str) -> tuple[str, str]:
        draw, caption = self._figure(kind, dataset)
        return draw(), caption

    @property
    def later(self) -> dict[Hashable, Callable[[], object]]:
        """See ``Facts``. The figure of significance draws what has been compared for tables."""
        found: dict[Hashable, Callable[[], object]] = {}
        for dataset in self.datasets:
            for kind in ("scores", "ranks"):
                found[f"figure: {kind}", dataset] = partial(self._svg, kind, dataset)
        if self.scores is not None:
            found["figure: metrics", ""] = partial(self._svg, "metrics", "")
        for analysis in ("reliability", "retest", "recovery"):
            found[analysis, ""] = partial(self.overall, analysis)
        for kind in ("raters", "matrix", "sos"):
            found[f"figure: {kind}", ""] = partial(self._svg, kind, "")
        return {**found, ("screening", ""): partial(self.overall, "screening"), **super().later}

    def _values(self, votes: pd.DataFrame) -> tuple[pd.Series[float], pd.Series[int]]:
        table = mos_table(votes, interval=self.request.interval, scale=self.request.scale)
        own = table.set_index(["dataset", "method"])
        return own["mos"], own["n_votes"]

    @property
    def scored_votes(self) -> pd.DataFrame:
        """The votes that may stand beside metrics."""
        return scored_opinions(self.data)

    @property
    def side_by_side(self) -> Table:
        """Metrics and opinion in one table, the paper's figures among them where it has any."""
        assert self.scores is not None
        scores, votes, request = self.scores, self.scored_votes, self.request
        check_same_stimuli(scores, votes)
        protocol, scale = scores["protocol"].iloc[0], scores["scale"].iloc[0]
        rated_there = {dataset for dataset, _, _ in paper.figures()} & set(votes["dataset"])
        asked = self.mean == "MOS"
        theirs = asked and bool(rated_there) and (protocol, scale) == ("ledig2017", 4)
        made = score_table(scores, with_paper=theirs, level=request.level)
        return with_mos(
            made,
            votes,
            unit=request.unit,
            pairs=True,
            level=request.level,
            scale=request.scale,
            alpha=request.alpha,
        )


def planned_tests(votes: pd.DataFrame, data: StudyData, level: float = 0.95) -> pd.DataFrame:
    """The planned comparisons of one data set, signed as planned, corrected within the data set.

    Columns as ``Comparison.frame``, intervals at ``level``. Where looks are planned, ``p_adjusted``
    is adjusted for the looks until this one as well (``sequential.p_of_look``). Raises
    StatisticsError with fewer than two rated methods.
    """
    analysis = data.design.analysis
    (made,) = compare_methods(
        votes,
        unit=analysis.unit,
        pairs=analysis.comparisons,
        adjustment=analysis.correction,
        alpha=analysis.alpha,
        level=level,
        scale=data.design.scale.numbers,
    )
    frame = made.frame()
    if not data.look or not data.look.number:
        return frame
    shares, spending = data.look.shares, analysis.spending
    p, least = (p_of_look(frame[name], shares, spending) for name in ("p", "least_p"))
    names = ("p_adjusted", "least_p_adjusted", "significant", "too_small")
    verdicts = judge(p, least, analysis.correction, analysis.alpha)
    return frame.assign(**{n: [getattr(verdict, n) for verdict in verdicts] for n in names})
