"""What ``sreval opinions --analyse ordinal`` says, of votes of every kind."""

from __future__ import annotations

import json
import re

import pandas as pd
import pytest

import sreval
from sreval.api.votes import Analysis
from sreval.errors import StatisticsError
from sreval.opinions.units import Unit
from sreval.report.opinions import ON_REQUEST
from tests.opinions.builders import random_votes


@pytest.fixture(scope="module")
def votes() -> pd.DataFrame:
    """Two data sets, of which one has too few images, and a method that is always worst."""
    first = random_votes(seed=3, methods=4, images=4, raters=6)
    first.loc[first["method"] == "a", "score"] = 1
    second = random_votes(seed=4, methods=3, images=2, raters=6).assign(dataset="Set2")
    return pd.concat([first, second], ignore_index=True)


@pytest.fixture(scope="module")
def told() -> list[tuple[int, int]]:
    return []


@pytest.fixture(scope="module")
def found(votes: pd.DataFrame, told: list[tuple[int, int]]) -> Analysis:
    read = sreval.read_votes(votes)
    return read.analyse("ordinal", progress=lambda done, total: told.append((done, total)))


def test_contrasts_stand_beside_those_of_means(found: Analysis) -> None:
    table, compared = found.sections[0], found.votes.analyse("compare").sections
    (means,) = [made.frame for made in compared if made.facts["dataset"] == "Set5"]
    pairs = ["first", "second"]
    assert table.frame[pairs].to_numpy().tolist() == means[pairs].to_numpy().tolist()
    assert table.frame["mos_difference"].to_list() == means["difference"].to_list()
    fitted = table.frame[~table.frame["unbounded"]]
    assert set(fitted["first"]) | set(fitted["second"]) == {"b", "c", "d"}
    assert (fitted["log_odds"] * fitted["mos_difference"] > 0).all()
    assert ((fitted["superiority"] > 0.5) == (fitted["log_odds"] > 0)).all()
    inside = fitted["superiority"].between(fitted["superiority_low"], fitted["superiority_high"])
    assert inside.all()


def test_a_method_that_is_always_worst_has_no_number(found: Analysis) -> None:
    table = found.sections[0]
    without = table.frame[table.frame["unbounded"]]
    assert set(without["second"]) == {"a"}
    assert without[["log_odds", "low", "p", "superiority"]].isna().all(axis=None)
    assert "unbounded" in found.text
    assert "Votes on a are all the lowest" in found.text
    rows = json.loads(json.dumps(found.records()))["sections"][0]["rows"]
    assert [row["log_odds"] for row in rows if row["unbounded"]] == [None] * 3


def test_the_note_counts_the_pairs_on_which_both_disagree(found: Analysis) -> None:
    table = found.sections[0]
    fitted = table.frame[~table.frame["unbounded"]]
    other = (fitted["significant"].astype(bool) != fitted["mos_significant"]).sum()
    assert (table.facts["disagree"], table.facts["pairs"]) == (other, 3)
    if other:
        assert f"disagree on {other} of 3 pairs, " in found.text
    else:
        assert "Both find the same of the 3 pairs that both judge" in found.text


def test_the_families_of_both_adjustments_are_told(found: Analysis) -> None:
    assert "Its p is adjusted over all 6 pairs; 3 of them are unbounded" in found.text
    assert "adjusts over 3." in found.text
    assert "Holm over 3 pairs" in found.text
    assert re.search("Thresholds: those of votes on [bcd], whose effect is 0", found.text)


def refused(kind: str) -> tuple[pd.DataFrame, str]:
    votes = random_votes(seed=3, methods=3, images=4, raters=6)
    if kind == "two raters":
        return votes[votes["rater"].isin(["r00", "r01"])], "gather votes of more raters"
    if kind == "two images":
        few = votes["image"].unique()[:2]
        return votes[votes["image"].isin(few)], "gather votes on more images"
    if kind == "continuous":
        return votes.assign(score=votes["score"] * 11.5), "0..100/10"
    if kind == "all the same":
        return votes.assign(score=3), "All votes are 3: "
    low = votes["method"].map({"a": 1, "b": 1, "c": 4}).astype(int)
    part = votes["image"] == votes["image"].iloc[0]
    if kind == "separated":
        return votes.assign(score=low + part), "those on a, b are all 2 or less, those on c all 4"
    return votes.assign(score=low), "none of 3 methods is left to compare"


@pytest.mark.parametrize(
    "kind", ["two raters", "two images", "continuous", "all the same", "separated", "extremes"]
)
@pytest.mark.parametrize("sets", [1, 2])
def test_every_refusal_names_the_thing_and_a_remedy(kind: str, sets: int) -> None:
    votes, what = refused(kind)
    scale = "0..100" if kind == "continuous" else "1..5"
    both = [votes.assign(dataset=f"Set{n}") for n in range(sets)]
    read = sreval.read_votes(pd.concat(both, ignore_index=True), scale=scale)
    with pytest.raises(StatisticsError) as raised:
        read.analyse("ordinal")
    told = str(raised.value)
    assert told.count(what) == sets
    assert ('analyse("compare")' in told) == (kind not in ("continuous", "all the same"))
    if sets == 1:
        assert raised.value.remedy


@pytest.mark.parametrize(
    ("unit", "test"), [("both", "Student's t test"), ("rater", "Wilcoxon signed-rank test")]
)
def test_the_test_of_means_is_named(votes: pd.DataFrame, unit: Unit, test: str) -> None:
    own = votes[votes["dataset"] != "Set2"]
    assert f"By MOS: {test}" in sreval.read_votes(own).analyse("ordinal", unit=unit).text


def test_raters_and_parameters_have_their_tables(found: Analysis) -> None:
    titles = [section.title for section in found.sections]
    assert titles == [
        "Which methods differ by an ordinal model on Set5",
        "Parameters of the ordinal model on Set5",
        "The raters of the ordinal model on Set5",
    ]
    assert found.sections[2].frame["rater"].to_list() == [f"r{i:02}" for i in range(6)]
    assert abs(found.sections[2].frame["bias"].mean()) < 0.3


def test_a_data_set_that_cannot_be_fitted_stops_no_other(found: Analysis) -> None:
    assert "Not done: Set2: The ordinal model speaks of raters and images in general" in found.text


def test_progress_ends_within_the_votes(found: Analysis, told: list[tuple[int, int]]) -> None:
    assert found.sections
    done = [own for own, _ in told]
    assert done == sorted(done)
    assert {total for _, total in told} == {len(found.votes)}
    assert 0 < done[-1] <= len(found.votes)


def test_it_is_made_when_asked_alone(votes: pd.DataFrame) -> None:
    assert "ordinal" in ON_REQUEST
    slider = votes.assign(score=votes["score"] * 11.5)
    with pytest.raises(StatisticsError, match="is continuous"):
        sreval.read_votes(slider, scale="0..100").analyse("ordinal")
