"""Which stimuli a slot sees: all of them, or a window of a ring that all slots share.

Slot s of a subset of m sees the places s m, ..., s m + m - 1 of one endless ring of all stimuli.
Whatever the number of slots, no stimulus is then seen more than once more often than another.
On the ring the data sets take turns by their share, and within a data set the methods take
turns, so that in any window, however long, the methods of one data set differ by at most one.
The image moves on with every place, and by one more whenever the pairs would begin again, so
that the window of a rater holds every image as often as every other, give or take two, and each
image meets each method in turn from slot to slot.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from sreval.study.design import StudyDesign
from sreval.study.draw import drawn_images
from sreval.study.manifest import Key
from sreval.study.parts import Parts, Problem
from sreval.study.stream import Stream


def votes_of(design: StudyDesign, parts: Parts, slot: int) -> tuple[Key, ...]:
    """What the rater in `slot` votes on, each stimulus once."""
    return next(windows(design, parts, [slot]))


def windows(design: StudyDesign, parts: Parts, slots: Iterable[int]) -> Iterator[tuple[Key, ...]]:
    """`votes_of` each slot, the ring laid once."""
    subset = design.subset
    ring = parts.stimuli if subset is None else _ring(design.seed, parts)
    for slot in slots:
        start = slot * (subset or 0)
        yield tuple(ring[(start + i) % len(ring)] for i in range(subset or len(ring)))


def period(design: StudyDesign, parts: Parts) -> int:
    """The number of slots after which the same allotments come again."""
    total = len(parts.stimuli)
    return total // math.gcd(total, design.subset) if design.subset else 1


def subset_problem(design: StudyDesign, parts: Parts) -> Problem | None:
    """What is wrong with the subset's size, if anything."""
    total = len(parts.stimuli)
    if design.subset is None or design.subset <= total:
        return None
    what = f"{design.subset} stimuli per rater are asked for, but the design only has {total}"
    return Problem("subset", what, f"Set it to {total} or less, or leave it out.")


def repeats_of(
    design: StudyDesign, votes: Sequence[Key]
) -> tuple[list[tuple[Key, int, int]], list[Problem]]:
    """What a rater with these votes is shown again: (stimulus, how often more, least distance).

    The same stimuli for all raters as far as they see them; none is drawn for two repeats.
    """
    drawn: dict[Key, tuple[Key, int, int]] = {}
    problems = []
    for number, repeat in enumerate(design.repeats):
        cell = (repeat.dataset, repeat.method)
        free = [key for key in votes if (key[0], key[2]) == cell and key not in drawn]
        if len(free) < repeat.images:
            what = (
                f"{repeat.images} images of {repeat.dataset} in {repeat.method} are to be shown "
                f"again, but some rater sees only {len(free)} that can be repeated"
            )
            remedy = f"Set its images to {len(free)} or less, or give a larger subset."
            problems.append(Problem(f"repeats.{number}", what, remedy))
            continue
        for image in drawn_images(design, repeat, [key[1] for key in free]):
            key = (repeat.dataset, image, repeat.method)
            drawn[key] = (key, repeat.times, repeat.distance)
    return list(drawn.values()), problems


def _ring(seed: int, parts: Parts) -> tuple[Key, ...]:
    """All stimuli in the order in which the slots' windows run over them."""
    placed = []
    for number, (dataset, keys) in enumerate(parts.rated.items()):
        for place, key in enumerate(_turns(seed, dataset, keys)):
            placed.append(((2 * place + 1) / (2 * len(keys)), number, key))
    return tuple(key for _, _, key in sorted(placed))


def _turns(seed: int, dataset: str, keys: Sequence[Key]) -> list[Key]:
    """The stimuli of one data set: methods and images take turns, every pair once."""
    images = Stream(seed, "images", dataset).shuffle(list(dict.fromkeys(key[1] for key in keys)))
    methods = Stream(seed, "methods", dataset).shuffle(list(dict.fromkeys(key[2] for key in keys)))
    rounds = math.lcm(len(images), len(methods))
    return [
        (dataset, images[(place + place // rounds) % len(images)], methods[place % len(methods)])
        for place in range(len(keys))
    ]
