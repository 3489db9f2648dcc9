"""A tenth of the damaged inputs: nothing escapes but a refusal, and memory stays bounded."""

from __future__ import annotations

import random

import pytest

from benchmarks import fuzz
from sreval.errors import DataError


@pytest.mark.evidence
@pytest.mark.filterwarnings("ignore")
def test_damaged_inputs_are_refused_in_words() -> None:
    found, grown = fuzz.fuzz(fuzz.INPUTS // 20, seed=1)
    assert found.faults == {}
    assert (found.unhandled, found.server_errors) == (0, 0)
    assert sum(found.inputs.values()) >= fuzz.INPUTS // 20 - 10
    assert grown < fuzz.GOAL_BYTES
    # the good parts of the site were reached, not its door alone
    assert {200, 303, 404} <= set(found.statuses)


def test_what_escapes_is_a_fault_and_a_refusal_is_none() -> None:
    def refuse() -> None:
        raise DataError("It is damaged.", "Get it again.")

    def escape() -> None:
        raise KeyError("a field")

    found = fuzz.Findings()
    found.give("a", refuse)
    assert (found.unhandled, found.taken["a"], found.inputs["a"]) == (0, 0, 1)
    found.give("a", escape)
    assert found.unhandled == 1
    assert next(iter(found.faults)).startswith("a: KeyError in test_fuzz.py:")


def test_damage_follows_from_the_seed() -> None:
    good = b'{"a": [1, 2, {"b": "c"}]}'

    def drawn() -> list[bytes]:
        rng = random.Random(3)
        return [fuzz.damaged(rng, good, ".json") for _ in range(20)]

    assert drawn() == drawn()
    assert len(set(drawn())) > 15
