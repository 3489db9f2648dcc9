import math

import pandas as pd
import pytest

from sreval.errors import UsageError
from sreval.opinions.differences import difference_interval, difference_scores
from sreval.opinions.votes import check_votes


def votes() -> pd.DataFrame:
    rows = [
        ("r1", "x", "hr", 5),
        ("r1", "x", "gan", 4),
        ("r1", "y", "hr", 3),
        ("r1", "y", "gan", 5),
        ("r2", "x", "hr", 4),
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


def viewed_unequally(score: dict[str, int]) -> pd.DataFrame:
    """Ten raters of image A and its reference, five each of B and C."""
    rows = [
        (f"r{i}", image, method, 5 if method == "hr" else score[image])
        for i in range(10)
        for image in ("A", "B" if i < 5 else "C")
        for method in ("hr", "m")
    ]
    return check_votes(pd.DataFrame(rows, columns=["rater", "image", "method", "score"]))


def test_images_weigh_alike_in_a_dmos() -> None:
    differences = difference_scores(viewed_unequally({"A": 5, "B": 1, "C": 1})).votes
    found = {n: difference_interval(differences, n).estimate for n in ("raters", "images")}
    assert found == {"raters": pytest.approx(7 / 3), "images": pytest.approx(7 / 3)}


def test_a_dmos_of_unanimous_votes_has_a_width_within_its_scale() -> None:
    differences = difference_scores(viewed_unequally({"A": 5, "B": 5, "C": 5})).votes
    found = difference_interval(differences, level=0.9)
    assert (found.estimate, found.level) == (5, 0.9)
    assert 1 <= found.low < 5 < found.high <= 9


def test_two_raters_give_a_dmos_without_an_interval() -> None:
    assert math.isnan(difference_interval(difference_scores(votes()).votes).low)


def test_an_unknown_interval_of_a_dmos_is_named() -> None:
    with pytest.raises(UsageError, match="Unknown interval 'rater'"):
        difference_interval(difference_scores(votes()).votes, "rater")
