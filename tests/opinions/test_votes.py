import numpy as np
import pandas as pd
import pytest

from sreval.errors import SrevalError, StatisticsError
from sreval.opinions.arrays import Ratings
from sreval.opinions.comparison import compare_methods
from sreval.opinions.mos import mos_table
from sreval.opinions.units import Unit
from sreval.opinions.votes import (
    Scale,
    check_votes,
    exclusions,
    opinions,
    scale_in,
    with_codes,
    with_texts,
    without_raters,
)
from tests.opinions.builders import random_votes


def test_fills_in_what_may_be_left_out() -> None:
    votes = check_votes(random_votes().drop(columns="dataset"))
    first = votes.iloc[0]
    assert (first["study"], first["dataset"], first["kind"]) == ("", "", "vote")
    assert first["scene"] == first["image"]
    assert first["accepted"]
    assert not first["simulated"]
    assert votes["score"].dtype == np.int64


def test_leaves_the_callers_table_alone() -> None:
    table = random_votes()
    before = table.copy()
    check_votes(table)
    pd.testing.assert_frame_equal(table, before)


def _with(column: str, row: int, value: object) -> pd.DataFrame:
    votes = random_votes().astype(object)
    cells = votes[column].to_list() if column in votes else ["vote"] * len(votes)
    cells[row] = value
    return votes.assign(**{column: pd.Series(cells, dtype=object)})


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (random_votes().iloc[:0], "no votes"),
        (random_votes().drop(columns="score"), "lacks score"),
        (_with("score", 3, 3.5), r"between the steps of 1 in row 4: 3\.5"),
        (_with("score", 3, "good"), "no finite number in row 4: 'good'"),
        (_with("score", 3, np.inf), "no finite number in row 4: inf"),
        (_with("score", 3, None), "an empty cell in row 4"),
        (_with("rater", 2, None), "'rater' has an empty cell in row 3"),
        (_with("score", 0, 80), r"outside 1\.\.5 in row 1: 80.*mixes two"),
        (_with("kind", 0, "practice"), "unknown kind in row 1: 'practice'"),
        (pd.concat([random_votes()] * 2), "second vote.*and 283 more"),
        (_with("study", 0, "another"), "mixes 2 studies"),
    ],
)
def test_refuses_by_row(table: pd.DataFrame, message: str) -> None:
    with pytest.raises(SrevalError, match=message):
        check_votes(table)


def test_another_scale_may_be_named() -> None:
    votes = check_votes(random_votes().assign(score=80), Scale(0, 100))
    assert set(votes["score"]) == {80}


def test_a_repeat_is_no_duplicate_and_no_opinion() -> None:
    table = random_votes()
    repeats = table.iloc[:5].assign(kind="repeat")
    votes = check_votes(pd.concat([table.assign(kind="vote"), repeats]))
    assert len(opinions(votes)) == len(table)
    assert exclusions(votes) == {"kind repeat": 5}


def test_votes_not_accepted_are_counted_by_reason() -> None:
    votes = random_votes()
    fast = votes.index < 3
    votes = check_votes(votes.assign(accepted=~fast, reason=np.where(fast, "too fast", "")))
    assert exclusions(votes) == {"not accepted: too fast": 3}
    assert exclusions(votes.drop(columns="reason")) == {"not accepted: no reason given": 3}
    assert len(opinions(votes)) == len(votes) - 3


def test_nothing_accepted_is_an_error() -> None:
    votes = check_votes(random_votes().assign(accepted=False))
    with pytest.raises(SrevalError, match="None of 144 rows"):
        opinions(votes)


def test_raters_are_excluded_by_name() -> None:
    votes = check_votes(random_votes())
    assert set(without_raters(votes, ["r00"])["rater"]) == {f"r{i:02}" for i in range(1, 8)}
    with pytest.raises(SrevalError, match="Unknown rater 'r99'"):
        without_raters(votes, ["r99"])
    with pytest.raises(SrevalError, match="all 8 raters"):
        without_raters(votes, set(votes["rater"]))


@pytest.mark.parametrize(("column", "value"), [("rating_scale", "1..5"), ("task", "acr")])
def test_a_scale_or_task_is_named_in_every_row_or_in_none(column: str, value: str) -> None:
    frame = pd.DataFrame({"rater": ["r", "s"], "image": "x", "method": "a", "score": [1, 2]})
    for empty in ("", " ", None, float("nan")):
        frame[column] = [value, empty]
        with pytest.raises(StatisticsError, match=f"Column '{column}' is empty in row 2"):
            check_votes(frame)
        frame[column] = [empty, empty]
        assert len(check_votes(frame)) == 2


def test_scales_are_compared_and_not_their_texts() -> None:
    frame = pd.DataFrame({"rater": ["r", "s"], "image": "x", "method": "a", "score": [1, 2]})
    same = frame.assign(rating_scale=["0..100", "0..100/0"])
    assert len(check_votes(same, scale_in(same))) == 2
    with pytest.raises(StatisticsError, match=r"mixes the rating scales 0\.\.100 and 0\.\.100/1"):
        check_votes(frame.assign(rating_scale=["0..100", "0..100/1"]), Scale(0, 100))


def test_a_task_that_has_no_votes_is_named_with_its_column() -> None:
    frame = pd.DataFrame({"rater": ["r", "s"], "image": "x", "method": "a", "score": [1, 2]})
    with pytest.raises(
        StatisticsError, match="Column 'task' names no task of votes in row 1"
    ) as it:
        check_votes(frame.assign(task="pair"))
    assert "preferences" in it.value.remedy
    with pytest.raises(StatisticsError, match="in row 2: 'acm'"):
        check_votes(frame.assign(task=["acr", "acm"]))


@pytest.mark.parametrize(
    ("scale", "text"),
    [
        (Scale(1, 1e6), "1..1000000"),
        (Scale(0, 1.5, 0.5), "0..1.5"),
        (Scale(-1e-7, 1, 0), "-0.0000001..1"),
        (Scale(0.1, 0.3, 0), "0.1..0.3"),
        (Scale(0, 123456789), "0..123456789"),
    ],
)
def test_a_scale_is_written_as_a_user_writes_it(scale: Scale, text: str) -> None:
    assert str(scale) == text
    read = Scale.parse(f"{text}/0")
    assert (read.low, read.high) == (scale.low, scale.high)


def test_codes_stand_for_the_same_texts_in_sorted_order() -> None:
    votes = check_votes(random_votes(seed=4, seen=0.7))
    coded = with_codes(votes.iloc[::-1])
    for name in ("rater", "image", "scene", "dataset", "method", "session", "kind", "study"):
        assert list(coded[name].cat.categories) == sorted(set(votes[name]))
    pd.testing.assert_frame_equal(with_texts(coded), votes.iloc[::-1])


def test_codes_change_no_digit_of_a_result() -> None:
    votes = check_votes(random_votes(seed=5, seen=0.7).sample(frac=1, random_state=1))
    coded = with_codes(votes)
    units: tuple[Unit, ...] = ("both", "rater", "image")
    for unit in units:
        one, other = (compare_methods(own, unit=unit)[0].frame() for own in (votes, coded))
        pd.testing.assert_frame_equal(one, other, check_exact=True)
    pd.testing.assert_frame_equal(mos_table(votes), mos_table(coded), check_exact=True)
    for names in (["image"], ["dataset", "image", "method"]):
        groups = votes.groupby(names, sort=True)
        for found in (Ratings.from_votes(votes, names), Ratings.from_votes(coded, names)):
            assert found.stimuli == tuple(groups.size().index)
            assert found.stimulus.tolist() == groups.ngroup().tolist()
            assert [found.raters[code] for code in found.rater] == votes["rater"].tolist()
