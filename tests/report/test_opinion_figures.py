"""Figures of opinions: what they show, and that all can read it."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ET
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from scipy import optimize, special

from sreval.api.votes import Votes
from sreval.errors import UsageError
from sreval.opinions.arrays import Floats
from sreval.opinions.simulation import RaterModel, make_stimuli, simulate_votes
from sreval.opinions.votes import ACR, check_votes
from sreval.report.opinion_figures import KINDS, all_figures, opinion_figure, rank_shares, shades
from sreval.report.opinions import ANALYSES, Request
from sreval.report.style import figure_svg
from tests.opinions.builders import random_votes

METHODS = {"nearest": 1.5, "bicubic": 2.5, "srgan-vgg54": 3.8, "hr": 4.5}


@pytest.fixture(scope="module")
def votes() -> pd.DataFrame:
    stimuli = make_stimuli(METHODS, 12, dataset="Set14")
    return check_votes(simulate_votes(stimuli, RaterModel(), 10))


@pytest.fixture
def request_with_scores(votes: pd.DataFrame, make_frame: Callable[..., pd.DataFrame]) -> Request:
    values = {
        ("Set14", method, metric): [base + i / 10 for i in range(12)]
        for metric, bases in (("psnr", (24, 26, 25, np.inf)), ("lpips", (0.6, 0.5, 0.2, 0.0)))
        for method, base in zip(METHODS, bases, strict=True)
    }
    frame = make_frame(values)
    names = {f"img_{i:03}": f"img_{i + 1:03}" for i in range(12)}
    return Request(scores=frame.assign(image=frame["image"].map(names)))


def texts(svg_figure: object) -> list[str]:
    return [t.get_text() for t in svg_figure.findobj(Text)]  # type: ignore[attr-defined]


def test_the_metrics_figure_gives_the_intervals_of_the_table(
    votes: pd.DataFrame, request_with_scores: Request
) -> None:
    table = ANALYSES["metrics"](votes, request_with_scores)[0].frame
    figure = opinion_figure(votes, "metrics", request_with_scores)
    ranks = table[table["statistic"] == "srocc"].set_index("metric")
    wanted = {
        f"ρ = {row['estimate']:.2f} ({row['low']:.2f} to {row['high']:.2f})"
        for row in ranks.to_dict("records")
    }
    assert len(wanted) == 2
    assert {axes.get_title(loc="left") for axes in figure.axes} == wanted


def test_the_drawn_curve_is_the_four_parameter_logistic_function(
    votes: pd.DataFrame, request_with_scores: Request
) -> None:
    """Every point of the line lies on one b0 + b1 / (1 + exp(-(x - b2) / b3)), as captioned."""

    def logistic(x: Floats, *b: float) -> Floats:
        value: Floats = b[0] + b[1] * special.expit((x - b[2]) / b[3])
        return value

    for axes in opinion_figure(votes, "metrics", request_with_scores).axes:
        x, y = np.asarray(axes.get_lines()[-1].get_xydata()).T
        start = [y.min(), np.ptp(y), x.mean(), np.copysign(x.std(), y[-1] - y[0])]
        b, _ = optimize.curve_fit(logistic, x, y, p0=start, maxfev=20_000)
        assert y == pytest.approx(logistic(x, *b), abs=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_every_figure_says_n_interval_and_that_it_is_simulated(
    votes: pd.DataFrame, request_with_scores: Request, kind: str
) -> None:
    figure = opinion_figure(votes, kind, request_with_scores)
    caption = " ".join(" ".join(texts(figure)).split())
    assert "n = 480 votes, 10 raters, 12 images" in caption
    assert "interval" in caption or "p < 0.05" in caption
    assert "SIMULATED" in caption
    assert "Simulated data: no person gave these votes." in caption
    assert figure.get_figwidth() * 25.4 <= 175.001
    assert min(float(t.get_fontsize()) for t in figure.findobj(Text) if t.get_text()) >= 7
    ET.fromstring(figure_svg(figure))


def test_real_votes_are_not_marked_as_simulated() -> None:
    figure = opinion_figure(check_votes(random_votes()), "scores", Request())
    assert "simulated" not in " ".join(texts(figure)).lower()


def test_the_bars_are_the_shares_of_the_scores(votes: pd.DataFrame) -> None:
    figure = opinion_figure(votes, "scores", Request())
    widths = np.array(
        [p.get_width() for p in figure.axes[0].patches if isinstance(p, Rectangle)]
    ).reshape(5, 4)
    own = votes[votes["method"] == "bicubic"]["score"]
    assert widths[:, 1] == pytest.approx([(own == score).mean() for score in range(1, 6)])
    assert f"{own.mean():.2f}  (" in " ".join(texts(figure))


def test_the_five_shades_are_told_apart_in_grey() -> None:
    grey = [0.2126 * r + 0.7152 * g + 0.0722 * b for r, g, b, _ in shades(5)]
    assert min(np.diff(grey)) > 0.1


def test_rank_shares_agree_with_the_enumeration_of_tie_orders() -> None:
    scores = np.random.default_rng(0).integers(1, 4, (30, 3)).astype(float)
    expected = np.zeros((3, 3))
    for row in scores:
        orders = [
            order
            for order in itertools.permutations(range(3))
            if all(row[a] >= row[b] for a, b in itertools.pairwise(order))
        ]
        for order in orders:
            for rank, method in enumerate(order):
                expected[method, rank] += 1 / len(orders) / 30
    assert rank_shares(scores) == pytest.approx(expected)


def test_pairs_that_no_outcome_could_tell_apart_have_the_sign(votes: pd.DataFrame) -> None:
    """Seven raters, six pairs: 6 x 2^-6 = 0.094; eight give 0.047."""
    for raters, count in ((7, 12), (8, 0)):
        few = votes[votes["rater"].isin(sorted(votes["rater"].unique())[:raters])]
        told = texts(opinion_figure(few, "significance", Request("rater")))
        cells = [text for text in told if text.endswith("‡")]
        assert len(cells) == count
        assert any("‡ n too small" in " ".join(text.split()) for text in told) == bool(count)


def test_significance_is_marked_as_the_table_says(votes: pd.DataFrame) -> None:
    figure = opinion_figure(votes, "significance", Request())
    cells = {t.get_position(): t for t in figure.axes[0].texts}
    assert cells[0, 3].get_text().startswith("+")
    assert cells[3, 0].get_text() == cells[0, 3].get_text().replace("+", "−")
    assert cells[3, 0].get_fontweight() == "bold"
    image = np.asarray(figure.axes[0].images[0].get_array())
    assert (image[3, 0], image[0, 3]) == (1, -1)


def test_the_sos_figure_shows_every_stimulus_variance_and_the_fitted_parabola(
    votes: pd.DataFrame,
) -> None:
    axes = opinion_figure(votes, "sos", Request()).axes[0]
    *marks, line = axes.get_lines()
    shown = np.concatenate([np.asarray(mark.get_xydata()) for mark in marks])
    scores = votes.groupby(["dataset", "image", "method"])["score"]
    expected = np.array([(own.mean(), own.var(ddof=1)) for _, own in scores])
    assert sorted(shown.round(9).tolist()) == sorted(expected.round(9).tolist())
    x, y = np.asarray(line.get_xydata()).T
    middle = np.interp(3.0, x, y) / 4
    assert y == pytest.approx(middle * (5 - x) * (x - 1), abs=0.01)
    mean, variance = expected.T
    largest = (5 - mean) * (mean - 1)
    assert middle == pytest.approx((largest @ variance) / (largest @ largest), abs=0.001)


def test_figures_that_the_votes_do_not_allow_are_left_out() -> None:
    one_method = check_votes(random_votes(methods=1))
    made = list(all_figures(one_method, Request()))
    names = [name for name, figure, _ in made if figure is not None]
    assert names == ["scores-Set5", "ranks-Set5", "raters", "matrix", "sos"]
    assert {name: why for name, figure, why in made if figure is None} == {
        "significance-Set5": "Set5 has votes on one method only: a.",
        "metrics": "No benchmark results are given.",
    }


def test_refuses_an_unknown_kind(votes: pd.DataFrame) -> None:
    with pytest.raises(UsageError, match="Did you mean 'scores'"):
        Votes(votes, (), ACR).figure("score")  # type: ignore[arg-type]
