"""What the report of a study of pairs computes; templates/study_pairs.jinja says it.

Every figure of an analysis comes from the tables of ``preferences.analyse``, as those of
``sreval preferences`` do.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property

import numpy as np
import pandas as pd

from sreval.errors import StatisticsError, attempted
from sreval.opinions.pairs.judgements import counted_judgements
from sreval.opinions.significance import judge
from sreval.opinions.units import Unit, unit_names
from sreval.report import paper
from sreval.report.pair_answer import PairAnswer, photograph_rows, turned
from sreval.report.preferences import UNITS, Report, Request, analyse
from sreval.report.preferences_beside import beside_metrics, matched, metrics_of_results
from sreval.report.study_facts import Facts
from sreval.report.study_methods import of_pairs
from sreval.report.table import (
    Columns,
    Table,
    column,
    interval_column,
    method_column,
    share_column,
    share_interval_column,
    signed_column,
    table_of,
    whole,
)
from sreval.report.text import CORRECTIONS, p_value, percent
from sreval.study import charts
from sreval.study.data import StudyData

_LOOKS = {
    "switches": "exchanges of pictures",
    "reference_ms": "seconds on the original",
    "left_ms": "seconds on the left picture",
    "right_ms": "seconds on the right picture",
}
"""What is stored of pictures that are toggled."""


class PairFacts(Facts):
    """What is computed of a study in which two versions of an image are compared."""

    value, unit = "JOD", "JOD"

    def __init__(self, data: StudyData, scores: pd.DataFrame | None = None) -> None:
        super().__init__(data, scores)
        self.request = Request.planned(data)

    # What was asked, and how much of it was answered

    @property
    def plan_words(self) -> str:
        """Which pairs a rater judges, in words."""
        design = self.data.design
        if design.pairs.plan == "active":
            many = f"{design.subset} a rater" if design.subset else "all by every rater"
            return f"active, {many}: those that tell most by what was judged before"
        return f"balanced, {design.subset} a rater" if design.subset else "all by every rater"

    @property
    def counts(self) -> dict[str, int]:
        """How many judgements count, of how many raters, on how many pairs of pictures."""
        own = self.data.opinions
        raters = own["rater"].nunique() if len(own) else 0
        exposure = self.data.monitoring.exposure
        judged = int((exposure["stimuli"] - exposure["never"]).sum())
        return {"votes": len(own), "raters": raters, "pairs": judged}

    @property
    def lacking(self) -> Iterator[tuple[str, list[str]]]:
        """Data sets with pairs of methods of the design that nobody judged, and these pairs."""
        cells = self.data.monitoring.cells
        for dataset, own in cells[cells["votes"] == 0].groupby("dataset", sort=False):
            pairs = zip(own["first"].map(paper.label), own["second"].map(paper.label), strict=True)
            yield str(dataset), [f"{first} against {second}" for first, second in pairs]

    @property
    def active(self) -> bool:
        """Whether what was judged before decided which pairs came next."""
        return self.data.design.pairs.plan == "active"

    @property
    def planned_test(self) -> str:
        """The planned tests and what they are over, in words."""
        said = []
        for dataset in self.datasets:
            names = unit_names(self.unit_on(dataset), self.sample_of(dataset))
            over = " and ".join(f"{name}s" for name in names)
            said.append(f"two-sided Student's t tests of scale values with errors over {over}")
        return " or ".join(dict.fromkeys(said))

    def unit_on(self, dataset: str) -> Unit:
        """The unit of the tests that are planned on a data set."""
        return self.data.design.unit_on(
            {s.image for s in self.data.rated if s.dataset == dataset}
        ).unit

    @property
    def methods(self) -> list[str]:
        """How the study was made and analysed, for a paper, and the works that this cites."""
        return of_pairs(self)

    # What was found

    @cached_property
    def _judgements(self) -> pd.DataFrame:
        """The judgements of which results are made; the report itself marks simulated ones."""
        return replace(self.data, votes=self.data.analysed).judgements.assign(simulated=False)

    def judgements_on(self, dataset: str) -> pd.DataFrame:
        """The judgements on one data set; raises StatisticsError where none counts."""
        own = self._judgements
        own = own[own["dataset"] == dataset]
        if counted_judgements(own).empty:
            raise StatisticsError(f"Nobody's judgements count on {dataset}.")
        return own

    def found(self, dataset: str) -> Report:
        """What ``sreval preferences`` finds on a data set; raises what that raises."""
        return self._once(
            "found", dataset, lambda: analyse(self.judgements_on(dataset), self.request)
        )

    def tables(self, dataset: str, *names: str) -> list[Table]:
        """The tables of these analyses on a data set, in this order."""
        return [
            made for name in names for made in self.found(dataset).sections
            if made.analysis == name
        ]  # fmt: skip

    def answer(self, dataset: str) -> PairAnswer:
        """What was found on a data set, as sentences; raises what the analysis raises."""
        own = counted_judgements(self.judgements_on(dataset))
        pairs = self.data.design.analysis.comparisons
        return PairAnswer(
            dataset=dataset,
            found=self.found(dataset),
            planned=self.planned_tests(dataset).frame if pairs else None,
            judgements=len(own),
            raters=own["rater"].nunique(),
            images=own["image"].nunique(),
            of=self.sample_of(dataset),
            photograph=self.data.design.task.question == "photograph",
            alpha=self.data.alpha,
        )

    def planned_tests(self, dataset: str) -> Table:
        """The comparisons that the design names, corrected among themselves.

        Raises StatisticsError where none of them could be tested.
        """
        wanted = self.data.design.comparisons_on(dataset)
        every = self.tables(dataset, "pairs")
        frames = [_signed(table.frame, wanted) for table in every]
        frame = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
        if frame.empty:
            raise StatisticsError("None of the planned comparisons could be made here.")
        least = np.where(frame["p"].isna(), math.nan, 0.0)
        adjustment = self.request.adjustment
        verdicts = judge(frame["p"], least, adjustment, self.data.alpha)
        frame["p_adjusted"] = [verdict.p_adjusted for verdict in verdicts]
        frame["significant"] = [verdict.significant for verdict in verdicts]
        level = percent(self.request.level)
        columns: Columns = {
            "first": method_column("first"),
            "second": method_column("second"),
            "n": whole("n"),
            "preferred": share_column("share"),
            f"share {level}": share_interval_column("share_low", "share_high"),
            "difference": signed_column("difference", 2),
            f"{level}": interval_column(2, signed=True),
            "p adjusted": lambda row: p_value(row["p_adjusted"]),
            "differ?": lambda row: "yes" if row["significant"] else "not shown",
        }
        notes = [
            "As planned: "
            + (
                f"{CORRECTIONS[adjustment]} over these {len(frame)}"
                if adjustment != "none"
                else f"NOT corrected for {len(frame)} comparisons"
            )
            + f", alpha {self.data.alpha:g}. Each interval is of its comparison alone.",
        ]
        title = f"Planned comparisons on {dataset}"
        return table_of("planned", title, frame, columns, notes)

    def charts(self, dataset: str) -> Iterator[tuple[str, str, str]]:
        """Titles, figures and captions that answer what was asked on a data set.

        How often each method was taken for the photograph, where that was asked; else every method
        in JOD; without a finite scale how often each was chosen.
        """
        found = self.found(dataset)
        if self.data.design.task.question == "photograph":
            rows = photograph_rows(found, self.request.reference)
            if len(rows):
                title = f"Taken for the photograph in place of the original, {dataset}"
                said = (
                    "Per cent of the judgements of the method against the original, a tie half; "
                    f"50% if they can't be told apart. Bars: {percent(self.request.level)} "
                    f"intervals over {UNITS.get(rows['unit'].iloc[0], rows['unit'].iloc[0])}."
                )
                svg = charts.estimates(_shares(rows), 0, 100, f"{title}. {said}", unit="%")
                yield title, svg, said
                return
        for scale in found.scales:
            title = f"Preferences in JOD, {scale.title}"
            values = scale.values
            ends = values[["jod", "jod_low", "jod_high"]].to_numpy(dtype=np.float64)
            low, high = math.floor(np.nanmin(ends)), math.ceil(np.nanmax(ends))
            svg = charts.estimates(
                _jods(values), low, max(high, low + 1), f"{title}. {scale.caption}", signed=True
            )
            yield title, svg, scale.caption
        for table in self.tables(dataset, "scale"):
            if "jod" not in table.frame and "chosen" in table.frame:
                title = f"How often each method was chosen, {dataset}"
                said = "Per cent of the judgements of the method, a tie half; no interval."
                chosen = [
                    (paper.label(str(row["method"])), round(100 * row["chosen"]))
                    for row in table.frame.sort_values("chosen", ascending=False).to_dict("records")
                ]
                yield title, charts.bars(chosen, f"{title}. {said}", "%"), said

    def metrics(self, dataset: str) -> Table:
        """How many judgements on a data set each metric foretells."""
        assert self.scores is not None
        values, better = metrics_of_results(self.scores, {})
        own = self.judgements_on(dataset)
        here = matched(values, own)
        return beside_metrics(own, here, better, self.request.level)

    def switches_on(self, dataset: str) -> list[Table]:
        """How often pictures that are toggled were exchanged, and for how long each was seen."""
        own = self.data.opinions
        own = own[own["dataset"] == dataset]
        rows = []
        for name, what in _LOOKS.items():
            if name not in own or (values := pd.to_numeric(own[name]).dropna()).empty:
                continue
            scaled = values.to_numpy(dtype=np.float64) / (1000 if name.endswith("_ms") else 1)
            rows.append((what, len(scaled), *np.quantile(scaled, [0.25, 0.5, 0.75])))
        if not rows:
            return []
        frame = pd.DataFrame(rows, columns=["what", "n", "first", "median", "third"])
        columns: Columns = {
            "a judgement": column("what"),
            "n": whole("n"),
            "lower quartile": column("first", 1),
            "median": column("median", 1),
            "upper quartile": column("third", 1),
        }
        notes = ["Of judgements that count; pictures stood in one place."]
        return [table_of("switches", f"Looks, {dataset}", frame, columns, notes)]

    def _values(self, votes: pd.DataFrame) -> tuple[pd.Series[float], pd.Series[int]]:
        values, counts = {}, {}
        judgements = replace(self.data, votes=votes).judgements
        for dataset, own in judgements.groupby("dataset"):
            made, _ = attempted(lambda own=own: analyse(own, self.request))  # type: ignore[misc]
            for scale in made.scales if made else ():
                for row in scale.values.to_dict("records"):
                    key = str(dataset), str(row["method"])
                    values[key], counts[key] = float(row["jod"]), int(row["n"])
        if not values:
            raise StatisticsError("There is no scale in JOD.")
        index = pd.MultiIndex.from_tuples(list(values), names=["dataset", "method"])
        return (
            pd.Series(list(values.values()), index, dtype=float),
            pd.Series(list(counts.values()), index, dtype=int),
        )


def _signed(frame: pd.DataFrame, wanted: tuple[tuple[str, str], ...]) -> pd.DataFrame:
    """The rows of the pairs that are wanted, each with the first method that was named first."""
    both = pd.concat([frame, turned(frame)], ignore_index=True)
    place = {pair: number for number, pair in enumerate(wanted)}
    order = [place.get(pair, -1) for pair in zip(both["first"], both["second"], strict=True)]
    both = both.drop(columns=["low_adjusted", "high_adjusted"]).assign(order=order)
    both = both[both["order"] >= 0].sort_values("order")
    return both.drop(columns="order").reset_index(drop=True)


def _jods(values: pd.DataFrame) -> list[charts.Estimate]:
    return [
        charts.Estimate(
            paper.label(str(row["method"])), row["jod"], row["jod_low"], row["jod_high"],
            f"{row['n']:.0f} judgements", row["letters"],
        )
        for row in values.to_dict("records")
    ]  # fmt: skip


def _shares(rows: pd.DataFrame) -> list[charts.Estimate]:
    return [
        charts.Estimate(
            paper.label(str(row["method"])), 100 * row["share"], 100 * row["low"],
            100 * row["high"], f"{row['n']:.0f} judgements",
        )
        for row in rows.to_dict("records")
    ]  # fmt: skip
