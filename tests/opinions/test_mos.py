import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from sreval.errors import StatisticsError, UsageError
from sreval.opinions.arrays import Floats, Ratings
from sreval.opinions.crossed import crossed_mean
from sreval.opinions.mos import (
    INTERVALS,
    binomial_sos,
    bootstrap_two_way,
    crowdmos,
    crush,
    difference_scores,
    mean_of,
    mos_interval,
    mos_table,
    over_images,
    over_raters,
    pooled,
    score_limits,
    stimulus_mos,
    student_limits,
    warning_of,
)
from sreval.opinions.simulation import RaterModel
from sreval.opinions.votes import Scale, check_votes
from tests.opinions.builders import random_votes, votes_table


def test_crowdmos_reaches_the_published_figures(blizzard: Floats, expected: Any) -> None:
    published = expected["blizzard_paid_participants"]
    systems = [crowdmos(Ratings.from_matrix(votes.T)) for votes in blizzard]
    assert [s.estimate for s in systems] == pytest.approx(published["mos"], rel=1e-6)
    assert [s.half_width for s in systems] == pytest.approx(published["ci95_crowdmos"], rel=1e-6)


def two_way(seed: int, images: int, raters: int) -> Floats:
    generator = np.random.default_rng(seed)
    image = generator.normal(0, 0.7, images)[:, None]
    return 3 + image + generator.normal(0, 0.4, raters) + generator.normal(0, 0.5, (images, raters))


def test_crowdmos_variance_is_that_of_the_balanced_analysis_of_variance() -> None:
    matrix = two_way(0, 400, 300)
    interval = crowdmos(Ratings.from_matrix(matrix))
    row, column = matrix.mean(axis=1), matrix.mean(axis=0)
    residual = matrix - row[:, None] - column + matrix.mean()
    mean_square = (residual**2).sum() / (399 * 299)
    variance = row.var(ddof=1) / 400 + column.var(ddof=1) / 300 - mean_square / (400 * 300)
    expected = stats.t.ppf(0.975, 299) * math.sqrt(variance)
    assert interval.half_width == pytest.approx(expected, rel=0.01)


def test_intervals_of_one_and_the_same_unit_agree_with_scipy() -> None:
    matrix = two_way(1, 30, 9)
    ratings = Ratings.from_matrix(matrix)
    for interval, values in [
        (over_raters(ratings), matrix.mean(axis=0)),
        (over_images(ratings), matrix.mean(axis=1)),
        (pooled(ratings), matrix.ravel()),
    ]:
        low, high = stats.t.interval(
            0.95, values.size - 1, loc=values.mean(), scale=stats.sem(values)
        )
        assert (interval.low, interval.high) == pytest.approx((low, high), rel=1e-12)
        assert interval.n == values.size


def test_two_way_bootstrap_is_as_wide_as_its_exact_variance() -> None:
    matrix = two_way(2, 60, 50)
    interval = bootstrap_two_way(Ratings.from_matrix(matrix), resamples=4000)
    row, column = matrix.mean(axis=1), matrix.mean(axis=0)
    variance = row.var() / 60 + column.var() / 50
    residual = matrix - row[:, None] - column + matrix.mean()
    variance += residual.var() / 3000
    factor = math.sqrt(50 / 49) * stats.t.ppf(0.975, 49)
    assert interval.half_width == pytest.approx(factor * math.sqrt(variance), rel=0.05)


@pytest.mark.parametrize("name", INTERVALS)
def test_few_units_give_no_interval(name: str) -> None:
    for matrix in ([[4.0]], np.arange(1.0, 5).reshape(2, 2)):
        found = mos_interval(Ratings.from_matrix(matrix), name)
        assert found.estimate == np.mean(matrix)
        if name != "pooled" or found.n < 3:
            assert math.isnan(found.low)
            assert math.isnan(found.high)


@pytest.mark.parametrize("name", INTERVALS)
@pytest.mark.parametrize("score", [1.0, 2.0, 5.0])
def test_unanimous_votes_leave_room_within_the_scale(name: str, score: float) -> None:
    found = mos_interval(Ratings.from_matrix(np.full((5, 12), score)), name)
    assert found.estimate == score
    assert 1 <= found.low <= score <= found.high <= 5
    assert 0.01 < found.high - found.low < 0.6


@pytest.mark.parametrize(("raters", "images"), [(3, 4), (5, 10), (12, 5)])
def test_a_sliders_interval_far_from_its_ends_is_students(raters: int, images: int) -> None:
    generator = np.random.default_rng(raters)
    votes = 60 + generator.normal(0, 4, (images, 1)) + generator.normal(0, 3, (images, raters))
    found = mos_interval(Ratings.from_matrix(votes), scale=Scale(0, 100))
    means = votes.mean(axis=0)
    limits = stats.t.interval(0.95, raters - 1, loc=means.mean(), scale=stats.sem(means))
    assert (found.low, found.high) == pytest.approx(limits, abs=1e-9)


@pytest.mark.parametrize("name", INTERVALS)
def test_on_a_complete_table_of_mid_scores_the_interval_is_the_plain_one(name: str) -> None:
    ratings = Ratings.from_matrix(np.clip(two_way(4, 60, 25), 1, 5))
    plain, found = INTERVALS[name](ratings, 0.9), mos_interval(ratings, name, 0.9)
    assert (found.low, found.high) == pytest.approx((plain.low, plain.high), abs=1e-12)


def simulated(quality: float, images: int, raters: int, generator: np.random.Generator) -> Floats:
    """Rounded and clipped votes of attentive raters with tastes of their own."""
    hidden = quality + generator.normal(0, 0.4, raters) + generator.normal(0, 0.5, (images, 1))
    return np.clip(np.rint(hidden + generator.normal(0, 0.6, (images, raters))), 1, 5)


@pytest.mark.parametrize(("name", "quality"), [("raters", 0.3), ("images", 0.9)])
def test_few_images_near_the_end_are_covered(name: str, quality: float) -> None:
    generator = np.random.default_rng(8)
    population = simulated(quality, 3000, 3000, generator)
    truth, hits = population.mean(), []
    for _ in range(400):
        images = generator.choice(3000, 5, replace=False)
        raters = generator.choice(3000, 12, replace=False)
        truth = population[images].mean() if name == "raters" else population[:, raters].mean()
        votes = population[np.ix_(images, raters)]
        found = mos_interval(Ratings.from_matrix(votes), name)
        hits.append(found.low <= truth <= found.high)
    assert np.mean(hits) > 0.915


def unequal_views() -> Ratings:
    """Ten raters of image 0, five each of images 1 and 2."""
    matrix = np.full((3, 10), np.nan)
    matrix[0], matrix[1, :5], matrix[2, 5:] = 5, 1, 1
    return Ratings.from_matrix(matrix)


def test_images_weigh_alike_whatever_the_interval_is_over() -> None:
    found = {name: mos_interval(unequal_views(), name).estimate for name in INTERVALS}
    images = pytest.approx(7 / 3)
    assert found == {
        "crossed": images, "raters": images, "images": images, "pooled": images,
        "bootstrap": images, "crowdmos": 3,
    }  # fmt: skip
    assert mean_of("raters") == "mean of the images' mean votes"
    assert mean_of("crowdmos") == "mean of all votes"


def incomplete(seed: int, seen: float = 0.7) -> Floats:
    matrix = two_way(seed, 20, 10)
    matrix[np.random.default_rng(0).random(matrix.shape) > seen] = np.nan
    return matrix


def test_missing_votes() -> None:
    matrix = incomplete(3)
    ratings = Ratings.from_matrix(matrix)
    for name in INTERVALS:
        found = mos_interval(ratings, name)
        assert found.low < found.estimate < found.high
        mean = np.nanmean(matrix) if name == "crowdmos" else np.nanmean(matrix, axis=1).mean()
        assert found.estimate == pytest.approx(mean, rel=1e-12)


def test_the_error_over_raters_is_near_the_jackknifes() -> None:
    """Leaving out rater by rater, n / (n - 1) apart: an independent way to the same variance."""
    for seed in range(4):
        matrix = incomplete(seed)
        without = [np.nanmean(np.delete(matrix, i, 1), axis=1).mean() for i in range(10)]
        jackknife = math.sqrt(0.9 * float(((np.array(without) - np.mean(without)) ** 2).sum()))
        found = over_raters(Ratings.from_matrix(matrix))
        share = np.nansum(~np.isnan(matrix) / (~np.isnan(matrix)).sum(axis=1)[:, None], axis=0) / 20
        t = stats.t.ppf(0.975, 1 / (share**2).sum() - 1)
        assert found.half_width / t == pytest.approx(jackknife, rel=0.1)


def test_raters_in_general_are_covered_where_plans_are_incomplete() -> None:
    generator, hits = np.random.default_rng(5), []
    for _ in range(400):
        latent = 3 + generator.normal(0, 0.6, (14, 1)) + generator.normal(0, 0.4, 400)
        votes = np.clip(np.rint(latent + generator.normal(0, 0.6, latent.shape)), 1, 5)
        own = votes[:, :12].copy()
        own[generator.random(own.shape) > np.linspace(0.1, 0.9, 14)[:, None]] = np.nan
        kept = ~np.isnan(own).all(axis=1)
        found = mos_interval(Ratings.from_matrix(own))
        hits.append(found.low <= votes[kept].mean() <= found.high)
    assert np.mean(hits) > 0.92


def test_single_votes_on_every_image_say_nothing_about_raters() -> None:
    found = mos_interval(Ratings.from_matrix(np.where(np.eye(4) > 0, 3.0, np.nan)))
    assert found.estimate == 3
    assert math.isnan(found.low)


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.2, 0.9))
def test_a_mos_is_the_mean_its_label_says_however_many_votes_a_unit_has(
    seed: int, seen: float
) -> None:
    made = random_votes(seed, seen=seen)
    assume(len(made) > 0)
    votes = check_votes(made)
    for name in INTERVALS:
        if name == "bootstrap":
            continue  # its estimate is that of the others; it takes long
        for row in mos_table(votes, interval=name).to_dict("records"):
            own = votes[votes["method"] == row["method"]]
            by_image = own.groupby("image")["score"].mean()
            expected = own["score"].mean() if name == "crowdmos" else by_image.mean()
            assert row["mos"] == pytest.approx(expected, rel=1e-12)
            if not math.isnan(row["low"]):
                assert 1 <= row["low"] <= row["mos"] <= row["high"] <= 5


def test_a_rater_with_one_vote_counts_as_a_rater() -> None:
    votes = check_votes(random_votes()).query("rater != 'r00' or image == 'img_000'")
    assert set(mos_table(votes)["n_raters"]) == {8}


def test_the_table_says_what_each_row_is_about() -> None:
    votes = check_votes(random_votes())
    table = mos_table(votes, interval="images")
    assert table["method"].to_list() == ["a", "b", "c"]
    assert set(table["estimand"]) == {"these raters, images in general"}
    assert set(table["warning"]) == {""}
    assert "not independent" in mos_table(votes, interval="pooled")["warning"].iloc[0]
    assert table["n"].to_list() == [6, 6, 6]
    assert table["n_votes"].to_list() == [48, 48, 48]
    assert table["mos"].to_list() == votes.groupby("method")["score"].mean().to_list()
    assert table["sd"].to_list() == pytest.approx(votes.groupby("method")["score"].std().to_list())


def test_an_unknown_interval_is_named() -> None:
    with pytest.raises(UsageError, match=r"Unknown interval 'rater'.*'raters'"):
        mos_table(check_votes(random_votes()), interval="rater")


def test_what_is_known_to_fall_short_near_the_end_says_so() -> None:
    votes = check_votes(random_votes(images=5)).assign(score=1)
    for name, said in (("raters", ""), ("images", "91 to 95%"), ("pooled", "not independent")):
        (warning,) = mos_table(votes, interval=name)["warning"].unique()
        assert said in warning
        assert bool(said) == bool(warning)
    assert "under-cover near" in mos_table(votes, interval="crowdmos")["interval"].iloc[0]


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


def test_unanimous_votes_on_a_stimulus_leave_room_within_the_scale() -> None:
    ends, none = np.array([1.0, 5.0]), np.zeros(2)
    low, high = score_limits(ends, none, np.full(2, 26.0))
    c = stats.t.ppf(0.975, 25) ** 2 * 0.25 / 26
    assert low == pytest.approx([1, 5 - 4 * c / (1 + c)])
    assert high == pytest.approx([1 + 4 * c / (1 + c), 5])
    assert student_limits(ends, none, np.full(2, 26.0))[1].tolist() == [1, 5]


@pytest.mark.parametrize(
    ("scale", "known"),
    [
        (Scale(1, 5), 1 / 4),
        (Scale(1, 9), 1 / 8),
        (Scale(0, 100, 10), 1 / 10),
        (Scale(0, 1), 1),
        (Scale(0, 100), None),
        (Scale(0, 100, 1), None),
        (Scale(1, 5, 0), None),
    ],
)
def test_binomial_votes_have_the_scales_own_sos_coefficient(
    scale: Scale, known: float | None
) -> None:
    assert binomial_sos(scale) == known
    if known:
        binomial = stats.binom(round(1 / known), 0.3)
        width = scale.high - scale.low
        variance = binomial.var() * (width * known) ** 2
        assert variance == pytest.approx(known * 0.3 * 0.7 * width**2)


def test_few_stimuli_on_a_slider_speak_for_themselves() -> None:
    slider = Scale(0, 100)
    mos, sd, n = np.array([40.0, 60]), np.array([12.0, 12]), np.full(2, 15.0)
    own = 12**2 / (40 * 60)
    c = stats.t.ppf(0.975, 14) ** 2 * own / 15
    half = math.sqrt(c * 0.4 * 0.6 + c**2 / 4) / (1 + c)
    low, high = score_limits(mos, sd, n, scale=slider)
    assert high - low == pytest.approx(np.full(2, 200 * half))
    low, high = score_limits(np.array([0.0]), np.zeros(1), np.full(1, 15.0), scale=slider)
    assert low[0] == pytest.approx(0)
    assert high[0] > 5


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
        raters = model.draw_raters(26, 1, generator)
        scores = model.draw_scores(raters, levels, np.zeros(100, np.intp), generator)
        figures = scores.mean(axis=1), scores.std(axis=1, ddof=1), np.full(100, 26.0)
        truth = model.expected_score(levels)
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


def votes() -> pd.DataFrame:
    rows = [
        ("r1", "x", "hr", 5),
        ("r1", "x", "gan", 4),
        ("r1", "y", "hr", 3),
        ("r1", "y", "gan", 5),
        ("r2", "x", "hr", 4),
        ("r2", "x", "gan", 4),
        ("r2", "y", "gan", 2),
    ]
    return check_votes(pd.DataFrame(rows, columns=["rater", "image", "method", "score"]))


def test_each_vote_is_taken_from_the_same_raters_reference() -> None:
    result = difference_scores(votes())
    found = result.votes.set_index(["rater", "image"])["difference"].to_dict()
    assert found == {("r1", "x"): 4, ("r1", "y"): 7, ("r2", "x"): 5}
    assert result.excluded == 1


def test_an_unknown_reference_is_named() -> None:
    with pytest.raises(UsageError, match="Unknown reference 'GT'"):
        difference_scores(votes(), "GT")


def viewed_unequally(score: dict[str, int]) -> pd.DataFrame:
    """Ten raters of image A and its reference, five each of B and C."""
    rows = [
        (f"r{i}", image, method, 5 if method == "hr" else score[image])
        for i in range(10)
        for image in ("A", "B" if i < 5 else "C")
        for method in ("hr", "m")
    ]
    return check_votes(pd.DataFrame(rows, columns=["rater", "image", "method", "score"]))


def test_images_weigh_alike_in_a_dmos() -> None:
    differences = difference_scores(viewed_unequally({"A": 5, "B": 1, "C": 1}))
    found = {n: differences.interval(differences.votes, n).estimate for n in ("raters", "images")}
    assert found == {"raters": pytest.approx(7 / 3), "images": pytest.approx(7 / 3)}


def test_a_dmos_of_unanimous_votes_has_a_width_within_its_scale() -> None:
    differences = difference_scores(viewed_unequally({"A": 5, "B": 5, "C": 5}))
    found = differences.interval(differences.votes, level=0.9)
    assert (found.estimate, found.level) == (5, 0.9)
    assert 1 <= found.low < 5 < found.high <= 9


def test_two_raters_give_a_dmos_without_an_interval() -> None:
    differences = difference_scores(votes())
    assert math.isnan(differences.interval(differences.votes).low)


def test_an_unknown_interval_of_a_dmos_is_named() -> None:
    differences = difference_scores(votes())
    with pytest.raises(UsageError, match="Unknown interval 'rater'"):
        differences.interval(differences.votes, "rater")


def test_a_sequence_is_what_an_image_is_among_stills() -> None:
    """The intervals of frames are those of stills with the mean of each rater's votes on them."""
    frames = votes_of_frames()
    stills = frames.assign(image=frames["image"].str.partition("/")[0])
    stills = stills.groupby(["rater", "image"])[["score"]].mean().reset_index()
    several, plain = (Ratings.from_votes(rows, ["image"]) for rows in (frames, stills))
    for name in ("raters", "images", "bootstrap"):
        found, expected = INTERVALS[name](several, 0.95), INTERVALS[name](plain, 0.95)
        assert found.n == expected.n == (9 if name == "raters" else 4)
        for key in ("estimate", "low", "high"):
            assert getattr(found, key) == pytest.approx(getattr(expected, key))
    assert abs(frames["score"].mean() - stills["score"].mean()) > 0.05
    assert INTERVALS["pooled"](several, 0.95).estimate == pytest.approx(stills["score"].mean())
    found = INTERVALS["crowdmos"](several, 0.95)
    assert found.n == 4
    assert found.estimate == pytest.approx(frames["score"].mean())


def test_the_table_names_sequences() -> None:
    frames = check_votes(votes_of_frames().assign(dataset="V", method="a"))
    row = mos_table(frames, interval="images").iloc[0]
    assert (row["n"], row["unit"], row["n_images"]) == (4, "sequence", 14)
    assert row["estimand"] == "these raters, sequences in general"
    assert row["mean_of"] == "mean of the sequences' means, each the mean of its frames' mean votes"


def votes_of_frames() -> pd.DataFrame:
    generator = np.random.default_rng(3)
    lengths = {"a": 1, "b": 8, "c": 2, "d": 3}
    levels = dict(zip(lengths, (2, 4, 3, 1), strict=True))
    rows = [
        {"rater": f"r{rater}", "image": f"{name}/{n}", "score": levels[name] + vote}
        for name, length in lengths.items()
        for rater in range(9)
        for n, vote in enumerate(generator.integers(0, 2, length))
    ]
    return pd.DataFrame(rows)


def test_over_both_a_complete_table_has_the_error_of_the_crossed_mean() -> None:
    matrix = np.clip(two_way(4, 14, 9), 1, 5)
    ratings = Ratings.from_matrix(matrix)
    found = INTERVALS["crossed"](ratings, 0.95)
    expected = crossed_mean(ratings.score, ratings.rater, ratings.stimulus)
    assert (found.low, found.high) == pytest.approx(expected.limits(0.95))
    assert found.estimate == pytest.approx(matrix.mean())
    assert (found.n, found.unit) == (9, "rater and image")


def test_over_both_an_incomplete_table_has_the_error_of_its_images_means() -> None:
    """The variance of the weighted votes, from the dense covariance of the model."""
    matrix = incomplete(2)
    ratings = Ratings.from_matrix(matrix)
    made = crossed_mean(ratings.score, ratings.rater, ratings.stimulus)
    same = [codes[:, None] == codes for codes in (ratings.rater, ratings.stimulus)]
    covariance = made.sd_rater**2 * same[0] + made.sd_image**2 * same[1]
    covariance = covariance + made.sd_rest**2 * np.eye(ratings.score.size)
    weight = 1 / (np.bincount(ratings.stimulus)[ratings.stimulus] * ratings.n_stimuli)
    error = math.sqrt(weight @ covariance @ weight)
    found = INTERVALS["crossed"](ratings, 0.95)
    assert found.half_width == pytest.approx(stats.t.ppf(0.975, made.freedom) * error)
    assert found.estimate == pytest.approx(np.nanmean(matrix, axis=1).mean())


def test_a_table_without_a_named_interval_takes_each_data_sets_default() -> None:
    few = random_votes(images=4).assign(dataset="Set4")
    table = mos_table(check_votes(pd.concat([random_votes(), few])))
    units = table.groupby("dataset")["unit"].unique().map(list)
    assert units.to_dict() == {"Set4": ["rater"], "Set5": ["rater and image"]}


@pytest.mark.parametrize("interval", ["images", "crossed"])
@pytest.mark.parametrize(("mos", "warned"), [(1.2, True), (1.3, False), (4.8, True)])
def test_a_mos_near_the_end_is_warned_of(interval: str, mos: float, warned: bool) -> None:
    assert warning_of(interval, mos).startswith("A MOS within a sixteenth") is warned
    assert warning_of("raters", mos) == ""


def test_the_warnings_say_what_the_committed_simulations_found() -> None:
    """The least coverage of 5 and 14 images by 8 raters or more, at mean scores near the end."""
    for interval, file in (("images", "coverage"), ("crossed", "coverage_crossed")):
        results = Path(__file__).parents[2] / "benchmarks" / "results" / f"{file}.json"
        near = [
            row["share"]
            for row in json.loads(results.read_text("utf-8"))["found"]
            if row["name"] == interval and row["part"].startswith("mean score")
            if int(row["where"].split()[0]) >= 8 and row["where"].split()[3] != "100"
        ]
        assert f"covered {100 * min(near):.0f} to 95%" in warning_of(interval, 1.1)


def test_differences_of_public_votes_are_those_computed_elsewhere(
    ratings_folder: Path, nflx: Floats
) -> None:
    """DV and crushed DV of 70 stimuli: acr_hr_expected.json; plain DMOS equals sureal's."""
    stimuli = pd.read_csv(ratings_folder / "nflx_public.stimuli.csv")
    method = np.where(stimuli["is_reference"] == 1, "hr", stimuli["name"])
    stimulus, rater = np.indices(nflx.shape).reshape(2, -1)
    frame = pd.DataFrame(
        {
            "rater": [f"r{number}" for number in rater],
            "image": stimuli["content_id"].astype(str).to_numpy()[stimulus],
            "method": method[stimulus],
            "score": nflx.ravel(),
        }
    )
    found = difference_scores(check_votes(frame)).stimuli().droplevel(["dataset", "image"])
    path = ratings_folder.parent / "pairs" / "acr_hr_expected.json"
    known = [one for one in json.loads(path.read_text())["stimuli"] if not one["is_reference"]]
    assert len(found) == len(known) == 70
    for one in known:
        row = found.loc[one["name"]]
        for lead, mean, of in (("", "dmos", "dv"), ("crushed_", "crushed", "dv_crushed")):
            own = [row[mean], row[f"{lead}sd"], row[f"{lead}half_width"]]
            assert own == pytest.approx(list(one[of].values()), abs=1e-12)
        assert (row["n"], row["above"]) == (one["n"], one["votes_above_5"])


def test_a_reference_rated_twice_counts_with_its_mean() -> None:
    frame = pd.DataFrame(
        [("r", "hr", 5, "vote"), ("r", "hr", 2, "repeat"), ("r", "m", 4, "vote")],
        columns=["rater", "method", "score", "kind"],
    ).assign(image="i")
    found = difference_scores(check_votes(frame))
    assert (found.votes["difference"].item(), found.twice) == (4 - 3.5 + 5, 1)


@pytest.mark.parametrize(
    ("scale", "difference", "crushed"),
    [
        (Scale(1, 5), [3, 5, 6, 9], [3, 5, 7 * 6 / 8, 7 * 9 / 11]),
        (Scale(1, 9), [9, 10], [9, 11 * 10 / 12]),
        (Scale(0, 10), [10, 12], [10, 13 * 13 / 15 - 1]),
        (Scale(0, 100, 0), [100, 200], [100, 25 * (7 * 9 / 11 - 1)]),
    ],
)
def test_crushing_is_continuous_at_the_top(
    scale: Scale, difference: list[float], crushed: list[float]
) -> None:
    found = crush(np.array(difference, dtype=float), scale)
    assert found == pytest.approx(np.array(crushed))
    assert crush(np.array([scale.high + 1e-9]), scale) == pytest.approx(scale.high)


def test_degradation_has_no_differences_of_votes() -> None:
    frame = pd.DataFrame(
        [("r", "hr", 5), ("r", "m", 4)], columns=["rater", "method", "score"]
    ).assign(image="i", task="dcr")
    with pytest.raises(StatisticsError, match="compare with the reference already"):
        difference_scores(check_votes(frame))
