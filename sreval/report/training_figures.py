"""The course of training runs, from the CSV files that they leave."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sreval.errors import DataError
from sreval.report.style import PAGE_MM, look, new_figure

LOSSES, VALIDATION = "losses.csv", "validation.csv"
NOT_DRAWN = ("step", "rate", "learning_rate")
LABELS = {"psnr": "PSNR (dB)", "ssim": "SSIM", "lpips": "LPIPS", "mse": "MSE on [-1, 1]"}


def training_figure(folders: Sequence[Path]) -> Figure:
    """Every loss term and validation score over the updates, a panel each.

    One folder is drawn as a line. Several, runs of one recipe from different seeds, are drawn as
    their mean with one standard deviation (n - 1) either side, at the updates they share.
    Raises DataError for a folder that holds no training run, or when they share no update.
    """
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
    figure.suptitle(
        folders[0].name if count == 1 else f"{count} runs, mean and one standard deviation",
        fontsize=8,
        x=0.01,
        ha="left",
    )
    return figure


def _read(folder: Path, name: str) -> pd.DataFrame:
    path = folder / name
    try:
        frame = pd.read_csv(path)
    except FileNotFoundError:
        raise DataError(
            f"{folder} holds no {name}.", "Name the folder that `sreval train --out` wrote."
        ) from None
    except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is damaged ({error}).", "Name another run.") from None
    if "step" not in frame or frame.empty:
        raise DataError(f"{path} says nothing of any update.", "Let the run go on for a while.")
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
    table = runs.pivot(index="step", columns="run", values=name).dropna()
    mean = table.mean(axis=1)
    few = len(table) <= 30
    style = {**look(0), "markersize": 3, "linewidth": 0.9}
    axes.plot(table.index, mean, **(style if few else {**style, "marker": ""}))
    if table.shape[1] > 1:
        spread = table.std(axis=1)
        axes.fill_between(table.index, mean - spread, mean + spread, color="0.75", linewidth=0)
    if name not in LABELS or name == "mse":
        positive = bool((table > 0).all(axis=None))
        axes.set_yscale("log" if positive and not name.startswith("d_") else "linear")
    axes.set_ylabel(LABELS.get(name, name))
