"""A study in words: its check, and the power of its tests."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from sreval.errors import NONE, counted, fixed, listed, option
from sreval.report.text import CORRECTIONS, columns, language_name, percent
from sreval.study.check import Feasibility
from sreval.study.design import StudyDesign
from sreval.study.manifest import Manifest
from sreval.study.sources import COMPUTED

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from sreval.opinions.units import Unit
    from sreval.study.planned_power import PlannedPower


@dataclass(frozen=True)
class CheckedStudy(Feasibility):
    """A Feasibility that says what it found: ``text`` is what ``sreval study check`` prints.

    ``power`` is that of the planned analysis on each data set, by simulation; empty where there
    are problems.
    """

    power: tuple[PlannedPower, ...]
    text: str

    @classmethod
    def of(
        cls,
        study: str,
        design: StudyDesign,
        manifest: Manifest | None,
        found: Feasibility,
        power: tuple[PlannedPower, ...],
    ) -> CheckedStudy:
        """``found`` in words; ``study`` is the name or folder by which commands find the study."""
        lines = _check_lines(study, design, manifest, found, power)
        return cls(**vars(found), power=power, text="\n".join(lines))

    @property
    def feasible(self) -> bool:
        """Whether the design can be met."""
        return not self.problems

    def __str__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        return f"<pre>{escape(self.text)}</pre>"


def _check_lines(
    study: str,
    design: StudyDesign,
    manifest: Manifest | None,
    found: Feasibility,
    power: tuple[PlannedPower, ...],
) -> list[str]:
    from sreval.study.planned_power import untold

    counts = [f"{count} {kind}" for kind, count in found.counts.items() if count]
    total = sum(found.counts.values())
    state = f"frozen, {len(manifest.stimuli)} stimuli" if manifest else "not frozen"
    pair = design.task.pair
    rows = [
        ["study", f"{design.name}: {design.title} ({state})"],
        ["task", f"{design.task}; {'answers ' if pair else ''}{design.answers}"],
        *([["languages", ", ".join(map(language_name, design.languages))]] if design.texts else []),
        ["raters", f"{design.raters}; {_exposed(design, found)}"],
        *_group_rows(found),
        ["a rater", f"{counted(total, 'item')}: {', '.join(counts)}" if total else "no items"],
        *([["sides", _sides(design)]] if pair else []),
        *_sitting_rows(found),
        *_test_rows(found),
        *_look_rows(power, found),
        *_planned_rows(power),
    ]
    lines = [columns(rows)]
    if power:
        lines += [
            "",
            "Power: of one comparison, where no other shows anything; "
            f"{min(made.studies for made in power)} simulated studies or more of the rater model, "
            "all raters to the end, without screening, repeats or careless raters.",
        ]
    elif (why := untold(design)) and found.tests and not found.problems:
        lines += ["", f"Power: none is told, because {why}."]
    if found.missing:
        lines += ["", *_missing(study, manifest, found)]
    if manifest and manifest.stand_ins:
        lines += ["", f"Stand-ins take the places of {', '.join(manifest.stand_ins)}."]
    lines += ["", *(f"Note: {note}" for note in found.notes)] if found.notes else []
    if not found.problems:
        return [*lines, "", "The design can be met."]
    said = (
        f"{f'study.toml, line {p.line}: ' if p.line else ''}{p.constraint}: {p.what}. {p.remedy}"
        for p in found.problems
    )
    return [*lines, "", "The design can't be met.", *said]


def _group_rows(found: Feasibility) -> list[list[str]]:
    rows = [
        f"{plan.name}: {counted(plan.raters, 'rater')}, {counted(plan.items, 'item')} each, "
        f"{_about(round(sum(sitting.minutes for sitting in plan.sittings)))}"
        for plan in found.groups
    ]
    return [["groups" if i == 0 else "", text] for i, text in enumerate(rows)]


def _exposed(design: StudyDesign, found: Feasibility) -> str:
    """How many votes a stimulus gets, or how many judgements a pair."""
    least, most = found.exposures
    if design.pairs.plan == "active":
        judged = counted(design.raters * found.counts["vote"], "judgement")
        return f"{judged} of pairs, chosen as votes come in"
    votes = counted(most, "judgement" if design.task.pair else "vote")
    if least < most:
        votes = f"{least} {'or' if most - least == 1 else 'to'} {votes}"
    what = "every pair of methods on an image" if design.task.pair else "every stimulus"
    return f"{what} gets {votes}"


def _sides(design: StudyDesign) -> str:
    own = "each method at the left in half of a rater's pairs, to within one"
    if design.pairs.plan == "active" or design.raters == 1:
        return own
    equally = "equally often" if design.raters % 2 == 0 else "equally often but for the last rater"
    return f"{own}; every pair on an image in both orders {equally}, two raters by two"


def _test_rows(found: Feasibility) -> list[list[str]]:
    rows = []
    for made in found.tests:
        least = NONE if made.least_p_adjusted is None else f"{made.least_p_adjusted:.2g}"
        compared = counted(made.comparisons, "comparison")
        rows.append(
            f"{made.dataset}: {compared} over {made.over}, {CORRECTIONS[made.correction]}, alpha "
            f"{made.alpha:g}" + (f"; least adjusted p {least}" if made.least_p else "")
        )
    return [["tests" if i == 0 else "", text] for i, text in enumerate(rows)]


def _look_rows(power: tuple[PlannedPower, ...], found: Feasibility) -> list[list[str]]:
    if not power or len(power[0].looks) == 1:
        return []
    idle = {made.dataset: made.idle_looks for made in found.tests}
    rows = []
    for made in power:
        told = []
        for n, level in made.looks:
            out = " (no outcome does)" if n in idle.get(made.dataset, ()) else ""
            told.append(f"{level:.2g} after {counted(n, 'rater')}{out}")
        levels = listed(told, 20)
        rows.append(f"{made.dataset}: p must lie below {levels} ({made.spending})")
    return [["looks" if i == 0 else "", text] for i, text in enumerate(rows)]


def _planned_rows(power: tuple[PlannedPower, ...]) -> list[list[str]]:
    rows = []
    for made in power:
        share = _share(made.power, made.standard_error, made.studies, 2)
        told = f"{made.dataset}: {share} for a difference of {made.difference:g} {made.measure}"
        if made.smallest is not None:
            told += f"; {made.target:g} needs about {fixed(made.smallest, 2)} {made.measure}"
        rows.append(told)
    return [["power" if i == 0 else "", text] for i, text in enumerate(rows)]


def _share(power: float, error: float, studies: int, decimals: int) -> str:
    """A power with its standard error, which tells nothing where all studies end alike."""
    if not error:
        return f"{round(power * studies)} of {studies} {'study' if studies == 1 else 'studies'}"
    return f"{fixed(power, decimals)} ± {fixed(error, decimals)}"


def _sitting_rows(found: Feasibility) -> list[list[str]]:
    many = len(found.sittings) > 1
    rows = []
    for (items, breaks, minutes), times in Counter(
        (s.items, s.breaks, round(s.minutes)) for s in found.sittings
    ).items():
        pauses = f", {counted(breaks, 'break')}" if breaks else ""
        each = f"{times} x " if times > 1 else ""
        if items:
            rows.append(f"{each}{counted(items, 'item')}{pauses}, {_about(minutes)}")
    named = [["sittings" if i == 0 else "", text] for i, text in enumerate(rows)]
    return [*named, ["in all", _about(round(found.minutes))]] if many else named


def _about(minutes: int) -> str:
    return f"about {counted(minutes, 'minute')}" if minutes else "under a minute"


def _missing(study: str, manifest: Manifest | None, found: Feasibility) -> list[str]:
    counts = found.missing_methods
    datasets = list(dict.fromkeys(name for name, _ in counts))
    methods = dict.fromkeys(method for _, method in counts)
    rows = [["missing images", *datasets]]
    rows += [[m, *(str(counts.get((name, m), "-")) for name in datasets)] for m in methods]
    bring = f"Bring them: sreval study freeze {study} --results FOLDER"
    instead = f"Or let marked degradations of HR take their places: sreval study freeze {study}"
    return [
        columns(rows),
        *([_again(study, manifest, found)] if manifest else [bring, f"{instead} --stand-ins"]),
    ]


def _again(study: str, manifest: Manifest, found: Feasibility) -> str:
    made = {*COMPUTED, *manifest.stand_ins}
    needs_results = any(key[2] not in made for key in (*found.missing, *manifest.by_key))
    results = " --results FOLDER" if needs_results else ""
    marked = " --stand-ins" if manifest.stand_ins else ""
    return f"Freeze the study again: sreval study freeze {study} --again{results}{marked}"


def power_text(made: pd.DataFrame) -> str:
    """The plans and their power, or what was found by search: a frame of ``sreval.power``."""
    from sreval.report.table import text_table

    heads, rows = _needed_rows(made) if "find" in made else _power_rows(made)
    return text_table(
        "power", "Power (simulated raters)", made, heads, rows, _power_notes(made)
    ).to_text()


def judgements_text(made: pd.DataFrame) -> str:
    """How many raters or images intervals need: a frame of ``sreval.judgements_needed``."""
    from sreval.report.table import text_table

    first = made.iloc[0]
    raters, images = int(first["raters"]), int(first["images"])
    on, by = counted(images, "image"), counted(raters, "rater")
    rows = [
        [
            str(row["methods"]),
            f"{row['half_width']:g}",
            str(row["independent"]),
            *(
                "no number does" if n == math.inf else str(int(n))
                for n in (row["n_raters_needed"], row["n_images_needed"])
            ),
            fixed(row["reached"], 2),
            fixed(row["design_factor"], 2),
        ]
        for row in made.to_dict("records")
    ]
    study = f"{raters} x {images}"
    heads = [
        "methods", "+- JOD", "judgements of a pair, if independent", f"raters on {on}",
        f"images with {by}", f"{study} reaches +- JOD", "design factor",
    ]  # fmt: skip
    part = f"{percent(first['subset'])} of the pairs" if first["subset"] < 1 else "all pairs"
    notes = [
        f"For an interval of {percent(first['level'])} of a difference of two methods, over raters "
        "and images in general, all methods nearly equal and all pairs judged equally often. 1 JOD "
        "is preferred by 75%.",
        f"{study}: one study of {by}, each judging {part} on {on}, {first['judged']:.4g} "
        "judgements of a pair. Judgements of one rater, or on one image, go together: its error is "
        "larger than of so many independent ones by the design factor. A larger study has a larger "
        f"factor. {_pair_effects()}",
        "By a formula that holds for many judgements; with few the error is larger.",
    ]
    if math.inf in {*made["n_raters_needed"], *made["n_images_needed"]}:
        notes.append(
            "Where no number does, what the given images, or raters, differ in is too much by "
            f"itself: give more by {option('--images')} or {option('--raters')}."
        )
    return text_table("judgements", "Raters and images needed", made, heads, rows, notes).to_text()


def _pair_effects() -> str:
    """By how much simulated raters and images differ."""
    from sreval.opinions.pairs.simulation import PairModel

    model = PairModel()
    return (
        "Raters' tastes for a method are taken to differ by a standard deviation of "
        f"{model.rater_sd:g} logits, and what images do to one by {model.image_sd:g}, each where "
        "the claim is about them in general."
    )


def _asked(made: pd.DataFrame) -> tuple[list[str], Callable[[dict[Any, Any]], list[str]]]:
    """What of a difference is told: the heads, and the cells of a row."""
    if made["task"].iloc[0] == "pair":
        return ["win probability", "JOD"], lambda row: [
            fixed(row["win_probability"], 3),
            fixed(row["difference"], 2),
        ]
    return ["difference"], lambda row: [fixed(row["difference"], 2)]


def _power_rows(made: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    raters = sorted(map(int, made["n_raters"].unique()))
    units = ["unit"] if made["unit"].nunique() > 1 else []
    heads, cells = _asked(made)
    rows: dict[tuple[str, ...], dict[int, str]] = {}
    for row in made.to_dict("records"):
        own = (row["unit"] for _ in units)
        plan = (*cells(row), str(row["n_images"]), str(row["items"]), *own)
        rows.setdefault(plan, {})[row["n_raters"]] = fixed(row["power"], 2)
    return [*heads, "images", "items a rater", *units, *map(str, raters)], [
        [*plan, *(powers.get(n, NONE) for n in raters)] for plan, powers in rows.items()
    ]


def _needed_rows(made: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    from sreval.opinions.power import MOST

    find = made["find"].iloc[0]
    given = "images" if find == "raters" else "raters"
    with_looks = made["n_looks"].iloc[0] > 1
    units = made["unit"].nunique() > 1
    asked, cells = _asked(made)
    rows = []
    for row in made.to_dict("records"):
        n = row[f"n_{find}"]
        if n != n:
            told = ["no number does", NONE] if row["hopeless"] else [f"more than {MOST}"]
            told += [] if row["hopeless"] else [f"{_power_of(row)} with {MOST}"]
            told += [NONE] * 2
        else:
            low, high = int(row["low"]), int(row["high"])
            spread = f" ({low} to {high})" if low < high else ""
            told = [
                f"{int(n)}{spread}",
                _power_of(row),
                str(int(row["items"])),
                fixed(row["mean_raters"], 1),
            ]
        told = told if with_looks else told[:3]
        own = [row["unit"]] if units else []
        rows.append([*cells(row), str(int(row[f"n_{given}"])), *own, *told])
    own = ["unit"] if units else []
    heads = [*asked, given, *own, f"{find} needed", "power", "items a rater"]
    return [*heads, *(["raters on average"] if with_looks else [])], rows


def _power_of(row: dict[Any, Any]) -> str:
    return _share(row["power"], row["standard_error"], int(row["studies"]), 3)


def _power_notes(made: pd.DataFrame) -> list[str]:
    from sreval.opinions.power import MOST

    # Where not even the most are enough, the power is that of so many.
    known = made[made["power"].notna()].fillna({"n_raters": MOST, "n_images": MOST})
    first = made.iloc[0]
    notes = [
        *_unit_notes(made),
        f"Comparisons in all: {int(first['comparisons'])}; "
        f"{CORRECTIONS[str(first['adjustment'])]}, alpha {first['alpha']:g}. A difference is "
        "found where p is so small that it is significant even if no other comparison shows "
        "anything.",
    ]
    if first["n_looks"] > 1 and known.empty:
        notes.append(f"{first['n_looks']} looks, alpha spent by {first['spending']}.")
    notes += [
        *_hopeless_notes(made),
        *_unreached_notes(made),
        *_look_notes(known),
        *_assumed(first),
        *_seen_notes(known),
    ]
    if "find" in made:
        spread = made["high"].astype(float) - made["low"].astype(float)
        ranges = bool((spread > 0).any())
        notes.append(
            f"Needed: the fewest whose simulated power is {first['target']:g} or more."
            + " In brackets: those that the simulation can't tell from it, at 95%." * ranges
        )
    if len(known):
        unit = (
            "1 JOD is preferred by 75%; a win probability leaves ties aside"
            if first["task"] == "pair"
            else "the difference is in points before rounding and clipping to the scale"
        )
        notes.append(f"{_precision(known)}; {unit}.")
    return notes


def _unit_notes(made: pd.DataFrame) -> list[str]:
    """The test of each unit, the fewest on which it can show anything, and why it was taken."""
    from sreval.opinions.units import CLAIMS, unit_names

    notes = []
    for row in made.drop_duplicates("unit").to_dict("records"):
        unit: Unit = row["unit"]
        test = "t test of the crossed mean" if unit == "both" else "Wilcoxon signed-rank test"
        if row["task"] == "pair":
            model = "Davidson" if row["ties"] else "Bradley-Terry"
            test = f"t test of the {model} difference"
        note = f"Power of one two-sided {test}; unit {unit}: {CLAIMS[unit].about}."
        least = row["least_units"]
        if least == least and least is not None:
            of = " or ".join(f"{name}s" for name in unit_names(unit))
            note += (
                f" With fewer than {int(least)} {of} no outcome of all comparisons can be "
                "significant."
            )
        notes.append(note)
    return notes + [f"{why}." for why in dict.fromkeys(made["unit_why"]) if why]


def _precision(known: pd.DataFrame) -> str:
    """How many studies a figure is made of, and how far off it may be."""
    from sreval.opinions.power import share_limits

    studies, error = int(known["studies"].max()), float(known["standard_error"].max())
    said = f"{studies} simulated {'study' if studies == 1 else 'studies'} a figure"
    if error:
        said += f", standard error {fixed(error, 3)} or less"
    for share, side, end in ((0.0, "below", 1), (1.0, "above", 0)):
        own = known[known["power"] == share]
        if len(own):
            limit = share_limits(share, int(own["studies"].min()))[end]
            said += f"; where {'none' if end else 'all'} of them find it, the power lies {side} "
            said += f"{fixed(limit, 3)} (at 95%)"
    return said


def _hopeless_notes(made: pd.DataFrame) -> list[str]:
    """What to change where no number can do."""
    if "find" not in made or not made["hopeless"].any():
        return []
    find = made["find"].iloc[0]
    given = "image" if find == "raters" else "rater"
    counts = sorted({int(n) for n in made.loc[made["hopeless"], f"n_{given}s"]})
    numbers = f"{listed(counts)} {given}{'s' * (counts != [1])}"
    return [
        f"No number of {find} is enough for {numbers}: no outcome could be significant. Give more "
        f"{given}s by {option(f'--{given}s')}, or another unit by {option('--unit')}."
    ]


def _unreached_notes(made: pd.DataFrame) -> list[str]:
    """What to change where more of what was sought help little."""
    from sreval.opinions.power import MOST

    if "find" not in made:
        return []
    find = made["find"].iloc[0]
    given = "images" if find == "raters" else "raters"
    limits = ("both", "image" if find == "raters" else "rater")
    short = made["power"].notna() & made[f"n_{find}"].isna() & made["unit"].isin(limits)
    if not short.any():
        return []
    again = f"{option('--find')} {given}"
    return [f"Where {MOST} {find} are not enough, more {given} are needed: try {again}."]


def _look_notes(known: pd.DataFrame) -> list[str]:
    notes = []
    for looks in dict.fromkeys(known["looks"]):
        if len(looks) == 1:
            continue
        own = known[known["looks"] == looks]
        levels = listed([f"{level:.2g} after {counted(n, 'rater')}" for n, level in looks], 20)
        heads, cells = _asked(own)
        stops = [
            f"{fixed(row['mean_raters'], 1)} raters on average at a {heads[0]} of {cells(row)[0]}"
            for row in own.to_dict("records")
        ]
        notes.append(
            f"{len(looks)} looks, alpha spent by {own['spending'].iloc[0]}: p must lie below "
            f"{levels}. A study that stops when it finds the difference needs {listed(stops, 20)}."
        )
        for idle, n_images in dict.fromkeys(zip(own["idle_looks"], own["n_images"], strict=True)):
            if idle:
                after = counted(idle[-1], "rater")
                after = f"{', '.join(map(str, idle[:-1]))} and {after}" if idle[:-1] else after
                leave = "" if len(idle) == len(looks) else ": leave that look out"
                leave = leave.replace("that look", "those looks") if idle[:-1] else leave
                notes.append(
                    f"On {counted(int(n_images), 'image')} no outcome of all comparisons can be "
                    f"significant after {after}{leave}."
                )
    return notes


_SHOWN = {"pair": "pairs", "acr-hr": "images, whole"}
"""What a rater sees a share of, if not of the stimuli."""


def _assumed(first: pd.Series[Any]) -> list[str]:
    """What was assumed that isn't so where nothing is said, and who the raters are."""
    shares = {
        "straight_liners": "give one score throughout",
        "speeders": "vote at random at once",
        "drop_outs": "leave after a random part",
    }
    pairs = first["task"] == "pair"
    said = [f"{first['methods']} methods"] if first["methods"] != 2 else []
    if first["scale"] not in ("", "1..5"):
        said.append(
            f"votes on {first['scale']}, on which raters and images differ as on 1..5, stretched"
        )
    if first["task"] == "acr-hr":
        said.append("the original of each image among the pictures")
    if first["subset"] < 1:
        said.append(
            f"a rater sees {percent(first['subset'])} of the {_SHOWN.get(first['task'], 'stimuli')}"
        )
    if first["ties"]:
        said.append(f"{percent(first['ties'])} ties between methods alike")
    if first["repeats"]:
        said.append(counted(int(first["repeats"]), "hidden repeat"))
    said += [
        f"{percent(first[name])} of raters {does}" for name, does in shares.items() if first[name]
    ]
    if first["screening"]:
        said.append(f"screening by {first['screening']}, before which raters are counted")
    if first["seed"]:
        said.append(f"seed {first['seed']}")
    notes = [f"Assumed: {'; '.join(said)}."] if said else []
    if pairs:
        notes.append(
            f"Sides are balanced. {_pair_effects()} Where a method is preferred always or never "
            "there is no estimate, and nothing is found."
        )
    if first["drop_outs"] and first["n_looks"] > 1:
        begin = 1 / (1 - first["drop_outs"]) if first["drop_outs"] < 1 else math.inf
        notes.append(
            "Raters are those who finish, since a look is after so many: "
            f"about {fixed(begin, 2)} times as many begin, and votes of those who leave don't "
            "count."
        )
    elif first["drop_outs"]:
        notes.append("Raters are those who begin; the votes of those who leave count until then.")
    return notes


def _seen_notes(known: pd.DataFrame) -> list[str]:
    """On how many images a rater sees both methods, where each sees a part of the stimuli."""
    notes = []
    votes = known[(known["subset"] < 1) & (known["task"] != "pair")]
    for row in votes.drop_duplicates("n_images").to_dict("records"):
        shown, images = row["items"] - row["repeats"], int(row["n_images"])
        of = f"of {counted(images, 'image')}"
        if row["task"] == "acr-hr":
            whole = int(shown) // (row["methods"] + 1)
            notes.append(f"A rater sees every method and the original on {whole} {of}.")
            continue
        stimuli = images * row["methods"]
        both = images * math.prod((shown - k) / (stimuli - k) for k in range(2))
        if both:
            notes.append(f"A rater sees both methods on {both:.2g} {of} on average.")
        else:
            notes.append(
                f"A rater sees {counted(int(shown), 'stimulus')} {of}, and none sees both "
                f"methods on one image. Give a larger share by {option('--subset')}."
            )
    return notes
