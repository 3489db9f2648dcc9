"""The names that commands list without importing anything are those of what computes and draws."""

from __future__ import annotations

from sreval.opinions import mos, units
from sreval.opinions.comparison import CLAIMS
from sreval.report import choices
from sreval.report.opinion_figures import KINDS
from sreval.report.opinions import ANALYSES


def test_the_names_are_those_that_are_known() -> None:
    assert tuple(ANALYSES) == choices.ANALYSES
    assert tuple(KINDS) == choices.FIGURES
    assert tuple(mos.INTERVALS) == units.INTERVALS
    assert units.UNITS == tuple(CLAIMS) == tuple(units.INTERVAL_OF)
    assert set(units.INTERVAL_OF.values()) <= set(units.INTERVALS)
