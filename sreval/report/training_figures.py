"""The course of training: every loss term and validation score over the updates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from sreval.errors import DataError
from sreval.metrics.metric import METRICS
from sreval.opinions.intervals import LEAST_UNITS, student_mean, student_quantile
from sreval.reading import read_json
from sreval.report.style import PAGE_MM, SMALL, describe, house_style, look, new_figure
from sreval.report.values import name_and_unit
from sreval.training.recipe import Recipe, first_difference

LOSSES, VALIDATION, FACTS = "losses.csv", "validation.csv", "run.json"
NOT_DRAWN = ("step", "rate", "learning_rate", "seconds", "waited")
CHECKS = {
    "grid_peak": "grid peak",
    "flat_pattern": "pattern on flat\ncolours (levels)",
    "flat_offset": "offset of flat\ncolours (levels)",
}
"""What a validation measures of artefacts. None is below 0 and most are near it."""
LABELS = {
    **{metric: name_and_unit(metric) for metric in METRICS},
    "mse": "MSE on [-1, 1]",
    **CHECKS,
}


def _require_one_recipe(folders: Sequence[Path]) -> None:
    """Raises DataError unless the runs are of one recipe, but for its seed, and of the same data.

    One run alone is never refused.
    """
    if len(folders) < 2:
        return
    first = _identity(folders[0])
    for folder in folders[1:]:
        difference = first_difference(first, _identity(folder))
        if difference:
            raise DataError(
                f"{folders[0]} and {folder} are not runs of one recipe on the same data: "
                f"{difference}.",
                "Draw each by itself.",
            )


@house_style()
def training_figure(folders: Sequence[Path]) -> Figure:
    """Every loss term and validation score over the updates, a panel each.

    One folder is drawn as a line. Several, runs of one recipe from different seeds, are drawn as
    faint lines with their mean and its 95% interval by Student's t, seeds being the unit, at the
    updates they share; of fewer than LEAST_UNITS runs there is no interval, nor of what is no loss
    and no metric. An axis leaves out values of the first tenth of the updates that would press the
    others together, and of an interval what is more than the lines' range away from them. The
    panel then says so.
    Raises DataError for a folder that holds no training run, for runs of several recipes, and
    when they share no update.
    """
    _require_one_recipe(folders)
    losses = _together(folders, LOSSES)
    scores = _together(folders, VALIDATION)
    panels = [(name, losses) for name in _terms(losses)]
    panels += [(name, scores) for name in _terms(scores)]
    lines = -(-len(panels) // 2)
    figure = new_figure(PAGE_MM, 45 * lines + 8)
    grid = figure.subplots(lines, 2, squeeze=False, sharex=True)
    for place in grid.flat[len(panels) :]:
        place.axis("off")
    for index, (place, (name, runs)) in enumerate(zip(grid.flat, panels, strict=False)):
        _draw(place, runs, name)
        if index >= len(panels) - 2:
            place.set_xlabel("updates")
            place.tick_params(labelbottom=True)
    count = len(folders)
    title = folders[0].name if count == 1 else f"{count} runs, {_shown(count)}"
    figure.suptitle(title, fontsize=8, x=0.01, ha="left")
    return describe(figure, f"Training over the updates: {title}")


def _shown(count: int) -> str:
    if count < LEAST_UNITS:
        return "faint, and their mean; of two there is no interval"
    return "faint, their mean, and its 95% interval over runs by Student's t"


def training_scores(folders: Sequence[Path]) -> pd.DataFrame:
    """The last and the best validation scores of runs that differ in their seed.

    A row for each metric and `of` (`last` or `best`): `run` is the folder, `seed` its seed, `step`
    the update and `value` the score; then a row whose `run` is `mean`, with `low` and `high` of
    its 95% interval by Student's t over `n` runs, cut at the metric's limits, NaN of fewer than
    LEAST_UNITS. The best of a run is chosen after the first update by the scores it is told by.
    What isn't a metric, such as `grid_peak`, has a last value and a mean alone: it is a check
    that no update is chosen by, and its values are far from a normal distribution. Raises what
    `training_figure` raises.
    """
    _require_one_recipe(folders)
    frames = [_read(folder, VALIDATION) for folder in folders]
    rows: list[dict[str, Any]] = []
    for name in _terms(frames[0]):
        for which in ("last", "best") if name in METRICS else ("last",):
            found = []
            for folder, frame in zip(folders, frames, strict=True):
                column = frame.set_index("step")[name].dropna()
                step = column.index[-1] if len(column) else None
                if which == "best" and len(later := column[column.index > 0]):
                    step = later.idxmax() if METRICS[name].higher_is_better else later.idxmin()
                value = float(column.loc[step]) if step is not None else math.nan
                found.append(value)
                told = {"metric": name, "of": which, "run": str(folder), "seed": _seed(folder)}
                rows.append({**told, "step": step, "value": value})
            told = {"metric": name, "of": which, "run": "mean"}
            of_all: dict[str, float] = {"n": len(found)}
            if all(map(math.isfinite, found)):
                mean = student_mean(found, unit="run")
                of_all["value"] = mean.estimate
                if name not in CHECKS:
                    of_all["low"], of_all["high"] = _within(name, mean.low, mean.high)
            rows.append(told | of_all)
    columns = ["metric", "of", "run", "seed", "step", "value", "n", "low", "high"]
    numbers = {"seed": "Int64", "step": "Int64", "n": "Int64"}
    return pd.DataFrame(rows, columns=columns).astype(numbers)


def _seed(folder: Path) -> int | None:
    """The seed of a run, None where its recipe can't be told."""
    try:
        seed: int = Recipe.model_validate(read_json(folder / FACTS)["recipe"]).optimisation.seed
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return seed


def _identity(folder: Path) -> dict[str, Any]:
    """What seeds of one recipe have in common."""
    path = folder / FACTS
    try:
        facts = read_json(path)
        recipe = Recipe.model_validate(facts["recipe"])
        identity = recipe.identity()
        identity["optimisation"].pop("seed", None)
        scored = recipe.run.model_dump(mode="json", include={"dataset", "protocol", "metrics"})
        return identity | {"run": scored, "data_sha256": facts["data_sha256"]}
    except OSError as error:
        why = error.strerror
    except (ValueError, KeyError, TypeError, AttributeError):
        why = "it is damaged"
    raise DataError(
        f"Can't tell the recipe of {folder} from {path}: {why}.",
        "Draw it by itself, or name the folder of another training run.",
    )


def _read(folder: Path, name: str) -> pd.DataFrame:
    path = folder / name
    try:
        frame = pd.read_csv(path)
    except FileNotFoundError:
        raise DataError(
            f"{folder} holds no {name}.", "Name the folder of a training run."
        ) from None
    except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is damaged ({error}).", "Name another run.") from None
    if "step" not in frame or frame.empty:
        raise DataError(f"{path} has no updates yet.", "Let the run go on for a while.")
    return frame


def _together(folders: Sequence[Path], name: str) -> pd.DataFrame:
    frames = [_read(folder, name) for folder in folders]
    if not set.intersection(*(set(frame["step"]) for frame in frames)):
        raise DataError(
            f"The runs {', '.join(map(str, folders))} share no update in {name}.",
            "Draw runs that were logged at the same updates, or each by itself.",
        )
    return pd.concat([frame.assign(run=run) for run, frame in enumerate(frames)])


def _terms(runs: pd.DataFrame) -> list[str]:
    return [str(name) for name in runs.columns if name not in (*NOT_DRAWN, "run")]


def _draw(axes: Axes, runs: pd.DataFrame, name: str) -> None:
    axes.set_ylabel(LABELS.get(name, name))
    table = runs.pivot(index="step", columns="run", values=name).dropna()
    if table.empty:
        return
    mean, count, alone = table.mean(axis=1), table.shape[1], len(table) == 1
    style = {**look(0), "markersize": 3, "linewidth": 0.9}
    axes.plot(
        table.index, mean, zorder=3, **(style if len(table) <= 30 else {**style, "marker": ""})
    )
    if count > 1:
        axes.plot(table.index, table, color="0.6", linewidth=0.5, marker="_" if alone else "")
    is_loss = name not in METRICS and name not in CHECKS
    if is_loss and not name.startswith("d_") and bool((table > 0).all(axis=None)):
        axes.set_yscale("log")
    band = None
    if count >= LEAST_UNITS and name not in CHECKS:
        half = student_quantile(count - 1, 0.95) * table.std(axis=1) / math.sqrt(count)
        low, high = _within(name, mean - half, mean + half)
        band = pd.DataFrame({"low": low, "high": high})
    _limit(axes, table, band)
    if band is None:
        return
    low = band["low"].clip(lower=axes.get_ylim()[0])  # a log axis has no place for 0
    if alone:
        axes.vlines(table.index, low, band["high"], color=style["color"], linewidth=0.9)
    else:
        axes.fill_between(table.index, low, band["high"], color="0.88", linewidth=0)


_PRESSED = 4.0
"""A range this many times that of the values after the first tenth presses them together."""


def _limit(axes: Axes, table: pd.DataFrame, band: pd.DataFrame | None) -> None:
    """Limit the vertical axis to what `training_figure` says, and write over it what is cut."""
    logarithmic = axes.get_yscale() == "log"
    scaled = _logarithms if logarithmic else np.asarray
    shown, shown_band, cut = scaled(table), None if band is None else scaled(band), []
    if not logarithmic and 0 < np.ptp(_later(table)) < np.ptp(shown) / _PRESSED:
        shown, shown_band = _later(table), None if band is None else _later(band)
        cut.append("first values outside")
    low, high = shown.min(), shown.max()
    if shown_band is not None:
        room = high - low if len(table) > 1 else math.inf
        least, most = shown_band.min(), shown_band.max()
        if least < low - room or most > high + room or math.isinf(least):
            cut.append("interval cut")
        if math.isfinite(least):
            low = max(min(low, least), low - room)
        high = min(max(high, most), high + room)
    if 0 < high - low < math.inf:
        ends = np.array([low, high]) + np.array([-0.05, 0.05]) * (high - low)
        axes.set_ylim(*(10**ends if logarithmic else ends))
    if logarithmic:
        _label_plainly(axes.yaxis, *axes.get_ylim())
    axes.set_title(", ".join(cut), loc="right", fontsize=SMALL, pad=2)


def _later(table: pd.DataFrame) -> npt.NDArray[np.float64]:
    """The values of each column after the first tenth of the updates, and its line's there."""
    steps = table.index.to_numpy(dtype=float)
    tenth = steps[0] + 0.1 * (steps[-1] - steps[0])
    there = [np.interp(tenth, steps, table[column]) for column in table]
    return np.vstack([there, table[steps > tenth].to_numpy(dtype=float)])


def _logarithms(table: pd.DataFrame) -> npt.NDArray[np.float64]:
    values = table.to_numpy(dtype=float)
    logarithms = np.full_like(values, -math.inf)
    np.log10(values, out=logarithms, where=values > 0)
    return logarithms


def _within(name: str, *ends: Any) -> list[Any]:
    """The ends of an interval, cut at the limits of the metric of that name."""
    if name not in METRICS:
        return list(ends)
    return [np.clip(end, METRICS[name].low, METRICS[name].high) for end in ends]


def _label_plainly(axis: Axis, low: float, high: float) -> None:
    """Labels like 0.05 on a log axis, as many as it takes to read it from low to high."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())
    if high < 5 * low:  # perhaps without a power of ten
        axis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        axis.set_minor_locator(NullLocator())
    elif high < 100 * low:  # perhaps with one alone
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
