import pandas as pd
import pytest

from sreval.errors import SrevalError
from sreval.statistics.conduct import (
    gold_questions,
    hasty,
    inverted,
    straight_lining,
    unsteady_repeats,
)
from sreval.statistics.votes import check_votes


def table(scores: dict[str, list[int]], method: str = "a", kind: str = "vote") -> pd.DataFrame:
    """Votes of the named raters on images of one method."""
    rows = [(r, f"i{n}", s) for r, given in scores.items() for n, s in enumerate(given)]
    frame = pd.DataFrame(rows, columns=["rater", "image", "score"])
    return check_votes(frame.assign(method=method, kind=kind))


def test_gold_questions_count_the_wrong_answers() -> None:
    votes = table({"good": [1, 2, 1, 2], "bad": [1, 4, 5, 2]}, kind="gold")
    result = gold_questions(votes, {"a": (1, 2)})
    assert result.table["wrong"].to_dict() == {"bad": 2, "good": 0}
    assert result.rejected == ("bad",)
    with pytest.raises(SrevalError, match="Unknown gold answer for method 'a'"):
        gold_questions(votes, {"b": (1, 2)})
    with pytest.raises(SrevalError, match="no gold"):
        gold_questions(table({"good": [1]}), {"a": (1, 2)})


def test_unsteady_repeats() -> None:
    first = table({"steady": [3, 3], "unsteady": [1, 5]})
    second = table({"steady": [3, 4], "unsteady": [5, 4]}, kind="repeat")
    result = unsteady_repeats(pd.concat([first, second]))
    assert result.table["mean_change"].to_dict() == {"steady": 0.5, "unsteady": 2.5}
    assert result.rejected == ("unsteady",)


def test_hasty_raters() -> None:
    votes = table({"slow": [3, 4], "fast": [3, 4], "untimed": [1, 2]})
    votes["response_ms"] = [900, 2500, 200, 900, None, None]
    result = hasty(votes)
    assert result.rejected == ("fast",)
    assert result.table["median_ms"].to_dict() == {"fast": 550, "slow": 1700}
    assert result.skipped == {"raters not judged": 1}
    with pytest.raises(SrevalError, match="no response times"):
        hasty(votes.drop(columns="response_ms"))


def test_straight_lining_by_share_and_by_run() -> None:
    varied = [1, 2, 3, 4, 5] * 8
    runs = [3] * 32 + [1] * 8
    votes = table({"varied": varied, "line": [3] * 40, "run": runs})
    assert straight_lining(votes).rejected == ("line",)
    votes["position"] = votes.groupby("rater").cumcount()
    result = straight_lining(votes)
    assert result.table["run"].to_dict() == {"line": 40, "run": 32, "varied": 1}
    assert result.rejected == ("line", "run")


def test_runs_follow_the_order_shown_and_not_the_order_of_rows() -> None:
    votes = table({"r": [1, 5] * 20})
    votes["position"] = [*range(0, 40, 2), *range(1, 40, 2)]
    assert straight_lining(votes).table["run"].to_list() == [2]


def test_inverted_scales() -> None:
    worse = table({"upright": [1, 2, 1], "turned": [5, 4, 2]}, method="nearest")
    better = table({"upright": [5, 4, 4], "turned": [1, 4, 5]}, method="HR")
    votes = pd.concat([worse, better])
    result = inverted(votes)
    assert result.table["inverted"].to_dict() == {"turned": pytest.approx(2 / 3), "upright": 0}
    assert result.rejected == ("turned",)
    with pytest.raises(SrevalError, match="Unknown method 'bicubic'"):
        inverted(votes, worse="bicubic")
