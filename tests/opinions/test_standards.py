import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sreval.errors import StatisticsError
from sreval.opinions.arrays import Floats, Ratings
from sreval.opinions.simulation import RaterModel
from sreval.opinions.standards import (
    P910,
    PROCEDURES,
    Outcome,
    cast,
    recovered_differences,
    uncorrelated,
)
from sreval.opinions.votes import ACR, check_votes
from tests.opinions.builders import random_votes, votes_table

GOLDEN = json.loads((Path(__file__).parent / "golden" / "standards.json").read_text())


def outcome(name: str, votes: pd.DataFrame, level: float = 0.95) -> Outcome:
    return PROCEDURES[name].run(cast(check_votes(votes)), level, ACR)


@pytest.fixture(scope="module")
def with_outliers(nflx: Floats) -> pd.DataFrame:
    """Netflix' public votes and those of four raters in a wrong order: r26 to r29."""
    return votes_table(np.hstack([nflx, GOLDEN["shuffled"]])[None])


@pytest.mark.parametrize("name", ["MOS", "P.913", P910])
def test_nbic_reaches_the_papers_and_sureals_figures(
    with_outliers: pd.DataFrame, name: str
) -> None:
    found = outcome(name, with_outliers)
    assert found.nbic == pytest.approx(GOLDEN["sureal"][name]["bic"], abs=1e-6)
    assert math.floor(found.nbic * 100) / 100 == GOLDEN["printed"][name]
    assert [int(str(rater)[1:]) for rater in found.rejected] == GOLDEN["sureal"][name]["rejected"]


def test_bt500_rejects_by_the_sample_deviation_where_sureal_takes_the_populations(
    with_outliers: pd.DataFrame,
) -> None:
    found = outcome("BT.500", with_outliers)
    assert found.rejected == ("r26", "r29")
    assert GOLDEN["sureal"]["BT.500"]["rejected"] == [26, 28, 29]


def test_p913s_correlation_finds_all_who_were_shuffled(with_outliers: pd.DataFrame) -> None:
    assert outcome("P.913 (correlation)", with_outliers).rejected == ("r26", "r27", "r28", "r29")


@pytest.mark.parametrize(
    ("name", "model"), [("MOS", "MOS"), ("bias removed", "BR_MOS"), (P910, "P910")]
)
def test_nflx_reaches_sureals_figures(nflx: Floats, expected: Any, name: str, model: str) -> None:
    published = expected["nflx_public"]["models"][model]
    found = outcome(name, votes_table(nflx[None]))
    half = (found.stimuli["high"] - found.stimuli["low"]) / 2
    assert found.stimuli["mos"].to_list() == pytest.approx(published["quality_scores"])
    assert half.to_list() == pytest.approx(published["quality_scores_ci95"][0])
    assert found.log_likelihood / found.n_kept == pytest.approx(published["loglikelihood"])
    assert found.nbic == pytest.approx(published["bic"])


def repeated(votes: list[list[list[int]]]) -> pd.DataFrame:
    rows = [
        (f"r{rater}", f"i{image}", "m", score, "repeat" if which else "vote")
        for image, of_image in enumerate(votes)
        for rater, scores in enumerate(of_image)
        for which, score in enumerate(scores)
    ]
    return pd.DataFrame(rows, columns=["rater", "image", "method", "score", "kind"])


@pytest.mark.parametrize("name", ["MOS", P910])
def test_repeats_are_votes_as_in_sureal(name: str) -> None:
    published = GOLDEN["repeated"][name]
    found = outcome(name, repeated(GOLDEN["repeated"]["votes"]))
    half = (found.stimuli["high"] - found.stimuli["low"]) / 2
    assert found.stimuli["mos"].to_list() == pytest.approx(published["quality"], abs=1e-6)
    assert half.to_list() == pytest.approx(published["half_width"], abs=1e-6)
    mean = found.log_likelihood / found.n_kept
    assert mean == pytest.approx(published["log_likelihood"], abs=1e-6)


def test_votes_that_are_all_repeated_change_no_estimate() -> None:
    first = random_votes(3, raters=9).assign(kind="vote")
    both = pd.concat([first, first.assign(kind="repeat")])
    for name in PROCEDURES:
        once, twice = outcome(name, first), outcome(name, both)
        assert twice.rejected == once.rejected
        assert twice.stimuli["mos"].to_list() == pytest.approx(once.stimuli["mos"].to_list())
        assert (twice.stimuli["n"] == 2 * once.stimuli["n"]).all()


def test_votes_that_were_not_accepted_count_nowhere() -> None:
    votes = random_votes(4).assign(accepted=True)
    votes.loc[votes["rater"] == "r00", "accepted"] = False
    for name in PROCEDURES:
        ours, without = outcome(name, votes), outcome(name, votes[votes["rater"] != "r00"])
        pd.testing.assert_frame_equal(ours.stimuli, without.stimuli)
    with pytest.raises(StatisticsError, match="None of 144 rows"):
        cast(check_votes(votes.assign(accepted=False)))


def test_correlation_rejects_one_at_a_time_and_calculates_anew() -> None:
    generator = np.random.default_rng(2)
    quality = generator.uniform(1, 5, 30)[:, None]
    matrix = quality + generator.normal(size=(30, 8)) * np.array([0.2, 0.3, 3, 0.4, 5, 1, 1.5, 0.3])
    left, expected = list(range(8)), []
    while True:
        mos = matrix[:, left].mean(axis=1)
        found = [np.corrcoef(matrix[:, rater], mos)[0, 1] for rater in left]
        if min(found) >= 0.75:
            break
        expected.append(left.pop(int(np.argmin(found))))
    assert len(expected) > 1
    assert uncorrelated(Ratings.from_matrix(matrix)) == expected


def test_constant_raters_have_no_correlation_and_stay() -> None:
    matrix = np.column_stack([np.arange(1, 6), np.arange(1, 6), np.full(5, 3.0)])
    assert uncorrelated(Ratings.from_matrix(matrix.astype(float))) == []


def test_a_rule_that_rejects_everybody_is_an_error() -> None:
    """Each of 30 raters is far above all on one stimulus, and far below on another."""
    matrix = np.empty((30, 30))
    others = np.repeat([2.0, 3, 4], (9, 10, 9))
    for image, row in enumerate(matrix):
        row[:] = np.roll(np.concatenate([[5, 1], others]), image)
    with pytest.raises(StatisticsError, match="rejects all 30 raters"):
        outcome("BT.500", votes_table(matrix[None]))


def test_nbic_is_missing_where_a_raters_votes_became_the_quality() -> None:
    generator = np.random.default_rng(1)
    matrix = np.clip(
        np.rint(generator.normal(3, 1, (14, 1)) + generator.normal(size=(14, 3))), 1, 5
    )
    found = outcome(P910, votes_table(matrix[None]))
    assert found.collapsed
    assert math.isnan(found.nbic)


def test_differences_are_of_recovered_quality_within_a_part() -> None:
    one = random_votes(5, methods=2, raters=9).replace({"method": {"a": "x", "b": "hr"}})
    other = one.assign(dataset="Set14", rater="other-" + one["rater"])
    found = outcome(P910, pd.concat([one, other]))
    assert sorted(found.stimuli["part"].unique()) == [1, 2]
    of = {method: found.stimuli.xs(method, level="method").sort_index() for method in ("x", "hr")}
    quality = {method: table["mos"].to_numpy() for method, table in of.items()}
    half = {m: (table["high"] - table["low"]).to_numpy() / 2 for m, table in of.items()}
    made = recovered_differences(found, "hr").sort_index()
    assert made["dmos"].to_numpy() == pytest.approx(quality["x"] - quality["hr"] + 5)
    width = (made["high"] - made["dmos"]).to_numpy()
    assert width == pytest.approx(np.sqrt(half["x"] ** 2 + half["hr"] ** 2))
    assert recovered_differences(found, "none").empty


@pytest.mark.parametrize(("bias_sd", "spread"), [(0.8, 0.7), (0.8, 0.0), (0.0, 0.0)])
def test_annex_e_is_preferred_on_votes_of_its_own_model(bias_sd: float, spread: float) -> None:
    generator = np.random.default_rng(3)
    model = RaterModel(taste_sd=0, bias_sd=bias_sd, inconsistency_spread=spread, lapse_rate=0)
    raters = model.draw_raters(20, 1, generator)
    scores = model.draw_scores(
        raters, generator.uniform(2, 4, 60), np.zeros(60, np.intp), generator
    )
    votes = votes_table(scores[None])
    found = {name: outcome(name, votes).nbic for name in ("MOS", "bias removed", P910)}
    assert min(found, key=lambda name: found[name]) == P910
    if bias_sd:
        assert found["bias removed"] < found["MOS"]


def test_a_spread_of_each_stimulus_is_preferred_where_stimuli_differ_in_it() -> None:
    generator = np.random.default_rng(0)
    noise = generator.normal(size=(40, 30)) * np.repeat([0.3, 1.5], 20)[:, None]
    scores = np.clip(np.rint(3 + noise), 1, 5)
    found = {name: outcome(name, votes_table(scores[None])).nbic for name in ("MOS", P910)}
    assert found["MOS"] < found[P910]
