import pandas as pd
import pytest

from sreval.errors import UsageError
from sreval.statistics.differences import difference_scores
from sreval.statistics.votes import check_votes


def votes() -> pd.DataFrame:
    rows = [
        ("r1", "x", "HR", 5),
        ("r1", "x", "gan", 4),
        ("r1", "y", "HR", 3),
        ("r1", "y", "gan", 5),
        ("r2", "x", "HR", 4),
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
