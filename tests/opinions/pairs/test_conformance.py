"""Every reference number of the shared judgements, to 1e-6 where it is that exact."""

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest

from sreval.errors import StatisticsError
from sreval.opinions.arrays import Floats
from sreval.opinions.pairs.comparisons import Comparisons
from sreval.opinions.pairs.inference import equality_test, goodness, images_test, order_test
from sreval.opinions.pairs.models import Model, PairFit, Ties, existence, firth, fit
from tests.opinions.pairs.builders import counted

Read = Callable[[str], Comparisons]

FITS: dict[str, tuple[Model, bool, Ties]] = {
    "bradley_terry": ("bradley-terry", False, "refuse"),
    "bradley_terry_with_order": ("bradley-terry", True, "refuse"),
    "thurstone_v": ("thurstone", False, "refuse"),
    "thurstone_v_with_order": ("thurstone", True, "refuse"),
    "bt_ties_as_half_wins": ("bradley-terry", False, "half"),
    "bt_ties_dropped": ("bradley-terry", False, "drop"),
    "davidson": ("davidson", False, "refuse"),
    "davidson_with_order": ("davidson", True, "refuse"),
    "rao_kupper": ("rao-kupper", False, "refuse"),
    "rao_kupper_with_order": ("rao-kupper", True, "refuse"),
    "glenn_david": ("glenn-david", False, "refuse"),
    "glenn_david_with_order": ("glenn-david", True, "refuse"),
}
FORCED = ("sr4", "tmo")
CASES = [
    *product(FORCED, list(FITS)[:4]),
    *product(("llm_ties",), list(FITS)[4:]),
    *product(("published_pudding",), ("davidson", "rao_kupper", "glenn_david")),
]


def by_name(found: PairFit, values: Floats) -> dict[str, float]:
    return dict(zip(found.comparisons.methods, values.tolist(), strict=False))


def errors(found: PairFit, source: Any) -> dict[str, float]:
    return by_name(found, np.sqrt(np.diag(found.covariance(source))))


@pytest.mark.parametrize(("name", "key"), CASES)
def test_a_fit_is_that_of_the_reference(name: str, key: str, real: Read, expected: Any) -> None:
    golden = expected[name][key]
    found = fit(real(name), *FITS[key])
    assert by_name(found, found.theta) == pytest.approx(golden["theta"], abs=1e-6)
    log_likelihood = golden.get("loglik", golden.get("pseudo_loglik"))
    assert found.log_likelihood == pytest.approx(log_likelihood, abs=1e-6)
    if "aic" in golden:
        assert (found.n_parameters, found.aic) == pytest.approx((golden["k"], golden["aic"]))
    one_rater = name == "published_pudding"
    for column, source in (
        ("se_fisher", "information"),
        ("se_observed", "information"),
        ("se_cluster_by_rater", None if one_rater else "rater"),
        ("se_cluster_by_image", "image"),
        ("se_two_way_rater_image", "both"),
    ):
        if column in golden and source:
            # the reference differentiates the ordered models numerically
            loose = 2e-6 if column == "se_observed" else 1e-6
            assert errors(found, source) == pytest.approx(golden[column], abs=loose), column
    n = len(found.theta)
    own = {
        "left_advantage": found.order_effect,
        "eta": found.tie_parameter,
        "log_nu": found.tie_parameter,
    }
    assert {key: own[key] for key in own.keys() & golden.keys()} == pytest.approx(
        {key: golden[key] for key in own.keys() & golden.keys()}, abs=1e-6
    )
    if "left_advantage_se" in golden:
        error = found.covariance("information")[n, n] ** 0.5
        assert error == pytest.approx(golden["left_advantage_se"], abs=1e-6)
    if "left_advantage_se_cluster" in golden:
        error = found.covariance("rater")[n, n] ** 0.5
        assert error == pytest.approx(golden["left_advantage_se_cluster"], abs=1e-6)
    for column in ("eta_se", "log_nu_se"):
        if column in golden:
            error = found.covariance("information")[-1, -1] ** 0.5
            assert error == pytest.approx(golden[column], abs=1e-6)
    if "cov_fisher" in golden:
        assert found.covariance("information") == pytest.approx(
            np.array(golden["cov_fisher"]), abs=1e-6
        )
    if "jod" in golden:
        assert by_name(found, found.jod) == pytest.approx(golden["jod"], abs=1e-6)


@pytest.mark.parametrize("name", FORCED)
def test_tests_and_pairs_are_those_of_the_reference(name: str, real: Read, expected: Any) -> None:
    comparisons = real(name)
    found = fit(comparisons)
    golden = expected[name]["bradley_terry"]
    assert firth(comparisons).theta == pytest.approx(list(golden["firth_theta"].values()), abs=1e-6)
    close = goodness(found)
    deviance = {"deviance": close.deviance, "pearson": close.pearson, "df": close.freedom}
    assert {**deviance, "p_deviance": close.p} == pytest.approx(
        {key: golden["fit"][key] for key in (*deviance, "p_deviance")}, abs=1e-6
    )
    alike, order, images = (
        equality_test(found), order_test(comparisons, "bradley-terry"), images_test(found),
    )  # fmt: skip
    test = golden["equality_test"]
    assert (alike.statistic, alike.freedom) == pytest.approx((test["lr"], test["df"]), abs=1e-6)
    assert alike.p == pytest.approx(test["p"], rel=1e-6)
    with_order = expected[name]["bradley_terry_with_order"]
    assert (order.statistic, order.p) == pytest.approx(
        (with_order["lr_order"], with_order["p_order"]), abs=1e-6
    )
    test = expected[name]["images_differ_test"]
    assert (images.statistic, images.freedom) == pytest.approx((test["lr"], test["df"]), abs=1e-6)
    assert images.p == pytest.approx(test["p"], rel=1e-6)
    contrasts = found.likelihood.basis
    own = contrasts.T @ found.covariance("rater") @ contrasts
    values = contrasts.T @ found.theta
    wald = golden["equality_test_cluster_wald"]["chi2"]
    assert values @ np.linalg.solve(own, values) == pytest.approx(wald, abs=1e-6)
    for pair in golden["pairs"]:
        names = pair["a"], pair["b"]
        direction = np.array([(m == names[0]) - (m == names[1]) for m in comparisons.methods], int)
        assert found.difference(*names) == pytest.approx(pair["diff"], abs=1e-6)
        assert found.win_probability(*names) == pytest.approx(pair["win_probability"], abs=1e-6)
        for column, source in (("se", "information"), ("se_cluster", "rater")):
            error = (direction @ found.covariance(source) @ direction) ** 0.5  # type: ignore[arg-type]
            assert error == pytest.approx(pair[column], abs=1e-6)


@pytest.mark.parametrize("name", FORCED)
def test_each_image_has_the_scale_of_the_reference(name: str, real: Read, expected: Any) -> None:
    comparisons = real(name)
    for image, golden in expected[name]["per_image"].items():
        own = comparisons.where(comparisons.image == comparisons.images.index(image))
        assert existence(own).exists is golden["strongly_connected"]
        if golden["strongly_connected"]:
            found, probit = fit(own), fit(own, "thurstone")
            assert by_name(found, found.theta) == pytest.approx(golden["theta"], abs=1e-6)
            assert errors(found, "information") == pytest.approx(golden["se_fisher"], abs=1e-6)
            assert by_name(probit, probit.jod) == pytest.approx(golden["jod"], abs=1e-6)
        penalised = firth(own)
        assert by_name(penalised, penalised.theta) == pytest.approx(golden["firth_theta"], abs=1e-6)


CASES_OF_NO_USE = (
    "one_method_always_wins", "one_method_always_loses", "perfect_order", "two_blocks_one_way",
    "disconnected", "cycle", "cycle_plus_one", "ties_only", "single_pair",
)  # fmt: skip


@pytest.mark.parametrize("name", CASES_OF_NO_USE)
def test_fits_do_not_pretend(name: str, bad_cases: Any) -> None:
    case = bad_cases[name]
    assert set(bad_cases) == set(CASES_OF_NO_USE)
    rows = [(left, right, won, tied, lost) for left, right, won, lost, tied in case["rows"]]
    comparisons = counted(rows)
    found = existence(comparisons)
    assert (len(found.parts) == 1) is case["connected"]
    assert found.exists is case["ml_exists_ties_as_half"]
    if "ml_exists_ties_dropped" in case:
        assert existence(comparisons, ties="drop").exists is case["ml_exists_ties_dropped"]
    if not found.exists:
        with pytest.raises(StatisticsError):
            fit(comparisons, ties="half")
    if "theta" in case:
        assert fit(comparisons).theta == pytest.approx(list(case["theta"].values()), abs=1e-6)
    if "firth_theta" in case:
        theta = firth(comparisons).theta
        assert theta == pytest.approx(list(case["firth_theta"].values()), abs=1e-6)
    if "one_half_added_to_each_judged_cell_theta" in case:
        more = [(a, b, won + 0.5, tied, lost + 0.5) for a, b, won, tied, lost in rows]
        golden = list(case["one_half_added_to_each_judged_cell_theta"].values())
        assert fit(counted(more)).theta == pytest.approx(golden, abs=1e-6)
