"""A method that fails on its first images isn't asked for more, whatever runs at once."""

from __future__ import annotations

import random

import pytest

from sreval.benchmarking.first_images import FirstImages


def one_after_another(outcomes: list[str]) -> list[int]:
    """The images that a method is asked for where each waits for the one before it."""
    asked, failed, made = [], 0, False
    for number, outcome in enumerate(outcomes):
        if outcome == "unreadable" or (failed >= 3 and not made):
            continue
        asked.append(number)
        made = made or outcome == "made"
        failed += outcome == "fails"
    return asked


@pytest.mark.parametrize("seed", range(60))
def test_any_number_of_workers_asks_for_the_same_images(seed: int) -> None:
    random_ = random.Random(seed)
    kinds = ["fails"] * random_.randint(1, 6) + ["made", "unreadable"]
    outcomes = random_.choices(kinds, k=random_.randint(1, 24))
    said: list[str] = []
    first = FirstImages((), said.append)
    asked: list[int] = []
    refused: dict[int, str] = {}

    def begin(number: int) -> None:
        if refusal := first.refusal("m"):
            refused[number] = str(refusal)
        elif outcomes[number] != "unreadable":
            asked.append(number)

    def end(number: int) -> None:
        if number in asked:
            first.ended("m", number, f"no {number}" if outcomes[number] == "fails" else "")
        if number in refused and outcomes[number] == "unreadable":
            del refused[number]
        first.through(["m"], number)

    abreast, number = random_.choice([1, 2, 3, 8]), 0
    waiting: list[int] = []
    while number < len(outcomes) or waiting:
        begins = number < len(outcomes) and len(waiting) < abreast and first.is_known("m", number)
        if begins and (not waiting or random_.random() < 0.7):
            begin(number)
            waiting.append(number)
            number += 1
        else:
            end(waiting.pop(random_.randrange(len(waiting))))
    assert sorted(asked) == one_after_another(outcomes)
    rest = {n for n, kind in enumerate(outcomes) if kind != "unreadable"} - set(asked)
    first_failure = f"no {outcomes.index('fails')}" if rest else ""
    assert refused == dict.fromkeys(
        rest, f"not tried, as it failed on its first 3 images. {first_failure}"
    )
    dropped = "m is dropped from the rest of this run: it failed on its first 3 images."
    assert said == ([dropped] if rest else [])


def test_a_method_that_has_made_images_before_is_never_dropped() -> None:
    first = FirstImages(["m"], pytest.fail)
    for number in range(9):
        assert first.is_known("m", number)
        first.ended("m", number, "no")
    assert first.refusal("m") is None
