"""Benchmark results beside a study: only where they are of the very images that were rated."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from sreval.errors import DataError, listed, option
from sreval.report.collect import collect, select
from sreval.report.opinion_rows import check_stand_ins, scored_hashes
from sreval.study.data import StudyData, rated
from sreval.study.manifest import Stimulus


def study_scores(
    folders: Sequence[Path], protocol: str | None, data: StudyData
) -> tuple[pd.DataFrame, list[str]]:
    """The rows of ``study_rows`` from results folders, of one protocol at the study's scale.

    Raises what ``collect``, ``select`` and ``study_rows`` raise.
    """
    return study_rows(select(collect(folders), protocol, data.design.images.scale), data)


def study_rows(frame: pd.DataFrame, data: StudyData) -> tuple[pd.DataFrame, list[str]]:
    """The rows of ``frame`` that may be shown beside the study, and notes on them.

    Of a data set that was rated only the rated images stay. Stand-ins have no scores. Raises
    DataError, the names said, where a rated stimulus is missing or is not the image that was
    scored, or the results are of another upscaling factor.
    """
    factors = sorted(map(int, frame["scale"].unique()))
    if factors != [data.design.images.scale]:
        raise DataError(
            f"Study {data.design.name} is on upscaling by {data.design.images.scale}, the results "
            f"are by {', '.join(map(str, factors))}.",
            f"Choose one with {option('--scale')}.",
        )
    stimuli = rated(data.design, data.manifest)
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
    """The study's votes as the tables beside metrics take them: without those on stand-ins.

    The hashes are left out: ``study_scores`` has compared them.
    """
    votes = data.votes[~data.votes["method"].isin(data.stand_ins)]
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
