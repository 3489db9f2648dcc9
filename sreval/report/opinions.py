"""``sreval opinions``: votes in, tables out. Opinion scores, comparisons, screening."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from importlib import import_module
from typing import Any

import pandas as pd

from sreval.errors import (
    NONE,
    StatisticsError,
    attempted,
    counted,
    fixed,
    listed,
    numbered,
    unknown_name,
)
from sreval.opinions.comparison import BESIDE, Comparison, compare_methods
from sreval.opinions.intervals import LEAST_UNITS
from sreval.opinions.mos import (
    ESTIMAND,
    check_reference,
    difference_scores,
    mos_table,
    stimulus_mos,
)
from sreval.opinions.reading import is_means, needs_votes
from sreval.opinions.screening import Rule, Screening, apply, default_rules, with_and_without
from sreval.opinions.significance import Zeros
from sreval.opinions.slider import heaping
from sreval.opinions.tasks import Task
from sreval.opinions.units import ENOUGH_FOR_BOTH, Unit, claim, interval_of, unit_names
from sreval.opinions.votes import (
    ACR,
    Scale,
    opinions,
    plain_number,
    task_in,
    units_of,
    with_codes,
    with_texts,
)
from sreval.report import paper
from sreval.report.choices import Width
from sreval.report.notes import (
    either,
    image_notes,
    marks_of,
    no_interval,
    units_said,
    untested,
    vote_notes,
)
from sreval.report.table import (
    Columns,
    Table,
    column,
    interval_column,
    method_column,
    signed_column,
    table_of,
    text_table,
    whole,
    with_dataset,
)
from sreval.report.text import CORRECTIONS, p_value, percent, whole_percent
from sreval.study.acceptance import Acceptance
from sreval.study.data import StudyData

_MOST_RATERS = 40
"""The most raters printed one by one; if there are more, only those whom a rule rejects."""


@dataclass(frozen=True)
class Request:
    """What is asked of the votes; each field as in the estimator that takes it."""

    unit: Unit | None = None
    """None: ``default_unit`` of each data set."""
    interval: str | None = None
    """None: the one that claims what the unit does."""
    level: float = 0.95
    adjustment: str = "holm"
    alpha: float = 0.05
    scale: Scale = ACR
    reference: str = "hr"
    rules: tuple[Rule, ...] | None = None
    """The rules by which raters are judged; None: ``screening.default_rules``."""
    scores: pd.DataFrame | None = None
    """Benchmark rows of one protocol and scale, for metrics against opinion."""
    margin: float | None = None
    """In points: pairs are tested for equivalence within it."""
    methods: Sequence[str] | None = None
    """Those that are compared with each other; None: all."""
    better: Mapping[str, bool] = field(default_factory=dict)
    """Further metrics among the columns of a table of means, and whether higher is better."""
    width: Width = "page"
    """How wide figures are: 85 or 175 mm."""
    compared: Callable[[], Comparison] | None = None
    """All pairs of methods where they have been compared already; None: the figure compares."""
    progress: Callable[[int, int], object] | None = None
    """Told how many votes of how many a long analysis has done."""

    @classmethod
    def planned(cls, data: StudyData, scores: pd.DataFrame | None = None) -> Request:
        """What the design of a study plans to ask of its votes, or at the look it has come to."""
        analysis = data.design.analysis
        return cls(
            unit=analysis.unit,
            interval=interval_of(analysis.unit),
            adjustment=analysis.correction,
            alpha=data.alpha,
            scale=data.design.scale.numbers,
            rules=Acceptance(data.design).rules,
            scores=scores,
        )


def default_notes(votes: pd.DataFrame) -> list[str]:
    """Why data sets on which no unit was named aren't analysed over both raters and images."""
    return [
        f"{f'{dataset}: ' if dataset else ''}{chosen.why}."
        for dataset, chosen in units_of(votes).items()
        if chosen.why
    ]


def each(parts: Mapping[str, Callable[[], list[Table]]]) -> list[Table]:
    """The tables of all ``parts`` that can be made, with a note on each that can't.

    Raises what a single part raises, and StatisticsError, the reasons said, where none can.
    """
    if len(parts) == 1:
        return next(iter(parts.values()))()
    made: list[Table] = []
    not_done = []
    for name, make in parts.items():
        found, why = attempted(make, remedy=True)
        made += found or []
        not_done += [f"{name}: {why}" if name else why] if found is None else []
    if not made:
        raise StatisticsError(" ".join(not_done))
    said = [f"Not done: {why}" for why in not_done]
    return [*made[:-1], replace(made[-1], notes=[*made[-1].notes, *said])]


def mos(votes: pd.DataFrame, request: Request) -> list[Table]:
    """MOS of every method on every data set."""
    frame = paper.in_order(
        mos_table(votes, interval=request.interval, level=request.level, scale=request.scale)
    )
    # all intervals but one are of the same mean
    interval = request.interval or "raters"
    scale = request.scale
    notes = [*mos_notes(frame), *image_notes(opinions(votes), interval, scale)]
    notes += [*(default_notes(votes) if request.interval is None else [])]
    columns = mos_columns(request.level, scale)
    if other := rescaled(scale):
        frame.insert(list(frame).index("mos") + 1, other, _on_five(frame["mos"], scale))
        above = f"(x - {plain_number(scale.low)})" if scale.low else "x"
        notes.append(f"On 1..5: 1 + 4 {above} / {plain_number(scale.high - scale.low)}.")
    notes += [*scale_notes(votes, request), *vote_notes(votes)]
    printed = with_dataset(frame, columns)
    return [table_of("mos", "Mean opinion scores", frame, printed, notes)]


def rescaled(scale: Scale) -> str:
    """The column of a MOS on ``scale`` that is rescaled to 1..5, '' where it is on 1..5."""
    return "" if (scale.low, scale.high) == (ACR.low, ACR.high) else "mos_on_1_to_5"


def _on_five(mos: pd.Series, scale: Scale) -> pd.Series:
    on: pd.Series = 1 + 4 * (mos - scale.low) / (scale.high - scale.low)
    return on


def scale_notes(votes: pd.DataFrame, request: Request) -> list[str]:
    """What else is said of votes on a slider, or against a shown reference."""
    scale, counted_votes = request.scale, opinions(votes)
    task = task_in(votes)
    notes = _against_reference(counted_votes, task, request) if task.name == "dcr" else []
    if not scale.spacing:
        found = heaping(counted_votes["score"].to_numpy(dtype=float), scale)
        notes.append(
            f"Heaping: {whole_percent(found.share)} of {counted(found.n, 'vote')} lie within "
            f"{found.near:g} of an edge or a middle of the slider's five equal bands; of votes "
            f"spread evenly {whole_percent(found.even)} would."
        )
    return notes


def _against_reference(rated: pd.DataFrame, task: Task, request: Request) -> list[str]:
    """What votes on degradation mean, the check by the reference itself, and a full scale."""
    scale = request.scale
    words = f", {task.words(scale.low, scale.high)}" if scale == ACR else ""
    notes = [
        f"{task.mean}: how visible the difference from the shown reference is{words}. It is no "
        "difference of votes, and can't be compared with the DMOS of a hidden reference."
    ]
    itself = rated["method"] == request.reference
    if itself.any():
        below = rated.loc[itself, "score"] < scale.high
        notes.append(
            f"{paper.label(request.reference)}, rated against itself, got less than "
            f"{plain_number(scale.high)} in {int(below.sum())} of {counted(len(below), 'vote')} "
            f"({whole_percent(float(below.mean()))}): the noise of the scale."
        )
    others = rated[~itself]
    at_top = (others["score"] == scale.high).groupby(others["method"].astype(str)).mean()
    full = paper.sort_methods([str(method) for method in at_top.index[at_top >= _CEILING]])
    if full:
        shares = ", ".join(f"{paper.label(one)} {whole_percent(at_top[one])}" for one in full)
        notes.append(
            f"Ceiling: half of the votes or more are {plain_number(scale.high)} for {shares}. Such "
            "methods are told apart by paired comparisons, not by this scale."
        )
    return notes


_CEILING = 0.5
"""Share of votes at the top of the scale from which it is said to be full."""


def mos_columns(level: float, scale: Scale = ACR) -> Columns:
    """What is printed of the table of ``mos``, whose votes are on ``scale``."""
    columns: Columns = {
        "method": method_column(),
        "MOS": column("mos", 2),
        percent(level): interval_column(2),
        "sd": column("sd", 2),
        "votes": whole("n_votes"),
        "raters": whole("n_raters"),
        "images": whole("n_images"),
    }
    other = rescaled(scale)
    return {**columns, "on 1..5": column(other, 2)} if other else columns


def mos_notes(frame: pd.DataFrame) -> list[str]:
    """What the columns of ``mos_columns`` mean."""
    meaning = f"MOS: {either(frame['mean_of'])}, in points; sd: standard deviation of the votes."
    kinds = frame.groupby(["interval", "estimand"], sort=False)
    for (interval, estimand), rows in kinds:
        names = listed(list(dict.fromkeys(rows["dataset"]))) if kinds.ngroups > 1 else ""
        meaning += (
            f" Interval{f' on {names}' if names else ''}: {interval}, {units_said(rows)}, about "
            f"{estimand}."
        )
    alike = (frame["sd"] == 0) & (frame["low"] < frame["high"])
    width = (
        "Where sd is 0 the interval has the width that votes all alike leave open: its variance is "
        "half that of votes a category apart."
    )
    said = [width] * bool(alike.any())
    return [meaning, *said, *no_interval(frame), *filter(None, frame["warning"].unique())]


def stimuli(votes: pd.DataFrame, request: Request) -> list[Table]:
    """MOS of every stimulus; with a hidden reference, DMOS beside it."""
    frame = stimulus_mos(votes, request.level, scale=request.scale)
    columns = {
        "method": method_column(),
        "image": column("image"),
        "MOS": column("mos", 2),
        percent(request.level): interval_column(2),
        "sd": column("sd", 2),
        "votes": whole("n"),
    }
    notes = []
    if task_in(votes).name == "acr-hr":
        found = difference_scores(votes, request.reference, request.scale)
        own = found.stimuli(request.level).drop(columns="dmos").add_prefix("dmos_")
        own = own.rename(columns={"dmos_crushed": "crushed"})
        frame = frame.join(found.stimuli(request.level)[["dmos"]]).join(own)
        columns["DMOS"] = column("dmos", 2)
        columns[f"DMOS, {percent(request.level)}"] = interval_column(2, "dmos_low", "dmos_high")
        notes.append(
            f"DMOS: mean over raters of the vote less the same rater's on "
            f"{paper.label(request.reference)} + {plain_number(request.scale.high)}; Student t, "
            "kept on the scale, unit rater."
        )
    frame = frame.reset_index()
    frame = paper.in_order(frame.sort_values("image", key=lambda names: names.map(numbered)))
    notes += [
        f"Interval: {frame['interval'].iloc[0]}, unit rater, about {ESTIMAND}.",
        *no_interval(frame.assign(unit="rater")),
        *vote_notes(votes),
    ]
    title = "Mean opinion score of every stimulus"
    return [table_of("stimuli", title, frame, with_dataset(frame, columns), notes)]


def compare(votes: pd.DataFrame, request: Request) -> list[Table]:
    """All pairs of methods, data set by data set; if one fails, the others go on."""

    def of(dataset: str) -> list[Table]:
        found = compare_methods(
            votes[votes["dataset"] == dataset],
            unit=request.unit,
            methods=request.methods,
            adjustment=request.adjustment,
            alpha=request.alpha,
            level=request.level,
            scale=request.scale,
            margin=request.margin,
        )
        return [table for made in found for table in comparison_tables(made, votes)]

    names = sorted(opinions(votes)["dataset"].unique(), key=str)
    return each({str(name) if len(names) > 1 else "": partial(of, name) for name in names})


def pair_columns(frame: pd.DataFrame) -> Columns:
    """What is printed of a table of ``Comparison.frame``.

    Of the unit "both" the intervals are those that match the adjusted test, and the adjusted p of
    the tests over raters and over images alone stand beside that over both.
    """
    first = frame.iloc[0]
    both = first["unit"] == "both"
    names = {
        "first": method_column("first"),
        "second": method_column("second"),
        "n": _common if both else whole("n"),
        "difference": signed_column("difference", 2),
    }
    judged = {
        "superior": column("superiority", 2),
        "differ?": lambda row: (
            "n too small" if row["too_small"] else "yes" if row["significant"] else "not shown"
        ),
    }
    if not both:
        return {
            **names,
            percent(first["level"]): interval_column(2, signed=True),
            "p": lambda row: p_value(row["p"]),
            "p adjusted": lambda row: p_value(row["p_adjusted"]),
            **judged,
        }
    return {
        **names,
        f"{percent(1 - first['alpha'])}{matching(frame)[0]}": interval_column(
            2, signed=True, low="low_adjusted", high="high_adjusted"
        ),
        "p both": lambda row: p_value(row["p_adjusted"]),
        **{f"p {unit}s": partial(_p_beside, unit) for unit in BESIDE},
        **judged,
    }


def _p_beside(unit: Unit, row: Any) -> str:
    return NONE if row[f"too_small_{unit}"] else p_value(row[f"p_{unit}_adjusted"])


def _common(row: Any) -> str:
    return f"{row['n_raters']} x {row['n_images']}"


_MATCHING = {
    "holm": (
        ", Holm",
        "Holm-compatible, each at the level of its Holm step: they exclude 0 exactly where the "
        "adjusted test finds a difference, and the chance that any of them wrongly does is at most "
        "{alpha}. That all of them cover together isn't claimed",
    ),
    "benjamini-hochberg": (
        ", FCR",
        "adjusted for the false coverage rate (Benjamini and Yekutieli 2005): they exclude 0 "
        "exactly where the adjusted test finds a difference, and of those that do at most {alpha} "
        "are expected not to cover",
    ),
    "none": ("", "each for its difference alone"),
}
"""By adjustment, the head and the note of intervals that match the adjusted test."""


def _adjusted(frame: pd.DataFrame) -> bool:
    """Whether p of more than one test were adjusted."""
    return bool(frame["p"].notna().sum() > 1 and frame["adjustment"].iloc[0] != "none")


def matching(frame: pd.DataFrame) -> tuple[str, str]:
    """The head and the note of intervals that match the adjusted test of these pairs."""
    return _MATCHING[frame["adjustment"].iloc[0] if _adjusted(frame) else "none"]


def pair_notes(frame: pd.DataFrame) -> list[str]:
    """The notes under ``pair_columns``: what they rest on and claim, and where n is too small."""
    first, small = frame.iloc[0], frame[frame["too_small"]]
    both, adjusted = first["unit"] == "both", _adjusted(frame)
    note = "Intervals: Student's t, kept within the scale's differences, "
    if both:
        note += matching(frame)[1].format(alpha=percent(first["alpha"]))
    else:
        note += f"{percent(first['level'])} for each difference alone"
        if adjusted:
            made = int(frame["p"].notna().sum())
            note += (
                f". They aren't adjusted for the {made} comparisons; the p values are. An interval "
                "can therefore exclude 0 although the test shows no difference"
            )
    notes = [f"{note}."]
    together = "only images that a rater rated under both methods count."
    if number := int(frame["all_votes"].sum()):
        which = (
            f"In {number} of {counted(len(frame), 'pair')} raters" if number < len(frame) else ""
        )
        notes.append(
            f"{which or 'Raters'} saw most images under one of the two methods only. There the "
            "difference, its interval and p both take all votes on the two, with effects of raters "
            "and images of their own, and n is of raters and images with votes on both. In p "
            f"raters, p images and superior{' and in the other pairs' * bool(which)} {together}"
        )
    else:
        notes.append(together.capitalize())
    nothing = (frame["sd_rater"] == 0) & (frame["sd_image"] == 0) & frame["error"].notna()
    if nothing.any():
        which = "" if nothing.all() else f" in {nothing.sum()} of {counted(len(frame), 'pair')}"
        notes.append(
            f"The variances of raters and of images are both estimated as 0{which}, so that the "
            "interval over both is that of single votes."
        )
    if frame["uneven"].any() and both:
        notes.append(
            "Not every rater has votes on every image: the difference is the generalised least "
            "squares mean, in which votes weigh by what the raters' and the images' variances say."
        )
    elif frame["uneven"].any():
        other = "rater" if first["unit"] != "rater" else "image"
        notes.append(
            f"Not every {first['unit']} has votes with every {other}: the difference is the mean "
            f"of the {first['unit']}s' mean differences, in which the {other}s don't weigh alike."
        )
    if len(small):
        which = "" if len(small) == len(frame) else f" for {len(small)} of {len(frame)} pairs"
        if both:
            note = f"n too small{which}: {_needed(frame)}"
        else:
            note = (
                f"n too small{which}: no outcome could have been significant at {first['alpha']:g}"
            )
        if small["least_p"].notna().any():
            best = small.sort_values("least_p_adjusted").iloc[0]
            zeros = f", of which {best['zeros']} differences are zero" if best["zeros"] else ""
            note += f" (n {best['n']}{zeros}; the least p is {p_value(best['least_p'])}"
            note += f", adjusted {p_value(best['least_p_adjusted'])})" if adjusted else ")"
        notes.append(f"{note}.")
    if few := [f"p {unit}s" for unit in BESIDE if both and frame[f"too_small_{unit}"].any()]:
        notes.append(
            f"– under {' and '.join(few)}: on so few no outcome of the signed-rank test could have "
            f"been significant at {first['alpha']:g}; zero differences don't count."
        )
    return notes


def _needed(frame: pd.DataFrame) -> str:
    """What Student's t test of a mean difference needs."""
    unit = frame["unit"].iloc[0]
    if unit != "both":
        return f"a t test needs {LEAST_UNITS} {'vote' if unit == 'pooled' else unit}s"
    of = "sequence" if frame["estimand"].str.contains("sequences").any() else "image"
    return (
        f"the test over both needs {ENOUGH_FOR_BOTH} raters and {ENOUGH_FOR_BOTH} {of}s in common"
    )


def pair_test(unit: Unit, of: str, how: str, zeros: Zeros = "wilcox") -> str:
    """What ``pair_columns`` are of; ``how`` p is adjusted; ``of`` what images are samples of."""
    ranks = {"wilcox": "dropped before ranking", "pratt": "ranked, then dropped"}[zeros]
    said = f"Unit {of if unit == 'image' else unit}: {claim(unit, of)}. "
    if unit == "both":
        said += (
            f"p both: two-sided Student's t test of the mean difference, raters and {of}s random; "
            f"n: raters x {of}s that the two methods have in common. p raters: "
            f"{claim('rater', of)}; p images: {claim('image', of)}; two-sided Wilcoxon signed-rank "
            f"tests of their mean votes (zero differences {ranks}). p values: {how}. "
        )
    else:
        said += (
            "Two-sided Wilcoxon signed-rank test of the units' means (zero differences "
            f"{ranks}), {how}. "
        )
    return (
        f"{said}Difference: first less second, in points; superior: the mean share of a rater's "
        "votes on one image that put the first above the second, ties half."
        + (" Frames are averaged over their sequence first." if of == "sequence" else "")
    )


def comparison_tables(made: Comparison, votes: pd.DataFrame) -> list[Table]:
    """All pairs of one data set; ``votes`` for what is said of them below."""
    frame = made.frame()
    how = f"{CORRECTIONS[made.adjustment]} within the data set, alpha {made.alpha:g}"
    notes = [
        *([f"{made.why}."] if made.why else []),
        pair_test(made.unit, made.of, how, made.zeros),
        *pair_notes(frame),
    ]
    if made.letters:
        letters = ", ".join(f"{paper.label(name)} {made.letters[name]}" for name in made.methods)
        notes.append(f"Methods that share a letter weren't shown to differ: {letters}.")
        notes += untested(int(frame["too_small"].sum()), len(frame))
    notes.append(_friedman(made))
    left = int((frame["excluded"] > 0).sum())
    if left:
        pairs = "1 pair leaves" if left == 1 else f"{left} pairs leave"
        units = "raters" if made.unit == "both" else "units"
        notes.append(f"{pairs} out {units} without a common image.")
    if made.unit == "both":
        notes.append(
            "The printed intervals go by alpha. low and high in JSON and CSV are of each "
            f"difference alone, at {percent(made.level)}."
        )
    after = [*filter(None, [made.warning]), *vote_notes(votes)]
    notes += after
    name = f" on {made.dataset}" if made.dataset else ""
    facts = {"dataset": made.dataset, "letters": made.letters}
    compared = table_of(
        "compare", f"Which methods differ{name}", frame, pair_columns(frame), notes, facts
    )
    if "margin" not in frame:
        return [compared]
    return [compared, _equivalence(frame, name, how, after)]


def _equivalence(frame: pd.DataFrame, name: str, how: str, after: Sequence[str]) -> Table:
    first = frame.iloc[0]
    margin, level = f"{first['margin']:g}", percent(first["margin_level"])
    columns = {
        "first": method_column("first"),
        "second": method_column("second"),
        "difference": signed_column("difference", 2),
        level: interval_column(2, signed=True, low="margin_low", high="margin_high"),
        "p first": lambda row: p_value(row["p_first_no_worse_adjusted"]),
        "p second": lambda row: p_value(row["p_second_no_worse_adjusted"]),
        "p equivalent": lambda row: p_value(row["p_equivalent_adjusted"]),
        "shown": column("shown"),
    }
    notes = [
        "Two one-sided Student's t tests of each pair (Schuirmann 1987), "
        f"{either(filter(None, frame['estimand']))}. p first and p second are small where this "
        f"method is shown to be no worse by {margin} points or more; p equivalent is the larger of "
        f"the two. p values, of this table together: {how}.",
        f"Without adjustment a pair is equivalent exactly where its {level} interval lies between "
        f"-{margin} and +{margin}. Not shown isn't evidence of a difference.",
        *_untestable(frame),
        *after,
    ]
    kept = ["dataset", "first", "second", "unit", "n", "n_raters", "n_images", "n_pairs"]
    kept += ["estimand", "difference", *frame.columns[list(frame).index("margin") :]]
    kept += ["adjustment", "alpha"]
    title = f"Equivalence within {margin} points{name}"
    facts = {"dataset": first["dataset"], "level": float(first["margin_level"])}
    return table_of("equivalence", title, frame[kept], columns, notes, facts)


def _untestable(frame: pd.DataFrame) -> list[str]:
    small = int(frame["p_equivalent"].isna().sum())
    which = "" if small == len(frame) else f" for {small} of {counted(len(frame), 'pair')}"
    return [f"n too small{which}: {_needed(frame)}."] if small else []


def _friedman(made: Comparison) -> str:
    test = made.friedman
    units = f"{unit_names(made.unit, made.of)[0]}s"
    if test is None:
        return (
            f"Friedman's test: not done. It needs three methods and two {units} with votes on all "
            "of them."
        )
    if not test.least_p < made.alpha:
        return (
            f"Friedman's test: not done. On {test.n} {units} and {test.n_methods} methods no "
            f"outcome could have been significant: the least p is {p_value(test.least_p)}."
        )
    about = f" ({claim('rater', made.of)})" if made.unit == "both" else ""
    return (
        f"Friedman over {test.n_methods} methods and {test.n} {units}{about} (left out: "
        f"{test.excluded}): chi-square {fixed(test.chi_square, 2)}, {test.freedom} degrees of "
        f"freedom, p {p_value(test.p)}."
    )


def screen(votes: pd.DataFrame, request: Request) -> list[Table]:
    """What every rule finds, rater by rater, and the results with and without those it rejects."""
    rules = request.rules or default_rules(request.scale, request.reference)
    found, not_done = apply(rules, votes)
    counts = opinions(votes).groupby("rater").size()
    names = sorted(votes["rater"].unique(), key=numbered)
    frame = pd.DataFrame(index=pd.Index(names, name="rater"))
    frame["votes"] = counts.reindex(frame.index, fill_value=0)
    for made in found:
        frame = frame.join(made.table.add_prefix(f"{made.rule.kind} "))
    rejected = {made.rule.kind: set(made.rejected) for made in found}
    frame["rejected_by"] = [
        ", ".join(kind for kind, raters in rejected.items() if rater in raters) for rater in names
    ]
    frame = frame.reset_index()
    rows = frame if len(frame) <= _MOST_RATERS else frame[frame["rejected_by"] != ""]
    columns = {
        "rater": column("rater"),
        "votes used": whole("votes"),
        "P": whole("bt500 P"),
        "Q": whole("bt500 Q"),
        "(P+Q)/votes": column("bt500 straying", 3),
        "|P-Q|/(P+Q)": column("bt500 lopsided", 3),
        "correlation": column("correlation-with-rest pearson", 3),
        "rejected by": column("rejected_by"),
    }
    there = {made.rule.kind for made in found}
    for head, rule in (("correlation", "correlation-with-rest"), *((h, "bt500") for h in _BT500)):
        if rule not in there:
            columns.pop(head)
    notes = [note for made in found for note in _rule_notes(made)]
    notes += [f"Not applied: {reason}" for reason in not_done]
    if len(rows) < len(frame):
        left = counted(len(frame) - len(rows), "rater")
        notes.append(f"Not printed, as no rule rejects them: {left}.")
    notes.append("Nobody is excluded here: a rule only proposes.")
    notes += vote_notes(votes)
    tables = [table_of("screening", "Screening", frame, columns, notes, printed=rows)]
    effects = {
        f"With and without the raters whom {made.rule.kind} rejects": partial(
            _effect_of, made, votes, request
        )
        for made in found
        if set(counts.index) & set(made.rejected)
    }
    return each({"": lambda: tables, **effects})


_BT500 = ("P", "Q", "(P+Q)/votes", "|P-Q|/(P+Q)")


def _rule_notes(made: Screening) -> list[str]:
    judged = int(made.table["judged"].sum())
    limits = ", ".join(f"{name} {limit:g}" for name, limit in made.rule.limits.items())
    note = (
        f"{made.rule.kind} ({made.rule.source}): rejects {len(made.rejected)} of {judged}"
        f"{': ' + listed(made.rejected) if made.rejected else ''}; limits {limits}"
        + "".join(f"; skipped, {what}: {n}" for what, n in made.skipped.items() if n)
        + "."
    )
    return [note, *(f"Not judged: {few}." for few in (made.too_few,) if few)]


def _effect_of(made: Screening, votes: pd.DataFrame, request: Request) -> list[Table]:
    return [_with_and_without(made, votes, request)]


def _with_and_without(made: Screening, votes: pd.DataFrame, request: Request) -> Table:
    raters = set(opinions(votes)["rater"])
    rejected = [str(rater) for rater in made.rejected if rater in raters]
    who = counted(len(rejected), "rater")
    title = f"Results with and without the {who} whom {made.rule.kind} rejects"
    if len(rejected) == len(raters):
        notes = ["The rule rejects every rater; nothing would be left."]
        return text_table("screening", title, pd.DataFrame(), ["rejected"], [["all"]], notes)
    found = with_and_without(votes, rejected, interval=request.interval, scale=request.scale)
    frame = found.reset_index()
    frame = paper.in_order(frame.assign(rule=made.rule.kind))
    columns = with_dataset(frame, change_columns("all", "kept"))
    notes = [f"Rejected: {listed(rejected, 20)}."]
    return table_of("screening", title, frame, columns, notes)


def change_columns(before: str, after: str, value: str = "MOS") -> Columns:
    """What is printed of MOS, or JOD, before and after votes were left out, and of the change."""
    name = value.lower()
    show = column if value == "MOS" else signed_column
    return {
        "method": method_column(),
        f"{value}, {before}": show(f"{name}_{before}", 2),
        f"votes, {before}": whole(f"n_{before}"),
        f"{value}, {after}": show(f"{name}_{after}", 2),
        f"votes, {after}": whole(f"n_{after}"),
        "change": signed_column("change", 2),
    }


Make = Callable[[pd.DataFrame, Request], list[Table]]


def _when_asked(name: str, module: str = "opinion_models") -> Make:
    """An analysis of another module, which, and with it scipy, is imported when it's asked for."""

    def make(votes: pd.DataFrame, request: Request) -> list[Table]:
        found: Make = getattr(import_module(f"sreval.report.{module}"), name)
        return found(votes, request)

    return make


ANALYSES: dict[str, Make] = {
    "mos": mos,
    "stimuli": stimuli,
    "compare": compare,
    "ordinal": _when_asked("ordinal", "ordinal"),
    "screening": screen,
    "recovery": _when_asked("recovery"),
    "standards": _when_asked("standards", "opinion_standards"),
    **{
        name: _when_asked(name)
        for name in ("reliability", "retest", "difference", "zmos", "metrics")
    },
}
ON_REQUEST = ("stimuli", "standards", "ordinal", "zmos")
"""The analyses that are made only where they are named: the longest tables, the longest fit, and
what replaces votes."""

_UNASKED = [name for name in ANALYSES if name not in ON_REQUEST]


def analyse(
    votes: pd.DataFrame, names: Sequence[str], request: Request
) -> tuple[list[Table], list[str]]:
    """The tables of the named analyses; without names all but those ON_REQUEST.

    Each analysis fails alone: the second list says which were not possible, and why. Raises
    UsageError for an unknown name, and without names where a task with a hidden reference has no
    votes on it, and what the estimator raises where one analysis alone was named.
    """
    for name in names:
        if name not in ANALYSES:
            raise unknown_name("analysis", name, ANALYSES)
    if not (names or is_means(votes)) and task_in(votes).name == "acr-hr":
        check_reference(opinions(votes), request.reference)
    votes = votes if is_means(votes) else with_codes(votes)
    tables: list[Table] = []
    not_done = []
    for name in names or _UNASKED:
        make = partial(_analysis, name, votes, request)
        made, why = (make(), "") if len(names) == 1 else attempted(make, remedy=bool(names))
        tables += made or []
        not_done += [f"{name}: {why}"] if made is None else []
    words, task = marks_of(votes), task_in(votes)
    tables = [replace(made, frame=with_texts(made.frame)) for made in tables]
    return [_finished(named(made, task), words, request.level) for made in tables], not_done


def in_task(text: str, task: Task) -> str:
    """A text with means under the name that they have of this task."""
    if task.mean == "MOS":
        return text
    return re.sub(r"[Mm]ean opinion scores?|\bMOS\b", task.mean, text)


def named(made: Table, task: Task) -> Table:
    """The table with its means under the name that they have of this task."""
    if task.mean == "MOS":
        return made
    key = re.sub(r"\W+", "_", task.mean.lower()).strip("_")
    heads = {head: re.sub(r"^mos(?=_|$)", key, str(head)) for head in made.frame}
    return replace(
        made,
        title=in_task(made.title, task),
        frame=made.frame.rename(columns=heads),
        columns=[replace(one, heading=in_task(one.heading, task)) for one in made.columns],
        rows=[
            replace(row, cells=[replace(one, text=in_task(one.text, task)) for one in row.cells])
            for row in made.rows
        ],
        notes=[in_task(note, task) for note in made.notes],
    )


def _analysis(name: str, votes: pd.DataFrame, request: Request) -> list[Table]:
    if is_means(votes) and name != "metrics":
        raise needs_votes(f"The analysis {name}")
    return ANALYSES[name](votes, request)


def _finished(made: Table, words: list[str], level: float) -> Table:
    """The table with its level, and the marks of its votes in its title and on every row."""
    made = replace(made, facts={"level": level, **made.facts})
    if not words:
        return made
    frame = made.frame.assign(**{word.replace("-", "_"): True for word in words})
    return replace(made, title=f"{made.title} ({', '.join(words)})", frame=frame)
