"""The order of one rater's items, made on a ring that is cut at a random point.

All distances hold around the ring, so they hold wherever it is cut; and because the cut is drawn
from all places alike, every item stands at every position with the same probability, whatever
the steps before have done. The steps:

1. `deal`: the items are dealt to places so that all least distances hold. This finds an order
   whenever the scenes admit one (see `deal`).
2. `Ring.mix`: pairs of items change places wherever the distances still hold after it.
3. `Ring.spread`: gold items go, one each, into equal arcs of the ring.
4. `Ring.alternate`: items exchange places until no two neighbours are of one method.
5. the cut.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from sreval.study.deal import Showing, around, deal
from sreval.study.manifest import Key
from sreval.study.stream import Stream

SWEEPS = 4
WALK = 1000


def order(
    showings: Sequence[Showing], scene_distance: int, alternate: bool, stream: Stream
) -> list[Showing]:
    """The showings in the order in which a rater meets them. Raises UsageError if none exists."""
    _, problem = deal(showings, scene_distance)
    if problem:
        raise problem.error()
    # What can be dealt in one order can be dealt in any: only scenes of one shape change places.
    dealt, _ = deal(stream.shuffle(list(showings)), scene_distance)
    ring = Ring(dealt, scene_distance, stream)
    ring.mix()
    ring.spread()
    if alternate:
        ring.alternate()
    cut = stream.below(len(dealt)) if dealt else 0
    return ring.items[cut:] + ring.items[:cut]


class Ring:
    """Items around a ring in which all least distances hold before and after every step."""

    def __init__(self, items: Sequence[Showing], scene_distance: int, stream: Stream) -> None:
        self.items = list(items)
        self._near = range(1, min(scene_distance, len(items)))
        self._stream = stream
        self._places: dict[Key, set[int]] = {}
        for place, item in enumerate(items):
            if item.apart > 1:
                self._places.setdefault(item.key, set()).add(place)

    def mix(self) -> None:
        """Let every item change places with others drawn at random, several times."""
        n = len(self.items)
        for _ in range(SWEEPS):
            for place in range(n):
                self._exchange(place, self._stream.below(n))

    def spread(self) -> None:
        """Move one gold item into each of as many equal arcs, as near its middle as possible."""
        n = len(self.items)
        free = [place for place, item in enumerate(self.items) if item.gold]
        count = len(free)
        for arc in range(count):
            low, high = arc * n // count, (arc + 1) * n // count
            middle = (low + high - 1) / 2
            self._settle(sorted(range(low, high), key=lambda at: abs(at - middle)), free)

    def _settle(self, wanted: Sequence[int], free: list[int]) -> None:
        for place in wanted:
            for gold in free:
                if gold == place or (not self.items[place].gold and self._exchange(gold, place)):
                    free.remove(gold)
                    return

    def alternate(self) -> None:
        """Exchange items until no two neighbours are of one method.

        First every exchange that lessens such neighbours is made, then a walk of bounded length
        among exchanges that don't add to them. What remains no exchange of two items lessens.
        """
        n = len(self.items)
        most = max(Counter(item.method for item in self.items).values(), default=0)
        fewest = max(0, 2 * most - n)
        self._descend(fewest)
        for _ in range(WALK):
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
                if self._alike(place) and (self._part(place) or self._part(place - 1)):
                    better = True
                    if len(self._alikes()) <= fewest:
                        return

    def _alikes(self) -> list[int]:
        return [place for place in range(len(self.items)) if self._alike(place)]

    def _part(self, place: int) -> bool:
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
        return self.items[place].method == self.items[place - 1].method

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
                if other != place and around(place, other, n) < item.apart:
                    return False
        return True
