from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sreval.errors import SrevalError
from sreval.opinions.multiplicity import benjamini_hochberg, holm
from sreval.study.planning import ImageModel, power, power_curve, raters_needed
from sreval.study.simulate import RaterModel


def test_no_difference_is_found_no_oftener_than_alpha() -> None:
    for unit in ("rater", "image"):
        found = power(0.0, 20, 20, unit=unit, studies=300, model=RaterModel())
        assert found.power <= 0.05 + 3 * 0.0126, unit


def test_pooled_votes_raise_false_alarms() -> None:
    found = power(0.0, 26, 40, unit="pooled", studies=100)
    assert found.power > 0.2


def test_power_grows_with_the_difference_and_the_raters() -> None:
    curve = power_curve([0.1, 0.4], [8, 24], [20], studies=150)
    (few_small, many_small), (few_large, many_large) = curve["power"].to_numpy().reshape(2, 2)
    assert few_small < few_large <= many_large
    assert few_small < many_small < many_large
    assert curve["simulated"].all()


def test_power_is_that_of_the_normal_shift_it_should_be() -> None:
    # without images' or tastes' effects a rater's mean difference is normal, variance 2 v^2 / n
    model = RaterModel(taste_sd=0, lapse_rate=0, inconsistency=0.7, inconsistency_spread=0)
    found = power(0.2, 20, 30, model=model, studies=400)
    # Wilcoxon at 3 / pi efficiency: noncentrality 0.2 / sqrt(2 (0.49 + 1 / 12) / 600) = 4.5
    assert found.power > 0.97
    assert power(0.07, 20, 30, model=model, studies=400).power == pytest.approx(0.33, abs=0.1)


def test_too_few_raters_can_never_find_anything() -> None:
    assert power(2.0, 5, 30, studies=20).power == 0


def paired_p(difference: float, raters: int, images: int, seed: int) -> float:
    """One simulated study of two methods and its p, by numpy and scipy from the model's figures.

    Images have a difficulty, raters a bias, an inconsistency and tastes; votes are rounded.
    """
    model, images_like = RaterModel(lapse_rate=0, inconsistency_spread=0), ImageModel()
    draw = np.random.default_rng(seed)
    level = 3 + np.array([difference, -difference])[:, None, None] / 2
    latent = (
        level
        + draw.normal(0, images_like.image_sd, (1, images, 1))
        + draw.normal(0, model.bias_sd, (1, 1, raters))
        + draw.normal(0, model.taste_sd, (2, 1, raters))
        + draw.normal(0, model.inconsistency, (2, images, raters))
    )
    first, second = np.clip(np.rint(latent), 1, 5).mean(axis=1).round(9)
    return float(stats.wilcoxon(first - second).pvalue)


@pytest.mark.parametrize(
    ("adjustment", "correct"),
    [("holm", holm), ("benjamini-hochberg", benjamini_hochberg), ("none", np.asarray)],
)
def test_power_is_that_of_the_test_among_all_that_are_made(
    adjustment: str, correct: Callable[[list[float]], Any]
) -> None:
    """Against an independent simulation whose p goes through the correction with 35 p of 1."""
    studies = 300
    others = [1.0] * 35
    found = sum(
        correct([paired_p(0.2, 26, 20, seed), *others])[0] < 0.05 for seed in range(studies)
    )
    made = power(
        0.2,
        26,
        20,
        model=RaterModel(lapse_rate=0, inconsistency_spread=0),
        images_like=ImageModel(interaction_sd=0),
        comparisons=36,
        adjustment=adjustment,
        studies=studies,
    )
    # two shares of 300, each with a standard error of 0.029 at most
    assert made.power == pytest.approx(found / studies, abs=3 * 0.029 * 2**0.5)
    assert (made.power > 0.6) == (adjustment == "none")


def test_nine_methods_need_eleven_raters_whatever_the_difference() -> None:
    ten, eleven = (power(2.0, raters, 30, comparisons=36, studies=20).power for raters in (10, 11))
    assert (ten, eleven) == (0, 1)


def curve_of(found: dict[int, int], studies: int) -> pd.DataFrame:
    """A curve in which so many of ``studies`` found the difference, by number of raters."""
    rows = []
    for raters, count in found.items():
        z, n = 1.6448536, studies
        share = count / n
        # Wilson 1927, one side
        middle = share + z * z / (2 * n)
        low = (middle - z * ((share * (1 - share) + z * z / (4 * n)) / n) ** 0.5) / (1 + z * z / n)
        rows.append((0.2, 20, raters, share, low))
    return pd.DataFrame(rows, columns=["difference", "n_images", "n_raters", "power", "low"])


@pytest.mark.parametrize(
    ("found", "needed"),
    [
        # 0.80 of 500 is within the noise of 0.77; 0.84 isn't
        ({13: 300, 20: 400, 26: 440}, 26),
        ({13: 300, 20: 420, 26: 440}, 20),
        # a lucky cell below an unlucky one shows nothing
        ({13: 425, 20: 395, 26: 440}, 26),
        ({13: 425, 20: 430, 26: 401}, None),
        # rows in any order
        ({26: 440, 13: 300, 20: 420}, 20),
    ],
)
def test_raters_are_needed_from_where_on_all_counts_show_the_target(
    found: dict[int, int], needed: int | None
) -> None:
    (row,) = raters_needed(curve_of(found, 500)).to_dict("records")
    assert row["n_raters"] == needed if needed else np.isnan(row["n_raters"])


def test_the_lower_limit_is_wilson_s() -> None:
    made = power(0.3, 12, 20, studies=80)
    (expected,) = curve_of({12: round(80 * made.power)}, 80)["low"]
    assert made.low == pytest.approx(expected)


def test_the_fewest_raters_that_reach_the_target() -> None:
    curve = power_curve([0.05, 0.6], [6, 12, 24], [30], studies=60)
    needed = raters_needed(curve).set_index("difference")["n_raters"]
    assert needed.isna().loc[0.05]
    assert needed.loc[0.6] in (6, 12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"unit": "vote"}, "Unknown unit"),
        ({"studies": 0}, "0 studies of 5 raters"),
        ({"adjustment": "scheffe"}, "Unknown adjustment"),
        ({"comparisons": 0}, "0 comparisons"),
    ],
)
def test_refuses(options: dict[str, object], message: str) -> None:
    with pytest.raises(SrevalError, match=message):
        power(0.1, 5, 5, **options)  # type: ignore[arg-type]
