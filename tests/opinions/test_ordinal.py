from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import pytest
import scipy

from sreval.errors import StatisticsError
from sreval.opinions import ordinal
from sreval.opinions.arrays import Codes, Floats
from sreval.opinions.cumulative_link import Fit, Grouping, fit
from sreval.opinions.ordinal import OrdinalModel, ordinal_model
from sreval.opinions.votes import Scale, check_votes
from tests.opinions.builders import random_votes

CUTS, EFFECTS = np.array([-1.5, 0.5, 2.0, 3.5]), {"a": 0.0, "b": 1.0, "c": 2.5}
DEVIATIONS = (0.8, 0.6, 0.5, 0.7, 0.3)


def drawn(raters: int, images: int, seed: int = 0) -> pd.DataFrame:
    """Votes of 1 to 5 from the model itself."""
    random = np.random.default_rng(seed)
    rater, image, method = (own.ravel() for own in np.indices((raters, images, 3)))
    sizes = (raters, images, 3 * raters, 3 * images, raters)
    codes = (rater, image, 3 * rater + method, 3 * image + method, rater)
    effects = [
        sd * random.normal(size=n)[own] for sd, n, own in zip(DEVIATIONS, sizes, codes, strict=True)
    ]
    noise = np.exp(effects[4]) * random.logistic(size=rater.size)
    latent = np.array(list(EFFECTS.values()))[method] + sum(effects[:4]) + noise
    frame = pd.DataFrame(
        {
            "rater": [f"r{i}" for i in rater],
            "image": [f"i{i}" for i in image],
            "method": np.array(list(EFFECTS))[method],
            "score": np.digitize(latent, CUTS) + 1,
        }
    )
    return check_votes(frame)


@pytest.fixture(scope="module")
def votes() -> pd.DataFrame:
    return drawn(20, 20)


@pytest.fixture(scope="module")
def model(votes: pd.DataFrame) -> OrdinalModel:
    return ordinal_model(votes)


def part(votes: pd.DataFrame, raters: int, images: int) -> pd.DataFrame:
    """The votes of the first raters on the first images."""
    kept = votes["rater"].isin([f"r{i}" for i in range(raters)])
    return votes[kept & votes["image"].isin([f"i{i}" for i in range(images)])]


def test_parameters_that_votes_were_drawn_from_are_found(model: OrdinalModel) -> None:
    truth = np.array([*CUTS, *list(EFFECTS.values())[1:], *DEVIATIONS])
    errors = model.fit.standard_errors
    assert np.abs((model.fit.estimates - truth) / errors).max() < 3
    assert errors.max() < 0.5
    contrasts = model.contrasts().set_index(["first", "second"])
    assert contrasts.loc[("a", "c"), "log_odds"] == pytest.approx(-model.fit.effects[1])
    assert model.freedom == 19


def test_superiority_is_the_share_of_drawn_pairs(model: OrdinalModel) -> None:
    random, n = np.random.default_rng(1), 400_000
    rater, image, taste, own, spread = model.fit.estimates[6:]
    shared = rater * random.normal(size=n) + image * random.normal(size=n)
    unit = np.exp(spread * random.normal(size=n))

    def scores(effect: float) -> Floats:
        alone = taste * random.normal(size=n) + own * random.normal(size=n)
        latent = effect + shared + alone + unit * random.logistic(size=n)
        return np.asarray(np.digitize(latent, model.fit.thresholds), dtype=np.float64)

    drawn_scores = [scores(effect) for effect in (0.0, *model.fit.effects)]
    found = model.contrasts()["superiority"]
    for (i, j), value in zip(model.pairs, found, strict=True):
        a, b = drawn_scores[i], drawn_scores[j]
        assert value == pytest.approx((a > b).mean() + (a == b).mean() / 2, abs=0.004)


def test_interval_of_superiority_is_that_of_drawn_parameters(model: OrdinalModel) -> None:
    """The delta method against 300 draws from the estimates' normal distribution."""
    random = np.random.default_rng(2)
    root = np.linalg.cholesky(model.fit.covariance)
    logits = [
        scipy.special.logit(model._superiority(model.fit.estimates + root @ random.normal(size=11)))
        for _ in range(300)
    ]
    found = model.contrasts()
    low, high = (scipy.special.logit(found[f"superiority_{end}"]) for end in ("low", "high"))
    width = 2 * scipy.special.stdtrit(19, 0.975) * np.std(logits, axis=0)
    assert np.asarray(high - low) == pytest.approx(width, rel=0.15)


def test_order_of_methods_turns_signs_alone(votes: pd.DataFrame) -> None:
    some = part(votes, 8, 6)
    one, other = ordinal_model(some), ordinal_model(some, methods=["c", "b", "a"])
    first = one.contrasts().set_index(["first", "second"])
    second = other.contrasts().set_index(["second", "first"]).loc[first.index]
    assert second["log_odds"].to_numpy() == pytest.approx(-first["log_odds"].to_numpy(), abs=1e-5)
    assert second["p"].to_numpy() == pytest.approx(first["p"].to_numpy(), rel=1e-3)
    lows = 1 - second["superiority_high"].to_numpy()
    assert lows == pytest.approx(first["superiority_low"].to_numpy(), abs=1e-5)


def test_a_severe_and_an_erratic_rater_are_seen(votes: pd.DataFrame) -> None:
    random = np.random.default_rng(3)
    changed = votes.copy()
    severe, erratic = changed["rater"] == "r0", changed["rater"] == "r1"
    changed.loc[severe, "score"] = (changed.loc[severe, "score"] - 2).clip(lower=1)
    changed.loc[erratic, "score"] = random.integers(1, 6, size=int(erratic.sum()))
    table = ordinal_model(part(changed, 8, 20)).rater_table().set_index("rater")
    assert table["bias"].idxmin() == "r0"
    assert table["spread"].idxmax() == "r1"


def test_methods_with_one_end_of_the_scale_alone_are_left_out(votes: pd.DataFrame) -> None:
    some = part(votes, 6, 5)
    ends = {"worst": 1, "best": 5}
    extreme = [some[some["method"] == "a"].assign(method=m, score=s) for m, s in ends.items()]
    with_ends = ordinal_model(pd.concat([some, *extreme], ignore_index=True))
    assert (with_ends.lowest, with_ends.highest) == (("worst",), ("best",))
    assert with_ends.fit.estimates == pytest.approx(ordinal_model(some).fit.estimates)


def test_scores_that_nobody_gave_are_merged(votes: pd.DataFrame) -> None:
    some = part(votes, 6, 5)
    moved = some.assign(score=some["score"] + (some["score"] > 2))
    model = ordinal_model(moved, scale=Scale(1, 6))
    assert model.categories == (1, 2, 4, 5, 6)
    assert model.fit.estimates == pytest.approx(ordinal_model(some).fit.estimates)
    assert list(model.parameters()["parameter"][:4]) == [
        "threshold 1|2",
        "threshold 2|4",
        "threshold 4|5",
        "threshold 5|6",
    ]


def test_frames_share_their_sequence(votes: pd.DataFrame) -> None:
    some = part(votes, 8, 8)
    frames = some.assign(image=[f"s{int(name[1:]) % 4}/{name}" for name in some["image"]])
    model = ordinal_model(frames)
    assert (model.n_images, model.unit) == (4, "sequence")
    assert model.fit.modes["image"].size == 4
    assert "sd, sequence x method" in set(model.parameters()["parameter"])


def test_every_evaluation_is_told(votes: pd.DataFrame) -> None:
    told: list[None] = []
    ordinal_model(part(votes, 5, 3), told=lambda: told.append(None))
    assert len(told) > 50


def test_what_the_model_cannot_take_is_refused() -> None:
    small = check_votes(random_votes(images=4, raters=4))
    with pytest.raises(StatisticsError, match="has no single scores"):
        ordinal_model(small, scale=Scale(0, 100))
    with pytest.raises(StatisticsError, match=r"there are 2 images\. 3 are needed"):
        ordinal_model(small[small["image"].isin(["img_000", "img_001"])])
    with pytest.raises(StatisticsError, match="there is 1 rater"):
        ordinal_model(small[small["rater"] == "r00"])
    with pytest.raises(StatisticsError, match="The votes are on 1 method"):
        ordinal_model(small, methods=["a"])
    many = check_votes(
        random_votes(images=4, raters=4).assign(score=np.arange(48) % 12), Scale(0, 20, 1)
    )
    with pytest.raises(StatisticsError, match=r"use 12 scores of the scale 0\.\.20"):
        ordinal_model(many, scale=Scale(0, 20, 1))
    with pytest.raises(StatisticsError, match="All votes are 3: no model"):
        ordinal_model(small.assign(score=3))


def test_one_spread_is_fitted_where_votes_bear_no_more(
    votes: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_spreads(
        category: Codes, columns: Floats, groups: Sequence[Grouping], told: Callable[[], object]
    ) -> Fit:
        if any(own.of == "spread" for own in groups):
            raise StatisticsError("No maximum.")
        return fit(category, columns, groups, told)

    monkeypatch.setattr(ordinal, "fit", without_spreads)
    model = ordinal_model(part(votes, 6, 5))
    assert not model.spreads_differ
    assert "sd, log spread of raters" not in set(model.parameters()["parameter"])
    assert (model.rater_table()["spread"] == 1).all()
    assert model.contrasts()["superiority"].between(0, 1).all()
