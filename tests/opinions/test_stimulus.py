from typing import Any

import numpy as np
import pytest
from scipy import optimize, stats

from sreval.errors import UsageError
from sreval.opinions.arrays import Floats
from sreval.opinions.simulation import RaterModel, draw_raters, draw_scores, expected_score
from sreval.opinions.stimulus import score_limits, stimulus_mos, student_limits
from sreval.opinions.votes import check_votes
from tests.opinions.builders import random_votes, votes_table


def test_stimulus_mos_reaches_the_expected_figures(nflx: Floats, expected: Any) -> None:
    table = stimulus_mos(check_votes(votes_table(nflx[None])), interval="student")
    published = expected["nflx_public"]["reliability_and_strict_bt500"]
    assert table["mos"].to_list() == pytest.approx(published["mos"], rel=1e-6)
    assert table["sd"].to_list() == pytest.approx(published["sd_ddof1"], rel=1e-6)
    assert table["n"].to_list() == published["n"]
    half = (table["high"] - table["low"]).to_numpy() / 2
    assert half == pytest.approx(published["ci95_half_student_t"], rel=1e-6, abs=1e-12)


def test_the_score_limits_are_where_the_votes_just_do_not_contradict() -> None:
    table = stimulus_mos(check_votes(random_votes(images=12)))
    largest = (5 - table["mos"]) * (table["mos"] - 1)
    common = (largest * table["sd"] ** 2).sum() / (largest**2).sum()
    own = table["sd"] ** 2 / largest

    def excess(m: float, mos: float, factor: float) -> float:
        return (mos - m) ** 2 - factor * (5 - m) * (m - 1)

    factors = stats.t.ppf(0.975, table["n"] - 1) ** 2 * np.maximum(common, own) / table["n"]
    limits = zip(table["mos"], factors, table["low"], table["high"], strict=True)
    for mos, factor, low, high in limits:
        assert low == pytest.approx(optimize.brentq(excess, 1, mos, (mos, factor)), abs=1e-9)
        assert high == pytest.approx(optimize.brentq(excess, mos, 5, (mos, factor)), abs=1e-9)


def test_unanimous_votes_leave_room_within_the_scale() -> None:
    ends, none = np.array([1.0, 5.0]), np.zeros(2)
    low, high = score_limits(ends, none, np.full(2, 26.0))
    c = stats.t.ppf(0.975, 25) ** 2 * 0.25 / 26
    assert low == pytest.approx([1, 5 - 4 * c / (1 + c)])
    assert high == pytest.approx([1 + 4 * c / (1 + c), 5])
    assert student_limits(ends, none, np.full(2, 26.0))[1].tolist() == [1, 5]


def test_one_vote_gives_no_interval() -> None:
    low, high = score_limits(np.array([3.0]), np.array([np.nan]), np.array([1.0]))
    assert np.isnan([low, high]).all()


@pytest.mark.parametrize("quality", [1.3, 3.0, 4.5])
def test_the_score_interval_covers_where_students_does_not(quality: float) -> None:
    model, generator = RaterModel(), np.random.default_rng(0)
    hits: list[float] = []
    plain: list[float] = []
    for _ in range(40):
        levels = quality + generator.normal(size=100) * 0.58
        raters = draw_raters(model, 26, 1, generator)
        scores = draw_scores(model, raters, levels, np.zeros(100, np.intp), generator)
        figures = scores.mean(axis=1), scores.std(axis=1, ddof=1), np.full(100, 26.0)
        truth = expected_score(model, levels)
        for limits, found in ((score_limits, hits), (student_limits, plain)):
            low, high = limits(*figures)
            found.append(float(((low <= truth) & (truth <= high)).mean()))
    assert np.mean(hits) > 0.955
    if quality != 3:
        assert np.mean(plain) < 0.94


def test_the_interval_says_what_it_is_and_an_unknown_one_is_named() -> None:
    votes = check_votes(random_votes())
    assert "under-cover" in stimulus_mos(votes, interval="student")["interval"].iloc[0]
    assert "Wilson" in stimulus_mos(votes)["interval"].iloc[0]
    with pytest.raises(UsageError, match="Did you mean 'student'"):
        stimulus_mos(votes, interval="studnt")
