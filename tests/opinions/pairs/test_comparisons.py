from typing import Any

import numpy as np
import pandas as pd
import pytest

from sreval.errors import StatisticsError
from sreval.opinions.pairs.comparisons import Comparisons
from tests.opinions.pairs.builders import counted, judgements, study


def test_wins_and_ties_are_counted_whatever_the_side() -> None:
    found = counted([("a", "b", 3, 2, 1), ("b", "a", 4, 1, 0), ("b", "c", 0, 0, 5)])
    assert found.wins().tolist() == [[0, 3, 0], [5, 0, 0], [0, 5, 0]]
    assert found.tied().tolist() == [[0, 3, 0], [3, 0, 0], [0, 0, 0]]
    assert (found.n_judgements, found.n_ties) == (16, 3)


def test_names_are_in_the_order_of_their_numbers_or_as_asked() -> None:
    frame = judgements([("x10", "x9", 1, 0, 1), ("x9", "x1", 1, 0, 1)])
    assert Comparisons.of(frame).methods == ("x1", "x9", "x10")
    asked = Comparisons.of(frame, ["x9", "x1"])
    assert (asked.methods, asked.n_judgements) == (("x9", "x1"), 2)


def test_frames_of_a_sequence_are_one_unit() -> None:
    frame = pd.concat([judgements([("a", "b", 2, 0, 1)], "r", f"foreman/{k:04}") for k in range(3)])
    found = Comparisons.of(frame)
    assert (found.images, found.of_images) == (("foreman",), "sequence")


def test_only_real_judgements_count() -> None:
    frame = study().assign(kind="real")
    frame.loc[::2, "kind"] = "repeat"
    assert Comparisons.of(frame).n_judgements == (frame["kind"] == "real").sum()


def test_methods_among_others_keep_their_judgements() -> None:
    frame = study()
    found = Comparisons.of(frame).among(["c", "a"])
    wanted = Comparisons.of(frame, ["c", "a"])
    assert found.methods == wanted.methods
    assert np.array_equal(found.wins(), wanted.wins())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"choice": "both"}, "Unknown choice 'both'"),
        ({"choice": np.nan}, "Unknown choice"),
        ({"count": 0}, "above 0, got 0"),
        ({"count": np.nan}, "above 0, got nan"),
        ({"right": "a", "left": "a"}, "'a' is compared with itself"),
    ],
)
def test_what_is_no_judgement_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(StatisticsError, match=message):
        Comparisons.of(study().assign(**change))


def test_too_little_to_compare_is_refused() -> None:
    frame = study()
    with pytest.raises(StatisticsError, match="holds no judgements"):
        Comparisons.of(frame[:0])
    with pytest.raises(StatisticsError, match="several data sets: Set5, Set14"):
        Comparisons.of(pd.concat([frame.assign(dataset=name) for name in ("Set5", "Set14")]))
    with pytest.raises(StatisticsError, match="compares z with another"):
        Comparisons.of(frame, ["a", "b", "z"])
    for methods in (["a"], ["a", "a"], []):
        with pytest.raises(StatisticsError, match=r"two different methods|compares a"):
            Comparisons.of(frame, methods)
