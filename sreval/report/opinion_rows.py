"""Mean opinion scores beside the metrics of the same images, from votes and from studies."""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from shlex import quote
from typing import Any

import pandas as pd

from sreval.content import address
from sreval.errors import DataError, UsageError, counted, listed, option
from sreval.frames import image_order, unit_name
from sreval.opinions.arrays import Ratings
from sreval.opinions.comparison import MeanTest, compare_methods
from sreval.opinions.mos import mean_of, mos_interval, warning_of
from sreval.opinions.reading import is_means, needs_votes
from sreval.opinions.tasks import TASKS
from sreval.opinions.units import CLAIMS, Chosen, Unit, claim, unit_names
from sreval.opinions.votes import ACR, STIMULUS, Scale, opinions, stand_ins, task_in, units_of
from sreval.report import paper
from sreval.report.collect import collect, scales_of, scored, select
from sreval.report.notes import (
    SIMULATED,
    either,
    image_notes,
    named_as_in,
    stand_in_note,
    study_warnings,
    uncounted,
    units_said,
    untested,
)
from sreval.report.opinions import rescaled
from sreval.report.scores import (
    Comparison,
    Layout,
    Record,
    ScoreTable,
    marks,
    score_line,
    score_table,
    too_small_notes,
)
from sreval.report.text import percent
from sreval.study.data import StudyData
from sreval.study.design import load_design
from sreval.study.manifest import Stimulus, load_manifest


def results_table(
    frame: pd.DataFrame,
    layout: Layout = "methods",
    *,
    votes: pd.DataFrame | None = None,
    scale: Scale = ACR,
    studies: Sequence[StudyData] = (),
    unit: Unit | None = None,
    baseline: str | None = None,
    pairs: bool = False,
    level: float = 0.95,
    notes: Sequence[str] = (),
    **chosen: Any,
) -> ScoreTable:
    """A table of rows that ``collect.of_protocol`` has chosen, with rows of MOS.

    These are from votes or studies, of one scale. ``scale`` is that of the ``votes``. ``unit``
    None: what a study's design plans, else ``default_unit`` of each data set. ``notes`` are what
    else is said below.
    The other arguments, ``chosen`` among them, and what is raised for them as in ``score_table``;
    also raises UsageError for means in place of votes, or several scales beside them, and DataError
    for opinions of other images than the results'.
    """
    if votes is not None and is_means(votes):
        raise needs_votes("A row of MOS")
    if votes is not None and (task := task_in(votes)).mean != "MOS":
        raise UsageError(
            f"The votes are of {task.title}: their mean is {task.mean}, not MOS.",
            "sreval opinions has it; a table takes absolute category ratings.",
        )
    factors = scales_of(frame)
    if votes is not None and len(factors) > 1:
        raise UsageError(
            f"The results hold scales {factors}; ratings are of one.",
            f"Choose one with {option('--scale')}.",
        )
    frame, said = scores_of_all(frame, studies)
    table = score_table(frame, layout, baseline=baseline, pairs=pairs, level=level, **chosen)
    if votes is not None:
        votes, said = scored_votes(frame, votes)
        check_same_stimuli(frame, votes)
        table = with_mos(
            table,
            votes,
            unit=unit,
            baseline=baseline,
            pairs=pairs,
            level=level,
            scale=scale,
        )
    table = with_studies(table, studies, unit, baseline=baseline, pairs=pairs, level=level)
    return replace(table, notes=[*table.notes, *notes, *said])


def check_same_stimuli(frame: pd.DataFrame, votes: pd.DataFrame) -> None:
    """Raise DataError unless votes and results are on the same images, the names said.

    Every rated method and data set must be among the results. Of a data set that was rated,
    the images of votes and results must be the same; methods that nobody rated may be there.
    Where the votes carry the hash of the image, it must be that of what was scored:
    `image_sha256`, as an export of a study has it, else that of what was shown. Votes on
    stand-ins must have been taken out by ``scored_votes``.
    """
    votes, frame = opinions(votes), scored(frame)
    for column, what in (("dataset", "data set"), ("method", "method")):
        strange = sorted(set(votes[column].astype(str)) - set(frame[column]))
        if strange == [""]:
            raise DataError(
                f"The ratings have no {what}; the results hold "
                f"{', '.join(sorted(frame[column].unique()))}.",
                f"Add a column {column!r} with the names of the results.",
            )
        if strange:
            raise DataError(
                f"The ratings are on the {what} {listed(strange)}, which the results don't have; "
                f"they hold {', '.join(sorted(frame[column].unique()))}.",
                "Benchmark what is missing, or use the same name in both.",
            )
    for dataset, own in votes.groupby("dataset"):
        there = set(frame.loc[frame["dataset"] == dataset, "image"].astype(str))
        images = set(own["image"].astype(str))
        gaps: dict[str, list[str]] = {
            "results": sorted(images - there, key=image_order),
            "ratings": sorted(there - images, key=image_order),
        }
        said = [
            f"the {who} lack {counted(len(gap), 'image')}: {listed(gap)}"
            for who, gap in gaps.items()
            if gap
        ]
        if said:
            raise DataError(
                f"Ratings and results of {dataset} are on different images: {'; '.join(said)}.",
                f"One table takes MOS and metrics over the same images.{named_as_in(there)}",
            )
    for column in ("image_sha256", "stimulus_sha256"):
        if column in votes:
            _check_hashes(frame, votes, column)
            break


def scored_votes(frame: pd.DataFrame, votes: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The votes that may be shown beside metrics, without those on stand-ins, and notes.

    Raises DataError for results that hold a method that a stand-in replaced.
    """
    methods = stand_ins(votes)
    if not methods:
        return votes, []
    check_stand_ins(frame, set(votes["dataset"].astype(str)), methods)
    notes = [f"Stand-ins have no scores: {listed(methods, 20)}.", stand_in_note(methods)]
    return votes[~votes["method"].isin(methods)], notes


def check_stand_ins(frame: pd.DataFrame, datasets: Collection[str], methods: Sequence[str]) -> None:
    """A method's scores must not be shown beside opinions of the stand-in that replaced it.

    Raises DataError where ``frame`` holds one of ``methods`` on a data set that was rated.
    """
    frame = scored(frame)
    both = sorted(set(methods) & set(frame.loc[frame["dataset"].isin(datasets), "method"]))
    if both:
        raise DataError(
            f"Stand-ins were rated instead of {listed(both)}, which the results hold.",
            "Freeze a study from these results, or leave these methods out of the results.",
        )


def _check_hashes(frame: pd.DataFrame, counted: pd.DataFrame, column: str) -> None:
    rated = counted.groupby(list(STIMULUS))[column].first().dropna().astype(str)
    hashes = scored_hashes(frame)
    other = [
        "/".join(key)
        for row in rated.reset_index().itertuples(index=False)
        if row[-1] not in hashes.get(key := tuple(map(str, row[:-1])), ())
    ]
    if other:
        remedy = "Score the images that were shown."
        if column == "stimulus_sha256":
            remedy += (
                " For a study of sreval, export it again: a new export names the image that was"
                " scored beside the file that was shown."
            )
        raise DataError(
            f"{len(other)} stimuli that were rated are not the images that were scored: "
            f"{listed(other)}.",
            remedy,
        )


def scored_hashes(frame: pd.DataFrame) -> dict[Hashable, set[str]]:
    """The SHA-256 of what was scored, by stimulus; an original goes by that of its own file too."""
    rows = scored(frame).drop_duplicates(list(STIMULUS))
    return {
        tuple(row[name] for name in STIMULUS): {row["sr_sha256"], row["hr_sha256"]}
        if row["method"] == "hr"
        else {row["sr_sha256"]}
        for row in rows.to_dict("records")
    }


def with_mos(
    table: ScoreTable,
    votes: pd.DataFrame,
    *,
    unit: Unit | None = None,
    baseline: str | None = None,
    pairs: bool = False,
    level: float = 0.95,
    scale: Scale = ACR,
    study: str = "",
    alpha: float = 0.05,
) -> ScoreTable:
    """``table`` with a line of mean opinion scores for every data set that was rated.

    ``scale`` is that of the votes; ``baseline``, ``pairs`` and ``level`` as the table was built
    with; tests at ``alpha`` are those of ``compare_methods`` over ``unit``, None the default of
    each data set, Holm-adjusted within it, HR takes no part. The votes must have passed
    ``check_same_stimuli``. ``study`` names the study in the line's label; lines of other studies
    stay.
    """
    counted, units = opinions(votes), units_of(votes, unit)
    old, figures = table.figures(), []
    added: list[Record] = []
    tests: list[Comparison] = []
    for dataset in dict.fromkeys(figure["dataset"] for figure in old):
        own = [figure for figure in old if figure["dataset"] == dataset]
        rows = counted[(counted["dataset"] == dataset) & counted["method"].isin(table.methods)]
        if len(rows):
            own = [figure for figure in own if figure["metric"] != "mos" or figure["study"]]
            own_unit = units[str(dataset)].unit
            made = _tests(rows, dataset, own_unit, baseline, pairs, scale, alpha, table.scales[0])
            means = {
                str(method): mos_interval(
                    Ratings.from_votes(group, ["image"]), CLAIMS[own_unit].interval, level, scale
                )
                for method, group in rows.groupby("method")
            }
            there = [method for method in table.methods if method in means]
            of = " and ".join(unit_names(own_unit, unit_name(rows["image"].unique())))
            found = score_line(
                dataset, "mos", table.methods, means, marks(there, made, pairs), level,
                table.scales[0], unit=of, simulated=bool(rows["simulated"].any()), study=study,
                with_paper=table.with_paper and not rescaled(scale),
            )  # fmt: skip
            own += found
            added += found
            tests += made
        figures += own
    counted_figures = [figure for figure in added if figure["n"]]
    warnings = [
        warning_of(CLAIMS[units[one["dataset"]].unit].interval, one["mean"], scale)
        for one in counted_figures
    ]
    shown = None if table.intervals == "none" else level
    notes = _notes(votes, counted_figures, tests, units, baseline, shown, scale, study, warnings)
    if pairs:
        notes += _untested(counted_figures, tests)
    return table.with_figures(figures, tests, notes)


def _tests(
    rows: pd.DataFrame,
    dataset: str,
    unit: Unit,
    baseline: str | None,
    pairs: bool,
    scale: Scale,
    alpha: float,
    factor: float,
) -> list[Comparison]:
    rows = rows[rows["method"] != "hr"]
    rated = set(rows["method"])
    if len(rated) < 2 or not (pairs or baseline in rated):
        return []
    against = [] if pairs else [(str(m), str(baseline)) for m in rated if m != baseline]
    (made,) = compare_methods(rows, unit=unit, pairs=sorted(against), scale=scale, alpha=alpha)
    return [
        Comparison(
            dataset, "mos", pair.first, pair.second, pair.difference.estimate, pair.test,
            pair.verdict, factor,
        )
        for pair in made.pairs
        if pair.test is not None and pair.difference is not None
    ]  # fmt: skip


def _untested(figures: Sequence[Record], tests: Sequence[Comparison]) -> list[str]:
    """Pairs that share a letter on lines of MOS because nobody compared them."""
    notes = []
    for dataset in dict.fromkeys(figure["dataset"] for figure in figures):
        count = sum(f["dataset"] == dataset and f["method"] != "hr" for f in figures)
        made = sum(c.dataset == dataset for c in tests)
        pairs = math.comb(count, 2)
        if made:
            notes += [f"MOS on {dataset}: {said}" for said in untested(pairs - made, pairs)]
    return notes


def _notes(
    votes: pd.DataFrame,
    figures: Sequence[Record],
    tests: list[Comparison],
    units: Mapping[str, Chosen],
    baseline: str | None,
    level: float | None,
    scale: Scale,
    study: str,
    warnings: Sequence[str],
) -> list[str]:
    rated = opinions(votes)
    datasets = paper.sort_datasets(list(map(str, rated["dataset"].unique())))
    groups = [(dataset, rated[rated["dataset"] == dataset]) for dataset in datasets]
    sizes: dict[str, list[str]] = {}
    about = []
    for dataset, rows in groups:
        own, of = units[dataset].unit, unit_name(rows["image"].unique())
        size = f"{dataset} {len(rows)} by {counted(rows['rater'].nunique(), 'rater')}"
        sizes.setdefault(mean_of(CLAIMS[own].interval, of), []).append(size)
        about.append(claim(own, of))
    means = [f"{mean} ({', '.join(said)})" for mean, said in sizes.items()]
    note = (
        f"MOS{f' of {study}' if study else ''}: {' or '.join(means)}"
        + ("" if level is None else f"; {percent(level)} interval by Student t, kept on the scale")
        + f", {units_said(pd.DataFrame(figures, columns=['dataset', 'unit', 'n']))}, about "
        f"{either(about)}."
    )
    if tests:
        against = f" against {paper.label(baseline)}" if baseline else ", all pairs"
        made = either(
            "Student's t, raters and images random"
            if isinstance(test.test, MeanTest)
            else "signed-rank over the same unit"
            for test in tests
        )
        note += f" Its tests{against}: {made}, Holm within data set"
        note += "" if baseline else "; methods that share a letter weren't shown to differ"
        note += "; HR isn't tested." if (rated["method"] == "hr").any() else "."
    notes = [" ".join([note, *uncounted(votes)])]
    notes += [f"MOS on {name}: {chosen.why}." for name, chosen in units.items() if chosen.why]
    for of in dict.fromkeys(figure["unit"] for figure in figures):
        sets = {figure["dataset"] for figure in figures if figure["unit"] == of}
        these = [test for test in tests if test.dataset in sets]
        notes += too_small_notes(these, of)
    for dataset, rows in groups:
        interval = CLAIMS[units[dataset].unit].interval
        notes += [f"MOS: {note}" for note in image_notes(rows, interval, scale)]
    notes += dict.fromkeys(filter(None, warnings))
    if rated["simulated"].any():
        notes.append(f"MOS: {SIMULATED}")
    return notes


def scores_of_all(
    frame: pd.DataFrame, studies: Sequence[StudyData]
) -> tuple[pd.DataFrame, list[str]]:
    """The rows of ``frame`` on what every study rated, and what must be said of them.

    Raises UsageError for a study that has no MOS, DataError for studies of different scales, and
    what ``study_rows`` and ``check_same_stimuli`` raise.
    """
    for data in studies:
        _require_mos(data)
    check_scales(studies)
    notes: list[str] = []
    for data in studies:
        frame, said = study_rows(frame, data)
        notes += [note for note in said if note not in notes]
    for data in studies:
        check_same_stimuli(frame, scored_opinions(data))
    return frame, notes


def has_mos(data: StudyData) -> bool:
    """Whether the means of a study's votes are called MOS."""
    kind = data.design.task.kind
    return kind != "pair" and TASKS[kind].mean == "MOS"


def _require_mos(data: StudyData) -> None:
    """Raise UsageError for a study of pairs, or of degradation against a shown reference."""
    if has_mos(data):
        return
    task, name = data.design.task, data.design.name
    what = "no scores" if task.pair else f"{TASKS['dcr'].mean}, not MOS"
    raise UsageError(
        f"Study {name} is of {task}: it has {what}.",
        f"Its results are in its report: sreval report {name}.",
    )


def check_scales(studies: Sequence[StudyData]) -> None:
    """Raise DataError unless all studies asked the same, on one scale, of one upscaling."""
    for one, other in pairwise(studies):
        names = f"{one.design.name} and {other.design.name}"
        if one.design.task != other.design.task:
            raise DataError(
                f"The studies {names} have different tasks: {one.design.task}; "
                f"{other.design.task}.",
                "Their scores can't be compared; make a table of each.",
            )
        if one.design.scale != other.design.scale:
            first, second = (str(data.design.scale) for data in (one, other))
            raise DataError(
                f"The studies {names} have different scales: {first}; {second}.",
                "Their scores can't be compared; make a table of each.",
            )
        if one.design.images.scale != other.design.images.scale:
            factors = f"×{one.design.images.scale:g} and ×{other.design.images.scale:g}"
            raise DataError(
                f"The studies {names} are on different upscaling factors: {factors}.",
                "Make a table of each.",
            )


def with_studies(
    table: ScoreTable,
    studies: Sequence[StudyData],
    unit: Unit | None,
    *,
    baseline: str | None = None,
    pairs: bool = False,
    level: float = 0.95,
) -> ScoreTable:
    """``table`` with a row of MOS a study and data set; ``unit`` None: what the design plans.

    The results must have passed ``scores_of_all``.
    """
    for data in studies:
        name = data.design.name
        label = name if data.state == "closed" else f"{name}, interim"
        table = with_mos(
            table,
            scored_opinions(data),
            unit=unit or data.design.analysis.unit,
            baseline=baseline,
            pairs=pairs,
            level=level,
            scale=data.design.scale.numbers,
            study=label if len(studies) > 1 or data.state != "closed" else "",
            alpha=data.alpha,
        )
        said = [f"Study {name}, design {data.design_sha256[:12]}, {data.state}."]
        said += [f"{name}: {warning}" for warning in study_warnings(data)]
        table = replace(table, notes=[*table.notes, *said])
    return table


def study_scores(
    folders: Sequence[Path], protocol: str | None, data: StudyData
) -> tuple[pd.DataFrame, list[str]]:
    """The rows of ``study_rows`` from results folders, of one protocol at the study's scale.

    The notes begin with those of ``collect``. Raises what ``collect``, ``select`` and
    ``study_rows`` raise.
    """
    said: list[str] = []
    frame = collect(folders, said.append)
    frame = select(frame, protocol, data.design.images.scale, say=said.append)
    rows, notes = study_rows(frame, data)
    return rows, [*said, *notes]


def study_rows(frame: pd.DataFrame, data: StudyData) -> tuple[pd.DataFrame, list[str]]:
    """The rows of ``frame`` that may be shown beside the study, and notes on them.

    Of a data set that was rated only the rated images stay. Stand-ins have no scores. Raises
    DataError, the names said, where a rated stimulus is missing or is not the image that was
    scored, or the results are of another upscaling factor.
    """
    factors = scales_of(frame)
    if factors != [data.design.images.scale]:
        raise DataError(
            f"Study {data.design.name} is on upscaling by {data.design.images.scale:g}, the "
            f"results are by {', '.join(map(str, factors))}.",
            f"Choose one with {option('--scale')}.",
        )
    stimuli = data.rated
    _check_images(frame, [stimulus for stimulus in stimuli if not stimulus.stand_in])
    check_stand_ins(frame, {stimulus.dataset for stimulus in stimuli}, data.stand_ins)
    images = {(stimulus.dataset, stimulus.image) for stimulus in stimuli}
    datasets = {dataset for dataset, _ in images}
    keys = pd.MultiIndex.from_frame(frame[["dataset", "image"]])
    kept = keys.isin(list(images)) | ~frame["dataset"].isin(datasets).to_numpy()
    notes = []
    left = len(frame[~kept][["dataset", "image"]].drop_duplicates())
    if left:
        notes.append(f"Metrics are over the rated images; {left} others of the results left out.")
    if data.stand_ins:
        notes.append(f"Stand-ins have no scores: {listed(data.stand_ins, 20)}.")
    return frame[kept], notes


def scored_opinions(data: StudyData) -> pd.DataFrame:
    """``StudyData.analysed`` as the tables beside metrics take it: without votes on stand-ins.

    The hashes are left out: ``study_scores`` has compared them.
    """
    votes = data.analysed
    votes = votes[~votes["method"].isin(data.stand_ins)]
    return votes.drop(columns=["stimulus_sha256", "image_sha256"], errors="ignore")


def _check_images(frame: pd.DataFrame, stimuli: Sequence[Stimulus]) -> None:
    scored = scored_hashes(frame)
    missing = [stimulus for stimulus in stimuli if stimulus.key not in scored]
    other = [
        stimulus
        for stimulus in stimuli
        if stimulus.key in scored and stimulus.image_sha256 not in scored[stimulus.key]
    ]
    said = [
        f"{len(found)} {what}: {listed(['/'.join(stimulus.key) for stimulus in found])}"
        for found, what in ((missing, "are not in the results"), (other, "are other files"))
        if found
    ]
    if said:
        absent = {stimulus.method for stimulus in missing} - set(frame["method"])
        more = f" Or run the benchmark with {listed(sorted(absent))}, too." if absent else ""
        raise DataError(
            f"Of {len(stimuli)} rated stimuli {'; '.join(said)}.",
            f"Name the results folders that the study was frozen from.{more}",
        )


def load(
    folder: Path,
    database: str | None = None,
    *,
    allow_open: bool | None = False,
    means: bool = False,
) -> StudyData:
    """The study in ``folder``, its votes from ``database``, else SREVAL_DATABASE, else its folder.

    A look at results that the design lets be seen before the study is closed is kept in the
    audit log. Raises UsageError for a study that is not closed unless ``allow_open``, and what
    the folder and the store raise; where ``means`` of methods are to be shown, also for one that
    is not closed and whose design hides them. ``allow_open`` None lets a rehearsed study through,
    one that only simulated raters have taken part in: of it nothing is hidden, and no look is kept.
    """
    from sreval.store.database import default_url, open_store
    from sreval.store.frames import record_look, study_data
    from sreval.store.overview import Overview
    from sreval.store.studies import Studies

    name, manifest = load_design(folder).name, load_manifest(folder)
    url = default_url(folder, database)
    assert url is not None  # there is a folder
    with open_store(url) as store:
        row = Studies(store).get(name)
        rehearsed = False
        if allow_open is None and row.state != "closed":
            raters = Overview.of(store, name).raters
            rehearsed = bool(raters) and all(rater.simulated for rater in raters)
        if row.state != "closed" and not rehearsed:
            named = as_arguments(address("studies", folder), database)
            close = f"Close it: sreval study close {named}."
            if means and not row.design.analysis.look_before_close:
                raise UsageError(
                    f"Study {name} is {row.state}, and its design hides its results until it is "
                    "closed.",
                    close,
                )
            if not allow_open:
                raise UsageError(
                    f"Study {name} is {row.state}: its results may still change.",
                    f"{close} Or look before the end: {option('--allow-open', 'allow_open=True')}.",
                )
        data = study_data(store, name, manifest)
        if rehearsed:
            return replace(data, rehearsed=True)
        return record_look(store, data)


def as_arguments(study: str, database: str | None) -> str:
    """A study as a command's arguments; a URL that may hold a password is left to the user."""
    named = quote(study)
    if database is None:
        return named
    return f"{named} --database {'URL' if '@' in database else quote(database)}"
