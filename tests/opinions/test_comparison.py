import itertools
import math

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from sreval.errors import SrevalError, UsageError
from sreval.opinions.comparison import compare_methods, friedman
from sreval.opinions.crossed import CrossedMean, crossed_mean
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


def differences(votes: pd.DataFrame, first: str, second: str) -> pd.DataFrame:
    """A row a rater and image that has both votes, written out."""
    wide = votes.pivot(index=["rater", "image"], columns="method", values="score")
    wide = wide[[first, second]].dropna()
    return (wide[first] - wide[second]).rename("gap").reset_index()


def crossed(gaps: pd.DataFrame, values: npt.ArrayLike, image: str = "image") -> CrossedMean:
    codes = (pd.factorize(gaps[name])[0] for name in ("rater", image))
    return crossed_mean(np.asarray(values, dtype=float), *codes)


@pytest.mark.parametrize("seen", [1.0, 0.85])
def test_over_both_a_pair_is_the_crossed_test_beside_the_other_two(seen: float) -> None:
    votes = check_votes(random_votes(seed=1, methods=4, images=7, raters=9, seen=seen))
    (made,) = compare_methods(votes)
    assert (made.unit, made.of, made.why) == ("both", "image", "")
    assert made.claim == "raters and images in general"
    alone = {unit: compare_methods(votes, unit=unit)[0].frame() for unit in ("rater", "image")}
    frame = made.frame()
    p = []
    for pair in made.pairs:
        gaps = differences(votes, pair.first, pair.second)
        found = crossed(gaps, gaps["gap"])
        p.append(found.p)
        assert pair.difference is not None
        assert pair.difference.estimate == pytest.approx(found.estimate)
        low, high = found.limits(0.95)
        assert (pair.difference.low, pair.difference.high) == pytest.approx((low, high))
        sizes = (gaps["rater"].nunique(), gaps["image"].nunique(), len(gaps))
        assert (pair.n_raters, pair.n_images, pair.n_pairs) == sizes
        assert pair.n == min(sizes[:2])
        spread = math.hypot(found.sd_rater, found.sd_image, found.sd_rest)
        assert pair.d_z == pytest.approx(found.estimate / spread)
    assert frame["p"].tolist() == pytest.approx(p)
    assert frame["p_adjusted"].tolist() == pytest.approx(holm(p))
    for unit, own in alone.items():
        assert frame[f"p_{unit}_adjusted"].tolist() == own["p_adjusted"].tolist()
        assert own["p_rater_adjusted"].isna().all()
    assert frame["rank_biserial"].tolist() == alone["rater"]["rank_biserial"].tolist()


@given(st.integers(0, 10**6), st.sampled_from(["holm", "benjamini-hochberg", "none"]))
@settings(max_examples=15, deadline=None)
def test_matching_intervals_exclude_zero_where_the_adjusted_test_finds(
    seed: int, adjustment: str
) -> None:
    """Also of unanimous votes, and of differences at the end of the scale."""
    votes = random_votes(seed, methods=5, images=6, raters=6, seen=1 - seed % 3 / 10)
    if seed % 4 == 0:
        votes["score"] = votes["method"].map({"a": 1, "b": 1, "c": 5, "d": 4, "e": 5})
    (made,) = compare_methods(check_votes(votes), unit="both", adjustment=adjustment)
    for pair in made.pairs:
        assert (pair.adjusted is None) == (pair.n < 5)
        if pair.adjusted is None:
            continue
        assert -4 <= pair.adjusted.low <= pair.adjusted.estimate <= pair.adjusted.high <= 4
        excluded = pair.adjusted.low > 0 or pair.adjusted.high < 0
        assert excluded == pair.verdict.significant


def test_unanimous_votes_leave_an_error_and_no_differences_none_shown() -> None:
    votes = random_votes(methods=3, images=5, raters=5)
    votes["score"] = votes["method"].map({"a": 2, "b": 2, "c": 3})
    (made,) = compare_methods(check_votes(votes))
    by = {(pair.first, pair.second): pair for pair in made.pairs}
    assert by["a", "b"].p == 1
    assert 0 < by["c", "a"].p < 0.05
    assert by["c", "a"].superiority is not None
    assert by["c", "a"].superiority.estimate == by["c", "a"].superiority.high == 1
    assert 0.5 < by["c", "a"].superiority.low < 1
    assert math.isnan(by["a", "b"].d_z)


@pytest.mark.parametrize("unit", ["both", "rater", "image", "pooled"])
def test_superiority_counts_votes_and_holds_for_both(unit: Unit) -> None:
    votes = check_votes(random_votes(seed=5, images=6, raters=8))
    (made,) = compare_methods(votes, unit=unit)
    for pair in made.pairs:
        gaps = differences(votes, pair.first, pair.second)
        wins = [(gap > 0) + (gap == 0) / 2 for gap in gaps["gap"]]
        assert pair.superiority is not None
        assert pair.superiority.estimate == pytest.approx(np.mean(wins))
        assert (
            pair.superiority.estimand == "probability of superiority: raters and images in general"
        )
        low, high = crossed(gaps, wins).limits(0.95)
        if 0.25 < low < high < 0.75:
            assert (pair.superiority.low, pair.superiority.high) == pytest.approx((low, high))
        assert 0 <= pair.superiority.low <= pair.superiority.high <= 1


def test_superiority_counts_frames_and_not_means_of_sequences() -> None:
    """In every sequence the first wins one frame of four by much and loses three by little."""
    gaps = np.array([4, -1, -1, -1])
    scores = np.stack([np.where(gaps > 0, 5, 1), np.where(gaps > 0, 1, 2)]).astype(float)
    votes = pd.DataFrame(
        {"rater": f"r{rater}", "image": f"s{s}/{frame}.png", "method": method, "score": score}
        for rater in range(5)
        for s in range(5)
        for method, own in zip("ab", scores, strict=True)
        for frame, score in enumerate(own)
    )
    (made,) = compare_methods(check_votes(votes))
    (pair,) = made.pairs
    assert (pair.first, made.of) == ("a", "sequence")
    assert pair.difference is not None
    assert pair.difference.estimate == pytest.approx(0.25)
    assert pair.superiority is not None
    assert pair.superiority.estimate == pytest.approx(0.25)


def test_frames_count_as_their_sequence_over_both() -> None:
    made = random_votes(images=12, raters=6)
    made["image"] = made["image"].map(lambda name: f"s{int(name[-3:]) % 5}/{name}")
    votes = check_votes(made)
    (found,) = compare_methods(votes)
    assert (found.unit, found.claim) == ("both", "raters and sequences in general")
    for pair in found.pairs:
        gaps = differences(votes, pair.first, pair.second)
        gaps["sequence"] = gaps["image"].str.partition("/")[0]
        means = gaps.groupby(["rater", "sequence"], as_index=False).agg({"gap": "mean"})
        assert pair.p == pytest.approx(crossed(means, means["gap"], "sequence").p)
        assert (pair.n_images, pair.n_pairs) == (5, 72)


@pytest.mark.parametrize(
    ("raters", "images", "unit"), [(5, 5, "both"), (4, 5, "rater"), (5, 4, "rater")]
)
def test_the_default_unit_needs_five_of_both(raters: int, images: int, unit: str) -> None:
    (made,) = compare_methods(check_votes(random_votes(raters=raters, images=images)))
    assert made.unit == unit
    assert (f"here are {raters} raters and {images} images" in made.why) == (unit == "rater")


@pytest.mark.parametrize(("raters", "images"), [(4, 6), (6, 4), (1, 1)])
def test_a_test_over_both_needs_five_of_both(raters: int, images: int) -> None:
    votes = check_votes(random_votes(raters=raters, images=images))
    (made,) = compare_methods(votes, unit="both", margin=0.5)
    for pair in made.pairs:
        assert (pair.test, pair.mean, pair.too_small) == (None, None, True)
        assert pair.equivalence is not None
        assert pair.equivalence.verdict == "n too small"
        assert math.isnan(pair.p)
    assert made.letters == {}


@pytest.mark.parametrize(("common", "made"), [(4, False), (5, True)])
def test_of_all_votes_a_test_over_both_needs_five_in_common(common: int, made: bool) -> None:
    """Raters saw most images under one method; on ``common`` images there are votes on both."""
    votes = random_votes(methods=2, images=14, raters=8)
    number, method = votes["image"].str[-3:].astype(int), votes["method"]
    number -= number.min()
    kept = (number < common) | ((number % 2 == 0) == (method == "a"))
    (found,) = compare_methods(check_votes(votes[kept]), unit="both", margin=0.5)
    (pair,) = found.pairs
    assert (pair.all_votes, pair.n_images, pair.n_raters) == (True, common, 8)
    assert (pair.test is not None) == made
    assert pair.too_small != made


@pytest.mark.parametrize("unit", ["both", "rater"])
def test_named_pairs_are_compared_as_they_stand(votes: pd.DataFrame, unit: Unit) -> None:
    wanted = [("a", "d"), ("c", "b"), ("a", "nobody")]
    (made,) = compare_methods(votes, unit=unit, pairs=wanted)
    (every,) = compare_methods(votes, unit=unit, adjustment="none")
    assert [(pair.first, pair.second) for pair in made.pairs] == wanted[:2]
    assert made.letters == {}
    assert made.frame()["p_adjusted"].tolist() == holm([pair.p for pair in made.pairs]).tolist()
    for pair in made.pairs:
        (other,) = [p for p in every.pairs if {p.first, p.second} == {pair.first, pair.second}]
        sign = 1 if other.first == pair.first else -1
        assert pair.difference is not None
        assert other.difference is not None
        assert pair.p == pytest.approx(other.p)
        assert pair.difference.estimate == pytest.approx(sign * other.difference.estimate)
        assert pair.rank_biserial == pytest.approx(sign * other.rank_biserial)


@pytest.mark.parametrize("margin", [0.3, 1.0, 2.5])
def test_equivalence_over_raters_is_scipys_two_one_sided_tests(margin: float) -> None:
    votes = check_votes(random_votes(seed=8, methods=2, images=9, raters=9))
    (made,) = compare_methods(votes, unit="rater", margin=margin)
    (pair,) = made.pairs
    means = votes.groupby(["rater", "method"])["score"].mean().unstack()
    gaps = means[pair.first] - means[pair.second]
    above = stats.ttest_1samp(gaps, -margin, alternative="greater").pvalue
    below = stats.ttest_1samp(gaps, margin, alternative="less").pvalue
    found = pair.equivalence
    assert found is not None
    assert (found.p_first, found.p_second) == pytest.approx((above, below))
    assert found.verdict == (
        f"equivalent within {margin:g}"
        if max(above, below) < 0.05
        else f"first no worse by {margin:g} or more"
        if above < 0.05
        else "not shown"
    )
    low, high = stats.t.interval(0.9, 8, gaps.mean(), stats.sem(gaps))
    assert (found.low, found.high, found.level) == pytest.approx((low, high, 0.9))
    assert (found.verdict[:2] == "eq") == (-margin < low < high < margin)


@given(st.integers(0, 10**6), st.floats(0.1, 1.5))
@settings(max_examples=15, deadline=None)
def test_equivalence_over_both_follows_its_interval_and_is_never_easier_in_a_family(
    seed: int, margin: float
) -> None:
    votes = check_votes(random_votes(seed, methods=3, images=5, raters=5))
    (alone,) = compare_methods(votes, unit="both", adjustment="none", margin=margin)
    (family,) = compare_methods(votes, unit="both", margin=margin)
    for pair, other in zip(alone.pairs, family.pairs, strict=True):
        found, judged = pair.equivalence, other.equivalence
        assert found is not None
        assert judged is not None
        within = -margin < found.low and found.high < margin
        assert within == (found.verdict == f"equivalent within {margin:g}")
        assert judged.first.p_adjusted >= found.first.p_adjusted
        assert judged.second.p_adjusted >= found.second.p_adjusted


@pytest.mark.parametrize("margin", [0, -0.2, math.nan, math.inf, 4])
def test_margins_off_the_scale_are_refused(votes: pd.DataFrame, margin: float) -> None:
    with pytest.raises(UsageError, match=r"isn't one on the scale 1\.\.5"):
        compare_methods(votes, margin=margin)
    with pytest.raises(UsageError, match=r"no test of equivalence at alpha 0\.5"):
        compare_methods(votes, margin=0.2, alpha=0.5)
