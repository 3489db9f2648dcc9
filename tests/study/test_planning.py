import pytest

from sreval.errors import SrevalError
from sreval.study.planning import power, power_curve, raters_needed
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


def test_the_fewest_raters_that_reach_the_target() -> None:
    curve = power_curve([0.05, 0.6], [6, 12, 24], [30], studies=60)
    needed = raters_needed(curve).set_index("difference")["n_raters"]
    assert needed.isna().loc[0.05]
    assert needed.loc[0.6] in (6, 12)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"unit": "vote"}, "Unknown unit"), ({"studies": 0}, "0 studies of 5 raters")],
)
def test_refuses(options: dict[str, object], message: str) -> None:
    with pytest.raises(SrevalError, match=message):
        power(0.1, 5, 5, **options)  # type: ignore[arg-type]
