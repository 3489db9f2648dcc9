"""Dealing the items of a plan to the places of a ring so that all least distances hold.

What is found does not depend on chance: scenes whose stimuli are shown equally often stand for
each other, and `deal` looks at nothing else. So a design can be proved feasible before anyone sits.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from sreval.study.manifest import Key
from sreval.study.parts import Problem


@dataclass(frozen=True)
class Showing:
    """One showing of a stimulus in the rating part.

    `apart`: the least distance in positions to every other showing of the same stimulus.
    """

    key: Key
    scene: str
    gold: bool = False
    apart: int = 1

    @property
    def method(self) -> str:
        """The method that is shown."""
        return self.key[2]


def deal(showings: Sequence[Showing], scene_distance: int) -> tuple[list[Showing], Problem | None]:
    """A circular order in which all least distances hold, or the constraint that can't be met.

    With n items, a scene that is shown c times and a distance of k, a ring exists if and only if
    c k <= n. No unbiased order does without that: of k positions in a row at most one may show
    the scene, and if all positions are alike to it, c k / n of them do on average.

    The ring is cut into q frames of n / q places, q at least every scene's count. The items,
    scene by scene, go to one frame after the other (in strides that put showings of one stimulus
    far apart), each to the frame's next place. So a scene comes at most once a frame, and at
    most one place earlier in the frame than before. Of T showings of one stimulus any two then
    lie nearly n / T places apart; by how little less is for the ring to show.
    """
    n = len(showings)
    scenes = _by_scene(showings)
    most = max((len(items) for items in scenes), default=1)
    if most == 1:
        scene_distance = 1
    if most * scene_distance > n:
        return [], _crowded(max(scenes, key=len)[0].scene, most, scene_distance, n)
    loose = most * (scene_distance + 1) <= n
    scenes.sort(key=lambda items: (len(items) < most and not loose, _shape(items)))
    row = [item for items in scenes for item in (_grouped(items) if loose else _strided(items))]
    times = max((len(g) for items in scenes for g in _groups(items) if g[0].apart > 1), default=1)
    if loose:
        ring = _place(row, *_frames(n, most, n // (scene_distance + 1), times))
    else:
        ring = _place(row, most, 1)
    problem = _too_near(ring)
    return ring, problem


def around(a: int, b: int, n: int) -> int:
    """The distance of two places on a ring of `n`."""
    return min((a - b) % n, (b - a) % n)


def _by_scene(showings: Sequence[Showing]) -> list[list[Showing]]:
    scenes: dict[str, list[Showing]] = {}
    for item in showings:
        scenes.setdefault(item.scene, []).append(item)
    return list(scenes.values())


def _groups(items: Sequence[Showing]) -> list[list[Showing]]:
    """The showings of one scene by stimulus, the most often shown first."""
    groups: dict[Key, list[Showing]] = {}
    for item in items:
        groups.setdefault(item.key, []).append(item)
    return sorted(groups.values(), key=_weight)


def _weight(group: Sequence[Showing]) -> tuple[int, int]:
    return (-len(group), -group[0].apart)


def _shape(items: Sequence[Showing]) -> list[tuple[int, int]]:
    """What alone decides how a scene is dealt; scenes of one shape can stand for each other."""
    return [_weight(group) for group in _groups(items)]


def _grouped(items: Sequence[Showing]) -> list[Showing]:
    return [item for group in _groups(items) for item in group]


def _strided(items: Sequence[Showing]) -> list[Showing]:
    """The showings of one scene in an order that keeps those of one stimulus apart."""
    stride = _stride(len(items), max(len(group) for group in _groups(items)))
    placed = {index * stride % len(items): item for index, item in enumerate(_grouped(items))}
    return [placed[index] for index in range(len(items))]


def _place(row: Sequence[Showing], frames: int, stride: int) -> list[Showing]:
    columns: list[list[Showing]] = [[] for _ in range(frames)]
    for index, item in enumerate(row):
        columns[index * stride % frames].append(item)
    return [item for column in columns for item in column]


@cache
def _frames(n: int, least: int, most: int, times: int) -> tuple[int, int]:
    """The number of frames and the stride that keep `times` showings farthest apart."""

    def apart(frames: int) -> int:
        return _gap(frames, _stride(frames, times), times) * (n // frames)

    frames = max(range(least, most + 1), key=apart) if times > 1 else most
    return frames, _stride(frames, times)


def _gap(size: int, stride: int, times: int) -> int:
    return min((around(0, j * stride, size) for j in range(1, times)), default=size)


@cache
def _stride(size: int, times: int) -> int:
    """The step around `size` places, meeting all, of which `times` in a row lie farthest apart."""
    steps = [step for step in range(1, size + 1) if math.gcd(step, size) == 1]
    return max(steps, key=lambda step: _gap(size, step, times))


def _crowded(scene: str, count: int, distance: int, n: int) -> Problem:
    what = (
        f"the scene {scene} is shown {count} times among {n} items, so its showings can't all lie "
        f"{distance} positions apart"
    )
    remedy = f"Set order.scene_distance to {n // count} or less, or rate more scenes."
    return Problem("order.scene_distance", what, remedy)


def _too_near(ring: Sequence[Showing]) -> Problem | None:
    """The repeat whose showings lie too near each other, if one does."""
    n = len(ring)
    places: dict[Key, list[int]] = {}
    apart: dict[Key, int] = {}
    for place, item in enumerate(ring):
        if item.apart > 1:
            places.setdefault(item.key, []).append(place)
            apart[item.key] = item.apart
    short = [
        (around(a, b, n), key)
        for key, at in places.items()
        for a, b in itertools.combinations(at, 2)
        if around(a, b, n) < apart[key]
    ]
    if not short:
        return None
    reached, key = min(short)
    dataset, image, method = key
    what = (
        f"{len(places[key])} showings of {dataset} {image} in {method} can't lie {apart[key]} "
        f"positions apart in a plan of {n} items"
    )
    return Problem("repeats.distance", what, f"Set the distance to {reached} or less.")
