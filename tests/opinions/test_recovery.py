import time
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats

from sreval.errors import StatisticsError
from sreval.opinions.arrays import Floats, Ratings
from sreval.opinions.recovery import recover, recover_parts, remove_bias
from sreval.opinions.votes import Scale


def test_bias_removal_reaches_the_published_figures(nflx: Floats, expected: Any) -> None:
    result = remove_bias(Ratings.from_matrix(nflx))
    published = expected["nflx_public"]["models"]["BR_MOS"]
    assert result.stimuli["mos"].to_list() == pytest.approx(published["quality_scores"], rel=1e-6)
    assert result.stimuli["sd"].to_list() == pytest.approx(published["quality_ambiguity"], rel=1e-6)
    for side in published["quality_scores_ci95"]:
        assert result.stimuli["half_width"].to_list() == pytest.approx(side, rel=1e-6)
    assert result.bias.to_list() == pytest.approx(published["observer_bias"], rel=1e-6)


@pytest.mark.parametrize(
    ("model", "half_width"), [("P910", "half_width_p910"), ("MLE_CO_AP", "half_width_li2020")]
)
def test_recovery_reaches_the_published_figures(
    nflx: Floats, expected: Any, model: str, half_width: str
) -> None:
    result = recover(Ratings.from_matrix(nflx))
    published = expected["nflx_public"]["models"][model]
    raters = result.raters
    low = raters["inconsistency"] - raters["inconsistency_low"]
    high = raters["inconsistency_high"] - raters["inconsistency"]
    for ours, name in [
        (result.stimuli["quality"], "quality_scores"),
        (raters["bias"], "observer_bias"),
        (raters["inconsistency"], "observer_inconsistency"),
    ]:
        assert ours.to_list() == pytest.approx(published[name], rel=1e-6), name
    for ours, name, side in [
        (result.stimuli[half_width], "quality_scores_ci95", 0),
        (raters["bias_half_width"], "observer_bias_ci95", 0),
        (low, "observer_inconsistency_ci95", 0),
        (high, "observer_inconsistency_ci95", 1),
    ]:
        assert ours.to_list() == pytest.approx(published[name][side], rel=1e-6), name
    assert result.iterations == published["num_iter"]
    assert result.converged


def sparse_matrix(seed: int, stimuli: int, raters: int, seen: float) -> Floats:
    generator = np.random.default_rng(seed)
    quality = generator.uniform(1.5, 4.5, stimuli)[:, None]
    latent = quality + generator.normal(0, 0.4, raters)
    noise = generator.normal(size=(stimuli, raters)) * generator.uniform(0.3, 1.2, raters)
    scores = np.clip(np.rint(latent + noise), 1, 5)
    return np.where(generator.random(scores.shape) < seen, scores, np.nan)


def test_recovery_is_a_stationary_point_of_the_likelihood_when_votes_are_missing() -> None:
    matrix = sparse_matrix(3, 30, 12, 0.85)
    result = recover(Ratings.from_matrix(matrix))
    assert result.collapsed == ()
    quality = result.stimuli["quality"].to_numpy()
    bias, noise = result.raters["bias"].to_numpy(), result.raters["inconsistency"].to_numpy()

    def log_likelihood(x: Floats) -> float:
        q, b, v = x[:30], x[30:42], x[42:]
        terms = -np.log(v) - (matrix - q[:, None] - b) ** 2 / (2 * v**2)
        return float(np.nansum(terms))

    at = np.concatenate([quality, bias, noise])
    gradient = optimize.approx_fprime(at, log_likelihood, 1e-7)
    assert np.abs(gradient).max() < 1e-3


def test_recovery_finds_the_truth_of_its_own_model() -> None:
    generator = np.random.default_rng(5)
    quality, bias = generator.uniform(1, 5, 300), generator.normal(0, 0.4, 40)
    noise = generator.uniform(0.2, 1.0, 40)
    votes = quality[:, None] + bias + generator.normal(size=(300, 40)) * noise
    result = recover(Ratings.from_matrix(votes))
    assert result.raters["bias"].to_numpy() == pytest.approx(bias - bias.mean(), abs=0.2)
    assert result.raters["inconsistency"].to_numpy() == pytest.approx(noise, rel=0.2)
    error = result.stimuli["quality"].to_numpy() - quality - bias.mean()
    assert (np.abs(error) <= result.stimuli["half_width_li2020"]).mean() > 0.9
    assert error.std() < (votes.mean(axis=1) - quality - bias.mean()).std()


def test_a_rater_with_one_vote_is_left_out_and_named() -> None:
    matrix = sparse_matrix(1, 20, 6, 1.0)
    alone = np.full((20, 1), np.nan)
    alone[4] = 5
    with_single = recover(Ratings.from_matrix(np.hstack([matrix, alone])))
    assert with_single.excluded == {"6": "a single vote"}
    without = recover(Ratings.from_matrix(matrix)).stimuli
    pd.testing.assert_frame_equal(with_single.stimuli, without, rtol=1e-9)


def test_all_votes_equal_gives_that_quality_and_no_width() -> None:
    result = recover(Ratings.from_matrix(np.full((5, 4), 3.0)))
    assert result.stimuli["quality"].to_list() == [3.0] * 5
    assert result.stimuli["half_width_li2020"].to_list() == [0.0] * 5


def test_a_rater_whose_votes_took_over_is_named() -> None:
    result = recover(Ratings.from_matrix(sparse_matrix(3, 30, 12, 0.6)))
    inconsistency = result.raters["inconsistency"]
    assert result.collapsed == tuple(inconsistency.index[inconsistency < 0.01])
    assert len(result.collapsed) == 1


def test_parts_without_a_common_vote_are_refused() -> None:
    matrix = np.full((4, 4), np.nan)
    matrix[:2, :2] = matrix[2:, 2:] = [[1, 2], [3, 4]]
    with pytest.raises(StatisticsError, match="2 parts"):
        recover(Ratings.from_matrix(matrix))


def test_each_part_is_recovered_as_if_it_were_alone() -> None:
    one, other = sparse_matrix(1, 12, 6, 0.8), sparse_matrix(2, 9, 5, 1)
    both = np.full((21, 11), np.nan)
    both[:12, :6], both[12:, 6:] = one, other
    parts = recover_parts(Ratings.from_matrix(both))
    assert [part.of.n_raters for part in parts] == [6, 5]
    for part, matrix in zip(parts, (one, other), strict=True):
        alone = recover(Ratings.from_matrix(matrix))
        assert part.quality == pytest.approx(alone.quality, abs=1e-7)
        assert part.bias == pytest.approx(alone.bias, abs=1e-7)
        assert part.bias.mean() == pytest.approx(0)


def test_a_rater_of_one_vote_joins_no_parts() -> None:
    both = np.full((8, 7), np.nan)
    both[:4, :3], both[4:, 3:6] = sparse_matrix(1, 4, 3, 1), sparse_matrix(2, 4, 3, 1)
    both[0, 6] = 3
    parts = recover_parts(Ratings.from_matrix(both))
    assert [part.of.raters for part in parts] == [(0, 1, 2), (3, 4, 5)]
    assert parts[0].excluded == {"6": "a single vote"}


def test_a_connected_table_is_one_part() -> None:
    ratings = Ratings.from_matrix(sparse_matrix(3, 20, 8, 0.7))
    (part,) = recover_parts(ratings)
    assert part.quality == pytest.approx(recover(ratings).quality)


def test_the_log_likelihood_is_that_of_scipys_normal_density() -> None:
    made = recover(Ratings.from_matrix(sparse_matrix(4, 20, 8, 0.7)))
    centre = made.quality[made.of.stimulus] + made.bias[made.of.rater]
    spread = made.inconsistency[made.of.rater]
    density = stats.norm.logpdf(made.of.score, centre, spread)
    assert made.log_likelihood == pytest.approx(float(np.sum(density)))


def test_only_single_votes_are_refused() -> None:
    with pytest.raises(StatisticsError, match="leave no vote"):
        recover(Ratings.from_matrix(np.where(np.eye(3) > 0, 3.0, np.nan)))


def test_time_grows_with_the_votes_and_not_with_the_matrix() -> None:
    seconds = []
    for stimuli in (5_000, 20_000):
        ratings = Ratings.from_matrix(sparse_matrix(0, stimuli, 200, 0.05))
        start = time.process_time()
        result = recover(ratings)
        seconds.append((time.process_time() - start) / result.iterations)
    assert seconds[1] < 8 * seconds[0] + 0.05


def model_votes(seed: int, stimuli: int, raters: int) -> tuple[Floats, Floats, Floats, Floats]:
    """Votes of the model itself, with the quality, bias and noise they were made of."""
    generator = np.random.default_rng(seed)
    quality = 3 + generator.normal(0, 0.6, stimuli)
    bias, noise = generator.normal(0, 0.3, raters), 0.6 * np.exp(generator.normal(0, 0.2, raters))
    votes = quality[:, None] + bias + noise * generator.normal(size=(stimuli, raters))
    return votes, quality + bias.mean(), bias - bias.mean(), noise


@pytest.mark.parametrize("width", [0.001, 100, 1e6])
def test_another_scale_multiplies_the_result(width: float) -> None:
    """Votes times c, on a scale c times as wide, take the same steps to a result times c."""
    votes = model_votes(7, 14, 5)[0]
    votes[:, 0] = votes.mean(axis=1)
    known = recover(Ratings.from_matrix(votes))
    point = width / 4
    scale = Scale(0, width, 0)
    made = recover(Ratings.from_matrix((votes - 1) * point), scale=scale)
    assert (made.iterations, made.collapsed) == (known.iterations, known.collapsed)
    assert made.quality / point + 1 == pytest.approx(known.quality, rel=1e-7)
    assert made.bias / point == pytest.approx(known.bias, abs=1e-7)
    assert made.inconsistency / point == pytest.approx(known.inconsistency, abs=1e-6)


def test_the_limits_cover_what_they_claim_where_the_published_ones_fall_short() -> None:
    found = []
    for seed in range(40):
        votes, quality, bias, noise = model_votes(seed, 40, 15)
        made = recover(Ratings.from_matrix(votes))
        if made.collapsed:
            continue
        stimuli, raters, limits = made.stimuli, made.raters, made.rater_limits
        error = np.abs(stimuli["quality"] - quality)
        inside = (limits["inconsistency_low"] <= noise) & (noise <= limits["inconsistency_high"])
        published = (raters["inconsistency_low"] <= noise) & (noise <= raters["inconsistency_high"])
        found.append([
            (error <= stimuli["high"] - stimuli["quality"]).mean(),
            ((limits["bias_low"] <= bias) & (bias <= limits["bias_high"])).mean(),
            inside.mean(),
            (error <= stimuli["half_width_li2020"]).mean(),
            published.mean(),
        ])  # fmt: skip
    assert len(found) > 30
    share = np.mean(found, axis=0)
    assert share[:3].min() > 0.93
    assert share[3:].max() < 0.93


def test_every_interval_obeys_the_level() -> None:
    votes = model_votes(0, 30, 15)[0]
    wide, narrow = (recover(Ratings.from_matrix(votes), level) for level in (0.99, 0.8))
    ratio = stats.norm.ppf(0.995) / stats.norm.ppf(0.9)
    for name in ("half_width_li2020", "half_width_p910"):
        widths = wide.stimuli[name] / narrow.stimuli[name]
        assert widths.to_numpy() == pytest.approx(np.full(30, ratio), rel=1e-4)
    assert (wide.stimuli["low"] < narrow.stimuli["low"]).all()
    assert (wide.raters["inconsistency_high"] > narrow.raters["inconsistency_high"]).all()
    assert (wide.rater_limits["bias_low"] < narrow.rater_limits["bias_low"]).all()


def test_no_limits_where_a_rater_collapsed_or_votes_are_few() -> None:
    collapsed = recover(Ratings.from_matrix(model_votes(1, 14, 3)[0]))
    assert collapsed.collapsed
    few = recover(Ratings.from_matrix(model_votes(2, 6, 40)[0]))
    some = recover(Ratings.from_matrix(model_votes(3, 60, 10)[0]))
    assert some.rater_limits["bias_low"].notna().all()
    assert some.rater_limits["inconsistency_low"].isna().all()
    for found in (collapsed, few):
        assert found.stimuli[["low", "high"]].isna().all(axis=None)
        assert found.rater_limits.filter(like="inconsistency").isna().all(axis=None)
