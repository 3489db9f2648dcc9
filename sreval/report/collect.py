"""Results of one or several runs as one frame of comparable rows, and the images behind them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from sreval.benchmarking.identity import standing
from sreval.benchmarking.results import (
    COLUMNS,
    CROPPED,
    Held,
    ResultsFolder,
    Snapshot,
    of_images,
    place,
)
from sreval.errors import (
    DataError,
    ImageError,
    SrevalError,
    UsageError,
    listed,
    not_in_results,
    option,
)
from sreval.images.datasets import open_dataset
from sreval.images.io import read_image
from sreval.images.known import KNOWN, UNVERIFIED
from sreval.images.scales import checked_scale
from sreval.metrics.metric import metric_of
from sreval.report import paper

_SUBJECT = ["dataset", "scale", "method", "image"]
_VALUE = [*_SUBJECT, "protocol", "metric"]
_WITHOUT_EFFECT = ["note", "code", "device"]
"""What may differ between two rows of one value, if nothing else does."""
_PREFERRED = "ledig2017"


def collect(folders: Sequence[Path], say: Callable[[str], object] = lambda _: None) -> pd.DataFrame:
    """The rows of all folders together, each with its ``folder``; see ``standing``.

    A row that several folders have is there once, with the first of them as ``folder`` and the
    others ``also_in``; see ``joined``. An image that a method failed on has rows, too; see
    ``with_failures``. ``say`` is told what is left out, of a run that hasn't ended, and of HR
    images that changed between the runs at two scales. Raises DataError for a folder without any
    score, and where rows can't be in one table: two scores of one method on one image, or one
    image with two HR or LR files, the names said.
    """
    found = [Snapshot.of(folder) for folder in folders]
    frame = standing(found, say)
    for folder in found:
        require_scores(frame, folder)
    frame = joined(frame)
    for column, what in (("hr_sha256", "high"), ("lr_sha256", "low")):
        _refuse_mixed(frame, column, what)
    for note in _changed_between_scales(frame, found):
        say(note)
    return with_failures(frame, found)


def _changed_between_scales(frame: pd.DataFrame, folders: Sequence[Snapshot]) -> list[str]:
    """A sentence on each data set of which an HR file wasn't the same at two scales.

    Of an image that was cropped that can't be told.
    """
    rows = frame[frame["value"].notna() & ~frame["note"].str.contains(CROPPED, regex=False)]
    whole = set(_keys(rows, ["dataset", "scale", "image"]))
    hashes: dict[str, dict[tuple[str, str], set[str]]] = {}
    scales: dict[str, set[float]] = {}
    for held in (held for folder in folders for held in folder.datasets.values()):
        for name, image in held.images.items():
            if image.hr and (held.name, held.scale, name) in whole:
                files = hashes.setdefault(held.name, {})
                files.setdefault((name, image.hr), set()).add(image.hr_sha256)
                scales.setdefault(held.name, set()).add(held.scale)
    notes = []
    for dataset, files in hashes.items():
        if changed := [name for (name, _), found in files.items() if len(found) > 1]:
            at = _and(sorted(scales[dataset]))
            notes.append(
                f"HR images of {dataset} changed between the runs at scales {at}: "
                f"{listed(changed)}. Run the same benchmarks again."
            )
    return notes


def joined(frame: pd.DataFrame) -> pd.DataFrame:
    """``frame`` with one row a value, that of the first folder, and what others are ``also_in``.

    Rows are equal where the values are, and all that they depend on but the ``code`` and the
    ``device``: these may differ without any effect. Raises DataError, naming the folders and what
    differs, for rows of one method, image, protocol and metric that aren't.
    """
    again = frame.duplicated(_VALUE)
    twice = frame[frame.duplicated(_VALUE, keep=False)].groupby(_VALUE)
    kinds = twice[[column for column in COLUMNS if column not in _VALUE]].nunique(dropna=False)
    unlike = kinds[(kinds.drop(columns=_WITHOUT_EFFECT) > 1).any(axis=1)]
    if len(unlike):
        key = unlike.index[0]
        first = dict(zip(_VALUE, key, strict=True))
        differ = {str(column) for column in kinds if unlike[column].iloc[0] > 1}
        rows = frame.loc[twice.groups[key]]
        raise _unlike(first, differ, list(rows["folder"]), list(rows["value"]))
    others = frame[again].groupby(_VALUE)["folder"].agg(tuple).to_dict()
    kept = frame[~again].reset_index(drop=True)
    return kept.assign(also_in=[others.get(key, ()) for key in _keys(kept, _VALUE)])


def _unlike(
    first: Mapping[str, Any], differ: set[str], folders: Sequence[str], values: Sequence[float]
) -> DataError:
    """What is said of rows of one value in several folders that ``differ`` in these columns."""
    both, dataset, method = " and ".join(folders), first["dataset"], first["method"]
    if differ & {"hr_sha256", "lr_sha256"}:
        image = f"{first['image']} of {dataset} isn't" if first["image"] else f"{dataset} isn't"
        what = "image" if first["image"] else "data set"
        return DataError(
            f"{image} the same {what} in {both}.",
            "Give one data set another name, and run it into a new folder: "
            f"{option('--dataset ', '')}hr=FOLDER,name=NAME.",
        )
    if differ & {"method_sha256", "weights_sha256", "source_sha256"}:
        return DataError(
            f"{both} hold different methods called {method}.",
            "Name only one of the folders, or run one method under another name into a new folder: "
            f"{option('--method NAME=METHOD', '{NAME: METHOD}')}.",
        )
    of = f"{metric_of(first['metric']).name} of {method} on {dataset}" + (
        f"/{first['image']}" if first["image"] else ""
    )
    if differ & {"protocol_sha256", "metric_sha256"}:
        return DataError(
            f"{both} have {of} by different definitions of it under {first['protocol']}.",
            "Run the older benchmark again with this version.",
        )
    told = " and ".join(map(str, values)) if "value" in differ else "of different SR images"
    return DataError(
        f"{both} have different results of one method: {of} under {first['protocol']} is {told}.",
        "Name only one of the folders, or run one benchmark again.",
    )


def _keys(frame: pd.DataFrame, columns: list[str]) -> list[tuple[Any, ...]]:
    return list(frame[columns].itertuples(index=False, name=None))


def by_folder(frame: pd.DataFrame) -> pd.DataFrame:
    """``frame`` with a row for each folder that a value is in."""
    if "also_in" not in frame:
        return frame
    places = [(one, *also) for one, also in _keys(frame, ["folder", "also_in"])]
    return frame.assign(folder=pd.Series(places, frame.index, dtype=object)).explode("folder")


def require_scores(frame: pd.DataFrame, folder: Snapshot) -> None:
    """Raises DataError, naming the first reason, where ``frame`` has no value of a folder."""
    own = frame[frame["folder"] == str(folder.path)]
    if own["value"].notna().any():
        return
    why = next((reason for reason in (*own["note"], *folder.failures()["note"]) if reason), "")
    if folder.unfinished and not why:
        raise DataError(
            f"{folder.path} holds no scores yet. {folder.unfinished}",
            "Wait, or run the same benchmark again if it was stopped.",
        )
    raise DataError(
        f"{folder.path} holds no scores{f': {why}' if why else '.'}",
        "Leave that folder out, or run its benchmark again.",
    )


def require_any_scores(frame: pd.DataFrame, folders: Sequence[Path]) -> None:
    """Raises DataError as ``require_scores`` does where ``frame`` has no value at all."""
    if frame["value"].isna().all():
        require_scores(frame, Snapshot.of(folders[0]))


def with_failures(frame: pd.DataFrame, folders: Sequence[Snapshot]) -> pd.DataFrame:
    """``frame`` with a row for each value that was asked for of an image that a method failed on.

    These are NaN, with the reason as ``note`` and without hashes; see ``scored``.
    """
    there = set(_keys(frame, _SUBJECT))
    for folder in folders:
        failed = folder.failures().assign(folder=str(folder.path))
        failed = failed.assign(also_in=pd.Series([()] * len(failed), failed.index, dtype=object))
        left = failed.loc[
            [key not in there for key in _keys(failed, _SUBJECT)], list(frame.columns)
        ]
        some = [one for one in (frame, left) if len(one)]
        frame = pd.concat(some, ignore_index=True) if some else frame
    return frame.drop_duplicates(_VALUE, ignore_index=True)


def scored(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of images that were made and scored; those of failures have no hash, no value."""
    return frame[(frame["sr_sha256"] != "") | frame["value"].notna()]


def select(
    frame: pd.DataFrame,
    protocol: str | None,
    scale: float | None,
    argument: str = "scale=",
    say: Callable[[str], object] = lambda _: None,
) -> pd.DataFrame:
    """The rows of one protocol and one scale; the only ones there are when not given.

    The protocol as in ``of_protocol``, the scale as in ``of_scales``. Raises UsageError when what
    is asked for isn't there, and when the choice is open.
    """
    frame = of_protocol(frame, protocol)
    scales = scales_of(frame)
    if scale is None and len(scales) > 1:
        raise UsageError(
            f"The results hold scales {_and(scales)}.",
            f"Choose one with {option('--scale', argument)}.",
        )
    return of_scales(frame, [] if scale is None else [scale], say)


def of_protocol(frame: pd.DataFrame, protocol: str | None) -> pd.DataFrame:
    """The rows of one protocol; without a choice one that every folder has, ``ledig2017`` first.

    Raises UsageError where it isn't there or a folder would contribute nothing, DataError where
    rows come from two definitions of it.
    """
    chosen = _common_protocol(frame) if protocol is None else protocol
    if chosen not in set(frame["protocol"]):
        raise not_in_results("protocol", chosen, frame["protocol"].unique())
    frame = narrowed(frame, "protocol", [chosen])
    if frame["protocol_sha256"].nunique() > 1:
        raise DataError(
            f"The rows under {chosen} come from two definitions of it.",
            "Run the older benchmark again with this version.",
        )
    return frame


def scales_of(frame: pd.DataFrame) -> list[float]:
    """The scales of the rows, in order, as they are printed."""
    return sorted(map(checked_scale, frame["scale"].unique()))


def of_scales(
    frame: pd.DataFrame, scales: Sequence[float], say: Callable[[str], object] = lambda _: None
) -> pd.DataFrame:
    """The rows of these scales, of all where none is given.

    Raises UsageError for a scale that isn't there; ``say`` is told of a folder without any of them.
    """
    held = scales_of(frame)
    scales = list(map(checked_scale, scales))
    for scale in scales:
        if scale not in held:
            raise UsageError(f"The results hold no scale {scale:g}.", f"They hold {_and(held)}.")
    if not scales:
        return frame
    left = frame[frame["scale"].isin(scales)]
    for folder in _folders(frame):
        if folder not in _folders(left):
            say(
                f"{folder} adds nothing: it holds no scale {' or '.join(f'{s:g}' for s in scales)}."
            )
    return left


def _and(numbers: Sequence[float]) -> str:
    *most, last = (f"{number:g}" for number in numbers)
    return f"{', '.join(most)} and {last}" if most else last


_KINDS = {"dataset": "data set"}


def narrowed(frame: pd.DataFrame, column: str, values: Collection[object]) -> pd.DataFrame:
    """The rows whose ``column`` is one of ``values``.

    Raises UsageError for a results folder without any such row: whoever names it expects to see it.
    """
    left = frame[frame[column].isin(list(values))]
    kind = _KINDS.get(column, column)
    there = _folders(left)
    for folder in _folders(frame):
        if folder not in there:
            every = by_folder(frame)
            own = sorted(every.loc[every["folder"] == folder, column].unique())
            raise UsageError(
                f"{folder} contributes nothing: it holds no {kind} "
                f"{' or '.join(map(str, values))}, but {', '.join(map(str, own))}.",
                f"Leave that folder out, or choose another {kind}.",
            )
    return left


def _folders(frame: pd.DataFrame) -> list[str]:
    return list(dict.fromkeys(by_folder(frame)["folder"])) if "folder" in frame else []


def _in_all(frame: pd.DataFrame, column: str) -> list[str]:
    """The values of ``column`` that every folder has rows of, sorted."""
    frame = by_folder(frame)
    folders = _folders(frame)
    return [str(v) for v, rows in frame.groupby(column) if len(_folders(rows)) == len(folders)]


def unverified(frame: pd.DataFrame) -> list[str]:
    """The note on data sets of a public name without checksums; none where each has them."""
    found: dict[str, None] = {}
    each = by_folder(frame)
    for folder in _folders(frame):
        rows, results = each[each["folder"] == folder], ResultsFolder(Path(folder))
        for dataset, scale in rows[["dataset", "scale"]].drop_duplicates().to_numpy():
            held = results.held(place(dataset, scale))
            if held and held.source in UNVERIFIED:
                found[str(dataset)] = None
    names = ", ".join(paper.sort_datasets(list(found)))
    return [f"{names}: files not verified, as no checksums are known."] if found else []


def also_computed(frame: pd.DataFrame, shown: str) -> str:
    """A line on what every folder has beside the protocol ``shown``; empty where that is none."""
    others = [name for name in _in_all(frame, "protocol") if name != shown]
    return f"Also computed: {', '.join(others)}; see --protocol {others[0]}." if others else ""


def _common_protocol(frame: pd.DataFrame) -> str:
    """The protocol to show where none is asked for. Raises UsageError where none is common."""
    of_all = _in_all(frame, "protocol")
    if not of_all:
        held = [
            f"{folder} has {', '.join(sorted(rows['protocol'].unique()))}"
            for folder, rows in by_folder(frame).groupby("folder", sort=False)
        ]
        raise UsageError(
            f"No protocol is in all of these results: {'; '.join(held)}.",
            "Name only folders of one protocol, or run the benchmarks under one.",
        )
    return _PREFERRED if _PREFERRED in of_all else of_all[0]


def _refuse_mixed(frame: pd.DataFrame, column: str, what: str) -> None:
    files = frame.groupby(["dataset", "scale", "image"])[column].nunique()
    mixed = files[files > 1]
    if mixed.empty:
        return
    dataset, scale, image = mixed.index[0]
    rows = frame[(frame["dataset"] == dataset) & (frame["image"] == image)]
    by_file = rows[rows["scale"] == scale].groupby(column)["method"].first()
    raise DataError(
        f"{dataset}/{image}: {' and '.join(by_file.iloc[:2])} were run on different "
        f"{what}-resolution files ({len(mixed)} images in all).",
        "Run both methods on one data set again.",
    )


UInt8 = npt.NDArray[np.uint8]


def sr_image(row: pd.Series) -> UInt8:
    """The SR image of a row. Raises DataError when it is no longer what was scored."""
    folder = ResultsFolder(Path(row["folder"]))
    path = folder.sr_image(row["dataset"], row["scale"], row["method"], row["image"])
    image = _as_scored(path, row["sr_sha256"])
    if image is None:
        why = "no longer the image that was scored" if path.exists() else "no longer there"
        raise DataError(f"{path} is {why}.", "Run the benchmark again.")
    return image


def without_originals(frame: pd.DataFrame) -> list[str]:
    """The data sets of which there are LR images alone: no row of an image names an HR file."""
    rows = scored(of_images(frame))
    of_set = rows.groupby("dataset", sort=False)["hr_sha256"].max()
    return [str(name) for name, sha256 in of_set.items() if sha256 == ""]


def input_image(row: pd.Series, kind: Literal["hr", "lr"]) -> UInt8:
    """The HR or LR image of a row, found by its hash: kept with the results or in its data set.

    Raises DataError when it is nowhere any more.
    """
    folder = ResultsFolder(Path(row["folder"]))
    held = folder.held(place(row["dataset"], row["scale"]))
    for path in _input_files(row, kind, folder, held):
        image = _as_scored(path, row[f"{kind}_sha256"])
        if image is not None:
            return image
    what = f"The {kind.upper()} image of {row['dataset']}/{row['image']}"
    public = held is not None and held.source in KNOWN
    remedy = "Set SREVAL_DATA as for the benchmark." if public else "Run the benchmark again."
    if path.exists():
        raise DataError(f"{what} is no longer what was scored: {path}.", remedy)
    if not public and not path.is_relative_to(folder.path):
        remedy = (
            "Put it back, or run the benchmark again on its folder where it is now, with "
            f"name={row['dataset']}."
        )
    raise DataError(f"{what} is no longer there: {path}.", remedy)


def _input_files(
    row: pd.Series, kind: Literal["hr", "lr"], folder: ResultsFolder, held: Held | None
) -> Iterator[Path]:
    """Where the image may be; last where a public set has it now, for that hashes all of it.

    Sreval 0.1 kept no paths, so its data sets are opened as they were named.
    """
    yield folder.inputs(row["dataset"], row["scale"]) / kind.upper() / f"{row['image']}.png"
    if held and row["image"] in held.images:
        yield Path(getattr(held.images[row["image"]], kind))
    specs = [held.source] if held and held.source in KNOWN else []
    if folder.manifest_file.is_file() and folder.is_first_format:
        specs = [spec for run in folder.runs for spec in run["plan"]["datasets"]]
    for spec in dict.fromkeys(specs):
        with suppress(SrevalError):
            items = open_dataset(spec, row["scale"]).items
            files = (getattr(item, kind) for item in items if item.image == row["image"])
            yield from filter(None, files)


def _as_scored(path: Path, sha256: str) -> UInt8 | None:
    """The image at ``path`` where it is the file of that hash."""
    try:
        image = read_image(path)
    except ImageError:
        return None
    return image.pixels if image.sha256 == sha256 else None
