import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy

from sreval.errors import StatisticsError, UsageError
from sreval.opinions.pairs.comparisons import Comparisons
from sreval.opinions.pairs.inference import goodness
from sreval.opinions.pairs.likelihood import MODELS, TIE_MODELS, Model
from sreval.opinions.pairs.models import Source, firth, fit
from tests.opinions.pairs.builders import counted, study

PUBLISHED: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "golden" / "pairs.json").read_text()
)


def published(name: str) -> Comparisons:
    return counted(PUBLISHED[name]["counts"])


def comparisons(model: Model, **options: Any) -> Comparisons:
    return Comparisons.of(study(ties=0.8 if model in TIE_MODELS else 0.0, **options))


def test_davidsons_puddings() -> None:
    found = fit(published("pudding"), "davidson")
    worth = np.exp(found.theta) / np.exp(found.theta).sum()
    golden = PUBLISHED["pudding"]
    assert worth == pytest.approx(list(golden["worth"].values()), abs=3e-5)
    assert math.exp(found.tie_parameter) == pytest.approx(golden["nu"], abs=2e-5)


def test_stiglers_citations() -> None:
    golden = PUBLISHED["citations"]
    found, penalised = fit(published("citations")), firth(published("citations"))
    for one, key in ((found, "maximum_likelihood"), (penalised, "bias_reduced")):
        above = {name: one.difference(name, "Biometrika") for name in golden[key]}
        assert above == pytest.approx(golden[key], abs=5.1e-5)
    assert goodness(found).deviance == pytest.approx(golden["residual_deviance"], abs=5.1e-4)


def test_agrestis_baseball() -> None:
    golden = PUBLISHED["baseball"]
    found = fit(published("baseball"))
    above = {name: found.difference(name, "Baltimore") for name in golden["above_baltimore"]}
    assert above == pytest.approx(golden["above_baltimore"], abs=5.1e-3)
    home = fit(published("baseball"), order=True)
    worth = np.exp(home.theta) / np.exp(home.theta).sum()
    assert worth == pytest.approx(list(golden["worth_at_home"].values()), abs=5.1e-4)
    assert home.order_effect == pytest.approx(golden["home_advantage"], abs=5.1e-4)


@pytest.mark.parametrize("model", ["bradley-terry", "thurstone"])
def test_statsmodels_has_the_same_values_and_errors(model: Model) -> None:
    sm = pytest.importorskip("statsmodels.api")
    data = comparisons(model)
    found = fit(data, model, order=True)
    rows = np.arange(data.left.size)
    x = np.zeros((rows.size, 4))
    x[rows, data.left] += 1
    x[rows, data.right] -= 1
    x[:, 3] = 1
    x = np.delete(x, 2, axis=1)
    link = sm.families.links.Logit() if model == "bradley-terry" else sm.families.links.Probit()
    glm = sm.GLM(data.outcome > 0, x, family=sm.families.Binomial(link))
    plain = glm.fit(tol=1e-14)
    # against the last method, not their mean
    turn = np.array([[1, 0, -1, 0], [0, 1, -1, 0], [0, 0, 0, 1]])
    assert turn @ found.parameters == pytest.approx(plain.params, abs=1e-8)
    assert found.log_likelihood == pytest.approx(plain.llf, abs=1e-8)
    own = turn @ found.covariance("information") @ turn.T
    assert own == pytest.approx(plain.cov_params(), abs=1e-8)
    if model == "bradley-terry":
        for source, codes in (("rater", data.rater), ("image", data.image)):
            robust = glm.fit(
                tol=1e-14,
                cov_type="cluster",
                cov_kwds={"groups": codes, "use_correction": False},
            )
            own = turn @ found.covariance(source) @ turn.T  # type: ignore[arg-type]
            assert own == pytest.approx(robust.cov_params(), abs=1e-8)


@pytest.mark.parametrize("order", [False, True])
@pytest.mark.parametrize("model", MODELS)
def test_nothing_nearby_is_more_likely(model: Model, order: bool) -> None:
    found = fit(comparisons(model), model, order)
    likelihood = found.likelihood

    def worse(free: np.ndarray) -> float:
        return -likelihood.value(likelihood.terms(likelihood.basis @ free))

    start = likelihood.basis.T @ found.parameters
    best = scipy.optimize.minimize(worse, start + 0.1, method="Nelder-Mead", tol=1e-8)
    assert found.log_likelihood >= -best.fun - 1e-9
    assert start == pytest.approx(best.x, abs=1e-4)
    assert found.theta.sum() == pytest.approx(0, abs=1e-12)
    assert (math.isnan(found.order_effect), math.isnan(found.tie_parameter)) == (
        not order,
        model not in TIE_MODELS,
    )


@pytest.mark.parametrize("model", MODELS)
def test_exchanged_sides_turn_the_advantage_alone(model: Model) -> None:
    data = comparisons(model)
    turned = replace(data, left=data.right, right=data.left, outcome=-data.outcome)
    found, other = fit(data, model, True), fit(turned, model, True)
    # a tie says nothing of the sides, but davidson's is next to the lesser of both
    shift = found.order_effect if model == "davidson" else 0.0
    assert other.order_effect == pytest.approx(-found.order_effect, abs=1e-9)
    assert other.theta == pytest.approx(found.theta, abs=1e-9)
    if model in TIE_MODELS:
        assert other.tie_parameter == pytest.approx(found.tie_parameter - shift, abs=1e-9)
    plain, likewise = fit(data, model), fit(turned, model)
    assert likewise.theta == pytest.approx(plain.theta, abs=1e-9)


@pytest.mark.parametrize("model", MODELS)
def test_twice_the_judgements_halve_the_variance(model: Model) -> None:
    data = comparisons(model)
    found, twice = fit(data, model), fit(replace(data, count=2 * data.count), model)
    assert twice.theta == pytest.approx(found.theta, abs=1e-9)
    assert twice.log_likelihood == pytest.approx(2 * found.log_likelihood)
    half = found.covariance("information") / 2
    assert twice.covariance("information") == pytest.approx(half, abs=1e-9)
    # the same raters and images twice say no more of others
    for source in ("rater", "image", "both"):
        assert twice.covariance(source) == pytest.approx(found.covariance(source), abs=1e-9)


def test_names_and_rows_in_another_order_change_nothing() -> None:
    frame = study()
    found = fit(Comparisons.of(frame))
    shuffled = frame.sample(frac=1, random_state=1)
    other = fit(Comparisons.of(shuffled, ["c", "a", "b"]))
    assert other.theta[[1, 2, 0]] == pytest.approx(found.theta, abs=1e-12)
    counts = frame.groupby(list(frame.columns[:6]))["count"].sum().reset_index()
    assert fit(Comparisons.of(counts)).theta == pytest.approx(found.theta, abs=1e-12)


def test_one_pair_has_its_closed_forms() -> None:
    pair = counted([("a", "b", 15, 0, 5)])
    assert fit(pair).difference("a", "b") == pytest.approx(math.log(3))
    probit = fit(pair, "thurstone")
    assert probit.jod[0] - probit.jod[1] == pytest.approx(1)
    assert firth(pair).difference("a", "b") == pytest.approx(math.log(15.5 / 5.5))
    assert fit(pair).win_probability("a", "b") == pytest.approx(0.75)


@pytest.mark.parametrize("model", TIE_MODELS)
def test_the_share_of_decisive_judgements_is_that_of_the_model(model: Model) -> None:
    found = fit(counted([("a", "b", 9, 6, 5)]), model)
    assert found.win_probability("a", "b") == pytest.approx(9 / 14, abs=1e-9)
    assert found.win_probability("b", "a") == pytest.approx(5 / 14, abs=1e-9)


def test_firth_maximises_the_penalised_likelihood() -> None:
    # a never loses, so that nothing else is finite
    data = counted([("a", "b", 7, 0, 0), ("b", "a", 0, 0, 4), ("b", "c", 3, 0, 4)])
    for order in (False, True):
        found = firth(data, order)
        likelihood = found.likelihood

        def worse(free: np.ndarray, likelihood: Any = likelihood) -> float:
            terms = likelihood.terms(likelihood.basis @ free)
            own = likelihood.basis.T @ likelihood.expected(terms) @ likelihood.basis
            return -float(likelihood.value(terms) + np.linalg.slogdet(own)[1] / 2)

        best = scipy.optimize.minimize(worse, np.zeros(2 + order), tol=1e-12)
        parameters = likelihood.basis @ best.x
        assert found.parameters == pytest.approx(parameters, abs=1e-4)


def test_ties_are_refused_halved_or_dropped_by_name() -> None:
    data = counted([("a", "b", 9, 6, 5)])
    with pytest.raises(StatisticsError, match="6 of 20 judgements are ties"):
        fit(data)
    halves, dropped = fit(data, ties="half"), fit(data, ties="drop")
    assert halves.difference("a", "b") == pytest.approx(math.log(12 / 8))
    assert dropped.difference("a", "b") == pytest.approx(math.log(9 / 5))
    assert math.isnan(halves.aic)
    with pytest.raises(StatisticsError, match="no likelihood"):
        halves.covariance("information")
    with pytest.raises(UsageError, match="Unknown rule for ties 'halve'"):
        fit(data, ties="halve")  # type: ignore[arg-type]


def test_what_has_no_estimate_says_so() -> None:
    blocks = counted([("a", "b", 6, 0, 4), ("c", "d", 7, 0, 3), ("a", "c", 5, 0, 0)])
    with pytest.raises(StatisticsError, match=r"a, b > c, d.*firth"):
        fit(blocks)
    assert np.isfinite(firth(blocks).theta).all()
    apart = counted([("a", "b", 6, 0, 4), ("c", "d", 7, 0, 3)])
    for estimate in (fit, firth):
        with pytest.raises(StatisticsError, match=r"a, b; c, d.*each of these parts"):
            estimate(apart)
    assert fit(apart.among(["a", "b"])).difference("a", "b") == pytest.approx(math.log(1.5))


def test_logits_are_no_jod() -> None:
    with pytest.raises(StatisticsError, match="no JOD"):
        _ = fit(counted([("a", "b", 9, 0, 5)])).jod


def test_an_unknown_method_is_named() -> None:
    with pytest.raises(UsageError, match="no method 'z'"):
        fit(counted([("a", "b", 9, 0, 5)])).win_probability("a", "z")


@pytest.mark.parametrize("source", ["rater", "image", "both"])
def test_one_judgement_a_unit_is_whites_sandwich(source: Source) -> None:
    frame = study()
    alone = [f"{k}" for k in range(len(frame))]
    data = Comparisons.of(frame.assign(rater=alone, image=alone))
    own = fit(data)
    each = own.influences.T @ own.influences
    assert own.covariance(source) == pytest.approx(each, abs=1e-12)
