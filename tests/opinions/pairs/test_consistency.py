import itertools
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sreval.opinions.pairs.comparisons import Comparisons
from sreval.opinions.pairs.consistency import (
    agreement,
    blocks,
    checks,
    circular_triads,
    kendall_u,
    likelihoods,
    most_circular,
    triads,
    zeta,
)
from sreval.opinions.pairs.models import fit
from tests.opinions.pairs.builders import study


def judgements(rows: list[str], **more: Any) -> pd.DataFrame:
    """A frame of ``rater image left choice right`` with < for right, > for left, = for a tie."""
    words = {">": "left", "<": "right", "=": "tie"}
    made = [row.split() for row in rows]
    frame = pd.DataFrame(
        [(r, i, a, b, words[sign]) for r, i, a, sign, b in made],
        columns=["rater", "image", "left", "right", "choice"],
    )
    return frame.assign(dataset="", count=1, **more)


def random_block(n: int, generator: np.random.Generator, answered: float = 1.0) -> np.ndarray:
    above = np.zeros((n, n), dtype=bool)
    for a, b in itertools.combinations(range(n), 2):
        if generator.random() < answered:
            above[(a, b) if generator.random() < 0.5 else (b, a)] = True
    return above


def by_enumeration(above: np.ndarray) -> tuple[int, int]:
    circular = judged = 0
    for a, b, c in itertools.combinations(range(len(above)), 3):
        sides = ((a, b), (b, c), (c, a))
        if all(above[x, y] or above[y, x] for x, y in sides):
            judged += 1
            circular += all(above[s] for s in sides) or not any(above[s] for s in sides)
    return circular, judged


@pytest.mark.parametrize("answered", [1.0, 0.6])
@pytest.mark.parametrize("n", [2, 3, 4, 5, 8])
def test_circles_are_those_that_enumeration_finds(n: int, answered: float) -> None:
    generator = np.random.default_rng(n)
    for _ in range(20):
        above = random_block(n, generator, answered)
        assert circular_triads(above) == by_enumeration(above)


@pytest.mark.parametrize("n", [3, 4, 5, 6, 7])
def test_circles_of_complete_blocks_follow_kendalls_formula(n: int) -> None:
    generator = np.random.default_rng(n)
    for _ in range(20):
        above = random_block(n, generator)
        formula = n * (n - 1) * (2 * n - 1) / 12 - (above.sum(axis=1) ** 2).sum() / 2
        assert circular_triads(above)[0] == formula


def test_most_and_chance_circles_are_those_of_all_blocks_there_are() -> None:
    for n in (3, 4, 5):
        pairs = list(itertools.combinations(range(n), 2))
        found = []
        for signs in itertools.product([0, 1], repeat=len(pairs)):
            above = np.zeros((n, n), dtype=bool)
            for (a, b), sign in zip(pairs, signs, strict=True):
                above[(a, b) if sign else (b, a)] = True
            found.append(circular_triads(above)[0])
        assert max(found) == most_circular(n)
        assert np.mean(found) == math.comb(n, 3) / 4
        assert zeta(max(found), n) == 0


def test_the_most_circles_of_up_to_twelve_methods() -> None:
    # the table of Kendall and Babington Smith 1940
    assert [most_circular(n) for n in range(3, 13)] == [1, 2, 5, 8, 14, 20, 30, 40, 55, 70]


def test_ties_and_gaps_leave_a_block_without_zeta() -> None:
    circle = ["r i A > B", "r i B > C", "r i A < C"]
    (full,) = triads(judgements(circle)).to_dict("records")
    assert (full["circular"], full["triples"], full["complete_blocks"], full["zeta"]) == (
        1,
        1,
        1,
        0,
    )
    tied = triads(judgements([*circle, "r j A > B", "r j B = C", "r j A > C"])).iloc[0]
    assert (tied.circular, tied.triples, tied.blocks, tied.complete_blocks) == (1, 1, 2, 1)
    gap = triads(judgements([*circle[:2], "s i A > C", "s i A > B", "s i B > C"]))
    assert gap["complete_blocks"].tolist() == [0, 1]
    assert math.isnan(gap["zeta"][0])
    assert gap["zeta"][1] == 1


def test_a_pair_judged_both_ways_counts_as_not_judged() -> None:
    found = triads(judgements(["r i A > B", "r i B > A", "r i B > C", "r i C > A"]))
    assert (found["circular"][0], found["triples"][0]) == (0, 0)


def test_two_methods_have_no_triples() -> None:
    (found,) = triads(judgements(["r i A > B"])).to_dict("records")
    assert found["triples"] == 0
    assert found["complete_blocks"] == 1
    assert math.isnan(found["zeta"])


def test_u_is_one_where_all_agree_and_least_where_they_split() -> None:
    same = judgements([f"{r} i A > B" for r in "rst"])
    assert agreement(same)["u"][0] == 1
    for m in (2, 3, 4, 5):
        rows = [f"r{k} i {'A > B' if k % 2 else 'B > A'}" for k in range(m)]
        (found,) = agreement(judgements(rows)).to_dict("records")
        assert found["u"] == pytest.approx(found["lowest"])
        assert found["lowest"] == pytest.approx(-1 / (m if m % 2 else m - 1))


def test_u_is_the_share_of_pairs_of_raters_who_agree() -> None:
    generator = np.random.default_rng(0)
    raters = [random_block(4, generator) for _ in range(5)]
    agreed = [
        (one[a, b] == other[a, b])
        for one, other in itertools.combinations(raters, 2)
        for a, b in itertools.combinations(range(4), 2)
    ]
    assert kendall_u(np.sum(raters, axis=0), 5) == pytest.approx(2 * np.mean(agreed) - 1)


def test_u_takes_complete_blocks_alone_and_says_how_many() -> None:
    full = [f"{r} i {pair}" for r in "rs" for pair in ("A > B", "A > C", "B > C")]
    (found,) = agreement(judgements([*full, "t i B > A"])).to_dict("records")
    assert (found["raters"], found["methods"], found["u"]) == (2, 3, 1)
    (alone,) = agreement(judgements(full[:3])).to_dict("records")
    assert math.isnan(alone["u"])
    assert alone["raters"] == 1


def test_rows_of_other_kinds_and_without_a_rater_are_in_no_block() -> None:
    frame = judgements(["r i A > B", "r i B > C", "r i A < C"], kind=["real", "real", "repeat"])
    assert triads(frame)["triples"][0] == 0
    counts = frame.assign(rater="", kind="real")
    assert triads(counts).empty
    assert agreement(counts).empty
    assert checks(counts).empty


def test_checks_count_what_a_rater_did() -> None:
    rows = ["r i A > B", "r i B = C", "r i B > A", "r i C = B", "r j A > A", "r j A = A"]
    kinds = ["real", "real", "repeat", "repeat", "same", "same"]
    rows += ["r j A > C", "r j C > A", "r k A > B", "s i A < B"]
    kinds += ["trap", "trap", "repeat", "real"]
    correct = [None] * 6 + ["left", "right", None, None]
    seconds = [2.0, 4.0, *[9.0] * 7, math.nan]
    frame = judgements(rows, kind=kinds, correct=correct, seconds=seconds)
    first, second = checks(frame).to_dict("records")
    assert first["judgements"] == 2
    assert first["ties"] == 1
    assert first["left_share"] == 1
    # A, then B, is no agreement; a tie twice is one; a repeat without an original counts nowhere
    assert (first["repeats"], first["agreed"]) == (2, 1)
    assert (first["same"], first["same_left_share"]) == (2, 1)
    assert (first["traps"], first["passed"], first["seconds"]) == (2, 1, 3)
    assert second["left_share"] == 0
    assert second["repeats"] == second["traps"] == 0
    assert math.isnan(second["seconds"])
    assert math.isnan(second["same_left_share"])


def test_a_repeat_agrees_with_sides_exchanged() -> None:
    frame = judgements(["r i A > B", "r i B < A"], kind=["real", "repeat"])
    assert checks(frame)["agreed"].tolist() == [1]


def test_a_rater_is_judged_by_the_model_of_the_others() -> None:
    rows = [f"r{k} i {pair}" for k in range(6) for pair in ("A > B", "A > B", "B > A")]
    odd = [f"odd i{n} B > A" for n in range(4)]
    made = fit(Comparisons.of(judgements([*rows, *odd])))
    found = likelihoods(made).set_index("rater")
    # the six others preferred A twice out of three times
    assert found["log_likelihood"]["odd"] == pytest.approx(math.log(1 / 3))
    # 10 of the 15 and none of the 4 others
    share = 10 / 19
    expected = (2 * math.log(share) + math.log(1 - share)) / 3
    assert found["log_likelihood"]["r0"] == pytest.approx(expected)
    assert found.index[found["unusual"]].tolist() == ["odd"]


def test_a_rater_without_whom_there_is_no_estimate_has_no_likelihood() -> None:
    alone = fit(Comparisons.of(judgements(["r i A > B", "r j B > A"])))
    assert likelihoods(alone)["log_likelihood"].isna().all()
    both = fit(Comparisons.of(judgements(["r i A > B", "s i B > A"])))
    assert likelihoods(both)["log_likelihood"].isna().all()
    assert not likelihoods(both)["unusual"].any()


def test_images_that_are_not_named_are_not_taken_as_one() -> None:
    frame = study(raters=3, images=2).assign(image="")
    assert list(blocks(frame)) == []
    assert agreement(frame).empty
    assert triads(frame).empty
    once = study(raters=3, images=1).assign(image="")
    assert len(list(blocks(once))) == 3


def test_without_sides_there_is_no_share_of_the_left() -> None:
    frame = study(raters=3, images=2)
    assert checks(frame)["left_share"].notna().all()
    assert checks(frame, sided=False)["left_share"].isna().all()
