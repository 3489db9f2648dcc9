"""Test and retest: the same rater on the identical stimulus twice."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sreval.errors import StatisticsError
from sreval.opinions.arrays import Floats
from sreval.opinions.intervals import Interval, on_scale, student_mean
from sreval.opinions.votes import ACR, STIMULUS, Scale
from sreval.opinions.wilcoxon import SignedRank, signed_rank


@dataclass(frozen=True)
class Retest:
    """Agreement of first and second votes.

    ``exact`` and ``within_one`` are shares of ``n_pairs``; ``change`` is the mean over raters of
    their mean second minus first vote, each on stimuli of their own; ``kappa`` Cohen's with
    quadratic weights over all pairs, NaN when all votes are one score; ``test`` the signed-rank
    test of the raters' mean second against first votes; ``unpaired`` the repeats without a first
    vote.
    """

    n_pairs: int
    n_raters: int
    exact: float
    within_one: float
    change: Interval
    kappa: float
    test: SignedRank
    unpaired: int


def repeat_pairs(votes: pd.DataFrame) -> pd.DataFrame:
    """One row per repeat whose first vote is known: rater, stimulus, ``first`` and ``second``.

    Raises StatisticsError when the accepted votes hold no such repeat.
    """
    accepted = votes[votes["accepted"]]
    key = ["rater", *STIMULUS]
    first = accepted.loc[accepted["kind"] == "vote", [*key, "score"]]
    second = accepted.loc[accepted["kind"] == "repeat", [*key, "score"]]
    pairs = first.merge(second, on=key, suffixes=("_first", "_second"))
    if pairs.empty:
        raise StatisticsError(
            "The votes hold no repeat with its first vote.", "Mark second votes kind=repeat."
        )
    return pairs.rename(columns={"score_first": "first", "score_second": "second"})


def retest(votes: pd.DataFrame, scale: Scale = ACR, level: float = 0.95) -> Retest:
    """How well raters agree with themselves (Ledig et al. 2017, supplement: the pilot study).

    Raises StatisticsError when there is no repeat.
    """
    pairs = repeat_pairs(votes)
    repeats = int((votes["accepted"] & (votes["kind"] == "repeat")).sum())
    change = pairs["second"] - pairs["first"]
    by_rater = pairs.groupby("rater")[["first", "second"]].mean()
    return Retest(
        n_pairs=len(pairs),
        n_raters=len(by_rater),
        exact=float((change == 0).mean()),
        within_one=float((change.abs() <= 1).mean()),
        change=_change(by_rater["second"] - by_rater["first"], len(pairs), scale, level),
        kappa=weighted_kappa(
            pairs["first"].to_numpy(dtype=np.float64),
            pairs["second"].to_numpy(dtype=np.float64),
        ),
        test=signed_rank(by_rater["second"], by_rater["first"]),
        unpaired=repeats - len(pairs),
    )


def _change(by_rater: pd.Series, pairs: int, scale: Scale, level: float) -> Interval:
    """Student's t over raters, kept on the scale that differences of two votes have."""
    width = scale.high - scale.low
    estimand = "second minus first vote, raters in general"
    found = student_mean(by_rater, level, unit="rater", estimand=estimand)
    return on_scale(found, scale, pairs, Scale(-width, width))


def weighted_kappa(first: Floats, second: Floats) -> float:
    """Cohen's kappa with quadratic weights of two vectors of scores, NaN if all are one score.

    Cohen 1968, Psychological Bulletin 70(4), weights (i - j)^2. Written in moments, it is Lin's
    concordance correlation coefficient (1989, Biometrics 45(1)), which any numbers have.
    """
    chance = float(first.var() + second.var() + (first.mean() - second.mean()) ** 2)
    return 1 - float(((first - second) ** 2).mean()) / chance if chance else math.nan
