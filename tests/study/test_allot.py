"""Exposure of stimuli over slots, by counting."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from sreval.study.allot import period, votes_of
from sreval.study.parts import parts_of
from sreval.study.stream import Stream
from tests.study.designs import design_of, plain_pool

METHODS = [f"m{k}" for k in range(6)]


@st.composite
def allotments(draw: st.DrawFn) -> tuple[list[int], list[int], int, int]:
    """Images of each data set, methods left out of each, the subset's size, the seed."""
    images = draw(st.lists(st.integers(1, 12), min_size=1, max_size=3))
    without = [draw(st.integers(0, 4)) for _ in images]
    total = sum(i * (6 - w) for i, w in zip(images, without, strict=True))
    return images, without, draw(st.integers(1, total)), draw(st.integers(0, 99))


@settings(max_examples=200, deadline=None)
@given(given_design=allotments(), slots=st.integers(1, 40))
def test_exposures_differ_by_at_most_one_after_any_number_of_slots(
    given_design: tuple[list[int], list[int], int, int], slots: int
) -> None:
    images, without, subset, seed = given_design
    pool = plain_pool(**{f"d{k}": count for k, count in enumerate(images)})
    datasets = [{"name": f"d{k}", "without": METHODS[:count]} for k, count in enumerate(without)]
    design = design_of(METHODS, datasets, subset=subset, seed=seed)
    parts = parts_of(design, pool)
    seen: Counter[tuple[str, str, str]] = Counter(dict.fromkeys(parts.stimuli, 0))
    for slot in range(slots):
        votes = votes_of(design, parts, slot)
        assert len(set(votes)) == len(votes) == subset
        seen.update(votes)
        assert set(seen) == set(parts.stimuli)
        assert max(seen.values()) - min(seen.values()) <= 1
        for number, left_out in enumerate(without):
            mine = [key for key in votes if key[0] == f"d{number}"]
            methods = Counter(dict.fromkeys(METHODS[left_out:], 0))
            methods.update(key[2] for key in mine)
            assert max(methods.values()) - min(methods.values()) <= 1
            shown = Counter(dict.fromkeys(pool[f"d{number}"], 0))
            shown.update(key[1] for key in mine)
            assert max(shown.values()) - min(shown.values()) <= 2
    cycle = period(design, parts)
    assert votes_of(design, parts, slots % cycle) == votes_of(design, parts, slots)


def test_after_a_period_every_stimulus_was_seen_alike() -> None:
    design = design_of(METHODS, [{"name": "a"}, {"name": "b", "without": ["m0"]}], subset=14)
    parts = parts_of(design, plain_pool(a=5, b=8))
    slots = period(design, parts)
    seen = Counter(key for slot in range(slots) for key in votes_of(design, parts, slot))
    assert set(seen.values()) == {slots * 14 // len(parts.stimuli)}
    assert len(seen) == 5 * 6 + 8 * 5


def test_data_sets_take_their_share_of_every_subset() -> None:
    design = design_of(METHODS, [{"name": "a"}, {"name": "b"}], subset=30)
    parts = parts_of(design, plain_pool(a=5, b=15))
    for slot in range(12):
        small = sum(key[0] == "a" for key in votes_of(design, parts, slot))
        assert abs(small - 7.5) <= 1


def test_a_rater_with_one_vote_an_image_meets_all_methods_over_the_slots() -> None:
    """24 images in 6 methods, 24 a rater: each image once, in a new method from slot to slot."""
    design = design_of(METHODS, [{"name": "a"}], subset=24)
    parts = parts_of(design, plain_pool(a=24))
    slots = [votes_of(design, parts, slot) for slot in range(6)]
    for votes in slots:
        assert len({key[1] for key in votes}) == 24
        assert set(Counter(key[2] for key in votes).values()) == {4}
    for image in range(24):
        shown = {key[2] for votes in slots for key in votes if key[1] == f"i{image:03}"}
        assert shown == set(METHODS)


def test_a_stream_is_the_same_everywhere_and_draws_all_numbers_alike() -> None:
    stream = Stream("golden", 1)
    assert [stream.below(1000) for _ in range(5)] == [627, 616, 21, 4, 168]
    stream = Stream("uniform")
    counts = Counter(stream.below(7) for _ in range(70_000))
    # 10 000 each, standard deviation 92.6: five of them.
    assert all(abs(counts[value] - 10_000) < 463 for value in range(7))


def test_a_shuffle_gives_every_order_alike() -> None:
    stream = Stream("shuffle")
    counts = Counter(tuple(stream.shuffle([0, 1, 2, 3])) for _ in range(24_000))
    assert len(counts) == 24
    # 1000 each, standard deviation 31: five of them.
    assert all(abs(count - 1000) < 155 for count in counts.values())
