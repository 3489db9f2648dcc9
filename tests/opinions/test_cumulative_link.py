import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy
from numpy.polynomial.hermite_e import hermegauss

from sreval.errors import StatisticsError
from sreval.opinions.arrays import Codes, Floats
from sreval.opinions.cumulative_link import Grouping, _Problem, fit, separated

WINE: dict[str, Any] = json.loads((Path(__file__).parent / "golden" / "wine.json").read_text())


def wine() -> tuple[Codes, Floats, Codes, Codes]:
    """Categories, the columns warm and contact, judges and bottles."""
    votes = np.array(WINE["votes"], dtype=np.intp)
    bottle, judge = (own.ravel() for own in np.indices(votes.shape, dtype=np.intp))
    columns = np.array([WINE["warm"], WINE["contact"]], dtype=np.float64).T[bottle]
    return votes.ravel() - 1, columns, judge, bottle


def crossed(seed: int = 0) -> tuple[Codes, Floats, list[Grouping]]:
    """Votes on 3 methods by 6 raters on 4 images, and every grouping of a study."""
    random = np.random.default_rng(seed)
    rater, image, method = (own.ravel() for own in np.indices((6, 4, 3), dtype=np.intp))
    latent = 1.5 * random.normal(size=6)[rater] + random.normal(size=4)[image] + method
    votes = np.digitize(latent + random.logistic(size=latent.size), [-1.0, 0.5, 2.0, 3.0])
    columns = (method[:, None] == [1, 2]).astype(np.float64)
    return (
        votes.astype(np.intp),
        columns,
        [
            Grouping("rater", rater),
            Grouping("image", image),
            Grouping("rater x method", rater * 3 + method),
            Grouping("image x method", image * 3 + method),
            Grouping("spread", rater, "spread"),
        ],
    )


AT = np.array([-1.1, 0.4, 2.2, 3.1, 0.9, 1.8, 1.2, -0.7, 0.5, 0.4, 0.35])
"""Parameters of ``crossed``, one deviation negative."""


def log_likelihood(
    votes: Codes, columns: Floats, groups: Sequence[Grouping], at: Floats, u: Floats
) -> float:
    """Of the votes, given standard normal effects ``u`` of all groupings; written anew."""
    cuts = int(votes.max())
    location, spread = columns @ at[cuts : cuts + columns.shape[1]], np.zeros(votes.size)
    place = 0
    for own, deviation in zip(groups, at[cuts + columns.shape[1] :], strict=True):
        effects = deviation * u[place : place + own.levels][own.codes]
        place += own.levels
        if own.of == "spread":
            spread = spread + effects
        else:
            location = location + effects
    edges = np.concatenate([[-math.inf], at[:cuts], [math.inf]])
    above, below = (
        scipy.special.expit((edges[votes + i] - location) / np.exp(spread)) for i in (1, 0)
    )
    return float(np.log(above - below).sum())


def test_fixed_effects_are_those_of_clm() -> None:
    votes, columns, _, _ = wine()
    found, printed = fit(votes, columns, []), WINE["clm"]
    assert found.thresholds == pytest.approx(printed["thresholds"], abs=5e-5)
    assert found.effects == pytest.approx(printed["effects"], abs=5e-5)
    assert found.standard_errors == pytest.approx(printed["standard_errors"], abs=5.1e-5)
    assert found.log_likelihood == pytest.approx(printed["log_likelihood"], abs=0.005)


def test_a_random_intercept_is_that_of_clmm() -> None:
    votes, columns, judge, _ = wine()
    found, printed = fit(votes, columns, [Grouping("judge", judge)]), WINE["clmm2"]
    assert found.thresholds == pytest.approx(printed["thresholds"], abs=1e-4)
    assert found.effects == pytest.approx(printed["effects"], abs=1e-4)
    assert found.deviations["judge"] ** 2 == pytest.approx(printed["variance"], abs=1e-4)
    assert found.log_likelihood == pytest.approx(printed["log_likelihood"], abs=1e-5)
    assert found.standard_errors[:6] == pytest.approx(WINE["clmm"]["standard_errors"], abs=1e-4)
    assert found.modes["judge"] == pytest.approx(WINE["clmm"]["modes"], abs=1e-4)


def test_laplace_comes_close_to_quadrature() -> None:
    """The tutorial's 10 nodes, 60 of our own, and Laplace's approximation at the same place."""
    votes, columns, judge, _ = wine()
    printed, groups = WINE["quadrature"], [Grouping("judge", judge)]
    at = np.array([*printed["thresholds"], *printed["effects"], printed["deviation"]])
    nodes, weights = hermegauss(60)
    exact = 0.0
    for own in range(9):
        rows = judge == own
        edges = np.concatenate([[-math.inf], at[:4], [math.inf]])
        location = (columns[rows] @ at[4:6])[:, None] + at[6] * nodes
        above, below = (
            scipy.special.expit(edges[votes[rows] + i][:, None] - location) for i in (1, 0)
        )
        exact += math.log((above - below).prod(axis=0) @ weights / math.sqrt(2 * math.pi))
    assert exact == pytest.approx(printed["log_likelihood"], abs=1e-5)
    laplace = -_Problem(votes, columns, groups).value(at)[0]
    assert laplace == pytest.approx(exact, abs=0.04)


def test_value_is_laplace_s_approximation_by_brute_force() -> None:
    """The mode by a general search, the determinant from numeric second differences."""
    votes, columns, groups = crossed()
    n = sum(own.levels for own in groups)

    def negative(u: Floats) -> float:
        return float(u @ u) / 2 - log_likelihood(votes, columns, groups, AT, u)

    u = scipy.optimize.minimize(negative, np.zeros(n), method="BFGS", options={"gtol": 1e-6}).x
    steps, size = np.eye(n), 1e-3
    hessian = np.empty((n, n))
    for i in range(n):
        for j in range(i + 1):
            a, b = size * steps[i], size * steps[j]
            corners = negative(u + a + b) - negative(u + a - b)
            corners += negative(u - a - b) - negative(u - a + b)
            hessian[i, j] = hessian[j, i] = corners / (4 * size**2)
    expected = negative(u) + np.linalg.slogdet(hessian)[1] / 2
    found, _ = _Problem(votes, columns, groups).value(AT)
    assert found == pytest.approx(expected, abs=1e-4)


def test_slope_is_that_of_value() -> None:
    problem = _Problem(*crossed())
    steps = 1e-5 * np.eye(AT.size)
    numeric = [(problem.value(AT + s)[0] - problem.value(AT - s)[0]) / 2e-5 for s in steps]
    assert problem.value(AT)[1] == pytest.approx(numeric, abs=1e-4)


def test_fixed_effects_are_those_of_statsmodels() -> None:
    models = pytest.importorskip("statsmodels.miscmodels.ordinal_model")
    votes, columns, _ = crossed(1)
    columns = np.column_stack([columns, np.random.default_rng(1).normal(size=votes.size)])
    model = models.OrderedModel(votes, columns, distr="logit")
    theirs = model.fit(method="bfgs", disp=0, gtol=1e-8)
    found = fit(votes, columns, [])
    assert found.effects == pytest.approx(theirs.params[:3], abs=1e-4)
    assert found.thresholds == pytest.approx(
        model.transform_threshold_params(theirs.params)[1:-1], abs=1e-4
    )
    assert found.log_likelihood == pytest.approx(theirs.llf, abs=1e-6)
    assert found.standard_errors[4:] == pytest.approx(theirs.bse[:3], rel=1e-3)


def test_a_scale_turned_round_turns_the_effects() -> None:
    votes, columns, judge, _ = wine()
    groups = [Grouping("judge", judge), Grouping("spread", judge, "spread")]
    one, other = fit(votes, columns, groups), fit(4 - votes, columns, groups)
    assert other.effects == pytest.approx(-one.effects, abs=1e-6)
    assert other.thresholds == pytest.approx(-one.thresholds[::-1], abs=1e-6)
    assert other.deviations == pytest.approx(one.deviations, abs=1e-5)


def test_effects_that_are_not_there_have_deviation_zero() -> None:
    """The likelihood is largest at the edge; the other estimates are those without the effects."""
    votes, columns, judge, bottle = wine()
    groups = [Grouping("judge", judge), Grouping("bottle", bottle)]
    with_bottles, without = fit(votes, columns, groups), fit(votes, columns, groups[:1])
    assert with_bottles.deviations["bottle"] == pytest.approx(0, abs=1e-4)
    assert with_bottles.effects == pytest.approx(without.effects, abs=1e-5)
    assert with_bottles.standard_errors[:7] == pytest.approx(without.standard_errors, abs=1e-4)


@pytest.mark.parametrize(
    ("first", "second", "apart"),
    [
        ([0, 0, 0], [0, 1, 2], True),  # nothing but the lowest
        ([0, 1, 1], [1, 2, 2], True),  # every cut parts them
        ([0, 1, 2], [1, 1, 2], False),
        ([0, 2, 2], [1, 1, 1], False),
        ([0, 1, 2], [0, 1, 2], False),
    ],
)
def test_separation_is_seen(first: list[int], second: list[int], apart: bool) -> None:
    votes = np.array(first + second, dtype=np.intp)
    columns = np.repeat([[0.0], [1.0]], 3, axis=0)
    assert separated(votes, columns) is apart
    if apart:
        with pytest.raises(StatisticsError, match="no finite estimate"):
            fit(votes, columns, [])
    else:
        assert np.abs(fit(votes, columns, []).estimates).max() < 10


def test_votes_without_chance_are_refused() -> None:
    """All raters agree on every image, although no method's votes lie apart."""
    random = np.random.default_rng(2)
    rater, image, method = (own.ravel() for own in np.indices((5, 6, 2), dtype=np.intp))
    votes = np.digitize(random.normal(size=(6, 2)), [-0.5, 0.5])[image, method]
    columns = method[:, None].astype(np.float64)
    groups = [Grouping("rater", rater), Grouping("stimulus", image * 2 + method)]
    assert not separated(votes, columns)
    with pytest.raises(StatisticsError, match="no finite estimate"):
        fit(votes, columns, groups)


def test_one_category_is_refused() -> None:
    with pytest.raises(StatisticsError, match="same category"):
        fit(np.zeros(4, dtype=np.intp), np.zeros((4, 0)), [])
