"""Which rows of results folders may be shown together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path
from shlex import quote
from typing import Any

import pandas as pd

from sreval.benchmarking.names import Meaning, read_meanings
from sreval.benchmarking.results import (
    MANIFEST,
    Held,
    is_first_format,
    place,
    read_datasets,
    read_frame,
    read_manifest,
)
from sreval.errors import DataError, listed, option
from sreval.methods.base import IN_PYTHON


def standing(
    folders: Sequence[Path],
    say: Callable[[str], object] = lambda _: None,
    single: bool = False,
) -> pd.DataFrame:
    """The rows of all folders, each with its ``folder``, that hold for the data sets as they are.

    What a method scored before an image joined its data set, or before one changed, is left out
    until the method is run again, and ``say`` is told; not where ``single`` images are wanted
    rather than means. Raises DataError as ``read_frame`` does, where one name means two methods,
    and where one means two data sets.
    """
    frames = []
    held: dict[str, list[tuple[Path, Held]]] = {}
    meanings: dict[tuple[str, str, str], Meaning] = {}
    for folder in folders:
        manifest = read_manifest(folder) if (folder / MANIFEST).is_file() else {}
        frame = read_frame(folder)
        if is_first_format(manifest):
            say(
                f"{folder} was written by sreval 0.1, which did not record what the names of its "
                "methods stood for."
            )
        datasets = read_datasets(manifest, folder / MANIFEST)
        for name, known in read_meanings(manifest, folder / MANIFEST).items():
            meanings |= {(str(folder), name, sha256): one for sha256, one in known.items()}
        for key, one in datasets.items():
            held.setdefault(key, []).append((folder, one))
        kept = frame if single else _whole(frame, datasets, say)
        frames.append(kept.assign(folder=str(folder)))
    for several in held.values():
        for first, second in combinations(several, 2):
            _refuse_two_datasets(first, second)
    frame = pd.concat(frames, ignore_index=True)
    _refuse_two_methods(frame, meanings)
    return frame


def _whole(
    frame: pd.DataFrame, datasets: dict[str, Held], say: Callable[[str], object]
) -> pd.DataFrame:
    """Without what a method scored on a part of a data set as it is now."""
    of_row = [
        tuple(row) for row in frame[["dataset", "scale", "method", "protocol", "metric"]].to_numpy()
    ]
    scored: dict[tuple[Any, ...], set[str]] = {}
    for key, image in zip(of_row, frame["image"], strict=True):
        scored.setdefault(key, set()).add(image)
    lacking: dict[tuple[str, str], set[str]] = {}
    left_out = set()
    for key, there in scored.items():
        dataset, scale, method, *_ = key
        held = datasets.get(place(dataset, scale))
        images = held.images.items() if held else ()
        missing = {name for name, image in images if method not in image.failed} - there
        if missing:
            lacking.setdefault((dataset, method), set()).update(missing)
            left_out.add(key)
    for (dataset, method), missing in lacking.items():
        say(
            f"{dataset}: scores of {method} are left out. It wasn't run on these images, which "
            f"are new or have changed: {listed(sorted(missing))}. Run {method} on {dataset} "
            "again."
        )
    return frame[[key not in left_out for key in of_row]] if left_out else frame


def _refuse_two_datasets(one: tuple[Path, Held], other: tuple[Path, Held]) -> None:
    pairs = [{name: image.pair for name, image in held.images.items()} for _, held in (one, other)]
    if pairs[0].keys() == pairs[1].keys():
        return  # where files differ, the rows say which methods were run on which
    told = [
        f"{len(held.images)} images of {held.source} in {place}" for place, held in (one, other)
    ]
    raise DataError(
        f"These results hold two data sets called {one[1].name}: {' and '.join(told)}.",
        "Run one of them again as it is now, or under its own name: "
        f"{option('--dataset ', '')}hr={one[1].source},name=NAME.",
    )


def _refuse_two_methods(frame: pd.DataFrame, meanings: dict[tuple[str, str, str], Meaning]) -> None:
    found: dict[tuple[int, str], dict[str, tuple[Meaning, dict[str, None]]]] = {}
    columns = ["scale", "method", "method_sha256", "folder", "dataset"]
    for scale, method, sha256, folder, dataset in dict.fromkeys(
        map(tuple, frame[columns].to_numpy())
    ):
        unknown = Meaning(f"a method with SHA-256 {sha256[:12]}", "", sha256, "")
        meaning = meanings.get((folder, method, sha256), unknown)
        of_name = found.setdefault((scale, method), {})
        of_name.setdefault(sha256, (meaning, {}))[1][dataset] = None
    for (_, method), kinds in found.items():
        told = [meaning for meaning, _ in kinds.values()]
        if all(one.may_be(other) for one, other in combinations(told, 2)):
            continue
        parts = [f"{meaning} on {', '.join(datasets)}" for meaning, datasets in kinds.values()]
        latest = max(told, key=lambda meaning: meaning.since)
        names = dict.fromkeys(name for _, datasets in kinds.values() for name in datasets)
        how = (
            "in one call of benchmark."
            if latest.specification.startswith(IN_PYTHON)
            else f"in one command, as in `--method {quote(f'{method}={latest.specification}')}`."
        )
        raise DataError(
            f"These results hold different methods called {method}: {'; '.join(parts)}.",
            f"Run it on {' and '.join(names)} again {how}",
        )
