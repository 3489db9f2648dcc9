"""The names that commands list without importing anything are those of what computes and draws."""

from __future__ import annotations

from typing import get_args

from sreval.opinions import mos, units
from sreval.report import choices
from sreval.report.opinion_figures import KINDS
from sreval.report.opinions import ANALYSES


def test_the_names_are_those_that_are_known() -> None:
    assert tuple(ANALYSES) == choices.ANALYSES
    assert tuple(KINDS) == choices.FIGURES
    assert tuple(mos.INTERVALS) == get_args(units.IntervalName)
    assert get_args(units.Unit) == tuple(units.CLAIMS)
    assert {claim.interval for claim in units.CLAIMS.values()} <= set(mos.INTERVALS)
