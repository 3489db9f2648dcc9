"""Tables of paired comparisons: who was preferred, by how much, and how sure one may be."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import pandas as pd

from sreval.errors import (
    NONE,
    StatisticsError,
    UsageError,
    attempted,
    counted,
    fixed,
    listed,
    numbered,
    option,
)
from sreval.frames import image_order
from sreval.opinions.intervals import Interval
from sreval.opinions.pairs import consistency, inference, models
from sreval.opinions.pairs.existence import Existence, existence
from sreval.opinions.pairs.judgements import counted_judgements
from sreval.opinions.pairs.models import Comparisons, Model, PairFit, Source, Ties
from sreval.report import paper
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
from sreval.report.text import CORRECTIONS, p_value, percent, span, whole_percent

if TYPE_CHECKING:
    from sreval.study.data import StudyData

T = TypeVar("T")

_MOST_RATERS = 40
_MOST_WORST = 5
_FEW = 5
"""Below so many judgements of its own a pair is compared mostly through other methods."""

NAMES: dict[Model, str] = {
    "bradley-terry": "Bradley-Terry",
    "thurstone": "Thurstone case V",
    "davidson": "Davidson",
    "rao-kupper": "Rao-Kupper",
    "glenn-david": "Glenn-David",
}
WITHOUT_TIES: dict[Model, Model] = {
    "davidson": "bradley-terry",
    "rao-kupper": "bradley-terry",
    "glenn-david": "thurstone",
}
"""What a model of ties is where there are none."""

UNITS: dict[Source, str] = {
    "both": "raters and images",
    "rater": "raters",
    "image": "images",
    "information": "judgements",
}
"""How the unit of an interval is printed."""

_JOD = "1 JOD: 75% prefer the better, ties aside; 0: the mean of the methods."


@dataclass(frozen=True)
class Request:
    """What is asked of the judgements; the fields are the arguments of ``sreval.preferences``."""

    model: Model | None = None
    unit: Source | None = None
    ties: Ties | None = None
    order: bool = False
    level: float = 0.95
    adjustment: str = "holm"
    methods: Sequence[str] | None = None
    reference: str = "hr"
    sided: bool = True
    """Whether left and right are known to be places."""

    @classmethod
    def planned(cls, data: StudyData) -> Request:
        """What the design of a study plans to ask, or at the look it has come to."""
        analysis = data.design.analysis
        level = round(1 - data.alpha, 12)  # 0.95 of an alpha of 0.05
        return cls(unit=analysis.unit, level=level, adjustment=analysis.correction)


@dataclass(frozen=True)
class Scale:
    """The methods of one connected part of a data set on one scale, in JOD, best first.

    ``values`` have the columns method, jod, jod_low, jod_high, letters.
    """

    title: str
    dataset: str
    values: pd.DataFrame
    caption: str


@dataclass
class Report:
    """Tables, what could not be made and why, and the scales that a figure can show."""

    sections: list[Table] = field(default_factory=list)
    not_done: list[str] = field(default_factory=list)
    scales: list[Scale] = field(default_factory=list)

    def attempt(self, make: Callable[[], T], where: str) -> T | None:
        """What ``make`` gives, or None: the reason is kept."""
        made, why = attempted(make, remedy=True)
        if made is None:
            self.not_done.append(f"{where}: {why}")
        return made


@dataclass(frozen=True)
class Part:
    """Methods of a data set that comparisons connect, and what is asked of them.

    ``name`` stands in titles: the data set and which part of how many; ``marks`` are the columns
    that tell its rows from those of others.
    """

    name: str
    marks: Mapping[str, str | int]
    comparisons: Comparisons
    rows: pd.DataFrame
    request: Request
    of: int
    """How many parts the data set has."""

    @property
    def model(self) -> Model:
        """The model that was chosen, or Bradley-Terry, with ties Davidson.

        Where no answer is a tie, a model of ties is the one without them.
        """
        chosen = self.request.model or ("davidson" if self.with_ties else "bradley-terry")
        return chosen if self.with_ties else WITHOUT_TIES.get(chosen, chosen)

    @property
    def with_ties(self) -> bool:
        """Whether there are ties, and a model is to explain them."""
        return self.comparisons.n_ties > 0 and self.request.ties is None

    @property
    def ties(self) -> Ties:
        """What a model without ties makes of them."""
        return self.request.ties or "refuse"

    def fit(self, model: Model | None = None, order: bool | None = None) -> PairFit:
        """The fit of a model, by default the chosen one, with or without the order effect."""
        order = self.request.order if order is None else order
        return models.fit(self.comparisons, model or self.model, order, self.ties)

    def compare(self, fit: PairFit) -> inference.PairComparison:
        """Intervals and tests of a fit by the unit, level and adjustment that were asked for."""
        asked = self.request
        return inference.compare(fit, asked.unit, asked.level, asked.adjustment)

    def table(
        self,
        analysis: str,
        title: str,
        frame: pd.DataFrame,
        columns: Columns,
        notes: Sequence[str] = (),
        facts: Mapping[str, object] | None = None,
        printed: pd.DataFrame | None = None,
    ) -> Table:
        """A table of this part; each row of its frame says so."""
        own = frame.assign(**dict(self.marks))
        own = own[[*self.marks, *frame.columns]]
        title = f"{title}, {self.name}" if self.name else title
        if self.of > 1 and analysis == "scale":
            apart = "No judgement links these methods with those of the other parts: values of two "
            notes = [*notes, f"{apart}parts can't be compared."]
        return table_of(analysis, title, own, columns, notes, facts, printed=printed)


def analyse(judgements: pd.DataFrame, request: Request) -> Report:
    """The tables of all data sets, part by part; what can't be made doesn't stop the others.

    ``judgements`` is the frame of ``read_judgements``. Raises StatisticsError where none counts.
    """
    own = counted_judgements(judgements)
    if own.empty:
        raise StatisticsError(
            f"None of {counted(int(judgements['count'].sum()), 'judgement')} counts.",
            "Look at the columns kind and accepted.",
        )
    ties = int(own.loc[own["choice"] == "tie", "count"].sum())
    if ties and request.ties is None and request.model in ("bradley-terry", "thurstone"):
        raise UsageError(
            f"{NAMES[request.model]} can't explain {counted(ties, 'tie')}.",
            f"Choose {option('--model davidson', 'model=')} or another model of ties, or say by "
            f"{option('--ties half', 'ties=')} or drop what becomes of them.",
        )
    report = Report()
    datasets = paper.sort_datasets(list(map(str, own["dataset"].unique())))
    for dataset in datasets:
        rows = own[own["dataset"] == dataset]
        every = judgements[judgements["dataset"] == dataset]
        made = report.attempt(
            partial(_parts, dataset, rows, request, report), dataset or "Preferences"
        )
        for part in made or ():
            _part(part, report)
        for table in (_images_agree, partial(_raters, request=request)):
            found = report.attempt(partial(table, every, dataset), f"Raters {dataset}".strip())
            report.sections += found or []
    if not report.sections:
        raise StatisticsError(" ".join(report.not_done))
    if own["simulated"].any():
        report.sections = [
            replace(
                made, title=f"{made.title} (simulated)", frame=made.frame.assign(simulated=True)
            )
            for made in report.sections
        ]
        report.scales = [
            replace(scale, caption=f"SIMULATED: no person gave these answers. {scale.caption}")
            for scale in report.scales
        ]
    return report


def _parts(dataset: str, rows: pd.DataFrame, request: Request, report: Report) -> list[Part]:
    """The connected parts of a data set."""
    chosen = None if request.methods is None else tuple(request.methods)
    every = Comparisons.of(rows, chosen)
    found = existence(every, ties=request.ties or "half").parts
    parts = [own for own in found if len(own) > 1]
    if alone := [own[0] for own in found if len(own) == 1]:
        # only without ties can a method be left without any comparison
        names = listed([*map(paper.label, alone)])
        report.not_done.append(f"{names}: every judgement is a tie, and ties are left out.")
    if len(found) == 1:
        return [Part(dataset, {"dataset": dataset, "part": 1}, every, rows, request, 1)]
    return [
        Part(
            ", ".join(filter(None, [dataset, f"part {n} of {len(parts)}"])),
            {"dataset": dataset, "part": n},
            Comparisons.of(rows, own),
            rows[rows["left"].isin(own) & rows["right"].isin(own)],
            request,
            len(parts),
        )
        for n, own in enumerate(parts, 1)
    ]


def _part(part: Part, report: Report) -> None:
    """All tables of one part."""
    found = existence(part.comparisons, part.model, part.request.order, part.ties)
    where = part.name or "Preferences"
    if found.ties_only:
        report.sections += [_undecided(part), _shares(part)]
        return
    if not found.exists and (len(found.classes) == 1 or not found.order_finite):
        report.not_done.append(f"{where}: {_reason(found)} {found.remedy}")
        report.sections.append(_shares(part))
        return
    if not found.exists:
        made = report.attempt(partial(_bounded, part, found), where)
        report.sections += made or []
        return
    compared = report.attempt(lambda: part.compare(part.fit()), where)
    if compared is None:
        report.sections.append(_shares(part))
        return
    probit: Model = "glenn-david" if part.with_ties else "thurstone"
    jod = report.attempt(lambda: part.compare(part.fit(probit)), f"JOD, {where}")
    report.sections += [_scale(part, compared, jod, report), _pairs(part, compared, jod)]
    for name, make in (
        ("Models", partial(_models, part)),
        ("Checks", partial(_checks, part, compared)),
        ("Images", partial(_images, part)),
    ):
        tables = report.attempt(make, f"{name}, {part.name}".rstrip(", "))
        report.sections += tables or []


def _reason(found: Existence) -> str:
    """Why no estimate is finite, with the methods named as tables name them."""
    named = {
        side: tuple(tuple(map(paper.label, own)) for own in getattr(found, side))
        for side in ("parts", "classes")
    }
    return replace(found, **named).reason  # type: ignore[arg-type]


def _one_side(part: Part) -> str:
    """That every answer is the same side, as a sentence; empty where they differ."""
    own = part.comparisons
    sides = {1: "left", -1: "right"}
    if not part.request.sided or own.n_judgements < 2 or len(set(own.outcome.tolist())) > 1:
        return ""
    side = sides.get(int(own.outcome[0]))
    where = f" on {part.name}" if part.name else ""
    return f"Every answer{where} is {side}: the judgements say nothing about the methods." * bool(
        side
    )


# Scale values


def _sizes(part: Part) -> str:
    """How much was judged, by whom."""
    own = part.comparisons
    ties = f" ({counted(int(own.n_ties), 'tie')})" if own.n_ties else ""
    raters = counted(own.n_raters, "rater") if own.raters != ("",) else "raters not named"
    images = counted(own.n_images, "image") if own.images != ("",) else "images not named"
    return f"{counted(int(own.n_judgements), 'judgement')}{ties}, {raters}, {images}"


def _chosen(own: Comparisons) -> dict[str, tuple[float, int]]:
    """Of each method how often it was chosen among its judgements, a tie half, and their number."""
    wins, tied = own.wins(), own.tied()
    n = (wins + wins.T + tied).sum(axis=1)
    shares = (wins + tied / 2).sum(axis=1) / np.maximum(n, 1)
    return {
        name: (float(share), int(count))
        for name, share, count in zip(own.methods, shares, n, strict=True)
    }


def _scale(
    part: Part,
    compared: inference.PairComparison,
    jod: inference.PairComparison | None,
    report: Report,
) -> Table:
    """Scale values of all methods, best first."""
    shares = _chosen(part.comparisons)
    in_jod = _in_jod(jod) if jod else {}
    rows = []
    for value in compared.values:
        own, low, high = in_jod.get(value.method, (math.nan,) * 3)
        share, n = shares[value.method]
        rows.append(
            {
                "method": value.method,
                "chosen": share,
                "n": n,
                "theta": value.theta,
                "error": value.error,
                "low": value.interval.low,
                "high": value.interval.high,
                "jod": own,
                "jod_low": low,
                "jod_high": high,
                "letters": compared.letters.get(value.method, ""),
                "model": compared.fit.model,
                "unit": compared.unit,
                "level": compared.level,
            }
        )
    frame = pd.DataFrame(rows)
    frame["jod_above_lowest"] = frame["jod"] - frame["jod"].min()
    reference = part.request.reference
    of_reference = frame.loc[frame["method"] == reference, "jod"]
    below = len(of_reference) > 0
    if below:
        frame["jod_below_reference"] = of_reference.item() - frame["jod"]
    level = percent(compared.level)
    columns: Columns = {
        "method": method_column(),
        "chosen": share_column("chosen"),
        "n": whole("n"),
        "JOD": signed_column("jod", 2),
        f"JOD {level}": interval_column(2, "jod_low", "jod_high", signed=True),
        "above lowest": column("jod_above_lowest", 2),
        **({f"below {paper.label(reference)}": column("jod_below_reference", 2)} if below else {}),
        "theta": signed_column("theta", 2),
        level: interval_column(2, signed=True),
        **({"letters": column("letters")} if frame["letters"].any() else {}),
    }
    one_side = _one_side(part)
    notes = [*filter(None, [one_side]), *_scale_notes(part, compared, jod)]
    if jod is not None:
        report.scales.append(
            Scale(
                part.name,
                str(part.marks["dataset"]),
                frame,
                _caption(part, jod, bool(compared.letters)),
            )
        )
    title = "Preferences on one scale"
    facts = {"letters": compared.letters, "one_side": one_side}
    return part.table("scale", title, frame, columns, notes, facts)


def _in_jod(jod: inference.PairComparison) -> dict[str, tuple[float, float, float]]:
    """JOD of each method with its limits."""
    found = {}
    for value in jod.values:
        low, high = _ends(value.interval)
        found[value.method] = value.theta / models.JOD, low / models.JOD, high / models.JOD
    return found


def _ends(interval: Interval) -> tuple[float, float]:
    return interval.low, interval.high


def _scale_notes(
    part: Part, compared: inference.PairComparison, jod: inference.PairComparison | None
) -> list[str]:
    fit = compared.fit
    order = "with" if fit.order else "without"
    notes = [
        f"{_sizes(part)}. chosen: of the n judgements of a method, a tie half.",
        f"theta: {NAMES[fit.model]}, {order} an advantage of the left picture, sum 0."
        + (f" Intervals are {_about(compared)}." if _known(compared) else " No intervals."),
    ]
    if jod is not None:
        notes.append(f"JOD: {NAMES[jod.fit.model]}. {_JOD}")
    if compared.letters:
        notes.append(
            "Methods that share a letter weren't shown to differ "
            f"({CORRECTIONS[compared.adjustment]}, {percent(1 - compared.level)})."
        )
    asked = part.request.model
    if asked in models.TIE_MODELS and asked != fit.model:
        notes.append(f"No answer is a tie: {NAMES[asked]} is then {NAMES[fit.model]}.")
    if part.request.ties == "half":
        wide = compared.unit == "information"
        notes.append(f"Ties count as half a win for each{', which makes errors too wide' * wide}.")
    if part.request.ties == "drop" and part.comparisons.n_ties:
        notes.append(f"{counted(int(part.comparisons.n_ties), 'tie')} left out.")
    notes += [f"{one.rstrip('.')}." for one in (compared.why, compared.warning) if one]
    return notes


def _known(compared: inference.PairComparison) -> bool:
    """Whether there are intervals and tests."""
    return any(math.isfinite(value.interval.low) for value in compared.values)


def _about(compared: inference.PairComparison) -> str:
    """What the errors are of, in words that follow a noun."""
    if compared.unit == "information":
        return f"of {compared.claim}"
    own = compared.fit.comparisons
    about = " on ".join(sorted(compared.claim.split(", "), key=lambda part: "rater" not in part))
    for n, name in ((own.n_raters, "rater"), (own.n_images, compared.of)):
        if n == 1:
            about = about.replace(f"these {name}s", f"this {name}")
    return f"for {about}"


def _caption(part: Part, jod: inference.PairComparison, letters: bool) -> str:
    bars = (
        f"Bars: {percent(jod.level)} intervals, each method alone, {_about(jod)}."
        if _known(jod)
        else "No intervals."
    )
    shared = " Methods that share a letter weren't shown to differ." if letters else ""
    return f"n = {_sizes(part)}. {bars} {_JOD}{shared}"


def _undecided(part: Part) -> Table:
    """All methods alike, as every judgement is a tie."""
    shares = _chosen(part.comparisons)
    frame = pd.DataFrame({"method": name, "n": n, "theta": 0.0} for name, (_, n) in shares.items())
    columns: Columns = {"method": method_column(), "n": whole("n"), "theta": column("theta", 0)}
    notes = [f"{_sizes(part)}. No decisive answer: every judgement is a tie, so no interval."]
    return part.table("scale", "No decisive answer", frame, columns, notes)


def _bounded(part: Part, found: Existence) -> list[Table]:
    """What can be said where no estimate is finite: the classes, and what is finite in them."""
    ties: Ties = "half" if part.comparisons.n_ties and part.ties == "refuse" else part.ties
    penalised = models.firth(part.comparisons, ties=ties)
    firth = dict(zip(part.comparisons.methods, penalised.theta, strict=True))
    shares = _chosen(part.comparisons)
    rows = []
    for place, own in enumerate(found.classes, 1):
        inner = _within(part, own)
        values = sorted(own, key=lambda name: -inner.get(name, (0.0,))[0])
        for name in values:
            theta, low, high = inner.get(name, (math.nan,) * 3)
            share, n = shares[name]
            rows.append(
                {
                    "class": place,
                    "method": name,
                    "chosen": share,
                    "n": n,
                    "theta_in_class": theta,
                    "low": low,
                    "high": high,
                    "penalised": firth[name],
                    "model": part.model,
                }
            )
    frame = pd.DataFrame(rows)
    columns: Columns = {
        "class": whole("class"),
        "method": method_column(),
        "chosen": share_column("chosen"),
        "n": whole("n"),
        "theta in its class": signed_column("theta_in_class", 2),
        percent(part.request.level): interval_column(2, signed=True),
        "penalised (Firth)": signed_column("penalised", 2),
    }
    notes = [
        f"{_sizes(part)}. chosen: of the n judgements of a method, a tie half.",
        f"{_reason(found)} Where no > leads from one class to another, their order isn't known.",
        f"theta in its class: {NAMES[part.model]}, sum 0 within the class; – of a class of one. "
        "No p is given.",
        "penalised (Firth): Bradley-Terry with Firth's penalty, without an advantage of the left, "
        "sum 0 over all; it is finite by its penalty"
        + (", ties half" if ties == "half" else "")
        + ". No p is made from it.",
    ]
    title = "Preferences without a common finite scale"
    facts = {"reason": _reason(found), "one_side": _one_side(part)}
    return [part.table("scale", title, frame, columns, notes, facts), _shares(part)]


def _within(part: Part, own: Sequence[str]) -> dict[str, tuple[float, float, float]]:
    """Values and limits of the methods of one class, none where they can't be fitted."""
    if len(own) < 2:
        return {}
    inner = replace(part, comparisons=Comparisons.of(part.rows, tuple(own)))
    compared, _ = attempted(lambda: inner.compare(inner.fit()))
    if compared is None:
        return {}
    return {value.method: (value.theta, *_ends(value.interval)) for value in compared.values}


# Pairs


def _shared(part: Part) -> dict[tuple[str, str], inference.Share]:
    """The share of each judged pair, both ways round by its names."""
    found = inference.shares(part.comparisons, part.request.unit, part.request.level)
    return {(one.first, one.second): one for one in found}


def _share_cells(
    shares: Mapping[tuple[str, str], inference.Share], first: str, second: str
) -> dict[str, float]:
    """How often the first was preferred to the second, its limits and n."""
    if own := shares.get((first, second)):
        low, high = _ends(own.share)
        return {"n": own.n, "share": own.share.estimate, "share_low": low, "share_high": high}
    if own := shares.get((second, first)):
        low, high = _ends(own.share)
        return {
            "n": own.n,
            "share": 1 - own.share.estimate,
            "share_low": 1 - high,
            "share_high": 1 - low,
        }
    return {"n": 0, "share": math.nan, "share_low": math.nan, "share_high": math.nan}


def _shares(part: Part, notes: Sequence[str] = ()) -> Table:
    """The shares of each pair alone, where no scale exists."""
    shares = _shared(part)
    decisive = part.comparisons.n_ties < part.comparisons.n_judgements
    frame = pd.DataFrame(
        {
            "first": first,
            "second": second,
            **_share_cells(shares, first, second),
            "unit": _units(own),
            "level": part.request.level,
        }
        for (first, second), own in shares.items()
    )
    if not decisive:
        frame[["share_low", "share_high"]] = math.nan
    level = percent(part.request.level)
    columns: Columns = {
        "first": method_column("first"),
        "second": method_column("second"),
        "n": whole("n"),
        "first preferred": share_column("share"),
        level: share_interval_column("share_low", "share_high"),
    }
    said = [*notes, _share_note(shares if decisive else {})]
    return part.table("shares", "How often one was preferred", frame, columns, said)


def _units(one: inference.Share) -> str:
    """What the interval of a share is over."""
    return one.share.unit.replace(" and ", "s and ") + "s"


def _share_note(shares: Mapping[tuple[str, str], inference.Share]) -> str:
    units = {_units(one) for one in shares.values() if math.isfinite(one.share.low)}
    interval = f"interval over {' or '.join(sorted(units))}" if units else "no interval"
    return f"first preferred: of the n judgements of the pair, a tie half; {interval}."


def _pairs(
    part: Part, compared: inference.PairComparison, jod: inference.PairComparison | None
) -> Table:
    """Every pair of methods: share, difference, win probability, test."""
    shares = _shared(part)
    raters = _raters_of(part)
    in_jod = {(p.first, p.second): p for p in jod.pairs} if jod else {}
    rows = [
        {
            "first": pair.first,
            "second": pair.second,
            **_share_cells(shares, pair.first, pair.second),
            "raters": raters.get(frozenset((pair.first, pair.second)), 0),
            **_jod_cells(in_jod.get((pair.first, pair.second))),
            "difference": pair.difference.estimate,
            "error": pair.error,
            "freedom": pair.difference.freedom,
            "low": pair.difference.low,
            "high": pair.difference.high,
            "low_adjusted": pair.adjusted.low,
            "high_adjusted": pair.adjusted.high,
            "win": pair.win.estimate,
            "win_low": pair.win.low,
            "win_high": pair.win.high,
            "p": pair.p,
            "p_adjusted": pair.verdict.p_adjusted,
            "significant": pair.verdict.significant,
            "unit": compared.unit,
            "level": compared.level,
            "adjustment": compared.adjustment,
        }
        for pair in compared.pairs
    ]
    frame = pd.DataFrame(rows)
    # among two methods there are no others through which they could be compared
    alone = (frame["raters"] == 1) & (part.comparisons.n_raters > 1)
    frame["indirect"] = ((frame["n"] < _FEW) | alone) & (len(part.comparisons.methods) > 2)
    level = percent(compared.level)
    tested = frame["p"].notna().any()
    columns: Columns = {
        "first": method_column("first"),
        "second": method_column("second"),
        "n": whole("n"),
        "preferred": share_column("share"),
        f"share {level}": share_interval_column("share_low", "share_high"),
        "difference": signed_column("difference", 2),
        f"{level} adjusted": interval_column(2, "low_adjusted", "high_adjusted", signed=True),
        "wins": share_column("win"),
        f"wins {level}": share_interval_column("win_low", "win_high"),
    }
    if tested:
        columns = {
            **columns,
            "p adjusted": lambda row: p_value(row["p_adjusted"]),
            "differ?": lambda row: "yes" if row["significant"] else "not shown",
        }
    notes = [
        "preferred: how often the first was, of the n judgements of the pair, a tie half. "
        f"difference: in theta ({NAMES[compared.fit.model]}). wins: the share of decisive answers "
        "that the model gives the first, whichever stands left.",
        f"Intervals and p are {_about(compared)}. p and the adjusted interval: "
        f"{CORRECTIONS[compared.adjustment]}, all pairs here."
        if tested
        else "No test can be made: the notes on the scale say why.",
    ]
    if frame["indirect"].any():
        texts = [
            f"{paper.label(row['first'])} against {paper.label(row['second'])} "
            f"({counted(int(row['n']), 'judgement')})"
            for row in frame[frame["indirect"]].to_dict("records")
        ]
        notes.append(
            f"Indirect, with fewer than {_FEW} judgements or one rater of their own: "
            f"{listed(texts, 9)}. Their differences come mostly through other methods."
        )
    return part.table("pairs", "Pairs of methods", frame, columns, notes)


def _raters_of(part: Part) -> dict[frozenset[str], int]:
    """How many raters judged each pair."""
    rows = part.rows
    pairs = [frozenset(pair) for pair in zip(rows["left"], rows["right"], strict=True)]
    counts = rows["rater"].groupby(pd.Series(pairs, rows.index)).nunique()
    return {pair: int(counts[pair]) for pair in counts.index}


def _jod_cells(pair: inference.PairTest | None) -> dict[str, float]:
    """A difference in JOD with its adjusted limits."""
    if pair is None:
        return dict.fromkeys(("jod", "jod_low", "jod_high"), math.nan)
    ends = {"jod_low": pair.adjusted.low, "jod_high": pair.adjusted.high}
    values = {"jod": pair.difference.estimate, **ends}
    return {name: value / models.JOD for name, value in values.items()}


# Models and checks


def _models(part: Part) -> list[Table]:
    """The likelihoods of all models that could explain the judgements, and the chosen one."""
    tried: tuple[Model, ...] = ("bradley-terry", "thurstone")
    if part.with_ties:
        tried = models.TIE_MODELS
    rows, not_fitted = [], []
    for model in dict.fromkeys([*tried, part.model]):
        fit, why = attempted(partial(part.fit, model))
        rows.append(
            {
                "model": model,
                "parameters": fit.n_parameters if fit else math.nan,
                "log_likelihood": fit.log_likelihood if fit else math.nan,
                "aic": fit.aic if fit else math.nan,
                "tie_parameter": fit.tie_parameter if fit else math.nan,
                "chosen": model == part.model,
            }
        )
        if why:
            not_fitted.append(f"{NAMES[model]}: {why}")
    frame = pd.DataFrame(rows)
    columns: Columns = {
        "model": lambda row: NAMES[row["model"]],
        "parameters": whole("parameters"),
        "ln L": column("log_likelihood", 2),
        "AIC": column("aic", 2),
        **({"ties": column("tie_parameter", 3)} if part.with_ties else {}),
        "used": lambda row: "yes" if row["chosen"] else "",
    }
    notes = [
        "The model is chosen before the data are seen, by name or by default, never by its AIC. "
        "Likelihoods take judgements as independent.",
        *(["ties: ln nu of Davidson, eta of the others."] if part.with_ties else []),
        *not_fitted,
    ]
    if part.with_ties:
        notes += _other_ties(part)
    return [part.table("models", "Models", frame, columns, notes)]


def _other_ties(part: Part) -> list[str]:
    """What Bradley-Terry gives with ties as halves, and without them."""
    said = []
    asked: dict[Ties, str] = {"half": "as half a win for each", "drop": "left out"}
    for ties, words in asked.items():
        order = part.request.order
        fit, _ = attempted(partial(models.fit, part.comparisons, "bradley-terry", order, ties))
        if fit is not None:
            values = sorted(zip(fit.theta, part.comparisons.methods, strict=True), reverse=True)
            texts = [f"{paper.label(name)} {fixed(v, 2, signed=True)}" for v, name in values]
            said.append(
                f"For comparison alone, Bradley-Terry with ties {words}: {listed(texts, 12)}."
            )
    return said


def _checks(part: Part, compared: inference.PairComparison) -> list[Table]:
    """Do methods differ, does the side matter, does the model fit, do images differ?"""
    fit = compared.fit
    rows: list[dict[str, object]] = []

    def add(question: str, statistic: str, value: float, freedom: str, p: float, more: str) -> None:
        rows.append(
            {
                "question": question,
                "statistic": statistic,
                "value": value,
                "freedom": freedom,
                "p": p,
                "more": more,
            }
        )

    equality = compared.equality
    between, within = equality.freedom
    finite = math.isfinite(within)
    if math.isfinite(equality.p):
        add(
            "Do the methods differ?",
            "F" if finite else "Wald chi2",
            equality.statistic,
            f"{between:.0f}, {within:.0f}" if finite else f"{between:.0f}",
            equality.p,
            f"over {UNITS[compared.unit]}",
        )
    else:
        add("Do the methods differ?", NONE, math.nan, NONE, math.nan, _untested(compared))
    notes = _joint_note(compared)
    left: dict[str, float] = {}
    if part.request.sided:
        said, left = _order_row(part, add)
        notes += said
    else:
        notes.append("Which picture stood left isn't known: no advantage of a side is estimated.")
    good, why = attempted(lambda: inference.goodness(fit))
    worst: list[str] = []
    if good is None:
        notes.append(f"Goodness of fit: {why}")
    elif good.freedom == 0:
        notes.append("The model has as many values as there are shares: its fit can't be tested.")
    else:
        more = f"X2 = {fixed(good.pearson, 2)}"
        add("Does the model fit?", "G2", good.deviance, str(good.freedom), good.p, more)
        worst = _worst(good.worst)
        if good.sparse:
            notes.append(
                "G2, and LR of images, have no p: too few judgements (over a fifth of the "
                "expected counts are below 5, or one is below 1)."
            )
    several = part.comparisons.n_images > 1
    images, why = attempted(lambda: inference.images_test(fit)) if several else (None, "")
    if why:
        notes.append(f"Whether the images differ can't be tested. {why}")
    if images is not None:
        few = good is not None and good.sparse
        p = math.nan if few else images.p
        differ = p < 1 - part.request.level
        more = "the scale above is an average over these images" if differ else ""
        add("Do the images differ?", "LR", images.statistic, str(images.freedom), p, more)
    if not rows:
        return []
    frame = pd.DataFrame(rows)
    columns: Columns = {
        "question": column("question"),
        "statistic": column("statistic"),
        "value": column("value", 2),
        "df": lambda row: row["freedom"],
        "p": lambda row: p_value(row["p"]),
        "note": column("more"),
    }
    independent = [row["statistic"] for row in rows if row["statistic"] in ("LR", "G2")]
    if independent:
        notes.append(
            "LR and G2 are of judgements as if all were independent: their p are too small where "
            "raters or images differ."
        )
    facts = {"worst": worst, "left": left}
    return [part.table("checks", "Checks", frame, columns, [*notes, *worst], facts)]


def _joint_note(compared: inference.PairComparison) -> list[str]:
    """What the test of all methods and those of their pairs say, where they differ in power."""
    joint = compared.equality
    between, within = joint.freedom
    found = any(pair.verdict.significant for pair in compared.pairs)
    if len(compared.pairs) < 2 or not math.isfinite(joint.p):
        return []
    if found == (joint.p < 1 - compared.level) and within >= 2 * between:
        return []
    weak = (
        f"One test of all methods has little power here: {within:.0f} degrees of freedom for "
        f"{between:.0f} differences. "
        if within < 2 * between
        else ""
    )
    adjusted = {"none": "aren't adjusted"}.get(
        compared.adjustment, f"are adjusted among themselves ({CORRECTIONS[compared.adjustment]})"
    )
    return [
        f"{weak}Do the methods differ: a claim on all together. A claim on a pair rests on the "
        f"tests of pairs, which {adjusted}, and needs no joint test."
    ]


def _untested(compared: inference.PairComparison) -> str:
    """Why no test says whether the methods differ."""
    if not _known(compared):
        return "no test: the notes on the scale say why"
    own = compared.fit.comparisons
    counts = {"rater": (own.n_raters, "rater"), "image": (own.n_images, compared.of)}
    n, name = min(counts.values() if compared.unit == "both" else [counts[compared.unit]])
    return f"{counted(n, name)} are too few for one test of {len(own.methods)} methods"


def _order_row(part: Part, add: Callable[..., None]) -> tuple[list[str], dict[str, float]]:
    """Whether sides were balanced; and the advantage of the left, always estimated, in theta."""
    made, why = attempted(lambda: part.compare(part.fit(order=True)))
    question = "Does the left have an advantage?"
    unbalanced = _unbalanced(part.comparisons)
    if made is None or made.order_effect is None:
        add(question, NONE, math.nan, NONE, math.nan, f"can't be estimated. {why}")
        return ([f"Sides weren't balanced ({unbalanced})."] if unbalanced else []), {}
    effect = made.order_effect
    tested, why = attempted(lambda: inference.order_test(part.comparisons, part.model, part.ties))
    low, high = _ends(effect)
    limits = (
        f", {percent(made.level)} {fixed(low, 2, signed=True)} to {fixed(high, 2, signed=True)}"
        if math.isfinite(low) and math.isfinite(high)
        else ""
    )
    more = f"left {fixed(effect.estimate, 2, signed=True)} in theta{limits}"
    if tested is None:
        add(question, "LR", math.nan, NONE, math.nan, more)
    else:
        values = tested.statistic, str(tested.freedom), tested.p
        add(question, "LR", *values, more)
    said = []
    if unbalanced and not part.request.order:
        said.append(
            f"Sides weren't balanced ({unbalanced}): {option('--order', 'order=True')} keeps the "
            "advantage of the left in the model."
        )
    return said, {"advantage": effect.estimate, "low": low, "high": high, "level": made.level}


def _unbalanced(own: Comparisons) -> str:
    """The pair whose sides are the least balanced, in words; empty where all are within one."""
    placed = np.zeros((len(own.methods),) * 2)
    np.add.at(placed, (own.left, own.right), own.count)
    gap = placed - placed.T
    if gap.max() <= 1:
        return ""
    first, second = np.unravel_index(gap.argmax(), gap.shape)
    names = paper.label(own.methods[first]), paper.label(own.methods[second])
    here, there = placed[first, second], placed[second, first]
    return f"{names[0]} stood left of {names[1]} {here:.0f} times, right {there:.0f}"


def _worst(worst: pd.DataFrame) -> list[str]:
    """The outcomes that the model explains least."""
    if worst.empty:
        return []
    texts = []
    for row in worst.head(_MOST_WORST).to_dict("records"):
        left, right = paper.label(str(row["left"])), paper.label(str(row["right"]))
        what = {"left": f"{left} over {right}", "right": f"{right} over {left}"}.get(
            str(row["outcome"]), f"{left} and {right} tied"
        )
        texts.append(f"{what} {row['observed']:.0f} (expected {fixed(row['expected'], 1)})")
    return [f"Least explained: {'; '.join(texts)}."]


# Images


def _images(part: Part) -> list[Table]:
    """A scale for every image, penalised for all where one of them has no finite estimate.

    Nothing where there are no two images that are named.
    """
    images = sorted((name for name in part.comparisons.images if name), key=image_order)
    if len(images) < 2:
        return []
    of = {image: part.rows[part.rows["image"] == image] for image in images}
    own: dict[str, Comparisons] = {}
    for image, rows in of.items():
        made, _ = attempted(partial(Comparisons.of, rows))
        if made is not None:
            own[image] = made
    ties = part.ties
    half: Ties = "half" if part.with_ties else ties
    model_of: dict[str, Model] = {
        image: part.model if one.n_ties else WITHOUT_TIES.get(part.model, part.model)
        for image, one in own.items()
    }
    finite = all(existence(one, model_of[image], ties=ties).exists for image, one in own.items())
    fitted: dict[str, PairFit] = {}
    for image, one in own.items():
        fit, _ = attempted(
            partial(models.fit, one, model_of[image], False, ties)
            if finite
            else partial(models.firth, one, False, half)
        )
        if fit is not None:
            fitted[image] = fit
    rows_out = []
    for image, fit in fitted.items():
        shares = _chosen(own[image])
        best = int(np.argmax(fit.theta))
        for name, theta in zip(fit.comparisons.methods, fit.theta, strict=True):
            share, n = shares[name]
            rows_out.append(
                {
                    "image": image,
                    "method": name,
                    "theta": theta,
                    "chosen": share,
                    "n": n,
                    "judgements": int(own[image].n_judgements),
                    "best": fit.comparisons.methods[best],
                    "penalised": not finite,
                }
            )
    if not rows_out:
        raise StatisticsError("No image has a scale of its own.")
    frame = pd.DataFrame(rows_out)
    return [_image_table(part, frame, finite, [name for name in images if name not in fitted])]


def _image_table(part: Part, frame: pd.DataFrame, finite: bool, left_out: list[str]) -> Table:
    methods = list(part.comparisons.methods)
    total = frame.groupby("method")["theta"].mean()
    methods.sort(key=lambda name: -total.get(name, -math.inf))
    wide = frame.pivot(index="image", columns="method", values="theta").reindex(columns=methods)
    wide = wide.loc[list(dict.fromkeys(frame["image"]))]
    first = frame.drop_duplicates("image").set_index("image")
    printed = wide.assign(judgements=first["judgements"]).reset_index()
    columns: Columns = {
        "image": column("image"),
        "n": whole("judgements"),
        **{paper.label(name): signed_column(name, 2) for name in methods},
    }
    how = (
        f"theta of each image alone ({NAMES[part.model]}), sum 0."
        if finite
        else "penalised (Firth) theta of each image alone, sum 0: some images have no finite "
        "estimate, so all are penalised, and lie nearer to 0."
    )
    notes = [f"{how} No interval: one image has few judgements."]
    if left_out:
        notes.append(f"No scale, as comparisons don't connect its methods: {listed(left_out, 9)}.")
    return part.table("images", "Image by image", frame, columns, notes, printed=printed)


def _images_agree(judgements: pd.DataFrame, dataset: str) -> list[Table]:
    """Kendall's u of every image; nothing where no two raters judged all pairs of one."""
    found = consistency.agreement(judgements)
    known = found[found["u"].notna()]
    if known.empty:
        return []
    columns: Columns = {
        "image": column("image"),
        "methods": whole("methods"),
        "raters": whole("raters"),
        "u": column("u", 2),
        "lowest": column("lowest", 2),
    }
    notes = [
        "Kendall's u among the raters who judged all pairs of an image without a tie: 1 all "
        f"agree, 0 chance. Mean {fixed(known['u'].mean(), 2)} over "
        f"{counted(len(known), 'image')}; no interval.",
    ]
    title = f"Agreement of raters on each image{f', {dataset}' if dataset else ''}"
    printed = known.assign(image=known["image"].replace("", "not named"))
    return [table_of("agreement", title, found, columns, notes, printed=printed)]


# Raters


def _raters(judgements: pd.DataFrame, dataset: str, request: Request) -> list[Table]:
    """What each rater did; nothing where the judgements name no raters."""
    if (judgements["rater"] == "").all():
        return []
    sided = request.sided
    frame = consistency.checks(judgements, sided).merge(consistency.triads(judgements), how="left")
    frame.insert(0, "dataset", dataset)
    frame = frame.iloc[sorted(range(len(frame)), key=lambda n: numbered(frame["rater"].iloc[n]))]
    circles: Columns = {
        "circular": lambda row: _of(row["circular"], row["triples"]),
        "zeta": column("zeta", 2),
    }
    columns: Columns = {
        "rater": column("rater"),
        "n": whole("judgements"),
        **({"ties": whole("ties")} if frame["ties"].any() else {}),
        **({"left": share_column("left_share")} if sided else {}),
        **(circles if frame["triples"].notna().any() else {}),
    }
    if frame["repeats"].any():
        columns = {**columns, "repeats agreed": lambda row: _of(row["agreed"], row["repeats"])}
    if sided and frame["same"].any():
        columns = {**columns, "left of same": share_column("same_left_share")}
    if frame["traps"].any():
        columns = {**columns, "traps passed": lambda row: _of(row["passed"], row["traps"])}
    if frame["seconds"].notna().any():
        columns = {**columns, "seconds": column("seconds", 1)}
    circular, triples = int(frame["circular"].sum()), int(frame["triples"].sum())
    notes = ["left: of answers without a tie."] if sided else []
    if frame["triples"].notna().any():
        notes.append(
            "circular: a over b over c over a, of the triples that the rater judged without a tie"
            + (
                f"; in all {circular} of {triples} ({whole_percent(circular / triples)}, by chance "
                "25%)."
                if triples
                else "."
            )
            + " zeta: mean over complete images, 1 without circles. Circles also come from methods "
            "that look alike, so nobody is rejected for them."
        )
    else:
        notes.append(
            "Images aren't named and pairs were judged more than once, so that circles and the "
            "agreement of raters can't be told."
        )
    if sided and frame["same"].any():
        notes.append(_habit(judgements, request.level))
    printed = frame
    if len(frame) > _MOST_RATERS:
        printed = frame.sort_values(["zeta", "rater"]).head(_MOST_RATERS)
        notes.append(f"The {_MOST_RATERS} least consistent of {len(frame)}; CSV and JSON have all.")
    title = f"Raters{f', {dataset}' if dataset else ''}"
    return [table_of("raters", title, frame, columns, notes, printed=printed)]


def _habit(judgements: pd.DataFrame, level: float) -> str:
    """How often the left of two identical pictures was chosen, all raters together."""
    found, why = attempted(partial(consistency.left_of_same, judgements, level))
    if found is None:
        return f"left of same: {why[0].lower()}{why[1:]}"
    interval = (
        f"{percent(level)} over raters {span(100 * found.low, 100 * found.high, 0)}%"
        if math.isfinite(found.low)
        else "no interval of so few raters"
    )
    return (
        f"left of same: of two identical pictures, the mean of {counted(found.n, 'rater')} is "
        f"{found.estimate:.0%} ({interval}), without a habit 50%."
    )


def _of(count: float, total: float) -> str:
    known = math.isfinite(count) and math.isfinite(total) and total > 0
    return f"{count:.0f} of {total:.0f}" if known else NONE
