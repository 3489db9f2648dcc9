"""What is said of votes that fall into parts, and of the figures of procedures that reject."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

import sreval
from tests.opinions.builders import random_votes


@pytest.fixture(scope="module")
def parted() -> pd.DataFrame:
    """Two panels of other raters on other images."""
    one, other = (random_votes(seed, methods=4, images=4, raters=6) for seed in (1, 2))
    other = other.assign(rater="other " + other["rater"], image="other " + other["image"])
    return pd.concat([one, other], ignore_index=True)


def test_reliability_over_parts_says_that_they_share_nothing(parted: pd.DataFrame) -> None:
    found = sreval.read_votes(parted).analyse("reliability")
    assert "fall into 2 parts without a common rater or stimulus" in found.text
    whole = sreval.read_votes(random_votes(1, methods=4, images=4, raters=6))
    assert "parts" not in whole.analyse("reliability").text


def test_recovery_says_of_parts_once_that_they_are_apart(parted: pd.DataFrame) -> None:
    found = sreval.read_votes(parted).analyse("recovery")
    assert found.text.count("fall into 2 parts") == 1
    assert "The warnings above are about these figures, too." in found.text


def test_nbic_is_what_the_note_says_of_procedures_that_reject() -> None:
    votes = random_votes(5, methods=5, images=6, raters=9)
    stray = votes["rater"] == votes["rater"].iloc[0]
    stray &= votes.index % 2 == 0
    votes.loc[stray, "score"] = 6 - votes.loc[stray, "score"]
    made = sreval.read_votes(votes).analyse("standards").sections[0]
    frame, n = made.frame.dropna(subset="nbic"), len(votes)
    assert (frame["n_votes"] < n).any()
    assert any(
        "log(n) parameters / n - 2 log L / k of n votes, k of them kept" in note
        for note in made.notes
    )
    expected = (
        math.log(n) * frame["parameters"] / n - 2 * frame["log_likelihood"] / frame["n_votes"]
    )
    assert np.asarray(frame["nbic"]) == pytest.approx(np.asarray(expected))
