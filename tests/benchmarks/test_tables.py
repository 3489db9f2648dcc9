"""A sample of every small table of votes, and what the driver would say of a fault."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from benchmarks import tables
from benchmarks.tables import Findings, complete_tables, random_table, smallest_order
from sreval.report import opinions
from sreval.report.opinions import Request

CANCELS = np.array([[4.0, 2], [2, 3], [3, 4]])
"""Stimuli by raters: the denominator of ICC(A,2) is exactly zero."""


@pytest.mark.evidence
def test_a_sample_of_all_small_tables_and_of_random_ones_has_no_fault() -> None:
    found = Findings()
    found.complete(every=6000)
    found.random(3)
    assert found.faults == []
    assert found.estimated == len(range(0, 32180, 6000))
    assert found.random_tables == 3


def test_variances_that_cancel_stop_nothing() -> None:
    found = Findings()
    found.estimate(CANCELS)
    found.analyse(tables.as_images(CANCELS), Request(), "cancels")
    found.analyse(tables.as_methods(CANCELS), Request(), "cancels")
    assert found.faults == []
    assert found.done["reliability"] == found.done["mos"] == 2


def test_tables_are_all_there_and_orders_are_one() -> None:
    made = {(table.shape, table.tobytes()) for table in complete_tables()}
    shapes = [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (2, 3), (3, 1), (3, 2)]
    assert len(made) == sum(5 ** (rows * columns) for rows, columns in shapes)
    turned = CANCELS[[2, 0, 1]][:, [1, 0]]
    assert smallest_order(turned) == smallest_order(CANCELS)
    assert smallest_order(CANCELS + [[1, 0]] * 3) != smallest_order(CANCELS)


@pytest.mark.parametrize("raised", [ZeroDivisionError("division by zero"), RuntimeWarning("odd")])
def test_what_nobody_thought_of_is_counted(
    monkeypatch: pytest.MonkeyPatch, raised: Exception
) -> None:
    def broken(votes: pd.DataFrame, request: Request) -> list[object]:
        raise raised

    monkeypatch.setitem(opinions.ANALYSES, "compare", broken)
    votes, request = random_table(1)
    found = Findings()
    found.analyse(votes, request, "seed 1")
    (fault,) = found.faults
    assert type(raised).__name__ in fault
