import itertools
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sreval.errors import SrevalError
from sreval.opinions.comparison import compare_methods, friedman
from sreval.opinions.significance import benjamini_hochberg, holm, signed_rank
from sreval.opinions.units import Unit
from sreval.opinions.votes import check_votes
from tests.opinions.builders import random_votes


@pytest.fixture(scope="module")
def votes() -> pd.DataFrame:
    return check_votes(random_votes(seed=1, methods=4, images=7, raters=9))


@pytest.mark.parametrize("unit", ["rater", "image"])
def test_pairs_are_signed_rank_tests_of_the_units_means(votes: pd.DataFrame, unit: str) -> None:
    (comparison,) = compare_methods(votes, unit=unit)  # type: ignore[arg-type]
    means = votes.groupby([unit, "method"])["score"].mean().unstack()
    assert len(comparison.pairs) == 6
    for pair in comparison.pairs:
        expected = signed_rank(means[pair.first], means[pair.second])
        assert pair.p == pytest.approx(expected.p, abs=1e-12)
        assert pair.difference is not None
        assert pair.difference.estimate == pytest.approx(
            (means[pair.first] - means[pair.second]).mean()
        )
        assert (pair.n, pair.excluded) == (len(means), 0)
    assert comparison.warning == ""


def test_p_values_are_adjusted_within_the_data_set(votes: pd.DataFrame) -> None:
    other = random_votes(seed=2, methods=4).assign(dataset="Set14")
    both = check_votes(pd.concat([votes[other.columns], other]))
    alone, together = compare_methods(votes)[0], compare_methods(both)[1]
    assert together.dataset == "Set5"
    assert together.pairs == alone.pairs
    for name, adjust in [("holm", holm), ("benjamini-hochberg", benjamini_hochberg)]:
        (comparison,) = compare_methods(votes, adjustment=name)
        expected = adjust([pair.p for pair in comparison.pairs])
        assert [pair.p_adjusted for pair in comparison.pairs] == expected.tolist()


def test_letters_follow_the_adjusted_tests(votes: pd.DataFrame) -> None:
    (comparison,) = compare_methods(votes)
    means = votes.groupby("method")["score"].mean()
    assert list(comparison.methods) == list(means.sort_values(ascending=False).index)
    assert comparison.letters[comparison.methods[0]].startswith("a")
    for pair in comparison.pairs:
        share = set(comparison.letters[pair.first]) & set(comparison.letters[pair.second])
        assert bool(share) == (pair.p_adjusted >= 0.05)


def test_only_common_images_count_and_units_without_any_are_excluded() -> None:
    rows = [
        ("r1", "x", "a", 5),
        ("r1", "x", "b", 3),
        ("r1", "y", "a", 1),
        ("r2", "x", "a", 4),
        ("r2", "y", "b", 2),
    ]
    votes = check_votes(pd.DataFrame(rows, columns=["rater", "image", "method", "score"]))
    (comparison,) = compare_methods(votes)
    (pair,) = comparison.pairs
    assert (pair.n, pair.excluded) == (1, 1)
    assert pair.difference is not None
    assert abs(pair.difference.estimate) == 2


def test_a_pair_that_nobody_rated_has_no_p_and_does_not_count_in_the_adjustment() -> None:
    votes = random_votes(seed=1, methods=3, raters=12)
    halves = votes["rater"] < "r06"
    split = check_votes(
        votes[((votes["method"] != "b") | halves) & ((votes["method"] != "a") | ~halves)]
    )
    (comparison,) = compare_methods(split)
    pairs = {frozenset((p.first, p.second)): p for p in comparison.pairs}
    nobody = pairs[frozenset("ab")]
    assert nobody.test is None
    assert math.isnan(nobody.p_adjusted)
    assert nobody.too_small
    rest = [p for p in comparison.pairs if p is not nobody]
    assert [p.p_adjusted for p in rest] == holm([p.p for p in rest]).tolist()
    assert len(comparison.frame()) == 3


def test_five_images_are_too_few_for_a_pair() -> None:
    votes = check_votes(random_votes(images=5, raters=30))
    assert all(pair.too_small for pair in compare_methods(votes, unit="image")[0].pairs)
    assert not any(pair.too_small for pair in compare_methods(votes)[0].pairs)


def test_pooled_votes_come_with_their_warning(votes: pd.DataFrame) -> None:
    (comparison,) = compare_methods(votes, unit="pooled")
    assert "not independent" in comparison.warning
    assert {pair.n for pair in comparison.pairs} == {63}


def test_friedman_agrees_with_scipy(votes: pd.DataFrame) -> None:
    (comparison,) = compare_methods(votes)
    means = votes.groupby(["rater", "method"])["score"].mean().unstack().round(10)
    expected = stats.friedmanchisquare(*means.to_numpy().T)
    assert comparison.friedman is not None
    assert comparison.friedman.chi_square == pytest.approx(expected.statistic, rel=1e-12)
    assert comparison.friedman.p == pytest.approx(expected.pvalue, rel=1e-10)


def test_friedman_without_any_difference_or_with_too_little() -> None:
    result = friedman(np.ones((5, 3)))
    assert result is not None
    assert result.p == 1
    assert friedman(np.ones((5, 2))) is None
    assert friedman(np.array([[1.0, 2.0, np.nan]] * 4)) is None


def test_all_votes_equal_is_no_difference_anywhere(votes: pd.DataFrame) -> None:
    for unit in ("rater", "image", "pooled"):
        (comparison,) = compare_methods(votes.assign(score=3), unit=unit)
        assert {pair.p for pair in comparison.pairs} == {1}
        assert all(pair.too_small for pair in comparison.pairs)
        assert comparison.letters == {}
        for pair in comparison.pairs:
            assert pair.difference is not None
            assert -4 <= pair.difference.low < pair.difference.estimate == 0
            assert pair.difference.high == pytest.approx(-pair.difference.low)


def test_chosen_methods_only(votes: pd.DataFrame) -> None:
    (comparison,) = compare_methods(votes, methods=["a", "d"])
    assert len(comparison.pairs) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"unit": "vote"}, "Unknown unit 'vote'"),
        ({"adjustment": "bonferroni"}, "Unknown adjustment"),
        ({"methods": ["a", "srgan"]}, "Unknown method 'srgan'.*no votes"),
        ({"methods": ["a"]}, "one method only: a"),
    ],
)
def test_refuses(votes: pd.DataFrame, options: dict[str, object], message: str) -> None:
    with pytest.raises(SrevalError, match=message):
        compare_methods(votes, **options)  # type: ignore[arg-type]


def test_false_alarms_stay_at_alpha_when_raters_have_tastes_of_their_own() -> None:
    generator = np.random.default_rng(0)
    alarms = {"rater": 0, "pooled": 0}
    for _ in range(150):
        taste = generator.normal(0, 0.3, (2, 1, 12))
        latent = 3 + taste + generator.normal(0, 0.8, (2, 40, 12))
        first, second = np.clip(np.rint(latent), 1, 5)
        by_rater = signed_rank(first.mean(axis=0), second.mean(axis=0))
        alarms["rater"] += by_rater.p < 0.05
        alarms["pooled"] += signed_rank(first.ravel(), second.ravel()).p < 0.05
    assert alarms["rater"] <= 15
    assert alarms["pooled"] > 40


def test_every_pair_of_methods_is_there(votes: pd.DataFrame) -> None:
    (comparison,) = compare_methods(votes)
    pairs = {frozenset((p.first, p.second)) for p in comparison.pairs}
    assert pairs == {frozenset(pair) for pair in itertools.combinations("abcd", 2)}


@pytest.mark.parametrize("unit", ["rater", "image"])
def test_frames_are_compared_by_their_sequences_means(unit: Unit) -> None:
    """Sequences of 1 to 4 frames, written out; a rater's frame rated once doesn't count."""
    made = random_votes(images=10)
    sequences = dict(zip(sorted(made["image"].unique()), "abbbccdddd", strict=True))
    made = check_votes(made.assign(image=made["image"].map(lambda n: f"{sequences[n]}/{n}")))
    made = made.drop(made.index[(made["rater"] == "r00") & (made["image"] == "a/img_000")][:1])
    (found,) = compare_methods(made, unit=unit)
    assert (found.unit, found.of) == (unit, "sequence")
    assert set(found.frame()["unit"]) == {"sequence" if unit == "image" else "rater"}
    for pair in found.pairs:
        both = made.pivot(index=["rater", "image"], columns="method", values="score")
        both = both[[pair.first, pair.second]].dropna().reset_index()
        both["sequence"] = both["image"].str[0]
        first = ["image", "sequence"] if unit == "image" else ["rater", "sequence"]
        means = both.groupby(first)[[pair.first, pair.second]].mean()
        means = means.groupby("sequence" if unit == "image" else "rater").mean()
        assert pair.n == len(means) == (4 if unit == "image" else 8)
        gaps = means[pair.first] - means[pair.second]
        assert pair.difference is not None
        assert pair.difference.estimate == pytest.approx(gaps.mean())
        assert pair.p == pytest.approx(stats.wilcoxon(gaps.round(10), method="exact").pvalue)
