"""Ratings made elsewhere, brought into the table of votes: long CSV, matrix CSV, nested JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from sreval.errors import DataError
from sreval.statistics.arrays import Floats
from sreval.statistics.votes import ACR, REQUIRED, Scale, check_votes

NO_VOTE = 0
"""What stands in the JSON form where no vote was cast."""

_SHOWN = 5
_NAMES = ("study", "rater", "session", "image", "scene", "dataset", "method", "reason")
_STIMULUS_COLUMNS = ("dataset", "image", "scene", "method")


def read_ratings(path: Path, *, stimuli: Path | None = None, scale: Scale = ACR) -> pd.DataFrame:
    """The checked votes in ``path``, whichever of the three forms it has.

    - A CSV whose header names rater, image, method and score: one row a vote; a row without a
      score is a vote not cast. Other columns as in sreval.statistics.votes.
    - Any other CSV is a stimulus by rater matrix, empty where no vote was cast, with or without
      a header of rater names. ``stimuli`` is a CSV with one row a stimulus that names, in
      columns dataset, image, scene and method, what was rated; without it the image is the
      row's number, from 1, and the method 'unnamed'.
    - JSON: [method][rater][image] nested lists, 0 where no vote was cast, or an object of such
      [rater][image] lists by method name.

    Raises DataError for a file that can't be read, is empty or ragged; StatisticsError for a
    score that is no integer or off the scale, each named by row; what check_votes raises.
    """
    text = _text(path)
    if path.suffix.lower() == ".json":
        return check_votes(_from_json(path, text), scale)
    header = [cell.strip() for cell in text.splitlines()[0].split(",")]
    if set(REQUIRED) & set(header):
        frame = _csv(path, header=0)
        if "score" in frame:
            cast = frame[frame["score"].notna()]
            if "method" in frame:
                _refuse_unrated(path, frame["method"], cast["method"])
            frame = cast
        return check_votes(frame, scale)
    return check_votes(_from_matrix(path, header, stimuli), scale)


def votes_from_matrix(
    matrix: Floats,
    stimuli: pd.DataFrame | None = None,
    raters: Sequence[str] | None = None,
) -> pd.DataFrame:
    """One row a vote from a stimulus by rater matrix, NaN where no vote was cast.

    ``stimuli`` has one row a stimulus; of its columns dataset, image, scene and method count.
    Raises DataError when the lengths differ or an image stands twice under one method.
    """
    n_stimuli, n_raters = matrix.shape
    if stimuli is None:
        stimuli = pd.DataFrame({"image": [str(i + 1) for i in range(n_stimuli)]})
    if len(stimuli) != n_stimuli:
        raise DataError(
            f"{len(stimuli)} stimuli are described, but the matrix has {n_stimuli} rows.",
            "The description needs one row a stimulus, in the matrix' order.",
        )
    names = raters or [f"r{i + 1:0{len(str(n_raters))}}" for i in range(n_raters)]
    described = stimuli[[c for c in _STIMULUS_COLUMNS if c in stimuli]].astype(str)
    if "method" not in described:
        described = described.assign(method="unnamed")
    stimulus, rater = np.nonzero(~np.isnan(matrix))
    _refuse_unrated("the matrix", described["method"], described["method"].iloc[stimulus])
    votes = pd.DataFrame({name: described[name].to_numpy()[stimulus] for name in described})
    votes.insert(0, "rater", np.array(names, dtype=object)[rater])
    return votes.assign(score=matrix[stimulus, rater])


def _refuse_unrated(where: Path | str, named: pd.Series, rated: pd.Series) -> None:
    """Raise DataError for methods that are named but have no vote."""
    without = sorted(set(named.dropna().astype(str)) - set(rated.dropna().astype(str)))
    if without and len(rated):
        raise DataError(
            f"In {where}, no vote was cast on {', '.join(without[:_SHOWN])}.",
            "Take the method out of the file.",
        )


def _text(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"Can't read {path}: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is no UTF-8 text.", "Save it as UTF-8.") from error
    if not text.strip():
        raise DataError(f"{path} is empty.", "One row a vote, or one row a stimulus, is expected.")
    return text


def _csv(path: Path, header: int | None) -> pd.DataFrame:
    try:
        frame: pd.DataFrame = pd.read_csv(
            path,
            header=header,
            encoding="utf-8-sig",
            dtype=dict.fromkeys(_NAMES, str),
            keep_default_na=False,  # a method may well be called "none" or "NA"
            na_values=[""],
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise DataError(f"{path} is no rectangular CSV: {error}.") from error
    if not isinstance(frame.index, pd.RangeIndex):
        raise DataError(
            f"{path} is no rectangular CSV: rows have more cells than the head.",
            "Quote names that hold commas.",
        )
    return frame


def _from_matrix(path: Path, header: list[str], stimuli: Path | None) -> pd.DataFrame:
    named = not all(_is_number(cell) for cell in header)
    frame = _csv(path, header=0 if named else None)
    cells = frame.apply(pd.to_numeric, errors="coerce")
    bad = (cells.isna() & frame.notna()).to_numpy()
    if bad.any():
        shown = ", ".join(
            f"row {row + 1}, column {column + 1}: {frame.iat[row, column]!r}"
            for row, column in np.argwhere(bad)[:_SHOWN].tolist()
        )
        raise DataError(
            f"{path} holds what is no score in {shown}.",
            "A matrix holds scores alone; name the stimuli in a file of their own.",
        )
    described = _csv(stimuli, header=0) if stimuli else None
    raters = [str(name) for name in frame.columns] if named else None
    if described is not None and "image" not in described:
        raise DataError(
            f"{stimuli} has no column 'image'; it has {', '.join(map(str, described.columns))}.",
            "Name what was rated in columns image, method, dataset, scene.",
        )
    return votes_from_matrix(cells.to_numpy(dtype=np.float64), described, raters)


def _from_json(path: Path, text: str) -> pd.DataFrame:
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"{path} is no JSON: {error}.") from error
    tables = content if isinstance(content, dict) else dict(enumerate(content, 1))
    rows = []
    for method, table in tables.items():
        try:
            matrix = np.array(table, dtype=np.float64)
        except (ValueError, TypeError) as error:
            raise DataError(
                f"{path}: method {method} is no [rater][image] table of numbers.",
                "Every rater needs one number an image, 0 where no vote was cast.",
            ) from error
        if matrix.ndim != 2:
            raise DataError(
                f"{path}: method {method} has {matrix.ndim} levels of lists.",
                "Expected [rater][image].",
            )
        votes = votes_from_matrix(np.where(matrix == NO_VOTE, np.nan, matrix).T)
        rows.append(votes.assign(method=str(method)))
    if not rows:
        raise DataError(f"{path} holds no votes.", "Expected [method][rater][image].")
    return pd.concat(rows, ignore_index=True)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return cell == ""
    return True
