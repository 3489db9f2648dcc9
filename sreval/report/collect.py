"""Results of one or several runs as one frame whose rows may be compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from sreval.benchmark.standing import standing
from sreval.errors import DataError, UsageError, unknown_name


def collect(folders: Sequence[Path], say: Callable[[str], object] = lambda _: None) -> pd.DataFrame:
    """The rows of all folders together, each with its ``folder``; see ``standing``.

    ``say`` is told what is left out. Raises DataError where rows can't stand in one table: one
    value twice, or one image with two HR or LR files, the names said.
    """
    frame = standing(folders, say)
    if frame.empty:
        raise DataError(f"{folders[0]} holds no scores.", "Look at the failures in its manifest.")
    keys = ["dataset", "scale", "method", "image", "protocol", "metric"]
    twice = frame[frame.duplicated(keys, keep=False)]
    if not twice.empty:
        first = twice.iloc[0]
        others = sorted(twice["folder"].unique())
        raise DataError(
            f"{first['method']} on {first['dataset']} stands in {' and '.join(others)}.",
            "Name only one of them, or run one again with `--method NAME=METHOD`.",
        )
    for column, what in (("hr_sha256", "high"), ("lr_sha256", "low")):
        _refuse_mixed(frame, column, what)
    return frame


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


def select(frame: pd.DataFrame, protocol: str | None, scale: int | None) -> pd.DataFrame:
    """The rows of one protocol and one scale; the only ones there are when not given.

    Without a choice ``ledig2017`` is taken where it was run. Raises UsageError when what is
    asked for isn't there, or when the choice is open.
    """
    protocols = sorted(frame["protocol"].unique())
    if protocol is None:
        protocol = "ledig2017" if "ledig2017" in protocols else protocols[0]
    if protocol not in protocols:
        raise unknown_name("protocol of these results", protocol, protocols)
    frame = frame[frame["protocol"] == protocol]
    scales = sorted(map(int, frame["scale"].unique()))
    if scale is None and len(scales) > 1:
        raise UsageError(f"The results hold scales {scales}.", "Choose one with --scale.")
    if scale is not None and scale not in scales:
        raise UsageError(f"The results hold no scale {scale}.", f"They hold {scales}.")
    if frame["protocol_sha256"].nunique() > 1:
        raise DataError(
            f"The rows under {protocol} come from two definitions of it.",
            "Run the older benchmark again with this version.",
        )
    return frame if scale is None else frame[frame["scale"] == scale]
