"""What is available for a study that is not frozen yet."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sreval.benchmarking.identity import standing
from sreval.errors import SrevalError
from sreval.study.design import StudyDesign
from sreval.study.draw import drawn_parts
from sreval.study.manifest import Key
from sreval.study.parts import Pool
from sreval.study.sources import COMPUTED, open_pictures


@dataclass(frozen=True)
class AtHand:
    """The images that freezing would find, and the versions that some results hold."""

    pool: Pool
    scored: frozenset[Key] = frozenset()

    def has(self, key: Key) -> bool:
        """Whether a stimulus could be frozen: it was scored, or follows from its original."""
        return key[2] in COMPUTED or key in self.scored


def at_hand(design: StudyDesign, results: Sequence[Path] = ()) -> AtHand:
    """Look for the images of every data set that a design names, here and in results folders.

    Raises DataError for a folder that holds no results.
    """
    names = [part.name for part in design.images.datasets]
    names += [part.dataset for part in drawn_parts(design)]
    pool: dict[str, dict[str, str]] = {}
    for name in dict.fromkeys(names):
        with suppress(SrevalError):
            items = open_pictures(name, design.images.scale).items
            pool[name] = {item.image: item.scene for item in items}
    opened = set(pool)
    scored: set[Key] = set()
    for folder in results:
        frame = standing([folder], single=True)
        for row in frame[frame["scale"] == design.images.scale].to_dict("records"):
            scored.add((row["dataset"], row["image"], row["method"]))
            if row["dataset"] in names and row["dataset"] not in opened:
                pool.setdefault(row["dataset"], {})[row["image"]] = row["scene"]
    return AtHand(pool, frozenset(scored))
