"""Votes on sliders: heaping, z scores, how much of the slider a rater uses."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from sreval.errors import StatisticsError
from sreval.opinions.screening import default_rules
from sreval.opinions.slider import heaping, use_of_scale, z_scores
from sreval.opinions.votes import Scale, check_votes

SLIDER = Scale(0, 100, 0)


def slider_votes() -> pd.DataFrame:
    """Three raters of 12 images: one uses the slider, one a part of it, one a single place."""
    generator = np.random.default_rng(0)
    drawn = {
        "wide": generator.uniform(0, 100, 12).round(1),
        "narrow": 40 + generator.uniform(0, 19, 12).round(1),
        "still": np.full(12, 50.0),
        "three": np.tile([0.0, 50.0, 100.0], 4),
    }
    rows = [
        (rater, f"i{image}", "m", score)
        for rater, scores in drawn.items()
        for image, score in enumerate(scores)
    ]
    frame = pd.DataFrame(rows, columns=["rater", "image", "method", "score"])
    return check_votes(frame, SLIDER)


def test_heaping_counts_votes_near_edges_and_middles_of_five_bands() -> None:
    scores = np.array([0, 1, 9, 11, 20, 50.0, 25, 34.5, 88.9, 99])
    found = heaping(scores, SLIDER)
    near = [min(abs(score - ten) for ten in range(0, 101, 10)) <= 1 for score in scores]
    assert (found.share, found.near, found.n) == (sum(near) / 10, 1, 10)
    places = np.arange(1001) / 10
    assert found.even == pytest.approx(
        np.mean([min(abs(p - ten) for ten in range(0, 101, 10)) <= 1 + 1e-9 for p in places])
    )


def test_whole_numbers_are_held_against_whole_places() -> None:
    assert heaping(np.arange(101.0), SLIDER).share == heaping(np.arange(101.0), SLIDER).even
    shifted = heaping(np.arange(101.0) / 100 - 3, Scale(-3, -2, 0))
    assert shifted.even == pytest.approx(31 / 101)


def test_z_scores_are_those_of_each_rater_alone() -> None:
    votes = slider_votes()
    found = z_scores(votes)
    assert found.without == ("still",)
    for rater, own in votes.groupby("rater"):
        if rater != "still":
            z = found.votes.loc[found.votes["rater"] == rater, "z"]
            assert z.to_numpy() == pytest.approx(scipy.stats.zscore(own["score"], ddof=1))
    assert found.votes["zmos"].mean() == pytest.approx(50)


def test_z_scores_need_votes_that_differ() -> None:
    votes = slider_votes()
    with pytest.raises(StatisticsError, match="one score alone"):
        z_scores(votes[votes["rater"] == "still"])


def test_raters_who_use_little_of_a_slider_are_flagged() -> None:
    votes = slider_votes()
    (rule,) = [rule for rule in default_rules(SLIDER) if rule.kind == "little-used"]
    found = rule.judge(votes)
    assert found.rejected == ("narrow", "still", "three")
    assert found.reasons["three"] == "12 votes from 0 to 100, of 3 values"
    assert use_of_scale(votes).loc["still", "range"] == 0
    assert "little-used" not in {rule.kind for rule in default_rules(Scale(0, 10))}
