import itertools
from collections import Counter

import numpy as np
import pytest
import scipy
from hypothesis import given, settings
from hypothesis import strategies as st

from sreval.errors import StatisticsError
from sreval.opinions.pairs.likelihood import probabilities
from sreval.opinions.pairs.models import MODELS, fit
from sreval.opinions.pairs.rounds import round_robin
from sreval.opinions.pairs.simulation import PairModel, balanced_sides, plan_pairs


@pytest.mark.parametrize("n", range(2, 10))
def test_a_round_robin_has_each_pair_once_and_each_method_once_a_round(n: int) -> None:
    rounds = round_robin(n)
    pairs = Counter(frozenset(pair) for one in rounds for pair in one)
    assert pairs == Counter(map(frozenset, itertools.combinations(range(n), 2)))
    assert all(len({*itertools.chain(*one)}) == 2 * (n // 2) for one in rounds)


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=40), st.integers(0, 9))
def test_sides_are_balanced_for_any_pairs(pairs: list[tuple[int, int]], seed: int) -> None:
    pairs = [(a, b) for a, b in pairs if a != b]
    sides = balanced_sides(pairs, np.random.default_rng(seed))
    assert [set(side) for side in sides] == [set(pair) for pair in pairs]
    for method in range(7):
        left = sum(side[0] == method for side in sides)
        right = sum(side[1] == method for side in sides)
        assert abs(left - right) <= (left + right) % 2


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 6), st.integers(1, 6), st.integers(2, 7), st.sampled_from([1.0, 0.5, 1 / 3]))
def test_a_plan_is_balanced(raters: int, images: int, methods: int, share: float) -> None:
    if share * images * len(round_robin(methods)) < 1:
        with pytest.raises(StatisticsError, match="share"):
            plan_pairs(raters, images, methods, share)
        return
    plan = plan_pairs(raters, images, methods, share)
    trials = list(zip(plan.rater, plan.image, plan.left, plan.right, strict=True))
    shown = Counter((r, i, *sorted((a, b))) for r, i, a, b in trials)
    assert set(shown.values()) == {1}
    if share == 1:
        assert len(trials) == raters * images * methods * (methods - 1) / 2
    by_side = Counter((i, a, b) for _, i, a, b in trials)
    assert all(abs(n - by_side[i, b, a]) <= 1 for (i, a, b), n in by_side.items())
    for rater, method in itertools.product(range(raters), range(methods)):
        left = int(((plan.rater == rater) & (plan.left == method)).sum())
        right = int(((plan.rater == rater) & (plan.right == method)).sum())
        assert abs(left - right) <= (left + right) % 2
    judged = Counter((i, *sorted((a, b))) for _, i, a, b in trials)
    for image in range(images):
        n = [judged[image, a, b] for a, b in itertools.combinations(range(methods), 2)]
        assert max(n) - min(n) <= 2


def test_what_cannot_be_planned_is_refused() -> None:
    for arguments in ((0, 1, 2), (1, 0, 2), (1, 1, 1), (1, 1, 2, 0.0), (1, 1, 2, 1.5)):
        with pytest.raises(StatisticsError, match="can't judge"):
            plan_pairs(*arguments)


@pytest.mark.parametrize("model", MODELS)
def test_probabilities_are_those_that_the_models_fit(model: str) -> None:
    """A fit to expected counts finds the parameters that the counts were expected from."""
    theta, delta, tie = np.array([0.6, 0.1, -0.7]), 0.3, 0.4
    made = PairModel(model, 0, 0, delta, tie)  # type: ignore[arg-type]
    left, right = np.nonzero(~np.eye(3, dtype=bool))
    x = theta[left] - theta[right]
    chances = probabilities(made.model, x, delta, tie)
    assert chances.sum(axis=1) == pytest.approx(1)
    if model == "davidson":
        ratio = chances[:, 1] / np.sqrt(chances[:, 0] * chances[:, 2])
        assert np.log(ratio) == pytest.approx(tie - delta / 2)
    assert made.average(theta) == pytest.approx(theta, abs=1e-6)
    if model != "davidson":
        assert probabilities(made.model, -x, -delta, tie)[:, ::-1] == pytest.approx(chances)


def test_the_average_judgement_is_the_average_of_many() -> None:
    model = PairModel(rater_sd=0.8, image_sd=0.6)
    theta = np.array([0.5, -0.5])
    generator = np.random.default_rng(1)
    effects = generator.normal(size=400_000) * np.sqrt(2 * (0.8**2 + 0.6**2))
    share = scipy.special.expit(1 + effects).mean()
    found = model.average(theta)
    assert scipy.special.expit(found[0] - found[1]) == pytest.approx(share, abs=0.003)
    assert model.apart(float(model.average_chances(np.ones(1))[0, 0])) == pytest.approx(1)


def test_probit_effects_average_in_closed_form() -> None:
    model = PairModel("thurstone", 0.4, 0.3)
    spread = np.sqrt(1 + 2 * (0.4**2 + 0.3**2))
    assert model.apart(0.7) == pytest.approx(scipy.special.ndtri(0.7) * spread)
    tied = PairModel("glenn-david", 0.4, 0.3).with_ties(0.25)
    assert tied.tie_parameter == pytest.approx(scipy.special.ndtri(0.625) * spread)


def test_answers_have_the_shares_and_ties_of_their_model() -> None:
    model = PairModel("davidson", 0, 0, order_effect=0.4).with_ties(0.3)
    plan = plan_pairs(100, 40, 2)
    answers = model.draw(np.array([0.4, -0.4]), 100, 40, np.random.default_rng(2)).answers(plan)
    assert answers.n_judgements == 4000
    found = fit(answers, "davidson", order=True)
    assert found.theta[0] == pytest.approx(0.4, abs=0.06)
    assert found.order_effect == pytest.approx(0.4, abs=0.12)
    assert found.tie_parameter == pytest.approx(model.tie_parameter, abs=0.15)


def test_a_study_has_the_same_answers_whatever_part_is_judged() -> None:
    model = PairModel()
    drawn = model.draw(np.zeros(4), 8, 6, np.random.default_rng(3))

    def chosen(*size: float) -> dict[tuple[int, ...], int]:
        made = drawn.answers(plan_pairs(*size))  # type: ignore[arg-type]
        rows = zip(made.rater, made.image, made.left, made.right, made.outcome, strict=True)
        return {(r, i, *sorted((a, b))): a if o > 0 else b for r, i, a, b, o in rows}

    every = chosen(8, 6, 4)
    for part in (chosen(5, 6, 4), chosen(8, 3, 4), chosen(8, 6, 4, 1 / 3)):
        assert part.items() <= every.items()


def test_a_model_without_sense_is_refused() -> None:
    with pytest.raises(StatisticsError, match="differ by -1"):
        PairModel(rater_sd=-1)
