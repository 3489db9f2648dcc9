"""The order in which one rater is shown the rating part, by constrained randomisation.

Positions are taken as a circle that is cut at a random place. All least distances hold around
the circle, so they hold wherever it is cut; and because every cut is equally likely, every item
stands at every position with the same probability, whatever the steps before have done. The steps:

1. `feasible_order`: an order in which all least distances hold, wherever the scenes admit one.
2. `_CircularOrder.mix`: pairs of items are exchanged wherever the distances still hold after it.
3. `_CircularOrder.spread_gold`: gold items go, one each, into equal arcs of the circle.
4. `_CircularOrder.alternate`: items are exchanged until no two neighbours are of one method, or
   of one pair of methods.
5. the cut.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

from sreval.errors import UsageError
from sreval.study.manifest import Trial

T = TypeVar("T")
_SWEEPS = 4
_WALK = 1000
_BLOCK_BYTES, _WORD_BYTES = 4096, 8


class Stream:
    """An endless row of random numbers that `label` alone decides: SHAKE-256 of it and a counter.

    It is the same on every machine and under every version of every library, so that a plan made
    years ago can be made again.
    """

    def __init__(self, *label: object) -> None:
        self._label = "\x1f".join(map(str, label)).encode() + b"\x1e"
        self._blocks = 0
        self._block = b""
        self._at = 0

    def below(self, limit: int) -> int:
        """An integer from 0 up to but not including `limit`, all equally likely."""
        whole = 2 ** (8 * _WORD_BYTES)
        while True:
            word = self._word()
            if word < whole - whole % limit:
                return word % limit

    def shuffle(self, values: list[T]) -> list[T]:
        """`values` itself, in an order drawn from all orders (Fisher and Yates)."""
        for last in range(len(values) - 1, 0, -1):
            other = self.below(last + 1)
            values[last], values[other] = values[other], values[last]
        return values

    def _word(self) -> int:
        if self._at == len(self._block):
            block = self._label + self._blocks.to_bytes(8)
            self._block = hashlib.shake_256(block).digest(_BLOCK_BYTES)
            self._blocks, self._at = self._blocks + 1, 0
        self._at += _WORD_BYTES
        return int.from_bytes(self._block[self._at - _WORD_BYTES : self._at])


@dataclass(frozen=True)
class Unmet:
    """A constraint of a design that can't be met, and how to change it.

    `constraint`: the key, with its tables and the number of its block, from 0. `line`: where it or
    its table stands in study.toml, or None.
    """

    constraint: str
    what: str
    remedy: str
    line: int | None = None

    def error(self) -> UsageError:
        """What a command says of it."""
        return UsageError(f"{self.constraint}: {self.what}.", self.remedy)


@dataclass(frozen=True)
class Showing:
    """One showing of a trial in the rating part, whatever its sides.

    `apart`: the least distance in positions to every other showing of the same trial.
    """

    key: Trial
    scene: str
    gold: bool = False
    apart: int = 1

    @property
    def methods(self) -> Trial:
        """The method that is shown, or the two."""
        return self.key[2:]


def presentation_order(
    showings: Sequence[Showing], scene_distance: int, alternate: bool, stream: Stream
) -> list[Showing]:
    """The showings in the order in which a rater meets them. Raises UsageError if none exists."""
    _, unmet = feasible_order(showings, scene_distance)
    if unmet:
        raise unmet.error()
    # What is feasible in one order is in any: only scenes of one shape change places.
    first, _ = feasible_order(stream.shuffle(list(showings)), scene_distance)
    circle = _CircularOrder(first, scene_distance, stream)
    circle.mix()
    circle.spread_gold()
    if alternate:
        circle.alternate()
    cut = stream.below(len(first)) if first else 0
    return circle.items[cut:] + circle.items[:cut]


def circular_distance(a: int, b: int, n: int) -> int:
    """The distance of two places on a circle of `n`."""
    return min((a - b) % n, (b - a) % n)


# A first order in which all distances hold


def feasible_order(
    showings: Sequence[Showing], scene_distance: int
) -> tuple[list[Showing], Unmet | None]:
    """A circular order in which all least distances hold, or the constraint that can't be met.

    With n items, a scene that is shown c times and a distance of k, one exists if and only if
    c k <= n. No unbiased order does without that: of k positions in a row at most one may show
    the scene, and if all positions are alike to it, c k / n of them do on average.

    The circle is cut into q frames of n / q places, q at least every scene's count. The items,
    scene by scene, go to one frame after the other (in strides that put showings of one stimulus
    far apart), each to the frame's next place. So a scene comes at most once a frame, and at
    most one place earlier in the frame than before. Of T showings of one stimulus any two then
    lie nearly n / T places apart; by how little less is measured on the circle that comes out.

    What is found does not depend on chance: scenes whose stimuli are shown equally often stand for
    each other, and nothing else is looked at. So a design is proved feasible before anyone rates.
    """
    n = len(showings)
    scenes = _by_scene(showings)
    most = max((len(items) for items in scenes), default=1)
    if most == 1:
        scene_distance = 1
    if most * scene_distance > n:
        return [], _too_often(max(scenes, key=len)[0].scene, most, scene_distance, n)
    loose = most * (scene_distance + 1) <= n
    scenes.sort(key=lambda items: (len(items) < most and not loose, _shape(items)))
    row = [item for items in scenes for item in (_grouped(items) if loose else _strided(items))]
    times = max((len(g) for items in scenes for g in _groups(items) if g[0].apart > 1), default=1)
    if loose:
        circle = _placed(row, *_frames(n, most, n // (scene_distance + 1), times))
    else:
        circle = _placed(row, most, 1)
    return circle, _too_near(circle)


def _by_scene(showings: Sequence[Showing]) -> list[list[Showing]]:
    scenes: dict[str, list[Showing]] = {}
    for item in showings:
        scenes.setdefault(item.scene, []).append(item)
    return list(scenes.values())


def _groups(items: Sequence[Showing]) -> list[list[Showing]]:
    """The showings of one scene by stimulus, the most often shown first."""
    groups: dict[Trial, list[Showing]] = {}
    for item in items:
        groups.setdefault(item.key, []).append(item)
    return sorted(groups.values(), key=_weight)


def _weight(group: Sequence[Showing]) -> tuple[int, int]:
    return (-len(group), -group[0].apart)


def _shape(items: Sequence[Showing]) -> list[tuple[int, int]]:
    """What alone decides how a scene is placed; scenes of one shape can stand for each other."""
    return [_weight(group) for group in _groups(items)]


def _grouped(items: Sequence[Showing]) -> list[Showing]:
    return [item for group in _groups(items) for item in group]


def _strided(items: Sequence[Showing]) -> list[Showing]:
    """The showings of one scene in an order that keeps those of one stimulus apart."""
    stride = _stride(len(items), max(len(group) for group in _groups(items)))
    placed = {index * stride % len(items): item for index, item in enumerate(_grouped(items))}
    return [placed[index] for index in range(len(items))]


def _placed(row: Sequence[Showing], frames: int, stride: int) -> list[Showing]:
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
    return min((circular_distance(0, j * stride, size) for j in range(1, times)), default=size)


@cache
def _stride(size: int, times: int) -> int:
    """The step around `size` places, meeting all, of which `times` in a row lie farthest apart."""
    steps = [step for step in range(1, size + 1) if math.gcd(step, size) == 1]
    return max(steps, key=lambda step: _gap(size, step, times))


def _too_often(scene: str, count: int, distance: int, n: int) -> Unmet:
    what = (
        f"the scene {scene} is shown {count} times among {n} items, so its showings can't all lie "
        f"{distance} positions apart"
    )
    remedy = f"Set order.scene_distance to {n // count} or less, or rate more scenes."
    return Unmet("order.scene_distance", what, remedy)


def _too_near(circle: Sequence[Showing]) -> Unmet | None:
    """The repeat whose showings lie too near each other, if one does."""
    n = len(circle)
    places: dict[Trial, list[int]] = {}
    apart: dict[Trial, int] = {}
    for place, item in enumerate(circle):
        if item.apart > 1:
            places.setdefault(item.key, []).append(place)
            apart[item.key] = item.apart
    short = [
        (circular_distance(a, b, n), key)
        for key, at in places.items()
        for a, b in itertools.combinations(at, 2)
        if circular_distance(a, b, n) < apart[key]
    ]
    if not short:
        return None
    reached, key = min(short)
    dataset, image, *methods = key
    what = (
        f"{len(places[key])} showings of {dataset} {image} in {' and '.join(methods)} can't lie "
        f"{apart[key]} positions apart in a plan of {n} items"
    )
    return Unmet("repeats.distance", what, f"Set the distance to {reached} or less.")


class _CircularOrder:
    """Items around a circle in which all least distances hold before and after every step."""

    def __init__(self, items: Sequence[Showing], scene_distance: int, stream: Stream) -> None:
        self.items = list(items)
        self._near = range(1, min(scene_distance, len(items)))
        self._stream = stream
        self._places: dict[Trial, set[int]] = {}
        for place, item in enumerate(items):
            if item.apart > 1:
                self._places.setdefault(item.key, set()).add(place)

    def mix(self) -> None:
        """Let every item change places with others drawn at random, several times."""
        n = len(self.items)
        for _ in range(_SWEEPS):
            for place in range(n):
                self._exchange(place, self._stream.below(n))

    def spread_gold(self) -> None:
        """Move one gold item into each of as many equal arcs, as near its middle as possible."""
        n = len(self.items)
        free = [place for place, item in enumerate(self.items) if item.gold]
        count = len(free)
        for arc in range(count):
            low, high = arc * n // count, (arc + 1) * n // count
            middle = (low + high - 1) / 2
            self._put_gold(sorted(range(low, high), key=lambda at: abs(at - middle)), free)

    def _put_gold(self, wanted: Sequence[int], free: list[int]) -> None:
        for place in wanted:
            for gold in free:
                if gold == place or (not self.items[place].gold and self._exchange(gold, place)):
                    free.remove(gold)
                    return

    def alternate(self) -> None:
        """Exchange items until no two neighbours are of one method, or of one pair.

        First every exchange that lessens such neighbours is made, then a walk of bounded length
        among exchanges that don't add to them. What remains no exchange of two items lessens.
        """
        n = len(self.items)
        most = max(Counter(item.methods for item in self.items).values(), default=0)
        fewest = max(0, 2 * most - n)
        self._descend(fewest)
        for _ in range(_WALK):
            alike = self._alikes()
            if len(alike) <= fewest:
                return
            place = alike[self._stream.below(len(alike))] - self._stream.below(2)
            self._lessen(place, self._stream.below(n), by=0)
        self._descend(fewest)

    def _descend(self, fewest: int) -> None:
        better = True
        while better:
            better = False
            for place in self._alikes():
                if self._alike(place) and (self._separate(place) or self._separate(place - 1)):
                    better = True
                    if len(self._alikes()) <= fewest:
                        return

    def _alikes(self) -> list[int]:
        return [place for place in range(len(self.items)) if self._alike(place)]

    def _separate(self, place: int) -> bool:
        """Exchange the item at `place` with the first that lessens the alike neighbours."""
        n = len(self.items)
        start = self._stream.below(n)
        return any(self._lessen(place, (start + step) % n, by=1) for step in range(n))

    def _lessen(self, place: int, other: int, by: int) -> bool:
        """Exchange two items if that takes at least `by` from the number of alike neighbours."""
        n = len(self.items)
        place %= n
        if self.items[place].gold != self.items[other].gold:
            return False
        touched = {place, (place + 1) % n, other, (other + 1) % n}
        before = sum(map(self._alike, touched))
        if not self._exchange(place, other):
            return False
        if sum(map(self._alike, touched)) + by <= before:
            return True
        self._swap(place, other)
        return False

    def _alike(self, place: int) -> bool:
        return self.items[place].methods == self.items[place - 1].methods

    def _exchange(self, a: int, b: int) -> bool:
        """Let two items change places if all distances hold after it."""
        if a == b:
            return False
        self._swap(a, b)
        if self._fits(a) and self._fits(b):
            return True
        self._swap(a, b)
        return False

    def _swap(self, a: int, b: int) -> None:
        first, second = self.items[a], self.items[b]
        self.items[a], self.items[b] = second, first
        if first.key != second.key:
            for item, old, new in ((first, a, b), (second, b, a)):
                if item.apart > 1:
                    self._places[item.key].remove(old)
                    self._places[item.key].add(new)

    def _fits(self, place: int) -> bool:
        items, n = self.items, len(self.items)
        item = items[place]
        scene = item.scene
        for step in self._near:
            if items[place - step].scene == scene or items[(place + step) % n].scene == scene:
                return False
        if item.apart > 1:
            for other in self._places[item.key]:
                if other != place and circular_distance(place, other, n) < item.apart:
                    return False
        return True
