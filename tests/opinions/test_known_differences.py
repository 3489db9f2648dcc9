"""Where our figures differ from other packages' on purpose (docs/explanation/statistics.md)."""

from typing import Any

import numpy as np
import pytest
from scipy import stats

from sreval.opinions.arrays import Floats, Ratings
from sreval.opinions.intervals import student_mean
from sreval.opinions.mos import stimulus_mos
from sreval.opinions.recovery import recover
from sreval.opinions.reliability import Reliability
from sreval.opinions.screening import bt500
from sreval.opinions.significance import signed_rank
from sreval.opinions.votes import check_votes
from tests.opinions.builders import votes_table

TIED_X = np.array([5, 4, 4, 3, 5, 4, 2, 4, 3, 4])
TIED_Y = np.array([4, 4, 3, 3, 3, 4, 2, 2, 4, 3])


def sureal_bt500(votes: Floats) -> list[int]:
    """As sureal 0.9.0 screens: population deviation, stimuli rated alike counted to both sides."""
    p, q = np.zeros(votes.shape[1]), np.zeros(votes.shape[1])
    for row in votes:
        spread = row - row.mean()
        with np.errstate(invalid="ignore"):
            kurtosis = np.mean(spread**4) / np.mean(spread**2) ** 2
        limit = (2 if 2 <= kurtosis <= 4 else np.sqrt(20)) * row.std()
        p += spread >= limit
        q += spread <= -limit
    with np.errstate(invalid="ignore"):
        lopsided = np.abs(p - q) / (p + q)
    return np.flatnonzero(((p + q) / votes.shape[0] > 0.05) & (lopsided < 0.3)).tolist()


def test_sureal_rejects_a_rater_whom_the_recommendation_keeps(nflx: Floats, expected: Any) -> None:
    published = expected["nflx_public"]["reliability_and_strict_bt500"]
    assert sureal_bt500(nflx) == published["sureal_BT500_rejected"] == [2]
    assert not bt500(Ratings.from_matrix(nflx)).table["found"].any()


def test_sureal_counts_unanimous_stimuli_to_both_sides(unanimous: Floats) -> None:
    assert len(sureal_bt500(unanimous)) > 0
    assert not bt500(Ratings.from_matrix(unanimous)).table["found"].any()


def test_sureals_mos_interval_is_normal_and_ours_is_students(nflx: Floats, expected: Any) -> None:
    published = expected["nflx_public"]["models"]["MOS"]["quality_scores_ci95"][0]
    table = stimulus_mos(check_votes(votes_table(nflx[None])), interval="student")
    half = ((table["high"] - table["low"]) / 2).to_numpy()
    ratio = half[half > 0] / np.array(published)[half > 0]
    assert ratio == pytest.approx(stats.t.ppf(0.975, 25) / 1.95996, rel=1e-9)


def test_the_two_published_recovery_intervals_differ(nflx: Floats) -> None:
    stimuli = recover(Ratings.from_matrix(nflx)).stimuli
    ratio = stimuli["half_width_p910"] / stimuli["half_width_li2020"]
    assert ratio.min() < 0.5
    assert ratio.max() > 1.3


def test_scipys_asymptotic_p_is_not_ours_when_differences_tie() -> None:
    ours = signed_rank(TIED_X, TIED_Y)
    normal = stats.wilcoxon(TIED_X.astype(float), TIED_Y.astype(float), method="approx")
    assert ours.method == "exact"
    assert ours.p > float(normal.pvalue) + 0.02


def test_scipy_ranks_rounding_noise_and_we_do_not() -> None:
    x = np.array([0.3, 0.6, 0.9, 1.2, 1.5, 1.8, 2.1])
    y = x - 0.1 * np.array([1, -1, 1, 1, -1, 1, 1])
    difference = x - y
    assert len(set(np.abs(difference))) > 1
    assert min(signed_rank(x, y).w_plus, signed_rank(x, y).w_minus) == 8
    assert stats.wilcoxon(difference).statistic != 8


def test_scipys_bootstrap_is_shorter_than_ours_on_few_values() -> None:
    values = np.array([3.1, 2.7, 4.4, 3.9, 2.2])
    low, high = stats.bootstrap((values,), np.mean).confidence_interval
    assert student_mean(values).half_width > 1.2 * (high - low) / 2


def test_krippendorffs_package_defaults_to_interval_scores(nflx: Floats, expected: Any) -> None:
    published = expected["nflx_public"]["reliability_and_strict_bt500"]
    ours = Reliability(Ratings.from_matrix(nflx)).krippendorff_alpha()
    assert ours == pytest.approx(published["krippendorff_ordinal"], abs=1e-6)
    assert ours < published["krippendorff_interval"] - 0.02


def test_icc_forms_are_named_by_agreement(nflx: Floats, expected: Any) -> None:
    published = expected["nflx_public"]["reliability_and_strict_bt500"]["icc"]
    icc = Reliability(Ratings.from_matrix(nflx)).intraclass_correlation()
    assert icc.single.estimand == "ICC(A,1)"
    assert icc.single.estimate < published["ICC(C,1)"] - 0.03
    assert icc.average.estimand == "ICC(A,26)"
