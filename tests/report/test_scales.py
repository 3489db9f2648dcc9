"""The same votes on other scales: what every analysis and figure must keep, and how the rest moves.

Scores are mapped to other scales by x -> low + width (x - 1) / 4. Means and limits of means move
with them, differences and spreads by the factor alone, all else stays. A new analysis is tested by
being there: what moves must be named in MOVES.
"""

from __future__ import annotations

import functools
import inspect
import pkgutil
from importlib import import_module

import numpy as np
import pandas as pd
import pytest
from matplotlib.patches import Rectangle
from matplotlib.text import Text

import sreval
import sreval.opinions
from sreval.opinions.power import ImageModel, Plan, power
from sreval.opinions.simulation import RaterModel
from sreval.opinions.votes import Scale
from sreval.report.choices import ANALYSES, FIGURES, AnalysisName, FigureName
from tests.opinions.builders import random_votes

COPIES = {
    "7": Scale(1, 7, 1.5),
    "9": Scale(1, 9, 2),
    "11": Scale(0, 10, 2.5),
    "slider's fifths": Scale(0, 100, 25),
}

MOVES: dict[str, tuple[set[str], set[str]]] = {
    "mos": ({"mos", "estimate", "low", "high"}, {"sd"}),
    "stimuli": ({"mos", "low", "high"}, {"sd"}),
    "compare": (
        set(),
        {
            *("difference", "low", "high", "low_adjusted", "high_adjusted", "error"),
            *("sd_rater", "sd_image", "sd_rest", "margin", "margin_low", "margin_high"),
        },
    ),
    "equivalence": (set(), {"difference", "margin", "margin_low", "margin_high"}),
    "ordinal": (set(), {"mos_difference"}),
    "screening": ({"mos_all", "mos_kept"}, {"change", "repeats change"}),
    "recovery": (
        {"mos", "low", "high", "quality", "bias_removed"},
        {
            *("bias", "inconsistency", "bias_low", "bias_high", "half_width_p910"),
            *("inconsistency_low", "inconsistency_high", "half_width", "half_width_li2020"),
        },
    ),
    "standards": ({"mos", "low", "high", "dmos"}, {"half_width"}),
    "reliability": (set(), set()),
    "retest": (set(), set()),
    "difference": (
        {"estimate", "low", "high", "mos", "crushed", "crushed_low", "crushed_high"},
        set(),
    ),
    "zmos": ({"mos"}, set()),
    "metrics": (set(), set()),
}
"""By analysis, the columns that are affine in the scores, and those that grow with the scale."""
ROWS = {"retest": ("figure", "change"), "metrics": ("statistic", "rmse")}
"""Of tables with a row a figure: the column of its name, and the figure that grows."""
VALUES = {"value", "estimate", "low", "high"}
FREE = {"mos_on_1_to_5", "log_likelihood", "nbic", "parameter", "shown"}
"""What one scale alone has, likelihoods, which depend on the unit, and scores within words."""


@functools.cache
def votes() -> pd.DataFrame:
    """Three methods and the reference, with repeats, a few missing votes and sure gold items."""
    frame = random_votes(4, methods=4, images=6, raters=7, seen=0.97)
    frame["method"] = frame["method"].replace({"d": "hr"})
    again = frame[frame["image"] < "img_002"].copy()
    again["score"] = (again["score"] + np.arange(len(again)) % 2).clip(1, 5)
    gold = frame[frame["method"] == "hr"].assign(image="gold", kind="gold")
    gold = gold.drop_duplicates("rater")
    rows = [frame.assign(kind="vote"), again.assign(kind="repeat"), gold]
    return pd.concat(rows, ignore_index=True)


def on(votes: pd.DataFrame, scale: Scale) -> sreval.Votes:
    factor = (scale.high - scale.low) / 4
    column = "mos" if "mos" in votes else "score"
    score = scale.low + factor * (votes[column] - 1)
    return sreval.read_votes(votes.assign(**{column: score}), scale=scale)


@functools.cache
def on_five(analysis: AnalysisName) -> sreval.Analysis:
    margin = 0.4 if analysis == "compare" else None
    return on(of(analysis), Scale(1, 5)).analyse(analysis, margin=margin)


def of(analysis: AnalysisName) -> pd.DataFrame:
    """What the analysis is made of: votes, or means with a metric."""
    frame = votes()
    if analysis != "metrics":
        return frame
    means = frame.groupby(["dataset", "image", "method"])["score"].mean().rename("mos")
    table = means.reset_index()
    return table.assign(psnr=20 + 3 * table["mos"] + np.arange(len(table)) % 3)


@pytest.mark.parametrize(
    ("analysis", "name"),
    [(one, name) for one in ANALYSES for name in COPIES if one != "ordinal" or name == "11"],
)
def test_an_analysis_moves_with_the_scale(analysis: AnalysisName, name: str) -> None:
    scale = COPIES[name]
    factor = (scale.high - scale.low) / 4
    margin = 0.4 * factor if analysis == "compare" else None
    copy = on(of(analysis), scale).analyse(analysis, margin=margin)
    base = on_five(analysis)
    assert len(base.sections) == len(copy.sections) > 0
    for one, other in zip(base.sections, copy.sections, strict=True):
        affine, stretched = MOVES[one.analysis]
        for column in set(one.frame) - FREE:
            expected, found = one.frame[column], other.frame[column]
            if not pd.api.types.is_numeric_dtype(expected):
                assert found.tolist() == [
                    cell.replace("one point", f"{factor:g} points") if factor != 1 else cell
                    for cell in expected
                ], column
                continue
            expected = expected.astype(float)
            if one.analysis in ROWS:
                named, figure = ROWS[one.analysis]
                moves = one.frame[named].str.startswith(figure) & (column in VALUES)
                expected = expected.where(~moves, factor * expected)
            if column in stretched:
                expected = factor * expected
            elif column in affine:
                expected = scale.low + factor * (expected - 1)
            close = pytest.approx(expected.to_numpy(), rel=2e-5, abs=2e-5 * factor, nan_ok=True)
            assert found.to_numpy(dtype=float) == close, (one.analysis, column)


@pytest.mark.parametrize("analysis", ["compare", "recovery", "reliability", "retest", "ordinal"])
def test_categories_that_nobody_uses_change_nothing(analysis: AnalysisName) -> None:
    """But for SOS, which holds the variance against the room that the scale has."""
    limited = {"low", "high", "low_adjusted", "high_adjusted", "margin_low", "margin_high"}
    more = sreval.read_votes(of(analysis), scale="1..9")
    margin = 0.4 if analysis == "compare" else None
    base = on_five(analysis)
    copy = more.analyse(analysis, margin=margin)
    for one, other in zip(base.sections, copy.sections, strict=True):
        same = [name for name in one.frame if name not in limited]
        rows, others = one.frame[same], other.frame[same]
        if analysis == "reliability":
            rows, others = (frame[frame["figure"] != SOS] for frame in (rows, others))
        pd.testing.assert_frame_equal(rows, others)


SOS = "SOS coefficient a"


def test_the_power_of_a_stretched_difference_is_the_same() -> None:
    plan = Plan(unit="both", screening=("bt500", "straight-lining"))
    found = set()
    for scale in (Scale(1, 5), Scale(0, 10, 2.5)):
        factor = (scale.high - scale.low) / 4
        model, images = RaterModel(straight_liner_rate=0.1).on(scale), ImageModel().on(scale)
        made = power(
            *(0.5 * factor, 8, 8, plan), model=model, images_like=images, studies=20, seed=1
        )
        found.add(made.power)
    assert len(found) == 1
    assert 0 < found.pop() < 1


def test_two_panels_agree_as_they_do_on_another_scale() -> None:
    scale = Scale(0, 10, 2.5)
    first = votes().query("kind == 'vote'")
    second = first.assign(score=(first["score"] + np.arange(len(first)) % 3 - 1).clip(1, 5))
    one, other = (
        sreval.compare_studies(on(first, to), on(second, to)) for to in (Scale(1, 5), scale)
    )
    for title, frame in one.frames.items():
        assert list(other.frames[title]) == list(frame)
    first_order, order = (made.frames["Order of the methods"] for made in (one, other))
    pd.testing.assert_frame_equal(first_order, order, rtol=1e-6)


@pytest.mark.parametrize("kind", FIGURES)
def test_a_figure_shows_the_same_on_another_scale(kind: FigureName) -> None:
    scale = COPIES["slider's fifths"]
    analysis: AnalysisName = "metrics" if kind == "metrics" else "mos"
    one, other = (on(of(analysis), to).figure(kind) for to in (Scale(1, 5), scale))
    lengths = [
        [
            bar.get_width()
            for axes in figure.axes
            for bar in axes.patches
            if isinstance(bar, Rectangle)
        ]
        for figure in (one, other)
    ]
    assert lengths[0] == pytest.approx(lengths[1])
    written = " ".join(text.get_text() for text in other.findobj(Text))
    assert "excellent" not in written
    if kind == "scores":
        assert "bands" not in written
        ends = [f"{scale.low:g} (worst)", f"{scale.high:g} (best)"]
        assert all(end in written.replace("\n", " ") for end in ends)


def test_whoever_takes_a_scale_is_held_to_it_here() -> None:
    """A new function with a scale goes into an analysis above, or gets a test of its own."""
    found = set()
    for module in pkgutil.iter_modules(sreval.opinions.__path__):
        made = import_module(f"sreval.opinions.{module.name}")
        for name, thing in inspect.getmembers(made, inspect.isfunction):
            own = thing.__module__ == made.__name__ and not name.startswith("_")
            if own and "scale" in inspect.signature(thing).parameters:
                found.add(name)
    assert found == {
        *("mos_interval", "warning_of", "mos_table", "binomial_sos", "stimulus_mos"),
        *("student_limits", "score_limits", "crush", "difference_scores", "compare_methods"),
        *("check_margin", "crossed_test", "category", "least_error", "on_scale"),
        *("limits_on_scale", "ordinal_model", "recovered_differences", "default_rules"),
        *("recover", "recover_parts"),
        *("with_and_without", "retest", "heaping", "check_votes", "coded_votes", "read_ratings"),
    }
