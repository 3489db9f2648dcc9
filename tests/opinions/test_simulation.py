from dataclasses import replace

import numpy as np
import pytest

from sreval.errors import StatisticsError
from sreval.opinions.arrays import Ratings
from sreval.opinions.recovery import recover
from sreval.opinions.simulation import (
    RaterModel,
    make_stimuli,
    simulate_votes,
)
from sreval.opinions.votes import check_votes

QUALITY = np.array([0.6, 1.2, 2.5, 3.7, 4.8])
CARELESS = RaterModel(
    lapse_rate=0.1, straight_liner_rate=0.1, speeder_rate=0.1, inconsistency_spread=0.5
)


@pytest.mark.parametrize("model", [RaterModel(), CARELESS, RaterModel(low=0, high=10)])
@pytest.mark.parametrize("spread", [0.0, 0.8])
def test_the_expected_score_is_the_mean_of_many_draws(model: RaterModel, spread: float) -> None:
    generator = np.random.default_rng(0)
    raters = model.draw_raters(200_000, 1, generator)
    shifted = raters.bias + generator.normal(size=200_000) * spread
    scores = model.draw_scores(
        replace(raters, bias=shifted), QUALITY, np.zeros(5, np.intp), generator
    )
    assert scores.mean(axis=1) == pytest.approx(model.expected_score(QUALITY, spread), abs=0.02)


def test_the_expected_score_of_given_raters_is_the_mean_of_their_draws() -> None:
    generator = np.random.default_rng(1)
    raters = CARELESS.draw_raters(30, 2, generator)
    method = np.ones(5, np.intp)
    draws = [CARELESS.draw_scores(raters, QUALITY, method, generator) for _ in range(4000)]
    expected = CARELESS.expected_score_of(raters, QUALITY, 1)
    assert np.mean(draws, axis=0) == pytest.approx(expected, abs=0.12)


def test_scores_are_integers_on_the_scale() -> None:
    generator = np.random.default_rng(2)
    raters = CARELESS.draw_raters(200, 1, generator)
    scores = CARELESS.draw_scores(raters, QUALITY * 3 - 4, np.zeros(5, np.intp), generator)
    assert set(np.unique(scores)) == {1, 2, 3, 4, 5}


def test_careless_raters_come_in_their_shares() -> None:
    raters = CARELESS.draw_raters(20_000, 1, np.random.default_rng(3))
    assert raters.straight_liner.mean() == pytest.approx(0.1, abs=0.01)
    assert raters.speeder.mean() == pytest.approx(0.1, abs=0.01)
    assert not (raters.straight_liner & raters.speeder).any()


def test_votes_are_a_checked_table_marked_as_simulated() -> None:
    stimuli = make_stimuli({"nearest": 1.5, "HR": 4.5}, 12)
    votes = check_votes(simulate_votes(stimuli, RaterModel(), 9))
    assert votes["simulated"].all()
    assert set(votes["study"]) == {"simulated"}
    assert len(votes) == 24 * 9
    assert votes["rater"].nunique() == 9
    orders = votes.groupby("rater")[["image", "method"]].agg(tuple).agg(tuple, axis=1)
    assert orders.nunique() == 9
    for _, group in votes.groupby("rater"):
        assert sorted(group["position"]) == list(range(24))
    means = votes.groupby("method")["score"].mean()
    assert means["HR"] > means["nearest"] + 2


def test_dropouts_leave_the_end_of_their_plan() -> None:
    stimuli = make_stimuli({"a": 3.0}, 50)
    votes = simulate_votes(stimuli, RaterModel(dropout_rate=0.5), 200)
    seen = votes.groupby("rater")["position"].agg(["size", "max"])
    assert (seen["size"] == seen["max"] + 1).all()
    assert 0.35 < (seen["size"] < 50).mean() < 0.65


def test_speeders_answer_fast_and_straight_liners_alike() -> None:
    stimuli = make_stimuli({"a": 3.0}, 40)
    fast = simulate_votes(stimuli, RaterModel(speeder_rate=1.0), 5)
    assert fast["response_ms"].median() < 400
    lines = simulate_votes(stimuli, RaterModel(straight_liner_rate=1.0), 5)
    assert (lines.groupby("rater")["score"].nunique() == 1).all()


def test_the_seed_decides_everything() -> None:
    stimuli = make_stimuli({"a": 3.0, "b": 2.0}, 6, seed=4)
    assert stimuli.equals(make_stimuli({"a": 3.0, "b": 2.0}, 6, seed=4))
    first, again, other = (simulate_votes(stimuli, RaterModel(), 4, seed=s) for s in (1, 1, 2))
    assert first.equals(again)
    assert not first.equals(other)


def test_recovery_finds_the_models_bias_and_inconsistency() -> None:
    generator = np.random.default_rng(6)
    model = RaterModel(taste_sd=0, lapse_rate=0)
    raters = model.draw_raters(30, 1, generator)
    scores = model.draw_scores(raters, generator.uniform(2, 4, 400), np.zeros(400, int), generator)
    found = recover(Ratings.from_matrix(scores)).raters
    assert found["bias"].to_numpy() == pytest.approx(raters.bias - raters.bias.mean(), abs=0.15)
    assert np.corrcoef(found["inconsistency"], raters.inconsistency)[0, 1] > 0.9


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lapse_rate": 1.5}, "lapse_rate must lie within"),
        ({"bias_sd": -1}, "bias_sd can't be negative"),
        ({"straight_liner_rate": 0.6, "speeder_rate": 0.6}, "more than all"),
        ({"low": 5, "high": 5}, "no range"),
    ],
)
def test_a_model_that_cannot_be_meant_is_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(StatisticsError, match=message):
        RaterModel(**options)


def test_nobody_to_simulate_is_refused() -> None:
    with pytest.raises(StatisticsError, match="0 raters"):
        simulate_votes(make_stimuli({"a": 3.0}, 2), RaterModel(), 0)
