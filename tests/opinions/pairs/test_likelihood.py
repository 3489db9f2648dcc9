from typing import get_args

import numpy as np
import pytest
import scipy

from sreval.errors import UsageError
from sreval.opinions.pairs.comparisons import Comparisons
from sreval.opinions.pairs.likelihood import MODELS, NORMAL, TIE_MODELS, Likelihood, Model
from tests.opinions.pairs.builders import study

PARAMETERS = {"theta": [0.7, -0.1, -0.6], "delta": 0.3, "tie": 0.4}


def likelihood(model: Model, order: bool = True) -> tuple[Likelihood, np.ndarray]:
    ties = 0.8 if model in TIE_MODELS else 0.0
    found = Likelihood.of(Comparisons.of(study(ties=ties)), model, order, "refuse")
    values = [*PARAMETERS["theta"], *[0.3] * order, *[0.4] * (model in TIE_MODELS)]  # type: ignore[misc]
    return found, np.array(values)


def test_all_models_are_listed() -> None:
    assert get_args(Model) == MODELS
    with pytest.raises(UsageError, match="Did you mean 'davidson'"):
        Likelihood.of(Comparisons.of(study()), "davison", False, "refuse")  # type: ignore[arg-type]


@pytest.mark.parametrize("model", MODELS)
def test_chances_are_those_of_the_formulas(model: Model) -> None:
    found, parameters = likelihood(model)
    left, right, _, _ = Comparisons.of(study(ties=0.8 * (model in TIE_MODELS))).cells
    theta, delta, tie = parameters[:3], 0.3, 0.4
    below = scipy.stats.norm.cdf if model in NORMAL else scipy.stats.logistic.cdf
    for row, (a, b) in enumerate(zip(left, right, strict=True)):
        x = theta[a] - theta[b] + delta
        if model == "davidson":
            worths = [
                np.exp(theta[a] + delta),
                np.exp(tie) * np.exp((theta[a] + theta[b]) / 2),
                np.exp(theta[b]),
            ]
            golden = np.array(worths) / sum(worths)
        elif model in TIE_MODELS:
            won, lost = below(x - tie), below(-x - tie)
            golden = np.array([won, 1 - won - lost, lost])
        else:
            golden = np.array([below(x), 1, below(-x)])
        assert np.exp(found.terms(parameters).log_p[row]) == pytest.approx(golden, abs=1e-12)


@pytest.mark.parametrize("order", [False, True])
@pytest.mark.parametrize("model", MODELS)
def test_derivatives_are_those_of_differences(model: Model, order: bool) -> None:
    found, parameters = likelihood(model, order)
    terms = found.terms(parameters)
    step = 1e-5
    for k, move in enumerate(step * np.eye(parameters.size)):
        there, back = found.terms(parameters + move), found.terms(parameters - move)
        slope = (found.value(there) - found.value(back)) / (2 * step)
        assert found.gradient(terms)[k] == pytest.approx(slope, rel=1e-6, abs=1e-6)
        curve = (found.gradient(there) - found.gradient(back)) / (2 * step)
        assert -found.observed(terms)[k] == pytest.approx(curve, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("model", MODELS)
def test_expected_information_is_the_observed_one_of_expected_counts(model: Model) -> None:
    found, parameters = likelihood(model)
    terms = found.terms(parameters)
    p = np.exp(terms.log_p)
    if model not in TIE_MODELS:
        p[:, 1] = 0
    counts = found.counts.sum(axis=1, keepdims=True) * p
    alike = Likelihood(model, found.design, counts, found.basis, 3, True)
    assert found.expected(terms) == pytest.approx(alike.observed(terms), abs=1e-9)


def test_far_apart_methods_lose_no_digits() -> None:
    for model in MODELS:
        found, parameters = likelihood(model)
        parameters[:3] = [30, 0, -30]
        terms = found.terms(parameters)
        assert np.isfinite(terms.log_p[:, [0, 2]]).all()
        assert np.isfinite(terms.slopes[:, [0, 2]]).all()
