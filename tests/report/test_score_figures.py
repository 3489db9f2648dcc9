"""Figures of scores: the table's means, in order, and names that can be read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text
from matplotlib.transforms import Bbox

from sreval.errors import UsageError
from sreval.metrics.metric import Metric, declare
from sreval.report.collect import collect, select
from sreval.report.costs import Sizes
from sreval.report.score_figures import scores_figure, tradeoff_figure
from sreval.report.scores import score_table
from tests.report.figure_texts import check_texts

Make = Callable[..., pd.DataFrame]

ODD = ("nearest", "$x$ and $y$", "αβγ", "a" * 90, "a" * 89 + "b", "two\nlines", "SwinIR_x4-large")


def many(make_frame: Make, count: int, spread: float = 1.0) -> pd.DataFrame:
    """Scores of so many methods, HR too, on 12 images."""
    random = np.random.default_rng(count)
    methods = [*ODD, *(f"method-{n}" for n in range(100))][:count]
    values = {}
    for method in methods:
        quality = random.normal(0, spread)
        values["set", method, "psnr"] = list(28 + quality + random.normal(0, 2, 12))
        values["set", method, "lpips"] = list(0.4 - 0.05 * quality + random.normal(0, 0.05, 12))
    values["set", "hr", "psnr"] = [np.inf] * 12
    values["set", "hr", "lpips"] = [0.0] * 12
    return make_frame(values)


def rows_of(figure: Figure) -> list[str]:
    figure.draw_without_rendering()
    return [label.get_text() for label in figure.axes[0].get_yticklabels()]


@pytest.mark.parametrize("width", ["page", "column"])
@pytest.mark.parametrize("count", [1, 5, 39])
def test_names_of_any_number_of_methods_keep_apart(
    make_frame: Make, count: int, width: str
) -> None:
    frame = many(make_frame, count)
    figure = scores_figure(frame, width=width)
    check_texts(figure)
    names = rows_of(figure)
    assert len(set(names)) == count
    assert figure.get_size_inches()[1] * 25.4 < 260


@pytest.mark.parametrize("width", ["page", "column"])
@pytest.mark.parametrize(("count", "spread"), [(1, 1), (2, 0), (10, 2), (25, 0), (39, 0.3)])
def test_points_are_named_without_overlap(
    make_frame: Make, count: int, spread: float, width: str
) -> None:
    figure = tradeoff_figure(many(make_frame, count, spread), width=width)
    check_texts(figure)
    (axes,) = figure.axes
    boxes = [text.get_window_extent() for text in axes.texts]
    assert len(boxes) == count
    points = axes.transData.transform(np.asarray(axes.lines[0].get_xydata()))
    assert not any(box.contains(*point) for box in boxes for point in points)
    check_nearest(figure, {})


@pytest.mark.parametrize(
    ("count", "powers", "width"),
    [(2, 0, "page"), (10, 1, "column"), (25, 1, "column"), (25, 4, "page")],
)
def test_markers_of_any_size_are_named_without_overlap(
    make_frame: Make, count: int, powers: int, width: str
) -> None:
    frame = many(make_frame, count, 0.5)
    random = np.random.default_rng(count)
    methods = [name for name in frame["method"].unique() if name != "hr"]
    costs = {name: 10 ** random.uniform(5, 5 + powers) for name in methods[: count - 1]}
    figure = tradeoff_figure(frame, width=width, sizes=Sizes("parameters", costs))
    check_texts(figure)
    (axes,) = figure.axes
    boxes = {text.get_text(): Text.get_window_extent(text) for text in axes.texts}
    (bubbles,) = (one for one in axes.collections if len(np.asarray(one.get_offsets())))
    assert isinstance(bubbles, PathCollection)
    places = axes.transData.transform(np.asarray(bubbles.get_offsets()))
    radii = np.sqrt(bubbles.get_sizes()) / 2 * figure.dpi / 72
    assert len(places) == count - 1
    led = [text for text in axes.texts if isinstance(text, Annotation) and text.arrow_patch]
    assert all(text.arrow_patch.zorder > bubbles.zorder for text in led if text.arrow_patch)
    (dots,) = (line for line in axes.lines if line.get_marker() == ".")
    ends = {tuple(point) for point in np.asarray(dots.get_xydata())}
    lines = [np.asarray(line.get_xydata())[0] for line in axes.lines if line.get_linewidth() == 0.5]
    named = {tuple(np.round(end, 9)) for end in [*lines, *(text.xy for text in led)]}
    assert {tuple(np.round(end, 9)) for end in ends} <= named
    assert dots.zorder > bubbles.zorder
    for (x, y), radius in zip(places, radii, strict=True):
        square = Bbox.from_extents(x - radius, y - radius, x + radius, y + radius).padded(-1)
        assert not square.count_overlaps(list(boxes.values()))
        assert np.all(axes.bbox.min <= square.min)
        assert np.all(square.max <= axes.bbox.max)
    hollow = [line for line in axes.lines if line.get_marker() == "o"]
    assert len(np.asarray(hollow[0].get_xdata())) == 1
    assert "Hollow markers: no cost, or none known" in " ".join(figure.get_supxlabel().split())
    few = tradeoff_figure(frame, width=width, sizes=Sizes("parameters", {methods[0]: 1.0}))
    assert (f"and {count - 6} more)." in " ".join(few.get_supxlabel().split())) == (count > 6)


def check_nearest(figure: Figure, radii: dict[str, float]) -> None:
    """No name without a line is nearer to another's marker; radii in mm, by name."""
    figure.draw_without_rendering()
    (axes,) = figure.axes
    named = [text for text in axes.texts if isinstance(text, Annotation)]
    boxes = [Text.get_window_extent(text) for text in named]
    places = axes.transData.transform([text.xy for text in named])
    pixels = np.array([radii.get(text.get_text(), _LEAST_MM / 2) for text in named])
    pixels *= figure.dpi / 25.4
    lines = [line for line in axes.lines if line.get_linewidth() == 0.5]
    ends = [axes.transData.transform(np.asarray(line.get_xydata()))[-1:] for line in lines]
    led = {int(np.argmin([_distances(end, box)[0] for box in boxes])) for end in ends}
    for index, text in enumerate(named):
        if index not in led and not text.arrow_patch:
            gaps = _distances(places, boxes[index]) - pixels
            assert int(np.argmin(gaps)) == index, text.get_text()


def _distances(points: Any, box: Bbox) -> Any:
    """How far each of the points is from the box."""
    return np.hypot(*(points - np.clip(points, box.min, box.max)).T)


_LEAST_MM = 4 * 25.4 / 72
"""The diameter of a marker without a size."""


@pytest.mark.parametrize("width", ["page", "column"])
@pytest.mark.parametrize("count", [10, 25])
def test_a_name_that_is_nearer_to_another_marker_has_a_line(
    make_frame: Make, count: int, width: str
) -> None:
    random = np.random.default_rng(count)
    values = {}
    for n, quality in enumerate(random.uniform(0, 1, count)):
        values["set", f"method{n}", "psnr"] = [22 + 6 * quality]
        values["set", f"method{n}", "ssim"] = [0.4 + 0.4 * quality + random.normal(0, 0.01)]
    costs = {f"method{n}": 10 ** random.uniform(-2, 0.5) for n in range(count - 1)}
    figure = tradeoff_figure(
        make_frame(values), y="ssim", width=width, sizes=Sizes("seconds", costs)
    )
    (axes,) = figure.axes
    (bubbles,) = (one for one in axes.collections if len(np.asarray(one.get_offsets())))
    assert isinstance(bubbles, PathCollection)
    down = sorted(costs, key=lambda name: -costs[name])
    radii = np.sqrt(bubbles.get_sizes()) / 2 * 25.4 / 72
    check_nearest(figure, dict(zip(down, radii, strict=True)))


def areas_of(figure: Figure) -> tuple[list[float], dict[str, float]]:
    """The areas of the markers, the largest first, and those of the legend."""
    (axes,) = figure.axes
    legend = axes.get_legend()
    assert legend is not None
    bubbles = [one for one in axes.collections if isinstance(one, PathCollection)]
    (drawn,) = (one.get_sizes() for one in bubbles if len(np.asarray(one.get_offsets())))
    shown = [float(one.get_sizes()[0]) for one in legend.legend_handles]  # type: ignore[union-attr]
    return list(drawn), dict(
        zip([text.get_text() for text in legend.get_texts()], shown, strict=True)
    )


def test_the_area_is_proportional_to_the_cost_or_to_its_power_of_ten(make_frame: Make) -> None:
    frame = make_frame(
        {("s", m, k): [v] for k in ("psnr", "lpips") for m, v in {"a": 1, "b": 4, "c": 2}.items()}
    )
    figure = tradeoff_figure(frame, sizes=Sizes("multiply-adds", {"a": 2e9, "b": 4e9, "c": 5e10}))
    drawn, legend = areas_of(figure)
    assert drawn == pytest.approx([drawn[0], drawn[0] * 4 / 50, drawn[0] * 2 / 50])
    assert list(legend) == ["2 G", "10 G", "50 G"]
    assert legend["10 G"] == pytest.approx(drawn[0] / 5)
    assert "power of ten" not in figure.get_supxlabel()
    figure = tradeoff_figure(frame, sizes=Sizes("seconds", {"a": 1e-3, "b": 1.0, "c": 0.1}))
    drawn, legend = areas_of(figure)
    assert drawn[0] - drawn[1] == pytest.approx((drawn[1] - drawn[2]) / 2)
    assert legend["1 s"] == pytest.approx(drawn[0])
    assert legend["0.001 s"] == pytest.approx(drawn[2])
    assert "same step with each power of ten" in " ".join(figure.get_supxlabel().split())
    alone = tradeoff_figure(frame, sizes=Sizes("memory", {"b": 300e6}))
    assert list(areas_of(alone)[1]) == ["300 MB"]
    slow = tradeoff_figure(frame, sizes=Sizes("seconds", {"a": 1000.0, "b": 2000.0}))
    assert list(areas_of(slow)[1]) == ["1,000 s", "2,000 s"]


def test_the_means_and_intervals_are_the_tables_best_first(demo_run: Path) -> None:
    frame = select(collect([demo_run]), None, None)
    table = score_table(frame).frame
    for metric, sign in (("ssim", -1), ("psnr", -1)):
        axes = scores_figure(frame, "demo", metric).axes[0]
        own = table[(table["metric"] == metric) & np.isfinite(table["mean"])]
        expected = own.set_index("method")["mean"].sort_values(key=lambda v: sign * v)
        drawn = [line for line in axes.lines if line.get_marker() == "D"]
        assert [float(np.asarray(line.get_xdata())[0]) for line in drawn] == pytest.approx(
            list(expected)
        )
        labels = [label.get_text() for label in axes.get_yticklabels()]
        assert labels == [{"hr": "HR"}.get(method, method) for method in expected.index]
        values = frame[(frame["metric"] == metric) & (frame["method"] == "bicubic")]["value"]
        place = labels.index("bicubic")
        points = [line for line in axes.lines if line.get_marker() == "o"][place]
        assert sorted(np.asarray(points.get_xdata()).tolist()) == sorted(values)
        reach = [line for line in axes.lines if line.get_linestyle() == "-"]
        ends = [
            np.asarray(line.get_xdata())
            for line in reach
            if np.asarray(line.get_ydata())[0] == place
        ]
        expected_ends = scipy.stats.t.interval(
            0.95, len(values) - 1, values.mean(), scipy.stats.sem(values)
        )
        assert ends[0] == pytest.approx(np.array(expected_ends))


def test_lower_is_better_is_drawn_and_said_so(make_frame: Make) -> None:
    frame = make_frame(
        {("s", m, "lpips"): [v, v + 0.1, v + 0.3] for m, v in (("worse", 0.5), ("best", 0.1))}
    )
    figure = scores_figure(frame, metric="lpips")
    assert rows_of(figure) == ["best", "worse"]
    assert figure.axes[0].get_xlabel() == "← better, LPIPS"
    unknown = frame.assign(metric="mine")
    assert scores_figure(unknown, metric="mine").axes[0].get_xlabel() == "mine"


def test_points_of_the_tradeoff_are_means_over_common_images(make_frame: Make) -> None:
    nan = np.nan
    frame = make_frame(
        {
            ("s", "a", "psnr"): [20.0, 22.0, 30.0],
            ("s", "a", "lpips"): [0.5, 0.3, 0.9],
            ("s", "b", "psnr"): [21.0, 25.0, np.inf],
            ("s", "b", "lpips"): [0.1, 0.2, nan],
        }
    )
    figure = tradeoff_figure(frame)
    points = np.asarray(figure.axes[0].lines[0].get_xydata())
    assert points == pytest.approx(np.array([[21.0, 0.4], [23.0, 0.15]]))
    assert figure.axes[0].get_xlabel() == "PSNR (dB), better →"
    assert figure.axes[0].get_ylabel() == "← better, LPIPS"
    caption = " ".join(figure.get_supxlabel().split())
    assert "means over 2 images" in caption
    assert "left out" in caption


@pytest.mark.usefixtures("_of_set")
def test_a_metric_of_whole_sets_is_drawn_by_its_value(make_frame: Make) -> None:
    frame = make_frame({("s", "a", "psnr"): [20.0, 22.0], ("s", "b", "psnr"): [21.0, 25.0]})
    of_set = frame.drop_duplicates("method").assign(image="", metric="spread", value=[7.0, 9.0])
    both = pd.concat([frame, of_set], ignore_index=True)
    figure = tradeoff_figure(both, y="spread")
    points = np.asarray(figure.axes[0].lines[0].get_xydata())
    assert points.tolist() == [[21.0, 7.0], [23.0, 9.0]]
    caption = " ".join(figure.get_supxlabel().split())
    assert "means over 2 images; spread of all images together." in caption
    alone = pd.concat([of_set, of_set.assign(metric="fid", value=[1.0, np.inf])])
    figure = tradeoff_figure(alone, x="fid", y="spread")
    assert np.asarray(figure.axes[0].lines[0].get_xydata()).tolist() == [[1.0, 7.0]]
    assert "b isn't drawn: its FID is infinite." in " ".join(figure.get_supxlabel().split())


@pytest.fixture
def _of_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """A metric of whole data sets that a user's own function computes."""
    monkeypatch.setattr("sreval.metrics.metric._declared", {})
    declare(Metric("spread", "spread", 4, per="set"))


def test_the_command_takes_scores_made_elsewhere(
    demo_run: Path, tmp_path: Path, sreval: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sreval.metrics.metric._declared", {})
    frame = pd.read_csv(demo_run / "results.csv").drop_duplicates(["dataset", "method", "image"])
    file = tmp_path / "scores.csv"
    chosen = frame[frame["method"] != "hr"][["dataset", "method", "image"]]
    chosen.assign(metric="niqe", value=range(len(chosen))).to_csv(file, index=False)
    given = ("--scores", file, "--lower-is-better", "niqe", "--out", tmp_path / "t.svg")
    for kind, axes in (("scores", ("--metric", "niqe")), ("tradeoff", ("--y", "niqe"))):
        drawn = sreval("figure", kind, demo_run, *axes, *given)
        assert drawn.code == 0, drawn.err
        assert "niqe: computed elsewhere, scores.csv" in drawn.err
    refused = sreval("table", demo_run, "--scores", file, "--lower-is-better", "NIQE")
    assert "Did you mean 'niqe'" in refused.err
    refused = sreval("figure", "scores", demo_run, *given[2:])
    assert (refused.code, "Add --scores FILE" in refused.err) == (2, True)


def test_shortened_names_are_given_in_full(make_frame: Make) -> None:
    figure = scores_figure(many(make_frame, 7), width="column")
    caption = figure.get_supxlabel().replace("\n", "")
    assert "a" * 90 in caption
    assert "a" * 89 + "b" in caption
    assert "HR isn't drawn: its PSNR is infinite." in " ".join(figure.get_supxlabel().split())


def test_refusals_name_a_remedy(make_frame: Make) -> None:
    frame = many(make_frame, 60)
    for draw in (scores_figure, tradeoff_figure):
        with pytest.raises(UsageError, match=r"61 methods can't.*at most 40 with methods="):
            draw(frame)
        draw(frame, methods=["nearest", "method-3"])
        with pytest.raises(UsageError, match="These results have no method"):
            draw(frame, methods=["nearst"])
        with pytest.raises(UsageError, match="These results have no data set"):
            draw(frame, "sett")
        with pytest.raises(UsageError, match="Unknown width"):
            draw(frame, width="wide")
        two = pd.concat([frame, frame.assign(dataset="other")])
        with pytest.raises(UsageError, match="set and other"):
            draw(two)
    with pytest.raises(UsageError, match="These results have no metric 'pnsr'"):
        scores_figure(frame, metric="pnsr")
    with pytest.raises(UsageError, match="Both axes would be PSNR"):
        tradeoff_figure(frame, y="psnr")


def test_the_command_draws_the_tradeoff(
    demo_run: Path, tmp_path: Path, sreval: Callable[..., Any]
) -> None:
    out = tmp_path / "t.svg"
    drawn = sreval("figure", "tradeoff", demo_run, "--x", "ssim", "--y", "psnr", "--out", out)
    assert drawn.code == 0, drawn.err
    assert "HR isn't drawn: its PSNR is infinite." in drawn.err
    assert ">bicubic<" in out.read_text(encoding="utf-8")
    refused = sreval("figure", "tradeoff", demo_run, "--x", "lpips", "--out", tmp_path / "u.svg")
    assert refused.code == 2
